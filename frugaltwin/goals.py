"""Goals: known functions of the outcomes. Strategies model the outcomes and apply the goal to what the model expects.

A new goal is one class here and one line in the catalog.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar, Self

import numpy as np

from frugaltwin.color import Array, Lab, delta_e, hex_code, parse_color
from frugaltwin.errors import InvalidInput, UnknownName
from frugaltwin.experiment import Experiment, Outcomes, Settings, Trial, quantity
from frugaltwin.tables import color_array, outcomes_array, settings_array


@dataclass(frozen=True)
class Goal(ABC):
    """The aim of a campaign on `experiment`: a good score, or a map."""

    experiment: Experiment

    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def parse(cls, argument: str, experiment: Experiment, draw: Callable[[int], Lab], seed: int) -> Self:
        """The goal of ``name:argument``.

        Args:
            draw: Gives a reachable color for a seed.
            seed: The campaign's.

        Raises:
            InvalidInput: The argument cannot be understood, or the experiment does not measure what it needs.
        """

    @property
    @abstractmethod
    def text(self) -> str:
        """The words that `parse` reads back to this very goal."""

    @property
    def title(self) -> str:
        """The goal in words for people."""
        return self.text

    @property
    @abstractmethod
    def default_strategy(self) -> str:
        """The strategy that is made for it."""

    @property
    @abstractmethod
    def outcomes(self) -> tuple[str, ...]:
        """The names of the outcomes that it depends on."""

    @property
    def unit(self) -> str:
        """The unit of the score."""
        return ""

    def score_of_trial(self, trial: Trial) -> float | None:
        """The score of a trial; None when it failed, or when the goal has no score."""
        return None

    def best(self, trials: Sequence[Trial]) -> tuple[Trial, float] | None:
        """The trial with the best reading and its score; None when there is none."""
        return None


@dataclass(frozen=True)
class ScoredGoal(Goal):
    """A goal that gives every measurement a score, to be made small or large."""

    @property
    def default_strategy(self) -> str:
        return "bayesian"

    @property
    def is_minimized(self) -> bool:
        """Whether a low score is a good one."""
        return True

    @abstractmethod
    def score(self, outcomes: Array, settings: Array) -> Array:
        """The score [...] of outcomes [..., m] at settings [..., d], both in natural units; differentiable."""

    def score_of(self, settings: Settings, outcomes: Outcomes) -> float:
        """The score of one measurement."""
        with np.errstate(over="ignore", invalid="ignore"):  # absurd outcomes have no score: NaN says so
            return float(self.score(outcomes_array(self.experiment, [outcomes]), settings_array(self.experiment, [settings]))[0])

    def score_of_trial(self, trial: Trial) -> float | None:
        return None if trial.measurement is None else self.score_of(trial.settings, trial.measurement.outcomes)

    def is_better(self, score: float, than: float) -> bool:
        """Whether one score beats another."""
        return score < than if self.is_minimized else score > than

    def best(self, trials: Sequence[Trial]) -> tuple[Trial, float] | None:
        done = [(t, t.measurement.outcomes) for t in trials if t.measurement is not None]
        if not done:
            return None
        scores = self.score(
            outcomes_array(self.experiment, [y for _, y in done]), settings_array(self.experiment, [t.settings for t, _ in done])
        )
        k = int(np.argmin(scores) if self.is_minimized else np.argmax(scores))
        trial, outcomes = done[k]
        return trial, self.score_of(trial.settings, outcomes)  # as every display says it


@dataclass(frozen=True)
class MatchColor(ScoredGoal):
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
            outcome = self.experiment.outcomes[0].name
            raise InvalidInput(f"{self.experiment.name} does not measure a color; try the goal minimize:{outcome}", field="goal")

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
    def outcomes(self) -> tuple[str, ...]:
        assert self.experiment.color is not None
        return self.experiment.color.channels

    @property
    def hex_code(self) -> str:
        """The target as the nearest ``#rrggbb``."""
        return hex_code(self.target)

    def score(self, outcomes: Array, settings: Array) -> Array:
        lab = color_array(self.experiment, outcomes, settings)
        target = np.array(self.target) if isinstance(lab, np.ndarray) else lab.new_tensor(self.target)
        return delta_e(lab, target)


def _rounded(lab: Lab) -> Lab:
    """To as many digits as `text` writes, so that a campaign read back has the very same target."""
    return round(lab[0], 6), round(lab[1], 6), round(lab[2], 6)


@dataclass(frozen=True)
class _Extreme(ScoredGoal):
    outcome: str

    @classmethod
    def parse(cls, argument: str, experiment: Experiment, draw: Callable[[int], Lab], seed: int) -> Self:
        numeric = [o.name for o in experiment.outcomes if not o.labels]
        if labels := next((o.labels for o in experiment.outcomes if o.name == argument and o.labels), None):
            shown = ", ".join(labels[:5])
            raise InvalidInput(f"{argument} of {experiment.name} is no number to {cls.name}: it takes the labels {shown}")
        if argument not in numeric:
            near = get_close_matches(argument, numeric, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(numeric) or 'only labels'}"
            raise UnknownName(f"{experiment.name} has no outcome {argument!r} to {cls.name}; {hint}")
        return cls(experiment, argument)

    @property
    def text(self) -> str:
        return f"{self.name}:{self.outcome}"

    @property
    def unit(self) -> str:
        return next(o.unit for o in self.experiment.outcomes if o.name == self.outcome)

    @property
    def outcomes(self) -> tuple[str, ...]:
        return (self.outcome,)

    def score(self, outcomes: Array, settings: Array) -> Array:
        return outcomes[..., [o.name for o in self.experiment.outcomes].index(self.outcome)]


@dataclass(frozen=True)
class Minimize(_Extreme):
    """Make one outcome as small as possible: ``minimize:OUTCOME``; the score is the outcome itself."""

    name = "minimize"


@dataclass(frozen=True)
class Maximize(_Extreme):
    """Make one outcome as large as possible: ``maximize:OUTCOME``; the score is the outcome itself."""

    name = "maximize"

    @property
    def is_minimized(self) -> bool:
        return False


@dataclass(frozen=True)
class Map(Goal):
    """Map where an outcome is what: ``map:OUTCOME`` for labels such as phases, ``map:OUTCOME:VALUE`` for where a number passes a value.

    It has no score: what counts is that every corner of the map is right. Strategies ask where the map is least certain.
    """

    outcome: str
    threshold: float | None = None

    name = "map"

    @classmethod
    def parse(cls, argument: str, experiment: Experiment, draw: Callable[[int], Lab], seed: int) -> Self:
        outcomes = {o.name: o for o in experiment.outcomes}
        name, _, number = (argument, "", "") if argument in outcomes else argument.rpartition(":")
        name, number = (name.strip(), number.strip()) if name else (number.strip(), "")
        if name not in outcomes:
            near = get_close_matches(name, list(outcomes), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(outcomes)}"
            raise UnknownName(f"{experiment.name} has no outcome {name!r} to map; {hint}")
        if outcomes[name].labels:
            if number:
                raise InvalidInput(f"{name} of {experiment.name} is a label and has no value {number} to pass; write map:{name}")
            return cls(experiment, name)
        if not number:
            raise InvalidInput(f"{name} of {experiment.name} is a number: say which value divides the map, such as map:{name}:0.5")
        try:
            threshold = float(number)
        except ValueError:
            threshold = math.nan
        if not math.isfinite(threshold):
            raise InvalidInput(f"map:{argument}: {number} is not a finite number")
        return cls(experiment, name, threshold)

    @property
    def text(self) -> str:
        return f"map:{self.outcome}" if self.threshold is None else f"map:{self.outcome}:{self.threshold!r}"

    @property
    def default_strategy(self) -> str:
        return "gp-classifier" if self.threshold is None else "straddle"

    @property
    def outcomes(self) -> tuple[str, ...]:
        return (self.outcome,)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names that a place of the map can have."""
        outcome = next(o for o in self.experiment.outcomes if o.name == self.outcome)
        if self.threshold is None:
            return outcome.labels
        border = quantity(self.threshold, outcome.unit)
        return f"{self.outcome} < {border}", f"{self.outcome} ≥ {border}"

    def label_of(self, outcomes: Outcomes) -> str:
        """The label of one measurement."""
        value = outcomes[self.outcome]
        return str(value) if self.threshold is None else self.labels[int(float(value) >= self.threshold)]

    def label_of_trial(self, trial: Trial) -> str | None:
        """The label of a trial; None when it failed."""
        return None if trial.measurement is None else self.label_of(trial.measurement.outcomes)

    def seen(self, trials: Sequence[Trial]) -> dict[str, int]:
        """The number of times that every label was measured, in the order of the labels; those that never were are left out."""
        found = [self.label_of_trial(t) for t in trials]
        return {label: n for label in self.labels if (n := found.count(label))}


def scored(goal: Goal, strategy: str) -> ScoredGoal:
    """The goal, for a strategy that works on scores.

    Raises:
        InvalidInput: It has none.
    """
    if not isinstance(goal, ScoredGoal):
        raise InvalidInput(
            f"{goal.text} has no score for {strategy} to improve; try the strategy {goal.default_strategy}", field="strategy"
        )
    return goal


def mapped(goal: Goal, strategy: str) -> Map:
    """The goal, for a strategy that draws maps.

    Raises:
        InvalidInput: It wants something else.
    """
    if not isinstance(goal, Map):
        text = f"{strategy} draws maps and cannot work towards {goal.text}; try the strategy {goal.default_strategy}"
        raise InvalidInput(text, field="strategy")
    return goal
