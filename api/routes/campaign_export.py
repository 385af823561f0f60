"""Export of a campaign's trials as files, a page of trials at a time: settings, readings, cost and provenance of each."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from sqlalchemy import Connection
from starlette.responses import Response

from api.errors import Conflict
from api.records import campaigns, standings
from api.records.database import Database
from api.records.experiment_table import PAGE
from api.records.rows import CampaignRow, EntryRow, ExperimentRow
from api.records.standings import Score, goal_for
from frugaltwin.errors import MissingPart
from frugaltwin.experiment import Categorical
from frugaltwin.goals.trial_table import own_columns, own_names, trial_columns, trial_rows
from frugaltwin.tables import format_lines

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

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
WHOLE = ("number", "seed")
TEXTS = ("source", "finished_at", "error", "correction", "original", *(set(ORIGIN) - {"seed", "created_at", "started_at"}))
"""Columns of whole numbers and of texts, whatever the experiment."""


@dataclass(frozen=True)
class Table:
    """The trials of a campaign that have ended, a page at a time."""

    row: CampaignRow
    last: int
    """The number of the newest trial: others may come meanwhile."""
    front: Collection[int]
    """Of a goal with several objectives: the numbers of the trials of its front."""
    is_instructor: bool
    """Whether all of the provenance may be seen."""

    @classmethod
    def of(cls, connection: Connection, row: CampaignRow, is_instructor: bool) -> Self:
        """The table of a campaign, as it is now."""
        front = standings.look(connection, row)[0].front if goal_for(row).has_front else ()
        return cls(row, campaigns.last_trial(connection, row.id), front, is_instructor)

    @property
    def names(self) -> list[str]:
        """The columns."""
        return [*trial_columns(goal_for(self.row)), *own_names(goal_for(self.row), ORIGIN).values()]

    def pages(self, database: Database) -> Iterator[list[dict[str, Any]]]:
        """Its rows, some at a time, oldest first; each time the database is asked when they are wanted."""
        first: int | None = 1
        while first is not None and first <= self.last:
            cells, first = database.read_now(partial(self._page, first=first))
            yield cells

    def _page(self, connection: Connection, first: int) -> tuple[list[dict[str, Any]], int | None]:
        rows, following = campaigns.rows_page(connection, self.row.id, PAGE, first)
        rows = [x for x in rows if x.finished_at is not None and (x.trial or 0) <= self.last]
        return self._cells(rows, standings.scores_for(connection, self.row, rows)), None if following is None else int(following)

    def _cells(self, rows: Sequence[ExperimentRow], scores: Mapping[int, Score]) -> list[dict[str, Any]]:
        words, goal = self.row.words, goal_for(self.row)
        # A comparison of campaigns puts many of these tables together.
        origin = {"campaign": self.row.name, "strategy": (words["strategy"] or {}).get("name"), "seed": words["seed"]}
        ended = [(x, t) for x in rows if (t := standings.standing_trial(x, goal, scores[x.trial or 0]))]
        cells, named = trial_rows(goal, [t for _, t in ended], self.front), own_names(goal, ORIGIN)
        for cell, (x, t) in zip(cells, ended, strict=True):
            measured = t.performed.measurement
            raw = dict(measured.raw) if measured else {}
            ours = {"experiment": x.id, "state": x.state, "rig": x.rig, "created_at": x.created_at, "started_at": x.started_at}
            ours |= {"raw": json.dumps(raw), "provenance": json.dumps(x.provenance_for(self.is_instructor) or {})}
            cell |= {named[name]: value for name, value in (origin | ours).items()}
        return cells


def parts(form: Form, table: Table, database: Database, whole: str, entries: Sequence[EntryRow]) -> Iterator[str | bytes]:
    """A file of a campaign's trials, part by part; a page of them is a row group of Parquet.

    Args:
        whole: The campaign as the API shows it, in JSON.
        entries: Its log's.
    """
    names, pages = table.names, table.pages(database)
    if form == "parquet":
        yield from _parquet(_types(table, database), pages)
    elif form == "csv":
        yield format_lines([names])
        for cells in pages:
            yield format_lines([cell.get(name) for name in names] for cell in cells)
    else:
        yield f'{{"campaign": {whole}, "trials": ['
        separator, in_json = "", list(own_names(goal_for(table.row), ("raw", "provenance", "original")).values())
        for cells in filter(None, pages):
            yield separator + ", ".join(_trial(cell, in_json) for cell in cells)
            separator = ", "
        yield f'], "entries": {_as_json([{"id": e.id, "after": e.after, "by": e.by, "at": e.at, **e.body} for e in entries])}}}'


def check_form(form: Form) -> None:
    """Refuse what cannot be written here, before the answer begins.

    Raises:
        MissingPart: What writes this format is not installed.
    """
    if form == "parquet":
        _pyarrow()


def check_picture(row: CampaignRow) -> None:
    """Refuse to draw a campaign whose target is hidden.

    Raises:
        Conflict: It is.
    """
    if row.is_hidden and goal_for(row).target_color is not None:
        raise Conflict(f"the picture of {row.name!r} would show the color that the task hides; take csv, with the scores")


def _trial(cell: Mapping[str, Any], in_json: Sequence[str]) -> str:
    """A row as an object of JSON.

    Args:
        in_json: The columns that hold JSON already.
    """
    return _as_json({**cell, **{name: json.loads(cell[name] or "null") for name in in_json}})


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def response(name: str, body: str | bytes) -> Response:
    """A picture to be saved under the campaign's name."""
    return Response(body, 200, {"Content-Disposition": f'attachment; filename="{name}.svg"'}, MEDIA_TYPES["svg"])


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise MissingPart("Parquet needs pyarrow on the server: pip install 'frugaltwin[parquet]'; or take csv or json") from error
    return pyarrow, parquet


def _types(table: Table, database: Database) -> dict[str, type]:
    """The type of each column, which a Parquet file says before its first row group."""
    goal = goal_for(table.row)
    experiment = goal.experiment
    found: dict[str, type] = dict.fromkeys(table.names, float)
    found |= dict.fromkeys(own_names(goal, WHOLE).values(), int) | dict.fromkeys(own_names(goal, TEXTS).values(), str)
    found |= {p.name: str for p in experiment.parameters if isinstance(p, Categorical)}
    found |= {o.name: str for o in experiment.outcomes if o.labels}
    unknown = {column.name for column in own_columns(goal)} - {
        *own_names(goal, ["score"]).values()
    }  # whose values are the goal's affair: the first one says
    for cells in table.pages(database) if unknown else ():
        seen = {name: type(value) for name in unknown for cell in cells if (value := cell.get(name)) is not None}
        found |= {name: kind for name, kind in seen.items() if kind in (bool, str)}
        unknown -= seen.keys()
        if not unknown:
            break
    return found


class _Sink(io.RawIOBase):
    """A file that is taken away while it is written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, part: Buffer) -> int:
        self._parts.append(bytes(part))
        self._size += len(self._parts[-1])
        return len(self._parts[-1])

    def take(self) -> bytes:
        """The bytes that were written since the last time."""
        found = b"".join(self._parts)
        self._parts.clear()
        return found


def _parquet(types: Mapping[str, type], pages: Iterator[Sequence[Mapping[str, Any]]]) -> Iterator[bytes]:
    pyarrow, parquet = _pyarrow()
    kinds = {float: pyarrow.float64(), int: pyarrow.int64(), bool: pyarrow.bool_(), str: pyarrow.string()}
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in types.items()])
    sink = _Sink()
    with parquet.ParquetWriter(sink, schema) as writer:
        for cells in filter(None, pages):
            columns = [pyarrow.array([cell[name] for cell in cells], schema.field(name).type) for name in types]
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema))
            yield sink.take()
    yield sink.take()
