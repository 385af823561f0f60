"""Experiments of people: submit one, price it, look at it, abort it, list them. The queue that they wait in is `fair_queue`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from api.errors import NotFound, TooMany
from api.records import campaigns, fair_queue, ledger, rigs, standings, tasks, twins
from api.records.fair_queue import Order
from api.records.people import Caller
from api.records.rigs import Rigs, status_of
from api.records.rows import ExperimentRow, fetched
from api.records.tables import experiment
from frugaltwin.amounts import Amounts
from frugaltwin.errors import InvalidInput

WAITING = 1000
"""Experiments of one person that may wait at once."""

_owner = select(experiment.c.person).where(experiment.c.id == bindparam("which"))


@dataclass(frozen=True)
class Request:
    """Settings that somebody wants performed on a rig."""

    rig: str
    settings: Mapping[str, float | str]
    campaign: str | None = None
    """The id of a campaign in the mode ``client`` that it is a trial of."""
    trial: int | None = None
    """Its number in that campaign; the next without it."""


@dataclass(frozen=True)
class Quote:
    """The price of an experiment that was not submitted."""

    estimate: Amounts
    lacking: tuple[str, ...]
    """The kinds of amount of which the budget has too little left."""
    position: int
    """The number of experiments that would go before it."""


@dataclass(frozen=True)
class Look:
    """An experiment as it is now."""

    row: ExperimentRow
    position: int | None = None
    """The number of experiments that go before it, while it is queued."""
    eta: float | None = None
    """s until it begins, by estimate; None while its rig is not open, or is a twin, which is quick."""
    waiting_because: str | None = None
    """In words, while it is queued."""
    score: float | None = None
    """Of a trial that has ended, by its campaign's goal, as it stands after corrections."""


def submit(connection: Connection, now: float, known: Rigs, caller: Caller, request: Request) -> ExperimentRow:
    """Submit an experiment: the estimate is reserved, and it is in the fair queue.

    Raises:
        NotFound: There is no such rig or campaign.
        Forbidden: The caller may not use the rig.
        Conflict: The rig is stopped, or the campaign does not take this trial.
        InvalidInput: The rig does not allow these settings.
        TooMany: Too many experiments of the caller's wait.
        BudgetExhausted: The caller cannot pay for it.
    """
    return fair_queue.submit(connection, now, _order(connection, now, known, caller, request))


def quote(connection: Connection, now: float, known: Rigs, caller: Caller, request: Request) -> Quote:
    """Price an experiment; nothing is submitted.

    Raises:
        FrugalTwinError: As `submit`, except that a budget that does not suffice is part of the answer.
    """
    order = _order(connection, now, known, caller, request)
    asked, left = fair_queue.reservation(connection, order), ledger.balance(connection, caller.person)
    lacking = tuple(k for k, has in left.items() if has is not None and asked[k] > has)
    return Quote(order.estimate, lacking, fair_queue.next_place(connection, order))


def look(connection: Connection, now: float, caller: Caller, identity: str) -> Look:
    """An experiment of the caller's, or for an instructor anybody's.

    Raises:
        NotFound: There is none.
    """
    owner_for(connection, caller, identity)
    row = fair_queue.find(connection, identity)
    if row.state == fair_queue.LEASED:
        return Look(row, 0, waiting_because="its rig is about to begin")
    if row.state != fair_queue.QUEUED:
        return _scored(connection, [row])[0]
    rig = rigs.find(connection, row.rig)
    status = status_of(rig, now)
    position, seconds = fair_queue.place(connection, row)
    reasons = {"offline": "its rig is offline", "paused": "its rig is paused", "stopped": "its rig was stopped"}
    words = reasons.get(status) or (f"{position} go before it" if position else "it is next")
    return Look(row, position, seconds if status == "open" and rig.is_real else None, words)


def abort(connection: Connection, now: float, caller: Caller, identity: str) -> ExperimentRow:
    """Abort an experiment of the caller's, or for an instructor anybody's; if it is running, its rig is stopped.

    Raises:
        NotFound: There is none.
        Forbidden: The token may not run experiments on its rig.
        Conflict: It has ended.
    """
    owner = owner_for(connection, caller, identity)
    caller.check_run(rigs.find(connection, fair_queue.find(connection, identity).rig).is_real)
    return fair_queue.abort(connection, now, identity, f"aborted by {caller.title(owner)}")


def page(
    connection: Connection, caller: Caller, limit: int, cursor: int | None = None, campaign: str | None = None, state: str | None = None
) -> tuple[list[Look], str | None]:
    """A page of the caller's experiments, or for an instructor of all experiments, newest first; and the cursor of the next page.

    Args:
        campaign: Only the trials of this one.
        state: Only those in this one.
    """
    question = select(experiment).where(caller.owned(experiment.c.person)).order_by(experiment.c.number.desc()).limit(limit + 1)
    if campaign is not None:
        question = question.where(experiment.c.campaign == campaign)
    if state is not None:
        states = (fair_queue.QUEUED, fair_queue.LEASED) if state == fair_queue.QUEUED else (state,)
        question = question.where(experiment.c.state.in_(states))
    if cursor is not None:
        question = question.where(experiment.c.number < cursor)
    rows = fetched(ExperimentRow, connection.execute(question))
    return _scored(connection, rows[:limit]), str(rows[limit - 1].number) if len(rows) > limit else None


def _scored(connection: Connection, rows: Sequence[ExperimentRow]) -> list[Look]:
    """Experiments with their scores."""
    scores: dict[str, float | None] = {}
    for identity in {row.campaign for row in rows if row.campaign is not None and row.finished_at is not None}:
        trials = [row for row in rows if row.campaign == identity and row.finished_at is not None]
        found = standings.scores_for(connection, campaigns.find(connection, identity), trials)
        scores |= {row.id: found[row.trial or 0].score for row in trials}
    return [Look(row, score=scores.get(row.id)) for row in rows]


def owner_for(connection: Connection, caller: Caller, identity: str) -> str:
    """The owner of an experiment that the caller may see; another's is refused exactly like one that does not exist.

    Raises:
        NotFound: There is none.
    """
    owner: str | None = connection.execute(_owner, {"which": identity}).scalar_one_or_none()
    if owner is None or not caller.sees(connection, owner):
        raise NotFound(f"there is no experiment {identity[:40]}; GET /v1/experiments lists yours")
    return owner


def _order(connection: Connection, now: float, known: Rigs, caller: Caller, request: Request) -> Order:
    rig, row = rigs.usable(connection, known, request.rig, caller)
    settings = rig.experiment.check(request.settings)
    if row.is_real:
        caller.check_person(f"an experiment on the real rig {row.name} that no campaign with approve suggests")
    if request.campaign is None and request.trial is not None:
        raise InvalidInput(f"trial {request.trial} of which campaign? send the campaign's id with it, or leave the trial out")
    cost = rig.estimate(settings, twins.past_of(connection, row, caller.person, request.campaign))
    tasks.admit(connection, now, row, caller.person, cost)
    trial = None
    if request.campaign is not None:
        trial = campaigns.admit(connection, caller, request.campaign, request.rig, request.trial, cost)
    if not caller.is_instructor and fair_queue.n_waiting(connection, caller.person) >= WAITING:
        words = f"{WAITING:,} experiments of yours wait; send more when some of them are done, or abort some"
        raise TooMany(words, retry_after=10.0)
    return Order(
        caller.person,
        request.rig,
        settings,
        cost,
        is_urgent=caller.is_instructor,
        campaign=request.campaign,
        trial=trial,
        agent=caller.agent,
    )
