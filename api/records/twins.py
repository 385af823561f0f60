"""Twins of the service: whose experiments share one, the key of its random numbers, and its past.

Nobody's readings depend on what others do: each campaign has a twin of its own, and so has each person's free use of a rig, unless the
instructor has made the rig's twin a shared one. A twin's state is not kept anywhere. It follows from the key and from the settings that
it performed, in their order (`frugaltwin.plugins.Resumes`), so any worker can rebuild it.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, insert, select, text

from api.records.prepared_statement import PreparedStatement
from api.records.rows import ExperimentRow, RigRow
from api.records.tables import campaign, classroom, experiment, lab, secret, task
from frugaltwin.experiment import Settings
from frugaltwin.tasks.instance import key_of

KEY_BITS = 53
"""Of a key: too many to be guessed, and as many as a number of JSON holds in every language."""

LAB = "task-lab"
"""The driver of a task's rig: a person has one twin there, whatever it is used for."""

_last = PreparedStatement(text("select settings_json, twin_number from experiment where twin = :which order by twin_number desc limit 1"))
_past = (
    select(experiment.c.settings_json)
    .where(experiment.c.twin == bindparam("which"), experiment.c.rig == bindparam("on"))
    .order_by(experiment.c.twin_number)
)


@dataclass(frozen=True)
class Past:
    """The state of a twin, as far as a price depends on it."""

    last: Settings | None = None
    """The settings that it performed last."""
    performed: int = 0


NEW = Past()


@dataclass(frozen=True)
class Twin:
    """The twin that performs an experiment."""

    id: str
    key: int
    """The seed of its random numbers; a rig's own option `seed` goes before it."""
    performed: int
    """Number of the experiments that it has performed to the end, failed ones included."""


def twin_of(rig: RigRow, person: str, campaign: str | None) -> str | None:
    """The id of the twin that performs a person's experiment; None on a real rig."""
    if rig.is_real:
        return None
    if rig.driver == LAB:
        return f"{person}:{rig.name}"
    return rig.name if rig.is_shared else campaign or f"{person}:{rig.name}"


def past_of(connection: Connection, rig: RigRow, person: str, campaign: str | None) -> Past:
    """The past of the twin that would perform a person's next experiment."""
    twin = twin_of(rig, person, campaign)
    found = _last(connection, {"which": twin}) if twin else []
    return Past(json.loads(found[0]["settings_json"]), int(found[0]["twin_number"])) if found else NEW


def n_performed(connection: Connection, twins: Collection[str]) -> dict[str, int]:
    """The number of experiments that twins have performed to the end, by id."""
    question = select(experiment.c.twin, func.max(experiment.c.twin_number)).where(experiment.c.twin.in_(set(twins)))
    found = {twin: int(number) for twin, number in connection.execute(question.group_by(experiment.c.twin))}
    return {twin: found.get(twin, 0) for twin in twins}


def past(connection: Connection, twin: str, name: str) -> list[Settings]:
    """The settings that a twin of a rig has performed, in order."""
    return [json.loads(text) for (text,) in connection.execute(_past, {"which": twin, "on": name})]


def twins_of(connection: Connection, rows: Iterable[ExperimentRow], rig: RigRow) -> list[Twin | None]:
    """The twins that will perform experiments, one after the other; None on a real rig."""
    rows = list(rows)
    found = [(row, twin_of(rig, row.person, row.campaign)) for row in rows]
    performed = n_performed(connection, {twin for _, twin in found if twin})
    question = select(campaign.c.id, campaign.c.words_json).where(campaign.c.id.in_({row.campaign for row in rows if row.campaign}))
    seeds = {identity: int(json.loads(words)["seed"]) for identity, words in connection.execute(question)}
    twins: list[Twin | None] = []
    for row, twin in found:
        if twin is None:
            twins.append(None)
            continue
        if rig.driver == LAB and (own := lab_key(connection, rig.name, row.person)) is not None:
            twins.append(Twin(twin, own, performed[twin]))
            performed[twin] += 1
            continue
        whose = "" if rig.is_shared else row.person
        purpose = "" if rig.is_shared or row.campaign is None else str(seeds.get(row.campaign, 0))
        twins.append(Twin(twin, _key(connection, rig.name, whose, purpose), performed[twin]))
        performed[twin] += 1
    return twins


def lab_key(connection: Connection, name: str, whose: str) -> int | None:
    """The key of a student's lab; None where there is none."""
    question = (
        select(classroom.c.secret, task.c.body_json, lab.c.generator, lab.c.draw)
        .select_from(lab.join(task, task.c.rig == lab.c.rig).join(classroom, classroom.c.id == task.c.classroom))
        .where(lab.c.rig == name, lab.c.person == whose)
    )
    row = connection.execute(question).one_or_none()
    if row is None:
        return None
    return int.from_bytes(key_of(json.loads(row.body_json)["name"], bytes.fromhex(row.secret), whose, row.draw, row.generator), "big")


def _key(connection: Connection, *words: str) -> int:
    """A number that belongs to these words and that only who knows the server's secret can compute."""
    digest = hmac.digest(_secret(connection).encode(), json.dumps(words).encode(), "sha256")
    return int.from_bytes(digest[:8], "big") >> (64 - KEY_BITS)


def _secret(connection: Connection) -> str:
    """The server's secret, made when it is first needed. Called by the writer."""
    words = connection.execute(select(secret.c.value).where(secret.c.name == "twins")).scalar_one_or_none()
    if words is None:
        words = secrets.token_hex(32)
        connection.execute(insert(secret), {"name": "twins", "value": words})
    return words
