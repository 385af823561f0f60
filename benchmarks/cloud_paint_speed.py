"""How fast the cloud-point and the paint-mixing twin are, by CPU time: full experiments through the driver, and truths of many settings.

    python -m benchmarks.cloud_paint_speed

An experiment is `perform` with every imperfection on: doses, stirring, a noisy reading, drain and rinse, and a new look at the reference
every fifth time. Truths are asked for 10,000 settings at once.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # before numpy starts

from time import process_time

import numpy as np

from frugaltwin.catalog import make_driver
from frugaltwin.plugins import KnowsTruths

TRUTHS, EXPERIMENTS, ROUNDS = 10_000, 2_000, 5
BAR = 2_000


def recipes(name: str) -> list[dict[str, float | str]]:
    random = np.random.default_rng(0)
    if name == "paint-mixing":
        pastes = random.random((TRUTHS, 3))
        volumes = np.column_stack([pastes, 4 - pastes.sum(axis=1)])
    else:
        volumes = 4 * random.dirichlet(np.ones(3), TRUTHS)
    parameters = [p.name for p in make_driver(name).experiment.parameters]
    return [dict(zip(parameters, row, strict=True)) for row in volumes.tolist()]


def main() -> None:
    print("| twin | sensor | experiments a second, every imperfection on | bar | truths a second |")
    print("|---|---|---|---|---|")
    for name in ("cloud-point", "paint-mixing"):
        settings = recipes(name)
        for sensor in ("as7341", "tcs34725"):
            performing, knowing = [], []
            for _ in range(ROUNDS):
                with make_driver(name, {"sensor": sensor}) as twin:
                    assert isinstance(twin, KnowsTruths)
                    start = process_time()
                    for k in range(EXPERIMENTS):
                        twin.perform(settings[k])
                    performing.append((process_time() - start) / EXPERIMENTS)
                    start = process_time()
                    twin.truths(settings)
                    knowing.append((process_time() - start) / TRUTHS)
            print(f"| {name} | {sensor} | {1 / np.median(performing):,.0f} | {BAR:,} | {1 / np.median(knowing):,.0f} |")


if __name__ == "__main__":
    main()
