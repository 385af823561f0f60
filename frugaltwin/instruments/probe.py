"""The instructions of a probe over a flat sample, simulated or real."""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from frugaltwin.amounts import Amounts
from frugaltwin.prices import Travel


@dataclass(frozen=True, eq=False)
class Image:
    """Image of a square field by a probe."""

    x: NDArray[np.float64]
    """Positions of the columns of pixels, mm, [n]."""
    y: NDArray[np.float64]
    """Positions of the rows of pixels, mm, [n]."""
    channels: NDArray[np.float64]
    """Readings of all pixels, [n, n, m]: row, column, channel."""

    def near(self, x: float, y: float) -> NDArray[np.float64]:
        """The channels [m] of the pixel nearest to a place, mm."""
        pixel: NDArray[np.float64] = self.channels[np.abs(self.y - y).argmin(), np.abs(self.x - x).argmin()]
        return pixel


class Probe(Protocol):
    """A head that moves over a flat sample, takes images of a field and spectra of a spot.

    Every instruction blocks until it is done and leaves the head at rest. All of them raise `Stopped` after `stop`, `LinkError` and
    `RigFault` as they occur, and `InvalidInput` for what the probe cannot do.
    """

    @property
    def spent(self) -> Amounts:
        """Cost of everything that the probe did since it was made: time and money."""
        ...

    def __enter__(self) -> Self:
        """Connect."""
        ...

    def identify(self) -> str:
        """Model, version and serial number of the instrument."""
        ...

    def scan(self, width: float, pixels: int) -> Image:
        """An image of a square field of `width` mm around the head, with `pixels` × `pixels` pixels. The head stays where it is."""
        ...

    def move(self, x: float, y: float) -> None:
        """Go to a place, mm from the center of the sample."""
        ...

    def measure(self, dwell: float) -> NDArray[np.float64]:
        """The spectrum [m] of the spot under the head, collected for `dwell` s."""
        ...

    def travel(self, x: float | str, y: float | str) -> Travel:
        """The price of a move to a place: mm, or the names of the parameters that hold it. Nothing moves."""
        ...

    def price(self, instruction: str, amount: float = 0.0, place: tuple[float, float] = (0.0, 0.0)) -> Amounts:
        """Expected cost of an instruction from the present place of the head. Nothing moves.

        Args:
            amount: Pixels along the side of an image, or the time of a spectrum, s.
            place: Target of a move, mm.
        """
        ...

    def stop(self) -> None:
        """Come to rest at once; any thread may call it. The next `__enter__` clears it."""
        ...

    def __exit__(self, *failure: object) -> None:
        """Come to rest and disconnect. May be called twice."""
        ...
