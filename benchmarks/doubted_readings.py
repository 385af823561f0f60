"""Slipped decimals that are found, and sound campaigns in which a reading is doubted.

    python -m benchmarks.doubted_readings --seeds 20 --first-seed 1000

Each campaign has fifteen experiments, chosen by the strategy or, every other one, by `sobol`. It is asked which readings are doubtful after
8, 11 and 15; then one number of one reading is a tenth of what it was, and it is asked again.

What `frugaltwin tell` asks about is counted beside: each reading from the sixth on, as it was read, and with each of its numbers a
tenth of it and ten times it (a number outside of the physical limits is refused, and counts as asked about). At last such a reading
is stored and taken back: the recommendation is compared with the one without it.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import dataclasses
import itertools

import numpy as np

from frugaltwin import catalog
from frugaltwin.errors import DriverError, OutOfBounds
from frugaltwin.experiment import Measurement, Trial
from frugaltwin.goals import Goal
from frugaltwin.log import Log, Logged, Retraction
from frugaltwin.plugins import Doubts, Questions, Recommends
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


def asked(strategy: Questions, goal: Goal, trials: list[Trial]) -> tuple[list[bool], list[bool]]:
    """Whether a person is asked about each reading from the sixth on, as it was read and with slips."""
    sound, slips = [], []
    for new in trials[5:]:
        if new.measurement is None:
            continue
        state = State(goal, trials[: new.number - 1])
        sound.append(bool(strategy.surprises(state, new)))
        for (name, value), factor in itertools.product(new.measurement.outcomes.items(), (0.1, 10.0)):
            outcomes = {**new.measurement.outcomes, name: factor * float(value)}
            try:
                checked = goal.experiment.check_outcomes(outcomes)
            except OutOfBounds:
                slips.append(True)
                continue
            slips.append(bool(strategy.surprises(state, dataclasses.replace(new, measurement=Measurement(checked)))))
    return sound, slips


def is_undone(strategy: Recommends, goal: Goal, trials: list[Trial], bad: Trial) -> bool:
    """Whether a trial that is stored last and taken back leaves the recommendation as it was."""
    last = dataclasses.replace(bad, number=len(trials) + 1)
    log = Log([*trials, last], [Logged(Retraction(last.number, "a slip"), last.number, "")])
    return strategy.recommend(State(goal, log.trials)) == strategy.recommend(State(goal, trials))


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
        n_sound = n_false = n_found = n_others = n = n_undone = 0
        sound: list[bool] = []
        slips: list[bool] = []
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
            if isinstance(strategy, Questions):
                more = asked(strategy, goal, trials)
                sound, slips = sound + more[0], slips + more[1]
            assert isinstance(strategy, Recommends)
            n_undone += is_undone(strategy, goal, trials, slipped(trials[k], random))
            named = {doubt.number for doubt in strategy.doubts(State(goal, [*trials[:k], slipped(trials[k], random), *trials[k + 1 :]]))}
            n += 1
            n_found += trials[k].number in named
            n_others += bool(named - {trials[k].number})
        found = f"{n_found} of {n} slipped decimals named, in {n_others} campaigns others, too"
        print(f"{lab}, {name}: {found}; {n_false} of {n_sound} sound states doubted", flush=True)
        if slips:
            found = f"{sum(slips) / len(slips):.1%} of {len(slips)} slips"
            print(f"  told: {found} and {sum(sound) / len(sound):.1%} of {len(sound)} right readings asked about")
        print(f"  taken back, the recommendation is as without it in {n_undone} of {n}", flush=True)


if __name__ == "__main__":
    main()
