"""Gaussian process regression in closed form: posterior, evidence and their gradients, leaving one out, sample paths.

Numbers are `Z [m, n]`: m outputs, read at the same n points `X [n, D]`, in units of their spread. Outputs share the kernel and its
hyperparameters, and are independent given these. Hyperparameters are logarithms: those of the kernel, then those of the noise. Their
priors are log-normal, and they maximize their posterior.

Source: Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press (2006), algorithm 2.1 and equations 5.9 to 5.12.
"""

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs, dtrtri

from optimizers.models.kernels import Covariance, Kernel
from optimizers.models.log_normal import LogNormal
from optimizers.space.space import Floats

_JITTER = 1e-8  # variance, of 1
_LEAST = 1e-14  # variance: what rounding leaves of one that is nothing
_WAVES = 512  # features of a prior path
_STEP = 1e-3  # of a logarithm, for second derivatives


@dataclass(frozen=True)
class Noise:
    """Noise of the readings: independent, given, learned, or both, the same for all of them or not; and a drift that they share.

    The independent variance is Σ_q exp(2 θ_q) · shapes_q + given. A drift adds the covariance exp(2 θ_last) · driftᵀ drift.
    """

    priors: Floats
    """Likeliest standard deviation of every part that is learned, and standard deviation of its logarithm, [q, 2]; the drift's last."""
    shapes: Floats
    """Relative variances [q, g, n] of these parts; g is 1 where they are the same for all m outputs, else m."""
    given: Floats
    """Known variances [g, n]."""
    drift: Floats | None = None
    """Courses [r, n] that errors common to all readings may take, each of unknown height; none without."""

    @classmethod
    def learned(cls, n: int, likeliest: float, deviation: float) -> Self:
        """One unknown standard deviation, the same for n readings."""
        return cls(np.array([[likeliest, deviation]]), np.ones((1, 1, n)), np.zeros((1, n)))

    @classmethod
    def known(cls, variance: Floats) -> Self:
        """Known variances [n] or [m, n]."""
        given = np.atleast_2d(variance)
        return cls(np.zeros((0, 2)), np.zeros((0, *given.shape)), given)

    def variance(self, theta: Floats) -> Floats:
        """Of the independent noise, [g, n], for hyperparameters [q]."""
        return np.tensordot(np.exp(2 * theta[: len(self.shapes)]), self.shapes, 1) + self.given

    def common(self, theta: Floats) -> Floats:
        """The covariance that a drift adds to that of the readings, [n, n], for hyperparameters [q]."""
        assert self.drift is not None
        return math.exp(2 * theta[-1]) * np.asarray(self.drift.T @ self.drift)

    def drifting(self, drift: Floats, likeliest: float, deviation: float) -> "Noise":
        """The same with a drift [r, n] of unknown size."""
        return replace(self, priors=np.concatenate([self.priors, [[likeliest, deviation]]]), drift=drift)

    def at(self, rows: Sequence[int] | Floats) -> "Noise":
        """The noise of some of the readings."""
        drift = None if self.drift is None else self.drift[:, rows]
        return Noise(self.priors, self.shapes[:, :, rows], self.given[:, rows], drift)

    def continued(self, b: int) -> "Noise":
        """The noise of these readings and of b more, whose learned parts have the shape 1, at the time at which a drift is nothing."""
        drift = None if self.drift is None else np.pad(self.drift, ((0, 0), (0, b)))
        shapes = np.pad(self.shapes, ((0, 0), (0, 0), (0, b)), constant_values=1.0)
        return Noise(self.priors, shapes, np.pad(self.given, ((0, 0), (0, b))), drift)


@dataclass(frozen=True)
class Evidence:
    """The logarithm of the marginal likelihood, plus that of the prior of the hyperparameters, up to a constant."""

    kernel: Kernel
    X: Floats
    Z: Floats
    noise: Noise

    @cached_property
    def prior(self) -> LogNormal:
        """Of the p + q hyperparameters."""
        return LogNormal(np.concatenate([self.kernel.priors, self.noise.priors]))

    @property
    def likeliest(self) -> Floats:
        """The hyperparameters that the prior thinks likeliest."""
        return self.prior.likeliest

    @cached_property
    def _covariance(self) -> Covariance:
        return self.kernel.among(self.X)

    def likelihood(self, theta: Floats) -> tuple[float, Floats]:
        """The logarithm of the marginal likelihood, and its gradient [p + q]."""
        p = len(self.kernel.priors)
        K, pulled = self._covariance(theta[:p])
        common = None if self.noise.drift is None else self.noise.common(theta[p:])
        value, W, of_noise = _likelihood(K if common is None else K + common, self.noise.variance(theta[p:]), self.Z)
        slopes = 2 * np.exp(2 * theta[p : p + len(self.noise.shapes)]) * (self.noise.shapes * of_noise).sum((1, 2))
        of_drift = [] if common is None else [[2 * float(np.vdot(W, common))]]
        return value, np.concatenate([pulled(W), slopes, *of_drift])

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """The value, and its gradient [p + q]."""
        return self.prior.posterior(self.likelihood)(theta)

    def maximized(self, starts: Sequence[Floats] = ()) -> Floats:
        """The hyperparameters that maximize it: the best of climbs from these starts, or from the likeliest values of the prior."""
        return self.prior.maximized(self.likelihood, starts)

    def curvature(self, theta: Floats) -> Floats:
        """Minus the second derivatives [p + q, p + q] of the value."""
        rows = [(self(theta - step)[1] - self(theta + step)[1]) / (2 * _STEP) for step in np.diag(np.full(len(theta), _STEP))]
        H: Floats = np.array(rows) / 2
        return np.asarray(H + H.T)

    def draws(self, theta: Floats, n: int, random: np.random.Generator, width: float = 1.0) -> Floats:
        """n hyperparameters [n, p + q] that the data leave open, around the likeliest: Laplace's approximation.

        Nowhere wider than the prior.

        Args:
            width: Factor of the standard deviations. The approximation is too narrow where few data leave one side open.
        """
        values, axes = np.linalg.eigh(self.curvature(theta))
        least = 1 / float(self.prior.values[:, 1].max()) ** 2
        spread = width / np.sqrt(np.maximum(values, least))
        drawn: Floats = theta + (random.standard_normal((n, len(theta))) * spread) @ axes.T
        low, high = np.array(self.prior.box).T
        return np.asarray(np.clip(drawn, low, high))


def _likelihood(K: Floats, variance: Floats, Z: Floats) -> tuple[float, Floats, Floats]:
    """The logarithm of the density of Z [m, n], and its derivatives with respect to K [n, n] and to the noise variance [g, n]."""
    n, value, W = len(K), 0.0, np.zeros_like(K)
    of_noise = np.empty_like(variance)
    for g, own in enumerate(variance):
        rows = Z if len(variance) == 1 else Z[g : g + 1]
        L = _cholesky(K, own)
        weights = dpotrs(L, rows.T, lower=1)[0]
        inverse = _mirrored(dpotri(L, lower=1)[0])
        slope = (weights @ weights.T - len(rows) * inverse) / 2
        value -= float(np.vdot(rows.T, weights)) / 2 + len(rows) * (float(np.log(L.diagonal()).sum()) + n / 2 * math.log(2 * math.pi))
        W += slope
        of_noise[g] = slope.diagonal()
    return value, W, of_noise


def _cholesky(K: Floats, variance: Floats) -> Floats:
    """The lower triangle L [n, n], with L Lᵀ = K + noise; in the order of Fortran."""
    S = np.array(K, order="F")
    S.flat[:: len(S) + 1] += variance + _JITTER
    L: Floats
    L, failed = dpotrf(S, lower=1, clean=1, overwrite_a=1)
    if failed:
        raise np.linalg.LinAlgError(f"the covariance of {len(S)} readings is not positive definite")
    return L


def _mirrored(lower: Floats) -> Floats:
    """The symmetric matrix of a lower triangle."""
    whole: Floats = lower + lower.T
    whole.flat[:: len(whole) + 1] /= 2
    return whole


class GaussianProcess:
    """The posterior after n readings of m outputs, for given hyperparameters."""

    def __init__(self, kernel: Kernel, X: Floats, Z: Floats, noise: Noise, theta: Floats) -> None:
        """Learn from numbers Z [m, n] at points X [n, D].

        Args:
            theta: Hyperparameters of the kernel, then of the noise.
        """
        self.kernel, self.X, self.Z, self.noise, self.theta = kernel, X, Z, noise, theta
        p = len(kernel.priors)
        self._own = theta[:p]
        self.variance = noise.variance(theta[p:])
        """Of the noise of the readings, [g, n]."""
        K = kernel.covariance(self._own, X, X)
        if noise.drift is not None:
            K = K + noise.common(theta[p:])
        self._L = [_cholesky(K, variance) for variance in self.variance]
        self.weights = self._solved(Z)
        """(K + noise)⁻¹ z, [m, n]"""

    @classmethod
    def fitted(cls, kernel: Kernel, X: Floats, Z: Floats, noise: Noise, starts: Sequence[Floats] = ()) -> Self:
        """The posterior with the likeliest hyperparameters."""
        return cls(kernel, X, Z, noise, Evidence(kernel, X, Z, noise).maximized(starts))

    @property
    def reading_variance(self) -> Floats:
        """Variance of the noise of a reading of every output where the learned parts have the shape 1, [g]."""
        p = len(self._own)
        return np.full(len(self.variance), float(np.exp(2 * self.theta[p : p + len(self.noise.shapes)]).sum()))

    @property
    def drift(self) -> tuple[Floats, Floats]:
        """Mean [m, r] and covariance [g, r, r] of the heights of the courses of the drift."""
        courses, size = self.noise.drift, math.exp(2 * self.theta[-1])
        assert courses is not None
        spent = np.stack([(white := courses @ inverse.T) @ white.T for inverse in self._inverses])
        return size * self.weights @ courses.T, size * np.eye(len(courses)) - size**2 * spent

    def evidence_of(self, course: Floats) -> Floats:
        """The squared height of an additional error of this course [n], in units of its variance, [m]: 1 on average where there is none."""
        spent = np.array([((inverse @ course) ** 2).sum() for inverse in self._inverses])
        return np.asarray((self.weights @ course) ** 2 / spent)

    def conditioned_on(self, busy: Floats, most: float = math.inf) -> "GaussianProcess":
        """The same, once points busy [b, D] will have been measured, should they read what is expected of them, but no more than `most`."""
        if not len(busy):
            return self
        Z = np.concatenate([self.Z, np.minimum(self.mean(busy), most).T], axis=1)
        return GaussianProcess(self.kernel, np.concatenate([self.X, busy]), Z, self.noise.continued(len(busy)), self.theta)

    def mean(self, A: Floats) -> Floats:
        """The mean [a, m] at points A [a, D]."""
        mean: Floats = self.kernel.covariance(self._own, A, self.X) @ self.weights.T
        return mean

    def mean_slopes(self, A: Floats, pull: Floats | None = None) -> Floats:
        """Derivatives of the mean, or of Σ_m pull [a, m] · mean, with respect to the points A [a, D], [a, D]."""
        weights = self.weights.sum(0)[None] if pull is None else pull @ self.weights
        return self.kernel.slopes(self._own, A, self.X, np.broadcast_to(weights, (len(A), len(self.X))))

    def expected(self, A: Floats) -> tuple[Floats, Floats]:
        """Mean [a, m] and standard deviation [a, g] of the outputs at points A [a, D], without the noise of a reading."""
        k = self.kernel.covariance(self._own, A, self.X)
        own = self.kernel.variance(self._own, A)
        spent = [((k @ inverse.T) ** 2).sum(1) for inverse in self._inverses]
        return k @ self.weights.T, np.sqrt(np.maximum(own[:, None] - np.stack(spent, axis=1), _LEAST))

    def expected_slopes(self, A: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Mean [a] and standard deviation [a] of one output at points A [a, D], and their derivatives with respect to these, [a, D]."""
        k = self.kernel.covariance(self._own, A, self.X)
        (inverse,) = self._inverses
        white = k @ inverse.T
        deviation = np.sqrt(np.maximum(self.kernel.variance(self._own, A) - (white**2).sum(1), _LEAST))
        fall = self.kernel.slopes(self._own, A, self.X, white @ inverse)
        slopes = (self.kernel.variance_slopes(self._own, A) / 2 - fall) / deviation[:, None]
        return k @ self.weights[0], deviation, self.mean_slopes(A), slopes

    def covariance(self, A: Floats) -> Floats:
        """Posterior covariance [g, a, a] of the outputs at points A [a, D], without the noise of a reading."""
        k = self.kernel.covariance(self._own, A, self.X)
        prior = self.kernel.covariance(self._own, A, A)
        return np.stack([prior - (white := k @ inverse.T) @ white.T for inverse in self._inverses])

    def left_out(self) -> tuple[Floats, Floats]:
        """The expectation of every reading from all others, [m, n], and the standard deviation of the reading around it, [g, n].

        Source: Rasmussen & Williams, equations 5.10 to 5.12.
        """
        variance = 1 / np.stack([(inverse**2).sum(0) for inverse in self._inverses])
        return self.Z - self.weights * variance, np.sqrt(variance)

    def paths(self, n: int, seed: int, errors: Floats | None = None, waves: int = _WAVES) -> "Paths":
        """n (even) equally probable functions, in pairs on either side of the mean.

        Args:
            errors: Errors [m, n / 2, n readings] that the readings may have, but for a drift; independent ones without.
            waves: Number of features of a prior path.
        """
        return Paths(self, n, np.random.default_rng(seed), errors, waves)

    @cached_property
    def _inverses(self) -> list[Floats]:
        """L⁻¹ [n, n] of every noise, g of them."""
        return [dtrtri(L, lower=1)[0] for L in self._L]

    def _solved(self, rows: Floats) -> Floats:
        """(K + noise)⁻¹ applied to rows [m, ..., n] of the outputs."""
        if len(self._L) == 1:
            flat = rows.reshape(-1, rows.shape[-1])
            return np.asarray(dpotrs(self._L[0], flat.T, lower=1)[0].T).reshape(rows.shape)
        parts = [dpotrs(L, row.reshape(-1, rows.shape[-1]).T, lower=1)[0].T for L, row in zip(self._L, rows, strict=True)]
        return np.stack(parts).reshape(rows.shape)


class Paths:
    """S equally probable functions of the points.

    Source: Wilson et al., J. Mach. Learn. Res. 22 (2021) 105 (pathwise conditioning, with random features as prior).
    """

    def __init__(
        self, model: GaussianProcess, n: int, random: np.random.Generator, errors: Floats | None = None, waves: int = _WAVES
    ) -> None:
        """Draw n (even) of them, in pairs on either side of the mean."""
        self._model = model
        m, p = len(model.Z), len(model.kernel.priors)
        self._theta = model.theta[:p]
        self._features, self._feature_slopes = model.kernel.waves(self._theta, waves, random)
        known = self._features(model.X)
        heights = random.standard_normal((m, n // 2, known.shape[1]))
        if errors is None:
            errors = np.sqrt(model.variance)[:, None] * random.standard_normal((m, n // 2, len(model.X)))
        if (courses := model.noise.drift) is not None:
            errors = errors + math.exp(model.theta[-1]) * random.standard_normal((m, n // 2, len(courses))) @ courses
        read = heights @ known.T + errors
        own = np.concatenate([heights, -heights], axis=1)  # [m, S, w]
        update = model._solved(model.Z[:, None] - np.concatenate([read, -read], axis=1))  # [m, S, n]
        self._weights = np.ascontiguousarray(np.concatenate([own, update], axis=2).transpose(2, 1, 0))  # [w + n, S, m]

    def some(self, n: int) -> Self:
        """n (even) of them, in pairs."""
        few, half = copy(self), self._weights.shape[1] // 2
        few._weights = np.ascontiguousarray(self._weights[:, [*range(n // 2), *range(half, half + n // 2)]])
        return few

    def __call__(self, A: Floats) -> Floats:
        """Values [S, a, m] at points A [a, D]."""
        k = self._model.kernel.covariance(self._theta, A, self._model.X)
        values = np.concatenate([self._features(A), k], axis=1) @ self._weights.reshape(len(self._weights), -1)
        return np.asarray(values.reshape(len(A), *self._weights.shape[1:]).transpose(1, 0, 2))

    def slopes(self, A: Floats, pull: Floats) -> Floats:
        """Derivatives of Σ pull [S, a, m] · values with respect to the points A [a, D], [a, D]."""
        pulled = pull.transpose(1, 0, 2).reshape(len(A), -1) @ self._weights.reshape(len(self._weights), -1).T
        w = len(self._weights) - len(self._model.X)
        own, told = pulled[:, :w], pulled[:, w:]
        return self._feature_slopes(A, own) + self._model.kernel.slopes(self._theta, A, self._model.X, told)
