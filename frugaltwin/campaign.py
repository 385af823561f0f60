"""The closed loop: suggest, check, perform, store, yield. Its state is the store's and nothing else's."""

from __future__ import annotations

import logging
import platform
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any, Self

from frugaltwin.budget import Budget, StopRule
from frugaltwin.costs import Cost
from frugaltwin.errors import CampaignError, DriverError, Stopped
from frugaltwin.experiment import Measurement, Settings, Trial
from frugaltwin.goals import Goal
from frugaltwin.plugins import Driver, Estimates, Recommends, Strategy
from frugaltwin.store import CampaignRecord, Store

if TYPE_CHECKING:
    import pandas as pd

    from frugaltwin.spec import CampaignSpec

FAILURES_IN_A_ROW = 5
"""So many failed trials one after another end a campaign: the rig needs a person."""

_log = logging.getLogger(__name__)


class Campaign:
    """A strategy that tries settings on a driver for a goal, until its budget is used or its goal is reached.

    Whatever interrupts it, a campaign of the same name goes on where it stopped.
    """

    def __init__(
        self,
        name: str,
        driver: Driver,
        goal: Goal,
        strategy: Strategy,
        store: Store,
        budget: Budget = Budget(runs=10),
        stop_rule: StopRule | None = None,
        words: Mapping[str, Any] | None = None,
    ) -> None:
        """A campaign of parts made by hand; `open` makes them by name.

        Args:
            words: What the parts were made from, kept in the store.
        """
        self.name, self.driver, self.goal, self.strategy, self.store = name, driver, goal, strategy, store
        self.budget, self.stop_rule = budget, stop_rule
        self.words = dict(words or {"goal": goal.text})
        self.stopped_because: str | None = None
        self._stop = threading.Event()

    @classmethod
    def open(cls, spec: CampaignSpec | None = None, **fields: Any) -> Self:
        """A campaign in words, new or as it is in the store.

        Args:
            spec: What is wanted; or its fields, one by one: ``Campaign.open(driver="color-mixing", goal="match-color:coral")``.

        Raises:
            UnknownName: A driver, goal, strategy or option has another name.
            InvalidInput: A field is impossible.
            CampaignError: The store has a campaign of that name that was started with other words.
            StoreError: The store cannot be read.
        """
        from frugaltwin import catalog
        from frugaltwin.spec import CampaignSpec

        spec = spec or CampaignSpec.parse(fields)
        store = Store(spec.store)
        stored = store.find(spec.name) if spec.name else None
        words = _agreed(spec, stored.body) if stored else _words(spec)
        seed = int(words["seed"])
        session = len(store.trials(stored.name)) if stored else 0
        driver = catalog.make_driver(
            words["driver"]["name"], words["driver"]["options"], seed=_session_seed(seed, session), goal=words["goal"] or ""
        )
        goal = catalog.make_goal(words["goal"] or catalog.default_goal(driver), driver, seed)
        if stored and goal.text != stored.body["goal"]:
            raise CampaignError(_other_words(stored.name, "goal", stored.body["goal"], goal.text))
        choice = words["strategy"] or {"name": goal.default_strategy, "options": {}}
        strategy = catalog.make_strategy(choice["name"], choice["options"], seed=seed)
        name = spec.name or _new_name(words["driver"]["name"], store)
        words = words | {"goal": goal.text, "strategy": choice}
        return cls(name, driver, goal, strategy, store, spec.budget_or_default, spec.stop_rule, words)

    @property
    def trials(self) -> list[Trial]:
        """All trials so far, in order."""
        return self.store.trials(self.name)

    def run(self) -> Generator[Trial]:
        """Yield each trial as soon as it is stored, until the budget is used, the goal is reached, or `stop` is called.

        Afterwards `stopped_because` says why.

        Raises:
            CampaignError: Another process has this campaign open.
            StoreError: A trial could not be stored; the message holds it.
            DriverError: The driver could not connect.
        """
        self._stop.clear()
        with self._opened():
            trials = self.trials
            if self._is_done(trials):
                return
            with self.driver:
                while not self._is_done(trials):
                    (settings,) = self.strategy.suggest(self.driver.experiment, self.goal, trials)
                    settings = self.driver.experiment.check(settings)
                    if isinstance(self.driver, Estimates) and (reason := self.budget.exhausted(trials, self.driver.estimate(settings))):
                        self.stopped_because = reason
                        return
                    trial = self._attempt(len(trials) + 1, settings)
                    self.store.append(self.name, trial)
                    trials.append(trial)
                    yield trial

    def stop(self) -> None:
        """End `run` now, from any thread or signal handler: the rig comes to rest and what is under way becomes a failed trial."""
        self._stop.set()
        self.driver.stop()

    def suggest(self, count: int = 1) -> list[Settings]:
        """What to try next, for a person to perform and `tell`. Asked twice, it says the same.

        Raises:
            CampaignError: Another process has this campaign open.
        """
        experiment = self.driver.experiment
        with self._opened():
            return [experiment.check(s) for s in self.strategy.suggest(experiment, self.goal, self.trials, count)]

    def tell(
        self, settings: Mapping[str, object], outcomes: Mapping[str, object] | None, cost: Cost = Cost(), error: str | None = None
    ) -> Trial:
        """Store what a person performed; without outcomes it is a failed trial and `error` says why.

        Raises:
            OutOfBounds: The settings or the outcomes are not this experiment's.
            CampaignError: Another process has this campaign open.
        """
        experiment = self.driver.experiment
        checked = experiment.check(settings)
        measurement = None if outcomes is None else Measurement(experiment.check_outcomes(outcomes), cost)
        with self._opened():
            trial = Trial(len(self.trials) + 1, checked, measurement, error, cost, "told", _now())
            self.store.append(self.name, trial)
        return trial

    def score(self, trial: Trial) -> float | None:
        """The goal's score of a trial; None when it failed."""
        return self.goal.score_of_trial(trial)

    def best(self) -> tuple[Trial, float] | None:
        """The trial with the best reading and its score; None when there is none."""
        return self.goal.best(self.trials)

    def recommendation(self) -> Settings | None:
        """What to use from now on: the model's choice where the strategy has a model, else the best trial's; None without readings."""
        best = self.best()
        if best is None:
            return None
        if isinstance(self.strategy, Recommends):
            return self.driver.experiment.check(self.strategy.recommend(self.driver.experiment, self.goal, self.trials))
        return best[0].settings

    def to_pandas(self) -> pd.DataFrame:
        """One row a trial: number, settings, outcomes, derived color, score and cost.

        Raises:
            MissingPart: pandas is not installed.
        """
        from frugaltwin.errors import MissingPart
        from frugaltwin.tables import trial_rows

        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise MissingPart("to_pandas needs pandas; install it with pip install pandas") from error
        return pd.DataFrame(trial_rows(self.driver.experiment, self.trials, self.score))

    def _repr_html_(self) -> str:
        from frugaltwin.report import notebook_html

        return notebook_html(self)

    @contextmanager
    def _opened(self) -> Iterator[None]:
        """The campaign is locked, and in the store."""
        with self.store.locked(self.name):
            self.store.check_writable()
            if self.store.find(self.name) is None:
                self.store.create(CampaignRecord(self.name, _now(), self.words | {"versions": versions()}))
            yield

    def _is_done(self, trials: list[Trial]) -> bool:
        self.stopped_because = (
            ("stopped by the user" if self._stop.is_set() else None)
            or (self.stop_rule.reason(self.goal, trials) if self.stop_rule else None)
            or self.budget.exhausted(trials)
            or _failing(trials)
        )
        return self.stopped_because is not None

    def _attempt(self, number: int, settings: Settings) -> Trial:
        try:
            measurement = self.driver.perform(settings)
        except DriverError as error:  # a failed attempt is a result too: it is stored, not hidden
            _log.warning("trial %d of %s failed", number, self.name, exc_info=not isinstance(error, Stopped))
            return Trial(number, settings, None, str(error), error.cost, finished_at=_now())
        return Trial(number, settings, measurement, cost=measurement.cost, finished_at=_now())


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    found = {"python": platform.python_version()}
    for package in ("frugaltwin", "numpy", "scipy", "torch", "botorch", "gpytorch"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _failing(trials: list[Trial]) -> str | None:
    last = trials[-FAILURES_IN_A_ROW:]
    if len(last) == FAILURES_IN_A_ROW and all(t.measurement is None for t in last):
        return f"{FAILURES_IN_A_ROW} failed trials in a row, the last one: {last[-1].error}"
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _session_seed(seed: int, trials: int) -> int:
    """A resumed twin draws other noise than it drew before."""
    if not trials:
        return seed
    import numpy as np

    return int(np.random.SeedSequence((seed, trials)).generate_state(1)[0])


def _words(spec: CampaignSpec) -> dict[str, Any]:
    return spec.model_dump(mode="json", include={"driver", "goal", "strategy", "seed"})


def _agreed(spec: CampaignSpec, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The stored words, if nothing that was asked for contradicts them; the goal is compared when it is understood."""
    asked = _words(spec)
    for field in spec.model_fields_set & {"driver", "strategy", "seed"}:
        if asked[field] is not None and asked[field] != stored[field]:
            raise CampaignError(_other_words(str(spec.name), field, _shown(stored[field]), _shown(asked[field])))
    goal = asked["goal"] if asked["goal"] is not None else stored["goal"]
    return {field: stored[field] for field in ("driver", "strategy", "seed")} | {"goal": goal}


def _shown(word: Any) -> str:
    if not isinstance(word, dict):
        return str(word)
    options = ", ".join(f"{k}={v}" for k, v in word["options"].items())
    return f"{word['name']} ({options})" if options else str(word["name"])


def _other_words(name: str, field: str, stored: str, asked: str) -> str:
    return f"campaign {name!r} was started with {field} {stored}, not {asked}; leave that out to go on with it, or choose another --name"


def _new_name(driver: str, store: Store) -> str:
    taken = {record.name for record in store.campaigns()}
    return next(name for k in range(1, 10**9) if (name := f"{driver}-{k}") not in taken)
