"""Two solids that melt into one liquid: a eutectic, read by a diffractometer."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from frugaltwin.data_sheets import option, takes
from frugaltwin.diagram import Mark
from frugaltwin.errors import InvalidInput
from simulator.equations.binary_equilibrium import Compound, Equilibrium, Floats, Phase, Solution, invariants
from simulator.instruments.binary_lab import ONE, BinaryLab, BinaryLabOptions, Field
from simulator.instruments.phase_instruments import DiffractionOptions, Diffractometer

LIQUID, A, B = 0, 1, 2
FIELDS = {
    (LIQUID, ONE): Field("liquid", ("liquid",)),
    (A, LIQUID): Field("liquid + A", ("A", "liquid")),
    (LIQUID, B): Field("liquid + B", ("liquid", "B")),
    (A, B): Field("A + B", ("A", "B")),
}


class EutecticOptions(BinaryLabOptions, DiffractionOptions):
    """Options of a eutectic."""

    melting_A: float | None = option(540, "melting point of pure A", "K", drawn=(450, 580), allowed=(60, 4500))
    melting_B: float | None = option(500, "melting point of pure B", "K", drawn=(450, 580), allowed=(60, 4500))
    enthalpy_A: float | None = option(11_000, "melting enthalpy of A", "J/mol", drawn=(7000, 14_000), allowed=(100, 200_000))
    enthalpy_B: float | None = option(7000, "melting enthalpy of B", "J/mol", drawn=(7000, 14_000), allowed=(100, 200_000))
    liquid_interaction: float | None = option(
        0, "Ω, interaction in the liquid: there must be a eutectic", "J/mol", drawn=(-2000, 2000), allowed=(-50_000, 50_000)
    )
    solid_interaction: float | None = option(
        None, "W, interaction in the solids, never drawn; none is for solids that are pure", "J/mol", allowed=(0, 200_000), changes="truth"
    )


class Eutectic(BinaryLab):
    """Eutectic: a liquid and two solids, A and B, that melt together at one temperature; read by a diffractometer.

    **Equation.** Pure solids have G = 0; the liquid has G = Σ x_i ΔH_i (1 - T/T_i) + RT Σ x_i ln x_i + Ω x_A x_B: the melting enthalpies do
    not depend on temperature. An ideal liquid (Ω = 0) is in equilibrium with solid i where ln x_i = -(ΔH_i/R) (1/T - 1/T_i); where
    both curves meet is the eutectic point, and below it is no liquid. With `solid_interaction` W the solids dissolve in each other:
    G = RT Σ x_i ln x_i + W x_A x_B, and A and B are the two sides of its gap.
    Source: Schröder, Z. Phys. Chem. 11 (1893) 449, and van Laar, Z. Phys. Chem. 63 (1908) 216 (the curves); Prigogine & Defay, Chemical
    Thermodynamics (1954), chapter XXII.

    =========== ================== ====== ==========================================
    parameter   limits             unit   meaning
    =========== ================== ====== ==========================================
    composition 0 to 1             1      mole fraction of B
    temperature coldest to hottest K      held until the sample is at equilibrium
    =========== ================== ====== ==========================================

    ========== ==== =================================================================================================
    outcome    unit meaning
    ========== ==== =================================================================================================
    phase           liquid, liquid + A, liquid + B or A + B (and A, B where the solids dissolve in each other)
    d_1 … d_12 1    intensity at 1/d from 1.6 to 5.2 per nm: lines of A and B and the hump of the liquid, mixed by
                    their fractions, over a background of 0.05
    ========== ==== =================================================================================================

    **Options**: `EutecticOptions`.

    **Time and money.** A new sample takes 120 s and 0.40 USD, the furnace heats by 0.5 K/s, cools by 0.2 K/s and soaks for 600 s
    (0.30 USD an hour), a pattern takes 300 s and 0.10 USD. A sample of the same composition stays in: the order matters.
    **Random errors.** Noise 0.004 in every channel, a base line that drifts by 0.002 in an hour (common to all; twice that in days).
    The label is that of the set of phases that fits best, each with a share of 0.03 or more: near a boundary, where less of a
    phase is there, it is not seen. A pattern that shows one solid alone is read as that of its two fields which fits better, by the
    trace of liquid or of the other solid that it has: for a pure component there is none, and the label is either.

    **The teaching lab** (``imperfections=teaching-lab``; all sizes assumed): a new sample is prepared and goes into a cold furnace,
    a second look at the same one does not soak again, samples are weighed in a little wrong and are colder than the furnace says, and
    what forms on cooling comes late or, cooled fast, not at all: the same point can read otherwise from above than from below, on one
    sample. Powders have texture, lines that shift with what a phase has dissolved, an amorphous part and an unknown phase, and the fit
    knows neither the width of the lines nor the lattices exactly. Labels at 300 random places, each a new sample, are right in
    98.6 % of the tidy lab and 95.8 % of the teaching lab (`benchmarks/label_rates.py`).

    **Truth**: the label by the common tangent and the pattern without noise. Pure A lies on the edge of two fields: it counts as A + B
    below the eutectic temperature and as liquid + A above, and B likewise. Where the solids dissolve, A and B are fields of their own.
    **Valid** for melting enthalpies that hardly change with temperature.
    **Leaves out** heat capacities, shifts of the lines with temperature, compounds between A and B (see `peritectic`).

    The sources could not be opened when this sheet was last checked; the tests compare it with its closed forms and with pycalphad.

    **Twin of** a furnace on a powder diffractometer (tin with bismuth, say). It was never compared with one.
    """

    @takes(EutecticOptions)
    def __init__(self, options: EutecticOptions) -> None:
        T_A, T_B, H_A, H_B, interaction = options.constants.values()
        liquid = Solution("liquid", (H_A, H_B), (H_A / T_A, H_B / T_B), (interaction,))
        if options.solid_interaction is None:
            phases: tuple[Phase, ...] = (liquid, Compound("A", 0.0), Compound("B", 1.0))
        else:
            if not options.solid_interaction > 0:
                raise InvalidInput(
                    f"solid_interaction = {options.solid_interaction:g} J/mol makes no two solids: it is above 0, up to 200000 J/mol"
                )
            phases = (liquid, Solution("solid", excess=(float(options.solid_interaction),)))
        self._melting = (T_A, T_B)
        self._eutectic = _eutectic_point(phases, T_A, T_B)
        self._is_pure = options.solid_interaction is None
        fields = FIELDS if self._is_pure else FIELDS | {(A, ONE): Field("A", ("A",)), (B, ONE): Field("B", ("B",))}
        super().__init__(
            "eutectic",
            phases,
            fields,
            Diffractometer(
                {"liquid": None, "A": 0.40, "B": 0.47},
                {found.label: found.phases for found in fields.values()},
                limit=options.least_share,
                flaws=options,
                scale=options.scale,
                seed=options.seed,
            ),
            options,
        )

    def _as_fields(self, found: Equilibrium, T: Floats) -> Equilibrium:
        alone = (found.phases[:, 1] == ONE) & (found.phases[:, 0] != LIQUID)
        if self._is_pure and not alone.any():
            return found
        kinds, shares = found.phases.copy(), found.fractions.copy()
        if not self._is_pure:  # one phase, two names: A left of the eutectic point, B right of it
            kinds[(found.phases == A) & (found.compositions > self._eutectic.at[0])] = B
            return Equilibrium(kinds, found.compositions, shares)
        for solid, field in ((A, (A, LIQUID)), (B, (LIQUID, B))):  # a pure solid is the edge of two fields
            edge = alone & (found.phases[:, 0] == solid)
            kinds[edge] = np.where(T[edge, None] > self._eutectic.at[1], field, (A, B))
            shares[edge] = (1.0, 0.0) if solid == A else (0.0, 1.0)
        return Equilibrium(kinds, found.compositions, shares)

    def _special_points(self) -> Sequence[Mark]:
        return [Mark("A melts", (0.0, self._melting[0])), Mark("B melts", (1.0, self._melting[1]))]

    def _section_temperature(self) -> float:
        return (self._eutectic.at[1] + min(self._melting)) / 2


@lru_cache(maxsize=256)
def _eutectic_point(phases: tuple[Phase, ...], melting_A: float, melting_B: float) -> Mark:
    """The eutectic point: the liquid is in equilibrium with both solids.

    Raises:
        InvalidInput: There is no such point, or the liquid demixes.
    """
    low, high = 0.1 * min(melting_A, melting_B), max(melting_A, melting_B)
    found = invariants(phases, low, high)
    if [point.kind for point in found] != ["eutectic"]:
        raise InvalidInput(
            f"these constants give no eutectic between {low:g} and {high:g} K: the liquid must not demix (a small liquid_interaction), "
            "and the solids must (a large solid_interaction)"
        )
    return Mark("eutectic point", (found[0].compositions[1], found[0].temperature))
