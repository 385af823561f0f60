"""Physics and promises of the light-mixing twin."""

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from frugaltwin.color import reading_lab
from frugaltwin.errors import InvalidInput, OutOfBounds, RigFault, Stopped
from frugaltwin.experiment import Settings
from frugaltwin.plugins import Driver, Estimates, KnowsTruth
from simulator.instruments.sensors import AS7341_GAINS
from simulator.light_mixing import CHANNELS, CLSLAB, LIGHT_MIXING, Calibration, LightMixing, collected, counts, duty, light

MIDDLE: Settings = {"red": 60, "green": 40, "blue": 50, "atime": 50, "astep": 500, "gain": 64}


def connected(**options: float) -> LightMixing:
    return LightMixing(**options).__enter__()  # type: ignore[arg-type]


def settings_row(settings: Settings) -> list[float]:
    return [float(settings[p.name]) for p in LIGHT_MIXING.parameters]


def values(outcomes: object) -> NDArray[np.float64]:
    assert isinstance(outcomes, dict)
    return np.array([outcomes[c] for c in CHANNELS])


@pytest.fixture(scope="module")
def calibrate() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "calibrate_light_mixing.py"
    spec = importlib.util.spec_from_file_location("calibrate_light_mixing", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_twin_is_a_driver_that_knows_the_truth_and_its_price() -> None:
    twin = connected()
    assert isinstance(twin, Driver)
    assert isinstance(twin, KnowsTruth)
    assert isinstance(twin, Estimates)


def test_the_constants_explain_the_records_of_the_rig(calibrate: ModuleType) -> None:
    settings, read = calibrate.records()
    r2, relative = calibrate.figures(counts(*settings.T), read)
    assert r2 > 0.9999
    assert relative < 0.006


@pytest.fixture(scope="module")
def unseen(calibrate: ModuleType) -> NDArray[np.float64]:
    """The counts of the records, each predicted by a fit that had not seen it."""
    predicted: NDArray[np.float64] = calibrate.cross_validated(*calibrate.records(), folds=3)
    return predicted


def test_records_that_the_fit_has_not_seen_scatter_as_the_twin_does(calibrate: ModuleType, unseen: NDArray[np.float64]) -> None:
    settings, read = calibrate.records()
    records, twins = calibrate.residual_quantiles(calibrate.NOISE, settings, read, unseen)
    assert twins == pytest.approx(records, rel=0.15)


def test_records_that_the_fit_has_not_seen_are_predicted_as_well(calibrate: ModuleType, unseen: NDArray[np.float64]) -> None:
    r2, relative = calibrate.figures(unseen, calibrate.records()[1])
    assert r2 > 0.9999
    assert relative < 0.007


def test_the_constants_are_what_the_calibration_finds(calibrate: ModuleType) -> None:
    found: Calibration = calibrate.fit(*calibrate.records())
    for name in ("sensitivity", "background", "gain_steps", "dimming"):
        expected = getattr(CLSLAB, name)
        np.testing.assert_allclose(getattr(found, name), expected, rtol=0.02, atol=1e-3 * expected.max(), err_msg=name)


def test_the_bends_of_the_duty_are_found_where_the_twin_has_them(calibrate: ModuleType) -> None:
    found: Calibration = calibrate.fit(*calibrate.records(), has_free_bends=True)
    assert found.bends == pytest.approx(CLSLAB.bends, abs=0.5)


def test_every_record_of_the_rig_is_allowed(calibrate: ModuleType) -> None:
    names = [p.name for p in LIGHT_MIXING.parameters]
    for row in calibrate.records()[0]:
        LIGHT_MIXING.check(dict(zip(names, row.tolist(), strict=True)))


@pytest.mark.parametrize(
    "wrong", [{"red": 256}, {"red": -1}, {"red": 0.5}, {"atime": 256}, {"astep": 65535}, {"astep": math.nan}, {"gain": 3}, {"gain": 0}]
)
def test_settings_outside_the_registers_are_refused(wrong: Settings) -> None:
    with pytest.raises(OutOfBounds):
        LIGHT_MIXING.check({**MIDDLE, **wrong})


@pytest.mark.parametrize("extreme", [(0, 0, 0, 9, 9, 0.5), (255, 255, 255, 60, 1000, 8), (255, 0, 255, 255, 0, 8)])
def test_counts_are_whole_numbers_from_zero_to_full_scale(extreme: tuple[float, ...]) -> None:
    settings = dict(zip([p.name for p in LIGHT_MIXING.parameters], extreme, strict=True))
    twin = connected(imperfections=3.0)
    for _ in range(50):
        measurement = twin.perform(settings)
        LIGHT_MIXING.check_outcomes(measurement.outcomes)
        read = values(measurement.outcomes)
        assert (read == np.rint(read)).all()
        assert read.min() >= 0
        assert read.max() <= float(measurement.raw["full_scale"])


def test_too_much_light_reads_full_scale_and_is_refused_as_a_measurement() -> None:
    settings = {**MIDDLE, "red": 255, "green": 255, "blue": 255, "gain": 512}
    assert counts(*settings_row(settings))[1] == 51 * 501
    assert counts(*settings_row({**settings, "atime": 255, "astep": 1000}))[1] == 65535
    with pytest.raises(RigFault, match="ch440 saturated at 25551 counts; lower gain, atime or the LEDs") as refused:
        connected().perform(settings)
    assert refused.value.cost.seconds > 1
    with pytest.raises(RigFault, match="ch440 saturated"):
        LightMixing().truth(settings)


def test_darkness_reads_the_background_alone() -> None:
    dark = counts(0, 0, 0, 50, 500, 128)
    np.testing.assert_allclose(dark, 51 * 501 * 128 * CLSLAB.background)
    assert dark.max() < 0.06 * counts(255, 255, 255, 50, 500, 128).max()


def test_below_saturation_counts_are_proportional_to_the_exposure() -> None:
    once = counts(80, 30, 50, atime=9, astep=99, gain=64)
    np.testing.assert_allclose(counts(80, 30, 50, atime=19, astep=99, gain=64), 2 * once)
    np.testing.assert_allclose(counts(80, 30, 50, atime=9, astep=299, gain=64), 3 * once)


def test_gain_multiplies_the_counts_by_its_true_step() -> None:
    read = collected(80, 30, 50, 50, 500, np.array(AS7341_GAINS))
    np.testing.assert_allclose(read / read[8], (np.array(AS7341_GAINS) / 128 * CLSLAB.gain_steps)[:, None] * np.ones(8))
    assert np.abs(CLSLAB.gain_steps - 1).max() < 0.06


def test_settings_may_be_arrays_of_any_shape() -> None:
    rows = np.random.default_rng(0).integers(0, 100, (4, 5, 5)).astype(float)
    red, green, blue, atime, astep = np.moveaxis(rows, -1, 0)
    together = counts(red, green, blue, atime, astep, 32.0)
    assert together.shape == (4, 5, 8)
    np.testing.assert_allclose(together[2, 3], counts(red[2, 3], green[2, 3], blue[2, 3], atime[2, 3], astep[2, 3], 32.0))


def test_an_led_gets_brighter_with_every_step_and_is_never_on_all_the_time() -> None:
    on = duty(np.arange(256))
    assert on[0] == 0
    assert (np.diff(on) > 0).all()
    assert on[255] < 1
    np.testing.assert_allclose(np.diff(on)[[5, 15, 100]] * 1024, [1, 2, 4])


def test_an_led_is_dimmed_by_the_others_and_never_by_itself() -> None:
    alone, together = light(200, 0, 0), light(200, 200, 200)
    assert alone[0] == duty(200)
    assert 0.8 * alone[0] < together[0] < alone[0]


def test_more_of_an_led_never_lowers_its_own_channel() -> None:
    ramp = np.arange(256)
    assert (np.diff(counts(ramp, 128, 128, 29, 599, 16)[:, CHANNELS.index("ch620")]) > 0).all()
    assert (np.diff(counts(128, ramp, 128, 29, 599, 16)[:, CHANNELS.index("ch510")]) > 0).all()
    assert (np.diff(counts(128, 128, ramp, 29, 599, 16)[:, CHANNELS.index("ch440")]) > 0).all()


def test_the_same_seed_gives_the_same_measurements() -> None:
    def series(seed: int) -> list[object]:
        twin = connected(seed=seed)
        return [twin.perform(MIDDLE).outcomes for _ in range(5)]

    assert series(7) == series(7)
    assert series(7) != series(8)


def test_without_imperfections_a_measurement_is_the_rounded_truth() -> None:
    twin = connected(imperfections=0)
    assert values(twin.perform(MIDDLE).outcomes).tolist() == np.rint(values(twin.truth(MIDDLE))).tolist()


def test_the_truth_does_not_spend_random_numbers() -> None:
    asked, silent = connected(), connected()
    asked.truth(MIDDLE)
    assert asked.perform(MIDDLE) == silent.perform(MIDDLE)


def test_repeats_scatter_as_those_of_the_rig_do(calibrate: ModuleType) -> None:
    # The ten pairs among the records: 1.62 % rms at 20-200 counts, 0.98 % at 200-2000. Above, what predictions miss: 0.6 %.
    twin, names = connected(seed=1), [p.name for p in LIGHT_MIXING.parameters]
    rows = calibrate.records()[0]
    rows = rows[(rows[:, 3] + 1) * (rows[:, 4] + 1) * 2.78e-6 > 12e-3][:150]
    means, scatters = [], []
    for row in rows:
        settings = dict(zip(names, row.tolist(), strict=True))
        repeats = np.array([values(twin.perform(settings).outcomes) for _ in range(30)])
        means.append(repeats.mean(axis=0))
        scatters.append(repeats.std(axis=0, ddof=1))
    mean, scatter = np.array(means), np.array(scatters)

    def rms(low: float, high: float) -> float:
        seen = (mean >= low) & (mean < high)
        return float(np.sqrt(np.mean((scatter[seen] / mean[seen]) ** 2)))

    assert rms(20, 200) == pytest.approx(0.0162, rel=0.3)
    assert rms(200, 2000) == pytest.approx(0.0098, rel=0.35)
    assert rms(2000, math.inf) == pytest.approx(0.006, rel=0.3)
    assert np.sqrt(np.mean(scatter[mean < 20] ** 2)) < 0.5


def test_short_exposures_beat_with_the_pwm_in_all_channels_of_a_pass() -> None:
    settings = {**MIDDLE, "red": 255, "green": 255, "blue": 255, "atime": 2, "astep": 500, "gain": 128}  # 4.2 ms
    twin = connected(seed=1)
    ratios = np.array([values(twin.perform(settings).outcomes) for _ in range(2000)]) / values(twin.truth(settings))
    blue, green, red = ratios[:, 1], ratios[:, 3], ratios[:, 6]
    assert blue.std() == pytest.approx(0.12 / 4.2, rel=0.15)
    assert np.corrcoef(blue, green)[0, 1] > 0.9
    assert abs(np.corrcoef(blue, red)[0, 1]) < 0.1


def test_errors_have_no_bias_and_scale_with_the_imperfections() -> None:
    def deviations(imperfections: float) -> NDArray[np.float64]:
        twin = connected(seed=3, imperfections=imperfections)
        truth = values(twin.truth(MIDDLE))
        return np.array([values(twin.perform(MIDDLE).outcomes) for _ in range(3000)]) - truth

    one, three = deviations(1.0)[:, 1], deviations(3.0)[:, 1]
    assert abs(one.mean()) < 4 * one.std() / math.sqrt(3000)
    assert three.std() == pytest.approx(3 * one.std(), rel=0.1)


def test_a_run_takes_two_integrations_and_the_overhead() -> None:
    cost = connected().perform(MIDDLE).cost
    assert cost == LightMixing().estimate(MIDDLE)
    assert cost.seconds == pytest.approx(1.0 + 2 * 51 * 501 * 2.78e-6)
    assert (cost.money, cost.volume) == (0.0, 0.0)


def test_the_color_of_the_three_leds_at_full_is_white_and_darkness_is_black() -> None:
    color = LIGHT_MIXING.color
    assert color is not None
    exposure = 30 * 600 * 128.0
    np.testing.assert_allclose(reading_lab(color, counts(255, 255, 255, 29, 599, 128), exposure), [100, 0, 0], atol=1e-6)
    np.testing.assert_allclose(reading_lab(color, counts(0, 0, 0, 29, 599, 128), exposure), [0, 0, 0], atol=1e-6)


def test_the_color_of_a_reading_is_the_color_of_the_light(calibrate: ModuleType) -> None:
    color = LIGHT_MIXING.color
    assert color is not None
    red, green, blue = np.random.default_rng(0).integers(0, 256, (3, 50))
    xyz = light(red, green, blue) @ calibrate.led_xyz() / (light(255, 255, 255) @ calibrate.led_xyz())[1]
    read = counts(red, green, blue, 29, 599, 128) / (30 * 600 * 128)
    np.testing.assert_allclose(read @ np.array(color.to_xyz).T, xyz, rtol=1e-3, atol=1e-5)


def test_a_stopped_twin_refuses_until_it_is_entered_again() -> None:
    with LightMixing() as twin:
        twin.stop()
        with pytest.raises(Stopped):
            twin.perform(MIDDLE)
        twin.__exit__()
        with twin:
            twin.perform(MIDDLE)


@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf, "1", True])
def test_imperfections_that_are_no_scale_are_refused(wrong: object) -> None:
    with pytest.raises(InvalidInput, match="imperfections"):
        LightMixing(imperfections=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [-1, 0.5, "1", True])
def test_a_seed_that_is_no_whole_number_is_refused(wrong: object) -> None:
    with pytest.raises(InvalidInput, match="seed"):
        LightMixing(seed=wrong)  # type: ignore[arg-type]
