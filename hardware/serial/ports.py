"""Serial ports by address, real ones and stand-ins, and the clock that goes with each.

A driver talks to a `Port` and waits on a `Clock`. A real port goes with the computer's clock. A `VirtualPort` is both at once: what
stands behind it runs only while somebody reads or sleeps, so that a minute of lab time takes as long as it takes to compute.
"""

import heapq
import itertools
import re
import sys
import time
from abc import ABC, abstractmethod
from errno import EACCES, EAGAIN, EBUSY, ENOENT, EPERM, ETIMEDOUT
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from frugaltwin.errors import InvalidInput, LinkError

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


def check_address(address: str) -> None:
    """Check that something may be a port's address, before anything is opened.

    >>> check_address("/dev/ttyACM0"), check_address("socket://localhost:7777")
    (None, None)

    Raises:
        InvalidInput: A network address has no host or no port; the message says what it should look like.
    """
    scheme, is_url, _ = address.partition("://")
    if not is_url:
        return
    try:
        parts = urlsplit(address)
        is_complete = bool(parts.hostname) and bool(parts.port)
    except ValueError:
        is_complete = False
    if scheme in ("socket", "rfc2217") and not is_complete:
        raise InvalidInput(f"{address} needs a host and a port from 1 to 65535, such as {scheme}://192.168.1.20:7777")


def open_port(address: str, baud: int) -> Port:
    """A real port: a device path (or ``COM3``), or a line over the network, ``socket://host:port``.

    Raises:
        InvalidInput: That is no address.
        LinkError: There is no such port, or it is in use, or not yours to open; the message says which, and what to do.
    """
    import serial

    check_address(address)
    try:
        if "://" in address:
            port: Port = serial.serial_for_url(address, baudrate=baud, timeout=POLL_INTERVAL)
        else:
            port = serial.Serial(address, baudrate=baud, timeout=POLL_INTERVAL, write_timeout=2.0, exclusive=True)
    except (OSError, ValueError) as error:
        raise LinkError(f"cannot open {address}: {reason(address, error)}") from error
    return port


def reason(address: str, error: OSError | ValueError) -> str:
    """Reason why a port cannot be opened, and what to do.

    pyserial has the number of the error on Linux and macOS; on Windows only the text of the system's error, with its number at the end.
    There "access is denied" (5) says that the port is in use: a port that is there belongs to whoever opens it first.
    """
    text = str(error).lower()
    number = getattr(error, "errno", None)
    windows = re.search(r"error\(\d+, .*, none, (\d+)\)", text)
    if windows:
        number = {2: ENOENT, 3: ENOENT, 5: EBUSY, 32: EBUSY, 121: ETIMEDOUT}.get(int(windows[1]), 0)
    if number == ENOENT or "no such file" in text:
        return f"there is no such port; plug the board in, then choose one of: {', '.join(port_names()) or '(none is there now)'}"
    if number in (EAGAIN, EBUSY) or "exclusively lock" in text:
        return "it is busy: another program has it open (a serial monitor?); close that, then start again"
    if number in (EACCES, EPERM) or "permission denied" in text:
        return f"permission denied: it is not yours to open; {_remedy(address)}"
    if number == ETIMEDOUT:
        return "what is there does not answer; take it out and plug it in again, or choose another port"
    if "refused" in text:
        return "nothing listens there; start the emulated board, or whatever serves it, then start again"
    return without_number(error)


def without_number(error: Exception) -> str:
    """An error of the system in words, without its number, which differs from system to system.

    >>> without_number(OSError(104, "Connection reset by peer"))
    'Connection reset by peer'
    """
    return re.sub(r"\[Errno -?\d+\] ", "", str(error)) or type(error).__name__


def _remedy(address: str) -> str:
    """Remedy for a missing right to open a device."""
    if sys.platform == "linux":
        import grp

        try:
            group = grp.getgrgid(Path(address).stat().st_gid).gr_name
        except (OSError, KeyError):
            group = "dialout"
        if group != "root":
            return f"join its group (sudo usermod -aG {group} $USER), then log out and in again"
    return "ask who looks after this machine for the right to use its serial ports"


def port_names() -> list[str]:
    """The serial ports of this machine."""
    from serial.tools import list_ports

    return [port.device for port in list_ports.comports()]
