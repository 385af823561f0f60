"""Physics and promises of the ternary twins: the regular solution and Flory-Huggins."""

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from frugaltwin.errors import InvalidInput, OutOfBounds
from frugaltwin.plugins import Driver, Estimates, KnowsDiagram, KnowsTruths
from simulator.equations.ternary_equilibrium import (
    TOLERANCE,
    Equilibria,
    Mixing,
    curvature,
    excess_potentials,
    free_energy,
    phase_map,
    potentials,
    spinodal,
    stability,
)
from simulator.flory_huggins import FloryHuggins
from simulator.instruments.phase_lab import PhaseState
from simulator.instruments.settled_layers import LABELS, LAYERS, LayerCamera
from simulator.ternary_solution import TernarySolution
from tests.forms import times

Floats = NDArray[np.float64]

IDEAL = Mixing(0.0, 0.0, 0.0)
TRIANGLE = Mixing(3.2, 3.0, 2.4)
CHAINS = Mixing(0.3, 2.0, 1.2, sizes=(100.0, 1.0, 1.0))
PLANE = np.array([[1.0, -1.0, 0.0], [1.0, 1.0, -2.0]]) / np.sqrt([[2.0], [6.0]])  # orthonormal directions of the triangle


def drawn(n: int, seed: int = 0, spread: float = 1.0) -> Floats:
    return np.random.default_rng(seed).dirichlet([spread] * 3, n)


def systems(n: int, seed: int = 0) -> list[Mixing]:
    """Regular solutions, ternary terms, chains, and strongly demixed ones, drawn at random."""
    r = np.random.default_rng(seed)

    def between(low: float, high: float) -> tuple[float, float, float]:
        return r.uniform(low, high), r.uniform(low, high), r.uniform(low, high)

    kinds = []
    for _ in range(n):
        kinds.append(Mixing(*between(-3, 5)))
        kinds.append(Mixing(*between(-3, 4), abc=r.uniform(-12, 12)))
        chains = (float(10 ** r.uniform(0, 4)), float(10 ** r.uniform(0, 1)), 1.0)
        ab, ac, bc = between(-0.5, 2.5)
        kinds.append(Mixing(ab, ac, bc, 0.0, chains))
        kinds.append(Mixing(*between(5, 40)))
    return kinds


def differences(mixing: Mixing, found: Equilibria, k: int) -> Floats:
    """How far the chemical potentials of a component differ between the phases of mixture k, where they can be told."""
    x = found.compositions[k, : found.count[k]]
    told = x.min(axis=0) > 1e-130
    difference: Floats = np.ptp(potentials(mixing, x)[:, told], axis=0)
    return difference


def test_the_energies_slope_is_the_difference_of_the_potentials() -> None:
    mixing, x, step = Mixing(1.0, 2.0, -0.5, 3.0, (4.0, 1.0, 2.0)), np.array([0.2, 0.5, 0.3]), 1e-6
    m = potentials(mixing, x)
    assert free_energy(mixing, x) == pytest.approx(float(x @ m), abs=1e-14)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        direction = np.zeros(3)
        direction[[i, j]] = 1, -1
        slope = (free_energy(mixing, x + step * direction) - free_energy(mixing, x - step * direction)) / (2 * step)
        assert float(slope) == pytest.approx(m[i] - m[j], abs=1e-8)
        bent = (
            free_energy(mixing, x + 100 * step * direction) + free_energy(mixing, x - 100 * step * direction) - 2 * free_energy(mixing, x)
        )
        assert float(bent) / (100 * step) ** 2 == pytest.approx(direction @ curvature(mixing, x) @ direction, rel=1e-5)


@pytest.mark.parametrize("mixing", [TRIANGLE, CHAINS, Mixing(1.0, 2.0, 3.0, -4.0, (2.0, 3.0, 5.0))])
def test_the_stability_is_the_determinant_of_the_curvature(mixing: Mixing) -> None:
    x = drawn(50)
    determinant = np.linalg.det(PLANE @ curvature(mixing, x) @ PLANE.T)
    np.testing.assert_allclose(3 * determinant * x.prod(axis=1), stability(mixing, x), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(("n1", "n2"), [(1.0, 1.0), (100.0, 1.0), (1000.0, 1.0), (50.0, 20.0), (1.0, 10_000.0)])
def test_a_binary_edge_of_chains_is_critical_where_flory_says(n1: float, n2: float) -> None:
    phi, chi = 1 / (1 + np.sqrt(n1 / n2)), 0.5 * (1 / np.sqrt(n1) + 1 / np.sqrt(n2)) ** 2
    at = np.array([[phi, 1 - phi, 0.0]])
    for factor, count in ((0.9999, 1), (1.002, 2)):
        mixing = Mixing(factor * chi, 0.0, 0.0, sizes=(n1, n2, 1.0))
        assert phase_map(mixing).equilibria(at).count.tolist() == [count]
    assert stability(Mixing(chi, 0.0, 0.0, sizes=(n1, n2, 1.0)), at[0]) == pytest.approx(0, abs=1e-14)
    above = phase_map(Mixing(1.002 * chi, 0.0, 0.0, sizes=(n1, n2, 1.0))).equilibria(at).compositions[0, :2, 0]
    assert above.min() < phi < above.max()


@pytest.mark.parametrize(("chi", "n"), [(2.5, 1.0), (0.1, 40.0), (0.01, 1000.0)])
def test_an_indifferent_solvent_has_its_plait_point_where_scott_says(chi: float, n: float) -> None:
    """Scott, J. Chem. Phys. 17 (1949) 268: diluted by the solvent, a pair of equal chains is critical at chi (1 - solvent) = chi_c."""
    diluted = 2 / n / chi
    (plait,) = phase_map(Mixing(chi, 0.0, 0.0, sizes=(n, n, 1.0))).plait_points
    np.testing.assert_allclose(plait, [diluted / 2, diluted / 2, 1 - diluted], atol=1e-8)


@pytest.mark.parametrize("x", [0.45, 0.2, 1e-3, 1e-6, 1e-12])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_binary_edges_have_the_symmetric_binodal_of_the_regular_solution(x: float, order: tuple[int, int, int]) -> None:
    omega = float(np.log((1 - x) / x) / (1 - 2 * x))
    mixing = Mixing(omega, 0.3, 0.3).permuted(order)
    at = np.array([0.5, 0.5, 0.0])[list(order)]
    found = phase_map(mixing).equilibria(at[None])
    assert found.count.tolist() == [2]
    ends = np.sort(found.compositions[0, :2, order.index(0)])
    np.testing.assert_allclose(ends, [x, 1 - x], rtol=1e-9)
    np.testing.assert_allclose(found.amounts[0, :2], 0.5, atol=1e-12)
    assert (found.compositions[0, :2, order.index(2)] == 0).all()


@pytest.mark.parametrize("omega", [2.8, 3.0, 5.0, 30.0])
def test_the_symmetric_ternary_has_one_triangle_of_threefold_symmetry(omega: float) -> None:
    (triangle,) = phase_map(Mixing(omega, omega, omega)).triangles
    major, minor = triangle.max(), triangle.min()
    turned = sorted(row.tolist().index(row.max()) for row in triangle)
    assert turned == [0, 1, 2]
    np.testing.assert_allclose(np.sort(triangle, axis=1), [[minor, minor, major]] * 3, rtol=1e-9)
    np.testing.assert_allclose(np.log(major / minor), omega * (major - minor), rtol=1e-9)  # m_a = m_b within a phase's mirror image


def test_meijerings_three_triangles_around_a_mixed_middle() -> None:
    known = phase_map(Mixing(2.7, 2.7, 2.7))
    assert len(known.triangles) == 3
    assert known.equilibria(np.full((1, 3), 1 / 3)).count.tolist() == [1]
    assert phase_map(Mixing(2.5, 2.5, 2.5)).triangles == []


@pytest.mark.parametrize(
    "mixing", [IDEAL, Mixing(-3.0, -1.0, 0.0), Mixing(1.9, 0.0, 0.0), Mixing(0.0, 0.0, 0.0, sizes=(1000.0, 1.0, 10.0))]
)
def test_what_has_no_reason_to_demix_never_does(mixing: Mixing) -> None:
    known = phase_map(mixing)
    assert known.triangles == known.families == []
    assert (known.equilibria(drawn(500)).count == 1).all()


@pytest.mark.parametrize("mixing", systems(4))
def test_every_equilibrium_is_one(mixing: Mixing) -> None:
    """Mass to 1e-10, potentials to the tolerance, and no mixture of the whole triangle lies below the tangent plane."""
    X = np.concatenate([drawn(80), drawn(40, 1, 0.2)])
    found = phase_map(mixing).equilibria(X)
    everywhere = np.concatenate([drawn(3000, 2), drawn(3000, 3, 0.3)])
    energy = free_energy(mixing, everywhere)
    mass = (found.amounts[:, :, None] * np.nan_to_num(found.compositions)).sum(axis=1)
    np.testing.assert_allclose(mass, X, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.amounts.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert (found.amounts >= 0).all()
    for k, n in enumerate(found.count.tolist()):
        assert differences(mixing, found, k).max(initial=0.0) < TOLERANCE
        x = found.compositions[k, :n]
        assert x.sum(axis=1) == pytest.approx(1, abs=1e-12)
        rich = x.argmax(axis=0)
        plane = potentials(mixing, x)[rich, [0, 1, 2]]
        if np.isfinite(plane).all():
            assert (energy - everywhere @ plane).min() > -1e-8


@pytest.mark.parametrize("mixing", systems(2, seed=5))
def test_tie_lines_and_triangles_of_the_whole_diagram_have_equal_potentials(mixing: Mixing) -> None:
    known = phase_map(mixing)
    for family in known.families:
        for first, second in zip(family.first, family.second, strict=True):
            told = np.minimum(first, second) > 1e-130
            m = potentials(mixing, np.stack([first, second]))[:, told]
            assert np.ptp(m, axis=0).max(initial=0.0) < TOLERANCE
    for triangle in known.triangles:
        told = triangle.min(axis=0) > 1e-130
        assert np.ptp(potentials(mixing, triangle)[:, told], axis=0).max(initial=0.0) < TOLERANCE


@pytest.mark.parametrize("mixing", [TRIANGLE, CHAINS, Mixing(2.7, 2.6, 2.65), Mixing(3.0, 2.0, 1.0, -5.0)])
def test_the_order_of_the_components_does_not_matter(mixing: Mixing) -> None:
    X = drawn(times(60, 300))
    one = phase_map(mixing).equilibria(X)
    for i, j, k in permutations(range(3)):
        order = (i, j, k)
        two = phase_map(mixing.permuted(order)).equilibria(X[:, list(order)])
        assert (one.count == two.count).all()
        amounts = np.sort(one.amounts, axis=1), np.sort(two.amounts, axis=1)
        np.testing.assert_allclose(*amounts, atol=1e-8)
        mixed = [(e.amounts[:, :, None] * np.nan_to_num(e.compositions) ** 2).sum(axis=1) for e in (one, two)]
        np.testing.assert_allclose(mixed[0][:, list(order)], mixed[1], atol=1e-8)


@pytest.mark.parametrize("mixing", [TRIANGLE, CHAINS, Mixing(30.0, 25.0, 20.0)])
def test_corners_are_pure_and_edges_have_no_more_than_their_two_components(mixing: Mixing) -> None:
    known = phase_map(mixing)
    corners = known.equilibria(np.eye(3))
    assert corners.count.tolist() == [1, 1, 1]
    edges = drawn(60)
    edges[np.arange(60), np.arange(60) % 3] = 0
    edges /= edges.sum(axis=1, keepdims=True)
    found = known.equilibria(edges)
    assert found.count.max() == 2
    near = known.equilibria(np.where(edges == 0, 1e-16, edges))
    assert (near.count[found.count == 2] == 2).all()
    for k in np.flatnonzero(found.count == 2):
        assert (found.compositions[k, :2, k % 3] == 0).all()
        assert differences(mixing, found, int(k)).max() < TOLERANCE


@pytest.mark.parametrize("mixing", [Mixing(2.5, 0.0, 0.0), Mixing(2.4, 0.8, 0.1), CHAINS])
@pytest.mark.parametrize("distance", [1e-3, 1e-5, 1e-7])
def test_beside_a_plait_point_two_phases_end_and_one_begins(mixing: Mixing, distance: float) -> None:
    known = phase_map(mixing)
    (family,) = known.families
    plait, before = family.first[-1], (family.first[-2] + family.second[-2]) / 2
    inwards = (before - plait) / np.linalg.norm(before - plait)
    found = known.equilibria(np.stack([plait + distance * inwards, plait - distance * inwards]))
    assert found.count.tolist() == [2, 1]
    assert differences(mixing, found, 0).max() < TOLERANCE
    assert np.linalg.norm(found.compositions[0, 0] - found.compositions[0, 1]) < 10 * np.sqrt(distance)


def test_a_strongly_demixed_system_is_exact_to_its_traces() -> None:
    mixing = Mixing(30.0, 28.0, 26.0)
    (triangle,) = phase_map(mixing).triangles
    assert triangle.min() < 1e-12
    assert np.ptp(potentials(mixing, triangle), axis=0).max() < TOLERANCE
    a, b, _ = triangle[triangle.argmax(axis=0)]
    np.testing.assert_allclose([a[1], a[2], b[2]], np.exp([-30.0, -28.0, -26.0]), rtol=1e-9)  # infinite dilution
    traces = np.array([[1 - 4e-14, 2e-14, 2e-14], [1 - 2e-11, 1e-11, 1e-11]])
    assert phase_map(mixing).equilibria(traces).count.tolist() == [1, 3]


def test_the_spinodal_is_where_a_mixture_becomes_unstable_and_touches_the_binodal_at_the_plait_point() -> None:
    for mixing in (TRIANGLE, CHAINS, Mixing(2.5, 0.0, 0.0)):
        lines = spinodal(mixing)
        assert lines
        for line in lines:
            np.testing.assert_allclose(stability(mixing, line), 0, atol=1e-9)
            assert np.abs(np.diff(line, axis=0)).max() < 0.05  # in order
    (plait,) = phase_map(CHAINS).plait_points
    assert stability(CHAINS, plait) == pytest.approx(0, abs=1e-10)
    assert spinodal(IDEAL) == []


def test_one_by_one_and_all_at_once_are_the_same() -> None:
    X = drawn(200, 4)
    for mixing in (TRIANGLE, CHAINS):
        known = phase_map(mixing)
        many = known.equilibria(X)
        for k, x in enumerate(X):
            one = known.equilibria(x[None])
            assert one.count[0] == many.count[k]
            np.testing.assert_allclose(one.amounts[0], many.amounts[k], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("mixing", "x"),
    [
        (Mixing(-0.33875, 2.2183, -1.1865, sizes=(1.0, 2194.86, 2.5168)), (0.8866, 0.018, 0.0954)),
        (Mixing(3.04236, -5.8317, -5.4014, sizes=(2167.336, 1.30686, 39.1044)), (0.9903, 0.00963, 0.00007)),
        (Mixing(0.52458, -4.15198, -14.64906, sizes=(1.0, 437.0878, 1.0)), (0.9035, 0.0919, 0.0046)),
    ],
)
def test_long_chains_that_lead_newtons_method_astray_are_solved_all_the_same(mixing: Mixing, x: tuple[float, float, float]) -> None:
    found = phase_map(mixing).equilibria(np.array([x]))
    assert found.count.tolist() == [2]
    assert differences(mixing, found, 0).max(initial=0.0) < TOLERANCE


def test_excess_potentials_are_finite_where_a_component_is_missing() -> None:
    assert np.isfinite(excess_potentials(CHAINS, np.eye(3))).all()


@pytest.mark.parametrize("twin", [TernarySolution(), FloryHuggins()])
def test_a_twin_keeps_the_promises_it_makes(twin: TernarySolution | FloryHuggins) -> None:
    for promise in (Driver, KnowsTruths, KnowsDiagram, Estimates):
        assert isinstance(twin, promise)
    names = [p.name for p in twin.experiment.parameters]
    with pytest.raises(OutOfBounds, match="must add up to 1"):
        twin.experiment.check(dict.fromkeys(names, 0.4))


@pytest.mark.parametrize("system", range(times(8, 25)))
def test_every_drawn_ternary_solution_has_fields_of_one_two_and_three_phases(system: int) -> None:
    known = TernarySolution(system=system).phase_map
    assert set(known.equilibria(np.concatenate([drawn(400), np.eye(3)])).count) == {1, 2, 3}


NEARLY_A_THIRD_PHASE = (103, 134, 137, 228)  # at the plait point


@pytest.mark.parametrize("system", [*range(times(8, 25)), *NEARLY_A_THIRD_PHASE])
def test_every_drawn_polymer_demixes_and_has_a_plait_point(system: int) -> None:
    known = FloryHuggins(system=system).phase_map
    assert set(known.equilibria(drawn(400)).count) == {1, 2}
    assert len(known.plait_points) == 1


def test_a_polymer_has_three_phases_where_solvent_and_nonsolvent_demix_too() -> None:
    assert len(FloryHuggins(chi_solvent_nonsolvent=2.5, chi_polymer_solvent=1.0).phase_map.triangles) == 1


def test_systems_drawn_with_one_seed_are_one_system_and_options_win_over_the_draw() -> None:
    assert TernarySolution(system=3).mixing == TernarySolution(system=3, seed=9).mixing != TernarySolution(system=4).mixing
    given = TernarySolution(system=3, omega_ab=0.0).mixing
    assert given.ab == 0
    assert given.ac == TernarySolution(system=3).mixing.ac


def test_chi_falls_with_temperature_as_a_plus_b_over_t() -> None:
    twin = FloryHuggins(temperature=400.0, chi_polymer_solvent=0.1, slope_polymer_solvent=80.0)
    assert twin.mixing.ab == pytest.approx(0.1 + 80 / 400)


def test_the_heaviest_layer_is_the_lowest() -> None:
    settings = {"a": 0.4, "b": 0.3, "c": 0.3}
    heavy, light = (TernarySolution(density_a=d, density_b=1.0, density_c=0.8).truth(settings) for d in (1.2, 0.5))
    found = TernarySolution().phase_map.equilibria(np.array([[0.4, 0.3, 0.3]]))
    assert heavy["phase"] == light["phase"] == "three phases"
    share_of_a = found.amounts[0, found.compositions[0, :, 0].argmax()]
    assert heavy["layer_1"] == light["layer_3"] == pytest.approx(share_of_a)
    assert sum(float(heavy[name]) for name in LAYERS) == pytest.approx(1, abs=1e-12)


def test_a_camera_counts_the_layers_that_it_can_see() -> None:
    camera = LayerCamera()
    thin = camera.signal([PhaseState("three phases", {"layer_1": 0.79, "layer_2": 0.2, "layer_3": 0.01})])[0]
    assert thin.tolist() == [0.79, 0.2, 0.01]
    assert camera.inferred(thin) == "two phases"
    assert camera.inferred(np.array([0.001, 0.0, -0.01])) == "one phase"


def test_labels_are_inferred_from_the_layers_unless_the_driver_is_told_the_truth() -> None:
    names = ("a", "b", "c")
    X = [dict(zip(names, x, strict=True)) for x in drawn(400, 6).tolist()]
    direct, inferred = TernarySolution(labeling="direct"), TernarySolution()
    truth = [o["phase"] for o in direct.truths(X)]
    with direct, inferred:
        assert [direct.perform(s).outcomes["phase"] for s in X] == truth
        measured = [inferred.perform(s).outcomes for s in X]
    for outcomes in measured:
        seen = sum(float(outcomes[name]) > 0.03 for name in LAYERS)
        assert outcomes["phase"] == LABELS[seen - 1]
    agree = np.mean([o["phase"] == t for o, t in zip(measured, truth, strict=True)])
    assert 0.8 < agree < 1


def test_a_perfect_camera_reads_the_true_heights() -> None:
    settings = {"polymer": 0.2, "solvent": 0.2, "nonsolvent": 0.6}
    with FloryHuggins(imperfections=0.0) as twin:
        assert twin.perform(settings).outcomes == twin.truth(settings)


def test_the_diagram_has_its_lines_on_the_binodal() -> None:
    twin = FloryHuggins()
    diagram = twin.diagram()
    assert diagram.axes == ("polymer", "solvent", "nonsolvent")
    assert [m.name for m in diagram.marks] == ["plait point"]
    (binodal,) = [line.points for line in diagram.lines if line.kind == "boundary"]
    middle = (binodal[0] + binodal[-1]) / 2
    inner = binodal[3:-3]
    assert (twin.phase_map.equilibria(inner + 1e-4 * (middle - inner)).count == 2).all()
    for line in diagram.lines:
        np.testing.assert_allclose(line.points.sum(axis=1), 1, atol=1e-9)
        if line.kind == "tie line":
            assert twin.phase_map.equilibria(line.points.mean(axis=0)[None]).count.tolist() == [2]
    kinds = [line.kind for line in TernarySolution().diagram().lines]
    assert kinds.count("boundary") == 9  # a triangle, and two binodals at each of its sides
    assert "spinodal" in kinds
    with pytest.raises(InvalidInput, match="ternary-solution has no section to cut at 300"):
        TernarySolution().diagram(300.0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"temperature": 0.0}, "temperature = 0 K has no physical meaning here .* it is 1 to 5000 K"),
        ({"temperature": float("nan")}, "temperature = nan K has no physical meaning"),
        ({"omega_ab": 1e9}, "omega_ab = 1e.09 J/mol has no physical meaning"),
        ({"omega_ab": 1e5, "temperature": 50.0}, "omega_ab = 100000 J/mol has no physical meaning here: at 50 K it is up to 41572 J/mol"),
        ({"density_c": -1.0}, "density_c = -1 g/mL has no physical meaning"),
        ({"imperfections": -1.0}, "imperfections = -1 is not allowed"),
    ],
)
def test_a_system_without_a_physical_meaning_is_refused(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        TernarySolution(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_polymer": 0.5}, "n_polymer = 0.5 has no physical meaning here .chain length of the polymer, .*: it is 1 to 10000"),
        ({"slope_polymer_solvent": 9e3}, "chi_polymer_solvent . slope_polymer_solvent / temperature = 30.4861 has no physical meaning"),
        ({"chi_polymer_solvent": 1000.0}, "chi_polymer_solvent = 1000 has no physical meaning"),
        ({"temperature": -5.0}, "temperature = -5 K has no physical meaning"),
    ],
)
def test_chains_without_a_physical_meaning_are_refused(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        FloryHuggins(**options)  # type: ignore[arg-type]
