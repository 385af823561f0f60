"""A two-dimensional Ising magnet, by Monte Carlo.

`Ising` puts a probe and a clock around the lattices of `simulator.equations.ising_lattice`; its docstring is the data sheet.
"""

import csv
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from scipy.interpolate import RectBivariateSpline

from frugaltwin.amounts import Amounts
from frugaltwin.data_sheets import SystemOptions, option, takes
from frugaltwin.diagram import Curve, Diagram, Line, Mark, Section
from frugaltwin.errors import InvalidInput, Stopped
from frugaltwin.experiment import Continuous, Experiment, Measurement, Outcome, Outcomes, Settings, Trial
from frugaltwin.prices import Fixed, Price
from simulator.equations.ising_clusters import Equilibrium, correlation_length, equilibrium
from simulator.equations.ising_lattice import CRITICAL, Bytes, Floats, Lattices, Run, Start, chance_up, needed_table, run
from simulator.instruments.experiment_noise import ExperimentNoise, performed_settings
from simulator.instruments.phase_lab import LabOptions

TABLE = Path(__file__).parent / "published" / "ising.csv"
"""The infinite lattice, by `benchmarks/tabulate_ising.py`: from 0.8 to 5.2 J/k and up to 1.6 J, in units of the coupling."""
WEAK = 0.003  # field, in units of the coupling, from which on the table's points are further and further apart
FAR, TRUSTED = 8.0, 32  # correlation lengths along the edge from which a lattice counts as infinite; the edge that is enough
CHAINS, GROUPS = 8, 8
"""Chains of cluster moves: 8, or 16, 24, … 64 where fewer do not determine the truth to `PRECISE` and `PRECISE_RESPONSE`."""
MOVES_BEFORE, MOVES = 30, 60
PRECISE = 0.005  # standard error of the magnetization and of the energy
PRECISE_RESPONSE = 0.05  # of the susceptibility, as a share of it
TRUTH_SEED = 1944
TOGETHER = 2**17  # spins whose clusters are found at once
REMEMBERED = 200_000  # settings whose truth is kept

LABELS = ("up", "down", "disordered")
ORDERED = 0.5  # magnetization from which the label is up or down


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


@lru_cache(maxsize=256)
def _table(magnet: Magnet, temperature: float, field: float) -> Bytes:
    return magnet.table(np.array([temperature]), np.array([field]))


@dataclass(frozen=True)
class Infinite:
    """The infinite lattice at equilibrium, in units of the coupling: splines below and above the critical temperature."""

    limits: tuple[float, float, float]
    """The coldest and the hottest temperature, and the strongest field."""
    sides: tuple[tuple[RectBivariateSpline, ...], tuple[RectBivariateSpline, ...]]

    @classmethod
    @cache
    def read(cls) -> Self:
        """The table as it was published."""
        with TABLE.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))[1:]
        sides, ends = [], []
        for side in ("below", "above"):
            T, h, *values = np.array([row[1:] for row in rows if row[0] == side], dtype=float).T
            n = len(np.unique(h))
            axes = np.sqrt(np.abs(T[::n] - CRITICAL)), np.arcsinh(h[:n] / WEAK)  # both crowd towards the critical point
            ends.append(float(T[-1]))
            values[2] = np.log(values[2])
            sides.append(tuple(RectBivariateSpline(*axes, v.reshape(-1, n)) for v in values))
        return cls((ends[0], ends[1], float(h.max())), (sides[0], sides[1]))

    def covers(self, temperature: Floats, field: Floats) -> Start:
        """Whether the table has these settings, [n]; no field may be negative."""
        coldest, hottest, strongest = self.limits
        inside: Start = (temperature >= coldest) & (temperature <= hottest) & (field <= strongest)
        return inside

    def at(self, temperature: Floats, field: Floats) -> Floats:
        """Magnetization, energy and susceptibility, [3, n], of settings that it covers."""
        found = np.empty((3, len(temperature)))
        for side, chosen in zip(self.sides, (temperature < CRITICAL, temperature >= CRITICAL), strict=True):
            if chosen.any():
                place = np.sqrt(np.abs(temperature[chosen] - CRITICAL)), np.arcsinh(field[chosen] / WEAK)
                found[:, chosen] = [spline.ev(*place) for spline in side]
        found[0, (temperature >= CRITICAL) & (field == 0)] = 0.0
        found[2] = np.exp(found[2])
        return found


@dataclass(frozen=True)
class Expected:
    """Equilibrium of a magnet."""

    magnetization: float
    energy: float
    susceptibility: float
    error: float
    """Standard error of the magnetization or of the energy in units of the coupling, the larger one."""


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
    pairs = [s for s, known in found.items() if known is None]
    if pairs:
        temperature, total = (np.array(pairs) + np.array([0.0, magnet.stray_field])).T / magnet.coupling
        field, sign = np.abs(total), np.where(total < 0, -1.0, 1.0)
        table = Infinite.read()
        far = table.covers(temperature, field) & (correlation_length(temperature, field) * FAR <= min(magnet.size, TRUSTED))
        values, errors = np.empty((3, len(pairs))), np.zeros(len(pairs))
        values[:, far] = table.at(temperature[far], field[far])
        values[:, ~far], errors[~far] = _by_clusters(magnet.size, temperature[~far], field[~far])
        values = values * np.stack([sign, np.full(len(pairs), magnet.coupling), np.full(len(pairs), 1 / magnet.coupling)])
        answers = [Expected(*row) for row in np.vstack([values, errors]).T.tolist()]
        TRUTHS.keep(magnet, dict(zip(pairs, answers, strict=True)))
        found |= zip(pairs, answers, strict=True)
    return [answer for s in settings if (answer := found[s])]


def _by_clusters(size: int, temperature: Floats, field: Floats) -> tuple[Floats, Floats]:
    """Magnetization, energy and susceptibility [3, n] of a torus, in units of the coupling, and the error of the magnetization [n]."""
    values, errors = np.empty((3, len(temperature))), np.empty(len(temperature))
    together = max(1, TOGETHER // (CHAINS * size**2))
    for k in range(0, len(temperature), together):
        open_ = np.arange(k, min(k + together, len(temperature)))
        chains = Equilibrium.none(len(open_))
        for group in range(GROUPS):
            random = np.random.default_rng((TRUTH_SEED, group))
            more = equilibrium(size, temperature[open_], field[open_], CHAINS, MOVES_BEFORE, MOVES, random)
            chains = chains.with_more(more)
            values[:, open_], errors[open_], response = chains.pooled(size, temperature[open_])
            vague = (errors[open_] > PRECISE) | (response > PRECISE_RESPONSE * values[2, open_])
            open_, chains = open_[vague], chains.of(vague)
            if not len(open_):
                break
    return values, errors


def label_of(magnetization: float) -> str:
    """The phase that a magnetization indicates.

    >>> label_of(0.5), label_of(-0.9), label_of(0.2)
    ('up', 'down', 'disordered')
    """
    return "disordered" if abs(magnetization) < ORDERED else "up" if magnetization > 0 else "down"


def half_magnetization(coupling: float, hottest: float) -> tuple[Floats, Floats]:
    """Temperatures from the critical one up, and the field at which the magnetization of the infinite lattice is 1/2 there, [n] each."""
    table = Infinite.read()
    T = np.linspace(CRITICAL, min(hottest / coupling, table.limits[1]), 41)
    low, high = np.zeros((2, len(T)))
    high[:] = table.limits[2]
    for _ in range(40):  # the magnetization rises with the field
        middle = (low + high) / 2
        is_below = table.at(T, middle)[0] < ORDERED
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return T * coupling, (low + high) / 2 * coupling


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


class IsingOptions(SystemOptions, LabOptions):
    """Options of an Ising magnet."""

    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {"teaching-lab": {"remember": True}}

    size: int = option(32, "edge of the lattice, even", allowed=(4, 256), changes="truth")
    warm_up: int = option(100, "sweeps before the reading", allowed=(0, 100_000), changes="imperfections")
    sweeps: int = option(50, "sweeps that are averaged", allowed=(2, 100_000), changes="imperfections")
    remember: bool = option(
        False, "the spins stay as the last experiment left them: hysteresis, and the order matters", changes="imperfections"
    )
    coupling: float | None = option(1.0, "energy of a bond", "J", drawn=(0.8, 1.2), allowed=(0.1, 10.0))
    stray_field: float | None = option(0.0, "field at the sample when the coil is off", "J", drawn=(-0.2, 0.2), allowed=(-10.0, 10.0))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size % 2:
            raise InvalidInput(f"size = {self.size}: it is even, because the lattice is a checkerboard on a torus")


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
    phase                up (magnetization at least 1/2), down (at most -1/2) or disordered: see Labels
    magnetization  1     per spin, read by a probe: noise 0.02, and a zero that drifts
    energy         J     per spin, in the field included; scatters only as the spins do
    susceptibility 1/J   per spin; of `sweeps` only: fluctuations slower than the run are not in it
    ============== ===== =============================================================================

    **Options**: `IsingOptions`.

    Without `remember` a sample has no past: it starts saturated along the field that it feels; no field counts as up. With it,
    the first experiment starts so. The spins scatter from run to run whatever
    `imperfections` is: they are few and hot. A measurement is one run: with the default options it is shorter than the spins'
    memory near T_c without a field (2.1 to 2.6 J/k), where its magnetization keeps part of the saturation that it started
    from and its susceptibility is too small, at T_c by a factor of some hundred. More `warm_up` and `sweeps` cure it.

    **Labels.** Up and down say that at least three spins in four point that way. Without a field that is the ordered phase:
    the spontaneous magnetization of the infinite lattice falls from 1/2 to 0 within 0.002 J/k below T_c. In a field there is no
    transition at any temperature: the label changes where the magnetization passes 1/2, gradually. The diagram draws the
    transition (h = 0 up to T_c) as a boundary and half magnetization as a dotted line.

    **The teaching lab** (``imperfections=teaching-lab``): the magnet remembers.

    **Time and money.** 2 s, and 0.02 s per sweep; no material.

    **Truth**: equilibrium, without a probe: what runs of any length tend to. It depends on the setting, the system and `size`, and
    not on `warm_up` and `sweeps`. Where the edge is 8 correlation lengths or more (of 4 at most), it is that of the infinite
    lattice, from a table by corner transfer matrices (`benchmarks/tabulate_ising.py`, which prints how exact it is: 3e-4, and 1 %
    of the susceptibility). Nearer to that
    it is that of the finite torus, by cluster moves: standard error 0.005 of magnetization and energy, 5 % of the susceptibility, or what
    64 chains of 60 moves reach (0.01 and 5 % at T_c for the default size).
    A finite lattice has no transition: at T_c its susceptibility is not infinite but grows as size^(7/4) (about 210 at 32), and its
    energy and magnetization differ from the infinite lattice's within about 2 J/k / size of T_c. Without a field, a torus at
    equilibrium is as often up as down; the truth below T_c is that of |m| (χ = N (⟨m²⟩ - ⟨|m|⟩²) / T), from T_c on m = 0 and
    χ = N ⟨m²⟩ / T. So the susceptibility jumps there, from 15 to 210 at 32; for an infinite lattice both are infinite.

    **Valid** as a model: it is the Ising model itself, on a finite torus, in a finite time.
    Chances are rounded to multiples of 2⁻¹⁶.
    **Leaves out** demagnetization, domains larger than the lattice, anisotropic couplings, quantum effects; dynamics are those
    of the heat bath, not of a material.

    The sources could not be opened when this sheet was last checked; tests compare it with the exact solution, with sums over
    all states, and with series.

    **Twin of** no rig: a model magnet whose exact solution is known. Nothing was ever compared with a measured one.
    """

    experiment = ISING

    @takes(IsingOptions)
    def __init__(self, options: IsingOptions) -> None:
        self.magnet = Magnet(options.size, options.warm_up, options.sweeps, **options.constants)
        self._remembers, self._labeling = options.remember, options.labeling
        self._imperfections, self._seed = options.scale, options.seed
        self._cost = Amounts(seconds=HANDLING + SWEEP * (options.warm_up + options.sweeps))
        self._stop = threading.Event()
        self._begin(())

    def _begin(self, past: Sequence[Settings]) -> None:
        """A new sample, on which `past` is to be performed."""
        self._noise = ExperimentNoise(self._seed)
        self._performed: list[Settings] = []
        self._past = past
        self._spins: Lattices | None = None
        self._zero = 0.0
        self._stop.set()  # until somebody connects

    def resume(self, trials: Sequence[Trial]) -> None:
        """Go on as if this magnet itself had performed the trials."""
        self._begin(performed_settings(trials))

    def __enter__(self) -> Self:
        """Connect, and bring a new sample to where the past left it; one that remembers nothing needs no sweeps for that."""
        self._stop.clear()
        past, self._past = self._past, ()
        try:
            for settings in past:
                self._probe_error()
                if self._remembers:
                    self._swept(settings)
                self._performed.append(settings)
        except Stopped:
            self._begin(past)
            raise
        return self

    def perform(self, settings: Settings) -> Measurement:
        """Set temperature and field, sweep, read. Takes no real time but that of the computer.

        Raises:
            Stopped: Somebody stopped the magnet; enter it again to go on.
        """
        if self._stop.is_set():
            raise Stopped("the magnet was stopped, or it is not connected")
        try:
            error, found = self._probe_error(), self._swept(settings)
        except Stopped:
            self._begin(self._performed)  # the sample as it was before
            raise
        self._performed.append(settings)
        magnet, temperature, total_field = self.magnet, float(settings["temperature"]), float(settings["field"]) + self.magnet.stray_field
        m, energy, susceptibility = (float(v[0, 0]) for v in found.outcomes(temperature, total_field, magnet.coupling, magnet.size))
        read = m + self._imperfections * error
        return Measurement(_named(m if self._labeling == "direct" else read, read, energy, susceptibility), self._cost)

    def truth(self, settings: Settings) -> Outcomes:
        """Equilibrium, without a probe."""
        return self.truths([settings])[0]

    def truths(self, settings: Sequence[Settings]) -> list[Outcomes]:
        """The same for many settings at once."""
        pairs = [(float(s["temperature"]), float(s["field"])) for s in settings]
        return [_named(e.magnetization, e.magnetization, e.energy, e.susceptibility) for e in expected(self.magnet, pairs)]

    def price(self) -> Price:
        """Price of the sweeps, the same everywhere."""
        return Price((Fixed(self._cost),))

    def estimate(self, settings: Settings) -> Amounts:
        """The cost of `perform`."""
        return self._cost

    def diagram(self, at: float | None = None) -> Diagram:
        """The first-order line and the critical point of the infinite lattice, and the magnetization at the temperature `at`.

        Dotted is half magnetization in a field, where the label changes and nothing else does.
        """
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
        T, half = half_magnetization(self.magnet.coupling, temperature.high)
        for side in (1.0, -1.0):
            inside = (temperature.low <= T) & (np.abs(zero + side * half) <= field.high)
            if inside.sum() > 1:
                lines.append(Line("gradual change", np.column_stack([T, zero + side * half])[inside]))
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
        """The probe's error in the next experiment."""
        hours = self._cost.seconds / 3600
        step, noise = self._noise.begin().standard_normal(2).tolist()
        self._zero += PROBE_DRIFT * math.sqrt(hours) * step
        return float(self._zero + PROBE_NOISE * noise)

    def _swept(self, settings: Settings) -> Run:
        magnet, temperature, field = self.magnet, float(settings["temperature"]), float(settings["field"])
        if self._spins is None or not self._remembers:
            self._spins = Lattices(magnet.size, magnet.starts_up(np.array([field])))
        table = _table(magnet, temperature, field)
        return run(self._spins, table, 1, magnet.warm_up, magnet.sweeps, self._noise.random.bit_generator, self._stop)


def _named(seen: float, magnetization: float, energy: float, susceptibility: float) -> dict[str, float | str]:
    return {"phase": label_of(seen), "magnetization": magnetization, "energy": energy, "susceptibility": susceptibility}
