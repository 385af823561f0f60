"""The goal to map where an outcome is what."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Self

from frugaltwin.color import Lab
from frugaltwin.errors import InvalidInput, UnknownName
from frugaltwin.experiment import Experiment, Outcomes, Trial, quantity
from frugaltwin.goals.goal import Column, Goal, Tally, Value


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
        return "phase-map" if self.threshold is None else "straddle"

    @property
    def outcomes(self) -> tuple[str, ...]:
        return (self.outcome,)

    @property
    def labels(self) -> tuple[str, ...]:
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
        return self.label_of(trial.measurement.outcomes) if trial.measurement and self.counts(trial) else None

    @property
    def columns(self) -> tuple[Column, ...]:
        return (Column(self.outcome, width=max(len(self.outcome), *(min(len(label), 24) for label in self.labels))),)

    def values(self, trial: Trial) -> dict[str, Value]:
        return {self.outcome: self.label_of(trial.measurement.outcomes) if trial.measurement and not self.missing(trial) else None}

    @property
    def standing_column(self) -> Column | None:
        return Column("seen", width=5)

    def standing(self, trials: Sequence[Trial]) -> float | str | None:
        return f"{len(self.seen(trials))}/{len(self.labels)}"

    def sentence(self, tally: Tally, good: Sequence[Trial]) -> str:
        if not tally.seen:
            return super().sentence(tally, good)
        found = ", ".join(f"{label} {n}" for label, n in tally.seen.items())
        return f"{len(tally.seen)} of {len(self.labels)} labels measured: {found}"
