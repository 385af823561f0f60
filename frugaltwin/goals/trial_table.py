"""Trials as a table: settings, outcomes, derived color, the goal's columns, and costs."""

import json
from collections.abc import Container, Sequence
from typing import Any

from frugaltwin.experiment import Trial
from frugaltwin.goals.goal import Column, Goal
from frugaltwin.tables import BOOKKEEPING, color_of


def trial_columns(goal: Goal) -> list[str]:
    """The names of the columns of `trial_rows`, in order. A column of the goal that would repeat another one is left out."""
    experiment = goal.experiment
    measured = [*(p.name for p in experiment.parameters), *(o.name for o in experiment.outcomes), *("Lab" if experiment.color else "")]
    return list(dict.fromkeys(["number", *measured, "score", *(c.name for c in own_columns(goal)), *BOOKKEEPING[2:]]))


def own_columns(goal: Goal) -> list[Column]:
    """The columns of a goal that repeat no outcome and no cost, with that of the front and, of fidelities, whether a trial counts."""
    others = {o.name for o in goal.experiment.outcomes} | set(BOOKKEEPING) - {"score"}
    columns = [c for c in goal.columns if c.name not in others]
    return [*columns, *([Column("front")] if goal.has_front else []), *([Column("counts")] if goal.experiment.fidelities else [])]


def trial_rows(goal: Goal, trials: Sequence[Trial], front: Container[int] | None = None) -> list[dict[str, Any]]:
    """One flat row a trial; None where there is no value. ``front`` is there for several objectives.

    Where the experiment has fidelities, ``counts`` says whether a trial is at these; ``score`` is empty where it is not.
    A corrected trial says why in ``correction``, and has what was measured as JSON in ``original``.

    Args:
        front: The numbers of the trials of the front; that of these trials without it.
    """
    experiment = goal.experiment
    empty = dict.fromkeys([o.name for o in experiment.outcomes] + (["L", "a", "b"] if experiment.color else []))
    if front is None and goal.has_front:
        front = {t.number for t in goal.front(trials)}
    return [
        goal.values(t)
        | {"number": t.number}
        | dict(t.settings)
        | (dict(t.measurement.outcomes) | color_of(experiment, t.settings, t.measurement.outcomes) if t.measurement else empty)
        | {"score": goal.score_of_trial(t)}
        | ({"front": t.number in front} if goal.has_front and front is not None else {})
        | ({"counts": experiment.counts(t.settings)} if experiment.fidelities else {})
        | t.cost.cost()
        | {"source": t.source, "finished_at": t.finished_at, "error": t.error}
        | {"correction": t.remark if t.correction else None, "original": _original(t)}
        for t in trials
    ]


def _original(trial: Trial) -> str | None:
    measured = trial.performed.measurement
    return json.dumps(dict(measured.outcomes), ensure_ascii=False) if trial.correction and measured else None
