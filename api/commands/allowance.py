"""Budgets in experiments: how many a budget lets in, by the price of a rig's experiments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.experiment import Experiment
from frugaltwin.goals import Minimize
from frugaltwin.prices import Price
from frugaltwin.state import State

DRAWN = 256
"""Settings, drawn at random, by which a rig is priced."""


@dataclass(frozen=True)
class Reservations:
    """The reservations of a rig's experiments, each with its run."""

    typical: Amounts
    """The mean of settings drawn at random, one after the other."""
    dearest: Amounts
    """The most of each kind that one of these reserves."""

    @classmethod
    def of(cls, experiment: Experiment, price: Price | None) -> Reservations:
        """The reservations of a rig; a run each where it names no price."""
        if price is None:
            return cls(Amounts(runs=1), Amounts(runs=1))
        goal = Minimize(experiment, "seconds")  # any that every experiment has
        drawn = [s.settings for s in catalog.make_strategy("random", seed=0).suggest(State(goal), DRAWN)]
        before: Sequence[Mapping[str, float | str] | None] = [None, *drawn]
        costs = [Amounts(runs=1) + price.of(s, last, n) for n, (s, last) in enumerate(zip(drawn, before, strict=False))]
        kinds = [kind.name for kind in Amounts.kinds()]
        values = {kind: [getattr(cost, kind) for cost in costs] for kind in kinds}
        return cls(
            Amounts(**{kind: sum(each) / len(each) for kind, each in values.items()}),
            Amounts(**{kind: max(each) for kind, each in values.items()}),
        )


def experiments(limits: Mapping[str, float | None], each: Amounts) -> float:
    """The number of experiments of one price that a budget lets in; infinite where it limits nothing that they take."""
    least = [limit / amount for kind, limit in limits.items() if limit is not None and (amount := getattr(each, kind)) > 0]
    return min((math.floor(n + 1e-9) for n in least), default=math.inf)


def in_words(limits: Mapping[str, float | None], found: Reservations) -> str:
    """The same for a person."""
    typical, least = experiments(limits, found.typical), experiments(limits, found.dearest)
    if math.isinf(typical):
        return "no limit"
    return f"about {typical:.0f} experiments, {least:.0f} of the dearest"
