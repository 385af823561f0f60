"""What the client can ask: every route of the API has a call, and the answers of a real service are understood."""

import asyncio
import inspect
import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from api.settings import Settings
from api.workers.local_desk import LocalDesk
from api.workers.worker import RigWords, Worker
from frugaltwin.client.client import AsyncClient, Client
from frugaltwin.client.lab_calls import LabCalls
from frugaltwin.client.protocol import Call
from frugaltwin.errors import InvalidInput, Refused, UnknownName
from tests.running_service import Running, running

SETTINGS = {"red": 0.2, "yellow": 0.3, "blue": 0.1, "water": 3.4}


@pytest.fixture(scope="module")
def service(sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with a worker for its rig, in this process."""
    folder = tmp_path_factory.mktemp("service")
    with pytest.MonkeyPatch.context() as patch, running(f"sqlite:///{shutil.copy(sqlite_file, folder)}", thinkers=1) as service:
        patch.setattr("api.workers.strategy_processes.LONGEST", 600.0)  # thinking takes as long as it takes where much else is tested
        worker = Worker(RigWords("color-1", "color-mixing"), LocalDesk(service.database, "color-1", "w"), "w", folder / "reports")
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            yield service
        finally:
            worker.end()
            thread.join()


@pytest.fixture
def ada(service: Running) -> Iterator[Client]:
    """A student."""
    with Client(service.address, service.person()[1]) as client:
        yield client


@pytest.fixture
def curie(service: Running) -> Iterator[Client]:
    """The instructor."""
    with Client(service.address, service.admin) as client:
        yield client


# What a call is given so that it asks; those that ask several routes, several times.
WORDS: dict[str, list[tuple[Any, ...]]] = {
    "export_experiments": [("all.csv",)],
    "join": [("code", "Ada")], "ledger": [(), ("u_1",)], "make_token": [(["read"],)], "revoke_token": [("t_1",)],
    "revoke_tokens": [("u_1",)], "person": [("u_1",)],
    "add_person": [("Ada",)], "grant": [("u_1", 5)], "set_left": [("u_1", {"runs": 5.0})], "remove_person": [("u_1",)],
    "make_code": [(30,)], "revoke_code": [("j_1",)], "rig": [("r",)], "steer": [("r", "stop"), ("r", "pause"), ("r", "open")],
    "approve": [("r", "u_1"), ("r", "u_1", False)], "approvals": [("r",)], "submit": [("r", {})], "price": [("r", {})],
    "task": [("t",)], "hand_in": [("t",)], "board": [("t",)], "call_me": [("Zed",)], "class_named": [("c",)], "make_class": [("c",)],
    "enroll": [("c", "u_1")], "add_task": [("c", {})], "labs": [("t",)], "grades": [("t",)], "regrade": [("t",)],
    "set_terms": [("t", "u_1", 1.0)], "extend": [("t", 1.0)], "approve_class": [("c", "r"), ("c", "r", False)], "grant_class": [("c", 5)],
    "remove_class": [("c",)], "my_page": [("x.html",)], "class_pages": [("c", "x.zip")],
    "withdraw": [("t", "u_1")], "grade_table": [("c", "x.csv")], "archive_class": [("c", "x.zip")],
    "end_class": [("c",)],
    "experiment": [("x_1",)], "wait": [("x_1",)], "abort": [("x_1",)], "start_campaign": [("n", "r")], "campaign": [("c_1",)],
    "wait_campaign": [("c_1",)], "trial": [("c_1", 1)],
    "trials": [("c_1",)], "act": [("c_1", "stop")], "judge": [("c_1", 1, "approve")], "prefer": [("c_1", 1, 2)],
    "retract": [("c_1", 1, "x")], "amend": [("c_1", 1, {"y": 1.0}, "x")], "reject": [("c_1", {"x": 1.0})],
    "entries": [("c_1",)], "recommendation": [("c_1",)], "export": [("c_1", "x.csv")], "ask": [("GET", "/v1/rigs")],
}  # fmt: skip


def test_every_route_for_people_has_a_call_and_both_clients_have_every_call(tmp_path: Path) -> None:
    lab = LabCalls("http://127.0.0.1:9", "t", 0)
    named = {n for n, _ in inspect.getmembers(LabCalls, inspect.isgeneratorfunction) if not n.startswith("_")}
    for kind in (Client, AsyncClient):
        assert named <= set(dir(kind)), named - set(dir(kind))
        assert named & set(dir(kind)) >= set(WORDS)
    calls = [next(getattr(lab, name)(*words)) for name in named for words in WORDS.get(name, [()])]
    calls.append(lab.follow(None).call)
    asked = {(call.method, call.path) for call in calls if isinstance(call, Call)}
    document = create_app(Settings(f"sqlite:///{tmp_path}/none.db")).openapi()
    routes = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    of_people = {(method, path) for method, path in routes if path.startswith("/v1/") and not path.startswith("/v1/work/")}
    patterns = {(method, path): re.sub(r"\{\w+\}", "[^/]+", path) for method, path in of_people}
    without = {route for route, pattern in patterns.items() if not any(m == route[0] and re.fullmatch(pattern, p) for m, p in asked)}
    assert without == set()
    assert len(of_people) > 30


def test_every_call_stands_on_the_page() -> None:
    page = (Path(__file__).parents[1] / "docs" / "service.md").read_text()
    named = {n for n, _ in inspect.getmembers(LabCalls, inspect.isgeneratorfunction) if not n.startswith("_")} | {"events", "experiments"}
    assert {name for name in named if not re.search(rf"`{name}\(", page)} == {"page"}  # `experiments` turns the pages


def test_a_call_shows_its_words_and_what_it_does() -> None:
    client = Client("http://127.0.0.1:9", "t")
    assert list(inspect.signature(client.price).parameters) == ["rig", "settings"]
    assert inspect.getdoc(client.price) == inspect.getdoc(Client.price) == inspect.getdoc(LabCalls.price)
    assert "price" in repr(client.price)


def test_a_student_judges_compares_and_takes_a_campaign_home(ada: Client, tmp_path: Path) -> None:
    started = ada.start_campaign("mine", "color-1", "match-color:coral", {"name": "random", "options": {}}, budget=2, approve=True)
    assert ada.wait_campaign(started.id).state == "waiting"
    ada.judge(started.id, 1, "edit", SETTINGS)
    with pytest.raises(Refused, match="no suggestion for trial 1"):
        ada.judge(started.id, 1, "approve")
    assert (ada.wait_campaign(started.id).proposal or {})["trial"] == 2
    assert ada.judge(started.id, 2, "approve").person == ada.me().person
    ended = ada.wait_campaign(started.id)
    assert ended.state == "ended"
    assert [(c.id, c.strategy, c.seed, c.budget["runs"]) for c in ada.campaigns("ended")] == [
        (ended.id, {"name": "random", "options": {}}, 0, 2)
    ]
    assert ada.campaigns("paused") == []
    assert ada.trials(ended.id)[0].experiment.settings == SETTINGS
    said = ada.prefer(ended.id, 2, 1, "clearer")
    assert (said.better, said.worse, said.why, said.by) == (2, 1, "clearer", ended.person)
    assert ada.entries(ended.id, "preference") == [said]
    assert [e.kind for e in ada.entries(ended.id)] == ["proposal", "approval", "proposal", "approval", "preference"]
    amended = ada.amend(ended.id, 2, {"t_415": 0.25}, "a typing mistake")
    assert amended.outcomes == {**(ada.trials(ended.id)[1].experiment.outcomes or {}), "t_415": 0.25}
    assert ada.retract(ended.id, 1, "a bubble").number == 1
    assert ada.reject(ended.id, SETTINGS, "we have no red").settings == SETTINGS
    corrections = [t.correction for t in ada.trials(ended.id)]
    assert [c and (c.kind, c.why) for c in corrections] == [("retracted", "a bubble"), ("amended", "a typing mistake")]
    ended = ada.campaign(ended.id)
    found = ada.recommendation(ended.id)
    assert ended.best is not None
    assert (found.settings, found.by, found.n_trials) == (ended.best.experiment.settings, "best reading", 2)
    assert len(ada.export(ended.id, tmp_path / "mine.csv").read_text().splitlines()) == 3
    assert len(json.loads(ada.export(ended.id, str(tmp_path / "mine.json")).read_text())["trials"]) == 2
    assert ada.export(ended.id, tmp_path / "mine.parquet").read_bytes()[:4] == b"PAR1"
    assert "<svg" in ada.export(ended.id, tmp_path / "mine.svg").read_text()
    with pytest.raises(InvalidInput, match=r"let it end in \.csv, \.json"):
        ada.export(ended.id, tmp_path / "mine.xlsx")
    with pytest.raises(InvalidInput, match="cannot write"):
        ada.export(ended.id, tmp_path / "nowhere" / "mine.csv")
    with pytest.raises(UnknownName):
        ada.export("c_none", tmp_path / "none.csv")
    assert not (tmp_path / "none.csv").exists()
    kinds = [(line.kind, line.experiment) for line in ada.ledger()]
    assert {experiment for kind, experiment in kinds if kind == "settle"} == {t.experiment.id for t in ada.trials(ended.id)}
    assert kinds[-1] == ("grant", None)


def test_an_instructor_looks_after_a_class(service: Running, curie: Client) -> None:
    made = curie.make_code(2, {"runs": 3}, "Monday")
    assert made.code is not None
    assert made.code not in repr(made)
    with Client(service.address) as grace:
        joined = grace.join(made.code, "Grace")
        (listed,) = [c for c in curie.codes() if c.id == made.id]
        assert (listed.note, listed.uses_left, listed.budget["runs"], listed.code) == ("Monday", 1, 3, None)
        assert joined.person in [p.id for p in curie.people("student")]
        assert curie.grant(joined.person, 2).left["runs"] == 5
        assert curie.set_left(joined.person, {"runs": 1, "volume": None}).left == grace.me().budget["left"]
        account = curie.person(joined.person).budget
        assert account is not None
        assert (account.left["runs"], account.left["volume"]) == (1, None)
        assert [line.runs for line in curie.ledger(joined.person)] == [line.runs for line in grace.ledger()]
        shown = grace.make_token(["read"], "notebook", expires_in=60)
        assert shown.token is not None
        assert shown.token not in repr(shown)
        with Client(service.address, shown.token) as reader:
            assert reader.me().scopes == ["read"]
            with pytest.raises(Refused, match="may read"):
                reader.submit("color-1", SETTINGS)
            grace.revoke_token(shown.id)
            with pytest.raises(Refused, match="revoked"):
                reader.me()
        assert {t.id: t.revoked_at is not None for t in grace.tokens()}[shown.id]
        assert [t.id for t in curie.tokens(joined.person)] == [t.id for t in grace.tokens()]
        curie.revoke_code(made.id)
        with Client(service.address) as late, pytest.raises(Refused, match="ask your instructor"):
            late.join(made.code, "Late")
        with pytest.raises(Refused):
            grace.people()
        curie.approve("color-1", joined.person)
        assert curie.approvals("color-1") == [joined.person]
        curie.remove_person(joined.person)
        with pytest.raises(Refused):
            grace.me()
    watcher = curie.add_person("Watcher", "observer")
    assert watcher.token not in repr(watcher)
    with Client(service.address, watcher.token) as observer:
        assert observer.me().role == "observer"
        with pytest.raises(Refused):
            observer.submit("color-1", SETTINGS)


def test_a_call_that_shows_something_once_is_not_sent_again() -> None:
    for name in ("make_token", "make_code", "add_person"):
        call = next(getattr(LabCalls("http://127.0.0.1:9", "t", 0), name)(*WORDS[name][0]))
        assert isinstance(call, Call)
        assert not call.is_repeatable


def test_the_same_calls_are_awaited(service: Running, tmp_path: Path) -> None:
    async def work() -> tuple[int, Path]:
        async with AsyncClient(service.address, service.person()[1]) as client:
            campaign = await client.start_campaign("theirs", "color-1", "maximize:t_515", mode="client")
            await client.submit("color-1", SETTINGS, wait=60, campaign=campaign.id, trial=1)
            trials, file = await asyncio.gather(client.trials(campaign.id), client.export(campaign.id, tmp_path / "theirs.csv"))
            assert (await client.ask("GET", "/v1/me"))["name"] == "Ada"
            return len(trials), file

    n, file = asyncio.run(work())
    assert n == 1
    assert file.read_text().count("\n") == 2
