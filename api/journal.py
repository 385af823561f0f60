"""Events: what happened, to whom, in one order without gaps. Written in the transaction in which it happens."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, text

from api.tables import event

_next_id = text("update counter set value = value + 1 where name = 'event' returning value")
_insert = insert(event)
_after = select(event).where(event.c.id > bindparam("after")).order_by(event.c.id).limit(bindparam("count"))
_last = text("select value from counter where name = 'event'")


def record(
    connection: Connection, now: float, kind: str, person: str, body: Mapping[str, Any], *,
    rig: str | None = None, campaign: str | None = None, experiment: str | None = None,
) -> int:  # fmt: skip
    """Keep an event; its id."""
    number: int = connection.execute(_next_id).scalar_one()
    connection.execute(
        _insert,
        {"id": number, "person": person, "rig": rig, "campaign": campaign, "experiment": experiment, "kind": kind}
        | {"body_json": json.dumps(body, ensure_ascii=False, allow_nan=False), "at": now},
    )
    return number


def after(connection: Connection, number: int, count: int) -> list[RowMapping]:
    """The events that follow an id, oldest first."""
    return list(connection.execute(_after, {"after": number, "count": count}).mappings())


def last(connection: Connection) -> int:
    """The id of the newest event; 0 when there is none."""
    return int(connection.execute(_last).scalar_one())
