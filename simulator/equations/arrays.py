"""Arrays of numpy and of torch alike, for equations that keep gradients."""

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""A numpy array or a torch tensor; where numbers and lists are taken too, these count as numpy's. The array API has no static type yet."""

_NUMPY = (np.ndarray, np.generic, float, int, list, tuple)


def namespace(array: Array) -> Any:
    """The functions of an array's library: numpy itself for numpy, and the array API's for others."""
    if isinstance(array, np.ndarray | np.generic):
        return np
    import array_api_compat

    return array_api_compat.array_namespace(array)


def floats(*values: Array) -> tuple[Any, ...]:
    """The functions of the library of the arrays among the values, then all values as its arrays of floats."""
    others = [v for v in values if not isinstance(v, _NUMPY)]
    if not others:
        return np, *(np.asarray(v, dtype=float) for v in values)
    return namespace(others[0]), *(as_array(v, others[0]) for v in values)


def as_array(value: Array, like: Array) -> Array:
    """A number, a list or an array in the library of the array `like`; an array of that library stays as it is, with its gradient."""
    return namespace(like).asarray(value, dtype=like.dtype, device=like.device) if isinstance(value, _NUMPY) else value


def x_log_x(x: Array) -> Array:
    """x ln x, [...]; 0 at 0, and its gradient stays finite there."""
    xp = namespace(x)
    return xp.where(x > 0, x * xp.log(xp.where(x > 0, x, 1.0)), 0.0)
