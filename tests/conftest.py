"""What several test files need: the command line in a process of its own, with a folder of its own."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests import forked, lifeline
from tests.forms import IS_LONG

if TYPE_CHECKING:
    from api.records.database import Database
    from tests.service_database import PostgresServer

hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)  # machines are shared, and CI is no lottery
hypothesis.settings.load_profile("repeatable")

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests run side by side
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each of the hundreds of processes compiles the project anew
sys.dont_write_bytecode = False

Cli = Callable[..., subprocess.CompletedProcess[str]]

_LIFELINE = pytest.StashKey[lifeline.Lifeline]()


def pytest_configure(config: pytest.Config) -> None:
    """What this run starts ends with it: its main process has a lifeline."""
    if sys.platform == "linux" and not hasattr(config, "workerinput"):
        config.stash[_LIFELINE] = lifeline.Lifeline()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing is left."""
    if (held := config.stash.get(_LIFELINE, None)) is not None:
        held.end()


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores: many tests wait for a process of theirs."""
    return (os.cpu_count() or 1) + 1


ABOUT_A_DATABASE = ("test_clocks", "test_database", "test_events_api", "test_fair_queue", "test_promises", "test_pruning", "test_queue")
"""The files whose tests run on both databases in both forms. In the short form those of the others run on one of the two, in turn."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes longest and cannot be divided comes first, so that no worker is left with it at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/test_checks.py"))
    if not IS_LONG:
        names = {item.nodeid for item in items}
        left_out = [item for item in items if _is_left_out(item, names)]
        config.hook.pytest_deselected(items=left_out)
        out = set(left_out)
        items[:] = [item for item in items if item not in out]


def _is_left_out(item: pytest.Item, names: set[str]) -> bool:
    """Whether the same test, which is one of these names, runs on the other database."""
    database = item.callspec.params.get("fresh_url") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None
    if database is None or item.path.stem in ABOUT_A_DATABASE:
        return False
    other = "sqlite" if database == "postgresql" else "postgresql"
    if item.nodeid.replace(str(database), other) not in names:
        return False
    is_odd = zlib.crc32(item.nodeid.replace(str(database), "").encode()) % 2
    return bool(database == "postgresql") != bool(is_odd)


@pytest.fixture(scope="session", autouse=True)
def _temporary_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    lifeline.remove_when_killed(tmp_path_factory.getbasetemp())
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))  # what a person of this machine has allowed stays theirs


def command(*arguments: object) -> list[str]:
    """The command line as a process, wherever the project is installed: for `forked.Process`, or for `subprocess`."""
    return [sys.executable, "-m", "frugaltwin", *map(str, arguments)]


def events(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The JSON lines that a command printed."""
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Runs `frugaltwin …` in a fresh folder, in a process of its own."""

    def run(*arguments: object, cwd: Path = tmp_path, **options: Any) -> subprocess.CompletedProcess[str]:
        return forked.run(command(*arguments), cwd=cwd, **options)

    return run


@pytest.fixture
def cli_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """The same in this process and much faster, for commands that need no process of their own."""
    from frugaltwin.cli.main import main

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        logger = logging.getLogger("frugaltwin")
        capsys.readouterr()
        with monkeypatch.context() as here, Path(os.devnull).open() as nothing:
            for name in ("propagate", "level", "handlers"):
                here.setattr(logger, name, [] if name == "handlers" else getattr(logger, name))
            here.chdir(tmp_path)
            here.setattr(sys, "argv", ["frugaltwin", *map(str, arguments)])
            here.setattr(sys, "stdin", nothing)
            with pytest.raises(SystemExit) as ended:
                main()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        code = ended.value.code
        return subprocess.CompletedProcess(sys.argv, code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def postgres() -> "Iterator[PostgresServer]":
    """A PostgreSQL server that belongs to these tests alone; each database on it belongs to one test."""
    from tests.service_database import PostgresServer

    if PostgresServer.programs() is None:
        pytest.skip("PostgreSQL is not installed here (Debian: apt-get install postgresql)")
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without rows, to be copied."""
    from api.migrations import upgrade

    path = tmp_path_factory.mktemp("sqlite") / "service.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def fresh_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Makes databases of the service, up to date and without rows: what uses it runs on SQLite and on PostgreSQL."""
    if request.param == "postgresql":
        new: Callable[[], str] = request.getfixturevalue("postgres").new_database
        return new
    file: Path = request.getfixturevalue("sqlite_file")
    return lambda: f"sqlite:///{shutil.copy(file, tmp_path_factory.mktemp('database'))}"


@pytest.fixture
def database_url(fresh_url: Callable[[], str]) -> str:
    """The test's own database, on SQLite and on PostgreSQL."""
    return fresh_url()


@pytest.fixture
def sqlite_url(sqlite_file: Path, tmp_path: Path) -> str:
    """The test's own database, for what shows nothing more on PostgreSQL."""
    return f"sqlite:///{shutil.copy(sqlite_file, tmp_path)}"


@pytest.fixture
def database(database_url: str) -> "Iterator[Database]":
    """The same, open."""
    from api.records.database import Database

    opened = Database(database_url)
    yield opened
    opened.close()
