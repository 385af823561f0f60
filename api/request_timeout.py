"""A time limit for the head of a request. A process has only so many connections, so one that sends nothing is closed."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.request_limits import SLOWEST


class TimedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP with a time limit for the head of a request; without it, it would wait for ever."""

    patience = SLOWEST
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._start_timer()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._cancel()
        super().on_headers_complete()

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.patience, self.transport.close)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
