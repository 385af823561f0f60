"""Join codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from frugaltwin.client.resources.schema import CONFIG, Left


@dataclass(frozen=True, kw_only=True)
class ListedCode:
    """A join code, without its words."""

    __pydantic_config__ = CONFIG

    id: Annotated[str, Field(description="not its words: it can be shown, and revoked by it")]
    note: Annotated[str, Field(description="written by the instructor")]
    scopes: Annotated[Sequence[str], Field(description="what newcomers may")] = ()
    uses_left: Annotated[int, Field(description="people who may still join with it")]
    budget: Annotated[Left, Field(description="of each newcomer")]
    created_at: Annotated[float, Field(description="s since 1970")]
    expires_at: Annotated[float | None, Field(description="s since 1970; nothing is never")] = None
    revoked_at: Annotated[float | None, Field(description="s since 1970; nothing as long as it is good")] = None


@dataclass(frozen=True, kw_only=True)
class Code(ListedCode):
    """A join code, with its words when it was just made."""

    __pydantic_config__ = CONFIG

    code: str | None = field(default=None, repr=False)
    """its words, this once: write them on the board; nothing when the same request comes again"""
