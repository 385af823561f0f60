"""Phase fields over a plane, on two axes or on a triangle: fields with names and colors, borders, numbers as color."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from frugaltwin.experiment import Trial, describe
from frugaltwin.pictures.plane import Floats, Plane
from frugaltwin.pictures.style import INK, MARKERS, QUIET, colors, tint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LETTER = 0.019  # width of a letter of a field's name, of the width of the picture

FINE, COARSE = 121, 41  # points along an axis: of a single picture, of a picture in a series

FRACTION = re.compile(r"(mole|mass|volume|weight|atomic) fraction\b")
"""The descriptions that say more than the name of a parameter."""

Axes = Any
"""Axes of matplotlib or of mpltern, whose triangle takes three coordinates where the other takes two."""


def canvas(panels: Sequence[Plane | None]) -> tuple[Figure, list[Axes]]:
    """A figure with axes side by side, for each plane, or plain ones for None."""
    from matplotlib.figure import Figure

    has_triangle = any(isinstance(panel, Plane) and panel.is_triangle for panel in panels)
    figure = Figure(figsize=(5.6 * len(panels), 5.2 if has_triangle else 4.6), layout="constrained")
    if has_triangle and (engine := figure.get_layout_engine()):
        engine.set(rect=(0.0, 0.0, 1.0, 0.95))  # type: ignore[call-arg]  # the titles of triangles stand higher than it expects
    made = []
    for k, panel in enumerate(panels, start=1):
        axes: Axes
        if isinstance(panel, Plane) and panel.is_triangle:
            import mpltern  # noqa: F401  (registers the projection)

            total = float(panel.points[0].sum())
            axes = figure.add_subplot(1, len(panels), k, projection="ternary", ternary_sum=total)
            for side, p in zip("tlr", panel.axes, strict=True):
                getattr(axes, f"set_{side}label")(axis_label(p), fontsize=9)
        else:
            axes = figure.add_subplot(1, len(panels), k)
            axes.spines[["top", "right"]].set_visible(False)
            if isinstance(panel, Plane):
                name_axes(axes, panel)
        axes.tick_params(colors=INK, labelsize=8)
        made.append(axes)
    return figure, made


def name_axes(axes: Axes, plane: Plane) -> None:
    """Give x and y the names and the scales of a plane's parameters."""
    x, y = plane.axes
    axes.set(xlabel=axis_label(x), ylabel=axis_label(y), xscale=x.scale, yscale=y.scale)


def axis_label(of: Any) -> str:
    """The name and the unit of a parameter or an outcome; of a number without a unit what it is, such as ``mole fraction of B``."""
    about = str(getattr(of, "description", "")).partition(";")[0].partition(",")[0].strip()
    if of.unit == "1" and FRACTION.match(about):
        return about
    name = of.name.replace("_", " ")
    return name if of.unit in ("", "1") else f"{name}, {of.unit}"


def write_head(axes: Axes, plane: Plane, text: str) -> None:
    """Write a title with the values of the fixed parameters."""
    write_title(axes, plane, f"{text} (at {describe(plane.fixed)})" if plane.fixed else text)


def write_title(axes: Axes, plane: Plane, text: str) -> None:
    """Write a title over a picture, or over its triangle."""
    if plane.is_triangle:  # mpltern takes half of the time of a picture to find this place
        axes.set_title(text, fontsize=10, color=INK, pad=14, y=1.12)
    else:
        axes.set_title(text, fontsize=10, color=INK)


def coordinates(plane: Plane, points: Floats) -> tuple[Floats, ...]:
    """Points [n, k] as the axes take them: k arrays [n]."""
    return tuple(points[:, j] for j in range(len(plane.axes)))


def unit_box(plane: Plane, points: Floats) -> Floats:
    """Places of points [n, k] in the picture, [n, 2], about 0 to 1."""
    if plane.is_triangle:
        top, _, right = (points / plane.points[0].sum()).T
        corners: Floats = np.stack([right + top / 2, top * np.sqrt(3) / 2], axis=1)
        return corners
    logs = [j for j, p in enumerate(plane.axes) if p.scale == "log"]
    known, points = plane.points.copy(), points.copy()
    known[:, logs], points[:, logs] = np.log(known[:, logs]), np.log(points[:, logs])
    low, high = known.min(axis=0), known.max(axis=0)
    scaled: Floats = (points - low) / np.where(high > low, high - low, 1.0)
    return scaled


def one_hot(codes: NDArray[np.int_], n: int) -> Floats:
    """Probabilities [n, ...] of n labels from the numbers of the true ones [...]."""
    hot: Floats = (codes == np.arange(n)[:, None]).astype(float)
    return hot


def softened(plane: Plane, hot: Floats) -> Floats:
    """Labels on a grid, blurred by one grid step, so that a boundary between them is a smooth line."""
    if not plane.shape or min(plane.shape) < 3:
        return hot
    from scipy.ndimage import gaussian_filter

    return np.stack([gaussian_filter(one.reshape(plane.shape), 1.0, mode="nearest").ravel() for one in hot])


def _margins(chances: Floats) -> Floats:
    """Margin of each label [k, n] over the best other one: positive inside its field."""
    if len(chances) == 1:
        return np.ones_like(chances)
    order = np.sort(chances, axis=0)
    first, second = order[-1], order[-2]
    lead: Floats = np.where(chances == first, first - second, chances - first)
    return lead


def _grid(plane: Plane, values: Floats) -> tuple[Floats, Floats, Floats]:
    """x, y and values [rows, columns] of a full grid."""
    assert plane.shape is not None
    columns, rows = plane.shape
    return plane.points[:, 0].reshape(columns, rows)[:, 0], plane.points[:rows, 1], values.reshape(columns, rows).T


def draw_fields(
    axes: Axes,
    plane: Plane,
    chances: Floats,
    labels: Sequence[str],
    is_filled: bool = True,
    has_lines: bool = True,
    marks: Floats | None = None,
) -> None:
    """Draw every label's field in its color, with its name where there is room.

    Args:
        marks: Points of a true diagram, [m, k], that names keep away from. None for the fields of a model: their points are paler.
    """
    codes = chances.argmax(axis=0)
    if is_filled:
        tints = [tint(c) for c in colors(len(labels))]
        if plane.shape:
            from matplotlib.colors import ListedColormap

            x, y, image = _grid(plane, codes.astype(float))
            axes.pcolormesh(x, y, image, cmap=ListedColormap(tints), vmin=-0.5, vmax=len(labels) - 0.5, shading="nearest", rasterized=True)
        elif plane.is_triangle:
            margins = _margins(chances)
            for k in np.unique(codes):
                if (codes == k).all():
                    axes.tricontourf(
                        *coordinates(plane, plane.points), np.linspace(0.4, 0.6, len(codes)), levels=[0.0, 1.0], colors=[tints[k]]
                    )
                else:
                    axes.tricontourf(*coordinates(plane, plane.points), margins[k], levels=[-1e-12, 2.0], colors=[tints[k]])
        else:
            for k in np.unique(codes):
                is_believed = marks is None
                look = {
                    "marker": MARKERS[k % len(MARKERS)],
                    "facecolor": (tints if is_believed else colors(len(labels)))[k],
                    "linewidth": 0.5,
                }
                name = {} if is_believed else {"label": labels[k]}
                axes.scatter(*coordinates(plane, plane.points[codes == k]), s=30, edgecolor=QUIET if is_believed else INK, **look, **name)
            if marks is not None:
                axes.legend(frameon=False, fontsize=8, loc="best")
            return
    if has_lines:
        draw_borders(axes, plane, chances, "-", 1.2)
    _name_fields(axes, plane, codes, labels, marks)


def draw_borders(axes: Axes, plane: Plane, chances: Floats, style: str, width: float) -> None:
    """Draw the borders between labels."""
    codes = chances.argmax(axis=0)
    margins = _margins(chances)
    present = np.unique(codes)
    for k in present if len(present) > 2 else present[:1]:
        if (codes == k).all():
            continue
        look = {"levels": [0.0], "colors": [INK], "linestyles": [style], "linewidths": [width], "zorder": 3}
        if plane.shape and min(plane.shape) > 1:
            axes.contour(*_grid(plane, margins[k]), **look)
        elif plane.is_triangle:
            axes.tricontour(*coordinates(plane, plane.points), margins[k], **look)


def _name_fields(axes: Axes, plane: Plane, codes: NDArray[np.int_], labels: Sequence[str], marks: Floats | None) -> None:
    """Write the name of each field where it is widest; in a legend where there is no room."""
    from matplotlib.patches import Patch
    from scipy.spatial import cKDTree

    unit = unit_box(plane, plane.points)
    left_out = []
    for k in np.unique(codes):
        inside, outside = unit[codes == k], unit[codes != k]
        edge = (
            np.minimum(inside, 1 - inside).min(axis=1)
            if not plane.is_triangle
            else plane.points[codes == k].min(axis=1) / plane.points[0].sum()
        )
        room = np.minimum(cKDTree(outside).query(inside)[0], 0.02 + edge) if len(outside) else 0.02 + edge
        if marks is not None and len(marks):
            room = np.minimum(room, cKDTree(unit_box(plane, marks)).query(inside)[0])
        half = LETTER * len(labels[k]) / 2
        fits = (inside[:, 0] > half) & (inside[:, 0] < 1 - half)
        best = int(np.where(fits, room, 0.3 * room).argmax())
        if room[best] < 0.03:
            left_out.append(k)
            continue
        place = tuple(c.item() for c in coordinates(plane, plane.points[codes == k][[best]]))
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.65, "linewidth": 0}
        axes.text(*place, labels[k], ha="center", va="center", fontsize=9, color=INK, bbox=box, zorder=4)
    if left_out:
        patches = [Patch(facecolor=tint(colors(len(labels))[k]), edgecolor=INK, label=labels[k]) for k in left_out]
        axes.legend(handles=patches, frameon=False, fontsize=8, loc="upper right")


def draw_number(
    figure: Figure, axes: Axes, plane: Plane, values: Floats, label: str, cmap: str = "", limits: tuple[float, float] | None = None
) -> None:
    """Draw a number as color, with its scale."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    light = ListedColormap(colormaps["cividis"](np.linspace(0.3, 1.0, 256)))  # dark lines and words can be read on it
    look: dict[str, Any] = {"cmap": cmap or light} | (dict(zip(("vmin", "vmax"), limits, strict=True)) if limits else {})
    if plane.shape:
        painted = axes.pcolormesh(*_grid(plane, values), shading="nearest", rasterized=True, **look)
    elif plane.is_triangle:
        painted = axes.tripcolor(*coordinates(plane, plane.points), values, shading="gouraud", rasterized=True, **look)
    else:
        painted = axes.scatter(*coordinates(plane, plane.points), c=values, s=30, edgecolor=INK, linewidth=0.3, **look)
    bar = figure.colorbar(painted, ax=axes, shrink=0.8, pad=0.12 if plane.is_triangle else 0.02)
    bar.set_label(label, fontsize=9)
    bar.ax.tick_params(labelsize=8)


def number_trials(axes: Axes, plane: Plane, trials: Sequence[Trial]) -> None:
    """Write the numbers of the trials beside their points, except where they would overlap."""
    places = plane.positions([t.happened for t in trials])
    written: list[Floats] = []
    for trial, point, place in reversed(list(zip(trials, places, unit_box(plane, places), strict=True))):  # the latest come first
        if all(np.abs(place - other).max() > 0.055 for other in written):
            axes.text(*point.tolist(), f" {trial.number}", fontsize=7, color=INK, va="bottom", zorder=7)
            written.append(place)
