"""Rigs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from frugaltwin.client.resources.experiment_schema import EXPERIMENT, ExperimentAsJson
from frugaltwin.client.resources.price_schema import PRICE, PriceAsJson
from frugaltwin.client.resources.schema import CONFIG, one_of
from frugaltwin.experiment import Experiment
from frugaltwin.prices import Price


@dataclass(frozen=True, kw_only=True)
class Running:
    """An experiment that a rig works on."""

    __pydantic_config__ = CONFIG

    owner: str
    """your own id, or `another user`; an instructor sees whose it is"""
    experiment: str | None = None
    """its id, if it is yours to see"""
    started_at: float | None = None
    """s since 1970"""


@dataclass(frozen=True, kw_only=True)
class RigGoal:
    """A kind of goal that a rig allows."""

    __pydantic_config__ = CONFIG

    goal: str
    """an example, to start a campaign with as it stands; another color, outcome or value makes another goal of this kind"""
    strategies: Sequence[str]
    """those that can work for it; the first is taken where none is named"""


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A rig, as a student may see it."""

    __pydantic_config__ = CONFIG

    name: str
    """by which experiments and campaigns name it"""
    driver: str = ""
    """which lab it is, by its name in the catalog of Frugal Twin"""
    is_real: bool
    """hardware; a twin computes instead"""
    state: Annotated[str, one_of("open", "paused", "stopped", "offline")]
    """open; paused and offline: what is submitted waits; stopped: it takes nothing until the instructor opens it"""
    is_allowed: bool
    """whether you may submit to it; a real rig needs the instructor's approval"""
    experiment: Annotated[Experiment, ExperimentAsJson(), EXPERIMENT]
    """what can be asked of it: send one value for each of `parameters`, in its unit, such that all `constraints` hold"""
    price: Annotated[Price | None, PriceAsJson(), PRICE] = None
    """the price of an experiment, so that you can price hundreds without asking; nothing in a list, and where its driver names none"""
    queued: int = 0
    """experiments that wait for it"""
    eta_s: float = 0.0
    """s of work in its queue, by the estimates"""
    running: Sequence[Running] = ()
    """what it works on now"""
    goals: Sequence[RigGoal] = ()
    """the kinds of goal that it allows; nothing in a list"""
    default_goal: str | None = None
    """the goal of a campaign that names none; nothing in a list, and where a campaign has to name one"""
