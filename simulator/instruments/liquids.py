"""Liquids of a mixer: bottles with their pumps, and the action of the liquids on light."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from frugaltwin.errors import InvalidInput
from frugaltwin.table_reader import number

SHORTEST = 0.01  # s: what a relay needs to close and open


@dataclass(frozen=True)
class Pump:
    """A calibrated peristaltic pump: asked for V mL it delivers slope·V + offset, with random errors."""

    slope: float
    """Relative error of the slope that the calibration leaves."""
    offset: float
    """mL. Uncalibrated pumps of the PumpBot rig deliver 0.11–0.30 mL too much; a calibration leaves some µL."""
    dead_volume: float
    """mL of tube that the first dose after connecting has to fill."""
    rate: float
    """mL/s. PumpBot's pumps: 1.9–2.7 mL/s."""
    coasting: float = 0.0
    """mL that it delivers after it is switched off, as it runs down. A calibration knows of it: a dose ends so much earlier."""

    @property
    def smallest(self) -> float:
        """The smallest dose that it can deliver, mL, in whole µL: what comes after a run of `SHORTEST`. 0 if it does not coast."""
        return math.ceil(1000 * (self.coasting + SHORTEST * self.rate)) / 1000 if self.coasting else 0.0


@dataclass(frozen=True)
class Bottle:
    """A liquid at its pump. Prices are assumptions of this project, to be replaced by yours."""

    pump: Pump
    price: float
    """USD per mL."""
    strength: float = 0.0
    """Amount of what acts on light in a mL; 0 for water, which only thins."""
    drying: float = 0.005
    """Relative rise of the strength in an open bottle, per hour."""
    fades: bool = True
    """Whether light and air take of what acts on light."""


@dataclass(frozen=True)
class Liquids:
    """The liquids in the bottles, and their action on light in the cell."""

    bottles: Mapping[str, Bottle]
    """Bottles by name, in the order in which they are dosed. ``water`` is among them: it rinses."""
    light: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    """Fraction of the lamp's light that reaches the sensor, [..., 81], for the amount of each liquid with a strength in a mL of the
    cell, [..., k]. An empty cell holds nothing: zeros."""
    waste: float = 0.001
    """USD per mL, disposal."""
    filled: Mapping[str, float] = field(default_factory=dict[str, float])
    """mL that were in a bottle when the campaign began, and that were filled in since; bottles that nobody counts are missing."""

    def counted(self, words: str) -> Liquids:
        """The same in bottles of which somebody said how much is in them: ``red:250+water:2000``.

        Raises:
            InvalidInput: There is no such bottle, or that is no volume.
        """
        filled = {}
        for word in words.split("+") if words else ():
            bottle, _, volume = word.strip().partition(":")
            if bottle not in self.bottles:
                raise InvalidInput(f"bottles = {words}: there is no {bottle!r}; there are {', '.join(self.bottles)}", field="option")
            if (filled_in := number(volume)) is None or not 0 < filled_in < math.inf:
                raise InvalidInput(f"bottles = {words}: write how many mL of each, as in {bottle}:250", field="option")
            filled[bottle] = filled_in
        return replace(self, filled=filled)

    def coasting(self, volume: float) -> Liquids:
        """The same at pumps that deliver so many mL after they are switched off."""
        pumps = {name: replace(bottle.pump, coasting=volume) for name, bottle in self.bottles.items()}
        return replace(self, bottles={name: replace(bottle, pump=pumps[name]) for name, bottle in self.bottles.items()})

    @property
    def strengths(self) -> dict[str, float]:
        """Strengths of the k liquids that act on light."""
        return {name: bottle.strength for name, bottle in self.bottles.items() if bottle.strength}

    @property
    def smallest(self) -> dict[str, float]:
        """The smallest doses of the pumps that can deliver no less, mL."""
        return {name: bottle.pump.smallest for name, bottle in self.bottles.items() if bottle.pump.smallest}

    def money(self, volumes: Mapping[str, float]) -> float:
        """USD that `volumes` of the bottles cost, mL, their disposal included."""
        return sum(volume * (self.bottles[name].price + self.waste) for name, volume in volumes.items())
