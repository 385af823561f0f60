"""Rigs and their workers as the API shows and takes them: who sees what, who may do what, what is refused."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.records import fair_queue, leases, rigs, tables
from api.records.leases import Report
from api.records.rows import LeasedRow
from api.routes.problems import DOCS
from api.workers.worker import KeptReports, RigWords, is_dead, worker_name
from frugaltwin.amounts import Amounts
from frugaltwin.catalog import make_driver
from frugaltwin.errors import InvalidInput, UnknownName
from frugaltwin.experiment import Measurement
from frugaltwin.prices import price_from_json
from frugaltwin.store import experiment_from_json, experiment_to_json
from tests.running_service import Running, running

SETTINGS = {"red": 0.2, "yellow": 0.3, "blue": 0.1, "water": 3.4}
REAL = "mixer-1"


@pytest.fixture(scope="module")
def service(fresh_url: Callable[[], str]) -> Iterator[Running]:
    with running(fresh_url()) as found:
        found.database.write_now(lambda c, now: rigs.register(c, now, REAL, "color-mixing", {}, True))
        yield found


@pytest.fixture
def admin(service: Running) -> Iterator[httpx.Client]:
    with service.client(service.admin) as client:
        for name in ("color-1", REAL):
            client.post(f"/v1/rigs/{name}/stop")  # ends what another test left running
            client.post(f"/v1/rigs/{name}/open")
        yield client


def refusal(answer: httpx.Response, status: int, kind: str) -> str:
    """What a problem says."""
    body = answer.json()
    assert (answer.status_code, body["type"]) == (status, DOCS + kind), body
    return str(body["detail"])


def begun(service: Running, rig: str, worker: str = "w") -> LeasedRow:
    """The next experiment of a rig, in the middle of being done."""
    (row,) = service.database.write_now(lambda c, now: fair_queue.lease(c, now, rig, service.worker(worker), 1))
    service.database.write_now(lambda c, now: fair_queue.begin(c, now, row.id, row.lease))
    return row


def test_a_rig_says_what_it_can_be_asked_to_do(service: Running, admin: httpx.Client) -> None:
    found = admin.get("/v1/rigs/color-1").json()
    experiment = experiment_from_json(found["experiment"])
    assert experiment == make_driver("color-mixing").experiment
    assert {p["name"]: (p["low"], p["high"], p["unit"]) for p in found["experiment"]["parameters"]}["red"] == (0.0, 1.0, "mL")
    assert price_from_json(found["price"]) == make_driver("color-mixing").price()  # type: ignore[attr-defined]
    assert [rig["name"] for rig in admin.get("/v1/rigs").json()["items"]] == ["color-1", REAL]
    assert "mistyped" in refusal(admin.get("/v1/rigs/mistyped"), 404, "not-found")


def test_what_runs_is_ones_own_or_another_user_s(service: Running, admin: httpx.Client) -> None:
    ada, ada_token = service.person()
    _, eve_token = service.person(name="Eve")
    with service.client(ada_token) as client, service.client(eve_token) as other:
        identity = client.post("/v1/experiments", json={"rig": "color-1", "settings": SETTINGS}).json()["id"]
        client.post("/v1/experiments", json={"rig": "color-1", "settings": SETTINGS})
        begun(service, "color-1")
        mine, theirs, all_of_it = (c.get("/v1/rigs/color-1").json() for c in (client, other, admin))
    assert [(r["owner"], r["experiment"]) for r in mine["running"]] == [(ada, identity)]
    assert [(r["owner"], r["experiment"]) for r in theirs["running"]] == [("another user", None)]
    assert [(r["owner"], r["experiment"]) for r in all_of_it["running"]] == [(ada, identity)]
    assert mine["queued"] == 1
    assert mine["eta_s"] == pytest.approx(make_driver("color-mixing").estimate(SETTINGS).seconds)  # type: ignore[attr-defined]


def test_when_it_is_one_s_turn_is_foretold_on_an_open_real_rig_only(service: Running, admin: httpx.Client) -> None:
    ada, token = service.person()
    twin, real = "twin-9", "mixer-9"
    for rig in (twin, real):
        service.database.write_now(lambda c, now, rig=rig: rigs.register(c, now, rig, "color-mixing", {}, rig == real))  # type: ignore[misc]
    admin.put(f"/v1/rigs/{real}/approvals/{ada}").raise_for_status()
    seconds = make_driver("color-mixing").estimate(SETTINGS).seconds  # type: ignore[attr-defined]
    with service.client(token) as client:
        places = {}
        for rig in (twin, real):
            for name in (rig, f"after {rig}"):
                places[name] = client.post("/v1/experiments", json={"rig": rig, "settings": SETTINGS}).headers["location"]
            admin.post(f"/v1/work/{rig}/renew", json={"worker": "w", "held": {}}).raise_for_status()

        def foretold(name: str) -> tuple[Any, Any]:
            found = client.get(places[name]).json()
            return found["position"], found["eta_s"]

        assert foretold(real) == (0, 0.0)
        assert foretold(f"after {real}") == (1, pytest.approx(seconds))
        assert foretold(f"after {twin}") == (1, None)
        admin.post(f"/v1/rigs/{real}/pause").raise_for_status()
        assert foretold(f"after {real}") == (1, None)


def test_a_rig_known_anew_on_another_processor_keeps_its_experiment(service: Running, admin: httpx.Client) -> None:
    """There the last digits of the color's matrix are others, and its campaigns go on."""
    offer = rigs.Offer.of_driver("color-mixing", {})
    here = offer.experiment
    matrix = here.color
    assert matrix is not None

    def known_anew(factor: float) -> Any:
        color = replace(matrix, to_xyz=tuple(tuple(v * factor for v in row) for row in matrix.to_xyz))
        there = replace(offer, experiment=replace(here, color=color))
        service.database.write_now(lambda c, now: rigs.register(c, now, REAL, "color-mixing", {}, True, there))
        return experiment_from_json(admin.get(f"/v1/rigs/{REAL}").json()["experiment"])

    assert known_anew(1 + 1e-12) == here
    assert known_anew(1 + 1e-6).color != here.color
    assert known_anew(1.0) == here


def test_a_rig_is_offline_until_its_worker_is_heard(service: Running, admin: httpx.Client) -> None:
    service.database.write_now(lambda c, now: rigs.register(c, now, "new-1", "light-mixing", {}, False))
    assert admin.get("/v1/rigs/new-1").json()["state"] == "offline"
    admin.post("/v1/work/new-1/renew", json={"worker": "w", "held": {}}).raise_for_status()
    assert admin.get("/v1/rigs/new-1").json()["state"] == "open"
    admin.post("/v1/work/new-1/leave", json={"worker": "another"})
    assert admin.get("/v1/rigs/new-1").json()["state"] == "open"
    admin.post("/v1/work/new-1/leave", json={"worker": "w"})
    assert admin.get("/v1/rigs/new-1").json()["state"] == "offline"
    with service.database._engine.begin() as c:
        c.execute(tables.rig.delete().where(tables.rig.c.name == "new-1"))


def test_a_real_rig_needs_an_approval_that_can_be_taken_back(service: Running, admin: httpx.Client) -> None:
    ada, token = service.person()
    order = {"rig": REAL, "settings": SETTINGS, "dry_run": True}
    with service.client(token) as client:
        assert "approve" in refusal(client.post("/v1/experiments", json=order), 403, "forbidden")
        assert client.get(f"/v1/rigs/{REAL}").json()["is_allowed"] is False
        for _ in range(2):
            assert admin.put(f"/v1/rigs/{REAL}/approvals/{ada}").status_code == 204
        assert client.post("/v1/experiments", json=order).status_code == 200
        assert client.get(f"/v1/rigs/{REAL}").json()["is_allowed"] is True
        assert ada in admin.get(f"/v1/rigs/{REAL}/approvals").json()["items"]
        for _ in range(2):
            assert admin.delete(f"/v1/rigs/{REAL}/approvals/{ada}").status_code == 204
        refusal(client.post("/v1/experiments", json=order), 403, "forbidden")
    assert "u_nobody" in refusal(admin.put(f"/v1/rigs/{REAL}/approvals/u_nobody"), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/rigs/color-1/pause"),
        ("POST", "/v1/rigs/color-1/open"),
        ("POST", "/v1/rigs/color-1/stop"),
        ("PUT", f"/v1/rigs/{REAL}/approvals/me"),
        ("DELETE", f"/v1/rigs/{REAL}/approvals/me"),
        ("GET", f"/v1/rigs/{REAL}/approvals"),
    ],
)
def test_the_hand_on_a_rig_is_the_instructor_s(service: Running, method: str, path: str) -> None:
    for role in ("student", "observer"):
        with service.client(service.person(role)[1]) as client:
            refusal(client.request(method, path), 403, "forbidden")
    with service.client() as nobody:
        refusal(nobody.request(method, path), 401, "unauthorized")


def test_a_student_may_stop_a_real_rig_while_their_own_experiment_runs_on_it(service: Running, admin: httpx.Client) -> None:
    ada, token = service.person()
    _, other_token = service.person(name="Eve")
    admin.put(f"/v1/rigs/{REAL}/approvals/{ada}")
    with service.client(token) as client, service.client(other_token) as other:
        identity = client.post("/v1/experiments", json={"rig": REAL, "settings": SETTINGS}).json()["id"]
        refusal(client.post(f"/v1/rigs/{REAL}/stop"), 403, "forbidden")
        row = begun(service, REAL)
        refusal(other.post(f"/v1/rigs/{REAL}/stop"), 403, "forbidden")
        assert client.post(f"/v1/rigs/{REAL}/stop").json()["state"] == "stopped"
        assert client.get(f"/v1/experiments/{identity}").json()["state"] == "aborted"
        refusal(client.post(f"/v1/rigs/{REAL}/open"), 403, "forbidden")
        assert "stopped" in refusal(client.post("/v1/experiments", json={"rig": REAL, "settings": SETTINGS}), 409, "conflict")
    said = admin.post(f"/v1/work/{REAL}/renew", json={"worker": "w", "held": {row.id: row.lease}}).json()
    assert said == {"state": "stopped", "lost": [row.id]}
    assert admin.post(f"/v1/work/{REAL}/leases", json={"worker": "w", "count": 5}).json() == {"jobs": []}
    admin.post(f"/v1/work/{REAL}/leave", json={"worker": "w"})


def test_only_a_worker_s_token_takes_and_reports_experiments(service: Running) -> None:
    jobs: dict[str, Any] = {"jobs": []}
    bodies: dict[str, Any] = {
        "leases": {"worker": "w", "count": 1}, "begin": jobs, "release": jobs, "renew": {"worker": "w", "held": {}},
        "finish": {"reports": []}, "leave": {"worker": "w"},
    }  # fmt: skip
    with service.client(service.person()[1]) as client:
        for word, body in bodies.items():
            refusal(client.post(f"/v1/work/color-1/{word}", json=body), 403, "forbidden")
        body = {"driver": "light-mixing", "options": {}, "is_real": False, "experiment": {}, "worker": "w"}
        refusal(client.put("/v1/work/color-1", json=body), 403, "forbidden")


def test_a_worker_brings_takes_begins_and_reports_and_told_twice_it_counts_once(service: Running, admin: httpx.Client) -> None:
    driver = make_driver("light-mixing")
    body = {"driver": "light-mixing", "options": {}, "is_real": False, "experiment": experiment_to_json(driver.experiment), "worker": "w"}
    assert admin.put("/v1/work/far-1", json=body).status_code == 204
    assert admin.put("/v1/work/far-1", json=body).status_code == 204
    assert "is known as a twin" in refusal(admin.put("/v1/work/far-1", json=body | {"is_real": True}), 409, "conflict")
    refusal(admin.put("/v1/work/far-2", json=body | {"experiment": {"name": "x"}}), 422, "invalid-input")
    settings = {p.name: p.low if p.kind == "continuous" else p.values[0] for p in driver.experiment.parameters}
    identity = admin.post("/v1/experiments", json={"rig": "far-1", "settings": settings}).json()["id"]
    (job,) = admin.post("/v1/work/far-1/leases", json={"worker": "w", "count": 5}).json()["jobs"]
    assert job["settings"] == settings
    held = {"jobs": [{"id": job["id"], "lease": job["lease"]}, {"id": job["id"], "lease": "another"}, {"id": "e_no", "lease": "x"}]}
    for _ in range(2):
        assert [j["lease"] for j in admin.post("/v1/work/far-1/begin", json=held).json()["jobs"]] == [job["lease"]]
    cost = {"seconds": 1.0, "money": 0.0, "volume": 0.0}
    outcomes = {o.name: 1.0 for o in driver.experiment.outcomes}
    report: dict[str, Any] = {"id": job["id"], "lease": job["lease"], "error": None, "cost": cost, "provenance": {"rig": "far-1"}}
    happened = {name: value for name, value in settings.items() if name == driver.experiment.parameters[0].name}
    report["measurement"] = {"outcomes": outcomes, "cost": cost, "raw": {}, "happened": happened}
    assert admin.post("/v1/work/color-1/finish", json={"reports": [report]}).json() == {"refused": [identity]}
    assert admin.post("/v1/work/far-1/finish", json={"reports": [report | {"lease": "another"}]}).json() == {"refused": [identity]}
    for _ in range(2):
        assert admin.post("/v1/work/far-1/finish", json={"reports": [report]}).json() == {"refused": []}
    done = admin.get(f"/v1/experiments/{identity}").json()
    assert (done["state"], done["outcomes"], done["happened"], done["cost"]) == ("succeeded", outcomes, happened, cost)
    taken = admin.get("/v1/me/ledger", params={"limit": 200}).json()
    assert [e["kind"] for e in taken["items"] if e["experiment"] == identity].count("settle") == 1


def test_what_is_given_back_goes_to_its_old_place_in_the_queue(service: Running, admin: httpx.Client) -> None:
    first, second = (admin.post("/v1/experiments", json={"rig": "color-1", "settings": SETTINGS}).json()["id"] for _ in range(2))
    (job,) = admin.post("/v1/work/color-1/leases", json={"worker": "w", "count": 1}).json()["jobs"]
    assert job["id"] == first
    given = {"jobs": [{"id": first, "lease": job["lease"]}, {"id": "e_no", "lease": "x"}]}
    for _ in range(2):
        assert admin.post("/v1/work/color-1/release", json=given).status_code == 204
    jobs = admin.post("/v1/work/color-1/leases", json={"worker": "w", "count": 2}).json()["jobs"]
    assert [j["id"] for j in jobs] == [first, second]


def test_a_real_rig_that_began_is_not_given_back(service: Running, admin: httpx.Client) -> None:
    identity = admin.post("/v1/experiments", json={"rig": REAL, "settings": SETTINGS}).json()["id"]
    row = begun(service, REAL)
    admin.post(f"/v1/work/{REAL}/release", json={"jobs": [{"id": identity, "lease": row.lease}]})
    assert admin.get(f"/v1/experiments/{identity}").json()["state"] == "running"
    admin.post(f"/v1/work/{REAL}/leave", json={"worker": "w"})


def test_a_real_rig_that_somebody_stopped_by_hand_waits_for_the_instructor(service: Running, admin: httpx.Client) -> None:
    identity = admin.post("/v1/experiments", json={"rig": REAL, "settings": SETTINGS}).json()["id"]
    row = begun(service, REAL)
    report = Report(identity, row.lease, None, "the switch is open", Amounts(seconds=3.0), {}, was_stopped=True, needs_person=True)
    for _ in range(2):
        admin.post(f"/v1/work/{REAL}/finish", json={"reports": [report.to_json()]}).raise_for_status()
    assert admin.get(f"/v1/rigs/{REAL}").json()["state"] == "stopped"
    assert admin.get(f"/v1/experiments/{identity}").json()["state"] == "aborted"
    admin.post(f"/v1/rigs/{REAL}/open")
    admin.post(f"/v1/work/{REAL}/finish", json={"reports": [report.to_json()]})
    assert admin.get(f"/v1/rigs/{REAL}").json()["state"] != "stopped"
    admin.post(f"/v1/work/{REAL}/leave", json={"worker": "w"})


def test_heartbeats_are_written_down_now_and_then_and_keep_what_is_held(service: Running, admin: httpx.Client) -> None:
    admin.post("/v1/experiments", json={"rig": "color-1", "settings": SETTINGS})
    row = begun(service, "color-1")
    held, worker = {row.id: row.lease}, service.worker()
    often = fair_queue.LEASE / 6
    for later, is_due in ((0.0, False), (0.9 * often, False), (1.1 * often, True), (-2 * often, True)):
        at = service.database.now() + later
        orders, due = service.database.read_now(lambda c, at=at: leases.heard(c, at, "color-1", worker, held))  # type: ignore[misc]
        assert (orders.lost, due) == ([], is_due), later
    orders, _ = service.database.read_now(lambda c: leases.heard(c, service.database.now(), "color-1", worker, held | {"e_no": "x"}))
    assert orders.lost == ["e_no"]


def test_a_rig_in_words() -> None:
    assert RigWords.parse("color-1=color-mixing") == RigWords("color-1", "color-mixing")
    assert RigWords.parse("c=color-mixing,seed=3,sensor=tcs34725").options == {"seed": 3, "sensor": "tcs34725"}
    assert RigWords.parse("c=color-mixing", is_real=True).is_real
    assert RigWords.parse("c=color-mixing,mixer=/dev/ttyACM0").is_real
    assert not RigWords.parse("c=color-mixing,mixer=emulated:reset@40").is_real
    assert RigWords.parse("c=clslab-light,port=/dev/ttyACM0").is_real
    for words in ("color-1", "color-1=color-mixing,seed", "color-1=color-mixing,"):
        with pytest.raises(InvalidInput, match="NAME=DRIVER"):
            RigWords.parse(words)
    with pytest.raises(UnknownName, match="did you mean 'color-mixing'"):
        RigWords.parse("color-1=color-mixin")


def test_a_dead_worker_is_told_from_a_living_one() -> None:
    name = worker_name()
    machine, _, word = name.split(":")
    assert not is_dead(f"{machine}:{os.getppid()}:{word}")
    assert is_dead(name)
    assert is_dead(f"{machine}:{2**22 - 1}:{word}")
    assert not is_dead(f"elsewhere:{2**22 - 1}:{word}")
    assert not is_dead("a worker of another kind")


def test_kept_reports_are_handed_in_once_and_those_that_nobody_wants_are_set_aside(tmp_path: Path) -> None:
    class Deskful:
        """Takes every report but one."""

        def __init__(self) -> None:
            self.taken: list[Report] = []

        def finish(self, reports: list[Report]) -> list[str]:
            self.taken += [r for r in reports if r.id != "e_2"]
            return [r.id for r in reports if r.id == "e_2"]

    kept, desk = KeptReports(tmp_path / "kept"), Deskful()
    good = Report(
        "e_1",
        "a",
        Measurement({"y": 1.0}, Amounts(seconds=2.0, money=0.5, volume=3.0), {"t": 4.0, "note": "°"}),
        None,
        Amounts(seconds=2.0, money=0.5, volume=3.0),
        {"rig": "r"},
    )
    kept.keep([good, Report("e_2", "b", None, "it leaked", Amounts(seconds=1.0), {})])
    for _ in range(2):
        KeptReports(tmp_path / "kept").hand_in(desk)  # type: ignore[arg-type]
    assert desk.taken == [good]
    assert [p.name for p in (tmp_path / "kept").iterdir()] == ["e_2-b.refused"]
