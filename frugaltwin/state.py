"""The state of a decision: all that a strategy may depend on, as plain data that can be pickled, and what it answers with."""

from collections.abc import Sequence
from dataclasses import dataclass

from frugaltwin.experiment import Experiment, Settings, Trial
from frugaltwin.goals import Goal
from frugaltwin.prediction import Prediction


@dataclass(frozen=True)
class Rejection:
    """A suggestion that a person turned down."""

    settings: Settings
    why: str = ""


@dataclass(frozen=True)
class State:
    """All that a decision may depend on. A campaign makes it (`Campaign.state`), or a person at a notebook."""

    goal: Goal
    trials: Sequence[Trial] = ()
    """In the order of their numbers, failed ones included."""
    pending: Sequence[Settings] = ()
    """Settings that are being performed; their outcomes are not known yet."""
    rejections: Sequence[Rejection] = ()
    """Suggestions that were turned down since the last trial."""

    @property
    def experiment(self) -> Experiment:
        """The experiment that the goal belongs to."""
        return self.goal.experiment

    @property
    def unavailable(self) -> list[Settings]:
        """Settings that no suggestion may repeat: the pending and the rejected ones."""
        return [*self.pending, *(r.settings for r in self.rejections)]


@dataclass(frozen=True)
class Suggestion:
    """Settings that a strategy suggests, and what it knows about them; a strategy without a model leaves the rest empty."""

    settings: Settings
    why: str = ""
    """The reason, in words for people."""
    expected: Prediction | None = None
    """The measurement that the model expects."""
    worth: float | None = None
    """The improvement that the strategy expects of it, in the unit of the goal."""
