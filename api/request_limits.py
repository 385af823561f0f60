"""Limits on a single request: its size, its depth, and the time it may take to arrive. Limits on many requests are in `rate_limit`."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.routes import problems

BODY = 100_000
"""Bytes of a body at most."""
REPORTS = 1_000_000
"""Bytes of a worker's reports at most."""
SLOWEST = 30.0
"""s that a request may take to arrive."""
WITH_BODY = ("POST", "PUT", "PATCH")


async def _body(receive: Receive, most: int) -> bytearray | None:
    """The body of a request, or the beginning of one that is too large; None when the sender has gone."""
    body = bytearray()
    more = True
    while more and len(body) <= most:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


class RequestLimits:
    """The middleware that refuses a body that is too large, too deep, too slow or not JSON, before it is parsed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in WITH_BODY:
            await self._app(scope, receive, send)
            return
        most = REPORTS if scope["path"].startswith("/v1/work/") else BODY
        try:
            async with asyncio.timeout(SLOWEST):
                body = await _body(receive, most)
        except TimeoutError:
            detail = f"the body did not arrive within {SLOWEST:g} s; send it again, at once"
            await problems.document(408, "too-slow", "Too slow", detail, True)(scope, receive, send)
            return
        if body is None:
            return
        if len(body) > most:
            detail = f"a request has at most {most:,} bytes; send less at once"
            await problems.document(413, "too-large", "Too large", detail)(scope, receive, send)
            return
        kind = dict(scope["headers"]).get(b"content-type", b"").split(b";")[0].strip().lower()
        if body and kind != b"application/json":
            detail = f"a body of {kind.decode('latin-1') or 'no type'} came; send JSON with the header Content-Type: application/json"
            await problems.document(415, "unsupported-media-type", "Not JSON", detail)(scope, receive, send)
            return
        if max(body.count(b"["), body.count(b"{")) > 1000:
            detail = "the JSON has more than 1,000 lists or objects; send less at once"
            await problems.document(422, "too-deep", "Too deep", detail)(scope, receive, send)
            return
        sent = False

        async def again() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self._app(scope, again, send)
