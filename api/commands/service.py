"""The commands of ``frugaltwin service``: rigs, people, codes and tokens of a running service, from any machine that reaches it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.commands.serve import HERE, AsJson, Server, Token, amounts
from frugaltwin.amounts import PURSE, Amounts, purse_of
from frugaltwin.checks import check_writable
from frugaltwin.cli.console import say, show_line, show_rows
from frugaltwin.client.token_file import TOKEN_FILE
from frugaltwin.errors import InvalidInput

if TYPE_CHECKING:
    from frugaltwin.client.client import Client

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="A service from afar: its rigs, its people, its codes and tokens.",
)

RigName = Annotated[str, typer.Argument(metavar="NAME", help="Of the rig.")]
PersonId = Annotated[str, typer.Argument(metavar="PERSON", help="The id of a person: u_….")]
NoteWords = Annotated[str, typer.Option("--note", metavar="TEXT", help="What it is for, for yourself.")]
Hours = Annotated[float | None, typer.Option("--hours", metavar="N", help="How long it is good.")]
ANY_KIND = "runs, or any of runs=200,rig_runs=5,seconds=7200,money=5,volume=500."
BudgetWords = Annotated[
    str | None,
    typer.Option("--budget", metavar="N|KEY=N,…", help=f"What each may spend: {ANY_KIND}"),
]
KINDS = [kind.name for kind in PURSE]
NO_LIMIT = "no limit"


@app.command()
def join(
    code: Annotated[str, typer.Argument(metavar="CODE", help="What stands on the board.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Yours, as the instructor shall see it.")],
    server: Server = HERE,
) -> None:
    """Come into a class; your token goes into a file that only you can read, where commands and Python find it."""
    with as_client(server, None) as client:
        joined = client.join(code, name, keep=True)
    say(f"you are {joined.person} from now on; your token is kept in {Path.home() / TOKEN_FILE}")


@app.command()
def export(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The CSV file to write.")], server: Server = HERE, token: Token = None
) -> None:
    """Write all your experiments as one table; an instructor's has everybody's."""
    check_writable(path)
    with as_client(server, token) as client:
        client.export_experiments(path)
    say(f"all experiments, oldest first: {path}")


@app.command("rigs")
def list_rigs(server: Server = HERE, token: Token = None, as_json: AsJson = False) -> None:
    """List the rigs, their state and their queue."""
    names = ("name", "driver", "is_real", "state", "queued", "eta_s")
    with as_client(server, token) as client:
        show_rows([{n: getattr(rig, n) for n in names} for rig in client.rigs()], as_json)


@app.command("budget")
def in_experiments(
    budget: Annotated[str, typer.Argument(metavar="N|KEY=N,…", help=f"R{ANY_KIND[1:]}")],
    server: Server = HERE,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Say how many experiments of each rig a budget lets in: at a typical reservation, and at the dearest one."""
    from api.commands.allowance import Reservations, experiments

    limits = amounts("the budget", budget)
    with as_client(server, token) as client:
        rigs = [client.rig(rig.name) for rig in client.rigs()]
    rows = []
    for rig in rigs:
        found = Reservations.of(rig.experiment, rig.price)
        own = purse_of(limits, rig.is_real)
        shown = {word: experiments(own, each) for word, each in (("experiments", found.typical), ("of_the_dearest", found.dearest))}
        row: dict[str, Any] = {"rig": rig.name, **{word: n if math.isfinite(n) else None for word, n in shown.items()}}
        for kind in Amounts.cost_kinds():
            row |= {f"{kind.name}_typical": getattr(found.typical, kind.name), f"{kind.name}_dearest": getattr(found.dearest, kind.name)}
        rows.append(row)
    show(rows, as_json)


@app.command()
def stop(name: RigName, server: Server = HERE, token: Token = None) -> None:
    """Stop a rig now: what runs is aborted, what waits goes on waiting until `open`."""
    with as_client(server, token) as client:
        client.steer(name, "stop")
    say(f"{name} is stopped; look at it, then: frugaltwin service open {name}")


@app.command()
def pause(name: RigName, server: Server = HERE, token: Token = None) -> None:
    """Begin nothing more on a rig; what runs is finished."""
    with as_client(server, token) as client:
        client.steer(name, "pause")
    say(f"{name} is paused; go on with: frugaltwin service open {name}")


@app.command("open")
def open_rig(name: RigName, server: Server = HERE, token: Token = None) -> None:
    """Let a rig go on that was paused or stopped."""
    with as_client(server, token) as client:
        client.steer(name, "open")
    say(f"{name} is open")


@app.command()
def approve(
    name: RigName,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="The id of a person: u_….")],
    server: Server = HERE,
    token: Token = None,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the approval back.")] = False,
) -> None:
    """Let a student use a real rig."""
    with as_client(server, token) as client:
        client.approve(name, person, not withdraw)
    say(f"{person} may {'no longer ' if withdraw else ''}use {name}")


@app.command()
def people(
    role: Annotated[str | None, typer.Option("--role", metavar="ROLE", help="Only student, instructor, observer or assistant.")] = None,
    server: Server = HERE,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List the people of the class, newest first, with what each has left and has spent."""
    with as_client(server, token) as client:
        found = client.people(role)
    rows = [
        {"id": one.id, "name": one.name, "role": one.role}
        | {f"{kind}_left": one.budget.left.get(kind) for kind in KINDS}
        | {f"{kind}_spent": one.budget.spent.get(kind, 0.0) for kind in KINDS}
        for one in found
    ]
    show(rows, as_json)


@app.command("new-person")
def new_person(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As everybody may see it.")],
    role: Annotated[
        str,
        typer.Option(
            "--role", metavar="ROLE", help="student; instructor: may do all that you may; observer: only reads; assistant: of one class."
        ),
    ] = "student",
    class_name: Annotated[str | None, typer.Option("--class", metavar="CLASS", help="Their class; an assistant has one.")] = None,
    budget: BudgetWords = None,
    server: Server = HERE,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Let somebody in without a code and show their token, this once."""
    with as_client(server, token) as client:
        made = client.add_person(name, role, budget_limits(budget), class_name)
    if as_json:
        show([asdict(made)], as_json)
        return
    show_line(f"The token of {name}; it is shown this once: {made.token}")
    say(f"{name} is {made.person}")


@app.command()
def ledger(person: PersonId, server: Server = HERE, token: Token = None, as_json: AsJson = False) -> None:
    """List every line of somebody's budget, newest first."""
    with as_client(server, token) as client:
        show(map(asdict, client.ledger(person)), as_json)


@app.command()
def grant(
    person: PersonId,
    budget: Annotated[
        str, typer.Argument(metavar="N|KEY=N,…", help="Runs, or any of runs=50,seconds=900,money=1.5,volume=-100; below 0 is taken away.")
    ],
    server: Server = HERE,
    token: Token = None,
    is_set: Annotated[bool, typer.Option("--set", help="Say what is left from now on; KEY=none takes a limit away.")] = False,
) -> None:
    """Add to what somebody may spend, take from it, or set it."""
    given = amounts("the budget", budget)
    with as_client(server, token) as client:
        add = {} if is_set else {kind: _number(kind, n) for kind, n in given.items()}
        account = client.set_left(person, given) if is_set else client.grant(person, add)
    say(f"{person} has left: " + ", ".join(f"{kind} {_words(account.left.get(kind))}" for kind in KINDS))


@app.command()
def remove(person: PersonId, server: Server = HERE, token: Token = None) -> None:
    """Remove somebody for good: nothing of theirs runs any more, their name is gone, what was measured stays."""
    with as_client(server, token) as client:
        client.remove_person(person)
    say(f"{person} is removed: what waited or ran is aborted, no token of theirs is good, and their name is gone")


@app.command()
def codes(server: Server = HERE, token: Token = None, as_json: AsJson = False) -> None:
    """List the join codes, newest first, without their words."""
    with as_client(server, token) as client:
        found = client.codes()
    rows = [
        {"id": one.id, "note": one.note, "uses_left": one.uses_left, **{kind: one.budget.get(kind) for kind in KINDS}}
        | {"expires_at": one.expires_at, "revoked_at": one.revoked_at}
        for one in found
    ]
    show(rows, as_json)


@app.command("new-code")
def new_code(
    uses: Annotated[int, typer.Option("--uses", metavar="N", help="People who may join with it.")],
    budget: BudgetWords = None,
    note: NoteWords = "",
    hours: Hours = None,
    twins_only: Annotated[bool, typer.Option("--twins-only", help="Their tokens are for twins, also after an approval.")] = False,
    server: Server = HERE,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Make a join code and show it, this once. What its budget does not name has no limit."""
    with as_client(server, token) as client:
        made = client.make_code(uses, budget_limits(budget), note, hours and hours * 3600, ["read", "run:sim"] if twins_only else None)
    if as_json:
        show([asdict(made)], as_json)
        return
    show_line(f"The join code; it is shown this once: {made.code}")
    say(f"to end it: frugaltwin service revoke {made.id}")


@app.command()
def tokens(
    person: Annotated[str | None, typer.Argument(metavar="PERSON", help="The id of a person: u_…; you without it.")] = None,
    server: Server = HERE,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List somebody's tokens, newest first, without their words."""
    with as_client(server, token) as client:
        found = [asdict(one) for one in client.tokens(person)]
    show([{k: row[k] for k in ("id", "note", "scopes", "rigs", "created_at", "expires_at", "revoked_at")} for row in found], as_json)


@app.command("new-token")
def new_token(
    scope: Annotated[list[str], typer.Option("--scope", metavar="SCOPE", help="read, run:sim, run:rig, work or admin; may be repeated.")],
    person: Annotated[str | None, typer.Option("--person", metavar="PERSON", help="Whose it is to be: u_…; yours without it.")] = None,
    rig: Annotated[
        list[str] | None, typer.Option("--rig", metavar="NAME", help="It may drive this rig: with work; may be repeated.")
    ] = None,
    note: NoteWords = "",
    hours: Hours = None,
    server: Server = HERE,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and show it, this once."""
    with as_client(server, token) as client:
        made = client.make_token(scope, note, hours and hours * 3600, person, rig or ())
    if as_json:
        show([asdict(made)], as_json)
        return
    show_line(f"The token; it is shown this once: {made.token}")
    say(f"to end it: frugaltwin service revoke {made.id}")


@app.command()
def revoke(
    identity: Annotated[str, typer.Argument(metavar="ID", help="Of a token, t_…, of a join code, j_…, or of a person, u_….")],
    server: Server = HERE,
    token: Token = None,
) -> None:
    """Make a token, a join code or all tokens of a person good for nothing."""
    if identity[:2] not in ("t_", "j_", "u_"):
        raise InvalidInput(f"{identity!r} is no id of a token (t_…), a join code (j_…) or a person (u_…); `frugaltwin service` lists them")
    with as_client(server, token) as client:
        {"t_": client.revoke_token, "j_": client.revoke_code, "u_": client.revoke_tokens}[identity[:2]](identity)
    say(f"{identity} is revoked" if identity[:2] != "u_" else f"all tokens of {identity} are revoked")


def as_client(server: str, token: str | None) -> Client:
    """A client of the service at an address."""
    from frugaltwin.client.client import Client

    return Client(server, token, patience=5.0)


def budget_limits(budget: str | None) -> dict[str, float] | None:
    """The amounts of a budget in words, by kind."""
    return {kind: n for kind, n in amounts("--budget", budget).items() if n is not None} if budget else None


def _number(kind: str, amount: float | None) -> float:
    if amount is None:
        raise InvalidInput(f"{kind}=none is no amount; a limit is taken away with --set")
    return amount


def show(rows: Iterable[Mapping[str, Any]], as_json: bool) -> None:
    """Show rows for a script, or for a person."""
    show_rows([dict(row) if as_json else {name: _cell(name, value) for name, value in row.items()} for row in rows], as_json)


def _cell(name: str, value: object) -> str:
    if name.endswith("_at") or name == "at":
        return datetime.fromtimestamp(value).strftime("%Y-%m-%d %H:%M") if isinstance(value, float) else ""  # the reader's own time
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return _words(value) if name.startswith(tuple(KINDS)) else str(value if value is not None else "")


def _words(amount: object) -> str:
    return f"{amount:.6g}" if isinstance(amount, float) else NO_LIMIT
