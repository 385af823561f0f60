"""Memory of the processes of a service, and its disk per experiment.

    python -m benchmarks.service_sizes

One process on SQLite with the twins color-1 and light-1; 300 experiments on each, then a campaign that the service runs. Linux only: memory
is the resident set of /proc.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from frugaltwin import Client, catalog

EXPERIMENTS = 300
LIGHT = {"red": 40.0, "green": 40.0, "blue": 40.0, "atime": 29.0, "astep": 599.0, "gain": 64.0}
MB = 1e6


def resident(pid: int) -> float:
    """MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MB


def children(pid: int) -> set[int]:
    return {int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()}


def perform(client: Client, rig: str) -> None:
    """Many experiments, to their end."""
    driver = catalog.make_driver("color-mixing" if rig == "color-1" else "light-mixing")
    if rig == "color-1":
        drawn = catalog.random_settings(driver, EXPERIMENTS)
    else:
        drawn = [driver.experiment.check(LIGHT | {"red": float(k % 60)}) for k in range(EXPERIMENTS)]
    waiting = [client.submit(rig, settings).id for settings in drawn]
    for identity in waiting:
        client.wait(identity)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "frugaltwin", "serve", "--json", "--port", "0"]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            first = json.loads(process.stdout.readline())
            rows = []
            with Client(first["address"], first["token"]) as client:
                before = sum(path.stat().st_size for path in Path(folder).glob("*.db*"))
                perform(client, "color-1")
                perform(client, "light-1")
                twins = children(process.pid)
                rows.append(("the service, two twins at work", resident(process.pid)))
                rows.append(("the largest process of a twin", max(map(resident, twins))))
                started = client.start_campaign("sizes", "color-1", goal="match-color:coral", budget=6)
                while client.campaign(started.id).state != "ended":
                    time.sleep(0.2)
                rows.append(("the largest process that chooses", max(resident(p) for p in children(process.pid) - twins)))
                rows.append(("the service, a campaign later", resident(process.pid)))
        finally:
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        stopped = time.monotonic() - began
        after = sum(path.stat().st_size for path in Path(folder).glob("*.db*"))
        print("| what | takes |")
        print("|---|---|")
        for what, size in rows:
            print(f"| {what} | {size:.0f} MB of memory |")
        print(f"| an experiment with its readings | {(after - before) / (2 * EXPERIMENTS) / 1e3:.1f} kB of disk |")
        print(f"| stopping, rigs at rest | {stopped:.1f} s |")


if __name__ == "__main__":
    main()
