"""Budget and stop rule: a campaign ends when its budget is used or its goal is reached."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from frugaltwin.amounts import Amounts
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Trial, html_table, quantity, real, total
from frugaltwin.goals import Goal

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


@dataclass(frozen=True)
class StopRule:
    """Rule that ends a campaign as soon as a reading is this good or better."""

    score: float

    def reason(self, goal: Goal, trials: list[Trial]) -> str | None:
        """The reason why the campaign is done, or None when it is not."""
        best = goal.best(trials)
        if best is None or goal.objectives[0].is_better(self.score, than=best[1]):
            return None
        return f"goal: {quantity(round(best[1], 6), goal.unit)} reached, {quantity(self.score, goal.unit)} wanted"
