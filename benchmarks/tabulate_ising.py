"""The table behind the truth of the Ising twin: an infinite square lattice in a field, by corner transfer matrices.

    python -m benchmarks.tabulate_ising [--write]

Compares with Onsager's energy, Yang's magnetization and the series of the susceptibility, and with itself between the points of the
table; `--write` writes `simulator/published/ising.csv`. It takes some minutes.

The lattice is cut into four corners and four half-lines, which grow by one site in every step and are cut back to the states that
weigh most. The error falls off with the correlation length, so values at less than four lattice constants have six digits and more.
Source: Nishino & Okunishi, J. Phys. Soc. Jpn. 65 (1996) 891, doi:10.1143/JPSJ.65.891 (not opened for this project).
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # before numpy starts

import csv
import sys

import numpy as np
from numpy.typing import NDArray

from simulator.equations.ising_clusters import correlation_length, high_temperature_susceptibility
from simulator.equations.ising_lattice import CRITICAL, exact_energy, exact_magnetization
from simulator.ising import TABLE, WEAK, Infinite

Floats = NDArray[np.float64]

STATES, MOST, TOLERANCE = 12, 300, 1e-10
COLDEST, HOTTEST, STRONGEST = 0.8, 5.2, 1.6  # J/k, J/k, J: all that `system` can draw lies within
BELOW, ABOVE, FIELDS = 16, 22, 28  # points of the table
TRIED = 60
STEP = 1e-3  # of the field, J, for the slope of the magnetization


def corner_matrices(temperature: float, field: float) -> tuple[float, float]:
    """Magnetization and energy per spin of the infinite lattice; without a field, of the phase that is up."""
    K, H, s = 1 / temperature, field / temperature, np.array([1.0, -1.0])
    values, vectors = np.linalg.eigh(np.exp(K * np.outer(s, s)))
    root = vectors * np.sqrt(values) @ vectors.T  # a bond, half of it at either end
    site = np.einsum("s,si,sj,sk,sl->ijkl", np.exp(H * s), root, root, root, root)
    spin = np.einsum("s,si,sj,sk,sl->ijkl", s * np.exp(H * s), root, root, root, root)
    # Spins beyond the border are up.
    corner = np.einsum("s,si,sj,s,s->ij", np.exp(H * s), root, root, root[0], root[0])
    edge = np.einsum("s,si,sj,sk,s->ijk", np.exp(H * s), root, root, root, root[0])  # [left, down, right]
    before = np.zeros(1)
    for _ in range(MOST):
        n = len(corner)
        both = np.tensordot(np.tensordot(corner, edge, (0, 0)), edge, (0, 0))  # [i, c, j, d]
        grown = np.tensordot(both, site, ((0, 2), (0, 1))).transpose(0, 2, 1, 3).reshape(2 * n, 2 * n)
        weights, states = np.linalg.eigh((grown + grown.T) / 2)
        kept = np.argsort(-np.abs(weights))[:STATES]
        wide = np.tensordot(edge, site, (1, 0)).transpose(0, 2, 3, 1, 4).reshape(2 * n, 2, 2 * n)  # [ak, j, cl]
        U = states[:, kept]
        longer = np.tensordot(np.tensordot(U, wide, (0, 0)), U, (2, 0))
        corner, edge = np.diag(weights[kept] / np.abs(weights).max()), (longer + longer.transpose(2, 1, 0)) / 2
        edge /= np.abs(edge).max()
        now = np.diag(corner)
        if len(now) == len(before) and np.abs(now - before).max() < TOLERANCE:
            break
        before = now
    # Half of the lattice with one more site, open to the other half: [state, site, state].
    column = np.einsum("ab,bic,cd->aid", corner, edge, corner, optimize=True)
    halves = [np.einsum("aid,aje,dlf,ijkl->ekf", column, edge, edge, t, optimize=True) for t in (site, spin)]
    one = np.einsum("ekf,ekf->", halves[0], halves[0])
    m = float(np.einsum("ekf,ekf->", halves[1], halves[0]) / one)
    aligned = float(np.einsum("ekf,ekf->", halves[1], halves[1]) / one)
    return m, -2 * aligned - field * m


def three(temperature: float, field: float) -> tuple[float, float, float]:
    """Magnetization, energy and susceptibility, the slope of the magnetization with the field."""
    m, energy = corner_matrices(temperature, field)
    further = corner_matrices(temperature, field + STEP)[0]
    if field:
        slope = (further - corner_matrices(temperature, field - STEP)[0]) / (2 * STEP)
    elif temperature < CRITICAL:  # the other side is the other phase
        slope = (4 * further - 3 * m - corner_matrices(temperature, 2 * STEP)[0]) / (2 * STEP)
    else:
        m, slope = 0.0, further / STEP
    return m, energy, slope


def tabulate() -> None:
    """Write the table: both axes crowd towards the critical point, and both sides of the critical temperature begin with it."""
    fields = WEAK * np.sinh(np.linspace(0, np.arcsinh(STRONGEST / WEAK), FIELDS))
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("side", "temperature", "field", "magnetization", "energy", "susceptibility"))
        for side, end, n in (("below", COLDEST, BELOW), ("above", HOTTEST, ABOVE)):
            for T in CRITICAL + np.sign(end - CRITICAL) * np.linspace(0, abs(end - CRITICAL) ** 0.5, n) ** 2:
                for h in fields:
                    values = three(float(T), float(h))
                    rows.writerow((side, f"{T:.12g}", f"{h:.12g}", *(f"{v:.9g}" for v in values)))
            print(side, flush=True)


def compare() -> None:
    """Print how far the table is from exact results, and from the corner matrices between its points."""
    table = Infinite.read()
    T = np.array([0.9, 1.3, 1.7, 2.0, 2.1, 2.6, 2.8, 3.2, 4.0, 5.0])
    m, energy, chi = table.at(T, np.zeros(len(T)))
    print(f"Onsager: energy within {np.abs(energy - exact_energy(T)).max():.1e}")
    print(f"Yang: magnetization within {np.abs(m - exact_magnetization(T)).max():.1e}")
    hot = T > 3
    print(f"series: susceptibility within {np.abs(chi[hot] / high_temperature_susceptibility(T[hot]) - 1).max():.1e} of it")
    random = np.random.default_rng(1)
    T, h = random.uniform(COLDEST, HOTTEST, 40 * TRIED), random.uniform(0, STRONGEST**0.5, 40 * TRIED) ** 2
    near = random.uniform(CRITICAL - 0.3, CRITICAL + 0.6, 40 * TRIED)
    for name, temperatures in (("anywhere", T), ("near the critical point", near)):
        fields = h if name == "anywhere" else h / 20
        far = np.flatnonzero(correlation_length(temperatures, fields) <= 4)[:TRIED]
        found = np.array(table.at(temperatures[far], fields[far]))
        exact = np.array([three(float(a), float(b)) for a, b in zip(temperatures[far], fields[far], strict=True)]).T
        off = np.abs(found - exact).max(axis=1)
        relative = np.abs(found[2] / exact[2] - 1).max()
        print(f"{TRIED} settings {name}: magnetization {off[0]:.1e}, energy {off[1]:.1e}, susceptibility {relative:.1e} of it")


if __name__ == "__main__":
    if "--write" in sys.argv:
        tabulate()
    compare()
