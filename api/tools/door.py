"""``/mcp``: the tools over HTTP. The library of the protocol takes a second to import, so that begins with the first request."""

from __future__ import annotations

import asyncio
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from starlette.types import Receive, Scope, Send

from api.routes import problems
from api.service import Service
from api.tools.toolbox import Toolbox

PATH = "/mcp"
HAS_LIBRARY = find_spec("mcp") is not None


class Door:
    """The tools of one process of the service, as an ASGI application."""

    def __init__(self, service: Service) -> None:
        self.toolbox = Toolbox(service)
        self._is_wanted, self._is_open = asyncio.Event(), asyncio.Event()
        self._manager: Any = None

    async def keep_open(self) -> None:
        """Answer, from the first request on, until this is cancelled."""
        await self._is_wanted.wait()
        protocol = await asyncio.to_thread(import_module, "api.tools.protocol")
        self._manager = protocol.over_http(self.toolbox.call)
        async with self._manager.run():
            self._is_open.set()
            await asyncio.Event().wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not HAS_LIBRARY:
            detail = "the server has no tools for agents; let its administrator install the extra mcp: pip install 'frugaltwin[mcp]'"
            await problems.document(501, "missing-part", "Something is not installed on the server", detail)(scope, receive, send)
            return
        if scope["method"] != "POST":  # a stream on which nothing ever happens would hold a connection
            response = problems.document(
                405, "method-not-allowed", "Method Not Allowed", f"{PATH} takes POST alone; let your host send that"
            )
            response.headers["Allow"] = "POST"
            await response(scope, receive, send)
            return
        self._is_wanted.set()
        await self._is_open.wait()
        await self._manager.handle_request(scope, receive, send)


class ToDoor:
    """The endpoint of the route: what answers is made when the service begins."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["app"].state.tools(scope, receive, send)
