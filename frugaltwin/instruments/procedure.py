"""Procedures: ordered lists of instructions, with placeholders for settings, that can be performed and priced."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from frugaltwin.amounts import Amounts
from frugaltwin.experiment import Settings
from frugaltwin.instruments.mixer import Mixer, Reading
from frugaltwin.instruments.probe import Image, Probe
from frugaltwin.prices import Fixed, PerUnit, Term

Instrument = TypeVar("Instrument")
Result = TypeVar("Result")
Instrument_contra = TypeVar("Instrument_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


class Step(Protocol[Instrument_contra, Result_co]):
    """One instruction to an instrument, with placeholders for settings."""

    def perform(self, instrument: Instrument_contra, settings: Settings, /) -> Result_co | None:
        """Perform the instruction; return the reading, if there is one."""
        ...

    def price(self, instrument: Instrument_contra, settings: Settings, /) -> Amounts:
        """Expected cost of the instruction, now."""
        ...

    def term(self, instrument: Instrument_contra, /) -> Term:
        """Its price in an experiment, whatever the settings."""
        ...


@dataclass(frozen=True)
class Dispense:
    """Pump a volume: mL, or the name of the parameter that holds it."""

    pump: str
    volume: float | str

    def perform(self, mixer: Mixer, settings: Settings) -> None:
        if volume := self.volume_of(settings):
            mixer.dispense(self.pump, volume)

    def price(self, mixer: Mixer, settings: Settings) -> Amounts:
        return mixer.price("dispense", volume, self.pump) if (volume := self.volume_of(settings)) else Amounts()

    def term(self, mixer: Mixer) -> Term:
        return mixer.dose(self.pump, self.volume)

    def volume_of(self, settings: Settings) -> float:
        """The volume with these settings, mL."""
        return float(settings[self.volume]) if isinstance(self.volume, str) else self.volume


@dataclass(frozen=True)
class Mix:
    """Stir for some seconds."""

    seconds: float

    def perform(self, mixer: Mixer, settings: Settings) -> None:
        mixer.mix(self.seconds)

    def price(self, mixer: Mixer, settings: Settings) -> Amounts:
        return mixer.price("mix", self.seconds)

    def term(self, mixer: Mixer) -> Term:
        return Fixed(mixer.price("mix", self.seconds))


@dataclass(frozen=True)
class Read:
    """Read the sensor, with the lamp on or off."""

    lamp: bool = True

    def perform(self, mixer: Mixer, settings: Settings) -> Reading:
        return mixer.read(self.lamp)

    def price(self, mixer: Mixer, settings: Settings) -> Amounts:
        return mixer.price("read")

    def term(self, mixer: Mixer) -> Term:
        return Fixed(mixer.price("read"))


@dataclass(frozen=True)
class Rinse:
    """Fill in a volume of clean water, mL."""

    volume: float

    def perform(self, mixer: Mixer, settings: Settings) -> None:
        mixer.rinse(self.volume)

    def price(self, mixer: Mixer, settings: Settings) -> Amounts:
        return mixer.price("rinse", self.volume)

    def term(self, mixer: Mixer) -> Term:
        return Fixed(mixer.price("rinse", self.volume))


@dataclass(frozen=True)
class Drain:
    """Empty the cell."""

    def perform(self, mixer: Mixer, settings: Settings) -> None:
        mixer.drain()

    def price(self, mixer: Mixer, settings: Settings) -> Amounts:
        return mixer.price("drain")

    def term(self, mixer: Mixer) -> Term:
        return Fixed(mixer.price("drain"))


@dataclass(frozen=True)
class Move:
    """Go to a place: mm, or the names of the parameters that hold it."""

    x: float | str
    y: float | str

    def perform(self, probe: Probe, settings: Settings) -> None:
        probe.move(*self._place(settings))

    def price(self, probe: Probe, settings: Settings) -> Amounts:
        return probe.price("move", place=self._place(settings))

    def term(self, probe: Probe) -> Term:
        return probe.travel(self.x, self.y)

    def _place(self, settings: Settings) -> tuple[float, float]:
        return _number(self.x, settings), _number(self.y, settings)


@dataclass(frozen=True)
class Scan:
    """Take an image of a square field around the head: its width in mm, and the pixels along its side."""

    width: float
    pixels: int

    def perform(self, probe: Probe, settings: Settings) -> Image:
        return probe.scan(self.width, self.pixels)

    def price(self, probe: Probe, settings: Settings) -> Amounts:
        return probe.price("scan", self.pixels)

    def term(self, probe: Probe) -> Fixed:
        return Fixed(probe.price("scan", self.pixels))


@dataclass(frozen=True)
class Measure:
    """Take a spectrum for some seconds, or for the time that a parameter holds."""

    dwell: float | str

    def perform(self, probe: Probe, settings: Settings) -> NDArray[np.float64]:
        return probe.measure(_number(self.dwell, settings))

    def price(self, probe: Probe, settings: Settings) -> Amounts:
        return probe.price("measure", _number(self.dwell, settings))

    def term(self, probe: Probe) -> Fixed | PerUnit:
        if isinstance(self.dwell, str):
            start = probe.price("measure", 0.0)  # to which the dwell is added
            each = probe.price("measure", 1.0) - start
            return PerUnit((self.dwell,), each, start.seconds / each.seconds if each.seconds else 0.0)
        return Fixed(probe.price("measure", self.dwell))


def _number(given: float | str, settings: Settings) -> float:
    return float(settings[given]) if isinstance(given, str) else given


@dataclass(frozen=True)
class Steps(Generic[Instrument, Result]):
    """Steps that are performed in order, on any instrument of their kind."""

    steps: Sequence[Step[Instrument, Result]]

    def perform(self, instrument: Instrument, settings: Settings) -> list[Result]:
        """Perform every step; return the readings in order.

        Raises:
            DriverError: An instruction failed; the steps after it were not performed.
        """
        results = [step.perform(instrument, settings) for step in self.steps]
        return [r for r in results if r is not None]

    def terms(self, instrument: Instrument) -> list[Term]:
        """The terms of the price of all steps together."""
        return [step.term(instrument) for step in self.steps]

    def estimate(self, instrument: Instrument, settings: Settings) -> Amounts:
        """Expected cost of all steps together, now."""
        return sum((step.price(instrument, settings) for step in self.steps), Amounts())


class Procedure(Steps[Mixer, Reading]):
    """The steps of a mixer."""


class ProbeProcedure(Steps[Probe, Image | NDArray[np.float64]]):
    """The steps of a probe: its readings are images and spectra."""
