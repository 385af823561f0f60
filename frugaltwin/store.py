"""Campaigns, their logs and calibrations in one SQLite file, append-only: the only memory of the project.

A trial is acknowledged when `append` returns: by then it is on disk, in that one file (`journal_mode=DELETE`, `synchronous=EXTRA`),
whatever is killed next. So a copy of the file between two experiments has all of them; decision 0022 says why it is no write-ahead log.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frugaltwin.amounts import Amounts
from frugaltwin.errors import CampaignError, StoreError, UnknownName
from frugaltwin.experiment import Discrete, Experiment, Measurement, Trial, grid_values
from frugaltwin.log import Log, Logged, Relation, entry_from_json, entry_to_json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from frugaltwin.state import Earlier

APPLICATION_ID = 0x46547769  # "FTwi": says that a SQLite file is ours
SCHEMA_VERSION = 4
CALIBRATION = "create table calibration (id text primary key, created_at text not null, body text not null) strict;"
ENTRY = """
create table entry (
    campaign text not null references campaign, number integer not null, after integer not null, at text not null, body text not null,
    primary key (campaign, number)
) strict;
"""
PART = "create table part (id text primary key, body blob not null) strict;"
"""Long experiments, each once for all campaigns that have it, by its SHA-256."""
UPGRADES = {1: CALIBRATION, 2: ENTRY, 3: PART}
"""The statements that bring a store from a version to the next one."""
SCHEMA = f"""
create table campaign (name text primary key, created_at text not null, body text not null) strict;
create table trial (
    campaign text not null references campaign, number integer not null, body text not null, primary key (campaign, number)
) strict;
{CALIBRATION}
{ENTRY}
{PART}
"""
LONG = 10_000
"""Characters from which on an experiment is kept once."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CampaignRecord:
    """A campaign as it is stored."""

    name: str
    created_at: str
    body: Mapping[str, Any]
    """The resolved words it was started with (driver, goal, strategy, seed …) and its provenance."""


@dataclass(frozen=True)
class CalibrationRecord:
    """A calibration as it is stored; measurements name it by its id."""

    id: str
    created_at: str
    body: Mapping[str, Any]
    """The ``kind`` of the calibration, its ``rig``, and what was found: values, residuals, scatter, the readings, a plot."""


_GRID = ("low", "high", "step")


def experiment_to_json(experiment: Experiment, has_steps: bool = False) -> Any:
    """An experiment as JSON values.

    Args:
        has_steps: Whether an even grid is written as its low, high and step, in place of all its values.
    """

    def finite(value: Any) -> Any:  # JSON has no infinity: a constraint without a limit says "inf"
        if isinstance(value, dict):
            return {k: finite(v) for k, v in value.items()}
        if isinstance(value, list):
            return [finite(v) for v in value]
        return str(value) if isinstance(value, float) and math.isinf(value) else value

    body = finite(_adapter().dump_python(experiment, mode="json"))
    if not experiment.fidelities:  # as it was stored before there were any
        del body["fidelities"]
    for outcome in body["outcomes"]:  # as they were stored before they had a range
        if outcome.get("range") is None:
            outcome.pop("range", None)
    for parameter in body["parameters"]:  # as they were stored before they had a scale
        if parameter.get("scale") == "linear":
            del parameter["scale"]
        if parameter.get("smallest") == 0:
            del parameter["smallest"]
    for parameter, written in zip(experiment.parameters, body["parameters"], strict=True) if has_steps else ():
        if isinstance(parameter, Discrete) and (grid := parameter.grid):
            del written["values"]
            written |= dict(zip(_GRID, grid, strict=True))
    return body


def experiment_from_json(body: Any) -> Experiment:
    """The inverse of `experiment_to_json`, with steps or without.

    Raises:
        ValueError: It is no experiment.
    """
    if isinstance(body, dict) and isinstance(body.get("parameters"), list):
        body = body | {"parameters": [_with_values(parameter) for parameter in body["parameters"]]}
    return _adapter().validate_python(body)


def _with_values(parameter: Any) -> Any:
    """A parameter in JSON, with the values of its grid if it states steps."""
    grid: list[Any] = [parameter.get(word) for word in _GRID] if isinstance(parameter, dict) else []
    if not all(isinstance(number, int | float) for number in grid) or not grid:
        return parameter
    return {k: v for k, v in parameter.items() if k not in _GRID} | {"values": grid_values(*grid)}


@cache
def _adapter() -> TypeAdapter[Experiment]:
    from pydantic import TypeAdapter

    return TypeAdapter(Experiment)


def trial_json(trial: Trial) -> str:
    """A trial as it was performed, as one line of JSON."""
    performed = trial.performed
    body = {name: value for name, value in asdict(performed).items() if name != "correction"} | {"cost": performed.cost.cost()}
    if performed.suggestion is None:  # as it was stored before there was any
        del body["suggestion"]
    if performed.measurement is not None:
        body["measurement"]["cost"] = performed.measurement.cost.cost()
        if not performed.measurement.happened:  # as it was stored before there was any
            del body["measurement"]["happened"]
    return _line(body)


def trial_from_json(text: str) -> Trial:
    """The inverse of `trial_json`."""
    body = json.loads(text)
    body["cost"] = Amounts(**body["cost"])
    if (measurement := body["measurement"]) is not None:
        body["measurement"] = Measurement(**measurement | {"cost": Amounts(**measurement["cost"])})
    return Trial(**body)


class Store:
    """All campaigns in one file; ``":memory:"`` keeps them for as long as the object lives."""

    def __init__(self, path: Path | str) -> None:
        """Open a store; the file is made when the first campaign is.

        Raises:
            StoreError: It cannot be opened, or it is no store.
        """
        self.path = str(path) if str(path) == ":memory:" else str(Path(path).absolute())
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._parts: dict[str, Any] = {}
        if self.path != ":memory:":
            if Path(self.path).is_dir():
                raise StoreError(f"cannot open the store {path}: it is a folder; name a file", field="store")
            if not Path(self.path).parent.is_dir():
                text = f"cannot open the store {path}: there is no folder {Path(self.path).parent}; choose another file"
                raise StoreError(text, field="store")
        if self.path == ":memory:" or Path(self.path).exists():
            self._open()

    def create(self, record: CampaignRecord) -> None:
        """Keep a new campaign; one of that name without trials makes way, with what was said about its suggestions.

        Raises:
            StoreError: There is one of that name with trials, or the store cannot be written.
        """
        with self._translated("write"):
            db = self._connected()
            with db:
                is_begun = db.execute("select 1 from trial where campaign = ?", (record.name,)).fetchone()
                for words in () if is_begun else ("entry where campaign", "campaign where name"):
                    db.execute(f"delete from {words} = ?", (record.name,))  # noqa: S608 - words of ours
                db.execute("insert into campaign values (?, ?, ?)", (record.name, record.created_at, self._packed(db, record.body)))

    def add(self, record: CampaignRecord, log: Log) -> None:
        """Keep a campaign that has trials already, with the entries of its log: all of it, or nothing.

        Raises:
            StoreError: There is one of that name, or the store cannot be written.
        """
        with self._translated("write"):
            db = self._connected()
            with db:
                db.execute("insert into campaign values (?, ?, ?)", (record.name, record.created_at, self._packed(db, record.body)))
                rows = [(record.name, trial.number, trial_json(trial)) for trial in log.performed]
                db.executemany("insert into trial values (?, ?, ?)", rows)
                entries = enumerate(log.entries, start=1)
                said = [(record.name, number, x.after, x.at, _line(entry_to_json(x.entry))) for number, x in entries]
                db.executemany("insert into entry values (?, ?, ?, ?, ?)", said)

    def change(self, name: str, **words: Any) -> None:
        """Keep other words of a campaign: what it goes on with, or its driver where its rig has got another address.

        Raises:
            StoreError: The store cannot be written.
        """
        with self._translated("write"):
            db = self._connected()
            with db:
                ((body,),) = db.execute("select body from campaign where name = ?", (name,)).fetchall()
                text = _line(json.loads(body) | words)
                db.execute("update campaign set body = ? where name = ?", (text, name))

    def check_writable(self) -> None:
        """Find out before anything is performed whether its result could be stored.

        Raises:
            StoreError: It could not.
        """
        with self._translated("write"):
            db = self._connected()
            db.execute("begin immediate")
            db.rollback()

    def find(self, name: str) -> CampaignRecord | None:
        """The campaign of that name, if there is one; what the other campaigns are does not matter.

        Raises:
            StoreError: It cannot be read.
        """
        found = self._records("where name = ?", name)
        return found[0] if found else None

    def get(self, name: str) -> CampaignRecord:
        """The campaign of that name.

        Raises:
            UnknownName: There is none; the message says which name is nearest.
            StoreError: It cannot be read.
        """
        if record := self.find(name):
            return record
        names = self.names()
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else (f"there are {', '.join(names)}" if names else "there is none yet")
        raise UnknownName(f"there is no campaign {name!r} in {self.path}; {hint}")

    def earlier(self, name: str, relation: Relation, n_trials: int | None = None) -> Earlier:
        """A campaign for another one to learn from, with its trials as they stand now.

        Args:
            relation: Of its lab to the other's.
            n_trials: So many of them, the first ones; all without it.

        Raises:
            UnknownName: There is none of that name.
            StoreError: It cannot be read.
        """
        experiment = experiment_from_json(self.get(name).body["experiment"])
        from frugaltwin.state import Earlier  # it needs numpy, which a client does without

        return Earlier(experiment, tuple(self.log(name).trials[:n_trials]), relation, name)

    def names(self) -> list[str]:
        """The names of all campaigns, in the order of the alphabet: an index has them, and no body is read.

        Raises:
            StoreError: The store cannot be read.
        """
        if self._db is None:
            return []
        with self._translated("read"):
            return [name for (name,) in self._db.execute("select name from campaign order by name")]

    def counts(self) -> dict[str, int]:
        """The number of trials of every campaign that has some.

        Raises:
            StoreError: The store cannot be read.
        """
        if self._db is None:
            return {}
        with self._translated("read"):
            return dict(self._db.execute("select campaign, count(*) from trial group by campaign").fetchall())

    def campaigns(self) -> list[CampaignRecord]:
        """All campaigns, oldest first.

        Raises:
            StoreError: The store cannot be read.
        """
        return self._records("order by created_at, rowid")

    def append(self, name: str, *trials: Trial) -> None:
        """Keep trials for ever, all or none; they are on disk when this returns. A number can be used once per campaign.

        Raises:
            StoreError: They could not be written; `record` of the error holds them, a line each, so that they are not lost.
        """
        bodies = [trial_json(trial) for trial in trials]
        try:
            with self._translated("write"):
                db = self._connected()
                with db:
                    rows = [(name, trial.number, body) for trial, body in zip(trials, bodies, strict=True)]
                    db.executemany("insert into trial values (?, ?, ?)", rows)
        except StoreError as error:
            what = f"trial {trials[0].number}" if len(trials) == 1 else f"trials {trials[0].number} to {trials[-1].number}"
            verbs = ("was", "is") if len(trials) == 1 else ("were", "are")
            text = f"{error}; {what} of {name!r} {verbs[0]} measured but {verbs[1]} not stored"
            lost = StoreError(text, field=error.field)
            lost.record = "\n".join(bodies)
            lost.add_note(lost.record)
            raise lost from error

    def trials(self, name: str) -> list[Trial]:
        """The trials of a campaign as they were performed, in the order of their numbers.

        Raises:
            StoreError: The store cannot be read.
        """
        if self._db is None:
            return []
        with self._translated("read"):
            rows = self._db.execute("select number, body from trial where campaign = ? order by number", (name,)).fetchall()
        with self._decoded():
            if missing := set(range(1, len(rows) + 1)) - {number for number, _ in rows}:
                raise StoreError(f"the store {self.path} is damaged: trial {min(missing)} of {name!r} is missing; restore a copy")
            return [trial_from_json(body) for _, body in rows]

    def append_entry(self, name: str, logged: Logged) -> None:
        """Keep an entry of a campaign's log for ever; it is on disk when this returns.

        Raises:
            StoreError: It could not be written.
        """
        body = _line(entry_to_json(logged.entry))
        with self._translated("write"):
            db = self._connected()
            with db:
                db.execute(
                    "insert into entry select ?, coalesce(max(number), 0) + 1, ?, ?, ? from entry where campaign = ?",
                    (name, logged.after, logged.at, body, name),
                )

    def entries(self, name: str) -> list[Logged]:
        """The entries of a campaign's log beside its trials, oldest first.

        Raises:
            StoreError: The store cannot be read.
        """
        if self._db is None:
            return []
        with self._translated("read"):
            if not self._has("entry"):
                return []
            rows = self._db.execute("select body, after, at from entry where campaign = ? order by number", (name,)).fetchall()
        with self._decoded():
            return [Logged(entry_from_json(json.loads(body)), after, at) for body, after, at in rows]

    def log(self, name: str) -> Log:
        """The log of a campaign: its trials, and the entries beside them.

        Raises:
            StoreError: The store cannot be read.
        """
        return Log(self.trials(name), self.entries(name))

    def keep(self, record: CalibrationRecord) -> None:
        """Keep a calibration for ever; an id can be used once.

        Raises:
            StoreError: It could not be written.
        """
        body = _line(dict(record.body))
        with self._translated("write"):
            db = self._connected()
            with db:
                db.execute("insert into calibration values (?, ?, ?)", (record.id, record.created_at, body))

    def calibrations(self) -> list[CalibrationRecord]:
        """All calibrations, oldest first.

        Raises:
            StoreError: The store cannot be read.
        """
        if self._db is None:
            return []
        with self._translated("read"):
            if not self._has("calibration"):
                return []
            rows = self._db.execute("select id, created_at, body from calibration order by created_at, rowid").fetchall()
        with self._decoded():
            return [CalibrationRecord(name, created_at, json.loads(body)) for name, created_at, body in rows]

    def backup(self, path: Path) -> Path:
        """Copy the store as it is at one moment, also while campaigns run; return the file of the copy.

        Args:
            path: A new file, or a folder for one whose name has the date and the time.

        Raises:
            StoreError: There is no store, the file is there already, or it cannot be written.
        """
        if self._db is None:
            raise StoreError(f"there is no store {self.path} to be copied; name one", field="store")
        name = Path(self.path)
        copy = path / f"{name.stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{name.suffix}" if path.is_dir() else path
        if copy.exists():
            raise StoreError(f"{copy} exists already, and no copy is written over it; choose another file", field="out")
        part = copy.with_name(f"{copy.name}.part")  # a copy that was interrupted never looks like a whole one
        try:
            part.touch(exist_ok=False)
        except FileExistsError as error:
            raise StoreError(f"{part} is of another copy; wait for it, or remove it if nothing writes it", field="out") from error
        except OSError as error:
            raise StoreError(f"cannot write {copy}: {error.strerror}; choose another file", field="out") from error
        try:
            with self._translated("copy"), closing(sqlite3.connect(part)) as target:
                self._connected().backup(target)
                target.execute("pragma journal_mode = delete")
            copied = Store(part)
            is_whole = copied._is_whole()
            copied.close()
            if not is_whole:
                raise StoreError(f"the store {self.path} is damaged, and so is a copy of it; restore an earlier one", field="store")
            part.rename(copy)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return copy

    def _is_whole(self) -> bool:
        with self._translated("read"):
            return bool(self._connected().execute("pragma integrity_check").fetchone() == ("ok",))

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold a campaign for writing; the system lets go of it when the process ends, however it ends.

        Raises:
            CampaignError: Another process holds it.
            StoreError: No lock can be made beside the store.
        """
        if self.path == ":memory:":
            yield
            return
        from filelock import FileLock, Timeout

        folder = Path(f"{self.path}.locks")
        lock = FileLock(folder / f"{name}.lock", timeout=0)
        try:
            folder.mkdir(exist_ok=True)
            lock.acquire()
        except Timeout:
            raise CampaignError(
                f"campaign {name!r} is open in another process; wait until it ends, or choose another name", field="name"
            ) from None
        except OSError as error:
            text = f"cannot write beside the store {self.path}: {error.strerror}; choose another file"
            raise StoreError(text, field="store") from error
        try:
            yield
        finally:
            lock.release()

    def _records(self, which: str, *values: str) -> list[CampaignRecord]:
        """The campaigns that the end of a query chooses."""
        if self._db is None:
            return []
        with self._translated("read"):
            rows = self._db.execute(f"select name, created_at, body from campaign {which}", values).fetchall()  # noqa: S608 - words of ours
        with self._decoded():
            return [CampaignRecord(name, created_at, self._whole(json.loads(body))) for name, created_at, body in rows]

    def _packed(self, db: sqlite3.Connection, body: Mapping[str, Any]) -> str:
        """The words of a campaign as they are kept: a long experiment, such as that of a table, by its name, and the experiment once."""
        text = _line(body.get("experiment", {}))
        if len(text) < LONG:
            return _line(dict(body))
        name = hashlib.sha256(text.encode()).hexdigest()
        db.execute("insert or ignore into part values (?, ?)", (name, zlib.compress(text.encode())))
        return _line({**body, "experiment": {"part": name}})

    def _whole(self, body: dict[str, Any]) -> dict[str, Any]:
        """The inverse of `_packed`."""
        if name := body.get("experiment", {}).get("part"):
            if name not in self._parts:
                assert self._db is not None
                ((packed,),) = self._db.execute("select body from part where id = ?", (name,)).fetchall()
                self._parts[name] = json.loads(zlib.decompress(packed))
            body["experiment"] = self._parts[name]
        return body

    def _has(self, table: str) -> bool:
        """Whether there is a table of that name; an older store that is not ours to write may have none."""
        assert self._db is not None
        return self._db.execute("select 1 from sqlite_master where name = ?", (table,)).fetchone() is not None

    def _connected(self) -> sqlite3.Connection:
        """The database, open, and still the file of that name."""
        db = self._db or self._open()
        if self.path != ":memory:" and self._file != _identity(Path(self.path)):
            raise StoreError(f"the store {self.path} was removed or replaced while it was open; start again")
        return db

    def _open(self) -> sqlite3.Connection:
        with self._translated("open"):
            is_file = self.path != ":memory:" and Path(self.path).exists()
            read_only = is_file and not _is_writable(Path(self.path))
            beside = [path.name for end in ("-wal", "-journal") if (path := Path(f"{self.path}{end}")).exists() and path.stat().st_size]
            if read_only and beside:  # which SQLite would have to read into the file, or leave out without a word
                text = f"{self.path} is read-only, and {beside[0]} beside it has a part of it; copy both into a folder of yours"
                raise StoreError(text, field="store")
            is_begun = is_file and Path(self.path).stat().st_size > 0 and not beside
            target = f"{Path(self.path).absolute().as_uri()}?mode=ro&immutable=1" if read_only else self.path
            db = sqlite3.connect(target, uri=read_only, timeout=0.1, check_same_thread=False)
            try:
                if not read_only:
                    with suppress(sqlite3.OperationalError):  # an older version has it open, with its write-ahead log
                        db.execute("pragma journal_mode = delete")
                    db.execute("pragma busy_timeout = 5000")
                    db.execute("pragma synchronous = extra")
                    db.execute("pragma foreign_keys = on")
                application, version = (db.execute(f"pragma {p}").fetchone()[0] for p in ("application_id", "user_version"))
                is_empty = db.execute("select count(*) from sqlite_master").fetchone()[0] == 0
                if is_empty and is_begun:
                    log = f"{Path(self.path).name}-wal"
                    text = f"{self.path} is a part of a store: what was stored stayed in a file {log} that was not copied"
                    raise StoreError(f"{text}; copy the store again, by frugaltwin backup", field="store")
                if is_empty and not read_only:
                    stamp = f"pragma application_id = {APPLICATION_ID}; pragma user_version = {SCHEMA_VERSION};"
                    db.executescript(f"begin immediate; {SCHEMA} {stamp} commit;")
                elif application != APPLICATION_ID:
                    raise StoreError(f"{self.path} is a SQLite file of another program; choose another file", field="store")
                elif version > SCHEMA_VERSION:
                    text = f"{self.path} was written by a newer version of frugaltwin; upgrade, or choose another file"
                    raise StoreError(text, field="store")
                elif not read_only:
                    _upgrade(db)
            except BaseException:
                db.close()
                raise
        self._db = db
        self._file = None if self.path == ":memory:" else _identity(Path(self.path))
        return db

    @contextmanager
    def _decoded(self) -> Iterator[None]:
        """Records that somebody has damaged are named as that."""
        try:
            yield
        except (KeyError, TypeError, ValueError) as error:
            _log.exception("a record in the store %s cannot be read", self.path)
            raise StoreError(f"the store {self.path} is damaged: a record in it cannot be read; restore a copy") from error

    @contextmanager
    def _translated(self, verb: str) -> Iterator[None]:
        """One clear sentence for the user; the whole story in the log."""
        try:
            yield
        except sqlite3.Error as error:
            _log.exception("cannot %s the store %s", verb, self.path)
            code = getattr(error, "sqlite_errorname", "")
            if isinstance(error, sqlite3.IntegrityError):
                raise StoreError(f"the store {self.path} has this already; another process wrote the same campaign") from error
            reasons = {
                "SQLITE_NOTADB": "it is not a database; choose another file",
                "SQLITE_CORRUPT": "it is damaged; restore a copy, or choose another file",
                "SQLITE_READONLY": "it is read-only; make it writable, or choose another file",
                "SQLITE_FULL": "there is no space left; make room, then start again",
                "SQLITE_IOERR": "there is no space left or the disk fails; make room, then start again",
                "SQLITE_BUSY": "another program has locked it; close that, then start again",
                "SQLITE_LOCKED": "another program has locked it; close that, then start again",
                "SQLITE_CANTOPEN": "there is no such folder, or it is not yours to write; choose another file",
            }
            reason = next((text for prefix, text in reasons.items() if code.startswith(prefix)), str(error))
            raise StoreError(f"cannot {verb} the store {self.path}: {reason}", field="store") from error


def _line(body: Any) -> str:
    return json.dumps(body, allow_nan=False, ensure_ascii=False)


def _upgrade(db: sqlite3.Connection) -> None:
    """Bring an older store up to date; two programs that open it at once do it once."""
    while (version := db.execute("pragma user_version").fetchone()[0]) < SCHEMA_VERSION:
        db.execute("begin immediate")
        if db.execute("pragma user_version").fetchone()[0] == version:
            db.execute(UPGRADES[version])
            db.execute(f"pragma user_version = {version + 1}")
        db.commit()


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file that is, whatever its name; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_writable(path: Path) -> bool:
    import os

    return os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)
