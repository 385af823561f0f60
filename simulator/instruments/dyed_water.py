"""Three dyed stock solutions and water: the liquids of a color mixer, with their constants."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from frugaltwin.color import cie_table
from frugaltwin.laws import BeerLambert
from simulator.equations.gaussian_bands import Bands, gaussian_bands
from simulator.instruments.liquids import Bottle, Liquids, Pump

PATH = 1.0  # cm

# Absorbance per cm and per (µL of color per mL of water), as sums of Gaussians (center nm, sigma nm, height), fitted to measured
# spectra of grocery food colors on 380–740 nm with R² ≥ 0.999. Spectra: the `photon-canon` project. The peaks agree with the
# literature: Red 40 at 501–507 nm, Yellow 5 at 425–427 nm, Blue 1 at 628–630 nm.
DYES: dict[str, Bands] = {
    "red": ((540.0, 15.0, 10.7), (506.8, 21.4, 18.9), (472.7, 16.0, 4.7), (439.6, 77.7, 7.8)),
    "yellow": ((429.3, 49.2, 20.9), (403.9, 6.0, 0.1), (631.5, 53.7, 2.1), (390.8, 8.8, 0.4)),
    "blue": ((631.5, 15.9, 45.3), (593.9, 22.0, 12.7), (404.3, 19.3, 6.0), (592.6, 63.2, 4.1)),
}

# µL of food color per mL of stock solution: full doses reach an absorbance of about 1.5 at their peak.
STOCKS = {"red": 0.26, "yellow": 0.30, "blue": 0.13}

LAW = BeerLambert(absorbers=tuple(DYES))

PUMPS = {
    "red": Pump(slope=1.012, offset=0.006, dead_volume=0.25, rate=1.55),
    "yellow": Pump(slope=0.987, offset=0.003, dead_volume=0.25, rate=1.70),
    "blue": Pump(slope=1.006, offset=-0.004, dead_volume=0.25, rate=1.60),
    "water": Pump(slope=0.996, offset=0.005, dead_volume=0.25, rate=1.65),
}


AS_THEY_ARE = (0.0, 0.0, 0.0)


@cache
def absorptivities(hues: tuple[float, ...] = AS_THEY_ARE) -> NDArray[np.float64]:
    """Absorbance per cm and per µL/mL of all dyes in the order of `DYES`, at the wavelengths of `cie_table`, [3, 81]; read-only.

    Args:
        hues: By how much each dye absorbs at longer wavelengths, nm, [3].
    """
    shifted = [[(center + hue, *rest) for center, *rest in bands] for bands, hue in zip(DYES.values(), hues, strict=True)]
    stacked = np.stack([gaussian_bands(bands, cie_table()["wavelength_nm"]) for bands in shifted])  # type: ignore[arg-type]
    stacked.flags.writeable = False
    return stacked


def transmittance(concentrations: NDArray[np.float64], hues: tuple[float, ...] = AS_THEY_ARE, path: float = PATH) -> NDArray[np.float64]:
    """Fraction of light left, [..., 81], by the cell with dyes at `concentrations` [..., 3] (µL of color per mL).

    Args:
        hues: See `absorptivities`.
        path: cm that the light goes through the liquid.

    >>> float(transmittance(np.zeros(3)).min())
    1.0
    """
    left: NDArray[np.float64] = LAW.outcomes(path * concentrations @ absorptivities(hues))
    return left


@dataclass(frozen=True)
class DyedWater:
    """The dyes of one batch and the cell that they are seen in."""

    hues: tuple[float, ...] = AS_THEY_ARE
    path: float = PATH

    def __call__(self, concentrations: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fraction of light left, [..., 81]."""
        return transmittance(concentrations, self.hues, self.path)


def dyed_water(strengths: Mapping[str, float], pumps: Mapping[str, Pump], light: DyedWater) -> Liquids:
    """Stock solutions of these strengths, µL of color per mL, and water, at these pumps."""
    stocks = {name: Bottle(pumps[name], 0.02, strengths[name]) for name in DYES}
    return Liquids(stocks | {"water": Bottle(pumps["water"], 0.0005)}, light)


DYED_WATER = dyed_water(STOCKS, PUMPS, DyedWater())
"""Stock solutions of dyes, made up by hand, and distilled water from a shop."""
