"""Processes for strategies: the next trial of a campaign, its recommendation, its picture.

Strategies need torch, seconds and all of a core; a request must not wait for them. The processes start with the first question, and end
with the process that started them, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

from api.records.shares import GONE
from api.workers.child_processes import ONE_THREAD, start_method
from frugaltwin.errors import InvalidInput, StoreError

if TYPE_CHECKING:
    from frugaltwin.campaign import Campaign
    from frugaltwin.experiment import Experiment, Settings
    from frugaltwin.log import Log
    from frugaltwin.plugins import Driver
    from frugaltwin.state import Earlier

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LONGEST = 60.0
"""s that a question may take; of a core, where nobody waits for it."""
STARVED = 120.0
"""s after which a question that nobody waits for has had too little of a core: others' work fills the machine."""
SHARE = 10
"""Niceness at which such a question is asked then: about a tenth of a core beside a program that never rests."""
STARVING = 1800.0
"""s for which the machine is taken for full then."""
WAITING = 6.0
"""s after which a question that somebody waits for has had too little of a core, if its process had less than `LEAST` of it."""
LEAST = 0.2
HANGING = 3600.0
"""s after which such a question is given up, whatever it waits for."""
KEPT = 200  # answers that may be asked for again
TRIES = 3
"""Tries of a question whose process is killed."""


@dataclass(frozen=True)
class RigDescription:
    """A rig, as far as it is known without a connection to it."""

    driver: str
    options_json: str
    experiment_json: str
    price_json: str | None = None
    is_local: bool = False
    """Whether its driver may be made here: driver and options are the operator's words."""


@dataclass(frozen=True)
class Question:
    """A campaign, as far as a strategy process has to know it."""

    name: str
    rig: RigDescription
    words: Mapping[str, Any]
    """Goal, strategy, seed, budget and stop rule, understood before."""
    log: Log
    earlier: Sequence[Earlier] = ()

    @property
    def version(self) -> tuple[Hashable, ...]:
        """Another one says that there is news."""
        return (*self.log.size, repr([trial.correction for one in self.earlier for trial in one.trials]))


@dataclass(frozen=True)
class Decision:
    """The next trial of a campaign, or the reason why there is none."""

    settings: Settings | None
    reason: str | None = None
    """Why there is none."""
    needs_person: bool = False
    """Whether it could go on once somebody has looked after the rig."""
    why: str = ""
    """The strategy's reason for the settings."""
    expected: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """For a person who judges them: ``expected`` and ``worth`` of the settings, as far as a model knows."""


class Turns:
    """A few places that people take in turn, by the time for which they have had one: a place is given to who has had least.

    From two places on nobody has all of them at once, so that one is free for others soon, however long somebody's take. Start-time fair
    queueing as in `fair_queue`: who was idle begins at the virtual time of who was served last, so that nobody saves up.
    """

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        """All places are free.

        Args:
            clock: s.
        """
        self._free, self._most, self._clock = count, max(1, count - 1), clock
        self._held: Counter[str] = Counter()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._had: dict[str, float] = {}
        """Virtual time up to which each person has been served, as long as it is ahead of the others' or they want something."""
        self._now = 0.0
        """Virtual time of who was served last."""

    @asynccontextmanager
    async def of(self, person: str) -> AsyncIterator[None]:
        """Take a place for a while."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._had[person] = max(self._had.get(person, 0.0), self._now)
        self._waiting.append((person, turn))
        self._give()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove((person, turn))
                self._forget(person)
            else:  # it was given and taken back in the same moment
                self._leave(person, 0.0)
            raise
        begun = self._clock()
        try:
            yield
        finally:
            self._leave(person, self._clock() - begun)

    def leave(self) -> None:
        """End every wait: there will be no more turns.

        Raises, where one waits:
            StoreError: The service is shutting down.
        """
        waiting, self._waiting = self._waiting, []
        for _, turn in waiting:
            if not turn.done():
                turn.set_exception(StoreError(GONE))

    def _give(self) -> None:
        while self._free:
            allowed = [pair for pair in self._waiting if not pair[1].cancelled() and self._held[pair[0]] < self._most]
            if not allowed:
                return
            person, turn = least = min(allowed, key=lambda pair: self._had[pair[0]])
            self._waiting.remove(least)
            self._free -= 1
            self._held[person] += 1
            self._now = max(self._now, self._had[person])
            turn.set_result(None)

    def _leave(self, person: str, seconds: float) -> None:
        self._free += 1
        self._held[person] -= 1
        self._had[person] += seconds
        self._give()
        self._forget(person)

    def _forget(self, person: str) -> None:
        """Remember nobody who wants nothing, but what they have had more than others."""
        wanting = {whose for whose, _ in self._waiting} | {whose for whose, n in self._held.items() if n}
        if person not in wanting:
            del self._held[person]
            self._had = {whose: until for whose, until in self._had.items() if until > self._now or whose in wanting}


class _Process:
    """One process, which can be ended whatever it computes."""

    def __init__(self, nice: int, *, is_idle: bool) -> None:
        theirs, self._lifeline = multiprocessing.Pipe(duplex=False)
        self.is_idle = is_idle
        self.pool = ProcessPoolExecutor(1, start_method(), _settle_in, (theirs, nice, is_idle))
        self._pid = self.pool.submit(os.getpid)

    def cpu(self) -> float:
        """Seconds of a core that it has had (Linux)."""
        if not self._pid.done():
            return 0.0
        try:
            after_name = Path(f"/proc/{self._pid.result()}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except (OSError, BrokenProcessPool):
            return 0.0
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")

    def end(self, *, wait: bool = False) -> None:
        """End it."""
        self._lifeline.close()
        self.pool.shutdown(wait=wait, cancel_futures=True)


class _Starved(Exception):
    """Others' work leaves a question too little of a core."""


class StrategyProcesses:
    """A few processes for questions about strategies, each started when it is needed, and replaced when its question is too much."""

    def __init__(self, count: int, nice: int = 0) -> None:
        """No process yet.

        Args:
            nice: Of the processes: from 1 on, others' work goes before theirs where there are fewer cores than work.
        """
        self.count, self._nice = count, nice
        self._turns = Turns(count)
        self._idle: list[_Process] = []
        self._busy: set[_Process] = set()
        self._full_until = -math.inf
        self._known: dict[Hashable, asyncio.Task[Any]] = {}

    def leave(self) -> None:
        """End every wait for a process."""
        self._turns.leave()

    async def ask(self, whose: str, question: Callable[[Unpack[Ts]], T], *words: *Ts) -> T:
        """The answer of a function of this file. People take turns, by the time that their questions take.

        It takes what others leave; where they leave next to nothing, it is soon asked again with a small share of its own.

        Args:
            whose: The person whose question it is.

        Raises:
            FrugalTwinError: As the function does.
            InvalidInput: It took too long.
            BrokenProcessPool: Its process was killed, again and again.
        """
        async with self._turns.of(whose):
            try:
                if self._is_roomy():
                    with contextlib.suppress(_Starved):
                        return await self._tried(LONGEST, True, question, *words)
                    self._full_until = time.monotonic() + STARVING
                return await self._tried(LONGEST, False, question, *words)
            except TimeoutError:
                raise _too_long() from None

    def _is_roomy(self) -> bool:
        """Whether others leave something of the machine, as far as is known."""
        return bool(self._nice) and time.monotonic() >= self._full_until

    async def ask_patiently(self, whose: str, question: Callable[[Unpack[Ts]], T], *words: *Ts) -> T:
        """The same, where nobody waits: what counts is the time of a core that the question takes, not the time that passes.

        It takes what others leave; where they leave nothing, it is asked again with a small share of its own, so that it gets on.

        Raises:
            FrugalTwinError: As the function does.
            InvalidInput: It took too long.
            BrokenProcessPool: Its process was killed, again and again.
        """
        async with self._turns.of(whose):
            if self._is_roomy():
                with contextlib.suppress(TimeoutError, _Starved):
                    return await self._tried(STARVED, True, _at_most, LONGEST, question, words)
                self._full_until = time.monotonic() + STARVING
            try:
                return await self._tried(HANGING, False, _at_most, LONGEST, question, words)
            except TimeoutError:
                raise _too_long() from None

    async def _tried(self, seconds: float, is_idle: bool, question: Callable[[Unpack[Ts]], T], *words: *Ts) -> T:
        for _ in range(TRIES - 1):
            with contextlib.suppress(BrokenProcessPool):
                return await self._ask(seconds, is_idle, question, *words)
        return await self._ask(seconds, is_idle, question, *words)

    async def ask_once(self, key: Hashable, whose: str, question: Callable[[Unpack[Ts]], T], *words: *Ts) -> T:
        """The same; asked again under the same key, it is not computed again."""
        known: asyncio.Task[T] | None = self._known.get(key)
        if known is None or (known.done() and (known.cancelled() or known.exception())):
            known = self._known[key] = asyncio.create_task(self.ask(whose, question, *words))
            for oldest in list(self._known)[:-KEPT]:
                del self._known[oldest]
        return await asyncio.shield(known)  # the request that asked first may have gone away

    async def _ask(self, seconds: float, is_idle: bool, question: Callable[[Unpack[Ts]], T], *words: *Ts) -> T:
        process = next((one for one in reversed(self._idle) if one.is_idle == is_idle), None)
        if process is not None:
            self._idle.remove(process)
        else:
            too_many = max(0, len(self._idle) + len(self._busy) + 1 - self.count)
            for other in self._idle[:too_many]:  # of the other kind
                self._idle.remove(other)
                other.end()
            process = _Process(self._nice, is_idle=is_idle)
        self._busy.add(process)
        is_good = False
        begin = process.cpu()
        try:
            async with asyncio.timeout(seconds):
                future = asyncio.get_running_loop().run_in_executor(process.pool, question, *words)
                if is_idle and self._nice and hasattr(os, "SCHED_IDLE"):
                    await asyncio.wait([future], timeout=WAITING)
                    if not future.done() and process.cpu() - begin < LEAST * WAITING:
                        future.cancel()
                        raise _Starved
                answer = await future
            is_good = True
            return answer
        except (_Starved, TimeoutError, BrokenProcessPool, asyncio.CancelledError):
            raise
        except Exception:  # of the question, which has been answered
            is_good = True
            raise
        finally:
            if process in self._busy:
                self._busy.remove(process)
                if is_good:
                    self._idle.append(process)
                else:  # whatever it computes; the others go on
                    process.end()

    def close(self) -> None:
        """End the processes, whatever they compute."""
        processes = [*self._idle, *self._busy]
        self._idle.clear()
        self._busy.clear()
        for process in processes:
            process.end()
        for process in processes:
            process.end(wait=True)


def understood(
    rig: RigDescription, goal: str | None, strategy: Mapping[str, Any] | None, seed: int, earlier: Sequence[Earlier] = ()
) -> dict[str, Any]:
    """Goal and strategy in full words, for a campaign that the server runs; and under ``used`` which earlier campaigns it learns from.

    Raises:
        FrugalTwinError: One has another name or an impossible option, or they do not fit each other.
    """
    from frugaltwin import catalog
    from frugaltwin.plugins import UsesEarlier
    from frugaltwin.state import State

    words = understood_goal(rig, goal, seed)
    made = catalog.make_goal(words["goal"], _driver(rig), seed)
    name, options = (strategy["name"], strategy["options"]) if strategy else (made.default_strategy, {})
    options = catalog.resolved_options("strategy", name, options)
    chooser = catalog.make_strategy(name, options, seed=seed)
    chooser.suggest(State(made))  # refuses a goal that it cannot work for
    used = {one.name: isinstance(chooser, UsesEarlier) and chooser.uses(one) for one in earlier}
    return words | {"strategy": {"name": name, "options": options}, "used": used}


def understood_goal(rig: RigDescription, goal: str | None, seed: int) -> dict[str, Any]:
    """A goal in full words; the driver's usual one where there is none. Needs no torch.

    Raises:
        FrugalTwinError: There is no such goal for this rig.
    """
    from frugaltwin import catalog

    driver = _driver(rig)
    return {"goal": catalog.make_goal(goal or "", driver, seed).text}


def decide(question: Question, n_before: int) -> Decision:
    """The next trial of a campaign.

    Args:
        n_before: Trials whose failures a person has seen.
    """
    campaign = campaign_of(question)
    if (suggestion := campaign.decide(n_before)) is None:
        return Decision(None, campaign.stopped_because, campaign.is_failing)
    if not question.words["approve"]:
        return Decision(suggestion.settings, why=suggestion.why)
    (explained,) = campaign.explained([suggestion])
    known = explained.as_dict()
    return Decision(suggestion.settings, why=suggestion.why, expected={k: known[k] for k in ("expected", "worth") if k in known})


def recommend(question: Question) -> tuple[Settings | None, bool]:
    """The settings to use from now on, and whether they are a model's; without one they are those of the best reading."""
    from frugaltwin.plugins import Recommends

    campaign = campaign_of(question)
    return campaign.recommendation(), isinstance(campaign.strategy, Recommends)


def picture(question: Question) -> str:
    """The campaign's pictures, as SVG.

    Raises:
        FrugalTwinError: Nothing can be drawn of it yet.
    """
    from frugaltwin.pictures import picture

    return picture.picture(campaign_of(question)).svg()


def picture_png(question: Question) -> bytes:
    """The same as a PNG file, for who sees no SVG.

    Raises:
        FrugalTwinError: Nothing can be drawn of it yet.
    """
    from frugaltwin.pictures import picture
    from frugaltwin.pictures.style import png

    return png(picture.picture(campaign_of(question)).figure, 60)


def _too_long() -> InvalidInput:
    return InvalidInput(f"it was thought about for more than {LONGEST:g} s; choose another strategy or other options")


def _at_most(seconds: float, question: Callable[..., T], words: Sequence[Any]) -> T:
    """The answer of a question, which may take so much of a core, s.

    Raises:
        InvalidInput: It took more.
    """
    if not hasattr(signal, "SIGPROF"):
        return question(*words)

    def end(*_: object) -> None:
        raise _too_long()

    signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        return question(*words)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)


def _settle_in(lifeline: Connection, nice: int, is_idle: bool) -> None:
    os.environ.update(ONE_THREAD)
    if nice and is_idle and hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    elif nice and hasattr(os, "nice"):
        os.nice(nice if is_idle else min(nice, SHARE))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends us

    def end() -> None:
        with contextlib.suppress(EOFError, OSError):
            lifeline.recv_bytes()
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()


def campaign_of(question: Question) -> Campaign:
    """A campaign in this process."""
    from frugaltwin import catalog
    from frugaltwin.budget import Budget
    from frugaltwin.campaign import Campaign, OfflineDriver
    from frugaltwin.spec import StopSpec
    from frugaltwin.store import CampaignRecord, Store

    words, experiment = question.words, _experiment(question.rig)
    goal, chosen, seed = catalog.make_goal(words["goal"], OfflineDriver(experiment)), words["strategy"], words["seed"]
    chosen = chosen or {"name": goal.default_strategy, "options": {}}
    strategy = catalog.make_strategy(chosen["name"], chosen["options"], seed=seed)
    store = Store(":memory:")
    store.create(CampaignRecord(question.name, "", {}))
    for trial in question.log.performed:
        store.append(question.name, trial)
    for logged in question.log.entries:
        store.append_entry(question.name, logged)
    stop = StopSpec(**words["stop"]).rule if words["stop"] else None
    kept = {"driver": {"name": question.rig.driver, "options": {}}, "goal": goal.text, "strategy": chosen, "seed": seed}
    budget = Budget(**words["budget"])
    return Campaign(question.name, _driver(question.rig), goal, strategy, store, budget, stop, kept, question.earlier)


@lru_cache(maxsize=16)
def _experiment(rig: RigDescription) -> Experiment:
    from frugaltwin.store import experiment_from_json

    return experiment_from_json(json.loads(rig.experiment_json))


@lru_cache(maxsize=16)
def _driver(rig: RigDescription) -> Driver:
    from frugaltwin.campaign import OfflineDriver, unconnected
    from frugaltwin.prices import price_from_json

    price = None if rig.price_json is None else price_from_json(json.loads(rig.price_json))
    if not rig.is_local:
        return OfflineDriver(_experiment(rig), price)
    return unconnected(rig.driver, json.loads(rig.options_json), _experiment(rig), price)
