"""Opaque paint: absorption and scattering of mixed paints, and the light that a layer reflects (Kubelka-Munk)."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def ratio_of_mixture(parts: Floats, absorption: Floats, scattering: Floats) -> Floats:
    """K/S, [..., 81], of a mixture with parts [..., n] of paints: absorption [n, 81] and scattering [n] add up, each by its part.

    Source: Duncan, Proc. Phys. Soc. 52 (1940) 390, doi:10.1088/0959-5309/52/3/310.

    >>> ratio_of_mixture(np.array([1.0, 3.0]), np.array([[8.0], [0.0]]), np.array([1.0, 1.0])).tolist()
    [2.0]
    """
    K, S = parts @ absorption, (parts @ scattering)[..., None]
    return np.divide(K, S, out=np.full_like(K, np.inf), where=S > 0)


def reflectance(ratio: Floats) -> Floats:
    """Reflectance of an opaque layer, [...], for K/S [...] = `ratio`: R = 1 + K/S - sqrt((K/S)² + 2 K/S).

    `frugaltwin.laws.KubelkaMunk` has the inverse, and this with a root that is smooth at 0, for gradients.
    Source: Kubelka & Munk, Z. Tech. Phys. 12 (1931) 593.

    >>> reflectance(np.array([0.0, 0.25, np.inf])).tolist()
    [1.0, 0.5, 0.0]
    """
    # The printed form loses all digits of dark paints; R · 1/R = 1 turns the difference into a sum.
    reflected: Floats = 1 / (1 + ratio + np.sqrt(ratio * ratio + 2 * ratio))
    return reflected


def behind_a_surface(reflectance: Floats, outside: float, inside: float) -> Floats:
    """Visible reflectance, [...], of a layer of `reflectance` [...] behind a smooth surface: it keeps the part `outside` of the
    light from coming in (that glare does not reach the sensor), and reflects the part `inside` back into the paint.

    Source: Saunderson, J. Opt. Soc. Am. 32 (1942) 727, doi:10.1364/JOSA.32.000727, without the glare.

    >>> behind_a_surface(np.array([0.0, 1.0]), 0.04, 0.6).tolist()
    [0.0, 0.96]
    """
    seen: Floats = (1 - outside) * (1 - inside) * reflectance / (1 - inside * reflectance)
    return seen
