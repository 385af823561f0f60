"""Pages of rows whose identifiers cannot be guessed: newest first, by age and identifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Select, Table, select, tuple_

from api.records.rows import fetched
from frugaltwin.errors import InvalidInput


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Identified)


def newest_first(
    connection: Connection, kind: Callable[..., T], question: Select[Any], table: Table, limit: int, cursor: str | None
) -> tuple[list[T], str | None]:
    """A page of rows of a table with `id` and `created_at`, and the cursor of the next page.

    Raises:
        InvalidInput: No row has this cursor.
    """
    age = tuple_(table.c.created_at, table.c.id)
    if cursor is not None:
        at = connection.execute(select(table.c.created_at).where(table.c.id == cursor)).scalar_one_or_none()
        if at is None:
            raise InvalidInput(f"{cursor!r} is no cursor; take `next` of the page before, or begin without one")
        question = question.where(age < tuple_(at, cursor))
    ordered = question.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit + 1)
    rows = fetched(kind, connection.execute(ordered))
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None
