"""Optuna: `pip install 'frugaltwin[optuna]'`."""

from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from frugaltwin.state import State, Suggestion
from optimizers.peers.peer import Dimension, Told, Values, quiet_and_seeded, suggestions


@dataclass(frozen=True)
class Optuna:
    """Optuna, a peer: a tree-structured Parzen estimator, or a Gaussian process, on the score.

    Needs ``pip install 'frugaltwin[optuna]'``. Works for a goal with one score. Its first ten suggestions are random.

    ============== ================ ==========================================================================
    option         default          meaning
    ============== ================ ==========================================================================
    sampler        tpe              ``tpe`` or ``gp``: Optuna's TPESampler or its GPSampler, as they are
    seed           0                of everything random
    ============== ================ ==========================================================================

    Of a discrete parameter it is told the number of the value in their order. It knows neither mixtures nor other constraints: one part of
    a mixture is what the others leave over, and a proposal that breaks a limit is moved towards the middle of what is allowed. A failed
    trial has the worst score that was measured, pending ones are Optuna's running trials, and it recommends nothing but the best reading.

    Sources: Akiba et al., KDD (2019), doi:10.1145/3292500.3330701; Bergstra et al., NIPS 24 (2011) 2546.
    """

    seed: int = 0
    sampler: Literal["tpe", "gp"] = "tpe"

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        return suggestions("optuna", state, count, self.seed, f"proposed by Optuna ({self.sampler})", self._propose)

    def _propose(self, told: Told) -> Values:
        if self.sampler == "tpe":
            return _asked(told, optuna.samplers.TPESampler(seed=told.seed % 2**32, constant_liar=bool(told.pending)))
        with quiet_and_seeded(told.seed):
            return _asked(told, optuna.samplers.GPSampler(seed=told.seed % 2**32))


def _asked(told: Told, sampler: Any) -> Values:
    """The proposal of a study with that history."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(sampler=sampler)
        box = {d.name: _distribution(d) for d in told.dimensions}
        for values, loss in zip(told.tried, told.losses, strict=True):
            study.add_trial(create_trial(params=_numbered(told, values), distributions=box, value=loss))
        for values in told.pending:
            study.add_trial(create_trial(state=TrialState.RUNNING, params=_numbered(told, values), distributions=box))
        asked = study.ask(box).params
    finally:
        optuna.logging.set_verbosity(verbosity)
    return {d.name: d.levels[asked[d.name]] if d.levels else asked[d.name] for d in told.dimensions}


def _distribution(d: Dimension) -> Any:
    if d.names:
        return CategoricalDistribution(d.names)
    return IntDistribution(0, len(d.levels) - 1) if d.levels else FloatDistribution(0.0, 1.0)


def _numbered(told: Told, values: Values) -> dict[str, Any]:
    """Values with the number of each level in place of the level."""
    return {d.name: d.levels.index(float(values[d.name])) if d.levels else values[d.name] for d in told.dimensions}
