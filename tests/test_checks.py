"""Lint, format, types and import contracts are tests like all others: one command checks everything."""

import ast
import re
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


@pytest.mark.parametrize("package", ["frugaltwin", "simulator", "optimizers", "hardware", "api"])
def test_a_docstring_opens_with_a_noun_or_a_verb(package: str) -> None:
    questions = re.compile(r"(What|Who|Whoever|Whatever|Where|Why|How)\b")
    found = [
        f"{path.relative_to(HOME)}: {text.splitlines()[0]}"
        for path in sorted((HOME / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and (text := ast.get_docstring(node))
        and questions.match(text)
    ]
    assert found == []
