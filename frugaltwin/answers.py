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
    """Submitted trials; the last may be under way."""
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
