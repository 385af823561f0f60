"""Prices: sums of terms that a driver names once, and that price hundreds of settings without asking it again.

numpy is imported where settings are priced: a client that only submits experiments does without it.

A term is plain data. So a price can be pickled, and goes over a network as JSON (`price_to_json`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from frugaltwin.amounts import Amounts
from frugaltwin.experiment import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydantic import TypeAdapter

    Floats: TypeAlias = NDArray[np.float64]
    Charge: TypeAlias = tuple[Floats | float, Amounts]
    """A number for each of the settings, [n], or one for all, and the amounts that each unit of it costs."""


@dataclass(frozen=True)
class Ahead:
    """Settings to be priced, n of them, each as the next experiment."""

    next: Sequence[Settings]
    after: Settings | None
    """The settings that were performed last; None before the first."""
    performed: int
    """The number of experiments since connecting."""

    def column(self, of: str | float) -> Floats:
        """The value of a parameter in each of the settings, [n]; a number is the same in all."""
        import numpy as np

        return np.array([float(s[of]) for s in self.next]) if isinstance(of, str) else np.full(len(self.next), float(of))

    def last(self, of: str | float, start: float) -> float:
        """The value of a parameter in the settings that were performed last; `start` before the first."""
        return start if self.after is None else float(self.after[of]) if isinstance(of, str) else of


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
        import numpy as np

        yield np.prod([ahead.column(name) + self.offset for name in self.parameters], axis=0), self.each


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
        import numpy as np

        volume = ahead.column(self.parameter)
        least = (self.shortest - self.offset) / self.slope / 2 if self.decimals is not None else 0.0
        is_given = (volume > 0) & (volume >= least)
        run = np.maximum(self.slope * volume + self.offset, self.shortest)
        if self.decimals is not None:
            run = np.maximum([round(seconds, self.decimals) for seconds in run.tolist()], self.shortest)  # numpy rounds ties otherwise
            volume = (run - self.offset) / self.slope
        yield np.where(is_given, run + self.besides, 0.0), Amounts(seconds=1.0)
        yield np.where(is_given, volume, 0.0), Amounts(money=self.money, volume=1.0)

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
    kind: Literal["ramp"] = field(default="ramp", repr=False)

    def charges(self, ahead: Ahead) -> Iterator[Charge]:
        """The seconds."""
        import numpy as np

        step = ahead.column(self.parameter) - ahead.last(self.parameter, self.start)
        yield self.soak + np.where(step > 0, step / self.heating, -step / self.cooling), self.each


@dataclass(frozen=True)
class Change:
    """A price where one of the parameters is another than in the experiment before: a new sample, say."""

    parameters: tuple[str, ...]
    each: Amounts
    kind: Literal["change"] = field(default="change", repr=False)

    def charges(self, ahead: Ahead) -> Iterator[Charge]:
        """One where something changes."""
        import numpy as np

        after = ahead.after
        changes = [after is None or any(s[name] != after[name] for name in self.parameters) for s in ahead.next]
        yield np.array(changes, dtype=float), self.each


@dataclass(frozen=True)
class Where:
    """A term that only settings with some value of a parameter have: the dwell of a spectrum, say, which an image has not."""

    parameter: str
    value: float | str
    term: Fixed | PerUnit | Dose | Ramp | Change
    kind: Literal["where"] = field(default="where", repr=False)

    def charges(self, ahead: Ahead) -> Iterator[Charge]:
        """Those of the term, or nothing."""
        import numpy as np

        has_it = np.array([s[self.parameter] == self.value for s in ahead.next], dtype=float)
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
        import numpy as np

        is_home = np.array([self._is_home(s) for s in ahead.next], dtype=bool)
        if ahead.after is not None and self._is_home(ahead.after):
            ahead = replace(ahead, after=None)
        x, y = (np.where(is_home, at, ahead.column(of)) - ahead.last(of, at) for of, at in zip((self.x, self.y), self.start, strict=True))
        away = np.hypot(x, y)
        yield np.where(away > 0, away / self.speed + self.settle, 0.0), self.each

    def _is_home(self, settings: Settings) -> bool:
        return self.home is not None and settings[self.home[0]] == self.home[1]


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
        ahead = Ahead(next, after, performed)
        found = {kind.name: np.zeros(len(next)) for kind in Amounts.cost_kinds()}
        for term in self.terms:
            for number, each in term.charges(ahead):
                for name, amount in each.cost().items():
                    if amount:
                        found[name] += number * amount
        return found

    def of(self, settings: Settings, after: Settings | None = None, performed: int = 0) -> Amounts:
        """The price of one set of settings."""
        return Amounts(**{name: float(amounts[0]) for name, amounts in self([settings], after, performed).items()})


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
