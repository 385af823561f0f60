"""Budgets in the bodies of requests."""

from __future__ import annotations

from pydantic import ConfigDict

from api.routes.body import Body
from frugaltwin.amounts import PURSE
from frugaltwin.spec import with_amounts

MOST = 1e9
"""The largest amount of any kind, at once."""


@with_amounts(PURSE, float | None, None, ge=0, le=MOST)
class Limits(Body):
    """A budget for each person. A kind that is left out, or null, has no limit."""


@with_amounts(PURSE, float, 0.0, ge=-MOST, le=MOST)
class Grant(Body):
    """An addition to a budget; a negative amount is taken from it, as far as it is left."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"runs": 50, "volume": -100.0}]})
