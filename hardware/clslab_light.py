"""CLSLab:Light on a USB port: the driver of the real kit, and the same driver over a stand-in of it."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Self

import numpy as np
from numpy.typing import NDArray

from frugaltwin.amounts import Amounts
from frugaltwin.data_sheets import Profile, SeedOptions, option, takes
from frugaltwin.errors import DriverError, InvalidInput, LinkError, RigFault, Stopped
from frugaltwin.experiment import Measurement, Settings
from frugaltwin.prices import Price
from hardware.serial.clslab_light_stand_in import Pico
from hardware.serial.places import Place, waited_for
from hardware.serial.ports import Clock, Port, RealClock, VirtualPort
from simulator.instruments.instrument_twin import InstrumentTwin
from simulator.instruments.sensors import COUNTER
from simulator.light_mixing import CHANNELS, CLSLAB, LEDS, LIGHT_MIXING, PRICE, LightMixing, Room, RoomOptions, collected, look, measured

CLSLAB_LIGHT = replace(LIGHT_MIXING, name="clslab-light")

BAUD = 115200
INTERRUPT, GREET = b"\x03", b"\x02"  # Ctrl-C stops a program or a line; Ctrl-B makes the prompt introduce itself
PROMPT = ">>> "
QUIET = 0.2  # s without a byte: the interrupted program has said its last words
ANSWER = 2.0  # s: the longest wait for something that takes no time
LONGEST = 4096  # bytes: no answer is longer
Color = tuple[int, int, int]
DARK: Color = (0, 0, 0)
PAGE = "docs/twins/clslab-light.md"
PLAIN = 100.0  # counts that the LED should give before a look says anything about it
FAINT = 0.02  # of what the LED should give: less than any difference between two kits
OTHER = 0.2  # of the counts: light that no sensor can mistake for the light before


class CLSLabLightOptions(RoomOptions, SeedOptions):
    """Options of CLSLab:Light."""

    port: str = option("emulated", "or the kit's port: /dev/ttyACM0, COM3, socket://host:port", changes="experiment")
    imperfections: float | Profile = option(
        1.0,
        "of the stand-in, as are the next two: scales all random errors; 0 turns them off. A real kit has its own",
        allowed=(0, math.inf),
        changes="imperfections",
    )


@takes(CLSLabLightOptions)
def clslab_light(options: CLSLabLightOptions) -> "CLSLabLight | EmulatedCLSLabLight":
    """CLSLab:Light over USB: the real kit at a serial port, or a stand-in of it on a virtual clock.

    **Equation.** That of `light-mixing`, whose parameters, outcomes and limits these are: red, green and blue (0, 1, … 255) light the
    LED, the registers atime, astep and gain expose the sensor, ch410 … ch670 are its eight counts, L, a and b follow from them.
    The kit itself computes nothing. The stand-in is that twin behind MicroPython's prompt.
    Source of what is said on the line: the kit's published serial program and its host, https://github.com/sparks-baird/self-driving-lab-demo
    (src/extra/nonwireless/main.py, src/self_driving_lab_demo/utils/observe.py); MicroPython's shared/readline/readline.c.

    **Options**: `CLSLabLightOptions`.

    **On the line**, 115200 baud: ``set_color(red, green, blue)`` prints nothing, ``read_sensor(astep, atime, gain)`` prints a list of
    eight whole numbers. Connecting interrupts whatever program runs (Ctrl-C) and asks for MicroPython's greeting (Ctrl-B): from then on
    every line is echoed and ends in a prompt, so that each answer is known to belong to its line. A program's functions outlive it.
    After every measurement, failed or not, the LED is turned off. Looking twice uses nothing up, so one lost or garbled answer is
    asked for again; no answer is waited for longer than twice what it should take and 3 s. The line has no checksum but USB's own.

    **Found** in the published files: the host sends a line feed, which only the program heeds; a carriage return (sent here) ends a line
    for the program and for the prompt. The first published program takes no gain and is refused. The later one calls `read_sensor`
    without its gain at start and dies of it, its LED left on; its functions are then at the prompt, where this driver finds them.
    The kit's wireless program defines neither function. The first sensor file takes the gain as a code from 0 to 10 and silently
    ignores all else: connecting looks at gain 1 and 128 and refuses a kit whose gain does nothing.

    **Assumed**, because nothing here was ever tried on a physical kit: that a reading takes as long as in the wireless records.

    **Time and money.** What a measurement took by the clock of the port; no material. **Truth**: the stand-in's only.

    **Leaves out** a kit's own calibration: colors are computed with the constants of the kit that `light-mixing` was fitted to, so a
    color of yours is as right as your LED and sensor are like those. Wireless kits over the network. After the last measurement the
    Pico waits at its prompt; unplug it to start its own program again.

    **Twin of** CLSLab:Light, a NeoPixel and an AS7341 on a Raspberry Pi Pico W (Baird & Sparks, Matter 5 (2022) 4170,
    doi:10.1016/j.matt.2022.11.007). The twin of this rig is `light-mixing`.
    """
    port = options.port
    if port == "emulated":
        return EmulatedCLSLabLight(options.scale, options.seed, options.room(options.seed))
    for name in ("imperfections", *RoomOptions.stated):
        if (value := getattr(options, name)) != CLSLabLightOptions.stated[name].default:
            raise InvalidInput(f"{name} = {value} belongs to port=emulated: the kit at {port} has its own; leave it out")
    return CLSLabLight(port)


class CLSLabLight:
    """A kit at a serial port. Satisfies `Driver` and `Estimates`; `clslab_light` is its data sheet."""

    experiment = CLSLAB_LIGHT

    def __init__(self, port: str | VirtualPort) -> None:
        """A kit that is not connected yet.

        Args:
            port: Its address, or something that behaves like a kit.
        """
        self._where: Place | VirtualPort = Place(port, BAUD) if isinstance(port, str) else port
        self._name = port if isinstance(port, str) else "the stand-in"
        self._port: Port
        self._clock: Clock
        self._firmware = ""
        self._is_stopped = True
        self._is_connected = False
        self._is_in_step = False
        self._is_gone = False  # its port, which stays dead when it is plugged in again
        self._last: tuple[list[float], NDArray[np.float64]] | None = None  # what was shown, and what the LED should have given

    def __enter__(self) -> Self:
        """Connect: interrupt what runs, turn the LED off, and see that light and gain do something.

        Raises:
            LinkError: There is no such port, or nothing there that answers like a kit.
            RigFault: The Pico lacks the two functions, or its sensor sees nothing.
        """
        self._open()
        self._is_connected, self._is_stopped = True, False
        try:
            self._is_in_step = False
            self._then_light_off(self._check_sensor)
        except BaseException:
            self.__exit__()  # `with` does not leave what it could not enter
            raise
        return self

    def perform(self, settings: Settings) -> Measurement:
        """Light the LED, read the eight channels, turn the LED off.

        Raises:
            Stopped: Somebody stopped it, or it is not connected.
            LinkError: No answer, twice, or none that can be understood.
            RigFault: The Pico could not, a channel is saturated, the LED is dark, or the sensor repeats one reading.
        """
        if self._is_stopped:
            raise Stopped("the light was stopped, or it is not connected")
        began = self._clock.monotonic()
        try:
            if self._is_gone:
                self._port.close()
                self._is_in_step = False
                waited_for(self._open, self._clock, self._name, lambda: self._is_stopped)
            try:
                shown = self._then_light_off(lambda: self._look(settings))
            except LinkError:
                shown = self._then_light_off(lambda: self._look(settings))
        except DriverError as error:
            error.cost = Amounts(seconds=self._clock.monotonic() - began)
            raise
        measurement = measured(settings, shown, Amounts(seconds=self._clock.monotonic() - began))
        due = light_due(settings)
        if reason := doubt(shown, due, self._last):
            fault = RigFault(reason)
            fault.cost = measurement.cost
            raise fault
        self._last = shown, due
        return replace(measurement, raw={**measurement.raw, "firmware": self._firmware})

    def stop(self) -> None:
        """The `perform` in flight turns the LED off and raises `Stopped`, and so does every later one, until it is connected again."""
        self._is_stopped = True

    def __exit__(self, *failure: object) -> None:
        """Close the port. The LED is off: it is turned off after every reading."""
        if self._is_connected:
            self._is_connected, self._is_stopped = False, True
            self._port.close()

    def price(self) -> Price:
        """Price of two integrations and the overhead."""
        return PRICE

    def estimate(self, settings: Settings) -> Amounts:
        """Expected cost of `perform`."""
        return PRICE.of(settings)

    def _open(self) -> None:
        if isinstance(self._where, Place):
            self._port, self._clock = self._where.open(), RealClock()
        else:
            self._port = self._clock = self._where
        self._is_gone = False

    def _look(self, settings: Settings) -> list[float]:
        red, green, blue = (int(float(settings[led])) for led in LEDS)
        self._set_color((red, green, blue))
        return self._read_sensor(float(settings["astep"]), float(settings["atime"]), float(settings["gain"]))

    def _check_sensor(self) -> list[float]:
        self._set_color((30, 30, 30))
        dim, bright = (max(self._read_sensor(599, 29, gain)) for gain in (1, 128))
        if bright < 20:
            raise RigFault(f"the sensor sees at most {bright:g} counts of the LED; turn the LED toward it and check both cables")
        if bright < 8 * max(dim, 1):
            raise RigFault(
                f"the gain does nothing: at most {dim:g} counts at gain 1, {bright:g} at 128; "
                f"shade the sensor, or put the later sensor file on the Pico ({PAGE})"
            )
        return [dim, bright]

    def _then_light_off(self, look: Callable[[], list[float]]) -> list[float]:
        if not self._is_in_step:
            self._settle()
        try:
            shown = look()
            self._set_color(DARK)
        except BaseException:
            self._settle()
            raise
        return shown

    def _settle(self) -> None:
        """Interrupt the Pico, get its prompt, and turn the LED off; also after a stop.

        Raises:
            LinkError: That could not be done.
            RigFault: The Pico has no `set_color`.
        """
        self._is_in_step = False
        try:
            self._write(INTERRUPT)
            self._receive(ANSWER, quiet=QUIET)
            self._write(GREET)
            greeting = self._receive(ANSWER, end=PROMPT.encode(), needed=b"MicroPython v")
            self._firmware = re.sub(r".*(MicroPython v[ -~]*).*", r"\1", greeting.decode("ascii", "replace"), flags=re.DOTALL)
            self._set_color(DARK, heeds_stop=False)
        except LinkError as error:
            raise LinkError(f"{error}; if the LED is on, unplug it, then start again") from error
        self._is_in_step = True

    def _set_color(self, color: Color, heeds_stop: bool = True) -> None:
        line = f"set_color{color}"
        if text := self._ask(line, ANSWER, heeds_stop):
            raise LinkError(f"{self._name} answered {text[:80]!r} to {line}, where nothing was expected; put the program of {PAGE} on it")

    def _read_sensor(self, astep: float, atime: float, gain: float) -> list[float]:
        expected = PRICE.of({**dict.fromkeys(LEDS, 0.0), "astep": astep, "atime": atime, "gain": gain}).seconds
        text = self._ask(f"read_sensor({astep:g}, {atime:g}, {gain:g})", 2 * expected + 3)
        return counts_in(text, min((atime + 1) * (astep + 1), COUNTER))

    def _ask(self, line: str, seconds: float, heeds_stop: bool = True) -> str:
        with self._plugged_in():
            is_unasked = self._port.in_waiting > 0
        if is_unasked:
            unasked = self._receive(ANSWER, quiet=QUIET)
            raise LinkError(f"{self._name} said {_shown(unasked)} unasked; was it reset, or does another program use it?")
        self._write(f"{line}\r".encode())
        return printed(line, self._receive(seconds, end=PROMPT.encode(), heeds_stop=heeds_stop))

    def _receive(self, seconds: float, *, end: bytes = b"", needed: bytes = b"", quiet: float = 0.0, heeds_stop: bool = False) -> bytes:
        """Receive until the bytes end in `end` and have `needed` in them; or, when `quiet` is given, until nothing more comes for so long.

        Raises:
            LinkError: It took longer than `seconds`, or there is too much of it.
            Stopped: Somebody stopped it meanwhile.
        """
        received = bytearray()
        last = began = self._clock.monotonic()
        with self._plugged_in():
            while not (end and received.endswith(end) and needed in received):
                if heeds_stop and self._is_stopped:
                    raise Stopped("the light was stopped")
                more = self._port.read(max(1, self._port.in_waiting))
                received += more
                now = self._clock.monotonic()
                last = now if more else last
                if quiet and now - last >= quiet:
                    break
                if now - began > seconds or len(received) > LONGEST:
                    raise LinkError(
                        f"{self._name} has not come to MicroPython's prompt after {now - began:.1f} s, only to {_shown(received)}; "
                        f"plug the kit in again, and see that it has the program of {PAGE}"
                    )
        return bytes(received)

    def _write(self, text: bytes) -> None:
        with self._plugged_in():
            self._port.write(text)

    @contextmanager
    def _plugged_in(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._is_gone = True
            raise LinkError(f"{self._name} is gone ({error}); plug the kit in again") from error


class EmulatedCLSLabLight(InstrumentTwin[CLSLabLight]):
    """The driver over a stand-in of the kit, which is a twin: it knows the truth."""

    def __init__(self, imperfections: float = 1.0, seed: int = 0, room: Room = Room()) -> None:
        self._twin = LightMixing(seed=seed, imperfections=imperfections)

        def kit(random: np.random.Generator) -> CLSLabLight:
            numbers = count()

            def shown(settings: Settings) -> Sequence[float]:
                return look(settings, imperfections, random, CLSLAB, room.brightness(next(numbers)), room.stray(random))

            return CLSLabLight(Pico(shown))

        super().__init__(kit, seed)

    def truth(self, settings: Settings) -> dict[str, float]:
        """The mean counts of a kit without random errors, not rounded.

        Raises:
            RigFault: A channel is saturated.
        """
        return self._twin.truth(settings)


def light_due(settings: Settings) -> NDArray[np.float64]:
    """Mean counts [8] that the LED should give on the kit that `light-mixing` was fitted to, without the light of the room."""
    registers = [float(settings[name]) for name in ("atime", "astep", "gain")]
    return collected(*(float(settings[led]) for led in LEDS), *registers) - collected(0, 0, 0, *registers)


def doubt(shown: list[float], due: NDArray[np.float64], before: tuple[list[float], NDArray[np.float64]] | None) -> str:
    """A sentence about a dark LED or a sensor that repeats itself; none when the counts [8] can be those of the light that is due [8].

    Args:
        before: What was shown for the settings before, and due for them.

    >>> doubt([3.0] * 8, np.full(8, 5000.0), None)
    'the sensor shows at most 3 counts where the LED should give 5000: it is dark or turned away; check its cable, then start again'
    """
    if due.max() >= PLAIN and max(shown) < FAINT * due.max():
        return (
            f"the sensor shows at most {max(shown):g} counts where the LED should give {due.max():.0f}: it is dark or turned away; "
            "check its cable, then start again"
        )
    if before is not None and shown == before[0]:
        most = np.maximum(due, before[1])
        if (np.abs(due - before[1]) > np.maximum(OTHER * most, PLAIN)).any():
            return f"the sensor repeats one reading, at most {max(shown):g} counts, though the light is another; plug the kit in again"
    return ""


def printed(line: str, received: bytes) -> str:
    r"""Text that the Pico printed for a line: all that is between the echo and the prompt.

    Args:
        received: All that came since the line was sent.

    Raises:
        LinkError: It is not the answer to that line.
        RigFault: The line failed on the Pico.

    >>> printed("read_sensor(99, 0, 1)", b"read_sensor(99, 0, 1)\r\n[1, 2, 3, 4, 5, 6, 7, 8]\r\n>>> ")
    '[1, 2, 3, 4, 5, 6, 7, 8]'
    """
    echo = f"{line}\r\n".encode()
    if not (received.startswith(echo) and received.endswith(PROMPT.encode()) and received.isascii()):
        raise LinkError(f"{_shown(received)} is no answer to {line}: it is late or garbled; check the cable, then start again")
    text = received[len(echo) : -len(PROMPT)].decode("ascii").removesuffix("\r\n")
    if "Traceback (most recent call last)" in text:
        error = text.splitlines()[-1].strip()
        is_program = error.startswith(("NameError", "TypeError", "ImportError", "SyntaxError"))
        remedy = f"put the program of {PAGE} on the Pico" if is_program else "check the sensor's cable and plug the kit in again"
        raise RigFault(f"the Pico failed at {line} with {error}; {remedy}")
    return text


def counts_in(text: str, full_scale: float) -> list[float]:
    """The counts of the eight channels [8] that `read_sensor` printed, as whole numbers.

    Raises:
        LinkError: It is not a list of eight whole numbers from 0 to full scale.

    >>> counts_in("[1, 2, 3, 4, 5, 6, 7, 8]", full_scale=100)
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    """
    if not re.fullmatch(rf"\[\d{{1,5}}(, \d{{1,5}}){{{len(CHANNELS) - 1}}}\]", text, re.ASCII):
        raise LinkError(f"the sensor's answer {text[:80]!r} is no list of {len(CHANNELS)} whole numbers; check the cable, then start again")
    counts = [float(number) for number in text[1:-1].split(", ")]
    if max(counts) > full_scale:
        raise LinkError(f"the sensor's answer {text} is above full scale, {full_scale:g} counts; check the cable, then start again")
    return counts


def _shown(received: bytes | bytearray) -> str:
    return repr(bytes(received[-80:]).decode("ascii", "backslashreplace")) if received else "silence"
