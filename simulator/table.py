"""Recorded experiments as a driver: every row of a table is a candidate that was measured once."""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from frugaltwin import color
from frugaltwin.data_sheets import SeedOptions, option, takes
from frugaltwin.errors import DriverError, InvalidInput, Stopped
from frugaltwin.experiment import LARGEST, Categorical, Discrete, Experiment, Measurement, Outcome, Outcomes, Parameter, Settings, Trial
from frugaltwin.goals.words import quantities, split
from frugaltwin.table_reader import FileTable, number, read_rows
from frugaltwin.tables import BOOKKEEPING

DECADES = 1000.0
"""A list of positive numbers whose largest is so many times its smallest has a logarithmic scale."""


class TableOptions(SeedOptions):
    """Options of a table."""

    path: Path = option(meaning="the CSV file, with a header line", changes="truth")
    outcomes: str = option("", "the columns that were measured, ``yield,purity``", shown="the goal's", changes="experiment")
    settings: str = option("", "the columns that were set, ``red,blue``", shown="all others", changes="experiment")
    goal: str = option("", "what the columns are for; a campaign gives its own", shown="none", changes="experiment")


class Table:
    """Replays a CSV table of real, recorded experiments: its rows are the only settings allowed.

    **How it answers.** Performing settings gives the reading that was recorded for them. Rows may repeat: a repeat draws another
    of the readings recorded for the same settings, in an order drawn from the seed, and starts over when all were drawn, also
    when a campaign goes on later. A table in which nothing was measured yet is a list of candidates: `suggest` and `tell` work with it, and
    nothing can be replayed. An outcome that is missing (empty, NaN, #N/A, …) is a failed trial. There is no truth besides the
    readings, so there is no noise-free form.

    **Options**: `TableOptions`.

    Columns of numbers become discrete parameters and numeric outcomes, all others categorical parameters and labels; a column of
    numbers that the goal maps without a value (``map:phase``) has labels, too. `frugaltwin.table_reader` says what a number is, and
    what is missing. Units are those of the file; it names none. Time and money are not recorded: every trial costs nothing.

    **Source** of the numbers: the author of the table. **Leaves out** everything between the rows.

    **Twin of** the lab that recorded the table.
    """

    example_options: ClassVar[Mapping[str, object]] = {
        "path": Path(color.__file__).parent / "cie" / "observer_and_illuminants.csv",
        "outcomes": "x_bar,y_bar,z_bar",
        "settings": "wavelength_nm",
    }

    @takes(TableOptions)
    def __init__(self, options: TableOptions) -> None:
        path = options.path
        table = read_rows(path)
        measured = _names(options.outcomes, table.names) or _named_by(options.goal, table.names)
        if not measured:
            text = "say which columns of the table were measured: in the option outcomes, or by a goal such as minimize:COLUMN"
            raise InvalidInput(text, field="option")
        chosen = _names(options.settings, table.names) or [c for c in table.names if c not in measured]
        for column in measured + chosen:
            if column not in table.names:
                raise InvalidInput(f"{path} has no column {column!r}; it has {', '.join(table.names)}")
        if twice := set(measured) & set(chosen):
            raise InvalidInput(f"{', '.join(sorted(twice))} cannot be a setting and an outcome of {path} at once")
        if not chosen:
            raise InvalidInput(f"{path} has no column left to be a setting")
        if not options.settings and chosen and {*BOOKKEEPING} <= {*table.names}:
            text = f"{path} is a campaign's export: say which of its columns were set, in the option settings, such as x or x,T"
            raise InvalidInput(text, field="option")
        mapped = [part.partition(":")[2].strip() for part in split(options.goal)[0] if part.partition(":")[0].strip() == "map"]
        settings, readings = [_column(table, c) for c in chosen], [_column(table, c, c in mapped) for c in measured]
        keys = list(zip(*[_complete(table, c, cells) for c, cells in zip(chosen, settings, strict=True)], strict=True))
        self.experiment = Experiment(
            name="table",
            parameters=tuple(_parameter(c, cells) for c, cells in zip(chosen, zip(*keys, strict=True), strict=True)),
            outcomes=tuple(_outcome(table, c, cells, c in mapped) for c, cells in zip(measured, readings, strict=True)),
            candidates=tuple(dict(zip(chosen, key, strict=True)) for key in dict.fromkeys(keys)),
        )
        self._rows: dict[tuple[float | str, ...], list[int]] = defaultdict(list)
        for row, key in zip(table.rows, keys, strict=True):
            self._rows[key].append(row)
        self._readings = {row: dict(zip(measured, cells, strict=True)) for row, *cells in zip(table.rows, *readings, strict=True)}
        random = np.random.default_rng(options.seed)
        self._order = {key: random.permutation(numbers).tolist() for key, numbers in self._rows.items()}
        self.fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()
        self._drawn: dict[tuple[float | str, ...], int] = defaultdict(int)
        self._stopped = True

    def resume(self, trials: Sequence[Trial]) -> None:
        """Go on with the readings that earlier sessions have not drawn."""
        self._drawn.clear()
        for trial in trials:
            if trial.source == "driver":
                self._drawn[self.experiment.key(trial.settings)] += 1

    def __enter__(self) -> Self:
        if not any(None not in reading.values() for reading in self._readings.values()):
            text = (
                "nothing was measured in the table, so it has nothing to replay; ask suggest what to try, perform it, and tell the outcomes"
            )
            raise DriverError(text)
        self._stopped = False
        return self

    def perform(self, settings: Settings) -> Measurement:
        if self._stopped:
            raise Stopped("the table was stopped, or it is not connected")
        key = self.experiment.key(self.experiment.check(settings))
        order = self._order[key]
        row = order[self._drawn[key] % len(order)]
        self._drawn[key] += 1
        reading = self._readings[row]
        if missing := [name for name, value in reading.items() if value is None]:
            raise DriverError(f"row {row} of the table: {', '.join(missing)} was not measured")
        return Measurement({name: value for name, value in reading.items() if value is not None}, raw={"row": row})

    def recorded(self, settings: Settings) -> Outcomes | None:
        """The mean of all readings of these settings, of a label the most frequent one; None where an outcome is missing in each."""
        rows = [self._readings[row] for row in self._rows[self.experiment.key(self.experiment.check(settings))]]
        columns = {o.name: [row[o.name] for row in rows if row[o.name] is not None] for o in self.experiment.outcomes}
        return {name: _middle(cells) for name, cells in columns.items()} if all(columns.values()) else None

    def stop(self) -> None:
        self._stopped = True

    def __exit__(self, *failure: object) -> None:
        self._stopped = True


def _middle(cells: Sequence[float | str | None]) -> float | str:
    """The mean of numbers; the most frequent of labels, of several the one that was read first."""
    numbers = [cell for cell in cells if isinstance(cell, float)]
    labels = [cell for cell in cells if isinstance(cell, str)]
    return max(labels, key=labels.count) if labels else float(np.mean(numbers))


def _named_by(goal: str, columns: Sequence[str]) -> list[str]:
    """The columns that a goal is about; of ``map:yield:0.5`` it is ``yield``. What the goal names besides is no column."""
    names = [name if name in columns else name.rpartition(":")[0] or name for name in quantities(goal)]
    return [name for name in names if name in columns] or names


def _names(text: str, columns: Sequence[str]) -> list[str]:
    """The columns of a text; a name with a comma stands in double quotes, or alone."""
    names = [text] if text.strip() in columns else next(csv.reader([text], skipinitialspace=True), [])
    return [name.strip() for name in names if name.strip()]


def _column(table: FileTable, name: str, has_labels: bool = False) -> list[float | str | None]:
    """The cells of a column; labels are names, also those that are numbers."""
    cells: list[float | str | None] = [*table.column(name)]
    for row, cell in zip(table.rows, cells, strict=True):
        if isinstance(cell, float) and abs(cell) > LARGEST:
            raise table.refusal(row, name, f"{cell:g} is not a number up to {LARGEST:g}")
    return [repr(cell).removesuffix(".0") if isinstance(cell, float) else cell for cell in cells] if has_labels else cells


def _complete(table: FileTable, name: str, cells: Sequence[float | str | None]) -> list[float | str]:
    for row, cell in zip(table.rows, cells, strict=True):
        if cell is None:
            raise table.refusal(row, name, "a setting is missing")
    return [cell for cell in cells if cell is not None]


def _parameter(name: str, cells: Sequence[float | str]) -> Parameter:
    numbers = sorted({cell for cell in cells if isinstance(cell, float)})
    if not numbers:
        return Categorical(name, tuple(sorted({str(cell) for cell in cells})))
    return Discrete(name, tuple(numbers), "", scale="log" if 0 < numbers[0] <= numbers[-1] / DECADES else "linear")


def _outcome(table: FileTable, name: str, cells: Sequence[float | str | None], has_labels: bool) -> Outcome:
    present = {cell for cell in cells if cell is not None}
    if not present and has_labels:
        why = "nothing was measured, so no label is known; write each label into some row, or map where a number passes a value"
        raise InvalidInput(f"{table.path}, column {name}: {why}")
    labels = sorted(cell for cell in present if isinstance(cell, str))
    are_numbers = all(number(label) is not None for label in labels)
    return Outcome(name, "", labels=tuple(sorted(labels, key=float) if are_numbers else labels))
