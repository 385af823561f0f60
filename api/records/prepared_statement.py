"""Statements that run many hundred times a second."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect, Executable
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

T = TypeVar("T")


@dataclass(frozen=True)
class _Compiled:
    words: str
    conversions: Mapping[int, Callable[[Any], Any]]
    """By the position of the column, where the driver's own type is not Python's."""

    def converted(self, row: Sequence[Any]) -> Sequence[Any]:
        """A row of the driver in Python's types."""
        if not self.conversions:
            return row
        cells = list(row)
        for position, convert in self.conversions.items():
            cells[position] = convert(cells[position])
        return cells


class PreparedStatement:
    """A statement compiled once for each kind of database, then run on the driver's own cursor.

    `Connection.execute` takes some 30 µs of processor time for what SQLite does in 2 µs, and a submission is ten statements.
    """

    def __init__(self, statement: Executable, *columns: str) -> None:
        """Keep the statement.

        Args:
            columns: Of an insert, those that are given.
        """
        self._statement, self._columns = statement, columns
        self._compiled: dict[str, _Compiled] = {}

    def __call__(self, connection: Connection, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run it with the values of its parameters, by name (more do no harm); its rows.

        Raises:
            DBAPIError: As from `Connection.execute`.
        """
        names, rows = self._run(connection, values)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def rows(self, connection: Connection, values: Mapping[str, Any], kind: Callable[..., T]) -> list[T]:
        """Run it like a call; its rows as dataclasses whose fields are the columns, in their order.

        Raises:
            DBAPIError: As from `Connection.execute`.
        """
        return [kind(*row) for row in self._run(connection, values)[1]]

    def _run(self, connection: Connection, values: Mapping[str, Any]) -> tuple[list[str], list[Sequence[Any]]]:
        compiled = self._words(connection)
        with _cursor(connection, compiled.words) as cursor:
            cursor.execute(compiled.words, *([values] if values else ()))
            names = [column[0] for column in cursor.description or ()]
            return names, [compiled.converted(row) for row in cursor.fetchall()] if names else []

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it once for each of the values, without waiting for one after the other.

        Raises:
            DBAPIError: As from `Connection.execute`.
        """
        if rows:
            compiled = self._words(connection)
            with _cursor(connection, compiled.words) as cursor:
                cursor.executemany(compiled.words, rows)

    def _words(self, connection: Connection) -> _Compiled:
        return self._compiled.get(connection.dialect.name) or self._compile(connection.dialect)

    def _compile(self, dialect: Dialect) -> _Compiled:
        named: Dialect = type(dialect)(paramstyle="named") if dialect.name == "sqlite" else dialect  # type: ignore[call-arg]
        assert isinstance(self._statement, ClauseElement)
        compiled = self._statement.compile(dialect=named, column_keys=list(self._columns) or None)
        assert isinstance(compiled, SQLCompiler)
        found = {i: c.type.result_processor(named, None) for i, c in enumerate(compiled._result_columns)}
        self._compiled[dialect.name] = _Compiled(str(compiled), {i: p for i, p in found.items() if p is not None})
        return self._compiled[dialect.name]


@contextmanager
def _cursor(connection: Connection, words: str) -> Iterator[DBAPICursor]:
    """The driver's own cursor, with SQLAlchemy's errors."""
    dialect, driver = connection.dialect, connection.connection
    try:
        cursor = driver.cursor()
        yield cursor
        cursor.close()
    except dialect.loaded_dbapi.Error as error:
        is_lost = dialect.is_disconnect(error, driver.dbapi_connection, None)
        if is_lost:
            connection.invalidate(error)
        raise DBAPIError.instance(
            words, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, connection_invalidated=is_lost, dialect=dialect
        ) from error
