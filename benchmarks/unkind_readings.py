"""Campaigns of `bayesian` on readings that its model does not expect: drifting, noisier where they are larger, saturated.

    python -m benchmarks.unkind_readings --seeds 16 --first-seed 3000 --drifts 0 0.1
    python -m benchmarks.unkind_readings --seeds 16 --first-seed 3000 --drifts 0 --relative 0.05

A drift is given as a share of the standard deviation of the function over its space, and is reached at the last reading; its course is
straight, or with ``--course slowing`` that of a lamp that warms up. With ``--noise`` readings have a noise, too, as such a share; with
``--relative`` one in proportion to the reading; with ``--ceiling`` no reading is larger than this number. Told are the median true
regret of the best that was tried and of the recommendation, in how many campaigns a drift is told, and in how many of these the true
one is within 90 %.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import math

import numpy as np

from frugaltwin import catalog
from frugaltwin.bench.functions import FUNCTIONS, FunctionDriver
from frugaltwin.experiment import Measurement, Trial
from frugaltwin.goals import Minimize
from frugaltwin.plugins import Predicts, Recommends
from frugaltwin.state import State


def course(kind: str, t: float) -> float:
    """The share of a drift at time t, from 0 to 1."""
    return t if kind == "straight" else (1 - math.exp(-3 * t)) / (1 - math.exp(-3))


def campaign(seed: int, drift: float, given: argparse.Namespace) -> tuple[float, float, float]:
    """Regret of the best that was tried and of the recommendation, and how far the drift that is seen is off; nan where none is."""
    function, budget = given.function, given.runs
    driver, random = FunctionDriver(function, 0.0, seed, False), np.random.default_rng([11, seed])
    goal, strategy = Minimize(driver.experiment, "f"), catalog.make_strategy("bayesian", {}, seed=seed)
    places = catalog.make_strategy("random", seed=0).suggest(State(goal), 1000)
    size = float(np.std([float(driver.truth(s.settings)["f"]) for s in places]))
    trials: list[Trial] = []
    with driver:
        for number in range(budget):
            (found,) = strategy.suggest(State(goal, trials))
            settings = driver.experiment.check(found.settings)
            true = float(driver.truth(settings)["f"])
            noise = (given.noise * size + given.relative * abs(true)) * float(random.standard_normal())
            read = min(true + size * drift * course(given.course, number / (budget - 1)) + noise, given.ceiling)
            trials.append(Trial(number + 1, settings, Measurement({"f": read})))
    least = FUNCTIONS[function].minimum
    state = State(goal, trials)
    assert isinstance(strategy, Recommends)
    assert isinstance(strategy, Predicts)
    recommended = strategy.recommend(state)
    seen = strategy.predict(state, [recommended]).drifts
    missed = abs(seen[0].change - drift * size) / seen[0].deviation if seen else math.nan
    return min(float(driver.truth(t.settings)["f"]) for t in trials) - least, float(driver.truth(recommended)["f"]) - least, missed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--function", choices=sorted(FUNCTIONS), default="branin")
    parser.add_argument("--drifts", type=float, nargs="+", default=[0.0, 0.1, 0.3])
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--relative", type=float, default=0.0)
    parser.add_argument("--ceiling", type=float, default=math.inf)
    parser.add_argument("--course", choices=("straight", "slowing"), default="straight")
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    for drift in given.drifts:
        found = np.array([campaign(seed, drift, given) for seed in seeds])
        tried, recommended = np.median(found[:, :2], axis=0).tolist()
        seen = found[~np.isnan(found[:, 2]), 2]
        print(
            f"drift {drift:g}: regret tried {tried:.4f}, recommended {recommended:.4f}; drift seen in {len(seen)} of {len(seeds)}, "
            f"right within 90 % in {int((seen < 1.645).sum())}",
            flush=True,
        )


if __name__ == "__main__":
    main()
