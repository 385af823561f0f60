"""Driver of an experiment that a file describes, performed by a program or by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from frugaltwin.amounts import Amounts
from frugaltwin.data_sheets import Options, option, takes
from frugaltwin.errors import DriverError, OutOfBounds, Stopped
from frugaltwin.experiment import Measurement, Settings, check_cost
from hardware.own.description import Description
from hardware.own.program import Program


class ExperimentFileOptions(Options):
    """Options of an experiment file."""

    file: Path = option(meaning="the file (TOML) that describes it", changes="experiment")


class ExperimentFile:
    """Experiment of your own, as a file describes it: parameters, sums, limits, outcomes, costs, and by whom it is performed.

    **How it answers.** With `by.program` it starts that program in the folder of the file, writes the settings of each experiment to
    it as one line of JSON, and reads one line back; docs/experiments.md has both. Without it a person performs what
    `frugaltwin suggest` asks for, and tells what was measured. It knows no truth.

    **Options**: `ExperimentFileOptions`.

    **Source** of everything, units and costs included: the author of the file.
    """

    @takes(ExperimentFileOptions)
    def __init__(self, options: ExperimentFileOptions) -> None:
        self._path = options.file
        self._description = Description.read(options.file)
        self.experiment = self._description.experiment
        self.default_goal = self._description.goal_text
        self._program: Program | None = None
        self._stopped = True

    def __enter__(self) -> Self:
        self._program = self._started()
        self._stopped = False
        return self

    def perform(self, settings: Settings) -> Measurement:
        if self._stopped or self._program is None:
            raise Stopped("the experiment was stopped, or it is not connected")
        expected = self.estimate(settings)
        if not self._program.is_running:  # it ended in the experiment before
            self._program.close()
            self._program = self._started()
        answer = self._program.ask(settings)
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
        if self._program:
            self._program.stop()

    def __exit__(self, *failure: object) -> None:
        self._stopped = True
        if self._program:
            self._program.close()
            self._program = None

    def _started(self) -> Program:
        by = self._description.by
        if by is None:
            raise DriverError(
                f"{self.experiment.name} is performed by hand: ask `suggest` what to try, perform it, and `tell` what was measured"
            )
        return Program(by.program, self._path.absolute().parent, by.seconds)


def _stated(answer: dict[str, Any], expected: Amounts) -> Amounts:
    """The cost that a program states, for those amounts that it does; else the expected one.

    Raises:
        DriverError: It is none.
    """
    stated = answer.get("cost") or {}
    kinds = {kind.name for kind in Amounts.cost_kinds()}
    if not isinstance(stated, dict) or set(stated) - kinds:
        raise DriverError(f"the program stated the cost {stated!r}; it takes {', '.join(sorted(kinds))}")
    try:
        return check_cost(Amounts(**(expected.cost() | stated)))
    except (OutOfBounds, TypeError) as error:
        raise DriverError(f"the program stated the cost {stated!r}: {error}") from error
