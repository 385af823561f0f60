"""A hostile worker with a token: it drives the rigs that its token names, and nothing else is done by its words."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from api.records import rigs, tokens
from api.workers.worker import RigWords
from frugaltwin.catalog import make_driver
from frugaltwin.errors import LinkError
from frugaltwin.prices import price_to_json
from frugaltwin.store import experiment_to_json
from tests.running_service import Running, running
from tests.service_database import SETTINGS, until

REAL = "mixer-1"
COST = {"seconds": 1.0, "money": 0.0, "volume": 0.0}


@pytest.fixture(scope="module")
def service(fresh_url: Callable[[], str]) -> Iterator[Running]:
    with running(fresh_url(), requests_per_second=1e6, burst=1e6) as found:
        found.database.write_now(lambda c, now: rigs.register(c, now, REAL, "color-mixing", {}, True))
        yield found


def worker_of(service: Running, *names: str) -> httpx.Client:
    """Requests of a worker whose token names these rigs."""
    _, words = service.database.write_now(lambda c, now: tokens.add_token(c, now, service.instructor, ["work"], drives=names))
    return service.client(words)


def brought(driver: str = "color-mixing", **words: Any) -> dict[str, Any]:
    """The words of a worker about a rig that it brings."""
    made: Any = make_driver("color-mixing")
    offer = {"experiment": experiment_to_json(made.experiment), "price": price_to_json(made.price())}
    return {"driver": driver, "options": {}, "is_real": False, "worker": "w", **offer, **words}


def refused(answer: httpx.Response, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert words in answer.text, answer.text


def measured(job: dict[str, Any], outcomes: dict[str, Any]) -> dict[str, Any]:
    """The report of a job."""
    measurement = {"outcomes": outcomes, "cost": COST, "raw": {}}
    report = {"id": job["id"], "lease": job["lease"], "measurement": measurement, "error": None, "cost": COST, "provenance": {}}
    return {"reports": [report]}


def test_a_token_for_one_rig_does_nothing_to_another(service: Running) -> None:
    with service.client(service.admin) as admin, worker_of(service, "far-1") as worker:
        identity = admin.post("/v1/experiments", json={"rig": "color-1", "settings": SETTINGS}).json()["id"]
        jobs: dict[str, Any] = {"jobs": []}
        bodies: dict[str, Any] = {
            "leases": {"worker": "w", "count": 1}, "begin": jobs, "release": jobs, "renew": {"worker": "w", "held": {}},
            "finish": {"reports": []}, "leave": {"worker": "w"}, "news": {},
        }  # fmt: skip
        for word, body in bodies.items():
            refused(worker.post(f"/v1/work/color-1/{word}", json=body), 403, "may drive far-1, but not color-1")
        refused(worker.get("/v1/work/color-1/worker"), 403, "not color-1")
        refused(worker.put("/v1/work/color-1", json=brought()), 403, "not color-1")
        assert worker.put("/v1/work/far-1", json=brought()).status_code == 204
        refused(worker.get(f"/v1/experiments/{identity}"), 403, "read")
        assert admin.post(f"/v1/experiments/{identity}/abort").status_code == 200


def test_a_worker_s_token_names_rigs_and_makes_none_that_names_more(service: Running) -> None:
    with service.client(service.admin) as admin, worker_of(service, "far-1", "far-2") as worker:
        refused(admin.post("/v1/tokens", json={"scopes": ["work"]}), 422, "names the rigs")
        refused(admin.post("/v1/tokens", json={"scopes": ["read"], "rigs": ["far-1"]}), 422, "scope work")
        refused(admin.post("/v1/tokens", json={"scopes": ["work"], "rigs": ["far 1"]}), 422, "no name for a rig")
        made = admin.post("/v1/tokens", json={"scopes": ["work"], "rigs": ["far-2", "far-1"]})
        assert made.json()["rigs"] == ["far-1", "far-2"]
        assert worker.post("/v1/tokens", json={"scopes": ["work"], "rigs": ["far-2"]}).status_code == 201
        refused(worker.post("/v1/tokens", json={"scopes": ["work"], "rigs": ["far-2", "color-1"]}), 403, "not color-1")
        refused(worker.post("/v1/tokens", json={"scopes": ["work", "admin"]}), 403, "not admin")
    with service.client(service.person()[1]) as student:
        refused(student.post("/v1/tokens", json={"scopes": ["work"], "rigs": ["color-1"]}), 403, "not work")


@pytest.mark.parametrize("kind", ["address", "file", "port"])
def test_the_service_opens_nothing_that_a_worker_names(service: Running, kind: str, tmp_path: Any) -> None:
    """It prices, understands goals and thinks without the driver; nobody is called with the service's own token."""
    campaign = {"name": kind, "goal": "match-color:#8fb04a", "strategy": {"name": "random"}, "budget": {"runs": 1}}
    table = tmp_path / "table.csv"
    table.write_text("red,t_415\n0.1,0.2\n0.2,0.3\n")
    with socket.create_server(("127.0.0.1", 0)) as attacker, worker_of(service, f"evil-{kind}") as worker:
        attacker.setblocking(False)
        port = attacker.getsockname()[1]
        words: dict[str, dict[str, Any]] = {
            "address": brought(f"http://127.0.0.1:{port}/rigs/x"),
            "file": brought("table", options={"path": str(table)}),
            "port": brought("color-mixing", options={"mixer": f"socket://127.0.0.1:{port}"}, is_real=True),
        }
        assert worker.put(f"/v1/work/evil-{kind}", json=words[kind]).status_code == 204
        service.database.write_now(lambda c, now: rigs.register(c, now, "plain-1", "color-mixing", {}, False))
        with service.client(service.admin) as me:  # who needs no approval
            order = {"settings": SETTINGS, "dry_run": True}
            evil, plain = (me.post("/v1/experiments", json=order | {"rig": rig}).json() for rig in (f"evil-{kind}", "plain-1"))
            assert evil["estimate"] == plain["estimate"]  # by the stated price
            assert me.get(f"/v1/rigs/evil-{kind}").json()["price"] is not None
            for mode in ("server", "client"):
                made = me.post("/v1/campaigns", json=campaign | {"rig": f"evil-{kind}", "mode": mode, "name": f"{kind}-{mode}"})
                assert made.status_code == 202, made.text
            started = me.get("/v1/campaigns", params={"limit": 5}).json()["items"]
            on_server = next(c["id"] for c in started if c["name"] == f"{kind}-server")
            until(lambda: me.get(f"/v1/campaigns/{on_server}").json()["n_trials"] == 1)
            me.post(f"/v1/campaigns/{on_server}/actions", json={"action": "stop"})
            reachable = campaign | {"rig": f"evil-{kind}", "name": "r", "goal": "match-color:reachable"}
            refused(me.post("/v1/campaigns", json=reachable), 422, "no reachable color")
        with pytest.raises(BlockingIOError):
            attacker.accept()


def test_a_driven_rig_is_neither_redefined_nor_taken_over(service: Running) -> None:
    other = make_driver("light-mixing").experiment
    words = brought(is_real=True, worker="thief")
    with service.client(service.admin) as admin, worker_of(service, REAL, "far-3") as worker, worker_of(service, REAL, "far-3") as thief:
        assert worker.put(f"/v1/work/{REAL}", json=brought(is_real=True)).status_code == 204
        assert worker.post(f"/v1/work/{REAL}/renew", json={"worker": "w", "held": {}}).status_code == 200
        identity = admin.post("/v1/experiments", json={"rig": REAL, "settings": SETTINGS}).json()["id"]
        name = thief.get(f"/v1/work/{REAL}/worker").json()["worker"]
        assert name == "w"
        for claim in ({"worker": "thief"}, {"worker": "thief", "dead": name}, {"worker": name}):
            refused(thief.put(f"/v1/work/{REAL}", json=words | claim), 409, "is driven by the worker w@t_")
        for who in ("thief", name):
            refused(thief.post(f"/v1/work/{REAL}/leases", json={"worker": who, "count": 1}), 409, "is driven by")
            refused(thief.post(f"/v1/work/{REAL}/renew", json={"worker": who, "held": {}}), 409, "is driven by")
            assert thief.post(f"/v1/work/{REAL}/leave", json={"worker": who}).status_code == 204
        assert admin.get(f"/v1/rigs/{REAL}").json()["state"] == "open"
        (job,) = worker.post(f"/v1/work/{REAL}/leases", json={"worker": "w", "count": 1}).json()["jobs"]
        assert job["id"] == identity
        assert worker.put(f"/v1/work/{REAL}", json=words | {"worker": "again", "dead": "w"}).status_code == 204  # its own token may say so
        assert worker.put("/v1/work/far-3", json=brought()).status_code == 204
        assert worker.post("/v1/work/far-3/renew", json={"worker": "w", "held": {}}).status_code == 200
        assert thief.put("/v1/work/far-3", json=brought(worker="second")).status_code == 204  # one more of the same twin
        evil = brought("light-mixing", experiment=experiment_to_json(other), price=None, worker="thief")
        refused(thief.put("/v1/work/far-3", json=evil), 409, "as another twin")
        refused(thief.put("/v1/work/far-3", json=brought(worker="thief", options={"seed": 3})), 409, "as another twin")
        assert admin.put("/v1/work/far-3", json=evil).status_code == 204  # the instructor may
        assert admin.post(f"/v1/experiments/{identity}/abort").status_code == 200


@pytest.mark.parametrize(
    ("evil", "words"),
    [
        ({"t_415": 7, "evil": "=1+1"}, "evil unknown"),
        ({"t_415": "=1+1"}, "is not a number"),
        ({}, "missing"),
        ({"t_415": 1e300}, "is not a number up to"),
    ],
    ids=["another outcome", "a formula", "nothing", "beyond all numbers"],
)
def test_a_report_that_is_no_reading_of_the_rig_is_a_failed_experiment(service: Running, evil: dict[str, Any], words: str) -> None:
    whole = {o.name: 0.5 for o in make_driver("color-mixing").experiment.outcomes}
    outcomes = whole | evil if evil else {}
    with service.client(service.admin) as admin, worker_of(service, "far-4") as worker:
        assert worker.put("/v1/work/far-4", json=brought()).status_code == 204
        good, bad = (admin.post("/v1/experiments", json={"rig": "far-4", "settings": SETTINGS}).json()["id"] for _ in range(2))
        jobs = worker.post("/v1/work/far-4/leases", json={"worker": "w", "count": 2}).json()["jobs"]
        for job, reported in zip(jobs, (whole, outcomes), strict=True):
            for _ in range(2):
                assert worker.post("/v1/work/far-4/finish", json=measured(job, reported)).json() == {"refused": []}
        assert admin.get(f"/v1/experiments/{good}").json()["outcomes"] == whole
        done = admin.get(f"/v1/experiments/{bad}").json()
        assert (done["state"], done.get("outcomes")) == ("failed", None)
        assert "is no reading of this rig" in done["error"]
        assert words in done["error"]


FIXED = {"kind": "fixed", "when": "always"}
PER_UNIT = {"kind": "per-unit", "parameters": ["green"], "each": {"seconds": 1.0}}


@pytest.mark.parametrize(
    "price",
    [
        {"terms": [FIXED | {"each": {"seconds": -1.0}}]},
        {"terms": [FIXED | {"each": {"money": 1e300}}]},
        {"terms": [PER_UNIT]},
        {"terms": [PER_UNIT | {"parameters": ["red"], "each": {"volume": -1.0}}]},
        {"terms": [{"kind": "dose", "parameter": "red", "slope": 0.0, "money": 0.0, "decimals": 2}]},
        {"terms": [{"kind": "magic"}]},
        {"terms": "none"},
    ],
    ids=["it pays", "beyond all", "another parameter", "it pays by the dose", "division by zero", "no such term", "no terms"],
)
def test_a_price_that_nobody_can_reserve_is_refused(service: Running, price: dict[str, Any]) -> None:
    with worker_of(service, "far-5") as worker, service.client(service.admin) as admin:
        answer = worker.put("/v1/work/far-5", json=brought(price=price))
        assert answer.status_code == 422, answer.text
        assert admin.get("/v1/rigs/far-5").status_code == 404


def test_a_price_that_turns_below_zero_in_the_middle_reserves_nothing(service: Running) -> None:
    """It is fair at the lowest and at the highest settings, which are all that are tried when the rig is brought."""
    product = {"kind": "per-unit", "parameters": ["red", "blue"], "each": {"seconds": 1.0}, "offset": -0.2}
    with worker_of(service, "far-6") as worker, service.client(service.admin) as admin:
        assert worker.put("/v1/work/far-6", json=brought(price={"terms": [product]})).status_code == 204
        refused(admin.post("/v1/experiments", json={"rig": "far-6", "settings": SETTINGS}), 422, "no amount that can be reserved")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_an_experiment_of_odd_numbers_is_refused(service: Running, number: str) -> None:
    body = httpx.Request("PUT", "http://x", json=brought()).content
    evil = body.replace(b'"low":0.0', b'"low":' + number.encode(), 1)
    assert evil != body
    with worker_of(service, "far-7") as worker:
        answer = worker.put("/v1/work/far-7", content=evil, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422, answer.text


def test_a_rig_of_another_service_is_real_unless_that_says_that_it_is_a_twin(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRUGALTWIN_TOKEN", service.admin)
    assert not RigWords.parse(f"far={service.address}/rigs/color-1").is_real
    assert RigWords.parse(f"far={service.address}/rigs/color-1", is_real=True).is_real
    assert RigWords.parse(f"far={service.address}/rigs/{REAL}").is_real
    with pytest.raises(LinkError):
        RigWords.parse("far=http://127.0.0.1:1/rigs/color-1,outage=0")
