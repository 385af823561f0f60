"""Problem as a campaign meets it: the lab of a seed, its goal, and the judge who knows the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.bench.fields import FieldsDriver
from frugaltwin.bench.functions import FUNCTIONS, FunctionDriver
from frugaltwin.budget import Budget
from frugaltwin.errors import DriverError, InvalidInput
from frugaltwin.experiment import Measurement, Outcomes, Settings, Trial
from frugaltwin.goals import Goal, Map, MatchColor
from frugaltwin.goals.words import joined
from frugaltwin.plugins import Driver, KnowsTruth, Predicts, Resumes, Strategy
from frugaltwin.state import State

PLACES = 500
"""Number of places at which a map is judged where the experiment has no candidates."""
DRAWS = 100
"""Number of draws in which a start has to meet two labels."""


@runtime_checkable
class KnowsReadings(Protocol):
    """A driver of recorded experiments that can say what is known of settings: the mean of their readings."""

    def recorded(self, settings: Settings) -> Outcomes | None:
        """The mean of the readings, of a label the most frequent one; None where an outcome is missing."""
        ...


class Spoilt:
    """A lab whose readings have more noise, drift, or have outliers among them, by the seed and the number of the reading."""

    def __init__(
        self,
        driver: Driver,
        seed: int,
        share: float = 0.0,
        one_of: Sequence[int] | None = None,
        shift: float = 0.0,
        factor: Sequence[float] | None = None,
        noise: float = 0.0,
        drift: float = 0.0,
    ) -> None:
        self.sound, self.experiment = driver, driver.experiment
        self._seed, self._share, self._shift, self._factor, self._noise, self._drift = seed, share, shift, factor, noise, drift
        self.has_outliers = share > 0 or one_of is not None
        self._done = 0
        self._one = int(self._random(0).integers(one_of[0], one_of[1] + 1)) if one_of else None

    def __enter__(self) -> Self:
        self.sound.__enter__()
        return self

    def perform(self, settings: Settings) -> Measurement:
        self._done += 1
        measurement = self.sound.perform(settings)
        random, is_outlier = self._random(self._done), self.is_outlier(self._done)
        random.random()  # the one that decided
        outcomes = {
            name: value if isinstance(value, str) else self._read(value, is_outlier, random) for name, value in measurement.outcomes.items()
        }
        return replace(measurement, outcomes=outcomes)

    def is_outlier(self, number: int) -> bool:
        """Whether the reading of that number, from 1, is spoilt."""
        return number == self._one if self._one is not None else self._random(number).random() < self._share

    def resume(self, trials: Sequence[Trial]) -> None:
        """Go on after these trials."""
        self._done = sum(trial.source == "driver" for trial in trials)
        if isinstance(self.sound, Resumes):
            self.sound.resume(trials)

    def stop(self) -> None:
        self.sound.stop()

    def __exit__(self, *failure: Any) -> None:
        self.sound.__exit__(*failure)

    def _random(self, number: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, number, 1850))

    def _read(self, value: float, is_outlier: bool, random: np.random.Generator) -> float:
        noisy = value + self._noise * float(random.standard_normal()) + self._drift * (self._done - 1)
        if not is_outlier:
            return noisy
        if self._factor is None:
            return noisy + self._shift * float(random.choice((-1.0, 1.0)))
        return noisy * float(np.exp(random.uniform(*np.log(self._factor))))


class Problem:
    """A problem by the words of its plan."""

    def __init__(self, words: Mapping[str, Any], folder: str) -> None:
        self._words, self._folder = words, folder
        self.budget = Budget(**words["budget"])
        self.start, self.recommend = int(words.get("start", 0)), tuple(words.get("recommend", ()))
        self.batch, self.has_intervals = int(words.get("batch", 1)), bool(words.get("intervals"))
        self.reach = tuple(words.get("reach", ())) if words.get("end_when_reached") else ()

    def driver(self, seed: int) -> Driver:
        """The lab of a seed."""
        driver, outliers = self._driver(seed), self._words.get("outliers", {})
        noise = 0.0 if "function" in self._words else self._words.get("noise", 0.0)
        drift = self._words.get("drift", 0.0)
        return Spoilt(driver, seed, **outliers, noise=noise, drift=drift) if outliers or noise or drift else driver

    def _driver(self, seed: int) -> Driver:
        """The lab as it is."""
        if function := self._words.get("function"):
            return FunctionDriver(function, self._words.get("noise", 0.0), seed, bool(self._words.get("moved")))
        if number := self._words.get("fields"):
            return FieldsDriver(number)
        choice = self._words["driver"]
        options = {**choice.get("options", {}), **dict.fromkeys(self._words.get("per_seed", ()), seed)}
        resolved = catalog.resolved_options("driver", choice["name"], options)
        for name, value in options.items():
            if isinstance(value, str) and resolved[name] != value and resolved[name] == str(Path(value).absolute()):
                options[name] = str(Path(self._folder) / value)  # a file is looked for beside the plan
        return catalog.make_driver(choice["name"], options, seed=seed, goal=self._text)

    def goal(self, driver: Driver, seed: int) -> Goal:
        """The goal of a seed; a reachable color is another one for each."""
        text = self._text or (f"minimize:{driver.experiment.outcomes[0].name}" if "function" in self._words else "")
        return catalog.make_goal(text, driver, seed)

    def judge(self, driver: Driver, goal: Goal) -> Judge:
        """The judge of a campaign, to whom outliers do not happen.

        Raises:
            InvalidInput: The driver knows no truth.
        """
        return Judge(driver.sound if isinstance(driver, Spoilt) else driver, goal)

    def optimum(self, driver: Driver, goal: Goal) -> float | None:
        """The smallest loss there is; None where nobody knows it."""
        if not goal.has_score:
            return None
        objective = goal.objectives[0]
        if (score := self._words.get("optimum")) is not None:
            return float(score) if objective.is_minimized else -float(score)
        if isinstance(goal, MatchColor):
            return 0.0
        if "function" in self._words and objective.is_minimized:
            return FUNCTIONS[self._words["function"]].minimum
        if isinstance(driver.sound if isinstance(driver, Spoilt) else driver, KnowsReadings):
            judge = self.judge(driver, goal)
            losses = [judge.losses(settings, None) for settings in driver.experiment.candidates]
            return min((found[0] for found in losses if found), default=None)
        return None

    def begin(self, driver: Driver, goal: Goal, seed: int) -> list[Settings]:
        """Random settings that all strategies of a seed begin with; of a map they meet two labels at least.

        Raises:
            InvalidInput: They do not in so many draws.
        """
        judge = self.judge(driver, goal)
        for draw in range(DRAWS if self.start else 0):
            number = int(np.random.SeedSequence((seed, draw, 1811)).generate_state(1)[0])
            drawn = [s.settings for s in catalog.make_strategy("random", seed=number).suggest(State(goal), self.start)]
            if not isinstance(goal, Map) or self.start == 1 or len({judge.label(settings) for settings in drawn}) > 1:
                return drawn
        if self.start:
            raise InvalidInput(f"no two labels among {self.start} random settings in {DRAWS} draws; raise `start`")
        return []

    def model(self, strategy: Strategy, goal: Goal, seed: int) -> Predicts:
        """The model that draws the map: the strategy's where it has one, else the problem's."""
        if isinstance(strategy, Predicts):
            return strategy
        chosen: Mapping[str, Any] = self._words.get("model", {"name": goal.default_strategy})
        model = catalog.make_strategy(chosen["name"], chosen.get("options", {}), seed=seed)
        if not isinstance(model, Predicts):
            raise InvalidInput(f"{chosen['name']} has no model that could draw a map; name another one in `model`")
        return model

    def is_over(self, judged: Sequence[Mapping[str, Any]], optimum: float | None) -> bool:
        """Whether a campaign that ends when it has reached all of `reach` has."""
        if not self.reach or not judged:
            return False
        if "right" in judged[-1]:
            return bool(judged[-1]["right"] >= max(self.reach))
        losses: Sequence[float] = judged[-1].get("losses") or ()
        return optimum is not None and len(losses) == 1 and losses[0] - optimum <= min(self.reach)

    @property
    def _text(self) -> str:
        return joined(self._words.get("goal", ()), self._words.get("require", ()))


class Judge:
    """Judges by the truth what a campaign did. Nothing of it reaches a strategy."""

    def __init__(self, driver: Driver, goal: Goal) -> None:
        self._driver, self._goal = driver, goal
        if not isinstance(driver, KnowsTruth | KnowsReadings):
            raise InvalidInput(f"{driver.experiment.name} knows no truth, so nobody can judge what is found on it; take a twin or a table")

    def truth(self, settings: Settings) -> Outcomes | None:
        """The true outcomes; None where there are none."""
        if isinstance(self._driver, KnowsReadings):
            return self._driver.recorded(settings)
        assert isinstance(self._driver, KnowsTruth)
        try:
            return self._driver.truth(settings)
        except DriverError:
            return None

    def losses(self, settings: Settings, trial: Trial | None) -> list[float] | None:
        """The true losses by objective, small ones are good; None where they do not count or miss a requirement.

        Args:
            trial: What was performed there, for goals about what it costs.
        """
        truth = self.truth(settings)
        if truth is None or (trial is not None and trial.measurement is None):
            return None
        cost = trial.cost if trial else Amounts()
        seen = Trial(1, settings, Measurement(truth, cost), cost=cost)
        return self._goal.losses(seen) if self._goal.meets(seen) else None

    def label(self, settings: Settings) -> str | None:
        """The true label of the map; None where there is none."""
        truth = self.truth(settings)
        assert isinstance(self._goal, Map)
        return None if truth is None else self._goal.label_of(truth)

    @cached_property
    def places(self) -> tuple[list[Settings], list[str]]:
        """The places at which a map is judged, and their true labels: all candidates, or points of a Sobol sequence."""
        experiment = self._goal.experiment
        found: Sequence[Settings] = [c for c in experiment.candidates if experiment.counts(c)]
        if not found:
            found = [s.settings for s in catalog.make_strategy("sobol", seed=0).suggest(State(self._goal), PLACES)]
            found = [{**settings, **experiment.fidelities} for settings in found]
        labels = [(settings, label) for settings in found if (label := self.label(settings)) is not None]
        return [settings for settings, _ in labels], [label for _, label in labels]

    def agreement(self, model: Predicts, state: State) -> tuple[float, float]:
        """Share of the places that is right, and the mean over labels of F1. Of labels, a measured place is as it was measured."""
        goal, (places, true) = self._goal, self.places
        assert isinstance(goal, Map)
        drawn = list(model.predict(state, places).labels)
        if goal.threshold is None and goal.experiment.candidates:
            key = goal.experiment.key
            measured = {key(t.settings): label for t in state.trials if (label := goal.label_of_trial(t)) is not None}
            drawn = [measured.get(key(place), label) for place, label in zip(places, drawn, strict=True)]
        return label_agreement(true, drawn)


def label_agreement(true: Sequence[str], drawn: Sequence[str]) -> tuple[float, float]:
    """The share of places that has its true label, and the mean of F1 over the true labels.

    >>> label_agreement(["a", "a", "b", "b"], ["a", "a", "a", "b"])
    (0.75, 0.7333333333333334)
    """
    pairs = list(zip(true, drawn, strict=True))
    share = sum(t == d for t, d in pairs) / len(pairs)
    f1 = [2 * sum(t == d == label for t, d in pairs) / (true.count(label) + drawn.count(label)) for label in sorted(set(true))]
    return share, sum(f1) / len(f1)
