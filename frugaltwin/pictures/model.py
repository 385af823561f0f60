"""Pictures and words that show how far a campaign's model can be believed: left-out readings, slices, and what it believed when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from frugaltwin.color import hex_code
from frugaltwin.errors import FrugalTwinError
from frugaltwin.experiment import Categorical, Continuous, Experiment, MixtureSum, Parameter, Settings, Trial, significant
from frugaltwin.goals import Column, Goal
from frugaltwin.goals.goal import rounded
from frugaltwin.pictures.progress import Draw, draw_best_against_runs, legend_above, panels
from frugaltwin.pictures.style import ACCENT, INK, QUIET
from frugaltwin.plugins import KnowsTruth, Predicts
from frugaltwin.record import Record
from frugaltwin.state import Prediction
from frugaltwin.tables import color_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

FEWEST = 4
"""Readings from which on some are left out."""
FITS = 10
"""Times that a model is asked anew for one picture, at most."""
FITS_OF_MAPS = 5
"""The same of a map, whose models take longer."""
STEPS = 7
"""Times that a model is asked what it believed along a campaign, at most."""
POINTS = 25
"""Settings along a slice."""
MOST_SLICES = 6
SURE, UNDECIDED = 0.9, 0.6
"""Chances of the most probable label from which on, and below which, a map is called so."""
DOUBTED = 0.5
"""Chance of a label that was measured below which the model is said to doubt it."""
MOST_DOUBTED = 8
"""Doubted labels that are named."""

TRUE = "#d55e00"


@dataclass(frozen=True)
class LeftOut:
    """Scores of readings, and what the model expected of each without it and, of many, some others."""

    goal: Goal
    numbers: tuple[int, ...]
    """Of the n trials."""
    measured: Floats
    """[n], in the unit of the score."""
    expected: Floats
    """[n]"""
    deviations: Floats
    """[n], of a reading: the noise is in it where the model knows it."""
    has_noise: bool
    """Whether the model knows the noise of all of them."""

    @property
    def words(self) -> str:
        """The coverage of the model's intervals and its typical error in a sentence."""
        off = np.abs(self.measured - self.expected)
        one, two = (int(np.sum(off <= k * self.deviations)) for k in (1, 2))
        typical = rounded(float(np.median(off)), self.goal.unit)
        right = f"about {round(0.68 * len(off))} and {round(0.95 * len(off))} would be right"
        right += "" if self.has_noise else ", if readings had no noise of their own"
        within = f"{one} are within one standard deviation of what it expected and {two} within two ({right})"
        return f"Of {len(off)} readings that the model was not shown, {within}; half of them are within {typical}."


def asks_model(record: Record) -> bool:
    """Whether the campaign's strategy has a model of its own, and enough readings for it."""
    return isinstance(record.strategy, Predicts) and sum(map(record.goal.counts, record.trials)) >= FEWEST


def left_out(record: Record) -> LeftOut | None:
    """The scores of left-out readings; None without a model or a score."""
    parts = [(trial, prediction) for trial, prediction in _left_out(record) if "score" in prediction.means] if record.goal.has_score else []
    if not parts:
        return None
    scores = [float(record.score(trial) or 0.0) for trial, _ in parts]
    expected, deviations = (np.array([getattr(p, name)["score"][0] for _, p in parts]) for name in ("means", "reading_deviations"))
    has_noise = all("score" in p.noise for _, p in parts)
    return LeftOut(record.goal, tuple(trial.number for trial, _ in parts), np.array(scores), expected, deviations, has_noise)


def labels_left_out(record: Record) -> str:
    """A sentence about the labels of readings that the model of a map was not shown; empty without a model."""
    parts = [(record.goal.label_of_trial(trial), prediction) for trial, prediction in _left_out(record) if prediction.probabilities]
    if not parts:
        return ""
    right = sum(label == prediction.labels[0] for label, prediction in parts)
    chance = np.mean([prediction.probabilities[str(label)][0] for label, prediction in parts])
    true = f"it gave the true ones a chance of {chance:.0%} on average"
    return f"Of {len(parts)} labels that the model was not shown, it had {right} right; {true}."


def labels_near_borders(record: Record) -> str:
    """A sentence about labels that can be wrong, and those that the model of a map doubts; empty without a model."""
    counted = [t for t in record.trials if record.goal.counts(t)]
    if not asks_model(record):
        return ""
    prediction = record.predict([t.happened for t in counted], record.trials)
    chances = prediction.probabilities
    doubted = [str(t.number) for k, t in enumerate(counted) if chances[str(record.goal.label_of_trial(t))][k] < DOUBTED]
    found = f"{len(doubted)} of {len(counted)} (number {', '.join(doubted[:MOST_DOUBTED])}{', …' * (len(doubted) > MOST_DOUBTED)})"
    return (
        "Labels near a border can be wrong: an instrument may not see a phase of which little is there. "
        f"The model doubts {found if doubted else f'none of {len(counted)}'}."
    )


def _left_out(record: Record) -> list[tuple[Trial, Prediction]]:
    """The trials that count, each with the prediction by all but its group; of few trials, each is a group."""
    if not asks_model(record):
        return []
    counted = [t for t in record.trials if record.goal.counts(t)]
    fits = FITS_OF_MAPS if record.goal.labels else FITS
    groups = [counted[k::fits] for k in range(min(fits, len(counted)))]
    found: list[tuple[Trial, Prediction]] = []
    for group in groups:
        numbers = {t.number for t in group}
        others = [t for t in record.trials if t.number not in numbers]
        try:
            prediction = record.predict([t.settings for t in group], others)
        except FrugalTwinError:  # the others have nothing that a model could learn from
            return []
        found += [(trial, prediction.at(k)) for k, trial in enumerate(group)]
    return sorted(found, key=lambda one: one[0].number)


def draw_parity(axes: Axes, record: Record, known: LeftOut) -> None:
    """Draw what was expected of each left-out reading against what was measured."""
    title = Column("score", known.goal.unit).title
    axes.errorbar(
        known.measured, known.expected, yerr=2 * known.deviations, fmt="o", color=ACCENT, ecolor=QUIET, markersize=5, elinewidth=1
    )
    both = np.concatenate([known.measured, known.expected])
    ends = np.array([both.min(), both.max()])
    axes.plot(ends, ends, color=QUIET, linestyle=":", linewidth=1)
    axes.set_xlabel(f"measured {title}")
    axes.set_ylabel("expected without it, ± 2 sd")


@dataclass(frozen=True)
class Slice:
    """The expected score along one parameter, through the recommendation."""

    parameter: Parameter
    values: tuple[float | str, ...]
    """[n]"""
    expected: Floats
    """[n]"""
    deviations: Floats
    """[n]"""

    @property
    def change(self) -> float:
        """The largest change of the expected score along it: how much the parameter matters here."""
        return float(np.ptp(self.expected))


def slices(record: Record) -> list[Slice]:
    """The slices through the recommendation, those that matter most first; none without a model or a score."""
    center = record.recommendation if record.goal.has_score and asks_model(record) else None
    if center is None:
        return []
    experiment = record.experiment
    free = [p for p in experiment.parameters if p.name not in experiment.fidelities]
    moved = {p.name: _moved(experiment, center, p) for p in free}
    moved = {name: places for name, places in moved.items() if len(places) > 1}
    if not moved:
        return []
    try:
        prediction = record.predict([s for places in moved.values() for s in places], record.trials)
    except FrugalTwinError:
        return []
    if "score" not in prediction.means:
        return []
    found, start = [], 0
    for p in free:
        if places := moved.get(p.name):
            part = slice(start, start + len(places))
            start += len(places)
            values = tuple(s[p.name] for s in places)
            found.append(Slice(p, values, prediction.means["score"][part], prediction.deviations["score"][part]))
    return sorted(found, key=lambda one: -one.change)[:MOST_SLICES]


def _moved(experiment: Experiment, center: Settings, p: Parameter) -> list[Settings]:
    """The allowed settings that differ in one parameter; another part of its mixture makes room for it."""
    if isinstance(p, Continuous):
        values: Sequence[float | str] = (np.geomspace if p.scale == "log" else np.linspace)(p.low, p.high, POINTS).tolist()
    else:
        values = p.values[:: max(1, len(p.values) // POINTS)]
    others = {q.name: q for q in experiment.parameters if isinstance(q, Continuous) and q.name != p.name}
    found: list[Settings] = []
    for value in values:
        moved = {**center, p.name: value}
        for mixture in (c for c in experiment.constraints if isinstance(c, MixtureSum) and p.name in c.parameters):
            parts = [name for name in mixture.parameters if name in others]
            if filler := max(parts, key=lambda name: others[name].high - others[name].low, default=None):
                moved[filler] = mixture.total - sum(float(moved[name]) for name in mixture.parameters if name != filler)
        if experiment.allows(moved):
            found.append(moved)
    return found


def draw_slices(axes: Axes, record: Record, known: Sequence[Slice]) -> None:
    """Draw the expected score along each parameter, with its standard deviation; the line is the recommendation."""
    center, title = record.recommendation or {}, Column("score", record.goal.unit).title
    columns = _columns(known)
    for k, (panel, one) in enumerate(zip(panels(axes, len(known), columns, share_y=True), known, strict=True)):
        if isinstance(one.parameter, Categorical):
            panel.errorbar(one.values, one.expected, yerr=2 * one.deviations, fmt="o", color=ACCENT, ecolor=QUIET, markersize=4)
            panel.tick_params(axis="x", rotation=45)
        else:
            x = np.array(one.values, dtype=float)
            panel.fill_between(
                x, one.expected - 2 * one.deviations, one.expected + 2 * one.deviations, color=ACCENT, alpha=0.18, linewidth=0
            )
            panel.plot(x, one.expected, color=ACCENT, linewidth=1.5)
            panel.axvline(float(center[one.parameter.name]), color=QUIET, linestyle="--", linewidth=1)
            if one.parameter.kind == "continuous" and one.parameter.scale == "log":
                panel.set_xscale("log")
        unit = f", {one.parameter.unit}" if one.parameter.unit not in ("", "1") else ""
        panel.set_xlabel(f"{one.parameter.name}{unit}", fontsize=9)
        panel.set_title(f"changes it by {significant(one.change, 2)}", fontsize=8, color=INK)
        if k % columns == 0:
            panel.set_ylabel(title, fontsize=9)


def _columns(known: Sequence[Slice]) -> int:
    """The slices that stand side by side: without a gap where four are drawn."""
    return 2 if len(known) in (2, 4) else 3


@dataclass(frozen=True)
class Believed:
    """The best recipe among those tried, as the model saw it after n trials, and as it is in truth."""

    numbers: Floats
    """[m] numbers n of trials."""
    expected: Floats
    """[m] its expected score; NaN without a model."""
    deviations: Floats
    """[m]"""
    true: Floats
    """[m] its true score; NaN where it is not known."""


def believed(record: Record, with_truth: bool = False) -> Believed | None:
    """The recipes that were believed best along the campaign; of the best readings in place of a model's choice where it has none.

    None where there is nothing to say besides the readings: no model, and no truth that was asked for.
    """
    goal, trials = record.goal, record.trials
    has_model = asks_model(record)
    twin = record.twin() if with_truth else None
    knows = isinstance(twin, KnowsTruth)
    if not goal.has_score or not (has_model or knows) or not any(map(goal.counts, trials)):
        return None
    first = next(t.number for t in trials if goal.counts(t))
    steps = np.unique(np.linspace(first, len(trials), min(STEPS, len(trials) - first + 1)).round().astype(int))
    rows = []
    for n in steps:
        known = trials[:n]
        best = goal.best(known)
        expected = deviation = np.nan
        chosen = best[0] if best else None
        if has_model and chosen is not None:
            tried = [t for t in known if goal.meets(t)]
            try:
                prediction = record.predict([t.settings for t in tried], known)
            except FrugalTwinError:
                prediction = Prediction()
            if "score" in prediction.means:
                means = prediction.means["score"]
                k = int(np.argmin(means) if goal.objectives[0].is_minimized else np.argmax(means))
                chosen, expected, deviation = tried[k], float(means[k]), float(prediction.deviations["score"][k])
        true = np.nan
        if isinstance(twin, KnowsTruth) and chosen is not None:
            try:
                true = goal.objectives[0].score_of(chosen.settings, twin.truth(chosen.settings), chosen.cost)
            except FrugalTwinError:
                true = np.nan
        rows.append((float(n), expected, deviation, true))
    return Believed(*np.array(rows).T)


def draw_believed(axes: Axes, record: Record, known: Believed) -> None:
    """Draw the readings and the best of them, what the model believed of its best recipe, and the truth of that."""
    draw_best_against_runs(axes, record)
    if not np.isnan(known.expected).all():
        low, high = known.expected - 2 * known.deviations, known.expected + 2 * known.deviations
        if record.goal.objectives[0].is_ratio:
            low = np.maximum(low, np.nanmin(known.expected) / 3)
        axes.fill_between(known.numbers, low, high, color="#009e73", alpha=0.15, linewidth=0)
        axes.plot(known.numbers, known.expected, color="#009e73", linewidth=1.6, linestyle="-.", label="best that the model believes in")
    if not np.isnan(known.true).all():
        axes.plot(known.numbers, known.true, color=TRUE, linewidth=1.6, linestyle="--", label="truth of that recipe")
    legend_above(axes)


def expected_of(record: Record, settings: Settings) -> tuple[str, str]:
    """The expected score of settings with its standard deviation, and the expected color as ``#rrggbb``; empty where nobody says it."""
    if not asks_model(record):
        return "", ""
    try:
        prediction = record.predict([settings], record.trials)
    except FrugalTwinError:
        return "", ""
    words, means = "", {name: float(values[0]) for name, values in prediction.means.items()}
    if "score" in means:
        deviation = float(prediction.deviations["score"][0])
        unit = record.goal.unit
        words = f"{significant(means['score'], 3)} ± {significant(deviation, 2)}{f' {unit}' if unit not in ('', '1') else ''}"
    color = color_of(record.experiment, settings, means)
    return words, hex_code((color["L"], color["a"], color["b"])) if color else ""


def certainty(prediction: Prediction) -> str:
    """A sentence that says how sure a map is."""
    chance = prediction.probability
    sure, open_ = float(np.mean(chance >= SURE)), float(np.mean(chance < UNDECIDED))
    rest = "it is undecided nowhere" if open_ == 0 else f"it is undecided (no label with {_share(UNDECIDED)}) on {_share(open_)}"
    return f"The model is sure of its label (a chance of {_share(SURE)} or more) on {_share(sure)} of the map; {rest}."


def expected_right(record: Record) -> str:
    """A sentence about the share of the map that is expected to be right; empty without a model."""
    if record.expected_right is None:
        return ""
    return f"About {100 * record.expected_right:.0f} % of the map is expected to be right; this is stated with caution, for a stop rule."


def _share(part: float) -> str:
    return "less than 1 %" if 0 < part < 0.01 else f"{100 * part:.0f} %"


def draws(record: Record, with_truth: bool = False) -> tuple[list[tuple[str, Draw, float]], list[str]]:
    """Titles, pictures and heights of what the model is believed for, and sentences about it."""
    found: list[tuple[str, Draw, float]] = []
    words: list[str] = []
    if known := believed(record, with_truth):
        found.append(("Best so far: readings, and what the model believes", partial(_drawn, draw_believed, known), 3.4))
    if left := left_out(record):
        found.append(("Readings that the model was not shown", partial(_drawn, draw_parity, left), 3.4))
        words.append(left.words)
    if cut := slices(record):
        height = 0.6 + 1.7 * -(-len(cut) // _columns(cut))
        found.append(
            ("Through the recommended recipe: the expected score along each parameter, ± 2 sd", partial(_drawn, draw_slices, cut), height)
        )
        names = ", ".join(f"{one.parameter.name} ({significant(one.change, 2)})" for one in cut)
        words.append(f"Around the recommended recipe the score changes most with {names}: the largest change along each parameter.")
    return found, words


def _drawn(draw: object, known: object, axes: Axes, record: Record) -> None:
    assert callable(draw)
    draw(axes, record, known)
