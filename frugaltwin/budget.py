"""Budget and stop rule: a campaign ends when its budget is used or its goal is reached."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from frugaltwin.amounts import Amounts
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Settings, Trial, html_table, quantity, real, total
from frugaltwin.goals import Goal
from frugaltwin.state import Prediction

IDLE = 10
"""Number of trials in a row without any limited cost, after which the budget is found to be endless."""


class Budget(Amounts):
    """Limits of a campaign in all, over every session.

    No limit is infinity, so that what is left is a difference and what is too much a comparison, limited or not.
    """

    def __init__(self, **limits: float | None) -> None:
        """Limits by kind; one that is left out, or None, is no limit.

        Raises:
            InvalidInput: There is no limit, no such kind, or nothing to do.
        """
        names = [kind.name for kind in Amounts.kinds()]
        if unknown := [name for name in limits if name not in names]:
            raise InvalidInput(f"a budget has no {' and no '.join(unknown)}; there are {', '.join(names)}")
        given = {name: limit for name, limit in limits.items() if limit is not None}
        if not given:
            raise InvalidInput(f"a budget needs at least one of {', '.join(names)}")
        for name, limit in given.items():
            if real(limit) is None:
                raise InvalidInput(f"budget {name} = {limit!r} is no number")
            if not (math.isfinite(limit) and limit > 0):
                raise InvalidInput(f"budget {name} = {limit:g} leaves nothing to do; it must be above 0")
        super().__init__(**(dict.fromkeys(names, math.inf) | given))

    def _repr_html_(self) -> str:
        texts = {kind.name: kind.text for kind in Amounts.kinds()}
        return html_table(("budget", "at most"), [(texts[name], f"{limit:g}") for name, limit in self.limits.items()])

    @property
    def limits(self) -> dict[str, float]:
        """The limits that there are, by kind."""
        return {name: limit for name, limit in vars(self).items() if limit < math.inf}

    def left(self, trials: Sequence[Trial]) -> Amounts:
        """The rest of each kind; below 0 where a trial took more than there was."""
        return self - total(trials)

    def exhausted(self, trials: Sequence[Trial], price: Amounts = Amounts()) -> str | None:
        """The reason why no further trial of this price is affordable, or None when one is."""
        return self.exhausted_by(total(trials), [t for t in trials if t.source == "driver"][-IDLE:], price)

    def exhausted_by(self, spent: Amounts, lately: Sequence[Trial], price: Amounts = Amounts()) -> str | None:
        """The same, where somebody else has added up what the trials took.

        Args:
            lately: The last `IDLE` trials of the driver.
        """
        if spent.runs >= self.runs:
            return f"budget: {spent.runs:.0f} of {self.runs:.0f} runs"
        limited = [kind for kind in Amounts.cost_kinds() if kind.name in self.limits]
        for kind in limited:
            limit, used, more = (getattr(amounts, kind.name) for amounts in (self, spent, price))
            if used >= limit or used + more > limit:
                reason = f"budget: {quantity(used, kind.unit)} of {quantity(limit, kind.unit)} used"
                return f"{reason}, the next trial would take {quantity(more, kind.unit)}" if more else reason
        if self.runs == math.inf and len(lately) == IDLE and not any(getattr(total(lately), kind.name) for kind in limited):
            names = " or ".join(kind.name for kind in limited)
            return f"budget: {IDLE} trials used no {names}, so it would never end; limit the runs"
        return None


_OVERRATED = 1.6  # times that more of a map is said to be wrong than its model expects: models are a little too sure of themselves
_CHECKS = 3  # random places that must turn out as expected, one after another, before a map is believed
_SURE = 0.9  # chance of a label from which on it is worth a check


@dataclass(frozen=True)
class StopRule:
    """Rule that ends a campaign as soon as a reading is this good or better."""

    score: float

    @property
    def text(self) -> str:
        """The rule in words."""
        return f"score {self.score:g}"

    @property
    def kept(self) -> float | str:
        """The rule as a store keeps it."""
        return self.score

    def check(self, goal: Goal) -> None:
        """Refuse a goal that has no score.

        Raises:
            InvalidInput: It has none.
        """
        if not goal.has_score:
            instead = (
                "name the share of the map to be right, such as map 95%" if goal.labels else "leave the stop rule out and limit the budget"
            )
            raise InvalidInput(f"{goal.text} has no score to stop at; {instead}", field="stop")

    def reason(self, goal: Goal, trials: Sequence[Trial]) -> str | None:
        """The reason why the campaign is done, or None when it is not."""
        best = goal.best(trials)
        if best is None or goal.objectives[0].is_better(self.score, than=best[1]):
            return None
        return f"goal: {quantity(round(best[1], 6), goal.unit)} reached, {quantity(self.score, goal.unit)} wanted"


@dataclass(frozen=True)
class Expectation:
    """The share of a map that is expected to be right after some trials, and where to check that."""

    right: float
    check: Settings | None
    """A random place that was not measured, of which the model is sure, or as sure as of half of them; None where all were measured."""
    label: str
    """The label that the model expects there."""

    @classmethod
    def of(cls, goal: Goal, trials: Sequence[Trial], places: Sequence[Settings], prediction: Prediction, seed: int) -> "Expectation":
        """The expectation of a model that knows the trials.

        Args:
            places: Those [n] by which the map is judged.
            prediction: The chances of the labels at these places.
            seed: Of the random place.
        """
        key = goal.experiment.key
        measured = {key(t.happened) for t in trials if goal.counts(t)}
        is_known = np.array([key(place) in measured for place in places])
        chance = prediction.probability
        right = 1 - min(_OVERRATED * float(np.where(is_known, 0.0, 1 - chance).mean()), 1.0)
        if is_known.all():
            return cls(right, None, "")
        enough = min(_SURE, float(np.median(chance[~is_known])))
        sure = np.flatnonzero((chance >= enough) & ~is_known)
        k = int(np.random.default_rng((seed, len(trials), 95)).choice(sure))
        return cls(right, places[k], prediction.labels[k])


@dataclass(frozen=True)
class MapRule:
    """Rule that ends a campaign as soon as this share of its map is expected to be right, and random checks turn out as expected.

    The places that a strategy chooses lie on borders and say little about the rest: so a few at random are measured first.
    """

    right: float

    def __post_init__(self) -> None:
        if not 0.5 <= self.right < 1:
            raise InvalidInput(
                f"map {100 * self.right:g}% is no share to stop at; take one from 50% to below 100%, such as map 95%", field="stop"
            )

    @classmethod
    def parse(cls, text: str) -> "MapRule | None":
        """The rule of ``map 95%``; None for another text.

        >>> MapRule.parse("map 95%")
        MapRule(right=0.95)
        """
        found = re.fullmatch(r"map[ :]*(\d+(?:\.\d*)?) ?%", text.strip())
        return cls(round(float(found[1]) / 100, 12)) if found else None

    @property
    def text(self) -> str:
        """The rule in words."""
        return f"map {100 * self.right:.12g}%"

    @property
    def kept(self) -> float | str:
        """The rule as a store keeps it."""
        return self.text

    def check(self, goal: Goal) -> None:
        """Refuse a goal that is no map.

        Raises:
            InvalidInput: It is none.
        """
        if not goal.labels:
            instead = "name a score, such as 0.5" if goal.has_score else "leave the stop rule out and limit the budget"
            raise InvalidInput(f"{goal.text} is no map, so no share of it can be right; {instead}", field="stop")

    def is_expected(self, expected: Expectation | None) -> bool:
        """Whether as much is expected to be right."""
        return expected is not None and expected.right >= self.right

    def reason(self, goal: Goal, trials: Sequence[Trial], expected: Callable[[Sequence[Trial]], Expectation | None]) -> str | None:
        """The reason why the campaign is done, or None when it is not.

        Args:
            expected: Return what is expected after some trials.
        """
        now = expected(trials)
        if now is None or not self.is_expected(now):
            return None
        agreed = 0 if now.check else _CHECKS
        for k in range(len(trials) - 1, 0, -1):
            if agreed >= _CHECKS:
                break
            trial = trials[k]
            if not goal.counts(trial):
                continue
            before = expected(trials[:k])
            if before is None or not self.is_expected(before) or not self._agrees(before, goal, trial):
                break
            agreed += 1
        if agreed < _CHECKS:
            return None
        checked = f", and the last {_CHECKS} random checks agreed" if now.check else ""
        return f"goal: {100 * now.right:.1f} % of the map expected to be right, {100 * self.right:.12g} % wanted{checked}"

    @staticmethod
    def _agrees(before: Expectation, goal: Goal, trial: Trial) -> bool:
        """Whether a trial is the check of an expectation, and as expected."""
        if before.check is None:
            return False
        experiment = goal.experiment
        is_check = experiment.key(trial.settings) in {experiment.key(s) for s in (before.check, experiment.readable(before.check))}
        return is_check and goal.label_of_trial(trial) == before.label


AnyStopRule = StopRule | MapRule
