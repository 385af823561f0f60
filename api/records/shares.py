"""Fair shares of the service's core: whoever asks for much waits for themselves, and nobody else for them.

Python runs one thread at a time. While other people ask too, a person has one reading at a time, and whatever took long makes what they
ask next wait, so that they take a part of a core at most. Alone, nobody waits, and nothing is remembered against them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import coroutine
from typing import Any, Generic, ParamSpec, TypeVar

from frugaltwin.errors import StoreError

T = TypeVar("T")
P = ParamSpec("P")

GONE = "the service is shutting down; try again when it is up"

WHOSE: ContextVar[str | None] = ContextVar("WHOSE", default=None)
"""The person for whom something is done; None as long as nobody knows, and for the service's own work, which never waits."""
REST = 9.0
"""Time that a person's next request waits, in multiples of the time of a core that the last one took."""
SLACK = 1.0
"""s of waiting that are not asked for: a page is several readings at once."""
LEAST = 0.0005
"""s of a core that a request counts for when it begins; what it takes in truth counts when it has ended."""
EXPERIMENT = 0.001
"""s of a core that an experiment takes after it was submitted, at least: a lease, a report, and events."""
TOGETHER = 1.0
"""s for which what another person asked is remembered: after that, a person is alone."""


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
        self._latest_at = self._others_at = float("-inf")  # when the latest one asked, and when another person than they did

    async def turn(self, whose: str, seconds: float = LEAST) -> None:
        """Wait for a person's turn, and count what they begin.

        Args:
            seconds: Of a core, that it will take at least.

        Raises:
            StoreError: The service began to shut down before it was their turn.
        """
        is_together = self._is_with_others(whose)
        free_at = self._of[whose].free_at if whose in self._of else 0.0
        self.charge(whose, seconds)  # at once: whoever comes meanwhile waits for longer
        if is_together:
            await self._wait_until(free_at)

    async def ask(self, question: Callable[[], T]) -> T:
        """The answer of a question that is asked in a thread, in its person's turn.

        Raises:
            StoreError: The service began to shut down before it was their turn.
        """
        whose = WHOSE.get()
        if whose is None:
            return await asyncio.to_thread(question)
        share = self._of.setdefault(whose, _Share())
        is_late = self._over.is_set()  # and so is answered: whatever waits for news asks once more when the service ends
        async with share.lock:
            if self._is_with_others(whose):
                await self._wait_until(share.free_at)
            if self._over.is_set() and not is_late:
                raise StoreError(GONE)
            timed = Timed(question)
            try:
                return await asyncio.to_thread(timed)
            finally:
                self.charge(whose, timed.seconds)

    def charge(self, whose: str | None, seconds: float) -> None:
        """Count time of a core that was taken for a person, if they are not alone. Called in the event loop."""
        now = time.monotonic()
        if whose is not None and now - self._others_at < TOGETHER:
            share = self._of.setdefault(whose, _Share())
            share.free_at = max(share.free_at, now - SLACK) + REST * seconds

    def leave(self) -> None:
        """End every wait: the service is about to end."""
        self._over.set()

    async def _wait_until(self, then: float) -> None:
        if not self._over.is_set() and (wait := then - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._over.wait()
                raise StoreError(GONE)

    def _is_with_others(self, whose: str) -> bool:
        now = time.monotonic()
        if whose != self._latest:
            self._latest, self._others_at = whose, self._latest_at
        self._latest_at = now
        return now - self._others_at < TOGETHER


@coroutine
def timed(work: Awaitable[None], took: Callable[[float], None]) -> Generator[Any, Any, None]:
    """Await something, and say how much time of a core that took, without what others did while it waited."""
    steps, seconds, value, error = work.__await__(), 0.0, None, None
    try:
        while True:
            begun = time.thread_time()
            try:
                awaited = steps.send(value) if error is None else steps.throw(error)
            except StopIteration:
                return
            finally:
                seconds += time.thread_time() - begun
            value = error = None
            try:
                value = yield awaited
            except BaseException as raised:  # whatever it is, it is for what is awaited
                error = raised
    finally:
        took(seconds)


class Timed(Generic[P, T]):
    """A function that says afterwards how much time of a core it took."""

    def __init__(self, call: Callable[P, T]) -> None:
        self._call = call
        self.seconds = 0.0

    def __call__(self, *args: P.args, **words: P.kwargs) -> T:
        begun = time.thread_time()
        try:
            return self._call(*args, **words)
        finally:
            self.seconds += time.thread_time() - begun
