"""Experiments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from frugaltwin.client.resources.schema import CONFIG, Price, Values, one_of

ENDS = ("succeeded", "failed", "aborted", "unknown")


@dataclass(frozen=True, kw_only=True)
class Submission:
    """An experiment as its owner sees it: settings that were submitted to a rig, and what has become of them."""

    __pydantic_config__ = CONFIG

    id: str
    """such as x_0a1b2c; its address is /v1/experiments/ and this"""
    person: str = ""
    """the id of its owner"""
    rig: str
    """the rig's name"""
    campaign: str | None = None
    """the id of the campaign that it is a trial of"""
    trial: int | None = None
    """its number within the campaign"""
    state: Annotated[str, one_of("queued", "running", *ENDS)]
    """queued and running go on; succeeded, failed, aborted and unknown are ends.
    unknown: a real rig's worker was lost, so it may or may not have run; nobody runs it again but you"""
    settings: Values
    """by the rig's parameters, in their units"""
    estimate: Price
    """set aside of your budget until it ends; besides, 1 run"""
    outcomes: Values | None = None
    """by the rig's outcomes, in their units"""
    score: float | None = None
    """of a trial that has ended and counts, by its campaign's goal"""
    raw: Mapping[str, int | float | str] | None = None
    """the instrument's own readings"""
    happened: Values | None = None
    """settings that happened, if reported"""
    cost: Price | None = None
    """what it took; your budget is charged this, at most the estimate"""
    error: str | None = None
    """why it failed or was aborted"""
    provenance: Mapping[str, Any] | None = None
    """rig, driver, calibration"""
    created_at: float
    """s since 1970"""
    started_at: float | None = None
    """s since 1970"""
    finished_at: float | None = None
    """s since 1970"""
    position: int | None = None
    """how many go before it, while it is queued"""
    eta_s: float | None = None
    """s until it begins, as estimated; not of a twin or of a closed rig"""
    waiting_because: str | None = None
    """in words, while it is queued"""

    @property
    def is_done(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in ENDS


@dataclass(frozen=True, kw_only=True)
class Quote:
    """The price of an experiment that was not submitted."""

    __pydantic_config__ = CONFIG

    allowed: bool
    """whether your budget allows it; all else is an error here too"""
    reason: str | None = None
    """why it would be refused"""
    estimate: Price
    """what it would take; besides, 1 run"""
    position: int
    """how many would go before it"""
