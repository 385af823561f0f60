"""Campaigns on the liquid twin in which some readings are off by ten standard deviations.

    python -m benchmarks.faulty_readings --seeds 20 --first-seed 1000

A standard deviation is 1 % of a reading and 0.003. A fault is in all channels, in the same direction (a bubble, a fingerprint), or with
``--kind one`` in one of them. At the end it is asked for the recommendation, whose true difference counts, and for the doubtful
readings: faults that are named, and good readings that are. Faults among those that determine the law's coefficients count, too.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import dataclasses
import statistics

import numpy as np

from frugaltwin import catalog
from frugaltwin.experiment import Measurement, Trial
from frugaltwin.goals import Goal
from frugaltwin.plugins import Doubts, KnowsTruth, Recommends
from frugaltwin.state import State


def faulty(measurement: Measurement, kind: str, random: np.random.Generator) -> Measurement:
    sign = float(random.choice([-1, 1]))
    names = list(measurement.outcomes)
    hit = names if kind == "all" else [names[int(random.integers(len(names)))]]
    off = {name: float(v) + 10 * sign * (0.01 * float(v) + 0.003) * (name in hit) for name, v in measurement.outcomes.items()}
    return dataclasses.replace(measurement, outcomes=off)


def campaign(seed: int, share: float, runs: int, kind: str, strategy_name: str) -> tuple[float, set[int], set[int]]:
    """True difference of the recommendation, the numbers of the faulty trials, and the numbers of those that are named."""
    random = np.random.default_rng([9, seed])
    strategy = catalog.make_strategy(strategy_name, seed=seed)
    driver = catalog.make_driver("color-mixing", seed=seed)
    assert isinstance(driver, KnowsTruth)
    goal: Goal = catalog.make_goal("match-color:reachable", driver, seed)
    trials: list[Trial] = []
    bad: set[int] = set()
    with driver:
        for number in range(1, runs + 1):
            (found,) = strategy.suggest(State(goal, trials))
            measurement = driver.perform(found.settings)
            if random.random() < share:
                bad.add(number)
                measurement = faulty(measurement, kind, random)
            trials.append(Trial(number, found.settings, measurement))
    state = State(goal, trials)
    assert isinstance(strategy, Recommends)
    assert isinstance(strategy, Doubts)
    recommended = strategy.recommend(state)
    true = Trial(0, recommended, Measurement(driver.truth(recommended)))
    return float(goal.objectives[0].score_of_trial(true) or 0.0), bad, {doubt.number for doubt in strategy.doubts(state)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--share", type=float, default=0.15, help="of the readings are faulty")
    parser.add_argument("--kind", choices=("all", "one"), default="all", help="a fault is in all channels, or in one")
    parser.add_argument("--strategy", default="composite")
    given = parser.parse_args()
    differences, n_bad, n_found, n_good, n_wrong = [], 0, 0, 0, 0
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        difference, bad, named = campaign(seed, given.share, given.runs, given.kind, given.strategy)
        differences.append(difference)
        n_bad, n_found = n_bad + len(bad), n_found + len(bad & named)
        n_good, n_wrong = n_good + given.runs - len(bad), n_wrong + len(named - bad)
        print(f"seed {seed}: {difference:.2f}, faulty {sorted(bad)}, named {sorted(named)}", flush=True)
    share = sum(d <= 0.45 for d in differences)
    print(f"recommended after {given.runs}: ΔE00 {statistics.median(differences):.2f} (median), at most 0.45 in {share} of {given.seeds}")
    print(f"{n_found} of {n_bad} faulty readings named, {n_wrong} of {n_good} good ones")


if __name__ == "__main__":
    main()
