"""The signal that something was committed, for everything in this process that waits for a change of the database."""

from __future__ import annotations

import asyncio
import contextlib


class News:
    """Announcements of commits, by this process or another one. Used in the event loop."""

    def __init__(self, poll: float) -> None:
        """No announcement yet.

        Args:
            poll: s after which a wait ends in any case, since another process may have written unheard.
        """
        self._poll = poll
        self._next = asyncio.Event()

    @property
    def now(self) -> asyncio.Event:
        """The next announcement, as `wait` takes it: ask for it before the database is asked, so that no commit falls between."""
        return self._next

    def announce(self) -> None:
        """Wake everything that waits."""
        before, self._next = self._next, asyncio.Event()
        before.set()

    async def wait(self, timeout: float, since: asyncio.Event | None = None) -> None:
        """Return at the next announcement, after `poll`, or when the time is over.

        Args:
            since: `now` as it was before the database was asked.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(timeout, self._poll)):  # Python 3.11's wait_for may swallow a cancellation
                await (since or self._next).wait()
