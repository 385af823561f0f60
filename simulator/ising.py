"""A two-dimensional Ising magnet, by Monte Carlo.

`Ising` puts a probe and a clock around the lattices of `simulator.equations.ising_lattice`; its docstring is the data sheet.
"""

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np

from frugaltwin.amounts import Amounts
from frugaltwin.data_sheets import SystemOptions, option, takes
from frugaltwin.diagram import Curve, Diagram, Line, Mark, Section
from frugaltwin.errors import InvalidInput, Stopped
from frugaltwin.experiment import Continuous, Experiment, Measurement, Outcome, Outcomes, Settings, Trial
from frugaltwin.prices import Fixed, Price
from simulator.equations.ising_lattice import CRITICAL, Bytes, Floats, Lattices, Run, Start, chance_up, needed_table, run
from simulator.instruments.experiment_noise import ExperimentNoise, performed_settings
from simulator.instruments.phase_lab import LabOptions

REPLICAS, GROUPS = 8, 8
"""The truth is the mean of 8 runs, or of 16, 24, … 64 where fewer do not determine the magnetization to `PRECISE`."""
PRECISE = 0.005  # standard error of the mean magnetization
TRUTH_SEED = 1944
TOGETHER = 128  # settings whose lattices are swept at once
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

    size: int = option(32, "edge of the lattice, even", allowed=(4, 256), changes="truth")
    warm_up: int = option(100, "sweeps before the reading", allowed=(0, 100_000), changes="both")
    sweeps: int = option(50, "sweeps that are averaged", allowed=(2, 100_000), changes="both")
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
    phase                up (magnetization at least 1/2), down (at most -1/2) or disordered
    magnetization  1     per spin, read by a probe: noise 0.02, and a zero that drifts
    energy         J     per spin, in the field included; scatters only as the spins do
    susceptibility 1/J   per spin; of `sweeps` only: fluctuations slower than the run are not in it
    ============== ===== =============================================================================

    **Options**: `IsingOptions`.

    Without `remember` a sample has no past: it starts saturated along the field that it feels; no field counts as up. With it,
    the first experiment starts so. The spins scatter from run to run whatever
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
        """The mean of many runs without a past and without a probe."""
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
