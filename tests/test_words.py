"""Words that people type from README and docs are those of the commands; in the long form they run, in order, in a fresh folder."""

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from frugaltwin.catalog import make_driver
from frugaltwin.testing.drivers import allowed
from tests.conftest import command
from tests.forms import IS_LONG

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "twins").glob("*.md")))
ELSEWHERE = ("serve", "worker", "service", "db", "class new", "class task add", "class invite", "rig flash", "rig emulate", "bench readme")
"""Commands that need a service or a board, or that have no end: their own tests run them."""
BOARD = "emulated"
"""What is plugged in here, where a page says ``/dev/ttyACM0``."""


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """The blocks of a page in order: language, text, and the file that was named last before it. A command by itself is of `sh`."""
    text = page.read_text(encoding="utf-8")
    found: list[tuple[str, str, str]] = []
    for match in re.finditer(r"^ *```(\w+)\n(.*?)^ *```|^ {4}(frugaltwin (?:[^\n]*\\\n)*[^\n]*)$", text, re.DOTALL | re.MULTILINE):
        named = re.findall(r"`([\w-]+\.(?:toml|py))`", text[: match.start()])
        found.append((match[1] or "sh", match[2] or match[3], named[-1] if named else ""))
    return found


def lines(block: str) -> list[str]:
    """The lines of a block that begin with our command, with those that go on."""
    text = block.replace("\\\n", " ")
    return [line.strip() for line in re.findall(r"^ *(?:FRUGALTWIN_\w+=\S+ )?(frugaltwin [a-z-].*)$", text, re.MULTILINE)]


def words(line: str) -> list[str]:
    """The words of a line as a shell divides it, without its comment and what it is joined to."""
    parts = shlex.split(line, comments=True)
    ends = [k for k, part in enumerate(parts) if part in ("&&", "||", ";", "|", ">", "&", "2>")]
    return parts[1 : min(ends, default=len(parts))]


def test_every_command_and_flag_of_the_pages_is_one_of_ours() -> None:
    from frugaltwin.cli.main import app

    known: Any = get_command(app)
    wrong: list[str] = []
    for page in PAGES:
        for line in (line for language, text, _ in blocks(page) if language == "sh" for line in lines(text)):
            one, rest = known, words(line)
            while hasattr(one, "commands") and rest and rest[0] in one.commands:
                one, rest = one.commands[rest[0]], rest[1:]
            flags = {flag for parameter in one.params for flag in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
            bad = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in flags]
            if hasattr(one, "commands") and rest and not rest[0].startswith("-") and rest[0] != "…":
                bad.append(rest[0])
            wrong += [f"{page.name}: {line}: {' '.join(bad)}"] * bool(bad)
    assert not wrong


def table(path: Path, driver: str, measured: bool = False) -> None:
    """A table that the reader is said to have: settings of a driver, and what was measured at them."""
    lab = make_driver(driver, {})
    rows: list[dict[str, Any]] = [dict(settings) for settings in allowed(lab, 3)]
    if measured:
        with lab:
            rows = [row | dict(lab.perform(row).outcomes) for row in rows]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def lay(folder: Path) -> None:
    """Write the files that the reader is said to have."""
    (folder / "candidates.csv").write_text("salt,acid,conductivity\n1,2,\n1,3,\n2,2,\n2,3,\n3,1,\n")
    (folder / "records.csv").write_text("temperature,yield\n20,1\n40,3\n60,2\n")
    shutil.copytree(ROOT / "examples", folder / "examples")
    table(folder / "grid.csv", "eutectic")
    plan = 'seeds = 1\nbudget = 3\nstrategies = ["sobol", "random"]\n[problems.branin]\nfunction = "branin"\n'
    (folder / "planners.toml").write_text(plan)
    table(folder / "results.csv", "color-mixing", measured=True)
    pumps = {letter: {"pin": 3 + k, "a": 1.0, "b": 0.1} for k, letter in enumerate("RGBYWD")}
    (folder / "config.json").write_text(json.dumps({"pumps": pumps}))
    if found := find_spec("pycalphad"):
        shipped = Path(str(found.origin)).parent / "tests" / "databases"
        shutil.copy(shipped / "alzn_mey.tdb", folder / "alzn.tdb")
        steel = (shipped / "Cr-Fe-Ni_shallow_bcc.tdb").read_text(encoding="utf-8")
        (folder / "steel.tdb").write_text(f"FUNCTION ZERO 298.15 0; 6000 N !\n{steel}", encoding="utf-8")  # which it uses


def is_run(line: str) -> bool:
    """Whether a line stands for itself, and its command needs nothing from elsewhere."""
    is_elsewhere = any(" ".join(words(line)).startswith(one) for one in ELSEWHERE)
    return not (is_elsewhere or "…" in line or "http" in line or "tcp:" in line)


@pytest.mark.skipif(not IS_LONG, reason="the long form runs every line")
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_every_block_runs_as_it_is_written_in_order(page: Path, tmp_path: Path) -> None:
    lay(tmp_path)
    failed: list[str] = []

    def perform(name: str, *call: str) -> None:
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=1800, check=False)
        if done.returncode:
            failed.append(f"{name}: {done.stderr}")

    for language, text, name in blocks(page):
        if language == "python":
            perform(text, sys.executable, "-c", text)
        elif name and (language == "toml" or "import json" in text):
            (tmp_path / name).write_text(text.replace("seeds = 20", "seeds = 2"), encoding="utf-8")
        for line in lines(text) if language == "sh" else []:
            if is_run(line):
                parts = words(line.replace("/dev/ttyACM0", BOARD))
                if parts[0] == "simulate":
                    table(tmp_path / "in.csv", parts[1])
                perform(line, *command(*parts))
    assert not failed
