"""Data sheets of plug-ins: options that are stated once, and docstrings read from source code.

A driver states its options as fields of a class of `Options`. A field has, once, what a signature, its checks and a docstring would
repeat: name, type, default, meaning, unit and limits::

    class FurnaceOptions(SeedOptions):
        hottest: float = option(600, "hottest temperature of the furnace", "K", allowed=(50, 5000))


    class Furnace:
        @takes(FurnaceOptions)
        def __init__(self, options: FurnaceOptions) -> None: ...


    Furnace(hottest=700)
"""

import ast
import importlib.util
import inspect
import math
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache, wraps
from importlib.machinery import ModuleSpec, PathFinder
from types import MappingProxyType, NoneType
from typing import (
    Any,
    ClassVar,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

import numpy as np

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import quantity, real

Changes = Literal["truth", "imperfections", "both", "experiment", ""]
"""The part of a twin that an option changes. ``truth``: what is true at the same settings. ``imperfections``: only how far a reading is
from that, or when. ``both``: an error that is systematic, so that the truth keeps it. ``experiment``: what can be set and measured and
what it costs, the conditions that all have in common, or what it is performed on. Empty: nobody said."""

Profile = Literal["teaching-lab"]
"""A name in place of a number for the option `imperfections`: it stands for the values of several options (`Options.profiles`)."""

PLACE = re.compile(r"^\*\*Options\*\*: `\w+`\.$", re.MULTILINE)
"""The line of a docstring that names a class of options. `takes` puts their table in its place."""
WIDTH = 118  # of that table

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")
Given = TypeVar("Given", bound="Options")


@dataclass(frozen=True)
class Option:
    """An option of a plug-in, as its data sheet has it."""

    default: Any
    meaning: str
    unit: str = "1"
    allowed: tuple[float, float] | None = None
    drawn: tuple[float, float] | None = None
    shown: str = ""
    changes: Changes = ""
    hint: Any = None
    """Its type."""

    @property
    def kinds(self) -> tuple[Any, ...]:
        """The types that its value may have."""
        return (self.hint,) if isinstance(self.hint, type) or get_origin(self.hint) is Literal else get_args(self.hint)

    def check(self, name: str, value: object) -> None:
        """Refuse a value that the option does not allow.

        Raises:
            InvalidInput: It does not; the sentence has the limits.
        """
        if value is None and NoneType in self.kinds:
            return
        choices = [choice for kind in self.kinds for choice in get_args(kind)]
        if isinstance(value, str) and value in choices:
            return
        if choices and float not in self.kinds:
            raise InvalidInput(f"{name} = {value!r}: it is {', '.join(choices[:-1])} or {choices[-1]}")
        if self.allowed is None:
            return
        low, high = self.allowed
        limits = f"from {low:g} up" if high == math.inf else f"{low:g} to {quantity(high, self.unit)}"
        limits = " or ".join([limits, *choices])
        x = real(value)
        if float not in self.kinds:
            if x is None or not (x.is_integer() and low <= x <= high) or isinstance(value, float):
                raise InvalidInput(f"{name} = {value!r}: it is a whole number{' from' if high < math.inf else ''} {limits}")
        elif x is None:
            raise InvalidInput(f"{name} = {value!r} is no number: it is {limits} ({self.meaning})")
        elif not (math.isfinite(x) and low <= x <= high):
            fault = "has no physical meaning here" if self.drawn else "is not allowed"
            raise InvalidInput(f"{name} = {quantity(x, self.unit)} {fault} ({self.meaning}): it is {limits}")

    def others(self) -> list[Any]:
        """Some other values than its default, where it states what is allowed: for trying what it changes."""
        if bool in self.kinds:
            return [not self.default]
        if choices := [choice for kind in self.kinds for choice in get_args(kind)]:
            return [choice for choice in choices if choice != self.default and float not in self.kinds] or [0.0, 2.0]
        if not (span := self.drawn or self.allowed):
            return []
        low, high = span
        usual = self.default if isinstance(self.default, int | float) else low
        found = [low, high, *(self.allowed or ())] if self.drawn else [low, min(2 * usual or 1, high)]
        allowed = [value for value in dict.fromkeys(found) if value != self.default]
        return allowed if float in self.kinds else [int(value) for value in allowed]

    @property
    def words(self) -> tuple[str, str]:
        """Its default and its meaning as a data sheet has them."""
        words = self.meaning if self.unit == "1" else f"{self.unit}, {self.meaning}"
        limits = [f"drawn: {_span(*self.drawn)}" if self.drawn[0] < self.drawn[1] else "never drawn"] if self.drawn else []
        if self.allowed and self.allowed[1] < math.inf:
            limits.append(f"allowed: {_span(*self.allowed)}")
        default = "required" if self.default is MISSING else _shown(self.default)
        return self.shown or default, words + (f" ({'; '.join(limits)})" if limits else "")


def option(
    default: Any = MISSING,
    meaning: str = "",
    unit: str = "1",
    *,
    allowed: tuple[float, float] | None = None,
    drawn: tuple[float, float] | None = None,
    shown: str = "",
    changes: Changes = "",
) -> Any:
    """An option: a field of a class of `Options`. Choices are stated by its type, a `Literal`.

    Args:
        default: Its value where it is not given; without a default it has to be given.
        meaning: All that there is to say about it, in one line.
        allowed: The smallest and the largest number allowed.
        drawn: Of a constant of a system: the range that `SystemOptions` draw it from. Where the constant is not given, the field is None.
        shown: The default in words, where the data sheet is to say more than its value.
        changes: The part of a twin that it changes; the truth, where it is drawn.
    """
    about = Option(default, meaning, unit, allowed, drawn, shown, changes or ("truth" if drawn else ""))
    return field(default=None if drawn else default, metadata={"option": about})


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Options:
    """Options of a plug-in, checked when they are made. Every field is an `option`; a subclass becomes a frozen dataclass."""

    stated: ClassVar[Mapping[str, Option]] = MappingProxyType({})
    """Options of the class, by name: its own first, then those of the classes that it is made of."""
    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})
    """The values of options that a name stands for where it is given for `imperfections`, those of the classes it is made of included.
    An option that is given beside the name has the value that is given."""

    def __init_subclass__(cls) -> None:
        made: Any = dataclass(frozen=True, kw_only=True)(cls)
        stated = [vars(made_of).get("profiles", {}) for made_of in reversed(cls.__mro__)]
        names = {name for profiles in stated for name in profiles}
        cls.profiles = {name: {k: v for profiles in stated for k, v in profiles.get(name, {}).items()} for name in names}
        cls._init_with_profiles(made.__init__)
        known = {f.name: f.metadata["option"] for f in fields(made)}
        # An option that a class states again, with another default, stays where it was.
        places = {name: k for k, made_of in enumerate(cls.__mro__) for name in inspect.get_annotations(made_of)}
        hints = get_type_hints(cls)
        cls.stated = MappingProxyType({n: replace(known[n], hint=hints[n]) for n in sorted(known, key=lambda name: places[name])})

    @classmethod
    def _init_with_profiles(cls, init: Callable[..., None]) -> None:
        """Let the ``__init__`` of this class put the values of a profile in the place of its name."""
        profiles = cls.profiles

        @wraps(init)
        def initialized(self: Options, **given: Any) -> None:
            profile = given.get("imperfections")
            init(self, **({**profiles.get(profile, {}), **given} if isinstance(profile, str) else given))

        setattr(cls, "__init__", initialized)  # noqa: B010 - the signature is that of each class

    def __post_init__(self) -> None:
        for name, about in self.stated.items():
            about.check(name, getattr(self, name))


class SeedOptions(Options):
    """Options of a twin with random errors."""

    seed: int = option(0, "of everything random", allowed=(0, math.inf), changes="imperfections")


class ImperfectOptions(Options):
    """Options of a twin whose imperfections one number makes larger or smaller together, or a profile sets one by one.

    A class that is made of it states the values of its profiles in `profiles`; without them it takes no name of one.
    """

    imperfections: float | Profile = option(1.0, "scales all errors: 0 is none, 1 as on a rig", allowed=(0, 10), changes="imperfections")

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.imperfections, str) and self.imperfections not in self.profiles:
            raise InvalidInput(f"imperfections = {self.imperfections}: this twin has no such profile; give a number")

    @property
    def scale(self) -> float:
        """The size of all errors together: 1 where a profile sets each."""
        return 1.0 if isinstance(self.imperfections, str) else float(self.imperfections)


class SystemOptions(Options):
    """Options of a twin with constants that an instructor may set, or draw."""

    system: int | None = option(
        None, "a seed: draws every constant that is not given from its range", allowed=(0, math.inf), changes="truth"
    )

    @property
    def constants(self) -> dict[str, float]:
        """The constants of the system: those given, the others drawn with the seed `system`, or the defaults without one."""
        random = np.random.default_rng((71, self.system)) if self.system is not None else None
        known = {name: (about.default, about.drawn) for name, about in self.stated.items() if about.drawn}
        usual = {name: float(random.uniform(*drawn)) if random else default for name, (default, drawn) in known.items()}
        return {name: value if (given := getattr(self, name)) is None else given for name, value in usual.items()}


def table(options: type[Options]) -> str:
    """The table of the options in a data sheet."""
    rows = [(name, *about.words) for name, about in options.stated.items()]
    first, second = (max(len(row[k]) for row in [("option", "default", ""), *rows]) for k in (0, 1))
    left = first + second + 2
    rule = f"{'=' * first} {'=' * second} {'=' * (WIDTH - left)}"
    lines = [rule, f"{'option':{first}} {'default':{second}} meaning", rule]
    for name, default, meaning in rows:
        head, *more = textwrap.wrap(meaning, WIDTH - left, break_long_words=False, break_on_hyphens=False) or [""]
        lines += [f"{name:{first}} {default:{second}} {head}".rstrip(), *(f"{'':{left}}{line}" for line in more)]
    return "\n".join([*lines, rule, *_below_the_table(options)])


def _below_the_table(options: type[Options]) -> list[str]:
    """Sentences on what each option changes, and on what a profile stands for."""
    words: list[str] = []
    for changes, what in _CHANGED.items():
        if names := [name for name, about in options.stated.items() if about.changes == changes]:
            words.append(f"{what}: {', '.join(names)}.")
    for profile, values in options.profiles.items():
        words.append(f"``imperfections={profile}`` sets {', '.join(f'{name} = {_shown(value)}' for name, value in values.items())}.")
    return ["", *textwrap.wrap(" ".join(words), WIDTH, break_long_words=False, break_on_hyphens=False)] if words else []


_CHANGED: dict[Changes, str] = {
    "truth": "Options that change the truth",
    "both": "Imperfections that the truth keeps",
    "imperfections": "Imperfections that leave the truth as it is",
}


def options_of(factory: Callable[..., Any]) -> type[Options] | None:
    """The class of the options of a plug-in's callable, where it states them with `takes`."""
    found: Any = getattr(factory.__init__ if inspect.isclass(factory) else factory, "options", None)
    return found if isinstance(found, type) and issubclass(found, Options) else None


def _span(low: float, high: float) -> str:
    return f"{_shown(low)} to {_shown(high)}"


def _shown(value: object) -> str:
    """A value as a data sheet has it.

    >>> _shown(None), _shown(True), _shown(11000.0), _shown(3e9), _shown(0.00011), _shown("inferred")
    ('none', 'true', '11000', '3e9', '1.1e-4', 'inferred')
    """
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, int | float):
        return str(value)
    text = f"{value:.10g}" if 1e-3 <= abs(value) < 1e6 or not value else f"{value:.10e}"
    return re.sub(r"\.?0*e([+-])0*", lambda e: f"e{e[1].strip('+')}", text)


class takes(Generic[P, Given]):  # noqa: N801 - a decorator
    """Decorator of a function, or of an ``__init__``, that is written for an object of options and is called with them by name.

    Its signature and its data sheet have them one by one.
    """

    def __init__(self, options: Callable[P, Given]) -> None:
        self._options = options

    @overload
    def __call__(self, function: Callable[[Given], T]) -> Callable[P, T]: ...

    @overload
    def __call__(self, function: Callable[[S, Given], None]) -> Callable[Concatenate[S, P], None]: ...

    def __call__(self, function: Callable[..., Any]) -> Any:
        options: Any = self._options
        before = list(inspect.signature(function).parameters.values())[:-1]  # self, of an __init__

        @wraps(function)
        def called(*args: Any, **given: Any) -> Any:
            return function(*args[: len(before)], options(*args[len(before) :], **given))

        hints = {name: about.hint for name, about in options.stated.items()}
        known = inspect.signature(options).parameters
        called.__annotations__ = hints
        called.options = options  # type: ignore[attr-defined]
        called.__signature__ = inspect.Signature([*before, *(known[n].replace(annotation=hints[n]) for n in hints)])  # type: ignore[attr-defined]
        if before:
            return _Constructor(called, options)
        called.__doc__ = _with_table(function.__doc__, options)
        return called


@dataclass(frozen=True)
class _Constructor:
    """An ``__init__`` until its class is made, whose data sheet then gets the table of the options."""

    function: Callable[..., None]
    options: type[Options]

    def __set_name__(self, owner: type, name: str) -> None:
        owner.__doc__ = _with_table(owner.__doc__, self.options)
        setattr(owner, name, self.function)


def _with_table(sheet: str | None, options: type[Options]) -> str | None:
    return PLACE.sub(lambda _: table(options), inspect.cleandoc(sheet)) if sheet else None


def written(target: str) -> str | None:
    """The docstring of ``module:callable`` as its source code has it; None where the source does not show it.

    No line of the module or of its packages is executed. A name that a module takes over from another one, a compiled module and a
    module that cannot be parsed show nothing.
    """
    module, _, attribute = target.partition(":")
    tree = _parsed(module)
    for node in tree.body if tree else ():
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == attribute:
            return ast.get_docstring(node)
    return None


@cache
def _parsed(module: str) -> ast.Module | None:
    spec = _spec(module)
    source = getattr(spec.loader, "get_source", None) if spec else None
    try:
        text = source(module) if source else None
        return ast.parse(text) if text is not None else None
    except (ImportError, SyntaxError, ValueError):  # importing it says what is wrong
        return None


def _spec(module: str) -> ModuleSpec | None:
    """The file of a module. `importlib.util.find_spec` alone would import the packages around it."""
    package, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # __main__ has none
        return None
    for word in inner:
        if spec is None or spec.submodule_search_locations is None:
            return None
        package = f"{package}.{word}"
        spec = PathFinder.find_spec(package, spec.submodule_search_locations)
    return spec
