"""Words that people type from README and docs are those of the commands; in the long form they run, in order, in a fresh folder."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.conftest import command
from tests.forms import IS_LONG

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BESIDE = {
    "in.csv": "time,flour\n",
    "candidates.csv": "salt,acid,conductivity\n1,2,\n1,3,\n2,2,\n2,3,\n3,1,\n",
    "records.csv": "temperature,yield\n20,1\n40,3\n60,2\n",
}
"""Files that the reader is said to have."""
ELSEWHERE = ("serve", "worker", "service", "db", "rig", "doctor", "bench")
"""Commands that need a service, hardware or a plan: their own tests run them."""


def lines(page: Path) -> list[str]:
    """The lines that begin with our command, with those that go on."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.strip() for line in re.findall(r"^(?:    |\t)?(?:FRUGALTWIN_\w+=\S+ )?(frugaltwin [a-z-].*)$", text, re.MULTILINE)]


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
        for line in lines(page):
            one, rest = known, words(line)
            while hasattr(one, "commands") and rest and rest[0] in one.commands:
                one, rest = one.commands[rest[0]], rest[1:]
            flags = {flag for parameter in one.params for flag in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
            bad = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in flags]
            if hasattr(one, "commands") and rest and not rest[0].startswith("-") and rest[0] != "…":
                bad.append(rest[0])
            wrong += [f"{page.name}: {line}: {' '.join(bad)}"] * bool(bad)
    assert not wrong


@pytest.mark.skipif(not IS_LONG, reason="the long form runs every line")
@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "commands.md"], ids=lambda page: page.name)
def test_every_line_runs_as_it_is_written_in_order(page: Path, tmp_path: Path) -> None:
    for name, text in BESIDE.items():
        (tmp_path / name).write_text(text)
    failed: list[str] = []
    for line in lines(page):
        parts = words(line)
        if "…" in line or parts[0] in ELSEWHERE or "/dev/" in line or "http" in line or "emulated" in line:
            continue
        done = subprocess.run(command(*parts), cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False)
        if done.returncode:
            failed.append(f"{line}: {done.stderr}")
    assert not failed
