"""Bodies of requests: what is said is taken as it is, or refused."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """The body of a request, without unknown fields. Nothing is converted: neither true nor "1" is a number, and NaN is none either."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)
