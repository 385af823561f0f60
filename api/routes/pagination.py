"""Pages of rows whose ids nobody can guess: newest first, by age and id."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlalchemy import Connection, Row, Select, Table, select, tuple_

from frugaltwin.errors import InvalidInput

Limit = Annotated[int, Query(ge=1, le=200, description="items on a page")]
Cursor = Annotated[str | None, Query(max_length=40, description="`next` of the page before")]
Place = Annotated[int | None, Query(ge=1, le=2**53, description="`next` of the page before")]


def newest_first(
    connection: Connection, question: Select[Any], table: Table, limit: int, cursor: str | None
) -> tuple[list[Row[Any]], str | None]:
    """A page of rows with `id` and `created_at`, and the cursor of the next one.

    Raises:
        InvalidInput: Nothing has this cursor.
    """
    age = tuple_(table.c.created_at, table.c.id)
    if cursor is not None:
        at = connection.execute(select(table.c.created_at).where(table.c.id == cursor)).scalar_one_or_none()
        if at is None:
            raise InvalidInput(f"{cursor!r} is no cursor; take `next` of the page before, or begin without one")
        question = question.where(age < tuple_(at, cursor))
    rows = list(connection.execute(question.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit + 1)).all())
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None
