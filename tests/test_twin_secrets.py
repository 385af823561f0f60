"""A student never reads what a copy of a twin could be made of: its options, its key, and on which machine and with what it runs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.workers.worker import RigWords, worker_name
from frugaltwin.campaign import versions
from frugaltwin.errors import InvalidInput
from tests.running_service import Running, running
from tests.service_database import until
from tests.test_twins import pasts, register, worker_of

OPTIONS: dict[str, str | int | float | bool] = {
    "solubility": 0.000123457,
    "strength": 0.0412345,
    "system": 7711773,
    "labeling": "direct",
    "imperfections": 1.0625,
}
MIXTURE = {"water": 3.0, "ethanol": 0.5, "anise": 0.5}
MAP = {"rig": "cloud-1", "goal": "map:phase"}


@dataclass
class Reader:
    """Somebody who asks for everything, and keeps all that came back."""

    http: httpx.Client
    texts: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, **words: Any) -> httpx.Response:
        """One request."""
        answer = self.http.request(method, path, **words)
        self.texts.append("\n".join([f"{method} {path}", *(f"{k}: {v}" for k, v in answer.headers.items()), answer.text]))
        return answer


def walk(reader: Reader, service: Running, whose: str) -> None:
    """Ask everything that somebody may ask, with good words and with bad ones."""
    order = {"rig": "cloud-1", "settings": MIXTURE}
    done = reader.ask("POST", "/v1/experiments", json=order, headers={"Prefer": "wait=30", "Idempotency-Key": whose}).json()
    assert done["state"] == "succeeded", done
    reader.ask("POST", "/v1/experiments", json=order, headers={"Idempotency-Key": whose})
    reader.ask("POST", "/v1/experiments", json=order | {"dry_run": True})
    for odd in ({"rig": "cloud-1", "settings": {}}, order | {"rig": "cloud-2"}, order | {"settings": MIXTURE | {"water": 9.0}}, {}):
        assert reader.ask("POST", "/v1/experiments", json=odd).status_code >= 400
    program = reader.ask("POST", "/v1/campaigns", json=MAP | {"name": "mine", "mode": "client"}).json()["id"]
    tried = {"campaign": program, "settings": MIXTURE | {"water": 2.5, "ethanol": 1.0}}
    reader.ask("POST", "/v1/experiments", json=order | tried, headers={"Prefer": "wait=30"})
    chosen = {"name": "the-server", "strategy": {"name": "random"}, "budget": {"runs": 3}}
    campaign = reader.ask("POST", "/v1/campaigns", json=MAP | chosen).json()["id"]
    until(lambda: reader.http.get(f"/v1/campaigns/{campaign}").json()["state"] == "ended")
    reader.ask("POST", "/v1/campaigns", json=MAP | {"name": "odd", "goal": "minimize:nothing"})
    reader.ask("POST", f"/v1/campaigns/{campaign}/entries", json={"kind": "preference", "better": 1, "worse": 2})
    ids = {"campaigns": campaign, "experiments": done["id"], "rigs": "cloud-1", "people": whose}
    for path, methods in reader.ask("GET", "/openapi.json").json()["paths"].items():
        if "get" not in methods or path.startswith("/v1/work"):
            continue
        kind = path.split("/")[2] if path.startswith("/v1/") else ""
        filled = re.sub(r"{\w+}", ids.get(kind, "x_0"), path)
        for form in ("csv", "json", "svg") if path.endswith("/export") else ("",):
            headers = {"Accept": "application/json"} if path.endswith("/events") else {}
            reader.ask("GET", filled, params={"format": form} if form else {}, headers=headers)
    with reader.http.stream("GET", "/v1/events?after=0", headers={"Accept": "text/event-stream"}) as stream:
        lines = stream.iter_lines()
        reader.texts.append("\n".join(next(lines) for _ in range(20)))
    reader.ask("POST", f"/v1/experiments/{done['id']}/abort")
    reader.ask("GET", "/docs")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, fresh_url: Any) -> Iterator[Running]:
    with running(fresh_url()) as found:
        rig = RigWords("cloud-1", "cloud-point", OPTIONS)
        register(found.database, rig)
        with worker_of(found.database, rig, tmp_path_factory.mktemp("reports"), name=worker_name()):
            yield found


def test_what_a_student_can_read_gives_no_twin_away_and_what_an_instructor_reads_does(service: Running) -> None:
    whose, token = service.person()
    with service.client(token) as student, service.client(service.admin) as teacher:
        students, instructors = Reader(student), Reader(teacher)
        walk(students, service, whose)
        walk(instructors, service, service.instructor)
    provenances = [row.provenance or {} for past in pasts(service.database).values() for row in past]
    assert len(provenances) >= 10
    host, pid, boot = provenances[0]["worker"].split(":")
    named = {str(value) for value in OPTIONS.values()} | {f"{p['seed']}" for p in provenances} | {f"{host}:{pid}", boot}
    named |= {version for version in versions().values() if version.count(".") >= 2}
    read, known = "\n".join(students.texts), "\n".join(instructors.texts)
    for secret in named:
        whole = re.compile(rf"(?<![\w.]){re.escape(secret)}(?![\w.])")
        found = whole.search(read)
        assert found is None, read[max(0, found.start() - 300) : found.end() + 100]
        assert whole.search(known), secret


def test_a_student_still_reads_where_an_experiment_was_performed(service: Running) -> None:
    with service.client(service.person()[1]) as student:
        order = {"rig": "cloud-1", "settings": MIXTURE}
        done = student.post("/v1/experiments", json=order, headers={"Prefer": "wait=30"}).json()
    assert done["provenance"] == {"rig": "cloud-1", "driver": "cloud-point", "is_real": False}


def test_an_option_that_shows_cannot_be_hidden(tmp_path: Path) -> None:
    assert RigWords.parse("lens-1=lens,melting_A=1100,hidden=melting_A").options == {"melting_A": 1100.0}
    with pytest.raises(InvalidInput, match="coldest cannot be hidden: the bounds"):
        RigWords.parse("lens-1=lens,coldest=700,hidden=coldest")
    with pytest.raises(InvalidInput, match="sweeps cannot be hidden: the bounds, the descriptions or the price"):
        RigWords.parse("magnet=ising,sweeps=100,hidden=sweeps")
    with pytest.raises(InvalidInput, match="the rig has no such option"):
        RigWords.parse("lens-1=lens,hidden=melting_A")
