"""``/v1/me``: who you are to the service, and what you may still spend."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import Connection, func, select

from api import ledger
from api.access import TheCaller, TheService
from api.pages import Limit, Place
from api.problems import responses
from api.tables import ledger as entries

router = APIRouter(prefix="/v1/me", tags=["people"])

Role = Literal["student", "instructor", "observer"]


class Budget(BaseModel):
    """What may be spent; nothing is no limit."""

    runs: float | None
    seconds: float | None = Field(description="lab time, s")
    money: float | None = Field(description="USD")
    volume: float | None = Field(description="mL of liquid")


class Amounts(BaseModel):
    """What was spent, or is set aside."""

    runs: float
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
    name: str
    role: Role
    scopes: list[str] = Field(description="what this token may")
    token: str = Field(description="the id of this token, not the token")
    expires_at: float | None = Field(description="s since 1970; nothing is never")
    budget: Account


class Entry(BaseModel):
    """A line of the ledger. What an experiment reserved is what it was settled for and what was refunded."""

    id: int
    kind: Literal["grant", "reserve", "settle", "refund"]
    experiment: str | None
    runs: float
    seconds: float
    money: float
    volume: float
    at: float = Field(description="s since 1970")


class EntryPage(BaseModel):
    """Lines of a ledger, newest first."""

    items: list[Entry]
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
    sums = [func.coalesce(func.sum(entries.c[k]), 0.0).label(k) for k in ledger.KINDS]
    question = select(entries.c.kind, *sums).where(entries.c.person == whose).group_by(entries.c.kind)
    rows = {row.kind: row for row in connection.execute(question)}

    def total(kind: str) -> dict[str, float]:
        return {k: float(getattr(rows[kind], k)) if kind in rows else 0.0 for k in ledger.KINDS}

    reserve, settle, refund = map(total, ("reserve", "settle", "refund"))
    reserved = {k: max(0.0, reserve[k] - settle[k] - refund[k]) for k in ledger.KINDS}  # sums of floats: -1e-16 is nothing
    return Account(left=Budget(**ledger.balance(connection, whose)), spent=Amounts(**settle), reserved=Amounts(**reserved))


def lines(connection: Connection, whose: str, limit: int, cursor: int | None) -> EntryPage:
    """A page of a person's ledger."""
    question = select(entries).where(entries.c.person == whose).order_by(entries.c.id.desc()).limit(limit + 1)
    if cursor is not None:
        question = question.where(entries.c.id < cursor)
    rows = connection.execute(question).mappings().all()
    items = [Entry(**{k: row[k] for k in Entry.model_fields}) for row in rows[:limit]]
    return EntryPage(items=items, next=str(rows[limit - 1]["id"]) if len(rows) > limit else None)
