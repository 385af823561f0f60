"""Settings and outcomes as arrays and as tables: columns by name, rows in order."""

import csv
import json
import math
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugaltwin.amounts import Amounts
from frugaltwin.color import Array, reading_lab
from frugaltwin.errors import InvalidInput, OutOfBounds
from frugaltwin.experiment import Categorical, Experiment, Outcome, Outcomes, Parameter, Settings, check_cost, written_value
from frugaltwin.laws import Exposure
from frugaltwin.table_reader import FORMULA, FileTable, number, read_rows


def settings_array(experiment: Experiment, settings: Sequence[Settings]) -> NDArray[np.float64]:
    """Settings as [n, d] in natural units; a categorical value as its index."""
    columns = [
        [float(p.values.index(str(s[p.name]))) for s in settings] if isinstance(p, Categorical) else [float(s[p.name]) for s in settings]
        for p in experiment.parameters
    ]
    return np.array(columns, dtype=float).reshape(len(experiment.parameters), len(settings)).T


def outcomes_array(experiment: Experiment, outcomes: Sequence[Outcomes]) -> NDArray[np.float64]:
    """Outcomes as [n, m]; a label as its index, NaN where one was not measured."""

    def cell(o: Outcome, y: Outcomes) -> float:
        if o.name not in y:
            return math.nan
        return float(o.labels.index(str(y[o.name]))) if o.labels else float(y[o.name])

    columns = [[cell(o, y) for y in outcomes] for o in experiment.outcomes]
    return np.array(columns, dtype=float).reshape(len(experiment.outcomes), len(outcomes)).T


def exposure(experiment: Experiment, registers: Exposure | None, settings: Array) -> Array | float:
    """Exposure: the light collected, [...], for settings [..., d] in natural units."""
    if registers is None:
        return 1.0
    index = {p.name: j for j, p in enumerate(experiment.parameters)}
    product = 1.0
    for name, offset in registers.registers:
        product = product * (settings[..., index[name]] + offset)
    return product


def color_array(experiment: Experiment, outcomes: Array, settings: Array) -> Array:
    """Lab [..., 3] of outcomes [..., m] measured at settings [..., d].

    Raises:
        InvalidInput: The experiment does not measure a color.
    """
    if experiment.color is None:
        raise InvalidInput(f"{experiment.name} does not measure a color")
    index = {o.name: j for j, o in enumerate(experiment.outcomes)}
    channels = outcomes[..., [index[c] for c in experiment.color.channels]]
    return reading_lab(experiment.color, channels, exposure(experiment, experiment.color.exposure, settings))


def color_of(experiment: Experiment, settings: Settings, outcomes: Outcomes) -> dict[str, float]:
    """The derived ``L``, ``a``, ``b`` of one measurement; empty when the experiment does not measure a color, or a channel is missing."""
    if experiment.color is None or any(channel not in outcomes for channel in experiment.color.channels):
        return {}
    lab = color_array(experiment, outcomes_array(experiment, [outcomes]), settings_array(experiment, [settings]))[0]
    return dict(zip("Lab", (float(v) for v in lab), strict=True))


def value(text: str) -> float | str:
    """A text as a number where it is one (`table_reader.number`), else as text.

    >>> value("0.5"), value("water"), value("007")
    (0.5, 'water', '007')
    """
    found = number(text)
    return text.strip() if found is None else found


def pairs(name: str, text: str) -> dict[str, Any]:
    """Names and values of a text such as ``red=0.2,blue=0.8``, or of the same as a JSON object.

    A name or a text with a comma stands in double quotes, and what stands in them is no number. `written` is the inverse.

    Args:
        name: Name of the text for messages.

    Raises:
        InvalidInput: It is neither.

    >>> pairs("settings", 'red=0.2,solvent="water, hot"')
    {'red': 0.2, 'solvent': 'water, hot'}
    """
    if text.lstrip().startswith("{"):
        try:
            body: dict[str, Any] = json.loads(text, parse_int=float)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InvalidInput(f"{name} is not JSON: {error}") from error
        return body
    parts, place, more = [], 0, ","
    while more and (match := _PAIR.match(text, place)):
        key, cell, more = match.groups()
        parts.append((key, cell))
        place = match.end()
    if more:
        raise InvalidInput(f"{name} {text!r}: write KEY=VALUE,KEY=VALUE")
    found = [(_unquoted(key), _unquoted(cell) if cell.startswith('"') else value(cell)) for key, cell in parts]
    if len({key for key, _ in found}) != len(found):
        raise InvalidInput(f"{name} {text!r} names something twice")
    return dict(found)


_QUOTED = r'"(?:[^"]|"")*"'
_PAIR = re.compile(rf'\s*({_QUOTED}|[^",=\s][^,=]*)\s*=\s*({_QUOTED}|(?!")[^,]*)\s*(,|\Z)')


def _unquoted(text: str) -> str:
    return text[1:-1].replace('""', '"') if text.startswith('"') else text.strip()


def told(name: str, text: str, of: Sequence[Parameter | Outcome]) -> dict[str, Any]:
    """Settings or outcomes of a text as `pairs` reads it, or as they are printed: ``red 0.2 mL, water 3.8 mL``. Numbers may have units.

    Raises:
        InvalidInput: It is neither, or a number has another unit.

    >>> from frugaltwin.experiment import Continuous
    >>> told("settings", "red=0.2 mL, solvent=water", [Continuous("red", 0, 1, "mL")])
    {'red': 0.2, 'solvent': 'water'}
    """
    known = {x.name: x for x in of}
    if "=" not in text and not text.lstrip().startswith("{"):
        parts = [part.strip() for part in text.split(",")]
        names = [max((n for n in known if part.startswith(f"{n} ")), key=len, default="") for part in parts]
        if all(names):
            text = ",".join(f"{_quoted(n, is_key=True)}={part[len(n) :].strip()}" for n, part in zip(names, parts, strict=True))
    return {key: _without_unit(key, cell, known.get(key)) for key, cell in pairs(name, text).items()}


def _without_unit(key: str, cell: Any, of: Parameter | Outcome | None) -> Any:
    """A number whose unit stands behind it, as a number; anything else as it is."""
    is_number = of is not None and not isinstance(of, Categorical) and not (isinstance(of, Outcome) and of.labels)
    if not is_number or of is None or not isinstance(cell, str) or (found := _MEASURED.fullmatch(cell.strip())) is None:
        return cell
    unit = found[2].strip()
    if unit not in (of.unit, of.unit.replace("µ", "u")):
        wanted = f"in {of.unit}" if of.unit not in ("", "1") else "without a unit"
        raise InvalidInput(f"{key} = {cell}: write it {wanted}")
    return value(found[1])


_MEASURED = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*([^0-9\s].*)")


def written(settings: Settings, of: Sequence[Parameter] = ()) -> str:
    """Settings as `told` reads them: ``red=0.2 mL,catalyst="Pd(OAc)2, 5 mol%"``. What would be read as something else stands in quotes.

    Args:
        of: The parameters whose units are written; without them `pairs` reads it, too.

    >>> written({"plate": "1", "grade": "1.50", "ligand, mol%": 2.5})
    'plate=1,grade="1.50","ligand, mol%"=2.5'
    """
    units = {p.name: p.unit for p in of}
    cells = {key: cell if isinstance(cell, str) else written_value(cell, units.get(key, "")) for key, cell in settings.items()}
    return ",".join(f"{_quoted(key, is_key=True)}={_quoted(cells[key], is_text=isinstance(cell, str))}" for key, cell in settings.items())


def _quoted(cell: str, is_key: bool = False, is_text: bool = True) -> str:
    is_other = is_text and number(cell) is not None and not cell.isdecimal()  # of a whole number, its name is meant
    if cell and cell == cell.strip() and not (re.search('[",\n\r]', cell) or cell.startswith("{") or (is_key and "=" in cell) or is_other):
        return cell
    return '"' + cell.replace('"', '""') + '"'


_START, _UNSAFE = re.compile(FORMULA), re.compile(rf"(^|[;\t\r\n]){FORMULA}")


def safe_cell(value: object) -> object:
    """A cell that a spreadsheet shows as it is: an apostrophe stands before a text that it would take for a formula.

    >>> safe_cell("=1+1"), safe_cell("red"), safe_cell(-1.5)
    ("'=1+1", 'red', -1.5)
    """
    if not isinstance(value, str) or not (_START.match(value) or ";" in value or "\t" in value or "\r" in value or "\n" in value):
        return value  # quickly: tables have millions of cells, some of them long
    return _UNSAFE.sub(r"\1'", value)


def read_settings(path: Path, experiment: Experiment, *, is_told: bool = False) -> list[dict[str, float | str]]:
    """Every row of a table in a file as checked settings; columns that are no parameters are ignored.

    Args:
        is_told: Whether somebody performed them, see `Experiment.check_told`.

    Raises:
        InvalidInput: A row is refused; the message names row and column.
    """
    table = read_rows(path)
    names = [p.name for p in experiment.parameters]
    if missing := [n for n in names if n not in table.names]:
        raise InvalidInput(f"{path} has no column {', '.join(missing)}: {experiment.name} takes {', '.join(names)}")
    checked = []
    for row, cells in table.rows.items():
        settings: dict[str, float | str] = {}
        for p in experiment.parameters:
            found = None if isinstance(p, Categorical) else table.number(row, p.name)
            settings[p.name] = cells[p.name] if found is None else found
            try:
                settings[p.name] = p.check(settings[p.name])
            except OutOfBounds as error:
                if found is None or not is_told:
                    raise table.refusal(row, p.name, str(error)) from None
        try:
            checked.append(experiment.check_told(settings) if is_told else experiment.check(settings))
        except OutOfBounds as error:
            if len(error.names) == 1:
                raise table.refusal(row, error.names[0], str(error)) from None
            raise InvalidInput(f"{path}, row {row}: {error}") from None
    return checked


def read_results(path: Path, experiment: Experiment, needed: Container[str] | None = None) -> list[dict[str, Any]]:
    """Every row of a table in a file that was measured, as the arguments of `Campaign.tell`.

    The table has a column for each parameter and each outcome. It may have the kinds of amounts (``seconds``, …), and ``error``: the
    reason why a row has no outcomes. Rows without outcomes and without a reason are left out, other columns are ignored.

    Args:
        needed: The outcomes that a row with some may not leave out; all without it.

    Raises:
        InvalidInput: A row is refused, or none was measured; the message names row and column.
    """
    table = read_rows(path)
    settings = read_settings(path, experiment, is_told=True)
    if missing := [o.name for o in experiment.outcomes if o.name not in table.names and (needed is None or o.name in needed)]:
        raise InvalidInput(
            f"{path} has no column {', '.join(missing)}: {experiment.name} measures {', '.join(o.name for o in experiment.outcomes)}"
        )
    ours = {*table.names} - {x.name for x in (*experiment.parameters, *experiment.outcomes)}
    kinds = [kind.name for kind in Amounts.cost_kinds() if kind.name in ours]
    results = []
    outcomes = [o for o in experiment.outcomes if o.name in table.names]
    for (row, cells), performed in zip(table.rows.items(), settings, strict=True):
        empty = [o.name for o in outcomes if table.is_missing(row, o.name, not o.labels) and cells[o.name] not in o.labels]
        reason = cells["error"] if "error" in ours else ""
        if len(empty) == len(outcomes) and not reason:
            continue
        lacking = [name for name in empty if needed is None or name in needed]
        if lacking and not reason:
            raise table.refusal(
                row, lacking[0], "it is missing, and other outcomes of the row are not; measure it, or write why into a column error"
            )
        told: dict[str, Any] = {"settings": performed, "outcomes": None, "error": reason or None}
        try:
            if not lacking:
                told["outcomes"] = {o.name: o.check(_cell(table, row, o.name, o.labels)) for o in outcomes if o.name not in empty}
            spent = {kind: _cell(table, row, kind) for kind in kinds if not table.is_missing(row, kind, True)}
            told["cost"] = check_cost(Amounts(**spent))  # type: ignore[arg-type]
        except OutOfBounds as error:
            raise InvalidInput(f"{path}, row {row}: {error}") from None
        results.append(told)
    if not results:
        raise InvalidInput(f"{path}: no row has outcomes; write what was measured into {', '.join(o.name for o in experiment.outcomes)}")
    return results


def _cell(table: FileTable, row: int, name: str, labels: Sequence[str] = ()) -> float | str:
    """A cell as a number where it is one and no label."""
    cell = table.rows[row][name]
    found = None if cell in labels else table.number(row, name)
    return cell if found is None else found


class _Lines(list[str]):
    """Lines as a file to write to; a character in a cell is quoted where it could end lines: those that another reader may cut at."""

    END = ";\t\r\n"

    def write(self, line: str) -> None:
        self.append(line.removesuffix(self.END))


def format_rows(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV with these columns, safe in a spreadsheet; missing values are empty cells."""
    return format_lines([names, *([row.get(name, "") for name in names] for row in rows)])


def format_lines(lines: Iterable[Iterable[object]]) -> str:
    """Lines of cells as a part of a CSV file, safe in a spreadsheet; None is an empty cell."""
    written = _Lines()
    csv.writer(written, lineterminator=_Lines.END).writerows(map(safe_cell, line) for line in lines)
    return "\n".join([*written, ""])


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as a CSV file, with the columns of all of them.

    Raises:
        InvalidInput: The file cannot be written.
    """
    try:
        path.write_text(format_rows(list(dict.fromkeys(name for row in rows for name in row)), rows), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}") from error


BOOKKEEPING = (
    *("number", "score", *(kind.name for kind in Amounts.cost_kinds())),
    *("source", "finished_at", "error", "correction", "original"),
)
"""The columns that every trial has, whatever the experiment."""
