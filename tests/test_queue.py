"""The life of an experiment, budgets and people, on both databases; and clocks that jump."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, select, text

from api import journal, ledger, people, queue
from api.database import Database
from api.ledger import BudgetExhausted
from api.people import Unauthorized
from api.queue import Conflict, NotFound
from api.tables import event
from frugaltwin.costs import Cost
from frugaltwin.experiment import Measurement
from tests.service_database import COST, new_person, new_rig, new_token, submit

MEASURED = Measurement({"t_415": 0.5}, Cost(seconds=3.0, money=0.004, volume=4.0), {"n_415": 512})
HOUR = 3600.0


class Clock:
    """A server's clock that can be set."""

    def __init__(self) -> None:
        self.now = 1.8e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(database_url: str, clock: Clock) -> Iterator[Database]:
    """A database with a twin and a real rig, and a clock of ours."""
    found = Database(database_url, clock)
    new_rig(found)
    new_rig(found, "mixer-1", is_real=True)
    yield found
    found.close()


def lease(database: Database, rig: str = "color-1", worker: str = "w", count: int = 1) -> list[dict[str, Any]]:
    return database.write_now(lambda c, now: queue.lease(c, now, rig, worker, count))


def begin(database: Database, row: dict[str, Any]) -> None:
    database.write_now(lambda c, now: queue.begin(c, now, row["id"], row["lease"]))


def finish(database: Database, row: dict[str, Any], measured: Measurement | None = MEASURED, **more: Any) -> dict[str, Any]:
    cost, error = (measured.cost, None) if measured else (Cost(seconds=1.0), "the pump jammed")
    return database.write_now(lambda c, now: queue.finish(c, now, row["id"], row["lease"], measured, error, cost, {}, **more))


def expire(database: Database) -> None:
    database.write_now(queue.expire)


def state(database: Database, identity: str) -> str:
    return str(database.read_now(lambda c: queue.find(c, identity))["state"])


def left(database: Database, whose: str) -> dict[str, float | None]:
    return database.read_now(lambda c: ledger.balance(c, whose))


def story(database: Database, identity: str) -> list[str]:
    question = select(event.c.kind).where(event.c.experiment == identity).order_by(event.c.id)
    return [kind.partition(".")[2] for kind in database.read_now(lambda c: c.execute(question).scalars().all())]


def test_an_experiment_is_reserved_run_and_settled_at_what_it_took(service: Database) -> None:
    whose = new_person(service, runs=2, seconds=25, money=1, volume=10)
    one = submit(service, whose)
    assert left(service, whose) == {"runs": 1, "seconds": 15, "money": 0.99, "volume": 6}
    (row,) = lease(service, count=5)
    begin(service, row)
    begin(service, row)
    done = finish(service, row)
    assert (done["id"], done["state"]) == (one, "succeeded")
    assert finish(service, row)["state"] == "succeeded"  # told twice
    assert left(service, whose) == pytest.approx({"runs": 1, "seconds": 22, "money": 0.996, "volume": 6})
    assert story(service, one) == ["queued", "running", "succeeded"]
    with pytest.raises(Conflict, match="has ended"):
        service.write_now(lambda c, now: queue.abort(c, now, one, "too late"))


def test_a_budget_that_does_not_allow_it_queues_nothing(service: Database) -> None:
    whose = new_person(service, seconds=15)
    submit(service, whose)
    with pytest.raises(BudgetExhausted, match=r"seconds: 10 s is asked for, 5 s is left"):
        submit(service, whose)
    assert service.read_now(lambda c: c.execute(text("select count(*) from experiment")).scalar_one()) == 1
    assert service.read_now(journal.last) == 1
    service.write_now(lambda c, now: ledger.grant(c, now, whose, {"seconds": 5.0}))
    submit(service, whose)


def test_an_aborted_one_is_refunded_if_it_had_not_begun_and_paid_for_if_it_had(service: Database) -> None:
    whose = new_person(service, runs=9)
    ids = [submit(service, whose) for _ in range(3)]
    leased, running = lease(service, count=2)
    begin(service, running)
    for identity in ids:
        service.write_now(lambda c, now, identity=identity: queue.abort(c, now, identity, "aborted by Ada"))  # type: ignore[misc]
    assert left(service, whose)["runs"] == 8
    with pytest.raises(Conflict, match="stop the rig"):
        begin(service, leased)
    with pytest.raises(Conflict, match="stop the rig"):
        finish(service, running)
    assert [state(service, i) for i in ids] == ["aborted"] * 3


def test_a_stop_that_is_reported_twice_counts_once(service: Database) -> None:
    submit(service, new_person(service, runs=1))
    (row,) = lease(service)
    begin(service, row)
    assert [finish(service, row, None, was_stopped=True)["state"] for _ in range(2)] == ["aborted", "aborted"]


@pytest.mark.parametrize("rig", ["color-1", "mixer-1"])
def test_a_lease_that_runs_out_before_the_rig_began_goes_back_to_its_place(service: Database, clock: Clock, rig: str) -> None:
    first, _ = (submit(service, new_person(service), rig) for _ in range(2))
    (row,) = lease(service, rig, "one")
    clock.now += queue.LEASE + 1
    (again,) = lease(service, rig, "two")
    assert row["id"] == again["id"] == first
    with pytest.raises(Conflict, match="stop the rig"):
        begin(service, row)
    begin(service, again)


def test_what_began_on_a_real_rig_and_was_lost_is_unknown_and_never_leased_again(service: Database, clock: Clock) -> None:
    whose = new_person(service, runs=5)
    lost = submit(service, whose, "mixer-1")
    (row,) = lease(service, "mixer-1", "one")
    begin(service, row)
    clock.now += queue.LEASE + 1
    assert lease(service, "mixer-1", "two") == []
    assert state(service, lost) == "unknown"
    assert left(service, whose)["runs"] == 4
    assert service.write_now(lambda c, now: queue.renew(c, now, "mixer-1", "two", {lost: row["lease"]})) == [lost]
    assert finish(service, row)["state"] == "succeeded"  # a late report clears it up, and it is not paid twice
    assert left(service, whose)["runs"] == 4
    assert story(service, lost) == ["queued", "running", "unknown", "succeeded"]


def test_what_began_on_a_twin_and_was_lost_is_run_again(service: Database, clock: Clock) -> None:
    lost = submit(service, new_person(service))
    (row,) = lease(service)
    begin(service, row)
    clock.now += queue.LEASE + 1
    (again,) = lease(service)
    assert (again["id"], again["attempt"]) == (lost, 2)
    with pytest.raises(Conflict, match="stop the rig"):
        finish(service, row)
    begin(service, again)
    assert finish(service, again)["state"] == "succeeded"


@pytest.mark.parametrize("rig", ["color-1", "mixer-1"])
@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_clock_that_jumps_runs_nothing_twice_and_leaves_nothing_behind(service: Database, clock: Clock, jump: float, rig: str) -> None:
    """Forward, every lease has run out; backward, they would last for an hour more."""
    whose = new_person(service, runs=9)
    ids = [submit(service, whose, rig) for _ in range(3)]
    held, running = lease(service, rig, count=2)
    begin(service, running)
    clock.now += jump
    expire(service)
    if jump > 0:
        assert [state(service, i) for i in ids] == ["queued", "unknown" if rig == "mixer-1" else "queued", "queued"]
    else:
        assert [state(service, i) for i in ids] == ["leased", "running", "queued"]
        lost = service.write_now(lambda c, now: queue.renew(c, now, rig, "w", {held["id"]: held["lease"]}))
        assert lost == []
        clock.now += queue.LEASE + 1  # and both workers are dead
        expire(service)
        assert [state(service, i) for i in ids] == ["queued", "unknown" if rig == "mixer-1" else "queued", "queued"]
    for row in lease(service, rig, count=9):
        assert rig == "color-1" or row["id"] != running["id"]
        begin(service, row)
        finish(service, row)
    assert [state(service, i) for i in ids] == ["succeeded", "unknown" if rig == "mixer-1" else "succeeded", "succeeded"]
    assert left(service, whose)["runs"] == 6
    ids_of_events = service.read_now(lambda c: c.execute(select(event.c.id).order_by(event.c.id)).scalars().all())
    assert list(ids_of_events) == list(range(1, len(ids_of_events) + 1))


def test_tokens_expire_by_the_clock_and_are_revoked_for_good(service: Database, clock: Clock) -> None:
    whose = new_person(service)
    forever = new_token(service, whose)
    identity, brief = service.write_now(lambda c, now: people.add_token(c, now, whose, ["read"], expires_at=now + HOUR))

    def who(words: str) -> str:
        return service.read_now(lambda c: people.caller(c, clock.now, words)).person

    assert who(forever) == who(brief) == whose
    clock.now += HOUR
    with pytest.raises(Unauthorized, match="expired"):
        who(brief)
    clock.now -= HOUR
    service.write_now(lambda c, now: people.revoke(c, now, identity, whose))
    with pytest.raises(Unauthorized, match="revoked"):
        who(brief)
    with pytest.raises(NotFound):
        service.write_now(lambda c, now: people.revoke(c, now, identity, "u_somebody_else"))


def test_a_join_code_lets_in_as_many_as_it_says_at_once(service: Database) -> None:
    _, code = service.write_now(lambda c, now: people.add_code(c, now, "2026", 5, {"runs": 3.0}, ["read", "run:sim"]))

    def join(name: str) -> str | None:
        try:
            return service.write_now(lambda c, now: people.join(c, now, code, name))[0]
        except Unauthorized:
            return None

    with ThreadPoolExecutor(8) as pool:
        joined = [p for p in pool.map(join, [f"s{i}" for i in range(20)]) if p]
    assert len(set(joined)) == 5
    assert all(left(service, p)["runs"] == 3 for p in joined)


def test_two_services_lease_each_experiment_once(service: Database, database_url: str, clock: Clock) -> None:
    ids = [submit(service, new_person(service)) for _ in range(60)]
    other = Database(database_url, clock)

    def some(n: int) -> list[str]:
        return [row["id"] for row in lease((service, other)[n % 2], worker=f"w{n}", count=1 + n % 3)]

    with ThreadPoolExecutor(8) as pool:
        taken = [identity for rows in pool.map(some, range(60)) for identity in rows]
    assert sorted(taken) == sorted(ids)
    other.close()


def test_two_services_spend_a_budget_once(service: Database, database_url: str, clock: Clock) -> None:
    whose = new_person(service, runs=10)
    other = Database(database_url, clock)

    def try_it(n: int) -> bool:
        try:
            submit((service, other)[n % 2], whose, cost=COST)
        except BudgetExhausted:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(try_it, range(40))) == 10
    assert left(service, whose)["runs"] == 0
    other.close()


def test_a_refusal_in_the_middle_of_a_change_leaves_no_trace(service: Database) -> None:
    whose = new_person(service, runs=5)

    def two(connection: Connection, now: float) -> None:
        from tests.service_database import order

        queue.submit(connection, now, order(whose))
        raise Conflict("the campaign has ended")

    with pytest.raises(Conflict):
        service.write_now(two)
    assert left(service, whose)["runs"] == 5
    assert (lease(service), service.read_now(journal.last)) == ([], 0)
