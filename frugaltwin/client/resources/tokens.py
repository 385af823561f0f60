"""Tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from frugaltwin.client.resources.schema import CONFIG


@dataclass(frozen=True, kw_only=True)
class ListedToken:
    """A token, without its words."""

    __pydantic_config__ = CONFIG

    id: str
    """not its words: it can be shown, and revoked by it"""
    person: str
    """the id of its owner"""
    note: str
    """written by its owner"""
    scopes: Sequence[str]
    """what it may"""
    created_at: float
    """s since 1970"""
    expires_at: float | None = None
    """s since 1970; nothing is never"""
    revoked_at: float | None = None
    """s since 1970; nothing as long as it is good"""


@dataclass(frozen=True, kw_only=True)
class Token(ListedToken):
    """A token, with its words when it was just made."""

    __pydantic_config__ = CONFIG

    token: str | None = field(default=None, repr=False)
    """its words, this once: keep them; nothing when the same request comes again"""
