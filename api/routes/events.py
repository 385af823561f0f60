"""``/v1/events``: events as they happen (server-sent events), or page by page (JSON)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import Header, Query
from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.event_streams import EventStreams, Listener, text
from api.records import event_log
from api.records.event_log import Filter
from api.records.rows import EventRow
from api.routes.dependencies import TheCaller, TheService, resource
from api.routes.parts import Parts
from api.routes.problems import responses
from frugaltwin.client.resources import Event

router = resource(prefix="/v1/events", tags=["events"])

STREAM = "text/event-stream"
_DESCRIPTION = (
    "JSON, or with `Accept: text/event-stream` a stream without end: each has `id`, `event` (its kind) and `data` (the event as JSON); a "
    "comment every 15 s is a sign of life. Events are removed after a while (90 days): where some that followed yours are gone, "
    "`events.removed` comes first, with the id of the last of them."
)
_EXAMPLE = 'id: 12\nevent: experiment.queued\ndata: {"id": 12, "kind": "experiment.queued", …}\n\n'


class EventPage(BaseModel):
    """Events, oldest first."""

    items: list[Event] = Field(description="as many as `limit`, or the newest")
    next: str = Field(description="`after` of the next page; when nothing has followed yet, the same again")


class Stream(Parts):
    """The events of a listener as a response. The listener leaves when the response is over, however it ends."""

    def __init__(self, streams: EventStreams, listener: Listener) -> None:
        super().__init__(listener, 200, {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept"}, STREAM)
        self._streams, self._listener = streams, listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.leave(self._listener)


@router.get(
    "",
    response_model=EventPage,
    responses={
        200: {"description": _DESCRIPTION, "content": {STREAM: {"schema": {"type": "string"}, "example": _EXAMPLE}}},
        **responses(403, 503),
    },
)
async def events(
    service: TheService,
    caller: TheCaller,
    accept: Annotated[str, Header(max_length=1000, include_in_schema=False)] = "",
    last: Annotated[
        int | None, Header(alias="Last-Event-ID", ge=0, le=2**53, description="go on after this event: browsers send it by themselves")
    ] = None,
    after: Annotated[int | None, Query(ge=0, le=2**53, description="begin after this event; a stream begins with what is new")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="of a page of JSON")] = 100,
    rig: Annotated[str | None, Query(max_length=40, description="only of this rig, by its name")] = None,
    campaign: Annotated[str | None, Query(max_length=40, description="only of this campaign, by its id")] = None,
    experiment: Annotated[str | None, Query(max_length=40, description="only of this experiment, by its id")] = None,
) -> Response:
    """Your events and those of rigs; an instructor or an observer sees everybody's."""
    caller.check("read")
    wants = Filter(None if caller.sees_all else caller.person, rig, campaign, experiment)
    begin = after if last is None else last
    if STREAM in accept.lower():
        return Stream(service.streams, await service.streams.listen(caller, wants, begin))
    if begin is None:
        rows = await service.database.read(partial(event_log.after, number=0, count=limit, wants=wants))
    else:
        now = service.database.now()
        rows = await service.database.read(partial(event_log.since, now=now, number=begin, count=limit, wants=wants))
    return Response(_page(rows, begin or 0), media_type="application/json", headers={"Vary": "Accept"})


def _page(rows: Sequence[EventRow], begin: int) -> str:
    end = rows[-1].id if rows else begin
    return f'{{"items": [{", ".join(map(text, rows))}], "next": "{end}"}}'
