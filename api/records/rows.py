"""Rows of the tables as frozen dataclasses: one field per column, in the order of `tables`. Columns of JSON are decoded by properties."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from frugaltwin.amounts import PURSE, Amounts

T = TypeVar("T")


def fetched(kind: Callable[..., T], result: Iterable[Iterable[Any]]) -> list[T]:
    """The rows of a result as dataclasses."""
    return [kind(*row) for row in result]


def fetched_one(kind: Callable[..., T], result: Iterable[Iterable[Any]]) -> T | None:
    """The first row of a result; None when it is empty."""
    return next((kind(*row) for row in result), None)


@dataclass(frozen=True)
class PersonRow:
    """A person."""

    id: str
    name: str
    role: str
    created_at: float
    code: str | None
    join_key: str | None
    classroom: str | None
    nickname: str | None


@dataclass(frozen=True)
class TokenRow:
    """A token, by the digest of its words."""

    id: str
    person: str
    digest: str
    note: str
    scopes: str
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    rigs: str | None
    parent: str | None
    is_agent: bool
    runs: float | None


@dataclass(frozen=True)
class CodeRow:
    """A join code, by the digest of its words."""

    id: str
    digest: str
    note: str
    scopes: str
    uses_left: int
    runs: float | None
    rig_runs: float | None
    seconds: float | None
    money: float | None
    volume: float | None
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    classroom: str | None

    @property
    def limits(self) -> dict[str, float | None]:
        """The budget of each newcomer; None is no limit."""
        return {kind.name: getattr(self, kind.name) for kind in PURSE}


@dataclass(frozen=True)
class LedgerRow:
    """A line of the ledger."""

    id: int
    person: str
    experiment: str | None
    kind: str
    runs: float
    rig_runs: float
    seconds: float
    money: float
    volume: float
    at: float


@dataclass(frozen=True)
class RigRow:
    """A rig."""

    name: str
    driver: str
    options_json: str
    is_real: bool
    is_shared: bool
    experiment_json: str
    state: str
    worker: str | None
    seen_at: float | None
    clock: float
    created_at: float
    price_json: str | None
    is_local: bool


@dataclass(frozen=True)
class CampaignRow:
    """A campaign."""

    id: str
    person: str
    name: str
    rig: str
    mode: str
    words_json: str
    experiment_json: str
    state: str
    reason: str | None
    proposal_json: str | None
    n_before: int
    thinker: str | None
    thinker_until: float | None
    created_at: float
    number: int
    agent: str | None = None

    @property
    def words(self) -> dict[str, Any]:
        """Goal, strategy, seed, budget, stop rule, and whether a person approves."""
        found: dict[str, Any] = json.loads(self.words_json)
        return found

    @property
    def shown_words(self) -> dict[str, Any]:
        """The same as people see them: on a task, its goal in place of that of the student's lab."""
        found = self.words
        return found | {"goal": found.pop("shown", None) or found["goal"]}

    @property
    def is_hidden(self) -> bool:
        """True where its goal in full is shown to nobody."""
        return self.words.get("shown") is not None

    @property
    def proposal(self) -> dict[str, Any]:
        """The suggestion that waits for a person (`trial`, `settings`); empty when there is none."""
        found: dict[str, Any] = json.loads(self.proposal_json or "{}")
        return found


@dataclass(frozen=True)
class ClassRow:
    """A class."""

    id: str
    name: str
    secret: str
    created_at: float
    archived_at: float | None


@dataclass(frozen=True)
class TaskRow:
    """A task of a class."""

    rig: str
    classroom: str
    body_json: str
    places_json: str | None
    pilots_json: str
    created_at: float

    @property
    def pilots(self) -> dict[str, float]:
        """Hardness of the pilot labs, by number."""
        found: dict[str, float] = json.loads(self.pilots_json)
        return found


@dataclass(frozen=True)
class LabRow:
    """A student's lab of a task."""

    rig: str
    person: str
    generator: int
    draw: int
    tries_json: str
    goal: str | None
    plays_json: str | None
    closes_at: float | None
    is_exempt: bool

    @property
    def tries(self) -> list[float]:
        """Hardness of the lab, each time that it was drawn."""
        found: list[float] = json.loads(self.tries_json)
        return found


@dataclass(frozen=True)
class HandInRow:
    """A hand-in."""

    id: str
    rig: str
    person: str
    body_json: str
    spent_json: str
    created_at: float
    found_json: str | None
    withdrawn_at: float | None

    @property
    def claim(self) -> dict[str, Any]:
        """The `recipe` with what is `expected` of it, or the `labels` of a map."""
        found: dict[str, Any] = json.loads(self.body_json)
        return found


@dataclass(frozen=True)
class GradeRow:
    """A grade of a hand-in."""

    id: int
    hand_in: str
    points: float
    parts_json: str
    why: str
    at: float

    @property
    def parts(self) -> dict[str, float]:
        """The points by what they are for, and what is told of the truth."""
        found: dict[str, float] = json.loads(self.parts_json)
        return found


SHOWN_TO_ALL = ("rig", "driver", "is_real", "calibration")
"""Words of a provenance that everybody may see whose experiment it is."""


@dataclass(frozen=True)
class ExperimentRow:
    """An experiment."""

    number: int
    id: str
    person: str
    rig: str
    campaign: str | None
    trial: int | None
    settings_json: str
    state: str
    lane: int
    tag: float
    seconds: float
    money: float
    volume: float
    attempt: int
    lease: str | None
    lease_until: float | None
    result_json: str | None
    error: str | None
    provenance_json: str | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    twin: str | None
    twin_number: int | None
    rig_runs: float
    agent: str | None = None

    @property
    def estimate(self) -> Amounts:
        """The price that was reserved."""
        return Amounts(**{kind.name: getattr(self, kind.name) for kind in Amounts.cost_kinds()})

    @property
    def settings(self) -> dict[str, float | str]:
        """By the rig's parameters."""
        found: dict[str, float | str] = json.loads(self.settings_json)
        return found

    @property
    def result(self) -> dict[str, Any]:
        """The `cost`, and `outcomes` and `raw` if it was measured; empty while it is open."""
        found: dict[str, Any] = json.loads(self.result_json) if self.result_json else {}
        return found

    @property
    def provenance(self) -> dict[str, Any] | None:
        """Rig, driver, options, seed, versions, worker: for the instructor alone, since a copy made of them knows a twin's truth."""
        return json.loads(self.provenance_json) if self.provenance_json else None

    def provenance_for(self, is_instructor: bool) -> dict[str, Any] | None:
        """The provenance that an instructor sees, or anybody else."""
        found = self.provenance
        return found if is_instructor or found is None else {word: found[word] for word in SHOWN_TO_ALL if word in found}


@dataclass(frozen=True)
class LeasedRow(ExperimentRow):
    """An experiment that a worker holds."""

    lease: str
    lease_until: float


@dataclass(frozen=True)
class EntryRow:
    """An entry of a campaign's log."""

    id: int
    campaign: str
    after: int
    kind: str
    body_json: str
    by: str
    at: float

    @property
    def body(self) -> Mapping[str, Any]:
        """The entry, as `frugaltwin.log` writes it."""
        found: Mapping[str, Any] = json.loads(self.body_json)
        return found


@dataclass(frozen=True)
class EventRow:
    """An event."""

    id: int
    person: str
    rig: str | None
    campaign: str | None
    experiment: str | None
    kind: str
    body_json: str
    at: float

    @property
    def body(self) -> Mapping[str, Any]:
        """The content, by kind."""
        found: Mapping[str, Any] = json.loads(self.body_json)
        return found


@dataclass(frozen=True)
class AnswerRow:
    """The answer to a request with an idempotency key."""

    person: str
    key: str
    digest: str
    status: int
    body_json: str
    location: str | None
    at: float
