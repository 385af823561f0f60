"""Seconds per suggestion on the liquid twin after n experiments, one thread.

    python -m benchmarks.suggestion_time --only ours

Every optimizer gets the same n random mixtures and is asked once; the median over a few repeats counts. The first call, which imports and
warms up, is left out.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # before numpy starts

import argparse
import statistics
import sys
from time import perf_counter

from benchmarks.peers import PEERS, require
from benchmarks.stock_composite import StockComposite
from frugaltwin import catalog
from frugaltwin.experiment import Trial
from frugaltwin.goals import MatchColor
from frugaltwin.state import State
from simulator.color_mixing import color_mixing

OURS = ("composite", "stock-composite", "bayesian")
SIZES = (5, 10, 25, 50)
BAR = 0.5  # s at n = 25
WALK = 6  # Ax proposes its center and Sobol points before its model


def history(n: int, seed: int) -> tuple[MatchColor, list[Trial]]:
    """Random mixtures, n of them, and a goal."""
    twin = color_mixing(seed=seed)
    goal = MatchColor(twin.experiment, (60.0, 15.0, 25.0))
    with twin:
        drawn = [s.settings for s in catalog.make_strategy("random", seed=seed).suggest(State(goal), n)]
        return goal, [Trial(i + 1, s, twin.perform(s)) for i, s in enumerate(drawn)]


def seconds(name: str, n: int, seed: int) -> float:
    goal, trials = history(n, seed)
    if name in OURS:
        strategy = StockComposite(seed) if name == "stock-composite" else catalog.make_strategy(name, seed=seed)
        begin = perf_counter()
        strategy.suggest(State(goal, trials))
        return perf_counter() - begin
    peer = PEERS[name](3, seed)
    for number, trial in enumerate(trials):
        x = [float(v) for v in list(trial.settings.values())[:3]]
        score = goal.score_of_trial(trial)
        if name == "ax" and number < min(WALK, n):
            peer.tell(peer.ask(), score)
        else:
            peer.attach(x, score)
    begin = perf_counter()
    peer.ask()
    return perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=("all", "ours", "peers"), default="all")
    options = parser.parse_args()
    names = {"all": [*OURS, *PEERS], "ours": list(OURS), "peers": list(PEERS)}[options.only]
    require(names)
    import torch

    torch.set_num_threads(1)
    medians: dict[str, list[float]] = {}
    for name in names:
        seconds(name, 8, 0)
        medians[name] = []
        for n in SIZES:
            medians[name].append(statistics.median(seconds(name, n, seed) for seed in range(1, options.repeats + 1)))
            print(f"{name}, n = {n}: {medians[name][-1]:.3f} s", file=sys.stderr, flush=True)
    print("| s per suggestion | " + " | ".join(f"n = {n}" for n in SIZES) + f" | n = 25, against {names[0]} |")
    print("| --- " * (len(SIZES) + 2) + "|")
    at = SIZES.index(25)
    for name, times in medians.items():
        print(f"| {name} | " + " | ".join(f"{t:.3f}" for t in times) + f" | {times[at] / medians[names[0]][at]:.1f} × |")
    if "composite" in medians:
        verdict = "within" if medians["composite"][at] <= BAR else "above"
        print(f"composite at n = 25: {medians['composite'][at]:.3f} s, {verdict} {BAR} s")


if __name__ == "__main__":
    main()
