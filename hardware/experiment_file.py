"""Driver of an experiment that a file describes, whoever performs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from frugaltwin.amounts import Amounts
from frugaltwin.data_sheets import Options, option, takes
from frugaltwin.errors import DriverError, OutOfBounds, Stopped
from frugaltwin.experiment import Measurement, Settings, check_cost
from hardware.own.address import Address
from hardware.own.description import Description
from hardware.own.folder import Folder
from hardware.own.function import Function
from hardware.own.program import Program


class ExperimentFileOptions(Options):
    """Options of an experiment file."""

    file: Path = option(meaning="the file (TOML) that describes it", changes="experiment")


class ExperimentFile:
    """Experiment of your own, as a file describes it: parameters, sums, limits, outcomes, costs, and by whom it is performed.

    **How it answers.** The table `by` of the file says who performs it: a program that reads and writes lines of JSON, a folder of files,
    an HTTP address or a function in Python; docs/experiments.md has what each of them gets and gives. Without it, or with a sheet, a
    person performs what `frugaltwin suggest` asks for, and tells what was measured. It knows no truth.

    **Options**: `ExperimentFileOptions`.

    **Source** of everything, units and costs included: the author of the file.
    """

    @takes(ExperimentFileOptions)
    def __init__(self, options: ExperimentFileOptions) -> None:
        self._path = options.file
        self._description = Description.read(options.file)
        self.experiment = self._description.experiment
        self.default_goal = self._description.goal_text
        self._performer: Program | Folder | Address | Function | None = None
        self._stopped = True

    def __enter__(self) -> Self:
        self._performer = self._started()
        self._stopped = False
        return self

    def perform(self, settings: Settings) -> Measurement:
        if self._stopped or self._performer is None:
            raise Stopped("the experiment was stopped, or it is not connected")
        expected = self.estimate(settings)
        if not self._performer.is_running:  # it ended in the experiment before
            self._performer.close()
            self._performer = self._started()
        answer = self._performer.ask(settings)
        cost = _stated(answer, expected)
        if "error" in answer:
            failure = DriverError(str(answer["error"]) or "failed")
            failure.cost = cost
            raise failure
        raw = {name: value for name, value in answer.items() if name not in ("outcomes", "cost")}
        return Measurement(answer["outcomes"], cost, raw)

    def estimate(self, settings: Settings) -> Amounts:
        """The cost by the formulas of the file."""
        return self._description.price(settings)

    def stop(self) -> None:
        self._stopped = True
        if self._performer:
            self._performer.stop()

    def __exit__(self, *failure: object) -> None:
        self._stopped = True
        if self._performer:
            self._performer.close()
            self._performer = None

    @property
    def performer(self) -> str:
        """The program, folder, address or function that performs it, and the folder of the file; empty where a person does."""
        by = self._description.by
        return "" if by is None or by.sheet else f"{by.words} in {self._folder}"

    @property
    def sheet(self) -> Path | None:
        """The sheet of the person who performs it; None without one."""
        by = self._description.by
        return self._folder / by.sheet if by and by.sheet else None

    @property
    def _folder(self) -> Path:
        return self._path.absolute().parent

    def _started(self) -> Program | Folder | Address | Function:
        by = self._description.by
        if by and by.folder:
            return Folder(self._folder / by.folder, by.seconds, by.form)
        if by and by.address:
            return Address(by.address, by.seconds)
        if by and by.function:
            return Function(by.function, self._folder)
        if by is None or not by.program:
            raise DriverError(
                f"{self.experiment.name} is performed by hand: ask `suggest` what to try, perform it, and `tell` what was measured"
            )
        return Program(by.program, self._folder, by.seconds)


def _stated(answer: dict[str, Any], expected: Amounts) -> Amounts:
    """The cost that a program states, for those amounts that it does; else the expected one.

    Raises:
        DriverError: It is none.
    """
    stated = answer.get("cost") or {}
    kinds = {kind.name for kind in Amounts.cost_kinds()}
    if not isinstance(stated, dict) or set(stated) - kinds:
        raise DriverError(f"the answer states the cost {stated!r}; it takes {', '.join(sorted(kinds))}")
    try:
        return check_cost(Amounts(**(expected.cost() | stated)))
    except (OutOfBounds, TypeError) as error:
        raise DriverError(f"the answer states the cost {stated!r}: {error}") from error
