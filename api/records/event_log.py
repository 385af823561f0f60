"""Events: what happened, to whom, in one order without gaps. Written in the transaction in which it happens."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, text

from api.records import append_buffer
from api.records.prepared_statement import PreparedStatement
from api.records.tables import event

EVERYBODY = ""
"""Whose an event is that concerns all: of a rig, say."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events somebody wants, or may see; None is any."""

    person: str | None = None
    """This person's, and those that concern all."""
    rig: str | None = None
    campaign: str | None = None
    experiment: str | None = None

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Whether it wants this event."""
        return (self.person is None or row["person"] in (self.person, EVERYBODY)) and all(
            value is None or row[name] == value
            for name, value in (("rig", self.rig), ("campaign", self.campaign), ("experiment", self.experiment))
        )


_insert = PreparedStatement(insert(event), "id", "person", "rig", "campaign", "experiment", "kind", "body_json", "at")
_after = select(event).where(event.c.id > bindparam("after")).order_by(event.c.id).limit(bindparam("count"))
_last = text("select value from counter where name = 'event'")


def record(
    connection: Connection, now: float, kind: str, person: str, body: Mapping[str, Any], *,
    rig: str | None = None, campaign: str | None = None, experiment: str | None = None,
) -> int:  # fmt: skip
    """Keep an event; its id."""
    page = append_buffer.of(connection)
    page.newest_event += 1
    page.add(
        _insert,
        {"id": page.newest_event, "person": person, "rig": rig, "campaign": campaign, "experiment": experiment, "kind": kind}
        | {"body_json": json.dumps(body, ensure_ascii=False, allow_nan=False), "at": now},
    )
    return page.newest_event


def after(connection: Connection, number: int, count: int, wants: Filter | None = None) -> list[dict[str, Any]]:
    """The events that follow an id, oldest first."""
    question = _after
    if wants is not None:
        if wants.person is not None:
            question = question.where(event.c.person.in_((wants.person, EVERYBODY)))
        for column, value in ((event.c.rig, wants.rig), (event.c.campaign, wants.campaign), (event.c.experiment, wants.experiment)):
            if value is not None:
                question = question.where(column == value)
    return [dict(row) for row in connection.execute(question, {"after": number, "count": count}).mappings()]


def last(connection: Connection) -> int:
    """The id of the newest event; 0 when there is none."""
    return int(connection.execute(_last).scalar_one())
