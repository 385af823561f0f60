"""Lint, format, types and import contracts are tests like all others: one command checks everything."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from grimp import ImportGraph

from tests.import_contracts import SiblingsContract

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


def test_siblings_know_nothing_of_each_other_and_every_folder_has_its_place() -> None:
    def broken(imports: list[tuple[str, str]], *more: str) -> list[str]:
        graph = ImportGraph()
        for module in ("lab", "lab.one", "lab.two", "lab.parts", "lab.parts.lamp", "lab.sums", "lab.sums.light", *more):
            graph.add_module(module)
        for importer, imported in imports:
            graph.add_import(importer=importer, imported=imported)
        contract = SiblingsContract("lab", {"root_packages": ["lab"]}, {"package": "lab", "folders": ["parts", "sums"]})
        found: list[str] = contract.check(graph, verbose=False).metadata["lines"]
        return found

    assert broken([("lab.one", "lab.parts.lamp"), ("lab.two", "lab.sums.light"), ("lab.parts.lamp", "lab.sums.light")]) == []
    assert broken([("lab.one", "lab.two")]) == ["lab.one may not import lab.two"]
    assert broken([("lab.parts.lamp", "lab.two")]) == ["lab.parts.lamp may not import lab.two"]
    assert broken([("lab.sums.light", "lab.parts.lamp")]) == ["lab.sums.light may not import lab.parts.lamp"]
    assert broken([], "lab.new", "lab.new.part") == ["lab: the folder new is not both there and in the contract"]
