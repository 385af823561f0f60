"""The search for the maximum of an acquisition function over a space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from optimizers.space.descent import Loss, lowest_point
from optimizers.space.space import Floats, Space

if TYPE_CHECKING:
    from torch import Tensor

Acquisition: TypeAlias = "Callable[[Tensor], Tensor]"
"""A value [b] for points X [b, D] of the unit box, differentiable by torch: the larger, the better."""

_CHUNK = 512  # points at once: bounds the memory for thousands of candidates
_RAW = 256  # points of the even sample
_CLIMBS = 4
_NEAR = 0.05  # of the unit box: how far around the best points so far it looks


@dataclass(frozen=True)
class Graded:
    """An acquisition function whose gradient is known: the larger, the better. Sums of them are."""

    values: Callable[[Floats], Floats]
    """[b], at points X [b, D] of the unit box."""
    slopes: Callable[[Floats], tuple[Floats, Floats]]
    """The same, and their gradients [b, D]."""

    def __add__(self, other: Graded) -> Graded:
        def slopes(X: Floats) -> tuple[Floats, Floats]:
            (value, slope), (more, rise) = self.slopes(X), other.slopes(X)
            return value + more, slope + rise

        return Graded(lambda X: self.values(X) + other.values(X), slopes)


def differentiated(acquisition: Acquisition) -> Graded:
    """A function of torch with the gradients that torch finds."""
    import torch

    def values(X: Floats) -> Floats:
        with torch.no_grad():
            found: Floats = acquisition(torch.from_numpy(X)).numpy()
        return found

    def slopes(X: Floats) -> tuple[Floats, Floats]:
        t = torch.tensor(X, requires_grad=True)
        found = acquisition(t)
        (slope,) = torch.autograd.grad(found.sum(), t, materialize_grads=True)
        return found.detach().numpy(), slope.numpy()

    return Graded(values, slopes)


def torch_loss(loss: Acquisition) -> Loss:
    """A number that torch computes of [k] numbers, with its gradient."""
    import torch

    def value_and_gradient(x: Floats) -> tuple[float, Floats]:
        t = torch.tensor(x, dtype=torch.double, requires_grad=True)
        value = loss(t)
        (gradient,) = torch.autograd.grad(value, t)
        return float(value.detach()), gradient.numpy()

    return value_and_gradient


def best_points(acquisition: Graded, space: Space, seed: int, near: Floats) -> Floats:
    """Points [r, D] of the space, best first: all of a listed space, else local maxima and, behind them, where they were sought.

    Climbs from the best of an even sample and of the neighborhood of `near` [k, D].
    """
    if space.listed:
        return _ranked(acquisition, space.points)
    random = np.random.default_rng([seed, 1])
    around = near[random.integers(len(near), size=_RAW // 4)] if len(near) else near
    around = space.snap(np.clip(around + space.is_graded * _NEAR * random.standard_normal(around.shape), 0, 1))
    X = _ranked(acquisition, np.concatenate([space.sample(_RAW, [seed, 2]), around[space.is_allowed(around)]]))
    climbed = _climb(acquisition, space, X[:_CLIMBS])
    for _ in range(3):
        moves = space.moves(climbed[0])
        if not len(moves):
            break
        tops = np.concatenate([climbed[:1], _ranked(acquisition, moves)[:2]])
        climbed = np.concatenate([_climb(acquisition, space, tops), climbed])
        if np.array_equal(climbed[0], tops[0]):
            break
    return np.concatenate([climbed, X])


def _ranked(acquisition: Graded, X: Floats) -> Floats:
    """X [n, D], best first."""
    values = [acquisition.values(X[i : i + _CHUNK]) for i in range(0, len(X), _CHUNK)]
    return X[np.argsort(-np.concatenate(values), kind="stable")]


def _climb(acquisition: Graded, space: Space, X: Floats) -> Floats:
    """Local maxima [r, D] near allowed points X [r, D], best first; columns without a gradient stay where they are."""
    free = space.is_graded
    if not free.any():
        return _ranked(acquisition, X)

    def loss_from(starts: Floats) -> Loss:
        def loss(x: Floats) -> tuple[float, Floats]:
            full = starts.copy()
            full[:, free] = x.reshape(len(starts), -1)
            value, slope = acquisition.slopes(full)
            return -float(value.sum()), -slope[:, free].ravel()

        return loss

    climbed, n = X.copy(), int(free.sum())
    if not len(space.rows):
        # One problem for all: the sum is separable, and one call of the acquisition serves every climber.
        climbed[:, free] = lowest_point(loss_from(X), X[:, free].ravel(), [(0.0, 1.0)] * (len(X) * n)).reshape(-1, n)
    else:
        for i, start in enumerate(X):
            limits = space.limits - space.rows[:, ~free] @ start[~free]
            climbed[i, free] = lowest_point(loss_from(start[None]), start[free], [(0.0, 1.0)] * n, space.rows[:, free], limits)
    climbed = space.snap(climbed)
    return _ranked(acquisition, np.concatenate([climbed[space.is_allowed(climbed)], X]))[: len(X)]
