"""The report of a campaign as one HTML file that works offline, and its short form for notebooks."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frugaltwin.amounts import Amounts, Kind
from frugaltwin.checks import write_text
from frugaltwin.color import hex_code
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Categorical, Outcome, Parameter, Trial, significant, total
from frugaltwin.goals import Column
from frugaltwin.goals.goal import rounded, shown
from frugaltwin.goals.trial_table import own_columns, trial_rows
from frugaltwin.pictures import model, picture, progress
from frugaltwin.pictures.belief import MapView
from frugaltwin.pictures.phase_fields import COARSE
from frugaltwin.pictures.style import svg
from frugaltwin.plugins import KnowsTruth
from frugaltwin.record import Record
from frugaltwin.tables import color_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SLIDER = """
const maps = JSON.parse(document.getElementById("maps").textContent);
const slider = document.getElementById("step"), picture = document.getElementById("map"), words = document.getElementById("map-words");
slider.addEventListener("input", () => {
  const one = maps[slider.value];
  picture.src = one.url; picture.alt = one.words; words.textContent = one.words; slider.setAttribute("aria-valuetext", one.words);
});
"""
"""The only script of a report: it shows the map after the experiment that the slider selects."""

_log = logging.getLogger(__name__)

Step = Callable[[int, int], None]
"""A function called with the number of pictures drawn and their total, to show progress."""


def write(record: Record, path: Path, with_truth: bool = False, step: Step | None = None) -> None:
    """Write the report of a campaign.

    Args:
        with_truth: Draw the twin's truth over the maps.

    Raises:
        InvalidInput: The file cannot be written, or the twin does not know the truth.
    """
    write_text(path, html(record, with_truth, step))


def html(record: Record, with_truth: bool = False, step: Step | None = None) -> str:
    """The report as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    page = Environment(loader=PackageLoader("frugaltwin"), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    experiment, goal, trials = record.experiment, record.goal, record.trials
    if with_truth and not goal.labels and not isinstance(record.twin(), KnowsTruth):
        raise InvalidInput(f"{experiment.name} knows no truth to show beside what is believed; write the report without it", field="truth")
    recommended, best = record.recommendation, record.best
    has_lines = not goal.labels and not all(isinstance(p, Categorical) for p in experiment.parameters)
    draws = list(dict.fromkeys([*picture.draws_for(record), *([progress.draw_settings] if has_lines else [])]))
    believed, words = model.draws(record, with_truth) if goal.has_score else ([], [])
    if any(title.startswith("Best so far") for title, _, _ in believed):
        draws = [draw for draw in draws if draw is not progress.draw_best_against_runs]
    charts = [*believed[:1], *((picture.TITLES[draw], draw, progress.height(draw, record)) for draw in draws), *believed[1:]]
    expected, expected_hex = model.expected_of(record, recommended) if recommended else ("", "")
    maps = _maps(record, with_truth, step)
    if goal.labels and maps:
        words = [model.certainty(record.predict(MapView.of(record, COARSE).plane.settings(), trials))]
        words += [model.expected_right(record), model.labels_near_borders(record), model.labels_left_out(record)]
    columns, cells = own_columns(goal), trial_rows(goal, trials)
    kinds = [kind for kind in Amounts.cost_kinds() if getattr(total(trials), kind.name)]
    return page.get_template("report.html").render(
        name=record.name,
        driver=experiment.name,
        goal=record.goal_title,
        explanation=goal.explanation,
        expected=expected,
        expected_hex=expected_hex,
        words=[sentence for sentence in [*words, *([f"{record.out_of_reach}."] if record.out_of_reach else [])] if sentence],
        strategy=record.strategy_name,
        stopped_because=record.stopped_because,
        recommended=recommended and experiment.recipe(recommended),
        recommended_by="by the model" if record.is_recommended_by_model else "the best reading",
        summary=goal.summary(trials),
        doubts=[str(doubt) for doubt in record.doubts],
        drifts=[str(drift) for drift in record.drifts],
        coverage=record.coverage and str(record.coverage),
        maps=maps,
        slider=SLIDER,
        slider_hash=base64.b64encode(hashlib.sha256(SLIDER.encode()).digest()).decode(),
        target={"hex": hex_code(goal.target_color), "lab": goal.target_color} if goal.target_color else None,
        best=best and _best(record, *best),
        marked={t.number for t in goal.front(trials)},
        charts=[{"title": title, "svg": _element(progress.figure([draw], record, height=tall))} for title, draw, tall in charts],
        settings=[_column(p) for p in experiment.parameters],
        outcomes=[_column(o) for o in experiment.outcomes],
        columns=[_column(c) for c in columns],
        rows=[_row(record, t, kinds) | {"values": [shown(row[c.name]) for c in columns]} for t, row in zip(trials, cells, strict=True)],
        kinds=kinds,
        cost=_costs(total(trials), kinds),
        provenance=_provenance(record),
    )


def notebook_html(record: Record) -> str:
    """The short report for a notebook: color swatches and a small picture."""
    trials, goal = record.trials, record.goal
    box = "display:inline-block;width:2.2em;height:1.6em;border:1px solid #888"
    target = f'<span style="{box};background:{hex_code(goal.target_color)}" title="target"></span> target ' if goal.target_color else ""
    swatches = "".join(
        f'<span style="{box};background:{code}" title="{t.number}: {escape(goal.describe(t))}"></span>'
        for t in trials
        if (code := _hex(record, t))
    )
    plot = ""
    if any(map(goal.counts, trials)):
        drawn = picture.picture(record).figure if goal.labels else progress.figure(picture.draws_for(record)[:1], record, 4.0, 2.6)
        plot = _element(drawn)
    title = f"<b>{escape(record.name)}</b>: {escape(goal.title)}, {len(trials)} experiments; {escape(goal.summary(trials))}"
    return f"<div>{title}<br>{target}{swatches}<br>{plot}</div>"


def _element(drawn: Figure) -> str:
    """A figure as an SVG element that can stand in a page."""
    text = svg(drawn)
    return text[text.index("<svg") :]


def _maps(record: Record, with_truth: bool, step: Step | None) -> list[dict[str, Any]]:
    """The maps by a campaign's model after each step; empty without a goal that maps, a plane, or a reading."""
    if not record.goal.labels:
        return []
    try:
        view = MapView.of(record, COARSE)
    except InvalidInput as error:
        _log.info("no map of %s: %s", record.name, error)
        return []
    truth = view.truth() if with_truth else None
    numbers, shown = view.steps(), []
    for k, (n, drawn) in enumerate(view.frames(truth), start=1):
        last = record.goal.label_of_trial(record.trials[n - 1]) or record.goal.remark(record.trials[n - 1])
        words = f"After {n} experiments; the last one, {record.experiment.recipe(record.trials[n - 1].settings)}, gave: {last}"
        shown.append({"n": n, "words": words, "url": picture.Picture(drawn).png_url()})
        if step:
            step(k, len(numbers))
    return shown


def _lab(record: Record, trial: Trial) -> tuple[float, float, float] | None:
    if trial.measurement is None or record.experiment.color is None:
        return None
    color = color_of(record.experiment, trial.happened, trial.measurement.outcomes)
    return (color["L"], color["a"], color["b"]) if color else None


def _best(record: Record, trial: Trial, score: float) -> dict[str, Any]:
    words = rounded(score, record.goal.unit)
    return {"number": trial.number, "words": words, "hex": _hex(record, trial), "lab": _lab(record, trial)}


def _hex(record: Record, trial: Trial) -> str | None:
    lab = _lab(record, trial)
    return hex_code(lab) if lab else None


def _row(record: Record, trial: Trial, kinds: Sequence[Kind]) -> dict[str, Any]:
    experiment = record.experiment
    outcomes = trial.measurement.outcomes if trial.measurement else {}
    return {
        "number": trial.number,
        "settings": [_cell(trial.settings[p.name]) for p in experiment.parameters],
        "outcomes": [_cell(outcomes.get(o.name, "")) for o in experiment.outcomes],
        "hex": _hex(record, trial),
        "cost": _costs(trial.cost, kinds),
        "note": trial.remark or ("told by a person" if trial.source == "told" else ""),
        "is_retracted": trial.is_retracted,
    }


def _column(of: Parameter | Outcome | Column) -> dict[str, str]:
    return {"name": of.name, "unit": "" if of.unit == "1" else of.unit}


def _cell(value: float | str) -> str:
    return value if isinstance(value, str) else significant(value, 4)


def _costs(cost: Amounts, kinds: Sequence[Kind]) -> list[str]:
    return [f"{getattr(cost, kind.name):.{kind.decimals}f}" for kind in kinds]


def _file_name(value: object) -> object:
    """The name of a file without its folders, which are the author's; anything else as it is."""
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() and not value.startswith("/dev/") else value


def _provenance(record: Record) -> list[tuple[str, object]]:
    rows = [("store", _file_name(record.store))] + ([("started", record.started)] if record.started is not None else [])
    for key, value in record.specification.items():
        if key in ("experiment", "versions", "earlier", "plan") or value is None:
            continue
        if key == "typed":
            rows.append(("goal as it was typed", str(value)))
        elif key == "forked":
            rows.append(("forked from", f"{value['name']}, {value['trials']} trials"))
        elif isinstance(value, dict):
            options = ", ".join(f"{k} = {_file_name(v)}" for k, v in value["options"].items()) or "default options"
            rows.append((key, f"{value['name']} ({options})"))
        else:
            rows.append((key, str(value)))
    rows += [("earlier campaign", line) for line in record.earlier]
    if record.budget:
        rows.append(("budget", ", ".join(f"{k} {v:g}" for k, v in record.budget.limits.items())))
    stop = [("stop rule", record.stop_rule.text)] if record.stop_rule else []
    versions = record.specification.get("versions", {})
    return [*rows, *stop, *((f"version of {k}", v) for k, v in versions.items())]
