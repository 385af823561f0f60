"""Feasibility: the chance that an experiment succeeds, learned from failed trials."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from frugaltwin.experiment import Trial
from optimizers.space.search import Acquisition
from optimizers.space.space import Space

_REACH = 0.3  # how far a failure is believed to reach, per root of the dimension of the unit box
_DOUBT = 0.1  # how far a regression value must lie from 1/2 to be trusted


def log_feasibility(space: Space, history: Sequence[Trial]) -> Acquisition:
    """The logarithm of the chance that an experiment at points X [b, D] succeeds, [b]: 0 where nothing is known.

    A Gaussian process regression on 1 (failed) and 0 (measured), and a probit of its value. Added to a logarithmic acquisition
    function, it weights improvement by the chance to see it.
    Source: Gelbart, Snoek & Adams, UAI (2014), arXiv:1403.5607 (the weighting).
    """
    history = [t for t in history if t.source != "stopped" and not t.is_retracted]  # these say nothing about the settings
    failed = torch.tensor([t.measurement is None for t in history], dtype=torch.double)
    if not failed.any():
        return lambda X: X.new_zeros(len(X))
    known = torch.from_numpy(space.encode([t.settings for t in history]))

    def kernel(A: Tensor, B: Tensor) -> Tensor:
        # Not a smooth kernel: that would swing past a cliff between success and failure.
        return torch.exp(-((A[:, None] - B).square().sum(-1) + 1e-12).sqrt() / (_REACH * math.sqrt(max(space.size, 1))))

    weights = torch.linalg.solve(kernel(known, known) + 1e-3 * torch.eye(len(known), dtype=torch.double), failed)
    return lambda X: torch.special.log_ndtr((0.5 - kernel(X, known) @ weights) / _DOUBT)
