"""Expected improvement, and its derivatives."""

import math

import numpy as np
from scipy.special import erfcx, log_ndtr

from optimizers.models.gaussian_process import GaussianProcess
from optimizers.space.search import Graded
from optimizers.space.space import Floats

_TAIL = 1e3  # standard deviations below the best from which on the asymptote is exact to rounding


def log_improvement(mean: Floats, deviation: Floats, best: float) -> tuple[Floats, Floats, Floats]:
    """The logarithm of E max(0, y - best) for normal y of this mean [b] and deviation [b]; its derivatives with respect to these, [b].

    Source: Ament et al., NeurIPS (2023), arXiv:2310.20708, equations 8 and 9.

    >>> value, of_mean, of_deviation = log_improvement(np.array([0.0]), np.array([1.0]), 0.0)
    >>> [round(float(x[0]), 6) for x in (np.exp(value), of_mean, of_deviation)]
    [0.398942, 1.253314, 1.0]
    """
    z = (mean - best) / deviation
    below = np.minimum(z, -1.0)
    # 1 - sqrt(π/2) |z| erfcx(|z| / sqrt(2)) loses all digits far below, where it is 1 / z².
    rest = 1 + math.sqrt(math.pi / 2) * below * erfcx(-below / math.sqrt(2))
    tail = np.where(below < -_TAIL, -2 * np.log(-below), np.log(np.maximum(rest, 1e-16)))
    above = np.maximum(z, -1.0)
    density = np.exp(-above * above / 2) / math.sqrt(2 * math.pi)
    log_h = np.where(z > -1, np.log(density + above * np.exp(log_ndtr(above))), tail - below * below / 2 - math.log(2 * math.pi) / 2)
    steep = np.exp(log_ndtr(z) - log_h)
    return log_h + np.log(deviation), steep / deviation, (1 - steep * z) / deviation


def improvement(model: GaussianProcess, best: float, curiosity: float = 0.0) -> Graded:
    """The logarithm of the expected improvement of one output on a value.

    Args:
        curiosity: Share of a standard deviation that is added to the improvement: what is learned is worth something, too. Without
            it, a place where everything failed may be asked for again and again, because no other promises any improvement.
    """
    least = math.log(curiosity) if curiosity else -math.inf

    def values(X: Floats) -> Floats:
        mean, deviation = model.expected(X)
        value = log_improvement(mean[:, 0], deviation[:, 0], best)[0]
        return np.logaddexp(value, least + np.log(deviation[:, 0]))

    def slopes(X: Floats) -> tuple[Floats, Floats]:
        mean, deviation, of_mean, of_deviation = model.expected_slopes(X)
        value, by_mean, by_deviation = log_improvement(mean, deviation, best)
        total = np.logaddexp(value, least + np.log(deviation))
        share = np.exp(value - total)
        by_deviation = share * by_deviation + (1 - share) / deviation
        return total, (share * by_mean)[:, None] * of_mean + by_deviation[:, None] * of_deviation

    return Graded(values, slopes)


def expectation(model: GaussianProcess) -> Graded:
    """The mean of one output."""
    return Graded(lambda X: model.mean(X)[:, 0], lambda X: (model.mean(X)[:, 0], model.mean_slopes(X)))
