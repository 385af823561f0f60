"""Any thermodynamic database (TDB file) as a lab: pycalphad computes the equilibria, an instrument measures them.

Needs the package pycalphad (`pip install 'frugaltwin[calphad]'`).
"""

import hashlib
import logging
import math
import threading
import time
import warnings
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pycalphad import Database, Workspace
from pycalphad import variables as v
from pycalphad.core.utils import filter_phases, unpack_species
from tinydb import where

from frugaltwin.data_sheets import option, takes
from frugaltwin.diagram import Diagram
from frugaltwin.errors import InvalidInput, RigFault
from frugaltwin.experiment import Constraint, Continuous, MixtureSum, Outcome, Parameter
from frugaltwin.table_reader import decoded
from simulator.instruments.furnace import FurnaceOptions
from simulator.instruments.phase_instruments import BINS, LINE_WIDTH, DiffractionOptions, Diffractometer, Powder, liquid_pattern, spread
from simulator.instruments.phase_lab import LabOptions, PhaseLab, PhaseState

Floats = NDArray[np.float64]
_log = logging.getLogger(__name__)

TRACE = 1e-9
"""Mole fraction: less of a component, or of a phase, is none. pycalphad's own limit is near."""
SAME = 1e-3  # mole fraction: phases of one name that differ by less are one
ORDERED = 0.01  # site fraction: an ordered phase whose sublattices differ by less is its disordered variant
KEPT = 20_000  # equilibria in memory, of each system
PATIENCE = 10.0  # s: what takes longer says so
READ = 45_000.0  # characters per second that pycalphad reads on a slow machine: COST507, of 296 kB, took 6.4 s of a core
POINTS = 200  # sampled of every phase before pycalphad minimizes; with its default of 60 it misses phases of a ternary miscibility gap
LINES = 5  # of every solid phase's pattern


def pattern_of(phase: str, lattice: float = 1.0, width: float = LINE_WIDTH, texture: Floats | float = 1.0) -> Floats:
    """Diffracted intensity [12] of a phase in the bins of the diffractometer: made up from its name, always the same.

    A TDB file does not say where the atoms sit. A name that has LIQUID in it gives a broad hump, all others a few lines.

    Args:
        lattice: How large its lattice is, against what it should be.
        width: Of the lines, 1/nm, of which the area stays the same.
        texture: How high each of the 5 lines is, against what it should be.
    """
    if "LIQUID" in phase:
        return liquid_pattern()
    seed = int.from_bytes(hashlib.sha256(phase.encode()).digest()[:8], "big")
    random = np.random.default_rng(seed)
    places, heights = random.uniform(BINS[0], BINS[-1], LINES), random.uniform(0.3, 1.0, LINES)
    highest = _lines(places, heights, LINE_WIDTH).max()
    pattern: Floats = _lines(places / lattice, heights * texture * (LINE_WIDTH / width), width) / highest
    return pattern


def _lines(places: Floats, heights: Floats, width: float) -> Floats:
    found: Floats = (heights * np.exp(-0.5 * ((BINS[:, None] - places) / width) ** 2)).sum(axis=1)
    return found


@dataclass(frozen=True, eq=False)
class PhaseAnalysis(Diffractometer):
    """The diffractometer, and `contrast`: how much the composition differs from grain to grain (in an electron micrograph, say).

    Two phases of one structure look alike to X-rays; the contrast tells them apart.
    """

    visible: float = 0.04
    """Smallest contrast that counts: four standard deviations."""

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        return (*super().outcomes, Outcome("contrast", "1", "standard deviation of the composition over the sample, mole fraction"))

    @cached_property
    def noise(self) -> Floats:
        return np.array([0.004] * len(BINS) + [0.01])

    @cached_property
    def patterns(self) -> Floats:
        return np.array([pattern_of(name) for name in self.lattices])

    @cached_property
    def references(self) -> Floats:
        return np.array([pattern_of(name, 1 + error) for name, error in zip(self.lattices, self._lab[0].tolist(), strict=True)])

    def sample_signal(self, state: PhaseState, sample: Powder) -> Floats:
        width = LINE_WIDTH * (1 + sample.scale * self.flaws.broadening)
        textures = dict(zip(self.lattices, sample.texture[:, :LINES], strict=True))
        found = np.zeros(len(BINS))
        for phase, share in state.fractions.items():
            name = phase.partition("#")[0]
            lattice = 1 + sample.scale * self.flaws.peak_shift * state.compositions[phase]
            found += share * pattern_of(name, lattice, width, textures[name])
        return np.append(self._impure(found, sample, width), state.properties["contrast"])

    def signal(self, states: Sequence[PhaseState]) -> Floats:
        shares = [PhaseState("", _by_structure(s)) for s in states]
        contrast = np.array([[s.properties["contrast"]] for s in states]).reshape(-1, 1)
        return np.concatenate([super().signal(shares), contrast], axis=1)

    def inferred(self, reading: Floats) -> str:
        label = super().inferred(reading[: len(BINS)])
        # With contrast there is more than one phase, and the pattern has one: how many of it cannot be told; two is the least.
        twice = " + ".join([label, label])
        return twice if reading[-1] > self.visible and twice in self.labels else label


def dissolved(x: Sequence[float]) -> float:
    """Share that a phase of composition x [k] has dissolved, as it changes its lattice: atoms of later components make it larger.

    >>> dissolved([0.9, 0.1]), dissolved([0.25, 0.75]), dissolved([0.2, 0.7, 0.1])
    (0.1, -0.25, -0.1)
    """
    solvent = int(np.argmax(x))
    return math.fsum(x[solvent + 1 :]) - math.fsum(x[:solvent])


def _by_structure(state: PhaseState) -> dict[str, float]:
    shares: dict[str, float] = defaultdict(float)
    for name, share in state.fractions.items():
        shares[name.partition("#")[0]] += share
    return shares


@dataclass(frozen=True)
class Found:
    """Equilibrium at one composition and temperature: phases sorted by name, those of one name by composition."""

    phases: tuple[str, ...]
    amounts: tuple[float, ...]
    compositions: tuple[tuple[float, ...], ...]

    @property
    def label(self) -> str:
        return " + ".join(self.phases)


class System:
    """Equilibria of one database, chosen components and phases, at one pressure; remembers what it has computed."""

    def __init__(self, text: str, components: tuple[str, ...], phases: tuple[str, ...], pressure: float) -> None:
        self._database = _database(text)
        self.components, self._phases, self._pressure = components, phases, pressure
        self._workspaces: dict[tuple[str, ...], Any] = {}
        self._made_of: dict[tuple[str, ...], bool] = {}
        self._known: OrderedDict[tuple[float, ...], Found | None] = OrderedDict()
        self._lock = threading.Lock()

    def equilibria(self, X: Floats) -> list[Found | None]:
        """The equilibria at X [n, k + 1], compositions of all k components and temperature; None where pycalphad finds none."""
        keys = [tuple(row) for row in X.tolist()]
        with self._lock:
            groups: dict[tuple[tuple[str, ...], tuple[float, ...]], dict[float, list[tuple[float, ...]]]]
            groups = defaultdict(lambda: defaultdict(list))
            for key in dict.fromkeys(keys):
                if key not in self._known:
                    present = tuple(c for c, x in zip(self.components, key, strict=False) if x >= TRACE)
                    if not self._has_phases(present):
                        self._known[key] = None
                        continue
                    inner = tuple(x for x in key[:-1] if x >= TRACE)
                    last = inner[-1] if len(inner) > 1 else 1.0
                    groups[present, (*inner[1:-1], key[-1])][last].append(key)
            # pycalphad is three times as fast over a row of compositions as over single ones.
            for (present, fixed), row in groups.items():
                for same, found in zip(row.values(), self._row(present, fixed, list(row)), strict=True):
                    self._known |= dict.fromkeys(same, found)
            result = [self._known[key] for key in keys]
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return result

    def _has_phases(self, present: tuple[str, ...]) -> bool:
        """Whether these components can make a phase; remembered, because to ask takes as long as an equilibrium."""
        if present not in self._made_of:
            self._made_of[present] = bool(_possible(self._database, present, self._phases))
        return self._made_of[present]

    def _row(self, present: tuple[str, ...], fixed: tuple[float, ...], last: list[float]) -> list[Found | None]:
        """Equilibria of a row: the compositions of the inner components and the temperature are `fixed`."""
        order = np.argsort(last)
        conditions: dict[Any, Any] = {v.N: 1.0, v.P: self._pressure, v.T: fixed[-1]}
        conditions |= {v.X(c): x for c, x in zip(present[1:-1], fixed[:-1], strict=True)}
        if len(present) > 1:
            conditions[v.X(present[-1])] = np.array(last)[order]
        with _quiet():
            if present not in self._workspaces:
                self._workspaces[present] = Workspace(
                    self._database, [*present, "VA"], list(self._phases), conditions, calc_opts={"pdens": POINTS}
                )
            else:
                self._workspaces[present].conditions.update(conditions)
            solved = self._workspaces[present].eq
        names = solved.Phase.reshape(len(last), -1).astype(object)
        sites = solved.Y.reshape(len(last), names.shape[1], -1)
        for place in zip(*np.nonzero(names != ""), strict=True):
            names[place] = self._variant(present, str(names[place]), sites[place])
        amounts = solved.NP.reshape(len(last), -1)
        places = [list(solved.coords["component"]).index(c) for c in present]
        shape = solved.X.shape
        inner = solved.X.reshape(len(last), shape[-2], shape[-1])[:, :, places]
        compositions = np.zeros((len(last), shape[-2], len(self.components)))
        compositions[:, :, [self.components.index(c) for c in present]] = inner
        result: list[Found | None] = [None] * len(last)
        for k, at in enumerate(order):
            result[at] = _found(names[k].tolist(), amounts[k], compositions[k])
        return result

    def _variant(self, present: tuple[str, ...], name: str, sites: Floats) -> str:
        """The name of a phase by its site fractions: an ordered one that is not ordered has the name of its disordered variant."""
        hints = self._database.phases[name].model_hints
        if hints.get("ordered_phase") != name:
            return name
        sublattices: dict[int, dict[str, float]] = defaultdict(dict)
        for variable, fraction in zip(self._workspaces[present].phase_record_factory[name].variables, sites.tolist(), strict=False):
            sublattices[variable.sublattice_index][variable.species.name] = fraction
        alike: dict[frozenset[str], list[dict[str, float]]] = defaultdict(list)
        for sublattice in sublattices.values():
            alike[frozenset(sublattice)].append(sublattice)
        spreads = [max(abs(y[s] - group[0][s]) for y in group for s in y) for group in alike.values() if len(group) > 1]
        return str(hints["disordered_phase"]) if spreads and max(spreads) < ORDERED else name


def _possible(database: Any, components: tuple[str, ...], phases: Sequence[str]) -> list[str]:
    """The phases that can be made of components."""
    possible: list[str] = filter_phases(database, unpack_species(database, [*components, "VA"]), list(phases))
    return possible


def _undefined(database: Any, components: tuple[str, ...], phases: Sequence[str]) -> list[str]:
    """The functions that the phases of these components use, and that the database does not define: pycalphad takes them for 0."""
    variants = {database.phases[name].model_hints.get("disordered_phase", name) for name in phases}
    species = {"*", *(s.name for s in unpack_species(database, [*components, "VA"]))}
    used = {
        symbol.name
        for parameter in database.search(where("phase_name").one_of([*phases, *variants]))
        if all(s.name in species for sublattice in parameter["constituent_array"] for s in sublattice)
        for symbol in parameter["parameter"].free_symbols
    }
    new = used
    while new := {s.name for name in new if name in database.symbols for s in database.symbols[name].free_symbols} - used:
        used |= new
    return sorted(used - set(database.symbols) - {"T", "P"})


def _found(names: list[str], amounts: Floats, compositions: Floats) -> Found | None:
    phases: list[tuple[str, list[float], float]] = []
    for name, amount, x in zip(names, amounts.tolist(), compositions, strict=True):
        if not name or not amount > TRACE:
            continue
        for k, (other, y, share) in enumerate(phases):
            if other == name and np.abs(x - np.array(y)).max() < SAME:
                phases[k] = (name, y, share + amount)
                break
        else:
            phases.append((name, x.tolist(), amount))
    total = math.fsum(share for _, _, share in phases)
    if not phases or not abs(total - 1) < 1e-6:
        return None
    phases.sort()
    return Found(tuple(p[0] for p in phases), tuple(p[2] / total for p in phases), tuple(tuple(p[1]) for p in phases))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warnings of pycalphad's own code, about how databases are written and about logarithms of nothing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"pycalphad\.")
        yield


@lru_cache(maxsize=8)
def _database(text: str) -> Any:
    if (seconds := len(text) / READ) > PATIENCE / 2:
        _log.warning("pycalphad reads a TDB file of %.0f kB, about %.0f s", len(text) / 1000, seconds)
    with _quiet():
        return Database.from_string(text, fmt="tdb")


@lru_cache(maxsize=8)
def system_of(text: str, components: tuple[str, ...], phases: tuple[str, ...], pressure: float) -> System:
    """The system of a TDB file's text, shared by all drivers that ask for the same."""
    return System(text, components, phases, pressure)


@lru_cache(maxsize=32)
def _sets(system: System, low: float, high: float, steps: int) -> tuple[tuple[str, ...], ...]:
    """Every set of phases on a grid of compositions and temperatures, sorted by size and name."""
    temperatures = np.linspace(low, high, steps + 1) if high > low else np.array([low])
    n = len(system.components)
    counts = [c for c in product(range(steps + 1), repeat=n) if sum(c) == steps]
    found: set[tuple[str, ...]] = set()
    for n_done, T in enumerate(temperatures):
        began = time.monotonic()
        found |= {f.phases for f in system.equilibria(np.array([[*(k / steps for k in c), T] for c in counts])) if f is not None}
        left = (time.monotonic() - began) * (len(temperatures) - n_done - 1)
        if n_done == 1 and left > PATIENCE:  # the first one also translates the models
            text = "pycalphad looks for the phases of %s on a grid, about %.0f s more; fewer steps or fewer phases=… take less"
            _log.warning(text, "-".join(system.components), left)
    alone = {(phase,) for phases in found for phase in phases}
    return tuple(sorted(found | alone, key=lambda s: (len(s), s)))


class CalphadOptions(FurnaceOptions, LabOptions, DiffractionOptions):
    """Options of a lab for a TDB file."""

    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {"teaching-lab": {"least_share": 0.05}}  # where nothing dissolves, edges are wide

    path: Path = option(meaning="the TDB file", changes="truth")
    components: str = option("", "two or three elements, ``AL,ZN``", shown="all", changes="truth")
    phases: str = option("", "the phases that may occur, ``LIQUID,FCC_A1``", shown="all", changes="truth")
    pressure: float = option(101325.0, "of every sample, above 0", "Pa", allowed=(0, 1e12), changes="experiment")
    temperature: float | None = option(None, "of every sample, which is then no parameter", "K", allowed=(1, 20_000), changes="experiment")
    temperature_low: float = option(300.0, "lowest temperature of the furnace", "K", allowed=(1, 20_000), changes="experiment")
    temperature_high: float = option(1500.0, "highest temperature of the furnace", "K", allowed=(1, 20_000), changes="experiment")
    steps: int = option(
        20, "of the grid on which the labels are found; a grid of 20 takes some seconds", allowed=(2, 100), changes="experiment"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.pressure > 0:
            raise InvalidInput(f"pressure = {self.pressure:g} Pa is none: it lies above 0 and up to 1e12 Pa")
        low, high = self.temperatures
        if self.temperature is None and not low < high:
            raise InvalidInput(f"temperature_low = {low:g} K must lie below temperature_high = {high:g} K")

    @property
    def temperatures(self) -> tuple[float, float]:
        """The lowest and the highest temperature of a sample, K."""
        return (self.temperature_low, self.temperature_high) if self.temperature is None else (self.temperature, self.temperature)


class Calphad(PhaseLab):
    """CALPHAD: any thermodynamic database (a TDB file) as a lab, two or three components, through pycalphad.

    **Equation.** The phases that together have the lowest Gibbs energy G = Σ n_p G_p(x_p, T, P) for the sample's composition; every
    G_p is a model of the file (compound energy formalism). pycalphad minimizes it.
    Source: Otis & Liu, J. Open Res. Softw. 5 (2017) 1, doi:10.5334/jors.140 (pycalphad); Hillert, J. Alloys Compd. 320 (2001) 161,
    doi:10.1016/S0925-8388(00)01481-X (the formalism); of the numbers: whoever wrote the TDB file. The papers could not be opened when this
    sheet was last checked; the tests compare pycalphad with solvers of our own.

    ============= ============================== ====== ========================================================================
    parameter     limits                         unit   meaning
    ============= ============================== ====== ========================================================================
    x_b           0 to 1                         1      mole fraction of the second component, of two (``x_cd`` for CD)
    x_a, x_b, x_c 0 to 1                         1      of all, of three; they add up to 1
    temperature   temperature_low to …_high      K      no parameter where the option `temperature` fixes it
    ============= ============================== ====== ========================================================================

    ============= ====== ========================================================================================================
    outcome       unit   meaning
    ============= ====== ========================================================================================================
    phase                the stable phases joined by " + ", as ``HCP_CD + LIQUID``; a gap in one is ``LIQUID + LIQUID``
    d_1 … d_12    1      a diffraction-like pattern: the phases' own, mixed by their fractions, and a background
    contrast      1      standard deviation of the composition over the sample
    ============= ====== ========================================================================================================

    A TDB file has no crystal structures: the lines of a pattern are made up from the phase's name, always the same for the same name.
    The label is the set of phases that fits the pattern best; where one phase fits and the contrast is above 0.04, it is there twice.

    **Which labels there are** is found when the driver is made, on a grid of compositions and temperatures (`steps`), plus every phase
    alone. Where the truth is a set that the grid has not met, such as a field between two of its points, the trial fails and says so;
    so it does where the file has no phase, as at the pure oxygen of a metal's oxides. An ordered phase whose sublattices are alike has
    the name of its disordered variant (``FCC_A1`` for ``FCC_L12``). A file that uses a function that it does not define is refused.

    **Options**: `CalphadOptions`.

    **Random errors**, rms: 0.004 of an intensity, 0.01 of the contrast, a base line that all share and that wanders by
    0.002 in an hour, by twice that in days.

    **Time and money.** A new sample 120 s and 0.40 USD, heating 0.5 K/s, cooling 0.2 K/s, 600 s soak at 0.30 USD an hour, a pattern
    300 s and 0.10 USD.

    **The teaching lab** (``imperfections=teaching-lab``; all sizes assumed): a new sample is prepared and goes into a cold furnace,
    a second look at the same one does not soak again, samples are weighed in a little wrong and are colder than the furnace says, and
    what forms on cooling comes late or, cooled fast, not at all (where the option `temperature` fixes it, nothing cools). Powders have
    texture, lines that shift with what a phase has dissolved, an amorphous part and an unknown phase, and the fit knows neither the
    width of the lines nor the lattices exactly. Labels of the example of bismuth and cadmium at 300 random places are right in 96.8 % of
    the tidy lab and 94.4 % of the teaching lab (`benchmarks/label_rates.py`).

    **Truth**: pycalphad's equilibrium, from 200 sampled points a phase; R is 8.3145 J/(mol K), as TDB files have it. A component of
    which there is less than 1e-9 counts as none.

    **Valid** where the file is. It takes milliseconds for every new point: one at a time some hundred in a second, rows of one
    temperature (`truths`) a thousand. Only phases that can be made of the chosen components are looked at; of a large database name
    the components, and the phases where you know them. A grid that takes longer than 10 s says how long.
    **Leaves out** everything but equilibrium (the teaching lab apart): no kinetics, no metastable phase, no texture. What has several
    phases of one structure and nothing else is read as two of them; beside another structure they are read as one.

    **Twin of** a furnace with a diffractometer on the alloy that the file describes. No rig was ever compared with it.
    """

    example_options: ClassVar[Mapping[str, object]] = {
        "path": Path(__file__).parent / "published" / "eutectic.tdb",
        "temperature_low": 350.0,
        "temperature_high": 650.0,
    }

    @takes(CalphadOptions)
    def __init__(self, options: CalphadOptions) -> None:
        path, temperature, (low, high) = options.path, options.temperature, options.temperatures
        text = _read(path)
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()
        chosen, allowed = _chosen(path, text, options.components, options.phases)
        self._system = system_of(text, chosen, allowed, options.pressure)
        self._path = path
        try:
            sets = _sets(self._system, low, high, options.steps)
        except Exception as error:  # pycalphad raises whatever its parts raise
            raise InvalidInput(f"pycalphad cannot compute {'-'.join(chosen)} of {path}: {_sentence(error)}") from error
        if not sets:
            raise InvalidInput(f"pycalphad finds no stable phase of {'-'.join(chosen)} in {path} at {low:g} to {high:g} K")
        structures = sorted({phase for phases_ in sets for phase in phases_})
        parameters, constraints = _parameters(chosen, None if temperature is not None else (low, high))
        labels = {" + ".join(s): tuple(dict.fromkeys(s)) for s in sets}
        super().__init__(
            "calphad",
            parameters,
            tuple(labels),
            PhaseAnalysis(
                dict.fromkeys(structures), labels, limit=options.least_share, flaws=options, scale=options.scale, seed=options.seed
            ),
            options,
            constraints=constraints,
            temperature=temperature,
        )

    def states(self, X: Floats) -> list[PhaseState]:
        """The equilibrium states.

        Raises:
            RigFault: pycalphad finds none, or one whose phases are no label.
        """
        has_temperature = self._fixed is None or X.shape[1] > len(self.experiment.parameters)
        T = X[:, -1:] if has_temperature else np.full((len(X), 1), self._fixed)
        x = X[:, :1] if len(self._system.components) == 2 else X[:, :3]
        x = np.concatenate([1 - x, x], axis=1) if x.shape[1] == 1 else x / np.maximum(x.sum(axis=1, keepdims=True), 1e-300)
        known = self.experiment.outcomes[0].labels
        rows = np.concatenate([x, T], axis=1)
        try:
            solved = self._system.equilibria(rows)
        except Exception as error:  # pycalphad raises whatever its parts raise
            raise RigFault(f"pycalphad failed: {_sentence(error)}") from error
        for row, found in zip(rows, solved, strict=True):
            if found is None:
                raise RigFault(f"pycalphad finds no equilibrium at {self._place(row)}; try a place nearby")
            if found.label not in known:
                words = "was not met on the grid when the labels were found; make the driver with more steps"
                raise RigFault(f"{found.label} at {self._place(row)} {words}")
        return [_state(found) for found in solved if found is not None]

    def diagram(self, at: float | None = None) -> Diagram:
        """The fields only; pycalphad does not give their boundary lines.

        Raises:
            InvalidInput: It was to be cut.
        """
        if at is not None:
            raise InvalidInput(f"{self.experiment.name} has no section to cut at {at:g}; draw it without a cut", field="at")
        axes = tuple(p.name for p in self.experiment.parameters)
        return Diagram(axes[:3] if len(axes) > 3 else axes, "phase", n_points=61)

    def _place(self, row: Floats) -> str:
        shown = [f"x({c}) = {x:.4g}" for c, x in zip(self._system.components[1:], row[1:-1], strict=True)]
        return ", ".join([*shown, f"{row[-1]:g} K"])


def _state(found: Found) -> PhaseState:
    many = Counter(found.phases)
    number: Counter[str] = Counter()
    fractions, in_solution = {}, {}
    for name, amount, x in zip(found.phases, found.amounts, found.compositions, strict=True):
        number[name] += 1
        key = name if many[name] == 1 else f"{name}#{number[name]}"
        fractions[key], in_solution[key] = amount, dissolved(x)
    contrast = math.sqrt(max(float(spread(found.amounts, found.compositions)), 0.0))
    return PhaseState(found.label, fractions, {"contrast": contrast}, in_solution)


def _sentence(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _read(path: Path) -> str:
    try:
        return decoded(path.read_bytes())[0]
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is no TDB file: it is not text") from None
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error


def _names(text: str) -> list[str]:
    return [name.strip().upper() for name in text.split(",") if name.strip()]


def _chosen(path: Path, text: str, components: str, phases: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Components in their order, and phases."""
    try:
        database = _database(text)
    except Exception as error:  # the reader raises whatever its parts raise
        raise InvalidInput(f"{path} is no TDB file that pycalphad can read: {_sentence(error)}") from error
    elements = sorted(str(e) for e in database.elements if e not in ("VA", "/-"))
    known = sorted(database.phases)
    if not elements or not known:
        raise InvalidInput(f"{path} is no TDB file: it defines no {'elements' if not elements else 'phases'}")
    chosen = [c for c in _names(components) if c != "VA"] or elements
    if unknown := [c for c in chosen if c not in elements]:
        raise InvalidInput(f"{path} has no component {unknown[0]}; it has {', '.join(elements)}")
    if len(set(chosen)) != len(chosen):
        raise InvalidInput(f"components = {components} names one twice")
    if not 2 <= len(chosen) <= 3:
        got = f"{len(chosen)}: {', '.join(chosen)}"
        raise InvalidInput(f"choose two or three components of {', '.join(elements)} with components=…, got {got}")
    wanted = _names(phases) or known
    if unknown := [p for p in wanted if p not in known]:
        raise InvalidInput(f"{path} has no phase {unknown[0]}; it has {', '.join(known)}")
    possible = _possible(database, tuple(chosen), wanted)
    if not possible:
        raise InvalidInput(f"no phase of {', '.join(wanted)} can be made of {', '.join(chosen)}")
    if missing := _undefined(database, tuple(chosen), possible):
        text = f"{path} uses the function {missing[0]} and does not define it; define it there"
        clean = [phase for phase in possible if not _undefined(database, tuple(chosen), [phase])]
        without = ", ".join(phase for phase in possible if phase not in clean)
        raise InvalidInput(f"{text}, or leave {without} out: phases={','.join(clean)}" if clean else f"{text}: {without} needs it")
    return tuple(chosen), tuple(possible)


def _parameters(components: tuple[str, ...], limits: tuple[float, float] | None) -> tuple[tuple[Parameter, ...], tuple[Constraint, ...]]:
    shown = components[1:] if len(components) == 2 else components
    parts = tuple(Continuous(f"x_{c.lower()}", 0.0, 1.0, "1", f"mole fraction of {c}") for c in shown)
    constraints = (MixtureSum(tuple(p.name for p in parts), 1.0),) if len(parts) == 3 else ()
    if limits is None:
        return parts, constraints
    return (*parts, Continuous("temperature", *limits, "K", "temperature of the furnace")), constraints
