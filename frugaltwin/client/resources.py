"""What a service answers, as the client gives it to its caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from frugaltwin.costs import Cost
from frugaltwin.experiment import Experiment

ENDS = ("succeeded", "failed", "aborted", "unknown")


@dataclass(frozen=True)
class Rig:
    """A rig as the service describes it."""

    name: str
    state: str
    """``open``, ``paused``, ``stopped`` or ``offline``."""
    is_real: bool
    """Hardware; a twin computes instead."""
    is_allowed: bool
    """Whether you may submit to it."""
    experiment: Experiment
    """What it can be asked to do."""
    driver: str = ""
    """Its data sheet: ``frugaltwin catalog DRIVER``."""
    queued: int = 0
    """Experiments that wait for it."""
    eta_s: float = 0.0
    """s of work that waits for it, by the estimates."""


@dataclass(frozen=True)
class Submission:
    """Settings that were submitted to a rig, and what has become of them."""

    id: str
    rig: str
    state: str
    """``queued``, ``leased``, ``running``, or how it ended: ``succeeded``, ``failed``, ``aborted``, ``unknown``."""
    settings: Mapping[str, float | str]
    estimate: Cost
    created_at: float
    """s since 1970."""
    person: str = ""
    """The id of its owner."""
    campaign: str | None = None
    trial: int | None = None
    outcomes: Mapping[str, float | str] | None = None
    raw: Mapping[str, float | str] | None = None
    cost: Cost | None = None
    error: str | None = None
    provenance: Mapping[str, Any] | None = None
    started_at: float | None = None
    finished_at: float | None = None
    position: int | None = None
    """How many go before it, while it is queued."""
    eta_s: float | None = None
    """s until it begins, by the estimates of those before it."""
    waiting_because: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in ENDS


@dataclass(frozen=True)
class CampaignStatus:
    """A campaign as the service describes it."""

    id: str
    name: str
    rig: str
    mode: str
    """``server``, or ``client`` when its trials are submitted from elsewhere."""
    state: str
    """``running``, ``waiting`` (for a person), ``paused`` or ``ended``."""
    goal: str
    n_trials: int
    """The number of the last submitted trial, which may be under way."""
    person: str = ""
    """Whose it is."""
    strategy: Mapping[str, Any] | None = None
    """``name`` and ``options``."""
    seed: int = 0
    budget: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    """What it may use in all: runs, seconds, money (USD), volume (mL); None is no limit."""
    reason: str | None = None
    """Why it is paused or has ended."""
    proposal: Mapping[str, Any] | None = None
    """The suggestion that waits for a person: ``trial`` and ``settings``."""
    best: CampaignTrial | None = None
    spent: Mapping[str, float] | None = None
    """runs, seconds, money (USD) and volume (mL) of its trials."""


@dataclass(frozen=True)
class CampaignTrial:
    """A trial of a campaign."""

    trial: int
    experiment: Submission
    score: float | None = None
    """By the campaign's goal; None where there is no reading, or the goal has no score."""


@dataclass(frozen=True)
class Preference:
    """Which of two trials a person liked better."""

    id: int
    better: int
    worse: int
    by: str
    """The id of the person."""
    at: float
    """s since 1970."""


@dataclass(frozen=True)
class Recommendation:
    """What to use from now on."""

    settings: Mapping[str, float | str] | None
    """None as long as nothing was measured."""
    by: str
    """``model`` or ``best reading``."""
    n_trials: int
    """Trials that it is based on."""


@dataclass(frozen=True)
class Quote:
    """What an experiment would cost."""

    allowed: bool
    estimate: Cost
    position: int
    """How many would go before it."""
    reason: str | None = None
    """Why it would be refused."""


@dataclass(frozen=True)
class Joined:
    """A newcomer."""

    person: str
    token: str = field(repr=False)
    """Shown this once."""


@dataclass(frozen=True)
class Account:
    """A budget, each in runs, seconds (lab time), money (USD) and volume (mL)."""

    left: Mapping[str, float | None]
    """None is no limit."""
    spent: Mapping[str, float]
    reserved: Mapping[str, float]
    """Set aside for what has not ended yet."""


@dataclass(frozen=True)
class Entry:
    """A line of a ledger. What an experiment reserved is what it was settled for and what was refunded."""

    id: int
    kind: str
    """``grant``, ``reserve``, ``settle`` or ``refund``."""
    runs: float
    seconds: float
    """Lab time, s."""
    money: float
    """USD."""
    volume: float
    """mL."""
    at: float
    """s since 1970."""
    experiment: str | None = None


@dataclass(frozen=True)
class Person:
    """Somebody of a class."""

    id: str
    name: str
    """As its owner wrote it: text, never an instruction."""
    role: str
    created_at: float
    """s since 1970."""
    budget: Account


@dataclass(frozen=True)
class Code:
    """A join code."""

    id: str
    note: str
    uses_left: int
    budget: Mapping[str, float | None]
    """What each newcomer may spend; None is no limit."""
    created_at: float
    """s since 1970."""
    expires_at: float | None = None
    revoked_at: float | None = None
    code: str | None = field(default=None, repr=False)
    """Its words, when it was just made."""


@dataclass(frozen=True)
class Token:
    """A token."""

    id: str
    person: str
    note: str
    scopes: Sequence[str]
    created_at: float
    """s since 1970."""
    expires_at: float | None = None
    revoked_at: float | None = None
    token: str | None = field(default=None, repr=False)
    """Its words, when it was just made."""


@dataclass(frozen=True)
class Me:
    """Who you are to the service."""

    person: str
    name: str
    role: str
    """``student``, ``instructor`` or ``observer``."""
    scopes: Sequence[str]
    """What your token may: ``read``, ``run:sim``, ``run:rig`` …"""
    budget: Mapping[str, Mapping[str, float | None]]
    """``left``, ``spent`` and ``reserved``, each in runs, seconds, money (USD) and volume (mL); None is no limit."""
    expires_at: float | None = None
    """s since 1970."""


@dataclass(frozen=True)
class Event:
    """Something that happened to an experiment or a campaign of yours."""

    id: int
    kind: str
    at: float
    """s since 1970."""
    body: Mapping[str, Any]
    rig: str | None = None
    campaign: str | None = None
    experiment: str | None = None
