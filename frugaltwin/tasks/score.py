"""Points of a hand-in, by a rule that a task states: from par, which the reference strategy played on the very same lab."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from frugaltwin.amounts import Amounts
from frugaltwin.errors import InvalidInput
from frugaltwin.tasks.task import Task


@dataclass(frozen=True)
class Found:
    """The truth about a hand-in."""

    gap: float
    """How far from the best there is: a difference of scores, or the share of a map that is wrong; infinite where it does not count."""
    parts: Mapping[str, float]
    """What people want to see of it, by name."""
    error: float | None = None
    """How wrong the expected score is; None where none is given."""


@dataclass(frozen=True)
class Par:
    """Par of an instance: what the reference strategy and what random choices reach with the task's budget."""

    gap: float
    """The geometric mean over plays of gap + fine, less fine: that of the reference strategy."""
    random_gap: float
    """The same of random choices."""
    cost: float
    """The mean over plays of what the rule cost counts, of plays that came within; infinite where none did."""

    def hardness(self, task: Task) -> float:
        """The figure by which instances are compared: what equal hardness means is that it is the same."""
        return self.cost if task.score.rule == "cost" else self.gap + task.score.fine


@dataclass(frozen=True)
class Played:
    """Result of a play: the gap, infinite where it handed in nothing that counts, and what it took."""

    gap: float
    spent: Amounts


@dataclass(frozen=True)
class Plays:
    """The plays of an instance that par is computed from, whichever rule a task has or gets."""

    reference: Sequence[Played]
    randoms: Sequence[Played]

    def par(self, task: Task) -> Par:
        """Par by the rule of a task."""
        return Par(_mean(self.reference, task.score.fine), _mean(self.randoms, task.score.fine), _cost(self.reference, task))

    def to_text(self) -> str:
        """As JSON."""
        words = {who: [[x.gap if x.gap < math.inf else None, vars(x.spent)] for x in plays] for who, plays in vars(self).items()}
        return json.dumps(words, allow_nan=False)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The inverse."""
        words = json.loads(text)
        return cls(*(tuple(Played(math.inf if g is None else g, Amounts(**a)) for g, a in words[who]) for who in ("reference", "randoms")))


def _mean(plays: Sequence[Played], fine: float) -> float:
    gaps = [one.gap + fine for one in plays if one.gap < math.inf]
    return math.exp(sum(map(math.log, gaps)) / len(gaps)) - fine if gaps else math.inf


def _cost(plays: Sequence[Played], task: Task) -> float:
    within = task.score.within
    if within is None:
        return math.inf
    costs = [task.spent(one.spent) for one in plays if one.gap <= within]
    return sum(costs) / len(costs) if costs else math.inf


@dataclass(frozen=True)
class Points:
    """The points of a hand-in, and their parts by name."""

    points: float
    """From 0 to 100."""
    parts: Mapping[str, float]


def no_scale(task: Task, par: Par) -> str:
    """The reason why a lab has no scale by the rule of a task; empty where it has one."""
    if task.score.rule == "quality" and not par.gap < par.random_gap:
        return f"the reference strategy is no better than random choices (gaps of {par.gap:.3g} and {par.random_gap:.3g})"
    if task.score.rule == "cost" and par.cost == math.inf:
        return f"the reference strategy never came within {task.score.within:g}"
    return ""


def points(task: Task, par: Par, found: Found, spent: Amounts) -> Points:
    """The points of a hand-in.

    With the rule ``quality``, the gap g of the hand-in is placed between that of random choices r (0) and that of par p (100), on a
    logarithmic scale on which `fine` f is the smallest step: 100 ln((r + f) / (g + f)) / ln((r + f) / (p + f)), from 0 to 100.
    With the rule ``cost``, one that is `within` the asked gap has 100 times par's cost over its own, at most 100; any other has 0.
    The share `expected` w of the points is for the stated score, whose error e (`Expected.error`) has 100 max(0, 1 - e / f).

    Raises:
        InvalidInput: Par is no better than random choices, so that there is no scale between them.
    """
    rule = task.score
    if rule.rule == "quality":
        if reason := no_scale(task, par):
            raise InvalidInput(f"in this lab {reason}; take another lab, or let the task have a larger budget")
        span = math.log((par.random_gap + rule.fine) / (par.gap + rule.fine))
        share = math.log((par.random_gap + rule.fine) / (found.gap + rule.fine)) / span if found.gap < math.inf else 0.0
    else:
        assert rule.within is not None
        cost = task.spent(spent)
        share = par.cost / cost if found.gap <= rule.within and cost > 0 and par.cost < math.inf else 0.0
    share = min(max(share, 0.0), 1.0)
    parts: dict[str, float] = {rule.rule: 100 * share}
    if rule.expected:
        stated = 0.0 if found.error is None else max(0.0, 1 - found.error / rule.fine)
        parts["expected score"] = 100 * stated
        share = (1 - rule.expected) * share + rule.expected * stated
    return Points(100 * share, parts)
