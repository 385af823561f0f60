"""The two-dimensional Ising model: exact results of the infinite lattice, and Monte Carlo sweeps of many lattices at once."""

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ellipkm1

from frugaltwin.errors import Stopped

Floats: TypeAlias = NDArray[np.float64]
Bytes: TypeAlias = NDArray[np.uint8]
Start: TypeAlias = NDArray[np.bool_]

CRITICAL = 2 / math.log(1 + math.sqrt(2))
"""Critical temperature in units of the coupling, 2.269. Source: Onsager, Phys. Rev. 65 (1944) 117, doi:10.1103/PhysRev.65.117."""

LEVELS = 2**16  # A random number has 16 bits: chances are multiples of 1.5e-5
DRAWS, BLOCK = 2**16, 2**21  # random numbers, and bytes that come of them, at once: so they stay in the cache
BYTE_SUM = 60  # numbers up to 4 whose sum fits into a byte


def exact_energy(temperature: ArrayLike) -> Floats:
    """Energy per spin of the infinite lattice without a field, [...], in units of the coupling, as is the temperature [...].

    u = -coth(2K) [1 + (2/π) q K1(√(1 - q²))], q = 2 tanh²(2K) - 1, K = 1/T, K1 the complete elliptic integral of the first kind of
    a modulus; √(1 - q²) = 2 sinh(2K)/cosh²(2K).
    Source: Onsager, Phys. Rev. 65 (1944) 117, doi:10.1103/PhysRev.65.117.

    >>> round(float(exact_energy(1e-1)), 6), round(float(exact_energy(2.0)), 4)
    (-2.0, -1.7456)
    """
    tanh = np.tanh(2 / np.asarray(temperature, dtype=float))
    q = 2 * tanh**2 - 1
    # q K1 goes to 0 with q, though K1 alone does not stay finite.
    u: Floats = -(1 + (2 / np.pi) * q * ellipkm1(np.maximum(q**2, 1e-300))) / tanh
    return u


def exact_magnetization(temperature: ArrayLike) -> Floats:
    """Spontaneous magnetization of the infinite lattice, [...]: (1 - sinh⁻⁴(2/T))^(1/8) below the critical temperature, else 0.

    Source: Yang, Phys. Rev. 85 (1952) 808, doi:10.1103/PhysRev.85.808.

    >>> exact_magnetization([1.0, 2.0, 3.0]).round(4).tolist()
    [0.9993, 0.9113, 0.0]
    """
    T = np.asarray(temperature, dtype=float)
    with np.errstate(over="ignore"):
        inside = 1 - np.sinh(2 / T) ** -4.0
    m: Floats = np.maximum(inside, 0) ** 0.125
    return m


def chance_up(temperature: ArrayLike, field: ArrayLike, coupling: float = 1.0) -> Floats:
    """Chance [..., 5] that a spin with 0, 1, … 4 neighbors up is drawn up in the heat bath.

    1 / (1 + exp(-2 (J (2k - 4) + h) / T)), T in units of the energy.
    Source: Glauber, J. Math. Phys. 4 (1963) 294, doi:10.1063/1.1703954.

    >>> chance_up(2.0, 0.0).round(3).tolist()
    [0.018, 0.119, 0.5, 0.881, 0.982]
    """
    drive = coupling * np.arange(-4.0, 5.0, 2.0) + np.asarray(field, dtype=float)[..., None]
    p: Floats = (1 + np.tanh(drive / np.asarray(temperature, dtype=float)[..., None])) / 2
    return p


def needed_table(chances: ArrayLike) -> Bytes:
    """Number of neighbors up at which a spin is drawn up, [65536, n], for every random number of 16 bits and n settings.

    The same random number needs fewer in a higher field: so lattices that share random numbers stay ordered as their fields are.

    Args:
        chances: As of `chance_up`, [n, 5].
    """
    limits = np.rint(LEVELS * np.asarray(chances)).astype(np.int32).T  # [5, n]
    # One more neighbor is needed from every limit on.
    needed = np.zeros((LEVELS + 1, limits.shape[1]), np.uint8)
    for limit in limits:
        needed[limit, np.arange(limits.shape[1])] += 1
    np.add.accumulate(needed, axis=0, out=needed)
    return needed[:LEVELS]


@dataclass(frozen=True)
class _Views:
    """The parts of two colors that are read and written when one of them is drawn."""

    above: Bytes
    below: Bytes
    beside: Bytes
    sides: tuple[tuple[Bytes, Bytes], tuple[Bytes, Bytes]]
    """Even and odd rows of the sum of neighbors, with what stands at their other side."""
    drawn: Start
    margins: tuple[tuple[Bytes, Bytes], ...]
    """Margin, and the edge that it repeats."""


class Lattices:
    """n square lattices on a torus, as bytes (1 is up), in the two colors of a checkerboard.

    The neighbors of a black spin are all white, and the other way round, so that all spins of a color are drawn at once.
    """

    def __init__(self, size: int, start: Start) -> None:
        """All up or all down.

        Args:
            size: Edge, even, 4 to 256.
            start: Whether each lattice starts all up, [n].
        """
        self.size, half = size, size // 2
        # Each color [size, size/2, n] has a margin of one row or column, which repeats the opposite edge.
        black, white = (np.empty((size + 2, half + 2, len(start)), np.uint8) for _ in range(2))
        black[:] = white[:] = start
        self._sum = np.empty((size, half, len(start)), np.uint8)
        self._product = np.empty_like(self._sum)
        self._black, self._white = black[1:-1, 1:-1], white[1:-1, 1:-1]
        self._steps = (self._views(black, white, is_black=True), self._views(white, black, is_black=False))

    def _views(self, mine: Bytes, other: Bytes, is_black: bool) -> _Views:
        # A row's fourth neighbor stands left or right of the third: that alternates with rows and colors.
        left, right = other[1:-1, :-2], other[1:-1, 2:]
        even, odd = (left, right) if is_black else (right, left)
        return _Views(
            above=other[:-2, 1:-1],
            below=other[2:, 1:-1],
            beside=other[1:-1, 1:-1],
            sides=((self._sum[0::2], even[0::2]), (self._sum[1::2], odd[1::2])),
            drawn=mine[1:-1, 1:-1].view(np.bool_),
            margins=((mine[0], mine[-2]), (mine[-1], mine[1]), (mine[:, 0], mine[:, -2]), (mine[:, -1], mine[:, 1])),
        )

    def sweep(self, needed: Bytes) -> None:
        """Draw every spin once, the black ones first.

        Args:
            needed: How many neighbors must be up for a spin to be up, [2, size, size/2, n], black and white.
        """
        for color, views in enumerate(self._steps):
            np.add(views.above, views.below, out=self._sum)
            np.add(self._sum, views.beside, out=self._sum)
            for rows, side in views.sides:
                np.add(rows, side, out=rows)
            np.greater_equal(self._sum, needed[color], out=views.drawn)
            for margin, edge in views.margins:
                margin[...] = edge

    def reading(self) -> tuple[Floats, Floats]:
        """Magnetization and sum over all bonds of s s', both per spin, [n]; only after a sweep.

        The white spins were drawn last, so that the sum of their black neighbors still holds.
        """
        np.multiply(self._sum, self._white, out=self._product)
        aligned = _total(self._product)
        np.add(self._black, self._white, out=self._product)
        ups = _total(self._product)
        # Σ (2s - 1)(2k - 4) over the white spins, of which Σ k counts every black spin four times.
        magnetization: Floats = 2 * ups / self.size**2 - 1
        bonds: Floats = (4 * aligned - 8 * ups) / self.size**2 + 2
        return magnetization, bonds


def _total(numbers: Bytes) -> Floats:
    """Sum [n] over the first two axes of numbers from 0 to 4."""
    if numbers.shape[2] == 1:
        sole: Floats = np.add.reduce(numbers, axis=(0, 1), dtype=np.float64)
        return sole
    # Of many lattices, bytes are added as bytes as long as they cannot overflow: it is several times faster.
    total: Floats = np.zeros(numbers.shape[2])
    for k in range(0, numbers.shape[1], BYTE_SUM):
        total += np.add.reduce(np.add.reduce(numbers[:, k : k + BYTE_SUM], axis=1, dtype=np.uint8), axis=0, dtype=np.int64)
    return total


def sweeps(lattices: Lattices, table: Bytes, replicas: int, count: int, random: np.random.BitGenerator) -> Iterator[None]:
    """Sweep the lattices of r replicas of n settings, in the order [r, n], `count` times; hands over after each time.

    All settings share the random numbers, and no two replicas do. What a setting gets does not depend on the other settings.

    Args:
        table: As of `needed_table`, [65536, n].
    """
    cells = (2, lattices.size, lattices.size // 2, replicas)
    draws = math.prod(cells)
    most = max(1, min(DRAWS // draws, BLOCK // (draws * table.shape[1])))
    while count:
        block = min(most, count)
        count -= block
        numbers = random.random_raw(block * draws // 4).view(np.uint16).reshape(block, *cells)
        for needed in table.take(numbers, axis=0).reshape(block, *cells[:3], -1):
            lattices.sweep(needed)
            yield


@dataclass(frozen=True)
class Run:
    """Averages over one run of sweeps, [r, n] for r replicas of n settings."""

    magnetization: Floats
    """Mean, per spin."""
    square: Floats
    """Mean square of the magnetization."""
    alignment: Floats
    """Mean sum over all bonds of s s', per spin."""

    def outcomes(self, temperature: ArrayLike, field: ArrayLike, coupling: float, size: int) -> tuple[Floats, Floats, Floats]:
        """Magnetization, energy and susceptibility, all per spin, [r, n].

        χ = N (⟨m²⟩ - ⟨m⟩²) / T: fluctuation and response. Source: Landau & Binder, A Guide to Monte Carlo Simulations in
        Statistical Physics, ch. 2.
        """
        m = self.magnetization
        energy: Floats = -coupling * self.alignment - np.asarray(field) * m
        variance = np.maximum(self.square - m**2, 0.0)
        return m, energy, size**2 * variance / np.asarray(temperature)


def run(
    lattices: Lattices,
    table: Bytes,
    replicas: int,
    warm_up: int,
    count: int,
    random: np.random.BitGenerator,
    halt: threading.Event | None = None,
) -> Run:
    """Warm the lattices up, then average over `count` sweeps.

    Raises:
        Stopped: Somebody set `halt`.
    """
    m, square, alignment = np.zeros((3, replicas * table.shape[1]))
    for k, _ in enumerate(sweeps(lattices, table, replicas, warm_up + count, random)):
        if halt is not None and halt.is_set():
            raise Stopped("the magnet was stopped during its sweeps")
        if k >= warm_up:
            now, bonds = lattices.reading()
            m += now
            square += now**2
            alignment += bonds
    return Run(*(total.reshape(replicas, -1) / count for total in (m, square, alignment)))
