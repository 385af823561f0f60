"""The emulated board does what an Uno with sensors, pumps and a lamp would do, faults included, and never hangs its caller."""

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from frugaltwin.errors import InvalidInput, LinkError, MissingPart
from hardware.emulator import engine as emulator
from hardware.emulator.engine import CHANNELS, LAMP, PUMPS, STATUS, STIRRER, Edge, Engine, Exposure
from hardware.firmware import build as firmware

HOME = Path(__file__).parents[1]
PROBE = HOME / "tests" / "data" / "board_probe.ino"
CYCLE = 1 / 16e6
TCS, AS = 0x29, 0x39

needs_tools = pytest.mark.skipif(emulator.missing() is not None, reason=str(emulator.missing()))

SMUX = {  # ams, application note AN000666: the three connections it prints
    "F1 F2 F3 F4 clear NIR": bytes.fromhex("3001000000420000500000002004003001500006"),
    "F5 F6 F7 F8 clear NIR": bytes.fromhex("0000004002001003501003000000240000500006"),
    "F2 F3 F4 F5 F6 F7": bytes.fromhex("2000000005314006004006001003502000000000"),
}
DIODES = ["F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "clear", "NIR"]
COUNTS = dict(zip(DIODES, (1001, 2002, 3003, 4004, 5005, 6006, 7007, 8008, 9009, 10010), strict=True))


def light(exposure: Exposure) -> Sequence[int]:
    return list(COUNTS.values())[: CHANNELS[exposure.sensor]]


class Probe:
    """The probe sketch on a board, asked line by line."""

    def __init__(self, elf: Path, light: Callable[[Exposure], Sequence[int]] = light, **options: object) -> None:
        self.board = Engine(elf, light, **options)  # type: ignore[arg-type]
        assert self.board.run(1.0, until_byte=True) == b"!\r\n"

    def ask(self, word: str, *numbers: int) -> str:
        line = " ".join([word, *(f"{n:x}" for n in numbers)]) + "\n"
        return self.board.run(2.0, line.encode(), until_byte=True).decode().strip()

    def write(self, chip: int, *values: int) -> None:
        assert self.ask("W", chip, *values) == "0"

    def read(self, chip: int, register: int, count: int) -> bytes:
        self.write(chip, register)
        return bytes.fromhex(self.ask("R", chip, count))

    def connect(self, smux: bytes) -> None:
        """Write the SMUX of an AS7341 as its drivers do."""
        self.write(AS, 0x80, 0x01)
        self.write(AS, 0xAF, 0x10)
        self.write(AS, 0x00, *smux)
        self.write(AS, 0x80, 0x11)
        assert self.read(AS, 0x80, 1) == b"\x01"

    def measure(self) -> list[int]:
        """One integration of an AS7341: its six ADCs."""
        self.write(AS, 0x80, 0x03)
        self.board.run(0.06)
        assert self.read(AS, 0xA3, 1)[0] & 0x40
        values = struct.unpack("<B6H", self.read(AS, 0x94, 13))[1:]
        self.write(AS, 0x80, 0x01)
        return list(values)

    def set_time_and_gain(self, atime: int, astep: int, gain: int) -> None:
        self.write(AS, 0x81, atime)
        self.write(AS, 0xCA, astep & 255, astep >> 8)
        self.write(AS, 0xAA, gain)


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return firmware.build(PROBE, tmp_path_factory.mktemp("probe")).elf


@pytest.fixture
def probe(elf: Path) -> Iterator[Probe]:
    probe = Probe(elf, sensors=("tcs34725", "as7341"))
    yield probe
    probe.board.close()


@needs_tools
def test_a_pulse_is_seen_to_the_cycle(probe: Probe) -> None:
    probe.board.edges()
    probe.ask("P")
    on, off = probe.board.edges()
    assert (on.output, on.duty, off.output, off.duty) == (PUMPS[0], 1.0, PUMPS[0], 0.0)
    assert off.at - on.at == pytest.approx(1602 * CYCLE, abs=0.5 * CYCLE)


@needs_tools
@pytest.mark.parametrize(
    ("pin", "output", "mean"),
    [
        *((5, 0, 101 / 256), (6, 1, 101 / 256)),  # fast PWM on timer 0
        *((9, 2, 100 / 255), (10, 3, 100 / 255), (11, 4, 100 / 255), (3, STIRRER, 100 / 255)),  # phase-correct PWM on timers 1 and 2
        *((7, LAMP, 0.0), (13, STATUS, 0.0)),  # no timer: analogWrite below half is off
    ],
)
def test_an_output_reports_its_mean_duty(probe: Probe, pin: int, output: int, mean: float) -> None:
    probe.ask("A", pin, 255)
    probe.ask("A", pin, 100)
    assert {edge.output for edge in probe.board.edges()} == {output}
    probe.ask("A", pin, 255)
    probe.board.edges()
    probe.ask("A", pin, 100)
    assert probe.board.edges()[-1].duty == pytest.approx(mean)


@needs_tools
def test_a_pin_that_is_no_output_counts_as_off(probe: Probe) -> None:
    probe.ask("A", 6, 255)
    probe.board.edges()
    probe.ask("I", 6)
    assert [(edge.output, edge.duty) for edge in probe.board.edges()] == [(1, 0.0)]


@needs_tools
@pytest.mark.parametrize("event", ["reset", "power_cycle", "hang"])
def test_every_kind_of_reset_turns_the_outputs_off(probe: Probe, event: str) -> None:
    probe.ask("A", 9, 255)
    probe.ask("A", 7, 255)
    probe.board.edges()
    before = probe.board.now
    getattr(probe.board, event)()
    probe.board.run(1.5)
    edges = probe.board.edges()
    assert [(edge.output, edge.duty) for edge in edges] == [(2, 0.0), (LAMP, 0.0)]
    late = 1.0 if event == "hang" else 0.0  # the probe's watchdog
    assert before + 0.9 * late <= edges[0].at == edges[1].at <= before + 1.1 * late
    assert probe.ask("D", 9) == "0"


@needs_tools
def test_the_firmware_can_tell_what_reset_it(probe: Probe) -> None:
    assert probe.ask("C") == "1"
    probe.board.reset()
    probe.board.run(0.1)
    assert probe.ask("C") == "2"
    probe.board.hang()
    assert probe.board.run(0.5, b"C\n") == b""
    assert probe.board.run(1.0) == b"!\r\n"
    assert probe.ask("C") == "8"


@needs_tools
def test_memory_outlives_a_reset_and_the_eeprom_outlives_power(elf: Path) -> None:
    with Engine(elf, light, eeprom=bytes(range(256)) * 4) as board:
        probe = Probe.__new__(Probe)
        probe.board = board
        board.run(0.1)
        assert probe.ask("e", 17) == "11"
        probe.ask("E", 17, 0xAB)
        boots = int(probe.ask("B"), 16)
        board.reset()
        board.run(0.1)
        assert int(probe.ask("B"), 16) == boots + 1
        assert probe.ask("e", 17) == "AB"
        board.power_cycle()
        board.run(0.1)
        assert int(probe.ask("B"), 16) not in {1, boots + 1, boots + 2}
        assert probe.ask("e", 17) == "AB"
        assert board.eeprom()[16:19] == b"\x10\xab\x12"


@needs_tools
def test_the_bootloader_is_deaf_and_time_goes_on(probe: Probe) -> None:
    probe.ask("A", 6, 255)
    before = probe.board.now
    probe.board.reset(bootloader=1.6)
    assert probe.board.run(1.5, b"C\n") == b""
    assert probe.board.run(0.2) == b"!\r\n"
    assert probe.board.now - before == pytest.approx(1.7, abs=1e-4)
    assert probe.board.run(0.5) == b""
    assert probe.ask("C") == "2"


@needs_tools
def test_the_stop_switch_is_closed_until_it_is_pressed_and_a_reset_does_not_change_it(probe: Probe) -> None:
    assert probe.ask("D", 2) == "0"
    probe.board.press_stop(True)
    assert probe.ask("D", 2) == "1"
    for restart in (probe.board.reset, probe.board.power_cycle):
        restart()
        probe.board.run(0.1)
        assert probe.ask("D", 2) == "1"
    probe.board.press_stop(False)
    assert probe.ask("D", 2) == "0"
    probe.board.reset()
    probe.board.run(0.1)
    assert probe.ask("D", 2) == "0"


@needs_tools
def test_the_line_carries_bytes_no_faster_than_it_can_and_loses_none(probe: Probe) -> None:
    before = probe.board.now
    answers = probe.board.run(0.05, b"?123456789\n" * 100)
    assert 40 <= answers.count(b"?") <= 53  # 0.05 s of 1.05 ms each at 11 bits a byte
    answers += probe.board.run(0.1)
    assert answers == b"?\r\n" * 100
    assert probe.board.now == pytest.approx(before + 0.15, abs=1e-4)


@needs_tools
def test_run_until_a_byte_stops_after_the_line_and_not_in_it(probe: Probe) -> None:
    before = probe.board.now
    assert probe.board.run(2.0, b"C\n", until_byte=True) == b"1\r\n"
    assert probe.board.now - before < 0.002
    assert probe.board.run(0.25, until_byte=True) == b""
    assert probe.board.now - before == pytest.approx(0.25, abs=0.002)


@needs_tools
def test_the_shortest_run_is_a_step_ahead(probe: Probe) -> None:
    before = probe.board.now
    probe.board.run(0.0)
    assert probe.board.now == before
    probe.board.run(2e-9)
    assert before < probe.board.now < before + 1e-6


@needs_tools
@pytest.mark.parametrize("name", SMUX)
def test_the_as7341_connects_diodes_as_its_smux_says(probe: Probe, name: str) -> None:
    assert probe.read(AS, 0x92, 1) == b"\x24"
    probe.set_time_and_gain(29, 599, 7)
    probe.connect(SMUX[name])
    assert probe.measure() == [COUNTS[diode] for diode in name.split()]


@needs_tools
def test_half_a_diode_gives_half_the_counts_and_two_on_one_adc_their_sum(probe: Probe) -> None:
    probe.set_time_and_gain(29, 599, 7)
    smux = bytearray(20)
    smux[0x01] = 0x01  # F1's left half to ADC 0
    smux[0x13] = 0x02  # NIR, which has one half only, to ADC 1
    smux[0x05], smux[0x0C] = 0x02, 0x20  # both halves of F2 to ADC 1
    probe.connect(bytes(smux))
    assert probe.measure() == [501, COUNTS["NIR"] + COUNTS["F2"], 0, 0, 0, 0]


@needs_tools
def test_the_as7341_saturates_at_its_number_of_steps_and_says_so(probe: Probe) -> None:
    probe.connect(SMUX["F1 F2 F3 F4 clear NIR"])
    probe.set_time_and_gain(2, 999, 7)  # 3,000 steps
    assert probe.measure() == [1001, 2002, 3000, 3000, 3000, 3000]
    probe.write(AS, 0x80, 0x03)
    probe.board.run(0.06)
    assert probe.read(AS, 0xA3, 1)[0] & 0x10
    assert probe.read(AS, 0x94, 1)[0] == 0x87


@needs_tools
def test_the_as7341_hides_its_low_registers_until_the_bank_is_chosen(probe: Probe) -> None:
    probe.write(AS, 0x70, 0x08)
    assert probe.read(AS, 0x70, 1) == b"\x00"
    probe.write(AS, 0xA9, 0x10)
    assert probe.read(AS, 0x70, 1) == b"\x00"
    probe.write(AS, 0x70, 0x08)
    assert probe.read(AS, 0x70, 1) == b"\x08"


@needs_tools
def test_the_tcs34725_measures_again_and_again_and_its_command_bit_is_needed(probe: Probe) -> None:
    assert probe.read(TCS, 0xB2, 1) == b"\x44"
    probe.write(TCS, 0x81, 0xC0)
    probe.write(TCS, 0x80, 0x01)
    probe.board.run(0.003)
    probe.write(TCS, 0x80, 0x03)
    assert probe.read(TCS, 0x93, 1)[0] & 1 == 0
    probe.board.run(0.16)
    assert probe.read(TCS, 0x93, 1)[0] & 1 == 1
    assert struct.unpack("<4H", probe.read(TCS, 0xB4, 8)) == (1001, 2002, 3003, 4004)
    probe.read(TCS, 0xB2, 1)
    assert probe.read(TCS, 0x14, 1) != struct.pack("B", 1001 & 255)


@needs_tools
def test_the_tcs34725_starts_nothing_within_2400_us_of_its_power(probe: Probe) -> None:
    for pause, is_begun in ((0.0, 0), (0.003, 1)):
        probe.write(TCS, 0x80, 0x00)
        probe.write(TCS, 0x80, 0x01)
        probe.board.run(pause)
        probe.write(TCS, 0x80, 0x03)
        probe.board.run(0.02)
        assert probe.read(TCS, 0x93, 1)[0] & 1 == is_begun


@needs_tools
def test_a_sensor_says_complete_until_its_next_integration_has_ended(elf: Path) -> None:
    counts = [1] * 10
    probe = Probe(elf, lambda exposure: counts[: CHANNELS[exposure.sensor]], sensors=("tcs34725", "as7341"))
    probe.connect(SMUX["F1 F2 F3 F4 clear NIR"])
    probe.set_time_and_gain(29, 599, 7)
    probe.write(TCS, 0x81, 0xEB)  # 21 cycles: as long, 50 ms
    probe.write(TCS, 0x80, 0x01)
    probe.board.run(0.003)
    for chip, status, where in ((TCS, 0x93, 0xB4), (AS, 0xA3, 0x95)):
        counts[:] = [1] * 10
        probe.write(chip, 0x80, 0x03)
        assert probe.read(chip, status, 1) == b"\x00"
        probe.board.run(0.06)
        probe.write(chip, 0x80, 0x01)
        counts[:] = [2] * 10
        probe.write(chip, 0x80, 0x03)
        for seconds, seen in ((0.04, 1), (0.02, 2)):
            probe.board.run(seconds)
            assert probe.read(chip, status, 1) in (b"\x01", b"\x40")
            probe.read(AS, 0x94, 1)  # latches
            assert probe.read(chip, where, 1)[0] == seen
    probe.board.close()


@needs_tools
def test_a_slow_sensor_takes_longer(probe: Probe) -> None:
    probe.set_time_and_gain(29, 599, 7)
    probe.board.slow_sensors(1.5)
    probe.write(AS, 0x80, 0x03)
    for seconds, status in ((0.065, b"\x00"), (0.015, b"\x40")):
        probe.board.run(seconds)
        assert probe.read(AS, 0xA3, 1) == status


@needs_tools
def test_light_too_bright_for_a_moment_saturates_the_as7341_at_any_count(probe: Probe) -> None:
    probe.connect(SMUX["F1 F2 F3 F4 clear NIR"])
    probe.set_time_and_gain(29, 599, 7)
    probe.board.glare(True)
    assert probe.measure() == [COUNTS[diode] for diode in ["F1", "F2", "F3", "F4", "clear", "NIR"]]
    assert (probe.read(AS, 0xA3, 1), probe.read(AS, 0x94, 1)) == (b"\x48", b"\x87")


@needs_tools
def test_nine_clocks_free_a_sensor_that_was_left_in_mid_byte_and_eight_do_not(probe: Probe) -> None:
    for clocks, is_free in ((8, "0"), (9, "1")):
        probe.board.stick_bus()
        assert probe.ask("W", AS, 0x92) == "5"  # Wire's code for a timeout
        probe.ask("K", clocks)
        assert probe.ask("D", 18) == is_free  # SDA, as it is
    assert probe.read(AS, 0x92, 1) == b"\x24"


@needs_tools
@pytest.mark.parametrize(("chip", "sensors"), [(TCS, ("as7341",)), (AS, ("tcs34725",)), (AS, ()), (TCS, ())])
def test_a_sensor_that_is_not_there_does_not_answer(elf: Path, chip: int, sensors: tuple[str, ...]) -> None:
    with Probe(elf, sensors=sensors).board as board:
        assert board.run(1.0, f"W {chip:x} 80\n".encode(), until_byte=True) == b"2\r\n"


@needs_tools
def test_an_exposure_tells_the_moment_the_lamp_and_the_registers_and_sees_all_edges(elf: Path) -> None:
    seen: list[tuple[Exposure, list[Edge], float]] = []

    def watch(exposure: Exposure) -> Sequence[int]:
        seen.append((exposure, asked.board.edges(), asked.board.now))
        return light(exposure)

    asked = Probe(elf, watch)
    asked.set_time_and_gain(29, 599, 5)
    asked.connect(SMUX["F2 F3 F4 F5 F6 F7"])
    asked.ask("A", 7, 255)
    asked.board.edges()
    asked.ask("A", 6, 255)
    before = asked.board.now
    asked.measure()
    (exposure, edges, now), *_ = seen
    assert exposure == Exposure(now, "as7341", 1.0, 5, 29, 599)
    assert before < exposure.at - exposure.seconds < before + 0.003
    assert [(edge.output, edge.duty) for edge in edges] == [(1, 1.0)]
    assert edges[0].at < before
    asked.board.close()


@needs_tools
def test_a_held_bus_makes_wire_time_out_and_letting_go_mends_it(probe: Probe) -> None:
    probe.board.hold_bus(True)
    before = probe.board.now
    assert probe.ask("W", AS, 0x92) == "5"  # Wire's code for a timeout
    assert probe.board.now - before == pytest.approx(0.025, abs=0.005)
    assert probe.ask("D", 18) == "0"  # SDA, as it is
    probe.board.hold_bus(False)
    assert probe.read(AS, 0x92, 1) == b"\x24"
    assert probe.read(TCS, 0xB2, 1) == b"\x44"


@needs_tools
def test_a_bus_that_is_held_for_a_moment_only_delays(probe: Probe) -> None:
    probe.board.hold_bus(True)
    assert probe.board.run(0.01, b"W 39 92\n") == b""
    probe.board.hold_bus(False)
    assert probe.board.run(0.01, until_byte=True) == b"0\r\n"


@needs_tools
def test_the_same_requests_give_the_same_board_again(elf: Path) -> None:
    def story() -> tuple[str, list[Edge], float]:
        with Engine(elf, light) as board:
            said = board.run(0.1) + board.run(0.3, b"B\nA 6 80\n")
            board.reset()
            return (said + board.run(0.1)).hex(), board.edges(), board.now

    assert story() == story()


@pytest.mark.timing
@needs_tools
def test_a_dead_board_is_an_error_and_not_a_hang(elf: Path) -> None:
    board = Engine(elf, light)
    assert board._board is not None
    os.kill(board._board.pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(LinkError, match="start it again"):
            board.run(0.1)
    board.close()


@pytest.mark.timing
@needs_tools
def test_a_board_that_does_not_answer_is_an_error_in_time(elf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = Engine(elf, light)
    assert board._board is not None
    os.kill(board._board.pid, signal.SIGSTOP)
    monkeypatch.setattr(emulator, "TIMEOUT", 0.01)
    with pytest.raises(LinkError, match="did not answer"):
        board.run(0.0)
    with pytest.raises(LinkError, match="was closed"):
        board.run(0.0)


@needs_tools
def test_an_error_in_the_light_comes_out_and_ends_the_board(elf: Path) -> None:
    def broken(_: Exposure) -> Sequence[int]:
        raise ZeroDivisionError

    for wrong, error in ((broken, ZeroDivisionError), (lambda _: [1, 2], ValueError), (lambda _: [-1] * 10, struct.error)):
        probe = Probe(elf, wrong)
        probe.write(AS, 0x80, 0x03)
        with pytest.raises(error):
            probe.board.run(1.0)
        with pytest.raises(LinkError):
            probe.board.run(1.0)


@needs_tools
def test_a_file_that_is_no_firmware_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.elf").write_text("not a firmware")
    with pytest.raises(LinkError, match="cannot read the firmware"):
        Engine(tmp_path / "text.elf", light)


def test_unknown_sensors_and_short_eeproms_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="tcs34725, as7341"):
        Engine(tmp_path, light, sensors=("as7343",))
    with pytest.raises(InvalidInput, match="1024 bytes, not 3"):
        Engine(tmp_path, light, eeprom=b"abc")


@needs_tools
def test_the_firmware_is_the_same_bytes_in_every_folder(tmp_path: Path) -> None:
    one, two = (firmware.build(firmware.SKETCH, tmp_path / name) for name in ("a", "b/c"))
    assert one.sha256 == two.sha256
    assert one.elf.read_bytes() == two.elf.read_bytes()
    assert 0 < one.flash_bytes <= 32256
    assert 0 < one.ram_bytes < 2048


@needs_tools
@pytest.mark.parametrize(("board", "machine"), [("nano", 5), ("mega", 6)])
def test_the_sketch_builds_for_the_other_boards_too(board: str, machine: int, tmp_path: Path) -> None:
    made = firmware.build(firmware.SKETCH, tmp_path, board)
    flags = struct.unpack_from("<I", made.elf.read_bytes(), 36)[0]
    assert flags & 0x7F == machine  # EF_AVR_MACH: avr5 has 32 KB of flash, avr6 256
    assert 15000 < made.flash_bytes < firmware.BOARDS[board].flash


@needs_tools
def test_a_sketch_that_leaves_no_memory_for_the_stack_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large.ino").write_text("volatile char large[1500];\nvoid setup() { large[1] = 1; }\nvoid loop() {}\n")
    with pytest.raises(InvalidInput, match="the uno has 32256 and 2048"):
        firmware.build(tmp_path / "large.ino", tmp_path / "out")


@needs_tools
def test_a_warning_in_a_sketch_is_an_error_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "hasty.ino").write_text("void setup() { int never_used; }\nvoid loop() {}\n")
    with pytest.raises(InvalidInput, match=r"hasty\.ino:1.*never_used"):
        firmware.build(tmp_path / "hasty.ino", tmp_path / "out")


@needs_tools
def test_the_emulator_is_built_once_and_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    board, image = emulator.built.__wrapped__()
    assert tmp_path in board.parents
    times = board.stat().st_mtime_ns, image.stat().st_mtime_ns
    assert emulator.built.__wrapped__() == (board, image)
    assert (board.stat().st_mtime_ns, image.stat().st_mtime_ns) == times


def test_without_the_tools_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for sentence in (str(emulator.missing()), str(firmware.missing())):
        assert "apt-get install" in sentence
        assert "gcc-avr avr-libc binutils-avr arduino-core-avr" in sentence
    with pytest.raises(MissingPart, match="libsimavr-dev"):
        emulator.built.__wrapped__()
    with pytest.raises(MissingPart, match="avr-gcc"):
        firmware.build(PROBE, tmp_path)


@needs_tools
def test_the_build_prints_where_the_firmware_is(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hardware.firmware.build", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=True)
    elf, image, sizes = done.stdout.splitlines()
    assert Path(elf).exists()
    assert Path(image).read_text().startswith(":")
    assert "sha256" in sizes
