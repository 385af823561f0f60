"""Model the score alone, whatever the outcomes mean: the strategy that needs no knowledge."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Settings, Trial
from frugaltwin.goals import Objective
from frugaltwin.goals.suitable import single
from frugaltwin.state import Doubt, Prediction, State, Suggestion
from optimizers.models.feasibility import log_feasibility
from optimizers.models.reasons import EVEN, IMPROVEMENT
from optimizers.models.regression import Regression
from optimizers.models.repeats import or_measured_better
from optimizers.models.spread import spread
from optimizers.space.search import Acquisition, best_points, differentiated
from optimizers.space.space import Floats, Space

with warnings.catch_warnings():
    # linear_operator 0.6 decorates with torch.jit.script, which torch has deprecated.
    warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=DeprecationWarning)
    from botorch.acquisition.logei import qLogNoisyExpectedImprovement
    from botorch.exceptions.warnings import InputDataWarning, OptimizationWarning
    from botorch.models import SingleTaskGP
    from botorch.optim.fit import fit_gpytorch_mll_scipy
    from botorch.sampling.normal import SobolQMCNormalSampler
    from botorch.utils.sampling import manual_seed
    from gpytorch.constraints import GreaterThan
    from gpytorch.likelihoods import GaussianLikelihood
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from gpytorch.priors import LogNormalPrior
    from linear_operator.utils.warnings import NumericalWarning

_NOISE = (-6.0, 1.5)  # log-normal prior of the noise variance; botorch's (-4, 1) is too noisy to end near the optimum of a quiet rig
_SAMPLES = 64
_CHUNK = 512  # settings at once: bounds the memory
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

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        state = state.at_fidelity()
        goal, space = single(state.goal, "bayesian"), Space.of(state.experiment)
        known = _scored(space, goal, state.trials)
        X, model = known.X, _fitted(known.X, known.values) if known.X.size else None
        chance = log_feasibility(space, state.trials)
        chosen: list[Settings] = []
        whys: list[str] = []
        while len(chosen) < count:
            busy = [*state.unavailable, *chosen]
            turn = len(state.trials) + len(busy)
            if model is None or len(X) + len(busy) < self.starts:
                found = space.sample(turn + _AHEAD, self.seed)[turn:]
                whys.append(EVEN)
            else:
                improvement = _improvement(model, X, space.encode(busy), self.seed + turn)
                found = best_points(differentiated(improvement) + chance, space, self.seed + turn, X[:_NEAR])
                whys.append(IMPROVEMENT)
            chosen += space.untried(found, 1, state, chosen)
        return [Suggestion(s, why) for s, why in zip(chosen, whys, strict=True)]

    def recommend(self, state: State) -> Settings:
        state = state.at_fidelity()
        goal, space = single(state.goal, "bayesian"), Space.of(state.experiment)
        state = state.without(self.doubts(state))
        known = _scored(space, goal, state.trials)
        if not known.X.size:
            return space.decode(space.sample(1, self.seed)[0])
        model, chance = _fitted(known.X, known.values), log_feasibility(space, state.trials)
        best = best_points(differentiated(lambda x: _mean(model, x)) + chance, space, self.seed, known.X[:_NEAR])[:1]
        with torch.no_grad():
            expected = known.center + known.unit * float(_mean(model, torch.from_numpy(best)))
        return or_measured_better(space.decode(best[0]), expected, goal, state.trials)

    def doubts(self, state: State) -> list[Doubt]:
        state = state.at_fidelity()
        goal, space = single(state.goal, "bayesian"), Space.of(state.experiment)
        told = [(t, score) for t in state.trials if (score := goal.score_of_trial(t)) is not None]
        if not told:
            return []
        model = Regression(space.encode([t.happened for t, _ in told]), np.array([score for _, score in told]))
        return [Doubt(told[i][0].number, "score", told[i][1], expected, deviation) for i, expected, deviation in model.doubts()]

    def predict(self, state: State, settings: Sequence[Settings]) -> Prediction:
        state = state.at_fidelity()
        goal, space = single(state.goal, "bayesian"), Space.of(state.experiment)
        known = _scored(space, goal, state.trials)
        X = torch.from_numpy(space.encode(settings))
        if not space.size:  # the only settings there are
            return Prediction(means={"score": np.full(len(X), known.center)}, deviations={"score": np.zeros(len(X))})
        model = _fitted(known.X, known.values)
        with torch.no_grad():
            posteriors = [model.posterior(x) for x in torch.split(X, _CHUNK)]
            mean = torch.cat([p.mean[:, 0] for p in posteriors]).numpy()
            deviation = torch.cat([p.variance[:, 0] for p in posteriors]).clamp_min(0.0).sqrt().numpy()
        return Prediction(means={"score": known.center + known.unit * mean}, deviations={"score": abs(known.unit) * deviation})

    def sample(self, state: State, settings: Sequence[Settings], count: int, seed: int = 0) -> dict[str, Floats]:
        state = state.at_fidelity()
        goal, space = single(state.goal, "bayesian"), Space.of(state.experiment)
        known = _scored(space, goal, state.trials)
        if not space.size:  # the only settings there are
            return {"score": np.full((count, len(settings)), known.center)}
        model = _fitted(known.X, known.values)
        with torch.no_grad(), manual_seed(seed):
            drawn = model.posterior(torch.from_numpy(space.encode(settings))).rsample(torch.Size([count]))
        return {"score": known.center + known.unit * drawn[..., 0].numpy()}


@dataclass(frozen=True)
class _Scores:
    """Scores [n], the larger the better, in units of their spread; the best first, as are their points [n, D]."""

    X: Floats
    values: Floats
    center: float
    """score = center + unit · value"""
    unit: float
    """Negative where a low score is a good one."""


def _scored(space: Space, goal: Objective, history: Sequence[Trial]) -> _Scores:
    """The scores of the trials that did not fail."""
    pairs = [(t.happened, score) for t in history if (score := goal.score_of_trial(t)) is not None]
    sign = -1.0 if goal.is_minimized else 1.0
    scores = np.array([score for _, score in pairs]) * sign
    order = np.argsort(-scores, kind="stable")
    center = float(scores.mean()) if pairs else 0.0
    unit = spread(scores)
    values = (scores - center) / unit if unit else 0 * scores
    unit = unit or float(np.abs(scores).max(initial=0.0)) or 1.0
    return _Scores(space.encode([s for s, _ in pairs])[order], values[order], sign * center, sign * unit)


def _fitted(X: Floats, scores: Floats) -> SingleTaskGP:
    """A Gaussian process that explains scores [n] at points X [n, D]."""
    with warnings.catch_warnings(), manual_seed(0):
        # botorch wants scores of unit variance, which a single score and equal scores cannot have.
        warnings.filterwarnings("ignore", message="Data .* is not standardized", category=InputDataWarning)
        prior = LogNormalPrior(*_NOISE)
        constraint = GreaterThan(1e-6, transform=None, initial_value=prior.mode)
        likelihood = GaussianLikelihood(noise_prior=prior, noise_constraint=constraint).double()
        model = SingleTaskGP(torch.from_numpy(X), torch.from_numpy(scores)[:, None], likelihood=likelihood, outcome_transform=None)
        # A line search that ends early, as it does on equal scores, leaves good enough hyperparameters.
        warnings.filterwarnings("ignore", category=OptimizationWarning)
        mll = ExactMarginalLogLikelihood(likelihood, model)
        fit_gpytorch_mll_scipy(mll.train())
        mll.eval()
    return model


def _improvement(model: SingleTaskGP, X: Floats, busy: Floats, seed: int) -> Acquisition:
    """Logarithm of the expected improvement on points X [n, D] and on those busy [p, D]."""
    with manual_seed(seed), _singular_is_fine():
        acquisition = qLogNoisyExpectedImprovement(
            model,
            torch.from_numpy(X),
            sampler=SobolQMCNormalSampler(torch.Size([_SAMPLES]), seed=seed),
            X_pending=torch.from_numpy(busy) if len(busy) else None,
            prune_baseline=True,
        )

    def improvement(x: Tensor) -> Tensor:
        with _singular_is_fine():
            value: Tensor = acquisition(x[:, None, :])
        return value

    return improvement


@contextmanager
def _singular_is_fine() -> Iterator[None]:
    """The joint covariance of points that were measured twice, or are looked at again, is singular: a tiny jitter is what it takes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="A not p.d., added jitter", category=NumericalWarning)
        yield


def _mean(model: SingleTaskGP, X: Tensor) -> Tensor:
    mean: Tensor = model.posterior(X).mean[:, 0]
    return mean
