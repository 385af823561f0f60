"""The event log: every change that people may hear of, in one order without gaps, written in the transaction of the change.

The oldest are removed after a while, from the first one on: what they told of is in its own tables. Where a reader has missed some, an
event of the kind `REMOVED` stands in their place, with the id of the last of them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, text

from api.records import append_buffer
from api.records.prepared_statement import PreparedStatement
from api.records.rows import EventRow, fetched
from api.records.tables import event

EVERYBODY = ""
"""The owner of an event that concerns all, such as one of a rig."""
REMOVED = "events.removed"


@dataclass(frozen=True, slots=True)
class Filter:
    """The events that somebody wants, or may see; None is any."""

    person: str | None = None
    """This person's, and those that concern all."""
    rig: str | None = None
    campaign: str | None = None
    experiment: str | None = None

    def matches(self, row: EventRow) -> bool:
        """Whether an event passes."""
        wanted = ((self.rig, row.rig), (self.campaign, row.campaign), (self.experiment, row.experiment))
        is_seen = self.person is None or row.person in (self.person, EVERYBODY)
        return is_seen and all(value is None or value == has for value, has in wanted)


_insert = PreparedStatement(insert(event), "id", "person", "rig", "campaign", "experiment", "kind", "body_json", "at")
_after = select(event).where(event.c.id > bindparam("after")).order_by(event.c.id).limit(bindparam("count"))
_last = text("select value from counter where name = 'event'")
_removed = text("select value from counter where name = 'events_removed'")
_note_removed = text(
    "insert into counter (name, value) values ('events_removed', :number) on conflict (name) do update set value = :number"
)


def record(
    connection: Connection, now: float, kind: str, person: str, body: Mapping[str, Any], *,
    rig: str | None = None, campaign: str | None = None, experiment: str | None = None,
) -> int:  # fmt: skip
    """Append an event; its id."""
    added = append_buffer.of(connection)
    added.newest_event += 1
    added.add(
        _insert,
        {"id": added.newest_event, "person": person, "rig": rig, "campaign": campaign, "experiment": experiment, "kind": kind}
        | {"body_json": json.dumps(body, ensure_ascii=False, allow_nan=False), "at": now},
    )
    return added.newest_event


def after(connection: Connection, number: int, count: int, wants: Filter | None = None, kind: str | None = None) -> list[EventRow]:
    """The events that follow an id, oldest first.

    Args:
        kind: Only these.
    """
    question = _after
    if wants is not None:
        if wants.person is not None:
            question = question.where(event.c.person.in_((wants.person, EVERYBODY)))
        for column, value in ((event.c.rig, wants.rig), (event.c.campaign, wants.campaign), (event.c.experiment, wants.experiment)):
            if value is not None:
                question = question.where(column == value)
    if kind is not None:
        question = question.where(event.c.kind == kind)
    return fetched(EventRow, connection.execute(question, {"after": number, "count": count}))


def last(connection: Connection) -> int:
    """The id of the newest event; 0 when there is none."""
    return int(connection.execute(_last).scalar_one())


def since(connection: Connection, now: float, number: int, count: int, wants: Filter) -> list[EventRow]:
    """The same for a reader who knows all until then: events that it has missed because they were removed are told of, too."""
    while True:
        gone = removed(connection)
        begin, told = max(number, gone), []
        if gone > number:
            why = "events up to this one were removed by their age; read what you follow, then go on from here"
            told = [EventRow(gone, EVERYBODY, None, None, None, REMOVED, json.dumps({"why": why}), now)]
        rows = after(connection, begin, count - len(told), wants)
        if removed(connection) <= begin:  # else some were removed before they were read
            return [*told, *rows]


def removed(connection: Connection) -> int:
    """The id of the last event that was removed by its age; 0 when none was."""
    return int(connection.execute(_removed).scalar_one_or_none() or 0)


def prune(connection: Connection, before: float, count: int) -> int:
    """Remove events from the first one on, as long as they are older than a time; how many were.

    Args:
        count: At most.
    """
    last, n = 0, 0
    for number, at in connection.execute(select(event.c.id, event.c.at).order_by(event.c.id).limit(count)):
        if at >= before:
            break
        last, n = number, n + 1
    if n:
        connection.execute(delete(event).where(event.c.id <= last))
        connection.execute(_note_removed, {"number": last})
    return n
