"""P2, P3 and P7: histories that machines, kills and stalls write, checked against what the service promises.

P1 is in `test_kill`, P4 in `test_privacy`.
"""

import itertools
import multiprocessing
import os
import random
import shutil
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select, text

from api import ledger, queue, upkeep
from api.database import Database
from api.ledger import KINDS, BudgetExhausted
from api.queue import Conflict
from api.tables import event, experiment
from api.tables import ledger as entries
from frugaltwin.costs import Cost
from frugaltwin.experiment import Measurement
from tests.service_database import PostgresServer, new_person, new_rig, order, submit, until

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
            rows = database.write_now(lambda c, now: queue.lease(c, now, rig, name, dice.choice((1, 1, 3))))
        except Conflict:  # another worker drives this rig
            rows = []
        for row in rows:
            try:
                database.write_now(lambda c, now, row=row: queue.begin(c, now, row["id"], row["lease"]))  # type: ignore[misc]
                with Path(log).open("ab", buffering=0) as file:
                    file.write(f"{row['id']} {name} {os.getpid()}\n".encode())
                time.sleep(dice.uniform(0, 0.08))
                measured = Measurement({"t_415": 0.5}, Cost(seconds=2.0), {})
                is_good = dice.random() < 0.9
                database.write_now(
                    lambda c, now, row=row, measured=measured, is_good=is_good: queue.finish(  # type: ignore[misc]
                        c, now, row["id"], row["lease"], measured if is_good else None, None if is_good else "jammed", measured.cost, {}
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


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL and SIGSTOP")
def test_no_experiment_runs_twice_on_a_real_rig_whatever_happens_to_its_workers(database_url: str, tmp_path: Path) -> None:
    database = Database(database_url, fast)
    rigs = {"mixer-1": True, "color-1": False}
    logs = {rig: tmp_path / rig for rig in rigs}
    whose = [new_person(database, f"s{i}", runs=1e6) for i in range(3)]
    for rig, is_real in rigs.items():
        new_rig(database, rig, is_real=is_real)
    spawned = multiprocessing.get_context("spawn")
    names = (f"w{i}" for i in itertools.count())

    def hire(rig: str) -> BaseProcess:
        worker = spawned.Process(target=drive, args=(database_url, rig, next(names), str(logs[rig])), daemon=True)
        worker.start()
        return worker

    is_over = threading.Event()
    is_open = select(func.count()).where(experiment.c.state.in_(queue.OPEN))

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
                    database.write_now(lambda c, now, identity=identity: queue.abort(c, now, identity, "aborted"))  # type: ignore[misc]

    workers = {rig: [hire(rig), hire(rig)] for rig in rigs}
    students = [threading.Thread(target=student, args=(person,)) for person in whose]
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
                    end = fast() + 3 * queue.LEASE
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
        assert state in (queue.ENDS if rigs[rig] else ("succeeded", "failed", "aborted"))
        for step, then in itertools.pairwise(["", *told]):
            assert then in NEXT[step], told
        assert not rigs[rig] or "running" not in told or "queued" not in told[told.index("running") :], told
        assert state == "aborted" or moved[rig][identity] >= 1, told  # nothing is reported that did not happen
        assert sum(kind in ("succeeded", "failed") for kind in told) <= 1
    assert any(stories[identity].count("running") > 1 for identity, rig, _ in rows if not rigs[rig])  # a twin's was run again
    assert any("unknown" in stories[identity] for identity, rig, _ in rows if rigs[rig])
    assert {f.status for f in upkeep.findings(database_url)} <= {"ok", "warning"}
    database.close()


class Ledgers(RuleBasedStateMachine):
    """Queue and ledger under any order of steps, with clocks that jump; beside them a model in plain Python."""

    submitted = Bundle("submitted")
    held = Bundle("held")
    fresh: ClassVar[Callable[[], str]]
    """The URL of a fresh database."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1.8e9
        self.database = Database(type(self).fresh(), lambda: self.now)
        self.balance: dict[str, dict[str, float | None]] = {}
        self.reserved: dict[str, tuple[str, dict[str, float]]] = {}
        self.begun: Counter[str] = Counter()
        for name, is_real in (("color-1", False), ("mixer-1", True)):
            new_rig(self.database, name, is_real=is_real)

    def teardown(self) -> None:
        self.database.close()

    @initialize(
        limits=st.lists(st.sampled_from([{"runs": 4.0}, {"seconds": 55.5, "money": 0.3}, {"volume": 9.9}, {}]), min_size=2, max_size=3)
    )
    def open_accounts(self, limits: list[dict[str, float]]) -> None:
        for limit in limits:
            whose = new_person(self.database, "Ada", **limit)
            self.balance[whose] = {k: limit.get(k) for k in KINDS}

    @rule(
        target=submitted,
        n=st.integers(0, 2),
        rig=st.sampled_from(["color-1", "mixer-1"]),
        cost=st.builds(Cost, seconds=st.floats(0, 30), money=st.floats(0, 0.2), volume=st.floats(0, 4)),
    )
    def submit(self, n: int, rig: str, cost: Cost) -> str | None:
        whose = list(self.balance)[n % len(self.balance)]
        asks = {"runs": 1.0, "seconds": cost.seconds, "money": cost.money, "volume": cost.volume}
        has = self.database.read_now(lambda c: ledger.balance(c, whose))
        may = all(left is None or asks[k] <= left for k, left in has.items())
        try:
            identity = str(self.database.write_now(lambda c, now: queue.submit(c, now, order(whose, rig, cost)))["id"])
        except BudgetExhausted:
            assert not may
            return None
        assert may
        self.reserved[identity] = whose, asks
        self._move(whose, asks, -1)
        return identity

    @rule(target=held, rig=st.sampled_from(["color-1", "mixer-1"]), worker=st.sampled_from("ab"), count=st.integers(1, 3))
    def lease(self, rig: str, worker: str, count: int) -> list[dict[str, Any]]:
        before = self._states()
        try:
            rows = self.database.write_now(lambda c, now: queue.lease(c, now, rig, worker, count))
        except Conflict:
            assert rig == "mixer-1"
            return []
        self._follow(before)
        return rows

    @rule(rows=held)
    def begin(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            was = self._states()[row["id"]]
            try:
                self.database.write_now(lambda c, now, row=row: queue.begin(c, now, row["id"], row["lease"]))  # type: ignore[misc]
            except Conflict:
                continue
            self.begun[row["id"]] += was == "leased"

    @rule(
        rows=held,
        took=st.floats(0, 60),
        end=st.sampled_from(["succeeded", "failed", "aborted"]),
    )
    def finish(self, rows: list[dict[str, Any]], took: float, end: str) -> None:
        cost = Cost(seconds=took, money=took / 100, volume=took / 10)
        measured = Measurement({"t_415": 0.5}, cost, {}) if end == "succeeded" else None
        for row in rows:
            was = self._states()[row["id"]]
            try:
                self.database.write_now(
                    lambda c, now, row=row: queue.finish(  # type: ignore[misc]
                        c, now, row["id"], row["lease"], measured, None, cost, {}, was_stopped=end == "aborted"
                    )
                )
            except Conflict:
                continue
            if was in ("leased", "running"):
                whose, asked = self.reserved[row["id"]]
                spent = {"runs": 1.0, "seconds": cost.seconds, "money": cost.money, "volume": cost.volume}
                self._move(whose, {k: asked[k] - min(asked[k], spent[k]) for k in KINDS}, 1)

    @rule(identity=submitted)
    def abort(self, identity: str | None) -> None:
        if identity is None:
            return
        was = self._states()[identity]
        try:
            self.database.write_now(lambda c, now: queue.abort(c, now, identity, "aborted"))
        except Conflict:
            assert was in queue.ENDS
            return
        if was != "running":
            whose, asked = self.reserved[identity]
            self._move(whose, asked, 1)

    @rule(rows=consumes(held))
    def release(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            try:
                self.database.write_now(lambda c, now, row=row: queue.release(c, now, row["id"], row["lease"]))  # type: ignore[misc]
            except Conflict:
                assert row["rig"] == "mixer-1"

    @rule(seconds=st.sampled_from([1.0, 29.0, 31.0, 3600.0, -3600.0]))
    def set_clock(self, seconds: float) -> None:
        self.now += seconds

    @rule(n=st.integers(0, 2), seconds=st.floats(0, 50))
    @precondition(lambda self: bool(self.balance))
    def grant(self, n: int, seconds: float) -> None:
        whose = list(self.balance)[n % len(self.balance)]
        more = {k: (seconds if k == "seconds" else 0.0) if has is not None else None for k, has in self.balance[whose].items()}
        self.database.write_now(lambda c, now: ledger.grant(c, now, whose, more))
        self._move(whose, {"seconds": seconds}, 1)

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
        for identity, state in self._states().items():
            kinds = booked[identity]
            assert set(kinds) == ({"reserve"} if state in queue.OPEN else {"reserve", "settle", "refund"})
            if state not in queue.OPEN:
                for k in KINDS:
                    assert kinds["settle"][k] >= 0
                    assert kinds["refund"][k] >= 0
                    assert kinds["reserve"][k] == pytest.approx(kinds["settle"][k] + kinds["refund"][k], abs=1e-9)

    @invariant()
    def a_real_rig_begins_each_once_and_events_have_no_gap(self) -> None:
        real = self.database.read_now(lambda c: c.execute(text("select id from experiment where rig = 'mixer-1'")).scalars().all())
        assert all(self.begun[identity] <= 1 for identity in real)
        ids = self.database.read_now(lambda c: c.execute(select(event.c.id).order_by(event.c.id)).scalars().all())
        assert list(ids) == list(range(1, len(ids) + 1))

    def _states(self) -> dict[str, str]:
        return {row.id: row.state for row in self.database.read_now(lambda c: c.execute(select(experiment.c.id, experiment.c.state)).all())}

    def _follow(self, before: dict[str, str]) -> None:
        """What ended by itself, for leases that ran out, is paid for in full: the model's balance stays."""
        for identity, state in self._states().items():
            if state != before[identity] and state == "unknown":
                assert before[identity] == "running"

    def _move(self, whose: str, amount: dict[str, float], sign: int) -> None:
        account = self.balance[whose]
        for k, value in amount.items():
            if (has := account[k]) is not None:
                account[k] = has + sign * value


def test_budgets_hold_under_any_order_of_steps_on_sqlite(sqlite_file: Path, tmp_path: Path) -> None:
    numbers = itertools.count()

    class OnSqlite(Ledgers):
        @staticmethod
        def fresh() -> str:
            return f"sqlite:///{shutil.copy(sqlite_file, tmp_path / f'{next(numbers)}.db')}"

    run_state_machine_as_test(OnSqlite, settings=settings(max_examples=25, stateful_step_count=25, deadline=None))


def test_budgets_hold_under_any_order_of_steps_on_postgresql(postgres: PostgresServer) -> None:
    class OnPostgresql(Ledgers):
        @staticmethod
        def fresh() -> str:
            return postgres.new_database()

    run_state_machine_as_test(OnPostgresql, settings=settings(max_examples=8, stateful_step_count=25, deadline=None))
