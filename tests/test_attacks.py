"""A hostile student with a token and the source code: spends no more than is theirs, takes nobody's turn, and holds up nobody."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from api import maintenance
from api.errors import Conflict
from api.rate_limit import WAITS
from api.records import campaigns, fair_queue, ledger, rigs, tokens
from api.records.campaigns import AT_ONCE
from api.records.rows import LeasedRow
from api.records.tables import campaign, experiment
from api.routes.waiting import seconds_to_wait
from api.server import CONNECTIONS
from api.workers.driver_process import DriverProcess, Task
from frugaltwin.amounts import Amounts
from frugaltwin.errors import DriverError
from frugaltwin.experiment import Measurement
from tests.running_service import Running, running
from tests.service_database import SETTINGS, report_one, until
from tests.slow_driver import OddlyPricedDriver

ORDER = {"rig": "color-1", "settings": SETTINGS}
REAL = "mixer-1"
CAMPAIGN = {"name": "c", "rig": "color-1", "goal": "match-color:#8fb04a", "strategy": {"name": "random"}, "budget": {"runs": 1000}}


@pytest.fixture(scope="module")
def service(fresh_url: Callable[[], str]) -> Iterator[Running]:
    with running(fresh_url(), requests_per_second=1e6, burst=1e6, poll=0.02) as found:
        found.database.write_now(lambda c, now: rigs.register(c, now, REAL, "color-mixing", {}, True))
        yield found


def refused(answer: httpx.Response, status: int, words: str) -> httpx.Response:
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"], answer.text
    return answer


def state(service: Running, identity: str) -> str:
    return str(service.database.read_now(lambda c: fair_queue.find(c, identity)).state)


def leased(service: Running, rig: str = "color-1", count: int = 1) -> list[LeasedRow]:
    return service.database.write_now(lambda c, now: fair_queue.lease(c, now, rig, "w", count))


def begun(service: Running, row: LeasedRow) -> None:
    service.database.write_now(lambda c, now: fair_queue.begin(c, now, row.id, row.lease))


def finished(service: Running, row: LeasedRow) -> None:
    measured = Measurement({"t_415": 0.5}, Amounts(seconds=1.0, money=0.001, volume=4.0), {})
    service.database.write_now(lambda c, now: report_one(c, now, row.id, row.lease, measured, None, measured.cost, {}))


def perform(service: Running) -> None:
    """Whatever waits for the twin."""
    for row in leased(service, count=20):
        begun(service, row)
        finished(service, row)


def test_a_budget_is_spent_once_by_all_ways_of_spending_it_at_once(service: Running) -> None:
    """Experiments, keys sent twice, trials of a program, a campaign of the server, aborts at the worst moment; and a worker under way."""
    whose, token = service.person(runs=20.0)
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            for row in leased(service, count=3):
                try:
                    begun(service, row)
                    finished(service, row)
                except Conflict:  # aborted in between
                    continue

    def spend(way: int) -> None:
        with service.client(token) as me:
            for n in range(6):
                more: dict[str, Any] = {"campaign": mine} if way % 4 == 1 else {}
                key = {"Idempotency-Key": f"{way // 2}-{n}"} if way % 4 == 2 else {}
                made = me.post("/v1/experiments", json=ORDER | more, headers=key)
                assert made.status_code in (202, 402), made.text
                if way % 4 == 3 and made.status_code == 202:
                    assert me.post(f"{made.headers['location']}/abort").status_code in (200, 409)

    with service.client(token) as me:
        mine = me.post("/v1/campaigns", json=CAMPAIGN | {"name": "mine", "mode": "client"}).json()["id"]
        theirs = me.post("/v1/campaigns", json=CAMPAIGN | {"name": "theirs"}).json()["id"]
        worker = threading.Thread(target=work)
        worker.start()
        try:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(spend, range(8)))
            until(lambda: me.get(f"/v1/campaigns/{theirs}").json()["state"] == "paused")  # its owner cannot pay any more
            until(lambda: not me.get("/v1/experiments", params={"state": "queued"}).json()["items"])
        finally:
            over.set()
            worker.join()
        account = me.get("/v1/me").json()["budget"]
        assert account["left"]["runs"] == 0
        assert account["spent"]["runs"] == 20
        assert account["reserved"]["runs"] == 0
    of_them = select(func.count()).where(experiment.c.person == whose, experiment.c.state == "succeeded")
    assert service.database.read_now(lambda c: c.execute(of_them).scalar_one()) <= 20
    assert [f for f in maintenance.findings(service.database.url) if f.status == "problem"] == []


def test_only_so_many_experiments_of_one_person_wait(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.records.experiments.WAITING", 5)
    _, token = service.person()
    with service.client(token) as me, service.client(service.person()[1]) as other:
        ids = [me.post("/v1/experiments", json=ORDER).json()["id"] for _ in range(5)]
        assert int(refused(me.post("/v1/experiments", json=ORDER), 429, "send more when some").headers["retry-after"]) >= 1
        assert refused(me.post("/v1/experiments", json=ORDER | {"dry_run": True}), 429, "wait").json()["retryable"] is True
        assert other.post("/v1/experiments", json=ORDER).status_code == 202
        assert me.post(f"/v1/experiments/{ids[-1]}/abort").status_code == 200
        assert me.post("/v1/experiments", json=ORDER).status_code == 202
        perform(service)
        assert me.post("/v1/experiments", json=ORDER).status_code == 202
        perform(service)


def test_only_so_many_requests_of_one_person_wait_and_one_more_is_answered_at_once(service: Running) -> None:
    _, token = service.person()
    with service.client(token) as me:
        identity = me.post("/v1/experiments", json=ORDER).json()["id"]

    async def wait() -> None:
        headers = {"Authorization": f"Bearer {token}", "Prefer": "wait=20"}
        limits = httpx.Limits(max_connections=WAITS + 2)
        async with httpx.AsyncClient(base_url=service.address, headers=headers, timeout=120, trust_env=False, limits=limits) as many:
            waiting = [asyncio.create_task(many.get(f"/v1/experiments/{identity}")) for _ in range(WAITS + 1)]
            early, late = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            assert (len(early), len(late)) == (1, WAITS)
            assert early.pop().result().json()["state"] == "queued"
            await asyncio.to_thread(perform, service)
            assert {(await one).json()["state"] for one in late} == {"succeeded"}
            again = await many.post("/v1/experiments", json=ORDER, headers={"Prefer": "wait=0"})  # and the places are free again
            assert again.status_code == 202
            one = asyncio.create_task(many.get(again.headers["location"]))
            await asyncio.to_thread(perform, service)
            assert (await one).json()["state"] == "succeeded"

    asyncio.run(wait())


def test_only_so_many_campaigns_of_one_person_are_run_at_once(service: Running) -> None:
    whose, token = service.person()

    def start(connection: Any, now: float) -> str:
        rig = rigs.Rigs().get(connection, "color-1")[1]
        words = {"goal": "match-color:lab(50, 0, 0)", "strategy": {"name": "random", "options": {}}, "seed": 0, "budget": {"runs": 1}}
        words |= {"stop": None, "approve": True}
        made = [campaigns.start(connection, now, whose, f"c{i}", rig, campaigns.SERVER, words) for i in range(AT_ONCE)]
        for row in made:
            campaigns.turn(connection, now, row, campaigns.WAITING, None, proposal_json='{"trial": 1, "settings": {}}')
        return str(made[0].id)

    first = service.database.write_now(start)
    with service.client(token) as me:
        refused(me.post("/v1/campaigns", json=CAMPAIGN), 409, "pause one")
        assert me.post("/v1/campaigns", json=CAMPAIGN | {"mode": "client"}).status_code == 202  # which the server does not run
        assert me.post(f"/v1/campaigns/{first}/actions", json={"action": "pause"}).status_code == 200
        assert me.post("/v1/campaigns", json=CAMPAIGN | {"name": "d", "approve": True}).status_code == 202
        refused(me.post(f"/v1/campaigns/{first}/actions", json={"action": "resume"}), 409, "pause one")


def test_the_budget_of_a_campaign_is_kept_for_a_program_that_does_not_keep_it(service: Running) -> None:
    with service.client(service.person()[1]) as me:
        made = me.post("/v1/campaigns", json=CAMPAIGN | {"name": "greedy", "mode": "client", "budget": {"runs": 10}})

        def spend(_: int) -> int:
            return me.post("/v1/experiments", json=ORDER | {"campaign": made.json()["id"]}).status_code

        with ThreadPoolExecutor(5) as pool:
            assert sorted(pool.map(spend, range(15))) == [202] * 10 + [409] * 5
        perform(service)
        order = ORDER | {"campaign": made.json()["id"]}
        refused(me.post("/v1/experiments", json=order), 409, "10 of 10 runs used")
        refused(me.post("/v1/experiments", json=order | {"dry_run": True}), 409, "extend the campaign")
        place = made.headers["location"]
        assert me.post(f"{place}/actions", json={"action": "extend", "budget": {"runs": 1}}).status_code == 200
        assert [me.post("/v1/experiments", json=order).status_code for _ in range(2)] == [202, 409]
        perform(service)


def test_the_budget_of_a_campaign_counts_what_is_under_way_at_its_price_and_what_has_ended_at_its_cost(service: Running) -> None:
    with service.client(service.person()[1]) as me:
        price = me.post("/v1/experiments", json=ORDER | {"dry_run": True}).json()["estimate"]["seconds"]
        budget = {"seconds": 2 * price + 1.5}
        made = me.post("/v1/campaigns", json=CAMPAIGN | {"name": "seconds", "mode": "client", "budget": budget}).json()["id"]
        order = ORDER | {"campaign": made}
        for more in (2, 1):  # what was performed took 1 s each, in place of its price
            assert [me.post("/v1/experiments", json=order).status_code for _ in range(more + 1)] == [202] * more + [409]
            perform(service)


def test_a_campaign_cannot_be_extended_beyond_all_numbers(service: Running) -> None:
    with service.client(service.person()[1]) as me:
        for name, most in (("runs", 1_000_000), ("money", 1e9)):
            made = me.post("/v1/campaigns", json=CAMPAIGN | {"name": name, "mode": "client", "budget": {name: most}})
            assert made.status_code == 202
            extension = {"action": "extend", "budget": {name: most}}
            refused(me.post(f"{made.headers['location']}/actions", json=extension), 422, "extend it by less")
            assert me.get(made.headers["location"]).json()["budget"][name] == most
        refused(me.post("/v1/campaigns", json=CAMPAIGN | {"name": "x", "budget": {"seconds": 1.7e308}}), 422, "seconds")


def test_a_token_for_reading_takes_nothing_back(service: Running) -> None:
    whose, token = service.person()
    _, reads = service.database.write_now(lambda c, now: tokens.add_token(c, now, whose, ["read"]))
    _, twins = service.database.write_now(lambda c, now: tokens.add_token(c, now, whose, ["read", "run:sim"]))
    service.database.write_now(lambda c, now: rigs.approve(c, now, whose, REAL, "u"))
    with service.client(token) as me, service.client(reads) as reader, service.client(twins) as simulator:
        twin, real = (me.post("/v1/experiments", json=ORDER | {"rig": rig}).json()["id"] for rig in ("color-1", REAL))
        refused(reader.post(f"/v1/experiments/{twin}/abort"), 403, "run:sim")
        refused(simulator.post(f"/v1/experiments/{real}/abort"), 403, "run:rig")
        assert [state(service, i) for i in (twin, real)] == ["queued", "queued"]
        allowed = [who.get(f"/v1/rigs/{rig}").json()["is_allowed"] for who in (me, simulator, reader) for rig in ("color-1", REAL)]
        assert allowed == [True, True, True, False, False, False]
        assert simulator.post(f"/v1/experiments/{twin}/abort").status_code == 200
        assert me.post(f"/v1/experiments/{real}/abort").status_code == 200


def test_whose_approval_is_taken_back_runs_nothing_more_on_the_real_rig(service: Running) -> None:
    whose, token = service.person(runs=9.0)
    service.database.write_now(lambda c, now: rigs.approve(c, now, whose, REAL, "u"))
    with service.client(token) as me, service.client(service.admin) as admin:
        ids = [me.post("/v1/experiments", json=ORDER | {"rig": REAL}).json()["id"] for _ in range(3)]
        elsewhere = me.post("/v1/experiments", json=ORDER).json()["id"]
        program = me.post("/v1/campaigns", json=CAMPAIGN | {"rig": REAL, "mode": "client"}).json()["id"]
        on_server = me.post("/v1/campaigns", json=CAMPAIGN | {"rig": REAL, "name": "s"}).json()["id"]
        until(lambda: me.get(f"/v1/campaigns/{on_server}").json()["n_trials"] == 1)
        runs, held = leased(service, REAL, 2)
        begun(service, runs)
        assert admin.delete(f"/v1/rigs/{REAL}/approvals/{whose}").status_code == 204
        assert admin.delete(f"/v1/rigs/{REAL}/approvals/{whose}").status_code == 204
        assert [state(service, i) for i in (*ids, elsewhere)] == ["running", "aborted", "aborted", "queued"]
        with pytest.raises(Conflict, match="stop the rig"):
            begun(service, held)
        finished(service, runs)
        assert "approval" in me.get(f"/v1/experiments/{ids[1]}").json()["error"]
        assert me.get("/v1/me").json()["budget"]["left"]["runs"] == 9 - 2  # what ran, and what waits elsewhere
        refused(me.post("/v1/experiments", json=ORDER | {"rig": REAL}), 403, "not approved")
        refused(me.post("/v1/experiments", json=ORDER | {"rig": REAL, "campaign": program}), 403, "not approved")
        refused(me.post("/v1/campaigns", json=CAMPAIGN | {"rig": REAL, "name": "new"}), 403, "not approved")
        until(lambda: me.get(f"/v1/campaigns/{on_server}").json()["state"] == "paused")
        assert me.post(f"/v1/campaigns/{on_server}/actions", json={"action": "resume"}).status_code == 200
        found = until_paused(me, on_server)
        assert "not approved" in found["reason"]
        assert leased(service, REAL, 9) == []
        assert me.post(f"/v1/experiments/{elsewhere}/abort").status_code == 200


def until_paused(me: httpx.Client, identity: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def is_paused() -> bool:
        found.update(me.get(f"/v1/campaigns/{identity}").json())
        return bool(found["state"] == "paused")

    until(is_paused)
    return found


def test_a_campaign_is_its_owner_s_and_outlives_the_token_that_started_it(service: Running) -> None:
    whose, token = service.person()
    _, second = service.database.write_now(lambda c, now: tokens.add_token(c, now, whose, ["read", "run:sim"]))
    with service.client(second) as starter, service.client(token) as me:
        made = starter.post("/v1/campaigns", json=CAMPAIGN | {"budget": {"runs": 2}}).json()["id"]
        assert me.delete(f"/v1/tokens/{starter.get('/v1/me').json()['token']}").status_code == 204
        refused(starter.post(f"/v1/campaigns/{made}/actions", json={"action": "pause"}), 401, "revoked")

        def is_over() -> bool:
            perform(service)
            return bool(me.get(f"/v1/campaigns/{made}").json()["state"] != "running")

        until(is_over)
        assert me.get(f"/v1/campaigns/{made}").json()["n_trials"] >= 1


def test_a_body_that_comes_too_slowly_is_refused(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.request_limits.SLOWEST", 0.2)
    host, _, port = service.address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall(b'POST /v1/experiments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"rig": ')
        heard = line.recv(10_000)
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408")
    assert json.loads(body)["retryable"] is True


def test_nobody_can_say_the_same_twice_to_get_more_back(service: Running) -> None:
    """Aborted twice, aborted after the end, aborted in a worker's hands, a key again after an abort: refunded once."""
    whose, token = service.person(runs=3.0)
    with service.client(token) as me:
        keyed = me.post("/v1/experiments", json=ORDER, headers={"Idempotency-Key": "k"})
        place = keyed.headers["location"]
        assert me.post(f"{place}/abort").status_code == 200
        refused(me.post(f"{place}/abort"), 409, "has ended")
        assert me.post("/v1/experiments", json=ORDER, headers={"Idempotency-Key": "k"}).content == keyed.content
        assert me.get("/v1/me").json()["budget"]["left"]["runs"] == 3
        second = me.post("/v1/experiments", json=ORDER).headers["location"]
        (row,) = leased(service)
        begun(service, row)
        assert me.post(f"{second}/abort").status_code == 200
        refused(me.post(f"{second}/abort"), 409, "has ended")
        assert me.get("/v1/me").json()["budget"]["left"]["runs"] == 2
    assert service.database.read_now(lambda c: ledger.balance(c, whose))["runs"] == 2


def test_a_lost_budget_is_no_way_around_an_account(service: Running) -> None:
    """An account that somebody emptied in the middle pays for nothing more, whoever asks."""
    whose, token = service.person(runs=1.0)
    with service.client(token) as me:
        made = me.post("/v1/campaigns", json=CAMPAIGN | {"approve": True}).json()["id"]
        until(lambda: me.get(f"/v1/campaigns/{made}").json()["state"] == "waiting")
        first = me.post("/v1/experiments", json=ORDER)
        assert first.status_code == 202
        refused(me.post(f"/v1/campaigns/{made}/proposal", json={"trial": 1, "decision": "approve"}), 402, "is left")
        service.database.write_now(lambda c, now: ledger.grant(c, now, whose, {"runs": 1.0}))
        assert me.post(f"/v1/campaigns/{made}/proposal", json={"trial": 1, "decision": "approve"}).status_code == 200
        assert (
            service.database.read_now(lambda c: c.execute(select(campaign.c.state).where(campaign.c.id == made)).scalar_one()) == "running"
        )
        assert me.post(f"/v1/campaigns/{made}/actions", json={"action": "stop"}).status_code == 200
        assert me.post(f"{first.headers['location']}/abort").status_code == 200


def test_odd_words_are_names_of_nothing(service: Running) -> None:
    """NUL, percent signs, marks that turn the direction of writing, the way up, and ids of thousands of letters."""
    with ExitStack() as stack:
        me = stack.enter_context(service.client(service.person()[1]))
        for odd in ("%00", "%25", "%ff", "%E2%80%AE", "..%2f..", "a" * 5000):
            for place in ("experiments", "campaigns", "rigs"):
                assert me.get(f"/v1/{place}/{odd}").status_code in (404, 422), (place, odd)
            assert me.get("/v1/events", params={"campaign": "\0"}).status_code in (200, 422)


def test_a_cost_that_nobody_can_book_is_no_measurement(service: Running) -> None:
    """Below zero it would give back more than was reserved."""
    process = DriverProcess(OddlyPricedDriver, is_real=False)
    try:
        process.start()
        process.send([Task({"x": x}) for x in (3.0, -1e5, 1e7)])
        good, below, none = (process.result() for _ in range(3))
        assert isinstance(good, Measurement)
        assert good.cost.seconds == 3.0
        for odd in (below, none):
            assert isinstance(odd, DriverError)
            assert "nobody can book" in str(odd)
    finally:
        process.close()
    with service.client(service.admin) as worker:
        cost = {"seconds": -1.0, "money": 0.0, "volume": 0.0}
        report = {"id": "x_1", "lease": "l", "measurement": None, "error": "e", "cost": cost, "provenance": {}}
        answer = worker.post("/v1/work/color-1/finish", json={"reports": [report]})
        assert answer.status_code == 422
        assert "seconds" in answer.text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_process_has_room_for_more_connections_than_the_system_gives_it_at_first() -> None:
    """Each open stream and each waiting request is one; whoever comes when there is no room is cut off."""
    words = "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (256, r.getrlimit(r.RLIMIT_NOFILE)[1])); "
    words += "from api.server import allow_connections; allow_connections(); print(*r.getrlimit(r.RLIMIT_NOFILE))"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=120, check=True)
    soft, hard = map(int, done.stdout.split())
    assert soft == (CONNECTIONS if hard < 0 else min(CONNECTIONS, hard))


def test_a_token_that_was_just_seen_is_refused_as_soon_as_it_has_expired(service: Running) -> None:
    whose, token = service.person()
    with service.client(token) as me:
        me.get("/v1/me")
        expires = service.database.now() + 1.5  # it is remembered for longer than that
        _, words = service.database.write_now(lambda c, now: tokens.add_token(c, now, whose, ["read"], expires_at=expires))
        me.headers["Authorization"] = f"Bearer {words}"
        assert me.get("/v1/me").status_code == 200
        while (asked := service.database.now()) and me.get("/v1/me").status_code == 200:
            assert asked < expires
        refused(me.get("/v1/me"), 401, "expired")


def test_what_is_just_affordable_is_allowed_and_nothing_after_that(service: Running) -> None:
    with service.client(service.person(runs=1.0)[1]) as me:
        dry = ORDER | {"dry_run": True}
        assert me.post("/v1/experiments", json=dry).json()["allowed"] is True
        made = me.post("/v1/experiments", json=ORDER)
        assert made.status_code == 202
        assert me.post("/v1/experiments", json=dry).json()["allowed"] is False
        refused(me.post("/v1/experiments", json=ORDER), 402, "is left")
        assert me.post(f"{made.headers['location']}/abort").status_code == 200


@pytest.mark.parametrize(
    ("words", "seconds"),
    [(None, 0), ("wait=20", 20), ("respond-async, wait = 5", 5), ("wait=999999", 60), ("wait=99999999", 0), ("await=5", 0), ("wait=-1", 0)],
)
def test_nobody_waits_in_a_request_for_longer_than_a_minute(words: str | None, seconds: float) -> None:
    assert seconds_to_wait(words) == seconds


def test_a_stopped_rig_takes_back_what_it_has_not_begun_and_nobody_pays_for_it(service: Running) -> None:
    whose, token = service.person(runs=1.0)
    service.database.write_now(lambda c, now: rigs.approve(c, now, whose, REAL, "u"))
    with service.client(token) as me, service.client(service.admin) as admin:
        place = me.post("/v1/experiments", json=ORDER | {"rig": REAL}).headers["location"]
        (held,) = leased(service, REAL)
        assert admin.post(f"/v1/rigs/{REAL}/stop").status_code == 200
        assert me.get(place).json()["state"] == "queued"
        with pytest.raises(Conflict, match="stop the rig"):
            begun(service, held)
        assert admin.post(f"/v1/rigs/{REAL}/open").status_code == 200
        assert me.post(f"{place}/abort").status_code == 200
        assert me.get("/v1/me").json()["budget"]["left"]["runs"] == 1
