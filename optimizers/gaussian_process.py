"""A Gaussian process on one number: how it is learned, and what it says."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from optimizers.space import Floats

with warnings.catch_warnings():
    # linear_operator 0.6 decorates with torch.jit.script, which torch has deprecated.
    warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=DeprecationWarning)
    from botorch.exceptions.warnings import InputDataWarning, OptimizationWarning
    from botorch.models import SingleTaskGP
    from botorch.optim.fit import fit_gpytorch_mll_scipy
    from botorch.utils.sampling import manual_seed
    from gpytorch.constraints import GreaterThan
    from gpytorch.likelihoods import GaussianLikelihood
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from gpytorch.priors import LogNormalPrior
    from linear_operator.utils.warnings import NumericalWarning

_NOISE = (-6.0, 1.5)  # log-normal prior of the noise variance; botorch's (-4, 1) is too noisy to end near the optimum of a quiet rig
_CHUNK = 512  # points at once: bounds the memory for thousands of settings
_LEAST = 1e-12  # variance


@dataclass(frozen=True)
class Scale:
    """Where numbers lie: they are modeled less their mean, in units of their spread."""

    center: float
    spread: float

    @classmethod
    def of(cls, values: Floats) -> Self:
        """The scale of values [n]; a spread of 1 where there is none."""
        if not values.size:
            return cls(0.0, 1.0)
        center = float(values.mean())
        spread = float((values - center).std())
        return cls(center, spread if spread > 1e-9 * (1 + np.abs(values - center).max()) else 1.0)

    def standard(self, values: Floats) -> Floats:
        """Values [n] in units of the scale."""
        scaled: Floats = (values - self.center) / self.spread
        return scaled


def fitted(X: Floats, values: Floats) -> SingleTaskGP:
    """A Gaussian process that explains standard values [n] at points X [n, D].

    Source: Hvarfner, Hellsten & Nardi, ICML (2024), arXiv:2402.02229 (priors of the length scales).
    """
    with warnings.catch_warnings(), manual_seed(0):
        # botorch wants values of unit variance, which a single value and equal values cannot have.
        warnings.filterwarnings("ignore", message="Data .* is not standardized", category=InputDataWarning)
        prior = LogNormalPrior(*_NOISE)
        constraint = GreaterThan(1e-6, transform=None, initial_value=prior.mode)
        likelihood = GaussianLikelihood(noise_prior=prior, noise_constraint=constraint).double()
        model = SingleTaskGP(torch.from_numpy(X), torch.from_numpy(values)[:, None], likelihood=likelihood, outcome_transform=None)
        # A line search that ends early, as it does on equal values, leaves good enough hyperparameters.
        warnings.filterwarnings("ignore", category=OptimizationWarning)
        mll = ExactMarginalLogLikelihood(likelihood, model)
        fit_gpytorch_mll_scipy(mll.train())
        mll.eval()
    return model


@contextmanager
def singular_is_fine() -> Iterator[None]:
    """The joint covariance of points that were measured twice, or are looked at again, is singular: a tiny jitter is what it takes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="A not p.d., added jitter", category=NumericalWarning)
        yield


def expected(model: SingleTaskGP, X: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [b] and standard deviation [b] at points X [b, D], in units of the scale, without the noise of a reading."""
    with singular_is_fine():
        posterior = model.posterior(X)
        return posterior.mean[:, 0], posterior.variance[:, 0].clamp_min(_LEAST).sqrt()


def predicted(model: SingleTaskGP, scale: Scale, X: Floats) -> tuple[Floats, Floats]:
    """Mean [n] and standard deviation [n] at points X [n, D], in the unit of the values."""
    with torch.no_grad():
        means, deviations = zip(*(expected(model, x) for x in torch.from_numpy(X).split(_CHUNK)), strict=True)
    return scale.center + scale.spread * torch.cat(means).numpy(), scale.spread * torch.cat(deviations).numpy()


def conditioned(model: SingleTaskGP, busy: Floats) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """`expected`, as it will be once points busy [p, D] have been measured, should they read what is expected of them."""
    points = torch.from_numpy(busy)
    with torch.no_grad(), singular_is_fine():
        reading = model.posterior(points, observation_noise=True).distribution.covariance_matrix
    L = torch.linalg.cholesky(reading)

    def moments(X: Tensor) -> tuple[Tensor, Tensor]:
        n = len(X)
        with singular_is_fine():
            joint = model.posterior(torch.cat([X, points]))
            covariance = joint.distribution.covariance_matrix
        told = torch.linalg.solve_triangular(L, covariance[n:, :n], upper=False)
        return joint.mean[:n, 0], (covariance.diagonal()[:n] - told.square().sum(0)).clamp_min(_LEAST).sqrt()

    return moments
