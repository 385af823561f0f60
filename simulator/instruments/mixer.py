"""Simulated color mixer: pumps, a cell, a lamp and a sensor, as imperfect as a rig for 200 USD.

Satisfies `frugaltwin.instruments.Mixer`. What is modeled, and where its size comes from, stands at `Imperfections` and `Pump`. The
liquids are described by `Liquids`.
"""

import math
import threading
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from frugaltwin.amounts import Amounts
from frugaltwin.color import cie_table
from frugaltwin.data_sheets import ImperfectOptions, Profile, SeedOptions, option
from frugaltwin.errors import InvalidInput, RigFault, Stopped
from frugaltwin.instruments import MixerSpecification, Reading
from frugaltwin.prices import Dose
from simulator.instruments.dyed_water import DYED_WATER
from simulator.instruments.liquids import Liquids
from simulator.instruments.mishaps import MishapOptions, Mishaps, imperfection, mishap
from simulator.instruments.sensors import Sensor, SensorOptions

Seed = int | np.random.Generator
"""What the random numbers of an instrument come from; a twin hands its own generator over."""

CELL_VOLUME = 8.0  # mL: what fits in before it spills
RESIDUE = 0.3  # mL that a drained cell still holds
SETTLE = 0.3  # s after every dose: relay and settling
RATE = 1.6  # mL/s: what a 100 mL/min peristaltic pump delivers
SPECIFICATION = MixerSpecification(CELL_VOLUME, RESIDUE)
DRAIN_SECONDS = 6.0  # the drain is timed: it empties a full cell and then draws air


COASTING_ERROR = 0.05  # of what comes while a pump runs down, rms; an assumption
VIAL = 5.0  # mL of stock that are made up at once; an assumption


class Imperfections(MishapOptions):
    """Sizes of all imperfections: 1 is as on a rig, 0 is none, 2 is twice as bad, or twice as often.

    A tidy lab has those with the default 1. How often the others happen, and how much they do, are assumptions.
    """

    profiles: ClassVar = {"teaching-lab": dict.fromkeys(("fading", "temperature", "refills"), 1.0)}

    pump_bias: float = imperfection("slope and offset that the pump calibration left over", changes="both")
    pump_error: float = imperfection("repeat error of a dose: 2 % of it and 2 µL, rms; good stepper pumps reach 0.2 %")
    carry_over: float = imperfection("0.3 mL of what was in the cell before stay in the drained cell", changes="both")
    sensor_noise: float = imperfection("shot noise (0.065 counts² per count, in proportion to the gain) and read noise (0.6 counts)")
    lamp_drift: float = imperfection("3 % warm-up with a time constant of 10 min, and a random walk of 0.1 % per root minute")
    room_light: float = imperfection("0.5 % of the lamp's light comes from the room, and changes by a third with a period of 20 min")
    evaporation: float = imperfection("what stands open gets stronger, stock solutions by 0.5 % per hour")
    dead_volume: float = imperfection("0.25 mL of tube per pump, empty on connecting; priming makes up for 1, not for more")

    fading: float = mishap("light and air take 1 % per hour of what acts on light in the bottles, but for white pigment and solvents")
    temperature: float = mishap("the room swings by 2 K in 8 hours, and the lamp loses 0.4 % per K")
    refills: float = mishap("stock is made up anew after every 5 mL of it, each time by hand: 3 % rms more or less in it")

    def scaled(self, factor: float) -> "Imperfections":
        """All imperfections times `factor`."""
        return Imperfections(**{name: factor * getattr(self, name) for name in Imperfections.stated})


class ScaledImperfections(Imperfections, ImperfectOptions):
    """Imperfections that one number makes larger or smaller together."""

    imperfections: float | Profile = option(
        1.0, "scales all fifteen sizes at once, pump_bias to clogs; 0 turns them off", allowed=(0, math.inf), changes="both"
    )

    @property
    def sizes(self) -> Imperfections:
        """The size of each.

        Raises:
            InvalidInput: One is larger than it may be.
        """
        try:
            return self.scaled(self.scale)
        except InvalidInput as error:
            raise InvalidInput(f"with imperfections = {self.scale:g}, {error}") from None


class SimulatedMixerOptions(SensorOptions, ScaledImperfections, SeedOptions):
    """Options of a simulated mixer: its sensor, its imperfections and a seed."""


class MixerOptions(SimulatedMixerOptions):
    """Options of a mixer that is chosen by name."""

    mixer: str = option(
        "simulated",
        "or emulated (the rig's firmware on an emulated board, `emulated:FAULTS` with faults), or a rig: a serial port such as "
        "/dev/ttyACM0, auto, or socket://host:port",
        changes="experiment",
    )
    bottles: str = option(
        "",
        "mL that were in bottles when the campaign began, and that were filled in since, such as `red:250+water:2000`: it ends before one "
        "is empty (those that are not named are not counted)",
        changes="experiment",
    )


def dosed(volumes: NDArray[np.float64], liquids: Liquids, imperfections: Imperfections) -> NDArray[np.float64]:
    """Volumes that arrive in the cell, mL, [..., n], when `volumes` [..., n] of the n bottles are asked for, without random errors.

    A volume of 0 is not dosed at all.
    """
    slope = np.array([b.pump.slope for b in liquids.bottles.values()])
    offset = np.array([b.pump.offset for b in liquids.bottles.values()])
    biased = volumes + imperfections.pump_bias * ((slope - 1) * volumes + offset)
    return np.where(volumes > 0, np.maximum(biased, 0.0), 0.0)


class Cell:
    """Liquids in the tubes and the cell of a mixer, and the counts of its sensor. Its user keeps the time."""

    def __init__(self, sensor: Sensor, imperfections: Imperfections, seed: Seed, liquids: Liquids) -> None:
        self._random = np.random.default_rng(seed)
        self._optics = sensor.optics
        self._imperfections, self._liquids = imperfections, liquids
        self._room_phase = self._random.uniform(0, 2 * math.pi)
        self._lamp_walk = 0.0
        self._lamp_walked_at = 0.0
        bottles = liquids.bottles
        self._dead = {name: bottle.pump.dead_volume * imperfections.dead_volume for name, bottle in bottles.items()}
        self._amounts = dict.fromkeys(liquids.strengths, 0.0)  # of what acts on light
        self._mishaps = Mishaps(imperfections, bottles, self._random)
        self._left = dict.fromkeys(bottles, VIAL)  # mL until a stock is made up anew
        self._filling = dict.fromkeys(bottles, 1.0)  # its strength, against what it should be
        self._warmth_phase = self._random.uniform(0, 2 * math.pi) if imperfections.temperature else 0.0
        self.volume = RESIDUE * imperfections.carry_over
        """mL in it."""
        self.use(sensor)

    def use(self, sensor: Sensor) -> None:
        """Use another sensor, or other registers of the same one."""
        self._sensor = sensor = replace(sensor, optics=self._optics)
        self._light = sensor.counts_per_light(cie_table()["led_b4"])
        self._room = self._light.sum(axis=1) * 0.005 * self._imperfections.room_light

    def delivered(self, bottle: str, volume: float) -> float:
        """Volume that a calibrated pump really delivers, mL, when it is asked for `volume` mL."""
        scale, pump = self._imperfections, self._liquids.bottles[bottle].pump
        volume_out = volume + scale.pump_bias * ((pump.slope - 1) * volume + pump.offset)
        if scale.pump_error:
            spread = math.hypot(0.02 * volume, 0.002)
            if pump.coasting:
                spread = math.hypot(spread, COASTING_ERROR * pump.coasting)
            volume_out += scale.pump_error * spread * self._random.standard_normal()
        return self._mishaps.left_of(max(0.0, volume_out), bottle)

    def _strength(self, bottle: str, volume: float, at: float) -> float:
        """Amount of what acts on light in a mL of the next `volume` mL of a bottle."""
        that, scale = self._liquids.bottles[bottle], self._imperfections
        strength = that.strength * (1 + that.drying * scale.evaporation * at / 3600)
        if scale.refills:
            self._left[bottle] -= volume
            if self._left[bottle] < 0:
                self._left[bottle] += VIAL
                self._filling[bottle] = max(0.0, 1 + 0.03 * scale.refills * self._random.standard_normal())
            strength *= self._filling[bottle]
        if scale.fading and that.fades:
            strength *= math.exp(-0.01 * scale.fading * at / 3600)
        return strength

    def add(self, bottle: str, volume: float, at: float) -> None:
        """Pump `volume` mL at the time `at`; they arrive, less the part that fills the tube."""
        that = self._liquids.bottles[bottle]
        if dead := self._dead[bottle]:
            self._dead[bottle] = max(0.0, dead - volume)
            volume = max(0.0, volume - dead)
        if that.strength:
            self._amounts[bottle] += volume * self._strength(bottle, volume, at)
        self.volume += volume

    def drain(self, volume: float = math.inf) -> None:
        """Let up to `volume` mL leave; a residue stays."""
        left = max(RESIDUE * self._imperfections.carry_over, self.volume - volume)
        kept = min(1.0, left / self.volume) if self.volume else 0.0
        for liquid in self._amounts:
            self._amounts[liquid] *= kept
        self.volume *= kept

    def counts(self, lamp: float, at: float) -> list[int]:
        """Counts of the sensor at the time `at`, channel by channel as in its `bands`, with the lamp on (1) or off (0)."""
        counts = self._room * (1 + math.sin(2 * math.pi * at / 1200 + self._room_phase) / 3) + self._sensor.dark
        if lamp:
            counts += lamp * self._lamp(at) * (self._light @ self.transmittance())
        digits: list[int] = self._sensor.digitized(counts, self._imperfections.sensor_noise, self._random).tolist()
        return digits

    def transmittance(self) -> NDArray[np.float64]:
        """Transmittance of the liquid in the cell, [81]."""
        volume = self.volume or 1.0  # an empty cell holds no liquid either
        return self._liquids.light(np.array([amount / volume for amount in self._amounts.values()]))

    def _lamp(self, at: float) -> float:
        warmth = self._imperfections.temperature * 2 * math.sin(2 * math.pi * at / 28_800 + self._warmth_phase)  # K
        scale = self._imperfections.lamp_drift
        if not scale:
            return 1 - 0.004 * warmth
        minutes = (at - self._lamp_walked_at) / 60
        self._lamp_walk += 0.001 * math.sqrt(minutes) * self._random.standard_normal()
        self._lamp_walked_at = at
        return 1 + scale * (self._lamp_walk - 0.03 * (1 - math.exp(-at / 600))) - 0.004 * warmth


@dataclass
class SimulatedMixer:
    """Bottles with pumps, a stirred cell, a white LED and a color sensor on a virtual clock; it counts time, money and liquid."""

    sensor: Sensor
    imperfections: Imperfections = Imperfections()
    seed: Seed = 0
    liquids: Liquids = DYED_WATER
    clock: float = field(default=0.0, init=False)
    """Virtual time since the mixer was made, s."""
    used: dict[str, float] = field(init=False)
    """mL of each liquid pumped so far; what was pumped ends as waste."""

    def __post_init__(self) -> None:
        self._cell = Cell(self.sensor, self.imperfections, self.seed, self.liquids)
        self._stop = threading.Event()
        self._stop.set()  # until somebody connects
        self.used = dict.fromkeys(self.liquids.bottles, 0.0)

    @property
    def specification(self) -> MixerSpecification:
        return replace(SPECIFICATION, smallest=self.liquids.smallest, filled=self.liquids.filled)

    @property
    def spent(self) -> Amounts:
        return Amounts(seconds=self.clock, money=self.liquids.money(self.used), volume=sum(self.used.values()))

    def __enter__(self) -> Self:
        self._stop.clear()
        return self

    def identify(self) -> str:
        return f"frugaltwin simulated mixer, {self.sensor.name}"

    def dispense(self, pump: str, volume: float) -> None:
        that = self.liquids.bottles[pump].pump
        if 0 < volume < that.smallest:
            raise RigFault(f"{volume:g} mL of {pump} is less than its pump can deliver: {that.smallest:g} mL, since it coasts")
        self._begin(volume)
        delivered = self._cell.delivered(pump, volume)
        self.clock += max(0.0, volume - that.coasting) / that.rate + SETTLE
        self.used[pump] += delivered
        self._cell.add(pump, delivered, self.clock)

    def mix(self, seconds: float) -> None:
        self._begin()
        self.clock += seconds

    def read(self, lamp: bool = True) -> Reading:
        self._begin()
        self.clock += self.sensor.read_seconds
        counts = self._cell.counts(float(lamp), self.clock)
        return Reading(dict(zip(self.sensor.bands, counts, strict=True)), self.sensor.full_scale)

    def rinse(self, volume: float) -> None:
        self._begin(volume)
        self.clock += volume / RATE + SETTLE
        self.used["water"] += volume
        self._cell.volume += volume

    def drain(self) -> None:
        self._begin()
        self.clock += DRAIN_SECONDS
        self._cell.drain()

    def dose(self, pump: str, volume: float | str) -> Dose:
        return Dose(volume, 1 / RATE, self.liquids.money({pump: 1.0}), besides=SETTLE)

    def price(self, instruction: str, amount: float = 0.0, pump: str = "water") -> Amounts:
        if instruction in ("dispense", "rinse"):
            return self.dose(pump, amount).amounts
        seconds = {"mix": amount, "read": self.sensor.read_seconds, "drain": DRAIN_SECONDS}
        return Amounts(seconds=seconds[instruction])

    def stop(self) -> None:
        self._stop.set()

    def __exit__(self, *failure: object) -> None:
        self._stop.set()

    def _begin(self, volume: float = 0.0) -> None:
        if self._stop.is_set():
            raise Stopped("the mixer was stopped, or it is not connected")
        if not 0 <= volume <= CELL_VOLUME - self._cell.volume:
            raise RigFault(f"{volume:g} mL does not fit into the cell: {self._cell.volume:.2f} of {CELL_VOLUME:g} mL are in it")


def simulated_mixer(words: str, sensor: Sensor, imperfections: Imperfections, seed: Seed, liquids: Liquids) -> SimulatedMixer:
    """The mixer ``simulated`` of the catalog.

    Raises:
        InvalidInput: `words` ask for something; it has nothing to choose.
    """
    if words:
        raise InvalidInput(f"mixer = simulated:{words}: the simulated mixer has nothing to choose; write mixer=simulated")
    return SimulatedMixer(sensor, imperfections, seed, liquids)
