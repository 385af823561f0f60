"""``/v1/people``: the people of a class and their budgets, for the instructor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from api.errors import Forbidden, NotFound
from api.records import classes, join_codes, ledger, people, removal
from api.records.people import ASSISTANT, Caller
from api.records.rows import LedgerRow, PersonRow
from api.routes.body import Body
from api.routes.budgets import Grant, Limits
from api.routes.dependencies import Key, Made, TheCaller, TheInstructor, TheService, TheTeacher, once, resource, shown
from api.routes.me import EntryPage, lines
from api.routes.pagination import Cursor, Limit, Place
from api.routes.plain_text import Name
from api.routes.problems import responses
from frugaltwin.client.resources import Account, Joined, Named, Person
from frugaltwin.errors import InvalidInput

router = resource(prefix="/v1", tags=["people"])

Role = Literal["student", "instructor", "observer", "assistant"]
PersonId = Annotated[str, Path(description="the person's id")]


class NewPerson(Body):
    """Somebody who comes in without a code."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Grace", "role": "observer"}]})

    name: Name
    role: Role = Field("student", description="an observer only reads, and may read /metrics; an assistant reads about one class, by names")
    classroom: str | None = Field(None, max_length=20, description="the name of their class; an assistant has one")
    budget: Limits = Limits()


class PersonPage(BaseModel):
    """People, newest first."""

    items: list[Person] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


class Left(Limits):
    """The rest of a budget from now on. A kind that is left out stays as it is; null is no limit."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"runs": 50, "volume": None}]})


class _GrantTo(BaseModel):
    person: str
    added: Grant


class NamePage(BaseModel):
    """Names, those of the newest people first."""

    items: list[Named] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


@router.get("/people", responses=responses(403, 404, 503), response_model=PersonPage)
async def everybody(
    service: TheService,
    caller: TheTeacher,
    limit: Limit = 50,
    cursor: Cursor = None,
    role: Annotated[Role | None, Query(description="only these")] = None,
    classroom: Annotated[str | None, Query(max_length=20, description="only those of this class, by its name")] = None,
) -> Response:
    """The people of the service, or of a class; for an assistant those of theirs."""

    def read(connection: Connection) -> PersonPage:
        room = caller.room if classroom is None else classes.find(connection, classroom, caller).id
        if room is None and not caller.is_instructor:
            raise Forbidden("you assist in no class; ask your instructor to enroll you in one")
        rows, following = people.page(connection, role, limit, cursor, room)
        budgets = ledger.accounts(connection, [row.id for row in rows])
        return PersonPage.model_construct(items=[_view(row, budgets[row.id]) for row in rows], next=following)

    return shown(await service.database.read(read))


@router.get("/names", responses=responses(403, 503), response_model=NamePage)
async def names(service: TheService, caller: TheCaller, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """The names of the people of the class. For instructors; for observers where the service is started with names shown."""
    caller.check("read")
    if not (caller.is_instructor or (caller.role == "observer" and service.settings.shows_names)):
        raise Forbidden("names are for the instructor, and for observers where the class shows them; everybody else sees ids")
    rows, following = await service.database.read(lambda c: people.page(c, None, limit, cursor))
    return shown(NamePage.model_construct(items=[Named(person=row.id, name=row.name) for row in rows], next=following))


@router.post("/people", status_code=201, response_model=Joined, responses=responses(403, 404, 409, 503))
async def make_person(body: NewPerson, service: TheService, caller: TheInstructor, key: Key = None) -> Response:
    """Let somebody in without a code; their token is shown this once."""

    if body.role == ASSISTANT and body.classroom is None:
        raise InvalidInput("an assistant sees one class; name it", field="classroom")

    def change(connection: Connection, now: float) -> Made:
        room = None if body.classroom is None else classes.find(connection, body.classroom).id
        whose, words = join_codes.let_in(connection, now, body.name, body.role, body.budget.model_dump(), room)
        return 201, Joined(person=whose, name=body.name, role=body.role, token=words), f"/v1/people/{whose}"

    return await once(service, caller, key, body, change, shown_once="token")


@router.get("/people/{identity}", responses=responses(403, 404, 503), response_model=Person)
async def one(identity: PersonId, service: TheService, caller: TheTeacher) -> Response:
    """One of the class, and what is left of their budget."""
    return shown(await service.database.read(lambda c: _view(_seen(c, identity, caller), ledger.account(c, identity))))


@router.delete("/people/{identity}", status_code=204, responses=responses(403, 404, 409, 503))
async def remove(identity: PersonId, service: TheService, caller: TheInstructor) -> Response:
    """Remove somebody: nothing of theirs runs any more, no token of theirs is good, and their name is gone. What was measured stays.

    Removed twice, they are removed. Nobody removes themselves, so an instructor is left.
    """
    await service.database.write(lambda c, now: removal.remove(c, now, caller, identity))
    service.forget()
    return Response(status_code=204)


@router.post("/people/{identity}/grants", status_code=201, response_model=Account, responses=responses(402, 403, 404, 409, 503))
async def grant(identity: PersonId, body: Grant, service: TheService, caller: TheInstructor, key: Key = None) -> Response:
    """Add to somebody's budget, or take from it what is left."""

    def change(connection: Connection, now: float) -> Made:
        then = people.grant(connection, now, identity, body.model_dump())
        return 201, Account(**vars(then)), f"/v1/people/{identity}"

    return await once(service, caller, key, _GrantTo(person=identity, added=body), change)


@router.patch("/people/{identity}/budget", responses=responses(403, 404, 503), response_model=Account)
async def set_left(identity: PersonId, body: Left, service: TheService, caller: TheInstructor) -> Response:
    """Say what is left of somebody's budget from now on: a limit where there was none, another one, or (null) none."""
    said = body.model_dump(include=body.model_fields_set)
    then = await service.database.write(lambda c, now: people.set_left(c, now, identity, said))
    return shown(Account(**vars(then)))


@router.get("/people/{identity}/ledger", responses=responses(403, 404, 503), response_model=EntryPage)
async def their_ledger(identity: PersonId, service: TheService, caller: TheTeacher, limit: Limit = 50, cursor: Place = None) -> Response:
    """Every line of somebody's ledger."""

    def read(connection: Connection) -> tuple[Sequence[LedgerRow], str | None]:
        _seen(connection, identity, caller)
        return ledger.page(connection, identity, limit, cursor)

    return lines(*await service.database.read(read))


def _seen(connection: Connection, identity: str, caller: Caller) -> PersonRow:
    """A person whom the caller may see; another is refused exactly like one that does not exist."""
    row = people.find(connection, identity)
    if not caller.sees(connection, identity):
        raise NotFound(f"there is no person {identity[:40]}; GET /v1/people lists them")
    return row


def _view(row: PersonRow, account: ledger.Account) -> Person:
    return Person(id=row.id, name=row.name, role=row.role, code=row.code, created_at=row.created_at, budget=Account(**vars(account)))
