"""Tokens: 32 random bytes that open the service for one person. A token is shown once; the database has its SHA-256."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from sqlalchemy import Connection, func, insert, or_, select, update

from api.errors import Conflict, Forbidden, NotFound, Unauthorized
from api.records import event_log, pages, people
from api.records.identifiers import check_rig_name, new_id
from api.records.people import OF_ROLE, Caller, digest
from api.records.rows import TokenRow, fetched_one
from api.records.tables import token
from frugaltwin.errors import InvalidInput

YEAR = 365 * 86400.0
"""s."""
FIRST = "joined"
"""The note on the token that somebody joins with."""
GOOD_AT_ONCE = 20
"""Tokens of one person."""


def add_token(
    connection: Connection, now: float, whose: str, scopes: Sequence[str], note: str = "", expires_at: float | None = None,
    drives: Sequence[str] = (), parent: str | None = None, *, is_agent: bool = False, runs: float | None = None,
) -> tuple[str, str]:  # fmt: skip
    """A new token; its id and, for this once, its words.

    Args:
        drives: The rigs that it may drive, with the scope work.
        parent: The id of the token with which it ends.
    """
    words, identity = f"ft_{secrets.token_urlsafe(32)}", new_id("t")
    row = {"id": identity, "person": whose, "digest": digest(words), "note": note, "scopes": " ".join(scopes)}
    connection.execute(
        insert(token),
        row
        | {
            "is_agent": is_agent,
            "runs": runs,
            "created_at": now,
            "expires_at": expires_at,
            "rigs": " ".join(drives) or None,
            "parent": parent,
        },
    )
    return identity, words


def find(connection: Connection, identity: str) -> TokenRow:
    """A token by its id.

    Raises:
        NotFound: There is none.
    """
    row = fetched_one(TokenRow, connection.execute(select(token).where(token.c.id == identity)))
    if row is None:
        raise NotFound(f"there is no token {identity}")
    return row


def good(connection: Connection, now: float, most: int) -> list[tuple[str, str]]:
    """The newest good tokens by digest and person, the oldest of them first."""
    is_good = token.c.revoked_at.is_(None), or_(token.c.expires_at.is_(None), token.c.expires_at > now)
    newest = select(token.c.digest, token.c.person).where(*is_good).order_by(token.c.created_at.desc()).limit(most)
    return [(row.digest, row.person) for row in reversed(connection.execute(newest).all())]


def page(connection: Connection, caller: Caller, whose: str | None, limit: int, cursor: str | None) -> tuple[list[TokenRow], str | None]:
    """A page of a person's tokens, newest first, and the cursor of the next page.

    Args:
        whose: The caller's without it.

    Raises:
        Forbidden: Another person's are for the instructor.
    """
    if whose not in (None, caller.person):
        caller.check("admin")
    question = select(token).where(token.c.person == (whose or caller.person))
    return pages.newest_first(connection, TokenRow, question, token, limit, cursor)


def make(
    connection: Connection, now: float, caller: Caller, scopes: Sequence[str], note: str, expires_in: float | None, whose: str | None,
    drives: Sequence[str] = (), *, is_agent: bool = False, runs: float | None = None,
) -> tuple[TokenRow, str]:  # fmt: skip
    """A new token of the caller's, which may at most what the caller's own may; with its words, for this once.

    Args:
        expires_in: s; by default a year, or as long as the caller's own.
        whose: Another person's; for an instructor.
        drives: The rigs that it may drive, with the scope work. They need not be known yet.
        is_agent: Whether it is for an agent: what is done with it is marked, and where a person has to decide it is refused.
        runs: Experiments at most, of an agent's.

    Raises:
        Unauthorized: The caller's own was revoked just now: it leaves no children.
        Forbidden: It would be allowed more than its owner, or than the caller's own; or an agent makes it.
        NotFound: There is no such person.
        InvalidInput: It would outlive the caller's own, or it is to drive rigs and names none.
        Conflict: The caller has too many.
    """
    check_token(connection, caller.token)
    caller.check_person("to make a token")
    if runs is not None and not is_agent:
        raise InvalidInput("a limit of runs is of a token for an agent; say so, or leave it out", field="runs")
    owner = _owner(connection, caller, scopes, whose)
    _check_drives(caller, scopes, drives)
    expires_at = _end(caller, expires_in, now)
    is_own = owner == caller.person
    if is_own:  # who has lost all of theirs cannot revoke one first
        _check_count(connection, now, owner)
    parent = caller.token if is_own else None
    identity, words = add_token(
        connection, now, owner, sorted(set(scopes)), note, expires_at, sorted(set(drives)), parent, is_agent=is_agent, runs=runs
    )
    return find(connection, identity), words


def revoke(connection: Connection, now: float, identity: str, whose: str | None = None) -> None:
    """End a token, and those of the same person that were made with it: they open nothing from now on. Revoked twice, they are revoked.

    Args:
        whose: Only if it is this person's; None is anybody's.

    Raises:
        NotFound: There is no such token.
    """
    row = find(connection, identity)
    if whose is not None and row.person != whose:
        raise NotFound(f"there is no token {identity}")
    if connection.execute(update(token).where(token.c.id == identity, token.c.revoked_at.is_(None)).values(revoked_at=now)).rowcount:
        event_log.record(connection, now, "token.revoked", row.person, {"token": identity})  # every process ends its streams
    for child in connection.execute(select(token.c.id).where(token.c.parent == identity)).scalars().all():
        revoke(connection, now, child)


def revoke_own(connection: Connection, now: float, caller: Caller, identity: str) -> None:
    """End a token of the caller's, or an instructor anybody's.

    Raises:
        NotFound: The caller has no such token.
        Forbidden: It may more than the caller's own.
    """
    if identity != caller.token:
        caller.check_person("to revoke another token")
    found = find(connection, identity)
    if found.person != caller.person and not caller.is_instructor:
        raise NotFound(f"there is no token {identity}")
    if not caller.is_instructor and not set(found.scopes.split()) <= caller.scopes:
        raise Forbidden(f"the token {identity} may more than this one; revoke it with itself, or ask your instructor")
    revoke(connection, now, identity)


def revoke_all(connection: Connection, now: float, whose: str) -> None:
    """End every token of a person."""
    good = select(token.c.id).where(token.c.person == whose, token.c.revoked_at.is_(None))
    for identity in connection.execute(good).scalars().all():
        revoke(connection, now, identity)


def revoke_first(connection: Connection, now: float, whose: str) -> None:
    """End the tokens that a person was given when joining."""
    first = select(token.c.id).where(token.c.person == whose, token.c.note == FIRST, token.c.parent.is_(None), token.c.revoked_at.is_(None))
    for identity in connection.execute(first).scalars().all():
        revoke(connection, now, identity)


def forget_notes(connection: Connection, whose: str) -> None:
    """Take away what a person wrote on their tokens."""
    connection.execute(update(token).where(token.c.person == whose).values(note=""))


def check_token(connection: Connection, identity: str) -> None:
    """Ask the table, not what is remembered, whether a token is still good.

    Raises:
        Unauthorized: It was revoked.
    """
    if connection.execute(select(token.c.revoked_at).where(token.c.id == identity)).scalar_one_or_none() is not None:
        raise Unauthorized("this token was revoked; ask your instructor for a new one")


def _owner(connection: Connection, caller: Caller, scopes: Sequence[str], whose: str | None) -> str:
    for scope in scopes:
        caller.check(scope)
    if whose is None or whose == caller.person:
        return caller.person
    caller.check("admin")
    found = people.find(connection, whose)
    if too_much := sorted(set(scopes) - set(OF_ROLE[found.role].split())):
        raise Forbidden(f"a token of a person with the role {found.role} cannot have {', '.join(too_much)}; leave that out")
    return found.id


def _check_drives(caller: Caller, scopes: Sequence[str], drives: Sequence[str]) -> None:
    if drives and "work" not in scopes:
        raise InvalidInput("rigs are what a token with the scope work may drive; add that scope, or leave the rigs out", field="rigs")
    if not drives and "work" in scopes and "admin" not in scopes:
        raise InvalidInput('a token with the scope work names the rigs that it may drive, such as "rigs": ["mixer-2"]', field="rigs")
    for name in drives:
        check_rig_name(name)
        caller.check_drives(name)


def _end(caller: Caller, expires_in: float | None, now: float) -> float:
    """The end of a new token, s since 1970."""
    last = float("inf") if caller.expires_at is None or caller.is_instructor else caller.expires_at
    if expires_in is None:
        return min(now + YEAR, last)
    if now + expires_in > last:
        raise InvalidInput(f"expires_in = {expires_in:g} s is longer than this token lives ({last - now:.0f} s); ask for less")
    return now + expires_in


def _check_count(connection: Connection, now: float, whose: str) -> None:
    is_good = (token.c.person == whose, token.c.revoked_at.is_(None), or_(token.c.expires_at.is_(None), token.c.expires_at > now))
    n = connection.execute(select(func.count()).select_from(token).where(*is_good)).scalar_one()
    if n >= GOOD_AT_ONCE:
        raise Conflict(f"{whose} has {n} tokens, and at most {GOOD_AT_ONCE} can be good at once; revoke one first")
