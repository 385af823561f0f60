"""Maps of many unequal fields, drawn by number: thin fields, islands and rare labels on a triangle or a square of 1,000 to 2,000 places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from frugaltwin.errors import Stopped
from frugaltwin.experiment import Discrete, Experiment, Measurement, Outcome, Outcomes, Settings, Trial

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FEWEST, MOST = 8, 12
"""Labels of a map."""
RAREST = 8
"""Places that a label has at least."""


def drawn(number: int) -> tuple[Floats, Integers]:
    """Places [n, d] and the numbers [n] of their labels: d = 3 amounts that add up to 1 where `number` is even, else d = 2.

    Most fields are the cells of points with unequal weights, in a plane that is bent by a few waves; laid over them are bands, a few
    hundredths wide and curved, and islands.

    >>> [(places.shape, int(labels.max()) + 1) for places, labels in map(drawn, (1, 2))]
    [((1558, 2), 8), ((1326, 3), 8)]
    """
    random = np.random.default_rng((number, 1217))
    while True:
        places, plane = _triangle(random) if number % 2 == 0 else _square(random)
        names, labels = np.unique(_fields(plane, random), return_inverse=True)
        if FEWEST <= len(names) <= MOST and np.bincount(labels).min() >= RAREST:
            return places, labels.astype(np.int64)


def _triangle(random: np.random.Generator) -> tuple[Floats, Floats]:
    m = int(random.integers(44, 62))
    parts = np.array([(i, j, m - i - j) for i in range(m + 1) for j in range(m + 1 - i)]) / m
    return parts.round(6), parts[:, :2] @ np.array([[1.0, 0.0], [0.5, math.sqrt(3) / 2]])


def _square(random: np.random.Generator) -> tuple[Floats, Floats]:
    a = int(random.integers(32, 45))
    b = int(random.integers(1000 // a + 1, 2000 // a))
    grid = np.array([(i / (a - 1), j / (b - 1)) for i in range(a) for j in range(b)])
    return grid.round(6), grid


def _fields(plane: Floats, random: np.random.Generator) -> Integers:
    """The label [n] of points of the plane [n, 2]; some may have been covered."""
    count, n_bands, n_islands = (int(random.integers(low, high)) for low, high in ((FEWEST, MOST + 1), (1, 3), (1, 3)))
    bent = plane.copy()
    for _ in range(4):
        wave, phase = random.normal(0, 5, 2), random.uniform(0, 2 * np.pi)
        bent += 0.03 * random.standard_normal(2) * np.sin(plane @ wave + phase)[:, None]
    seeds = plane[random.choice(len(plane), count - n_bands - n_islands, replace=False)]
    weights = 0.12 * random.standard_normal(len(seeds))
    labels: Integers = (np.linalg.norm(bent[:, None] - seeds, axis=2) + weights).argmin(1)
    for label in range(len(seeds), len(seeds) + n_bands):
        along = random.uniform(0, np.pi)
        axes = np.array([[np.cos(along), -np.sin(along)], [np.sin(along), np.cos(along)]])
        s, d = ((bent - plane[random.integers(len(plane))]) @ axes).T
        d = d + random.normal(0, 0.4) * s**2
        labels[(np.abs(d) < random.uniform(0.022, 0.04)) & (np.abs(s) < random.uniform(0.25, 0.45))] = label
    for label in range(len(seeds) + n_bands, count):
        size = random.uniform(0.05, 0.09) * np.array([1.0, random.uniform(0.7, 1.3)])
        labels[(((bent - plane[random.integers(len(plane))]) / size) ** 2).sum(1) < 1] = label
    return labels


class FieldsDriver:
    """A drawn map as a lab: the label ``phase`` at one of its places. It takes no time and costs nothing, and nothing is misread."""

    def __init__(self, number: int) -> None:
        places, labels = drawn(number)
        axes = ("a", "b", "c")[: places.shape[1]] if places.shape[1] == 3 else ("x", "y")
        parameters = tuple(Discrete(name, tuple(np.unique(column).tolist())) for name, column in zip(axes, places.T, strict=True))
        candidates = tuple(dict(zip(axes, place, strict=True)) for place in places.tolist())
        names = tuple(f"field {k + 1}" for k in range(int(labels.max()) + 1))
        self.experiment = Experiment("fields", parameters, (Outcome("phase", labels=names),), candidates=candidates)
        self._label = {self.experiment.key(c): names[k] for c, k in zip(candidates, labels.tolist(), strict=True)}
        self._is_stopped = True

    def __enter__(self) -> Self:
        self._is_stopped = False
        return self

    def perform(self, settings: Settings) -> Measurement:
        if self._is_stopped:
            raise Stopped("the map was stopped, or it is not connected")
        return Measurement(self.truth(settings))

    def truth(self, settings: Settings) -> Outcomes:
        """The label of a place."""
        return {"phase": self._label[self.experiment.key(settings)]}

    def resume(self, trials: Sequence[Trial]) -> None:
        """Go on: nothing depends on the past."""

    def stop(self) -> None:
        self._is_stopped = True

    def __exit__(self, *failure: object) -> None:
        self._is_stopped = True
