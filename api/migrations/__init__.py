"""What brings a database from any released schema to today's: Alembic's revisions, under `versions`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from api.database import engine_of

HERE = Path(__file__).parent


def upgrade(url: str) -> tuple[str | None, str]:
    """Bring a database up to date, making its tables if there are none; the revisions before and after."""
    config = Config()
    config.set_main_option("script_location", str(HERE))
    head = ScriptDirectory.from_config(config).get_current_head()
    assert head is not None
    engine = engine_of(url)
    try:
        with engine.connect() as connection, connection.begin():
            before = revision(connection)
            config.attributes["connection"] = connection
            if before != head:
                command.upgrade(config, "head")
    finally:
        engine.dispose()
    return before, head


def revision(connection: Connection) -> str | None:
    """The revision that a database is at; None when it has no tables of ours."""
    return MigrationContext.configure(connection).get_current_revision()
