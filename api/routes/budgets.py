"""Budgets in the bodies of requests."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

MOST = 1e9
"""The largest amount of any kind, at once."""


class Limits(BaseModel):
    """A budget for each person. A kind that is left out, or null, has no limit."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    runs: float | None = Field(default=None, ge=0, le=MOST, description="experiments")
    seconds: float | None = Field(default=None, ge=0, le=MOST, description="lab time, s")
    money: float | None = Field(default=None, ge=0, le=MOST, description="USD")
    volume: float | None = Field(default=None, ge=0, le=MOST, description="mL of liquid")
