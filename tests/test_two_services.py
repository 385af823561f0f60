"""Two processes of the service on one PostgreSQL: what is done at one holds at the other, and one may be killed."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.records import event_log, people, tokens
from api.records.database import Database
from api.service import REMEMBER
from frugaltwin import catalog
from tests.service_database import SETTINGS, PostgresServer, ServiceProcess, client, new_person, new_rig, new_token, submit, until

ORDER = {"rig": "color-1", "settings": SETTINGS}
Json = dict[str, Any]


class Pair:
    """Both services, and whoever uses them."""

    def __init__(self, url: str, folder: Path, stack: ExitStack) -> None:
        self.stack = stack
        self.database = Database(url)
        stack.callback(self.database.close)
        new_rig(self.database)
        new_rig(self.database, "mixer-1", is_real=True)
        self.services: list[ServiceProcess] = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            self.services.append(stack.enter_context(ServiceProcess(url, folder / name)))
        scopes = people.OF_ROLE["instructor"].split()
        teacher = self.database.write_now(lambda c, now: people.add_person(c, now, "Ms. Curie", "instructor", {}))
        self.instructor = self.database.write_now(lambda c, now: tokens.add_token(c, now, teacher, scopes))[1]

    def both(self, token: str) -> list[httpx.Client]:
        """Somebody's requests to the one, and to the other."""
        return [self.stack.enter_context(client(service.address, token)) for service in self.services]

    def student(self, **limits: float) -> list[httpx.Client]:
        """A newcomer's requests to the one, and to the other."""
        return self.both(new_token(self.database, new_person(self.database, "Ada", **limits)))

    def left(self, token: httpx.Client) -> float:
        """How many runs somebody has left."""
        return float(token.get("/v1/me").json()["budget"]["left"]["runs"])


@pytest.fixture(scope="module")
def pair(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair(postgres.new_database(), tmp_path_factory.mktemp("pair"), stack)


def take(worker: httpx.Client, name: str = "w", rig: str = "color-1", count: int = 1) -> list[Json]:
    """What a worker gets to do; its rig may move for it."""
    answer = worker.post(f"/v1/work/{rig}/leases", json={"worker": name, "count": count})
    assert answer.status_code == 200, answer.text
    jobs: list[Json] = answer.json()["jobs"]
    begun = worker.post(f"/v1/work/{rig}/begin", json={"jobs": jobs}).json()["jobs"]
    assert [job["id"] for job in begun] == [job["id"] for job in jobs]
    return jobs


def hand_in(worker: httpx.Client, jobs: list[Json], rig: str = "color-1") -> None:
    """Measured."""
    cost = {"seconds": 1.0, "money": 0.0, "volume": 4.0}
    with catalog.make_driver("color-mixing") as driver:
        for job in jobs:
            measured = {"outcomes": driver.perform(job["settings"]).outcomes, "cost": cost, "raw": {}}
            report = {"id": job["id"], "lease": job["lease"], "measurement": measured, "error": None, "cost": cost, "provenance": {}}
            answer = worker.post(f"/v1/work/{rig}/finish", json={"reports": [report]})
            assert answer.json() == {"refused": []}, answer.text


def perform(worker: httpx.Client, count: int = 1) -> bool:
    """Take some, and do them."""
    hand_in(worker, take(worker, count=count))
    return True


@contextmanager
def streamed(reader: httpx.Client, after: int) -> Iterator[Callable[[int], list[int]]]:
    """The ids of the next events that a stream tells."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
    with reader.stream("GET", "/v1/events", headers=headers) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        assert next(lines) == "retry: 1000"
        assert next(lines) == f"id: {after}"
        yield lambda count: [int(next(line for line in lines if line.startswith("id: "))[4:]) for _ in range(count)]


def test_streams_of_both_tell_the_same_events_in_the_same_order_without_gaps(pair: Pair) -> None:
    n, last = 80, pair.database.read_now(event_log.last)
    students = [one for _ in range(2) for one in pair.student(runs=1e6)]

    def some(student: httpx.Client) -> None:
        for _ in range(n // 8):
            place = student.post("/v1/experiments", json=ORDER).headers["location"]
            assert student.post(f"{place}/abort").status_code == 200

    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        streams = [stack.enter_context(streamed(reader, last)) for reader in pair.both(pair.instructor)]
        done = [pool.submit(some, student) for student in students]
        for follow in streams:
            assert follow(n) == list(range(last + 1, last + n + 1))
        for each in done:
            each.result(60)


@pytest.mark.timing
@pytest.mark.parametrize("has_stream", [False, True])
def test_a_token_that_is_revoked_at_one_is_refused_at_the_other_in_two_seconds(pair: Pair, has_stream: bool) -> None:
    owner, _ = pair.student()
    made = owner.post("/v1/tokens", json={"scopes": ["read"]}).json()
    there = pair.both(made["token"])[1]
    with ExitStack() as stack:
        if has_stream:  # which ends
            follow = stack.enter_context(streamed(there, 0))
        assert there.get("/v1/me").status_code == 200
        assert owner.delete(f"/v1/tokens/{made['id']}").status_code == 204
        revoked = time.monotonic()
        asked = revoked
        while there.get("/v1/me").status_code == 200:
            assert asked - revoked < REMEMBER
            asked = time.monotonic()
        assert there.get("/v1/me").status_code == 401
        if has_stream:
            with pytest.raises(StopIteration):
                follow(10**6)
    assert owner.get("/v1/me").status_code == 200


def test_what_is_submitted_at_one_is_waited_for_and_done_at_the_other(pair: Pair) -> None:
    here, there = pair.student()
    worker, _ = pair.both(pair.instructor)
    place = here.post("/v1/experiments", json=ORDER).headers["location"]
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(one.get, place, headers={"Prefer": "wait=25"}) for one in (here, there)]
        jobs = take(worker)
        assert [job["id"] for job in jobs] == [place.rpartition("/")[2]]
        assert not any(one.done() for one in waiting)
        hand_in(worker, jobs)
        answers = [one.result(60).json() for one in waiting]
    assert [answer["state"] for answer in answers] == ["succeeded"] * 2
    assert answers[0] == answers[1]


def test_each_experiment_is_leased_once_whichever_service_a_worker_asks(pair: Pair) -> None:
    whose = new_person(pair.database)
    submitted = [submit(pair.database, whose) for _ in range(40)]
    workers = [worker for _ in range(3) for worker in pair.both(pair.instructor)]

    def some(n: int) -> list[Json]:
        found: list[Json] = []
        while more := take(workers[n], f"w{n}", count=1 + n % 3):
            found += more
        return found

    with ThreadPoolExecutor(len(workers)) as pool:
        taken = [job for jobs in pool.map(some, range(len(workers))) for job in jobs]
    assert sorted(job["id"] for job in taken) == sorted(submitted)
    hand_in(workers[0], taken)


def test_a_real_rig_that_is_driven_at_one_is_refused_to_a_worker_at_the_other(pair: Pair) -> None:
    here, there = pair.both(pair.instructor)
    submitted = [submit(pair.database, new_person(pair.database), "mixer-1") for _ in range(2)]
    jobs = take(here, "first", "mixer-1")
    refused = there.post("/v1/work/mixer-1/leases", json={"worker": "second"})
    assert (refused.status_code, "is driven by the worker first" in refused.json()["detail"]) == (409, True)
    hand_in(here, jobs, "mixer-1")
    jobs += take(here, "first", "mixer-1")
    hand_in(here, jobs[1:], "mixer-1")
    assert [job["id"] for job in jobs] == submitted


def test_a_request_that_is_sent_to_both_at_once_with_one_key_is_done_once(pair: Pair) -> None:
    both = pair.student(runs=100)
    gate = threading.Barrier(2)

    def send(n: int, key: str) -> httpx.Response:
        gate.wait(30)
        return both[n].post("/v1/experiments", json=ORDER, headers={"Idempotency-Key": key})

    with ThreadPoolExecutor(2) as pool:
        for i in range(10):
            one, other = pool.map(send, (0, 1), (f"k{i}",) * 2)
            assert (one.status_code, one.content) == (202, other.content)
    assert pair.left(both[0]) == 90
    assert len(both[1].get("/v1/experiments?limit=200").json()["items"]) == 10


def test_a_budget_is_spent_once_at_both(pair: Pair) -> None:
    both = pair.student(runs=10)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: both[n % 2].post("/v1/experiments", json=ORDER).status_code, range(30)))
    assert (statuses.count(202), statuses.count(402)) == (10, 20)
    assert pair.left(both[0]) == pair.left(both[1]) == 0


@pytest.mark.timing
def test_a_campaign_goes_on_at_the_other_when_the_service_is_killed_where_it_was_started(pair: Pair) -> None:
    here, there = pair.student()
    _, worker = pair.both(pair.instructor)
    perform(worker, count=100)  # what other tests left in the queue
    words = {"name": "survivor", "rig": "color-1", "strategy": {"name": "random"}, "budget": {"runs": 5}}
    made = here.post("/v1/campaigns", json=words)
    assert made.status_code == 202, made.text
    trials = f"/v1/experiments?campaign={made.json()['id']}"
    until(lambda: len(there.get(trials).json()["items"]) == 1)
    pair.services[0].kill()
    try:
        until(lambda: perform(worker) and there.get(made.headers["location"]).json()["state"] == "ended")
    finally:
        pair.services[0].start()
    found = there.get(trials).json()["items"]
    assert [(x["trial"], x["state"]) for x in reversed(found)] == [(n, "succeeded") for n in range(1, 6)]
