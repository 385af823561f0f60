"""Settings and outcomes as arrays and as tables: columns by name, rows in order."""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugaltwin.amounts import Amounts
from frugaltwin.color import Array, reading_lab
from frugaltwin.errors import InvalidInput, OutOfBounds
from frugaltwin.experiment import Categorical, Experiment, Outcomes, Settings
from frugaltwin.laws import Exposure
from frugaltwin.table_reader import FORMULA, number, read_rows


def settings_array(experiment: Experiment, settings: Sequence[Settings]) -> NDArray[np.float64]:
    """Settings as [n, d] in natural units; a categorical value as its index."""
    columns = [
        [float(p.values.index(str(s[p.name]))) for s in settings] if isinstance(p, Categorical) else [float(s[p.name]) for s in settings]
        for p in experiment.parameters
    ]
    return np.array(columns, dtype=float).reshape(len(experiment.parameters), len(settings)).T


def outcomes_array(experiment: Experiment, outcomes: Sequence[Outcomes]) -> NDArray[np.float64]:
    """Outcomes as [n, m]; a label as its index."""
    columns = [
        [float(o.labels.index(str(y[o.name]))) for y in outcomes] if o.labels else [float(y[o.name]) for y in outcomes]
        for o in experiment.outcomes
    ]
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
    """The derived ``L``, ``a``, ``b`` of one measurement; empty when the experiment does not measure a color."""
    if experiment.color is None:
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

    Args:
        name: Name of the text for messages.

    Raises:
        InvalidInput: It is neither.

    >>> pairs("settings", "red=0.2,solvent=water")
    {'red': 0.2, 'solvent': 'water'}
    """
    if text.lstrip().startswith("{"):
        try:
            body: dict[str, Any] = json.loads(text, parse_int=float)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InvalidInput(f"{name} is not JSON: {error}") from error
        return body
    pairs = [part.partition("=") for part in text.split(",")]
    if any(not key.strip() or not equals for key, equals, _ in pairs):
        raise InvalidInput(f"{name} {text!r}: write KEY=VALUE,KEY=VALUE")
    if len({key.strip() for key, _, _ in pairs}) != len(pairs):
        raise InvalidInput(f"{name} {text!r} names something twice")
    return {key.strip(): value(cell) for key, _, cell in pairs}


_START, _UNSAFE = re.compile(FORMULA), re.compile(rf"(^|[;\t\r\n]){FORMULA}")


def safe_cell(value: object) -> object:
    """A cell that a spreadsheet shows as it is: an apostrophe stands before a text that it would take for a formula.

    >>> safe_cell("=1+1"), safe_cell("red"), safe_cell(-1.5)
    ("'=1+1", 'red', -1.5)
    """
    if not isinstance(value, str) or not (_START.match(value) or ";" in value or "\t" in value or "\r" in value or "\n" in value):
        return value  # quickly: tables have millions of cells, some of them long
    return _UNSAFE.sub(r"\1'", value)


def read_settings(path: Path, experiment: Experiment) -> list[dict[str, float | str]]:
    """Every row of a table in a file as checked settings; columns that are no parameters are ignored.

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
            try:
                settings[p.name] = p.check(cells[p.name] if found is None else found)
            except OutOfBounds as error:
                raise table.refusal(row, p.name, str(error)) from None
        try:
            checked.append(experiment.check(settings))
        except OutOfBounds as error:
            raise InvalidInput(f"{path}, row {row}: {error}") from None
    return checked


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
