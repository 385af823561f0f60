"""The `frugaltwin` command: its groups of commands, its log, and its errors as one sentence with exit code 2."""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, NoReturn

import typer

from frugaltwin.cli import bench, campaigns, catalog, compare, copies, corrections, doctor, pictures, tables, tasks
from frugaltwin.cli.console import BAD_INPUT, FAILED, INTERRUPTED, say, sentence, show_line, usage
from frugaltwin.errors import FrugalTwinError, InvalidInput

GROUPS = {
    "rig": "hardware.commands.app:app",
    "service": "api.commands.service:app",
    "class": "api.commands.classes:app",
    "db": "api.commands.database:app",
    "experiment": "hardware.commands.experiment:app",
    "": "api.commands.serve:app",
}
"""Commands that another package brings (without a name: single ones). Their modules import nothing heavy at the top."""

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, help=
    "A self-driving lab on a desk, and its faithful simulator. Begin with: frugaltwin run"
)  # fmt: skip


def _show_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        show_line(f"frugaltwin {version('frugaltwin')}")
        raise typer.Exit


@app.callback()
def begin(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Options before the name of a command."""


for part in (campaigns, corrections, copies, compare, pictures, tables, catalog, tasks, doctor):
    app.add_typer(part.app)
app.add_typer(bench.app, name="bench")
for group, entry in GROUPS.items():
    with suppress(ImportError):  # a file of the user's hides the package: `check_packages` says so
        app.add_typer(resolve_name(entry), name=group or None)


def main() -> NoReturn:
    """Run the command line; an error is shown as one sentence, its traceback goes to the log."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # matrices of tens of rows: more threads halve the speed
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console without a Δ shows a question mark
    try:
        _start_log()
        code = app(standalone_mode=False)
        _flush()
        sys.exit(code if isinstance(code, int) else 0)
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except typer.TyperException as error:
        _fail(usage(error.format_message()), BAD_INPUT)
    except FrugalTwinError as error:
        logging.getLogger("frugaltwin").info("refused", exc_info=True)
        from frugaltwin.errors import DriverError, StoreError

        if isinstance(error, StoreError) and error.record:
            _rescue(error.record)
        _fail(sentence(error), FAILED if isinstance(error, DriverError) else BAD_INPUT)
    except BrokenPipeError:
        _mute()  # the reader has gone: nothing to say, and nowhere
        sys.exit(FAILED)
    except OSError as error:
        logging.getLogger("frugaltwin").info("the system refused", exc_info=True)
        _mute()
        _fail(f"cannot write {error.filename or 'the output'}: {error.strerror}", BAD_INPUT)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _mute() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _rescue(record: str) -> None:
    """Write a trial that could not be stored into a file, or else on standard error."""
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        path = folder / f"trial-{os.getpid()}.json"
        try:
            path.write_text(record + "\n", encoding="utf-8")
        except OSError:
            path.unlink(missing_ok=True)
            continue
        say(f"frugaltwin: the trial that could not be stored is in {path}")
        return
    say(record)


class _Notices(logging.Handler):
    """Shows what a person at the rig should read at once."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def _start_log() -> None:
    """Write the log into the file that the environment variable FRUGALTWIN_LOG names; without it drop our messages."""
    logger = logging.getLogger("frugaltwin")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logging.getLogger("frugaltwin.notices").handlers = [_Notices(logging.WARNING)]
    path = os.environ.get("FRUGALTWIN_LOG")
    if not path:
        logger.addHandler(logging.NullHandler())
        return
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"cannot write the log {path}: {error.strerror}") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger.addHandler(handler)


def _flush() -> None:
    sys.stdout.flush()


def _fail(sentence: str, code: int) -> NoReturn:
    say(f"frugaltwin: {sentence}")
    sys.exit(code)
