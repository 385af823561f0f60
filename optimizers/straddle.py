"""Model a number, and measure where it may lie on either side of a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Settings
from frugaltwin.goals import Map
from frugaltwin.state import Prediction, State, Suggestion
from optimizers.models.mapping import Labeled, borders, check_starts, chosen_settings
from optimizers.models.reasons import UNCERTAIN_SIDE
from optimizers.models.regression import Prior, Regression
from optimizers.space.search import Graded
from optimizers.space.space import Floats

_CONFIDENCE = 1.96  # standard deviations: 95 %, as published
_PRIOR = Prior(amplitude=(2.0, 0.5), noise=(0.1, 0.7), length=(0.6, 0.5), form="gaussian", offset=0.0)
"""Smooth and noisy: a map asks where a signal passes a value, not where it is highest."""


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
        seen = Labeled.of(state, "straddle")
        threshold = _dividing(seen.goal)
        if not len(seen.X):
            return chosen_settings(seen.space, seen.state, count, self.seed, self.starts, None, seen.X)
        model = _fitted(seen)

        def worth(busy: Floats) -> Graded:
            return _straddle(model.conditioned_on(busy), threshold)

        near = borders(seen.X, seen.labels)
        return chosen_settings(seen.space, seen.state, count, self.seed, self.starts, worth, near, UNCERTAIN_SIDE)

    def predict(self, state: State, settings: Sequence[Settings]) -> Prediction:
        seen = Labeled.of(state, "straddle")
        goal, threshold, model = seen.goal, _dividing(seen.goal), _fitted(seen)
        mean, deviation = model.expected(seen.space.encode(settings))
        above = ndtr((mean - threshold) / deviation)
        below, at_least = goal.labels
        chances, noise = {below: 1 - above, at_least: above}, np.full(len(mean), model.noise)
        return Prediction(chances, {goal.outcome: mean}, {goal.outcome: deviation}, {goal.outcome: noise})


def _straddle(model: Regression, threshold: float) -> Graded:
    """1.96 · standard deviation - |mean - threshold|, in units of the spread of the readings."""
    level = (threshold - model.center) / model.spread

    def values(X: Floats) -> Floats:
        mean, deviation = model.model.expected(X)
        return _CONFIDENCE * deviation[:, 0] - np.abs(mean[:, 0] - level)

    def slopes(X: Floats) -> tuple[Floats, Floats]:
        mean, deviation, of_mean, of_deviation = model.model.expected_slopes(X)
        return _CONFIDENCE * deviation - np.abs(mean - level), _CONFIDENCE * of_deviation - np.sign(mean - level)[:, None] * of_mean

    return Graded(values, slopes)


def _dividing(goal: Map) -> float:
    """The value that divides the map.

    Raises:
        InvalidInput: It is one of labels.
    """
    if goal.threshold is None:
        text = f"straddle maps where a number passes a value, but {goal.text} maps labels; try the strategy {goal.default_strategy}"
        raise InvalidInput(text, field="strategy")
    return goal.threshold


def _fitted(seen: Labeled) -> Regression:
    """The regression on the readings of the trials that did not fail."""
    readings = [float(t.measurement.outcomes[seen.goal.outcome]) for t in seen.state.trials if t.measurement is not None]
    return Regression(seen.space, seen.X, np.array(readings), _dividing(seen.goal), _PRIOR)
