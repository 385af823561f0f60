"""``/v1/campaigns/{id}/preferences``: preferences between two trials. No strategy uses them yet."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from api.records import preferences
from api.routes.campaigns import Addressed, Identity
from api.routes.dependencies import Key, Made, TheCaller, TheService, once, shown
from api.routes.pagination import Limit
from api.routes.problems import responses
from frugaltwin.client.resources import Preference

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])


class NewPreference(BaseModel):
    """Which of two trials a person likes better. It is kept with the campaign; no strategy makes use of it yet."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"better": 2, "worse": 1}]})

    better: int = Field(ge=1, le=1_000_000, description="number of a trial")
    worse: int = Field(ge=1, le=1_000_000, description="number of another")


class PreferencePage(BaseModel):
    """Preferences, oldest first."""

    items: list[Preference] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


@router.post("/{identity}/preferences", status_code=201, responses=responses(403, 404, 409, 413, 503), response_model=Preference)
async def prefer(identity: Identity, body: NewPreference, service: TheService, caller: TheCaller, key: Key = None) -> Response:
    """Say which of two trials you like better. It is kept with the campaign; no strategy makes use of it yet."""

    def change(connection: Connection, now: float) -> Made:
        kept = preferences.prefer(connection, now, caller, identity, body.better, body.worse)
        return 201, Preference(**vars(kept)), f"/v1/campaigns/{identity}/preferences"

    return await once(service, caller, key, Addressed(campaign=identity, request=body), change)


@router.get("/{identity}/preferences", responses=responses(404), response_model=PreferencePage, name="preferences")
async def page(
    identity: Identity,
    service: TheService,
    caller: TheCaller,
    limit: Limit = 50,
    cursor: Annotated[int, Query(ge=0, lt=2**62, description="`next` of the page before")] = 0,
) -> Response:
    """Preferences between a campaign's trials, oldest first."""
    caller.check("read")

    rows, following = await service.database.read(lambda c: preferences.page(c, caller, identity, limit, cursor))
    return shown(PreferencePage.model_construct(items=[Preference(**vars(row)) for row in rows], next=following))
