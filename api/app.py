"""The service as an ASGI application. A new resource is one file with a `router` and one line in `RESOURCES`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems
from api.problems import Problem
from api.service import BODY, Settings, opened

RESOURCES = ("experiments",)


def create_app(settings: Settings) -> FastAPI:
    """The application; its database has been brought up to date before."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened(settings) as service:
            app.state.service = service
            yield

    app = FastAPI(title="Frugal Twin", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    problems.install(app)
    for name in RESOURCES:
        app.include_router(import_module(f"api.{name}").router)
    app.add_middleware(Border)
    make = app.openapi

    def openapi() -> dict[str, Any]:
        document = make()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" not in schemas:
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= schema.pop("$defs", {}) | {"Problem": schema}
        return document

    app.openapi = openapi  # type: ignore[method-assign]
    return app


class Border:
    """Refuses bodies that are too large, too deep, or not JSON, before anybody reads them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT", "PATCH"):
            await self._app(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > BODY:
                detail = f"a request has at most {BODY:,} bytes; send less at once"
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
