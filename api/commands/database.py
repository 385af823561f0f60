"""The commands of ``frugaltwin db``: a service's database brought up to date, copied, checked."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from frugaltwin.cli.console import say, show_rows

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="The service's database: bring up to date, copy, check."
)

Url = Annotated[str, typer.Option("--database", metavar="URL", help="sqlite:///FILE, or postgresql+psycopg://USER@HOST/NAME.")]
HERE = "sqlite:///frugaltwin-service.db"


@app.command()
def upgrade(database: Url = HERE) -> None:
    """Bring it up to date, or make its tables. `frugaltwin serve` does the same when it starts."""
    from api import migrations

    before, after = migrations.upgrade(database)
    say(f"it was up to date (revision {after})" if before == after else f"from {before or 'nothing'} to revision {after}")


@app.command()
def backup(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A new file for the copy.")],
    database: Url = HERE,
) -> None:
    """Copy it into a file, while the service runs. A PostgreSQL database is copied by pg_dump, and restored by pg_restore."""
    from api import maintenance

    maintenance.backup(database, out)
    say(f"copied to {out}")


@app.command()
def check(
    database: Url = HERE, as_json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output, and nothing else.")] = False
) -> int:
    """Check that it is whole, that budgets agree with the ledger, and that no event is missing."""
    from api import maintenance

    found = maintenance.findings(database)
    show_rows([asdict(f) for f in found], as_json)
    return 1 if any(f.status == "problem" for f in found) else 0
