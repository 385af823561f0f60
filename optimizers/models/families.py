"""Families of free energies: what a diagram looks like, for many sets of parameters at once.

Everything is without dimension. Temperatures are in units of the span of their axis, energies in the gas constant times that, and a
parameter is a standard normal number before anything was measured. Where the axis is not in K or °C, absolute zero is a parameter, too.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from frugaltwin.experiment import Categorical, Experiment
from optimizers.space.space import Floats, Space
from simulator.equations.arrays import x_log_x
from simulator.equations.lower_hull import tie_line_nodes

Codes = NDArray[np.int64]

_N = 61  # nodes along the composition
_EDGE = 2e-3  # how near to a pure component a mixture is taken to be: what is pure has no field
_CHUNK = 1_500_000  # energies at once: what fits near the processor
_WAVES = tuple((i, j) for i in (1, 2, 3) for j in range(4))
_MOST = 20  # coefficients of the lowest of several polynomials: many labels have many fields, and no few planes make them
_WARP = 0.03  # of the composition: how far a diagram may be from any of a family

_X = np.linspace(0, 1, _N)
_X32 = _X.astype(np.float32)
_IDEAL = (x_log_x(_X) + x_log_x(1 - _X)).astype(np.float32)
_XX, _Z = _X32 * (1 - _X32), 1 - 2 * _X32


@dataclass(frozen=True, eq=False)
class Axes:
    """The meaning of the parameters of an experiment, as far as their names and units tell it."""

    space: Space
    temperature: int | None = None
    """The number of the parameter that is a temperature."""
    composition: int | None = None
    """The number of the one that is a share of a whole of two components."""
    share: float = 1.0
    """The unit of a composition, such as 0.01."""
    parts: tuple[int, ...] = ()
    """The numbers of the parameters that add up to a whole, where there are no others."""
    absolute_zero: float | None = None
    """On the axis of temperature, in its unit, where that is known."""

    @cached_property
    def _key(self) -> tuple[object, ...]:
        roles = (self.temperature, self.composition, self.share, self.parts, self.absolute_zero)
        return (*roles, self.space.slope.tobytes(), self.space.origin.tobytes())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Axes) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @classmethod
    def of(cls, space: Space) -> "Axes":
        """The axes of a space; those of one that is no diagram of a binary or a ternary have no meaning."""
        experiment = space.experiment
        if any(isinstance(p, Categorical) for p in experiment.parameters):
            return cls(space)
        if len(experiment.parameters) == 3 and _adds_up(experiment, space):
            return cls(space, parts=(0, 1, 2))
        if len(experiment.parameters) != 2:
            return cls(space)
        hot = [j for j, p in enumerate(experiment.parameters) if _is_temperature(p.name, p.unit)]
        if len(hot) != 1:
            return cls(space)
        t, x = hot[0], 1 - hot[0]
        low, high = _limits(space, x)
        unit = experiment.parameters[x].unit
        share = 0.01 if "%" in unit or "percent" in unit else 1.0
        if low < 0 or high * share > 1 + 1e-9 or not (share < 1 or unit in ("", "1", "mol/mol")):
            return cls(space)
        zero = {"K": 0.0, "°C": -273.15, "degC": -273.15, "C": -273.15}.get(experiment.parameters[t].unit)
        return cls(space, t, x, share, (), zero)

    def natural(self, X: Floats) -> Floats:
        """Points [n, D] in natural units, [n, d]."""
        return _straight(self.space, X @ self.space.slope.T + self.space.origin)

    def fractions(self, X: Floats) -> Floats:
        """The mole fractions [n, c] at points X [n, D]."""
        natural = self.natural(X)
        if self.parts:
            whole = np.clip(natural[:, self.parts], 0, None)
            shares = np.maximum(whole / whole.sum(1, keepdims=True), _EDGE)
            normalized: Floats = shares / shares.sum(1, keepdims=True)
            return normalized
        assert self.composition is not None
        x = np.clip(natural[:, self.composition] * self.share, _EDGE, 1 - _EDGE)
        return np.stack([1 - x, x], axis=1)

    def heights(self, X: Floats) -> Floats:
        """Places of points X [n, D] on the axis of temperature, 0 to 1, [n]."""
        assert self.temperature is not None
        low, high = self.span
        share: Floats = (self.natural(X)[:, self.temperature] - low) / (high - low)
        return share

    @cached_property
    def span(self) -> tuple[float, float]:
        """The lowest and the highest temperature."""
        assert self.temperature is not None
        return _limits(self.space, self.temperature)


def _straight(space: Space, bent: Floats) -> Floats:
    """Values [n, d] in natural units: a long list of positive numbers has a logarithmic axis, whatever they mean."""
    unit = space.unit
    found: Floats = np.where(unit > 0, unit * np.exp(np.where(unit > 0, bent, 0.0)), bent)
    return found


def _limits(space: Space, j: int) -> tuple[float, float]:
    low = space.origin + np.minimum(space.slope, 0).sum(1)
    ends = _straight(space, np.stack([low, space.origin + np.maximum(space.slope, 0).sum(1)]))
    return float(ends[0, j]), float(ends[1, j])


def _is_temperature(name: str, unit: str) -> bool:
    return unit in ("K", "°C", "degC") or (unit in ("", "1", "C") and (name in ("T", "t") or name.lower().startswith("temp")))


def _adds_up(experiment: Experiment, space: Space) -> bool:
    if space.equalities:
        return len(space.equalities) == 1 and all(c == 1 for _, c in space.equalities[0].coefficients)
    sums = (space.points @ space.slope.T + space.origin).sum(1) if space.listed else np.zeros(1)
    return bool(sums.min() > 0 and np.ptp(sums) <= 1e-6 * sums.max())


Energies = tuple[Sequence[Floats], Sequence[tuple[NDArray[np.int64], Floats]]]
"""Free energies [k, t, m] of every solution at all nodes; and of every phase of one composition: node [k] and energy [k, t]."""


@dataclass(frozen=True)
class Family:
    """Diagrams of one kind: the field in which a place lies, by parameters that are standard normal before anything was measured."""

    name: str
    size: int
    """The number of parameters."""
    n_codes: int
    """The number of fields that there can be."""
    fields: Callable[[Floats, Floats], Codes]
    """The field [k, n] of every point X [n, D], with parameters z [k, size]."""
    has_labels: bool = False
    """Whether the number of a field is that of its label."""


def families(axes: Axes, n_labels: int) -> list[Family]:
    """The families that a diagram with these axes may be of."""
    found = []
    if axes.temperature is not None:
        absolute = axes.absolute_zero is not None
        found = [
            _binary(axes, "complete solution", 6, 2, _lens, absolute),
            _binary(axes, "eutectic", 6, 3, _eutectic, absolute),
            _binary(axes, "two solid solutions", 11, 3, _two_solids, absolute),
            _binary(axes, "miscibility gap", 6, 1, _gap, absolute),
            _binary(axes, "compound", 9, 4, _compound, absolute),
        ]
    if axes.parts:
        found = [Family("primary fields", 6, 3, lambda z, X: _primary(z, axes.fractions(X)))]
    D = axes.space.size
    if 1 <= D <= 3 and not axes.space.choices:
        for degree, name in ((1, "planes"), (2, "lowest of parabolas")):
            n_terms = len(_terms(np.zeros((1, D)), degree))
            if n_terms * n_labels <= _MOST:
                found.append(Family(name, n_terms * n_labels, n_labels, _lowest(degree, n_labels), has_labels=True))
    return found


def _binary(
    axes: Axes, name: str, n: int, n_phases: int, energies: Callable[[Floats, Floats, Floats], Energies], is_absolute: bool
) -> Family:
    """A family of binary diagrams: n parameters, where absolute zero is, and how the diagram is bent."""

    def fields(z: Floats, X: Floats) -> Codes:
        fractions, heights = axes.fractions(X), axes.heights(X)
        levels, level = np.unique(heights, return_inverse=True)
        waves = np.array([np.sin(np.pi * i * fractions[:, 1]) * np.cos(np.pi * j * heights) / (i * (1 + j)) for i, j in _WAVES])  # [12, n]
        found = np.empty((len(z), len(X)), dtype=np.int64)
        step = max(1, _CHUNK // (len(X) * _N))
        for a in range(0, len(z), step):
            part = z[a : a + step]
            if is_absolute:
                low, high = axes.span
                zero = np.full(len(part), (low - float(axes.absolute_zero or 0.0)) / (high - low))
            else:
                zero = np.exp(math.log(1.2) + 0.9 * part[:, n])
            zero = zero.astype(np.float32)
            bent = fractions[:, 1] + _WARP * np.exp(part[:, -1:]) * (part[:, n + 1 : -1] @ waves)
            solutions, points = energies(part.astype(np.float32), levels.astype(np.float32) + zero[:, None], zero)
            found[a : a + step] = _binary_codes(solutions, points, n_phases, level, np.clip(bent, _EDGE / 2, 1 - _EDGE / 2))
        return found

    return Family(name, n + 2 + len(_WAVES), n_phases**2 + n_phases, fields)


def _binary_codes(
    solutions: Sequence[Floats],
    points: Sequence[tuple[NDArray[np.int64], Floats]],
    n_phases: int,
    level: NDArray[np.int64],
    x: Floats,
) -> Codes:
    """The field [k, n] of compositions x [k, n] at the temperatures of these numbers: a pair of phases, or one."""
    lowest = solutions[0].astype(np.float32)
    phase = np.zeros(lowest.shape, dtype=np.int8)
    for number, energy in enumerate(solutions[1:], start=1):
        lower = energy < lowest
        lowest[lower], phase[lower] = energy[lower], number
    k = np.arange(len(x))
    for number, (node, energy) in enumerate(points, start=len(solutions)):
        lower = energy < lowest[k, :, node]
        lowest[k, :, node] = np.where(lower, energy, lowest[k, :, node])
        phase[k, :, node] = np.where(lower, number, phase[k, :, node])
    rows, flat = len(x) * len(level), x.ravel()
    left, right = tie_line_nodes(lowest[:, level].reshape(rows, _N), _X, flat)
    of, at = np.repeat(k, len(level)), np.tile(level, len(x))
    first, second = phase[of, at, left].astype(np.int64), phase[of, at, right].astype(np.int64)
    near = np.where(2 * flat < _X[left] + _X[right], first, second)
    is_one = (right - left <= 1) & (first < len(solutions)) & (second < len(solutions))
    pair = np.minimum(first, second) * n_phases + np.maximum(first, second)
    codes: Codes = np.where(is_one, n_phases**2 + near, pair).reshape(x.shape)
    return codes


def _melting(z: Floats, j: int, T: Floats, zero: Floats) -> Floats:
    """The free energy [k, t] of a liquid less that of its solid: a melting point, and an entropy around 2 R."""
    melting, entropy = zero + 0.6 + 0.45 * z[:, j], np.exp(math.log(2.0) + 0.6 * z[:, j + 1])
    found: Floats = entropy[:, None] * (np.maximum(melting, 0.02)[:, None] - T)
    return found


def _liquid(z: Floats, T: Floats, zero: Floats) -> Floats:
    first, second = _melting(z, 0, T, zero), _melting(z, 2, T, zero)
    found: Floats = first[..., None] * (1 - _X32) + second[..., None] * _X32 + T[..., None] * _IDEAL
    return found


def _times(scale: float, z: Floats, zero: Floats) -> Floats:
    """An interaction energy [k, 1, 1] in units of the thermal energy in the middle of the diagram."""
    found: Floats = (scale * z * (zero + 0.6))[:, None, None]
    return found


def _lens(z: Floats, T: Floats, zero: Floats) -> Energies:
    return [
        _liquid(z, T, zero) + _times(0.6, z[:, 4], zero) * _XX,
        T[..., None] * _IDEAL + _times(0.8, z[:, 5], zero) * _XX,
    ], []


def _eutectic(z: Floats, T: Floats, zero: Floats) -> Energies:
    liquid = _liquid(z, T, zero) + (_times(1.0, z[:, 4], zero) + _times(0.4, z[:, 5], zero) * _Z) * _XX
    solid = np.zeros(T.shape)
    return [liquid], [(np.zeros(len(z), dtype=np.int64), solid), (np.full(len(z), _N - 1), solid)]


def _two_solids(z: Floats, T: Floats, zero: Floats) -> Energies:
    ideal = T[..., None] * _IDEAL
    drift = 0.3 * (T - (zero + 0.6)[:, None])[..., None]
    solids = []
    for j, x in ((5, 1 - _X32), (6, _X32)):  # what the other component costs in it; its interaction; how that changes with temperature
        foreign = ((zero + 0.6) * np.exp(0.7 * z[:, j]))[:, None, None] - drift * z[:, j + 4, None, None]
        solids.append(foreign * (1 - x) + ideal + _times(0.4, z[:, j + 2], zero) * _XX)
    return [_liquid(z, T, zero) + _times(0.5, z[:, 4], zero) * _XX, *solids], []


def _gap(z: Floats, T: Floats, zero: Floats) -> Energies:
    middle = (zero + 0.6)[:, None, None]
    drift = T[..., None] - middle
    z = z[:, :, None, None]
    symmetric = 2 * middle * np.exp(0.35 * z[:, 0]) + 1.2 * z[:, 1] * drift
    skew = middle * (0.6 * z[:, 2] * _Z + 0.3 * z[:, 3] * _Z**2) + drift * (0.5 * z[:, 4] * _Z + 0.3 * z[:, 5] * _Z**2)
    return [T[..., None] * _IDEAL + (symmetric + skew) * _XX], []


def _compound(z: Floats, T: Floats, zero: Floats) -> Energies:
    liquid, ends = _eutectic(z, T, zero)
    x = 0.05 + 0.9 / (1 + np.exp(-1.6 * z[:, 6]))
    formation = ((zero + 0.6) * np.exp(math.log(0.5) + 0.8 * z[:, 7]))[:, None] - 0.3 * z[:, 8, None] * (T - (zero + 0.6)[:, None])
    return liquid, [*ends, (np.abs(_X - x[:, None]).argmin(1), -formation)]


def _primary(z: Floats, fractions: Floats) -> Codes:
    """The component that an ideal melt sets free first: 1/T = 1/T_m - ln x / S T_m, the highest T."""
    melting, entropy = np.maximum(1 + 0.25 * z[:, :3], 0.05), np.exp(math.log(2.0) + 0.5 * z[:, 3:])
    found: Codes = ((1 - np.log(fractions.T) / entropy[:, :, None]) / melting[:, :, None]).argmin(1)
    return found


def _terms(X: Floats, degree: int) -> Floats:
    """The monomials [q, n] of points X [n, D] of the unit box, each scaled by what its coefficient may be."""
    Y = 2 * X.T - 1
    terms = [np.ones(len(X)), *Y]
    if degree > 1:
        terms += [0.6 * Y[i] * Y[j] for i in range(len(Y)) for j in range(i, len(Y))]
    return np.array(terms)


def _lowest(degree: int, n_labels: int) -> Callable[[Floats, Floats], Codes]:
    def fields(z: Floats, X: Floats) -> Codes:
        found: Codes = (z.reshape(len(z), n_labels, -1) @ _terms(X, degree)).argmin(1)
        return found

    return fields
