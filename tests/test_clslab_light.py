"""The driver of CLSLab:Light, over a stand-in of the kit that has faults."""

import random
from collections.abc import Callable

import numpy as np
import pytest

from frugaltwin import Campaign, Store, catalog
from frugaltwin.errors import DriverError, InvalidInput, LinkError, RigFault, Stopped
from frugaltwin.experiment import Settings
from frugaltwin.plugins import Driver, Estimates, KnowsTruth
from hardware.clslab_light import CLSLabLight, EmulatedCLSLabLight, clslab_light, counts_in, printed
from hardware.serial.clslab_light_stand_in import Pico
from hardware.serial.ports import StandIn
from simulator import light_mixing
from simulator.light_mixing import CHANNELS, LIGHT_MIXING, LightMixing
from tests.forms import times

MIDDLE: Settings = {"red": 80.0, "green": 20.0, "blue": 10.0, "atime": 29.0, "astep": 599.0, "gain": 16.0}
LINE = "read_sensor(599, 29, 16)"
LIST = b"[1, 2, 3, 4, 5, 6, 7, 8]"
SLOWEST = 2 * (2 * 1.1 + 3 + 3 * 2.0)  # s: two looks, each with one reading and three things that take no time


def look(settings: Settings) -> list[float]:
    """Counts without random errors."""
    return light_mixing.look(settings, 0.0, np.random.default_rng(0))


class FaultyPico(Pico):
    """A kit whose lines do something else, as long as `fault` is there."""

    def __init__(self, fault: Callable[[str, tuple[float, str]], tuple[float, str]] | None = None) -> None:
        super().__init__(look)
        self.fault = fault
        self.lines: list[str] = []
        self.is_plugged_in = True

    def _evaluated(self, line: str) -> tuple[float, str]:
        self.lines.append(line)
        answer = super()._evaluated(line)
        return self.fault(line, answer) if self.fault else answer

    def write(self, b: bytes, /) -> int | None:
        self._check_plug()
        return super().write(b)

    def read(self, size: int = 1, /) -> bytes:
        self._check_plug()
        return super().read(size)

    def _check_plug(self) -> None:
        if not self.is_plugged_in:
            raise OSError("device disconnected")


def fails(text: str) -> Callable[[str, tuple[float, str]], tuple[float, str]]:
    """Every reading prints a text."""
    return lambda line, answer: (answer[0], text) if line == LINE else answer


def test_it_reads_what_the_twin_reads() -> None:
    with clslab_light(imperfections=0) as driver, LightMixing(imperfections=0) as twin:
        assert driver.perform(MIDDLE).outcomes == twin.perform(MIDDLE).outcomes
    assert driver.experiment.parameters == LIGHT_MIXING.parameters
    assert driver.experiment.outcomes == LIGHT_MIXING.outcomes


def test_only_the_stand_in_knows_the_truth() -> None:
    emulated, real = clslab_light(), clslab_light(port="/dev/ttyACM0")
    assert isinstance(emulated, Driver)
    assert isinstance(emulated, KnowsTruth)
    assert isinstance(real, Driver)
    assert isinstance(real, Estimates)
    assert not isinstance(real, KnowsTruth)


def test_imperfections_of_a_real_kit_cannot_be_chosen() -> None:
    with pytest.raises(InvalidInput, match=r"imperfections = 0.* belongs to port=emulated"):
        clslab_light(port="/dev/ttyACM0", imperfections=0)


def test_a_port_that_is_not_there_is_named() -> None:
    driver = clslab_light(port="/dev/ttyNone")
    with pytest.raises(LinkError, match="cannot open /dev/ttyNone: there is no such port"):
        driver.__enter__()
    with pytest.raises(Stopped):
        driver.perform(MIDDLE)


@pytest.mark.parametrize("is_program_running", [True, False])
def test_connecting_interrupts_a_program_and_turns_the_led_off(is_program_running: bool) -> None:
    pico = Pico(look, is_program_running)
    assert pico.color == (10, 10, 10)
    with CLSLabLight(pico) as driver:
        assert pico.color == (0, 0, 0)
        assert str(driver.perform(MIDDLE).raw["firmware"]).startswith("MicroPython v1.19.1")


def test_lines_are_those_of_the_kit_and_the_led_is_off_afterwards() -> None:
    pico = FaultyPico()
    with CLSLabLight(pico) as driver:
        pico.lines.clear()
        driver.perform(MIDDLE)
    assert pico.lines == ["set_color(80, 20, 10)", LINE, "set_color(0, 0, 0)"]


def test_half_a_line_that_somebody_typed_is_dropped() -> None:
    pico = FaultyPico()
    pico.write(b"set_color(255, 255")
    with CLSLabLight(pico):
        assert "set_color(255, 255" not in "".join(pico.lines)


@pytest.mark.parametrize(
    ("printed_text", "error", "message"),
    [
        ("", LinkError, "no list of 8 whole numbers"),
        ("[1, 2, 3]\r\n", LinkError, "no list of 8 whole numbers"),
        ("[1, 2, 3, 4, 5, 6, 7, 8, 9]\r\n", LinkError, "no list of 8 whole numbers"),
        ("[1, 2, 3, 4, 5, 6, 7, -8]\r\n", LinkError, "no list of 8 whole numbers"),
        ("{'ch410': 1}\r\n", LinkError, "no list of 8 whole numbers"),
        ("[1, 2, 3, 4, 5, 6, 7, 18001]\r\n", LinkError, "above full scale"),
        ("[1, 2, 3, 4, 5, 6, 7, \x00]\r\n", LinkError, "no list of 8 whole numbers"),
        ("Traceback (most recent call last):\r\n  in x\r\nOSError: [Errno 5] EIO\r\n", RigFault, "EIO; check the sensor's cable"),
        (
            "Traceback (most recent call last):\r\n  in x\r\nTypeError: function takes 2 positional arguments but 3 were given\r\n",
            RigFault,
            "TypeError: .*; put the program of docs/twins/clslab-light.md on the Pico",
        ),
        ("[1, 2, 3, 4, 5, 6, 7, 18000]\r\n", RigFault, "ch670 saturated at 18000 counts; lower gain"),
    ],
)
def test_an_answer_that_cannot_be_used_is_an_error_with_the_led_off(printed_text: str, error: type[DriverError], message: str) -> None:
    pico = FaultyPico()
    with CLSLabLight(pico) as driver:
        pico.fault = fails(printed_text)
        with pytest.raises(error, match=message) as caught:
            driver.perform(MIDDLE)
        assert 0 < caught.value.cost.seconds < SLOWEST
        assert pico.color == (0, 0, 0)
        pico.fault = None
        driver.perform(MIDDLE)


def test_one_garbled_answer_is_asked_for_again() -> None:
    pico = FaultyPico()
    with CLSLabLight(pico) as driver, LightMixing(imperfections=0) as twin:
        texts = iter(["[1, 2\r\n"])
        pico.fault = lambda line, answer: (answer[0], next(texts, answer[1])) if line == LINE else answer
        assert driver.perform(MIDDLE).outcomes == twin.perform(MIDDLE).outcomes


def test_silence_ends_by_the_clock() -> None:
    pico = FaultyPico()
    with CLSLabLight(pico) as driver:
        pico.fault = lambda line, answer: (1e6, answer[1]) if line == LINE else answer
        before = pico.monotonic()
        with pytest.raises(LinkError, match="has not come to MicroPython's prompt after 5"):
            driver.perform(MIDDLE)
        assert pico.monotonic() - before < SLOWEST
        assert pico.color == (0, 0, 0)


def test_a_late_answer_is_not_taken_for_the_next_one() -> None:
    pico = FaultyPico()
    with CLSLabLight(pico) as driver, LightMixing(imperfections=0) as twin:
        pico._send(f"{LINE}\r\n[9, 9, 9, 9, 9, 9, 9, 9]\r\n>>> ".encode(), after=0.01)
        assert driver.perform(MIDDLE).outcomes == twin.perform(MIDDLE).outcomes


def test_what_was_never_asked_for_is_an_error_unless_it_stops() -> None:
    class Chatty(FaultyPico):
        def _say(self, text: str) -> None:
            super()._say(text + "I2C read_byte at 0x93, error" if text.endswith(">>> ") and self.fault else text)

    pico = Chatty()
    with CLSLabLight(pico) as driver:
        pico.fault = fails("")
        with pytest.raises(LinkError, match=r"I2C read_byte|unasked"):
            driver.perform(MIDDLE)
        pico.fault = None


def test_unplugging_is_told_and_plugging_in_again_helps() -> None:
    pico = FaultyPico()
    driver = CLSLabLight(pico)
    with driver:
        pico.is_plugged_in = False
        with pytest.raises(LinkError, match=r"is gone \(device disconnected\); plug the kit in again"):
            driver.perform(MIDDLE)
        pico.is_plugged_in = True
        driver.perform(MIDDLE)
        pico.is_plugged_in = False
    pico.is_plugged_in = True
    with driver:
        driver.perform(MIDDLE)
    assert pico.color == (0, 0, 0)


def test_a_stop_in_mid_reading_turns_the_led_off() -> None:
    pico = FaultyPico()
    driver = CLSLabLight(pico)

    def stopped(line: str, answer: tuple[float, str]) -> tuple[float, str]:
        if line == LINE:
            driver.stop()
        return answer

    with driver:
        pico.fault = stopped
        before = pico.monotonic()
        with pytest.raises(Stopped):
            driver.perform(MIDDLE)
        assert pico.monotonic() - before < 1.0
        assert pico.color == (0, 0, 0)


def test_whatever_interrupts_it_leaves_the_led_off() -> None:
    pico = FaultyPico()
    with CLSLabLight(pico) as driver:

        def interrupted(line: str, answer: tuple[float, str]) -> tuple[float, str]:
            if line == LINE:
                raise KeyboardInterrupt
            return answer

        pico.fault = interrupted
        with pytest.raises(KeyboardInterrupt):
            driver.perform(MIDDLE)
        assert pico.color == (0, 0, 0)


def test_a_pico_without_the_program_is_told_what_to_do() -> None:
    class Wireless(Pico):
        def _evaluated(self, line: str) -> tuple[float, str]:
            return super()._evaluated(line.replace("set_color", "run_experiment"))

    with pytest.raises(RigFault, match=r"NameError: .*; put the program of docs/twins/clslab-light.md on the Pico"):
        CLSLabLight(Wireless(look)).__enter__()


@pytest.mark.parametrize(
    ("read", "message"),
    [
        ("[1, 0, 1, 0, 0, 0, 2, 1]", "at most 2 counts where the LED should give [0-9]+: it is dark"),
        (None, "the sensor repeats one reading, at most [0-9]+ counts, though the light is another"),
    ],
)
def test_a_dark_led_and_a_stuck_sensor_fail_one_trial_by_name(read: str | None, message: str) -> None:
    pico = FaultyPico()
    with CLSLabLight(pico) as driver:
        first = driver.perform(MIDDLE)
        assert driver.perform(MIDDLE).outcomes == first.outcomes  # without random errors the same light is the same reading
        text = read or str([int(float(first.outcomes[channel])) for channel in CHANNELS])
        pico.fault = fails(f"{text}\r\n")
        with pytest.raises(RigFault, match=message) as failure:
            driver.perform({**MIDDLE, "red": 10.0, "green": 80.0})
        assert failure.value.cost.seconds > 0
        pico.fault = None
        assert driver.perform(MIDDLE).outcomes == first.outcomes


def test_the_dark_is_no_dead_led() -> None:
    with CLSLabLight(FaultyPico(fails("[0, 0, 0, 0, 0, 0, 0, 0]\r\n"))) as driver:
        for gain in (16.0, 16.0):
            driver.perform({**MIDDLE, "red": 0.0, "green": 0.0, "blue": 0.0, "gain": gain})


def test_a_sensor_without_light_and_a_gain_that_does_nothing_are_noticed_on_connecting() -> None:
    dark = FaultyPico(lambda line, answer: (answer[0], "[0, 0, 0, 0, 0, 0, 0, 0]\r\n") if "read" in line else answer)
    with pytest.raises(RigFault, match="sees at most 0 counts of the LED"):
        CLSLabLight(dark).__enter__()
    stuck = FaultyPico(lambda line, answer: (answer[0], "[90, 0, 0, 0, 0, 0, 0, 0]\r\n") if "read" in line else answer)
    with pytest.raises(RigFault, match="the gain does nothing: at most 90 counts at gain 1, 90 at 128"):
        CLSLabLight(stuck).__enter__()
    assert dark.color == stuck.color == (0, 0, 0)


class Noise(StandIn):
    """Random bytes, whatever it is asked."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    def _received(self, data: bytes) -> None:
        for _ in range(self._random.randrange(20)):
            self._send(self._random.randbytes(self._random.randrange(60)), self._random.random())


@pytest.mark.parametrize("seed", range(times(5, 200)))
def test_something_that_is_no_kit_is_refused_in_time(seed: int) -> None:
    noise = Noise(seed)
    with pytest.raises(LinkError):
        CLSLabLight(noise).__enter__()
    assert noise.monotonic() < 10


@pytest.mark.parametrize("alphabet", [bytes(range(256)), b"[]0123456789, -\r\n>", b"Traceback (most recent call last):\r\n> "])
def test_a_million_random_bytes_give_no_counts(alphabet: bytes) -> None:
    draw = random.Random(1)
    for _ in range(times(100, 5000)):
        received = bytes(draw.choices(alphabet, k=draw.randrange(2000)))
        for answer in (received, f"{LINE}\r\n".encode() + received + b"\r\n>>> "):
            with pytest.raises(LinkError):
                counts_in(printed(LINE, answer), 18000)


def test_one_wrong_byte_gives_an_error_or_eight_numbers_that_a_sensor_can_show() -> None:
    draw = random.Random(2)
    answer = f"{LINE}\r\n".encode() + LIST + b"\r\n>>> "
    n_refused = 0
    n = times(20_000, 200_000)
    for _ in range(n):
        changed = bytearray(answer)
        changed[draw.randrange(len(changed))] = draw.randrange(256)
        try:
            counts = counts_in(printed(LINE, bytes(changed)), 18000)
        except LinkError:
            n_refused += 1
            continue
        assert len(counts) == len(CHANNELS)
        assert all(0 <= count <= 18000 for count in counts)
    assert n_refused > 0.75 * n


def test_the_driver_of_the_catalog_is_emulated_by_default() -> None:
    assert isinstance(catalog.make_driver("clslab-light"), EmulatedCLSLabLight)
    assert not isinstance(catalog.make_driver("clslab-light", {"port": "/dev/ttyACM0"}, seed=1), EmulatedCLSLabLight)


def test_a_real_kit_needs_no_goal_to_be_named() -> None:
    assert catalog.default_goal(clslab_light()) == "match-color:reachable"
    kit = clslab_light(port="/dev/ttyACM0")
    assert catalog.default_goal(kit) == "match-color:#8fb04a"
    goal = catalog.make_goal("match-color:#8fb04a", kit)
    assert Campaign("kit", kit, goal, catalog.make_strategy(goal.default_strategy), Store(":memory:")).suggest()
