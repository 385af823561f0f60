"""``/v1/rigs``: what can be done on each, how long its queue is, and the instructor's hand on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from sqlalchemy import Connection, delete, func, select, update

from api.errors import Forbidden
from api.records import event_log, fair_queue, people, rigs
from api.records.people import Caller
from api.records.rigs import status_of
from api.records.tables import approval, experiment, rig
from api.routes.dependencies import TheCaller, TheService
from api.routes.experiment_schema import Asked
from api.routes.problems import responses

router = APIRouter(prefix="/v1/rigs", tags=["rigs"])

SHOWN = 20  # of what runs on a rig

RigName = Annotated[str, Path(max_length=40, description="the rig's name")]
PersonId = Annotated[str, Path(max_length=32, description="the person's id")]


class RunningView(BaseModel):
    """An experiment that a rig works on."""

    owner: str = Field(description="your own id, or `another user`; an instructor sees whose it is")
    experiment: str | None = Field(description="its id, if it is yours to see")
    started_at: float | None = Field(description="s since 1970")


class RigView(BaseModel):
    """A rig, as a student may see it."""

    name: str = Field(description="by which experiments and campaigns name it")
    driver: str = Field(description="which lab it is: its data sheet is `frugaltwin catalog DRIVER`")
    is_real: bool = Field(description="hardware; a twin computes instead")
    state: Literal["open", "paused", "stopped", "offline"] = Field(
        description="open; paused and offline: what is submitted waits; stopped: it takes nothing until the instructor opens it"
    )
    is_allowed: bool = Field(description="whether you may submit to it; a real rig needs the instructor's approval")
    experiment: Asked
    queued: int = Field(description="experiments that wait for it")
    eta_s: float = Field(description="s of work in its queue, by the estimates")
    running: list[RunningView] = Field(description="what it works on now")


class RigPage(BaseModel):
    """All rigs, by name."""

    items: list[RigView] = Field(description="all there are")


class Approvals(BaseModel):
    """Who may use a real rig."""

    items: list[str] = Field(description="ids of persons")


@router.get("", responses=responses(403))
async def page(service: TheService, caller: TheCaller) -> RigPage:
    """All rigs."""
    caller.check("read")
    now = service.database.now()
    rows = await service.database.read(
        lambda c: [view(c, now, caller, dict(row)) for row in c.execute(select(rig).order_by(rig.c.name)).mappings().all()]
    )
    return RigPage(items=rows)


@router.get("/{name}", responses=responses(403, 404))
async def one(name: RigName, service: TheService, caller: TheCaller) -> RigView:
    """One rig: what it can be asked to do, its state, its queue, who is on it."""
    caller.check("read")
    now = service.database.now()
    return await service.database.read(lambda c: view(c, now, caller, service.rigs.get(c, name)[1]))


@router.post("/{name}/stop", responses=responses(403, 404, 503))
async def stop(name: RigName, service: TheService, caller: TheCaller) -> RigView:
    """Stop a rig now. What runs is aborted, what waits goes on waiting until the instructor opens the rig again.

    The instructor may always; anybody else while an experiment of their own runs on this real rig.
    """

    def change(connection: Connection, now: float) -> RigView:
        bench, _ = service.rigs.get(connection, name)
        if not caller.is_instructor and not (bench.is_real and _runs_own(connection, caller, name)):
            raise Forbidden(f"you may stop {name} while your own experiment runs on it; else abort yours, or tell your instructor")
        return _set(connection, now, caller, name, rigs.STOPPED)

    return await service.database.write(change)


@router.post("/{name}/pause", responses=responses(403, 404, 503))
async def pause(name: RigName, service: TheService, caller: TheCaller) -> RigView:
    """Begin nothing more on a rig; what runs is finished, then the rig is left at rest. For the instructor."""
    caller.check("admin")
    return await service.database.write(lambda c, now: _set(c, now, caller, service.rigs.get(c, name)[0].name, rigs.PAUSED))


@router.post("/{name}/open", responses=responses(403, 404, 503))
async def reopen(name: RigName, service: TheService, caller: TheCaller) -> RigView:
    """Let a rig go on that was paused or stopped. For the instructor."""
    caller.check("admin")
    return await service.database.write(lambda c, now: _set(c, now, caller, service.rigs.get(c, name)[0].name, rigs.OPEN))


@router.get("/{name}/approvals", responses=responses(403, 404))
async def approvals(name: RigName, service: TheService, caller: TheCaller) -> Approvals:
    """Who may use a real rig. For the instructor."""
    caller.check("admin")
    await service.database.read(lambda c: service.rigs.get(c, name))
    question = select(approval.c.person).where(approval.c.rig == name).order_by(approval.c.at, approval.c.person)
    return Approvals(items=await service.database.read(lambda c: list(c.execute(question).scalars())))


@router.put("/{name}/approvals/{whose}", status_code=204, responses=responses(403, 404, 503))
async def approve(name: RigName, whose: PersonId, service: TheService, caller: TheCaller) -> None:
    """Let a person use a real rig; approved twice, they are approved. For the instructor."""
    caller.check("admin")

    def change(connection: Connection, now: float) -> None:
        service.rigs.get(connection, name)
        people.find(connection, whose)
        people.approve(connection, now, whose, name, caller.person)

    await service.database.write(change)


@router.delete("/{name}/approvals/{whose}", status_code=204, responses=responses(403, 404, 503))
async def disapprove(name: RigName, whose: PersonId, service: TheService, caller: TheCaller) -> None:
    """Take an approval back. What waits of theirs on the rig is taken back too; what runs there is finished. For the instructor."""
    caller.check("admin")

    def change(connection: Connection, now: float) -> None:
        service.rigs.get(connection, name)
        is_it = (approval.c.person == whose, approval.c.rig == name)
        if not connection.execute(delete(approval).where(*is_it)).rowcount:
            return
        waits = experiment.c.state.in_((fair_queue.QUEUED, fair_queue.LEASED))
        theirs = select(experiment.c.id).where(experiment.c.person == whose, experiment.c.rig == name, waits)
        for identity in connection.execute(theirs.order_by(experiment.c.number.desc())).scalars().all():
            fair_queue.abort(connection, now, identity, f"your approval for {name} was taken back; ask your instructor")

    await service.database.write(change)


def view(connection: Connection, now: float, caller: Caller, row: Mapping[str, Any]) -> RigView:
    """A rig as the caller may see it."""
    name = row["name"]
    of_rig = experiment.c.rig == name
    question = select(func.count(), func.coalesce(func.sum(experiment.c.seconds), 0.0)).where(
        of_rig, experiment.c.state == fair_queue.QUEUED
    )
    queued, seconds = connection.execute(question).one()
    at_work = select(experiment.c.id, experiment.c.person, experiment.c.started_at).where(of_rig, experiment.c.state == fair_queue.RUNNING)
    running = [
        RunningView(owner=p if is_seen else "another user", experiment=i if is_seen else None, started_at=at)
        for i, p, at in connection.execute(at_work.order_by(experiment.c.started_at).limit(SHOWN))
        for is_seen in [caller.is_instructor or p == caller.person]
    ]
    is_approved = not row["is_real"] or people.is_approved(connection, caller.person, name)
    has_scope = ("run:rig" if row["is_real"] else "run:sim") in caller.scopes
    return RigView.model_construct(
        name=name, driver=row["driver"], is_real=row["is_real"], state=status_of(row, now), queued=queued, eta_s=seconds, running=running,
        is_allowed=caller.is_instructor or (is_approved and has_scope), experiment=json.loads(row["experiment_json"]),
    )  # fmt: skip


def _set(connection: Connection, now: float, caller: Caller, name: str, state: str) -> RigView:
    """Another state, which the rig's worker learns at once, or at its next heartbeat from afar."""
    if connection.execute(update(rig).where(rig.c.name == name, rig.c.state != state).values(state=state)).rowcount:
        event_log.record(connection, now, f"rig.{state}", caller.person, {"state": state}, rig=name)
    if state == rigs.STOPPED:
        held = select(experiment.c.id, experiment.c.state, experiment.c.lease).where(experiment.c.rig == name)
        for identity, at, lease in connection.execute(held.where(experiment.c.state.in_((fair_queue.LEASED, fair_queue.RUNNING)))).all():
            if at == fair_queue.RUNNING:
                fair_queue.abort(connection, now, identity, "the rig was stopped")
            else:
                fair_queue.release(connection, now, identity, lease)
    row = connection.execute(select(rig).where(rig.c.name == name)).mappings().one()
    return view(connection, now, caller, dict(row))


def _runs_own(connection: Connection, caller: Caller, name: str) -> bool:
    running = experiment.c.state.in_((fair_queue.LEASED, fair_queue.RUNNING))
    own = select(experiment.c.id).where(experiment.c.rig == name, running, experiment.c.person == caller.person).limit(1)
    return connection.execute(own).first() is not None
