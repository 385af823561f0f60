"""Trials of a campaign: its experiments that have ended, as `frugaltwin` knows trials, and what they have come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from api.errors import Conflict
from api.records import campaign_log, campaigns, standings
from api.records.rows import CampaignRow, ExperimentRow
from api.records.standings import Score, experiment_of, goal_for, trial_of
from frugaltwin.amounts import Amounts
from frugaltwin.budget import IDLE
from frugaltwin.experiment import Trial
from frugaltwin.log import Log
from frugaltwin.state import Earlier

ENTRIES = 4
"""Entries of logs that are thought about, in multiples of the trials: a suggestion that a person judges has two."""


def check_size(connection: Connection, row: CampaignRow | None, earlier: Mapping[str, Mapping[str, Any]], most: int) -> None:
    """Refuse to think about a campaign that is too large. Only counts it: to read all of it would take seconds.

    Args:
        row: The campaign; None for one that is not there yet.
        earlier: Its earlier campaigns, as its words name them.
        most: Trials at most of all of them.

    Raises:
        Conflict: There are more, or too many entries of their logs.
    """
    whole = {row.id: None} if row else {}
    asked: dict[str, int | None] = {**whole, **{known["campaign"]: known["trials"] for known in earlier.values()}}
    trials = sum(campaigns.count(connection, identity, last) for identity, last in asked.items())
    entries = campaign_log.count(connection, asked)
    if trials <= most and entries <= ENTRIES * most:
        return
    n, what, limit = (trials, "trials", most) if trials > most else (entries, "entries in its log", ENTRIES * most)
    whose = f"campaign {row.name!r}" if row else "what it would learn from"
    all_in_all = ", with its earlier campaigns," if row and earlier else ""
    then = "export it, and think about it on a machine of your own" if row else "name fewer earlier campaigns"
    raise Conflict(f"{whose} has {n:,} {what}{all_in_all} and this service thinks about {limit:,} at most; {then}")


def log_of(connection: Connection, row: CampaignRow, last: int | None = None) -> Log:
    """A campaign's log: its trials that have ended, and what was said.

    Args:
        last: The number of the last trial that is wanted.
    """
    goal, rows = goal_for(row), campaigns.rows_of(connection, row.id, last)
    scores = standings.scores_of(connection, row.id, None if last is None else [x.trial or 0 for x in rows])
    performed = [trial for x in rows if (trial := trial_of(x, goal, scores.get(x.trial or 0)))]
    return Log(performed, campaign_log.logged(campaign_log.entries_of(connection, row.id)))


def earlier_of(connection: Connection, words: Mapping[str, Any]) -> tuple[Earlier, ...]:
    """The earlier campaigns that a campaign's words name: their trials of that time, as they stand now."""
    found = []
    for name, known in words.get("earlier", {}).items():
        row = campaigns.find(connection, known["campaign"])
        trials = log_of(connection, row, known["trials"]).trials
        found.append(Earlier(experiment_of(row.experiment_json), tuple(trials), known["relation"], name))
    return tuple(found)


def lately(connection: Connection, row: CampaignRow) -> list[Trial]:
    """The last trials of a campaign's rig, as many as tell whether a budget would ever be used."""
    goal = goal_for(row)
    return [trial for x in campaigns.lately_ended(connection, row.id, IDLE) if (trial := trial_of(x, goal))]


@dataclass(frozen=True)
class Summary:
    """The state of a campaign's search."""

    title: str
    """The goal in words."""
    unit: str
    """Of the score."""
    result: str
    """In one sentence."""
    good: list[ExperimentRow]
    """The best trial, if there is one; of a goal with several objectives the front."""
    scores: Mapping[int, Score]
    """Of these, by number."""
    has_front: bool
    """Whether the goal has several objectives."""
    spent: Amounts


def summary(connection: Connection, row: CampaignRow) -> Summary:
    """The best trial of a campaign, and the cost of all."""
    goal, (sums, scores) = goal_for(row), standings.look(connection, row)
    good = standings.rows_of(connection, row.id, list(scores)) if scores else []
    trials = [trial for x in good if (trial := standings.standing_trial(x, goal, scores[x.trial or 0]))]
    return Summary(goal.title, goal.unit, goal.sentence(sums.tally, trials), good, scores, goal.has_front, sums.spent)
