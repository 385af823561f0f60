"""Feasibility: the chance that an experiment succeeds, learned from failed trials."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import log_ndtr

from frugaltwin.experiment import Settings, Trial
from optimizers.space.search import Graded
from optimizers.space.space import Floats, Space

_REACH = 0.3  # how far a failure is believed to reach, per root of the dimension of the unit box
_DOUBT = 0.1  # how far a regression value must lie from 1/2 to be trusted


def failures(history: Sequence[Trial]) -> list[Settings]:
    """The settings of the trials that failed because of these."""
    return [t.settings for t in history if t.measurement is None and t.source != "stopped" and not t.is_retracted]


def log_feasibility(space: Space, history: Sequence[Trial]) -> Graded:
    """The logarithm of the chance that an experiment at points X [b, D] succeeds, [b]: 0 where nothing is known.

    A Gaussian process regression on 1 (failed) and 0 (measured), and a probit of its value. Added to a logarithmic acquisition
    function, it weights improvement by the chance to see it.
    Source: Gelbart, Snoek & Adams, UAI (2014), arXiv:1403.5607 (the weighting).
    """
    history = [t for t in history if t.source != "stopped" and not t.is_retracted]  # these say nothing about the settings
    failed = np.array([t.measurement is None for t in history], dtype=float)
    if not failed.any():
        return Graded(lambda X: np.zeros(len(X)), lambda X: (np.zeros(len(X)), np.zeros_like(X)))
    known = space.encode([t.happened for t in history])
    reach = _REACH * math.sqrt(max(space.size, 1))

    def kernel(A: Floats) -> tuple[Floats, Floats]:
        # Not a smooth kernel: that would swing past a cliff between success and failure.
        distance = np.sqrt(((A[:, None] - known) ** 2).sum(-1) + 1e-12)
        return np.exp(-distance / reach), distance

    weights = np.linalg.solve(kernel(known)[0] + 1e-3 * np.eye(len(known)), failed)

    def slopes(X: Floats) -> tuple[Floats, Floats]:
        k, distance = kernel(X)
        z = (0.5 - k @ weights) / _DOUBT
        value = log_ndtr(z)
        pull = k * weights / (reach * distance)
        steep = np.exp(-z * z / 2 - math.log(2 * math.pi) / 2 - value) / _DOUBT
        return value, steep[:, None] * (X * pull.sum(1)[:, None] - pull @ known)

    return Graded(lambda X: log_ndtr((0.5 - kernel(X)[0] @ weights) / _DOUBT), slopes)
