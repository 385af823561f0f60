"""A person who is removed: nothing of theirs runs any more, nothing opens, no name is left; what was measured stays."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from api import maintenance
from api.errors import BudgetExhausted
from api.records import fair_queue, ledger, rigs
from api.records.rows import LeasedRow
from api.records.tables import account, campaign, experiment, tables
from frugaltwin.amounts import Amounts
from tests.running_service import Running, running
from tests.service_database import SETTINGS, report_one, submit, until

NAME = "Ada Lovelace"


@pytest.fixture(scope="module")
def service(fresh_url: Callable[[], str]) -> Iterator[Running]:
    with running(fresh_url(), requests_per_second=1e6, burst=1e6) as found:
        found.database.write_now(lambda c, now: rigs.register(c, now, "mixer-1", "color-mixing", {}, True))
        yield found


def rows(service: Running, table: Any, whose: str) -> list[dict[str, Any]]:
    question = select(table).where(table.c.person == whose)
    return service.database.read_now(lambda c: [dict(row) for row in c.execute(question).mappings()])


def behind(service: Running, *requests: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """What requests are answered whose changes wait in this order until all of them wait."""
    is_held, may_go_on, answers = threading.Event(), threading.Event(), list[Future[httpx.Response]]()
    with ThreadPoolExecutor(len(requests)) as pool:
        service.database.submit(lambda c, now: (is_held.set(), may_go_on.wait(30)))  # type: ignore[func-returns-value]
        try:
            assert is_held.wait(30)
            for number, request in enumerate(requests, start=1):
                answers.append(pool.submit(request))
                until(lambda number=number: service.database._waiting.qsize() >= number)  # type: ignore[misc]
        finally:
            may_go_on.set()
        return [answer.result() for answer in answers]


def begun(service: Running) -> LeasedRow:
    """The next experiment of the real rig, in the middle of being done."""
    (row,) = service.database.write_now(lambda c, now: fair_queue.lease(c, now, "mixer-1", service.worker(), 1))
    service.database.write_now(lambda c, now: fair_queue.begin(c, now, row.id, row.lease))
    return row


def test_nothing_of_a_removed_person_runs_any_more(service: Running) -> None:
    whose, words = service.person(name=NAME, runs=50)
    with service.client(service.admin) as admin, service.client(words) as ada:
        admin.put(f"/v1/rigs/mixer-1/approvals/{whose}").raise_for_status()
        one_more = ada.post("/v1/tokens", json={"note": NAME, "scopes": ["read"]}, headers={"Idempotency-Key": "k"}).json()["token"]
        started = {"name": "on-the-server", "rig": "color-1", "goal": "match-color:coral", "strategy": {"name": "random"}}
        campaigns = [started, started | {"name": "by-hand", "mode": "client"}]
        server, client = (ada.post("/v1/campaigns", json=body).raise_for_status().json()["id"] for body in campaigns)
        until(lambda: ada.get(f"/v1/campaigns/{server}").json()["n_trials"] == 1)
        ada.post("/v1/experiments", json={"rig": "color-1", "settings": SETTINGS, "campaign": client}).raise_for_status()
        done, running_ = (submit(service.database, whose, "mixer-1") for _ in range(2))
        waiting = submit(service.database, whose)
        first = begun(service)
        assert first.id == done
        service.database.write_now(lambda c, now: report_one(c, now, done, first.lease, None, "it leaked", Amounts(seconds=2.0), {}))
        row = begun(service)
        service.database.write_now(lambda c, now: fair_queue.lease(c, now, "color-1", "w", 1))

        with ada.stream("GET", "/v1/events", headers={"Accept": "text/event-stream"}) as stream:
            lines = stream.iter_lines()
            next(lines)
            assert [admin.delete(f"/v1/people/{whose}").status_code for _ in range(2)] == [204, 204]
            list(lines)  # it ends

        for token in (words, one_more):
            with service.client(token) as nobody:
                assert "revoked" in nobody.get("/v1/me").json()["detail"]
        states = {row["id"]: row["state"] for row in rows(service, experiment, whose)}
        assert (states.pop(done), states[running_], states[waiting]) == ("failed", "aborted", "aborted")
        assert len(states) == 4
        assert set(states.values()) == {"aborted"}
        assert {row["state"] for row in rows(service, campaign, whose)} == {"ended"}
        held = {"worker": "w", "held": {row.id: row.lease}}
        assert admin.post("/v1/work/mixer-1/renew", json=held).json()["lost"] == [running_]
        assert not service.database.write_now(lambda c, now: fair_queue.lease(c, now, "color-1", "w", 9))
        assert [{k: left[k] for k in ledger.KINDS} for left in rows(service, account, whose)] == [dict.fromkeys(ledger.KINDS, 0.0)]
        with pytest.raises(BudgetExhausted):
            submit(service.database, whose)

        assert whose not in admin.get("/v1/rigs/mixer-1/approvals").json()["items"]
        assert whose not in [p["id"] for p in admin.get("/v1/people", params={"limit": 200}).json()["items"]]
        for method, path, body in (
            ("GET", "", None),
            ("GET", "/ledger", None),
            ("POST", "/grants", {"runs": 1}),
            ("PATCH", "/budget", {"runs": 1}),
        ):
            assert admin.request(method, f"/v1/people/{whose}{path}", json=body).status_code == 404
        assert admin.put(f"/v1/rigs/mixer-1/approvals/{whose}").status_code == 404
        assert admin.post("/v1/tokens", json={"scopes": ["read"], "person": whose}).status_code == 404
        assert admin.get(f"/v1/experiments/{done}").json()["state"] == "failed"
    everything = service.database.read_now(lambda c: str([c.execute(select(table)).all() for table in tables.sorted_tables]))
    assert done in everything
    assert NAME not in everything
    assert {f.status for f in maintenance.findings(service.database.url)} <= {"ok", "warning"}


def test_a_request_that_is_overtaken_by_a_removal_starts_nothing(service: Running) -> None:
    whose, words = service.person()
    with service.client(service.admin) as admin, service.client(words) as ada:
        assert ada.get("/v1/me").status_code == 200
        body = {"rig": "color-1", "settings": SETTINGS}
        goal = {"name": "late", "rig": "color-1", "mode": "client", "goal": "match-color:coral"}
        answers = behind(
            service,
            lambda: admin.delete(f"/v1/people/{whose}"),
            lambda: ada.post("/v1/experiments", json=body),
            lambda: ada.post("/v1/campaigns", json=goal),
            lambda: ada.post("/v1/tokens", json={"scopes": ["read"]}),
        )
    assert [a.status_code for a in answers] == [204, 402, 401, 401]
    assert not rows(service, experiment, whose)
    assert not rows(service, campaign, whose)


def test_an_instructor_is_always_left(service: Running) -> None:
    pair = [service.person("instructor", name) for name in ("One", "Two")]
    with service.client(pair[0][1]) as one, service.client(pair[1][1]) as two, service.client(service.person()[1]) as student:
        assert one.delete(f"/v1/people/{pair[0][0]}").status_code == 409
        assert student.delete(f"/v1/people/{pair[0][0]}").status_code == 403
        assert one.delete("/v1/people/u_nobody").status_code == 404
        assert two.get("/v1/me").status_code == one.get("/v1/me").status_code == 200
        answers = behind(service, lambda: one.delete(f"/v1/people/{pair[1][0]}"), lambda: two.delete(f"/v1/people/{pair[0][0]}"))
        assert [a.status_code for a in answers] == [204, 401]
        assert one.get("/v1/me").status_code == 200
