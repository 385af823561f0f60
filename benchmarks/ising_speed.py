"""Speed of the Ising twin (sweeps, measurements, truths), and the distance of its truth from the exact solution.

    python benchmarks/ising_speed.py

One process, one core; the best round counts.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # before numpy starts

from collections.abc import Callable
from time import perf_counter

import numpy as np

from simulator import ising
from simulator.equations.ising_lattice import CRITICAL, Lattices, chance_up, exact_energy, exact_magnetization, needed_table, run, sweeps
from simulator.ising import Infinite, Ising, Magnet, expected

ROUNDS = 7
SWEEP_BAR = 0.005  # s, of 256 x 256 spins
GRID_BAR = 15.0  # s, of the truth at 41 x 41 settings


def best(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Seconds of the fastest of some runs."""
    taken = []
    for _ in range(rounds):
        start = perf_counter()
        work()
        taken.append(perf_counter() - start)
    return min(taken)


def sweep_seconds(size: int, count: int) -> float:
    """Time of one sweep of one lattice at the critical temperature, random numbers included."""
    lattices = Lattices(size, np.ones(1, bool))
    table, random = needed_table(chance_up([CRITICAL], [0.0])), np.random.PCG64(1)

    def work() -> None:
        for _ in sweeps(lattices, table, 1, count, random):
            pass

    return best(work) / count


def measurements_per_second(count: int = 100) -> float:
    """Rate of the driver with its default options, every setting a new one."""
    draws = np.random.default_rng(0).uniform((1, -1), (4, 1), (count, 2)).tolist()
    settings = [{"temperature": T, "field": h} for T, h in draws]
    with Ising() as twin:
        return count / best(lambda: [twin.perform(s) for s in settings], 3)


def grid() -> tuple[float, np.ndarray]:
    """Seconds for the truth at 41 x 41 settings with the default options, and the standard errors of the magnetization."""
    Infinite.read()
    T, h = np.meshgrid(np.linspace(1, 4, 41), np.linspace(-1, 1, 41))
    pairs = list(zip(T.ravel().tolist(), h.ravel().tolist(), strict=True))
    ising.TRUTHS.clear()
    start = perf_counter()
    found = expected(Magnet(32, 100, 50, 1.0, 0.0), pairs)
    return perf_counter() - start, np.array([e.error for e in found])


def main() -> None:
    print("| size | ms per sweep | ns per spin |\n|---|---|---|")
    for size, count in ((16, 400), (32, 400), (64, 200), (256, 50)):
        seconds = sweep_seconds(size, count)
        print(f"| {size} | {1e3 * seconds:.3f} | {1e9 * seconds / size**2:.1f} |")
    print(f"a sweep of 256 x 256: {1e3 * seconds:.2f} ms, bar {1e3 * SWEEP_BAR:g} ms")
    print(f"measurements a second with default options: {measurements_per_second():.0f}")
    seconds, errors = grid()
    print(f"truth at 1,681 settings: {seconds:.1f} s, bar {GRID_BAR:g} s")
    print(f"by cluster moves, not from the table: {(errors > 0).sum()}; standard error of the magnetization {errors.max():.3f} at most")
    T, replicas = np.array([1.5, 2.0, 2.1, 2.6, 3.0, 4.0]), 64
    lattices = Lattices(64, np.ones(len(T) * replicas, bool))
    found = run(lattices, needed_table(chance_up(T, 0 * T)), replicas, 400, 400, np.random.PCG64(2))
    print("\n| T, J/k | energy, 64 x 64 | Onsager | magnetization | Yang |\n|---|---|---|---|---|")
    columns = []
    for values, exact in ((-found.alignment, exact_energy(T)), (found.magnetization, exact_magnetization(T))):
        columns += [values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(replicas), exact]
    for row in zip(T, *columns, strict=True):
        print("| {:g} | {:.4f} ± {:.4f} | {:.4f} | {:.4f} ± {:.4f} | {:.4f} |".format(*row))


if __name__ == "__main__":
    main()
