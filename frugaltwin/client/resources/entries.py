"""Entries of a campaign's log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from frugaltwin.client.resources.schema import CONFIG, Values, one_of


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """Something that was proposed in a campaign, or that a person said about its trials and proposals."""

    __pydantic_config__ = CONFIG

    id: int
    """in the order in which entries were written"""
    kind: Annotated[str, one_of("preference", "rejection", "proposal", "approval", "retraction", "amendment")]
    """what it is; the fields below that do not belong to it are nothing"""
    after: int
    """number of the last trial before it, which may have been under way; 0 before the first"""
    by: str
    """the person who said so; of a proposal, the campaign's owner"""
    at: float
    """s since 1970"""
    why: str = ""
    """the reason"""
    better: int | None = None
    """of a preference, the number of the better trial"""
    worse: int | None = None
    """of a preference, the number of the other one"""
    number: int | None = None
    """of a retraction or an amendment, the number of the trial that is wrong"""
    settings: Values | None = None
    """what was proposed, turned down or approved"""
    outcomes: Values | None = None
    """of an amendment, all outcomes of the trial as they should have been"""
