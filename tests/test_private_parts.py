"""Parts of SQLAlchemy and uvicorn that are not in their documentation and that the service uses: one test says what it relies on.

When one of these fails after an upgrade, the file that it names has to be changed before the upgrade is taken.
"""

from __future__ import annotations

import asyncio
import inspect
import signal
import sqlite3
import sys
from typing import Any

import pytest
import uvicorn
from sqlalchemy import Boolean, Column, Integer, MetaData, Table, bindparam, create_engine, event, insert, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.sql.compiler import SQLCompiler

THINGS = Table("thing", MetaData(), Column("id", Integer, primary_key=True), Column("is_on", Boolean))


def test_a_compiled_statement_knows_the_names_and_types_of_its_result_columns() -> None:
    """Used by api/records/prepared_statement.py: `SQLCompiler._result_columns`, its `keyname` and `type`."""
    dialect = sqlite.dialect(paramstyle="named")
    compiled = select(THINGS.c.id.label("number"), THINGS.c.is_on).where(THINGS.c.id == bindparam("which")).compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    columns: Any = compiled._result_columns
    assert [column.keyname for column in columns] == ["number", "is_on"]
    number, is_on = (column.type.result_processor(dialect, None) for column in columns)
    assert number is None
    assert is_on(1) is True


def test_a_statement_with_named_parameters_runs_on_the_cursor_of_sqlite() -> None:
    """Used by api/records/prepared_statement.py: the text of a statement compiled with named parameters takes a mapping."""
    dialect = sqlite.dialect(paramstyle="named")
    engine = create_engine("sqlite://")
    THINGS.metadata.create_all(engine)
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        cursor.execute(str(insert(THINGS).compile(dialect=dialect, column_keys=["id"])), {"id": 7, "more": "does no harm"})
        cursor.execute(str(select(THINGS.c.id).where(THINGS.c.id == bindparam("which")).compile(dialect=dialect)), {"which": 7})
        assert [column[0] for column in cursor.description or ()] == ["id"]
        assert cursor.fetchall() == [(7,)]


def test_an_error_of_the_driver_becomes_one_of_sqlalchemy() -> None:
    """Used by api/records/prepared_statement.py: `Dialect.loaded_dbapi`, `Dialect.is_disconnect` and `DBAPIError.instance`."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        dialect, driver = connection.dialect, connection.connection
        kind: Any = dialect.loaded_dbapi.Error
        assert kind is sqlite3.Error
        error: Any = sqlite3.IntegrityError("UNIQUE constraint failed")
        assert dialect.is_disconnect(error, driver.dbapi_connection, None) is False
        translated = DBAPIError.instance("insert", None, error, kind, hide_parameters=True, connection_invalidated=False, dialect=dialect)
    assert isinstance(translated, IntegrityError)
    assert translated.orig is error


def test_no_transaction_of_sqlite_begins_before_the_event_begin() -> None:
    """Used by api/records/database.py: with `isolation_level = None` the driver sends no BEGIN; the event `begin` sends it."""
    engine = create_engine("sqlite://")
    sent: list[str] = []

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.set_trace_callback(sent.append)

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("begin")

    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("select 1")
    began = sent.index("begin")
    assert [words.lower() for words in sent[began:]] == ["begin", "select 1", "commit"]


class _Transport(asyncio.Transport):
    """A connection that only notes whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.is_closed = False
        self.sent = b""

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def write(self, data: Any) -> None:
        self.sent += data

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def _application(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.skipif(sys.platform == "win32", reason="there the service uses the protocol that uvicorn chooses")
def test_uvicorn_calls_the_protocol_at_the_head_and_at_the_end_of_a_request() -> None:
    """Used by api/http_protocol.py: `loop`, `transport`, `cycle`, its state, `parser`, `flow`, and when the calls of a parser come."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    from uvicorn.server import ServerState

    heads: list[bool] = []

    class Watched(HttpToolsProtocol):
        def on_headers_complete(self) -> None:
            heads.append(True)
            super().on_headers_complete()

    async def request() -> None:
        config = uvicorn.Config(_application, http=Watched, log_config=None)
        config.load()
        assert config.http_protocol_class is Watched
        protocol, transport = Watched(config, ServerState(), {}), _Transport()
        assert protocol.loop is asyncio.get_running_loop()
        protocol.connection_made(transport)
        assert protocol.transport is transport
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: here\r\n")
        cycle: Any = protocol.cycle
        assert (heads, cycle) == ([], None)  # half of a head
        protocol.data_received(b"\r\n")
        assert heads == [True]
        assert protocol.cycle.response_complete is False
        assert protocol.cycle.disconnected is False
        protocol.flow.pause_reading()
        await asyncio.gather(*protocol.tasks)
        assert protocol.cycle.response_complete is True
        assert transport.sent.startswith(b"HTTP/1.1 204")
        protocol.connection_lost(None)
        assert transport.is_closed

    asyncio.run(request())


def test_uvicorn_calls_startup_when_it_listens_and_shutdown_at_the_end() -> None:
    """Used by api/server.py: `Server.startup` and `Server.shutdown` with the sockets, `started`, and a signal that is raised again."""
    for name in ("startup", "shutdown"):
        method = getattr(uvicorn.Server, name)
        assert inspect.iscoroutinefunction(method)
        assert list(inspect.signature(method).parameters) == ["self", "sockets"]
    calls: list[tuple[str, bool]] = []

    class Watched(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            calls.append(("startup", self.started))
            signal.raise_signal(signal.SIGTERM)

        async def shutdown(self, sockets: Any = None) -> None:
            calls.append(("shutdown", self.started))
            await super().shutdown(sockets)

    raised: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: raised.append(number))
    try:
        asyncio.run(Watched(uvicorn.Config(_application, port=0, lifespan="off", log_config=None)).serve())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert calls == [("startup", True), ("shutdown", True)]
    assert raised == [signal.SIGTERM]
