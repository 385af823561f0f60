"""A function in Python as a lab: what it takes and returns, in a few words."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from frugaltwin.amounts import Amounts
from frugaltwin.errors import DriverError, FrugalTwinError, InvalidInput, Stopped
from frugaltwin.experiment import (
    Categorical,
    Constraint,
    Continuous,
    Discrete,
    Experiment,
    Measurement,
    Outcome,
    Parameter,
    Settings,
    real,
)

if TYPE_CHECKING:
    from frugaltwin.campaign import Campaign


class Lab:
    """A driver that calls a function, and may be used wherever a driver is: `from_function` makes one, `campaign` goes on with it."""

    def __init__(self, function: Callable[..., object], experiment: Experiment, cost: Amounts = Amounts()) -> None:
        """Lab of a function and an experiment made by hand; `from_function` makes it from fewer words.

        Args:
            cost: Of each call.
        """
        self.experiment, self._function, self._cost = experiment, function, cost
        self._is_open = threading.Event()

    @classmethod
    def from_function(
        cls,
        function: Callable[..., object],
        *,
        parameters: Mapping[str, Parameter | Sequence[float | str]],
        outcomes: str | Sequence[str | Outcome] | Mapping[str, str],
        constraints: Iterable[Constraint] = (),
        cost: Amounts = Amounts(),
        name: str = "",
    ) -> Self:
        """The lab of a function that is called with the settings by name, and returns the outcomes by name, or the only one by itself.

        An exception of the function is a failed experiment.

        Args:
            parameters: For each argument two limits, ``(20, 80)``; with a unit, ``(20, 80, "°C")``; a list of numbers or of names,
                ``["XPhos", "SPhos"]``; or a `Parameter`.
            outcomes: Names, perhaps with units, ``{"yield": "%"}``, or `Outcome`s.
            constraints: What the settings obey, such as a `MixtureSum`.
            cost: Of each call.
            name: Of the lab and its campaigns; without it, that of the function.

        Raises:
            InvalidInput: These words make no experiment, or the function does not take these arguments.

        >>> lab = Lab.from_function(lambda x: -(x**2), parameters={"x": (-1, 1)}, outcomes="y", name="parabola")
        >>> with lab:
        ...     lab.perform({"x": 0.5}).outcomes
        {'y': -0.25}
        """
        if not callable(function):
            raise InvalidInput(f"{function!r} is no function; name one that takes the settings and returns the outcomes")
        if not isinstance(parameters, Mapping) or not parameters:
            raise InvalidInput('parameters are a mapping of names to limits, such as {"temperature": (20, 80, "°C")}')
        called = name or getattr(function, "__name__", "").strip("<>").replace("_", "-") or "lab"
        try:
            made = tuple(_parameter(key, words) for key, words in parameters.items())
            experiment = Experiment(called, made, _outcomes(outcomes), tuple(constraints))
        except (TypeError, ValueError) as error:
            raise InvalidInput(str(error)) from None
        _check_arguments(function, list(parameters), called)
        return cls(function, experiment, cost)

    def campaign(self, goal: str | Sequence[str], name: str | None = None, **fields: Any) -> Campaign:
        """The campaign of that name on this lab, new or as it is in the store.

        Args:
            goal: One or more, such as ``maximize:yield``.
            name: The lab's name without it.
            fields: `budget`, `stop`, `strategy`, `seed` and `store`, as for `Campaign.open`.

        Raises:
            InvalidInput: A field is impossible, or the lab's name is that of another driver.
            CampaignError: The store has a campaign of that name on another experiment, or with another goal or strategy.
        """
        from frugaltwin import catalog
        from frugaltwin.campaign import Campaign

        catalog.register("driver", self.experiment.name, self._itself)
        return Campaign.open(driver=self.experiment.name, goal=goal, name=name or self.experiment.name, **fields)

    def __enter__(self) -> Self:
        self._is_open.set()
        return self

    def perform(self, settings: Settings) -> Measurement:
        if not self._is_open.is_set():
            raise Stopped("the lab was stopped, or it is not connected")
        checked = self.experiment.check(settings)
        try:
            answer = self._function(**checked)
        except FrugalTwinError:
            raise
        except Exception as error:
            failure = DriverError(f"{self.experiment.name} failed: {type(error).__name__}: {error}")
            failure.cost = self._cost
            raise failure from error
        if not self._is_open.is_set():
            raise Stopped("the lab was stopped")
        return Measurement(self._by_name(answer), self._cost)

    def estimate(self, settings: Settings) -> Amounts:
        """The cost of a call."""
        return self._cost

    def stop(self) -> None:
        """Ask for nothing more, from any thread. A call in flight is not interrupted, and what it returns is thrown away."""
        self._is_open.clear()

    def __exit__(self, *failure: object) -> None:
        self._is_open.clear()

    def _itself(self) -> Lab:
        return self

    def _by_name(self, answer: object) -> Mapping[str, Any]:
        """Outcomes by name: a mapping, or the only one by itself."""
        if isinstance(answer, Mapping):
            return dict(answer)
        if len(self.experiment.outcomes) == 1 and answer is not None:
            return {self.experiment.outcomes[0].name: answer}
        names = ", ".join(outcome.name for outcome in self.experiment.outcomes)
        raise DriverError(f"{self.experiment.name} returned {str(answer)[:60]!r}; it returns {names} by name, as a dict")


def _parameter(name: str, words: Parameter | Sequence[float | str]) -> Parameter:
    """A parameter in words.

    Raises:
        ValueError: They make none.
    """
    if isinstance(words, Continuous | Discrete | Categorical):
        if words.name != name:
            raise ValueError(f"{name}: its parameter is called {words.name}; give both the same name")
        return words
    listed = list(words) if isinstance(words, list | tuple) else []
    texts = [word for word in listed if isinstance(word, str)]
    numbers = [word for word in map(real, listed) if word is not None]
    if len(texts) + len(numbers) < len(listed):
        listed = []  # something in it is neither
    if isinstance(words, tuple) and [real(word) for word in listed[:2]] == numbers and len(numbers) == 2 and len(texts) <= 1:
        return Continuous(name, numbers[0], numbers[1], unit=texts[0] if texts else "1")
    if isinstance(words, list) and listed and not (texts and numbers):
        return Categorical(name, tuple(texts)) if texts else Discrete(name, tuple(sorted(numbers)))
    raise ValueError(f'{name} = {words!r}: write two limits, (20, 80) or (20, 80, "°C"), or a list of numbers or of names')


def _outcomes(words: object) -> tuple[Outcome, ...]:
    """Outcomes in words.

    Raises:
        InvalidInput: They make none.
    """
    listed = [words] if isinstance(words, str | Outcome) else list(words.items()) if isinstance(words, Mapping) else words
    made = []
    for word in listed if isinstance(listed, list | tuple) else ():
        if isinstance(word, Outcome):
            made.append(word)
        elif isinstance(word, str):
            made.append(Outcome(word))
        elif isinstance(word, tuple) and [type(part) for part in word] == [str, str]:
            made.append(Outcome(*word))
        else:
            made = []
            break
    if not made:
        raise InvalidInput(f'outcomes = {words!r}: write names, such as "yield", ["yield", "purity"] or {{"yield": "%"}}')
    return tuple(made)


def _check_arguments(function: Callable[..., object], names: list[str], called: str) -> None:
    """Refuse a function that does not take these arguments.

    Raises:
        InvalidInput: It does not.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some that are written in C have none
        return
    try:
        signature.bind(**dict.fromkeys(names))
    except TypeError as error:
        raise InvalidInput(f"{called}{signature} does not take the settings {', '.join(names)} by name: {error}") from None
