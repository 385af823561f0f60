"""Trials of a campaign: its experiments that have ended, as `frugaltwin` knows trials, with the scores of its goal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

from api.records import campaign_log, campaigns, fair_queue
from api.records.rows import CampaignRow, EntryRow, ExperimentRow
from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.campaign import OfflineDriver, sensible
from frugaltwin.errors import OutOfBounds
from frugaltwin.experiment import Experiment, Measurement, Trial, total
from frugaltwin.goals import Goal
from frugaltwin.log import Log
from frugaltwin.state import Earlier
from frugaltwin.store import experiment_from_json


@lru_cache(maxsize=256)
def experiment_of(text: str) -> Experiment:
    """The experiment that a campaign's rig performed when it was started, from JSON."""
    return experiment_from_json(json.loads(text))


@lru_cache(maxsize=1024)
def goal_of(goal: str, experiment_json: str) -> Goal:
    """The goal in a campaign's words. They name it in full: no truth is asked."""
    return catalog.make_goal(goal, OfflineDriver(experiment_of(experiment_json)))


def trial_of(row: ExperimentRow, goal: Goal) -> Trial | None:
    """An experiment that has ended as a trial of `frugaltwin`; None while it is open."""
    state = row.state
    if state in fair_queue.OPEN:
        return None
    assert row.trial is not None
    assert row.finished_at is not None
    result, settings = row.result, row.settings
    cost = _cost(row, result)
    finished_at = datetime.fromtimestamp(row.finished_at, UTC).isoformat(timespec="milliseconds")
    source = "stopped" if state == fair_queue.ABORTED else "driver"
    if state != fair_queue.SUCCEEDED:
        return Trial(row.trial, settings, None, row.error or state, cost, source, finished_at)
    try:
        measurement = sensible(goal, settings, Measurement(result["outcomes"], cost, result["raw"]))
    except OutOfBounds as error:
        return Trial(row.trial, settings, None, f"the reading makes no sense: {error}", cost, source, finished_at)
    return Trial(row.trial, settings, measurement, None, cost, source, finished_at)


def goal_for(row: CampaignRow) -> Goal:
    """The goal of a campaign."""
    return goal_of(row.words["goal"], row.experiment_json)


def log_of(connection: Connection, row: CampaignRow) -> Log:
    """A campaign's log: its trials that have ended, and what was said."""
    return _log(row, campaigns.rows_of(connection, row.id), campaign_log.entries_of(connection, row.id))


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


def standing(row: CampaignRow, rows: Sequence[ExperimentRow], entries: Sequence[EntryRow]) -> dict[int, Trial]:
    """Trials of a campaign that have ended, as they stand after corrections, by their numbers.

    Args:
        rows: Their experiments.
        entries: All of the campaign's.
    """
    return {trial.number: trial for trial in _log(row, rows, entries).trials}


@dataclass(frozen=True)
class Summary:
    """The state of a campaign's search."""

    title: str
    """The goal in words."""
    unit: str
    """Of the score."""
    result: str
    """In one sentence."""
    best: ExperimentRow | None
    front: list[ExperimentRow] | None
    """None where the goal has none: it has one objective, or is a map."""
    spent: Amounts


def summary(connection: Connection, row: CampaignRow) -> Summary:
    """The best trial of a campaign, and the cost of all."""
    rows, goal = campaigns.rows_of(connection, row.id), goal_for(row)
    ended = _log(row, rows, campaign_log.entries_of(connection, row.id)).trials
    best, by_number = goal.best(ended), {x.trial: x for x in rows}
    front = [by_number[t.number] for t in goal.front(ended)] if goal.has_front else None
    row_of_best = by_number[best[0].number] if best else None
    return Summary(goal.title, goal.unit, goal.summary(ended), row_of_best, front, total(ended))


def _log(row: CampaignRow, rows: Sequence[ExperimentRow], entries: Sequence[EntryRow]) -> Log:
    goal = goal_for(row)
    return Log([trial for x in rows if (trial := trial_of(x, goal))], campaign_log.logged(entries))


def _cost(row: ExperimentRow, result: Mapping[str, Any]) -> Amounts:
    """The cost: as measured, else the reservation if the rig had begun."""
    if result:
        return Amounts(**result["cost"])
    return row.estimate if row.started_at is not None else Amounts()
