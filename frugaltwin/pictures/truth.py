"""Picture of a twin's true diagram, with its section beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from frugaltwin.diagram import Diagram, Section
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Settings
from frugaltwin.pictures.label_placement import Places, extent_of_mark, settle_layout, write_names
from frugaltwin.pictures.phase_fields import (
    COARSE,
    FINE,
    Axes,
    axis_label,
    canvas,
    coordinates,
    draw_fields,
    draw_number,
    one_hot,
    softened,
    unit_box,
    write_head,
)
from frugaltwin.pictures.plane import Floats, Plane
from frugaltwin.pictures.style import ACCENT, INK, QUIET
from frugaltwin.plugins import Driver, KnowsDiagram, KnowsTruth, KnowsTruths

if TYPE_CHECKING:
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

DARK = (ACCENT, "#d55e00", "#009e73", "#8b3a6f", INK)  # lines on white
SHARES = (
    0.25,
    0.5,
    0.75,
    0.375,
    0.625,
    0.125,
    0.875,
    0.31,
    0.69,
    0.44,
    0.56,
    0.19,
    0.81,
    0.07,
    0.93,
)
"""Parts of a line at which its name may stand, the preferred one first."""


def diagram_figure(driver: Driver, at: float | None = None) -> Figure:
    """The true diagram of a twin, with its section beside it where it has one.

    Raises:
        InvalidInput: The driver knows no truth, or has nothing that a plane can show.
    """
    if not isinstance(driver, KnowsTruth):
        raise InvalidInput(f"{driver.experiment.name} knows no truth that could be drawn; run a campaign on it and plot that")
    if not isinstance(driver, KnowsDiagram) and at is not None:
        raise InvalidInput(f"{driver.experiment.name} has no section to cut at {at:g}; draw it without a cut", field="at")
    diagram = driver.diagram(at) if isinstance(driver, KnowsDiagram) else _plain_diagram(driver)
    plane = Plane.of(driver.experiment, diagram.axes, diagram.n_points)
    known = truths(driver, plane.settings())
    figure, panels = canvas([plane, None] if diagram.section else [plane])
    main = panels[0]
    outcomes = {o.name: o for o in driver.experiment.outcomes}
    shown = outcomes[diagram.outcome]
    if shade := diagram.shade or (None if shown.labels else shown.name):
        draw_number(figure, main, plane, np.array([float(y[shade]) for y in known]), axis_label(outcomes[shade]))
    if shown.labels:
        codes = np.array([shown.labels.index(str(y[shown.name])) for y in known])
        chances = softened(plane, one_hot(codes, len(shown.labels)))
        marks = np.array([mark.at for mark in diagram.marks]).reshape(-1, len(plane.axes))
        draw_fields(main, plane, chances, shown.labels, is_filled=shade is None, has_lines=not diagram.lines, marks=marks)
    diamonds = _draw_known(main, plane, diagram)
    if diagram.section:
        _draw_section(panels[1], diagram.section)
        if diagram.section.cuts and not plane.is_triangle:
            _draw_cut(main, plane, *diagram.section.cuts)
    write_head(main, plane, f"{driver.experiment.name}: true diagram")
    if diagram.marks or diagram.lines:
        settle_layout(figure)
        write_names(main, _name_marks(main, plane, diagram))
        write_names(main, _name_boundaries(main, diagram), [extent_of_mark(diamond) for diamond in diamonds])
    return figure


def truths(driver: KnowsTruth, settings: Sequence[Settings]) -> list[Mapping[str, float | str]]:
    """The noise-free outcomes of many settings."""
    return driver.truths(settings) if isinstance(driver, KnowsTruths) else [driver.truth(s) for s in settings]


def _plain_diagram(driver: Driver) -> Diagram:
    """The diagram of a twin that knows only the truth at single settings."""
    experiment = driver.experiment
    plane = Plane.of(experiment, n=3)
    labeled = next((o.name for o in experiment.outcomes if o.labels), experiment.outcomes[0].name)
    return Diagram(tuple(p.name for p in plane.axes), labeled, n_points=FINE if isinstance(driver, KnowsTruths) else COARSE)


def _draw_known(axes: Axes, plane: Plane, diagram: Diagram) -> list[PathCollection]:
    """Draw the lines and marks that a twin knows exactly; return the marks."""
    looks: dict[str, dict[str, Any]] = {
        "boundary": {"color": INK, "linewidth": 1.5, "zorder": 3},
        "spinodal": {"color": INK, "linewidth": 1.2, "linestyle": ":", "zorder": 3},
        "tie line": {"color": QUIET, "linewidth": 0.8, "zorder": 2},
        "gradual change": {"color": QUIET, "linewidth": 1.2, "linestyle": ":", "zorder": 3},
    }
    kinds: set[str] = set()
    for line in diagram.lines:
        label = line.kind if line.kind != "boundary" and line.kind not in kinds else None
        kinds.add(line.kind)
        axes.plot(*coordinates(plane, line.points), label=label, **looks[line.kind])
    marks = [
        axes.scatter(*(np.array([v]) for v in mark.at), marker="D", s=26, color=INK, zorder=5, clip_on=False) for mark in diagram.marks
    ]
    if kinds - {"boundary"}:
        corner = {"loc": "upper left", "bbox_to_anchor": (-0.15, 1.0)} if plane.is_triangle else {"loc": "upper right"}
        axes.legend(fontsize=8, facecolor="white", framealpha=0.75, edgecolor="none", **corner)
    return marks


def _name_marks(axes: Axes, plane: Plane, diagram: Diagram) -> list[Places]:
    """Names of the marks: each beside its mark."""
    names: list[Places] = []
    for mark in diagram.marks:
        is_right = unit_box(plane, np.array([mark.at]))[0, 0] > 0.7
        sides = {"left": f"  {mark.name}", "right": f"{mark.name}  "}
        names.append(
            [
                partial(axes.text, *mark.at, sides[side], ha=side, va=height, fontsize=8, color=INK, zorder=5, path_effects=_halo())
                for height in ("bottom", "top", "center")
                for side in (("right", "left") if is_right else ("left", "right"))
            ]
        )
    return names


def _name_boundaries(axes: Axes, diagram: Diagram) -> list[Places]:
    """Names of the boundaries: each on the longest of its lines."""
    longest = {
        line.name: line for line in sorted(diagram.lines, key=lambda line: len(line.points)) if line.kind == "boundary" and line.name
    }
    look: dict[str, Any] = {"fontsize": 7.5, "fontstyle": "italic", "color": INK, "ha": "center", "va": "center", "zorder": 4}
    return [
        [partial(axes.text, *place, name, path_effects=_halo(), **look) for place in _along(line.points)] for name, line in longest.items()
    ]


def _halo() -> list[Any]:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2.5, foreground="white")]


def _along(points: Floats) -> list[Floats]:
    """Places on a line of points [n, k] for its name, the preferred one first, each [k]."""
    if len(points) == 2:
        return [points[0] + share * (points[1] - points[0]) for share in (0.5, 0.35, 0.65, 0.2, 0.8)]
    return [points[min(int(len(points) * share), len(points) - 1)] for share in SHARES]


def _draw_section(axes: Axes, section: Section) -> None:
    styles = ("-", "--", "-.", ":")
    solid = [c for c in section.curves if not c.is_tangent]
    for k, curve in enumerate(solid):
        axes.plot(curve.x, curve.y, styles[k % len(styles)], color=DARK[k % len(DARK)], linewidth=1.6, label=curve.name)
    for curve in section.curves:
        if curve.is_tangent:
            axes.plot(curve.x, curve.y, "o-", color=INK, linewidth=1.0, markersize=4, label=curve.name or "common tangent")
    axes.set_xlabel(section.x_label)
    axes.set_ylabel(section.y_label)
    axes.set_title(section.title, fontsize=10, color=INK)
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), frameon=False, fontsize=8)


def _draw_cut(axes: Axes, plane: Plane, name: str, at: float) -> None:
    draw = axes.axhline if plane.axes[1].name == name else axes.axvline
    draw(at, color=ACCENT, linewidth=1.0, linestyle=(0, (6, 4)), zorder=2)
