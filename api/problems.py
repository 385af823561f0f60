"""Every error of the service as a problem document (RFC 9457), with one sentence that says what to do next."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from api.ledger import BudgetExhausted
from api.people import Forbidden, Unauthorized
from api.queue import Conflict, NotFound
from frugaltwin.errors import DriverError, FrugalTwinError, InvalidInput, MissingPart, StoreError, UnknownName

MEDIA_TYPE = "application/problem+json"
DOCS = "https://frugaltwin.invalid/problems/"
"""Types are names under this address; it leads nowhere, so that it works offline. docs/service.md explains each."""

_log = logging.getLogger("frugaltwin.service")


class Mistake(BaseModel):
    """One thing that is wrong with a request."""

    pointer: str = Field(description="where in the request, as a JSON pointer (`#/settings/red`), or the name of a header or query word")
    detail: str


class Problem(BaseModel):
    """Why a request was not answered as asked (RFC 9457)."""

    type: str = Field(description="stable name of the kind of problem")
    title: str
    status: int
    detail: str = Field(description="one sentence about this case, with what to do next")
    retryable: bool = Field(description="whether the same request may succeed later without being changed")
    errors: list[Mistake] = []


class TooMany(FrugalTwinError):
    """Too many requests with one token."""

    retry_after: float = 1.0


class Unprocessable(FrugalTwinError):
    """An idempotency key was used for another request."""


class Busy(FrugalTwinError):
    """The same request is still being answered."""


# By class, the most special first: status, name, title, whether to try again.
KINDS: Mapping[type[FrugalTwinError], tuple[int, str, str, bool]] = {
    Unauthorized: (401, "unauthorized", "Who are you?", False),
    Forbidden: (403, "forbidden", "Not allowed", False),
    NotFound: (404, "not-found", "There is no such thing", False),
    Conflict: (409, "conflict", "Not in this state", False),
    Busy: (409, "still-running", "The same request is still running", True),
    BudgetExhausted: (402, "budget-exhausted", "The budget does not allow it", False),
    Unprocessable: (422, "key-reused", "This idempotency key was used for another request", False),
    TooMany: (429, "too-many-requests", "Too many requests", True),
    UnknownName: (422, "unknown-name", "There is no such name", False),
    InvalidInput: (422, "invalid-input", "This cannot be understood", False),
    MissingPart: (501, "missing-part", "Something is not installed on the server", False),
    StoreError: (503, "not-stored", "It could not be stored", True),
    DriverError: (503, "rig-offline", "The rig cannot be reached", True),
    FrugalTwinError: (409, "refused", "Refused", False),
}


def document(status: int, name: str, title: str, detail: str, retryable: bool = False, errors: list[Mistake] | None = None) -> JSONResponse:
    """A problem as a response."""
    body = Problem(type=DOCS + name, title=title, status=status, detail=detail, retryable=retryable, errors=errors or [])
    return JSONResponse(body.model_dump(), status, media_type=MEDIA_TYPE)


def of(error: FrugalTwinError) -> JSONResponse:
    """The problem that an error of ours is."""
    status, name, title, retryable = next(found for kind, found in KINDS.items() if isinstance(error, kind))
    response = document(status, name, title, str(error), retryable)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooMany):
        response.headers["Retry-After"] = str(max(1, round(error.retry_after)))
    return response


def install(app: FastAPI) -> None:
    """Answer every error of an application with a problem, and say so in its OpenAPI document."""

    @app.exception_handler(FrugalTwinError)
    async def ours(request: Request, error: FrugalTwinError) -> JSONResponse:
        return of(error)

    @app.exception_handler(RequestValidationError)
    async def not_understood(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [_mistake(e) for e in error.errors()]
        first = f"{errors[0].pointer}: {errors[0].detail}" if errors else "the request cannot be understood"
        return document(422, "invalid-input", "This cannot be understood", f"{first}; correct it, then send it again", errors=errors)

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400:  # FastAPI's word for a body that json.loads cannot take
            detail = "the body cannot be read as JSON in UTF-8; correct it, then send it again"
            return document(422, "invalid-input", "This cannot be understood", detail)
        phrase = HTTPStatus(error.status_code).phrase
        response = document(error.status_code, phrase.lower().replace(" ", "-"), phrase, str(error.detail))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> JSONResponse:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return document(500, "bug", "A mistake of ours", "something went wrong here; tell your instructor, the log says more", True)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses=`: that these are problem documents. 401, 422 and 429 are always possible where a token is asked for."""
    return exactly(401, 422, 429, *statuses)


def exactly(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The same, for a route that asks for no token."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {s: {"description": HTTPStatus(s).phrase, "content": {MEDIA_TYPE: schema}} for s in sorted(set(statuses))}


def _mistake(error: Mapping[str, Any]) -> Mistake:
    where, *rest = [str(part) for part in error["loc"]] or ["body"]
    pointer = "#/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in rest) if where == "body" else ".".join([where, *rest])
    return Mistake(pointer=pointer if len(pointer) <= 200 else f"{pointer[:200]}…", detail=str(error["msg"]))
