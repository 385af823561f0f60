"""A look at a campaign of many trials, against one of few: the service keeps what a campaign has come to.

    python -m benchmarks.campaign_view [--trials 10000]

The campaigns are in a SQLite file, both looked at in turn; the promise is a ratio of at most 1.5, however many trials there are.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from statistics import median
from time import perf_counter
from typing import Any

from api import migrations
from api.records import campaigns, fair_queue, ledger, people, rigs
from api.records.database import Database
from api.records.fair_queue import Ended, Order
from api.records.rows import CampaignRow
from api.routes.campaigns import _status
from api.routes.dependencies import as_json
from frugaltwin.amounts import Amounts
from frugaltwin.experiment import Measurement

FEW, LOOKS, AT_ONCE = 10, 300, 200
COST = Amounts(seconds=60.0, volume=4.0)
WHO = people.Caller("u_1", "Ms. Curie", "instructor", frozenset({"read", "admin"}), "t_1", None)
SETTINGS = {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}
CHANNELS = [f"t_{wavelength}" for wavelength in (415, 445, 480, 515, 555, 590, 630, 680)]
WORDS = {"goal": "minimize:t_415", "strategy": None, "seed": 0, "budget": {"runs": 1e6}, "stop": None, "approve": False}


def filled(database: Database, name: str, n: int) -> CampaignRow:
    """A campaign with so many trials that have ended."""
    draw = random.Random(n)

    def start(c: Any, now: float) -> CampaignRow:
        rigs.register(c, now, name, "color-mixing", {}, False)
        whose = people.add_person(c, now, name, "student", dict.fromkeys(ledger.KINDS))
        return campaigns.start(c, now, whose, name, rigs.find(c, name), campaigns.CLIENT, WORDS)

    row = database.write_now(start)

    def perform(c: Any, now: float, first: int, count: int) -> None:
        for trial in range(first, first + count):
            fair_queue.submit(c, now, Order(row.person, name, SETTINGS, COST, campaign=row.id, trial=trial))
        held = fair_queue.lease(c, now, name, "w", count, twins_begin=True)
        measured = [Measurement({channel: draw.random() for channel in CHANNELS}, COST) for _ in held]
        fair_queue.finish(c, now, [Ended(x.id, x.lease, m, None, COST, {}) for x, m in zip(held, measured, strict=True)])

    for first in range(1, n + 1, AT_ONCE):
        database.write_now(lambda c, now, f=first: perform(c, now, f, min(AT_ONCE, n + 1 - f)))  # type: ignore[misc]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    many = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/service.db"
        migrations.upgrade(url)
        database = Database(url)
        rows = {n: filled(database, f"rig-{n}", n) for n in (FEW, many)}
        took: dict[int, list[float]] = {n: [] for n in rows}
        for _ in range(LOOKS):
            for n, row in rows.items():
                begun = perf_counter()
                database.read_now(lambda c, row=row: as_json(_status(c, row, WHO)))  # type: ignore[misc]
                took[n].append(perf_counter() - begun)
        database.close()
    few, most = (median(took[n]) for n in rows)
    print(f"{FEW} trials: {1000 * few:.2f} ms; {many:,} trials: {1000 * most:.2f} ms; ratio {most / few:.2f}")


if __name__ == "__main__":
    main()
