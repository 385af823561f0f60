"""The workflow plane: an ordered list of instructions, with placeholders for settings, that can be performed and priced."""

from collections.abc import Sequence
from dataclasses import dataclass

from frugaltwin.costs import Cost
from frugaltwin.experiment import Settings
from frugaltwin.instruments import Mixer, Reading


@dataclass(frozen=True)
class Dispense:
    """Pump a volume: mL, or the name of the parameter that says how many."""

    pump: str
    volume: float | str

    def perform(self, mixer: Mixer, settings: Settings) -> None:
        if volume := self._volume(settings):
            mixer.dispense(self.pump, volume)

    def price(self, mixer: Mixer, settings: Settings) -> Cost:
        return mixer.price("dispense", volume, self.pump) if (volume := self._volume(settings)) else Cost()

    def _volume(self, settings: Settings) -> float:
        return float(settings[self.volume]) if isinstance(self.volume, str) else self.volume


@dataclass(frozen=True)
class Mix:
    """Stir for so many seconds."""

    seconds: float

    def perform(self, mixer: Mixer, settings: Settings) -> None:
        mixer.mix(self.seconds)

    def price(self, mixer: Mixer, settings: Settings) -> Cost:
        return mixer.price("mix", self.seconds)


@dataclass(frozen=True)
class Read:
    """Read the sensor, with the lamp on or off."""

    lamp: bool = True

    def perform(self, mixer: Mixer, settings: Settings) -> Reading:
        return mixer.read(self.lamp)

    def price(self, mixer: Mixer, settings: Settings) -> Cost:
        return mixer.price("read")


@dataclass(frozen=True)
class Rinse:
    """Fill in so many mL of clean water."""

    volume: float

    def perform(self, mixer: Mixer, settings: Settings) -> None:
        mixer.rinse(self.volume)

    def price(self, mixer: Mixer, settings: Settings) -> Cost:
        return mixer.price("rinse", self.volume)


@dataclass(frozen=True)
class Drain:
    """Empty the cell."""

    def perform(self, mixer: Mixer, settings: Settings) -> None:
        mixer.drain()

    def price(self, mixer: Mixer, settings: Settings) -> Cost:
        return mixer.price("drain")


Step = Dispense | Mix | Read | Rinse | Drain


@dataclass(frozen=True)
class Procedure:
    """Steps that are performed in order, on whichever mixer there is."""

    steps: Sequence[Step]

    def perform(self, mixer: Mixer, settings: Settings) -> list[Reading]:
        """Perform every step; the readings in order.

        Raises:
            DriverError: An instruction failed; the steps after it were not performed.
        """
        results = [step.perform(mixer, settings) for step in self.steps]
        return [r for r in results if r is not None]

    def estimate(self, mixer: Mixer, settings: Settings) -> Cost:
        """What the steps are expected to take together."""
        return sum((step.price(mixer, settings) for step in self.steps), Cost())
