"""Labels that spread over a graph of places from those that were measured."""

import numpy as np
import torch
from torch import Tensor

from optimizers.models.mapping import Integers
from optimizers.space.space import Floats, Space

NODES = 1000  # places that pass labels on: all of a listed space, if it has no more
_GAMMA = 20.0  # of the radial kernel on standardized settings, as in the source
_REST = 1e-6  # of its chances a place takes from all labels seen alike: all that reaches a place far from everything


class LabelSpreading:
    """Labels as they have spread over the nodes. Between nodes a place takes its chances from those around it."""

    def __init__(self, space: Space, X: Floats, labels: Integers, n_labels: int, seed: int) -> None:
        """Spread the labels [n], numbers below n_labels, from points X [n, D]."""
        known, at = np.unique(X, axis=0, return_inverse=True)
        votes = np.zeros((len(known), n_labels))
        np.add.at(votes, (at.ravel(), labels), 1)
        nodes = space.sample(NODES, [seed, 4], is_even=not space.listed)
        nodes = nodes[((nodes[:, None] - known) ** 2).sum(-1).min(1) > 0]
        nodes = np.concatenate([known, nodes])
        deviation = nodes.std(0)
        self._scale = torch.from_numpy(np.where(deviation > 0, deviation, 1.0))
        self._nodes = torch.from_numpy(nodes) / self._scale
        told = torch.nn.functional.one_hot(torch.from_numpy(votes.argmax(1)), n_labels).double()
        self._table = torch.cat([told, spread_labels(self._shares(self._nodes), told)])

    def _shares(self, X: Tensor) -> Tensor:
        """The shares [b, N] that standardized points X [b, D] take from every node; rows add up to 1."""
        return (-_GAMMA * (X[:, None] - self._nodes).square().sum(-1)).softmax(1)

    def chances(self, X: Tensor) -> Tensor:
        """The chance [b, C] of every label at points X [b, D]."""
        return self._shares(X / self._scale) @ self._table


def spread_labels(shares: Tensor, told: Tensor) -> Tensor:
    """The chances [N - n, C] where labels have spread until nothing changes, given the labels told [n, C] of the first n of N nodes.

    shares [N, N] are what every node takes from the others; the limit of the iteration has the closed form of the source.
    Source: Zhu & Ghahramani, CMU-CALD-02-107 (2002), equation 5.
    """
    n, N = len(told), len(shares)
    seen = told.amax(0) / told.amax(0).sum()
    system = torch.eye(N - n, dtype=shares.dtype) * (1 + _REST) - shares[n:, n:]
    chances: Tensor = torch.linalg.solve(system, shares[n:, :n] @ told + _REST * seen)
    return chances / chances.sum(1, keepdim=True)
