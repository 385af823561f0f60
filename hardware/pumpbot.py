"""PumpBot: mixing four dyes and water on an existing rig, over the serial lines of its own firmware.

`PumpBotMixer` is the rig as a `Mixer`, `PumpBot` the driver, `PumpBotTwin` the driver over a simulated cell. The data sheet stands
at `pumpbot`.

The firmware knows two requests and no checksum, no stop and no host that dies: a pump runs as long as it was told to, and only a reset,
which opening the port causes, ends that. So every request is sent once, whatever comes back; every reply is compared with the request;
and after anything else than the reply the board is reset and the cell counts as full.
"""

import contextlib
import hashlib
import json
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from frugaltwin.amounts import Amounts
from frugaltwin.data_sheets import ImperfectOptions, Profile, SeedOptions, option, takes
from frugaltwin.errors import DriverError, InvalidInput, LinkError, RigFault, Stopped
from frugaltwin.experiment import Measurement, Settings
from frugaltwin.instruments import MixerSpecification, Reading
from frugaltwin.instruments.procedure import Dispense, Drain, Procedure, Read, Rinse
from frugaltwin.plugins import Driver
from frugaltwin.prices import Dose, Fixed, Price
from hardware.serial.places import Place, waited_for
from hardware.serial.ports import POLL_INTERVAL, Clock, Port, RealClock
from hardware.serial.pumpbot_stand_in import PumpBotStandIn
from simulator.instruments.instrument_twin import InstrumentTwin
from simulator.instruments.rig_options import FilledOptions, slope
from simulator.pumpbot_mixing import (
    CELL,
    FULL_SCALE,
    LIQUIDS,
    OUTCOMES,
    PUMPS,
    RESIDUE,
    SHORTEST,
    Imperfections,
    Pump,
    Rig,
    SimulatedCell,
    counts,
    experiment,
)

BAUD = 9600
READY = 6.0  # s that a board may take to start; a boot loader takes 1–2
TIMEOUT = 2.0  # s that a reply may take on top of what was asked for
MEASURING = 1.5  # s
DRAINING = 15.0  # s: empties a full cell in 9 and then draws air
LONGEST_RUN = 20.0  # s; the firmware knows no limit
PAUSE = 1.0  # s after every run, so that nothing drips any more
EXCHANGE = 0.06  # s for a request and its reply on the line
DYES = [name for name in LIQUIDS if name != "water"]
TELLING = 5.0  # mL of dye in the cell: one channel at least reads less than water by 17 %, which is seven times its scatter
PRICES = dict.fromkeys(LIQUIDS, 0.003) | {"water": 0.0005}  # USD per mL; assumptions
WASTE = 0.001  # USD per mL

ONE_COLOR = Procedure((*(Dispense(name, name) for name in LIQUIDS), Read(), Drain(), Rinse(CELL), Drain()))
CLEAN_UP = Procedure((Drain(), Rinse(CELL), Read(), Drain()))

_COURSE_NAMES = dict(zip((*LIQUIDS, "drain"), "RGBYWD", strict=True))
PINS = range(2, 10)  # those that the firmware makes outputs

_READY = "Arduino is ready"
_RGB = re.compile(r"RGB:([0-9]{1,3}),([0-9]{1,3}),([0-9]{1,3})")
_LONGEST_FRAME = 64  # characters


class Frames:
    """Splits received bytes into the texts between ``<`` and ``>``; the rest is dropped.

    >>> frames = Frames()
    >>> frames.cut(b"noise<Msg Me"), frames.cut(b"as Time 7>\\r\\n<RGB")
    ([], ['Msg Meas Time 7'])
    """

    def __init__(self) -> None:
        self.begun = bytearray()
        """A frame that has no end yet, with its ``<``."""

    def cut(self, data: bytes) -> list[str]:
        """The frames that are complete now, oldest first. A byte that is no ASCII becomes a character that no reply has."""
        *complete, rest = (bytes(self.begun) + data).split(b">")
        self.begun = bytearray(rest[rest.rfind(b"<") :] if b"<" in rest else b"")
        if len(self.begun) > _LONGEST_FRAME:
            self.begun.clear()
        return [text[text.rfind(b"<") + 1 :].decode("latin-1") for text in complete if b"<" in text]


class PumpBotMixer:
    """A PumpBot on a port. Satisfies `Mixer`; it has no stirrer and lights its own lamp, so that `mix` waits and `read` needs the lamp."""

    def __init__(self, connect: Callable[[], Port], clock: Clock, name: str, pumps: Mapping[str, Pump] = PUMPS) -> None:
        """Prepare the driver; no port is opened yet.

        Args:
            connect: Opens the port, which resets the board.
            clock: The time that the port lives in.
            name: What the port is called in messages.
        """
        self._connect, self._clock, self._name, self.pumps = connect, clock, name, pumps
        self._port: Port | None = None
        self._frames = Frames()
        self._came: list[str] = []  # frames that are not checked yet
        self._stop = threading.Event()
        self._stop.set()  # until somebody connects
        self._seconds = 0.0
        self._used = dict.fromkeys(LIQUIDS, 0.0)
        self._volume = CELL  # mL in the cell, as far as is known
        self._board_time = 0

    @property
    def specification(self) -> MixerSpecification:
        return MixerSpecification(CELL, RESIDUE, reads_dark=False, repeatability=0.15)

    @property
    def spent(self) -> Amounts:
        money = sum(volume * (PRICES[name] + WASTE) for name, volume in self._used.items())
        return Amounts(seconds=self._seconds, money=money, volume=sum(self._used.values()))

    def __enter__(self) -> Self:
        self._stop.clear()
        with self._timed():
            self._start()
        return self

    def identify(self) -> str:
        return f"PumpBot at {self._name}; its firmware tells no version"

    def dispense(self, pump: str, volume: float) -> None:
        self._check_connected()
        if not 0 <= volume <= CELL - self._volume + 1e-3:  # recipes add up but for rounding
            raise RigFault(f"{volume:g} mL of {pump} do not fit: {self._volume:.2f} of {CELL:g} mL are in the cell; drain it first")
        if seconds := self.pumps[pump].seconds(volume):
            self._volume += volume
            self._used[pump] += self.pumps[pump].volume(seconds)
            self._run(pump, seconds)

    def mix(self, seconds: float) -> None:
        self._check_connected()
        with self._timed():
            end = self._clock.monotonic() + seconds
            while (left := end - self._clock.monotonic()) > 1e-6:
                if self._stop.is_set():
                    raise Stopped("PumpBot was stopped")
                self._clock.sleep(min(POLL_INTERVAL, left))

    def read(self, lamp: bool = True) -> Reading:
        self._check_connected()
        if not lamp:
            raise RigFault("PumpBot cannot read in the dark: its firmware lights the lamp for every reading; read with the lamp on")
        with self._timed(), self._at_rest_after_failure():
            self._ask("Meas", 0.0)
            frame = self._reply("Meas", MEASURING)
        return _reading(frame, self._name)

    def rinse(self, volume: float) -> None:
        self.dispense("water", volume)

    def drain(self) -> None:
        self._check_connected()
        self._run("drain", DRAINING)
        self._volume = 0.0

    def dose(self, pump: str, volume: float | str) -> Dose:
        that = self.pumps[pump]
        return Dose(volume, that.slope, PRICES[pump] + WASTE, that.offset, PAUSE + EXCHANGE, SHORTEST, decimals=3)

    def price(self, instruction: str, amount: float = 0.0, pump: str = "water") -> Amounts:
        if instruction in ("dispense", "rinse"):
            return self.dose(pump, amount).amounts
        return Amounts(seconds={"mix": amount, "read": MEASURING + EXCHANGE, "drain": DRAINING + PAUSE + EXCHANGE}[instruction])

    def stop(self) -> None:
        self._stop.set()  # a thread that waits for a reply resets the board

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._close()

    def _check_connected(self) -> None:
        if self._stop.is_set():
            raise Stopped("PumpBot was stopped, or it is not connected")
        if self._port is None:  # a failure cut the line, and reset the board
            waited_for(self._start, self._clock, self._name, self._stop.is_set)

    def _run(self, pump: str, seconds: float) -> None:
        """Run a pump for so long, and wait until nothing drips."""
        if not 0 < seconds <= LONGEST_RUN:
            raise RigFault(f"the pump of {pump} would run for {seconds:g} s; {LONGEST_RUN:g} s is the most, so calibrate it again")
        with self._timed():
            with self._at_rest_after_failure():
                self._ask(f"Mix,{self.pumps[pump].pin},{seconds:.3f}", seconds)
            self._clock.sleep(PAUSE)

    def _ask(self, request: str, seconds: float) -> None:
        """Send a request, once, and wait for the reply, which comes after so long."""
        assert self._port is not None
        self._came += self._frames.cut(self._port.read(self._port.in_waiting))
        self._check_not_restarted(self._came, "while nothing was asked of it")
        self._came.clear()
        begin = self._clock.monotonic()
        self._port.write(f"<{request}>".encode("ascii"))
        reply = self._reply(request, seconds)
        took = self._clock.monotonic() - begin
        echo, _, board_time = reply.rpartition(" Time ")
        if echo != f"Msg {request}" or not re.fullmatch(r"[0-9]{1,10}", board_time):
            raise self._garbled(request, reply)
        if took < 0.9 * seconds:
            raise LinkError(f"{self._name} said after {took:.1f} s that <{request}> was done; look whether its pump runs")
        if int(board_time) < self._board_time:
            raise LinkError(_restarted(self._name, f"before <{request}>"))
        self._board_time = int(board_time)

    def _reply(self, request: str, seconds: float) -> str:
        """The next frame that is an answer; it may come up to `TIMEOUT` after so many s."""
        deadline = self._clock.monotonic() + seconds + TIMEOUT
        while True:
            frame = self._frame(deadline)
            if frame is None:
                if self._stop.is_set():
                    raise Stopped("PumpBot was stopped")
                begun = f", only the beginning of one: {bytes(self._frames.begun)!r}" if self._frames.begun else ""
                raise LinkError(
                    f"{self._name} gave no reply to <{request}> within {seconds + TIMEOUT:.1f} s{begun}; it was not sent again, since it"
                    " may have been done: check cable and supply"
                )
            self._check_not_restarted([frame], f"in the middle of <{request}>")
            if not frame.startswith("PH:"):  # later firmware tells the voltage of a pH probe after the color
                return frame

    def _frame(self, deadline: float, stoppable: bool = True) -> str | None:
        """The next frame; None when the time is over, or when somebody stops."""
        assert self._port is not None
        while not self._came:
            if self._clock.monotonic() >= deadline or (stoppable and self._stop.is_set()):
                return None
            self._came += self._frames.cut(self._port.read(max(1, self._port.in_waiting)))
        return self._came.pop(0)

    def _start(self) -> None:
        """Open the port, which resets the board, and wait until it is ready. Afterwards the contents of the cell are unknown."""
        self._close()
        self._volume, self._board_time = CELL, 0
        self._port = self._connect()
        try:
            deadline = self._clock.monotonic() + READY
            while (frame := self._frame(deadline, stoppable=False)) is None or _READY not in frame:
                if frame is None:
                    raise LinkError(
                        f"no PumpBot at {self._name}: it did not say that it is ready within {READY:g} s; check that this is its port and"
                        " that PumpBot's firmware is on it, or press its reset button while you connect"
                    )
        except OSError as error:
            self._close()
            raise LinkError(f"{self._name} broke off while PumpBot started ({error}); plug it in again") from error
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        if self._port is not None:
            with contextlib.suppress(OSError):  # what is gone cannot be closed
                self._port.close()
        self._port, self._frames = None, Frames()
        self._came.clear()

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        begin = self._clock.monotonic()
        try:
            yield
        finally:
            self._seconds += self._clock.monotonic() - begin

    @contextlib.contextmanager
    def _at_rest_after_failure(self) -> Iterator[None]:
        """Reset the board after any failure; the error says so when that fails too."""
        try:
            yield
        except BaseException as failure:
            try:
                self._start()
                rest = ""
            except LinkError as error:
                rest = f". It could not be reset either, so a pump may run on for up to {LONGEST_RUN:g} s: cut the pumps' supply ({error})"
            if isinstance(failure, OSError):
                raise LinkError(f"{self._name} broke off ({failure}); plug the board in again{rest}") from failure
            if rest and isinstance(failure, DriverError):
                raise type(failure)(f"{failure}{rest}") from failure
            raise

    def _check_not_restarted(self, frames: Sequence[str], when: str) -> None:
        if any(_READY in frame for frame in frames):
            raise LinkError(_restarted(self._name, when))

    def _garbled(self, request: str, reply: str) -> LinkError:
        return LinkError(
            f"{self._name} replied <{reply[:_LONGEST_FRAME]}> to <{request}>, which is no answer to it; it was not sent again, since it may"
            " have been done: check the cable, and that no other program talks to the board"
        )


class PumpBot:
    """Mixes dyes and reads the color on a PumpBot. Satisfies `Driver`, `Estimates` and `Calibrated`."""

    def __init__(self, mixer: PumpBotMixer, calibration: str = "") -> None:
        """PumpBot that is not connected yet.

        Args:
            calibration: The name of what its pumps are timed by, for the measurements.
        """
        self.calibration = calibration
        self.experiment = experiment(mixer.pumps)
        self.mixer = mixer
        self._before = mixer.spent
        self._is_clean = False
        self._water: Mapping[str, int] = {}
        self._last: tuple[Settings, Mapping[str, int]] = {}, {}

    def __enter__(self) -> Self:
        self.mixer.__enter__()
        try:
            self._clean_up()
        except BaseException:
            self.__exit__()  # `with` does not leave what it could not enter
            raise
        return self

    def perform(self, settings: Settings) -> Measurement:
        try:
            if not self._is_clean:
                self._clean_up()
            self._is_clean = False
            (reading,) = ONE_COLOR.perform(self.mixer, settings)
            self._check_scatter(reading, settings)
            self._is_clean = True
        except DriverError as error:
            error.cost = self._cost_since_last()
            raise
        raw: dict[str, float | str] = {f"water_{c}": count for c, count in self._water.items()}
        for name in LIQUIDS:
            raw[f"seconds_{name}"] = self.mixer.pumps[name].seconds(float(settings[name]))
        if self.calibration:
            raw["calibration"] = self.calibration
        outcomes = {f"{c}_counts": float(count) for c, count in reading.counts.items()}
        happened = {name: dosed(self.mixer.pumps[name], settings[name]) for name in LIQUIDS}
        return Measurement(outcomes, self._cost_since_last(), raw, happened)

    def price(self) -> Price:
        clean_up = Fixed(CLEAN_UP.estimate(self.mixer, {}), "first")
        return Price.of_terms([clean_up, *ONE_COLOR.terms(self.mixer)])

    def estimate(self, settings: Settings) -> Amounts:
        return self.price().of(settings, performed=int(self._is_clean))

    def stop(self) -> None:
        self.mixer.stop()

    def __exit__(self, *failure: object) -> None:
        self._is_clean = False
        self.mixer.__exit__(*failure)

    def _clean_up(self) -> None:
        """Empty and rinse the cell: on connecting, and after a failure in the middle, its contents are unknown."""
        (water,) = CLEAN_UP.perform(self.mixer, {})
        self._water, self._is_clean, self._last = water.counts, True, ({}, water.counts)

    def _check_scatter(self, reading: Reading, settings: Settings) -> None:
        """Look at clean water where a dyed mixture reads just what was read before: a sensor that repeats itself does not see water either.

        Raises:
            RigFault: It does not.
        """
        (mixture, counts), self._last = self._last, (settings, reading.counts)
        if reading.counts != counts or settings == mixture or sum(float(settings[name]) for name in DYES) < TELLING:
            return
        self._clean_up()
        if self._water == reading.counts:
            raise RigFault(
                f"no scatter where there must be some: the color sensor repeats one reading, {tuple(reading.counts.values())}, of clean "
                "water too; cut its power for a moment, and check its cable"
            )

    def _cost_since_last(self) -> Amounts:
        now = self.mixer.spent
        cost, self._before = now - self._before, now
        return cost


def dosed(pump: Pump, volume: float | str) -> float:
    """Volume that the calibrated pump delivers when `volume` mL are asked for."""
    return pump.volume(pump.seconds(float(volume)))


class PumpBotTwin(InstrumentTwin[PumpBot]):
    """The same with a stand-in for the board, on a virtual clock, and a simulated cell. Satisfies `KnowsTruth` and `Resumes` as well."""

    def __init__(
        self, pumps: Mapping[str, Pump] = PUMPS, imperfections: Imperfections = Imperfections(), seed: int = 0, rig: Rig = Rig()
    ) -> None:  # fmt: skip
        self._pumps, self._imperfections, self._rig = pumps, imperfections, rig
        super().__init__(self._over_new_board, seed)

    @property
    def mixer(self) -> PumpBotMixer:
        """The mixer on the stand-in of the board."""
        return self._driver.mixer

    def truth(self, settings: Settings) -> dict[str, float]:
        """The noise-free outcomes: see the data sheet."""
        residue = RESIDUE * self._imperfections.carry_over
        volumes = np.array([self._rig.arrived(k, dosed(self._pumps[name], settings[name])) for k, name in enumerate(LIQUIDS)])
        volumes[LIQUIDS.index("water")] += residue
        return dict(zip(OUTCOMES, counts(volumes, residue, self._rig).tolist(), strict=True))

    def _over_new_board(self, random: np.random.Generator) -> PumpBot:
        board = PumpBotStandIn(SimulatedCell(self._pumps, self._imperfections, random, self._rig))
        return PumpBot(PumpBotMixer(board.open, board, "the emulated board", self._pumps))


def _strength(dye: str) -> Any:
    return option(1.0, f"how much the {dye} dye absorbs, against that of the course (range assumed)", drawn=(0.8, 1.2), allowed=(0, 5))


def _hue(dye: str) -> Any:
    words = f"the part by which the {dye} dye absorbs more of red, and less of blue (range assumed)"
    return option(0.0, words, drawn=(-0.05, 0.05), allowed=(-0.5, 0.5))


def _offset(liquid: str) -> Any:
    words = f"that arrive of every dose of {liquid} besides (range assumed)"
    return option(0.0, words, "mL", drawn=(-0.02, 0.02), allowed=(-0.5, 0.5))


class PumpBotOptions(FilledOptions, Imperfections, ImperfectOptions, SeedOptions):
    """Options of PumpBot."""

    in_bottles = frozenset(f"{what}_{dye}" for what in ("strength", "hue") for dye in DYES)

    port: str = option("emulated", "or the rig's: /dev/ttyACM0, COM3, socket://host:port", changes="experiment")
    config: Path | None = option(None, "the rig's calibration, as the course's config.json has it", shown="the course's", changes="truth")
    imperfections: float | Profile = option(
        1.0,
        "scales pump_error to clogs all at once; 0 turns them off (port=emulated only, as these)",
        allowed=(0, math.inf),
        changes="both",
    )
    strength_red: float | None = _strength("red")
    strength_green: float | None = _strength("green")
    strength_blue: float | None = _strength("blue")
    strength_yellow: float | None = _strength("yellow")
    hue_red: float | None = _hue("red")
    hue_green: float | None = _hue("green")
    hue_blue: float | None = _hue("blue")
    hue_yellow: float | None = _hue("yellow")
    slope_red: float | None = slope("red", 1.0)
    slope_green: float | None = slope("green", 1.0)
    slope_blue: float | None = slope("blue", 1.0)
    slope_yellow: float | None = slope("yellow", 1.0)
    slope_water: float | None = slope("water", 1.0)
    offset_red: float | None = _offset("red")
    offset_green: float | None = _offset("green")
    offset_blue: float | None = _offset("blue")
    offset_yellow: float | None = _offset("yellow")
    offset_water: float | None = _offset("water")

    @property
    def rig(self) -> Rig:
        """The constants of the rig."""
        k = self.constants
        strengths, hues = (tuple(k.get(f"{what}_{name}", usual) for name in LIQUIDS) for what, usual in (("strength", 1.0), ("hue", 0.0)))
        slopes, offsets = (tuple(k[f"{what}_{name}"] for name in LIQUIDS) for what in ("slope", "offset"))
        return Rig(strengths, hues, slopes, offsets)


@takes(PumpBotOptions)
def pumpbot(options: PumpBotOptions) -> Driver:
    """PumpBot: four dyes and water, on the rig of a course at DTU with its own firmware, or on a stand-in for it.

    **Equation.** Dyes absorb independently (Beer-Lambert), channel by channel: log(reading) is the mean of the logarithms of the pure
    liquids' readings, weighted by volume. Pure dyes read (r, g, b): red 137.5, 22, 38.5; green 11.5, 67.5, 90.25; blue 6, 61.5, 102.5;
    yellow 146, 78.5, 95, the middle of four repeats each on the rig. Water was never read there: 170, 170, 170 is an assumption.
    Source: Swinehart, J. Chem. Educ. 39 (1962) 333, doi:10.1021/ed039p333 (not opened when this sheet was last checked);
    calibration and readings: DTU course 47332, Autonomous labs with PumpBot.

    ============== ============= ====== ==========================================================================
    parameter      limits        unit   meaning
    ============== ============= ====== ==========================================================================
    red            0 … 20        mL     dye solution, as are green, blue and yellow; nothing, or what a pump can dose
    green          0 … 20        mL
    blue           0 … 20        mL
    yellow         0 … 20        mL
    water          0 … 20        mL     all five add up to the cell's 20 mL
    ============== ============= ====== ==========================================================================

    Outcomes are `r_counts`, `g_counts` and `b_counts`, as the firmware replies: color over clear times 255, of which it replies 2/3,
    since it doubles the last of three looks instead of adding them up and then divides by 3. So 170 is full scale, and the three looks
    are worth one.

    **Color.** A sensor's counts are linear in light, so counts/170 are taken as the linear light of sRGB's primaries, and 170, 170,
    170 as white; `L`, `a` and `b` follow. That is the color of this sensor, not the one that an eye sees: nothing was calibrated
    against known colors, and a division by clear hides how bright a liquid is. The course takes counts for sRGB codes instead.

    **Options**: `PumpBotOptions`.

    **Another lab.** With `system` its dyes, and what the calibration of its pumps left over, are others, and with `batch` only the dyes.

    **Doses.** A run of V mL takes a·V + b, with a and b of each of the pumps. No run is shorter than 10 ms, which delivers 0.13–0.32
    mL, so that less cannot be asked for. What whole ms deliver, by the calibration, is what happened: models learn from that.

    **Time and money.** A color takes about 56 s: dose, read, drain 15 s, flush with 20 mL, drain 15 s. Connecting drains, flushes and
    reads the water. Dyes cost 0.003 USD/mL, water 0.0005, waste 0.001 (assumptions).

    **Truth** (`--noise-free`): what whole ms do to doses stays; what is random or remembers is off. A rig has none.

    **Safety.** The firmware has no stop, and a pump runs to its end when the host dies. `stop` resets the board by opening the port
    again, which switches all relays off; over a network line that may not work, and the message says so. Nothing is sent twice.

    **Faults.** A reading of 0, 0, 0 is no light above the dark. A mixture with 5 mL of dye and more that reads in all three channels
    what was read before is believed only after another look at clean water (34 s, 20 mL): a sensor that repeats one reading fails
    there. A lamp that dies in room light is not noticed, since the firmware divides by the clear channel.

    **Leaves out** lamp drift, room light, siphoning, incomplete mixing, and the creep of a few counts over repeats, which here
    is noise. **Twin of** PumpBot: Arduino, six pumps behind relays, TCS34725, white LEDs, a 20 mL cell. The driver was written from the
    firmware's source and has never been tried on a physical one.
    """
    imperfections = options.scaled(options.scale)
    pumps = PUMPS if options.config is None else pumps_of(options.config)
    if options.port == "emulated":
        return PumpBotTwin(pumps, imperfections, options.seed, options.rig)
    if options.rig != Rig():
        raise InvalidInput(f"{options.port} is a rig, which has dyes and pumps of its own; leave their constants out")
    if imperfections != Imperfections():
        raise InvalidInput(f"imperfections are simulated with port=emulated only; {options.port} has its own, so leave those options out")
    times = "".join(f"{name} {pump.pin} {pump.slope!r} {pump.offset!r}\n" for name, pump in sorted(pumps.items()))
    mixer = PumpBotMixer(Place(options.port, BAUD).open, RealClock(), options.port, pumps)
    return PumpBot(mixer, f"c{hashlib.sha256(times.encode()).hexdigest()[:12]}")


def pumps_of(config: Path) -> dict[str, Pump]:
    """The calibrated pumps in a config.json of the course.

    Raises:
        InvalidInput: It cannot be read, or a pump in it is missing or impossible.
    """
    try:
        entries = json.loads(config.read_text(encoding="utf-8"))["pumps"]
        pumps = {
            name: Pump(int(entries[letter]["pin"]), float(entries[letter]["a"]), float(entries[letter]["b"]))
            for name, letter in _COURSE_NAMES.items()
        }
    except OSError as error:
        raise InvalidInput(f"cannot read {config}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidInput(
            f'{config} is no config.json of the course ({error!r}); it needs "pumps" with "R", "G", "B", "Y", "W" and "D", each with "pin",'
            ' "a" (s/mL) and "b" (s)'
        ) from error
    for name, pump in pumps.items():
        if not (math.isfinite(pump.offset) and pump.slope > 0 and 0 < pump.slope * CELL + pump.offset <= LONGEST_RUN):
            raise InvalidInput(f"{config}: {name} with a = {pump.slope:g} s/mL and b = {pump.offset:g} s is no pump that fills the cell")
        if pump.pin not in PINS or [p.pin for p in pumps.values()].count(pump.pin) > 1:
            raise InvalidInput(f"{config}: {name} is at pin {pump.pin}; every pump needs a pin of its own from {PINS[0]} to {PINS[-1]}")
    return pumps


def _reading(frame: str, name: str) -> Reading:
    """The color reading of a frame.

    Raises:
        LinkError: It is no color reading.
        RigFault: The reading is impossible.
    """
    match = _RGB.fullmatch(frame)
    if match is None:
        raise LinkError(f"{name} replied <{frame[:_LONGEST_FRAME]}> instead of a color; check the cable, then measure again")
    read = dict(zip("rgb", map(int, match.groups()), strict=True))
    if max(read.values()) > FULL_SCALE:
        raise RigFault(
            f"{name} read {read}, but PumpBot's firmware cannot reply more than {FULL_SCALE}; check the cable, and that the firmware is"
            " the course's"
        )
    if not any(read.values()):
        raise RigFault(f"no light above the dark: {name} saw no light at all; check the lamp, and the cable of the color sensor")
    return Reading(read, FULL_SCALE)


def _restarted(name: str, when: str) -> str:
    return f"{name} started anew {when}, so its pumps stopped and what it dosed is unknown; look for a loose cable or a weak supply"
