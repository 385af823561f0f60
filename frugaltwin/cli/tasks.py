"""Commands about tasks: to practise one, to hand in, and to check one before a class gets it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frugaltwin.cli.console import progress, say, show_line, show_rows
from frugaltwin.cli.open_campaign import stored_campaign
from frugaltwin.cli.options import STORE, AsJson, CampaignName, StorePath
from frugaltwin.errors import InvalidInput

if TYPE_CHECKING:
    from frugaltwin.campaign import Campaign
    from frugaltwin.experiment import Settings
    from frugaltwin.tasks.judge import HandIn, InstanceJudge
    from frugaltwin.tasks.score import Par
    from frugaltwin.tasks.task import Task

app = typer.Typer(add_completion=False, rich_markup_mode=None)
class_tasks = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Tasks of a class, for instructors.")

TaskName = Annotated[str, typer.Argument(metavar="TASK", help="A task that comes with the package, or a file NAME.toml.")]
PLACE = "place"
"""The column with the numbers of places, in tables of a map."""


@app.command()
def practice(
    task: Annotated[
        str | None, typer.Argument(metavar="TASK", help="A task, or a file NAME.toml; all tasks are listed without it.")
    ] = None,
    lab: Annotated[int, typer.Option(min=1, help="The number of the lab; each is another one.")] = 1,
    places: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the places at which a map is asked about, as a table to fill in, and end.")
    ] = None,
    store: StorePath = None,
    as_json: AsJson = False,
) -> None:
    """Practise a task of a class: begin a campaign in a hidden lab. `hand-in` judges it, as often as you like."""
    from frugaltwin.campaign import Campaign
    from frugaltwin.catalog import check_packages
    from frugaltwin.tasks.practice import practice_instance
    from frugaltwin.tasks.task import find, shipped

    check_packages()
    if task is None:
        rows = [{"task": name, "title": find(name).title, "budget": _budget(find(name))} for name in shipped()]
        show_rows(rows, as_json)
        return
    chosen = find(task)
    instance = practice_instance(chosen, lab)
    if places:
        _write_places(places, task, lab)
        return
    name = f"{chosen.name}-{lab}"
    words = {"name": "practice", "options": {"task": task, "lab": lab}}
    parts = [part.text for part in instance.goal.objectives] or [instance.goal.text]
    required = [bound.text for bound in instance.goal.requirements]
    where = store or STORE
    campaign = Campaign.open(name=name, driver=words, goal=parts, require=required, budget=chosen.limits, store=where)
    campaign.begin()
    if as_json:
        show_line(json.dumps({"event": "practice", "campaign": name, "goal": campaign.goal.text} | chosen.model_dump(mode="json")))
        return
    show_line(f"{chosen.title}\n\n{chosen.text.strip()}\n")
    show_line(f"lab {lab}, goal {campaign.goal.title}, budget {_budget(chosen)}; points: {chosen.rule}")
    at = f" --store {store}" if store else ""
    show_line(f"go on with: frugaltwin run --name {name}{at}\nthen with:  frugaltwin hand-in {name}{at}")


@app.command("hand-in")
def hand_in(
    name: CampaignName,
    settings: Annotated[str | None, typer.Option(metavar="KEY=VALUE,…", help="A recipe in place of the recommended one.")] = None,
    expected: Annotated[float | None, typer.Option(metavar="SCORE", help="How good the recipe truly is, as you believe.")] = None,
    sd: Annotated[float | None, typer.Option(metavar="SCORE", help="The standard deviation of that.")] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A map in place of the model's: the table of `practice --places`, filled in.")
    ] = None,
    store: StorePath = None,
    as_json: AsJson = False,
) -> None:
    """Hand in what a practice campaign found, and see its points. Par is played the first time, which takes from seconds to a minute."""
    from frugaltwin.catalog import check_packages
    from frugaltwin.tasks.judge import InstanceJudge, within_budget
    from frugaltwin.tasks.par import kept_par
    from frugaltwin.tasks.practice import practice_instance
    from frugaltwin.tasks.score import points
    from frugaltwin.tasks.task import find

    check_packages()
    campaign = stored_campaign(name, store)
    chosen = campaign.specification["driver"]
    if chosen["name"] != "practice":
        raise InvalidInput(f"{name} is no campaign of a task; begin one with: frugaltwin practice TASK")
    instance = practice_instance(find(str(chosen["options"]["task"])), int(chosen["options"].get("lab", 1)))
    within_budget(instance, campaign.trials)
    judge = InstanceJudge(instance)
    one = _handed_in(campaign, judge, settings, expected, sd, labels)
    found = judge.judged(one)
    with _steps("playing par", 2 * instance.task.reference.plays) as step:
        par = kept_par(judge, step=step)
    result = points(instance.task, par, found, one.spent)
    if as_json:
        words = {
            "points": result.points,
            "parts": result.parts,
            "found": found.parts,
            "gap": _finite(found.gap),
            "par": {k: _finite(v) for k, v in vars(par).items()},
        }
        show_line(json.dumps({"event": "points", "campaign": name} | words, ensure_ascii=False))
        return
    show_line(f"{result.points:.0f} of 100 points")
    for part, value in result.parts.items():
        show_line(f"  {part}: {value:.0f}")
    for line in _compared(judge, found.gap, found.parts, par, one):
        show_line(line)


@class_tasks.command()
def check(
    task: TaskName,
    labs: Annotated[int, typer.Option(min=1, max=500, help="Number of labs that are drawn and played.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Check a task before a class gets it: draw some labs, play each, and print what random choices and a blank hand-in would get."""
    from frugaltwin.catalog import check_packages
    from frugaltwin.spec import Choice
    from frugaltwin.tasks.judge import InstanceJudge
    from frugaltwin.tasks.par import RANDOM, Play, par_of, play, score_of
    from frugaltwin.tasks.practice import practice_instance
    from frugaltwin.tasks.task import find

    check_packages()
    chosen = find(task)
    got: dict[str, list[float]] = {"reference": [], "stock default": [], "random": [], "blank": []}
    hardness: list[float] = []
    with _steps("playing", labs * (2 * chosen.reference.plays + 3)) as step:
        for lab in range(1, labs + 1):
            judge = InstanceJudge(practice_instance(chosen, lab))
            par = par_of(judge, step=step)
            hardness.append(par.hardness(chosen))
            goal = judge.instance.goal
            plays = {
                "reference": play(judge, chosen.reference_strategy(goal), "check", chosen.reference.stop),
                "stock default": play(judge, Choice(name=goal.default_strategy), "check default", is_sure=False),
                "random": play(judge, RANDOM, "check", is_sure=False),
                "blank": Play(None, None),
            }
            for who, one in plays.items():
                got[who].append(score_of(judge, par, one).points)
            step(3)
    rows = [
        {"who": who, "points": f"{sum(p) / len(p):.0f}", "lowest": f"{min(p):.0f}", "highest": f"{max(p):.0f}"} for who, p in got.items()
    ]
    show_rows(rows, as_json)
    if not as_json:
        middle = sorted(hardness)[len(hardness) // 2]
        spread = ", ".join(f"{value / middle:.2f}" for value in hardness) if middle < float("inf") else "never reached"
        show_line(f"{labs} labs; how hard each is, over the median: {spread}")


def _finite(value: float) -> float | None:
    """A number for JSON, which has no infinity: None where a place was never reached, or does not count."""
    return value if math.isfinite(value) else None


def _handed_in(
    campaign: Campaign, judge: InstanceJudge, settings: str | None, expected: float | None, sd: float | None, labels: Path | None
) -> HandIn:
    from frugaltwin.experiment import total
    from frugaltwin.tables import pairs
    from frugaltwin.tasks.judge import Expected, HandIn

    if (expected is None) != (sd is None):
        raise InvalidInput("--expected and --sd belong together: a mean and its standard deviation")
    said = Expected(expected, sd) if expected is not None and sd is not None else None
    spent = total(campaign.trials)
    if judge.places:
        if settings or said:
            raise InvalidInput("this task asks for a map: hand in --labels FILE, or nothing for the model's map")
        if labels:
            return HandIn(labels=read_labels(labels, judge.places, campaign.goal.outcomes[0]), spent=spent)
        return HandIn.of_campaign(campaign, judge.places)
    if labels:
        raise InvalidInput("this task asks for a recipe, not for a map: leave --labels out")
    recipe = campaign.driver.experiment.check(pairs("--settings", settings)) if settings else HandIn.of_campaign(campaign, []).recipe
    return HandIn(recipe=recipe, expected=said, spent=spent)


def _write_places(path: Path, task: str, lab: int) -> None:
    from frugaltwin.checks import check_writable
    from frugaltwin.tables import write_rows
    from frugaltwin.tasks.judge import InstanceJudge
    from frugaltwin.tasks.practice import practice_instance
    from frugaltwin.tasks.task import find

    judge = InstanceJudge(practice_instance(find(task), lab))
    if not judge.places:
        raise InvalidInput(f"{task} asks for a recipe, not for a map: it has no places")
    check_writable(path)
    outcome = judge.instance.goal.outcomes[0]
    write_rows(path, [{PLACE: k, **place, outcome: ""} for k, place in enumerate(judge.places, start=1)])
    say(f"{len(judge.places)} places written to {path}; fill in the column {outcome}")


def read_labels(path: Path, places: list[Settings], outcome: str) -> list[str]:
    """The labels of a filled-in table, by the numbers of the places: rows may stand in any order."""
    from frugaltwin.table_reader import read_rows

    table = read_rows(path)
    if missing := [name for name in (PLACE, outcome) if name not in table.names]:
        raise InvalidInput(f"{path} has no column {missing[0]}; fill in the table of `frugaltwin practice TASK --places FILE`")
    found: dict[int, str] = {}
    for row, cells in table.rows.items():
        number = table.number(row, PLACE)
        if number is None or not number.is_integer() or not 1 <= number <= len(places):
            raise table.refusal(row, PLACE, f"it is the number of a place, from 1 to {len(places)}")
        if int(number) in found:
            raise table.refusal(row, PLACE, f"place {number:g} stands twice")
        found[int(number)] = cells[outcome]
    if missing_places := [k for k in range(1, len(places) + 1) if not found.get(k)]:
        raise InvalidInput(f"{path}: place {missing_places[0]} has no label; {len(missing_places)} are missing")
    return [found[k] for k in range(1, len(places) + 1)]


def _budget(task: Task) -> str:
    return ", ".join(f"{limit:g} {name}" for name, limit in task.limits.limits.items())


def _compared(judge: InstanceJudge, gap: float, parts: Any, par: Par, one: HandIn) -> Iterator[str]:
    """The lines that set what was found beside par."""
    from frugaltwin.goals.goal import rounded

    goal, task = judge.instance.goal, judge.instance.task
    for name, value in parts.items():
        yield f"  {name}: {rounded(value, goal.unit) if name == 'true score' else f'{100 * value:.1f} %'}"
    yield f"  gap to the best: {gap:.3g}; par {par.gap:.3g}, random choices {par.random_gap:.3g}"
    if task.score.rule == "cost":
        yield f"  {task.score.cost}: {task.spent(one.spent):.4g}; par {par.cost:.4g}"


@contextmanager
def _steps(what: str, total: int) -> Iterator[Any]:
    """A progress bar; the function that it yields counts a step, or so many."""
    done = 0
    with progress(what, total) as show:

        def step(count: int = 1) -> None:
            nonlocal done
            done += count
            show(done, total)

        yield step
