"""Speed of the emulated board's clock in a color campaign. How many experiments one takes on it: `benchmarks/suites/emulated.toml`.

    python -m benchmarks.emulated_board

The emulated board needs gcc, simavr and the AVR tools.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import subprocess
import sys
import tempfile
import time

from frugaltwin.experiment import Settings
from simulator.color_mixing import TOTAL, color_mixing

TIMES = 10  # the board's clock against ours
MIDDLING: Settings = {"red": 0.3, "yellow": 0.4, "blue": 0.5, "water": TOTAL - 1.2}


def speed(runs: int) -> None:
    with color_mixing(mixer="emulated") as twin:
        twin.perform(MIDDLING)  # pays for connecting
        begin = time.perf_counter()
        lab = sum(twin.perform(MIDDLING).cost.seconds for _ in range(10))
        rate = lab / (time.perf_counter() - begin)
    words = ("run", "--driver", "color-mixing", "--option", "mixer=emulated", "--budget", str(runs), "--json")
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "frugaltwin", *words], cwd=folder, check=True, capture_output=True, text=True)
        took = time.perf_counter() - begin
    events = [json.loads(line) for line in done.stdout.splitlines()]
    seconds = sum(event["cost"]["seconds"] for event in events if event["event"] == "trial")
    verdict = "within" if took * TIMES <= seconds else "beyond"
    print(f"frugaltwin {' '.join(words)}")
    print(f"{seconds:.0f} s of the board in {took:.0f} s, {seconds / took:.0f} to 1, {verdict} the bar of {TIMES} to 1")
    print(f"The board alone makes {rate:.0f} to 1, {seconds / rate:.0f} s of it; the rest is choosing, storing and reporting")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=int, default=25, help="experiments in the campaign whose time is taken")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    speed(options.budget)


if __name__ == "__main__":
    main()
