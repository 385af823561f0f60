"""Local minimization of a differentiable function: scipy's algorithms with torch's gradients."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy.optimize import LinearConstraint, minimize
from torch import Tensor

from optimizers.space.space import Floats

_STEPS = 40  # enough for the smooth functions here, whose last digits do not matter


def lowest_point(
    loss: Callable[[Tensor], Tensor],
    start: Floats,
    box: Sequence[tuple[float, float]],
    rows: Floats | None = None,
    limits: Floats | None = None,
) -> Floats:
    """A local minimum [k] of `loss` of [k] numbers inside a box and, where rows [c, k] are given, rows · x ≤ limits [c].

    The start is inside. Sources: Zhu, Byrd, Lu & Nocedal, ACM Trans. Math. Softw. 23 (1997) 550, doi:10.1145/279232.279236
    (L-BFGS-B); Kraft, DFVLR-FB 88-28 (1988) (SLSQP).
    """

    def value_and_gradient(x: Floats) -> tuple[float, Floats]:
        t = torch.tensor(x, dtype=torch.double, requires_grad=True)
        value = loss(t)
        (gradient,) = torch.autograd.grad(value, t)
        return float(value.detach()), gradient.numpy()

    options: dict[str, Any] = {"jac": True, "bounds": box, "options": {"maxiter": _STEPS}}
    low, high = np.array(box).T
    if rows is None or limits is None:
        found = minimize(value_and_gradient, start, method="L-BFGS-B", **options)
        return np.clip(found.x, low, high)
    found = minimize(value_and_gradient, start, method="SLSQP", constraints=[LinearConstraint(rows, ub=limits)], **options)
    x = np.clip(found.x, low, high) if np.isfinite(found.x).all() else start
    # SLSQP may end a little outside: go back along the line to the start, which is inside, as are all points between.
    speed, room = rows @ (x - start), np.maximum(limits - rows @ start, 0.0)
    reach = np.min(room[speed > 0] / speed[speed > 0], initial=1.0)
    inside: Floats = start + reach * (x - start)
    return inside
