"""Export of a campaign's trials as files: settings, readings, cost and provenance of each."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from starlette.responses import Response

from api.records import standings
from api.records.rows import CampaignRow, EntryRow, ExperimentRow
from api.records.standings import Score, goal_for
from frugaltwin.errors import MissingPart
from frugaltwin.goals.trial_table import trial_columns, trial_rows
from frugaltwin.tables import format_rows

Form = Literal["csv", "json", "parquet", "svg"]
MEDIA_TYPES: Mapping[str, str] = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "svg": "image/svg+xml",
}
ABOUT = "csv, json (with raw readings as objects), parquet, or svg: a picture of how it went"
CONTENT: dict[str, Any] = {
    "description": "The file",
    "content": {
        "text/csv": {"schema": {"type": "string"}},
        "application/json": {"schema": {"type": "object"}},
        "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        "image/svg+xml": {"schema": {"type": "string"}},
    },
}
ORIGIN = ("campaign", "strategy", "seed", "experiment", "state", "rig", "created_at", "started_at", "raw", "provenance")
"""The columns that follow those of `trial_rows`; the last two hold JSON."""


def table(
    form: Form, row: CampaignRow, rows: Sequence[ExperimentRow], scores: Mapping[int, Score], entries: Sequence[EntryRow], whole: str,
    is_instructor: bool,
) -> str | bytes:  # fmt: skip
    """The trials that have ended.

    Args:
        row: The campaign's.
        rows: Its experiments'.
        scores: Theirs, by number.
        entries: Its log's.
        whole: The campaign as the API shows it, in JSON.
        is_instructor: Whether all of the provenance may be seen.

    Raises:
        MissingPart: What writes this format is not installed.
    """
    words, goal = row.words, goal_for(row)
    # A comparison of campaigns puts many of these tables together.
    origin = {"campaign": row.name, "strategy": (words["strategy"] or {}).get("name"), "seed": words["seed"]}
    ended = [(x, t) for x in rows if x.finished_at and (t := standings.standing_trial(x, goal, scores[x.trial or 0]))]
    cells = trial_rows(goal, [t for _, t in ended])
    for cell, (x, t) in zip(cells, ended, strict=True):
        measured = t.performed.measurement
        raw = dict(measured.raw) if measured else {}
        cell.update(origin)
        cell |= {"experiment": x.id, "state": x.state, "rig": x.rig, "created_at": x.created_at, "started_at": x.started_at}
        cell |= {"raw": json.dumps(raw), "provenance": json.dumps(x.provenance_for(is_instructor) or {})}
    names = [*trial_columns(goal), *ORIGIN]
    if form == "csv":
        return format_rows(names, cells)
    if form == "json":
        said = [{"id": e.id, "after": e.after, "by": e.by, "at": e.at, **e.body} for e in entries]
        whole_trials = [cell | {k: json.loads(cell[k] or "null") for k in ("raw", "provenance", "original")} for cell in cells]
        body = {"campaign": json.loads(whole), "trials": whole_trials, "entries": said}
        return json.dumps(body, ensure_ascii=False, allow_nan=False)
    return _parquet(names, cells)


def response(form: Form, name: str, body: str | bytes) -> Response:
    """A file to be saved under the campaign's name."""
    return Response(body, 200, {"Content-Disposition": f'attachment; filename="{name}.{form}"'}, MEDIA_TYPES[form])


def _parquet(names: Sequence[str], cells: Sequence[Mapping[str, Any]]) -> bytes:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise MissingPart("Parquet needs pyarrow on the server: pip install 'frugaltwin[parquet]'; or take csv or json") from error
    file = io.BytesIO()
    parquet.write_table(pyarrow.table({name: [cell[name] for cell in cells] for name in names}), file)
    return file.getvalue()
