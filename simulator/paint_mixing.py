"""Mixing three pigment pastes into a white base until the paint has a target color: the driver for every mixer, and its twin.

`PaintMixing` performs one procedure over whichever mixer it is given. `PaintMixingTwin` gives it a simulated one and knows the truth.
Its docstring is the data sheet. The equations stand in `simulator.equations.paints`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugaltwin.color import cie_table, transmitted_weights
from frugaltwin.data_sheets import option, takes
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Colorimetry, Continuous, Experiment, MixtureSum, Outcome, Outcomes, Settings
from frugaltwin.instruments import Mixer
from frugaltwin.instruments.procedure import Dispense, Drain, Mix, Procedure, Read, Rinse
from frugaltwin.laws import KubelkaMunk
from frugaltwin.tables import settings_array
from simulator.equations.gaussian_bands import Bands, gaussian_bands
from simulator.equations.paints import behind_a_surface, ratio_of_mixture
from simulator.instruments.color_channels import channel_weights, color_matrix, reference_mixtures
from simulator.instruments.instrument_twin import InstrumentTwin
from simulator.instruments.liquids import Bottle, Liquids, Pump
from simulator.instruments.mishaps import imperfection
from simulator.instruments.mixer import Imperfections, SimulatedMixer, SimulatedMixerOptions, dosed
from simulator.instruments.photometry import Photometer, Workflow, filling
from simulator.instruments.rig_options import RigOptions, offset, slope
from simulator.instruments.sensors import Sensor, make_sensor

Floats = NDArray[np.float64]

DOSE = 1.0  # mL: the most of one paste
TOTAL = 4.0  # mL: what every mixture adds up to
TUBE = 0.25  # mL of tube per pump

# The scattering of a paste, and its absorption as sums of Gaussians (center nm, sigma nm, height), both in units of the white base's
# scattering. Assumptions, chosen to look like common pigments (a bluish red, an arylide yellow, a phthalocyanine blue, a titanium
# white): no paint was measured for them.
PIGMENTS: dict[str, tuple[float, Bands]] = {
    "red": (0.25, ((430.0, 60.0, 9.0), (520.0, 28.0, 22.0), (558.0, 18.0, 14.0))),
    "yellow": (0.35, ((390.0, 45.0, 16.0), (440.0, 28.0, 18.0), (478.0, 14.0, 5.0))),
    "blue": (0.15, ((380.0, 35.0, 7.0), (605.0, 38.0, 20.0), (675.0, 40.0, 22.0), (740.0, 45.0, 9.0))),
}
WHITE: tuple[float, Bands] = (1.0, ((370.0, 18.0, 0.9), (450.0, 300.0, 0.002)))
PAINTS = (*PIGMENTS, "white")
LAW = KubelkaMunk(pastes=tuple(PIGMENTS))

RINSE = (Rinse(TOTAL), Mix(8.0), Drain())
# A trace of pigment shows in the white base more than anywhere else: two more rinses before it is looked at.
REFERENCES = Procedure((*RINSE, *RINSE, Dispense("white", TOTAL), Mix(5.0), Read(lamp=False), Read(lamp=True), Drain(), *RINSE))
ONE_PAINT = Procedure((*(Dispense(paint, paint) for paint in PAINTS), Mix(40.0), Read(lamp=True), Drain(), *RINSE))

PUMPS = {
    "red": Pump(slope=1.012, offset=0.006, dead_volume=TUBE, rate=0.90),
    "yellow": Pump(slope=0.987, offset=0.003, dead_volume=TUBE, rate=0.95),
    "blue": Pump(slope=1.006, offset=-0.004, dead_volume=TUBE, rate=0.90),
    "white": Pump(slope=0.994, offset=0.005, dead_volume=TUBE, rate=0.80),
}
WATER = Pump(slope=0.996, offset=0.005, dead_volume=TUBE, rate=1.65)


@cache
def scattering() -> Floats:
    """Scattering of every paint in the order of `PAINTS`, [4]; the white base has 1. The same at every wavelength."""
    return np.array([s for s, _ in (*PIGMENTS.values(), WHITE)])


AS_THEY_ARE = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)


@cache
def absorption(strengths: tuple[float, ...] = AS_THEY_ARE[0], hues: tuple[float, ...] = AS_THEY_ARE[1]) -> Floats:
    """Absorption of every paint in the order of `PAINTS` at the wavelengths of `cie_table`, [4, 81]; read-only.

    Args:
        strengths: By how much each paste absorbs more than that of the data sheet, a factor, [3].
        hues: By how much each paste absorbs at longer wavelengths, nm, [3].
    """
    rows = [
        strength * gaussian_bands([(center + hue, sigma, height) for center, sigma, height in bands], cie_table()["wavelength_nm"])
        for (_, bands), strength, hue in zip((*PIGMENTS.values(), WHITE), (*strengths, 1.0), (*hues, 0.0), strict=True)
    ]
    stacked = np.stack(rows)
    stacked.flags.writeable = False
    return stacked


@dataclass(frozen=True)
class Surface:
    """Surface between paint and sensor, none by default, and the pastes that are seen through it."""

    outside: float = 0.0
    """Part of the light that does not come in."""
    inside: float = 0.0
    """Part of the light that is reflected back into the paint."""
    strengths: tuple[float, ...] = AS_THEY_ARE[0]
    hues: tuple[float, ...] = AS_THEY_ARE[1]

    def __post_init__(self) -> None:
        for name, part in (("outside", self.outside), ("inside", self.inside)):
            if not 0 <= part < 1:
                raise InvalidInput(f"surface_{name} = {part:g} is no part of the light: it is from 0 up to, but not, 1")

    def seen(self, parts: Floats) -> Floats:
        """The fraction of the light, [..., 81], that comes back from an opaque layer with parts [..., 4] of the paints, water left out."""
        absorbed = absorption(self.strengths, self.hues)
        return behind_a_surface(LAW.outcomes(ratio_of_mixture(parts, absorbed, scattering())), self.outside, self.inside)

    @property
    def of_this_sheet(self) -> "Surface":
        """The same surface over the pastes of the data sheet."""
        return Surface(self.outside, self.inside)


def liquids(surface: Surface, pumps: Mapping[str, Pump] = PUMPS) -> Liquids:
    """Three pastes, a white base, and the water that rinses. Prices are those of student acrylics, thinned to be pumped."""
    pastes = {name: Bottle(pumps[name], 0.03, 1.0) for name in PIGMENTS}
    base = {"white": Bottle(pumps["white"], 0.01, 1.0, drying=0.002, fades=False)}  # a larger vessel
    return Liquids(pastes | base | {"water": Bottle(WATER, 0.0005)}, surface.seen, waste=0.002)


def channels(
    volumes: Floats, sensor: Sensor, imperfections: Imperfections, surface: Surface = Surface(), pumps: Mapping[str, Pump] = PUMPS
) -> Floats:
    """Noise-free channel reflectances [..., n] of the color channels, against the white base, for volumes [..., 4] of the paints, mL.

    What is systematic on a rig is in it (what the pump calibration left over); what is random, drifts or remembers is not. The clean
    residue of a rinse thins a paint but does not color it.
    """
    water = np.zeros((*volumes.shape[:-1], 1))
    arrived = dosed(np.concatenate([volumes, water], axis=-1), liquids(surface, pumps), imperfections)[..., :-1]
    weights = channel_weights(sensor)
    result: Floats = (surface.seen(arrived) @ weights) / (surface.seen(_base()) @ weights)
    return result


@cache
def calibration(name: str, surface: Surface = Surface()) -> Colorimetry:
    """Conversion of the channels of a sensor to XYZ, as a lab calibrates it: by least squares on 512 paints (Sobol) of known color.

    The white base has exactly its own color, and L = 100 is what reflects all light. Known colors are those of the paint as it is
    seen, through the surface.
    """
    sensor = make_sensor(name, {})
    pastes = reference_mixtures() * DOSE
    volumes = np.column_stack([pastes, TOTAL - pastes.sum(axis=1)])
    read = channels(volumes, sensor, Imperfections().scaled(0), surface)
    base = surface.seen(_base()) @ transmitted_weights()
    matrix = color_matrix(read, surface.seen(volumes) @ transmitted_weights(), base)
    white = transmitted_weights().sum(axis=0)
    return Colorimetry(
        tuple(f"r_{c}" for c in sensor.color_channels),
        tuple(tuple(float(v) for v in row) for row in matrix),
        (float(white[0]), float(white[1]), float(white[2])),
    )


def experiment(sensor: Sensor, surface: Surface = Surface(), smallest: Mapping[str, float] = MappingProxyType({})) -> Experiment:
    """The experiment of a paint mixer with this sensor.

    Args:
        smallest: The smallest doses, mL, of pumps that can deliver no less.
    """
    return Experiment(
        name="paint-mixing",
        parameters=(
            *(Continuous(paste, 0.0, DOSE, "mL", f"{paste} paste", smallest=smallest.get(paste, 0.0)) for paste in PIGMENTS),
            Continuous("white", TOTAL - DOSE * len(PIGMENTS), TOTAL, "mL", "white base"),
        ),
        outcomes=tuple(
            Outcome(
                f"r_{c}", "1", f"light that comes back in the channel at {c}{' nm' if c.isdigit() else ''}; the white base is 1", law=LAW
            )
            for c in sensor.color_channels
        ),
        constraints=(MixtureSum(PAINTS, TOTAL, "mL"),),
        color=calibration(sensor.name, surface),
    )


class PaintMixing(Photometer):
    """Mixes pastes into a white base and reads the color, on any `Mixer`. Satisfies `Driver` and `Estimates`."""

    def __init__(self, mixer: Mixer, sensor: Sensor, surface: Surface = Surface()) -> None:
        smallest = mixer.specification.smallest
        prime = Procedure((*filling(dict.fromkeys(PAINTS, TUBE), smallest), Drain(), *RINSE))
        workflow = Workflow(prime, REFERENCES, ONE_PAINT, clean="the white base")
        super().__init__(mixer, experiment(sensor, surface.of_this_sheet, smallest), workflow)
        self._channels = sensor.color_channels

    def _outcomes(self, settings: Settings, light: Mapping[str, float]) -> Outcomes:
        return {f"r_{c}": light[c] for c in self._channels}


def _strength(paste: str) -> Any:
    return option(
        1.0, f"how much the {paste} paste absorbs, against that of this sheet (range assumed)", drawn=(0.8, 1.25), allowed=(0, 10)
    )


def _hue(paste: str) -> Any:
    words = f"by how much the {paste} paste absorbs at longer wavelengths (range assumed)"
    return option(0.0, words, "nm", drawn=(-3, 3), allowed=(-30, 30))


class PaintMixingOptions(RigOptions, SimulatedMixerOptions):
    """Options of a paint mixer."""

    in_bottles = frozenset(f"{what}_{paste}" for what in ("strength", "hue") for paste in PIGMENTS)

    strength_red: float | None = _strength("red")
    strength_yellow: float | None = _strength("yellow")
    strength_blue: float | None = _strength("blue")
    hue_red: float | None = _hue("red")
    hue_yellow: float | None = _hue("yellow")
    hue_blue: float | None = _hue("blue")
    slope_red: float | None = slope("red", PUMPS["red"].slope)
    slope_yellow: float | None = slope("yellow", PUMPS["yellow"].slope)
    slope_blue: float | None = slope("blue", PUMPS["blue"].slope)
    slope_white: float | None = slope("white", PUMPS["white"].slope)
    offset_red: float | None = offset("red", PUMPS["red"].offset)
    offset_yellow: float | None = offset("yellow", PUMPS["yellow"].offset)
    offset_blue: float | None = offset("blue", PUMPS["blue"].offset)
    offset_white: float | None = offset("white", PUMPS["white"].offset)
    carry_over: float = imperfection("0.3 mL of what was in the cell before stay in the drained cell")
    surface_outside: float = option(0.0, "k1, the part of the light that a window or gloss keeps out (0.04 for n = 1.5)", changes="truth")
    surface_inside: float = option(0.0, "k2, the part of the light that it throws back into the paint (0.6 for n = 1.5)", changes="truth")


class PaintMixingTwin(InstrumentTwin[PaintMixing]):
    """Paint mixing: three pigment pastes in a white base, an opaque layer, a white LED and a color sensor (Kubelka-Munk).

    **Equation.** An opaque layer reflects R = 1 + K/S - sqrt((K/S)² + 2 K/S). Absorption K and scattering S of the paints add up by
    their volumes: K/S = Σ c_i K_i(λ) / Σ c_i S_i. Nearly all of S is the white base's, so that K/S is nearly linear in the pastes and
    R is anything but. Behind a surface (off by default) (1-k1)(1-k2) R/(1 - k2 R) is seen. A channel reads the mean of that over its
    band and the LED's spectrum (CIE LED-B4), against the white base; XYZ = M · channels with M calibrated on known paints; Lab under
    D65, 2° observer, L = 100 reflects all light; color differences are CIEDE2000.
    Source: Kubelka & Munk, Z. Tech. Phys. 12 (1931) 593 (R); Duncan, Proc. Phys. Soc. 52 (1940) 390,
    doi:10.1088/0959-5309/52/3/310 (sums); Saunderson, J. Opt. Soc. Am. 32 (1942) 727, doi:10.1364/JOSA.32.000727 (surface). None
    of them could be opened when this sheet was last checked. The spectra of the pigments are *assumptions* (`PIGMENTS`): plausible,
    not measured.

    ============== ============= ====== ==========================================================================
    parameter      limits        unit   meaning
    ============== ============= ====== ==========================================================================
    red            0 … 1         mL     red paste
    yellow         0 … 1         mL     yellow paste
    blue           0 … 1         mL     blue paste
    white          1 … 4         mL     white base; all four add up to 4 mL
    ============== ============= ====== ==========================================================================

    Outcomes are reflectances against the white base, (x - dark) / (white - dark): ``r_415 … r_680`` (AS7341) or
    ``r_red r_green r_blue`` (TCS34725). `L`, `a` and `b` are derived from them.

    **Options**: `PaintMixingOptions`.

    **Another lab.** With `system` the rig and what is in its bottles are others, and with `batch` only the bottles. The matrix that turns
    channels into a color is that of system 0 in every lab: it belongs to the kind of sensor. How bright lamp and channels are divides out,
    since the white base is read as well.

    What a calibration leaves over is up to 1.3 % and 6 µL. One rinse of 4 mL thins what stays in the cell. Pastes get stronger by 0.5 % per
    hour, the white base by 0.2 %.

    **Time and money.** A paint takes about 70 s (dose, stir, read, drain, rinse, drain); on connecting the tubes are filled, and after
    every fifth paint the cell is rinsed twice more and 4 mL of white base are read again. USD per mL: pastes 0.03, white base 0.01,
    water 0.0005, waste 0.002 (assumptions).

    **Truth** (`--noise-free`): what is systematic stays (pump_bias); what is random, drifts or remembers is off.

    **Valid** for wet paint that is opaque in the depth of the cell, which the white base sees to. **Leaves out** drying (paint dries
    darker), flocculation, pigments whose scattering depends on the wavelength, layers that are not opaque, glare, and a sensor that
    sees itself. Dyes in water are no paint: nothing scatters there, and `color-mixing` is their twin.

    **Twin of** an Arduino with peristaltic pumps and a color sensor (as PumpBot and CLSLab:Liquid are), with lamp and sensor on the
    same side of the cell and paint in the bottles. No rig was ever compared with it.
    """

    @takes(PaintMixingOptions)
    def __init__(self, options: PaintMixingOptions) -> None:
        self._sensor, self._imperfections = replace(options.make_sensor(), optics=options.optics), options.sizes
        k = options.constants
        strengths, hues = (tuple(k[f"{what}_{paste}"] for paste in PIGMENTS) for what in ("strength", "hue"))
        self._surface = Surface(options.surface_outside, options.surface_inside, strengths, hues)
        self._pumps = options.pumps(PUMPS)
        super().__init__(self._over_new_mixer, options.seed)

    def _over_new_mixer(self, random: np.random.Generator) -> PaintMixing:
        mixer = SimulatedMixer(self._sensor, self._imperfections, random, liquids(self._surface, self._pumps))
        return PaintMixing(mixer, self._sensor, self._surface)

    def truth(self, settings: Settings) -> Outcomes:
        """The noise-free outcomes: see the data sheet for what stays and what is off."""
        return self.truths([settings])[0]

    def truths(self, settings: Sequence[Settings]) -> list[Outcomes]:
        """The same for many settings at once."""
        values = channels(settings_array(self.experiment, settings), self._sensor, self._imperfections, self._surface, self._pumps)
        names = [o.name for o in self.experiment.outcomes]
        return [dict(zip(names, row, strict=True)) for row in values.tolist()]


def _base() -> Floats:
    """A cell full of white base: parts [4]."""
    return np.array([0.0, 0.0, 0.0, 1.0])
