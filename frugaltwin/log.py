"""The log of a campaign beside its trials: what people said about trials and suggestions. Nothing in it is ever changed or removed.

A trial stands in the log as it was performed. A retraction or an amendment is another entry, and `Log.trials` are the trials as they
stand after all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Self, TypeAlias

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Categorical, Correction, Experiment, Measurement, Outcomes, Settings, Trial

Relation: TypeAlias = Literal["same", "sister", "twin"]
"""The relation of an earlier campaign's lab to this one, see `RELATIONS`."""
RELATIONS: Mapping[Relation, str] = {"same": "same lab", "sister": "sister lab", "twin": "twin"}
"""The relations in words. A sister lab measures the same outcomes with other materials; a twin simulates the lab, or is simulated by it."""


@dataclass(frozen=True)
class Preference:
    """A person's judgment that one trial is better than another."""

    better: int
    """The number of a trial."""
    worse: int
    why: str = ""

    kind: ClassVar[str] = "preference"


@dataclass(frozen=True)
class Rejection:
    """A suggestion that a person turned down."""

    settings: Settings
    why: str = ""

    kind: ClassVar[str] = "rejection"


@dataclass(frozen=True)
class Proposal:
    """A suggestion that a person was given, to perform it or to judge it."""

    settings: Settings
    why: str = ""
    """The strategy's reason."""
    by_hand: bool = False
    """Whether the person performs it: then it is under way whatever is learned meanwhile."""

    kind: ClassVar[str] = "proposal"


@dataclass(frozen=True)
class Approval:
    """A person's consent that settings are performed: those of a proposal, or others in its place."""

    settings: Settings
    by: str = ""

    kind: ClassVar[str] = "approval"


@dataclass(frozen=True)
class Retraction:
    """A trial whose measurement does not count any more."""

    number: int
    why: str

    kind: ClassVar[str] = "retraction"


@dataclass(frozen=True)
class Amendment:
    """A trial whose outcomes were put right."""

    number: int
    outcomes: Outcomes
    """All of them, as they should have been."""
    why: str

    kind: ClassVar[str] = "amendment"


Entry: TypeAlias = Preference | Rejection | Proposal | Approval | Retraction | Amendment
ENTRIES: Mapping[str, type[Entry]] = {c.kind: c for c in (Preference, Rejection, Proposal, Approval, Retraction, Amendment)}


def entry_to_json(entry: Entry) -> dict[str, Any]:
    """An entry as JSON values, its ``kind`` first."""
    body = {"kind": entry.kind, **asdict(entry)}
    if not body.get("by_hand", True):  # as it was stored before there was any
        del body["by_hand"]
    return body


def entry_from_json(body: Mapping[str, Any]) -> Entry:
    """The inverse of `entry_to_json`."""
    return ENTRIES[body["kind"]](**{name: value for name, value in body.items() if name != "kind"})


@dataclass(frozen=True)
class Logged:
    """An entry in its place."""

    entry: Entry
    after: int
    """The number of the last trial before it; 0 before the first."""
    at: str = ""
    """UTC, ISO 8601."""


@dataclass(frozen=True)
class Log:
    """The log of a campaign at one moment."""

    performed: Sequence[Trial] = ()
    """The trials as they were performed, in the order of their numbers."""
    entries: Sequence[Logged] = ()
    """In the order in which they were written."""

    @cached_property
    def trials(self) -> list[Trial]:
        """The trials as they stand: amended ones have their new outcomes, retracted ones no measurement."""
        standing = {trial.number: trial for trial in self.performed}
        for logged in self.entries:
            if isinstance(entry := logged.entry, Retraction | Amendment) and (trial := standing.get(entry.number)):
                standing[entry.number] = _corrected(trial, entry)
        return list(standing.values())

    @property
    def preferences(self) -> tuple[Preference, ...]:
        """The preferences between trials whose measurements still count."""
        counting = {t.number for t in self.trials if t.measurement}
        said = [logged.entry for logged in self.entries if isinstance(logged.entry, Preference)]
        return tuple(entry for entry in said if {entry.better, entry.worse} <= counting)

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """The suggestions that were turned down since the last trial."""
        return tuple(x.entry for x in self.entries if isinstance(x.entry, Rejection) and x.after == self.last)

    @property
    def last(self) -> int:
        """The number of the last trial; 0 before the first."""
        return self.performed[-1].number if self.performed else 0

    @property
    def size(self) -> tuple[int, int]:
        """The number of trials and of entries: another one says that there is news."""
        return len(self.performed), len(self.entries)

    def proposals(self, experiment: Experiment, since: int = 0) -> list[Proposal]:
        """The proposals that are under way, oldest first.

        A proposal ends when its number or its settings are told, or when it is approved or rejected. A person who performs something
        similar ends the nearest one, so that proposals do not pile up; where settings are chosen from lists, nothing is similar. A
        correction or a preference ends those made since the last trial that nobody performs by hand, because the next suggestion is made
        from what is known then.

        Args:
            since: Only those that were made after so many trials or more.
        """
        under_way = self.under_way(experiment)
        return [x.entry for x in under_way if isinstance(x.entry, Proposal) and x.after >= since]

    def under_way(self, experiment: Experiment) -> list[Logged]:
        """The same, all of them, each in its place in the log."""
        found: list[Logged] = []
        is_free = not experiment.candidates and any(p.kind == "continuous" for p in experiment.parameters)
        trials = list(self.performed)
        done = set[tuple[float | str, ...]]()
        number = {id(x): k for k, x in enumerate((x for x in self.entries if isinstance(x.entry, Proposal)), start=1)}

        def end(trial: Trial) -> None:  # another reading of settings that were performed before ends nothing else
            if trial.suggestion is not None:
                found[:] = [x for x in found if number[id(x)] != trial.suggestion]
                done.add(experiment.key(trial.settings))
                return
            is_new = (key := experiment.key(trial.settings)) not in done
            _end(found, experiment, trial.settings, is_near_enough=is_free and is_new and trial.source == "told")
            done.add(key)

        for logged in self.entries:
            entry = logged.entry
            while trials and trials[0].number <= logged.after:
                end(trials.pop(0))
            if isinstance(entry, Proposal):
                found.append(logged)
            elif isinstance(entry, Rejection | Approval):
                _end(found, experiment, entry.settings, is_near_enough=isinstance(entry, Approval))
            else:
                found = [x for x in found if x.after != logged.after or (isinstance(x.entry, Proposal) and x.entry.by_hand)]
        for trial in trials:
            end(trial)
        return found

    def suggested(self, number: int) -> Proposal:
        """A proposal by its number, from 1 in the order in which they were made.

        Raises:
            InvalidInput: There is none of that number.
        """
        made = [x.entry for x in self.entries if isinstance(x.entry, Proposal)]
        if not isinstance(number, int) or not 1 <= number <= len(made):
            there = f"they go from 1 to {len(made)}" if made else "nothing was suggested yet"
            raise InvalidInput(f"there is no suggestion {number}: {there}", field="number")
        return made[number - 1]

    @property
    def n_suggested(self) -> int:
        """The number of the last proposal; 0 before the first."""
        return sum(isinstance(x.entry, Proposal) for x in self.entries)

    def number_of(self, logged: Logged) -> int:
        """The number of a proposal of this log."""
        return next(k for k, x in enumerate((x for x in self.entries if isinstance(x.entry, Proposal)), start=1) if x is logged)

    def amendment(self, experiment: Experiment, number: int, outcomes: Mapping[str, object], why: str) -> Amendment:
        """The amendment of some outcomes of a trial; the others stay as they are.

        Raises:
            InvalidInput: There is no such trial, or no outcome is named.
            OutOfBounds: The outcomes are not this experiment's.
        """
        if not outcomes:
            raise InvalidInput(f"say which outcomes of trial {number} were wrong, and what they should be", field="outcomes")
        measurement = self._correctable(number, why).measurement
        known = measurement.outcomes if measurement else None
        return Amendment(number, experiment.check_outcomes({**(known or {}), **outcomes}, known), why)

    def check(self, entry: Entry) -> None:
        """Refuse an entry that makes no sense after those that are there. Settings and outcomes are checked by the caller.

        Raises:
            InvalidInput: It names a trial that does not exist, was retracted or has no reading, or says no reason.
        """
        if isinstance(entry, Retraction | Amendment):
            self._correctable(entry.number, entry.why)
        elif isinstance(entry, Preference):
            if entry.better == entry.worse:
                raise InvalidInput(f"trial {entry.better} cannot be better than itself; name two different trials", field="worse")
            for field, number in (("better", entry.better), ("worse", entry.worse)):
                if self._known(number).measurement is None:
                    raise InvalidInput(f"trial {number} has no reading; compare two that have", field=field)

    def _correctable(self, number: int, why: str) -> Trial:
        if not why.strip():
            raise InvalidInput(f"say why trial {number} is wrong; the reason is kept with it", field="why")
        trial = self._known(number)
        if trial.is_retracted and trial.correction is not None:
            text = f"trial {number} was retracted ({trial.correction.why}), which is final; tell its settings and outcomes again"
            raise InvalidInput(text, field="number")
        return trial

    def _known(self, number: int) -> Trial:
        found = next((t for t in self.trials if t.number == number), None)
        if found is None:
            there = f"they go from 1 to {self.last}" if self.last else "there is none yet"
            raise InvalidInput(f"there is no trial {number}: {there}", field="number")
        return found

    @property
    def renumbered(self) -> Self:
        """The same log with trials from 1 without gaps."""
        new = {trial.number: k for k, trial in enumerate(self.performed, start=1)}
        entries = [_renumbered(logged, new) for logged in self.entries]
        return replace(self, performed=[replace(t, number=new[t.number]) for t in self.performed], entries=entries)


def _corrected(trial: Trial, entry: Retraction | Amendment) -> Trial:
    correction = Correction(entry.why, trial.performed)
    if isinstance(entry, Retraction):
        return replace(trial, measurement=None, correction=correction)
    measured = trial.performed.measurement or Measurement({}, trial.cost)
    return replace(trial, measurement=replace(measured, outcomes=entry.outcomes), error=None, correction=correction)


def _end(found: list[Logged], experiment: Experiment, settings: Settings, is_near_enough: bool) -> None:
    """Take the proposal of these settings away, or else the nearest one."""
    distances = [_distance(experiment, settings, _settings(x)) for x in found]
    if distances and (min(distances) == 0 or is_near_enough):
        del found[distances.index(min(distances))]


def _settings(logged: Logged) -> Settings:
    assert isinstance(logged.entry, Proposal)
    return logged.entry.settings


def _distance(experiment: Experiment, one: Settings, other: Settings) -> float:
    """The squared distance of two settings, each parameter in units of its range; 0 for equal ones only."""
    total = 0.0
    for p in experiment.parameters:
        a, b = one[p.name], other[p.name]
        if isinstance(p, Categorical):
            total += a != b
        else:
            width = p.high - p.low if p.kind == "continuous" else p.values[-1] - p.values[0]
            total += ((float(a) - float(b)) / (width or 1.0)) ** 2
    return total


def _renumbered(logged: Logged, new: Mapping[int, int]) -> Logged:
    entry = logged.entry
    if isinstance(entry, Retraction | Amendment):
        entry = replace(entry, number=new[entry.number])
    elif isinstance(entry, Preference):
        entry = replace(entry, better=new[entry.better], worse=new[entry.worse])
    return replace(logged, entry=entry, after=sum(number <= logged.after for number in new))
