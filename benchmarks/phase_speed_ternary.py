"""Speed of the ternary phase diagrams: a map of 5,000 mixtures, single measurements, building a diagram; beside pycalphad.

    python benchmarks/phase_speed_ternary.py

All run in this process on one core. A map includes building everything that is known of the diagram; pycalphad's does not include
reading and compiling its database. pycalphad is given the same mixtures as rows of one composition, its fastest interface for them.
Each figure is the best of some rounds, in seconds of the processor.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # before numpy starts

from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from frugaltwin import MissingPart, make_driver
from simulator.equations.ternary_equilibrium import Equilibria, Mixing, free_energy, phase_map
from simulator.flory_huggins import FloryHuggins
from simulator.ternary_solution import TernarySolution

TDB = Path(__file__).parents[1] / "tests" / "data" / "regular_abc.tdb"
STEPS = 98
ROUNDS = 5
TEMPERATURE = 300.0  # K
OMEGA = (8000.0, 7500.0, 6000.0)  # J/mol, as in the TDB file
SAMPLED = 200  # points a phase; with its default of 60 pycalphad misses phases of this diagram


def mixtures() -> np.ndarray[Any, np.dtype[np.float64]]:
    """About 5,000 mixtures of a triangular grid, inside the edges, [n, 3]."""
    rows = [(i, j, STEPS + 4 - i - j) for i in range(1, STEPS + 3) for j in range(1, STEPS + 4 - i)]
    return np.array(rows) / (STEPS + 4)


def seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        start = process_time()
        work()
        best = min(best, process_time() - start)
    return best


def our_map(mixing: Mixing, X: np.ndarray[Any, np.dtype[np.float64]]) -> Equilibria:
    phase_map.cache_clear()
    return phase_map(mixing).equilibria(X)


def pycalphad_map(X: np.ndarray[Any, np.dtype[np.float64]], sampled: int) -> tuple[float, list[list[int]], list[float]]:
    """Seconds, number of phases and Gibbs energy (RT) of every mixture, row by row; -1 where it finds none."""
    from pycalphad import Database, Workspace
    from pycalphad import variables as v

    lines: dict[float, list[float]] = {}
    for _, b, c in X.tolist():
        lines.setdefault(b, []).append(c)
    first = {v.N: 1, v.P: 101325, v.T: TEMPERATURE, v.X("B"): 0.3, v.X("C"): np.array([0.2, 0.3])}
    space = Workspace(Database(str(TDB)), ["A", "B", "C", "VA"], ["LIQUID"], first, calc_opts={"pdens": sampled})
    assert space.eq is not None  # compiled
    counts, energies = [], []
    start = process_time()
    for b, row in lines.items():
        space.conditions.update({v.X("B"): b, v.X("C"): np.array(row)})
        solved = space.eq
        amounts = np.nan_to_num(solved.NP.reshape(len(row), -1))
        counts.append([int((a > 1e-9).sum()) or -1 for a in amounts])
        energies += (solved.GM.reshape(-1) / (8.3145 * TEMPERATURE)).tolist()
    return process_time() - start, counts, energies


def main() -> None:
    X = mixtures()
    twins = {"ternary-solution": TernarySolution().mixing, "flory-huggins": FloryHuggins().mixing}
    print(f"a map of {len(X)} mixtures, building included (bar: 1 s for 5,000)")
    for name, mixing in twins.items():
        whole = seconds(lambda mixing=mixing: our_map(mixing, X))  # type: ignore[misc]
        known = phase_map(mixing)
        rest = seconds(lambda known=known: known.equilibria(X))  # type: ignore[misc]
        print(f"  {name:18s} {1e3 * whole:8.0f} ms, of which building {1e3 * (whole - rest):.0f} ms (bar: 300 ms)")

    order = np.lexsort((X[:, 2], X[:, 1]))
    X = X[order]
    RT = 8.3145 * TEMPERATURE  # as pycalphad has it
    same = Mixing(OMEGA[0] / RT, OMEGA[1] / RT, OMEGA[2] / RT)
    ours = our_map(same, X)
    mass = np.nan_to_num(ours.compositions)
    energy = (ours.amounts * free_energy(same, mass)).sum(axis=1)
    for sampled in (60, SAMPLED):
        try:
            took, counts, energies = pycalphad_map(X, sampled)
        except ModuleNotFoundError as missing:
            print(f"  pycalphad: {missing}; pip install pycalphad")
            break
        flat = np.array([n for row in counts for n in row])
        wrong = int((flat != ours.count).sum())
        above = float(np.nanmax(np.array(energies) - energy))
        below = float(np.nanmin(np.array(energies) - energy))
        print(
            f"  pycalphad, {sampled:3d} points{'':3s} {1e3 * took:8.0f} ms; other number of phases than ours at {wrong} mixtures; "
            f"its energy is {above:.1e} RT above ours at most, {-below:.1e} below"
        )

    print("single measurements through the driver, every imperfection on (bar: 2,000 a second)")
    for name in twins:
        driver = make_driver(name)
        names = [p.name for p in driver.experiment.parameters]
        settings = [dict(zip(names, x, strict=True)) for x in np.random.default_rng(0).dirichlet([1.0] * 3, 1500).tolist()]
        with driver:
            driver.perform(settings[0])
            each = seconds(lambda driver=driver, settings=settings: [driver.perform(s) for s in settings]) / len(settings)  # type: ignore[misc]
        print(f"  {name:18s} {1 / each:8,.0f} a second")

    try:
        driver = make_driver("calphad", {"path": str(TDB), "temperature": TEMPERATURE})
    except MissingPart as missing:
        print(f"  calphad: {missing}")
        return
    settings = [dict(zip(("x_a", "x_b", "x_c"), x, strict=True)) for x in np.random.default_rng(0).dirichlet([1.0] * 3, 200).tolist()]
    with driver:
        each = seconds(lambda: [driver.perform(s) for s in settings], rounds=1) / len(settings)
        again = seconds(lambda: [driver.perform(s) for s in settings]) / len(settings)
    print(f"  {'calphad':18s} {1 / each:8,.0f} a second that are new, {1 / again:,.0f} of those performed before")


if __name__ == "__main__":
    main()
