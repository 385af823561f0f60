"""Kubelka-Munk, what the instrument makes of it, and a campaign that matches a paint."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from frugaltwin import Campaign, catalog
from frugaltwin.color import cie_table, delta_e, reading_lab
from frugaltwin.errors import InvalidInput, OutOfBounds, RigFault, Stopped
from frugaltwin.experiment import Settings
from frugaltwin.goals import MatchColor
from frugaltwin.tables import color_of
from simulator.color_mixing import spectral_lab
from simulator.equations.paints import behind_a_surface, ratio_of_mixture
from simulator.instruments.mixer import Imperfections, SimulatedMixer
from simulator.instruments.sensors import SENSORS, make_sensor
from simulator.paint_mixing import (
    LAW,
    PAINTS,
    TOTAL,
    PaintMixing,
    PaintMixingTwin,
    Surface,
    absorption,
    calibration,
    channels,
    liquids,
    scattering,
)

WHITE: Settings = {"red": 0.0, "yellow": 0.0, "blue": 0.0, "white": 4.0}
GREEN: Settings = {"red": 0.0, "yellow": 0.5, "blue": 0.3, "white": 3.2}
NONE = Imperfections().scaled(0)
OFF = dict.fromkeys(vars(Imperfections()), 0.0)


def recipes(n: int, seed: int = 0) -> NDArray[np.float64]:
    pastes = np.random.default_rng(seed).random((n, 3))
    return np.column_stack([pastes, TOTAL - pastes.sum(axis=1)])


def named(row: list[float]) -> Settings:
    return dict(zip(PAINTS, row, strict=True))


def reading(twin: PaintMixingTwin, settings: Settings = GREEN) -> NDArray[np.float64]:
    return np.array(list(twin.perform(settings).outcomes.values()), dtype=float)


def truth(twin: PaintMixingTwin, settings: Settings = GREEN) -> NDArray[np.float64]:
    return np.array(list(twin.truth(settings).values()), dtype=float)


# Physics


@pytest.mark.parametrize(("reflected", "expected"), [(0.1, 4.05), (0.2, 1.6), (0.4, 0.45), (0.5, 0.25), (0.8, 0.025), (1.0, 0.0)])
def test_the_kubelka_munk_function_has_its_known_values_and_its_inverse(reflected: float, expected: float) -> None:
    assert float(LAW.latent(np.array(reflected))) == pytest.approx(expected, abs=1e-12)
    assert float(LAW.outcomes(np.array(expected))) == pytest.approx(reflected, abs=1e-12)


def test_reflectance_is_the_printed_formula_and_stays_exact_for_black_paint() -> None:
    k = np.geomspace(1e-6, 1e3, 400)
    assert np.allclose(LAW.outcomes(k), 1 + k - np.sqrt(k**2 + 2 * k), rtol=1e-6)
    told = k < 100  # darker is mostly noise to the law
    assert np.allclose(LAW.latent(LAW.outcomes(k[told])), k[told], rtol=1e-9)
    assert float(LAW.outcomes(np.array(1e9))) == pytest.approx(0.5e-9, rel=1e-6)


def test_reflectance_lies_between_nothing_and_all_and_falls_with_absorption() -> None:
    reflected = LAW.outcomes(np.concatenate([[0.0], np.geomspace(1e-9, 1e9, 2000)]))
    assert reflected[0] == 1
    assert (reflected > 0).all()
    assert (np.diff(reflected) < 0).all()


def test_the_ratio_of_a_mixture_is_the_mean_of_its_paints_weighted_by_what_they_scatter() -> None:
    parts = recipes(50)
    each = absorption() / scattering()[:, None]
    weights = parts * scattering()
    mean = (weights @ each) / weights.sum(axis=1, keepdims=True)
    assert np.allclose(ratio_of_mixture(parts, absorption(), scattering()), mean)


def test_paints_that_scatter_alike_add_up_by_volume() -> None:
    K = np.array([[8.0, 0.0], [0.0, 4.0]])
    assert ratio_of_mixture(np.array([1.0, 3.0]), K, np.array([2.0, 2.0])).tolist() == [1.0, 1.5]


def test_only_white_reflects_as_white_and_water_only_thins() -> None:
    white = Surface().seen(np.array([0.0, 0.0, 0.0, 1.0]))
    assert np.allclose(LAW.latent(white), absorption()[3] / scattering()[3])
    assert np.allclose(Surface().seen(np.array([0.1, 0.2, 0.3, 0.4])), Surface().seen(np.array([0.05, 0.1, 0.15, 0.2])))
    assert Surface().seen(np.zeros(4)).tolist() == [0.0] * len(cie_table()["wavelength_nm"])
    for name in SENSORS:
        assert np.allclose(channels(np.array([0.0, 0.0, 0.0, 4.0]), make_sensor(name, {}), NONE), 1)


def test_a_surface_keeps_light_out_and_throws_light_back() -> None:
    reflected = np.linspace(0, 1, 101)
    assert behind_a_surface(reflected, 0.0, 0.0).tolist() == reflected.tolist()
    seen = behind_a_surface(reflected, 0.04, 0.6)
    assert seen[0] == 0
    assert seen[-1] == pytest.approx(0.96)
    assert (np.diff(seen) > 0).all()
    assert (seen[1:-1] < reflected[1:-1]).all()


def test_more_paste_in_place_of_white_is_never_brighter() -> None:
    for name in SENSORS:
        lighter = recipes(200)
        darker = np.minimum(lighter + 0.1, 1.0)
        darker[:, 3] = TOTAL - darker[:, :3].sum(axis=1)
        sensor = make_sensor(name, {})
        assert (channels(darker, sensor, NONE) <= channels(lighter, sensor, NONE) + 1e-12).all()


@pytest.mark.parametrize(
    ("settings", "hue"),
    [
        ({"red": 1.0, "yellow": 0.0, "blue": 0.0, "white": 3.0}, (-10, 40)),
        ({"red": 0.0, "yellow": 1.0, "blue": 0.0, "white": 3.0}, (80, 100)),
        ({"red": 0.0, "yellow": 0.0, "blue": 1.0, "white": 3.0}, (210, 260)),
        ({"red": 0.0, "yellow": 0.5, "blue": 0.5, "white": 3.0}, (130, 180)),
    ],
)
def test_tints_have_the_hue_of_their_names_and_yellow_with_blue_is_green(settings: Settings, hue: tuple[float, float]) -> None:
    twin = PaintMixingTwin()
    color = color_of(twin.experiment, settings, twin.truth(settings))
    angle = np.degrees(np.arctan2(color["b"], color["a"])) % 360
    assert hue[0] <= (angle - 360 if angle > 350 else angle) <= hue[1]
    assert np.hypot(color["a"], color["b"]) > 25


# The instrument


@pytest.mark.parametrize(("sensor", "median", "worst"), [("as7341", 0.1, 1.0), ("tcs34725", 1.0, 6.0)])
@pytest.mark.parametrize("surface", [Surface(), Surface(0.04, 0.6)])
def test_a_sensors_color_is_close_to_the_color_that_an_eye_sees(sensor: str, median: float, worst: float, surface: Surface) -> None:
    volumes = recipes(2000, seed=1)
    read = channels(volumes, make_sensor(sensor, {}), NONE, surface)
    difference = delta_e(reading_lab(calibration(sensor, surface), read), spectral_lab(surface.seen(volumes)))
    assert np.median(difference) < median
    assert difference.max() < worst


def test_the_white_base_has_exactly_its_own_color() -> None:
    base = spectral_lab(Surface().seen(np.array([0.0, 0.0, 0.0, 1.0])))
    for name in SENSORS:
        color = calibration(name)
        assert np.allclose(reading_lab(color, np.ones(len(color.channels))), base)
    assert 95 < base[0] < 100


def test_without_imperfections_a_reading_is_the_truth_but_for_whole_counts() -> None:
    with PaintMixingTwin(imperfections=0) as twin:
        for row in recipes(20).tolist():
            measurement = twin.perform(named(row))
            whites = np.array([float(measurement.raw[f"white_{o.name.removeprefix('r_')}"]) for o in twin.experiment.outcomes])
            read = np.array(list(measurement.outcomes.values()), dtype=float)
            assert (np.abs(read - truth(twin, named(row))) < 2 / whites).all()


@pytest.mark.parametrize("name", list(vars(Imperfections())))
def test_every_imperfection_alone_changes_what_is_read_and_can_be_turned_off(name: str) -> None:
    size, n = (3.0, 12) if vars(Imperfections())[name] else (10.0, 40)  # mishaps are rare
    with PaintMixingTwin(imperfections=0) as perfect:
        before = [reading(perfect) for _ in range(n)]
    with PaintMixingTwin(**(OFF | {name: size})) as flawed:  # type: ignore[arg-type]
        after = [reading(flawed) for _ in range(n)]
    assert np.abs(np.array(before) - np.array(after)).max() > 1e-4
    assert np.ptp(np.array(before), axis=0).max() < 1e-12


def test_the_white_base_is_looked_at_in_a_clean_cell() -> None:
    dark: Settings = {"red": 1.0, "yellow": 1.0, "blue": 1.0, "white": 1.0}
    with PaintMixingTwin(**(OFF | {"carry_over": 1.0})) as twin:  # type: ignore[arg-type]
        whites = [twin.perform(dark).raw["white_clear"] for _ in range(6)]
    with PaintMixingTwin(imperfections=0) as clean:
        white = clean.perform(dark).raw["white_clear"]
    assert whites == pytest.approx([white] * 6, rel=5e-3)
    assert whites[0] != whites[5]


def test_the_same_seed_gives_the_same_readings_and_another_seed_others() -> None:
    def three(seed: int) -> list[list[float]]:
        with PaintMixingTwin(seed=seed) as twin:
            return [reading(twin).tolist() for _ in range(3)]

    assert three(1) == three(1)
    assert three(1) != three(2)


def test_truth_keeps_what_is_systematic_and_leaves_out_what_is_random() -> None:
    assert truth(PaintMixingTwin(seed=1)).tolist() == truth(PaintMixingTwin(seed=2)).tolist()
    assert truth(PaintMixingTwin()).tolist() != truth(PaintMixingTwin(pump_bias=0)).tolist()
    assert truth(PaintMixingTwin()).tolist() == truth(PaintMixingTwin(pump_error=0, sensor_noise=0, carry_over=9)).tolist()
    assert truth(PaintMixingTwin()).tolist() != truth(PaintMixingTwin(surface_inside=0.6)).tolist()


def test_a_blind_sensor_says_that_it_cannot_see_the_white_base() -> None:
    with pytest.raises(RigFault, match="sees no light on the white base"), PaintMixingTwin(gain=0.5):
        pass


def test_a_stop_ends_what_is_under_way() -> None:
    class Impatient(SimulatedMixer):
        def mix(self, seconds: float) -> None:
            super().mix(seconds)
            if seconds > 20:
                self.stop()

    sensor = make_sensor("as7341", {})
    mixer = Impatient(sensor, liquids=liquids(Surface()))
    with PaintMixing(mixer, sensor) as lab:
        before = mixer.used["water"]
        with pytest.raises(Stopped):
            lab.perform(GREEN)
        assert mixer.used["water"] == before


def test_bounds_are_those_of_the_bottles_and_the_cell() -> None:
    experiment = PaintMixingTwin().experiment
    with pytest.raises(OutOfBounds, match=r"red = 1\.5 mL is outside \[0, 1\] mL"):
        experiment.check({**GREEN, "red": 1.5})
    with pytest.raises(OutOfBounds, match=r"= 3\.8 mL, but they must add up to 4 mL"):
        experiment.check({**GREEN, "white": 3.0})


@pytest.mark.parametrize(
    "options",
    [
        *({"pump_error": -1.0}, {"imperfections": float("nan")}, {"gain": 3.0}),
        *({"surface_outside": 1.0}, {"surface_inside": -0.1}, {"surface_inside": float("nan")}, {"surface_outside": float("nan")}),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        PaintMixingTwin(**options)


# The campaign


def test_a_campaign_draws_a_reachable_color_and_comes_closer_to_it(tmp_path: Path) -> None:
    campaign = Campaign.open(
        driver={"name": "paint-mixing", "options": {"sensor": "tcs34725"}},
        goal="match-color:reachable:3",
        strategy="sobol",
        budget=6,
        seed=4,
        store=tmp_path / "paint.db",
    )
    scores = [score for trial in campaign.run() if (score := campaign.score(trial)) is not None]
    assert len(scores) == 6
    assert min(scores) < scores[0]


def test_a_paint_of_the_target_color_scores_zero() -> None:
    twin = PaintMixingTwin()
    assert catalog.default_goal(twin) == "match-color:reachable"
    color = color_of(twin.experiment, GREEN, twin.truth(GREEN))
    goal = catalog.make_goal("match-color:lab({L}, {a}, {b})".format(**color), twin)
    assert goal.default_strategy == "composite"
    assert isinstance(goal, MatchColor)
    assert goal.score_of(GREEN, twin.truth(GREEN)) < 1e-4
    assert goal.score_of(WHITE, twin.truth(WHITE)) > 30
