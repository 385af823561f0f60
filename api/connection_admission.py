"""Admission of connections: those that show a good token at once, strangers' in turn while others ask.

To take a connection in costs a quarter of a millisecond of the core that everybody waits for, before a word of it is read; a stranger may
connect hundreds of times a second. So the listener itself accepts connections, looks at their first bytes without reading them, and hands a
stranger's to the server when it is their turn (`strangers`); by then many have gone. What is not handed over is not read either: whoever
sends and sends waits for themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import select
import selectors
import socket
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any

import uvicorn

from api.strangers import Strangers

if TYPE_CHECKING:
    from api.http_protocol import BoundedProtocol

AT_ONCE = 100
"""Connections that are taken from the system before others go on."""
PEEK = 4096
"""Bytes in which a token is looked for. Behind more headers it is found when the request is read."""
SILENCE = 10.0
"""s after which a connection is closed on which nothing was said."""
SILENT = 2000
"""Connections on which nothing was said yet, at most."""
WAITING = 500
"""Connections of one address that wait for their turn, at most: a class behind one address may come at once."""
TOGETHER = 0.005
"""s between two looks at who is there, while strangers wait."""
AGAIN = 0.1
"""s between two tries where the system has no more connections to give, and between two looks for those that have gone."""
_token = re.compile(rb"\r\nauthorization:[ \t]*bearer[ \t]+([!-~]{1,200})[ \t]*\r\n", re.IGNORECASE)


class AdmittingListener:
    """A listening socket and the connections that wait behind it."""

    def __init__(
        self, listening: socket.socket, backlog: int, strangers: Strangers, make: Callable[[bool], asyncio.Protocol]
    ) -> None:  # fmt: skip
        """Open it. Called in the event loop.

        Args:
            backlog: Connections that the system keeps until they are taken.
            make: Makes the protocol of a connection; its argument is whether that has had its turn.
        """
        self._listening, self._strangers, self._make = listening, strangers, make
        self._loop = asyncio.get_running_loop()
        self._silent: dict[socket.socket, tuple[str, float]] = {}
        """Connections on which nothing was said yet, the oldest first; their address, and until when they may be silent."""
        self._heard = selectors.DefaultSelector()  # of the silent ones: one handle of the loop for all
        self._waiting: defaultdict[str, set[socket.socket]] = defaultdict(set)
        """Connections that wait for their turn, by address."""
        self._sifted = 0.0
        """When those were looked for that have gone."""
        self._entering: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        listening.setblocking(False)
        listening.listen(backlog)
        self._watch()

    @property
    def _selector(self) -> int:
        return self._heard.fileno()  # wherever this listener is used, it has one

    def close(self) -> None:
        """Close it; who waits is sent away."""
        if self._timer is None:
            self._watch_no_more()
        else:
            self._timer.cancel()
        self._heard.close()
        self._listening.close()
        for connection in (*self._silent, *chain.from_iterable(self._waiting.values())):
            connection.close()
        for waiting in self._waiting.values():
            waiting.clear()

    async def wait_closed(self) -> None:
        """Wait for nothing: what is closed is closed."""

    def _watch(self) -> None:
        self._timer = None
        for number in (self._listening.fileno(), self._selector):
            self._loop.add_reader(number, self._answer)

    def _watch_no_more(self) -> None:
        for number in (self._listening.fileno(), self._selector):
            self._loop.remove_reader(number)

    def _answer(self) -> None:
        """Look who is there: at once, or a little later where strangers wait, because each look costs more than what it finds."""
        wait = self._take()
        self._listen()
        if not wait and self._strangers.are_waiting:
            wait = TOGETHER
        if wait:
            if self._timer is None:
                self._watch_no_more()
            self._timer = self._loop.call_later(wait, self._answer)
        elif self._timer is not None:
            self._watch()

    def _take(self) -> float:
        """Take the connections that the system has; the time for which there is no use in trying again, s."""
        for _ in range(AT_ONCE):
            try:
                connection, address = self._listening.accept()
            except BlockingIOError:
                return 0.0
            except ConnectionError:  # it has gone already
                continue
            except OSError:  # too many files are open
                return AGAIN
            connection.setblocking(False)
            if self._strangers.have_turns:
                self._inspect(connection, str(address[0]))
            else:
                self._admit(connection, had_turn=False)
        return 0.0

    def _inspect(self, connection: socket.socket, address: str) -> None:
        """Look at what was said, if anything was."""
        try:
            said = connection.recv(PEEK, socket.MSG_PEEK)
        except BlockingIOError:
            self._wait_for_head(connection, address)
            return
        except OSError:
            said = b""
        waiting, shown = self._waiting[address], _token.search(said)
        token = shown[1].decode("ascii") if shown else ""
        person = self._strangers.whose(token)
        is_known = person is not None and self._strangers.may_connect(person)
        if not said or not (is_known or self._has_room(waiting)):
            connection.close()
            return

        def enter() -> bool:
            if connection not in waiting:
                return False
            waiting.remove(connection)
            if not is_known and _has_hung_up(connection):
                connection.close()
                return False
            self._admit(connection, had_turn=True)
            return True

        waiting.add(connection)
        self._strangers.admit(token if is_known else "", address, enter)

    def _has_room(self, waiting: set[socket.socket]) -> bool:
        """Whether one more of an address may wait."""
        now = time.monotonic()
        if len(waiting) >= WAITING and now >= self._sifted + AGAIN:
            self._sifted = now
            for connection in [connection for connection in waiting if _has_hung_up(connection)]:
                waiting.remove(connection)
                connection.close()
        return len(waiting) < WAITING

    def _wait_for_head(self, connection: socket.socket, address: str) -> None:
        now = time.monotonic()
        while self._silent and (len(self._silent) >= SILENT or next(iter(self._silent.values()))[1] < now):
            self._forget(next(iter(self._silent))).close()
        self._silent[connection] = address, now + SILENCE
        self._heard.register(connection, selectors.EVENT_READ)

    def _listen(self) -> None:
        """Look at the connections on which something was said."""
        for key, _ in self._heard.select(0):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            address, _ = self._silent[connection]
            self._inspect(self._forget(connection), address)

    def _forget(self, connection: socket.socket) -> socket.socket:
        del self._silent[connection]
        self._heard.unregister(connection)
        return connection

    def _admit(self, connection: socket.socket, *, had_turn: bool) -> None:
        task = self._loop.create_task(self._enter(connection, had_turn))
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)

    async def _enter(self, connection: socket.socket, had_turn: bool) -> None:
        with contextlib.suppress(OSError):  # it has gone
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(lambda: self._make(had_turn), connection)


class AdmittingServer(uvicorn.Server):
    """uvicorn's server, its sockets behind listeners that admit connections, where the system has what these need."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if sys.platform == "win32":
            await super().startup(sockets)
            return
        await super().startup([])
        is_started, self.started = self.started, False  # not before somebody can come in
        strangers: Strangers = self.lifespan.state["strangers"]
        listeners = [AdmittingListener(listening, self.config.backlog, strangers, self._protocol) for listening in sockets or ()]
        self.servers += listeners  # type: ignore[arg-type]  # which are closed as asyncio's are
        self.started = is_started

    def _protocol(self, had_turn: bool) -> asyncio.Protocol:
        kind: Any = self.config.http_protocol_class
        protocol: BoundedProtocol = kind(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        protocol.had_turn = had_turn
        return protocol


def _has_hung_up(connection: socket.socket) -> bool:
    """Whether the other side has hung up, also behind words that were not read."""
    poll = select.poll()
    poll.register(connection, getattr(select, "POLLRDHUP", 0))  # errors and the end of both directions are always told
    return bool(poll.poll(0))
