"""A composition-spread wafer under a probe that moves: an image is cheap and blurred, a spectrum costs more and resolves more.

Equations first, as functions of arrays; then `SimulatedProbe`, the instrument; then `Wafer`, the driver for every probe, and
`WaferTwin`, which knows the truth and whose docstring is the data sheet.
"""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import combinations
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frugaltwin.amounts import Amounts
from frugaltwin.data_sheets import Options, SystemOptions, option, takes
from frugaltwin.diagram import Curve, Diagram, Line, Mark, Section
from frugaltwin.errors import DriverError, InvalidInput, Stopped
from frugaltwin.experiment import Categorical, Continuous, Experiment, Measurement, Outcome, Outcomes, Settings
from frugaltwin.instruments import Image, Probe
from frugaltwin.instruments.procedure import Measure, Move, ProbeProcedure, Scan
from frugaltwin.prices import Change, Fixed, Price, Travel, Where
from simulator.instruments.instrument_twin import InstrumentTwin
from simulator.instruments.phase_lab import LabOptions

Floats = NDArray[np.float64]
Look = Literal["spectrum", "zoom", "overview"]
LOOKS = get_args(Look)

HALF = 35.0  # mm: the library is a square of 70 mm in the middle of a wafer of 150 mm
STAGE = 50.0  # mm from the center: how far the stage goes
DWELLS = (0.1, 6.0)  # s: the shutter's shortest, and when more light no longer helps
WHOLE, NEAR = Scan(2 * HALF, 71), Scan(7.0, 13)
OVERVIEW = ProbeProcedure((Move(0.0, 0.0), WHOLE))
ZOOM = ProbeProcedure((Move("x", "y"), NEAR))

SPOT, WAVES = 0.5, 128  # mm, width of the spot that a spectrum sees (assumed); waves that make up what a film keeps

PHASES = ("alpha", "beta", "gamma")
SETS = tuple(s for n in (1, 2, 3) for s in combinations(range(3), n))
"""Every set of phases that can coexist: three components have at most three phases at a given temperature and pressure."""
LABELS = tuple(" + ".join(PHASES[k] for k in s) for s in SETS)

WAVELENGTHS = np.arange(400.0, 751.0, 50.0)  # nm
CHANNELS = tuple(f"r{w:.0f}" for w in WAVELENGTHS)
SEEN = 2.0  # standard deviations by which a phase must improve the fit before it counts as seen


def sources(distance: float, azimuth: float) -> Floats:
    """Positions of the sources of A, B and C, mm, [3, 2]: at 120° around the center.

    >>> sources(90.0, 90.0).round(3).tolist()
    [[0.0, 90.0], [-77.942, -45.0], [77.942, -45.0]]
    """
    angles = np.radians(azimuth + np.array([0.0, 120.0, 240.0]))
    return distance * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def composition(places: ArrayLike, positions: ArrayLike, lengths: ArrayLike) -> Floats:
    """Mole fractions [..., 3] of a co-deposited film at places [..., 2], mm.

    The flux of a source falls off as exp(-distance / length) from where the source is; the powers are set so that the center
    (0, 0) gets equal parts.
    Source: the method, Hanak, J. Mater. Sci. 5 (1970) 964, doi:10.1007/BF00558177; the exponential is this project's choice of a
    smooth fall-off, since real profiles depend on pressure and tilt.

    Args:
        positions: Of the sources, mm, [3, 2].
        lengths: Of the sources, mm, [3].

    >>> composition([0.0, 0.0], sources(90.0, 90.0), [20.0, 25.0, 30.0]).round(6).tolist()
    [0.333333, 0.333333, 0.333333]
    """
    p, s, length = np.asarray(places, dtype=float), np.asarray(positions, dtype=float), np.asarray(lengths, dtype=float)
    x, y = p[..., 0], p[..., 1]
    # One array a source, the sources in front: numpy is slow on last axes of three.
    exponent = np.stack([(math.hypot(*s[k]) - np.hypot(x - s[k, 0], y - s[k, 1])) / length[k] for k in range(3)])
    flux = np.exp(exponent - exponent.max(axis=0))
    fractions: Floats = np.moveaxis(flux / flux.sum(axis=0), 0, -1)
    return fractions


def deviation(dwell: ArrayLike, floor: float = 0.05, short: float = 0.18) -> Floats:
    """Standard deviation of a channel of a spectrum collected for `dwell` s, [...]: floor + short · exp(-dwell).

    >>> float(deviation(0.0)), round(float(deviation(3.0)), 4)
    (0.22999999999999998, 0.059)
    """
    sigma: Floats = floor + short * np.exp(-np.asarray(dwell, dtype=float))
    return sigma


def reflectances() -> Floats:
    """Reflectance of pure alpha, beta and gamma at `WAVELENGTHS`, [3, 8]: invented, no particular alloy.

    Alpha is red (an edge at 575 nm), beta blue (an edge at 525 nm), gamma green (a band at 550 nm).
    """
    w = WAVELENGTHS
    alpha = 0.10 + 0.80 / (1 + np.exp(-(w - 575) / 20))
    beta = 0.90 - 0.80 / (1 + np.exp(-(w - 525) / 25))
    gamma = 0.10 + 0.80 * np.exp(-(((w - 550) / 70) ** 2))
    return np.stack([alpha, beta, gamma])


@lru_cache(maxsize=64)
def _waves(seed: int) -> tuple[Floats, Floats, Floats]:
    """Wave vectors [2, w], 1/mm, phases [w] and amplitudes [w, 8]."""
    random = np.random.default_rng((61, seed))
    vectors, phases = random.normal(0, 1 / SPOT, (2, WAVES)), random.uniform(0, 2 * np.pi, WAVES)
    return vectors, phases, random.standard_normal((WAVES, len(WAVELENGTHS))) * math.sqrt(2 / WAVES)


def surface(seed: int, places: Floats) -> Floats:
    """Error [n, 8] that a film keeps at places [n, 2], mm: mean 0 and deviation 1, and alike within `SPOT`.

    Source: a sum of random waves; Rahimi & Recht, Random features for large-scale kernel machines, NIPS (2007).
    """
    vectors, phases, amplitudes = _waves(seed)
    error: Floats = np.cos(places @ vectors + phases) @ amplitudes
    return error


@lru_cache
def spread_matrix(pixels: int, blur: float) -> Floats:
    """Matrix [pixels, pixels] of a Gaussian point spread over a row of pixels; its deviation is `blur` of the row's length.

    Cut at three deviations; what would fall beyond the edge is mirrored, so rows and columns add up to 1 and the mean is kept.
    """
    sigma = blur * (pixels - 1)
    reach = int(3 * sigma + 0.5)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2) if reach else np.ones(1)
    weights /= weights.sum()
    matrix = np.zeros((pixels, pixels))
    for j in range(pixels):
        folded = (j + offsets) % (2 * pixels)
        np.add.at(matrix[j], np.minimum(folded, 2 * pixels - 1 - folded), weights)
    return matrix


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """Phase equilibrium of an alloy: its phases, and the fraction of each.

    The Gibbs energy of a phase k is a well of the same stiffness, a |c - c_k|², about its composition c_k. Minimizing Σ f_k G_k by
    common tangent and lever rule gives: the fractions f are the barycentric coordinates of the point of the triangle (c_1, c_2, c_3)
    that is nearest to c. Inside it three phases coexist, beyond an edge two, beyond a corner there is one. Coexisting phases have the
    compositions c_k + t with one shift t = c - Σ f_k c_k, so all tie lines of two phases are parallel.
    Source: equal slopes and intercepts, Gibbs, Trans. Connecticut Acad. 3 (1876) 108; wells, Hu et al., Calphad 31 (2007) 303,
    doi:10.1016/j.calphad.2006.08.005.
    """

    wells: Floats
    """The compositions c_k, [3 phases, 3 components]; not on one line."""

    @cached_property
    def _laws(self) -> tuple[Floats, Floats]:
        """Fractions [7, 3 phases] and non-negative quantities [7, 3] of every set of phases, linear in the composition [.., 3].

        What must not be negative is, for a phase of the set, its fraction, and for another one, its distance from the common tangent.
        """
        shares, slacks = np.zeros((len(SETS), 3, 3)), np.zeros((len(SETS), 3, 3))
        for n, phases in enumerate(SETS):
            first, others = phases[0], [k for k in range(3) if k not in phases]
            edges = self.wells[list(phases[1:])] - self.wells[first]  # [p-1, 3]
            # A composition adds up to 1, so a constant is linear in it: 1 = c·(1, 1, 1).
            relative = np.eye(3) - np.outer(self.wells[first], np.ones(3))
            steps = np.linalg.pinv(edges.T) @ relative if len(edges) else np.zeros((0, 3))
            shares[n, list(phases[1:])] = steps
            shares[n, first] = 1 - steps.sum(axis=0)
            shift = np.eye(3) - self.wells.T @ shares[n]
            slacks[n, list(phases)] = shares[n, list(phases)]
            slacks[n, others] = (self.wells[first] - self.wells[others]) @ shift
        return shares, slacks

    def sets(self, c: Floats) -> NDArray[np.intp]:
        """Index in `SETS` of the stable set, [n], at compositions c [n, 3]."""
        slacks = (self._laws[1].reshape(-1, 3) @ c.T).reshape(len(SETS), 3, -1)
        stable: NDArray[np.intp] = np.minimum(np.minimum(slacks[:, 0], slacks[:, 1]), slacks[:, 2]).argmax(axis=0)
        return stable

    def fractions(self, c: Floats) -> Floats:
        """The mole fractions of the phases, [n, 3], which add up to 1, at compositions c [n, 3]."""
        shares = (self._laws[0].reshape(-1, 3) @ c.T).reshape(len(SETS), 3, -1)
        stable = self.sets(c)
        fractions: Floats = np.maximum(np.take_along_axis(shares, stable[None, None], axis=0)[0], 0.0).T
        return fractions


@dataclass(frozen=True, eq=False)
class Film:
    """The noise-free wafer: position → composition → phases → reflectance."""

    positions: Floats
    """Positions of the sources, mm, [3, 2]."""
    lengths: Floats
    """Decay lengths of the sources, mm, [3]."""
    equilibrium: Equilibrium

    @classmethod
    def of(cls, constants: dict[str, float]) -> Self:
        """The film with these constants of `WaferOptions`."""
        wells = np.zeros((3, 3))
        for k, phase in enumerate(PHASES):
            rich, rest = constants[phase], constants[f"{phase}_rest"]
            wells[k, [k, (k + 1) % 3, (k + 2) % 3]] = rich, (1 - rich) * rest, (1 - rich) * (1 - rest)
        lengths = np.array([constants[f"length_{element}"] for element in "abc"])
        return cls(sources(constants["distance"], constants["azimuth"]), lengths, Equilibrium(wells))

    def composition(self, places: Floats) -> Floats:
        """Mole fractions [n, 3] at places [n, 2]."""
        return composition(places, self.positions, self.lengths)

    def places(self, c: Floats) -> Floats:
        """Places at which the film has compositions c [n, 3], mm, [n, 2]; NaN where there is none on the wafer. Newton's method."""
        with np.errstate(divide="ignore", invalid="ignore"):
            wanted = np.log(c[:, :2] / c[:, 2:])
        p = np.zeros((len(c), 2))
        for _ in range(25):
            apart = p[:, None] - self.positions  # [n, 3, 2]
            slopes = -apart / (np.hypot(apart[..., 0], apart[..., 1]) * self.lengths)[..., None]
            there = self.composition(p)
            missing = wanted - np.log(there[:, :2] / there[:, 2:])
            step = np.linalg.solve(slopes[:, :2] - slopes[:, 2:], missing[..., None])[..., 0]
            p = np.clip(p + np.clip(step, -10.0, 10.0), -STAGE, STAGE)
        is_there = (np.abs(missing).max(axis=1) < 1e-9) & (np.abs(p).max(axis=1) <= HALF)
        found: Floats = np.where(is_there[:, None], p, np.nan)
        return found

    def boundaries(self, n: int = 1500) -> list[Floats]:
        """The lines between the fields, mm, [.., 2] each: three edges of the triangle of wells, and from every corner two lines beyond."""
        lines, wells = [], self.equilibrium.wells
        for k, other in ((0, 1), (1, 2), (2, 0)):
            edge, third = wells[other] - wells[k], wells[3 - k - other]
            lines.append(wells[k] + np.linspace(0, 1, n)[:, None] * edge)
            away = wells[k] - third
            away -= edge * (away @ edge) / (edge @ edge)  # a tie line keeps its direction: the field is a strip across it
            lines += [corner + np.linspace(0, 1, n)[:, None] * away / np.abs(away).max() for corner in (wells[k], wells[other])]
        found = [self.places(line[(line > 1e-6).all(axis=1)]) for line in lines]
        return [line for line in (f[~np.isnan(f[:, 0])] for f in found) if len(line) > 1]

    def labels(self, places: Floats) -> list[str]:
        """The phases at places [n, 2]."""
        return [LABELS[k] for k in self.equilibrium.sets(self.composition(places)).tolist()]

    def spectra(self, places: Floats) -> Floats:
        """Reflectance [n, 8] at places [n, 2]: grains larger than the wavelength reflect side by side."""
        spectra: Floats = self.equilibrium.fractions(self.composition(places)) @ PURE
        return spectra


PURE = reflectances()


class Optics(Options):
    """Costs and resolution of a probe."""

    floor: float = option(0.05, "noise of a spectrum that is collected for ever", allowed=(0, 100), changes="imperfections")
    short: float = option(0.18, "what a spectrum of no time has more", allowed=(0, 100), changes="imperfections")
    image_noise: float = option(0.06, "standard deviation of a channel of a pixel", allowed=(0, 100), changes="imperfections")
    blur: float = option(
        0.15,
        "standard deviation of the point spread, as a share of the width of the field: 10.5 mm in the overview, 1.05 mm in a zoom",
        allowed=(0, 0.3),
        changes="both",
    )
    pattern: float = option(
        0.0,
        "share of the floor that a place keeps (roughness and grains of its spot): looking twice does not average it",
        allowed=(0, 1),
        changes="imperfections",
    )
    readout: float = option(0.0, "of every spectrum besides its dwell", "s", allowed=(0, 1e4), changes="experiment")
    pixel_seconds: float = option(0.005, "per pixel of an image", "s", allowed=(0, 10), changes="experiment")
    speed: float = option(10.0, "of a move", "mm/s", allowed=(0.01, 1e4), changes="experiment")
    settle: float = option(0.5, "after every move", "s", allowed=(0, 1e4), changes="experiment")
    price: float = option(0.0, "of the probe's time", "USD/h", allowed=(0, 1e6), changes="experiment")

    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {"teaching-lab": {"pattern": 1.0, "readout": 1.0}}

    def deviation(self, dwell: float) -> float:
        """Standard deviation of a channel of a spectrum; see the function `deviation`, which is for arrays."""
        return self.floor + self.short * math.exp(-dwell)

    def parted(self, deviation: float) -> tuple[float, float]:
        """The part of a deviation that a place keeps, and the part that every look draws anew."""
        kept = min(self.pattern * self.floor, deviation)
        return kept, math.sqrt(deviation**2 - kept**2) if kept else deviation

    def with_noise(self, scale: float) -> "Optics":
        """The same optics, with `scale` times the noise."""
        return Optics(**{n: getattr(self, n) * (scale if n in ("floor", "short", "image_noise") else 1) for n in Optics.stated})


@dataclass
class SimulatedProbe:
    """Simulated probe over a simulated film. Satisfies `frugaltwin.instruments.Probe`."""

    film: Film
    optics: Optics = Optics()
    seed: int | np.random.Generator = 0
    film_seed: int = 0
    """Of the pattern that the film keeps."""
    clock: float = field(default=0.0, init=False)
    """Virtual time since the probe was made, s."""
    place: tuple[float, float] = field(default=(0.0, 0.0), init=False)
    """Place of the head, mm; it starts over the center."""

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)
        self._stop = threading.Event()
        self._stop.set()  # until somebody connects

    @property
    def spent(self) -> Amounts:
        return self._cost(self.clock)

    def __enter__(self) -> Self:
        self._stop.clear()
        return self

    def identify(self) -> str:
        return "frugaltwin simulated probe"

    def scan(self, width: float, pixels: int) -> Image:
        if not 0.1 <= width <= 2 * STAGE:
            raise InvalidInput(f"width = {width:g} mm of an image is outside [0.1, {2 * STAGE:g}] mm")
        if not 3 <= pixels <= 1000:
            raise InvalidInput(f"pixels = {pixels:g} along the side of an image is outside [3, 1000]")
        self._begin(self.price("scan", pixels))
        image = blurred(self.film, self.place, width, pixels, self.optics.blur)
        kept, drawn = self.optics.parted(self.optics.image_noise)
        channels = image.channels + drawn * self._random.standard_normal(image.channels.shape)
        if kept:
            places = np.stack(np.meshgrid(image.x, image.y), axis=-1).reshape(-1, 2)
            channels = channels + kept * surface(self.film_seed, places).reshape(channels.shape)
        return Image(image.x, image.y, channels)

    def move(self, x: float, y: float) -> None:
        for name, value in (("x", x), ("y", y)):
            if not -STAGE <= value <= STAGE:
                raise InvalidInput(f"{name} = {value:g} mm is off the stage: [{-STAGE:g}, {STAGE:g}] mm")
        self._begin(self.price("move", place=(x, y)))
        self.place = (float(x), float(y))

    def measure(self, dwell: float) -> Floats:
        if not DWELLS[0] <= dwell <= DWELLS[1]:
            raise InvalidInput(f"dwell = {dwell:g} s is outside [{DWELLS[0]:g}, {DWELLS[1]:g}] s")
        self._begin(self.price("measure", dwell))
        true = self.film.spectra(np.array([self.place]))[0]
        kept, drawn = self.optics.parted(self.optics.deviation(dwell))
        spectrum: Floats = true + drawn * self._random.standard_normal(len(true))
        return spectrum + kept * surface(self.film_seed, np.array([self.place]))[0] if kept else spectrum

    def travel(self, x: float | str, y: float | str) -> Travel:
        return Travel(x, y, self.optics.speed, self.optics.settle, self._cost(1.0))

    def price(self, instruction: str, amount: float = 0.0, place: tuple[float, float] = (0.0, 0.0)) -> Amounts:
        if instruction == "move":
            return Price((replace(self.travel(*place), start=self.place),)).of({})
        return self._cost({"scan": amount**2 * self.optics.pixel_seconds, "measure": amount + self.optics.readout}[instruction])

    def stop(self) -> None:
        self._stop.set()

    def __exit__(self, *failure: object) -> None:
        self._stop.set()

    def _begin(self, cost: Amounts) -> None:
        if self._stop.is_set():
            raise Stopped("the probe was stopped, or it is not connected")
        self.clock += cost.seconds

    def _cost(self, seconds: float) -> Amounts:
        return Amounts(seconds=seconds, money=seconds * self.optics.price / 3600)


def blurred(film: Film, place: tuple[float, float], width: float, pixels: int, blur: float) -> Image:
    """The noise-free image of a square field around a place: the pixels at its border lie on the field's edge."""
    along = np.linspace(-width / 2, width / 2, pixels)
    x, y = place[0] + along, place[1] + along
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    sharp = film.spectra(places).reshape(pixels, pixels, -1)
    return Image(x, y, _blurred(sharp, spread_matrix(pixels, blur)))


def _blurred(sharp: Floats, spread: Floats) -> Floats:
    rows = np.tensordot(spread, sharp, axes=1)  # [row, column, channel]
    image: Floats = np.tensordot(spread, rows, axes=(1, 1)).transpose(1, 0, 2)
    return image


def zoomed(film: Film, places: Floats, blur: float) -> Floats:
    """Middle pixel of a noise-free zoom, [n, 8], at places [n, 2]."""
    middle = spread_matrix(NEAR.pixels, blur)[NEAR.pixels // 2]
    seen = np.flatnonzero(middle)
    along = np.linspace(-NEAR.width / 2, NEAR.width / 2, NEAR.pixels)[seen]
    around = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
    weights = np.outer(middle[seen], middle[seen]).ravel()
    fractions = np.empty((len(places), len(PHASES)))
    for start in range(0, len(places), 50):  # so that a large batch stays in the cache
        some = places[start : start + 50]
        there = film.composition((some[:, None] + around).reshape(-1, 2))
        fractions[start : start + 50] = weights @ film.equilibrium.fractions(there).reshape(len(some), len(around), -1)
    values: Floats = fractions @ PURE
    return values


@lru_cache
def _fits() -> tuple[Floats, Floats]:
    """Matrices from a spectrum and a 1 [9] to fractions [7, 3, 9] and residuals [7, 8, 9] for every set of phases."""
    shares, residuals = np.zeros((len(SETS), 3, 9)), np.zeros((len(SETS), 8, 9))
    for n, phases in enumerate(SETS):
        first = phases[0]
        edges = PURE[list(phases[1:])] - PURE[first]
        relative = np.column_stack([np.eye(8), -PURE[first]])
        steps = np.linalg.pinv(edges.T) @ relative if len(edges) else np.zeros((0, 9))
        shares[n, list(phases[1:])] = steps
        shares[n, first] = np.append(np.zeros(8), 1.0) - steps.sum(axis=0)
        residuals[n] = relative - edges.T @ steps
    return shares.reshape(-1, 9), residuals.reshape(-1, 9)


_SIZES = np.array([len(s) for s in SETS])


def inferred(spectrum: Floats, sigma: float) -> str:
    """The label that a spectrum [8] with this standard deviation indicates.

    The spectra of the pure phases are known. Among the sets of phases that fit with no negative fraction, the one with the least
    χ² + 4 per phase: a further phase counts as seen when it improves the fit by two standard deviations.
    """
    shares, residuals = _fits()
    extended = np.append(spectrum, 1.0)
    least = (shares @ extended).reshape(len(SETS), 3).min(axis=1)
    misfit = (residuals @ extended).reshape(len(SETS), 8)
    cost = np.einsum("ij,ij->i", misfit, misfit) / sigma**2 + SEEN**2 * _SIZES
    cost[least < 0] = math.inf
    return LABELS[int(cost.argmin())]


def look_of(settings: Settings, always: Look | None = None) -> str:
    """The look that settings name, or the one that is always taken; a spectrum where nobody names one, as before looks were settings."""
    return str(settings.get("look", always or "spectrum"))


class Wafer:
    """Maps a composition-spread wafer with any `Probe`. Satisfies `Driver`, `Prices` and `Estimates`."""

    def __init__(
        self, probe: Probe, optics: Optics, look: Look | None = None, dwell: float | None = None,
        expert: Callable[[Settings], str] | None = None,
    ) -> None:  # fmt: skip
        """The driver of a probe.

        Args:
            optics: How well the probe sees; what a label is inferred from depends on it.
            look: What is done at every place: take a spectrum, take a sharp small image, or read the image of the whole wafer. Without it
                `look` is a setting, and goals count with spectra.
            dwell: s, of every spectrum; without it `dwell` is a setting.
            expert: Names the phases in place of the reading.
        """
        if look is not None and look not in LOOKS:
            raise InvalidInput(f"look = {look!r} is no look: it is one of {', '.join(LOOKS)}")
        if dwell is not None and look not in ("spectrum", None):
            raise InvalidInput(f"dwell = {dwell:g} s is for look=spectrum; look={look} takes images")
        if dwell is not None and not DWELLS[0] <= dwell <= DWELLS[1]:
            raise InvalidInput(f"dwell = {dwell:g} s is outside [{DWELLS[0]:g}, {DWELLS[1]:g}] s")
        is_set = look in ("spectrum", None) and dwell is None
        self.experiment = Experiment(
            name="wafer",
            parameters=(
                Continuous("x", -HALF, HALF, "mm", "to the right of the center"),
                Continuous("y", -HALF, HALF, "mm", "up from the center"),
                *((Categorical("look", LOOKS, "what is done there"),) if look is None else ()),
                *((Continuous("dwell", *DWELLS, "s", "how long the spectrum is collected"),) if is_set else ()),
            ),
            outcomes=(
                Outcome("phase", "", "the phases of the film there", labels=LABELS),
                *(Outcome(c, "1", f"reflectance at {c[1:]} nm") for c in CHANNELS),
            ),
            fidelities={"look": "spectrum"} if look is None else {},
        )
        self.probe, self._optics, self._look, self._dwell, self._expert = probe, optics, look, dwell, expert
        self._measure = Measure("dwell" if dwell is None else dwell)
        self._spectrum = ProbeProcedure((Move("x", "y"), self._measure))
        self._overview: Image | None = None
        self._is_connected = False
        self._before = probe.spent

    def __enter__(self) -> Self:
        self.probe.__enter__()
        try:
            self.probe.identify()
        except BaseException:
            self.__exit__()  # `with` does not leave what it could not enter
            raise
        self._is_connected = True
        return self

    def perform(self, settings: Settings) -> Measurement:
        """Move the head, read, and stay there at rest.

        Raises:
            Stopped: Somebody stopped the probe; enter it again to go on.
        """
        try:
            if not self._is_connected:
                raise Stopped("the probe is not connected")
            reading, sigma = self._reading(settings)
        except DriverError as error:
            error.cost = self._cost_since_last()
            raise
        outcomes = {"phase": self._label(settings, reading, sigma)} | dict(zip(CHANNELS, reading.tolist(), strict=True))
        return Measurement(outcomes, self._cost_since_last(), {"deviation": sigma})

    def _reading(self, settings: Settings) -> tuple[Floats, float]:
        """Reading at a place, [8], and its standard deviation."""
        look = look_of(settings, self._look)
        image, self._overview = self._overview, None  # with any other look the head leaves the center
        if look == "spectrum":
            (spectrum,) = self._spectrum.perform(self.probe, settings)
            assert not isinstance(spectrum, Image)
            dwell = float(settings["dwell"]) if self._dwell is None else self._dwell
            return spectrum, self._optics.deviation(dwell)
        if look == "zoom" or image is None:
            (taken,) = (ZOOM if look == "zoom" else OVERVIEW).perform(self.probe, settings)
            assert isinstance(taken, Image)
            image = taken
        if look == "overview":
            self._overview = image
        return image.near(float(settings["x"]), float(settings["y"])), self._optics.image_noise

    def _label(self, settings: Settings, reading: Floats, sigma: float) -> str:
        if self._expert:
            return self._expert(settings)
        return inferred(reading, max(sigma, 1e-3))  # an option may have turned the noise off

    def _cost_since_last(self) -> Amounts:
        now = self.probe.spent
        cost, self._before = now - self._before, now
        return cost

    def price(self) -> Price:
        """Price of a look from where the head was left. The first of several overviews in a row takes the image, over the center."""
        if self._look == "overview":
            return Price((Fixed(OVERVIEW.estimate(self.probe, {}), "first"),))
        if self._look is not None:
            return Price.of_terms((self._spectrum if self._look == "spectrum" else ZOOM).terms(self.probe))
        return Price(
            (
                replace(self.probe.travel("x", "y"), home=("look", "overview")),
                Where("look", "spectrum", self._measure.term(self.probe)),
                Where("look", "zoom", NEAR.term(self.probe)),
                Where("look", "overview", Change(("look",), WHOLE.price(self.probe, {}))),
            )
        )

    def estimate(self, settings: Settings) -> Amounts:
        """Cost of `perform` from the present place of the head."""
        look = look_of(settings, self._look)
        if look == "overview":
            return Amounts() if self._overview else OVERVIEW.estimate(self.probe, {})
        return (self._spectrum if look == "spectrum" else ZOOM).estimate(self.probe, settings)

    def stop(self) -> None:
        self.probe.stop()

    def __exit__(self, *failure: object) -> None:
        self._is_connected = False
        self.probe.__exit__(*failure)


class WaferOptions(SystemOptions, Optics, LabOptions):
    """Options of a wafer and a probe."""

    look: Look | None = option(None, "the same look in every experiment, and all of them count; without it a setting", changes="experiment")
    dwell: float | None = option(None, "of every spectrum; without it a setting", "s", changes="experiment")
    distance: float | None = option(90.0, "distance of the sources from the center", "mm", drawn=(80.0, 110.0), allowed=(60.0, 500.0))
    azimuth: float | None = option(
        90.0, "direction of the source of A, counterclockwise from +x", "degree", drawn=(0.0, 360.0), allowed=(-360.0, 360.0)
    )
    length_a: float | None = option(25.0, "over which the flux of A falls to 1/e", "mm", drawn=(21.0, 27.0), allowed=(5.0, 500.0))
    length_b: float | None = option(25.0, "over which the flux of B falls to 1/e", "mm", drawn=(21.0, 27.0), allowed=(5.0, 500.0))
    length_c: float | None = option(25.0, "over which the flux of C falls to 1/e", "mm", drawn=(21.0, 27.0), allowed=(5.0, 500.0))
    alpha: float | None = option(
        0.62, "mole fraction of A in alpha where all three phases coexist", drawn=(0.52, 0.66), allowed=(0.5, 0.95)
    )
    beta: float | None = option(0.60, "mole fraction of B in beta there", drawn=(0.52, 0.66), allowed=(0.5, 0.95))
    gamma: float | None = option(0.56, "mole fraction of C in gamma there", drawn=(0.52, 0.66), allowed=(0.5, 0.95))
    alpha_rest: float | None = option(0.60, "share of B in what is not A of alpha", drawn=(0.35, 0.65), allowed=(0.1, 0.9))
    beta_rest: float | None = option(0.45, "share of C in what is not B of beta", drawn=(0.35, 0.65), allowed=(0.1, 0.9))
    gamma_rest: float | None = option(0.50, "share of A in what is not C of gamma", drawn=(0.35, 0.65), allowed=(0.1, 0.9))


class WaferTwin(InstrumentTwin[Wafer]):
    """Composition-spread wafer of three elements and a moving probe: images are cheap and blurred, spectra resolve more.

    **Equation.** Position is composition: the flux of each of three sources at 120° falls off as exp(-distance / length) and is
    normalized, c_i = w_i exp(-|p - s_i| / length_i) / Σ, with powers w_i that give the center equal parts. Composition is phases:
    each of alpha (rich in A), beta (B) and gamma (C) has a free energy a |c - c_k|², and common tangents and the lever rule give
    fractions f that are the barycentric coordinates of the point of the triangle (c_alpha, c_beta, c_gamma) nearest to c: three
    phases inside the triangle, two beyond an edge, one beyond a corner; seven fields. Phases are a spectrum: Σ f_k R_k, with the
    reflectance R_k of the pure phases. A spectrum has noise of 0.05 + 0.18·exp(-dwell) (dwell in s) in every channel; an image is
    blurred by a Gaussian and has noise in every pixel.
    Source: Hanak, J. Mater. Sci. 5 (1970) 964, doi:10.1007/BF00558177 (the method); Gibbs (1876) and Hu et al., Calphad 31 (2007)
    303, doi:10.1016/j.calphad.2006.08.005 (common tangent of wells). Fall-off, wells and reflectances are invented.

    ============== ============= ====== ==========================================================================
    parameter      limits        unit   meaning
    ============== ============= ====== ==========================================================================
    x              -35 … 35      mm     place on the library, to the right of the center of the wafer
    y              -35 … 35      mm     the same, up from the center
    look           3 names              what is done there, below; only without the option look
    dwell          0.1 … 6       s      how long a spectrum is collected, and nothing to an image; only where spectra
                                        can be taken, and without the option dwell
    ============== ============= ====== ==========================================================================

    ============== ============================================================================================
    look           meaning
    ============== ============================================================================================
    spectrum       move there and collect for `dwell`. Goals count with spectra (the fidelity of the experiment)
    zoom           move there, take an image of 7 mm (13 × 13 pixels), read its middle
    overview       read the image of the whole library (70 mm, 71 × 71 pixels). It is taken over the center when the
                   experiment before had another look; until the look changes a place always reads the same, since
                   no light is new
    ============== ============================================================================================

    Outcomes: `phase`, one of alpha, beta, gamma, alpha + beta, alpha + gamma, beta + gamma, alpha + beta + gamma, and the
    reflectances ``r400 r450 … r750`` (nm), the number 1 for all light; noise may take them beyond 0 and 1. `raw` has `deviation`, the
    standard deviation of the reading.

    The label is inferred from the reading: among the sets of phases whose known spectra explain it, the one with the least
    χ² + 4 per phase, so a phase counts as seen at two standard deviations. A blurred or noisy look misses small fractions.

    **Options**: `WaferOptions`.

    **Time and money.** A move takes distance / speed + settle, and nothing where the head already is; so the order of
    experiments matters. A spectrum takes its dwell and `readout`, a zoom 0.845 s besides the move, the first of several overviews in
    a row 25.2 s besides the move to the center, the others nothing. The lab is free of charge unless `price` says otherwise.

    **The teaching lab** (``imperfections=teaching-lab``; sizes assumed): the noise floor is the film's own, within spots of 0.5 mm,
    so that looking twice averages only the rest; reading out a spectrum takes 1 s. `benchmarks/price_exploits.py` tries to live on
    many short looks.

    **Truth**: `phase` at equilibrium at that very place; the reflectances as the look would read them without noise, so
    blurred for images.

    **Valid** for a smooth film at equilibrium, on a square library of 70 mm in the middle of a wafer of 150 mm.
    **Leaves out** thickness and roughness (reflectance depends on composition alone), peaks that shift with composition, phases
    that did not form in time, drift of the lamp, errors of the stage, and that a well knows no edge of the composition triangle.

    The sources could not be opened when this sheet was last checked; the tests compare compositions and fractions with closed
    forms and minimization.

    **Twin of** no one rig: of what combinatorial labs do with co-sputtered libraries, a mapping camera and a spectrometer. It was
    never compared with one.
    """

    @takes(WaferOptions)
    def __init__(self, options: WaferOptions) -> None:
        self.film = Film.of(options.constants)
        self._look = look = options.look
        self._optics = optics = options.with_noise(options.scale)
        expert = self._true_phase if options.labeling == "direct" else None
        super().__init__(
            lambda random: Wafer(SimulatedProbe(self.film, optics, random, options.seed), optics, look, options.dwell, expert), options.seed
        )

    @property
    def probe(self) -> Probe:
        """The simulated probe, for those who want to give its instructions themselves."""
        return self._driver.probe

    def truth(self, settings: Settings) -> Outcomes:
        """The true phases, and the noise-free reading of the look."""
        return self.truths([settings])[0]

    def truths(self, settings: Sequence[Settings]) -> list[Outcomes]:
        """The same for many settings at once."""
        places = np.array([[float(s[name]) for s in settings] for name in "xy"]).T
        if self._look is not None:
            readings = self._true_readings(self._look, places)
        else:
            readings, looks = np.empty((len(places), len(CHANNELS))), np.array([look_of(s) for s in settings])
            for look in set(looks.tolist()):
                readings[looks == look] = self._true_readings(look, places[looks == look])
        return [
            {"phase": label} | dict(zip(CHANNELS, reading, strict=True))
            for label, reading in zip(self.film.labels(places), readings.tolist(), strict=True)
        ]

    def _true_readings(self, look: str, places: Floats) -> Floats:
        """Noise-free readings [n, 8] at places [n, 2]."""
        if look == "spectrum":
            return self.film.spectra(places)
        if look == "zoom":
            return zoomed(self.film, places, self._optics.blur)
        image = self._true_overview
        columns = np.abs(image.x - places[:, :1]).argmin(axis=1)
        rows = np.abs(image.y - places[:, 1:]).argmin(axis=1)
        read: Floats = image.channels[rows, columns]
        return read

    @cached_property
    def _true_overview(self) -> Image:
        return blurred(self.film, (0.0, 0.0), WHOLE.width, WHOLE.pixels, self._optics.blur)

    def diagram(self, at: float | None = None) -> Diagram:
        """The fields over the wafer, and the reflectances of the pure phases beside them.

        Raises:
            InvalidInput: There is nothing to cut.
        """
        if at is not None:
            raise InvalidInput(f"the wafer has no section to cut at {at:g}; draw it without a cut", field="at")
        curves = tuple(Curve(phase, WAVELENGTHS, row) for phase, row in zip(PHASES, PURE, strict=True))
        section = Section("Pure phases", "wavelength, nm", "reflectance", curves)
        lines = tuple(Line("boundary", points) for points in self.film.boundaries())
        return Diagram(("x", "y"), "phase", lines=lines, marks=(Mark("equal parts", (0.0, 0.0)),), section=section)

    def _true_phase(self, settings: Settings) -> str:
        return self.film.labels(np.array([[float(settings["x"]), float(settings["y"])]]))[0]
