"""``/v1/tasks``: what a class has to do, each student in a hidden lab; hand-ins, points and the board."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny
from sqlalchemy import Connection
from starlette.responses import Response

from api.errors import Forbidden, NotFound
from api.records import campaigns, hand_ins, tasks
from api.records.hand_ins import Line
from api.records.people import Caller
from api.records.rows import LabRow, TaskRow
from api.routes.body import Body
from api.routes.dependencies import Key, Made, TheCaller, TheInstructor, TheService, TheTeacher, once, resource, shown
from api.routes.problems import responses
from api.workers import task_questions
from api.workers.campaign_runner import question_for
from frugaltwin.client.resources import BoardRow, Change, ClassTask, Grade, Labs
from frugaltwin.errors import InvalidInput
from frugaltwin.tasks.task import Task

router = resource(prefix="/v1/tasks", tags=["tasks"])

TaskName = Annotated[str, Path(max_length=40, description="the task's name")]
Whose = Annotated[str, Path(max_length=32, description="the student's id")]
_LABEL = Annotated[str, Field(max_length=80)]


class Expected(Body):
    """Your belief about the true score of your recipe."""

    mean: float = Field(description="of the true score")
    sd: float = Field(gt=0, description="standard deviation")


class HandIn(Body):
    """A hand-in: one of the three."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"settings": {"titanate": 0.4, "temperature": 450.0}}]})

    campaign: str | None = Field(None, max_length=40, description="the id of yours that recommends it")
    settings: dict[_LABEL, float | _LABEL] | None = Field(None, max_length=100, description="a recipe")
    labels: list[_LABEL] | None = Field(None, max_length=10_000, description="of a map, by its places")
    expected: Expected | None = Field(None, description="of a recipe")


class _HandInTo(BaseModel):
    task: str
    request: SerializeAsAny[BaseModel]


class TaskPage(BaseModel):
    """Tasks, oldest first."""

    items: list[ClassTask] = Field(description="all there are")


class Board(BaseModel):
    """A board, those with most points first."""

    items: list[BoardRow] = Field(description="all there are")


class GradePage(BaseModel):
    """The work of a class on a task."""

    items: list[Grade] = Field(description="all there are")


class Regrade(Body):
    """Grades to be computed again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"why": "the rule was mended"}]})

    task: dict[str, Any] | None = Field(None, description="the task with other words, as its file has them; its own without it")
    why: str = Field("", max_length=200, description="the reason, which is kept")
    keep: bool = Field(False, description="do it; without this it is only said what would change")


class Changes(BaseModel):
    """Grades that are others after a regrade."""

    items: list[Change] = Field(description="all there are")


class Times(Body):
    """Times of a task."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"closes_at": 2e9}]})

    closes_at: float = Field(ge=0, le=1e11, description="s since 1970")


class Terms(Body):
    """Terms for one student."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"exempt": True}]})

    closes_at: float | None = Field(None, ge=0, le=1e11, description="s since 1970")
    exempt: bool | None = Field(None, description="whether it counts neither in their sum nor in its maximum")


@router.get("", responses=responses(403), response_model=TaskPage)
async def page(service: TheService, caller: TheCaller) -> Response:
    """The tasks of your class; an instructor sees all."""
    caller.check("read")
    now = service.database.now()
    found = await service.database.read(lambda c: [_view(c, now, row, caller) for row in tasks.seen_by(c, caller)])
    return shown(TaskPage.model_construct(items=found))


@router.get("/{name}", responses=responses(403, 404), response_model=ClassTask)
async def one(name: TaskName, service: TheService, caller: TheCaller) -> Response:
    """A task, and how far you are; of a map also the `places` that it is asked about at."""
    caller.check("read")
    now = service.database.now()

    def read(connection: Connection) -> ClassTask:
        row = tasks.find(connection, name, caller)
        return replace(_view(connection, now, row, caller), places=json.loads(row.places_json or "[]"))

    return shown(await service.database.read(read))


@router.post("/{name}/hand-in", status_code=201, response_model=ClassTask, responses=responses(402, 403, 404, 409, 501, 503))
async def hand_in(name: TaskName, body: HandIn, service: TheService, caller: TheCaller, key: Key = None) -> Response:
    """Hand in, once: it ends your work on a task, and is judged on the truth of your lab."""
    caller.check_run(False)
    row = await service.database.read(lambda c: tasks.find(c, name, caller))
    task, at = tasks.task_of(row.body_json), json.loads(row.places_json or "[]")
    if sum(said is not None for said in (body.campaign, body.settings, body.labels)) != 1:
        raise InvalidInput("hand in one of campaign, settings and labels")
    claim: dict[str, Any] = {"recipe": body.settings, "labels": body.labels}
    if body.campaign is not None:
        of = body.campaign

        def question(connection: Connection) -> Any:
            found = campaigns.find(connection, of, caller)
            if found.person != caller.person or found.rig != name:
                raise NotFound(f"you have no campaign {of[:40]} on {name}; GET /v1/campaigns lists yours")
            return question_for(connection, service.rigs, found, service.settings.most_trials)

        asked = await service.database.read(question)
        with service.rate_limit.waiting(caller):
            claim = await service.strategies.ask(caller.person, task_questions.recommended, asked, at, task.score.expected > 0)
    if body.expected is not None:
        claim["expected"] = body.expected.model_dump()

    def change(connection: Connection, now: float) -> Made:
        rig, known = service.rigs.get(connection, name)
        labels = hand_ins.labels_of(known, tasks.lab_of(connection, name, caller.person))
        kept = hand_ins.check_claim(task, len(at), claim, rig.experiment.check, labels)
        hand_ins.hand_in_once(connection, now, row, caller.person, kept)
        return 201, _view(connection, now, row, caller), f"/v1/tasks/{name}"

    return await once(service, caller, key, _HandInTo(task=name, request=body), change)


@router.get("/{name}/board", responses=responses(403, 404), response_model=Board)
async def board(name: TaskName, service: TheService, caller: TheCaller) -> Response:
    """The board, by nicknames; with points once the task has closed."""
    caller.check("read")
    now = service.database.now()

    def read(connection: Connection) -> list[BoardRow]:
        row = tasks.find(connection, name, caller)
        body = tasks.task_of(row.body_json)
        if not (body.board or caller.is_instructor or caller.room):
            raise Forbidden(f"{name} has no board")
        is_over = body.closes is not None and now >= body.closes.timestamp()
        found = [
            BoardRow(
                nickname=line.nickname, best=line.best, spent=vars(line.spent), is_handed_in=line.hand_in is not None,
                by_agent=line.by_agent,
                points=line.grade.points if line.grade and is_over and tasks.is_shown(body, line.lab, now) else None,
            )
            for line in hand_ins.known_lines(connection, row, service.lines)
        ]  # fmt: skip
        return sorted(found, key=lambda one: (-(one.points if one.points is not None else -1.0), one.nickname))

    return shown(Board.model_construct(items=await service.database.read(read)))


@router.get("/{name}/labs", responses=responses(403, 404), response_model=Labs)
async def labs(name: TaskName, service: TheService, caller: TheTeacher) -> Response:
    """The labs of a task: how many are ready, and how hard they are."""
    return shown(await service.database.read(lambda c: _labs(c, tasks.find(c, name, caller))))


@router.get("/{name}/grades", responses=responses(403, 404), response_model=GradePage)
async def grades(name: TaskName, service: TheService, caller: TheTeacher) -> Response:
    """The work of all students on a task."""

    def read(connection: Connection) -> list[Grade]:
        row = tasks.find(connection, name, caller)
        body = tasks.task_of(row.body_json)
        return [_grade(body, line) for line in hand_ins.known_lines(connection, row, service.lines)]

    return shown(GradePage.model_construct(items=await service.database.read(read)))


@router.post("/{name}/regrade", responses=responses(403, 404, 409, 503), response_model=Changes)
async def regrade(name: TaskName, body: Regrade, service: TheService, caller: TheInstructor) -> Response:
    """Compute all grades again, by the same rule or a mended one. Without `keep` it is only said what would change; old grades are kept."""
    said = None if body.task is None else Task.from_json(json.dumps(body.task))
    if body.keep and not body.why:
        raise InvalidInput("say why grades are computed again: it is kept with them", field="why")

    def change(connection: Connection, now: float) -> list[Change]:
        row = tasks.find(connection, name)
        new = said or tasks.task_of(row.body_json)
        tasks.check_change(row, new)
        found = hand_ins.regrade(connection, now, name, new, body.why, is_kept=body.keep)
        return [Change(person=one.person, before=before, after=after) for one, before, after in found]

    return shown(Changes.model_construct(items=await service.database.write(change)))


@router.patch("/{name}", responses=responses(403, 404, 503), response_model=ClassTask)
async def extend(name: TaskName, body: Times, service: TheService, caller: TheInstructor) -> Response:
    """Let a task close at another time, for the whole class. Who has a later time of their own keeps it."""

    def change(connection: Connection, now: float) -> ClassTask:
        return _view(connection, now, tasks.extend(connection, name, body.closes_at), caller)

    return shown(await service.database.write(change))


@router.patch("/{name}/people/{whose}", responses=responses(403, 404, 409, 503), response_model=Grade)
async def grant(name: TaskName, whose: Whose, body: Terms, service: TheService, caller: TheInstructor) -> Response:
    """Give a student more time for a task, or exempt them."""

    def change(connection: Connection, now: float) -> Grade:
        tasks.grant(connection, name, whose, body.closes_at, body.exempt)
        row = tasks.find(connection, name)
        (line,) = [line for line in hand_ins.lines(connection, row) if line.person.id == whose]
        return _grade(tasks.task_of(row.body_json), line)

    return shown(await service.database.write(change))


@router.delete("/{name}/hand-ins/{whose}", status_code=204, responses=responses(403, 404, 503))
async def withdraw(name: TaskName, whose: Whose, service: TheService, caller: TheInstructor) -> Response:
    """Take a student's hand-in back, so that there may be another one. It is kept, with its grades."""
    await service.database.write(lambda c, now: hand_ins.withdraw(c, now, name, whose))
    return Response(status_code=204)


def _view(connection: Connection, now: float, row: TaskRow, caller: Caller) -> ClassTask:
    """A task as the caller may see it; one who is no student sees what all students do."""
    body, own = tasks.task_of(row.body_json), tasks.lab_of(connection, row.rig, caller.person)
    handed = tasks.handed_in(connection, row.rig, caller.person)
    ends = tasks.ends_at(body, own)
    if handed:
        state = "handed in"
    elif ends is not None and now > ends:
        state = "closed"
    elif body.opens and now < body.opens.timestamp():
        state = "not open"
    else:
        state = "open" if caller.role != "student" or (own and own.goal) else "preparing"
    grade = hand_ins.grade_of(connection, handed) if handed else None
    is_shown = grade is not None and tasks.is_shown(body, own, now)
    return ClassTask(
        name=row.rig, title=body.title, text=body.text, goal=body.goal_text, asks="map" if row.places_json else "recipe", rule=body.rule,
        state=state, budget=body.limits.limits, spent=vars(tasks.spent(connection, row.rig, caller.person)),
        opens_at=body.opens.timestamp() if body.opens else None, closes_at=tasks.closes_at(body, own),
        handed_in_at=handed.created_at if handed else None, points=grade.points if grade and is_shown else None,
        parts=grade.parts if grade and is_shown else {}, par=hand_ins.par_of(body, own) if own and is_shown else {},
    )  # fmt: skip


def _labs(connection: Connection, row: TaskRow) -> Labs:
    found = tasks.labs_of(connection, row.rig)
    median = tasks.hardness(connection, row.rig)
    body = tasks.task_of(row.body_json)
    ready = [own for own in found if own.goal]
    return Labs(
        name=row.rig, students=tasks.n_students(connection, row), ready=len(ready), pilots=len(row.pilots), pilots_needed=tasks.PILOTS,
        median=median, hardness=_hardness(body, ready, median), redrawn=sum(len(own.tries) for own in found),
    )  # fmt: skip


def _hardness(body: Task, ready: Sequence[LabRow], median: float | None) -> list[float]:
    values = [hand_ins.hardness_of(body, own) for own in ready]
    return sorted(value / median for value in values if math.isfinite(value)) if median else []


def _grade(body: Task, line: Line) -> Grade:
    state = "graded" if line.grade else "handed in" if line.hand_in else "nothing"
    return Grade(
        person=line.person.id, name=line.person.name, nickname=line.nickname, state="exempt" if line.lab and line.lab.is_exempt else state,
        points=line.grade.points if line.grade else None, parts=line.grade.parts if line.grade else {},
        par=hand_ins.par_of(body, line.lab) if line.lab and line.lab.goal else {}, spent=vars(line.spent),
        handed_in_at=line.hand_in.created_at if line.hand_in else None, closes_at=tasks.closes_at(body, line.lab),
        n_grades=line.n_grades, flags=line.flags,
    )  # fmt: skip
