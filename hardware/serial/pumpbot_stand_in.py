"""PumpBot's firmware at the end of its serial line, quirks included, in front of a simulated cell.

It follows the firmware's published source; no physical PumpBot was ever compared with it. What it does as the firmware does, because a
host must live with it:

- Opening the port resets the board. Boot loader and start are deaf; then comes ``<Arduino is ready>``.
- What stands outside ``<`` and ``>`` is ignored, but a ``>`` always ends a request, whether one was begun or not: after a `Meas` it
  measures again.
- A request is cut off after 39 characters without a word.
- `Mix` blocks until the pump has run, and nothing stops it but a reset. Bytes that come meanwhile wait: 63 of them, the rest is lost.
- The reply repeats the request and names the board's clock, in units of 512 ms, when the request came, not when it was done.
- Any pin can be run, for any time. What is neither `Mix` nor `Meas` is repeated, and that is all.
- Three looks at the color are meant to be averaged; the reply is 2/3 of the third, cut off to whole counts.
"""

import re
import time
from collections import deque
from typing import Self

from hardware.serial.ports import POLL_INTERVAL, StandIn
from simulator.pumpbot_mixing import Floats, SimulatedCell

BYTE = 10 / 9600  # s on the line
BOOT = 1.6  # s from a reset until it listens
LONGEST_REQUEST = 39  # characters; the buffer's 40th is the zero that ends it
WAITING = 63  # bytes that Arduino keeps while the program is busy
LAMP = 0.5  # s, before the looks and after them
LOOK = 0.155  # s: 55 ms for the sensor, 100 ms until the next

_NUMBER = re.compile(rb"\s*-?\d*\.?\d*")


class PumpBotStandIn(StandIn):
    """Simulated board on a virtual clock, and its port."""

    timeout = 5.0  # s: nobody waits for a virtual port, and few long reads cost less than many short ones

    def __init__(self, cell: SimulatedCell) -> None:
        super().__init__()
        self.cell = cell
        self.requests: list[str] = []
        """Requests that it understood since it was made, oldest first."""
        self._heard = 0.0  # when the last byte had come
        self._runs: deque[tuple[int, float, float, Floats]] = deque()  # pin, from, until, the cell before
        self.reset()

    def open(self) -> Self:
        """Open its port, which resets it."""
        self._arrived.clear()
        self.reset()
        return self

    def reset(self) -> None:
        """Start anew: every relay is off, what was under way is cut short, and what was to be said is lost."""
        unfinished = [run for run in self._runs if run[2] > self._now]
        self._runs.clear()
        if unfinished:
            pin, begin, _, self.cell.volumes = unfinished[0]
            self.cell.run(pin, self._now - begin)
        self._due.clear()
        self._booted = self._free = self._now + BOOT
        self._said = self._now  # when the last reply is over
        self._request = bytearray()
        self._is_reading = False
        self._waiting: deque[float] = deque()  # when each byte that waits is taken
        self._say(b"Arduino is ready", self._booted)

    def sleep(self, seconds: float, /) -> None:
        if seconds <= POLL_INTERVAL:  # who sleeps in slices listens for a stop, which another thread must get the time to give
            time.sleep(0)
        super().sleep(seconds)

    def _received(self, data: bytes) -> None:
        for byte in data:
            self._heard = at = max(self._heard, self._now) + BYTE
            while self._waiting and self._waiting[0] <= at:
                self._waiting.popleft()
            if at < self._booted or len(self._waiting) >= WAITING:
                continue
            taken = max(at, self._free)
            self._waiting.append(taken)
            self._take(byte, taken)

    def _take(self, byte: int, at: float) -> None:
        """The program reads a byte. What it leads to is worked out now, though it may happen later."""
        if byte == ord(">"):
            self._is_reading = False
            self._obey(bytes(self._request), at)
            del self._request[len(self._request.partition(b",")[0]) :]  # the commas were overwritten
        elif byte == ord("<"):
            self._is_reading = True
            self._request.clear()
        elif self._is_reading and len(self._request) < LONGEST_REQUEST:
            self._request.append(byte)

    def _obey(self, request: bytes, at: float) -> None:
        word, *arguments = request.split(b",")
        reply = b"Msg %s Time %d" % (request, int(1000 * (at - self._booted)) >> 9)
        self.requests.append(request.decode("latin-1"))
        if word == b"Mix":
            pin, seconds = (_number(a) for a in [*arguments, b"", b""][:2])
            self._free = at + max(0.0, int(1000 * seconds) / 1000)
            while self._runs and self._runs[0][2] <= self._now:
                self._runs.popleft()
            self._runs.append((int(pin), at, self._free, self.cell.volumes.copy()))
            self.cell.run(int(pin), self._free - at)
        self._say(reply, max(at, self._free))
        if word == b"Meas":
            self._free = at + LAMP + 3 * LOOK + LAMP
            _, _, third = (self.cell.look() for _ in range(3))
            self._say(b"RGB:%d,%d,%d" % tuple(int((x + x) / 3.0) for x in third), self._free)

    def _say(self, frame: bytes, at: float) -> None:
        text = b"<%s>\r\n" % frame
        self._said = max(self._said, at) + len(text) * BYTE
        self._send(text, self._said - self._now)


def _number(text: bytes) -> float:
    """Number at the start of a text as C reads it, else 0."""
    match = _NUMBER.match(text)
    try:
        return float(match[0]) if match else 0.0
    except ValueError:
        return 0.0
