"""Page of a student: each task with the readings beside par, what was judged and what was not yet. One HTML file that works offline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING

from frugaltwin.goals.goal import rounded

if TYPE_CHECKING:
    from jinja2 import Template

WIDTH, HEIGHT = 340, 190
"""px of a chart on the narrowest of telephones."""
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 20, 34
"""px around its lines."""


@dataclass(frozen=True)
class Reading:
    """A reading that has a score."""

    run: int
    """Its place among all experiments of the student on the task, from 1."""
    score: float


@dataclass(frozen=True)
class Work:
    """A student's work on a task, as far as the student may see it."""

    title: str
    rule: str
    state: str
    """A sentence: what was judged, and what was not yet."""
    points: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict[str, float])
    """Points and truth by name."""
    par: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    """What the reference strategy and random choices come to; None where they never arrive."""
    spent: Mapping[str, float] = field(default_factory=dict[str, float])
    budget: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    readings: Sequence[Reading] = ()
    is_minimized: bool = True
    unit: str = ""
    par_score: float | None = None
    """The true score that par comes to, where it is shown."""
    own_score: float | None = None
    """The true score of what was handed in, where it is shown."""

    @property
    def best(self) -> list[float]:
        """The best score after each reading."""
        return list(accumulate((one.score for one in self.readings), min if self.is_minimized else max))


def html(name: str, class_name: str, works: Sequence[Work]) -> str:
    """The page as text.

    Args:
        name: Of the student.
    """
    return _template().render(
        name=name,
        class_name=class_name,
        works=[
            {
                "work": work,
                "figures": _figures(work),
                "chart": _chart(work) if work.readings else None,
                "rows": [
                    (one.run, rounded(one.score, work.unit), rounded(best, work.unit))
                    for one, best in zip(work.readings, work.best, strict=True)
                ],
            }
            for work in works
        ],
    )  # fmt: skip


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loaded = Environment(loader=PackageLoader("frugaltwin"), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return loaded.get_template("student.html")


def _figures(work: Work) -> list[tuple[str, str]]:
    """Names and values of what there is to say in figures."""
    found = [
        (kind, f"{_number(work.spent.get(kind, 0.0))} of {_number(limit)}") for kind, limit in work.budget.items() if limit is not None
    ]
    found += [(name, rounded(value, work.unit) if name == "true score" else _number(value)) for name, value in work.parts.items()]
    found += [(f"par: {name.replace('_', ' ')}", "never" if value is None else _number(value)) for name, value in work.par.items()]
    return found


def _number(value: float) -> str:
    return f"{value:.4g}"


def _chart(work: Work) -> dict[str, object]:
    """Geometry of a chart: places of readings, the line of the best one, par, what was handed in, and both scales; px."""
    levels = [level for level in (work.par_score, work.own_score) if level is not None]
    values = [one.score for one in work.readings] + levels
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or max(abs(high), 1.0) * 0.1
    low, high = low - room, high + room
    last = max(one.run for one in work.readings)
    runs = max(last, int(work.budget.get("runs") or 0), 2)

    def x(run: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (run - 1) / (runs - 1), 1)

    def y(score: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (high - score) / (high - low), 1)

    best, steps = work.best, list[str]()
    for k, one in enumerate(work.readings):
        steps += [f"{x(one.run)},{y(best[k - 1])}"] if k else []
        steps.append(f"{x(one.run)},{y(best[k])}")
    steps.append(f"{x(runs)},{y(best[-1])}")
    words = f"{len(work.readings)} readings; the best is {rounded(best[-1], work.unit)}"
    if work.par_score is not None:
        words += f", par is {rounded(work.par_score, work.unit)}"
    return {
        "width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT, "top": TOP, "bottom": HEIGHT - BOTTOM, "words": words,
        "points": [(x(one.run), y(one.score)) for one in work.readings], "line": " ".join(steps),
        "levels": _levels(*(None if level is None else y(level) for level in (work.par_score, work.own_score))),
        "axis": f"score, {work.unit}" if work.unit else "score",
        "ys": [(y(tick), f"{tick:g}") for tick in _ticks(low, high, 4)],
        "xs": [(x(tick), f"{tick:g}") for tick in _ticks(1, runs, 6) if tick == int(tick)],
    }  # fmt: skip


def _levels(par: float | None, own: float | None) -> list[tuple[str, str, float, float]]:
    """Class, words, place of the line and place of its words of par and of what was handed in: the lower line has its words below it."""
    is_par_below = par is not None and (own is None or par >= own)
    both = (("par", "par", par, is_par_below), ("own", "handed in", own, not is_par_below))
    return [(kind, words, at, round(at + (11 if is_below else -3), 1)) for kind, words, at, is_below in both if at is not None]


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers of a scale.

    >>> _ticks(0.2, 9.7, 4)
    [5]
    >>> _ticks(0, 2, 5)
    [0.0, 0.5, 1.0, 1.5, 2.0]
    """
    rough = (high - low) / most
    ten = 10 ** math.floor(math.log10(rough))
    step = next(ten * k for k in (1, 2, 5, 10) if ten * k >= rough)
    return [round(step * k, 12) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
