"""A furnace: ramps, soaking, and new samples, as terms of a price."""

from dataclasses import dataclass

from frugaltwin.amounts import Amounts
from frugaltwin.prices import Change, Ramp

ROOM_TEMPERATURE = 298.15  # K


@dataclass(frozen=True)
class Furnace:
    """Heats and cools at a limited rate, and waits until the sample is at equilibrium.

    A new sample takes its time too; a sample of the same composition stays in. So the order of experiments matters.
    """

    heating: float = 0.5
    """K/s."""
    cooling: float = 0.2
    """K/s: it only loses heat."""
    soak: float = 600.0
    """s at temperature before the reading."""
    exchange: Amounts = Amounts(seconds=120.0, money=0.40)
    """Cost of making and loading a new sample."""
    power: float = 0.3 / 3600
    """USD/s while it is on."""

    def terms(self, sample: tuple[str, ...], temperature: str | float) -> tuple[Ramp, Change]:
        """The price of bringing a sample to equilibrium: the parameters of its composition, and the one of its temperature, or K."""
        second = Amounts(seconds=1.0, money=self.power)
        return Ramp(temperature, ROOM_TEMPERATURE, self.heating, self.cooling, self.soak, second), Change(sample, self.exchange)
