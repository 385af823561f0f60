"""Campaigns, the closed loop: suggest, check, perform, store, yield. Their state is in the store only."""

from __future__ import annotations

import importlib
import json
import logging
import platform
import secrets
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from html import escape
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from frugaltwin.allowed import allow, is_allowed
from frugaltwin.amounts import Amounts
from frugaltwin.budget import AnyStopRule, Budget, Expectation, MapRule
from frugaltwin.errors import CampaignError, DriverError, FrugalTwinError, InvalidInput, OutOfBounds, Stopped, UnknownName
from frugaltwin.experiment import Experiment, Measurement, Settings, Trial, check_cost, describe, plain, total
from frugaltwin.goals import Goal
from frugaltwin.log import Amendment, Entry, Log, Logged, Preference, Proposal, Rejection, Retraction
from frugaltwin.plugins import (
    Attempt,
    Calibrated,
    CountsSupplies,
    Doubts,
    Driver,
    Estimates,
    Fingerprints,
    PerformsOnce,
    Predicts,
    Prices,
    Questions,
    Resumes,
    Samples,
    StartsOthers,
    Strategy,
)
from frugaltwin.prices import Price
from frugaltwin.record import Record
from frugaltwin.state import Doubt, Earlier, OutOfRange, Prediction, State, Suggestion
from frugaltwin.store import CampaignRecord, Store, experiment_from_json, experiment_to_json

if TYPE_CHECKING:
    import pandas as pd

    from frugaltwin.pictures.picture import Picture
    from frugaltwin.spec import CampaignSpec

BY_HAND = "by-hand"
"""The name of the driver of experiments that people perform."""

THINKING, EXPERIMENTING = "thinking …", "experimenting"

FAILURES_IN_A_ROW = 5
"""So many failed trials one after another end a campaign: the rig needs a person."""

PATHS = 256
"""Number of sample paths for what a suggestion is worth: its standard error is a sixteenth of the spread."""

PLACES, MOST_PLACES = 512, 1000
"""Number of places by which a map is judged where there are no candidates, and of those at most, evenly taken from the list."""

KEPT = 16
"""Expectations of a map that are kept."""

CHECK = "a random place of which the map is sure: a check before it is believed"
"""Reason for a suggestion that the stop rule of a map asks for."""

_log = logging.getLogger(__name__)


class Campaign:
    """A strategy that tries settings on a driver for a goal, until its budget is used or its goal is reached.

    A campaign of the same name goes on where an interrupted one stopped.
    """

    def __init__(
        self,
        name: str,
        driver: Driver,
        goal: Goal,
        strategy: Strategy,
        store: Store,
        budget: Budget | None = Budget(runs=10),
        stop_rule: AnyStopRule | None = None,
        specification: Mapping[str, Any] | None = None,
        earlier: Sequence[Earlier] = (),
    ) -> None:
        """A campaign of parts made by hand; `open` makes them by name.

        Args:
            budget: None where it is not known, in a campaign that is only read.
            specification: Names and options of the parts, kept in the store.
            earlier: Campaigns of the same store to learn from, see `Store.earlier`.

        Raises:
            InvalidInput: A stop rule that the goal cannot reach, or an earlier campaign that says nothing about this one.
            CampaignError: The store has trials of a campaign of that name with other parameters, limits or outcomes.
        """
        if stop_rule:
            stop_rule.check(goal)
        self.name, self.driver, self.goal, self.strategy, self.store = name, driver, goal, strategy, store
        self.budget, self.stop_rule = budget, stop_rule
        self.earlier = tuple(earlier)
        for one in self.earlier:
            one.check(driver.experiment)
        record = store.find(name)
        begun = experiment_from_json(record.body["experiment"]) if record and "experiment" in record.body else driver.experiment
        if (changes := driver.experiment.changes(begun)) and store.trials(name):
            text = f"{driver.experiment.name} has changed since campaign {name!r} was started: {'; '.join(changes)}"
            text += f"; choose another name, and give {name} as an earlier campaign to learn from it"
            raise CampaignError(text, field="name")
        self._is_of_another_lab = not begun.is_nearly(driver.experiment)  # where nothing was performed yet
        made_by_hand = {
            "driver": {"name": driver.experiment.name, "options": {}},
            "goal": goal.text,
            "strategy": {"name": type(strategy).__name__, "options": {}},
            "seed": 0,
        }
        self.specification = dict(specification or made_by_hand)
        if self.earlier:  # their trials are in the store already, and are only ever added to
            words = {one.name: {"relation": one.relation, "trials": len(one.trials)} for one in self.earlier}
            self.specification["earlier"] = words
        self.plan: dict[str, Any] = {}
        """Words for `run` that are kept, so that it goes on with them: `budget`, `stop`, and the file of its `report`."""
        self.stopped_because: str | None = None
        self.doing = ""
        """The present work of `run`: `THINKING` while the strategy chooses, `EXPERIMENTING` while the driver performs, else empty."""
        self._expectations: dict[str, Expectation | None] = {}  # of the last states of the map: a decision asks for several
        self._stop = threading.Event()
        self._n_before = 0
        self._is_connected = False
        self._failures: str | None = None
        self._changed = ""  # the reason why its driver may not perform: what was told is not about the driver
        self._is_named = True  # whether a person named its driver now, and no store alone

    @classmethod
    def open(cls, spec: CampaignSpec | None = None, **fields: Any) -> Self:
        """A campaign by its specification, new or as it is in the store, with the budget and the stop rule that it had where none is named.

        A stop rule of None, named, takes one away that it had.

        Args:
            spec: The specification; or its fields, one by one: ``Campaign.open(driver="color-mixing", goal="match-color:coral")``.

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
        is_begun = stored is not None and bool(store.trials(stored.name))
        plan = dict(stored.body.get("plan", {})) if stored else {}
        spec = spec.going_on(plan)
        words = _agreed(spec, stored.body, is_begun) if stored else _words(spec)
        seed, choice = int(words["seed"]), catalog.found_again(words["driver"], Path(store.path).parent)
        known = {"seed": seed, "goal": words["goal"] or ""}
        if stored and _is_same_driver(choice, stored.body):
            begun_with = experiment_from_json(stored.body["experiment"])
            driver: Driver = OfflineDriver(begun_with)
            if choice["name"] != BY_HAND:
                driver = catalog.make_driver_of(begun_with, choice["name"], choice["options"], **known)
        else:
            driver = catalog.make_driver(choice["name"], choice["options"], **known)
        fingerprint = driver.fingerprint if isinstance(driver, Fingerprints) else None
        changed = ""
        if stored and is_begun and fingerprint != stored.body.get("fingerprint"):
            where = describe(choice["options"]) or choice["name"]
            changed = f"{where}: this has changed since campaign {stored.name!r} was started; choose another name"
            if any(trial.source != "told" for trial in store.trials(stored.name)):
                raise CampaignError(changed, field="name")
        goal = catalog.make_goal(words["goal"] or "", driver, seed)
        if stored and is_begun and goal.text != stored.body["goal"]:
            raise _contradiction(stored.name, "goal", stored.body["goal"], goal.text)
        if stored and is_begun and begun_with.is_nearly(driver.experiment):
            goal = goal.on(begun_with)  # a trial keeps its score on every processor
        chosen = words["strategy"] or {"name": goal.default_strategy, "options": {}}
        strategy = catalog.make_strategy(chosen["name"], chosen["options"], seed=seed)
        name = spec.name or _new_name(choice["name"], store)
        words = words | {"driver": choice, "goal": goal.text, "strategy": chosen, "fingerprint": fingerprint}
        typed = stored.body.get("typed") if stored and (is_begun or not spec.goal_text) else spec.goal_text
        words |= {"typed": typed} if typed else {}
        earlier = _earlier(store, name, words.pop("earlier"))
        campaign = cls(name, driver, goal, strategy, store, spec.budget_or_default, spec.stop_rule, words, earlier)
        campaign._changed = changed
        campaign._is_named = stored is None or "driver" in spec.model_fields_set
        campaign.plan = {k: v for k, v in plan.items() if k != "stop" or spec.stop} | spec.plan
        return campaign

    @classmethod
    def by_hand(
        cls, experiment: Experiment, goal: str | Sequence[str], name: str | None = None, store: Path | str = "frugaltwin.db", **fields: Any
    ) -> Self:
        """A campaign on an experiment that people perform: no driver is needed, and `suggest` and `tell` do all.

        It is stored at once, so that `frugaltwin suggest`, `tell`, `show` and `report` go on with it, and this call too.

        Args:
            goal: One or more, such as ``maximize:yield``.
            name: The experiment's name without it.
            fields: `require`, `strategy` and `seed`, as for `open`.

        Raises:
            InvalidInput: A field is impossible.
            UnknownName: A goal, strategy or option has another name.
            CampaignError: The store has a campaign of that name on another experiment, or with another goal or strategy.
        """
        from frugaltwin import catalog
        from frugaltwin.spec import CampaignSpec

        if not isinstance(experiment, Experiment):
            raise InvalidInput(f"{experiment!r} is no experiment; make one as Experiment(name, parameters, outcomes)")
        spec = CampaignSpec.parse({"name": name or experiment.name, "goal": goal, "store": str(store), **fields})
        driver = OfflineDriver(experiment)
        made = catalog.make_goal(spec.goal_text or "", driver, spec.seed)
        words = _words(spec) | {"driver": {"name": BY_HAND, "options": {}}, "goal": made.text, "typed": spec.goal_text}
        words["strategy"] = words["strategy"] or {"name": made.default_strategy, "options": {}}
        opened = Store(spec.store)
        begun = opened.find(str(spec.name))
        for field in ("driver", "goal", "strategy", "seed") if begun else ():
            if begun and words[field] != begun.body[field] and (field in spec.model_fields_set or field == "driver"):
                raise _contradiction(begun.name, field, _shown(begun.body[field]), _shown(words[field]))
        words |= {field: begun.body[field] for field in ("strategy", "seed")} if begun else {}
        chosen = words["strategy"]
        strategy = catalog.make_strategy(chosen["name"], chosen["options"], seed=int(words["seed"]))
        earlier = _earlier(opened, str(spec.name), words.pop("earlier"))
        campaign = cls(str(spec.name), driver, made, strategy, opened, spec.budget_or_default, None, words, earlier)
        campaign.begin()
        return campaign

    @classmethod
    def stored(cls, name: str, store: Store) -> Self:
        """A campaign of the store for reading: nothing that it was measured on has to be there any more.

        Raises:
            UnknownName: The store has no campaign of that name; the message says what comes nearest.
        """
        from frugaltwin import catalog

        record = store.get(name)
        driver = OfflineDriver(experiment_from_json(record.body["experiment"]))
        chosen = record.body["strategy"]
        if not catalog.is_known("strategy", chosen["name"]):
            chosen = {"name": "random", "options": {}}  # a strategy made by hand: without it the best reading is recommended
        strategy = catalog.make_strategy(chosen["name"], chosen["options"], seed=int(record.body["seed"]))
        words = {k: v for k, v in record.body.items() if k not in ("id", "experiment", "versions")}
        goal, earlier = catalog.make_goal(record.body["goal"], driver), _earlier(store, name, words.get("earlier", {}))
        return cls(name, driver, goal, strategy, store, None, specification=words, earlier=earlier)

    def fork(self, name: str, goal: str | Sequence[str] = "", require: Sequence[str] = (), **fields: Any) -> CampaignRecord:
        """A new campaign in the same store that has all trials of this one, for another goal; it goes on by `open`.

        The trials are copied as they were performed, with what people said about them, and cost nothing again: a budget that is named is
        for what comes after them.

        Args:
            name: Of the new one.
            goal: One or more goals; this one's without any.
            require: Bounds that a good trial meets.
            fields: `strategy`, `seed`, `budget` and `stop`, as for `open`.

        Raises:
            CampaignError: The store has a campaign of that name, or this one has no trials.
            InvalidInput: A field is impossible.
            UnknownName: A goal, strategy or option has another name.
        """
        from frugaltwin import catalog
        from frugaltwin.spec import CampaignSpec

        spec = CampaignSpec.parse({"name": name, **({"goal": goal} if goal else {}), "require": require, **fields})
        record, log = self.store.get(self.name), self.log
        if not log.performed:
            raise CampaignError(f"campaign {self.name!r} has no trials to go on from; begin {name!r} without it", field="name")
        if self.store.find(name):
            raise CampaignError(f"there is a campaign {name!r} already; choose another name", field="name")
        experiment = experiment_from_json(record.body["experiment"])
        seed = spec.seed if "seed" in spec.model_fields_set else int(record.body["seed"])
        made = catalog.make_goal(spec.goal_text or record.body["goal"], self._knowing(spec.goal_text), seed).on(experiment)
        chosen = _words(spec)["strategy"]
        if chosen is None:
            is_default = record.body["strategy"]["name"] == self.goal.default_strategy
            chosen = {"name": made.default_strategy, "options": {}} if is_default and made != self.goal else record.body["strategy"]
        catalog.make_strategy(chosen["name"], chosen["options"], seed=seed)
        if spec.stop:
            spec.stop.rule.check(made)
        spent = total(log.performed)
        limits = {kind: limit + getattr(spent, kind) for kind, limit in spec.budget_or_default.limits.items()}
        words = {k: v for k, v in record.body.items() if k != "plan"} | {"id": secrets.token_hex(8), "versions": versions()}
        words |= {"goal": made.text, "strategy": chosen, "seed": seed, "plan": spec.plan | {"budget": limits}}
        words |= {"typed": spec.goal_text} if spec.goal_text else {}
        words["forked"] = {"name": self.name, "id": record.body.get("id", record.created_at), "trials": len(log.performed)}
        forked = CampaignRecord(name, _now(), words)
        kept = [x for x in log.entries if isinstance(x.entry, Retraction | Amendment | Preference)]
        with self.store.locked(name):
            self.store.add(forked, Log([replace(t, suggestion=None) for t in log.performed], kept))
        return forked

    def _knowing(self, text: str | None) -> Driver:
        """The driver for which a goal is understood: a twin where a color is to be drawn that it can make."""
        return self.twin() if text and "reachable" in text else self.driver

    def __repr__(self) -> str:
        return f"<Campaign {self.name!r}: {self.goal.title}, {len(self.trials)} trials>"

    @property
    def trials(self) -> list[Trial]:
        """All trials so far, in order, as they stand: corrected ones are marked by their `correction`."""
        return self.log.trials

    @property
    def log(self) -> Log:
        """The log: the trials as they were performed, and what people said about them and about suggestions."""
        log = self.store.log(self.name)
        return Log() if self._is_of_another_lab and not log.performed else log

    def run(self) -> Generator[Trial]:
        """Yield each trial as soon as it is stored, until the budget is used, the goal is reached, or `stop` is called.

        Afterwards `stopped_because` says why.

        Raises:
            CampaignError: Another process has this campaign open, its driver has changed since it was started, or it is another rig now.
            StoreError: A trial could not be stored; `record` of the error holds it.
            DriverError: The driver could not connect.
        """
        self._stop.clear()
        if self._changed:
            raise CampaignError(self._changed, field="name")
        if self.specification["driver"]["name"] == BY_HAND:
            text = f"campaign {self.name!r} is performed by people: ask it what to try next (suggest), and tell it what was measured (tell)"
            raise CampaignError(text, field="driver")
        with self._locked():
            self._check_allowed()
            log = self.log
            trials = list(log.performed)
            stored = self.store.find(self.name)
            if stored and stored.body.get("plan", {}) != self.plan:
                self.store.change(self.name, plan=self.plan)
            self._n_before, self._is_connected = len(trials), True
            if isinstance(self.driver, Resumes):
                self.driver.resume(trials)
            try:
                self.doing = THINKING
                suggestion = self._next(log)
                if suggestion is None:
                    return
                self.doing = ""
                with self.driver:
                    self._check_rig(trials)
                    while suggestion is not None and not self._stop.is_set():
                        self.doing = EXPERIMENTING
                        trial = self._attempt(len(trials) + 1, suggestion.settings)
                        self._keep(trial)
                        trials.append(trial)
                        self.doing = ""
                        yield trial
                        self.doing = THINKING
                        suggestion = self._next(Log(trials, log.entries))
                        self.doing = ""
                        if trial.source == "stopped" and not self._stop.is_set():
                            # Somebody at the rig did it (the emergency switch, say): it takes a person to go on.
                            self.stopped_because = self._failures = trial.error
                            break
            except Stopped:  # while it was connecting
                if not self._stop.is_set():
                    raise
            finally:
                self._is_connected, self.doing = False, ""
            if self._stop.is_set():
                self.stopped_because = "stopped by the user"

    def begin(self) -> None:
        """Store the campaign, as `run` does first: its parts, its budget and its stop rule. It can be opened by its name from then on.

        Raises:
            CampaignError: Another process has this campaign open.
        """
        with self._locked():
            self._begin()

    def stop(self) -> None:
        """End `run` now, from any thread or signal handler: the rig comes to rest and what is under way becomes a failed trial."""
        self._stop.set()
        self.driver.stop()

    def decide(self, n_before: int = 0) -> Suggestion | None:
        """One step of `run` for somebody else to perform; None when the campaign has ended, and `stopped_because` says why.

        Args:
            n_before: Trials of earlier sessions, whose failures do not count.
        """
        self._n_before, self._is_connected = n_before, True
        return self._next(self.log)

    def state(self) -> State:
        """The state that a decision depends on."""
        return self._state(self.log)

    def suggest(self, count: int = 1) -> list[Suggestion]:
        """Suggest what to try next, for a person to perform and `tell`.

        They are rounded to digits that people dose (`Experiment.readable`), and under way from then on (`pending`), until their settings
        are told or rejected: the next ones differ from them.

        Raises:
            CampaignError: Nothing is left to suggest besides what is under way or was rejected, or another process has this campaign open.
        """
        if not isinstance(count, int):
            raise InvalidInput(f"count = {count!r}: suggest takes a whole number of suggestions", field="count")
        with self._locked():
            self._begin()
            log = self.log
            state = self._state(log)
            experiment = self.driver.experiment
            taken = {experiment.key(settings) for settings in (*state.unavailable, *(t.settings for t in log.performed))}
            suggestions: list[Suggestion] = []
            for found in map(self._checked, self._new_suggestions(state, log, count)):
                rounded = experiment.readable(found.settings)
                is_new = experiment.key(rounded) not in taken
                suggestions.append(replace(found, settings=rounded) if is_new else found)
                taken.add(experiment.key(rounded))
            taken = {experiment.key(settings) for settings in state.unavailable}
            if any(experiment.key(s.settings) in taken for s in suggestions):
                n, asked = len(state.pending), f"{count} more" if count > 1 else "one more"
                text = f"there are no settings to suggest {asked}: {n} suggestion{'s are' if n != 1 else ' is'} under way"
                raise CampaignError(f"{text}; tell their results, or reject those that nobody performs", field="count")
            for new in suggestions:
                self._note(log, Proposal(new.settings, new.why, by_hand=True))
            return self.explained(suggestions)

    @property
    def pending(self) -> list[Suggestion]:
        """The suggestions that are under way, oldest first: they were neither told nor rejected."""
        return [Suggestion(proposal.settings, proposal.why) for proposal in self.log.proposals(self.driver.experiment)]

    def suggested(self, number: int) -> Settings:
        """The settings of a suggestion by its number, from 1 in the order in which they were made; told and rejected ones count.

        Raises:
            InvalidInput: There is none of that number.
        """
        return self.log.suggested(number).settings

    def explained(self, suggestions: Sequence[Suggestion]) -> list[Suggestion]:
        """The suggestions with what the strategy's model expects of them, where it has one and something was measured."""
        state, strategy = self.state(), self.strategy
        if not isinstance(strategy, Predicts) or not state.counted:
            return list(suggestions)
        settings = [s.settings for s in suggestions]
        expected = strategy.predict(state, settings)
        worths: Sequence[float | None] = [None] * len(settings)
        if isinstance(strategy, Samples) and state.goal.has_score:
            worths = improvements(strategy, state, settings)
        return [replace(s, expected=expected.at(k), worth=worths[k]) for k, s in enumerate(suggestions)]

    def tell(
        self,
        settings: Mapping[str, object],
        outcomes: Mapping[str, object] | None,
        cost: Amounts = Amounts(),
        error: str | None = None,
        raw: Mapping[str, object] | None = None,
        source: str = "told",
        happened: Mapping[str, object] | None = None,
        suggestion: int | None = None,
    ) -> Trial:
        """Store what a person performed; without outcomes it is a failed trial and `error` says why.

        Args:
            outcomes: Those that the goal does not need may be left out.
            raw: Raw readings besides the outcomes; arrays are kept as lists, and what JSON has no word for as text.
            source: As of a `Trial`: who performed it.
            happened: Settings that happened where others were asked for, as of a `Measurement`.
            suggestion: The number of the suggestion that was performed; only that one ends.

        Raises:
            InvalidInput: There is no suggestion of that number.
            OutOfBounds: The settings or the outcomes are not this experiment's, or the cost is none.
            CampaignError: Another process has this campaign open.
        """
        words = {"settings": settings, "outcomes": outcomes, "cost": cost, "error": error, "raw": raw, "source": source}
        return self.tell_all([words | {"happened": happened, "suggestion": suggestion}])[0]

    def tell_all(self, results: Sequence[Mapping[str, Any]]) -> list[Trial]:
        """Store many experiments that a person performed: all of them, or none if one is refused.

        Args:
            results: The arguments of `tell` for each, by name.

        Raises:
            OutOfBounds: The settings or the outcomes of one are not this experiment's; the message says which.
            CampaignError: Another process has this campaign open.
        """
        told: list[Trial] = []
        for number, words in enumerate(results, start=1):
            try:
                told.append(self._told(**words))
            except OutOfBounds as error:
                if len(results) > 1:
                    error.args = (f"result {number}: {error}",)
                raise
        if not told:
            return []
        with self._locked():
            last = self.log.last
            if not last:
                self._begin()
            trials = [replace(trial, number=number) for number, trial in enumerate(told, start=last + 1)]
            self.store.append(self.name, *trials)
        return trials

    def surprises(self, results: Sequence[Mapping[str, Any]]) -> list[Doubt]:
        """The readings among results that are hardly to be believed: slipped decimals, perhaps. Nothing is stored.

        Each is compared with the range of its outcome. Besides, one result is compared with all trials; of many, those are named that are
        doubtful once all are told.

        Args:
            results: As for `tell_all`.

        Raises:
            OutOfBounds: The settings or the outcomes of one are not this experiment's.
        """
        state = self.state()
        told = [replace(self._told(**words), number=number) for number, words in enumerate(results, start=len(state.trials) + 1)]
        if outside := [doubt for trial in told for doubt in _outside(trial, self.driver.experiment)]:
            return outside
        told = [trial for trial in told if self.driver.experiment.counts(trial.settings)]
        if len(told) == 1:
            from frugaltwin import catalog

            strategy = self.strategy
            if not isinstance(strategy, Questions):
                strategy = catalog.make_strategy(self.goal.default_strategy)
            return list(strategy.surprises(state, told[0])) if isinstance(strategy, Questions) else []
        known = replace(state, trials=[*state.trials, *told])
        doubts = self.strategy.doubts(known) if isinstance(self.strategy, Doubts) else []
        return [doubt for doubt in doubts if doubt.number > len(state.trials)]

    def _told(
        self,
        settings: Mapping[str, object],
        outcomes: Mapping[str, object] | None = None,
        cost: Amounts = Amounts(),
        error: str | None = None,
        raw: Mapping[str, object] | None = None,
        source: str = "told",
        happened: Mapping[str, object] | None = None,
        suggestion: int | None = None,
    ) -> Trial:
        """A trial without a number yet."""
        if suggestion is not None:
            self.suggested(suggestion)
        checked = self.driver.experiment.check_told(settings)
        measured = None if outcomes is None else Measurement(outcomes, cost, raw or {}, happened or {})  # type: ignore[arg-type]
        measurement = None if measured is None else sensible(self.goal, checked, measured, self.goal.outcomes)
        return Trial(0, checked, measurement, plain(error), check_cost(cost), source, _now(), suggestion=suggestion)

    def retract(self, number: int, why: str) -> Trial:
        """Say that a trial's measurement does not count, and why; the trial as it stands then. It is final.

        The trial keeps its number, its settings and its cost, and its measurement stays in the log.

        Raises:
            InvalidInput: There is no such trial, it was retracted before, or there is no reason.
            CampaignError: Another process has this campaign open.
        """
        return self._correct(lambda log: Retraction(number, why))

    def amend(self, number: int, outcomes: Mapping[str, object], why: str) -> Trial:
        """Say what a trial's outcomes should have been, and why; the trial as it stands then. The last amendment counts.

        Args:
            outcomes: Those that were wrong; the others stay. To undo an amendment, amend it to the outcomes of before.

        Raises:
            InvalidInput: There is no such trial, it was retracted, or there is no reason.
            OutOfBounds: The outcomes are not this experiment's.
            CampaignError: Another process has this campaign open.
        """
        return self._correct(lambda log: log.amendment(self.driver.experiment, number, outcomes, why))

    def prefer(self, better: int, worse: int, why: str = "") -> Preference:
        """Say that one trial is better than another.

        Raises:
            InvalidInput: One of them has no reading.
            CampaignError: Another process has this campaign open.
        """
        preference = Preference(better, worse, why)
        with self._locked():
            self._note(self.log, preference)
        return preference

    def reject(self, settings: Mapping[str, object], why: str = "") -> Rejection:
        """Turn a suggestion down: until the next trial, nothing suggests it again.

        Raises:
            OutOfBounds: The settings are not this experiment's.
            CampaignError: Another process has this campaign open.
        """
        rejection = Rejection(self.driver.experiment.check(settings), why)
        with self._locked():
            self._begin()
            self._note(self.log, rejection)
        return rejection

    def score(self, trial: Trial) -> float | None:
        """The goal's score of a trial; None when it failed."""
        return self.goal.score_of_trial(trial)

    def best(self) -> tuple[Trial, float] | None:
        """The trial with the best reading and its score; None when there is none."""
        return self.goal.best(self.trials)

    def recommendation(self) -> Settings | None:
        """The settings to use from now on: by the model where the strategy has one, else those of the best trial; None without readings."""
        return self.record().recommendation

    def record(self) -> Record:
        """The campaign as it is now, for pictures, reports and displays: it does not change any more."""
        stored, log = self.store.find(self.name), self.log
        return Record(
            self.name,
            self.driver.experiment,
            self.goal,
            tuple(log.trials),
            self.strategy,
            log,
            state=self._state(log),
            suggest=lambda: self._suggestions(log)[0],
            predict=self.predict,
            expected=lambda: self.expectation(log.trials),
            twin=self.twin,
            budget=self.budget,
            stop_rule=self.stop_rule,
            stopped_because=self.stopped_because,
            specification=self.specification | (dict(stored.body) if stored else {}),
            store=self.store.path,
            started=stored.created_at if stored else None,
        )

    @property
    def model(self) -> Predicts:
        """The model of `predict`: the strategy where it has one, else the goal's default strategy.

        Raises:
            InvalidInput: Neither has one.
        """
        if isinstance(self.strategy, Predicts):
            return self.strategy
        from frugaltwin import catalog

        strategy = catalog.make_strategy(self.goal.default_strategy, seed=int(self.specification["seed"]))
        if not isinstance(strategy, Predicts):
            raise InvalidInput(f"no strategy here has a model for the goal {self.goal.text}, so nothing can be predicted", field="strategy")
        return strategy

    def twin(self) -> Driver:
        """The driver; made again from the specification where it was opened for reading.

        Raises:
            FrugalTwinError: It cannot be made any more.
        """
        if not isinstance(self.driver, OfflineDriver) or self.specification["driver"]["name"] == BY_HAND:
            return self.driver
        from frugaltwin import catalog

        choice = catalog.found_again(self.specification["driver"], Path(self.store.path).parent)
        seed = int(self.specification["seed"])
        return catalog.make_driver_of(self.driver.experiment, choice["name"], choice["options"], seed=seed, goal=self.goal.text)

    def predict(self, settings: Any, trials: Sequence[Trial] | None = None) -> Prediction:
        """Prediction of the model at other settings.

        Args:
            settings: Some settings, one alone, or a data frame with a column for each parameter; its other columns are ignored.
            trials: The trials that it may know; all of the campaign without it.

        Raises:
            OutOfBounds: The experiment does not allow one of the settings.
            CampaignError: Nothing was measured yet.
        """
        state = self.state() if trials is None else State(self.goal, tuple(trials), earlier=self.earlier)
        if not state.counted:
            at = f" at {describe(self.goal.experiment.fidelities)}" if any(t.measurement for t in state.trials) else ""
            raise CampaignError(f"campaign {self.name!r} has measured nothing{at} yet, so nothing can be predicted")
        experiment = self.driver.experiment
        return self.model.predict(state, [experiment.check(s) for s in _listed(settings, experiment)])

    def plot(self, with_truth: bool = False) -> Picture:
        """The picture of the campaign, as `frugaltwin plot` draws it; a notebook shows it, and `save` writes it.

        Raises:
            InvalidInput: There is nothing to draw, or the truth is not known.
        """
        from frugaltwin.pictures.picture import picture

        return picture(self, with_truth=with_truth)

    def report(self, path: Path | str = "", with_truth: bool = False) -> Path:
        """Write the report as one HTML file, ``NAME.html`` without a path, and return where it is.

        Raises:
            InvalidInput: It cannot be written, or the truth is not known.
        """
        from frugaltwin.pictures.report import write

        file = Path(path or f"{self.name}.html")
        write(self.record(), file, with_truth)
        return file

    def compare(self, *others: Self, with_truth: bool = False) -> Picture:
        """The progress of this campaign and of others for the same goal, against experiments, lab time and money.

        Of a score it is the best so far, of a map the share that its model expects to be right, of several objectives the share of the best
        known front.

        Args:
            with_truth: Of maps on twins the share that is right.

        Raises:
            InvalidInput: Their goals differ, one has no reading, or the truth is not known.
        """
        from frugaltwin.pictures import comparison
        from frugaltwin.pictures.picture import Picture

        if odd := [one for one in others if not isinstance(one, Campaign)]:
            raise InvalidInput(f"{odd[0]!r} is no campaign; open it first, as in Campaign.open(name=…)")
        records = [one.record() for one in (self, *others)]
        comparison.check_comparable(records, with_truth)
        return Picture(comparison.figure(records, comparison.measure(records, with_truth)))

    def live(self) -> None:
        """Run to the end in a notebook, with a view that is brought up to date in its place; run again, say why there is nothing to do.

        Raises:
            MissingPart: There is no notebook: IPython is not installed.
        """
        from frugaltwin.errors import MissingPart

        try:
            notebook: Any = importlib.import_module("IPython.display")
        except ModuleNotFoundError as error:
            raise MissingPart("live is for notebooks, and needs IPython; elsewhere write: for trial in campaign.run(): …") from error
        view, before = notebook.display(self, display_id=True), len(self.trials)
        for _ in self.run():
            if view is not None:
                view.update(self)
        n = len(self.trials) - before
        words = (
            f"{n} experiment{'s' * (n != 1)} performed; ended by {self.stopped_because}" if n else f"nothing to do: {self.stopped_because}"
        )
        notebook.display(notebook.HTML(f"<p>{escape(words)}</p>"))

    def to_pandas(self) -> pd.DataFrame:
        """One row a trial: number, settings, what happened where others were asked for, outcomes, derived color, score and cost.

        Raises:
            MissingPart: pandas is not installed.
        """
        from frugaltwin.errors import MissingPart
        from frugaltwin.goals.trial_table import whole_table

        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise MissingPart("to_pandas needs pandas; install it with pip install pandas") from error
        columns, rows = whole_table(self.goal, self.trials)
        return pd.DataFrame(rows, columns=columns)

    def _repr_html_(self) -> str:
        from frugaltwin.pictures.report import notebook_html

        return notebook_html(self.record())

    @property
    def is_failing(self) -> bool:
        """Whether the last trials of this session all failed: the rig needs a person."""
        return self._failures is not None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the campaign, and check that its trials can be stored."""
        for one in self.earlier:
            self.store.get(one.name)  # or the campaign could not be opened again
        with self.store.locked(self.name):
            self.store.check_writable()
            yield

    def _begin(self) -> str:
        """Store the campaign if it is not stored yet; return its id, which no other campaign of any store has."""
        record = self.store.find(self.name)
        identity = str(record.body.get("id", record.created_at)) if record else secrets.token_hex(8)
        if record is None or not self.log.performed:
            body = self.specification | {"id": identity, "experiment": experiment_to_json(self.driver.experiment), "versions": versions()}
            body |= {"plan": self.plan} if self.plan else {}
            if record is None or _beginning(body) != _beginning(record.body):  # of other words, other suggestions: nothing was measured
                self.store.create(CampaignRecord(self.name, _now(), body))
                self._is_of_another_lab = False
        if self._is_named and isinstance(self.driver, StartsOthers) and self.driver.performer:
            allow(identity, self.driver.performer)
        return identity

    def _check_allowed(self) -> None:
        """Check that a person of this machine named what the driver starts: a store may come from elsewhere.

        Raises:
            CampaignError: Nobody did.
        """
        performer = self.driver.performer if isinstance(self.driver, StartsOthers) else ""
        if performer and not is_allowed(self._begin(), performer) and not self._is_named:
            text = f"campaign {self.name!r} would have its experiments performed by {performer}, which nobody has named on this machine"
            raise CampaignError(f"{text}: look at its file, and name that as the driver once to allow it", field="driver")

    def _check_rig(self, trials: Sequence[Trial]) -> None:
        """Check that the rig is the one that the trials were performed on, and keep its address if it has got another one.

        Raises:
            CampaignError: It works by another calibration.
        """
        if isinstance(self.driver, Calibrated) and (now := self.driver.calibration):
            raws = [t.measurement.raw for t in trials if t.source == "driver" and t.measurement]
            then = next((raw["calibration"] for raw in reversed(raws) if "calibration" in raw), now)
            if then != now:
                text = (
                    f"campaign {self.name!r} was measured with the calibration {then}, and its rig has {now} now: another rig, or one that"
                )
                text += f" was calibrated again; choose another name, and give {self.name} as an earlier campaign to learn from it"
                raise CampaignError(text, field="name")
        record, driver = self.store.find(self.name), self.specification["driver"]
        if record and record.body["driver"] != driver and _is_same_driver(driver, record.body):
            self.store.change(self.name, driver=driver)

    def _keep(self, trial: Trial) -> None:
        if trial.number == 1:
            self._begin()
        self.store.append(self.name, trial)

    def _note(self, log: Log, entry: Entry) -> None:
        """Store an entry of the log."""
        log.check(entry)
        self.store.append_entry(self.name, Logged(entry, log.last, _now()))

    def _correct(self, made: Callable[[Log], Retraction | Amendment]) -> Trial:
        with self._locked():
            log = self.log
            entry = made(log)
            log.check(entry)
            if isinstance(entry, Amendment):
                sensible(self.goal, log.performed[entry.number - 1].settings, Measurement(entry.outcomes), self.goal.outcomes)
            self._note(log, entry)
            return self.trials[entry.number - 1]

    def _proposed(self, log: Log) -> list[Proposal]:
        """The proposals since the last trial that are under way: what to try next is chosen already."""
        return log.proposals(self.driver.experiment, since=log.last)

    def _state(self, log: Log) -> State:
        pending = [proposal.settings for proposal in log.proposals(self.driver.experiment)]
        left = self.budget.left(log.performed) if self.budget else None
        price = self.driver.price() if isinstance(self.driver, Prices) else None
        performed = self._performed(log)
        return State(self.goal, tuple(log.trials), tuple(pending), log.rejections, log.preferences, left, price, self.earlier, performed)

    def _performed(self, log: Log) -> tuple[Settings, ...]:
        """The settings that the driver has performed when the next experiment begins."""
        before = 0 if isinstance(self.driver, Resumes) else self._n_before if self._is_connected else log.last
        return tuple(trial.settings for trial in log.performed[before:] if trial.source == "driver")

    def _suggestions(self, log: Log, count: int = 1) -> list[Suggestion]:
        """The next suggestions: those that were proposed since the last trial, then new ones."""
        known = [Suggestion(proposal.settings, proposal.why) for proposal in self._proposed(log)]
        more = self._new_suggestions(self._state(log), log, count - len(known)) if count > len(known) else []
        return [self._checked(s) for s in (*known[:count], *more)]

    def _new_suggestions(self, state: State, log: Log, count: int) -> list[Suggestion]:
        """The strategy's suggestions; the first is a check of the map, where one is due before the stop rule ends the campaign."""
        check = self._check_of_map(state, log)
        return [*check, *(self.strategy.suggest(state, count - len(check)) if count > len(check) else [])]

    def _check_of_map(self, state: State, log: Log) -> list[Suggestion]:
        rule = self.stop_rule
        found = self.expectation(log.trials) if isinstance(rule, MapRule) else None
        if not (isinstance(rule, MapRule) and found and found.check and rule.is_expected(found)):
            return []
        experiment = self.driver.experiment
        under_way = {experiment.key(settings) for settings in state.unavailable}
        is_new = not {experiment.key(settings) for settings in (found.check, experiment.readable(found.check))} & under_way
        return [Suggestion(found.check, CHECK)] if is_new else []

    def expectation(self, trials: Sequence[Trial]) -> Expectation | None:
        """The share of the map that is expected to be right after some trials, and where to check that.

        None where the goal is no map, where no model knows it, or where fewer than two labels were measured.
        """
        goal = self.goal
        if not goal.labels or len({goal.label_of_trial(t) for t in trials if goal.counts(t)}) < 2:
            return None
        key = repr([(t.number, dict(t.happened), goal.label_of_trial(t)) for t in trials])
        if key not in self._expectations:
            while len(self._expectations) >= KEPT:
                del self._expectations[next(iter(self._expectations))]
            prediction = self.predict(self._places, trials)
            seed = int(self.specification["seed"])
            self._expectations[key] = Expectation.of(goal, trials, self._places, prediction, seed) if prediction.probabilities else None
        return self._expectations[key]

    @cached_property
    def _places(self) -> list[Settings]:
        """The places by which a map is judged: candidates, or points of a Sobol sequence."""
        from frugaltwin import catalog

        experiment = self.driver.experiment
        found = [c for c in experiment.candidates if experiment.counts(c)]
        if not found:
            spread = catalog.make_strategy("sobol", seed=0).suggest(State(self.goal), PLACES)
            found = [experiment.check({**one.settings, **experiment.fidelities}) for one in spread]
        return found[:: -(-len(found) // MOST_PLACES)]

    def _reached(self, trials: list[Trial]) -> str | None:
        """The reason of the stop rule to end the campaign; None where there is none."""
        if isinstance(self.stop_rule, MapRule):
            return self.stop_rule.reason(self.goal, trials, self.expectation)
        return self.stop_rule.reason(self.goal, trials) if self.stop_rule else None

    def _next(self, log: Log) -> Suggestion | None:
        """The suggestion to perform next; None when the campaign has ended, and `stopped_because` says why."""
        trials = log.trials
        self._failures = _failing(trials[self._n_before :])
        self.stopped_because = self._reached(trials) or self._exhausted(trials) or self._failures
        if self.stopped_because or self._stop.is_set():
            return None
        (suggestion,) = self._suggestions(log)
        if isinstance(self.driver, Estimates):
            self.stopped_because = self._exhausted(trials, self.driver.estimate(suggestion.settings))
        if self.stopped_because is None and isinstance(self.driver, CountsSupplies):
            self.stopped_because = self.driver.lacking(trials, suggestion.settings)
        return None if self.stopped_because else suggestion

    def _exhausted(self, trials: Sequence[Trial], price: Amounts = Amounts()) -> str | None:
        return self.budget.exhausted(trials, price) if self.budget else None

    def _checked(self, suggestion: Suggestion) -> Suggestion:
        return replace(suggestion, settings=self.driver.experiment.check(suggestion.settings))

    def _attempt(self, number: int, settings: Settings) -> Trial:
        cost = Amounts()
        if isinstance(self.driver, PerformsOnce):  # under an id that is on disk before anything is performed under it
            begun = self.driver.announce(Attempt(self._begin(), number, self._described()))
            settings = settings if begun is None else self.driver.experiment.check(begun)
        try:
            measurement = self.driver.perform(settings)
            cost = _booked(getattr(measurement, "cost", None))  # whatever it returned, it was performed
            measured = sensible(self.goal, settings, measurement)
            return Trial(number, settings, measured, None, measured.cost, finished_at=_now())
        except Stopped as error:
            return Trial(number, settings, None, plain(str(error)), _booked(error.cost), "stopped", _now())
        except DriverError as error:  # a failed attempt is a result too: it is stored, not hidden
            _log.warning("trial %d of %s failed", number, self.name, exc_info=True)
            return Trial(number, settings, None, plain(str(error)), _booked(error.cost), finished_at=_now())
        except OutOfBounds as error:
            _log.warning("trial %d of %s failed", number, self.name, exc_info=True)
            return Trial(number, settings, None, f"the reading makes no sense: {plain(str(error))}", cost, finished_at=_now())
        except Exception as error:  # a mistake in a driver is shown as what it is, and what was perhaps performed is stored
            if isinstance(error, FrugalTwinError) or isinstance(self.driver, PerformsOnce):  # that goes on with this attempt
                raise
            reason = f"the driver failed by a mistake of its own ({type(error).__name__}: {error})"
            self._keep(Trial(number, settings, None, plain(reason), cost, finished_at=_now()))
            raise

    def _described(self) -> dict[str, Any]:
        """Description of the campaign for the service that performs its trials."""
        stop = self.stop_rule.kept if self.stop_rule else None
        words = {"name": self.name, "goal": self.goal.text, "budget": self.budget.limits if self.budget else None, "stop": stop}
        return words | {k: self.specification[k] for k in ("strategy", "seed")}


class OfflineDriver:
    """Driver of a campaign that is only read: it has an experiment, perhaps a price, and performs nothing."""

    def __init__(self, experiment: Experiment, price: Price | None = None) -> None:
        self.experiment, self._price = experiment, price

    def price(self) -> Price | None:
        return self._price

    def __enter__(self) -> Self:
        raise DriverError("this campaign was opened for reading; go on with it by Campaign.open")

    def perform(self, settings: Settings) -> Measurement:
        raise DriverError("this campaign was opened for reading; go on with it by Campaign.open")

    def stop(self) -> None: ...

    def __exit__(self, *failure: object) -> None: ...


def unconnected(name: str, options: Mapping[str, Any], experiment: Experiment, price: Price | None = None) -> Driver:
    """A driver that is never connected; an offline one, with the price that is known, where its parts are on another machine."""
    from frugaltwin import catalog

    try:
        return catalog.make_driver_of(experiment, name, options)
    except FrugalTwinError:
        _log.info("the driver %s cannot be made here", name, exc_info=True)
        return OfflineDriver(experiment, price)


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    found = {"python": platform.python_version()}
    for package in ("frugaltwin", "numpy", "scipy", "torch", "botorch", "gpytorch"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _listed(settings: Any, experiment: Experiment) -> list[Mapping[str, object]]:
    """Settings as a list: some, one alone, or the rows of a data frame."""
    if isinstance(settings, Mapping):
        return [settings]
    if isinstance(settings, str) or not hasattr(settings, "__iter__"):
        raise OutOfBounds(f"the settings {str(settings)[:40]!r} are no values by name; write {{parameter: value, …}}, or a list of such")
    if callable(to_dict := getattr(settings, "to_dict", None)) and hasattr(settings, "columns"):
        names = {p.name for p in experiment.parameters}
        return [{str(k): v for k, v in row.items() if str(k) in names} for row in to_dict("records")]
    return list(settings)


def sensible(goal: Goal, settings: Settings, measurement: Measurement, needed: Sequence[str] | None = None) -> Measurement:
    """The measurement of settings as `Experiment` checks it, whose score is a number.

    Args:
        needed: The outcomes that may not be left out; all without it.

    Raises:
        OutOfBounds: They are not.
    """
    checked = goal.experiment.check_measurement(measurement, needed)
    if checked.happened:
        checked = replace(checked, happened=goal.experiment.check_happened(settings, checked.happened))
    goal.check({**settings, **checked.happened}, checked.outcomes, checked.cost)
    return checked


def _outside(trial: Trial, experiment: Experiment) -> Iterator[Doubt]:
    """The readings of a trial that are outside of the range of their outcome."""
    outcomes = trial.measurement.outcomes if trial.measurement else {}
    for outcome in experiment.outcomes:
        value, possible = outcomes.get(outcome.name), outcome.possible
        if possible and isinstance(value, float) and not outcome.is_possible(value):
            middle, half = sum(possible) / 2, (possible[1] - possible[0]) / 2
            yield OutOfRange(trial.number, outcome.name, value, middle, half, unit=outcome.unit)


def _booked(cost: object) -> Amounts:
    """A cost as far as it makes sense."""
    try:
        return check_cost(cost)
    except OutOfBounds:
        return Amounts()


def improvements(strategy: Samples, state: State, settings: Sequence[Settings]) -> list[float]:
    """The improvement of the best score that each of n settings is expected to bring, in the goal's unit: at least 0.

    Along each sample path it is what the score there is better than the best one at the settings that were measured.
    Source: Letham et al., Bayesian Anal. 14 (2019) 495, doi:10.1214/18-BA1110 (noisy expected improvement).
    """
    tried = [t.settings for t in state.counted]
    scores = strategy.sample(state, [*tried, *settings], PATHS)["score"]
    losses = scores if state.goal.objectives[0].is_minimized else -scores
    gains = np.maximum(losses[:, : len(tried)].min(axis=1, keepdims=True) - losses[:, len(tried) :], 0.0)
    return [float(gain) for gain in gains.mean(axis=0)]


def _failing(trials: list[Trial]) -> str | None:
    last = [t for t in trials if t.source == "driver" and not t.is_retracted][-FAILURES_IN_A_ROW:]
    if len(last) == FAILURES_IN_A_ROW and all(t.measurement is None for t in last):
        return f"{FAILURES_IN_A_ROW} failed trials in a row, the last one: {last[-1].error}"
    return None


def _beginning(body: Mapping[str, Any]) -> Any:
    """The words of a stored campaign on which its suggestions depend, as they come back from JSON."""
    words = {name: word for name, word in body.items() if name not in ("versions", "plan")}
    if words.get("fingerprint"):
        from frugaltwin.catalog import without_place

        words["driver"] = without_place(words["driver"])
    return json.loads(json.dumps(words))


def _is_same_driver(choice: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Whether a driver is that of a stored campaign: at another address, perhaps, and with files that are the same by what is in them."""
    from frugaltwin.catalog import without_address, without_place

    if without_address(choice) == without_address(stored["driver"]):
        return True
    return bool(stored.get("fingerprint")) and without_place(choice) == without_place(stored["driver"])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _words(spec: CampaignSpec) -> dict[str, Any]:
    from frugaltwin.catalog import resolved_options

    words = spec.model_dump(mode="json", include={"driver", "strategy", "seed"}) | {"goal": spec.goal_text}
    words["earlier"] = {name: {"relation": relation} for name, relation in spec.earlier.items()}
    for kind in ("driver", "strategy"):
        if words[kind]:
            words[kind]["options"] = resolved_options(kind, words[kind]["name"], words[kind]["options"])
    return words


def _agreed(spec: CampaignSpec, stored: Mapping[str, Any], is_begun: bool) -> dict[str, Any]:
    """The stored words, with what was asked for laid over them: nothing may contradict a campaign that has begun, but the rig's address.

    The goal of one that has begun is compared when it is understood.
    """
    named = spec.model_fields_set | ({"goal"} if spec.require else set())
    asked = {field: word for field, word in _words(spec).items() if field in named and word is not None}
    stored = {"earlier": {}, **stored}
    if "earlier" in asked and _relations(asked["earlier"]) == _relations(stored["earlier"]):
        del asked["earlier"]  # with as many trials as at first
    is_same_driver = "driver" not in asked or _is_same_driver(asked["driver"], stored)
    if is_begun:
        for field in asked.keys() & {"driver", "strategy", "seed", "earlier"}:
            if asked[field] != stored[field] and not (field == "driver" and is_same_driver):
                what = "earlier campaigns" if field == "earlier" else field
                raise _contradiction(str(spec.name), what, _shown(stored[field]), _shown(asked[field]))
    elif not is_same_driver:
        stored = _words(spec)  # another lab: its goal and its strategy are others too
    return {field: stored[field] for field in ("driver", "goal", "strategy", "seed", "earlier")} | asked


def _relations(earlier: Mapping[str, Any]) -> dict[str, str]:
    """The relations of earlier campaigns by their names."""
    return {name: words["relation"] for name, words in earlier.items()}


def _earlier(store: Store, campaign: str, words: Mapping[str, Mapping[str, Any]]) -> list[Earlier]:
    """The earlier campaigns that a campaign's words name: their trials of that time, as they stand now."""
    if campaign in words:
        raise InvalidInput(f"campaign {campaign!r} is no earlier campaign of itself; name another one", field="earlier")
    try:
        return [store.earlier(name, word["relation"], word.get("trials")) for name, word in words.items()]
    except UnknownName as error:
        error.field = "earlier"
        raise


def _shown(word: Any) -> str:
    if not isinstance(word, dict):
        return str(word)
    if "options" not in word:
        return ", ".join(f"{name} = {relation}" for name, relation in _relations(word).items()) or "none"
    options = ", ".join(f"{k}={v}" for k, v in word["options"].items())
    return f"{word['name']} ({options})" if options else str(word["name"])


def _contradiction(name: str, field: str, stored: str, asked: str) -> CampaignError:
    text = f"campaign {name!r} was started with {field} {stored}, not {asked}; leave that out to go on with it, or choose another name"
    return CampaignError(text, field="name")


def _new_name(driver: str, store: Store) -> str:
    taken = set(store.names())
    word = driver.rstrip("/").rpartition("/")[2]  # of an address, the rig's name
    return next(name for k in range(1, 10**9) if (name := f"{word}-{k}") not in taken)
