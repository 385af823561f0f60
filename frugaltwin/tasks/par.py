"""Plays of an instance: by the reference strategy, for par, by random choices, or by anybody else."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.budget import StopRule
from frugaltwin.campaign import Campaign, versions
from frugaltwin.errors import CampaignError
from frugaltwin.spec import Choice
from frugaltwin.store import Store
from frugaltwin.tasks.judge import HandIn, InstanceJudge
from frugaltwin.tasks.score import Found, Par, Played, Plays, Points, points

RANDOM = Choice(name="random")


@dataclass(frozen=True)
class Play:
    """One play: what it handed in, and what that truly is; None where it measured nothing."""

    hand_in: HandIn | None
    found: Found | None


def play(judge: InstanceJudge, strategy: Choice, noise: str, stop: float | None = None, is_sure: bool = True) -> Play:
    """Play an instance once with its whole budget, or until a reading is good enough, and hand in what is recommended.

    Args:
        noise: The name of the noise: another one is another day in the same lab.
        stop: The score of that reading.
        is_sure: Whether it says how good its recipe is, where the task asks for that.
    """
    instance = judge.instance
    driver = instance.twin(noise)
    goal = instance.goal.on(driver.experiment)
    made = catalog.make_strategy(strategy.name, strategy.options, seed=instance.number(f"strategy {noise}") >> 64)
    rule = StopRule(stop) if stop is not None else None
    campaign = Campaign("play", driver, goal, made, Store(":memory:"), instance.task.limits, rule)
    for _ in campaign.run():
        pass
    try:
        one = HandIn.of_campaign(campaign, judge.places, is_sure=is_sure and instance.task.score.expected > 0)
    except CampaignError:
        return Play(None, None)
    return Play(one, judge.judged(one))


def par_of(judge: InstanceJudge, name: str = "par", step: Callable[[], None] = lambda: None) -> Par:
    """Par of an instance.

    Args:
        name: Of the noise; with another one, par is measured anew.
        step: Called after each play.
    """
    return plays_of(judge, name, step).par(judge.instance.task)


def plays_of(judge: InstanceJudge, name: str = "par", step: Callable[[], None] = lambda: None) -> Plays:
    """The plays that par is computed from; arguments as for `par_of`."""

    def played(by_random: bool) -> list[Played]:
        found = []
        for k in range(judge.instance.task.reference.plays):
            found.append(par_play(judge, k, name, by_random=by_random))
            step()
        return found

    return Plays(played(False), played(True))


def kept_par(judge: InstanceJudge, step: Callable[[], None] = lambda: None) -> Par:
    """Par of an instance, played once: it is kept on this machine as long as task, lab and versions stay the same."""
    task = judge.instance.task
    words = json.dumps([task.to_json(), judge.instance.key.hex(), versions()], sort_keys=True)
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "frugaltwin" / "par"
    file = folder / f"{hashlib.sha256(words.encode()).hexdigest()[:32]}.json"
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # one that cannot be read is played again
        return Plays.from_text(file.read_text()).par(task)
    plays = plays_of(judge, step=step)
    with contextlib.suppress(OSError):  # then it is played each time
        folder.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}")
        part.write_text(plays.to_text())
        part.replace(file)
    return plays.par(task)


def par_play(judge: InstanceJudge, number: int, name: str = "par", *, by_random: bool = False) -> Played:
    """One of the plays that par is computed from.

    Args:
        number: Of the play, from 0.
        by_random: By random choices, in place of the reference strategy.
    """
    task = judge.instance.task
    strategy = RANDOM if by_random else task.reference_strategy(judge.instance.goal)
    one = play(judge, strategy, f"{name} {strategy.name} {number}", None if by_random else task.reference.stop)
    return Played(one.found.gap, one.hand_in.spent) if one.hand_in and one.found else Played(math.inf, Amounts())


def score_of(judge: InstanceJudge, par: Par, one: Play) -> Points:
    """The points of a play; 0 where it handed in nothing."""
    task = judge.instance.task
    if one.hand_in is None or one.found is None:
        return Points(0.0, {})
    return points(task, par, one.found, one.hand_in.spent)
