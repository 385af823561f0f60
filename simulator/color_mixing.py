"""Mixing three dyes and water until the liquid has a target color: the driver for every mixer, and its twin.

`ColorMixing` performs one procedure over whichever mixer it is given, `ColorMixingTwin` over one whose truth is known. The
docstring of `color_mixing` is the data sheet.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugaltwin.catalog import is_twin, make_mixer
from frugaltwin.color import lab, transmitted_weights
from frugaltwin.data_sheets import option, takes
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Colorimetry, Continuous, Experiment, MixtureSum, Outcome, Outcomes, Settings
from frugaltwin.instruments import Mixer
from frugaltwin.instruments.procedure import Dispense, Drain, Mix, Procedure, Read, Rinse
from simulator.instruments.color_channels import channel_weights, color_matrix, reference_mixtures
from simulator.instruments.dyed_water import DYED_WATER, DYES, LAW, PATH, PUMPS, STOCKS, DyedWater, dyed_water, transmittance
from simulator.instruments.instrument_twin import InstrumentTwin
from simulator.instruments.liquids import Liquids
from simulator.instruments.mixer import RESIDUE, Imperfections, MixerOptions, Seed, dosed
from simulator.instruments.photometry import Photometer, Workflow, filling
from simulator.instruments.rig_options import RigOptions, offset, slope
from simulator.instruments.sensors import Sensor, make_sensor

DOSE = 1.0  # mL: the most of one dye
TOTAL = 4.0  # mL: what every mixture adds up to

REFERENCES = Procedure((Rinse(TOTAL), Mix(5.0), Read(lamp=False), Read(lamp=True), Drain()))
ONE_COLOR = Procedure(
    (*(Dispense(pump, pump) for pump in PUMPS), Mix(25.0), Read(lamp=True), Drain(), Rinse(TOTAL), Mix(8.0), Drain())
)  # fmt: skip


def prime(smallest: Mapping[str, float]) -> Procedure:
    """The procedure on connecting.

    Args:
        smallest: The smallest doses, mL, of pumps that can deliver no less.
    """
    tubes = {name: pump.dead_volume for name, pump in PUMPS.items()}
    return Procedure((*filling(tubes, smallest), Drain(), Rinse(TOTAL), Drain(), Rinse(TOTAL), Drain()))


def spectral_lab(transmitted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lab [..., 3] that an eye sees under D65 through a liquid of transmittance [..., 81]."""
    white: NDArray[np.float64] = transmitted_weights().sum(axis=0)
    color: NDArray[np.float64] = lab(transmitted @ transmitted_weights(), white)
    return color


def channels(
    volumes: NDArray[np.float64], sensor: Sensor, imperfections: Imperfections, liquids: Liquids = DYED_WATER
) -> NDArray[np.float64]:
    """Noise-free channel transmittances [..., n] of the color channels for volumes [..., 4] of red, yellow, blue and water, mL.

    What is systematic on a rig is in it (what the pump calibration left over, and the clean residue of the last rinse); what is
    random, drifts or remembers is not.
    """
    delivered = dosed(volumes, liquids, imperfections)
    total = delivered.sum(axis=-1, keepdims=True) + RESIDUE * imperfections.carry_over
    concentrations = delivered[..., :3] * np.array(list(liquids.strengths.values())) / total
    result: NDArray[np.float64] = liquids.light(concentrations) @ channel_weights(sensor)
    return result


@cache
def calibration(name: str) -> Colorimetry:
    """Conversion of the channels of a sensor to XYZ, as a lab calibrates it: by least squares on reference liquids of known color.

    512 mixtures of the three dyes; clean water is exactly white.
    """
    sensor = make_sensor(name, {})
    doses = reference_mixtures() * DOSE * np.array(list(STOCKS.values())) / TOTAL
    spectra = transmittance(doses)
    read, known = spectra @ channel_weights(sensor), spectra @ transmitted_weights()
    white = transmitted_weights().sum(axis=0)
    matrix = color_matrix(read, known, white)
    return Colorimetry(
        tuple(f"t_{c}" for c in sensor.color_channels),
        tuple(tuple(float(v) for v in row) for row in matrix),
        (float(white[0]), float(white[1]), float(white[2])),
    )


def experiment(sensor: Sensor, smallest: Mapping[str, float] = MappingProxyType({})) -> Experiment:
    """The experiment of a color mixer with this sensor.

    Args:
        smallest: The smallest doses, mL, of pumps that can deliver no less.
    """
    return Experiment(
        name="color-mixing",
        parameters=(
            *(Continuous(dye, 0.0, DOSE, "mL", f"{dye} dye", smallest=smallest.get(dye, 0.0)) for dye in DYES),
            Continuous("water", TOTAL - DOSE * len(DYES), TOTAL, "mL", "water"),
        ),
        outcomes=tuple(
            Outcome(f"t_{c}", "1", f"light left in the channel at {c}{' nm' if c.isdigit() else ''}; clean water is 1", law=LAW)
            for c in sensor.color_channels
        ),
        constraints=(MixtureSum((*DYES, "water"), TOTAL, "mL"),),
        color=calibration(sensor.name),
    )


class ColorMixing(Photometer):
    """Mixes dyes and reads the color, on any `Mixer`. Satisfies `Driver` and `Estimates`."""

    def __init__(self, mixer: Mixer, sensor: Sensor) -> None:
        smallest = mixer.specification.smallest
        super().__init__(mixer, experiment(sensor, smallest), Workflow(prime(smallest), REFERENCES, ONE_COLOR))
        self._channels = sensor.color_channels

    def _outcomes(self, settings: Settings, light: Mapping[str, float]) -> Outcomes:
        return {f"t_{c}": light[c] for c in self._channels}


class ColorMixingTwin(InstrumentTwin[ColorMixing]):
    """The same over a mixer whose liquids are computed: it knows the truth."""

    def __init__(
        self,
        make: Callable[[Seed], Mixer],
        sensor: Sensor,
        imperfections: Imperfections,
        seed: int = 0,
        liquids: Liquids = DYED_WATER,
    ) -> None:
        """A twin.

        Args:
            make: A new mixer for a seed, with this sensor, these imperfections and these liquids.
        """
        super().__init__(lambda random: ColorMixing(make(random), sensor), seed)
        self._sensor, self._imperfections, self._liquids = sensor, imperfections, liquids

    @property
    def mixer(self) -> Mixer:
        """The mixer whose liquids are computed."""
        return self._driver.mixer

    def truth(self, settings: Settings) -> dict[str, float]:
        """The noise-free outcomes: see the data sheet for what stays and what is off."""
        volumes = np.array([float(settings[p.name]) for p in self.experiment.parameters])
        values = channels(volumes, self._sensor, self._imperfections, self._liquids)
        return {o.name: float(v) for o, v in zip(self.experiment.outcomes, values, strict=True)}


def _strength(dye: str, drawn: tuple[float, float]) -> Any:
    words = f"µL of food color in a mL of the {dye} stock (as measured peaks of doses scatter, and 5 %, assumed, for a stock made by hand)"
    return option(STOCKS[dye], words, drawn=drawn, allowed=(0, 10))


def _hue(dye: str, drawn: tuple[float, float]) -> Any:
    return option(
        0.0,
        f"by how much the {dye} dye absorbs at longer wavelengths (as peaks in the literature differ)",
        "nm",
        drawn=drawn,
        allowed=(-30, 30),
    )


class ColorMixingOptions(RigOptions, MixerOptions):
    """Options of a mixer of dyes."""

    in_bottles = frozenset(f"{what}_{dye}" for what in ("strength", "hue") for dye in DYES)

    strength_red: float | None = _strength("red", (0.24, 0.28))
    strength_yellow: float | None = _strength("yellow", (0.25, 0.38))
    strength_blue: float | None = _strength("blue", (0.11, 0.15))
    hue_red: float | None = _hue("red", (-3, 3))
    hue_yellow: float | None = _hue("yellow", (-1, 1))
    hue_blue: float | None = _hue("blue", (-1, 1))
    path: float | None = option(PATH, "of the light in the cell (range assumed)", "cm", drawn=(0.97, 1.03), allowed=(0.1, 10))
    slope_red: float | None = slope("red", PUMPS["red"].slope)
    slope_yellow: float | None = slope("yellow", PUMPS["yellow"].slope)
    slope_blue: float | None = slope("blue", PUMPS["blue"].slope)
    slope_water: float | None = slope("water", PUMPS["water"].slope)
    offset_red: float | None = offset("red", PUMPS["red"].offset)
    offset_yellow: float | None = offset("yellow", PUMPS["yellow"].offset)
    offset_blue: float | None = offset("blue", PUMPS["blue"].offset)
    offset_water: float | None = offset("water", PUMPS["water"].offset)

    @property
    def liquids(self) -> Liquids:
        """The liquids in the bottles, at their pumps."""
        k = self.constants
        light = DyedWater(tuple(k[f"hue_{dye}"] for dye in DYES), k["path"])
        return dyed_water({dye: k[f"strength_{dye}"] for dye in DYES}, self.pumps(PUMPS), light)


@takes(ColorMixingOptions)
def color_mixing(options: ColorMixingOptions) -> ColorMixing | ColorMixingTwin:
    """Liquid color mixing: three food dyes and water in a stirred cell, a white LED and a color sensor.

    **Equation.** Dyes absorb independently (Beer-Lambert): T(λ) = 10^(-path · Σ c_i ε_i(λ)), path 1 cm. A channel reads the
    mean of T over its band and the LED's spectrum (CIE LED-B4); XYZ = M · channels with M calibrated on known mixtures; Lab
    under D65, 2° observer; color differences are CIEDE2000.
    Source: Swinehart, J. Chem. Educ. 39 (1962) 333, doi:10.1021/ed039p333 (not opened when this sheet was last checked).
    Absorption of the dyes: `simulator.instruments.dyed_water`.

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

    **Options**: `ColorMixingOptions`.

    **Another lab.** With `system` the rig and what is in its bottles are others, and with `batch` only the bottles. The matrix that turns
    channels into a color is that of system 0 in every lab: it belongs to the kind of sensor. How bright lamp and channels are divides out,
    since clean water is read as well.

    What a calibration leaves over is up to 1.3 % and 6 µL. One rinse of 4 mL thins what stays in the cell. Without light the sensor
    counts 2 with its usual registers; dark counts and the noise of a count grow with gain and integration time (to 5 counts at the
    highest gain and 100 ms: assumed, since the data sheets of the two could not be opened).

    **Time and money.** A color takes about 55 s of lab time (dose, stir, read, drain, rinse, drain); connecting primes the
    pumps, and every fifth color clean water is read again. Stock solution costs 0.02 USD/mL, water 0.0005, waste 0.001
    (assumptions).

    **Truth** (`--noise-free`): what is systematic stays (pump_bias, the clean residue of the rinse); what is random, drifts or
    remembers is off.

    **Valid** for clear solutions of dyes up to an absorbance of about 2. **Leaves out** scattering, incomplete mixing, siphoning,
    the temperature of the liquids, and reactions between dyes.

    **Twin of** an Arduino with five peristaltic pumps and a color sensor (as PumpBot and CLSLab:Liquid are).
    """
    sensor, imperfections, liquids = (
        replace(options.make_sensor(), optics=options.optics),
        options.sizes,
        options.liquids.counted(options.bottles),
    )

    def make(seed: Seed) -> Mixer:
        return make_mixer(options.mixer, sensor=sensor, imperfections=imperfections, seed=seed, liquids=liquids)

    if is_twin(options.mixer):
        return ColorMixingTwin(make, sensor, imperfections, options.seed, liquids)
    if options.constants != ColorMixingOptions().constants:
        raise InvalidInput(f"{options.mixer} is a rig, which has liquids, pumps and a sensor of its own; leave their constants out")
    return ColorMixing(make(options.seed), sensor)
