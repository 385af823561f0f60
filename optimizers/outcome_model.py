"""What would be measured where nobody has looked: a known law plus a Gaussian process for what the law leaves out.

Outcomes with the same law share one model. It works on a latent quantity that the law makes linear: absorbance for
`BeerLambert`, signal per exposure for `Additive`, the outcome itself without a law. In units of its root mean square,

    latent(x) = Σ w_k u_k(x) + |u(x)| r(x),     w_k ~ N(0, 3²),  r ~ GP(0, amplitude² · RBF)

where u are the amounts of the absorbers or sources, so that nothing in is nothing out; without a law, u = 1. Two errors are
learned: one proportional to the amounts (pumps), one of the reading, which the logarithm enlarges where little light is left.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from frugaltwin.experiment import BeerLambert, Law, Outcomes, Settings
from frugaltwin.tables import exposure, outcomes_array
from optimizers.space import Space

DARKEST = 3e-3
"""The smallest transmittance whose logarithm is believed; a reading below it may even be negative."""

Paths: TypeAlias = Callable[[Tensor], Tensor]
"""Outcomes [S, b, m] at points X [b, D]: S equally probable functions."""

WEIGHT = 3.0
_WAVES = 256

# Median and log standard deviation of the log-normal priors: amplitude, proportional error, error of the reading.
_WITH_LAW = ((0.1, 1.0), (0.02, 0.7), (0.005, 1.0))
_WITHOUT_LAW = ((1.0, 0.5), (1e-6, 1e-3), (0.05, 1.5))


@dataclass(frozen=True)
class Inputs:
    """What a law makes of settings."""

    space: Space
    law: Law | None

    def natural(self, X: Tensor) -> Tensor:
        """Settings [b, d] in natural units of points X [b, D]."""
        return X @ torch.from_numpy(self.space.slope.T) + torch.from_numpy(self.space.origin)

    def amounts(self, X: Tensor) -> Tensor:
        """u [b, k] at points X [b, D]: the greatest amount of each absorber or source is 1."""
        if self.law is None:
            return torch.ones(len(X), 1, dtype=X.dtype)
        names = [p.name for p in self.space.experiment.parameters]
        columns = [names.index(n) for n in (self.law.absorbers if isinstance(self.law, BeerLambert) else self.law.sources)]
        most = [self.space.greatest[j] for j in columns]
        return self.natural(X)[:, columns] / torch.tensor(most, dtype=X.dtype)

    def exposure(self, X: Tensor) -> Tensor:
        """How much light was collected at points X [b, D], [b]."""
        registers = None if self.law is None or isinstance(self.law, BeerLambert) else self.law.exposure
        return torch.as_tensor(exposure(self.space.experiment, registers, self.natural(X)), dtype=X.dtype).expand(len(X))


class LawModel:
    """The posterior of outcomes that share a law, given what was measured."""

    def __init__(self, inputs: Inputs, X: Tensor, Y: Tensor) -> None:
        """Fit to outcomes Y [n, m] at points X [n, D]."""
        self._inputs, self._X, self._u = inputs, X, inputs.amounts(X)
        if inputs.law is None:
            self._center, self._scale = Y.mean(0), (Y.std(0, correction=0) if len(Y) > 1 else torch.zeros(Y.shape[1], dtype=Y.dtype))
        else:
            latent = self._latent(Y, X)
            self._center, self._scale = torch.zeros(Y.shape[1], dtype=Y.dtype), latent.square().mean(0).sqrt()
        self._scale = torch.where(self._scale > 1e-9 * (1 + self._center.abs()), self._scale, 1.0)
        self._z = (self._latent(Y, X) - self._center) / self._scale  # [n, m]
        self._errors = self._error_shapes(X)
        self._fit()

    def _latent(self, Y: Tensor, X: Tensor) -> Tensor:
        law = self._inputs.law
        return -Y.clamp_min(DARKEST).log10() if isinstance(law, BeerLambert) else Y / self._inputs.exposure(X)[:, None]

    def _outcomes(self, latent: Tensor, X: Tensor) -> Tensor:
        law = self._inputs.law
        return 10.0**-latent if isinstance(law, BeerLambert) else latent * self._inputs.exposure(X)[:, None]

    def _error_shapes(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Variances [m, n] of the latent per unit variance of a dose and of a reading."""
        law, u = self._inputs.law, self._u
        if law is None:
            return torch.zeros_like(self._z.T), torch.ones_like(self._z.T)
        k = u.shape[1]
        w = torch.linalg.solve(u.T @ u + 1e-3 * torch.eye(k, dtype=u.dtype), u.T @ self._z)  # [k, m]
        dose = (u[:, :, None] * w).square().sum(1).T
        if isinstance(law, BeerLambert):
            light = (10.0 ** -((u @ w) * self._scale)).clamp(DARKEST, 1.0)
            reading = (1 / (light * math.log(10) * self._scale)).square().T
        else:
            e = self._inputs.exposure(X)
            reading = (e.median() / e).square().expand(self._z.shape[1], -1)
        return dose, reading

    def _kernel(self, X1: Tensor, u1: Tensor, X2: Tensor, u2: Tensor) -> Tensor:
        distance = ((X1 / self._length)[:, None] - (X2 / self._length)[None]).square().sum(-1)
        rest = self._amplitude**2 * torch.exp(-distance / 2) * self._damping(u1)[:, None] * self._damping(u2)
        return WEIGHT**2 * (u1 @ u2.T) + rest

    @staticmethod
    def _damping(u: Tensor) -> Tensor:
        return (u.square().mean(-1) + 1e-12).sqrt()

    def _fit(self) -> None:
        """Maximum a posteriori of amplitude, errors and length scales."""
        D, law = self._X.shape[1], self._inputs.law
        priors = [(math.log(m), s) for m, s in (_WITHOUT_LAW if law is None else _WITH_LAW)]
        # Length scales grow with the root of the dimension. Source: Hvarfner, Hellsten & Nardi (2024), arXiv:2402.02229.
        priors += [(math.sqrt(2) + math.log(max(D, 1)) / 2, math.sqrt(3))] * D if law is None else [(0.5, 0.7)] * D
        mean, spread = torch.tensor(priors, dtype=torch.double).T

        def loss(theta: Any) -> tuple[float, Any]:
            t = torch.tensor(theta, dtype=torch.double, requires_grad=True)
            self._set(t)
            L = torch.linalg.cholesky(self._covariance())
            white = torch.linalg.solve_triangular(L, self._z.T[..., None], upper=False)
            value = (white.square().sum() / 2 + L.diagonal(dim1=-2, dim2=-1).log().sum()) + ((t - mean) / spread).square().sum() / 2
            (gradient,) = torch.autograd.grad(value, t)
            return float(value.detach()), gradient.numpy()

        start = mean.clone()
        if law is None:
            start[3:] = math.log(0.5) + math.log(max(D, 1)) / 2
        found = minimize(loss, start.numpy(), jac=True, method="L-BFGS-B", bounds=[(float(m - 4 * s), float(m + 4 * s)) for m, s in priors], options={"maxiter": 40})
        with torch.no_grad():
            self._set(torch.from_numpy(found.x))
            self._L = torch.linalg.cholesky(self._covariance())

    def _set(self, theta: Tensor) -> None:
        values = theta.exp()
        self._amplitude, self._dose, self._reading, self._length = values[0], values[1], values[2], values[3:]

    def _covariance(self) -> Tensor:
        dose, reading = self._errors
        noise = self._dose**2 * dose + self._reading**2 * reading + 1e-8
        return self._kernel(self._X, self._u, self._X, self._u) + torch.diag_embed(noise)

    def paths(self, n: int, seed: int) -> Paths:
        """n (even) functions from the posterior, in pairs on either side of its mean.

        Source: Wilson et al., J. Mach. Learn. Res. 22 (2021) 105, eq. 13 (pathwise conditioning).
        """
        random = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            half = torch.randn(*shape, n // 2, generator=random, dtype=torch.double)
            return torch.cat([half, -half], dim=-1)

        m, (_, k), D = self._z.shape[1], self._u.shape, self._X.shape[1]
        omega = torch.randn(D, _WAVES // 2, generator=random, dtype=torch.double) / self._length[:, None]
        w = WEIGHT * normal(m, k)
        v = self._amplitude * normal(m, _WAVES) / math.sqrt(_WAVES / 2)

        def prior(X: Tensor, u: Tensor) -> Tensor:
            waves = torch.cat([torch.cos(X @ omega), torch.sin(X @ omega)], dim=-1) * self._damping(u)[:, None]
            return u @ w + waves @ v  # [m, b, n]

        dose, reading = self._errors
        noise = (self._dose**2 * dose + self._reading**2 * reading + 1e-8).sqrt()[..., None] * normal(m, len(self._X))
        update = torch.cholesky_solve(self._z.T[..., None] - prior(self._X, self._u) - noise, self._L)

        def outcomes(X: Tensor) -> Tensor:
            u = self._inputs.amounts(X)
            z = prior(X, u) + self._kernel(X, u, self._X, self._u) @ update
            return self._outcomes(z.permute(2, 1, 0) * self._scale + self._center, X)

        return outcomes


def paths(space: Space, settings: Sequence[Settings], measured: Sequence[Outcomes], columns: Sequence[int], n: int, seed: int) -> Paths:
    """n equally probable functions from settings to all outcomes, given what was measured; outcomes not in `columns` stay NaN."""
    X = torch.from_numpy(space.encode(settings))
    Y = torch.from_numpy(outcomes_array(space.experiment, measured))
    groups: list[tuple[Law | None, list[int]]] = []
    for j in columns:
        law = space.experiment.outcomes[j].law
        same = [g for g in groups if law is not None and g[0] == law]
        same[0][1].append(j) if same else groups.append((law, [j]))
    drawn = [(g, LawModel(Inputs(space, law), X, Y[:, g]).paths(n, seed)) for law, g in groups]

    def outcomes(X: Tensor) -> Tensor:
        parts = {j: part[..., i] for g, path in drawn for part in [path(X)] for i, j in enumerate(g)}
        nothing = torch.full((n, len(X)), torch.nan, dtype=X.dtype)
        return torch.stack([parts.get(j, nothing) for j in range(Y.shape[1])], dim=-1)

    return outcomes
