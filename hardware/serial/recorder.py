"""Record of a serial line: what went over it, line by line, and when."""

from __future__ import annotations

from typing import NamedTuple

from hardware.serial.ports import Clock, Port


class Line(NamedTuple):
    """A line, complete."""

    at: float
    """s after the port was opened; of a line from the board, when its last byte was read."""
    is_sent: bool
    """Whether the host sent it, else the board did."""
    text: str
    """Its bytes as Latin-1, without its end."""


class RecordedPort:
    """A port that also writes down what goes over it."""

    def __init__(self, port: Port, clock: Clock, lines: list[Line]) -> None:
        """A port over an open one.

        Args:
            lines: Where every line goes.
        """
        self._port, self._clock, self._lines = port, clock, lines
        self._begun = clock.monotonic()
        self._partial = bytearray()

    @property
    def in_waiting(self) -> int:
        return self._port.in_waiting

    def read(self, size: int = 1, /) -> bytes:
        taken = self._port.read(size)
        self._partial += taken
        while b"\n" in self._partial:
            line, _, self._partial = self._partial.partition(b"\n")
            self._note(False, line)
        return taken

    def write(self, b: bytes, /) -> int | None:
        for line in bytes(b).split(b"\n"):
            if line:
                self._note(True, line)
        return self._port.write(b)

    def close(self) -> None:
        self._port.close()

    def _note(self, is_sent: bool, line: bytes | bytearray) -> None:
        self._lines.append(Line(round(self._clock.monotonic() - self._begun, 4), is_sent, line.rstrip(b"\r").decode("latin-1")))
