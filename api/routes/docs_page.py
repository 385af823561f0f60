"""``/docs``: the API as a page to read and to try out. Its assets are in ``static/``, with their licenses; it works offline."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from starlette.responses import FileResponse, Response

from api.errors import NotFound
from api.routes.dependencies import resource
from api.routes.student_document import student_document

router = resource(include_in_schema=False)

STATIC = Path(__file__).parents[1] / "static"
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".txt": "text/plain"}
_FILES = {p.name: p for p in STATIC.iterdir() if p.suffix in _KINDS}  # no path of a request is ever joined to a folder
_making = threading.Lock()
_HEADERS = {
    # Swagger UI's style sheet has its arrows inside it, as data: images; nothing else comes from anywhere but here.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@router.get("/docs")
async def page() -> Response:
    """The page."""
    return _file("docs.html")


@router.get("/docs/{name}")
async def asset(name: str) -> Response:
    """A file that the page needs."""
    return _file(name)


@router.get("/openapi.json")
async def openapi(request: Request, whose: Annotated[Literal["student"] | None, Query(alias="for")] = None) -> Response:
    """The document, or what a student's agent needs of it; made once: whoever has it is told that it is the same."""
    documents: dict[str | None, asyncio.Task[tuple[bytes, bytes, str]]] = request.app.state.documents
    if whose not in documents:  # it takes half a second, for which others do not wait
        documents[whose] = asyncio.create_task(asyncio.to_thread(_document, request.app.openapi, whose))
    plain, packed, tag = await asyncio.shield(documents[whose])  # the one who asked first may have gone
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if tag in request.headers.get("If-None-Match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("Accept-Encoding", ""):
        return Response(plain, headers=headers, media_type="application/json")
    return Response(packed, headers=headers | {"Content-Encoding": "gzip"}, media_type="application/json")


def _document(make: Callable[[], dict[str, Any]], whose: str | None) -> tuple[bytes, bytes, str]:
    """The document as bytes, the same compressed, and its tag."""
    with _making:
        document = make()
    plain = json.dumps(student_document(document) if whose else document, ensure_ascii=False, separators=(",", ":")).encode()
    return plain, gzip.compress(plain, mtime=0), f'"{hashlib.sha256(plain).hexdigest()[:32]}"'


def _file(name: str) -> Response:
    if name not in _FILES:
        raise NotFound(f"the page /docs has no file {name!r}; open /docs")
    path = _FILES[name]
    return FileResponse(path, media_type=_KINDS[path.suffix], headers=_HEADERS | {"Cache-Control": "no-cache"})
