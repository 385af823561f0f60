"""Tasks of classes, and each student's lab.

A task is a rig. Each student of the class has a lab on it: a twin whose hidden parameters, goal and noise follow from the secret of the
class, the task and the student (`frugaltwin.tasks.instance`), and from how often it was drawn again. It is drawn until it is about as hard
as the median of some labs that are nobody's; then it is ready, and stays.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from sqlalchemy import Connection, and_, insert, select, update

from api.errors import BudgetExhausted, Conflict, Forbidden, NotFound
from api.records import classes, ledger, rigs
from api.records.identifiers import check_rig_name
from api.records.people import Caller
from api.records.rigs import Offer
from api.records.rows import ClassRow, HandInRow, LabRow, RigRow, TaskRow, fetched, fetched_one
from api.records.tables import classroom, hand_in, lab, person, task
from api.records.twins import LAB, lab_key
from frugaltwin.amounts import Amounts
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import quantity
from frugaltwin.prices import price_from_json
from frugaltwin.store import experiment_from_json
from frugaltwin.tasks.instance import GENERATOR, key_of
from frugaltwin.tasks.task import Task

PILOTS = 9
"""Labs of nobody's, whose median the labs of a class are compared with."""
NEAR = 0.2
"""Of the median: a lab that is harder or easier by more is drawn again."""
DRAWS = 20
"""Times at most that a lab is drawn; then the draw that came nearest counts."""
SLACK = 1e-9
"""Of a limit, for sums that are rounded."""


@lru_cache(maxsize=256)
def task_of(body_json: str) -> Task:
    """A task, as its row has it."""
    return Task.from_json(body_json)


@dataclass(frozen=True)
class Key:
    """The key of a lab, and what it is the key of."""

    rig: str
    person: str | None
    """Whose it is; None for a pilot."""
    pilot: int
    draw: int
    body_json: str
    number: int
    """The seed of the driver `task-lab`."""
    median: float
    """How hard it is to be; of a pilot 0."""


def add(connection: Connection, now: float, name: str, body: Task, offer: Offer, places: Sequence[Mapping[str, object]]) -> TaskRow:
    """A new task of a class; its labs are drawn from now on.

    Args:
        name: Of the class.
        offer: What its rig performs.
        places: Those of a map.

    Raises:
        NotFound: There is no such class.
        InvalidInput: The names of class and task are too long together.
        Conflict: The class has such a task, or is archived.
    """
    room = classes.find(connection, name)
    if room.archived_at is not None:
        raise Conflict(f"the class {name} is archived; begin another")
    where = f"{room.name}-{body.name}"
    check_rig_name(where)
    if any(row.name == where for row in rigs.all_rigs(connection)):
        raise Conflict(f"there is a rig or a task {where} already; give this one another name")
    rigs.register(connection, now, where, LAB, {"task": body.to_json()}, False, offer)
    row = TaskRow(where, room.id, body.to_json(), json.dumps(list(places)) if places else None, "{}", now)
    connection.execute(insert(task), vars(row))
    return row


def copy(connection: Connection, now: float, earlier: ClassRow, room: ClassRow) -> None:
    """Give a class the tasks of an earlier one, without their times. Its labs are others: its secret is."""
    for row in of_class(connection, earlier):
        body = task_of(row.body_json).model_copy(update={"opens": None, "closes": None, "late": None})
        known = rigs.find(connection, row.rig)
        price = price_from_json(json.loads(known.price_json)) if known.price_json else None
        offer = Offer(experiment_from_json(json.loads(known.experiment_json)), price)
        add(connection, now, room.name, body, offer, json.loads(row.places_json or "[]"))


def find(connection: Connection, name: str, caller: Caller | None = None) -> TaskRow:
    """A task by the name of its rig.

    Args:
        caller: A task of another class is refused like one that does not exist.

    Raises:
        NotFound: There is none.
    """
    row = fetched_one(TaskRow, connection.execute(select(task).where(task.c.rig == name)))
    if row is None or (caller is not None and not caller.sees_all and row.classroom != classes.of_person(connection, caller.person)):
        raise NotFound(f"there is no task {name[:40]!r}; GET /v1/tasks lists yours")
    return row


def seen_by(connection: Connection, caller: Caller) -> list[TaskRow]:
    """The tasks of the caller's class, or for who sees all those of all classes, oldest first."""
    question = select(task).order_by(task.c.created_at, task.c.rig)
    if not caller.sees_all:
        question = question.where(task.c.classroom == classes.of_person(connection, caller.person))
    return fetched(TaskRow, connection.execute(question))


def rigs_seen_by(connection: Connection, caller: Caller) -> list[RigRow]:
    """All rigs, by name, but for the tasks of other classes."""
    own = {row.rig for row in seen_by(connection, caller)}
    return [row for row in rigs.all_rigs(connection) if row.driver != LAB or row.name in own]


def of_class(connection: Connection, room: ClassRow) -> list[TaskRow]:
    """The tasks of a class, oldest first."""
    return fetched(TaskRow, connection.execute(select(task).where(task.c.classroom == room.id).order_by(task.c.created_at, task.c.rig)))


def at_work(connection: Connection) -> list[TaskRow]:
    """The tasks of classes that are not archived."""
    question = select(task).join(classroom, classroom.c.id == task.c.classroom).where(classroom.c.archived_at.is_(None))
    return fetched(TaskRow, connection.execute(question.order_by(task.c.created_at, task.c.rig)))


def check_change(row: TaskRow, body: Task) -> None:
    """Refuse other words for a task by which its labs, which are drawn, would be others.

    Raises:
        Conflict: They would.
    """
    kept = {"name", "driver", "draw", "goal", "require"}
    before = task_of(row.body_json)
    if other := next((word for word in sorted(kept) if getattr(body, word) != getattr(before, word)), None):
        raise Conflict(f"{other}: the labs of {row.rig} are drawn, and would be others; make a task of another name")


def change(connection: Connection, row: TaskRow, body: Task) -> None:
    """Give a task other words, which were checked before."""
    connection.execute(update(task).where(task.c.rig == row.rig).values(body_json=body.to_json()))


def extend(connection: Connection, name: str, closes: float) -> TaskRow:
    """Let a task close at another time, for all who have no time of their own that is later.

    Raises:
        NotFound: There is no such task.
        InvalidInput: It would close before it opens.
    """
    row = find(connection, name)
    body = task_of(row.body_json)
    at = datetime.fromtimestamp(closes, UTC)
    if body.opens and at <= body.opens:
        raise InvalidInput(f"{name} opens at {body.opens.isoformat()}, which is not before {at.isoformat()}; let it close later")
    change(connection, row, body.model_copy(update={"closes": at}))
    return find(connection, name)


def lab_of(connection: Connection, name: str, whose: str) -> LabRow | None:
    """A student's lab, if one was begun to be drawn."""
    return fetched_one(LabRow, connection.execute(select(lab).where(lab.c.rig == name, lab.c.person == whose)))


def labs_of(connection: Connection, name: str) -> list[LabRow]:
    """All labs of a task."""
    return fetched(LabRow, connection.execute(select(lab).where(lab.c.rig == name)))


def handed_in(connection: Connection, name: str, whose: str) -> HandInRow | None:
    """A student's hand-in that was not withdrawn, if there is one."""
    question = select(hand_in).where(hand_in.c.rig == name, hand_in.c.person == whose, hand_in.c.withdrawn_at.is_(None))
    return fetched_one(HandInRow, connection.execute(question))


def closes_at(body: Task, own: LabRow | None) -> float | None:
    """The time at which a task closes for a student."""
    times = [body.closes.timestamp() if body.closes else None, own.closes_at if own else None]
    return max((at for at in times if at is not None), default=None)


def ends_at(body: Task, own: LabRow | None) -> float | None:
    """The time after which nothing of a student's is taken any more: by the late rule, some days after the task has closed."""
    closes = closes_at(body, own)
    return None if closes is None else closes + 86_400 * (body.late.days if body.late else 0)


def is_shown(body: Task, own: LabRow | None, now: float) -> bool:
    """Say whether points and par are shown to a student."""
    closes = closes_at(body, own)
    return closes is None or now >= closes


def ready_lab(connection: Connection, row: RigRow, whose: str) -> tuple[TaskRow, LabRow] | None:
    """A student's lab on a rig, where it is one of a task; None on any other rig.

    Raises:
        Forbidden: It is a task of a class that the person is not a student of.
        Conflict: The lab is not drawn yet.
    """
    if row.driver != LAB:
        return None
    found = fetched_one(TaskRow, connection.execute(select(task).where(task.c.rig == row.name)))
    member = person.c.id == whose, person.c.role == "student"
    room = connection.execute(select(person.c.classroom).where(*member)).scalar_one_or_none()
    if found is None or room != found.classroom:
        raise Forbidden(f"{row.name} is a task of a class, and only its students have a lab there; take another rig")
    own = lab_of(connection, row.name, whose)
    if own is None or own.goal is None:
        raise Conflict(f"your lab of {row.name} is being prepared; try again in some minutes")
    return found, own


def check_open(connection: Connection, now: float, found: TaskRow, own: LabRow) -> None:
    """Refuse a student whose time for a task has not come, or is over.

    Raises:
        Conflict: It is so.
    """
    body, room = task_of(found.body_json), classes.by_id(connection, found.classroom)
    if body.opens and now < body.opens.timestamp():
        raise Conflict(f"{found.rig} opens at {body.opens.isoformat()}; come back then")
    ends = ends_at(body, own)
    if room.archived_at is not None or (ends is not None and now > ends):
        raise Conflict(f"{found.rig} is closed; ask your instructor for more time")
    if handed_in(connection, found.rig, own.person):
        raise Conflict(f"you have handed in {found.rig}, which ends it; practise on: frugaltwin practice")


def admit(connection: Connection, now: float, row: RigRow, whose: str, price: Amounts) -> None:
    """Refuse an experiment that a task does not allow; on other rigs all are allowed.

    Raises:
        Forbidden: The person is no student of its class.
        Conflict: It is not open, or the lab is not drawn yet.
        BudgetExhausted: It would take more than the task allows.
    """
    if (ready := ready_lab(connection, row, whose)) is None:
        return
    check_open(connection, now, *ready)
    used, asked = spent(connection, row.name, whose), price + Amounts(runs=1)
    for kind in Amounts.kinds():
        limit = task_of(ready[0].body_json).limits.limits.get(kind.name, math.inf)
        has, more = getattr(used, kind.name), getattr(asked, kind.name)
        if has + more > limit * (1 + SLACK):
            words = (
                f"{quantity(has, kind.unit)} of {quantity(limit, kind.unit)} {kind.name} used, it would take {quantity(more, kind.unit)}"
            )
            raise BudgetExhausted(f"the budget of {row.name} does not allow this experiment ({words}); hand in what you have found")


def spent(connection: Connection, name: str, whose: str) -> Amounts:
    """The amounts that a student's experiments on a task took, or have reserved."""
    return ledger.of_rig(connection, whose, name)


def hardness(connection: Connection, name: str) -> float | None:
    """Hardness that a lab of a task is to have; None as long as that is not known."""
    pilots = find(connection, name).pilots
    return statistics.median(pilots.values()) if len(pilots) >= PILOTS else None


def next_keys(connection: Connection, busy: set[tuple[str, str]], count: int) -> list[Key]:
    """Labs of which par has to be played next.

    Args:
        busy: Those that are played already, by rig and person, or number of the pilot.
    """
    found: list[Key] = []
    for row in at_work(connection):
        room, body = classes.by_id(connection, row.classroom), task_of(row.body_json)
        pilots = row.pilots

        def key(student: str, draw: int, row: TaskRow = row, room: ClassRow = room, body: Task = body) -> int:
            return int.from_bytes(key_of(body.name, bytes.fromhex(room.secret), student, draw), "big")

        if len(pilots) < PILOTS:
            found += [
                Key(row.rig, None, k, 0, row.body_json, key(f"pilot {k}", 0), 0.0)
                for k in range(PILOTS)
                if str(k) not in pilots and (row.rig, str(k)) not in busy
            ]
            continue
        median = statistics.median(pilots.values())
        for whose, draw in _undrawn(connection, row):
            if (row.rig, whose) not in busy:
                found.append(Key(row.rig, whose, 0, draw, row.body_json, key(whose, draw), median))
        if len(found) >= count:
            break
    return found[:count]


def _undrawn(connection: Connection, row: TaskRow) -> list[tuple[str, int]]:
    """The students whose lab is not ready, and how often each was drawn."""
    question = (
        select(person.c.id, lab.c.draw)
        .outerjoin(lab, and_(lab.c.person == person.c.id, lab.c.rig == row.rig))
        .where(person.c.classroom == row.classroom, person.c.role == "student", lab.c.goal.is_(None))
        .order_by(person.c.created_at, person.c.id)
    )
    return [(whose, draw or 0) for whose, draw in connection.execute(question)]


def n_students(connection: Connection, row: TaskRow) -> int:
    """The number of a task's students."""
    return len(classes.students(connection, row.classroom))


def key_number(connection: Connection, name: str, whose: str) -> int | None:
    """The seed of the driver `task-lab` for a student's lab; None where there is no lab yet."""
    return lab_key(connection, name, whose)


def note_pilot(connection: Connection, key: Key, value: float) -> None:
    """Keep how hard a pilot is."""
    row = find(connection, key.rig)
    connection.execute(update(task).where(task.c.rig == key.rig).values(pilots_json=json.dumps(row.pilots | {str(key.pilot): value})))


def is_near(value: float, median: float) -> bool:
    """Say whether a lab is about as hard as it is to be."""
    return abs(value - median) <= NEAR * median


def note_try(connection: Connection, key: Key, value: float, goal: str, plays_json: str | None) -> None:
    """Keep how hard a draw of a lab is. One that has all its plays is ready; else it is drawn again, or the nearest draw is taken.

    Args:
        value: Infinite where the reference strategy never reaches what is asked for.
    """
    assert key.person is not None
    own = lab_of(connection, key.rig, key.person)
    if own is not None and (own.goal is not None or own.draw != key.draw):
        return  # another process of the service was quicker
    if own is None:
        own = LabRow(key.rig, key.person, GENERATOR, key.draw, "[]", None, None, None, False)
        connection.execute(insert(lab), vars(own))
    tries = own.tries
    values: dict[str, object] = {}
    if plays_json is not None:
        values = {"goal": goal, "plays_json": plays_json}
    else:
        tries.append(min(value, 1e300))
        near = min(range(len(tries)), key=lambda k: abs(math.log(max(tries[k], 1e-300) / key.median)))
        values = {"draw": len(tries) if len(tries) < DRAWS else near}
    where = lab.c.rig == key.rig, lab.c.person == key.person
    connection.execute(update(lab).where(*where).values(tries_json=json.dumps(tries), **values))


def is_last(connection: Connection, key: Key) -> bool:
    """Say whether a draw is taken however hard it is."""
    own = lab_of(connection, key.rig, key.person or "")
    return own is not None and len(own.tries) >= DRAWS


def grant(connection: Connection, name: str, whose: str, closes: float | None, is_exempt: bool | None) -> LabRow:
    """Give a student more time for a task, or exempt them.

    Raises:
        NotFound: There is no such task, or no such student in its class.
        Conflict: The lab is not begun to be drawn yet.
        InvalidInput: Nothing is said.
    """
    row = find(connection, name)
    if not any(one.id == whose for one in classes.students(connection, row.classroom)):
        raise NotFound(f"{whose[:40]} is no student of the class of {name}; GET /v1/people lists them")
    own = lab_of(connection, name, whose)
    if own is None:
        raise Conflict(f"the lab of {whose} is being prepared; try again in some minutes")
    values = {k: v for k, v in (("closes_at", closes), ("is_exempt", is_exempt)) if v is not None}
    if not values:
        raise InvalidInput("say until when, or whether the student is exempt")
    connection.execute(update(lab).where(lab.c.rig == name, lab.c.person == whose).values(**values))
    found = lab_of(connection, name, whose)
    assert found is not None
    return found
