"""``/v1/me``: the person of a token, with budget and ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.records import classes, ledger, student_pages
from api.records.rows import LedgerRow
from api.routes.body import Body
from api.routes.dependencies import TheCaller, TheService, resource, shown
from api.routes.pagination import Limit, Place
from api.routes.plain_text import Nick
from api.routes.problems import responses
from frugaltwin.client.resources import Entry, Me

router = resource(prefix="/v1/me", tags=["people"])


class EntryPage(BaseModel):
    """Lines of a ledger, newest first."""

    items: list[Entry] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


@router.get("", responses=responses(503), response_model=Me)
async def me(service: TheService, caller: TheCaller) -> Response:
    """You: what your token may, and what is left of your budget."""
    budget = await service.database.read(lambda c: ledger.account(c, caller.person))
    return shown(
        Me(
            person=caller.person, name=caller.name, role=caller.role, scopes=sorted(caller.scopes), token=caller.token,
            expires_at=caller.expires_at, budget=asdict(budget),
        )
    )  # fmt: skip


@router.get("/page", include_in_schema=False)
async def page(service: TheService, caller: TheCaller) -> Response:
    """Your work on the tasks of your class, as a page to look at: your readings beside par, what was judged, and what was not yet."""
    caller.check("read")
    now = service.database.now()
    text = await service.database.read(lambda c: student_pages.own(c, now, caller.person))
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    headers = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return Response(text, 200, headers, "text/html; charset=utf-8")


class Nickname(Body):
    """A name for boards."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"nickname": "Zed"}]})

    nickname: Nick


@router.put("/nickname", status_code=204, responses=responses(403, 409, 503))
async def call(body: Nickname, service: TheService, caller: TheCaller) -> Response:
    """Choose what boards call you."""
    caller.check("read")
    await service.database.write(lambda c, now: classes.call(c, caller.person, body.nickname))
    return Response(status_code=204)


@router.get("/ledger", responses=responses(403, 503), response_model=EntryPage)
async def my_ledger(service: TheService, caller: TheCaller, limit: Limit = 50, cursor: Place = None) -> Response:
    """Every line of your budget's ledger."""
    caller.check("read")
    return lines(*await service.database.read(lambda c: ledger.page(c, caller.person, limit, cursor)))


def lines(rows: Sequence[LedgerRow], following: str | None) -> Response:
    """A page of a person's ledger."""
    items = [
        Entry(id=row.id, kind=row.kind, experiment=row.experiment, at=row.at, **{k: getattr(row, k) for k in ledger.KINDS}) for row in rows
    ]
    return shown(EntryPage.model_construct(items=items, next=following))
