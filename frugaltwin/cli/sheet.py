"""Sheets: suggestions as rows of a CSV file or a workbook that a person fills in.

A row belongs to its suggestion by its id, wherever it stands. The campaign knows which suggestions were told, so a sheet is only ever added
to: whatever people do to it, reading it again stores nothing twice, and a row that was deleted is written once more. An id is
``suzuki#2``, because spreadsheet programs make dates and times of ``mar-2`` and ``10:2``.
"""

from __future__ import annotations

import csv
import io
import os
import re
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

from frugaltwin.checks import check_writable
from frugaltwin.errors import InvalidInput, MissingPart, OutOfBounds
from frugaltwin.experiment import Categorical, Experiment, Outcome, Parameter, Settings, Trial, free_name
from frugaltwin.log import Log, Proposal
from frugaltwin.table_reader import FileTable, decoded, read_table
from frugaltwin.tables import safe_cell

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

    from frugaltwin.campaign import Campaign

ID, STATUS, NOTE = "id", "status", "note"
FAILED, SKIP = "failed", "skip"
"""What a person can write into `STATUS`: it gave no result, or nobody will do it."""
NEAR = 0.1
"""The part of a parameter's range by which what was done can differ from what was suggested without a question."""


@dataclass(frozen=True)
class Filled:
    """Experiments that a person gives, and what a sheet says besides; the campaign does not know them yet."""

    results: Sequence[Mapping[str, Any]]
    """The arguments of `Campaign.tell` for each that is complete."""
    skipped: Mapping[int, str] = field(default_factory=dict)
    """By the number of a suggestion that nobody will perform, why."""
    far: Sequence[str] = ()
    """A sentence for each row whose settings are far from what was suggested."""
    notes: Sequence[str] = ()
    """A sentence for each row that was left alone."""


def check_sheet(path: Path) -> None:
    """Refuse a sheet that cannot be written, before anything is suggested.

    Raises:
        InvalidInput: It is open in a spreadsheet program, it is no table, or it cannot be written.
        MissingPart: It is a workbook, and openpyxl is not installed.
    """
    _check_closed(path)
    check_writable(path)
    if path.exists():
        _read(path)
    elif _is_workbook(path):
        _worksheet(path, with_values=False)


def write_suggestions(path: Path, campaign: Campaign) -> int:
    """Add a row for each suggestion under way that the sheet has none for; how many.

    A sheet that is not there is begun. What stands in it stays as it is.

    Raises:
        InvalidInput: It is open in a spreadsheet program, it is no such sheet, or it cannot be written.
        MissingPart: It is a workbook, and openpyxl is not installed.
    """
    experiment, log = campaign.driver.experiment, campaign.log
    _check_closed(path)
    stands = path.stat().st_mtime_ns if path.exists() else None
    table = _read(path) if stands is not None else None
    columns = _Columns.of(table, experiment, campaign.goal.outcomes) if table and table.header else _Columns.new(experiment)
    there = {table.rows[row][columns.header[ID]] for row in table.rows} if table and table.header else set()
    under_way = {log.number_of(logged): logged.entry for logged in log.under_way(experiment)}
    rows = [
        {ID: identity, **entry.settings}
        for number, entry in under_way.items()
        if isinstance(entry, Proposal) and (identity := f"{campaign.name}#{number}") not in there
    ]
    if rows or table is None:
        cells = [{columns.header[name]: value for name, value in row.items() if name in columns.header} for row in rows]
        header = table.header if table and table.header else tuple(columns.header.values())
        content = _workbook_with(path, header, cells) if _is_workbook(path) else _text_with(path, header, cells, table)
        _replace(path, content, stands)
    return len(rows)


def read_sheet(path: Path, campaign: Campaign) -> Filled:
    """Read everything that was filled in.

    Raises:
        InvalidInput: A column was renamed, two rows have one id, a cell is not what its column takes, or a row has the settings of another
            suggestion; the sentence names the place, and nothing is to be stored.
        MissingPart: It is a workbook, and openpyxl is not installed.
    """
    if not path.exists():
        raise InvalidInput(f"there is no sheet {path}; begin one with frugaltwin suggest {campaign.name} --sheet {path}")
    table, log = _read(path), campaign.log
    columns = _Columns.of(table, campaign.driver.experiment, campaign.goal.outcomes)
    return _Reader(table, columns, campaign, log).all()


@dataclass(frozen=True)
class _Columns:
    """The headers under which a sheet has what it must have."""

    header: Mapping[str, str]
    """By our name."""

    @classmethod
    def new(cls, experiment: Experiment) -> _Columns:
        """Those of a new sheet: names with units."""
        named = _own_names(experiment)
        ours = {x.name: _with_unit(x) for x in (*experiment.parameters, *experiment.outcomes)}
        return cls({ID: named[ID], **ours, STATUS: named[STATUS], NOTE: named[NOTE]})

    @classmethod
    def of(cls, table: FileTable, experiment: Experiment, needed: Sequence[str]) -> _Columns:
        """Those of a sheet that is there.

        Raises:
            InvalidInput: One is missing, or there twice.
        """
        named, found = _own_names(experiment), dict[str, str]()
        wanted: dict[str, set[str]] = {
            x.name: {_plain(x.name), _plain(_with_unit(x))} for x in (*experiment.parameters, *experiment.outcomes)
        }
        wanted |= {name: {_plain(named[name])} for name in (ID, STATUS, NOTE)}
        for name, texts in wanted.items():
            headers = [header for header in table.names if _plain(header) in texts]
            if len(headers) > 1:
                raise InvalidInput(f"{table.path} has the columns {' and '.join(headers)}: which of them is {name}? Take one out")
            if headers:
                found[name] = headers[0]
        must = [ID, *(p.name for p in experiment.parameters), *(needed or [o.name for o in experiment.outcomes])]
        if missing := [name for name in must if name not in found]:
            text = f"{table.path} has no column {', '.join(missing)}; it has {', '.join(table.names) or 'none'}"
            raise InvalidInput(f"{text}. A column that was renamed needs its name again; others may be added")
        return cls(found)


@dataclass
class _Reader:
    """The rows of a sheet, one after the other."""

    table: FileTable
    columns: _Columns
    campaign: Campaign
    log: Log
    results: list[Mapping[str, Any]] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)
    far: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._experiment = self.campaign.driver.experiment
        self._needed = self.campaign.goal.outcomes or tuple(o.name for o in self._experiment.outcomes)
        self._under_way = {self.log.number_of(x) for x in self.log.under_way(self._experiment)}
        self._told = {t.suggestion: t for t in self.log.trials if t.suggestion is not None}

    def all(self) -> Filled:
        of_id: dict[str, int] = {}
        waiting = []
        for row in self.table.rows:
            identity = self._text(row, ID)
            if identity in of_id and self._said(row) != self._said(of_id[identity]):
                raise InvalidInput(f"{self.table.path}: the rows {of_id[identity]} and {row} both are {identity}; take one of them out")
            if not identity:
                if any(self._text(row, name) for name in (*self._needed, *(p.name for p in self._experiment.parameters))):
                    self.notes.append(f"row {row} has no id and is left alone; tell it with --settings and --outcomes")
            elif identity not in of_id:
                of_id[identity] = row
                number = self._number(row, identity)
                if number is not None and not self._read(row, number, identity):
                    waiting.append(identity)
        if waiting:
            shown = ", ".join(waiting[:5]) + (f" and {len(waiting) - 5} more" if len(waiting) > 5 else "")
            self.notes.append(f"{shown}: to be done ({', '.join(self._needed)} not filled in)")
        return Filled(self.results, self.skipped, self.far, self.notes)

    def _number(self, row: int, identity: str) -> int | None:
        """The suggestion of a row; None for one of something else."""
        found = re.fullmatch(rf"{re.escape(self.campaign.name)}#([1-9][0-9]*)", identity)
        if not found:
            self.notes.append(f"row {row} ({identity}) is none of {self.campaign.name} and is left alone")
            return None
        number = int(found[1])
        if number > self.log.n_suggested:
            raise InvalidInput(f"{self.table.path}, row {row}: there is no suggestion {number} of {self.campaign.name}; put its id right")
        return number

    def _read(self, row: int, number: int, identity: str) -> bool:
        """Take in a row; whether nothing of it is to be waited for."""
        status, note = self._text(row, STATUS).casefold(), self._text(row, NOTE)
        outcomes = self._outcomes(row)
        if number in self._told:
            self._compare(self._told[number], outcomes, identity)
            return True
        if number not in self._under_way:
            if outcomes:
                self.notes.append(f"{identity} is not under way any more: it was rejected, or told by its settings; left alone")
            return True
        if status == SKIP:
            self.skipped[number] = note
            return True
        is_failed = status == FAILED
        if not is_failed and any(name not in outcomes for name in self._needed):
            return False
        settings = self._settings(row, number, identity)
        words: dict[str, Any] = {"settings": settings, "suggestion": number}
        self.results.append(words | ({"outcomes": None, "error": note or FAILED} if is_failed else {"outcomes": outcomes}))
        return True

    def _outcomes(self, row: int) -> dict[str, float | str]:
        found = {}
        for o in self._experiment.outcomes:
            if o.name in self.columns.header and not self._is_missing(row, o):
                found[o.name] = self._value(row, o)
        return found

    def _settings(self, row: int, number: int, identity: str) -> Settings:
        """The settings that a row was done at: those suggested, unless it says others."""
        suggested = self.log.suggested(number).settings
        given = {p.name: self._value(row, p) for p in self._experiment.parameters if self._text(row, p.name)}
        settings = {**suggested, **given}
        try:
            settings = self._experiment.check_told(settings)
        except OutOfBounds as error:
            raise InvalidInput(f"{self.table.path}, row {row} ({identity}): {error}") from None
        key = self._experiment.key
        if key(settings) == key(suggested):
            return settings
        others = range(1, self.log.n_suggested + 1)
        if other := next((k for k in others if k != number and key(self.log.suggested(k).settings) == key(settings)), None):
            text = f"it has the id of suggestion {number} and the settings of suggestion {other}"
            raise InvalidInput(f"{self.table.path}, row {row}: {text}; were the columns sorted apart from each other? Undo that")
        if words := [p.name for p in self._experiment.parameters if _is_far(p, settings[p.name], suggested[p.name])]:
            self.far.append(f"{identity} was done at {', '.join(f'{w} {settings[w]} where {suggested[w]} was suggested' for w in words)}")
        return settings

    def _compare(self, told: Trial, outcomes: Mapping[str, float | str], identity: str) -> None:
        """Say where a row is not what was told any more."""
        if told.measurement is None:
            if outcomes and not told.is_retracted:
                self.notes.append(f"{identity} was told as failed, and now has outcomes; put it right with frugaltwin amend")
            return
        known = told.measurement.outcomes
        if new := {name: value for name, value in outcomes.items() if name not in known or known[name] != value}:
            was = ", ".join(f"{name} {known.get(name, 'missing')}" for name in new)
            given = shlex.quote(",".join(f"{name}={value}" for name, value in new.items()))
            line = f"frugaltwin amend {self.campaign.name} {told.number} --outcomes {given} --why …"
            self.notes.append(f"{identity} was told with {was}; if the sheet is right: {line}")

    def _value(self, row: int, of: Parameter | Outcome) -> float | str:
        header = self.columns.header[of.name]
        cell = self.table.rows[row][header]
        labels = of.labels if isinstance(of, Outcome) else of.values if isinstance(of, Categorical) else ()
        number = None if cell in labels else self.table.number(row, header)
        try:
            return of.check(cell if number is None else number)
        except OutOfBounds as error:
            if isinstance(of, Outcome) or number is None:
                raise self.table.refusal(row, header, str(error)) from None
            return number  # an amount may be told that is slightly outside; the experiment decides

    def _is_missing(self, row: int, of: Outcome) -> bool:
        cell = self._text(row, of.name)
        return cell not in of.labels and self.table.is_missing(row, self.columns.header[of.name], not of.labels)

    def _said(self, row: int) -> list[str]:
        """The cells that count."""
        return [self._text(row, name) for name in self.columns.header]

    def _text(self, row: int, name: str) -> str:
        return self.table.rows[row][self.columns.header[name]] if name in self.columns.header else ""


def _own_names(experiment: Experiment) -> dict[str, str]:
    """The names of the columns that every sheet has."""
    taken = {x.name for x in (*experiment.parameters, *experiment.outcomes)}
    return {name: free_name(name, taken, "row_") for name in (ID, STATUS, NOTE)}


def _with_unit(of: Parameter | Outcome) -> str:
    unit = "" if isinstance(of, Categorical) else of.unit
    return of.name if unit in ("", "1") else f"{of.name} ({unit})"


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _is_far(parameter: Parameter, done: float | str, suggested: float | str) -> bool:
    if isinstance(parameter, Categorical):
        return done != suggested
    width = parameter.high - parameter.low if parameter.kind == "continuous" else parameter.values[-1] - parameter.values[0]
    return abs(float(done) - float(suggested)) > NEAR * width


def _is_workbook(path: Path) -> bool:
    if path.suffix.lower() in (".xls", ".ods"):
        raise InvalidInput(f"{path}: a sheet is a .csv or .xlsx file; save it as one of them")
    return path.suffix.lower() == ".xlsx"


def _check_closed(path: Path) -> None:
    """Refuse to write what a spreadsheet program would overwrite."""
    if any((path.parent / name).exists() for name in (f".~lock.{path.name}#", f"~${path.name}")):
        raise InvalidInput(f"{path} is open in a spreadsheet program; save and close it there, then ask again")


def _read(path: Path) -> FileTable:
    return _read_workbook(path) if _is_workbook(path) else read_table(path)


def _read_workbook(path: Path) -> FileTable:
    """The first worksheet of a workbook; rows have the numbers that a spreadsheet program shows."""
    lines = [(row[0].row, [_cell_text(cell.value) for cell in row]) for row in _worksheet(path, with_values=True).iter_rows()]
    filled = [(number, cells) for number, cells in lines if any(cells)]
    if not filled:
        return FileTable(path, (), {})
    header = filled[0][1]
    if odd := next(((n, k) for n, cells in filled for k, cell in enumerate(cells) if cell and not header[k]), None):
        raise InvalidInput(f"{path}, row {odd[0]}: column {odd[1] + 1} has no name in the header; name it, or take it out")
    names = [name for name in header if name]
    if len(set(names)) != len(names):
        raise InvalidInput(f"{path} names a column twice")
    rows = {number: {header[k]: cell for k, cell in enumerate(cells) if header[k]} for number, cells in filled[1:]}
    return FileTable(path, tuple(header), rows)


def _cell_text(value: object) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value).strip()


def _worksheet(path: Path, *, with_values: bool) -> Worksheet:
    """The first worksheet of a workbook, with the results of formulas or with these; of a new one where there is no such file."""
    try:
        import openpyxl
    except ModuleNotFoundError as error:
        raise MissingPart(f"{path}: workbooks need openpyxl: pip install 'frugaltwin[xlsx]'; or name a .csv file") from error
    try:
        book = openpyxl.load_workbook(path, data_only=with_values) if path.exists() else openpyxl.Workbook()
        return book.worksheets[0]
    except (OSError, BadZipFile, KeyError, ValueError, IndexError) as error:
        raise InvalidInput(f"{path} cannot be read as a workbook: {error}") from error


def _workbook_with(path: Path, header: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """The content of a workbook with rows added, and with a header where it is new."""
    with suppress(OSError, BadZipFile), ZipFile(path) as parts:
        if any(name.startswith(("xl/drawings/", "xl/media/")) for name in parts.namelist()):
            raise InvalidInput(f"{path} has charts or pictures, which adding rows would lose; move them to another file")
    sheet = _worksheet(path, with_values=False)
    if sheet.max_row == 1 and not any(cell.value for cell in sheet[1]):
        sheet.delete_rows(1)
        sheet.append(list(header))
        sheet.freeze_panes = "B2"
    for row in rows:
        sheet.append([_typed(row.get(name, "")) for name in header])
    content = io.BytesIO()
    sheet.parent.save(content)
    return content.getvalue()


def _typed(value: object) -> object:
    return value if isinstance(value, float | int) else safe_cell(value) or None


def _text_with(path: Path, header: Sequence[str], rows: Iterable[Mapping[str, Any]], table: FileTable | None) -> bytes:
    """The content of a CSV file with rows added in its own form, and with a header where it is new."""
    before = path.read_bytes() if path.exists() else b""
    text, encoding = decoded(before) if before else ("", "utf-8")
    end = "\r\n" if not text or "\r\n" in text else "\n"
    lines = io.StringIO()
    separator, has_commas = ",", False
    if table and table.header:
        separator, has_commas = table.separator, table.has_decimal_commas or (table.separator != "," and not _has_points(table))
    writer = csv.writer(lines, delimiter=separator, lineterminator=end)
    if not (table and table.header):
        writer.writerow(header)
    elif not text.endswith(("\n", "\r")):
        lines.write(end)
    for row in rows:
        cells = [row.get(name, "") for name in header]
        writer.writerow([repr(c).replace(".", ",") if has_commas and isinstance(c, float) else safe_cell(c) for c in cells])
    mark = b"" if before else b"\xef\xbb\xbf"  # by which spreadsheet programs know UTF-8
    return before + mark + lines.getvalue().encode(encoding)


def _has_points(table: FileTable) -> bool:
    return any(re.fullmatch(r"[+-]?[0-9]+\.[0-9]+", cell) for cells in table.rows.values() for cell in cells.values())


def _replace(path: Path, content: bytes, stands: int | None) -> None:
    """Put a new content in the place of the one that was read, all of it or nothing."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.write_bytes(content)
        if stands is not None:
            shutil.copymode(path, new)
        if (path.stat().st_mtime_ns if path.exists() else None) != stands:
            raise InvalidInput(f"{path} was saved by somebody else in this moment; ask again with --pending")
        os.replace(new, path)
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}") from error
    finally:
        new.unlink(missing_ok=True)
