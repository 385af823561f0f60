"""Dissolved dyes: Beer-Lambert absorption."""

import numpy as np
from numpy.typing import NDArray


def transmittance(concentrations: NDArray[np.float64], absorptivities: NDArray[np.float64], path: float = 1.0) -> NDArray[np.float64]:
    """Fraction of light left, [..., w], after `path` cm of k dyes at `concentrations` [..., k].

    Args:
        absorptivities: Absorbance per cm and per unit of concentration, [k, w].

    Source: Beer-Lambert law, Swinehart, J. Chem. Educ. 39 (1962) 333, doi:10.1021/ed039p333.

    >>> transmittance(np.array([1.0, 0.5]), np.array([[1.0, 0.0], [0.0, 2.0]])).round(6).tolist()
    [0.1, 0.1]
    """
    absorbance = concentrations @ absorptivities
    left: NDArray[np.float64] = np.exp(-np.log(10) * path * absorbance)
    return left
