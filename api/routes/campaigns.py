"""``/v1/campaigns``: campaigns that the server runs, trial after trial, or that collect the trials of a program of yours."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny
from sqlalchemy import Connection
from starlette.responses import Response

from api.errors import NotFound
from api.records import campaign_actions, campaign_log, campaign_trials, campaigns, standings
from api.records.experiments import Look
from api.records.people import Caller
from api.records.rows import CampaignRow, EntryRow, ExperimentRow
from api.records.standings import Score
from api.routes import campaign_export
from api.routes.body import Body
from api.routes.dependencies import Key, Made, TheCaller, TheService, as_json, once, resource, shown
from api.routes.experiments import view
from api.routes.pagination import Limit
from api.routes.parts import File
from api.routes.plain_text import Name
from api.routes.problems import responses
from api.routes.waiting import Wait, until
from api.service import Service
from api.workers import strategy_processes
from api.workers.campaign_runner import description_of, question_for
from frugaltwin.catalog import names, summary
from frugaltwin.client.resources import CampaignStatus, CampaignTrial, ListedCampaign, Recommendation, TrialCorrection
from frugaltwin.goals.words import joined
from frugaltwin.log import Relation
from frugaltwin.spec import BudgetSpec, Choice, StopSpec, Whole

router = resource(prefix="/v1/campaigns", tags=["campaigns"])

CampaignState = Literal["running", "waiting", "paused", "ended"]
Mode = Literal["server", "client"]
Values = dict[Annotated[str, Field(max_length=80)], float | Annotated[str, Field(max_length=80)]]
Why = Annotated[str, Field(max_length=500)]
Identity = Annotated[str, Path(max_length=40, description="the campaign's id")]
_GOALS = " ".join(f"`{name}`: {summary('goal', name)}" for name in names("goal"))
_STRATEGIES = "; ".join(f"`{name}`: {re.split('[,;:.]', summary('strategy', name))[0]}" for name in names("strategy"))


GoalText = Annotated[str, Field(max_length=1000)]


class Strategy(Choice):
    """A strategy of the catalog with its options; of a campaign in the mode client, whatever its program calls it."""

    name: Name = Field(description=f"{_STRATEGIES}. GET /v1/rigs/{{name}} says which suit which goal")
    options: dict[Name, bool | int | float | Name] = Field({}, max_length=50, description="the strategy's own without them")


CampaignName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class NewCampaign(Body):
    """A campaign to start. One of the same name goes on, as long as nothing contradicts it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "reef", "rig": "color-1", "goal": "match-color:coral", "budget": {"runs": 12}}]},
    )

    name: CampaignName = Field(
        description="up to 64 letters, digits, '.', '_' and '-', a letter or digit first; among your campaigns only one has it",
    )
    rig: str = Field(max_length=40, description="its name; GET /v1/rigs lists them")
    goal: GoalText | Annotated[list[GoalText], Field(min_length=1, max_length=10)] | None = Field(
        None,
        description="such as match-color:coral, match-color:#8fb04a, match-color:lab(L, a, b) or maximize:OUTCOME with an outcome of the "
        f"rig; the rig's usual one without it. Several are objectives of one goal. {_GOALS}",
    )
    require: list[Annotated[str, Field(max_length=200)]] = Field(
        [], max_length=10, description="bounds that a good trial keeps, such as `t_415 <= 0.6`"
    )
    strategy: Strategy | None = Field(None, description="the goal's own without it")
    seed: Whole | None = Field(None, ge=0, lt=2**32, description="of everything random; 0 without it")
    budget: BudgetSpec | None = Field(None, description="how much it may use in all; 10 runs without it")
    stop: StopSpec | None = Field(None, description="when it ends before its budget does")
    approve: bool | None = Field(None, description="whether every suggestion waits for a person; it does not without this")
    earlier: dict[CampaignName, Relation] | None = Field(
        None,
        max_length=20,
        description="your campaigns to learn from, by name, and the relation of each one's rig to this one: the same lab, a sister lab "
        "(the same outcomes with other materials), or a twin. What they have measured by now counts, as it stands after corrections",
    )
    mode: Mode = Field(
        "server", description="who chooses what to try: the server, or a program of yours, which then keeps to the stop rule itself"
    )

    @property
    def goal_text(self) -> str | None:
        """Objectives and requirements as one text."""
        return joined([self.goal] if isinstance(self.goal, str) else self.goal or (), self.require) or None


class CampaignPage(BaseModel):
    """Campaigns, newest first."""

    items: list[ListedCampaign] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


class TrialPage(BaseModel):
    """Trials, in the order of their numbers."""

    items: list[CampaignTrial] = Field(description="as many as `limit`, or the last")
    next: str | None = Field(description="`cursor` of the next page; nothing when this is the last")


class Action(Body):
    """An action on a campaign."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"action": "extend", "budget": {"runs": 5}}]})

    action: Literal["pause", "resume", "stop", "extend"] = Field(
        description="pause: what is under way is finished, and no more is tried. resume: it goes on. stop: what is under way is aborted, "
        "and it ends. extend: it may use more, and goes on if it had ended"
    )
    budget: BudgetSpec | None = Field(None, description="how much more it may use, for extend")


class Judgment(Body):
    """A person's judgment of a suggestion."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"trial": 1, "decision": "approve"}]})

    trial: Whole = Field(ge=1, le=1_000_000, description="of the proposal; said twice, it is not taken for the next one")
    decision: Literal["approve", "reject", "edit"] = Field(
        description="approve: it is performed. edit: what you send as `settings` is. reject: something else is suggested"
    )
    settings: Values | None = Field(None, max_length=100, description="what to try in its place, for edit")
    why: Why = Field("", description="the reason, for reject; it is kept")


PROPOSED = ("trial", "settings", "why", "expected", "worth")


class Addressed(BaseModel):
    """A request to one campaign, so that a key of it is not mixed up with a request to another."""

    campaign: str
    request: SerializeAsAny[BaseModel]


@router.post("", status_code=202, response_model=ListedCampaign, responses=responses(403, 404, 409, 413, 501, 503))
async def start(body: NewCampaign, service: TheService, caller: TheCaller, key: Key = None) -> Response:
    """Start a campaign, or let the one of that name go on. It runs when this answers.

    In the mode server it goes on by itself, trial after trial, until `budget` or `stop` ends it: read it until `state` is ended, or follow
    its events. What it tries is charged to your budget.
    """
    request = campaign_actions.Request(
        body.name, body.rig, body.mode, body.goal_text, body.strategy.model_dump() if body.strategy else None, body.seed,
        body.budget.model_dump() if body.budget else None, body.stop.model_dump(exclude_none=True) if body.stop else None,
        "stop" in body.model_fields_set, body.approve, body.earlier,
    )  # fmt: skip
    most = service.settings.most_trials
    checked = await service.database.read(lambda c: campaign_actions.check(c, service.rigs, caller, request, most))
    asked = description_of(checked.rig, checked.experiment_json)
    if body.mode == campaigns.SERVER:
        with service.rate_limit.waiting(caller):
            understood = await service.strategies.ask(
                caller.person, strategy_processes.understood, asked, checked.goal, checked.strategy, checked.seed, checked.earlier
            )
    else:  # its strategy is its owner's
        understood = await asyncio.to_thread(strategy_processes.understood_goal, asked, checked.goal, checked.seed)
        understood |= {"strategy": checked.strategy, "used": {}}
    used = understood.pop("used")
    understood["earlier"] = {name: {**words, "used": used.get(name)} for name, words in checked.earlier_words.items()}
    understood["seed"] = checked.seed
    if checked.shown is not None:
        understood["shown"] = checked.shown

    def change(connection: Connection, now: float) -> Made:
        row = campaign_actions.start(connection, now, caller, request, checked.rig_row, understood)
        return 202, _listed(connection, row), f"/v1/campaigns/{row.id}"

    return await once(service, caller, key, body, change)


@router.get("", responses=responses(), response_model=CampaignPage)
async def page(
    service: TheService,
    caller: TheCaller,
    limit: Limit = 50,
    cursor: Annotated[int | None, Query(ge=1, lt=2**62, description="`next` of the page before")] = None,
    state: Annotated[CampaignState | None, Query(description="only those in this state")] = None,
) -> Response:
    """Your campaigns, newest first; an instructor sees everybody's."""
    caller.check("read")

    def read(connection: Connection) -> CampaignPage:
        rows, following = campaigns.page(connection, caller, limit, cursor, state)
        return CampaignPage.model_construct(items=[_listed(connection, row) for row in rows], next=following)

    return shown(await service.database.read(read))


@router.get("/{identity}", responses=responses(404), response_model=CampaignStatus)
async def one(identity: Identity, service: TheService, caller: TheCaller, wait: Wait) -> Response:
    """One of your campaigns. With `wait` it is answered as soon as its state is no longer running."""
    caller.check("read")
    row = await service.database.read(lambda c: campaigns.find(c, identity, caller))
    if wait and row.state == campaigns.RUNNING:
        await until(service, caller, identity, wait, lambda c: campaigns.find(c, identity).state != campaigns.RUNNING)
    return shown(await service.database.read(lambda c: _status(c, campaigns.find(c, identity, caller), caller)))


@router.get("/{identity}/trials", responses=responses(404), response_model=TrialPage)
async def trials(
    identity: Identity,
    service: TheService,
    caller: TheCaller,
    limit: Limit = 50,
    cursor: Annotated[int, Query(ge=1, le=1_000_000, description="`next` of the page before")] = 1,
) -> Response:
    """Trials of a campaign, in the order of their numbers; the last may be under way."""
    caller.check("read")

    def read(connection: Connection) -> TrialPage:
        row = campaigns.find(connection, identity, caller)
        rows, following = campaigns.rows_page(connection, identity, limit, cursor)
        items = _trials(row, rows, standings.scores_for(connection, row, rows), caller)
        return TrialPage.model_construct(items=items, next=following)

    return shown(await service.database.read(read))


@router.get("/{identity}/trials/{number}", responses=responses(404), response_model=CampaignTrial)
async def trial(
    identity: Identity,
    number: Annotated[int, Path(ge=1, le=1_000_000, description="the trial's number, from 1")],
    service: TheService,
    caller: TheCaller,
    wait: Wait,
) -> Response:
    """One trial of a campaign, with its score. With `wait` it is answered as soon as it has ended, also one that has not begun yet."""
    caller.check("read")

    def is_over(connection: Connection) -> bool:
        found = standings.rows_of(connection, identity, [number])
        is_going_on = campaigns.find(connection, identity).state == campaigns.RUNNING
        return found[0].finished_at is not None if found else not is_going_on

    def read(connection: Connection) -> CampaignTrial:
        row = campaigns.find(connection, identity, caller)
        rows = standings.rows_of(connection, identity, [number])
        if not rows:
            last = campaigns.last_trial(connection, identity)
            raise NotFound(f"campaign {row.name!r} has no trial {number}, the last is {last}; wait for it, or read another")
        return _trials(row, rows, standings.scores_for(connection, row, rows), caller)[0]

    await service.database.read(lambda c: campaigns.find(c, identity, caller))
    if wait:
        await until(service, caller, identity, wait, is_over)
    return shown(await service.database.read(read))


@router.get("/{identity}/recommendation", responses=responses(404, 409, 501), response_model=Recommendation)
async def recommendation(identity: Identity, service: TheService, caller: TheCaller) -> Response:
    """Settings to use from now on: the model's choice where the strategy has a model, else the best trial's."""
    caller.check("read")
    question = await question_of(service, caller, identity)
    with service.rate_limit.waiting(caller):
        settings, has_model = await service.strategies.ask_once(
            ("recommend", identity, *question.version), caller.person, strategy_processes.recommend, question
        )
    by = "model" if has_model else "best reading"
    return shown(Recommendation(settings=settings, by=by, n_trials=len(question.log.performed)))


@router.post("/{identity}/actions", responses=responses(403, 404, 409, 413, 503), response_model=ListedCampaign)
async def act(identity: Identity, body: Action, service: TheService, caller: TheCaller, key: Key = None) -> Response:
    """Pause, resume, stop or extend a campaign."""

    budget = body.budget.model_dump() if body.budget else None

    def change(connection: Connection, now: float) -> Made:
        row = campaign_actions.act(connection, now, caller, identity, body.action, budget)
        return 200, _listed(connection, row), f"/v1/campaigns/{identity}"

    return await once(service, caller, key, Addressed(campaign=identity, request=body), change)


@router.post("/{identity}/proposal", responses=responses(402, 403, 404, 409, 413, 503), response_model=ListedCampaign)
async def judge(identity: Identity, body: Judgment, service: TheService, caller: TheCaller) -> Response:
    """Say what becomes of the suggestion that waits for a person."""

    def change(connection: Connection, now: float) -> ListedCampaign:
        row = campaign_actions.judge(connection, now, service.rigs, caller, identity, body.trial, body.decision, body.settings, body.why)
        return _listed(connection, row)

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
    campaign_export.check_form(form)
    if form == "svg":
        await service.database.read(lambda c: campaign_export.check_picture(campaigns.find(c, identity, caller)))
        question = await question_of(service, caller, identity)
        with service.rate_limit.waiting(caller):
            body = await service.strategies.ask_once(
                ("picture", identity, *question.version), caller.person, strategy_processes.picture, question
            )
        return campaign_export.response(question.name, body)

    def read(connection: Connection) -> tuple[campaign_export.Table, str, list[EntryRow]]:
        row = campaigns.find(connection, identity, caller)
        table = campaign_export.Table.of(connection, row, caller.is_instructor)
        return table, as_json(_status(connection, row, caller)), campaign_log.entries_of(connection, identity)

    table, whole, entries = await service.database.read(read)
    parts = campaign_export.parts(form, table, service.database, whole, entries)
    return File(parts, f"{table.row.name}.{form}", campaign_export.MEDIA_TYPES[form], service.rate_limit, caller, service.database.shares)


async def question_of(service: Service, caller: Caller, identity: str) -> strategy_processes.Question:
    """A campaign of the caller's for a strategy process."""
    most = service.settings.most_trials
    return await service.database.read(lambda c: question_for(c, service.rigs, campaigns.find(c, identity, caller), most))


def _listed(connection: Connection, row: CampaignRow) -> ListedCampaign:
    return ListedCampaign(**_fields(connection, row))


def _fields(connection: Connection, row: CampaignRow) -> dict[str, Any]:
    proposal = row.proposal
    waiting = {k: proposal[k] for k in PROPOSED if k in proposal} if "settings" in proposal else None
    return {
        "id": row.id, "person": row.person, "name": row.name, "rig": row.rig, "mode": row.mode, "state": row.state, "reason": row.reason,
        "created_at": row.created_at, **row.shown_words, "n_trials": campaigns.n_trials(connection, row.id), "proposal": waiting,
    }  # fmt: skip


def _status(connection: Connection, row: CampaignRow, caller: Caller) -> CampaignStatus:
    found = campaign_trials.summary(connection, row)
    good = _trials(row, found.good, found.scores, caller)
    best, front = (None, good) if found.has_front else (good[0] if good else None, None)
    title = row.words.get("shown") or found.title
    about: dict[str, Any] = {"title": title, "unit": found.unit, "result": found.result}
    return CampaignStatus(**_fields(connection, row), **about, best=best, front=front, spent=vars(found.spent))


def _trials(row: CampaignRow, rows: Sequence[ExperimentRow], scores: Mapping[int, Score], caller: Caller) -> list[CampaignTrial]:
    experiment = standings.experiment_of(row.experiment_json)

    def shown(of: ExperimentRow) -> CampaignTrial:
        assert of.trial is not None
        known = scores.get(of.trial) if of.finished_at is not None else None
        look, counts = Look(of, score=known.score if known else None), experiment.counts(of.settings)
        if known is None:
            return CampaignTrial(trial=of.trial, counts=counts, experiment=view(look, caller))
        correction = None if known.correction is None else TrialCorrection(**known.correction)
        return CampaignTrial(
            trial=of.trial, score=known.score, values=dict(known.values), counts=counts, correction=correction,
            experiment=view(look, caller),
        )  # fmt: skip

    return [shown(of) for of in rows]
