"""The service as an ASGI application. A new resource is one file with a `router` and one line in `RESOURCES`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import cache
from importlib import import_module
from typing import Any

from fastapi import FastAPI
from starlette.routing import Route

from api.maintenance import prune_again_and_again
from api.request_limits import WITH_BODY, Charged, HeadAsGet, RequestLimits
from api.routes import problems
from api.routes.health import Counted
from api.routes.problems import Problem
from api.service import opened
from api.settings import Settings
from api.tools.door import PATH, Door, ToDoor
from api.workers.campaign_runner import CampaignRunner
from api.workers.task_runner import TaskRunner

RESOURCES = (
    "experiments",
    "rigs",
    "work",
    "campaigns",
    "entries",
    "me",
    "tokens",
    "join_codes",
    "people",
    "classes",
    "tasks",
    "events",
    "health",
    "page",
    "docs_page",
)
TAGS = {
    "experiments": "Submit settings to a rig, wait for the outcome, look at it, take it back.",
    "campaigns": "Many experiments towards a goal, chosen by the server or by you.",
    "rigs": "What can be asked of each rig, how long its queue is, and its stop button.",
    "events": "What happens, as it happens: server-sent events that go on where they were cut off, or pages of JSON.",
    "people": "Join with a code; who you are and what you may spend; tokens. For instructors: codes, people, budgets.",
    "tasks": "Labs that nobody knows, a goal, a budget and points: the tasks of a class.",
    "classes": "For instructors: classes, their tasks, grades and archives.",
    "work": "For workers of rigs.",
    "health": "For the administrator of the service.",
}
ABOUT = """\
A self-driving lab on a desk, and its twin, for a class.

Every request but `POST /v1/join`, `/health` and `/ready` carries a token: `Authorization: Bearer ft_…`. Every error is a problem document
(RFC 9457, `application/problem+json`) whose `detail` says what to do next. A POST that creates takes an `Idempotency-Key`: sent again, it
is done once. No GET ever moves a rig. Units: mL, s, K, USD.

To begin: `GET /v1/rigs` says what can be asked of each rig, with limits and units; `GET /v1/me` what is left to spend.
`POST /v1/experiments` with `dry_run` prices settings; without it, and with `?wait=60`, it performs them and answers with what was measured.
To let the service look for the best settings, `POST /v1/campaigns` with a goal, and read the campaign until its `state` is `ended`. To
choose for yourself and see your scores, start one in the mode `client`, and name its `id` in each experiment.

All of this with every field is long; `GET /openapi.json?for=student` has what a student may call, in a third of the words.
"""


HEADERS = {
    "201": ("Location", "the address of what was made", "string"),
    "202": ("Location", "the address at which to ask how it is getting on", "string"),
    "401": ("WWW-Authenticate", "Bearer", "string"),
    "429": ("Retry-After", "s to wait before the next request", "integer"),
}


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Something that goes on as long as the service runs, and is ended with it."""
    going = asyncio.create_task(work)
    try:
        yield
    finally:
        going.cancel()
        with suppress(asyncio.CancelledError):
            await going


def create_app(settings: Settings) -> FastAPI:
    """The application; its database has been brought up to date before."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with opened(settings) as service:
            app.state.service = service
            database, news, strategies = service.database, service.news, service.strategies
            campaigns = CampaignRunner(database, news, service.rigs, strategies, settings.most_trials).run()
            labs = TaskRunner(database, news, strategies).run()
            pruning = prune_again_and_again(database, settings.keep_days * 86_400)
            app.state.tools = tools = Door(service)
            async with in_background(campaigns), in_background(labs), in_background(pruning), in_background(tools.keep_open()):
                yield {"strangers": service.strangers}  # the protocol asks them before a request begins

    app = FastAPI(
        title="Frugal Twin", version="1", summary="Experiments on twins and rigs, in turn", description=ABOUT, lifespan=lifespan,
        openapi_tags=[{"name": name, "description": about} for name, about in TAGS.items()], servers=[{"url": "/", "description": "here"}],
        license_info={"name": "MIT"}, openapi_url=None, docs_url=None, redoc_url=None, swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    app.state.documents = {}  # those of `docs_page` that were made
    problems.install(app)
    for name in RESOURCES:
        # One list: FastAPI's include_router makes a router within the router, and each request is matched against all of them in turn.
        app.router.routes.extend(import_module(f"api.routes.{name}").router.routes)
    app.router.routes.append(Route(PATH, ToDoor(), include_in_schema=False))
    app.add_middleware(RequestLimits)
    app.add_middleware(Counted)
    app.add_middleware(HeadAsGet)
    app.add_middleware(Charged)
    make = app.openapi

    def openapi() -> dict[str, Any]:
        document = make()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" not in schemas:
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= schema.pop("$defs", {}) | {"Problem": schema}
        errors = document["components"].setdefault("responses", {})
        for method, operation in ((method, operation) for path in document["paths"].values() for method, operation in path.items()):
            _complete(method.upper(), operation, schemas)
            for status, response in operation["responses"].items():
                if status >= "400" and "$ref" not in response:  # the same wherever it can happen: said once, it is a third of the document
                    errors[f"Problem{status}"] = response
                    operation["responses"][status] = {"$ref": f"#/components/responses/Problem{status}"}
        return document

    app.openapi = cache(openapi)  # type: ignore[method-assign]
    return app


def _complete(method: str, operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Say in the document what FastAPI does not know: which errors are always possible, what an answer is, and its headers."""
    always = {422, *((401, 403, 429, 503) if "security" in operation else ()), *((408, 413, 415) if method in WITH_BODY else ())}
    operation["responses"] = {str(s): r for s, r in problems.exactly(*always).items()} | operation["responses"]
    operation["summary"] = operation["description"].partition("\n")[0].rstrip(".")  # FastAPI's is the function's name
    for status, response in operation["responses"].items():
        if "$ref" in response:
            continue
        if response["description"] == "Successful Response":
            (content,) = response.get("content", {"": {"schema": {}}}).values()
            schema = schemas.get(content["schema"].get("$ref", "").rpartition("/")[2], {})
            response["description"] = schema.get("description", "Done; there is nothing to say.")
        if status in HEADERS:
            name, about, kind = HEADERS[status]
            response["headers"] = {name: {"description": about, "schema": {"type": kind}}}
