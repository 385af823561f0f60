"""The commands of ``frugaltwin experiment``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from frugaltwin.cli.console import is_asked, say, show_line, show_rows
from frugaltwin.cli.options import AsJson
from frugaltwin.errors import InvalidInput
from frugaltwin.table_reader import number

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Experiments of your own, as files.")

TEMPLATE = """\
# An experiment of your own; all that can stand here is in docs/experiments.md.
name = "{name}"
goal = "maximize:yield"

[parameters]
temperature = {{ low = 20, high = 80, step = 5, unit = "°C" }}
concentration = {{ low = 0.01, high = 1, unit = "mol/L", scale = "log" }}
solvent = {{ values = ["water", "ethanol"] }}

[outcomes]
yield = {{ unit = "%" }}

[cost]                                   # of one experiment: numbers, or formulas of the parameters
seconds = "1800 + 60 * (temperature - 20)"

[by]                                     # you, on this sheet; or program = ["python3", "robot.py"], folder = …, address = …, function = …
sheet = "{name}.csv"
"""

GOALS = {"more": "maximize", "less": "minimize", "neither": ""}

ExperimentPath = Annotated[Path, typer.Argument(metavar="FILE", help="The file of the experiment (TOML).")]


@app.command()
def new(
    file: ExperimentPath,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Propose it from a table of past experiments (CSV), or from BayBE's or BoFire's JSON."),
    ] = None,
    outcomes: Annotated[
        str | None, typer.Option(metavar="NAME,…", help="The columns of --from that are measured; without it those with gaps, or the last.")
    ] = None,
) -> None:
    """Write a file to begin with, by questions on a terminal. A file that is there is left as it is."""
    from hardware.own.description import Description
    from hardware.own.importers import proposal, written

    if file.suffix != ".toml":
        raise InvalidInput(f"{file}: the name of an experiment file ends in .toml")
    if file.exists():
        raise InvalidInput(f"{file} is there already; choose another name")
    if source is None and outcomes is not None:
        raise InvalidInput("--outcomes says which columns of --from are measured; name that file, too")
    if source is not None:
        text = written(proposal(source, [name.strip() for name in (outcomes or "").split(",") if name.strip()]))
        text = f"# Proposed from {source.name}: look at the ranges and units. All that can stand here is in docs/experiments.md.\n{text}"
    elif is_asked(as_json=False):
        text = written(asked(file.stem))
    else:
        text = TEMPLATE.format(name=file.stem)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        raise InvalidInput(f"cannot write {file}: {error.strerror}") from error
    try:
        Description.read(file)
    except InvalidInput as error:
        raise InvalidInput(f"{file} is written, and needs a hand: {error}") from error
    show_line(f"{file} written; look at it, then: frugaltwin experiment check {file}")
    if source is not None and source.suffix.lower() != ".json":
        show_line(f"its experiments as a beginning: frugaltwin tell {file.stem} --driver {file} --table {source}")


def asked(name: str) -> dict[str, Any]:
    """The words of an experiment file, from a person at a terminal."""
    words: dict[str, Any] = {"name": name, "goal": [], "parameters": {}, "outcomes": {}}
    say("What do you set? One after the other; an empty name ends it.")
    while (parameter := _prompt("  name")) or not words["parameters"]:
        if parameter:
            words["parameters"][parameter] = _values(parameter)
    say("What do you measure?")
    while (outcome := _prompt("  name")) or not words["outcomes"]:
        if not outcome:
            continue
        unit = _prompt("  unit (empty: none)")
        words["outcomes"][outcome] = {"unit": unit} if unit else {}
        while (way := _prompt("  what is better: more, less or neither") or "more") not in GOALS:
            say("  that is none of the three")
        words["goal"] += [f"{GOALS[way]}:{outcome}"] if GOALS[way] else []
    parts = [
        part.strip()
        for part in _prompt("Which of the settings add up to a fixed sum? (names with commas; empty: none)").split(",")
        if part.strip()
    ]
    if parts:
        while (total := number(_prompt("  the sum"))) is None:
            say("  that is no number")
        words["sums"] = [{"parts": parts, "total": total}]
    return words | {"by": {"sheet": f"{name}.csv"}}


def _values(parameter: str) -> dict[str, Any]:
    """The values of a parameter, asked until they are some."""
    while True:
        text = _prompt(f"  values of {parameter}: 20..80, in steps 20..80/5, or a list as in XPhos, SPhos")
        if found := re.fullmatch(r"\s*(\S+?)\s*\.\.\s*([^/\s]+)\s*(?:/\s*(\S+))?\s*", text):
            numbers = [None if part is None else number(part) for part in found.groups()]
            if numbers[0] is not None and numbers[1] is not None and numbers[0] < numbers[1] and (found[3] is None or numbers[2]):
                unit = _prompt("  unit (empty: none)")
                step = {"step": numbers[2]} if numbers[2] else {}
                return {"low": numbers[0], "high": numbers[1], **step, **({"unit": unit} if unit else {})}
        elif len(cells := [cell.strip() for cell in text.split(",") if cell.strip()]) > 1:
            values = [number(cell) for cell in cells]
            return {"values": cells if None in values else values}
        say("  that is neither a range nor a list of two and more")


def _prompt(question: str) -> str:
    return str(typer.prompt(question, default="", show_default=False, err=True)).strip()


@app.command()
def check(file: ExperimentPath, as_json: AsJson = False) -> None:
    """Check a file, and say what is set, what is measured and what an experiment costs."""
    from frugaltwin.catalog import make_driver, make_goal, make_strategy
    from frugaltwin.state import State
    from frugaltwin.tables import written
    from hardware.own.description import Description

    found = Description.read(file)
    driver = make_driver("experiment", {"file": file})
    goal = make_goal("", driver) if found.goal_text else None
    outcome = found.experiment.outcomes[0]
    aim = goal or make_goal(f"map:{outcome.name}" if outcome.labels else f"minimize:{outcome.name}", driver)
    tried = make_strategy("sobol").suggest(State(aim), 1)[0].settings  # nobody can satisfy some constraints: that shows here
    if as_json:
        words = {"name": found.name, "goal": found.goal_text, "example": dict(tried), "cost": found.price(tried).cost()}
        show_line(json.dumps({"event": "experiment"} | words, ensure_ascii=False))
        return
    set_rows = [{"set": p.name, "values": p.limits, "meaning": p.description} for p in found.experiment.parameters]
    show_rows(set_rows, False)
    show_line("")
    measured = [{"measured": o.name, "unit": o.unit, "labels": ", ".join(o.labels)} for o in found.experiment.outcomes]
    show_rows(measured, False)
    cost = found.price(tried)
    show_line(f"\nfor example {written(tried)}\nwhich takes {cost.seconds:g} s, {cost.money:g} USD and {cost.volume:g} mL")
    by = f"by {found.by.words if found.by else 'hand'}"
    show_line(f"{goal.title if goal else 'no goal: name one with --goal'}; performed {by}")
    how = "run" if found.by and not found.by.sheet else f"suggest {found.name}"
    show_line(f"begin with: frugaltwin {how} --driver {file}")
