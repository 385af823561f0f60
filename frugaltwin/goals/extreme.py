"""The goals to make an outcome, or an amount such as money, as small or as large as possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Self

from frugaltwin.amounts import Amounts
from frugaltwin.color import Array, Lab
from frugaltwin.errors import InvalidInput, UnknownName
from frugaltwin.experiment import Experiment
from frugaltwin.goals.goal import NO_AMOUNTS, Column, Objective

AMOUNTS = {kind.name: kind.unit for kind in Amounts.cost_kinds()}
"""The units of what an experiment takes, by kind."""


@dataclass(frozen=True)
class Extreme(Objective):
    """One outcome, or one amount that an experiment takes, as the score itself."""

    outcome: str
    """The name of the outcome or of the amount."""

    @classmethod
    def parse(cls, argument: str, experiment: Experiment, draw: Callable[[int], Lab], seed: int) -> Self:
        return cls(experiment, quantity_named(argument, experiment, cls.name, has_amounts=cls is Minimize))

    @property
    def text(self) -> str:
        return f"{self.name}:{self.outcome}"

    @property
    def unit(self) -> str:
        return AMOUNTS[self.outcome] if self.is_amount else next(o.unit for o in self.experiment.outcomes if o.name == self.outcome)

    @property
    def outcomes(self) -> tuple[str, ...]:
        return () if self.is_amount else (self.outcome,)

    @property
    def is_amount(self) -> bool:
        """Whether it is about what an experiment takes, and not about what it measures."""
        return self.outcome not in (o.name for o in self.experiment.outcomes)

    @property
    def quantity(self) -> str:
        return self.outcome

    @property
    def column(self) -> Column:
        return Column(self.outcome, self.unit)

    def score(self, outcomes: Array, settings: Array, amounts: Mapping[str, Array] = NO_AMOUNTS) -> Array:
        if self.is_amount:
            return amounts[self.outcome]
        return outcomes[..., [o.name for o in self.experiment.outcomes].index(self.outcome)]


@dataclass(frozen=True)
class Minimize(Extreme):
    """Make one outcome as small as possible, or the ``seconds``, ``money`` or ``volume`` of an experiment: ``minimize:OUTCOME``.

    The score is the outcome itself.
    """

    name = "minimize"


@dataclass(frozen=True)
class Maximize(Extreme):
    """Make one outcome as large as possible: ``maximize:OUTCOME``; the score is the outcome itself."""

    name = "maximize"

    @property
    def is_minimized(self) -> bool:
        return False


def quantity_named(name: str, experiment: Experiment, verb: str, has_amounts: bool = True, field: str = "goal") -> str:
    """The name of a number that an experiment measures, or of an amount that it takes.

    Args:
        verb: The word for messages, such as ``minimize``.
        has_amounts: Whether it can be an amount.
        field: The field of the request, for messages.

    Raises:
        UnknownName: There is no such outcome.
        InvalidInput: It is a label.
    """
    if labels := next((o.labels for o in experiment.outcomes if o.name == name and o.labels), None):
        raise InvalidInput(f"{name} of {experiment.name} is no number to {verb}: it takes the labels {', '.join(labels[:5])}", field=field)
    numeric = [o.name for o in experiment.outcomes if not o.labels]
    known = [*numeric, *(AMOUNTS if has_amounts else ())]
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(numeric) or 'only labels'}"
        if not name and verb != "require":
            raise InvalidInput(f"say which outcome is to {verb}, such as {verb}:{known[0] if known else 'OUTCOME'}; {hint}", field=field)
        raise UnknownName(f"{experiment.name} has no outcome {name!r} to {verb}; {hint}", field=field)
    return name
