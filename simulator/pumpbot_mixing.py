"""PumpBot's cell: calibrated pumps, dyes that absorb, a sensor that divides by its clear channel.

Equations first, as functions of arrays; then `SimulatedCell`, which puts the imperfections of the rig around them. The data sheet stands
at `hardware.pumpbot.pumpbot`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from frugaltwin.color import SRGB_TO_XYZ
from frugaltwin.data_sheets import option
from frugaltwin.experiment import Colorimetry, Continuous, Experiment, MixtureSum, Outcome
from frugaltwin.laws import BeerLambert
from simulator.instruments.mishaps import MishapOptions, Mishaps

Floats = NDArray[np.float64]

LIQUIDS = ("red", "green", "blue", "yellow", "water")
OUTCOMES = ("r_counts", "g_counts", "b_counts")  # a plain b would be taken for that of Lab
CELL = 20.0  # mL: what fits in, and what every mixture adds up to
RESIDUE = 1.0  # mL that a drained cell still holds; an assumption
FULL_SCALE = 170  # counts: two thirds of 255, see `counts`

PURE = {
    "red": (137.5, 22.0, 38.5),
    "green": (11.5, 67.5, 90.25),
    "blue": (6.0, 61.5, 102.5),
    "yellow": (146.0, 78.5, 95.0),
    "water": (FULL_SCALE, FULL_SCALE, FULL_SCALE),
}
"""Counts r, g, b of a cell full of one liquid. Those of the dyes are the middle of four repeats on the rig; water is an assumption."""

REPEAT_ERROR = 0.025  # of a reading, rms: over the four dyes that is 2.5, 1.5 and 2.1 counts; 2.6, 1.4 and 2.2 were measured
DOSE_ERROR = (0.01, 0.02)  # of the dose, and mL, rms; an assumption
SHORTEST = 0.01  # s: what a relay needs to close and open


@dataclass(frozen=True)
class Pump:
    """A pump behind a relay: V mL take `slope`·V + `offset` s."""

    pin: int
    slope: float
    """s/mL."""
    offset: float
    """s; below 0, because a pump that is switched off runs down and delivers more than it should."""

    def seconds(self, volume: float) -> float:
        """The run time in whole ms, s, that comes nearest to `volume` mL.

        No run is shorter than 10 ms, which delivers 0.13–0.32 mL. Of less than half of that, nothing is delivered.

        >>> red = PUMPS["red"]
        >>> red.seconds(5.0), red.seconds(0.1), red.seconds(0.05)
        (1.994, 0.01, 0.0)
        """
        if volume < self.volume(SHORTEST) / 2:
            return 0.0
        return max(SHORTEST, round(self.slope * volume + self.offset, 3))

    def volume(self, seconds: float) -> float:
        """Volume that a run delivers, mL: the inverse of the calibration.

        >>> round(PUMPS["red"].volume(1.994), 2)
        5.0
        """
        return max(0.0, (seconds - self.offset) / self.slope) if seconds > 0 else 0.0

    @property
    def smallest(self) -> float:
        """The smallest dose, mL, in whole µL.

        >>> PUMPS["red"].smallest, PUMPS["green"].smallest
        (0.133, 0.32)
        """
        return math.ceil(1000 * self.volume(SHORTEST) - 1e-9) / 1000


LAW = BeerLambert(absorbers=LIQUIDS)
"""The parts add up, so that log(reading) is linear in all five: water counts as an absorber that absorbs less than none."""

PUMPS = {
    "red": Pump(2, 0.4076, -0.0442),
    "green": Pump(3, 0.5330, -0.1605),
    "blue": Pump(4, 0.3764, -0.0497),
    "yellow": Pump(6, 0.4220, -0.0771),
    "water": Pump(7, 0.3946, -0.0729),
    "drain": Pump(8, 0.4381, -0.0492),
}
"""Pumps of one rig, as the course publishes them."""


@dataclass(frozen=True)
class Rig:
    """Constants in which one PumpBot differs from another: its dyes, and what the calibration of its pumps left over."""

    strengths: tuple[float, ...] = (1.0,) * len(LIQUIDS)
    """How much each liquid absorbs, against those that were read."""
    hues: tuple[float, ...] = (0.0,) * len(LIQUIDS)
    """The part by which each absorbs more in red, and less in blue."""
    slopes: tuple[float, ...] = (1.0,) * len(LIQUIDS)
    """mL that arrive of each mL that the calibration promises."""
    offsets: tuple[float, ...] = (0.0,) * len(LIQUIDS)
    """mL that arrive of every dose besides."""

    def arrived(self, k: int, volume: float) -> float:
        """mL of the liquid k that arrive when the calibration promises `volume` mL."""
        return max(0.0, self.slopes[k] * volume + self.offsets[k]) if volume > 0 else 0.0


class Imperfections(MishapOptions):
    """Sizes of the imperfections: 1 is as on the rig, 0 is none, 2 is twice as bad. Mishaps are those of a teaching lab."""

    pump_error: float = option(
        1.0, "repeat error of a dose: 1 % of it and 0.02 mL, rms (an assumption)", allowed=(0, 10), changes="imperfections"
    )
    carry_over: float = option(
        1.0, "1 mL stays in the drained cell; one flush of 20 mL thins it (an assumption)", allowed=(0, 10), changes="both"
    )
    sensor_noise: float = option(
        1.0, "2.5 % of a reading, rms: the rig's repeats scatter by 2.6, 1.4 and 2.2 counts", allowed=(0, 10), changes="imperfections"
    )

    def scaled(self, factor: float) -> "Imperfections":
        """All imperfections times `factor`."""
        return Imperfections(**{name: factor * getattr(self, name) for name in Imperfections.stated})


@cache
def absorbances(rig: Rig = Rig()) -> Floats:
    """-log10 of the light that a cell full of one liquid lets through, [5, 3]: liquid, channel."""
    table: Floats = LAW.latent(np.array([PURE[name] for name in LIQUIDS]) / FULL_SCALE)
    changed: Floats = table * np.array(rig.strengths)[:, None] * (1 + np.array(rig.hues)[:, None] * np.array([1.0, 0.0, -1.0]))
    return changed


def counts(volumes: Floats, residue: float = 0.0, rig: Rig = Rig()) -> Floats:
    """Readings r, g, b [..., 3], counts, of a cell with `volumes` [..., 5] mL of the five liquids.

    Dyes absorb independently, channel by channel: log(reading) is the mean of the liquids' logarithms, weighted by volume.
    The firmware divides each channel by the clear one and multiplies by 255; then it means to average three of these but overwrites
    and doubles instead of adding, so that it replies 2/3 of the third. Full scale is 170, therefore: where a channel and the clear
    one both saturate. Yellow shows that the clear one does: its r + g + b is 1.9 times full scale, that of green and blue once.
    Water is taken to saturate everything.
    Source: Swinehart, J. Chem. Educ. 39 (1962) 333, doi:10.1021/ed039p333.

    Args:
        residue: mL of clean water that were in the cell as well when the pure liquids were read.

    >>> counts(np.array([10.0, 0.0, 0.0, 10.0, 0.0])).round(1).tolist()
    [141.7, 41.6, 60.5]
    >>> counts(np.array([10.0, 0.0, 0.0, 10.0, 1.0]), residue=1.0).round(1).tolist()
    [141.7, 41.6, 60.5]
    """
    total = np.maximum(volumes.sum(axis=-1, keepdims=True), 1e-9)  # an empty cell absorbs nothing
    result: Floats = FULL_SCALE * LAW.outcomes((1 + residue / CELL) * (volumes / total) @ absorbances(rig))
    return result


def experiment(pumps: Mapping[str, Pump] = PUMPS) -> Experiment:
    """The experiment of a PumpBot with these pumps, which can dose nothing, or what their shortest runs deliver and more."""
    return Experiment(
        name="pumpbot",
        parameters=tuple(
            Continuous(name, 0.0, CELL, "mL", name if name == "water" else f"{name} dye", smallest=pumps[name].smallest) for name in LIQUIDS
        ),
        outcomes=tuple(
            Outcome(name, "counts", f"{color} over clear, as the firmware replies: 0 … {FULL_SCALE}", law=LAW)
            for name, color in zip(OUTCOMES, ("red", "green", "blue"), strict=True)
        ),
        constraints=(MixtureSum(LIQUIDS, CELL, "mL"),),
        color=Colorimetry(
            OUTCOMES,
            tuple(tuple(v / FULL_SCALE for v in row) for row in SRGB_TO_XYZ),
            (sum(SRGB_TO_XYZ[0]), sum(SRGB_TO_XYZ[1]), sum(SRGB_TO_XYZ[2])),
        ),
    )


class SimulatedCell:
    """Simulated bottles, pumps, cell, lamp and sensor."""

    def __init__(
        self, pumps: Mapping[str, Pump], imperfections: Imperfections, seed: int | np.random.Generator, rig: Rig = Rig()
    ) -> None:  # fmt: skip
        self._rig = rig
        self._liquids = {pumps[name].pin: (k, pumps[name]) for k, name in enumerate(LIQUIDS)}
        self._drain = pumps["drain"]
        self._imperfections = imperfections
        self._random = np.random.default_rng(seed)
        self._mishaps = Mishaps(imperfections, LIQUIDS, self._random)
        self.residue = RESIDUE * imperfections.carry_over
        self.volumes = np.zeros(len(LIQUIDS))
        """mL of each liquid in the cell."""
        self.volumes[-1] = self.residue

    def run(self, pin: int, seconds: float) -> None:
        """The relay at `pin` was on for so long."""
        if pin == self._drain.pin:
            full = float(self.volumes.sum())
            left = max(full - self._drain.volume(seconds), min(self.residue, full))
            self.volumes *= left / full if full else 1.0
        elif pin in self._liquids and seconds > 0:
            k, pump = self._liquids[pin]
            volume = self._rig.arrived(k, pump.volume(seconds))
            error = math.hypot(DOSE_ERROR[0] * volume, DOSE_ERROR[1]) * self._random.standard_normal()
            arrived = max(0.0, volume + self._imperfections.pump_error * error)
            self.volumes[k] += self._mishaps.left_of(arrived, LIQUIDS[k])

    def look(self) -> tuple[float, float, float]:
        """One reading of the sensor with the lamp on: 255 times red, green and blue over clear."""
        noise = 1 + REPEAT_ERROR * self._imperfections.sensor_noise * self._random.standard_normal(3)
        # The firmware cuts its replies off to whole counts, those of the pure dyes as well: half a count more is what was there.
        r, g, b = np.clip(1.5 * (counts(self.volumes, self.residue, self._rig) + 0.5) * noise, 0.0, 255.0).tolist()
        return r, g, b
