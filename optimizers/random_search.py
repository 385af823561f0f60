"""Uniformly random settings: the baseline for every other strategy."""

from collections.abc import Sequence
from dataclasses import dataclass

from frugaltwin.experiment import Experiment, Settings, Trial
from frugaltwin.goals import Goal
from optimizers.space.space import Space


@dataclass(frozen=True)
class RandomSearch:
    """Random settings, uniform over what is allowed; nothing is tried twice while there is something else."""

    seed: int = 0

    def suggest(
        self, experiment: Experiment, goal: Goal, history: Sequence[Trial], count: int = 1, pending: Sequence[Settings] = ()
    ) -> list[Settings]:
        space = Space.of(experiment)
        X = space.sample(4 * count + 16, [self.seed, len(history) + len(pending)], is_even=False)
        return space.untried(X, count, history, pending)
