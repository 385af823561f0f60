"""Points until 95 % and 99 % of a phase diagram are right, beside nimo's PDC; and seconds per suggestion. One thread.

    python -m benchmarks.phase_maps --only ours

Four synthetic diagrams on a grid. All start from the same five random points, with two phases at least among them, which
count. Places that were measured count as measured, all others as the model says; the straddle reads the dome's signal with noise
0.03 and has nothing but its model, also where it measured. Medians over the seeds.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # before numpy starts

import argparse
import importlib.util
import statistics
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from frugaltwin import catalog
from frugaltwin.experiment import Continuous, Experiment, Measurement, Outcome, Outcomes, Settings, Trial
from frugaltwin.goals import Map
from frugaltwin.plugins import Predicts, Strategy
from frugaltwin.state import State
from simulator.table import Table

DATA = Path(__file__).parent / "data"
DIAGRAMS = {"lens": "phase_lens_441", "eutectic": "phase_eutectic_441", "ternary": "phase_ternary_231", "dome": "phase_dome_441"}
OURS = ("gp-classifier", "straddle", "label-propagation", "random")
PEERS = ("nimo-pdc",)
LIMITS = (0.95, 0.99)
NOISE = 0.03  # of the dome's signal
STARTS = 5
BARS = {
    ("gp-classifier", "lens"): (45, 62),
    ("gp-classifier", "eutectic"): (39, 51),
    ("gp-classifier", "ternary"): (13, 22),
    ("gp-classifier", "dome"): (17, 34),
    ("straddle", "dome"): (11, 17),
}
TITLES = {
    "gp-classifier": "gp-classifier",
    "straddle": "straddle, on the signal",
    "label-propagation": "label-propagation",
    "random": "random, label propagation as model",
    "nimo-pdc": "nimo 2.1.8, PDC",
}
LABELS, CANDIDATES, LONGEST = 150, 1000, 1.0  # the bar of a suggestion, in s

Step = Callable[[Sequence[Trial]], tuple[list[str], Settings]]
"""Function from the trials to the label of every candidate, and the next settings."""


@dataclass(frozen=True)
class Diagram:
    """A goal, and what every candidate truly reads."""

    goal: Map
    truth: tuple[Outcomes, ...]

    @property
    def candidates(self) -> tuple[Settings, ...]:
        return self.goal.experiment.candidates

    def trial(self, k: int, noise: Sequence[float]) -> Trial:
        """Trial of candidate k."""
        read = {name: value + noise[k] if isinstance(value, float) else value for name, value in self.truth[k].items()}
        return Trial(k, self.candidates[k], Measurement(read))


def replayed(name: str, goal: str) -> Diagram:
    """The diagram of a table."""
    driver = Table(path=DATA / f"{DIAGRAMS[name]}.csv", outcomes="phase,signal" if name == "dome" else "phase")
    with driver:
        truth = tuple(driver.perform(c).outcomes for c in driver.experiment.candidates)
    parsed = catalog.make_goal(goal, driver)
    assert isinstance(parsed, Map)
    return Diagram(parsed, truth)


def ours(name: str, goal: Map, seed: int) -> Step:
    """A strategy of the catalog with its own model; a model without choice has the choice made at random."""
    chooser = catalog.make_strategy(name, seed=seed)
    model: Strategy = catalog.make_strategy("label-propagation", seed=seed) if name == "random" else chooser
    assert isinstance(model, Predicts)
    candidates = goal.experiment.candidates

    def step(history: Sequence[Trial]) -> tuple[list[str], Settings]:
        labels = model.predict(State(goal, history), candidates).labels
        (settings,) = [s.settings for s in chooser.suggest(State(goal, history))]
        return labels, settings

    return step


def nimo_pdc(goal: Map) -> Step:
    """Phase diagram construction of NIMO with its defaults: label propagation, least confidence."""
    from nimo.ai_tools.ai_tool_pdc import PDC

    experiment = goal.experiment
    X = np.array([experiment.key(c) for c in experiment.candidates], dtype=float)
    number = {experiment.key(c): k for k, c in enumerate(experiment.candidates)}

    def step(history: Sequence[Trial]) -> tuple[list[str], Settings]:
        done = {number[experiment.key(t.settings)]: str(goal.label_of_trial(t)) for t in history}
        train = sorted(done)
        pdc: Any = PDC(None, None, 1, 1, None, None, False)
        told = np.array([[done[k]] for k in train], dtype=object)
        (chosen,) = pdc.calc_ai(told, X, train, [k for k in range(len(X)) if k not in done])
        return [str(label) for label in pdc.predicted_labels_], experiment.candidates[chosen]

    return step


def stepper(method: str, goal: Map, seed: int) -> Step:
    return nimo_pdc(goal) if method == "nimo-pdc" else ours(method, goal, seed)


def points_until(method: str, diagram: Diagram, seed: int, most: int) -> list[float]:
    """Number of points until every limit is reached; infinite where `most` are not enough."""
    goal, n = diagram.goal, len(diagram.candidates)
    right = [goal.label_of(outcomes) for outcomes in diagram.truth]
    number = {goal.experiment.key(c): k for k, c in enumerate(diagram.candidates)}
    random = np.random.default_rng(seed)
    start = random.choice(n, STARTS, replace=False)
    while len({right[k] for k in start}) < 2:
        start = random.choice(n, STARTS, replace=False)
    noise = (NOISE * random.standard_normal(n)).tolist()
    step = stepper(method, goal, seed)
    history = [diagram.trial(int(k), noise) for k in start]
    found: list[float] = []
    while len(history) <= most and len(found) < len(LIMITS):
        labels, settings = step(history)
        if goal.threshold is None:
            for trial in history:
                labels[trial.number] = right[trial.number]
        share = np.mean([label == true for label, true in zip(labels, right, strict=True)])
        while len(found) < len(LIMITS) and share >= LIMITS[len(found)]:
            found.append(len(history))
        history.append(diagram.trial(number[goal.experiment.key(settings)], noise))
    return [*found, *[float("inf")] * (len(LIMITS) - len(found))]


def seconds(method: str, repeats: int = 5) -> float:
    """A suggestion alone, with four labels, after LABELS measurements on CANDIDATES candidates; the median."""
    times = []
    for seed in range(repeats + 1):
        X = np.random.default_rng(seed).random((CANDIDATES, 2))
        height = X[:, 1] - 0.5 - 0.2 * np.sin(5 * X[:, 0])
        kind = 2 * (height > 0) + (X[:, 0] + 0.3 * X[:, 1] > 0.6)
        experiment = Experiment(
            "candidates",
            (Continuous("x", 0.0, 1.0), Continuous("y", 0.0, 1.0)),
            (Outcome("phase", labels=("a", "b", "c", "d")), Outcome("signal")),
            candidates=tuple({"x": float(x), "y": float(y)} for x, y in X),
        )
        truth: tuple[Outcomes, ...] = tuple({"phase": "abcd"[k], "signal": float(h)} for k, h in zip(kind, height, strict=True))
        goal = Map(experiment, "signal", 0.0) if method == "straddle" else Map(experiment, "phase")
        diagram = Diagram(goal, truth)
        history = [diagram.trial(k, [0.0] * CANDIDATES) for k in range(LABELS)]
        if method == "nimo-pdc":
            step = nimo_pdc(goal)
            begin = perf_counter()
            step(history)
        else:
            strategy = catalog.make_strategy(method, seed=seed)
            begin = perf_counter()
            [s.settings for s in strategy.suggest(State(goal, history))]
        times.append(perf_counter() - begin)
    return statistics.median(times[1:])  # the first one warms up


def shown(points: float, most: int) -> str:
    return f"{points:g}" if points < float("inf") else f"> {most}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--most", type=int, default=100, help="points after which a run is given up")
    parser.add_argument("--only", default="all", help=f"all, ours, peers, or names: {', '.join((*OURS, *PEERS))}")
    options = parser.parse_args()
    groups = {"all": [*OURS, *PEERS], "ours": list(OURS), "peers": list(PEERS)}
    methods = groups.get(options.only) or options.only.split(",")
    if unknown := [m for m in methods if m not in groups["all"]]:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(groups['all'])}")
    if "nimo-pdc" in methods and importlib.util.find_spec("nimo") is None:
        sys.exit("nimo not installed: pip install -e '.[peers]', or run with --only ours")
    warnings.filterwarnings("ignore")
    import torch

    torch.set_num_threads(1)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    medians: dict[tuple[str, str], list[float]] = {}
    for method in methods:
        for name in ("dome",) if method == "straddle" else DIAGRAMS:
            diagram = replayed(name, "map:signal:0" if method == "straddle" else "map:phase")
            runs = [points_until(method, diagram, seed, options.most) for seed in seeds]
            medians[method, name] = [statistics.median(counts) for counts in zip(*runs, strict=True)]
            print(f"{method}, {name}: {runs}", file=sys.stderr, flush=True)
    first, last = seeds[0], seeds[-1]
    print(f"Points until {' / '.join(f'{limit:.0%}' for limit in LIMITS)} of the map are right, medians of seeds {first} to {last}")
    print("| | " + " | ".join(DIAGRAMS) + f" | s per suggestion, {LABELS} labels, {CANDIDATES} candidates |")
    print("| --- " * (len(DIAGRAMS) + 2) + "|")
    times = {method: seconds(method) for method in methods}
    for method in methods:
        cells = [" / ".join(shown(p, options.most) for p in medians.get((method, name), [])) or "–" for name in DIAGRAMS]
        print(f"| {TITLES[method]} | " + " | ".join(cells) + f" | {times[method]:.3f} |")
    for (method, name), bars in BARS.items():
        if (method, name) in medians:
            got = medians[method, name]
            verdict = "within" if all(g <= b for g, b in zip(got, bars, strict=True)) else "above"
            print(f"{method}, {name}: {' / '.join(shown(g, options.most) for g in got)}, {verdict} {bars[0]} / {bars[1]}")
    for method in methods:
        if method not in PEERS:
            print(f"{method}: {times[method]:.3f} s, {'within' if times[method] <= LONGEST else 'above'} {LONGEST:g} s")


if __name__ == "__main__":
    main()
