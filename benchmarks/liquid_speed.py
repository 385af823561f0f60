"""Speed of the liquid twin on one core: noise-free mixes through the vectorized physics, and full experiments through the driver.

    python benchmarks/liquid_speed.py

A mix is volumes → doses with pump bias → spectrum (81 wavelengths) → eight channels. An experiment is `perform` with every
imperfection on: four doses, stirring, a noisy reading, drain, rinse, drain, and a new look at clean water every fifth time.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # before numpy starts

from time import perf_counter

import numpy as np

from frugaltwin.catalog import make_driver
from simulator.color_mixing import TOTAL, channels
from simulator.instruments.dyed_water import DYES
from simulator.instruments.mixer import Imperfections
from simulator.instruments.sensors import SENSORS, make_sensor

BATCH, EXPERIMENTS, ROUNDS = 1000, 5000, 5
BARS = {"mixes": 250_000, "experiments": 5_000}


def main() -> None:
    doses = np.random.default_rng(0).random((BATCH, 3))
    volumes = np.column_stack([doses, TOTAL - doses.sum(axis=1)])
    recipes = [dict(zip((*DYES, "water"), row, strict=True)) for row in volumes.tolist()]
    print("| sensor | noise-free mixes a second | bar | experiments a second, every imperfection on | bar |")
    print("|---|---|---|---|---|")
    for name in SENSORS:
        sensor = make_sensor(name, {})
        mixing, performing = [], []
        for _ in range(ROUNDS):
            start = perf_counter()
            for _ in range(50):
                channels(volumes, sensor, Imperfections())
            mixing.append((perf_counter() - start) / (50 * BATCH))
            with make_driver("color-mixing", {"sensor": name}) as twin:
                start = perf_counter()
                for k in range(EXPERIMENTS):
                    twin.perform(recipes[k % BATCH])
                performing.append((perf_counter() - start) / EXPERIMENTS)
        rates = 1 / np.median(mixing), 1 / np.median(performing)
        print(f"| {name} | {rates[0]:,.0f} | {BARS['mixes']:,} | {rates[1]:,.0f} | {BARS['experiments']:,} |")


if __name__ == "__main__":
    main()
