"""Model a number, and measure where it may lie on either side of a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Settings
from frugaltwin.goals import Map
from frugaltwin.state import Prediction, State, Suggestion
from optimizers.models.classifier import Classifier
from optimizers.models.mapping import Labeled, borders, check_starts, chosen_settings
from optimizers.models.reasons import UNCERTAIN_SIDE
from optimizers.models.regression import Prior, Regression
from optimizers.space.search import Graded
from optimizers.space.space import Floats

_FEWEST = 8  # trials below which readings are believed to tell more than labels
_PARTS = 3  # each is left out once
_MISREAD = 0.01  # lowest chance that a score counts
_ENOUGH = 0.03  # how finely a border is wanted, per root of the dimension of the unit box
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
        if _trust_in_labels(seen) > 0.5:
            return seen.least_certain(count, self.seed, self.starts, lambda: Classifier(seen.X, seen.labels, seen.n_labels).doubt, _ENOUGH)

        def worth(busy: Floats) -> Graded:
            return _straddle(model.conditioned_on(busy), threshold)

        near = borders(seen.X, seen.labels)
        return chosen_settings(seen.space, seen.state, count, self.seed, self.starts, worth, near, UNCERTAIN_SIDE)

    def predict(self, state: State, settings: Sequence[Settings]) -> Prediction:
        seen = Labeled.of(state, "straddle")
        goal, threshold, model = seen.goal, _dividing(seen.goal), _fitted(seen)
        mean, deviation = model.expected(seen.space.encode(settings))
        above = ndtr((mean - threshold) / deviation)
        if trust := _trust_in_labels(seen):
            labeled = seen.prediction(settings, Classifier(seen.X, seen.labels, seen.n_labels).chances).probabilities
            above = (1 - trust) * above + trust * labeled[goal.labels[1]]
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


def _fitted(seen: Labeled, known: NDArray[np.bool_] | None = None) -> Regression:
    """The regression on the readings of the trials that did not fail, or on those of them that are known, [n]."""
    readings = np.array([float(t.measurement.outcomes[seen.goal.outcome]) for t in seen.state.trials if t.measurement is not None])
    rows = np.ones(len(readings), dtype=bool) if known is None else known
    return Regression(seen.space, seen.X[rows], readings[rows], _dividing(seen.goal), _PRIOR)


def _trust_in_labels(seen: Labeled) -> float:
    """The odds that the sides of the threshold tell more than the readings, as a share of 1.

    Both are scored by the chances that they give to the sides of a third of the trials, from the others. A signal that saturates is flat
    nearly everywhere and steep at the border, which no process with one length scale can be.
    """
    n, gain = len(seen.X), 0.0
    if n < _FEWEST:
        return 0.0
    for part in range(_PARTS):
        left_out = np.arange(n) % _PARTS == part
        known, X, is_above = ~left_out, seen.X[left_out], seen.labels[left_out] == 1
        if len(set(seen.labels[known].tolist())) < 2:
            return 0.0
        mean, deviation = (x.ravel() for x in _fitted(seen, known).expected(X))
        above = ndtr((mean - _dividing(seen.goal)) / deviation)
        labeled = Classifier(seen.X[known], seen.labels[known], seen.n_labels).chances(torch.from_numpy(X)).numpy()[:, 1]
        for sign, chance in ((1, labeled), (-1, above)):
            gain += sign * float(np.log(np.clip(np.where(is_above, chance, 1 - chance), _MISREAD, 1)).sum())
    return float(expit(gain))
