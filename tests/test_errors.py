"""Errors reach users of Python, of the service and of the command line: a message fits them all, and its field says what it is about."""

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from frugaltwin.cli.console import sentence
from frugaltwin.errors import DriverError, InvalidInput, OutOfBounds, StoreError

HOME = Path(__file__).parents[1]
OF_THE_COMMAND_LINE = ("frugaltwin/cli/", "hardware/commands/", "hardware/firmware/", "api/commands/")


def raised(path: Path) -> Iterator[str]:
    """The texts of the errors that a file raises, and of the sentences that it makes for them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        texts = node.exc if isinstance(node, ast.Raise) else node.value if isinstance(node, ast.Assign) else None
        for part in ast.walk(texts) if texts else ():
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value


def test_errors_below_the_command_line_name_none_of_its_options() -> None:
    files = [f for package in ("frugaltwin", "simulator", "optimizers", "hardware", "api") for f in (HOME / package).rglob("*.py")]
    names = {f: f.relative_to(HOME).as_posix() for f in files}
    found = [
        f"{names[f]}: {text}"
        for f in files
        if not names[f].startswith(OF_THE_COMMAND_LINE)
        for text in raised(f)
        if re.search(r"[ (`]--[a-z]", text) and "`frugaltwin " not in text
    ]
    assert not found


def test_the_command_line_adds_its_option_to_the_message() -> None:
    assert sentence(StoreError("it is a folder; name a file", field="store")) == "it is a folder; name a file (--store)"
    assert sentence(InvalidInput("the driver table needs the option path", field="option")).endswith("path (--option KEY=VALUE)")
    assert sentence(OutOfBounds("red = 2 mL is outside [0, 1] mL", "red")) == "red = 2 mL is outside [0, 1] mL"


@pytest.mark.parametrize("error", [StoreError("full", field="store"), OutOfBounds("red = 2", "red"), DriverError("no reply")])
def test_an_error_from_another_process_keeps_its_field(error: StoreError | OutOfBounds | DriverError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
