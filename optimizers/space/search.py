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

_CHUNK = 2048  # points at once: bounds the memory for thousands of candidates, and lets an interruption be heard
_RAW = 256  # points of the even sample
CLIMBS = 4  # points to climb from
_NEAR = (0.2, 0.05, 0.01)  # of the unit box: how far around the best points so far it looks
_AROUND = 64  # points at each of these distances
_MOVED = 8  # columns that change at once around a point, on average: in many dimensions few things are worth changing
_APART = 0.02  # of the unit box, between points that are climbed from
_CROSSED = 8  # of the best points, which are tried with all combinations of names and levels
_LISTED = 1024  # of a listed space: more than the first of them nobody asks for
_FINE = 32  # points that a cheap approximation thinks best: the acquisition function sorts these


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


def best_points(acquisition: Graded, space: Space, seed: int, near: Floats, rough: Graded | None = None, climbs: int = CLIMBS) -> Floats:
    """Points [r, D] of the space, best first: of a listed space the best ones, else local maxima and, behind them, where they were sought.

    Climbs from the best of an even sample and of the neighborhood of `near` [k, D], each with all combinations of names and levels,
    where these are not too many to try; else it moves one of them at a time.

    Args:
        rough: A cheap approximation of the acquisition function: it finds the points that are looked at closely.
        climbs: The number of points to climb from; with 0 the best of those that were tried are returned.
    """

    def ranked(X: Floats) -> Floats:
        if rough is None:
            return _ranked(acquisition, X)
        X = _ranked(rough, X)
        return np.concatenate([_ranked(acquisition, X[:_FINE]), X[_FINE:]])

    if space.listed:
        return ranked(space.points)[:_LISTED]
    X = ranked(np.concatenate([space.sample(_RAW, [seed, 2]), _around(space, near, np.random.default_rng([seed, 1]))]))
    if len(space.combinations):
        X = np.concatenate([ranked(_crossed(space, _distinct(X, _CROSSED))), X])
    if not climbs:
        return X
    climbed = _climb(acquisition, space, _distinct(X, climbs))
    for _ in range(3):
        moves = _crossed(space, climbed[:1]) if len(space.combinations) else space.moves(climbed[0])
        if not len(moves):
            break
        tops = np.concatenate([climbed[:1], _ranked(acquisition, moves)[:2]])
        climbed = np.concatenate([_climb(acquisition, space, tops), climbed])
        if np.array_equal(climbed[0], tops[0]):
            break
    return np.concatenate([climbed, X])


def _around(space: Space, near: Floats, random: np.random.Generator) -> Floats:
    """Allowed points near those given [k, D], and these themselves."""
    if not len(near):
        return near
    centers = near[random.integers(len(near), size=len(_NEAR) * _AROUND)]
    moved = space.is_graded & (random.random(centers.shape) < _MOVED / max(space.size, 1))
    steps = np.repeat(_NEAR, _AROUND)[:, None] * random.standard_normal(centers.shape)
    found = np.concatenate([near, np.clip(centers + moved * steps, 0, 1)])
    found = space.snap(found)
    return found[space.is_allowed(found)]


def _crossed(space: Space, X: Floats) -> Floats:
    """Points X [n, D] with every combination of names and levels, as far as these are allowed."""
    fixed = ~space.is_graded
    found = np.repeat(X, len(space.combinations), axis=0)
    found[:, fixed] = np.tile(space.combinations, (len(X), 1))
    return found[space.is_allowed(found)]


def _distinct(X: Floats, n: int) -> Floats:
    """The first n of points X [b, D] that are not close to one another."""
    chosen: list[int] = []
    for i, x in enumerate(X):
        if len(chosen) == n:
            break
        if not chosen or np.abs(X[chosen] - x).max(axis=1, initial=0.0).min() > _APART:
            chosen.append(i)
    return X[chosen]


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
