"""Comparison of campaigns for one goal: the best so far against experiments, lab time and money in one picture, and a table."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from frugaltwin.amounts import Amounts
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import total
from frugaltwin.goals import Column
from frugaltwin.goals.goal import rounded
from frugaltwin.pictures.style import MARKERS, QUIET, colors, svg
from frugaltwin.record import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES = ("-", "--", "-.", ":")
AFTER = (5, 10, 25, 50, 100)
"""Numbers of experiments after which the best so far stands in the table."""


def check_comparable(records: Sequence[Record]) -> None:
    """Refuse campaigns whose scores are not the same number.

    Raises:
        InvalidInput: There are fewer than two, one has no score or no reading, or their goals differ.
    """
    if len(records) < 2:
        raise InvalidInput("a comparison takes two campaigns or more; or strategies, which are run and compared")
    first = records[0]
    for record in records:
        if not record.goal.has_score:
            raise InvalidInput(f"{record.name} has no score ({record.goal.text}); compare strategies for such a goal instead")
        if record.goal.text != first.goal.text:
            raise InvalidInput(f"{first.name} and {record.name} have other goals: {first.goal_title}, and {record.goal_title}")
        if record.best is None:
            raise InvalidInput(f"{record.name} has no good reading yet; compare it when it has")


def rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """One row a campaign: its strategy, the best so far after some experiments and at the end, and what it took."""
    longest = max(len(record.trials) for record in records)
    unit = records[0].goal.unit
    found = []
    for record in records:
        row: dict[str, Any] = {"campaign": record.name, "strategy": record.strategy_name, "experiments": len(record.trials)}
        for n in (n for n in AFTER if n < longest):
            best = record.goal.best(record.trials[:n])
            row[f"best after {n}"] = rounded(best[1], "") if best and n <= len(record.trials) else "–"
        assert record.best
        row[f"best, {unit}" if unit not in ("", "1") else "best"] = rounded(record.best[1], "")
        spent = total(record.trials)
        for kind in Amounts.cost_kinds():
            if any(getattr(total(other.trials), kind.name) for other in records):
                row[kind.text] = f"{getattr(spent, kind.name):.{kind.decimals}f}"
        found.append(row)
    return found


def figure(records: Sequence[Record]) -> Figure:
    """The best so far of each campaign, against every amount that was counted, side by side."""
    from matplotlib.figure import Figure

    spent = [np.cumsum([[1.0, *t.cost.cost().values()] for t in record.trials], axis=0) for record in records]
    kinds = [(k, kind) for k, kind in enumerate(Amounts.kinds()) if kind.name != "volume" and any(of[-1, k] > 0 for of in spent)]
    drawn = Figure(figsize=(4.4 * len(kinds), 3.8), layout="constrained")
    goal = records[0].goal
    objective = goal.objectives[0]
    for place, (column, kind) in enumerate(kinds, start=1):
        axes = drawn.add_subplot(1, len(kinds), place)
        axes.spines[["top", "right"]].set_visible(False)
        scale = 60.0 if kind.name == "seconds" else 1.0
        for k, (record, of, color) in enumerate(zip(records, spent, colors(len(records)), strict=True)):
            best = [found[1] if (found := goal.best(record.trials[:n])) else np.nan for n in range(1, len(record.trials) + 1)]
            look: dict[str, Any] = {
                "color": color,
                "linestyle": LINES[k % len(LINES)],
                "marker": MARKERS[k % len(MARKERS)],
                "markersize": 4,
            }
            axes.plot(of[:, column] / scale, best, drawstyle="steps-post", label=f"{record.name} ({record.strategy_name})", **look)
        if objective.is_ratio:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
            axes.yaxis.set_minor_formatter(lambda v, _: "")
        for level, words in objective.levels.items():
            axes.axhline(level, color=QUIET, linestyle=":", linewidth=1)
            axes.text(0.01, level, words, fontsize=8, color=QUIET, va="bottom", transform=axes.get_yaxis_transform())
        axes.set_xlabel({"runs": "experiments", "seconds": "lab time, min"}.get(kind.name, kind.text))
        axes.set_ylabel(f"best so far: {Column('score', goal.unit).title}" if place == 1 else "")
        if place == 1:
            axes.legend(frameon=False, fontsize=8, loc="best")
    return drawn


def html(records: Sequence[Record], title: str) -> str:
    """The comparison as one page that works offline."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    page = Environment(loader=PackageLoader("frugaltwin"), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    url = "data:image/svg+xml;base64," + base64.b64encode(svg(figure(records)).encode()).decode()
    goal = records[0].goal
    about = f"best so far of readings{f'; {goal.explanation}' if goal.explanation else ''}"
    problem = {"name": records[0].goal_title, "about": about, "rows": rows(records), "verdicts": []}
    problem["pictures"] = [{"url": url, "words": "the best reading so far, against experiments, lab time and money"}]
    remarks = ["One campaign of each is one draw: whether strategies differ is said by a comparison over several seeds."]
    return page.get_template("comparison.html").render(title=title, remarks=remarks, problems=[problem], versions=None)


def write(records: Sequence[Record], path: Path) -> None:
    """Write the comparison: a page for ``.html``, else the picture alone.

    Raises:
        InvalidInput: The file cannot be written, or has another ending.
    """
    from frugaltwin.checks import write_text
    from frugaltwin.pictures.picture import Picture

    if path.suffix == ".html":
        write_text(path, html(records, path.stem))
    else:
        Picture(figure(records)).save(path, "frugaltwin compare")
