"""Local minimization of a differentiable function by scipy's algorithms."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from scipy.optimize import minimize

from optimizers.space.space import Floats

Loss: TypeAlias = Callable[[Floats], tuple[float, Floats]]
"""A value and its gradient [k], of [k] numbers."""

_STEPS = 40  # enough for the smooth functions here, whose last digits do not matter


def lowest_point(
    loss: Loss,
    start: Floats,
    box: Sequence[tuple[float, float]],
    rows: Floats | None = None,
    limits: Floats | None = None,
) -> Floats:
    """A local minimum [k] of `loss` of [k] numbers inside a box and, where rows [c, k] are given, rows · x ≤ limits [c].

    The start is inside. Sources: Zhu, Byrd, Lu & Nocedal, ACM Trans. Math. Softw. 23 (1997) 550, doi:10.1145/279232.279236
    (L-BFGS-B); Kraft, DFVLR-FB 88-28 (1988) (SLSQP).
    """
    options: dict[str, Any] = {"jac": True, "bounds": box, "options": {"maxiter": _STEPS}}
    low, high = np.array(box).T
    if rows is None or limits is None:
        found: Floats = minimize(loss, start, method="L-BFGS-B", **options).x
        return np.clip(found, low, high)
    inside: Any = {"type": "ineq", "fun": lambda x: limits - rows @ x, "jac": lambda x: -rows}
    found = minimize(loss, start, method="SLSQP", constraints=inside, **options).x
    x = np.clip(found, low, high) if np.isfinite(found).all() else start
    # SLSQP may end a little outside: go back along the line to the start, which is inside, as are all points between.
    speed, room = rows @ (x - start), np.maximum(limits - rows @ start, 0.0)
    reach = np.min(room[speed > 0] / speed[speed > 0], initial=1.0)
    return np.asarray(start + reach * (x - start))
