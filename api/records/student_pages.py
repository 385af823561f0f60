"""Pages of students: their work on the tasks of their class, as far as each may see it."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime

from sqlalchemy import Connection, and_, select

from api.errors import NotFound
from api.records import classes, hand_ins, people, standings, tasks
from api.records.rows import ClassRow, GradeRow, HandInRow, LabRow, PersonRow, TaskRow
from api.records.tables import campaign, experiment, score
from frugaltwin.goals import Goal
from frugaltwin.tasks import page
from frugaltwin.tasks.page import Reading, Work
from frugaltwin.tasks.score import Plays
from frugaltwin.tasks.task import Task


def own(connection: Connection, now: float, whose: str) -> str:
    """The page of a student.

    Raises:
        NotFound: The person is in no class.
    """
    room = classes.of_person(connection, whose)
    if room is None:
        raise NotFound("you are in no class; ask your instructor to enroll you in one")
    return _page(connection, now, classes.by_id(connection, room), people.find(connection, whose))


def all_of(connection: Connection, now: float, room: ClassRow) -> bytes:
    """The pages of all students of a class, as a ZIP file: each as its student may see it."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as file:
        for one in classes.students(connection, room.id):
            file.writestr(f"{one.id}.html", _page(connection, now, room, one))
    return whole.getvalue()


def _page(connection: Connection, now: float, room: ClassRow, one: PersonRow) -> str:
    return page.html(one.name, room.name, [_work(connection, now, row, one) for row in tasks.of_class(connection, room)])


def _work(connection: Connection, now: float, row: TaskRow, one: PersonRow) -> Work:
    body, lab = tasks.task_of(row.body_json), tasks.lab_of(connection, row.rig, one.id)
    handed = tasks.handed_in(connection, row.rig, one.id)
    grade = hand_ins.grade_of(connection, handed) if handed else None
    is_shown = tasks.is_shown(body, lab, now)
    readings, goal = _readings(connection, row, one.id, lab)
    unit, is_minimized = (goal.unit, goal.objectives[0].is_minimized) if goal else ("", True)
    par_score, own_score = _levels(body, lab, handed, is_minimized) if grade and is_shown else (None, None)
    return Work(
        title=body.title, rule=body.rule, state=_state(body, lab, handed, grade, is_shown=is_shown),
        points=grade.points if grade and is_shown else None, parts=grade.parts if grade and is_shown else {},
        par=hand_ins.par_of(body, lab) if lab and lab.plays_json and is_shown else {},
        spent=vars(tasks.spent(connection, row.rig, one.id)), budget=body.limits.limits,
        readings=readings, is_minimized=is_minimized, unit=unit, par_score=par_score, own_score=own_score,
    )  # fmt: skip


def _state(body: Task, lab: LabRow | None, handed: HandInRow | None, grade: GradeRow | None, *, is_shown: bool) -> str:
    """Sentence about what was judged, and what was not yet."""
    if lab is None or lab.goal is None:
        return "Your lab is being prepared; nothing is judged yet."
    if lab.is_exempt:
        return "You are exempt: it counts neither in your sum nor in its maximum."
    if handed is None:
        return "Nothing was handed in, so nothing is judged. Readings and scores of campaigns are no judgment: they have noise."
    at = f"Handed in {_time(handed.created_at)}"
    if grade is None:
        return f"{at}; not judged yet, which takes some minutes."
    if not is_shown:
        closes = tasks.closes_at(body, lab)
        return f"{at} and judged; points and par are shown when the task closes, {_time(closes or 0.0)}."
    asked = ["the map" if handed.claim.get("labels") else "the true score of the recipe"]
    asked += ["what it took"] if body.score.rule == "cost" else []
    if body.score.expected:
        asked.append("the expected score" if handed.claim.get("expected") else "no expected score, since none was stated")
    late = ", with what is taken off for being late" if "late" in grade.parts else ""
    return f"{at}. Judged on the truth of your lab: {', '.join(asked)}{late}. Nothing is left to be judged."


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def _levels(body: Task, lab: LabRow | None, handed: HandInRow | None, is_minimized: bool) -> tuple[float | None, float | None]:
    """The true scores of par and of what was handed in; None where there is none, as of a map."""
    found = json.loads((handed and handed.found_json) or "{}")
    truth, gap = found.get("parts", {}).get("true score"), found.get("gap")
    if truth is None or gap is None or lab is None:
        return None, None
    par = Plays.from_text(lab.plays_json or "").par(body).gap
    worse = par - gap if is_minimized else gap - par
    return (truth + worse if abs(worse) < float("inf") else None), truth


def _readings(connection: Connection, row: TaskRow, whose: str, lab: LabRow | None) -> tuple[list[Reading], Goal | None]:
    """A student's readings that have a score, by their place among all experiments on the task."""
    numbers = {
        identity: k
        for k, identity in enumerate(
            connection.execute(
                select(experiment.c.id).where(experiment.c.rig == row.rig, experiment.c.person == whose).order_by(experiment.c.number)
            ).scalars(),
            start=1,
        )
    }
    scored = (
        select(experiment.c.id, score.c.loss, campaign.c.experiment_json)
        .join(score, and_(score.c.campaign == experiment.c.campaign, score.c.trial == experiment.c.trial))
        .join(campaign, campaign.c.id == experiment.c.campaign)
        .where(experiment.c.rig == row.rig, experiment.c.person == whose, score.c.loss.is_not(None))
        .order_by(experiment.c.number)
    )
    rows = connection.execute(scored).all()
    goal = standings.goal_of(lab.goal, rows[0].experiment_json) if rows and lab and lab.goal else None
    if goal is None or not goal.has_score:
        return [], None
    sign = 1 if goal.objectives[0].is_minimized else -1
    return [Reading(numbers[one.id], sign * one.loss) for one in rows], goal
