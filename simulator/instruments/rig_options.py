"""Constants of a rig that mixes, and of what is in its bottles: another one for each number.

The constants of the lab in the data sheets are the defaults. The ranges are those of parts of one kind: what a calibration leaves over, the
scatter of measured doses, and where nothing was measured a plain assumption.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from frugaltwin.data_sheets import Options, SystemOptions, option
from simulator.instruments.liquids import Pump
from simulator.instruments.sensors import Optics

RIG, FILLING = 71, 72  # streams of random numbers


class NumberedOptions(SystemOptions):
    """Options of a lab that has a number: 0 is that of the data sheet."""

    system: int = option(
        0,
        "the number of a lab: 0 is that of this data sheet; any other draws every constant that is not given from its range",
        allowed=(0, math.inf),
        changes="truth",
    )

    @property
    def constants(self) -> dict[str, float]:
        """The constants of the lab: those given, the others drawn with its number, or the defaults."""
        return self._drawn({"": np.random.default_rng((RIG, self.system)) if self.system else None})

    def _drawn(self, streams: Mapping[str, np.random.Generator | None]) -> dict[str, float]:
        """The constants that are not given, each drawn from the stream of its name or else from the one without a name."""
        found: dict[str, float] = {}
        for name, about in self.stated.items():
            if about.drawn:
                random = streams.get(name, streams[""])
                usual = float(about.default) if random is None else float(random.uniform(*about.drawn))
                found[name] = usual if (given := getattr(self, name)) is None else float(given)
        return found


class CoastingOptions(Options):
    """The option of pumps that run down."""

    coasting: float = option(
        0.0,
        "that a pump delivers after it is switched off, at a rig as well: less, and little more, cannot be dosed, and suggestions respect "
        "it (pumps of a PumpBot: 0.11 to 0.30)",
        "mL",
        allowed=(0, 0.3),
        changes="experiment",
    )


class FilledOptions(NumberedOptions):
    """Options of a rig with bottles: what is in them has a number, too."""

    in_bottles: ClassVar[frozenset[str]] = frozenset()
    """The constants that belong to the filling of the bottles."""

    batch: int = option(
        0, "the number of another filling of its bottles, on the same rig: a sister lab", allowed=(0, math.inf), changes="truth"
    )

    @property
    def constants(self) -> dict[str, float]:
        """The constants of the lab: those given, the others drawn with the numbers of the lab and of the filling, or the defaults."""
        rig = np.random.default_rng((RIG, self.system)) if self.system else None
        filling = np.random.default_rng((FILLING, self.system, self.batch)) if self.system or self.batch else None
        return self._drawn({"": rig} | dict.fromkeys(self.in_bottles, filling))


class RigOptions(FilledOptions, CoastingOptions):
    """Options of a rig with pumps, a lamp and a sensor of its own."""

    lamp: float | None = option(
        0.0,
        "how much redder the lamp is than a CIE LED-B4: its light times (wavelength / 560 nm) to this power (range assumed)",
        drawn=(-0.3, 0.3),
        allowed=(-5, 5),
    )
    filters: float | None = option(
        0.0, "by how much the sensor's channels lie at longer wavelengths (range assumed)", "nm", drawn=(-2, 2), allowed=(-20, 20)
    )

    @property
    def optics(self) -> Optics:
        """The lamp and the sensor."""
        return Optics(self.constants["lamp"], self.constants["filters"])

    def pumps(self, usual: dict[str, Pump]) -> dict[str, Pump]:
        """The pumps of the rig: those of the data sheet with the slopes and offsets of this one."""
        k = self.constants
        return {
            name: Pump(k.get(f"slope_{name}", pump.slope), k.get(f"offset_{name}", pump.offset), pump.dead_volume, pump.rate, self.coasting)
            for name, pump in usual.items()
        }


def slope(liquid: str, usual: float) -> Any:
    """The option of the slope that the calibration of a pump left over."""
    return option(usual, f"mL that arrive of each mL of {liquid} that is asked for", drawn=(0.987, 1.013), allowed=(0.5, 1.5))


def offset(liquid: str, usual: float) -> Any:
    """The option of the offset that the calibration of a pump left over."""
    return option(usual, f"that arrive of every dose of {liquid} besides", "mL", drawn=(-0.006, 0.006), allowed=(-0.1, 0.5))
