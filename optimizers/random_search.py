"""Uniformly random settings: the baseline for every other strategy."""

from dataclasses import dataclass

from frugaltwin.state import State, Suggestion
from optimizers.space.space import Space


@dataclass(frozen=True)
class RandomSearch:
    """Random settings, uniform over what is allowed; nothing is tried twice while there is something else."""

    seed: int = 0

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        state = state.at_fidelity()
        space = Space.of(state.experiment)
        X = space.sample(4 * count + 16, [self.seed, len(state.trials) + len(state.unavailable)], is_even=False)
        return [Suggestion(s) for s in space.untried(X, count, state)]
