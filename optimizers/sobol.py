"""A quasi-random sequence: evenly spread settings, whatever was measured."""

from dataclasses import dataclass

from frugaltwin.state import State, Suggestion
from optimizers.space.space import Space


@dataclass(frozen=True)
class Sobol:
    """The next points of a scrambled Sobol sequence; nothing is tried twice while there is something else.

    Source: Owen, J. Complexity 14 (1998) 466, doi:10.1006/jcom.1998.0487.
    """

    seed: int = 0

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        state = state.at_fidelity()
        space = Space.of(state.experiment)
        done = len(state.trials) + len(state.unavailable)
        X = space.sample(done + 4 * count + 16, self.seed)[done:]
        return [Suggestion(s) for s in space.untried(X, count, state)]
