"""Rigs: registration, state, approvals, and the experiment and price of each, as they were stated when it was registered."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from api.errors import Conflict, Forbidden, NotFound
from api.records import event_log, fair_queue, people
from api.records.identifiers import check_rig_name
from api.records.people import Caller
from api.records.prepared_statement import PreparedStatement
from api.records.rows import RigRow, fetched
from api.records.tables import approval, experiment, rig
from api.records.twins import NEW, Past
from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.campaign import OfflineDriver, unconnected
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Continuous, Experiment, Parameter, Settings
from frugaltwin.plugins import Driver, Prices
from frugaltwin.prices import Price, price_from_json, price_to_json
from frugaltwin.store import experiment_from_json, experiment_to_json

_by_name = PreparedStatement(select(rig).where(rig.c.name == bindparam("which")))

OFFLINE = 15.0
"""s without a word from its worker after which a rig counts as offline."""
OPEN, PAUSED, STOPPED = "open", "paused", "stopped"
RUNNING_SHOWN = 20
"""Running experiments of a rig that are listed at most."""
DEAREST = 1e9
"""The largest amount of each kind that an experiment may be priced at."""


@dataclass(frozen=True)
class Offer:
    """The experiment that a rig performs, and its price."""

    experiment: Experiment
    price: Price | None = None

    @classmethod
    def of_driver(cls, driver: str, options: Mapping[str, Any]) -> Offer:
        """The offer of a driver, which is made for this and never connected. For words of the operator, never for those of a worker.

        Raises:
            FrugalTwinError: There is no such driver, or it has no such options; or it is far away and does not answer.
        """
        made = catalog.make_driver(driver, options)
        return cls(made.experiment, made.price() if isinstance(made, Prices) else None)

    def check(self) -> None:
        """Refuse an offer of a worker that no experiment could be checked or priced by.

        Raises:
            InvalidInput: It cannot be written down, or its price fails at the lowest or at the highest settings.
        """
        try:
            json.dumps(experiment_to_json(self.experiment), allow_nan=False)
            json.dumps(price_to_json(self.price) if self.price else None, allow_nan=False)
        except ValueError as error:
            raise InvalidInput("an experiment and a price are made of finite numbers; send them without infinity and NaN") from error
        for end in (0, -1):
            _priced(self.price, {p.name: _ends(p)[end] for p in self.experiment.parameters})


def _ends(parameter: Parameter) -> tuple[float | str, float | str]:
    """The lowest and the highest value of a parameter; of names, the first and the last."""
    if isinstance(parameter, Continuous):
        return parameter.low, parameter.high
    return parameter.values[0], parameter.values[-1]


def _priced(price: Price | None, settings: Settings, after: Settings | None = None, performed: int = 0) -> Amounts:
    """The price of settings, which may be a worker's word.

    Raises:
        InvalidInput: It is no amount that could be reserved.
    """
    try:
        amounts = Amounts() if price is None else price.of(settings, after, performed)
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"the price that was stated for this rig cannot be computed ({error}); tell your instructor") from error
    if not all(0 <= amount <= DEAREST for amount in vars(amounts).values()):
        raise InvalidInput("the price that was stated for this rig is no amount that can be reserved; tell your instructor")
    return amounts


@dataclass(frozen=True)
class Rig:
    """The fixed side of a rig."""

    name: str
    driver: str
    options: Mapping[str, Any]
    is_real: bool
    is_local: bool
    """Whether the operator named its driver and options. Of a worker's words no driver is made here: it could open a file or an address."""
    experiment: Experiment
    price: Price | None
    """The price of its experiments; None where its driver names none."""

    def estimate(self, settings: Settings, past: Past = NEW) -> Amounts:
        """The expected cost of checked settings; nothing where the driver names no price.

        Args:
            past: Of the twin that performs them.

        Raises:
            InvalidInput: A worker stated a price that makes no sense there.
        """
        return _priced(self.price, settings, past.last, past.performed)

    @cached_property
    def default_goal(self) -> str | None:
        """The goal of a campaign that names none; None where it has to."""
        offline: Driver = OfflineDriver(self.experiment)
        driver = unconnected(self.driver, self.options, self.experiment) if self.is_local else offline
        try:
            return catalog.default_goal(driver)
        except InvalidInput:
            return None


class Rigs:
    """The fixed sides of all rigs, cached."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[object, ...], Rig]] = {}

    def get(self, connection: Connection, name: str) -> tuple[Rig, RigRow]:
        """A rig's fixed side and its row.

        Raises:
            NotFound: There is no such rig.
        """
        row = find(connection, name)
        registered = (row.driver, row.options_json, row.is_real, row.is_local, row.experiment_json, row.price_json)
        known, found = self._known.get(name, (None, None))
        if found is None or known != registered:
            found = _rig(row)
            self._known[name] = registered, found
        return found, row


def _rig(row: RigRow) -> Rig:
    found = experiment_from_json(json.loads(row.experiment_json))
    price = price_from_json(json.loads(row.price_json)) if row.price_json else None
    return Rig(row.name, row.driver, json.loads(row.options_json), row.is_real, row.is_local, found, price)


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
    offer: Offer | None = None, *, is_local: bool = True, is_shared: bool = False,
) -> None:  # fmt: skip
    """Register a rig, or register it anew under the same name.

    Args:
        offer: Its experiment and price; the driver's without it.
        is_local: Whether driver and options are the operator's words.
        is_shared: One twin for everybody, in place of one for each campaign.

    Raises:
        FrugalTwinError: There is no such driver, or it has no such options.
    """
    check_rig_name(name)
    known = connection.execute(select(rig.c.experiment_json).where(rig.c.name == name)).scalar_one_or_none()
    row = _words(driver, options, offer or Offer.of_driver(driver, options), known)
    row |= {"is_real": is_real, "is_local": is_local, "is_shared": is_shared}
    if known is None:
        connection.execute(insert(rig), row | {"name": name, "state": OPEN, "clock": 0.0, "created_at": now})
        return
    connection.execute(update(rig).where(rig.c.name == name).values(**row))


def is_same(row: RigRow, driver: str, options: Mapping[str, Any], offer: Offer, is_shared: bool = False) -> bool:
    """Whether a rig is registered in these words already."""
    words = _words(driver, options, offer, row.experiment_json)
    return row.is_shared == is_shared and all(getattr(row, column) == word for column, word in words.items())


def _words(driver: str, options: Mapping[str, Any], offer: Offer, known: str | None) -> dict[str, Any]:
    """The columns of a rig, which goes on with the experiment that it is known by where that still says what it offers."""
    experiment, price = json.dumps(experiment_to_json(offer.experiment), allow_nan=False), offer.price
    before = experiment_from_json(json.loads(known)) if known else None
    if known and before and before.is_nearly(offer.experiment):
        experiment = known  # campaigns go on, and scores stay, on every processor
    elif known and before and before.is_nearly(offer.experiment.without_fidelities):
        experiment = known  # a campaign that began before there were fidelities goes on without
        price = price and replace(price, fixed=offer.experiment.fidelities)
    return {
        "driver": driver, "options_json": json.dumps(dict(options)), "experiment_json": experiment,
        "price_json": None if price is None else json.dumps(price_to_json(price), allow_nan=False),
    }  # fmt: skip


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
        body = {"state": state, "by": "the instructor" if caller.is_instructor else "whose experiment ran on it"}
        event_log.record(connection, now, f"rig.{state}", event_log.EVERYBODY, body, rig=name)
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
