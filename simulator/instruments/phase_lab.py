"""A sample, a furnace and an instrument: the driver that the twins of phase diagrams share.

A twin is a `PhaseLab` that computes the truth (`states`). All that a lab adds stands here and at the instrument: time and money,
ramps, noise, drift, and a label that is inferred from the reading, and so can be wrong.
"""

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, Self, get_args

import numpy as np
from numpy.typing import NDArray

from frugaltwin.costs import Cost
from frugaltwin.errors import DriverError, InvalidInput, Stopped
from frugaltwin.experiment import Constraint, Experiment, Measurement, Outcome, Outcomes, Parameter, Settings, Trial, quantity
from frugaltwin.tables import settings_array

Floats = NDArray[np.float64]
Labeling = Literal["inferred", "direct"]

ROOM_TEMPERATURE = 298.15  # K
BASE_LINE_MEMORY = 8 * 3600.0  # s: how fast a base line comes back to zero


@dataclass(frozen=True)
class PhaseState:
    """Equilibrium state of a sample."""

    label: str
    fractions: Mapping[str, float]
    """Phase → its mole fraction of the sample; they add up to 1."""
    properties: Mapping[str, float] = field(default_factory=dict[str, float])
    """Other quantities that an instrument reads: a contrast, an enthalpy."""


class Instrument(Protocol):
    """An instrument that reads the sample, and its errors."""

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The numbers that it reads, m of them."""
        ...

    @property
    def cost(self) -> Cost:
        """Cost of one reading."""
        ...

    @property
    def noise(self) -> Floats:
        """Standard deviation of a reading, [m]."""
        ...

    @property
    def drift(self) -> float | Floats:
        """Drift of the base line, one for all m, in an hour, one standard deviation (of each, where it is [m]); twice as far
        in the long run."""
        ...

    def signal(self, states: Sequence[PhaseState]) -> Floats:
        """The noise-free readings [n, m] of n states."""
        ...

    def inferred(self, reading: Floats) -> str:
        """The label that a reading [m] indicates."""
        ...


@dataclass
class Furnace:
    """Heats and cools at a limited rate, and waits until the sample is at equilibrium.

    A new sample takes its time too; a sample of the same composition stays in. So the order of experiments matters.
    """

    heating: float = 0.5
    """K/s."""
    cooling: float = 0.2
    """K/s: it only loses heat."""
    soak: float = 600.0
    """s at temperature before the reading."""
    exchange: Cost = Cost(seconds=120.0, money=0.40)
    """Cost of making and loading a new sample."""
    power: float = 0.3 / 3600
    """USD/s while it is on."""
    temperature: float = ROOM_TEMPERATURE
    """K, now."""
    sample: tuple[float, ...] | None = None
    """Composition of the sample in it."""

    def price(self, sample: tuple[float, ...], temperature: float) -> Cost:
        """Cost of bringing this sample to equilibrium at this temperature."""
        step = temperature - self.temperature
        seconds = self.soak + (step / self.heating if step > 0 else -step / self.cooling)
        cost = Cost(seconds, seconds * self.power)
        return cost if sample == self.sample else cost + self.exchange

    def go(self, sample: tuple[float, ...], temperature: float) -> Cost:
        """Load this sample and bring it to this temperature."""
        cost = self.price(sample, temperature)
        self.sample, self.temperature = sample, temperature
        return cost


class PhaseLab(ABC):
    """Twin of a lab that finds the phases of a sample. Satisfies `Driver`, `KnowsTruths`, `Estimates` and `Resumes`.

    The outcomes are the label `phase`, then what the instrument reads.
    """

    def __init__(
        self,
        name: str,
        parameters: tuple[Parameter, ...],
        labels: tuple[str, ...],
        instrument: Instrument,
        *,
        constraints: tuple[Constraint, ...] = (),
        temperature: float | None = None,
        seed: int = 0,
        imperfections: float = 1.0,
        labeling: Labeling = "inferred",
    ) -> None:
        """A lab for samples of a composition (all parameters but `temperature`).

        Args:
            labels: Every name that `phase` can take.
            temperature: K, of every sample, where no parameter of that name sets it.
            imperfections: Scales noise and drift; 0 turns them off.
            labeling: Where `phase` comes from: inferred from the reading, or read directly (an expert who is never wrong).
        """
        check_lab(seed, imperfections, labeling)
        self.experiment = Experiment(
            name,
            parameters,
            (Outcome("phase", "", "the phases of the sample", labels=labels), *instrument.outcomes),
            constraints,
        )
        self._instrument, self._fixed, self._seed = instrument, temperature, seed
        self._imperfections, self._labeling = imperfections, labeling
        self._composition = tuple(p.name for p in parameters if p.name != "temperature")
        self._stop = threading.Event()
        self._begin((seed,))

    @abstractmethod
    def states(self, X: Floats) -> list[PhaseState]:
        """The equilibrium states at settings X [n, d], natural units, in the order of the parameters."""

    def _begin(self, seed: tuple[int, ...]) -> None:
        """A cold furnace and fresh random numbers."""
        self._random = np.random.default_rng(seed)
        self._furnace = Furnace()
        self._base_line: float | Floats = 0.0
        self._stop.set()  # until somebody connects

    def resume(self, trials: Sequence[Trial]) -> None:
        """Draw other random numbers than the earlier sessions did."""
        self._begin((self._seed, len(trials)))

    def __enter__(self) -> Self:
        self._stop.clear()
        return self

    def perform(self, settings: Settings) -> Measurement:
        """Load the sample, heat, soak, read. Takes no real time.

        Raises:
            Stopped: Somebody stopped the lab; enter it again to go on.
            DriverError: Its state cannot be told; the attempt took its time all the same.
        """
        if self._stop.is_set():
            raise Stopped("the furnace was stopped, or it is not connected")
        sample, temperature = self._sample(settings)
        cost = self._furnace.go(sample, temperature) + self._instrument.cost
        try:
            (state,) = self.states(settings_array(self.experiment, [settings]))
        except DriverError as error:
            error.cost = cost
            raise
        signal = self._instrument.signal([state])[0]
        if self._imperfections:
            # A base line that wanders and is drawn back: an Ornstein-Uhlenbeck process, exact for any step.
            kept = math.exp(-cost.seconds / BASE_LINE_MEMORY)
            step = self._instrument.drift * math.sqrt(BASE_LINE_MEMORY / 7200 * (1 - kept**2))
            self._base_line = kept * self._base_line + self._imperfections * step * self._random.standard_normal()
            signal = signal + self._base_line
            signal = signal + self._imperfections * self._instrument.noise * self._random.standard_normal(signal.shape)
        label = state.label if self._labeling == "direct" else self._instrument.inferred(signal)
        return Measurement(self._named(label, signal), cost)

    def truth(self, settings: Settings) -> Outcomes:
        """The true label and the noise-free reading."""
        return self.truths([settings])[0]

    def truths(self, settings: Sequence[Settings]) -> list[Outcomes]:
        """The same for many settings at once."""
        states = self.states(settings_array(self.experiment, settings))
        signals = self._instrument.signal(states)
        return [self._named(state.label, signal) for state, signal in zip(states, signals, strict=True)]

    def estimate(self, settings: Settings) -> Cost:
        """Cost of `perform` from the present state of the furnace."""
        return self._furnace.price(*self._sample(settings)) + self._instrument.cost

    def stop(self) -> None:
        """Switch the furnace off; the next `perform` raises `Stopped` until the lab is entered again."""
        self._stop.set()

    def __exit__(self, *failure: object) -> None:
        """Switch the furnace off."""
        self._stop.set()

    def _sample(self, settings: Settings) -> tuple[tuple[float, ...], float]:
        temperature = self._fixed if self._fixed is not None else float(settings["temperature"])
        return tuple(float(settings[name]) for name in self._composition), temperature

    def _named(self, label: str, signal: Floats) -> Outcomes:
        return {"phase": label} | dict(zip((o.name for o in self._instrument.outcomes), signal.tolist(), strict=True))


def checked_seed(name: str, seed: object) -> int:
    """A seed, as a whole number.

    Raises:
        InvalidInput: It is none, or negative.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InvalidInput(f"{name} = {seed!r}: it is a whole number from 0 up")
    return seed


def check_lab(seed: object, imperfections: float, labeling: str) -> None:
    """Refuse options, of those that every lab has, that mean nothing.

    Raises:
        InvalidInput: One of them does.
    """
    checked_seed("seed", seed)
    if not 0 <= imperfections <= 10:
        raise InvalidInput(f"imperfections = {imperfections:g} is no scale: 0 is none, 1 as on a rig, 10 the most")
    if labeling not in get_args(Labeling):
        raise InvalidInput(f"labeling = {labeling!r}: it is {' or '.join(get_args(Labeling))}")


@dataclass(frozen=True)
class Constant:
    """A parameter of a system that an instructor may set, or draw."""

    default: float
    drawn: tuple[float, float]
    """The range that `system=N` draws it from, uniformly."""
    allowed: tuple[float, float]
    """Limits of physical meaning, the ends included."""
    unit: str
    meaning: str


def constants_of(known: Mapping[str, Constant], given: Mapping[str, float | None], system: int | None) -> dict[str, float]:
    """The constants of a system: those given, the others drawn with the seed `system`, or the defaults without one.

    Raises:
        InvalidInput: One has no physical meaning, or the seed is negative.
    """
    random = np.random.default_rng((71, checked_seed("system", system))) if system is not None else None
    drawn = {name: float(random.uniform(*c.drawn)) if random else c.default for name, c in known.items()}
    chosen = drawn | {name: value for name, value in given.items() if value is not None}
    for name, value in chosen.items():
        low, high = known[name].allowed
        if not low <= value <= high:
            shown, limits = quantity(value, known[name].unit), f"{low:g} to {quantity(high, known[name].unit)}"
            raise InvalidInput(f"{name} = {shown} has no physical meaning here ({known[name].meaning}): it is {limits}")
    return chosen
