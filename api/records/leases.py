"""Leases: a worker takes experiments of its rig, says that the rig begins, renews by heartbeats, and reports.

Plain functions on the database, for a worker in the service's own process (`api.workers.local_desk`) and for one at another machine's rig
(`api.routes.work`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, select, text, update

from api.errors import Conflict, NotFound
from api.records import fair_queue, rigs, twins
from api.records.fair_queue import Ended
from api.records.people import Caller
from api.records.prepared_statement import PreparedStatement
from api.records.rigs import Offer
from api.records.rows import ExperimentRow, RigRow, fetched, fetched_one
from api.records.tables import experiment, rig
from api.records.twins import Twin
from frugaltwin.amounts import Amounts
from frugaltwin.errors import FrugalTwinError, OutOfBounds
from frugaltwin.experiment import Experiment, Measurement, Settings
from frugaltwin.store import experiment_from_json

_work = PreparedStatement(
    text(
        "select 1 from experiment join rig on rig.name = experiment.rig "
        "where experiment.rig = :which and experiment.state = 'queued' and rig.state = 'open' limit 1"
    )
)


KEPT = 64
"""Characters of a worker that are written down."""
LONGEST = 2000
"""Characters of an error."""


@dataclass(frozen=True)
class Job:
    """An experiment that a worker holds."""

    id: str
    lease: str
    settings: Settings = field(default_factory=dict)
    twin: Twin | None = None
    """The twin that performs it; None on a real rig."""


@dataclass(frozen=True)
class Report(Ended):
    """The end of a job, as its worker reports it."""

    needs_person: bool = False
    """Somebody at the rig stopped it, the service hung, or it fails and fails: a real rig goes on when the instructor opens it."""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        body = asdict(self) | {"cost": self.cost.cost()}
        del body["twin"]  # the service knows it
        if self.measurement is not None:
            body["measurement"]["cost"] = self.measurement.cost.cost()
            if not self.measurement.happened:  # a service of before does not know it
                del body["measurement"]["happened"]
        return body

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Report:
        """The inverse of `to_json`."""
        m = body["measurement"]
        measurement = Measurement(**m | {"cost": Amounts(**m["cost"])}) if m else None
        return cls(**{**body, "measurement": measurement, "cost": Amounts(**body["cost"])})


@dataclass(frozen=True)
class Orders:
    """The answer to a heartbeat."""

    state: str
    """Of the rig: open, paused, stopped."""
    lost: Sequence[str] = ()
    """The ids of the jobs that the worker does not hold any more."""


def lease(connection: Connection, now: float, name: str, worker: str, count: int) -> list[Job]:
    """The next experiments of a rig, for its worker; those of a twin count as begun."""
    rows = fair_queue.lease(connection, now, name, worker, count, twins_begin=True)
    found = twins.twins_of(connection, rows, rigs.find(connection, name)) if rows else []
    return [Job(row.id, row.lease, row.settings, twin) for row, twin in zip(rows, found, strict=True)]


def past(connection: Connection, twin: str, name: str) -> list[Settings]:
    """The settings that a twin of a rig has performed, in order."""
    return twins.past(connection, twin, name)


def has_work(connection: Connection, name: str) -> bool:
    """Whether an experiment waits for an open rig, as far as a query without a lock can tell."""
    return bool(_work(connection, {"which": name}))


def have_begun(connection: Connection, jobs: Sequence[Job]) -> bool:
    """Whether all of these have begun already and none was aborted."""
    return fair_queue.have_begun(connection, {job.id: job.lease for job in jobs})


def begin(connection: Connection, now: float, name: str, jobs: Sequence[Job]) -> list[Job]:
    """Those of the jobs that the rig may move for; it counts as having moved."""
    begun = []
    for job in jobs:
        try:
            fair_queue.begin(connection, now, job.id, job.lease, name)
        except (Conflict, NotFound):
            continue
        begun.append(job)
    return begun


def heard(connection: Connection, now: float, name: str, worker: str, held: Mapping[str, str]) -> tuple[Orders, bool]:
    """The answer to a heartbeat, and whether it is time to write the heartbeat down.

    Raises:
        NotFound: There is no such rig.
    """
    row = _rig(connection, name)
    if row is None:
        raise NotFound(f"there is no rig {name!r}; its worker has to bring it first")
    question = select(experiment.c.id, experiment.c.lease, experiment.c.lease_until)
    leases = {r.id: (r.lease, r.lease_until) for r in connection.execute(question.where(experiment.c.id.in_(list(held))))} if held else {}
    mine = [i for i, lease_id in held.items() if i in leases and leases[i][0] == lease_id and leases[i][1]]
    often = fair_queue.LEASE / 6  # s after which a heartbeat is written down; those between are answered from what is there
    is_fresh = row.worker == worker and row.seen_at is not None and 0 <= now - row.seen_at < often
    ends = [leases[identity][1] for identity in mine]
    is_due = not is_fresh or not all(fair_queue.LEASE - often < end - now <= fair_queue.LEASE for end in ends)
    return Orders(row.state, [identity for identity in held if identity not in mine]), is_due


def renew(connection: Connection, now: float, name: str, worker: str, held: Mapping[str, str]) -> Orders:
    """Write a heartbeat down."""
    fair_queue.expire(connection, now)
    lost = fair_queue.renew(connection, now, name, worker, held)
    return Orders(connection.execute(select(rig.c.state).where(rig.c.name == name)).scalar_one(), lost)


def finish(connection: Connection, now: float, name: str, reports: Sequence[Report]) -> list[str]:
    """Take reports; told twice, they count once. The ids of those that are not wanted any more.

    A measurement that is none of the rig's experiment is a failed experiment. What a twin performed on another past than it has now goes
    back into the queue: an experiment before it was aborted meanwhile.
    """
    found = _rig(connection, name)
    if found is not None:
        reports = [_fitting(report, _experiment(found.experiment_json)) for report in reports]
    taken, refused = _numbered(connection, now, found, reports)
    for report, row in zip(taken, fair_queue.finish(connection, now, taken, name), strict=True):
        if isinstance(row, FrugalTwinError):
            refused.append(report.id)
        elif report.needs_person and row.finished_at == now and found is not None and found.is_real and found.state == rigs.OPEN:
            fair_queue.stop(connection, now, name, f"stopped at the rig: {report.error}")
    return refused


def _fitting(report: Report, performed: Experiment) -> Report:
    """The report, with the outcomes of the rig's experiment; a failure where it has others."""
    if report.measurement is None:
        return report
    try:
        outcomes = performed.check_outcomes(report.measurement.outcomes)
    except OutOfBounds as error:
        return replace(report, measurement=None, error=f"what its worker reported is no reading of this rig: {error}"[:LONGEST])
    return replace(report, measurement=replace(report.measurement, outcomes=outcomes))


@lru_cache(maxsize=64)
def _experiment(text: str) -> Experiment:
    return experiment_from_json(json.loads(text))


def _numbered(connection: Connection, now: float, found: RigRow | None, reports: Sequence[Report]) -> tuple[list[Report], list[str]]:
    """The reports with the places of twins' experiments in their pasts, and the ids of those that have no place there."""
    question = select(experiment).where(experiment.c.id.in_([report.id for report in reports]))
    if found is None or found.is_real:
        return list(reports), []
    rows = {row.id: row for row in fetched(ExperimentRow, connection.execute(question))}
    held = {r.id: twins.twin_of(found, rows[r.id].person, rows[r.id].campaign) for r in reports if r.id in rows and _counts(r, rows[r.id])}
    performed = twins.n_performed(connection, {twin for twin in held.values() if twin})
    taken, refused = [], []
    for report in reports:
        twin = held.get(report.id)
        if twin is None:
            taken.append(report)
        elif report.twin_number in (None, performed[twin] + 1):  # a worker of an earlier version does not say it
            performed[twin] += 1
            taken.append(replace(report, twin=twin, twin_number=performed[twin]))
        else:
            fair_queue.release(connection, now, report.id, report.lease, found.name)
            refused.append(report.id)
    return taken, refused


def _counts(report: Report, row: ExperimentRow) -> bool:
    """Whether a report is the first one of an experiment that was performed to the end."""
    return row.lease == report.lease and row.state == fair_queue.RUNNING and not report.was_stopped and report.twin_number != 0


def release(connection: Connection, now: float, name: str, jobs: Sequence[Job]) -> None:
    """Put jobs back into the queue that nothing was done for."""
    for job in jobs:
        try:
            fair_queue.release(connection, now, job.id, job.lease, name)
        except (Conflict, NotFound):
            continue


def leave(connection: Connection, now: float, name: str, worker: str) -> None:
    """Leave a rig without a worker for now."""
    connection.execute(update(rig).where(rig.c.name == name, rig.c.worker == worker).values(worker=None, seen_at=None))


def bring(
    connection: Connection, now: float, caller: Caller, name: str, driver: str, options: Mapping[str, Any], is_real: bool,
    offer: Offer, worker: str, dead: str | None, is_shared: bool = False,
) -> None:  # fmt: skip
    """Register the rig of a worker that is about to take its experiments.

    Nothing is made of its words: they are kept as they are, to be shown.

    Args:
        offer: The experiment that it performs, and its price.
        worker: Its own name.
        dead: The name of the worker that drove it and is known to have ended. Only the same token may say so, or an instructor.

    Raises:
        Conflict: Another rig has this name, or another worker drives it.
        InvalidInput: Nothing could be checked or priced by the offer.
    """
    offer.check()
    row = _rig(connection, name)
    if row is not None:
        if row.is_real != is_real:
            raise Conflict(f"{name} is known as {'a real rig' if row.is_real else 'a twin'}; choose another name for this one")
        if dead is not None and _may_bury(caller, row, dead):
            fair_queue.forget_worker(connection, now, name)
            row = rigs.find(connection, name)
        is_driven = row.worker not in (None, identity(caller, worker)) and row.seen_at is not None and 0 <= now - row.seen_at < rigs.OFFLINE
        if is_driven and row.is_real:
            raise Conflict(f"{name} is driven by the worker {row.worker}; end that one first, or choose another name")
        if is_driven and rigs.is_same(row, driver, options, offer, is_shared):
            return  # one more worker of the same twin
        if is_driven and not caller.is_instructor:
            raise Conflict(f"{name} is driven by the worker {row.worker} as another twin; end that one first, or choose another name")
    rigs.register(connection, now, name, driver, options, is_real, offer, is_local=False, is_shared=is_shared)


def _may_bury(caller: Caller, row: RigRow, dead: str) -> bool:
    return row.worker == identity(caller, dead) or (caller.is_instructor and row.worker is not None and _name(row.worker) == dead)


def identity(caller: Caller, worker: str) -> str:
    """A worker from afar as it is written down: nobody with another token can pass for it."""
    return f"{worker[: KEPT - len(caller.token) - 1]}@{caller.token}"


def _name(worker: str) -> str:
    return worker.partition("@")[0]


def worker_of(connection: Connection, name: str) -> str | None:
    """The name of the worker of a rig that was heard last; None when it left, or there is no such rig."""
    row = _rig(connection, name)
    return _name(row.worker) if row and row.worker else None


def _rig(connection: Connection, name: str) -> RigRow | None:
    """A rig by its name, if there is one."""
    return fetched_one(RigRow, connection.execute(select(rig).where(rig.c.name == name)))
