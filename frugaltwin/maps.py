"""Pictures of maps: a twin's true diagram, and what a campaign believes. On two axes or on a triangle, with names as well as colors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from frugaltwin.diagram import Diagram, Line, Section
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Categorical, Settings, Trial, describe
from frugaltwin.figures import ACCENT, INK, QUIET
from frugaltwin.goals import Map, ScoredGoal
from frugaltwin.plane import Floats, Plane
from frugaltwin.plugins import Driver, KnowsDiagram, KnowsTruth, KnowsTruths

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from frugaltwin.campaign import Campaign

# Source: Okabe & Ito, Color Universal Design (2008), https://jfly.uni-koeln.de/color/; the last two are grays of their own lightness.
PALETTE = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#d55e00", "#999999", "#4d4d4d", "#c8c8c8")
DARK = (ACCENT, "#d55e00", "#009e73", "#8b3a6f", INK)  # lines on white
MARKERS = "os^DvPX*hp"
LETTER = 0.019  # width of a letter of a field's name, of the width of the picture
BELOW: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0.0, -0.16), "ncols": 3, "fontsize": 8, "frameon": False}
TINT = 0.45  # of the full color: what is written on a field stays readable

FINE, COARSE = 121, 41  # points along an axis: of a picture that is drawn once, of one in a row of many
MOST_STEPS = 20  # of a campaign that its report shows

Axes = Any
"""Axes of matplotlib or of mpltern, whose triangle takes three coordinates where the other takes two."""


def colors(n: int) -> list[str]:
    """n colors that color-blind people can tell apart; they begin again after ten."""
    return [PALETTE[k % len(PALETTE)] for k in range(n)]


def diagram_figure(driver: Driver, at: float | None = None) -> Figure:
    """The true diagram of a twin, with its section beside it where it has one.

    Raises:
        InvalidInput: The driver knows no truth, or has nothing that a plane can show.
    """
    if not isinstance(driver, KnowsTruth):
        raise InvalidInput(f"{driver.experiment.name} knows no truth that could be drawn; run a campaign on it and plot that")
    if not isinstance(driver, KnowsDiagram) and at is not None:
        raise InvalidInput(f"{driver.experiment.name} has no section to cut at {at:g}; leave --at out")
    diagram = driver.diagram(at) if isinstance(driver, KnowsDiagram) else _plain_diagram(driver)
    plane = Plane.of(driver.experiment, diagram.axes, diagram.n_points)
    known = truths(driver, plane.settings())
    figure, panels = _canvas([plane, diagram.section] if diagram.section else [plane])
    main = panels[0]
    outcomes = {o.name: o for o in driver.experiment.outcomes}
    shown = outcomes[diagram.outcome]
    if shade := diagram.shade or (None if shown.labels else shown.name):
        _shade(figure, main, plane, np.array([float(y[shade]) for y in known]), _axis_label(outcomes[shade]))
    if shown.labels:
        codes = np.array([shown.labels.index(str(y[shown.name])) for y in known])
        chances = _softened(plane, _one_hot(codes, len(shown.labels)))
        marks = np.array([mark.at for mark in diagram.marks]).reshape(-1, len(plane.axes))
        _draw_fields(main, plane, chances, shown.labels, is_filled=shade is None, has_lines=not diagram.lines, marks=marks)
    _draw_known(main, plane, diagram)
    if diagram.section:
        _draw_section(panels[1], diagram.section)
        if diagram.section.cuts and not plane.is_triangle:
            _draw_cut(main, plane, *diagram.section.cuts)
    _head(main, plane, f"{driver.experiment.name}: true diagram")
    return figure


def campaign_figure(campaign: Campaign, with_truth: bool) -> Figure:
    """What a mapping campaign believes now: fields, boundary, uncertainty, points in order, the next one.

    Raises:
        InvalidInput: There is no plane to draw, or nobody knows the truth.
        CampaignError: Nothing was measured yet.
    """
    twin = campaign.twin() if with_truth else None
    view = MapView.of(campaign, twin.diagram().n_points if isinstance(twin, KnowsDiagram) else FINE)
    return view.figure(view.trials, view.next_point(), view.truth() if with_truth else None)


@dataclass(frozen=True)
class Truth:
    """What a twin knows of a map."""

    codes: NDArray[np.int_]
    """The number of the true label at every point of the plane, [n]."""
    lines: tuple[Line, ...]
    """The boundaries, where it knows them exactly."""


@dataclass(frozen=True)
class MapView:
    """A mapping campaign, looked at over its plane."""

    campaign: Campaign
    goal: Map
    plane: Plane
    trials: list[Trial]

    @classmethod
    def of(cls, campaign: Campaign, n: int) -> MapView:
        """The view of a campaign over n points along an axis.

        Raises:
            InvalidInput: Its experiment has no plane.
        """
        assert isinstance(campaign.goal, Map)
        return cls(campaign, campaign.goal, Plane.of(campaign.driver.experiment, n=n), campaign.trials)

    def next_point(self) -> Settings:
        """What would be tried next."""
        experiment = self.campaign.driver.experiment
        return experiment.check(self.campaign.strategy.suggest(experiment, self.goal, self.trials)[0])

    def truth(self) -> Truth:
        """What a map should look like.

        Raises:
            InvalidInput: The driver does not know it.
        """
        driver = self.campaign.twin()
        if not isinstance(driver, KnowsTruth):
            raise InvalidInput(f"{driver.experiment.name} knows no truth to lay over the map; leave --truth out")
        known = truths(driver, self.plane.settings())
        codes = np.array([self.goal.labels.index(self.goal.label_of(y)) for y in known])
        diagram = driver.diagram() if isinstance(driver, KnowsDiagram) else None
        is_same = diagram is not None and diagram.outcome == self.goal.outcome and self.goal.threshold is None
        return Truth(codes, tuple(line for line in diagram.lines if line.kind == "boundary") if diagram and is_same else ())

    def steps(self) -> list[int]:
        """After how many trials the map is worth a look: at most `MOST_STEPS` of them, the last one included."""
        first = next((t.number for t in self.trials if t.measurement), len(self.trials) + 1)
        numbers = np.arange(first, len(self.trials) + 1)
        return (
            [int(k) for k in numbers[np.unique(np.linspace(0, len(numbers) - 1, MOST_STEPS).round().astype(int))]] if len(numbers) else []
        )

    def frames(self, truth: Truth | None = None) -> Iterator[tuple[int, Figure]]:
        """The picture after each of `steps`; the next point is the one that was tried, and at the end the one that would be."""
        places = None
        for n in self.steps():
            following = self.trials[n].settings if n < len(self.trials) else self.next_point()
            drawn = self.figure(self.trials[:n], following, truth)
            if places is None:
                drawn.draw_without_rendering()  # lays it out; the others look alike, and laying out takes half of the time
                places = [axes.get_position() for axes in drawn.axes]
            drawn.set_layout_engine("none")
            for axes, place in zip(drawn.axes, places, strict=True):
                axes.set_position(place)
            yield n, drawn

    def figure(self, trials: Sequence[Trial], following: Settings | None, truth: Truth | None = None) -> Figure:
        """Fields on the left, uncertainty on the right."""
        prediction = self.campaign.predict(self.plane.settings(), trials)
        figure, (left, right) = _canvas([self.plane, self.plane])
        labels = self.goal.labels
        _draw_fields(left, self.plane, np.stack([prediction.probabilities[label] for label in labels]), labels)
        _shade(figure, right, self.plane, prediction.uncertainty, "uncertainty (entropy, 0 to 1)", "Greys", (0.0, 1.0))
        for axes in (left, right):
            self._draw_trials(axes, trials, labels, has_numbers=axes is left)
            if following is not None:
                at = _at(self.plane, self.plane.positions([following]))
                axes.scatter(*at, marker="*", s=190, facecolor="white", edgecolor=INK, linewidth=1.4, zorder=6, clip_on=False)
        title = f"believed after {len(trials)} of {len(self.trials)}"
        if truth is not None:
            is_right = np.array([labels.index(label) for label in prediction.labels]) == truth.codes
            title += f"; truth {self._draw_truth(left, truth, is_right)}, {np.mean(is_right):.1%} of the map right"
        _head(left, self.plane, title)
        right.set_title("how undecided", fontsize=10, color=INK)
        is_ringed = truth is not None and self._is_scattered
        left.legend(handles=_legend(labels, any(t.measurement is None for t in self.trials), is_ringed), **BELOW)
        return figure

    def _scatter(self, axes: Axes, trials: Sequence[Trial], **look: Any) -> None:
        if trials:
            axes.scatter(*_at(self.plane, self.plane.positions([t.settings for t in trials])), zorder=5, clip_on=False, **look)

    @property
    def _is_scattered(self) -> bool:
        """Whether there are single points and no fields."""
        return self.plane.shape is None and not self.plane.is_triangle

    def _draw_truth(self, axes: Axes, truth: Truth, is_right: NDArray[np.bool_]) -> str:
        """The true boundaries, or rings around what is wrong where single points are no map; how it is drawn."""
        if self._is_scattered:
            axes.scatter(*_at(self.plane, self.plane.points[~is_right]), s=110, facecolor="none", edgecolor=INK, zorder=4)
            return "ringed where missed"
        for line in truth.lines:
            axes.plot(*_at(self.plane, line.points), color=INK, linewidth=1.6, linestyle="--", zorder=3)
        if not truth.lines:
            _draw_borders(axes, self.plane, _softened(self.plane, _one_hot(truth.codes, len(self.goal.labels))), "--", 1.6)
        return "dashed"

    def _draw_trials(self, axes: Axes, trials: Sequence[Trial], labels: Sequence[str], has_numbers: bool) -> None:
        """What was measured, in order: a color and a marker a label, a cross where it failed."""
        for k, label in enumerate(labels):
            look = {"marker": MARKERS[k % len(MARKERS)], "facecolor": colors(len(labels))[k], "edgecolor": INK, "linewidth": 0.7}
            self._scatter(axes, [t for t in trials if self.goal.label_of_trial(t) == label], s=34, **look)
        self._scatter(axes, [t for t in trials if t.measurement is None], marker="x", s=30, color=INK)
        if has_numbers:
            _number(axes, self.plane, trials)


def draw_expected(axes: Axes, campaign: Campaign, trials: list[Trial]) -> None:
    """The score that the model expects over two parameters, and what was tried, numbered in order."""
    plane = Plane.of(campaign.driver.experiment, n=COARSE)
    expected = campaign.predict(plane.settings(), trials).means["score"]
    unit = f", {campaign.goal.unit}" if campaign.goal.unit not in ("", "1") else ""
    _shade(axes.figure, axes, plane, expected, f"expected score{unit}")
    axes.set_xlabel(_axis_label(plane.axes[0]))
    axes.set_ylabel(_axis_label(plane.axes[1]))
    places = plane.positions([t.settings for t in trials])
    axes.scatter(*_at(plane, places), s=30, facecolor="white", edgecolor=INK, linewidth=0.8, zorder=5)
    _number(axes, plane, trials)


def can_draw_expected(campaign: Campaign) -> bool:
    """Whether `draw_expected` has something to draw: two numeric parameters, and readings."""
    experiment = campaign.driver.experiment
    is_flat = len(experiment.parameters) == 2 and not any(isinstance(p, Categorical) for p in experiment.parameters)
    return isinstance(campaign.goal, ScoredGoal) and is_flat and not experiment.constraints and any(t.measurement for t in campaign.trials)


def truths(driver: KnowsTruth, settings: Sequence[Settings]) -> list[Mapping[str, float | str]]:
    """The noise-free outcomes of many settings."""
    return driver.truths(settings) if isinstance(driver, KnowsTruths) else [driver.truth(s) for s in settings]


def _plain_diagram(driver: Driver) -> Diagram:
    """Of a twin that knows nothing but the truth at single settings."""
    experiment = driver.experiment
    plane = Plane.of(experiment, n=3)
    labeled = next((o.name for o in experiment.outcomes if o.labels), experiment.outcomes[0].name)
    return Diagram(tuple(p.name for p in plane.axes), labeled, n_points=FINE if isinstance(driver, KnowsTruths) else COARSE)


def _canvas(panels: Sequence[Plane | Section]) -> tuple[Figure, list[Axes]]:
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
                getattr(axes, f"set_{side}label")(_axis_label(p), fontsize=9)
        else:
            axes = figure.add_subplot(1, len(panels), k)
            axes.spines[["top", "right"]].set_visible(False)
            if isinstance(panel, Plane):
                x, y = panel.axes
                axes.set_xlabel(_axis_label(x))
                axes.set_ylabel(_axis_label(y))
        axes.tick_params(colors=INK, labelsize=8)
        made.append(axes)
    return figure, made


def _axis_label(of: Any) -> str:
    name = of.name.replace("_", " ")
    return name if of.unit in ("", "1") else f"{name}, {of.unit}"


def _head(axes: Axes, plane: Plane, text: str) -> None:
    title = f"{text} (at {describe(plane.fixed)})" if plane.fixed else text
    axes.set_title(title, fontsize=10, color=INK, pad=14 if plane.is_triangle else 6)


def _at(plane: Plane, points: Floats) -> tuple[Floats, ...]:
    return tuple(points[:, j] for j in range(len(plane.axes)))


def _unit_box(plane: Plane, points: Floats) -> Floats:
    """Places of points [n, k] in the picture, [n, 2], about 0 to 1."""
    if plane.is_triangle:
        top, _, right = (points / plane.points[0].sum()).T
        corners: Floats = np.stack([right + top / 2, top * np.sqrt(3) / 2], axis=1)
        return corners
    low, high = plane.points.min(axis=0), plane.points.max(axis=0)
    scaled: Floats = (points - low) / np.where(high > low, high - low, 1.0)
    return scaled


def _one_hot(codes: NDArray[np.int_], n: int) -> Floats:
    hot: Floats = (codes == np.arange(n)[:, None]).astype(float)
    return hot


def _softened(plane: Plane, hot: Floats) -> Floats:
    """Labels on a grid, blurred by one of its steps: a boundary drawn between them is a line and no staircase."""
    if not plane.shape or min(plane.shape) < 3:
        return hot
    from scipy.ndimage import gaussian_filter

    return np.stack([gaussian_filter(one.reshape(plane.shape), 1.0, mode="nearest").ravel() for one in hot])


def _margins(chances: Floats) -> Floats:
    """By how much each label [k, n] leads over the best other one: positive inside its field."""
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


def _draw_fields(
    axes: Axes,
    plane: Plane,
    chances: Floats,
    labels: Sequence[str],
    is_filled: bool = True,
    has_lines: bool = True,
    marks: Floats | None = None,
) -> None:
    """Every label's field in its color, with its name where there is room.

    Args:
        marks: Of a true diagram, [m, k]: names keep away from them. Without it the fields are what somebody believes: paler points.
    """
    codes = chances.argmax(axis=0)
    if is_filled:
        tints = [_tint(c) for c in colors(len(labels))]
        if plane.shape:
            from matplotlib.colors import ListedColormap

            x, y, image = _grid(plane, codes.astype(float))
            axes.pcolormesh(x, y, image, cmap=ListedColormap(tints), vmin=-0.5, vmax=len(labels) - 0.5, shading="nearest", rasterized=True)
        elif plane.is_triangle:
            margins = _margins(chances)
            for k in np.unique(codes):
                if (codes == k).all():
                    axes.tricontourf(*_at(plane, plane.points), np.linspace(0.4, 0.6, len(codes)), levels=[0.0, 1.0], colors=[tints[k]])
                else:
                    axes.tricontourf(*_at(plane, plane.points), margins[k], levels=[-1e-12, 2.0], colors=[tints[k]])
        else:
            for k in np.unique(codes):
                is_believed = marks is None
                look = {
                    "marker": MARKERS[k % len(MARKERS)],
                    "facecolor": (tints if is_believed else colors(len(labels)))[k],
                    "linewidth": 0.5,
                }
                name = {} if is_believed else {"label": labels[k]}
                axes.scatter(*_at(plane, plane.points[codes == k]), s=30, edgecolor=QUIET if is_believed else INK, **look, **name)
            if marks is not None:
                axes.legend(frameon=False, fontsize=8)
            return
    if has_lines:
        _draw_borders(axes, plane, chances, "-", 1.2)
    _name_fields(axes, plane, codes, labels, marks)


def _draw_borders(axes: Axes, plane: Plane, chances: Floats, style: str, width: float) -> None:
    """Lines where one label takes over from another."""
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
            axes.tricontour(*_at(plane, plane.points), margins[k], **look)


def _name_fields(axes: Axes, plane: Plane, codes: NDArray[np.int_], labels: Sequence[str], marks: Floats | None) -> None:
    """The name of each field, where it is widest; in a legend where there is no room."""
    from matplotlib.patches import Patch
    from scipy.spatial import cKDTree

    unit = _unit_box(plane, plane.points)
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
            room = np.minimum(room, cKDTree(_unit_box(plane, marks)).query(inside)[0])
        half = LETTER * len(labels[k]) / 2
        fits = (inside[:, 0] > half) & (inside[:, 0] < 1 - half)
        best = int(np.where(fits, room, 0.3 * room).argmax())
        if room[best] < 0.03:
            left_out.append(k)
            continue
        place = tuple(c.item() for c in _at(plane, plane.points[codes == k][[best]]))
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.65, "linewidth": 0}
        axes.text(*place, labels[k], ha="center", va="center", fontsize=9, color=INK, bbox=box, zorder=4)
    if left_out:
        patches = [Patch(facecolor=_tint(colors(len(labels))[k]), edgecolor=INK, label=labels[k]) for k in left_out]
        axes.legend(handles=patches, frameon=False, fontsize=8, loc="upper right")


def _shade(
    figure: Figure, axes: Axes, plane: Plane, values: Floats, label: str, cmap: str = "", limits: tuple[float, float] | None = None
) -> None:
    """A number as color, with its scale."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    light = ListedColormap(colormaps["cividis"](np.linspace(0.3, 1.0, 256)))  # dark lines and words can be read on it
    look: dict[str, Any] = {"cmap": cmap or light} | (dict(zip(("vmin", "vmax"), limits, strict=True)) if limits else {})
    if plane.shape:
        painted = axes.pcolormesh(*_grid(plane, values), shading="nearest", rasterized=True, **look)
    elif plane.is_triangle:
        painted = axes.tripcolor(*_at(plane, plane.points), values, shading="gouraud", rasterized=True, **look)
    else:
        painted = axes.scatter(*_at(plane, plane.points), c=values, s=30, edgecolor=INK, linewidth=0.3, **look)
    bar = figure.colorbar(painted, ax=axes, shrink=0.8, pad=0.12 if plane.is_triangle else 0.02)
    bar.set_label(label, fontsize=9)
    bar.ax.tick_params(labelsize=8)


def _draw_known(axes: Axes, plane: Plane, diagram: Diagram) -> None:
    """Lines and marks that a twin knows exactly."""
    from matplotlib.patheffects import withStroke

    looks: dict[str, dict[str, Any]] = {
        "boundary": {"color": INK, "linewidth": 1.5, "zorder": 3},
        "spinodal": {"color": INK, "linewidth": 1.2, "linestyle": ":", "zorder": 3},
        "tie line": {"color": QUIET, "linewidth": 0.8, "zorder": 2},
    }
    halo = [withStroke(linewidth=2.5, foreground="white")]
    kinds: set[str] = set()
    for line in diagram.lines:
        label = line.kind if line.kind != "boundary" and line.kind not in kinds else None
        kinds.add(line.kind)
        axes.plot(*_at(plane, line.points), label=label, **looks[line.kind])
    longest = {
        line.name: line for line in sorted(diagram.lines, key=lambda line: len(line.points)) if line.kind == "boundary" and line.name
    }
    for name, line in longest.items():
        place = line.points.mean(axis=0) if len(line.points) == 2 else line.points[len(line.points) // 4]
        axes.text(*place, name, fontsize=7.5, fontstyle="italic", color=INK, ha="center", va="center", path_effects=halo, zorder=4)
    for mark in diagram.marks:
        at = tuple(np.array([v]) for v in mark.at)
        axes.scatter(*at, marker="D", s=26, color=INK, zorder=5, clip_on=False)
        is_right = _unit_box(plane, np.array([mark.at]))[0, 0] > 0.7
        text = axes.text(*mark.at, f"{mark.name}  " if is_right else f"  {mark.name}", fontsize=8, color=INK, va="bottom", zorder=5)
        text.set(horizontalalignment="right" if is_right else "left", path_effects=halo)
    if kinds - {"boundary"}:
        corner = {"loc": "upper left", "bbox_to_anchor": (-0.15, 1.0)} if plane.is_triangle else {"loc": "upper right"}
        axes.legend(fontsize=8, facecolor="white", framealpha=0.75, edgecolor="none", **corner)


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


def _legend(labels: Sequence[str], has_failures: bool, is_ringed: bool) -> list[Any]:
    """What the markers mean: the same for every picture of a campaign, whatever was measured by then."""
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"linestyle": "none", "markeredgecolor": INK}
    paints = colors(len(labels))
    known = [Line2D([], [], marker=MARKERS[k % len(MARKERS)], color=paints[k], label=label, **look) for k, label in enumerate(labels)]
    failed = [Line2D([], [], marker="x", label="failed", **look)] if has_failures else []
    wrong = [Line2D([], [], marker="o", markersize=11, color="none", label="wrong", **look)] if is_ringed else []
    return [*known, *failed, Line2D([], [], marker="*", markersize=13, color="white", label="next", **look), *wrong]


def _number(axes: Axes, plane: Plane, trials: Sequence[Trial]) -> None:
    """The numbers of the trials beside their points, as far as they can be read."""
    places = plane.positions([t.settings for t in trials])
    written: list[Floats] = []
    for trial, point, place in reversed(list(zip(trials, places, _unit_box(plane, places), strict=True))):  # the latest come first
        if all(np.abs(place - other).max() > 0.055 for other in written):
            axes.text(*point.tolist(), f" {trial.number}", fontsize=7, color=INK, va="bottom", zorder=7)
            written.append(place)


def _tint(code: str) -> str:
    full = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)])
    return "#" + "".join(f"{round(v):02x}" for v in 255 - TINT * (255 - full))
