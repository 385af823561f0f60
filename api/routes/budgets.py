"""Budgets in the bodies of requests."""

from __future__ import annotations

from api.routes.body import Body
from frugaltwin.amounts import PURSE
from frugaltwin.spec import with_amounts

MOST = 1e9
"""The largest amount of any kind, at once."""


@with_amounts(PURSE, float | None, None, ge=0, le=MOST)
class Limits(Body):
    """A budget for each person. A kind that is left out, or null, has no limit."""
