"""Everything that can be chosen by name. A new plug-in is one new file and one line here."""

import ast
import importlib.util
import inspect
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, cast, get_type_hints

import numpy as np

from frugaltwin.color import Lab
from frugaltwin.errors import DriverError, InvalidInput, MissingPart, ShadowedPackage, UnknownName, in_words
from frugaltwin.experiment import Settings
from frugaltwin.goals import Goal, MatchColor
from frugaltwin.instruments import Mixer
from frugaltwin.plugins import Driver, KnowsTruth, Strategy
from frugaltwin.state import State
from frugaltwin.tables import color_of

# Values are "module:callable", imported on first use, so that listing costs nothing.
DRIVERS = {
    "color-mixing": "simulator.color_mixing:color_mixing",
    "paint-mixing": "simulator.paint_mixing:PaintMixingTwin",
    "light-mixing": "simulator.light_mixing:LightMixing",
    "clslab-light": "hardware.clslab_light:clslab_light",
    "pumpbot": "hardware.pumpbot:pumpbot",
    "cloud-point": "simulator.cloud_point:cloud_point",
    "binary-solution": "simulator.binary_solution:BinarySolution",
    "eutectic": "simulator.eutectic:Eutectic",
    "lens": "simulator.lens:Lens",
    "peritectic": "simulator.peritectic:Peritectic",
    "ternary-solution": "simulator.ternary_solution:TernarySolution",
    "flory-huggins": "simulator.flory_huggins:FloryHuggins",
    "calphad": "simulator.calphad:Calphad",
    "ferroelectric": "simulator.ferroelectric:Ferroelectric",
    "ising": "simulator.ising:Ising",
    "wafer": "simulator.wafer:WaferTwin",
    "structure-map": "simulator.structure_map:StructureMap",
    "table": "simulator.table:Table",
}
STRATEGIES = {
    "composite": "optimizers.composite:Composite",
    "bayesian": "optimizers.bayesian:Bayesian",
    "gp-classifier": "optimizers.gp_classifier:GPClassifier",
    "straddle": "optimizers.straddle:Straddle",
    "label-propagation": "optimizers.label_propagation:LabelPropagation",
    "sobol": "optimizers.sobol:Sobol",
    "random": "optimizers.random_search:RandomSearch",
}
GOALS = {
    "match-color": "frugaltwin.goals:MatchColor",
    "minimize": "frugaltwin.goals:Minimize",
    "maximize": "frugaltwin.goals:Maximize",
    "map": "frugaltwin.goals:Map",
}
MIXERS = {
    "simulated": "simulator.instruments.mixer:simulated_mixer",
    "emulated": "hardware.mixers:emulated_mixer",
}
SERIAL_MIXER = "hardware.mixers:serial_mixer"
"""A mixer of any other name is a serial port: a device, ``auto``, or ``socket://host:port``."""
REMOTE_DRIVER = "frugaltwin.client.remote_driver:remote_driver"
"""A driver whose name is an address is a rig of a service: ``http://192.168.1.20:8000/rigs/color-1``."""
KINDS = {"driver": DRIVERS, "strategy": STRATEGIES, "goal": GOALS}

Options = Mapping[str, object]


def make_driver(name: str, options: Options | None = None, **defaults: object) -> Driver:
    """The driver of that name.

    Args:
        options: Go to its constructor; text is converted to what the constructor takes.
        defaults: The same, as far as the constructor has options of these names (`seed`, `goal`).

    Raises:
        UnknownName: No driver or no option has that name; the message says what comes nearest.
        InvalidInput: An option has an impossible value.
    """
    return cast(Driver, _make("driver", name, options or {}, defaults | ({"url": name} if is_remote(name) else {})))


def make_mixer(where: str, **parts: object) -> Mixer:
    """The mixer in words such as ``simulated``, ``emulated:reset@40`` or ``/dev/ttyACM0``.

    Args:
        parts: What it is made of: sensor, imperfections, seed and liquids.

    Raises:
        UnknownName: It is neither a mixer nor like a port.
        InvalidInput: It cannot be made of these parts.
        MissingPart: Something is not installed.
    """
    name, _, words = where.partition(":")
    if name in MIXERS:
        return cast(Mixer, resolve_name(MIXERS[name])(words, **parts))
    if re.fullmatch(r"[a-z-]*", where) and where != "auto":
        raise UnknownName(_unknown("mixer", where, [*MIXERS, "auto", "/dev/ttyACM0"]))
    return cast(Mixer, resolve_name(SERIAL_MIXER)(where, **parts))


def is_remote(driver: str) -> bool:
    """Whether a driver's name is the address of a rig of a service."""
    return "://" in driver


def is_twin(where: str) -> bool:
    """Whether a mixer in words is one whose liquids are computed."""
    return where.partition(":")[0] in MIXERS


def resolved_options(kind: str, name: str, options: Options) -> dict[str, str | int | float | bool]:
    """The options as the constructor takes them, ready for a store: numbers as numbers, paths absolute.

    Raises:
        UnknownName: There is no such option.
        InvalidInput: One has an impossible value.
    """
    _, given = _understood(kind, name, options, {})
    return {k: str(v.absolute()) if isinstance(v, Path) else cast(str | int | float | bool, v) for k, v in given.items()}


def make_strategy(name: str, options: Options | None = None, **defaults: object) -> Strategy:
    """The strategy of that name; arguments and errors as for `make_driver`."""
    return cast(Strategy, _make("strategy", name, options or {}, defaults))


def make_goal(text: str, driver: Driver, seed: int = 0) -> Goal:
    """The goal of words such as ``match-color:coral`` or ``minimize:cost``.

    Args:
        driver: What it is a goal for; a twin is asked for its truth when a reachable color is to be drawn.
        seed: Of that draw.

    Raises:
        UnknownName: No goal has that name.
        InvalidInput: The rest of the words cannot be understood.
    """
    name, _, argument = text.partition(":")
    entry = _entry("goal", name.strip())
    return cast(type[Goal], resolve_name(entry)).parse(argument.strip(), driver.experiment, lambda s: _reachable_color(driver, s), seed)


def default_goal(driver: Driver) -> str:
    """What a driver is used for when nobody says.

    Raises:
        InvalidInput: There is no such thing.
    """
    if driver.experiment.color is not None:
        # A rig cannot say what it could reach; this green is well within reach of dyes and of LEDs.
        return "match-color:reachable" if isinstance(driver, KnowsTruth) else "match-color:#8fb04a"
    if labeled := next((o.name for o in driver.experiment.outcomes if o.labels), None):
        return f"map:{labeled}"
    names = ", ".join(f"minimize:{o.name}" for o in driver.experiment.outcomes if not o.labels)
    raise InvalidInput(f"say what is wanted of {driver.experiment.name} with --goal" + (f", for example {names}" if names else ""))


def summary(kind: str, name: str) -> str:
    """One line about a plug-in."""
    return data_sheet(kind, name).splitlines()[0]


def data_sheet(kind: str, name: str) -> str:
    """All that its author says of a plug-in: equations, units, options, sources. Nothing is imported for it."""
    module, _, attribute = _entry(kind, name).partition(":")
    for node in _parsed(module).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == attribute:
            return ast.get_docstring(node) or ""
    raise LookupError(f"{module} does not define {attribute}")


def kind_of(name: str) -> str:
    """``driver``, ``strategy`` or ``goal``.

    Raises:
        UnknownName: It is none of them.
    """
    for kind, table in KINDS.items():
        if name in table or (kind == "driver" and is_remote(name)):
            return kind
    raise UnknownName(_unknown("plug-in", name, [n for table in KINDS.values() for n in table]))


def check_packages() -> None:
    """Refuse to go on where a file of the user's hides one of our packages.

    Raises:
        ShadowedPackage: It does; the message says which file.
    """
    for package in ("frugaltwin", "simulator", "optimizers", "hardware", "api"):
        _check_package(package)


def _check_package(package: str) -> None:
    home = Path(__file__).resolve().parent.parent
    beside = Path.cwd() / f"{package}.py"
    spec = importlib.util.find_spec(package)
    found = Path(spec.origin).resolve() if spec and spec.origin else None
    hiding = beside if beside.exists() else found
    if hiding is not None and hiding.resolve() != home / package / "__init__.py":
        raise ShadowedPackage(f"{hiding} hides our package {package!r}; rename that file, or work in another folder")


@cache
def _parsed(module: str) -> ast.Module:
    _check_package(module.partition(".")[0]) if not module.startswith("frugaltwin") else None
    path = Path(__file__).resolve().parent.parent.joinpath(*module.split(".")).with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def _entry(kind: str, name: str) -> str:
    table = KINDS[kind]
    if kind == "driver" and is_remote(name):
        return REMOTE_DRIVER
    if name not in table:
        raise UnknownName(_unknown(kind, name, list(table)))
    return table[name]


def _unknown(kind: str, name: str, names: list[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return f"there is no {kind} {name!r}; " + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}")


def _make(kind: str, name: str, options: Options, defaults: Options) -> object:
    factory, given = _understood(kind, name, options, defaults)
    if missing := [k for k, p in inspect.signature(factory).parameters.items() if p.default is inspect.Parameter.empty and k not in given]:
        raise InvalidInput(f"the {kind} {name} needs {', '.join(f'--option {k}=…' for k in missing)}")
    return factory(**given)


def _understood(kind: str, name: str, options: Options, defaults: Options) -> tuple[Any, dict[str, object]]:
    """The constructor of a plug-in and its arguments, converted."""
    entry = _entry(kind, name)
    _check_package(entry.partition(".")[0])
    try:
        factory = resolve_name(entry)
    except ModuleNotFoundError as error:
        raise MissingPart(f"the {kind} {name} needs the package {error.name!r}; install it with pip install {error.name}") from error
    parameters = inspect.signature(factory).parameters
    for option in options:
        if option not in parameters:
            raise UnknownName(_unknown(f"option of {name}", option, list(parameters)))
    given = {k: v for k, v in defaults.items() if k in parameters} | dict(options)
    hints = get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    converted = {k: _converted(name, k, v, hints[k]) for k, v in given.items()}
    seed = converted.get("seed")
    if isinstance(seed, int) and seed < 0:
        raise InvalidInput(f"seed = {seed} of {name}: it is a whole number from 0 up")
    return factory, converted


def _converted(name: str, option: str, value: object, hint: Any) -> object:
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    if isinstance(value, bool) and hint is not bool:
        raise InvalidInput(f"option {option} = {str(value).lower()} of {name}: it is no yes-or-no option")
    try:
        return TypeAdapter(hint, config=ConfigDict(allow_inf_nan=False)).validate_python(value)
    except ValidationError as error:
        raise InvalidInput(f"option {option} = {value!r} of {name}: {in_words(error.errors()[0]['msg'])}") from error


def random_settings(driver: Driver, count: int, seed: int = 0) -> list[Settings]:
    """Different settings that a driver of colors allows, uniformly random."""
    gray = MatchColor(driver.experiment, (50.0, 0.0, 0.0))
    return [s.settings for s in make_strategy("random", seed=seed).suggest(State(gray), count)]


def _reachable_color(driver: Driver, seed: int) -> Lab:
    """The true color of settings drawn at random."""
    experiment = driver.experiment
    if not isinstance(driver, KnowsTruth):
        raise InvalidInput(f"{experiment.name} is no twin, so no reachable color can be drawn; name one with --goal match-color:#rrggbb")
    # Another stream than the campaign's own, whose random strategy would else begin with the answer.
    draws = np.random.SeedSequence((seed, 1931)).generate_state(100)
    for draw in draws:
        (settings,) = random_settings(driver, 1, int(draw))
        try:
            color = color_of(experiment, settings, driver.truth(settings))
        except DriverError:
            continue  # not every setting can be measured; the next draw may be
        return color["L"], color["a"], color["b"]
    raise InvalidInput(f"no reachable color found for {experiment.name} in {len(draws)} draws; name one with --goal match-color:#rrggbb")
