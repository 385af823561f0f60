"""Load on the service: durable submissions a second, a class at work, and open event streams.

    python -m benchmarks.service_load submissions [--seconds 10] [--clients 32]
    python -m benchmarks.service_load class [--seconds 60] [--clients 500] [--rate 300]
    python -m benchmarks.service_load streams [--clients 500]

Each runs `frugaltwin serve` on a fresh SQLite file, or with `--postgresql` on a PostgreSQL server of its own, with every commit on disk;
`--processes 2` runs two of them on that. Services, database and students are processes of their own and share the machine's cores. In a
class the service's own worker performs the experiments on the twin; elsewhere nobody does, so that what is measured is the service.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, time
from typing import Any

from api import migrations
from api.records import ledger, people, rigs, tokens
from api.records.database import Database

RIG, DRIVER = "color-1", "color-mixing"
DYES = ("red", "yellow", "blue")
READ = ("/v1/experiments?limit=10", "/v1/rigs", "/v1/me")
NO_LIMIT: dict[str, float | None] = dict.fromkeys(ledger.KINDS)


def prepare(url: str, students: int) -> list[str]:
    """A database with one twin and so many students; their tokens."""
    migrations.upgrade(url)
    database = Database(url)

    def fill(connection: Any, now: float) -> list[str]:
        rigs.register(connection, now, RIG, DRIVER, {}, is_real=False)
        whose = [people.add_person(connection, now, f"student {i}", "student", NO_LIMIT) for i in range(students)]
        return [tokens.add_token(connection, now, w, ("read", "run:sim"))[1] for w in whose]

    try:
        return database.write_now(fill)
    finally:
        database.close()


@contextmanager
def serving(url: str, reports: str, *, has_rig: bool, core: int | None = None) -> Iterator[tuple[int, int]]:
    """A process of the service; its port and process id.

    Args:
        core: The only one that it and its children may use.
    """
    rig = ("--rig", f"{RIG}={DRIVER}") if has_rig else ("--no-rigs",)
    before = [] if core is None else ["taskset", "--cpu-list", str(core)]
    command = [*before, sys.executable, "-m", "frugaltwin", "serve", "--json", "--port", "0", "--database", url, "--reports", reports, *rig]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, "the service did not begin"
            yield int(json.loads(line)["address"].rpartition(":")[2]), process.pid
        finally:
            process.send_signal(signal.SIGINT)


@contextmanager
def fresh_database(folder: str, is_postgresql: bool) -> Iterator[str]:
    """The URL of a database without tables."""
    if not is_postgresql:
        yield f"sqlite:///{folder}/service.db"
        return
    from tests.service_database import PostgresServer

    server = PostgresServer({"fsync": "on", "shared_buffers": "128MB"})
    try:
        yield server.new_database(is_empty=True)
    finally:
        server.remove()


@dataclass(frozen=True)
class Answer:
    """Answer of the service."""

    status: int
    headers: bytes
    body: bytes


class Line:
    """A connection that stays open. Not more of HTTP than the service speaks: the clients share its cores."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader, self._writer = reader, writer
        self._head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"

    async def ask(self, method: str, path: str, body: Any = None, headers: str = "") -> Answer:
        """Send one request."""
        await self.begin(method, path, body, headers)
        head = await self._reader.readuntil(b"\r\n\r\n")
        _, _, rest = head.lower().partition(b"content-length:")
        return Answer(int(head[9:12]), head, await self._reader.readexactly(int(rest.partition(b"\r\n")[0])))

    async def ask_anything(self, method: str, path: str, body: Any = None) -> int:
        """The status of the answer to a request; its body, of whatever length, is thrown away."""
        await self.begin(method, path, body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        _, has_length, rest = head.partition(b"content-length:")
        if has_length:
            await self._reader.readexactly(int(rest.partition(b"\r\n")[0]))
        else:
            while size := int(await self._reader.readline(), 16):
                await self._reader.readexactly(size + 2)
            await self._reader.readline()
        return int(head[9:12])

    async def begin(self, method: str, path: str, body: Any = None, headers: str = "") -> None:
        """Send one request, whose answer is read elsewhere."""
        data = b"" if body is None else json.dumps(body).encode()
        kind = f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n" if data else ""
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{self._head}{headers}{kind}\r\n".encode() + data)
        await self._writer.drain()

    async def lines(self) -> AsyncIterator[bytes]:
        """Lines of a stream, until the other side ends it."""
        while line := await self._reader.readline():
            yield line


@asynccontextmanager
async def connected(port: int, token: str) -> AsyncIterator[Line]:
    """A connection to the service."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Line(reader, writer, token)
    finally:
        writer.close()


def new_experiment(draw: random.Random) -> dict[str, Any]:
    """Random settings that the rig allows."""
    doses = {dye: round(draw.random(), 3) for dye in DYES}
    return {"rig": RIG, "settings": doses | {"water": round(4.0 - sum(doses.values()), 3)}}


def percentile(seconds: list[float], q: float) -> float:
    """The time within which this part of all was done, s."""
    return sorted(seconds)[min(len(seconds) - 1, int(q * len(seconds)))]


def percentiles(seconds: list[float]) -> str:
    """Percentiles in ms."""
    p50, p99 = (percentile(seconds, q) for q in (0.5, 0.99))
    return f"median {1000 * p50:.0f} ms, 99 % {1000 * p99:.0f} ms, worst {1000 * max(seconds):.0f} ms"


def processor(pid: int) -> float:
    """Time of a core that a process has used, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """MB that a process has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def warm_up(port: int, token: str) -> None:
    """The first experiment of a rig loads its driver."""
    async with connected(port, token) as line:
        await line.ask("POST", "/v1/experiments", new_experiment(random.Random(0)))


async def submissions(ports: list[int], pids: list[int], tokens: list[str], seconds: float) -> None:
    """Every client submits as fast as it is answered."""
    took: list[float] = []
    seen: Counter[int] = Counter()
    ids: set[str] = set()
    await warm_up(ports[0], tokens[0])
    used = sum(map(processor, pids))
    end = perf_counter() + seconds

    async def client(i: int) -> None:
        draw = random.Random(i)
        async with connected(ports[i % len(ports)], tokens[i]) as line:
            while perf_counter() < end:
                begin = perf_counter()
                answer = await line.ask("POST", "/v1/experiments", new_experiment(draw))
                took.append(perf_counter() - begin)
                seen[answer.status] += 1
                if answer.status == 202:
                    ids.add(json.loads(answer.body)["id"])

    begin = perf_counter()
    await asyncio.gather(*(client(i) for i in range(len(tokens))))
    rate, used = seen[202] / (perf_counter() - begin), sum(map(processor, pids)) - used
    assert len(ids) == seen[202]
    print(
        f"{len(tokens)} clients, {seconds:g} s: {rate:.0f} durable submissions a second; {percentiles(took)}; "
        f"{1000 * used / len(took):.2f} ms of a core each; answers {dict(seen)}"
    )


async def students(ports: list[int], pids: list[int], tokens: list[str], seconds: float, rate: float) -> dict[str, list[float]]:
    """Everybody follows their own events, and submits, waits for the outcome and reads, so often that together they make so many requests
    a second. Every outcome must have come by the stream, too.

    Returns:
        The seconds that each request took, by its kind, and by which each event was late.
    """
    await warm_up(ports[0], tokens[0])
    took: dict[str, list[float]] = {"submit": [], "wait": [], "read": []}
    late: list[float] = []  # from a commit to the reader of the stream
    errors: Counter[str] = Counter()
    done: set[str] = set()
    heard: set[str] = set()
    opened = asyncio.Semaphore(0)
    used = sum(map(processor, pids))
    pause = len(tokens) / rate

    async def follow(i: int) -> None:
        async with connected(ports[i % len(ports)], tokens[i]) as line:
            await line.begin("GET", "/v1/events", headers="Accept: text/event-stream\r\n")
            async for row in line.lines():
                if b"HTTP/1.1 200" in row:
                    opened.release()
                elif row.startswith(b"data:"):
                    event = json.loads(row[5:])
                    late.append(time() - event["at"])
                    if event["kind"] == "experiment.succeeded":
                        heard.add(event["experiment"])

    async def student(i: int) -> None:
        draw = random.Random(i)
        async with connected(ports[i % len(ports)], tokens[i]) as line:

            async def ask(kind: str, method: str, path: str, body: Any = None, headers: str = "") -> dict[str, Any]:
                begin = perf_counter()
                answer = await line.ask(method, path, body, headers)
                took[kind].append(perf_counter() - begin)
                if answer.status not in (200, 202):
                    errors[f"{kind} {answer.status}"] += 1
                await asyncio.sleep(max(0.0, begin + pause - perf_counter()))
                found: dict[str, Any] = json.loads(answer.body)
                return found

            await asyncio.sleep(draw.random() * pause)
            while perf_counter() < end:
                identity = (await ask("submit", "POST", "/v1/experiments", new_experiment(draw)))["id"]
                outcome = await ask("wait", "GET", f"/v1/experiments/{identity}", headers="Prefer: wait=20\r\n")
                if outcome["state"] == "succeeded":
                    done.add(identity)
                else:
                    errors[f"wait {outcome['state']}"] += 1
                await ask("read", "GET", draw.choice(READ))

    following = [asyncio.create_task(follow(i)) for i in range(len(tokens))]
    for _ in following:
        await asyncio.wait_for(opened.acquire(), 60)
    begin = perf_counter()
    end = begin + seconds
    await asyncio.gather(*(student(i) for i in range(len(tokens))))
    elapsed = perf_counter() - begin
    used = sum(map(processor, pids)) - used
    for _ in range(50):
        if done <= heard:
            break
        await asyncio.sleep(0.1)
    for task in following:
        task.cancel()
    every = [t for of_kind in took.values() for t in of_kind]
    print(f"{len(tokens)} students and streams, {seconds:g} s: {len(every) / elapsed:.0f} requests a second; {percentiles(every)}")
    for kind, of_kind in took.items():
        print(f"  {kind}: {len(of_kind)}, {percentiles(of_kind)}")
    print(f"  events: {len(late)}, late by {percentiles(late)}; {len(done)} outcomes, of which {len(done - heard)} not heard of")
    print(f"  errors: {dict(errors) or 'none'}; {used / elapsed:.2f} cores of the service, {sum(map(memory, pids)):.0f} MB")
    return took | {"event": late}


async def streams(ports: list[int], pids: list[int], tokens: list[str]) -> None:
    """Everybody follows their own events, then everybody submits once: how long until all have read of it."""
    await warm_up(ports[0], tokens[0])

    def size() -> str:
        return f"{' and '.join(f'{memory(pid):.0f}' for pid in pids)} MB"

    before = size()
    heard = 0

    async def follow(i: int) -> None:
        nonlocal heard
        async with connected(ports[i % len(ports)], tokens[i]) as line:
            await line.begin("GET", "/v1/events", headers="Accept: text/event-stream\r\n")
            async for row in line.lines():
                if b"HTTP/1.1 200" in row:
                    opened.release()
                if row.startswith(b"data:"):
                    heard += 1
                    return

    opened = asyncio.Semaphore(0)
    following = [asyncio.create_task(follow(i)) for i in range(len(tokens))]
    for _ in following:
        await asyncio.wait_for(opened.acquire(), 60)
    print(f"{len(tokens)} streams open: memory of the service {size()} ({before} without)")
    begin = perf_counter()
    for i, token in enumerate(tokens):
        async with connected(ports[i % len(ports)], token) as line:
            await line.ask("POST", "/v1/experiments", new_experiment(random.Random(i)))
    await asyncio.wait_for(asyncio.gather(*following), 60)
    print(f"{heard} events heard in {perf_counter() - begin:.1f} s; memory of the service {size()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("submissions", "class", "streams"))
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=0)
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second of the whole class")
    words = parser.parse_args()
    is_class = words.what == "class"
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url = stack.enter_context(fresh_database(folder, words.postgresql))
        tokens = prepare(url, words.clients or (32 if words.what == "submissions" else 500))
        services = [stack.enter_context(serving(url, folder, has_rig=is_class and not i)) for i in range(words.processes)]
        ports, pids = [port for port, _ in services], [pid for _, pid in services]
        if words.what == "submissions":
            asyncio.run(submissions(ports, pids, tokens, words.seconds))
        elif is_class:
            asyncio.run(students(ports, pids, tokens, words.seconds, words.rate))
        else:
            asyncio.run(streams(ports, pids, tokens))


if __name__ == "__main__":
    main()
