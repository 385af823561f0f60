"""Model the score alone, whatever the outcomes mean: the strategy that needs no knowledge."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Experiment, Settings, Trial
from frugaltwin.goals import Goal, ScoredGoal, scored
from frugaltwin.plugins import Prediction
from optimizers.failures import log_chance
from optimizers.gaussian_process import Scale, fitted, predicted, singular_is_fine
from optimizers.search import Acquisition, best_points
from optimizers.space import Floats, Space

with warnings.catch_warnings():
    # linear_operator 0.6 decorates with torch.jit.script, which torch has deprecated.
    warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=DeprecationWarning)
    from botorch.acquisition.logei import qLogNoisyExpectedImprovement
    from botorch.models import SingleTaskGP
    from botorch.sampling.normal import SobolQMCNormalSampler
    from botorch.utils.sampling import manual_seed

_SAMPLES = 64
_AHEAD = 64  # points of the sequence to choose from, in case some were tried
_NEAR = 3  # of the best settings so far: the search looks around them


@dataclass(frozen=True)
class Bayesian:
    """A Gaussian process on the score, and noisy expected improvement.

    It works for any goal and any outcomes, and needs more experiments than `composite`, which knows how the score comes about.

    ============== ================ ==========================================================================
    option         default          meaning
    ============== ================ ==========================================================================
    starts         5                evenly spread settings before the model takes over, 1 to 1000
    seed           0                of everything random
    ============== ================ ==========================================================================

    Sources: Ament et al., NeurIPS (2023), arXiv:2310.20708 (logarithmic improvement); Hvarfner, Hellsten & Nardi, ICML (2024),
    arXiv:2402.02229 (priors of the length scales).
    """

    seed: int = 0
    starts: int = 5

    def __post_init__(self) -> None:
        if not 1 <= self.starts <= 1000:
            raise InvalidInput(f"starts = {self.starts} is outside [1, 1000]")

    def suggest(
        self, experiment: Experiment, goal: Goal, history: Sequence[Trial], count: int = 1, pending: Sequence[Settings] = ()
    ) -> list[Settings]:
        goal, space = scored(goal, "bayesian"), Space.of(experiment)
        X, scores, _ = _scored(space, goal, history)
        model = fitted(X, scores) if X.size else None
        chance = log_chance(space, history)
        chosen: list[Settings] = []
        while len(chosen) < count:
            busy = [*pending, *chosen]
            turn = len(history) + len(busy)
            if model is None or len(X) + len(busy) < self.starts:
                found = space.sample(turn + _AHEAD, self.seed)[turn:]
            else:
                improvement = _improvement(model, X, space.encode(busy), self.seed + turn)
                found = best_points(lambda x, f=improvement: f(x) + chance(x), space, self.seed + turn, X[:_NEAR])  # type: ignore[misc]
            chosen += space.fresh(found, 1, history, pending, chosen)
        return chosen

    def recommend(self, experiment: Experiment, goal: Goal, history: Sequence[Trial]) -> Settings:
        goal, space = scored(goal, "bayesian"), Space.of(experiment)
        X, scores, _ = _scored(space, goal, history)
        if not X.size:
            return space.decode(space.sample(1, self.seed)[0])
        model, chance = fitted(X, scores), log_chance(space, history)
        return space.decode(best_points(lambda x: _mean(model, x) + chance(x), space, self.seed, X[:_NEAR])[0])

    def predict(self, experiment: Experiment, goal: Goal, history: Sequence[Trial], settings: Sequence[Settings]) -> Prediction:
        goal, space = scored(goal, "bayesian"), Space.of(experiment)
        X, scores, scale = _scored(space, goal, history)
        mean, deviation = predicted(fitted(X, scores), scale, space.encode(settings))
        return Prediction(means={"score": _sign(goal) * mean}, deviations={"score": deviation})


def _scored(space: Space, goal: ScoredGoal, history: Sequence[Trial]) -> tuple[Floats, Floats, Scale]:
    """Points [n, D] and scores [n] of the trials that did not fail, best first, the larger the better, in units of their scale."""
    pairs = [(t.settings, score) for t in history if (score := goal.score_of_trial(t)) is not None]
    scores = np.array([score for _, score in pairs]) * _sign(goal)
    order = np.argsort(-scores, kind="stable")
    scale = Scale.of(scores)
    return space.encode([s for s, _ in pairs])[order], scale.standard(scores)[order], scale


def _sign(goal: ScoredGoal) -> float:
    return -1.0 if goal.is_minimized else 1.0


def _improvement(model: SingleTaskGP, X: Floats, busy: Floats, seed: int) -> Acquisition:
    """Logarithm of the expected improvement on points X [n, D] and on those busy [p, D]."""
    with manual_seed(seed), singular_is_fine():
        acquisition = qLogNoisyExpectedImprovement(
            model,
            torch.from_numpy(X),
            sampler=SobolQMCNormalSampler(torch.Size([_SAMPLES]), seed=seed),
            X_pending=torch.from_numpy(busy) if len(busy) else None,
            prune_baseline=True,
        )

    def improvement(x: Tensor) -> Tensor:
        with singular_is_fine():
            value: Tensor = acquisition(x[:, None, :])
        return value

    return improvement


def _mean(model: SingleTaskGP, X: Tensor) -> Tensor:
    mean: Tensor = model.posterior(X).mean[:, 0]
    return mean
