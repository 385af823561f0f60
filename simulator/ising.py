"""A two-dimensional Ising magnet, by Monte Carlo.

Equations and the sweep first, as functions of arrays; then `Ising`, which puts a probe and a clock around them and whose docstring
is the data sheet.
"""

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ellipkm1

from frugaltwin.costs import Cost
from frugaltwin.diagram import Curve, Diagram, Line, Mark, Section
from frugaltwin.errors import InvalidInput, Stopped
from frugaltwin.experiment import Continuous, Experiment, Measurement, Outcome, Outcomes, Settings, Trial
from simulator.instruments.phase_lab import Constant, Labeling, check_lab, constants_of

Floats: TypeAlias = NDArray[np.float64]
Bytes: TypeAlias = NDArray[np.uint8]
Start: TypeAlias = NDArray[np.bool_]

CRITICAL = 2 / math.log(1 + math.sqrt(2))
"""Critical temperature in units of the coupling, 2.269. Source: Onsager, Phys. Rev. 65 (1944) 117, doi:10.1103/PhysRev.65.117."""

LEVELS = 2**16  # A random number has 16 bits: chances are multiples of 1.5e-5

REPLICAS, GROUPS = 8, 8
"""The truth is the mean of 8 runs, or of 16, 24, … 64 where fewer do not determine the magnetization to `PRECISE`."""
PRECISE = 0.005  # standard error of the mean magnetization
TRUTH_SEED = 1944
TOGETHER = 128  # settings whose lattices are swept at once
REMEMBERED = 200_000  # settings whose truth is kept
DRAWS, BLOCK = 2**16, 2**21  # random numbers, and bytes that come of them, at once: so they stay in the cache
BYTE_SUM = 60  # numbers up to 4 whose sum fits into a byte

LABELS = ("up", "down", "disordered")
ORDERED = 0.5  # magnetization from which the label is up or down


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


@dataclass(frozen=True)
class Magnet:
    """A sample and how it is read."""

    size: int
    warm_up: int
    sweeps: int
    coupling: float
    stray_field: float

    def table(self, temperature: Floats, field: Floats) -> Bytes:
        """Thresholds [65536, n] for settings [n]."""
        return needed_table(chance_up(temperature, field + self.stray_field, self.coupling))

    def starts_up(self, field: Floats) -> Start:
        """Whether a sample without a past is saturated up, [n]: along the field that it feels; no field counts as up."""
        up: Start = field + self.stray_field >= 0
        return up

    def replicas(self, temperature: Floats, field: Floats, group: int = 0) -> tuple[Floats, Floats, Floats]:
        """The outcomes [8, n] of runs without a past and without a probe, from random numbers that all settings share."""
        lattices = Lattices(self.size, np.tile(self.starts_up(field), REPLICAS))
        random = np.random.PCG64((TRUTH_SEED, group))
        found = run(lattices, self.table(temperature, field), REPLICAS, self.warm_up, self.sweeps, random)
        return found.outcomes(temperature, field + self.stray_field, self.coupling, self.size)


@lru_cache(maxsize=256)
def _table(magnet: Magnet, temperature: float, field: float) -> Bytes:
    return magnet.table(np.array([temperature]), np.array([field]))


@dataclass(frozen=True)
class Expected:
    """Mean result of many runs."""

    magnetization: float
    energy: float
    susceptibility: float
    error: float
    """Standard error of the magnetization."""


class TruthCache:
    """The truths found so far, shared by all threads."""

    def __init__(self) -> None:
        self._known: dict[tuple[Magnet, float, float], Expected] = {}
        self._lock = threading.Lock()

    def find(self, magnet: Magnet, settings: Sequence[tuple[float, float]]) -> dict[tuple[float, float], Expected | None]:
        """The truth at every pair of temperature and field; None where it is not known yet."""
        with self._lock:
            return {s: self._known.get((magnet, *s)) for s in settings}

    def keep(self, magnet: Magnet, answers: Mapping[tuple[float, float], Expected]) -> None:
        """Remember answers; all earlier ones are dropped when there are too many."""
        with self._lock:
            if len(self._known) > REMEMBERED:
                self._known.clear()
            self._known.update({(magnet, *s): known for s, known in answers.items()})

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._known.clear()


TRUTHS = TruthCache()


def expected(magnet: Magnet, settings: Sequence[tuple[float, float]]) -> list[Expected]:
    """The truth at every pair of temperature and field. It depends on no other pair."""
    found = TRUTHS.find(magnet, settings)
    open_ = {s: np.empty((3, 0)) for s, known in found.items() if known is None}  # what the runs gave so far, [3, r]
    together = max(1, TOGETHER * 32**2 // magnet.size**2)
    for group in range(GROUPS):
        pairs = list(open_)
        for k in range(0, len(pairs), together):
            some = pairs[k : k + together]
            temperature, field = np.array(some).T
            runs = np.stack(magnet.replicas(temperature, field, group))  # [3, 8, n]
            for n, pair in enumerate(some):
                open_[pair] = np.hstack([open_[pair], runs[:, :, n]])
        for pair in pairs:
            runs = open_[pair]
            error = float(runs[0].std(ddof=1)) / math.sqrt(runs.shape[1])
            if error <= PRECISE or group == GROUPS - 1:
                m, energy, susceptibility = runs.mean(axis=1).tolist()
                found[pair] = Expected(m, energy, susceptibility, error)
                del open_[pair]
    answers = {s: known for s, known in found.items() if known is not None}
    TRUTHS.keep(magnet, answers)
    return [answers[s] for s in settings]


def label_of(magnetization: float) -> str:
    """The phase that a magnetization indicates.

    >>> label_of(0.5), label_of(-0.9), label_of(0.2)
    ('up', 'down', 'disordered')
    """
    return "disordered" if abs(magnetization) < ORDERED else "up" if magnetization > 0 else "down"


CONSTANTS = {
    "coupling": Constant(1.0, (0.8, 1.2), (0.1, 10.0), "J", "energy of a bond"),
    "stray_field": Constant(0.0, (-0.2, 0.2), (-10.0, 10.0), "J", "field at the sample when the coil is off"),
}
PROBE_NOISE = 0.02  # of a reading of the magnetization, standard deviation
PROBE_DRIFT = 0.01  # random walk of its zero, standard deviation after an hour
HANDLING, SWEEP = 2.0, 0.02  # s: setting the temperature and the field; a sweep

ISING = Experiment(
    "ising",
    (
        Continuous("temperature", 1.0, 4.0, "J/k", "of the magnet"),
        Continuous("field", -1.0, 1.0, "J", "of the coil, times the moment of a spin"),
    ),
    (
        Outcome("phase", "", "which way the magnet is ordered", labels=LABELS),
        Outcome("magnetization", "1", "per spin"),
        Outcome("energy", "J", "per spin"),
        Outcome("susceptibility", "1/J", "per spin, from the fluctuations of the magnetization"),
    ),
)


class Ising:
    """Two-dimensional Ising magnet: temperature and field, by Monte Carlo; phases up, down and disordered.

    **Equation.** E = -J Σ s s' - h Σ s over the bonds and spins (s = ±1) of a square lattice on a torus; every spin is drawn in
    the heat bath of its four neighbors, up with the chance 1 / (1 + exp(-2 (J Σ s' + h) / T)), all black spins of a checkerboard,
    then all white ones: one sweep. h = field + stray_field. In a run, `warm_up` sweeps pass, then `sweeps` are averaged: m the
    mean spin, u = E/N, χ = N (⟨m²⟩ - ⟨m⟩²) / T. The infinite lattice orders below T_c = 2J / ln(1 + √2) = 2.269 J/k at h = 0.
    Source: Onsager, Phys. Rev. 65 (1944) 117, doi:10.1103/PhysRev.65.117 (T_c, energy); Yang, Phys. Rev. 85 (1952) 808,
    doi:10.1103/PhysRev.85.808 (magnetization); Glauber, J. Math. Phys. 4 (1963) 294, doi:10.1063/1.1703954 (heat bath).

    ============ ========= ===== =====================================================================
    parameter    limits    unit  meaning
    ============ ========= ===== =====================================================================
    temperature  1 to 4    J/k   of the magnet; J is a nominal energy, the unit of this twin
    field        -1 to 1   J     of the coil, times the moment of a spin
    ============ ========= ===== =====================================================================

    ============== ===== =============================================================================
    outcome        unit  meaning
    ============== ===== =============================================================================
    phase                up (magnetization at least 1/2), down (at most -1/2) or disordered
    magnetization  1     per spin, read by a probe: noise 0.02, and a zero that drifts
    energy         J     per spin, in the field included; scatters only as the spins do
    susceptibility 1/J   per spin; of `sweeps` only: fluctuations slower than the run are not in it
    ============== ===== =============================================================================

    ============== ========= ========================================================================
    option         default   meaning
    ============== ========= ========================================================================
    size           32        edge of the lattice, even, 4 to 256
    warm_up        100       sweeps before the reading, 0 to 100000
    sweeps         50        sweeps that are averaged, 2 to 100000
    remember       false     the spins stay as the last experiment left them: hysteresis, and the order matters
    coupling       1         J, energy of a bond; drawn from 0.8 to 1.2
    stray_field    0         J, at the sample with the coil off; drawn from -0.2 to 0.2
    system         none      a seed: draws coupling and stray_field where not given
    labeling       inferred  from the probe; `direct`: from the spins themselves, without the probe's errors
    imperfections  1         scales noise (0.02) and drift (0.01 after an hour) of the probe; 0 turns them off
    seed           0         of everything random
    ============== ========= ========================================================================

    Without `remember` a sample has no past: it starts saturated along the field that it feels; no field counts as up. With it,
    the first experiment starts so, and also the first after a campaign is resumed. The spins scatter from run to run whatever
    `imperfections` is: they are few and hot.

    **Time and money.** 2 s, and 0.02 s per sweep; no material.

    **Truth**: the mean of 8 runs without a past and without a probe, or of as many more (16, 24, … 64) as it takes until the
    standard error of the magnetization is 0.005. They come from one stream of random numbers that all settings share: the truth
    depends on nothing but the setting, the system, `size`, `warm_up` and `sweeps`. With the default options the error is above
    0.005 only at |field| ≤ 0.1 and 2.2 to 3.3 J/k, and 0.03 at most. The label is that of the mean magnetization.

    **Valid** as a model: it is the Ising model itself, on a finite torus, in a finite time. Near T_c at zero field (2.2 to 2.6)
    a run is shorter than the fluctuations last, and its magnetization keeps part of the saturation that it started from.
    Chances are rounded to multiples of 2⁻¹⁶.
    **Leaves out** demagnetization, domains larger than the lattice, anisotropic couplings, quantum effects; dynamics are those
    of the heat bath, not of a material.

    **Twin of** no rig: a model magnet whose exact solution is known. Nothing was ever compared with a measured one.
    """

    experiment = ISING

    def __init__(
        self,
        size: int = 32,
        warm_up: int = 100,
        sweeps: int = 50,
        remember: bool = False,
        coupling: float | None = None,
        stray_field: float | None = None,
        system: int | None = None,
        labeling: Labeling = "inferred",
        imperfections: float = 1.0,
        seed: int = 0,
    ) -> None:
        for name, value, low, high in (("size", size, 4, 256), ("warm_up", warm_up, 0, 100_000), ("sweeps", sweeps, 2, 100_000)):
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise InvalidInput(f"{name} = {value!r}: it is a whole number from {low} to {high}")
        if size % 2:
            raise InvalidInput(f"size = {size}: it is even, because the lattice is a checkerboard on a torus")
        check_lab(seed, imperfections, labeling)
        constants = constants_of(CONSTANTS, {"coupling": coupling, "stray_field": stray_field}, system)
        self.magnet = Magnet(size, warm_up, sweeps, **constants)
        self._remembers, self._labeling, self._imperfections, self._seed = remember, labeling, imperfections, seed
        self._cost = Cost(seconds=HANDLING + SWEEP * (warm_up + sweeps))
        self._stop = threading.Event()
        self._begin((seed,))

    def _begin(self, seed: tuple[int, ...]) -> None:
        """A sample without a past and fresh random numbers."""
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._spins: Lattices | None = None
        self._zero = 0.0
        self._stop.set()  # until somebody connects

    def resume(self, trials: Sequence[Trial]) -> None:
        """Draw other random numbers than the earlier sessions did; the sample has lost its past."""
        self._begin((self._seed, len(trials)))

    def __enter__(self) -> Self:
        self._stop.clear()
        return self

    def perform(self, settings: Settings) -> Measurement:
        """Set temperature and field, sweep, read. Takes no real time but that of the computer.

        Raises:
            Stopped: Somebody stopped the magnet; enter it again to go on.
        """
        if self._stop.is_set():
            raise Stopped("the magnet was stopped, or it is not connected")
        magnet, temperature, field = self.magnet, float(settings["temperature"]), float(settings["field"])
        if self._spins is None or not self._remembers:
            self._spins = Lattices(magnet.size, magnet.starts_up(np.array([field])))
        table = _table(magnet, temperature, field)
        found = run(self._spins, table, 1, magnet.warm_up, magnet.sweeps, self._random.bit_generator, self._stop)
        total_field = field + magnet.stray_field
        m, energy, susceptibility = (float(v[0, 0]) for v in found.outcomes(temperature, total_field, magnet.coupling, magnet.size))
        read = m + self._imperfections * self._probe_error()
        return Measurement(_named(m if self._labeling == "direct" else read, read, energy, susceptibility), self._cost)

    def truth(self, settings: Settings) -> Outcomes:
        """The mean of many runs without a past and without a probe."""
        return self.truths([settings])[0]

    def truths(self, settings: Sequence[Settings]) -> list[Outcomes]:
        """The same for many settings at once."""
        pairs = [(float(s["temperature"]), float(s["field"])) for s in settings]
        return [_named(e.magnetization, e.magnetization, e.energy, e.susceptibility) for e in expected(self.magnet, pairs)]

    def estimate(self, settings: Settings) -> Cost:
        """The cost of `perform`."""
        return self._cost

    def diagram(self, at: float | None = None) -> Diagram:
        """The first-order line and the critical point of the infinite lattice, and the magnetization at the temperature `at`."""
        temperature, field = (p for p in ISING.parameters if isinstance(p, Continuous))
        critical = CRITICAL * self.magnet.coupling
        at = min(max(critical, temperature.low), temperature.high) if at is None else at
        if not temperature.low <= at <= temperature.high:
            raise InvalidInput(f"ising is cut at a temperature in {temperature.limits}, not at {at:g} J/k")
        h = np.linspace(field.low, field.high, 41)
        m = np.array([e.magnetization for e in expected(self.magnet, [(at, float(x)) for x in h])])
        lines, marks, zero = [], [], 0.0 - self.magnet.stray_field
        if field.low <= zero <= field.high and critical > temperature.low:
            ends = np.array([[temperature.low, zero], [min(critical, temperature.high), zero]])
            lines.append(Line("boundary", ends, "first-order line"))
            if critical <= temperature.high:
                marks.append(Mark("critical point", (critical, zero)))
        section = Section(
            f"magnetization at {at:.4g} J/k", "field, J", "magnetization", (Curve("magnetization", h, m),), cuts=("temperature", at)
        )
        return Diagram(("temperature", "field"), "phase", None, tuple(lines), tuple(marks), section, n_points=41)

    def stop(self) -> None:
        """The next `perform` raises `Stopped`, and one in flight does so after its sweep, until the magnet is entered again."""
        self._stop.set()

    def __exit__(self, *failure: object) -> None:
        """The coil is off."""
        self._stop.set()

    def _probe_error(self) -> float:
        hours = self._cost.seconds / 3600
        step, noise = self._random.standard_normal(2).tolist()
        self._zero += PROBE_DRIFT * math.sqrt(hours) * step
        return float(self._zero + PROBE_NOISE * noise)


def _named(seen: float, magnetization: float, energy: float, susceptibility: float) -> dict[str, float | str]:
    return {"phase": label_of(seen), "magnetization": magnetization, "energy": energy, "susceptibility": susceptibility}
