"""Mixing three dyes and water until the liquid has a target color: the driver for every mixer, and its twin.

`ColorMixing` performs one procedure over whichever mixer it is given. `ColorMixingTwin` gives it a simulated one and knows
the truth. Its docstring is the data sheet.
"""

from collections.abc import Sequence
from functools import cache
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from frugaltwin.color import cie_table, lab, transmitted_weights
from frugaltwin.costs import Cost
from frugaltwin.errors import DriverError, RigFault
from frugaltwin.experiment import BeerLambert, Colorimetry, Continuous, Experiment, Measurement, MixtureSum, Outcome, Settings, Trial
from frugaltwin.instruments import Mixer, Reading
from frugaltwin.procedure import Dispense, Drain, Mix, Procedure, Read, Rinse
from simulator.dyes import DYES, transmittance
from simulator.mixer import PATH, PUMPS, RESIDUE, STOCKS, Imperfections, SimulatedMixer
from simulator.sensors import Sensor, make_sensor

DOSE = 1.0  # mL: the most of one dye
TOTAL = 4.0  # mL: what every mixture adds up to

REFERENCES = Procedure((Rinse(TOTAL), Mix(5.0), Read(lamp=False), Read(lamp=True), Drain()))
PRIME = Procedure((*(Dispense(pump, PUMPS[pump].dead_volume) for pump in PUMPS), Drain(), Rinse(TOTAL), Drain(), Rinse(TOTAL), Drain()))
ONE_COLOR = Procedure(
    (*(Dispense(pump, pump) for pump in PUMPS), Mix(25.0), Read(lamp=True), Drain(), Rinse(TOTAL), Mix(8.0), Drain())
)  # fmt: skip
REFERENCE_EVERY = 5  # colors between two looks at clean water: the lamp drifts


def spectral_lab(transmitted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lab [..., 3] that an eye sees under D65 through a liquid of transmittance [..., 81]."""
    white: NDArray[np.float64] = transmitted_weights().sum(axis=0)
    color: NDArray[np.float64] = lab(transmitted @ transmitted_weights(), white)
    return color


def channel_weights(sensor: Sensor) -> NDArray[np.float64]:
    """The matrix [81, n] from a transmittance spectrum to the referenced color channels: clean water reads 1."""
    names = list(sensor.bands)
    rows = sensor.counts_per_light(cie_table()["led_b4"])[[names.index(c) for c in sensor.color_channels]]
    weights: NDArray[np.float64] = (rows / rows.sum(axis=1, keepdims=True)).T
    return weights


def channels(volumes: NDArray[np.float64], sensor: Sensor, imperfections: Imperfections) -> NDArray[np.float64]:
    """Noise-free channel transmittances [..., n] of the color channels for volumes [..., 4] of red, yellow, blue and water, mL.

    What is systematic on a rig is in it (what the pump calibration left over, and the clean residue of the last rinse); what is
    random, drifts or remembers is not.
    """
    slope = np.array([p.slope for p in PUMPS.values()])
    offset = np.array([p.offset for p in PUMPS.values()])
    biased = volumes + imperfections.pump_bias * ((slope - 1) * volumes + offset)
    delivered = np.where(volumes > 0, np.maximum(biased, 0.0), 0.0)
    total = delivered.sum(axis=-1, keepdims=True) + RESIDUE * imperfections.carry_over
    concentrations = delivered[..., :3] * np.array(list(STOCKS.values())) / total
    result: NDArray[np.float64] = transmittance(concentrations, PATH) @ channel_weights(sensor)
    return result


@cache
def calibration(name: str) -> Colorimetry:
    """How the channels of a sensor become XYZ, as a lab calibrates it: by least squares on reference liquids of known color.

    512 mixtures of the three dyes (Sobol), weighted by Y^(-2/3) so that dark ones count as much to the eye; clean water is
    exactly white.
    """
    sensor = make_sensor(name, {})
    doses = qmc.Sobol(3, seed=0).random(512) * DOSE * np.array(list(STOCKS.values())) / TOTAL
    spectra = transmittance(doses, PATH)
    read, known = spectra @ channel_weights(sensor), spectra @ transmitted_weights()
    white = transmitted_weights().sum(axis=0)
    # M·1 = white is built in: M = white/n + N with N·1 = 0, that is, N acts on the differences from the mean channel.
    spread = read - read.mean(axis=1, keepdims=True)
    weight = known[:, 1:2] ** (-2 / 3)
    rest = known - read.mean(axis=1, keepdims=True) * white
    n = np.linalg.lstsq(
        np.vstack([spread * weight, np.full((1, read.shape[1]), 1e3)]), np.vstack([rest * weight, np.zeros((1, 3))]), rcond=1e-6
    )[0]
    matrix = n.T - n.T.mean(axis=1, keepdims=True) + white[:, None] / read.shape[1]
    return Colorimetry(
        tuple(f"t_{c}" for c in sensor.color_channels),
        tuple(tuple(float(v) for v in row) for row in matrix),
        (float(white[0]), float(white[1]), float(white[2])),
    )


def experiment(sensor: Sensor) -> Experiment:
    """What a color mixer with this sensor can be asked to do."""
    law = BeerLambert(absorbers=tuple(DYES))
    return Experiment(
        name="color-mixing",
        parameters=(
            *(Continuous(dye, 0.0, DOSE, "mL", f"{dye} dye") for dye in DYES),
            Continuous("water", TOTAL - DOSE * len(DYES), TOTAL, "mL", "water"),
        ),
        outcomes=tuple(
            Outcome(f"t_{c}", "1", f"light left in the channel at {c}{' nm' if c.isdigit() else ''}; clean water is 1", law=law)
            for c in sensor.color_channels
        ),
        constraints=(MixtureSum((*DYES, "water"), TOTAL, "mL"),),
        color=calibration(sensor.name),
    )


class ColorMixing:
    """Mixes dyes and reads the color, on any `Mixer`. Satisfies `Driver` and `Estimates`."""

    def __init__(self, mixer: Mixer, sensor: Sensor) -> None:
        self.experiment = experiment(sensor)
        self._mixer = mixer
        self._channels = sensor.color_channels
        self._performed = 0
        self._is_connected = False
        self._before = mixer.spent
        self._references: tuple[Reading, Reading] | None = None

    def __enter__(self) -> Self:
        self._mixer.__enter__()
        try:
            self._mixer.identify()
            PRIME.perform(self._mixer, {})
            self._read_references()
        except BaseException:
            self.__exit__()  # `with` does not leave what it could not enter
            raise
        self._is_connected = True
        return self

    def perform(self, settings: Settings) -> Measurement:
        try:
            outcomes, raw = self._outcomes(settings)
        except DriverError as error:
            error.cost = self._cost_since_last()
            raise
        return Measurement(outcomes, self._cost_since_last(), raw)

    def _outcomes(self, settings: Settings) -> tuple[dict[str, float], dict[str, float | str]]:
        if self._is_reference_due:
            self._read_references()
        self._performed += 1
        (reading,) = ONE_COLOR.perform(self._mixer, settings)
        assert self._references is not None, "a mixer that was never connected performs nothing"
        dark, white = self._references
        for channel, count in reading.counts.items():
            if count >= reading.full_scale:
                raise RigFault(f"channel {channel} saturated at {count} counts; lower the sensor's gain or integration time")
        outcomes = {
            f"t_{c}": (reading.counts[c] - dark.counts[c]) / (white.counts[c] - dark.counts[c]) for c in self._channels
        }  # fmt: skip
        raw: dict[str, float | str] = {f"counts_{c}": count for c, count in reading.counts.items()}
        raw |= {f"dark_{c}": count for c, count in dark.counts.items()}
        raw |= {f"white_{c}": count for c, count in white.counts.items()}
        return outcomes, raw

    def _cost_since_last(self) -> Cost:
        now = self._mixer.spent
        cost, self._before = now - self._before, now
        return cost

    def estimate(self, settings: Settings) -> Cost:
        color = ONE_COLOR.estimate(self._mixer, settings)
        if not self._is_connected:
            return PRIME.estimate(self._mixer, {}) + REFERENCES.estimate(self._mixer, {}) + color
        return REFERENCES.estimate(self._mixer, {}) + color if self._is_reference_due else color

    @property
    def _is_reference_due(self) -> bool:
        return self._performed > 0 and self._performed % REFERENCE_EVERY == 0

    def stop(self) -> None:
        self._mixer.stop()

    def __exit__(self, *failure: object) -> None:
        self._is_connected = False
        self._mixer.__exit__(*failure)

    def _read_references(self) -> None:
        dark, white = REFERENCES.perform(self._mixer, {})
        for channel, count in white.counts.items():
            if count >= white.full_scale:
                raise RigFault(f"channel {channel} saturated on clean water at {count} counts; lower the sensor's gain or integration time")
            if count - dark.counts[channel] < 20:
                raise RigFault(
                    f"channel {channel} sees no light on clean water ({count} counts); raise the sensor's gain or integration time"
                )
        self._references = dark, white


class ColorMixingTwin(ColorMixing):
    """Liquid color mixing: three food dyes and water in a stirred cell, a white LED and a color sensor.

    **Equation.** Dyes absorb independently (Beer-Lambert): T(λ) = 10^(-path · Σ c_i ε_i(λ)), path 1 cm. A channel reads the
    mean of T over its band and the LED's spectrum (CIE LED-B4); XYZ = M · channels with M calibrated on known mixtures; Lab
    under D65, 2° observer; color differences are CIEDE2000.
    Source: Swinehart, J. Chem. Educ. 39 (1962) 333, doi:10.1021/ed039p333. Absorption of the dyes: `simulator.dyes`.

    ============== ============= ====== ==========================================================================
    parameter      limits        unit   meaning
    ============== ============= ====== ==========================================================================
    red            0 … 1         mL     stock solution of the red dye (0.26 µL of food color per mL)
    yellow         0 … 1         mL     stock solution of the yellow dye (0.30 µL/mL)
    blue           0 … 1         mL     stock solution of the blue dye (0.13 µL/mL)
    water          1 … 4         mL     water; all four add up to 4 mL
    ============== ============= ====== ==========================================================================

    Outcomes are transmittances against clean water, (x - dark) / (white - dark): ``t_415 … t_680`` (AS7341) or
    ``t_red t_green t_blue`` (TCS34725). `L`, `a` and `b` are derived from them.

    ============== ============= =================================================================================
    option         default       meaning
    ============== ============= =================================================================================
    sensor         as7341        or tcs34725
    gain           64 (4)        the sensor's gain: 0.5 … 512 (1, 4, 16, 60)
    atime, astep   29, 599       AS7341: integration time (ATIME+1)(ASTEP+1)·2.78 µs, full scale (ATIME+1)(ASTEP+1)
    cycles         21            TCS34725: integration time cycles · 2.4 ms, full scale 1024·cycles
    imperfections  1             scales all of the next eight at once; 0 turns them off
    pump_bias      1             slope and offset that the pump calibration left over (up to 1.3 % and 6 µL)
    pump_error     1             repeat error of a dose: 2 % of it and 2 µL, rms
    carry_over     1             0.3 mL of the last liquid stay in the drained cell; one rinse of 4 mL thins it
    sensor_noise   1             shot noise (0.065 counts² per count) and read noise (0.6 counts)
    lamp_drift     1             3 % warm-up in 10 min and a random walk of 0.1 % per root minute
    room_light     1             0.5 % of the lamp's light, changing by a third with a period of 20 min
    evaporation    1             stock solutions get stronger by 0.5 % per hour
    dead_volume    1             0.25 mL of tube per pump, empty on connecting; priming makes up for 1, not for more
    seed           0             of everything random
    ============== ============= =================================================================================

    **Time and money.** A color takes about 55 s of lab time (dose, stir, read, drain, rinse, drain); connecting primes the
    pumps, and every fifth color clean water is read again. Stock solution costs 0.02 USD/mL, water 0.0005, waste 0.001
    (assumptions).

    **Truth** (`--noise-free`): what is systematic stays (pump_bias, the clean residue of the rinse); what is random, drifts or
    remembers is off.

    **Valid** for clear solutions of dyes up to an absorbance of about 2. **Leaves out** scattering, incomplete mixing, bubbles,
    siphoning, temperature, and reactions between dyes.

    **Twin of** an Arduino with five peristaltic pumps and a color sensor (as PumpBot and CLSLab:Liquid are).
    """

    def __init__(
        self,
        sensor: Literal["as7341", "tcs34725"] = "as7341",
        gain: float | None = None,
        atime: int | None = None,
        astep: int | None = None,
        cycles: int | None = None,
        imperfections: float = 1.0,
        pump_bias: float = 1.0,
        pump_error: float = 1.0,
        carry_over: float = 1.0,
        sensor_noise: float = 1.0,
        lamp_drift: float = 1.0,
        room_light: float = 1.0,
        evaporation: float = 1.0,
        dead_volume: float = 1.0,
        seed: int = 0,
    ) -> None:
        registers = {"gain": gain, "atime": atime, "astep": astep, "cycles": cycles}
        self._sensor = make_sensor(sensor, {name: v for name, v in registers.items() if v is not None})
        each = Imperfections(pump_bias, pump_error, carry_over, sensor_noise, lamp_drift, room_light, evaporation, dead_volume)
        self._imperfections = each.scaled(imperfections)
        self._seed = seed
        super().__init__(SimulatedMixer(self._sensor, self._imperfections, seed), self._sensor)

    def resume(self, trials: Sequence[Trial]) -> None:
        """Draw other random numbers than the earlier sessions did."""
        super().__init__(SimulatedMixer(self._sensor, self._imperfections, (self._seed, len(trials))), self._sensor)

    def truth(self, settings: Settings) -> dict[str, float]:
        """The noise-free outcomes: see the data sheet for what stays and what is off."""
        volumes = np.array([float(settings[p.name]) for p in self.experiment.parameters])
        values = channels(volumes, self._sensor, self._imperfections)
        return {o.name: float(v) for o, v in zip(self.experiment.outcomes, values, strict=True)}
