"""The life of an experiment, budgets and people, on both databases; and clocks that jump."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, select, text, update

from api import maintenance
from api.errors import BudgetExhausted, Conflict, NotFound, Unauthorized
from api.records import event_log, fair_queue, join_codes, ledger, people, tokens
from api.records.database import Database
from api.records.fair_queue import Order
from api.records.rows import ExperimentRow, LeasedRow
from api.records.tables import event, join_code, rig, token
from api.records.tables import ledger as entries
from frugaltwin.amounts import Amounts
from frugaltwin.experiment import Measurement
from tests.service_database import COST, SETTINGS, new_person, new_rig, new_token, report_one, submit

MEASURED = Measurement({"t_415": 0.5}, Amounts(seconds=3.0, money=0.004, volume=4.0), {"n_415": 512})
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


def lease(database: Database, rig: str = "color-1", worker: str = "w", count: int = 1) -> list[LeasedRow]:
    return database.write_now(lambda c, now: fair_queue.lease(c, now, rig, worker, count))


def begin(database: Database, row: LeasedRow) -> None:
    database.write_now(lambda c, now: fair_queue.begin(c, now, row.id, row.lease))


def finish(database: Database, row: LeasedRow, measured: Measurement | None = MEASURED, **more: Any) -> ExperimentRow:
    cost, error = (measured.cost, None) if measured else (Amounts(seconds=1.0), "the pump jammed")
    return database.write_now(lambda c, now: report_one(c, now, row.id, row.lease, measured, error, cost, {}, **more))


def expire(database: Database) -> None:
    database.write_now(fair_queue.expire)


def state(database: Database, identity: str) -> str:
    return str(database.read_now(lambda c: fair_queue.find(c, identity)).state)


def left(database: Database, whose: str) -> dict[str, float | None]:
    return database.read_now(lambda c: ledger.balance(c, whose))


def story(database: Database, identity: str) -> list[str]:
    question = select(event.c.kind).where(event.c.experiment == identity).order_by(event.c.id)
    return [kind.partition(".")[2] for kind in database.read_now(lambda c: c.execute(question).scalars().all())]


def test_an_experiment_is_reserved_run_and_settled_at_what_it_took(service: Database) -> None:
    whose = new_person(service, runs=2, seconds=25, money=1, volume=10)
    one = submit(service, whose)
    assert left(service, whose) == {"runs": 1, "rig_runs": None, "seconds": 15, "money": 0.99, "volume": 6}
    (row,) = lease(service, count=5)
    begin(service, row)
    begin(service, row)
    done = finish(service, row)
    assert (done.id, done.state) == (one, "succeeded")
    assert finish(service, row).state == "succeeded"  # told twice
    assert left(service, whose) == pytest.approx({"runs": 1, "rig_runs": None, "seconds": 22, "money": 0.996, "volume": 6})
    assert story(service, one) == ["queued", "running", "succeeded"]
    with pytest.raises(Conflict, match="has ended"):
        service.write_now(lambda c, now: fair_queue.abort(c, now, one, "too late"))


def test_a_budget_that_does_not_allow_it_queues_nothing(service: Database) -> None:
    whose = new_person(service, seconds=15)
    submit(service, whose)
    with pytest.raises(BudgetExhausted, match=r"seconds: 10 s is asked for, 5 s is left"):
        submit(service, whose)
    assert service.read_now(lambda c: c.execute(text("select count(*) from experiment")).scalar_one()) == 1
    assert service.read_now(event_log.last) == 1
    service.write_now(lambda c, now: ledger.grant(c, now, whose, {"seconds": 5.0}))
    submit(service, whose)


def test_runs_on_real_rigs_have_a_purse_of_their_own_where_they_have_a_limit(service: Database) -> None:
    whose, without = new_person(service, runs=2, rig_runs=1, seconds=45), new_person(service, runs=1)
    submit(service, whose)
    one = submit(service, whose, "mixer-1")
    assert left(service, whose) == {"runs": 1, "rig_runs": 0, "seconds": 25, "money": None, "volume": None}
    with pytest.raises(BudgetExhausted, match=r"^rig_runs: 1 is asked for, 0 is left; ask your instructor for more$"):
        submit(service, whose, "mixer-1")
    submit(service, whose)  # twins have theirs
    service.write_now(lambda c, now: fair_queue.abort(c, now, one, "aborted"))
    assert left(service, whose)["rig_runs"] == 1
    submit(service, whose, "mixer-1")
    (row,) = lease(service, "mixer-1")
    begin(service, row)
    service.write_now(lambda c, now: ledger.set_left(c, now, whose, {"rig_runs": None, "runs": 5}))  # while it runs
    finish(service, row)
    spent = service.read_now(lambda c: ledger.account(c, whose)).spent
    assert (spent["runs"], spent["rig_runs"]) == (0, 1)
    submit(service, whose, "mixer-1")  # which is a run like others now
    assert left(service, whose)["runs"] == 4
    service.write_now(lambda c, now: ledger.set_left(c, now, whose, {"rig_runs": 7}))
    service.write_now(lambda c, now: ledger.grant(c, now, whose, {"rig_runs": -2}))
    assert left(service, whose)["rig_runs"] == 5
    submit(service, without, "mixer-1")
    assert (left(service, without)["runs"], left(service, without)["rig_runs"]) == (0, None)
    assert {f.status for f in maintenance.findings(service.url)} <= {"ok", "warning"}


def test_a_purse_of_rig_runs_holds_whoever_submits_at_once(service: Database) -> None:
    whose = new_person(service, runs=50, rig_runs=3)

    def one(rig: str) -> bool:
        try:
            submit(service, whose, rig)
        except BudgetExhausted:
            return False
        return True

    with ThreadPoolExecutor(12) as threads:
        done = list(threads.map(one, ["mixer-1", "color-1"] * 12))
    assert (sum(done[::2]), sum(done[1::2])) == (3, 12)
    assert (left(service, whose)["runs"], left(service, whose)["rig_runs"]) == (38, 0)


def test_an_aborted_one_is_refunded_if_it_had_not_begun_and_paid_for_if_it_had(service: Database) -> None:
    whose = new_person(service, runs=9)
    ids = [submit(service, whose) for _ in range(3)]
    leased, running = lease(service, count=2)
    begin(service, running)
    for identity in ids:
        service.write_now(lambda c, now, identity=identity: fair_queue.abort(c, now, identity, "aborted by Ada"))  # type: ignore[misc]
    assert left(service, whose)["runs"] == 8
    with pytest.raises(Conflict, match="stop the rig"):
        begin(service, leased)
    with pytest.raises(Conflict, match="stop the rig"):
        finish(service, running)
    assert [state(service, i) for i in ids] == ["aborted"] * 3


def test_reports_that_come_together_count_each_for_itself(service: Database) -> None:
    """One that comes twice, one of another rig, one of nobody, one that was taken away meanwhile: the others are booked once."""
    ada = new_person(service, runs=10, seconds=1000)
    for _ in range(3):
        submit(service, ada)
    submit(service, ada, "mixer-1")
    one, two, lost = lease(service, count=3)
    (elsewhere,) = lease(service, "mixer-1")
    for row in (one, two, lost, elsewhere):
        begin(service, row)
    service.write_now(lambda c, now: fair_queue.abort(c, now, lost.id, "not wanted"))
    before = left(service, ada)

    def end(row: LeasedRow) -> fair_queue.Ended:
        return fair_queue.Ended(row.id, row.lease, MEASURED, None, MEASURED.cost, {})

    ends = [end(row) for row in (one, one, elsewhere, replace(one, id="x_0", lease="none"), lost, two)]
    answers = service.write_now(lambda c, now: fair_queue.finish(c, now, ends, "color-1"))
    assert [a.state if isinstance(a, ExperimentRow) else type(a) for a in answers] == [
        "succeeded", "succeeded", NotFound, NotFound, Conflict, "succeeded",
    ]  # fmt: skip
    after = left(service, ada)
    assert after["seconds"] == pytest.approx(before["seconds"] + 2 * (COST.seconds - MEASURED.cost.seconds))  # type: ignore[operator]
    assert [story(service, row.id) for row in (one, two)] == [["queued", "running", "succeeded"]] * 2
    assert state(service, elsewhere.id) == "running"


def test_a_stop_that_is_reported_twice_counts_once(service: Database) -> None:
    submit(service, new_person(service, runs=1))
    (row,) = lease(service)
    begin(service, row)
    assert [finish(service, row, None, was_stopped=True).state for _ in range(2)] == ["aborted", "aborted"]


@pytest.mark.parametrize("rig", ["color-1", "mixer-1"])
def test_a_lease_that_runs_out_before_the_rig_began_goes_back_to_its_place(service: Database, clock: Clock, rig: str) -> None:
    first, _ = (submit(service, new_person(service), rig) for _ in range(2))
    (row,) = lease(service, rig, "one")
    clock.now += fair_queue.LEASE + 1
    (again,) = lease(service, rig, "two")
    assert row.id == again.id == first
    with pytest.raises(Conflict, match="stop the rig"):
        begin(service, row)
    begin(service, again)


def opened(service: Database) -> None:
    """A person has looked at the rig, and opens it."""
    service.write_now(lambda c, now: c.execute(update(rig).where(rig.c.name == "mixer-1").values(state="open")))


def test_what_began_on_a_real_rig_and_was_lost_is_unknown_and_never_leased_again(service: Database, clock: Clock) -> None:
    whose = new_person(service, runs=5, seconds=100)
    lost = submit(service, whose, "mixer-1")
    (row,) = lease(service, "mixer-1", "one")
    begin(service, row)
    clock.now += fair_queue.LEASE + 1
    assert lease(service, "mixer-1", "two") == []
    assert state(service, lost) == "unknown"
    following = submit(service, whose, "mixer-1")
    assert lease(service, "mixer-1", "two") == []  # nobody has looked at the rig yet
    opened(service)
    assert [row.id for row in lease(service, "mixer-1", "two")] == [following]
    service.write_now(lambda c, now: fair_queue.abort(c, now, following, "a mistake"))
    assert left(service, whose)["runs"] == 4
    assert service.write_now(lambda c, now: fair_queue.renew(c, now, "mixer-1", "two", {lost: row.lease})) == [lost]
    assert finish(service, row).state == "succeeded"  # a late report clears it up, and it is not paid twice
    assert (left(service, whose)["runs"], left(service, whose)["seconds"]) == (4, 90)
    assert story(service, lost) == ["queued", "running", "unknown", "succeeded"]


def test_what_began_on_a_twin_and_was_lost_is_run_again(service: Database, clock: Clock) -> None:
    lost = submit(service, new_person(service))
    (row,) = lease(service)
    begin(service, row)
    clock.now += fair_queue.LEASE + 1
    (again,) = lease(service)
    assert (again.id, again.attempt) == (lost, 2)
    with pytest.raises(Conflict, match="stop the rig"):
        finish(service, row)
    begin(service, again)
    assert finish(service, again).state == "succeeded"


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
        lost = service.write_now(lambda c, now: fair_queue.renew(c, now, rig, "w", {held.id: held.lease}))
        assert lost == []
        clock.now += fair_queue.LEASE + 1  # and both workers are dead
        expire(service)
        assert [state(service, i) for i in ids] == ["queued", "unknown" if rig == "mixer-1" else "queued", "queued"]
    if rig == "mixer-1":
        assert lease(service, rig, count=9) == []
        opened(service)
    for row in lease(service, rig, count=9):
        assert rig == "color-1" or row.id != running.id
        begin(service, row)
        finish(service, row)
    assert [state(service, i) for i in ids] == ["succeeded", "unknown" if rig == "mixer-1" else "succeeded", "succeeded"]
    assert left(service, whose)["runs"] == 6
    ids_of_events = service.read_now(lambda c: c.execute(select(event.c.id).order_by(event.c.id)).scalars().all())
    assert list(ids_of_events) == list(range(1, len(ids_of_events) + 1))


def test_tokens_expire_by_the_clock_and_are_revoked_for_good(service: Database, clock: Clock) -> None:
    whose = new_person(service)
    forever = new_token(service, whose)
    identity, brief = service.write_now(lambda c, now: tokens.add_token(c, now, whose, ["read"], expires_at=now + HOUR))

    def who(words: str) -> str:
        return service.read_now(lambda c: people.caller(c, clock.now, words)).person

    assert who(forever) == who(brief) == whose
    clock.now += HOUR
    with pytest.raises(Unauthorized, match="expired"):
        who(brief)
    clock.now -= HOUR
    service.write_now(lambda c, now: tokens.revoke(c, now, identity, whose))
    with pytest.raises(Unauthorized, match="revoked"):
        who(brief)
    with pytest.raises(NotFound):
        service.write_now(lambda c, now: tokens.revoke(c, now, identity, "u_somebody_else"))


def test_a_join_code_lets_in_as_many_as_it_says_at_once(service: Database) -> None:
    _, code = service.write_now(lambda c, now: join_codes.add_code(c, now, "2026", 5, {"runs": 3.0}, ["read", "run:sim"]))

    def join(name: str) -> str | None:
        try:
            return service.write_now(lambda c, now: join_codes.join(c, now, code, name))[0]
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
        return [row.id for row in lease((service, other)[n % 2], worker=f"w{n}", count=1 + n % 3)]

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

        fair_queue.submit(connection, now, order(whose))
        raise Conflict("the campaign has ended")

    with pytest.raises(Conflict):
        service.write_now(two)
    assert left(service, whose)["runs"] == 5
    assert (lease(service), service.read_now(event_log.last)) == ([], 0)


@pytest.mark.parametrize("closed", ["paused", "stopped"])
def test_a_rig_that_is_not_open_gives_nothing_away(service: Database, closed: str) -> None:
    def turn(to: str) -> None:
        service.write_now(lambda c, now: c.execute(update(rig).values(state=to)))

    one = submit(service, new_person(service))
    turn(closed)
    assert lease(service) == []
    turn("open")
    assert [row.id for row in lease(service)] == [one]


def test_the_virtual_time_of_a_rig_never_goes_back(service: Database) -> None:
    first, second, late = (new_person(service) for _ in range(3))
    submit(service, first)
    for _ in range(3):
        submit(service, second)
    rows = lease(service, count=4)
    service.write_now(lambda c, now: fair_queue.release(c, now, rows[0].id, rows[0].lease))
    assert [row.id for row in lease(service)] == [rows[0].id]  # an early one again
    assert service.read_now(lambda c: fair_queue.next_tag(c, "color-1", late)) == rows[-1].tag == 20.0


@pytest.mark.parametrize("end", ["aborted", "unknown", "succeeded", "taken over"])
def test_what_was_ended_or_taken_over_never_begins_again(service: Database, clock: Clock, end: str) -> None:
    identity = submit(service, new_person(service), "mixer-1")
    (row,) = lease(service, "mixer-1")
    if end == "taken over":
        clock.now += fair_queue.LEASE + 1
        (other,) = lease(service, "mixer-1", "two")
        begin(service, other)
    else:
        begin(service, row)
    if end == "aborted":
        service.write_now(lambda c, now: fair_queue.abort(c, now, identity, "a mistake"))
    elif end == "unknown":
        clock.now += fair_queue.LEASE + 1
        expire(service)
    elif end == "succeeded":
        finish(service, row)
    with pytest.raises(Conflict, match="stop the rig"):
        begin(service, row)
    if end == "unknown":
        with pytest.raises(Conflict, match="has ended"):
            service.write_now(lambda c, now: fair_queue.abort(c, now, identity, "to get it back"))
    assert state(service, identity) == ("running" if end == "taken over" else end)


def test_what_never_began_cannot_have_ended(service: Database) -> None:
    identity = submit(service, new_person(service))
    (row,) = lease(service)
    with pytest.raises(Conflict, match="is leased"):
        finish(service, row)
    begin(service, row)
    finish(service, row)
    assert state(service, identity) == "succeeded"


def test_a_lease_is_renewed_by_whoever_has_it_and_by_beginning(service: Database, clock: Clock) -> None:
    identity = submit(service, new_person(service), "mixer-1")
    (row,) = lease(service, "mixer-1")
    clock.now += fair_queue.LEASE - 1
    begin(service, row)
    clock.now += fair_queue.LEASE - 1
    expire(service)
    assert state(service, identity) == "running"
    assert service.write_now(lambda c, now: fair_queue.renew(c, now, "mixer-1", "w", {identity: "another's"})) == [identity]
    assert service.write_now(lambda c, now: fair_queue.renew(c, now, "mixer-1", "w", {identity: row.lease})) == []
    clock.now += fair_queue.LEASE - 1
    for ask in (fair_queue.lease, fair_queue.renew):
        with pytest.raises(Conflict, match="is driven by the worker w"):
            service.write_now(lambda c, now, ask=ask: ask(c, now, "mixer-1", "two", {} if ask is fair_queue.renew else 1))  # type: ignore[misc]
    assert state(service, identity) == "running"
    clock.now -= HOUR  # set back: the worker that was heard in the future may be dead, and nobody would know for an hour
    assert lease(service, "mixer-1", "two") == []


def test_what_a_dead_worker_held_ends_at_once(service: Database) -> None:
    real, _, twin = (
        submit(service, new_person(service), "mixer-1"),
        submit(service, new_person(service), "mixer-1"),
        submit(service, new_person(service)),
    )
    running, _ = lease(service, "mixer-1", "dead", 2)
    begin(service, running)
    begin(service, *lease(service, "color-1", "dead"))
    for name in ("mixer-1", "color-1"):
        service.write_now(lambda c, now, name=name: fair_queue.forget_worker(c, now, name))  # type: ignore[misc]
    assert (state(service, real), state(service, twin)) == ("unknown", "queued")
    opened(service)
    assert len(lease(service, "mixer-1", "two")) == len(lease(service, "color-1", "two")) == 1


def test_what_is_given_back_was_never_begun_and_waits_again(service: Database) -> None:
    whose = new_person(service)
    real, twin = submit(service, whose, "mixer-1"), submit(service, whose)
    (held,), (running,) = lease(service, "mixer-1"), lease(service)
    begin(service, running)
    for identity, words in ((real, "another's"), (real, held.lease), (twin, "another's"), (twin, running.lease)):
        service.write_now(lambda c, now, i=identity, w=words: fair_queue.release(c, now, i, w))  # type: ignore[misc]
        assert state(service, identity) == ("queued" if words != "another's" else "leased" if identity == real else "running")
    assert service.read_now(lambda c: fair_queue.find(c, twin)).started_at is None
    assert story(service, twin) == ["queued", "running", "queued"]
    (again,) = lease(service)
    begin(service, again)
    finish(service, again)
    service.write_now(lambda c, now: fair_queue.release(c, now, twin, again.lease))
    assert state(service, twin) == "succeeded"


def test_who_aborts_what_runs_pays_for_it_and_loses_the_turn(service: Database) -> None:
    whose = new_person(service)
    first, second = submit(service, whose), submit(service, whose)
    begin(service, *lease(service))
    service.write_now(lambda c, now: fair_queue.abort(c, now, first, "a mistake"))
    assert service.read_now(lambda c: fair_queue.find(c, second)).tag == COST.seconds
    assert service.read_now(lambda c: fair_queue.next_tag(c, "color-1", whose)) == 2 * COST.seconds


def test_a_place_counts_who_goes_before_and_what_is_under_way(service: Database) -> None:
    def place(identity: str) -> tuple[int, float]:
        return service.read_now(lambda c: fair_queue.place(c, fair_queue.find(c, identity)))

    whose = new_person(service)
    submit(service, whose)
    lease(service)
    mine = submit(service, whose)
    assert place(mine) == (0, 10.0)
    urgent = Order(new_person(service), "color-1", SETTINGS, COST, is_urgent=True)
    service.write_now(lambda c, now: fair_queue.submit(c, now, urgent))
    assert place(mine) == (1, 20.0)


def test_every_kind_of_budget_is_a_limit_and_nothing_is_booked_beyond_what_was_reserved(service: Database) -> None:
    for kind, least in (("runs", 1.0), ("seconds", COST.seconds), ("money", COST.money), ("volume", COST.volume)):
        poor = new_person(service, "poor", **{kind: least * 0.99})
        with pytest.raises(BudgetExhausted, match=kind):
            submit(service, poor)
    whose = new_person(service, seconds=25.0, volume=10.0)
    submit(service, whose)
    (row,) = lease(service)
    begin(service, row)
    finish(service, row, Measurement({"t_415": 0.5}, Amounts(seconds=99.0, money=9.0, volume=1.0), {"n_415": 512}))
    assert left(service, whose) == pytest.approx({"runs": None, "rig_runs": None, "seconds": 15.0, "money": None, "volume": 9.0})
    lines = service.read_now(lambda c: c.execute(select(entries).where(entries.c.experiment == row.id).order_by(entries.c.id)).all())
    assert [(line.kind, line.seconds, line.volume) for line in lines] == [
        ("reserve", 10.0, 4.0),
        ("settle", 10.0, 1.0),
        ("refund", 0.0, 3.0),
    ]
    body = service.read_now(lambda c: c.execute(select(event.c.body_json).where(event.c.kind == "experiment.succeeded")).scalar_one())
    assert "n_415" not in body  # readings are in the experiment: everybody's stream would carry them


def test_a_code_that_is_over_lets_nobody_in_and_gives_the_scopes_it_was_made_with(service: Database, clock: Clock) -> None:
    identity, code = service.write_now(lambda c, now: join_codes.add_code(c, now, "", 9, {}, ["read"], now + HOUR))
    _, token = service.write_now(lambda c, now: join_codes.join(c, now, code, "Ada"))
    assert service.read_now(lambda c: people.caller(c, clock.now, token)).scopes == {"read"}
    clock.now += HOUR
    with pytest.raises(Unauthorized, match="expired"):
        service.write_now(lambda c, now: join_codes.join(c, now, code, "late"))
    clock.now -= 1
    service.write_now(lambda c, now: c.execute(update(join_code).where(join_code.c.id == identity).values(revoked_at=now)))
    with pytest.raises(Unauthorized):
        service.write_now(lambda c, now: join_codes.join(c, now, code, "after it was revoked"))


def test_a_token_is_revoked_once_and_has_no_children_after_that(service: Database, clock: Clock) -> None:
    whose = new_person(service)
    identity, _ = service.write_now(lambda c, now: tokens.add_token(c, now, whose, ["read"]))
    service.write_now(lambda c, now: tokens.check_token(c, identity))
    at = clock.now
    for _ in range(2):
        service.write_now(lambda c, now: tokens.revoke(c, now, identity, whose))
        clock.now += HOUR
    assert service.read_now(lambda c: c.execute(select(token.c.revoked_at).where(token.c.id == identity)).scalar_one()) == at
    assert service.read_now(event_log.last) == 1
    with pytest.raises(Unauthorized, match="revoked"):
        service.write_now(lambda c, now: tokens.check_token(c, identity))
