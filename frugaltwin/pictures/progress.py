"""Pictures of a campaign's progress: best score, colors, outcomes, settings. Numbers and names stand beside every color."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from frugaltwin.color import hex_code
from frugaltwin.experiment import Categorical, MixtureSum, Outcome, Parameter, Trial, significant, total
from frugaltwin.goals import Column
from frugaltwin.pictures.style import ACCENT, INK, QUIET
from frugaltwin.record import Record
from frugaltwin.tables import color_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = Callable[["Axes", Record], None]
"""A function that draws one picture of a campaign into axes."""


def figure(draws: list[Draw], record: Record, width: float = 5.2, height: float = 3.4) -> Figure:
    """A figure of several pictures, two side by side, so that it fits a slide."""
    from matplotlib.figure import Figure

    columns = 1 if len(draws) == 1 else 2
    rows = -(-len(draws) // columns)
    result = Figure(figsize=(width * columns, height * rows), layout="constrained")
    for k, draw in enumerate(draws, start=1):
        axes = result.add_subplot(rows, columns, k)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=9)
        draw(axes, record)
    return result


def draw_best_against_runs(axes: Axes, record: Record) -> None:
    """Draw every reading and the best so far against the number of experiments."""
    _draw_best(axes, record, [float(t.number) for t in record.trials], "experiment")


def draw_best_against_cost(axes: Axes, record: Record) -> None:
    """Draw every reading and the best so far against lab time, or against money where no time was counted."""
    spent = [total(record.trials[: k + 1]) for k in range(len(record.trials))]
    if any(c.seconds for c in spent):
        money = f" ({spent[-1].money:.2f} USD in all)" if spent[-1].money else ""
        _draw_best(axes, record, [c.seconds / 60 for c in spent], f"lab time, min{money}")
    else:
        _draw_best(axes, record, [c.money for c in spent], "money, USD")


def _draw_best(axes: Axes, record: Record, xs: list[float], label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    goal = record.goal
    scored = [(x, s, bool(goal.meets(t))) for x, t in zip(xs, record.trials, strict=True) if (s := record.score(t)) is not None]
    axes.set_xlabel(label)
    axes.set_ylabel(Column("score", goal.unit).title)
    if not scored:
        return
    x, y = np.array([(x, s) for x, s, _ in scored]).T
    meets = np.array([is_met for _, _, is_met in scored])
    axes.plot(x[meets], y[meets], "o", color=QUIET, markersize=5, label="reading")
    if not meets.all():
        axes.plot(x[~meets], y[~meets], "x", color=QUIET, markersize=5, label="beyond a requirement")
    objective = goal.objectives[0]
    if meets.any():
        accumulate = np.fmin.accumulate if objective.is_minimized else np.fmax.accumulate
        best = accumulate(np.where(meets, y, np.nan))
        axes.step(x, best, where="post", color=ACCENT, linewidth=2, label="best so far")
        axes.annotate(significant(best[-1], 3), (x[-1], best[-1]), textcoords="offset points", xytext=(5, 4), fontsize=9, color=ACCENT)
    if objective.is_ratio:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
        axes.yaxis.set_minor_formatter(lambda v, _: "")
    for level, words in objective.levels.items():
        axes.axhline(level, color=QUIET, linestyle=":", linewidth=1)
        axes.text(x[0], level, words, fontsize=8, color=QUIET, va="bottom")
    if label == "experiment":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_above(axes)


def legend_above(axes: Axes, columns: int = 2) -> None:
    """Write the legend over a picture, where it covers nothing."""
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, borderaxespad=0.2)


def draw_ab_plane(axes: Axes, record: Record) -> None:
    """Draw the measured colors and the target in the a*b* plane, numbered in order."""
    experiment = record.experiment
    axes.set_xlabel("a* (green – red)")
    axes.set_ylabel("b* (blue – yellow)")
    axes.axhline(0, color=QUIET, linewidth=0.5)
    axes.axvline(0, color=QUIET, linewidth=0.5)
    known = [(t.number, color_of(experiment, t.happened, t.measurement.outcomes)) for t in record.trials if t.measurement is not None]
    colors = {number: color for number, color in known if color}
    for color in colors.values():
        axes.plot(color["a"], color["b"], "o", markersize=10, color=hex_code((color["L"], color["a"], color["b"])), markeredgecolor=INK)
    if target := record.goal.target_color:
        _, a, b = target
        axes.plot(a, b, "s", markersize=18, color=hex_code(target), markeredgecolor=INK, markeredgewidth=1.8, zorder=0, label="target")
        axes.legend(frameon=False, fontsize=8, markerscale=0.45, loc="best")
    axes.margins(0.15)
    number_points(axes, {number: (color["a"], color["b"]) for number, color in colors.items()})


def number_points(axes: Axes, places: Mapping[int, tuple[float, float]]) -> None:
    """Write numbers beside points so that none covers a point or another number; where there is no room for one, it is left out.

    The latest come first, since they are what a reader looks for.
    """
    axes.autoscale_view()
    pixels = {number: axes.transData.transform(place) for number, place in places.items()}
    taken = [(x - 6.0, y - 6.0, x + 6.0, y + 6.0) for x, y in pixels.values()]
    for number, (x, y) in reversed(pixels.items()):
        width, height = 6.0 * len(str(number)) + 2.0, 10.0
        for left, low in ((7, 2), (-7 - width, 2), (7, -12), (-7 - width, -12), (-width / 2, 8), (-width / 2, -8 - height)):
            box = (x + left, y + low, x + left + width, y + low + height)
            if not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
                points = 72.0 / axes.figure.dpi
                look: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "color": INK, "va": "bottom"}
                axes.annotate(str(number), places[number], xytext=(left * points, low * points), **look)
                taken.append(box)
                break


def gamut(name: str, lab: NDArray[np.float64]) -> Figure:
    """A figure of the colors Lab [n, 3] that a twin can make: b* and L* against a*."""
    from matplotlib.figure import Figure

    result = Figure(figsize=(10.4, 4.6), layout="constrained")
    codes = [hex_code(color) for color in lab]
    sides = ((1, 2, "a* (green – red)", "b* (blue – yellow)"), (1, 0, "a* (green – red)", "L* (dark – light)"))
    for k, (x, y, x_label, y_label) in enumerate(sides, start=1):
        axes = result.add_subplot(1, 2, k)
        axes.spines[["top", "right"]].set_visible(False)
        axes.scatter(lab[:, x], lab[:, y], c=codes, s=14, edgecolor=QUIET, linewidth=0.2, rasterized=True)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
    result.suptitle(f"{name}: {len(lab)} random settings, true colors", fontsize=10, color=INK)
    return result


def panels(axes: Axes, count: int, columns: int, share_y: bool = False) -> list[Axes]:
    """Small axes in the place of one, `columns` side by side."""
    figure, place = axes.figure, axes.get_subplotspec()
    axes.remove()
    rows = -(-count // columns)
    grid = (place or figure.add_gridspec(1, 1)[0]).subgridspec(rows, min(count, columns))
    made: list[Axes] = []
    for k in range(count):
        one = figure.add_subplot(grid[k // columns, k % columns], sharey=made[0] if made and share_y else None)
        one.spines[["top", "right"]].set_visible(False)
        one.tick_params(colors=INK, labelsize=8)
        made.append(one)
    return made


def _share_an_axis(record: Record, parts: Sequence[Parameter | Outcome]) -> bool:
    """Whether all have one unit. Where they have none they are alike if one constraint is about them, or their names begin alike."""
    units = {part.unit for part in parts}
    if len(units) != 1 or units not in ({"1"}, {""}):
        return len(units) == 1
    names = {part.name for part in parts}
    bound = (set(c.parameters if isinstance(c, MixtureSum) else c.coefficients) for c in record.experiment.constraints)
    return len({name.partition("_")[0] for name in names}) == 1 or any(names <= one for one in bound)


def draw_channels(axes: Axes, record: Record) -> None:
    """Draw the outcomes: of one unit, every trial is a line over them; of several, each against the number of the experiment."""
    numeric = [o for o in record.experiment.outcomes if not o.labels]
    if not _share_an_axis(record, numeric):
        _draw_multiples(axes, record, numeric)
        return
    best = record.best
    for t in record.trials:
        if t.measurement is None:
            continue
        values = [float(t.measurement.outcomes.get(o.name, np.nan)) for o in numeric]
        is_best = best is not None and t.number == best[0].number
        style = {"color": ACCENT, "linewidth": 2.0, "zorder": 3, "label": f"best reading, {t.number}"} if is_best else {"color": QUIET}
        axes.plot(range(len(numeric)), values, marker="o", markersize=3, **({"linewidth": 0.8} | style))
    axes.set_xticks(range(len(numeric)), [o.name for o in numeric], rotation=45, ha="right", fontsize=8)
    (unit,) = {o.unit for o in numeric}
    axes.set_ylabel(f"outcome, {unit}" if unit not in ("", "1") else "outcome")
    if best is not None:
        axes.legend(frameon=False, fontsize=8, loc="best")


def draw_settings(axes: Axes, record: Record) -> None:
    """Draw every parameter against the number of the experiment: of one unit in one picture, of several each in its own."""
    from matplotlib.colors import is_color_like
    from matplotlib.ticker import MaxNLocator

    parameters = record.experiment.parameters
    if not _share_an_axis(record, parameters):
        _draw_multiples(axes, record, parameters)
        return
    markers = "osD^vP*X"
    numeric = [p for p in parameters if not isinstance(p, Categorical)]
    if not numeric:
        _draw_multiples(axes, record, parameters)
        return
    has_dyes = any(is_color_like(p.name) for p in numeric)
    for k, p in enumerate(numeric):
        values = [float(t.settings[p.name]) for t in record.trials]
        (line,) = axes.plot([t.number for t in record.trials], values, linewidth=1.2, label=p.name)
        line.set(marker=markers[k % len(markers)], markersize=5, markeredgecolor=INK, markeredgewidth=0.5)
        if has_dyes:  # a dye called red is drawn in red, what has no color in gray
            line.set_color(p.name if is_color_like(p.name) else QUIET)
    axes.set_xlabel("experiment")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(f"setting, {numeric[0].unit}" if numeric[0].unit not in ("", "1") else "setting")
    if record.trials:
        legend_above(axes, columns=4)


def _draw_multiples(axes: Axes, record: Record, parts: Sequence[Parameter | Outcome]) -> None:
    """Draw settings or outcomes, each in a small picture of its own, against the number of the experiment; the best one is marked."""
    from matplotlib.ticker import MaxNLocator

    best = record.best[0].number if record.best else None
    columns = 1 if len(parts) == 1 else 2
    for k, (panel, part) in enumerate(zip(panels(axes, len(parts), columns), parts, strict=True)):
        values = {t.number: _value(t, part) for t in record.trials}
        known = {number: value for number, value in values.items() if value is not None}
        if isinstance(part, Categorical):
            names = list(part.values)
            panel.set_yticks(range(len(names)), [name if len(name) <= 16 else f"{name[:15]}…" for name in names], fontsize=7)
            panel.set_ylim(-0.5, len(names) - 0.5)
            known = {number: names.index(str(value)) for number, value in known.items()}
            panel.plot(list(known), list(known.values()), "s", color=QUIET, markersize=5)
        else:
            panel.plot(list(known), list(known.values()), "o-", color=QUIET, markersize=4, linewidth=0.8)
            if getattr(part, "scale", "linear") == "log":
                panel.set_yscale("log")
        if best in known:
            panel.plot([best], [known[best]], "o", color=ACCENT, markersize=7)
        unit = f", {part.unit}" if part.unit not in ("", "1") else ""
        panel.set_title(f"{part.name}{unit}", fontsize=9, color=INK)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        if k >= len(parts) - columns:
            panel.set_xlabel("experiment", fontsize=9)


def _value(trial: Trial, part: Parameter | Outcome) -> float | str | None:
    values = trial.settings if not isinstance(part, Outcome) else trial.measurement.outcomes if trial.measurement else {}
    return values.get(part.name)


def height(draw: Draw, record: Record, usual: float = 3.4) -> float:
    """The height of a picture in inches: more where it has several rows of small ones."""
    parts: Sequence[Parameter | Outcome] = ()
    if draw is draw_channels:
        parts = [o for o in record.experiment.outcomes if not o.labels]
    elif draw is draw_settings:
        parts = record.experiment.parameters
    is_many = bool(parts) and not _share_an_axis(record, parts)
    return max(usual, 0.5 + 1.5 * -(-len(parts) // 2)) if is_many else usual
