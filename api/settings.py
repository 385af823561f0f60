"""Settings of a service, shared by its command line and its parts. Importing it costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from frugaltwin.amounts import PURSE, RIG_RUNS

USES = 1000
"""People who may join with one join code."""
THINKERS = 2
TRIALS = 500
"""Trials of a campaign that is thought about: with `composite` a question about 500 takes 13 s of a core and 0.6 GB
(`benchmarks.service_thinking`), and more with every trial; and the class waits for that core."""
NICE = 10
KEEP_DAYS = 90
"""Days that events and answers to requests with a key are kept: a term, so that who follows a course misses nothing of it, and the tables
do not grow for years. What the events told of is kept for ever, in tables of its own."""


@dataclass(frozen=True)
class Settings:
    """The settings of a running service."""

    url: str = "sqlite:///frugaltwin-service.db"
    """The database."""
    requests_per_second: float = 50.0
    """Requests of one token, for long."""
    burst: float = 200.0
    """Requests of one token, at once."""
    poll: float = 0.5
    """s between two queries for what other processes have written."""
    heartbeat: float = 15.0
    """s between two signs of life on a stream of events on which nothing happens."""
    shows_names: bool = False
    """Whether observers are told the names of people, for a screen in the room."""
    thinkers: int = THINKERS
    """Processes at most that choose what campaigns try next."""
    nice: int = 0
    """Of these processes: from 1 on, requests and rigs go before thinking where there are fewer cores than work."""
    keep_days: float = KEEP_DAYS
    """Days that events and answers to requests with a key are kept."""
    most_trials: int = TRIALS
    """Trials at most of a campaign, with those of the earlier ones that it learns from, that is thought about."""


@dataclass(frozen=True)
class CodeTerms:
    """The terms of a join code."""

    uses: int = USES
    limits: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    """The budget of each newcomer; a kind that is not named has no limit."""

    @property
    def text(self) -> str:
        """The terms in words."""
        limited = {kind: limit for kind in PURSE if (limit := self.limits.get(kind.name)) is not None}
        names = {"runs": "runs on twins", "rig_runs": "runs on real rigs"} if RIG_RUNS in limited else {}
        said = [f"{limit:g} {kind.unit or names.get(kind.name, kind.name)}" for kind, limit in limited.items()]
        is_all = limited.keys() | {RIG_RUNS} == set(PURSE)
        what = ", ".join(said) + ("" if is_all else "; nothing else is limited") if said else "without limit"
        return f"{self.uses} people may join with it; each may spend {what}."
