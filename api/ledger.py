"""Budgets: what each person may spend, as a ledger. Every entry is written in the transaction of what it is for.

A submission reserves its estimate; the end of an experiment settles what it took, at most what was reserved, and refunds the rest. So
reserve = settle + refund for everything that ended, and no balance is ever negative.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from api.prepared import Prepared
from api.tables import account, ledger
from frugaltwin.errors import FrugalTwinError

KINDS = ("runs", "seconds", "money", "volume")


class BudgetExhausted(FrugalTwinError):
    """A person may not spend that much any more."""


@dataclass(frozen=True)
class Amount:
    """What may be spent, or was."""

    runs: float = 0.0
    seconds: float = 0.0
    money: float = 0.0
    volume: float = 0.0

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(*(getattr(self, k) - getattr(other, k) for k in KINDS))

    def at_most(self, other: "Amount") -> "Amount":
        """The smaller of the two, one by one."""
        return Amount(*(min(getattr(self, k), getattr(other, k)) for k in KINDS))


_balance = Prepared(select(account).where(account.c.person == bindparam("whose")))
_move = Prepared(
    update(account)
    .where(account.c.person == bindparam("whose"))
    .values({k: account.c[k] + bindparam(f"plus_{k}") for k in KINDS})  # nothing (no limit) stays nothing
)
_write = Prepared(insert(ledger).inline(), "person", "experiment", "kind", "at", *KINDS)


def balance(connection: Connection, person: str) -> dict[str, float | None]:
    """What is left of each kind; None is no limit."""
    rows = _balance(connection, {"whose": person})
    return {k: rows[0][k] if rows else None for k in KINDS}


def grant(connection: Connection, now: float, person: str, limits: dict[str, float | None]) -> None:
    """Open an account, or add to one; a kind that is None is without limit from then on."""
    row = next(iter(_balance(connection, {"whose": person})), None)
    if row is None:
        connection.execute(insert(account), {"person": person} | {k: limits.get(k) for k in KINDS})
    else:
        then = {k: None if limits.get(k) is None or row[k] is None else row[k] + (limits[k] or 0.0) for k in KINDS}
        connection.execute(update(account).where(account.c.person == person).values(then))
    _enter(connection, now, person, None, "grant", Amount(**{k: limits.get(k) or 0.0 for k in KINDS}))


def reserve(connection: Connection, now: float, person: str, experiment: str, amount: Amount) -> None:
    """Set an estimate aside.

    Raises:
        BudgetExhausted: There is not that much left; nothing is set aside.
    """
    left = balance(connection, person)
    for kind in KINDS:
        has, asks = left[kind], getattr(amount, kind)
        if has is not None and asks > has:
            unit = {"runs": "", "seconds": " s", "money": " USD", "volume": " mL"}[kind]
            raise BudgetExhausted(f"{kind}: {asks:.4g}{unit} is asked for, {has:.4g}{unit} is left; ask your instructor for more")
    _enter(connection, now, person, experiment, "reserve", amount)
    _change(connection, person, amount, -1)


def settle(connection: Connection, now: float, person: str, experiment: str, reserved: Amount, took: Amount) -> None:
    """Book what was spent, at most what was reserved, and give the rest back."""
    spent = took.at_most(reserved)
    rest = reserved - spent
    _enter(connection, now, person, experiment, "settle", spent)
    _enter(connection, now, person, experiment, "refund", rest)
    _change(connection, person, rest, 1)


def _enter(connection: Connection, now: float, person: str, experiment: str | None, kind: str, amount: Amount) -> None:
    _write(connection, {"person": person, "experiment": experiment, "kind": kind, "at": now} | {k: getattr(amount, k) for k in KINDS})


def _change(connection: Connection, person: str, amount: Amount, sign: int) -> None:
    _move(connection, {"whose": person} | {f"plus_{k}": sign * getattr(amount, k) for k in KINDS})
