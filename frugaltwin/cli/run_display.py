"""Display of a run: a table in color on a terminal, plain lines in a file, JSON lines for scripts."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from frugaltwin.amounts import Amounts
from frugaltwin.color import hex_code
from frugaltwin.experiment import Categorical, Parameter, Trial, describe, total
from frugaltwin.goals import Column
from frugaltwin.goals.goal import shown
from frugaltwin.record import Record
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


class TableDisplay(Display):
    """A table that grows line by line, with swatches and a progress bar where the output is a terminal."""

    def __init__(self, record: Record, console: Console) -> None:
        super().__init__(record)
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = console
        self._is_terminal = console.is_terminal
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=console, transient=True, disable=not self._is_terminal,
        )  # fmt: skip
        runs = record.budget.limits.get("runs") if record.budget else None
        self._task = self._progress.add_task("experimenting", total=runs, completed=len(self.trials))
        self._has_headline = False
        goal = record.goal
        self._settings = {p.name: max(6, min(_longest(p), 12)) for p in record.experiment.parameters}
        self._swatches = {"measured": 8, "target": 8} if goal.target_color else {}
        self._columns = {_heading(c): c for c in (*goal.columns, *filter(None, [goal.standing_column]))}
        self._scores = {heading: max(c.width, len(heading)) for heading, c in self._columns.items()}
        self._costs = {"lab time": 8} | {kind.unit: 5 for kind in _ADDED}
        room = console.width if self._is_terminal else 10**6
        if self._swatches and len(self._row(self._names())) + 4 > room:
            self._swatches = {"got": 4, "goal": 4}
        while self._costs and len(self._row(self._names())) + 4 > room:
            self._costs.popitem()  # one line an experiment: the report shows the costs too

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def _line(self, trial: Trial) -> None:
        self._headline()
        goal, spent = self.record.goal, total(self.trials)
        cells = {name: _cell(trial.settings[name]) for name in self._settings}
        cells |= {"lab time": clock(spent.seconds)}
        cells |= {kind.unit: f"{getattr(spent, kind.name):.{max(kind.decimals - 1, 0)}f}" for kind in _ADDED}
        if trial.measurement is None:
            self._print(f"{trial.number:>3} {self._row(cells, self._settings)} {trial.remark}")
        else:
            if goal.target_color:
                color = _color(self.record, trial)
                codes = hex_code((color["L"], color["a"], color["b"])), hex_code(goal.target_color)
                cells |= dict(zip(self._swatches, codes, strict=True))
            values = goal.values(trial)
            if goal.standing_column:
                values |= {goal.standing_column.name: goal.standing(self.trials)}
            cells |= {heading: shown(values[c.name]) for heading, c in self._columns.items()}
            self._print(f"{trial.number:>3} {self._row(cells)} {goal.remark(trial)}".rstrip())
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
            self._print(f"{self._bold('recommended recipe')} ({by}): {describe(recommended)}")
        for doubt in record.doubts:
            retract = f"frugaltwin retract {record.name} {doubt.number} --why …"
            self._print(f"doubtful: {doubt} from the others; the recommendation leaves it out. If it is wrong: {retract}")
        for preference in record.state.preferences:
            self._print(f"preferred: {preference.better} to {preference.worse}{_because(preference.why)}")
        for rejection in record.state.rejections:
            self._print(f"rejected: {describe(rejection.settings)}{_because(rejection.why)}")
        for settings in record.state.pending:
            self._print(f"under way: {describe(settings)}")
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
        self._print(f"goal: {goal.title}{swatch}")
        for line in self.record.earlier:
            self._print(f"earlier: {line}")
        self._print(f"  # {self._row(self._names())}")

    def _names(self) -> dict[str, str]:
        return {name: name for group in (self._settings, self._swatches, self._scores, self._costs) for name in group}

    def _row(self, cells: Mapping[str, str], *groups: Mapping[str, int]) -> str:
        """A row of cells; a color is a swatch where the output can show one."""
        shown = []
        for widths in groups or (self._settings, self._swatches, self._scores, self._costs):
            texts = (self._swatch(cells[n], w) if cells[n].startswith("#") else f"{cells[n][:w]:>{w}}" for n, w in widths.items())
            if widths:
                shown.append(" ".join(texts))
        return "  ".join(shown)

    def _print(self, text: str) -> None:
        from rich.text import Text

        if self._is_terminal:
            self._console.print(Text.from_ansi(text), soft_wrap=True)
        else:
            self._console.file.write(text + "\n")
            self._console.file.flush()

    def _swatch(self, code: str, width: int = 8) -> str:
        if not self._is_terminal or self._console.color_system is None:
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
    """Characters of a parameter's name, or of its longest value where values are names."""
    return max(map(len, (parameter.name, *(parameter.values if isinstance(parameter, Categorical) else ()))))


def _cell(value: float | str) -> str:
    """A setting in about six characters.

    >>> _cell(0.59231), _cell(201.0), _cell(3.2), _cell(0.0000123), _cell("water")
    ('0.592', '201', '3.200', '1e-05', 'water')
    """
    if isinstance(value, str):
        return value
    if value == round(value) and abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.3f}" if 0.001 <= abs(value) < 100 else f"{value:.1g}" if abs(value) < 0.001 else f"{value:.5g}"


def _print_json(event: dict[str, Any]) -> None:
    print(json.dumps(event, allow_nan=False, ensure_ascii=False), flush=True)  # noqa: T201
