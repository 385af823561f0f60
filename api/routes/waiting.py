"""Requests that wait until something has happened: ``?wait=20``, or the header ``Prefer: wait=20``."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Header, Query
from sqlalchemy import Connection

from api.errors import TooMany
from api.records.people import Caller
from api.service import Service

LONGEST_WAIT = 60


def seconds_to_wait(prefer: str | None) -> float:
    """The seconds of a header ``Prefer: wait=20``; other preferences are passed over (RFC 7240)."""
    match = re.search(r"(?:^|[,;\s])wait\s*=\s*(\d{1,6})\b", prefer or "")
    return min(float(match[1]), LONGEST_WAIT) if match else 0.0


async def _seconds(
    wait: Annotated[int | None, Query(ge=0, le=LONGEST_WAIT, description="s to wait for the end at most; the answer comes as soon")] = None,
    prefer: Annotated[str | None, Header(max_length=200, description="`wait=20` does the same; more than 60 is 60")] = None,
) -> float:
    return seconds_to_wait(prefer) if wait is None else wait


Wait = Annotated[float, Depends(_seconds)]
"""s; 0 is not at all."""


async def until(service: Service, caller: Caller, what: str, seconds: float, is_over: Callable[[Connection], bool]) -> bool:
    """Whether something is over, as soon as it is or when the time is up; at once if too many requests of this person wait already.

    Args:
        what: The id whose events may end it.
        is_over: A question to the database.
    """
    with contextlib.suppress(TimeoutError, TooMany), service.rate_limit.waiting(caller):
        async with asyncio.timeout(seconds), service.streams.watching(what) as changed:
            while not service.is_leaving:
                changed.clear()
                if await service.database.read(is_over):
                    return True
                await changed.wait()
    return False
