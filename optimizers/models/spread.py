"""The spread of numbers, in whatever unit they are."""

import numpy as np

from optimizers.space.space import Floats

_ROUNDING = 1e-12  # of the largest number: a spread that the sums of equal numbers can have


def spread(values: Floats) -> float:
    """Standard deviation of numbers [n]; 0 where they differ by no more than rounding does.

    >>> spread(np.array([1e-12, 3e-12])), spread(np.array([0.1, 0.1, 0.1]))
    (1e-12, 0.0)
    """
    if not len(values):
        return 0.0
    deviation = float(values.std())
    return deviation if deviation > _ROUNDING * float(np.abs(values).max()) else 0.0
