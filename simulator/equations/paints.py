"""Opaque paint: absorption and scattering of mixed paints, and a surface in front of a layer.

`frugaltwin.laws.KubelkaMunk` has the light that a layer reflects.
"""

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


def behind_a_surface(reflectance: Floats, outside: float, inside: float) -> Floats:
    """Visible reflectance, [...], of a layer of `reflectance` [...] behind a smooth surface: it keeps the part `outside` of the
    light from coming in (that glare does not reach the sensor), and reflects the part `inside` back into the paint.

    Source: Saunderson, J. Opt. Soc. Am. 32 (1942) 727, doi:10.1364/JOSA.32.000727, without the glare.

    >>> behind_a_surface(np.array([0.0, 1.0]), 0.04, 0.6).tolist()
    [0.0, 0.96]
    """
    seen: Floats = (1 - outside) * (1 - inside) * reflectance / (1 - inside * reflectance)
    return seen
