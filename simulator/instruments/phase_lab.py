"""A sample, a furnace and an instrument: the driver that the twins of phase diagrams share.

A twin is a `PhaseLab` that computes the truth (`states`). All that a lab adds stands here and at the instrument: time and money,
ramps, noise, drift, and a label that is inferred from the reading, and so can be wrong.
"""

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from frugaltwin.amounts import Amounts
from frugaltwin.data_sheets import ImperfectOptions, Profile, SeedOptions, option
from frugaltwin.errors import DriverError, Stopped
from frugaltwin.experiment import Constraint, Continuous, Experiment, Measurement, Outcome, Outcomes, Parameter, Settings, Trial
from frugaltwin.prices import Fixed, Price
from frugaltwin.tables import settings_array
from simulator.instruments.experiment_noise import ExperimentNoise, performed_settings
from simulator.instruments.furnace import ROOM_TEMPERATURE, Furnace, FurnaceOptions, Kinetics, SampleOptions

Floats = NDArray[np.float64]
Labeling = Literal["inferred", "direct"]

BASE_LINE_MEMORY = 8 * 3600.0  # s: how fast a base line comes back to zero


class LabOptions(ImperfectOptions, SeedOptions):
    """Options that every lab for labels has."""

    labeling: Labeling = option(
        "inferred",
        "where `phase` comes from: inferred from the reading, or direct (an expert who is never wrong)",
        changes="imperfections",
    )
    imperfections: float | Profile = option(
        1.0, "scales noise and drift: 0 is none, 1 as on a rig", allowed=(0, 10), changes="imperfections"
    )


@dataclass(frozen=True)
class PhaseState:
    """Equilibrium state of a sample."""

    label: str
    fractions: Mapping[str, float]
    """Phase → its mole fraction of the sample; they add up to 1."""
    properties: Mapping[str, float] = field(default_factory=dict[str, float])
    """Other quantities that an instrument reads: a contrast, an enthalpy."""
    compositions: Mapping[str, float] = field(default_factory=dict[str, float])
    """Phase → its mole fraction of B, in a lab for two components."""


class Instrument(Protocol):
    """An instrument that reads the sample, and its errors."""

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The numbers that it reads, m of them."""
        ...

    @property
    def cost(self) -> Amounts:
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


@runtime_checkable
class SampledInstrument(Instrument, Protocol):
    """An instrument whose readings depend on the very sample: its grains, its impurities."""

    @property
    def sees_samples(self) -> bool:
        """Whether they do with its present options."""
        ...

    def sample(self, random: np.random.Generator, scale: float) -> object:
        """Draw the flaws of a new sample, with all imperfections `scale` times as large."""
        ...

    def sample_signal(self, state: PhaseState, sample: Any) -> Floats:
        """The reading [m] of a sample without noise."""
        ...


class PhaseLab(ABC):
    """Twin of a lab that finds the phases of a sample. Satisfies `Driver`, `KnowsTruths`, `Prices`, `Estimates` and `Resumes`.

    The outcomes are the label `phase`, then what the instrument reads.
    """

    def __init__(
        self,
        name: str,
        parameters: tuple[Parameter, ...],
        labels: tuple[str, ...],
        instrument: Instrument,
        options: LabOptions,
        *,
        constraints: tuple[Constraint, ...] = (),
        temperature: float | None = None,
    ) -> None:
        """A lab for samples of a composition (all parameters but `temperature`).

        Args:
            labels: Every name that `phase` can take.
            temperature: K, of every sample, where no parameter of that name sets it.
        """
        self.experiment = Experiment(
            name,
            parameters,
            (Outcome("phase", "", "the phases of the sample", labels=labels), *instrument.outcomes),
            constraints,
        )
        self._instrument, self._fixed, self._seed = instrument, temperature, options.seed
        self._imperfections, self._labeling = options.scale, options.labeling
        self._composition = composition = tuple(p.name for p in parameters if p.name != "temperature")
        samples = options if isinstance(options, SampleOptions) else SampleOptions()
        followed = options if isinstance(options, FurnaceOptions) else FurnaceOptions()
        self._furnace = Furnace(
            exchange=replace(Furnace.exchange, seconds=samples.preparation),
            is_cold_loaded=followed.loading == "cold",
            soaks_again=samples.soak_again,
        )
        size = self._imperfections
        self._lag, self._thermometer, self._weighing = (size * e for e in (followed.lag, followed.thermometer, followed.weighing))
        self._kinetics: Kinetics | None = None
        hottest = [p.high for p in parameters if p.name == "temperature" and isinstance(p, Continuous)]
        if hottest and size * (followed.undercooling + followed.relaxation):
            self._kinetics = Kinetics(size * followed.undercooling, size * followed.relaxation, hottest[0])
        self._sampled = instrument if size and isinstance(instrument, SampledInstrument) and instrument.sees_samples else None
        ramp_and_exchange = self._furnace.terms(composition, "temperature" if temperature is None else temperature)
        self._price = Price((*ramp_and_exchange, Fixed(instrument.cost)))
        self._stop = threading.Event()
        self._begin()

    @abstractmethod
    def states(self, X: Floats) -> list[PhaseState]:
        """The equilibrium states at settings X [n, d], natural units, in the order of the parameters."""

    def _begin(self) -> None:
        """A cold furnace without a past."""
        self._noise = ExperimentNoise(self._seed)
        self._last: Settings | None = None
        self._base_line: float | Floats = 0.0
        self._sample: object = None
        self._error = 0.0  # of the temperature of the sample, K
        self._weighed = np.ones(max(2, len(self._composition)))  # of each component, over what was asked for
        self._fictive = ROOM_TEMPERATURE
        self._stop.set()  # until somebody connects

    def resume(self, trials: Sequence[Trial]) -> None:
        """Go on as if this lab itself had performed the trials."""
        self._begin()
        for settings in performed_settings(trials):
            self._load(settings)

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
        cost = self._load(settings)
        try:
            (state,) = self.states(self._conditions(settings))
        except DriverError as error:
            error.cost = cost
            raise
        sampled = self._sampled
        signal = sampled.sample_signal(state, self._sample) if sampled else self._instrument.signal([state])[0]
        if self._imperfections:
            signal = signal + self._base_line
            signal = signal + self._imperfections * self._instrument.noise * self._noise.random.standard_normal(signal.shape)
        label = state.label if self._labeling == "direct" else self._instrument.inferred(signal)
        return Measurement(self._named(label, signal), cost)

    def _load(self, settings: Settings) -> Amounts:
        """Bring the lab to where an experiment leaves it; the cost of that."""
        cost, last, self._last = self.estimate(settings), self._last, settings
        random = self._noise.begin()
        if self._imperfections:
            # A base line that wanders and is drawn back: an Ornstein-Uhlenbeck process, exact for any step.
            kept = math.exp(-cost.seconds / BASE_LINE_MEMORY)
            step = self._instrument.drift * math.sqrt(BASE_LINE_MEMORY / 7200 * (1 - kept**2))
            self._base_line = kept * self._base_line + self._imperfections * step * random.standard_normal()
        is_new = last is None or any(settings[name] != last[name] for name in self._composition)
        if is_new and self._sampled:
            self._sample = self._sampled.sample(random, self._imperfections)
        if is_new and self._thermometer:
            self._error = self._thermometer * random.standard_normal()
        if is_new and self._weighing:
            self._weighed = np.exp(self._weighing * random.standard_normal(len(self._weighed)))
        if self._kinetics:
            self._follow(self._kinetics, float(settings["temperature"]), None if last is None or is_new else float(last["temperature"]))
        return cost

    def _follow(self, kinetics: Kinetics, temperature: float, last: float | None) -> None:
        """Take the sample to a temperature, from the last one or, a new one, from room temperature."""
        furnace = self._furnace
        if last is None:
            self._fictive, last = min(ROOM_TEMPERATURE, temperature), ROOM_TEMPERATURE
        ramp = (temperature - last) / furnace.heating if temperature > last else (last - temperature) / furnace.cooling
        self._fictive = kinetics.after(self._fictive, last, temperature, ramp, furnace.soak)

    def _conditions(self, settings: Settings) -> Floats:
        """Settings [1, d] at which a sample at equilibrium would be as this one is; where no parameter sets the temperature, and it
        is not what the furnace says, it stands behind them, [1, d + 1]."""
        X = settings_array(self.experiment, [settings])
        if self._weighing:
            columns = [k for k, p in enumerate(self.experiment.parameters) if p.name != "temperature"]
            of_last = X[0, columns]
            parts = (of_last if len(columns) > 1 else np.array([1 - of_last[0], of_last[0]])) * self._weighed
            X[0, columns] = (parts / parts.sum())[-len(columns) :]
        if self._kinetics or self._thermometer or self._lag:
            names = [p.name for p in self.experiment.parameters]
            if self._fixed is not None:
                X, names = np.append(X, [[self._fixed]], axis=1), [*names, "temperature"]
            column = names.index("temperature")
            X[0, column] = max((self._fictive if self._kinetics else X[0, column]) - self._lag + self._error, 1.0)
        return X

    def truth(self, settings: Settings) -> Outcomes:
        """The true label and the noise-free reading."""
        return self.truths([settings])[0]

    def truths(self, settings: Sequence[Settings]) -> list[Outcomes]:
        """The same for many settings at once."""
        states = self.states(settings_array(self.experiment, settings))
        signals = self._instrument.signal(states)
        return [self._named(state.label, signal) for state, signal in zip(states, signals, strict=True)]

    def price(self) -> Price:
        """Price of a sample: the ramp, the exchange where it is a new one, and the reading."""
        return self._price

    def estimate(self, settings: Settings) -> Amounts:
        """Cost of `perform` from the present state of the furnace."""
        return self._price.of(settings, self._last)

    def stop(self) -> None:
        """Switch the furnace off; the next `perform` raises `Stopped` until the lab is entered again."""
        self._stop.set()

    def __exit__(self, *failure: object) -> None:
        """Switch the furnace off."""
        self._stop.set()

    def _named(self, label: str, signal: Floats) -> Outcomes:
        return {"phase": label} | dict(zip((o.name for o in self._instrument.outcomes), signal.tolist(), strict=True))
