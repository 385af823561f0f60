"""What a stranger gets: the wheel, the files beside the code, and documents that say what is true."""

import ast
import itertools
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import frugaltwin
from tests import forked

HOME = Path(__file__).parents[1]
PACKAGES = {"frugaltwin", "simulator", "optimizers", "hardware", "api"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=HOME, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_exactly_our_packages(wheel: Path) -> None:
    names = [n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n]
    assert {n.split("/")[0] for n in names} == PACKAGES
    for needed in (
        "frugaltwin/py.typed",
        "frugaltwin/cie/observer_and_illuminants.csv",
        "frugaltwin/templates/report.html",
        "frugaltwin/__init__.pyi",
        "simulator/published/structures.csv",
        "simulator/published/elements.csv",
        "hardware/firmware/color_mixer/color_mixer.ino",
        "hardware/emulator/board.c",
        "api/migrations/env.py",
        "api/static/swagger-ui-bundle.js",
    ):
        assert needed in names


def test_the_wheel_runs_away_from_its_sources(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from frugaltwin.cli.main import main; main()"
    arguments = ["run", "--strategy", "random", "--budget", "2"]
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "installed", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "color-mixing-1.html").exists()


def test_every_public_name_can_be_imported_and_says_what_it_is() -> None:
    for name in frugaltwin.__all__:
        assert getattr(frugaltwin, name).__doc__, name
    assert set(frugaltwin.__all__) <= set(dir(frugaltwin))
    with pytest.raises(AttributeError):
        frugaltwin.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_every_error_is_drawn_in_the_tree() -> None:
    from frugaltwin import errors

    tree = str(errors.__doc__)
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, Exception):
            assert re.search(rf"\b{name}\b", tree), name


def leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by all of its words."""
    for word, child in command.commands.items():
        yield from leaves(f"{name} {word}", child) if hasattr(child, "commands") else [(f"{name} {word}", child)]


def test_every_command_and_every_flag_has_help_and_stands_in_the_docs() -> None:
    import typer.main

    from frugaltwin.cli.main import app

    text = (HOME / "docs" / "commands.md").read_text()
    text, rig = text.split("## The rig")
    commands = dict(leaves("frugaltwin", typer.main.get_group(app)))
    assert len([name for name in commands if name.startswith("frugaltwin rig ")]) >= 10
    assert len(commands) >= 20
    for name, command in commands.items():
        page = rig if name.startswith("frugaltwin rig ") else text
        assert command.help
        assert f"`{name}" in page, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"
            for flag in (*parameter.opts, *parameter.secondary_opts):
                assert not flag.startswith("--") or re.search(rf"{flag}\b", page), f"{name} {flag}"


def test_every_fault_of_the_emulated_rig_stands_in_the_docs() -> None:
    from hardware.emulator.faults import FAULTS

    page = (HOME / "docs" / "rig.md").read_text()
    for name, (meaning, is_of_a_liquid) in FAULTS.items():
        assert f"| `{name}{':LIQUID' if is_of_a_liquid else ''}` | {meaning} |" in page, name


def said(node: ast.expr) -> list[str]:
    """What a string in our sources can say, "…" where something is filled in."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.IfExp):
        return said(node.body) + said(node.orelse)
    if isinstance(node, ast.FormattedValue):
        return said(node.value)
    if isinstance(node, ast.JoinedStr):
        return ["".join(parts) for parts in itertools.product(*map(said, node.values))]
    return ["…"]


def test_every_message_that_troubleshooting_quotes_can_be_printed() -> None:
    sources = [path for folder in ("hardware", "simulator") for path in (HOME / folder).rglob("*.py")]
    nodes = [node for path in sources for node in ast.walk(ast.parse(path.read_text()))]
    messages = [text for node in nodes if isinstance(node, ast.Constant | ast.JoinedStr) for text in said(node)]
    quoted = re.findall(r'"([^"]+)"', (HOME / "docs" / "rig" / "troubleshooting.md").read_text())
    assert len(quoted) > 15
    for quote in quoted:
        parts = [part.strip() for part in quote.split("…") if part.strip()]
        whole = any(all(part in message for part in parts) for message in messages)
        assert whole or all(len(part) > 10 and any(part in message for message in messages) for part in parts), quote


def test_everything_in_the_catalog_stands_in_the_docs() -> None:
    from frugaltwin.catalog import KINDS

    text = "\n".join(path.read_text() for path in [HOME / "README.md", *(HOME / "docs").glob("*.md")])
    for table in KINDS.values():
        for name in table:
            assert f"`{name}" in text, name


def test_every_twin_has_a_page_with_its_source_a_picture_and_an_example() -> None:
    from frugaltwin.catalog import DRIVERS

    overview = (HOME / "docs" / "twins.md").read_text()
    for name in DRIVERS:
        page = (HOME / "docs" / "twins" / f"{name}.md").read_text()
        assert page.startswith(f"# `{name}`: "), name
        assert f"(twins/{name}.md)" in overview
        for needed in ("```python\n", "Leaves out", "Twin of"):
            assert needed.lower() in page.lower(), f"{name}: {needed}"
        assert f"](../pictures/{name}.svg)" in page or "has nothing to draw" in page, f"{name}: neither a picture nor why there is none"
        assert re.search(r"\((18|19|20)\d\d\)", page) or name == "table", f"{name}: no source with a year"


def scripts() -> dict[str, str]:
    """Every example in our documents and in the folder of examples, by where it stands."""
    pages = [HOME / "README.md", *sorted((HOME / "docs").rglob("*.md"))]
    found = {
        f"{page.relative_to(HOME)} {k}": block
        for page in pages
        for k, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.S), start=1)
    }
    return found | {f"examples/{path.name}": path.read_text() for path in sorted((HOME / "examples").glob("*.py"))}


HERE = "docs/twins/"
"""Where examples stand that start no process: they run in this one, where what they import is at hand already."""


@pytest.mark.parametrize("where", [where for where in scripts() if where.startswith(HERE)])
def test_an_example_of_a_twin_runs_and_prints(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(scripts()[where], where, "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out


@pytest.mark.parametrize("where", [where for where in scripts() if not where.startswith(HERE)])
def test_an_example_runs_and_prints(where: str, tmp_path: Path) -> None:
    done = forked.run([sys.executable, "-W", "error", "-c", scripts()[where]], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_readme_has_two_setup_commands_and_ci_calls_the_second() -> None:
    setup = (HOME / "README.md").read_text().split("## Set up")[1].split("##")[0]
    commands = [line for line in re.findall(r"```(?:sh|bash)\n(.*?)```", setup, re.S) for line in line.strip().splitlines()]
    assert len(commands) == 2
    assert all("-m venv .venv" in line and "-c constraints.txt" in line for line in commands)
    assert commands[0].endswith("frugaltwin run")
    assert commands[1] in (HOME / ".ci" / "run").read_text()


def test_links_between_our_documents_lead_somewhere() -> None:
    for page in [HOME / "README.md", HOME / "CHANGELOG.md", *(HOME / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
