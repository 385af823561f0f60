"""Words on the console: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from frugaltwin.errors import InvalidInput


def show_line(text: str) -> None:
    """A line on standard output."""
    sys.stdout.write(text + "\n")


def say(text: str) -> None:
    """A line for people, on standard error."""
    sys.stderr.write(text + "\n")


def show_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    """A table for people, or JSON lines for scripts."""
    if as_json:
        for row in rows:
            show_line(json.dumps(row, ensure_ascii=False))
        return
    if not rows:
        return
    names = list(rows[0])
    widths = {n: max(len(n), *(len(str(row[n])) for row in rows)) for n in names}
    for row in [dict(zip(names, names, strict=True)), *rows]:
        show_line("  ".join(f"{row[n]!s:<{widths[n]}}" for n in names).rstrip())


@contextmanager
def progress(what: str, total: int) -> Iterator[Any]:
    """A bar on a terminal while something takes long; what it gives is called with the steps done and their number."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def check_writable(path: Path) -> None:
    """Before anything runs: an output that cannot be written is refused."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise InvalidInput(f"cannot write {path}: there is no folder {folder}")
    if path.is_dir():
        raise InvalidInput(f"cannot write {path}: it is a folder")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise InvalidInput(f"cannot write {path}: it is not yours to write")
