"""The reader of tables: every table in a file that a person hands over is read here, by these rules.

- **Text**: UTF-8 with or without a byte order mark, UTF-16, and Windows-1252 where it is neither.
- **Separator**: a tab, a semicolon or a comma: the first of them that the header has and that cuts every row into as many cells as the
  header. A cell in double quotes may have any of them.
- **Header**: the first row that is not empty. Every column has a name, and no two have the same; a column that has neither a name nor
  a cell, as a comma at the end of every line makes one, is none. Blanks around names and cells do not count.
- **Rows** are counted from 1 below the header. Empty rows are left out; a row that is longer or shorter than the header is refused.
- **Numbers** have one form (`number`): ``-1.5e-3``, without blanks, underscores or leading zeros, and finite. A table has decimal points or
  decimal commas, not both; ``1,000`` is refused where nothing else in the table says which of the two readings is meant.
- **Columns** are of numbers or of names. A column of names may have whole numbers among them (plates 1, 2, A1, B2; samples 007, 1_000, 12).
  Any other cell that is no number in a column that has numbers is refused, with its row, its column and its text.
- **Missing** is an empty cell, ``nan``, ``n/a``, ``null``, ``-``, ``?``, a spreadsheet's ``#N/A`` and the like; in a column of numbers also
  ``na``, ``none`` and ``pending``, which are names (sodium, nothing added) in a column of names. Capital letters make no difference.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from frugaltwin.errors import InvalidInput

_FORM = r"[+-]?(?:0|[1-9][0-9]*|(?=POINT[0-9]))(?:POINT[0-9]*)?(?:[eE][+-]?[0-9]+)?"
_NUMBER, _COMMA_NUMBER = re.compile(_FORM.replace("POINT", r"\.")), re.compile(_FORM.replace("POINT", ","))
_INFINITE = re.compile(rf"[+-]?inf(?:inity)?|{_NUMBER.pattern}", re.IGNORECASE)
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
_WHOLE, _IDENTIFIER = re.compile(r"[0-9]+"), re.compile(r"[0-9_]+")
_LIKE_NUMBER = re.compile(r"[+-]?[.,]?[0-9]")
_MISSING = re.compile(r"|nan|n/a|null|-|\?|#(?:n/a|null!|div/0!|value!|ref!|name\?|num!)", re.IGNORECASE)
_MISSING_NUMBER = re.compile(rf"na|none|pending|{_MISSING.pattern}", re.IGNORECASE)

# The beginning of a cell, or of what another separator makes one, that a spreadsheet takes for a formula; full-width signs are signs too.
FORMULA = r"(?=[\s']*[=+\-@＝＋－＠])"
_SAFE = re.compile(rf"(^|[;\t\r\n])'{FORMULA}")


def number(text: str) -> float | None:
    """The number of a text; None where it is none.

    It is stricter than `float`, which also takes ``1_000``, ``007``, ``nan`` and ``1e400``: the first two are names as a rule, and the
    others are no numbers to work with.

    >>> number(" -1.5e-3 "), number("1_000"), number("007"), number("nan"), number("1e400")
    (-0.0015, None, None, None, None)
    """
    text = _plain_sign(text)
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def plain_cell(text: str) -> str:
    """A cell without the apostrophe that `frugaltwin.tables.safe_cell` puts before what a spreadsheet would take for a formula.

    >>> plain_cell("'=1+1"), plain_cell("it's")
    ('=1+1', "it's")
    """
    return _SAFE.sub(r"\1", text)


@dataclass(frozen=True)
class FileTable:
    """A table as it stands in a file: cells are text until a column or a cell is asked for."""

    path: Path
    header: tuple[str, ...]
    """The names of the columns as they stand in the file; none where it is empty."""
    rows: Mapping[int, Mapping[str, str]]
    """Cells by column, of every row that is not empty, by its number."""
    encoding: str = "utf-8"
    separator: str = ","

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(name for name in self.header if name)

    @cached_property
    def has_decimal_commas(self) -> bool:
        """Whether a comma, not a point, divides the digits of its numbers.

        Raises:
            InvalidInput: It cannot be told.
        """
        cells = [(row, name, _plain_sign(cell)) for row, cells in self.rows.items() for name, cell in cells.items()]
        commas = [place for place in cells if "," in place[2] and _COMMA_NUMBER.fullmatch(place[2])]
        if not commas:
            return False
        if point := next((place for place in cells if "." in place[2] and _NUMBER.fullmatch(place[2])), None):
            row, name, cell = commas[0]
            why = f"{point[2]} has a decimal point, and {cell} in row {row}, column {name}, a comma: use one of them"
            raise self.refusal(*point[:2], why)
        if all(_THOUSANDS.fullmatch(cell) for _, _, cell in commas):
            row, name, cell = commas[0]
            plain = cell.replace(",", "")
            raise self.refusal(row, name, f"{cell} can be {plain} or {cell.replace(',', '.')}: write {plain}, or a decimal point")
        return True

    def number(self, row: int, name: str) -> float | None:
        """A cell as a number; None where it is none.

        Raises:
            InvalidInput: The table has decimal points and decimal commas.
        """
        cell = self.rows[row][name]
        return number(cell.replace(",", ".")) if self.has_decimal_commas and _COMMA_NUMBER.fullmatch(_plain_sign(cell)) else number(cell)

    def is_missing(self, row: int, name: str, is_number: bool) -> bool:
        """Whether a cell of a column of numbers, or of names, is missing."""
        return bool((_MISSING_NUMBER if is_number else _MISSING).fullmatch(self.rows[row][name]))

    def column(self, name: str) -> list[float | None] | list[str | None]:
        """The cells of a column, all numbers or all names; None where one is missing.

        Raises:
            InvalidInput: A cell is not of the kind of its column.
        """
        present = [row for row, cells in self.rows.items() if not _MISSING_NUMBER.fullmatch(cells[name])]
        numbers = {row: self.number(row, name) for row in present}
        odd = [row for row, value in numbers.items() if value is None]
        texts = {row: cells[name] for row, cells in self.rows.items()}
        for row in odd:
            if _INFINITE.fullmatch(texts[row]):
                raise self.refusal(row, name, f"{texts[row]} is not a finite number")
        if not odd:
            return [numbers.get(row) for row in self.rows]
        if len(odd) < len(present):
            self._check_names(name, {row: texts[row] for row in present}, odd)
        return [None if _MISSING.fullmatch(text) else text for text in texts.values()]

    def _check_names(self, name: str, texts: Mapping[int, str], odd: list[int]) -> None:
        """Refuse a cell that is no number among numbers that are no names."""
        are_whole = all(_WHOLE.fullmatch(text) for row, text in texts.items() if row not in set(odd))
        are_identifiers = all(_IDENTIFIER.fullmatch(texts[row]) for row in odd)
        are_names = 2 * len(odd) >= len(texts) and not any(_LIKE_NUMBER.match(texts[row]) for row in odd)
        if not (are_whole and (are_identifiers or are_names)):
            others = f"{len(texts) - len(odd)} of {len(texts)} cells of the column are numbers"
            why = f"{texts[odd[0]]!r} is no number, and {others}; write a number, leave it empty, or give all of them names"
            raise self.refusal(odd[0], name, why)

    def refusal(self, row: int, name: str, why: str) -> InvalidInput:
        """The error that names a cell."""
        return InvalidInput(f"{self.path}, row {row}, column {name}: {why}")


def _plain_sign(text: str) -> str:
    return text.strip().replace("\N{MINUS SIGN}", "-")


def read_table(path: Path) -> FileTable:
    """Read a table.

    Raises:
        InvalidInput: There is no such file, it is no table, or a row is not as long as the header; the message names it.
    """
    text, encoding = _decoded(path)
    separator, lines = _cut(path, text)
    while lines and not any(lines[0]):
        lines.pop(0)
    header = lines.pop(0) if lines else []
    rows = {row: cells for row, cells in enumerate(lines, start=1) if any(cells)}
    for row, cells in rows.items():
        if not _fits(cells, header):
            hint = "; a decimal comma needs another separator, such as ;" if separator == "," and len(cells) > len(header) else ""
            raise InvalidInput(f"{path}, row {row}: it has not as many cells as the header ({len(cells)}, not {len(header)}){hint}")
    named = {j: name for j, name in enumerate(header) if name}
    for j in set(range(len(header))) - set(named):
        if full := next((row for row, cells in rows.items() if cells[j]), None):
            cell = rows[full][j]
            raise InvalidInput(f"{path}: column {j + 1} has no name, but {cell!r} in row {full}; name it in the header, or take it out")
    if len(set(named.values())) != len(named):
        raise InvalidInput(f"{path} names a column twice")
    kept = {row: {name: cells[j] for j, name in named.items()} for row, cells in rows.items()}
    return FileTable(path, tuple(header), kept, encoding, separator)


def read_rows(path: Path) -> FileTable:
    """Read a table that has at least one row.

    Raises:
        InvalidInput: As for `read_table`, or it has no rows.
    """
    table = read_table(path)
    if not table.rows:
        raise InvalidInput(f"{path} has no rows: it needs a header line with names and at least one row")
    return table


@contextmanager
def appended(path: Path, names: Sequence[str]) -> Iterator[Callable[[Sequence[float]], None]]:
    """Go on with a table in its own form (encoding, separator, decimal commas), or begin one with these columns.

    What it yields adds a row of numbers, one for each name, on a line of its own; the row is in the file before the call returns.

    Raises:
        InvalidInput: As for `read_table`, or the file cannot be written.
    """
    table = read_table(path) if path.exists() else FileTable(path, (), {})
    is_cut = bool(table.header) and not _decoded(path)[0].endswith(("\n", "\r"))
    try:
        file = path.open("a", newline="", encoding=table.encoding)
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}") from error
    with file:
        writer = csv.writer(file, delimiter=table.separator)
        if not table.header:
            writer.writerow(names)
        elif is_cut:
            writer.writerow([])

        def add(values: Sequence[float]) -> None:
            cells = {name: str(value) for name, value in zip(names, values, strict=True)}
            if table.has_decimal_commas:
                cells = {name: cell.replace(".", ",") for name, cell in cells.items()}
            writer.writerow([cells.get(name, "") for name in table.header or names])
            file.flush()

        yield add


def decoded(content: bytes) -> tuple[str, str]:
    """The text of a file that somebody wrote, and its encoding: UTF-8, UTF-16 or Windows-1252; a byte order mark is dropped.

    Raises:
        UnicodeDecodeError: It is no text.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in content[:2]:
        encoding = "utf-16-be" if content[:1] in (b"\0", b"\xfe") else "utf-16-le"
        return content.decode(encoding).removeprefix("\ufeff"), encoding
    try:
        return content.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        return content.decode("cp1252"), "cp1252"


def _decoded(path: Path) -> tuple[str, str]:
    try:
        content = path.read_bytes()
        if content.startswith((b"PK\3\4", b"\xd0\xcf\x11\xe0")):
            raise InvalidInput(f"{path} is a workbook of a spreadsheet program; save its sheet as CSV")
        return decoded(content)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not a CSV table: {error}") from error


def _cut(path: Path, text: str) -> tuple[str, list[list[str]]]:
    """The separator, and the cells of every line."""
    first = re.sub(r'"[^"]*"', "", next((line for line in text.splitlines() if line.strip()), ""))
    readings = [(s, _cells(path, text, s)) for s in "\t;," if s in first] or [(",", _cells(path, text, ","))]
    for separator, lines in readings:
        header = next((cells for cells in lines if any(cells)), [])
        if all(_fits(cells, header) for cells in lines if any(cells)):
            return separator, lines
    return max(readings, key=lambda reading: first.count(reading[0]))


def _cells(path: Path, text: str, separator: str) -> list[list[str]]:
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True))
    except csv.Error as error:
        raise InvalidInput(f"{path} is not a CSV table: {error}") from error
    return [[plain_cell(cell.strip()) for cell in cells] for cells in lines]


def _fits(cells: list[str], header: list[str]) -> bool:
    """Whether a row is as long as the header, but for empty cells at its end."""
    return len(cells) >= len(header) and not any(cells[len(header) :])
