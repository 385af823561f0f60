"""What every resource asks of a request: whose it is, and whether it was answered before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from sqlalchemy import Connection, insert, select
from starlette.responses import Response

from api.errors import Unauthorized, Unprocessable
from api.records.people import Caller
from api.records.tables import answer
from api.service import Service

_bearer = HTTPBearer(
    auto_error=False, description="the token that you were shown once, the word ft_… alone; it is sent as `Authorization: Bearer ft_…`"
)


async def service_of(request: Request) -> Service:
    """The running service."""
    found: Service = request.app.state.service
    return found


TheService = Annotated[Service, Depends(service_of)]


async def _caller(service: TheService, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Caller:
    if bearer is None:
        raise Unauthorized("no token came with the request; send the header `Authorization: Bearer ft_…`")
    return await service.caller(bearer.credentials)


TheCaller = Annotated[Caller, Depends(_caller)]
Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=1, max_length=80, description="your name for this request; sent again, it is done once"),
]


async def once(
    service: Service,
    caller: Caller,
    key: str | None,
    request: BaseModel,
    change: Callable[[Connection, float], tuple[int, BaseModel, str]],
    shown_once: str | None = None,
) -> Response:
    """Make a change and answer with it; with a key, the same request again gets the stored answer and changes nothing.

    Args:
        change: Gives status, body and location.
        shown_once: A field of the body that is never kept, such as a token: the stored answer has nothing there.

    Raises:
        Unprocessable: The key was used for another request.
    """
    digest = "" if key is None else _digest(request)

    def kept(connection: Connection, now: float) -> tuple[int, str, str]:
        if key is not None:
            known = select(answer).where(answer.c.person == caller.person, answer.c.key == key)
            if row := connection.execute(known).mappings().one_or_none():
                if row["digest"] != digest:
                    raise Unprocessable(f"the key {key!r} was used for another request; take a new key for each new request")
                return row["status"], row["body_json"], row["location"]
        status, body, location = change(connection, now)
        text = body.model_dump_json()
        if key is not None:
            keep = text if shown_once is None else body.model_copy(update={shown_once: None}).model_dump_json()
            row_ = {"person": caller.person, "key": key, "digest": digest, "status": status, "body_json": keep, "location": location}
            connection.execute(insert(answer), row_ | {"at": now})
        return status, text, location

    status, text, location = await service.database.write(kept)
    return Response(text, status, {"Location": location}, "application/json")


def _digest(request: BaseModel) -> str:
    words = f"{type(request).__name__}:{json.dumps(request.model_dump(mode='json'), sort_keys=True)}"
    return hashlib.sha256(words.encode()).hexdigest()


def shown(model: BaseModel, status: int = 200, **headers: str) -> Response:
    """A model as a response, without a second validation."""
    return Response(model.model_dump_json(), status, headers, "application/json")
