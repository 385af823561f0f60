"""A plug-in that is tried, and how a broken promise is reported."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

from frugaltwin import catalog
from frugaltwin.experiment import Settings, Trial
from frugaltwin.goals import Goal
from frugaltwin.plugins import Strategy
from frugaltwin.state import State


@dataclass(frozen=True)
class Plugin:
    """A plug-in, and the options with which it is tried."""

    kind: str
    name: str
    target: Any
    options: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: str, target: catalog.Target, options: Mapping[str, object] | None = None) -> Self:
        """A plug-in that is tried with these options, or with its own ``example_options``.

        Args:
            target: Its class or function, or its name in the catalog.

        Raises:
            UnknownName: The catalog has no such name.
            MissingPart: It cannot be imported.
        """
        name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
        made_by = catalog.target(kind, target) if isinstance(target, str) else target
        return cls(kind, name, made_by, getattr(made_by, "example_options", {}) if options is None else options)

    def __str__(self) -> str:
        return f"the {self.kind} {self.name}"

    @property
    def has_seed(self) -> bool:
        """Whether it takes a seed."""
        return "seed" in catalog.parameters(self.target)

    def make(self, seed: int = 0) -> Any:
        """A new one, made as the catalog makes it."""
        return catalog.made(self.kind, self.name, self.target, self.options, {"seed": seed})

    def require(self, is_kept: bool, sentence: str) -> None:
        """Report a broken promise.

        Raises:
            AssertionError: It is not kept.
        """
        if not is_kept:
            raise AssertionError(f"{self}: {sentence}")

    @contextmanager
    def raises(self, kind: type[Exception], when: str, words: str = "") -> Iterator[None]:
        """Demand an error of that kind, whose message has these words."""
        try:
            yield
        except kind as error:
            self.require(words in str(error), f"the {kind.__name__} {when} says {str(error)!r}, which does not name {words!r}")
        else:
            self.require(False, f"{when}, it has to raise {kind.__name__}")


Promise: TypeAlias = Callable[[Plugin], None]


def suggested(
    strategy: Strategy,
    goal: Goal,
    trials: Sequence[Trial] = (),
    count: int = 1,
    pending: Sequence[Settings] = (),
) -> list[Settings]:
    """The settings that a strategy suggests for a goal."""
    return [s.settings for s in strategy.suggest(State(goal, list(trials), pending), count)]


def drawn(goal: Goal, count: int, seed: int, trials: Sequence[Trial] = ()) -> list[Settings]:
    """Allowed settings of the goal's experiment, uniformly random."""
    return suggested(catalog.make_strategy("random", seed=seed), goal, trials, count)
