"""``/v1/experiments``: submit settings to a rig, wait for the outcome, look at it, take it back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, bindparam, select
from starlette.responses import Response

from api.errors import Conflict, Forbidden, NotFound, TooMany
from api.records import campaigns, fair_queue, people
from api.records.fair_queue import Order
from api.records.people import Caller
from api.records.rigs import Bench, status_of
from api.records.tables import experiment
from api.routes.dependencies import Key, TheCaller, TheService, once, shown
from api.routes.pagination import Limit
from api.routes.problems import responses
from api.service import Service
from frugaltwin.costs import Cost
from frugaltwin.errors import InvalidInput

router = APIRouter(prefix="/v1/experiments", tags=["experiments"])

LONGEST_WAIT = 60.0
WAITING = 1000
"""Experiments of one person that may wait at once."""
ExperimentId = Annotated[str, Path(description="the experiment's id")]
Wait = Annotated[
    str | None,
    Header(alias="Prefer", max_length=200, description="`wait=20`: answer as soon as it has ended, after 20 s in any case; 60 at most"),
]
State = Literal["queued", "leased", "running", "succeeded", "failed", "aborted", "unknown"]


class Price(BaseModel):
    """What something is expected to take, or took."""

    seconds: float = Field(description="lab time, s")
    money: float = Field(description="USD")
    volume: float = Field(description="mL of liquid")

    @classmethod
    def of(cls, cost: Cost) -> Price:
        """From the heart's word for it."""
        return cls(seconds=cost.seconds, money=cost.money, volume=cost.volume)


class NewExperiment(BaseModel):
    """Settings to perform on a rig."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={"examples": [{"rig": "color-1", "settings": {"red": 0.2, "yellow": 0.3, "blue": 0.1, "water": 3.4}}]},
    )

    rig: str = Field(max_length=40, description="its name; GET /v1/rigs lists them")
    settings: dict[Annotated[str, Field(max_length=80)], float | Annotated[str, Field(max_length=80)]] = Field(
        max_length=100, description="one value per parameter of the rig, in that parameter's unit"
    )
    campaign: str | None = Field(None, max_length=40, description="the id of a campaign of yours in the mode client that it is a trial of")
    trial: int | None = Field(
        None, ge=1, le=1_000_000, description="its number in that campaign, above that of the last; without it the next"
    )
    dry_run: bool = Field(False, description="say what it would cost and whether it is allowed; spend nothing, move nothing")


class ExperimentView(BaseModel):
    """An experiment as its owner sees it."""

    id: str = Field(description="such as x_0a1b2c; its address is /v1/experiments/ and this")
    person: str = Field(description="the id of its owner")
    rig: str = Field(description="the rig's name")
    campaign: str | None = Field(description="the id of the campaign that it is a trial of, if it is one")
    trial: int | None = Field(description="its number within the campaign")
    state: State = Field(
        description="queued, leased (a worker has it) and running go on; succeeded, failed, aborted and unknown are ends. "
        "unknown: a real rig's worker was lost in the middle, so it may or may not have run; nobody runs it again but you"
    )
    settings: dict[str, float | str] = Field(description="by the rig's parameters, in their units")
    estimate: Price = Field(description="what is set aside of your budget until it ends; besides, 1 run")
    outcomes: dict[str, float | str] | None = Field(description="what was measured, by the rig's outcomes, in their units")
    raw: dict[str, int | float | str] | None = Field(description="the instrument's own readings, which the outcomes come from")
    cost: Price | None = Field(description="what it took; your budget is charged this, at most the estimate")
    error: str | None = Field(description="why it failed or was aborted")
    provenance: dict[str, Any] | None = Field(description="rig, driver and its options, seed, versions, worker")
    created_at: float = Field(description="s since 1970")
    started_at: float | None = Field(description="s since 1970")
    finished_at: float | None = Field(description="s since 1970")
    position: int | None = Field(description="how many go before it, while it is queued")
    eta_s: float | None = Field(
        description="s until it begins, by the estimates of who goes before; nothing while its rig is not open, or is a twin (it is quick)"
    )
    waiting_because: str | None = Field(description="in words, while it is queued")


class DryRun(BaseModel):
    """What an experiment would cost."""

    allowed: bool = Field(description="whether your budget allows it; what is not allowed otherwise is an error here too")
    reason: str | None = Field(description="why it would be refused")
    estimate: Price = Field(description="what it would take; besides, 1 run")
    position: int = Field(description="how many would go before it")


class ExperimentPage(BaseModel):
    """Experiments, newest first."""

    items: list[ExperimentView] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


@router.post(
    "",
    status_code=202,
    response_model=ExperimentView,
    responses={
        200: {"model": DryRun, "description": "It was a dry run: what it would cost. Nothing was submitted."},
        201: {"model": ExperimentView, "description": "It has ended within the time of `Prefer: wait`: look at its `state`."},
        202: {"description": "It is in the queue. Ask at `Location` until its `state` is an end."},
        **responses(402, 403, 404, 409, 413, 503),
    },
)
async def submit(
    body: NewExperiment,
    service: TheService,
    caller: TheCaller,
    key: Key = None,
    prefer: Wait = None,
) -> Response:
    """Submit settings to a rig. They are durable, priced and in the fair queue when this answers.

    Settings are checked and never changed: what is out of bounds is refused. The estimate is reserved from your budget until it ends.
    With `dry_run` nothing is submitted; the answer says what it would cost.
    """
    if body.dry_run:
        return shown(await service.database.read(lambda c: _dry_run(c, service, caller, body)))
    wait = seconds_to_wait(prefer)
    if not service.rigs.knows(body.rig):  # the writer must not wait for imports
        await service.database.read(lambda c: service.rigs.get(c, body.rig))

    def change(connection: Connection, now: float) -> tuple[int, BaseModel, str]:
        _, order = _order(connection, service, caller, body)
        row = fair_queue.submit(connection, now, order)
        return 202, view(row, waiting_because="the queue"), f"/v1/experiments/{row['id']}"

    response = await once(service, caller, key, body, change)
    if not wait:
        return response
    identity = response.headers["location"].rpartition("/")[2]
    done = await _until_done(service, caller, identity, wait)
    return shown(done, 201, Location=f"/v1/experiments/{identity}") if done else response


@router.get("", responses=responses())
async def page(
    service: TheService,
    caller: TheCaller,
    limit: Limit = 50,
    cursor: Annotated[int | None, Query(ge=1, description="`next` of the page before")] = None,
    campaign: Annotated[str | None, Query(max_length=40, description="only the trials of this campaign, by its id")] = None,
    state: Annotated[State | None, Query(description="only those in this state")] = None,
) -> ExperimentPage:
    """Your experiments, newest first; an instructor sees everybody's."""
    caller.check("read")
    question = select(experiment).order_by(experiment.c.number.desc()).limit(limit + 1)
    if not caller.is_instructor:
        question = question.where(experiment.c.person == caller.person)
    for column, value in ((experiment.c.campaign, campaign), (experiment.c.state, state)):
        if value is not None:
            question = question.where(column == value)
    if cursor is not None:
        question = question.where(experiment.c.number < cursor)
    rows = await service.database.read(lambda c: c.execute(question).mappings().all())
    items = [view(dict(row)) for row in rows[:limit]]
    return ExperimentPage(items=items, next=str(rows[limit - 1]["number"]) if len(rows) > limit else None)


@router.get("/{identity}", responses=responses(404), response_model=ExperimentView)
async def one(identity: ExperimentId, service: TheService, caller: TheCaller, prefer: Wait = None) -> Response:
    """One of your experiments."""
    caller.check("read")

    def look(connection: Connection) -> ExperimentView:
        _mine(connection, caller, identity)
        return _viewed(connection, service, identity)

    found = await service.database.read(look)
    if found.state not in fair_queue.ENDS and (wait := seconds_to_wait(prefer)):
        done = await _until_done(service, caller, identity, wait)
        found = done if done else await service.database.read(look)
    return shown(found)


@router.post("/{identity}/abort", responses=responses(403, 404, 409, 503), response_model=ExperimentView)
async def abort(identity: ExperimentId, service: TheService, caller: TheCaller) -> Response:
    """Take one of your experiments back; if it is running, its rig is stopped."""

    def change(connection: Connection, now: float) -> ExperimentView:
        owner = _mine(connection, caller, identity)
        bench, _ = service.rigs.get(connection, fair_queue.find(connection, identity)["rig"])
        caller.check("run:rig" if bench.is_real else "run:sim")
        return view(fair_queue.abort(connection, now, identity, f"aborted by {caller.title(owner)}"))

    return shown(await service.database.write(change))


def view(row: Mapping[str, Any], place: tuple[int, float | None] | None = None, waiting_because: str | None = None) -> ExperimentView:
    """A row as its owner may see it."""
    result = json.loads(row["result_json"]) if row.get("result_json") else {}
    return ExperimentView.model_construct(
        id=row["id"], person=row["person"], rig=row["rig"], campaign=row["campaign"], trial=row["trial"], state=row["state"],
        settings=json.loads(row["settings_json"]),
        estimate=Price.model_construct(seconds=row["seconds"], money=row["money"], volume=row["volume"]),
        outcomes=result.get("outcomes"), raw=result.get("raw"), cost=Price(**result["cost"]) if result.get("cost") else None,
        error=row.get("error"), provenance=json.loads(row["provenance_json"]) if row.get("provenance_json") else None,
        created_at=row["created_at"], started_at=row.get("started_at"), finished_at=row.get("finished_at"),
        position=place[0] if place else None, eta_s=place[1] if place else None, waiting_because=waiting_because,
    )  # fmt: skip


def check_rig(connection: Connection, service: Service, caller: Caller, name: str) -> tuple[Bench, dict[str, Any]]:
    """The rig, if the caller may use it now.

    Raises:
        NotFound, Forbidden, Conflict: There is no such rig; it is not for this caller; it takes nothing now.
    """
    bench, row = service.rigs.get(connection, name)
    caller.check("run:rig" if bench.is_real else "run:sim")
    if bench.is_real and not caller.is_instructor and not people.is_approved(connection, caller.person, name):
        raise Forbidden(f"{name} is a real rig, and you are not approved for it yet; ask your instructor to approve {caller.person}")
    if row["state"] == "stopped":
        raise Conflict(f"the rig {name} was stopped by the instructor; ask when it is open again")
    return bench, row


def _order(connection: Connection, service: Service, caller: Caller, body: NewExperiment) -> tuple[Bench, Order]:
    bench, _ = check_rig(connection, service, caller, body.rig)
    settings = bench.experiment.check(body.settings)
    if body.campaign is None and body.trial is not None:
        raise InvalidInput(f"trial {body.trial} of which campaign? send the campaign's id with it, or leave the trial out")
    trial = campaigns.admit(connection, caller, body.campaign, body.rig, body.trial) if body.campaign is not None else None
    if not caller.is_instructor and fair_queue.n_waiting(connection, caller.person) >= WAITING:
        words = f"{WAITING:,} experiments of yours wait; send more when some of them are done, or abort some"
        raise TooMany(words, retry_after=10.0)
    cost = bench.estimate(settings)
    return bench, Order(caller.person, body.rig, settings, cost, is_urgent=caller.is_instructor, campaign=body.campaign, trial=trial)


def _dry_run(connection: Connection, service: Service, caller: Caller, body: NewExperiment) -> DryRun:
    from api.records import ledger

    _, order = _order(connection, service, caller, body)
    cost, left = order.estimate, ledger.balance(connection, caller.person)
    asked = {"runs": 1.0, "seconds": cost.seconds, "money": cost.money, "volume": cost.volume}
    lacking = [k for k, has in left.items() if has is not None and asked[k] > has]
    row = {"rig": order.rig, "lane": int(order.is_urgent), "tag": fair_queue.next_tag(connection, order.rig, order.person), "number": 2**62}
    position, _ = fair_queue.place(connection, row)
    reason = f"your budget does not allow it: {', '.join(lacking)}" if lacking else None
    return DryRun(allowed=not lacking, reason=reason, estimate=Price.of(cost), position=position)


_owner = select(experiment.c.person).where(experiment.c.id == bindparam("which"))


def _mine(connection: Connection, caller: Caller, identity: str) -> str:
    """Whose it is; what is another's is refused exactly like what does not exist."""
    owner: str | None = connection.execute(_owner, {"which": identity}).scalar_one_or_none()
    if owner is None or (owner != caller.person and not caller.is_instructor):
        raise NotFound(f"there is no experiment {identity[:40]}; GET /v1/experiments lists yours")
    return owner


def _viewed(connection: Connection, service: Service, identity: str) -> ExperimentView:
    row = fair_queue.find(connection, identity)
    if row["state"] != fair_queue.QUEUED:
        return view(row)
    _, rig = service.rigs.get(connection, row["rig"])
    status = status_of(rig, service.database.now())
    place = fair_queue.place(connection, row)
    reasons = {"offline": "its rig is offline", "paused": "its rig is paused", "stopped": "its rig was stopped"}
    words = reasons.get(status) or (f"{place[0]} go before it" if place[0] else "it is next")
    return view(row, place if status == "open" and rig["is_real"] else (place[0], None), words)


async def _until_done(service: Service, caller: Caller, identity: str, wait: float) -> ExperimentView | None:
    """The experiment if it ends in time; nothing at once if too many requests of this person wait already."""
    with contextlib.suppress(TimeoutError, TooMany), service.rate_limit.waiting(caller):
        async with asyncio.timeout(wait), service.streams.watching(identity) as changed:
            while not service.is_leaving:
                changed.clear()
                row = await service.database.read(lambda c: fair_queue.find(c, identity))
                if row["state"] in fair_queue.ENDS:
                    return view(row)
                await changed.wait()
    return None


def seconds_to_wait(prefer: str | None) -> float:
    """Of a header ``Prefer: wait=20``; other preferences are passed over, as RFC 7240 has it."""
    match = re.search(r"(?:^|[,;\s])wait\s*=\s*(\d{1,6})\b", prefer or "")
    return min(float(match[1]), LONGEST_WAIT) if match else 0.0
