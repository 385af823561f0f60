"""The core is shared: what one person asks keeps nobody else from being answered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from api.records import shares
from api.records.shares import WHOSE, Shares, timed
from frugaltwin.errors import StoreError
from tests.running_service import running
from tests.service_database import until


async def asked(one: Shares, whose: str | None, question: object = lambda: None) -> object:
    WHOSE.set(whose)
    return await one.ask(question)  # type: ignore[arg-type]


def test_a_person_has_one_reading_at_a_time_and_others_are_answered_meanwhile() -> None:
    """Forty exports of one person held every thread that reads, and everybody waited for them."""
    go, begun = threading.Event(), []

    def long() -> None:
        begun.append(1)
        go.wait(60)

    async def day() -> None:
        one = Shares()
        greedy = [asyncio.create_task(asked(one, "greedy", long)) for _ in range(40)]
        await asyncio.to_thread(until, lambda: bool(begun))
        assert [await asked(one, "modest", lambda: 7) for _ in range(3)] == [7] * 3
        assert await asked(one, None, lambda: 8) == 8
        assert len(begun) == 1
        go.set()
        await asyncio.gather(*greedy)

    asyncio.run(day())
    assert len(begun) == 40


def test_who_reads_much_waits_while_others_read_and_alone_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "REST", 1e9)
    monkeypatch.setattr(shares, "TOGETHER", 1e9)

    async def day() -> None:
        alone = Shares()
        for _ in range(3):
            await asked(alone, "greedy")

        one = Shares()
        await asked(one, "modest")
        await asked(one, "greedy")
        waiting = [asyncio.create_task(asked(one, "greedy")) for _ in range(3)]
        for n in range(20):
            await asked(one, f"modest {n}")
        assert not any(task.done() for task in waiting)
        one.leave()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(error) for error in found] == [StoreError] * 3

    asyncio.run(day())


def test_whatever_is_done_for_a_person_counts_against_their_share_but_not_while_they_are_alone(
    fresh_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing, dry runs and steps of campaigns did not: a hundred of them a second were more than a core."""
    monkeypatch.setattr(shares, "TOGETHER", 1e9)
    monkeypatch.setattr(shares, "SLACK", 1e9)  # nobody waits, and all is counted from there
    with running(fresh_url()) as service:
        whose, token = service.person()
        of = service.database.shares._of
        with service.client(token) as client:
            assert client.get("/v1/me").status_code == 200
            assert all(share.free_at == 0.0 for share in of.values())
            with service.client(service.admin) as admin:
                assert admin.get("/v1/me").status_code == 200
            had = [-1e12]
            for _ in range(3):
                body = {"rig": "color-1", "settings": {"red": 1.0, "yellow": 1.0, "blue": 1.0, "water": 1.0}}
                assert client.post("/v1/experiments", json=body).status_code == 202
                assert client.post("/v1/experiments", json=body | {"dry_run": True}).status_code == 200
                assert client.get("/nothing").status_code == 404
                had.append(of[whose].free_at)
            assert had == sorted(set(had))


def test_the_time_of_others_is_not_that_of_a_request_that_waits() -> None:
    took: list[float] = []

    async def computing(n: int) -> None:
        for _ in range(n):
            await asyncio.sleep(0)
            sum(range(20_000))
        if n > 100:
            raise KeyError(n)

    async def day() -> None:
        waiting = asyncio.Event()

        async def waits(waiting: asyncio.Event) -> None:
            try:
                await waiting.wait()
            except asyncio.CancelledError:
                took.append(-1.0)
                raise

        idle = asyncio.create_task(timed(waits(waiting), took.append))
        cut = asyncio.create_task(timed(waits(asyncio.Event()), took.append))
        with pytest.raises(KeyError):
            await timed(computing(200), took.append)
        waiting.set()
        await idle
        cut.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cut

    asyncio.run(day())
    busy, idle = took[0], took[1]
    assert busy > 5 * idle >= 0.0
