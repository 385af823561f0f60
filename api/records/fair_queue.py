"""The fair queue of experiments, and the states of an experiment. Every step is one change of the database.

    queued → leased → running → succeeded | failed | aborted | unknown

A lease that runs out before the rig began goes back into the queue. One that runs out while a *real* rig was running ends as `unknown`:
nobody knows what the rig did, so it is never run again by itself. A twin's experiment is simply run again.

The queue of a rig is fair over people (start-time fair queueing: Goyal, Vin & Cheng, IEEE/ACM Trans. Networking 5 (1997) 690,
doi:10.1109/90.649569): every person's experiments are lined up in a virtual time that advances by the seconds they are estimated to
take, and the rig takes the earliest tag. A person who was idle begins at the rig's virtual time, so that nobody saves up; and an
experiment that was aborted before it began leaves no gap in its owner's line, so that nobody keeps a place for later.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, insert, or_, select, text, update

from api.errors import Conflict, NotFound
from api.records import event_log, ledger, standings
from api.records.identifiers import new_id
from api.records.prepared_statement import PreparedStatement
from api.records.rows import ExperimentRow, LeasedRow, RigRow, fetched
from api.records.tables import experiment, rig, share
from frugaltwin.amounts import Amounts
from frugaltwin.experiment import Measurement, Settings

Values = dict[str, Any]
"""By column."""

QUEUED, LEASED, RUNNING = "queued", "leased", "running"
SUCCEEDED, FAILED, ABORTED, UNKNOWN = "succeeded", "failed", "aborted", "unknown"
OPEN = (QUEUED, LEASED, RUNNING)
ENDS = (SUCCEEDED, FAILED, ABORTED, UNKNOWN)
LEASE = 30.0
"""s that a worker has until it renews."""
LEAST = 1.0
"""s that an experiment counts for in the queue at least: one that takes no time does not go before everybody's."""


@dataclass(frozen=True)
class Order:
    """An experiment to be queued."""

    person: str
    rig: str
    settings: Settings
    """Checked."""
    estimate: Amounts
    is_urgent: bool = False
    """The instructor's lane."""
    campaign: str | None = None
    trial: int | None = None
    agent: str | None = None
    """The id of the token of the agent that asks for it."""


@dataclass(frozen=True)
class Ended:
    """The end of an experiment, as its worker reports it."""

    id: str
    lease: str
    measurement: Measurement | None
    error: str | None
    cost: Amounts
    provenance: Mapping[str, Any]
    was_stopped: bool = False
    twin: str | None = None
    """The twin that performed it; None on a real rig."""
    twin_number: int | None = None
    """Number of the experiment in that twin's past, from 1; 0 if it came to nothing there."""


_rig = select(rig).where(rig.c.name == bindparam("which"))
_virtual = PreparedStatement(
    select(rig.c.clock, rig.c.is_real, share.c.until)
    .outerjoin(share, and_(share.c.rig == rig.c.name, share.c.person == bindparam("whose")))
    .where(rig.c.name == bindparam("which"))
)
_move_share = PreparedStatement(
    text(
        "insert into share (rig, person, until) values (:which, :whose, :then) "
        "on conflict (rig, person) do update set until = excluded.until"
    )
)
_back = PreparedStatement(
    update(share)
    .where(share.c.rig == bindparam("which"), share.c.person == bindparam("whose"))
    .values(until=share.c.until - bindparam("turn"))
)
_close_up = PreparedStatement(
    update(experiment)
    .where(
        experiment.c.person == bindparam("whose"), experiment.c.number > bindparam("behind"),
        experiment.c.rig == bindparam("which"), experiment.c.state == bindparam("waits"), experiment.c.lane == bindparam("in_turn"),
    )
    .values(tag=experiment.c.tag - bindparam("turn"))
)  # fmt: skip
_n_waiting = PreparedStatement(text("select count(*) as n from experiment where person = :whose and state = 'queued'"))  # by its index
_insert = PreparedStatement(
    insert(experiment).returning(experiment.c.number),
    "id", "person", "rig", "campaign", "trial", "settings_json", "state", "lane", "tag",
    *(kind.name for kind in Amounts.cost_kinds()), "rig_runs", "attempt", "created_at", "agent",
)  # fmt: skip
_by_id = PreparedStatement(select(experiment).where(experiment.c.id == bindparam("which")))
_waiting = (
    select(experiment)
    .where(experiment.c.rig == bindparam("which"), experiment.c.state == QUEUED)
    .order_by(experiment.c.lane.desc(), experiment.c.tag, experiment.c.number)
    .limit(bindparam("count"))
)
_ran_out = select(experiment).where(experiment.c.state.in_((LEASED, RUNNING)), experiment.c.lease_until < bindparam("now"))
_from_later = update(experiment).where(experiment.c.lease_until > bindparam("latest")).values(lease_until=bindparam("latest"))


def find(connection: Connection, identity: str, of_rig: str | None = None) -> ExperimentRow:
    """An experiment by its id.

    Args:
        of_rig: Only if it is this rig's.

    Raises:
        NotFound: There is none.
    """
    row = next(iter(_by_id.rows(connection, {"which": identity}, ExperimentRow)), None)
    if row is None or of_rig not in (None, row.rig):
        raise _not_found(identity, of_rig)
    return row


def _not_found(identity: str, of_rig: str | None) -> NotFound:
    return NotFound(f"there is no experiment {identity[:40]}" + (f" of the rig {of_rig}" if of_rig else ""))


def next_tag(connection: Connection, name: str, person: str) -> float:
    """The place in the virtual time of a rig at which a person's next experiment is lined up."""
    return _next(connection, name, person)[0]


def _next(connection: Connection, name: str, person: str) -> tuple[float, bool]:
    """This place, and whether the rig is real."""
    row = _virtual(connection, {"which": name, "whose": person})[0]
    return max(float(row["clock"]), float(row["until"] or 0.0)), bool(row["is_real"])


def reservation(connection: Connection, order: Order) -> ledger.Sums:
    """The amount of each kind that an order reserves: its estimate and a run, or a rig run where the person has a limit of those."""
    return _with_run(order.estimate, _rig_runs(connection, order.person, _next(connection, order.rig, order.person)[1]))


def _rig_runs(connection: Connection, person: str, is_real: bool) -> float:
    return float(is_real and ledger.balance(connection, person)["rig_runs"] is not None)


def _with_run(cost: Amounts, rig_runs: float) -> ledger.Sums:
    return {**vars(cost), "runs": 1.0 - rig_runs, "rig_runs": rig_runs}


def n_waiting(connection: Connection, person: str) -> int:
    """The number of a person's experiments that wait, for all rigs."""
    return int(_n_waiting(connection, {"whose": person})[0]["n"])


def submit(connection: Connection, now: float, order: Order) -> ExperimentRow:
    """Reserve the estimate and queue it; its row.

    Raises:
        BudgetExhausted: The person cannot pay for it, or the agent has used its runs; nothing is queued.
    """
    if order.agent is not None:
        ledger.check_agent(connection, order.agent)
    identity = new_id("x")
    price = order.estimate
    tag, is_real = _next(connection, order.rig, order.person)
    rig_runs = _rig_runs(connection, order.person, is_real)
    ledger.reserve(connection, now, order.person, identity, _with_run(price, rig_runs))
    if not order.is_urgent:  # which is outside of time
        _move_share(connection, {"which": order.rig, "whose": order.person, "then": tag + _turn(price.seconds)})
    values: Values = {
        "id": identity, "person": order.person, "rig": order.rig, "campaign": order.campaign, "trial": order.trial,
        "settings_json": json.dumps(dict(order.settings), allow_nan=False), "state": QUEUED, "lane": int(order.is_urgent), "tag": tag,
        **price.cost(), "rig_runs": rig_runs, "attempt": 0, "created_at": now,
        "agent": order.agent,
    }  # fmt: skip
    row = ExperimentRow(
        **values, number=_insert(connection, values)[0]["number"], lease=None, lease_until=None, result_json=None, error=None,
        provenance_json=None, started_at=None, finished_at=None, twin=None, twin_number=None,
    )  # fmt: skip
    return _tell(connection, now, row, QUEUED)


def lease(connection: Connection, now: float, name: str, worker: str, count: int, *, twins_begin: bool = False) -> list[LeasedRow]:
    """The next experiments of a rig, fairest first, now in the hands of a worker until their lease runs out. They have not begun.

    None while the rig is not open.

    Args:
        twins_begin: Those of a twin have begun: nothing moves, so nothing needs to be written down once more before it does.

    Raises:
        Conflict: Another worker drives this real rig.
    """
    expire(connection, now)
    driven = _driven(connection, now, name, worker)
    if driven.state != "open":
        return []
    has_begun = twins_begin and not driven.is_real
    state: Values = {"state": RUNNING, "started_at": now} if has_begun else {"state": LEASED, "started_at": None}
    waiting = fetched(ExperimentRow, connection.execute(_waiting, {"which": name, "count": count}))
    changes = [(row, {**state, "lease": secrets.token_hex(8), "lease_until": now + LEASE, "attempt": row.attempt + 1}) for row in waiting]
    taken = [LeasedRow(**(vars(row) | values)) for row, values in changes]
    _changed(*state, "lease", "lease_until", "attempt").many(connection, [_bound(row, values) for row, values in changes])
    for row in taken if has_begun else ():
        _tell(connection, now, row, RUNNING)
    if in_turn := [row.tag for row in taken if not row.lane]:
        clock = max(in_turn)
        connection.execute(update(rig).where(rig.c.name == name, rig.c.clock < clock).values(clock=clock))
    connection.execute(update(rig).where(rig.c.name == name).values(worker=worker, seen_at=now))
    return taken


def begin(connection: Connection, now: float, identity: str, lease_id: str, of_rig: str | None = None) -> None:
    """The rig is about to move for this one: from here on it counts as having run.

    Args:
        of_rig: Only if it is this rig's.

    Raises:
        Conflict: It was stopped, or taken back; the rig must not move.
    """
    row = find(connection, identity, of_rig)
    if row.state == RUNNING and row.lease == lease_id:
        return  # told twice
    _check_held(row, lease_id, (LEASED,))
    _change(connection, row, {"state": RUNNING, "started_at": now, "lease_until": now + LEASE})
    _tell(connection, now, row, RUNNING)


def have_begun(connection: Connection, leases: Mapping[str, str]) -> bool:
    """Whether all of these, by id, have begun already and are held with these leases."""
    question = select(experiment.c.id, experiment.c.lease).where(experiment.c.id.in_(list(leases)), experiment.c.state == RUNNING)
    return {row.id: row.lease for row in connection.execute(question)} == leases


def renew(connection: Connection, now: float, name: str, worker: str, leases: Mapping[str, str]) -> list[str]:
    """Renew the leases of a worker by its heartbeat.

    Args:
        leases: The lease of each experiment that it holds, by id.

    Returns:
        The ids that it does not hold any more (aborted, for example): their rig has to be stopped.

    Raises:
        Conflict: Another worker drives this real rig.
    """
    _driven(connection, now, name, worker)
    connection.execute(update(rig).where(rig.c.name == name).values(worker=worker, seen_at=now))
    lost = []
    for identity, lease_id in leases.items():
        held = and_(experiment.c.id == identity, experiment.c.lease == lease_id, experiment.c.state.in_((LEASED, RUNNING)))
        if not connection.execute(update(experiment).where(held).values(lease_until=now + LEASE)).rowcount:
            lost.append(identity)
    return lost


def finish(
    connection: Connection, now: float, ends: Sequence[Ended], of_rig: str | None = None
) -> list[ExperimentRow | NotFound | Conflict]:
    """Take a worker's reports; for each the row, or the refusal. Told twice, it counts once. A late one settles an `unknown` end.

    Args:
        of_rig: Only what is this rig's.
    """
    question = select(experiment).where(experiment.c.id.in_([end.id for end in ends]))
    rows = {row.id: row for row in fetched(ExperimentRow, connection.execute(question))}
    answers: list[ExperimentRow | NotFound | Conflict] = []
    ended: list[tuple[ExperimentRow, Values]] = []
    changes: list[tuple[ExperimentRow, ExperimentRow]] = []
    bills: list[ledger.Bill] = []
    for end in ends:
        row = rows.get(end.id)
        try:
            if row is None or of_rig not in (None, row.rig):
                raise _not_found(end.id, of_rig)
            if row.lease != end.lease or row.state not in (SUCCEEDED, FAILED, ABORTED):
                _check_held(row, end.lease, (RUNNING, UNKNOWN))
                values = _ended(now, end)
                ended.append((row, values))
                if row.state != UNKNOWN:  # which was settled as if all of it had been spent
                    bills.append(_bill(row, end.cost))
                then = _tell(connection, now, replace(row, **values), values["state"])
                changes.append((row, then))
                row = rows[end.id] = then
            answers.append(row)
        except (NotFound, Conflict) as error:
            answers.append(error)
    if ended:
        _changed(*ended[0][1]).many(connection, [_bound(row, values) for row, values in ended])
    ledger.settle(connection, now, bills)
    standings.note(connection, changes)
    return answers


def _ended(now: float, end: Ended) -> Values:
    """The columns that the end of an experiment changes."""
    body: dict[str, Any] = {}
    if end.measurement:
        body = {"outcomes": dict(end.measurement.outcomes), "raw": dict(end.measurement.raw)}
        body |= {"happened": dict(end.measurement.happened)} if end.measurement.happened else {}
    return {
        "state": SUCCEEDED if end.measurement else ABORTED if end.was_stopped else FAILED,
        "result_json": json.dumps(body | {"cost": end.cost.cost()}, allow_nan=False), "error": end.error,
        "finished_at": now, "lease_until": None, "provenance_json": json.dumps(dict(end.provenance), allow_nan=False),
        "twin": end.twin, "twin_number": end.twin_number,
    }  # fmt: skip


def forget_worker(connection: Connection, now: float, name: str) -> None:
    """End the leases of a worker that is known to be dead, as if they had run out."""
    held = and_(experiment.c.rig == name, experiment.c.state.in_((LEASED, RUNNING)))
    connection.execute(update(experiment).where(held).values(lease_until=0.0))
    connection.execute(update(rig).where(rig.c.name == name).values(worker=None, seen_at=None))
    expire(connection, now)


def release(connection: Connection, now: float, identity: str, lease_id: str, of_rig: str | None = None) -> None:
    """Put an experiment back into the queue, at its old place: nothing was done for it. Told twice, or without the lease, it does nothing.

    Args:
        of_rig: Only if it is this rig's.

    Raises:
        Conflict: A real rig has begun with it, so something was done.
    """
    row = find(connection, identity, of_rig)
    if row.lease != lease_id or row.state not in (LEASED, RUNNING):
        return
    if row.state == RUNNING and _rig_row(connection, row.rig).is_real:
        raise Conflict(f"experiment {identity} has begun on a real rig; report what became of it")
    values: Values = {"state": QUEUED, "lease": None, "lease_until": None, "started_at": None}
    _change(connection, row, values)
    if row.state == RUNNING:
        _tell(connection, now, replace(row, **values), QUEUED)


def abort(connection: Connection, now: float, identity: str, why: str) -> ExperimentRow:
    """Abort an experiment; the row. Its worker stops a rig that has begun, at the next heartbeat; then the reservation is charged.

    Raises:
        Conflict: It has ended.
    """
    row = find(connection, identity)
    if row.state not in OPEN:
        raise Conflict(f"experiment {identity} has ended ({row.state}); there is nothing to abort")
    values: Values = {"state": ABORTED, "error": why, "finished_at": now, "lease": None, "lease_until": None}
    _change(connection, row, values)
    has_begun = row.state == RUNNING
    if not has_begun and not row.lane:
        line = {"which": row.rig, "whose": row.person, "turn": _turn(row.seconds)}
        _back(connection, line)
        _close_up(connection, line | {"behind": row.number, "waits": QUEUED, "in_turn": 0})
    ledger.settle(connection, now, [_bill(row, row.estimate) if has_begun else _no_bill(row)])
    then = _tell(connection, now, replace(row, **values), ABORTED)
    standings.note(connection, [(row, then)])
    return then


def expire(connection: Connection, now: float) -> None:
    """End the leases that ran out: back into the queue, or `unknown` where a real rig had begun."""
    connection.execute(_from_later, {"latest": now + LEASE})  # the clock was set back: nobody holds anything for longer than that
    for row in fetched(ExperimentRow, connection.execute(_ran_out, {"now": now}).all()):
        is_real = _rig_row(connection, row.rig).is_real
        if row.state == RUNNING and is_real:
            stop(connection, now, row.rig, "its worker was lost in the middle of an experiment; somebody has to look at the rig")
            why = "its worker was lost in the middle; look at the rig, then submit it again if it should be done again"
            values: Values = {"state": UNKNOWN, "error": why, "finished_at": now, "lease_until": None}
            ledger.settle(connection, now, [_bill(row, row.estimate)])
        else:
            values = {"state": QUEUED, "lease": None, "lease_until": None, "started_at": None}
        _change(connection, row, values)
        then = _tell(connection, now, replace(row, **values), values["state"])
        if then.finished_at is not None:
            standings.note(connection, [(row, then)])


def stop(connection: Connection, now: float, name: str, why: str) -> None:
    """Have a real rig begin nothing more until a person opens it. Everybody hears of it."""
    if connection.execute(update(rig).where(rig.c.name == name, rig.c.state != "stopped").values(state="stopped")).rowcount:
        event_log.record(connection, now, "rig.stopped", event_log.EVERYBODY, {"state": "stopped", "why": why}, rig=name)
    held = select(experiment.c.id, experiment.c.lease).where(experiment.c.rig == name, experiment.c.state == LEASED)
    for identity, lease_id in connection.execute(held).all():
        release(connection, now, identity, lease_id)


def has_run_out(connection: Connection, now: float) -> bool:
    """Whether `expire` would find something."""
    return connection.execute(_ran_out.limit(1), {"now": now}).first() is not None


def has_ended(connection: Connection, identity: str) -> bool:
    """Whether an experiment has ended."""
    return find(connection, identity).state in ENDS


def place(connection: Connection, row: ExperimentRow) -> tuple[int, float]:
    """The number of experiments that go before a queued one, and how long they and the running ones are estimated to take, s."""
    return _place(connection, row.rig, row.lane, row.tag, row.number)


def next_place(connection: Connection, order: Order) -> int:
    """The number of experiments that would go before one that is not submitted yet."""
    return _place(connection, order.rig, int(order.is_urgent), next_tag(connection, order.rig, order.person), 2**62)[0]


def _place(connection: Connection, name: str, lane: int, tag: float, number: int) -> tuple[int, float]:
    earlier = or_(experiment.c.tag < tag, and_(experiment.c.tag == tag, experiment.c.number < number))
    before = or_(experiment.c.lane > lane, and_(experiment.c.lane == lane, earlier))
    queued = and_(experiment.c.state == QUEUED, before)
    running = experiment.c.state.in_((LEASED, RUNNING))
    question = select(func.count(), func.coalesce(func.sum(experiment.c.seconds), 0.0)).where(experiment.c.rig == name)
    n, seconds = connection.execute(question.where(queued)).one()
    _, under_way = connection.execute(question.where(running)).one()
    return int(n), float(seconds + under_way)


def _check_held(row: ExperimentRow, lease_id: str, states: Sequence[str]) -> None:
    if row.lease != lease_id or row.state not in states:
        raise Conflict(f"experiment {row.id} is {row.state} and not in the hands of this worker; stop the rig")


def _rig_row(connection: Connection, name: str) -> RigRow:
    return RigRow(*connection.execute(_rig, {"which": name}).one())


@cache
def _changed(*columns: str) -> PreparedStatement:
    return PreparedStatement(
        update(experiment).where(experiment.c.number == bindparam("which")).values({c: bindparam(f"new_{c}") for c in columns})
    )


def _bound(row: ExperimentRow, values: Values) -> Values:
    return {"which": row.number} | {f"new_{column}": value for column, value in values.items()}


def _change(connection: Connection, row: ExperimentRow, values: Values) -> None:
    _changed(*values)(connection, _bound(row, values))


def _driven(connection: Connection, now: float, name: str, worker: str) -> RigRow:
    """A rig that this worker may drive: a real one has one worker at a time."""
    row = _rig_row(connection, name)
    if row.is_real and row.worker not in (None, worker) and 0 <= now - (row.seen_at or 0.0) < LEASE:
        raise Conflict(f"the rig {name} is driven by the worker {row.worker}; end that one, or wait {LEASE:g} s after its last word")
    return row


def _turn(seconds: float) -> float:
    return max(seconds, LEAST)


def _bill(row: ExperimentRow, cost: Amounts) -> ledger.Bill:
    return ledger.Bill(row.person, row.id, _with_run(row.estimate, row.rig_runs), _with_run(cost, row.rig_runs))


def _no_bill(row: ExperimentRow) -> ledger.Bill:
    return ledger.Bill(row.person, row.id, _with_run(row.estimate, row.rig_runs), dict.fromkeys(ledger.KINDS, 0.0))


def _tell(connection: Connection, now: float, row: ExperimentRow, state: str) -> ExperimentRow:
    body: dict[str, Any] = {"state": state, "settings": row.settings}
    if row.error:
        body["error"] = row.error
    if row.result_json:
        body |= row.result
        body.pop("raw", None)  # in the experiment itself
    event_log.record(connection, now, f"experiment.{state}", row.person, body, rig=row.rig, campaign=row.campaign, experiment=row.id)
    return row
