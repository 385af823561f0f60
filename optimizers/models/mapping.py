"""Parts that all map strategies share: known labels, evenly spread first settings, and the choice of the next ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Settings, Trial
from frugaltwin.goals import Map
from frugaltwin.state import Prediction, State, Suggestion
from optimizers.models.feasibility import log_feasibility
from optimizers.models.reasons import EVEN, FAR_AWAY
from optimizers.space.search import Acquisition, Graded, best_points, differentiated
from optimizers.space.space import Floats, Space

Integers = NDArray[np.int64]

Chances = Callable[[Tensor], Tensor]
"""The chance [b, C] of every label at points X [b, D]."""

_AHEAD = 64  # points of the even sample to choose from, in case some were tried
_CHUNK = 512  # points at once: bounds the memory for thousands of settings
_SPREAD = 0.1  # how far pending points keep others away, per root of the dimension of the unit box
_LEAST = 1e-12


def check_starts(starts: int) -> None:
    """Refuse an impossible number of settings before the model.

    Raises:
        InvalidInput: It is not in [1, 1000].
    """
    if not 1 <= starts <= 1000:
        raise InvalidInput(f"starts = {starts} is outside [1, 1000]")


def known_labels(space: Space, goal: Map, history: Sequence[Trial]) -> tuple[Floats, Integers]:
    """Points [n, D] of the trials that did not fail, and the numbers [n] of their labels."""
    pairs = [(t.happened, label) for t in history if (label := goal.label_of_trial(t)) is not None]
    return space.encode([s for s, _ in pairs]), np.array([goal.labels.index(label) for _, label in pairs], dtype=np.int64)


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
) -> list[Suggestion]:
    """The next settings: evenly spread ones first, then those with the most to learn, and few failures to fear.

    Args:
        worth: Makes, of the points that are busy [p, D], what a measurement is worth, as a logarithm or in units of one. None where
            nothing tells one place from another (all labels alike, or none): then as far as can be from all that was tried.
        near: Points [k, D] where the border is believed.
        why: The reason for a suggestion that `worth` chose.
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
            X = best_points((value if isinstance(value, Graded) else differentiated(value)) + chance, space, seed + turn, near)
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


def map_prediction(goal: Map, space: Space, settings: Sequence[Settings], chances: Chances) -> Prediction:
    """The chance of every label of the goal at these settings."""
    with torch.no_grad():
        table = torch.cat([chances(X) for X in torch.split(torch.from_numpy(space.encode(settings)), _CHUNK)]).numpy()
    return Prediction(probabilities={label: table[:, k] for k, label in enumerate(goal.labels)})
