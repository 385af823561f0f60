"""The writer and the readers, on both databases: what is acknowledged is kept once, what is refused is not there at all."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, make_url, select, text

from api.records import event_log
from api.records.database import Database
from api.records.tables import event, person, token
from api.workers.child_processes import start_method
from frugaltwin.errors import FrugalTwinError, InvalidInput, StoreError
from tests.service_database import PostgresServer, new_person, new_rig, submit, until


def add(name: str) -> Callable[[Connection, float], int]:
    """A change that leaves a person and an event."""

    def change(connection: Connection, now: float) -> int:
        connection.execute(insert(person), {"id": name, "name": name, "role": "student", "created_at": now})
        return event_log.record(connection, now, "test", name, {})

    return change


def then(change: Callable[[Connection, float], Any], error: Exception) -> Callable[[Connection, float], Any]:
    """The same change, which refuses when it is half done."""

    def refused(connection: Connection, now: float) -> None:
        change(connection, now)
        raise error

    return refused


def names(database: Database) -> list[str]:
    return list(database.read_now(lambda c: c.execute(select(person.c.id).order_by(person.c.id)).scalars()))


def event_ids(database: Database) -> list[int]:
    return list(database.read_now(lambda c: c.execute(select(event.c.id).order_by(event.c.id)).scalars()))


@contextmanager
def held(database: Database) -> Iterator[None]:
    """The writer is in the middle of a change meanwhile."""
    began, go_on = threading.Event(), threading.Event()

    def wait(connection: Connection, now: float) -> None:
        add("held")(connection, now)
        began.set()
        assert go_on.wait(30)

    waiting = database.submit(wait)
    assert began.wait(30)
    try:
        yield
    finally:
        go_on.set()
        waiting.result(30)


def test_changes_that_wait_together_share_a_commit(database: Database) -> None:
    commits: list[int] = []
    database.on_commit(lambda: commits.append(1))
    with held(database):
        results = [database.submit(add(f"p{i:03}")) for i in range(100)]
    assert [r.result(30) for r in results] == list(range(2, 102))
    database.close()
    assert len(commits) == 2


def test_readers_see_what_was_committed_and_do_not_wait_for_the_writer(database: Database) -> None:
    database.write_now(add("before"))
    with held(database):
        assert names(database) == ["before"]
    assert names(database) == ["before", "held"]


@pytest.mark.parametrize("error", [FrugalTwinError("no"), ZeroDivisionError("a bug")])
def test_a_change_that_fails_is_undone_and_its_neighbors_are_not(database: Database, error: Exception) -> None:
    with held(database):
        good, bad, better = (database.submit(c) for c in (add("a"), then(add("b"), error), add("c")))
    assert (good.result(30), better.result(30)) == (2, 3)
    with pytest.raises(type(error), match=str(error)):
        bad.result(30)
    assert names(database) == ["a", "c", "held"]
    assert event_ids(database) == [1, 2, 3]


def test_what_the_database_refuses_is_refused_alone_and_in_words(database: Database) -> None:
    def orphan(connection: Connection, now: float) -> None:
        row = {"id": "t", "person": "nobody", "digest": "", "note": "", "scopes": "", "created_at": now}
        connection.execute(insert(token), row)

    def huge(connection: Connection, now: float) -> None:
        connection.execute(text("update counter set value = :n where name = 'none'"), {"n": 10**30})

    with held(database):
        before, twice, foreign, large, after = (database.submit(c) for c in (add("a"), add("a"), orphan, huge, add("c")))
    for result, kind, words in (
        (twice, FrugalTwinError, "there already"),
        (foreign, FrugalTwinError, "gone"),
        (large, InvalidInput, "large"),
    ):
        with pytest.raises(kind, match=words):
            result.result(30)
    assert (before.result(30), after.result(30)) == (2, 3)


def test_a_question_that_cannot_be_asked_is_refused_in_words(database: Database) -> None:
    with pytest.raises(InvalidInput, match="too large"):
        database.read_now(lambda c: c.execute(select(event).where(event.c.id == 10**30)).all())
    with pytest.raises(StoreError, match="cannot be read"):
        database.read_now(lambda c: c.execute(text("select * from nothing")).all())
    assert names(database) == []


def test_closing_writes_what_waits_and_refuses_what_comes_later(database: Database, database_url: str) -> None:
    with held(database):
        results = [database.submit(add(f"p{i}")) for i in range(9)]
        closing = threading.Thread(target=database.close)
        closing.start()
        until(lambda: database._closed)  # while the writer is still held
        with pytest.raises(StoreError, match="shutting down"):
            database.submit(add("late"))
    closing.join(30)
    database.close()
    assert [r.result(0) for r in results] == list(range(2, 11))
    again = Database(database_url)
    assert names(again) == ["held", *(f"p{i}" for i in range(9))]
    again.close()


def test_closing_lets_a_reader_end_whom_nobody_waits_for_any_more(database_url: str) -> None:
    database = Database(database_url)
    begun, gate, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        begun.set()
        assert gate.wait(30)
        connection.execute(text("select 1"))
        ended.set()

    reader = threading.Thread(target=database.read_now, args=(slow,))
    reader.start()
    assert begun.wait(30)
    closing = threading.Thread(target=database.close)
    closing.start()
    until(lambda: database._closed and not database._writer.is_alive())
    with pytest.raises(StoreError, match="shutting down"):
        database.read_now(lambda c: c.execute(text("select 1")))
    assert closing.is_alive()
    gate.set()
    closing.join(30)
    assert ended.is_set()
    assert database._engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    reader.join(30)


def test_a_listener_that_fails_does_not_end_the_writer(database: Database) -> None:
    def fail() -> None:
        raise RuntimeError("the event loop is closed")

    database.on_commit(fail)
    assert [database.write_now(add(n)) for n in "abc"] == [1, 2, 3]


def test_nobody_waits_for_a_change_any_more_and_the_next_is_made(database: Database) -> None:
    with held(database):
        gone: Future[int] = database.submit(add("gone"))
        gone.cancel()
    database.write_now(add("next"))
    assert "next" in names(database)


def write_many(url: str, mine: str, count: int) -> None:
    database = Database(url)
    for result in [database.submit(add(f"{mine}{i}")) for i in range(count)]:
        result.result(60)
    database.close()


def test_event_ids_have_no_gaps_when_processes_write_side_by_side(database_url: str) -> None:
    spawned = start_method()
    writers = [spawned.Process(target=write_many, args=(database_url, mine, 150)) for mine in "ab"]
    for writer in writers:
        writer.start()
    database = Database(database_url)
    seen: list[int] = []  # as a follower does it: after the last one seen, in order
    for i in range(60):
        with suppress(FrugalTwinError):
            database.write_now(then(add(f"no{i}"), FrugalTwinError("no")))
        database.write_now(add(f"c{i}"))
        last = seen[-1] if seen else 0
        seen += [row.id for row in database.read_now(lambda c, last=last: event_log.after(c, last, 1000))]  # type: ignore[misc]
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    seen += [row.id for row in database.read_now(lambda c: event_log.after(c, seen[-1], 1000))]
    database.close()
    assert seen == list(range(1, 361))


def test_sqlite_syncs_every_commit_to_the_disk(sqlite_file: Path) -> None:
    database = Database(f"sqlite:///{sqlite_file}")
    found = database.write_now(lambda c, now: [c.exec_driver_sql(f"pragma {p}").scalar() for p in ("journal_mode", "synchronous")])
    database.close()
    assert found == ["wal", 2]


def test_a_full_disk_refuses_in_words_loses_nothing_and_room_mends_it(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    rig, whose = new_rig(database), new_person(database, runs=1e6)
    pages = database.write_now(lambda c, now: c.exec_driver_sql("pragma page_count").scalar_one())
    limit = database.write_now(lambda c, now: c.exec_driver_sql(f"pragma max_page_count = {pages + 5}").scalar_one())
    assert limit == pages + 5
    kept: list[str] = []

    def fill() -> None:
        for _ in range(1000):
            kept.append(submit(database, whose, rig))

    with pytest.raises(StoreError, match="make room on the disk"):
        fill()
    assert kept
    database.write_now(lambda c, now: c.exec_driver_sql("pragma max_page_count = 100000").scalar_one())
    kept.append(submit(database, whose, rig))
    found = database.read_now(lambda c: list(c.execute(text("select id from experiment order by number")).scalars()))
    balance = database.read_now(lambda c: c.execute(text("select runs from account")).scalar_one())
    last = database.read_now(event_log.last)
    assert (found, balance, last) == (kept, 1e6 - len(kept), len(kept))
    database.close()


class CutCable:
    """Between a program and a PostgreSQL server; it breaks at the next commit, before the server hears of it or just after."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self.folder = folder
        self._to = str(server.folder / ".s.PGSQL.5432")
        self._ears = socket.socket(socket.AF_UNIX)
        self._ears.bind(str(folder / ".s.PGSQL.5432"))
        self._ears.listen(20)
        self.breaks: str | None = None
        self.is_down = False
        self.cuts = 0
        self._sockets = [self._ears]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.is_down = True
        for end in self._sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._ears.accept()
                if self.is_down:
                    ours.close()
                    continue
                theirs = socket.socket(socket.AF_UNIX)
                theirs.connect(self._to)
                self._sockets += [ours, theirs]
                for source, target in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=self._carry, args=(source, target, source is ours), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, is_question: bool) -> None:
        with suppress(OSError):
            while words := source.recv(65536):
                if is_question and self.breaks and b"COMMIT" in words:
                    breaks, self.breaks = self.breaks, None
                    self.cuts += 1
                    if breaks != "before":
                        source.shutdown(socket.SHUT_RDWR)  # the answer has no way back
                        target.sendall(words)
                    self.is_down = breaks == "after, for good"
                    break
                target.sendall(words)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def cable(postgres: PostgresServer) -> Iterator[CutCable]:
    folder = postgres.folder / f"cable-{len(list(postgres.folder.iterdir()))}"
    folder.mkdir()
    found = CutCable(postgres, folder)
    yield found
    found.close()


def through(cable: CutCable, postgres: PostgresServer) -> tuple[str, Database]:
    """A fresh database, by its direct URL and at the other end of the cable."""
    url = postgres.new_database()
    return url, Database(postgres.url(str(make_url(url).database), cable.folder))


@pytest.mark.parametrize("breaks", ["before", "after"])
def test_a_connection_that_breaks_in_a_commit_makes_no_change_twice(postgres: PostgresServer, cable: CutCable, breaks: str) -> None:
    _, database = through(cable, postgres)
    assert database.write_now(add("first")) == 1
    cable.breaks = breaks
    with held(database):
        results = [database.submit(lambda c, now: event_log.record(c, now, "test", "somebody", {})) for _ in range(10)]
    assert [r.result(30) for r in results] == list(range(3, 13))
    assert cable.cuts == 1
    assert event_ids(database) == list(range(1, 13))
    cable.breaks = breaks
    assert database.write_now(lambda c, now: event_log.record(c, now, "test", "somebody", {})) == 13
    assert cable.cuts == 2
    assert event_ids(database) == list(range(1, 14))
    database.close()


def test_when_nobody_knows_whether_it_was_written_the_answer_says_so(postgres: PostgresServer, cable: CutCable) -> None:
    url, database = through(cable, postgres)
    database.write_now(add("first"))
    cable.breaks = "after, for good"
    with pytest.raises(StoreError, match="may be done; look, or send it again with the same Idempotency-Key"):
        database.write_now(add("second"))
    with pytest.raises(StoreError, match="could not be written"):
        database.write_now(add("third"))
    cable.is_down = False
    assert database.write_now(add("fourth")) == 3
    database.close()
    direct = Database(url)
    assert names(direct) == ["first", "fourth", "second"]
    direct.close()


def test_connections_that_the_server_ended_cost_nothing(postgres: PostgresServer) -> None:
    """Idle ones, as a firewall or an administrator ends them, and those of four students in the middle of something."""
    url = postgres.new_database()
    ended = f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{make_url(url).database}'"
    database = Database(url)
    rig, whose = new_rig(database), new_person(database, runs=1e6)
    kept = [submit(database, whose, rig)]
    postgres.execute(ended)
    assert database.read_now(event_log.last) == 1
    postgres.execute(ended)
    kept.append(submit(database, whose, rig))
    is_over = threading.Event()

    def student() -> None:
        while not is_over.is_set():
            kept.append(submit(database, whose, rig))

    students = [threading.Thread(target=student) for _ in range(4)]
    for one in students:
        one.start()
    for _ in range(5):
        before = len(kept)
        until(lambda before=before: len(kept) > before + 20)  # type: ignore[misc]
        postgres.execute(ended)
    is_over.set()
    for one in students:
        one.join(60)
    found = database.read_now(lambda c: list(c.execute(text("select id from experiment")).scalars()))
    assert (sorted(found), database.read_now(event_log.last)) == (sorted(kept), len(kept))
    assert len(kept) > 100
    database.close()


def test_a_process_hears_of_what_another_commits_also_after_its_line_was_cut(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    here, there = Database(url), Database(url)
    n = iter(range(1, 1000))
    heard = threading.Semaphore(0)
    here.on_commit(heard.release)

    def is_heard() -> bool:  # a word before it listens is lost
        there.write_now(add(f"person {next(n)}"))
        return heard.acquire(timeout=0.1)

    until(is_heard)
    ended = f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{make_url(url).database}' and query like 'listen%'"
    postgres.execute(ended)
    while heard.acquire(blocking=False):
        pass
    until(is_heard)
    here.close()
    there.close()


@pytest.mark.timing
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_what_was_acknowledged_survives_restarts_of_the_database_server(postgres: PostgresServer, how: signal.Signals) -> None:
    database = Database(postgres.new_database())
    rig, whose = new_rig(database), new_person(database, runs=1e6)
    kept: list[str] = []
    is_over = threading.Event()

    def class_of_students() -> None:
        while not is_over.is_set():
            kept.append(submit(database, whose, rig))

    students = [threading.Thread(target=class_of_students) for _ in range(4)]
    for student in students:
        student.start()
    for _ in range(2):
        before = len(kept)
        until(lambda before=before: len(kept) > before + 50)  # type: ignore[misc]
        postgres.stop(how)
        postgres.start()
    before = len(kept)
    until(lambda: len(kept) > before + 50)
    is_over.set()
    for student in students:
        student.join(60)
    found = database.read_now(lambda c: list(c.execute(text("select id from experiment")).scalars()))
    balance = database.read_now(lambda c: c.execute(text("select runs from account")).scalar_one())
    last = database.read_now(event_log.last)
    assert sorted(found) == sorted(kept)
    assert (balance, last) == (1e6 - len(kept), len(kept))
    database.close()
