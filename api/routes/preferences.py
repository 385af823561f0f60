"""``/v1/campaigns/{id}/preferences``: which of two trials a person likes better. No strategy makes use of it yet."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, select
from starlette.responses import Response

from api.records import campaigns, event_log, fair_queue
from api.records.tables import event
from api.routes.campaigns import Addressed, Identity, mine
from api.routes.dependencies import Key, TheCaller, TheService, once
from api.routes.pagination import Limit
from api.routes.problems import responses
from frugaltwin.errors import InvalidInput

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])

PREFERRED = "campaign.preferred"


class Preference(BaseModel):
    """Which of two trials a person likes better. It is kept with the campaign; no strategy makes use of it yet."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"better": 2, "worse": 1}]})

    better: int = Field(ge=1, le=1_000_000, description="number of a trial")
    worse: int = Field(ge=1, le=1_000_000, description="number of another")


class PreferenceView(Preference):
    """A preference as it is kept."""

    id: int = Field(description="of its event")
    by: str = Field(description="the person who said so")
    at: float = Field(description="s since 1970")


class PreferencePage(BaseModel):
    """Preferences, oldest first."""

    items: list[PreferenceView] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


@router.post("/{identity}/preferences", status_code=201, responses=responses(403, 404, 409, 413, 503), response_model=PreferenceView)
async def prefer(identity: Identity, body: Preference, service: TheService, caller: TheCaller, key: Key = None) -> Response:
    """Say which of two trials you like better. It is kept with the campaign; no strategy makes use of it yet."""

    def change(connection: Connection, now: float) -> tuple[int, BaseModel, str]:
        row = mine(connection, service, caller, identity)
        if body.better == body.worse:
            raise InvalidInput(f"trial {body.better} cannot be better than itself; name two different trials")
        numbers = {x["trial"] for x in campaigns.rows_of(connection, identity) if x["state"] == fair_queue.SUCCEEDED}
        if missing := sorted({body.better, body.worse} - numbers):
            raise InvalidInput(f"trial {missing[0]} of campaign {row['name']!r} has no reading; compare two that have")
        said = {"better": body.better, "worse": body.worse, "by": caller.person}
        number = event_log.record(connection, now, PREFERRED, row["person"], said, rig=row["rig"], campaign=identity)
        return 201, PreferenceView(id=number, at=now, **said), f"/v1/campaigns/{identity}/preferences"  # type: ignore[arg-type]

    return await once(service, caller, key, Addressed(campaign=identity, request=body), change)


@router.get("/{identity}/preferences", responses=responses(404))
async def preferences(
    identity: Identity,
    service: TheService,
    caller: TheCaller,
    limit: Limit = 50,
    cursor: Annotated[int, Query(ge=0, lt=2**62, description="`next` of the page before")] = 0,
) -> PreferencePage:
    """What people said of a campaign's trials, oldest first."""
    caller.check("read")

    def read(connection: Connection) -> PreferencePage:
        row = campaigns.find(connection, identity, caller)
        of_it = select(event).where(event.c.person == row["person"], event.c.campaign == identity, event.c.kind == PREFERRED)
        rows = connection.execute(of_it.where(event.c.id > cursor).order_by(event.c.id).limit(limit + 1)).mappings().all()
        items = [PreferenceView(id=e["id"], at=e["at"], **json.loads(e["body_json"])) for e in rows[:limit]]
        return PreferencePage(items=items, next=str(items[-1].id) if len(rows) > limit else None)

    return await service.database.read(read)
