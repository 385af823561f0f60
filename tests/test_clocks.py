"""The service's clock is set, an hour forward or back: nobody is locked out for an hour, let in again, or waits for an hour."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api.errors import TooMany, Unauthorized
from api.rate_limit import WRONG_CODES
from api.records import campaigns, fair_queue, rigs, tokens
from api.records.campaigns import THINKING
from api.records.database import Database
from api.records.fair_queue import Order
from api.records.people import Caller
from api.service import Service
from api.settings import Settings
from tests.running_service import running
from tests.service_database import COST, SETTINGS, new_person, new_rig, new_token, until

HOUR = 3600.0


class Clock:
    """The computer's, and somebody sets it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


def a_campaign(database: Database) -> str:
    """The id of one that the server runs."""
    name = new_rig(database)
    rig = database.read_now(lambda c: rigs.find(c, name))
    whose = new_person(database)
    return str(
        database.write_now(lambda c, now: campaigns.start(c, now, whose, "c", rig, campaigns.SERVER, {"goal": "match-color:coral"})).id
    )


def is_let(do: Callable[[], Any]) -> bool:
    """Whether it is not too many."""
    try:
        do()
    except TooMany:
        return False
    return True


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_limits_of_requests_go_by_what_has_passed(database_url: str, clock: Clock, jump: float) -> None:
    async def ask(service: Service, token: str) -> Caller:
        return await service.caller(token)

    database = Database(database_url, clock)
    token = new_token(database, new_person(database))
    slow, quick = (Service(Settings(database_url, requests_per_second=rate, burst=3.0), database) for rate in (0.001, 5.0))
    for service in (slow, quick):
        assert [is_let(lambda s=service: asyncio.run(ask(s, token))) for _ in range(3)] == [True] * 3  # type: ignore[misc]
    assert not is_let(lambda: asyncio.run(ask(slow, token)))
    clock.ahead = jump
    assert not is_let(lambda: asyncio.run(ask(slow, token)))
    until(lambda: is_let(lambda: asyncio.run(ask(quick, token))), 10.0)
    database.close()


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_whoever_sent_wrong_codes_waits_for_what_has_passed(sqlite_url: str, clock: Clock, jump: float) -> None:
    database = Database(sqlite_url, clock)
    service = Service(Settings(sqlite_url), database)
    for _ in range(WRONG_CODES):
        service.rate_limit.count_wrong_code("127.0.0.1")
    assert not is_let(lambda: service.rate_limit.count_wrong_code("127.0.0.1"))
    clock.ahead = jump
    assert not is_let(lambda: service.rate_limit.count_wrong_code("127.0.0.1"))
    until(lambda: is_let(lambda: service.rate_limit.count_wrong_code("127.0.0.1")), 15.0)
    database.close()


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_what_is_remembered_of_a_token_is_forgotten_at_once(database_url: str, clock: Clock, jump: float) -> None:
    database, other = Database(database_url, clock), Database(database_url, clock)
    service = Service(Settings(database_url), database)
    whose = new_person(database)
    identity, token = other.write_now(lambda c, now: tokens.add_token(c, now, whose, ["read"], expires_at=now + 2 * HOUR))
    asyncio.run(service.caller(token))
    clock.ahead = jump
    other.write_now(lambda c, now: tokens.revoke(c, now, identity, None))
    with pytest.raises(Unauthorized, match="revoked"):
        asyncio.run(service.caller(token))
    database.close()
    other.close()


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_campaign_whose_thinker_was_killed_does_not_wait_for_the_clock(database_url: str, clock: Clock, jump: float) -> None:
    database = Database(database_url, clock)
    identity = a_campaign(database)
    assert database.write_now(lambda c, now: campaigns.claim(c, now, identity, "killed"))
    assert not database.write_now(lambda c, now: campaigns.claim(c, now, identity, "other"))
    clock.ahead = jump
    assert [one for one, _ in database.read_now(lambda c: campaigns.candidates(c, clock(), "other"))] == [identity]
    assert database.write_now(lambda c, now: campaigns.claim(c, now, identity, "other"))
    clock.ahead += THINKING / 2
    assert not database.write_now(lambda c, now: campaigns.claim(c, now, identity, "third"))
    database.close()


def test_a_choice_that_came_too_late_does_not_count(database_url: str, clock: Clock) -> None:
    """Its thinker stalled, another one has chosen meanwhile, and the numbers of trials go on from there."""
    database = Database(database_url, clock)
    identity = a_campaign(database)
    assert database.write_now(lambda c, now: campaigns.claim(c, now, identity, "stalled"))
    clock.ahead = THINKING + 1
    row = database.write_now(lambda c, now: campaigns.claim(c, now, identity, "other"))
    assert row
    assert database.read_now(lambda c: campaigns.unchanged(c, identity, 0))
    late = Order(row.person, "color-1", SETTINGS, COST, campaign=identity, trial=1)
    trial = database.write_now(lambda c, now: fair_queue.submit(c, now, late)).id
    assert database.read_now(lambda c: campaigns.unchanged(c, identity, 0)) is None
    database.write_now(lambda c, now: fair_queue.abort(c, now, trial, "done"))
    assert database.read_now(lambda c: campaigns.unchanged(c, identity, 0)) is None
    assert database.read_now(lambda c: campaigns.unchanged(c, identity, 1))
    database.close()


@pytest.mark.timing
@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_whoever_waits_for_an_experiment_waits_as_long_as_asked(sqlite_url: str, clock: Clock, jump: float) -> None:
    with running(sqlite_url) as service, ThreadPoolExecutor(1) as pool:
        service.database.now = clock
        _, token = service.person()
        with service.client(token) as student:
            began = time.monotonic()
            order = {"rig": "color-1", "settings": SETTINGS}
            waiting = pool.submit(student.post, "/v1/experiments", json=order, headers={"Prefer": "wait=2"})
            until(lambda: service.service.requests.total() > 0 or time.monotonic() - began > 0.5)
            clock.ahead = jump
            answer = waiting.result(30)  # httpx itself gives up then
        assert answer.status_code == 202
        assert time.monotonic() - began >= 2.0
