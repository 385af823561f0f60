"""``/v1/me``: who you are to the service, and what you may still spend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import Connection, func, select

from api.records import ledger
from api.records.tables import ledger as entries
from api.routes.dependencies import TheCaller, TheService
from api.routes.pagination import Limit, Place
from api.routes.problems import responses

router = APIRouter(prefix="/v1/me", tags=["people"])

Role = Literal["student", "instructor", "observer"]


class Budget(BaseModel):
    """What may be spent; nothing is no limit."""

    runs: float | None = Field(description="experiments")
    seconds: float | None = Field(description="lab time, s")
    money: float | None = Field(description="USD")
    volume: float | None = Field(description="mL of liquid")


class Amounts(BaseModel):
    """What was spent, or is set aside."""

    runs: float = Field(description="experiments")
    seconds: float = Field(description="lab time, s")
    money: float = Field(description="USD")
    volume: float = Field(description="mL of liquid")


class Account(BaseModel):
    """A person's budget."""

    left: Budget = Field(description="what may still be spent, `reserved` taken off")
    spent: Amounts
    reserved: Amounts = Field(description="set aside for what has not ended yet")


class Me(BaseModel):
    """Who a token belongs to."""

    person: str = Field(description="your id")
    name: str = Field(description="as you wrote it")
    role: Role = Field(description="what you are to the class")
    scopes: list[str] = Field(description="what this token may")
    token: str = Field(description="the id of this token, not the token")
    expires_at: float | None = Field(description="s since 1970; nothing is never")
    budget: Account


class Entry(BaseModel):
    """A line of the ledger. What an experiment reserved is what it was settled for and what was refunded; a grant below 0 was taken."""

    id: int = Field(description="rises with every line of anybody's")
    kind: Literal["grant", "reserve", "settle", "refund"] = Field(
        description="grant: the instructor's; reserve: set aside when an experiment is submitted; settle: what it took; refund: the rest"
    )
    experiment: str | None = Field(description="its id")
    runs: float = Field(description="experiments")
    seconds: float = Field(description="lab time, s")
    money: float = Field(description="USD")
    volume: float = Field(description="mL of liquid")
    at: float = Field(description="s since 1970")


class EntryPage(BaseModel):
    """Lines of a ledger, newest first."""

    items: list[Entry] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


@router.get("", responses=responses(503))
async def me(service: TheService, caller: TheCaller) -> Me:
    """Who you are, what your token may, and what is left of your budget."""
    budget = await service.database.read(lambda c: account(c, caller.person))
    return Me(
        person=caller.person, name=caller.name, role=caller.role, scopes=sorted(caller.scopes), token=caller.token,  # type: ignore[arg-type]
        expires_at=caller.expires_at, budget=budget,
    )  # fmt: skip


@router.get("/ledger", responses=responses(403, 503))
async def my_ledger(service: TheService, caller: TheCaller, limit: Limit = 50, cursor: Place = None) -> EntryPage:
    """Every line of your budget's ledger."""
    caller.check("read")
    return await service.database.read(lambda c: lines(c, caller.person, limit, cursor))


def account(connection: Connection, whose: str) -> Account:
    """A person's budget."""
    return accounts(connection, [whose])[whose]


def accounts(connection: Connection, persons: Sequence[str]) -> dict[str, Account]:
    """Some people's budgets."""
    sums = [func.sum(entries.c[k]).label(k) for k in ledger.KINDS]
    key = (entries.c.person, entries.c.kind)
    question = select(*key, *sums).where(entries.c.person.in_(persons)).group_by(*key)
    rows = {(row.person, row.kind): row for row in connection.execute(question)}

    def total(whose: str, kind: str) -> dict[str, float]:
        row = rows.get((whose, kind))
        return {k: float(getattr(row, k)) if row else 0.0 for k in ledger.KINDS}

    def one(whose: str) -> Account:
        reserve, settle, refund = (total(whose, kind) for kind in ("reserve", "settle", "refund"))
        reserved = {k: max(0.0, round(reserve[k] - settle[k] - refund[k], 9)) for k in ledger.KINDS}  # sums of floats: 1e-16 is nothing
        return Account(left=Budget(**ledger.balance(connection, whose)), spent=Amounts(**settle), reserved=Amounts(**reserved))

    return {whose: one(whose) for whose in persons}


def lines(connection: Connection, whose: str, limit: int, cursor: int | None) -> EntryPage:
    """A page of a person's ledger."""
    question = select(entries).where(entries.c.person == whose).order_by(entries.c.id.desc()).limit(limit + 1)
    if cursor is not None:
        question = question.where(entries.c.id < cursor)
    rows = connection.execute(question).mappings().all()
    items = [Entry(**{k: row[k] for k in Entry.model_fields}) for row in rows[:limit]]
    return EntryPage(items=items, next=str(rows[limit - 1]["id"]) if len(rows) > limit else None)
