"""A hostile stranger without a token: takes nobody's connections, time, memory or disk."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn

from tests.service_database import until

if sys.platform == "win32":
    pytest.skip("there the service uses the protocol that uvicorn chooses", allow_module_level=True)

import uvloop

from api.http_protocol import HEAD, BoundedProtocol
from api.strangers import Strangers
from tests.running_service import running

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LONG = b"a" * 65_536


class Application:
    """Answers what it is asked, and says how often; what is slow waits until it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.answered = 0
        self.may_go_on = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        if scope["path"] == "/slow":
            while not self.may_go_on.is_set():
                await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        self.answered += 1


@pytest.fixture
def application() -> Application:
    return Application()


@contextlib.contextmanager
def listening(application: Application, protocol: type[BoundedProtocol] = BoundedProtocol) -> Iterator[Any]:
    """The address of a server."""
    server = uvicorn.Server(
        uvicorn.Config(application, "127.0.0.1", 0, http=protocol, ws="none", lifespan="off", log_config=None, timeout_keep_alive=1)
    )
    runner = threading.Thread(target=lambda: uvloop.run(server.serve()))
    runner.start()
    until(lambda: server.started)
    try:
        yield server.servers[0].sockets[0].getsockname()
    finally:
        application.may_go_on.set()
        server.should_exit = True
        runner.join()


def poured(address: Any, first: bytes, piece: bytes, most: int) -> int:
    """The number of bytes that are taken before somebody hangs up."""
    sent = 0
    with socket.create_connection(address, timeout=30) as line, contextlib.suppress(ConnectionError):
        line.sendall(first)
        while sent < most:
            line.sendall(piece)
            sent += len(piece)
    return sent


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ",
        b"GET / HTTP/1.1\r\nHost: x\r\nX",
        b"GET /",
        GET + b"GET / HTTP/1.1\r\nX-A: ",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: ",
    ],
    ids=["a header", "a header's name", "an address", "a second head", "a header behind a body"],
)
def test_a_head_that_goes_on_and_on_is_hung_up_on(application: Application, first: bytes) -> None:
    """The parser copies what it has with every piece: 100 MB took all of a core for a quarter of a minute."""
    with listening(application) as address:
        assert poured(address, first, LONG, 40_000_000) < 20_000_000  # what the system's own buffers take included
        with socket.create_connection(address, timeout=30) as line:
            line.sendall(GET)
            assert line.recv(1000).startswith(b"HTTP/1.1 204")


@pytest.mark.parametrize(
    "head", [b"X-A: " + LONG, b"".join(b"X-%d: %s\r\n" % (i, LONG[:1000]) for i in range(70))], ids=["one header", "many headers"]
)
def test_a_head_that_is_too_long_is_refused_with_words(application: Application, head: bytes) -> None:
    with listening(application) as address, socket.create_connection(address, timeout=30) as line:
        line.sendall(GET[:-2] + head + b"\r\n\r\n")
        heard = b"".join(iter(lambda: line.recv(10_000), b""))
        assert heard.startswith(b"HTTP/1.1 431")
        assert b"problems/too-large" in heard
    assert application.asked == 0


def test_a_head_of_nearly_that_size_is_answered(application: Application) -> None:
    with listening(application) as address, socket.create_connection(address, timeout=30) as line:
        for _ in range(3):  # each head is counted by itself
            line.sendall(GET[:-2] + b"X-A: " + LONG[: HEAD - 100] + b"\r\n\r\n")
            assert line.recv(1000).startswith(b"HTTP/1.1 204")


def test_a_long_body_is_no_head(application: Application) -> None:
    """Whoever reads it says how long it may be."""
    with listening(application) as address, socket.create_connection(address, timeout=30) as line:
        line.sendall(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n" + LONG[:50_000])
        line.sendall(GET)
        application.may_go_on.set()
        heard = b""
        while heard.count(b"HTTP/1.1 204") < 2:
            heard += line.recv(1000)


def test_requests_that_are_sent_ahead_are_not_read_and_nobody_answers_them_when_their_sender_has_gone(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    """Each cost as much to read as one that is waited for, and a thousand were answered one by one to nobody."""
    read: list[bytes] = []

    class Watched(BoundedProtocol):
        def on_url(self, url: bytes) -> None:
            read.append(url)
            super().on_url(url)

    with listening(application, Watched) as address, caplog.at_level(logging.INFO):
        with socket.create_connection(address, timeout=30) as line:
            line.sendall(GET.replace(b"/ ", b"/slow ", 1) + 15 * GET)
            until(lambda: application.asked == 1)
        application.may_go_on.set()
        until(lambda: application.answered >= 1)
        with socket.create_connection(address, timeout=30) as line:
            line.sendall(GET)
            assert line.recv(1000).startswith(b"HTTP/1.1 204")
    assert len(read) == application.asked <= 3  # the second one, too, if it was not yet noticed that nobody is there
    assert [r.message for r in caplog.records if r.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("n", [1, 7, 10_000], ids=lambda n: f"by {n}")
def test_requests_that_are_sent_ahead_are_answered_in_their_order(application: Application, n: int) -> None:
    """However the parts of them arrive, and whatever kind of body they have."""
    post = b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n\r\n\r\n\r\n"
    parts = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\n0\r\nX-A: b\r\n\r\n"
    sent = post + GET + parts + parts + post + GET
    with listening(application) as address, socket.create_connection(address, timeout=30) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(0, len(sent), n):
            line.sendall(sent[i : i + n])
        until(lambda: application.asked == 1)
        application.may_go_on.set()
        heard = b""
        while heard.count(b"HTTP/1.1 204") < 6:
            heard += line.recv(10_000)
    assert application.asked == 6
    assert heard.count(b"HTTP/1.1 ") == 6


@pytest.mark.parametrize(
    ("words", "status"),
    [(b"nonsense\r\n\r\n", b"400"), (GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", b"204")],
    ids=["no HTTP", "an upgrade"],
)
def test_a_stranger_writes_nothing_into_the_log(
    application: Application, caplog: pytest.LogCaptureFixture, words: bytes, status: bytes
) -> None:
    with (
        listening(application) as address,
        caplog.at_level(logging.INFO),
        socket.create_connection(address, timeout=30) as line,
    ):
        line.sendall(words)
        assert line.recv(1000).startswith(b"HTTP/1.1 " + status)
    assert [r.message for r in caplog.records if r.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    ("first", "then"),
    [(b"", b""), (b"GET / HTTP/1.1\r\nX-A: ", b""), (GET, b""), (GET, b"\r\n"), (GET, b"GET / HTTP/1.1\r\nX-A: ")],
    ids=["nothing", "half a head", "nothing more", "an empty line more", "half a head more"],
)
def test_who_takes_too_long_to_say_what_they_want_is_hung_up_on(application: Application, first: bytes, then: bytes) -> None:
    class Hasty(BoundedProtocol):
        patience = 0.2

    with listening(application, Hasty) as address, socket.create_connection(address, timeout=30) as line:
        line.sendall(first)
        if first == GET:
            assert line.recv(1000).startswith(b"HTTP/1.1 204")
            line.sendall(then)
        assert line.recv(1000) == b""  # it hangs up


def test_a_service_that_ends_before_it_has_answered_hangs_up_and_logs_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    has_begun = threading.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/half":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            return
        has_begun.set()
        await asyncio.Event().wait()

    config = uvicorn.Config(endless, "127.0.0.1", 0, http=BoundedProtocol, ws="none", lifespan="off", log_config=None)
    config.timeout_graceful_shutdown = 0
    server = uvicorn.Server(config)
    runner = threading.Thread(target=lambda: uvloop.run(server.serve()))
    runner.start()
    until(lambda: server.started)
    address = server.servers[0].sockets[0].getsockname()
    with socket.create_connection(address, timeout=30) as line, socket.create_connection(address, timeout=30) as half:
        line.sendall(GET)
        half.sendall(GET.replace(b"/ ", b"/half ", 1))
        heard = b"".join(iter(lambda: half.recv(1000), b""))
        has_begun.wait(30)
        server.should_exit = True
        runner.join()
        assert heard.startswith(b"HTTP/1.1 200")
        assert line.recv(1000) == b""
    assert not [r for r in caplog.records if r.exc_info or "ASGI" in r.message]


def begun(monkeypatch: pytest.MonkeyPatch, entries: list[tuple[str, str]], gone: str = "", *, is_busy: bool) -> list[str]:
    """The requests in the order in which they begin, all of them sent at one moment.

    Args:
        entries: Token and address of each.
        gone: The address whose clients have hung up.
    """
    monkeypatch.setattr("api.strangers.time", SimpleNamespace(monotonic=lambda: 0.0))  # not the loop's: that one goes on
    order: list[str] = []

    async def day() -> None:
        strangers = Strangers()
        strangers.welcome("ft_good", "u_good")
        if is_busy:
            strangers.admit("ft_good", "9", lambda: True)
            strangers.admit("", "9", lambda: True)
        for n, (token, address) in enumerate(entries):

            def begin(words: str = f"{address}{n}", is_there: bool = address != gone) -> bool:
                if is_there:
                    order.append(words)
                return is_there

            strangers.admit(token, address, begin)
        while len(order) < sum(address != gone for _, address in entries):
            await asyncio.sleep(0)

    asyncio.run(day())
    return order


def test_requests_of_strangers_begin_in_turn_and_a_good_token_has_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [("", "a"), ("ft_no", "a"), ("", "a"), ("", "b"), ("ft_good", "b")]
    assert begun(monkeypatch, entries, is_busy=True) == ["b4", "a0", "b3", "a1", "a2"]
    assert begun(monkeypatch, entries, "a", is_busy=True) == ["b4", "b3"]
    assert begun(monkeypatch, entries, is_busy=False)[0] == "a0"  # nobody else asks


@pytest.mark.timing
def test_while_others_ask_requests_of_strangers_begin_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the loop turns."""
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    order: list[int] = []

    async def day() -> None:
        strangers = Strangers()
        strangers.welcome("ft_good", "u_good")
        strangers.admit("ft_good", "9", lambda: True)
        for n in range(10):

            def begin(n: int = n) -> bool:
                order.append(n)
                return True

            strangers.admit("", "a", begin)
        for _ in range(100):
            await asyncio.sleep(0)

    asyncio.run(day())
    assert order == [0]


def test_a_token_that_was_good_is_no_strangers_until_it_is_revoked(fresh_url: Callable[[], str]) -> None:
    with running(fresh_url()) as service:
        known = service.service.strangers._known
        with service.client("ft_nobody") as client:
            assert client.get("/v1/me").status_code == 401
        assert known == {}
        with service.client(service.admin) as admin:
            made = admin.post("/v1/tokens", json={"scopes": ["read"], "note": "other"}).json()
            assert len(known) == 1
            with service.client(made["token"]) as client:
                assert client.get("/v1/me").status_code == 200
                assert len(known) == 2
                assert admin.delete(f"/v1/tokens/{made['id']}").status_code < 300
                until(lambda: client.get("/v1/me").status_code == 401)
        assert len(known) == 1
