"""One process of the service: the application, a worker for each of its rigs, and their beginning and end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Literal

import uvicorn
from filelock import FileLock, Timeout
from sqlalchemy import Connection

from api import log_redaction, migrations
from api.app import create_app
from api.connection_admission import AdmittingServer
from api.records import fair_queue, join_codes, people, rigs, tasks, tokens, twins
from api.records.database import Database, engine_of
from api.service import Service
from api.settings import CodeTerms, Settings
from api.workers.local_desk import LocalDesk
from api.workers.worker import RigWords, Worker, is_dead, worker_name
from frugaltwin.checks import check_writable
from frugaltwin.errors import InvalidInput, StoreError

SWEEP = 2.0  # s between two queries for leases that ran out
CONNECTIONS = 8192
BACKLOG = 2048
"""Connections that the system keeps until they are taken."""
SWITCH = 0.0005
"""s after which a thread that computes lets another one go on. By default 0.005: so long each step of a request waits for a table."""
GRACE = 3  # s that answers under way have when the service ends

_log = logging.getLogger("frugaltwin.service")


def run(
    host: str, port: int, settings: Settings, rigs: Sequence[RigWords], reports: Path, terms: CodeTerms, *,
    new_token: bool, new_code: bool, announce: Callable[[str, str | None, str | None], None],
) -> int:  # fmt: skip
    """Serve until a signal; the exit code.

    Args:
        announce: Says the address, and the token and the code that were made, if any.

    Raises:
        InvalidInput: The database or the address cannot be used.
        MissingPart: The database needs something that is not installed.
        StoreError: The database cannot be brought up to date.
    """
    log_redaction.start()
    allow_connections()
    sys.setswitchinterval(SWITCH)
    with ExitStack() as stack:
        stack.enter_context(_alone(settings.url))
        migrations.upgrade(settings.url)
        listening = stack.enter_context(_listening(host, port))
        server = Server(settings, rigs, reports)
        token, code = server.first_secrets(terms, new_token, new_code)
        number = listening.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        server.when_started = lambda: announce(f"http://{_typed(name)}:{number}", token, code)
        for caught in (signal.SIGINT, signal.SIGTERM):
            signal.signal(caught, lambda *_: None)  # uvicorn raises it once more when all is done
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(server.serve(sockets=[listening]))
        return 0 if server.started else 1


class Server(AdmittingServer):
    """The server with workers: they begin when it listens, and end, their rigs at rest, before it does."""

    def __init__(self, settings: Settings, rigs: Sequence[RigWords], reports: Path) -> None:
        self._app = create_app(settings)
        self._url, self._rigs, self._reports = settings.url, rigs, reports
        self._workers: list[tuple[Worker, threading.Thread]] = []
        self.when_started: Callable[[], None] = lambda: None
        # No access log: uvicorn's would show what callers put into addresses.
        log = log_redaction.settings("WARNING")
        config = uvicorn.Config(
            self._app, http=_protocol(), ws="none", access_log=False, log_config=log, timeout_graceful_shutdown=GRACE, backlog=BACKLOG
        )
        super().__init__(config)

    def first_secrets(self, terms: CodeTerms, new_token: bool, new_code: bool) -> tuple[str | None, str | None]:
        """Register the rigs, and make an instructor and a join code if there is none; a token and a code to show, or nothing."""
        offers = {words.name: rigs.Offer.of_driver(words.driver, words.options) for words in self._rigs}
        database = Database(self._url)
        try:
            return database.write_now(lambda c, now: self._prepare(c, now, offers, terms, new_token, new_code))
        finally:
            database.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        service: Service = self._app.state.service
        for words in self._rigs:
            self._begin(service, words)
        self._sweep = asyncio.create_task(_sweep(service))
        self._labs = asyncio.create_task(self._work_on_tasks(service))
        self.when_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._sweep.cancel()
        self._labs.cancel()
        service: Service = self._app.state.service
        service.leave()
        await asyncio.to_thread(self._end_workers)
        await super().shutdown(sockets)

    def _begin(self, service: Service, words: RigWords) -> None:
        name = worker_name()
        worker = Worker(words, LocalDesk(service.database, words.name, name), name, self._reports / words.name)
        thread = threading.Thread(target=_work, args=(worker,), name=f"worker of {words.name}")
        self._workers.append((worker, thread))
        thread.start()

    async def _work_on_tasks(self, service: Service) -> None:
        """Have a worker for each task of a class that is not archived."""
        while True:
            since = service.news.now
            with contextlib.suppress(StoreError):  # it is in the log, and tried again
                found = {row.rig: row for row in await service.database.read(tasks.at_work)}
                known = {worker.rig.name for worker, _ in self._workers}
                for name in found.keys() - known:
                    self._begin(service, RigWords(name, twins.LAB, {"task": found[name].body_json}))
                for worker, _ in self._workers:
                    if worker.rig.driver == twins.LAB and worker.rig.name not in found:
                        worker.end()
            await service.news.wait(60.0, since)
            await asyncio.sleep(SWEEP / 10)

    def _end_workers(self) -> None:
        for worker, _ in self._workers:
            worker.end()
        for _, thread in self._workers:
            thread.join()

    def _prepare(
        self, connection: Connection, now: float, offers: Mapping[str, rigs.Offer], terms: CodeTerms, new_token: bool, new_code: bool
    ) -> tuple[str | None, str | None]:
        for words in self._rigs:
            rigs.register(
                connection, now, words.name, words.driver, words.options, words.is_real, offers[words.name], is_shared=words.is_shared
            )
            worker = rigs.find(connection, words.name).worker
            if worker is not None and is_dead(worker):
                fair_queue.forget_worker(connection, now, words.name)
        instructor = people.an_instructor(connection)
        is_first = instructor is None
        token = code = None
        if instructor is None:
            instructor = people.add_person(connection, now, "instructor", "instructor", {})
        if is_first or new_token:
            _, token = tokens.add_token(connection, now, instructor, people.OF_ROLE["instructor"].split(), "made by frugaltwin serve")
        if is_first or new_code:
            scopes = people.OF_ROLE["student"].split()
            _, code = join_codes.add_code(connection, now, "made by frugaltwin serve", terms.uses, terms.limits, scopes)
        return token, code


def _work(worker: Worker) -> None:
    try:
        worker.run()
    except Exception:
        _log.exception("the worker of %s has ended; restart the service when its reason is gone", worker.rig.name)


async def _sweep(service: Service) -> None:
    """End the leases of lost workers, also while no other worker asks for work."""
    while True:
        await asyncio.sleep(SWEEP)
        now = service.database.now()
        with contextlib.suppress(StoreError):  # it is in the log, and tried again
            if await service.database.read(lambda c, now=now: fair_queue.has_run_out(c, now)):  # type: ignore[misc]
                await service.database.write(fair_queue.expire)


def _alone(url: str) -> AbstractContextManager[object]:
    """SQLite is one process's: two writers would wait for each other, and two sets of workers drive the same rigs."""
    engine = engine_of(url)
    engine.dispose()
    if engine.url.get_backend_name() != "sqlite":
        return nullcontext()
    path = Path(str(engine.url.database))
    check_writable(path)
    try:
        return FileLock(f"{path}.lock").acquire(timeout=0)
    except Timeout:
        raise InvalidInput(f"another service uses {path}; end it, or choose another database", field="database") from None


def _typed(host: str) -> str:
    """The host name that others can type for the host that was bound to."""
    return socket.gethostname() if host in ("0.0.0.0", "::", "[::]") else host  # noqa: S104


def _listening(host: str, port: int) -> socket.socket:
    """Bound before anything is said, so that the address that is shown is the one that answers."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise InvalidInput(f"cannot listen at {host}, port {port}: {error.strerror}; choose another port or host", field="port") from error
    return listening


def allow_connections() -> None:
    """Raise the limit of open connections: many systems allow 1,024 at first, and a class with a stream each needs more."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS if hard == resource.RLIM_INFINITY else min(CONNECTIONS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _protocol() -> type[asyncio.Protocol] | Literal["auto"]:
    if sys.platform == "win32":
        return "auto"
    from api.http_protocol import BoundedProtocol

    return BoundedProtocol


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
