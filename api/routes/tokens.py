"""``/v1/tokens``: what opens the service for a script, an agent or a rig. A token is shown once; the database has its hash."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, func, or_, select
from starlette.responses import Response

from api.errors import Conflict, Forbidden, NotFound
from api.records import people
from api.records.people import OF_ROLE, YEAR, Caller
from api.records.tables import token
from api.routes import pagination
from api.routes.dependencies import Key, TheCaller, TheService, once
from api.routes.pagination import Cursor, Limit
from api.routes.plain_text import Note
from api.routes.problems import responses
from frugaltwin.errors import InvalidInput

router = APIRouter(prefix="/v1/tokens", tags=["people"])

GOOD_AT_ONCE = 20
"""Tokens of one person."""
Scope = Literal["read", "run:sim", "run:rig", "admin", "work"]
Scopes = Annotated[list[Scope], Field(min_length=1, max_length=5, json_schema_extra={"uniqueItems": True})]


class NewToken(BaseModel):
    """A token for one purpose: it may at most what the token that makes it may, and not for longer."""

    model_config = ConfigDict(
        extra="forbid", allow_inf_nan=False, json_schema_extra={"examples": [{"note": "notebook", "scopes": ["read"]}]}
    )

    note: Note = ""
    scopes: Scopes = Field(description="read, run:sim (twins), run:rig (real rigs), work (to drive a rig), admin (everything)")
    expires_in: float | None = Field(None, ge=1, le=YEAR, description="s; by default a year, or as long as the token that makes it")
    person: str | None = Field(
        None, max_length=40, description="whose it is to be: an instructor can make one for somebody who lost theirs"
    )


class TokenView(BaseModel):
    """A token, without its words."""

    id: str = Field(description="not its words: it can be shown, and revoked by it")
    person: str = Field(description="the id of its owner")
    note: str = Field(description="written by its owner")
    scopes: list[str] = Field(description="what it may")
    created_at: float = Field(description="s since 1970")
    expires_at: float | None = Field(description="s since 1970; nothing is never")
    revoked_at: float | None = Field(description="s since 1970; nothing as long as it is good")


class ShownToken(TokenView):
    """A new token."""

    token: str | None = Field(description="its words, this once: keep them; nothing when the same request comes again")


class TokenPage(BaseModel):
    """Tokens, newest first."""

    items: list[TokenView] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


@router.get("", responses=responses(403, 503))
async def page(
    service: TheService,
    caller: TheCaller,
    limit: Limit = 50,
    cursor: Cursor = None,
    whose: Annotated[str | None, Query(alias="person", max_length=40, description="an instructor may ask for somebody else's")] = None,
) -> TokenPage:
    """Your tokens, without their words."""
    caller.check("read")
    if whose not in (None, caller.person):
        caller.check("admin")
    question = select(token).where(token.c.person == (whose or caller.person))
    rows, following = await service.database.read(lambda c: pagination.newest_first(c, question, token, limit, cursor))
    return TokenPage(items=[_view(row._mapping) for row in rows], next=following)


@router.post("", status_code=201, response_model=ShownToken, responses=responses(403, 404, 409, 503))
async def make(body: NewToken, service: TheService, caller: TheCaller, key: Key = None) -> Response:
    """Make a token, shown this once."""

    def change(connection: Connection, now: float) -> tuple[int, BaseModel, str]:
        people.check_token(connection, caller.token)  # a token that was just revoked leaves no children
        whose = _owner(connection, caller, body)
        expires_at = _end(caller, body, now)
        _check_count(connection, now, whose)
        identity, words = people.add_token(connection, now, whose, sorted(set(body.scopes)), body.note, expires_at)
        row = connection.execute(select(token).where(token.c.id == identity)).mappings().one()
        return 201, ShownToken(**_view(row).model_dump(), token=words), f"/v1/tokens/{identity}"

    return await once(service, caller, key, body, change, shown_once="token")


@router.delete("/{identity}", status_code=204, responses=responses(403, 404, 503))
async def revoke(
    identity: Annotated[str, Path(description="the token's id, not its words")], service: TheService, caller: TheCaller
) -> Response:
    """Revoke a token: it is good for nothing from now on. Revoked twice, it is revoked."""

    def change(connection: Connection, now: float) -> None:
        found = connection.execute(select(token.c.person, token.c.scopes).where(token.c.id == identity)).one_or_none()
        if found is None or (found.person != caller.person and not caller.is_instructor):
            raise NotFound(f"there is no token {identity}")
        if not caller.is_instructor and not set(found.scopes.split()) <= caller.scopes:
            raise Forbidden(f"the token {identity} may more than this one; revoke it with itself, or ask your instructor")
        people.revoke(connection, now, identity, None)

    await service.database.write(change)
    service.forget()
    return Response(status_code=204)


def _view(row: object) -> TokenView:
    fields = dict(row)  # type: ignore[call-overload]
    return TokenView(**{k: fields[k] for k in TokenView.model_fields} | {"scopes": fields["scopes"].split()})


def _owner(connection: Connection, caller: Caller, body: NewToken) -> str:
    for scope in body.scopes:
        caller.check(scope)
    if body.person in (None, caller.person):
        return caller.person
    caller.check("admin")
    found = people.find(connection, str(body.person))
    role = found["role"]
    if too_much := sorted(set(body.scopes) - set(OF_ROLE[role].split())):
        raise Forbidden(f"a token of a person with the role {role} cannot have {', '.join(too_much)}; leave that out")
    return str(found["id"])


def _end(caller: Caller, body: NewToken, now: float) -> float:
    """When it expires, s since 1970."""
    last = float("inf") if caller.expires_at is None or caller.is_instructor else caller.expires_at
    if body.expires_in is None:
        return min(now + YEAR, last)
    if now + body.expires_in > last:
        raise InvalidInput(f"expires_in = {body.expires_in:g} s is longer than this token lives ({last - now:.0f} s); ask for less")
    return now + body.expires_in


def _check_count(connection: Connection, now: float, whose: str) -> None:
    is_good = (token.c.person == whose, token.c.revoked_at.is_(None), or_(token.c.expires_at.is_(None), token.c.expires_at > now))
    n = connection.execute(select(func.count()).select_from(token).where(*is_good)).scalar_one()
    if n >= GOOD_AT_ONCE:
        raise Conflict(f"{whose} has {n} tokens, and at most {GOOD_AT_ONCE} can be good at once; revoke one first")
