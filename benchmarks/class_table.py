"""The table of a class as a service sends it (`class.csv`): its time, and the memory that it takes.

    python -m benchmarks.class_table [--experiments 100000]

The experiments are those of one campaign and of a person's free use, copied in a SQLite file; the table is made part by part, as the route
makes it, and thrown away. Linux and macOS: the memory is the growth of the largest resident set. The time of a core counts, for others may
use the machine. The bar: 83 s, which it took when it was made in one, divided by 8.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from time import perf_counter, process_time
from typing import Any

from sqlalchemy import insert, select

from api import migrations
from api.records import experiment_table
from api.records.database import Database
from api.records.people import Caller
from api.records.tables import experiment
from api.routes.experiments import table_parts
from benchmarks.campaign_view import filled

BAR = 83 / 8
MEASURED, AT_ONCE = 1000, 5000
WHO = Caller("u_1", "Ms. Curie", "instructor", frozenset({"read", "admin"}), "t_1", None)


def copied(database: Database, n: int) -> None:
    """So many experiments: some of a campaign, the rest copies of these outside of it."""
    filled(database, "class", MEASURED)
    rows = database.read_now(lambda c: [dict(row) for row in c.execute(select(experiment)).mappings()])

    def more(c: Any, first: int) -> None:
        alone = {"campaign": None, "trial": None, "twin": None, "twin_number": None}
        numbers = range(first, min(first + AT_ONCE, n + 1))
        c.execute(insert(experiment), [rows[i % len(rows)] | alone | {"number": i, "id": f"x_{i}"} for i in numbers])

    for first in range(len(rows) + 1, n + 1, AT_ONCE):
        database.write_now(lambda c, now, f=first: more(c, f))  # type: ignore[misc]


def peak() -> float:
    """MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e3 if sys.platform == "linux" else 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=100_000)
    n = parser.parse_args().experiments
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/service.db"
        migrations.upgrade(url)
        database = Database(url)
        copied(database, n)
        before, begun, used, size = peak(), perf_counter(), process_time(), 0
        for part in table_parts(database, database.read_now(lambda c: experiment_table.columns(c, WHO))):
            size += len(part)
        took, used = perf_counter() - begun, process_time() - used
        database.close()
    print(f"{n:,} experiments, {size / 1e6:.0f} MB: {took:.1f} s, and {peak() - before:.0f} MB more of memory")
    print(f"{used:.1f} s of a core, {'within' if used <= BAR else 'above'} {BAR:.1f} s")


if __name__ == "__main__":
    main()
