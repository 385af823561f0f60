"""Number of experiments that each optimizer needs to match a color on the liquid twin, with the imperfections of a rig.

    python -m benchmarks.sample_efficiency --only ours
    python -m benchmarks.sample_efficiency --only composite,random --systems 64

With ``--systems`` campaign k is in lab k of the twin, with its own dyes, pumps, cell, lamp and sensor, where all others are in lab 0. No
optimizer is told the lab's number or its constants.

Every seed draws a recipe; its true color is the target, the same for all. Ours gets the experiment and the goal; the others get the
score, CIEDE2000 of the reading, over the box of the three doses (water fills up). A run counts from when the best recipe *tried* is
truly within the limit: without noise, which no optimizer sees.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import PEERS, require
from benchmarks.stock_composite import StockComposite
from frugaltwin import catalog
from frugaltwin.color import cie_table
from frugaltwin.experiment import Settings, Trial
from frugaltwin.goals import MatchColor
from frugaltwin.plugins import Recommends, Strategy
from frugaltwin.state import State
from frugaltwin.tables import color_of
from simulator.color_mixing import ColorMixing, color_mixing
from simulator.instruments.dyed_water import PATH, STOCKS, absorptivities
from simulator.instruments.mixer import Cell, Imperfections, SimulatedMixer
from simulator.instruments.sensors import SENSORS

OURS = ("composite", "stock-composite", "bayesian", "random")
DYES = ("red", "yellow", "blue")
LIMITS = (2.3, 1.0)
ASKED = (10, 25)


class OddCell(Cell):
    """Not Beer-Lambert: doses saturate, dyes interact, stray light reaches the sensor, and the detector has a gamma."""

    def transmittance(self) -> NDArray[np.float64]:
        if not self.volume:
            return np.ones(absorptivities().shape[1])
        red, yellow, blue = doses = np.array([4 * amount / self.volume / STOCKS[dye] for dye, amount in self._amounts.items()])
        full = absorptivities() * (np.array(list(STOCKS.values())) / 4 * PATH)[:, None]
        interaction = 1.2 * red * blue * np.exp(-(((cie_table()["wavelength_nm"] - 560) / 40) ** 2) / 2) - 0.8 * yellow * blue * full[2]
        absorbance = np.maximum(1.4 * doses / (1 + 0.4 * doses**2) @ full + interaction, 0)
        transmitted: NDArray[np.float64] = (0.06 + 0.94 * 10**-absorbance) ** 1.25
        return transmitted


class OddMixer(SimulatedMixer):
    def __post_init__(self) -> None:
        super().__post_init__()
        self._cell = OddCell(self.sensor, self.imperfections, self.seed, self.liquids)


class OddTwin(ColorMixing):
    """A lab whose physics is not the one that its experiment names."""

    def __init__(self, sensor: str = "as7341", seed: int = 0, **scales: float) -> None:
        self._kind, self._scales = SENSORS[sensor](), Imperfections(**scales)
        super().__init__(OddMixer(self._kind, self._scales, seed), self._kind)

    def truth(self, settings: Settings) -> Settings:
        systematic = replace(Imperfections().scaled(0), pump_bias=self._scales.pump_bias, carry_over=self._scales.carry_over)
        with ColorMixing(OddMixer(self._kind, systematic), self._kind) as lab:
            return lab.perform(settings).outcomes


TWINS: dict[str, Any] = {"color-mixing": color_mixing, "odd": OddTwin}


def recipe(x: list[float]) -> dict[str, float | str]:
    doses = dict(zip(DYES, x, strict=True))
    return {**doses, "water": 4.0 - sum(doses.values())}


def strategy(name: str, seed: int) -> Strategy:
    """One of ours, or the same knowledge from botorch's stock parts."""
    return StockComposite(seed) if name == "stock-composite" else catalog.make_strategy(name, seed=seed)


def run(name: str, seed: int, runs: int, twin: Any) -> dict[str, Any]:
    """True differences of the recipes tried and recommended."""
    target = recipe(np.random.default_rng([77, seed]).random(3).tolist())
    L, a, b = color_of(twin.experiment, target, twin.truth(target)).values()
    goal = MatchColor(twin.experiment, (L, a, b))
    ours = strategy(name, seed) if name in OURS else None
    peer: Any = PEERS[name](3, seed) if ours is None else None
    history: list[Trial] = []
    result: dict[str, Any] = {"strategy": name, "seed": seed, "true": [], "recommended": {}}
    with twin:
        for number in range(1, runs + 1):
            settings: Settings
            if ours is not None:
                (settings,) = [s.settings for s in ours.suggest(State(goal, history))]
            else:
                settings = recipe(x := peer.ask())
            history.append(Trial(number, settings, twin.perform(twin.experiment.check(settings))))
            if peer is not None:
                peer.tell(x, goal.score_of_trial(history[-1]))
            result["true"].append(goal.score_of(settings, twin.truth(settings)))
            if number in ASKED:
                best = goal.best(history)
                assert best is not None
                asked = best[0].settings
                if isinstance(ours, Recommends):
                    asked = ours.recommend(State(goal, history))
                elif peer is not None and (known := peer.best()) is not None:
                    asked = recipe(known)
                result["recommended"][str(number)] = goal.score_of(asked, twin.truth(asked))
    return result


def experiments_until(limit: float, result: dict[str, Any]) -> float:
    return next((k for k, true in enumerate(result["true"], start=1) if true <= limit), float("inf"))


def cell(counts: list[float], runs: int) -> str:
    """Median, and what nine of ten seeds need."""
    middle, most = statistics.median(counts), sorted(counts)[int(np.ceil(0.9 * len(counts))) - 1]
    return " / ".join(f"{v:g}" if v < float("inf") else f"> {runs}" for v in (middle, most))


def table(results: list[dict[str, Any]], runs: int) -> str:
    asked = [k for k in ASKED if k <= runs]
    head = ["", *(f"within {limit}" for limit in LIMITS), *(f"recommended after {k}" for k in asked)]
    lines = [head, ["---"] * len(head)]
    for name in dict.fromkeys(r["strategy"] for r in results):
        of = [r for r in results if r["strategy"] == name]
        lines.append(
            [
                name,
                *(cell([experiments_until(limit, r) for r in of], runs) for limit in LIMITS),
                *(f"{statistics.median(r['recommended'][str(k)] for r in of):.2f}" for k in asked),
            ]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="campaigns per strategy")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=25, help="experiments per campaign")
    parser.add_argument("--only", default="all", help=f"all, ours, peers, or names: {', '.join((*OURS, *PEERS))}")
    parser.add_argument("--lab", choices=TWINS, default="color-mixing", help="odd: a lab that does not obey Beer-Lambert")
    parser.add_argument("--sensor", choices=SENSORS, default="as7341")
    parser.add_argument("--pump-error", type=float, default=1.0, help="1 is as on a rig: 2 %% of a dose")
    parser.add_argument("--json", type=Path, help="write every run to this file")
    parser.add_argument("--systems", type=int, help="campaigns per strategy, each in another lab, in place of --seeds in the same")
    parser.add_argument("--profile", choices=["teaching-lab"], help="the imperfections of the lab; without it those of a tidy one")
    options = parser.parse_args()
    if options.systems and options.lab == "odd":
        parser.error("--systems are labs of the twin color-mixing; leave --lab out")
    groups = {"all": [*OURS, *PEERS], "ours": list(OURS), "peers": list(PEERS)}
    names = groups.get(options.only) or options.only.split(",")
    if unknown := [n for n in names if n not in groups["all"]]:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(groups['all'])}")
    require(names)
    import torch

    torch.set_num_threads(1)
    results = []
    for name in names:
        for seed in range(options.first_seed, options.first_seed + (options.systems or options.seeds)):
            lab: dict[str, Any] = {"system": seed} if options.systems else {}
            lab |= {"imperfections": options.profile} if options.profile else {"pump_error": options.pump_error}
            twin = TWINS[options.lab](sensor=options.sensor, seed=seed, **lab)
            results.append(run(name, seed, options.runs, twin))
            needed = ", ".join(f"{experiments_until(limit, results[-1]):g} to {limit}" for limit in LIMITS)
            print(f"{name}, seed {seed}: {needed}", file=sys.stderr, flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    campaigns = f"{options.systems} labs" if options.systems else f"{options.seeds} seeds"
    print(f"Experiments until ΔE00 is truly within a limit: median / nine of ten of {campaigns}, {options.runs} runs each")
    print(table(results, options.runs))


if __name__ == "__main__":
    main()
