"""Single measurements and truths a second through every driver of the catalog, default options, one core.

    python -m benchmarks.driver_speed [NAME …]

Settings are drawn at random beforehand; time is the process's own (the machine may be busy with others).
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # before numpy starts

import contextlib
import statistics
import sys
from pathlib import Path
from time import process_time

from frugaltwin import catalog
from frugaltwin.errors import DriverError
from frugaltwin.experiment import Settings
from frugaltwin.goals import Goal
from frugaltwin.plugins import Driver, KnowsTruth, KnowsTruths
from frugaltwin.state import State
from frugaltwin.testing import Plugin

HOME = Path(__file__).parents[1]
TABLE: dict[str, object] = {"path": HOME / "benchmarks" / "data" / "phase_lens_441.csv", "outcomes": "phase"}
BAR = 2000  # measurements a second
SETTINGS, ROUNDS, SECONDS = 3000, 3, 1.0


def drawn(driver: Driver) -> list[Settings]:
    first = driver.experiment.outcomes[0]
    goal: Goal = catalog.make_goal(f"map:{first.name}" if first.labels else f"minimize:{first.name}", driver)
    count = min(SETTINGS, len(driver.experiment.candidates) or SETTINGS)
    return [s.settings for s in catalog.make_strategy("random", seed=1).suggest(State(goal), count)]


def performs(driver: Driver, settings: list[Settings]) -> float:
    """Measurements a second, every setting a new one; failed ones count, since they take their time too."""
    with driver:
        begin, n = process_time(), 0
        while n < len(settings) and process_time() - begin < SECONDS:
            for s in settings[n : n + 20]:
                with contextlib.suppress(DriverError):
                    driver.perform(s)
                n += 1
        return n / (process_time() - begin)


def truths(driver: Driver, settings: list[Settings]) -> float | None:
    """Truths a second, all at once where the driver can."""
    if not isinstance(driver, KnowsTruth):
        return None
    begin = process_time()
    if isinstance(driver, KnowsTruths):
        driver.truths(settings)
    else:
        for s in settings:
            with contextlib.suppress(DriverError):
                driver.truth(s)
    return len(settings) / (process_time() - begin)


def main() -> None:
    print(f"| driver | measurements a second (bar {BAR:,}) | truths a second |")
    print("|---|---|---|")
    for name in sys.argv[1:] or sorted(catalog.DRIVERS):
        options = TABLE if name == "table" else Plugin.of("driver", name).options
        driver = catalog.make_driver(name, options, seed=1)
        settings = drawn(driver)
        performs(driver, settings[:20])  # what is built on first use is not counted
        third = len(settings) // ROUNDS
        rate = statistics.median(performs(driver, settings[k * third : (k + 1) * third]) for k in range(ROUNDS))
        true = truths(catalog.make_driver(name, options), settings)
        print(f"| {name} | {rate:,.0f} | {'no truth' if true is None else f'{true:,.0f}'} |", flush=True)


if __name__ == "__main__":
    main()
