"""Pictures of a campaign's model: the map of a goal that maps, the expected score of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from frugaltwin.diagram import Line
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Categorical, Settings, Trial
from frugaltwin.goals import Goal, Map, Objective
from frugaltwin.pictures.phase_fields import (
    COARSE,
    FINE,
    Axes,
    canvas,
    coordinates,
    draw_borders,
    draw_fields,
    draw_number,
    name_axes,
    number_trials,
    one_hot,
    softened,
    write_head,
    write_title,
)
from frugaltwin.pictures.plane import Plane
from frugaltwin.pictures.style import INK, MARKERS, colors
from frugaltwin.pictures.truth import truths
from frugaltwin.plugins import KnowsDiagram, KnowsTruth
from frugaltwin.record import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_STEPS = 20  # maps that a report shows at most
HOLLOW: dict[str, Any] = {"facecolor": "none", "edgecolor": INK, "linewidth": 0.7}
BELOW: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0.0, -0.16), "ncols": 3, "fontsize": 8, "frameon": False}


def map_figure(record: Record, with_truth: bool) -> Figure:
    """The map by a campaign's model: fields, boundary, uncertainty, points in order, the next one.

    Raises:
        InvalidInput: There is no plane to draw, or the truth is not known.
        CampaignError: Nothing was measured yet.
    """
    twin = record.twin() if with_truth else None
    view = MapView.of(record, twin.diagram().n_points if isinstance(twin, KnowsDiagram) else FINE)
    truth, share = (view.truth(), share_right(record)) if with_truth else (None, None)
    return view.figure(record.trials, record.suggestion, truth, share)


def share_right(record: Record) -> float:
    """The share of the map that the model has right: one number for pictures, reports and the command line, over `COARSE` points.

    Raises:
        InvalidInput: There is no plane to draw, or the truth is not known.
        CampaignError: Nothing was measured yet.
    """
    view = MapView.of(record, COARSE)
    truth, labels = view.truth(), view.goal.labels
    found = record.predict(view.plane.settings(), record.trials).labels
    return float(np.mean([labels[code] == label for code, label in zip(truth.codes, found, strict=True)]))


@dataclass(frozen=True)
class Truth:
    """The true map that a twin knows."""

    codes: NDArray[np.int_]
    """The number of the true label at every point of the plane, [n]."""
    lines: tuple[Line, ...]
    """The boundaries, where it knows them exactly."""


@dataclass(frozen=True)
class MapView:
    """The record of a mapping campaign, drawn over its plane."""

    record: Record
    goal: Map
    plane: Plane

    @classmethod
    def of(cls, record: Record, n: int) -> MapView:
        """The view of a campaign over n points along an axis.

        Raises:
            InvalidInput: Its experiment has no plane.
        """
        assert isinstance(record.goal, Map)
        return cls(record, record.goal, Plane.of(record.experiment, n=n))

    def truth(self) -> Truth:
        """The map as it is in truth.

        Raises:
            InvalidInput: The driver does not know it.
        """
        driver = self.record.twin()
        if not isinstance(driver, KnowsTruth):
            raise InvalidInput(f"{driver.experiment.name} knows no truth to lay over the map; draw the map without it", field="truth")
        known = truths(driver, self.plane.settings())
        codes = np.array([self.goal.labels.index(self.goal.label_of(y)) for y in known])
        diagram = driver.diagram() if isinstance(driver, KnowsDiagram) else None
        is_same = diagram is not None and diagram.outcome == self.goal.outcome and self.goal.threshold is None
        return Truth(codes, tuple(line for line in diagram.lines if line.kind == "boundary") if diagram and is_same else ())

    def steps(self) -> list[int]:
        """The numbers of trials after which the map is drawn: at most `MOST_STEPS` of them, the last one included."""
        trials = self.record.trials
        first = next((t.number for t in trials if self.goal.counts(t)), len(trials) + 1)
        numbers = np.arange(first, len(trials) + 1)
        return (
            [int(k) for k in numbers[np.unique(np.linspace(0, len(numbers) - 1, MOST_STEPS).round().astype(int))]] if len(numbers) else []
        )

    def frames(self, truth: Truth | None = None) -> Iterator[tuple[int, Figure]]:
        """The map after each of `steps`, with the next point that was tried, or at the end the next suggestion."""
        places, trials = None, self.record.trials
        for n in self.steps():
            following = trials[n].settings if n < len(trials) else self.record.suggestion
            drawn = self.figure(trials[:n], following, truth)
            if places is None:
                drawn.draw_without_rendering()  # lays out the first; the others reuse its layout, which takes half of the time
                places = [axes.get_position() for axes in drawn.axes]
            drawn.set_layout_engine("none")
            for axes, place in zip(drawn.axes, places, strict=True):
                axes.set_position(place)
            yield n, drawn

    def figure(self, trials: Sequence[Trial], following: Settings | None, truth: Truth | None = None, share: float | None = None) -> Figure:
        """The predicted fields on the left, the uncertainty on the right.

        Args:
            share: The share of the map that is right; that of the plane without it.
        """
        prediction = self.record.predict(self.plane.settings(), trials)
        figure, (left, right) = canvas([self.plane, self.plane])
        labels = self.goal.labels
        draw_fields(left, self.plane, np.stack([prediction.probabilities[label] for label in labels]), labels)
        draw_number(figure, right, self.plane, prediction.uncertainty, "uncertainty (entropy, 0 to 1)", "Greys", (0.0, 1.0))
        for axes in (left, right):
            self._draw_trials(axes, trials, labels, has_numbers=axes is left)
            if following is not None:
                at = coordinates(self.plane, self.plane.positions([following]))
                axes.scatter(*at, marker="*", s=190, facecolor="white", edgecolor=INK, linewidth=1.4, zorder=6, clip_on=False)
        title = f"believed after {len(trials)} of {len(self.record.trials)}"
        if truth is not None:
            is_right = np.array([labels.index(label) for label in prediction.labels]) == truth.codes
            title += (
                f"; truth {self._draw_truth(left, truth, is_right)}, {np.mean(is_right) if share is None else share:.1%} of the map right"
            )
        write_head(left, self.plane, title)
        expected = self.record.expected_right if len(trials) == len(self.record.trials) else None
        write_title(right, self.plane, "uncertainty" if expected is None else f"uncertainty; about {100 * expected:.0f} % expected right")
        is_ringed = truth is not None and self._is_scattered
        left.legend(handles=_legend(self.goal, self.record.trials, is_ringed), **BELOW)
        return figure

    def fields(self) -> Figure:
        """The predicted fields after all trials by themselves, to stand beside those of other campaigns."""
        prediction = self.record.predict(self.plane.settings(), self.record.trials)
        figure, (axes,) = canvas([self.plane])
        labels = self.goal.labels
        draw_fields(axes, self.plane, np.stack([prediction.probabilities[label] for label in labels]), labels)
        self._draw_trials(axes, self.record.trials, labels, has_numbers=True)
        write_head(axes, self.plane, f"{self.record.name}, after {len(self.record.trials)}")
        axes.legend(handles=_legend(self.goal, self.record.trials, False, has_next=False), **BELOW)
        return figure

    def _scatter(self, axes: Axes, trials: Sequence[Trial], **look: Any) -> None:
        if trials:
            axes.scatter(*coordinates(self.plane, self.plane.positions([t.happened for t in trials])), zorder=5, clip_on=False, **look)

    @property
    def _is_scattered(self) -> bool:
        """Whether there are single points and no fields."""
        return self.plane.shape is None and not self.plane.is_triangle

    def _draw_truth(self, axes: Axes, truth: Truth, is_right: NDArray[np.bool_]) -> str:
        """Draw the true boundaries, or rings around wrong single points; return the word for how they are drawn."""
        if self._is_scattered:
            axes.scatter(*coordinates(self.plane, self.plane.points[~is_right]), s=110, facecolor="none", edgecolor=INK, zorder=4)
            return "ringed where missed"
        for line in truth.lines:
            axes.plot(*coordinates(self.plane, line.points), color=INK, linewidth=1.6, linestyle="--", zorder=3)
        if not truth.lines:
            draw_borders(axes, self.plane, softened(self.plane, one_hot(truth.codes, len(self.goal.labels))), "--", 1.6)
        return "dashed"

    def _draw_trials(self, axes: Axes, trials: Sequence[Trial], labels: Sequence[str], has_numbers: bool) -> None:
        """Draw the labels that count, each with its color and marker; a small circle for what does not count, a cross for a failed trial,
        a plus for a retracted one."""
        for k, label in enumerate(labels):
            look = {"marker": MARKERS[k % len(MARKERS)], "facecolor": colors(len(labels))[k], "edgecolor": INK, "linewidth": 0.7}
            self._scatter(axes, [t for t in trials if self.goal.label_of_trial(t) == label], s=34, **look)
        self._scatter(axes, [t for t in trials if _only_informs(self.goal, t)], marker="o", s=10, **HOLLOW)
        self._scatter(axes, [t for t in trials if _has_failed(t)], marker="x", s=30, color=INK)
        self._scatter(axes, [t for t in trials if t.is_retracted], marker="+", s=40, color=INK)
        if has_numbers:
            number_trials(axes, self.plane, trials)


def draw_expected(axes: Axes, record: Record) -> None:
    """Draw the score that the model expects over two parameters, and the trials, numbered in order."""
    plane = Plane.of(record.experiment, n=COARSE)
    expected = record.predict(plane.settings(), record.trials).means["score"]
    unit = f", {record.goal.unit}" if record.goal.unit not in ("", "1") else ""
    draw_number(axes.figure, axes, plane, expected, f"expected score{unit}")
    name_axes(axes, plane)
    for size, counts in ((30, True), (10, False)):
        places = plane.positions([t.happened for t in record.trials if _only_informs(record.goal, t) != counts])
        axes.scatter(*coordinates(plane, places), s=size, facecolor="white", edgecolor=INK, linewidth=0.8, zorder=5)
    number_trials(axes, plane, record.trials)


def can_draw_expected(record: Record) -> bool:
    """Whether `draw_expected` has something to draw: two numeric parameters, and readings."""
    experiment = record.experiment
    free = [p for p in experiment.parameters if p.name not in experiment.fidelities]
    is_flat = len(free) == 2 and not any(isinstance(p, Categorical) for p in free)
    return isinstance(record.goal, Objective) and is_flat and not experiment.constraints and any(map(record.goal.counts, record.trials))


def _has_failed(trial: Trial) -> bool:
    return trial.measurement is None and not trial.is_retracted


def _only_informs(goal: Goal, trial: Trial) -> bool:
    return trial.measurement is not None and not goal.counts(trial)


def _legend(goal: Map, trials: Sequence[Trial], is_ringed: bool, has_next: bool = True) -> list[Any]:
    """Legend of the markers: the same for every map of a campaign."""
    from matplotlib.lines import Line2D

    labels = goal.labels
    look: dict[str, Any] = {"linestyle": "none", "markeredgecolor": INK}
    paints = colors(len(labels))
    known = [Line2D([], [], marker=MARKERS[k % len(MARKERS)], color=paints[k], label=label, **look) for k, label in enumerate(labels)]
    informs = any(_only_informs(goal, t) for t in trials)
    known += [Line2D([], [], marker="o", markersize=3, color="none", label="does not count", **look)] if informs else []
    failed = [Line2D([], [], marker="x", label="failed", **look)] if any(map(_has_failed, trials)) else []
    failed += [Line2D([], [], marker="+", label="retracted", **look)] if any(t.is_retracted for t in trials) else []
    wrong = [Line2D([], [], marker="o", markersize=11, color="none", label="wrong", **look)] if is_ringed else []
    following = [Line2D([], [], marker="*", markersize=13, color="white", label="next", **look)] if has_next else []
    return [*known, *failed, *following, *wrong]
