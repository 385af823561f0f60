"""People, and what each may do by role and token.

Scopes of a token: ``read``, ``run:sim`` (twins), ``run:rig`` (real rigs, and only those that the instructor approved), ``admin``
(everything), ``work`` (to drive a rig), ``teach`` (to look at the work of one class). Tokens themselves are in
`tokens`, join codes in `join_codes`.
"""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, insert, select, true

from api.errors import Forbidden, NotFound, Unauthorized
from api.records import ledger, pages
from api.records.identifiers import new_id
from api.records.rows import PersonRow, fetched, fetched_one
from api.records.tables import person, token

REMOVED = "removed"
"""The role of a person who was removed: the row stays, and nobody can be that person."""
ASSISTANT = "assistant"
"""The role of who looks at the work of one class, by names, and changes nothing."""
OF_ROLE = {
    "student": "read run:sim run:rig",
    "observer": "read",
    ASSISTANT: "read teach",
    "instructor": "read run:sim run:rig admin work",
}
"""Scopes by role."""


@dataclass(frozen=True)
class Caller:
    """The person whose request it is, as far as the token allows."""

    person: str
    name: str
    role: str
    scopes: frozenset[str]
    token: str
    """The id of the token, never the token itself."""
    expires_at: float | None
    rigs: frozenset[str] = frozenset()
    """Those that it may drive, with the scope work; an instructor's may drive all."""
    room: str | None = None
    """The id of the class that an assistant sees."""

    is_agent: bool = False
    """Whether the token was made for an agent."""

    @property
    def agent(self) -> str | None:
        """The id of the token, if it is an agent's."""
        return self.token if self.is_agent else None

    def check_person(self, what: str) -> None:
        """Refuse an agent where a person has to decide.

        Raises:
            Forbidden: The token is an agent's.
        """
        if self.is_agent:
            raise Forbidden(
                f"{what} takes a person, and this token is an agent's: it waits until its owner does it with a token of their own"
            )

    @property
    def is_instructor(self) -> bool:
        return "admin" in self.scopes

    @property
    def sees_all(self) -> bool:
        """Whether the caller may look at everybody's campaigns and experiments. They name their owners by ids."""
        return self.is_instructor or self.role == "observer"

    def owned(self, owner: ColumnElement[str]) -> ColumnElement[bool]:
        """The condition that the caller may see a thing, by the column of its owner."""
        if self.sees_all:
            return true()
        own = owner == self.person
        return own if self.room is None else own | owner.in_(select(person.c.id).where(person.c.classroom == self.room))

    def sees(self, connection: Connection, owner: str) -> bool:
        """Whether the caller may see a thing of this owner."""
        if self.sees_all or owner == self.person:
            return True
        if self.room is None:
            return False
        is_theirs = select(person.c.id).where(person.c.id == owner, person.c.classroom == self.room)
        return connection.execute(is_theirs).first() is not None

    def title(self, owner: str) -> str:
        """The caller in a sentence that is kept, about a thing of `owner`: without a name, which may have to be taken away."""
        return "its owner" if self.person == owner else "the instructor"

    def check(self, scope: str) -> None:
        """Refuse a scope that the token does not have.

        Raises:
            Forbidden: It does not have it.
        """
        if scope not in self.scopes and "admin" not in self.scopes:
            raise Forbidden(f"this token may {', '.join(sorted(self.scopes))}, but not {scope}; ask your instructor for another one")

    def check_drives(self, rig: str) -> None:
        """Refuse a token that may not drive this rig.

        Raises:
            Forbidden: It may not.
        """
        self.check("work")
        if not self.is_instructor and rig not in self.rigs:
            named = ", ".join(sorted(self.rigs)) or "no rig"
            raise Forbidden(f"this token may drive {named}, but not {rig[:40]}; ask your instructor for one that names {rig[:40]}")

    def check_run(self, is_real: bool) -> None:
        """Refuse a token that may not run experiments on this kind of rig.

        Raises:
            Forbidden: It may not.
        """
        self.check("run:rig" if is_real else "run:sim")


_by_digest = (
    select(
        token.c.id, token.c.is_agent, token.c.scopes, token.c.expires_at, token.c.revoked_at, token.c.rigs,
        person.c.id.label("person"), person.c.name, person.c.role, person.c.classroom,
    )
    .join(person, person.c.id == token.c.person)
    .where(token.c.digest == bindparam("digest"))
)  # fmt: skip


def digest(words: str) -> str:
    """The digest of a token or a code, which is all that the database keeps of it."""
    return hashlib.sha256(words.encode()).hexdigest()


def caller(connection: Connection, now: float, words: str) -> Caller:
    """The person who has this token.

    Raises:
        Unauthorized: The token is unknown, or not good any more.
    """
    row = connection.execute(_by_digest, {"digest": digest(words)}).one_or_none()
    if row is None:
        raise Unauthorized("this token is unknown; join with your class's code to get one")
    if row.revoked_at is not None:
        raise Unauthorized("this token was revoked; ask your instructor for a new one")
    if row.expires_at is not None and row.expires_at <= now:
        raise Unauthorized("this token has expired; ask your instructor for a new one")
    scopes, drives = frozenset(row.scopes.split()), frozenset((row.rigs or "").split())
    room = row.classroom if row.role == ASSISTANT else None
    return Caller(row.person, row.name, row.role, scopes, row.id, row.expires_at, drives, room, is_agent=bool(row.is_agent))


def add_person(
    connection: Connection, now: float, name: str, role: str, limits: Mapping[str, float | None], code: str | None = None,
    join_key: str | None = None, classroom: str | None = None,
) -> str:  # fmt: skip
    """A new person with a budget; the id.

    Args:
        code: The id of the join code that they came in with.
        join_key: The digest of the key of their request to join.
        classroom: The id of their class.
    """
    identity = new_id("u")
    row = {"id": identity, "name": name, "role": role, "created_at": now, "code": code, "join_key": join_key}
    row["classroom"] = classroom
    connection.execute(insert(person), row)
    ledger.open_account(connection, now, identity, limits)
    return identity


def find(connection: Connection, identity: str) -> PersonRow:
    """A person of the class.

    Raises:
        NotFound: There is no person of that id, or not any more.
    """
    row = fetched_one(PersonRow, connection.execute(select(person).where(person.c.id == identity, person.c.role != REMOVED)))
    if row is None:
        raise NotFound(f"there is no person {identity[:40]}; GET /v1/people lists them")
    return row


def joined_as(connection: Connection, code: str, name: str) -> PersonRow | None:
    """The person who came in with a join code under a name, capitals aside, if there is one."""
    rows = fetched(PersonRow, connection.execute(select(person).where(person.c.code == code, person.c.role != REMOVED)))
    return next((row for row in rows if _plain(row.name) == _plain(name)), None)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def role_of(connection: Connection, identity: str) -> str | None:
    """The role of a person, `REMOVED` included; None when there never was one of that id."""
    role: str | None = connection.execute(select(person.c.role).where(person.c.id == identity)).scalar_one_or_none()
    return role


def an_instructor(connection: Connection) -> str | None:
    """The id of an instructor, if there is one."""
    found: str | None = connection.execute(select(person.c.id).where(person.c.role == "instructor").limit(1)).scalar_one_or_none()
    return found


def page(
    connection: Connection, role: str | None, limit: int, cursor: str | None, classroom: str | None = None
) -> tuple[Sequence[PersonRow], str | None]:
    """A page of the people, newest first, and the cursor of the next page.

    Args:
        role: Only these.
        classroom: Only those of this class, by its id.
    """
    question = select(person).where(person.c.role != REMOVED if role is None else person.c.role == role)
    if classroom is not None:
        question = question.where(person.c.classroom == classroom)
    return pages.newest_first(connection, PersonRow, question, person, limit, cursor)


def grant(connection: Connection, now: float, identity: str, added: ledger.Sums) -> ledger.Account:
    """Add to a person's budget, or take from it; the account then.

    Raises:
        NotFound: There is no such person.
        BudgetExhausted: There is not that much left to be taken.
        FrugalTwinError: There is no limit to add to.
    """
    find(connection, identity)
    ledger.grant(connection, now, identity, added)
    return ledger.account(connection, identity)


def set_left(connection: Connection, now: float, identity: str, limits: Mapping[str, float | None]) -> ledger.Account:
    """Set what is left of a person's budget; the account then.

    Raises:
        NotFound: There is no such person.
    """
    find(connection, identity)
    ledger.set_left(connection, now, identity, limits)
    return ledger.account(connection, identity)
