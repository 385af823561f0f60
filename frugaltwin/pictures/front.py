"""The Pareto front of a campaign with several objectives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from frugaltwin.goals import Objective
from frugaltwin.pictures.progress import number_points
from frugaltwin.pictures.style import ACCENT, INK, QUIET
from frugaltwin.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_front(axes: Axes, record: Record) -> None:
    """Draw every reading by its first two objectives, with the front of all of them and the requirements."""
    goal = record.goal
    x, y = goal.objectives[:2]
    axes.set_xlabel(title(x))
    axes.set_ylabel(title(y))
    done = [t for t in record.trials if goal.counts(t)]
    if not done:
        return
    places = np.array([[o.score_of_trial(t) for o in (x, y)] for t in done], dtype=float)
    meets = np.array([bool(goal.meets(t)) for t in done])
    best = {t.number for t in goal.front(done)}
    is_best = np.array([t.number in best for t in done])
    others = meets & ~is_best
    axes.plot(*places[others].T, "o", color=QUIET, markersize=5, label="reading")
    if not meets.all():
        axes.plot(*places[~meets].T, "x", color=QUIET, markersize=5, label="beyond a requirement")
    along = places[is_best][np.argsort(places[is_best, 0], kind="stable")]
    if len(goal.objectives) == 2:
        axes.step(*along.T, where="post" if x.is_minimized else "pre", color=ACCENT, linewidth=1)
    axes.plot(*along.T, "D", color=ACCENT, markersize=7, label="front")
    for bound in goal.requirements:
        for objective, line in ((x, axes.axvline), (y, axes.axhline)):
            if bound.objective.quantity == objective.quantity:
                line(bound.bound, color=INK, linestyle="--", linewidth=1, label=f"required: {bound.title}")
    axes.margins(0.12)
    shown = {trial.number: (place[0], place[1]) for trial, place in zip(done, places.tolist(), strict=True) if trial.number in best}
    number_points(axes, shown)
    axes.legend(frameon=False, fontsize=8, loc="best")


def title(objective: Objective) -> str:
    """The name and the unit of an objective, and which way is good."""
    return f"{objective.column.title} ({'low' if objective.is_minimized else 'high'} is good)"
