"""Processes that think: one person's questions keep nobody else's from being answered, and what ends one process ends no other."""

from __future__ import annotations

import asyncio
import os
import signal
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from api.workers import strategy_processes
from api.workers.strategy_processes import StrategyProcesses, Turns
from frugaltwin.errors import InvalidInput
from tests.service_database import until


def pid() -> int:
    return os.getpid()


def waiting_for(file: str) -> int:
    """Answers when there is such a file; says in another one how often it was asked."""
    path = Path(file)
    with path.with_suffix(".asked").open("a") as asked:
        asked.write("x")
    until(path.exists)
    return os.getpid()


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def scheduled(file: str) -> tuple[int, int]:
    """Answers how it is scheduled; under SCHED_IDLE it waits for a file, as if it had no core."""
    if os.sched_getscheduler(0) == os.SCHED_IDLE:
        until(Path(file).exists)
    return os.sched_getscheduler(0), os.nice(0)


def burn() -> None:
    while True:
        pass


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="needs Linux")
def test_what_nobody_waits_for_gets_on_where_others_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each play of a lab was given up after a minute, in which it had had no core, and begun again, for ever."""

    async def day() -> None:
        processes = StrategyProcesses(2, nice=10)
        try:
            monkeypatch.setattr(strategy_processes, "STARVED", 0.5)
            assert await processes.ask_patiently("labs", scheduled, str(tmp_path / "never")) == (os.SCHED_OTHER, 10)
            monkeypatch.setattr(strategy_processes, "STARVED", 1e9)
            assert await processes.ask_patiently("labs", scheduled, str(tmp_path / "never")) == (os.SCHED_OTHER, 10), "it is remembered"
            assert await processes.ask("ann", scheduled, str(tmp_path / "never")) == (os.SCHED_OTHER, 10), "for all questions"
            monkeypatch.setattr(strategy_processes, "LONGEST", 0.2)
            with pytest.raises(InvalidInput, match="thought about"):
                await processes.ask_patiently("labs", burn)
        finally:
            processes.close()

    asyncio.run(day())


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="needs Linux")
def test_what_somebody_waits_for_is_answered_where_others_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full machine no campaign could be started: its goal, a minute without a core, was said to be thought about for too long."""

    async def day() -> None:
        processes = StrategyProcesses(2, nice=10)
        try:
            (tmp_path / "go").touch()
            assert (await processes.ask("ann", scheduled, str(tmp_path / "go")))[0] == os.SCHED_IDLE
            monkeypatch.setattr(strategy_processes, "WAITING", 0.5)
            assert await processes.ask("ann", scheduled, str(tmp_path / "never")) == (os.SCHED_OTHER, 10)
        finally:
            processes.close()

    asyncio.run(day())


@pytest.mark.timing
@pytest.mark.parametrize("ending", ["killed", "too long", "given up"])
def test_what_ends_one_process_ends_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    """One question that took too long ended the whole pool, and others' questions with it."""
    file = tmp_path / "go"
    never = str(tmp_path / "never")

    async def asked() -> str:
        while not file.with_suffix(".asked").exists():
            await asyncio.sleep(0.01)
        return file.with_suffix(".asked").read_text()

    async def day() -> None:
        processes = StrategyProcesses(3)
        try:
            theirs = asyncio.create_task(processes.ask("ann", waiting_for, str(file)))
            await asked()
            if ending == "killed":
                with pytest.raises(BrokenProcessPool):
                    await processes.ask("bob", dies)
            elif ending == "too long":
                monkeypatch.setattr(strategy_processes, "LONGEST", 0.3)
                with pytest.raises(InvalidInput, match="thought about"):
                    await processes.ask("bob", waiting_for, never)
                monkeypatch.undo()
            else:
                mine = asyncio.create_task(processes.ask("bob", waiting_for, never))
                await asyncio.to_thread(until, (tmp_path / "never.asked").exists)
                mine.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await mine
            file.touch()
            first = await theirs
            assert await asked() == "x"  # it was computed once
            assert await processes.ask("ann", pid) == first  # and its process goes on
        finally:
            await asyncio.to_thread(processes.close)

    asyncio.run(day())


@pytest.mark.timing
def test_a_place_goes_to_who_has_had_least_time() -> None:
    """By time, not by number: long questions of one person held the processes for two minutes, again and again."""
    clock = [0.0]
    served: list[str] = []

    async def thinks(turns: Turns, whose: str, seconds: float) -> None:
        async with turns.of(whose):
            served.append(whose)
            for _ in range(3):  # until everybody has asked
                await asyncio.sleep(0)
            clock[0] += seconds

    async def day() -> None:
        turns = Turns(1, lambda: clock[0])
        await thinks(turns, "greedy", 60.0)  # who then comes back, as if for the first time
        greedy = [asyncio.create_task(thinks(turns, "greedy", 60.0)) for _ in range(3)]
        await asyncio.sleep(0)
        modest = [asyncio.create_task(thinks(turns, f"modest {i % 3}", 1.0)) for i in range(6)]
        await asyncio.gather(*greedy, *modest)

    asyncio.run(day())
    assert served[:2] == ["greedy", "greedy"]  # when nobody else wanted anything
    assert served[2:8].count("greedy") == 0


@pytest.mark.timing
def test_nobody_has_all_places_at_once() -> None:
    has: list[int] = []

    async def day() -> None:
        turns, over = Turns(3), asyncio.Event()

        async def thinks(whose: str) -> None:
            async with turns.of(whose):
                has.append(turns._held["greedy"])
                await over.wait()

        greedy = [asyncio.create_task(thinks("greedy")) for _ in range(5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert has == [1, 2]
        modest = asyncio.create_task(thinks("modest"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(has) == 3  # at once
        over.set()
        await asyncio.gather(*greedy, modest)
        assert (turns._held, turns._waiting, turns._free) == ({}, [], 3)

    asyncio.run(day())
    assert max(has) == 2


def test_one_place_is_shared_too() -> None:
    served: list[str] = []

    async def thinks(turns: Turns, whose: str) -> None:
        async with turns.of(whose):
            served.append(whose)
            await asyncio.sleep(0)

    async def day() -> None:
        turns = Turns(1)
        many = [asyncio.create_task(thinks(turns, "a")) for _ in range(3)]
        await asyncio.sleep(0)
        many[1].cancel()
        await asyncio.gather(*many, asyncio.create_task(thinks(turns, "b")), return_exceptions=True)
        assert turns._free == 1

    asyncio.run(day())
    assert sorted(served) == ["a", "a", "b"]
