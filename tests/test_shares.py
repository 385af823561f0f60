"""Reading is shared: one person's readings keep nobody else's from being answered."""

from __future__ import annotations

import asyncio
import threading

import pytest

from api.records import shares
from api.records.shares import WHOSE, Shares
from frugaltwin.errors import StoreError
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
        alone._others_at = -2e9
        alone._latest = "greedy"
        for _ in range(3):
            await asked(alone, "greedy")

        one = Shares()
        await asked(one, "greedy")
        waiting = [asyncio.create_task(asked(one, "greedy")) for _ in range(3)]
        for n in range(20):
            await asked(one, f"modest {n}")
        assert not any(task.done() for task in waiting)
        one.leave()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(error) for error in found] == [StoreError] * 3

    asyncio.run(day())
