"""Answers to requests with an idempotency key, so that a request that is sent again is done once."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from api.errors import Unprocessable
from api.records.rows import AnswerRow, fetched_one
from api.records.tables import answer


def find(connection: Connection, person: str, key: str, digest: str) -> AnswerRow | None:
    """The answer that a person's request under this key got, if there was one.

    Args:
        digest: Of the request.

    Raises:
        Unprocessable: The key was used for another request.
    """
    known = select(answer).where(answer.c.person == person, answer.c.key == key)
    row = fetched_one(AnswerRow, connection.execute(known))
    if row is not None and row.digest != digest:
        raise Unprocessable(f"the key {key!r} was used for another request; take a new key for each new request")
    return row


def keep(connection: Connection, row: AnswerRow) -> None:
    """Keep an answer."""
    connection.execute(insert(answer), vars(row))
