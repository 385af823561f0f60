"""P1: what the service acknowledged is never lost. A real server process is killed in the middle of requests, again and again."""

import contextlib
import resource
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection, text

from api.records import classes, event_log, fair_queue, people, tasks
from api.records.database import Database
from api.records.fair_queue import Order
from api.records.rigs import Offer
from api.records.twins import LAB
from frugaltwin.errors import StoreError
from frugaltwin.tasks.instance import Instance, key_of
from frugaltwin.tasks.judge import InstanceJudge
from frugaltwin.tasks.par import plays_of
from frugaltwin.tasks.task import Task
from tests.forms import IS_LONG, times
from tests.service_database import COST, SETTINGS, PostgresServer, ServiceProcess, client, new_person, new_rig, new_token, until

KILLS = times(4, 30)
TASK_KILLS = 12
STUDENTS = 4
ORDER = {"rig": "color-1", "settings": SETTINGS}


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    with ServiceProcess(database_url, tmp_path) as found:
        yield found


class Student(threading.Thread):
    """Submits, one after the other, and sends again with the same key what was not answered."""

    def __init__(self, service: ServiceProcess, token: str) -> None:
        super().__init__(daemon=True)
        self._service, self._token = service, token
        self.kept: dict[str, str] = {}
        self.again = 0
        self.refusals: list[str] = []
        self.is_over = False

    def run(self) -> None:
        with client("", self._token) as http:
            while not self.is_over:
                self._submit(http, f"{self.name}-{len(self.kept)}")

    def _submit(self, http: httpx.Client, key: str) -> None:
        tries = 0
        while True:
            tries += 1
            try:
                reply = http.post(f"{self._service.address}/v1/experiments", json=ORDER, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                threading.Event().wait(0.02)
                continue
            if reply.status_code == 503:
                continue
            if reply.status_code != 202:
                self.refusals.append(reply.text)
                self.is_over = True
                return
            self.kept[key] = reply.json()["id"]
            self.again += tries > 1
            return


@pytest.mark.timing
def test_nothing_acknowledged_is_lost_or_doubled_when_the_service_is_killed(service: ServiceProcess, database_url: str) -> None:
    database = Database(database_url)
    new_rig(database)
    whose = [new_person(database, f"s{i}", runs=1e6) for i in range(STUDENTS)]
    students = [Student(service, new_token(database, w)) for w in whose]
    for student in students:
        student.start()

    def n_kept() -> int:
        assert not any(s.refusals for s in students), [s.refusals for s in students]
        return sum(len(s.kept) for s in students)

    for kill in range(KILLS):
        before = n_kept()
        until(lambda before=before, kill=kill: n_kept() >= before + 10 + 7 * (kill % 5))  # type: ignore[misc]
        service.kill()
        service.start()
    for student in students:
        student.is_over = True
        student.join(240)
    for student, person in zip(students, whose, strict=True):
        words = text("select id from experiment where person = :who order by number")
        found = database.read_now(lambda c, person=person, words=words: list(c.execute(words, {"who": person}).scalars()))  # type: ignore[misc]
        assert found == list(student.kept.values())  # each key once, in order, and nothing besides
        left = text("select runs from account where person = :who")
        assert database.read_now(lambda c, person=person, left=left: c.execute(left, {"who": person}).scalar_one()) == 1e6 - len(found)  # type: ignore[misc]
    ids = database.read_now(lambda c: list(c.execute(text("select id from event order by id")).scalars()))
    assert ids == list(range(1, n_kept() + 1))
    if database.is_sqlite:
        assert database.read_now(lambda c: c.exec_driver_sql("pragma integrity_check").scalar_one()) == "ok"
    database.close()
    assert KILLS == 0 or sum(s.again for s in students) > 0  # some requests were under way when it was killed


TASK = Task.model_validate(
    {
        "name": "quick", "title": "A quick one", "text": "Find it.", "driver": "ferroelectric", "goal": "maximize:piezoelectric",
        "budget": {"runs": 3}, "draw": {"system": "any"}, "score": {"rule": "cost", "within": 1e9, "fine": 20},
        "reference": {"strategy": "sobol", "plays": 2},
    }
)  # fmt: skip


@pytest.mark.timing
@pytest.mark.skipif(not IS_LONG, reason="in the long form")
def test_a_class_whose_service_is_killed_has_each_lab_hand_in_and_grade_once(service: ServiceProcess, database_url: str) -> None:
    """While labs are drawn, handed in and judged. What is drawn is what it would have been without."""
    database = Database(database_url)

    def begin(c: Connection, now: float) -> tuple[str, str, list[str]]:
        room = classes.add(c, now, "chem")
        whose = [people.add_person(c, now, f"s{k}", "student", {}, classroom=room.id) for k in range(STUDENTS)]
        return tasks.add(c, now, "chem", TASK, Offer.of_driver(LAB, {"task": TASK.to_json()}), []).rig, room.secret, whose

    rig, secret, whose = database.write_now(begin)
    words = {who: new_token(database, who) for who in whose}

    def n(table: str) -> int:
        return int(database.read_now(lambda c: c.execute(text(f"select count(*) from {table}")).scalar_one()))

    def n_done() -> int:
        pilots = len(database.read_now(lambda c: tasks.find(c, rig)).pilots)
        return pilots + n("lab where goal is not null") + n("hand_in") + n("grade")

    taken: dict[str, int] = {}

    def hand_in() -> None:
        for who in whose:
            if who in taken or n(f"lab where goal is not null and person = '{who}'") == 0:
                continue
            claim = {"settings": {"titanate": 0.4, "temperature": 450.0}}
            with contextlib.suppress(httpx.TransportError), client(service.address, words[who]) as http:
                reply = http.post(f"/v1/tasks/{rig}/hand-in", json=claim, headers={"Idempotency-Key": "mine"})
                assert reply.status_code in (201, 503), reply.text
                if reply.status_code == 201:
                    taken[who] = n_done()

    last = tasks.PILOTS + 3 * STUDENTS
    goes_on_to = 0

    def is_there() -> bool:
        hand_in()
        return n_done() >= goes_on_to

    for kill in range(TASK_KILLS):
        goes_on_to = min(max(n_done() + 1, (kill + 1) * last // (TASK_KILLS + 1)), last)
        until(is_there)
        service.kill()
        service.start()
    goes_on_to = last
    until(is_there)
    labs = {own.person: own for own in database.read_now(lambda c: tasks.labs_of(c, rig))}
    assert sorted(labs) == sorted(whose)
    for who in whose:
        alone = InstanceJudge(Instance(TASK, who, labs[who].draw, key_of("quick", bytes.fromhex(secret), who, labs[who].draw)))
        assert (labs[who].goal, labs[who].plays_json) == (alone.instance.goal.text, plays_of(alone).to_text())
        assert n(f"hand_in where person = '{who}' and found_json is not null") == 1
        assert n(f"grade join hand_in on hand_in.id = grade.hand_in where person = '{who}'") == 1
    assert (n_done(), sorted(taken)) == (last, sorted(whose))
    database.close()


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("prlimit") is None, reason="needs prlimit")
def test_postgresql_without_room_gets_a_problem_and_room_mends_it(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.new_database()
    database = Database(url)
    new_rig(database)
    token = new_token(database, new_person(database, runs=1e6))
    database.write_now(lambda c, now: c.execute(text("alter table experiment alter settings_json set storage plain")))  # a page for each
    wide = Order(new_person(database), "color-1", SETTINGS | {"note": "x" * 7000}, COST)
    kept: list[str] = []

    def fill() -> None:
        for _ in range(40):
            kept.extend(database.write_now(lambda c, now: [str(fair_queue.submit(c, now, wide).id) for _ in range(10)]))

    with ServiceProcess(url, tmp_path) as service, client(service.address, token) as http:
        try:
            for size in (1_200_000, 147 * 8192):  # half a page has room, which PostgreSQL calls a full disk; then none
                postgres.limit_files(size)
                with pytest.raises(StoreError, match="make room on the disk"):
                    fill()
                while (reply := http.post("/v1/experiments", json=ORDER)).status_code == 202:
                    kept.append(reply.json()["id"])
                assert (reply.status_code, reply.headers["content-type"]) == (503, "application/problem+json")
                assert (reply.json()["retryable"], "make room on the disk" in reply.json()["detail"]) == (True, True)
                assert http.get("/v1/me").status_code == 200  # reading goes on
        finally:
            postgres.limit_files(None)
        kept.append(http.post("/v1/experiments", json=ORDER).json()["id"])
    found = database.read_now(lambda c: list(c.execute(text("select id from experiment order by number")).scalars()))
    assert found == kept
    assert database.read_now(event_log.last) == len(kept)
    database.close()


@pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit")
def test_a_disk_without_room_gets_a_problem_and_room_mends_it(sqlite_url: str, tmp_path: Path) -> None:
    database = Database(sqlite_url)
    new_rig(database)
    token = new_token(database, new_person(database, runs=1e6))
    database.close()
    kept: list[str] = []
    with ServiceProcess(sqlite_url, tmp_path) as service, client(service.address, token) as http:
        before = resource.prlimit(service.pid, resource.RLIMIT_FSIZE)
        kept.append(http.post("/v1/experiments", json=ORDER).json()["id"])
        log = tmp_path / "service.db-wal"
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (log.stat().st_size + 30_000, before[1]))
        while (reply := http.post("/v1/experiments", json=ORDER)).status_code == 202:
            kept.append(reply.json()["id"])
        assert reply.status_code == 503
        assert reply.headers["content-type"] == "application/problem+json"
        assert (reply.json()["retryable"], "make room on the disk" in reply.json()["detail"]) == (True, True)
        assert http.get(f"/v1/experiments/{kept[-1]}").status_code == 200  # reading goes on
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, before)
        kept.append(http.post("/v1/experiments", json=ORDER).json()["id"])
        page = http.get("/v1/experiments", params={"limit": 200}).json()["items"]
    assert [item["id"] for item in reversed(page)] == kept
