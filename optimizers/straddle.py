"""Model a number, and measure where it may lie on either side of a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Settings, Trial
from frugaltwin.goals import Goal, Map
from frugaltwin.goals.suitable import mapped
from frugaltwin.state import Prediction, State, Suggestion
from optimizers.models.mapping import borders, check_starts, chosen_settings, known_labels
from optimizers.models.reasons import UNCERTAIN_SIDE
from optimizers.models.regression import Regression
from optimizers.space.search import Acquisition
from optimizers.space.space import Floats, Space

_CONFIDENCE = 1.96  # standard deviations: 95 %, as published
_CHUNK = 512  # settings at once: bounds the memory


@dataclass(frozen=True)
class Straddle:
    """A Gaussian process on a number, and the straddle rule: it asks where that may lie on either side of the value of the goal.

    For ``map:OUTCOME:VALUE``. A place counts by 1.96 · standard deviation - |mean - VALUE|. A number says how far away the border
    is, so it takes fewer experiments than a label.

    ============== ================ ==========================================================================
    option         default          meaning
    ============== ================ ==========================================================================
    starts         5                evenly spread settings before the model takes over, 1 to 1000
    seed           0                of everything random
    ============== ================ ==========================================================================

    Source: Bryan et al., Active learning for identifying function threshold boundaries, NIPS 18 (2005) 163.
    """

    seed: int = 0
    starts: int = 5

    def __post_init__(self) -> None:
        check_starts(self.starts)

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        state = state.at_fidelity()
        goal, threshold = _divided(state.goal)
        space = Space.of(state.experiment)
        X, readings = _readings(space, goal, state.trials)
        if not len(X):
            return chosen_settings(space, state, count, self.seed, self.starts, None, X)
        model = Regression(X, readings, threshold)

        def worth(busy: Floats) -> Acquisition:
            later = model.conditioned_on(busy)

            def straddle(X: Tensor) -> Tensor:
                mean, deviation = later.expected(X)
                return (_CONFIDENCE * deviation - (mean - threshold).abs()) / model.spread

            return straddle

        near = borders(X, known_labels(space, goal, state.trials)[1])
        return chosen_settings(space, state, count, self.seed, self.starts, worth, near, UNCERTAIN_SIDE)

    def predict(self, state: State, settings: Sequence[Settings]) -> Prediction:
        state = state.at_fidelity()
        goal, threshold = _divided(state.goal)
        space = Space.of(state.experiment)
        model = Regression(*_readings(space, goal, state.trials), threshold)
        with torch.no_grad():
            moments = [model.expected(X) for X in torch.split(torch.from_numpy(space.encode(settings)), _CHUNK)]
        mean, deviation = (torch.cat(part) for part in zip(*moments, strict=True))
        above = torch.special.ndtr((mean - threshold) / deviation).numpy()
        below, at_least = goal.labels
        return Prediction({below: 1 - above, at_least: above}, {goal.outcome: mean.numpy()}, {goal.outcome: deviation.numpy()})


def _divided(goal: Goal) -> tuple[Map, float]:
    """The goal and the value that divides its map.

    Raises:
        InvalidInput: It maps labels, or nothing.
    """
    goal = mapped(goal, "straddle")
    if goal.threshold is None:
        text = f"straddle maps where a number passes a value, but {goal.text} maps labels; try the strategy {goal.default_strategy}"
        raise InvalidInput(text, field="strategy")
    return goal, goal.threshold


def _readings(space: Space, goal: Map, history: Sequence[Trial]) -> tuple[Floats, Floats]:
    """Points [n, D] and readings [n] of the trials that did not fail."""
    pairs = [(t.happened, float(t.measurement.outcomes[goal.outcome])) for t in history if t.measurement is not None]
    return space.encode([s for s, _ in pairs]), np.array([value for _, value in pairs])
