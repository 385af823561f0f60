"""Simulated pumps, liquids, cell and lamp on the emulated board. The physics is that of the simulated mixer."""

from collections import deque
from collections.abc import Sequence

from hardware.emulator.engine import LAMP, PUMPS, Edge, Exposure
from hardware.emulator.faults import Fault
from simulator.instruments.liquids import Liquids
from simulator.instruments.mishaps import BUBBLE
from simulator.instruments.mixer import CELL_VOLUME, RATE, Cell, Imperfections, Seed
from simulator.instruments.sensors import AS7341_GAINS, TCS34725_GAINS, Sensor, make_sensor

LEAK = 0.02  # mL/s that a stopped pump siphons
DRAIN_PUMP = PUMPS[-1]


class Plant:
    """The rig around the board: run times of pumps become liquids in a cell, and liquids become counts."""

    def __init__(self, sensor: Sensor, imperfections: Imperfections, seed: Seed, liquids: Liquids, faults: Sequence[Fault] = ()) -> None:
        self.cell = Cell(sensor, imperfections, seed, liquids)
        self.outputs = [0.0] * 8
        """The duty of every output of the board now."""
        self.asked = dict.fromkeys(liquids.bottles, 0.0)
        """mL that every pump should have delivered by the time it ran."""
        self.delivered = [0.0] * len(PUMPS)
        """mL that came out of every pump: what scales under the outlets would show."""
        self.n_runs = [0] * len(PUMPS)
        """Number of starts of each pump."""
        self.beaker: float | None = None
        """mL in a beaker that stands under the tubes in the place of the cell; None when none does."""
        self.spilled = 0.0
        """mL that did not fit into the cell."""
        self._liquids, self._faults = liquids, faults
        self._bottles = list(liquids.bottles)
        self._since = [0.0] * len(PUMPS)
        self._at = 0.0
        self._registers: tuple[int, ...] = sensor.registers
        self._readings: deque[list[int]] = deque(maxlen=sensor.passes)  # the last of each pass
        self._bubbles = {fault for fault in faults if fault.name == "bubble"}

    def follow(self, edges: Sequence[Edge], now: float) -> None:
        """Apply the changes of the outputs until `now`, s."""
        for edge in edges:
            self._leak(edge.at)
            if edge.output in PUMPS:
                self._ran(edge.output, edge.at, stops=not edge.duty)
                self.n_runs[edge.output] += not self.outputs[edge.output] and edge.duty > 0
            self.outputs[edge.output] = edge.duty
        self._leak(now)

    def counts(self, exposure: Exposure) -> list[int]:
        """Counts of the sensor at the end of an exposure, in the order of its chip."""
        if len(self._readings) == self._readings.maxlen and self._active("stuck-sensor", exposure.at):
            self._readings.rotate(-1)
            return self._readings[-1]
        self._readings.append(counts := self._fresh_counts(exposure))
        return counts

    def _fresh_counts(self, exposure: Exposure) -> list[int]:
        registers = (exposure.gain, exposure.atime, exposure.astep)
        if registers != self._registers:
            self._registers = registers
            self.cell.use(_sensor(exposure))
        lamp = 0.0 if self._active("dead-lamp", exposure.at) else self.outputs[LAMP]
        counts = self.cell.counts(lamp, exposure.at)
        if exposure.sensor == "as7341":
            return [*counts, 0]  # the lamp has no near infrared
        red, green, blue, clear = counts
        return [clear, red, green, blue]

    def color(self) -> str:
        """Color seen through the cell, as #rrggbb."""
        from frugaltwin.color import hex_code, lab, transmitted_weights

        weights = transmitted_weights()
        return hex_code(tuple(lab(self.cell.transmittance() @ weights, weights.sum(axis=0)).tolist()))

    def _ran(self, pump: int, at: float, stops: bool) -> None:
        """Move the liquid that a pump delivered since its duty last changed, and what it delivers while it runs down if it stops."""
        duty, seconds = self.outputs[pump], at - self._since[pump]
        self._since[pump] = at
        if not duty:
            return
        if pump == DRAIN_PUMP:
            volume = duty * seconds * RATE
            self.delivered[pump] += volume
            if self.beaker is None:
                self.cell.drain(volume)
            else:
                self.beaker += volume
            return
        if pump >= len(self._bottles):
            return  # nothing hangs on it
        bottle = self._bottles[pump]
        that = self._liquids.bottles[bottle].pump
        volume = duty * seconds * that.rate + (that.coasting if stops else 0.0)
        self.asked[bottle] += volume
        if self._active("silent-pump", at, bottle) or self._active("empty-bottle", at, bottle):
            return
        delivered = self.cell.delivered(bottle, volume)
        for bubble in self._bubbles.intersection(self._active("bubble", at, bottle)):
            self._bubbles.remove(bubble)
            delivered = max(0.0, delivered - BUBBLE)
        self.delivered[pump] += delivered
        self._pour(bottle, delivered, at)

    def _leak(self, now: float) -> None:
        """Let liquid siphon until `now`."""
        seconds, self._at = now - self._at, now
        if seconds <= 0 or not self._faults:
            return
        for pump, bottle in enumerate(self._bottles):
            if not self.outputs[pump] and self._active("siphoning", now, bottle):
                self.delivered[pump] += LEAK * seconds
                self._pour(bottle, LEAK * seconds, now)

    def _pour(self, bottle: str, volume: float, at: float) -> None:
        if self.beaker is not None:
            self.beaker += volume
            return
        self.cell.add(bottle, volume, at)
        if (spilled := self.cell.volume - CELL_VOLUME) > 0:
            self.spilled += spilled
            self.cell.drain(spilled)

    def _active(self, name: str, at: float, liquid: str = "") -> list[Fault]:
        return [f for f in self._faults if (f.name, f.liquid) == (name, liquid) and f.at <= at < f.at + f.lasts]


def _sensor(exposure: Exposure) -> Sensor:
    """The sensor with the registers that the firmware has set."""
    if exposure.sensor == "as7341":
        return make_sensor("as7341", {"gain": AS7341_GAINS[exposure.gain], "atime": exposure.atime, "astep": exposure.astep})
    return make_sensor("tcs34725", {"gain": TCS34725_GAINS[exposure.gain], "cycles": 256 - exposure.atime})
