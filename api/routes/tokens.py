"""``/v1/tokens``: tokens, each of which opens the service for a script, an agent or a rig. A token is shown once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from api.records import people, tokens
from api.records.rows import TokenRow
from api.records.tokens import YEAR
from api.routes.body import Body
from api.routes.dependencies import Key, Made, TheCaller, TheInstructor, TheService, once, resource, shown
from api.routes.pagination import Cursor, Limit
from api.routes.plain_text import Note
from api.routes.problems import responses
from frugaltwin.client.resources import ListedToken, Token

router = resource(prefix="/v1/tokens", tags=["people"])

Scope = Literal["read", "run:sim", "run:rig", "admin", "work", "teach"]
Scopes = Annotated[list[Scope], Field(min_length=1, max_length=6, json_schema_extra={"uniqueItems": True})]


RigName = Annotated[str, Field(min_length=1, max_length=40)]


class NewToken(Body):
    """A token for one purpose: it may at most what the token that makes it may, and not for longer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "notebook", "scopes": ["read"]}]})

    note: Note = ""
    scopes: Scopes = Field(description="read, run:sim (twins), run:rig (real rigs), work (to drive rigs), admin (everything)")
    rigs: list[RigName] = Field([], max_length=100, description="those that it may drive; with the scope work it names at least one")
    expires_in: float | None = Field(None, ge=1, le=YEAR, description="s; by default a year, or as long as the token that makes it")
    agent: bool = Field(False, description="for an agent: boards say so, and a real rig waits for a person")
    runs: float | None = Field(None, ge=1, le=1e6, description="an agent's experiments at most, out of your budget")
    person: str | None = Field(None, max_length=40, description="whose it is to be; for an instructor, for somebody who lost theirs")


class TokenPage(BaseModel):
    """Tokens, newest first."""

    items: list[ListedToken] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


@router.get("", responses=responses(403, 503), response_model=TokenPage)
async def page(
    service: TheService,
    caller: TheCaller,
    limit: Limit = 50,
    cursor: Cursor = None,
    whose: Annotated[str | None, Query(alias="person", max_length=40, description="an instructor may ask for somebody else's")] = None,
) -> Response:
    """Your tokens, without their words."""
    caller.check("read")
    rows, following = await service.database.read(lambda c: tokens.page(c, caller, whose, limit, cursor))
    return shown(TokenPage.model_construct(items=[ListedToken(**_fields(row)) for row in rows], next=following))


@router.post("", status_code=201, response_model=Token, responses=responses(403, 404, 409, 503))
async def make(body: NewToken, service: TheService, caller: TheCaller, key: Key = None) -> Response:
    """Make a token, shown this once."""

    def change(connection: Connection, now: float) -> Made:
        row, words = tokens.make(
            connection, now, caller, body.scopes, body.note, body.expires_in, body.person, body.rigs, is_agent=body.agent, runs=body.runs
        )
        return 201, Token(**_fields(row), token=words), f"/v1/tokens/{row.id}"

    return await once(service, caller, key, body, change, shown_once="token")


@router.delete("", status_code=204, responses=responses(403, 404, 503))
async def revoke_all(
    service: TheService, caller: TheInstructor, whose: Annotated[str, Query(alias="person", max_length=40, description="whose they are")]
) -> Response:
    """Revoke all tokens of a person at once, as when a laptop was stolen. For the instructor."""

    def change(connection: Connection, now: float) -> None:
        tokens.revoke_all(connection, now, people.find(connection, whose).id)

    await service.database.write(change)
    service.forget()
    return Response(status_code=204)


@router.delete("/{identity}", status_code=204, responses=responses(403, 404, 503))
async def revoke(
    identity: Annotated[str, Path(description="the token's id, not its words")], service: TheService, caller: TheCaller
) -> Response:
    """Revoke a token, and those that you made with it: they are good for nothing from now on. Revoked twice, they are revoked."""
    await service.database.write(lambda c, now: tokens.revoke_own(c, now, caller, identity))
    service.forget()
    return Response(status_code=204)


def _fields(row: TokenRow) -> dict[str, Any]:
    return {
        "id": row.id, "person": row.person, "note": row.note, "scopes": row.scopes.split(), "rigs": (row.rigs or "").split(),
        "created_at": row.created_at, "expires_at": row.expires_at, "revoked_at": row.revoked_at,
        "agent": row.is_agent, "runs": row.runs,
    }  # fmt: skip
