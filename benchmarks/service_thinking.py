"""Waiting time of campaigns on the server for their next suggestion when many run at once; and the price of a question by its size.

    python -m benchmarks.service_thinking [CAMPAIGNS [THINKERS …]]
    python -m benchmarks.service_thinking questions [TRIALS …]

One process on SQLite with the twin color-1; each campaign belongs to a student of its own and tries RUNS settings by `composite`. A wait is
from the end of one trial to the submission of the next. A question is about a campaign of so many random trials by `composite`: its time
is that of a core, without the imports, and its memory the most that its process had.
"""

import json
import multiprocessing.pool
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from typing import Any

from api.workers import strategy_processes
from api.workers.child_processes import start_method
from frugaltwin import Client, catalog
from frugaltwin.experiment import Trial
from frugaltwin.log import Log
from frugaltwin.store import experiment_to_json

RUNS = 8
FEW = 10


def waits(campaigns: int, thinkers: int) -> list[float]:
    """Waits of every trial but the first of each campaign, s."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["serve", "--json", "--port", "0", "--rig", "color-1=color-mixing", "--thinkers", str(thinkers)]
        process = subprocess.Popen([sys.executable, "-m", "frugaltwin", *words], cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            first = json.loads(process.stdout.readline())
            started = []
            for number in range(campaigns):
                with Client(first["address"], "nobody") as student:
                    student.join(first["join_code"], f"student {number}")
                    started.append(student.start_campaign("thinking", "color-1", "match-color:coral", "composite", number, RUNS).id)
            with Client(first["address"], first["token"]) as instructor:
                for identity in started:
                    while (now := instructor.campaign(identity)).state != "ended":
                        assert now.state == "running", now.reason
                        time.sleep(0.5)
                found = [[trial.experiment for trial in instructor.trials(identity)] for identity in started]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    pairs = [(before, after) for trials in found for before, after in pairwise(trials)]
    return [after.created_at - (before.finished_at or 0.0) for before, after in pairs]


def question(n: int) -> strategy_processes.Question:
    """A question about a campaign of so many random trials."""
    driver = catalog.make_driver("color-mixing", seed=1)
    with driver:
        trials = [Trial(i, s, driver.perform(s)) for i, s in enumerate(catalog.random_settings(driver, n, seed=1), 1)]
    rig = strategy_processes.RigDescription("color-mixing", "{}", json.dumps(experiment_to_json(driver.experiment)), None, True)
    words: dict[str, Any] = {"goal": catalog.make_goal("match-color:coral", driver).text, "strategy": {"name": "composite", "options": {}}}
    words |= {"seed": 0, "budget": {"runs": 1e6}, "stop": None, "approve": False}
    return strategy_processes.Question("questions", rig, words, Log(trials))


def answer(n: int) -> tuple[float, ...]:
    """s of a core for the next trial, the recommendation and the picture; and MB of memory."""
    asked = (lambda q: strategy_processes.decide(q, 0), strategy_processes.recommend, strategy_processes.picture)
    for one in asked:
        one(question(FEW))  # which imports what it needs
    seconds = []
    for one in asked:
        whole, begun = question(n), time.process_time()
        one(whole)
        seconds.append(time.process_time() - begun)
    return (*seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def ask(sizes: list[int]) -> None:
    """Print the price of questions, each size in a process of its own."""
    print("| trials | next trial | recommendation | picture | memory |")
    print("|---|---|---|---|---|")
    for n in sizes:
        with multiprocessing.pool.Pool(1, context=start_method()) as pool:
            *seconds, memory = pool.apply(answer, (n,))
        print(f"| {n:,} | {' | '.join(f'{s:.1f} s' for s in seconds)} | {memory:.0f} MB |", flush=True)


def main() -> None:
    if sys.argv[1:2] == ["questions"]:
        ask(list(map(int, sys.argv[2:])) or [50, 100, 300, 500])
        return
    campaigns, *thinkers = map(int, sys.argv[1:] or ["50"])
    print("| campaigns at once | thinkers | a suggestion waits: median | longest |")
    print("|---|---|---|---|")
    for count in thinkers or [1, 2]:
        found = waits(campaigns, count)
        print(f"| {campaigns} | {count} | {statistics.median(found):.1f} s | {max(found):.1f} s |", flush=True)


if __name__ == "__main__":
    main()
