"""Answers to requests with an idempotency key, so that a request that is sent again is done once. They are removed after a while."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, exists, func, insert, select, tuple_

from api.errors import Unprocessable
from api.records.rows import AnswerRow, fetched_one
from api.records.tables import answer, campaign, experiment

_EXPERIMENTS, _CAMPAIGNS = "/v1/experiments/", "/v1/campaigns/"
_of_experiment = (
    exists(campaign.c.id)
    .where(experiment.c.id == func.substr(answer.c.location, len(_EXPERIMENTS) + 1), answer.c.location.startswith(_EXPERIMENTS))
    .where(campaign.c.id == experiment.c.campaign, campaign.c.state != "ended")
)
_of_campaign = exists(campaign.c.id).where(
    campaign.c.id == func.substr(answer.c.location, len(_CAMPAIGNS) + 1),
    answer.c.location.startswith(_CAMPAIGNS),
    campaign.c.state != "ended",
)
_old = select(answer.c.person, answer.c.key).where(~_of_experiment, ~_of_campaign)


def find(connection: Connection, person: str, key: str, digest: str) -> AnswerRow | None:
    """The answer that a person's request under this key got, if there was one.

    Args:
        digest: Of the request.

    Raises:
        Unprocessable: The key was used for another request.
    """
    known = select(answer).where(answer.c.person == person, answer.c.key == key)
    row = fetched_one(AnswerRow, connection.execute(known))
    if row is not None and row.digest != digest:
        raise Unprocessable(f"the key {key!r} was used for another request; take a new key for each new request")
    return row


def keep(connection: Connection, row: AnswerRow) -> None:
    """Keep an answer."""
    connection.execute(insert(answer), vars(row))


def old(connection: Connection, before: float, count: int) -> list[tuple[str, str]]:
    """Some answers that are older than a time, by person and key.

    Those about a campaign that has not ended are not: its program may be away for long, and send its last trial again.
    """
    return [(person, key) for person, key in connection.execute(_old.where(answer.c.at < before).limit(count))]


def remove(connection: Connection, which: Sequence[tuple[str, str]]) -> None:
    """Remove answers, by person and key."""
    connection.execute(delete(answer).where(tuple_(answer.c.person, answer.c.key).in_(which)))
