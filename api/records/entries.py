"""Judgments of people about a campaign: which trial is better, what is wrong with a trial, that a suggestion is not wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from api.records import campaign_actions, campaign_log, campaigns, standings
from api.records.people import Caller
from api.records.rows import CampaignRow, EntryRow
from api.records.standings import goal_for
from frugaltwin.campaign import sensible
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Measurement
from frugaltwin.log import Amendment, Entry, Log, Preference, Rejection, Retraction

FIELDS: Mapping[str, tuple[str, ...]] = {
    "preference": ("better", "worse"),
    "rejection": ("settings",),
    "retraction": ("number",),
    "amendment": ("number", "outcomes"),
}
"""The fields of each kind that a person may write, besides `why`."""


def say(connection: Connection, now: float, caller: Caller, identity: str, kind: str, words: Mapping[str, Any]) -> EntryRow:
    """Add what a person says to the log of a campaign.

    Args:
        words: The fields of this kind, and `why`.

    Raises:
        NotFound: The caller has no such campaign.
        Forbidden: The token may not run experiments on its rig.
        InvalidInput: The fields are not those of this kind, or make no sense after what is in the log.
    """
    row = campaign_actions.of_caller(connection, caller, identity)
    given = {name for name, value in words.items() if value is not None and name != "why"}
    if given != set(FIELDS[kind]):
        raise InvalidInput(f"{kind} takes {' and '.join(FIELDS[kind])}, besides why; add what is missing, leave the rest out")
    log = _about(connection, row, [words[name] for name in ("better", "worse", "number") if words.get(name) is not None])
    entry = _entry(row, log, kind, words)
    log.check(entry)
    if isinstance(entry, Rejection):
        return campaign_actions.turn_down(connection, now, row, entry, caller.person)
    kept = campaign_log.add(connection, now, row, entry, campaigns.n_trials(connection, identity), caller.person)
    if isinstance(entry, Retraction | Amendment):
        standings.correct(connection, row, entry)
        campaigns.choose_again(connection, now, row)
    return kept


def page(
    connection: Connection, caller: Caller, identity: str, limit: int, cursor: int, kind: str | None
) -> tuple[list[EntryRow], str | None]:  # fmt: skip
    """A page of a campaign's entries, oldest first, and the cursor of the next page.

    Raises:
        NotFound: The caller has no such campaign.
    """
    return campaign_log.page(connection, campaigns.find(connection, identity, caller).id, limit, cursor, kind)


def _about(connection: Connection, row: CampaignRow, numbers: Sequence[int]) -> Log:
    """The log as far as it says something about some trials, and which is the last: a campaign may have many."""
    goal, last = goal_for(row), campaigns.last_ended(connection, row.id)
    rows = standings.rows_of(connection, row.id, [*numbers, last]) if last else []
    scores = standings.scores_for(connection, row, rows)
    return Log([trial for x in rows if x.finished_at and (trial := standings.standing_trial(x, goal, scores[x.trial or 0]))])


def _entry(row: CampaignRow, log: Log, kind: str, words: Mapping[str, Any]) -> Entry:
    why, goal = words["why"], goal_for(row)
    if kind == "preference":
        return Preference(words["better"], words["worse"], why)
    if kind == "rejection":
        return Rejection(goal.experiment.check(words["settings"]), why)
    if kind == "retraction":
        return Retraction(words["number"], why)
    entry = log.amendment(goal.experiment, words["number"], words["outcomes"], why)
    settings = next(t.settings for t in log.performed if t.number == entry.number)
    sensible(goal, settings, Measurement(entry.outcomes))
    return entry
