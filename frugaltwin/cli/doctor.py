"""The command that checks this machine."""

from __future__ import annotations

import typer

from frugaltwin.cli.console import FAILED, show_rows
from frugaltwin.cli.options import STORE, AsJson, StorePath

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def doctor(store: StorePath = None, as_json: AsJson = False) -> int:
    """Check this machine: versions, the store, optional parts, plug-ins, files that hide our packages."""
    from dataclasses import asdict

    from frugaltwin.cli.machine_checks import findings

    found = findings(store or STORE)
    show_rows([asdict(f) for f in found], as_json)
    return FAILED if any(f.status == "problem" for f in found) else 0
