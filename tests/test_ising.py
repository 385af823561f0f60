"""Physics and promises of the Ising twin."""

import math
import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from frugaltwin.errors import InvalidInput, Stopped
from frugaltwin.plugins import Driver, Estimates, KnowsDiagram, KnowsTruths, Resumes
from simulator import ising
from simulator.equations.ising_clusters import correlation_length, equilibrium, high_temperature_susceptibility
from simulator.equations.ising_lattice import (
    CRITICAL,
    Lattices,
    Run,
    chance_up,
    exact_energy,
    exact_magnetization,
    needed_table,
    run,
    sweeps,
)
from simulator.ising import Infinite, Ising, Magnet, expected

Floats = NDArray[np.float64]


def measured(size: int, T: list[float], h: list[float], replicas: int, warm_up: int, count: int) -> Run:
    """Runs [r, n] at temperatures and fields [n], in units of the coupling."""
    temperature, field = np.array(T), np.array(h)
    lattices = Lattices(size, np.tile(field >= 0, replicas))
    return run(lattices, needed_table(chance_up(temperature, field)), replicas, warm_up, count, np.random.PCG64(5))


def enumerated(size: int, T: float, h: float) -> tuple[float, float, float]:
    """Exact mean magnetization, its mean square, and mean alignment per spin: all states of a torus, one by one."""
    n = size * size
    states = np.arange(2**n)
    spins = 2 * ((states[:, None] >> np.arange(n)) & 1).astype(np.int8).reshape(-1, size, size) - 1
    m = spins.sum(axis=(1, 2)) / n
    bonds = (spins * (np.roll(spins, 1, axis=1) + np.roll(spins, 1, axis=2))).sum(axis=(1, 2)) / n
    exponent = n * (bonds + h * m) / T
    weight = np.exp(exponent - exponent.max())
    weight /= weight.sum()
    return float(weight @ m), float(weight @ m**2), float(weight @ bonds)


def test_it_is_a_driver_with_all_abilities() -> None:
    for ability in (Driver, KnowsTruths, KnowsDiagram, Estimates, Resumes):
        assert isinstance(Ising(), ability)


def test_sixteen_spins_have_the_averages_of_all_their_65536_states() -> None:
    # Settings at which the spins turn over often, or as good as never.
    T, h = [1.5, 2.0, 2.5, 3.0, 5.0, 2.5, 3.0], [1.0, 1.0, 0.4, 0.0, 0.0, -0.4, 1.0]
    found = measured(4, T, h, replicas=400, warm_up=150, count=250)
    for k, (t, field) in enumerate(zip(T, h, strict=True)):
        exact = enumerated(4, t, field)
        for values, true in zip((found.magnetization, found.square, found.alignment), exact, strict=True):
            error = float(values[:, k].std(ddof=1)) / math.sqrt(400)
            assert error < 0.01
            assert abs(values[:, k].mean() - true) < 4 * error


def test_a_sweep_is_that_of_a_plain_loop_over_the_lattice() -> None:
    size, n = 6, 3
    random = np.random.default_rng(2)
    lattices = Lattices(size, np.array([True, False, True]))
    full = np.repeat([[1, 0, 1]], size * size, axis=0).reshape(size, size, n).astype(int)
    for _ in range(4):
        needed = random.integers(0, 6, (2, size, size // 2, n)).astype(np.uint8)
        lattices.sweep(needed)
        for color in (0, 1):
            for i in range(size):
                for j in range(size):
                    if (i + j) % 2 == color:
                        ups = full[i - 1, j] + full[(i + 1) % size, j] + full[i, j - 1] + full[i, (j + 1) % size]
                        full[i, j] = ups >= needed[color, i, j // 2]
        m, bonds = lattices.reading()
        s = 2 * full - 1
        np.testing.assert_allclose(m, s.mean(axis=(0, 1)))
        np.testing.assert_allclose(bonds, (s * (np.roll(s, 1, axis=0) + np.roll(s, 1, axis=1))).mean(axis=(0, 1)))


@pytest.mark.parametrize("size", [4, 122, 256])
def test_readings_are_right_at_every_size(size: int) -> None:
    lattices = Lattices(size, np.array([True, False]))
    lattices.sweep(np.full((2, size, size // 2, 2), [0, 5], np.uint8))
    m, bonds = lattices.reading()
    assert m.tolist() == [1, -1]
    assert bonds.tolist() == [2, 2]


def test_the_energy_is_onsagers() -> None:
    T = [1.2, 1.8, 2.1, 2.6, 3.0, 4.0]
    found = measured(32, T, [0.0] * 6, replicas=16, warm_up=200, count=200)
    error = found.alignment.std(axis=0, ddof=1) / 4
    assert error.max() < 0.006
    np.testing.assert_array_less(np.abs(found.alignment.mean(axis=0) + exact_energy(T)), 4 * error + 5e-4)


def test_the_spontaneous_magnetization_is_yangs() -> None:
    T = [1.0, 1.5, 1.8, 2.0, 2.1]
    found = measured(32, T, [0.0] * 5, replicas=16, warm_up=200, count=200)
    error = found.magnetization.std(axis=0, ddof=1) / 4
    np.testing.assert_array_less(np.abs(found.magnetization.mean(axis=0) - exact_magnetization(T)), 4 * error + 2e-4)
    assert exact_magnetization(CRITICAL) == pytest.approx(0, abs=0.02)


def test_onsagers_energy_has_its_known_values() -> None:
    assert exact_energy(CRITICAL) == pytest.approx(-math.sqrt(2), abs=1e-6)
    assert exact_energy(1e3) == pytest.approx(-2e-3, rel=1e-3)
    assert exact_energy(0.05) == pytest.approx(-2)


def test_binders_cumulants_of_two_sizes_cross_at_the_critical_temperature() -> None:
    # 1 - ⟨m⁴⟩/3⟨m²⟩² is the same for all sizes at T_c, larger for the larger size below, smaller above.
    T, replicas = np.array([2.15, 2.2, 2.25, 2.3, 2.35, 2.4]), 96
    table = needed_table(chance_up(T, np.zeros(6)))

    def cumulant(size: int, warm_up: int, count: int) -> Floats:
        lattices, random = Lattices(size, np.ones(6 * replicas, bool)), np.random.PCG64(3)
        second, fourth = np.zeros((2, 6 * replicas))
        for k, _ in enumerate(sweeps(lattices, table, replicas, warm_up + count, random)):
            if k >= warm_up and k % 4 == 0:
                m = lattices.reading()[0]
                second += m**2
                fourth += m**4
        mean2, mean4 = (v.reshape(replicas, 6).sum(axis=0) * 4 / (count * replicas) for v in (second, fourth))
        U: Floats = 1 - mean4 / (3 * mean2**2)
        return U

    difference = cumulant(16, 800, 800) - cumulant(8, 200, 800)
    assert difference[0] > 0 > difference[-1]
    crossing = np.interp(0, -np.poly1d(np.polyfit(T, difference, 1))(T), T)
    assert crossing == pytest.approx(CRITICAL, abs=0.04)
    assert pytest.approx(2.269185) == CRITICAL


def test_hot_spins_are_free() -> None:
    T = [50.0, 200.0]
    found = measured(16, T, [0.0, 0.0], replicas=64, warm_up=20, count=300)
    chi = found.outcomes(np.array(T), 0.0, 1.0, 16)[2]
    # χT → 1 + 4/T: free spins and the first order in the bonds.
    error = (chi * T).std(axis=0, ddof=1) / 8
    assert error.max() < 0.02
    np.testing.assert_array_less(np.abs((chi * T).mean(axis=0) - (1 + 4 / np.array(T))), 4 * error + 0.01)


def test_free_spins_in_a_field_are_a_hyperbolic_tangent() -> None:
    chances = chance_up(np.array([2.0]), np.array([0.7]), coupling=0.0)
    lattices = Lattices(32, np.ones(8, bool))
    m = run(lattices, needed_table(chances), 8, 2, 100, np.random.PCG64(1)).magnetization
    assert m.mean() == pytest.approx(math.tanh(0.35), abs=4 * float(m.std()) / math.sqrt(8) + 1e-4)


def test_certain_chances_stay_certain_and_chances_are_kept_to_16_bits() -> None:
    table = needed_table([[0.0, 0.25, 0.5, 0.75, 1.0]])[:, 0]
    assert [int((table <= k).sum()) for k in range(5)] == [0, 16384, 32768, 49152, 65536]


def test_turning_all_spins_and_the_field_over_changes_only_the_sign() -> None:
    up, down = chance_up([1.7], [0.3]), chance_up([1.7], [-0.3])
    np.testing.assert_allclose(up, 1 - down[:, ::-1])


def test_magnetization_never_falls_as_the_field_rises() -> None:
    magnet, fields = Magnet(32, 30, 30, 1.0, 0.0), np.linspace(-1, 1, 41).tolist()
    for T in (1.5, 2.27, 3.5):
        m = np.array([e.magnetization for e in expected(magnet, [(T, h) for h in fields])])
        assert (np.diff(m) >= 0).all()
        np.testing.assert_allclose(m[:20], -m[:20:-1], atol=1e-9)
        assert m[0] < m[-1]


def test_the_truth_of_a_setting_does_not_depend_on_the_batch_it_is_asked_in() -> None:
    magnet = Magnet(8, 20, 20, 1.0, 0.0)
    pairs = [(T, h) for T in (1.5, 2.3) for h in (-0.5, 0.0, 0.05)]
    together = expected(magnet, pairs)
    ising.TRUTHS.clear()
    backwards = [expected(magnet, [pair])[0] for pair in reversed(pairs)]
    assert backwards[::-1] == together


def test_the_truth_is_as_precise_as_the_data_sheet_says() -> None:
    T, h = np.meshgrid(np.linspace(1, 4, 7), [-0.2, -0.01, 0.0, 0.01])
    found = expected(Magnet(32, 100, 50, 1.0, 0.0), list(zip(T.ravel(), h.ravel(), strict=True)))
    assert max(e.error for e in found) <= 0.01
    assert sum(e.error > 0 for e in found) < 12  # the others are those of the infinite lattice


@pytest.mark.parametrize("T", [2.8, 3.2, 4.0])
def test_the_true_susceptibility_is_that_of_the_exact_series(T: float) -> None:
    chi = float(Ising().truth({"temperature": T, "field": 0.0})["susceptibility"])
    assert chi == pytest.approx(float(high_temperature_susceptibility(np.array([T]))[0]), rel=0.001)


def test_the_true_energy_is_onsagers_and_the_true_magnetization_yangs() -> None:
    T = np.array([1.0, 1.5, 2.0, 2.8, 3.0, 4.0])
    truths = Ising().truths([{"temperature": t, "field": 0.0} for t in T.tolist()])
    np.testing.assert_allclose([float(t["energy"]) for t in truths], exact_energy(T), atol=1e-4)
    np.testing.assert_allclose([float(t["magnetization"]) for t in truths], exact_magnetization(T), atol=1e-4)


def test_cluster_moves_have_the_averages_of_all_states_of_sixteen_spins() -> None:
    T, h = np.array([2.5, 3.0, 5.0, 2.0, 1.5]), np.array([0.0, 0.4, 0.1, 1.0, 2.0])
    values, *errors = equilibrium(4, T, h, 200, 20, 100, np.random.default_rng(3)).pooled(4, T)
    for k, (t, field) in enumerate(zip(T.tolist(), h.tolist(), strict=True)):
        m, square, alignment = enumerated(4, t, field)
        assert values[0, k] == pytest.approx(m, abs=4.5 * errors[0][k])
        assert values[1, k] == pytest.approx(-alignment - field * m, abs=4.5 * errors[0][k])
        assert values[2, k] == pytest.approx(16 * (square - m**2) / t, abs=4.5 * errors[1][k])


def test_the_table_meets_the_cluster_moves_where_one_takes_over_from_the_other() -> None:
    T, h = np.array([2.09, 2.27, 2.7, 2.4]), np.array([0.0, 0.015, 0.0, 0.01])
    np.testing.assert_array_less(2.5, correlation_length(T, h))
    values, error, response = equilibrium(32, T, h, 32, 20, 40, np.random.default_rng(4)).pooled(32, T)
    exact = Infinite.read().at(T, h)
    assert (np.abs(values[:2] - exact[:2]) < 4 * error + 1e-3).all()
    np.testing.assert_array_less(np.abs(values[2] - exact[2]), 4 * response + 0.01 * exact[2])


def test_at_the_critical_temperature_the_susceptibility_grows_as_the_size_to_seven_quarters() -> None:
    chi = [expected(Magnet(size, 1, 2, 1.0, 0.0), [(CRITICAL, 0.0)])[0].susceptibility for size in (8, 16, 32)]
    slopes = np.diff(np.log(chi)) / math.log(2)
    np.testing.assert_allclose(slopes, 7 / 4, atol=0.08)
    assert chi[-1] == pytest.approx(210, rel=0.08)  # as the data sheet says


def test_without_a_field_the_lattice_is_disordered_above_the_critical_temperature() -> None:
    near = {"temperature": 2.35, "field": 0.0}
    truth = Ising(size=16).truth(near)
    assert (truth["phase"], truth["magnetization"]) == ("disordered", 0.0)
    assert Ising(size=16, warm_up=0, sweeps=2).truth(near) == truth  # a truth does not depend on how long one looks
    assert Ising(size=16).truth({"temperature": 2.2, "field": 0.0})["phase"] == "up"


def test_the_mean_of_many_long_measurements_is_the_truth() -> None:
    names = ("magnetization", "energy", "susceptibility")
    for settings in ({"temperature": 2.5, "field": 0.4}, {"temperature": 4.0, "field": 0.0}):
        with Ising(size=8, warm_up=40, sweeps=200, imperfections=0, seed=1) as twin:
            read = np.array([[float(twin.perform(settings).outcomes[n]) for n in names] for _ in range(25)])
            truth = twin.truth(settings)
        assert read[:, 0].mean() == pytest.approx(float(truth["magnetization"]), abs=0.03)
        assert read[:, 1].mean() == pytest.approx(float(truth["energy"]), abs=0.02)
        assert read[:, 2].mean() == pytest.approx(float(truth["susceptibility"]), rel=0.1)


def test_near_the_critical_point_a_short_run_keeps_part_of_its_saturation() -> None:
    settings = {"temperature": 2.5, "field": 0.0}

    def mean(n: int) -> tuple[float, float]:
        with Ising(size=16, warm_up=n, sweeps=n, imperfections=0) as twin:
            runs = [twin.perform(settings).outcomes for _ in range(12)]
        m, chi = ([float(r[name]) for r in runs] for name in ("magnetization", "susceptibility"))
        return float(np.mean(m)), float(np.mean(chi))

    short, long, truth = mean(10), mean(300), Ising(size=16).truth(settings)
    assert short[0] > 0.4
    assert abs(long[0]) < 0.15
    assert short[1] < 0.5 * long[1] < float(truth["susceptibility"])
    assert truth["magnetization"] == 0


def test_the_seed_and_the_probe_change_measurements_and_not_the_truth() -> None:
    settings = {"temperature": 2.0, "field": 0.1}

    def series(**options: Any) -> list[float]:
        with Ising(size=8, warm_up=5, sweeps=5, **options) as twin:
            return [float(twin.perform(settings).outcomes["magnetization"]) for _ in range(4)]

    assert series(seed=1) == series(seed=1)
    assert series(seed=1) != series(seed=2)
    assert series(seed=1) != series(seed=1, imperfections=0)


def test_labels_are_those_of_the_magnetization_thresholds() -> None:
    twin = Ising(size=16, warm_up=20, sweeps=20)
    asked = [{"temperature": T, "field": h} for T, h in ((1.2, 0.5), (1.2, -0.5), (4.0, 0.0), (3.9, 1.0))]
    truths = twin.truths(asked)
    assert [t["phase"] for t in truths[:3]] == ["up", "down", "disordered"]
    for t in truths:
        m = float(t["magnetization"])
        assert t["phase"] == ("up" if m >= 0.5 else "down" if m <= -0.5 else "disordered")


def test_inferred_labels_follow_the_probe_and_direct_ones_the_spins() -> None:
    hot = {"temperature": 3.2, "field": 0.5}
    with Ising(size=16, imperfections=10, seed=2) as probe, Ising(size=16, imperfections=10, seed=2, labeling="direct") as spins:
        pairs = [(probe.perform(hot).outcomes, spins.perform(hot).outcomes) for _ in range(40)]
    assert any(a["phase"] != b["phase"] for a, b in pairs)
    for a, b in pairs:
        assert a["magnetization"] == b["magnetization"]
        assert (a["phase"] == "up") == (float(a["magnetization"]) >= 0.5)


def test_a_magnet_that_remembers_shows_hysteresis_and_one_that_does_not_shows_none() -> None:
    fields = [0.1, 1.0, 0.1, -0.1, -1.0, -0.1, 0.1]

    def loop(remember: bool) -> list[float]:
        with Ising(size=16, warm_up=20, sweeps=10, remember=remember, imperfections=0) as twin:
            return [float(twin.perform({"temperature": 1.3, "field": h}).outcomes["magnetization"]) for h in fields]

    there, back = loop(remember=True), loop(remember=False)
    assert there[3] > 0.9
    assert there[5] < -0.9
    assert there[6] < -0.9
    np.testing.assert_allclose(np.sign(back), np.sign(fields))


def test_no_field_counts_as_up_and_a_new_campaign_has_no_past() -> None:
    twin = Ising(size=16, warm_up=60, sweeps=5, remember=True, imperfections=0)
    cold = {"temperature": 1.2, "field": 0.0}
    with twin:
        assert twin.perform(cold).outcomes["phase"] == "up"
        twin.perform({"temperature": 1.2, "field": -1.0})
        assert twin.perform(cold).outcomes["phase"] == "down"
    twin.resume([])
    with twin:
        assert twin.perform(cold).outcomes["phase"] == "up"


def test_the_energy_has_the_field_in_it() -> None:
    twin = Ising(size=8, warm_up=2, sweeps=2, stray_field=0.25, coupling=2.0)
    cold = twin.truth({"temperature": 1.0, "field": 0.5})
    assert cold["magnetization"] == pytest.approx(1)
    assert cold["energy"] == pytest.approx(-2 * 2 - 0.75)


def test_a_stray_field_moves_the_diagram_and_a_coupling_stretches_it() -> None:
    twin = Ising(size=8, warm_up=10, sweeps=10, coupling=1.2, stray_field=-0.15)
    diagram = twin.diagram(at=1.5)
    assert diagram.marks[0].at == pytest.approx((1.2 * CRITICAL, 0.15))
    line, *gradual = diagram.lines
    assert [other.kind for other in gradual] == ["gradual change"] * 2
    for other in gradual:  # half magnetization
        truths = twin.truths([{"temperature": T, "field": h} for T, h in other.points[20:].tolist()])
        np.testing.assert_allclose([abs(float(t["magnetization"])) for t in truths], 0.5, atol=0.03)
    for T in (1.2, 2.0):
        below, above = twin.truths([{"temperature": T, "field": 0.15 + d} for d in (-0.05, 0.05)])
        assert (below["phase"], above["phase"]) == ("down", "up")
    np.testing.assert_allclose(line.points, [[1.0, 0.15], [1.2 * CRITICAL, 0.15]])
    assert diagram.section is not None
    assert diagram.section.cuts == ("temperature", 1.5)
    with pytest.raises(InvalidInput, match="not at 9 J/k"):
        twin.diagram(at=9.0)


def test_three_hundred_drawn_systems_have_their_critical_point_in_the_diagram() -> None:
    for k in range(300):
        magnet = Ising(system=k).magnet
        assert 1.0 < CRITICAL * magnet.coupling < 4.0
        assert -1 < magnet.stray_field < 1
    assert Ising(system=1, coupling=1.1).magnet.coupling == 1.1
    assert Ising(system=1).magnet != Ising(system=2).magnet


@pytest.mark.parametrize("system", [1, 2, 3])
def test_drawn_systems_have_all_three_fields(system: int) -> None:
    twin = Ising(size=16, warm_up=20, sweeps=10, system=system)
    asked = [{"temperature": T, "field": h} for T in np.linspace(1, 4, 7).tolist() for h in np.linspace(-1, 1, 9).tolist()]
    assert {t["phase"] for t in twin.truths(asked)} == {"up", "down", "disordered"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"size": 5}, "size = 5: it is even"),
        ({"size": 2}, "size = 2: it is a whole number from 4 to 256"),
        ({"size": 300}, "size"),
        ({"size": 8.0}, "size"),
        ({"sweeps": 1}, "sweeps"),
        ({"warm_up": -1}, "warm_up"),
        ({"coupling": 0.0}, "coupling = 0 J has no physical meaning"),
        ({"coupling": -1.0}, "coupling"),
        ({"stray_field": math.nan}, "stray_field"),
        ({"imperfections": math.nan}, "imperfections"),
        ({"imperfections": -1.0}, "imperfections"),
        ({"labeling": "guessed"}, "labeling"),
        ({"seed": -1}, "seed"),
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Ising(**wrong)


def test_a_run_costs_its_sweeps() -> None:
    assert Ising(warm_up=10, sweeps=40).estimate({}).seconds == pytest.approx(3.0)


def test_stop_ends_a_long_run_that_is_under_way() -> None:
    twin = Ising(size=16, warm_up=100_000, sweeps=100_000)
    with twin:
        timer = threading.Timer(0.05, twin.stop)
        timer.start()
        with pytest.raises(Stopped, match="during its sweeps"):
            twin.perform({"temperature": 2.0, "field": 0.0})
        timer.join()
