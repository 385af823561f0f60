"""The entries of campaigns' logs: what was proposed, and what people said about trials and proposals. They are only ever added."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, func, insert, select

from api.records import event_log
from api.records.rows import CampaignRow, EntryRow, fetched
from api.records.tables import entry as table
from frugaltwin.log import Entry, Logged, entry_from_json, entry_to_json

EVENTS = {
    "preference": "campaign.preferred", "rejection": "campaign.rejected", "proposal": "campaign.proposed",
    "approval": "campaign.approved", "retraction": "campaign.retracted", "amendment": "campaign.amended",
}  # fmt: skip
"""The event that an entry of each kind is."""

_of = select(table).where(table.c.campaign == bindparam("which")).order_by(table.c.id)


def add(connection: Connection, now: float, row: CampaignRow, entry: Entry, after: int, by: str) -> EntryRow:
    """Add an entry to a campaign's log.

    Args:
        after: The number of the last trial, open or not.
        by: The person who said it; for a proposal, the owner of the campaign.
    """
    body = entry_to_json(entry)
    text = json.dumps(body, allow_nan=False, ensure_ascii=False)
    values = {"campaign": row.id, "after": after, "kind": entry.kind, "body_json": text, "by": by, "at": now}
    number = connection.execute(insert(table).values(values).returning(table.c.id)).scalar_one()
    event_log.record(connection, now, EVENTS[entry.kind], row.person, body | {"by": by}, rig=row.rig, campaign=row.id)
    return EntryRow(number, row.id, after, entry.kind, text, by, now)


def entries_of(connection: Connection, identity: str) -> list[EntryRow]:
    """The entries of a campaign, oldest first."""
    return fetched(EntryRow, connection.execute(_of, {"which": identity}))


def count(connection: Connection, campaigns: Collection[str]) -> int:
    """The number of entries of some campaigns, by their ids."""
    return int(connection.execute(select(func.count()).where(table.c.campaign.in_(campaigns))).scalar_one())


def page(
    connection: Connection, identity: str, limit: int, cursor: int = 0, kind: str | None = None
) -> tuple[list[EntryRow], str | None]:  # fmt: skip
    """A page of a campaign's entries, oldest first, and the cursor of the next page."""
    question = _of.where(table.c.id > cursor).limit(limit + 1)
    if kind is not None:
        question = question.where(table.c.kind == kind)
    rows = fetched(EntryRow, connection.execute(question, {"which": identity}))
    return rows[:limit], str(rows[limit - 1].id) if len(rows) > limit else None


def logged(rows: Sequence[EntryRow]) -> list[Logged]:
    """Entries as `frugaltwin` knows them."""
    return [
        Logged(entry_from_json(row.body), row.after, datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds")) for row in rows
    ]
