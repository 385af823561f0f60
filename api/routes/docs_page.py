"""``/docs``: the API as a page to read and to try out. Its assets are in ``static/``, with their licenses; it works offline."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, RedirectResponse, Response

from api.records.fair_queue import NotFound

router = APIRouter(include_in_schema=False)

STATIC = Path(__file__).parents[1] / "static"
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".txt": "text/plain"}
_FILES = {p.name: p for p in STATIC.iterdir() if p.suffix in _KINDS}  # no path of a request is ever joined to a folder
_HEADERS = {
    # Swagger UI's style sheet has its arrows inside it, as data: images; nothing else comes from anywhere but here.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@router.get("/")
async def front() -> Response:
    """For whoever types the address on the board into a browser."""
    return RedirectResponse("/docs", 307, _HEADERS)


@router.get("/docs")
async def page() -> Response:
    """The page."""
    return _file("docs.html")


@router.get("/docs/{name}")
async def asset(name: str) -> Response:
    """What the page is made of."""
    return _file(name)


def _file(name: str) -> Response:
    if name not in _FILES:
        raise NotFound(f"the page /docs has no file {name!r}; open /docs")
    path = _FILES[name]
    return FileResponse(path, media_type=_KINDS[path.suffix], headers=_HEADERS | {"Cache-Control": "no-cache"})
