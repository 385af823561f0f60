"""The parts of one process of the service, from its database to its strategy processes; and whose a token is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from api.errors import TooMany, Unauthorized
from api.event_streams import EventStreams
from api.news import News
from api.rate_limit import RateLimit
from api.records import people, tokens
from api.records.database import Database
from api.records.hand_ins import KnownLines
from api.records.people import Caller
from api.records.rigs import Rigs
from api.records.shares import WHOSE
from api.settings import Settings
from api.strangers import REMEMBERED, Strangers
from api.workers.strategy_processes import StrategyProcesses

REMEMBER = 2.0
"""s for which a token is accepted without asking the database again: another process may have revoked it."""
LATE = 0.5
"""s after which a request too many is refused: a refusal at once would only bring the next request."""


@dataclass
class Service:
    """One process of the service."""

    settings: Settings
    database: Database
    rigs: Rigs = field(default_factory=Rigs)
    is_leaving: bool = False
    """Whether the process is about to end: every wait ends."""
    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """Answered by this process: by method, route and status."""
    _callers: dict[str, tuple[float, Caller]] = field(default_factory=dict)
    """Seen lately, and when, by the digest of the token."""

    def __post_init__(self) -> None:
        self.news = News(self.settings.poll)
        self.strangers = Strangers()
        self.rate_limit = RateLimit(self.settings.requests_per_second, self.settings.burst)
        self.streams = EventStreams(self.database, self.news, self.settings.heartbeat, on_revoked=self.forget)
        self.lines: dict[str, KnownLines] = {}
        self.strategies = StrategyProcesses(self.settings.thinkers, self.settings.nice)

    def leave(self) -> None:
        """End every stream and every wait: the process is about to end. Called in the event loop."""
        self.is_leaving = True
        self.streams.end()
        self.strategies.leave()
        self.database.shares.leave()
        self.news.announce()

    async def caller(self, words: str, *, is_work: bool = False) -> Caller:
        """The person whose token this is; each request counts against its limit.

        Args:
            is_work: Whether it is a rig's worker that asks: a class waits for it, so it never waits.

        Raises:
            Unauthorized: The token is unknown, or not good any more.
            TooMany: Too many requests lately.
        """
        now, digest = self.database.now(), people.digest(words)
        at, found = self._callers.get(digest, (0.0, None))
        is_fresh = found is not None and 0 <= now - at < REMEMBER and (found.expires_at is None or found.expires_at > now)
        if found is None or not is_fresh:
            try:
                found = await self.database.read(lambda c: people.caller(c, now, words))
            except Unauthorized:
                self.strangers.forget(words)
                raise
            self._callers[digest] = now, found
            self.strangers.welcome(words, found.person)
        try:
            self.rate_limit.count(found)
        except TooMany:
            await asyncio.sleep(LATE)
            raise
        if not is_work:
            WHOSE.set(found.person)
            await self.database.shares.turn(found.person)
        return found

    def forget(self) -> None:
        """Ask the database again about every token: one was revoked."""
        self._callers.clear()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Service]:
    """A service on an up-to-date database."""
    database = Database(settings.url)
    service = Service(settings, database)
    loop = asyncio.get_running_loop()

    def announce() -> None:
        loop.call_soon_threadsafe(service.news.announce)

    database.on_commit(announce)
    try:
        service.strangers.remember(await database.read(lambda c: tokens.good(c, database.now(), REMEMBERED)))
        yield service
    finally:
        service.leave()
        await service.streams.close()
        await asyncio.to_thread(service.strategies.close)
        await asyncio.to_thread(database.close)
