"""The ledger: the budget of each person, as append-only lines. Every line is written in the transaction that it belongs to.

A submission reserves its estimate; the end of an experiment settles its cost, at most what was reserved, and refunds the rest. So
reserve = settle + refund for everything that ended, and no balance is ever negative. An addition or a deduction by the instructor is a
grant. So what is left of a kind with a limit is the sum of its lines.

An experiment is one run. On a real rig it is one rig run in place of it, where the person has a limit of those: a purse of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, case, func, insert, or_, select, update

from api.errors import BudgetExhausted
from api.records import append_buffer
from api.records.prepared_statement import PreparedStatement
from api.records.rows import LedgerRow, fetched
from api.records.tables import account as account_table
from api.records.tables import experiment as experiment_table
from api.records.tables import ledger
from api.records.tables import token as token_table
from frugaltwin.amounts import PURSE, Amounts
from frugaltwin.errors import FrugalTwinError

Sums = Mapping[str, float]
"""By kind; one that is left out is nothing."""

KINDS = tuple(kind.name for kind in PURSE)
OF_AMOUNTS = tuple(kind.name for kind in Amounts.kinds())
"""All but the purses of their own."""
UNITS = {kind.name: kind.unit for kind in PURSE}
SIGNS = {"grant": 1.0, "refund": 1.0, "reserve": -1.0}
"""Signs of lines by their kind, in the sum that is left; a settlement was reserved before."""
_sign = case(*((ledger.c.kind == kind, sign) for kind, sign in SIGNS.items()), else_=0.0)
SUMS = {k: func.coalesce(func.sum(_sign * ledger.c[k]), 0.0) for k in KINDS}
"""Sums of lines by kind of amount: what is left, where there is a limit."""


_balance = PreparedStatement(select(account_table).where(account_table.c.person == bindparam("whose")))
_move = PreparedStatement(
    update(account_table)
    .where(account_table.c.person == bindparam("whose"))
    .values({k: account_table.c[k] + bindparam(f"plus_{k}") for k in KINDS})  # nothing (no limit) stays nothing
)
_take = PreparedStatement(
    update(account_table)
    .where(
        account_table.c.person == bindparam("whose"),
        *(or_(account_table.c[k].is_(None), account_table.c[k] >= bindparam(f"asked_{k}")) for k in KINDS),
    )
    .values({k: account_table.c[k] - bindparam(f"asked_{k}") for k in KINDS})
    .returning(account_table.c.person)
)
"""A row, if all of it was there to be taken."""
_write = PreparedStatement(insert(ledger).inline(), "person", "experiment", "kind", "at", *KINDS)


def balance(connection: Connection, person: str) -> dict[str, float | None]:
    """The amount that is left of each kind; None is no limit."""
    rows = _balance(connection, {"whose": person})
    return {k: rows[0][k] if rows else None for k in KINDS}


def open_account(connection: Connection, now: float, person: str, limits: Mapping[str, float | None]) -> None:
    """Open a newcomer's account; a kind that is left out, or None, is without limit."""
    connection.execute(insert(account_table), {"person": person} | {k: limits.get(k) for k in KINDS})
    _enter(connection, now, person, None, "grant", {k: limits.get(k) or 0.0 for k in KINDS})


@dataclass(frozen=True)
class Account:
    """A person's budget, by kind of amount."""

    left: Mapping[str, float | None]
    """Reservations taken off; None is no limit."""
    spent: Mapping[str, float]
    reserved: Mapping[str, float]
    """Set aside for experiments that have not ended."""


def account(connection: Connection, person: str) -> Account:
    """A person's budget."""
    return accounts(connection, [person])[person]


def accounts(connection: Connection, persons: Sequence[str]) -> dict[str, Account]:
    """Some people's budgets."""
    sums = [func.sum(ledger.c[k]).label(k) for k in KINDS]
    key = (ledger.c.person, ledger.c.kind)
    question = select(*key, *sums).where(ledger.c.person.in_(persons)).group_by(*key)
    rows = {(row.person, row.kind): row for row in connection.execute(question)}

    def total(person: str, kind: str) -> dict[str, float]:
        row = rows.get((person, kind))
        return {k: float(getattr(row, k)) if row else 0.0 for k in KINDS}

    def one(person: str) -> Account:
        reserve, settle, refund = (total(person, kind) for kind in ("reserve", "settle", "refund"))
        reserved = {k: max(0.0, round(reserve[k] - settle[k] - refund[k], 9)) for k in KINDS}  # sums of floats: 1e-16 is nothing
        return Account(balance(connection, person), settle, reserved)

    return {person: one(person) for person in persons}


def page(connection: Connection, person: str, limit: int, cursor: int | None) -> tuple[list[LedgerRow], str | None]:
    """A page of a person's lines, newest first, and the cursor of the next page."""
    question = select(ledger).where(ledger.c.person == person).order_by(ledger.c.id.desc()).limit(limit + 1)
    if cursor is not None:
        question = question.where(ledger.c.id < cursor)
    rows = fetched(LedgerRow, connection.execute(question))
    return rows[:limit], str(rows[limit - 1].id) if len(rows) > limit else None


def grant(connection: Connection, now: float, person: str, added: Sums) -> None:
    """Add to what is left, or take from it what is negative.

    Raises:
        BudgetExhausted: There is not that much left to be taken; nothing is changed.
        FrugalTwinError: Something has no limit, so there is nothing to add to.
    """
    left = balance(connection, person)
    for kind in KINDS:
        has, plus = left[kind], added.get(kind, 0.0)
        if plus and has is None:
            raise FrugalTwinError(f"{kind}: {person} has no limit to add to or take from; set what is left instead")
        if has is not None and has + plus < 0:
            raise BudgetExhausted(f"{kind}: {_words(kind, -plus)} is to be taken, {_words(kind, has)} is left; take at most that")
    _enter(connection, now, person, None, "grant", added)
    _move(connection, _moved(person, added))


def set_left(connection: Connection, now: float, person: str, limits: Mapping[str, float | None]) -> None:
    """Set what is left from now on; None is no limit, and a kind that is not named stays as it is."""
    before, sums = balance(connection, person), _sums(connection, person)
    plus = {k: left - (sums[k] if (has := before[k]) is None else has) for k, left in limits.items() if left is not None}
    _enter(connection, now, person, None, "grant", plus)
    connection.execute(update(account_table).where(account_table.c.person == person).values(before | dict(limits)))


def reserve(connection: Connection, now: float, person: str, experiment: str, asked: Sums) -> None:
    """Set an estimate aside.

    Args:
        asked: Of every kind.

    Raises:
        BudgetExhausted: There is not that much left; nothing is set aside.
    """
    if not _take(connection, {"whose": person} | {f"asked_{k}": asked[k] for k in KINDS}):
        has, kind = next((has, k) for k, has in balance(connection, person).items() if has is not None and asked[k] > has)
        words = f"{_words(kind, asked[kind])} is asked for, {_words(kind, has)} is left"
        raise BudgetExhausted(f"{kind}: {words}; ask your instructor for more")
    _enter(connection, now, person, experiment, "reserve", asked)


@dataclass(frozen=True)
class Bill:
    """The cost of an experiment, and the reservation for it, of every kind."""

    person: str
    experiment: str
    reserved: Sums
    took: Sums


def settle(connection: Connection, now: float, bills: Sequence[Bill]) -> None:
    """Book what was spent, at most what was reserved, and give the rest back."""
    rests = []
    for bill in bills:
        spent = {k: min(bill.took[k], bill.reserved[k]) for k in KINDS}
        rest = {k: bill.reserved[k] - spent[k] for k in KINDS}
        _enter(connection, now, bill.person, bill.experiment, "settle", spent)
        _enter(connection, now, bill.person, bill.experiment, "refund", rest)
        rests.append(_moved(bill.person, rest))
    _move.many(connection, rests)


def of_campaign(connection: Connection, identity: str) -> Amounts:
    """The sum of what a campaign's experiments have reserved and were not given back: the cost of those that ended, at most."""
    return Amounts(**_kept(connection, select(experiment_table.c.id).where(experiment_table.c.campaign == identity)))


def of_agent(connection: Connection, token: str) -> float:
    """The number of experiments that were submitted with an agent's token, or for a campaign of its, and were not given back."""
    kept = _kept(connection, select(experiment_table.c.id).where(experiment_table.c.agent == token), KINDS)
    return kept["runs"] + kept["rig_runs"]


def left_of_agent(connection: Connection, token: str) -> float | None:
    """The number of experiments that an agent may still do, as far as its token limits them; None where it does not."""
    most: float | None = connection.execute(select(token_table.c.runs).where(token_table.c.id == token)).scalar_one_or_none()
    return None if most is None else most - of_agent(connection, token)


def check_agent(connection: Connection, token: str) -> None:
    """Refuse one more experiment of an agent that has done all that its token allows.

    Raises:
        BudgetExhausted: It has.
    """
    left = left_of_agent(connection, token)
    if left is not None and left < 1:
        raise BudgetExhausted("this agent's token allows no more runs; ask its owner for another token, or hand in what you have found")


def of_rig(connection: Connection, whose: str, name: str) -> Amounts:
    """The same of all experiments of a person on a rig."""
    of_it = select(experiment_table.c.id).where(experiment_table.c.person == whose, experiment_table.c.rig == name)
    return Amounts(**_kept(connection, of_it))


def of_rig_by_person(connection: Connection, name: str) -> dict[str, Amounts]:
    """The same of all people with experiments on a rig; what the transaction under way adds is not in it."""
    sign = case((ledger.c.kind == "reserve", 1.0), (ledger.c.kind == "refund", -1.0), else_=0.0)
    kinds = [kind.name for kind in Amounts.kinds()]
    sums = select(ledger.c.person, *(func.sum(sign * ledger.c[k]).label(k) for k in kinds)).join(
        experiment_table, experiment_table.c.id == ledger.c.experiment
    )
    rows = connection.execute(sums.where(experiment_table.c.rig == name).group_by(ledger.c.person)).mappings()
    return {row["person"]: Amounts(**{k: row[k] for k in kinds}) for row in rows}


def _kept(connection: Connection, of_it: Select[tuple[str]], kinds: Sequence[str] = OF_AMOUNTS) -> dict[str, float]:
    """Sums of what experiments have reserved and were not given back, by kind, with those of the transaction under way."""
    sign = case((ledger.c.kind == "reserve", 1.0), (ledger.c.kind == "refund", -1.0), else_=0.0)
    sums = select(*(func.coalesce(func.sum(sign * ledger.c[k]), 0.0).label(k) for k in kinds)).where(ledger.c.experiment.in_(of_it))
    found = dict(connection.execute(sums).mappings().one())
    added = [row for row in append_buffer.added(connection, _write) if row["kind"] in ("reserve", "refund")]
    ids = {row["experiment"] for row in added}
    own = set(connection.execute(of_it.where(experiment_table.c.id.in_(ids))).scalars()) if ids else set()
    for row in added:
        if row["experiment"] in own:
            found = {k: found[k] + (row[k] if row["kind"] == "reserve" else -row[k]) for k in kinds}
    return found


def _enter(connection: Connection, now: float, person: str, experiment: str | None, kind: str, amount: Sums) -> None:
    row = {"person": person, "experiment": experiment, "kind": kind, "at": now} | {k: amount.get(k, 0.0) for k in KINDS}
    append_buffer.of(connection).add(_write, row)


def _moved(person: str, plus: Sums) -> dict[str, Any]:
    return {"whose": person} | {f"plus_{k}": plus.get(k, 0.0) for k in KINDS}


def _sums(connection: Connection, person: str) -> dict[str, float]:
    """Sums of a person's lines, with those of the transaction under way."""
    written = connection.execute(select(*(column.label(k) for k, column in SUMS.items())).where(ledger.c.person == person)).mappings().one()
    added = [row for row in append_buffer.of(connection).rows(_write) if row["person"] == person]
    return {k: float(written[k]) + sum(SIGNS.get(row["kind"], 0.0) * row[k] for row in added) for k in KINDS}


def _words(kind: str, amount: float) -> str:
    return f"{amount:.4g} {UNITS[kind]}".rstrip()
