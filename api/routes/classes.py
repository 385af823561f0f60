"""``/v1/classes``: classes, their tasks, grades and archives, for the instructor."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from api.records import classes, grade_book, people, removal, rigs, student_pages, tasks
from api.records.rigs import Offer
from api.records.rows import ClassRow
from api.records.twins import LAB
from api.routes.body import Body
from api.routes.budgets import Grant
from api.routes.dependencies import Key, Made, TheInstructor, TheService, TheTeacher, once, resource, shown
from api.routes.problems import responses
from api.workers import task_questions
from frugaltwin.client.resources import Class
from frugaltwin.tables import format_lines
from frugaltwin.tasks.task import Task

router = resource(prefix="/v1/classes", tags=["classes"])

ClassName = Annotated[str, Path(max_length=20, description="the class's name")]
Whose = Annotated[str, Path(max_length=32, description="the person's id")]
RigName = Annotated[str, Path(max_length=40, description="the name of a real rig")]


_EXAMPLE: dict[str, Any] = {
    "name": "week-3",
    "title": "The largest response",
    "text": "Find the composition with the largest piezoelectric response.",
    "driver": "ferroelectric",
    "goal": "maximize:piezoelectric",
    "budget": {"runs": 25},
    "draw": {"system": "any"},
    "score": {"rule": "quality", "fine": 20},
    "reference": {"strategy": "sobol", "plays": 2},
}


class NewClass(Body):
    """A class."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "chem-101"}]})

    name: str = Field(min_length=1, max_length=20, description="letters, digits and -")
    like: str | None = Field(
        None, max_length=20, description="an earlier class, whose tasks it gets, without their times and with other labs"
    )


class NewTask(Body):
    """A task of a class."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"task": _EXAMPLE}]})

    task: dict[str, Any] = Field(description="what stands under [task] in its file; times as texts")


class _TaskOf(BaseModel):
    name: str
    request: NewTask


class _GrantTo(BaseModel):
    name: str
    added: Grant


class ClassPage(BaseModel):
    """Classes, oldest first."""

    items: list[Class] = Field(description="all there are")


class TaskMade(BaseModel):
    """A task that was made."""

    name: str = Field(description="of the task and of its rig")


@router.get("", responses=responses(403), response_model=ClassPage)
async def page(service: TheService, caller: TheTeacher) -> Response:
    """All classes; for an assistant their own."""
    found = await service.database.read(lambda c: [_view(c, row) for row in classes.seen_by(c, caller)])
    return shown(ClassPage.model_construct(items=found))


@router.post("", status_code=201, response_model=Class, responses=responses(403, 404, 409, 503))
async def make(body: NewClass, service: TheService, caller: TheInstructor, key: Key = None) -> Response:
    """Begin a class. Its people come in with a join code that names it."""

    def change(connection: Connection, now: float) -> Made:
        earlier = classes.find(connection, body.like) if body.like is not None else None
        made = classes.add(connection, now, body.name)
        if earlier is not None:
            tasks.copy(connection, now, earlier, made)
        return 201, _view(connection, made), f"/v1/classes/{body.name}"

    return await once(service, caller, key, body, change)


@router.get("/{name}", responses=responses(403, 404), response_model=Class)
async def one(name: ClassName, service: TheService, caller: TheTeacher) -> Response:
    """A class."""
    return shown(await service.database.read(lambda c: _view(c, classes.find(c, name, caller))))


@router.put("/{name}/people/{whose}", status_code=204, responses=responses(403, 404, 503))
async def enroll(name: ClassName, whose: Whose, service: TheService, caller: TheInstructor) -> Response:
    """Move somebody into a class."""
    await service.database.write(lambda c, now: classes.enroll(c, name, [whose]))
    service.forget()  # an assistant sees another class from now on
    return Response(status_code=204)


@router.delete("/{name}/people", status_code=204, responses=responses(403, 404, 409, 503))
async def remove(name: ClassName, service: TheService, caller: TheInstructor) -> Response:
    """Remove all students of a class that has ended, as each alone is removed. Take its archive before; there is no way back."""

    def change(connection: Connection, now: float) -> None:
        classes.check_ended(connection, name)
        classes.for_each(connection, name, lambda whose: removal.remove(connection, now, caller, whose))

    await service.database.write(change)
    service.forget()
    return Response(status_code=204)


@router.put("/{name}/approvals/{rig}", status_code=204, responses=responses(403, 404, 503))
async def approve(name: ClassName, rig: RigName, service: TheService, caller: TheInstructor) -> Response:
    """Let all students of a class use a real rig."""

    def change(connection: Connection, now: float) -> None:
        rigs.find(connection, rig)
        classes.for_each(connection, name, lambda whose: rigs.approve(connection, now, whose, rig, caller.person))

    await service.database.write(change)
    return Response(status_code=204)


@router.delete("/{name}/approvals/{rig}", status_code=204, responses=responses(403, 404, 503))
async def disapprove(name: ClassName, rig: RigName, service: TheService, caller: TheInstructor) -> Response:
    """Take the approvals of a class back. What waits of its students on the rig is taken back too; what runs there is finished."""

    def change(connection: Connection, now: float) -> None:
        rigs.find(connection, rig)
        classes.for_each(connection, name, lambda whose: rigs.disapprove(connection, now, whose, rig))

    await service.database.write(change)
    return Response(status_code=204)


@router.post("/{name}/grants", status_code=201, response_model=Class, responses=responses(402, 403, 404, 409, 503))
async def grant(name: ClassName, body: Grant, service: TheService, caller: TheInstructor, key: Key = None) -> Response:
    """Add to the budget of each student of a class, or take from it: of all of them, or where one has not that much left of none."""

    def change(connection: Connection, now: float) -> Made:
        added = body.model_dump()
        classes.for_each(connection, name, lambda whose: people.grant(connection, now, whose, added))
        return 201, _view(connection, classes.find(connection, name)), f"/v1/classes/{name}"

    return await once(service, caller, key, _GrantTo(name=name, added=body), change)


@router.post("/{name}/tasks", status_code=201, response_model=TaskMade, responses=responses(403, 404, 409, 503))
async def add_task(name: ClassName, body: NewTask, service: TheService, caller: TheInstructor, key: Key = None) -> Response:
    """Give a class a task. The labs of its students are drawn from now on; `GET /v1/tasks/{name}/labs` says how far that is."""
    made = Task.from_json(json.dumps(body.task))
    await service.database.read(lambda c: classes.find(c, name))
    places = await service.strategies.ask(caller.person, task_questions.places, made.to_json())
    offer = Offer.of_driver(LAB, {"task": made.to_json()})

    def change(connection: Connection, now: float) -> Made:
        row = tasks.add(connection, now, name, made, offer, places)
        return 201, TaskMade(name=row.rig), f"/v1/tasks/{row.rig}"

    return await once(service, caller, key, _TaskOf(name=name, request=body), change)


@router.get(
    "/{name}/grades",
    response_class=Response,
    responses={200: {"description": "The table", "content": {"text/csv": {"schema": {"type": "string"}}}}, **responses(403, 404)},
)
async def grades(name: ClassName, service: TheService, caller: TheTeacher) -> Response:
    """The grades of a class as a CSV table: a column for each task, and one with its maximum."""
    lines = await service.database.read(lambda c: grade_book.table(c, classes.find(c, name, caller)))
    headers = {"Content-Disposition": f'attachment; filename="{name}-grades.csv"'}
    return Response(format_lines(lines), 200, headers, "text/csv; charset=utf-8")


@router.get(
    "/{name}/archive",
    response_class=Response,
    responses={200: {"description": "The file", "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}},
               **responses(403, 404)},
)  # fmt: skip
async def archive(name: ClassName, service: TheService, caller: TheInstructor) -> Response:
    """All of a class in one file (ZIP) that is read without the service: grades, hand-ins, labs with their keys, and experiments."""
    body = await service.database.read(lambda c: grade_book.archive(c, classes.find(c, name)))
    return Response(body, 200, {"Content-Disposition": f'attachment; filename="{name}.zip"'}, "application/zip")


@router.get(
    "/{name}/pages",
    response_class=Response,
    responses={
        200: {"description": "The file", "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}},
        **responses(403, 404),
    },
)
async def pages(name: ClassName, service: TheService, caller: TheTeacher) -> Response:
    """A page for each student in one file (ZIP), by their ids: each as that student may see it, with their readings beside par."""
    now = service.database.now()
    body = await service.database.read(lambda c: student_pages.all_of(c, now, classes.find(c, name, caller)))
    return Response(body, 200, {"Content-Disposition": f'attachment; filename="{name}-pages.zip"'}, "application/zip")


@router.post("/{name}/end", responses=responses(403, 404, 503), response_model=Class)
async def end(name: ClassName, service: TheService, caller: TheInstructor) -> Response:
    """End a class: nobody works on its tasks any more. What was done stays."""

    def change(connection: Connection, now: float) -> Class:
        classes.archive(connection, now, name)
        return _view(connection, classes.find(connection, name))

    return shown(await service.database.write(change))


def _view(connection: Connection, row: ClassRow) -> Class:
    return Class(
        name=row.name, students=len(classes.students(connection, row.id)), tasks=[one.rig for one in tasks.of_class(connection, row)],
        created_at=row.created_at, archived_at=row.archived_at,
    )  # fmt: skip
