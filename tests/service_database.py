"""What the service's tests run on: SQLite in a file, a private PostgreSQL server, and a server process that may be killed."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psycopg
from sqlalchemy import Connection

from api.migrations import upgrade
from api.records import fair_queue, people, rigs, tokens
from api.records.database import Database
from api.records.fair_queue import Order
from api.records.rows import ExperimentRow
from frugaltwin.amounts import Amounts
from frugaltwin.experiment import Measurement
from tests import forked, lifeline

COST = Amounts(seconds=10.0, money=0.01, volume=4.0)
SETTINGS = {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}
Reply = tuple[int, dict[str, Any]]


def until(is_so: Callable[[], bool], seconds: float = 600.0) -> None:
    """Return as soon as something is so; fail when it is not in time."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.01)


class PostgresServer:
    """A PostgreSQL server of our own: in a temporary folder, on a socket in it, with nothing on the network."""

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        """A running server.

        Args:
            options: Of PostgreSQL, in place of those for tests, which need no disk to be sure.
        """
        quiet = {"listen_addresses": "", "fsync": "off", "autovacuum": "off"}
        self._options = {**quiet, "max_connections": "60", "shared_buffers": "16MB", **(options or {})}
        self._bin = self.programs()
        assert self._bin is not None
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir=lifeline.folder()))
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:  # which PostgreSQL refuses to run as
            somebody = pwd.getpwnam("postgres" if any(p.pw_name == "postgres" for p in pwd.getpwall()) else "nobody")
            self._as = {"user": somebody.pw_uid, "group": somebody.pw_gid, "extra_groups": []}
            os.chown(self.folder, somebody.pw_uid, somebody.pw_gid)
        self._n = 0
        self._process: subprocess.Popen[bytes] | None = None
        kind = ("-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--wal-segsize=1")
        self._run("initdb", "-D", self.folder / "db", "--no-sync", *kind)
        self.start()
        self.execute("create database up_to_date")
        upgrade(self.url("up_to_date"))

    @staticmethod
    def programs() -> Path | None:
        """The folder of PostgreSQL's programs."""
        beside = [Path(found).resolve().parent for name in ("initdb", "postgres") if (found := shutil.which(name))]
        folders = [*beside, *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
        return next((folder for folder in reversed(folders) if (folder / "postgres").exists()), None)

    def start(self) -> None:
        """Start it and wait until it answers."""
        words = [word for key, value in self._options.items() for word in ("-c", f"{key}={value}")]
        assert self._bin is not None
        with (self.folder / "log").open("ab") as log:
            command = [str(self._bin / "postgres"), "-D", str(self.folder / "db"), "-k", str(self.folder), *words]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self._as)
        until(self._answers)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends what is under way, SIGQUIT is as good as a crash."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(240)

    def remove(self) -> None:
        """Stop it and take its folder away."""
        with contextlib.suppress(Exception):
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, name: str, folder: Path | None = None) -> str:
        """Of one of its databases."""
        return f"postgresql+psycopg://postgres@/{name}?host={folder or self.folder}"

    def new_database(self, *, is_empty: bool = False) -> str:
        """The URL of a fresh database, up to date or without tables."""
        self._n += 1
        self.execute(f"create database d{self._n}" + ("" if is_empty else " template up_to_date"))
        return self.url(f"d{self._n}")

    def limit_files(self, size: int | None) -> None:
        """No file of it can grow beyond this many bytes (of its log of changes, each has 1 MiB), as if the disk were full; or all may."""
        assert self._process is not None
        pid = self._process.pid
        for one in (pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())):
            words = ["prlimit", "--pid", str(one), f"--fsize={size or 'unlimited'}:unlimited"]
            # As its own user, for root may not do it everywhere; and some of its processes come and go.
            subprocess.run(words, capture_output=True, timeout=30, check=one == pid, cwd="/", **self._as)

    def execute(self, words: str) -> None:
        with psycopg.connect(f"host={self.folder} user=postgres dbname=postgres", autocommit=True) as connection:
            connection.execute(words.encode())

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            self.execute("select 1")
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *words: object) -> None:
        assert self._bin is not None
        done = subprocess.run(
            [self._bin / program, *map(str, words)], capture_output=True, text=True, timeout=600, cwd="/", check=False, **self._as
        )
        assert done.returncode == 0, done.stderr


class ServiceProcess:
    """The service as a process of its own, on a free port of 127.0.0.1; it may be killed and started again."""

    def __init__(self, url: str, folder: Path) -> None:
        self.address, self.pid = "", 0
        self._url, self._log = url, folder / "service.log"

    def __enter__(self) -> "ServiceProcess":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it and wait until it listens."""
        with self._log.open("ab") as log:
            words = [sys.executable, "-c", _SERVE, self._url]
            self._process = forked.Process(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        assert self._process.stdout is not None
        port = self._process.stdout.readline()
        assert port, self._log.read_text()
        self.pid, self.address = self._process.pid, f"http://127.0.0.1:{port.strip()}"

    def kill(self) -> None:
        """As if the power went."""
        self._process.kill()
        self._process.communicate(timeout=120)
        assert self._process.returncode == -signal.SIGKILL


_SERVE = """
import sys, uvicorn
from api.app import create_app
from api.settings import Settings

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)

app = create_app(Settings(sys.argv[1], requests_per_second=1e6, burst=1e6))
Server(uvicorn.Config(app, "127.0.0.1", 0, log_level="warning", access_log=False)).run()
"""


def new_rig(database: Database, name: str = "color-1", *, is_real: bool = False) -> str:
    """A rig of a database."""
    database.write_now(lambda c, now: rigs.register(c, now, name, "color-mixing", {}, is_real))
    return name


def new_person(database: Database, name: str = "Ada", **limits: float) -> str:
    """A student with a budget; what is not named is without limit."""
    return database.write_now(lambda c, now: people.add_person(c, now, name, "student", limits))


def new_token(database: Database, whose: str) -> str:
    """Words that let this person in."""
    scopes = people.OF_ROLE["student"].split()
    return database.write_now(lambda c, now: tokens.add_token(c, now, whose, scopes))[1]


def order(person: str, rig: str = "color-1", cost: Amounts = COST) -> Order:
    """Something to perform."""
    return Order(person, rig, SETTINGS, cost)


def submit(database: Database, person: str, rig: str = "color-1", cost: Amounts = COST) -> str:
    """Submit it; its id."""
    return str(database.write_now(lambda c, now: fair_queue.submit(c, now, order(person, rig, cost))).id)


@contextlib.contextmanager
def client(address: str, token: str) -> Iterator[httpx.Client]:
    """Somebody's requests."""
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=120, trust_env=False) as found:
        yield found


def report_one(
    connection: Connection, now: float, identity: str, lease: str, measurement: Measurement | None, error: str | None, cost: Amounts,
    provenance: Mapping[str, Any], *, was_stopped: bool = False,
) -> ExperimentRow:  # fmt: skip
    """A worker reports one experiment; its row, or the error with which the report is refused."""
    (row,) = fair_queue.finish(connection, now, [fair_queue.Ended(identity, lease, measurement, error, cost, provenance, was_stopped)])
    if isinstance(row, Exception):
        raise row
    return row
