"""Serial ports by address, real ones and stand-ins, and the clock that goes with each.

A driver talks to a `Port` and waits on a `Clock`. A real port goes with the computer's clock. A `VirtualPort` is both at once: what
stands behind it runs only while somebody reads or sleeps, so that a minute of lab time takes as long as it takes to compute.
"""

import heapq
import itertools
import time
from abc import ABC, abstractmethod
from typing import Protocol

from frugaltwin.errors import LinkError

TICK = 1e-6  # s: less than that is no time to wait for
POLL_INTERVAL = 0.05
"""Longest wait of one `read` of a port, s: short, so that a stop is noticed soon."""


class Port(Protocol):
    """The part of `serial.Serial` that a driver uses. Every failure is an `OSError`, as in pyserial."""

    def read(self, size: int = 1, /) -> bytes:
        """Read up to `size` bytes; fewer, or none, when no more came within `POLL_INTERVAL`."""
        ...

    def write(self, b: bytes, /) -> int | None:
        """Send bytes."""
        ...

    @property
    def in_waiting(self) -> int:
        """Number of bytes that can be read at once."""
        ...

    def close(self) -> None:
        """Close it. May be called twice."""
        ...


class Clock(Protocol):
    """Clock of a port: real or virtual time."""

    def monotonic(self) -> float:
        """Time since no particular moment, s."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Wait for so long."""
        ...


class RealClock:
    """Clock of the computer."""

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, /) -> None:
        time.sleep(seconds)


class VirtualPort(ABC):
    """A port and its clock in one: reading and sleeping let time pass for what is behind it."""

    timeout = POLL_INTERVAL

    def __init__(self) -> None:
        self._arrived = bytearray()

    @abstractmethod
    def monotonic(self) -> float:
        """Time by the virtual clock, s."""

    @abstractmethod
    def _run(self, seconds: float, until_byte: bool) -> bytes:
        """Let at most so much time pass, or only until a byte comes. Return the bytes that came."""

    @abstractmethod
    def write(self, b: bytes, /) -> int | None:
        """Send bytes to what is behind the port."""

    def read(self, size: int = 1, /) -> bytes:
        end = self.monotonic() + self.timeout
        while len(self._arrived) < size and (left := end - self.monotonic()) > TICK:
            self._arrived += self._run(left, until_byte=True)
        taken = bytes(self._arrived[:size])
        del self._arrived[:size]
        return taken

    @property
    def in_waiting(self) -> int:
        return len(self._arrived)

    def take(self) -> bytes:
        """All that has come, without waiting."""
        taken = bytes(self._arrived)
        self._arrived.clear()
        return taken

    def sleep(self, seconds: float, /) -> None:
        end = self.monotonic() + seconds
        while (left := end - self.monotonic()) > TICK:
            self._arrived += self._run(left, until_byte=False)

    def close(self) -> None:  # noqa: B027 – most stand-ins have nothing to let go of
        pass


class StandIn(VirtualPort):
    """A firmware's behavior in Python: `_received` takes bytes, `_send` answers, now or later."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._due: list[tuple[float, int, bytes]] = []
        self._order = itertools.count()

    @abstractmethod
    def _received(self, data: bytes) -> None:
        """Take bytes that came from the host now."""

    def _send(self, data: bytes, after: float = 0.0) -> None:
        """Send bytes to the host, `after` s from now."""
        heapq.heappush(self._due, (self._now + after, next(self._order), data))

    def monotonic(self) -> float:
        return self._now

    def write(self, b: bytes, /) -> int | None:
        self._received(bytes(b))
        return len(b)

    def _run(self, seconds: float, until_byte: bool) -> bytes:
        end = self._now + seconds
        came = b""
        while self._due and self._due[0][0] <= end and not (until_byte and came):
            at, _, data = heapq.heappop(self._due)
            self._now = max(self._now, at)
            came += data
        if not (until_byte and came):
            self._now = end
        return came


def open_port(address: str, baud: int) -> Port:
    """A real port: a device path (or ``COM3``), or a line over the network, ``socket://host:port``.

    Raises:
        LinkError: There is no such port, or it is in use, or not yours to open; the message says which, and what to do.
    """
    import serial

    try:
        if "://" in address:
            port: Port = serial.serial_for_url(address, baudrate=baud, timeout=POLL_INTERVAL)
        else:
            port = serial.Serial(address, baudrate=baud, timeout=POLL_INTERVAL, write_timeout=2.0, exclusive=True)
    except (OSError, ValueError) as error:
        raise LinkError(f"cannot open {address}: {_reason(address, error)}") from error
    return port


def _reason(address: str, error: OSError | ValueError) -> str:
    text = str(error).lower()
    number = getattr(error, "errno", None)
    if number == 2 or "no such file" in text or "filenotfound" in text:
        return f"there is no such port; plug the board in, then choose one of: {', '.join(port_names()) or '(none is there now)'}"
    if number == 13 or "permission" in text or "access is denied" in text:
        return "it is not yours to open; on Linux join its group (sudo usermod -aG dialout $USER), then log in again"
    if number in (11, 16) or "exclusively lock" in text or "busy" in text:
        return "another program has it open (a serial monitor?); close that, then start again"
    if "refused" in text:
        return "nothing listens there; start the emulated board, or whatever serves it, then start again"
    return f"{str(error) or type(error).__name__}"


def port_names() -> list[str]:
    """The serial ports of this machine."""
    from serial.tools import list_ports

    return [port.device for port in list_ports.comports()]
