"""Crystal structure of compounds AB over two numbers of their elements: the map of Mooser and Pearson, on real compounds.

The data are in `published/elements.csv` and `published/structures.csv`, every row with its source (`SOURCES`).
"""

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, Self

from frugaltwin.amounts import Amounts
from frugaltwin.data_sheets import SeedOptions, option, takes
from frugaltwin.diagram import Diagram
from frugaltwin.errors import InvalidInput, Stopped, UnknownName
from frugaltwin.experiment import Discrete, Experiment, Measurement, Outcome, Outcomes, Settings, Trial
from frugaltwin.prices import Fixed, Price
from frugaltwin.table_reader import read_rows
from simulator.instruments.experiment_noise import ExperimentNoise, performed_settings

COORDINATION = {
    "zinc blende": "4-fold",
    "wurtzite": "4-fold",
    "rock salt": "6-fold",
    "nickel arsenide": "6-fold",
    "cesium chloride": "8-fold",
}
"""Structure → how many neighbors of the other kind an atom has."""

NOBLE_GAS = ("Li", "Na", "K", "Rb", "Cs", "Be", "Mg", "Ca", "Sr", "Ba", "Sc", "Y", "La", "B", "Al")
"""Cations whose ions have the electrons of a noble gas."""

SOURCES = {
    "CRC 2005": "CRC Handbook of Chemistry and Physics, 86th ed. (2005), 9-77, Pauling's scale as revised by Allred,"
    " J. Inorg. Nucl. Chem. 17 (1961) 215, doi:10.1016/0022-1902(61)80142-5",
    "Wyckoff 1963": "Wyckoff, Crystal Structures, 2nd ed., vol. 1 (1963), ch. III, structures of the compounds RX",
    "Madelung 2004": "Madelung, Semiconductors: Data Handbook, 3rd ed. (2004), doi:10.1007/978-3-642-18865-7",
    "Hulliger 1979": "Hulliger, Rare earth pnictides, in Handbook on the Physics and Chemistry of Rare Earths, vol. 4 (1979) 153",
    "Popper 1957": "Popper & Ingles, Nature 179 (1957) 1075, doi:10.1038/1791075a0",
    "Perri 1958": "Perri, La Placa & Post, Acta Cryst. 11 (1958) 310",
    "AFLOW": "Mehl et al., Comput. Mater. Sci. 136 (2017) S1, doi:10.1016/j.commatsci.2017.01.017: the list of compounds at the"
    " prototype NiAs, https://aflow.org/p/AB_hP4_194_c_a-001",
}
"""Sources by their short names in the two tables."""

COST = Amounts(seconds=1500.0, money=5.0)
SEVERAL = 2  # labels that a map needs at least


@dataclass(frozen=True)
class Element:
    """Properties of an element that the map needs."""

    electronegativity: float
    """Electronegativity of Pauling."""
    quantum_number: int
    """The principal quantum number of its valence shell."""


@dataclass(frozen=True)
class Compound:
    """A compound AB at room temperature and ambient pressure."""

    cation: str
    anion: str
    structure: str
    source: str

    @property
    def formula(self) -> str:
        """Formula as chemists write it: NaCl."""
        return self.cation + self.anion

    @property
    def electronegativity_difference(self) -> float:
        """|X_A - X_B|, to the two digits that the table has."""
        a, b = elements()[self.cation], elements()[self.anion]
        return round(abs(a.electronegativity - b.electronegativity), 2)

    @property
    def mean_quantum_number(self) -> float:
        """(n_A + n_B) / 2."""
        return (elements()[self.cation].quantum_number + elements()[self.anion].quantum_number) / 2

    @property
    def place(self) -> tuple[float, float]:
        """Place on the map: electronegativity difference, mean quantum number."""
        return self.electronegativity_difference, self.mean_quantum_number


@cache
def elements() -> dict[str, Element]:
    """The elements by symbol.

    >>> elements()["Na"]
    Element(electronegativity=0.93, quantum_number=3)
    """
    rows = read_rows(Path(__file__).parent / "published" / "elements.csv").rows.values()
    return {r["element"]: Element(float(r["electronegativity"]), int(r["principal_quantum_number"])) for r in rows}


@cache
def compounds() -> tuple[Compound, ...]:
    """All compounds of the table.

    >>> next(c for c in compounds() if c.formula == "NaCl").place
    (2.23, 3.0)
    """
    rows = read_rows(Path(__file__).parent / "published" / "structures.csv").rows.values()
    return tuple(Compound(r["cation"], r["anion"], r["structure"], r["source"]) for r in rows)


class StructureMapOptions(SeedOptions):
    """Options of a structure map."""

    cations: Literal["noble-gas", "all"] = option(
        "noble-gas",
        "which compounds. noble-gas: cations with the electrons of a noble gas (groups 1 to 3, B, Al), 59 compounds; "
        "all: 111, with d10 and transition-metal cations too",
        changes="experiment",
    )
    structures: str = option("", "the structures to include, ``rock salt,wurtzite``", shown="all", changes="experiment")
    label: Literal["structure", "coordination"] = option("structure", "or coordination", changes="truth")
    misassigned: float = option(
        0.0, "share of diffraction patterns that are assigned to another label", allowed=(0, 1), changes="imperfections"
    )


class StructureMap:
    """Structure map (Mooser-Pearson): the crystal structure of real AB compounds over two numbers of their elements.

    **Equation.** A compound AB is placed at ΔX = |X_A - X_B|, the difference of Pauling's electronegativities, and
    n = (n_A + n_B) / 2, the mean principal quantum number of the valence shells. The larger both are, the less directed the bonds,
    and the more neighbors an atom has: zinc blende and wurtzite (4), rock salt and nickel arsenide (6), cesium chloride (8).
    Source: Mooser & Pearson, Acta Cryst. 12 (1959) 1015, doi:10.1107/S0365110X59002857. Electronegativities: CRC Handbook (2005);
    structures: Wyckoff (1963), Madelung (2004) and others, named row by row in `simulator/published/structures.csv`. Neither the paper nor
    the books could be opened when this sheet was last checked.

    =========================== ============== ====== =================================================================
    parameter                   limits         unit   meaning
    =========================== ============== ====== =================================================================
    electronegativity_difference 0.1 … 3.19    1      |X_A - X_B|, Pauling's scale
    mean_quantum_number         2, 2.5 … 6     1      (n_A + n_B) / 2
    =========================== ============== ====== =================================================================

    Only the places of the compounds can be tried. Two compounds may share a place (CuCl and InN do): an experiment there takes one
    of them at random, and the truth is the structure that more of them have, the first in the table where they are even. Which
    compound it was is in `raw`, for people: strategies do not see it.

    ============ ======== =============================================================================================
    outcome      unit     meaning
    ============ ======== =============================================================================================
    structure             zinc blende, wurtzite, rock salt, nickel arsenide or cesium chloride, as far as they occur
    coordination          with label=coordination, instead: 4-fold, 6-fold or 8-fold
    ============ ======== =============================================================================================

    **Options**: `StructureMapOptions`.

    **How separable.** With noble-gas cations, at every n the four-fold compounds have the smaller ΔX, six-fold ones larger, and
    eight-fold ones the largest. The curve ΔX n² = 10, drawn by hand, has all four-fold ones on its one side and all others on the other.
    Yet points are few: the label of the nearest other compound (both axes scaled to their range) is right for 0.83 of the coordination
    numbers and 0.83 of the structures; always saying the most frequent label is right for 0.78 of either. With all cations the nearest is
    right for 0.67 and 0.55, and guessing for 0.68 and 0.53; the curve is right for 0.77 of all 111. The two numbers do not part d10
    compounds and nickel arsenides from the others.

    **Time and money.** A sample from the shelf and 25 min of powder diffraction: 1500 s and 5 USD (assumptions).

    **Truth** is the table: the structure that is stable at room temperature and ambient pressure.

    **Valid** for these compounds. There is no `system` to draw: the data are real. **Leaves out** other polymorphs,
    compounds that are distorted, defective or disputed (MgTe, SiC, BN, HgS, FeO, NH4Cl and many more), intermetallics.

    **Twin of** a powder diffractometer with a shelf of chemicals, as a look-up: no pattern is simulated.
    """

    @takes(StructureMapOptions)
    def __init__(self, options: StructureMapOptions) -> None:
        label = options.label
        chosen = [name.strip() for name in options.structures.split(",") if name.strip()] or list(COORDINATION)
        if unknown := [name for name in chosen if name not in COORDINATION]:
            raise UnknownName(f"there is no structure {unknown[0]!r} on the map; there are {', '.join(COORDINATION)}")
        kept = [c for c in compounds() if c.structure in chosen and (options.cations == "all" or c.cation in NOBLE_GAS)]
        self._label = label
        labels = tuple(dict.fromkeys(self._true_label(c) for c in sorted(kept, key=lambda c: list(COORDINATION).index(c.structure))))
        if len(labels) < SEVERAL:
            raise InvalidInput(
                f"structures = {options.structures!r} leaves {len(labels)} {label} to map; name more of {', '.join(COORDINATION)}"
            )
        self._at: dict[tuple[float | str, ...], list[Compound]] = defaultdict(list)
        for compound in kept:
            self._at[compound.place].append(compound)
        names = ("electronegativity_difference", "mean_quantum_number")
        meanings = ("|X_A - X_B|, Pauling's scale", "mean principal quantum number of the valence shells")
        self.experiment = Experiment(
            name="structure-map",
            parameters=tuple(
                Discrete(name, tuple(sorted({place[j] for c in kept for place in [c.place]})), "1", meaning)
                for j, (name, meaning) in enumerate(zip(names, meanings, strict=True))
            ),
            outcomes=(Outcome(label, "", f"the {label} that powder diffraction finds", labels=labels),),
            candidates=tuple(dict(zip(names, place, strict=True)) for place in sorted({c.place for c in kept})),
        )
        self._misassigned, self._seed = options.misassigned, options.seed
        self._noise = ExperimentNoise(options.seed)
        self._stop = threading.Event()
        self._stop.set()  # until somebody connects

    def resume(self, trials: Sequence[Trial]) -> None:
        """Go on as if this twin itself had performed the trials."""
        self._noise = ExperimentNoise(self._seed, len(performed_settings(trials)))

    def __enter__(self) -> Self:
        self._stop.clear()
        return self

    def perform(self, settings: Settings) -> Measurement:
        """Take a compound of that place from the shelf and find its structure. Takes no real time.

        Raises:
            Stopped: Somebody stopped the diffractometer; enter it again to go on.
        """
        if self._stop.is_set():
            raise Stopped("the diffractometer was stopped, or it is not connected")
        here = self._at[self.experiment.key(settings)]
        random = self._noise.begin()
        compound = here[int(random.integers(len(here)))]
        found = self._true_label(compound)
        if random.random() < self._misassigned:
            others = [name for name in self.experiment.outcomes[0].labels if name != found]
            found = others[int(random.integers(len(others)))]
        return Measurement({self._label: found}, COST, {"compound": compound.formula, "source": compound.source})

    def truth(self, settings: Settings) -> Outcomes:
        """The structure of most compounds at that place."""
        labels = [self._true_label(c) for c in self._at[self.experiment.key(settings)]]
        return {self._label: max(labels, key=labels.count)}

    def truths(self, settings: Sequence[Settings]) -> list[Outcomes]:
        """The same for many settings."""
        return [self.truth(s) for s in settings]

    def price(self) -> Price:
        """Price of a sample, the same for all."""
        return Price((Fixed(COST),))

    def estimate(self, settings: Settings) -> Amounts:
        """The same for every sample."""
        return COST

    def diagram(self, at: float | None = None) -> Diagram:
        """The map as Mooser and Pearson drew it: electronegativity difference to the right, mean quantum number up.

        Raises:
            InvalidInput: There is nothing to cut.
        """
        if at is not None:
            raise InvalidInput(f"the structure map has no section to cut at {at:g}; draw it without a cut", field="at")
        return Diagram(("electronegativity_difference", "mean_quantum_number"), self._label)

    def stop(self) -> None:
        """The next `perform` raises `Stopped` until the driver is entered again."""
        self._stop.set()

    def __exit__(self, *failure: object) -> None:
        """Disconnect; nothing stays on."""
        self._stop.set()

    def _true_label(self, compound: Compound) -> str:
        return compound.structure if self._label == "structure" else COORDINATION[compound.structure]
