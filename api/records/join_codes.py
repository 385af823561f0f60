"""Join codes: short enough to write on a board. A newcomer with a code becomes a person with a budget and a token."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, insert, select, update

from api.errors import Conflict, NotFound, Unauthorized
from api.records import ledger, pages, people, tokens
from api.records.identifiers import new_id
from api.records.people import OF_ROLE, digest
from api.records.rows import CodeRow, fetched_one
from api.records.tables import join_code
from api.records.tokens import YEAR

_UNKNOWN = "this code is unknown, used up or expired; ask your instructor for a new one"
CODE_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Of join codes: none that looks like another."""


def add_code(
    connection: Connection, now: float, note: str, uses: int, limits: Mapping[str, float | None], scopes: Sequence[str],
    expires_at: float | None = None, classroom: str | None = None,
) -> tuple[str, str]:  # fmt: skip
    """A new join code; its id and, for this once, its words.

    Args:
        classroom: The id of the class that it lets in to.
    """
    words, identity = "-".join("".join(secrets.choice(CODE_LETTERS) for _ in range(4)) for _ in range(3)), new_id("j")
    row = {"id": identity, "digest": digest(words), "note": note, "scopes": " ".join(scopes), "uses_left": uses}
    connection.execute(
        insert(join_code),
        row | {k: limits.get(k) for k in ledger.KINDS} | {"created_at": now, "expires_at": expires_at, "classroom": classroom},
    )
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


def known(connection: Connection, now: float, words: str) -> CodeRow:
    """The join code of these words, which may be used up.

    Raises:
        Unauthorized: It is unknown, expired or revoked.
    """
    letters = "".join(c for c in words.lower() if c.isalnum())  # as people copy it from a board
    written = "-".join(letters[i : i + 4] for i in range(0, len(letters), 4))
    row = fetched_one(CodeRow, connection.execute(select(join_code).where(join_code.c.digest == digest(written))))
    if row is None or row.revoked_at is not None or (row.expires_at or now + 1) <= now:
        raise Unauthorized(_UNKNOWN)
    return row


def join(connection: Connection, now: float, words: str, name: str, key: str | None = None) -> tuple[str, str]:
    """A newcomer with a code; the person's id and token.

    Args:
        key: A secret of the newcomer's. Joined again with the same code, name and key, it is the same person, with another token in
            place of the first, whose words may never have arrived.

    Raises:
        Unauthorized: The code is unknown, used up, expired or revoked.
        Conflict: Somebody has joined with this code under this name, and the key is not theirs.
    """
    row, kept_key = known(connection, now, words), None if key is None else digest(key)
    before = people.joined_as(connection, row.id, name)
    if before is not None and (kept_key is None or before.join_key != kept_key):
        raise Conflict(
            f"{name} has joined with this code; if that was you and your token is lost, ask your instructor for another, "
            "else choose another name, such as one with an initial"
        )
    if before is not None:
        tokens.revoke_first(connection, now, before.id)
        whose = before.id
    elif row.uses_left > 0:
        connection.execute(update(join_code).where(join_code.c.id == row.id).values(uses_left=join_code.c.uses_left - 1))
        whose = people.add_person(connection, now, name, "student", row.limits, row.id, kept_key, row.classroom)
    else:
        raise Unauthorized(_UNKNOWN)
    _, shown = tokens.add_token(connection, now, whose, row.scopes.split(), tokens.FIRST, now + YEAR)
    return whose, shown


def let_in(
    connection: Connection, now: float, name: str, role: str, limits: Mapping[str, float | None], classroom: str | None = None
) -> tuple[str, str]:  # fmt: skip
    """A newcomer without a code, for the instructor; the person's id and token.

    Args:
        classroom: The id of their class.
    """
    whose = people.add_person(connection, now, name, role, limits, classroom=classroom)
    _, shown = tokens.add_token(connection, now, whose, OF_ROLE[role].split(), "first", now + YEAR)
    return whose, shown
