"""Parts that all map strategies share: known labels, evenly spread first settings, and the choice of the next ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Continuous, Settings
from frugaltwin.goals import Map
from frugaltwin.goals.suitable import mapped
from frugaltwin.state import Prediction, State, Suggestion
from optimizers.models.feasibility import log_feasibility
from optimizers.models.reasons import EVEN, FAR_AWAY, UNCERTAIN_LABEL
from optimizers.space.search import CLIMBS, Acquisition, Graded, best_points, differentiated
from optimizers.space.space import Floats, Space

Integers = NDArray[np.int64]

Chances = Callable[[Tensor], Tensor]
"""The chance [b, C] of every label at points X [b, D]."""

_AHEAD = 64  # points of the even sample to choose from, in case some were tried
_CHUNK = 512  # points at once: bounds the memory for thousands of settings
_SPREAD = 0.1  # how far pending points keep others away, per root of the dimension of the unit box
_END = 0.02  # how near to the end of a continuous parameter a place tells less, as a share of its range
_LEAST = 1e-12


def check_starts(starts: int) -> None:
    """Refuse an impossible number of settings before the model.

    Raises:
        InvalidInput: It is not in [1, 1000].
    """
    if not 1 <= starts <= 1000:
        raise InvalidInput(f"starts = {starts} is outside [1, 1000]")


@dataclass(frozen=True)
class Labeled:
    """The labels that were read so far, and the map that they are of."""

    state: State
    goal: Map
    space: Space
    X: Floats
    """Points [n, D] of the trials that did not fail."""
    labels: Integers
    """The numbers [n] of their labels."""

    @classmethod
    def of(cls, state: State, strategy: str) -> Self:
        """The labels that a strategy of this name knows.

        Raises:
            InvalidInput: The goal is no map.
        """
        state = state.at_fidelity()
        goal, space = mapped(state.goal, strategy), Space.of(state.experiment)
        pairs = [(t.happened, label) for t in state.trials if (label := goal.label_of_trial(t)) is not None]
        labels = np.array([goal.labels.index(label) for _, label in pairs], dtype=np.int64)
        return cls(state, goal, space, space.encode([s for s, _ in pairs]), labels)

    @property
    def n_labels(self) -> int:
        """The number of labels that there can be."""
        return len(self.goal.labels)

    def least_certain(
        self, count: int, seed: int, starts: int, doubt: Callable[[], Acquisition], apart: float, climbs: int = CLIMBS
    ) -> list[Suggestion]:
        """The next settings, where the likeliest label is least certain; far from all that was tried, as long as all labels are alike.

        Args:
            doubt: Fits a model: the logarithm of how uncertain the likeliest label is.
            apart: How far apart measurements tell something new, per root of the dimension. Where any place can be asked for, a model
                would otherwise look for ever where three fields meet.
            climbs: The number of points to climb from; 0 for a doubt that has steps.
        """
        if len(set(self.labels.tolist())) < 2:
            return chosen_settings(self.space, self.state, count, seed, starts, None, self.X)
        open_question, gap = doubt(), distance_penalty(self.X[:0] if self.space.listed else self.X, apart)

        def worth(busy: Floats) -> Acquisition:
            room = distance_penalty(busy)
            return lambda X: open_question(X) + room(X) + gap(X)

        near = borders(self.X, self.labels)
        return chosen_settings(self.space, self.state, count, seed, starts, worth, near, UNCERTAIN_LABEL, climbs)

    def prediction(self, settings: Sequence[Settings], chances: Chances) -> Prediction:
        """The chance of every label at these settings."""
        with torch.no_grad():
            table = torch.cat([chances(X) for X in torch.split(torch.from_numpy(self.space.encode(settings)), _CHUNK)]).numpy()
        return Prediction(probabilities={label: table[:, k] for k, label in enumerate(self.goal.labels)})


def borders(X: Floats, labels: Integers) -> Floats:
    """The middle [k, D] between every point of X [n, D] and the nearest one with another label [n]."""
    square = ((X[:, None] - X) ** 2).sum(-1)
    square[labels[:, None] == labels] = math.inf
    has = np.isfinite(square).any(axis=1)
    middle: Floats = (X[has] + X[square[has].argmin(axis=1)]) / 2
    return np.unique(middle, axis=0)


def chosen_settings(
    space: Space,
    state: State,
    count: int,
    seed: int,
    starts: int,
    worth: Callable[[Floats], Acquisition | Graded] | None,
    near: Floats,
    why: str = "",
    climbs: int = CLIMBS,
) -> list[Suggestion]:
    """The next settings: evenly spread ones first, then those with the most to learn, and few failures to fear.

    Args:
        worth: Makes, of the points that are busy [p, D], what a measurement is worth, as a logarithm or in units of one. None where
            nothing tells one place from another (all labels alike, or none): then as far as can be from all that was tried.
        near: Points [k, D] where the border is believed.
        why: The reason for a suggestion that `worth` chose.
        climbs: The number of points to climb from.
    """
    trials = state.trials
    chance = log_feasibility(space, trials)
    n_known = sum(t.measurement is not None for t in trials)
    chosen: list[Settings] = []
    whys: list[str] = []
    while len(chosen) < count:
        busy = [*state.unavailable, *chosen]
        turn = len(trials) + len(busy)
        if n_known + len(busy) < starts:
            X = space.sample(turn + _AHEAD, seed)[turn:]
            whys.append(EVEN)
        else:
            taken = space.encode([*(t.settings for t in trials), *busy])
            value = worth(space.encode(busy)) if worth else distance(taken)
            X = best_points(
                (value if isinstance(value, Graded) else differentiated(value)) + chance, space, seed + turn, near, climbs=climbs
            )
            whys.append(why if worth else FAR_AWAY)
        chosen += space.untried(X, 1, state, chosen)
    return [Suggestion(s, why) for s, why in zip(chosen, whys, strict=True)]


def distance(taken: Floats) -> Acquisition:
    """The logarithm of how far points X [b, D] are from the nearest of those taken [p, D], [b]."""
    points = torch.from_numpy(taken)
    return lambda X: ((X[:, None] - points).square().sum(-1) + _LEAST).amin(1).log() / 2


def distance_penalty(busy: Floats, spread: float = _SPREAD) -> Acquisition:
    """The logarithm of the information that points X [b, D] add to pending ones [p, D], [b]: 0 far from all of them.

    Args:
        spread: How far a pending point reaches, per root of the dimension.
    """
    if not busy.size:
        return lambda X: X.new_zeros(len(X))
    points = torch.from_numpy(busy)
    reach = 2 * spread**2 * busy.shape[1]
    return lambda X: (_LEAST - torch.expm1(-(X[:, None] - points).square().sum(-1) / reach)).log().sum(1)


def end_penalty(space: Space) -> Acquisition:
    """The logarithm of the information at points X [b, D] that is left near the ends of continuous parameters, [b]: 0 far from them.

    A place at an end has neighbors on one side only, and a mixture of one component alone shows an instrument one phase, whatever field
    it is the end of. Listed settings are as somebody wants them: all of them count.
    """
    free = [j for j, p in enumerate(space.experiment.parameters) if isinstance(p, Continuous) and np.ptp(_spans(space)[j]) > 0]
    if space.listed or not free:
        return lambda X: X.new_zeros(len(X))
    low, high = _spans(space)[free].T
    slope = torch.from_numpy(space.slope[free] / (high - low)[:, None])
    origin = torch.from_numpy((space.origin[free] - low) / (high - low))

    def values(X: Tensor) -> Tensor:
        share = X @ slope.T + origin
        near = torch.minimum(share, 1 - share).clamp_min(0)
        return (_LEAST - torch.expm1(-(near / _END).square() / 2)).log().sum(1)

    return values


def _spans(space: Space) -> Floats:
    """The lowest and the highest value [d, 2] of every parameter in the units of the space, over its box."""
    low = space.origin + np.minimum(space.slope, 0).sum(1)
    return np.stack([low, space.origin + np.maximum(space.slope, 0).sum(1)], axis=1)
