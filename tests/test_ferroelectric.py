"""Physics and promises of the ferroelectric twin."""

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize

from frugaltwin.errors import InvalidInput
from frugaltwin.plugins import Driver, Estimates, KnowsDiagram, KnowsTruths, Resumes
from simulator.equations.landau import energy_along, free_energy, squared_polarization, transition
from simulator.ferroelectric import LABELS, VACUUM, Ferroelectric, FerroelectricOptions, SolidSolution

DEFAULT = Ferroelectric().solution
Floats = NDArray[np.float64]


def at(solution: SolidSolution, x: float | Floats, T: float | Floats) -> dict[str, Floats]:
    columns = np.broadcast_arrays(np.atleast_1d(np.asarray(x, dtype=float)), np.asarray(T, dtype=float))
    return solution.equilibrium(*columns)


def phases(solution: SolidSolution, x: float | Floats, T: float | Floats) -> list[str]:
    return [LABELS[int(k)] for k in at(solution, x, T)["phase"]]


def grain_permittivity(solution: SolidSolution, x: float, T: float) -> float:
    """Of the grains alone: without the layers between them."""
    return 1 / (1 / at(solution, x, T)["permittivity"].item() - 1 / solution.layer)


def test_it_is_a_driver_with_all_abilities() -> None:
    twin = Ferroelectric()
    for ability in (Driver, KnowsTruths, KnowsDiagram, Estimates, Resumes):
        assert isinstance(twin, ability)


def test_tetragonal_and_rhombohedral_energies_are_those_of_the_polynomial_along_their_axes() -> None:
    a, b, c, kappa = -2e8, 3e8, 2e9, 4e7
    for axis, sign in (((0, 0, 1), 1), ((1, 1, 1), -1)):
        square = squared_polarization(a, b - sign * kappa / 3, c)
        P = np.sqrt(square) * np.array(axis) / math.sqrt(sum(axis))
        assert free_energy(P, a, b, kappa, c) == pytest.approx(float(energy_along(a, b - sign * kappa / 3, c)), rel=1e-12)


def test_the_stated_state_is_the_minimum_that_a_numeric_search_from_many_starts_finds() -> None:
    random = np.random.default_rng(0)
    solutions = [Ferroelectric(system=k).solution for k in range(3)] + [replace(DEFAULT, quartic=-2e8)]
    seen = set()
    for solution in solutions:
        for x, T in zip(random.uniform(0, 1, 8), random.uniform(300, 850, 8), strict=True):
            a, kappa = float(solution.stiffness(x, T)), float(solution.kappa(x, T))

            def energy(P: Floats, a: float = a, kappa: float = kappa, s: SolidSolution = solution) -> float:
                return float(free_energy(P, a, s.quartic, kappa, s.sextic)) / 1e6

            searched = [minimize(energy, start, tol=1e-14) for start in random.uniform(-0.8, 0.8, (8, 3))]
            best = min([*(s.fun for s in searched), energy(np.zeros(3))])
            P = min(searched, key=lambda s: float(s.fun)).x if best < 0 else np.zeros(3)
            stated = at(solution, x, T)
            label = LABELS[int(stated["phase"].item())]
            square = stated["polarization"].item() ** 2
            axis = {"cubic": (0, 0, 0), "tetragonal": (0, 0, 1), "rhombohedral": (3**-0.5,) * 3}[label]
            assert energy(math.sqrt(square) * np.array(axis)) == pytest.approx(best, rel=1e-6, abs=1e-7)
            np.testing.assert_allclose(np.sort(np.abs(P)), np.sort(math.sqrt(square) * np.array(axis)), atol=2e-3)
            seen.add(label)
    assert seen == set(LABELS)


def test_permittivities_are_the_inverse_curvatures_at_the_minimum() -> None:
    for x, T in ((0.2, 350.0), (0.45, 400.0), (0.6, 300.0), (0.95, 700.0), (0.5, 800.0)):
        a, kappa = float(DEFAULT.stiffness(x, T)), float(DEFAULT.kappa(x, T))
        stated = at(DEFAULT, x, T)
        axis = {0: (0, 0, 0), 1: (0, 0, 1), 2: (3**-0.5,) * 3}[int(stated["phase"].item())]
        P, step = stated["polarization"].item() * np.array(axis), 1e-3 * np.eye(3)

        def energy(P: Floats, a: float = a, kappa: float = kappa) -> float:
            return float(free_energy(P, a, DEFAULT.quartic, kappa, DEFAULT.sextic))

        hessian = [[(energy(P + i + j) - energy(P + i - j) - energy(P - i + j) + energy(P - i - j)) / 4e-6 for j in step] for i in step]
        mean = float(np.trace(np.linalg.inv(hessian))) / 3 / VACUUM
        assert grain_permittivity(DEFAULT, x, T) == pytest.approx(mean, rel=1e-3)


def test_the_cubic_phase_ends_at_the_curie_temperature_where_the_transition_is_of_second_order() -> None:
    low, high = DEFAULT.tricritical()
    for x in np.linspace(low + 0.01, high - 0.01, 7):
        T = float(DEFAULT.transition_temperature(x))
        assert pytest.approx((1 - x) * 510 + x * 760 + 120 * x * (1 - x)) == T
        assert phases(DEFAULT, x, T + 0.01) == ["cubic"]
        assert phases(DEFAULT, x, T - 0.01) != ["cubic"]
        assert at(DEFAULT, x, T - 0.01)["polarization"] < 0.05


@pytest.mark.parametrize("tilt", [0.0, 1e-4, -2e-4])
@pytest.mark.parametrize("x", [0.02, 0.98])
def test_a_first_order_transition_is_where_both_phases_have_the_same_energy_and_the_polarization_jumps(x: float, tilt: float) -> None:
    solution = replace(DEFAULT, tilt=tilt)
    T = float(solution.transition_temperature(x))
    assert float(solution.curie(x)) + 0.5 < T
    sign = 1 if x > 0.5 else -1

    def energy(T: float) -> float:
        b = solution.quartic - sign * float(solution.kappa(x, T)) / 3
        return float(energy_along(solution.stiffness(x, T), b, solution.sextic))

    assert brentq(energy, T - 0.3, T + 0.3, xtol=1e-9) == pytest.approx(T, abs=1e-5)
    assert phases(solution, x, T + 1e-3) == ["cubic"]
    assert at(solution, x, T - 1e-3)["polarization"] > 0.1


def test_without_a_tilt_the_first_order_transition_is_devonshires() -> None:
    solution = replace(DEFAULT, tilt=0.0)
    b = solution.quartic - solution.anisotropy * (1 - solution.boundary) / 3
    expected = solution.curie(1.0) + 3 * b**2 / (16 * solution.sextic * solution.stiffness_slope)
    assert float(solution.transition_temperature(1.0)) == pytest.approx(float(expected))
    assert np.isnan(transition(1.0, -1.0, 1.0, quartic_slope=-10.0))


def test_the_order_changes_at_the_tricritical_compositions() -> None:
    for x in DEFAULT.tricritical():
        out = 1e-3 if x > 0.5 else -1e-3
        assert float(DEFAULT.transition_temperature(x + out) - DEFAULT.curie(x + out)) > 0
        assert float(DEFAULT.transition_temperature(x - out) - DEFAULT.curie(x - out)) == 0
    assert replace(DEFAULT, quartic=-1e8).tricritical() == []


@pytest.mark.parametrize("T", [300.0, 400.0, 550.0, 650.0])
def test_at_the_morphotropic_boundary_the_two_polar_phases_have_the_same_energy(T: float) -> None:
    def difference(x: float) -> float:
        a, lean = DEFAULT.stiffness(x, T), DEFAULT.kappa(x, T) / 3
        along = [energy_along(a, DEFAULT.quartic - s * lean, DEFAULT.sextic) for s in (1, -1)]
        return float(along[0] - along[1])

    x = float(DEFAULT.morphotropic(T))
    assert x == pytest.approx(0.48 + 1e-4 * (T - 300))
    assert brentq(difference, x - 0.05, x + 0.06) == pytest.approx(x, abs=1e-9)
    assert phases(DEFAULT, np.array([x - 1e-6, x + 1e-6]), T) == ["rhombohedral", "tetragonal"]


@pytest.mark.parametrize("quartic", [3e8, -2e8])
def test_all_three_phases_meet_in_the_triple_point(quartic: float) -> None:
    solution = replace(DEFAULT, quartic=quartic)
    triple = solution.triple()
    assert triple is not None
    x, T = triple
    assert x == pytest.approx(float(solution.morphotropic(T)), abs=1e-12)
    assert pytest.approx(float(solution.transition_temperature(x)), abs=1e-9) == T
    around = phases(solution, np.array([x - 0.01, x + 0.01, x]), np.array([T - 8, T - 8, T + 0.1]))
    assert around == ["rhombohedral", "tetragonal", "cubic"]


def test_a_boundary_outside_the_solid_solution_has_no_triple_point() -> None:
    assert replace(DEFAULT, boundary=0.0, tilt=-1e-3).triple() is None


def test_exchanging_the_end_members_mirrors_energies_and_keeps_polarization() -> None:
    symmetric = replace(DEFAULT, curie_zirconate=700.0, curie_titanate=700.0, boundary=0.5, tilt=0.0)
    x, T = np.linspace(0.02, 0.48, 12), 500.0
    left, right = at(symmetric, x, T), at(symmetric, 1 - x, T)
    np.testing.assert_allclose(left["polarization"], right["polarization"])
    assert set(left["phase"]) == {2.0}
    assert set(right["phase"]) == {1.0}


@pytest.mark.parametrize("T", [300.0, 350.0, 400.0, 450.0, 500.0, 550.0])
def test_the_response_is_highest_at_the_boundary(T: float) -> None:
    x = np.linspace(0, 1, 1001)
    for solution in (DEFAULT, Ferroelectric(system=3).solution):
        response = at(solution, x, T)["piezoelectric"]
        assert x[response.argmax()] == pytest.approx(float(solution.morphotropic(T)), abs=0.0011)
        assert response.max() > 1.5 * response[[0, -1]].max()


def test_the_boundary_shows_the_permittivity_of_the_layers_and_no_more() -> None:
    T = 400.0
    on_it = at(DEFAULT, float(DEFAULT.morphotropic(T)), T)
    assert on_it["permittivity"].item() == pytest.approx(DEFAULT.layer)
    assert phases(DEFAULT, float(DEFAULT.morphotropic(T)), T) == ["tetragonal"]
    everywhere = at(DEFAULT, np.linspace(0, 1, 501)[:, None].repeat(61, 1).ravel(), np.tile(np.linspace(300, 900, 61), 501))
    assert np.isfinite(list(everywhere.values())).all()
    assert everywhere["permittivity"].max() <= DEFAULT.layer


def test_the_cubic_phase_follows_curie_and_weiss() -> None:
    for x in (0.3, 0.5, 0.7):
        T_C = float(DEFAULT.curie(x))
        for above in (5.0, 20.0, 100.0):
            assert grain_permittivity(DEFAULT, x, T_C + above) == pytest.approx(2e5 / above, rel=1e-9)


def test_below_a_second_order_transition_the_stiffness_along_the_axis_grows_twice_as_fast() -> None:
    # Only with a negligible sextic term is it a factor of 2 at any distance; here it is one close to T_C.
    x, step = 0.5, 1e-3
    T = float(DEFAULT.curie(x)) - step
    P2, b = at(DEFAULT, x, T)["polarization"].item() ** 2, DEFAULT.quartic - abs(float(DEFAULT.kappa(x, T))) / 3
    along = 2 * b * P2 + 4 * DEFAULT.sextic * P2**2
    across = (2 / 3 if DEFAULT.kappa(x, T) < 0 else 1) * abs(float(DEFAULT.kappa(x, T))) * P2
    assert along == pytest.approx(2 * DEFAULT.stiffness_slope * step, rel=1e-4)
    assert grain_permittivity(DEFAULT, x, T) == pytest.approx((1 / along + 2 / across) / 3 / VACUUM, rel=1e-6)


def test_with_no_sextic_to_speak_of_the_polarization_is_landaus_square_root() -> None:
    np.testing.assert_allclose(squared_polarization([-4.0, -1.0], 2.0, 1e-9), [2.0, 0.5], rtol=1e-6)
    np.testing.assert_allclose(energy_along(-4.0, 2.0, 1e-9), -2.0, rtol=1e-6)


def test_distortions_and_response_follow_from_the_polarization() -> None:
    tetragonal, rhombohedral = at(DEFAULT, 0.8, 300.0), at(DEFAULT, 0.2, 300.0)
    assert tetragonal["tetragonality"].item() == pytest.approx(11 * tetragonal["polarization"].item() ** 2)
    assert tetragonal["shear"] == rhombohedral["tetragonality"] == 0
    assert rhombohedral["shear"].item() == pytest.approx(math.degrees(0.08 * rhombohedral["polarization"].item() ** 2 / 3))
    d = 2 * 0.025 * VACUUM * tetragonal["permittivity"] * tetragonal["polarization"]
    assert tetragonal["piezoelectric"].item() == pytest.approx(1e12 * d.item())


def test_the_defaults_are_of_the_size_of_lead_zirconate_titanate() -> None:
    tetragonal = at(DEFAULT, 1.0, 300.0)
    assert 0.5 < tetragonal["polarization"].item() < 0.8  # PbTiO3: 0.75 C/m²
    assert 4 < tetragonal["tetragonality"].item() < 7  # 6 %
    assert 200 < at(DEFAULT, 0.48, 300.0)["piezoelectric"].item() < 700


def test_a_hundred_drawn_systems_have_all_three_fields_and_a_triple_point() -> None:
    x, T = (g.ravel() for g in np.meshgrid(np.linspace(0, 1, 41), np.linspace(300, 900, 41)))
    for k in range(100):
        solution = Ferroelectric(system=k).solution
        shares = np.bincount(at(solution, x, T)["phase"].astype(int), minlength=3) / len(x)
        assert shares.min() > 0.05, k
        triple = solution.triple()
        assert triple is not None
        assert 300 < triple[1] < 900
        assert np.isfinite(solution.transition_temperature(x)).all()
    assert Ferroelectric(system=1).solution != Ferroelectric(system=2).solution
    assert Ferroelectric(system=1, boundary=0.5).solution == replace(Ferroelectric(system=1).solution, boundary=0.5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"curie_titanate": 0.0}, "curie_titanate = 0 K has no physical meaning"),
        ({"sextic": 0.0}, "sextic"),
        ({"anisotropy": -1e9}, "anisotropy"),
        ({"curie_constant": -1.0}, "curie_constant"),
        ({"boundary": 1.5}, "boundary"),
        ({"layer": math.nan}, "layer"),
        ({"imperfections": math.nan}, "imperfections"),
    ],
)
def test_constants_without_a_physical_meaning_are_refused(wrong: dict[str, float], said: str) -> None:
    options: dict[str, Any] = dict(wrong)
    with pytest.raises(InvalidInput, match=said):
        Ferroelectric(**options)


def test_every_constant_stands_in_the_data_sheet_with_its_default_and_range() -> None:
    sheet = " ".join((Ferroelectric.__doc__ or "").split())
    for name, constant in FerroelectricOptions.stated.items():
        if constant.drawn:
            row = re.search(rf" {name} (\S+) {re.escape(constant.words[1].partition(' (drawn')[0])} \(drawn: (\S+) to (\S+);", sheet)
            assert row, name
            assert [float(number) for number in row.groups()] == [constant.default, *constant.drawn]


def settings_of(count: int, seed: int) -> list[dict[str, float]]:
    draws = np.random.default_rng(seed).uniform((0, 300), (1, 900), (count, 2)).tolist()
    return [{"titanate": x, "temperature": T} for x, T in draws]


def test_a_reading_scatters_by_its_noise_and_names_the_phase_that_it_shows() -> None:
    names = ("tetragonality", "shear", "polarization", "permittivity", "piezoelectric")
    with Ferroelectric(seed=1) as twin:
        same = {"titanate": 0.7, "temperature": 400.0}
        read = np.array([[float(twin.perform(same).outcomes[n]) for n in names] for _ in range(400)])
    np.testing.assert_allclose(np.diff(read, axis=0).std(axis=0) / math.sqrt(2), [0.05, 0.01, 0.005, 10, 5], rtol=0.15)
    with Ferroelectric(seed=1) as twin:
        asked = settings_of(150, 2)
        wrong = [s for s in asked if twin.perform(s).outcomes["phase"] != twin.truth(s)["phase"]]
    assert len(wrong) <= 8
    with Ferroelectric(imperfections=0) as twin:
        for s in asked[:20]:
            measured, true = twin.perform(s).outcomes, twin.truth(s)
            assert [measured[n] for n in names] == [true[n] for n in names]


def test_close_below_a_second_order_transition_the_distortion_is_too_small_to_be_seen() -> None:
    below = float(DEFAULT.transition_temperature(0.6)) - 0.2
    with Ferroelectric(imperfections=0) as twin:
        assert twin.truth({"titanate": 0.6, "temperature": below})["phase"] == "tetragonal"
        assert twin.perform({"titanate": 0.6, "temperature": below}).outcomes["phase"] == "cubic"
        assert twin.perform({"titanate": 0.6, "temperature": below - 20}).outcomes["phase"] == "tetragonal"


def test_with_direct_labels_noise_never_mislabels() -> None:
    with Ferroelectric(labeling="direct", imperfections=10, seed=3) as twin:
        assert all(twin.perform(s).outcomes["phase"] == twin.truth(s)["phase"] for s in settings_of(50, 4))


def test_a_pellet_that_stays_in_costs_no_exchange() -> None:
    with Ferroelectric() as twin:
        twin.perform({"titanate": 0.5, "temperature": 500.0})
        stays, new = (twin.estimate({"titanate": x, "temperature": 500.0}) for x in (0.5, 0.6))
    assert stays.seconds == pytest.approx(780)
    assert new.seconds == pytest.approx(900)
    assert new.money > stays.money


def test_the_diagram_draws_the_lines_where_the_truth_changes() -> None:
    twin = Ferroelectric()
    diagram = twin.diagram()
    assert diagram.axes == ("titanate", "temperature")
    assert diagram.shade == "piezoelectric"
    curie, across = diagram.lines
    for x, T in curie.points[20:-20:40]:
        below, above = twin.truths([{"titanate": x, "temperature": T - 0.5}, {"titanate": x, "temperature": T + 0.5}])
        assert above["phase"] == "cubic"
        assert below["phase"] != "cubic"
    for x, T in across.points[5:-5:10]:
        left, right = twin.truths([{"titanate": x - 1e-3, "temperature": T}, {"titanate": x + 1e-3, "temperature": T}])
        assert (left["phase"], right["phase"]) == ("rhombohedral", "tetragonal")
    assert [m.name for m in diagram.marks] == ["triple point", "tricritical point", "tricritical point"]


def test_the_section_shows_which_free_energy_is_lowest() -> None:
    twin = Ferroelectric()
    section = twin.diagram(at=600.0).section
    assert section is not None
    assert section.cuts == ("temperature", 600.0)
    x, y = section.curves[0].x, np.stack([c.y for c in section.curves])
    lowest = [section.curves[k].name for k in y.argmin(axis=0)]
    true = phases(twin.solution, x, 600.0)
    assert sum(a != b for a, b in zip(lowest, true, strict=True)) == 0
    with pytest.raises(InvalidInput, match="not at 1000 K"):
        twin.diagram(at=1000.0)
