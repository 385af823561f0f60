"""Readings that a Gaussian process can hardly believe, given all the others."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from optimizers.space.space import Floats

_FEWEST = 8  # readings below which nothing is said
_FAR = 12.0  # robust standard deviations: no normal error is so far out
_UNLIKELY = 4.0  # standard deviations of the model: where all others agree closely, what they leave open is no fault
_UNLIKELY_BY_LAW = 12.0  # the same of a model with a law: it expects something far from all others, and is a little wrong there
_SHARE = 4  # of so many readings, one may be doubted
_FEWEST_TO_ASK = 6  # readings, the new one included, below which nobody is asked about it
_FAR_TO_ASK = 8.0  # a question costs less than a reading that is left out


def doubted(covariance: ArrayLike, z: ArrayLike, *, has_law: bool = False) -> Iterator[tuple[int, float, float]]:
    """The number of each of n readings [n] that is far from what the others make expect, with that expectation and its deviation.

    The farthest is left out and compared with how far the others lie from what *they* make expect: a bad reading spoils what is
    expected at all others, and makes all look noisy. So the covariance [n, n] is one that was not fitted to these readings.
    Sources: leaving one out, Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press (2006), equations 5.10 to 5.12;
    the median as measure of the usual, Hampel, J. Am. Stat. Assoc. 69 (1974) 383, doi:10.1080/01621459.1974.10482962.
    """
    covariance, z = np.asarray(covariance), np.asarray(z)
    kept = np.arange(len(z))
    while len(kept) >= max(_FEWEST, len(z) - len(z) // _SHARE):
        expected, deviation = _without_each(covariance[kept][:, kept], z[kept])
        k = int((np.abs(z[kept] - expected) / deviation).argmax())
        others = np.delete(kept, k)
        known, spread = _without_each(covariance[others][:, others], z[others])
        usual = 1.4826 * float(np.median(np.abs(z[others] - known) / spread))
        if abs(float(z[kept[k]] - expected[k])) / deviation[k] <= max(_FAR * usual, _UNLIKELY_BY_LAW if has_law else _UNLIKELY):
            return
        yield int(kept[k]), float(expected[k]), min(usual, 1.0) * float(deviation[k])
        kept = others


def surprising(covariance: ArrayLike, z: ArrayLike) -> tuple[float, float] | None:
    """The expectation of the last of n readings [n] and its deviation, if it is so far from there that a person is to be asked about it.

    As `doubted`, for one reading that nothing depends on yet; `benchmarks/doubted_readings.py` counts the questions.
    """
    covariance, z = np.asarray(covariance), np.asarray(z)
    if len(z) < _FEWEST_TO_ASK:
        return None
    expected, deviation = (float(values[-1]) for values in _without_each(covariance, z))
    known, spread = _without_each(covariance[:-1, :-1], z[:-1])
    usual = 1.4826 * float(np.median(np.abs(z[:-1] - known) / spread))
    if abs(float(z[-1]) - expected) / deviation <= max(_FAR_TO_ASK * usual, _UNLIKELY):
        return None
    return expected, min(usual, 1.0) * deviation


def _without_each(covariance: Floats, z: Floats) -> tuple[Floats, Floats]:
    """The expectation of each reading from all others, [n], and its standard deviation, [n]."""
    inverse = np.linalg.inv(covariance)
    variance = 1 / inverse.diagonal()
    return z - (inverse @ z) * variance, np.sqrt(variance)
