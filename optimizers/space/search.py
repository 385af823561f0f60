"""The search for the maximum of an acquisition function over a space."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from optimizers.space.descent import lowest_point
from optimizers.space.space import Floats, Space

Acquisition: TypeAlias = Callable[[Tensor], Tensor]
"""A value [b] for points X [b, D] of the unit box, differentiable: the larger, the better."""

_CHUNK = 512  # points at once: bounds the memory for thousands of candidates
_RAW = 256  # points of the even sample
_CLIMBS = 4
_NEAR = 0.05  # of the unit box: how far around the best points so far it looks


def best_points(acquisition: Acquisition, space: Space, seed: int, near: Floats) -> Floats:
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


def _ranked(acquisition: Acquisition, X: Floats) -> Floats:
    """X [n, D], best first."""
    with torch.no_grad():
        values = [acquisition(torch.from_numpy(X[i : i + _CHUNK])).numpy() for i in range(0, len(X), _CHUNK)]
    return X[np.argsort(-np.concatenate(values), kind="stable")]


def _climb(acquisition: Acquisition, space: Space, X: Floats) -> Floats:
    """Local maxima [r, D] near allowed points X [r, D], best first; columns without a gradient stay where they are."""
    free = space.is_graded
    if not free.any():
        return _ranked(acquisition, X)

    def loss(starts: Floats, x: Tensor) -> Tensor:
        full = torch.from_numpy(starts.copy())
        full[:, free] = x.reshape(len(starts), -1)
        return -acquisition(full).sum()

    climbed, n = X.copy(), int(free.sum())
    if not len(space.rows):
        # One problem for all: the sum is separable, and one call of the acquisition serves every climber.
        climbed[:, free] = lowest_point(partial(loss, X), X[:, free].ravel(), [(0.0, 1.0)] * (len(X) * n)).reshape(-1, n)
    else:
        for i, start in enumerate(X):
            limits = space.limits - space.rows[:, ~free] @ start[~free]
            climbed[i, free] = lowest_point(partial(loss, start[None]), start[free], [(0.0, 1.0)] * n, space.rows[:, free], limits)
    climbed = space.snap(climbed)
    return _ranked(acquisition, np.concatenate([climbed[space.is_allowed(climbed)], X]))[: len(X)]
