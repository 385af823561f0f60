"""The command that lists the drivers, strategies and goals, or shows one of them."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from frugaltwin.cli.console import room, say, show_line, show_rows
from frugaltwin.cli.data_sheet import rendered
from frugaltwin.cli.options import AsJson

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def catalog(name: Annotated[str | None, typer.Argument(help="Print the data sheet of this one.")] = None, as_json: AsJson = False) -> None:
    """List the drivers, strategies and goals, or print the data sheet of one."""
    from frugaltwin import catalog as known

    if name:
        kind = known.kind_of(name)
        sheet = known.data_sheet(kind, name)
        if as_json:
            show_line(json.dumps({"kind": kind, "name": name, "data_sheet": sheet}, ensure_ascii=False))
        else:
            show_line(f"{name} ({kind})\n\n{rendered(sheet, min(room(), 100), has_bold=sys.stdout.isatty())}")
        return
    show_rows([{"kind": kind, "name": n, "about": known.summary(kind, n)} for kind in known.KINDS for n in known.names(kind)], as_json)
    for sentence in known.refused():
        say(sentence)
