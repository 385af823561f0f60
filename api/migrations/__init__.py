"""Migrations of a database from any released schema to today's: Alembic's revisions, under `versions`."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from api.records import standings
from api.records.database import engine_of
from frugaltwin.errors import InvalidInput, StoreError

HERE = Path(__file__).parent


def upgrade(url: str) -> tuple[str | None, str]:
    """Bring a database up to date, making its tables if there are none; the revisions before and after.

    Two processes that start at once take turns.

    Raises:
        InvalidInput: The URL cannot be understood.
        MissingPart: Its kind of database needs something that is not installed.
        StoreError: It cannot be reached or changed, or a newer version made it.
    """
    config = _config()
    engine = engine_of(url)
    if engine.dialect.name == "sqlite":
        with contextlib.suppress(OSError):  # which connecting will say better
            Path(str(engine.url.database)).touch(0o600)  # people's names and experiments are nobody else's business
    try:
        with engine.connect() as connection, connection.begin():
            is_sqlite = connection.dialect.name == "sqlite"
            connection.exec_driver_sql("pragma user_version = 0" if is_sqlite else "select pg_advisory_xact_lock(7237)")  # the turn
            if not is_sqlite and (kept := connection.exec_driver_sql("show server_encoding").scalar_one()) != "UTF8":
                raise StoreError(f"the database keeps text as {kept}, not every letter; make another: createdb -E UTF8 -T template0 NAME")
            before = revision(connection)
            config.attributes["connection"] = connection
            if before != newest():
                command.upgrade(config, "head")
                standings.fill(connection)
    except CommandError as error:
        raise StoreError(f"the database is at revision {before}, which a newer version made; install that version again") from error
    except DBAPIError as error:
        raise StoreError(f"the database cannot be brought up to date: {' '.join(str(error.orig).split())}") from error
    finally:
        engine.dispose()
    return before, newest()


def newest() -> str:
    """The revision of today's schema."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """One look at a database as it is at one moment, whether it is up to date or not.

    Raises:
        InvalidInput: There is no such database.
        StoreError: It cannot be read.
    """
    engine, where = engine_of(url), make_url(url)
    if where.get_backend_name() == "sqlite" and not Path(str(where.database)).is_file():
        raise InvalidInput(f"there is no file {where.database}; name the service's database, sqlite:///FILE", field="database")
    if where.get_backend_name() != "sqlite":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise StoreError(f"the database cannot be read: {' '.join(str(error.orig).split())}") from error
    finally:
        engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    return config


def revision(connection: Connection) -> str | None:
    """The revision that a database is at; None when it has no tables of ours."""
    return MigrationContext.configure(connection).get_current_revision()
