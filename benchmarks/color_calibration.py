"""Difference between a sensor's color and the color that an eye sees, over random recipes of the liquid twin without noise.

python benchmarks/color_calibration.py
"""

import numpy as np

from frugaltwin.color import delta_e, reading_lab
from simulator.color_mixing import TOTAL, calibration, channels, spectral_lab
from simulator.instruments.dyed_water import STOCKS, transmittance
from simulator.instruments.mixer import Imperfections
from simulator.instruments.sensors import SENSORS, make_sensor


def main() -> None:
    doses = np.random.default_rng(1).random((20_000, 3))
    volumes = np.column_stack([doses, TOTAL - doses.sum(axis=1)])
    seen = spectral_lab(transmittance(doses * np.array(list(STOCKS.values())) / TOTAL))
    print("| sensor | ΔE00 median | 95 % | worst |")
    print("|---|---|---|---|")
    for name in SENSORS:
        read = reading_lab(calibration(name), channels(volumes, make_sensor(name, {}), Imperfections().scaled(0)))
        difference = delta_e(read, seen)
        print(f"| {name} | {np.median(difference):.2f} | {np.percentile(difference, 95):.2f} | {difference.max():.2f} |")


if __name__ == "__main__":
    main()
