"""Examples in docstrings are true."""

import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("frugaltwin", "simulator", "optimizers", "hardware", "api")
EXAMPLES = [
    file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py")) if re.search(r"(?m)^ *>>> ", file.read_text("utf-8"))
]
"""The files that have any. Pytest's own way imports every file of every package, torch included, in each of its workers."""


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_examples_are_true(file: Path) -> None:
    module = import_module(".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    failed, tried = doctest.testmod(module)
    assert tried > 0
    assert failed == 0  # what was printed says which
