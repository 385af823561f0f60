"""A buffer for new rows of the append-only tables (events, the ledger): a group of changes fills it; it is written before the commit.

On PostgreSQL a statement is a round trip to another process, and every experiment adds some ten such rows.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from api.records.prepared_statement import PreparedStatement

Row = dict[str, Any]
Mark = tuple[int, dict[PreparedStatement, int]]

_newest = PreparedStatement(text("update counter set value = :newest where name = 'event'"))


class AppendBuffer:
    """The rows that the changes of one transaction have added so far."""

    def __init__(self, newest_event: int) -> None:
        """An empty buffer.

        Args:
            newest_event: The id of the newest event in the table.
        """
        self._in_table = self.newest_event = newest_event
        self._rows: dict[PreparedStatement, list[Row]] = {}

    def add(self, insert: PreparedStatement, row: Row) -> None:
        """Add a row."""
        self._rows.setdefault(insert, []).append(row)

    def rows(self, insert: PreparedStatement) -> list[Row]:
        """The rows that a query of the table does not show yet."""
        return self._rows.get(insert, [])

    def mark(self) -> Mark:
        """A mark to go back to."""
        return self.newest_event, {insert: len(rows) for insert, rows in self._rows.items()}

    def take_back(self, mark: Mark) -> None:
        """Drop the rows that were added since a mark."""
        self.newest_event, lengths = mark
        for insert, rows in self._rows.items():
            del rows[lengths.get(insert, 0) :]

    def write(self, connection: Connection) -> None:
        """Write the rows into their tables, in order."""
        for insert, rows in self._rows.items():
            insert.many(connection, rows)
        if self.newest_event != self._in_table:
            _newest(connection, {"newest": self.newest_event})


def added(connection: Connection, insert: PreparedStatement) -> list[Row]:
    """The rows of one insert that the transaction under way adds; none where a connection only reads."""
    found: AppendBuffer | None = connection.info.get(AppendBuffer)
    return found.rows(insert) if found else []


def of(connection: Connection) -> AppendBuffer:
    """The buffer of the transaction under way on a connection."""
    found: AppendBuffer = connection.info[AppendBuffer]
    return found
