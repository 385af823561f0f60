"""Coverage of the intervals that `bayesian` predicts: how many of its next readings lie in those of 90 %.

    python -m benchmarks.coverage --function hartmann6 --seeds 20

Campaigns of 25 trials on a function. From the seventh trial on, the next reading is predicted before it is taken, at the settings that the
strategy itself chose: the hardest ones, for it goes where it believes too much. Coverage at random settings stands beside it.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # before numpy starts

import argparse

import numpy as np

from frugaltwin import catalog
from frugaltwin.bench.functions import FUNCTIONS, FunctionDriver
from frugaltwin.experiment import Settings, Trial
from frugaltwin.goals import Minimize
from frugaltwin.plugins import Predicts
from frugaltwin.state import State

RUNS = 25
FIRST = 7
HALF = 1.645  # standard deviations: half an interval of 90 %


def covered(function: str, noise: float, seed: int) -> tuple[list[bool], list[bool]]:
    """Whether each next reading, and a reading at random settings, was in its interval, in one campaign."""
    driver = FunctionDriver(function, noise, seed)
    goal, strategy = Minimize(driver.experiment, "f"), catalog.make_strategy("bayesian", seed=seed)
    assert isinstance(strategy, Predicts)
    random = np.random.default_rng([seed, 1])
    trials: list[Trial] = []
    chosen, anywhere = [], []

    def is_inside(settings: Settings, reading: float) -> bool:
        expected = strategy.predict(State(goal, trials), [settings])
        return bool(abs(reading - expected.means["score"][0]) <= HALF * expected.reading_deviations["score"][0])

    with driver:
        for number in range(1, RUNS + 1):
            settings = strategy.suggest(State(goal, trials))[0].settings
            measurement = driver.perform(settings)
            if number >= FIRST:
                chosen.append(is_inside(settings, float(measurement.outcomes["f"])))
                (other,) = catalog.make_strategy("random", seed=int(random.integers(1 << 31))).suggest(State(goal))
                reading = float(driver.truth(other.settings)["f"]) + noise * float(random.standard_normal())
                anywhere.append(is_inside(other.settings, reading))
            trials.append(Trial(number, settings, measurement))
    return chosen, anywhere


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--function", choices=list(FUNCTIONS), default="hartmann6")
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1000)
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    chosen, anywhere = (np.concatenate(part) for part in zip(*(covered(options.function, options.noise, s) for s in seeds), strict=True))
    print(f"{options.function}, noise {options.noise:g}, {options.seeds} seeds: {len(chosen)} intervals of 90 %")
    print(f"{chosen.mean():.1%} of the next readings, {anywhere.mean():.1%} of readings at random settings lie in theirs")


if __name__ == "__main__":
    main()
