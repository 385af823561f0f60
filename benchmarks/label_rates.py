"""How often the label that a lab infers is the true one, at 300 random places: the rates that docs/twins.md and the data sheets state.

    python -m benchmarks.label_rates [--seeds 8] [LAB …]

Both labs, tidy and teaching, with seeds 1 to 8 each: a seed is that of the lab's errors and of the places, all of which are new samples.
Printed are the least, the mean and the largest share of right labels. 300 places tell a share of 97 % to 1 % (one standard deviation).
`calphad` takes half of the time: all its samples are weighed in a little wrong, so that nothing that pycalphad has found can be used again.
"""

import argparse
import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # before numpy starts

from typing import Any

import numpy as np

from frugaltwin import catalog
from frugaltwin.plugins import KnowsTruths
from frugaltwin.state import State
from simulator.calphad import Calphad

PLACES = 300
LABS: dict[str, dict[str, Any]] = {
    "binary-solution": {},
    "eutectic": {},
    "lens": {},
    "peritectic": {},
    "ferroelectric": {},
    "ternary-solution": {},
    "flory-huggins": {},
    "calphad": {**Calphad.example_options, "steps": 10},
}


def rate(name: str, options: dict[str, Any], seed: int) -> float:
    """Share of right labels at random places."""
    lab = catalog.make_driver(name, {**LABS.get(name, {}), **options}, seed=seed)
    assert isinstance(lab, KnowsTruths)
    goal = catalog.make_goal("map:phase", lab)
    settings = [s.settings for s in catalog.make_strategy("random", seed=seed).suggest(State(goal), PLACES)]
    with lab:
        read = [lab.perform(s).outcomes["phase"] for s in settings]
    return float(np.mean([label == truth["phase"] for label, truth in zip(read, lab.truths(settings), strict=True)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("labs", nargs="*", metavar="LAB")
    given = parser.parse_args()
    seeds = range(1, 1 + given.seeds)
    print(f"share of right labels at {PLACES} random places, seeds {seeds[0]} to {seeds[-1]}: least, mean and largest, %")
    print(f"{'':18}{'tidy lab':^20}{'teaching lab':^20}")
    for name in given.labs or LABS:
        row = f"{name:18}"
        for options in ({}, {"imperfections": "teaching-lab"}):
            found = 100 * np.array([rate(name, options, seed) for seed in seeds])
            row += f"{found.min():6.1f} {found.mean():6.1f} {found.max():6.1f} "
        print(row.rstrip(), flush=True)


if __name__ == "__main__":
    main()
