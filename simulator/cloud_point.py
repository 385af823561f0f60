"""Cloud point of water, ethanol and anise: the driver for every mixer, and its twin.

Equations first, as functions of arrays; then `CloudPoint`, which performs one procedure over whichever mixer it is given, and
`CloudPointTwin` over one whose truth is known. The docstring of `cloud_point` is the data sheet.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from frugaltwin.catalog import is_twin, make_mixer
from frugaltwin.color import cie_table
from frugaltwin.data_sheets import SystemOptions, option, takes
from frugaltwin.diagram import Curve, Diagram, Line, Mark, Section
from frugaltwin.errors import InvalidInput, RigFault
from frugaltwin.experiment import Continuous, Experiment, MixtureSum, Outcome, Outcomes, Settings
from frugaltwin.instruments import Mixer
from frugaltwin.instruments.procedure import Dispense, Drain, Mix, Procedure, Read, Rinse
from frugaltwin.tables import settings_array
from simulator.instruments.dyed_water import PATH
from simulator.instruments.instrument_twin import InstrumentTwin
from simulator.instruments.liquids import Bottle, Liquids, Pump
from simulator.instruments.mixer import RESIDUE, Imperfections, MixerOptions, Seed, dosed
from simulator.instruments.phase_lab import Labeling
from simulator.instruments.photometry import Photometer, Workflow, filling
from simulator.instruments.rig_options import CoastingOptions
from simulator.instruments.sensors import Sensor

Floats = NDArray[np.float64]

TOTAL = 4.0  # mL: what every mixture adds up to
TUBE = 0.25  # mL of tube per pump
WASH = 2.0  # mL of ethanol that take the oil out of the drained cell: water would leave it there
BOTTLES = ("water", "ethanol", "anise")
LABELS = ("clear", "cloudy")
CHANNEL = "clear"  # the sensor's diode without a filter, which has the most light

REFERENCES = Procedure((Rinse(TOTAL), Mix(5.0), Read(lamp=False), Read(lamp=True), Drain()))
ONE_MIXTURE = Procedure(
    (
        *(Dispense(bottle, bottle) for bottle in reversed(BOTTLES)),  # water last: the oil is dissolved before it has to come out
        *(Mix(25.0), Read(lamp=True), Drain()),
        *(Dispense("ethanol", WASH), Mix(5.0), Drain()),
        *(Rinse(TOTAL), Mix(5.0), Drain()),
    )
)

WATER_INDEX, ETHANOL_INDEX = 1.333, 1.361  # refractive indices at 589 nm and 20 °C: CRC Handbook of Chemistry and Physics
FORWARD = 0.9  # mean cosine of the angle that a droplet scatters light by: droplets of a µm and more scatter forward
CAUGHT = 0.3  # of the scattered light that leaves the cell, the part that reaches the sensor: a cone of some 35°
USUAL = 1e-3  # the dispersed fraction at which droplets have the diameter that the option says

PUMPS = {
    "water": Pump(slope=0.996, offset=0.005, dead_volume=TUBE, rate=1.65),
    "ethanol": Pump(slope=1.009, offset=0.004, dead_volume=TUBE, rate=1.60),
    "anise": Pump(slope=0.991, offset=-0.003, dead_volume=TUBE, rate=1.60),
}


def soluble(spirit: Floats, in_water: float, cosolvency: float) -> Floats:
    """Volume fraction of oil that dissolves, [...], in a solvent of which `spirit` [...] is ethanol, by volume: the rest is water.

    The logarithm of the solubility is a straight line in the fraction of ethanol (log-linear cosolvency).
    Source: Yalkowsky, Flynn & Amidon, J. Pharm. Sci. 61 (1972) 983, doi:10.1002/jps.2600610637.

    >>> [round(float(s), 6) for s in soluble(np.array([0.0, 0.5]), 1e-4, 4.0)]
    [0.0001, 0.01]
    """
    fraction: Floats = in_water * 10.0 ** (cosolvency * spirit)
    return fraction


def dispersed(oil: Floats, dissolves: Floats) -> Floats:
    """Volume fraction of droplets, [...], in a mixture of which `oil` [...] is oil: what is more than dissolves. Below 0 it is clear.

    Droplets are pure oil and what surrounds them is saturated, so that d + (1 - d)·s = oil.

    >>> float(dispersed(np.array(0.10), np.array(0.04))).__round__(4)
    0.0625
    """
    excess = oil - dissolves
    fraction: Floats = excess / np.where(excess > 0, 1 - dissolves, 1.0)  # from s = 1 up they mix in all proportions
    return fraction


def scattering_efficiency(lag: Floats) -> Floats:
    """Light that a droplet takes out of the beam over its cross section, [...]; `lag` [...] is the phase lag through its middle, rad.

    Source: van de Hulst, Light Scattering by Small Particles (1957), section 11.22 (anomalous diffraction).

    >>> scattering_efficiency(np.array([0.0, 1e6])).round(3).tolist()
    [0.0, 2.0]
    """
    # sin(x)/x instead of the printed form, which loses all digits for small droplets.
    efficiency: Floats = 2 - 4 * np.sinc(lag / np.pi) + 2 * np.sinc(lag / (2 * np.pi)) ** 2
    return np.maximum(efficiency, 0.0)


def passed(depth: Floats) -> Floats:
    """The part of the light that reaches the sensor, [...], through a cell of the optical depth `depth` [...] that absorbs nothing.

    Unscattered light, exp(-τ), and what the sensor catches of the rest: 1/(1 + S) leaves a layer that only scatters, S = 3/4 (1-g) τ.
    Source: Kubelka, J. Opt. Soc. Am. 38 (1948) 448, doi:10.1364/JOSA.38.000448 (K = 0); Brinkworth, Appl. Opt. 11 (1972) 1434,
    doi:10.1364/AO.11.001434 (S).

    >>> float(passed(np.array(0.0)))
    1.0
    """
    straight = np.exp(-depth)
    through: Floats = straight + CAUGHT * (1 / (1 + 0.75 * (1 - FORWARD) * depth) - straight)
    return through


@dataclass(frozen=True)
class Ouzo:
    """An oil in water and ethanol. Parts are mL of ethanol and of the anise bottle per mL of mixture, [..., 2]; the rest is water."""

    solubility: float
    cosolvency: float
    strength: float
    diameter: float
    index: float

    def oil(self, parts: Floats) -> Floats:
        """Volume fraction of oil, [...]."""
        fraction: Floats = self.strength * parts[..., 1]
        return fraction

    def spirit(self, parts: Floats) -> Floats:
        """Volume fraction of ethanol in the solvent, [...]."""
        fraction: Floats = (parts[..., 0] + (1 - self.strength) * parts[..., 1]) / (1 - self.oil(parts))
        return np.minimum(fraction, 1.0)  # a bottle that stands open for days would else hold more than pure ethanol

    def dissolves(self, parts: Floats) -> Floats:
        """Volume fraction of oil that would dissolve, [...]."""
        return soluble(self.spirit(parts), self.solubility, self.cosolvency)

    def dispersed(self, parts: Floats) -> Floats:
        """Volume fraction of droplets, [...]; below 0 where the mixture is clear."""
        return dispersed(self.oil(parts), self.dissolves(parts))

    def light(self, parts: Floats) -> Floats:
        """The fraction of the lamp's light that the sensor sees, [..., 81]."""
        droplets = np.maximum(self.dispersed(parts), 0.0)[..., None]
        if not droplets.any():
            return np.ones((*parts.shape[:-1], len(cie_table()["wavelength_nm"])))
        # On as many nuclei, more oil makes larger droplets.
        diameter = self.diameter * np.cbrt(droplets / USUAL)
        medium = WATER_INDEX + (ETHANOL_INDEX - WATER_INDEX) * self.spirit(parts)[..., None]
        lag = 2 * np.pi * diameter * np.abs(self.index - medium) / (1e-3 * cie_table()["wavelength_nm"])
        over_diameter = np.divide(droplets, diameter, out=np.zeros_like(droplets), where=diameter > 0)
        return passed(1.5 * scattering_efficiency(lag) * over_diameter * PATH * 1e4)  # 1 cm is 10,000 µm

    @property
    def liquids(self) -> Liquids:
        """The bottles of this system at the mixer."""
        bottles = {
            "water": Bottle(PUMPS["water"], 0.0005),
            "ethanol": Bottle(PUMPS["ethanol"], 0.01, 1.0, drying=-0.005, fades=False),  # it takes up water from the air
            "anise": Bottle(PUMPS["anise"], 0.02, 1.0),
        }
        return Liquids(bottles, self.light, waste=0.002)


def experiment(smallest: Mapping[str, float] = MappingProxyType({})) -> Experiment:
    """The experiment of a mixer with these three bottles.

    Args:
        smallest: The smallest doses, mL, of pumps that can deliver no less.
    """
    meanings = {"water": "water", "ethanol": "ethanol", "anise": "anise: oil dissolved in ethanol"}
    return Experiment(
        name="cloud-point",
        parameters=tuple(Continuous(bottle, 0.0, TOTAL, "mL", meanings[bottle], smallest=smallest.get(bottle, 0.0)) for bottle in BOTTLES),
        outcomes=(
            Outcome("phase", "", "whether light is scattered by droplets", labels=LABELS),
            Outcome("turbidity", "1", "absorbance of the mixture against clean water, of white light"),
        ),
        constraints=(MixtureSum(BOTTLES, TOTAL, "mL"),),
    )


class CloudPoint(Photometer):
    """Mixes water, ethanol and anise and reads how cloudy it is, on any `Mixer`. Satisfies `Driver` and `Estimates`."""

    def __init__(self, mixer: Mixer, cloudy_above: float = 0.05, expert: Callable[[Settings], str] | None = None) -> None:
        """The driver of a mixer.

        Args:
            cloudy_above: The turbidity above which a mixture is called cloudy.
            expert: Names the phase in place of the reading.
        """
        if not 0 < cloudy_above <= 2:
            raise InvalidInput(f"cloudy_above = {cloudy_above:g} divides no readings: it is a turbidity above 0 and up to 2")
        smallest = mixer.specification.smallest
        prime = Procedure(
            (*filling(dict.fromkeys(BOTTLES, TUBE), smallest), Drain(), Dispense("ethanol", WASH), Drain(), Rinse(TOTAL), Drain())
        )
        super().__init__(mixer, experiment(smallest), Workflow(prime, REFERENCES, ONE_MIXTURE))
        self._cloudy_above, self._expert = cloudy_above, expert

    def _outcomes(self, settings: Settings, light: Mapping[str, float]) -> Outcomes:
        if light[CHANNEL] <= 0:
            raise RigFault(f"channel {CHANNEL} sees no more light through the mixture than in the dark: it is too cloudy to read")
        turbidity = 0.0 - math.log10(light[CHANNEL])  # no -0.0
        phase = self._expert(settings) if self._expert else LABELS[turbidity > self._cloudy_above]
        return {"phase": phase, "turbidity": turbidity}


class CloudPointTwin(InstrumentTwin[CloudPoint]):
    """The same over a mixer whose liquids are computed: it knows the truth."""

    def __init__(
        self, make: Callable[[Seed], Mixer], ouzo: "Ouzo", sensor: Sensor, imperfections: Imperfections, labeling: Labeling, limit: float,
        seed: int = 0,
    ) -> None:  # fmt: skip
        """A twin.

        Args:
            make: A new mixer for a seed, with these liquids, this sensor and these imperfections.
            limit: The turbidity above which a mixture is called cloudy.
        """
        expert = self._true_phase if labeling == "direct" else None
        super().__init__(lambda random: CloudPoint(make(random), limit, expert), seed)
        self._ouzo, self._imperfections, self._liquids = ouzo, imperfections, ouzo.liquids
        clear = sensor.counts_per_light(cie_table()["led_b4"])[list(sensor.bands).index(CHANNEL)]
        self._weights = clear / clear.sum()

    def truth(self, settings: Settings) -> Outcomes:
        """The noise-free outcomes: see the data sheet for what stays and what is off."""
        return self.truths([settings])[0]

    def truths(self, settings: Sequence[Settings]) -> list[Outcomes]:
        """The same for many settings at once."""
        parts = self._parts(settings_array(self.experiment, settings))
        turbidity = -np.log10(self._ouzo.light(parts) @ self._weights) + 0.0  # no -0.0
        cloudy = self._ouzo.dispersed(parts) > 0
        return [{"phase": LABELS[k], "turbidity": t} for k, t in zip(cloudy.tolist(), turbidity.tolist(), strict=True)]

    def diagram(self, at: float | None = None) -> Diagram:
        """The cloud-point line over the three bottles, and the oil's solubility against ethanol `at` so many mL of anise.

        Raises:
            InvalidInput: There is no such mixture.
        """
        at = 0.2 if at is None else at
        if not 0 < at < TOTAL:
            raise InvalidInput(f"anise = {at:g} mL: a section is cut between 0 and {TOTAL:g} mL")
        marks = [Mark(name, drink) for name, share in (("pastis", 1.0), ("pastis + 5 water", 1 / 6)) if (drink := self._pastis(share))]
        return Diagram(
            BOTTLES, "phase", "turbidity", (Line("boundary", self._cloud_points(), "cloud point"),), tuple(marks), self._section(at)
        )

    def _true_phase(self, settings: Settings) -> str:
        return str(self.truth(settings)["phase"])

    def _parts(self, volumes: Floats) -> Floats:
        """Parts [..., 2] in the cell when volumes [..., 3] of the bottles are asked for, without random errors."""
        arrived = dosed(volumes, self._liquids, self._imperfections)
        total = arrived.sum(axis=-1, keepdims=True) + RESIDUE * self._imperfections.carry_over
        parts: Floats = arrived[..., 1:] / total
        return parts

    def _excess(self, ethanol: Floats, anise: Floats) -> Floats:
        return self._ouzo.dispersed(self._parts(_volumes(ethanol, anise)))

    def _cloud_points(self) -> Floats:
        """Volumes [n, 3] on the cloud-point line, from little to much anise."""
        # Without ethanol a mixture is cloudy between two amounts of anise; in between, ethanol clears it.
        tried = np.geomspace(1e-5, TOTAL, 400)
        alone = self._excess(np.zeros_like(tried), tried)
        if not (alone > 0).any():
            return np.empty((0, 3))
        cloudiest = tried[alone.argmax()]
        first = _root(lambda a: -self._excess(np.zeros_like(a), a), np.array([tried[0]]), np.array([cloudiest]))
        last = _root(lambda a: self._excess(np.zeros_like(a), a), np.array([cloudiest]), np.array([TOTAL]))
        anise = np.geomspace(first[0], last[0], 200)
        ethanol = _root(lambda e: self._excess(e, anise), np.zeros_like(anise), TOTAL - anise)
        return _volumes(ethanol, anise)

    def _pastis(self, share: float) -> tuple[float, ...] | None:
        """Volumes to ask for that make pastis (45 % of ethanol by volume, 2 g/L of anethole) of which `share` is left in water."""
        anise = TOTAL * share * 2.0 / 988 / self._ouzo.strength  # anethole weighs 988 g/L
        ethanol = TOTAL * share * 0.45 - (1 - self._ouzo.strength) * anise
        return (TOTAL - ethanol - anise, ethanol, anise) if ethanol >= 0 else None

    def _section(self, at: float) -> Section:
        ethanol = np.linspace(0.0, TOTAL - at, 200)
        parts = self._parts(_volumes(ethanol, np.full_like(ethanol, at)))
        curves = (
            Curve("dissolves", ethanol, np.log10(self._ouzo.dissolves(parts))),
            Curve("is there", ethanol, np.log10(self._ouzo.oil(parts))),
        )
        return Section(f"{at:g} mL of anise", "ethanol, mL", "oil, log10 of its volume fraction", curves, ("anise", at))


class CloudPointOptions(SystemOptions, CoastingOptions, MixerOptions):
    """Options of a mixer of water, ethanol and anise."""

    labeling: Labeling = option("inferred", "or direct: `phase` is the true one", changes="imperfections")
    cloudy_above: float = option(0.05, "the turbidity above which a mixture is called cloudy: above 0 and up to 2", changes="imperfections")
    solubility: float | None = option(
        1.1e-4, "s_w, volume fraction of oil that dissolves in water", drawn=(0.8e-4, 3e-4), allowed=(1e-7, 1e-2)
    )
    cosolvency: float | None = option(3.66, "σ, decades of solubility from water to ethanol", drawn=(3.3, 3.9), allowed=(0.5, 8.0))
    strength: float | None = option(
        0.05, "volume fraction of oil in the anise bottle; the rest is ethanol", drawn=(0.03, 0.08), allowed=(1e-3, 0.1)
    )
    diameter: float | None = option(2.0, "diameter of droplets that are 0.1 % of the volume", "µm", drawn=(1.0, 4.0), allowed=(0.05, 50.0))
    index: float | None = option(1.561, "refractive index of the oil: 1.561 is trans-anethole", drawn=(1.47, 1.57), allowed=(1.4, 2.0))


@takes(CloudPointOptions)
def cloud_point(options: CloudPointOptions) -> CloudPoint | CloudPointTwin:
    """Cloud point: water, ethanol and anise in a stirred cell turn cloudy where the oil no longer dissolves (the ouzo effect).

    **Equation.** The oil that dissolves, as a volume fraction, is s = s_w · 10^(σ f), where f is the volume fraction of ethanol in the
    solvent; of a mixture with the fraction v of oil, d = (v - s)/(1 - s) is droplets. They have the diameter D ∝ d^(1/3) (as many
    nuclei everywhere) and the optical depth τ = 3/2 Q d · path/D, with Q by anomalous diffraction; a sensor behind the cell sees
    exp(-τ) + 0.3 · (1/(1 + 3/4 (1-g) τ) - exp(-τ)), g = 0.9. Turbidity is -log10 of that for the lamp's whole light.
    Source: Yalkowsky, Flynn & Amidon, J. Pharm. Sci. 61 (1972) 983, doi:10.1002/jps.2600610637 (s); van de Hulst, Light Scattering by
    Small Particles (1957), section 11.22 (Q); Kubelka, J. Opt. Soc. Am. 38 (1948) 448, doi:10.1364/JOSA.38.000448, and Brinkworth,
    Appl. Opt. 11 (1972) 1434, doi:10.1364/AO.11.001434 (many scatterings). None of them could be opened when this sheet was last checked.
    The line s(f) goes through two points: trans-anethole in water, 0.11 g/L (assumed; handbooks only say "practically insoluble"), and
    1 mL of it in 2 mL of alcohol, f = 0.95 (Merck Index). It is *not* fitted to a measured ternary diagram; for that see Archer et al.,
    Soft Matter 20 (2024) 5889, doi:10.1039/d4sm00332b. It does keep pastis (45 % vol, 2 g/L) clear and clouds it in water.

    ============== ============= ====== ==========================================================================
    parameter      limits        unit   meaning
    ============== ============= ====== ==========================================================================
    water          0 … 4         mL     water
    ethanol        0 … 4         mL     ethanol
    anise          0 … 4         mL     5 % (by volume) of trans-anethole in ethanol; all three add up to 4 mL
    ============== ============= ====== ==========================================================================

    ============== ======= =======================================================================================
    outcome        unit    meaning
    ============== ======= =======================================================================================
    phase                  clear, or cloudy: the turbidity is above `cloudy_above`
    turbidity      1       absorbance against clean water, read by the sensor's diode without a filter; 0 is clear
    ============== ======= =======================================================================================

    **Options**: `CloudPointOptions`.

    What a calibration leaves over is up to 0.9 % and 5 µL. Ethanol and water thin what stays in the cell. Anise gets stronger and
    ethanol weaker, as it takes up water, by 0.5 % per hour.

    **Time and money.** A mixture takes about 60 s (dose, stir, read, drain, wash with 2 mL of ethanol, drain, rinse with water, drain);
    on connecting the tubes are filled, and after every fifth mixture clean water is read again. USD per mL: anise 0.02, ethanol 0.01,
    water 0.0005, waste 0.002 (assumptions).

    **Truth** (`--noise-free`): cloudy where d > 0, and the turbidity; what is systematic stays (pump_bias, the clean residue of the
    rinse), what is random, drifts or remembers is off. Inferred labels call a mixture cloudy a little late: at some 10 ppm of droplets.

    **Valid** while the oil is at most 10 % of the volume, which the anise bottle sees to: droplets are of oil, never of water, and do
    not touch. A bottle that could not hold its own oil is refused. **Leaves out** the other half of the diagram (oil with little
    water in it), ethanol in the droplets, the volume that water and ethanol lose on mixing, metastable mixtures between binodal and
    spinodal, droplets that grow, rise and merge with time, and temperature.

    **Twin of** an Arduino with peristaltic pumps and a color sensor (as PumpBot and CLSLab:Liquid are) with other liquids in the
    bottles. No rig was ever compared with it.
    """
    ouzo = Ouzo(**options.constants)
    holds = float(ouzo.dissolves(np.array([0.0, 1.0])))
    if ouzo.strength > holds:
        raise InvalidInput(f"strength = {ouzo.strength:g} is no solution: ethanol dissolves {holds:.2g} of this oil at most")
    sensor, imperfections = options.make_sensor(), options.sizes
    liquids = ouzo.liquids.counted(options.bottles).coasting(options.coasting)

    def make(seed: Seed) -> Mixer:
        return make_mixer(options.mixer, sensor=sensor, imperfections=imperfections, seed=seed, liquids=liquids)

    if is_twin(options.mixer):
        return CloudPointTwin(make, ouzo, sensor, imperfections, options.labeling, options.cloudy_above, options.seed)
    if options.labeling == "direct":
        raise InvalidInput(f"labeling = direct: nobody knows the truth about {options.mixer}; leave it out")
    return CloudPoint(make(options.seed), options.cloudy_above)


def _volumes(ethanol: Floats, anise: Floats) -> Floats:
    return np.stack([TOTAL - ethanol - anise, ethanol, anise], axis=-1)


def _root(falling: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Roots [n] of functions that fall from `low` [n] to `high` [n], by bisection to the last digit."""
    for _ in range(60):
        middle = (low + high) / 2
        above = falling(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return (low + high) / 2
