"""``/v1/work``: what workers ask and report, for those who live in the service's process and for those at another machine's rig."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, select, text, update

from api.errors import Conflict, NotFound
from api.records import event_log, fair_queue, rigs
from api.records.database import Database
from api.records.prepared_statement import PreparedStatement
from api.records.tables import experiment, rig
from api.routes.dependencies import TheCaller, TheService
from api.routes.experiment_schema import Asked
from api.routes.experiments import seconds_to_wait
from api.routes.problems import responses
from api.workers.worker import Job, Orders, Report, RigWords
from frugaltwin.errors import FrugalTwinError, InvalidInput
from frugaltwin.experiment import Experiment
from frugaltwin.store import experiment_from_json

router = APIRouter(prefix="/v1/work", tags=["work"])

_work = PreparedStatement(
    text(
        "select 1 from experiment join rig on rig.name = experiment.rig "
        "where experiment.rig = :which and experiment.state = 'queued' and rig.state = 'open' limit 1"
    )
)

RigName = Annotated[str, Path(max_length=40, description="the rig's name")]
Word = Annotated[str, Field(max_length=80)]
Worker = Annotated[str, Field(max_length=80, description="the worker's own name, another for every start")]
Id = Annotated[str, Field(max_length=80, description="of the experiment")]
Lease = Annotated[str, Field(max_length=80, description="as it came with the job: whoever has lost it reports nothing")]
Settings = dict[Word, float | Annotated[str, Field(max_length=80)]]


LOOK = 0.5
"""s between two looks at what other processes may have written."""
LONGEST_WAIT = 20.0
"""s that a worker's request waits for news."""


class Strict(BaseModel):
    """Takes nothing that it does not know."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class RigHere(Strict):
    """A rig that a worker brings."""

    driver: str = Field(max_length=40, description="its name in the catalog")
    options: dict[Word, float | bool | Annotated[str, Field(max_length=200)]] = Field(max_length=50, description="of the driver")
    is_real: bool = Field(description="hardware: students need an approval, and nothing runs twice")
    experiment: Asked
    worker: Worker
    dead: Word | None = Field(None, description="the worker that drove it and is known to have ended: what it held is taken back now")


class WorkerName(Strict):
    """Who works."""

    worker: Worker


class Driven(BaseModel):
    """Who drives a rig."""

    worker: str | None = Field(description="the last that was heard; nothing when it left, or there is no such rig yet")


class Heard(Strict):
    """How much of a rig's news a worker knows."""

    after: int | None = Field(None, ge=0, le=2**53, description="as the last answer said; nothing to begin with")


class Ask(WorkerName):
    """A worker that has time."""

    count: int = Field(1, ge=1, le=100, description="jobs at most")


class JobView(Strict):
    """An experiment in a worker's hands."""

    id: Id
    lease: Lease
    settings: Settings = Field({}, description="by the rig's parameters, in their units; need not be sent back")


class Jobs(Strict):
    """Some of them."""

    jobs: list[JobView] = Field(max_length=100, description="none, or some")


class Heartbeat(WorkerName):
    """What a worker holds: leases by id."""

    held: dict[Word, Word] = Field(max_length=100, description="the lease of each experiment by its id")


class OrdersView(BaseModel):
    """What the worker has to know."""

    state: Literal["open", "paused", "stopped"] = Field(description="of the rig: paused begins nothing more, stopped stops")
    lost: list[str] = Field(description="what it holds no more: the rig has to stop if it works on nothing else")


class CostView(Strict):
    """What something took."""

    seconds: float = Field(ge=0, description="lab time, s")
    money: float = Field(ge=0, description="USD")
    volume: float = Field(ge=0, description="mL of liquid")


class MeasurementView(Strict):
    """What was measured."""

    outcomes: Settings = Field(description="by the rig's outcomes, in their units")
    cost: CostView
    raw: dict[Word, float | Annotated[str, Field(max_length=2000)]] = Field(max_length=2000, description="the instrument's own readings")


class ReportView(Strict):
    """What became of a job."""

    id: Id
    lease: Lease
    measurement: MeasurementView | None = Field(description="nothing when it failed")
    error: Annotated[str, Field(max_length=2000)] | None = Field(description="why it failed")
    cost: CostView
    provenance: dict[Word, Any] = Field(max_length=50, description="driver, options, seed, versions")
    was_stopped: bool = Field(False, description="somebody stopped it: aborted, not failed")
    needs_person: bool = Field(False, description="the rig cannot go on by itself: it is paused")


class Reports(Strict):
    """Some of them."""

    reports: list[ReportView] = Field(max_length=100, description="one for each experiment")


class Refused(BaseModel):
    """Of which experiments nobody wants a report any more."""

    refused: list[str] = Field(description="their ids")


def lease(connection: Connection, now: float, name: str, worker: str, count: int) -> list[Job]:
    """The next experiments of a rig, for its worker; those of a twin count as begun."""
    rows = fair_queue.lease(connection, now, name, worker, count, twins_begin=True)
    return [Job(row["id"], row["lease"], json.loads(row["settings_json"])) for row in rows]


def has_work(connection: Connection, name: str) -> bool:
    """Whether there is something to take, as far as a look without a lock can tell."""
    return bool(_work(connection, {"which": name}))


def have_begun(connection: Connection, jobs: Sequence[Job]) -> bool:
    """Whether all of these have begun already and nobody has taken them back."""
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
    """What a heartbeat is answered, and whether it is time to write it down."""
    row = connection.execute(select(rig).where(rig.c.name == name)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no rig {name!r}; its worker has to bring it first")
    question = select(experiment.c.id, experiment.c.lease, experiment.c.lease_until)
    leases = {r.id: (r.lease, r.lease_until) for r in connection.execute(question.where(experiment.c.id.in_(list(held))))} if held else {}
    mine = [i for i, lease_id in held.items() if i in leases and leases[i][0] == lease_id and leases[i][1]]
    often = fair_queue.LEASE / 6  # s after which a heartbeat is written down; those between are answered from what is there
    is_fresh = row["worker"] == worker and row["seen_at"] is not None and 0 <= now - row["seen_at"] < often
    ends = [leases[identity][1] for identity in mine]
    is_due = not is_fresh or not all(fair_queue.LEASE - often < end - now <= fair_queue.LEASE for end in ends)
    return Orders(row["state"], [identity for identity in held if identity not in mine]), is_due


def renew(connection: Connection, now: float, name: str, worker: str, held: Mapping[str, str]) -> Orders:
    """A heartbeat, written down."""
    fair_queue.expire(connection, now)
    lost = fair_queue.renew(connection, now, name, worker, held)
    return Orders(connection.execute(select(rig.c.state).where(rig.c.name == name)).scalar_one(), lost)


def finish(connection: Connection, now: float, name: str, reports: Sequence[Report]) -> list[str]:
    """Take reports; told twice, they count once. Gives the ids of those that nobody wants any more."""
    refused = []
    for report, row in zip(reports, fair_queue.finish(connection, now, reports, name), strict=True):
        if isinstance(row, FrugalTwinError):
            refused.append(report.id)
        elif report.needs_person and row["finished_at"] == now:
            halt = update(rig).where(rig.c.name == name, rig.c.state == rigs.OPEN, rig.c.is_real).values(state=rigs.STOPPED)
            if connection.execute(halt).rowcount:
                body = {"state": rigs.STOPPED, "why": f"stopped at the rig: {report.error}"}
                event_log.record(connection, now, "rig.stopped", row["person"], body, rig=name)
    return refused


def release(connection: Connection, now: float, name: str, jobs: Sequence[Job]) -> None:
    """Take jobs back that nothing was done for."""
    for job in jobs:
        try:
            fair_queue.release(connection, now, job.id, job.lease, name)
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
        if self._database.read_now(lambda c: have_begun(c, jobs)):
            return list(jobs)
        return self._database.write_now(lambda c, now: begin(c, now, self._rig, jobs))

    def renew(self, held: Mapping[str, str]) -> Orders:
        now = self._database.now()
        orders, is_due = self._database.read_now(lambda c: heard(c, now, self._rig, self._worker, held))
        return self._database.write_now(lambda c, now: renew(c, now, self._rig, self._worker, held)) if is_due else orders

    def finish(self, reports: Sequence[Report]) -> list[str]:
        return self._database.write_now(lambda c, now: finish(c, now, self._rig, reports))

    def release(self, jobs: Sequence[Job]) -> None:
        self._database.write_now(lambda c, now: release(c, now, self._rig, jobs))

    def leave(self) -> None:
        self._database.write_now(lambda c, now: leave(c, now, self._rig, self._worker))

    def wait(self) -> None:
        with self._news:
            self._news.wait(LOOK)


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
            if body.dead is not None and row["worker"] == body.dead:
                fair_queue.forget_worker(connection, now, name)
                row = connection.execute(select(rig).where(rig.c.name == name)).mappings().one()
            is_heard = row["seen_at"] is not None and 0 <= now - row["seen_at"] < rigs.OFFLINE
            if row["is_real"] and is_heard and row["worker"] != body.worker:
                raise Conflict(f"{name} is driven by the worker {row['worker']}; end that one first, or choose another name")
        rigs.register(connection, now, words.name, words.driver, words.options, words.is_real, made)

    await service.database.write(change)


@router.get("/{name}/worker", responses=responses(403))
async def driven(name: RigName, service: TheService, caller: TheCaller) -> Driven:
    """Who drives a rig, for a worker of the same machine that knows whether that one is dead."""
    caller.check("work")
    return Driven(worker=await service.database.read(lambda c: c.execute(select(rig.c.worker).where(rig.c.name == name)).scalar()))


@router.post("/{name}/news", responses=responses(403, 503))
async def news(
    name: RigName,
    body: Heard,
    service: TheService,
    caller: TheCaller,
    prefer: Annotated[str | None, Header(max_length=200, description="`wait=20`: wait until something happens to the rig")] = None,
) -> Heard:
    """Say when something has happened to a rig, so that its worker looks at once. It changes nothing."""
    caller.check("work")
    known, wait = body.after, min(seconds_to_wait(prefer), LONGEST_WAIT)
    async with service.streams.watching(name) as changed:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait or None):
                while known is not None and not service.is_leaving:
                    changed.clear()
                    if await service.database.read(lambda c: event_log.after(c, known, 1, event_log.Filter(rig=name))) or not wait:
                        break
                    await changed.wait()
        # Whoever hears this looks at once, so nothing up to here is missed.
        return Heard(after=await service.database.read(event_log.last))


@router.post("/{name}/leases", responses=responses(403, 404, 409, 503))
async def take(name: RigName, body: Ask, service: TheService, caller: TheCaller) -> Jobs:
    """Take the next experiments of the rig, fairest first; none when nothing waits, or the rig is not open."""
    caller.check("work")
    await service.database.read(lambda c: service.rigs.get(c, name))
    if not await service.database.read(lambda c: has_work(c, name)):
        return Jobs(jobs=[])
    jobs = await service.database.write(lambda c, now: lease(c, now, name, body.worker, body.count))
    return Jobs(jobs=[JobView(id=job.id, lease=job.lease, settings=dict(job.settings)) for job in jobs])


@router.post("/{name}/begin", responses=responses(403, 503))
async def beginning(name: RigName, body: Jobs, service: TheService, caller: TheCaller) -> Jobs:
    """Say that the rig is about to move for these; the answer has those that it still may move for."""
    caller.check("work")
    jobs = [Job(job.id, job.lease, job.settings) for job in body.jobs]
    if await service.database.read(lambda c: have_begun(c, jobs)):
        return body
    begun = await service.database.write(lambda c, now: begin(c, now, name, jobs))
    return Jobs(jobs=[JobView(id=job.id, lease=job.lease, settings=dict(job.settings)) for job in begun])


@router.post("/{name}/renew", responses=responses(403, 404, 409, 503))
async def heartbeat(name: RigName, body: Heartbeat, service: TheService, caller: TheCaller) -> OrdersView:
    """A heartbeat, every few seconds and at all news: the rig is there, and these leases are in use."""
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
    reports = [Report.from_json(view.model_dump()) for view in body.reports]
    return Refused(refused=await service.database.write(lambda c, now: finish(c, now, name, reports)))


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
