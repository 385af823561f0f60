"""The two-dimensional Ising model at equilibrium, on a finite torus: cluster moves, which turn whole domains over at once.

Near the critical point a magnet that changes spin by spin takes thousands of sweeps to forget what it was. Cluster moves take a few.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from simulator.equations.ising_lattice import CRITICAL, Floats, Start

EVEN = np.float32(0.5)
SAFE = 7.0  # N h / T from which a lattice below the critical temperature is never found against the field


@dataclass(frozen=True)
class Equilibrium:
    """Averages of independent chains, [r, n] for r chains at n settings, all per spin, in units of the coupling."""

    magnetization: Floats
    square: Floats
    """Mean square of the magnetization."""
    energy: Floats

    @classmethod
    def none(cls, n: int) -> Self:
        """No chain yet, at n settings."""
        return cls(*np.empty((3, 0, n)))

    def with_more(self, other: Self) -> Self:
        """These chains and others at the same settings."""
        return type(self)(*(np.vstack(pair) for pair in zip(self._parts, other._parts, strict=True)))

    def of(self, chosen: Start) -> Self:
        """The chains of some settings."""
        return type(self)(*(values[:, chosen] for values in self._parts))

    @property
    def _parts(self) -> tuple[Floats, Floats, Floats]:
        return self.magnetization, self.square, self.energy

    def pooled(self, size: int, temperature: Floats) -> tuple[Floats, Floats, Floats]:
        """Magnetization, energy and susceptibility N (⟨m²⟩ - ⟨m⟩²) / T, [3, n]; the errors, [n], of the first two (the larger one)
        and of the last."""
        # A sum of numbers in a row is the same to the last digit, whatever other rows there are.
        one, two, energies = (np.ascontiguousarray(values.T) for values in self._parts)
        m, square, energy = (np.nanmean(values, axis=1) for values in (one, two, energies))
        scale, root = size**2 / temperature, np.sqrt(one.shape[1])
        # To first order, a chain moves the susceptibility by its own ⟨m²⟩ - 2 ⟨m⟩ m.
        of_m, of_energy, of_chi = (np.nanstd(v, axis=1, ddof=1) / root for v in (one, energies, two - 2 * m[:, None] * one))
        values = np.stack([m, energy, scale * np.maximum(square - m**2, 0.0)])
        return values, np.maximum(of_m, of_energy), of_chi * scale


def correlation_length(temperature: Floats, field: Floats) -> Floats:
    """Distance over which spins of the infinite lattice are correlated, [n], in lattice constants.

    Without a field 1/ξ = ln coth K - 2K above the critical temperature and twice its negative below, K = 1/T; at the critical
    temperature 1/ξ = 4.01 (h/T)^(8/15). Between them both are added up, which is an estimate.
    Source: Fisher & Burford, Phys. Rev. 156 (1967) 583 (without a field); Caselle & Hasenbusch, Nucl. Phys. B 579 (2000) 667 (in a
    field). Neither was opened for this project.

    >>> correlation_length(np.array([3.0, 2.5, 2.0]), np.zeros(3)).round(2).tolist()
    [2.14, 5.96, 2.19]
    """
    K = 1 / temperature
    free = -np.log(np.tanh(K)) - 2 * K
    rate = np.where(free > 0, free, -2 * free) + 4.01 * (np.abs(field) / temperature) ** (8 / 15)
    length: Floats = 1 / np.maximum(rate, 1e-9)
    return length


SERIES = (1, 4, 12, 36, 100, 276, 740, 1972, 5172, 13492, 34876, 89764, 229628, 585508, 1486308, 3763460, 9497380, 23918708, 60080156)
"""Coefficients of the susceptibility in powers of tanh(1/T). Source: sequence A002906 of oeis.org; the tests compare with its first ones
counted and with the chains."""


def high_temperature_susceptibility(temperature: Floats) -> Floats:
    """Susceptibility of the infinite lattice without a field, [n], from about 3 J/k up: the exact series, and what it leaves out.

    χT = Σ a_n vⁿ, v = tanh(1/T). The terms beyond are taken as those of a pole of order 7/4 at the critical temperature, whose
    ratios are (1 + √2)(1 + 3/(4n)).

    >>> high_temperature_susceptibility(np.array([1e6, 4.0])).round(6).tolist()
    [1e-06, 1.06939]
    """
    v = np.tanh(1 / temperature)
    term = float(SERIES[-1]) * v ** (len(SERIES) - 1)
    total = sum(a * v**n for n, a in enumerate(SERIES))
    for n in range(len(SERIES), 400):
        term = term * (1 + 2**0.5) * (1 + 0.75 / n) * v
        total = total + term
    chi: Floats = total / temperature
    return chi


def equilibrium(
    size: int, temperature: Floats, field: Floats, chains: int, warm_up: int, count: int, random: np.random.Generator
) -> Equilibrium:
    """Chains [r, n] of Swendsen-Wang moves of lattices on a torus, in units of the coupling; no field may be negative.

    Neighbors that agree are tied with the chance 1 - exp(-2/T), and spins up to the field with 1 - exp(-2h/T). What is tied makes a
    cluster; those that the field holds stay up, the others are drawn up or down. Averages over these draws are exact: with c the sizes
    of the free clusters and c_h what the field holds, ⟨m⟩ = ⟨c_h⟩/N and ⟨m²⟩ = ⟨c_h² + Σ c²⟩/N².
    Source: Swendsen & Wang, Phys. Rev. Lett. 58 (1987) 86, doi:10.1103/PhysRevLett.58.86; Wolff, Phys. Rev. Lett. 60 (1988) 1461
    (averages over clusters). Neither was opened for this project; the tests compare with exact results.

    Without a field, a torus is as often up as down. Averages are those of the infinite lattice's phase that is meant: at and above the
    critical temperature m = 0, below it that of |m|, and in a field so weak that the lattice turns over now and then, of the
    states that lie along it.

    All settings share the random numbers: what a setting gets does not depend on the others.
    """
    n_spins, n = size * size, len(temperature)
    shape = (chains, n, size, size)
    sites = np.arange(chains * n * n_spins, dtype=np.int32).reshape(shape)
    neighbors = np.stack([np.roll(sites, -1, axis=axis) for axis in (3, 2)], axis=-1)  # right, below
    chance = [-np.expm1(-2 * drive / temperature)[:, None, None].astype(np.float32) for drive in (np.ones(n), field)]
    is_folded = (temperature < CRITICAL) & (n_spins * field < SAFE * temperature)
    up = np.ones(shape, dtype=bool)
    tied = np.empty((*shape, 2), dtype=bool)
    lattice = sites.ravel() // n_spins
    total, weight = np.zeros((3, chains, n)), np.zeros((chains, n))
    for k in range(warm_up + count):
        right, below, own, coin = random.random((4, chains, 1, size, size), dtype=np.float32)
        coins = np.broadcast_to(coin < EVEN, shape).ravel()
        agree = [up == np.roll(up, -1, axis=axis) for axis in (3, 2)]
        for side, number in enumerate((right, below)):
            np.logical_and(agree[side], number < chance[0], out=tied[..., side])
        starts = np.concatenate([[0], np.cumsum(tied.sum(axis=-1, dtype=np.int32).ravel(), dtype=np.int32)])
        ends = neighbors[tied]
        graph = csr_array((np.ones(len(ends)), ends, starts), shape=(sites.size, sites.size))
        n_clusters, cluster = connected_components(graph, directed=False)
        first = np.empty(n_clusters, dtype=np.intp)
        first[cluster[::-1]] = sites.ravel()[::-1]  # the first spin of each cluster, whatever other lattices there are
        is_held = np.zeros(n_clusters, dtype=bool)
        is_held[cluster[(up & (own < chance[1])).ravel()]] = True
        up = (is_held | coins[first])[cluster].reshape(shape)
        if k < warm_up:
            continue
        m = 2 * up.mean(axis=(2, 3)) - 1
        aligned = sum((up == np.roll(up, -1, axis=axis)).mean(axis=(2, 3)) for axis in (2, 3))
        sizes = np.bincount(cluster, minlength=n_clusters).astype(float)
        place = lattice[first]
        held = np.bincount(place, weights=sizes * is_held, minlength=chains * n).reshape(chains, n) / n_spins
        free = np.bincount(place, weights=sizes**2 * ~is_held, minlength=chains * n).reshape(chains, n) / n_spins**2
        counts = np.where(is_folded, (m > 0) | (field == 0), True)
        mean = np.where(is_folded, np.abs(m), held)
        square = np.where(is_folded, m**2, held**2 + free)
        energy = 2 - 2 * aligned - field * mean
        total += np.stack([mean, square, energy]) * counts
        weight += counts
    with np.errstate(invalid="ignore"):
        return Equilibrium(*(total / weight))
