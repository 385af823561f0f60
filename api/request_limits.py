"""Limits on a single request: its size, its depth, and the time it may take to arrive. Limits on many requests are in `rate_limit`.

And a HEAD request, which is a GET request whose answer has no body.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.records.shares import LEAST, WHOSE, timed
from api.routes import problems
from api.routes.problems import Mistake

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


def _problem(body: bytearray, kind: bytes, most: int) -> ASGIApp | None:
    """The answer to a body that is not even read, if it is such a one."""
    if len(body) > most:
        return problems.document(413, "too-large", "Too large", f"a request has at most {most:,} bytes; send less at once")
    if body and kind != b"application/json":
        detail = f"a body of {kind.decode('latin-1') or 'no type'} came; send JSON with the header Content-Type: application/json"
        return problems.document(415, "unsupported-media-type", "Not JSON", detail)
    if max(body.count(b"["), body.count(b"{")) > 1000:
        return problems.document(422, "too-deep", "Too deep", "the JSON has more than 1,000 lists or objects; send less at once")
    if (name := _twice(body)) is not None:
        mistake = Mistake(pointer="#", detail=f"{name[:80]!r} stands twice in one object")
        detail = f"{mistake.detail}; leave one out, then send it again"
        return problems.document(422, "invalid-input", "This cannot be understood", detail, errors=[mistake])
    return None


class _NamedTwice(Exception):
    """A name that an object of JSON has twice."""


def _once(pairs: Sequence[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise _NamedTwice(next(name for name in names if names.count(name) > 1))


def _twice(body: bytes | bytearray) -> str | None:
    """The name that an object of a body has twice: a reader of the first takes another value than a reader of the last."""
    try:
        json.loads(body, object_pairs_hook=_once)
    except _NamedTwice as found:
        return str(found)
    except (ValueError, RecursionError):  # it is refused as no JSON
        return None
    return None


class HeadAsGet:
    """The middleware that answers HEAD as GET, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        has_answered = asyncio.Event()

        async def heard() -> Message:
            await has_answered.wait()  # an endless stream ends here
            return {"type": "http.disconnect"}

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body"})
                has_answered.set()

        await self._app({**scope, "method": "GET"}, heard, answer)


class Charged:
    """The middleware that counts the time of a core which a request takes, for the person whose it turned out to be."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        def charge(seconds: float) -> None:
            scope["app"].state.service.database.shares.charge(WHOSE.get(), seconds - LEAST)

        await timed(self._app(scope, receive, send), charge)


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
        kind = dict(scope["headers"]).get(b"content-type", b"").split(b";")[0].strip().lower()
        if problem := _problem(body, kind, most):
            await problem(scope, receive, send)
            return
        sent = False

        async def again() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self._app(scope, again, send)
