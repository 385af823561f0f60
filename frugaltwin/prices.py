"""Prices: sums of terms that a driver names once, and that price hundreds of settings without asking it again.

numpy is imported where settings are priced: a client that only submits experiments does without it.

A term is plain data. So a price can be pickled, and goes over a network as JSON (`price_to_json`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache, reduce
from operator import mul
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from frugaltwin.amounts import Amounts
from frugaltwin.experiment import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydantic import TypeAdapter

    Floats: TypeAlias = NDArray[np.float64]
    Numbers: TypeAlias = Floats | float
    """A number for each of the settings, [n], or one for all of them."""
    Charge: TypeAlias = tuple[Numbers, Amounts]
    """Numbers, and the amounts that each unit of them costs."""


@dataclass(frozen=True)
class Ahead(ABC):
    """Settings to be priced, each as the next experiment. The terms compute with what stands here, whether that is one or many."""

    after: Settings | None
    """The settings that were performed last; None before the first."""
    performed: int
    """The number of experiments since connecting."""

    @abstractmethod
    def each(self, number: Callable[[Settings], float]) -> Numbers:
        """The number that a function gives for each of the settings."""

    @abstractmethod
    def where(self, condition: Any, value: Numbers, otherwise: Numbers) -> Numbers:
        """The value where a condition holds, else the other one."""

    @abstractmethod
    def rounded(self, numbers: Numbers, decimals: int) -> Numbers:
        """Numbers rounded as Python does (numpy rounds ties otherwise)."""

    def column(self, of: str | float) -> Numbers:
        """The value of a parameter in each of the settings; a number is the same in all."""
        return self.each(lambda settings: float(settings[of])) if isinstance(of, str) else of

    def last(self, of: str | float, start: float) -> float:
        """The value of a parameter in the settings that were performed last; `start` before the first."""
        return start if self.after is None else float(self.after[of]) if isinstance(of, str) else of


@dataclass(frozen=True)
class OneAhead(Ahead):
    """One set of settings: plain numbers, because a driver prices each of its experiments."""

    next: Settings

    def each(self, number: Callable[[Settings], float]) -> float:
        return number(self.next)

    def where(self, condition: Any, value: Numbers, otherwise: Numbers) -> Numbers:
        return value if condition else otherwise

    def rounded(self, numbers: Numbers, decimals: int) -> float:
        return round(float(numbers), decimals)


@dataclass(frozen=True)
class ManyAhead(Ahead):
    """Many sets of settings: arrays, [n], because a planner prices hundreds."""

    next: Sequence[Settings]

    def each(self, number: Callable[[Settings], float]) -> Floats:
        import numpy as np

        return np.array([number(settings) for settings in self.next])

    def where(self, condition: Any, value: Numbers, otherwise: Numbers) -> Floats:
        import numpy as np

        return np.where(condition, value, otherwise)

    def rounded(self, numbers: Numbers, decimals: int) -> Floats:
        import numpy as np

        return np.array([round(number, decimals) for number in np.atleast_1d(numbers).tolist()])


@dataclass(frozen=True)
class Fixed:
    """A price that every experiment has, or the first after connecting (which makes ready), or one after every so many."""

    each: Amounts
    when: Literal["always", "first"] | int = "always"
    """An integer N: after N experiments, after 2 N, and so on."""
    kind: Literal["fixed"] = field(default="fixed", repr=False)

    def charges(self, ahead: Ahead) -> Iterator[Charge]:
        """One, or none."""
        n = ahead.performed
        if self.when == "always" or (n == 0 if self.when == "first" else n > 0 and n % self.when == 0):
            yield 1.0, self.each


@dataclass(frozen=True)
class PerUnit:
    """A price in proportion to a parameter, or to the product of some, each plus `offset`."""

    parameters: tuple[str, ...]
    each: Amounts
    offset: float = 0.0
    kind: Literal["per-unit"] = field(default="per-unit", repr=False)

    def charges(self, ahead: Ahead) -> Iterator[Charge]:
        """The product."""
        yield reduce(mul, (ahead.column(name) + self.offset for name in self.parameters), 1.0), self.each


@dataclass(frozen=True)
class Dose:
    """The price of a dose: V mL take `slope`·V + `offset` s, and none takes nothing."""

    parameter: str | float
    """Its name, or the dose itself, mL."""
    slope: float
    """s/mL."""
    money: float
    """USD/mL, disposal included."""
    offset: float = 0.0
    """s; below 0 for a pump that runs on after it was switched off."""
    besides: float = 0.0
    """s after every dose."""
    shortest: float = 0.0
    """s of the shortest run of a pump with `decimals`. Of less than half of what that delivers, nothing is delivered."""
    decimals: int | None = None
    """Decimals of a run, s, of a pump that is told a time and delivers what that gives; None for one that is told a volume."""
    kind: Literal["dose"] = field(default="dose", repr=False)

    def charges(self, ahead: Ahead) -> Iterator[Charge]:
        """Those of the run, of the liquid and of the time after it."""
        volume = ahead.column(self.parameter)
        least = (self.shortest - self.offset) / self.slope / 2 if self.decimals is not None else 0.0
        is_given = (volume > 0) & (volume >= least)
        run = self.slope * volume + self.offset
        if self.decimals is not None:
            run = ahead.rounded(run, self.decimals)
        run = ahead.where(run < self.shortest, self.shortest, run)
        if self.decimals is not None:
            volume = (run - self.offset) / self.slope
        yield ahead.where(is_given, run + self.besides, 0.0), Amounts(seconds=1.0)
        yield ahead.where(is_given, volume, 0.0), Amounts(money=self.money, volume=1.0)

    @property
    def amounts(self) -> Amounts:
        """The price of a dose that is a number."""
        return _amounts(self)


@dataclass(frozen=True)
class Ramp:
    """The price of a temperature: the way to it from the last one, and a time there."""

    parameter: str | float
    """Its name, or a temperature that is always the same, K."""
    start: float
    """K, before the first experiment."""
    heating: float
    """K/s."""
    cooling: float
    """K/s."""
    soak: float
    """s at temperature."""
    each: Amounts
    """Of every second."""
    cold: tuple[str, ...] = ()
    """Parameters of a sample that is loaded cold: where one is another than before, the way leads through `start`."""
    stays: tuple[str, ...] | None = None
    """Parameters of a sample that does not wait a second time: where they and the temperature are as before, there is no soak."""
    kind: Literal["ramp"] = field(default="ramp", repr=False)

    def charges(self, ahead: Ahead) -> Iterator[Charge]:
        """The seconds."""
        last, target = ahead.last(self.parameter, self.start), ahead.column(self.parameter)
        way = self._way(ahead, target - last)
        if self.cold and ahead.after is not None:
            through = self._way(ahead, target - self.start) + self._way(ahead, self.start - last)
            way = ahead.where(_changed(ahead, self.cold) > 0, through, way)
        soak: Numbers = self.soak
        if self.stays is not None and ahead.after is not None:
            soak = ahead.where((_changed(ahead, self.stays) > 0) | (target != last), soak, 0.0)
        yield soak + way, self.each

    def _way(self, ahead: Ahead, step: Numbers) -> Numbers:
        """Seconds of a step in temperature."""
        return ahead.where(step > 0, step / self.heating, -step / self.cooling)


def _changed(ahead: Ahead, parameters: tuple[str, ...]) -> Numbers:
    """1 where one of the parameters is another than in the experiment before, or there was none; else 0."""
    after = ahead.after
    return ahead.each(lambda s: float(after is None or any(s[name] != after[name] for name in parameters)))


@dataclass(frozen=True)
class Change:
    """A price where one of the parameters is another than in the experiment before: a new sample, say."""

    parameters: tuple[str, ...]
    each: Amounts
    kind: Literal["change"] = field(default="change", repr=False)

    def charges(self, ahead: Ahead) -> Iterator[Charge]:
        """One where something changes."""
        yield _changed(ahead, self.parameters), self.each


@dataclass(frozen=True)
class Where:
    """A term that only settings with some value of a parameter have: the dwell of a spectrum, say, which an image has not."""

    parameter: str
    value: float | str
    term: Fixed | PerUnit | Dose | Ramp | Change
    kind: Literal["where"] = field(default="where", repr=False)

    def charges(self, ahead: Ahead) -> Iterator[Charge]:
        """Those of the term, or nothing."""
        has_it = ahead.each(lambda settings: float(settings[self.parameter] == self.value))
        for number, each in self.term.charges(ahead):
            yield has_it * number, each


@dataclass(frozen=True)
class Travel:
    """The price of a way to a place in a plane, and nothing where the head already is."""

    x: str | float
    """The name of a parameter, or a place, mm."""
    y: str | float
    speed: float
    """mm/s."""
    settle: float
    """s after every move."""
    each: Amounts
    """Of every second."""
    start: tuple[float, float] = (0.0, 0.0)
    """mm, before the first experiment."""
    home: tuple[str, float | str] | None = None
    """A parameter, and its value with which the head goes to `start`, wherever the place is."""
    kind: Literal["travel"] = field(default="travel", repr=False)

    def charges(self, ahead: Ahead) -> Iterator[Charge]:
        """The seconds."""
        is_home = ahead.each(self._is_home)
        if ahead.after is not None and self._is_home(ahead.after):
            ahead = replace(ahead, after=None)
        axes = zip((self.x, self.y), self.start, strict=True)
        x, y = (ahead.where(is_home, at, ahead.column(of)) - ahead.last(of, at) for of, at in axes)
        away = (x**2 + y**2) ** 0.5
        yield ahead.where(away > 0, away / self.speed + self.settle, 0.0), self.each

    def _is_home(self, settings: Settings) -> bool:
        return self.home is not None and settings[self.home[0]] == self.home[1]


COSTS = tuple(kind.name for kind in Amounts.cost_kinds())

Term: TypeAlias = Fixed | PerUnit | Dose | Ramp | Change | Travel | Where


@dataclass(frozen=True)
class Price:
    """The price of experiments on one driver, as the sum of its terms."""

    terms: tuple[Term, ...]
    fixed: Settings = field(default_factory=dict[str, float | str], hash=False)
    """Values of parameters that the terms name and settings leave out, because they are always the same."""

    @classmethod
    def of_terms(cls, terms: Iterable[Term]) -> Self:
        """A price of these terms; what every experiment costs anyway is added up."""
        varying: list[Term] = []
        always = Amounts()
        for term in terms:
            if isinstance(term, Fixed) and term.when == "always":
                always += term.each
            else:
                varying.append(term)
        return cls((*varying, Fixed(always)))

    def __call__(self, next: Sequence[Settings], after: Settings | None = None, performed: int = 0) -> Mapping[str, Floats]:
        """Price n checked settings, each as the next experiment.

        Args:
            next: The settings to price, n of them.
            after: The settings that were performed last; None for none.
            performed: The number of experiments since connecting.

        Returns:
            The amount of each kind but runs, [n].

        >>> look = Price((Fixed(Amounts(seconds=2.0)), PerUnit(("dwell",), Amounts(seconds=1.0, money=0.01))))
        >>> look([{"dwell": 1.0}, {"dwell": 5.0}])["seconds"].tolist()
        [3.0, 7.0]
        """
        import numpy as np

        if self.fixed:
            next, after = [{**self.fixed, **s} for s in next], None if after is None else {**self.fixed, **after}
        found = self._sums(ManyAhead(after, performed, next))
        return {name: np.full(len(next), amounts) for name, amounts in found.items()}

    def of(self, settings: Settings, after: Settings | None = None, performed: int = 0) -> Amounts:
        """The price of one set of settings."""
        if self.fixed:
            settings, after = {**self.fixed, **settings}, None if after is None else {**self.fixed, **after}
        return Amounts(**self._sums(OneAhead(after, performed, settings)))

    def _sums(self, ahead: Ahead) -> dict[str, Any]:
        """The amount of each kind but runs: numbers of one or of many, as the terms give them."""
        found: dict[str, Any] = dict.fromkeys(COSTS, 0.0)
        for term in self.terms:
            for number, each in term.charges(ahead):
                for name in COSTS:
                    if amount := getattr(each, name):
                        found[name] = found[name] + number * amount
        return found


@lru_cache(maxsize=1024)
def _amounts(dose: Dose) -> Amounts:
    return Price((dose,)).of({})


def price_to_json(price: Price) -> dict[str, Any]:
    """A price as JSON values."""
    body: dict[str, Any] = _adapter().dump_python(price, mode="json")
    if not price.fixed:  # as it was written down before anything was fixed
        del body["fixed"]
    return body


def price_from_json(body: Any) -> Price:
    """The inverse of `price_to_json`."""
    return _adapter().validate_python(body)


@cache
def _adapter() -> TypeAdapter[Price]:
    from pydantic import TypeAdapter

    return TypeAdapter(Price)
