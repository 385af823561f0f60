"""BayBE: `pip install 'frugaltwin[baybe]'`."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from frugaltwin.experiment import Settings
from frugaltwin.state import State, Suggestion
from optimizers.peers.peer import Told, Values, quiet_and_seeded, suggestions, told

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what the library imports
    from baybe.acquisition import PosteriorMean
    from baybe.constraints import ContinuousLinearConstraint
    from baybe.parameters import CategoricalParameter, NumericalContinuousParameter, NumericalDiscreteParameter
    from baybe.recommenders import BotorchRecommender, TwoPhaseMetaRecommender
    from baybe.searchspace import SearchSpace
    from baybe.targets import NumericalTarget


@dataclass(frozen=True)
class BayBE:
    """BayBE, a peer: the recommender that is the default of its `Campaign`, a Gaussian process on the score.

    Needs ``pip install 'frugaltwin[baybe]'``. Works for a goal with one score. Its first suggestion is random.

    ============== ================ ==========================================================================
    option         default          meaning
    ============== ================ ==========================================================================
    seed           0                of everything random
    ============== ================ ==========================================================================

    Where the experiment has a list of settings, or there are at most 4096 of them, it searches that list. Else discrete parameters are
    proposed as if they were continuous, and rounded. One part of a mixture is what the others leave over, and BayBE is told the limits of
    the rest where all of them are continuous; a proposal that breaks one nevertheless is moved towards the middle of what is allowed. A
    failed trial has the worst score that was measured, and it recommends where its model expects most.

    Source: Fitzner et al., BayBE: a Bayesian back end for experimental planning, Digital Discovery 4 (2025) 1991.
    """

    seed: int = 0

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        return suggestions("baybe", state, count, self.seed, "proposed by BayBE", self._propose)

    def recommend(self, state: State) -> Settings:
        state = state.at_fidelity()
        history = told("baybe", state, self.seed)
        space = history.space
        if not history.tried or not space.size:
            return space.decode(space.sample(1, self.seed)[0])
        found = _recommended(history, BotorchRecommender(acquisition_function=PosteriorMean()), is_pending=False)
        return space.decode(space.pulled_inside(history.point(found)))

    def _propose(self, history: Told) -> Values:
        return _recommended(history, TwoPhaseMetaRecommender(), is_pending=True)


def _recommended(history: Told, recommender: Any, is_pending: bool) -> Values:
    """The first recommendation with that history."""
    names = [d.name for d in history.dimensions]
    with quiet_and_seeded(history.seed):
        measured = pd.DataFrame([dict(values) | {"loss": loss} for values, loss in zip(history.tried, history.losses, strict=True)])
        pending = pd.DataFrame([dict(values) for values in history.pending]) if history.pending and is_pending and len(measured) else None
        objective = NumericalTarget(name="loss", minimize=True).to_objective()
        found = recommender.recommend(1, _search_space(history), objective, measured if len(measured) else None, pending)
    return {name: v if isinstance(v := found[name].iloc[0], str) else float(v) for name in names}


def _search_space(history: Told) -> SearchSpace:
    space, parts = history.space, history.dimensions
    if space.listed:
        rows = pd.DataFrame([dict(values) for values in history.listed]).drop_duplicates(ignore_index=True)
        return SearchSpace.from_dataframe(
            rows,
            [
                CategoricalParameter(name=d.name, values=d.names)
                if d.names
                else NumericalDiscreteParameter(name=d.name, values=sorted(set(rows[d.name])))
                for d in parts
            ],
        )
    numbers = {d.column for d in parts if not d.names}
    limits = []
    for row, limit in zip(space.rows, space.limits, strict=True):
        used = np.flatnonzero(row).tolist()
        if set(used) <= numbers:
            names, coefficients = [f"x{j}" for j in used], [float(row[j]) for j in used]
            limits.append(ContinuousLinearConstraint(parameters=names, operator="<=", coefficients=coefficients, rhs=float(limit)))
    choices = [CategoricalParameter(name=d.name, values=d.names) for d in parts if d.names]
    ranges = [NumericalContinuousParameter(name=d.name, bounds=(0, 1)) for d in parts if not d.names]
    return SearchSpace.from_product([*choices, *ranges], limits)
