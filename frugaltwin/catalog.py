"""Everything that can be chosen by name. A new plug-in of ours is one new file and one line here.

Other people's plug-ins are added by `register`, or by entry points of their package: docs/extending.md.
"""

import importlib.util
import inspect
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, TypeAlias, cast, get_args, get_type_hints

import numpy as np

from frugaltwin import data_sheets
from frugaltwin.color import Lab, delta_e, parse_color
from frugaltwin.errors import DriverError, FrugalTwinError, InvalidInput, MissingPart, ShadowedPackage, UnknownName, in_words
from frugaltwin.experiment import Continuous, Experiment, Settings
from frugaltwin.goals import Combined, Goal, MatchColor, Minimize, Objective, Requirement
from frugaltwin.goals.extreme import quantity_named
from frugaltwin.goals.words import Bound, joined, split
from frugaltwin.instruments import Mixer
from frugaltwin.plugins import Driver, KnowsTruth, NamesGoal, Strategy
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
    "phase-map": "optimizers.phase_map:PhaseMap",
    "gp-classifier": "optimizers.gp_classifier:GPClassifier",
    "straddle": "optimizers.straddle:Straddle",
    "label-propagation": "optimizers.label_propagation:LabelPropagation",
    "sobol": "optimizers.sobol:Sobol",
    "random": "optimizers.random_search:RandomSearch",
}
PEERS = {
    "ax": "optimizers.peers.ax:Ax",
    "baybe": "optimizers.peers.baybe:BayBE",
    "optuna": "optimizers.peers.optuna:Optuna",
    "nimo-pdc": "optimizers.peers.nimo:PDC",
}
"""Other people's strategies, of optional packages."""
EXTRAS = {"ax": "ax", "baybe": "baybe", "nimo": "nimo", "optuna": "optuna"}
"""The optional extra that has a package, by the name under which that is imported."""
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
UNLISTED_DRIVERS = {
    "practice": "frugaltwin.tasks.practice:practice",
    "task-lab": "frugaltwin.tasks.practice:task_lab",
    "experiment": "hardware.experiment_file:ExperimentFile",
}
"""Drivers that a command or a file chooses: no list has them."""
ADDRESSES = ("mixer", "port", "url")
"""The options of drivers that may hold the address of a rig."""
KINDS = {"driver": DRIVERS, "strategy": STRATEGIES | PEERS, "goal": GOALS}
"""Our own plug-ins; `names` has all."""
GROUPS = {"driver": "frugaltwin.drivers", "strategy": "frugaltwin.strategies", "goal": "frugaltwin.goals", "mixer": "frugaltwin.mixers"}
"""The groups of entry points in which an installed package lists its plug-ins."""
PACKAGES = ("frugaltwin", "simulator", "optimizers", "hardware", "api")

Options = Mapping[str, object]
Target: TypeAlias = str | Callable[..., object]
"""A callable that makes the plug-in, or where it is: ``module:callable``."""

_OURS = KINDS | {"mixer": MIXERS}
_registered: dict[str, dict[str, Target]] = {kind: {} for kind in GROUPS}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Entry:
    """A plug-in's target, and the installed package that lists it."""

    target: Target
    package: str = ""


@dataclass(frozen=True)
class _Installed:
    """The plug-ins of installed packages, by kind and name, and a sentence for each that was refused."""

    entries: dict[str, dict[str, _Entry]] = field(default_factory=lambda: {kind: {} for kind in GROUPS})
    refused: list[str] = field(default_factory=list)


def register(kind: str, name: str, target: Target) -> None:
    """Add a plug-in to the catalog of this process: it is chosen, listed and described like ours.

    A package whose plug-ins every process is to find lists them as entry points: docs/extending.md. The same target may be registered
    again, in a notebook say, and takes the place of the earlier one.

    Args:
        kind: ``driver``, ``strategy``, ``goal`` or ``mixer``. The drivers over a mixer that is not ours know no truth.
        name: Lower-case letters and digits, with hyphens between words.
        target: A callable, or ``module:callable``, which is imported on first use.

    Raises:
        UnknownName: There is no such kind.
        InvalidInput: It is no name, no target, or the name is taken.
    """
    if kind not in GROUPS:
        raise UnknownName(_unknown("kind of plug-in", kind, list(GROUPS)))
    if reason := _objection(kind, name, target, _installed().entries if _installed.cache_info().currsize else {}):
        raise InvalidInput(f"cannot register the {kind} {name!r}: {reason}")
    _registered[kind][name] = target


def names(kind: str) -> list[str]:
    """All plug-ins of a kind: ours, the registered ones, then those of installed packages."""
    return [*_OURS[kind], *_registered[kind], *_installed().entries[kind]]


def refused() -> list[str]:
    """A sentence for every entry point of an installed package that is not in the catalog."""
    return list(_installed().refused)


def is_known(kind: str, name: str) -> bool:
    """Whether somebody has a plug-in of that name."""
    return not is_remote(name) and _found(kind, name) is not None


def target(kind: str, name: str) -> Callable[..., Any]:
    """The callable that makes a plug-in.

    Raises:
        UnknownName: There is no plug-in of that name.
        MissingPart: It cannot be imported.
    """
    return _loaded(kind, name, _entry(kind, name))


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


def make_driver_of(experiment: Experiment, name: str, options: Options | None = None, **defaults: object) -> Driver:
    """The driver of that name for something that began with an experiment; arguments and errors as for `make_driver`.

    Where a parameter of that experiment's driver has become a setting since then, a fidelity, it is an option with the value that counts.
    """
    driver = make_driver(name, options, **defaults)
    begun_with = {p.name for p in experiment.parameters}
    fixed = {name: value for name, value in driver.experiment.fidelities.items() if name not in begun_with}
    return make_driver(name, {**fixed, **(options or {})}, **defaults) if fixed else driver


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
    if entry := _found("mixer", name):
        return cast(Mixer, _loaded("mixer", name, entry)(words, **parts))
    if re.fullmatch(r"[a-z-]*", where) and where != "auto":
        raise UnknownName(_unknown("mixer", where, [*names("mixer"), "auto", "/dev/ttyACM0"]))
    return cast(Mixer, resolve_name(SERIAL_MIXER)(where, **parts))


def is_remote(driver: str) -> bool:
    """Whether a driver's name is the address of a rig of a service."""
    return "://" in driver


def is_twin(where: str) -> bool:
    """Whether a mixer in words is one whose liquids are computed."""
    return where.partition(":")[0] in MIXERS


def without_address(choice: Mapping[str, Any]) -> dict[str, Any]:
    """A driver's name and options without the address of its rig, which is another one after the cable was pulled, and the same rig.

    That it is a rig, and no twin, stays in it. How much was filled into its bottles is left out, too: they are refilled in a campaign.

    >>> without_address({"name": "pumpbot", "options": {"port": "COM3", "seed": 1}})
    {'name': 'pumpbot', 'options': {'port': 'a rig', 'seed': 1}}
    >>> without_address({"name": "http://192.168.1.20:8000/rigs/color-1", "options": {}})
    {'name': '/rigs/color-1', 'options': {}}
    """
    name = str(choice["name"])
    options = {k: "a rig" if k in ADDRESSES and _is_address(v) else v for k, v in choice.get("options", {}).items() if k != "bottles"}
    return {**choice, "name": "".join(name.rstrip("/").rpartition("/rigs/")[1:]) if is_remote(name) else name, "options": options}


def without_place(choice: Mapping[str, Any]) -> dict[str, Any]:
    """The same without the places of its files either: for a driver that says by a fingerprint what is in them."""
    found = without_address(choice)
    return found | {"options": found["options"] | dict.fromkeys(_files(choice), "a file")}


def found_again(choice: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A driver's name and options, with files that are not where they were at their new place below a folder.

    A store and its tables move together: of ``/home/ann/lab/t.csv``, ``lab/t.csv`` and then ``t.csv`` are looked for beside the store.
    """
    options = dict(choice.get("options", {}))
    for name in _files(choice):
        if not Path(options[name]).is_file():
            parts = re.split(r"[/\\]", str(options[name]))
            beside = (folder.joinpath(*parts[k:]) for k in range(1, len(parts)))
            options[name] = next((str(path) for path in beside if path.is_file()), options[name])
    return {**choice, "options": options}


def _files(choice: Mapping[str, Any]) -> list[str]:
    """The options given that are files; none of a driver that cannot be loaded."""
    try:
        factory = target("driver", str(choice["name"]))
        hints = get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    except (FrugalTwinError, NameError):
        return []
    return [name for name in choice.get("options", {}) if Path in (hints.get(name), *get_args(hints.get(name)))]


def _is_address(value: object) -> bool:
    return isinstance(value, str) and _found("mixer", value.partition(":")[0]) is None


def resolved_options(kind: str, name: str, options: Options) -> dict[str, str | int | float | bool]:
    """The options as the constructor takes them, ready for a store: numbers as numbers, paths absolute.

    Raises:
        UnknownName: There is no such option.
        InvalidInput: One has an impossible value.
    """
    return resolved(name, target(kind, name), options)


def resolved(name: str, factory: Callable[..., Any], options: Options) -> dict[str, str | int | float | bool]:
    """The same for a plug-in's callable, whether it is in the catalog or not."""
    given = _understood(name, factory, options, {})
    return {k: str(v.absolute()) if isinstance(v, Path) else cast(str | int | float | bool, v) for k, v in given.items()}


def make_strategy(name: str, options: Options | None = None, **defaults: object) -> Strategy:
    """The strategy of that name; arguments and errors as for `make_driver`."""
    return cast(Strategy, _make("strategy", name, options or {}, defaults))


def make_goal(words: str | Sequence[str], driver: Driver, seed: int = 0, require: Sequence[str] = ()) -> Goal:
    """The goal of words such as ``match-color:coral`` or ``minimize:cost``.

    Args:
        words: One objective or several, or the `text` of any goal; empty for the driver's default goal.
        driver: What it is a goal for; a twin is asked for its truth when a reachable color is to be drawn.
        seed: Of that draw.
        require: Bounds that a good trial meets, such as ``t_415 <= 0.3``: an outcome, an amount or an objective, and a number.

    Raises:
        UnknownName: No goal has that name.
        InvalidInput: The rest of the words cannot be understood.
    """
    texts, bounds = split(joined([words] if isinstance(words, str) else words, require))
    if not texts:
        texts, more = split(default_goal(driver))
        bounds = [*more, *bounds]
    goals = [_one_goal(text, driver, seed) for text in texts]
    if len(goals) == 1 and not bounds:
        return goals[0]
    if odd := next((goal for goal in goals if not isinstance(goal, Objective)), None):
        raise InvalidInput(f"{odd.text} has no score, so it takes no requirements and no other goal beside it", field="goal")
    objectives = tuple(goal for goal in goals if isinstance(goal, Objective))
    return Combined(driver.experiment, objectives, tuple(_requirement(bound, driver, seed) for bound in bounds))


def _one_goal(text: str, driver: Driver, seed: int) -> Goal:
    name, _, argument = text.partition(":")
    if not argument and driver.experiment.color is not None and not is_known("goal", name.strip()) and _is_color(name.strip()):
        raise UnknownName(f"there is no goal {name.strip()!r}; did you mean 'match-color:{name.strip()}'?")
    goal = target("goal", name.strip())
    if not (inspect.isclass(goal) and issubclass(goal, Goal)):
        raise MissingPart(f"the goal {name.strip()} is no subclass of frugaltwin.Goal; tell its authors")
    return goal.parse(argument.strip(), driver.experiment, lambda s: _reachable_color(driver, s), seed)


def _is_color(text: str) -> bool:
    try:
        parse_color(text)
    except InvalidInput:
        return False
    return True


def _requirement(bound: Bound, driver: Driver, seed: int) -> Requirement:
    """The requirement of words such as ``t_415 <= 0.3``, ``volume <= 8`` or ``match-color:coral <= 2.3``."""
    if ":" in bound.quantity and is_known("goal", bound.quantity.partition(":")[0].strip()):
        goal = _one_goal(bound.quantity, driver, seed)
        if not isinstance(goal, Objective):
            raise InvalidInput(f"{bound.quantity} has no score that could be required", field="require")
        return Requirement(goal, bound.is_upper, bound.value)
    name = quantity_named(bound.quantity, driver.experiment, "require", field="require")
    return Requirement(Minimize(driver.experiment, name), bound.is_upper, bound.value)


def nominal_twin(name: str, options: Options) -> Driver | None:
    """The twin of a driver as its data sheet has it, whatever this one hides; None where there is none, or it cannot be made.

    Of the options those are kept that say what can be set and measured, and no rig's address.
    """
    if is_remote(name):
        return None
    try:
        stated = stated_options("driver", name)
        kept = {k: v for k, v in options.items() if k in stated and stated[k].changes == "experiment" and k not in ADDRESSES}
        twin = make_driver(name, kept)
    except FrugalTwinError:
        return None
    return twin if isinstance(twin, KnowsTruth) else None


def nearest_color(twin: Driver, target: Lab) -> tuple[Lab, float] | None:
    """The color nearest to a target that a twin can make, and their difference ΔE00; None where it says nothing.

    A search: random settings first, then steps from the best one towards the others and away from them.
    """
    experiment, random = twin.experiment, np.random.default_rng(23)
    if not isinstance(twin, KnowsTruth) or experiment.color is None:
        return None

    def judged(settings: Settings) -> tuple[float, Lab] | None:
        try:
            color = color_of(experiment, settings, twin.truth(settings))
        except DriverError:
            return None  # not every setting can be measured
        lab = (color["L"], color["a"], color["b"])
        return float(delta_e(np.array(lab), np.array(target))), lab

    drawn = random_settings(twin, REACH)
    known = [(found, settings) for settings in drawn if (found := judged(settings))]
    if not known:
        return None
    (difference, lab), best = min(known, key=lambda one: one[0][0])
    numeric = [p.name for p in experiment.parameters if isinstance(p, Continuous)]
    for size in np.geomspace(1.0, 0.01, REACH if numeric and not experiment.candidates else 0):
        _, other = known[random.integers(len(known))]
        share = size * random.uniform(-1.0, 1.0)
        moved = {**best, **{name: float(best[name]) + share * (float(other[name]) - float(best[name])) for name in numeric}}
        if experiment.allows(moved) and (found := judged(moved)) and found[0] < difference:
            (difference, lab), best = found, moved
    return lab, difference


REACH = 600
"""Settings that `nearest_color` draws, and as many steps."""


def default_goal(driver: Driver) -> str:
    """The goal of a driver for which no goal is named.

    Raises:
        InvalidInput: There is no such thing.
    """
    if isinstance(driver, NamesGoal) and driver.default_goal:
        return driver.default_goal
    if driver.experiment.color is not None:
        # A rig cannot say what it could reach; this green is well within reach of dyes and of LEDs.
        return "match-color:reachable" if isinstance(driver, KnowsTruth) else "match-color:#8fb04a"
    if labeled := next((o.name for o in driver.experiment.outcomes if o.labels), None):
        return f"map:{labeled}"
    names = ", ".join(f"minimize:{o.name}" for o in driver.experiment.outcomes if not o.labels)
    example = f", for example {names}" if names else ""
    raise InvalidInput(f"{driver.experiment.name} has no goal of its own; name one{example}", field="goal")


def stated_options(kind: str, name: str) -> Mapping[str, data_sheets.Option]:
    """The options of a plug-in as it states them, with what each changes; empty for one that does not state them.

    Raises:
        UnknownName: There is no plug-in of that name.
        MissingPart: It cannot be imported.
    """
    options = data_sheets.options_of(target(kind, name))
    return options.stated if options else {}


def summary(kind: str, name: str) -> str:
    """One line about a plug-in; about one that cannot be loaded, why."""
    entry = _entry(kind, name)
    try:
        sheet = _written(entry) or docstring(_loaded(kind, name, entry))
    except MissingPart as error:
        return str(error)
    return sheet.partition("\n")[0] or "its author wrote no data sheet"


def data_sheet(kind: str, name: str) -> str:
    """All that its author says of a plug-in: equations, units, options, sources. Nothing is imported where its source shows it.

    Raises:
        UnknownName: There is no plug-in of that name.
        MissingPart: It has to be imported, and cannot be.
    """
    entry = _entry(kind, name)
    sheet = _written(entry)
    if sheet is not None and not data_sheets.PLACE.search(sheet):
        return sheet
    try:
        return docstring(_loaded(kind, name, entry))
    except MissingPart as error:
        if sheet is None:
            raise
        reason = f"**Options** cannot be shown: {error}."
        return data_sheets.PLACE.sub(lambda _: reason, sheet)


def docstring(factory: Callable[..., Any]) -> str:
    """The data sheet of a plug-in's callable."""
    return inspect.getdoc(factory) or ""


def _written(entry: _Entry) -> str | None:
    """The docstring of a plug-in as its source shows it; None where it does not. Nothing is imported."""
    if not isinstance(entry.target, str):
        return None
    _check_ours(entry.target)
    return data_sheets.written(entry.target)


def kind_of(name: str) -> str:
    """``driver``, ``strategy`` or ``goal``.

    Raises:
        UnknownName: It is none of them.
    """
    for kind in KINDS:
        if _found(kind, name):
            return kind
    raise UnknownName(_unknown("plug-in", name, [n for kind in KINDS for n in names(kind)]))


def check_packages() -> None:
    """Refuse to go on where a file of the user's hides one of our packages.

    Raises:
        ShadowedPackage: It does; the message says which file.
    """
    for package in PACKAGES:
        _check_package(package)


def _check_package(package: str) -> None:
    home = Path(__file__).resolve().parent.parent
    beside = Path.cwd() / f"{package}.py"
    spec = importlib.util.find_spec(package)
    found = Path(spec.origin).resolve() if spec and spec.origin else None
    hiding = beside if beside.exists() else found
    if hiding is not None and hiding.resolve() != home / package / "__init__.py":
        raise ShadowedPackage(f"{hiding} hides our package {package!r}; rename that file, or work in another folder")


def _check_ours(target: str) -> None:
    """Refuse a target in a package of ours that is hidden by another file."""
    package = target.partition(":")[0].partition(".")[0]
    if package in PACKAGES:
        _check_package(package)


@cache
def _installed() -> _Installed:
    from importlib import metadata

    found, points = _Installed(), metadata.entry_points()
    for kind, group in GROUPS.items():
        for point in sorted(points.select(group=group), key=lambda p: (p.dist.name if p.dist else "", p.name)):
            package, target = point.dist.name if point.dist else point.module, f"{point.module}:{point.attr}"
            if _registered[kind].get(point.name) == target:
                continue
            if reason := _objection(kind, point.name, target, found.entries):
                found.refused.append(f"the {kind} {point.name!r} of the package {package} is left out: {reason}")
            else:
                found.entries[kind][point.name] = _Entry(target, package)
    return found


def _objection(kind: str, name: str, target: Target, installed: Mapping[str, Mapping[str, _Entry]]) -> str:
    """The reason why a plug-in cannot have that name; empty when it can."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        return "a name has lower-case letters and digits, with hyphens between words"
    if isinstance(target, str) and not re.fullmatch(r"\w+(\.\w+)*:\w+(\.\w+)*", target):
        return f"{target!r} is no target; write module:callable"
    if not isinstance(target, str) and not callable(target):
        return f"{target!r} cannot be called; give a class or a function"
    return _taken(kind, name, target, installed)


def _taken(kind: str, name: str, target: Target, installed: Mapping[str, Mapping[str, _Entry]]) -> str:
    """The sentence that says who has a name; empty when it is free."""
    for other in _rivals(kind):
        holder = _registered[other].get(name)
        if name in _OURS[other] or name in UNLISTED_DRIVERS:
            return f"frugaltwin has a {other} of that name; choose another"
        if holder and (other != kind or _where(holder) != _where(target)):
            return f"{_where(holder)} is registered as the {other} of that name; choose another"
        if entry := installed.get(other, {}).get(name):
            return f"the package {entry.package} has a {other} of that name; choose another"
    return ""


def _rivals(kind: str) -> Iterable[str]:
    """The kinds that share their names with a kind: `frugaltwin catalog NAME` has to know what a name means."""
    return ("mixer",) if kind == "mixer" else KINDS


def _where(target: Target) -> str:
    return target if isinstance(target, str) else f"{target.__module__}:{getattr(target, '__qualname__', target)}"


def _found(kind: str, name: str) -> _Entry | None:
    """The plug-in of that name. Installed packages are looked through only for a name that is neither ours nor registered."""
    if kind == "driver" and is_remote(name):
        return _Entry(REMOTE_DRIVER)
    unlisted = UNLISTED_DRIVERS.get(name) if kind == "driver" else None
    if known := _OURS[kind].get(name) or unlisted or _registered[kind].get(name):
        return _Entry(known)
    if any(name in _OURS[other] or name in _registered[other] for other in _rivals(kind)):
        return None
    return _installed().entries[kind].get(name)


def _entry(kind: str, name: str) -> _Entry:
    if entry := _found(kind, name):
        return entry
    raise UnknownName(_unknown(kind, name, names(kind)))


def _loaded(kind: str, name: str, entry: _Entry) -> Callable[..., Any]:
    """The callable of a plug-in, imported.

    Raises:
        MissingPart: It cannot be; the message names the package.
    """
    if not isinstance(entry.target, str):
        return entry.target
    _check_ours(entry.target)
    package = entry.target.partition(":")[0].partition(".")[0]
    whose = f"the {kind} {name} of the package {entry.package or package}"
    try:
        loaded: Any = resolve_name(entry.target)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing and missing != package:
            where = f"'frugaltwin[{EXTRAS[missing]}]'" if missing in EXTRAS else missing
            raise MissingPart(f"the {kind} {name} needs the package {missing!r}; install it with pip install {where}") from error
        raise MissingPart(f"{whose} cannot be loaded: {error}; tell its authors") from error
    except Exception as error:  # whatever other people's code does while it is imported
        if package in PACKAGES:
            raise
        _log.exception("%s cannot be loaded", whose)
        raise MissingPart(f"{whose} cannot be loaded: {type(error).__name__}: {error}; tell its authors") from error
    if not callable(loaded):
        raise MissingPart(f"{whose} cannot be loaded: {entry.target} cannot be called; tell its authors")
    return cast(Callable[..., Any], loaded)


def _unknown(kind: str, name: str, names: list[str]) -> str:
    near = [one for one in names if len(name) > 2 and one.startswith(name)] or get_close_matches(name, names, n=1)
    return f"there is no {kind} {name!r}; " + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}")


def _make(kind: str, name: str, options: Options, defaults: Options) -> object:
    return made(kind, name, target(kind, name), options, defaults)


def made(kind: str, name: str, factory: Callable[..., Any], options: Options, defaults: Options) -> Any:
    """Make a plug-in by its callable and options, whether it is in the catalog or not.

    Args:
        options: As for `make_driver`.
        defaults: The same, as far as the callable has options of these names.

    Raises:
        UnknownName: There is no such option.
        InvalidInput: One has an impossible value, or is missing.
    """
    given = _understood(name, factory, options, defaults)
    if missing := [k for k, p in parameters(factory).items() if p.default is inspect.Parameter.empty and k not in given]:
        raise InvalidInput(f"the {kind} {name} needs the option {' and the option '.join(missing)}", field="option")
    return factory(**given)


def parameters(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The options of a plug-in's callable, by name."""
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {k: p for k, p in inspect.signature(factory).parameters.items() if p.kind in by_name}


def _understood(name: str, factory: Callable[..., Any], options: Options, defaults: Options) -> dict[str, object]:
    """The arguments of a plug-in's callable, converted."""
    known = parameters(factory)
    for option in options:
        if option not in known:
            raise UnknownName(_unknown(f"option of {name}", option, list(known)))
    given = {k: v for k, v in defaults.items() if k in known} | dict(options)
    try:
        hints = get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    except NameError as error:
        raise MissingPart(f"the types of the options of {name} cannot be read: {error}; tell its authors") from error
    converted = {k: _converted(name, k, v, hints.get(k, Any)) for k, v in given.items()}
    seed = converted.get("seed")
    if isinstance(seed, int) and seed < 0:
        raise InvalidInput(f"seed = {seed} of {name}: it is a whole number from 0 up")
    return converted


def _converted(name: str, option: str, value: object, hint: Any) -> object:
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    if isinstance(value, bool) and hint not in (bool, Any):
        raise InvalidInput(f"option {option} = {str(value).lower()} of {name}: it is no yes-or-no option")
    try:
        return TypeAdapter(hint, config=ConfigDict(allow_inf_nan=False)).validate_python(value)
    except ValidationError as error:
        reasons = " or ".join(dict.fromkeys(in_words(e["msg"]) for e in error.errors())).replace(" or it takes ", " or ")
        raise InvalidInput(f"option {option} = {value!r} of {name}: {reasons}") from error


def random_settings(driver: Driver, count: int, seed: int = 0) -> list[Settings]:
    """Different settings that a driver of colors allows, uniformly random."""
    gray = MatchColor(driver.experiment, (50.0, 0.0, 0.0))
    return [s.settings for s in make_strategy("random", seed=seed).suggest(State(gray), count)]


def _reachable_color(driver: Driver, seed: int) -> Lab:
    """The true color of settings drawn at random."""
    experiment = driver.experiment
    if not isinstance(driver, KnowsTruth):
        text = f"{experiment.name} is no twin, so no reachable color can be drawn; name one, such as match-color:#8fb04a"
        raise InvalidInput(text, field="goal")
    # Another stream than the campaign's own, whose random strategy would else begin with the answer.
    draws = np.random.SeedSequence((seed, 1931)).generate_state(100)
    for draw in draws:
        (settings,) = random_settings(driver, 1, int(draw))
        try:
            color = color_of(experiment, settings, driver.truth(settings))
        except DriverError:
            continue  # not every setting can be measured; the next draw may be
        return color["L"], color["a"], color["b"]
    text = f"no reachable color found for {experiment.name} in {len(draws)} draws; name one, such as match-color:#8fb04a"
    raise InvalidInput(text, field="goal")
