"""Pictures of a campaign's progress: best score, colors, outcomes, settings. Numbers and names stand beside every color."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from frugaltwin.color import hex_code
from frugaltwin.experiment import Categorical, significant, total
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
    """A figure of several pictures side by side."""
    from matplotlib.figure import Figure

    result = Figure(figsize=(width * len(draws), height), layout="constrained")
    for k, draw in enumerate(draws, start=1):
        axes = result.add_subplot(1, len(draws), k)
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
    axes.legend(frameon=False, fontsize=8)


def draw_ab_plane(axes: Axes, record: Record) -> None:
    """Draw the measured colors and the target in the a*b* plane, numbered in order."""
    experiment = record.experiment
    axes.set_xlabel("a* (green – red)")
    axes.set_ylabel("b* (blue – yellow)")
    axes.axhline(0, color=QUIET, linewidth=0.5)
    axes.axvline(0, color=QUIET, linewidth=0.5)
    colors = {t.number: color_of(experiment, t.happened, t.measurement.outcomes) for t in record.trials if t.measurement is not None}
    spread = max(np.ptp([c[axis] for c in colors.values()]) for axis in "ab") if colors else 0.0
    labeled: list[tuple[float, float]] = []
    for number, color in colors.items():
        at = color["a"], color["b"]
        axes.plot(*at, "o", markersize=10, color=hex_code((color["L"], *at)), markeredgecolor=INK)
        if all(np.hypot(at[0] - a, at[1] - b) > 0.06 * spread for a, b in labeled):  # numbers on top of each other cannot be read
            axes.annotate(str(number), at, textcoords="offset points", xytext=(7, 4), fontsize=8, color=INK)
            labeled.append(at)
    if target := record.goal.target_color:
        _, a, b = target
        axes.plot(a, b, "s", markersize=18, color=hex_code(target), markeredgecolor=INK, markeredgewidth=1.8, zorder=0, label="target")
        axes.legend(frameon=False, fontsize=8)
    axes.margins(0.15)


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


def draw_channels(axes: Axes, record: Record) -> None:
    """Draw the outcomes: every trial is a line over them, the best one is marked."""
    numeric = [o for o in record.experiment.outcomes if not o.labels]
    best = record.best
    for t in record.trials:
        if t.measurement is None:
            continue
        values = [float(t.measurement.outcomes[o.name]) for o in numeric]
        is_best = best is not None and t.number == best[0].number
        style = {"color": ACCENT, "linewidth": 2.0, "zorder": 3, "label": f"best reading, {t.number}"} if is_best else {"color": QUIET}
        axes.plot(range(len(numeric)), values, marker="o", markersize=3, **({"linewidth": 0.8} | style))
    axes.set_xticks(range(len(numeric)), [o.name for o in numeric], rotation=45, ha="right", fontsize=8)
    units = {o.unit for o in numeric}
    axes.set_ylabel(f"outcome, {units.pop()}" if len(units) == 1 and units not in ({"1"}, {""}) else "outcome")
    if best is not None:
        axes.legend(frameon=False, fontsize=8)


def draw_settings(axes: Axes, record: Record) -> None:
    """Draw every numeric parameter against the number of the experiment."""
    from matplotlib.colors import is_color_like

    markers = "osD^vP*X"
    numeric = [p for p in record.experiment.parameters if not isinstance(p, Categorical)]
    has_dyes = any(is_color_like(p.name) for p in numeric)
    for k, p in enumerate(numeric):
        values = [float(t.settings[p.name]) for t in record.trials]
        (line,) = axes.plot([t.number for t in record.trials], values, linewidth=1.2, label=p.name)
        line.set(marker=markers[k % len(markers)], markersize=5, markeredgecolor=INK, markeredgewidth=0.5)
        if has_dyes:  # a dye called red is drawn in red, what has no color in gray
            line.set_color(p.name if is_color_like(p.name) else QUIET)
    axes.set_xlabel("experiment")
    axes.set_ylabel("setting")
    if record.trials and numeric:
        axes.legend(frameon=False, fontsize=8, ncols=2)
