"""Phase equilibrium of two components: common tangents to curves of the Gibbs energy.

x is the mole fraction of B throughout, T in K, energies in J/mol. A phase is either a `Solution`, G(x, T) = RT Σ x ln x plus a
polynomial in 1-2x (pure components and Redlich-Kister excess), or a `Compound` of fixed composition. Everything is computed for all
temperatures at once.

How: on a grid, a point is stable if its tangent lies below all curves (the tangent plane distance is nowhere negative); two stable
neighbors with something unstable between them are the ends of a tie line; Newton's method then moves each end until its slope is
that of the chord. At last every tangent is checked against every curve between the grid points, and tie lines are split or merged,
so that fields much narrower than the grid are found too.
Source: Gibbs, Trans. Conn. Acad. 3 (1876) 108 (common tangent); Michelsen, Fluid Phase Equilib. 9 (1982) 1,
doi:10.1016/0378-3812(82)85001-2 (tangent plane distance); Redlich & Kister, Ind. Eng. Chem. 40 (1948) 345,
doi:10.1021/ie50458a036 (excess energy).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit, xlogy

from simulator.equations.arrays import Array, as_array, floats, namespace, x_log_x
from simulator.equations.constants import R

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]

POTENTIAL_TOLERANCE = 1e-7
"""Largest difference of the chemical potentials at the two ends of a tie line, J/mol."""
VANISHED = 1e-9
"""Mole fraction of the other component in both ends of a tie line that has shrunk to a pure one, where this melts."""
NEAREST = 3e-8
"""Relative distance to a critical temperature at which a gap is still found; a nearer gap is narrower than 3e-4, and rounding fills it."""
NOWHERE = np.array([[np.inf], [-np.inf]])
TERMS = 4  # of Redlich-Kister at most
DEGREE = TERMS + 2  # coefficients of the polynomial in 1-2x
POWERS = np.arange(DEGREE, dtype=float)


def _along_x(order: int) -> Floats:
    """Matrix [6, 6] from the coefficients of a polynomial in z = 1-2x to those of its derivative of this order in x."""
    matrix = np.eye(DEGREE)
    for _ in range(order):
        matrix = -2 * np.diag(POWERS[1:], 1) @ matrix
    return matrix


DERIVATIVES = np.stack([_along_x(0), _along_x(1), _along_x(2)])  # [3, 6, 6]


@dataclass(frozen=True)
class Solution:
    """A phase of variable composition: G = Σ x_i (h_i - T s_i) + RT Σ x_i ln x_i + x (1-x) Σ_k (L_k + T M_k) (1-2x)^k."""

    name: str
    enthalpies: tuple[float, float] = (0.0, 0.0)
    """Enthalpies of pure A and pure B in this phase, J/mol, against any reference that the other phases have too."""
    entropies: tuple[float, float] = (0.0, 0.0)
    """J/(mol K), the same."""
    excess: tuple[float, ...] = ()
    """L_k, at most four."""
    excess_slopes: tuple[float, ...] = ()
    """M_k, J/(mol K)."""

    @cached_property
    def polynomial(self) -> tuple[Floats, Floats]:
        """G less its ideal part as a polynomial in 1-2x: coefficients [6] of T⁰ and of T¹."""
        fixed, linear = self.coefficients
        return np.array(fixed), np.array(linear)

    @property
    def coefficients(self) -> tuple[list[Any], list[Any]]:
        """The same one by one: tensors where constants of the phase are."""
        h, s = self.enthalpies, self.entropies
        return _polynomial(h, self.excess), _polynomial((-s[0], -s[1]), self.excess_slopes)

    @property
    def mirrored(self) -> "Solution":
        """The same with A and B exchanged."""
        h, s = self.enthalpies, self.entropies
        flipped = [tuple((-1) ** k * value for k, value in enumerate(values)) for values in (self.excess, self.excess_slopes)]
        return Solution(self.name, (h[1], h[0]), (s[1], s[0]), *flipped)


@dataclass(frozen=True)
class Compound:
    """A phase of fixed composition x: a line compound, or a pure solid at x = 0 or 1. G = h - T s, per mole of atoms."""

    name: str
    composition: float
    enthalpy: float = 0.0
    entropy: float = 0.0

    @cached_property
    def polynomial(self) -> tuple[Floats, Floats]:
        """A constant; coefficients [6] of T⁰ and of T¹."""
        return self.enthalpy * (POWERS == 0), -self.entropy * (POWERS == 0)

    @property
    def coefficients(self) -> tuple[list[Any], list[Any]]:
        """The same one by one: tensors where constants of the phase are."""
        return [self.enthalpy] + [0.0] * (DEGREE - 1), [-self.entropy] + [0.0] * (DEGREE - 1)

    @property
    def mirrored(self) -> "Compound":
        """The same with A and B exchanged."""
        return Compound(self.name, 1 - self.composition, self.enthalpy, self.entropy)


Phase: TypeAlias = Solution | Compound


def _polynomial(pure: tuple[float, float], excess: Sequence[float]) -> list[Any]:
    """x (1-x) (1-2x)^k is (z^k - z^(k+2)) / 4 with z = 1-2x."""
    c: list[Any] = [(pure[0] + pure[1]) / 2, (pure[0] - pure[1]) / 2] + [0.0] * (DEGREE - 2)
    for k, value in enumerate(excess):
        c[k] = c[k] + value / 4
        c[k + 2] = c[k + 2] - value / 4
    return c


def energy(phase: Phase, x: Array, T: Array) -> Array:
    """Gibbs energy [...] of a phase at x [...] and T [...]; of a compound whatever x is.

    Here and in the next four, x, T and the constants of the phase may be torch tensors.

    >>> float(energy(Solution("liquid", excess=(8000.0,)), 0.5, 300.0)) == 2000 - R * 300 * float(np.log(2))
    True
    """
    _, x, T = floats(x, T)
    ideal = R * T * (x_log_x(x) + x_log_x(1 - x)) if isinstance(phase, Solution) else 0.0
    return ideal + _polynomial_at(phase, x, T, 0)


def slope(phase: Solution, x: Array, T: Array) -> Array:
    """∂G/∂x [...] of a solution."""
    xp, x, T = floats(x, T)
    with np.errstate(divide="ignore"):
        ideal = R * T * (xp.log(x) - xp.log1p(-x))
    return ideal + _polynomial_at(phase, x, T, 1)


def curvature(phase: Solution, x: Array, T: Array) -> Array:
    """∂²G/∂x² [...] of a solution: negative inside the spinodal."""
    _, x, T = floats(x, T)
    return R * T / (x * (1 - x)) + _polynomial_at(phase, x, T, 2)


def chemical_potentials(phase: Solution, x: Array, T: Array) -> tuple[Array, Array]:
    """Chemical potentials of A and of B, [...] each: the tangent at x = 0 and at x = 1."""
    _, x, T = floats(x, T)
    g, s = energy(phase, x, T), slope(phase, x, T)
    return g - x * s, g + (1 - x) * s


def _polynomial_at(phase: Phase, x: Array, T: Array, order: int) -> Array:
    fixed, linear = _parts(phase, x, order)
    return fixed + T * linear


def _parts(phase: Phase, x: Array, order: int) -> tuple[Array, Array]:
    """The parts of T⁰ and T¹, [...], of a derivative of G less its ideal part."""
    xp = namespace(x)
    matrix, exponents = DERIVATIVES[order], POWERS
    if xp is np:
        fixed, linear = phase.polynomial
    else:
        fixed, linear = (xp.stack([as_array(v, x) for v in c]) for c in phase.coefficients)
        matrix, exponents = as_array(matrix, x), as_array(exponents, x)
    powers = (1 - 2 * x)[..., None] ** exponents
    return powers @ (matrix @ fixed), powers @ (matrix @ linear)


def spinodal_temperature(phase: Solution, x: Array) -> Array:
    """T [...] at which a solution of composition x (0 < x < 1) loses its inner stability, G″ = 0; NaN where it never does.

    >>> float(spinodal_temperature(Solution("liquid", excess=(2 * R * 400,)), 0.5))
    400.0
    """
    xp, x = floats(x)
    fixed, linear = _parts(phase, x, 2)
    entropic = R / (x * (1 - x)) + linear
    with np.errstate(divide="ignore", invalid="ignore"):
        T = -fixed / entropic
    # Demixed below it, that is: a gap that closes on cooling has a spinodal with another sign, and the same temperature.
    return xp.where(xp.isfinite(T) & (T > 0), T, xp.nan)


@lru_cache(maxsize=256)
def critical_points(phase: Solution) -> tuple[tuple[float, float], ...]:
    """(x, T) of the tops of the spinodal, G″ = G‴ = 0, whether another phase covers them or not."""
    x = np.linspace(0.0005, 0.9995, 2000)
    T = spinodal_temperature(phase, x)

    def steepness(x: float) -> float:
        step = 1e-6
        return float(spinodal_temperature(phase, x + step) - spinodal_temperature(phase, x - step))

    tops = []
    for k in range(1, len(x) - 1):
        if T[k] >= T[k - 1] and T[k] > T[k + 1]:
            top = x[k] if steepness(x[k]) == 0 else float(brentq(steepness, x[k - 1], x[k + 1], xtol=1e-13))
            tops.append((float(top), float(spinodal_temperature(phase, top))))
    return tuple(tops)


@dataclass(frozen=True)
class TieLines:
    """All m tie lines at k temperatures, in order of temperature, then of composition."""

    temperatures: Floats
    """[k]"""
    row: Integers
    """Index of the temperature, [m]."""
    phases: Integers
    """Index of the phase at the left end and at the right, [m, 2]."""
    compositions: Floats
    """[m, 2], rising."""
    slopes: Floats
    """Slope of the common tangent, [m]."""

    @cached_property
    def first(self) -> Integers:
        """The number of the first tie line at every temperature, and of the one after the last, [k + 1]."""
        return np.searchsorted(self.row, np.arange(len(self.temperatures) + 1))

    @cached_property
    def most(self) -> int:
        """Largest number of tie lines at one temperature."""
        return int(np.diff(self.first).max(initial=0))

    def signature(self, row: int) -> tuple[tuple[int, int], ...]:
        """The pairs of phases at one of the temperatures, from x = 0 to x = 1."""
        return tuple((int(a), int(b)) for a, b in self.phases[self.first[row] : self.first[row + 1]])


@dataclass(frozen=True)
class Equilibrium:
    """Phases of n mixtures: at most two each, in order of composition."""

    phases: Integers
    """Index of the phase, [n, 2]; the second is -1 where there is one phase only."""
    compositions: Floats
    """Compositions of the phases, [n, 2]; the second is that of the mixture where there is one phase only."""
    fractions: Floats
    """Fractions of the phases, by the lever rule, [n, 2]."""


class _Grid:
    """Everything that depends on the phases alone: the grid of compositions, and all powers of them."""

    def __init__(self, phases: tuple[Phase, ...]) -> None:
        tail = np.geomspace(1e-7, 4e-3, 7)
        special = [x for p in phases if isinstance(p, Solution) for x, _ in critical_points(p)]
        lines = [p.composition for p in phases if isinstance(p, Compound)]
        self.x = np.unique(np.concatenate([np.linspace(0, 1, 101), tail, 1 - tail, special, lines]))
        inner = np.clip(self.x, self.x[1], self.x[-2])
        self.u = logit(inner)
        self.columns = np.arange(len(self.x))
        self.width = inner * (1 - inner)
        entropy = xlogy(self.x, self.x) + xlogy(1 - self.x, 1 - self.x)
        powers = (1 - 2 * self.x)[:, None] ** POWERS  # [N, 6]
        basis = np.stack([powers @ d for d in DERIVATIVES])  # [3, N, 6]
        ideal = np.stack([entropy, self.u, 1 / self.width])[..., None]  # [3, N, 1]
        # One product gives all energies, slopes and curvatures: coefficients [p, k, 7] times [7, 3 N].
        self.basis = np.concatenate([basis, ideal], axis=-1).reshape(-1, DEGREE + 1).T.copy()
        self.fixed = np.array([[*p.polynomial[0], 0.0] for p in phases])  # [p, 7]
        self.linear = np.array([[*p.polynomial[1], R * isinstance(p, Solution)] for p in phases])
        self.is_line = np.array([isinstance(p, Compound) for p in phases])
        self.line_x = np.array([p.composition if isinstance(p, Compound) else 0.5 for p in phases])
        self.line_composition = [p.composition if isinstance(p, Compound) else None for p in phases]
        self.line_columns = np.searchsorted(self.x, lines)
        self.off_line = np.zeros((len(phases), 1, len(self.x)))  # infinite where a compound is not
        self.off_line[self.is_line, 0] = np.where(self.x == self.line_x[self.is_line, None], 0.0, np.inf)
        self.has_lines = bool(self.is_line.any())
        # The coefficients of value, slope and curvature from those of the value, for single points.
        self.point_fixed = np.einsum("dij,pj->pid", DERIVATIVES, self.fixed[:, :DEGREE])  # [p, 6, 3]
        self.point_linear = np.einsum("dij,pj->pid", DERIVATIVES, self.linear[:, :DEGREE])


@lru_cache(maxsize=64)
def _grid(phases: tuple[Phase, ...]) -> _Grid:
    return _Grid(phases)


def tie_lines(phases: tuple[Phase, ...], T: Floats) -> TieLines:
    """All common tangents at temperatures T [k], refined until the chemical potentials agree to `POTENTIAL_TOLERANCE`.

    Raises:
        ArithmeticError: One cannot be refined.
    """
    grid = _grid(phases)
    N = len(grid.x)
    coefficients = grid.fixed[:, None] + grid.linear[:, None] * T[:, None]  # [p, k, 7]
    curves = (coefficients @ grid.basis).reshape(len(phases), len(T), 3, N)
    if grid.has_lines:
        curves[:, :, 0] += grid.off_line
    lowest, stable = _stable_points(grid, curves, T)
    row, i, j, ends = _neighbors(lowest, stable)
    far = np.repeat(NOWHERE, len(row), axis=1)
    while len(same := np.flatnonzero(ends[0] == ends[1])):
        between = (grid.columns > i[same, None]) & (grid.columns < j[same, None])
        bend = np.where(between, curves[ends[0, same], row[same], 2], np.inf)  # [same, N]
        far[:, same] = grid.u[bend.argmin(axis=1)]
        hidden = bend.min(axis=1) > 0
        if not hidden.any():
            break
        # Two ends of one phase without a spinodal between them: there is a field of another phase, too narrow for the grid.
        stranger = between & (lowest[row[same]] != ends[0, same, None])
        column = np.where(stranger.any(axis=1), stranger.argmax(axis=1), bend.argmin(axis=1))
        stable[row[same][hidden], column[hidden]] = True
        row, i, j, ends = _neighbors(lowest, stable)
        far = np.repeat(NOWHERE, len(row), axis=1)
    U = grid.u[np.array([i, j])]
    # Near a critical point Newton's method converges from outside, if both ends are about as far from the middle.
    reach = np.maximum(far[0] - U[0], U[1] - far[1])
    narrow = reach < 0.3
    U[:, narrow] = far[:, narrow] + reach[narrow] * np.array([[-1.0], [1.0]])
    close = (j == i + 1) & ((i == 0) | (j == N - 1))  # a pure component melts: both ends are beyond the last grid points
    if close.any():
        U[:, close] += np.array([[-0.5], [0.5]])
    lines = _refined(grid, T, row, ends, U, far)
    for _ in range(12):
        start = _merged(lines) or _split(grid, curves, T, lines)
        if start is None:
            break
        lines = _refined(grid, T, *start)
    return TieLines(T, lines.row, lines.ends.T, lines.x.T, lines.slopes)


@dataclass(frozen=True)
class _Lines:
    """Tie lines with their ends side by side."""

    row: Integers
    ends: Integers
    """[2, m]"""
    x: Floats
    """[2, m]"""
    U: Floats
    """Log-odds of x, [2, m]; without a meaning for a compound."""
    slopes: Floats
    """[m]"""
    at_zero: Floats
    """The chemical potential of A, [m]."""


_Start: TypeAlias = tuple[Integers, Integers, Floats, Floats]  # row, ends, U and far


def _neighbors(lowest: Integers, stable: NDArray[np.bool_]) -> tuple[Integers, Integers, Integers, Integers]:
    """Row, columns i < j and phases [2, m] of every two stable points next to each other that a tie line may connect."""
    row, column = np.nonzero(stable)
    same_row = row[1:] == row[:-1]
    i, j, row = column[:-1][same_row], column[1:][same_row], row[:-1][same_row]
    left, right = lowest[row, i], lowest[row, j]
    gap = (j > i + 1) | (left != right)
    return row[gap], i[gap], j[gap], np.array([left[gap], right[gap]])


def _stable_points(grid: _Grid, curves: Floats, T: Floats) -> tuple[Integers, NDArray[np.bool_]]:
    """The lowest phase [k, N] on the grid, and whether it is stable there [k, N]."""
    p, k, _, N = curves.shape
    if p == 1:
        lowest = np.zeros((k, N), dtype=np.intp)
        g, s, c = curves[0, :, 0], curves[0, :, 1], curves[0, :, 2]
    else:
        lowest = curves[:, :, 0].argmin(axis=0)
        rows = np.arange(k)[:, None]
        g, s, c = (curves[lowest, rows, order, grid.columns] for order in range(3))
    stable = np.empty((k, N), dtype=bool)
    at_zero = g - s * grid.x
    chunk = 32
    for start in range(0, k, chunk):
        part = slice(start, start + chunk)
        distance = s[part, :, None] * -grid.x
        distance += g[part, None, :]
        stable[part] = distance.min(axis=-1) >= at_zero[part] - 1e-9
    stable &= c * grid.width > -NEAREST * R * T[:, None]
    for column in grid.line_columns.tolist():
        if 0 < column < N - 1:
            is_line = grid.is_line[lowest[:, column]]
            chords = (g - g[:, column : column + 1]) / np.where(np.arange(N) == column, 1.0, grid.x - grid.x[column])
            on_hull = chords[:, :column].max(axis=1) <= chords[:, column + 1 :].min(axis=1)
            stable[:, column] = np.where(is_line, on_hull, stable[:, column])
    stable[:, 0] = stable[:, -1] = True
    return lowest, stable


def _refined(grid: _Grid, T: Floats, row: Integers, ends: Integers, U: Floats, far: Floats) -> _Lines:
    """Common tangents by Newton's method from log-odds U [2, m] of the compositions.

    With the differences F = Δ(∂G/∂x) and H = Δμ_A between the ends, both ends move to where they have the slope of the chord:
    δx = (σ - G′)/G″. It is done in log-odds, where an ideal solution is linear. A step that would cross the spinodal is halved, and
    one that would cross `far` [2, m] (a point inside the gap of a phase) goes half the way there.

    Raises:
        ArithmeticError: The chemical potentials still differ after 200 steps, and after 200 larger ones.
    """
    U_before = U
    if len(row) == 0:
        return _Lines(row, ends, U, U, np.zeros(0), np.zeros(0))
    if len(row) <= 4:
        return _refined_few(grid, T, row, ends, U, far)
    RT = R * T[row]
    coefficients = grid.point_fixed[ends] + grid.point_linear[ends] * T[row][:, None, None]  # [2, m, 6, 3]
    is_line, line_x = grid.is_line[ends], grid.line_x[ends]
    has_lines = bool(is_line.any())
    x, step = expit(U), np.zeros_like(U)
    slopes = at_zero = np.zeros(len(row))
    for attempt in range(200):
        trial = U + step
        if attempt:
            trial[0] = np.where(trial[0] < far[0], trial[0], (U[0] + far[0]) / 2)
            trial[1] = np.where(trial[1] > far[1], trial[1], (U[1] + far[1]) / 2)
        trial_x = np.where(is_line, line_x, expit(trial)) if has_lines else expit(trial)
        z = 1 - 2 * trial_x
        values = ((z[..., None] ** POWERS)[..., None, :] @ coefficients)[..., 0, :]  # [2, m, 3]
        s = RT * trial + values[..., 1]
        mu = values[..., 0] - trial_x * values[..., 1] - RT * np.logaddexp(0, trial)
        stiffness = RT + values[..., 2] * trial_x * (1 - trial_x)
        width = trial_x[1] - trial_x[0]
        if has_lines:
            s, mu, stiffness = _with_compounds(is_line, trial_x, values[..., 0], s, mu, stiffness)
        F, H = s[0] - s[1], mu[0] - mu[1]
        wrong = (stiffness <= 0) | (width <= 0)
        allowed = ~wrong.any(axis=0)
        if attempt == 0:
            allowed[:] = True
        q = -(H + trial_x[0] * F) / np.where(width > 0, width, 1.0)
        new = np.array([q - F, q]) / np.where(stiffness > 0, stiffness, 1.0)
        if has_lines:
            new[is_line] = 0.0
        np.clip(new, -2.0, 2.0, out=new)
        if allowed.all():
            U, x, step, slopes, at_zero = trial, trial_x, new, s[1], mu[1]
            differ = max(float(np.abs(H).max()), float(np.abs(F + H).max()))
            if differ < POTENTIAL_TOLERANCE / 4 and (attempt > 50 or float(np.abs(step * x * (1 - x)).max()) < 1e-11):
                return _Lines(row, ends, x, U, slopes, at_zero)
        else:
            U, x, step = (
                np.where(allowed, trial, U),
                np.where(allowed, trial_x, x),
                np.where(allowed, new, np.where(wrong, (trial - U) / 2, trial - U)),
            )
    return _refined_few(grid, T, row, ends, U_before, far)


def _refined_few(grid: _Grid, T: Floats, row: Integers, ends: Integers, U: Floats, far: Floats) -> _Lines:
    """`_refined` on plain numbers: a handful of tie lines would spend their time in the calls of array functions."""
    kelvin = T[row]
    coefficients = (grid.fixed[ends, :DEGREE] + grid.linear[ends, :DEGREE] * kelvin[:, None])[..., ::-1].tolist()
    lines = grid.line_composition
    found = [
        _tangent(
            T_k,
            (coefficients[0][k], coefficients[1][k]),
            (lines[ends[0, k]], lines[ends[1, k]]),
            (float(U[0, k]), float(U[1, k])),
            (float(far[0, k]), float(far[1, k])),
        )
        for k, T_k in enumerate(kelvin.tolist())
    ]
    table = np.array(found).T  # [6, m]
    return _Lines(row, ends, table[:2], table[2:4], table[4], table[5])


def _tangent(
    T: float,
    coefficients: tuple[list[float], list[float]],
    lines: tuple[float | None, float | None],
    start: tuple[float, float],
    far: tuple[float, float],
) -> tuple[float, float, float, float, float, float]:
    """One common tangent: compositions and log-odds of its ends, its slope, and the chemical potential of A.

    Args:
        coefficients: Of the polynomials at either end, the highest power first.
        lines: The composition of a compound, None for a solution.

    Raises:
        ArithmeticError: It is not found.
    """
    RT = R * T
    found = _by_newton(RT, coefficients, lines, start, far)
    if found is None:
        found = _by_newton(RT, coefficients, lines, _dilute(RT, coefficients, lines, start), far, longest=50.0)
    if found is None:
        raise ArithmeticError(f"no common tangent found at {T:g} K")
    return found


def _dilute(
    RT: float,
    coefficients: tuple[list[float], list[float]],
    lines: tuple[float | None, float | None],
    start: tuple[float, float],
) -> tuple[float, float]:
    """Log-odds from where a tie line next to a pure component is found: the component that is rare has one potential in both solutions."""
    u, v = start
    if lines != (None, None) or min(abs(u), abs(v)) < 5 or u * v < 0:
        return start
    (_, s, mu, _), (_, t, nu, _) = _end(RT, coefficients[0], None, u), _end(RT, coefficients[1], None, v)
    moved = (u, v - (mu - nu) / RT) if u > 0 else (u - (s + mu - t - nu) / RT, v)
    return moved if moved[0] < moved[1] else start


def _by_newton(
    RT: float,
    coefficients: tuple[list[float], list[float]],
    lines: tuple[float | None, float | None],
    start: tuple[float, float],
    far: tuple[float, float],
    longest: float = 2.0,
) -> tuple[float, float, float, float, float, float] | None:
    """The tangent of `_tangent` by 200 steps up to `longest`, in log-odds; None where the potentials still differ."""
    (u, v), (du, dv) = start, (0.0, 0.0)
    for attempt in range(200):
        if attempt:  # a step beyond `far` goes half the way there
            du = du if u + du < far[0] else (far[0] - u) / 2
            dv = dv if v + dv > far[1] else (far[1] - v) / 2
        a, s, mu, stiff_a = _end(RT, coefficients[0], lines[0], u + du)
        b, t, nu, stiff_b = _end(RT, coefficients[1], lines[1], v + dv)
        width = b - a
        if lines[0] is not None and lines[1] is not None:
            s = t = (nu - mu) / width
            mu, nu = mu - a * s, nu - b * t
        elif lines[0] is not None:
            s, mu = t, mu - a * t
        elif lines[1] is not None:
            t, nu = s, nu - b * s
        if longest > 2 and _has_vanished(a, b, mu - nu, s - t + mu - nu):
            return a, max(a, b), u + du, v + dv, t, nu
        if attempt and not (width > 0 and stiff_a > 0 and stiff_b > 0):
            du = du / 2 if stiff_a <= 0 or width <= 0 else du
            dv = dv / 2 if stiff_b <= 0 or width <= 0 else dv
            continue
        u, v = u + du, v + dv
        F, H = s - t, mu - nu
        q = -(H + a * F) / width if width > 0 else 0.0
        du = 0.0 if lines[0] is not None else min(max((q - F) / stiff_a, -longest), longest)
        dv = 0.0 if lines[1] is not None else min(max(q / stiff_b, -longest), longest)
        is_still = attempt > 50 or max(abs(du) * a * (1 - a), abs(dv) * b * (1 - b)) < 1e-11
        if is_still and max(abs(H), abs(F + H)) < POTENTIAL_TOLERANCE / 4:
            return a, b, u, v, t, nu
    return None


def _has_vanished(left: float, right: float, in_A: float, in_B: float) -> bool:
    """Whether a tie line has shrunk to a pure component, whose chemical potential agrees; the differences are those of both components."""
    enough = POTENTIAL_TOLERANCE / 4
    return (right < VANISHED and abs(in_A) < enough) or (left > 1 - VANISHED and abs(in_B) < enough)


def _end(RT: float, coefficients: list[float], line: float | None, u: float) -> tuple[float, float, float, float]:
    """Composition, slope, chemical potential of A and x (1-x) G″ at log-odds u; of a compound the energy for the potential."""
    x = 1 / (1 + math.exp(-u)) if u > 0 else math.exp(u) / (1 + math.exp(u))
    x = x if line is None else line
    z = 1 - 2 * x
    p = q = r = 0.0
    for c in coefficients:  # Horner's scheme for the polynomial, its first derivative, and half its second
        r, q, p = r * z + q, q * z + p, p * z + c
    if line is not None:
        return x, 0.0, p, 1.0
    softplus = math.log1p(math.exp(-abs(u))) + max(u, 0.0)
    return x, RT * u - 2 * q, p + 2 * x * q - RT * softplus, RT + 8 * r * x * (1 - x)


def _with_compounds(
    is_line: NDArray[np.bool_], x: Floats, g: Floats, s: Floats, mu: Floats, stiffness: Floats
) -> tuple[Floats, Floats, Floats]:
    """A compound takes any slope: that of the other end, or of the chord between two of them."""
    both = is_line.all(axis=0)
    chord = (g[1] - g[0]) / np.where(both, x[1] - x[0], 1.0)
    s = np.where(both, chord, np.where(is_line, s[::-1], s))
    return s, np.where(is_line, g - x * s, mu), np.where(is_line, 1.0, stiffness)


def _merged(lines: _Lines) -> _Start | None:
    """Replace two tie lines by one where the slope falls from one to the next: the field between them does not exist."""
    bad = (lines.row[1:] == lines.row[:-1]) & (lines.slopes[1:] < lines.slopes[:-1])
    if not bad.any():
        return None
    bad[1:] &= ~bad[:-1]  # one at a time
    first = np.append(bad, False)
    ends, U = lines.ends.copy(), lines.U.copy()
    ends[1, first], U[1, first] = ends[1, 1:][bad], U[1, 1:][bad]
    keep = np.append(True, ~bad)
    U = U[:, keep]
    return lines.row[keep], ends[:, keep], U, _far(ends[:, keep], U)


def _far(ends: Integers, U: Floats) -> Floats:
    """Limits [2, m] that an end may not cross: the start of the other end, if both are of one phase."""
    return np.where(ends[0] == ends[1], U[::-1], NOWHERE)


def _split(grid: _Grid, curves: Floats, T: Floats, lines: _Lines) -> _Start | None:
    """Replace one tie line by two where a curve dips below a tangent between the grid points: there is a field between them."""
    if not len(lines.row):
        return None
    picked = curves[:, lines.row]  # [p, m, 3, N]
    above = picked[:, :, 0] - lines.at_zero[:, None] - lines.slopes[:, None] * grid.x
    inner = above[..., 1:-1]
    phase, line, column = np.nonzero((inner <= above[..., :-2]) & (inner < above[..., 2:]) & (inner < 5.0))
    column += 1
    off, stiff = picked[phase, line, 1, column] - lines.slopes[line], picked[phase, line, 2, column]
    is_own = np.zeros(len(phase), dtype=bool)
    for end in (0, 1):
        near = (np.abs(grid.x[column] - lines.x[end, line]) < 0.025) | (np.abs(grid.u[column] - lines.U[end, line]) < 1.5)
        is_own |= (phase == lines.ends[end, line]) & near
    deep = above[phase, line, column] - off**2 / (2 * np.maximum(stiff, 1e-9)) < 1.0  # roughly; `_with_dips` says exactly
    chosen = deep & (stiff > 0) & ~is_own & ~grid.is_line[phase]
    if not chosen.any():
        return None
    return _with_dips(grid, T, lines, phase[chosen], line[chosen], grid.u[column[chosen]])


def _with_dips(grid: _Grid, T: Floats, lines: _Lines, phase: Integers, line: Integers, u: Floats) -> _Start | None:
    """Tie lines to and from the deepest dip below each tangent, near log-odds u [c]."""
    kelvin = T[lines.row[line]]
    RT, slopes = R * kelvin, lines.slopes[line]
    coefficients = grid.point_fixed[phase] + grid.point_linear[phase] * kelvin[:, None, None]  # [c, 6, 3]
    depth = np.zeros(len(u))
    for _ in range(12):
        x = expit(u)
        values = (((1 - 2 * x)[:, None] ** POWERS)[:, None, :] @ coefficients)[:, 0]
        stiffness = np.maximum(RT + values[:, 2] * x * (1 - x), 1e-3 * RT)
        depth = values[:, 0] + RT * (x * u - np.logaddexp(0, u)) - lines.at_zero[line] - slopes * x
        u = u + np.clip((slopes - RT * u - values[:, 1]) / stiffness, -1.0, 1.0)
    order = np.lexsort((depth, line))
    deepest = order[np.append(True, line[order][1:] != line[order][:-1])]
    deepest = deepest[depth[deepest] < -1e-6]
    if not len(deepest):
        return None
    split, phase, u = line[deepest], phase[deepest], u[deepest]
    position = np.arange(len(lines.row))
    copies = np.sort(np.concatenate([position, split]))
    row, ends, U = lines.row[copies], lines.ends[:, copies].copy(), lines.U[:, copies].copy()
    first = np.searchsorted(copies, split)
    ends[1, first] = ends[0, first + 1] = phase
    U[1, first] = U[0, first + 1] = u
    U[0, first] = np.minimum(U[0, first], u - 0.05)
    U[1, first + 1] = np.maximum(U[1, first + 1], u + 0.05)
    return row, ends, U, _far(ends, U)


def binary_equilibrium(phases: tuple[Phase, ...], x: ArrayLike, T: ArrayLike) -> Equilibrium:
    """Phases of n mixtures of composition x [n] at T [n] (or all at one temperature).

    Mass is conserved to rounding: the fractions are those of the lever rule, f_1 x_1 + f_2 x_2 = x.

    Raises:
        ArithmeticError: A tie line cannot be refined.

    >>> regular = Solution("liquid", excess=(2.5 * R * 300,))
    >>> both = binary_equilibrium((regular,), [0.5, 0.01], 300.0)
    >>> both.phases.tolist(), both.compositions[0].round(3).tolist(), both.fractions[0].round(6).tolist()
    ([[0, 0], [0, -1]], [0.145, 0.855], [0.5, 0.5])
    """
    x, T = np.asarray(x, dtype=float), np.asarray(T, dtype=float)
    if T.size == 1:
        temperatures, row = T.reshape(1), np.zeros(len(x), dtype=np.intp)
    else:
        temperatures, row = np.unique(T, return_inverse=True)
    return located(phases, tie_lines(phases, temperatures), x, row)


def located(phases: tuple[Phase, ...], lines: TieLines, x: Floats, row: Integers) -> Equilibrium:
    """Phases of mixtures x [n] at temperatures number `row` [n] of the tie lines."""
    n = len(x)
    if n == 1:
        return _located_one(phases, lines, float(x[0]), int(row[0]))
    which = np.zeros((n, 2), dtype=np.intp)
    which[:, 1] = -1
    compositions = np.repeat(x[:, None], 2, axis=1)
    fractions = np.zeros((n, 2))
    fractions[:, 0] = 1.0
    most = lines.most
    in_gap = np.zeros(n, dtype=bool)
    for k in range(most):  # the k-th tie line at every temperature
        number = lines.first[row] + k
        exists = number < lines.first[row + 1]
        number = np.where(exists, number, 0)
        left, right = lines.compositions[number, 0], lines.compositions[number, 1]
        inside = exists & (left < x) & (x < right)
        if inside.any():
            number, left, right = number[inside], left[inside], right[inside]
            which[inside] = lines.phases[number]
            compositions[inside] = lines.compositions[number]
            share = (x[inside] - left) / (right - left)
            fractions[inside, 0], fractions[inside, 1] = 1 - share, share
            in_gap |= inside
    single = ~in_gap
    if len(phases) > 1 and single.any():
        which[single, 0] = lowest_phase(phases, x[single], lines.temperatures[row[single]])
    return Equilibrium(which, compositions, fractions)


def _located_one(phases: tuple[Phase, ...], lines: TieLines, x: float, row: int) -> Equilibrium:
    """`located` for one mixture, without the overhead of arrays."""
    for number in range(lines.first[row], lines.first[row + 1]):
        left, right = lines.compositions[number].tolist()
        if left < x < right:
            share = (x - left) / (right - left)
            return Equilibrium(lines.phases[number : number + 1], lines.compositions[number : number + 1], np.array([[1 - share, share]]))
    lowest = 0 if len(phases) == 1 else int(lowest_phase(phases, np.array([x]), lines.temperatures[row : row + 1])[0])
    return Equilibrium(np.array([[lowest, -1]]), np.array([[x, x]]), np.array([[1.0, 0.0]]))


def lowest_phase(phases: tuple[Phase, ...], x: Floats, T: Floats) -> Integers:
    """Index of the phase with the lowest energy [n] at x [n] and T [n]."""
    grid = _grid(phases)
    powers = (1 - 2 * x)[:, None] ** POWERS  # [n, 6]
    entropy = xlogy(x, x) + xlogy(1 - x, 1 - x)
    basis = np.concatenate([powers, entropy[:, None]], axis=1)
    energies = basis @ grid.fixed.T + T[:, None] * (basis @ grid.linear.T)  # [n, p]
    if grid.has_lines:
        energies[grid.is_line & (np.abs(x[:, None] - grid.line_x) > 1e-12)] = np.inf
    lowest: Integers = energies.argmin(axis=1)
    return lowest


@dataclass(frozen=True)
class Invariant:
    """Three phases that coexist at one temperature only."""

    kind: str
    """``eutectic`` when the middle one exists above it, ``peritectic`` when it exists below."""
    temperature: float
    phases: tuple[int, int, int]
    """Indices of the three phases, in order of composition."""
    compositions: tuple[float, float, float]


def changes(phases: tuple[Phase, ...], low: float, high: float, count: int = 240) -> list[tuple[float, float]]:
    """Pairs of temperatures, closer than 1e-9 of their size, between which tie lines appear, vanish or change phases; rising."""
    T = np.linspace(low, high, count)
    lines = tie_lines(phases, T)
    signs = [lines.signature(k) for k in range(count)]
    open_ = [(T[k], T[k + 1], signs[k], signs[k + 1]) for k in range(count - 1) if signs[k] != signs[k + 1]]
    found = []
    while open_:
        middle = np.array([(a + b) / 2 for a, b, *_ in open_])
        lines = tie_lines(phases, middle)
        following = []
        for k, (a, b, below, above) in enumerate(open_):
            sign, T_m = lines.signature(k), float(middle[k])
            for pair in ((a, T_m, below, sign), (T_m, b, sign, above)):
                if pair[2] != pair[3]:
                    found.append(pair[:2]) if pair[1] - pair[0] < 1e-9 * high else following.append(pair)
        open_ = following
    return sorted((float(a), float(b)) for a, b in found)


def invariants(phases: tuple[Phase, ...], low: float, high: float) -> list[Invariant]:
    """All three-phase equilibria between two temperatures, rising."""
    return [found for pair in changes(phases, low, high) if (found := _invariant(phases, *pair)) is not None]


def _invariant(phases: tuple[Phase, ...], below: float, above: float) -> Invariant | None:
    lines = tie_lines(phases, np.array([below, above]))
    signs = [lines.signature(0), lines.signature(1)]
    few, many = sorted((0, 1), key=lambda k: len(signs[k]))
    for k, pair in enumerate(signs[few]):
        two = signs[many][k : k + 2]
        if len(signs[many]) == len(signs[few]) + 1 and len(two) == 2 and pair == (two[0][0], two[1][1]) and two[0][1] == two[1][0]:
            if signs[many][:k] != signs[few][:k]:
                continue
            x = lines.compositions[lines.row == many][k : k + 2]
            middle = float(x[0, 1] + x[1, 0]) / 2
            if x[1, 0] - x[0, 1] < 1e-3:
                kind = "eutectic" if many == 1 else "peritectic"
                return Invariant(kind, (below + above) / 2, (*two[0], two[1][1]), (float(x[0, 0]), middle, float(x[1, 1])))
    return None


def heat(phases: tuple[Phase, ...], found: Equilibrium, x: Floats, T: Floats) -> tuple[Floats, Floats]:
    """Enthalpy H [n] of mixtures at equilibrium, and dH/dT [n] at constant composition x [n]: what they take up on heating.

    Both ends of a tie line move with temperature: dσ/dT = (∂G_2/∂T - ∂G_1/∂T)/(x_2 - x_1) for the slope σ of the tangent, and
    dx_i/dT = (dσ/dT - ∂²G_i/∂x∂T)/G_i″.
    Source: the differential of the common tangent, as in Hillert (2008), chapter 8, doi:10.1017/CBO9780511812781.
    """
    grid = _grid(phases)
    two = found.phases[:, 1] >= 0
    ends = np.where(two[:, None], found.phases, found.phases[:, :1])
    powers = (1 - 2 * found.compositions)[..., None, None] ** POWERS  # [n, 2, 1, 6]
    enthalpies = (powers @ grid.point_fixed[ends])[..., 0, :]  # [n, 2, 3]: h and its derivatives in x
    enthalpy = (found.fractions * enthalpies[..., 0]).sum(axis=1)
    taken_up = np.zeros(len(x))
    if two.any():
        y, share, ends, RT = found.compositions[two], found.fractions[two], ends[two], R * T[two, None]
        h, h_x, h_xx = np.moveaxis(enthalpies[two], -1, 0)  # [m, 2] each
        g, g_x, g_xx = np.moveaxis((powers[two] @ grid.point_linear[ends])[..., 0, :], -1, 0)
        is_solution = ~grid.is_line[ends]
        inner = np.where(is_solution, y, 0.5)
        ideal = is_solution * R
        g_T = g + ideal * (xlogy(inner, inner) + xlogy(1 - inner, 1 - inner))
        g_xT = g_x + ideal * logit(inner)
        stiffness = h_xx + T[two, None] * g_xx + RT / (inner * (1 - inner))
        width = y[:, 1] - y[:, 0]
        turn = (g_T[:, 1] - g_T[:, 0]) / width
        moves = np.where(is_solution, (turn[:, None] - g_xT) / stiffness, 0.0)
        melts = -(share * moves).sum(axis=1) / width
        taken_up[two] = melts * (h[:, 1] - h[:, 0]) + (share * h_x * moves).sum(axis=1)
    return enthalpy, taken_up
