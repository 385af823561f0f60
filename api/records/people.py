"""Who may do what: people, their tokens, and the join codes that make new ones.

A token is 32 random bytes. It is shown once; the database has its SHA-256. Scopes: ``read``, ``run:sim`` (twins), ``run:rig`` (real
rigs, and only those that the instructor approved), ``admin`` (everything), ``work`` (to drive a rig).
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, or_, select, update

from api.errors import Forbidden, NotFound, Unauthorized
from api.records import event_log, ledger
from api.records.fair_queue import new_id
from api.records.tables import answer, approval, join_code, person, token

REMOVED = "removed"
"""The role of who was here: their rows stay, and nobody can be them."""
OF_ROLE = {"student": "read run:sim run:rig", "observer": "read", "instructor": "read run:sim run:rig admin work"}
CODE_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Of join codes: none that looks like another."""
YEAR = 365 * 86400.0


@dataclass(frozen=True)
class Caller:
    """Whose request it is."""

    person: str
    name: str
    role: str
    scopes: frozenset[str]
    token: str
    """The id of the token, never the token itself."""
    expires_at: float | None

    @property
    def is_instructor(self) -> bool:
        return "admin" in self.scopes

    def title(self, owner: str) -> str:
        """Who did something to what somebody owns, for a sentence that is kept: no name, which may have to be taken away."""
        return "its owner" if self.person == owner else "the instructor"

    def check(self, scope: str) -> None:
        """Refuse what the token is not for.

        Raises:
            Forbidden: It is not for that.
        """
        if scope not in self.scopes and "admin" not in self.scopes:
            raise Forbidden(f"this token may {', '.join(sorted(self.scopes))}, but not {scope}; ask your instructor for another one")


_by_digest = (
    select(token.c.id, token.c.scopes, token.c.expires_at, token.c.revoked_at, person.c.id.label("person"), person.c.name, person.c.role)
    .join(person, person.c.id == token.c.person)
    .where(token.c.digest == bindparam("digest"))
)


def digest(words: str) -> str:
    """What the database keeps of a token or code."""
    return hashlib.sha256(words.encode()).hexdigest()


def caller(connection: Connection, now: float, words: str) -> Caller:
    """Who has this token.

    Raises:
        Unauthorized: Nobody, or not any more.
    """
    row = connection.execute(_by_digest, {"digest": digest(words)}).mappings().one_or_none()
    if row is None:
        raise Unauthorized("this token is unknown; join with your class's code to get one")
    if row["revoked_at"] is not None:
        raise Unauthorized("this token was revoked; ask your instructor for a new one")
    if row["expires_at"] is not None and row["expires_at"] <= now:
        raise Unauthorized("this token has expired; ask your instructor for a new one")
    return Caller(row["person"], row["name"], row["role"], frozenset(row["scopes"].split()), row["id"], row["expires_at"])


def add_person(connection: Connection, now: float, name: str, role: str, limits: Mapping[str, float | None]) -> str:
    """A new person with a budget; the id."""
    identity = new_id("u")
    connection.execute(insert(person), {"id": identity, "name": name, "role": role, "created_at": now})
    ledger.open_account(connection, now, identity, limits)
    return identity


def find(connection: Connection, identity: str) -> dict[str, Any]:
    """Somebody of the class.

    Raises:
        NotFound: There is nobody of that id, or not any more.
    """
    row = connection.execute(select(person).where(person.c.id == identity, person.c.role != REMOVED)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no person {identity[:40]}; GET /v1/people lists them")
    return dict(row)


def forget(connection: Connection, now: float, identity: str) -> None:
    """Take somebody's name, tokens, approvals and budget away. What they have under way is ended before."""
    for one in connection.execute(select(token.c.id).where(token.c.person == identity)).scalars().all():
        revoke(connection, now, one, None)
    connection.execute(update(token).where(token.c.person == identity).values(note=""))
    connection.execute(delete(approval).where(approval.c.person == identity))
    connection.execute(delete(answer).where(or_(answer.c.person == identity, answer.c.location == f"/v1/people/{identity}")))
    ledger.set_left(connection, now, identity, dict.fromkeys(ledger.KINDS, 0.0))  # a request of theirs that is under way buys nothing
    connection.execute(update(person).where(person.c.id == identity).values(name=REMOVED, role=REMOVED))
    event_log.record(connection, now, "person.removed", identity, {"person": identity})


def add_token(
    connection: Connection, now: float, whose: str, scopes: Sequence[str], note: str = "", expires_at: float | None = None
) -> tuple[str, str]:
    """A new token; its id and, for this once, its words."""
    words, identity = f"ft_{secrets.token_urlsafe(32)}", new_id("t")
    row = {"id": identity, "person": whose, "digest": digest(words), "note": note, "scopes": " ".join(scopes)}
    connection.execute(insert(token), row | {"created_at": now, "expires_at": expires_at})
    return identity, words


def revoke(connection: Connection, now: float, identity: str, whose: str | None) -> None:
    """A token is good for nothing from now on; revoked twice, it is revoked.

    Args:
        whose: Only if it is this person's; None is anybody's.

    Raises:
        NotFound: There is no such token.
    """
    found = connection.execute(select(token.c.person).where(token.c.id == identity)).scalar_one_or_none()
    if found is None or (whose is not None and found != whose):
        raise NotFound(f"there is no token {identity}")
    if connection.execute(update(token).where(token.c.id == identity, token.c.revoked_at.is_(None)).values(revoked_at=now)).rowcount:
        event_log.record(connection, now, "token.revoked", found, {"token": identity})  # every process ends what it streams with it


def check_token(connection: Connection, identity: str) -> None:
    """Ask the table, not what is remembered, whether a token is still good.

    Raises:
        Unauthorized: It was revoked.
    """
    if connection.execute(select(token.c.revoked_at).where(token.c.id == identity)).scalar_one_or_none() is not None:
        raise Unauthorized("this token was revoked; ask your instructor for a new one")


def add_code(
    connection: Connection, now: float, note: str, uses: int, limits: Mapping[str, float | None], scopes: Sequence[str],
    expires_at: float | None = None,
) -> tuple[str, str]:  # fmt: skip
    """A new join code; its id and, for this once, its words: short enough to write on a board."""
    words, identity = "-".join("".join(secrets.choice(CODE_LETTERS) for _ in range(4)) for _ in range(3)), new_id("j")
    row: dict[str, Any] = {"id": identity, "digest": digest(words), "note": note, "scopes": " ".join(scopes), "uses_left": uses}
    connection.execute(insert(join_code), row | {k: limits.get(k) for k in ledger.KINDS} | {"created_at": now, "expires_at": expires_at})
    return identity, words


def join(connection: Connection, now: float, words: str, name: str) -> tuple[str, str]:
    """A newcomer with a code; the person's id and token.

    Raises:
        Unauthorized: The code is unknown, used up, expired or revoked.
    """
    letters = "".join(c for c in words.lower() if c.isalnum())  # as people copy it from a board
    written = "-".join(letters[i : i + 4] for i in range(0, len(letters), 4))
    row = connection.execute(select(join_code).where(join_code.c.digest == digest(written))).mappings().one_or_none()
    is_good = row is not None and row["uses_left"] > 0 and row["revoked_at"] is None and (row["expires_at"] or now + 1) > now
    if row is None or not is_good:
        raise Unauthorized("this code is unknown, used up or expired; ask your instructor for a new one")
    connection.execute(update(join_code).where(join_code.c.id == row["id"]).values(uses_left=join_code.c.uses_left - 1))
    whose = add_person(connection, now, name, "student", {k: row[k] for k in ledger.KINDS})
    _, shown = add_token(connection, now, whose, row["scopes"].split(), "joined", now + YEAR)
    return whose, shown


def approve(connection: Connection, now: float, whose: str, rig: str, by: str) -> None:
    """Let a person use a real rig; approved twice, it is approved."""
    known = select(approval.c.at).where(approval.c.person == whose, approval.c.rig == rig)
    if connection.execute(known).scalar_one_or_none() is None:
        connection.execute(insert(approval), {"person": whose, "rig": rig, "by": by, "at": now})


def is_approved(connection: Connection, whose: str, rig: str) -> bool:
    """Whether a person may use a real rig."""
    known = select(approval.c.at).where(approval.c.person == whose, approval.c.rig == rig)
    return connection.execute(known).scalar_one_or_none() is not None
