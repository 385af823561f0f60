"""The color campaign on the emulated board beside the simulated mixer: the number of experiments, and the speed of the board's clock.

    python -m benchmarks.emulated_board

Seeds, targets and counting are those of `benchmarks.sample_efficiency`; both mixers have the imperfections of a rig, and draw other
random numbers. The emulated board needs gcc, simavr and the AVR tools.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.sample_efficiency import LIMITS, experiments_until, run
from frugaltwin.experiment import Settings
from simulator.color_mixing import TOTAL, ColorMixingTwin, color_mixing

MIXERS = ("simulated", "emulated")
AFTER = 10
BAR = 2  # experiments that the medians may differ by
TIMES = 10  # the board's clock against ours
MIDDLING: Settings = {"red": 0.3, "yellow": 0.4, "blue": 0.5, "water": TOTAL - 1.2}


def twin_on(mixer: str, sensor: str, seed: int) -> ColorMixingTwin:
    twin = color_mixing(mixer=mixer, sensor="tcs34725" if sensor == "tcs34725" else "as7341", seed=seed)
    assert isinstance(twin, ColorMixingTwin)
    return twin


def row(result: dict[str, Any]) -> list[float]:
    """Experiments until truly within each limit, and the best true difference after `AFTER`."""
    return [*(experiments_until(limit, result) for limit in LIMITS), min(result["true"][:AFTER])]


def compare(sensor: str, seeds: int, runs: int) -> None:
    head = [f"{what}, {mixer}" for what in (*(f"within {limit}" for limit in LIMITS), f"best after {AFTER}") for mixer in MIXERS]
    print(f"Experiments until ΔE00 is truly within a limit, and the best true ΔE00 after {AFTER}; {sensor}, {runs} runs each")
    print("| seed | " + " | ".join(head) + " |\n|" + "---|" * (1 + len(head)))
    rows = []
    for seed in range(seeds):
        of = [row(run("composite", seed, runs, twin_on(mixer, sensor, seed))) for mixer in MIXERS]
        rows.append([value for pair in zip(*of, strict=True) for value in pair])
        print(f"| {seed} | " + " | ".join(f"{value:.3g}" for value in rows[-1]) + " |", flush=True)
    medians = [statistics.median(column) for column in zip(*rows, strict=True)]
    print("| median | " + " | ".join(f"{value:.3g}" for value in medians) + " |")
    for k, limit in enumerate(LIMITS):
        simulated, emulated = medians[2 * k : 2 * k + 2]
        verdict = "within" if abs(emulated - simulated) <= BAR else "beyond"
        print(f"to {limit}: the medians differ by {emulated - simulated:+g}, {verdict} the bar of ±{BAR}")


def speed(runs: int) -> None:
    with twin_on("emulated", "as7341", 0) as twin:
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
    print(f"\nfrugaltwin {' '.join(words)}")
    print(f"{seconds:.0f} s of the board in {took:.0f} s, {seconds / took:.0f} to 1, {verdict} the bar of {TIMES} to 1")
    print(f"The board alone makes {rate:.0f} to 1, {seconds / rate:.0f} s of it; the rest is choosing, storing and reporting")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=7, help="campaigns on each mixer")
    parser.add_argument("--runs", type=int, default=15, help="experiments per campaign")
    parser.add_argument("--sensor", choices=("as7341", "tcs34725"), default="as7341")
    parser.add_argument("--budget", type=int, default=25, help="experiments in the campaign whose time is taken; 0 leaves it out")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    if options.seeds:
        compare(options.sensor, options.seeds, options.runs)
    if options.budget:
        speed(options.budget)


if __name__ == "__main__":
    main()
