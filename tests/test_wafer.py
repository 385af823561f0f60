"""Physics and promises of the composition-spread wafer and its probe."""

import math
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from frugaltwin.amounts import Amounts
from frugaltwin.catalog import make_driver, make_goal, make_strategy
from frugaltwin.errors import InvalidInput, Stopped
from frugaltwin.experiment import Measurement
from frugaltwin.instruments.procedure import Measure, Move, ProbeProcedure, Scan
from frugaltwin.state import State
from simulator.wafer import (
    CHANNELS,
    HALF,
    LABELS,
    PURE,
    SETS,
    Film,
    Optics,
    SimulatedProbe,
    Wafer,
    WaferTwin,
    blurred,
    composition,
    deviation,
    inferred,
    sources,
    spread_matrix,
    surface,
)

Floats = NDArray[np.float64]


def film(system: int | None = None) -> Film:
    return WaferTwin(system=system).film


def grid(n: int = 41) -> Floats:
    along = np.linspace(-HALF, HALF, n)
    return np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)


def reading(measurement: Measurement) -> Floats:
    return np.array([float(measurement.outcomes[c]) for c in CHANNELS])


def accuracy(n: int = 600, **options: object) -> float:
    """How often the label at random places is the true one."""
    rows = np.random.default_rng(4).uniform(-HALF, HALF, (n, 2)).tolist()
    with make_driver("wafer", options, seed=1) as twin:
        assert isinstance(twin, WaferTwin)
        settings = [{"x": x, "y": y} for x, y in rows]
        return sum(twin.perform(s).outcomes["phase"] == t["phase"] for s, t in zip(settings, twin.truths(settings), strict=True)) / n


# Position → composition


@pytest.mark.parametrize("lengths", [(25.0, 25.0, 25.0), (10.0, 25.0, 60.0)])
def test_the_center_gets_equal_parts_whatever_the_lengths(lengths: tuple[float, ...]) -> None:
    np.testing.assert_allclose(composition([0.0, 0.0], sources(90, 30), lengths), np.full(3, 1 / 3), atol=1e-15)


def test_three_equal_sources_give_a_film_with_a_threefold_axis() -> None:
    places = np.random.default_rng(0).uniform(-HALF, HALF, (50, 2))
    turn = np.array([[math.cos(2 * math.pi / 3), -math.sin(2 * math.pi / 3)], [math.sin(2 * math.pi / 3), math.cos(2 * math.pi / 3)]])
    here, turned = (composition(p, sources(90, 90), [25] * 3) for p in (places, places @ turn.T))
    np.testing.assert_allclose(turned, here[:, [2, 0, 1]], atol=1e-12)


def test_mirrored_places_swap_the_two_elements_beside_the_mirror() -> None:
    places = np.random.default_rng(1).uniform(-HALF, HALF, (50, 2))
    here, mirrored = (composition(p, sources(90, 90), [25] * 3) for p in (places, places * [-1, 1]))
    np.testing.assert_allclose(mirrored, here[:, [0, 2, 1]], atol=1e-12)


def test_on_the_axis_of_a_source_its_share_is_a_closed_form() -> None:
    # Towards A the other two are equally far away: c_A / c_B = exp((d_B - d_A) / length).
    y = np.linspace(-HALF, HALF, 9)
    c = composition(np.stack([0 * y, y], axis=1), sources(90, 90), [25] * 3)
    ratio = np.exp((np.sqrt(90**2 + y**2 + 90 * y) - (90 - y)) / 25)
    np.testing.assert_allclose(c[:, 0] / c[:, 1], ratio, rtol=1e-12)
    assert (np.diff(c[:, 0]) > 0).all()


def test_compositions_add_up_to_one_even_for_fluxes_that_vanish() -> None:
    c = composition(grid(), sources(500, 0), [5.0, 5.0, 5.0])
    np.testing.assert_allclose(c.sum(axis=1), 1, rtol=1e-14)
    assert np.isfinite(c).all()


def test_a_place_is_found_from_its_composition() -> None:
    that = film(3)
    places = np.random.default_rng(2).uniform(-HALF, HALF, (200, 2))
    np.testing.assert_allclose(that.places(that.composition(places)), places, atol=1e-8)
    assert np.isnan(that.places(np.array([[0.999, 0.0005, 0.0005]]))).all()


# Composition → phases


@pytest.mark.parametrize("system", [None, 1, 2, 3])
def test_the_lever_rule_conserves_mass_and_coexisting_phases_share_a_tangent(system: int | None) -> None:
    that = film(system)
    wells, c = that.equilibrium.wells, np.random.default_rng(5).dirichlet([1, 1, 1], 2000)
    f, stable = that.equilibrium.fractions(c), that.equilibrium.sets(c)
    np.testing.assert_allclose(f.sum(axis=1), 1, atol=1e-12)
    assert f.min() >= 0
    shift = c - f @ wells
    phases = wells + shift[:, None]  # [n, phase, component]: the compositions of the phases
    np.testing.assert_allclose(np.einsum("nk,nkj->nj", f, phases), c, atol=1e-10)
    # Energy |x - c_k|² less the tangent plane of slope 2 shift, in every phase: equal where it is there, higher where it is not.
    height = (shift**2).sum(axis=1, keepdims=True) - 2 * np.einsum("nj,nkj->nk", shift, phases)
    lowest = height.min(axis=1, keepdims=True)
    there = np.array([[k in SETS[s] for k in range(3)] for s in stable.tolist()])
    assert (there == (f > 0)).all()
    assert np.abs((height - lowest)[there]).max() < 1e-10
    assert set(stable.tolist()) == set(range(7))


def test_no_other_mixture_of_the_phases_has_less_energy() -> None:
    # Σ f_k |x_k - c_k|² under Σ f_k x_k = c is least, for given f, where every x_k = c_k + c - Σ f c: it is |c - Σ f c|².
    that, random = film(), np.random.default_rng(6)
    wells, c = that.equilibrium.wells, random.dirichlet([1, 1, 1], 200)
    best = ((c - that.equilibrium.fractions(c) @ wells) ** 2).sum(axis=1)
    for other in random.dirichlet([0.4, 0.4, 0.4], 300):
        assert (((c - other @ wells) ** 2).sum(axis=1) >= best - 1e-12).all()


def test_a_well_is_one_phase_and_the_middle_of_two_wells_is_half_of_each() -> None:
    that = film().equilibrium
    np.testing.assert_allclose(that.fractions(that.wells), np.eye(3), atol=1e-12)
    middle = (that.wells[0] + that.wells[1])[None] / 2
    np.testing.assert_allclose(that.fractions(middle), [[0.5, 0.5, 0]], atol=1e-12)
    np.testing.assert_allclose(that.fractions(that.wells.mean(axis=0)[None]), np.full((1, 3), 1 / 3), atol=1e-12)


def test_every_drawn_system_has_all_seven_fields_on_its_library() -> None:
    seen = set()
    for system in range(60):
        count = Counter(film(system).labels(grid()))
        assert set(count) == set(LABELS)
        assert min(count.values()) > 0.02 * len(grid())
        seen.add(tuple(sorted(count.items())))
    assert len(seen) == 60


def test_the_lines_of_the_diagram_divide_the_fields() -> None:
    twin = WaferTwin(system=11)
    lines = [line.points for line in twin.diagram().lines]
    assert len(lines) == 9
    for points in lines:
        here, along = (points[1:] + points[:-1]) / 2, np.diff(points, axis=0)
        across = 0.05 * np.stack([-along[:, 1], along[:, 0]], axis=1) / np.hypot(*along.T)[:, None]
        left, right = twin.film.labels(here + across), twin.film.labels(here - across)
        assert all(a != b for a, b in zip(left[5:-5], right[5:-5], strict=True))
    with pytest.raises(InvalidInput, match="no section to cut at 3"):
        twin.diagram(3.0)


# Looks


def test_the_noise_is_the_formula_of_the_dwell() -> None:
    n = 1500
    for dwell in (0.5, 4.0):
        with WaferTwin(dwell=dwell, seed=2) as twin:
            here = {"x": 10.0, "y": -5.0}
            errors = np.array([reading(twin.perform(here)) for _ in range(n)]) - np.array([twin.truth(here)[c] for c in CHANNELS])
        expected = 0.05 + 0.18 * math.exp(-dwell)
        assert errors.std() == pytest.approx(expected, abs=4 * expected / math.sqrt(2 * errors.size))
        assert abs(errors.mean()) < 4 * expected / math.sqrt(errors.size)
        assert float(deviation(dwell)) == pytest.approx(expected)


def test_noise_has_its_own_options_and_scales_with_the_imperfections() -> None:
    here = {"x": 0.0, "y": 0.0}
    with WaferTwin(dwell=1.0, floor=0.2, short=0.0, imperfections=2.0) as twin:
        noisy = np.array([reading(twin.perform(here)) for _ in range(300)])
        assert twin.perform(here).raw["deviation"] == pytest.approx(0.4)
    assert noisy.std(axis=0).mean() == pytest.approx(0.4, rel=0.1)
    with WaferTwin(dwell=1.0, imperfections=0.0) as twin:
        assert twin.perform(here).outcomes == twin.truth(here)


@pytest.mark.parametrize(("pixels", "blur"), [(71, 0.15), (13, 0.15), (13, 0.3), (5, 0.02), (40, 0.05)])
def test_blur_keeps_the_mean_and_is_a_gaussian_filter(pixels: int, blur: float) -> None:
    spread = spread_matrix(pixels, blur)
    np.testing.assert_allclose(spread.sum(axis=0), 1, atol=1e-12)
    np.testing.assert_allclose(spread.sum(axis=1), 1, atol=1e-12)
    row = np.random.default_rng(3).uniform(size=pixels)
    sigma = blur * (pixels - 1)
    np.testing.assert_allclose(spread @ row, ndimage.gaussian_filter1d(row, sigma, mode="reflect", truncate=3.0), atol=1e-12)
    image = blurred(film(), (3.0, 4.0), 30.0, pixels, blur).channels
    sharp = blurred(film(), (3.0, 4.0), 30.0, pixels, 0.0).channels
    np.testing.assert_allclose(image.mean(axis=(0, 1)), sharp.mean(axis=(0, 1)), rtol=1e-12)


def test_an_image_without_blur_is_the_film_and_has_its_rows_along_y() -> None:
    image = blurred(film(), (5.0, -8.0), 20.0, 21, 0.0)
    np.testing.assert_allclose((image.x[[0, -1]], image.y[[0, -1]]), [[-5, 15], [-18, 2]])
    np.testing.assert_allclose(image.channels[2, 15], film().spectra(np.array([[image.x[15], image.y[2]]]))[0], atol=1e-12)
    np.testing.assert_allclose(image.near(image.x[15] + 0.2, image.y[2] - 0.2), image.channels[2, 15])


def test_the_overview_is_more_blurred_than_the_zoom_and_the_spectrum_is_sharp() -> None:
    places = grid(15)
    settings = [{"x": x, "y": y} for x, y in places.tolist()]
    sharp = film().spectra(places)

    def error(look: str) -> float:
        twin = make_driver("wafer", {"look": look} | ({"dwell": 1} if look == "spectrum" else {}))
        assert isinstance(twin, WaferTwin)
        return float(np.sqrt(np.mean((np.array([[y[c] for c in CHANNELS] for y in twin.truths(settings)], dtype=float) - sharp) ** 2)))

    assert error("spectrum") == 0
    assert 1e-4 < error("zoom") < 0.1 * error("overview")


def test_a_zoom_reads_the_middle_of_its_image() -> None:
    twin = WaferTwin(look="zoom", imperfections=0.0)
    here = {"x": -17.0, "y": 12.5}
    with twin:
        read = reading(twin.perform(here))
    np.testing.assert_allclose(read, [float(twin.truth(here)[c]) for c in CHANNELS], atol=1e-12)
    np.testing.assert_allclose(read, blurred(twin.film, (-17.0, 12.5), 7.0, 13, 0.15).near(-17.0, 12.5), atol=1e-12)


def test_the_overview_is_taken_once_and_a_place_always_reads_the_same() -> None:
    with WaferTwin(look="overview") as twin:
        here = {"x": 20.0, "y": 20.0}
        before = twin.estimate(here)
        first, second = twin.perform(here), twin.perform(here)
        assert before.seconds == first.cost.seconds == pytest.approx(71**2 * 0.005)
        assert second.cost.seconds == twin.estimate(here).seconds == 0
        assert first.outcomes == second.outcomes
        assert twin.perform({"x": 20.0, "y": -20.0}).cost.seconds == 0
    again = WaferTwin(look="overview")
    again.resume([])
    with again:
        assert again.perform(here).cost.seconds > 0


# Labels


def test_a_label_is_right_at_long_dwell_and_worse_at_short_dwell() -> None:
    long, short = accuracy(dwell=6.0), accuracy(dwell=0.1)
    assert long > 0.8
    assert short < long - 0.15


def test_without_noise_the_label_of_a_spectrum_is_the_true_one() -> None:
    assert accuracy(dwell=1.0, imperfections=0.0) > 0.98


def test_a_direct_label_is_never_wrong() -> None:
    assert accuracy(n=100, dwell=0.1, labeling="direct") == 1
    assert accuracy(n=100, look="overview", labeling="direct") == 1


@pytest.mark.parametrize("set_number", range(7))
def test_a_clean_mixture_is_recognized(set_number: int) -> None:
    phases = SETS[set_number]
    mixed = PURE[list(phases)].mean(axis=0)
    assert inferred(mixed, 0.05) == LABELS[set_number]


def test_a_phase_counts_as_seen_from_two_standard_deviations() -> None:
    edge = PURE[1] - PURE[0]
    least = 2 * 0.05 / float(np.linalg.norm(edge))
    assert inferred(PURE[0] + 0.99 * least * edge, 0.05) == "alpha"
    assert inferred(PURE[0] + 1.01 * least * edge, 0.05) == "alpha + beta"


# Time, money, order


def test_a_move_takes_its_distance_over_the_speed_and_settles() -> None:
    with SimulatedProbe(film(), Optics(speed=5.0, settle=2.0, price=36.0)) as probe:
        probe.move(30.0, 40.0)
        assert probe.spent == Amounts(seconds=50 / 5 + 2, money=12 * 0.01)
        probe.move(30.0, 40.0)
        assert probe.spent.seconds == 12
        assert probe.price("move", place=(30.0, 35.0)).seconds == 3
        probe.measure(1.5)
        assert probe.spent.seconds == 13.5
        probe.scan(10.0, 20)
        assert probe.spent.seconds == 13.5 + 400 * 0.005
        assert probe.price("measure", 2.5).seconds == 2.5


def test_a_spectrum_costs_its_move_and_its_dwell_and_no_money_by_default() -> None:
    with WaferTwin() as twin:
        there = {"x": 30.0, "y": 0.0, "dwell": 2.0}
        assert twin.perform(there).cost == Amounts(seconds=3.5 + 2.0)
        assert twin.perform(there).cost == Amounts(seconds=2.0)


def test_the_order_of_experiments_matters() -> None:
    left, right = ({"x": x, "y": 0.0, "dwell": 1.0} for x in (-30.0, 30.0))

    def seconds(*order: dict[str, float]) -> float:
        with WaferTwin() as twin:
            return sum(twin.perform(s).cost.seconds for s in order)

    assert seconds(left, right, left, right) > seconds(left, left, right, right) + 10


def test_steps_are_priced_as_they_are_performed() -> None:
    steps = ProbeProcedure((Move("x", -3.0), Scan(7.0, 9), Measure("t"), Measure(0.5)))
    with SimulatedProbe(film()) as probe:
        settings = {"x": 12.0, "t": 1.5}
        expected = steps.estimate(probe, settings)
        image, first, second = steps.perform(probe, settings)
        assert probe.spent.seconds == pytest.approx(expected.seconds)
    assert not isinstance(image, np.ndarray)
    assert isinstance(first, np.ndarray)
    assert isinstance(second, np.ndarray)
    assert image.channels.shape == (9, 9, 8)


# Stop, seeds, options


def test_a_stopped_probe_does_nothing_more_and_stays_where_it_is() -> None:
    probe = SimulatedProbe(film())
    with pytest.raises(Stopped, match="not connected"):
        probe.move(1.0, 1.0)
    with probe:
        probe.move(1.0, 2.0)
        spent = probe.spent
        probe.stop()
        for instruction in (lambda: probe.move(5.0, 5.0), lambda: probe.measure(1.0), lambda: probe.scan(10.0, 9)):
            with pytest.raises(Stopped):
                instruction()
    assert probe.place == (1.0, 2.0)
    assert probe.spent == spent
    with probe:
        probe.move(5.0, 5.0)


def test_a_stop_between_two_steps_is_paid_for_and_says_so() -> None:
    class Interrupted(SimulatedProbe):
        def move(self, x: float, y: float) -> None:
            super().move(x, y)
            self.stop()

    driver = Wafer(Interrupted(film()), Optics())
    with driver, pytest.raises(Stopped) as stopped:
        driver.perform({"x": 20.0, "y": 0.0, "dwell": 1.0})
    assert stopped.value.cost == Amounts(seconds=2.5)


def test_the_same_seed_gives_the_same_image_and_another_seed_another() -> None:
    def image(seed: int) -> Floats:
        with SimulatedProbe(film(), seed=seed) as probe:
            return probe.scan(70.0, 21).channels

    np.testing.assert_array_equal(image(3), image(3))
    assert not (image(3) == image(4)).any()


def test_a_system_is_drawn_within_its_ranges_and_what_is_given_stays() -> None:
    assert film(7).lengths.min() >= 21
    assert film(7).lengths.max() <= 27
    assert WaferTwin(system=7, length_b=50.0).film.lengths.tolist() == [film(7).lengths[0], 50.0, film(7).lengths[2]]
    np.testing.assert_array_equal(film(7).positions, film(7).positions)
    assert (film(7).positions != film(8).positions).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distance": 20.0}, "distance = 20 mm has no physical meaning"),
        ({"length_a": 0.0}, "length_a = 0 mm has no physical meaning"),
        ({"alpha": 1.2}, "alpha = 1.2 has no physical meaning"),
        ({"gamma_rest": math.nan}, "gamma_rest = nan"),
        ({"floor": -0.1}, "floor = -0.1 is not allowed"),
        ({"short": math.nan}, "short = nan is not allowed"),
        ({"blur": 0.5}, "blur = 0.5 is not allowed"),
        ({"speed": 0.0}, "speed = 0 mm/s is not allowed"),
        ({"settle": -1.0}, "settle = -1 s is not allowed"),
        ({"imperfections": math.nan}, "imperfections = nan is not allowed"),
        ({"dwell": 0.0}, r"dwell = 0 s is outside \[0.1, 6\] s"),
        ({"dwell": math.nan}, "dwell = nan s is outside"),
        ({"look": "glance"}, "look = 'glance': it is spectrum, zoom or overview"),
        ({"labeling": "guessed"}, "labeling = 'guessed': it is inferred or direct"),
        ({"look": "zoom", "dwell": 1.0}, "dwell = 1 s is for look=spectrum"),
    ],
)
def test_options_without_a_meaning_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        WaferTwin(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("instruction", "arguments", "message"),
    [
        ("move", (51.0, 0.0), "x = 51 mm is off the stage"),
        ("move", (0.0, math.nan), "y = nan mm is off the stage"),
        ("measure", (0.0,), "dwell = 0 s is outside"),
        ("measure", (math.nan,), "dwell = nan s is outside"),
        ("scan", (0.0, 9), "width = 0 mm of an image is outside"),
        ("scan", (7.0, 2), "pixels = 2 along the side of an image is outside"),
    ],
)
def test_instructions_that_the_probe_cannot_follow_are_refused_and_cost_nothing(
    instruction: str, arguments: tuple[float, ...], message: str
) -> None:
    with SimulatedProbe(film()) as probe:
        with pytest.raises(InvalidInput, match=message):
            getattr(probe, instruction)(*arguments)
        assert probe.spent == Amounts()


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["x", "y", "look", "dwell"]),
        ({"dwell": 2.0}, ["x", "y", "look"]),
        ({"look": "spectrum"}, ["x", "y", "dwell"]),
        ({"look": "zoom"}, ["x", "y"]),
        ({"look": "overview"}, ["x", "y"]),
    ],
)
def test_a_look_has_the_settings_that_it_needs(options: dict[str, object], names: list[str]) -> None:
    driver = make_driver("wafer", options)
    assert [p.name for p in driver.experiment.parameters] == names
    (settings,) = [s.settings for s in make_strategy("sobol").suggest(State(make_goal("map:phase", driver)))]
    with driver:
        driver.experiment.check_outcomes(driver.perform(driver.experiment.check(settings)).outcomes)


def averaged_error(n: int, dwell: float, **options: float) -> tuple[float, float]:
    """Error of the mean of n spectra of each of many places, rms, and the seconds at each."""
    places = np.random.default_rng(5).uniform(-30, 30, (60, 2))
    with SimulatedProbe(film(), Optics(**options), seed=2, film_seed=3) as probe:
        means = []
        for x, y in places.tolist():
            probe.move(x, y)
            start = probe.clock
            means.append(np.mean([probe.measure(dwell) for _ in range(n)], axis=0))
    return float(np.sqrt(np.mean((np.array(means) - film().spectra(places)) ** 2))), probe.clock - start


def test_sixty_short_spectra_do_not_beat_a_long_one_where_the_floor_stays_and_a_readout_takes_time() -> None:
    short, _ = averaged_error(60, 0.1)
    long, _ = averaged_error(1, 6.0)
    assert short < 0.6 * long  # the tidy lab: a white floor, and a readout of no time
    options = {"pattern": 1.0, "readout": 1.0}
    long, seconds = averaged_error(1, 6.0, **options)
    assert seconds == pytest.approx(7.0)
    for dwell in (0.1, 0.5, 1.0, 2.5):
        split, _ = averaged_error(int(seconds / (dwell + 1)), dwell, **options)
        assert split > 0.98 * long


def test_a_place_keeps_its_error_and_its_neighbor_beyond_the_spot_has_another() -> None:
    places = np.random.default_rng(1).uniform(-35, 35, (2000, 2))
    here = surface(4, places)
    np.testing.assert_array_equal(surface(4, places), here)
    assert np.abs(here.mean()) < 0.1
    assert here.std() == pytest.approx(1, abs=0.1)
    near, far = (np.mean(here * surface(4, places + np.array([step, 0.0]))) / here.var() for step in (0.05, 3.0))
    assert near > 0.98
    assert abs(far) < 0.1
    assert np.abs(surface(5, places) - here).mean() > 0.5


def test_a_readout_is_in_the_price_and_in_the_cost() -> None:
    settings: dict[str, float | str] = {"x": 3.0, "y": 4.0, "look": "spectrum", "dwell": 2.0}
    with WaferTwin(readout=1.5, price=36.0) as twin:
        priced = twin.estimate(settings)
        cost = twin.perform(settings).cost
    assert cost.seconds == pytest.approx(0.5 + 0.5 + 2.0 + 1.5)
    assert (priced.seconds, priced.money) == pytest.approx((cost.seconds, cost.money))
