"""Display of a run: a table in color on a terminal, plain lines in a file, JSON lines for scripts."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from frugaltwin.amounts import Amounts
from frugaltwin.color import hex_code
from frugaltwin.experiment import READABLE, Continuous, Parameter, Trial, free_name, significant, total
from frugaltwin.goals import Column
from frugaltwin.goals.goal import shown
from frugaltwin.record import Record
from frugaltwin.table_reader import number
from frugaltwin.tables import color_of

if TYPE_CHECKING:
    from rich.console import Console

_ADDED = [kind for kind in Amounts.cost_kinds() if kind.name != "seconds"]
"""Kinds that the table shows besides the lab time, each as the sum so far."""


def trial_event(record: Record, trial: Trial, trials: Sequence[Trial]) -> dict[str, Any]:
    """A trial as one JSON object; `trials` are all up to this one."""
    goal, best = record.goal, record.goal.best(trials)
    return {
        "event": "trial",
        "number": trial.number,
        "settings": dict(trial.settings),
        "outcomes": dict(trial.measurement.outcomes) if trial.measurement else None,
        "color": _color(record, trial) or None,
        "counts": goal.experiment.counts(trial.settings),
        "label": goal.label_of_trial(trial),
        "score": record.score(trial),
        "best": best and best[1],
        "values": goal.values(trial),
        "front": [t.number for t in goal.front(trials)] if goal.has_front else None,
        "cost": trial.cost.cost(),
        "spent": total(trials).cost(),
        "source": trial.source,
        "error": trial.error,
        "correction": correction_event(trial),
    }


def correction_event(trial: Trial) -> dict[str, Any] | None:
    """The correction of a trial as a JSON object, with the outcomes as they were measured; None for a trial as it was performed."""
    if trial.correction is None:
        return None
    measured = trial.performed.measurement
    kind = "retracted" if trial.is_retracted else "amended"
    return {"kind": kind, "why": trial.correction.why, "measured": dict(measured.outcomes) if measured else None}


def summary_event(record: Record, report: Path | None) -> dict[str, Any]:
    """The end of a run as one JSON object."""
    trials, goal, recommended = record.trials, record.goal, record.recommendation
    return {
        "event": "summary",
        "name": record.name,
        "goal": goal.text,
        "target": dict(zip("Lab", goal.target_color, strict=True)) if goal.target_color else None,
        "recommended": dict(recommended) if recommended else None,
        **goal.result(trials),
        "runs": len(trials),
        "failed": sum(t.measurement is None and not t.is_retracted for t in trials),
        "retracted": sum(t.is_retracted for t in trials),
        "under_way": [dict(s) for s in record.state.pending],
        "doubtful": [asdict(d) for d in record.doubts],
        "drifts": [asdict(d) for d in record.drifts],
        "out_of_reach": record.out_of_reach,
        "expected_right": record.expected_right,
        "coverage": asdict(record.coverage) if record.coverage else None,
        "preferences": [asdict(p) for p in record.state.preferences],
        "rejections": [{"settings": dict(r.settings), "why": r.why} for r in record.state.rejections],
        "earlier": [
            {"campaign": one.name, "relation": one.relation, "trials": len(one.trials), "used": record.uses(one)}
            for one in record.state.earlier
        ],
        "spent": total(trials).cost(),
        "stopped_because": record.stopped_because,
        "store": record.store,
        "report": str(report) if report else None,
    }


class Display(ABC):
    """The display of a run; a context around it."""

    def __init__(self, record: Record) -> None:
        """Begin with the record of the campaign before the run; trials in it are not shown again."""
        self.record = record
        self.trials = list(record.trials)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def show(self, trial: Trial) -> None:
        """Show a trial that was stored."""
        self.trials.append(trial)
        self._line(trial)

    @abstractmethod
    def _line(self, trial: Trial) -> None: ...

    @abstractmethod
    def end(self, record: Record, report: Path | None) -> None:
        """Show how the run ended, from the record of the campaign after it."""


class JsonDisplay(Display):
    """One JSON object a line on standard output, and nothing else."""

    def _line(self, trial: Trial) -> None:
        _print_json(trial_event(self.record, trial, self.trials))

    def end(self, record: Record, report: Path | None) -> None:
        _print_json(summary_event(record, report))


@dataclass
class _Part:
    """Columns of a table that stand together: settings, swatches, scores or costs."""

    headings: list[str]
    widths: list[int]
    """In characters; a longer number widens its column from there on, so that none is cut."""
    has_names: bool = False
    """Whether a longer text is a name, which may be shortened."""

    def cells(self, texts: Sequence[str]) -> Iterator[str]:
        """The texts at the width of their columns."""
        for k, text in enumerate(texts):
            if not self.has_names or number(text) is not None:
                self.widths[k] = max(self.widths[k], len(text))
            width = self.widths[k]
            yield f"{text if len(text) <= width else text[: width - 1] + '…':>{width}}"


class TableDisplay(Display):
    """A table that grows line by line, with swatches and a progress bar where the output is a terminal."""

    def __init__(self, record: Record, console: Console, doing: Callable[[], str] | None = None) -> None:
        """Begin a table.

        Args:
            doing: Says what the campaign does now; it stands beside the bar. There is no bar for a campaign that only is shown.
        """
        super().__init__(record)
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn, Task, TimeElapsedColumn
        from rich.text import Text

        class Doing(ProgressColumn):
            latest = "experimenting"  # also between two experiments, where nothing is done

            def render(self, task: Task) -> Text:
                self.latest = (doing and doing()) or self.latest
                return Text(f"{self.latest:13}")

        self._console = console
        self._is_terminal = console.is_terminal
        self._progress = Progress(
            SpinnerColumn(), Doing(), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=console, transient=True, disable=not self._is_terminal or doing is None,
        )  # fmt: skip
        runs = record.budget.limits.get("runs") if record.budget else None
        self._task = self._progress.add_task("experimenting", total=runs, completed=len(self.trials))
        self._has_headline = False
        goal = record.goal
        parameters = record.experiment.parameters
        names = [p.name for p in parameters]
        self._columns = [*goal.columns, *filter(None, [goal.standing_column])]
        self._fractions: list[int] = [3 if column.unit not in ("", "1") else 0 for column in self._columns]
        scores = [free_name(_heading(c), names) for c in self._columns]
        costs = [free_name(name, names) for name in ("lab time", *(kind.unit for kind in _ADDED))]
        swatches = [free_name(name, names) for name in ("measured", "target")] if goal.target_color else []
        self._settings = _Part(names, [max(6, _longest(p)) for p in parameters], has_names=True)
        self._swatches = _Part(swatches, [max(8, len(heading)) for heading in swatches])
        self._scores = _Part(scores, [max(c.width, 7, len(heading)) for c, heading in zip(self._columns, scores, strict=True)])
        self._costs = _Part(costs, [max(8, len(costs[0])), *(max(5, len(heading)) for heading in costs[1:])])
        room = console.width if self._is_terminal else 10**6
        if swatches and self._length() > room:
            self._swatches = _Part([free_name(name, names) for name in ("got", "goal")], [4, 4])
        if self._length() > room:
            self._settings.widths = [min(width, 12) for width in self._settings.widths]
        while self._costs.headings and self._length() > room:  # one line an experiment: the report shows the costs too
            self._costs.headings.pop()
            self._costs.widths.pop()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def _line(self, trial: Trial) -> None:
        self._headline()
        goal, spent = self.record.goal, total(self.trials)
        settings = [_setting(p, trial.settings[p.name]) for p in self.record.experiment.parameters]
        if trial.measurement is None:
            self._print(f"{trial.number:>3} {' '.join(self._settings.cells(settings))} {trial.remark}")
        else:
            codes = []
            if goal.target_color:
                color = _color(self.record, trial)
                codes = [hex_code((color["L"], color["a"], color["b"])) if color else "", hex_code(goal.target_color)]
            values = goal.values(trial)
            scores = [shown(values[c.name]) for c in goal.columns]
            if goal.standing_column:
                scores.append(shown(goal.standing(self.trials)))
            self._fractions = [max(most, _fraction(text)) for most, text in zip(self._fractions, scores, strict=True)]
            scores = [_on_the_point(text, most) for text, most in zip(scores, self._fractions, strict=True)]
            costs = [clock(spent.seconds), *(_amount(getattr(spent, kind.name), max(kind.decimals - 1, 0)) for kind in _ADDED)]
            self._print(f"{trial.number:>3} {self._row(settings, codes, scores, costs)} {goal.remark(trial)}".rstrip())
        self._progress.update(self._task, completed=trial.number)

    def end(self, record: Record, report: Path | None) -> None:
        self._progress.stop()
        self._headline()
        if record.stopped_because:
            self._print(f"ended by {record.stopped_because}")
        recommended = record.recommendation
        self._print(record.goal.summary(record.trials))
        if recommended:
            by = "by the model, not the luckiest reading" if record.is_recommended_by_model else "the best reading"
            self._print(f"{self._bold('recommended recipe')} ({by}): {record.experiment.recipe(recommended)}")
        if record.expected_right is not None:
            self._print(f"map: about {100 * record.expected_right:.0f} % of it expected to be right, stated with caution")
        if record.out_of_reach:
            self._print(record.out_of_reach)
        for doubt in record.doubts:
            retract = f"frugaltwin retract {record.name} {doubt.number} --why …"
            self._print(f"doubtful: {doubt} from the others; the recommendation leaves it out. If it is wrong: {retract}")
        for drift in record.drifts:
            self._print(f"drift: {drift}")
        if record.coverage:
            self._print(f"model: {record.coverage}")
        for preference in record.state.preferences:
            self._print(f"preferred: {preference.better} to {preference.worse}{_because(preference.why)}")
        for rejection in record.state.rejections:
            self._print(f"rejected: {record.experiment.recipe(rejection.settings)}{_because(rejection.why)}")
        for settings in record.state.pending:
            self._print(f"under way: {record.experiment.recipe(settings)}")
        if report:
            self._print(f"report: {report}")

    def _headline(self) -> None:
        """Print the campaign, its goal and the names of the columns; once, before the first line of the table."""
        if self._has_headline:
            return
        self._has_headline = True
        goal = self.record.goal
        swatch = f" {self._swatch(hex_code(goal.target_color))}" if goal.target_color else ""
        self._print(f"{self._bold(self.record.name)}: {self.record.experiment.name}, strategy {self.record.strategy_name}")
        self._print(f"goal: {self.record.goal_title}{swatch}")
        if goal.explanation:
            self._print(goal.explanation)
        for line in self.record.earlier:
            self._print(f"earlier: {line}")
        self._print(f"  # {self._headings()}")

    def _headings(self) -> str:
        parts = (self._settings, self._swatches, self._scores, self._costs)
        return "  ".join(" ".join(part.cells(part.headings)) for part in parts if part.headings)

    def _length(self) -> int:
        return len(f"  # {self._headings()}")

    def _row(self, settings: Sequence[str], codes: Sequence[str], scores: Sequence[str], costs: Sequence[str]) -> str:
        """A row of cells; a color is a swatch where the output can show one."""
        swatches = [self._swatch(code, width) for code, width in zip(codes, self._swatches.widths, strict=True)]
        shown = [self._settings.cells(settings), swatches, self._scores.cells(scores), self._costs.cells(costs[: len(self._costs.widths)])]
        return "  ".join(filter(None, map(" ".join, shown)))

    def _print(self, text: str) -> None:
        from rich.text import Text

        if self._is_terminal:
            self._console.print(Text.from_ansi(text), soft_wrap=True)
        else:
            self._console.file.write(text + "\n")
            self._console.file.flush()

    def _swatch(self, code: str, width: int = 8) -> str:
        if not code or not self._is_terminal or self._console.color_system is None:
            return f"{code:>{width}}"
        red, green, blue = (int(code[k : k + 2], 16) for k in (1, 3, 5))
        return f"\x1b[48;2;{red};{green};{blue}m{' ' * width}\x1b[0m"

    def _bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self._is_terminal else text


def _because(why: str) -> str:
    return f" ({why})" if why else ""


def clock(seconds: float) -> str:
    """A time as minutes and seconds.

    >>> clock(75), clock(3675)
    ('1:15', '1:01:15')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _color(record: Record, trial: Trial) -> dict[str, float]:
    return color_of(record.experiment, trial.settings, trial.measurement.outcomes) if trial.measurement else {}


def _heading(column: Column) -> str:
    """The name of a column of the table; the unit in place of ``score``."""
    return column.unit if column.name == "score" and column.unit not in ("", "1") else column.name


def _longest(parameter: Parameter) -> int:
    """Characters of a parameter's name, or of its longest value where they are listed."""
    return max(map(len, (parameter.name, *([] if isinstance(parameter, Continuous) else map(_cell, parameter.values)))))


def _setting(parameter: Parameter, value: float | str) -> str:
    """A setting with as many decimals as the others in its column, where these show it.

    >>> dye = Continuous("red", 0, 1, "mL")
    >>> [_setting(dye, value) for value in (0.59231, 1.0, 7e-17, 0.0002)], _setting(Continuous("T", 300, 1200), 723.456)
    (['0.592', '1.000', '0.000', '0.0002'], '723.5')
    """
    if not isinstance(parameter, Continuous) or isinstance(value, str) or parameter.scale == "log":
        return _cell(value)
    width = parameter.high - parameter.low
    decimals = -math.floor(math.log10(10 * READABLE * width))
    is_shown = abs(value) >= 10.0**-decimals or abs(value) < READABLE * width / 10
    return f"{round(value, decimals) + 0.0:.{decimals}f}" if 0 <= decimals <= 6 and abs(value) < 1e6 and is_shown else _cell(value)


def _fraction(text: str) -> int:
    """The digits behind the point of a number."""
    return len(text.partition(".")[2]) if number(text) is not None and "e" not in text else 0


def _on_the_point(text: str, most: int) -> str:
    """A number with blanks behind it, so that the points of a column stand below each other.

    Args:
        most: Digits behind the point in this column.

    >>> _on_the_point("39", 3), _on_the_point("5.61", 3), _on_the_point("0.993", 3), _on_the_point("2/3", 3), _on_the_point("7", 0)
    ('39    ', '5.61 ', '0.993', '2/3', '7')
    """
    if number(text) is None or "e" in text or not most:
        return text
    return text + " " * (most - _fraction(text) + ("." not in text))


def _cell(value: float | str) -> str:
    """A setting in about six characters; in more where it is far from 1.

    >>> _cell(0.59231), _cell(201.0), _cell(3.2), _cell(-0.0000123), _cell(12345.67), _cell(1e300), _cell("water")
    ('0.592', '201', '3.200', '-1.23e-05', '12346', '1e+300', 'water')
    """
    if isinstance(value, str):
        return value
    if float(value).is_integer() and abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.3f}" if 0.1 <= abs(value) < 100 else significant(value, 5 if 100 <= abs(value) < 1e6 else 3)


def _amount(value: float, decimals: int) -> str:
    """An amount so far.

    >>> _amount(1.5, 2), _amount(1e100, 2)
    ('1.50', '1e+100')
    """
    return f"{value:.{decimals}f}" if abs(value) < 1e6 else significant(value, 3)


def _print_json(event: dict[str, Any]) -> None:
    print(json.dumps(event, allow_nan=False, ensure_ascii=False), flush=True)  # noqa: T201
