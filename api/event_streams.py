"""Streams of events: one reader of the event table in each process, and one short queue of events for each listener.

A listener has a position in the table (`after`). While it keeps up, it gets new events from memory, encoded once for all listeners. One
that falls behind reads on from its position in the table, so that a slow reader costs time and never memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain

from sqlalchemy import Connection

from api.errors import TooMany
from api.news import News
from api.records import event_log, tokens
from api.records.database import Database
from api.records.event_log import EVERYBODY, Filter
from api.records.people import Caller
from api.records.rows import EventRow
from frugaltwin.errors import FrugalTwinError, InvalidInput, StoreError

STREAMS = 10
"""Of one token at once."""
WAITING = 100  # events that a listener may lag behind in memory
PAGE = 100  # events read from the table at once
PACE = 0.02  # s between two reads of the table, so that one read serves many commits


@dataclass(frozen=True, slots=True)
class Framed:
    """An event, and the bytes that every stream sends of it."""

    row: EventRow
    frame: bytes


class Listener:
    """One stream: iterate it for the bytes to send. It ends with its token, when the service leaves, or when it is closed."""

    def __init__(self, database: Database, heartbeat: float, caller: Caller, wants: Filter) -> None:
        self.caller, self.wants = caller, wants
        self.after = 0
        """The id of the last event that it has sent."""
        self.is_over = False
        self.is_behind = False
        """Whether it reads from the table."""
        self._database, self._heartbeat = database, heartbeat
        self._waiting: deque[Framed] = deque()
        self._wake = asyncio.Event()
        self._has_begun = False

    @property
    def n_waiting(self) -> int:
        """The number of events that are kept in memory for it."""
        return len(self._waiting)

    def place(self, after: int, *, is_behind: bool) -> None:
        """Begin after an event, with those that have followed it since."""
        self.after, self.is_behind = after, is_behind

    def hear(self, framed: Framed) -> None:
        """Take an event that was just committed."""
        if self.is_behind or not self.wants.matches(framed.row):
            return
        if len(self._waiting) >= WAITING:
            self._waiting.clear()
            self.is_behind = True
        else:
            self._waiting.append(framed)
        self._wake.set()

    def end(self) -> None:
        """Send nothing more."""
        self.is_over = True
        self._wake.set()

    def __aiter__(self) -> Listener:
        return self

    async def __anext__(self) -> bytes:
        if not self._has_begun:
            self._has_begun = True
            return b"retry: 1000\nid: %d\n\n" % self.after  # a reader that is cut off before the first event knows where to go on
        until = time.monotonic() + self._heartbeat
        while not self._is_ended():
            if self.is_behind:
                try:
                    frames = await self._catch_up()
                except StoreError:  # it goes on by Last-Event-ID when the database is back
                    break
            else:
                frames = b"".join(n.frame for n in self._waiting if n.row.id > self.after)
                if self._waiting:
                    self.after = max(self.after, self._waiting[-1].row.id)
                    self._waiting.clear()
            if frames:
                return frames
            if (left := until - time.monotonic()) <= 0:
                return b":\n\n"
            if self.is_behind:
                continue
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._until_it_ends(left)):  # Python 3.11's wait_for may swallow a cancellation
                    await self._wake.wait()
        raise StopAsyncIteration

    async def _catch_up(self) -> bytes:
        self.is_behind = False  # from here on what is committed is heard again; what the table has too is skipped by its id
        self._waiting.clear()
        rows = await self._database.read(lambda c: event_log.since(c, self._database.now(), self.after, PAGE, self.wants))
        self.is_behind = self.is_behind or len(rows) == PAGE
        if rows:
            self.after = rows[-1].id
        return b"".join(frame(row) for row in rows)

    def _is_ended(self) -> bool:
        expires = self.caller.expires_at
        return self.is_over or (expires is not None and expires <= self._database.now())

    def _until_it_ends(self, left: float) -> float:
        expires = self.caller.expires_at
        return left if expires is None else max(0.0, min(left, expires - self._database.now()))


class EventStreams:
    """The listeners of this process of the service."""

    def __init__(self, database: Database, news: News, heartbeat: float, on_revoked: Callable[[], None]) -> None:
        """No listener yet.

        Args:
            news: Announces commits.
            heartbeat: s between two signs of life on a stream on which nothing happens.
            on_revoked: Called when a token was revoked, by whichever process.
        """
        self._database, self._news, self._heartbeat, self._on_revoked = database, news, heartbeat, on_revoked
        self._listeners: dict[str, set[Listener]] = {}  # by whose events they want; everybody's under EVERYBODY
        self._watchers: dict[str, set[asyncio.Event]] = {}  # by the id of an experiment or a campaign, or the name of a rig, which has no _
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    def __len__(self) -> int:
        return len(self.listeners())

    def listeners(self) -> list[Listener]:
        """Every stream that is open."""
        return [one for group in self._listeners.values() for one in group]

    async def listen(self, caller: Caller, wants: Filter, after: int | None) -> Listener:
        """A new listener; `leave` it when its stream is closed.

        Args:
            after: The id of the last event that it knows; None is the newest one.

        Raises:
            TooMany: The token has too many streams.
            InvalidInput: There is no such event yet.
            Unauthorized: The token was revoked.
        """
        listeners = self._listeners.setdefault(wants.person or EVERYBODY, set())
        if sum(one.caller.token == caller.token for one in listeners) >= STREAMS:
            raise TooMany(f"this token has {STREAMS} event streams open; close one of them first", retry_after=self._heartbeat)
        listener = Listener(self._database, self._heartbeat, caller, wants)
        listeners.add(listener)
        try:
            await self._read_from_now_on()
            newest = await self._database.read(partial(_newest, token=caller.token))
            if after is not None and after > newest:
                raise InvalidInput(f"there is no event {after} yet, the newest is {newest}; begin after that one")
        except BaseException:
            self.leave(listener)
            raise
        listener.place(newest if after is None else after, is_behind=after is not None and after < newest)
        return listener

    def leave(self, listener: Listener) -> None:
        """Take a listener away whose stream is closed."""
        listener.end()
        key = listener.wants.person or EVERYBODY
        self._listeners.get(key, set()).discard(listener)
        if not self._listeners.get(key):
            self._listeners.pop(key, None)
        self._rest()

    @asynccontextmanager
    async def watching(self, what: str) -> AsyncIterator[asyncio.Event]:
        """A signal that each event of an experiment, a campaign or a rig sets from now on, and the end of the service too.

        A request that waits asks the database only then: with hundreds of them, asking at every commit would be most of the work.
        """
        changed = asyncio.Event()
        watchers = self._watchers.setdefault(what, set())
        watchers.add(changed)
        try:
            await self._read_from_now_on()
            yield changed
        finally:
            watchers.discard(changed)
            if not watchers and self._watchers.get(what) is watchers:
                del self._watchers[what]
            self._rest()

    def end(self) -> None:
        """End every stream: the service is leaving."""
        for listener in self.listeners():
            listener.end()
        for changed in chain.from_iterable(self._watchers.values()):
            changed.set()

    async def close(self) -> None:
        """End every stream, and read no more."""
        self.end()
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader

    def _rest(self) -> None:
        """Read no more while there is no listener."""
        if not self._listeners and not self._watchers and self._reader is not None:
            self._reader.cancel()
            self._reader = None

    async def _read_from_now_on(self) -> None:
        async with self._starting:
            if self._reader is None:
                newest = await self._database.read(event_log.last)
                self._reader = asyncio.create_task(self._read(newest), name="events")

    async def _read(self, position: int) -> None:
        while True:
            since = self._news.now
            rows: list[EventRow] = []
            with contextlib.suppress(FrugalTwinError):  # logged where it was raised; the database may come back
                rows = await self._database.read(partial(event_log.after, number=position, count=PAGE))
            for row in rows:
                self._spread(row)
                position = row.id
            if len(rows) < PAGE:
                await asyncio.sleep(PACE)
                await self._news.wait(self._heartbeat, since)

    def _spread(self, row: EventRow) -> None:
        for what in (row.experiment, row.campaign, row.rig):
            for changed in self._watchers.get(what or "", ()):
                changed.set()
        if row.person == EVERYBODY:
            listeners = self.listeners()
        else:
            listeners = [*self._listeners.get(row.person, ()), *self._listeners.get(EVERYBODY, ())]
        if listeners:
            framed = Framed(row, frame(row))
            for one in listeners:
                one.hear(framed)
        if row.kind == "token.revoked":
            self._on_revoked()
            revoked = row.body["token"]
            for one in self.listeners():
                if one.caller.token == revoked:
                    one.end()


def _newest(connection: Connection, token: str) -> int:
    tokens.check_token(connection, token)
    return event_log.last(connection)


def frame(row: EventRow) -> bytes:
    """An event in the format of a stream."""
    return f"id: {row.id}\nevent: {row.kind}\ndata: {text(row)}\n\n".encode()


def text(row: EventRow) -> str:
    """An event as JSON, on one line."""
    rest = {"id": row.id, "kind": row.kind, "at": row.at, "rig": row.rig, "campaign": row.campaign, "experiment": row.experiment}
    return f'{json.dumps(rest)[:-1]}, "body": {row.body_json}}}'
