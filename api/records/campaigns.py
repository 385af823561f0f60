"""The states of a campaign. Every step is one change of the database.

    running → waiting (with a suggestion, for a person) → running;  running, waiting ⇄ paused;  any of them → ended → running (extended)

The server tries trial after trial of a campaign in the mode ``server``; one in the mode ``client`` collects experiments that its owner's
own program submits under one name. Trials are numbered from 1, in the order in which they were submitted; without gaps, except where a
program leaves numbers out, for trials that were done elsewhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, or_, select, update

from api.errors import Conflict, NotFound
from api.records import event_log, fair_queue, ledger, standings
from api.records.identifiers import new_id
from api.records.people import Caller
from api.records.rows import CampaignRow, ExperimentRow, RigRow, fetched, fetched_one
from api.records.tables import campaign, experiment
from frugaltwin.amounts import Amounts
from frugaltwin.budget import Budget
from frugaltwin.errors import CampaignError
from frugaltwin.experiment import quantity

RUNNING, WAITING, PAUSED, ENDED = "running", "waiting", "paused", "ended"
SERVER, CLIENT = "server", "client"
AT_ONCE = 100
"""Campaigns of one person that the server may run at once."""
THINKING = 10.0
"""s that a process has to choose the next trial, before another one tries too: the first may have been killed."""
SLACK = 1e-9
"""Of a limit, for sums that are rounded."""

_by_id = select(campaign).where(campaign.c.id == bindparam("which"))
_by_name = select(campaign).where(campaign.c.person == bindparam("whose"), campaign.c.name == bindparam("which"))
_trials = select(experiment).where(experiment.c.campaign == bindparam("which")).order_by(experiment.c.trial)
_last = select(func.max(experiment.c.trial)).where(experiment.c.campaign == bindparam("which"))
_last_ended = _last.where(experiment.c.finished_at.is_not(None))
_lately = _trials.where(experiment.c.finished_at.is_not(None), experiment.c.state != fair_queue.ABORTED)
_count = select(func.count()).where(experiment.c.campaign == bindparam("which"))
_open = select(experiment).where(experiment.c.campaign == bindparam("which"), experiment.c.state.in_(fair_queue.OPEN))
_newest_first = _open.order_by(experiment.c.trial.desc())  # so that none moves up behind one that is aborted next
_change = update(campaign).where(campaign.c.id == bindparam("which"))


def find(connection: Connection, identity: str, caller: Caller | None = None) -> CampaignRow:
    """A campaign by its id.

    Args:
        caller: Another's is refused exactly like one that does not exist.

    Raises:
        NotFound: There is none.
    """
    row = fetched_one(CampaignRow, connection.execute(_by_id, {"which": identity}))
    if row is None or (caller is not None and not caller.sees(connection, row.person)):
        raise _not_found(identity)
    return row


def _not_found(identity: str) -> NotFound:
    return NotFound(f"there is no campaign {identity[:40]}; GET /v1/campaigns lists yours")


def named(connection: Connection, whose: str, name: str) -> CampaignRow | None:
    """A person's campaign by its name, if there is one."""
    return fetched_one(CampaignRow, connection.execute(_by_name, {"whose": whose, "which": name}))


def page(
    connection: Connection, caller: Caller, limit: int, cursor: int | None = None, state: str | None = None
) -> tuple[list[CampaignRow], str | None]:
    """A page of the caller's campaigns, or for an instructor of all campaigns, newest first; and the cursor of the next page.

    Args:
        state: Only those in this one.
    """
    question = select(campaign).where(caller.owned(campaign.c.person)).order_by(campaign.c.number.desc()).limit(limit + 1)
    if state is not None:
        question = question.where(campaign.c.state == state)
    if cursor is not None:
        question = question.where(campaign.c.number < cursor)
    rows = fetched(CampaignRow, connection.execute(question))
    return rows[:limit], str(rows[limit - 1].number) if len(rows) > limit else None


def start(
    connection: Connection, now: float, whose: str, name: str, rig: RigRow, mode: str, words: Mapping[str, Any], agent: str | None = None
) -> CampaignRow:  # fmt: skip
    """A new campaign, running.

    Args:
        words: Goal, strategy, seed, budget, stop rule, whether a person approves.
        agent: The id of the token of the agent that starts it.

    Raises:
        Conflict: The server runs too many of this person's.
    """
    _check_count(connection, whose, mode)
    number = (connection.execute(select(func.max(campaign.c.number))).scalar_one() or 0) + 1
    row = CampaignRow(
        id=new_id("c"), person=whose, name=name, rig=rig.name, mode=mode, words_json=json.dumps(dict(words), allow_nan=False),
        experiment_json=rig.experiment_json, state=RUNNING, reason=None, proposal_json=None, n_before=0, thinker=None,
        thinker_until=None, created_at=now, number=number, agent=agent,
    )  # fmt: skip
    connection.execute(insert(campaign), vars(row))
    standings.begin(connection, row.id)
    _tell(connection, now, row)
    return row


def turn(connection: Connection, now: float, row: CampaignRow, state: str, reason: str | None, **values: Any) -> CampaignRow:
    """Bring a campaign into a state; its row then.

    Args:
        values: Other columns that change with it.
    """
    values |= {"state": state, "reason": reason}
    connection.execute(_change.values(**values), {"which": row.id})
    then = replace(row, **values)
    if (row.state, row.reason, row.proposal_json) != (state, reason, then.proposal_json):
        _tell(connection, now, then)
    return then


def go_on(connection: Connection, now: float, row: CampaignRow, **values: Any) -> CampaignRow:
    """Let a campaign go on, for a person: a proposal waits again, and failures count from here.

    Raises:
        Conflict: The server runs too many of its owner's.
    """
    _check_count(connection, row.person, row.mode)
    state = WAITING if row.proposal.get("settings") is not None else RUNNING
    return turn(connection, now, row, state, None, n_before=n_trials(connection, row.id), thinker=None, **values)


def stop(connection: Connection, now: float, row: CampaignRow, why: str) -> CampaignRow:
    """End a campaign: queued experiments are aborted, and a rig that runs for it is stopped."""
    for open_one in fetched(ExperimentRow, connection.execute(_newest_first, {"which": row.id}).all()):
        fair_queue.abort(connection, now, open_one.id, why)
    return turn(connection, now, row, ENDED, why, proposal_json=None)


def choose_again(connection: Connection, now: float, row: CampaignRow) -> CampaignRow:
    """Take back what waits for a person, because it was chosen from what is known otherwise now."""
    if not row.proposal:
        return row
    return turn(connection, now, row, RUNNING if row.state == WAITING else row.state, row.reason, proposal_json=None)


def n_trials(connection: Connection, identity: str) -> int:
    """The number of a campaign's last trial, open or not; 0 when there is none."""
    return int(connection.execute(_last, {"which": identity}).scalar_one() or 0)


def last_done(connection: Connection, identity: str) -> int:
    """The number of the last trial of a campaign before which none is open; 0 when there is none."""
    first_open = min((row.trial or 0 for row in open_experiments(connection, identity)), default=None)
    return n_trials(connection, identity) if first_open is None else first_open - 1


def last_ended(connection: Connection, identity: str) -> int:
    """The number of the last of a campaign's trials that has ended; 0 when none has."""
    return int(connection.execute(_last_ended, {"which": identity}).scalar_one() or 0)


def lately_ended(connection: Connection, identity: str, count: int) -> list[ExperimentRow]:
    """The last of a campaign's experiments that have ended and were not aborted, newest first."""
    question = _lately.order_by(None).order_by(experiment.c.trial.desc()).limit(count)
    return fetched(ExperimentRow, connection.execute(question, {"which": identity}))


def rows_of(connection: Connection, identity: str, last: int | None = None) -> list[ExperimentRow]:
    """A campaign's experiments in the order of their numbers.

    Args:
        last: The number of the last one that is wanted.
    """
    question = _trials if last is None else _trials.where(experiment.c.trial <= last)
    return fetched(ExperimentRow, connection.execute(question, {"which": identity}))


def count(connection: Connection, identity: str, last: int | None = None) -> int:
    """The number of a campaign's experiments; with `last`, of those up to that number."""
    question = _count if last is None else _count.where(experiment.c.trial <= last)
    return int(connection.execute(question, {"which": identity}).scalar_one())


def rows_page(connection: Connection, identity: str, limit: int, first: int) -> tuple[list[ExperimentRow], str | None]:
    """A page of a campaign's experiments in the order of their numbers, and the first number of the next page."""
    question = select(experiment).where(experiment.c.campaign == identity, experiment.c.trial >= first)
    rows = fetched(ExperimentRow, connection.execute(question.order_by(experiment.c.trial).limit(limit + 1)))
    return rows[:limit], str(rows[limit].trial) if len(rows) > limit else None


def last_trial(connection: Connection, identity: str) -> int:
    """The number of a campaign's newest trial; 0 before the first."""
    return connection.execute(_last, {"which": identity}).scalar_one() or 0


def open_experiments(connection: Connection, identity: str) -> list[ExperimentRow]:
    """A campaign's experiments that have not ended."""
    return fetched(ExperimentRow, connection.execute(_open, {"which": identity}))


def admit(connection: Connection, caller: Caller, identity: str, rig: str, number: int | None, price: Amounts) -> int:
    """The number of a trial that the owner's own program submits; without one it follows the last.

    Raises:
        NotFound: There is no such campaign, or it is another's.
        Conflict: It takes no trials, not on this rig, or not with this number.
        CampaignError: Its budget does not allow a trial of this price.
    """
    row = find(connection, identity)
    if row.person != caller.person:  # an instructor's too: the trial would be charged to the wrong person
        raise _not_found(identity)
    if row.mode != CLIENT:
        raise Conflict(f"campaign {row.name!r} is run by the server; leave the campaign out, or start one with the mode client")
    if row.state != RUNNING:
        raise Conflict(f"campaign {row.name!r} is {row.state}; resume or extend it, or start another")
    if row.rig != rig:
        raise Conflict(f"campaign {row.name!r} is on the rig {row.rig}, not {rig}; start another for this rig")
    after = n_trials(connection, identity) + 1
    if number is not None and number < after:
        raise Conflict(f"the next trial of campaign {row.name!r} has a number from {after} on, not {number}; read its trials, then go on")
    _check_budget(connection, row, price)
    return after if number is None else number


def _check_budget(connection: Connection, row: CampaignRow, price: Amounts) -> None:
    """Refuse a trial that would take more than a campaign may use, with all that it has under way."""
    limits = Budget(**row.words["budget"]).limits
    runs = Amounts(runs=count(connection, row.id))
    used = ledger.of_campaign(connection, row.id) if limits.keys() - {"runs"} else Amounts()
    for kind in Amounts.kinds():
        limit, more = limits.get(kind.name, math.inf), getattr(price + Amounts(runs=1), kind.name)
        has = getattr(runs if kind.name == "runs" else used, kind.name)
        if has + more > limit * (1 + SLACK):
            words = (
                f"{quantity(has, kind.unit)} of {quantity(limit, kind.unit)} {kind.name} used, it would take {quantity(more, kind.unit)}"
            )
            raise CampaignError(f"the budget of campaign {row.name!r} does not allow this trial ({words}); extend the campaign first")


def candidates(connection: Connection, now: float, thinker: str) -> list[tuple[str, str]]:
    """The campaigns for which something may have to be chosen now, and by this thinker, oldest first: ids, and whose they are."""
    of_it = experiment.c.campaign == campaign.c.id
    last = select(experiment.c.state).where(of_it).order_by(experiment.c.trial.desc()).limit(1).scalar_subquery()
    is_idle = or_(last.is_(None), last.not_in(fair_queue.OPEN))  # one trial at a time: those before the last have ended
    is_free = or_(campaign.c.thinker.is_(None), campaign.c.thinker == thinker, ~campaign.c.thinker_until.between(now, now + THINKING))
    question = select(campaign.c.id, campaign.c.person).where(campaign.c.state == RUNNING, campaign.c.mode == SERVER, is_idle, is_free)
    return [(row.id, row.person) for row in connection.execute(question.order_by(campaign.c.number))]


def claim(connection: Connection, now: float, identity: str, thinker: str) -> CampaignRow | None:
    """Claim the choice of the next trial of a campaign; its row, or None when there is nothing to choose or another one chooses."""
    row = find(connection, identity)
    is_taken = row.thinker not in (None, thinker) and now <= (row.thinker_until or 0.0) <= now + THINKING  # the clock may be set back
    if row.state != RUNNING or is_taken or open_experiments(connection, identity):
        return None
    values: dict[str, Any] = {"thinker": thinker, "thinker_until": now + THINKING}
    connection.execute(_change.values(**values), {"which": identity})
    return replace(row, **values)


def unchanged(connection: Connection, identity: str, n_known: int) -> CampaignRow | None:
    """The campaign, if it still waits for the choice that was made after `n_known` trials; else None."""
    row = find(connection, identity)
    is_waiting = row.state == RUNNING and n_trials(connection, identity) == n_known and not open_experiments(connection, identity)
    return row if is_waiting else None


def release(connection: Connection, identity: str, thinker: str) -> None:
    """Give a claim up."""
    connection.execute(_change.where(campaign.c.thinker == thinker).values(thinker=None), {"which": identity})


def _check_count(connection: Connection, whose: str, mode: str) -> None:
    going_on = (campaign.c.person == whose, campaign.c.mode == SERVER, campaign.c.state.in_((RUNNING, WAITING)))
    n = connection.execute(select(func.count()).select_from(campaign).where(*going_on)).scalar_one()
    if mode == SERVER and n >= AT_ONCE:
        raise Conflict(f"the server runs {n} campaigns of one person at once, and not more; wait until one has ended, or pause one")


def _tell(connection: Connection, now: float, row: CampaignRow) -> None:
    body: dict[str, Any] = {"name": row.name, "state": row.state} | ({"reason": row.reason} if row.reason else {})
    if row.state == WAITING:
        body["proposal"] = row.proposal
    event_log.record(connection, now, f"campaign.{row.state}", row.person, body, rig=row.rig, campaign=row.id)
