"""HTTP of the service: uvicorn's, with limits for clients that have shown no token yet.

Limits on the head of a request, its time, and requests that are sent ahead. A process has only so many connections and so much time, and
a parser that collects an endless header takes all of it. Nothing here writes to the log: a stranger could fill the disk.
"""

from __future__ import annotations

import asyncio

import httptools
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.request_limits import REPORTS, SLOWEST
from api.routes import problems

HEAD = 65_536
"""Bytes at most of the head of a request: address and headers."""
AHEAD = 16
"""Requests at most of one connection that wait for the answer to an earlier one."""
_TOO_LARGE = f"the head of a request has at most {HEAD:,} bytes; send a shorter address and fewer headers"
_NO_HTTP = "this is no HTTP that the service understands; send it as HTTP/1.1"


class _TooLargeError(Exception):
    """The head of a request goes on and on."""


class _TooManyError(Exception):
    """Too many requests were sent ahead."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP with limits; without them, it would read and wait for ever."""

    patience = SLOWEST
    _timer: asyncio.TimerHandle | None = None
    _has_head = False  # of the request that arrives
    _n_head = 0  # bytes of a head, as far as it was parsed
    _n_bytes = 0  # of the request that arrives, but for its body and for what came together with its beginning
    _answering: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        self._give_up()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._start_timer()
        self._n_bytes += len(data)
        try:
            self.parser.feed_data(data)
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
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._cancel()
        self._has_head = True
        if len(self.pipeline) >= AHEAD:
            raise _TooManyError
        n_waiting = len(self.pipeline)
        super().on_headers_complete()
        if len(self.pipeline) == n_waiting:
            self._answering = self.cycle

    def on_body(self, body: bytes) -> None:
        self._n_bytes -= len(body)  # which `RequestLimits` reads as far as it wants to
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._n_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        following = self.pipeline[-1][0] if self.pipeline else None
        super().on_response_complete()
        if following is not None:
            self._answering = following

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
        """The client does not hear the answers any more. Uvicorn tells this only to the newest request."""
        waiting = [cycle for cycle, _ in self.pipeline]
        self.pipeline.clear()
        for cycle in (self._answering, *waiting):
            if cycle and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

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
