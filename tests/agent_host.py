"""A host of an agent, as the tests have it: the official client of the Model Context Protocol."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

VERSIONS = ("2025-11-25", "2026-07-28")
"""Versions of the protocol: the first is what older hosts speak."""


class Host:
    """A connected host."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def call(self, tool: str, /, **arguments: Any) -> Any:
        """The result of a tool that does what it is asked."""
        found = await self.client.call_tool(tool, arguments)
        assert not found.is_error, found.content[0].text
        return found

    async def data(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """The same as data."""
        found: dict[str, Any] = (await self.call(tool, **arguments)).structured_content
        return found

    async def refusal(self, tool: str, /, **arguments: Any) -> tuple[str, dict[str, Any]]:
        """The sentence and the problem of a tool that refuses."""
        found = await self.client.call_tool(tool, arguments)
        assert found.is_error, found.content[0].text
        return found.content[0].text, found.structured_content["problem"]


@asynccontextmanager
async def over_http(address: str, token: str | None, version: str = VERSIONS[1]) -> AsyncIterator[Host]:
    """A host that has an address and a token."""
    import httpx2
    from mcp.client.client import Client
    from mcp.client.streamable_http import streamable_http_client

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http:
        mode = "legacy" if version == VERSIONS[0] else version
        async with Client(streamable_http_client(f"{address}/mcp", http_client=http), mode=mode) as client:
            assert client.protocol_version == version
            yield Host(client)


@asynccontextmanager
async def in_process(call: Any, version: str = VERSIONS[1]) -> AsyncIterator[Host]:
    """A host in the process of the tools."""
    from mcp.client.client import Client

    from api.tools.protocol import server

    async with Client(server(call), mode="legacy" if version == VERSIONS[0] else version) as client:
        yield Host(client)


@asynccontextmanager
async def over_stdio(command: list[str], **options: Any) -> AsyncIterator[Host]:
    """A host that starts a program and talks to it."""
    from mcp.client.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    parameters = StdioServerParameters(command=command[0], args=command[1:], **options)
    async with Client(stdio_client(parameters)) as client:
        yield Host(client)
