"""The emulated board in real time, behind a pseudo-terminal or a TCP port: as a rig on a cable looks to any program.

The board's clock follows the computer's, and slips when the machine is too slow; it never sprints to catch up.
"""

import contextlib
import os
import select
import socket
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from frugaltwin.errors import InvalidInput
from hardware.emulator.emulated_board import EmulatedBoard

STEP = 0.004  # s between two looks at the line
SLIP = 0.25  # s behind the computer's clock, after which the board's clock gives up the difference
BACKLOG = 65536  # bytes that nobody reads before they are lost


class BoardServer(ABC):
    """Runs a board in a thread. A host that connects resets it, as opening an Uno's port does."""

    address: str
    """Address for a host."""

    def __init__(self, board: EmulatedBoard, speed: float = 1.0) -> None:
        """Begin.

        Args:
            speed: s of the board's time per s.
        """
        self.board, self.speed = board, speed
        self.error: Exception | None = None
        """Error that ended it, if it was not `close`."""
        self._is_connected = False
        self._end, self._is_pulled = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._serve, name="emulated board", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        """End it; the board stays as it is. May be called twice."""
        self._end.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def unplug(self) -> None:
        """Pull the cable and put it in again: the host's port is dead, and there is another one."""
        self._is_pulled.set()
        while self._is_pulled.is_set() and self.is_running:
            self._end.wait(STEP)

    @abstractmethod
    def _host(self, wait: float) -> bytes | None:
        """Bytes that the host sent, after at most `wait` s; None when there is no host."""

    @abstractmethod
    def _tell(self, data: bytes) -> int:
        """Send to the host as much as it takes; return the number of bytes."""

    @abstractmethod
    def _hang_up(self) -> None:
        """Unplug the cable: the host loses its port."""

    @abstractmethod
    def _let_go(self) -> None:
        """Close everything."""

    def _serve(self) -> None:
        outgoing = bytearray()
        start, board_start = time.monotonic(), self.board.monotonic()
        try:
            while not self._end.is_set():
                if self._is_pulled.is_set():
                    self._hang_up()
                    self._is_pulled.clear()
                self._listen()
                behind = board_start + (time.monotonic() - start) * self.speed - self.board.monotonic()
                if behind > SLIP * self.speed:
                    board_start -= behind - SLIP * self.speed
                    behind = SLIP * self.speed
                self.board.sleep(behind)
                outgoing += self.board.take()
                if not self._is_connected or len(outgoing) > BACKLOG:
                    outgoing.clear()
                if outgoing:
                    del outgoing[: self._tell(bytes(outgoing))]
        except Exception as error:  # `error` tells it to the command
            self.error = error
        finally:
            self._let_go()

    def _listen(self) -> None:
        """Pass the bytes of the host to the board; reset the board when a host connects."""
        data = self._host(STEP)
        try:
            if data is not None and not self._is_connected:
                self.board.open()
            elif data is None and self._is_connected:
                self.board.close()
            if data:
                self.board.write(data)
            self._is_connected = data is not None
        except OSError:
            self._is_connected = False
            self._hang_up()


class PtyServer(BoardServer):
    """Server behind a pseudo-terminal, a port like ``/dev/pts/3``."""

    def __init__(self, board: EmulatedBoard, speed: float = 1.0, link: Path | None = None) -> None:
        """Begin.

        Args:
            link: A name for the port that does not change from run to run.

        Raises:
            InvalidInput: Something else has that name, or there is no such folder.
        """
        if link and link.exists() and not link.is_symlink():
            raise InvalidInput(f"{link} would replace that file; choose another name", field="link")
        if link and not link.absolute().parent.is_dir():
            raise InvalidInput(f"{link}: there is no folder {link.absolute().parent}; make it first", field="link")
        self._link = link
        self._terminal = -1
        self.address = ""
        self._hang_up()
        super().__init__(board, speed)

    def _host(self, wait: float) -> bytes | None:
        poll = select.poll()
        poll.register(self._terminal, select.POLLIN)
        found = dict(poll.poll(wait * 1000)).get(self._terminal, 0)
        if found & select.POLLHUP:  # nobody has it open
            time.sleep(wait)
            return None
        if not found & select.POLLIN:
            return b""
        with contextlib.suppress(BlockingIOError):
            return os.read(self._terminal, 4096)
        return b""

    def _tell(self, data: bytes) -> int:
        with contextlib.suppress(BlockingIOError):
            return os.write(self._terminal, data)
        return 0

    def _hang_up(self) -> None:
        """Replace the terminal: one whose other end is gone cannot be plugged in again."""
        import pty
        import tty

        self._let_go()
        self._terminal, other = pty.openpty()
        tty.setraw(other)  # before anybody opens it, or its echo would talk to the board
        self.address = os.ttyname(other)
        os.close(other)
        os.set_blocking(self._terminal, False)
        if self._link:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.address)
            self.address = str(self._link)

    def _let_go(self) -> None:
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1
            if self._link:
                self._link.unlink(missing_ok=True)


class TcpServer(BoardServer):
    """Server behind a TCP port of this machine, ``socket://127.0.0.1:port``; one host at a time."""

    def __init__(self, board: EmulatedBoard, speed: float = 1.0, port: int = 0) -> None:
        """Begin.

        Args:
            port: 0 is any that is free.

        Raises:
            InvalidInput: It is taken.
        """
        try:
            self._listener = socket.create_server(("127.0.0.1", port))
        except OSError as error:
            text = f"port {port}: {os.strerror(error.errno or 0)}; choose another port, or 0 for any that is free"
            raise InvalidInput(text, field="tcp") from error
        self._listener.setblocking(False)
        self._connection: socket.socket | None = None
        self.address = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        super().__init__(board, speed)

    def _host(self, wait: float) -> bytes | None:
        awaited = self._connection or self._listener
        if not select.select([awaited], [], [], wait)[0]:
            return b"" if self._connection else None
        if self._connection is None:
            self._connection, _ = self._listener.accept()
            self._connection.setblocking(False)
            return b""
        with contextlib.suppress(OSError):
            if data := self._connection.recv(4096):
                return data
        self._hang_up()
        return None

    def _tell(self, data: bytes) -> int:
        if self._connection:
            with contextlib.suppress(OSError):
                return self._connection.send(data)
        return 0

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            connection.close()

    def _let_go(self) -> None:
        self._hang_up()
        self._listener.close()
