"""Experiments of a person, or of everybody, as one table: a page of its lines at a time, so that no table is too large."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import JSON, Column, ColumnElement, Connection, cast, func, select, true

from api.records import campaigns, standings
from api.records.people import Caller
from api.records.rows import ExperimentRow, fetched
from api.records.tables import entry, experiment
from frugaltwin.amounts import Amounts

PAGE = 500
"""Lines that are read at once: some milliseconds, so that nobody waits for a table of somebody else's."""

_PLAIN = ("id", "person", "rig", "campaign", "trial", "state", "error", "created_at", "started_at", "finished_at")
_COSTS = tuple(kind.name for kind in Amounts.cost_kinds())


@dataclass(frozen=True)
class Columns:
    """The columns of a table, which are known before its first line; and its last experiment, for others may come meanwhile."""

    person: str | None
    """Whose experiments; everybody's without it."""
    settings: Sequence[str]
    outcomes: Sequence[str]
    last: int
    """The number of the newest experiment."""
    is_instructor: bool
    """Whether all of the provenance may be seen."""

    @property
    def names(self) -> list[str]:
        """Of each rig its own columns, and what only a program reads as JSON."""
        inner = (("settings", self.settings), ("outcomes", self.outcomes), ("cost", _COSTS))
        spread = [f"{kind}.{name}" for kind, names in inner for name in names]
        return [*_PLAIN, *spread, "correction", "original", "raw", "provenance"]

    def line(self, row: ExperimentRow, correction: Mapping[str, Any] | None) -> list[Any]:
        """The cells of an experiment, None where there is nothing.

        Its outcomes are those that count. A corrected one says why in ``correction``, and has what was measured as JSON in ``original``.
        """
        settings, result = row.settings, row.result
        outcomes = (correction.get("outcomes") if correction else result.get("outcomes")) or {}
        cost = result.get("cost") or {}
        marks = (f"{correction['kind']}: {correction['why']}", json.dumps(result.get("outcomes"))) if correction else (None, None)
        return [
            *(getattr(row, name) for name in _PLAIN),
            *map(settings.get, self.settings), *map(outcomes.get, self.outcomes), *map(cost.get, _COSTS),
            *marks, json.dumps(result.get("raw")), self._provenance(row),
        ]  # fmt: skip

    def _provenance(self, row: ExperimentRow) -> str:
        if self.is_instructor:  # who sees all of it, as it is kept
            return row.provenance_json or "null"
        return json.dumps(row.provenance_for(self.is_instructor))


def columns(connection: Connection, caller: Caller) -> Columns:
    """The columns of a table of the caller's experiments, or for an instructor of everybody's."""
    person = None if caller.sees_all else caller.person
    last = connection.execute(select(func.max(experiment.c.number))).scalar_one() or 0
    which = experiment.c.number <= last
    if person is not None:
        which &= experiment.c.person == person
    settings = _keys(connection, experiment.c.number, experiment.c.settings_json, None, which)
    measured = _keys(connection, experiment.c.number, experiment.c.result_json, "outcomes", which)
    theirs = (entry.c.kind == "amendment") & entry.c.campaign.in_(select(experiment.c.campaign).where(which))
    amended = _keys(connection, entry.c.id, entry.c.body_json, "outcomes", theirs)  # perhaps of trials that measured nothing
    return Columns(person, settings, list(dict.fromkeys([*measured, *amended])), last, caller.is_instructor)


def _keys(
    connection: Connection, number: Column[Any], column: Column[Any], inner: str | None, which: ColumnElement[bool]
) -> list[str]:  # fmt: skip
    """The names in the objects of a column of JSON, in the order in which they came up.

    Args:
        number: The column that says which row is older.
        inner: The name under which an object has them; the object's own without it.
        which: The rows.
    """
    if connection.dialect.name == "sqlite":
        names = func.json_each(column, f"$.{inner}" if inner else "$").table_valued("key", "id")
        place = names.c.id
    else:
        whole = cast(column, JSON)
        names = func.json_object_keys(whole[inner] if inner else whole).table_valued("key", with_ordinality="place").render_derived()
        place = names.c.place
    question = select(names.c.key, func.min(number), func.min(place)).select_from(number.table.join(names, true())).where(which)
    return [key for key, *_ in connection.execute(question.group_by(names.c.key).order_by(func.min(number), func.min(place)))]


def page(connection: Connection, wanted: Columns, after: int) -> tuple[list[list[Any]], int | None]:
    """Some lines, oldest first, and the number of the last of them; None when there are no more.

    Args:
        after: The number of the last experiment of the page before.
    """
    question = select(experiment).where(experiment.c.number > after, experiment.c.number <= wanted.last)
    if wanted.person is not None:
        question = question.where(experiment.c.person == wanted.person)
    rows = fetched(ExperimentRow, connection.execute(question.order_by(experiment.c.number).limit(PAGE)))
    corrections = dict(_corrections(connection, rows))
    return [wanted.line(row, corrections.get(row.id)) for row in rows], rows[-1].number if len(rows) == PAGE else None


def _corrections(connection: Connection, rows: Sequence[ExperimentRow]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The corrections of experiments, by their ids."""
    trials = sorted((row for row in rows if row.campaign and row.finished_at is not None), key=lambda row: row.campaign or "")
    if not trials:
        return
    kinds = entry.c.kind.in_(("retraction", "amendment"))
    found = select(entry.c.campaign).distinct().where(entry.c.campaign.in_({row.campaign for row in trials}), kinds)
    corrected = set(connection.execute(found).scalars())
    for identity, group in groupby(trials, key=lambda row: row.campaign or ""):
        if identity in corrected:
            own = list(group)
            scores = standings.scores_for(connection, campaigns.find(connection, identity), own)
            yield from ((row.id, known) for row in own if (known := scores[row.trial or 0].correction))
