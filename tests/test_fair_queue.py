"""The queue of a rig is fair over people: nobody waits for another's pile, nobody saves up, nobody starves."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from api.records import fair_queue, people, rigs
from api.records.database import Database
from frugaltwin.amounts import Amounts
from frugaltwin.experiment import Measurement
from tests.forms import times
from tests.service_database import SETTINGS, report_one

EPSILON = 1e-6  # s, of sums of floats
_names = count()


@dataclass
class Day:
    """A rig and its people in virtual time: nothing happens but what is written here."""

    connection: Connection
    rig: str
    now: float = 0.0
    clock: float = 0.0
    """Of the rig's virtual time."""
    asked: dict[str, tuple[str, float, float]] = field(default_factory=dict)
    """Who, when, and up to which virtual time they had to wait, by experiment."""
    began: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)

    def submit(self, person: str, seconds: float, n: int = 1, is_urgent: bool = False) -> list[str]:
        made = []
        for _ in range(n):
            row = fair_queue.submit(
                self.connection, self.now, fair_queue.Order(person, self.rig, SETTINGS, Amounts(seconds=seconds), is_urgent)
            )
            self.asked[row.id] = person, self.now, row.tag
            made.append(row.id)
        return made

    def serve(self, batch: int = 1) -> list[str]:
        """The rig performs what is its turn; the time goes on. What it did; nothing when nobody waits."""
        done = []
        for row in fair_queue.lease(self.connection, self.now, self.rig, "worker", batch):
            identity, lease = row.id, row.lease
            if not row.lane:
                self.clock = max(self.clock, row.tag)
            fair_queue.begin(self.connection, self.now, identity, lease)
            self.began[identity] = self.now
            self.now += row.seconds
            cost = Amounts(seconds=row.seconds)
            report_one(self.connection, self.now, identity, lease, Measurement({"L": 50.0}, cost), None, cost, {})
            self.ended[identity] = self.now
            done.append(identity)
        return done

    def seconds_of(self, person: str, up_to: float) -> float:
        """How long the rig has worked for somebody."""
        return sum(self.ended[i] - self.began[i] for i in self.ended if self.asked[i][0] == person and self.ended[i] <= up_to)


class Class:
    """People of one database, and a fresh rig for every day."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def people(self, n: int) -> list[str]:
        limits: dict[str, float | None] = {}
        return self._database.write_now(lambda c, now: [people.add_person(c, now, f"p{i}", "student", limits) for i in range(n)])

    def day(self, what: Callable[[Day], None]) -> None:
        def change(connection: Connection, now: float) -> None:
            rig = f"rig-{next(_names)}"
            rigs.register(connection, now, rig, "color-mixing", {}, is_real=False)
            what(Day(connection, rig))

        self._database.write_now(change)


@pytest.fixture
def course(database: Database) -> Class:
    return Class(database)


@pytest.fixture(scope="module")
def one_class(sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Class, list[str]]]:
    """The same people for every example of a property."""
    path = tmp_path_factory.mktemp("queue") / "service.db"
    shutil.copy(sqlite_file, path)
    database = Database(f"sqlite:///{path}")
    course = Class(database)
    yield course, course.people(4)
    database.close()


@pytest.mark.parametrize("batch", [1, 20])
def test_a_greedy_client_makes_nobody_else_wait_longer_than_twice_a_fair_share(course: Class, batch: int) -> None:
    greedy, *modest = course.people(51)
    seconds, each = 60.0, 2

    def day(d: Day) -> None:
        d.submit(greedy, seconds, 1000)
        theirs = {person: d.submit(person, seconds, each) for person in modest}
        while not all(i in d.ended for made in theirs.values() for i in made):
            d.serve(batch)
        fair = (len(modest) + 1) * each * seconds  # when everybody would be done who gets one part in 51
        waits = {person: max(d.ended[i] for i in made) for person, made in theirs.items()}
        assert max(waits.values()) <= 2 * fair
        assert fair / 2 <= d.seconds_of(greedy, d.now) * (len(modest) + 1)  # nor does the greedy one wait for the modest

    course.day(day)


def test_who_comes_while_a_greedy_client_is_served_is_next(course: Class) -> None:
    greedy, late = course.people(2)

    def day(d: Day) -> None:
        d.submit(greedy, 60.0, 200)
        for _ in range(50):
            d.serve()
        came = d.now
        (hers,) = d.submit(late, 60.0)
        d.serve()
        d.serve()
        assert d.began[hers] - came <= 60.0

    course.day(day)


def test_turns_are_counted_in_seconds_and_not_in_experiments(course: Class) -> None:
    slow, quick = course.people(2)

    def day(d: Day) -> None:
        d.submit(slow, 100.0, 30)
        d.submit(quick, 10.0, 300)
        while d.now < 2000.0:
            d.serve()
        assert abs(d.seconds_of(slow, d.now) - d.seconds_of(quick, d.now)) <= 100.0 + 10.0

    course.day(day)


def test_nobody_saves_up_by_being_away(course: Class) -> None:
    there, away = course.people(2)

    def day(d: Day) -> None:
        d.submit(there, 10.0, 200)
        for _ in range(100):
            d.serve()
        d.submit(away, 10.0, 100)
        start = d.now
        while d.now < start + 400.0:
            d.serve()
        shares = [d.seconds_of(p, d.now) - (start if p == there else 0.0) for p in (there, away)]
        assert abs(shares[0] - shares[1]) <= 20.0

    course.day(day)


def test_the_instructor_goes_first_and_costs_a_newcomer_no_turn(course: Class) -> None:
    instructor, greedy, late = course.people(3)

    def day(d: Day) -> None:
        d.submit(greedy, 10.0, 50)
        urgent = d.submit(instructor, 10.0, 20, is_urgent=True)
        assert [i for _ in urgent for i in d.serve()] == urgent
        (hers,) = d.submit(late, 10.0)
        d.serve()
        d.serve()
        assert hers in d.ended  # and not behind the greedy one's fifty

    course.day(day)


def test_what_was_taken_back_costs_no_turn(course: Class) -> None:
    hasty, other = course.people(2)

    def day(d: Day) -> None:
        d.submit(other, 10.0, 100)
        for identity in d.submit(hasty, 10.0, 50):
            fair_queue.abort(d.connection, d.now, identity, "a mistake")
        (again,) = d.submit(hasty, 10.0)
        d.serve()
        d.serve()
        assert again in d.ended

    course.day(day)


def test_nobody_keeps_a_place_for_later_by_taking_back_what_went_before_it(course: Class) -> None:
    hasty, other, late = course.people(3)

    def day(d: Day) -> None:
        d.submit(other, 10.0, 100)
        for _ in range(20):
            *before, _ = d.submit(hasty, 10.0, 50)  # the last of each fifty is kept
            for identity in before:
                fair_queue.abort(d.connection, d.now, identity, "only to keep the place behind it")
        while d.now < 450.0:
            d.serve()
        (hers,) = d.submit(late, 10.0)
        came = d.now
        while hers not in d.ended:
            d.serve()
        assert d.began[hers] - came <= 2 * 10.0  # one of everybody else's, and not twenty of his
        assert d.seconds_of(hasty, came) >= 200.0 - 2 * 10.0  # nor is he worse off

    course.day(day)


def test_what_takes_no_time_by_its_estimate_does_not_go_before_everybody(course: Class) -> None:
    quick, other = course.people(2)

    def day(d: Day) -> None:
        d.submit(quick, 0.0, 100)
        (theirs,) = d.submit(other, 0.0)
        d.serve()
        d.serve()
        assert theirs in d.ended

    course.day(day)


def test_urgent_experiments_cost_an_instructor_no_turn_of_what_is_not_urgent(course: Class) -> None:
    instructor, greedy = course.people(2)

    def day(d: Day) -> None:
        d.submit(greedy, 10.0, 50)
        (one,) = d.submit(instructor, 10.0)  # of a campaign
        taken_back, *_ = d.submit(instructor, 10.0, 21, is_urgent=True)
        fair_queue.abort(d.connection, d.now, taken_back, "a mistake")  # which gives no turn back
        (two,) = d.submit(instructor, 10.0)
        for _ in range(20):
            d.serve()
        d.serve(2)
        assert one in d.ended
        d.serve()
        assert two not in d.ended
        d.serve()
        assert two in d.ended

    course.day(day)


Step = tuple[str, int, float]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.integers(0, 3), st.floats(1.0, 100.0)),
        st.tuples(st.just("pile"), st.integers(0, 3), st.floats(1.0, 20.0)),
        st.tuples(st.just("serve"), st.just(0), st.just(0.0)),
        st.tuples(st.just("abort"), st.integers(0, 3), st.floats(0.0, 1.0)),
        st.tuples(st.just("rest"), st.just(0), st.floats(0.0, 50.0)),
    ),
    max_size=40,
)


@settings(max_examples=times(20, 1000))
@given(steps)
def test_nobody_starves_whoever_comes_when(one_class: tuple[Class, list[str]], steps: list[Step]) -> None:
    """In the virtual time that an experiment has to wait, W, each other person gets at most W and one more experiment.

    So with N people and experiments of at most s seconds nobody waits longer than N (W + s) and what was under way, whatever comes later.
    """
    course, everybody = one_class

    def day(d: Day) -> None:
        windows: dict[str, float] = {}
        longest: dict[str, float] = defaultdict(float)
        for kind, who, seconds in steps:
            if kind in ("submit", "pile"):
                for identity in d.submit(everybody[who], seconds, 10 if kind == "pile" else 1):
                    windows[identity] = d.asked[identity][2] - d.clock
                longest[everybody[who]] = max(longest[everybody[who]], seconds)
            elif kind == "abort":
                if waiting := [i for i, (person, *_) in d.asked.items() if person == everybody[who] and i not in d.ended]:
                    one = waiting[int(seconds * (len(waiting) - 1))]
                    fair_queue.abort(d.connection, d.now, one, "a mistake")
                    del d.asked[one]
            elif kind == "serve":
                d.serve()
            else:
                while d.serve():  # a rig does not rest while somebody waits
                    pass
                d.now += seconds
        while d.serve():
            pass
        assert d.ended.keys() == d.asked.keys()
        for identity, (_, at, _) in d.asked.items():
            assert windows[identity] >= 0
            bound = sum(windows[identity] + s for s in longest.values()) + max(longest.values())
            assert d.began[identity] - at <= bound + EPSILON * len(steps)

    course.day(day)


def test_an_experiments_place_in_the_queue_says_when_it_begins(course: Class) -> None:
    greedy, late = course.people(2)

    def day(d: Day) -> None:
        d.submit(greedy, 10.0, 20)
        (hers,) = d.submit(late, 30.0)
        row = fair_queue.find(d.connection, hers)
        position, eta = fair_queue.place(d.connection, row)
        while hers not in d.began:
            d.serve()
        assert (position, eta) == (len(d.ended) - 1, d.began[hers])

    course.day(day)
