"""Tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from frugaltwin.client.resources.schema import CONFIG


@dataclass(frozen=True, kw_only=True)
class ListedToken:
    """A token, without its words."""

    __pydantic_config__ = CONFIG

    id: Annotated[str, Field(description="not its words: it can be shown, and revoked by it")]
    person: Annotated[str, Field(description="the id of its owner")]
    note: Annotated[str, Field(description="written by its owner")]
    scopes: Annotated[Sequence[str], Field(description="what it may")]
    rigs: Annotated[Sequence[str], Field(description="those that it may drive, with the scope work")] = ()
    created_at: Annotated[float, Field(description="s since 1970")]
    expires_at: Annotated[float | None, Field(description="s since 1970; nothing is never")] = None
    revoked_at: Annotated[float | None, Field(description="s since 1970; nothing as long as it is good")] = None
    agent: Annotated[bool, Field(description="whether it is an agent's")] = False
    runs: Annotated[float | None, Field(description="its experiments at most; nothing is no limit of its own")] = None


@dataclass(frozen=True, kw_only=True)
class Token(ListedToken):
    """A token, with its words when it was just made."""

    __pydantic_config__ = CONFIG

    token: str | None = field(default=None, repr=False)
    """its words, this once: keep them; nothing when the same request comes again"""
