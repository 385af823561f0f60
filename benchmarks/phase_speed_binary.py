"""Speed of the binary phase diagrams: a map of 441 points beside pycalphad, and single measurements through the driver.

    python benchmarks/phase_speed_binary.py

Both run in this process on one core, in alternating rounds; the best round of each counts. The peer gets the same Gibbs energies.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # before numpy starts

import warnings
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from frugaltwin import make_driver
from simulator.equations.binary_equilibrium import Phase, Solution, binary_equilibrium
from simulator.instruments.binary_lab import BinaryLab

MAP_BAR, SINGLE_BAR = 20.0, 2000.0  # ms for 441 points, measurements a second
ROUNDS, SINGLES = 5, 2000

# A gap (Redlich-Kister) and a lens, as databases and as phases of ours: the same energies.
ELEMENTS = "ELEMENT AA BLANK 10 0 0 !\nELEMENT BB BLANK 10 0 0 !\nELEMENT VA VACUUM 0 0 0 !\n"
PHASE = "PHASE {0} % 1 1 !\nCONSTITUENT {0} :AA,BB: !\nPARAMETER G({0},AA;0) 1 {1}; 6000 N !\nPARAMETER G({0},BB;0) 1 {2}; 6000 N !\n"
GAP = ELEMENTS + PHASE.format("SOL", "0", "0") + "PARAMETER G(SOL,AA,BB;0) 1 6000; 6000 N !\nPARAMETER G(SOL,AA,BB;1) 1 -900; 6000 N !\n"
LENS = ELEMENTS + PHASE.format("LIQ", "36900-30.470685*T", "50200-29.756965*T") + PHASE.format("SOL", "0", "0")
SYSTEMS: dict[str, tuple[str, tuple[str, ...], tuple[Phase, ...], tuple[float, float]]] = {
    "gap": (GAP, ("SOL",), (Solution("liquid", excess=(6000.0, -900.0)),), (250.0, 500.0)),
    "lens": (LENS, ("LIQ", "SOL"), (Solution("liquid", (36900, 50200), (30.470685, 29.756965)), Solution("solid")), (1100.0, 1800.0)),
}


def seconds(work: Callable[[], object]) -> float:
    """Time of one run."""
    start = perf_counter()
    work()
    return perf_counter() - start


def perform_all(driver: BinaryLab, settings: list[dict[str, float]]) -> None:
    """Perform settings one after the other."""
    for each in settings:
        driver.perform(each)


def peer(database: str, phases: tuple[str, ...], X: list[float], T: list[float]) -> Callable[[], Any]:
    """The same map by pycalphad's `equilibrium`, its models built beforehand."""
    from pycalphad import Database, equilibrium
    from pycalphad import variables as v
    from pycalphad.codegen.phase_record_factory import PhaseRecordFactory
    from pycalphad.core.utils import instantiate_models

    db, parts = Database(database), ["AA", "BB", "VA"]
    conditions = {v.X("BB"): X, v.T: T, v.P: 101325, v.N: 1}
    models = instantiate_models(db, parts, list(phases))
    records = PhaseRecordFactory(db, parts, {v.N, v.P, v.T}, models)
    return partial(equilibrium, db, parts, list(phases), conditions, model=models, phase_records=records)


def main() -> None:
    warnings.simplefilter("ignore")  # of the peer's libraries
    for name, (database, names, phases, (low, high)) in SYSTEMS.items():
        x, T = np.linspace(0, 1, 21), np.linspace(low, high, 21)
        X, kelvin = (a.ravel() for a in np.meshgrid(x, T))
        inner = np.linspace(0.002, 0.998, 21)  # the peer takes no pure components with both named
        theirs = peer(database, names, inner.tolist(), T.tolist())
        best = {"ours": np.inf, "pycalphad": np.inf}
        for _ in range(ROUNDS):
            for who, work in (("ours", partial(binary_equilibrium, phases, X, kelvin)), ("pycalphad", theirs)):
                best[who] = min(best[who], 1e3 * seconds(work))
        verdict = "ok" if best["ours"] <= MAP_BAR else "TOO SLOW"
        print(
            f"map of 441 points, {name:5s} ours {best['ours']:7.2f} ms (bar {MAP_BAR:g} ms: {verdict}), "
            f"pycalphad {best['pycalphad']:8.1f} ms, ratio {best['pycalphad'] / best['ours']:.0f}x"
        )
    print()
    for name in ("binary-solution", "eutectic", "lens", "peritectic"):
        rates = {}
        for kind in ("every temperature new", "a grid of 21 temperatures"):
            best_rate = 0.0
            for round_number in range(ROUNDS):
                random = np.random.default_rng(round_number)
                driver = make_driver(name, seed=1)
                assert isinstance(driver, BinaryLab)
                low, high = driver.window
                T = random.uniform(low, high, SINGLES) if kind.startswith("every") else random.choice(np.linspace(low, high, 21), SINGLES)
                asked = [
                    {"composition": x, "temperature": t} for x, t in zip(random.uniform(0, 1, SINGLES).tolist(), T.tolist(), strict=True)
                ]
                with driver:
                    best_rate = max(best_rate, SINGLES / seconds(partial(perform_all, driver, asked)))
            rates[kind] = best_rate
        verdict = "ok" if min(rates.values()) >= SINGLE_BAR else "TOO SLOW"
        shown = ", ".join(f"{rate:7,.0f} ({kind})" for kind, rate in rates.items())
        print(f"{name:16s} measurements a second: {shown}; bar {SINGLE_BAR:,.0f}: {verdict}")


if __name__ == "__main__":
    main()
