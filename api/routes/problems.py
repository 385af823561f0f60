"""Every error of the service as a problem document (RFC 9457), with one sentence that says what to do next."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any, get_args

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo
from starlette.exceptions import HTTPException

from api.errors import BudgetExhausted, Conflict, Forbidden, NotFound, TooMany, Unauthorized, Unprocessable
from frugaltwin.errors import DriverError, FrugalTwinError, InvalidInput, MissingPart, OutOfBounds, StoreError, UnknownName, in_words

MEDIA_TYPE = "application/problem+json"
DOCS = "https://frugaltwin.invalid/problems/"
"""Types are names under this address; it leads nowhere, so that it works offline. docs/service.md explains each."""

MISTAKES = 50
"""Told at most of one request."""

_log = logging.getLogger("frugaltwin.service")


class Mistake(BaseModel):
    """One thing that is wrong with a request."""

    pointer: str = Field(description="where in the request, as a JSON pointer (`#/settings/red`), or the name of a header or query word")
    detail: str = Field(description="what is wrong there")


class Problem(BaseModel):
    """A problem document: the reason why a request was not answered as asked (RFC 9457)."""

    type: str = Field(description="the last word is the stable name of the kind of problem, such as budget-exhausted")
    title: str = Field(description="the kind in words")
    status: int = Field(description="of HTTP")
    detail: str = Field(description="one sentence about this case, with what to do next")
    retryable: bool = Field(description="whether the same request may succeed later without being changed")
    errors: list[Mistake] = Field([], description="what is wrong where in the request, if it is the request")


# By class, the most special first: status, name, title, whether to try again.
KINDS: Mapping[type[FrugalTwinError], tuple[int, str, str, bool]] = {
    Unauthorized: (401, "unauthorized", "Who are you?", False),
    Forbidden: (403, "forbidden", "Not allowed", False),
    NotFound: (404, "not-found", "There is no such thing", False),
    Conflict: (409, "conflict", "Not possible as things are", False),
    BudgetExhausted: (402, "budget-exhausted", "The budget does not allow it", False),
    Unprocessable: (422, "key-reused", "This idempotency key was used for another request", False),
    TooMany: (429, "too-many-requests", "Too many requests", True),
    UnknownName: (422, "unknown-name", "There is no such name", False),
    InvalidInput: (422, "invalid-input", "This cannot be understood", False),
    MissingPart: (501, "missing-part", "Something is not installed on the server", False),
    StoreError: (503, "not-stored", "It could not be stored", True),
    DriverError: (503, "rig-offline", "The rig cannot be reached", True),
    FrugalTwinError: (409, "conflict", "Not possible as things are", False),
}


def document(status: int, name: str, title: str, detail: str, retryable: bool = False, errors: list[Mistake] | None = None) -> JSONResponse:
    """A problem as a response."""
    body = Problem(type=DOCS + name, title=title, status=status, detail=detail, retryable=retryable, errors=errors or [])
    return JSONResponse(body.model_dump(), status, media_type=MEDIA_TYPE)


def of(error: FrugalTwinError) -> JSONResponse:
    """The problem that an error of ours is."""
    status, name, title, retryable = next(found for kind, found in KINDS.items() if isinstance(error, kind))
    errors = [Mistake(pointer=_pointer(where), detail=str(error)) for where in _faults(error)]
    response = document(status, name, title, str(error), retryable, errors)
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
        field = getattr(request.scope["route"], "body_field", None)
        errors = _mistakes(error.errors()[:MISTAKES], field.field_info.annotation if field else None)
        return document(422, "invalid-input", "This cannot be understood", _first_of(errors), errors=errors)

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400:  # FastAPI's word for a body that json.loads cannot take
            detail = "the body cannot be read as JSON in UTF-8; correct it, then send it again"
            return document(422, "invalid-input", "This cannot be understood", detail)
        phrase, path = HTTPStatus(error.status_code).phrase, request.url.path[:200]
        known = {
            404: f"there is nothing at {path}; /docs lists what there is",
            405: f"{path} does not take {request.method[:20]}; /docs lists what it takes",
        }
        detail = known.get(error.status_code, str(error.detail))
        response = document(error.status_code, phrase.lower().replace(" ", "-"), phrase, detail)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> JSONResponse:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return document(500, "bug", "A mistake of ours", "something went wrong here; tell your instructor, the log says more", True)


def of_arguments(error: ValidationError, model: type[BaseModel]) -> dict[str, Any]:
    """The problem that arguments of a tool are, which are no body of a request."""
    found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()[:MISTAKES]]
    errors = _mistakes(found, model)
    return json.loads(bytes(document(422, "invalid-input", "This cannot be understood", _first_of(errors), errors=errors).body))  # type: ignore[no-any-return]


def _first_of(errors: Sequence[Mistake]) -> str:
    first = f"{errors[0].pointer}: {errors[0].detail}" if errors[0].pointer != "#" else errors[0].detail
    return f"{first}; correct it, then send it again"


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses=`: that these are problem documents. 401, 422 and 429 are always possible where a token is asked for."""
    return exactly(401, 422, 429, *statuses)


def exactly(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The same, for a route that asks for no token."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {s: {"description": _kinds(s), "content": content} for s in sorted(set(statuses))}


def _kinds(status: int) -> str:
    """The meanings of a status, by the names at the end of a problem's `type`."""
    at_the_border = {408: "`too-slow`: too slow", 413: "`too-large`: too large", 415: "`unsupported-media-type`: not JSON"}
    known = [f"`{name}`: {title[0].lower()}{title[1:]}" for code, name, title, _ in KINDS.values() if code == status]
    return "; ".join(dict.fromkeys(known)) or at_the_border.get(status, HTTPStatus(status).phrase)


_PLACES = {"option": ["strategy", "options"]} | {name: [name] for name in ("goal", "require", "strategy", "seed", "budget", "earlier")}
"""Places in a body by the `field` of an error; other fields are those of a command or of a file."""


def _faults(error: FrugalTwinError) -> list[list[str]]:
    """The places of a mistake in the body of a request."""
    if isinstance(error, OutOfBounds):
        return [["settings", name] for name in error.names] or [["settings"]]
    return [_PLACES[error.field]] if error.field in _PLACES else []


_BRANCHES = {"bool", "int", "float", "str", "constrained-str"}  # of a union, which pydantic names as if they were fields
_WORDS = {
    "missing": "it is missing", "list_type": "it takes a list, […]",
    "int_type": "it takes a whole number", "float_type": "it takes a number",
}  # fmt: skip
"""In place of pydantic's own words, which are about Python."""


def _mistakes(errors: Sequence[Mapping[str, Any]], body: Any) -> list[Mistake]:
    """The mistakes of a request, one for each place.

    Args:
        body: The model of its body.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for error in errors:
        where, *rest = [str(part) for part in error["loc"]] or ["body"]
        if error["type"] == "json_invalid":
            rest = []  # where the text breaks off, which is no place in a document
        if len(rest) > 1 and rest[-1] in _BRANCHES:
            rest = rest[:-1]
        pointer = _pointer(rest) if where == "body" else ".".join([where, *rest])
        found.setdefault(pointer if len(pointer) <= 200 else f"{pointer[:200]}…", []).append(error)
    return [Mistake(pointer=pointer, detail=_detail(here, body)) for pointer, here in found.items()]


def _detail(errors: Sequence[Mapping[str, Any]], body: Any) -> str:
    telling = [e for e in errors if not e["type"].endswith(("_type", "_parsing"))]
    if len(errors) > 1 and not telling:
        return "it takes a number or a text"
    error = (telling or errors)[0]
    if error["type"] == "json_invalid":
        return f"the body is no JSON ({error['ctx']['error']} at character {error['loc'][-1]}); names and texts stand in double quotes"
    if len(error["loc"]) < 2:
        return "the body is missing; send JSON" if error["type"] == "missing" else "the body is no object, {…}"
    in_fields = _detail_of_field(error, body) if error["loc"][0] == "body" else None
    return in_fields or _WORDS.get(error["type"]) or in_words(str(error["msg"]))


def _detail_of_field(error: Mapping[str, Any], model: type[BaseModel]) -> str | None:
    """The mistake in a field, where it takes the other fields and their descriptions to say it."""
    *path, name = map(str, error["loc"][1:])
    fields = _fields(model, path)
    if error["type"] == "extra_forbidden":
        near = get_close_matches(name, fields, n=1)
        return "there is no such field; " + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(fields)}")
    if error["type"] == "string_pattern_mismatch" and name in fields:
        return f"{str(error['input'])[:80]!r} is not: {fields[name].description}"
    if error["type"] in ("model_attributes_type", "dict_type"):
        inner = _fields(model, [*path, name])
        return f"it takes an object of {', '.join(inner)}" if inner else "it takes an object, {…}"
    return None


def _fields(model: Any, path: Sequence[str]) -> Mapping[str, FieldInfo]:
    """The fields of a model, or of one within it; none where something else is."""
    for name in path:
        if name.isdigit():  # in a list of what was found
            continue
        kind = model.model_fields[name].annotation if name in model.model_fields else None
        model = next((part for part in (kind, *get_args(kind)) if isinstance(part, type) and issubclass(part, BaseModel)), None)
        if model is None:
            return {}
    found: Mapping[str, FieldInfo] = model.model_fields
    return found


def _pointer(parts: Sequence[str]) -> str:
    return "#" + "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
