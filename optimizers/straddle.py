"""Model a number, and look where it may lie on either side of a value."""

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Experiment, Settings, Trial
from frugaltwin.goals import Goal, Map, mapped
from frugaltwin.prediction import Prediction
from optimizers.models.mapping import borders, check_starts, chosen_settings, known_labels
from optimizers.space.descent import lowest_point
from optimizers.space.search import Acquisition
from optimizers.space.space import Floats, Space

_CONFIDENCE = 1.96  # standard deviations: 95 %, as published
_CHUNK = 512  # settings at once: bounds the memory
_JITTER = 1e-8  # variance, of 1
_LEAST = 1e-12

# Log-normal priors, wide: likeliest value and standard deviation of the logarithm. Amplitude and noise in units of the readings'
# standard deviation, the length per root of the dimension of the unit box.
_AMPLITUDE = (2.0, 0.5)
_NOISE = (0.1, 0.7)
_LENGTH = (0.6, 0.5)


@dataclass(frozen=True)
class Straddle:
    """A Gaussian process on a number, and the straddle rule: it asks where that may lie on either side of the value of the goal.

    For ``map:OUTCOME:VALUE``. A place counts by 1.96 · standard deviation - |mean - VALUE|. A number says how far away the border
    is, so it takes fewer experiments than a label.

    ============== ================ ==========================================================================
    option         default          meaning
    ============== ================ ==========================================================================
    starts         5                evenly spread settings before the model takes over, 1 to 1000
    seed           0                of everything random
    ============== ================ ==========================================================================

    Source: Bryan et al., Active learning for identifying function threshold boundaries, NIPS 18 (2005) 163.
    """

    seed: int = 0
    starts: int = 5

    def __post_init__(self) -> None:
        check_starts(self.starts)

    def suggest(
        self, experiment: Experiment, goal: Goal, history: Sequence[Trial], count: int = 1, pending: Sequence[Settings] = ()
    ) -> list[Settings]:
        goal, threshold = _divided(goal)
        space = Space.of(experiment)
        X, readings = _readings(space, goal, history)
        if not len(X):
            return chosen_settings(space, history, pending, count, self.seed, self.starts, None, X)
        model = Regression(X, readings)

        def worth(busy: Floats) -> Acquisition:
            later = model.knowing(busy)

            def straddle(X: Tensor) -> Tensor:
                mean, deviation = later.expected(X)
                return (_CONFIDENCE * deviation - (mean - threshold).abs()) / model.spread

            return straddle

        near = borders(X, known_labels(space, goal, history)[1])
        return chosen_settings(space, history, pending, count, self.seed, self.starts, worth, near)

    def predict(self, experiment: Experiment, goal: Goal, history: Sequence[Trial], settings: Sequence[Settings]) -> Prediction:
        goal, threshold = _divided(goal)
        space = Space.of(experiment)
        model = Regression(*_readings(space, goal, history))
        with torch.no_grad():
            moments = [model.expected(X) for X in torch.split(torch.from_numpy(space.encode(settings)), _CHUNK)]
        mean, deviation = (torch.cat(part) for part in zip(*moments, strict=True))
        above = torch.special.ndtr((mean - threshold) / deviation).numpy()
        below, at_least = goal.labels
        return Prediction({below: 1 - above, at_least: above}, {goal.outcome: mean.numpy()}, {goal.outcome: deviation.numpy()})


class Regression:
    """The posterior of a number after n readings of it; its hyperparameters maximize their posterior.

    Source: Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press (2006), algorithm 2.1.
    """

    def __init__(self, X: Floats, readings: Floats) -> None:
        """Learn from readings [n] at points X [n, D]."""
        self._X = torch.from_numpy(X)
        self._center = float(readings.mean())
        away = readings - self._center
        self.spread = float(away.std())
        if self.spread <= 1e-9 * (1 + np.abs(away).max()):
            self.spread = 1.0
        self._z = torch.from_numpy(away / self.spread)
        D = X.shape[1]
        prior = torch.tensor([_AMPLITUDE, _NOISE, *((_LENGTH[0] * math.sqrt(D), _LENGTH[1]),) * D], dtype=torch.double)
        mean, deviation = prior[:, 0].log(), prior[:, 1]

        def loss(theta: Tensor) -> Tensor:
            L = self._cholesky(theta.exp())
            white = torch.linalg.solve_triangular(L, self._z[:, None], upper=False)
            value: Tensor = white.square().sum() / 2 + L.diagonal().log().sum() + ((theta - mean) / deviation).square().sum() / 2
            return value

        box = [(m - 4 * s, m + 4 * s) for m, s in zip(mean.tolist(), deviation.tolist(), strict=True)]
        self._values = torch.from_numpy(lowest_point(loss, mean.numpy(), box)).exp()
        self._condition()

    def knowing(self, busy: Floats) -> Self:
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


def _divided(goal: Goal) -> tuple[Map, float]:
    """The goal and the value that divides its map.

    Raises:
        InvalidInput: It maps labels, or nothing.
    """
    goal = mapped(goal, "straddle")
    if goal.threshold is None:
        raise InvalidInput(
            f"straddle maps where a number passes a value, but {goal.text} maps labels; try --strategy {goal.default_strategy}"
        )
    return goal, goal.threshold


def _readings(space: Space, goal: Map, history: Sequence[Trial]) -> tuple[Floats, Floats]:
    """Points [n, D] and readings [n] of the trials that did not fail."""
    pairs = [(t.settings, float(t.measurement.outcomes[goal.outcome])) for t in history if t.measurement is not None]
    return space.encode([s for s, _ in pairs]), np.array([value for _, value in pairs])
