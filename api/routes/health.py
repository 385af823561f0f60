"""``/health``, ``/ready`` and ``/metrics``, for the administrator of the service: counts, and no token or name of a person."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from pydantic import BaseModel, Field
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import Forbidden
from api.records import rigs
from api.records.fair_queue import ENDS, QUEUED
from api.routes.dependencies import TheCaller, TheService, resource
from api.routes.problems import exactly, responses
from api.service import Service
from frugaltwin.errors import StoreError

router = resource(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: str = Field(default="alive", description="always that, if it answers")


class Ready(BaseModel):
    """The service can do its work."""

    status: str = Field(default="ready", description="always that; else the answer is 503")
    rigs: dict[str, str] = Field(description="each rig: open, paused, stopped or offline")


@router.get("/health")
async def health() -> Alive:
    """Whether the process is alive: it asks nothing of anybody."""
    return Alive()


@router.get("/ready", responses=exactly(503))
async def ready(service: TheService) -> Ready:
    """Whether the database can be read and the writer writes; with the state of each rig, which may be offline all the same."""
    rows = await service.database.read(rigs.all_rigs)
    if not service.database.is_writing or service.is_leaving:
        raise StoreError("the service does not write any more; start it again, and look at its log")
    now = service.database.now()
    return Ready(rigs={row.name: rigs.status_of(row, now) for row in rows})


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"description": "in Prometheus's text format"}, **responses(403, 503)},
)
async def metrics(service: TheService, caller: TheCaller) -> Response:
    """Counts for Prometheus. For instructors and observers: give Prometheus the token of an observer."""
    caller.check("read")
    if caller.role not in ("instructor", "observer"):
        raise Forbidden("metrics are for instructors and observers; ask your instructor for an observer's token")
    states = await service.database.read(rigs.n_experiments)
    return PlainTextResponse("".join(_lines(service, states)), media_type="text/plain; version=0.0.4")


class Counted:
    """The middleware that counts requests by method, route and status, in `Service.requests`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", None) or "none"
            scope["app"].state.service.requests[scope["method"], route, status] += 1


def _lines(service: Service, states: dict[str, Counter[str]]) -> Iterator[str]:
    requests: dict[str, float] = defaultdict(float)
    for (method, route, status), n in sorted(service.requests.items()):
        requests[_labels(method=method, route=route, status=str(status))] += n
    yield from _family("frugaltwin_requests_total", "counter", "requests answered by this process", requests.items())
    queued = {_labels(rig=name): float(found[QUEUED]) for name, found in states.items()}
    yield from _family("frugaltwin_queue_length", "gauge", "experiments that wait for a rig", queued.items())
    ended = {_labels(rig=name, end=end): float(found[end]) for name, found in states.items() for end in ENDS}
    yield from _family("frugaltwin_experiments_ended_total", "counter", "experiments by their end", ended.items())
    yield from _family("frugaltwin_event_streams", "gauge", "event streams open in this process", [("", float(len(service.streams)))])
    tally = service.database.tally
    name = "frugaltwin_write_group_seconds"
    yield f"# HELP {name} seconds that a group of changes took to be on disk\n# TYPE {name} histogram\n"
    total = 0
    for limit, n in zip((*tally.LIMITS, float("inf")), tally.groups, strict=True):
        total += n
        yield f'{name}_bucket{{le="{"+Inf" if limit == float("inf") else f"{limit:g}"}"}} {total}\n'
    yield f"{name}_sum {tally.seconds:.6f}\n{name}_count {total}\n"
    yield from _family("frugaltwin_changes_total", "counter", "changes in those groups", [("", float(tally.changes))])


def _family(name: str, kind: str, help_: str, samples: Iterable[tuple[str, float]]) -> Iterator[str]:
    yield f"# HELP {name} {help_}\n# TYPE {name} {kind}\n"
    for labels, value in samples:
        yield f"{name}{labels} {value:.15g}\n"


def _labels(**labels: str) -> str:
    quoted = (f'{k}="{v}"' for k, v in labels.items())  # names of rigs and routes have nothing to escape
    return f"{{{','.join(quoted)}}}"
