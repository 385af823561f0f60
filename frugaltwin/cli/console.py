"""Text on the console: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from frugaltwin.cli.data_sheet import fitted
from frugaltwin.errors import FrugalTwinError, InvalidInput, in_words

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130
"""Exit codes."""

ARGUMENTS = ("number", "better", "worse")
"""Fields that a command takes by their place, not as options: the message names them by itself."""

OPTIONS = {"option": "--option KEY=VALUE", "earlier": "--from CAMPAIGN=RELATION"}
"""The options of fields that have another name on the command line."""


REPORT = " · Frugal Twin</title>"
"""The end of the title of every report."""


def check_free(path: Path, mark: str, force: bool = False, flag: str = "--out") -> None:
    """Refuse to write over a file that is there already and is none of ours.

    Args:
        mark: A text that files have which this command wrote: these are brought up to date.
        flag: The option that names another file.

    Raises:
        InvalidInput: There is one, and nobody said that it may go.
    """
    if path.is_file() and not force and mark.encode() not in path.read_bytes():
        way = ", or write over it by --force" if flag == "--out" else ""
        raise InvalidInput(f"{path} is there already, and is not what this command writes; name another file by {flag}{way}")


def show_line(text: str) -> None:
    """A line on standard output."""
    sys.stdout.write(text + "\n")


def say(text: str) -> None:
    """A line for people, on standard error."""
    sys.stderr.write(text + "\n")


def sentence(error: FrugalTwinError) -> str:
    """The message of an error, with the option that it is about.

    >>> sentence(FrugalTwinError("name a goal, for example minimize:cost", field="goal"))
    'name a goal, for example minimize:cost (--goal)'
    >>> sentence(FrugalTwinError("there is no trial 9: they go from 1 to 3", field="number"))
    'there is no trial 9: they go from 1 to 3'
    """
    if error.field in ARGUMENTS:
        return str(error)
    option = OPTIONS.get(error.field, f"--{error.field}")
    return f"{error} ({option})" if error.field else str(error)


def usage(message: str) -> str:
    """A message about the words of a command line, in our words.

    >>> usage("Invalid value for '--seed': Input should be a valid integer, unable to parse string as an integer")
    '--seed: it takes a whole number'
    >>> usage("Missing option '--why'.")
    '--why is missing'
    >>> usage("No such command 'shwo'. Did you mean 'show'?")
    "there is no command 'shwo'; did you mean 'show'?"
    >>> usage("No such option: --colour")
    'there is no option --colour; --help lists them'
    """
    if found := re.fullmatch(r"Invalid value for '?(.+?)'?: (.*)", message, re.DOTALL):
        return f"{found[1]}: {in_words(found[2].rstrip('.'))}"
    if found := re.fullmatch(r"Missing (?:option|argument|parameter) '?(.+?)'?\.", message):
        return f"{found[1]} is missing"
    if found := re.fullmatch(r"No such (command|option):? (\S+?)\.?(?: \(?Did you mean (.+?)\)?)?", message):
        return f"there is no {found[1]} {found[2]}; {f'did you mean {found[3]}' if found[3] else '--help lists them'}"
    return message


def is_asked(as_json: bool) -> bool:
    """Whether somebody at a terminal can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not as_json


def room() -> int:
    """Columns of the terminal; 100 where the output is none."""
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100


def show_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    """A table for people, or JSON lines for scripts."""
    if as_json:
        for row in rows:
            show_line(json.dumps(row, ensure_ascii=False))
        return
    if not rows:
        return
    names = list(rows[0])
    header, _, *lines = fitted([names, *([str(row[n]) for n in names] for row in rows)], room() if sys.stdout.isatty() else 10**6)
    for line in (header, *lines):
        show_line(line)


@contextmanager
def thinking() -> Iterator[None]:
    """Show on a terminal that a strategy is thinking."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("thinking …") if console.is_terminal else nullcontext():
        yield


@contextmanager
def progress(what: str, total: int) -> Iterator[Any]:
    """Show a progress bar on a terminal; the function that it yields takes the number of steps done and their total."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done, total: progress.update(task, completed=done, total=total)
