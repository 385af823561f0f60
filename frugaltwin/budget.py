"""Budget and stop rule: a campaign ends when its budget is used or its goal is reached."""

import math
from dataclasses import dataclass

from frugaltwin.costs import Cost
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Trial, quantity, total_cost
from frugaltwin.goals import Goal, ScoredGoal

IDLE = 10
"""Number of trials in a row without any limited cost, after which the budget is found to be endless."""


@dataclass(frozen=True)
class Budget:
    """Limits of a campaign in all, over every session; None is no limit."""

    runs: int | None = None
    seconds: float | None = None
    money: float | None = None
    volume: float | None = None

    def __post_init__(self) -> None:
        limits = {name: limit for name, limit in vars(self).items() if limit is not None}
        if not limits:
            raise InvalidInput("a budget needs at least one of runs, seconds, money, volume")
        for name, limit in limits.items():
            if not (math.isfinite(limit) and limit > 0):
                raise InvalidInput(f"budget {name} = {limit:g} leaves nothing to do; it must be above 0")

    def exhausted(self, trials: list[Trial], next_cost: Cost = Cost()) -> str | None:
        """The reason why no further trial of `next_cost` is affordable, or None when one is."""
        if self.runs is not None and len(trials) >= self.runs:
            return f"budget: {len(trials)} of {self.runs} runs"
        limits = [(name, unit) for name, unit in (("seconds", "s"), ("money", "USD"), ("volume", "mL")) if getattr(self, name) is not None]
        spent = total_cost(trials)
        for name, unit in limits:
            limit, used, more = getattr(self, name), getattr(spent, name), getattr(next_cost, name)
            if used >= limit or used + more > limit:
                reason = f"budget: {quantity(used, unit)} of {quantity(limit, unit)} used"
                return f"{reason}, the next trial would take {quantity(more, unit)}" if more else reason
        lately = [t for t in trials if t.source == "driver"][-IDLE:]
        if self.runs is None and len(lately) == IDLE and not any(getattr(total_cost(lately), name) for name, _ in limits):
            return f"budget: {IDLE} trials used no {' or '.join(name for name, _ in limits)}, so it would never end; limit the runs"
        return None


@dataclass(frozen=True)
class StopRule:
    """Rule that ends a campaign as soon as a reading is this good or better."""

    score: float

    def reason(self, goal: Goal, trials: list[Trial]) -> str | None:
        """The reason why the campaign is done, or None when it is not."""
        best = goal.best(trials)
        if best is None or not isinstance(goal, ScoredGoal) or goal.is_better(self.score, than=best[1]):
            return None
        return f"goal: {quantity(round(best[1], 6), goal.unit)} reached, {quantity(self.score, goal.unit)} wanted"
