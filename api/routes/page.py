"""``/``: the page of the class. Its sources are in ``api/page/``, as they are: no build step, no request that leaves the service."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fastapi import Request
from starlette.responses import Response

from api.errors import NotFound
from api.routes.dependencies import resource

router = resource(include_in_schema=False)

SOURCES = Path(__file__).parents[1] / "page"
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".txt": "text/plain"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
}
_ALWAYS = "public, max-age=31536000, immutable"  # the address has the digest of all files: another version has other addresses


class _File(NamedTuple):
    plain: bytes
    packed: bytes
    kind: str
    tag: str


@cache
def _files() -> tuple[dict[str, _File], str]:
    """All files by their names, and the digest of them all. No path of a request is ever joined to a folder."""
    found = {p.relative_to(SOURCES).as_posix(): p.read_bytes() for p in sorted(SOURCES.rglob("*")) if p.suffix in _KINDS}
    digest = hashlib.sha256(repr(found).encode()).hexdigest()[:12]
    found["index.html"] = found["index.html"].replace(b"DIGEST", digest.encode())
    return {name: _File(b, gzip.compress(b, mtime=0), _KINDS[Path(name).suffix], f'"{_hash(b)}"') for name, b in found.items()}, digest


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:32]


@router.get("/")
async def front(request: Request) -> Response:
    """The page. Its views are parts of the address behind `#`, which browsers do not send."""
    return _answer(request, "index.html", "no-cache")


@router.get("/page/{digest}/{name:path}")
async def file(request: Request, digest: str, name: str) -> Response:
    """A file of the page."""
    return _answer(request, name, _ALWAYS if digest == _files()[1] else "no-cache")


def _answer(request: Request, name: str, caching: str) -> Response:
    found = _files()[0].get(name)
    if found is None:
        raise NotFound(f"the page has no file {name!r}; open /")
    headers = _HEADERS | {"ETag": found.tag, "Cache-Control": caching}
    if found.tag in request.headers.get("If-None-Match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("Accept-Encoding", ""):
        return Response(found.plain, headers=headers, media_type=found.kind)
    return Response(found.packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=found.kind)
