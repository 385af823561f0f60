"""P2, P3 and P7: histories that machines, kills and stalls write, checked against what the service promises.

P1 is in `test_kill`, P4 in `test_privacy`.
"""

import itertools
import os
import random
import shutil
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection, func, select, update

from api import maintenance
from api.errors import BudgetExhausted, Conflict
from api.records import fair_queue, ledger
from api.records import rigs as rig_records
from api.records.database import Database
from api.records.ledger import KINDS
from api.records.rows import ExperimentRow, LeasedRow
from api.records.tables import event, experiment
from api.records.tables import ledger as entries
from api.records.tables import rig as rig_table
from api.workers.child_processes import start_method
from frugaltwin.amounts import Amounts
from frugaltwin.errors import FrugalTwinError
from frugaltwin.experiment import Measurement
from tests.forms import times
from tests.service_database import PostgresServer, new_person, new_rig, order, report_one, submit, until

FAST = 60  # a lease of 30 s runs out in half a second
NEXT = {  # what may follow what, for a twin; on a real rig nothing comes back from running
    "": {"queued"},
    "queued": {"queued", "running", "aborted"},  # again, where a worker held it and was lost before it began
    "running": {"queued", "succeeded", "failed", "aborted", "unknown"},
    "unknown": {"succeeded", "failed", "aborted"},
}


def fast() -> float:
    return 1.8e9 + (time.time() - 1.75e9) * FAST


def drive(url: str, rig: str, name: str, log: str) -> None:
    """A worker that writes down every movement of its rig, as soon as it may move, and then takes its time."""
    database = Database(url, fast)
    dice = random.Random(name)
    while True:
        try:
            rows = database.write_now(lambda c, now: fair_queue.lease(c, now, rig, name, dice.choice((1, 1, 3))))
        except Conflict:  # another worker drives this rig
            rows = []
        for row in rows:
            try:
                database.write_now(lambda c, now, row=row: fair_queue.begin(c, now, row.id, row.lease))  # type: ignore[misc]
                with Path(log).open("ab", buffering=0) as file:
                    file.write(f"{row.id} {name} {os.getpid()}\n".encode())
                time.sleep(dice.uniform(0, 0.08))
                measured = Measurement({"t_415": 0.5}, Amounts(seconds=2.0), {})
                is_good = dice.random() < 0.9
                database.write_now(
                    lambda c, now, row=row, measured=measured, is_good=is_good: report_one(  # type: ignore[misc]
                        c, now, row.id, row.lease, measured if is_good else None, None if is_good else "jammed", measured.cost, {}
                    )
                )
            except Conflict:
                continue
        if not rows:
            time.sleep(0.05)


def moves(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def story(database: Database) -> dict[str, list[str]]:
    """What happened to each experiment, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for identity, kind in database.read_now(lambda c: c.execute(select(event.c.experiment, event.c.kind).order_by(event.c.id)).all()):
        found[identity].append(kind.partition(".")[2])
    return found


@pytest.mark.timing
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL and SIGSTOP")
def test_no_experiment_runs_twice_on_a_real_rig_whatever_happens_to_its_workers(database_url: str, tmp_path: Path) -> None:
    database = Database(database_url, fast)
    rigs = {"mixer-1": True, "color-1": False}
    logs = {rig: tmp_path / rig for rig in rigs}
    whose = [new_person(database, f"s{i}", runs=1e6) for i in range(3)]
    for rig, is_real in rigs.items():
        new_rig(database, rig, is_real=is_real)
    spawned = start_method()
    names = (f"w{i}" for i in itertools.count())

    def hire(rig: str) -> BaseProcess:
        worker = spawned.Process(target=drive, args=(database_url, rig, next(names), str(logs[rig])), daemon=True)
        worker.start()
        return worker

    is_over = threading.Event()
    is_open = select(func.count()).where(experiment.c.state.in_(fair_queue.OPEN))

    def n_open() -> int:
        return database.read_now(lambda c: c.execute(is_open).scalar_one())

    def student(person: str) -> None:
        dice = random.Random(person)
        while not is_over.wait(0.01):
            if n_open() >= 12:
                continue
            identity = submit(database, person, dice.choice(list(rigs)))
            if dice.random() < 0.15:
                with suppress(Conflict):
                    database.write_now(lambda c, now, identity=identity: fair_queue.abort(c, now, identity, "aborted"))  # type: ignore[misc]

    def instructor() -> None:
        """Looks at each rig that stopped after an experiment whose end is unknown, and opens it."""
        while n_open() or not is_over.wait(0.05):
            database.write_now(lambda c, now: c.execute(update(rig_table).values(state=rig_records.OPEN)))

    workers = {rig: [hire(rig), hire(rig)] for rig in rigs}
    students = [threading.Thread(target=instructor), *(threading.Thread(target=student, args=(person,)) for person in whose)]
    try:
        for thread in students:
            thread.start()
        for do in (signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL):
            for rig, team in workers.items():
                before = len(moves(logs[rig]))
                until(lambda rig=rig, before=before: len(moves(logs[rig])) > before + 1)  # type: ignore[misc]
                pid = int(moves(logs[rig])[-1][2])  # its rig has just begun to move
                (victim,) = (w for w in team if w.pid == pid)
                os.kill(pid, do)
                if do == signal.SIGSTOP:
                    end = fast() + 3 * fair_queue.LEASE
                    until(lambda end=end: fast() > end)  # type: ignore[misc]
                    os.kill(pid, signal.SIGCONT)
                else:
                    victim.join(30)
                    team.remove(victim)
                    team.append(hire(rig))
        is_over.set()
        for thread in students:
            thread.join(60)
        until(lambda: n_open() == 0)
    finally:
        is_over.set()
        for worker in itertools.chain(*workers.values()):
            worker.kill()
            worker.join(30)
    moved = {rig: Counter(identity for identity, _, _ in moves(log)) for rig, log in logs.items()}
    assert max(moved["mixer-1"].values()) == 1
    rows = database.read_now(lambda c: c.execute(select(experiment.c.id, experiment.c.rig, experiment.c.state)).all())
    stories = story(database)
    for identity, rig, state in rows:
        told = stories[identity]
        assert told[-1] == state
        assert state in (fair_queue.ENDS if rigs[rig] else ("succeeded", "failed", "aborted"))
        for step, then in itertools.pairwise(["", *told]):
            assert then in NEXT[step], told
        assert not rigs[rig] or "running" not in told or "queued" not in told[told.index("running") :], told
        assert state == "aborted" or moved[rig][identity] >= 1, told  # nothing is reported that did not happen
        assert sum(kind in ("succeeded", "failed") for kind in told) <= 1
    assert any(stories[identity].count("running") > 1 for identity, rig, _ in rows if not rigs[rig])  # a twin's was run again
    assert any("unknown" in stories[identity] for identity, rig, _ in rows if rigs[rig])
    assert {f.status for f in maintenance.findings(database_url)} <= {"ok", "warning"}
    database.close()


COSTS = (
    Amounts(seconds=10.0, money=0.01, volume=4.0),
    Amounts(seconds=25.0, money=0.12, volume=1.5),
    Amounts(seconds=1.0, money=0.3, volume=9.9),
    Amounts(),
)
LIMITS: tuple[dict[str, float], ...] = ({"runs": 4.0}, {"runs": 3.0, "rig_runs": 2.0}, {"seconds": 55.5, "money": 0.3}, {"volume": 9.9}, {})
RIGS = ("color-1", "mixer-1")
Draw = Callable[[st.SearchStrategy[Any]], Any]


class Ledgers(RuleBasedStateMachine):
    """Queue and ledger under any order of steps, with clocks that jump; beside them a model in plain Python.

    There is one rule, which draws a step of those that can be done now: of many rules, Hypothesis leaves some out of each run, and most
    runs would never come to an experiment that begins.
    """

    fresh: ClassVar[Callable[[], str]]
    """The URL of a fresh database."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1.8e9
        self.database = Database(type(self).fresh(), lambda: self.now)
        self.balance: dict[str, dict[str, float | None]] = {}
        self.reserved: dict[str, tuple[str, dict[str, float]]] = {}
        self.held: list[LeasedRow] = []
        """What workers hold, or believe that they do."""
        self.begun: Counter[str] = Counter()
        self.states: dict[str, str] = {}
        """After the last step."""
        for name in RIGS:
            new_rig(self.database, name, is_real=name == "mixer-1")

    def teardown(self) -> None:
        self.database.close()

    @initialize(limits=st.lists(st.sampled_from(LIMITS), min_size=2, max_size=3))
    def open_accounts(self, limits: list[dict[str, float]]) -> None:
        for limit in limits:
            whose = new_person(self.database, "Ada", **limit)
            self.balance[whose] = {k: limit.get(k) for k in KINDS}

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        n_queued = list(self.states.values()).count("queued")
        steps = [self.change_a_budget]
        if n_queued < 4:
            steps += [self.submit] * 3
        if n_queued:
            steps += [self.lease] * 3 + [self.abort]
        if self.held:
            steps += [self.begin, self.finish, self.finish, self.release, self.abort, self.set_clock, self.set_clock]
        data.draw(st.sampled_from(steps))(data.draw)

    def submit(self, draw: Draw) -> None:
        """Some at once, which share a transaction; of some, something else in the same change is refused."""
        whose, rig = draw(st.sampled_from(list(self.balance))), draw(st.sampled_from(RIGS))
        orders = draw(st.lists(st.tuples(st.sampled_from(COSTS), st.sampled_from([False, False, True])), min_size=1, max_size=3))
        for (cost, is_refused), answer in zip(orders, self._together(whose, rig, orders), strict=True):
            has_purse = rig == "mixer-1" and self.balance[whose]["rig_runs"] is not None
            asked = vars(cost) | {"runs": float(not has_purse), "rig_runs": float(has_purse)}
            may = all(left is None or asked[k] <= left for k, left in self.balance[whose].items())
            refusal = answer.exception()
            assert isinstance(refusal, BudgetExhausted) == (not may), refusal
            assert isinstance(refusal, Conflict) == (may and is_refused), refusal
            if may and not is_refused:
                self.reserved[str(answer.result().id)] = whose, asked
                self._move(whose, asked, -1)

    def lease(self, draw: Draw) -> None:
        worker, count = draw(st.sampled_from("aab")), draw(st.integers(1, 3))
        for rig in RIGS:
            try:
                taken = self.database.write_now(lambda c, now, rig=rig: fair_queue.lease(c, now, rig, worker, count))  # type: ignore[misc]
            except Conflict:
                assert rig == "mixer-1"
                continue
            self.held = [*self.held, *taken][-6:]  # the older ones have mostly ended
            for row in taken if draw(st.booleans()) else ():
                self._begin(row)

    def begin(self, draw: Draw) -> None:
        self._begin(draw(st.sampled_from(self.held)))

    def finish(self, draw: Draw) -> None:
        row, took, end = (draw(st.sampled_from(some)) for some in (self.held, [0.0, 3.0, 60.0], ["succeeded", "failed", "aborted"]))
        cost = Amounts(seconds=took, money=took / 100, volume=took / 10)
        measured = Measurement({"t_415": 0.5}, cost, {}) if end == "succeeded" else None
        was = self._row(row.id).state

        def report(c: Connection, now: float) -> ExperimentRow:
            return report_one(c, now, row.id, row.lease, measured, None, cost, {}, was_stopped=end == "aborted")

        try:
            told = self.database.write_now(report)
        except Conflict:
            return
        assert self.database.write_now(report).state == told.state  # told twice, it counts once
        if was in ("leased", "running"):
            whose, asked = self.reserved[row.id]
            spent = asked | cost.cost()
            self._move(whose, {k: asked[k] - min(asked[k], spent[k]) for k in KINDS}, 1)

    def abort(self, draw: Draw) -> None:
        identity = draw(st.sampled_from([i for i, state in self.states.items() if state in fair_queue.OPEN] or list(self.states)))
        was = self.states[identity]
        try:
            self.database.write_now(lambda c, now: fair_queue.abort(c, now, identity, "aborted"))
        except Conflict:
            assert was in fair_queue.ENDS
            return
        if was != "running":
            self._move(*self.reserved[identity], 1)

    def release(self, draw: Draw) -> None:
        row = draw(st.sampled_from(self.held))
        try:
            self.database.write_now(lambda c, now: fair_queue.release(c, now, row.id, row.lease))
        except Conflict:
            assert row.rig == "mixer-1"

    def set_clock(self, draw: Draw) -> None:
        """And somebody looks for leases that ran out."""
        self.now += draw(st.sampled_from([fair_queue.LEASE + 1, 5.0, 3600.0, -3600.0]))
        self.database.write_now(fair_queue.expire)

    def change_a_budget(self, draw: Draw) -> None:
        whose = draw(st.sampled_from(list(self.balance)))
        kind = draw(st.sampled_from(["seconds", "rig_runs"]))
        has = self.balance[whose][kind]
        if draw(st.booleans()):
            left = draw(st.none() | st.floats(0, 60))
            self.database.write_now(lambda c, now: ledger.set_left(c, now, whose, {kind: left}))
            self.balance[whose][kind] = left
            return
        plus = draw(st.floats(-50, 50))
        try:
            self.database.write_now(lambda c, now: ledger.grant(c, now, whose, {kind: plus}))
        except FrugalTwinError:
            assert has is None or has + plus < 1e-9
        else:
            self._move(whose, {kind: plus}, 1)

    @invariant()
    def balances_are_the_model_s_and_not_negative(self) -> None:
        for whose, expected in self.balance.items():
            found = self.database.read_now(lambda c, whose=whose: ledger.balance(c, whose))  # type: ignore[misc]
            assert found == pytest.approx(expected, abs=1e-9)
            assert all(left is None or left >= -1e-9 for left in found.values())

    @invariant()
    def reserve_is_settle_and_refund_for_what_ended(self) -> None:
        booked: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
        for row in self.database.read_now(lambda c: c.execute(select(entries)).mappings().all()):
            if row["experiment"]:
                assert row["kind"] not in booked[row["experiment"]]
                booked[row["experiment"]][row["kind"]] = {k: row[k] for k in KINDS}
        rows = self.database.read_now(lambda c: c.execute(select(experiment.c.id, experiment.c.state)).all())
        assert {row.id for row in rows} == set(booked) == set(self.reserved)
        for identity, state in rows:
            kinds = booked[identity]
            assert kinds["reserve"] == self.reserved[identity][1]
            assert set(kinds) == ({"reserve"} if state in fair_queue.OPEN else {"reserve", "settle", "refund"})
            if state not in fair_queue.OPEN:
                for k in KINDS:
                    assert kinds["settle"][k] >= 0
                    assert kinds["refund"][k] >= 0
                    assert kinds["reserve"][k] == pytest.approx(kinds["settle"][k] + kinds["refund"][k], abs=1e-9)

    @invariant()
    def a_real_rig_begins_each_once_and_events_have_no_gap(self) -> None:
        rows = self.database.read_now(lambda c: c.execute(select(experiment.c.id, experiment.c.state, experiment.c.rig)).all())
        for row in rows:
            if row.rig == "mixer-1":
                assert self.begun[row.id] <= 1
                assert self.states.get(row.id) != "running" or row.state not in ("queued", "leased")
        self.states = {row.id: row.state for row in rows}
        ids = self.database.read_now(lambda c: c.execute(select(event.c.id).order_by(event.c.id)).scalars().all())
        assert list(ids) == list(range(1, len(ids) + 1))

    def _together(self, whose: str, rig: str, orders: list[tuple[Amounts, bool]]) -> list[Future[ExperimentRow]]:
        gate = threading.Event()

        def change(cost: Amounts, is_refused: bool) -> Callable[[Connection, float], ExperimentRow]:
            def made(c: Connection, now: float) -> ExperimentRow:
                row = fair_queue.submit(c, now, order(whose, rig, cost))
                if is_refused:
                    raise Conflict("the campaign has ended")
                return row

            return made

        self.database.submit(lambda c, now: gate.wait(30))
        answers = [self.database.submit(change(*one)) for one in orders]
        gate.set()
        wait(answers, 30)
        return answers

    def _begin(self, row: LeasedRow) -> None:
        was = self._row(row.id)
        try:
            self.database.write_now(lambda c, now: fair_queue.begin(c, now, row.id, row.lease))
        except Conflict:
            return
        self.begun[row.id] += (was.state, was.lease) != ("running", row.lease)  # told twice, it began once

    def _row(self, identity: str) -> ExperimentRow:
        return self.database.read_now(lambda c: fair_queue.find(c, identity))

    def _move(self, whose: str, amount: dict[str, float], sign: int) -> None:
        account = self.balance[whose]
        for k, value in amount.items():
            if (has := account[k]) is not None:
                account[k] = has + sign * value


STEPS = settings(stateful_step_count=40, deadline=None, phases=[Phase.generate])  # what fails is told at once: to shrink it takes minutes


def test_budgets_hold_under_any_order_of_steps_on_sqlite(sqlite_file: Path, tmp_path: Path) -> None:
    numbers = itertools.count()

    class OnSqlite(Ledgers):
        @staticmethod
        def fresh() -> str:
            return f"sqlite:///{shutil.copy(sqlite_file, tmp_path / f'{next(numbers)}.db')}"

    run_state_machine_as_test(OnSqlite, settings=settings(STEPS, max_examples=times(8, 100)))


def test_budgets_hold_under_any_order_of_steps_on_postgresql(postgres: PostgresServer) -> None:
    class OnPostgresql(Ledgers):
        @staticmethod
        def fresh() -> str:
            return postgres.new_database()

    run_state_machine_as_test(OnPostgresql, settings=settings(STEPS, max_examples=times(3, 30)))
