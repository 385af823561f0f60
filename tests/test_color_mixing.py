"""The physics and the imperfections of the liquid twin."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from frugaltwin.color import delta_e, reading_lab
from frugaltwin.errors import DriverError, InvalidInput, RigFault, Stopped
from frugaltwin.experiment import Outcomes, Settings
from frugaltwin.instruments import Reading
from simulator.color_mixing import TOTAL, ColorMixing, ColorMixingTwin, calibration, channels, color_mixing, spectral_lab
from simulator.instruments.color_channels import reference_mixtures
from simulator.instruments.dyed_water import DYED_WATER, DYES, LAW, PUMPS, STOCKS, absorptivities, transmittance
from simulator.instruments.mixer import Imperfections, SimulatedMixer
from simulator.instruments.sensors import SENSORS, as7341, make_sensor


def make_twin(**options: Any) -> ColorMixingTwin:
    twin = color_mixing(**options)
    assert isinstance(twin, ColorMixingTwin)
    return twin


WATER: Settings = {"red": 0.0, "yellow": 0.0, "blue": 0.0, "water": 4.0}
RED: Settings = {"red": 1.0, "yellow": 0.0, "blue": 0.0, "water": 3.0}
GREEN: Settings = {"red": 0.05, "yellow": 0.4, "blue": 0.5, "water": 3.05}


def recipes(n: int, seed: int = 0) -> NDArray[np.float64]:
    doses = np.random.default_rng(seed).random((n, 3))
    return np.column_stack([doses, TOTAL - doses.sum(axis=1)])


def reading(twin: ColorMixingTwin, settings: Settings = GREEN) -> NDArray[np.float64]:
    return np.array(list(twin.perform(settings).outcomes.values()), dtype=float)


def truth(twin: ColorMixingTwin, settings: Settings = GREEN) -> NDArray[np.float64]:
    return np.array(list(twin.truth(settings).values()))


@pytest.mark.parametrize(("dye", "low", "high"), [("red", 500, 512), ("yellow", 423, 433), ("blue", 626, 634)])
def test_dyes_absorb_where_the_literature_says(dye: str, low: float, high: float) -> None:
    peak = 380 + 5 * int(absorptivities()[list(DYES).index(dye)].argmax())
    assert low <= peak <= high


def test_absorbances_of_dyes_add_up() -> None:
    one, two = np.array([0.02, 0.0, 0.01]), np.array([0.0, 0.03, 0.01])
    assert np.allclose(transmittance(one) * transmittance(two), transmittance(one + two))
    assert np.allclose(LAW.latent(transmittance(one)), one @ absorptivities())


def test_clean_water_is_white_and_more_dye_is_never_brighter() -> None:
    none = Imperfections().scaled(0)
    for name in SENSORS:
        sensor = make_sensor(name, {})
        assert np.allclose(channels(np.array([0.0, 0.0, 0.0, 4.0]), sensor, none), 1)
        color = calibration(name)
        assert np.allclose(np.array(color.to_xyz).sum(axis=1), color.white)
        lighter = recipes(200)
        darker = np.minimum(lighter + 0.1, 1.0)
        darker[:, 3] = TOTAL - darker[:, :3].sum(axis=1)
        assert (channels(darker, sensor, none) <= channels(lighter, sensor, none) + 1e-12).all()


@pytest.mark.parametrize(("sensor", "median", "worst"), [("as7341", 0.05, 0.2), ("tcs34725", 1.2, 10)])
def test_a_sensors_color_is_close_to_the_color_that_an_eye_sees(sensor: str, median: float, worst: float) -> None:
    volumes = recipes(2000, seed=1)
    spectra = transmittance(volumes[:, :3] * np.array(list(STOCKS.values())) / TOTAL)
    read = channels(volumes, make_sensor(sensor, {}), Imperfections().scaled(0))
    difference = delta_e(reading_lab(calibration(sensor), read), spectral_lab(spectra))
    assert np.median(difference) < median
    assert difference.max() < worst


def test_without_imperfections_a_reading_is_the_truth_but_for_whole_counts() -> None:
    with make_twin(imperfections=0) as twin:
        for row in recipes(20).tolist():
            settings = dict(zip((*DYES, "water"), row, strict=True))
            measurement = twin.perform(settings)
            whites = np.array([float(measurement.raw[f"white_{o.name.removeprefix('t_')}"]) for o in twin.experiment.outcomes])
            read = np.array(list(measurement.outcomes.values()), dtype=float)
            assert (np.abs(read - truth(twin, settings)) < 2 / whites).all()


@pytest.mark.parametrize("name", list(vars(Imperfections())))
def test_every_imperfection_alone_changes_what_is_read_and_can_be_turned_off(name: str) -> None:
    with make_twin(imperfections=0) as perfect:
        before = [reading(perfect) for _ in range(12)]
    off = dict.fromkeys(vars(Imperfections()), 0.0)
    size = 3.0 if vars(Imperfections())[name] else 10.0  # mishaps are rare
    with make_twin(**(off | {name: size})) as flawed:
        after = [reading(flawed) for _ in range(12)]
    assert np.abs(np.array(before) - np.array(after)).max() > 1e-4
    assert np.ptp(np.array(before), axis=0).max() < 1e-12


def test_the_same_seed_gives_the_same_readings_and_another_seed_others() -> None:
    def three(seed: int) -> list[list[float]]:
        with make_twin(seed=seed) as twin:
            return [reading(twin).tolist() for _ in range(3)]

    assert three(1) == three(1)
    assert three(1) != three(2)


def test_pump_errors_scatter_doses_by_two_percent() -> None:
    mixer = SimulatedMixer(as7341(), Imperfections(pump_bias=0))
    delivered = []
    with mixer:
        mixer.dispense("red", 1.0)
        for _ in range(2000):
            mixer.drain()
            before = mixer.used["red"]
            mixer.dispense("red", 1.0)
            delivered.append(mixer.used["red"] - before)
    assert np.mean(delivered) == pytest.approx(1.0, abs=0.002)
    assert np.std(delivered) == pytest.approx(0.0201, rel=0.08)


def test_a_dark_color_creeps_into_the_next_one_and_a_rinse_thins_it() -> None:
    dark: Settings = {"red": 1.0, "yellow": 1.0, "blue": 1.0, "water": 1.0}
    off = dict.fromkeys(vars(Imperfections()), 0.0)
    with make_twin(**(off | {"carry_over": 1.0})) as twin:
        clean = reading(twin, WATER)
        reading(twin, dark)
        after_dark = reading(twin, WATER)
        again = reading(twin, WATER)
    assert (after_dark < clean - 0.002).any()
    assert np.abs(again - clean).max() < 0.2 * np.abs(after_dark - clean).max()


def test_tubes_that_are_not_primed_swallow_the_first_dose() -> None:
    mixer = SimulatedMixer(as7341(), replace(Imperfections().scaled(0), dead_volume=1.0))
    with mixer:
        mixer.dispense("red", 0.2)
        assert mixer._cell.volume == 0
        mixer.dispense("red", 0.2)
        assert mixer._cell.volume == pytest.approx(0.15)


def test_a_saturated_sensor_is_refused_and_says_what_to_lower() -> None:
    with pytest.raises(RigFault, match="saturated on clean water at 18000 counts; lower the sensor's gain"), make_twin(gain=256):
        pass


def test_a_blind_sensor_is_refused_and_says_what_to_raise() -> None:
    with pytest.raises(RigFault, match="sees no light on clean water"), make_twin(gain=0.5):
        pass


def looks(photometer: ColorMixing, settings: Sequence[Settings]) -> tuple[list[Outcomes], int]:
    """What is measured, and how often clean water was looked at."""
    before = photometer.mixer.spent.volume
    with photometer:
        outcomes = [photometer.perform(s).outcomes for s in settings]
    primed = sum(pump.dead_volume for pump in PUMPS.values()) + 2 * TOTAL
    doses = sum(float(v) for s in settings for v in s.values())
    return outcomes, round((photometer.mixer.spent.volume - before - primed - doses) / TOTAL) - len(settings)


@pytest.mark.parametrize("sensor", SENSORS)
def test_no_mixture_however_dark_is_taken_for_a_dead_lamp_or_a_stuck_sensor(sensor: str) -> None:
    darkest: Settings = {"red": 1.0, "yellow": 1.0, "blue": 1.0, "water": 1.0}
    mixtures = [darkest] * 50 + [GREEN, WATER] * 25
    eye = make_sensor(sensor, {})
    assert looks(ColorMixing(SimulatedMixer(eye, seed=1), eye), mixtures)[1] == 1 + 99 // 5


def test_black_is_measured_as_black_after_a_look_at_the_lamp() -> None:
    ink = replace(DYED_WATER, light=lambda amounts: np.full(81, 0.0 if amounts[0] > 0 else 1.0))
    ghost: Settings = {"red": 0.0, "yellow": 0.5, "blue": 0.5, "water": 3.0}
    perfect = Imperfections().scaled(0)
    black = looks(ColorMixing(SimulatedMixer(as7341(), perfect, liquids=ink), as7341()), [RED, GREEN, ghost])
    assert [max(map(float, o.values())) for o in black[0]] == [0.0, 0.0, 1.0]
    assert black[1] == 4  # on connecting, after either black, and after what reads like clean water


class Failing(SimulatedMixer):
    """A mixer whose lamp dies, or whose sensor repeats itself, from some reading on."""

    fails_from, kind, n_read = 0, "", 0
    last: Reading

    def read(self, lamp: bool = True) -> Reading:
        self.n_read += 1
        if self.n_read >= self.fails_from and self.kind == "stuck":
            return self.last
        self.last = super().read(lamp and (self.n_read < self.fails_from or self.kind != "dark"))
        return self.last


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize(("kind", "name"), [("dark", "no light above the dark"), ("stuck", "no scatter where there must be some")])
@pytest.mark.parametrize("fails_from", [3, 5, 8, 10])  # a mixture, another one, the references in between, the mixture after them
def test_a_lamp_that_dies_and_a_sensor_that_repeats_itself_fail_by_name(sensor: str, kind: str, name: str, fails_from: int) -> None:
    eye = make_sensor(sensor, {})
    mixer = Failing(eye, seed=2)
    mixer.fails_from, mixer.kind = fails_from, kind
    with ColorMixing(mixer, eye) as photometer:
        errors = [error_of(photometer, {"red": 0.1 * k, "yellow": 1.0, "blue": 1.0, "water": 2.0 - 0.1 * k}) for k in range(8)]
        n_good = min(fails_from - 3, 5)
        assert errors[:n_good] == [""] * n_good
        assert all(error.startswith((name, "no light above the dark")) for error in errors[n_good:])
        assert kind == "dark" or fails_from == 9 or errors[n_good].startswith(name)
        mixer.kind = ""
        assert error_of(photometer, GREEN) == ""


def error_of(photometer: ColorMixing, settings: Settings) -> str:
    try:
        photometer.perform(settings)
    except RigFault as error:
        return str(error)
    return ""


def test_counts_are_whole_numbers_between_zero_and_full_scale() -> None:
    with make_twin(sensor_noise=10) as twin:
        raw = twin.perform(GREEN).raw
    counts = [v for k, v in raw.items() if k.startswith("counts_")]
    assert counts
    assert all(isinstance(v, int) and 0 <= v <= 18000 for v in counts)


def test_a_color_takes_about_a_minute_and_every_drop_is_paid_for() -> None:
    with make_twin() as twin:
        twin.perform(GREEN)
        measured, expected = twin.perform(GREEN).cost, twin.estimate(GREEN)
    assert 45 < measured.seconds < 70
    assert measured.volume == pytest.approx(8, abs=0.2)
    assert measured.seconds == pytest.approx(expected.seconds, rel=0.02)
    assert measured.money == pytest.approx(expected.money, rel=0.05)


def test_stop_ends_what_is_under_way_and_the_cell_cannot_overflow() -> None:
    with make_twin() as twin:
        twin.stop()
        with pytest.raises(Stopped):
            twin.perform(GREEN)
    mixer = SimulatedMixer(as7341())
    with mixer, pytest.raises(DriverError, match="does not fit into the cell"):
        mixer.rinse(9.0)
    with pytest.raises(Stopped):
        mixer.rinse(1.0)


def test_truth_keeps_what_is_systematic_and_leaves_out_what_is_random() -> None:
    assert truth(make_twin(seed=1)).tolist() == truth(make_twin(seed=2)).tolist()
    assert truth(make_twin()).tolist() != truth(make_twin(pump_bias=0)).tolist()
    assert truth(make_twin()).tolist() == truth(make_twin(pump_error=0, sensor_noise=0, lamp_drift=9, room_light=9)).tolist()


@pytest.mark.parametrize("options", [{"pump_error": -1.0}, {"imperfections": float("nan")}, {"gain": 3.0}, {"cycles": 3}, {"atime": 256}])
def test_impossible_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        make_twin(**options)


def test_a_connect_that_fails_leaves_the_mixer_at_rest() -> None:
    twin = make_twin(gain=256)
    with pytest.raises(RigFault, match="saturated on clean water"), twin:
        pass
    with pytest.raises(Stopped):
        twin.perform(GREEN)


def test_the_reference_mixtures_are_spread_evenly_as_they_say() -> None:
    from scipy.stats import qmc

    assert np.array_equal(reference_mixtures(), qmc.Sobol(3, seed=0).random(512))


def test_a_scale_of_all_imperfections_is_refused_by_its_own_name() -> None:
    with pytest.raises(InvalidInput, match=r"^with imperfections = 11, pump_bias = 11 is not allowed"):
        color_mixing(imperfections=11.0)


def test_the_same_counts_are_noisier_at_a_higher_gain_and_a_shorter_integration() -> None:
    def scatter(gain: float, astep: int) -> float:
        sensor = as7341(gain=gain, astep=astep)
        read = [sensor.digitized(np.array([8000.0]), 1.0, random)[0] for random in [np.random.default_rng(0)] for _ in range(2000)]
        return float(np.std(read))

    slow, usual, fast = scatter(16, 2399), scatter(64, 599), scatter(128, 299)
    assert usual / slow == pytest.approx(2, rel=0.05)
    assert fast / usual == pytest.approx(2**0.5, rel=0.05)


@pytest.mark.parametrize(
    ("name", "darkest"), [("as7341", {"gain": 512, "atime": 97, "astep": 359}), ("tcs34725", {"gain": 60, "cycles": 42})]
)
def test_dark_counts_grow_with_gain_and_time_to_what_a_data_sheet_allows(name: str, darkest: dict[str, float]) -> None:
    assert make_sensor(name, {}).dark == 2.0
    assert make_sensor(name, darkest).dark == pytest.approx(5.0, abs=0.01)
    assert 1.5 < make_sensor(name, {"gain": 1}).dark < 2.0

    def scatter(registers: dict[str, float]) -> float:
        sensor, random = make_sensor(name, registers), np.random.default_rng(0)
        return float(np.std([sensor.digitized(np.array([sensor.dark]), 1.0, random)[0] for _ in range(4000)]))

    assert scatter(darkest) > 1.5 * scatter({})
