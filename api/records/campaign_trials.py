"""Trials of a campaign: its experiments that have ended, as `frugaltwin` knows trials, and what they have come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from api.records import campaign_log, campaigns, standings
from api.records.rows import CampaignRow, ExperimentRow
from api.records.standings import Score, experiment_of, goal_for, trial_of
from frugaltwin.amounts import Amounts
from frugaltwin.budget import IDLE
from frugaltwin.experiment import Trial
from frugaltwin.log import Log
from frugaltwin.state import Earlier


def log_of(connection: Connection, row: CampaignRow) -> Log:
    """A campaign's log: its trials that have ended, and what was said."""
    goal, scores = goal_for(row), standings.scores_of(connection, row.id)
    performed = [trial for x in campaigns.rows_of(connection, row.id) if (trial := trial_of(x, goal, scores.get(x.trial or 0)))]
    return Log(performed, campaign_log.logged(campaign_log.entries_of(connection, row.id)))


def trials_of(connection: Connection, row: CampaignRow) -> list[Trial]:
    """A campaign's trials that have ended, in their order, as they stand after corrections."""
    return log_of(connection, row).trials


def earlier_of(connection: Connection, words: Mapping[str, Any]) -> tuple[Earlier, ...]:
    """The earlier campaigns that a campaign's words name: their trials of that time, as they stand now."""
    found = []
    for name, known in words.get("earlier", {}).items():
        row = campaigns.find(connection, known["campaign"])
        trials = tuple(t for t in trials_of(connection, row) if t.number <= known["trials"])
        found.append(Earlier(experiment_of(row.experiment_json), trials, known["relation"], name))
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
