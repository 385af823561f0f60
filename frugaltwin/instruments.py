"""The instrument plane: the few instructions that a color mixer understands, whether it is simulated or plugged in.

Pump error, dead volume, carry-over, sensor gain and saturation, drift and time live below this line, in the twin as in the world.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from frugaltwin.costs import Cost


@dataclass(frozen=True)
class Reading:
    """One look of the sensor at the cell."""

    counts: Mapping[str, int]
    """Counts per channel."""
    full_scale: int
    """The counts at which a channel saturates."""


class Mixer(Protocol):
    """Pumps over a cell with a lamp and a color sensor.

    Every instruction blocks until it is done. All of them raise `Stopped` after `stop`, `LinkError` and `RigFault` as they occur.
    """

    @property
    def spent(self) -> Cost:
        """All that the mixer took since it was made: time, money and liquid."""
        ...

    def __enter__(self) -> Self:
        """Connect."""
        ...

    def identify(self) -> str:
        """Who this is: model, version, serial number."""
        ...

    def dispense(self, pump: str, volume: float) -> None:
        """Pump `volume` mL of the liquid of that name into the cell."""
        ...

    def mix(self, seconds: float) -> None:
        """Stir for so long."""
        ...

    def read(self, lamp: bool = True) -> Reading:
        """Read all channels, with the lamp on or off."""
        ...

    def rinse(self, volume: float) -> None:
        """Pump `volume` mL of clean water into the cell."""
        ...

    def drain(self) -> None:
        """Empty the cell, as far as it can be emptied."""
        ...

    def price(self, instruction: str, amount: float = 0.0, pump: str = "water") -> Cost:
        """What an instruction is expected to take; `amount` is its volume in mL or its time in s. Nothing moves."""
        ...

    def stop(self) -> None:
        """Everything off, now, from any thread. The next `__enter__` clears it."""
        ...

    def __exit__(self, *failure: object) -> None:
        """Everything off, then disconnect. May be called twice."""
        ...
