"""Lint, format, types and import contracts are tests like all others: one command checks everything."""

import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1]
TOOLS = Path(sys.executable).parent


@pytest.mark.parametrize(
    "check",
    [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"], ["lint-imports"]],
    ids=["lint", "format", "types", "import-contracts"],
)
def test_the_code_passes(check: list[str]) -> None:
    done = subprocess.run([TOOLS / check[0], *check[1:]], cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
