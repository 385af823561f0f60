"""What the parts of a running service share: its database, its clock, who was seen lately, and who listens for news."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from api.errors import TooMany
from api.event_streams import Feed
from api.records import people
from api.records.database import Database
from api.records.people import Caller
from api.records.rigs import Benches
from api.settings import Settings
from api.workers.strategy_processes import Thinkers

REMEMBER = 2.0  # s that a token is taken for good without asking again: another process may have revoked it
TOGETHER = 2
"""Times the limit of one token that all tokens of a person may ask: twenty tokens are no twenty places at the counter."""
WAITS = 50
"""Requests of one person that may wait at once: each holds a connection."""
WRONG_CODES = 30  # join codes that one address may get wrong in a minute; right ones don't count, for a classroom is one address
ADDRESSES = 10_000  # remembered at most
BODY = 100_000  # bytes of a request at most
REPORTS = 1_000_000  # bytes of what a worker reports at once, at most
SLOWEST = 30.0  # s that a request may take to arrive


@dataclass
class Bucket:
    """A token bucket: how many requests somebody may still make now."""

    level: float
    at: float
    """s of a clock that nobody sets."""


@dataclass
class Service:
    """One process of the service."""

    settings: Settings
    database: Database
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and replaced by a fresh one, after every commit: whoever waits looks again."""
    benches: Benches = field(default_factory=Benches)
    is_leaving: bool = False
    """Whoever waits for something stops waiting: the process is about to end."""
    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """Answered by this process: by method, route and status."""
    _seen: dict[str, tuple[float, Caller]] = field(default_factory=dict)
    _buckets: dict[str, Bucket] = field(default_factory=dict)
    _wrong_codes: dict[str, Bucket] = field(default_factory=dict)
    _waits: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.feed = Feed(self)
        self.thinkers = Thinkers(self.settings.thinkers)

    def leave(self) -> None:
        """The process is about to end: end every stream, and every wait. Called in the event loop."""
        self.is_leaving = True
        self.feed.end()
        self.announce()

    async def caller(self, words: str) -> Caller:
        """Who has this token; each request counts against its limit.

        Raises:
            Unauthorized: Nobody, or not any more.
            TooMany: Too many requests lately.
        """
        now, digest = self.database.now(), people.digest(words)
        at, found = self._seen.get(digest, (0.0, None))
        is_fresh = found is not None and 0 <= now - at < REMEMBER and (found.expires_at is None or found.expires_at > now)
        if found is None or not is_fresh:
            found = await self.database.read(lambda c: people.caller(c, now, words))
            self._seen[digest] = now, found
        self._count(found)
        return found

    @contextmanager
    def waiting(self, caller: Caller) -> Iterator[None]:
        """While a request waits for something.

        Raises:
            TooMany: Too many requests of this person wait.
        """
        if self._waits[caller.person] >= WAITS:
            raise TooMany(f"{WAITS} of your requests wait; let one of them end first")
        self._waits[caller.person] += 1
        try:
            yield
        finally:
            self._waits[caller.person] -= 1

    def forget(self) -> None:
        """Ask the database again about every token: one was revoked."""
        self._seen.clear()

    def check_wrong_codes(self, address: str) -> None:
        """Refuse an address that guesses.

        Raises:
            TooMany: It sent too many wrong join codes lately.
        """
        bucket = self._wrong_codes.get(address)
        if bucket is None:
            return
        now = time.monotonic()
        level = min(WRONG_CODES, bucket.level + max(0.0, now - bucket.at) * WRONG_CODES / 60)
        if level < 1:
            error = TooMany(f"{address} sent more than {WRONG_CODES} wrong codes in a minute; ask your instructor for the code, and wait")
            error.retry_after = (1 - level) * 60 / WRONG_CODES
            raise error

    def count_wrong_code(self, address: str) -> None:
        """It sent a wrong one."""
        now = time.monotonic()
        if len(self._wrong_codes) >= ADDRESSES:
            self._wrong_codes = {a: b for a, b in self._wrong_codes.items() if now - b.at < 60}
        bucket = self._wrong_codes.setdefault(address, Bucket(WRONG_CODES, now))
        bucket.level = min(WRONG_CODES, bucket.level + max(0.0, now - bucket.at) * WRONG_CODES / 60) - 1
        bucket.at = now

    def _count(self, caller: Caller) -> None:
        if "work" in caller.scopes:
            return
        now = time.monotonic()
        limits, asked = self.settings, []
        for whose, times, words in ((caller.token, 1, "one token"), (caller.person, TOGETHER, "all tokens of one person")):
            burst, rate = times * limits.burst, times * limits.requests_per_second
            bucket = self._buckets.setdefault(whose, Bucket(burst, now))
            bucket.level = min(burst, bucket.level + max(0.0, now - bucket.at) * rate)
            bucket.at = now
            if bucket.level < 1:
                wait = (1 - bucket.level) / rate
                error = TooMany(f"more than {rate:g} requests a second with {words}; wait {wait:.1f} s")
                error.retry_after = wait
                raise error
            asked.append(bucket)
        for bucket in asked:  # a refused request is not counted
            bucket.level -= 1

    async def wait_for_news(self, timeout: float, since: asyncio.Event | None = None) -> None:
        """Until something was committed here, or elsewhere (then at most `Settings.poll` late), or the time is over.

        Args:
            since: `news` as it was before the database was asked, so that nothing falls between.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(timeout, self.settings.poll)):  # Python 3.11's wait_for may swallow a cancellation
                await (since or self.news).wait()

    def announce(self) -> None:
        """Something was committed. Called in the event loop."""
        before, self.news = self.news, asyncio.Event()
        before.set()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Service]:
    """A service on an up-to-date database."""
    database = Database(settings.url)
    service = Service(settings, database)
    loop = asyncio.get_running_loop()

    def announce() -> None:
        loop.call_soon_threadsafe(service.announce)

    database.on_commit(announce)
    try:
        yield service
    finally:
        service.leave()
        await service.feed.close()
        await asyncio.to_thread(service.thinkers.close)
        await asyncio.to_thread(database.close)
