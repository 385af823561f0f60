"""Rigs: registration, state, approvals, and the experiment and prices of each, from its driver, which is never connected here."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from api.errors import Conflict, Forbidden, NotFound
from api.records import event_log, fair_queue, people
from api.records.people import Caller
from api.records.prepared_statement import PreparedStatement
from api.records.rows import RigRow, fetched
from api.records.tables import approval, experiment, rig
from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.campaign import unconnected
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Experiment, Settings
from frugaltwin.plugins import Driver, Estimates, Prices
from frugaltwin.prices import Price
from frugaltwin.store import experiment_from_json, experiment_to_json

_by_name = PreparedStatement(select(rig).where(rig.c.name == bindparam("which")))

OFFLINE = 15.0
"""s without a word from its worker after which a rig counts as offline."""
OPEN, PAUSED, STOPPED = "open", "paused", "stopped"
RUNNING_SHOWN = 20
"""Running experiments of a rig that are listed at most."""


@dataclass(frozen=True)
class Rig:
    """The fixed side of a rig."""

    name: str
    driver: str
    options: Mapping[str, Any]
    is_real: bool
    experiment: Experiment
    model: Driver
    """Made like the rig's driver and never connected: it names prices, where its parts are installed here."""

    @cached_property
    def price(self) -> Price | None:
        """The price of its experiments; None where the driver names none."""
        return self.model.price() if isinstance(self.model, Prices) else None

    def estimate(self, settings: Settings) -> Amounts:
        """The expected cost of checked settings; nothing where the driver names no prices."""
        if self.price is not None:
            return self.price.of(settings)
        return self.model.estimate(settings) if isinstance(self.model, Estimates) else Amounts()


class Rigs:
    """The fixed sides of all rigs, cached."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], Rig] = {}

    def knows(self, name: str) -> bool:
        """Whether a rig is cached; the first time its driver is imported, which takes a second."""
        return any(known == name for known, _, _ in self._known)

    def get(self, connection: Connection, name: str) -> tuple[Rig, RigRow]:
        """A rig's fixed side and its row.

        Raises:
            NotFound: There is no such rig.
        """
        row = find(connection, name)
        key = (name, row.driver, row.options_json)
        if key not in self._known:
            self._known[key] = _rig(row)
        return self._known[key], row


def _rig(row: RigRow) -> Rig:
    options, found = json.loads(row.options_json), experiment_from_json(json.loads(row.experiment_json))
    return Rig(row.name, row.driver, options, row.is_real, found, unconnected(row.driver, options, found))


def find(connection: Connection, name: str) -> RigRow:
    """A rig by its name.

    Raises:
        NotFound: There is no such rig.
    """
    row = next(iter(_by_name.rows(connection, {"which": name}, RigRow)), None)
    if row is None:
        raise NotFound(f"there is no rig {name!r}; GET /v1/rigs lists them")
    return row


def all_rigs(connection: Connection) -> list[RigRow]:
    """All rigs, by name."""
    return fetched(RigRow, connection.execute(select(rig).order_by(rig.c.name)))


def register(
    connection: Connection, now: float, name: str, driver: str, options: Mapping[str, Any], is_real: bool,
    experiment: Experiment | None = None,
) -> None:  # fmt: skip
    """Register a rig, or register it anew under the same name.

    Args:
        experiment: The experiment that it performs, where its worker says so; the driver's without it.

    Raises:
        FrugalTwinError: There is no such driver, or it has no such options.
    """
    if not name or len(name) > 40 or not all(c.isalnum() or c == "-" for c in name):
        raise InvalidInput(f"{name!r} is no name for a rig: 1 to 40 letters, digits and -")
    experiment = experiment or catalog.make_driver(driver, options).experiment
    row = {
        "driver": driver, "options_json": json.dumps(dict(options)), "is_real": is_real,
        "experiment_json": json.dumps(experiment_to_json(experiment), allow_nan=False),
    }  # fmt: skip
    known = connection.execute(select(rig.c.experiment_json).where(rig.c.name == name)).scalar_one_or_none()
    if known is None:
        connection.execute(insert(rig), row | {"name": name, "state": OPEN, "clock": 0.0, "created_at": now})
        return
    if experiment_from_json(json.loads(known)).is_nearly(experiment):  # its campaigns go on, and their scores stay, on every processor
        row["experiment_json"] = known
    connection.execute(update(rig).where(rig.c.name == name).values(**row))


def status_of(row: RigRow, now: float) -> str:
    """``open``, ``paused``, ``stopped``, or ``offline`` when its worker was not heard for a while."""
    if row.state != OPEN:
        return row.state
    return OPEN if row.seen_at is not None and now - row.seen_at < OFFLINE else "offline"


def usable(connection: Connection, rigs: Rigs, name: str, caller: Caller) -> tuple[Rig, RigRow]:
    """A rig that the caller may submit to now.

    Raises:
        NotFound: There is no such rig.
        Forbidden: It is not for this caller.
        Conflict: It takes nothing now.
    """
    found, row = rigs.get(connection, name)
    caller.check_run(found.is_real)
    check_use(connection, row, caller.person, caller.is_instructor)
    return found, row


def check_use(connection: Connection, row: RigRow, whose: str, is_instructor: bool) -> None:
    """Refuse a person who may not use a rig now, in a request or for a campaign of theirs.

    Raises:
        Forbidden: It is a real rig, and the person is not approved for it.
        Conflict: It was stopped.
    """
    if row.is_real and not is_instructor and not is_approved(connection, whose, row.name):
        raise Forbidden(f"{row.name} is a real rig, and {whose} is not approved for it; ask your instructor for an approval, then go on")
    if row.state == STOPPED:
        raise Conflict(f"the rig {row.name} was stopped by the instructor; go on when it is open again")


@dataclass(frozen=True)
class Running:
    """An experiment that a rig works on."""

    id: str
    person: str
    started_at: float | None


@dataclass(frozen=True)
class Queue:
    """The work of a rig."""

    queued: int
    seconds: float
    """Estimated for the queued experiments."""
    running: list[Running]


def queue_of(connection: Connection, name: str) -> Queue:
    """The queued and the running experiments of a rig."""
    of_rig = experiment.c.rig == name
    waiting = select(func.count(), func.coalesce(func.sum(experiment.c.seconds), 0.0)).where(
        of_rig, experiment.c.state == fair_queue.QUEUED
    )
    queued, seconds = connection.execute(waiting).one()
    at_work = select(experiment.c.id, experiment.c.person, experiment.c.started_at).where(of_rig, experiment.c.state == fair_queue.RUNNING)
    running = fetched(Running, connection.execute(at_work.order_by(experiment.c.started_at).limit(RUNNING_SHOWN)))
    return Queue(queued, seconds, running)


def n_experiments(connection: Connection) -> dict[str, Counter[str]]:
    """The number of experiments of each rig, by state."""
    counts: dict[str, Counter[str]] = {row.name: Counter() for row in all_rigs(connection)}
    question = select(experiment.c.rig, experiment.c.state, func.count()).group_by(experiment.c.rig, experiment.c.state)
    for name, state, n in connection.execute(question):
        counts[name][state] = n
    return counts


def is_allowed(connection: Connection, row: RigRow, caller: Caller) -> bool:
    """Whether the caller may submit to a rig when it is open."""
    has_scope = ("run:rig" if row.is_real else "run:sim") in caller.scopes
    return caller.is_instructor or (has_scope and (not row.is_real or is_approved(connection, caller.person, row.name)))


def stop(connection: Connection, now: float, name: str, caller: Caller) -> RigRow:
    """Stop a rig: running experiments are aborted, queued ones wait until it is opened; its row.

    Raises:
        NotFound: There is no such rig.
        Forbidden: The caller is no instructor, and no experiment of the caller's runs on this real rig.
    """
    row = find(connection, name)
    if not caller.is_instructor and not (row.is_real and _runs_own(connection, caller, name)):
        raise Forbidden(f"you may stop {name} while your own experiment runs on it; else abort yours, or tell your instructor")
    return steer(connection, now, name, caller, STOPPED)


def steer(connection: Connection, now: float, name: str, caller: Caller, state: str) -> RigRow:
    """Set the state of a rig, which its worker learns at once, or at its next heartbeat from afar; the row.

    Raises:
        NotFound: There is no such rig.
    """
    find(connection, name)
    if connection.execute(update(rig).where(rig.c.name == name, rig.c.state != state).values(state=state)).rowcount:
        event_log.record(connection, now, f"rig.{state}", caller.person, {"state": state}, rig=name)
    if state == STOPPED:
        held = select(experiment.c.id, experiment.c.state, experiment.c.lease).where(experiment.c.rig == name)
        for identity, at, lease in connection.execute(held.where(experiment.c.state.in_((fair_queue.LEASED, fair_queue.RUNNING)))).all():
            if at == fair_queue.RUNNING:
                fair_queue.abort(connection, now, identity, "the rig was stopped")
            else:
                fair_queue.release(connection, now, identity, lease)
    return find(connection, name)


def _runs_own(connection: Connection, caller: Caller, name: str) -> bool:
    running = experiment.c.state.in_((fair_queue.LEASED, fair_queue.RUNNING))
    own = select(experiment.c.id).where(experiment.c.rig == name, running, experiment.c.person == caller.person).limit(1)
    return connection.execute(own).first() is not None


def approved(connection: Connection, name: str) -> list[str]:
    """The ids of the people who may use a real rig.

    Raises:
        NotFound: There is no such rig.
    """
    find(connection, name)
    question = select(approval.c.person).where(approval.c.rig == name).order_by(approval.c.at, approval.c.person)
    return list(connection.execute(question).scalars())


def is_approved(connection: Connection, whose: str, name: str) -> bool:
    """Whether a person may use a real rig."""
    known = select(approval.c.at).where(approval.c.person == whose, approval.c.rig == name)
    return connection.execute(known).scalar_one_or_none() is not None


def approve(connection: Connection, now: float, whose: str, name: str, by: str) -> None:
    """Let a person use a real rig; approved twice, the person is approved.

    Raises:
        NotFound: There is no such rig, or no such person.
    """
    find(connection, name)
    people.find(connection, whose)
    if not is_approved(connection, whose, name):
        connection.execute(insert(approval), {"person": whose, "rig": name, "by": by, "at": now})


def disapprove(connection: Connection, now: float, whose: str, name: str) -> None:
    """Take an approval back. What waits of the person's on the rig is aborted; what runs there is finished.

    Raises:
        NotFound: There is no such rig.
    """
    find(connection, name)
    if not connection.execute(delete(approval).where(approval.c.person == whose, approval.c.rig == name)).rowcount:
        return
    waits = experiment.c.state.in_((fair_queue.QUEUED, fair_queue.LEASED))
    theirs = select(experiment.c.id).where(experiment.c.person == whose, experiment.c.rig == name, waits)
    for identity in connection.execute(theirs.order_by(experiment.c.number.desc())).scalars().all():
        fair_queue.abort(connection, now, identity, f"your approval for {name} was taken back; ask your instructor")
