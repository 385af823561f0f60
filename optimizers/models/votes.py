"""Votes: every measured point votes for its label, the more so the nearer it is."""

import numpy as np
import torch
from torch import Tensor

from optimizers.models.mapping import Integers
from optimizers.space.space import Floats

_NOBODY = 0.05  # of a vote that is shared out among all labels: what is believed far from everything


class Votes:
    """The chances of labels by a vote of everything measured, with a width that shrinks with how densely was measured.

    A kernel estimate: the chance of a label is its share of the votes exp(-d²/2w²), d the distance of the voter. The width w is the
    median distance of a measured point from its nearest neighbor. So there is doubt where fields meet, and as much in empty space,
    and a field that is seen once has a place at once.
    """

    def __init__(self, X: Floats, labels: Integers, n_labels: int) -> None:
        """Count the labels [n], numbers below n_labels, at points X [n, D]."""
        self._X = torch.from_numpy(X)
        self._is = torch.nn.functional.one_hot(torch.from_numpy(labels), n_labels).double()
        known = torch.unique(self._X, dim=0)
        nearest = torch.cdist(known, known).fill_diagonal_(np.inf).amin(1) if len(known) > 1 else torch.ones(1, dtype=torch.double)
        self._precision = 1 / (2 * float(nearest.median()) ** 2)

    def chances(self, X: Tensor) -> Tensor:
        """The chance [b, n_labels] of every label at points X [b, D]."""
        square = (X[:, None] - self._X).square().sum(-1)
        votes = torch.exp(-square * self._precision) @ self._is + _NOBODY / self._is.shape[1]
        return votes / votes.sum(1, keepdim=True)
