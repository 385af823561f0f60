"""A class at work while somebody is hostile, against the same class in quiet: how much slower the service becomes for the others.

    python -m benchmarks.hostile_load [student] [stranger] [--clients 200] [--rate 80] [--seconds 15] [--turns 2]

Linux, two cores: the service and its children are on one, the class and the attack on the other. In turn the class of
`benchmarks.service_load` is at work in quiet and under attack, on one SQLite file. The hostile student has 20 tokens, 40 connections and a
campaign of 1,500 trials, and asks whatever takes long; the hostile stranger has no token, and sends heads without an end, requests that
nobody reads the answers of, slow bodies, requests for the document of the API, and wrong codes. Bars: the others' median at most 1.5 times
the quiet one, and 99 % of their requests within 3 times the quiet figure. By default a quiet class takes about half of the service's core:
near its limit a class waits for itself, and the ratios say nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from api.records import tokens
from api.records.database import Database
from benchmarks.campaign_view import SETTINGS, filled
from benchmarks.service_load import connected, percentile, prepare, serving, students

TRIALS, TOKENS, CONNECTIONS = 1500, 20, 40
MEDIAN, P99 = 1.5, 3.0
"""The bars."""
GRACE = 30.0
"""s after which an answer is not waited for any more."""
AGAIN = 0.01
"""s between two connections of a stranger who was hung up on, so that what is measured is the service and not the system's sockets."""
LONG = b"X-A: " + b"a" * 60_000


def questions(campaign: str) -> list[tuple[str, str, Any]]:
    """Every expensive one, and some that cost little and write."""
    of_it = f"/v1/campaigns/{campaign}"
    reads = [
        of_it, of_it, of_it, f"{of_it}/trials?limit=200", f"{of_it}/recommendation", f"{of_it}/export", f"{of_it}/export?format=json",
        f"{of_it}/export?format=svg", "/v1/experiments?limit=200", f"/v1/experiments?campaign={campaign}&limit=200",
        "/v1/experiments/export", "/v1/campaigns?limit=200", "/v1/events?after=0&limit=1000", "/v1/me/ledger?limit=200", "/v1/rigs",
        "/v1/me",
    ]  # fmt: skip
    experiment = {"rig": "color-1", "settings": SETTINGS}
    start = {"rig": "color-1", "goal": "match-color:coral", "strategy": {"name": "composite"}, "budget": {"runs": 100}}
    writes: list[tuple[str, str, Any]] = [
        ("POST", "/v1/experiments", experiment),
        ("POST", "/v1/experiments", experiment | {"dry_run": True}),
        *(("POST", "/v1/campaigns", start | {"name": f"attack-{i}"}) for i in range(3)),
    ]
    return [*(("GET", path, None) for path in reads), *writes]


async def hostile_student(port: int, words: dict[str, Any], seen: Counter[str]) -> None:
    """Ask as fast as it is answered, over all connections."""
    asked = questions(words["campaign"])

    async def hammer(i: int) -> None:
        draw = random.Random(i)
        while True:
            with contextlib.suppress(OSError, EOFError, ValueError, TimeoutError):
                async with connected(port, words["tokens"][i % TOKENS]) as line:
                    while True:
                        async with asyncio.timeout(GRACE):
                            answer = await line.ask_anything(*draw.choice(asked))
                        seen[str(answer)] += 1
            await asyncio.sleep(AGAIN)

    await asyncio.gather(*(hammer(i) for i in range(CONNECTIONS)))


async def hostile_stranger(port: int, words: dict[str, Any], seen: Counter[str]) -> None:
    """Send what has no end and what nobody waits for, over all connections."""

    async def endless_head(writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        while True:
            writer.write(LONG)
            await writer.drain()

    async def abandoned(writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 16)
        await writer.drain()

    async def slow_body(writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /v1/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90000\r\n\r\n")
        for _ in range(20):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.1)

    ways: dict[str, Callable[[asyncio.StreamWriter], Coroutine[Any, Any, None]]] = {
        "endless head": endless_head, "abandoned": abandoned, "slow body": slow_body,
    }  # fmt: skip

    async def rude(i: int) -> None:
        name = list(ways)[i % len(ways)]
        while True:
            with contextlib.suppress(OSError, TimeoutError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                seen[name] += 1
                try:
                    async with asyncio.timeout(GRACE):
                        await ways[name](writer)
                finally:
                    writer.transport.abort()
            await asyncio.sleep(AGAIN)

    async def asking(i: int) -> None:
        draw = random.Random(i)
        while True:
            with contextlib.suppress(OSError, EOFError, ValueError, TimeoutError):
                async with connected(port, "nobody") as line:
                    while True:
                        code = "".join(draw.choices("abcdefghjkmnpqrstuvwxyz", k=12))
                        wrong = ("POST", "/v1/join", {"code": code, "name": "Eve"})
                        async with asyncio.timeout(GRACE):
                            answer = await line.ask_anything(*(wrong if i % 2 else ("GET", "/openapi.json", None)))
                        seen[f"{'code' if i % 2 else 'document'} {answer}"] += 1
            await asyncio.sleep(AGAIN)

    half = CONNECTIONS // 2
    await asyncio.gather(*(rude(i) for i in range(half)), *(asking(i) for i in range(half)))


ATTACKS = {"student": hostile_student, "stranger": hostile_stranger}


def attack(name: str, port: int, words: dict[str, Any], seconds: float) -> None:
    """One attack, as a process of its own that comes after the class on their core."""
    os.nice(5)
    seen: Counter[str] = Counter()

    async def whole() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await ATTACKS[name](port, words, seen)

    asyncio.run(whole())
    print(f"  the {name}: {dict(seen.most_common())}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attacks", nargs="*", choices=[*ATTACKS, []], default=[])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rate", type=float, default=80.0, help="requests a second of the whole class")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--turns", type=int, default=2)
    given = parser.parse_args()
    theirs, ours = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, {ours})
    failed = False
    for name in given.attacks or ATTACKS:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/service.db"
            class_tokens = prepare(url, given.clients)
            database = Database(url)
            row = filled(database, "attack", TRIALS)
            scopes = ("read", "run:sim")
            own = [database.write_now(lambda c, now: tokens.add_token(c, now, row.person, scopes))[1] for _ in range(TOKENS)]  # noqa: B023
            database.close()
            took: dict[bool, list[float]] = {False: [], True: []}
            with serving(url, folder, has_rig=True, core=theirs) as (port, pid):
                for is_attacked in [False, True] * given.turns:
                    print(f"under attack by the {name}:" if is_attacked else "in quiet:", flush=True)
                    attacker = multiprocessing.Process(
                        target=attack, args=(name, port, {"campaign": row.id, "tokens": own}, given.seconds + 5)
                    )
                    if is_attacked:
                        attacker.start()
                    found = asyncio.run(students([port], [pid], class_tokens, given.seconds, given.rate))
                    took[is_attacked] += [s for kind in ("submit", "read", "wait") for s in found[kind]]
                    if is_attacked:
                        attacker.join()
        ratios = [percentile(took[True], q) / percentile(took[False], q) for q in (0.5, 0.99)]
        is_good = ratios[0] <= MEDIAN and ratios[1] <= P99
        failed |= not is_good
        print(json.dumps({"attack": name, "median": round(ratios[0], 2), "p99": round(ratios[1], 2), "holds": is_good}), flush=True)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
