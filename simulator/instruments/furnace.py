"""A furnace: ramps, soaking, and new samples, as terms of a price; and what a sample remembers of its temperatures."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from frugaltwin.amounts import Amounts
from frugaltwin.data_sheets import Options, option
from frugaltwin.prices import Change, Ramp

ROOM_TEMPERATURE = 298.15  # K
Loading = Literal["hot", "cold"]


class SampleOptions(Options):
    """Options of a lab that prepares samples and waits until they are at equilibrium."""

    preparation: float = option(120.0, "of making and loading a new sample", "s", allowed=(0, 1e6), changes="experiment")
    soak_again: bool = option(
        True, "another reading of a sample at the same temperature waits as long as the first one", changes="experiment"
    )

    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {"teaching-lab": {"preparation": 900.0, "soak_again": False}}


class FurnaceOptions(SampleOptions):
    """Options of a furnace, and of samples that do not follow its temperature at once. All sizes in profiles are assumed."""

    loading: Loading = option(
        "hot", "of a new sample: hot, or cold, and the furnace cools to 298.15 K before and heats up with it", changes="experiment"
    )
    undercooling: float = option(
        0.0,
        "by which a sample on cooling lags behind: what forms on cooling nucleates late",
        "K",
        allowed=(0, 1e3),
        changes="imperfections",
    )
    relaxation: float = option(
        0.0,
        "in which a sample on cooling follows at the hottest temperature T_h; exp(12 (T_h/T - 1)) times as long at T",
        "s",
        allowed=(0, 1e6),
        changes="imperfections",
    )
    lag: float = option(0.0, "by which every sample is colder than the furnace says", "K", allowed=(0, 100), changes="imperfections")
    thermometer: float = option(
        0.0,
        "error of the temperature besides, one standard deviation, another one for each sample",
        "K",
        allowed=(0, 100),
        changes="imperfections",
    )
    weighing: float = option(
        0.0,
        "relative error of how much of each component is in a sample, one standard deviation, another one for each sample",
        allowed=(0, 0.3),
        changes="imperfections",
    )

    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "teaching-lab": {"loading": "cold", "undercooling": 8.0, "relaxation": 1.0, "lag": 3.0, "thermometer": 2.0, "weighing": 0.015}
    }


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
    is_cold_loaded: bool = False
    """Whether it cools to room temperature for a new sample."""
    soaks_again: bool = True
    """Whether a second reading of a sample waits as long as the first one."""

    def terms(self, sample: tuple[str, ...], temperature: str | float) -> tuple[Ramp, Change]:
        """The price of bringing a sample to equilibrium: the parameters of its composition, and the one of its temperature, or K."""
        second = Amounts(seconds=1.0, money=self.power)
        cold, stays = sample if self.is_cold_loaded else (), None if self.soaks_again else sample
        ramp = Ramp(temperature, ROOM_TEMPERATURE, self.heating, self.cooling, self.soak, second, cold, stays)
        return ramp, Change(sample, self.exchange)


@dataclass(frozen=True)
class Kinetics:
    """The fictive temperature of a sample: the one at which it would be at equilibrium as it is.

    On heating a sample follows at once. On cooling it lags behind by `undercooling`, and approaches that at the rate 1/τ(T):
    dT_f/dt = -(T_f - T - undercooling)/τ, τ = relaxation · exp(12 (T_h/T - 1)). So a sample that is cooled fast stays what it was.
    Source: Tool, J. Am. Ceram. Soc. 29 (1946) 240, doi:10.1111/j.1151-2916.1946.tb11592.x (fictive temperature; not opened for this
    project). That alloys follow it, and the 12, are assumed.
    """

    undercooling: float
    relaxation: float
    hottest: float

    def after(self, fictive: float, last: float, temperature: float, ramp: float, soak: float) -> float:
        """The fictive temperature, K, after a ramp from `last` to `temperature` and a soak, of these many seconds."""
        steps = max(1, math.ceil(abs(last - temperature) / 10)) if self.relaxation else 1
        for k in range(1, steps + 1):
            fictive = self._step(fictive, last + (temperature - last) * k / steps, ramp / steps)
        return self._step(fictive, temperature, soak)

    def _step(self, fictive: float, temperature: float, seconds: float) -> float:
        target = min(temperature + self.undercooling, fictive)
        if fictive <= temperature:
            return temperature
        if self.relaxation:
            slower = min(12 * (self.hottest / temperature - 1), 500.0)
            target += (fictive - target) * math.exp(-seconds / (self.relaxation * math.exp(slower)))
        return max(target, temperature)
