"""The standing of campaigns: the score of each trial, and sums over them, written once when a trial ends or is corrected.

So a look at a campaign takes the same time however many trials it has. Both are derived: `fill` makes them from the experiments and the log
where they are missing, as after an upgrade.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from typing import Any, Self

import numpy as np
from sqlalchemy import Connection, bindparam, delete, select, text

from api.records.prepared_statement import PreparedStatement
from api.records.rows import CampaignRow, EntryRow, ExperimentRow, fetched, fetched_one
from api.records.tables import campaign, entry, experiment, score, standing
from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.campaign import OfflineDriver, sensible
from frugaltwin.errors import OutOfBounds
from frugaltwin.experiment import Correction, Experiment, Measurement, Trial
from frugaltwin.goals import Goal, Tally
from frugaltwin.goals.goal import undominated
from frugaltwin.log import Amendment, Log, Logged, Retraction, entry_from_json
from frugaltwin.store import experiment_from_json

_log = logging.getLogger("frugaltwin.service")

_campaign = select(campaign).where(campaign.c.id == bindparam("which"))
_standing = PreparedStatement(select(standing.c.body_json).where(standing.c.campaign == bindparam("which")))
_keep = PreparedStatement(
    text(
        "insert into standing (campaign, body_json) values (:which, :body) "
        "on conflict (campaign) do update set body_json = excluded.body_json"
    )
)
_score = PreparedStatement(
    text(
        "insert into score (campaign, trial, loss, body_json) values (:which, :trial, :loss, :body) "
        "on conflict (campaign, trial) do update set loss = excluded.loss, body_json = excluded.body_json"
    )
)
_scores = select(score.c.trial, score.c.body_json).where(score.c.campaign == bindparam("which"))
_best = (
    select(score.c.trial)
    .where(score.c.campaign == bindparam("which"), score.c.loss.is_not(None))
    .order_by(score.c.loss, score.c.trial)
    .limit(1)
)
_ended = (
    select(experiment)
    .where(experiment.c.campaign == bindparam("which"), experiment.c.finished_at.is_not(None))
    .order_by(experiment.c.trial)
)
_entries = select(entry).where(entry.c.campaign == bindparam("which")).order_by(entry.c.id)


@dataclass(frozen=True)
class Score:
    """The score of a trial, as it stands after corrections."""

    score: float | None
    values: Mapping[str, Any]
    """By the columns of the goal."""
    losses: Sequence[float] | None = None
    """By objective; None where it does not count: it failed, or does not meet a requirement."""
    nonsense: str | None = None
    """Why a reading is none."""
    correction: Mapping[str, Any] | None = None
    """A person's correction: ``kind``, ``why`` and, where they were amended, ``outcomes``."""


@dataclass(frozen=True)
class Standing:
    """Sums over the trials of a campaign that have ended, as they stand after corrections."""

    tally: Tally = Tally()
    spent: Amounts = Amounts()
    front: Mapping[int, Sequence[float]] = field(default_factory=dict[int, Sequence[float]])
    """Of a goal with several objectives: the losses of the trials of its front, by their numbers."""

    def to_json(self) -> str:
        """As JSON."""
        return json.dumps({"tally": vars(self.tally), "spent": vars(self.spent), "front": list(self.front.items())}, allow_nan=False)

    @classmethod
    def from_json(cls, words: str) -> Self:
        """The inverse."""
        body = json.loads(words)
        return cls(Tally(**body["tally"]), Amounts(**body["spent"]), dict(body["front"]))


@lru_cache(maxsize=256)
def experiment_of(text: str) -> Experiment:
    """The experiment that a campaign's rig performed when it was started, from JSON."""
    return experiment_from_json(json.loads(text))


@lru_cache(maxsize=1024)
def goal_of(goal: str, experiment_json: str) -> Goal:
    """The goal in a campaign's words. They name it in full: no truth is asked."""
    return catalog.make_goal(goal, OfflineDriver(experiment_of(experiment_json)))


def goal_for(row: CampaignRow) -> Goal:
    """The goal of a campaign."""
    return goal_of(row.words["goal"], row.experiment_json)


def trial_of(row: ExperimentRow, goal: Goal, known: Score | None = None) -> Trial | None:
    """An experiment that has ended as a trial of `frugaltwin`, as it was performed; None while it is open.

    Args:
        known: Its score, which says whether the reading makes sense; without it that is found out.
    """
    if row.finished_at is None:
        return None
    assert row.trial is not None
    result, settings = row.result, row.settings
    cost, happened = _cost(row, result), result.get("happened", {})
    finished_at = datetime.fromtimestamp(row.finished_at, UTC).isoformat(timespec="milliseconds")
    source = "stopped" if row.state == "aborted" else "driver"
    if row.state != "succeeded":
        return Trial(row.trial, settings, None, row.error or row.state, cost, source, finished_at)
    try:
        if known is None:
            measurement = sensible(goal, settings, Measurement(result["outcomes"], cost, result["raw"], happened))
        elif known.nonsense is None:
            measurement = Measurement(_as_numbers(goal.experiment, result["outcomes"]), cost, result["raw"], happened)
        else:
            return Trial(row.trial, settings, None, known.nonsense, cost, source, finished_at)
    except OutOfBounds as error:
        return Trial(row.trial, settings, None, f"the reading makes no sense: {error}", cost, source, finished_at)
    return Trial(row.trial, settings, measurement, None, cost, source, finished_at)


def standing_trial(row: ExperimentRow, goal: Goal, known: Score) -> Trial | None:
    """An experiment that has ended as a trial, as it stands after corrections."""
    trial = trial_of(row, goal, known)
    if trial is None or known.correction is None:
        return trial
    correction = Correction(known.correction["why"], trial)
    if known.correction["kind"] == "retracted":
        return replace(trial, measurement=None, correction=correction)
    measured = trial.measurement or Measurement({}, trial.cost)
    return replace(trial, measurement=replace(measured, outcomes=known.correction["outcomes"]), error=None, correction=correction)


def begin(connection: Connection, identity: str) -> None:
    """A new campaign has no trials."""
    _keep(connection, {"which": identity, "body": Standing().to_json()})


def note(connection: Connection, changes: Iterable[tuple[ExperimentRow, ExperimentRow]]) -> None:
    """Keep the scores of experiments that have ended.

    Args:
        changes: Each as it was and as it is; one may end a second time, when it is heard of late.
    """
    trials = sorted(((was, row) for was, row in changes if row.campaign), key=lambda pair: pair[1].campaign or "")
    for identity, pairs in groupby(trials, key=lambda pair: pair[1].campaign or ""):
        found = _of(connection, identity)
        if found is None:
            continue
        row, goal, sums = found
        try:
            for was, now in pairs:
                number = now.trial or 0
                known = scores_of(connection, identity, [number]).get(number) if was.finished_at is not None else None
                before = standing_trial(was, goal, known) if known else None
                sums = _again(connection, identity, goal, sums, before, now, known.correction if known else None)
            _keep(connection, {"which": identity, "body": sums.to_json()})
        except Exception:  # a goal of another package must not keep a measurement from being stored
            _log.exception("the scores of campaign %s cannot be kept", row.name)
            _forget(connection, identity)


def correct(connection: Connection, row: CampaignRow, entry_: Retraction | Amendment) -> None:
    """Keep what a correction changes."""
    found = _of(connection, row.id)
    rows = rows_of(connection, row.id, [entry_.number])
    if found is None or not rows:
        return
    _, goal, sums = found
    known = scores_of(connection, row.id, [entry_.number]).get(entry_.number)
    if known is None:
        return
    before = standing_trial(rows[0], goal, known)
    said: dict[str, Any] = {"kind": "retracted", "why": entry_.why}
    if isinstance(entry_, Amendment):
        said = {"kind": "amended", "why": entry_.why, "outcomes": dict(entry_.outcomes)}
    sums = _again(connection, row.id, goal, sums, before, rows[0], said)
    _keep(connection, {"which": row.id, "body": sums.to_json()})


def look(connection: Connection, row: CampaignRow) -> tuple[Standing, dict[int, Score]]:
    """The standing of a campaign, and the scores of its good trials by their numbers: the best one, or the front."""
    found = _of(connection, row.id)
    if found is None:
        sums, goal, scores = _computed(connection, row)
        counting = {number: s.losses[0] for number, s in scores.items() if s.losses}
        best = min(counting, key=lambda number: (counting[number], number), default=None)
    else:
        _, goal, sums = found
        best = connection.execute(_best, {"which": row.id}).scalar_one_or_none() if goal.has_score else None
        scores = scores_of(connection, row.id, list(sums.front) if goal.has_front else [best] if best else [])
    good = sorted(sums.front) if goal.has_front else [best] if best and goal.has_score else []
    return sums, {number: scores[number] for number in good}


def scores_for(connection: Connection, row: CampaignRow, rows: Sequence[ExperimentRow]) -> dict[int, Score]:
    """The scores of some experiments of a campaign that have ended, by their numbers."""
    numbers = [x.trial or 0 for x in rows if x.finished_at is not None]
    found = scores_of(connection, row.id, numbers)
    return found if len(found) == len(numbers) else _computed(connection, row)[2]


def rows_of(connection: Connection, identity: str, numbers: Sequence[int]) -> list[ExperimentRow]:
    """The experiments of some trials of a campaign, in the order of their numbers."""
    question = select(experiment).where(experiment.c.campaign == identity, experiment.c.trial.in_(numbers))
    return fetched(ExperimentRow, connection.execute(question.order_by(experiment.c.trial)))


def scores_of(connection: Connection, identity: str, numbers: Sequence[int] | None = None) -> dict[int, Score]:
    """The scores of the trials of a campaign that have ended, by their numbers.

    Args:
        numbers: Only of these.
    """
    question = _scores if numbers is None else _scores.where(score.c.trial.in_(numbers))
    return {number: Score(**json.loads(words)) for number, words in connection.execute(question, {"which": identity})}


def fill(connection: Connection) -> int:
    """Make the standing of every campaign that has none; the number of those."""
    question = select(campaign).where(campaign.c.id.not_in(select(standing.c.campaign)))
    rows = fetched(CampaignRow, connection.execute(question).all())
    for row in rows:
        try:
            sums, goal, scores = _computed(connection, row)
        except Exception:
            _log.warning("campaign %s has no scores: its goal cannot be understood", row.name, exc_info=True)
            continue
        connection.execute(delete(score).where(score.c.campaign == row.id))
        for number, new in scores.items():
            _keep_score(connection, row.id, number, goal, new)
        _keep(connection, {"which": row.id, "body": sums.to_json()})
    return len(rows)


def _computed(connection: Connection, row: CampaignRow) -> tuple[Standing, Goal, dict[int, Score]]:
    """The standing of a campaign from its experiments and its log, and the scores of its trials."""
    goal = goal_for(row)
    rows = fetched(ExperimentRow, connection.execute(_ended, {"which": row.id}))
    performed = {t.number: (x, t) for x in rows if (t := trial_of(x, goal))}
    entries = fetched(EntryRow, connection.execute(_entries, {"which": row.id}))
    scores: dict[int, Score] = {}
    sums = Standing()
    for trial in Log([t for _, t in performed.values()], [Logged(entry_from_json(e.body), e.after) for e in entries]).trials:
        said: dict[str, Any] | None = None
        if trial.correction is not None:
            said = {"kind": "retracted" if trial.is_retracted else "amended", "why": trial.correction.why}
            said |= {"outcomes": dict(trial.measurement.outcomes)} if trial.measurement else {}
        of, first = performed[trial.number]
        losses = goal.losses(trial) if goal.objectives and goal.meets(trial) else None
        nonsense = first.error if of.state == "succeeded" else None
        scores[trial.number] = Score(goal.score_of_trial(trial), goal.values(trial), losses, nonsense, said)
        sums = _added(goal, sums, trial, 1)
    counting = {number: s.losses for number, s in scores.items() if s.losses is not None}
    return replace(sums, front=_front(counting) if goal.has_front else {}), goal, scores


def _of(connection: Connection, identity: str) -> tuple[CampaignRow, Goal, Standing] | None:
    row = fetched_one(CampaignRow, connection.execute(_campaign, {"which": identity}))
    kept = _standing(connection, {"which": identity})
    return (row, goal_for(row), Standing.from_json(kept[0]["body_json"])) if row and kept else None


def _forget(connection: Connection, identity: str) -> None:
    """Let it be made anew when it is asked for."""
    connection.execute(delete(score).where(score.c.campaign == identity))
    connection.execute(delete(standing).where(standing.c.campaign == identity))


def _keep_score(connection: Connection, identity: str, number: int, goal: Goal, new: Score) -> None:
    loss = new.losses[0] if new.losses and goal.has_score else None
    _score(connection, {"which": identity, "trial": number, "loss": loss, "body": json.dumps(vars(new), allow_nan=False)})


def _again(
    connection: Connection, identity: str, goal: Goal, sums: Standing, before: Trial | None, row: ExperimentRow,
    said: Mapping[str, Any] | None,
) -> Standing:  # fmt: skip
    """Keep the score of a trial; the sums with it as it stands now, in place of as it stood before.

    Args:
        said: What was corrected.
    """
    performed = trial_of(row, goal)
    assert performed is not None
    nonsense = performed.error if row.state == "succeeded" else None
    trial = standing_trial(row, goal, Score(None, {}, nonsense=nonsense, correction=said))
    assert trial is not None
    losses = goal.losses(trial) if goal.objectives and goal.meets(trial) else None
    new = Score(goal.score_of_trial(trial), goal.values(trial), losses, nonsense, said)
    _keep_score(connection, identity, trial.number, goal, new)
    if before is not None:
        sums = _added(goal, sums, before, -1)
    sums = _added(goal, sums, trial, 1)
    if not goal.has_front:
        return sums
    if before is None:
        return replace(sums, front=_with(sums.front, trial.number, losses))
    return replace(sums, front=_front({n: s.losses for n, s in sorted(scores_of(connection, identity).items()) if s.losses is not None}))


def _added(goal: Goal, sums: Standing, trial: Trial, n: int) -> Standing:
    label, tally = goal.label_of_trial(trial), sums.tally
    seen = {known: count for known in goal.labels if (count := tally.seen.get(known, 0) + n * (known == label))}
    is_measured = trial.measurement is not None
    is_uncounted = is_measured and not goal.counts(trial)
    spent = Amounts(runs=1) + trial.cost
    return replace(
        sums,
        tally=Tally(tally.n_trials + n, tally.n_measured + n * is_measured, seen, tally.n_uncounted + n * is_uncounted),
        spent=sums.spent + spent if n > 0 else sums.spent - spent,
    )


def _with(front: Mapping[int, Sequence[float]], number: int, losses: Sequence[float] | None) -> Mapping[int, Sequence[float]]:
    """A front with one trial more."""
    if losses is None or not front:
        return front if losses is None else {number: losses}
    own, others = np.array(losses), np.array(list(front.values()))
    if ((others <= own).all(axis=1) & (others < own).any(axis=1)).any():
        return front
    is_dominated: list[bool] = np.array((own <= others).all(axis=1) & (own < others).any(axis=1)).tolist()
    kept = {n: there for (n, there), is_gone in zip(front.items(), is_dominated, strict=True) if not is_gone}
    return kept | {number: losses}


def _front(losses: Mapping[int, Sequence[float]]) -> dict[int, Sequence[float]]:
    if not losses:
        return {}
    is_one = undominated(np.array(list(losses.values())))
    return {number: own for (number, own), is_kept in zip(losses.items(), is_one, strict=True) if is_kept}


def _as_numbers(experiment: Experiment, outcomes: Mapping[str, Any]) -> dict[str, float | str]:
    return {o.name: str(outcomes[o.name]) if o.labels else float(outcomes[o.name]) for o in experiment.outcomes}


def _cost(row: ExperimentRow, result: Mapping[str, Any]) -> Amounts:
    """The cost: as measured, else the reservation if the rig had begun."""
    if result:
        return Amounts(**result["cost"])
    return row.estimate if row.started_at is not None else Amounts()
