"""The prior of a latent quantity that a law makes linear: a linear part, and a residual that vanishes where nothing is dosed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from optimizers.models.kernels import Covariance, Stationary, Waves
from optimizers.space.space import Floats, Space

WEIGHT = 3.0  # prior standard deviation of a law's coefficients
_NOTHING = 1e-12  # keeps a square root differentiable at 0


@dataclass(frozen=True)
class Amounts:
    """The amounts u [b, k] of the absorbers or sources of a law at points X [b, D]: 1 is the most that the experiment allows."""

    space: Space
    sources: tuple[str, ...]

    def __call__(self, X: Floats) -> Floats:
        return self.with_slopes(X)[0]

    def with_slopes(self, X: Floats) -> tuple[Floats, Floats]:
        """u, and its derivatives [b, k, D]."""
        slope, origin, unit = self._straight
        u = X @ slope.T + origin
        if not unit.any():
            return u, np.broadcast_to(slope, (len(X), *slope.shape))
        u = np.where(unit > 0, unit * np.exp(np.where(unit > 0, u, 0.0)), u)
        return u, np.where(unit > 0, u, 1.0)[..., None] * slope

    @cached_property
    def _straight(self) -> tuple[Floats, Floats, Floats]:
        """Slope [k, D], origin [k] and unit [k] of the amounts, as `Space` has them of the settings."""
        names = [p.name for p in self.space.experiment.parameters]
        rows = [names.index(name) for name in self.sources]
        slope, origin, unit, greatest = (part[rows] for part in (self.space.slope, self.space.origin, self.space.unit, self.space.greatest))
        straight = np.where(unit > 0, 1.0, greatest)  # the logarithm of a ratio has no unit
        return slope / straight[:, None], origin / straight, unit / greatest

    def total(self, u: Floats) -> Floats:
        """|u| [b], root mean square."""
        size: Floats = np.sqrt((u * u).mean(-1) + _NOTHING)
        return size


@dataclass(frozen=True)
class LawKernel:
    """Σ_k WEIGHT² u_k u_k' + |u| |u'| · residual: its hyperparameters are those of the residual."""

    amounts: Amounts
    residual: Stationary

    @property
    def priors(self) -> Floats:
        return self.residual.priors

    def covariance(self, theta: Floats, A: Floats, B: Floats) -> Floats:
        u, v = self.amounts(A), self.amounts(B)
        sizes = self.amounts.total(u)[:, None] * self.amounts.total(v)
        return WEIGHT**2 * (u @ v.T) + sizes * self.residual.covariance(theta, A, B)

    def variance(self, theta: Floats, A: Floats) -> Floats:
        u = self.amounts(A)
        own: Floats = WEIGHT**2 * (u * u).sum(1) + self.amounts.total(u) ** 2 * self.residual.variance(theta, A)
        return own

    def among(self, X: Floats) -> Covariance:
        u = self.amounts(X)
        size = self.amounts.total(u)
        sizes, linear, residual = size[:, None] * size, WEIGHT**2 * (u @ u.T), self.residual.among(X)

        def covariance(theta: Floats) -> tuple[Floats, Callable[[Floats], Floats]]:
            value, pulled = residual(theta)
            return linear + sizes * value, lambda W: pulled(sizes * W)

        return covariance

    def slopes(self, theta: Floats, A: Floats, B: Floats, weights: Floats) -> Floats:
        (u, by_x), v = self.amounts.with_slopes(A), self.amounts(B)
        size, sizes = self.amounts.total(u)[:, None], weights * self.amounts.total(v)
        by_u = WEIGHT**2 * (weights @ v)
        by_u += (sizes * self.residual.covariance(theta, A, B)).sum(1)[:, None] * u / (u.shape[1] * size)
        return np.asarray((by_u[:, None] @ by_x)[:, 0] + size * self.residual.slopes(theta, A, B, sizes))

    def variance_slopes(self, theta: Floats, A: Floats) -> Floats:
        u, by_x = self.amounts.with_slopes(A)
        by_u = 2 * u * (WEIGHT**2 + self.residual.variance(theta, A)[:, None] / u.shape[1])
        slopes: Floats = (by_u[:, None] @ by_x)[:, 0]
        return slopes

    def waves(self, theta: Floats, n: int, random: np.random.Generator) -> tuple[Waves, Callable[[Floats, Floats], Floats]]:
        k = len(self.amounts.sources)
        features_of_residual, slopes_of_residual = self.residual.waves(theta, n - k, random)

        def features(X: Floats) -> Floats:
            u = self.amounts(X)
            return np.concatenate([self.amounts.total(u)[:, None] * features_of_residual(X), WEIGHT * u], axis=1)

        def slopes(X: Floats, weights: Floats) -> Floats:
            u, by_x = self.amounts.with_slopes(X)
            size, waves = self.amounts.total(u)[:, None], weights[:, : n - k]
            by_u = WEIGHT * weights[:, n - k :] + (waves * features_of_residual(X)).sum(1)[:, None] * u / (k * size)
            return np.asarray((by_u[:, None] @ by_x)[:, 0] + size * slopes_of_residual(X, waves))

        return features, slopes
