"""The firmware on the emulated board, word by word and safety feature by safety feature: firmware/PROTOCOL.md is what it does."""

import itertools
import random
import re
import struct
from binascii import crc_hqx
from collections.abc import Iterator

import pytest

from hardware.emulator.emulated_board import calibrated_eeprom
from hardware.emulator.engine import ERASED, LAMP, PUMPS, STIRRER, Edge, Engine, Exposure, built, missing
from hardware.firmware.build import SKETCH
from hardware.serial.link import framed, parsed, unframed
from simulator.instruments.dyed_water import DYED_WATER
from tests.forms import times

pytestmark = pytest.mark.skipif(missing() is not None, reason=missing() or "")

PROTOCOL = (SKETCH.parent.parent / "PROTOCOL.md").read_text()
SOURCE = SKETCH.read_text()
FACTORY = calibrated_eeprom(DYED_WATER)
FLOWS = struct.unpack_from("<5H", FACTORY, 3)  # µL/s
GRAIN = 1e-4  # s
DRAINED = 6.1  # s that DRAIN takes


class Board:
    """A board that a test talks to."""

    def __init__(self, eeprom: bytes = FACTORY, sensors: tuple[str, ...] = ("as7341",)) -> None:
        self.engine = Engine(built()[1], self._light, sensors, eeprom)
        self.edges: list[Edge] = []
        self.exposures: list[Exposure] = []
        self.counts = [100 * (n + 1) for n in range(10)]
        self.seq = 0
        self.start = self.run(0.3)

    def _light(self, exposure: Exposure) -> list[int]:
        self.exposures.append(exposure)
        return self.counts[: 4 if exposure.sensor == "tcs34725" else 10]

    def run(self, seconds: float, data: bytes = b"") -> list[str]:
        """The lines that came in that time, without checksums, which are right."""
        came = self.engine.run(seconds, data)
        self.edges += self.engine.edges()
        lines = []
        for line in came.splitlines():
            text = unframed(line)
            assert text is not None or b"*" not in line, line
            lines.append((line if text is None else text).decode("ascii"))
        return lines

    def ask(self, text: str, seconds: float = 0.03) -> str:
        """The answer to a framed request, without its seq, which is right."""
        self.seq += 1
        (line,) = self.run(seconds, framed(f"{self.seq} {text}"))
        seq, _, rest = line.partition(" ")
        assert int(seq) == self.seq, line
        return rest

    def do(self, *texts: str) -> None:
        for text in texts:
            assert self.ask(text).startswith("OK"), text

    @property
    def state(self) -> dict[str, str]:
        names = ("state", "cause", "cell", "last", "run", "asked", "moved", "up", "reset")
        return dict(zip(names, self.ask("STAT?").split()[1:], strict=True))

    def is_on(self, output: int) -> bool:
        return bool([e.duty for e in self.edges if e.output == output][-1:] > [0.0])

    def is_at_rest(self) -> bool:
        return not any(self.is_on(output) for output in (*PUMPS, STIRRER, LAMP))

    def times(self, output: int) -> list[float]:
        """When it changed."""
        return [e.at for e in self.edges if e.output == output]

    def ready(self) -> "Board":
        """Cleared, with an empty cell."""
        self.do("CLEAR", "DRAIN")
        self.run(3)
        self.do("PING")
        self.run(DRAINED - 3)
        self.edges.clear()
        return self


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board()
    yield made
    made.engine.close()


@pytest.fixture
def ready(board: Board) -> Board:
    return board.ready()


def record(eeprom: bytes) -> bytes:
    return eeprom[:53]


# ---- the document -------------------------------------------------------------------------------------------------------


def test_the_examples_of_the_protocol_have_the_checksums_that_they_should() -> None:
    examples = re.findall(r"[!\d][^\n`]*?\*[0-9A-F]{4}\b", PROTOCOL.split("## What is done once")[0])
    assert len(examples) >= 3
    for example in examples:
        text, _, crc = re.sub(r"^.*\\n\s+", "", example).rpartition("*")
        assert f"{crc_hqx(text.encode(), 0):04X}" == crc, example


def test_the_example_of_a_dose_is_what_the_board_answers() -> None:
    eeprom = struct.pack("<HB5H5iH16s", 0x4654, 1, 1600, *FLOWS[1:], *[0] * 5, 8000, b"factory")
    board = Board((eeprom + struct.pack("<H", crc_hqx(eeprom, 0))).ljust(1024, b"\xff")).ready()
    board.seq = 16
    assert board.run(0.1, b"17 DISPENSE 0 250*CC20\n") == ["17 OK 157"]
    board.engine.close()


def test_every_word_of_the_table_is_in_the_sketch_and_the_other_way_round() -> None:
    table = PROTOCOL.split("## Words")[1].split("### STAT?")[0]
    told = {word.split()[0] for word in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)}
    known = set(re.findall(r'is\(word, "([^"]+)"\)', SOURCE))
    assert told == known


def test_every_error_of_the_table_is_in_the_sketch() -> None:
    told = re.findall(r"(\d+) ([a-z ]+?)(?=[,.]\s)", PROTOCOL.split("### Errors")[1].split("A refused")[0].replace("\n", " "))
    texts = re.findall(r'"([^"]*)"', SOURCE.split("ERROR_TEXT[] = {")[1].split("}")[0])
    assert [(str(n), text) for n, text in enumerate(texts) if n] == told


def test_the_limits_of_the_protocol_are_the_sketchs() -> None:
    assert "at most 63 characters" in PROTOCOL
    assert "char line[64]" in SOURCE
    assert "111" in PROTOCOL
    assert "char out[112]" in SOURCE


# ---- words ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sensors", "name"), [(("as7341",), "as7341"), (("tcs34725",), "tcs34725"), ((), "none")])
def test_the_board_says_who_it_is_after_a_reset_and_when_asked(sensors: tuple[str, ...], name: str) -> None:
    board = Board(sensors=sensors)
    assert board.start == [f"!READY frugaltwin,color-mixer,{name},1"]
    assert board.ask("*IDN?") == f"OK frugaltwin,color-mixer,{name},1"
    board.engine.close()


def test_questions_are_answered_in_any_state(board: Board) -> None:
    assert board.ask("PING") == "OK"
    assert board.ask("FW?") == "OK 2"
    assert board.ask("CAL?") == "OK 1 factory 8000"
    assert board.ask("CAL? 3") == f"OK {FLOWS[3]} 0"
    assert board.ask("CAL? 5") == "ERR 4 out of range"
    assert board.ask("CAL? x") == "ERR 2 syntax"
    assert board.ask("STAT?") == "OK S 1 8000 0 0 0 0 0 1"


# fmt: off
REFUSALS = [
    ("DISPENSE", 2), ("DISPENSE 0", 2), ("DISPENSE x 1", 2), ("DISPENSE 0 1x", 2), ("DISPENSE 0 1.25", 2), ("DISPENSE 0 1.", 2),
    ("DISPENSE 0 +1", 2), ("DISPENSE 0 1 1", 2), ("DISPENSE 0 .5", 2), ("DISPENSE 4 100", 4), ("DISPENSE -1 100", 4),
    ("DISPENSE 0 0", 4), ("DISPENSE 0 0.0", 4), ("DISPENSE 0 32000.1", 4), ("DISPENSE 0 -5", 4), ("DISPENSE 0 99999999999", 4),
    ("DISPENSE 0 4294967297", 4), ("DISPENSE 0 8000.1", 6),
    ("DRAIN 1", 2), ("MIX", 2), ("MIX 0", 4), ("MIX 60001", 4), ("MIX 1.5", 2), ("LED", 2), ("LED 2", 4), ("LED 1 1", 2),
    ("SENS", 2), ("SENS 7 29", 2), ("SENS 11 29 599", 4), ("SENS 7 256 599", 4), ("SENS 7 29 65535", 4), ("SENS 7 255 65534", 4),
    ("READ? 1", 2), ("PUMP 0 255", 2), ("PUMP 5 255 10", 4), ("PUMP 0 0 10", 4), ("PUMP 0 256 10", 4), ("PUMP 0 255 20001", 4),
    ("PUMP 0 255 0", 4), ("CAL 0 1600", 2), ("CAL 5 1600 0", 4), ("CAL 0 0 0", 4), ("CAL 0 60001 0", 4), ("CAL 0 1600 2000001", 4),
    ("CELL", 2), ("CELL 99", 4), ("CELL 60001", 4), ("CALID", 2), ("CALID a_b", 2), ("CALID a b", 2), ("CALID 1234567890123456", 4),
    ("HELLO", 3), ("dispense 0 1", 3), ("", 2),
]
# fmt: on


@pytest.fixture(scope="module")
def refusing() -> Iterator[Board]:
    board = Board().ready()
    yield board
    board.engine.close()


@pytest.mark.parametrize(("text", "number"), REFUSALS)
def test_what_is_wrong_is_refused_by_its_number_and_changes_nothing(refusing: Board, text: str, number: int) -> None:
    refusing.edges.clear()
    before = refusing.state
    assert refusing.ask(text).startswith(f"ERR {number} ")
    after = refusing.state
    assert {k: v for k, v in before.items() if k not in ("last", "up")} == {k: v for k, v in after.items() if k not in ("last", "up")}
    assert refusing.is_at_rest()
    assert refusing.ask("CAL?") == "OK 1 factory 8000"


@pytest.mark.parametrize("pump", range(4))
@pytest.mark.parametrize("volume", ["0.1", "0.7", "13.8", "250", "1999.9"])
def test_a_dose_is_timed_by_the_board(ready: Board, pump: int, volume: str) -> None:
    seconds = float(volume) / FLOWS[pump]
    assert ready.ask(f"DISPENSE {pump} {volume}", 0.01) == f"OK {int(seconds * 1000) + 1}"
    ready.run(seconds + 0.02)
    on, off = ready.times(pump)
    assert off - on == pytest.approx(seconds, abs=GRAIN)
    state = ready.state
    assert [state[k] for k in ("state", "run", "asked", "moved", "cell")] == ["I", str(ready.seq - 1), volume, volume, volume]


@pytest.mark.parametrize("flood", [b"PING", b"STAT?"])
def test_a_dose_ends_on_time_whatever_the_host_says(ready: Board, flood: bytes) -> None:
    seconds = 400 / FLOWS[0]
    ready.do("DISPENSE 0 400")
    ready.engine.run(seconds + 3.5, framed(f"9 {flood.decode()}") * 2700)  # longer than the watchdog waits
    ready.edges += ready.engine.edges()
    on, off = ready.times(0)
    assert off - on == pytest.approx(seconds, abs=GRAIN)
    ready.run(2, b"\n")
    assert ready.state["reset"] == "1"


def test_dead_times_are_added_and_what_cannot_be_delivered_is_refused(board: Board) -> None:
    board.do("CAL 0 1600 20000", "CAL 1 1600 -20000", "CALID dead-times")
    board.ready()
    board.do("DISPENSE 0 160")
    board.run(0.2)
    on, off = board.times(0)
    assert off - on == pytest.approx(0.12, abs=GRAIN)
    board.do("DISPENSE 1 160")
    board.run(0.2)
    on, off = board.times(1)
    assert off - on == pytest.approx(0.08, abs=GRAIN)
    assert board.ask("DISPENSE 1 32") == "ERR 4 out of range"


def test_no_run_is_longer_than_20_s(board: Board) -> None:
    board.do("CAL 0 100 0", "CAL 4 300 0", "CALID slow", "CLEAR")
    assert board.ask("DRAIN") == "ERR 4 out of range"  # 9600 µL would take 32 s
    board.do("CAL 4 1600 0", "CALID slow")
    board.ready()
    assert board.ask("DISPENSE 0 2000.1") == "ERR 4 out of range"
    board.do("DISPENSE 0 2000")
    for _ in range(6):
        board.run(4)
        board.do("PING")
    on, off = board.times(0)
    assert off - on == pytest.approx(20, abs=GRAIN)


def test_a_drain_takes_a_full_cell_and_a_fifth(board: Board) -> None:
    board.do("CLEAR")
    assert board.ask("DRAIN") == "OK 6001"
    board.run(4)
    board.do("PING")
    board.run(3)
    on, off = board.times(4)
    assert off - on == pytest.approx(6.0, abs=GRAIN)
    assert board.state["cell"] == "0"


def test_the_cell_is_accounted_for(ready: Board) -> None:
    ready.do("DISPENSE 0 4000", "DISPENSE 1 3000")
    assert ready.ask("DISPENSE 2 1000.1") == "ERR 12 too many pumps"
    ready.run(2)
    assert ready.state["cell"] == "3000"
    assert ready.ask("DISPENSE 2 1000.1") == "ERR 6 cell full"  # 4000 are still under way
    ready.do("DISPENSE 2 1000")
    ready.run(3)
    assert ready.state["cell"] == "8000"
    assert ready.ask("DISPENSE 3 0.1") == "ERR 6 cell full"


def test_a_dose_that_is_cut_short_is_told_and_accounted(ready: Board) -> None:
    ready.do("DISPENSE 0 1550")
    ready.run(0.5 - 0.03)
    ready.do("STOP")
    on, off = ready.times(0)
    state = ready.state
    assert state["asked"] == "1550"
    assert float(state["moved"]) == pytest.approx((off - on) * 1550, abs=0.2)
    assert state["cell"] == state["moved"]


def test_of_two_doses_at_once_the_later_is_told_of(ready: Board) -> None:
    ready.do("DISPENSE 0 800", "DISPENSE 1 3000")
    ready.run(1.0)
    assert not ready.is_on(0)
    state = ready.state
    assert [state[k] for k in ("run", "asked", "moved")] == [str(ready.seq - 1), "3000", "0"]


@pytest.mark.parametrize("text", ["PUMP 1 255 200", "CELL 8000"])
def test_when_nobody_knows_what_is_in_the_cell_it_counts_as_full(ready: Board, text: str) -> None:
    ready.do(text)
    ready.run(0.3)
    assert ready.state["cell"] == "8000"
    ready.do("CALID again")
    assert ready.ask("DISPENSE 0 1") == "ERR 6 cell full"


def test_a_raw_run_of_the_drain_leaves_the_account_alone(ready: Board) -> None:
    ready.do("PUMP 4 255 200")
    ready.run(0.3)
    assert ready.state["cell"] == "0"


def test_a_raw_run_has_its_duty_and_its_time(ready: Board) -> None:
    ready.do("PUMP 2 128 300")
    ready.run(0.5)
    edges = [e for e in ready.edges if e.output == 2]
    assert edges[-1].duty == 0
    mean = sum(e.duty * (then.at - e.at) for e, then in itertools.pairwise(edges)) / (edges[-1].at - edges[0].at)
    assert mean == pytest.approx(0.5, abs=0.01)
    assert ready.times(2)[-1] - ready.times(2)[0] == pytest.approx(0.3, abs=GRAIN)


def test_the_stirrer_stops_by_itself(ready: Board) -> None:
    ready.do("MIX 1500")
    assert ready.state["state"] == "B"
    assert ready.ask("MIX 10") == "ERR 5 busy"
    ready.run(2)
    on, off = ready.times(STIRRER)
    assert off - on == pytest.approx(1.5, abs=2e-3)


def test_a_pump_that_runs_is_busy(ready: Board) -> None:
    ready.do("DISPENSE 0 500")
    for text in ("DISPENSE 0 10", "PUMP 0 255 10", "READ?", "CAL 0 1 0", "CELL 500", "CALID x"):
        assert ready.ask(text) == "ERR 5 busy"


# ---- reading ----------------------------------------------------------------------------------------------------------------


def test_an_as7341_is_read_in_two_passes(ready: Board) -> None:
    ready.do("SENS 5 9 999", "LED 1")
    assert ready.ask("READ?", 0.3) == "OK " + " ".join(map(str, ready.counts))
    assert [(e.gain, e.atime, e.astep, e.lamp) for e in ready.exposures] == [(5, 9, 999, 1.0)] * 2


def test_a_tcs34725_is_read_in_one() -> None:
    board = Board(sensors=("tcs34725",)).ready()
    board.do("SENS 2 200", "LED 0")
    assert board.ask("READ?", 0.3) == "OK 100 200 300 400"
    assert [(e.gain, e.atime, e.lamp) for e in board.exposures] == [(2, 200, 0.0)]
    assert board.ask("SENS 2 200 1") == "ERR 2 syntax"
    board.engine.close()


@pytest.mark.parametrize("slow", [1.0, 1.065])
@pytest.mark.parametrize("sensor", ["as7341", "tcs34725"])
def test_an_old_reading_is_not_taken_for_a_new_one(slow: float, sensor: str) -> None:
    """A sensor says "complete" until its next integration ends, and its clock may be slow."""
    board = Board(sensors=(sensor,)).ready()
    board.engine.slow_sensors(slow)
    board.do("SENS 1 100" if sensor == "tcs34725" else "SENS 5 29 999")
    for factor in (1, 2, 3):
        board.counts = [100 * factor * (n + 1) for n in range(10)]
        n_channels = 4 if sensor == "tcs34725" else 10
        assert board.ask("READ?", 1.0) == "OK " + " ".join(map(str, board.counts[:n_channels]))
    board.engine.close()


def test_light_that_saturates_the_analog_part_is_told_as_65535(ready: Board) -> None:
    ready.do("SENS 5 9 999")
    ready.engine.glare(True)
    assert ready.ask("READ?", 0.3) == "OK" + 10 * " 65535"
    ready.counts = [100, 200, 9999, 10000, *ready.counts[4:]]  # a counter that is full says so itself
    assert ready.ask("READ?", 0.3) == "OK 100 200 9999 10000" + 6 * " 65535"
    ready.engine.glare(False)
    assert ready.ask("READ?", 0.3) == "OK " + " ".join(map(str, ready.counts))


def test_a_late_answer_leaves_room_for_questions_and_is_given_once(ready: Board) -> None:
    ready.do("SENS 5 255 500")  # 0.36 s each
    line = framed(f"{ready.seq + 1} READ?")
    assert ready.run(0.05, line) == []
    ready.seq += 1
    seq = ready.seq
    assert ready.state["state"] == "R"
    assert ready.run(0.05, line) == []  # the same line again, while it is being worked on
    assert ready.ask("LED 1") == "ERR 5 busy"
    (answer,) = ready.run(1.0)
    assert answer == f"{seq} OK " + " ".join(map(str, ready.counts))
    assert len(ready.exposures) == 2


def test_the_same_line_again_gives_the_reading_again(ready: Board) -> None:
    line = framed(f"{ready.seq + 1} READ?")
    first = ready.run(0.3, line)
    ready.counts = [1] * 10
    assert ready.run(0.3, line) == first
    assert len(ready.exposures) == 2


def test_stop_ends_a_reading(ready: Board) -> None:
    ready.do("SENS 5 255 500")
    ready.run(0.05, framed(f"{ready.seq + 1} READ?"))
    assert ready.run(0.1, framed(f"{ready.seq + 2} STOP")) == [f"{ready.seq + 2} OK", f"{ready.seq + 1} ERR 7 stopped"]
    assert ready.run(1.0) == []


def test_the_switch_ends_a_reading(ready: Board) -> None:
    ready.do("SENS 5 255 500")
    ready.run(0.05, framed(f"{ready.seq + 1} READ?"))
    ready.engine.press_stop(True)
    assert ready.run(1.0) == [f"{ready.seq + 1} ERR 7 stopped", "!ESTOP"]


def test_without_a_sensor_nothing_is_read() -> None:
    board = Board(sensors=())
    board.do("CLEAR")
    assert board.ask("SENS 7 29 599") == "ERR 8 sensor"
    assert board.ask("READ?", 0.1) == "ERR 8 sensor"
    board.engine.close()


def test_a_bus_that_is_held_is_told_in_time_and_works_again(ready: Board) -> None:
    ready.engine.hold_bus(True)
    assert ready.ask("READ?", 0.2) == "ERR 8 sensor"
    ready.engine.hold_bus(False)
    assert ready.ask("READ?", 0.5).startswith("OK")
    ready.do("SENS 5 255 500")
    ready.run(0.1, framed(f"{ready.seq + 1} READ?"))
    ready.engine.hold_bus(True)
    assert ready.run(0.6) == [f"{ready.seq + 1} ERR 8 sensor"]
    ready.engine.hold_bus(False)
    ready.seq += 1
    assert ready.ask("READ?", 1.0).startswith("OK")


@pytest.mark.parametrize("sensor", ["as7341", "tcs34725"])
def test_a_sensor_that_was_left_in_mid_byte_is_clocked_free(sensor: str) -> None:
    board = Board(sensors=(sensor,)).ready()
    board.engine.stick_bus()
    assert board.ask("READ?", 0.5).startswith("OK")
    board.do("SENS 1 100" if sensor == "tcs34725" else "SENS 5 255 500")
    board.run(0.1, framed(f"{board.seq + 1} READ?"))
    board.engine.stick_bus()  # in the middle of a reading: that one is lost
    assert board.run(0.6) == [f"{board.seq + 1} ERR 8 sensor"]
    board.seq += 1
    assert board.ask("READ?", 1.0).startswith("OK")
    board.engine.stick_bus()
    board.engine.reset()
    assert board.run(0.3) == [f"!READY frugaltwin,color-mixer,{sensor},1"]
    board.engine.close()


def test_a_sensor_that_was_silent_at_the_reset_is_found_at_the_clear() -> None:
    board = Board()
    board.engine.hold_bus(True)
    board.engine.reset()
    assert board.run(0.5) == ["!READY frugaltwin,color-mixer,none,1"]
    board.engine.hold_bus(False)
    board.ask("CLEAR", 0.2)
    assert board.ask("*IDN?") == "OK frugaltwin,color-mixer,as7341,1"
    board.engine.close()


# ---- safety -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["power", "reset pin", "watchdog"])
def test_no_output_twitches_at_a_reset_and_all_that_ran_stops(ready: Board, how: str) -> None:
    ready.do("LED 1", "MIX 10000", "DISPENSE 0 4000", "PUMP 4 255 4000")
    assert all(ready.is_on(output) for output in (0, 4, STIRRER, LAMP))
    ready.edges.clear()
    before = ready.engine.now
    {"power": ready.engine.power_cycle, "reset pin": ready.engine.reset, "watchdog": ready.engine.hang}[how]()
    ready.run(3.0)
    moving = [e for e in ready.edges if e.output in (*PUMPS, STIRRER, LAMP)]
    assert sorted(e.output for e in moving) == [0, 4, STIRRER, LAMP]
    assert not any(e.duty for e in moving)
    assert max(e.at for e in moving) - before < (2.1 if how == "watchdog" else 1e-3)
    ready.seq = 0
    state = ready.state
    assert (state["state"], state["cause"], state["cell"], state["last"], state["run"]) == ("S", "1", "8000", "0", "0")
    assert state["reset"] == {"power": "1", "reset pin": "2", "watchdog": "8"}[how]
    assert ready.ask("DISPENSE 0 1") == "ERR 7 stopped"


def test_pins_are_low_before_they_are_outputs() -> None:
    board = Board()
    assert [e for e in board.edges if e.output in (*PUMPS, STIRRER, LAMP)] == []
    setup = SOURCE.split("void setup()")[1]
    assert setup.index("digitalWrite(PUMP_PIN[i], LOW)") < setup.index("pinMode(PUMP_PIN[i], OUTPUT)") < setup.index("Serial.begin")
    board.engine.close()


@pytest.mark.parametrize("text", ["DISPENSE 0 1", "DRAIN", "MIX 1", "LED 1", "READ?", "PUMP 0 255 1"])
def test_after_a_reset_nothing_moves_until_it_is_cleared(board: Board, text: str) -> None:
    assert board.ask(text) == "ERR 7 stopped"
    assert board.is_at_rest()


@pytest.mark.parametrize("is_framed", [True, False])
def test_stop_stops_at_once_until_clear(ready: Board, is_framed: bool) -> None:
    ready.do("LED 1", "MIX 10000", "DISPENSE 0 4000")
    ready.seq += 1
    before = ready.engine.now
    assert ready.run(0.05, framed(f"{ready.seq} STOP") if is_framed else b"STOP\n") == [f"{ready.seq} OK" if is_framed else "OK"]
    assert ready.is_at_rest()
    assert ready.times(0)[-1] - before < 3e-3
    assert (ready.state["state"], ready.state["cause"]) == ("S", "2")
    assert ready.ask("DISPENSE 0 1") == "ERR 7 stopped"
    ready.do("CLEAR", "DISPENSE 0 1")


def test_the_switch_stops_at_once_and_stays_until_it_is_closed_and_cleared(ready: Board) -> None:
    ready.do("LED 1", "MIX 10000", "DISPENSE 0 4000")
    before = ready.engine.now
    ready.engine.press_stop(True)
    assert ready.run(0.05) == ["!ESTOP"]
    assert ready.is_at_rest()
    assert 5e-3 < ready.times(0)[-1] - before < 8e-3
    assert ready.state["cause"] == "3"
    assert ready.ask("CLEAR") == "ERR 7 stopped"
    assert ready.ask("STOP") == "OK"
    ready.engine.press_stop(False)
    ready.run(0.1)
    assert ready.state["cause"] == "3"  # nothing but CLEAR makes it forget
    assert ready.ask("DISPENSE 0 1") == "ERR 7 stopped"
    ready.do("CLEAR", "DISPENSE 0 1")


def test_a_spike_on_the_switchs_wire_stops_nothing(ready: Board) -> None:
    ready.do("DISPENSE 0 4000")
    for _ in range(20):
        ready.engine.press_stop(True)
        assert ready.run(0.004) == []
        ready.engine.press_stop(False)
        assert ready.run(0.002) == []
    assert ready.state["state"] == "B"


def test_an_open_switch_is_seen_at_power_on(board: Board) -> None:
    board.engine.press_stop(True)
    board.engine.power_cycle()
    assert board.run(0.5)[-1] == "!ESTOP"
    board.seq = 0
    assert board.ask("CLEAR") == "ERR 7 stopped"


@pytest.mark.parametrize("text", ["DISPENSE 0 7900", "MIX 60000", "PUMP 4 255 20000", "DRAIN"])
def test_what_runs_stops_5_s_after_the_last_valid_line(ready: Board, text: str) -> None:
    ready.do("CAL 0 800 0", "CAL 4 500 0", "CALID slow", text)
    output = {"DIS": 0, "MIX": STIRRER}.get(text[:3], 4)
    before = ready.times(output)[0]
    assert ready.run(5.2) == ["!HOSTLOSS"]
    assert ready.is_at_rest()
    assert ready.times(output)[-1] - before == pytest.approx(5.0, abs=0.01)
    assert (ready.state["state"], ready.state["cause"]) == ("S", "4")


@pytest.mark.parametrize("word", ["PING", "STAT?", "*IDN?"])
def test_a_host_that_asks_now_and_then_is_not_lost(ready: Board, word: str) -> None:
    ready.do("MIX 20000")
    for _ in range(5):
        ready.run(4)
        ready.do(word)
    assert ready.times(STIRRER)[-1] - ready.times(STIRRER)[0] == pytest.approx(20, abs=2e-3)


def test_noise_is_no_sign_of_a_host(ready: Board) -> None:
    ready.do("MIX 20000")
    for _ in range(11):
        ready.run(0.5, b"7 PING*0000\nPING\n\x00\xff\n")
    assert ready.is_at_rest()


def test_before_a_calibration_nothing_is_dosed() -> None:
    board = Board(ERASED)
    assert board.ask("CAL?") == "OK 0 - 8000"
    board.do("CLEAR")
    assert board.ask("DISPENSE 0 10") == "ERR 10 not calibrated"
    assert board.ask("DRAIN") == "ERR 10 not calibrated"
    for pump in range(5):
        assert board.ask("CALID early") == "ERR 10 not calibrated"
        board.do(f"CAL {pump} {1000 + pump} {-pump}")
    assert board.ask("DRAIN") == "ERR 10 not calibrated"
    board.do("CELL 5000")
    assert board.ask("CALID day-1", 0.5) == "OK"
    board.engine.power_cycle()
    board.run(0.3)
    board.seq = 0
    assert board.ask("CAL?") == "OK 1 day-1 5000"
    assert [board.ask(f"CAL? {p}") for p in range(5)] == [f"OK {1000 + p} {-p}" for p in range(5)]
    board.engine.close()


def test_a_changed_calibration_is_not_dosed_with_until_it_is_kept(ready: Board) -> None:
    ready.do("CAL 0 1000 0")
    assert ready.ask("CAL?") == "OK 0 - 8000"
    assert ready.ask("DISPENSE 0 10") == "ERR 10 not calibrated"
    ready.engine.reset()
    ready.run(0.3)
    ready.seq = 0
    assert ready.ask("CAL?") == "OK 1 factory 8000"
    assert ready.ask("CAL? 0") == f"OK {FLOWS[0]} 0"


@pytest.mark.parametrize("byte", [*range(0, 53, 3), 52])
def test_a_record_with_one_wrong_byte_is_no_calibration(byte: int) -> None:
    assert crc_hqx(record(FACTORY)[:-2], 0) == struct.unpack("<H", record(FACTORY)[-2:])[0]
    wrong = bytearray(FACTORY)
    wrong[byte] ^= 1
    board = Board(bytes(wrong))
    assert board.ask("CAL?") == "OK 0 - 8000"
    board.engine.close()


@pytest.mark.parametrize(("where", "what"), [(0, b"\x55"), (2, b"\x02")], ids=["magic", "version"])
def test_a_record_of_another_kind_is_no_calibration_though_its_checksum_is_right(where: int, what: bytes) -> None:
    other = bytearray(record(FACTORY)[:-2])
    other[where : where + 1] = what
    board = Board((bytes(other) + struct.pack("<H", crc_hqx(bytes(other), 0))).ljust(1024, b"\xff"))
    assert board.ask("CAL?") == "OK 0 - 8000"
    board.engine.close()


# ---- lines ------------------------------------------------------------------------------------------------------------------


def test_a_line_of_63_characters_is_read_and_a_longer_one_is_refused(ready: Board) -> None:
    fits = f"{ready.seq + 1} PING".ljust(58)
    assert len(framed(fits)) == 64
    assert ready.run(0.1, framed(fits)) == [f"{ready.seq + 1} OK"]
    assert ready.run(0.1, framed(fits + " ")) == ["0 ERR 9 line too long"]
    assert ready.run(0.5, b"x" * 1000 + b"\n") == ["0 ERR 9 line too long"]
    assert ready.run(0.1, framed("9 PING")) == ["9 OK"]


@pytest.mark.parametrize("line", [b"7 PING*0000\n", b"7 PING\n", b"7 PI\0NG*1234\n", b"DISPENSE 0 1\n", b"CLEAR\n", b"*\n"])
def test_what_cannot_be_read_is_answered_by_number_0(ready: Board, line: bytes) -> None:
    assert ready.run(0.1, line) == ["0 ERR 1 checksum"]


@pytest.mark.parametrize("text", ["0 PING", "65536 PING", "x PING", "-1 PING", " PING", "1.5 PING"])
def test_a_line_without_a_number_is_answered_by_number_0(ready: Board, text: str) -> None:
    assert ready.run(0.1, framed(text)) == ["0 ERR 2 syntax"]


def test_bare_lines_are_taken_until_the_first_framed_one(board: Board) -> None:
    assert board.run(0.1, b"CLEAR\r\n") == ["OK"]
    assert board.run(0.1, b"\nPUMP 4 255 50\n") == ["OK"]
    assert board.run(0.1, b"STAT?\n")[0].startswith("OK")
    assert board.run(0.3, b"READ?\n")[0].startswith("OK 100")
    assert board.run(0.1, b"FOO\n") == ["ERR 3 unknown word"]
    board.do("PING")
    assert board.run(0.1, b"PUMP 4 255 50\n") == ["0 ERR 1 checksum"]
    assert board.run(0.1, b"*IDN?\n") == ["OK frugaltwin,color-mixer,as7341,1"]
    assert board.run(0.1, b"STOP\n") == ["OK"]


def test_the_same_action_again_is_answered_and_not_done_again(ready: Board) -> None:
    ready.seq += 1
    line = framed(f"{ready.seq} DISPENSE 0 100")
    for _ in range(3):
        assert ready.run(0.2, line) == [f"{ready.seq} OK 65"]
    assert ready.run(0.2, line + b"7 PING*0000\n" + line) == [f"{ready.seq} OK 65", "0 ERR 1 checksum", f"{ready.seq} OK 65"]
    assert len(ready.times(0)) == 2
    assert ready.state["cell"] == "100"


@pytest.mark.parametrize("back", [0, 1, 100, 32_000])
def test_a_late_action_does_nothing(ready: Board, back: int) -> None:
    ready.seq = 20_000
    ready.do("LED 1")
    ready.seq = 40_000
    ready.do("LED 1")
    seq = ready.seq - back
    assert ready.run(0.1, framed(f"{seq} DISPENSE 0 100")) == [f"{seq} ERR 11 stale"]
    assert not ready.times(0)


def test_the_numbers_go_round_from_65535_to_1(ready: Board) -> None:
    for start in (32_000, 64_000, 65_533):
        ready.seq = start
        ready.do("LED 1")
    ready.do("LED 0")
    ready.seq = 0
    ready.do("DISPENSE 0 100")
    assert ready.run(0.1, framed("65535 DISPENSE 0 100")) == ["65535 ERR 11 stale"]


def test_a_refusal_is_kept_too(ready: Board) -> None:
    ready.seq += 1
    line = framed(f"{ready.seq} DISPENSE 0 9000")
    assert ready.run(0.1, line + line) == [f"{ready.seq} ERR 6 cell full"] * 2


def test_a_reset_between_an_action_and_its_copy_makes_the_copy_harmless(ready: Board) -> None:
    line = framed(f"{ready.seq + 1} DISPENSE 0 100")
    ready.run(0.2, line)
    ready.engine.reset()
    ready.run(0.2)
    assert ready.run(0.2, line) == [f"{ready.seq + 1} ERR 7 stopped"]
    assert len(ready.times(0)) == 2


# ---- nonsense ---------------------------------------------------------------------------------------------------------------


def nonsense(dice: random.Random) -> bytes:
    """A line that is noise, a request with noise in it, or a request with a right checksum and wrong words."""
    words = sorted(set(re.findall(r'is\(word, "([^"]+)"\)', SOURCE)) - {"CLEAR"})
    kind = dice.randrange(4)
    if kind == 0:
        return dice.randbytes(dice.randrange(80)) + b"\n"
    numbers = [str(dice.choice([0, 1, -1, 255, 256, 65535, 2**31, -(2**31), 1e9, "1.5", "", "-", "9" * 12, "\x7f"])) for _ in range(4)]
    text = " ".join([str(dice.randrange(1, 65536)), dice.choice(words), *numbers[: dice.randrange(5)]])
    if kind == 1:
        return framed(text)
    line = bytearray(framed(text))
    for _ in range(dice.randrange(1, 4)):
        where = dice.randrange(len(line))
        if kind == 2:
            line[where] ^= 1 << dice.randrange(8)
        elif len(line) > 1:
            del line[where]
    return bytes(line)


@pytest.mark.parametrize("seed", range(times(1, 4)))
def test_thousands_of_senseless_lines_neither_crash_the_board_nor_move_anything(seed: int) -> None:
    board = Board()
    dice = random.Random(seed)
    for _ in range(20):
        board.engine.run(2.0, b"".join(nonsense(dice) for _ in range(100)))
    board.engine.run(1.0, b"\n")
    board.edges += board.engine.edges()
    assert board.is_at_rest()
    assert not [e for e in board.edges if e.output in (*PUMPS, STIRRER, LAMP)]  # it was never cleared
    state = board.state
    assert (state["state"], state["reset"]) == ("S", "1")
    assert int(state["up"]) >= 40
    board.engine.close()


def test_senseless_lines_without_a_checksum_move_nothing_on_a_board_that_may_move(ready: Board) -> None:
    dice = random.Random(5)
    for _ in range(20):
        lines = [nonsense(dice) for _ in range(100)]
        ready.engine.run(2.0, b"".join(line for line in lines if parsed(line[:-1]) is None and unframed(line[:-1]) is None))
    ready.engine.run(1.0, b"\n")
    ready.edges += ready.engine.edges()
    assert not [e for e in ready.edges if e.output in (*PUMPS, STIRRER, LAMP)]
    assert int(ready.state["up"]) >= 40
