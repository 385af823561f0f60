"""Events: nobody's are lost, doubled or shown to another, whoever is slow, cut off or revoked meanwhile."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection

from api.event_streams import STREAMS, WAITING, Framed, Listener
from api.records import event_log, people, tokens
from api.records.event_log import EVERYBODY, Filter
from frugaltwin.errors import InvalidInput
from tests.running_service import Running, running
from tests.service_database import submit, until

SSE = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
def service(fresh_url: Callable[[], str]) -> Iterator[Running]:
    with running(fresh_url(), requests_per_second=1e6, burst=1e6, heartbeat=0.3) as found:
        yield found


def tell(service: Running, whose: str, *kinds: str, **where: str) -> list[int]:
    """Record events, one commit each; their ids."""

    def change(kind: str) -> Callable[[Connection, float], int]:
        return lambda c, now: event_log.record(c, now, kind, whose, {"text": "new\nline, 李"}, **where)

    return [service.database.write_now(change(kind)) for kind in kinds]


def in_time(lines: Iterator[str], seconds: float = 60.0) -> Iterator[str]:
    """The same lines, for a while: signs of life alone must not keep a test waiting."""
    end = time.monotonic() + seconds
    for line in lines:
        assert time.monotonic() < end, f"nothing came for {seconds} s"
        yield line


@contextlib.contextmanager
def stream(
    service: Running, token: str, last: int | None = None, transport: httpx.HTTPTransport | None = None, **query: str | int
) -> Iterator[Iterator[str]]:
    """The lines of an open stream, from its first event or sign of life on."""
    headers = SSE if last is None else SSE | {"Last-Event-ID": str(last)}
    with (
        service.client(token, transport=transport) as client,
        client.stream("GET", "/v1/events", params=query, headers=headers) as response,
    ):
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = in_time(response.iter_lines())
        assert next(lines) == "retry: 1000"
        assert next(lines).startswith("id: ")
        yield lines


def ids(lines: Iterator[str], count: int) -> list[int]:
    """Of the next events."""
    found: list[int] = []
    while len(found) < count:
        line = next(lines)
        if line.startswith("id: "):
            found.append(int(line[4:]))
    return found


def events(lines: Iterator[str], count: int) -> list[dict[str, Any]]:
    """The next events, whole."""
    found: list[dict[str, Any]] = []
    block: dict[str, str] = {}
    while len(found) < count:
        line = next(lines)
        if not line and "data" in block:
            told = json.loads(block["data"])
            assert (block["id"], block["event"]) == (str(told["id"]), told["kind"])
            found.append(told)
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            block[name] = value
        else:
            block = {}
    return found


def test_a_stream_tells_what_happens_while_it_happens(service: Running) -> None:
    whose, token = service.person()
    with stream(service, token) as lines, service.client(token) as client:
        identity = submit(service.database, whose)
        client.post(f"/v1/experiments/{identity}/abort")
        queued, aborted = events(lines, 2)
        page = client.get("/v1/events").json()
    assert [queued["kind"], aborted["kind"]] == ["experiment.queued", "experiment.aborted"]
    assert queued["experiment"] == aborted["experiment"] == identity
    assert queued["rig"] == "color-1"
    assert page["items"] == [queued, aborted]


def test_who_was_cut_off_goes_on_without_gaps_or_doubles(service: Running) -> None:
    whose, token = service.person()
    n, heard = 300, [service.database.read_now(event_log.last)]
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(tell, service, whose, *["note.made"] * n)
        while len(heard) <= n:
            with stream(service, token, heard[-1]) as lines:
                heard += ids(lines, min(7, n + 1 - len(heard)))
    assert heard[1:] == writing.result()


def test_nobody_hears_of_anothers_events_and_an_instructor_hears_all(service: Running) -> None:
    ada, adas = service.person()
    grace, graces = service.person(name="Grace")
    with stream(service, adas) as of_ada, stream(service, graces) as of_grace, stream(service, service.admin) as of_all:
        first, third = tell(service, ada, "a.first")[0], tell(service, grace, "g.first")[0]
        public = tell(service, EVERYBODY, "rig.stopped", rig="color-1")[0]
        assert ids(of_ada, 2) == [first, public]
        assert ids(of_grace, 2) == [third, public]
        assert ids(of_all, 3) == [first, third, public]
    with service.client(graces) as client:
        shown = [one["id"] for one in client.get("/v1/events", params={"after": first - 1}).json()["items"]]
    assert shown == [third, public]


def test_a_stream_can_be_of_one_rig_campaign_or_experiment(service: Running) -> None:
    whose, token = service.person()
    begin = service.database.read_now(event_log.last)
    for query in ({"rig": "r1"}, {"campaign": "c1"}, {"experiment": "x1"}):
        with stream(service, token, None, None, **query) as lines:
            tell(service, whose, "other.one", rig="r2", campaign="c2", experiment="x2")
            wanted = tell(service, whose, "this.one", **query)
            assert ids(lines, 1) == wanted
        with service.client(token) as client:
            page = client.get("/v1/events", params={"after": str(begin)} | query).json()
        assert [one["id"] for one in page["items"]] == wanted


def test_pages_of_events_go_on_where_the_last_one_ended(service: Running) -> None:
    whose, token = service.person()
    made = tell(service, whose, *["note.made"] * 5)
    found: list[int] = []
    after = "0"
    with service.client(token) as client:
        while (page := client.get("/v1/events", params={"after": after, "limit": 2}).json())["items"]:
            found += [one["id"] for one in page["items"]]
            after = page["next"]
        assert page["next"] == after
    assert [i for i in found if i in made] == made
    assert found == sorted(set(found))


def test_a_quiet_stream_gives_signs_of_life(service: Running) -> None:
    _, token = service.person()
    with stream(service, token) as lines:
        assert [next(lines) for _ in range(5)] == ["", ":", "", ":", ""]


def test_a_slow_reader_costs_no_memory_and_loses_nothing(service: Running) -> None:
    whose, token = service.person()
    n, long = 20 * WAITING, {"text": "x" * 20_000}  # 40 MB: more than the sockets between hold

    def many(c: Connection, now: float) -> None:
        for _ in range(n):
            event_log.record(c, now, "note.made", whose, long)

    def listeners() -> list[Listener]:
        return [one for one in service.service.streams.listeners() if one.caller.person == whose]

    small = httpx.HTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)])
    with stream(service, token, transport=small) as lines:
        (listener,) = listeners()
        begin = service.database.read_now(event_log.last)
        service.database.write_now(many)
        until(lambda: listener.is_behind)
        assert listener.after < begin + n
        assert listener.n_waiting <= WAITING
        assert ids(lines, n) == list(range(begin + 1, begin + n + 1))


def test_what_the_table_told_is_not_told_again_from_memory(service: Running) -> None:
    whose, token = service.person()
    made = tell(service, whose, *["note.made"] * 4)
    rows = service.database.read_now(lambda c: event_log.after(c, made[0] - 1, 4))
    caller = service.database.read_now(lambda c: people.caller(c, 0.0, token))

    async def told() -> list[bytes]:
        listener = Listener(service.database, 15.0, caller, Filter(whose))
        listener.place(made[0] - 1, is_behind=True)
        first = [await anext(listener), await anext(listener)]  # where it begins, and all that the table has
        listener.hear(Framed(rows[3], b"again"))
        listener.hear(Framed(replace(rows[3], id=made[3] + 1), b"new"))
        return [*first[1:], await anext(listener)]

    from_table, from_memory = asyncio.run(told())
    assert [int(line[4:]) for line in from_table.decode().splitlines() if line.startswith("id: ")] == made
    assert from_memory == b"new"


def test_streams_end_when_their_token_is_revoked(service: Running) -> None:
    whose, token = service.person()
    with service.client(token) as client:
        other = client.post("/v1/tokens", json={"scopes": ["read"]}).json()
        with stream(service, other["token"]) as cut, stream(service, token) as kept:
            client.delete(f"/v1/tokens/{other['id']}")
            assert not [line for line in cut if line.startswith("data") and "token.revoked" not in line]
            last = tell(service, whose, "note.made")[0]
            assert events(kept, 2)[-1]["id"] == last
    until(lambda: len(service.service.streams) == 0)


def test_streams_end_when_their_token_expires(service: Running) -> None:
    whose, _ = service.person()
    now = service.database.now()
    token = service.database.write_now(lambda c, _: tokens.add_token(c, now, whose, ["read"], "short", now + 1.5))[1]
    with stream(service, token) as lines:
        assert set(lines) <= {"", ":"}
    assert service.database.now() >= now + 1.5


def test_streams_end_when_the_service_does(database_url: str) -> None:
    with running(database_url, heartbeat=60) as service:
        _, token = service.person()
        with stream(service, token) as lines:
            service.stop()
            assert set(lines) <= {""}


def test_who_waits_is_answered_when_the_service_ends(database_url: str) -> None:
    """And not cut off when its patience with open requests is over."""
    with running(database_url, heartbeat=60) as service, ThreadPoolExecutor() as pool:
        whose, token = service.person()
        identity = submit(service.database, whose)
        with service.client(token) as client:
            waiting = pool.submit(client.get, f"/v1/experiments/{identity}", headers={"Prefer": "wait=60"}, timeout=60)
            until(lambda: bool(service.service.streams._watchers))
            service.stop()
            answer = waiting.result()
        assert (answer.status_code, answer.json()["state"]) == (200, "queued")


def test_a_token_has_only_so_many_streams(service: Running) -> None:
    _, token = service.person()
    with contextlib.ExitStack() as stack:
        for _ in range(STREAMS):
            stack.enter_context(stream(service, token))
        with service.client(token) as client:
            refused = client.get("/v1/events", headers=SSE)
            assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
            assert "retry-after" in refused.headers
    until(lambda: len(service.service.streams) == 0)
    with stream(service, token) as lines:
        assert next(lines) == ""


def test_events_that_are_not_there_yet_cannot_be_followed(service: Running) -> None:
    _, token = service.person()
    with service.client(token) as client:
        problem = client.get("/v1/events", headers=SSE | {"Last-Event-ID": "999999999"})
        assert (problem.status_code, problem.headers["content-type"]) == (422, "application/problem+json")
        assert client.get("/v1/events", headers=SSE | {"Last-Event-ID": "x"}).status_code == 422
        assert httpx.get(f"{service.address}/v1/events", headers=SSE, trust_env=False).status_code == 401


def test_event_ids_have_no_gaps_whatever_is_refused(service: Running) -> None:
    whose, _ = service.person()
    begin = service.database.read_now(event_log.last)

    def change(is_refused: bool) -> Callable[[Connection, float], int]:
        def made(c: Connection, now: float) -> int:
            number = event_log.record(c, now, "note.made", whose, {})
            if is_refused:
                raise InvalidInput("no")
            return number

        return made

    def write(seed: int) -> int:
        written = 0
        for i in range(50):
            try:
                service.database.write_now(change((seed * i) % 3 == 1))
                written += 1
            except InvalidInput:
                pass
        return written

    with ThreadPoolExecutor(8) as pool:
        n = sum(pool.map(write, range(8)))
    after = service.database.read_now(lambda c: event_log.after(c, begin, 1000))
    assert n < 400
    assert [row.id for row in after] == list(range(begin + 1, begin + 1 + n))
