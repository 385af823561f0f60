"""``/v1/rigs``: the experiment, the state and the queue of each rig; stop, pause and open; approvals."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import Depends, Header, Path, Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection
from starlette.responses import Response

from api.records import rigs, tasks
from api.records.people import Caller
from api.records.rows import RigRow
from api.records.standings import experiment_of
from api.records.twins import LAB
from api.routes.dependencies import TheCaller, TheInstructor, TheService, as_json, resource, shown
from api.routes.problems import responses
from api.service import Service
from frugaltwin.client.resources import Rig, RigGoal, Running
from frugaltwin.goals.suitable import examples, strategies

router = resource(prefix="/v1/rigs", tags=["rigs"])

RigName = Annotated[str, Path(max_length=40, description="the rig's name")]
PersonId = Annotated[str, Path(max_length=32, description="the person's id")]


async def _grids(
    grids: Annotated[
        Literal["values", "steps"] | None,
        Query(description="steps: an even grid of numbers is told as `low`, `high` and `step`, not as a list of all its `values`"),
    ] = None,
    prefer: Annotated[str | None, Header(max_length=200, description="`grids=steps` does the same")] = None,
) -> str:
    return grids or ("steps" if re.search(r"(?:^|[,;\s])grids\s*=\s*steps\b", prefer or "") else "values")


Grids = Annotated[str, Depends(_grids)]
"""Lists unless steps are asked for: clients of before read lists."""


class RigPage(BaseModel):
    """All rigs, by name."""

    items: list[Rig] = Field(description="all there are")


class Approvals(BaseModel):
    """People who may use a real rig."""

    items: list[str] = Field(description="ids of persons")


@router.get("", responses=responses(403), response_model=RigPage)
async def page(service: TheService, caller: TheCaller, grids: Grids) -> Response:
    """All rigs."""
    caller.check("read")
    now = service.database.now()
    found = await service.database.read(lambda c: [_view(c, now, caller, row) for row in tasks.rigs_seen_by(c, caller)])
    return Response(as_json(RigPage.model_construct(items=found), grids=grids), media_type="application/json")


@router.get("/{name}", responses=responses(403, 404), response_model=Rig)
async def one(name: RigName, service: TheService, caller: TheCaller, grids: Grids) -> Response:
    """One rig: what it can be asked to do, its state, its queue, who is on it."""
    caller.check("read")
    now = service.database.now()

    def found(connection: Connection) -> Rig:
        rig, row = service.rigs.get(connection, name)
        task = tasks.find(connection, name, caller) if row.driver == LAB else None
        goals = [RigGoal(goal=words, strategies=strategies(goal)) for words, goal in examples(rig.experiment).items()]
        return replace(
            _view(connection, now, caller, row),
            price=rig.price,
            goals=goals,
            default_goal=tasks.task_of(task.body_json).goal_text if task else rig.default_goal,
        )

    return Response(as_json(await service.database.read(found), grids=grids), media_type="application/json")


@router.post("/{name}/stop", responses=responses(403, 404, 503), response_model=Rig)
async def stop(name: RigName, service: TheService, caller: TheCaller) -> Response:
    """Stop a rig now. What runs is aborted, what waits goes on waiting until the instructor opens the rig again.

    The instructor may always; anybody else while an experiment of their own runs on this real rig.
    """
    return shown(await service.database.write(lambda c, now: _view(c, now, caller, rigs.stop(c, now, name, caller))))


@router.post("/{name}/pause", responses=responses(403, 404, 503), response_model=Rig)
async def pause(name: RigName, service: TheService, caller: TheInstructor) -> Response:
    """Begin nothing more on a rig; what runs is finished, then the rig is left at rest. For the instructor."""
    return await _steered(service, caller, name, rigs.PAUSED)


@router.post("/{name}/open", responses=responses(403, 404, 503), response_model=Rig)
async def reopen(name: RigName, service: TheService, caller: TheInstructor) -> Response:
    """Let a rig go on that was paused or stopped. For the instructor."""
    return await _steered(service, caller, name, rigs.OPEN)


@router.get("/{name}/approvals", responses=responses(403, 404))
async def approvals(name: RigName, service: TheService, caller: TheInstructor) -> Approvals:
    """The people who may use a real rig. For the instructor."""
    return Approvals(items=await service.database.read(lambda c: rigs.approved(c, name)))


@router.put("/{name}/approvals/{whose}", status_code=204, responses=responses(403, 404, 503))
async def approve(name: RigName, whose: PersonId, service: TheService, caller: TheInstructor) -> None:
    """Let a person use a real rig; approved twice, they are approved. For the instructor."""
    await service.database.write(lambda c, now: rigs.approve(c, now, whose, name, caller.person))


@router.delete("/{name}/approvals/{whose}", status_code=204, responses=responses(403, 404, 503))
async def disapprove(name: RigName, whose: PersonId, service: TheService, caller: TheInstructor) -> None:
    """Take an approval back. What waits of theirs on the rig is taken back too; what runs there is finished. For the instructor."""
    await service.database.write(lambda c, now: rigs.disapprove(c, now, whose, name))


async def _steered(service: Service, caller: Caller, name: str, state: str) -> Response:
    return shown(await service.database.write(lambda c, now: _view(c, now, caller, rigs.steer(c, now, name, caller, state))))


def _view(connection: Connection, now: float, caller: Caller, row: RigRow) -> Rig:
    """A rig as the caller may see it."""
    queue = rigs.queue_of(connection, row.name)
    running = [
        Running(owner=x.person if is_seen else "another user", experiment=x.id if is_seen else None, started_at=x.started_at)
        for x in queue.running
        for is_seen in [caller.sees_all or x.person == caller.person]
    ]
    return Rig(
        name=row.name, driver=row.driver, is_real=row.is_real, state=rigs.status_of(row, now), queued=queue.queued, eta_s=queue.seconds,
        running=running, is_allowed=rigs.is_allowed(connection, row, caller), experiment=experiment_of(row.experiment_json),
    )  # fmt: skip
