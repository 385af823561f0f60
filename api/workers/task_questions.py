"""Questions about labs of tasks for the processes that think: a play for par, the judgment of a hand-in, the places of a map.

`number` is the key of a lab. What these answer is for nobody but the service until a task's rule says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from api.workers.strategy_processes import Question, campaign_of

if TYPE_CHECKING:
    from frugaltwin.experiment import Settings
    from frugaltwin.tasks.judge import InstanceJudge
    from frugaltwin.tasks.score import Played


@lru_cache(maxsize=4)
def _judge(body_json: str, number: int) -> InstanceJudge:
    from frugaltwin.tasks.instance import Instance
    from frugaltwin.tasks.judge import InstanceJudge
    from frugaltwin.tasks.task import Task

    return InstanceJudge(Instance.of_key(Task.from_json(body_json), number.to_bytes(32, "big")))


def play(body_json: str, number: int, which: int, by_random: bool) -> Played:
    """One of the plays of a lab that par is computed from."""
    from frugaltwin.tasks.par import par_play

    return par_play(_judge(body_json, number), which, by_random=by_random)


def goal(body_json: str, number: int) -> str:
    """The goal in a lab, in full."""
    return _judge(body_json, number).instance.goal.text


def places(body_json: str) -> list[Settings]:
    """The places at which a map is asked about, the same for all; none where a recipe is asked for.

    Raises:
        FrugalTwinError: Nobody can make or judge it, or a class would see what is hidden.
    """
    from frugaltwin.tasks.task import Task

    body = Task.from_json(body_json)
    body.check()
    body.check_hidden()
    return _judge(body_json, 0).places


def judged(body_json: str, number: int, claim: Mapping[str, Any]) -> dict[str, Any]:
    """The truth about a hand-in: gap, parts, and the error of what was expected."""
    from frugaltwin.tasks.judge import Expected, HandIn

    expected = Expected(**claim["expected"]) if claim.get("expected") else None
    found = _judge(body_json, number).judged(HandIn(claim.get("recipe"), claim.get("labels"), expected))
    return {"gap": found.gap if math.isfinite(found.gap) else None, "parts": dict(found.parts), "error": found.error}


def recommended(question: Question, at: Sequence[Settings], is_sure: bool) -> dict[str, Any]:
    """The hand-in that a campaign recommends.

    Args:
        at: The places of a map.
        is_sure: Whether to say how good the recipe is expected to be.

    Raises:
        CampaignError: It has measured nothing yet.
    """
    from frugaltwin.tasks.judge import HandIn

    found = HandIn.of_campaign(campaign_of(question), at, is_sure)
    if found.labels is not None:
        return {"labels": list(found.labels)}
    return {"recipe": dict(found.recipe or {})} | ({"expected": vars(found.expected)} if found.expected else {})
