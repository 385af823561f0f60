"""The service's database: one writer that commits many changes at once, and readers that never wait for it.

A change is a function of a connection and the time. It runs in a savepoint of a transaction that it shares with all others that arrived
meanwhile; `write` returns when that transaction is on disk. So a thousand acknowledged changes a second cost some tens of commits.
With several service processes on PostgreSQL the lock on one row (`counter`) lets one of them write at a time, which also makes event ids
follow each other without gaps, in the order of commits.

When the connection breaks during a commit, it is not known whether it was done. So every group is numbered, and its transaction keeps the
number: a retry that finds it there does not do the group again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import secrets
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, OperationalError

from api.records.append_buffer import AppendBuffer
from api.records.prepared_statement import PreparedStatement
from api.records.shares import WHOSE, Shares, Timed
from frugaltwin.errors import FrugalTwinError, InvalidInput, MissingPart, StoreError

GROUP = 500  # changes that share a commit at most
RETRIES = 5  # of a transaction that another process or a restart of the database broke
READERS = 8

T = TypeVar("T")
Change = Callable[[Connection, float], T]
Question = Callable[[Connection], T]
_Result = Future[Any] | asyncio.Future[Any]

_log = logging.getLogger("frugaltwin.service")

_right_to_write = text("update counter set value = value where name = 'event' returning value")
_number_group = text(
    "insert into counter (name, value) values (:name, :number) "
    "on conflict (name) do update set value = :number where counter.value < :number"
)
_ADDRESS = "write sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"
_savepoint = PreparedStatement(text("savepoint change"))
_take_back = PreparedStatement(text("rollback to savepoint change"))
_keep = {
    True: [PreparedStatement(text("release savepoint change")), _savepoint],
    False: [PreparedStatement(text("release savepoint change; savepoint change"))],
}
"""Statements that keep a change and begin the next one: one round trip to PostgreSQL. SQLite takes no two statements at once."""
_CHANNEL = "frugaltwin"
_notify = PreparedStatement(text("select pg_notify(:channel, :who)"))
"""On PostgreSQL, with the commit."""
_CANNOT_BE_KEPT = (DataError, OverflowError, UnicodeEncodeError)
_CANNOT_BE_KEPT_WORDS = "a number is too large, or a text has a character that cannot be stored; change it, then send it again"


class Tally:
    """The times that groups of changes took to be on disk, for the metrics."""

    LIMITS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
    """Upper limits of the classes, s; one more class has all that took longer."""

    def __init__(self) -> None:
        self.groups = [0] * (len(self.LIMITS) + 1)
        self.changes = 0
        self.seconds = 0.0

    def add(self, changes: int, seconds: float) -> None:
        """A group was written."""
        self.groups[bisect_left(self.LIMITS, seconds)] += 1
        self.changes += changes
        self.seconds += seconds


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
        # On PostgreSQL a reading is one statement after the other in any case; without a transaction each is one round trip, not three.
        self._to_read = self._engine if self.is_sqlite else self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._waiting: queue.SimpleQueue[tuple[Change[Any], _Result] | None] = queue.SimpleQueue()
        self._committed: list[Callable[[], None]] = []
        self._name = f"w_{secrets.token_hex(6)}"  # of this writer, for the numbers of its groups
        self._group = 0
        self._unsure: list[Any] | None = None  # what the group would have given whose commit may have been done
        self.tally = Tally()
        self.shares = Shares()
        self._closed = False
        self._ended = threading.Event()
        self._closing = threading.Lock()
        self._reading = 0
        self._nobody_reads = threading.Condition(self._closing)
        self._writer = threading.Thread(target=self._write_groups, name="writer", daemon=True)
        self._writer.start()

    @property
    def is_writing(self) -> bool:
        """Whether the writer is alive, and takes changes."""
        return self._writer.is_alive() and not self._closed

    def on_commit(self, call: Callable[[], None]) -> None:
        """Call this, from another thread, after every commit of this process; on PostgreSQL also after those of others."""
        if not self.is_sqlite and not self._committed:
            threading.Thread(target=self._listen, name="listener", daemon=True).start()
        self._committed.append(call)

    def submit(self, change: Change[T]) -> Future[T]:
        """Queue a change; its result, or its error, comes when it is on disk."""
        result: Future[T] = Future()
        self._line_up(change, result)
        return result

    def _line_up(self, change: Change[Any], result: _Result) -> None:
        with self._closing:  # nothing is queued behind the end
            self._check_open()
            self._waiting.put((change, result))

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the service is shutting down; try again when it is up")

    async def write(self, change: Change[T]) -> T:
        """Make a change; it is on disk when this returns.

        Raises:
            FrugalTwinError: The change refused; nothing of it was done.
            StoreError: It could not be written, or (the message says so) nobody knows whether it was.
        """
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        timed = Timed(change)
        self._line_up(timed, result)
        try:
            return await result
        finally:
            self.shares.charge(WHOSE.get(), timed.seconds)

    def write_now(self, change: Change[T]) -> T:
        """The same, for a thread that may wait."""
        return self.submit(change).result()

    async def read(self, question: Question[T]) -> T:
        """Ask something, in the turn of the person whose request this is (`shares`).

        Raises:
            StoreError: The database cannot be read.
        """
        return await self.shares.ask(partial(self.read_now, question))

    def read_now(self, question: Question[T]) -> T:
        """The same, for a thread that may wait."""
        with self._closing:
            self._check_open()
            self._reading += 1
        try:
            try:
                return self._ask(question)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                return self._ask(question)  # it was lost while it was not in use, and all the others with it: now there are new ones
        except _CANNOT_BE_KEPT as error:
            raise InvalidInput(_CANNOT_BE_KEPT_WORDS) from error
        except DBAPIError as error:
            _log.exception("cannot read the database")
            raise StoreError("the database cannot be read; try again, and look at the service's log") from error
        finally:
            with self._closing:
                self._reading -= 1
                self._nobody_reads.notify_all()

    def _ask(self, question: Question[T]) -> T:
        with self._to_read.connect() as connection:
            return question(connection)

    def close(self) -> None:
        """Write the changes that wait, let the readers end, then close. May be called twice."""
        with self._closing:
            self._closed = True
            self._ended.set()
            self._waiting.put(None)
        self._writer.join()
        with self._closing:  # a connection that is in use now would never be closed
            self._nobody_reads.wait_for(lambda: not self._reading)
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
            begun = time.perf_counter()
            self._write(group)
            self.tally.add(len(group), time.perf_counter() - begun)
            if is_last:
                return

    def _write(self, group: list[tuple[Change[Any], _Result]]) -> None:
        self._group, self._unsure = self._group + 1, None
        for attempt in range(RETRIES):
            unsure = self._unsure
            try:
                answers = self._transaction([change for change, _ in group])
                break
            except DBAPIError as error:
                if self._unsure is not unsure and not error.connection_invalidated:
                    self._unsure = None  # the database itself said no to this commit
                is_last = attempt == RETRIES - 1 or not _is_broken(error) or _is_full(error)
                _log.warning("a transaction failed%s", "" if is_last else "; it is tried again", exc_info=True)
                if is_last:
                    answers = [_refusal(error, self._unsure is not None)] * len(group)
                    break
                time.sleep(0.05 * 4**attempt)
            except Exception as error:  # a bug must not end the writer
                _log.exception("a transaction failed")
                answers = [error] * len(group)
                break
        told: dict[asyncio.AbstractEventLoop | None, list[tuple[_Result, Any]]] = {}
        for (_, result), answer in zip(group, answers, strict=True):
            told.setdefault(result.get_loop() if isinstance(result, asyncio.Future) else None, []).append((result, answer))
        for loop, pairs in told.items():
            if loop is None:
                _tell(pairs)
            else:
                with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
                    loop.call_soon_threadsafe(_tell, pairs)  # once for all of them: each call wakes the loop's thread
        self._announce()

    def _announce(self) -> None:
        for call in self._committed:
            try:
                call()
            except Exception:  # who wanted to know has gone; the writer goes on
                _log.warning("nobody took the news of a commit", exc_info=True)

    def _listen(self) -> None:
        """Listen to the commits of other processes. Everything that waits queries now and then anyway; this makes it query at once."""
        import psycopg

        while not self._closed:
            try:
                with contextlib.closing(self._engine.raw_connection()) as lent:
                    connection: Any = lent.driver_connection
                    lent.detach()  # it is never given back
                    connection.autocommit = True
                    connection.execute(f"listen {_CHANNEL}")
                    while not self._closed:
                        if any(note.payload != self._name for note in connection.notifies(timeout=1.0, stop_after=1)):
                            self._announce()
            except (DBAPIError, psycopg.Error) as error:
                _log.warning("cannot hear of what other processes commit, and try again: %s", error)
            self._ended.wait(1.0)

    def _transaction(self, changes: list[Change[Any]]) -> list[Any]:
        """The result of each change, or the error that it refused with."""
        answers: list[Any] = []
        with self._engine.connect() as connection, _without_buffer(connection), connection.begin():
            # A commit of ours that is still under way holds it: after this it has ended.
            newest = connection.execute(_right_to_write).scalar_one()
            if not connection.execute(_number_group, {"name": self._name, "number": self._group}).rowcount and self._unsure is not None:
                return self._unsure
            self._unsure = None
            now = self.now()
            page = connection.info[AppendBuffer] = AppendBuffer(newest)
            _savepoint(connection, {})
            for change in changes:
                mark = page.mark()
                try:
                    answers.append(change(connection, now))
                except Exception as error:
                    if isinstance(error, DBAPIError) and _is_broken(error):
                        raise
                    _take_back(connection, {})
                    page.take_back(mark)
                    answers.append(_of_change(error))
                else:
                    for statement in _keep[self.is_sqlite]:
                        statement(connection, {})
            page.write(connection)
            if not self.is_sqlite:
                _notify(connection, {"channel": _CHANNEL, "who": self._name})
            self._unsure = answers
        return answers


@contextlib.contextmanager
def _without_buffer(connection: Connection) -> Iterator[None]:
    """Take the buffer of a transaction from its connection in the end: whoever reads on it next would find its rows twice."""
    info = connection.info
    try:
        yield
    finally:
        info.pop(AppendBuffer, None)


def engine_of(url: str) -> Engine:
    """SQLAlchemy's engine, with what SQLite needs to keep every acknowledged change.

    Raises:
        InvalidInput: The URL cannot be understood.
        MissingPart: psycopg is not installed.
    """
    try:
        where = make_url(url)
    except ArgumentError as error:
        raise InvalidInput(f"this is no address of a database; {_ADDRESS}") from error
    kind = where.get_backend_name()
    if kind not in ("sqlite", "postgresql"):
        raise InvalidInput(f"a service is kept in SQLite or PostgreSQL, not in {kind!r}; {_ADDRESS}")
    if kind == "sqlite" and where.database in (None, "", ":memory:"):
        raise InvalidInput(f"a service's database is a file; {_ADDRESS}")
    if kind == "postgresql":
        try:
            encoding = {"client_encoding": "utf8"}  # a database that keeps another one is refused, but has to be asked first
            return create_engine(url, pool_size=READERS, max_overflow=4, connect_args=encoding, hide_parameters=True)
        except ModuleNotFoundError as error:
            raise MissingPart(f"PostgreSQL needs the package {error.name!r}; install it with pip install 'frugaltwin[postgres]'") from error
    waits = {"timeout": 10.0, "check_same_thread": False}
    engine = create_engine(url, pool_size=READERS, max_overflow=4, connect_args=waits, hide_parameters=True)  # the log shows no secrets

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say, not where the module guesses
        for pragma in ("journal_mode = wal", "synchronous = full", "foreign_keys = on"):
            connection.execute(f"pragma {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("begin")

    return engine


def _tell(results: list[tuple[_Result, Any]]) -> None:
    for result, answer in results:
        with contextlib.suppress(Exception):  # nobody waits for it any more
            if isinstance(answer, BaseException):
                result.set_exception(answer)
            else:
                result.set_result(answer)


def _of_change(error: Exception) -> Exception:
    """The error for the caller of one change, which leaves the other changes of the group alone."""
    if isinstance(error, FrugalTwinError):
        return error
    told: FrugalTwinError
    if isinstance(error, _CANNOT_BE_KEPT):
        told = InvalidInput(_CANNOT_BE_KEPT_WORDS)
    elif isinstance(error, IntegrityError):
        told = FrugalTwinError("something like it is there already, or what it belongs to is gone; look, then send it changed")
    else:
        _log.error("a change failed", exc_info=error)
        return error
    _log.info("a change was refused by the database", exc_info=error)
    told.__cause__ = error
    return told


def _refusal(error: DBAPIError, is_unsure: bool) -> StoreError:
    if is_unsure:
        words = "the database was lost while it was written, and it may be done; look, or send it again with the same Idempotency-Key"
    else:
        words = "it could not be written; make room on the disk, or look at the service's log, then try again"
    refusal = StoreError(words)
    refusal.__cause__ = error
    return refusal


def _is_broken(error: DBAPIError) -> bool:
    """Whether it is the database's state and not what was asked of it."""
    is_internal = str(getattr(error.orig, "sqlstate", "")).startswith("XX")  # PostgreSQL's, of a file that cannot grow, say
    return error.connection_invalidated or isinstance(error, OperationalError) or is_internal


def _is_full(error: DBAPIError) -> bool:
    return any(words in str(error.orig).lower() for words in ("full", "no space", "could not extend"))
