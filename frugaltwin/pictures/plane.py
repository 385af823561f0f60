"""Plane of the settings that a picture can show: two parameters, or the three parts of a mixture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Categorical, Continuous, Discrete, Experiment, MixtureSum, Parameter, Settings

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Plane:
    """The points over which a map is drawn; made by `Plane.of`."""

    axes: tuple[Continuous | Discrete, ...]
    """x and y, or the three parts of a mixture."""
    fixed: Settings
    """The values of the other parameters."""
    points: Floats
    """The settings of the axes, natural units, [n, 2] or [n, 3]."""
    shape: tuple[int, int] | None
    """Columns and rows if the points are a full grid (x changes slowest), else None."""

    @classmethod
    def of(cls, experiment: Experiment, axes: Sequence[str] = (), n: int = 61) -> Self:
        """The plane of an experiment: its mixture of three, or its first two numeric parameters.

        Args:
            axes: The names of its parameters; chosen without them.
            n: Number of points along an axis; fewer where the experiment has fewer.

        Raises:
            InvalidInput: It has no such plane.
        """
        free = (p for p in experiment.parameters if p.name not in experiment.fidelities)
        numeric = {p.name: p for p in free if not isinstance(p, Categorical) and _size(p) > 1}
        chosen = tuple(numeric[name] for name in axes) or _mixture(experiment, numeric) or tuple(numeric.values())[:2]
        if len(chosen) < 2:
            raise InvalidInput(f"{experiment.name} has no two numeric parameters to draw a map over")
        names = [p.name for p in chosen]
        fixed = {p.name: experiment.fidelities.get(p.name, _middle(p)) for p in experiment.parameters if p.name not in names}
        if experiment.candidates:
            first = next(filter(experiment.counts, experiment.candidates))
            fixed = {name: value for name, value in first.items() if name not in names}
            kept = [c for c in experiment.candidates if all(c[name] == value for name, value in fixed.items())]
            points = np.array([[float(c[name]) for name in names] for c in kept])
            order = np.lexsort(points.T[::-1])
            points = points[order]
            columns, rows = (len(np.unique(points[:, j])) for j in (0, 1))
            return cls(chosen, fixed, points, (columns, rows) if len(names) == 2 and columns * rows == len(points) else None)
        if len(chosen) == 3:
            mixture = next(c for c in experiment.constraints if isinstance(c, MixtureSum) and set(c.parameters) == set(names))
            i, j = (k.ravel() for k in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
            low = np.array([_limits(p)[0] for p in chosen])
            room = mixture.total - low.sum()
            parts = np.stack([i, j, n - 1 - i - j], axis=1)[i + j < n] / (n - 1)
            points, shape = low + room * parts, None
        else:
            x, y = (_levels(p, n) for p in chosen)
            points, shape = np.stack([k.ravel() for k in np.meshgrid(x, y, indexing="ij")], axis=1), (len(x), len(y))
        plane = cls(chosen, fixed, points, shape)
        allowed = np.array([experiment.allows(s) for s in plane.settings()])
        if not allowed.any():
            raise InvalidInput(f"{experiment.name}: its constraints leave nothing of the plane of {' and '.join(names)}")
        return plane if allowed.all() else cls(chosen, fixed, points[allowed], None)

    @property
    def is_triangle(self) -> bool:
        """Whether it is a mixture of three."""
        return len(self.axes) == 3

    def settings(self) -> list[dict[str, float | str]]:
        """The points as settings, [n]."""
        names = [p.name for p in self.axes]
        return [dict(self.fixed) | dict(zip(names, point, strict=True)) for point in self.points.tolist()]

    def positions(self, settings: Sequence[Settings]) -> Floats:
        """The points of settings in the plane, [n, k]; their other parameters are ignored."""
        return np.array([[float(s[p.name]) for p in self.axes] for s in settings]).reshape(len(settings), len(self.axes))


def _size(p: Parameter) -> float:
    return np.inf if isinstance(p, Continuous) else len(p.values)


def _limits(p: Parameter) -> tuple[float, float]:
    return (p.low, p.high) if isinstance(p, Continuous) else (float(p.values[0]), float(p.values[-1]))


def _levels(p: Parameter, n: int) -> Floats:
    if isinstance(p, Continuous):
        return (np.geomspace if p.scale == "log" else np.linspace)(p.low, p.high, n)
    values = np.array(p.values, dtype=float)
    chosen: Floats = values[np.unique(np.linspace(0, len(values) - 1, min(n, len(values))).round().astype(int))]
    return chosen


def _middle(p: Parameter) -> float | str:
    if isinstance(p, Continuous):
        return math.sqrt(p.low * p.high) if p.scale == "log" else (p.low + p.high) / 2
    return p.values[len(p.values) // 2]


def _mixture(experiment: Experiment, numeric: dict[str, Continuous | Discrete]) -> tuple[Continuous | Discrete, ...]:
    """The three parts that add up; () when there are none."""
    for constraint in experiment.constraints:
        if isinstance(constraint, MixtureSum) and len(constraint.parameters) == 3:
            return tuple(numeric[name] for name in constraint.parameters)
    if experiment.candidates and len(numeric) == 3:
        sums = [sum(float(c[name]) for name in numeric) for c in experiment.candidates]
        if np.ptp(sums) <= 1e-6 * abs(np.mean(sums)):
            return tuple(numeric.values())
    return ()
