"""Answers that are sent part by part: no client makes the service keep a whole table, and who stops reading is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from api.rate_limit import RateLimit
from api.records.people import Caller
from api.records.shares import Shares
from frugaltwin.errors import StoreError

STALLED = 60.0
"""s after which an answer is broken off whose reader takes nothing."""


class Parts(StreamingResponse):
    """An answer in parts that are made while they are read."""

    async def stream_response(self, send: Send) -> None:
        async def in_time(message: Message) -> None:
            async with asyncio.timeout(STALLED):
                await send(message)

        try:
            await super().stream_response(in_time)
        except (TimeoutError, StoreError):  # the connection is closed; the reader sees that it is not whole
            return


class File(Parts):
    """A file to be saved. It counts as a request that waits: nobody has many of them at once."""

    def __init__(
        self, parts: Iterator[str | bytes], name: str, media_type: str, limit: RateLimit, caller: Caller, shares: Shares
    ) -> None:  # fmt: skip
        """An answer; nothing is made yet.

        Args:
            parts: Each is made in a thread, in its reader's turn, when the one before has been sent.
            name: Of the file.
            limit: Of requests that wait.
        """
        super().__init__(_in_turn(parts, shares), 200, {"Content-Disposition": f'attachment; filename="{name}"'}, media_type)
        self._limit, self._caller = limit, caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._limit.waiting(self._caller):
            await super().__call__(scope, receive, send)


async def _in_turn(parts: Iterator[str | bytes], shares: Shares) -> AsyncIterator[str | bytes]:
    while (part := await shares.ask(partial(next, parts, None))) is not None:
        yield part
