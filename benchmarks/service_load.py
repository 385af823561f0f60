"""Load on the service: durable submissions a second, students who submit and look, and open event streams.

    python -m benchmarks.service_load submissions [--seconds 10] [--clients 32]
    python -m benchmarks.service_load class [--seconds 10] [--clients 500] [--rate 300]
    python -m benchmarks.service_load streams [--clients 500]

`--database URL` is a fresh SQLite file without it; PostgreSQL's has to be empty. Service and clients are processes of their own and share
the machine's cores. Nobody performs the experiments here: what is measured is the service.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from api import benches, ledger, migrations, people
from api.database import Database

RIG = "color-1"
DYES = ("red", "yellow", "blue")
NO_LIMIT: dict[str, float | None] = dict.fromkeys(ledger.KINDS)


def prepare(url: str, students: int) -> list[str]:
    """A database with one twin and so many students; their tokens."""
    migrations.upgrade(url)
    database = Database(url)

    def fill(connection: Any, now: float) -> list[str]:
        benches.register(connection, now, RIG, "color-mixing", {}, is_real=False)
        whose = [people.add_person(connection, now, f"student {i}", "student", NO_LIMIT) for i in range(students)]
        return [people.add_token(connection, now, w, ("read", "run:sim"))[1] for w in whose]

    try:
        return database.write_now(fill)
    finally:
        database.close()


@contextmanager
def service(url: str) -> Iterator[tuple[int, int]]:
    """A process of the service; its port and process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.service_load", "serve", "--database", url, "--port", str(port)]
    with subprocess.Popen(command) as process:
        try:
            begin = perf_counter()
            while True:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                    break
                assert process.poll() is None, "the service ended"
                assert perf_counter() - begin < 60, "the service did not begin"
                os.sched_yield()
            yield port, process.pid
        finally:
            process.send_signal(signal.SIGINT)


def serve(url: str, port: int) -> None:
    """What a process of the service does."""
    import uvicorn

    from api.app import create_app
    from api.service import Settings

    uvicorn.run(create_app(Settings(url)), port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning")


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: bytes
    body: bytes


class Line:
    """A connection that stays open. Not more of HTTP than the service speaks: the clients share its cores."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader, self._writer = reader, writer
        self._head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"

    async def ask(self, method: str, path: str, body: Any = None, headers: str = "") -> Answer:
        """One request."""
        await self.begin(method, path, body, headers)
        head = await self._reader.readuntil(b"\r\n\r\n")
        _, _, rest = head.lower().partition(b"content-length:")
        return Answer(int(head[9:12]), head, await self._reader.readexactly(int(rest.partition(b"\r\n")[0])))

    async def begin(self, method: str, path: str, body: Any = None, headers: str = "") -> None:
        """One request, whose answer is read otherwise."""
        data = b"" if body is None else json.dumps(body).encode()
        kind = f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n" if data else ""
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{self._head}{headers}{kind}\r\n".encode() + data)
        await self._writer.drain()

    async def lines(self) -> AsyncIterator[bytes]:
        """What comes, line by line, until the other side ends."""
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


def percentiles(seconds: list[float]) -> str:
    """In ms."""
    ordered = sorted(seconds)
    p50, p99 = (ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in (0.5, 0.99))
    return f"median {1000 * p50:.0f} ms, 99 % {1000 * p99:.0f} ms, worst {1000 * ordered[-1]:.0f} ms"


def processor(pid: int) -> float:
    """s of a core that a process has used."""
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


async def students(port: int, pid: int, tokens: list[str], seconds: float, rate: float) -> None:
    """Everybody submits, looks at it and turns a page, so often that together they make so many requests a second."""
    await warm_up(port, tokens[0])
    took: list[float] = []
    seen: Counter[str] = Counter()
    end = perf_counter() + seconds

    async def student(i: int) -> None:
        draw = random.Random(i)
        pause = len(tokens) / rate
        async with connected(port, tokens[i]) as line:
            await asyncio.sleep(draw.random() * pause)
            at = "/v1/rigs"
            while perf_counter() < end:
                begin = perf_counter()
                kind = draw.choice(("submit", "look", "page"))
                if kind == "submit":
                    answer = await line.ask("POST", "/v1/experiments", new_experiment(draw))
                    at = f"/v1/experiments/{json.loads(answer.body)['id']}" if answer.status == 202 else at
                else:
                    answer = await line.ask("GET", at if kind == "look" else "/v1/experiments?limit=10")
                took.append(perf_counter() - begin)
                seen[f"{kind} {answer.status}"] += 1
                await asyncio.sleep(max(0.0, begin + pause - perf_counter()))

    begin = perf_counter()
    await asyncio.gather(*(student(i) for i in range(len(tokens))))
    print(
        f"{len(tokens)} students, {seconds:g} s: {len(took) / (perf_counter() - begin):.0f} requests a second; "
        f"{percentiles(took)}; {dict(seen)}"
    )
    print(f"memory of the service {memory(pid):.0f} MB")


async def streams(port: int, pid: int, tokens: list[str]) -> None:
    """Everybody follows their own events, then everybody submits once: how long until all have read of it."""
    await warm_up(port, tokens[0])
    before = memory(pid)
    heard = 0

    async def follow(i: int) -> None:
        nonlocal heard
        async with connected(port, tokens[i]) as line:
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
    print(f"{len(tokens)} streams open: memory of the service {memory(pid):.0f} MB ({before:.0f} MB without)")
    begin = perf_counter()
    for i, token in enumerate(tokens):
        async with connected(port, token) as line:
            await line.ask("POST", "/v1/experiments", new_experiment(random.Random(i)))
    await asyncio.wait_for(asyncio.gather(*following), 60)
    print(f"{heard} events heard in {perf_counter() - begin:.1f} s; memory of the service {memory(pid):.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("submissions", "class", "streams", "serve"))
    parser.add_argument("--database", default="")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=0)
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second of the whole class")
    parser.add_argument("--port", type=int, default=0)
    words = parser.parse_args()
    if words.what == "serve":
        serve(words.database, words.port)
        return
    with tempfile.TemporaryDirectory() as folder:
        url = words.database or f"sqlite:///{folder}/service.db"
        tokens = prepare(url, words.clients or (32 if words.what == "submissions" else 500))
        with service(url) as (port, pid):
            if words.what == "submissions":
                asyncio.run(submissions([port], [pid], tokens, words.seconds))
            elif words.what == "class":
                asyncio.run(students(port, pid, tokens, words.seconds, words.rate))
            else:
                asyncio.run(streams(port, pid, tokens))


if __name__ == "__main__":
    main()
