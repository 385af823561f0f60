"""The firmware on an emulated ATmega328P, in virtual time.

The processor and the color sensors are in board.c, a program of its own that is compiled on first use against the simavr that is
installed. What the sensors see, and what the pumps move, is up to the caller: outputs come back as edges, and every exposure of a
sensor asks for its counts.
"""

import contextlib
import functools
import hashlib
import os
import select
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock

from frugaltwin.errors import InvalidInput, LinkError, MissingPart
from hardware.firmware import build as firmware

BOARD = Path(__file__).parent / "board.c"
ERASED = b"\xff" * 1024
"""An EEPROM that nothing was written to."""

PUMPS = range(5)
"""Outputs 0–4: the pumps, the last of them the drain."""
STIRRER, LAMP, STATUS = 5, 6, 7
"""Outputs 5–7: the stirrer's motor, the lamp that the sensor sees, and the board's own light."""

SENSORS = ("tcs34725", "as7341")
CHANNELS = {"tcs34725": 4, "as7341": 10}
"""Number of counts of an exposure: clear, red, green, blue; or F1…F8, clear, near infrared."""

TIMEOUT = 30.0
"""s of real time, beyond ten times the virtual time asked for, before the emulated board counts as dead."""


@dataclass(frozen=True)
class Edge:
    """An output changed."""

    at: float
    """s, since power came on; exact to the processor's cycle."""
    output: int
    """0–7: see `PUMPS`, `STIRRER`, `LAMP`, `STATUS`."""
    duty: float
    """0 (off) to 1 (on) from now on; a pin that is not an output counts as off."""


@dataclass(frozen=True)
class Exposure:
    """A sensor has finished an integration and needs its counts."""

    at: float
    """s, when the integration ended."""
    sensor: str
    """One of `SENSORS`."""
    lamp: float
    """The lamp's duty, 0 to 1, at that moment."""
    gain: int
    """The gain's code: 0–3 for 1, 4, 16, 60 (TCS34725), 0–10 for 0.5, 1, 2 … 512 (AS7341)."""
    atime: int
    """The register ATIME."""
    astep: int
    """The register ASTEP; 0 for a TCS34725, which has none."""

    @property
    def seconds(self) -> float:
        """Integration time of the sensor, s.

        >>> round(Exposure(at=1.0, sensor="tcs34725", lamp=1.0, gain=0, atime=256 - 42, astep=0).seconds, 5)
        0.1008
        >>> round(Exposure(at=1.0, sensor="as7341", lamp=1.0, gain=0, atime=29, astep=599).seconds, 5)
        0.05004
        """
        return (256 - self.atime) * 2.4e-3 if self.sensor == "tcs34725" else (self.atime + 1) * (self.astep + 1) * 2.78e-6


Light = Callable[[Exposure], Sequence[int]]
"""The counts of all channels (see `CHANNELS`), whole and ≥ 0. Saturation is up to the sensor."""


class Engine:
    """An emulated board with a firmware, powered on at 0 s. Time passes only in `run`.

    Args:
        elf: The firmware.
        light: What the sensors see. It may call `edges`, which then holds all edges up to that moment, and nothing else.
        sensors: Which of `SENSORS` are on the bus.
        eeprom: What the EEPROM holds at first, 1,024 bytes; erased (255) if not given.

    Raises:
        MissingPart: gcc, simavr or the AVR tools are not installed.
        LinkError: From every method, when the emulated board is dead or was closed, or the firmware did what the processor cannot do.
    """

    def __init__(self, elf: Path, light: Light, sensors: Sequence[str] = ("as7341",), eeprom: bytes | None = None) -> None:
        for name in sensors:
            if name not in SENSORS:
                raise InvalidInput(f"the board knows no sensor {name}; choose from {', '.join(SENSORS)}")
        if eeprom is not None and len(eeprom) != len(ERASED):
            raise InvalidInput(f"the EEPROM has {len(ERASED)} bytes, not {len(eeprom)}; give all of them")
        self._light = light
        self._now = 0.0
        self._edges: list[Edge] = []
        command = [str(built()[0]), str(elf), *sensors]
        # A session of its own: Ctrl-C is for us, and the board must still be there to be stopped.
        self._board: subprocess.Popen[bytes] | None = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0, start_new_session=True
        )
        self._ask(b"E", ERASED if eeprom is None else eeprom)

    @property
    def now(self) -> float:
        """Time since power came on, s."""
        return self._now

    def run(self, seconds: float, data: bytes = b"", until_byte: bool = False) -> bytes:
        """Let time pass, with `data` sent to the board from now on. Return the bytes that the board sent.

        `until_byte`: only until the board has sent something and its line has been quiet for 0.2 ms.
        """
        return self._ask(b"r", struct.pack("<dB", seconds * 1e6, until_byte) + data, seconds)

    def edges(self) -> list[Edge]:
        """Changes of the outputs since the last call, in order."""
        edges, self._edges = self._edges, []
        return edges

    def reset(self, bootloader: float = 0.0) -> None:
        """Pull the reset pin, as opening the port of an Uno does. For `bootloader` s the board is then deaf and its outputs are off."""
        self._ask(b"R", struct.pack("<d", bootloader * 1e6))

    def power_cycle(self) -> None:
        """Take the power away and give it back: memory, sensors and bytes on their way are lost, the EEPROM is not."""
        self._ask(b"P")

    def press_stop(self, is_pressed: bool) -> None:
        """Open the stop switch (or break its wire), or close it again."""
        self._ask(b"S", bytes([is_pressed]))

    def hang(self) -> None:
        """Keep the processor in an endless loop with interrupts off, until the watchdog or somebody else resets it."""
        self._ask(b"H")

    def hold_bus(self, is_held: bool) -> None:
        """Hold the sensors' bus down, or release it."""
        self._ask(b"B", bytes([is_held]))

    def stick_bus(self) -> None:
        """Hold SDA down as a sensor does that was left in the middle of a byte: until it has seen nine clocks."""
        self._ask(b"B", b"\x02")

    def glare(self, is_glaring: bool) -> None:
        """Let a flickering light shine whose peaks saturate the analog part of an AS7341, though its mean does not fill the counter."""
        self._ask(b"A", bytes([is_glaring]))

    def slow_sensors(self, factor: float) -> None:
        """Let the sensors' own clocks run slower than typical: every time that they take is longer by this factor."""
        self._ask(b"O", struct.pack("<d", factor))

    def eeprom(self) -> bytes:
        """Contents of the EEPROM, 1,024 bytes."""
        return self._ask(b"e")

    def close(self) -> None:
        """End it. May be called twice."""
        board, self._board = getattr(self, "_board", None), None
        if board is None:
            return
        board.kill()
        for pipe in (board.stdin, board.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        board.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def _ask(self, verb: bytes, payload: bytes = b"", seconds: float = 0.0) -> bytes:
        """Reply to one request. An exception in the middle ends the board, because its next reply would be unknown."""
        deadline = time.monotonic() + TIMEOUT + 10 * seconds
        try:
            self._write(verb + struct.pack("<I", len(payload)) + payload)
            while True:
                kind, rest = self._message(deadline)
                if kind == b"k":
                    return rest
                if kind == b"x":
                    raise LinkError(f"the emulated board stopped: {rest.decode()}; start it again")
                self._write(self._counts(rest))
        except BaseException:
            self.close()
            raise

    def _counts(self, question: bytes) -> bytes:
        sensor, gain, atime, astep, lamp = struct.unpack("<4Id", question)
        exposure = Exposure(self._now, SENSORS[sensor], lamp, gain, atime, astep)
        counts = self._light(exposure)
        if len(counts) != CHANNELS[exposure.sensor]:
            raise ValueError(f"{exposure.sensor} has {CHANNELS[exposure.sensor]} channels, and light gave {len(counts)}")
        return struct.pack(f"<{len(counts)}I", *counts)

    def _message(self, deadline: float) -> tuple[bytes, bytes]:
        """The next reply's kind and what was asked for; time and edges are kept."""
        kind, size = struct.unpack("<cI", self._read(5, deadline))
        now, n = struct.unpack_from("<dI", message := self._read(size, deadline))
        self._now = now * 1e-6
        end = 12 + 16 * n
        self._edges += (Edge(at * 1e-6, output, duty) for at, duty, output in struct.iter_unpack("<dfI", message[12:end]))
        return kind, message[end:]

    def _read(self, size: int, deadline: float) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            pipe = self._alive().stdout
            assert pipe is not None
            if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise LinkError(f"the emulated board did not answer for {TIMEOUT:g} s; start it again on a less busy machine")
            if not (part := os.read(pipe.fileno(), size - len(parts))):
                raise LinkError(f"the emulated board died ({self._alive().wait()}); start it again")
            parts += part
        return bytes(parts)

    def _write(self, message: bytes) -> None:
        pipe = self._alive().stdin
        assert pipe is not None
        with contextlib.suppress(OSError):  # a dead board may have said why: `_read` finds out
            pipe.write(message)

    def _alive(self) -> subprocess.Popen[bytes]:
        if self._board is None:
            raise LinkError("the emulated board was closed; start it again")
        return self._board


PACKAGES = f"gcc {firmware.PACKAGES} libsimavr-dev libelf-dev pkg-config"


def missing() -> str | None:
    """A sentence about the programs that an emulated board still needs; None when all are installed."""
    tools_are_there = all(shutil.which(tool) for tool in ("gcc", "pkg-config")) and not firmware.missing()
    if tools_are_there and subprocess.run(("pkg-config", "--exists", "simavr", "libelf"), check=False).returncode == 0:
        return None
    return f"the emulated board needs gcc, simavr and the AVR tools; on Debian or Ubuntu: apt-get install {PACKAGES}"


@functools.cache
def built() -> tuple[Path, Path]:
    """The emulated board's program and the color mixer's firmware (ELF), compiled when sources or compilers have changed.

    They are kept in the user's cache folder (XDG_CACHE_HOME, or else ~/.cache); in a temporary one where that cannot be written.

    Raises:
        MissingPart: gcc, simavr or the AVR tools are not installed.
        InvalidInput: The sketch does not compile.
    """
    if problem := missing():
        raise MissingPart(problem)
    words = hashlib.sha256()
    for source in (BOARD, firmware.SKETCH, Path(firmware.__file__), firmware.CORE / "platform.txt"):
        words.update(source.read_bytes())
    for question in (("gcc", "--version"), ("avr-gcc", "--version"), ("pkg-config", "--modversion", "simavr")):
        words.update(subprocess.run(question, capture_output=True, check=True).stdout)
    folder = _cache() / words.hexdigest()[:16]
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent) as place:
                _compile_board(Path(place) / "made" / "board")
                firmware.build(firmware.SKETCH, Path(place) / "made")
                (Path(place) / "made").rename(folder)
    return folder / "board", folder / f"{firmware.SKETCH.stem}.elf"


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "frugaltwin"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="frugaltwin-"))
    return folder


def _compile_board(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    flags = subprocess.run(
        ("pkg-config", "--cflags", "--libs", "simavr", "libelf"), capture_output=True, text=True, check=True
    ).stdout.split()
    command = ("gcc", "-std=gnu11", "-O2", str(BOARD), "-o", str(target), *flags, "-lm")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MissingPart(
            f"the emulated board does not compile against this simavr ({done.stderr.splitlines()[-1]}); install simavr 1.6 or 1.7"
        )
