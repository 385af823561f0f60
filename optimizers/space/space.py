"""The settings that an experiment allows, as points in a unit box: what every strategy searches in.

Tensors and arrays are `X [n, D]`: one column per continuous or discrete parameter, scaled to [0, 1] (of its logarithm, where it has that
scale), and one column per name of a categorical parameter, 1 for the chosen name. Every equality (a mixture that adds up) takes one
parameter out: it is what the others leave over, so that sums are exact by construction. Constraints that the box implies are dropped.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, product
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Categorical, Continuous, Discrete, Experiment, MixtureSum, Settings
from frugaltwin.state import State
from frugaltwin.tables import settings_array

Floats = NDArray[np.float64]

_DIGITS = 12  # of the unit box: those behind depend on the unit that a person chose, and nothing else may
_TINY = 1e-9  # of the unit box: what rounding may do, far below what constraints tolerate
_SAME = 1e-6  # of the unit box: nearer levels are the same settings
_APART = 1e-4  # the same of what can take any value: the rig doses by 0.1 µL, of 1 mL
_FEW_LEVELS = 8  # a parameter with more of them is climbed as if it were continuous, then rounded
_MOST_COMBINATIONS = 256  # of names and levels that are tried one by one
_MOST_LISTED = 4096  # allowed settings that are listed one by one
_MOST_NAMES = 1000  # of a categorical parameter: each is a column, and every setting a row


@dataclass(frozen=True)
class Equality:
    """`pivot` = total - Σ coefficient · parameter; parameters by their number."""

    pivot: int
    coefficients: tuple[tuple[int, float], ...]
    total: float


@dataclass(frozen=True)
class Space:
    """The allowed settings of one experiment; made by `Space.of`."""

    experiment: Experiment
    slope: Floats
    """[d, D]: X · slopeᵀ + origin is in natural units, a categorical parameter as its index, one with a logarithmic scale as the logarithm
    of its ratio to `unit`."""
    origin: Floats
    """[d]"""
    unit: Floats
    """[d]: the lowest value of a parameter with a logarithmic scale; 0 for the others."""
    equalities: tuple[Equality, ...]
    rows: Floats
    """[c, D]: what is left of the constraints, rows · x ≤ limits."""
    limits: Floats
    """[c]"""
    levels: tuple[tuple[int, Floats], ...]
    """Column and its allowed values, of the discrete parameters."""
    choices: tuple[tuple[int, int], ...]
    """First column and number of columns, of the categorical parameters."""
    listed: tuple[Settings, ...]
    """All the allowed settings, when they are few or are the experiment's candidates."""

    @classmethod
    def of(cls, experiment: Experiment) -> Self:
        """The space of an experiment: the settings at which a goal counts.

        Raises:
            InvalidInput: Nothing satisfies the constraints, or a parameter has more names than can be told apart by trials.
        """
        for known, space in _RECENT:
            if known is experiment and type(space) is cls:
                return space
        space = cls._made(experiment.at_fidelity)
        if experiment.candidates:
            _RECENT.append((experiment, space))
        return space

    @classmethod
    def _made(cls, experiment: Experiment) -> Self:
        parameters = experiment.parameters
        for p in parameters:
            if isinstance(p, Categorical) and len(p.values) > _MOST_NAMES:
                reason = f"{p.name} has {len(p.values)} names, and no trial of one says anything about another ({_MOST_NAMES} is the limit)"
                raise InvalidInput(
                    f"{reason}; set columns of numbers that describe them instead, such as a molar mass or other descriptors"
                )
        equalities, kept = ((), ()) if experiment.candidates else _eliminate(experiment)
        pivots = {e.pivot for e in equalities}
        spans = _spans(experiment)
        columns: list[Floats] = []
        origin, unit = np.zeros(len(parameters)), np.zeros(len(parameters))
        levels, choices = [], []
        for j, p in enumerate(parameters):
            if isinstance(p, Categorical):
                if len(p.values) > 1:
                    choices.append((len(columns), len(p.values)))
                    columns += [np.eye(len(parameters))[j] * i for i in range(len(p.values))]
            elif j not in pivots:
                low, high = spans[j]
                if p.scale == "log":
                    unit[j], low, high = low, 0.0, math.log(high / low)
                origin[j] = low
                if high > low:
                    if isinstance(p, Discrete) and not experiment.candidates:
                        values = np.log(np.array(p.values) / unit[j]) if unit[j] else np.array(p.values)
                        levels.append((len(columns), np.round((values - low) / (high - low), _DIGITS)))
                    columns.append(np.eye(len(parameters))[j] * (high - low))
        slope = np.stack(columns, axis=1) if columns else np.zeros((len(parameters), 0))
        for e in equalities:
            others = [i for i, _ in e.coefficients]
            c = np.array([c for _, c in e.coefficients])
            slope[e.pivot] = -c @ slope[others]
            origin[e.pivot] = e.total - c @ origin[others]
        rows, limits = _inequalities(experiment, kept, pivots, slope, origin)
        space = cls(experiment, slope, origin, unit, equalities, rows, limits, tuple(levels), tuple(choices), experiment.candidates)
        if not experiment.candidates and math.prod(_number_of_values(experiment)) <= _MOST_LISTED:
            space = replace(space, listed=space._grid())
        if len(rows) and not space.listed:
            space._interior_point(np.full(space.size, 0.5))
        return space

    @property
    def size(self) -> int:
        """D, the number of columns."""
        return int(self.slope.shape[1])

    @cached_property
    def points(self) -> Floats:
        """The listed settings, [n, D]."""
        return self.encode(self.listed)

    @cached_property
    def greatest(self) -> Floats:
        """The largest absolute value of every parameter, [d]."""
        return np.array([max(abs(low), abs(high)) or 1.0 for low, high in _spans(self.experiment)])

    @cached_property
    def continuous(self) -> NDArray[np.bool_]:
        """Which columns can take any value, [D]."""
        free = np.ones(self.size, dtype=bool)
        for column, _ in self.levels:
            free[column] = False
        for first, n in self.choices:
            free[first : first + n] = False
        return free

    @cached_property
    def is_graded(self) -> NDArray[np.bool_]:
        """Which columns are worth following a gradient along, [D]: the continuous ones and those with many levels."""
        graded = self.continuous.copy()
        for column, values in self.levels:
            graded[column] = len(values) > _FEW_LEVELS
        return graded

    @cached_property
    def combinations(self) -> Floats:
        """All combinations of names and levels, as their columns [n, k]: those that are not `is_graded`. None where they are too many."""
        graded = self.is_graded
        parts = [(column, values[:, None]) for column, values in self.levels if not graded[column]]
        parts += [(first, np.eye(n)) for first, n in self.choices]
        if not parts or math.prod(len(values) for _, values in parts) > _MOST_COMBINATIONS:
            return np.zeros((0, int((~graded).sum())))
        parts.sort(key=lambda part: part[0])
        return np.array([np.concatenate(rows) for rows in product(*(values for _, values in parts))])

    def encode(self, settings: Sequence[Settings]) -> Floats:
        """Settings as [n, D]; where the experiment has fidelities, as if they were at these."""
        fixed = self.experiment.fidelities
        natural = settings_array(self.experiment, [{**s, **fixed} for s in settings] if fixed else settings)
        for j in np.flatnonzero(self.unit).tolist():
            natural[:, j] = np.log(natural[:, j] / self.unit[j])
        X = np.zeros((len(settings), self.size))
        names = {first + i for first, n in self.choices for i in range(n)}
        for column in range(self.size):
            if column not in names:
                j = self._parameter(column)
                X[:, column] = (natural[:, j] - self.origin[j]) / self.slope[j, column]
        for first, n in self.choices:
            j = self._parameter(first + n - 1)
            X[np.arange(len(settings)), first + natural[:, j].astype(int)] = 1.0
        return np.round(X, _DIGITS)

    def decode(self, x: Floats) -> dict[str, float | str]:
        """The allowed settings at (or nearest to) a point [D] that satisfies the constraints."""
        if self.listed:
            return self.experiment.check(self.listed[self._nearest(x)])
        x = np.clip(x, 0.0, 1.0)
        values: list[float] = []
        bent = self.slope @ self.snap(x) + self.origin
        straight = np.where(self.unit > 0, self.unit * np.exp(np.where(self.unit > 0, bent, 0.0)), bent)
        for p, natural in zip(self.experiment.parameters, straight.tolist(), strict=True):
            if isinstance(p, Continuous):
                values.append(min(max(natural, p.low), p.high))
            elif isinstance(p, Discrete):
                values.append(min(p.values, key=lambda v: abs(v - natural)))
            else:
                values.append(natural)
        for e in self.equalities:
            self._add_up(e, values)
            self._deliver(e, values)
        return self.experiment.check(
            {
                p.name: p.values[round(v)] if isinstance(p, Categorical) else v
                for p, v in zip(self.experiment.parameters, values, strict=True)
            }
        )

    @cached_property
    def _doses(self) -> tuple[tuple[int, float], ...]:
        """Column and smallest amount, in the unit box, of the parameters that are 0 or more than that."""
        columns = {self._parameter(column): column for column in np.flatnonzero(self.continuous).tolist()}
        parameters = ((columns[j], j, p) for j, p in enumerate(self.experiment.parameters) if j in columns)
        return tuple(
            (column, round(float((p.smallest - p.low) / self.slope[j, column]), _DIGITS))
            for column, j, p in parameters
            if isinstance(p, Continuous) and p.scale == "linear" and p.low == 0 < p.smallest
        )

    @cached_property
    def _leftover_doses(self) -> tuple[tuple[int, float], ...]:
        """Number and smallest amount of the parameters that are what others leave over."""
        pivots = ((e.pivot, self.experiment.parameters[e.pivot]) for e in self.equalities)
        return tuple((j, p.smallest) for j, p in pivots if isinstance(p, Continuous) and p.low < p.smallest)

    def snap(self, X: Floats) -> Floats:
        """X [..., D] with every column that cannot take any value at the nearest one that it can."""
        X = X.copy()
        for column, smallest in self._doses:
            dose = X[..., column]
            X[..., column] = np.where(dose < smallest / 2, 0.0, np.maximum(dose, smallest))
        for column, values in self.levels:
            X[..., column] = values[np.abs(X[..., column, None] - values).argmin(axis=-1)]
        for first, n in self.choices:
            X[..., first : first + n] = np.eye(n)[X[..., first : first + n].argmax(axis=-1)]
        return X

    def is_allowed(self, X: Floats) -> NDArray[np.bool_]:
        """Whether X [..., D], snapped before, satisfies the constraints, [...]."""
        allowed = np.asarray((self.limits + _TINY - X @ self.rows.T >= 0).all(axis=-1))
        for j, smallest in self._leftover_doses:
            left = (X @ self.slope[j] + self.origin[j]) / smallest
            allowed &= (left < _TINY) | (left > 1 - _TINY)
        return allowed

    def pulled_inside(self, x: Floats) -> Floats:
        """x [D], snapped, if it satisfies the constraints; else the first point that does on the way from there to the middle.

        The middle is the center of the largest ball that fits, with discrete columns as near to x as possible.
        """
        x = self.snap(np.clip(x, 0.0, 1.0))
        if self.is_allowed(x):
            return x
        middle = self._interior_point(x)
        there = np.where(self.continuous, x, middle)
        room, excess = self.limits - self.rows @ middle, self.rows @ (there - middle)
        with np.errstate(divide="ignore", invalid="ignore"):  # rows that the way does not come nearer to do not limit it
            share = np.where(excess > 0, np.maximum(room, 0.0) / excess, np.inf).min(initial=1.0)
        return np.asarray(middle + share * (there - middle))

    def sample(self, n: int, seed: int | Sequence[int], is_even: bool = True) -> Floats:
        """n points of the space, [n, D]; fewer where it has fewer.

        Evenly spread points are a scrambled Sobol sequence, the others are uniformly random. Where constraints leave little of the
        box, both come from hit-and-run.
        Source: Smith, Oper. Res. 32 (1984) 1296, doi:10.1287/opre.32.6.1296.
        """
        random = np.random.default_rng(seed)
        if self.listed and not is_even:
            return self.points[random.permutation(len(self.points))[:n]]
        if self.size == 0:
            return np.zeros((1, 0))
        sobol = None
        if is_even:
            from scipy.stats import qmc  # takes a third of a second

            sobol = qmc.Sobol(self.size, rng=random)
        found = np.zeros((0, self.size))
        for tries in (1, 16):
            n_drawn = tries * max(64, 1 << (n - 1).bit_length())
            X = self.snap(sobol.random(n_drawn) if sobol else random.random((n_drawn, self.size)))
            found = np.concatenate([found, X[self.is_allowed(X)]])
            if len(found) >= n:
                return found[:n]
        return self._hit_and_run(X[:n], random)

    def moves(self, x: Floats) -> Floats:
        """The allowed points [n, D] that differ from x [D] in one discrete or categorical parameter."""
        moved = []
        for column, values in self.levels:
            near = np.argsort(np.abs(values - x[column]))[1 : _FEW_LEVELS + 1]
            moved += [np.where(np.arange(self.size) == column, v, x) for v in values[near]]
        for first, n in self.choices:
            for i in range(n):
                if not x[first + i]:
                    other = x.copy()
                    other[first : first + n] = np.eye(n)[i]
                    moved.append(other)
        X = np.array(moved).reshape(-1, self.size)
        return X[self.is_allowed(X)]

    def untried(self, X: Floats, n: int, state: State, chosen: Sequence[Settings] = ()) -> list[Settings]:
        """The first n settings among points X [b, D] (all others of a listed space behind them) that nobody tried or chose before.

        Points that no instrument can tell apart are the same settings. Where everything has been tried: what worked comes before what
        only failed, and that before what is being tried now.

        Raises:
            InvalidInput: There are no n settings besides those chosen.
        """
        tried = self._places([t.settings for t in state.trials if not t.is_retracted])
        worked = self._places([t.settings for t in state.trials if t.measurement is not None])
        busy = self._places(state.unavailable)
        # One by one: of a hundred thousand listed settings, a few are looked at.
        places: Iterable[_Place] = chain(map(self._nearest, X), range(len(self.listed))) if self.listed else X
        taken = self._places(chosen)
        found: list[_Place] = []
        again: list[tuple[bool, bool, int, _Place]] = []
        for place in places:
            if len(found) == n:
                break
            if self._is_among(place, tried) or self._is_among(place, busy):
                again.append((self._is_among(place, busy), not self._is_among(place, worked), len(again), place))
            elif not self._is_among(place, taken + found):
                found.append(place)
        for _, _, _, place in sorted(again, key=lambda repeated: repeated[:3]):
            if len(found) < n and not self._is_among(place, taken + found):
                found.append(place)
        if len(found) < n:
            asked, there = len(chosen) + n, len(chosen) + len(found)
            raise InvalidInput(f"{asked} different settings were asked for, but {self.experiment.name} has only {there}")
        return [self.experiment.check(self.listed[place]) if isinstance(place, int) else self.decode(place) for place in found]

    def _places(self, settings: Sequence[Settings]) -> "list[_Place]":
        """The numbers of settings in a listed space (those that are not listed are left out), else their points [D]."""
        if not self.listed:
            return list(self.encode(settings))
        fixed = self.experiment.fidelities
        keys = [self.experiment.key({**s, **fixed} if fixed else s) for s in settings]
        return [self._numbers[key] for key in keys if key in self._numbers]

    def _is_among(self, place: "_Place", places: "list[_Place]") -> bool:
        """Whether settings, their number or point [D], are some of these: no instrument can tell them apart."""
        if isinstance(place, int):
            return place in places
        same = np.where(self.continuous, _APART, _SAME)
        return len(places) > 0 and bool((np.abs(np.asarray(places) - place) < same).all(axis=1).any())

    @cached_property
    def _numbers(self) -> dict[tuple[float | str, ...], int]:
        """Listed settings → their number: a candidate is identified by itself, however near to the next it is."""
        return {self.experiment.key(s): number for number, s in enumerate(self.listed)}

    def _nearest(self, x: Floats) -> int:
        """The number of the listed settings that are nearest to a point [D]."""
        return int(((self.points - x) ** 2).sum(axis=1).argmin())

    def _parameter(self, column: int) -> int:
        """The parameter that a column encodes: the others that it moves are pivots."""
        pivots = [e.pivot for e in self.equalities]
        return next(int(j) for j in np.flatnonzero(self.slope[:, column]) if j not in pivots)

    def _add_up(self, e: Equality, values: list[float]) -> None:
        """Give the pivot what the others leave over; where rounding left it outside its limits, the others take the difference."""
        pivot = self.experiment.parameters[e.pivot]
        assert isinstance(pivot, Continuous)
        left = math.fsum([e.total, *(-c * values[j] for j, c in e.coefficients)])
        values[e.pivot] = min(max(left, pivot.low), pivot.high)
        shared = {j for other in self.equalities if other is not e for j, _ in other.coefficients}
        for j, c in sorted(e.coefficients, key=lambda pair: pair[0] in shared):
            missing = math.fsum([e.total, -values[e.pivot], *(-k * values[i] for i, k in e.coefficients)])
            p = self.experiment.parameters[j]
            if missing and isinstance(p, Continuous) and left != values[e.pivot]:
                values[j] = min(max(values[j] + missing / c, p.low), p.high)

    def _deliver(self, e: Equality, values: list[float]) -> None:
        """Bring amounts of a sum that are less than can be delivered to 0 or to the smallest; the larger ones take the difference."""
        weights = {e.pivot: 1.0, **dict(e.coefficients)}
        parts = {j: p for j in weights if isinstance(p := self.experiment.parameters[j], Continuous)}
        if all(not 0 < values[j] < p.smallest for j, p in parts.items()):
            return
        for j, p in parts.items():
            if 0 < values[j] < p.smallest:
                values[j] = p.smallest if p.low > 0 or values[j] > p.smallest / 2 else 0.0
        for _ in parts:
            for j in sorted((j for j in parts if values[j]), key=lambda j: -values[j] * weights[j]):
                missing = math.fsum([e.total, *(-c * values[i] for i, c in weights.items())])
                values[j] = min(max(values[j] + missing / weights[j], parts[j].smallest, parts[j].low), parts[j].high)
            missing = math.fsum([e.total, *(-c * values[i] for i, c in weights.items())])
            if abs(missing) < _TINY * abs(e.total):
                return
            if missing > 0:  # all that are there are full
                spare = next((j for j, p in parts.items() if not values[j] and p.smallest <= missing / weights[j]), None)
            else:  # all that are there are at their smallest
                spare = min((j for j, p in parts.items() if values[j] and p.low <= 0), key=lambda j: values[j], default=None)
            if spare is None:
                return
            values[spare] = parts[spare].smallest if missing > 0 else 0.0

    def _grid(self) -> tuple[Settings, ...]:
        """All the settings of an experiment with few.

        Raises:
            InvalidInput: None satisfies the constraints.
        """
        names = [p.name for p in self.experiment.parameters]
        numeric: list[Sequence[float | str]] = [p.values for p in self.experiment.parameters if not isinstance(p, Continuous)]
        grid: list[Settings] = [dict(zip(names, values, strict=True)) for values in product(*numeric)]
        X = self.encode(grid)
        allowed = self.is_allowed(X)
        if not allowed.any():
            raise _infeasible(self.experiment)
        return tuple(s for s, ok in zip(grid, allowed, strict=True) if ok)

    def _interior_point(self, x: Floats) -> Floats:
        """A point [D] well inside the constraints: discrete columns as near to x [D] as possible, the others at the center of the
        largest ball.

        Raises:
            InvalidInput: Nothing satisfies the constraints.
        """
        x = self._feasible_levels(self.snap(x))
        free = self.continuous
        limits = self.limits - self.rows[:, ~free] @ x[~free]
        A = np.concatenate([self.rows[:, free], np.eye(free.sum()), -np.eye(free.sum())])
        b = np.concatenate([limits, np.ones(free.sum()), np.zeros(free.sum())])
        radius = np.linalg.norm(A, axis=1, keepdims=True)
        found = linprog(-np.eye(free.sum() + 1)[-1], np.hstack([A, radius]), b + _TINY / 2, bounds=[(0, 1)] * (free.sum() + 1))
        if found.x is None:
            raise _infeasible(self.experiment)
        x[free] = found.x[:-1]
        return x

    def _feasible_levels(self, x: Floats) -> Floats:
        """x [D] with the discrete columns moved, as little as possible, to where the constraints can be satisfied.

        Raises:
            InvalidInput: They cannot.
        """
        bound = [(column, values) for column, values in self.levels if self.rows[:, column].any()]
        if not bound:
            return x
        # Unknowns: the continuous columns, then one switch per level.
        free = np.flatnonzero(self.continuous)
        switches = np.concatenate([values for _, values in bound])
        of = np.concatenate([np.full(len(values), k) for k, (_, values) in enumerate(bound)])
        columns = np.array([column for column, _ in bound])
        A = np.hstack([self.rows[:, free], self.rows[:, columns[of]] * switches])
        one = np.hstack([np.zeros((len(bound), len(free))), (of == np.arange(len(bound))[:, None]).astype(float)])
        cost = np.concatenate([np.zeros(len(free)), np.abs(switches - x[columns[of]])])
        n = len(cost)
        found = milp(
            cost,
            integrality=(np.arange(n) >= len(free)).astype(int),
            bounds=Bounds(np.zeros(n), np.ones(n)),
            constraints=[LinearConstraint(A, ub=self.limits + _TINY / 2), LinearConstraint(one, 1, 1)],
        )
        x_and_switches = found.x
        if x_and_switches is None:
            raise _infeasible(self.experiment)
        x = x.copy()
        for k, (column, values) in enumerate(bound):
            x[column] = values[x_and_switches[len(free) :][of == k].argmax()]
        return x

    def _hit_and_run(self, X: Floats, random: np.random.Generator) -> Floats:
        """Random walks inside the constraints, with discrete columns as near to those of X [n, D] as they allow, [n, D]."""
        free, n = self.continuous, len(X)
        X = X.copy()
        if any(self.rows[:, column].any() for column, _ in self.levels):
            anchors = np.stack([self._interior_point(x) for x in X[:16]])
            X = anchors[np.arange(n) % len(anchors)]
        else:
            X[:, free] = self._interior_point(X[0])[free]
        A = np.concatenate([self.rows[:, free], np.eye(free.sum()), -np.eye(free.sum())])
        box = np.repeat([1.0, 0.0], free.sum())
        b = np.hstack([self.limits - X[:, ~free] @ self.rows[:, ~free].T, np.tile(box, (n, 1))])
        x = X[:, free]
        for _ in range(20 + 10 * int(free.sum())):
            direction = random.standard_normal(x.shape)
            speed, room = direction @ A.T, np.maximum(b - x @ A.T, 0.0)
            with np.errstate(divide="ignore", invalid="ignore"):  # rows parallel to the direction do not limit it
                t = room / speed
            far = np.where(speed > 0, t, np.inf).min(axis=1)
            back = np.where(speed < 0, t, -np.inf).max(axis=1)
            x = x + direction * (back + (far - back) * random.random(n))[:, None]
        X[:, free] = x
        return X


_RECENT: deque[tuple[Experiment, Space]] = deque(maxlen=4)
"""Spaces of the last experiments with candidates: it takes a second to read a hundred thousand of them."""

_Place: TypeAlias = int | Floats
"""The number of listed settings, or a point [D]."""


def _infeasible(experiment: Experiment) -> InvalidInput:
    return InvalidInput(f"no settings of {experiment.name} satisfy its constraints: widen the limits of a parameter or of a constraint")


def _number_of_values(experiment: Experiment) -> list[float]:
    return [math.inf if isinstance(p, Continuous) else len(p.values) for p in experiment.parameters]


def _spans(experiment: Experiment) -> list[tuple[float, float]]:
    """Lowest and highest value of every parameter that occur: the limits of a table's columns may be far wider than its rows."""
    if experiment.candidates:
        natural = settings_array(experiment, experiment.candidates)
        return list(zip(natural.min(axis=0).tolist(), natural.max(axis=0).tolist(), strict=True))
    spans = []
    for p in experiment.parameters:
        if isinstance(p, Continuous):
            spans.append((p.low, p.high))
        else:
            spans.append((p.values[0], p.values[-1]) if isinstance(p, Discrete) else (0.0, 0.0))
    return spans


def _linear(experiment: Experiment) -> list[tuple[Floats, float, float]]:
    """The constraints as (coefficients [d], low, high)."""
    index = {p.name: j for j, p in enumerate(experiment.parameters)}
    found = []
    for constraint in experiment.constraints:
        row = np.zeros(len(index))
        if isinstance(constraint, MixtureSum):
            row[[index[name] for name in constraint.parameters]] = 1.0
            found.append((row, constraint.total, constraint.total))
        else:
            for name, c in constraint.coefficients.items():
                row[index[name]] = c
            found.append((row, constraint.low, constraint.high))
    return found


def _eliminate(experiment: Experiment) -> tuple[tuple[Equality, ...], tuple[tuple[Floats, float, float], ...]]:
    """Solve the equalities for one continuous parameter each, and what is left of the constraints.

    Raises:
        InvalidInput: They contradict each other.
    """
    spans = np.array([high - low for low, high in _spans(experiment)])
    can_pivot = np.array([isinstance(p, Continuous) for p in experiment.parameters])
    reduced: list[tuple[int, Floats, float]] = []
    kept = []
    for coefficients, low, high in _linear(experiment):
        if low != high:
            kept.append((coefficients, low, high))
            continue
        row, total = coefficients, low
        for pivot, other, value in reduced:
            row, total = row - row[pivot] * other, total - row[pivot] * value
        weight = np.where(can_pivot, np.abs(row) * spans, 0.0)
        pivot = int(weight.argmax())
        if weight[pivot] <= _TINY * (np.abs(coefficients) * spans).max():
            kept.append((row, total, total))
            continue
        row, total = row / row[pivot], total / row[pivot]
        reduced = [(p, other - other[pivot] * row, value - other[pivot] * total) for p, other, value in reduced]
        reduced.append((pivot, row, total))
    return tuple(
        Equality(pivot, tuple((int(j), float(row[j])) for j in np.flatnonzero(row) if j != pivot), total) for pivot, row, total in reduced
    ), tuple(kept)


def _inequalities(
    experiment: Experiment, kept: tuple[tuple[Floats, float, float], ...], pivots: set[int], slope: Floats, origin: Floats
) -> tuple[Floats, Floats]:
    """The constraints and the limits of the pivots as rows · x ≤ limits; those that the box implies are left out."""
    rows, limits = [np.zeros(slope.shape[1])][:0], [0.0][:0]
    own = [(np.eye(len(origin))[j], *_spans(experiment)[j]) for j in sorted(pivots)]
    for row, low, high in [*kept, *own]:
        a, shift = row @ slope, float(row @ origin)
        scale = float(np.abs(a).max(initial=0.0)) or 1.0
        for sign, limit in ((1.0, high - shift), (-1.0, shift - low)):
            if np.maximum(sign * a, 0).sum() > limit + _TINY * scale:
                if np.minimum(sign * a, 0).sum() > limit + _TINY * scale:
                    raise _infeasible(experiment)
                rows.append(sign * a / scale)
                limits.append(limit / scale)
    return np.round(np.array(rows).reshape(len(rows), slope.shape[1]), _DIGITS), np.round(np.array(limits), _DIGITS)
