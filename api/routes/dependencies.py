"""Parts that routes share: the caller of a request, its idempotency key, and answers as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from pydantic import BaseModel, TypeAdapter
from sqlalchemy import Connection
from starlette.responses import Response

from api.errors import Unauthorized
from api.records import answers
from api.records.people import Caller
from api.records.rows import AnswerRow
from api.service import Service

_bearer = HTTPBearer(
    auto_error=False, description="the token that you were shown once, the word ft_… alone; it is sent as `Authorization: Bearer ft_…`"
)


async def check_query(request: Request) -> None:
    """Refuse a word in the query string that the route does not know, or that stands there twice: it would be passed over in silence.

    Raises:
        RequestValidationError: There is one.
    """
    given = [name for name, _ in request.query_params.multi_items()]
    if not given:
        return
    known = _query_words(request.scope["route"].dependant)
    for name in given:
        if name in known and given.count(name) == 1:
            continue
        near = get_close_matches(name, known, n=1)
        which = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}" if known else "it takes none"
        words = "it stands there twice; leave one out" if name in known else f"there is no such word in the query; {which}"
        raise RequestValidationError([{"type": "value_error", "loc": ("query", name), "msg": words, "input": name}])


def resource(prefix: str = "", **more: Any) -> APIRouter:
    """The routes of a resource: each checks its query, and is named after its resource and its function."""

    def name(route: APIRoute) -> str:
        return "_".join(map(str, [*route.tags, route.name]))

    return APIRouter(prefix=prefix, dependencies=[Depends(check_query)], generate_unique_id_function=name, **more)


def _query_words(dependant: Dependant) -> list[str]:
    below = [name for one in dependant.dependencies for name in _query_words(one)]
    return [field.alias for field in dependant.query_params] + below


async def service_of(request: Request) -> Service:
    """The running service."""
    found: Service = request.app.state.service
    return found


TheService = Annotated[Service, Depends(service_of)]


async def _caller(
    service: TheService, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)], needed: SecurityScopes
) -> Caller:
    if bearer is None:
        raise Unauthorized("no token came with the request; send the header `Authorization: Bearer ft_…`")
    caller = await service.caller(bearer.credentials, is_work="work" in needed.scopes)
    for scope in needed.scopes:
        caller.check(scope)
    return caller


TheCaller = Annotated[Caller, Depends(_caller)]
TheInstructor = Annotated[Caller, Security(_caller, scopes=["admin"])]
"""The caller, who has this scope: the OpenAPI document says so too."""
TheTeacher = Annotated[Caller, Security(_caller, scopes=["teach"])]
"""An instructor, or the assistant of one class, who sees only that."""
TheWorker = Annotated[Caller, Security(_caller, scopes=["work"])]
Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=1, max_length=80, description="your name for this request; sent again, it is done once"),
]


Made = tuple[int, Any, str]
"""Status, body (a model or a resource) and location of an answer."""


async def once(
    service: Service,
    caller: Caller,
    key: str | None,
    request: BaseModel,
    change: Callable[[Connection, float], Made],
    shown_once: str | None = None,
) -> Response:
    """Make a change and answer with it; with a key, the same request again gets the stored answer and changes nothing.

    Args:
        shown_once: A field of the body that is never kept, such as a token: the stored answer has null there.

    Raises:
        Unprocessable: The key was used for another request.
    """
    digest = "" if key is None else _digest(request)

    def kept(connection: Connection, now: float) -> tuple[int, str, str]:
        if key is not None and (row := answers.find(connection, caller.person, key, digest)):
            return row.status, row.body_json, row.location or ""
        status, body, location = change(connection, now)
        text = as_json(body)
        if key is not None:
            keep = text if shown_once is None else json.dumps(json.loads(text) | {shown_once: None}, ensure_ascii=False)
            answers.keep(connection, AnswerRow(caller.person, key, digest, status, keep, location, now))
        return status, text, location

    status, text, location = await service.database.write(kept)
    return Response(text, status, {"Location": location}, "application/json")


def _digest(request: BaseModel) -> str:
    words = f"{type(request).__name__}:{json.dumps(request.model_dump(mode='json'), sort_keys=True)}"
    return hashlib.sha256(words.encode()).hexdigest()


def as_json(body: Any, **context: str) -> str:
    """A model or a resource as JSON, without a second validation.

    Args:
        context: How it is to be written.
    """
    if isinstance(body, BaseModel):
        return body.model_dump_json(context=context)
    kind = type(body)
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind].dump_json(body, context=context).decode()


_adapters: dict[type, TypeAdapter[Any]] = {}


def shown(body: Any, status: int = 200, **headers: str) -> Response:
    """A model or a resource as a response."""
    return Response(as_json(body), status, headers, "application/json")
