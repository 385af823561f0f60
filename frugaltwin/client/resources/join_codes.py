"""Join codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from frugaltwin.client.resources.schema import CONFIG, Left


@dataclass(frozen=True, kw_only=True)
class ListedCode:
    """A join code, without its words."""

    __pydantic_config__ = CONFIG

    id: str
    """not its words: it can be shown, and revoked by it"""
    note: str
    """written by the instructor"""
    scopes: Sequence[str] = ()
    """what newcomers may"""
    uses_left: int
    """people who may still join with it"""
    budget: Left
    """of each newcomer"""
    created_at: float
    """s since 1970"""
    expires_at: float | None = None
    """s since 1970; nothing is never"""
    revoked_at: float | None = None
    """s since 1970; nothing as long as it is good"""


@dataclass(frozen=True, kw_only=True)
class Code(ListedCode):
    """A join code, with its words when it was just made."""

    __pydantic_config__ = CONFIG

    code: str | None = field(default=None, repr=False)
    """its words, this once: write them on the board; nothing when the same request comes again"""
