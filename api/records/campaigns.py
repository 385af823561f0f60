"""The course of a campaign, every step of it one change of the database.

    running → waiting (with a suggestion, for a person) → running;  running, waiting ⇄ paused;  any of them → ended → running (extended)

The server tries trial after trial of a campaign in the mode ``server``; one in the mode ``client`` is a number of experiments that
somebody's own program submits under one name. Trials are numbered from 1, in the order in which they were submitted; without gaps, but
where a program leaves numbers out, for trials that were done elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, or_, select, update

from api.records import event_log, fair_queue
from api.records.fair_queue import Conflict, NotFound, Row, new_id
from api.records.people import Caller
from api.records.tables import campaign, experiment
from frugaltwin.campaign import OfflineDriver, sensible
from frugaltwin.costs import Cost
from frugaltwin.errors import OutOfBounds
from frugaltwin.experiment import Experiment, Measurement, Trial
from frugaltwin.goals import Goal
from frugaltwin.store import experiment_from_json

RUNNING, WAITING, PAUSED, ENDED = "running", "waiting", "paused", "ended"
SERVER, CLIENT = "server", "client"
AT_ONCE = 100
"""Campaigns of one person that the server may run at once."""
THINKING = 10.0
"""s that a process has for choosing what to try next, before another one tries too: the first may have been killed."""

_by_id = select(campaign).where(campaign.c.id == bindparam("which"))
_by_name = select(campaign).where(campaign.c.person == bindparam("whose"), campaign.c.name == bindparam("which"))
_trials = select(experiment).where(experiment.c.campaign == bindparam("which")).order_by(experiment.c.trial)
_last = select(func.max(experiment.c.trial)).where(experiment.c.campaign == bindparam("which"))
_open = select(experiment).where(experiment.c.campaign == bindparam("which"), experiment.c.state.in_(fair_queue.OPEN))
_newest_first = _open.order_by(experiment.c.trial.desc())  # so that nobody closes up behind one that is taken back next
_change = update(campaign).where(campaign.c.id == bindparam("which"))


def find(connection: Connection, identity: str, caller: Caller | None = None) -> Row:
    """A campaign by its id.

    Args:
        caller: Another's is refused exactly like one that does not exist.

    Raises:
        NotFound: There is none.
    """
    row = connection.execute(_by_id, {"which": identity}).mappings().one_or_none()
    if row is None or (caller is not None and row["person"] != caller.person and not caller.is_instructor):
        raise NotFound(f"there is no campaign {identity[:40]}; GET /v1/campaigns lists yours")
    return dict(row)


def named(connection: Connection, whose: str, name: str) -> Row | None:
    """Somebody's campaign by its name, if there is one."""
    row = connection.execute(_by_name, {"whose": whose, "which": name}).mappings().one_or_none()
    return dict(row) if row else None


def start(
    connection: Connection, now: float, whose: str, name: str, rig: Mapping[str, Any], mode: str, words: Mapping[str, Any]
) -> Row:  # fmt: skip
    """A new campaign, running; its row.

    Args:
        rig: Its row.
        words: Goal, strategy, seed, budget, stop rule, whether a person approves.

    Raises:
        Conflict: The server runs too many of theirs.
    """
    _check_count(connection, whose, mode)
    number = (connection.execute(select(func.max(campaign.c.number))).scalar_one() or 0) + 1
    row: Row = {
        "id": new_id("c"), "person": whose, "name": name, "rig": rig["name"], "mode": mode, "state": RUNNING, "reason": None,
        "words_json": json.dumps(dict(words), allow_nan=False), "experiment_json": rig["experiment_json"], "proposal_json": None,
        "n_before": 0, "thinker": None, "thinker_until": None, "created_at": now, "number": number,
    }  # fmt: skip
    connection.execute(insert(campaign), row)
    _tell(connection, now, row)
    return row


def turn(connection: Connection, now: float, row: Row, state: str, reason: str | None, **values: Any) -> Row:
    """Bring a campaign into a state; its row then.

    Args:
        values: Other columns that change with it.
    """
    values |= {"state": state, "reason": reason}
    connection.execute(_change.values(**values), {"which": row["id"]})
    then = row | values
    if (row["state"], row["reason"], row["proposal_json"]) != (state, reason, then["proposal_json"]):
        _tell(connection, now, then)
    return then


def go_on(connection: Connection, now: float, row: Row, **values: Any) -> Row:
    """A person lets a campaign go on: what waited for a person waits again, and failures count from here.

    Raises:
        Conflict: The server runs too many of its owner's.
    """
    _check_count(connection, row["person"], row["mode"])
    proposal = json.loads(row["proposal_json"] or "{}")
    state = WAITING if proposal.get("settings") is not None else RUNNING
    return turn(connection, now, row, state, None, n_before=n_trials(connection, row["id"]), thinker=None, **values)


def stop(connection: Connection, now: float, row: Row, why: str) -> Row:
    """End a campaign: what is queued is taken back, and a rig that runs for it is stopped."""
    for open_one in connection.execute(_newest_first, {"which": row["id"]}).mappings().all():
        fair_queue.abort(connection, now, open_one["id"], why)
    return turn(connection, now, row, ENDED, why, proposal_json=None)


def n_trials(connection: Connection, identity: str) -> int:
    """The number of a campaign's last trial, open or not; 0 when there is none."""
    return int(connection.execute(_last, {"which": identity}).scalar_one() or 0)


def rows_of(connection: Connection, identity: str) -> list[Row]:
    """A campaign's experiments in the order of their numbers."""
    return list(map(dict, connection.execute(_trials, {"which": identity}).mappings().all()))


def open_experiments(connection: Connection, identity: str) -> list[Row]:
    """Those that have not ended."""
    return list(map(dict, connection.execute(_open, {"which": identity}).mappings().all()))


def admit(connection: Connection, caller: Caller, identity: str, rig: str, number: int | None) -> int:
    """The number of a trial that somebody's own program submits; without one it follows the last.

    Raises:
        NotFound: There is no such campaign, or it is another's.
        Conflict: It takes no trials, not on this rig, or not with this number.
    """
    row = find(connection, identity)
    if row["person"] != caller.person:  # an instructor's too: the trial would be charged to the wrong person
        raise NotFound(f"there is no campaign {identity[:40]}; GET /v1/campaigns lists yours")
    if row["mode"] != CLIENT:
        raise Conflict(f"campaign {row['name']!r} is run by the server; leave the campaign out, or start one with the mode client")
    if row["state"] != RUNNING:
        raise Conflict(f"campaign {row['name']!r} is {row['state']}; resume or extend it, or start another")
    if row["rig"] != rig:
        raise Conflict(f"campaign {row['name']!r} is on the rig {row['rig']}, not {rig}; start another for this rig")
    after = n_trials(connection, identity) + 1
    if number is not None and number < after:
        raise Conflict(
            f"the next trial of campaign {row['name']!r} has a number from {after} on, not {number}; read its trials, then go on"
        )
    return after if number is None else number


def candidates(connection: Connection, now: float, thinker: str) -> list[tuple[str, str]]:
    """The campaigns for which something may have to be chosen now, and by this thinker, oldest first: ids, and whose they are."""
    of_it = experiment.c.campaign == campaign.c.id
    last = select(experiment.c.state).where(of_it).order_by(experiment.c.trial.desc()).limit(1).scalar_subquery()
    is_idle = or_(last.is_(None), last.not_in(fair_queue.OPEN))  # one trial at a time: those before the last have ended
    is_free = or_(campaign.c.thinker.is_(None), campaign.c.thinker == thinker, ~campaign.c.thinker_until.between(now, now + THINKING))
    question = select(campaign.c.id, campaign.c.person).where(campaign.c.state == RUNNING, campaign.c.mode == SERVER, is_idle, is_free)
    return [(row.id, row.person) for row in connection.execute(question.order_by(campaign.c.number))]


def claim(connection: Connection, now: float, identity: str, thinker: str) -> Row | None:
    """Take on the choice of what a campaign tries next; its row, or nothing when there is nothing to choose or another does."""
    row = find(connection, identity)
    is_taken = row["thinker"] not in (None, thinker) and now <= row["thinker_until"] <= now + THINKING  # the clock may be set back
    if row["state"] != RUNNING or is_taken or open_experiments(connection, identity):
        return None
    values = {"thinker": thinker, "thinker_until": now + THINKING}
    connection.execute(_change.values(**values), {"which": identity})
    return row | values


def unchanged(connection: Connection, identity: str, n_known: int) -> Row | None:
    """The campaign, if it still waits for what was chosen after `n_known` trials; else nothing."""
    row = find(connection, identity)
    is_waiting = row["state"] == RUNNING and n_trials(connection, identity) == n_known and not open_experiments(connection, identity)
    return row if is_waiting else None


def release(connection: Connection, identity: str, thinker: str) -> None:
    """Let go of what was claimed."""
    connection.execute(_change.where(campaign.c.thinker == thinker).values(thinker=None), {"which": identity})


@lru_cache(maxsize=256)
def experiment_of(text: str) -> Experiment:
    """What a campaign's rig could be asked, from JSON."""
    return experiment_from_json(json.loads(text))


@lru_cache(maxsize=1024)
def goal_of(goal: str, experiment_json: str) -> Goal:
    """The goal in a campaign's words. They name it in full: no truth is asked."""
    from frugaltwin import catalog

    return catalog.make_goal(goal, OfflineDriver(experiment_of(experiment_json)))


def trial_of(row: Mapping[str, Any], goal: Goal) -> Trial | None:
    """An experiment that has ended as the heart knows it; nothing while it is open."""
    state = row["state"]
    if state in fair_queue.OPEN:
        return None
    result = json.loads(row["result_json"]) if row["result_json"] else {}
    settings, cost = json.loads(row["settings_json"]), _cost(row, result)
    finished_at = datetime.fromtimestamp(row["finished_at"], UTC).isoformat(timespec="milliseconds")
    source = "stopped" if state == fair_queue.ABORTED else "driver"
    if state != fair_queue.SUCCEEDED:
        return Trial(row["trial"], settings, None, row["error"] or state, cost, source, finished_at)
    try:
        measurement = sensible(goal, settings, Measurement(result["outcomes"], cost, result["raw"]))
    except OutOfBounds as error:
        return Trial(row["trial"], settings, None, f"the reading makes no sense: {error}", cost, source, finished_at)
    return Trial(row["trial"], settings, measurement, None, cost, source, finished_at)


def _check_count(connection: Connection, whose: str, mode: str) -> None:
    going_on = (campaign.c.person == whose, campaign.c.mode == SERVER, campaign.c.state.in_((RUNNING, WAITING)))
    n = connection.execute(select(func.count()).select_from(campaign).where(*going_on)).scalar_one()
    if mode == SERVER and n >= AT_ONCE:
        raise Conflict(f"the server runs {n} campaigns of one person at once, and not more; wait until one has ended, or pause one")


def _cost(row: Mapping[str, Any], result: Mapping[str, Any]) -> Cost:
    """What it took: as measured, else what was reserved if the rig had begun."""
    if result:
        return Cost(**result["cost"])
    return Cost(row["seconds"], row["money"], row["volume"]) if row["started_at"] is not None else Cost()


def _tell(connection: Connection, now: float, row: Mapping[str, Any]) -> None:
    body = {"name": row["name"], "state": row["state"]} | ({"reason": row["reason"]} if row["reason"] else {})
    if row["state"] == WAITING:
        body["proposal"] = json.loads(row["proposal_json"])
    event_log.record(connection, now, f"campaign.{row['state']}", row["person"], body, rig=row["rig"], campaign=row["id"])
