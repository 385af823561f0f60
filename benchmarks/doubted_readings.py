"""Slipped decimals that are found, and sound campaigns in which a reading is doubted.

    python -m benchmarks.doubted_readings --seeds 20 --first-seed 1000

Each campaign has fifteen experiments, chosen by the strategy or, every other one, by `sobol`. It is asked which readings are doubtful after
8, 11 and 15; then one number of one reading is a tenth of what it was, and it is asked again.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import dataclasses
import itertools

import numpy as np

from frugaltwin import catalog
from frugaltwin.errors import DriverError
from frugaltwin.experiment import Measurement, Trial
from frugaltwin.plugins import Doubts
from frugaltwin.state import State

LABS = ("color-mixing", "paint-mixing", "light-mixing")
ASKED = (8, 11, 15)


def campaign(state: State, chosen_by: str, seed: int, lab: str) -> list[Trial]:
    strategy = catalog.make_strategy(chosen_by, seed=seed)
    trials: list[Trial] = []
    with catalog.make_driver(lab, seed=seed) as driver:
        for number in range(1, ASKED[-1] + 1):
            (found,) = strategy.suggest(State(state.goal, trials))
            try:
                trials.append(Trial(number, found.settings, driver.perform(found.settings)))
            except DriverError as error:
                trials.append(Trial(number, found.settings, None, str(error)))
    return trials


def slipped(trial: Trial, random: np.random.Generator) -> Trial:
    assert trial.measurement is not None
    outcomes = dict(trial.measurement.outcomes)
    name = list(outcomes)[int(random.integers(len(outcomes)))]
    return dataclasses.replace(trial, measurement=Measurement({**outcomes, name: float(outcomes[name]) / 10}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--labs", nargs="*", choices=LABS, default=LABS)
    parser.add_argument("--strategies", nargs="*", default=["composite", "bayesian"])
    given = parser.parse_args()
    for lab, name in itertools.product(given.labs, given.strategies):
        n_sound = n_false = n_found = n_others = n = 0
        for seed in range(given.first_seed, given.first_seed + given.seeds):
            driver = catalog.make_driver(lab, seed=seed)
            goal = catalog.make_goal("match-color:reachable", driver, seed)
            strategy = catalog.make_strategy(name, seed=seed)
            assert isinstance(strategy, Doubts)
            trials = campaign(State(goal), (name, "sobol")[seed % 2], seed, lab)
            for count in ASKED:
                n_sound += 1
                n_false += bool(strategy.doubts(State(goal, trials[:count])))
            random = np.random.default_rng(seed)
            k = int(random.integers(len(trials)))
            if trials[k].measurement is None:
                continue
            named = {doubt.number for doubt in strategy.doubts(State(goal, [*trials[:k], slipped(trials[k], random), *trials[k + 1 :]]))}
            n += 1
            n_found += trials[k].number in named
            n_others += bool(named - {trials[k].number})
        found = f"{n_found} of {n} slipped decimals named, in {n_others} campaigns others, too"
        print(f"{lab}, {name}: {found}; {n_false} of {n_sound} sound states doubted", flush=True)


if __name__ == "__main__":
    main()
