"""Preferences between trials of a campaign."""

from __future__ import annotations

from dataclasses import dataclass

from frugaltwin.client.resources.schema import CONFIG


@dataclass(frozen=True, kw_only=True)
class Preference:
    """Which of two trials a person liked better."""

    __pydantic_config__ = CONFIG

    better: int
    """number of a trial"""
    worse: int
    """number of another"""
    id: int
    """of its event"""
    by: str
    """the person who said so"""
    at: float
    """s since 1970"""
