"""The commands ``frugaltwin serve`` and ``worker``, and ``frugaltwin service`` for the instructor's hand on the rigs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from frugaltwin.console import say, show_line, show_rows
from frugaltwin.errors import InvalidInput

if TYPE_CHECKING:
    from api.worker import RigWords
    from frugaltwin.client import Client

RIGS = ("color-1=color-mixing", "light-1=light-mixing")
VARIABLE = "FRUGALTWIN_TOKEN"
USES = 1000  # of a join code

app = typer.Typer(add_completion=False, rich_markup_mode=None)
service = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="The rigs of a service, from afar.")

Server = Annotated[str, typer.Option("--server", metavar="URL", help="Where the service is.")]
Token = Annotated[
    str | None, typer.Option("--token", metavar="TOKEN", help=f"Yours; better in the environment, as {VARIABLE}: others see flags.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines on standard output, and nothing else.")]
RigName = Annotated[str, typer.Argument(metavar="NAME", help="Of the rig.")]
HERE = "http://127.0.0.1:8000"


@app.command()
def serve(
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="0.0.0.0 for a classroom; only this machine by default.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0: any free one.")] = 8000,
    database: Annotated[
        str, typer.Option("--database", metavar="URL", help="sqlite:///FILE, or postgresql+psycopg://USER@HOST/NAME.")
    ] = "sqlite:///frugaltwin-service.db",
    rig: Annotated[
        list[str] | None, typer.Option("--rig", metavar="NAME=DRIVER,…", help="A twin, with its driver's options; may be repeated.")
    ] = None,
    real: Annotated[
        list[str] | None, typer.Option("--real", metavar="NAME=DRIVER,…", help="A real rig: students need an approval; may be repeated.")
    ] = None,
    no_rigs: Annotated[bool, typer.Option("--no-rigs", help="No rig here; workers bring them.")] = False,
    reports: Annotated[Path, typer.Option("--reports", metavar="FOLDER", help="For what was measured and could not be stored yet.")] = Path(
        "frugaltwin-reports"
    ),
    new_token: Annotated[bool, typer.Option("--new-token", help="Make one more instructor's token and show it.")] = False,
    new_code: Annotated[bool, typer.Option("--new-code", help="Make one more join code and show it.")] = False,
    as_json: AsJson = False,
) -> int:
    """Serve rigs and twins to a class, until Ctrl-C. The first start shows the instructor's token and a join code, once."""
    from api.worker import RigWords
    from frugaltwin.catalog import check_packages

    check_packages()
    if no_rigs and (rig or real):
        raise InvalidInput("--no-rigs with --rig or --real: leave one out")
    twins = rig if rig or real or no_rigs else list(RIGS)
    rigs = [*(RigWords.parse(w) for w in twins or []), *(RigWords.parse(w, is_real=True) for w in real or [])]
    if len({words.name for words in rigs}) != len(rigs):
        raise InvalidInput("two rigs have the same name; give each its own")
    from api.server import run

    return run(host, port, database, rigs, reports, new_token=new_token, new_code=new_code, as_json=as_json)


@app.command()
def worker(
    rig: Annotated[str, typer.Option("--rig", metavar="NAME=DRIVER,…", help="The rig that is plugged in here, with its driver's options.")],
    server: Server = HERE,
    token: Token = None,
    real: Annotated[bool, typer.Option("--real", help="It is a real rig; one at a port is in any case.")] = False,
    reports: Annotated[
        Path, typer.Option("--reports", metavar="FOLDER", help="For what was measured and could not be handed in yet.")
    ] = Path("frugaltwin-reports"),
) -> int:
    """Drive a rig on this machine for a service on another one, until Ctrl-C."""
    from api.remote_desk import work
    from api.worker import RigWords
    from frugaltwin.catalog import check_packages

    check_packages()
    return work(RigWords.parse(rig, real), server, _token(token), reports)


@service.command("rigs")
def list_rigs(server: Server = HERE, token: Token = None, as_json: AsJson = False) -> None:
    """List the rigs, their state and their queue."""
    names = ("name", "driver", "is_real", "state", "queued", "eta_s")
    with _client(server, token) as client:
        show_rows([{n: getattr(rig, n) for n in names} for rig in client.rigs()], as_json)


@service.command()
def stop(name: RigName, server: Server = HERE, token: Token = None) -> None:
    """Stop a rig now: what runs is aborted, what waits goes on waiting until `open`."""
    with _client(server, token) as client:
        client.steer(name, "stop")
    say(f"{name} is stopped; look at it, then: frugaltwin service open {name}")


@service.command()
def pause(name: RigName, server: Server = HERE, token: Token = None) -> None:
    """Begin nothing more on a rig; what runs is finished."""
    with _client(server, token) as client:
        client.steer(name, "pause")
    say(f"{name} is paused; go on with: frugaltwin service open {name}")


@service.command("open")
def open_rig(name: RigName, server: Server = HERE, token: Token = None) -> None:
    """Let a rig go on that was paused or stopped."""
    with _client(server, token) as client:
        client.steer(name, "open")
    say(f"{name} is open")


@service.command()
def approve(
    name: RigName,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="The id of a person: u_….")],
    server: Server = HERE,
    token: Token = None,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the approval back.")] = False,
) -> None:
    """Let a student use a real rig."""
    with _client(server, token) as client:
        client.approve(name, person, not withdraw)
    say(f"{person} may {'no longer ' if withdraw else ''}use {name}")


def _client(server: str, token: str | None) -> Client:
    from frugaltwin.client import Client

    return Client(server, token, patience=5.0)


def _token(token: str | None) -> str:
    from frugaltwin.token_file import checked_token, kept_token

    found = checked_token(token, "--token") if token else kept_token()
    if not found:
        raise InvalidInput(f"whose request is it? set the environment variable {VARIABLE}, or give --token")
    return found


def announce(address: str, rigs: list[RigWords], token: str | None, code: str | None, as_json: bool) -> None:
    """Say where the service is and, this once, how to get in."""
    if as_json:
        shown = {"event": "serving", "address": address, "rigs": [r.name for r in rigs], "token": token, "join_code": code}
        show_line(json.dumps(shown))
        sys.stdout.flush()
        return
    show_line(f"Frugal Twin serves {', '.join(r.name for r in rigs) or 'the rigs that workers bring'} at {address}; Ctrl-C ends it.")
    if token:
        show_line(f"Your token, instructor; it is shown this once: {token}")
    if code:
        show_line(f"The join code for your class; it is shown this once: {code}")
    if not address.startswith(("http://127.", "http://[::1]", "http://localhost")):
        say("tokens travel in the clear here: let nobody but your class on this network, or put TLS before it (docs/classroom.md)")
    color = next((r.name for r in rigs if r.driver == "color-mixing" and not r.is_real), None)
    if color and token:
        order = json.dumps({"rig": color, "settings": {"red": 0.2, "yellow": 0.3, "blue": 0.1, "water": 3.4}})
        show_line("A first experiment, from another terminal:")
        show_line(f"  TOKEN={token}")
        show_line(f"  URL={address}/v1/experiments")
        show_line(
            f"""  curl -s $URL -H "Authorization: Bearer $TOKEN" -H "Prefer: wait=20" -H "Content-Type: application/json" -d '{order}'"""
        )
    sys.stdout.flush()
