"""Scores and standings are written once, when a trial ends: as all trials together would give them, and a look costs the same."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import Connection, delete, event

from api.records import campaign_trials, campaigns, entries, fair_queue, rigs, standings
from api.records.database import Database
from api.records.fair_queue import Ended, Order
from api.records.people import Caller
from api.records.rows import CampaignRow
from api.records.tables import score, standing
from frugaltwin.amounts import Amounts
from frugaltwin.experiment import Measurement
from frugaltwin.goals import Objective
from tests.service_database import SETTINGS, new_person, new_rig

GOALS = {
    "a score": "minimize:t_415",
    "a requirement": "minimize:t_415; require t_515 >= 0.3",
    "a front": "minimize:t_415; maximize:t_515; minimize:volume",
    "a map": "map:t_415:0.5",
}
CHANNELS = [f"t_{i}" for i in (415, 445, 480, 515, 555, 590, 630, 680)]


def started(database: Database, goal: str, whose: str | None = None) -> tuple[CampaignRow, Caller]:
    """A campaign of a program on the rig color-1."""
    whose = whose or new_person(database)
    caller = Caller(whose, "Ada", "student", frozenset({"read", "run:sim"}), "t_1", None)

    def change(c: Connection, now: float) -> CampaignRow:
        words = {"goal": goal, "strategy": None, "seed": 0, "budget": {"runs": 1e6}, "stop": None, "approve": False}
        return campaigns.start(c, now, whose, f"c{random.random()}", rigs.find(c, "color-1"), campaigns.CLIENT, words)

    return database.write_now(change), caller


def ended(c: Connection, now: float, row: CampaignRow, draw: random.Random, *, how: str = "") -> None:
    """One trial more, that ends in some way."""
    order = Order(row.person, row.rig, SETTINGS, Amounts(seconds=9.0), campaign=row.id, trial=campaigns.n_trials(c, row.id) + 1)
    made = fair_queue.submit(c, now, order)
    if (how or draw.choice(["measured"] * 4 + ["failed", "aborted", "nonsense"])) == "aborted":
        fair_queue.abort(c, now, made.id, "aborted by somebody")
        return
    (leased,) = fair_queue.lease(c, now, row.rig, "w", 1, twins_begin=True)
    outcomes = {name: round(draw.random(), 1) for name in CHANNELS}
    cost = Amounts(seconds=draw.choice([1.0, 2.0]), volume=draw.choice([4.0, 5.0]))
    fate = how or draw.choice(["measured"] * 4 + ["failed", "nonsense"])
    measured = None if fate == "failed" else Measurement({"t_415": 0.1} if fate == "nonsense" else outcomes, cost)
    end = Ended(leased.id, leased.lease, measured, None if measured else "the pump jammed", cost, {})
    (found,) = fair_queue.finish(c, now, [end])
    assert not isinstance(found, Exception)


def seen(database: Database, row: CampaignRow) -> tuple[Any, ...]:
    """All that views show of a campaign's trials."""

    def read(c: Connection) -> tuple[Any, ...]:
        found = campaign_trials.summary(c, row)
        scores = standings.scores_for(c, row, campaigns.rows_of(c, row.id))
        log = campaign_trials.log_of(c, row).trials
        return found.result, [x.trial for x in found.good], {k: round(v, 9) for k, v in vars(found.spent).items()}, scores, log

    return database.read_now(read)


@pytest.mark.parametrize("goal", GOALS.values(), ids=GOALS)
def test_what_is_kept_is_what_all_trials_together_give(database: Database, goal: str) -> None:
    """Failures, nonsense, corrections and corrections of corrections included; the sentence and the best are those of the goal itself."""
    new_rig(database)
    row, caller = started(database, goal)
    draw = random.Random(goal)
    for _ in range(25):
        database.write_now(lambda c, now: ended(c, now, row, draw))
    numbers = [t.number for t in database.read_now(lambda c: campaign_trials.log_of(c, row)).trials if t.measurement]
    for number in draw.sample(numbers, 6):
        for kind in draw.choice([("retraction",), ("amendment",), ("amendment", "retraction")]):
            words = {"number": number, "why": "w", **({"outcomes": {"t_415": round(draw.random(), 1)}} if kind == "amendment" else {})}
            database.write_now(lambda c, now, k=kind, w=words: entries.say(c, now, caller, row.id, k, w))  # type: ignore[misc]
        database.write_now(lambda c, now: ended(c, now, row, draw, how="measured"))
    kept = seen(database, row)
    trials, made = kept[-1], standings.goal_for(row)
    assert kept[0] == made.summary(trials)
    best = made.best(trials)
    assert kept[1] == ([t.number for t in made.front(trials)] if made.has_front else [best[0].number] if best else [])
    assert {n: s.score for n, s in kept[3].items()} == {t.number: made.score_of_trial(t) for t in trials}

    def forget(c: Connection, now: float) -> None:
        c.execute(delete(score))
        c.execute(delete(standing))

    database.write_now(forget)
    assert seen(database, row) == kept  # gone through all of them
    database.write_now(lambda c, now: standings.fill(c))
    assert seen(database, row) == kept


def test_a_look_at_a_campaign_reads_as_many_rows_however_many_trials_it_has(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look went through all trials and scored each: a student with 1,500 of them made everybody wait for ten seconds."""
    new_rig(database)
    row, _ = started(database, GOALS["a score"])
    draw = random.Random(0)
    work: list[str] = []
    once = Objective.score_of

    def counted(self: Objective, *words: Any) -> float:
        work.append("score")
        return once(self, *words)

    monkeypatch.setattr(Objective, "score_of", counted)

    def look() -> list[str]:
        work.clear()

        def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            work.append(statement)

        event.listen(database._engine, "before_cursor_execute", note)
        try:
            database.read_now(lambda c: campaign_trials.summary(c, row))
        finally:
            event.remove(database._engine, "before_cursor_execute", note)
        return list(work)

    for _ in range(3):
        database.write_now(lambda c, now: ended(c, now, row, draw, how="measured"))
    few = look()
    for _ in range(60):
        database.write_now(lambda c, now: ended(c, now, row, draw, how="measured"))
    assert look() == few
    assert few.count("score") == 1  # of the best, for the sentence


def test_a_trial_that_is_heard_of_late_counts_once(database: Database) -> None:
    """Its worker was given up, and came back: it is unknown, then it has succeeded."""
    real = new_rig(database, "mixer-1", is_real=True)
    whose = new_person(database)
    new_rig(database)
    row, _ = started(database, GOALS["a front"], whose)

    def late(c: Connection, now: float) -> None:
        made = fair_queue.submit(c, now, Order(whose, real, SETTINGS, Amounts(seconds=9.0), campaign=row.id, trial=1))
        (lost,) = fair_queue.lease(c, now, real, "w", 1)
        assert lost.id == made.id
        fair_queue.begin(c, now, lost.id, lost.lease)
        fair_queue.expire(c, now + 3600)
        assert standings.look(c, row)[0].tally.n_measured == 0
        measured = Measurement(dict.fromkeys(CHANNELS, 0.5), Amounts(seconds=2.0))
        fair_queue.finish(c, now, [Ended(lost.id, lost.lease, measured, None, measured.cost, {})])

    database.write_now(late)
    sums, good = database.read_now(lambda c: standings.look(c, row))
    assert (sums.tally.n_trials, sums.tally.n_measured, sums.spent) == (1, 1, Amounts(runs=1, seconds=2.0))
    assert list(good) == [1]


def test_a_goal_that_breaks_keeps_no_measurement_from_being_stored(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another package, say."""
    new_rig(database)
    row, _ = started(database, GOALS["a score"])
    draw = random.Random(0)
    database.write_now(lambda c, now: ended(c, now, row, draw, how="measured"))
    before = seen(database, row)[2]

    def broken(*_: object) -> float:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(type(standings.goal_for(row)), "losses", broken)
        database.write_now(lambda c, now: ended(c, now, row, draw, how="measured"))
    assert seen(database, row)[2]["runs"] == before["runs"] + 1
