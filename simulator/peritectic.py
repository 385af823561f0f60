"""A liquid and a solid that react to another solid on cooling: a peritectic, read by a diffractometer."""

from collections.abc import Sequence
from functools import lru_cache

from frugaltwin.data_sheets import option, takes
from frugaltwin.diagram import Mark
from frugaltwin.errors import InvalidInput
from simulator.equations.binary_equilibrium import Invariant, Phase, Solution, invariants
from simulator.instruments.binary_lab import ONE, BinaryLab, BinaryLabOptions, Field, furnace_limit
from simulator.instruments.phase_instruments import DiffractionOptions, Diffractometer

LIQUID, ALPHA, BETA = 0, 1, 2


class PeritecticOptions(BinaryLabOptions, DiffractionOptions):
    """Options of a peritectic."""

    melting_A: float | None = option(880, "melting point of pure A, as beta", "K", drawn=(800, 920), allowed=(60, 4500))
    melting_B: float | None = option(1430, "melting point of pure B, as alpha", "K", drawn=(1380, 1500), allowed=(60, 4500))
    enthalpy_A: float | None = option(11_000, "melting enthalpy of A, as beta", "J/mol", drawn=(9000, 14_000), allowed=(1000, 200_000))
    enthalpy_B: float | None = option(15_000, "melting enthalpy of B, as alpha", "J/mol", drawn=(13_000, 18_000), allowed=(1000, 200_000))
    offset_A: float | None = option(
        4500, "how much less stable A is as alpha than as beta", "J/mol", drawn=(3000, 5000), allowed=(1, 100_000)
    )
    offset_B: float | None = option(
        2200, "how much less stable B is as beta than as alpha", "J/mol", drawn=(1500, 2500), allowed=(1, 100_000)
    )
    coldest: float = furnace_limit(600.0)
    hottest: float = furnace_limit(1600.0)


class Peritectic(BinaryLab):
    """Peritectic: on cooling, liquid and solid alpha react to solid beta at one temperature; read by a diffractometer.

    **Equation.** Three ideal solutions, G = Σ x_i g_i + RT Σ x_i ln x_i. Beta is the solid of A (g_A = 0, g_B = offset_B), alpha that of B
    (g_A = offset_A, g_B = 0), the liquid has g_i = ΔH_i (1 - T/T_i). At the peritectic temperature all three share one tangent, with beta
    between the liquid and alpha: liquid + alpha ⇌ beta. Below it are the fields liquid + beta and alpha + beta.
    Source: Gibbs, Trans. Conn. Acad. 3 (1876) 108 (common tangent); Hillert, Phase Equilibria, Phase Diagrams and Phase
    Transformations, 2nd ed. (2008), chapter 10, doi:10.1017/CBO9780511812781 (peritectic reactions).

    =========== ================== ====== ==========================================
    parameter   limits             unit   meaning
    =========== ================== ====== ==========================================
    composition 0 to 1             1      mole fraction of B
    temperature coldest to hottest K      held until the sample is at equilibrium
    =========== ================== ====== ==========================================

    ========== ==== =================================================================================================
    outcome    unit meaning
    ========== ==== =================================================================================================
    phase           liquid, alpha, beta, liquid + alpha, liquid + beta or alpha + beta
    d_1 … d_12 1    intensity at 1/d from 1.6 to 5.2 per nm: lines of alpha and beta and the hump of the liquid,
                    mixed by their fractions, over a background of 0.05
    ========== ==== =================================================================================================

    **Options**: `PeritecticOptions`.

    Constants without a peritectic (it is a eutectic where offset_B is so large that beta melts below A) are refused.

    **Time and money.** A new sample takes 120 s and 0.40 USD, the furnace heats by 0.5 K/s, cools by 0.2 K/s and soaks for 600 s
    (0.30 USD an hour), a pattern takes 300 s and 0.10 USD. A sample of the same composition stays in: the order matters.
    **Random errors.** Noise 0.004 in every channel, a base line that drifts by 0.002 in an hour (common to all; twice that in days).
    The label is that of the set of phases that fits best, each with a share of 0.03 or more: near a boundary, where less of a phase
    is there, it is not seen.

    **The teaching lab** (``imperfections=teaching-lab``; all sizes assumed): a new sample is prepared and goes into a cold furnace,
    a second look at the same one does not soak again, samples are weighed in a little wrong and are colder than the furnace says, and
    what forms on cooling comes late or, cooled fast, not at all: the same point can read otherwise from above than from below, on one
    sample. Powders have texture, lines that shift with what a phase has dissolved, an amorphous part and an unknown phase, and the fit
    knows neither the width of the lines nor the lattices exactly. Labels at 300 random places, each a new sample, are right in
    99.0 % of the tidy lab and 95.5 % of the teaching lab (`benchmarks/label_rates.py`).

    **Truth**: the label by the common tangent and the pattern without noise.
    **Valid** for melting enthalpies and offsets that hardly change with temperature.
    **Leaves out** interactions within a phase, heat capacities, and what a peritectic is notorious for: beta grows around alpha and
    keeps it from the liquid, so that a real sample takes days to get to equilibrium; here it soaks for ten minutes and is there.

    The sources could not be opened when this sheet was last checked; the tests compare it with common tangents found otherwise
    and with pycalphad.

    **Twin of** a furnace on a powder diffractometer. It was never compared with one.
    """

    @takes(PeritecticOptions)
    def __init__(self, options: PeritecticOptions) -> None:
        T_A, T_B, H_A, H_B, offset_of_A, offset_of_B = options.constants.values()
        phases = (
            Solution("liquid", (H_A, H_B), (H_A / T_A, H_B / T_B)),
            Solution("alpha", (offset_of_A, 0.0)),
            Solution("beta", (0.0, offset_of_B)),
        )
        self._melting = (T_A, T_B)
        self._peritectic = _peritectic_point(phases, T_A, T_B)
        alpha_beta, with_alpha, with_beta = ("alpha", "beta"), ("liquid", "alpha"), ("liquid", "beta")
        fields = {
            (LIQUID, ONE): Field("liquid", ("liquid",)),
            (ALPHA, ONE): Field("alpha", ("alpha",)),
            (BETA, ONE): Field("beta", ("beta",)),
            (LIQUID, ALPHA): Field("liquid + alpha", with_alpha),
            (ALPHA, LIQUID): Field("liquid + alpha", with_alpha[::-1]),
            (LIQUID, BETA): Field("liquid + beta", with_beta),
            (BETA, LIQUID): Field("liquid + beta", with_beta[::-1]),
            (ALPHA, BETA): Field("alpha + beta", alpha_beta),
            (BETA, ALPHA): Field("alpha + beta", alpha_beta[::-1]),
        }
        super().__init__(
            "peritectic",
            phases,
            fields,
            Diffractometer(
                {"liquid": None, "alpha": 0.40, "beta": 0.47},
                {field.label: field.phases for field in fields.values()},
                limit=options.least_share,
                flaws=options,
                scale=options.scale,
                seed=options.seed,
            ),
            options,
        )

    def _special_points(self) -> Sequence[Mark]:
        return [Mark("A melts", (0.0, self._melting[0])), Mark("B melts", (1.0, self._melting[1]))]

    def _section_temperature(self) -> float:
        return self._peritectic.temperature


@lru_cache(maxsize=256)
def _peritectic_point(phases: tuple[Phase, ...], melting_A: float, melting_B: float) -> Invariant:
    """The peritectic point: the liquid is in equilibrium with both solids.

    Raises:
        InvalidInput: There is no such point, or it is a eutectic.
    """
    low, high = 0.5 * min(melting_A, melting_B), 1.2 * max(melting_A, melting_B)
    found = invariants(phases, low, high)
    if [point.kind for point in found] != ["peritectic"]:
        kinds = " and a ".join(point.kind for point in found) or "no reaction"
        raise InvalidInput(f"these constants give no single peritectic between {low:g} and {high:g} K, but a {kinds}: lower an offset")
    return found[0]
