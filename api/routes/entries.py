"""``/v1/campaigns/{id}/entries``: the log of a campaign beside its trials."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from api.records import entries
from api.records.rows import EntryRow
from api.routes.body import Body
from api.routes.campaigns import Addressed, Identity, Values, Why
from api.routes.dependencies import Key, Made, TheCaller, TheService, once, resource, shown
from api.routes.pagination import Limit
from api.routes.problems import responses
from frugaltwin.client.resources import LogEntry
from frugaltwin.spec import Whole

router = resource(prefix="/v1/campaigns", tags=["campaigns"])

Kind = Literal["preference", "rejection", "proposal", "approval", "retraction", "amendment"]
Number = Annotated[Whole, Field(ge=1, le=1_000_000)]


class NewEntry(Body):
    """Something that a person says about a campaign. It is kept for ever; nothing that was measured is changed."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "retraction", "number": 7, "why": "a bubble in the cuvette"}]},
    )

    kind: Literal["preference", "rejection", "retraction", "amendment"] = Field(
        description="preference: trial `better` pleases more than trial `worse`. rejection: `settings` are not suggested again before the "
        "next trial. retraction: the reading of trial `number` does not count; final. amendment: `outcomes` of trial `number` as they "
        "should have been"
    )
    why: Why = Field("", description="the reason; a retraction and an amendment need one")
    better: Number | None = Field(None, description="number of a trial that has a reading")
    worse: Number | None = Field(None, description="number of another")
    number: Number | None = Field(None, description="of the trial that is wrong")
    settings: Values | None = Field(None, max_length=100, description="what is not wanted, by the rig's parameters")
    outcomes: Values | None = Field(None, max_length=100, description="those that were wrong; the others stay")


class LogPage(BaseModel):
    """Entries of a log, oldest first."""

    items: list[LogEntry] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


@router.post("/{identity}/entries", status_code=201, responses=responses(403, 404, 409, 413, 503), response_model=LogEntry)
async def say(identity: Identity, body: NewEntry, service: TheService, caller: TheCaller, key: Key = None) -> Response:
    """Retract or amend a trial, prefer one to another, or turn a suggestion down. Models and scores respect it from then on."""
    words = body.model_dump(exclude={"kind"})

    def change(connection: Connection, now: float) -> Made:
        kept = entries.say(connection, now, caller, identity, body.kind, words)
        return 201, _shown(kept), f"/v1/campaigns/{identity}/entries"

    return await once(service, caller, key, Addressed(campaign=identity, request=body), change)


@router.get("/{identity}/entries", responses=responses(404), response_model=LogPage, name="entries")
async def page(
    identity: Identity,
    service: TheService,
    caller: TheCaller,
    limit: Limit = 50,
    cursor: Annotated[int, Query(ge=0, lt=2**62, description="`next` of the page before")] = 0,
    kind: Annotated[Kind | None, Query(description="only those of this kind")] = None,
) -> Response:
    """Proposals of a campaign, and what people said about trials and proposals, oldest first."""
    caller.check("read")
    rows, following = await service.database.read(lambda c: entries.page(c, caller, identity, limit, cursor, kind))
    return shown(LogPage.model_construct(items=[_shown(row) for row in rows], next=following))


def _shown(row: EntryRow) -> LogEntry:
    said = {name: value for name, value in row.body.items() if name not in ("kind", "by")}
    return LogEntry(id=row.id, kind=row.kind, after=row.after, by=row.by, at=row.at, **said)
