"""A liquid of two components that demixes: Redlich-Kister excess energy, a miscibility gap, a turbidimeter."""

from collections.abc import Mapping

import numpy as np

from frugaltwin.data_sheets import option, takes
from simulator.equations.binary_equilibrium import Equilibrium, Floats, Solution, critical_points
from simulator.instruments.binary_lab import ONE, BinaryLab, BinaryLabOptions, Field, furnace_limit
from simulator.instruments.phase_instruments import Turbidimeter, TurbidityOptions, spread


class BinarySolutionOptions(BinaryLabOptions, TurbidityOptions):
    """Options of a binary solution."""

    L0: float | None = option(6000, "symmetric part of the interaction", "J/mol", drawn=(5000, 7000), allowed=(-50_000, 50_000))
    L1: float | None = option(-900, "what makes the gap lean to one side", "J/mol", drawn=(-1500, 1500), allowed=(-30_000, 30_000))
    L2: float | None = option(0, "what flattens or sharpens the gap", "J/mol", drawn=(-500, 500), allowed=(-30_000, 30_000))
    L0_T: float | None = option(0, "change of L0 with temperature", "J/(mol K)", drawn=(0, 0), allowed=(-100, 100))
    L1_T: float | None = option(0, "change of L1 with temperature", "J/(mol K)", drawn=(0, 0), allowed=(-100, 100))
    L2_T: float | None = option(0, "change of L2 with temperature", "J/(mol K)", drawn=(0, 0), allowed=(-100, 100))
    coldest: float = furnace_limit(250.0)
    hottest: float = furnace_limit(500.0)


class BinarySolution(BinaryLab):
    """Binary solution: two liquids A and B that demix on cooling (a miscibility gap), read by a turbidimeter.

    **Equation.** G(x, T) = RT [x ln x + (1-x) ln (1-x)] + x (1-x) Σ_k (L_k + T L_k,T) (1-2x)^k, k = 0, 1, 2, with x the mole fraction
    of B. A sample has the two compositions that share a tangent to G (the binodal), where they lie on either side of x; the
    spinodal is G″ = 0, a critical point G″ = G‴ = 0. With L0 alone the critical point is at x = 1/2 and T = L0/2R.
    Source: Redlich & Kister, Ind. Eng. Chem. 40 (1948) 345, doi:10.1021/ie50458a036; Hildebrand, J. Am. Chem. Soc. 51 (1929) 66,
    doi:10.1021/ja01376a009 (regular solution). Turbidity: Debye & Bueche, J. Appl. Phys. 20 (1949) 518, doi:10.1063/1.1698419.

    =========== ================== ====== ==========================================
    parameter   limits             unit   meaning
    =========== ================== ====== ==========================================
    composition 0 to 1             1      mole fraction of B
    temperature coldest to hottest K      held until the sample is at equilibrium
    =========== ================== ====== ==========================================

    ========= ==== ==================================================================================================
    outcome   unit meaning
    ========= ==== ==================================================================================================
    phase          mixed or demixed: demixed where the turbidity is above 0.04
    turbidity 1    1 - exp(-60 f (1-f) Δx²): f the share of one liquid, Δx how far apart the two compositions are
    ========= ==== ==================================================================================================

    **Options**: `BinarySolutionOptions`.

    **Time and money.** A new sample takes 120 s and 0.40 USD, the furnace heats by 0.5 K/s, cools by 0.2 K/s and soaks for 600 s
    (0.30 USD an hour), a reading takes 5 s. A sample of the same composition stays in, so the order of experiments matters.
    **Random errors.** Noise 0.01, a base line that drifts by 0.001 in an hour (twice that in days). The detection limit, 0.04, is four
    standard deviations of a reading: near the binodal, where there is little of one liquid or little difference between the two, the
    label is `mixed` although the sample is not.

    **The teaching lab** (``imperfections=teaching-lab``; all sizes assumed): a new sample is prepared and goes into a cold furnace,
    a second look at the same one does not soak again, samples are weighed in a little wrong and are colder than the furnace says, and
    what forms on cooling comes late or, cooled fast, not at all: the same point can read otherwise from above than from below, on one
    sample. Dust and bubbles make a clear sample cloudy now and then. Labels at 300 random places, each a new sample, are right in
    99.8 % of the tidy lab and 96.8 % of the teaching lab (`benchmarks/label_rates.py`).

    **Truth**: the label by the common tangent and the turbidity without noise.
    **Valid** for liquids of molecules of like size. Any L is allowed, so there may be no gap, or two.
    **Leaves out** settling and droplets (turbidity has no
    memory and no wavelength), critical opalescence, evaporation, freezing.

    The sources could not be opened when this sheet was last checked; the tests compare it with closed forms of regular solutions.

    **Twin of** a cell with a lamp and a light sensor in a bath with a thermostat: a cloud-point apparatus. It was never compared with one.
    """

    @takes(BinarySolutionOptions)
    def __init__(self, options: BinarySolutionOptions) -> None:
        L = list(options.constants.values())
        self._solution = Solution("liquid", excess=tuple(L[:3]), excess_slopes=tuple(L[3:]))
        super().__init__(
            "binary-solution",
            (self._solution,),
            {(0, ONE): Field("mixed", ("mixed",)), (0, 0): Field("demixed", ("A-rich", "B-rich"))},
            Turbidimeter(clear="mixed", cloudy="demixed", flaws=options),
            options,
        )

    def _properties(self, found: Equilibrium, x: Floats, T: Floats) -> Mapping[str, Floats]:
        return {"spread": spread(found.fractions, found.compositions)}

    def _section_temperature(self) -> float:
        tops = [T for _, T in critical_points(self._solution)]
        return 0.88 * max(tops) if tops else float(np.mean(self.window))
