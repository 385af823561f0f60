"""The goal to match a target color."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from frugaltwin.color import Array, Lab, delta_e, hex_code, parse_color
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Experiment
from frugaltwin.goals.goal import NO_AMOUNTS, Objective
from frugaltwin.tables import color_array


@dataclass(frozen=True)
class MatchColor(Objective):
    """Match a target color: the score is the CIEDE2000 difference, to be made small.

    ``match-color:#8fb04a``, ``match-color:coral``, ``match-color:lab(52, 10, -30)``, or ``match-color:reachable:7``, a color
    that the twin can make, drawn with the seed 7 (without a number: with the campaign's seed).
    Differences: about 1 is just noticeable, 2.3 is a good match.
    Source: Sharma, Wu & Dalal, Color Res. Appl. 30 (2005) 21, doi:10.1002/col.20070.
    """

    target: Lab

    name = "match-color"

    def __post_init__(self) -> None:
        if self.experiment.color is None:
            outcome = self.experiment.outcomes[0]
            words = f"{'map' if outcome.labels else 'minimize'}:{outcome.name}"
            raise InvalidInput(f"{self.experiment.name} does not measure a color; try the goal {words}", field="goal")

    @classmethod
    def parse(cls, argument: str, experiment: Experiment, draw: Callable[[int], Lab], seed: int) -> Self:
        word, _, number = argument.partition(":")
        if word.strip() not in ("", "reachable"):
            return cls(experiment, _rounded(parse_color(argument)))
        if number and not number.strip().isdecimal():
            raise InvalidInput(f"match-color:{argument} needs a whole number as its seed, such as match-color:reachable:7")
        cls(experiment, (0.0, 0.0, 0.0))  # refuses an experiment without a color before anything is drawn
        return cls(experiment, _rounded(draw(int(number) if number else seed)))

    @property
    def text(self) -> str:
        return "match-color:lab({:.6f}, {:.6f}, {:.6f})".format(*self.target)

    @property
    def title(self) -> str:
        return f"match-color {self.hex_code} (L {self.target[0]:.1f}, a {self.target[1]:.1f}, b {self.target[2]:.1f})"

    @property
    def default_strategy(self) -> str:
        return "composite"

    @property
    def unit(self) -> str:
        return "ΔE00"

    @property
    def explanation(self) -> str:
        return "ΔE00 is how different two colors look: about 1 is just visible, 2.3 is a good match"

    @property
    def outcomes(self) -> tuple[str, ...]:
        assert self.experiment.color is not None
        return self.experiment.color.channels

    @property
    def target_color(self) -> Lab | None:
        return self.target

    @property
    def hex_code(self) -> str:
        """The target as the nearest ``#rrggbb``."""
        return hex_code(self.target)

    @property
    def levels(self) -> Mapping[float, str]:
        return {1.0: "just visible", 2.3: "a good match"}

    @property
    def is_ratio(self) -> bool:
        return True

    def score(self, outcomes: Array, settings: Array, amounts: Mapping[str, Array] = NO_AMOUNTS) -> Array:
        lab = color_array(self.experiment, outcomes, settings)
        target = np.array(self.target) if isinstance(lab, np.ndarray) else lab.new_tensor(self.target)
        return delta_e(lab, target)


def _rounded(lab: Lab) -> Lab:
    """To as many digits as `text` writes, so that a campaign read back has the very same target."""
    return round(lab[0], 6), round(lab[1], 6), round(lab[2], 6)
