"""A Gaussian process regression of one number."""

import math
from collections.abc import Iterator
from copy import copy
from typing import Self

import numpy as np
import torch
from torch import Tensor

from optimizers.models.doubts import doubted
from optimizers.models.spread import spread
from optimizers.space.descent import lowest_point
from optimizers.space.search import torch_loss
from optimizers.space.space import Floats

_JITTER = 1e-8  # variance, of 1
_LEAST = 1e-12

# Log-normal priors, wide: likeliest value and standard deviation of the logarithm. Amplitude and noise in units of the readings'
# standard deviation, the length per root of the dimension of the unit box.
_AMPLITUDE = (2.0, 0.5)
_NOISE = (0.1, 0.7)
_LENGTH = (0.6, 0.5)


class Regression:
    """The posterior of a number after n readings of it; its hyperparameters maximize their posterior.

    Source: Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press (2006), algorithm 2.1.
    """

    def __init__(self, X: Floats, readings: Floats, typical: float = 0.0) -> None:
        """Learn from readings [n] at points X [n, D].

        Args:
            typical: The size of a reading, in its unit, where all those measured are 0.
        """
        self._X = torch.from_numpy(X)
        self._center = float(readings.mean())
        away = readings - self._center
        self.spread = spread(readings) or float(np.abs(readings).max()) or abs(typical) or 1.0
        self._z = torch.from_numpy(away / self.spread)
        D = X.shape[1]
        prior = torch.tensor([_AMPLITUDE, _NOISE, *((_LENGTH[0] * math.sqrt(D), _LENGTH[1]),) * D], dtype=torch.double)
        mean, deviation = prior[:, 0].log(), prior[:, 1]
        self._likeliest = prior[:, 0]

        def loss(theta: Tensor) -> Tensor:
            L = self._cholesky(theta.exp())
            white = torch.linalg.solve_triangular(L, self._z[:, None], upper=False)
            value: Tensor = white.square().sum() / 2 + L.diagonal().log().sum() + ((theta - mean) / deviation).square().sum() / 2
            return value

        box = [(m - 4 * s, m + 4 * s) for m, s in zip(mean.tolist(), deviation.tolist(), strict=True)]
        self._values = torch.from_numpy(lowest_point(torch_loss(loss), mean.numpy(), box)).exp()
        self._condition()

    def conditioned_on(self, busy: Floats) -> Self:
        """The same, once points busy [p, D] will have been measured, should they read what is expected of them."""
        later = copy(self)
        points = torch.from_numpy(busy)
        later._X = torch.cat([self._X, points])
        later._z = torch.cat([self._z, (self.expected(points)[0] - self._center) / self.spread])
        later._condition()
        return later

    def expected(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Mean [b] and standard deviation [b] at points X [b, D], in the unit of the readings, without their noise."""
        k = self._covariance(X, self._values)
        told = torch.linalg.solve_triangular(self._L, k.T, upper=False)
        variance = self._values[0] ** 2 - told.square().sum(0)
        return self._center + self.spread * (told.T @ self._white)[:, 0], self.spread * variance.clamp_min(_LEAST).sqrt()

    def doubts(self) -> Iterator[tuple[int, float, float]]:
        """The number of each reading that is hardly to be believed, what is expected in its place, and its standard deviation."""
        L = self._cholesky(self._likeliest)
        for i, expected, deviation in doubted(L @ L.T, self._z):
            yield i, self._center + self.spread * expected, self.spread * deviation

    def _condition(self) -> None:
        self._L = self._cholesky(self._values)
        self._white = torch.linalg.solve_triangular(self._L, self._z[:, None], upper=False)

    def _cholesky(self, values: Tensor) -> Tensor:
        noise = values[1] ** 2 + _JITTER
        L: Tensor = torch.linalg.cholesky(self._covariance(self._X, values) + noise * torch.eye(len(self._X), dtype=torch.double))
        return L

    def _covariance(self, X: Tensor, values: Tensor) -> Tensor:
        """Prior covariance [b, n] between points X [b, D] and those measured."""
        square = ((X / values[2:])[:, None] - self._X / values[2:]).square().sum(-1)
        return values[0] ** 2 * torch.exp(-square / 2)
