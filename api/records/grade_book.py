"""The grades of a class as a table, and all of a class as one file that is read without the service."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from api.records import classes, hand_ins, tasks
from api.records.rows import ClassRow, ExperimentRow, TaskRow, fetched
from api.records.tables import experiment
from frugaltwin.tables import format_lines

MAXIMUM = 100
ABOUT = """\
A class of Frugal Twin, as it was when this file was written.

grades.csv       a line for each student, a column for each task
TASK/task.json   the task, as its file said it
TASK/work.json   each student's lab, hand-in and grades, all that there were; `key` is the seed of the driver task-lab
TASK/experiments.jsonl   each experiment: settings, outcomes and cost

A student's lab is made again by the same version of Frugal Twin with:
    frugaltwin.catalog.make_driver("task-lab", {"task": open("TASK/task.json").read()}, seed=KEY)
"""


def table(connection: Connection, room: ClassRow) -> list[Sequence[Any]]:
    """The grades of a class: names of columns, then a line for each student. Who is exempt has neither points nor a maximum."""
    rows = tasks.of_class(connection, room)
    work = {row.rig: {line.person.id: line for line in hand_ins.lines(connection, row)} for row in rows}
    short = [tasks.task_of(row.body_json).name for row in rows]
    found: list[Sequence[Any]] = [["person", "name", *(word for name in short for word in (name, f"{name} of")), "sum", "sum of"]]
    for one in classes.students(connection, room.id):
        cells: list[float | None] = []
        for row in rows:
            line = work[row.rig][one.id]
            if line.lab is not None and line.lab.is_exempt:
                cells += [None, None]
            else:
                cells += [round(line.grade.points, 2) if line.grade else None, MAXIMUM]
        sums = [round(sum(cell or 0.0 for cell in cells[k::2]), 2) for k in (0, 1)]
        found.append([one.id, one.name, *cells, *sums])
    return found


def archive(connection: Connection, room: ClassRow) -> bytes:
    """All of a class, as a ZIP file."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("README.txt", ABOUT)
        file.writestr("grades.csv", format_lines(table(connection, room)))
        for row in tasks.of_class(connection, room):
            name = tasks.task_of(row.body_json).name
            file.writestr(f"{name}/task.json", row.body_json)
            file.writestr(f"{name}/work.json", json.dumps(_work(connection, room, row), indent=1, ensure_ascii=False))
            file.writestr(f"{name}/experiments.jsonl", "".join(_experiments(connection, row)))
    return whole.getvalue()


def _work(connection: Connection, room: ClassRow, row: TaskRow) -> list[dict[str, Any]]:
    given, found = hand_ins.grades_of(connection, row.rig), []
    for line in hand_ins.lines(connection, row):
        grades = given.get(line.hand_in.id, []) if line.hand_in else []
        found.append(
            {
                "person": line.person.id,
                "name": line.person.name,
                "key": tasks.key_number(connection, row.rig, line.person.id),
                "goal": line.lab.goal if line.lab else None,
                "plays": json.loads(line.lab.plays_json or "null") if line.lab else None,
                "hand_in": line.hand_in.claim if line.hand_in else None,
                "found": json.loads(line.hand_in.found_json or "null") if line.hand_in else None,
                "spent": vars(line.spent),
                "grades": [{"points": x.points, "parts": x.parts, "why": x.why, "at": x.at} for x in grades],
            }
        )
    return found


def _experiments(connection: Connection, row: TaskRow) -> list[str]:
    rows = fetched(ExperimentRow, connection.execute(select(experiment).where(experiment.c.rig == row.rig).order_by(experiment.c.number)))
    return [
        json.dumps({"person": x.person, "state": x.state, "settings": x.settings, "at": x.finished_at, **x.result}, ensure_ascii=False)
        + "\n"
        for x in rows
    ]
