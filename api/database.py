"""The service's database: one writer that commits many changes at once, and readers that never wait for it.

A change is a function of a connection and the time. It runs in a savepoint of a transaction that it shares with whatever else arrived
meanwhile; `write` returns when that transaction is on disk. So a thousand acknowledged changes a second cost some tens of commits.
With several service processes on PostgreSQL the lock on one row (`counter`) lets one of them write at a time, which also makes event ids
follow each other without gaps, in the order of commits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from frugaltwin.errors import FrugalTwinError, StoreError

GROUP = 500  # changes that share a commit at most
RETRIES = 5  # of a transaction that another process or a restart of the database broke
READERS = 8

T = TypeVar("T")
Change = Callable[[Connection, float], T]
Question = Callable[[Connection], T]

_log = logging.getLogger("frugaltwin.service")


class Database:
    """One database, by URL: ``sqlite:///service.db`` or ``postgresql+psycopg://…``."""

    def __init__(self, url: str, now: Callable[[], float] = time.time) -> None:
        """Open it; it has been brought up to date before (`api.migrations`).

        Args:
            now: s since 1970.
        """
        self.url, self.now = url, now
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self._engine = engine_of(url)
        self._waiting: queue.SimpleQueue[tuple[Change[Any], Future[Any]] | None] = queue.SimpleQueue()
        self._committed: list[Callable[[], None]] = []
        self._closed = False
        self._writer = threading.Thread(target=self._write_groups, name="writer", daemon=True)
        self._writer.start()

    def on_commit(self, call: Callable[[], None]) -> None:
        """Call this, from the writer's thread, after every commit of this process."""
        self._committed.append(call)

    def submit(self, change: Change[T]) -> Future[T]:
        """Queue a change; its result, or its error, comes when it is on disk."""
        result: Future[T] = Future()
        if self._closed:
            raise StoreError("the service is shutting down; try again when it is up")
        self._waiting.put((change, result))
        return result

    async def write(self, change: Change[T]) -> T:
        """Make a change; it is on disk when this returns.

        Raises:
            FrugalTwinError: The change refused; nothing of it was done.
            StoreError: It could not be written.
        """
        return await asyncio.wrap_future(self.submit(change))

    def write_now(self, change: Change[T]) -> T:
        """The same, for a thread that may wait."""
        return self.submit(change).result()

    async def read(self, question: Question[T]) -> T:
        """Ask something.

        Raises:
            StoreError: The database cannot be read.
        """
        return await asyncio.to_thread(self.read_now, question)

    def read_now(self, question: Question[T]) -> T:
        """The same, for a thread that may wait."""
        try:
            with self._engine.connect() as connection:
                return question(connection)
        except DBAPIError as error:
            _log.exception("cannot read the database")
            raise StoreError("the database cannot be read; try again, and look at the service's log") from error

    def close(self) -> None:
        """Write what is waiting, then close. May be called twice."""
        self._closed = True
        self._waiting.put(None)
        self._writer.join()
        self._engine.dispose()

    def _write_groups(self) -> None:
        while (first := self._waiting.get()) is not None:
            group, is_last = [first], False
            while len(group) < GROUP:
                try:
                    item = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    is_last = True
                    break
                group.append(item)
            self._write(group)
            if is_last:
                return

    def _write(self, group: list[tuple[Change[Any], Future[Any]]]) -> None:
        for attempt in range(RETRIES):
            try:
                answers = self._transaction([change for change, _ in group])
                break
            except DBAPIError as error:
                is_last = attempt == RETRIES - 1 or not (error.connection_invalidated or isinstance(error, OperationalError))
                _log.warning("a transaction failed%s", "" if is_last else "; it is tried again", exc_info=True)
                if is_last or _is_full(error):
                    refusal = StoreError("it could not be written; make room on the disk, or look at the service's log, then try again")
                    refusal.__cause__ = error
                    answers = [refusal] * len(group)
                    break
                time.sleep(0.05 * 4**attempt)
            except Exception as error:  # a bug in a change must not end the writer
                _log.exception("a change failed")
                answers = [error] * len(group)
                break
        for (_, result), answer in zip(group, answers, strict=True):
            with contextlib.suppress(Exception):  # nobody waits for it any more
                if isinstance(answer, BaseException):
                    result.set_exception(answer)
                else:
                    result.set_result(answer)
        for call in self._committed:
            call()

    def _transaction(self, changes: list[Change[Any]]) -> list[Any]:
        """What each change gave, or the error it refused with."""
        answers: list[Any] = []
        with self._engine.connect() as connection, connection.begin():
            connection.execute(text("update counter set value = value where name = 'event'"))  # the right to write
            now = self.now()
            for change in changes:
                connection.exec_driver_sql("savepoint change")
                try:
                    answers.append(change(connection, now))
                except FrugalTwinError as refusal:
                    connection.exec_driver_sql("rollback to savepoint change")
                    answers.append(refusal)
                connection.exec_driver_sql("release savepoint change")
        return answers


def engine_of(url: str) -> Engine:
    """SQLAlchemy's engine, with what SQLite needs to keep every acknowledged change."""
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_size=READERS, max_overflow=4, pool_pre_ping=True)
    engine = create_engine(url, pool_size=READERS, max_overflow=4, connect_args={"timeout": 10.0, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say, not where the module guesses
        for pragma in ("journal_mode = wal", "synchronous = full", "foreign_keys = on"):
            connection.execute(f"pragma {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("begin")

    return engine


def _is_full(error: DBAPIError) -> bool:
    return "full" in str(error.orig).lower() or "no space" in str(error.orig).lower()
