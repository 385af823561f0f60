"""The color mixer with the firmware of this project, over a serial line: `frugaltwin.instruments.Mixer` for the rig and the emulated board.

A dose is reported as done only when the board says that it was this dose and that all of it was moved; anything else is an error
that says what happened, and the board is at rest: pumps are timed by the board, and stop when no host is heard.
"""

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from frugaltwin.amounts import Amounts
from frugaltwin.errors import DriverError, InvalidInput, LinkError, RigFault, Stopped
from frugaltwin.instruments import MixerSpecification, Reading
from frugaltwin.prices import Dose
from hardware.serial.link import Reply, SerialLink
from hardware.serial.places import waited_for
from hardware.serial.ports import Clock, Port
from hardware.serial.recorder import Line, RecordedPort
from simulator.instruments.liquids import Liquids
from simulator.instruments.mixer import CELL_VOLUME, DRAIN_SECONDS, RATE, SPECIFICATION
from simulator.instruments.sensors import Sensor

FAMILY, PROTOCOL = "frugaltwin,color-mixer", "1"
DRAIN_PUMP = 4
BOOT = 3.0  # s: a bootloader listens for a sketch for 1–2 s before ours begins
POLL = 0.5  # s between two questions while something runs; the board gives a silent host 5 s
SETTLE = 0.3  # s after a dose, until the last drop has fallen
WIRING = 0.008  # s that the firmware takes to set up an integration
WAITS = 15 / 14  # of an integration's time, since the sensor's clock may be slow
UNKNOWN_WORD = 3
OVERDUE = 2.0  # s beyond the promised end of a run, after which something is wrong

CHANNELS = {
    "as7341": ("415", "445", "480", "515", "555", "590", "630", "680", "clear", "near infrared"),
    "tcs34725": ("clear", "red", "green", "blue"),
}
"""Channels by sensor, in the order in which the firmware sends them."""

CAUSES = {
    1: "the board was reset (its power or cable moved, or it hung)",
    2: "the rig was stopped",
    3: "the emergency switch is open, or was",
    4: "the board heard no host for 5 s and stopped",
}
BUSY = 5
REFUSALS = {
    4: "no pump can do that; see `frugaltwin rig check` for what this one is calibrated to",
    BUSY: "it is busy",
    6: f"that does not fit into the cell of {CELL_VOLUME:g} mL; drain it first",
    8: "the color sensor does not answer; check its four wires",
    10: "its pumps are not calibrated; run `frugaltwin rig calibrate pumps`",
    12: "too many pumps would run at once",
}

_log = logging.getLogger("frugaltwin.hardware")


class BoardRefused(RigFault):
    """The board refused a request; `number` is the error number of PROTOCOL.md."""

    number: int = 0


class BoardState(NamedTuple):
    """Reply to `STAT?`."""

    state: str
    cause: int
    cell: float
    """µL"""
    last: int
    run: int
    asked: float
    moved: float
    seconds_up: int
    reset: int


@dataclass(frozen=True)
class PumpCalibration:
    """Calibration that the board times its doses by: a dose of V µL takes V/flow + dead."""

    flow: int
    """µL/s."""
    dead: int
    """µs."""


class ArduinoMixer:
    """Satisfies `Mixer`. Pump 0 is the first of the liquids, pump 1 the second, and so on; pump 4 drains."""

    def __init__(
        self, connect: Callable[[], tuple[Port, Clock]], name: str, sensor: Sensor, liquids: Liquids,
        identified: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """A mixer that is not connected yet.

        Args:
            connect: Opens the port, on `__enter__`, and names the clock that it lives by.
            name: What the port is called in messages.
            identified: Called when our firmware has answered.
        """
        if len(liquids.bottles) > DRAIN_PUMP:
            raise InvalidInput(f"{len(liquids.bottles)} liquids are more than the rig has pumps for: it has {DRAIN_PUMP} and a drain")
        self.sensor, self.liquids = sensor, liquids
        self.calibration = ""
        """The id of the record in the board's EEPROM, once connected."""
        self.record: list[Line] | None = None
        """Lines that went over the line since it was opened, where somebody wants to keep them."""
        self._connect, self._name, self._identified = connect, name, identified
        self._pumps = {bottle: index for index, bottle in enumerate(liquids.bottles)}
        self._flows: dict[int, PumpCalibration] = {}
        self._used = dict.fromkeys(liquids.bottles, 0.0)
        self._link: SerialLink | None = None
        self._clock: Clock | None = None
        self._last_clock: Clock | None = None
        self._stop = threading.Event()
        self._since = self._before = 0.0
        self._lamp: bool | None = None
        self._is_entered = False
        self._is_lost = False  # something failed while it ran, and was halted: only `drain` and a new connection go on
        self._was_switched = False  # the emergency switch opened: only a person's `clear` or new connection goes on

    @property
    def specification(self) -> MixerSpecification:
        return replace(SPECIFICATION, smallest=self.liquids.smallest, filled=self.liquids.filled)

    @property
    def spent(self) -> Amounts:
        seconds = self._before + (self._clock.monotonic() - self._since if self._clock else 0.0)
        return Amounts(seconds=seconds, money=self.liquids.money(self._used), volume=sum(self._used.values()))

    @property
    def link(self) -> SerialLink:
        """The open line.

        Raises:
            Stopped: The mixer is not connected.
        """
        if self._link is None:
            raise Stopped("the rig is not connected")
        return self._link

    @property
    def clock(self) -> Clock:
        """The clock of the port.

        Raises:
            Stopped: The mixer is not connected.
        """
        if self._clock is None:
            raise Stopped("the rig is not connected")
        return self._clock

    def __enter__(self) -> Self:
        self._stop.clear()
        self.open()
        try:
            self._make_ready()
            if self.state().cell > 0:  # by the board's account, which is full after a reset
                self._run("DRAIN", None)
        except BaseException:
            self.__exit__()
            raise
        self._is_entered = True
        return self

    def open(self) -> None:
        """Open the port and identify the board; nothing moves, and a board that is latched as stopped stays so.

        Raises:
            LinkError: No board answers, or another one does.
        """
        self._leave()
        port, self._clock = self._connect()
        if self.record is not None:
            port = RecordedPort(port, self._clock, self.record)
        self._last_clock = self._clock
        self._is_lost = False
        self._since = self._clock.monotonic()
        self._link = link = SerialLink(port, self._clock, self._name)
        try:
            # Opening a USB port resets the board; what is sent before it is up goes to its bootloader.
            link.listen("READY", BOOT)
            who = self._ask("*IDN?")
            if len(who) != 1 or not who[0].startswith(FAMILY + ","):
                raise LinkError(f"{self._name} answers as {' '.join(who)!r}, which is no color mixer; choose another port")
            if who[0].rpartition(",")[2] != PROTOCOL:
                raise LinkError(f"{self._name} has firmware {who[0]!r}, this program speaks version {PROTOCOL}; run `frugaltwin rig flash`")
            self._identified()
            self._number_next(self.state())
            self.calibration = self._ask("CAL?")[1]
            self._flows = {p: PumpCalibration(*map(int, self._ask(f"CAL? {p}"))) for p in range(DRAIN_PUMP + 1)}
        except BaseException:
            self._leave()
            raise

    def identify(self) -> str:
        return f"{self._ask('*IDN?')[0]} at {self._name}"

    @property
    def sensor_name(self) -> str:
        """Name of the sensor that the board found on its bus; ``none`` when there is none."""
        return self._ask("*IDN?")[0].split(",")[2]

    @property
    def firmware_revision(self) -> int:
        """Revision of the firmware, whose protocol is the same in all of them: see "Revisions" in PROTOCOL.md."""
        reply = self.link.request("FW?")
        return 1 if reply.error == UNKNOWN_WORD else int(reply.values[0])

    def state(self) -> BoardState:
        """Ask the board for its state.

        Raises:
            LinkError: It does not say.
        """
        words = self._ask("STAT?")
        try:
            state, cause, cell, last, run, asked, moved, up, reset = words
            return BoardState(state, int(cause), float(cell), int(last), int(run), float(asked), float(moved), int(up), int(reset))
        except ValueError as error:
            raise LinkError(f"{self._name} answers STAT? with {' '.join(words)!r}, which cannot be understood") from error

    def pump_calibrations(self) -> dict[int, PumpCalibration]:
        """Calibrations of every pump, the drain included."""
        return dict(self._flows)

    def calibrate(self, pumps: dict[int, PumpCalibration], record: str) -> None:
        """Keep a calibration in the board's EEPROM under the id of its record.

        Raises:
            RigFault: The board refuses one of the numbers.
        """
        for pump, that in pumps.items():
            self._do(f"CAL {pump} {that.flow} {that.dead}")
        self._do(f"CALID {record}")
        self._flows |= pumps
        self.calibration = record

    def clear(self) -> None:
        """Let a board move again that was latched as stopped.

        Raises:
            Stopped: The emergency switch is still open.
        """
        self.link.events.clear()
        self._was_switched = False
        self._do("CLEAR")
        self._lamp = None

    def set_sensor(self) -> None:
        """Set the registers of the sensor as `sensor` says."""
        self._do(f"SENS {' '.join(map(str, self.sensor.registers))}")

    def turn(self, pump: int, seconds: float) -> None:
        """Let a pump run for a time, however much that moves; then the cell counts as full. For calibration."""
        ms = round(1000 * seconds)
        self._run(f"PUMP {pump} 255 {ms}", None, ms)

    def dispense(self, pump: str, volume: float) -> None:
        if not 0 <= volume < math.inf:
            raise InvalidInput(f"{volume:g} mL is no volume")
        tenths = round(volume * 1e4)  # the board's unit is 0.1 µL
        if tenths > 320_000:
            raise RigFault(f"{self._name} cannot pump {volume:g} mL: {REFUSALS[6]}")
        if tenths == 0:
            return  # less than half of that unit
        self.link.check()  # what is not connected uses nothing
        try:
            self._run(f"DISPENSE {self._pumps[pump]} {tenths // 10}.{tenths % 10}", tenths / 10)
        except BoardRefused:
            raise
        except DriverError:
            self._used[pump] += volume  # an unknown part of it moved
            raise
        self._used[pump] += volume
        self.clock.sleep(SETTLE)

    def mix(self, seconds: float) -> None:
        if not 0 <= seconds < math.inf:
            raise InvalidInput(f"{seconds:g} s is no time to stir for")
        left = round(seconds * 1000)
        while left > 0:
            now = min(left, 60_000)
            self._run(f"MIX {now}", 0.0, now)
            left -= now

    def read(self, lamp: bool = True) -> Reading:
        if self._lamp is not lamp:
            self._lamp = None  # until the board says so
            self._do(f"LED {int(lamp)}")
            self._lamp = lamp
        counts = self._do("READ?", takes=2 * self.sensor.read_seconds + 0.2).values
        channels = CHANNELS[self.sensor.name]
        if len(counts) != len(channels) or not all(c.isdigit() for c in counts):
            raise LinkError(f"{self._name} answers READ? with {' '.join(counts)!r}: {len(channels)} counts of a {self.sensor.name} are due")
        read = dict(zip(channels, map(int, counts), strict=True))
        return Reading({band: read[band] for band in self.sensor.bands}, self.sensor.full_scale, self.calibration)

    def rinse(self, volume: float) -> None:
        self.dispense("water", volume)

    def drain(self) -> None:
        if self._was_switched or (self._link and any(event.startswith("ESTOP") for event in self._link.events)):
            self._raise_cause(3, "DRAIN")  # whoever opened the switch says when to go on
        now = self._reconnected_state() if self._is_entered else self.state()
        if now.cause == 3:
            self._raise_cause(3, "DRAIN")
        if self._is_lost or now.cause in (1, 4):  # what was under way was reported; to drain is how to begin again
            self._make_ready()
        self._run("DRAIN", None)

    def dose(self, pump: str, volume: float | str) -> Dose:
        known = self._flows.get(self._pumps[pump])
        slope, offset = (1e3 / known.flow, known.dead / 1e6) if known and known.flow else (1 / RATE, 0.0)
        return Dose(volume, slope, self.liquids.money({pump: 1.0}), offset, besides=SETTLE)

    def price(self, instruction: str, amount: float = 0.0, pump: str = "water") -> Amounts:
        if instruction in ("dispense", "rinse"):
            return self.dose(pump, amount).amounts
        read = self.sensor.read_seconds * WAITS + WIRING * self.sensor.passes
        return Amounts(seconds={"mix": amount, "read": read, "drain": DRAIN_SECONDS}[instruction])

    def stop(self) -> None:
        self._stop.set()
        if link := self._link:
            link.stop()

    def __exit__(self, *failure: object) -> None:
        self._is_entered = False
        self._leave()

    def _leave(self) -> None:
        link, clock, self._link = self._link, self._clock, None
        if link is None or clock is None:
            return
        try:
            link.resume()
            link.request("STOP")
        except DriverError:
            _log.info("%s was left without a word; it stops by itself", self._name, exc_info=True)
        finally:
            link.close()
            self._before += clock.monotonic() - self._since
            self._clock = None

    def _reconnected_state(self) -> BoardState:
        """State of the board, over a new connection where the old one is gone: a port that was unplugged stays dead.

        Raises:
            Stopped: It is not plugged in again in time, or it is another one.
        """
        if self._link is not None:
            try:
                return self.state()
            except LinkError:
                _log.info("%s is opened again", self._name, exc_info=True)
        assert self._last_clock is not None, "it was connected"
        calibration = self.calibration
        waited_for(self.open, self._last_clock, self._name, self._stop.is_set)
        self._is_lost = True
        if self.calibration != calibration:
            raise Stopped(
                f"{self._name} has the calibration {self.calibration} now, it had {calibration}: another rig, or calibrated again; "
                "plug the right one in, then start again"
            )
        return self.state()

    def _make_ready(self) -> None:
        """Make a board that answers ready to mix: cleared, calibrated, its sensor set, its lamp on."""
        self._is_lost = True  # until all of this is done
        if not self.calibration or self.calibration == "-":
            raise RigFault(f"{self._name}: {REFUSALS[10]}")
        self._ask("STOP")  # an earlier host may have left a dose under way
        self._number_next(self.state())
        self.clear()
        if (found := self.sensor_name) != self.sensor.name:
            if found == "none":
                raise RigFault(f"{self._name} has no sensor on its bus; check its four wires")
            raise RigFault(f"{self._name} has the sensor {found} on its bus; choose it, sensor={found}", field="option")
        self.set_sensor()
        self._do("LED 1")
        self._lamp = True
        self._is_lost = False

    def _number_next(self, now: BoardState) -> None:
        """Number the next action after the last one that the board knows, from any program. Numbers are not used again."""
        if (now.last - self.link.next_seq) % 65536 < 32768:
            self.link.next_seq = now.last % 65535 + 1

    def _ask(self, text: str) -> tuple[str, ...]:
        reply = self.link.request(text)
        if reply.error:
            raise LinkError(f"{self._name} refuses {text}: {' '.join(reply.values)}; is its firmware ours?")
        return reply.values

    def _do(self, text: str, takes: float = 0.0) -> Reply:
        reply = self.link.request(text, takes)
        if reply.error:
            self._raise_refusal(text, reply)
        return reply

    def _raise_refusal(self, text: str, reply: Reply) -> None:
        word = text.split(maxsplit=1)[0]
        if reply.error == 7:
            self._raise_cause(self.state().cause or 3, word)
        if reply.error in REFUSALS:
            refused = BoardRefused(f"{self._name} refuses {text}: {REFUSALS[reply.error]}")
            refused.number = reply.error
            raise refused
        raise LinkError(f"{self._name} refuses {text}: {' '.join(reply.values)}; `frugaltwin rig flash` brings its firmware up to date")

    def _raise_cause(self, cause: int, word: str) -> None:
        self._lamp = None
        text = f"{self._name}: {CAUSES[cause]} during {word}"
        if cause == 3:
            self._was_switched = True
            raise Stopped(f"{text}; when all is well close the switch and start again")
        if cause == 2 and self._is_lost:
            raise RigFault(f"{self._name} does no {word} after an error; drain it first")
        if cause == 2:
            raise Stopped(text)
        raise RigFault(f"{text}; what was under way did not end")

    def _run(self, text: str, asked: float | None, promised: float | None = None) -> None:
        """Start an action that takes time, and wait for its end.

        Args:
            asked: The µL that have to be moved; None for all that there is.
            promised: The ms that it takes, where the board does not say.
        """
        try:
            self._wait_for(self._do(text), text, asked, promised)
        except Stopped:
            raise
        except DriverError as error:
            if not isinstance(error, BoardRefused) or error.number == BUSY:  # of the other refusals nothing is under way
                self._is_lost = True
                self.link.halt()
            raise

    def _wait_for(self, reply: Reply, text: str, asked: float | None, promised: float | None) -> None:
        if promised is None:
            if len(reply.values) != 1 or not reply.values[0].isdigit():
                raise LinkError(f"{self._name} answers {text} with {' '.join(reply.values)!r}, which is no time")
            promised = float(reply.values[0])
        clock = self.clock
        end = clock.monotonic() + promised / 1000
        while True:
            clock.sleep(min(max(end - clock.monotonic(), 0.01), POLL))
            now = self.state()
            if now.cause:
                self._raise_cause(now.cause, text.split(maxsplit=1)[0])
            if now.run != reply.seq:
                raise RigFault(f"{self._name} knows nothing of {text}: was another program talking to it?")
            if now.state != "B":
                break
            if clock.monotonic() > end + OVERDUE:
                raise RigFault(f"{self._name} is still busy with {text} {OVERDUE:g} s after its end; it was stopped")
        if now.moved != now.asked or (asked is not None and now.asked != asked):
            raise RigFault(f"{self._name} moved {now.moved:g} of {now.asked:g} µL for {text}")
