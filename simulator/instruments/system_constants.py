"""Constants of a system: given one by one, drawn with `system=N`, or their defaults."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import quantity


@dataclass(frozen=True)
class Constant:
    """A parameter of a system that an instructor may set, or draw."""

    default: float
    drawn: tuple[float, float]
    """The range that `system=N` draws it from, uniformly."""
    allowed: tuple[float, float]
    """Limits of physical meaning, the ends included."""
    unit: str
    meaning: str


def constants_of(known: Mapping[str, Constant], given: Mapping[str, float | None], system: int | None) -> dict[str, float]:
    """The constants of a system: those given, the others drawn with the seed `system`, or the defaults without one.

    Raises:
        InvalidInput: One has no physical meaning, or the seed is negative.
    """
    random = np.random.default_rng((71, checked_seed("system", system))) if system is not None else None
    drawn = {name: float(random.uniform(*c.drawn)) if random else c.default for name, c in known.items()}
    chosen = drawn | {name: value for name, value in given.items() if value is not None}
    for name, value in chosen.items():
        low, high = known[name].allowed
        if not low <= value <= high:
            shown, limits = quantity(value, known[name].unit), f"{low:g} to {quantity(high, known[name].unit)}"
            raise InvalidInput(f"{name} = {shown} has no physical meaning here ({known[name].meaning}): it is {limits}")
    return chosen


def checked_seed(name: str, seed: object) -> int:
    """A seed, as a whole number.

    Raises:
        InvalidInput: It is none, or negative.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InvalidInput(f"{name} = {seed!r}: it is a whole number from 0 up")
    return seed
