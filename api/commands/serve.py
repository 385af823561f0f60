"""The commands ``frugaltwin serve`` and ``worker``."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.settings import KEEP_DAYS, NICE, THINKERS, TRIALS, USES, CodeTerms, Settings
from frugaltwin.amounts import PURSE, purse_of
from frugaltwin.cli.console import say, show_line
from frugaltwin.errors import InvalidInput

if TYPE_CHECKING:
    from api.workers.worker import RigWords

RIGS = ("color-1=color-mixing", "light-1=light-mixing")
VARIABLE = "FRUGALTWIN_TOKEN"

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Server = Annotated[str, typer.Option("--server", metavar="URL", envvar="FRUGALTWIN_SERVER", help="Where the service is.")]
Token = Annotated[
    str | None, typer.Option("--token", metavar="TOKEN", help=f"Yours; better in the environment, as {VARIABLE}: others see flags.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines on standard output, and nothing else.")]
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
    code_uses: Annotated[
        int, typer.Option("--code-uses", metavar="N", min=1, max=10_000, help="People who may join with the code that is shown.")
    ] = USES,
    code_budget: Annotated[
        str | None,
        typer.Option(
            "--code-budget",
            metavar="N|KEY=N,…",
            help="What each of them may spend: runs, or any of runs=200,rig_runs=5,seconds=7200,money=5,volume=500.",
        ),
    ] = None,
    thinkers: Annotated[
        int, typer.Option("--thinkers", metavar="N", min=1, max=64, help="Processes at most that choose what campaigns try next.")
    ] = THINKERS,
    most_trials: Annotated[
        int,
        typer.Option("--most-trials", metavar="N", min=1, max=1_000_000, help="Trials of a campaign beyond which it is not thought about."),
    ] = TRIALS,
    keep_days: Annotated[
        int, typer.Option("--keep-days", metavar="N", min=1, max=36_500, help="Days that events and idempotency keys are kept.")
    ] = KEEP_DAYS,
    show_names: Annotated[bool, typer.Option("--show-names", help="Observers are told the names of people; ids alone without it.")] = False,
    as_json: AsJson = False,
) -> int:
    """Serve rigs and twins to a class, until Ctrl-C. The first start shows the instructor's token and a join code, once."""
    from api.workers.worker import RigWords
    from frugaltwin.catalog import check_packages

    check_packages()
    if no_rigs and (rig or real):
        raise InvalidInput("--no-rigs with --rig or --real: leave one out")
    twins = rig if rig or real or no_rigs else list(RIGS)
    rigs = [*(RigWords.parse(w) for w in twins or []), *(RigWords.parse(w, is_real=True) for w in real or [])]
    if len({words.name for words in rigs}) != len(rigs):
        raise InvalidInput("two rigs have the same name; give each its own")
    terms = CodeTerms(code_uses, _limits("--code-budget", code_budget) if code_budget else {})
    from api.server import run

    def say_so(address: str, token: str | None, code: str | None) -> None:
        announce(address, rigs, token, code, terms, as_json)

    settings = Settings(database, thinkers=thinkers, nice=NICE, keep_days=keep_days, most_trials=most_trials, shows_names=show_names)
    return run(host, port, settings, rigs, reports, terms, new_token=new_token, new_code=new_code, announce=say_so)


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
    from api.workers.remote_desk import work
    from api.workers.worker import RigWords
    from frugaltwin.catalog import check_packages

    check_packages()
    return work(RigWords.parse(rig, real), server, own_token(token), reports)


@app.command()
def mcp(
    server: Annotated[
        str | None, typer.Option("--server", metavar="URL", envvar="FRUGALTWIN_SERVER", help="The service whose tools these are.")
    ] = None,
    driver: Annotated[
        str | None, typer.Option("--driver", metavar="DRIVER,OPTION=VALUE,…", help="A twin of your own in place of a service.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="N|KEY=N,…", help="What may be spent on that twin; no limit without it.")
    ] = None,
    token: Token = None,
) -> None:
    """Be the tools of an agent, over standard input and output: a host of the Model Context Protocol starts this command."""
    import asyncio
    from importlib.util import find_spec

    from api.workers.worker import RigWords
    from frugaltwin.catalog import check_packages
    from frugaltwin.errors import MissingPart

    check_packages()
    if find_spec("mcp") is None:
        raise MissingPart("the tools of agents need the extra mcp; install it with: pip install 'frugaltwin[mcp]'")
    if (driver is None) == (server is None):
        raise InvalidInput("--driver or --server: whose tools shall these be? Give one of the two")
    from api.tools import local

    if driver is None:
        if budget:
            raise InvalidInput("--budget is of a twin of your own; at a service your instructor says what you may spend")
        asyncio.run(local.relay(str(server).rstrip("/"), own_token(token)))
        return
    from api.app import create_app

    rig = RigWords.parse(f"{driver.partition(',')[0]}={driver}")
    limits = _limits("--budget", budget) if budget else {}
    asyncio.run(local.alone(lambda url: create_app(Settings(url)), rig, limits))


def own_token(token: str | None) -> str:
    """The token of a flag, of the environment, or of the file.

    Raises:
        InvalidInput: There is none.
    """
    from frugaltwin.client.token_file import checked_token, kept_token

    found = checked_token(token, "--token") if token else kept_token()
    if not found:
        raise InvalidInput(f"whose request is it? set the environment variable {VARIABLE}, or give --token")
    return found


def amounts(flag: str, text: str) -> dict[str, float | None]:
    """A budget of the command line: ``runs=50,volume=none``, or a number of runs; None is no limit.

    Raises:
        InvalidInput: It is none.
    """
    from frugaltwin.tables import pairs

    names = [kind.name for kind in PURSE]
    found = {k: None if v in ("none", None) else v for k, v in pairs(flag, text if "=" in text else f"runs={text}").items()}
    for kind, amount in found.items():
        if kind not in names or not (amount is None or (isinstance(amount, float) and math.isfinite(amount))):
            raise InvalidInput(f"{flag} {kind}={amount}: it takes {', '.join(names)}, each a number, or none for no limit")
    return found


def _limits(flag: str, text: str) -> dict[str, float | None]:
    found = amounts(flag, text)
    if below := [f"{kind}={amount:g}" for kind, amount in found.items() if amount is not None and amount < 0]:
        raise InvalidInput(f"{flag} {', '.join(below)}: nobody can spend less than nothing; give numbers from 0 up")
    return found


def _lets_in(rigs: list[RigWords], terms: CodeTerms) -> list[tuple[str, str]]:
    """The number of experiments of each rig that a budget lets in, which runs out by its dearest kind."""
    from api.commands.allowance import Reservations, in_words
    from api.records.rigs import Offer

    offers = [(rig, Offer.of_driver(rig.driver, rig.options)) for rig in rigs]
    return [(rig.name, in_words(purse_of(terms.limits, rig.is_real), Reservations.of(one.experiment, one.price))) for rig, one in offers]


def announce(address: str, rigs: list[RigWords], token: str | None, code: str | None, terms: CodeTerms, as_json: bool) -> None:
    """Say where the service is and, this once, how to get in."""
    if as_json:
        shown: dict[str, Any] = {"event": "serving", "address": address, "rigs": [r.name for r in rigs], "token": token, "join_code": code}
        shown |= {"code_uses": terms.uses, "code_budget": dict(terms.limits)} if code else {}
        show_line(json.dumps(shown))
        sys.stdout.flush()
        return
    show_line(f"Frugal Twin serves {', '.join(r.name for r in rigs) or 'the rigs that workers bring'} at {address}; Ctrl-C ends it.")
    if token:
        show_line(f"Your token, instructor; it is shown this once: {token}")
    if code:
        show_line(f"The join code for your class; it is shown this once: {code}")
        show_line(terms.text)
        if any(limit is not None for kind, limit in terms.limits.items() if not kind.endswith("runs")):
            for name, lets_in in _lets_in(rigs, terms):
                show_line(f"  on {name}: {lets_in}")
    elif terms != CodeTerms():
        say("--code-uses and --code-budget are of a new code, and none was made; --new-code makes one")
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
