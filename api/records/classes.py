"""Classes: people, codes and tasks belong to one. Those of before there were classes belong to none."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, insert, select, update

from api.errors import Conflict, NotFound
from api.records.identifiers import check_rig_name, new_id
from api.records.people import REMOVED, Caller
from api.records.people import find as find_person
from api.records.rows import ClassRow, PersonRow, fetched, fetched_one
from api.records.tables import classroom, person
from frugaltwin.errors import InvalidInput

LONGEST = 20
"""Letters of a name: those of its tasks begin with it."""


def add(connection: Connection, now: float, name: str) -> ClassRow:
    """A new class, with a secret of its own.

    Raises:
        InvalidInput: That is no name.
        Conflict: There is one of that name.
    """
    check_rig_name(name)
    if len(name) > LONGEST:
        raise InvalidInput(f"{name!r} is too long for a class: up to {LONGEST} letters, digits and -")
    if fetched_one(ClassRow, connection.execute(select(classroom).where(classroom.c.name == name))):
        raise Conflict(f"there is a class {name} already; choose another name")
    row = ClassRow(new_id("g"), name, secrets.token_hex(32), now, None)
    connection.execute(insert(classroom), vars(row))
    return row


def seen_by(connection: Connection, caller: Caller) -> list[ClassRow]:
    """All classes, the oldest first; for an assistant their own."""
    question = select(classroom).order_by(classroom.c.created_at, classroom.c.name)
    if not caller.sees_all:
        question = question.where(classroom.c.id == caller.room)
    return fetched(ClassRow, connection.execute(question))


def find(connection: Connection, name: str, caller: Caller | None = None) -> ClassRow:
    """A class by its name.

    Args:
        caller: One that an assistant is not of is refused like one that does not exist.

    Raises:
        NotFound: There is none.
    """
    row = fetched_one(ClassRow, connection.execute(select(classroom).where(classroom.c.name == name)))
    if row is None or (caller is not None and not caller.sees_all and row.id != caller.room):
        raise NotFound(f"there is no class {name[:40]!r}; GET /v1/classes lists them")
    return row


def by_id(connection: Connection, identity: str) -> ClassRow:
    """A class that there is, by its id."""
    return ClassRow(*connection.execute(select(classroom).where(classroom.c.id == identity)).one())


def students(connection: Connection, identity: str) -> list[PersonRow]:
    """The students of a class, in the order in which they came."""
    question = select(person).where(person.c.classroom == identity, person.c.role == "student").order_by(person.c.created_at, person.c.id)
    return fetched(PersonRow, connection.execute(question))


def of_person(connection: Connection, whose: str) -> str | None:
    """The id of a person's class; None where they are of none."""
    found: str | None = connection.execute(select(person.c.classroom).where(person.c.id == whose)).scalar_one_or_none()
    return found


def enroll(connection: Connection, name: str, people: Sequence[str]) -> None:
    """Move people into a class.

    Raises:
        NotFound: There is no such class or person.
    """
    row = find(connection, name)
    for whose in people:
        find_person(connection, whose)
        connection.execute(update(person).where(person.c.id == whose).values(classroom=row.id))


def for_each(connection: Connection, name: str, change: Callable[[str], object]) -> int:
    """Make a change for each student of a class, or for none where one of them cannot have it; their number.

    Raises:
        NotFound: There is no such class.
    """
    every = students(connection, find(connection, name).id)
    for one in every:
        change(one.id)
    return len(every)


def check_ended(connection: Connection, name: str) -> None:
    """Refuse a class that goes on.

    Raises:
        NotFound: There is no such class.
        Conflict: It goes on.
    """
    if find(connection, name).archived_at is None:
        raise Conflict(f"the class {name} goes on, and to remove its students cannot be undone; take its archive, end it, then remove them")


def archive(connection: Connection, now: float, name: str) -> None:
    """End a class: nobody works on its tasks any more. Archived twice, it is archived.

    Raises:
        NotFound: There is no such class.
    """
    row = find(connection, name)
    connection.execute(update(classroom).where(classroom.c.id == row.id, classroom.c.archived_at.is_(None)).values(archived_at=now))


def call(connection: Connection, whose: str, nickname: str) -> None:
    """Give a person a nickname, which nobody else of the class has.

    Raises:
        Conflict: Somebody has it.
    """
    taken = select(person.c.id).where(
        person.c.classroom == of_person(connection, whose), person.c.nickname == nickname, person.c.id != whose, person.c.role != REMOVED
    )
    if connection.execute(taken).first() is not None:
        raise Conflict(f"somebody of your class is {nickname} already; choose another nickname")
    connection.execute(update(person).where(person.c.id == whose).values(nickname=nickname))


def nickname_of(row: ClassRow, one: PersonRow) -> str:
    """The nickname of a person: the one that they chose, or one that says nothing."""
    return one.nickname or "lab-" + hmac.digest(row.secret.encode(), f"nickname {one.id}".encode(), "sha256").hex()[:5]
