"""What ran on the twin runs on the rig's firmware: the same driver, the same campaign file, and faults that do what they say."""

import json
import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frugaltwin import catalog, testing
from frugaltwin.errors import DriverError, InvalidInput, LinkError, RigFault, Stopped, UnknownName
from frugaltwin.experiment import Settings, Trial
from frugaltwin.goals import MatchColor
from frugaltwin.plugins import Recommends
from frugaltwin.state import State
from frugaltwin.testing import drivers
from hardware.arduino_mixer import ArduinoMixer
from hardware.emulator.emulated_board import FACTORY_ID
from hardware.emulator.engine import missing
from hardware.emulator.faults import FAULTS
from simulator.cloud_point import CloudPointTwin, cloud_point
from simulator.color_mixing import ColorMixingTwin, channels, color_mixing
from simulator.instruments.mixer import Imperfections
from simulator.instruments.sensors import as7341
from tests.conftest import Cli, events
from tests.forms import IS_LONG, times

pytestmark = pytest.mark.skipif(missing() is not None, reason=missing() or "")

RED: Settings = {"red": 0.5, "yellow": 0.0, "blue": 0.0, "water": 3.5}
PERFECT = Imperfections().scaled(0)


def make_twin(**options: Any) -> ColorMixingTwin:
    twin = color_mixing(**{"mixer": "emulated", **options})
    assert isinstance(twin, ColorMixingTwin)
    return twin


def flawless(faults: str = "") -> ColorMixingTwin:
    """A lab without any imperfection but these faults. It connects for 45 s, and a color takes 52 s, of which the doses are the first."""
    return make_twin(mixer=f"emulated:{faults}", imperfections=0.0)


def mixer_of(twin: ColorMixingTwin) -> ArduinoMixer:
    mixer = twin._driver.mixer
    assert isinstance(mixer, ArduinoMixer)
    return mixer


def green_light(twin: ColorMixingTwin) -> float:
    """What the red mixture lets through where it absorbs the most."""
    return float(twin.perform(RED).outcomes["t_515"])


def through(red: float, water: float = 3.5) -> Any:
    """The same when that much arrived, mL, but for whole counts."""
    volumes = np.array([red, 0.0, 0.0, water])
    return pytest.approx(float(channels(volumes, as7341(), PERFECT)[as7341().color_channels.index("515")]), abs=2e-3)


# The same campaign


def experiments_until_matched(mixer: str, seed: int, limit: float = 2.3, most: int = 12) -> float:
    """How many experiments the default campaign needs until a recipe is truly within ΔE00 `limit` of its target."""
    twin = make_twin(mixer=mixer, seed=seed)
    goal = catalog.make_goal("match-color:reachable", twin, seed)
    assert isinstance(goal, MatchColor)
    strategy = catalog.make_strategy(goal.default_strategy, seed=seed)
    history: list[Trial] = []
    with twin:
        for number in range(1, most + 1):
            (settings,) = [s.settings for s in strategy.suggest(State(goal, history))]
            settings = twin.experiment.check(settings)
            history.append(Trial(number, settings, twin.perform(settings)))
            if goal.score_of(settings, twin.truth(settings)) <= limit:
                return number
    return math.inf


def test_the_default_campaign_needs_as_many_experiments_on_the_emulated_board_as_on_the_simulated_mixer() -> None:
    needed = {mixer: [experiments_until_matched(mixer, seed) for seed in range(times(1, 3))] for mixer in ("simulated", "emulated")}
    medians = {mixer: statistics.median(counts) for mixer, counts in needed.items()}
    assert abs(medians["emulated"] - medians["simulated"]) <= 2, needed


def test_the_same_file_runs_on_the_twin_and_on_the_board(cli_here: Cli, tmp_path: Path) -> None:
    (tmp_path / "sea.toml").write_text(
        'goal = "match-color:teal"\nseed = 3\nstore = "sea.db"\nstrategy = "sobol"\nbudget = 2\n'
        '[driver]\nname = "color-mixing"\noptions = { sensor = "tcs34725", pump_error = 0.5 }\n'
    )
    board = ("--option", "mixer=emulated", "--name", "board")
    twin = events(cli_here("run", "sea.toml", "--json"))
    begun = events(cli_here("run", "sea.toml", "--json", *board, "--budget", 1))
    resumed = events(cli_here("run", "sea.toml", "--json", *board))
    assert [row["number"] for row in begun[:-1] + resumed[:-1]] == [1, 2]
    for one, other in zip(twin[:-1], begun[:-1] + resumed[:-1], strict=True):
        assert one["settings"] == other["settings"]
        assert set(other["outcomes"]) == {"t_red", "t_green", "t_blue"}
        assert other["error"] is None
        assert other["outcomes"] == pytest.approx(one["outcomes"], abs=0.05)
        assert 40 < other["cost"]["seconds"] < 120
    assert "board" in (tmp_path / "board.html").read_text()
    stored = json.loads(cli_here("export", "board", "--format", "json", "--store", "sea.db").stdout)
    assert [trial["raw"]["calibration"] for trial in stored["trials"]] == [FACTORY_ID] * 2
    stored = json.loads(cli_here("export", "sea", "--format", "json", "--store", "sea.db").stdout)
    assert not any("calibration" in trial["raw"] for trial in stored["trials"])


# Pumps that coast, and everything else that goes wrong

UNKIND = {"coasting": 0.16, "imperfections": "teaching-lab"}
MIXTURES: tuple[Settings, ...] = (
    {"red": 0.3, "yellow": 0.2, "blue": 0.0, "water": 3.5},
    {"red": 0.0, "yellow": 0.25, "blue": 0.4, "water": 3.35},
)


@pytest.mark.parametrize("seed", range(times(1, 5)))
def test_coasting_pumps_of_the_board_fail_no_trial_and_can_dispense_the_recommendation(seed: int) -> None:
    twin = make_twin(coasting=0.16, seed=seed)
    goal = catalog.make_goal("match-color:reachable", twin, seed)
    assert isinstance(goal, MatchColor)
    strategy = catalog.make_strategy(goal.default_strategy, seed=seed)
    assert isinstance(strategy, Recommends)
    history: list[Trial] = []
    with twin:
        while not history or goal.score_of(history[-1].settings, twin.truth(history[-1].settings)) > 2.3:
            assert len(history) < 8
            (settings,) = [s.settings for s in strategy.suggest(State(goal, history))]
            history.append(Trial(len(history) + 1, twin.experiment.check(settings), twin.perform(settings)))
        recommended = twin.experiment.check(strategy.recommend(State(goal, history)))
        twin.perform(recommended)
    assert goal.score_of(recommended, twin.truth(recommended)) <= 2.3


def test_twin_and_board_agree_within_their_noise_with_every_imperfection_on() -> None:
    def read(**options: Any) -> Any:
        with make_twin(**UNKIND, **options) as twin:
            return np.concatenate([list(twin.perform(mixture).outcomes.values()) for mixture in MIXTURES])

    twins = np.array([read(mixer="simulated", seed=seed) for seed in range(64)])
    off = [(np.delete(twins, n, 0), reading) for n, reading in enumerate(twins)]
    off += [(twins, read(seed=seed)) for seed in range(times(1, 5))]
    squares = [float((((reading - others.mean(0)) / others.std(0)) ** 2).mean()) for others, reading in off]
    assert max(squares[64:]) <= max(squares[:64])
    assert statistics.mean(squares[64:]) <= statistics.mean(squares[:64]) + 3 * statistics.stdev(squares[:64])


@pytest.mark.parametrize("sensor", ["as7341", "tcs34725"])
def test_without_imperfections_the_board_measures_the_truth_but_for_whole_counts(sensor: str) -> None:
    settings: Settings = {"red": 0.31, "yellow": 0.4321, "blue": 0.05, "water": 3.2079}
    with make_twin(sensor=sensor, imperfections=0) as twin:
        measurement = twin.perform(settings)
    assert measurement.outcomes == pytest.approx(twin.truth(settings), abs=2e-3)
    assert measurement.raw["calibration"] == FACTORY_ID


SLOW = drivers.a_resumed_twin_measures_what_an_uninterrupted_one_measures
"""It performs 40 colors; in the short form the campaign that goes on on the board stands for it."""


@pytest.mark.parametrize("promise", [promise for promise in testing.DRIVER_PROMISES if IS_LONG or promise is not SLOW])
def test_it_keeps_what_every_driver_promises(promise: testing.Promise, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = drivers.allowed
    monkeypatch.setattr(drivers, "allowed", lambda driver, count=times(1, 2): allowed(driver, count))  # a color takes 0.5 s of a core
    promise(testing.Plugin.of("driver", "color-mixing", {"mixer": "emulated"}))


def test_the_cloud_point_procedure_finds_clear_and_cloudy_over_the_board() -> None:
    mixtures = {"cloudy": {"water": 3.0, "ethanol": 0.5, "anise": 0.5}, "clear": {"water": 0.5, "ethanol": 3.0, "anise": 0.5}}
    twin = cloud_point(mixer="emulated")
    assert isinstance(twin, CloudPointTwin)
    with twin:
        for phase, settings in mixtures.items():
            outcomes = twin.perform(settings).outcomes
            assert outcomes["phase"] == phase
            assert outcomes["turbidity"] == pytest.approx(twin.truth(settings)["turbidity"], rel=0.1, abs=0.02)


# Faults by name


ABOUT_LIQUIDS = {
    "silent-pump:red@60": [through(0.5), through(0.0)],
    "empty-bottle:red@60+60": [through(0.5), through(0.0), through(0.5)],
    "bubble:red@60": [through(0.5), through(0.35), through(0.5)],
}


@pytest.mark.parametrize("fault", ABOUT_LIQUIDS)
def test_a_fault_of_a_liquid_changes_what_is_read_from_its_time_on(fault: str) -> None:
    with flawless(fault) as twin:
        assert [green_light(twin) for _ in ABOUT_LIQUIDS[fault]] == ABOUT_LIQUIDS[fault]


def test_siphoning_adds_dye_that_nobody_asked_for() -> None:
    with flawless("siphoning:red@90+60") as twin:
        before, darker, after = (green_light(twin) for _ in range(3))
        again = green_light(twin)
    assert before == through(0.5)
    assert darker < 0.7 * before
    assert again == through(0.5)
    assert after > darker


def test_a_fault_of_another_liquid_is_none_of_this_mixture() -> None:
    with flawless("silent-pump:blue,empty-bottle:yellow") as twin:
        assert green_light(twin) == through(0.5)


ABOUT_THE_BOARD: dict[str, tuple[type[DriverError], str]] = {
    "reset@60": (RigFault, "the board was reset"),
    "power-cycle@60": (RigFault, "the board was reset"),
    "hang@60": (RigFault, "the board was reset|does not answer"),
    "i2c-hang@60+40": (RigFault, "the color sensor does not answer"),
    "glare@60+50": (RigFault, "saturated at 65535 counts"),
    "dead-lamp@60+50": (RigFault, "^no light above the dark"),
    "stuck-sensor@60+50": (RigFault, "^no scatter where there must be some"),
}


@pytest.mark.parametrize(
    "fault", ABOUT_THE_BOARD if IS_LONG else ["reset@60", "hang@60", "i2c-hang@60+40"]
)  # a power cycle is a reset, too
def test_a_fault_of_the_board_fails_one_color_by_name_and_the_next_is_right(fault: str) -> None:
    kind, sentence = ABOUT_THE_BOARD[fault]
    with flawless(fault) as twin:
        with pytest.raises(kind, match=sentence) as failure:
            twin.perform(RED)
        assert failure.value.cost.seconds > 5
        assert green_light(twin) == through(0.5)


ABOUT_PEOPLE: dict[str, tuple[type[DriverError], str]] = {
    "stop-switch@60+3": (Stopped, "emergency switch"),
    "unplugged@60+5": (LinkError, "plug it in again"),
}


@pytest.mark.parametrize("fault", ABOUT_PEOPLE)
def test_what_a_person_has_to_mend_fails_by_name_until_it_is_mended_and_connected_again(fault: str) -> None:
    kind, sentence = ABOUT_PEOPLE[fault]
    twin = flawless(fault)
    with twin, pytest.raises(kind, match=sentence):
        twin.perform(RED)
    with pytest.raises(kind), twin:
        pass
    for _ in range(100):  # each try takes some of the board's time
        try:
            with twin:
                assert green_light(twin) == through(0.5)
            return
        except kind:
            continue
    pytest.fail("it never came back")


def test_a_bootloader_makes_connecting_slower_and_nothing_else_different() -> None:
    took = []
    for fault in ("", "bootloader"):
        with flawless(fault) as twin:
            took.append(mixer_of(twin).spent.seconds)
            assert green_light(twin) == through(0.5)
    assert took[1] - took[0] == pytest.approx(1.6, abs=0.1)


def test_noise_on_the_line_costs_resends_and_no_dose() -> None:
    with flawless("serial-noise") as twin:
        assert [green_light(twin) for _ in range(2)] == [through(0.5)] * 2
        assert mixer_of(twin).link.resent > 0


def test_a_sensor_that_was_left_in_mid_byte_costs_nothing_between_readings() -> None:
    with flawless("stuck-sda@46") as twin:  # while the first color is dosed
        assert green_light(twin) == through(0.5)


def test_every_fault_is_tried_here() -> None:
    tried = [fault.partition("@")[0].partition(":")[0] for fault in (*ABOUT_LIQUIDS, *ABOUT_THE_BOARD, *ABOUT_PEOPLE)]
    assert {*tried, "siphoning", "bootloader", "serial-noise", "stuck-sda"} == set(FAULTS)


def test_faults_that_cannot_be_are_refused_by_name() -> None:
    with pytest.raises(UnknownName, match="there is no fault 'flood'; there are siphoning, silent-pump"):
        flawless("flood@3")
    with pytest.raises(InvalidInput, match="needs a liquid, as in bubble:red"):
        flawless("bubble@3")
    with pytest.raises(InvalidInput, match="there are red, yellow, blue, water"):
        flawless("bubble:green@3")
    with pytest.raises(InvalidInput, match="reset is of no liquid"):
        flawless("reset:red@3")


@pytest.mark.parametrize(("fault", "name"), [("dead-lamp", "no light above the dark"), ("stuck-sensor", "no scatter where")])
def test_a_sensor_that_sees_nothing_new_teaches_a_campaign_nothing(cli_here: Cli, fault: str, name: str) -> None:
    words = ("--option", f"mixer=emulated:{fault}@110", "--option", "imperfections=0", "--strategy", "sobol")
    rows = events(cli_here("run", "--json", "--budget", 3, *words))[:-1]
    assert [row["error"] is None for row in rows] == [True, False, False]
    assert [row["outcomes"] is None for row in rows] == [False, True, True]
    assert all(row["error"].startswith(name) for row in rows[1:])


@pytest.mark.parametrize("back", [True, False])
def test_a_cable_that_comes_off_costs_the_color_under_way_and_no_other(cli_here: Cli, back: bool) -> None:
    words = ("--option", f"mixer=emulated:unplugged@60{'+5' if back else ''}", "--option", "imperfections=0", "--strategy", "sobol")
    done = cli_here("run", "--json", "--budget", 3 if back else 9, *words)
    rows = events(done)
    assert [row["error"] is None for row in rows[:-1]] == ([False, True, True] if back else [False, False])
    gone = "the emulated board is gone: plug it in again; for up to 60 s it is waited for, and nothing is dosed\n"
    assert done.stderr == gone + ("the emulated board is there again\n" if back else "")
    if not back:
        assert rows[1]["source"] == "stopped"
        assert "was not there again within 60 s" in rows[-1]["stopped_because"]


def test_a_campaign_on_the_command_line_goes_through_its_faults(cli_here: Cli) -> None:
    words = ("--option", "mixer=emulated:empty-bottle:red@180,reset@60", "--option", "imperfections=0", "--strategy", "sobol")
    rows = events(cli_here("run", "--json", "--budget", 4, *words))[:-1]
    assert [row["error"] is None for row in rows] == [False, True, True, True]
    assert "the board was reset" in rows[0]["error"]
    twin = flawless()
    right = [row["outcomes"] == pytest.approx(twin.truth(row["settings"]), abs=5e-3) for row in rows[1:]]
    assert right[0]
    assert not right[-1]
