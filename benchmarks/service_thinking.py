"""Waiting time of campaigns on the server for their next suggestion when many run at once.

    python -m benchmarks.service_thinking [CAMPAIGNS [THINKERS …]]

One process on SQLite with the twin color-1; each campaign belongs to a student of its own and tries RUNS settings by `composite`. A wait is
from the end of one trial to the submission of the next.
"""

import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise

from frugaltwin import Client

RUNS = 8


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


def main() -> None:
    campaigns, *thinkers = map(int, sys.argv[1:] or ["50"])
    print("| campaigns at once | thinkers | a suggestion waits: median | longest |")
    print("|---|---|---|---|")
    for count in thinkers or [1, 2]:
        found = waits(campaigns, count)
        print(f"| {campaigns} | {count} | {statistics.median(found):.1f} s | {max(found):.1f} s |", flush=True)


if __name__ == "__main__":
    main()
