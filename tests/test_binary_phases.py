"""The binary phase diagrams: closed forms, published relations, another program, and what a lab makes of them."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from frugaltwin import InvalidInput, make_driver
from frugaltwin.diagram import Diagram
from frugaltwin.plugins import KnowsDiagram, KnowsTruths
from simulator.binary_solution import BinarySolution, BinarySolutionOptions
from simulator.equations.binary_equilibrium import (
    POTENTIAL_TOLERANCE,
    Compound,
    Phase,
    Solution,
    binary_equilibrium,
    changes,
    chemical_potentials,
    critical_points,
    curvature,
    energy,
    heat,
    invariants,
    slope,
    spinodal_temperature,
    tie_lines,
)
from simulator.equations.constants import R
from simulator.eutectic import Eutectic, EutecticOptions
from simulator.instruments.binary_lab import BinaryLab, BinaryLabOptions
from simulator.instruments.phase_instruments import LATTICE_HEAT_CAPACITY, Calorimeter
from simulator.lens import Lens, LensOptions
from simulator.peritectic import Peritectic, PeritecticOptions
from tests.forms import times

TWINS: dict[str, Callable[..., BinaryLab]] = {
    "binary-solution": BinarySolution,
    "eutectic": Eutectic,
    "lens": Lens,
    "peritectic": Peritectic,
}
OPTIONS: dict[str, type[BinaryLabOptions]] = {
    "binary-solution": BinarySolutionOptions,
    "eutectic": EutecticOptions,
    "lens": LensOptions,
    "peritectic": PeritecticOptions,
}
REGULAR = Solution("liquid", excess=(2 * R * 400,))  # critical at 400 K
LIQUID = Solution("liquid", (11_000, 7000), (11_000 / 540, 7000 / 500))
PURE_SOLIDS: tuple[Phase, ...] = (LIQUID, Compound("A", 0.0), Compound("B", 1.0))
MELT = Solution("liquid", (36_900, 50_200), (36_900 / 1211, 50_200 / 1687))
LENS: tuple[Phase, ...] = (MELT, Solution("solid"))
PERITECTIC: tuple[Phase, ...] = (
    Solution("liquid", (11_000, 15_000), (11_000 / 880, 15_000 / 1430)),
    Solution("alpha", (4500.0, 0.0)),
    Solution("beta", (0.0, 2200.0)),
)
COMPOUND: tuple[Phase, ...] = (LIQUID, Compound("A", 0.0), Compound("B", 1.0), Compound("AB", 0.5, -1500.0))


def drawn(seed: int) -> tuple[Phase, ...]:
    """Phases that no twin has: up to three solutions with asymmetric interactions, and compounds."""
    random = np.random.default_rng(seed)
    scale = np.array([1, 0.5, 0.4, 0.3])
    solutions = [
        Solution(
            f"s{k}",
            (random.uniform(-15_000, 0), random.uniform(-15_000, 0)),
            (random.uniform(5, 15), random.uniform(5, 15)),
            tuple((random.uniform(-1, 1, 4) * scale * random.choice([3000, 10_000, 25_000])).tolist()),
            tuple(random.uniform(-3, 3, 2).tolist()),
        )
        for k in range(random.integers(1, 4))
    ]
    lines = [
        Compound(f"c{k}", float(random.choice([0, 1, 0.5, 0.123])), random.uniform(-15_000, 0), random.uniform(5, 15))
        for k in range(random.integers(0, 3))
    ]
    return (*solutions, *lines)


# The gap of a regular solution


def test_a_regular_solution_is_critical_at_one_half_and_its_interaction_over_2r() -> None:
    ((x, T),) = critical_points(REGULAR)
    assert (x, T) == pytest.approx((0.5, 400.0), abs=1e-9)


@pytest.mark.parametrize("T", [150.0, 250.0, 350.0, 399.0, 399.99])
def test_the_symmetric_binodal_has_its_closed_form(T: float) -> None:
    lines = tie_lines((REGULAR,), np.array([T]))
    (left, right) = lines.compositions[0]
    assert math.log((1 - left) / left) == pytest.approx(800 / T * (1 - 2 * left), abs=1e-9)
    assert left + right == pytest.approx(1, abs=1e-9)
    assert lines.slopes[0] == pytest.approx(0, abs=1e-7)


def test_the_spinodal_has_its_closed_form() -> None:
    x = np.linspace(0.02, 0.98, 33)
    np.testing.assert_allclose(spinodal_temperature(REGULAR, x), 2 * 2 * R * 400 * x * (1 - x) / R, rtol=1e-12)
    np.testing.assert_allclose(curvature(REGULAR, x, spinodal_temperature(REGULAR, x)), 0, atol=1e-9)


@pytest.mark.parametrize("above", [1e-6, 0.01, 10.0])
def test_above_the_critical_point_all_is_one_phase(above: float) -> None:
    assert len(tie_lines((REGULAR,), np.array([400 * (1 + above)])).row) == 0
    assert (binary_equilibrium((REGULAR,), np.linspace(0, 1, 50), 400 * (1 + above)).phases[:, 1] == -1).all()


@pytest.mark.parametrize("below", [1e-6, 1e-5, 1e-4])
def test_near_the_critical_point_the_gap_opens_like_a_square_root(below: float) -> None:
    # ln((1+m)/(1-m)) = 2m/t gives m² = 3 (1-t) to first order, for a gap of width m.
    (ends,) = tie_lines((REGULAR,), np.array([400 * (1 - below)])).compositions
    assert np.ptp(ends) == pytest.approx(math.sqrt(3 * below), rel=1e-3)


def test_the_critical_point_of_a_subregular_solution_is_stationary_in_two_orders() -> None:
    phase = Solution("liquid", excess=(6000.0, -1500.0, 400.0), excess_slopes=(1.0, -0.5))
    ((x, T),) = critical_points(phase)
    step = 1e-4
    third = (curvature(phase, x + step, T) - curvature(phase, x - step, T)) / (2 * step)
    assert curvature(phase, x, T) == pytest.approx(0, abs=1e-6)
    assert third == pytest.approx(0, abs=1.0)  # of some 10⁴ J/mol elsewhere
    assert abs(curvature(phase, x + 0.1, T)) > 1000
    assert x != pytest.approx(0.5, abs=0.05)


def test_without_repulsion_there_is_no_critical_point_and_no_gap() -> None:
    for L0 in (0.0, -5000.0):
        phase = Solution("liquid", excess=(L0,))
        assert critical_points(phase) == ()
        assert len(tie_lines((phase,), np.linspace(50, 500, 20)).row) == 0


def test_a_solution_may_have_two_gaps_which_become_one_at_three_phases() -> None:
    phase = Solution("liquid", excess=(2000.0, 0.0, 9000.0))
    assert len(critical_points(phase)) == 2
    (triple,) = invariants((phase,), 50, 500)
    assert triple.compositions[1] == pytest.approx(0.5, abs=1e-6)
    assert len(tie_lines((phase,), np.array([triple.temperature + 1])).row) == 2
    assert len(tie_lines((phase,), np.array([triple.temperature - 1])).row) == 1


def test_an_interaction_that_grows_with_temperature_gives_a_gap_that_closes_on_cooling() -> None:
    phase = Solution("liquid", excess=(-6000.0,), excess_slopes=(40.0,))
    assert len(tie_lines((phase,), np.array([200.0])).row) == 0
    assert len(tie_lines((phase,), np.array([400.0])).row) == 1
    closes = 6000 / (40 - 2 * R)  # L0 + T L0,T = 2RT
    ((below, above),) = changes((phase,), 200.0, 400.0)
    assert below == pytest.approx(closes, rel=1e-6) == above


# Melting


def schroeder(T: float, enthalpy: float, melting: float) -> float:
    return math.exp(-enthalpy / R * (1 / T - 1 / melting))


def test_the_eutectic_of_an_ideal_pair_is_where_two_schroeder_curves_meet() -> None:
    T = brentq(lambda T: schroeder(T, 11_000, 540) + schroeder(T, 7000, 500) - 1, 200, 500, xtol=1e-12)
    (found,) = invariants(PURE_SOLIDS, 300, 600)
    assert found.kind == "eutectic"
    assert found.temperature == pytest.approx(T, rel=2e-9)
    assert found.compositions == pytest.approx((0, schroeder(T, 7000, 500), 1), abs=1e-7)


@pytest.mark.parametrize("T", [400.0, 450.0, 499.0, 530.0])
def test_the_liquidus_of_an_ideal_liquid_has_its_closed_form(T: float) -> None:
    x = tie_lines(PURE_SOLIDS, np.array([T])).compositions
    assert x[0, 1] == pytest.approx(1 - schroeder(T, 11_000, 540), abs=1e-10)
    if T < 500:
        assert x[1, 0] == pytest.approx(schroeder(T, 7000, 500), abs=1e-10)


@pytest.mark.parametrize("T", [1215.0, 1300.0, 1450.0, 1600.0, 1680.0])
def test_the_ideal_lens_has_its_closed_form(T: float) -> None:
    K_A, K_B = (math.exp(H / R * (1 / T - 1 / M)) for H, M in ((36_900, 1211), (50_200, 1687)))
    liquid = (1 - K_A) / (K_B - K_A)
    ((left, right),) = tie_lines(LENS, np.array([T])).compositions
    assert left == pytest.approx(liquid, abs=1e-10)
    assert right == pytest.approx(K_B * liquid, abs=1e-10)


def test_a_lens_ends_at_the_melting_points() -> None:
    (first, second) = changes(LENS, 900, 1800)
    assert first == pytest.approx((1211, 1211), rel=1e-8)
    assert second == pytest.approx((1687, 1687), rel=1e-8)


def test_at_the_peritectic_three_phases_share_their_chemical_potentials() -> None:
    (found,) = invariants(PERITECTIC, 600, 1600)
    assert found.kind == "peritectic"
    assert [PERITECTIC[k].name for k in found.phases] == ["liquid", "beta", "alpha"]
    potentials = [
        chemical_potentials(phase, x, found.temperature)
        for phase, x in zip((PERITECTIC[k] for k in found.phases), found.compositions, strict=True)
        if isinstance(phase, Solution)
    ]
    assert np.ptp(np.array(potentials), axis=0).max() < 1e-4  # the temperature is found to 1e-9 of its size


@pytest.mark.parametrize("constants", [{}, {"melting_A": 60.0, "melting_B": 70.0}, {"enthalpy_A": 2e5}])
def test_solids_that_hardly_dissolve_in_each_other_are_those_that_do_not_at_all(constants: dict[str, float]) -> None:
    """A tie line may end at e^-4000, or shrink to nothing where a pure component melts."""
    nearly, pure = (make_driver("eutectic", constants | more) for more in ({"solid_interaction": 2e5}, {}))
    assert isinstance(nearly, KnowsTruths)
    assert isinstance(nearly, KnowsDiagram)
    assert isinstance(pure, KnowsTruths)
    places = [{"composition": x, "temperature": T} for x in (0.02, 0.5, 0.98) for T in (300.0, 400.0, 498.0, 520.0, 560.0)]
    assert [t["phase"] for t in nearly.truths(places)] == [t["phase"] for t in pure.truths(places)]
    assert nearly.diagram().lines


def test_a_compound_that_melts_incongruently_has_a_peritectic_and_a_eutectic() -> None:
    stable = (LIQUID, Compound("A", 0.0), Compound("B", 1.0), Compound("AB", 0.5, -400.0))
    kinds = [found.kind for found in invariants(stable, 300, 600)]
    assert kinds == ["eutectic", "peritectic"]
    congruent = (*PURE_SOLIDS, Compound("AB", 0.5, -3000.0))
    assert [found.kind for found in invariants(congruent, 300, 600)] == ["eutectic", "eutectic"]


def test_a_field_much_narrower_than_the_grid_is_found() -> None:
    (found,) = invariants(PURE_SOLIDS, 300, 600)
    lines = tie_lines(PURE_SOLIDS, found.temperature + np.array([-1e-3, 1e-3]))
    assert lines.signature(0) == ((1, 2),)
    assert lines.signature(1) == ((1, 0), (0, 2))
    assert 0 < lines.compositions[2, 0] - lines.compositions[1, 1] < 1e-4


def test_the_heat_of_melting_is_the_slope_of_the_enthalpy() -> None:
    for phases, T in ((LENS, np.linspace(1250, 1650, 9)), (PURE_SOLIDS, np.linspace(395, 530, 9)), (PERITECTIC, np.linspace(700, 1400, 9))):
        for x in (0.2, 0.5, 0.8):
            at = np.full(len(T), x)
            middle, low, high = (binary_equilibrium(phases, at, T + step) for step in (0.0, -0.01, 0.01))
            _, taken_up = heat(phases, middle, at, T)
            difference = (heat(phases, high, at, T + 0.01)[0] - heat(phases, low, at, T - 0.01)[0]) / 0.02
            same = (low.phases == high.phases).all(axis=1)
            np.testing.assert_allclose(taken_up[same], difference[same], rtol=1e-5, atol=1e-5)


def test_all_that_melts_takes_up_the_melting_enthalpy() -> None:
    x = np.array([0.0, 0.5, 1.0])
    solid, liquid = (heat(LENS, binary_equilibrium(LENS, x, T), x, np.full(3, T))[0] for T in (900.0, 1800.0))
    np.testing.assert_allclose(liquid - solid, [36_900, 43_550, 50_200], rtol=1e-12)


# Any phases


@pytest.mark.parametrize("seed", range(25))
def test_the_chemical_potentials_agree_on_every_tie_line(seed: int) -> None:
    phases, T = drawn(seed), np.linspace(200, 1500, 60)
    lines = tie_lines(phases, T)
    assert (lines.compositions[:, 0] < lines.compositions[:, 1]).all()
    for row, (i, j), (a, b) in zip(lines.row, lines.phases, lines.compositions, strict=True):
        left, right = phases[i], phases[j]
        if a > 1e-4 and b < 1 - 1e-4:  # nearer to a pure component 1-x has lost the digits that this test needs
            if isinstance(left, Solution) and isinstance(right, Solution):
                one, two = chemical_potentials(left, a, T[row]), chemical_potentials(right, b, T[row])
                assert np.abs(np.subtract(one, two)).max() < POTENTIAL_TOLERANCE
            elif isinstance(left, Solution):
                assert energy(left, a, T[row]) + (b - a) * slope(left, a, T[row]) == pytest.approx(
                    float(energy(right, b, T[row])), abs=POTENTIAL_TOLERANCE
                )


@pytest.mark.parametrize("seed", range(25))
def test_no_curve_lies_below_the_equilibrium_anywhere(seed: int) -> None:
    phases = drawn(seed)
    x = np.linspace(0, 1, 2001)
    for T in (250.0, 600.0, 1100.0):
        found = binary_equilibrium(phases, x, T)
        parts = np.zeros((len(x), 2))
        for k, phase in enumerate(phases):
            parts = np.where(found.phases == k, energy(phase, found.compositions, T), parts)
        total = (found.fractions * parts).sum(axis=1)
        for phase in phases:
            if isinstance(phase, Solution):
                assert (total <= energy(phase, x, T) + 1e-6).all()
            else:
                at = int(np.argmin(np.abs(x - phase.composition)))
                assert total[at] <= phase.enthalpy - T * phase.entropy + 1e-6
        assert np.diff(total, 2).min() > -1e-6  # the lower hull is convex


@pytest.mark.parametrize("seed", range(25))
def test_mass_is_conserved(seed: int) -> None:
    random = np.random.default_rng(seed)
    x, T = random.uniform(0, 1, 400), random.uniform(200, 1500, 400)
    found = binary_equilibrium(drawn(seed), x, T)
    assert np.abs((found.fractions * found.compositions).sum(axis=1) - x).max() < 1e-10
    assert np.abs(found.fractions.sum(axis=1) - 1).max() < 1e-12
    assert found.fractions.min() >= 0


@pytest.mark.parametrize("seed", range(25))
def test_exchanging_the_components_mirrors_the_diagram(seed: int) -> None:
    phases, T = drawn(seed), np.linspace(200, 1500, 40)
    lines, mirrored = tie_lines(phases, T), tie_lines(tuple(p.mirrored for p in phases), T)
    for row in range(len(T)):
        assert lines.signature(row) == tuple((b, a) for a, b in reversed(mirrored.signature(row)))
        here = lines.compositions[lines.row == row]
        np.testing.assert_allclose(here, 1 - mirrored.compositions[mirrored.row == row][::-1, ::-1], atol=1e-9)


@pytest.mark.parametrize("seed", range(25))
def test_one_temperature_gives_what_many_at_once_give(seed: int) -> None:
    phases, T = drawn(seed), np.linspace(200, 1500, 30)
    together = tie_lines(phases, T)
    for row, alone in enumerate(tie_lines(phases, T[k : k + 1]) for k in range(len(T))):
        assert alone.signature(0) == together.signature(row)
        np.testing.assert_allclose(alone.compositions, together.compositions[together.row == row], atol=1e-8)


@given(st.floats(0.01, 0.99), st.floats(200, 395))
def test_the_lever_rule_is_that_of_the_binodal(x: float, T: float) -> None:
    found = binary_equilibrium((REGULAR,), [x], T)
    (left, right) = tie_lines((REGULAR,), np.array([T])).compositions[0]
    if left < x < right:
        assert found.fractions[0, 1] == pytest.approx((x - left) / (right - left), abs=1e-12)
    else:
        assert found.phases[0].tolist() == [0, -1]


def test_pure_components_are_one_phase_at_any_temperature() -> None:
    for phases in ((REGULAR,), PURE_SOLIDS, LENS, PERITECTIC, COMPOUND):
        for T in (250.0, 700.0, 1500.0):
            assert binary_equilibrium(phases, [0.0, 1.0], T).phases[:, 1].tolist() == [-1, -1]


# Another program

DATABASE = """
ELEMENT AA BLANK 10 0 0 !
ELEMENT BB BLANK 10 0 0 !
ELEMENT VA VACUUM 0 0 0 !
"""
MIXING = "PHASE {0} % 1 1 !\nCONSTITUENT {0} :AA,BB: !\nPARAMETER G({0},AA;0) 1 {1}; 6000 N !\nPARAMETER G({0},BB;0) 1 {2}; 6000 N !\n"
STOICHIOMETRIC = "PHASE {0} % 1 1 !\nCONSTITUENT {0} :{1}: !\nPARAMETER G({0},{1};0) 1 0; 6000 N !\n"


def peer_map(database: str, phases: list[str], X: list[float], T: list[float]) -> list[tuple[float, float, list[tuple[str, float, float]]]]:
    """(x, T, [(phase, composition, fraction)] in order of composition), by pycalphad."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its dependencies
        from pycalphad import Database, equilibrium
        from pycalphad import variables as v

        found: Any = equilibrium(Database(database), ["AA", "BB", "VA"], phases, {v.X("BB"): X, v.T: T, v.P: 101325, v.N: 1})
    names, amounts, parts = found.Phase.values, found.NP.values, found.X.sel(component="BB").values
    rows = []
    for i, t in enumerate(T):
        for j, x in enumerate(X):
            cell = [
                (str(name), float(part), float(amount))
                for name, part, amount in zip(names[0, 0, i, j], parts[0, 0, i, j], amounts[0, 0, i, j], strict=True)
                if name and amount > 1e-8
            ]
            rows.append((x, t, sorted(cell, key=lambda c: c[1])))
    return rows


def test_pycalphad_finds_the_same_gap_and_the_same_eutectic() -> None:
    gap = DATABASE + MIXING.format("LIQ", "0", "0")
    gap += "PARAMETER G(LIQ,AA,BB;0) 1 6000; 6000 N !\nPARAMETER G(LIQ,AA,BB;1) 1 -900; 6000 N !\n"
    eutectic = DATABASE + MIXING.format("LIQ", f"11000-{11_000 / 540:.12f}*T", "7000-14.0*T")
    eutectic += STOICHIOMETRIC.format("SA", "AA") + STOICHIOMETRIC.format("SB", "BB")
    # A Redlich-Kister term of a database is in x_A - x_B = 1 - 2x, as ours is.
    cases: list[tuple[str, list[str], tuple[Phase, ...], dict[str, int], list[float]]] = [
        (gap, ["LIQ"], (Solution("liquid", excess=(6000.0, -900.0)),), {"LIQ": 0}, [260.0, 310.0, 360.0, 420.0]),
        (eutectic, ["LIQ", "SA", "SB"], PURE_SOLIDS, {"LIQ": 0, "SA": 1, "SB": 2}, [320.0, 380.0, 420.0, 480.0, 520.0]),
    ]
    X = [0.05, 0.2, 0.4, 0.55, 0.7, 0.9]
    compared = 0
    for database, names, phases, number, T in cases:
        for x, t, cell in peer_map(database, names, X, T):
            ours = binary_equilibrium(phases, [x], t)
            present = [k for k in ours.phases[0].tolist() if k >= 0]
            assert present == [number[name] for name, *_ in cell]
            for k, (_, part, amount) in enumerate(cell):
                # pycalphad stops when its own residuals are below some 1e-6.
                assert ours.compositions[0, k] == pytest.approx(part, abs=2e-5)
                assert ours.fractions[0, k] == pytest.approx(amount, abs=5e-5)
            compared += len(cell)
    assert compared > 80


# The twins


def grid_of(lab: BinaryLab, count: int = 41) -> list[dict[str, float]]:
    low, high = lab.window
    return [{"composition": float(x), "temperature": float(T)} for T in np.linspace(low, high, count) for x in np.linspace(0, 1, count)]


@pytest.mark.parametrize("name", TWINS)
def test_every_field_occurs(name: str) -> None:
    lab = TWINS[name]()
    assert {o["phase"] for o in lab.truths(grid_of(lab))} == set(lab.experiment.outcomes[0].labels)


@pytest.mark.parametrize("name", TWINS)
def test_every_system_that_is_drawn_has_all_fields_and_a_diagram(name: str) -> None:
    diagrams = set()
    for system in range(times(3, 8)):
        lab = TWINS[name](system=system)
        assert {o["phase"] for o in lab.truths(grid_of(lab))} == set(lab.experiment.outcomes[0].labels)
        for constant, value in lab.constants.items():
            low, high = OPTIONS[name].stated[constant].drawn or (math.nan, math.nan)
            assert low <= value <= high
        diagrams.add(tuple(mark.at for mark in lab.diagram().marks))
    assert len(diagrams) == times(3, 8)


@pytest.mark.parametrize("name", TWINS)
def test_what_is_given_is_not_drawn_and_a_seed_draws_the_same_again(name: str) -> None:
    first, constant = TWINS[name](system=3), next(iter(TWINS[name]().constants))
    assert TWINS[name](system=3).constants == first.constants != TWINS[name](system=4).constants
    low, high = OPTIONS[name].stated[constant].drawn or (math.nan, math.nan)
    chosen = TWINS[name](system=3, **{constant: (low + high) / 2})
    assert chosen.constants == dict(first.constants) | {constant: (low + high) / 2}


@pytest.mark.parametrize("name", TWINS)
def test_far_from_a_boundary_the_inferred_label_is_right(name: str) -> None:
    n = times(500, 1500)
    with TWINS[name](seed=1) as lab:
        low, high = lab.window
        random = np.random.default_rng(0)
        settings = [
            {"composition": float(x), "temperature": float(T)}
            for x, T in zip(random.uniform(0.05, 0.95, n), random.uniform(low, high, n), strict=True)
        ]
        near = 0.04
        around = [
            lab.truths(
                [
                    {"composition": s["composition"] + dx, "temperature": min(max(s["temperature"] + dT * (high - low), low), high)}
                    for s in settings
                ]
            )
            for dx in (-near, 0, near)
            for dT in (-near, 0, near)
        ]
        truth = [o["phase"] for o in around[4]]
        is_far = [len({o[k]["phase"] for o in around}) == 1 for k in range(len(settings))]
        wrong = [lab.perform(s).outcomes["phase"] != t for s, t in zip(settings, truth, strict=True)]
    assert sum(is_far) > 0.46 * n
    assert sum(w for w, far in zip(wrong, is_far, strict=True) if far) <= 1
    assert np.mean(wrong) < 0.04


@pytest.mark.parametrize("name", TWINS)
def test_labels_read_directly_are_true_and_readings_are_still_noisy(name: str) -> None:
    with TWINS[name](labeling="direct", seed=2) as lab:
        settings = grid_of(lab, 9)
        performed, truth = [lab.perform(s).outcomes for s in settings], lab.truths(settings)
    assert [p["phase"] for p in performed] == [t["phase"] for t in truth]
    assert performed != truth


@pytest.mark.parametrize("name", TWINS)
def test_without_imperfections_the_reading_is_the_truth(name: str) -> None:
    with TWINS[name](imperfections=0.0) as lab:
        for s in grid_of(lab, 7):
            performed, truth = lab.perform(s).outcomes, lab.truth(s)
            assert {k: v for k, v in performed.items() if k != "phase"} == {k: v for k, v in truth.items() if k != "phase"}


@pytest.mark.parametrize("name", TWINS)
def test_many_truths_are_those_one_by_one(name: str) -> None:
    lab, random = TWINS[name](), np.random.default_rng(5)
    low, high = lab.window
    settings = [{"composition": random.uniform(), "temperature": random.uniform(low, high)} for _ in range(300)]
    for many, s in zip(lab.truths(settings), settings, strict=True):
        assert many == {k: v if isinstance(v, str) else pytest.approx(v, rel=1e-7, abs=1e-9) for k, v in lab.truth(s).items()}


def test_all_over_the_lens_a_sample_takes_up_three_times_what_is_read_as_melting() -> None:
    for system in range(times(6, 20)):
        lab = Lens(system=system)
        melting = [o for o in lab.truths(grid_of(lab)) if o["phase"] == "liquid + solid"]
        assert min(float(o["heat_capacity"]) for o in melting) - LATTICE_HEAT_CAPACITY > 3 * Calorimeter().limit


def test_order_matters_to_the_furnace() -> None:
    hot, cold = {"composition": 0.5, "temperature": 550.0}, {"composition": 0.5, "temperature": 320.0}
    with Eutectic() as lab:
        up = lab.perform(cold).cost.seconds + lab.perform(hot).cost.seconds
    with Eutectic() as lab:
        down = lab.perform(hot).cost.seconds + lab.perform(cold).cost.seconds
    assert down > up + 100


def test_terminal_solutions_give_two_more_fields_than_pure_solids() -> None:
    pure, dissolving = Eutectic(), Eutectic(solid_interaction=15_000.0)
    assert pure.experiment.outcomes[0].labels == ("liquid", "liquid + A", "liquid + B", "A + B")
    assert set(dissolving.experiment.outcomes[0].labels) - set(pure.experiment.outcomes[0].labels) == {"A", "B"}
    fine = [{"composition": x, "temperature": T} for T in np.linspace(300, 600, 31).tolist() for x in np.linspace(0, 1, 201).tolist()]
    labels = {o["phase"] for o in dissolving.truths(fine)}
    assert labels == set(dissolving.experiment.outcomes[0].labels)


def test_pure_components_are_the_edge_of_the_fields_beside_them() -> None:
    lab = Eutectic()
    asked = [(0.0, 320.0), (0.0, 450.0), (0.0, 550.0), (1.0, 320.0), (1.0, 450.0), (1.0, 520.0)]
    labels = [lab.truth({"composition": x, "temperature": T})["phase"] for x, T in asked]
    assert labels == ["A + B", "liquid + A", "liquid", "A + B", "liquid + B", "liquid"]
    A, B = (lab.truth({"composition": x, "temperature": 450.0}) for x in (0.0, 1.0))
    assert A["d_2"] != B["d_2"]
    near = lab.truth({"composition": 1 - 1e-9, "temperature": 450.0})
    assert B["d_2"] == pytest.approx(near["d_2"], abs=1e-6)


# Diagrams


def diagram(name: str, at: float | None = None) -> Diagram:
    lab = make_driver(name)
    assert isinstance(lab, KnowsDiagram)
    return lab.diagram(at)


@pytest.mark.parametrize("name", TWINS)
def test_a_label_changes_across_every_boundary(name: str) -> None:
    lab = TWINS[name]()
    low, high = lab.window
    for line in lab.diagram().lines:
        if line.kind == "boundary" and np.ptp(line.points[:, 1]) > 0.05 * (high - low):
            inner = line.points[(line.points[:, 0] > 0.02) & (line.points[:, 0] < 0.98)][3:-3]
            left, right = (
                [o["phase"] for o in lab.truths([{"composition": x + d, "temperature": T} for x, T in inner])] for d in (-1e-6, 1e-6)
            )
            assert all(a != b for a, b in zip(left, right, strict=True)), line.name


@pytest.mark.parametrize(
    ("name", "marks"),
    [
        ("binary-solution", {"critical point"}),
        ("eutectic", {"A melts", "B melts", "eutectic point"}),
        ("lens", {"A melts", "B melts"}),
        ("peritectic", {"A melts", "B melts", "peritectic point"}),
    ],
)
def test_a_diagram_marks_its_special_points(name: str, marks: set[str]) -> None:
    shown = diagram(name)
    assert {mark.name for mark in shown.marks} == marks
    assert {line.kind for line in shown.lines} >= {"boundary", "tie line"}
    assert all(np.isfinite(line.points).all() for line in shown.lines)
    assert ("spinodal" in {line.kind for line in shown.lines}) == (name == "binary-solution")


@pytest.mark.parametrize("name", TWINS)
def test_the_common_tangent_touches_the_curves_and_lies_below_them(name: str) -> None:
    section = diagram(name).section
    assert section is not None
    curves = [c for c in section.curves if not c.is_tangent]
    tangents = [c for c in section.curves if c.is_tangent]
    assert tangents
    for tangent in tangents:
        steepness = (tangent.y[1] - tangent.y[0]) / (tangent.x[1] - tangent.x[0])
        for curve in curves:
            assert (curve.y - (tangent.y[0] + steepness * (curve.x - tangent.x[0]))).min() > -1e-3


def test_a_section_is_cut_where_it_is_asked_for_and_nowhere_else() -> None:
    section = diagram("eutectic", 350.0).section
    assert section is not None
    assert section.cuts == ("temperature", 350.0)
    for wrong in (299.0, 601.0, math.nan):
        with pytest.raises(InvalidInput, match="outside the furnace"):
            diagram("eutectic", wrong)


# Bad input


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("binary-solution", {"L0": 1e6}, "L0 = 1e\\+06 J/mol has no physical meaning"),
        ("binary-solution", {"coldest": 0.0}, "coldest = 0 K"),
        ("binary-solution", {"coldest": 400.0, "hottest": 300.0}, "must lie below hottest = 300 K"),
        ("binary-solution", {"coldest": math.nan}, "coldest"),
        ("binary-solution", {"L1": math.nan}, "L1"),
        ("binary-solution", {"system": -1}, "system = -1"),
        ("binary-solution", {"seed": -1}, "seed = -1"),
        ("binary-solution", {"labeling": "guessed"}, "labeling"),
        ("binary-solution", {"imperfections": math.nan}, "imperfections"),
        ("eutectic", {"enthalpy_A": -100.0}, "enthalpy_A = -100 J/mol has no physical meaning"),
        ("eutectic", {"melting_B": 0.0}, "melting_B = 0 K"),
        ("eutectic", {"liquid_interaction": 20_000.0}, "no eutectic"),
        ("eutectic", {"solid_interaction": -1.0}, "solid_interaction"),
        ("eutectic", {"solid_interaction": 2000.0}, "no eutectic"),
        ("lens", {"enthalpy_B": 0.0}, "enthalpy_B"),
        ("lens", {"solid_interaction": 18_000.0}, "the solid demixes below 1082 K"),
        ("peritectic", {"offset_B": 9000.0}, "eutectic"),
        ("peritectic", {"melting_A": -5.0}, "melting_A"),
    ],
)
def test_constants_without_a_physical_meaning_are_refused_at_once(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        TWINS[name](**options)
