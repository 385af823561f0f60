"""The fault matrix of the rig: whatever happens to a line, to the board or to the host, no wrong dose is ever reported as right.

Every fault meets an instruction in both directions, once and for good, and every instruction meets some (all of these together in the long
form), in virtual time.
What really happened is told by the plant of the emulated board, which sees the pins and nothing of the line.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from frugaltwin import catalog
from frugaltwin.campaign import Campaign
from frugaltwin.errors import DriverError, LinkError, RigFault, Stopped
from frugaltwin.plugins import KnowsTruth
from hardware.arduino_mixer import ArduinoMixer
from hardware.emulator.emulated_board import EmulatedBoard
from hardware.emulator.engine import LAMP, STIRRER, missing
from hardware.emulator.faults import parse_faults
from hardware.serial.link import framed
from hardware.serial.places import RECONNECT
from simulator.instruments.dyed_water import DYED_WATER
from simulator.instruments.mixer import RESIDUE, Cell, Imperfections
from simulator.instruments.sensors import make_sensor
from tests.faulty_port import ALWAYS, EXACT, FAULTS, UNKIND, FaultyPort, LineFault
from tests.forms import IS_LONG, combinations, each
from tests.forms import times as often

pytestmark = pytest.mark.skipif(missing() is not None, reason=missing() or "")

DOSE = 0.25  # mL
GRAIN = 1e-4  # mL: 0.1 µL
REST = 2.0  # s until every output is off
HOST_LOSS = 5.2  # s after the last valid line
STIR = 1.5  # s


@dataclass
class Rig:
    """A mixer, its line, and what its pumps did since `begin`."""

    port: FaultyPort
    is_reset: bool = True
    mixer: ArduinoMixer = field(init=False)

    def __post_init__(self) -> None:
        self.mixer = ArduinoMixer(self._connect, "the rig", make_sensor("as7341", {}), DYED_WATER)
        self.begin()

    def _connect(self) -> tuple[FaultyPort, FaultyPort]:
        self.port.open(self.is_reset)
        return self.port, self.port

    def begin(self) -> None:
        plant = self.port.plant
        self._asked, self._runs, self._n_seen = dict(plant.asked), list(plant.n_runs), len(plant.seen)

    @property
    def asked(self) -> dict[str, float]:
        """mL that left the pumps."""
        return {name: volume - self._asked[name] for name, volume in self.port.plant.asked.items()}

    @property
    def n_runs(self) -> list[int]:
        return [n - before for n, before in zip(self.port.plant.n_runs, self._runs, strict=True)]

    @property
    def darkest(self) -> int:
        """Counts that no channel is above with the lamp off: light comes from the room, unless the lab is exact."""
        return 3 if self.port.is_exact else 100

    def stirred(self) -> tuple[int, float]:
        """How often and for how many s the stirrer ran."""
        edges = [e for e in self.port.plant.seen[self._n_seen :] if e.output == STIRRER]
        on = [e.at for e in edges if e.duty]
        off = [e.at for e in edges if not e.duty]
        return len(on), sum(off) - sum(on) if len(on) == len(off) else math.inf

    def is_at_rest(self, seconds: float = 0.0) -> bool:
        """Whether every output is off, or is within so many s."""
        end = self.port.monotonic() + seconds
        while any(self.port.plant.outputs[:LAMP]) and self.port.monotonic() < end:
            self.port.sleep(0.1)
        return not any(self.port.plant.outputs[:LAMP])

    def check_a_dose(self) -> None:
        """A dose is right, and nothing else moves."""
        self.begin()
        self.mixer.dispense("yellow", 0.1)
        assert self.n_runs == [0, 1, 0, 0, 0]
        assert self.asked == pytest.approx({"red": 0, "yellow": 0.1, "blue": 0, "water": 0}, abs=GRAIN)


@pytest.fixture(scope="module", params=["exact", "unkind"] if IS_LONG else ["exact"])
def board(request: pytest.FixtureRequest) -> Iterator[FaultyPort]:
    port = FaultyPort(imperfections=UNKIND if request.param == "unkind" else EXACT)
    yield port
    port.board.power_off()


@pytest.fixture
def rig(board: FaultyPort) -> Rig:
    board.heal()
    return Rig(board)


def no_check(rig: Rig) -> None:
    """There is nothing to see of it at the pins."""
    assert not any(rig.n_runs)


def one_dose(pump: int, liquid: str) -> Callable[[Rig], None]:
    def check(rig: Rig) -> None:
        assert rig.n_runs == [int(p == pump) for p in range(5)]
        assert rig.asked == pytest.approx(dict.fromkeys(DYED_WATER.bottles, 0.0) | {liquid: DOSE}, abs=GRAIN)

    return check


def one_stir(rig: Rig) -> None:
    times, seconds = rig.stirred()
    assert times == 1
    assert seconds == pytest.approx(STIR, abs=2e-3)
    assert not any(rig.n_runs)


def one_drain(rig: Rig) -> None:
    assert rig.n_runs == [0, 0, 0, 0, 1]
    assert rig.port.plant.cell.volume == pytest.approx(rig.port.residue)


def read(rig: Rig) -> None:
    """Dark, then light: what an undisturbed rig reads."""
    dark, light = rig.mixer.read(lamp=False), rig.mixer.read(lamp=True)
    assert max(dark.counts.values()) <= rig.darkest
    assert light.counts["clear"] > (10_000 if rig.port.is_exact else 500)  # through undiluted dyes


INSTRUCTIONS: dict[str, tuple[Callable[[Rig], object], Callable[[Rig], None], tuple[str, ...]]] = {
    "identify": (lambda rig: rig.mixer.identify(), no_check, ("*IDN?",)),
    "dispense": (lambda rig: rig.mixer.dispense("red", DOSE), one_dose(0, "red"), ("DISPENSE", "STAT?")),
    "mix": (lambda rig: rig.mixer.mix(STIR), one_stir, ("MIX", "STAT?")),
    "read": (read, no_check, ("LED", "READ?")),
    "rinse": (lambda rig: rig.mixer.rinse(DOSE), one_dose(3, "water"), ("DISPENSE", "STAT?")),
    "drain": (lambda rig: rig.mixer.drain(), one_drain, ("DRAIN", "STAT?")),
}
MEETINGS = {f"{instruction} {word}": (instruction, word) for instruction, (_, _, words) in INSTRUCTIONS.items() for word in words}
WAYS = {"to the board": True, "to the host": False}
HOW_OFTEN = {"once": 1, "for good": ALWAYS}
HAPPENINGS = {
    f"{what} {way} {how_often}": (what, WAYS[way], HOW_OFTEN[how_often])
    for what, way, how_often in itertools.product(FAULTS, WAYS, HOW_OFTEN)
}
"""All that goes wrong on a line: what, whether with what the host says, and how often."""


def meeting(names: str, combined: Sequence[tuple[str, ...]]) -> pytest.MarkDecorator:
    """Tests of things that meet, by their names."""
    return pytest.mark.parametrize(names, combined, ids=["-".join(words) for words in combined])


def attempt(rig: Rig, act: Callable[[Rig], object], seconds: float) -> DriverError | None:
    """What an instruction raises; it takes at most so many s, and its error is one sentence."""
    before = rig.port.monotonic()
    error: DriverError | None = None
    try:
        act(rig)
    except (LinkError, RigFault, Stopped) as raised:
        error = raised
    assert "\n" not in str(error)
    assert len(str(error)) < 250
    assert rig.port.monotonic() - before < seconds
    return error


@meeting("request_,happening", each(MEETINGS, HAPPENINGS))
def test_no_fault_of_the_line_makes_an_instruction_lie(rig: Rig, request_: str, happening: str) -> None:
    (instruction, word), (what, is_to_board, times) = MEETINGS[request_], HAPPENINGS[happening]
    act, check, _ = INSTRUCTIONS[instruction]
    with rig.mixer:
        rig.begin()
        rig.port.fault = fault = LineFault(what, word, is_to_board, times)
        error = attempt(rig, act, 14.0 + (RECONNECT if instruction == "drain" else 0.0))  # with which a rig is waited for
        assert fault.n_hits
        if error is None:
            check(rig)
        else:
            assert times == ALWAYS or what == "stale instead", f"one line is not worth an error: {error}"
        assert rig.is_at_rest(REST)
        rig.port.sleep(5.0 if what == "delay 6 s" else 0.0)  # what is late has come
        assert max(rig.n_runs) <= 1
        assert max(rig.asked.values()) < DOSE + GRAIN
        assert rig.is_at_rest()
        rig.port.heal()
        rig.mixer.drain()
        rig.check_a_dose()
    with rig.mixer:
        rig.check_a_dose()


@meeting("word,happening", each(["*IDN?", "STAT?", "CAL?", "STOP", "CLEAR", "SENS", "LED", "DRAIN"], HAPPENINGS))
def test_no_fault_of_the_line_makes_connecting_lie(rig: Rig, word: str, happening: str) -> None:
    what, is_to_board, times = HAPPENINGS[happening]
    rig.port.fault = fault = LineFault(what, word, is_to_board, times)
    error = attempt(rig, lambda rig: rig.mixer.__enter__(), 20.0)
    assert fault.n_hits
    if error is None:
        assert rig.port.plant.cell.volume == pytest.approx(rig.port.residue)
        rig.port.heal()
        rig.check_a_dose()
    rig.mixer.__exit__()
    assert rig.is_at_rest(HOST_LOSS if word == "STOP" and times == ALWAYS else REST)
    rig.port.heal()
    with rig.mixer:
        rig.check_a_dose()


@meeting("what,way,how_often", combinations(FAULTS, WAYS, HOW_OFTEN))
def test_a_stop_stops_whatever_happens_to_its_lines(rig: Rig, what: str, way: str, how_often: str) -> None:
    is_to_board, times = WAYS[way], HOW_OFTEN[how_often]
    with rig.mixer:
        rig.begin()
        rig.mixer.link.request("DISPENSE 0 1400")
        rig.port.sleep(0.1)
        rig.port.fault = fault = LineFault(what, "STOP", is_to_board, times)
        rig.mixer.stop()
        rig.port.sleep(0.2)
        assert fault.n_hits
        assert rig.is_at_rest() or times == ALWAYS
        with pytest.raises(Stopped):
            rig.mixer.mix(1.0)
        assert rig.is_at_rest(HOST_LOSS)
        rig.port.sleep(5.0 if what == "delay 6 s" else 0.0)
        assert rig.is_at_rest()
        assert rig.n_runs == [1, 0, 0, 0, 0]
    rig.port.heal()
    with rig.mixer:
        rig.check_a_dose()


def test_a_price_is_asked_of_nobody(rig: Rig) -> None:
    with rig.mixer:
        before, n_written = rig.port.monotonic(), rig.port.n_written
        for instruction in ("dispense", "rinse", "mix", "read", "drain"):
            assert rig.mixer.price(instruction, 1.0).seconds > 0
        assert (rig.port.monotonic(), rig.port.n_written) == (before, n_written)


MOMENTS = {"before": 0.0, "during": 0.08, "at the end": 0.161, "after": 0.2, "long after": 0.6}
BREAKS: dict[str, Callable[[FaultyPort], None]] = {
    "reset": FaultyPort.reset,
    "power-cycle": lambda port: port.board.engine.power_cycle(),
    "hang": lambda port: port.board.engine.hang(),
    "unplug": FaultyPort.unplug,
}


@meeting("moment,what,instruction", [(moment, what, i) for (moment, what), i in each(itertools.product(MOMENTS, BREAKS), INSTRUCTIONS)])
def test_no_fault_of_the_board_makes_an_instruction_lie(rig: Rig, moment: str, what: str, instruction: str) -> None:
    act, check, _ = INSTRUCTIONS[instruction]
    with rig.mixer:
        rig.begin()
        rig.port.plan(MOMENTS[moment], lambda: BREAKS[what](rig.port))
        error = attempt(rig, act, 14.0)
        if error is None:
            check(rig)
        rig.port.sleep(MOMENTS[moment])  # until it has happened
        assert rig.is_at_rest(HOST_LOSS if what == "unplug" else REST + 0.1)
        assert max(rig.n_runs) <= 1
        beyond = 2.1 * 1.7 if what == "hang" else 0.0  # mL until the watchdog bites
        assert max(rig.asked.values()) < DOSE + GRAIN + beyond
        try:
            rig.mixer.drain()  # in the same session
        except LinkError:
            assert what == "unplug"
            rig.mixer.drain()
        rig.check_a_dose()
    with rig.mixer:
        rig.check_a_dose()


@pytest.mark.parametrize(("what", "after"), each(BREAKS, [0.0, 0.01, 0.5, 3.02, 3.05, 3.2, 4.5]))
def test_no_fault_of_the_board_makes_connecting_lie(rig: Rig, what: str, after: float) -> None:
    rig.is_reset = False  # opening takes 3 s then
    rig.port.open(is_reset=True).sleep(0.3)
    original = rig.port.open

    def connect() -> tuple[FaultyPort, FaultyPort]:
        original(False)
        rig.port.plan(after, lambda: BREAKS[what](rig.port))
        return rig.port, rig.port

    mixer = ArduinoMixer(connect, "the rig", make_sensor("as7341", {}), DYED_WATER)
    error = attempt(rig, lambda rig: mixer.__enter__(), 20.0)
    if error is None and what != "unplug":
        try:
            mixer.dispense("red", DOSE)
        except RigFault:
            pass
        else:
            assert rig.asked["red"] == pytest.approx(DOSE, abs=GRAIN)
    mixer.__exit__()
    assert rig.is_at_rest(HOST_LOSS)
    with rig.mixer:
        rig.check_a_dose()


@pytest.mark.parametrize(
    ("request_", "pause", "is_reset"),
    combinations(["DISPENSE 0 1400", "DRAIN", "MIX 60000", "PUMP 4 255 20000"], [0.0, 3.0, 10.0], [True, False]),
)
def test_a_host_that_dies_leaves_a_rig_that_comes_to_rest_and_takes_the_next_one(
    rig: Rig, request_: str, pause: float, is_reset: bool
) -> None:
    rig.mixer.__enter__()
    rig.begin()
    rig.mixer.link.request(request_)
    rig.port.sleep(0.1)
    if pause == 10.0:
        rig.port.sleep(HOST_LOSS - 0.1)
        assert rig.is_at_rest()
    rig.port.sleep(max(0.0, pause - HOST_LOSS))
    following = Rig(rig.port, is_reset)
    with following.mixer as mixer:
        assert following.is_at_rest()
        assert rig.port.plant.cell.volume == pytest.approx(rig.port.residue)
        assert mixer.state().cell == 0
        following.check_a_dose()


def test_a_late_line_of_a_host_that_died_is_not_obeyed(rig: Rig) -> None:
    rig.mixer.__enter__()
    seq = rig.mixer.link.next_seq
    following = Rig(rig.port, is_reset=False)
    with following.mixer:
        following.begin()
        rig.port.board.write(framed(f"{seq} DISPENSE 0 500"))
        following.port.sleep(0.5)
        assert not any(following.n_runs)
        following.check_a_dose()


def test_another_program_on_the_line_is_noticed_and_survived(rig: Rig) -> None:
    with rig.mixer:
        rig.port.board.write(framed(f"{(rig.mixer.link.next_seq + 500) % 65535} LED 1"))
        rig.port.sleep(0.1)
        with pytest.raises(LinkError):
            rig.mixer.dispense("red", DOSE)
        rig.mixer.drain()
        rig.check_a_dose()


def test_a_dose_that_somebody_else_cut_short_is_not_right_though_the_rig_is_cleared_again(rig: Rig) -> None:
    with rig.mixer:
        others = b"STOP\n" + framed(f"{rig.mixer.link.next_seq + 5} CLEAR")
        rig.port.plan(0.05, lambda: rig.port.board.write(others))
        with pytest.raises(RigFault, match=r"moved \d+(\.\d)? of 250 µL"):
            rig.mixer.dispense("red", DOSE)
        rig.mixer.drain()
        rig.check_a_dose()


def test_a_dose_of_somebody_else_is_not_taken_for_ours(rig: Rig) -> None:
    with rig.mixer:
        seq = rig.mixer.link.next_seq + 5
        others = b"STOP\n" + framed(f"{seq} CLEAR") + framed(f"{seq + 1} DISPENSE 1 250")
        rig.port.plan(0.05, lambda: rig.port.board.write(others))
        with pytest.raises(RigFault, match="knows nothing of DISPENSE"):
            rig.mixer.dispense("red", DOSE)
        rig.mixer.drain()
        rig.check_a_dose()


def test_who_only_opens_the_line_goes_on_counting(rig: Rig) -> None:
    with rig.mixer:
        rig.check_a_dose()
    following = Rig(rig.port, is_reset=False)
    following.mixer.open()
    following.mixer.clear()
    assert following.mixer.state().cause == 0
    following.mixer.__exit__()


def test_after_many_questions_a_dose_is_refused_or_right(rig: Rig) -> None:
    with rig.mixer:
        rig.mixer.link.next_seq = (rig.mixer.link.next_seq + 40_000) % 65535 + 1
        with pytest.raises(LinkError):
            rig.mixer.dispense("red", DOSE)
        rig.mixer.drain()
        rig.check_a_dose()


def test_the_numbers_go_round(rig: Rig) -> None:
    with rig.mixer:
        for start in (30_000, 60_000, 65_530):
            rig.mixer.link.next_seq = start
            rig.check_a_dose()
        while rig.mixer.link.next_seq > 60_000:
            rig.mixer.identify()
        rig.check_a_dose()


def test_an_answer_to_the_lamp_that_is_lost_leaves_no_doubt_about_the_lamp(rig: Rig) -> None:
    with rig.mixer:
        rig.mixer.read(lamp=False)
        rig.port.fault = LineFault("drop", "LED", is_to_board=False, times=ALWAYS)
        with pytest.raises(LinkError):
            rig.mixer.read(lamp=True)
        rig.port.heal()
        assert max(rig.mixer.read(lamp=False).counts.values()) <= rig.darkest


def test_a_sensor_that_was_silent_at_the_reset_is_found_when_it_speaks(rig: Rig) -> None:
    rig.is_reset = False
    rig.port.board.engine.hold_bus(True)
    rig.port.open(is_reset=True).sleep(0.5)
    with pytest.raises(RigFault, match="no sensor"), rig.mixer:
        pass
    rig.port.board.engine.hold_bus(False)
    with rig.mixer:
        read(rig)


@pytest.mark.parametrize("volume", [4.0, 100.0, 1e300])
def test_a_dose_that_does_not_fit_changes_nothing(rig: Rig, volume: float) -> None:
    with rig.mixer:
        rig.begin()
        with pytest.raises(RigFault, match="does not fit"):
            rig.mixer.dispense("red", volume)
        assert not any(rig.n_runs)
        rig.check_a_dose()


def test_after_an_error_only_draining_goes_on(rig: Rig) -> None:
    with rig.mixer:
        rig.port.fault = LineFault("drop", "DISPENSE", is_to_board=False, times=ALWAYS)
        with pytest.raises(LinkError, match="DISPENSE"):
            rig.mixer.dispense("red", DOSE)
        rig.port.heal()
        with pytest.raises(RigFault, match="drain"):
            rig.mixer.dispense("red", DOSE)
        rig.mixer.drain()
        rig.check_a_dose()


def test_after_the_switch_only_a_person_goes_on(rig: Rig) -> None:
    engine = rig.port.board.engine
    with rig.mixer:
        rig.port.plan(0.08, lambda: engine.press_stop(True))
        with pytest.raises(Stopped, match="switch"):
            rig.mixer.dispense("red", DOSE)
        rig.port.plan(0.5, lambda: engine.press_stop(False))
        rig.port.sleep(1.0)
        rig.begin()
        for act in (rig.mixer.drain, lambda: rig.mixer.dispense("red", DOSE), lambda: rig.mixer.mix(1.0), rig.mixer.drain):
            with pytest.raises(Stopped, match="switch"):
                act()
        assert not any(rig.n_runs)
    with rig.mixer:
        rig.check_a_dose()


@pytest.mark.parametrize("what", BREAKS)
def test_neither_an_error_nor_a_reset_makes_the_rig_forget_the_switch(rig: Rig, what: str) -> None:
    engine = rig.port.board.engine
    with rig.mixer:
        rig.port.plan(0.08, lambda: engine.press_stop(True))
        with pytest.raises(Stopped, match="switch"):
            rig.mixer.dispense("red", DOSE)
        engine.press_stop(False)
        BREAKS[what](rig.port)
        rig.port.sleep(2.5)
        rig.begin()
        for _ in range(2):
            with pytest.raises(DriverError):
                rig.mixer.drain()
        assert not any(rig.n_runs)


BENIGN = "bootloader,reset@70,i2c-hang@150+20,serial-noise@220+60,unplugged@310+15,hang@390.2,power-cycle@470"


def test_a_campaign_through_faults_says_what_failed_and_measures_the_rest_as_if_nothing_had_been(tmp_path: Path) -> None:
    options = {"mixer": f"emulated:{BENIGN}", "pump_error": 0}
    campaign = Campaign.open(
        driver={"name": "color-mixing", "options": options},
        goal="match-color:coral",
        strategy="random",
        budget=11,
        store=tmp_path / "store.db",
    )
    trials = list(campaign.run())
    twin = catalog.make_driver("color-mixing", {"mixer": "simulated", "pump_error": 0})
    assert isinstance(twin, KnowsTruth)
    failed = [t for t in trials if t.measurement is None]
    assert 3 <= len(failed) <= 9
    for trial in failed:
        assert trial.error
        assert trial.error.startswith(("the emulated board", "cannot open", "the connection"))
    for trial in trials:
        if trial.measurement:
            truth = twin.truth(trial.settings)
            for name, value in trial.measurement.outcomes.items():
                assert value == pytest.approx(truth[name], abs=0.05), (trial.number, name)


def test_after_the_switch_a_campaign_moves_nothing_though_it_is_closed_again(tmp_path: Path) -> None:
    options = {"mixer": "emulated:stop-switch@110+3"}
    campaign = Campaign.open(driver={"name": "color-mixing", "options": options}, strategy="random", budget=4, store=tmp_path / "store.db")
    trials = list(campaign.run())
    (first, *later) = [n for n, t in enumerate(trials) if t.source == "stopped"]
    assert all(t.measurement for t in trials[:first])
    assert "switch" in str(trials[first].error)
    assert later == list(range(first + 1, len(trials)))
    assert sum(trials[n].cost.volume for n in later) == 0


@pytest.mark.parametrize("imperfections", [EXACT, UNKIND], ids=["exact", "unkind"])
def test_many_doses_account_exactly_on_a_line_as_bad_as_lines_get(imperfections: Imperfections) -> None:
    n_doses = often(50, 1000)
    board = EmulatedBoard(make_sensor("as7341", {}), imperfections, 7, DYED_WATER, parse_faults("serial-noise"))
    mixer = ArduinoMixer(lambda: (board.open(), board), "the rig", make_sensor("as7341", {}), DYED_WATER)
    with mixer:
        n_drains = board.plant.n_runs[4]
        for n in range(1, n_doses + 1):
            mixer.dispense("red", 0.025)
            if n % 50 == 0:
                mixer.drain()
                n_drains += 1
                assert board.plant.cell.volume == pytest.approx(RESIDUE * imperfections.carry_over)
        print(f"{n_doses} doses took {mixer.link.resent} resends")
        assert mixer.link.resent > 0.3 * n_doses
    assert board.plant.n_runs == [n_doses, 0, 0, 0, n_drains]
    assert board.plant.asked["red"] == pytest.approx(0.025 * n_doses, abs=n_doses * GRAIN)
    twin, delivered = Cell(make_sensor("as7341", {}), imperfections, 7, DYED_WATER), 0.0  # the same errors, without a line
    for _ in range(n_doses):
        delivered += (volume := twin.delivered("red", 0.025))
        twin.add("red", volume, 0.0)
    assert board.plant.delivered[0] == pytest.approx(delivered, abs=n_doses * GRAIN)
    board.power_off()
