"""A mixer as a photometer: mixtures are dosed, stirred and read one after the other, against the dark and against a clean reference.

`Photometer` is the driver that `simulator.color_mixing`, `simulator.cloud_point` and `simulator.paint_mixing` share. It works on any
`Mixer` and has no imperfection of its own.
"""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from frugaltwin.amounts import Amounts
from frugaltwin.errors import DriverError, RigFault
from frugaltwin.experiment import Experiment, Measurement, Outcomes, Settings, Trial
from frugaltwin.instruments import Mixer, Reading
from frugaltwin.instruments.procedure import Dispense, Procedure, Rinse
from frugaltwin.prices import Fixed, Price

FAINT = 0.01
"""Of the reference's light, all channels together: a mixture that leaves less makes one look at the lamp. The darkest of ours leave 3 %."""
LEAST = 20  # counts by which the lamp has to raise a channel that is read through the reference
BRIGHT = 100  # counts that cannot be the same in all channels, lamp on or off, unless the sensor repeats itself


RESERVE = 1.0  # mL that stay in a bottle: its tube does not reach the last of it
MORE = 1.03  # times as much as was asked for may have been pumped: a calibration leaves 1 %, and some µL of a dose


def filling(tubes: Mapping[str, float], smallest: Mapping[str, float]) -> list[Dispense]:
    """Doses that fill tubes of these volumes, mL, each at least as large as its pump can deliver."""
    return [Dispense(pump, max(volume, smallest.get(pump, 0.0))) for pump, volume in tubes.items()]


@dataclass(frozen=True)
class Workflow:
    """Procedures of a photometer. Every one leaves the cell drained."""

    prime: Procedure
    """Procedure on connecting, which fills the tubes."""
    reference: Procedure
    """Gives two readings: the dark, then the lamp through the clean reference."""
    sample: Procedure
    """Gives one reading, of the mixture that the settings ask for."""
    clean: str = "clean water"
    """Name of the reference."""
    reference_every: int = 5
    """Samples between two looks at the reference: the lamp drifts."""


class Photometer(ABC):
    """Reads mixtures on any `Mixer`. Satisfies `Driver`, `Prices`, `Estimates` and `Calibrated`.

    A mixture that looks black, or that reads in every channel what was read before it, is believed only after another look at dark and
    clean reference: a lamp that is dark and a sensor that repeats itself fail there, by name, and what a lamp and a sensor that work
    have read is kept. So no mixture, however dark, is taken for a fault; it costs the time and the liquid of that look.
    """

    def __init__(self, mixer: Mixer, experiment: Experiment, workflow: Workflow) -> None:
        self.experiment = experiment
        self.mixer, self._workflow = mixer, workflow
        self._performed = 0
        self._is_connected = False
        self._is_clean = True
        self._before = mixer.spent
        self._references: tuple[Reading, Reading] | None = None
        self._last: tuple[Settings | None, Reading] | None = None  # the reading before, and its mixture

    @abstractmethod
    def _outcomes(self, settings: Settings, light: Mapping[str, float]) -> Outcomes:
        """Outcomes from a sample's light: a fraction of the reference's by channel, noise included, so that 1 can be exceeded."""

    def __enter__(self) -> Self:
        self.mixer.__enter__()
        try:
            self.mixer.identify()
            self._workflow.prime.perform(self.mixer, {})
            self._read_references()
        except BaseException:
            self.__exit__()  # `with` does not leave what it could not enter
            raise
        self._is_connected = self._is_clean = True
        return self

    def perform(self, settings: Settings) -> Measurement:
        try:
            outcomes, raw = self._read_sample(settings)
        except DriverError as error:
            error.cost = self._cost_since_last()
            raise
        return Measurement(outcomes, self._cost_since_last(), raw)

    def price(self) -> Price:
        workflow = self._workflow
        prime, reference = (steps.estimate(self.mixer, {}) for steps in (workflow.prime, workflow.reference))
        looks = Fixed(prime + reference, "first"), Fixed(reference, workflow.reference_every)
        return Price.of_terms([*looks, *workflow.sample.terms(self.mixer)])

    def estimate(self, settings: Settings) -> Amounts:
        performed = self._performed or 1 if self._is_connected else 0  # on connecting, the tubes were filled
        return self.price().of(settings, performed=performed)

    def lacking(self, trials: Sequence[Trial], settings: Settings) -> str | None:
        """The bottle that has to be refilled before `settings`, in a sentence; None when all that are counted hold enough.

        What is left follows from the trials: from their settings, and from all the liquid that they cost.
        """
        filled, workflow = self.mixer.specification.filled, self._workflow
        may_take = _volumes((workflow.prime, {}), (workflow.reference, {}), (workflow.sample, settings))
        for bottle, left in self.left(trials).items():
            volume = filled[bottle]
            if left < may_take[bottle] + RESERVE:
                return (
                    f"{bottle} is nearly empty: {left:.1f} mL are left, and the next experiment may take {may_take[bottle]:.1f}; "
                    f"refill it, add what you filled in to {bottle}:{volume:g} in the option bottles, and go on"
                )
        return None

    def left(self, trials: Sequence[Trial]) -> dict[str, float]:
        """Volumes that are left in the bottles that are counted, mL: at least so much."""
        filled = self.mixer.specification.filled
        used = self._used(trials) if filled else {}
        return {bottle: max(0.0, volume - MORE * used[bottle]) for bottle, volume in filled.items()}

    def _used(self, trials: Sequence[Trial]) -> dict[str, float]:
        """Volumes that trials took out of the bottles, mL: what is not in the procedures was water, to look at the reference."""
        primed, used = sum(_volumes((self._workflow.prime, {})).values()), _volumes()
        for trial in (trial for trial in trials if trial.source in ("driver", "stopped")):
            steps = [(self._workflow.sample, trial.settings)]
            more = trial.cost.volume - sum(_volumes(*steps).values())
            if more >= primed:  # it was the first after connecting
                steps.append((self._workflow.prime, {}))
                more -= primed
            for bottle, volume in [*_volumes(*steps).items(), ("water", max(0.0, more))]:
                used[bottle] += volume
        return used

    @property
    def calibration(self) -> str:
        """The id of the calibration of the mixer's pumps, once connected."""
        return self._references[1].calibration if self._references else ""

    def stop(self) -> None:
        self.mixer.stop()

    def __exit__(self, *failure: object) -> None:
        self._is_connected = False
        self.mixer.__exit__(*failure)

    @property
    def _is_reference_due(self) -> bool:
        return self._performed > 0 and self._performed % self._workflow.reference_every == 0

    def _read_sample(self, settings: Settings) -> tuple[Outcomes, dict[str, float | str]]:
        if not self._is_clean:  # a procedure failed in the middle: the contents of the cell are unknown
            self.mixer.drain()
            self._workflow.prime.perform(self.mixer, {})
            self._read_references()
        self._is_clean = False
        if self._is_reference_due:
            self._read_references()
        self._performed += 1
        (reading,) = self._workflow.sample.perform(self.mixer, settings)
        assert self._references is not None, "a mixer that was never connected performs nothing"
        dark, white = self._references
        is_doubtful = _light(reading, dark) < FAINT * _light(white, dark) or self._is_repeated(settings, reading)
        self._last = settings, reading
        if is_doubtful:
            self._read_references()
        self._is_clean = True
        for channel, count in reading.counts.items():
            if count >= reading.full_scale:
                raise RigFault(f"channel {channel} saturated at {count} counts; lower the sensor's gain or integration time")
        light = {c: (count - dark.counts[c]) / (white.counts[c] - dark.counts[c]) for c, count in reading.counts.items()}
        raw: dict[str, float | str] = {f"counts_{c}": count for c, count in reading.counts.items()}
        raw |= {f"dark_{c}": count for c, count in dark.counts.items()}
        raw |= {f"white_{c}": count for c, count in white.counts.items()}
        if reading.calibration:
            raw["calibration"] = reading.calibration
        return self._outcomes(settings, light), raw

    def _cost_since_last(self) -> Amounts:
        now = self.mixer.spent
        cost, self._before = now - self._before, now
        return cost

    def _is_repeated(self, settings: Settings, reading: Reading) -> bool:
        """Whether another mixture read the same just before, count by count."""
        return self._last is not None and self._last[0] != settings and self._last[1].counts == reading.counts

    def _read_references(self) -> None:
        clean = self._workflow.clean
        dark, white = self._workflow.reference.perform(self.mixer, {})
        self._last = None, white
        brightest = max(white.counts, key=lambda c: white.counts[c] - dark.counts[c])
        if white.counts == dark.counts and max(dark.counts.values()) >= BRIGHT:
            raise RigFault(
                f"no scatter where there must be some: the sensor repeats one reading ({white.counts[brightest]} counts in channel "
                f"{brightest}), lamp on or off; cut its power for a moment, and check its four wires"
            )
        if (more := white.counts[brightest] - dark.counts[brightest]) < LEAST:
            raise RigFault(
                f"no light above the dark: with the lamp on, {clean} reads at most {more} counts more than with it off; "
                "check the lamp and its wires, or raise the sensor's gain or integration time"
            )
        for channel, count in white.counts.items():
            if count >= white.full_scale:
                raise RigFault(f"channel {channel} saturated on {clean} at {count} counts; lower the sensor's gain or integration time")
            if count - dark.counts[channel] < LEAST:
                raise RigFault(f"channel {channel} sees no light on {clean} ({count} counts); raise the sensor's gain or integration time")
        self._references = dark, white


def _volumes(*procedures: tuple[Procedure, Settings]) -> dict[str, float]:
    """Volumes that procedures with their settings take out of the bottles, mL; 0 for a bottle that they do not touch."""
    volumes: dict[str, float] = defaultdict(float)
    for steps, settings in procedures:
        for step in steps.steps:
            if isinstance(step, Dispense):
                volumes[step.pump] += step.volume_of(settings)
            elif isinstance(step, Rinse):
                volumes["water"] += step.volume
    return volumes


def _light(reading: Reading, dark: Reading) -> int:
    """Counts above the dark, all channels together."""
    return sum(reading.counts.values()) - sum(dark.counts.values())
