"""Kernels: the prior covariance of a Gaussian process, its hyperparameters and its derivatives."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np

from optimizers.space.space import Floats

Form = Literal["gaussian", "matern52", "matern32"]

Waves: TypeAlias = Callable[[Floats], Floats]
"""Random features Φ [b, w] of points X [b, D]: on average over the draws, Φ Φᵀ is the prior covariance."""

Covariance: TypeAlias = Callable[[Floats], tuple[Floats, Callable[[Floats], Floats]]]
"""Of hyperparameters θ [p]: the covariance K [n, n] of given points, and what takes weights W [n, n] to Σ W dK/dθ, [p]."""

_DEGREES: dict[Form, int] = {"matern52": 5, "matern32": 3}
"""Degrees of freedom of the Student distribution that the frequencies of a Matérn kernel have."""


class Kernel(Protocol):
    """A prior covariance. Its p hyperparameters are logarithms, `theta` [p]."""

    @property
    def priors(self) -> Floats:
        """Likeliest value of every hyperparameter, not its logarithm, and standard deviation of its logarithm, [p, 2]."""
        ...

    def covariance(self, theta: Floats, A: Floats, B: Floats) -> Floats:
        """[a, b] between points A [a, D] and B [b, D]."""
        ...

    def variance(self, theta: Floats, A: Floats) -> Floats:
        """The diagonal of the covariance of points A [a, D] with themselves, [a]."""
        ...

    def among(self, X: Floats) -> Covariance:
        """The covariance of points X [n, D] with one another, as a function of the hyperparameters: for a fit."""
        ...

    def slopes(self, theta: Floats, A: Floats, B: Floats, weights: Floats) -> Floats:
        """Derivatives of Σ_b weights [a, b] · covariance with respect to the points A [a, D], [a, D]."""
        ...

    def variance_slopes(self, theta: Floats, A: Floats) -> Floats | float:
        """Derivatives of `variance` with respect to the points A [a, D], [a, D]; 0 where it is the same everywhere."""
        ...

    def waves(self, theta: Floats, n: int, random: np.random.Generator) -> tuple[Waves, Callable[[Floats, Floats], Floats]]:
        """n random features, and the derivatives [b, D] of Σ_w weights [b, n] · Φ with respect to the points X [b, D]."""
        ...


@dataclass(frozen=True)
class Stationary:
    """amplitude² · form(r) + offset², with r² = Σ ((x - x') / length)² and a length scale per column.

    Hyperparameters: amplitude, then the D length scales. The offset is the standard deviation of an unknown constant.
    Source: Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press (2006), equations 4.9 and 4.17.
    """

    amplitude: tuple[float, float]
    """Likeliest value, and standard deviation of the logarithm."""
    lengths: tuple[tuple[float, float], ...]
    """The same, for every column."""
    form: Form = "gaussian"
    offset: float = 0.0

    @property
    def priors(self) -> Floats:
        return np.array([self.amplitude, *self.lengths])

    def covariance(self, theta: Floats, A: Floats, B: Floats) -> Floats:
        return self._form(_square(A, B, theta))[0] * math.exp(2 * theta[0]) + self.offset**2

    def variance(self, theta: Floats, A: Floats) -> Floats:
        return np.full(len(A), math.exp(2 * theta[0]) + self.offset**2)

    def among(self, X: Floats) -> Covariance:
        n, D = X.shape
        squares = ((X.T[:, :, None] - X.T[:, None, :]) ** 2).reshape(D, n * n)

        def covariance(theta: Floats) -> tuple[Floats, Callable[[Floats], Floats]]:
            weight = np.exp(-2 * theta[1:])
            value, fall = self._form((weight @ squares).reshape(n, n))
            value, fall = value * math.exp(2 * theta[0]), fall * math.exp(2 * theta[0])

            def pulled(W: Floats) -> Floats:
                return np.concatenate([[2 * float(np.vdot(W, value))], weight * (squares @ (W * fall).ravel())])

            return value + self.offset**2, pulled

        return covariance

    def slopes(self, theta: Floats, A: Floats, B: Floats, weights: Floats) -> Floats:
        pull = weights * self._form(_square(A, B, theta))[1] * math.exp(2 * theta[0])
        found: Floats = (pull @ B - A * pull.sum(1)[:, None]) * np.exp(-2 * theta[1:])
        return found

    def variance_slopes(self, theta: Floats, A: Floats) -> float:
        return 0.0

    def waves(self, theta: Floats, n: int, random: np.random.Generator) -> tuple[Waves, Callable[[Floats, Floats], Floats]]:
        """Random Fourier features: Rahimi & Recht, NIPS 20 (2007) 1177. The last one is the offset."""
        half = (n - 1) // 2
        frequencies = random.standard_normal((len(theta) - 1, half)) * np.exp(-theta[1:])[:, None]
        if self.form != "gaussian":
            degrees = _DEGREES[self.form]
            frequencies /= np.sqrt(random.chisquare(degrees, half) / degrees)
        height = math.exp(theta[0]) / math.sqrt(half)

        def features(X: Floats) -> Floats:
            angles = X @ frequencies
            return np.concatenate(
                [height * np.cos(angles), height * np.sin(angles), np.full((len(X), n - 2 * half), self.offset / math.sqrt(n - 2 * half))],
                axis=1,
            )

        def slopes(X: Floats, weights: Floats) -> Floats:
            angles = X @ frequencies
            turned = np.cos(angles) * weights[:, half : 2 * half] - np.sin(angles) * weights[:, :half]
            return height * turned @ frequencies.T

        return features, slopes

    def _form(self, square: Floats) -> tuple[Floats, Floats]:
        """The covariance at squared scaled distances, for an amplitude of 1, and minus twice its derivative with respect to these."""
        if self.form == "gaussian":
            value = np.exp(-0.5 * square)
            return value, value
        if self.form == "matern32":
            r = np.sqrt(3 * square)
            fall = np.exp(-r)
            return (1 + r) * fall, 3 * fall
        r = np.sqrt(5 * square)
        fall = np.exp(-r)
        return (1 + r + r * r / 3) * fall, (5 / 3) * (1 + r) * fall


def _square(A: Floats, B: Floats, theta: Floats) -> Floats:
    """Squared scaled distances [a, b]."""
    scale = np.exp(-theta[1:])
    A, B = A * scale, B * scale
    square: Floats = np.maximum((A * A).sum(1)[:, None] + (B * B).sum(1) - 2 * (A @ B.T), 0.0)
    return square
