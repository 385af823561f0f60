"""Recorded experiments as a driver: every row of a table is a candidate that was measured once."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from frugaltwin import color
from frugaltwin.data_sheets import SeedOptions, option, takes
from frugaltwin.errors import DriverError, InvalidInput, Stopped
from frugaltwin.experiment import Categorical, Discrete, Experiment, Measurement, Outcome, Parameter, Settings, Trial
from frugaltwin.goals.words import quantities
from frugaltwin.tables import BOOKKEEPING, read_rows


class TableOptions(SeedOptions):
    """Options of a table."""

    path: Path = option(meaning="the CSV file, with a header line")
    outcomes: str = option("", "the columns that were measured, ``yield,purity``", shown="the goal's")
    settings: str = option("", "the columns that were set, ``red,blue``", shown="all others")
    goal: str = option("", "what the columns are for; a campaign gives its own", shown="none")


class Table:
    """Replays a CSV table of real, recorded experiments: its rows are the only settings allowed.

    **How it answers.** Performing settings gives the reading that was recorded for them. Rows may repeat: a repeat draws another
    of the readings recorded for the same settings, in an order drawn from the seed, and starts over when all were drawn, also
    when a campaign goes on later. An outcome that is empty, NaN, NA, N/A, none, null, - or ? is a failed trial. There is no
    truth besides the readings, so there is no noise-free form.

    **Options**: `TableOptions`.

    Columns of numbers become discrete parameters and numeric outcomes, all others categorical parameters and labels. Units
    are those of the file; it names none. Time and money are not recorded: every trial costs nothing.

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
        rows = read_rows(path)
        columns = list(rows[0])
        measured = _names(options.outcomes) or _named_by(options.goal, columns)
        if not measured:
            text = "say which columns of the table were measured: in the option outcomes, or by a goal such as minimize:COLUMN"
            raise InvalidInput(text, field="option")
        chosen = _names(options.settings) or [c for c in columns if c not in measured]
        for column in measured + chosen:
            if column not in columns:
                raise InvalidInput(f"{path} has no column {column!r}; it has {', '.join(columns)}")
        if twice := set(measured) & set(chosen):
            raise InvalidInput(f"{', '.join(sorted(twice))} cannot be a setting and an outcome of {path} at once")
        if not chosen:
            raise InvalidInput(f"{path} has no column left to be a setting")
        if taken := sorted(set(measured + chosen) & set(BOOKKEEPING)):
            raise InvalidInput(f"{path} has a column {taken[0]!r}, as every trial has; rename it")
        parameters = tuple(_parameter(path, column, [row[column].strip() for row in rows]) for column in chosen)
        keys = [tuple(_setting(p, row[p.name].strip()) for p in parameters) for row in rows]
        self.experiment = Experiment(
            name="table",
            parameters=parameters,
            outcomes=tuple(_outcome(path, column, [row[column].strip() for row in rows]) for column in measured),
            candidates=tuple(dict(zip(chosen, key, strict=True)) for key in dict.fromkeys(keys)),
        )
        self._rows: dict[tuple[float | str, ...], list[int]] = defaultdict(list)
        for number, key in enumerate(keys):
            self._rows[key].append(number)
        self._readings = [{o.name: _reading(o, row[o.name].strip()) for o in self.experiment.outcomes} for row in rows]
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
        self._stopped = False
        return self

    def perform(self, settings: Settings) -> Measurement:
        if self._stopped:
            raise Stopped("the table was stopped, or it is not connected")
        key = self.experiment.key(settings)
        order = self._order[key]
        number = order[self._drawn[key] % len(order)]
        self._drawn[key] += 1
        reading = self._readings[number]
        if missing := [name for name, value in reading.items() if value is None]:
            raise DriverError(f"row {number + 1} of the table: {', '.join(missing)} was not measured")
        return Measurement({name: value for name, value in reading.items() if value is not None}, raw={"row": number + 1})

    def stop(self) -> None:
        self._stopped = True

    def __exit__(self, *failure: object) -> None:
        self._stopped = True


def _named_by(goal: str, columns: Sequence[str]) -> list[str]:
    """The columns that a goal is about; of ``map:yield:0.5`` it is ``yield``. What the goal names besides is no column."""
    names = [name if name in columns else name.rpartition(":")[0] or name for name in quantities(goal)]
    return [name for name in names if name in columns] or names


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_missing(text: str) -> bool:
    return text.lower() in ("", "nan", "na", "n/a", "none", "null", "-", "?")


def _parameter(path: Path, column: str, cells: list[str]) -> Parameter:
    for row, cell in enumerate(cells, start=1):
        if _is_missing(cell):
            raise InvalidInput(f"{path}, row {row}, column {column}: a setting is missing")
    numbers = [_number(cell) for cell in cells]
    if any(n is None for n in numbers):
        return Categorical(column, tuple(sorted(set(cells))))
    values = [n for n in numbers if n is not None]
    for row, number in enumerate(values, start=1):
        if not math.isfinite(number):
            raise InvalidInput(f"{path}, row {row}, column {column}: {number} is not a finite number")
    return Discrete(column, tuple(sorted(set(values))), "")


def _setting(parameter: Parameter, cell: str) -> float | str:
    return cell if isinstance(parameter, Categorical) else float(cell)


def _outcome(path: Path, column: str, cells: list[str]) -> Outcome:
    present = [cell for cell in cells if not _is_missing(cell)]
    if not present:
        raise InvalidInput(f"{path}, column {column}: nothing was measured")
    numbers = [_number(cell) for cell in present]
    if any(n is None for n in numbers):
        return Outcome(column, "", labels=tuple(sorted(set(present))))
    for row, cell in enumerate(cells, start=1):
        if not _is_missing(cell) and not math.isfinite(float(cell)):
            raise InvalidInput(f"{path}, row {row}, column {column}: {cell} is not a finite number")
    return Outcome(column, "")


def _reading(outcome: Outcome, cell: str) -> float | str | None:
    if _is_missing(cell):
        return None
    return cell if outcome.labels else float(cell)
