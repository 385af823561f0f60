"""Removal of a person: whatever is under way ends; name, tokens, approvals and budget go; measurements stay."""

from __future__ import annotations

from sqlalchemy import Connection, delete, or_, select, update

from api.errors import Conflict
from api.records import campaigns, event_log, fair_queue, ledger, people, tokens
from api.records.people import REMOVED, Caller
from api.records.rows import CampaignRow, fetched
from api.records.tables import answer, approval, campaign, experiment, person


def remove(connection: Connection, now: float, caller: Caller, identity: str) -> None:
    """Remove a person. Removed twice, the person is removed.

    Raises:
        Conflict: It is the caller, so that an instructor is left.
        Unauthorized: The caller was removed just now: of two who remove each other, one stays.
        NotFound: There is no such person.
    """
    if identity == caller.person:
        raise Conflict("nobody removes themselves; let another instructor do it, or revoke your tokens")
    tokens.check_token(connection, caller.token)
    if people.role_of(connection, identity) == REMOVED:
        return
    people.find(connection, identity)
    _end_everything(connection, now, identity, "its owner was removed")
    tokens.revoke_all(connection, now, identity)
    tokens.forget_notes(connection, identity)
    connection.execute(delete(approval).where(approval.c.person == identity))
    connection.execute(delete(answer).where(or_(answer.c.person == identity, answer.c.location == f"/v1/people/{identity}")))
    ledger.set_left(connection, now, identity, dict.fromkeys(ledger.KINDS, 0.0))  # a request of theirs that is under way buys nothing
    connection.execute(update(person).where(person.c.id == identity).values(name=REMOVED, role=REMOVED, nickname=None))
    event_log.record(connection, now, "person.removed", identity, {"person": identity})


def _end_everything(connection: Connection, now: float, whose: str, why: str) -> None:
    """End a person's campaigns and experiments; those that had not begun are refunded."""
    going_on = select(campaign).where(campaign.c.person == whose, campaign.c.state != campaigns.ENDED)
    for row in fetched(CampaignRow, connection.execute(going_on).all()):
        campaigns.stop(connection, now, row, why)
    under_way = select(experiment.c.id).where(experiment.c.person == whose, experiment.c.state.in_(fair_queue.OPEN))
    for one in connection.execute(under_way.order_by(experiment.c.number.desc())).scalars().all():
        fair_queue.abort(connection, now, one, why)
