"""Events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from frugaltwin.client.resources.schema import CONFIG


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to an experiment, a campaign or a rig."""

    __pydantic_config__ = CONFIG

    id: int
    """without gaps, in the order in which things happened, over everybody's events"""
    kind: str
    """experiment., campaign. or rig. and the state that it came to, such as experiment.succeeded, campaign.ended or
    rig.stopped; campaign.preferred, campaign.retracted and the like for what people say; token.revoked, person.removed; events.removed in
    place of those that are too old"""
    at: float
    """s since 1970"""
    rig: str | None = None
    """the name of the rig that it happened on"""
    campaign: str | None = None
    """the id of its campaign"""
    experiment: str | None = None
    """the id of its experiment"""
    body: Mapping[str, Any]
    """what the kind tells: `state`; of an experiment `settings`, and `outcomes` and `cost` at its end"""
