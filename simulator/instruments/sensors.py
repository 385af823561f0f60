"""Color sensors: what they count of a spectrum, and how wrongly. A new one is one function here and one line in `SENSORS`."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from frugaltwin.color import cie_table
from frugaltwin.data_sheets import Options, option
from frugaltwin.errors import InvalidInput

# AS7341. Source: ams-OSRAM AS7341 data sheet.
AS7341_GAINS = tuple(2.0**k for k in range(-1, 10))
AS7341_STEP_SECONDS = 2.78e-6  # s, one integration step
AS7341_PASSES = 2  # six converters serve eleven channels
AS7341_DARKEST = 512 * 35252  # gain · steps, gain 512 and 98 ms, of the data sheet's dark counts
# TCS34725. Source: ams TCS34725 data sheet.
TCS34725_GAINS = (1.0, 4.0, 16.0, 60.0)
TCS34725_DARKEST = 60 * 42  # gain · steps, gain 60 and 101 ms, of the data sheet's dark counts
DARKEST = 5.0
"""Counts without light at the highest gain and 100 ms, the most that the two data sheets allow; they could not be opened for this, and
only a transcript of that of a sister chip (TCS3400: 1, at most 4, at gain 64 and 200 ms)."""
COUNTER = 65535  # what a 16-bit counter holds

_FWHM = 2 * np.sqrt(2 * np.log(2))


@dataclass(frozen=True)
class Optics:
    """Deviation of one lamp and of one sensor from those of their data sheets."""

    lamp: float = 0.0
    """How much redder the lamp is: its light times (wavelength / 560 nm) to this power."""
    filters: float = 0.0
    """nm by which the channels of the sensor lie at longer wavelengths."""


@dataclass(frozen=True)
class Sensor:
    """A photodiode array with filters, an integrator and a converter."""

    name: str
    bands: dict[str, tuple[float, float]]
    """Center and full width at half maximum of each channel, nm; width 0 is an unfiltered (clear) diode."""
    color_channels: tuple[str, ...]
    """The channels that a color is computed from; the others are read too."""
    gain: float
    steps: int
    """Integration steps."""
    step_seconds: float
    full_scale: int
    passes: int
    """Number of integrations until every channel is read."""
    reference_exposure: float
    """gain · steps at which the brightest channel reads 60 % of `reference_counts` through a cell of water."""
    reference_counts: int
    registers: tuple[int, ...]
    """Registers of the chip: gain, atime and, for the AS7341, astep."""
    reference_gain: float
    """The gain at which `shot_noise` holds."""
    dark_current: float
    """Counts without light by which one more of gain · steps raises them."""
    dark_counts: float = 2.0
    """Mean counts without light at `reference_exposure`."""
    shot_noise: float = 0.065
    """Variance per count at `reference_gain`. Measured on an AS7341: 0.8 % rms at 200–2000 counts, 0.36 % above.

    At a higher gain a count is fewer electrons, so that the variance per count is proportional to the gain. On the records of
    `light-mixing` that explains what is left over better than a constant does (a log-likelihood of 38 more for 4000 counts).
    """
    read_noise: float = 0.6
    """Standard deviation without light, counts."""
    optics: Optics = Optics()
    """The lamp that it looks at, and its filters."""

    @cached_property
    def responsivities(self) -> NDArray[np.float64]:
        """Relative response of every channel, [n, 81], each with unit height."""
        wavelength = cie_table()["wavelength_nm"]
        rows = [
            np.exp(-0.5 * ((wavelength - (center + self.optics.filters)) / (width / _FWHM)) ** 2) if width else np.ones_like(wavelength)
            for center, width in self.bands.values()
        ]
        return np.stack(rows)

    @property
    def dark(self) -> float:
        """Mean counts without light: they grow with the gain and with the integration time."""
        return self.dark_counts + self.dark_current * (self.gain * self.steps - self.reference_exposure)

    @property
    def read_seconds(self) -> float:
        """Time to read every channel once, s."""
        return self.passes * self.steps * self.step_seconds

    def counts_per_light(self, lamp: NDArray[np.float64]) -> NDArray[np.float64]:
        """The matrix [n, 81] that turns a transmittance spectrum under `lamp` [81] into mean counts, dark counts left out."""
        weights = self.responsivities * (lamp * (cie_table()["wavelength_nm"] / 560) ** self.optics.lamp)
        brightest = weights.sum(axis=1).max()
        exposure = self.gain * self.steps / self.reference_exposure
        scaled: NDArray[np.float64] = weights * (0.6 * self.reference_counts * exposure / brightest)
        return scaled

    def digitized(self, mean_counts: NDArray[np.float64], noise: float, random: np.random.Generator) -> NDArray[np.int64]:
        """Integer counts [n] for mean counts [n], saturated at full scale; `noise` scales the noise, 0 turns it off."""
        if noise:
            relative = self.gain / self.reference_gain
            sigma = noise * np.sqrt(self.shot_noise * relative * mean_counts + self.read_noise**2)
            mean_counts = mean_counts + sigma * random.standard_normal(mean_counts.shape)
        return np.minimum(np.maximum(np.rint(mean_counts), 0), self.full_scale).astype(np.int64)


def as7341(gain: float = 64.0, atime: int = 29, astep: int = 599) -> Sensor:
    """ams AS7341: eight visible channels, a clear and a near-infrared one (no visible light reaches that, so it is left out).

    Integration time (ATIME+1)(ASTEP+1)·2.78 µs, full scale min(65535, (ATIME+1)(ASTEP+1)), two passes for all channels.
    Source: ams-OSRAM AS7341 data sheet; centers and widths are its typical values.

    Raises:
        InvalidInput: A register has no such value.
    """
    if gain not in AS7341_GAINS:
        raise InvalidInput(f"gain = {gain:g} is none of the AS7341's: {', '.join(f'{g:g}' for g in AS7341_GAINS)}")
    if not (0 <= atime <= 255 and 0 <= astep <= 65534):
        raise InvalidInput(f"atime = {atime}, astep = {astep}: the AS7341 takes 0 to 255 and 0 to 65534")
    steps = (atime + 1) * (astep + 1)
    bands = {"415": (415, 26), "445": (445, 30), "480": (480, 36), "515": (515, 39), "555": (555, 39), "590": (590, 40), "630": (630, 50)}
    bands |= {"680": (680, 52), "clear": (0, 0)}
    color_channels = tuple(c for c in bands if c != "clear")
    return Sensor(
        name="as7341",
        bands={k: (float(c), float(w)) for k, (c, w) in bands.items()},
        color_channels=color_channels,
        gain=gain,
        steps=steps,
        step_seconds=AS7341_STEP_SECONDS,
        full_scale=min(COUNTER, steps),
        passes=AS7341_PASSES,
        reference_exposure=64 * 18000,
        dark_current=(DARKEST - Sensor.dark_counts) / (AS7341_DARKEST - 64 * 18000),
        reference_counts=18000,
        reference_gain=64,
        registers=(AS7341_GAINS.index(gain), atime, astep),
    )


def tcs34725(gain: float = 4.0, cycles: int = 21) -> Sensor:
    """ams TCS34725: red, green, blue and clear; clear saturates first.

    Integration in cycles of 2.4 ms, full scale min(65535, 1024·cycles).
    Source: ams TCS34725 data sheet; the curves are approximated by Gaussians at their peaks.

    Raises:
        InvalidInput: A register has no such value.
    """
    if gain not in TCS34725_GAINS:
        raise InvalidInput(f"gain = {gain:g} is none of the TCS34725's: {', '.join(f'{g:g}' for g in TCS34725_GAINS)}")
    if not 1 <= cycles <= 256:
        raise InvalidInput(f"cycles = {cycles}: the TCS34725 integrates 1 to 256 cycles")
    bands = {"red": (615.0, 70.0), "green": (525.0, 80.0), "blue": (465.0, 60.0), "clear": (0.0, 0.0)}
    return Sensor(
        name="tcs34725",
        bands=bands,
        color_channels=("red", "green", "blue"),
        gain=gain,
        steps=cycles,
        step_seconds=2.4e-3,
        full_scale=min(COUNTER, 1024 * cycles),
        passes=1,
        reference_exposure=4 * 21,
        dark_current=(DARKEST - Sensor.dark_counts) / (TCS34725_DARKEST - 4 * 21),
        reference_counts=1024 * 21,
        reference_gain=4,
        registers=(TCS34725_GAINS.index(gain), 256 - cycles),
    )


SENSORS: dict[str, Callable[..., Sensor]] = {"as7341": as7341, "tcs34725": tcs34725}


def make_sensor(name: str, registers: Mapping[str, float | None]) -> Sensor:
    """The sensor of that name with these registers set; one that is None is as the sensor has it.

    Raises:
        InvalidInput: It has no such register, or the register no such value.
    """
    known = inspect.signature(SENSORS[name]).parameters
    given = {register: value for register, value in registers.items() if value is not None}
    if unknown := [register for register in given if register not in known]:
        raise InvalidInput(f"the sensor {name} has no {', '.join(unknown)}; it has {', '.join(known)}")
    return SENSORS[name](**given)


class SensorOptions(Options):
    """A color sensor and its registers."""

    sensor: Literal["as7341", "tcs34725"] = option("as7341", "or tcs34725", changes="experiment")
    gain: float | None = option(None, "the sensor's gain: 0.5 … 512 (TCS34725: 1, 4, 16, 60)", shown="64 (4)", changes="imperfections")
    atime: int | None = option(
        None, "AS7341: integration time (ATIME+1)(ASTEP+1)·2.78 µs, full scale (ATIME+1)(ASTEP+1)", shown="29", changes="imperfections"
    )
    astep: int | None = option(None, "AS7341: the same", shown="599", changes="imperfections")
    cycles: int | None = option(
        None, "TCS34725: integration time cycles · 2.4 ms, full scale 1024·cycles", shown="21", changes="imperfections"
    )

    def make_sensor(self) -> Sensor:
        """The sensor with these registers."""
        return make_sensor(self.sensor, {"gain": self.gain, "atime": self.atime, "astep": self.astep, "cycles": self.cycles})
