"""A twin for each campaign: nobody's readings depend on what others do, on kills, or on which worker performs them."""

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from api.records import campaigns, fair_queue, rigs, twins
from api.records.database import Database
from api.records.fair_queue import ENDS, FAILED, SUCCEEDED, Order
from api.records.rows import ExperimentRow, fetched
from api.records.tables import experiment
from api.workers.local_desk import LocalDesk
from api.workers.worker import RigWords, Worker
from frugaltwin.amounts import Amounts
from frugaltwin.catalog import make_driver, random_settings
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Settings
from tests.forms import times
from tests.service_database import new_person, until

CAMPAIGNS, TRIALS, PEOPLE = times(20, 50), 6, 5
Json = dict[str, Any]


@contextmanager
def worker_of(database: Database, rig: RigWords, folder: Path, n_twins: int = 64, name: str = "w") -> Iterator[Worker]:
    """A worker of a rig, at work."""
    worker = Worker(rig, LocalDesk(database, rig.name, name), name, folder, n_twins)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.end()
        thread.join(60)
        assert not thread.is_alive()


def register(database: Database, rig: RigWords) -> None:
    """Make a twin known."""
    database.write_now(lambda c, now: rigs.register(c, now, rig.name, rig.driver, rig.options, False, is_shared=rig.is_shared))


def begin(database: Database, rig: RigWords, whose: str, name: str, seed: int = 0, goal: str = "match-color:#8fb04a") -> str:
    """The id of a new campaign whose trials a program submits."""
    row = database.read_now(lambda c: rigs.find(c, rig.name))
    words = {"goal": goal, "strategy": None, "seed": seed, "budget": {"runs": 100}, "stop": None, "approve": False}
    return database.write_now(lambda c, now: campaigns.start(c, now, whose, name, row, campaigns.CLIENT, words)).id


@cache
def drawn(driver: str) -> list[Settings]:
    """Random settings."""
    return random_settings(make_driver(driver), 500)


def submit(database: Database, rig: RigWords, whose: str, campaign: str | None, trial: int | None, seed: int) -> str:
    """The id of an experiment with the random settings of that number."""
    settings = drawn(rig.driver)[seed]
    one = Order(whose, rig.name, settings, Amounts(seconds=60.0), campaign=campaign, trial=trial)
    return database.write_now(lambda c, now: fair_queue.submit(c, now, one)).id


def rows(database: Database) -> list[ExperimentRow]:
    """All experiments, in the order in which they were submitted."""
    return database.read_now(lambda c: fetched(ExperimentRow, c.execute(select(experiment).order_by(experiment.c.number))))


def n_ended(database: Database) -> int:
    return sum(row.state in ENDS for row in rows(database))


def read_at_home(rig: RigWords, seed: int, performed: list[ExperimentRow]) -> list[Json]:
    """The results of the same settings on a twin with that key that nobody else uses."""
    with make_driver(rig.driver, rig.options, seed=seed) as twin:
        found = [twin.perform(row.settings) for row in performed]
    return [json.loads(json.dumps({"outcomes": m.outcomes, "raw": m.raw, "cost": m.cost.cost()})) for m in found]


def pasts(database: Database) -> dict[str, list[ExperimentRow]]:
    """The experiments of each twin, in the order in which it performed them."""
    found: dict[str, list[ExperimentRow]] = {}
    for row in sorted((row for row in rows(database) if row.twin), key=lambda row: row.twin_number or 0):
        assert row.twin is not None
        found.setdefault(row.twin, []).append(row)
    for past in found.values():
        assert [row.twin_number for row in past] == list(range(1, len(past) + 1))
    return found


@pytest.mark.timing
def test_many_campaigns_at_once_read_what_each_reads_alone_at_home_whatever_is_killed(database_url: str, tmp_path: Path) -> None:
    database, rig = Database(database_url), RigWords("color-1", "color-mixing")
    register(database, rig)
    people = [new_person(database, f"s{i}") for i in range(PEOPLE)]
    started = [begin(database, rig, people[i % PEOPLE], f"c{i}", seed=i) for i in range(CAMPAIGNS)]
    for trial in range(1, TRIALS + 1):
        for i, campaign in enumerate(started):
            submit(database, rig, people[i % PEOPLE], campaign, trial, seed=60 * trial + i)
        for i, whose in enumerate(people):
            submit(database, rig, whose, None, None, seed=60 * trial + CAMPAIGNS + i)
    all_of_them = rows(database)
    total = len(all_of_them)
    chance = random.Random(1)
    for share in (0.2, 0.4, 0.6):
        with worker_of(database, rig, tmp_path, n_twins=20) as worker:
            for row in chance.sample(all_of_them, 5):  # whatever it is doing at the moment
                if database.read_now(lambda c, row=row: fair_queue.find(c, row.id)).state not in ENDS:  # type: ignore[misc]
                    database.write_now(lambda c, now, row=row: fair_queue.abort(c, now, row.id, "not wanted"))  # type: ignore[misc]
            until(lambda share=share: n_ended(database) >= share * total)  # type: ignore[misc]
            until(lambda worker=worker: worker._driver.is_alive)  # type: ignore[misc]
            assert worker._driver._child is not None
            worker._driver._child.kill()
            until(lambda share=share: n_ended(database) >= (share + 0.1) * total)  # type: ignore[misc]
    with worker_of(database, rig, tmp_path):
        until(lambda: n_ended(database) == total)
    by_twin = pasts(database)
    assert set(by_twin) == {*started, *(f"{whose}:color-1" for whose in people)}
    assert {row.state for row in rows(database) if not row.twin} == {"aborted"}
    keys = {twin: {(row.provenance or {})["seed"] for row in past} for twin, past in by_twin.items()}
    assert all(len(found) == 1 for found in keys.values())
    assert len({next(iter(found)) for found in keys.values()}) == len(by_twin)
    for twin, past in by_twin.items():
        assert [row.result for row in past] == read_at_home(rig, next(iter(keys[twin])), past)
    database.close()


def test_a_campaign_with_the_same_seed_reads_the_same_again_and_another_persons_something_else(sqlite_url: str, tmp_path: Path) -> None:
    database, rig = Database(sqlite_url), RigWords("color-1", "color-mixing")
    register(database, rig)
    ada, ben = (new_person(database, name) for name in ("Ada", "Ben"))
    first, again, other, bens = (
        begin(database, rig, whose, name, seed) for whose, name, seed in ((ada, "a", 7), (ada, "b", 7), (ada, "c", 8), (ben, "a", 7))
    )
    for trial in (1, 2):
        for whose, campaign in ((ada, first), (ada, again), (ada, other), (ben, bens)):
            submit(database, rig, whose, campaign, trial, seed=trial)
    with worker_of(database, rig, tmp_path):
        until(lambda: n_ended(database) == 8)
    read = {twin: [row.result for row in past] for twin, past in pasts(database).items()}
    assert read[first] == read[again]
    assert read[first] != read[other]
    assert read[first] != read[bens]
    database.close()


def test_a_failed_experiment_has_its_place_in_the_past_of_its_twin(sqlite_url: str, tmp_path: Path) -> None:
    """Most random settings of the light saturate a channel."""
    database, rig = Database(sqlite_url), RigWords("light-1", "light-mixing", {"seed": 5})
    register(database, rig)
    ada = new_person(database, "Ada")
    for seed in range(12):
        submit(database, rig, ada, None, None, seed)
    with worker_of(database, rig, tmp_path):
        until(lambda: n_ended(database) == 12)
    (past,) = pasts(database).values()
    assert {row.state for row in past} == {SUCCEEDED, FAILED}
    assert {(row.provenance or {})["seed"] for row in past} == {5}
    with make_driver(rig.driver, rig.options) as twin:
        for row in past:
            if row.state == FAILED:
                with pytest.raises(Exception, match="saturated"):
                    twin.perform(row.settings)
            else:
                assert row.result["outcomes"] == twin.perform(row.settings).outcomes
    database.close()


def test_a_shared_twin_is_one_for_everybody_and_real_rigs_are_shared_anyway(sqlite_url: str, tmp_path: Path) -> None:
    database, rig = Database(sqlite_url), RigWords.parse("color-1=color-mixing,shared=true")
    register(database, rig)
    for k in range(4):
        submit(database, rig, new_person(database, f"s{k}"), None, None, k)
    with worker_of(database, rig, tmp_path):
        until(lambda: n_ended(database) == 4)
    ((twin, past),) = pasts(database).items()
    assert twin == "color-1"
    assert [row.result for row in past] == read_at_home(rig, (past[0].provenance or {})["seed"], past)
    with pytest.raises(InvalidInput, match="everybody shares"):
        RigWords.parse("color-1=color-mixing,mixer=/dev/ttyACM0,shared=true")
    with pytest.raises(InvalidInput, match=r"true .* or false"):
        RigWords.parse("color-1=color-mixing,shared=maybe")
    database.close()


def test_what_an_experiment_costs_depends_on_the_campaign_s_own_last_one_and_on_nobody_else_s(sqlite_url: str, tmp_path: Path) -> None:
    """On a wafer the way is paid for. Prices went up and down with what others had done just before."""
    database, rig = Database(sqlite_url), RigWords.parse("wafer-1=wafer,look=spectrum,dwell=1")
    register(database, rig)
    known = rigs.Rigs()
    left, right = ({"x": x, "y": 0.0} for x in (-30.0, 30.0))
    mine, others = (begin(database, rig, new_person(database, f"s{k}"), "c", goal="map:phase") for k in range(2))
    rows_of = {identity: database.read_now(lambda c, i=identity: campaigns.find(c, i)) for identity in (mine, others)}  # type: ignore[misc]

    def price(campaign: str, settings: Settings) -> Amounts:
        def read(c: Connection) -> Amounts:
            found, row = known.get(c, rig.name)
            return found.estimate(settings, twins.past_of(c, row, rows_of[campaign].person, campaign))

        return database.read_now(read)

    for n, (campaign, at, trial) in enumerate(((mine, left, 1), (others, right, 1), (others, right, 2)), start=1):
        one = Order(rows_of[campaign].person, rig.name, at, price(campaign, at), campaign=campaign, trial=trial)
        database.write_now(lambda c, now, one=one: fair_queue.submit(c, now, one))  # type: ignore[misc]
        with worker_of(database, rig, tmp_path):
            until(lambda n=n: n_ended(database) == n)  # type: ignore[misc]
    assert price(mine, left) == price(others, right)
    assert price(mine, right).seconds == pytest.approx(price(mine, left).seconds + 60 / 10 + 0.5), "60 mm, and to settle"
    for past in pasts(database).values():
        assert [row.result["cost"] for row in past] == [one["cost"] for one in read_at_home(rig, (past[0].provenance or {})["seed"], past)]
    database.close()
