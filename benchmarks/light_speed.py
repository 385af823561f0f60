"""Noise-free light settings a second: the twin's equations on whole arrays, beside self-driving-lab-demo's simulator.

    python benchmarks/light_speed.py

Both run in this process on one core, in alternating rounds; the best round of each counts. The peer takes one setting per call,
which is its only interface.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # before numpy starts

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from simulator.instruments.sensors import AS7341_GAINS
from simulator.light_mixing import LightMixing, counts

BATCH = 4096
ROUNDS = 7
BAR = 10.0


def peer_simulator() -> Any:
    """The light simulator of self-driving-lab-demo.

    Raises:
        SystemExit: It is not installed; the message says how to.
    """
    try:
        import ax

        if not hasattr(ax, "optimize"):  # the demo imports it from where ax 1.x no longer has it
            from ax.service.managed_loop import optimize

            ax.optimize = optimize
        from self_driving_lab_demo.demos.light import SensorSimulatorLight
    except ImportError as missing:
        raise SystemExit(
            f"{missing}: this benchmark needs self-driving-lab-demo, which the optional dependencies `peers` bring: "
            "pip install 'frugaltwin[peers]', in an environment of its own"
        ) from missing
    return SensorSimulatorLight()


def seconds(work: Callable[[], object]) -> float:
    """Time of one run."""
    start = perf_counter()
    work()
    return perf_counter() - start


def main() -> None:
    peer = peer_simulator()
    random = np.random.default_rng(0)
    red, green, blue = random.integers(0, 90, (3, BATCH))  # what the records cover; nothing saturates there
    atime, astep = random.integers(0, 101, BATCH), random.integers(0, 1000, BATCH)
    gain = random.choice(AS7341_GAINS, BATCH)
    names = ("R", "G", "B", "atime", "astep", "gain")
    rows = zip(red.tolist(), green.tolist(), blue.tolist(), atime.tolist(), astep.tolist(), gain.tolist(), strict=True)
    asked = [dict(zip(names, row, strict=True)) for row in rows]
    settings = [dict(zip(("red", "green", "blue", "atime", "astep", "gain"), a.values(), strict=True)) for a in asked]
    twin = LightMixing().__enter__()
    candidates: dict[str, Callable[[], object]] = {
        "twin, a batch of 4096": lambda: counts(red, green, blue, atime, astep, gain),
        "self-driving-lab-demo, one per call": lambda: [peer.simulate_sensor_data(a) for a in asked],
        "twin, truth, one per call": lambda: [twin.truth(s) for s in settings],
        "twin, perform with noise, one per call": lambda: [twin.perform(s) for s in settings],
    }
    best = dict.fromkeys(candidates, float("inf"))
    for _ in range(ROUNDS):
        for name, work in candidates.items():
            best[name] = min(best[name], seconds(work) / BATCH)
    for name, each in best.items():
        print(f"{name:40s} {1e6 * each:8.3f} µs each, {1 / each:12,.0f} a second")
    ours, theirs = list(best.values())[:2]
    print(f"ratio {theirs / ours:.0f}x the peer's rate (asked for: {BAR:g}x)")


if __name__ == "__main__":
    main()
