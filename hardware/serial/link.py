"""The line to the color mixer: framing, checksums, sequence numbers, resends and events. `firmware/PROTOCOL.md` is the contract.

Every request of that protocol may be sent again: the board does an action once, however often its line arrives, and after a reset it
does nothing until it is cleared. So a resend keeps its number, a new number is never given to an old action, and after the last try
nothing more is sent.
"""

import binascii
import logging
import re
import threading
from collections import deque
from dataclasses import dataclass

from frugaltwin.errors import LinkError, Stopped
from hardware.serial.ports import Clock, Port, without_number

RESEND_AFTER = 0.2  # s until a request without an answer is sent again: a line takes 5 ms
PAUSE = 0.02  # s before a line is sent again: a line with many errors must not be flooded
GIVE_UP = 4.0  # s without an answer that can be understood
LONGEST_LINE = 111  # characters from the board

_FRAME = re.compile(rb"(.*)\*([0-9A-F]{4})", re.DOTALL)
_REPLY = re.compile(rb"(\d{1,5}) (OK|ERR (\d{1,3}))((?: [!-~]+)*)")

_log = logging.getLogger("frugaltwin.hardware")


def framed(text: str) -> bytes:
    """A line with its checksum and its end.

    >>> framed("17 DISPENSE 0 250")
    b'17 DISPENSE 0 250*CC20\\n'
    """
    line = text.encode("ascii")
    return b"%s*%04X\n" % (line, binascii.crc_hqx(line, 0))


def unframed(line: bytes) -> bytes | None:
    """Text of a line without its end; None when its checksum is wrong or missing."""
    if (match := _FRAME.fullmatch(line)) is None or binascii.crc_hqx(match[1], 0) != int(match[2], 16):
        return None
    return match[1]


@dataclass(frozen=True)
class Reply:
    """The board's answer to a request."""

    seq: int
    error: int
    """Error number; 0 when the request was done."""
    values: tuple[str, ...]
    """Values that were asked for; or the error in words."""


def parsed(line: bytes) -> Reply | None:
    """The reply in a line without its end; None when it is none.

    >>> parsed(b"17 OK 157*DB98")
    Reply(seq=17, error=0, values=('157',))
    """
    text = unframed(line)
    if text is None or (match := _REPLY.fullmatch(text)) is None:
        return None
    return Reply(int(match[1]), int(match[3] or 0), tuple(match[4].decode("ascii").split()))


class SerialLink:
    """Serial link to one board. Requests wait for each other; `stop` may come from any thread at any time."""

    def __init__(self, port: Port, clock: Clock, name: str) -> None:
        """A link over an open port.

        Args:
            name: What the port is called in messages.
        """
        self.name = name
        self.events: deque[str] = deque(maxlen=100)
        """Events: lines that the board sent unasked, oldest first."""
        self.resent = 0
        """Number of requests that were sent again."""
        self.next_seq = 1
        self._port, self._clock = port, clock
        self._buffer = bytearray()
        self._one_at_a_time = threading.RLock()
        self._writing = threading.Lock()
        self._is_stopped = threading.Event()

    def request(self, text: str, takes: float = 0.0) -> Reply:
        """Ask for something and wait for the answer; it may be a refusal.

        Args:
            takes: How long the board needs before it answers, s.

        Raises:
            LinkError: The port is gone, or no answer could be understood within `GIVE_UP` + 3 `takes`.
            Stopped: `stop` was called.
        """
        with self._one_at_a_time:
            seq, line = self._numbered(text)
            last = self._clock.monotonic() + GIVE_UP + 3 * takes
            while (now := self._clock.monotonic()) < last:
                self.check()  # nothing is sent behind a STOP
                self._write(line)
                reply = self._answer(seq, min(last, now + RESEND_AFTER + takes))
                if reply is not None:
                    return reply
                self.resent += 1
                self._clock.sleep(PAUSE)
                _log.debug("%s: no answer to %s", self.name, line)
        heard = f" (it last said {bytes(self._buffer[:40])!r})" if self._buffer else ""
        raise LinkError(
            f"{self.name} does not answer {text.split(maxsplit=1)[0]}{heard}; check cable, power and baud rate, then start again"
        )

    def listen(self, word: str, seconds: float) -> bool:
        """Wait for an event that begins with `word`; whether it came.

        Raises:
            LinkError: The port is gone.
            Stopped: `stop` was called.
        """
        with self._one_at_a_time:
            end = self._clock.monotonic() + seconds
            n_before = len(self.events)
            while (line := self._line(end)) is not None:
                self._note(line)
                if any(event.startswith(word) for event in list(self.events)[n_before:]):
                    return True
        return False

    def stop(self) -> None:
        """`halt`, and raise `Stopped` in every thread that waits for an answer. Never raises itself."""
        self._is_stopped.set()
        self.halt()

    def halt(self) -> None:
        """Tell the board to stop, without waiting for its answer. Never raises."""
        _, line = self._numbered("STOP")
        try:
            self._write(b"\n" + 3 * line)  # half a line may be in front of it, and noise may take one
        except LinkError:
            _log.exception("%s could not be told to stop; it does so by itself when no host is heard", self.name)

    def resume(self) -> None:
        """Take requests again after `stop`."""
        self._is_stopped.clear()

    def check(self) -> None:
        """Check that requests are taken.

        Raises:
            Stopped: They are not.
        """
        if self._is_stopped.is_set():
            raise Stopped("the rig was stopped")

    def close(self) -> None:
        """Close the port. May be called twice."""
        try:
            self._port.close()
        except OSError:
            _log.exception("%s could not be closed", self.name)

    def _numbered(self, text: str) -> tuple[int, bytes]:
        with self._writing:
            seq = self.next_seq
            self.next_seq = seq % 65535 + 1
        return seq, framed(f"{seq} {text}")

    def _answer(self, seq: int, end: float) -> Reply | None:
        """The reply to a request; None when it has to be sent again."""
        while (line := self._line(end)) is not None:
            self._note(line)
            reply = parsed(line)
            if reply is None or reply.seq not in (seq, 0):
                continue  # noise, an event, or the late answer to an earlier try
            return reply if reply.seq else None
        return None

    def _note(self, line: bytes) -> None:
        text = unframed(line)
        if text is not None and text.startswith(b"!"):
            self.events.append(text[1:].decode("ascii", "replace"))
            _log.info("%s says %s", self.name, self.events[-1])

    def _line(self, end: float) -> bytes | None:
        """The next line without its end; None when `end` has come."""
        while True:
            self.check()
            line, found, rest = self._buffer.partition(b"\n")
            if found:
                self._buffer = rest
                return bytes(line.rstrip(b"\r"))
            if len(self._buffer) > LONGEST_LINE + 10:
                del self._buffer[: -LONGEST_LINE - 10]  # noise without an end
            if self._clock.monotonic() >= end:
                return None
            try:
                self._buffer += self._port.read(max(1, min(self._port.in_waiting, 4096)))
            except (OSError, TypeError) as error:  # pyserial reads from a closed port with a TypeError
                raise self._gone(error) from error

    def _gone(self, error: Exception) -> LinkError:
        return LinkError(f"the connection to {self.name} is gone: {without_number(error)}; plug it in again, then start again")

    def _write(self, line: bytes) -> None:
        try:
            with self._writing:
                self._port.write(line)
        except (OSError, TypeError) as error:
            raise self._gone(error) from error
