"""PumpBot: the physics of its twin, the quirks of its firmware, and what the driver does when the line or the board misbehaves."""

import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from frugaltwin import catalog
from frugaltwin.errors import DriverError, InvalidInput, LinkError, OutOfBounds, RigFault, Stopped
from frugaltwin.experiment import Settings
from frugaltwin.goals.trial_table import trial_columns
from frugaltwin.plugins import Driver, KnowsTruth
from hardware.pumpbot import Frames, PumpBot, PumpBotMixer, PumpBotTwin, pumps_of
from hardware.serial.ports import POLL_INTERVAL
from hardware.serial.pumpbot_stand_in import BOOT, PumpBotStandIn
from simulator.pumpbot_mixing import CELL, FULL_SCALE, LIQUIDS, PUMPS, PURE, Imperfections, SimulatedCell, counts
from tests.forms import times

NONE = Imperfections().scaled(0)
MIXTURE: Settings = {"red": 5.0, "green": 3.0, "blue": 0.0, "yellow": 10.0, "water": 2.0}


def pure(liquid: str) -> Settings:
    return dict.fromkeys(LIQUIDS, 0.0) | {liquid: CELL}


def board(imperfections: Imperfections = NONE) -> PumpBotStandIn:
    return PumpBotStandIn(SimulatedCell(PUMPS, imperfections, 0))


def driver_of(that: PumpBotStandIn) -> PumpBot:
    return PumpBot(PumpBotMixer(that.open, that, "/dev/scripted"))


def twin(**options: object) -> PumpBotTwin:
    made = catalog.make_driver("pumpbot", options)
    assert isinstance(made, PumpBotTwin)
    return made


def said(that: PumpBotStandIn, request: bytes, seconds: float = 30.0) -> list[str]:
    """What a booted board answers within so much time."""
    that.sleep(BOOT + 1)
    that.read(that.in_waiting)
    that.write(request)
    that.sleep(seconds)
    return that.read(that.in_waiting).decode("latin-1").split("\r\n")[:-1]


@pytest.mark.parametrize("liquid", LIQUIDS)
def test_a_cell_of_one_liquid_reads_what_was_read_on_the_rig(liquid: str) -> None:
    assert list(twin().truth(pure(liquid)).values()) == pytest.approx(PURE[liquid], abs=0.1)


def test_a_mixture_is_the_geometric_mean_of_its_liquids_and_darker_than_their_arithmetic_mean() -> None:
    fractions = np.array([float(MIXTURE[name]) for name in LIQUIDS]) / CELL
    readings = np.array([PURE[name] for name in LIQUIDS])
    read = list(twin().truth(MIXTURE).values())
    assert read == pytest.approx(np.exp(fractions @ np.log(readings)), rel=3e-3)
    assert (np.array(read) < fractions @ readings).all()


def test_no_mixture_reads_more_than_full_scale_or_less_than_its_darkest_liquid() -> None:
    volumes = np.random.default_rng(0).dirichlet(np.ones(5), 500) * CELL
    read = counts(volumes)
    assert read.max() <= FULL_SCALE
    assert (read >= np.array([PURE[name] for name in LIQUIDS]).min(axis=0)).all()


def test_run_times_follow_the_published_calibration() -> None:
    assert PUMPS["green"].seconds(20.0) == pytest.approx(0.5330 * 20 - 0.1605, abs=0.001)
    for pump in PUMPS.values():
        assert 1.8 < 1 / pump.slope < 2.7
        assert 0.10 < pump.volume(1e-9) < 0.31
        for volume in (0.5, 3.0, 20.0):
            assert pump.volume(pump.seconds(volume)) == pytest.approx(volume, abs=0.002)


def test_a_dose_that_no_run_delivers_is_refused_and_the_measurement_says_what_whole_milliseconds_delivered() -> None:
    with twin(imperfections=0) as driver:
        with pytest.raises(OutOfBounds, match=r"green = 0.2 mL is outside 0 or \[0.32, 20\] mL"):
            driver.experiment.check({"red": 0.133, "green": 0.2, "blue": 0.0, "yellow": 0.0, "water": 19.667})
        measurement = driver.perform(driver.experiment.check({"red": 0.133, "green": 0.0, "blue": 0.0, "yellow": 1.0, "water": 18.867}))
    happened = {name: float(volume) for name, volume in measurement.happened.items()}
    assert (measurement.raw["seconds_red"], measurement.raw["seconds_green"], happened["green"]) == (0.01, 0.0, 0.0)
    assert happened["red"] == pytest.approx(0.13297, abs=1e-5)
    assert happened["yellow"] == pytest.approx(1.0, abs=0.0012)
    assert happened["yellow"] != 1.0


def test_without_imperfections_a_reading_is_the_truth_in_whole_counts() -> None:
    with twin(imperfections=0) as driver:
        for volumes in np.random.default_rng(1).dirichlet(np.ones(5), 10) * CELL:
            settings = dict(zip(LIQUIDS, volumes.tolist(), strict=True))
            read, true = driver.perform(settings).outcomes, driver.truth(settings)
            assert list(read.values()) == pytest.approx(list(true.values()), abs=1.0)


def test_repeats_of_the_pure_dyes_scatter_as_on_the_rig() -> None:
    """To 20 %, which is how well the rig's own 16 repeats tell: 1/√(2 · 12).

    The twin's scatter is 0.98, 1.11 and 0.97 times the rig's; 300 repeats of four dyes find it to 2.4 %, so one seed in 3,000 would fail.
    """
    squares = np.zeros(3)
    with twin(seed=0) as driver:
        for dye in LIQUIDS[:4]:
            read = np.array([list(driver.perform(pure(dye)).outcomes.values()) for _ in range(301)], dtype=float)
            squares += read[1:].var(axis=0, ddof=1)  # the first one remembers the dye before
    assert np.sqrt(squares / 4) == pytest.approx([2.6, 1.4, 2.2], rel=0.2)


def test_the_cell_remembers_the_color_before_unless_that_is_turned_off() -> None:
    def yellow_after_blue(**options: float) -> list[float | str]:
        with twin(pump_error=0, sensor_noise=0, **options) as driver:
            driver.perform(pure("blue"))
            return list(driver.perform(pure("yellow")).outcomes.values())

    clean = [146, 78, 95]
    assert yellow_after_blue(carry_over=0) == pytest.approx(clean, abs=1)
    assert float(yellow_after_blue(carry_over=5)[0]) < clean[0] - 5


def test_a_color_takes_about_56_seconds_and_two_cells_of_liquid() -> None:
    with twin() as driver:
        driver.perform(MIXTURE)
        cost, expected = driver.perform(MIXTURE).cost, driver.estimate(MIXTURE)
    assert cost.seconds == pytest.approx(56, abs=2)
    assert cost.volume == pytest.approx(2 * CELL, abs=0.1)
    assert cost.money == pytest.approx(expected.money)
    assert twin().estimate(MIXTURE).seconds > 80  # the first time, it is cleaned first


def test_other_seeds_read_something_else() -> None:
    def read(seed: int) -> list[float | str]:
        with twin(seed=seed) as driver:
            return [v for _ in range(3) for v in driver.perform(MIXTURE).outcomes.values()]

    assert read(1) == read(1)
    assert read(1) != read(2)


def test_only_the_emulated_rig_knows_the_truth_and_has_imperfections_to_choose() -> None:
    rig = catalog.make_driver("pumpbot", {"port": "/dev/nobody"})
    assert not isinstance(rig, KnowsTruth)
    assert isinstance(twin(), KnowsTruth)
    with pytest.raises(InvalidInput, match="/dev/nobody has its own"):
        catalog.make_driver("pumpbot", {"port": "/dev/nobody", "pump_error": 2})
    with pytest.raises(LinkError, match="cannot open /dev/nobody: there is no such port"), rig:
        pass


def test_a_config_of_the_course_calibrates_the_pumps(tmp_path: Path) -> None:
    entries = {letter: {"pin": k + 2, "a": 0.5, "b": -0.1} for k, letter in enumerate("RGBYWD")}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"pumps": entries, "pH": {}}))
    driver = twin(config=path, imperfections=0)
    with driver:
        measurement = driver.perform(MIXTURE)
    assert measurement.raw["seconds_red"] == pytest.approx(2.4)
    assert list(measurement.outcomes.values()) == pytest.approx(list(driver.truth(MIXTURE).values()), abs=1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"R": {"pin": 2, "a": -0.5, "b": 0.0}}, "red with a = -0.5 s/mL and b = 0 s is no pump that fills the cell"),
        ({"G": {"pin": 3, "a": 2.0, "b": 0.0}}, "green with a = 2 s/mL"),
        ({"B": {"pin": 13, "a": 0.5, "b": 0.0}}, "blue is at pin 13; every pump needs a pin of its own from 2 to 9"),
        ({"B": {"pin": 2, "a": 0.5, "b": 0.0}}, "is at pin 2; every pump needs a pin of its own"),
        ({"Y": {"pin": 6}}, "is no config.json of the course"),
    ],
)
def test_an_impossible_calibration_is_refused(tmp_path: Path, change: dict[str, object], complaint: str) -> None:
    entries = {letter: {"pin": k + 2, "a": 0.5, "b": -0.1} for k, letter in enumerate("RGBYWD")}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"pumps": entries | change}))
    with pytest.raises(InvalidInput, match=complaint):
        pumps_of(path)
    with pytest.raises(InvalidInput, match="cannot read"):
        pumps_of(tmp_path / "nothing.json")


def test_the_firmware_is_deaf_until_it_says_that_it_is_ready() -> None:
    that = board()
    that.write(b"<Meas>")
    that.sleep(10)
    assert that.read(that.in_waiting) == b"<Arduino is ready>\r\n"


@pytest.mark.parametrize(
    ("request_", "answers"),
    [
        (b"<Mix,2,1.500>", ["<Msg Mix,2,1.500 Time 1>"]),
        (b"noise<Meas>noise", ["<Msg Meas Time 1>", "<RGB:170,170,170>"]),
        (b"<Me<Meas>", ["<Msg Meas Time 1>", "<RGB:170,170,170>"]),
        (b"<Stop>", ["<Msg Stop Time 1>"]),
        (b"<" + b"x" * 60 + b">", [f"<Msg {'x' * 39} Time 2>"]),
        (b"<Mix,2,0.500>>", ["<Msg Mix,2,0.500 Time 1>", "<Msg Mix Time 2>"]),
        (b"<Meas>>", ["<Msg Meas Time 1>", "<RGB:170,170,170>", "<Msg Meas Time 4>", "<RGB:170,170,170>"]),
        (b"Meas", []),
        (b"<Meas", []),
    ],
)
def test_the_firmware_answers_as_its_source_says(request_: bytes, answers: list[str]) -> None:
    that = board()
    that.cell.run(PUMPS["water"].pin, 3.0)
    assert said(that, request_) == answers


def test_while_a_pump_runs_63_bytes_wait_and_the_rest_is_lost() -> None:
    answers = said(board(), b"<Mix,2,3.000>" + b"<Stop>" * 30)
    assert answers == ["<Msg Mix,2,3.000 Time 1>"] + ["<Msg Stop Time 7>"] * 10


def test_the_reply_is_two_thirds_of_the_last_of_three_looks() -> None:
    looks = iter([(255.0, 255.0, 255.0), (0.0, 0.0, 0.0), (100.0, 200.0, 3.1)])
    that = board()
    that.cell.look = lambda: next(looks)  # type: ignore[method-assign]
    assert said(that, b"<Meas>")[1] == "<RGB:66,133,2>"


def test_a_reset_in_mid_dose_cuts_the_dose_short() -> None:
    that = board()
    that.sleep(BOOT + 1)
    that.write(b"<Mix,2,5.000><Mix,3,5.000>")
    that.sleep(2.0)
    that.reset()
    that.sleep(20)
    assert that.cell.volumes[0] == pytest.approx(PUMPS["red"].volume(2.0), abs=0.1)
    assert that.cell.volumes[1] == 0


class Misbehaving(PumpBotStandIn):
    """A board whose replies can be spoiled, from the first dose of red on: `spoil` gets a reply and says what comes instead of it."""

    spoil: Callable[[bytes], bytes] | None = None
    resets = 0

    def reset(self) -> None:
        super().reset()
        self.resets += 1

    def _say(self, frame: bytes, at: float) -> None:
        if self.spoil and frame.startswith(b"Msg Mix,2,"):
            text, self.spoil = self.spoil(frame), None
            self._send(text, at - self._now + 0.02)
        else:
            super()._say(frame, at)


FAULTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "silence": (lambda reply: b"", r"gave no reply to <Mix,2,1.994> within 4.0 s; it was not sent again"),
    "garbage": (lambda reply: b"\xff\x00\xfe", r"gave no reply to <Mix,2,1.994> within 4.0 s; it was not sent again"),
    "half a frame": (lambda reply: b"<" + reply[:8], r"within 4.0 s, only the beginning of one: b'<Msg Mix,'; it was not sent again"),
    "another dose": (lambda reply: b"<Msg Mix,3,1.994 Time 70>", r"replied <Msg Mix,3,1.994 Time 70> to <Mix,2,1.994>, which is no answer"),
    "a flipped digit": (lambda reply: b"<Msg Mix,2,1.894 Time 70>", r"which is no answer to it; it was not sent again"),
    "no clock": (lambda reply: b"<Msg Mix,2,1.994 Time >", r"which is no answer to it"),
    "a color": (lambda reply: b"<RGB:1,2,3>", r"replied <RGB:1,2,3> to <Mix,2,1.994>"),
    "a clock that goes back": (lambda reply: b"<Msg Mix,2,1.994 Time 2>", r"started anew before <Mix,2,1.994>, so its pumps stopped"),
    "a new start": (lambda reply: b"<Arduino is ready>\r\n", r"started anew in the middle of <Mix,2,1.994>"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_nothing_is_sent_twice_and_the_next_color_is_right(fault: str) -> None:
    that = Misbehaving(SimulatedCell(PUMPS, NONE, 0))
    with driver_of(that) as driver:
        before, that.spoil = that.resets, FAULTS[fault][0]
        with pytest.raises(LinkError, match=FAULTS[fault][1]) as caught:
            driver.perform(MIXTURE)
        assert that.requests[-1] == "Mix,2,1.994"
        assert that.requests.count("Mix,2,1.994") == 1
        assert that.resets == before + 1
        assert caught.value.cost.seconds > 0
        read = driver.perform(MIXTURE).outcomes
    assert list(read.values()) == pytest.approx(list(twin(imperfections=0).truth(MIXTURE).values()), abs=1)


def test_a_reply_that_comes_before_the_pump_can_have_run_is_not_believed() -> None:
    class Hasty(Misbehaving):
        def _obey(self, request: bytes, at: float) -> None:
            super()._obey(request, at)
            if request.startswith(b"Mix,2,"):
                self._due.clear()
                self._send(b"<Msg %s Time 99>" % request, 0.1)

    that = Hasty(SimulatedCell(PUMPS, NONE, 0))
    with driver_of(that) as driver, pytest.raises(LinkError, match=r"said after 0\.1 s that <Mix,2,1.994> was done"):
        driver.perform(MIXTURE)
    assert that.cell.volumes[0] < 1.0


class Resetting(Misbehaving):
    """A board whose supply dips half a second into the first dose of red."""

    has_dipped = False

    def _obey(self, request: bytes, at: float) -> None:
        super()._obey(request, at)
        if request.startswith(b"Mix,2,") and not self.has_dipped:
            self.has_dipped = True
            self._now = at + 0.5
            self.reset()


def test_a_board_that_resets_in_mid_dose_is_noticed_and_the_cell_is_emptied_before_the_next_color() -> None:
    that = Resetting(SimulatedCell(PUMPS, NONE, 0))
    with driver_of(that) as driver:
        with pytest.raises(LinkError, match=r"started anew in the middle of <Mix,2,1\.994>"):
            driver.perform(MIXTURE)
        assert 0.5 < that.cell.volumes[0] < 2
        read = driver.perform(MIXTURE).outcomes
    assert list(read.values()) == pytest.approx(list(twin(imperfections=0).truth(MIXTURE).values()), abs=1)


def test_a_board_that_resets_between_two_requests_is_noticed_before_anything_is_sent() -> None:
    that = board()
    mixer = PumpBotMixer(that.open, that, "/dev/scripted")
    with mixer:
        mixer.drain()
        that.reset()
        that.sleep(BOOT + 1)
        with pytest.raises(LinkError, match="started anew while nothing was asked of it"):
            mixer.dispense("red", 5.0)
    assert that.requests == ["Mix,8,15.000"]


class Unplugged(PumpBotStandIn):
    """A board whose cable comes off when a dose of red begins, and is put back or not."""

    is_gone = False
    back_at = math.inf

    def open(self) -> "Unplugged":
        if self.is_gone and self.monotonic() < self.back_at:
            raise LinkError("cannot open /dev/scripted: there is no such port; plug the board in")
        return super().open()

    def read(self, size: int = 1, /) -> bytes:
        if not self.is_gone and any(r.startswith("Mix,2,") for r in self.requests):
            self.is_gone = True
            raise OSError(5, "Input/output error")
        return super().read(size)


def test_a_cable_that_comes_off_is_named_and_the_pumps_are_not_said_to_be_still() -> None:
    that = Unplugged(SimulatedCell(PUMPS, NONE, 0))
    with driver_of(that) as driver:
        with pytest.raises(
            LinkError, match=r"broke off .*plug the board in again.*a pump may run on for up to 20 s: cut the pumps' supply"
        ):
            driver.perform(MIXTURE)
        before = that.monotonic()
        with pytest.raises(Stopped, match=r"was not there again within 60 s .*there is no such port.*; plug it in, then start again"):
            driver.perform(MIXTURE)
        assert that.monotonic() - before == pytest.approx(60, abs=1)
        that.back_at = that.monotonic() + 30
        assert driver.perform(MIXTURE).outcomes
    assert sum(r.startswith("Mix,2,") for r in that.requests) == 2


def test_a_silent_port_is_no_pumpbot() -> None:
    class Silent(PumpBotStandIn):
        def _say(self, frame: bytes, at: float) -> None: ...

    that = Silent(SimulatedCell(PUMPS, NONE, 0))
    with pytest.raises(LinkError, match="no PumpBot at /dev/scripted: it did not say that it is ready within 6 s"), driver_of(that):
        pass
    assert that.requests == []
    assert that.monotonic() < 15


@pytest.mark.parametrize("how", [Stopped, KeyboardInterrupt])
def test_a_stop_in_mid_dose_resets_the_board_at_once(how: type[BaseException]) -> None:
    class Interrupted(PumpBotStandIn):
        timeout = POLL_INTERVAL
        stop: Callable[[], None]

        def read(self, size: int = 1, /) -> bytes:
            if self.requests[-1:] == ["Mix,2,1.994"] and not self.has_interrupted:
                self.sleep(0.5)
                self.has_interrupted = True
                self.stop()
            return super().read(size)

        has_interrupted = False

    def interrupt() -> None:
        raise KeyboardInterrupt

    that = Interrupted(SimulatedCell(PUMPS, NONE, 0))
    with driver_of(that) as driver:
        that.stop = driver.stop if how is Stopped else interrupt
        with pytest.raises(how):
            driver.perform(MIXTURE)
        assert 1.0 < that.cell.volumes[0] < PUMPS["red"].volume(0.8)
        that.sleep(30)
        assert that.cell.volumes[0] < PUMPS["red"].volume(0.8)
    with pytest.raises(Stopped):
        driver.perform(MIXTURE)


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (b"RGB:171,20,30", RigFault, "cannot reply more than 170"),
        (b"RGB:0,0,0", RigFault, "^no light above the dark: .* saw no light at all; check the lamp"),
        (b"RGB:10,20", LinkError, "replied <RGB:10,20> instead of a color"),
        (b"RGB:1x,20,30", LinkError, "instead of a color"),
        (b"RGB:-1,20,30", LinkError, "instead of a color"),
    ],
)
def test_a_color_that_cannot_be_is_refused(frame: bytes, error: type[DriverError], message: str) -> None:
    class Odd(PumpBotStandIn):
        def _say(self, frame_: bytes, at: float) -> None:
            super()._say(frame if frame_.startswith(b"RGB") else frame_, at)

    with pytest.raises(error, match=message), driver_of(Odd(SimulatedCell(PUMPS, NONE, 0))):
        pass


class Stuck(SimulatedCell):
    """A cell whose sensor repeats itself from some look on."""

    looks, good = 0, 0

    def look(self) -> tuple[float, float, float]:
        self.looks += 1
        if self.looks <= self.good:
            self.seen = super().look()
        return self.seen


@pytest.mark.parametrize("good", [1, 4, 6, 7])  # three looks a reading: of the water on connecting, of a mixture
def test_a_sensor_that_repeats_one_reading_fails_by_name(good: int) -> None:
    cell = Stuck(PUMPS, Imperfections(), 0)
    cell.good = good
    other: Settings = {**MIXTURE, "red": MIXTURE["water"], "water": MIXTURE["red"]}
    clean: Settings = {**dict.fromkeys(LIQUIDS, 0.0), "water": CELL}
    failed = []
    with driver_of(PumpBotStandIn(cell)) as driver:
        for settings in (MIXTURE, other, MIXTURE):
            try:
                driver.perform(settings)
                failed.append("")
            except RigFault as error:
                failed.append(str(error).partition(":")[0])
        cell.good = 10**6
        assert min(float(v) for v in driver.perform(clean).outcomes.values()) > 0.8 * FULL_SCALE
    name = "no scatter where there must be some"
    assert failed == [name if good < 4 else "", name if good < 7 else "", name]


def test_later_firmware_that_tells_a_ph_as_well_works_too() -> None:
    class Later(PumpBotStandIn):
        def _say(self, frame: bytes, at: float) -> None:
            super()._say(frame, at)
            if frame.startswith(b"RGB"):
                super()._say(b"PH:2280.27", at + 0.001)

    with driver_of(Later(SimulatedCell(PUMPS, NONE, 0))) as driver:
        read = [list(driver.perform(MIXTURE).outcomes.values()) for _ in range(2)]
    assert read[0] == read[1] == pytest.approx(list(twin(imperfections=0).truth(MIXTURE).values()), abs=1)


def test_what_the_rig_cannot_do_is_refused_before_anything_moves() -> None:
    that = board()
    with PumpBotMixer(that.open, that, "/dev/scripted") as mixer:
        with pytest.raises(RigFault, match=r"5 mL of red do not fit: 20.00 of 20 mL are in the cell; drain it first"):
            mixer.dispense("red", 5.0)
        with pytest.raises(RigFault, match="cannot read in the dark"):
            mixer.read(lamp=False)
    assert that.requests == []


def noise(random_: random.Random, count: int) -> Iterator[bytes]:
    """Bytes of which many look like frames."""
    words = [b"<", b">", b"Msg ", b"Mix,2,1.994", b" Time ", b"7", b"RGB:", b"1,2,3", b"Arduino is ready", b"\r\n"]
    while count > 0:
        piece = random_.choice(words) if random_.random() < 0.7 else random_.randbytes(random_.randrange(1, 200))
        count -= len(piece)
        yield piece


def test_a_million_bytes_of_noise_do_not_upset_the_parser() -> None:
    frames, seen = Frames(), 0
    for piece in noise(random.Random(1), 1_000_000):
        for frame in frames.cut(piece):
            seen += 1
            assert not {"<", ">"} & set(frame)
        assert len(frames.begun) <= 64
    assert seen > 1000


@pytest.mark.parametrize("seed", range(times(10, 200)))
def test_a_board_that_talks_nonsense_never_gives_a_color_and_never_hangs(seed: int) -> None:
    random_ = random.Random(seed)

    class Nonsense(PumpBotStandIn):
        def _obey(self, request: bytes, at: float) -> None:
            self.requests.append(request.decode("latin-1"))
            for piece in noise(random_, random_.choice([0, 10, 100, 5000])):
                self._send(piece, random_.uniform(0, 25))

    that = Nonsense(SimulatedCell(PUMPS, NONE, 0))
    with pytest.raises(DriverError), driver_of(that) as driver:
        driver.perform(MIXTURE)
    assert len(that.requests) == 1
    assert that.monotonic() < 60


def test_a_campaign_runs_on_the_emulated_rig_and_goes_on_with_other_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from frugaltwin.cli.main import app

    monkeypatch.chdir(tmp_path)
    arguments = ["run", "--driver", "pumpbot", "--strategy", "random", "--name", "class", "--option", "port=emulated", "--budget"]
    for budget in ("2", "4"):
        done = CliRunner().invoke(app, [*arguments, budget])
        assert done.exit_code == 0, done.output
    assert "ended by budget: 4 of 4 runs" in done.output


def test_no_column_of_a_table_is_written_twice() -> None:
    columns = trial_columns(catalog.make_goal("match-color:coral", twin()))
    assert len(columns) == len(set(map(str.lower, columns)))


def test_it_is_a_driver_whichever_port_it_has() -> None:
    for port in ("emulated", "/dev/ttyACM0", "socket://localhost:1"):
        assert isinstance(catalog.make_driver("pumpbot", {"port": port}), Driver)
