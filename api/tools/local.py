"""Tools without a service that listens: those of one on another machine, or of a private one in this process for a twin."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.records import people, rigs, tokens
from api.tools.protocol import Call, bridge, over_stdio, server
from api.workers.local_desk import LocalDesk
from api.workers.worker import RigWords, Worker, worker_name
from frugaltwin.client.protocol import Reply, error_of
from frugaltwin.errors import InvalidInput, LinkError

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sqlalchemy import Connection

AppOf = Callable[[str], "FastAPI"]
SLOWEST = 60.0
"""s that a service may take for an answer."""
_HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}


async def relay(url: str, token: str) -> None:
    """Tools of a service elsewhere, over standard input and output."""
    import httpx

    headers = {**_HEADERS, "Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=SLOWEST) as http:

        async def ask(method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
            try:
                answer = await http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
            except httpx.TransportError as error:
                words = str(error) or "it takes too long"
                raise LinkError(f"no answer from {url}: {words}; is the service running, and is that its address?") from error
            reply = Reply(answer.status_code, dict(answer.headers), answer.content)
            found = reply.body
            if not isinstance(found, dict) or not isinstance(found.get("result"), dict):
                raise error_of(reply, url)
            return dict(found["result"])

        await over_stdio(bridge(ask))


async def alone(app_of: AppOf, rig: RigWords, limits: Mapping[str, float | None]) -> None:
    """Tools of a twin in this process, over standard input and output.

    Args:
        app_of: Makes the application of a private service on a database.
        limits: The budget.
    """
    async with private(app_of, rig, limits) as call:
        await over_stdio(server(call))


@asynccontextmanager
async def private(app_of: AppOf, rig: RigWords, limits: Mapping[str, float | None]) -> AsyncIterator[Call]:
    """The tools of a service that listens nowhere, and ends with everything in it; arguments as of `alone`.

    Raises:
        InvalidInput: The rig is real.
    """
    from api import migrations

    if rig.is_real:
        raise InvalidInput(f"{rig.driver} is a real rig, which moves only after a person has allowed it: let frugaltwin serve drive it")
    with tempfile.TemporaryDirectory(prefix="frugaltwin-") as name:
        url = f"sqlite:///{name}/service.db"
        migrations.upgrade(url)
        app: FastAPI = app_of(url)
        async with app.router.lifespan_context(app):
            database = app.state.service.database
            offer = rigs.Offer.of_driver(rig.driver, rig.options)

            def prepare(connection: Connection, now: float) -> str:
                rigs.register(connection, now, rig.name, rig.driver, rig.options, False, offer)
                whose = people.add_person(connection, now, "you", "student", limits)
                return tokens.add_token(connection, now, whose, people.OF_ROLE["student"].split())[1]

            token = await database.write(prepare)
            worker = Worker(rig, LocalDesk(database, rig.name, "private"), worker_name(), Path(name) / "reports")
            thread = threading.Thread(target=worker.run, name=f"worker of {rig.name}")
            thread.start()
            try:
                box = app.state.tools.toolbox
                yield lambda tool, said, _: box.call(tool, said, token)
            finally:
                worker.end()
                thread.join()
