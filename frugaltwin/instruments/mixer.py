"""The instructions of a color mixer, simulated or real."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self

from frugaltwin.amounts import Amounts
from frugaltwin.prices import Dose


@dataclass(frozen=True)
class Reading:
    """One reading of the sensor at the cell."""

    counts: Mapping[str, int]
    """Counts per channel."""
    full_scale: int
    """The counts at which a channel saturates."""
    calibration: str = ""
    """The id of the record that a real mixer's pumps were calibrated with."""


@dataclass(frozen=True)
class MixerSpecification:
    """Limits of a mixer: what somebody has to know who uses or tries it."""

    cell: float
    """mL that fit into the cell."""
    residue: float
    """mL that may stay in the drained cell."""
    reads_dark: bool = True
    """Whether it can read with the lamp off."""
    repeatability: float = 0.05
    """Largest relative difference of two readings of the same liquid."""
    smallest: Mapping[str, float] = field(default_factory=dict[str, float])
    """The smallest dose of a pump that can deliver no less, mL, by its name: it coasts when it is switched off."""
    filled: Mapping[str, float] = field(default_factory=dict[str, float])
    """mL that were in a bottle when the campaign began and were filled in since, by its pump; bottles that nobody counts are missing."""


class Mixer(Protocol):
    """Pumps over a cell with a lamp and a color sensor.

    Every instruction blocks until it is done. All of them raise `Stopped` after `stop`, `LinkError` and `RigFault` as they occur. A dose
    that is refused changes nothing; after any other failure the content of the cell is unknown, and `drain` begins again.
    """

    @property
    def specification(self) -> MixerSpecification:
        """Limits of the mixer. Known before it is connected."""
        ...

    @property
    def spent(self) -> Amounts:
        """Cost of everything that the mixer did since it was made: time, money and liquid."""
        ...

    def __enter__(self) -> Self:
        """Connect."""
        ...

    def identify(self) -> str:
        """Model, version and serial number of the instrument."""
        ...

    def dispense(self, pump: str, volume: float) -> None:
        """Pump `volume` mL of the liquid of that name into the cell."""
        ...

    def mix(self, seconds: float) -> None:
        """Stir for `seconds`."""
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

    def dose(self, pump: str, volume: float | str) -> Dose:
        """The price of a dose, within 10 %: mL, or the name of the parameter that holds it. Nothing moves."""
        ...

    def price(self, instruction: str, amount: float = 0.0, pump: str = "water") -> Amounts:
        """Expected cost of an instruction, within 10 %; `amount` is its volume in mL or its time in s. Nothing moves."""
        ...

    def stop(self) -> None:
        """Switch everything off at once; any thread may call it. The next `__enter__` clears it."""
        ...

    def __exit__(self, *failure: object) -> None:
        """Switch everything off and disconnect. May be called twice."""
        ...
