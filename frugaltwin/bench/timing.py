"""Seconds per suggestion: measured apart from quality, in one process with one thread, and only where nothing else takes its core."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from time import perf_counter, process_time
from typing import Any

import numpy as np

from frugaltwin import catalog
from frugaltwin.bench.problems import Problem
from frugaltwin.errors import CampaignError, DriverError
from frugaltwin.experiment import Trial
from frugaltwin.state import State

SIZES = (5, 10, 25, 50, 150)
"""The numbers of trials after which a suggestion is timed."""
REPEATS = 5
"""Histories of each size, of which the median counts."""
BUSY = 1.1
"""A process that waits for its core takes so many times its own time, or more."""

Seconds = Mapping[str, Mapping[str, Sequence[float]]]
"""Seconds per suggestion by problem and strategy, one for each size."""


def seconds(problems: Mapping[str, Mapping[str, Any]], strategies: Mapping[str, Mapping[str, Any]], folder: str) -> Seconds:
    """The median seconds per suggestion after each number of random trials; each strategy gets the same ones.

    Args:
        problems: The words of each problem.
        strategies: The words of each strategy.
        folder: That of the plan.

    Raises:
        CampaignError: Other processes took the core meanwhile, so that the figures mean nothing.
    """
    found: dict[str, dict[str, list[float]]] = {}
    wall, own = perf_counter(), process_time()
    for problem, words in problems.items():
        found[problem] = {}
        for name, strategy in strategies.items():
            _once(Problem(words, folder), strategy, SIZES[0], 0)  # imports and warms up
            found[problem][name] = [
                statistics.median(_once(Problem(words, folder), strategy, n, seed) for seed in range(1, REPEATS + 1)) for n in SIZES
            ]
    check_idle(perf_counter() - wall, process_time() - own)
    return found


def check_idle(wall: float, own: float) -> None:
    """Refuse figures of a process that took so many seconds, of which so many were its own.

    Raises:
        CampaignError: It had to wait for its core.
    """
    if wall > BUSY * own:
        text = f"the machine was busy: the suggestions took {wall / own:.1f} times their own time, so nothing is kept"
        raise CampaignError(f"{text}; time them when nothing else runs")


def _once(problem: Problem, strategy: Mapping[str, Any], n: int, seed: int) -> float:
    """Seconds of one suggestion after n random trials."""
    driver = problem.driver(seed)
    goal = problem.goal(driver, seed)
    count = min(n, len(driver.experiment.candidates) - 1) if driver.experiment.candidates else n
    drawn = [s.settings for s in catalog.make_strategy("random", seed=seed).suggest(State(goal), count)]
    trials = []
    with driver:
        for number, settings in enumerate(drawn, start=1):
            try:
                trials.append(Trial(number, settings, driver.perform(driver.experiment.check(settings))))
            except DriverError as error:
                trials.append(Trial(number, settings, None, str(error)))
    chosen = strategy["strategy"]
    made = catalog.make_strategy(chosen["name"], chosen["options"], seed=int(np.random.SeedSequence(seed).generate_state(1)[0]))
    state, begin = State(goal, trials), perf_counter()
    made.suggest(state)
    return perf_counter() - begin
