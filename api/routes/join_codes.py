"""``/v1/join`` and ``/v1/codes``: come in with a join code; for the instructor, make codes and revoke them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Header, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from api.errors import Unauthorized
from api.records import classes, join_codes
from api.records.rows import CodeRow
from api.records.tokens import YEAR
from api.routes.body import Body
from api.routes.budgets import Limits
from api.routes.dependencies import Key, Made, TheInstructor, TheService, once, resource, shown
from api.routes.pagination import Cursor, Limit
from api.routes.plain_text import Name, Note
from api.routes.problems import responses
from frugaltwin.client.resources import Code, Joined, ListedCode
from frugaltwin.spec import Whole

router = resource(prefix="/v1", tags=["people"])

CodeId = Annotated[str, Path(description="the code's id, not its words")]


JoinKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=16,
        max_length=80,
        description="a secret of yours, such as 32 random letters: who sends it is you",
    ),
]


class Join(Body):
    """A newcomer with a code."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "abcd-efgh-jkmn", "name": "Ada"}]})

    code: str = Field(min_length=1, max_length=80, description="the code of your class")
    name: Name


class NewCode(Body):
    """A code that a class joins with."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"note": "Monday's class", "uses": 30, "budget": {"runs": 200}}]},
    )

    note: Note = ""
    uses: Whole = Field(ge=1, le=10_000, description="people who may join with it")
    scopes: list[Literal["read", "run:sim", "run:rig"]] = Field(
        ["read", "run:sim", "run:rig"], min_length=1, max_length=3, description="what newcomers may"
    )
    budget: Limits = Limits()
    expires_in: float | None = Field(None, ge=1, le=YEAR, description="s; by default it does not expire")
    classroom: str | None = Field(None, max_length=20, description="the name of the class that it lets in to; none without it")


class CodePage(BaseModel):
    """Join codes, newest first."""

    items: list[ListedCode] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


@router.post("/join", status_code=201, response_model=Joined, responses=responses(409, 503))
async def join(body: Join, service: TheService, request: Request, key: JoinKey = None) -> Response:
    """Come in with your class's code: you get a token, shown this once. Needs no token; wrong codes are limited per address.

    A name is one person's of a code. Sent again with the same code, name and key, it is the same person with the same budget, and another
    token in place of the first.
    """
    address = request.client.host if request.client else ""
    try:
        await service.database.read(lambda c: join_codes.known(c, service.database.now(), body.code))
    except Unauthorized:  # the right code is never shut out: a classroom shares one address
        service.rate_limit.count_wrong_code(address)
        raise
    whose, words = await service.database.write(lambda c, now: join_codes.join(c, now, body.code, body.name, key))
    return shown(Joined(person=whose, name=body.name, role="student", token=words), 201, Location="/v1/me")


@router.get("/codes", responses=responses(403, 503), response_model=CodePage)
async def codes(service: TheService, caller: TheInstructor, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """The join codes, without their words."""
    rows, following = await service.database.read(lambda c: join_codes.page(c, limit, cursor))
    return shown(CodePage.model_construct(items=[ListedCode(**_fields(row)) for row in rows], next=following))


@router.post("/codes", status_code=201, response_model=Code, responses=responses(403, 404, 409, 503))
async def make_code(body: NewCode, service: TheService, caller: TheInstructor, key: Key = None) -> Response:
    """Make a join code, shown this once: newcomers get this budget and these scopes."""

    def change(connection: Connection, now: float) -> Made:
        end, limits = None if body.expires_in is None else now + body.expires_in, body.budget.model_dump()
        room = None if body.classroom is None else classes.find(connection, body.classroom).id
        identity, words = join_codes.add_code(connection, now, body.note, body.uses, limits, sorted(set(body.scopes)), end, room)
        return 201, Code(**_fields(join_codes.find(connection, identity)), code=words), f"/v1/codes/{identity}"

    return await once(service, caller, key, body, change, shown_once="code")


@router.delete("/codes/{identity}", status_code=204, responses=responses(403, 404, 503))
async def revoke_code(identity: CodeId, service: TheService, caller: TheInstructor) -> Response:
    """Revoke a join code: nobody joins with it any more; those who have joined stay."""
    await service.database.write(lambda c, now: join_codes.revoke(c, now, identity))
    return Response(status_code=204)


def _fields(row: CodeRow) -> dict[str, Any]:
    return {
        "id": row.id, "note": row.note, "scopes": row.scopes.split(), "uses_left": row.uses_left, "budget": row.limits,
        "created_at": row.created_at, "expires_at": row.expires_at, "revoked_at": row.revoked_at,
    }  # fmt: skip
