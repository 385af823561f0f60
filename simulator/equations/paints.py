"""What opaque paint does to light: absorption and scattering of pigment pastes in a white base (Kubelka-Munk)."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from frugaltwin.color import cie_table

Floats = NDArray[np.float64]

# The scattering of a paste, and its absorption as sums of Gaussians (center nm, sigma nm, height), both in units of the white base's
# scattering. Assumptions, chosen to look like common pigments (a bluish red, an arylide yellow, a phthalocyanine blue, a titanium
# white): no paint was measured for them.
PIGMENTS: dict[str, tuple[float, tuple[tuple[float, float, float], ...]]] = {
    "red": (0.25, ((430.0, 60.0, 9.0), (520.0, 28.0, 22.0), (558.0, 18.0, 14.0))),
    "yellow": (0.35, ((390.0, 45.0, 16.0), (440.0, 28.0, 18.0), (478.0, 14.0, 5.0))),
    "blue": (0.15, ((380.0, 35.0, 7.0), (605.0, 38.0, 20.0), (675.0, 40.0, 22.0), (740.0, 45.0, 9.0))),
}
WHITE: tuple[float, tuple[tuple[float, float, float], ...]] = (1.0, ((370.0, 18.0, 0.9), (450.0, 300.0, 0.002)))
PAINTS = (*PIGMENTS, "white")


@cache
def scattering() -> Floats:
    """Of every paint in the order of `PAINTS`, [4]; the white base has 1. The same at every wavelength."""
    return np.array([s for s, _ in (*PIGMENTS.values(), WHITE)])


@cache
def absorption() -> Floats:
    """Of every paint in the order of `PAINTS` at the wavelengths of `cie_table`, [4, 81]."""
    wavelength = cie_table()["wavelength_nm"]
    rows = [
        sum(height * np.exp(-0.5 * ((wavelength - center) / sigma) ** 2) for center, sigma, height in bands)
        for _, bands in (*PIGMENTS.values(), WHITE)
    ]
    stacked: Floats = np.stack(rows)
    stacked.flags.writeable = False
    return stacked


def ratio_of_mixture(parts: Floats, absorption: Floats, scattering: Floats) -> Floats:
    """K/S, [..., 81], of a mixture with parts [..., n] of paints: absorption [n, 81] and scattering [n] add up, each by its part.

    Source: Duncan, Proc. Phys. Soc. 52 (1940) 390, doi:10.1088/0959-5309/52/3/310.

    >>> ratio_of_mixture(np.array([1.0, 3.0]), np.array([[8.0], [0.0]]), np.array([1.0, 1.0])).tolist()
    [2.0]
    """
    K, S = parts @ absorption, (parts @ scattering)[..., None]
    return np.divide(K, S, out=np.full_like(K, np.inf), where=S > 0)


def reflectance(ratio: Floats) -> Floats:
    """What an opaque layer reflects, [...], for K/S [...] = `ratio`: R = 1 + K/S - sqrt((K/S)² + 2 K/S).

    Source: Kubelka & Munk, Z. Tech. Phys. 12 (1931) 593.

    >>> reflectance(np.array([0.0, 0.25, np.inf])).tolist()
    [1.0, 0.5, 0.0]
    """
    # The printed form loses all digits of dark paints; R · 1/R = 1 turns the difference into a sum.
    reflected: Floats = 1 / (1 + ratio + np.sqrt(ratio * ratio + 2 * ratio))
    return reflected


def ratio(reflectance: Floats) -> Floats:
    """K/S [...] of an opaque layer that reflects `reflectance` [...]: (1 - R)² / 2R.

    Source: Kubelka & Munk, Z. Tech. Phys. 12 (1931) 593.

    >>> float(ratio(np.array(0.5)))
    0.25
    """
    result: Floats = (1 - reflectance) ** 2 / (2 * reflectance)
    return result


def behind_a_surface(reflectance: Floats, outside: float, inside: float) -> Floats:
    """What is seen, [...], of a layer that reflects `reflectance` [...] behind a smooth surface: it keeps the part `outside` of the
    light from coming in (that glare does not reach the sensor), and throws the part `inside` back into the paint.

    Source: Saunderson, J. Opt. Soc. Am. 32 (1942) 727, doi:10.1364/JOSA.32.000727, without the glare.

    >>> behind_a_surface(np.array([0.0, 1.0]), 0.04, 0.6).tolist()
    [0.0, 0.96]
    """
    seen: Floats = (1 - outside) * (1 - inside) * reflectance / (1 - inside * reflectance)
    return seen
