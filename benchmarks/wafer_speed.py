"""Speed of the wafer twin (experiments, truths), and the share of its labels that are right.

    python benchmarks/wafer_speed.py

One core, processor time, the best of five rounds.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # before numpy starts

from collections.abc import Callable
from time import process_time

import numpy as np

from simulator.wafer import HALF, WaferTwin

PLACES = 10_000
PERFORMED = 2_000
ROUNDS = 5
BAR = 2_000


def best_seconds(work: Callable[[], object]) -> float:
    """Shortest time of a run."""

    def once() -> float:
        start = process_time()
        work()
        return process_time() - start

    return min(once() for _ in range(ROUNDS))


def main() -> None:
    settings = [{"x": x, "y": y} for x, y in np.random.default_rng(0).uniform(-HALF, HALF, (PLACES, 2)).tolist()]
    some = settings[:PERFORMED]
    twins = {f"spectrum, dwell {dwell:g} s": WaferTwin(look="spectrum", dwell=dwell) for dwell in (0.1, 1.0, 3.0, 6.0)}
    twins |= {"zoom": WaferTwin(look="zoom"), "overview": WaferTwin(look="overview")}
    print(f"{'look':24s} {'performs a second':>18s} {'bar':>6s} {f's for {PLACES:,} truths':>22s} {'labels right':>13s}")
    for name, twin in twins.items():
        with twin:
            twin.perform(settings[0])  # an overview is taken once
            rate = PERFORMED / best_seconds(lambda twin=twin: [twin.perform(s) for s in some])  # type: ignore[misc]
            batch = best_seconds(lambda twin=twin: twin.truths(settings))  # type: ignore[misc]
            true = [y["phase"] for y in twin.truths(settings)]
            right = np.mean([twin.perform(s).outcomes["phase"] == t for s, t in zip(settings, true, strict=True)])
        print(f"{name:24s} {rate:18,.0f} {BAR:6,d} {batch:22.3f} {right:13.2f}")
    with WaferTwin().probe as probe:
        print(f"an image of 71 × 71 pixels: {1e3 * best_seconds(lambda: probe.scan(70.0, 71)):.1f} ms")


if __name__ == "__main__":
    main()
