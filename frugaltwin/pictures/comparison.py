"""Comparison of campaigns for one goal, in one picture and a table against experiments, lab time and money: of scores the best so far,
of maps how much is expected to be right or is right, of several objectives how much of the best known front."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from frugaltwin.amounts import Amounts, Kind
from frugaltwin.catalog import without_address
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import total
from frugaltwin.goals import Column
from frugaltwin.goals.goal import rounded
from frugaltwin.goals.hypervolume import missing
from frugaltwin.pictures import front, model
from frugaltwin.pictures.belief import MapView
from frugaltwin.pictures.phase_fields import COARSE
from frugaltwin.pictures.style import MARKERS, QUIET, colors, svg
from frugaltwin.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

LINES = ("-", "--", "-.", ":")
AFTER = (5, 10, 25, 50, 100)
"""Numbers of experiments after which the table has a column."""


@dataclass(frozen=True)
class Curve:
    """The progress of a campaign after some of its trials."""

    numbers: Sequence[int]
    """[n]"""
    values: Floats
    """[n]; NaN before the first reading."""

    def after(self, n: int) -> float:
        """The value after n trials, or after the last number before."""
        known = [value for number, value in zip(self.numbers, self.values.tolist(), strict=True) if number <= n]
        return float(known[-1]) if known else np.nan


@dataclass(frozen=True)
class Measure:
    """The number that campaigns are compared by: its words, and the curve of each."""

    short: str
    """For the head of a column."""
    words: str
    """For an axis."""
    curves: Sequence[Curve]
    unit: str = ""
    is_ratio: bool = False
    levels: Mapping[float, str] = field(default_factory=dict)
    about: str = ""

    def written(self, value: float) -> str:
        """A value for a table, without its unit."""
        return "–" if np.isnan(value) else f"{value:.1f}" if self.unit == "%" else rounded(value, "")


def check_comparable(records: Sequence[Record], with_truth: bool = False) -> None:
    """Refuse campaigns that are not measured by the same number.

    Raises:
        InvalidInput: There are fewer than two, their goals differ, one has no reading, or maps are over other parameters.
    """
    if len(records) < 2:
        raise InvalidInput("a comparison takes two campaigns or more; or strategies, which are run and compared")
    first = records[0]
    for record in records:
        if record.goal.text != first.goal.text:
            raise InvalidInput(f"{first.name} and {record.name} have other goals: {first.goal_title}, and {record.goal_title}")
        if not any(record.goal.meets(t) if record.goal.objectives else record.goal.counts(t) for t in record.trials):
            raise InvalidInput(f"{record.name} has no good reading yet; compare it when it has")
        if first.goal.labels and record.experiment.parameters != first.experiment.parameters:
            raise InvalidInput(f"the maps of {first.name} and {record.name} are over other parameters, so their places differ")
    if with_truth and not first.goal.labels:
        raise InvalidInput("campaigns are compared by the truth where they map; compare strategies for another goal, they are judged by it")


def measure(records: Sequence[Record], with_truth: bool = False) -> Measure:
    """The number that campaigns are compared by, and how it went.

    Args:
        with_truth: Of maps the share that is right, in place of the share that a campaign's own model expects to be right.

    Raises:
        InvalidInput: The truth of a map is not known, or there is no plane to ask the models on.
    """
    goal = records[0].goal
    if goal.labels:
        curves = [_map_curve(record, with_truth) for record in records]
        if with_truth:
            return Measure("right", "map that is right, %", curves, "%", about="share of the map whose label is the true one")
        about = "share of the map that each model itself expects to be right (mean chance of its labels); models may be too sure"
        return Measure("expected", "map expected to be right, %", curves, "%", about=about)
    if goal.has_front:
        losses = [[goal.losses(t) if goal.meets(t) else None for t in record.trials] for record in records]
        everybody = [one for of in losses for one in of if one]
        gaps = [missing(of, everybody) for of in losses]
        found = [Curve(range(1, len(gap) + 1), np.where(np.isfinite(gap), 100 * (1 - gap), np.nan)) for gap in gaps]
        about = "hypervolume of each front, as a share of that of all these campaigns together, from the worst of their readings on"
        return Measure("front", "share of the best known front, %", found, "%", about=about)
    objective = goal.objectives[0]
    scores = [[best[1] if (best := goal.best(r.trials[:n])) else np.nan for n in range(1, len(r.trials) + 1)] for r in records]
    curves = [Curve(range(1, len(of) + 1), np.array(of)) for of in scores]
    about = f"best so far of readings{f'; {goal.explanation}' if goal.explanation else ''}"
    words = f"best so far: {Column('score', goal.unit).title}"
    return Measure("best", words, curves, goal.unit, objective.is_ratio, objective.levels, about)


def _map_curve(record: Record, with_truth: bool) -> Curve:
    view = MapView.of(record, COARSE)
    truth, labels, places = (view.truth() if with_truth else None), view.goal.labels, view.plane.settings()
    numbers, values = view.steps(), []
    for n in numbers:
        found = record.predict(places, record.trials[:n])
        good = found.probability if truth is None else np.array([labels.index(one) for one in found.labels]) == truth.codes
        values.append(100 * float(np.mean(good)))
    return Curve(numbers, np.array(values))


def rows(records: Sequence[Record], by: Measure) -> list[dict[str, Any]]:
    """One row a campaign: its strategy, how far it was after some experiments and at the end, and what it took."""
    longest = max(len(record.trials) for record in records)
    found = []
    for record, curve in zip(records, by.curves, strict=True):
        row: dict[str, Any] = {"campaign": record.name, "strategy": record.strategy_name, "experiments": len(record.trials)}
        for n in (n for n in AFTER if n < longest):
            row[f"{by.short} after {n}"] = by.written(curve.after(n)) if n <= len(record.trials) else "–"
        row[f"{by.short}, {by.unit}" if by.unit not in ("", "1") else by.short] = by.written(curve.after(longest))
        spent = total(record.trials)
        for kind in Amounts.cost_kinds():
            if any(getattr(total(other.trials), kind.name) for other in records):
                row[kind.text] = f"{getattr(spent, kind.name):.{kind.decimals}f}"
        found.append(row)
    return found


def figure(records: Sequence[Record], by: Measure) -> Figure:
    """The progress of each campaign, against every amount that was counted, side by side."""
    from matplotlib.figure import Figure

    kinds = _kinds(records)
    drawn = Figure(figsize=(4.4 * len(kinds), 3.8), layout="constrained")
    for place, kind in enumerate(kinds):
        _draw(drawn.add_subplot(1, len(kinds), place + 1), records, by, kind, is_first=place == 0)
    return drawn


def _kinds(records: Sequence[Record]) -> list[Kind]:
    """The amounts that curves are drawn against: experiments, and what was counted of lab time and money."""
    spent = [total(record.trials) for record in records]
    return [
        kind for kind in Amounts.kinds() if kind.name == "runs" or (kind.name != "volume" and any(getattr(of, kind.name) for of in spent))
    ]


def _against(kind: Kind) -> str:
    return {"runs": "experiments", "seconds": "lab time, min"}.get(kind.name, kind.text)


def _draw(axes: Axes, records: Sequence[Record], by: Measure, kind: Kind, is_first: bool = True) -> None:
    """Draw every curve against one amount."""
    from matplotlib.ticker import MaxNLocator

    axes.spines[["top", "right"]].set_visible(False)
    for k, (record, curve) in enumerate(zip(records, by.curves, strict=True)):
        one_by_one = [1.0 if kind.name == "runs" else getattr(t.cost, kind.name) for t in record.trials]
        at = np.cumsum(one_by_one)[np.array(curve.numbers, dtype=int) - 1] / (60.0 if kind.name == "seconds" else 1.0)
        axes.plot(at, curve.values, drawstyle="steps-post", label=f"{record.name} ({record.strategy_name})", **_look(k, len(records)))
    if by.is_ratio:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
        axes.yaxis.set_minor_formatter(lambda v, _: "")
    for level, words in by.levels.items():
        axes.axhline(level, color=QUIET, linestyle=":", linewidth=1)
        axes.text(0.01, level, words, fontsize=8, color=QUIET, va="bottom", transform=axes.get_yaxis_transform())
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=kind.name == "runs"))
    axes.set_xlabel(_against(kind))
    if is_first:
        axes.set_ylabel(by.words)
        axes.legend(frameon=False, fontsize=8, loc="best")


def _look(k: int, n: int) -> dict[str, Any]:
    """The line of campaign k of n, which those who see no colors can tell, too."""
    return {"color": colors(n)[k], "linestyle": LINES[k % len(LINES)], "marker": MARKERS[k % len(MARKERS)], "markersize": 4}


def fronts(records: Sequence[Record]) -> Figure:
    """The fronts of campaigns by the first two objectives."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(4.8, 3.6), layout="constrained")
    axes: Axes = drawn.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    x, y = records[0].goal.objectives[:2]
    for k, record in enumerate(records):
        good = record.goal.front(record.trials)
        places = np.array(sorted([x.score_of_trial(t), y.score_of_trial(t)] for t in good), dtype=float)
        is_flat = len(record.goal.objectives) == 2
        look = _look(k, len(records)) | (
            {"drawstyle": "steps-post" if x.is_minimized else "steps-pre"} if is_flat else {"linestyle": "none"}
        )
        axes.plot(*places.T, label=f"{record.name} ({record.strategy_name})", **look)
    axes.set(xlabel=front.title(x), ylabel=front.title(y))
    axes.margins(0.1)
    axes.legend(frameon=False, fontsize=8, loc="best")
    return drawn


def remarks(records: Sequence[Record], by: Measure) -> list[str]:
    """Sentences that a reader has to know: that one draw is no comparison of strategies, that labs differ, and how far maps agree."""
    found = ["One campaign of each is one draw: whether strategies differ is said by a comparison over several seeds."]
    labs = {str(without_address(dict(record.specification["driver"]))) for record in records if "driver" in record.specification}
    if len(labs) > 1:
        found.append("These campaigns were not performed on one lab: their drivers or the options of these differ.")
    if records[0].goal.labels:
        maps = {r.name: np.array(r.predict(MapView.of(r, COARSE).plane.settings(), r.trials).labels) for r in records}
        for a, b in combinations(maps, 2):
            found.append(f"{a} and {b} believe in the same label on {np.mean(maps[a] == maps[b]):.0%} of the map.")
    return found


def html(records: Sequence[Record], by: Measure, said: Sequence[str], title: str) -> str:
    """The comparison as one page that works offline.

    Args:
        said: The remarks.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from matplotlib.figure import Figure

    page = Environment(loader=PackageLoader("frugaltwin"), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    goal = records[0].goal
    pictures = []
    for kind in _kinds(records):
        drawn = Figure(figsize=(4.8, 3.6), layout="constrained")
        _draw(drawn.add_subplot(), records, by, kind)
        pictures.append((f"against {_against(kind).partition(',')[0]}", drawn))
    if goal.has_front:
        pictures.append(("the fronts", fronts(records)))
    problem = {
        "name": records[0].goal_title,
        "about": by.about,
        "rows": rows(records, by),
        "verdicts": [],
        "pictures": [],
        "panels": [{"url": _url(drawn), "words": words} for words, drawn in pictures],
        "sides": [_side(record) for record in records],
    }
    return page.get_template("comparison.html").render(title=title, remarks=said, problems=[problem], versions=None)


def _side(record: Record) -> dict[str, Any]:
    """The side of a campaign beside the others: what it found, what it recommends, its map."""
    goal, recommended = record.goal, record.recommendation
    words = [f"{goal.summary(record.trials)}."]
    expected, color, picture = "", "", ""
    if recommended:
        expected, color = model.expected_of(record, recommended)
        by = "by the model" if record.is_recommended_by_model else "the best reading"
        words.append(f"Recommended ({by}): {record.experiment.recipe(recommended)}{f'; expected {expected}' if expected else ''}")
    if goal.labels:
        view = MapView.of(record, COARSE)
        words += [model.certainty(record.predict(view.plane.settings(), record.trials)), model.labels_left_out(record)]
        picture = _url(view.fields())
    if record.coverage:
        words.append(f"Model: {record.coverage}.")
    name = f"{record.name} ({record.strategy_name})"
    return {"name": name, "words": [w[0].upper() + w[1:] for w in words if w], "hex": color, "url": picture}


def _url(drawn: Figure) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg(drawn).encode()).decode()


def write(records: Sequence[Record], by: Measure, said: Sequence[str], path: Path) -> None:
    """Write the comparison: a page for ``.html``, else the picture alone.

    Raises:
        InvalidInput: The file cannot be written, or has another ending.
    """
    from frugaltwin.checks import write_text
    from frugaltwin.pictures.picture import Picture

    if path.suffix == ".html":
        write_text(path, html(records, by, said, path.stem))
    else:
        Picture(figure(records, by)).save(path, "frugaltwin compare")
