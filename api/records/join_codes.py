"""Join codes: short enough to write on a board. A newcomer with a code becomes a person with a budget and a token."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, insert, select, update

from api.errors import NotFound, Unauthorized
from api.records import ledger, pages, people, tokens
from api.records.identifiers import new_id
from api.records.people import OF_ROLE, digest
from api.records.rows import CodeRow, fetched_one
from api.records.tables import join_code
from api.records.tokens import YEAR

CODE_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Of join codes: none that looks like another."""


def add_code(
    connection: Connection, now: float, note: str, uses: int, limits: Mapping[str, float | None], scopes: Sequence[str],
    expires_at: float | None = None,
) -> tuple[str, str]:  # fmt: skip
    """A new join code; its id and, for this once, its words."""
    words, identity = "-".join("".join(secrets.choice(CODE_LETTERS) for _ in range(4)) for _ in range(3)), new_id("j")
    row = {"id": identity, "digest": digest(words), "note": note, "scopes": " ".join(scopes), "uses_left": uses}
    connection.execute(insert(join_code), row | {k: limits.get(k) for k in ledger.KINDS} | {"created_at": now, "expires_at": expires_at})
    return identity, words


def find(connection: Connection, identity: str) -> CodeRow:
    """A join code by its id.

    Raises:
        NotFound: There is none.
    """
    row = fetched_one(CodeRow, connection.execute(select(join_code).where(join_code.c.id == identity)))
    if row is None:
        raise NotFound(f"there is no join code {identity}; GET /v1/codes lists them")
    return row


def page(connection: Connection, limit: int, cursor: str | None) -> tuple[list[CodeRow], str | None]:
    """A page of the join codes, newest first, and the cursor of the next page."""
    return pages.newest_first(connection, CodeRow, select(join_code), join_code, limit, cursor)


def revoke(connection: Connection, now: float, identity: str) -> None:
    """End a join code; the people who joined with it stay. Revoked twice, it is revoked.

    Raises:
        NotFound: There is no such code.
    """
    find(connection, identity)
    connection.execute(update(join_code).where(join_code.c.id == identity, join_code.c.revoked_at.is_(None)).values(revoked_at=now))


def join(connection: Connection, now: float, words: str, name: str) -> tuple[str, str]:
    """A newcomer with a code; the person's id and token.

    Raises:
        Unauthorized: The code is unknown, used up, expired or revoked.
    """
    letters = "".join(c for c in words.lower() if c.isalnum())  # as people copy it from a board
    written = "-".join(letters[i : i + 4] for i in range(0, len(letters), 4))
    row = fetched_one(CodeRow, connection.execute(select(join_code).where(join_code.c.digest == digest(written))))
    is_good = row is not None and row.uses_left > 0 and row.revoked_at is None and (row.expires_at or now + 1) > now
    if row is None or not is_good:
        raise Unauthorized("this code is unknown, used up or expired; ask your instructor for a new one")
    connection.execute(update(join_code).where(join_code.c.id == row.id).values(uses_left=join_code.c.uses_left - 1))
    whose = people.add_person(connection, now, name, "student", row.limits)
    _, shown = tokens.add_token(connection, now, whose, row.scopes.split(), "joined", now + YEAR)
    return whose, shown


def let_in(connection: Connection, now: float, name: str, role: str, limits: Mapping[str, float | None]) -> tuple[str, str]:
    """A newcomer without a code, for the instructor; the person's id and token."""
    whose = people.add_person(connection, now, name, role, limits)
    _, shown = tokens.add_token(connection, now, whose, OF_ROLE[role].split(), "first", now + YEAR)
    return whose, shown
