"""``/v1/campaigns``: let the server try settings for a goal, trial after trial, or keep together what a program of yours tries."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError
from sqlalchemy import Connection, select
from starlette.responses import Response

from api.records import campaigns, people
from api.records.campaigns import ENDED, PAUSED, RUNNING, WAITING
from api.records.fair_queue import Conflict, Row
from api.records.people import Caller
from api.records.rigs import Bench
from api.records.tables import campaign, experiment
from api.routes import campaign_export
from api.routes.dependencies import Key, TheCaller, TheService, once, shown
from api.routes.experiments import ExperimentView, Price, check_rig, view
from api.routes.pagination import Limit
from api.routes.plain_text import Name
from api.routes.problems import responses
from api.service import Service
from api.workers import strategy_processes
from api.workers.campaign_runner import bench_of, question_of, submit, trials_of
from frugaltwin.budget import Budget
from frugaltwin.catalog import KINDS, names, summary
from frugaltwin.errors import CampaignError, InvalidInput, in_words
from frugaltwin.experiment import Trial, total_cost
from frugaltwin.spec import BudgetSpec, Choice, StopSpec

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])

State = Literal["running", "waiting", "paused", "ended"]
Mode = Literal["server", "client"]
Values = dict[Annotated[str, Field(max_length=80)], float | Annotated[str, Field(max_length=80)]]
Identity = Annotated[str, Path(max_length=40, description="the campaign's id")]
_LISTED = {kind: " ".join(f"`{name}`: {summary(kind, name)}" for name in names(kind)) for kind in KINDS}


class Strategy(Choice):
    """A strategy of the catalog with its options; of a campaign in the mode client, whatever its program calls it."""

    name: Name = Field(description=f"{_LISTED['strategy']} Not every strategy can follow every goal")
    options: dict[Name, bool | int | float | Name] = Field({}, max_length=50, description="the strategy's own without them")


class NewCampaign(BaseModel):
    """What a campaign is to be. One of the same name goes on, as long as nothing contradicts it."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={"examples": [{"name": "reef", "rig": "color-1", "goal": "match-color:coral", "budget": {"runs": 12}}]},
    )

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="up to 64 letters, digits, '.', '_' and '-', a letter or digit first; among your campaigns only one has it",
    )
    rig: str = Field(max_length=40, description="its name; GET /v1/rigs lists them")
    goal: str | None = Field(
        None,
        max_length=200,
        description="such as match-color:coral, match-color:#8fb04a, match-color:lab(L, a, b) or maximize:OUTCOME with an outcome of the "
        f"rig; the rig's usual one without it. {_LISTED['goal']}",
    )
    strategy: Strategy | None = Field(None, description="the goal's own without it")
    seed: int | None = Field(None, ge=0, lt=2**32, description="of everything random; 0 without it")
    budget: BudgetSpec | None = Field(None, description="how much it may use in all; 10 runs without it")
    stop: StopSpec | None = Field(None, description="when it ends before its budget does")
    approve: bool | None = Field(None, description="whether every suggestion waits for a person; it does not without this")
    mode: Mode = Field(
        "server", description="who chooses what to try: the server, or a program of yours, which then keeps to budget and stop rule itself"
    )


class Spent(Price):
    """The campaign's own clock and purse: what its trials took, on a twin as the rig would take it."""

    runs: int = Field(description="trials, failed ones included")


class Proposal(BaseModel):
    """A suggestion that waits for a person."""

    trial: int = Field(description="its number, if it is performed")
    settings: dict[str, float | str] = Field(description="by the rig's parameters, in their units")


class CampaignItem(BaseModel):
    """A campaign in short."""

    id: str = Field(description="such as c_0a1b2c; its address is /v1/campaigns/ and this")
    person: str = Field(description="the id of its owner")
    name: str = Field(description="as its owner called it")
    rig: str = Field(description="the rig's name")
    mode: Mode = Field(description="who chooses what to try: the server, or a program of its owner's")
    state: State = Field(description="running, waiting (for a person to judge `proposal`), paused, or ended; extended, it goes on")
    reason: str | None = Field(description="why it is paused or has ended")
    goal: str = Field(description="in full: a color as lab(L, a, b)")
    strategy: Choice | None = Field(description="what chooses; nothing where a program of its owner's does and does not say how")
    seed: int = Field(description="of everything random in the choice")
    budget: BudgetSpec = Field(description="how much it may use in all, out of its owner's budget")
    stop: StopSpec | None = Field(description="when it ends before its budget does")
    approve: bool = Field(description="whether every suggestion waits for a person")
    n_trials: int = Field(description="number of the last submitted trial, which may be under way")
    proposal: Proposal | None = Field(description="what waits for a person: POST …/proposal")
    created_at: float = Field(description="s since 1970")


class TrialView(BaseModel):
    """A trial with its score."""

    trial: int = Field(description="its number; the first is 1")
    score: float | None = Field(description="by the campaign's goal; nothing where there is no reading, or the goal has no score")
    experiment: ExperimentView = Field(description="the experiment that it is")


class CampaignView(CampaignItem):
    """A campaign with what it has come to."""

    title: str = Field(description="the goal in words")
    unit: str = Field(description="of the score, such as ΔE00, a difference of colors: 1 is just visible, 0 is none")
    best: TrialView | None = Field(description="the trial with the best reading")
    spent: Spent = Field(description="by its trials so far; compare with `budget`")


class CampaignPage(BaseModel):
    """Campaigns, newest first."""

    items: list[CampaignItem] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


class TrialPage(BaseModel):
    """Trials, in the order of their numbers."""

    items: list[TrialView] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


class Recommendation(BaseModel):
    """What to use from now on."""

    settings: dict[str, float | str] | None = Field(description="nothing as long as nothing was measured")
    by: Literal["model", "best reading"] = Field(description="the model's choice, or the settings of the best reading, which may be luck")
    n_trials: int = Field(description="trials that it is based on")


class Action(BaseModel):
    """What is to be done with a campaign."""

    model_config = ConfigDict(
        extra="forbid", allow_inf_nan=False, json_schema_extra={"examples": [{"action": "extend", "budget": {"runs": 5}}]}
    )

    action: Literal["pause", "resume", "stop", "extend"] = Field(
        description="pause: what is under way is finished, and no more is tried. resume: it goes on. stop: what is under way is aborted, "
        "and it ends. extend: it may use more, and goes on if it had ended"
    )
    budget: BudgetSpec | None = Field(None, description="how much more it may use, for extend")


class Judgment(BaseModel):
    """What a person says to a suggestion."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, json_schema_extra={"examples": [{"trial": 1, "decision": "approve"}]})

    trial: int = Field(ge=1, le=1_000_000, description="of the proposal; said twice, it is not taken for the next one")
    decision: Literal["approve", "reject", "edit"] = Field(
        description="approve: it is performed. edit: what you send as `settings` is. reject: something else is suggested"
    )
    settings: Values | None = Field(None, max_length=100, description="what to try in its place, for edit")


class Addressed(BaseModel):
    """A request to one campaign, so that a key of it is not mixed up with a request to another."""

    campaign: str
    request: SerializeAsAny[BaseModel]


@router.post("", status_code=202, response_model=CampaignItem, responses=responses(403, 404, 409, 413, 501, 503))
async def start(body: NewCampaign, service: TheService, caller: TheCaller, key: Key = None) -> Response:
    """Start a campaign, or let the one of that name go on. It runs when this answers.

    In the mode server it goes on by itself, trial after trial, until `budget` or `stop` ends it: read it until `state` is ended, or follow
    its events. What it tries is charged to your budget.
    """
    bench, rig, before = await service.database.read(lambda c: _before(c, service, caller, body))
    stored = json.loads(before["words_json"]) if before else {}
    seed = next(s for s in (body.seed, stored.get("seed"), 0) if s is not None)
    asked = bench_of(bench, before["experiment_json"] if before else rig["experiment_json"])
    strategy = body.strategy.model_dump() if body.strategy else stored.get("strategy")
    goal = body.goal or stored.get("goal")
    if body.mode == campaigns.SERVER:
        with service.waiting(caller):
            words = await service.thinkers.ask(caller.person, strategy_processes.understood, asked, goal, strategy, seed)
    else:  # its strategy is its owner's
        words = await asyncio.to_thread(strategy_processes.understood_goal, asked, goal, seed) | {"strategy": strategy}
    words["seed"] = seed

    def change(connection: Connection, now: float) -> tuple[int, BaseModel, str]:
        people.check_token(connection, caller.token)  # whoever was just removed starts nothing
        row = campaigns.named(connection, caller.person, body.name)
        if row is None:
            row = campaigns.start(connection, now, caller.person, body.name, rig, body.mode, words | _limits(body, {}))
        else:
            row = _continued(connection, now, row, body, words)
        return 202, _item(connection, row), f"/v1/campaigns/{row['id']}"

    return await once(service, caller, key, body, change)


@router.get("", responses=responses())
async def page(
    service: TheService,
    caller: TheCaller,
    limit: Limit = 50,
    cursor: Annotated[int | None, Query(ge=1, lt=2**62, description="`next` of the page before")] = None,
    state: Annotated[State | None, Query(description="only those in this state")] = None,
) -> CampaignPage:
    """Your campaigns, newest first; an instructor sees everybody's."""
    caller.check("read")
    question = select(campaign).order_by(campaign.c.number.desc()).limit(limit + 1)
    if not caller.is_instructor:
        question = question.where(campaign.c.person == caller.person)
    if state is not None:
        question = question.where(campaign.c.state == state)
    if cursor is not None:
        question = question.where(campaign.c.number < cursor)

    def read(connection: Connection) -> tuple[list[CampaignItem], str | None]:
        rows = [dict(row) for row in connection.execute(question).mappings()]
        items = [_item(connection, row) for row in rows[:limit]]
        return items, str(rows[limit - 1]["number"]) if len(rows) > limit else None

    items, after = await service.database.read(read)
    return CampaignPage(items=items, next=after)


@router.get("/{identity}", responses=responses(404), response_model=CampaignView)
async def one(identity: Identity, service: TheService, caller: TheCaller) -> Response:
    """One of your campaigns."""
    caller.check("read")
    return shown(await service.database.read(lambda c: _view(c, campaigns.find(c, identity, caller))))


@router.get("/{identity}/trials", responses=responses(404), response_model=TrialPage)
async def trials(
    identity: Identity,
    service: TheService,
    caller: TheCaller,
    limit: Limit = 50,
    cursor: Annotated[int, Query(ge=1, le=1_000_000, description="`next` of the page before")] = 1,
) -> Response:
    """What a campaign has tried, in the order of the numbers; the last may be under way."""
    caller.check("read")

    def read(connection: Connection) -> TrialPage:
        row = campaigns.find(connection, identity, caller)
        question = select(experiment).where(experiment.c.campaign == identity, experiment.c.trial >= cursor)
        rows = connection.execute(question.order_by(experiment.c.trial).limit(limit + 1)).mappings().all()
        items = [_trial(row, dict(x)) for x in rows[:limit]]
        return TrialPage(items=items, next=str(rows[limit]["trial"]) if len(rows) > limit else None)

    return shown(await service.database.read(read))


@router.get("/{identity}/recommendation", responses=responses(404, 409, 501))
async def recommendation(identity: Identity, service: TheService, caller: TheCaller) -> Recommendation:
    """What to use from now on: the model's choice where the strategy has a model, else the best trial's settings."""
    caller.check("read")
    row, bench, known = await service.database.read(lambda c: _asked(c, service, caller, identity))
    question = question_of(row, bench, known)
    with service.waiting(caller):
        settings, has_model = await service.thinkers.ask_once(
            ("recommend", identity, len(known)), caller.person, strategy_processes.recommend, question
        )
    by: Literal["model", "best reading"] = "model" if has_model else "best reading"
    return Recommendation(settings=dict(settings) if settings is not None else None, by=by, n_trials=len(known))


@router.post("/{identity}/actions", responses=responses(403, 404, 409, 413, 503), response_model=CampaignItem)
async def act(identity: Identity, body: Action, service: TheService, caller: TheCaller, key: Key = None) -> Response:
    """Pause, resume, stop or extend a campaign."""

    def change(connection: Connection, now: float) -> tuple[int, BaseModel, str]:
        row = mine(connection, service, caller, identity)
        return 200, _item(connection, _acted(connection, now, row, body, caller)), f"/v1/campaigns/{identity}"

    return await once(service, caller, key, Addressed(campaign=identity, request=body), change)


@router.post("/{identity}/proposal", responses=responses(402, 403, 404, 409, 413, 503), response_model=CampaignItem)
async def judge(identity: Identity, body: Judgment, service: TheService, caller: TheCaller) -> Response:
    """Say what becomes of the suggestion that waits for a person."""

    def change(connection: Connection, now: float) -> CampaignItem:
        row = mine(connection, service, caller, identity)
        return _item(connection, _judged(connection, now, service, row, body))

    return shown(await service.database.write(change))


@router.get("/{identity}/export", response_class=Response, responses={200: campaign_export.CONTENT, **responses(404, 409, 501)})
async def export(
    identity: Identity,
    service: TheService,
    caller: TheCaller,
    form: Annotated[campaign_export.Form, Query(alias="format", description=campaign_export.ABOUT)] = "csv",
) -> Response:
    """All trials of a campaign with their provenance, or its picture (`svg`)."""
    caller.check("read")
    if form == "svg":
        row, bench, known = await service.database.read(lambda c: _asked(c, service, caller, identity))
        question = question_of(row, bench, known)
        with service.waiting(caller):
            body: str | bytes = await service.thinkers.ask_once(
                ("picture", identity, len(known)), caller.person, strategy_processes.picture, question
            )
    else:

        def read(connection: Connection) -> tuple[Row, list[Row], CampaignView]:
            row = campaigns.find(connection, identity, caller)
            return row, campaigns.rows_of(connection, identity), _view(connection, row)

        row, rows, whole = await service.database.read(read)
        body = await asyncio.to_thread(campaign_export.table, form, row, rows, whole)
    return campaign_export.response(form, row["name"], body)


def _before(connection: Connection, service: Service, caller: Caller, body: NewCampaign) -> tuple[Bench, Row, Row | None]:
    """The rig, and the campaign of that name if there is one."""
    if body.approve and body.mode == campaigns.CLIENT:
        raise InvalidInput("only what the server suggests can wait for a person; leave approve out, or take the mode server")
    bench, rig = check_rig(connection, service, caller, body.rig)
    row = campaigns.named(connection, caller.person, body.name)
    if row is not None and row["rig"] != body.rig:
        raise CampaignError(_other_words(body.name, "rig", row["rig"], body.rig))
    if row is not None and row["mode"] != body.mode:
        raise CampaignError(_other_words(body.name, "mode", row["mode"], body.mode))
    return bench, rig, row


def _continued(connection: Connection, now: float, row: Row, body: NewCampaign, asked: dict[str, Any]) -> Row:
    """The campaign of that name goes on, unless something contradicts it."""
    stored = json.loads(row["words_json"])
    for field in ("goal", "strategy", "seed"):
        if asked[field] != stored[field]:
            raise CampaignError(_other_words(body.name, field, stored[field], asked[field]))
    words = json.dumps(stored | _limits(body, stored), allow_nan=False)
    if row["state"] in (RUNNING, WAITING):
        return campaigns.turn(connection, now, row, row["state"], None, words_json=words)
    return campaigns.go_on(connection, now, row, words_json=words)


def _limits(body: NewCampaign, stored: dict[str, Any]) -> dict[str, Any]:
    """What may be asked for anew when a campaign goes on: budget, stop rule, approval."""
    budget = body.budget.model_dump() if body.budget else stored.get("budget") or vars(Budget(runs=10))
    Budget(**budget)  # refuses one without a limit
    stop = (body.stop.model_dump() if body.stop else None) if "stop" in body.model_fields_set else stored.get("stop")
    approve = body.approve if body.approve is not None else stored.get("approve", False)
    return {"budget": budget, "stop": stop, "approve": approve}


def _acted(connection: Connection, now: float, row: Row, body: Action, caller: Caller) -> Row:
    is_extended, has_ended, who = body.action == "extend", row["state"] == ENDED, caller.title(row["person"])
    if body.budget is not None and not is_extended:
        raise InvalidInput(f"a budget comes with extend, not with {body.action}; leave it out")
    if has_ended and not is_extended:
        raise Conflict(f"campaign {row['name']!r} has ended ({row['reason']}); extend it to go on")
    if body.action == "pause":
        return row if row["state"] == PAUSED else campaigns.turn(connection, now, row, PAUSED, f"paused by {who}", thinker=None)
    if body.action == "stop":
        return campaigns.stop(connection, now, row, f"stopped by {who}")
    if body.action == "resume":
        return campaigns.go_on(connection, now, row) if row["state"] == PAUSED else row
    if body.budget is None or not body.budget.model_dump(exclude_none=True):
        raise InvalidInput('say how much more it may use, such as {"action": "extend", "budget": {"runs": 10}}')
    words, more = json.loads(row["words_json"]), body.budget.model_dump(exclude_none=True)
    for kind, amount in more.items():
        if words["budget"][kind] is None:
            raise InvalidInput(f"campaign {row['name']!r} has no limit of {kind} to extend; leave {kind} out")
        words["budget"][kind] += amount
    try:
        BudgetSpec(**words["budget"])
    except ValidationError as error:
        raise InvalidInput(f"that is too much: {in_words(error.errors()[0]['msg'])} in all; extend it by less") from error
    text = json.dumps(words, allow_nan=False)
    if row["state"] == PAUSED:  # which a person has to resume
        return campaigns.turn(connection, now, row, PAUSED, row["reason"], words_json=text)
    if has_ended:
        return campaigns.go_on(connection, now, row, words_json=text)
    return campaigns.turn(connection, now, row, row["state"], None, words_json=text)


def _judged(connection: Connection, now: float, service: Service, row: Row, body: Judgment) -> Row:
    proposal = json.loads(row["proposal_json"] or "{}")
    if row["state"] != WAITING or proposal.get("trial") != body.trial:
        raise Conflict(f"no suggestion for trial {body.trial} of campaign {row['name']!r} waits for a person; look at its proposal")
    if (body.settings is None) == (body.decision == "edit"):
        raise InvalidInput("settings come with the decision edit, and only with it; add them, or leave them out")
    if body.decision == "reject":
        rejected = [*proposal.get("rejected", []), proposal["settings"]]
        return campaigns.turn(connection, now, row, RUNNING, None, proposal_json=json.dumps({"rejected": rejected}))
    settings = body.settings if body.settings is not None else proposal["settings"]
    bench, _ = service.benches.get(connection, row["rig"])
    price = bench.estimate(bench.experiment.check(settings))
    if reason := Budget(**json.loads(row["words_json"])["budget"]).exhausted(trials_of(connection, row), price):
        raise CampaignError(f"the campaign cannot pay for that ({reason}); extend it, or choose something cheaper")
    return submit(connection, now, service.benches, row, settings)


def mine(connection: Connection, service: Service, caller: Caller, identity: str) -> Row:
    """A campaign, for somebody who may do something with it."""
    row = campaigns.find(connection, identity, caller)
    bench, _ = service.benches.get(connection, row["rig"])
    caller.check("run:rig" if bench.is_real else "run:sim")
    return row


def _asked(connection: Connection, service: Service, caller: Caller, identity: str) -> tuple[Row, Bench, list[Trial]]:
    row = campaigns.find(connection, identity, caller)
    bench, _ = service.benches.get(connection, row["rig"])
    return row, bench, trials_of(connection, row)


def _item(connection: Connection, row: Row) -> CampaignItem:
    return CampaignItem(**_fields(connection, row))


def _fields(connection: Connection, row: Row) -> dict[str, Any]:
    words, proposal = json.loads(row["words_json"]), json.loads(row["proposal_json"] or "{}")
    kept = {k: row[k] for k in ("id", "person", "name", "rig", "mode", "state", "reason", "created_at")}
    waiting = Proposal(trial=proposal["trial"], settings=proposal["settings"]) if "settings" in proposal else None
    return {**kept, **words, "n_trials": campaigns.n_trials(connection, row["id"]), "proposal": waiting}


def _view(connection: Connection, row: Row) -> CampaignView:
    rows, goal = campaigns.rows_of(connection, row["id"]), campaigns.goal_of(json.loads(row["words_json"])["goal"], row["experiment_json"])
    done = [t for x in rows if (t := campaigns.trial_of(x, goal))]
    best, cost = goal.best(done), total_cost(done)
    spent = Spent(runs=len(done), seconds=cost.seconds, money=cost.money, volume=cost.volume)
    shown_best = next((_trial(row, x) for x in rows if best and x["trial"] == best[0].number), None)
    fields = _fields(connection, row)
    return CampaignView(**fields, title=goal.title, unit=goal.unit, best=shown_best, spent=spent)


def _trial(row: Row, of: Row) -> TrialView:
    goal = campaigns.goal_of(json.loads(row["words_json"])["goal"], row["experiment_json"])
    trial = campaigns.trial_of(of, goal)
    return TrialView(trial=of["trial"], score=goal.score_of_trial(trial) if trial else None, experiment=view(of))


def _other_words(name: str, field: str, stored: object, asked: object) -> str:
    return f"campaign {name!r} was started with {field} {stored}, not {asked}; leave that out to go on with it, or choose another name"
