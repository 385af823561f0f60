"""An emulated rig behind a line on which one thing goes wrong: what happens to which line, in which direction, and how often."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from serial import SerialException

from hardware.emulator.emulated_board import EmulatedBoard
from hardware.emulator.engine import Edge
from hardware.emulator.plant import Plant
from simulator.instruments.dyed_water import DYED_WATER
from simulator.instruments.mixer import RESIDUE, Imperfections, ScaledImperfections
from simulator.instruments.sensors import make_sensor

ALWAYS = 10**6
EXACT = Imperfections().scaled(0)
UNKIND = ScaledImperfections(imperfections="teaching-lab").sizes
"""Every imperfection there is."""


def flipped(line: bytes) -> bytes:
    """With one bit of its middle character the other way round."""
    middle = len(line) // 2
    return line[:middle] + bytes([line[middle] ^ 1]) + line[middle + 1 :]


# What becomes of a line, given the one before it in the same direction: what arrives instead.
DAMAGES: dict[str, Callable[[bytes, bytes], Sequence[bytes]]] = {
    "drop": lambda line, before: [],
    "duplicate": lambda line, before: [line, line],
    "truncate": lambda line, before: [line[: 2 * len(line) // 3] + b"\n"],
    "bit flip": lambda line, before: [flipped(line)],
    "half line": lambda line, before: [line[: len(line) // 2]],
    "stale instead": lambda line, before: [before],
    "stale as well": lambda line, before: [before, line],
}
DELAYS = {"delay 0.5 s": 0.5, "delay 6 s": 6.0}
FAULTS = (*DAMAGES, *DELAYS)


@dataclass
class LineFault:
    """Something happens to the lines of one word."""

    what: str
    """One of `FAULTS`."""
    word: str
    """Of the request, whichever way the line goes."""
    is_to_board: bool
    times: int = 1
    """So many such lines are hit, from the next one on."""
    skip: int = 0
    """So many are let through before."""
    n_hits: int = 0

    def hits(self, word: str, is_to_board: bool) -> bool:
        """Whether this line is one of them."""
        if word != self.word or is_to_board != self.is_to_board or self.n_hits >= self.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.n_hits += 1
        return True


class WatchedPlant(Plant):
    """Keeps every edge."""

    seen: list[Edge]

    def follow(self, edges: Sequence[Edge], now: float) -> None:
        self.seen = [*getattr(self, "seen", []), *edges]
        super().follow(edges, now)


class FaultyPort:
    """A `Port` and a `Clock` around an emulated board, whose pumps, liquids and light have no imperfections or those that are given."""

    def __init__(self, sensor: str = "as7341", small_cell: bool = True, imperfections: Imperfections = EXACT) -> None:
        """Power it on.

        Args:
            small_cell: Calibrate it for a cell of 1.5 mL, so that draining takes a second.
        """
        eye = make_sensor(sensor, {})
        self.board = EmulatedBoard(eye, imperfections, 0, DYED_WATER)
        self.plant = self.board.plant = WatchedPlant(eye, imperfections, 0, DYED_WATER)
        self.residue = RESIDUE * imperfections.carry_over
        """mL that stay in a drained cell."""
        self.is_exact = imperfections == EXACT
        self.fault: LineFault | None = None
        self.n_written = 0
        """Lines that the host wrote."""
        self._planned: list[tuple[float, Callable[[], object]]] = []
        self._words: dict[str, str] = {}
        self._sent = self._heard = b"1 PING*0000\n"
        self._half = self._arrived = b""
        self._is_unplugged = False
        if small_cell:
            self.board.sleep(0.2)
            for bare in (b"CELL 1500\n", b"CALID factory\n"):
                self.board.write(bare)
                self.board.sleep(0.3)
        self.board.take()

    def open(self, is_reset: bool = True) -> "FaultyPort":
        """What was on its way is lost, as in a computer that opens a port.

        Args:
            is_reset: As on an Uno; False: as over a network, where the board notices nothing.
        """
        self._planned.clear()
        self._half = self._arrived = b""
        self._is_unplugged = False
        self.board.take()
        if is_reset:
            self.board.open()
        return self

    def plan(self, after: float, act: Callable[[], object]) -> None:
        """Do something in so many s."""
        self._planned.append((self.monotonic() + after, act))

    def unplug(self) -> None:
        """From now on every use of the port fails until it is opened again."""
        self._is_unplugged = True

    def reset(self) -> None:
        """Somebody pulls the reset pin."""
        self.board.engine.reset()

    def heal(self) -> None:
        """The line is as good as new; what is late still comes."""
        self.fault = None

    def monotonic(self) -> float:
        return self.board.monotonic()

    def sleep(self, seconds: float, /) -> None:
        end = self.monotonic() + seconds
        while self.monotonic() < end - 1e-6:
            self._let_things_happen()
            until = min([end, *(at for at, _ in self._planned)])
            self.board.sleep(max(until - self.monotonic(), 2e-6))
            self._listen()
        self._let_things_happen()

    def write(self, b: bytes, /) -> int:
        self._check()
        for line in b.splitlines(keepends=True):
            self._write(line)
        return len(b)

    def read(self, size: int = 1, /) -> bytes:
        self._check()
        self._let_things_happen()
        if not self._arrived:
            self._half += self.board.read(1)
            self._listen()
        self._check()
        taken, self._arrived = self._arrived[:size], self._arrived[size:]
        return taken

    @property
    def in_waiting(self) -> int:
        self._check()
        return len(self._arrived)

    def close(self) -> None: ...

    def _check(self) -> None:
        if self._is_unplugged:
            raise SerialException("the cable is out")

    def _write(self, line: bytes) -> None:
        self.n_written += 1
        word = word_of(line)
        self._words[line.split(b" ")[0].decode("ascii")] = word
        sent, self._sent = self._sent, line
        self._pass_on(self._became(line, sent, word, True), self.board.write)

    def _listen(self) -> None:
        self._half += self.board.take()
        *lines, self._half = self._half.split(b"\n")
        for line in lines:
            word = self._words.get(line.split(b" ")[0].decode("latin1"), "")
            heard, self._heard = self._heard, line + b"\n"
            self._pass_on(self._became(line + b"\n", heard, word, False), self._arrive)

    def _arrive(self, line: bytes) -> None:
        self._arrived += line

    def _became(self, line: bytes, before: bytes, word: str, is_to_board: bool) -> Iterable[tuple[float, bytes]]:
        """What comes of a line, and how late."""
        fault = self.fault
        if fault is None or not fault.hits(word, is_to_board):
            return [(0.0, line)]
        if fault.what in DELAYS:
            return [(DELAYS[fault.what], line)]
        return [(0.0, part) for part in DAMAGES[fault.what](line, before)]

    def _pass_on(self, parts: Iterable[tuple[float, bytes]], to: Callable[[bytes], object]) -> None:
        for late, part in parts:
            if late:
                self._planned.append((self.monotonic() + late, partial(to, part)))
            else:
                to(part)

    def _let_things_happen(self) -> None:
        now = self.monotonic()
        due = [act for at, act in self._planned if at <= now]
        self._planned = [(at, act) for at, act in self._planned if at > now]
        for act in due:
            act()


def word_of(line: bytes) -> str:
    """The word of a request.

    >>> word_of(b"7 *IDN?*0000"), word_of(b"8 DISPENSE 0 25*0000")
    ('*IDN?', 'DISPENSE')
    """
    words = line.decode("ascii").rstrip().rpartition("*")[0].split()
    return words[1] if len(words) > 1 else ""
