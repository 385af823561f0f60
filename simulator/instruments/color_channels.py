"""Color channels of a sensor, and their calibration by reference mixtures of known color."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frugaltwin.color import cie_table
from simulator.instruments.sensors import Sensor


def channel_weights(sensor: Sensor) -> NDArray[np.float64]:
    """The matrix [81, n] from a transmittance spectrum to the referenced color channels: clean water reads 1."""
    names = list(sensor.bands)
    rows = sensor.counts_per_light(cie_table()["led_b4"])[[names.index(c) for c in sensor.color_channels]]
    weights: NDArray[np.float64] = (rows / rows.sum(axis=1, keepdims=True)).T
    return weights


def color_matrix(read: NDArray[np.float64], known: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix M [3, n] that turns channels [m, n] of references into their known XYZ [m, 3], by least squares.

    Weighted by Y^(-2/3), so that dark ones count as much to the eye; where all channels are 1 the color is exactly `reference` [3].
    """
    # M·1 = reference is built in: M = reference/n + N with N·1 = 0, that is, N acts on the differences from the mean channel.
    spread = read - read.mean(axis=1, keepdims=True)
    weight = known[:, 1:2] ** (-2 / 3)
    rest = known - read.mean(axis=1, keepdims=True) * reference
    n = np.linalg.lstsq(
        np.vstack([spread * weight, np.full((1, read.shape[1]), 1e3)]), np.vstack([rest * weight, np.zeros((1, 3))]), rcond=1e-6
    )[0]
    matrix: NDArray[np.float64] = n.T - n.T.mean(axis=1, keepdims=True) + reference[:, None] / read.shape[1]
    return matrix


def reference_mixtures() -> NDArray[np.float64]:
    """Shares of three full doses in each reference liquid, 0 to 1, [512, 3], spread evenly.

    `scipy.stats.qmc.Sobol(3, seed=0)`, kept in a file: a service that only names prices would else load 70 MB of SciPy for it.
    """
    return np.loadtxt(Path(__file__).parents[1] / "published" / "reference_mixtures.csv", delimiter=",", skiprows=1)
