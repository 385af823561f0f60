"""The service in a thread of the tests, with its real server on a free port of 127.0.0.1."""

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn

from api.app import create_app
from api.records import leases, people, rigs, tokens
from api.records.database import Database
from api.service import Service
from api.settings import Settings
from tests import forked
from tests.service_database import until


def hear(patch: pytest.MonkeyPatch, *names: str) -> None:
    """Loggers by these names log everything, in whichever way other tests of this process have silenced them."""
    patch.setattr(logging.root.manager, "disable", logging.NOTSET)
    for logger in map(logging.getLogger, names):
        patch.setattr(logger, "disabled", False)
        patch.setattr(logger, "propagate", True)
        patch.setattr(logger, "level", logger.level)
        logger.setLevel(logging.DEBUG)


class Server(uvicorn.Server):
    """Ends as `frugaltwin serve` does, but has no workers."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.app.state.service.leave()  # type: ignore[union-attr]
        await super().shutdown(sockets)


@dataclass
class Running:
    """A running service, and an instructor's token for it."""

    address: str
    service: Service
    admin: str
    instructor: str
    _server: Server
    _thread: threading.Thread

    @property
    def database(self) -> Database:
        return self.service.database

    def client(self, token: str | None = None, **options: Any) -> httpx.Client:
        """Somebody's requests."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.address, headers=headers, timeout=120, trust_env=False, **options)

    def person(self, role: str = "student", name: str = "Ada", **limits: float) -> tuple[str, str]:
        """Somebody new: id and token."""

        def change(c: Any, now: float) -> tuple[str, str]:
            whose = people.add_person(c, now, name, role, limits)
            return whose, tokens.add_token(c, now, whose, people.OF_ROLE[role].split())[1]

        return self.database.write_now(change)

    def worker(self, name: str = "w") -> str:
        """The words under which a worker with the instructor's token is written down."""
        return self.database.read_now(lambda c: leases.identity(people.caller(c, self.database.now(), self.admin), name))

    def stop(self) -> None:
        """As a signal would; returns when everything has ended."""
        self._server.should_exit = True
        self._thread.join(120)
        assert not self._thread.is_alive()


@contextlib.contextmanager
def running(url: str, **settings: Any) -> Iterator[Running]:
    """A service on a database without rows, with the rig color-1."""
    forked.wait_until_it_forks()
    app = create_app(Settings(url, **settings))
    server = Server(uvicorn.Config(app, "127.0.0.1", 0, ws="none", log_config=None, timeout_graceful_shutdown=10))
    thread = threading.Thread(target=server.run, name="service")
    thread.start()
    until(lambda: server.started or not thread.is_alive())
    port = server.servers[0].sockets[0].getsockname()[1]
    service: Service = app.state.service
    service.database.write_now(lambda c, now: rigs.register(c, now, "color-1", "color-mixing", {}, False))
    found = Running(f"http://127.0.0.1:{port}", service, "", "", server, thread)
    found.instructor, found.admin = found.person("instructor", "Ms. Curie")
    try:
        yield found
    finally:
        found.stop()
