"""A campaign as one HTML file that works offline, and its small form for notebooks."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frugaltwin.color import hex_code
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Outcome, Parameter, Trial, describe, quantity, total_cost
from frugaltwin.goals import Map, MatchColor
from frugaltwin.pictures import picture, progress
from frugaltwin.pictures.belief import MapView
from frugaltwin.pictures.phase_fields import COARSE
from frugaltwin.plugins import Recommends
from frugaltwin.tables import color_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from frugaltwin.campaign import Campaign

SLIDER = """
const maps = JSON.parse(document.getElementById("maps").textContent);
const slider = document.getElementById("step"), picture = document.getElementById("map"), words = document.getElementById("map-words");
slider.addEventListener("input", () => {
  const one = maps[slider.value];
  picture.src = one.url; picture.alt = one.words; words.textContent = one.words; slider.setAttribute("aria-valuetext", one.words);
});
"""
"""All the script that a report has: it shows the map after another experiment."""

_log = logging.getLogger(__name__)

Step = Callable[[int, int], None]
"""Told how many of how many pictures are drawn: some reports take their time."""


def write(campaign: Campaign, path: Path, with_truth: bool = False, step: Step | None = None) -> None:
    """Write the report.

    Args:
        with_truth: Lay the twin's truth over the maps.

    Raises:
        InvalidInput: The file cannot be written, or the twin does not know the truth.
    """
    text = html(campaign, with_truth, step)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"cannot write the report {path}: {error.strerror}; choose another with --report") from error


def html(campaign: Campaign, with_truth: bool = False, step: Step | None = None) -> str:
    """The whole report as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    page = Environment(loader=PackageLoader("frugaltwin"), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    experiment, goal, trials = campaign.driver.experiment, campaign.goal, campaign.trials
    recommended = campaign.recommendation()
    best = goal.best(trials)
    draws = [*picture.draws_for(campaign), *([] if isinstance(goal, Map) else [progress.draw_settings])]
    return page.get_template("report.html").render(
        name=campaign.name,
        driver=experiment.name,
        goal=goal.title,
        strategy=campaign.words["strategy"]["name"],
        stopped_because=campaign.stopped_because,
        recommended=recommended and describe(recommended),
        recommended_by="by the model" if isinstance(campaign.strategy, Recommends) else "the best reading",
        labels=goal.seen(trials) if isinstance(goal, Map) else None,
        maps=_maps(campaign, with_truth, step),
        slider=SLIDER,
        slider_hash=base64.b64encode(hashlib.sha256(SLIDER.encode()).digest()).decode(),
        target={"hex": goal.hex_code, "lab": goal.target} if isinstance(goal, MatchColor) else None,
        best=best and {"number": best[0].number, "score": best[1], "hex": _hex(campaign, best[0]), "lab": _lab(campaign, best[0])},
        charts=[{"title": picture.TITLES[draw], "svg": _element(progress.figure([draw], campaign))} for draw in draws],
        settings=[_column(p) for p in experiment.parameters],
        outcomes=[_column(o) for o in experiment.outcomes],
        score_unit="" if goal.unit == "1" else goal.unit,
        rows=[_row(campaign, t) for t in trials],
        cost=total_cost(trials),
        provenance=_provenance(campaign),
    )


def notebook_html(campaign: Campaign) -> str:
    """Swatches and a small plot, for a notebook."""
    trials, goal = campaign.trials, campaign.goal
    box = "display:inline-block;width:2.2em;height:1.6em;border:1px solid #888"
    target = f'<span style="{box};background:{goal.hex_code}" title="target"></span> target ' if isinstance(goal, MatchColor) else ""
    swatches = "".join(
        f'<span style="{box};background:{code}" title="{t.number}: {campaign.score(t):.3g} {goal.unit}"></span>'
        for t in trials
        if (code := _hex(campaign, t))
    )
    best = goal.best(trials)
    words = f"best {quantity(float(f'{best[1]:.3g}'), goal.unit)} (experiment {best[0].number})" if best else "nothing measured yet"
    plot = _element(progress.figure([progress.draw_best_against_runs], campaign, 4.0, 2.2)) if best else ""
    if isinstance(goal, Map) and (seen := goal.seen(trials)):
        words = ", ".join(f"{label} {n}" for label, n in seen.items())
        plot = _element(picture.picture(campaign).figure)
    title = f"<b>{escape(campaign.name)}</b>: {escape(goal.title)}, {len(trials)} experiments, {escape(words)}"
    return f"<div>{title}<br>{target}{swatches}<br>{plot}</div>"


def _element(drawn: Figure) -> str:
    """A figure as an SVG element that can stand in a page."""
    text = progress.svg(drawn)
    return text[text.index("<svg") :]


def _maps(campaign: Campaign, with_truth: bool, step: Step | None) -> list[dict[str, Any]]:
    """What a mapping campaign believed after each of its steps; empty without a goal to map, a plane to draw, or a reading."""
    if not isinstance(campaign.goal, Map):
        return []
    try:
        view = MapView.of(campaign, COARSE)
    except InvalidInput as error:
        _log.info("no map of %s: %s", campaign.name, error)
        return []
    truth = view.truth() if with_truth else None
    numbers, shown = view.steps(), []
    for k, (n, drawn) in enumerate(view.frames(truth), start=1):
        last = campaign.goal.label_of_trial(view.trials[n - 1]) or "failed"
        words = f"After {n} experiments; the last one, {describe(view.trials[n - 1].settings)}, gave: {last}"
        shown.append({"n": n, "words": words, "url": picture.Picture(drawn).png_url()})
        if step:
            step(k, len(numbers))
    return shown


def _lab(campaign: Campaign, trial: Trial) -> tuple[float, float, float] | None:
    if trial.measurement is None or campaign.driver.experiment.color is None:
        return None
    color = color_of(campaign.driver.experiment, trial.settings, trial.measurement.outcomes)
    return color["L"], color["a"], color["b"]


def _hex(campaign: Campaign, trial: Trial) -> str | None:
    lab = _lab(campaign, trial)
    return hex_code(lab) if lab else None


def _row(campaign: Campaign, trial: Trial) -> dict[str, Any]:
    experiment = campaign.driver.experiment
    outcomes = trial.measurement.outcomes if trial.measurement else {}
    return {
        "number": trial.number,
        "settings": [_cell(trial.settings[p.name]) for p in experiment.parameters],
        "outcomes": [_cell(outcomes.get(o.name, "")) for o in experiment.outcomes],
        "hex": _hex(campaign, trial),
        "score": campaign.score(trial),
        "cost": trial.cost,
        "note": trial.error or ("told by a person" if trial.source == "told" else ""),
    }


def _column(of: Parameter | Outcome) -> dict[str, str]:
    return {"name": of.name, "unit": "" if of.unit == "1" else of.unit}


def _cell(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def _provenance(campaign: Campaign) -> list[tuple[str, str]]:
    record = campaign.store.find(campaign.name)
    body = dict(record.body) if record else campaign.words
    versions = body.pop("versions", {})
    rows = [("store", campaign.store.path)] + ([("started", record.created_at)] if record else [])
    for key, value in body.items():
        if key == "experiment" or value is None:
            continue
        if isinstance(value, dict):
            options = ", ".join(f"{k} = {v}" for k, v in value["options"].items()) or "default options"
            rows.append((key, f"{value['name']} ({options})"))
        else:
            rows.append((key, str(value)))
    budget = ", ".join(f"{k} {v:g}" for k, v in vars(campaign.budget).items() if v is not None)
    stop = [("stop rule", f"score {campaign.stop_rule.score:g}")] if campaign.stop_rule else []
    return [*rows, ("budget", budget), *stop, *((f"version of {k}", v) for k, v in versions.items())]
