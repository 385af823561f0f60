"""HTTP of the service: uvicorn's, with limits for clients that have shown no token yet.

Limits on the head of a request, its time, and what is sent ahead. A process has only so many connections and so much time, and a parser
that collects an endless header takes all of it. A request is not parsed before the one before it is answered: a client that asks and
hangs up costs one request, however many it sent; and one without a good token waits for its turn. Nothing here writes to the log: a
stranger could fill the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import httptools
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.request_limits import REPORTS, SLOWEST
from api.routes import problems
from api.strangers import OPEN, Strangers

HEAD = 65_536
"""Bytes at most of the head of a request: address and headers."""
_END = b"\r\n\r\n"  # of a head, and of a body in parts
_TOO_LARGE = f"the head of a request has at most {HEAD:,} bytes; send a shorter address and fewer headers"
_NO_HTTP = "this is no HTTP that the service understands; send it as HTTP/1.1"

_TOO_MANY = f"a person has at most {OPEN} connections open; close some, and use one for many requests"


class _TooLargeError(Exception):
    """The head of a request goes on and on."""


class _TooManyError(Exception):
    """The parser sees another request than the one that is to be answered."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP with limits; without them, it would read and wait for ever."""

    patience = SLOWEST
    had_turn = False
    """Whether the connection came in by a turn, which is its first request's too."""
    _person: str | None = None  # whose connection it is, as far as a token said
    _timer: asyncio.TimerHandle | None = None
    _has_head = False  # of the request that arrives
    _n_head = 0  # bytes of a head, as far as it was parsed
    _n_bytes = 0  # of the request that arrives, but for its body and for what came together with its beginning
    _n_left: int | None = None  # bytes of the body that have not come; None where it comes in parts, or there is none
    _is_whole = False  # the request has come to its end
    _last = b""  # of a head or of parts: what may be the beginning of their end
    _waiting = b""  # what was sent ahead

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        if self._person is not None:
            self.app_state["strangers"].close_connection(self._person)
        self._give_up()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        self._parse()

    def _parse(self) -> None:
        """Parse what has come, up to the end of a request that is not answered yet."""
        while self._waiting and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            if self._is_whole and not self.cycle.response_complete:
                if len(self._waiting) > HEAD:  # until then it is read, so that one who hangs up is noticed
                    self.flow.pause_reading()
                return
            if self._timer is None and (self.cycle is None or self.cycle.response_complete):
                self._start_timer()
            n = self._n_next()
            part, self._waiting = self._waiting[:n], self._waiting[n:]
            self._n_bytes += n
            self._feed(part)

    def _n_next(self) -> int:
        """The number of bytes that belong to one request for certain."""
        if self._n_left:
            return min(self._n_left, len(self._waiting))
        at = (self._last + self._waiting).find(_END)
        return len(self._waiting) if at < 0 else at + len(_END) - len(self._last)

    def _feed(self, part: bytes) -> None:
        self._last = (self._last + part)[-3:]
        try:
            self.parser.feed_data(part)
        except httptools.HttpParserUpgrade:
            pass  # to nothing that there is here: it is answered like any other request
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, _TooManyError):
                self._hang_up()
            elif isinstance(cause, _TooLargeError):
                self._refuse(431, "too-large", "Too large", _TOO_LARGE)
            else:
                self._refuse(400, "invalid-input", "Not HTTP", _NO_HTTP)
        else:
            if self._n_bytes > (REPORTS if self._has_head else HEAD):  # a body in parts has headers at its end, too
                self._refuse(431, "too-large", "Too large", _TOO_LARGE)

    def on_message_begin(self) -> None:
        self._has_head, self._n_head, self._n_bytes = False, 0, 0
        self._is_whole, self._n_left = False, None
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)
        if name.lower() == b"content-length":
            self._n_left = int(value)

    def on_headers_complete(self) -> None:
        self._cancel()
        self._has_head = True
        if self.cycle is not None and not self.cycle.response_complete:
            raise _TooManyError
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._n_bytes -= len(body)  # which `RequestLimits` reads as far as it wants to
        if self._n_left is not None:
            self._n_left -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._n_bytes, self._is_whole, self._last = 0, True, b""
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._waiting:
            self.loop.call_soon(self._parse)  # by then a client that has gone is known

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        async def answer(scope: Any, receive: Any, send: Any) -> None:
            with contextlib.suppress(asyncio.CancelledError):  # the service ends before it is answered
                await app(scope, receive, send)
                if not cycle.response_started:
                    return  # a mistake, which is answered and logged
            if not cycle.response_complete:
                self._hang_up()

        def begin() -> bool:
            if not cycle.disconnected:
                super(BoundedProtocol, self)._start_asgi_task(cycle, answer)
            return not cycle.disconnected

        strangers: Strangers | None = self.app_state.get("strangers")
        had_turn, self.had_turn = self.had_turn, False
        if strangers is None:
            begin()
            return
        shown = next((value for name, value in cycle.scope["headers"] if name == b"authorization"), b"")
        token = shown.partition(b" ")[2].strip().decode("latin-1")
        if self._person is None and (person := strangers.whose(token)):
            if not strangers.open_connection(person):
                self.transport.write(_words(problems.document(429, "too-many-requests", "Too many connections", _TOO_MANY, True)))
                self._hang_up()
                return
            self._person = person
        if had_turn:
            begin()
        else:
            strangers.admit(token, self.client[0] if self.client else "", begin)

    def _count(self, n: int) -> None:
        self._n_head += n
        if self._n_head > HEAD:
            raise _TooLargeError

    def _refuse(self, status: int, name: str, title: str, detail: str) -> None:
        """Hang up; say why where nothing else is being said, or was."""
        if not self._has_head and (self.cycle is None or self.cycle.response_complete):
            self.transport.write(_words(problems.document(status, name, title, detail)))
        self._hang_up()

    def _hang_up(self) -> None:
        self._give_up()
        self.transport.close()

    def _give_up(self) -> None:
        """The client does not hear the answer any more."""
        self._waiting = b""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.patience, self.transport.close)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _words(answer: Response) -> bytes:
    """An answer as it is sent, outside of any application."""
    head = b"".join(b"%s: %s\r\n" % header for header in answer.raw_headers)
    return b"HTTP/1.1 %d \r\n%sconnection: close\r\n\r\n%s" % (answer.status_code, head, bytes(answer.body))
