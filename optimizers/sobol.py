"""A quasi-random sequence: evenly spread settings, whatever was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from frugaltwin.experiment import Experiment, Settings, Trial
from frugaltwin.goals import Goal
from optimizers.space.space import Space


@dataclass(frozen=True)
class Sobol:
    """The next points of a scrambled Sobol sequence; nothing is tried twice while there is something else.

    Source: Owen, J. Complexity 14 (1998) 466, doi:10.1006/jcom.1998.0487.
    """

    seed: int = 0

    def suggest(
        self, experiment: Experiment, goal: Goal, history: Sequence[Trial], count: int = 1, pending: Sequence[Settings] = ()
    ) -> list[Settings]:
        space = Space.of(experiment)
        done = len(history) + len(pending)
        X = space.sample(done + 4 * count + 16, self.seed)[done:]
        return space.untried(X, count, history, pending)
