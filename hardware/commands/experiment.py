"""The commands of ``frugaltwin experiment``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from frugaltwin.cli.console import show_line, show_rows
from frugaltwin.cli.options import AsJson
from frugaltwin.errors import InvalidInput

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

ExperimentPath = Annotated[Path, typer.Argument(metavar="FILE", help="The file of the experiment (TOML).")]


@app.command()
def new(file: ExperimentPath) -> None:
    """Write a file to begin with. A file that is there is left as it is."""
    if file.suffix != ".toml":
        raise InvalidInput(f"{file}: the name of an experiment file ends in .toml")
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(TEMPLATE.format(name=file.stem))
    except FileExistsError:
        raise InvalidInput(f"{file} is there already; choose another name") from None
    show_line(f"{file} written; change it to yours, then: frugaltwin experiment check {file}")


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
