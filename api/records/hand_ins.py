"""Hand-ins of tasks, their grades, and the board. Grades are only ever added to: the last one of a hand-in counts."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Integer, cast, func, insert, select, update

from api.errors import Conflict, NotFound
from api.records import classes, event_log, fair_queue, ledger, standings, tasks
from api.records.identifiers import new_id
from api.records.rows import GradeRow, HandInRow, LabRow, PersonRow, RigRow, TaskRow, fetched
from api.records.tables import campaign, experiment, grade, hand_in, lab, person, score
from frugaltwin.amounts import Amounts
from frugaltwin.errors import InvalidInput
from frugaltwin.tasks.score import Found, Plays, Points, no_scale, points
from frugaltwin.tasks.task import Task

DAY = 86_400.0


@dataclass(frozen=True)
class Line:
    """A student's work on a task."""

    person: PersonRow
    nickname: str
    lab: LabRow | None
    spent: Amounts
    best: float | None
    """The best reading, as a score; None where there is none, or the goal has no score."""
    hand_in: HandInRow | None
    grade: GradeRow | None
    n_grades: int
    """Number of the grades that the hand-in has had."""
    flags: Sequence[str]
    """For the instructor to look at."""
    by_agent: bool = False
    """Whether an agent did some of it."""


def hand_in_once(connection: Connection, now: float, row: TaskRow, whose: str, body: Mapping[str, Any]) -> HandInRow:
    """Keep a student's hand-in, which was checked before.

    Raises:
        Conflict: The task is not open, or the student has handed in, or still has experiments under way.
    """
    own = tasks.lab_of(connection, row.rig, whose)
    if own is None or own.goal is None:
        raise Conflict(f"your lab of {row.rig} is being prepared; try again in some minutes")
    tasks.check_open(connection, now, row, own)
    going = select(experiment.c.id).where(
        experiment.c.person == whose, experiment.c.rig == row.rig, experiment.c.state.in_(fair_queue.OPEN)
    )
    if connection.execute(going.limit(1)).first() is not None:
        raise Conflict(f"experiments of yours on {row.rig} have not ended; wait for them, or abort them, and pause your campaigns there")
    took = vars(tasks.spent(connection, row.rig, whose))
    made = HandInRow(new_id("h"), row.rig, whose, json.dumps(dict(body), allow_nan=False), json.dumps(took), now, None, None)
    connection.execute(insert(hand_in), vars(made))
    return made


def withdraw(connection: Connection, now: float, name: str, whose: str) -> None:
    """Take a student's hand-in back, so that there may be another one. It is kept, with its grades.

    Raises:
        NotFound: There is none.
    """
    row = tasks.handed_in(connection, name, whose)
    if row is None:
        raise NotFound(f"{whose[:40]} has handed in nothing of {name[:40]}")
    connection.execute(update(hand_in).where(hand_in.c.id == row.id).values(withdrawn_at=now))


def unjudged(connection: Connection) -> list[tuple[HandInRow, TaskRow]]:
    """Hand-ins that wait to be judged, oldest first."""
    rows = fetched(HandInRow, connection.execute(select(hand_in).where(hand_in.c.found_json.is_(None)).order_by(hand_in.c.created_at)))
    known: dict[str, TaskRow] = {}
    return [(row, known.setdefault(row.rig, tasks.find(connection, row.rig))) for row in rows]


def judged(connection: Connection, now: float, identity: str, found: Mapping[str, Any]) -> None:
    """Keep the truth about a hand-in, and its first grade."""
    row = HandInRow(*connection.execute(select(hand_in).where(hand_in.c.id == identity)).one())
    if row.found_json is not None:
        return
    connection.execute(update(hand_in).where(hand_in.c.id == identity).values(found_json=json.dumps(dict(found), allow_nan=False)))
    body = tasks.task_of(tasks.find(connection, row.rig).body_json)
    own = tasks.lab_of(connection, row.rig, row.person)
    assert own is not None
    value, parts = _points(body, own, row, found)
    _add(connection, now, identity, value, parts, "as it was handed in")


def regrade(connection: Connection, now: float, name: str, body: Task, why: str, *, is_kept: bool) -> list[tuple[HandInRow, float, float]]:
    """Grade all hand-ins of a task again; those whose points change, with the points before and after.

    Args:
        body: The task, with other words, maybe.
        why: The reason, which is kept with each grade.
        is_kept: Whether that is done, and not only said.

    Raises:
        Conflict: Labs that have a scale would have none by this rule.
    """
    row = tasks.find(connection, name)
    changed = []
    last = grades_of(connection, name)
    labs = {own.person: own for own in tasks.labs_of(connection, name)}
    _check_scales(tasks.task_of(row.body_json), body, [own for own in labs.values() if own.plays_json])
    for one in _all(connection, name):
        if one.found_json is None or one.id not in last:
            continue
        value, parts = _points(body, labs[one.person], one, json.loads(one.found_json))
        before = last[one.id][0].points
        if not math.isclose(value, before, abs_tol=1e-9):
            changed.append((one, before, value))
            if is_kept:
                _add(connection, now, one.id, value, parts, why)
    if is_kept:
        tasks.change(connection, row, body)
    return changed


def _check_scales(before: Task, after: Task, labs: Sequence[LabRow]) -> None:
    """Refuse a rule by which labs that have a scale would have none: all who worked there would have 100 points or 0."""
    plays = [Plays.from_text(own.plays_json or "") for own in labs]
    lost = [reason for one in plays if (reason := no_scale(after, one.par(after))) and not no_scale(before, one.par(before))]
    if lost:
        raise Conflict(f"by this rule {len(lost)} of {len(labs)} labs have no scale: in the first of them {lost[0]}; choose a milder rule")


def _add(connection: Connection, now: float, identity: str, value: float, parts: Mapping[str, float], why: str) -> None:
    words = {"hand_in": identity, "points": value, "parts_json": json.dumps(dict(parts), allow_nan=False), "why": why, "at": now}
    connection.execute(insert(grade), words)


def _points(body: Task, own: LabRow, row: HandInRow, found: Mapping[str, Any]) -> tuple[float, dict[str, float]]:
    """The points of a hand-in, with what the late rule takes off, and their parts with what is told of the truth."""
    par = Plays.from_text(own.plays_json or "").par(body)
    gap = math.inf if found["gap"] is None else found["gap"]
    try:
        result = points(body, par, Found(gap, found["parts"], found["error"]), Amounts(**json.loads(row.spent_json)))
    except InvalidInput:  # the nearest of all draws of a lab may have no scale; then who is as good as par has all points
        result = Points(100.0 * (gap <= par.gap), {"no scale": 0.0})
    parts = {**result.parts, **found["parts"]}
    closes, off = tasks.closes_at(body, own), 0.0
    if body.late and closes is not None and row.created_at > closes:
        off = body.late.points * math.ceil((row.created_at - closes) / DAY)
        parts["late"] = -off
    return max(result.points - off, 0.0), parts


def grades_of(connection: Connection, name: str) -> dict[str, list[GradeRow]]:
    """The grades of a task's hand-ins, newest first, by the id of the hand-in."""
    question = select(grade).join(hand_in, hand_in.c.id == grade.c.hand_in).where(hand_in.c.rig == name).order_by(grade.c.id.desc())
    found = defaultdict[str, list[GradeRow]](list)
    for row in fetched(GradeRow, connection.execute(question)):
        found[row.hand_in].append(row)
    return found


def grade_of(connection: Connection, row: HandInRow) -> GradeRow | None:
    """The grade of a hand-in that counts; None before it is judged."""
    question = select(grade).where(grade.c.hand_in == row.id).order_by(grade.c.id.desc()).limit(1)
    return next(iter(fetched(GradeRow, connection.execute(question))), None)


def par_of(body: Task, own: LabRow) -> dict[str, float | None]:
    """Par of a lab in figures that can be shown: what the reference strategy and random choices come to."""
    par = Plays.from_text(own.plays_json or "").par(body)
    named = {"gap": par.gap, "random_gap": par.random_gap} | ({body.score.cost: par.cost} if body.score.rule == "cost" else {})
    return {name: value if math.isfinite(value) else None for name, value in named.items()}


def hardness_of(body: Task, own: LabRow) -> float:
    """Hardness of a lab, by par."""
    return Plays.from_text(own.plays_json or "").par(body).hardness(body)


def _all(connection: Connection, name: str) -> list[HandInRow]:
    question = select(hand_in).where(hand_in.c.rig == name, hand_in.c.withdrawn_at.is_(None)).order_by(hand_in.c.created_at)
    return fetched(HandInRow, connection.execute(question))


def lines(connection: Connection, row: TaskRow) -> list[Line]:
    """The work of all students of the class on a task, in the order in which they came."""
    room, given = classes.by_id(connection, row.classroom), grades_of(connection, row.rig)
    labs = {own.person: own for own in tasks.labs_of(connection, row.rig)}
    handed = {one.person: one for one in _all(connection, row.rig)}
    spent, best, flags = ledger.of_rig_by_person(connection, row.rig), _best(connection, row, labs), _flags(handed.values())
    agents = set(
        connection.execute(select(experiment.c.person).where(experiment.c.rig == row.rig, experiment.c.agent.is_not(None))).scalars()
    )
    found = []
    for one in classes.students(connection, room.id):
        mine = handed.get(one.id)
        grades = given.get(mine.id, []) if mine else []
        found.append(
            Line(
                one, classes.nickname_of(room, one), labs.get(one.id), spent.get(one.id, Amounts()), best.get(one.id), mine,
                grades[0] if grades else None, len(grades), [*flags.get(one.id, ()), *_unscaled(grades)],
                one.id in agents,
            )
        )  # fmt: skip
    return found


@dataclass(frozen=True)
class KnownLines:
    """The work on a task as it was at a version of it."""

    version: Hashable
    lines: Sequence[Line]


def known_lines(connection: Connection, row: TaskRow, known: MutableMapping[str, KnownLines]) -> Sequence[Line]:
    """The same, computed once for each change of anything in it, and not for each look.

    Args:
        known: By the name of the task; kept by the caller.
    """
    version = _version(connection, row)
    if row.rig not in known or known[row.rig].version != version:
        known[row.rig] = KnownLines(version, lines(connection, row))
    return known[row.rig].lines


def _version(connection: Connection, row: TaskRow) -> Hashable:
    """Another one says that something is another: the task, an experiment or a score, a lab, a hand-in or a grade, or a person."""
    labs = select(func.count(lab.c.goal), func.sum(lab.c.closes_at), func.count(lab.c.closes_at), func.sum(cast(lab.c.is_exempt, Integer)))
    handed = select(func.count(), func.count(hand_in.c.found_json), func.count(hand_in.c.withdrawn_at)).where(hand_in.c.rig == row.rig)
    grades = select(func.max(grade.c.id))
    who = select(person.c.id, person.c.name, person.c.nickname).where(person.c.classroom == row.classroom, person.c.role == "student")
    parts = [connection.execute(one).one() for one in (labs.where(lab.c.rig == row.rig), handed, grades)]
    people = connection.execute(who.order_by(person.c.id)).all()
    return row.body_json, event_log.last(connection), *map(tuple, parts), tuple(map(tuple, people))


def _best(connection: Connection, row: TaskRow, labs: Mapping[str, LabRow]) -> dict[str, float]:
    """The best reading of each student, as a score, in steps of what hardly matters: a smaller one is noise."""
    question = (
        select(campaign.c.person, func.min(score.c.loss), func.min(campaign.c.experiment_json))
        .join(score, score.c.campaign == campaign.c.id)
        .where(campaign.c.rig == row.rig, score.c.loss.is_not(None))
        .group_by(campaign.c.person)
    )
    fine, found = tasks.task_of(row.body_json).score.fine, dict[str, float]()
    for whose, loss, experiment_json in connection.execute(question):
        own = labs.get(whose)
        goal = standings.goal_of(own.goal, experiment_json) if own and own.goal else None
        if goal is not None and goal.has_score:
            found[whose] = round(loss / fine) * fine * (1 if goal.objectives[0].is_minimized else -1)
    return found


def _unscaled(grades: Sequence[GradeRow]) -> list[str]:
    if not grades or "no scale" not in grades[0].parts:
        return []
    return ["no scale: the reference strategy is no better there than random choices, so who is as good as par has 100 points, others 0"]


def _flags(rows: Iterable[HandInRow]) -> dict[str, list[str]]:
    """Things that an instructor should look at: the same hand-in as somebody else's, and one without any experiment."""
    found, seen = defaultdict[str, list[str]](list), defaultdict[str, list[HandInRow]](list)
    for row in rows:
        claim = row.claim.get("recipe") or row.claim.get("labels")
        seen[json.dumps(claim, sort_keys=True)].append(row)
        if json.loads(row.spent_json)["runs"] == 0:
            found[row.person].append("no experiment")
    for same in seen.values():
        for row in same:
            if others := [other.person for other in same if other.person != row.person]:
                found[row.person].append(f"the same as {', '.join(others[:5])}")
    return found


def labels_of(rig: RigRow, own: LabRow | None) -> Sequence[str]:
    """The labels that a map of a student's lab may have; none where it is not drawn yet, or no map is asked for."""
    return standings.goal_of(own.goal, rig.experiment_json).labels or () if own and own.goal else ()


def check_claim(
    body: Task, places: int, claim: Mapping[str, Any], check: Callable[[Mapping[str, Any]], Mapping[str, Any]], labels: Sequence[str]
) -> dict[str, Any]:
    """A claim as it is kept.

    Args:
        places: Number of the places of a map; 0 for a recipe.
        check: Checks a recipe.
        labels: Those that a map may have.

    Raises:
        InvalidInput: It does not fit the task.
    """
    recipe, said, expected = claim.get("recipe"), claim.get("labels"), claim.get("expected")
    if places:
        if recipe or expected or not said:
            raise InvalidInput(
                f"{body.name} asks for a map: send a label for each of its {places} places, and nothing else", field="labels"
            )
        if len(said) != places:
            raise InvalidInput(f"{len(said)} labels were sent, and there are {places} places", field="labels")
        if labels and (odd := sorted(set(said) - set(labels))):
            raise InvalidInput(f"there is no label {odd[0]!r}; there are {', '.join(labels)}", field="labels")
        return {"labels": list(said)}
    if said or not recipe:
        raise InvalidInput(f"{body.name} asks for a recipe: send settings, or a campaign that recommends some", field="settings")
    if expected and not body.score.expected:
        raise InvalidInput(f"{body.name} gives no points for an expected score; leave it out", field="expected")
    return {"recipe": dict(check(recipe))} | ({"expected": expected} if expected else {})
