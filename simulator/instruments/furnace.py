"""A furnace: ramps, soaking, and the prices of its experiments."""

from dataclasses import dataclass

from frugaltwin.amounts import Amounts

ROOM_TEMPERATURE = 298.15  # K


@dataclass
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
    temperature: float = ROOM_TEMPERATURE
    """K, now."""
    sample: tuple[float, ...] | None = None
    """Composition of the sample in it."""

    def price(self, sample: tuple[float, ...], temperature: float) -> Amounts:
        """Cost of bringing this sample to equilibrium at this temperature."""
        step = temperature - self.temperature
        seconds = self.soak + (step / self.heating if step > 0 else -step / self.cooling)
        cost = Amounts(seconds=seconds, money=seconds * self.power)
        return cost if sample == self.sample else cost + self.exchange

    def go(self, sample: tuple[float, ...], temperature: float) -> Amounts:
        """Load this sample and bring it to this temperature."""
        cost = self.price(sample, temperature)
        self.sample, self.temperature = sample, temperature
        return cost
