"""Processes for strategies: the next trial of a campaign, its recommendation, its picture.

Strategies need torch, seconds and all of a core; a request must not wait for them. The processes start with the first question, and end
with the process that started them, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

from api.workers.child_processes import ONE_THREAD, start_method
from frugaltwin.errors import InvalidInput

if TYPE_CHECKING:
    from frugaltwin.campaign import Campaign
    from frugaltwin.experiment import Experiment, Settings
    from frugaltwin.log import Log
    from frugaltwin.plugins import Driver
    from frugaltwin.state import Earlier

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LONGEST = 60.0
"""s that a question may take."""
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
    """A few places that people take in turn: a person who has as many in hand as there are waits for one of those, and not for one more
    of everybody's. So a newcomer waits for no more than one turn of each of the others."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._free = asyncio.Semaphore(count)
        self._own: dict[str, tuple[asyncio.Semaphore, list[None]]] = {}
        """By person, as long as they wait for something: their places, and one entry for each that is waited for or in use."""

    @asynccontextmanager
    async def of(self, person: str) -> AsyncIterator[None]:
        """Take a place for a while."""
        own, wanted = self._own.setdefault(person, (asyncio.Semaphore(self._count), []))
        wanted.append(None)
        try:
            async with own, self._free:
                yield
        finally:
            wanted.pop()
            if not wanted:
                del self._own[person]


class StrategyProcesses:
    """A pool of a few processes for questions about strategies, started with the first question."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._turns = Turns(count)
        self._pool: ProcessPoolExecutor | None = None
        self._lifeline: Connection | None = None
        self._known: dict[Hashable, asyncio.Task[Any]] = {}

    async def ask(self, whose: str, question: Callable[[Unpack[Ts]], T], *words: *Ts) -> T:
        """The answer of a function of this file. Questions are taken in their order, and people in turn.

        Args:
            whose: The person whose question it is.

        Raises:
            FrugalTwinError: As the function does.
            InvalidInput: It took too long.
            BrokenProcessPool: Its process was killed, again and again.
        """
        async with self._turns.of(whose):
            for _ in range(TRIES - 1):
                with contextlib.suppress(BrokenProcessPool):  # perhaps another's question did that
                    return await self._ask(question, *words)
            return await self._ask(question, *words)

    async def ask_once(self, key: Hashable, whose: str, question: Callable[[Unpack[Ts]], T], *words: *Ts) -> T:
        """The same; asked again under the same key, it is not computed again."""
        known: asyncio.Task[T] | None = self._known.get(key)
        if known is None or (known.done() and (known.cancelled() or known.exception())):
            known = self._known[key] = asyncio.create_task(self.ask(whose, question, *words))
            for oldest in list(self._known)[:-KEPT]:
                del self._known[oldest]
        return await asyncio.shield(known)  # the request that asked first may have gone away

    async def _ask(self, question: Callable[[Unpack[Ts]], T], *words: *Ts) -> T:
        pool = self._opened()
        try:
            async with asyncio.timeout(LONGEST):
                return await asyncio.get_running_loop().run_in_executor(pool, question, *words)
        except TimeoutError:
            self._end(pool)
            raise InvalidInput(f"it was thought about for more than {LONGEST:g} s; choose another strategy or other options") from None
        except BrokenProcessPool:
            self._end(pool)
            raise

    def close(self) -> None:
        """End the processes, whatever they compute."""
        if pool := self._pool:
            self._end(pool)
            pool.shutdown(cancel_futures=True)

    def _end(self, pool: ProcessPoolExecutor) -> None:
        if self._pool is pool and self._lifeline:
            self._lifeline.close()
            self._pool = self._lifeline = None
            pool.shutdown(wait=False, cancel_futures=True)

    def _opened(self) -> ProcessPoolExecutor:
        if self._pool is None:
            theirs, self._lifeline = multiprocessing.Pipe(duplex=False)
            self._pool = ProcessPoolExecutor(self.count, start_method(), _settle_in, (theirs,))
        return self._pool


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
    campaign = _campaign(question)
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

    campaign = _campaign(question)
    return campaign.recommendation(), isinstance(campaign.strategy, Recommends)


def picture(question: Question) -> str:
    """The campaign's pictures, as SVG.

    Raises:
        FrugalTwinError: Nothing can be drawn of it yet.
    """
    from frugaltwin.pictures import picture

    return picture.picture(_campaign(question)).svg()


def _settle_in(lifeline: Connection) -> None:
    os.environ.update(ONE_THREAD)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends us

    def end() -> None:
        with contextlib.suppress(EOFError, OSError):
            lifeline.recv_bytes()
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()


def _campaign(question: Question) -> Campaign:
    from frugaltwin import catalog
    from frugaltwin.budget import Budget, StopRule
    from frugaltwin.campaign import Campaign, OfflineDriver
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
    stop = StopRule(words["stop"]["score"]) if words["stop"] else None
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
