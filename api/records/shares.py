"""Fair shares of reading the database: whoever asks for much waits for themselves, and nobody else for them.

Python runs one thread at a time. While other people read too, a person has one reading at a time, and after one that took long their next
one waits, so that they take a part of a core at most. Alone, nobody waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from frugaltwin.errors import StoreError

T = TypeVar("T")

GONE = "the service is shutting down; try again when it is up"

WHOSE: ContextVar[str | None] = ContextVar("WHOSE", default=None)
"""The person for whom a request reads; None as long as nobody knows, and for the service's own work, which never waits."""
REST = 4.0
"""Time that a person's next reading waits, in multiples of the time of a core that the last one took."""
SLACK = 0.5
"""s of waiting that are not asked for: a page is several readings at once."""
LEAST = 0.001
"""s that a reading counts for at least: its request took as much outside of it."""
TOGETHER = 1.0
"""s for which another person's reading is remembered: after that, a person is alone."""


@dataclass
class _Share:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    free_at: float = 0.0


class Shares:
    """The shares of all people."""

    def __init__(self) -> None:
        self._of: dict[str, _Share] = {}
        self._over = asyncio.Event()
        self._latest: str | None = None
        self._others_at = -TOGETHER  # when another person than the latest one read

    async def ask(self, question: Callable[[], T]) -> T:
        """The answer of a question that is asked in a thread, in its person's turn.

        Raises:
            StoreError: The service began to shut down before it was their turn.
        """
        whose = WHOSE.get()
        if whose is None:
            return await asyncio.to_thread(question)
        is_late = self._over.is_set()  # and so is answered: whatever waits for news asks once more when the service ends
        share = self._of.setdefault(whose, _Share())
        async with share.lock:
            if not self._over.is_set() and self._is_with_others(whose) and (wait := share.free_at - time.monotonic()) > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._over.wait()
            if self._over.is_set() and not is_late:
                raise StoreError(GONE)
            seconds = LEAST

            def timed() -> T:
                nonlocal seconds
                begun = time.thread_time()
                try:
                    return question()
                finally:
                    seconds += time.thread_time() - begun

            try:
                return await asyncio.to_thread(timed)
            finally:
                share.free_at = max(share.free_at, time.monotonic() - SLACK) + REST * seconds

    def leave(self) -> None:
        """End every wait: the service is about to end."""
        self._over.set()

    def _is_with_others(self, whose: str) -> bool:
        now = time.monotonic()
        if whose != self._latest:
            self._latest, self._others_at = whose, now
        return now - self._others_at < TOGETHER
