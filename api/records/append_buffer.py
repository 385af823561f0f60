"""Rows of tables that only grow (events, the ledger): kept in mind while a group of changes runs, written together before it commits.

On PostgreSQL a statement is a walk to another process and back, and every experiment adds some ten such rows.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from api.records.prepared_statement import PreparedStatement

Row = dict[str, Any]
Mark = tuple[int, dict[PreparedStatement, int]]

_newest = PreparedStatement(text("update counter set value = :newest where name = 'event'"))


class AppendBuffer:
    """What the changes of one transaction have added so far."""

    def __init__(self, newest_event: int) -> None:
        """Nothing yet.

        Args:
            newest_event: The id of the newest event in the table.
        """
        self._in_table = self.newest_event = newest_event
        self._rows: dict[PreparedStatement, list[Row]] = {}

    def add(self, insert: PreparedStatement, row: Row) -> None:
        """One more row."""
        self._rows.setdefault(insert, []).append(row)

    def rows(self, insert: PreparedStatement) -> list[Row]:
        """What a reading of the table does not show yet."""
        return self._rows.get(insert, [])

    def mark(self) -> Mark:
        """A place to go back to."""
        return self.newest_event, {insert: len(rows) for insert, rows in self._rows.items()}

    def take_back(self, mark: Mark) -> None:
        """Forget what was added since."""
        self.newest_event, lengths = mark
        for insert, rows in self._rows.items():
            del rows[lengths.get(insert, 0) :]

    def write(self, connection: Connection) -> None:
        """Into the tables, in order."""
        for insert, rows in self._rows.items():
            insert.many(connection, rows)
        if self.newest_event != self._in_table:
            _newest(connection, {"newest": self.newest_event})


def of(connection: Connection) -> AppendBuffer:
    """What the transaction under way on a connection has added."""
    found: AppendBuffer = connection.info[AppendBuffer]
    return found
