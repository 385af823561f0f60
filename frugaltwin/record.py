"""The record of a campaign: all that its pictures, its report and its displays show, as plain values that no longer change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

from frugaltwin.budget import AnyStopRule, Budget, Expectation
from frugaltwin.color import hex_code
from frugaltwin.experiment import Experiment, Settings, Trial
from frugaltwin.goals import Goal
from frugaltwin.goals.goal import rounded
from frugaltwin.log import Log
from frugaltwin.plugins import Doubts, Driver, LeavesOut, Predicts, Recommends, Strategy, UsesEarlier
from frugaltwin.state import Doubt, Drift, Earlier, Prediction, State, Suggestion
from frugaltwin.tables import color_of

Predict = Callable[[Sequence[Settings], Sequence[Trial]], Prediction]
"""The prediction at some settings by a model that knows only these trials."""


SOME = 5
"""Number of readings from which on it is said that a target is out of reach."""

NORMAL_90 = 1.645  # standard deviations to either side of the mean, between which a normal number lies in 90 % of cases
FEWEST_COVERED = 8  # trials below which the share says nothing


@dataclass(frozen=True)
class Coverage:
    """The readings that lie in the 90 % interval that a model expects from all other trials, doubtful ones left aside."""

    inside: int
    of: int

    def __str__(self) -> str:
        return f"{self.inside} of {self.of} readings ({self.inside / self.of:.0%}) lie in the 90 % intervals that the others make expect"


@dataclass(frozen=True)
class Record:
    """A campaign at one moment; made by `Campaign.record`."""

    name: str
    experiment: Experiment
    goal: Goal
    trials: Sequence[Trial]
    """All trials up to that moment, in order, as they stand after corrections."""
    strategy: Strategy
    log: Log
    """The trials as they were performed, and what people said."""
    state: State
    """The state that a decision depends on."""
    suggest: Callable[[], Suggestion]
    """Return what would be tried next."""
    predict: Predict
    expected: Callable[[], Expectation | None]
    """Return how much of the map is expected to be right; None where the goal is no map or fewer than two labels were measured."""
    twin: Callable[[], Driver]
    """Return the driver, for the truth that it may know. Raises a FrugalTwinError where it cannot be made any more."""
    budget: Budget | None
    """None where it is not known: a store keeps no budget, which may be another one in every session."""
    stop_rule: AnyStopRule | None
    stopped_because: str | None
    """The reason why the campaign ended; None while it has not."""
    specification: Mapping[str, Any]
    """Driver, goal, strategy and seed of the campaign, and where they are known its id and the versions it was started with."""
    store: str
    """The path of the store."""
    started: str | None
    """The time when the campaign was stored; None while it is not."""

    @property
    def strategy_name(self) -> str:
        """The strategy's name in the catalog."""
        return str(self.specification["strategy"]["name"])

    @property
    def goal_title(self) -> str:
        """The goal in words for people, a color as it was typed."""
        title, typed = self.goal.title, str(self.specification.get("typed") or "")
        code = hex_code(self.goal.target_color) if self.goal.target_color else ""
        if not code or not typed or ";" in typed or code in typed.lower():
            return title
        return f"{typed.replace(':', ' ', 1)} = {title.partition(' ')[2]}"

    @cached_property
    def out_of_reach(self) -> str | None:
        """A sentence that says that the target color cannot be made, as far as the campaign's own model knows; None where it may be.

        The model expects of the recommendation, with a chance of about 98 %, no good match.
        """
        good = next(iter(sorted(self.goal.objectives[0].levels, reverse=True)), None) if self.goal.has_score else None
        recommended = self.recommendation if good is not None and self.goal.target_color else None
        if good is None or recommended is None or not self.is_recommended_by_model or len(self.state.counted) < SOME:
            return None
        expected = self.predict([recommended], self.trials)
        mean, deviation = (float(table["score"][0]) for table in (expected.means, expected.deviations))
        if mean - 2 * deviation <= good:
            return None
        best = self.best
        color = color_of(self.experiment, best[0].settings, best[0].measurement.outcomes) if best and best[0].measurement else None
        nearest = f"; the nearest reading is {hex_code((color['L'], color['a'], color['b']))}" if color else ""
        return f"{self.goal_title} seems out of reach: the best that is expected is {rounded(mean, self.goal.unit)} off{nearest}"

    @cached_property
    def expected_right(self) -> float | None:
        """The share of the map that the strategy's own model expects to be right, cautiously; None without a map or a model."""
        found = self.expected() if isinstance(self.strategy, Predicts) else None
        return found.right if found else None

    def score(self, trial: Trial) -> float | None:
        """The goal's score of a trial; None when it failed."""
        return self.goal.score_of_trial(trial)

    @property
    def best(self) -> tuple[Trial, float] | None:
        """The trial with the best reading and its score; None when there is none."""
        return self.goal.best(self.trials)

    def uses(self, earlier: Earlier) -> bool:
        """Whether the strategy learns from an earlier campaign."""
        return isinstance(self.strategy, UsesEarlier) and self.strategy.uses(earlier)

    @cached_property
    def doubts(self) -> list[Doubt]:
        """The readings that the strategy's model can hardly believe; none for a strategy without a model that says so."""
        return list(self.strategy.doubts(self.state)) if isinstance(self.strategy, Doubts) else []

    @cached_property
    def drifts(self) -> Sequence[Drift]:
        """The slow changes of readings that the strategy's model sees; none for a strategy without a model that says so."""
        if not isinstance(self.strategy, Predicts) or not self.goal.has_score or len(self.state.counted) < FEWEST_COVERED:
            return ()
        return self.strategy.predict(self.state, [self.state.counted[-1].settings]).drifts

    @cached_property
    def coverage(self) -> Coverage | None:
        """The share of readings in the model's intervals; None without a model that can say so, or with few readings."""
        if not isinstance(self.strategy, LeavesOut) or len(self.state.counted) < FEWEST_COVERED:
            return None
        state = self.state.at_fidelity()
        expected, numbers = self.strategy.left_out(self.state), {doubt.number for doubt in self.doubts}
        told = [t for t in state.trials if t.measurement is not None]
        around = expected.reading_deviations
        inside = [
            bool(abs(float(t.measurement.outcomes[name]) - mean[k]) <= NORMAL_90 * around[name][k])
            for name, mean in expected.means.items()
            for k, t in enumerate(told)
            if t.measurement is not None and name in t.measurement.outcomes and t.number not in numbers
        ]
        return Coverage(sum(inside), len(inside)) if inside else None

    @property
    def earlier(self) -> list[str]:
        """One line for each earlier campaign: its name, its relation, its trials, and whether the strategy learns from them."""
        not_used = f", not used: {self.strategy_name} does not learn from it"
        return [one.describe() + ("" if self.uses(one) else not_used) for one in self.state.earlier]

    @cached_property
    def suggestion(self) -> Settings:
        """The settings that would be tried next."""
        return self.suggest().settings

    @property
    def is_recommended_by_model(self) -> bool:
        """Whether a model makes the recommendation."""
        return isinstance(self.strategy, Recommends)

    @cached_property
    def recommendation(self) -> Settings | None:
        """The settings to use from now on: by the model where the strategy has one, else those of the best trial.

        None without a reading that counts, and for a goal that has no best one, such as a map or several objectives.
        """
        if self.best is None:
            return None
        if isinstance(self.strategy, Recommends):
            return self.experiment.check(self.strategy.recommend(self.state))
        return self.best[0].settings


@runtime_checkable
class Recorded(Protocol):
    """Something that has a record: a campaign."""

    def record(self) -> Record:
        """The record as it is now."""
        ...
