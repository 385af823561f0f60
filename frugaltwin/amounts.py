"""Amounts: prices, costs, budgets and what is left of them, of every kind that an experiment uses up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any


@dataclass(frozen=True)
class Kind:
    """A kind of amount."""

    name: str
    unit: str
    """Empty for a number of things."""
    description: str
    decimals: int
    """Decimals of one experiment's cost in a table for people."""

    @property
    def text(self) -> str:
        """The kind in words, with its unit."""
        return f"{self.description}, {self.unit}" if self.unit else self.description


def _kind(unit: str, description: str, decimals: int, nothing: float = 0.0) -> Any:
    return field(default=nothing, metadata={"unit": unit, "description": description, "decimals": decimals})


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """An amount of each kind: a price, a cost, a budget, or what is left of one.

    A line below is all that a new kind needs: tables, campaign files, options and displays go over `kinds`. (The service's database
    has a column for each besides, so there it takes a migration.)

    >>> Amounts(seconds=90.0, volume=4.0) + Amounts(seconds=10.0)
    Amounts(runs=0, seconds=100.0, money=0.0, volume=4.0)
    >>> [kind.text for kind in Amounts.kinds()]
    ['experiments, failed ones included', 'lab time, s', 'money, USD', 'liquid with rinses, mL']
    """

    runs: float = _kind("", "experiments, failed ones included", 0, nothing=0)
    seconds: float = _kind("s", "lab time", 0)
    money: float = _kind("USD", "money", 3)
    volume: float = _kind("mL", "liquid with rinses", 1)

    @staticmethod
    @cache
    def kinds() -> tuple[Kind, ...]:
        """All kinds, in order."""
        return tuple(Kind(f.name, **f.metadata) for f in fields(Amounts))

    @staticmethod
    @cache
    def cost_kinds() -> tuple[Kind, ...]:
        """The kinds that a driver reports: all but the runs, which whoever has the trials counts."""
        return tuple(kind for kind in Amounts.kinds() if kind.name != "runs")

    def __add__(self, other: Amounts) -> Amounts:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Amounts) -> Amounts:
        return self._with(other, lambda a, b: a - b)

    def at_most(self, other: Amounts) -> Amounts:
        """The smaller of the two, kind by kind."""
        return self._with(other, min)

    def beyond(self, limits: Amounts) -> tuple[str, ...]:
        """The kinds of which this is more than `limits`.

        >>> Amounts(seconds=90.0).beyond(Amounts(seconds=60.0))
        ('seconds',)
        """
        return tuple(name for name, amount in vars(self).items() if amount > getattr(limits, name))

    def cost(self) -> dict[str, float]:
        """The amount of each kind but runs, as files and answers keep the cost of a trial."""
        return {kind.name: getattr(self, kind.name) for kind in Amounts.cost_kinds()}

    def _with(self, other: Amounts, combined: Callable[[float, float], float]) -> Amounts:
        return Amounts(**{name: combined(amount, getattr(other, name)) for name, amount in vars(self).items()})


RIG_RUNS = Kind("rig_runs", "", "experiments on real rigs where these have a limit of their own, else they are `runs`", 0)
"""The kind of a person's budget at a service that no experiment and no campaign has."""
PURSE = (*(kind for kind in Amounts.kinds() if kind.name == "runs"), RIG_RUNS, *Amounts.cost_kinds())
"""The kinds of a person's budget at a service."""


def purse_of(limits: Mapping[str, float | None], is_real: bool) -> dict[str, float | None]:
    """The limits of a person's budget that count for a real rig, or for a twin, by the kinds of `Amounts`.

    >>> purse_of({"runs": 200, "rig_runs": 5}, True), purse_of({"runs": 200, "rig_runs": 5}, False)
    ({'runs': 5}, {'runs': 200})
    """
    own = limits.get("rig_runs")
    found = {kind: limit for kind, limit in limits.items() if kind != "rig_runs"}
    return found | {"runs": own} if is_real and own is not None else found
