"""Maintenance of a service's database: backups, checks of its promises, and the removal of what is old."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, case, func, select
from sqlalchemy.engine import URL, make_url

from api.migrations import newest, reading, revision
from api.records import answers, event_log, fair_queue
from api.records.database import Database
from api.records.ledger import KINDS, SUMS
from api.records.tables import account, event, experiment, ledger
from frugaltwin.checks import SOUND_SQLITE, Finding, check_writable
from frugaltwin.errors import InvalidInput, MissingPart, StoreError

ROUNDING = 1e-6
"""Of sums of a class's reservations, in s, USD and mL."""
AT_ONCE = 500
"""Rows that are removed in one change: some milliseconds, so that nobody's request waits for more."""
PAUSE = 3600.0
"""s between two removals of what is old."""


async def prune_again_and_again(database: Database, age: float) -> None:
    """Remove what is old, at once and then every hour."""
    while True:
        with suppress(StoreError):  # which has been logged
            await prune(database, age)
        await asyncio.sleep(PAUSE)


async def prune(database: Database, age: float) -> None:
    """Remove events, and answers to requests with a key, that are older than an age, some at a time.

    Args:
        age: s.

    Raises:
        StoreError: The database cannot be read or written.
    """
    before = database.now() - age
    while await database.write(lambda c, _: event_log.prune(c, before, AT_ONCE)) == AT_ONCE:
        pass
    while found := await database.read(lambda c: answers.old(c, before, AT_ONCE)):
        await database.write(lambda c, _, which=found: answers.remove(c, which))  # type: ignore[misc]


def backup(url: str, out: Path) -> None:
    """Copy a database into a new file, while the service runs: SQLite's own format, or PostgreSQL's custom one.

    Raises:
        InvalidInput: There is no such database, or the file cannot be written or exists.
        MissingPart: PostgreSQL's pg_dump is not installed.
        StoreError: It could not be copied.
    """
    check_writable(out)
    if out.exists():
        raise InvalidInput(f"{out} exists; name another file for this backup")
    with reading(url) as connection:
        _check_revision(revision(connection))
    part = out.with_name(f"{out.name}.part")
    try:
        part.touch(mode=0o600)  # it holds the names and results of all people
        _copy(make_url(url), part)
        part.rename(out)
    finally:
        part.unlink(missing_ok=True)


def findings(url: str) -> list[Finding]:
    """Whether a database holds what the service promises; it may be running meanwhile.

    Raises:
        InvalidInput: There is no such database.
        StoreError: It cannot be read.
    """
    with reading(url) as connection:
        found = revision(connection)
        is_current = found == newest()
        rows = [Finding("ok" if is_current else "problem", "schema", f"revision {found}" + ("" if is_current else _what_to_do(found)))]
        rows.append(_sqlite(connection) if connection.dialect.name == "sqlite" else _postgresql(connection))
        return [*rows, *(question(connection) for question in (_balances, _reservations, _events))] if is_current else rows


def _check_revision(found: str | None) -> None:
    if found is None:
        raise InvalidInput("there is no service in this database; name the right one", field="database")


def _what_to_do(found: str | None) -> str:
    if found is None:
        return ": there is no service in this database; name the right one, or make one with frugaltwin db upgrade"
    return f", this version has {newest()}; back it up, stop the service, then: frugaltwin db upgrade"


def _sqlite(connection: Connection) -> Finding:
    wrong = list(connection.exec_driver_sql("pragma integrity_check").scalars())
    orphans = connection.exec_driver_sql("pragma foreign_key_check").all()
    if wrong != ["ok"] or orphans:
        words = "; ".join(str(w) for w in wrong[:3]) if wrong != ["ok"] else f"{len(orphans)} rows belong to nothing"
        return Finding("problem", "integrity", f"{words}; stop the service and go back to a backup")
    if sqlite3.sqlite_version_info < SOUND_SQLITE:
        sound = ".".join(map(str, SOUND_SQLITE))
        return Finding("warning", "integrity", f"ok; SQLite {sqlite3.sqlite_version} is older than {sound}: run one service process on it")
    return Finding("ok", "integrity", f"ok; SQLite {sqlite3.sqlite_version}")


def _postgresql(connection: Connection) -> Finding:
    version = connection.exec_driver_sql("show server_version").scalar_one()
    checksums = connection.exec_driver_sql("show data_checksums").scalar_one()
    return Finding("ok", "integrity", f"PostgreSQL {version}; its page checksums are {checksums}")


def _balances(connection: Connection) -> Finding:
    """No balance is negative, and each is the sum of its ledger."""
    sums = select(ledger.c.person, *(column.label(f"sum_{k}") for k, column in SUMS.items())).group_by(ledger.c.person).subquery()
    rows = connection.execute(select(account, sums).outerjoin(sums, sums.c.person == account.c.person)).mappings().all()
    for row in rows:
        for kind in KINDS:
            left, total = row[account.c[kind]], row[f"sum_{kind}"] or 0.0
            if left is not None and (left < -ROUNDING or abs(left - total) > ROUNDING * max(1.0, abs(total))):
                words = f"{row[account.c.person]} has {left:g} {kind} left, the ledger says {total:g}"
                return Finding("problem", "balances", f"{words}; stop the service and go back to a backup")
    return Finding("ok", "balances", f"{len(rows)} accounts are not negative and agree with the ledger")


def _reservations(connection: Connection) -> Finding:
    """Every reservation is settled or refunded once the experiment has ended, and not before."""
    sign = case((ledger.c.kind == "reserve", 1.0), else_=-1.0)
    open_sums = [func.sum(sign * ledger.c[k]).label(k) for k in KINDS]
    ended = func.sum(case((ledger.c.kind == "settle", 1), else_=0)).label("n")
    question = (
        select(experiment.c.id, experiment.c.state, ended, *open_sums)
        .outerjoin(ledger, ledger.c.experiment == experiment.c.id)
        .group_by(experiment.c.id, experiment.c.state)
    )
    count = 0
    for row in connection.execute(question).mappings():
        count += 1
        is_open = row["state"] in fair_queue.OPEN
        is_even = all(abs(row[k] or 0.0) <= ROUNDING for k in KINDS)
        if row["n"] != (0 if is_open else 1) or (not is_open and not is_even) or (is_open and row["runs"] + row["rig_runs"] != 1.0):
            words = f"experiment {row['id']} is {row['state']}, and what was reserved for it does not agree with what was booked"
            return Finding("problem", "reservations", f"{words}; stop the service and go back to a backup")
    return Finding("ok", "reservations", f"of {count} experiments, each that ended is settled once")


def _events(connection: Connection) -> Finding:
    count, first, last = connection.execute(select(func.count(), func.min(event.c.id), func.max(event.c.id)).select_from(event)).one()
    says, removed = event_log.last(connection), event_log.removed(connection)
    if (count and (first, last) != (removed + 1, says)) or count != says - removed:
        words = f"{count} events from {first} to {last}, {removed} were removed by age, and the counter says {says}: some are missing"
        return Finding("problem", "events", f"{words}; stop the service and go back to a backup")
    return Finding("ok", "events", f"{count} events without a gap" + (f", behind {removed} that were removed by age" if removed else ""))


def _copy(url: URL, part: Path) -> None:
    if url.get_backend_name() == "sqlite":
        source, target = sqlite3.connect(str(url.database), timeout=10), sqlite3.connect(part)
        try:
            source.backup(target)
            target.execute("pragma journal_mode = delete")  # one file, with nothing beside it
            (found,) = target.execute("pragma integrity_check").fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"it could not be copied: {error}; look at the disk, then try again") from error
        finally:
            source.close()
            target.close()
        if found != "ok":
            raise StoreError(f"the copy is damaged: {found}; look at the database with frugaltwin db check")
        with part.open("rb") as file:
            os.fsync(file.fileno())
        return
    if not shutil.which("pg_dump"):
        raise MissingPart("pg_dump is not installed; install PostgreSQL's client (Debian: apt-get install postgresql-client)")
    secret = {"PGPASSWORD": str(url.password)} if url.password else {}  # others can see a command's words
    where = url.set(drivername="postgresql", password=None).render_as_string()
    command = ["pg_dump", "--format=custom", "--no-password", "--file", str(part), "--dbname", where]
    done = subprocess.run(command, env=os.environ | secret, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StoreError(f"pg_dump could not copy it: {' '.join(done.stderr.split()) or done.returncode}")
