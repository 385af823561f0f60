"""Spectra as sums of Gaussian bands."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Bands: TypeAlias = Sequence[tuple[float, float, float]]
"""Center in nm, sigma in nm, and height of each band."""


def gaussian_bands(bands: Bands, wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of the bands at wavelengths [n], nm, in the unit of their heights, [n].

    >>> gaussian_bands([(500.0, 20.0, 2.0), (600.0, 10.0, 1.0)], np.array([500.0, 600.0])).round(4).tolist()
    [2.0, 1.0]
    """
    each = [height * np.exp(-0.5 * ((wavelength - center) / sigma) ** 2) for center, sigma, height in bands]
    total: NDArray[np.float64] = np.sum(each, axis=0)
    return total
