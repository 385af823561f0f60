"""Trials as a table: settings, outcomes, derived color, the goal's columns, and costs."""

import json
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from typing import Any

from frugaltwin.experiment import Trial, free_name
from frugaltwin.goals.goal import Column, Goal
from frugaltwin.tables import BOOKKEEPING, color_of


def trial_columns(goal: Goal) -> list[str]:
    """The names of the columns of `trial_rows`, in order. A column of the goal that would repeat another one is left out.

    Settings, outcomes and color keep their names; a column of ours that one of them is called like is ``trial_NAME``.
    """
    named = own_names(goal, BOOKKEEPING)
    number, score, *others = (named[name] for name in BOOKKEEPING)
    return list(dict.fromkeys([number, *goal.experiment.measured_names, score, *(c.name for c in own_columns(goal)), *others]))


def whole_table(goal: Goal, trials: Sequence[Trial]) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns and rows of all trials, with ``happened_NAME`` beside the settings where an instrument said what it really did.

    There is such a column for each parameter of which that was said at all; it is empty in trials of which it was not.
    """
    columns, rows, parameters = trial_columns(goal), trial_rows(goal, trials), [p.name for p in goal.experiment.parameters]
    told = [dict(t.measurement.happened) if t.measurement else {} for t in trials]
    named = own_names(goal, (f"happened_{name}" for name in parameters if any(name in one for one in told)))
    last = columns.index(parameters[-1]) + 1
    columns[last:last] = named.values()
    for row, one in zip(rows, told, strict=True):
        row |= {column: one.get(name.removeprefix("happened_")) for name, column in named.items()}
    return columns, rows


def own_columns(goal: Goal) -> list[Column]:
    """The columns of a goal that repeat no outcome and no cost, with that of the front and, of fidelities, whether a trial counts.

    Their names are those of `trial_columns`.
    """
    columns = _own(goal)
    named = own_names(goal, (c.name for c in columns))
    return [replace(c, name=named[c.name]) for c in columns]


def own_names(goal: Goal, names: Iterable[str]) -> dict[str, str]:
    """The columns that some of ours are in a table of trials, by their names."""
    taken = set(goal.experiment.measured_names)
    return {name: free_name(name, taken) for name in names}


def trial_rows(goal: Goal, trials: Sequence[Trial], front: Container[int] | None = None) -> list[dict[str, Any]]:
    """One flat row a trial; None where there is no value. ``front`` is there for several objectives.

    Where the experiment has fidelities, ``counts`` says whether a trial is at these; ``score`` is empty where it is not.
    A corrected trial says why in ``correction``, and has what was measured as JSON in ``original``.

    Args:
        front: The numbers of the trials of the front; that of these trials without it.
    """
    experiment = goal.experiment
    columns = _own(goal)
    named = own_names(goal, {*BOOKKEEPING, *(c.name for c in columns)})
    empty = dict.fromkeys([o.name for o in experiment.outcomes] + (["L", "a", "b"] if experiment.color else []))
    if front is None and goal.has_front:
        front = {t.number for t in goal.front(trials)}
    rows = []
    for t in trials:
        values = goal.values(t)
        ours = {c.name: values.get(c.name) for c in columns} | {"number": t.number, "score": goal.score_of_trial(t)}
        if goal.has_front and front is not None:
            ours["front"] = t.number in front
        if experiment.fidelities:
            ours["counts"] = experiment.counts(t.settings)
        ours |= t.cost.cost() | {"source": t.source, "finished_at": t.finished_at, "error": t.error}
        ours |= {"correction": t.remark if t.correction else None, "original": _original(t)}
        measured: dict[str, Any] = dict(empty)
        if t.measurement:
            measured |= {**t.measurement.outcomes, **color_of(experiment, t.happened, t.measurement.outcomes)}
        rows.append({named[name]: cell for name, cell in ours.items()} | dict(t.settings) | measured)
    return rows


def _own(goal: Goal) -> list[Column]:
    """The columns of `own_columns` under the names that they have elsewhere."""
    repeated = {o.name for o in goal.experiment.outcomes} | set(BOOKKEEPING)
    columns = [c for c in goal.columns if c.name not in repeated or (c.name == "score" and goal.has_score)]
    return [*columns, *([Column("front")] if goal.has_front else []), *([Column("counts")] if goal.experiment.fidelities else [])]


def _original(trial: Trial) -> str | None:
    measured = trial.performed.measurement
    return json.dumps(dict(measured.outcomes), ensure_ascii=False) if trial.correction and measured else None
