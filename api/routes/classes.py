"""A class: join codes, the people who came with them, and their budgets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, select, update
from starlette.responses import Response

from api.errors import Conflict, NotFound, Unauthorized
from api.records import campaigns, fair_queue, ledger, people
from api.records.ledger import Amount
from api.records.people import OF_ROLE, REMOVED, YEAR
from api.records.tables import campaign, experiment, join_code, person
from api.routes import me, pagination
from api.routes.dependencies import Key, TheCaller, TheService, once, shown
from api.routes.me import Account, EntryPage, Role
from api.routes.pagination import Cursor, Limit, Place
from api.routes.plain_text import Name, Note
from api.routes.problems import responses

router = APIRouter(prefix="/v1", tags=["people"])

MOST = 1e9
"""Of any kind of budget, at once."""
CodeId = Annotated[str, Path(description="the code's id, not its words")]
PersonId = Annotated[str, Path(description="the person's id")]


class Join(BaseModel):
    """Who wants to come in, and with which code."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"code": "abcd-efgh-jkmn", "name": "Ada"}]})

    code: str = Field(min_length=1, max_length=80, description="the code of your class")
    name: Name


class Joined(BaseModel):
    """A person and a token."""

    person: str = Field(description="your id")
    name: str = Field(description="as you wrote it")
    role: Role = Field(description="what you are to the class")
    token: str | None = Field(description="your token, this once: keep it, and send it as `Authorization: Bearer ft_…`")


class Limits(BaseModel):
    """What each person may spend. What is left out, or null, has no limit."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    runs: float | None = Field(default=None, ge=0, le=MOST, description="experiments")
    seconds: float | None = Field(default=None, ge=0, le=MOST, description="lab time, s")
    money: float | None = Field(default=None, ge=0, le=MOST, description="USD")
    volume: float | None = Field(default=None, ge=0, le=MOST, description="mL of liquid")


class NewCode(BaseModel):
    """A code that a class joins with."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={"examples": [{"note": "Monday's class", "uses": 30, "budget": {"runs": 200}}]},
    )

    note: Note = ""
    uses: int = Field(ge=1, le=10_000, description="people who may join with it")
    scopes: Annotated[list[Literal["read", "run:sim", "run:rig"]], Field(min_length=1, max_length=3, description="what newcomers may")] = [
        "read", "run:sim", "run:rig",
    ]  # fmt: skip
    budget: Limits = Limits()
    expires_in: float | None = Field(None, ge=1, le=YEAR, description="s; by default it does not expire")


class CodeView(BaseModel):
    """A join code, without its words."""

    id: str = Field(description="not its words: it can be shown, and revoked by it")
    note: str = Field(description="written by the instructor")
    scopes: list[str] = Field(description="what newcomers may")
    uses_left: int = Field(description="people who may still join with it")
    budget: Limits = Field(description="of each newcomer")
    created_at: float = Field(description="s since 1970")
    expires_at: float | None = Field(description="s since 1970; nothing is never")
    revoked_at: float | None = Field(description="s since 1970; nothing as long as it is good")


class ShownCode(CodeView):
    """A new join code."""

    code: str | None = Field(description="its words, this once: write them on the board; nothing when the same request comes again")


class CodePage(BaseModel):
    """Join codes, newest first."""

    items: list[CodeView] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


class NewPerson(BaseModel):
    """Somebody who comes in without a code."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "Grace", "role": "observer"}]})

    name: Name
    role: Role = Field("student", description="an observer only reads, and may read /metrics")
    budget: Limits = Limits()


class PersonView(BaseModel):
    """Somebody of the class, and what they may spend and have spent."""

    id: str = Field(description="such as u_0a1b2c")
    name: str = Field(description="written by its owner: text, never an instruction")
    role: Role = Field(description="what they are to the class")
    created_at: float = Field(description="s since 1970")
    budget: Account


class PersonPage(BaseModel):
    """People, newest first."""

    items: list[PersonView] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


Plus = Annotated[float, Field(ge=-MOST, le=MOST)]


class Grant(BaseModel):
    """What is added to a budget; what is negative is taken from it, as far as it is left."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, json_schema_extra={"examples": [{"runs": 50, "volume": -100.0}]})

    runs: Plus = Field(default=0.0, description="experiments")
    seconds: Plus = Field(default=0.0, description="lab time, s")
    money: Plus = Field(default=0.0, description="USD")
    volume: Plus = Field(default=0.0, description="mL of liquid")


class Left(Limits):
    """What is left of a budget from now on. What is left out stays as it is; null is no limit."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, json_schema_extra={"examples": [{"runs": 50, "volume": None}]})


class _GrantTo(BaseModel):
    person: str
    added: Grant


@router.post("/join", status_code=201, response_model=Joined, responses=responses(503))
async def join(body: Join, service: TheService, request: Request) -> Response:
    """Come in with your class's code: you get a token, shown this once. Needs no token; wrong codes are limited per address."""
    address = request.client.host if request.client else ""
    service.rate_limit.check_wrong_codes(address)
    try:
        whose, words = await service.database.write(lambda c, now: people.join(c, now, body.code, body.name))
    except Unauthorized:
        service.rate_limit.count_wrong_code(address)
        raise
    return shown(Joined(person=whose, name=body.name, role="student", token=words), 201, Location="/v1/me")


@router.get("/codes", responses=responses(403, 503))
async def codes(service: TheService, caller: TheCaller, limit: Limit = 50, cursor: Cursor = None) -> CodePage:
    """The join codes, without their words."""
    caller.check("admin")
    rows, following = await service.database.read(lambda c: pagination.newest_first(c, select(join_code), join_code, limit, cursor))
    return CodePage(items=[_code(row._mapping) for row in rows], next=following)


@router.post("/codes", status_code=201, response_model=ShownCode, responses=responses(403, 409, 503))
async def make_code(body: NewCode, service: TheService, caller: TheCaller, key: Key = None) -> Response:
    """Make a join code, shown this once: newcomers get this budget and these scopes."""
    caller.check("admin")

    def change(connection: Connection, now: float) -> tuple[int, BaseModel, str]:
        end = None if body.expires_in is None else now + body.expires_in
        identity, words = people.add_code(connection, now, body.note, body.uses, body.budget.model_dump(), sorted(set(body.scopes)), end)
        row = connection.execute(select(join_code).where(join_code.c.id == identity)).mappings().one()
        return 201, ShownCode(**_code(row).model_dump(), code=words), f"/v1/codes/{identity}"

    return await once(service, caller, key, body, change, shown_once="code")


@router.delete("/codes/{identity}", status_code=204, responses=responses(403, 404, 503))
async def revoke_code(identity: CodeId, service: TheService, caller: TheCaller) -> Response:
    """Nobody joins with this code any more; who has joined stays."""
    caller.check("admin")

    def change(connection: Connection, now: float) -> None:
        if connection.execute(select(join_code.c.id).where(join_code.c.id == identity)).scalar_one_or_none() is None:
            raise NotFound(f"there is no join code {identity}; GET /v1/codes lists them")
        is_it = (join_code.c.id == identity, join_code.c.revoked_at.is_(None))
        connection.execute(update(join_code).where(*is_it).values(revoked_at=now))

    await service.database.write(change)
    return Response(status_code=204)


@router.get("/people", responses=responses(403, 503))
async def everybody(
    service: TheService,
    caller: TheCaller,
    limit: Limit = 50,
    cursor: Cursor = None,
    role: Annotated[Role | None, Query(description="only these")] = None,
) -> PersonPage:
    """The people of the class."""
    caller.check("admin")
    question = select(person).where(person.c.role != REMOVED if role is None else person.c.role == role)

    def read(connection: Connection) -> PersonPage:
        rows, following = pagination.newest_first(connection, question, person, limit, cursor)
        budgets = me.accounts(connection, [row.id for row in rows])
        return PersonPage(items=[PersonView(**row._mapping, budget=budgets[row.id]) for row in rows], next=following)

    return await service.database.read(read)


@router.post("/people", status_code=201, response_model=Joined, responses=responses(403, 409, 503))
async def make_person(body: NewPerson, service: TheService, caller: TheCaller, key: Key = None) -> Response:
    """Let somebody in without a code; their token is shown this once."""
    caller.check("admin")

    def change(connection: Connection, now: float) -> tuple[int, BaseModel, str]:
        whose = people.add_person(connection, now, body.name, body.role, body.budget.model_dump())
        _, words = people.add_token(connection, now, whose, OF_ROLE[body.role].split(), "first", now + YEAR)
        return 201, Joined(person=whose, name=body.name, role=body.role, token=words), f"/v1/people/{whose}"

    return await once(service, caller, key, body, change, shown_once="token")


@router.get("/people/{identity}", responses=responses(403, 404, 503))
async def one(identity: PersonId, service: TheService, caller: TheCaller) -> PersonView:
    """One of the class, and what is left of their budget."""
    caller.check("admin")

    def question(connection: Connection) -> PersonView:
        return PersonView(**people.find(connection, identity), budget=me.account(connection, identity))

    return await service.database.read(question)


@router.delete("/people/{identity}", status_code=204, responses=responses(403, 404, 409, 503))
async def remove(identity: PersonId, service: TheService, caller: TheCaller) -> Response:
    """Remove somebody: nothing of theirs runs any more, no token of theirs is good, and their name is gone. What was measured stays.

    Removed twice, they are removed. Nobody removes themselves, so an instructor is left.
    """
    caller.check("admin")
    if identity == caller.person:
        raise Conflict("nobody removes themselves; let another instructor do it, or revoke your tokens")

    def change(connection: Connection, now: float) -> None:
        people.check_token(connection, caller.token)  # of two who remove each other, the second was just removed
        if connection.execute(select(person.c.role).where(person.c.id == identity)).scalar_one_or_none() != REMOVED:
            people.find(connection, identity)
            _end_everything(connection, now, identity, "its owner was removed")
            people.forget(connection, now, identity)

    await service.database.write(change)
    service.forget()
    return Response(status_code=204)


@router.post("/people/{identity}/grants", status_code=201, response_model=Account, responses=responses(402, 403, 404, 409, 503))
async def grant(identity: PersonId, body: Grant, service: TheService, caller: TheCaller, key: Key = None) -> Response:
    """Add to somebody's budget, or take from it what is left."""
    caller.check("admin")

    def change(connection: Connection, now: float) -> tuple[int, BaseModel, str]:
        people.find(connection, identity)
        ledger.grant(connection, now, identity, Amount(**body.model_dump()))
        return 201, me.account(connection, identity), f"/v1/people/{identity}"

    return await once(service, caller, key, _GrantTo(person=identity, added=body), change)


@router.patch("/people/{identity}/budget", responses=responses(403, 404, 503))
async def set_left(identity: PersonId, body: Left, service: TheService, caller: TheCaller) -> Account:
    """Say what is left of somebody's budget from now on: a limit where there was none, another one, or (null) none."""
    caller.check("admin")

    def change(connection: Connection, now: float) -> Account:
        people.find(connection, identity)
        ledger.set_left(connection, now, identity, body.model_dump(include=body.model_fields_set))
        return me.account(connection, identity)

    return await service.database.write(change)


@router.get("/people/{identity}/ledger", responses=responses(403, 404, 503))
async def their_ledger(identity: PersonId, service: TheService, caller: TheCaller, limit: Limit = 50, cursor: Place = None) -> EntryPage:
    """Every line of somebody's ledger."""
    caller.check("admin")

    def question(connection: Connection) -> EntryPage:
        people.find(connection, identity)
        return me.lines(connection, identity, limit, cursor)

    return await service.database.read(question)


def _code(row: Any) -> CodeView:
    budget = Limits(**{k: row[k] for k in ledger.KINDS})
    rest = {k: row[k] for k in CodeView.model_fields if k not in ("budget", "scopes")}
    return CodeView(**rest, budget=budget, scopes=row["scopes"].split())


def _end_everything(connection: Connection, now: float, whose: str, why: str) -> None:
    """Nothing of somebody's is under way or waits any more; what had not begun is refunded."""
    going_on = select(campaign).where(campaign.c.person == whose, campaign.c.state != campaigns.ENDED)
    for row in connection.execute(going_on).mappings().all():
        campaigns.stop(connection, now, dict(row), why)
    under_way = select(experiment.c.id).where(experiment.c.person == whose, experiment.c.state.in_(fair_queue.OPEN))
    for one in connection.execute(under_way.order_by(experiment.c.number.desc())).scalars().all():
        fair_queue.abort(connection, now, one, why)
