"""Admission of connections: a stranger's connection costs next to nothing until it is their turn, and a good token has no turn."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from tests.service_database import until

if sys.platform == "win32":
    pytest.skip("the service does not admit connections there", allow_module_level=True)

import uvloop

from api import connection_admission
from api.connection_admission import AdmittingServer
from api.http_protocol import BoundedProtocol
from api.strangers import Strangers

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
GOOD = GET + b"X-A: b\r\nauthorization:  bearer ft_good\r\n\r\n"
NO_CONTENT = b"HTTP/1.1 204"


@dataclass
class Place:
    """A server whose strangers wait as long as others ask, which they always do."""

    address: Any = None
    strangers: Strangers = field(default_factory=Strangers)
    loop: Any = None
    end: Callable[[], None] = lambda: None
    taken_in: int = 0
    """Connections for which a protocol was made."""
    asked: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            self.loop = asyncio.get_running_loop()
            scope["state"]["strangers"] = self.strangers
            self.strangers.welcome("ft_good", "u_good")
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.asked += 1
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    def turn(self) -> None:
        """Somebody's turn."""
        self.loop.call_soon_threadsafe(self.strangers._next)

    def line(self, said: bytes = b"") -> socket.socket:
        """A connection."""
        line = socket.create_connection(self.address, timeout=30)
        line.sendall(said)
        return line

    def has_waiting(self, n: int) -> Callable[[], bool]:
        return lambda: sum(map(len, self.strangers._waiting.values())) == n


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr("api.strangers.PACE", 1e6)
    monkeypatch.setattr("api.strangers.LATELY", 1e9)
    made = Place()

    class Counted(BoundedProtocol):
        def __init__(self, *args: Any, **words: Any) -> None:
            made.taken_in += 1
            super().__init__(*args, **words)

    server = AdmittingServer(uvicorn.Config(made, http=Counted, ws="none", log_config=None))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        made.address = listening.getsockname()
        runner = threading.Thread(target=lambda: uvloop.run(server.serve([listening])))
        runner.start()
        until(lambda: server.started)
        with made.line(GOOD) as line:  # from now on others ask
            assert line.recv(1000).startswith(NO_CONTENT)
        with made.line(GET + b"\r\n") as line:  # the first stranger is admitted at once
            assert line.recv(1000).startswith(NO_CONTENT)
        made.taken_in = 0

        def end() -> None:
            server.should_exit = True
            runner.join()

        made.end = end
        yield made
        end()


def test_a_good_token_comes_in_at_once_and_a_strangers_connection_is_not_even_read_until_its_turn(place: Place) -> None:
    """Five hundred connections a second took a fifth of a core before a word of them was read."""
    with contextlib.ExitStack() as stack:
        strangers = [stack.enter_context(place.line(GET + b"\r\n" + GET)) for _ in range(20)]
        until(place.has_waiting(20))
        line = stack.enter_context(place.line(GOOD))
        for _ in range(3):
            assert line.recv(1000).startswith(NO_CONTENT)
            line.sendall(GOOD)
        assert place.taken_in == 1
        place.turn()
        answered, _, _ = select.select(strangers, [], [], 30)
        assert [one.recv(1000)[: len(NO_CONTENT)] for one in answered] == [NO_CONTENT]
        assert place.taken_in == 2


def test_who_has_hung_up_has_no_turn(place: Place) -> None:
    for _ in range(10):
        place.line(GET + b"\r\n").close()
    with place.line(GET + b"\r\n") as line:
        until(place.has_waiting(11))
        place.turn()
        assert line.recv(1000).startswith(NO_CONTENT)
    assert place.taken_in == 1


def test_who_says_nothing_is_looked_at_when_they_do(place: Place) -> None:
    with place.line() as good, place.line() as stranger, place.line() as gone:
        with place.line(GOOD) as line:  # by then it has looked at those before
            assert line.recv(1000).startswith(NO_CONTENT)
        gone.close()
        good.sendall(GOOD)
        assert good.recv(1000).startswith(NO_CONTENT)
        stranger.sendall(GET + b"\r\n")
        until(place.has_waiting(1))
        place.turn()
        assert stranger.recv(1000).startswith(NO_CONTENT)
    assert place.taken_in == 3


def test_so_many_of_an_address_wait_and_those_who_have_gone_make_room(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_admission, "WAITING", 3)
    monkeypatch.setattr(connection_admission, "AGAIN", 0.0)
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(place.line(GET + b"\r\n")) for _ in range(3)]
        until(place.has_waiting(3))
        with place.line(GET + b"\r\n") as line, contextlib.suppress(ConnectionResetError):
            assert line.recv(1000) == b""
        waiting[1].close()
        stack.enter_context(place.line(GET + b"\r\n"))
        until(place.has_waiting(4))
        line = stack.enter_context(place.line(GOOD))
        assert line.recv(1000).startswith(NO_CONTENT)


def test_silent_connections_have_an_end(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_admission, "SILENT", 2)
    with place.line() as first, place.line(), place.line(), contextlib.suppress(ConnectionResetError):
        assert first.recv(1000) == b""


def test_who_waits_when_the_service_ends_is_sent_away(place: Place) -> None:
    with place.line(GET + b"\r\n") as stranger, place.line() as silent:
        until(place.has_waiting(1))
        place.end()
        for line in (stranger, silent):
            with contextlib.suppress(ConnectionResetError):
                assert line.recv(1000) == b""
        place.strangers._next()
    assert place.taken_in == 0


def test_one_person_s_connections_are_bounded_and_beyond_a_rate_they_have_turns(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """One token opened as many as there are, and nobody else had one; each costs as much as a request."""
    monkeypatch.setattr("api.strangers.OPEN", 2)
    with place.line(GOOD) as one, place.line(GOOD) as two:
        assert [line.recv(1000)[: len(NO_CONTENT)] for line in (one, two)] == [NO_CONTENT] * 2
        with place.line(GOOD) as three:
            assert b"".join(iter(lambda: three.recv(10_000), b"")).startswith(b"HTTP/1.1 429")
        one.sendall(GOOD)
        assert one.recv(1000).startswith(NO_CONTENT)
    until(lambda: not place.strangers._open)
    monkeypatch.setattr("api.strangers.NEW", 1e-9)
    place.strangers._new_until["u_good"] = 1e12
    with place.line(GOOD) as late:
        until(place.has_waiting(1))
        place.turn()
        assert late.recv(1000).startswith(NO_CONTENT)
