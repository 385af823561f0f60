"""The table of a class as a service sends it (`class.csv`): its time, the memory that it takes, and how others fare meanwhile.

    python -m benchmarks.class_table [--experiments 100000] [--turns 2]

The experiments are those of one campaign and of a person's free use, copied in a SQLite file; the table is made part by part, as the route
makes it, and thrown away. Linux and macOS: the memory is the growth of the largest resident set. The time of a core counts, for others may
use the machine. The bar: 83 s, which it took when it was made in one, divided by 8.

Then a service on that database, in turn quiet and sending the table to the instructor, while a student asks for small things and submits
experiments, one request after the other. Bars: the student's median at most 1.5 times the quiet one, 99 % within 3 times the quiet figure.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import resource
import sys
import tempfile
from time import perf_counter, process_time
from typing import Any

from sqlalchemy import insert, select

from api.records import experiment_table, people, tokens
from api.records.database import Database
from api.records.people import Caller
from api.records.tables import experiment
from api.routes.experiments import table_parts
from benchmarks.campaign_view import filled
from benchmarks.hostile_load import MEDIAN, P99
from benchmarks.service_load import READ, connected, new_experiment, percentile, percentiles, prepare, serving

BAR = 83 / 8
MEASURED, AT_ONCE = 1000, 5000
PAUSE, LEAST = 0.02, 10.0
"""s between a student's requests, and of each turn."""
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


def read_table(port: int, token: str) -> None:
    """Ask for the table once, as a process of its own."""

    async def whole() -> None:
        async with connected(port, token) as line:
            begun = perf_counter()
            status = await line.ask_anything("GET", "/v1/experiments/export")
            print(f"  the table, sent: status {status}, {perf_counter() - begun:.1f} s", flush=True)

    asyncio.run(whole())


async def small_requests(port: int, token: str, reader: multiprocessing.Process | None) -> list[float]:
    """Times that a student's requests take until a reader has ended, and for `LEAST` s; in s."""
    draw, took, begun = random.Random(0), list[float](), perf_counter()
    async with connected(port, token) as line:
        while perf_counter() - begun < LEAST or (reader and reader.is_alive()):
            for path in (*READ, None):
                asked = perf_counter()
                await (line.ask("GET", path) if path else line.ask("POST", "/v1/experiments", new_experiment(draw)))
                took.append(perf_counter() - asked)
                await asyncio.sleep(PAUSE)
    return took


def others(url: str, folder: str, student: str, instructor: str, turns: int) -> bool:
    """Whether a student is served as well while the table is sent as in quiet."""
    took: dict[bool, list[float]] = {False: [], True: []}
    with serving(url, folder, has_rig=False) as (port, _):
        asyncio.run(small_requests(port, student, None))  # the first requests load what they need
        for is_sent in [False, True] * turns:
            reader = multiprocessing.Process(target=read_table, args=(port, instructor)) if is_sent else None
            if reader:
                reader.start()
            found = asyncio.run(small_requests(port, student, reader))
            took[is_sent] += found
            print(f"{'meanwhile' if is_sent else 'in quiet'}: {len(found)} requests, {percentiles(found)}", flush=True)
    median, p99 = (percentile(took[True], q) / percentile(took[False], q) for q in (0.5, 0.99))
    holds = median <= MEDIAN and p99 <= P99
    print(f"median {median:.2f} times the quiet one, 99 % {p99:.2f} times: {'within' if holds else 'above'} the bars")
    return holds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=100_000)
    parser.add_argument("--turns", type=int, default=2)
    given = parser.parse_args()
    n = given.experiments
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/service.db"
        (student,) = prepare(url, 1)
        database = Database(url)
        copied(database, n)
        before, begun, used, size = peak(), perf_counter(), process_time(), 0
        for part in table_parts(database, database.read_now(lambda c: experiment_table.columns(c, WHO))):
            size += len(part)
        took, used = perf_counter() - begun, process_time() - used
        print(f"{n:,} experiments, {size / 1e6:.0f} MB: {took:.1f} s, and {peak() - before:.0f} MB more of memory")
        print(f"{used:.1f} s of a core, {'within' if used <= BAR else 'above'} {BAR:.1f} s", flush=True)
        scopes = people.OF_ROLE["instructor"].split()
        curie = database.write_now(lambda c, now: people.add_person(c, now, "Ms. Curie", "instructor", {}))
        instructor = database.write_now(lambda c, now: tokens.add_token(c, now, curie, scopes))[1]
        database.close()
        holds = others(url, folder, student, instructor, given.turns)
    raise SystemExit(not (holds and used <= BAR))


if __name__ == "__main__":
    main()
