"""Preferences: which of two trials of a campaign a person likes better. No strategy uses them yet."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from api.records import campaign_actions, campaigns, event_log, fair_queue
from api.records.people import Caller
from api.records.rows import EventRow, fetched
from api.records.tables import event
from frugaltwin.errors import InvalidInput

PREFERRED = "campaign.preferred"
"""The kind of its event."""


@dataclass(frozen=True)
class Preference:
    """A preference as it is kept."""

    id: int
    better: int
    worse: int
    by: str
    at: float


def prefer(connection: Connection, now: float, caller: Caller, identity: str, better: int, worse: int) -> Preference:
    """Keep a preference with a campaign.

    Raises:
        NotFound: The caller has no such campaign.
        Forbidden: The token may not run experiments on its rig.
        InvalidInput: One of the trials has no reading.
    """
    row = campaign_actions.of_caller(connection, caller, identity)
    if better == worse:
        raise InvalidInput(f"trial {better} cannot be better than itself; name two different trials")
    numbers = {x.trial for x in campaigns.rows_of(connection, identity) if x.state == fair_queue.SUCCEEDED}
    if missing := sorted({better, worse} - numbers):
        raise InvalidInput(f"trial {missing[0]} of campaign {row.name!r} has no reading; compare two that have")
    said = {"better": better, "worse": worse, "by": caller.person}
    number = event_log.record(connection, now, PREFERRED, row.person, said, rig=row.rig, campaign=identity)
    return Preference(number, better, worse, caller.person, now)


def page(connection: Connection, caller: Caller, identity: str, limit: int, cursor: int) -> tuple[list[Preference], str | None]:
    """A page of a campaign's preferences, oldest first, and the cursor of the next page.

    Raises:
        NotFound: The caller has no such campaign.
    """
    row = campaigns.find(connection, identity, caller)
    of_it = select(event).where(event.c.person == row.person, event.c.campaign == identity, event.c.kind == PREFERRED)
    rows = fetched(EventRow, connection.execute(of_it.where(event.c.id > cursor).order_by(event.c.id).limit(limit + 1)))
    items = [Preference(e.id, e.body["better"], e.body["worse"], e.body["by"], e.at) for e in rows[:limit]]
    return items, str(items[-1].id) if len(rows) > limit else None
