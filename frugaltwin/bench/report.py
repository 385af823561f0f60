"""Report of a comparison: its tables as CSV and Markdown, and one HTML file with plots that works offline."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from frugaltwin.amounts import Amounts
from frugaltwin.bench.metrics import Trajectory, acceleration, enhancement
from frugaltwin.bench.results import Results
from frugaltwin.checks import check_writable, write_text
from frugaltwin.errors import InvalidInput
from frugaltwin.pictures.style import MARKERS, colors, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 200
"""Points of a curve over lab time or money."""
LINES = ("-", "--", "-.", ":")


def write(results: Results, path: Path) -> None:
    """Write the report; the ending of the file says which form.

    Raises:
        InvalidInput: It is another ending, or the file cannot be written.
    """
    forms: dict[str, Callable[[Results], str]] = {".html": html, ".md": markdown, ".csv": table}
    if path.suffix not in forms:
        raise InvalidInput(f"cannot write {path}: the report ends in {', '.join(forms)}", field="out")
    check_writable(path)
    write_text(path, forms[path.suffix](results))


def table(results: Results) -> str:
    """All rows as CSV, with the columns of all problems."""
    rows = results.rows()
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def markdown(results: Results) -> str:
    """A table and the verdicts of each problem as Markdown."""
    parts = [f"# {results.title}", *results.remarks()]
    for problem, rows in by_problem(results).items():
        names = list(rows[0])
        lines = [names, ["---"] * len(names), *([str(row[name]) for name in names] for row in rows)]
        parts += [f"## {problem}", f"{results.described(problem)}.", "\n".join("| " + " | ".join(line) + " |" for line in lines)]
        parts += ["\n".join(f"- {sentence}" for sentence in results.verdicts(problem))] if results.verdicts(problem) else []
    return "\n\n".join(parts) + "\n"


def html(results: Results) -> str:
    """The report as one page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    page = Environment(loader=PackageLoader("frugaltwin"), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    problems = [
        {
            "name": problem,
            "about": results.described(problem),
            "rows": rows,
            "verdicts": results.verdicts(problem),
            "pictures": [{"url": _url(figure), "words": words} for words, figure in pictures(results, problem).items()],
        }
        for problem, rows in by_problem(results).items()
    ]
    return page.get_template("comparison.html").render(
        title=results.title, remarks=results.remarks(), problems=problems, versions=results.versions
    )


def by_problem(results: Results) -> dict[str, list[dict[str, Any]]]:
    """The rows of each problem, without its name."""
    rows = results.rows()
    return {
        problem: [{name: value for name, value in row.items() if name != "problem"} for row in rows if row["problem"] == problem]
        for problem, found in results.trajectories.items()
        if found
    }


def pictures(results: Results, problem: str) -> dict[str, Figure]:
    """The plots of a problem by their words: the gap against every amount that was spent, and the factors against the reference."""
    from matplotlib.figure import Figure

    found = results.trajectories[problem]
    everybody = [t for of in found.values() for t in of]
    kinds = [kind for kind in Amounts.kinds() if any(t.spent[kind.name][-1] > 0 for t in everybody)]
    gaps = Figure(figsize=(4.6 * len(kinds), 3.8), layout="constrained")
    for k, kind in enumerate(kinds, start=1):
        axes = gaps.add_subplot(1, len(kinds), k)
        _draw_gaps(axes, found, kind.name)
        axes.set_xlabel("runs" if kind.name == "runs" else kind.text)
    words = "median gap of each strategy, with a band from the first to the third quartile, against " + ", ".join(k.name for k in kinds)
    drawn = {words: gaps}
    if results.reference in found and len(found) > 1:
        drawn[f"acceleration and enhancement against {results.reference}, by medians"] = _factors(results, found)
    return drawn


def _draw_gaps(axes: Axes, found: Mapping[str, Sequence[Trajectory]], axis: str) -> None:
    for k, ((name, of), color) in enumerate(zip(found.items(), colors(len(found)), strict=True)):
        most = max(float(t.spent[axis][-1]) for t in of)
        x = np.arange(1.0, most + 1) if axis == "runs" else np.linspace(0, most, POINTS)
        y = np.array([[t.after(amount, axis) for amount in x] for t in of])
        is_there = np.isfinite(y).all(axis=0)
        low, middle, high = np.quantile(y[:, is_there], [0.25, 0.5, 0.75], axis=0)
        axes.fill_between(x[is_there], low, high, color=color, alpha=0.2, linewidth=0, step="post")
        marks = {"marker": MARKERS[k % len(MARKERS)], "markevery": max(is_there.sum() // 6, 1), "markersize": 5}
        axes.plot(x[is_there], middle, LINES[k % len(LINES)], color=color, label=name, drawstyle="steps-post", **marks)
    if all(t.gaps.min() > 0 for of in found.values() for t in of):
        axes.set_yscale("log")
    axes.set_ylabel("gap")
    axes.legend(frameon=False, fontsize=8)


def _factors(results: Results, found: Mapping[str, Sequence[Trajectory]]) -> Figure:
    from matplotlib.figure import Figure

    reference = found[results.reference]
    runs = list(range(1, max(len(t.gaps) for of in found.values() for t in of) + 1))
    levels = [float(np.median([t.after(n) for t in reference])) for n in runs]
    figure = Figure(figsize=(9.2, 3.8), layout="constrained")
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    for k, ((name, of), color) in enumerate(zip(found.items(), colors(len(found)), strict=True)):
        if name == results.reference:
            continue
        look: dict[str, Any] = {"color": color, "label": name, "marker": MARKERS[k % len(MARKERS)], "linestyle": LINES[k % len(LINES)]}
        left.plot(levels, _finite(acceleration(of, reference, levels)), markersize=4, **look)
        right.plot(runs, _finite(enhancement(of, reference, runs)), markersize=4, **look)
    left.set_xlabel("gap to come within")
    left.invert_xaxis()
    left.set_ylabel("acceleration factor")
    right.set_xlabel("runs")
    right.set_ylabel("enhancement factor")
    for axes in (left, right):
        axes.axhline(1.0, color="#8a929c", linewidth=0.8)
    right.legend(frameon=False, fontsize=8)
    return figure


def _finite(values: Sequence[float]) -> list[float]:
    """Numbers for a curve, which has a hole where there is none."""
    return [value if np.isfinite(value) else np.nan for value in values]


def _url(figure: Figure) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg(figure).encode()).decode()
