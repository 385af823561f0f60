"""The work on tasks that nobody waits for: labs are drawn until they are as hard as others, and hand-ins are judged.

What is done is kept lab by lab, so a service that was stopped goes on where it was. Plays count as one person's questions, so that the
campaigns of a class go before them.
"""

from __future__ import annotations

import asyncio
import logging
import math
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress

from sqlalchemy import Connection

from api.news import News
from api.records import hand_ins, tasks, twins
from api.records.database import Database
from api.records.rows import HandInRow, TaskRow
from api.records.tasks import Key
from api.workers import task_questions
from api.workers.strategy_processes import StrategyProcesses
from frugaltwin.errors import FrugalTwinError, StoreError
from frugaltwin.tasks.score import Played, Plays

PACE = 0.2
"""s between two looks at what there is to do, however much is committed."""
LOOK = 60.0
"""s between two looks where nothing is committed."""
PATIENCE = 10.0
"""s until something is tried again that failed."""
WHOSE = "labs of tasks"
"""Who asks, in the turns of the processes."""

_log = logging.getLogger("frugaltwin.service")


class TaskRunner:
    """One process's part in it. Two that draw the same lab come to the same."""

    def __init__(self, database: Database, news: News, strategies: StrategyProcesses) -> None:
        self._database, self._news, self._strategies = database, news, strategies
        self._drawing: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._judging: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """For ever; ends when it is cancelled."""
        try:
            while True:
                since = self._news.now
                with suppress(StoreError):  # which has been logged; the next look may succeed
                    await self._look()
                await self._news.wait(LOOK, since)
                await asyncio.sleep(PACE)
        finally:
            every = [*self._drawing.values(), *self._judging.values()]
            for one in every:
                one.cancel()
            await asyncio.gather(*every, return_exceptions=True)

    async def _look(self) -> None:
        for row, task in await self._database.read(hand_ins.unjudged):
            if row.id not in self._judging:
                self._judging[row.id] = asyncio.create_task(self._judge(row, task))
        free = self._strategies.count - len(self._drawing)
        if free <= 0:
            return
        for key in await self._database.read(lambda c: tasks.next_keys(c, set(self._drawing), free)):
            which = key.rig, key.person or str(key.pilot)
            self._drawing[which] = asyncio.create_task(self._draw(which, key))

    async def _draw(self, which: tuple[str, str], key: Key) -> None:
        try:
            await self._play(key)
        except StoreError:  # it is in the log
            await asyncio.sleep(PATIENCE)
        except (FrugalTwinError, BrokenProcessPool) as error:
            _log.warning("a lab of %s could not be drawn: %s", key.rig, error)
            await asyncio.sleep(PATIENCE)
        except Exception:
            _log.exception("a lab of %s could not be drawn", key.rig)
            await asyncio.sleep(PATIENCE)
        finally:
            del self._drawing[which]
            self._news.announce()

    async def _play(self, key: Key) -> None:
        body = tasks.task_of(key.body_json)

        async def played(by_random: bool) -> list[Played]:
            ask = self._strategies.ask_patiently
            return [await ask(WHOSE, task_questions.play, key.body_json, key.number, k, by_random) for k in range(body.reference.plays)]

        reference = await played(False)
        value = Plays(reference, ()).par(body).hardness(body)
        if key.person is None:
            await self._database.write(lambda c, now: tasks.note_pilot(c, key, min(value, 1e300)))
            return
        goal = await self._strategies.ask_patiently(WHOSE, task_questions.goal, key.body_json, key.number)
        plays_json: str | None = None
        if tasks.is_near(value, key.median) or await self._database.read(lambda c: tasks.is_last(c, key)):
            plays = Plays(reference, await played(True))
            par = plays.par(body)
            if body.score.rule == "cost" or par.gap < par.random_gap or await self._database.read(lambda c: tasks.is_last(c, key)):
                plays_json = plays.to_text()
            else:  # nothing could be told apart there
                value = math.inf
        await self._database.write(lambda c, now: tasks.note_try(c, key, value, goal, plays_json))

    async def _judge(self, row: HandInRow, task: TaskRow) -> None:
        try:

            def number(connection: Connection) -> int:
                found = twins.lab_key(connection, row.rig, row.person)
                assert found is not None, "who has handed in has a lab"
                return found

            key = await self._database.read(number)
            claim = row.claim
            found = await self._strategies.ask_patiently(row.person, task_questions.judged, task.body_json, key, claim)
            await self._database.write(lambda c, now: hand_ins.judged(c, now, row.id, found))
        except StoreError:
            await asyncio.sleep(PATIENCE)
        except Exception:
            _log.exception("the hand-in %s could not be judged", row.id)
            await asyncio.sleep(PATIENCE)
        finally:
            del self._judging[row.id]
