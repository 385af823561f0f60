"""Where in a space an acquisition function is largest."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from optimizers.space import Floats, Space

Acquisition: TypeAlias = Callable[[Tensor], Tensor]
"""A value [b] for points X [b, D] of the unit box, differentiable: the larger, the better."""

_CHUNK = 512  # points at once: bounds the memory for thousands of candidates


def values(acquisition: Acquisition, X: Floats) -> Floats:
    """The acquisition at X [n, D], [n]."""
    with torch.no_grad():
        return np.concatenate([acquisition(torch.from_numpy(X[i : i + _CHUNK])).numpy() for i in range(0, len(X), _CHUNK)])


def best_points(acquisition: Acquisition, space: Space, seed: int, near: Floats, n_raw: int = 256, n_starts: int = 4) -> Floats:
    """Points [r, D] of the space, best first: all of a listed space, else local maxima and, behind them, samples.

    Climbs from the best of an even sample and of the neighborhood of `near` [k, D].
    """
    if space.listed:
        return space.points[np.argsort(-values(acquisition, space.points), kind="stable")]
    X = space.sample(n_raw, [seed, 1])
    random = np.random.default_rng([seed, 2])
    if len(near):
        around = near[random.integers(len(near), size=n_raw // 4)]
        around = around + space.continuous * 0.05 * random.standard_normal(around.shape)
        around = space.snap(np.clip(around, 0, 1))
        X = np.concatenate([X, around[space.is_allowed(around)]])
    X = X[np.argsort(-values(acquisition, X), kind="stable")]
    climbed = _climb(acquisition, space, X[:n_starts])
    if not space.continuous.all():
        for _ in range(3):
            best = climbed[0]
            moves = space.moves(best)
            if not len(moves):
                break
            moves = moves[np.argsort(-values(acquisition, moves), kind="stable")]
            climbed = _climb(acquisition, space, np.concatenate([climbed[:1], moves[:2]]))
            if np.array_equal(climbed[0], best):
                break
    return np.concatenate([climbed, X])


def _climb(acquisition: Acquisition, space: Space, X: Floats) -> Floats:
    """Local maxima [r, D] near X [r, D], best first; discrete and categorical columns stay where they are."""
    free = space.continuous
    shape = (len(X), int(free.sum()))

    def loss(x: Floats, start: Floats) -> tuple[float, Any]:
        t = torch.from_numpy(start.copy())
        t[:, free] = torch.from_numpy(x.reshape(len(start), -1))
        t.requires_grad_(True)
        value = -acquisition(t).sum()
        (gradient,) = torch.autograd.grad(value, t)
        return float(value.detach()), gradient[:, free].numpy().ravel()

    climbed = X.copy()
    if shape[1] and not len(space.rows):
        found = minimize(
            loss, X[:, free].ravel(), args=(X,), jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * (shape[0] * shape[1]), options={"maxiter": 40}
        )
        climbed[:, free] = found.x.reshape(shape)
    elif shape[1]:
        for i, start in enumerate(X):
            rows, limits = space.rows[:, free], space.limits - space.rows[:, ~free] @ start[~free]
            within = {"type": "ineq", "fun": lambda x, A=rows, b=limits: b - A @ x, "jac": lambda x, A=rows: -A}
            found = minimize(
                loss, start[free], args=(start[None],), jac=True, method="SLSQP", bounds=[(0.0, 1.0)] * shape[1], constraints=[within], options={"maxiter": 40}
            )
            climbed[i, free] = _pulled_inside(np.clip(found.x, 0, 1), start[free], rows, limits)
    both = np.concatenate([climbed, X])
    both = both[np.isfinite(both).all(axis=1)]
    return both[np.argsort(-values(acquisition, both), kind="stable")][: len(X)]


def _pulled_inside(x: Floats, start: Floats, rows: Floats, limits: Floats) -> Floats:
    """The last allowed point on the way from an allowed start to x."""
    speed, room = rows @ (x - start), np.maximum(limits - rows @ start, 0.0)
    t = min(1.0, float(np.min(room[speed > 0] / speed[speed > 0], initial=1.0)))
    return start + t * (x - start)
