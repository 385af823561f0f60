"""The data and promises of the structure map."""

import csv
import re
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import simulator
from frugaltwin.campaign import Campaign
from frugaltwin.catalog import data_sheet, make_driver, make_goal, make_strategy
from frugaltwin.errors import InvalidInput, OutOfBounds, UnknownName
from frugaltwin.experiment import Trial
from frugaltwin.store import Store
from simulator.structure_map import COORDINATION, NOBLE_GAS, SOURCES, Compound, StructureMap, compounds, elements

SYMBOL = "[A-Z][a-z]?"
FOLDER = Path(str(simulator.__file__)).parent / "published"


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open() as file:
        return list(csv.DictReader(file))


def nearest_is_right(driver: StructureMap) -> tuple[float, float]:
    """How often the label of the nearest other compound is right, axes scaled to their range; and always saying the most frequent."""
    label = driver.experiment.outcomes[0].name
    kept = [c for c in compounds() if c.structure in names(driver) and place(c) in driver.experiment.candidates]
    places = np.array([c.place for c in kept])
    scaled = (places - places.min(axis=0)) / np.ptp(places, axis=0)
    apart = np.hypot(*(scaled[:, None] - scaled).T)
    np.fill_diagonal(apart, np.inf)
    labels = np.array([c.structure if label == "structure" else COORDINATION[c.structure] for c in kept])
    nearest = apart < apart.min(axis=1, keepdims=True) + 1e-9
    right = [(labels[nearest[k]] == labels[k]).mean() for k in range(len(labels))]  # where several are as near, their share
    return float(np.mean(right)), max(Counter(labels.tolist()).values()) / len(labels)


def names(driver: StructureMap) -> set[str]:
    labels = driver.experiment.outcomes[0].labels
    return {s for s, n in COORDINATION.items() if s in labels or n in labels}


def place(c: Compound) -> dict[str, float]:
    return {"electronegativity_difference": c.electronegativity_difference, "mean_quantum_number": c.mean_quantum_number}


@pytest.mark.parametrize(
    ("symbol", "electronegativity", "n"),
    [("F", 3.98, 2), ("Cs", 0.79, 6), ("H", None, 1), ("O", 3.44, 2), ("Na", 0.93, 3), ("Ga", 1.81, 4), ("Ag", 1.93, 5), ("Pb", 1.8, 6)],
)
def test_elements_have_the_published_values(symbol: str, electronegativity: float | None, n: int) -> None:
    if electronegativity is None:
        assert symbol not in elements()
        return
    assert (elements()[symbol].electronegativity, elements()[symbol].quantum_number) == (electronegativity, n)


def test_electronegativity_rises_along_a_period_and_falls_down_a_group() -> None:
    x = {symbol: e.electronegativity for symbol, e in elements().items()}
    for period in ("Li Be B N O F", "Na Mg Al P S Cl", "K Ca Ga As Se Br", "Rb Sr In Sb Te I"):
        values = [x[e] for e in period.split()]
        assert values == sorted(values)
    for group in ("Li Na K Rb Cs", "Be Mg Ca Sr Ba", "F Cl Br I", "O S Se Te", "N P As Sb Bi"):
        values = [x[e] for e in group.split()]
        assert values == sorted(values, reverse=True)


def test_every_row_has_a_source_that_is_written_out() -> None:
    used = {r["source"] for name in ("elements.csv", "structures.csv") for r in rows(name)}
    assert used == set(SOURCES)
    assert all(re.search(r"\b(19|20)\d\d\b", full) for full in SOURCES.values())


def test_no_compound_and_no_element_is_listed_twice_and_every_element_is_used() -> None:
    pairs = [(c.cation, c.anion) for c in compounds()]
    assert len(set(pairs)) == len(pairs) == len({frozenset(p) for p in pairs})
    assert len(rows("elements.csv")) == len(elements())
    assert {e for pair in pairs for e in pair} == set(elements())


def test_the_table_is_as_large_as_the_data_sheet_says() -> None:
    sheet = data_sheet("driver", "structure-map")
    assert len(compounds()) == 111
    assert sum(c.cation in NOBLE_GAS for c in compounds()) == 59
    assert "59 compounds; all: 111" in " ".join(sheet.split())
    assert Counter(c.structure for c in compounds()).keys() == COORDINATION.keys()


@pytest.mark.parametrize(
    ("formula", "structure"),
    [
        ("NaCl", "rock salt"),
        ("MgO", "rock salt"),
        ("PbS", "rock salt"),
        ("CsCl", "cesium chloride"),
        ("ZnS", "zinc blende"),
        ("GaAs", "zinc blende"),
        ("ZnO", "wurtzite"),
        ("GaN", "wurtzite"),
        ("AgI", "wurtzite"),
        ("NiAs", "nickel arsenide"),
    ],
)
def test_textbook_compounds_have_their_structure(formula: str, structure: str) -> None:
    assert {c.formula: c.structure for c in compounds()}[formula] == structure


def test_octets_are_octets() -> None:
    # Cations and anions with their valence electrons, which add up to eight.
    electrons = dict(zip(re.findall(SYMBOL, "LiNaKRbCsBeMgCaSrBaScYLaBAl"), 5 * [1] + 5 * [2] + 5 * [3], strict=True))
    electrons |= dict(zip(re.findall(SYMBOL, "NPAsSbBiOSSeTeFClBrI"), 5 * [5] + 4 * [6] + 4 * [7], strict=True))
    kept = [c for c in compounds() if c.cation in NOBLE_GAS]
    assert {c.cation for c in kept} == set(NOBLE_GAS)
    assert all(electrons[c.cation] + electrons[c.anion] == 8 for c in kept)


def test_more_neighbors_go_with_a_larger_electronegativity_difference_at_every_quantum_number() -> None:
    kept = [c for c in compounds() if c.cation in NOBLE_GAS]
    for n in {c.mean_quantum_number for c in kept}:
        here = sorted((c.electronegativity_difference, COORDINATION[c.structure]) for c in kept if c.mean_quantum_number == n)
        assert [name for _, name in here] == sorted(name for _, name in here), f"n = {n}"


def test_the_boundary_between_four_and_six_neighbors_is_curved() -> None:
    kept = [c for c in compounds() if c.cation in NOBLE_GAS]

    def border(n: float) -> float:
        at = [(c.electronegativity_difference, COORDINATION[c.structure]) for c in kept if c.mean_quantum_number == n]
        return (max(x for x, name in at if name == "4-fold") + min(x for x, name in at if name == "6-fold")) / 2

    borders = [border(n) for n in (2.0, 2.5, 3.0, 3.5, 4.0)]
    assert borders == sorted(borders, reverse=True)
    assert borders[0] - borders[1] > borders[3] - borders[4]


def test_the_map_is_as_separable_as_the_data_sheet_says() -> None:
    sheet = " ".join(data_sheet("driver", "structure-map").split())

    def found(cations: Literal["noble-gas", "all"]) -> tuple[float, float, float, float]:
        (c, c_guess), (s, s_guess) = (
            nearest_is_right(StructureMap(cations=cations, label="coordination")),
            nearest_is_right(StructureMap(cations=cations)),
        )
        return c, s, c_guess, s_guess

    c, s, c_guess, s_guess = found("noble-gas")
    assert f"is right for {c:.2f} of the coordination numbers and {s:.2f} of the structures" in sheet
    assert f"the most frequent label is right for {c_guess:.2f} of either" in sheet
    assert c_guess == s_guess
    c, s, c_guess, s_guess = found("all")
    assert f"With all cations the nearest is right for {c:.2f} and {s:.2f}, and guessing for {c_guess:.2f} and {s_guess:.2f}" in sheet


def test_one_curve_parts_four_neighbors_from_more() -> None:
    def share(kept: list[Compound]) -> float:
        said = [c.electronegativity_difference * c.mean_quantum_number**2 < 10 for c in kept]
        return float(np.mean([s == (COORDINATION[c.structure] == "4-fold") for s, c in zip(said, kept, strict=True)]))

    assert share([c for c in compounds() if c.cation in NOBLE_GAS]) == 1
    assert f"the curve is right for {share(list(compounds())):.2f} of all 111" in " ".join(data_sheet("driver", "structure-map").split())


def test_candidates_are_the_places_of_the_compounds() -> None:
    driver = StructureMap(cations="all")
    assert {tuple(c.values()) for c in driver.experiment.candidates} == {c.place for c in compounds()}
    assert len(driver.experiment.candidates) == 109
    with pytest.raises(OutOfBounds, match="is not one of the 109 candidates"):
        driver.experiment.check({"electronegativity_difference": 3.19, "mean_quantum_number": 2.0})


def test_two_compounds_at_one_place_are_drawn_at_random_and_the_truth_is_the_first() -> None:
    driver = StructureMap(cations="all", seed=1)
    shared = {"electronegativity_difference": 1.26, "mean_quantum_number": 3.5}
    with driver:
        drawn = [driver.perform(shared) for _ in range(60)]
    assert {(m.raw["compound"], m.outcomes["structure"]) for m in drawn} == {("CuCl", "zinc blende"), ("InN", "wurtzite")}
    assert driver.truth(shared) == {"structure": "zinc blende"}


def test_measurements_are_the_table_and_name_the_compound() -> None:
    driver = StructureMap(cations="all")
    known = {c.formula: c for c in compounds()}
    with driver:
        for candidate in driver.experiment.candidates:
            measurement = driver.perform(candidate)
            compound = known[str(measurement.raw["compound"])]
            assert place(compound) == candidate
            assert measurement.outcomes == {"structure": compound.structure}
            assert measurement.raw["source"] == compound.source
            assert measurement.cost == driver.estimate(candidate)


def test_a_share_of_patterns_is_misassigned() -> None:
    driver = StructureMap(misassigned=0.2, seed=3)
    salt = {"electronegativity_difference": 2.23, "mean_quantum_number": 3.0}
    with driver:
        wrong = [driver.perform(salt).outcomes["structure"] != "rock salt" for _ in range(2000)]
    assert np.mean(wrong) == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / 2000))
    assert driver.truth(salt) == {"structure": "rock salt"}


def test_the_same_seed_draws_the_same_and_a_later_experiment_something_else() -> None:
    def series(seed: int, earlier: int) -> list[object]:
        driver = StructureMap(cations="all", misassigned=0.5, seed=seed)
        driver.resume([Trial(k, driver.experiment.candidates[0], None) for k in range(earlier)])
        with driver:
            return [driver.perform(c).outcomes["structure"] for c in driver.experiment.candidates]

    assert series(1, 0) == series(1, 0)
    assert series(1, 0) != series(2, 0)
    assert series(1, 0) != series(1, 10)


def test_structures_and_label_choose_what_is_mapped() -> None:
    two = make_driver("structure-map", {"structures": "wurtzite, zinc blende", "cations": "all"})
    assert two.experiment.outcomes[0].labels == ("zinc blende", "wurtzite")
    assert len(two.experiment.candidates) == 30
    assert make_driver("structure-map", {"label": "coordination"}).experiment.outcomes[0].labels == ("4-fold", "6-fold", "8-fold")
    assert "nickel arsenide" not in make_driver("structure-map").experiment.outcomes[0].labels
    with pytest.raises(UnknownName, match="there is no structure 'fluorite'"):
        StructureMap(structures="fluorite")
    with pytest.raises(InvalidInput, match="leaves 1 coordination to map"):
        StructureMap(structures="wurtzite,zinc blende", label="coordination")
    with pytest.raises(InvalidInput, match="leaves 0 structure to map"):
        StructureMap(structures="nickel arsenide")
    with pytest.raises(InvalidInput, match="misassigned = nan is not allowed"):
        StructureMap(misassigned=float("nan"))
    with pytest.raises(InvalidInput, match="cations = 'd10': it is noble-gas or all"):
        StructureMap(cations="d10")  # type: ignore[arg-type]


def test_it_has_no_section() -> None:
    assert StructureMap().diagram().axes == ("electronegativity_difference", "mean_quantum_number")
    with pytest.raises(InvalidInput, match="no section to cut at 3"):
        StructureMap().diagram(3.0)


def test_a_campaign_tries_different_compounds() -> None:
    driver = make_driver("structure-map")
    campaign = Campaign("map", driver, make_goal("map:structure", driver), make_strategy("random", seed=1), Store(":memory:"))
    trials = [trial for trial, _ in zip(campaign.run(), range(8), strict=False)]
    assert len({driver.experiment.key(t.settings) for t in trials}) == 8
