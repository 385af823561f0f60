"""The commands of ``frugaltwin class``: tasks of a class, for its students; and for instructors its people, labs and grades."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.commands.serve import HERE, AsJson, Server, Token
from api.commands.service import BudgetWords, Hours, NoteWords, as_client, budget_limits, show
from frugaltwin.checks import check_writable
from frugaltwin.cli.console import say, show_line
from frugaltwin.cli.tasks import class_tasks
from frugaltwin.errors import InvalidInput

if TYPE_CHECKING:
    from frugaltwin.client.resources import ClassTask

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="A class: its tasks, and for instructors its people, labs and grades.",
)
app.add_typer(class_tasks, name="task")

ClassName = Annotated[str, typer.Argument(metavar="CLASS", help="Its name.")]
TaskName = Annotated[str, typer.Argument(metavar="TASK", help="Its name: CLASS-NAME.")]
PersonId = Annotated[str, typer.Argument(metavar="PERSON", help="The id of a student: u_….")]


@app.command("tasks")
def list_tasks(server: Server = HERE, token: Token = None, as_json: AsJson = False) -> None:
    """List the tasks of your class, and how far you are; an instructor sees all."""
    with as_client(server, token) as client:
        found = client.tasks()
    names = ("name", "title", "state", "points", "closes_at")
    show([{name: getattr(one, name) for name in names} | {"left": _left(one)} for one in found], as_json)


@app.command("show")
def show_task(
    task: TaskName,
    places: Annotated[
        Path | None, typer.Option("--places", metavar="FILE", help="Write the places of a map as a table to fill in, and end.")
    ] = None,
    server: Server = HERE,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show a task: what is to be done, what is left, and your points once they are shown."""
    with as_client(server, token) as client:
        found = client.task(task)
        outcome = _outcome(client, found) if places else ""
    if places:
        from frugaltwin.tables import write_rows

        check_writable(places)
        write_rows(places, [{"place": k, **place, outcome: ""} for k, place in enumerate(found.places, start=1)])
        say(f"{len(found.places)} places written to {places}; fill in the column {outcome}")
        return
    if as_json:
        show([vars(found)], as_json)
        return
    show_line(f"{found.title}\n\n{found.text.strip()}\n")
    show_line(f"{found.name} is {found.state}; goal {found.goal}, left {_left(found)}; points: {found.rule}")
    if found.closes_at is not None:
        show_line(f"it closes at {datetime.fromtimestamp(found.closes_at).astimezone():%Y-%m-%d %H:%M}")
    if found.points is not None:
        show_line(f"{found.points:.0f} of 100 points")
        for part, value in {**found.parts, **{f"par: {name}": value for name, value in found.par.items()}}.items():
            show_line(f"  {part}: {value:.4g}" if value is not None else f"  {part}: never")


@app.command("hand-in")
def hand_in(
    task: TaskName,
    campaign: Annotated[
        str | None, typer.Option("--campaign", metavar="ID", help="Yours on the server, whose recommendation it is.")
    ] = None,
    settings: Annotated[str | None, typer.Option("--settings", metavar="KEY=VALUE,…", help="A recipe.")] = None,
    labels: Annotated[Path | None, typer.Option("--labels", metavar="FILE", help="A map: the table of `show`, filled in.")] = None,
    expected: Annotated[
        float | None, typer.Option("--expected", metavar="SCORE", help="How good the recipe truly is, as you believe.")
    ] = None,
    sd: Annotated[float | None, typer.Option("--sd", metavar="SCORE", help="The standard deviation of that.")] = None,
    server: Server = HERE,
    token: Token = None,
) -> None:
    """Hand in a task, once: it ends your work on it."""
    from frugaltwin.cli.tasks import read_labels
    from frugaltwin.tables import pairs

    if (expected is None) != (sd is None):
        raise InvalidInput("--expected and --sd belong together: a mean and its standard deviation")
    said = None if expected is None or sd is None else (expected, sd)
    with as_client(server, token) as client:
        found = client.task(task)
        listed = read_labels(labels, list(found.places), _outcome(client, found)) if labels else None
        recipe = client.rig(task).experiment.check(pairs("--settings", settings)) if settings else None
        found = client.hand_in(task, campaign=campaign, settings=recipe, labels=listed, expected=said)
    say(f"{task} is handed in; its points are shown by: frugaltwin class show {task}")


@app.command()
def board(task: TaskName, server: Server = HERE, token: Token = None, as_json: AsJson = False) -> None:
    """Show the board of a task."""
    with as_client(server, token) as client:
        found = client.board(task)
    rows = [{"nickname": x.nickname, "points": x.points, "best": x.best, "handed_in": x.is_handed_in, **x.spent} for x in found]
    show(rows, as_json)


@app.command()
def nickname(
    words: Annotated[str, typer.Argument(metavar="NAME", help="Up to 40 letters.")], server: Server = HERE, token: Token = None
) -> None:
    """Choose what boards call you."""
    with as_client(server, token) as client:
        client.call_me(words)
    say(f"boards call you {words} from now on")


@app.command()
def page(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The HTML file to write.")],
    server: Server = HERE,
    token: Token = None,
) -> None:
    """Write a page of your work on all tasks: your readings beside par, what was judged, and what was not yet."""
    check_writable(path)
    with as_client(server, token) as client:
        client.my_page(path)
    say(f"your page: {path}")


@app.command()
def pages(
    name: ClassName,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The ZIP file to write.")],
    server: Server = HERE,
    token: Token = None,
) -> None:
    """Write a page for each student, as that student may see it, by their ids."""
    check_writable(path)
    with as_client(server, token) as client:
        client.class_pages(name, path)
    say(f"the pages of {name}: {path}")


@app.command("list")
def list_classes(server: Server = HERE, token: Token = None, as_json: AsJson = False) -> None:
    """List the classes."""
    with as_client(server, token) as client:
        show([vars(one) for one in client.classes()], as_json)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="CLASS", help="Up to 20 letters, digits and -.")],
    like: Annotated[
        str | None, typer.Option("--like", metavar="CLASS", help="An earlier one, whose tasks it gets, without times and with other labs.")
    ] = None,
    server: Server = HERE,
    token: Token = None,
) -> None:
    """Begin a class."""
    with as_client(server, token) as client:
        client.make_class(name, like)
    say(f"{name} has begun; let people in with: frugaltwin class invite {name}")


@app.command()
def invite(
    name: ClassName,
    uses: Annotated[int, typer.Option("--uses", metavar="N", help="People who may join with it.")] = 30,
    budget: BudgetWords = None,
    note: NoteWords = "",
    hours: Hours = None,
    server: Server = HERE,
    token: Token = None,
) -> None:
    """Make a join code for a class and show it, this once."""
    with as_client(server, token) as client:
        made = client.make_code(uses, budget_limits(budget), note, hours and hours * 3600, ["read", "run:sim"], name)
    show_line(f"The join code of {name}; it is shown this once: {made.code}")
    say(f"to end it: frugaltwin service revoke {made.id}")


@app.command()
def enroll(
    name: ClassName,
    person: Annotated[list[str], typer.Argument(metavar="PERSON…", help="Ids of people who are at the service already: u_….")],
    server: Server = HERE,
    token: Token = None,
) -> None:
    """Move people into a class."""
    with as_client(server, token) as client:
        for one in person:
            client.enroll(name, one)
    say(f"{len(person)} in {name} from now on")


@app.command()
def people(name: ClassName, server: Server = HERE, token: Token = None, as_json: AsJson = False) -> None:
    """List the people of a class, with what each has spent."""
    with as_client(server, token) as client:
        found = client.people(class_name=name)
    show([{"id": x.id, "name": x.name, "role": x.role, "runs_spent": float(x.budget.spent.get("runs", 0.0))} for x in found], as_json)


@app.command()
def approve(
    name: ClassName,
    rig: Annotated[str, typer.Argument(metavar="RIG", help="The name of a real rig.")],
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the approvals back.")] = False,
    server: Server = HERE,
    token: Token = None,
) -> None:
    """Let all students of a class use a real rig."""
    with as_client(server, token) as client:
        client.approve_class(name, rig, not withdraw)
        found = client.class_named(name)
    say(f"{found.students} students of {name} may {'no longer ' if withdraw else ''}use {rig}")


@app.command()
def grant(
    name: ClassName,
    budget: Annotated[str, typer.Argument(metavar="N|KEY=N,…", help="As for `frugaltwin service grant`.")],
    server: Server = HERE,
    token: Token = None,
) -> None:
    """Add to what each student of a class may spend."""
    added = budget_limits(budget) or {}
    with as_client(server, token) as client:
        found = client.grant_class(name, added)
    say(f"{found.students} students of {name} have more to spend")


@app.command()
def remove(name: ClassName, server: Server = HERE, token: Token = None) -> None:
    """Remove all students of a class that has ended, for good: their names are gone, what was measured stays."""
    with as_client(server, token) as client:
        n = client.class_named(name).students
        client.remove_class(name)
    say(f"{n} students of {name} are removed")


@class_tasks.command()
def add(
    name: ClassName,
    task: Annotated[str, typer.Argument(metavar="TASK", help="A task that comes with the package, or a file NAME.toml.")],
    server: Server = HERE,
    token: Token = None,
) -> None:
    """Give a class a task: its labs are drawn from now on, in the background."""
    from frugaltwin.tasks.task import find

    with as_client(server, token) as client:
        made = client.add_task(name, words_of(find(task)))
    say(f"{made} is there; how far its labs are: frugaltwin class task labs {made}")


@class_tasks.command()
def labs(task: TaskName, server: Server = HERE, token: Token = None, as_json: AsJson = False) -> None:
    """Say how many labs of a task are ready, and how hard they are beside the median."""
    with as_client(server, token) as client:
        found = client.labs(task)
    if as_json:
        show([vars(found)], as_json)
        return
    if found.median is None:
        show_line(f"{found.pilots} of {found.pilots_needed} pilot labs are played; then the {found.students} of the class are drawn")
        return
    show_line(f"{found.ready} of {found.students} labs are ready; {found.redrawn} draws were too hard or too easy")
    for low in (0.0, 0.8, 0.9, 1.0, 1.1, 1.2):
        high = low + 0.1 if low else 0.8
        n = sum(low <= x < high or (low == 1.2 and x >= high) for x in found.hardness)
        show_line(f"  {f'{low:.1f} to {high:.1f}' if 0 < low < 1.2 else 'below 0.8' if low == 0 else '1.2 and more':13} {n:4}")


@app.command()
def grades(
    name: ClassName,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The CSV file to write.")] = Path("grades.csv"),
    server: Server = HERE,
    token: Token = None,
) -> None:
    """Write the grades of a class as a table, a column for each task and one with its maximum."""
    check_writable(out)
    with as_client(server, token) as client:
        client.grade_table(name, out)
    say(f"the grades of {name}: {out}")


@app.command()
def work(task: TaskName, server: Server = HERE, token: Token = None, as_json: AsJson = False) -> None:
    """List the work of all students on a task: points, cost, and what an instructor should look at."""
    with as_client(server, token) as client:
        found = client.grades(task)
    if as_json:
        show([vars(one) for one in found], as_json)
        return
    rows = [
        {"person": x.person, "name": x.name, "state": x.state, "points": x.points, "runs": x.spent.get("runs"), "grades": x.n_grades}
        | {"look at": "; ".join(x.flags)}
        for x in found
    ]
    show(rows, as_json)


@app.command()
def regrade(
    task: TaskName,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="The task with a mended rule; its own rule without it.")] = None,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason; it is kept with the grades.")] = "",
    keep: Annotated[bool, typer.Option("--keep", help="Do it; without this it is only said what would change.")] = False,
    server: Server = HERE,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Compute all grades of a task again, and show those that change. Old grades are kept."""
    from frugaltwin.tasks.task import Task

    with as_client(server, token) as client:
        found = client.regrade(task, why, words_of(Task.read(file)) if file else None, keep)
    show([vars(one) for one in found], as_json)
    if not as_json:
        show_line(f"grades that {'have changed' if keep else 'would change'}: {len(found)}")


@app.command()
def extend(
    task: TaskName,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="The id of a student, or `all` for the whole class.")],
    until: Annotated[datetime, typer.Argument(metavar="TIME", help="2026-12-01T18:00, by this machine's clock.")],
    server: Server = HERE,
    token: Token = None,
) -> None:
    """Give a student more time for a task, or the whole class."""
    at = until.astimezone().timestamp()
    with as_client(server, token) as client:
        if person == "all":
            client.extend(task, at)
        else:
            client.set_terms(task, person, at)
    say(f"{task} closes for {person} at {until:%Y-%m-%d %H:%M}")


@app.command()
def exempt(
    task: TaskName,
    person: PersonId,
    undo: Annotated[bool, typer.Option("--undo", help="They have to do it after all.")] = False,
    server: Server = HERE,
    token: Token = None,
) -> None:
    """Exempt a student from a task: it counts neither in their sum nor in its maximum."""
    with as_client(server, token) as client:
        client.set_terms(task, person, exempt=not undo)
    say(f"{person} is {'not ' if undo else ''}exempt from {task}")


@app.command()
def withdraw(task: TaskName, person: PersonId, server: Server = HERE, token: Token = None) -> None:
    """Take a student's hand-in back, so that there may be another one; it is kept."""
    with as_client(server, token) as client:
        client.withdraw(task, person)
    say(f"{person} may hand in {task} once more")


@app.command()
def archive(
    name: ClassName,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The ZIP file to write.")],
    end: Annotated[bool, typer.Option("--end", help="End the class, too: nobody works on its tasks any more.")] = False,
    server: Server = HERE,
    token: Token = None,
) -> None:
    """Write all of a class as one file that is read without the service."""
    check_writable(path)
    with as_client(server, token) as client:
        if end:
            client.end_class(name)
        client.archive_class(name, path)
    say(f"{name}{', which has ended,' if end else ''} is in {path}")


def words_of(task: Any) -> Mapping[str, Any]:
    """The words of a task, as a request has them."""
    import json

    found: Mapping[str, Any] = json.loads(task.to_json())
    return found


def _left(task: ClassTask) -> str:
    return ", ".join(f"{(limit or 0.0) - (task.spent.get(kind) or 0.0):g} {kind}" for kind, limit in task.budget.items())


def _outcome(client: Any, task: ClassTask) -> str:
    """The outcome that a map is of."""
    if task.asks != "map":
        raise InvalidInput(f"{task.name} asks for a recipe, not for a map")
    return str(task.goal.split(":")[1])
