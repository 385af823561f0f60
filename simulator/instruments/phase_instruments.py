"""Instruments of a phase lab: a turbidimeter, a powder diffractometer, a calorimeter. Each is an `Instrument`.

The label that an instrument infers comes from the reading alone. Near a boundary, where less of a phase is there than the detection
limit, it is the label of the field next door, as on a rig.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frugaltwin.amounts import Amounts
from frugaltwin.data_sheets import Options, option
from frugaltwin.experiment import Outcome
from simulator.instruments.phase_lab import PhaseState

Floats = NDArray[np.float64]

BINS = np.linspace(1.6, 5.2, 12)  # 1/nm: where the diffractometer counts
LINE_WIDTH = 0.2  # 1/nm, standard deviation: the slits are wide, so that no line falls between two bins
LATTICE_HEAT_CAPACITY = 24.94  # J/(mol K)


def spread(fractions: ArrayLike, compositions: ArrayLike) -> Floats:
    """Variance of the composition over the phases of a sample, [...]: it makes the sample scatter light.

    Σ_i f_i |x_i - x̄|², which for two phases is f (1-f) |Δx|². Light is scattered in proportion to the mean square of the
    fluctuations of the refractive index, which is taken as linear in the composition.
    Source: Debye & Bueche, J. Appl. Phys. 20 (1949) 518, doi:10.1063/1.1698419.

    Args:
        fractions: Of the phases, [..., p].
        compositions: Of the phases, [..., p] for a binary or [..., p, k] for more components; any number where the fraction is 0.

    >>> float(spread([0.5, 0.5], [0.25, 0.75]))
    0.0625
    """
    f, x = np.asarray(fractions, dtype=float), np.asarray(compositions, dtype=float)
    if x.ndim == f.ndim:
        x = x[..., None]
    mean = (f[..., None] * x).sum(axis=-2, keepdims=True)
    variance: Floats = (f * ((x - mean) ** 2).sum(axis=-1)).sum(axis=-1)
    return variance


def powder_pattern(lattice: float, width: float = LINE_WIDTH, texture: ArrayLike = 1.0) -> Floats:
    """Intensity in every bin [12] from a simple cubic powder with this lattice parameter, nm; its strongest line has the height 1.

    `width` of the lines, 1/nm, of which the area stays the same; `texture` [6] makes each of them higher or lower.

    Lines at 1/d = √N / a for N = h² + k² + l² = 1 … 6, as high as they are many (6, 12, 8, 6, 24, 24), less a decay with N.
    Source: Cullity, Elements of X-Ray Diffraction (1956), chapter 4 and Appendix 9 (lines and multiplicities).
    """
    squares = np.arange(1, 7)
    heights = np.array([6, 12, 8, 6, 24, 24]) * np.exp(-0.45 * squares)
    lines = np.sqrt(squares) / lattice
    shown = heights * texture * (LINE_WIDTH / width)
    intensity = (shown * np.exp(-0.5 * ((BINS[:, None] - lines) / width) ** 2)).sum(axis=1)
    pattern: Floats = intensity / heights.max()
    return pattern


def liquid_pattern() -> Floats:
    """Intensity in every bin [12] from a liquid: one broad hump."""
    hump: Floats = 0.6 * np.exp(-0.5 * ((BINS - 2.9) / 0.9) ** 2)
    return hump


class TurbidityOptions(Options):
    """Imperfections of samples in a beam of light. All sizes in profiles are assumed."""

    dust: float = option(
        0.0, "mean optical depth of dust and bubbles, exponential, another one in each sample", allowed=(0, 10), changes="imperfections"
    )

    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {"teaching-lab": {"dust": 0.01}}


@dataclass(frozen=True)
class Turbidimeter:
    """Light that a sample scatters out of a beam: one outcome `turbidity`, 0 (clear) to 1.

    Reads the property `spread` of a state (see `spread`): turbidity = 1 - exp(-strength · spread). More than `limit` is cloudy.
    """

    clear: str = "mixed"
    """The label of a sample that is clear."""
    cloudy: str = "demixed"
    strength: float = 60.0
    """Optical depth at a spread of 1."""
    limit: float = 0.04
    """The least turbidity that counts: four standard deviations of a reading."""
    cost: Amounts = Amounts(seconds=5.0)
    drift: float = 0.001
    flaws: TurbidityOptions = TurbidityOptions()

    @cached_property
    def outcomes(self) -> tuple[Outcome, ...]:
        return (Outcome("turbidity", "1", "share of the light that the sample scatters"),)

    @cached_property
    def noise(self) -> Floats:
        return np.array([0.01])

    def signal(self, states: Sequence[PhaseState]) -> Floats:
        return -np.expm1(-self.strength * np.array([[s.properties["spread"]] for s in states]).reshape(-1, 1))

    @property
    def sees_samples(self) -> bool:
        return self.flaws.dust > 0

    def sample(self, random: np.random.Generator, scale: float) -> float:
        """Draw the optical depth of what floats in a new sample."""
        return float(scale * self.flaws.dust * random.exponential())

    def sample_signal(self, state: PhaseState, sample: float) -> Floats:
        found: Floats = -np.expm1(np.array([-self.strength * state.properties["spread"] - sample]))
        return found

    def inferred(self, reading: Floats) -> str:
        return self.cloudy if reading[0] > self.limit else self.clear


class DiffractionOptions(Options):
    """Imperfections of powders and of the reference patterns that a fit is made with. All sizes in profiles are assumed."""

    texture: float = option(
        0.0,
        "preferred orientation: each line of a phase is higher or lower, log-normal, in each sample",
        allowed=(0, 2),
        changes="imperfections",
    )
    peak_shift: float = option(
        0.0,
        "by which the lattice of a solid grows with the mole fraction of what it has dissolved (Vegard)",
        allowed=(-0.3, 0.3),
        changes="imperfections",
    )
    amorphous: float = option(
        0.0, "mean share of a sample that shows the hump of a liquid instead of lines", allowed=(0, 0.5), changes="imperfections"
    )
    impurity: float = option(
        0.0, "mean share of an unknown phase, the same one in all samples of a seed", allowed=(0, 0.5), changes="imperfections"
    )
    broadening: float = option(
        0.0, "by which lines are wider than the fit knows, as a share: patterns overlap more", allowed=(0, 3), changes="imperfections"
    )
    reference_error: float = option(
        0.0, "relative error of the lattices that the fit is made with, one for each phase", allowed=(0, 0.1), changes="imperfections"
    )

    least_share: float = option(0.03, "the least share of a phase that the fit takes for one", allowed=(0, 0.5), changes="imperfections")

    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "teaching-lab": {
            "texture": 0.05,
            "peak_shift": 0.01,
            "amorphous": 0.005,
            "impurity": 0.005,
            "broadening": 0.02,
            "reference_error": 0.002,
            "least_share": 0.08,
        }
    }


@dataclass(frozen=True)
class Powder:
    """A sample as a diffractometer sees it."""

    texture: Floats
    """Of every line of every phase, [p, 6]."""
    amorphous: float
    impurity: float
    scale: float


@dataclass(frozen=True, eq=False)
class Diffractometer:
    """A powder diffractometer: outcomes `d_1` … `d_12`, a background and the patterns of the phases mixed by their fractions.

    The label is that of the set of phases that fits best by least squares, among the sets in which every phase has at least the
    share `limit` (a smaller share is not seen, and no share is negative). An unknown base line is fitted along. Where one phase alone
    fits best and no label is that phase alone, it is the edge of several fields: the label is that of the one whose other phases fit best,
    however little there is of them.
    """

    lattices: Mapping[str, float | None]
    """Phase → lattice parameter of its cubic lattice, nm; None for a liquid. Two liquids look the same to X-rays."""
    labels: Mapping[str, tuple[str, ...]]
    """Label → the phases that are there."""
    limit: float = 0.03
    """The least share of a phase that is seen."""
    background: float = 0.05
    cost: Amounts = Amounts(seconds=300.0, money=0.10)
    drift: float = 0.002
    flaws: DiffractionOptions = DiffractionOptions()
    scale: float = 1.0
    """Of the flaws together."""
    seed: int = 0
    """Of what is the same in all samples: the unknown phase, and the errors of the references."""

    @cached_property
    def outcomes(self) -> tuple[Outcome, ...]:
        return tuple(Outcome(f"d_{k}", "1", f"diffracted intensity at 1/d = {q:.2f} per nm") for k, q in enumerate(BINS, start=1))

    @cached_property
    def noise(self) -> Floats:
        return np.full(len(BINS), 0.004)

    @cached_property
    def patterns(self) -> Floats:
        """Patterns of every phase, [p, 12]."""
        return np.array([liquid_pattern() if a is None else powder_pattern(a) for a in self.lattices.values()])

    @cached_property
    def _lab(self) -> tuple[Floats, float]:
        """Errors of the references, [p], and the lattice of the unknown phase, nm."""
        random = np.random.default_rng((67, self.seed))
        unknown = float(random.uniform(0.36, 0.52))
        return self.scale * self.flaws.reference_error * random.standard_normal(len(self.lattices)), unknown

    @cached_property
    def references(self) -> Floats:
        """The patterns that the fit is made with, [p, 12]."""
        if not self.flaws.reference_error:
            return self.patterns
        known = zip(self.lattices.values(), self._lab[0].tolist(), strict=True)
        return np.array([liquid_pattern() if a is None else powder_pattern(a * (1 + error)) for a, error in known])

    @property
    def sees_samples(self) -> bool:
        flaws = self.flaws
        return any((flaws.texture, flaws.peak_shift, flaws.amorphous, flaws.impurity, flaws.broadening))

    def sample(self, random: np.random.Generator, scale: float) -> Powder:
        flaws, texture = self.flaws, scale * self.flaws.texture
        lines = np.exp(texture * random.standard_normal((len(self.lattices), 6)) - texture**2 / 2)
        amorphous, impurity = (min(scale * flaws_, 0.5) * random.exponential() for flaws_ in (flaws.amorphous, flaws.impurity))
        return Powder(lines, min(amorphous, 0.5), min(impurity, 0.5), scale)

    def sample_signal(self, state: PhaseState, sample: Powder) -> Floats:
        width = LINE_WIDTH * (1 + sample.scale * self.flaws.broadening)
        found = np.zeros(len(BINS))
        for (name, lattice), texture in zip(self.lattices.items(), sample.texture, strict=True):
            if share := state.fractions.get(name, 0.0):
                x = state.compositions.get(name, 0.0)
                dissolved = x if x <= 1 / 2 else x - 1  # B in the solid of A makes its lattice larger, A in that of B smaller
                shift = 1 + sample.scale * self.flaws.peak_shift * dissolved
                found += share * (liquid_pattern() if lattice is None else powder_pattern(lattice * shift, width, texture))
        return self._impure(found, sample, width)

    def _impure(self, found: Floats, sample: Powder, width: float) -> Floats:
        """The pattern [12] of a sample whose known phases have the pattern `found` [12]."""
        rest = max(1 - sample.amorphous - sample.impurity, 0.0)
        return self.background + rest * found + sample.amorphous * liquid_pattern() + sample.impurity * powder_pattern(self._lab[1], width)

    @cached_property
    def fits(self) -> tuple[tuple[str, ...], Floats, Floats]:
        """Every label; matrices from a reading to shares [sets, p, 12], 0 for phases not in the set, and to residuals [sets, 12, 12].

        Both have the base line taken out.
        """
        names = list(self.lattices)
        shares = np.zeros((len(self._sets), len(names), len(BINS)))
        residuals = np.zeros((len(self._sets), len(BINS), len(BINS)))
        for k, (_, phases) in enumerate(self._sets):
            rows = [names.index(phase) for phase in phases]
            design = np.column_stack([self.references[rows].T, np.ones(len(BINS))])
            inverse = np.linalg.pinv(design)
            shares[k, rows] = inverse[:-1]
            residuals[k] = np.eye(len(BINS)) - design @ inverse
        return tuple(label for label, _ in self._sets), shares, residuals

    @cached_property
    def _sets(self) -> list[tuple[str, tuple[str, ...]]]:
        """The labels and their phases, then every phase that can be seen alone although no label is that."""
        edges = [(phase,) for phase, lattice in self.lattices.items() if lattice is not None and (phase,) not in self.labels.values()]
        return [*self.labels.items(), *(("", alone) for alone in edges)]

    @cached_property
    def _absent(self) -> Floats:
        """Mask [sets, p], 1 for the phases that a set does not have: they are no reason against it."""
        return np.array([[float(name not in phases) for name in self.lattices] for _, phases in self._sets])

    def shares(self, reading: Floats, label: str) -> dict[str, float]:
        """Shares of every phase of a label that fit a reading [12] best; they need not add up to 1."""
        labels, fits, _ = self.fits
        fitted = fits[labels.index(label)] @ reading
        return {name: float(share) for name, share in zip(self.lattices, fitted, strict=True) if name in self.labels[label]}

    def signal(self, states: Sequence[PhaseState]) -> Floats:
        fractions = np.array([[s.fractions.get(name, 0.0) for name in self.lattices] for s in states])
        return self.background + fractions.reshape(-1, len(self.lattices)) @ self.patterns

    def inferred(self, reading: Floats) -> str:
        labels, fits, residuals = self.fits
        shares = fits @ reading  # [sets, p]
        least = (shares + self._absent * 1e9).min(axis=1)
        misfit = ((residuals @ reading) ** 2).sum(axis=1)
        seen = least >= self.limit * np.maximum(shares.sum(axis=1), 1e-9)
        best = int(np.argmin(np.where(seen, misfit, np.inf)) if seen.any() else np.argmax(least))
        if labels[best]:
            return labels[best]
        alone = self._sets[best][1]
        beside = [k for k, (label, phases) in enumerate(self._sets) if label and set(alone) < set(phases)]
        return labels[min(beside, key=lambda k: (least[k] < 0, misfit[k] if least[k] >= 0 else -least[k]))]


class CalorimeterOptions(Options):
    """Imperfections of a calorimeter. All sizes in profiles are assumed."""

    heat_error: float = option(
        0.0,
        "relative error of the calibration: of all heats, one standard deviation, the same in all samples of a seed",
        allowed=(0, 0.3),
        changes="imperfections",
    )

    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {"teaching-lab": {"heat_error": 0.03}}


@dataclass(frozen=True)
class Calorimeter:
    """A differential scanning calorimeter: outcomes `heat_capacity` and `enthalpy` (what melting has taken up so far).

    Reads the properties `heat_capacity` and `enthalpy` of a state. A sample that melts takes up heat at every step in temperature:
    its heat capacity is more than `limit` above that of a lattice. One that does not is solid when it has taken up less than
    `halfway`, else liquid.
    """

    solid: str = "solid"
    melting: str = "liquid + solid"
    liquid: str = "liquid"
    halfway: float = 5000.0
    """J/mol."""
    limit: float = 8.0
    """J/(mol K)."""
    cost: Amounts = Amounts(seconds=60.0, money=0.05)
    drift: float = 0.2
    flaws: CalorimeterOptions = CalorimeterOptions()
    seed: int = 0
    """Of the error of the calibration."""

    @cached_property
    def outcomes(self) -> tuple[Outcome, ...]:
        return (
            Outcome("heat_capacity", "J/(mol K)", "heat taken up per kelvin, melting included"),
            Outcome("enthalpy", "J/mol", "heat that melting has taken up"),
        )

    @cached_property
    def noise(self) -> Floats:
        return np.array([2.0, 100.0])

    def signal(self, states: Sequence[PhaseState]) -> Floats:
        return np.array([[s.properties["heat_capacity"], s.properties["enthalpy"]] for s in states]).reshape(-1, 2)

    @property
    def sees_samples(self) -> bool:
        return self.flaws.heat_error > 0

    def sample(self, random: np.random.Generator, scale: float) -> float:
        """The factor of all heats: the calibration's, whatever the sample."""
        error = np.random.default_rng((68, self.seed)).standard_normal()
        return float(max(0.0, 1 + scale * self.flaws.heat_error * error))

    def sample_signal(self, state: PhaseState, sample: float) -> Floats:
        found: Floats = sample * self.signal([state])[0]
        return found

    def inferred(self, reading: Floats) -> str:
        if reading[0] > LATTICE_HEAT_CAPACITY + self.limit:
            return self.melting
        return self.solid if reading[1] < self.halfway else self.liquid
