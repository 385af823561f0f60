"""Experiments: parameters, constraints, outcomes, measurements and trials, the terms of the whole project.

Plain frozen dataclasses on the standard library only, so that every other file may import this one.
"""

from __future__ import annotations

import math
import numbers
from bisect import bisect_left
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from html import escape
from typing import Any, Literal, Self, TypeAlias

from frugaltwin.amounts import Amounts
from frugaltwin.errors import OutOfBounds
from frugaltwin.laws import BeerLambert, Exposure, KnownLaw, KubelkaMunk

Settings: TypeAlias = Mapping[str, float | str]
"""One value per parameter name, in that parameter's unit: ``{"red": 0.2, "blue": 0.8}``."""

Outcomes: TypeAlias = Mapping[str, float | str]
"""One value per outcome name, in that outcome's unit (a label where the outcome has labels)."""

SUM_TOLERANCE = 1e-6
"""Tolerance of a constraint, relative to its scale, for settings that a person typed."""

PLAUSIBLE_FRACTION = (-0.1, 1.5)
"""Range of a fraction of light that is measured against a blank: noise around 0, and a blank that was too dark by a third."""

PERCENTAGE = (0.0, 100.0)
"""Range of a percentage. An outcome whose percentage goes further, such as a gain, states its own."""

PERCENTAGE_NOISE = 5.0
"""How far a percentage may be outside of it when it is measured: noise around nothing and around all."""

ROUNDING = 1e-9
"""Share of the room around a stated number within which another number is meant to be this one."""


LONGEST = 100
"""Characters of a value in a message."""

TOLD_OUTSIDE = 0.05
"""Share of a range, or of a sum, by which settings that somebody performed may lie outside of it."""

READABLE = 1e-4
"""Share of a range within which the numbers of a recipe for people are rounded."""

LARGEST = 1e100
"""Largest setting or outcome that is allowed: squares and sums of such numbers are still finite."""


def quantity(value: float, unit: str) -> str:
    """A number with its unit as text.

    >>> quantity(2.0, "mL"), quantity(0.25, "1")
    ('2 mL', '0.25')
    """
    return f"{value:g}" if unit in ("", "1") else f"{value:g} {unit}"


def significant(value: float, digits: int) -> str:
    """A number to so many digits, up to 6, and with all those before its decimal point where it is below a million.

    >>> significant(0.48551, 3), significant(12054.3, 3), significant(999.96, 3), significant(-1.234e-7, 3), significant(math.inf, 3)
    ('0.486', '12054', '1000', '-1.23e-07', 'inf')
    """
    return f"{round(value) if 10**digits <= abs(value) < 1e6 else float(f'{value:.{digits}g}'):g}"


def written_value(value: float | str, unit: str) -> str:
    """A setting with all its digits and its unit.

    >>> written_value(0.1206, "mL"), written_value(4.0, "mL"), written_value("water", "")
    ('0.1206 mL', '4 mL', 'water')
    """
    return f"{value}" if isinstance(value, str) else f"{repr(value).removesuffix('.0')}{_suffix(unit)}"


def html_table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A small table for a notebook."""
    head = "".join(f"<th>{escape(str(name))}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def free_name(name: str, taken: Container[str], prefix: str = "trial_") -> str:
    """A name for a column beside those that are taken: the prefix stands before it where it is one of them.

    >>> free_name("score", ["x", "y"]), free_name("score", ["x", "score"])
    ('score', 'trial_score')
    """
    while name in taken:
        name = prefix + name
    return name


LARGEST_GRID = 100_000
"""Values of a grid."""


def grid_values(low: float, high: float, step: float) -> tuple[float, ...]:
    """The values of an even grid: low + i · step up to high, rounded to 12 digits.

    Raises:
        ValueError: These numbers make no grid.
    """
    if not (step > 0 and 0 <= (high - low) / step < LARGEST_GRID):  # also false for NaN
        raise ValueError(f"low = {low:g}, high = {high:g} and step = {step:g} make no grid of up to {LARGEST_GRID:,} values")
    return tuple(_rounded(low + i * step) for i in range(round((high - low) / step) + 1))


def _rounded(value: float) -> float:
    return float(f"{value:.12g}")


def real(value: object) -> float | None:
    """The float of what is a real number: of Python, NumPy, pandas or another library, alone or as an array without dimensions.

    None of anything else: truth values, texts, complex numbers, missing values, arrays with a dimension. Every check of a setting, an
    outcome, a cost or an option asks this.

    >>> real(1), real(True), real("1"), real(1 + 0j)
    (1.0, None, None, None)
    """
    if type(value) is float:
        return value
    value = _scalar(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real | Decimal):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except ValueError:  # a signaling NaN of Decimal
        return math.nan


def _scalar(value: object) -> object:
    """A scalar of an array library as one of Python; anything else as it is."""
    with suppress(Exception):  # somebody else's object may do anything
        if getattr(value, "shape", None) == () and callable(item := getattr(value, "item", None)):
            return item()
    return value


def plain(value: object, depth: int = 20) -> Any:
    """A value as JSON can keep it: numbers and texts as they are, arrays as lists, mappings by their keys as texts, the rest as text.

    Args:
        depth: Levels of lists and mappings that are kept as such.

    >>> plain({1: (2.5, float("nan"), None)})
    {'1': [2.5, 'nan', None]}
    """
    try:
        value = _scalar(value)
        if callable(listed := getattr(value, "tolist", None)):
            value = listed()
        if depth and isinstance(value, Mapping):
            return {plain(str(key)): plain(one, depth - 1) for key, one in value.items()}
        if depth and isinstance(value, list | tuple | set | frozenset):
            return [plain(one, depth - 1) for one in value]
        return _atom(value)
    except Exception:  # somebody else's object may do anything
        return type(value).__name__


def _atom(value: object) -> Any:
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < LARGEST):
        return value
    if (x := real(value)) is not None and math.isfinite(x):
        return x
    return _writable(str(value))


def _writable(text: str) -> str:
    """A text without halves of surrogate pairs, which cannot be written."""
    return text.encode(errors="backslashreplace").decode()


def _shown(value: object) -> str:
    """A value in a message: some text, whatever it is."""
    try:
        text = str(value) if isinstance(value, numbers.Real) else repr(value)
    except Exception:  # somebody else's object may do anything
        text = type(value).__name__
    text = _writable(text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _number(name: str, value: object) -> float:
    x = real(value)
    if x is None:
        raise OutOfBounds(f"{name} = {_shown(value)} is not a number", name)
    if not abs(x) <= LARGEST:  # also false for NaN
        if isinstance(value, int):
            raise OutOfBounds(f"{name} is not a number up to {LARGEST:g}", name)
        kind = f"a number up to {LARGEST:g}" if math.isfinite(x) else "a finite number"
        raise OutOfBounds(f"{name} = {x:.4g} is not {kind}", name)
    return x


def _meant(name: str, value: object) -> tuple[float, ...]:
    """The number of a setting; of one of few digits, such as NumPy's float32, also these digits alone: 0.3 for 0.30000001192092896."""
    x = _number(name, value)
    has_few = getattr(getattr(value, "dtype", None), "itemsize", 8) < 8 and not x.is_integer()
    return (x, float(str(value))) if has_few else (x,)


def _name(value: object, names: Sequence[str]) -> str | None:
    """The name that is meant; a number means the name that is written as this number. None where there is no such name."""
    if isinstance(value, str):
        return str(value) if value in names else None
    x = real(value)
    if x is None:
        return None
    if x.is_integer() and (whole := f"{x:.0f}") in names:
        return whole
    same = [name for name in names if _is_written_as(name, x)]
    return same[0] if len(same) == 1 else None


def _is_written_as(name: str, x: float) -> bool:
    try:
        return float(name) == x and "_" not in name and not name.lstrip("+-").startswith(("00", *(f"0{k}" for k in range(1, 10))))
    except ValueError:
        return False


def rounded_to(stated: Sequence[float], x: float) -> float:
    """The stated number that x is but for rounding, or x itself. Every check of a setting takes this as equal.

    Rounding is `ROUNDING` of the distance to the next stated number, whatever the unit, or some last digits.

    Args:
        stated: Rising numbers, at least one.

    >>> rounded_to([0.0, 0.1, 0.2, 0.30000000000000004], 0.3), rounded_to([1e-10, 1e-9, 100.0], 1.1e-10)
    (0.30000000000000004, 1.1e-10)
    """
    k = bisect_left(stated, x)
    near = min(stated[max(k - 1, 0) : k + 1], key=lambda value: abs(value - x))
    k = bisect_left(stated, near)
    room = min((abs(other - near) for other in (*stated[max(k - 1, 0) : k], *stated[k + 1 : k + 2])), default=abs(near))
    return near if abs(x - near) <= max(ROUNDING * room, 4 * math.ulp(near)) else x


def _exactly(x: float, unit: str, stated: Iterable[float]) -> str:
    """A refused number as text, with all its digits where fewer would look like a stated one."""
    return f"{x!r}{_suffix(unit)}" if f"{x:g}" in {f"{value:g}" for value in stated} else quantity(x, unit)


Scale: TypeAlias = Literal["linear", "log"]
"""What equal steps of a parameter are: equal differences, or equal ratios. Strategies and pictures go by it; it is no part of what the
experiment is, so campaigns go on when it changes."""


def _check_scale(parameter: Continuous | Discrete, lowest: float) -> None:
    if parameter.scale == "log" and not lowest > 0:
        raise ValueError(f"{parameter.name}: a logarithmic scale needs values above 0, and {lowest:g} is not")


@dataclass(frozen=True)
class Continuous:
    """A quantity that can be set to any value from `low` to `high`."""

    name: str
    low: float
    high: float
    unit: str = "1"
    description: str = ""
    kind: Literal["continuous"] = field(default="continuous", repr=False)
    scale: Scale = field(default="linear", compare=False)
    smallest: float = 0.0
    """The smallest amount that the instrument can deliver: the value is 0, or from here on. 0 where every value can be set."""

    def __post_init__(self) -> None:
        for end, number in (("low", self.low), ("high", self.high)):
            if real(number) is None:
                raise ValueError(f"{self.name}: {end} = {number!r} is no number")
        _check_scale(self, self.low)
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"{self.name}: low = {self.low:g} must lie below high = {self.high:g}")
        if self.smallest and not (0 < self.smallest < self.high and self.low >= 0):
            raise ValueError(f"{self.name}: the smallest amount {self.smallest:g} must lie in [0, {self.high:g}), and nothing below 0")

    def check(self, value: object) -> float:
        """The value as a float; a limit that it misses by rounding is meant.

        Raises:
            OutOfBounds: It is not a finite number in [low, high].
        """
        limits = (self.low, self.high)
        for x in (meant := _meant(self.name, value)):
            if 0 < x < self.smallest and (dose := rounded_to((0.0, self.smallest), x)) != x:
                return max(dose, self.low)
            if self.low <= x <= self.high and not 0 < x < self.smallest:
                return x
            if (limit := rounded_to(limits, x)) in limits:
                return limit
        if 0 < meant[0] < self.smallest:
            limits = (0.0, self.smallest)
        raise OutOfBounds(f"{self.name} = {_exactly(meant[0], self.unit, limits)} is outside {self.limits}", self.name)

    @property
    def limits(self) -> str:
        """The allowed values as text."""
        if self.smallest and self.low < self.smallest:
            zero = "0 or " if self.low <= 0 else ""
            return f"{zero}[{self.smallest:g}, {self.high:g}]" + _suffix(self.unit)
        return f"[{self.low:g}, {self.high:g}]" + _suffix(self.unit)


@dataclass(frozen=True)
class Discrete:
    """A quantity that can be set to some numbers only, in rising order."""

    name: str
    values: tuple[float, ...]
    unit: str = "1"
    description: str = ""
    kind: Literal["discrete"] = field(default="discrete", repr=False)
    scale: Scale = field(default="linear", compare=False)

    def __post_init__(self) -> None:
        if odd := [value for value in self.values if real(value) is None]:
            raise ValueError(f"{self.name}: {odd[0]!r} is no number; names make a Categorical")
        if not self.values or any(a >= b for a, b in zip(self.values, self.values[1:], strict=False)):
            raise ValueError(f"{self.name}: values must rise, got {self.values}")
        _check_scale(self, self.values[0])

    @cached_property
    def _allowed(self) -> frozenset[float]:
        return frozenset(self.values)

    def check(self, value: object) -> float:
        """The allowed number that is meant.

        Raises:
            OutOfBounds: It is not one of the allowed numbers, rounding aside.
        """
        for x in (meant := _meant(self.name, value)):
            if x in self._allowed:
                return x
            if (stated := rounded_to(self.values, x)) in self._allowed:
                return stated
        raise OutOfBounds(f"{self.name} = {_exactly(meant[0], self.unit, self.values)} is not one of {self.limits}", self.name)

    @property
    def grid(self) -> tuple[float, float, float] | None:
        """The lowest value, the highest value and the step of an even grid; None of any other.

        >>> Discrete("gain", tuple(i / 10 for i in range(11))).grid
        (0.0, 1.0, 0.1)
        """
        if len(self.values) < 3:
            return None
        low, high, step = self.values[0], self.values[-1], _rounded(self.values[1] - self.values[0])
        is_one = step > 0 and round((high - low) / step) == len(self.values) - 1 and grid_values(low, high, step) == self.values
        return (low, high, step) if is_one else None

    @property
    def limits(self) -> str:
        """The allowed values as text."""
        step = self.values[1] - self.values[0] if len(self.values) > 1 else 0.0
        even = len(self.values) > 12 and all(b - a == step for a, b in zip(self.values, self.values[1:], strict=False))
        if even:
            return f"{{{self.values[0]:g}, {self.values[1]:g}, … {self.values[-1]:g}}}" + _suffix(self.unit)
        shown = [f"{v:g}" for v in self.values]
        shown = shown if len(shown) <= 12 else [*shown[:5], "…", *shown[-2:]]
        return "{" + ", ".join(shown) + "}" + _suffix(self.unit)


@dataclass(frozen=True)
class Categorical:
    """A choice between names without an order."""

    name: str
    values: tuple[str, ...]
    description: str = ""
    unit: str = ""
    kind: Literal["categorical"] = field(default="categorical", repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.values, str):
            raise ValueError(f"{self.name}: values are several names, such as ({self.values!r}, …), and no single text")
        if not self.values or len(set(self.values)) != len(self.values):
            raise ValueError(f"{self.name}: values must be distinct names, got {self.values}")

    def check(self, value: object) -> str:
        """The value.

        Raises:
            OutOfBounds: It is not one of the names.
        """
        if (name := _name(value, self.values)) is None:
            raise OutOfBounds(f"{self.name} = {_shown(value)} is not one of {self.limits}", self.name)
        return name

    @property
    def limits(self) -> str:
        """The allowed names as text."""
        return "{" + ", ".join(self.values) + "}"


Parameter: TypeAlias = Continuous | Discrete | Categorical


def _suffix(unit: str) -> str:
    return "" if unit in ("", "1") else f" {unit}"


@dataclass(frozen=True)
class LinearConstraint:
    """`low` ≤ Σ coefficient · parameter ≤ `high`."""

    coefficients: Mapping[str, float]
    low: float = -math.inf
    high: float = math.inf

    def check(self, settings: Settings) -> None:
        """Refuse settings outside the half-space or slab.

        Raises:
            OutOfBounds: The weighted sum is not in [low, high].
        """
        parts = [c * float(settings[name]) for name, c in self.coefficients.items()]
        total = math.fsum(parts)
        slack = SUM_TOLERANCE * max(abs(v) for v in (*parts, self.low, self.high) if math.isfinite(v))
        if not self.low - slack <= total <= self.high + slack:
            terms = " + ".join(name if c == 1 else f"{c:g}·{name}" for name, c in self.coefficients.items())
            raise OutOfBounds(f"{terms} = {total:g} is outside [{self.low:g}, {self.high:g}]")


@dataclass(frozen=True)
class MixtureSum:
    """The parts of a mixture add up to `total`."""

    parameters: tuple[str, ...]
    total: float
    unit: str = "1"

    def check(self, settings: Settings) -> None:
        """Refuse parts that do not add up.

        Raises:
            OutOfBounds: The sum is not `total`.
        """
        parts = [float(settings[name]) for name in self.parameters]
        got = math.fsum(parts)
        if abs(got - self.total) > SUM_TOLERANCE * max(abs(v) for v in (*parts, self.total)):
            raise OutOfBounds(
                f"{' + '.join(self.parameters)} = {quantity(got, self.unit)}, but they must add up to {quantity(self.total, self.unit)}"
            )


Constraint: TypeAlias = LinearConstraint | MixtureSum


@dataclass(frozen=True)
class Outcome:
    """A quantity (or a label) that an experiment measures."""

    name: str
    unit: str = "1"
    description: str = ""
    labels: tuple[str, ...] = ()
    """The names it can take, when it is a class (for example a phase) and not a number."""
    law: KnownLaw | None = None
    range: tuple[float, float] | None = None
    """The smallest and the largest number that is possible, if that is known: a person who tells another one is asked about it."""

    def __post_init__(self) -> None:
        if self.range and (self.labels or not self.range[0] < self.range[1]):
            raise ValueError(f"{self.name}: a range is two numbers, the smaller one first, and labels have none")

    @property
    def possible(self) -> tuple[float, float] | None:
        """Its range; that of a percentage where none is stated, and None where nothing is known."""
        return self.range or (PERCENTAGE if self.unit == "%" and not self.labels else None)

    def is_possible(self, value: float) -> bool:
        """Whether a reading is in that range, or as little outside of it as a percentage may be by its noise."""
        low, high = self.possible or (-math.inf, math.inf)
        room = 0.0 if self.range or not self.possible else PERCENTAGE_NOISE
        return low - room <= value <= high + room

    @property
    def plausible(self) -> tuple[float, float] | None:
        """The smallest and the largest number that a reading can be; None where nothing is known."""
        return PLAUSIBLE_FRACTION if self.unit == "1" and isinstance(self.law, BeerLambert | KubelkaMunk) else None

    def check(self, value: object) -> float | str:
        """The value as a float, or the label.

        Raises:
            OutOfBounds: It is not a finite number, implausible, or not one of the labels.
        """
        if not self.labels:
            x = _number(self.name, value)
            if self.plausible and not self.plausible[0] <= x <= self.plausible[1]:
                low, high = self.plausible
                about = f" ({self.description})" if self.description else ""
                why = "a fraction, no percentage and no counts"
                raise OutOfBounds(f"{self.name} = {x:g} is implausible: {self.name}{about} is {why}, from {low:g} to {high:g}")
            return x
        if (label := _name(value, self.labels)) is None:
            raise OutOfBounds(f"{self.name} = {_shown(value)} is not one of {{{', '.join(self.labels)}}}")
        return label


@dataclass(frozen=True)
class Colorimetry:
    """Conversion of a color sensor's readings into a color: XYZ = matrix · (channels / exposure), then Lab against `white`."""

    channels: tuple[str, ...]
    """The outcomes that are read, n of them."""
    to_xyz: tuple[tuple[float, ...], ...]
    """The calibration matrix [3, n]."""
    white: tuple[float, float, float]
    """XYZ of the color that has L = 100."""
    exposure: Exposure | None = None

    def is_nearly(self, other: Self) -> bool:
        """Whether both are the same but for the last digits of the matrix."""
        pairs = [pair for rows in zip(self.to_xyz, other.to_xyz, strict=False) for pair in zip(*rows, strict=False)]
        is_close = all(math.isclose(one, two, rel_tol=1e-9) for one, two in pairs)
        return is_close and self == replace(other, to_xyz=self.to_xyz) and _shape(self.to_xyz) == _shape(other.to_xyz)


def _widened(parameter: Continuous) -> Continuous:
    """A parameter with the limits of what is told: any amount, and a little outside; nothing below 0 where nothing can be."""
    room = TOLD_OUTSIDE * (parameter.high - parameter.low)
    if parameter.scale == "log":
        return parameter
    low = parameter.low - room if parameter.low < 0 else max(0.0, parameter.low - room)
    return replace(parameter, low=low, high=parameter.high + room, smallest=0.0)


def _decimals(parameter: Continuous) -> int:
    """The decimals with which a number is within `READABLE` of the range."""
    return -math.floor(math.log10(READABLE * (parameter.high - parameter.low)))


def _allowed(parameter: Parameter) -> tuple[object, ...]:
    """The kind, the unit and the values that a parameter allows, without how it is described and searched."""
    span = (parameter.low, parameter.high) if isinstance(parameter, Continuous) else parameter.values
    return (parameter.kind, parameter.unit, *span)


def _only(parameter: Parameter, value: float | str) -> Parameter:
    """A parameter that has one value."""
    if isinstance(parameter, Categorical):
        return replace(parameter, values=(str(value),))
    return Discrete(parameter.name, (float(value),), parameter.unit, parameter.description)


def _shape(matrix: tuple[tuple[float, ...], ...]) -> list[int]:
    return [len(row) for row in matrix]


@dataclass(frozen=True)
class Experiment:
    """The settings that are allowed, and the outcomes that are measured."""

    name: str
    parameters: tuple[Parameter, ...]
    outcomes: tuple[Outcome, ...]
    constraints: tuple[Constraint, ...] = ()
    candidates: tuple[Settings, ...] = ()
    """The only settings that are allowed; empty for all that parameters and constraints allow."""
    color: Colorimetry | None = None
    """Present when the outcomes are a color."""
    fidelities: Settings = field(default_factory=dict[str, float | str], hash=False)
    """Parameters that say how well it is measured, with the values at which a measurement counts for a goal: ``{"look": "spectrum"}``.

    Measurements at other values are cheaper or less sharp: they inform, and a goal is never judged by them. Empty where all count.
    """

    def __post_init__(self) -> None:
        for kind in ("parameters", "outcomes"):
            if not isinstance(getattr(self, kind), tuple | list):
                raise ValueError(f"{self.name}: {kind} are several, as in ({type(getattr(self, kind)).__name__}(…),)")
        names = [p.name for p in self.parameters] + [o.name for o in self.outcomes]
        if twice := {n for n in names if names.count(n) > 1}:
            raise ValueError(f"{self.name}: {sorted(twice)} named twice")
        if self.color and (derived := set(names) & {"L", "a", "b"}):
            raise ValueError(f"{self.name}: {sorted(derived)} are the names of the color that is derived from the outcomes")
        numeric = {p.name for p in self.parameters if not isinstance(p, Categorical)}
        for constraint in self.constraints:
            named = constraint.parameters if isinstance(constraint, MixtureSum) else tuple(constraint.coefficients)
            if unknown := set(named) - numeric:
                raise ValueError(f"{self.name}: a constraint names {sorted(unknown)}, which are not numeric parameters")
            if bent := {p.name for p in self.parameters if not isinstance(p, Categorical) and p.scale == "log"} & set(named):
                raise ValueError(f"{self.name}: a constraint names {sorted(bent)}, which have a logarithmic scale; make it linear")
            if bound := set(named) & set(self.fidelities):
                raise ValueError(f"{self.name}: a constraint names {sorted(bound)}, which are fidelities")
        self._check_fidelities()

    def _check_fidelities(self) -> None:
        """Refuse fidelities that the parameters do not allow."""
        parameters = {p.name: p for p in self.parameters}
        for name, value in self.fidelities.items():
            if name not in parameters:
                raise ValueError(f"{self.name}: the fidelity {name} is no parameter")
            try:
                parameters[name].check(value)
            except OutOfBounds as error:
                raise ValueError(f"{self.name}: the fidelity {error}") from error
        if self.candidates and not any(map(self.counts, self.candidates)):
            raise ValueError(f"{self.name}: no candidate is at {describe(self.fidelities)}, where a measurement counts")

    def _repr_html_(self) -> str:
        settings = [(p.name, p.limits, p.description) for p in self.parameters]
        outcomes = [(o.name, o.unit if o.unit != "1" else "", ", ".join(o.labels) or o.description) for o in self.outcomes]
        tables = html_table(("setting", "allowed", "meaning"), settings) + html_table(("outcome", "unit", "meaning"), outcomes)
        return f"<div><b>{escape(self.name)}</b>{tables}</div>"

    def counts(self, settings: Settings) -> bool:
        """Whether a measurement of these settings counts for a goal, for all that the fidelities say."""
        return all(settings[name] == value for name, value in self._fidelities.items())

    @cached_property
    def _fidelities(self) -> dict[str, float | str]:
        return {p.name: p.check(self.fidelities[p.name]) for p in self.parameters if p.name in self.fidelities}

    @cached_property
    def at_fidelity(self) -> Experiment:
        """The same experiment with no other settings than those that count."""
        if not self.fidelities:
            return self
        parameters = tuple(_only(p, self._fidelities[p.name]) if p.name in self.fidelities else p for p in self.parameters)
        return replace(self, parameters=parameters, candidates=tuple(filter(self.counts, self.candidates)))

    @property
    def without_fidelities(self) -> Experiment:
        """The experiment as it is where its fidelities are no parameters: everything counts."""
        names = self.fidelities.keys()
        kept = tuple({name: value for name, value in c.items() if name not in names} for c in self.candidates if self.counts(c))
        return replace(self, parameters=tuple(p for p in self.parameters if p.name not in names), candidates=kept, fidelities={})

    @cached_property
    def _candidate_keys(self) -> frozenset[tuple[float | str, ...]]:
        return frozenset(self.key(c) for c in self.candidates)

    @cached_property
    def _candidate_values(self) -> dict[str, list[float]]:
        """The numbers that candidates have, in rising order, of the parameters that are no names."""
        numeric = [p.name for p in self.parameters if not isinstance(p, Categorical)]
        return {name: sorted({float(c[name]) for c in self.candidates}) for name in numeric}

    def is_nearly(self, other: Self) -> bool:
        """Whether both are the same but for the last digits of a color's matrix, which each processor rounds in its own way."""
        if self.color is None or other.color is None:
            return self == other
        return self.color.is_nearly(other.color) and self == replace(other, color=self.color)

    @property
    def measured_names(self) -> list[str]:
        """The names of settings, outcomes and derived color, in the order of tables."""
        return [*(p.name for p in self.parameters), *(o.name for o in self.outcomes), *("Lab" if self.color else "")]

    def changes(self, begun: Self) -> list[str]:
        """The changes since an experiment was begun that its trials cannot live with, in words."""
        was, now = ({x.name: x for x in (*e.parameters, *e.outcomes)} for e in (begun, self))
        words = [f"{name} is new" for name in now if name not in was] + [f"{name} is gone" for name in was if name not in now]
        for name in (name for name in now if name in was):
            old, new = was[name], now[name]
            if isinstance(old, Outcome) and isinstance(new, Outcome):
                if bool(old.labels) != bool(new.labels):
                    words.append(f"{name} is {'a label' if new.labels else 'a number'} now")
                elif lost := [label for label in old.labels if label not in new.labels]:
                    words.append(f"{name} has no label {lost[0]} any more")
            elif isinstance(old, Outcome) or isinstance(new, Outcome):
                words.append(f"{name} is {'an outcome' if isinstance(new, Outcome) else 'a setting'} now")
            elif _allowed(old) != _allowed(new):
                words.append(f"{name} was {old.kind} in {old.limits} and is {new.kind} in {new.limits}")
        return words

    def key(self, settings: Settings) -> tuple[float | str, ...]:
        """The values in the order of the parameters: equal for equal settings."""
        return tuple(settings[p.name] for p in self.parameters)

    def check(self, settings: Mapping[str, object]) -> dict[str, float | str]:
        """The settings in the order of the parameters, numbers as floats.

        Raises:
            OutOfBounds: A value is missing, unknown, not finite or not allowed, or a constraint is broken.

        >>> Experiment("demo", (Continuous("red", 0, 1, "mL"),), ()).check({"red": 2})
        Traceback (most recent call last):
        frugaltwin.errors.OutOfBounds: red = 2 mL is outside [0, 1] mL
        """
        names = [p.name for p in self.parameters]
        if not isinstance(settings, Mapping):
            raise OutOfBounds(f"the settings {_shown(settings)} are no values by name; {self.name} takes {', '.join(names)}")
        if unknown := [str(n) for n in settings if n not in names]:  # before what is missing: a name with a typo is both
            raise OutOfBounds(f"{', '.join(unknown)} unknown: {self.name} takes {', '.join(names)}", *unknown)
        if missing := [n for n in names if n not in settings]:
            raise OutOfBounds(f"{', '.join(missing)} missing: {self.name} takes {', '.join(names)}", *missing)
        checked: dict[str, float | str] = {p.name: p.check(settings[p.name]) for p in self.parameters}
        for constraint in self.constraints:
            constraint.check(checked)
        if self.candidates and self.key(checked) not in self._candidate_keys:
            checked |= {name: rounded_to(values, float(checked[name])) for name, values in self._candidate_values.items()}
        if self.candidates and self.key(checked) not in self._candidate_keys:
            raise OutOfBounds(f"{describe(checked)} is not one of the {len(self.candidates)} candidates of {self.name}")
        return checked

    def check_told(self, settings: Mapping[str, object]) -> dict[str, float | str]:
        """The same for settings that somebody performed: amounts may be what really arrived, slightly outside of what can be asked for.

        Raises:
            OutOfBounds: They are further outside than `TOLD_OUTSIDE` of the limits, or not this experiment's.
        """
        try:
            return self.check(settings)
        except OutOfBounds:
            if self.candidates:
                raise
            with suppress(OutOfBounds):
                return self._as_told.check(settings)
            raise

    @cached_property
    def _as_told(self) -> Experiment:
        """The experiment with the limits of what is told."""
        wide = tuple(_widened(p) if isinstance(p, Continuous) else p for p in self.parameters)
        sums = [c for c in self.constraints if isinstance(c, MixtureSum)]
        kept = [c for c in self.constraints if isinstance(c, LinearConstraint)]
        low, high = 1 - TOLD_OUTSIDE, 1 + TOLD_OUTSIDE
        loose = [LinearConstraint(dict.fromkeys(c.parameters, 1.0), *sorted((low * c.total, high * c.total))) for c in sums]
        return replace(self, parameters=wide, constraints=(*kept, *loose))

    def readable(self, settings: Settings) -> dict[str, float | str]:
        """The settings in as few digits as people dose, within `READABLE` of each range; the parts of a mixture add up exactly.

        More digits where constraints need them. Names and numbers that are chosen from a list stay as they are.

        >>> parts = Continuous("red", 0, 1, "mL"), Continuous("water", 0, 4, "mL")
        >>> mix = Experiment("mix", parts, (), (MixtureSum(("red", "water"), 4.0, "mL"),))
        >>> mix.readable({"red": 0.0123456789, "water": 3.9876543211}), mix.recipe({"red": 7e-17, "water": 4.0})
        ({'red': 0.0123, 'water': 3.9877}, 'red 0 mL, water 4 mL')
        """
        for more in range(0, 10, 3):
            rounded = self._rounded_settings(settings, more)
            with suppress(OutOfBounds):
                return self.check(rounded)
        return dict(settings)

    def recipe(self, settings: Settings) -> str:
        """The `readable` settings in one line, with units."""
        found, units = self.readable(settings), {p.name: p.unit for p in self.parameters}
        return ", ".join(f"{name} {written_value(value, units[name])}" for name, value in found.items())

    def _rounded_settings(self, settings: Settings, more: int) -> dict[str, float | str]:
        """The settings rounded to `more` digits than `readable` asks for."""
        if self.candidates:
            return dict(settings)
        digits = {p.name: _decimals(p) + more for p in self.parameters if isinstance(p, Continuous) and p.scale == "linear"}
        sums = [c for c in self.constraints if isinstance(c, MixtureSum)]
        for mixture in sums:
            parts = [name for name in mixture.parameters if name in digits]
            digits |= dict.fromkeys(parts, max((digits[name] for name in parts), default=0))
        found = {name: round(float(value), digits[name]) + 0.0 if name in digits else value for name, value in settings.items()}
        for p in self.parameters:
            if isinstance(p, Continuous) and p.scale == "log":
                found[p.name] = float(f"{float(settings[p.name]):.{5 + more}g}")
        for mixture in sums:
            parts = [name for name in mixture.parameters if name in digits]
            for name in sorted(parts, key=lambda name: -abs(float(settings[name]) - float(found[name]))):
                step = 10.0 ** -digits[name]
                missing = round((mixture.total - math.fsum(float(found[part]) for part in mixture.parameters)) / step)
                found[name] = round(float(found[name]) + step * max(-1, min(1, missing)), digits[name])
        return found

    def allows(self, settings: Mapping[str, object]) -> bool:
        """Whether settings can be asked for."""
        try:
            self.check(settings)
        except OutOfBounds:
            return False
        return True

    def check_outcomes(self, outcomes: Mapping[str, object], needed: Container[str] | None = None) -> dict[str, float | str]:
        """The outcomes in their order, numbers as floats.

        Args:
            needed: The names of those that may not be left out; all of them without it.

        Raises:
            OutOfBounds: One is missing, unknown, not finite or not a label.
        """
        names = [o.name for o in self.outcomes]
        if missing := [n for n in names if n not in outcomes and (needed is None or n in needed)]:
            raise OutOfBounds(f"{', '.join(missing)} missing: {self.name} measures {', '.join(names)}")
        if unknown := [n for n in outcomes if n not in names]:
            raise OutOfBounds(f"{', '.join(map(str, unknown))} unknown: {self.name} measures {', '.join(names)}")
        return {o.name: o.check(outcomes[o.name]) for o in self.outcomes if o.name in outcomes}

    def check_measurement(self, measurement: object, needed: Container[str] | None = None) -> Measurement:
        """The measurement with outcomes that were checked, a cost in floats, and raw readings that JSON can keep.

        Args:
            needed: As for `check_outcomes`.

        Raises:
            OutOfBounds: It is no measurement, or an outcome or its cost makes no sense.
        """
        if not isinstance(measurement, Measurement):
            raise OutOfBounds(f"{_shown(measurement)} is no Measurement; a driver returns Measurement(outcomes, cost, raw)")
        if not isinstance(measurement.outcomes, Mapping):
            raise OutOfBounds(f"the outcomes {_shown(measurement.outcomes)} are no mapping of names to values")
        raw: Any = {} if measurement.raw is None else plain(measurement.raw)
        outcomes = self.check_outcomes(measurement.outcomes, needed)
        cost = check_cost(measurement.cost)
        return Measurement(outcomes, cost, raw if isinstance(raw, dict) else {"raw": raw}, measurement.happened)

    def check_happened(self, settings: Settings, happened: object) -> dict[str, float | str]:
        """The settings that happened when others were asked for, those alone that an instrument reports.

        Raises:
            OutOfBounds: With what was asked for they are no settings that can be told, see `check_told`.
        """
        if not isinstance(happened, Mapping):
            raise OutOfBounds(f"the settings that happened, {_shown(happened)}, are no mapping of names to values")
        checked = self.check_told({**settings, **happened}) if happened else {}
        return {name: checked[name] for name in happened}


def check_cost(cost: object) -> Amounts:
    """The cost of an experiment in floats.

    Raises:
        OutOfBounds: It is no amounts, or one is no number from 0 up.
    """
    if not isinstance(cost, Amounts):
        raise OutOfBounds(f"the cost {_shown(cost)} is no Amounts; write Amounts(seconds=…, money=…, volume=…)")
    checked = {}
    for kind, amount in vars(cost).items():
        if (x := real(amount)) is None or not 0 <= x < math.inf:
            raise OutOfBounds(f"it took {kind} = {_shown(amount)}, which nobody can book; a cost is a number from 0 up")
        checked[kind] = x
    return Amounts(**checked)


def describe(values: Mapping[str, float | str]) -> str:
    """Settings or outcomes in one line.

    >>> describe({"red": 0.25, "solvent": "water"})
    'red 0.25, solvent water'
    """
    return ", ".join(f"{name} {significant(value, 4)}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items())


@dataclass(frozen=True)
class Measurement:
    """Measurement of one set of settings."""

    outcomes: Outcomes
    cost: Amounts = Amounts()
    raw: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Raw readings besides the outcomes (counts, references, temperatures, a spectrum); they are kept as `plain` makes them."""
    happened: Settings = field(default_factory=dict[str, float | str])
    """The settings that really happened where the instrument reports them: what a pump really dosed. Others happened as asked for.

    They may lie slightly outside of what can be asked for, as what is told may.
    """


@dataclass(frozen=True)
class Trial:
    """One attempt to perform settings; it is stored whether it failed or not."""

    number: int
    settings: Settings
    """The settings that were asked for."""
    measurement: Measurement | None
    """None when the attempt failed."""
    error: str | None = None
    cost: Amounts = Amounts()
    """Cost of the attempt, failed or not."""
    source: str = "driver"
    """``driver``, ``told`` when a person performed it, or ``stopped`` when somebody interrupted the driver."""
    finished_at: str = ""
    """UTC, ISO 8601."""
    correction: Correction | None = None
    """A person's correction that was taken into account; None for a trial as it was performed."""
    suggestion: int | None = None
    """The number of the suggestion that a person performed, where they named it."""

    def _repr_html_(self) -> str:
        outcomes = self.measurement.outcomes if self.measurement else {}
        words = {**self.settings, **outcomes}
        cells = [significant(value, 4) if isinstance(value, float) else value for value in words.values()]
        remark = f" ({escape(self.remark)})" if self.remark else ""
        return f"<div><b>experiment {self.number}</b>{remark}{html_table(list(words), [cells])}</div>"

    @property
    def happened(self) -> Settings:
        """The settings that happened, as far as is known: models and scores go by them. What is asked for again is `settings`."""
        return {**self.settings, **self.measurement.happened} if self.measurement and self.measurement.happened else self.settings

    @property
    def is_retracted(self) -> bool:
        """Whether a person said that its measurement does not count."""
        return self.correction is not None and self.measurement is None

    @property
    def performed(self) -> Trial:
        """The trial as it was performed, without corrections."""
        return self.correction.original if self.correction else self

    @property
    def remark(self) -> str:
        """``failed: WHY``, ``retracted: WHY`` or ``amended: WHY``; empty for a measurement as it was performed."""
        if self.correction is None:
            return "" if self.measurement else f"failed: {self.error}"
        return f"{'amended' if self.measurement else 'retracted'}: {self.correction.why}"


@dataclass(frozen=True)
class Correction:
    """A person's correction of a trial: its measurement was retracted, or its outcomes were amended."""

    why: str
    original: Trial
    """The trial as it was performed."""


def measured(trials: Iterable[Trial]) -> list[tuple[Settings, Measurement]]:
    """The settings that happened and the measurements of the trials that did not fail."""
    return [(t.happened, t.measurement) for t in trials if t.measurement is not None]


def total(trials: Sequence[Trial]) -> Amounts:
    """The cost of all trials together; each is a run, failed or not."""
    return sum((t.cost for t in trials), Amounts(runs=len(trials)))
