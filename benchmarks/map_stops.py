"""The share of maps that end by themselves and are truly as right as their stop rule says.

    python -m benchmarks.map_stops [--right 0.95] [--first 9000] [--seeds 10] [--budget 60] [LAB …]

Each run is a campaign of `phase-map` with true labels, `map 95%` as its stop rule and five random places at first: on a table of this
folder, on another system of a twin for each seed, or on a drawn map of many fields. Printed as each ends: the labels measured, the share
expected and the true one, and whether it stopped; in the end, by lab, how many of the stops held, and the share of steps that were
too sure by more than 3 %.
"""

import argparse
import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # before numpy starts

from collections import defaultdict
from pathlib import Path
from typing import Any

from frugaltwin import catalog
from frugaltwin.bench.problems import Problem
from frugaltwin.budget import Budget, MapRule
from frugaltwin.campaign import Campaign
from frugaltwin.experiment import Measurement, Trial
from frugaltwin.state import State
from frugaltwin.store import Store

DATA = Path(__file__).parent / "data"
TOO_SURE = 0.03  # by which an expectation is confidently wrong


def table(name: str, **options: str) -> dict[str, Any]:
    """The words of a table's driver."""
    return {"driver": {"name": "table", "options": {"path": str(DATA / f"{name}.csv"), "outcomes": "phase", **options}}}


def twin(name: str) -> dict[str, Any]:
    """The words of a twin's driver, another system for each seed."""
    return {"driver": {"name": name}, "per_seed": ["system"]}


LABS = {
    "ternary table": table("phase_ternary_231"),
    "eutectic table": table("phase_eutectic_441"),
    "lens table": table("phase_lens_441"),
    "dome table": table("phase_dome_441", settings="composition,temperature"),
    **{
        name: twin(name)
        for name in ("eutectic", "lens", "binary-solution", "peritectic", "ferroelectric", "ternary-solution", "flory-huggins")
    },
    "fields": {},
}


def replay(lab: str, seed: int, right: float, budget: int) -> tuple[bool, int, float, float, list[bool]]:
    """One campaign: whether it stopped, its labels, the share expected, the true share, and which of its steps were too sure."""
    words = {"fields": seed} if lab == "fields" else LABS[lab]
    problem = Problem({"goal": ["map:phase"], "budget": {"runs": budget}, "start": 5, **words}, ".")
    driver = problem.driver(seed)
    goal = problem.goal(driver, seed)
    judge, strategy = problem.judge(driver, goal), catalog.make_strategy("phase-map", seed=seed)
    campaign = Campaign(f"{lab} {seed}", driver, goal, strategy, Store(":memory:"), Budget(runs=budget), MapRule(right))
    trials: list[Trial] = []
    is_too_sure: list[bool] = []
    expected, true = 0.0, 0.0
    begin = problem.begin(driver, goal, seed)
    rule = MapRule(right)
    while len(trials) < budget:
        if found := campaign.expectation(trials) if len(trials) >= len(begin) else None:
            expected, true = found.right, judge.agreement(problem.model(strategy, goal, seed), State(goal, tuple(trials)))[0]
            is_too_sure.append(expected > true + TOO_SURE)
            if rule.reason(goal, trials, campaign.expectation):
                return True, len(trials), expected, true, is_too_sure
        if len(trials) < len(begin):
            settings = begin[len(trials)]
        elif found and found.check and rule.is_expected(found):
            settings = found.check
        else:
            settings = strategy.suggest(State(goal, tuple(trials)))[0].settings
        truth = judge.truth(settings)
        measured = None if truth is None else Measurement(truth)
        trials.append(Trial(len(trials) + 1, settings, measured, None if measured else "nobody knows"))
    return False, len(trials), expected, true, is_too_sure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--right", type=float, default=0.95)
    parser.add_argument("--first", type=int, default=9000)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int, default=60)
    parser.add_argument("labs", nargs="*", metavar="LAB")
    given = parser.parse_args()
    stops: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    steps: dict[str, list[bool]] = defaultdict(list)
    labs = given.labs or list(LABS)
    for seed in range(given.first, given.first + given.seeds):
        for lab in labs:
            has_stopped, n, expected, true, is_too_sure = replay(lab, seed, given.right, given.budget)
            steps[lab] += is_too_sure
            if has_stopped:
                stops[lab].append((n, true >= given.right))
            word = "stopped" if has_stopped else "went on"
            print(f"{lab:18} seed {seed} {word} at {n:3} labels; expected {100 * expected:5.1f} %, truly {100 * true:5.1f} %", flush=True)
    print(f"\n{'':18} {'runs':>5} {'stops':>6} {'held':>5} {'steps too sure':>15}")
    for lab in [*labs, "all"]:
        some = [one for name in labs if lab in (name, "all") for one in stops[name]]
        sure = [one for name in labs if lab in (name, "all") for one in steps[name]]
        runs = given.seeds * (len(labs) if lab == "all" else 1)
        print(f"{lab:18} {runs:5} {len(some):6} {sum(held for _, held in some):5} {100 * sum(sure) / max(len(sure), 1):13.1f} %")


if __name__ == "__main__":
    main()
