"""What several test files need: the command line in a process of its own, with a folder of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)  # machines are shared, and CI is no lottery
hypothesis.settings.load_profile("repeatable")

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests run side by side

Cli = Callable[..., subprocess.CompletedProcess[str]]


def command(*arguments: object) -> list[str]:
    """The command line as a process, wherever the project is installed."""
    return [sys.executable, "-m", "frugaltwin", *map(str, arguments)]


def events(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The JSON lines that a command printed."""
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Runs `frugaltwin …` in a fresh folder."""

    def run(*arguments: object, cwd: Path = tmp_path, timeout: float = 120, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments), cwd=cwd, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, check=False, **options
        )

    return run
