"""``/v1/work``: leases, heartbeats and reports of workers at another machine's rig."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, Any, Literal

from fastapi import Header, Path
from pydantic import BaseModel, Field

from api.records import event_log, leases, rigs
from api.records.leases import Job, Report
from api.records.rigs import Offer
from api.records.twins import KEY_BITS
from api.routes.body import Body
from api.routes.dependencies import TheService, TheWorker, resource
from api.routes.problems import responses
from api.routes.waiting import seconds_to_wait
from frugaltwin.amounts import Amounts
from frugaltwin.client.resources.experiment_schema import EXPERIMENT
from frugaltwin.client.resources.price_schema import PRICE
from frugaltwin.errors import InvalidInput
from frugaltwin.prices import price_from_json
from frugaltwin.spec import Whole, with_amounts
from frugaltwin.store import experiment_from_json

router = resource(prefix="/v1/work", tags=["work"])

RigName = Annotated[str, Path(max_length=40, description="the rig's name")]
Word = Annotated[str, Field(max_length=80)]
Worker = Annotated[str, Field(max_length=64, description="the worker's own name, another for every start")]
Id = Annotated[str, Field(max_length=80, description="of the experiment")]
Lease = Annotated[str, Field(max_length=80, description="as it came with the job: a worker that has lost it reports nothing")]
Settings = dict[Word, float | Annotated[str, Field(max_length=80)]]


LONGEST_WAIT = 20.0
"""s that a worker's request waits for news."""


class RigHere(Body):
    """A rig that a worker brings."""

    driver: str = Field(max_length=40, description="its name in the catalog")
    options: dict[Word, float | bool | Annotated[str, Field(max_length=200)]] = Field(max_length=50, description="of the driver")
    is_real: bool = Field(description="hardware: students need an approval, and nothing runs twice")
    is_shared: bool = Field(False, description="one twin for everybody, in place of one for each campaign")
    experiment: Annotated[dict[str, Any], EXPERIMENT]
    price: Annotated[dict[str, Any] | None, PRICE] = None
    worker: Worker
    dead: Word | None = Field(None, description="the worker that drove it and is known to have ended: what it held is taken back now")


class WorkerName(Body):
    """A worker."""

    worker: Worker


class Driven(BaseModel):
    """The worker of a rig."""

    worker: str | None = Field(description="the last that was heard; nothing when it left, or there is no such rig yet")


class Heard(Body):
    """The last event that a worker knows."""

    after: Whole | None = Field(None, ge=0, le=2**53, description="as the last answer said; nothing to begin with")


class Ask(WorkerName):
    """A worker that has time."""

    count: Whole = Field(1, ge=1, le=100, description="jobs at most")


class TwinView(Body):
    """A twin, and its state."""

    id: Word = Field(description="the name by which its worker asks for its past")
    key: Whole = Field(ge=0, lt=2**KEY_BITS, description="the seed of its random numbers, unless the rig's own option says another")
    performed: Whole = Field(ge=0, le=2**53, description="experiments in its past, from which it is rebuilt where it is not at hand")


class TwinName(Body):
    """A twin."""

    twin: Word = Field(description="the name under which its experiments were leased")


class Past(BaseModel):
    """The experiments that a twin has performed."""

    settings: list[Settings] = Field(description="in order")


class JobView(Body):
    """An experiment in a worker's hands."""

    id: Id
    lease: Lease
    settings: Settings = Field({}, description="by the rig's parameters, in their units; need not be sent back")
    twin: TwinView | None = Field(None, description="the twin that performs it; nothing on a real rig")


class Jobs(Body):
    """Jobs."""

    jobs: list[JobView] = Field(max_length=100, description="none, or some")


class Heartbeat(WorkerName):
    """Leases that a worker holds, by id."""

    held: dict[Word, Word] = Field(max_length=100, description="the lease of each experiment by its id")


class OrdersView(BaseModel):
    """Orders for the worker."""

    state: Literal["open", "paused", "stopped"] = Field(description="of the rig: paused begins nothing more, stopped stops")
    lost: list[str] = Field(description="what it holds no more: the rig has to stop if it works on nothing else")


@with_amounts(Amounts.cost_kinds(), float, ..., ge=0, le=rigs.DEAREST)
class CostView(Body):
    """A cost."""


class MeasurementView(Body):
    """A measurement."""

    outcomes: Settings = Field(description="by the rig's outcomes, in their units")
    cost: CostView
    raw: dict[Word, float | Annotated[str, Field(max_length=2000)]] = Field(max_length=2000, description="the instrument's own readings")
    happened: Settings = Field({}, description="settings that really happened, where the instrument reports them: what was really dosed")


class ReportView(Body):
    """The end of a job."""

    id: Id
    lease: Lease
    measurement: MeasurementView | None = Field(description="nothing when it failed")
    error: Annotated[str, Field(max_length=2000)] | None = Field(description="why it failed")
    cost: CostView
    provenance: dict[Word, Any] = Field(max_length=50, description="driver, options, seed, versions")
    was_stopped: bool = Field(False, description="somebody stopped it: aborted, not failed")
    twin_number: Whole | None = Field(None, ge=0, le=2**53, description="number in its twin's past, from 1; 0 if it came to nothing")
    needs_person: bool = Field(False, description="the rig cannot go on by itself: it is paused")


class Reports(Body):
    """Reports."""

    reports: list[ReportView] = Field(max_length=100, description="one for each experiment")


class Refused(BaseModel):
    """Experiments whose report nobody wants any more."""

    refused: list[str] = Field(description="their ids")


@router.put("/{name}", status_code=204, responses=responses(403, 409, 503))
async def bring(name: RigName, body: RigHere, service: TheService, caller: TheWorker) -> None:
    """Make a rig known whose worker is about to take its experiments. Its words are kept and shown; nothing is made of them here."""
    caller.check_drives(name)
    offer = _offer(body)
    await service.database.write(
        lambda c, now: leases.bring(
            c, now, caller, name, body.driver, body.options, body.is_real, offer, body.worker, body.dead, body.is_shared
        )
    )


@router.get("/{name}/worker", responses=responses(403))
async def driven(name: RigName, service: TheService, caller: TheWorker) -> Driven:
    """The worker of a rig, for another worker of the same machine that knows whether that one is dead."""
    caller.check_drives(name)
    return Driven(worker=await service.database.read(lambda c: leases.worker_of(c, name)))


@router.post("/{name}/news", responses=responses(403, 503))
async def news(
    name: RigName,
    body: Heard,
    service: TheService,
    caller: TheWorker,
    prefer: Annotated[str | None, Header(max_length=200, description="`wait=20`: wait until something happens to the rig")] = None,
) -> Heard:
    """Say when something has happened to a rig, so that its worker looks at once. It changes nothing."""
    caller.check_drives(name)
    known, wait = body.after, min(seconds_to_wait(prefer), LONGEST_WAIT)
    async with service.streams.watching(name) as changed:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait or None):
                while known is not None and not service.is_leaving:
                    changed.clear()
                    if await service.database.read(lambda c: event_log.after(c, known, 1, event_log.Filter(rig=name))) or not wait:
                        break
                    await changed.wait()
        # A worker queries at once after this answer, so nothing up to here is missed.
        return Heard(after=await service.database.read(event_log.last))


@router.post("/{name}/leases", responses=responses(403, 404, 409, 503))
async def take(name: RigName, body: Ask, service: TheService, caller: TheWorker) -> Jobs:
    """Take the next experiments of the rig, fairest first; none when nothing waits, or the rig is not open."""
    caller.check_drives(name)
    await service.database.read(lambda c: rigs.find(c, name))
    if not await service.database.read(lambda c: leases.has_work(c, name)):
        return Jobs(jobs=[])
    worker = leases.identity(caller, body.worker)
    jobs = await service.database.write(lambda c, now: leases.lease(c, now, name, worker, body.count))
    return Jobs(jobs=[_view(job) for job in jobs])


@router.post("/{name}/past", responses=responses(403, 404))
async def past(name: RigName, body: TwinName, service: TheService, caller: TheWorker) -> Past:
    """The settings that a twin has performed, for a worker that has to rebuild it. It changes nothing."""
    caller.check_drives(name)
    found = await service.database.read(lambda c: leases.past(c, body.twin, name))
    return Past(settings=[dict(settings) for settings in found])


@router.post("/{name}/begin", responses=responses(403, 503))
async def beginning(name: RigName, body: Jobs, service: TheService, caller: TheWorker) -> Jobs:
    """Say that the rig is about to move for these; the answer has those that it still may move for."""
    caller.check_drives(name)
    jobs = [Job(job.id, job.lease, job.settings) for job in body.jobs]
    if await service.database.read(lambda c: leases.have_begun(c, jobs)):
        return body
    begun = await service.database.write(lambda c, now: leases.begin(c, now, name, jobs))
    return Jobs(jobs=[_view(job) for job in begun])


@router.post("/{name}/renew", responses=responses(403, 404, 409, 503))
async def heartbeat(name: RigName, body: Heartbeat, service: TheService, caller: TheWorker) -> OrdersView:
    """A heartbeat, every few seconds and at all news: the rig is there, and these leases are in use."""
    caller.check_drives(name)
    now, worker = service.database.now(), leases.identity(caller, body.worker)
    orders, is_due = await service.database.read(lambda c: leases.heard(c, now, name, worker, body.held))
    if is_due:
        orders = await service.database.write(lambda c, now: leases.renew(c, now, name, worker, body.held))
    return OrdersView.model_validate({"state": orders.state, "lost": orders.lost})


@router.post("/{name}/finish", responses=responses(403, 503))
async def finished(name: RigName, body: Reports, service: TheService, caller: TheWorker) -> Refused:
    """Hand in what became of experiments; told twice, it counts once."""
    caller.check_drives(name)
    reports = [Report.from_json(view.model_dump()) for view in body.reports]
    return Refused(refused=await service.database.write(lambda c, now: leases.finish(c, now, name, reports)))


@router.post("/{name}/release", status_code=204, responses=responses(403, 503))
async def given_back(name: RigName, body: Jobs, service: TheService, caller: TheWorker) -> None:
    """Give experiments back that nothing was done for."""
    caller.check_drives(name)
    jobs = [Job(job.id, job.lease) for job in body.jobs]
    await service.database.write(lambda c, now: leases.release(c, now, name, jobs))


@router.post("/{name}/leave", status_code=204, responses=responses(403, 503))
async def left(name: RigName, body: WorkerName, service: TheService, caller: TheWorker) -> None:
    """Say that the rig has nobody to drive it for now."""
    caller.check_drives(name)
    worker = leases.identity(caller, body.worker)
    await service.database.write(lambda c, now: leases.leave(c, now, name, worker))


def _view(job: Job) -> JobView:
    twin = TwinView(**vars(job.twin)) if job.twin else None
    return JobView(id=job.id, lease=job.lease, settings=dict(job.settings), twin=twin)


def _offer(body: RigHere) -> Offer:
    try:
        return Offer(experiment_from_json(body.experiment), None if body.price is None else price_from_json(body.price))
    except (ValueError, TypeError) as error:  # pydantic's are of the first kind
        raise InvalidInput("that is no experiment, or no price; send them as /openapi.json describes them") from error
