"""Connections of callers, of which a process has only so many: who takes too long to say what they want is hung up on."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.service import SLOWEST


class Prompt(HttpToolsProtocol):
    """uvicorn's HTTP, in which the head of a request has so long to arrive; it would wait for ever."""

    patience = SLOWEST
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_come()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._late is None and (self.cycle is None or self.cycle.response_complete):
            self._expect()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._has_come()
        super().on_headers_complete()

    def _expect(self) -> None:
        self._late = self.loop.call_later(self.patience, self.transport.close)

    def _has_come(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
