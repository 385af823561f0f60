"""``/v1/work``: what workers ask and report, for those who live in the service's process and for those at another machine's rig."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, select, update

from api import benches, journal, queue
from api.access import TheCaller, TheService
from api.database import Database
from api.problems import responses
from api.queue import Conflict, NotFound
from api.tables import experiment, rig
from api.worker import Job, Orders, Report, RigWords
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Experiment
from frugaltwin.store import experiment_from_json

router = APIRouter(prefix="/v1/work", tags=["work"])

RigName = Annotated[str, Path(max_length=40)]
Word = Annotated[str, Field(max_length=80)]


class Strict(BaseModel):
    """Takes nothing that it does not know."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class RigHere(Strict):
    """A rig that a worker brings."""

    driver: str = Field(max_length=40)
    options: dict[Word, float | bool | Annotated[str, Field(max_length=200)]] = Field(max_length=50)
    is_real: bool
    experiment: dict[str, Any] = Field(description="parameters, outcomes and constraints, as GET /v1/rigs shows them")
    worker: Word


class WorkerName(Strict):
    """Who works."""

    worker: Word


class Ask(WorkerName):
    """A worker that has time."""

    count: int = Field(1, ge=1, le=100)


class JobView(Strict):
    """An experiment in a worker's hands."""

    id: Word
    lease: Word
    settings: dict[Word, float | Annotated[str, Field(max_length=80)]] = {}


class Jobs(Strict):
    """Some of them."""

    jobs: list[JobView] = Field(max_length=100)


class Heartbeat(WorkerName):
    """What a worker holds: leases by id."""

    held: dict[Word, Word] = Field(max_length=100)


class OrdersView(BaseModel):
    """What the worker has to know."""

    state: Literal["open", "paused", "stopped"]
    lost: list[str] = Field(description="what it holds no more: the rig has to stop if it works on nothing else")


class CostView(Strict):
    """What something took."""

    seconds: float
    money: float
    volume: float


class MeasurementView(Strict):
    """What was measured."""

    outcomes: dict[Word, float | Annotated[str, Field(max_length=80)]]
    cost: CostView
    raw: dict[Word, float | Annotated[str, Field(max_length=2000)]] = Field(max_length=2000)


class ReportView(Strict):
    """What became of a job."""

    id: Word
    lease: Word
    measurement: MeasurementView | None
    error: Annotated[str, Field(max_length=2000)] | None
    cost: CostView
    provenance: dict[Word, Any] = Field(max_length=50)
    was_stopped: bool = False
    needs_person: bool = False


class Reports(Strict):
    """Some of them."""

    reports: list[ReportView] = Field(max_length=100)


class Refused(BaseModel):
    """Of which experiments nobody wants a report any more."""

    refused: list[str]


def lease(connection: Connection, now: float, name: str, worker: str, count: int) -> list[Job]:
    """The next experiments of a rig, for its worker."""
    rows = queue.lease(connection, now, name, worker, count)
    return [Job(row["id"], row["lease"], json.loads(row["settings_json"])) for row in rows]


def has_work(connection: Connection, name: str) -> bool:
    """Whether there is something to take, as far as a look without a lock can tell."""
    waiting = select(experiment.c.id).where(experiment.c.rig == name, experiment.c.state == queue.QUEUED).limit(1)
    is_open = select(rig.c.state).where(rig.c.name == name)
    return connection.execute(is_open).scalar_one_or_none() == benches.OPEN and connection.execute(waiting).first() is not None


def begin(connection: Connection, now: float, name: str, jobs: Sequence[Job]) -> list[Job]:
    """Those of the jobs that the rig may move for; it counts as having moved."""
    begun = []
    for job in jobs:
        try:
            _check_rig(connection, name, job.id)
            queue.begin(connection, now, job.id, job.lease)
        except (Conflict, NotFound):
            continue
        begun.append(job)
    return begun


def heard(connection: Connection, now: float, name: str, worker: str, held: Mapping[str, str]) -> tuple[Orders, bool]:
    """What a heartbeat is answered, and whether it is time to write it down."""
    row = connection.execute(select(rig).where(rig.c.name == name)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no rig {name!r}; its worker has to bring it first")
    question = select(experiment.c.id, experiment.c.lease, experiment.c.lease_until)
    leases = {r.id: (r.lease, r.lease_until) for r in connection.execute(question.where(experiment.c.id.in_(list(held))))} if held else {}
    mine = [identity for identity, lease_id in held.items() if leases.get(identity, ("", None))[0] == lease_id and leases[identity][1]]
    often = queue.LEASE / 6  # s after which a heartbeat is written down; those between are answered from what is there
    is_fresh = row["worker"] == worker and row["seen_at"] is not None and 0 <= now - row["seen_at"] < often
    ends = [leases[identity][1] for identity in mine]
    is_due = not is_fresh or not all(queue.LEASE - often < end - now <= queue.LEASE for end in ends)
    return Orders(row["state"], [identity for identity in held if identity not in mine]), is_due


def renew(connection: Connection, now: float, name: str, worker: str, held: Mapping[str, str]) -> Orders:
    """A heartbeat, written down."""
    queue.expire(connection, now)
    lost = queue.renew(connection, now, name, worker, held)
    return Orders(connection.execute(select(rig.c.state).where(rig.c.name == name)).scalar_one(), lost)


def finish(connection: Connection, now: float, name: str, report: Report) -> None:
    """Take a report.

    Raises:
        Conflict, NotFound: Nobody wants it any more.
    """
    _check_rig(connection, name, report.id)
    row = queue.finish(
        connection, now, report.id, report.lease, report.measurement, report.error, report.cost, report.provenance,
        was_stopped=report.was_stopped,
    )  # fmt: skip
    if report.needs_person and row["finished_at"] == now:
        halt = update(rig).where(rig.c.name == name, rig.c.state == benches.OPEN, rig.c.is_real).values(state=benches.STOPPED)
        if connection.execute(halt).rowcount:
            body = {"state": benches.STOPPED, "why": f"stopped at the rig: {report.error}"}
            journal.record(connection, now, "rig.stopped", row["person"], body, rig=name)


def release(connection: Connection, now: float, name: str, jobs: Sequence[Job]) -> None:
    """Take jobs back that nothing was done for."""
    for job in jobs:
        try:
            _check_rig(connection, name, job.id)
            queue.release(connection, now, job.id, job.lease)
        except (Conflict, NotFound):
            continue


def leave(connection: Connection, now: float, name: str, worker: str) -> None:
    """A rig has nobody to drive it for now."""
    connection.execute(update(rig).where(rig.c.name == name, rig.c.worker == worker).values(worker=None, seen_at=None))


class DatabaseDesk:
    """The desk of a worker in the service's own process."""

    def __init__(self, database: Database, rig: str, worker: str) -> None:
        self._database, self._rig, self._worker = database, rig, worker
        self._news = threading.Condition()
        database.on_commit(self.wake)

    def wake(self) -> None:
        """There may be news."""
        with self._news:
            self._news.notify_all()

    def lease(self, count: int) -> list[Job]:
        if not self._database.read_now(lambda c: has_work(c, self._rig)):
            return []
        return self._database.write_now(lambda c, now: lease(c, now, self._rig, self._worker, count))

    def begin(self, jobs: Sequence[Job]) -> list[Job]:
        return self._database.write_now(lambda c, now: begin(c, now, self._rig, jobs))

    def renew(self, held: Mapping[str, str]) -> Orders:
        now = self._database.now()
        orders, is_due = self._database.read_now(lambda c: heard(c, now, self._rig, self._worker, held))
        return self._database.write_now(lambda c, now: renew(c, now, self._rig, self._worker, held)) if is_due else orders

    def finish(self, reports: Sequence[Report]) -> list[str]:
        changes = [self._database.submit(lambda c, now, r=report: finish(c, now, self._rig, r)) for report in reports]  # type: ignore[misc]
        refused = []
        for report, change in zip(reports, changes, strict=True):
            try:
                change.result()
            except (Conflict, NotFound):
                refused.append(report.id)
        return refused

    def release(self, jobs: Sequence[Job]) -> None:
        self._database.write_now(lambda c, now: release(c, now, self._rig, jobs))

    def leave(self) -> None:
        self._database.write_now(lambda c, now: leave(c, now, self._rig, self._worker))

    def wait(self, seconds: float) -> None:
        with self._news:
            self._news.wait(seconds)


@router.put("/{name}", status_code=204, responses=responses(403, 409, 503))
async def bring(name: RigName, body: RigHere, service: TheService, caller: TheCaller) -> None:
    """Make a rig known whose worker is about to take its experiments."""
    caller.check("work")
    words = RigWords(name, body.driver, body.options, body.is_real)
    made = _experiment(body.experiment)

    def change(connection: Connection, now: float) -> None:
        row = connection.execute(select(rig).where(rig.c.name == name)).mappings().one_or_none()
        if row is not None:
            if row["is_real"] != body.is_real:
                kind = "a real rig" if row["is_real"] else "a twin"
                raise Conflict(f"{name} is known as {kind}; choose another name for this one")
            is_heard = row["seen_at"] is not None and 0 <= now - row["seen_at"] < benches.OFFLINE
            if row["is_real"] and is_heard and row["worker"] != body.worker:
                raise Conflict(f"{name} is driven by the worker {row['worker']}; end that one first, or choose another name")
        benches.register(connection, now, words.name, words.driver, words.options, words.is_real, made)

    await service.database.write(change)


@router.post("/{name}/leases", responses=responses(403, 404, 409, 503))
async def take(name: RigName, body: Ask, service: TheService, caller: TheCaller) -> Jobs:
    """Take the next experiments of the rig, fairest first; none when nothing waits, or the rig is not open."""
    caller.check("work")
    await service.database.read(lambda c: service.benches.get(c, name))
    if not await service.database.read(lambda c: has_work(c, name)):
        return Jobs(jobs=[])
    jobs = await service.database.write(lambda c, now: lease(c, now, name, body.worker, body.count))
    return Jobs(jobs=[JobView(id=job.id, lease=job.lease, settings=dict(job.settings)) for job in jobs])


@router.post("/{name}/begin", responses=responses(403, 503))
async def beginning(name: RigName, body: Jobs, service: TheService, caller: TheCaller) -> Jobs:
    """Say that the rig is about to move for these; the answer has those that it still may move for."""
    caller.check("work")
    jobs = [Job(job.id, job.lease, job.settings) for job in body.jobs]
    begun = await service.database.write(lambda c, now: begin(c, now, name, jobs))
    return Jobs(jobs=[JobView(id=job.id, lease=job.lease, settings=dict(job.settings)) for job in begun])


@router.post("/{name}/renew", responses=responses(403, 404, 503))
async def heartbeat(name: RigName, body: Heartbeat, service: TheService, caller: TheCaller) -> OrdersView:
    """A heartbeat, every half second: the rig is there, and these leases are in use."""
    caller.check("work")
    now = service.database.now()
    orders, is_due = await service.database.read(lambda c: heard(c, now, name, body.worker, body.held))
    if is_due:
        orders = await service.database.write(lambda c, now: renew(c, now, name, body.worker, body.held))
    return OrdersView.model_validate({"state": orders.state, "lost": orders.lost})


@router.post("/{name}/finish", responses=responses(403, 503))
async def finished(name: RigName, body: Reports, service: TheService, caller: TheCaller) -> Refused:
    """Hand in what became of experiments; told twice, it counts once."""
    caller.check("work")
    refused = []
    for view in body.reports:
        report = Report.from_json(view.model_dump())
        try:
            await service.database.write(lambda c, now, r=report: finish(c, now, name, r))  # type: ignore[misc]
        except (Conflict, NotFound):
            refused.append(report.id)
    return Refused(refused=refused)


@router.post("/{name}/release", status_code=204, responses=responses(403, 503))
async def given_back(name: RigName, body: Jobs, service: TheService, caller: TheCaller) -> None:
    """Give experiments back that nothing was done for."""
    caller.check("work")
    jobs = [Job(job.id, job.lease) for job in body.jobs]
    await service.database.write(lambda c, now: release(c, now, name, jobs))


@router.post("/{name}/leave", status_code=204, responses=responses(403, 503))
async def left(name: RigName, body: WorkerName, service: TheService, caller: TheCaller) -> None:
    """Say that the rig has nobody to drive it for now."""
    caller.check("work")
    await service.database.write(lambda c, now: leave(c, now, name, body.worker))


def _experiment(body: Mapping[str, Any]) -> Experiment:
    from pydantic import ValidationError

    try:
        return experiment_from_json(body)
    except (ValidationError, ValueError, TypeError) as error:
        raise InvalidInput("that is no experiment; send what `frugaltwin worker` sends") from error


def _check_rig(connection: Connection, name: str, identity: str) -> None:
    if queue.find(connection, identity)["rig"] != name:
        raise NotFound(f"there is no experiment {identity} of the rig {name}")
