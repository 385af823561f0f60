"""``/v1/experiments``: submit settings to a rig, wait for the outcome, look at it, take it back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from api.records import experiment_table, experiments, fair_queue
from api.records.database import Database
from api.records.experiments import Look, Request
from api.records.people import Caller
from api.records.shares import EXPERIMENT
from api.routes.body import Body
from api.routes.dependencies import Key, Made, TheCaller, TheService, once, resource, shown
from api.routes.pagination import Limit
from api.routes.parts import File
from api.routes.problems import responses
from api.routes.waiting import Wait, until
from frugaltwin.amounts import Amounts
from frugaltwin.client.resources import Quote, Submission
from frugaltwin.spec import Whole
from frugaltwin.tables import format_lines

router = resource(prefix="/v1/experiments", tags=["experiments"])

ExperimentId = Annotated[str, Path(description="the experiment's id")]


def _seen(state: Any) -> Any:
    """A state as people see it: a worker's lease, before anything moves, is the last moment of the queue."""
    return "queued" if state == fair_queue.LEASED else state


ExperimentState = Annotated[Literal["queued", "running", "succeeded", "failed", "aborted", "unknown"], BeforeValidator(_seen)]


class NewExperiment(Body):
    """Settings to perform on a rig."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"rig": "color-1", "settings": {"red": 0.2, "yellow": 0.3, "blue": 0.1, "water": 3.4}}]},
    )

    rig: str = Field(max_length=40, description="its name; GET /v1/rigs lists them")
    settings: dict[Annotated[str, Field(max_length=80)], float | Annotated[str, Field(max_length=80)]] = Field(
        max_length=100, description="one value per parameter of the rig, in that parameter's unit"
    )
    campaign: str | None = Field(None, max_length=40, description="the id of a campaign of yours in the mode client that it is a trial of")
    trial: Whole | None = Field(
        None, ge=1, le=1_000_000, description="its number in that campaign, above that of the last; without it the next"
    )
    dry_run: bool = Field(False, description="say what it would cost and whether it is allowed; spend nothing, move nothing")


class ExperimentPage(BaseModel):
    """Experiments, newest first."""

    items: list[Submission] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


@router.post(
    "",
    status_code=202,
    response_model=Submission,
    responses={
        200: {"model": Quote, "description": "It was a dry run: what it would cost. Nothing was submitted."},
        201: {"model": Submission, "description": "It has ended within the time of `wait`: look at its `state`."},
        202: {"description": "It is in the queue. Ask at `Location` until its `state` is an end."},
        **responses(402, 403, 404, 409, 413, 503),
    },
)
async def submit(
    body: NewExperiment,
    service: TheService,
    caller: TheCaller,
    wait: Wait,
    key: Key = None,
) -> Response:
    """Submit settings to a rig. They are durable, priced and in the fair queue when this answers.

    Settings are checked and never changed: what is out of bounds is refused. The estimate is reserved from your budget until it ends.
    With `dry_run` nothing is submitted; the answer says what it would cost.
    """
    request = Request(body.rig, body.settings, body.campaign, body.trial)
    if body.dry_run:
        quote = await service.database.read(lambda c: experiments.quote(c, service.database.now(), service.rigs, caller, request))
        reason = f"your budget does not allow it: {', '.join(quote.lacking)}" if quote.lacking else None
        return shown(Quote(allowed=not quote.lacking, reason=reason, estimate=quote.estimate, position=quote.position))

    def change(connection: Connection, now: float) -> Made:
        row = experiments.submit(connection, now, service.rigs, caller, request)
        return 202, view(Look(row, waiting_because="the queue"), caller), f"/v1/experiments/{row.id}"

    response = await once(service, caller, key, body, change)
    service.database.shares.charge(caller.person, EXPERIMENT)
    identity = response.headers["location"].rpartition("/")[2]
    if not wait or not await until(service, caller, identity, wait, lambda c: fair_queue.has_ended(c, identity)):
        return response
    done = await service.database.read(lambda c: view(experiments.look(c, service.database.now(), caller, identity), caller))
    return shown(done, 201, Location=f"/v1/experiments/{identity}")


@router.get("", responses=responses(), response_model=ExperimentPage)
async def page(
    service: TheService,
    caller: TheCaller,
    limit: Limit = 50,
    cursor: Annotated[int | None, Query(ge=1, description="`next` of the page before")] = None,
    campaign: Annotated[str | None, Query(max_length=40, description="only the trials of this campaign, by its id")] = None,
    state: Annotated[ExperimentState | None, Query(description="only those in this state")] = None,
) -> Response:
    """Your experiments, newest first; an instructor sees everybody's."""
    caller.check("read")
    looks, following = await service.database.read(lambda c: experiments.page(c, caller, limit, cursor, campaign, state))
    return shown(ExperimentPage.model_construct(items=[view(look, caller) for look in looks], next=following))


@router.get(
    "/export",
    response_class=Response,
    responses={200: {"description": "The table", "content": {"text/csv": {"schema": {"type": "string"}}}}, **responses(503)},
)
async def export(service: TheService, caller: TheCaller) -> Response:
    """All your experiments as one CSV table, oldest first; an instructor's has everybody's.

    Of each rig it has its own columns `settings.…` and `outcomes.…`, with the outcomes that count: a corrected trial says why in
    `correction`. It is sent while it is read.
    """
    caller.check("read")
    wanted = await service.database.read(lambda c: experiment_table.columns(c, caller))
    parts, kind = table_parts(service.database, wanted), "text/csv; charset=utf-8"
    return File(parts, "experiments.csv", kind, service.rate_limit, caller, service.database.shares)


def table_parts(database: Database, wanted: experiment_table.Columns) -> Iterator[str]:
    """A table as CSV, part by part."""
    yield format_lines([wanted.names])
    after: int | None = 0
    while after is not None:
        lines, after = database.read_now(partial(experiment_table.page, wanted=wanted, after=after))
        yield format_lines(lines)


@router.get("/{identity}", responses=responses(404), response_model=Submission)
async def one(identity: ExperimentId, service: TheService, caller: TheCaller, wait: Wait) -> Response:
    """One of your experiments."""
    caller.check("read")

    def look(connection: Connection) -> Submission:
        return view(experiments.look(connection, service.database.now(), caller, identity), caller)

    found = await service.database.read(look)
    if wait and not found.is_done:
        await until(service, caller, identity, wait, lambda c: fair_queue.has_ended(c, identity))
        found = await service.database.read(look)
    return shown(found)


@router.post("/{identity}/abort", responses=responses(403, 404, 409, 503), response_model=Submission)
async def abort(identity: ExperimentId, service: TheService, caller: TheCaller) -> Response:
    """Take one of your experiments back; if it is running, its rig is stopped."""
    row = await service.database.write(lambda c, now: experiments.abort(c, now, caller, identity))
    return shown(view(Look(row), caller))


def view(look: Look, caller: Caller) -> Submission:
    """An experiment as the caller may see it."""
    row, result = look.row, look.row.result
    return Submission(
        id=row.id, person=row.person, rig=row.rig, campaign=row.campaign, trial=row.trial, settings=row.settings,
        state=_seen(row.state), estimate=row.estimate, score=look.score, outcomes=result.get("outcomes"), raw=result.get("raw"),
        happened=result.get("happened"),
        cost=Amounts(**result["cost"]) if result.get("cost") else None, error=row.error,
        provenance=row.provenance_for(caller.is_instructor),
        created_at=row.created_at, started_at=row.started_at, finished_at=row.finished_at, position=look.position, eta_s=look.eta,
        waiting_because=look.waiting_because,
    )  # fmt: skip
