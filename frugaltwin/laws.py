"""Physical laws that outcomes follow approximately: one class each. Twins obey them, and strategies may use them.

A law names a latent quantity that is nearly linear in the amounts of its sources, how an outcome becomes it and back, and how much an
error of a reading counts in it. Every method takes numpy arrays and torch tensors alike and keeps gradients.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, TypeAlias

Array: TypeAlias = Any
"""A numpy array or a torch tensor: the array API has no static type yet."""

DARKEST = 3e-3
"""The smallest transmittance or reflectance that is believed: a reading below it is mostly noise, and may be negative."""
PALEST = 0.95
"""The largest reflectance whose slope is believed: at 1, absorption over scattering would hide every error."""
_LN10 = math.log(10)


@dataclass(frozen=True)
class Exposure:
    """Exposure of a sensor, the light that it collects: the product of (parameter + offset) over its registers."""

    registers: tuple[tuple[str, float], ...]


class Law(ABC):
    """A law of some outcomes of one experiment. Outcomes [..., m], latent quantities [..., m] and exposures [..., 1] broadcast."""

    @property
    @abstractmethod
    def linear_in(self) -> tuple[str, ...]:
        """The parameters whose amounts the latent quantity is linear in."""

    @property
    def collected(self) -> Exposure | None:
        """The exposure that outcomes are proportional to; None where that has no meaning."""
        return None

    @abstractmethod
    def latent(self, outcomes: Array, exposure: Array | float = 1.0) -> Array:
        """The latent quantity of measured outcomes; readings beyond what the law allows count as the last that it allows."""

    @abstractmethod
    def outcomes(self, latent: Array, exposure: Array | float = 1.0) -> Array:
        """The outcomes of a latent quantity: the inverse of `latent`."""

    @abstractmethod
    def reading_variance(self, latent: Array, exposure: Array, scale: Array) -> Array:
        """Variance of latent / scale per unit variance of a reading (delta method); of `Additive`, of a reading at an exposure of 1."""


@dataclass(frozen=True)
class BeerLambert(Law):
    """The outcome is a transmitted fraction: 1 without absorbers, and -log10 of it is nearly linear in their amounts.

    Source: Swinehart, J. Chem. Educ. 39 (1962) 333, doi:10.1021/ed039p333.

    >>> import numpy as np
    >>> BeerLambert(("red",)).latent(np.array([0.01])).tolist()
    [2.0]
    """

    absorbers: tuple[str, ...]

    @property
    def linear_in(self) -> tuple[str, ...]:
        return self.absorbers

    def latent(self, outcomes: Array, exposure: Array | float = 1.0) -> Array:
        xp = _namespace(outcomes)
        return -xp.log10(xp.clip(outcomes, DARKEST, None))

    def outcomes(self, latent: Array, exposure: Array | float = 1.0) -> Array:
        return _namespace(latent).exp(-_LN10 * latent)

    def reading_variance(self, latent: Array, exposure: Array, scale: Array) -> Array:
        light = _namespace(latent).clip(self.outcomes(latent), DARKEST, 1.0)
        return (light * _LN10 * scale) ** -2.0


@dataclass(frozen=True)
class Additive(Law):
    """The outcome is a signal: 0 without sources, nearly linear in them, and proportional to the exposure."""

    sources: tuple[str, ...]
    exposure: Exposure | None = None

    @property
    def linear_in(self) -> tuple[str, ...]:
        return self.sources

    @property
    def collected(self) -> Exposure | None:
        return self.exposure

    def latent(self, outcomes: Array, exposure: Array | float = 1.0) -> Array:
        return outcomes / exposure

    def outcomes(self, latent: Array, exposure: Array | float = 1.0) -> Array:
        return latent * exposure

    def reading_variance(self, latent: Array, exposure: Array, scale: Array) -> Array:
        return exposure**-2.0


@dataclass(frozen=True)
class KubelkaMunk(Law):
    """The outcome is the reflectance R of an opaque layer, against a white base's: 1 without pastes, and absorption over scattering,
    (1-R)²/2R, is nearly linear in their amounts. The inverse is R = 1 + K/S - sqrt((K/S)² + 2 K/S).

    Source: Kubelka & Munk, Z. Tech. Phys. 12 (1931) 593; Duncan, Proc. Phys. Soc. 52 (1940) 390 (what pastes add).

    >>> import numpy as np
    >>> KubelkaMunk(("black",)).latent(np.array([0.5])).tolist()
    [0.25]
    """

    pastes: tuple[str, ...]

    @property
    def linear_in(self) -> tuple[str, ...]:
        return self.pastes

    def latent(self, outcomes: Array, exposure: Array | float = 1.0) -> Array:
        R = _namespace(outcomes).clip(outcomes, DARKEST, 1.0)
        return (1 - R) ** 2 / (2 * R)

    def outcomes(self, latent: Array, exposure: Array | float = 1.0) -> Array:
        xp = _namespace(latent)
        k = xp.clip(latent, 0.0, None)
        root = xp.sqrt(xp.clip(k * k + 2 * k, 1e-36, None))  # the root of 0 has no gradient, and 1 + 1e-18 is 1
        return 1 / (1 + k + root)  # the printed form loses all digits of dark paints; R · 1/R = 1 turns the difference into a sum

    def reading_variance(self, latent: Array, exposure: Array, scale: Array) -> Array:
        R = _namespace(latent).clip(self.outcomes(latent), DARKEST, PALEST)
        return ((1 - R**2) / (2 * R**2 * scale)) ** 2


KnownLaw: TypeAlias = BeerLambert | Additive | KubelkaMunk
"""The laws that an outcome can name: what JSON is read back to."""


def _namespace(array: Array) -> Any:
    import array_api_compat  # imports numpy: experiments alone do without it
    import numpy as np

    if isinstance(array, np.ndarray):  # a twin asks at every reading, and to look it up takes longer than to compute it
        return np
    return array_api_compat.array_namespace(array)
