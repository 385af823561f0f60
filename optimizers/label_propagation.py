"""Let labels spread from what was measured to its neighbors, and look where they meet: phase diagram construction as published."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from frugaltwin.experiment import Experiment, Settings, Trial
from frugaltwin.goals import Goal, mapped
from frugaltwin.prediction import Prediction
from optimizers.models.mapping import (
    Integers,
    borders,
    check_starts,
    chosen_settings,
    elbow_room,
    known_labels,
    map_prediction,
)
from optimizers.space.search import Acquisition
from optimizers.space.space import Floats, Space

_NODES = 1000  # places that pass labels on: all of a listed space, if it has no more
_GAMMA = 20.0  # of the radial kernel on standardized settings, as in the source
_REST = 1e-6  # of its chances a place takes from all labels seen alike: all that reaches a place far from everything
_LEAST = 1e-9  # of a worth, whose logarithm is taken


@dataclass(frozen=True)
class LabelPropagation:
    """Label propagation and least confidence: phase diagram construction (PDC) as published, the baseline of the maps.

    Labels spread over places that lie close together until nothing changes. It asks where the likeliest label has the lowest
    chance. It holds measured labels for certain: of several labels at the same settings, the commonest counts.

    ============== ================ ==========================================================================
    option         default          meaning
    ============== ================ ==========================================================================
    starts         5                evenly spread settings before the model takes over, 1 to 1000
    seed           0                of everything random
    ============== ================ ==========================================================================

    As long as all labels are alike it looks as far as possible from everything tried.

    Sources: Terayama et al., Phys. Rev. Mater. 3 (2019) 033802, doi:10.1103/PhysRevMaterials.3.033802; Zhu & Ghahramani,
    CMU-CALD-02-107 (2002) (label propagation).
    """

    seed: int = 0
    starts: int = 5

    def __post_init__(self) -> None:
        check_starts(self.starts)

    def suggest(
        self, experiment: Experiment, goal: Goal, history: Sequence[Trial], count: int = 1, pending: Sequence[Settings] = ()
    ) -> list[Settings]:
        goal, space = mapped(goal, "label-propagation"), Space.of(experiment)
        X, labels = known_labels(space, goal, history)
        if len(set(labels.tolist())) < 2:
            return chosen_settings(space, history, pending, count, self.seed, self.starts, None, X)
        spread = Spread(space, X, labels, len(goal.labels), self.seed)

        # Between nodes nothing is told: without a list of places, it would halve one gap in a border for ever.
        gap = elbow_room(X[:0] if space.listed else X, _NODES ** (-1 / max(space.size, 1)))

        def worth(busy: Floats) -> Acquisition:
            room = elbow_room(busy)
            return lambda X: (1 - spread.chances(X).amax(1) + _LEAST).log() + room(X) + gap(X)

        return chosen_settings(space, history, pending, count, self.seed, self.starts, worth, borders(X, labels))

    def predict(self, experiment: Experiment, goal: Goal, history: Sequence[Trial], settings: Sequence[Settings]) -> Prediction:
        goal, space = mapped(goal, "label-propagation"), Space.of(experiment)
        spread = Spread(space, *known_labels(space, goal, history), len(goal.labels), self.seed)
        return map_prediction(goal, space, settings, spread.chances)


class Spread:
    """Labels as they have spread over the nodes. Between nodes a place takes its chances from those around it."""

    def __init__(self, space: Space, X: Floats, labels: Integers, n_labels: int, seed: int) -> None:
        """Spread the labels [n], numbers below n_labels, from points X [n, D]."""
        known, at = np.unique(X, axis=0, return_inverse=True)
        votes = np.zeros((len(known), n_labels))
        np.add.at(votes, (at.ravel(), labels), 1)
        nodes = space.sample(_NODES, [seed, 4], is_even=not space.listed)
        nodes = nodes[((nodes[:, None] - known) ** 2).sum(-1).min(1) > 1e-12]
        nodes = np.concatenate([known, nodes])
        deviation = nodes.std(0)
        self._scale = torch.from_numpy(np.where(deviation > 0, deviation, 1.0))
        self._nodes = torch.from_numpy(nodes) / self._scale
        told = torch.nn.functional.one_hot(torch.from_numpy(votes.argmax(1)), n_labels).double()
        self._table = torch.cat([told, spread_labels(self._shares(self._nodes), told)])

    def _shares(self, X: Tensor) -> Tensor:
        """What standardized points X [b, D] take from every node, [b, N]; rows add up to 1."""
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
