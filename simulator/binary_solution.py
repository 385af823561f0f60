"""A liquid of two components that demixes: Redlich-Kister excess energy, a miscibility gap, a turbidimeter."""

from collections.abc import Mapping

import numpy as np

from simulator.equations.binary_equilibrium import Equilibrium, Floats, Solution, critical_points
from simulator.instruments.binary_lab import ONE, BinaryLab, Field, checked_window
from simulator.instruments.phase_instruments import Turbidimeter, spread
from simulator.instruments.phase_lab import Labeling
from simulator.instruments.system_constants import Constant, constants_of

CONSTANTS = {
    "L0": Constant(6000, (5000, 7000), (-50_000, 50_000), "J/mol", "symmetric part of the interaction"),
    "L1": Constant(-900, (-1500, 1500), (-30_000, 30_000), "J/mol", "what makes the gap lean to one side"),
    "L2": Constant(0, (-500, 500), (-30_000, 30_000), "J/mol", "what flattens or sharpens the gap"),
    "L0_T": Constant(0, (0, 0), (-100, 100), "J/(mol K)", "change of L0 with temperature"),
    "L1_T": Constant(0, (0, 0), (-100, 100), "J/(mol K)", "change of L1 with temperature"),
    "L2_T": Constant(0, (0, 0), (-100, 100), "J/(mol K)", "change of L2 with temperature"),
}


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

    ============= ======== ==========================================================================================
    option        default  meaning
    ============= ======== ==========================================================================================
    L0            6000     symmetric part of the interaction, J/mol (drawn: 5000 to 7000; allowed: -50000 to 50000)
    L1            -900     leans the gap to one side, J/mol (drawn: -1500 to 1500; allowed: -30000 to 30000)
    L2            0        flattens or sharpens the gap, J/mol (drawn: -500 to 500; allowed: -30000 to 30000)
    L0_T          0        change of L0 with temperature, J/(mol K) (never drawn; allowed: -100 to 100)
    L1_T          0        change of L1 with temperature, the same
    L2_T          0        change of L2 with temperature, the same
    system        none     a seed: draws every constant that is not given from its range
    coldest       250      K, of the furnace
    hottest       500      K, of the furnace
    labeling      inferred where `phase` comes from: inferred from the reading, or direct (an expert who is never wrong)
    imperfections 1        scales noise and drift; 0 turns them off
    seed          0        of everything random
    ============= ======== ==========================================================================================

    **Time and money.** A new sample takes 120 s and 0.40 USD, the furnace heats by 0.5 K/s, cools by 0.2 K/s and soaks for 600 s
    (0.30 USD an hour), a reading takes 5 s. A sample of the same composition stays in, so the order of experiments matters.
    **Random errors.** Noise 0.01, a base line that drifts by 0.001 in an hour (twice that in days). The detection limit, 0.04, is four
    standard deviations of a reading: near the binodal, where there is little of one liquid or little difference between the two, the
    label is `mixed` although the sample is not.

    **Truth**: the label by the common tangent and the turbidity without noise.
    **Valid** for liquids of molecules of like size. Any L is allowed, so there may be no gap, or two.
    **Leaves out** metastable samples (nothing stays mixed between binodal and spinodal), settling and droplets (turbidity has no
    memory and no wavelength), critical opalescence, evaporation, freezing.

    **Twin of** a cell with a lamp and a light sensor in a bath with a thermostat: a cloud-point apparatus. It was never compared with one.
    """

    CONSTANTS = CONSTANTS

    def __init__(
        self,
        L0: float | None = None,
        L1: float | None = None,
        L2: float | None = None,
        L0_T: float | None = None,
        L1_T: float | None = None,
        L2_T: float | None = None,
        system: int | None = None,
        coldest: float = 250.0,
        hottest: float = 500.0,
        labeling: Labeling = "inferred",
        imperfections: float = 1.0,
        seed: int = 0,
    ) -> None:
        given = {"L0": L0, "L1": L1, "L2": L2, "L0_T": L0_T, "L1_T": L1_T, "L2_T": L2_T}
        self.constants = constants_of(CONSTANTS, given, system)
        L = list(self.constants.values())
        self._solution = Solution("liquid", excess=tuple(L[:3]), excess_slopes=tuple(L[3:]))
        super().__init__(
            "binary-solution",
            (self._solution,),
            {(0, ONE): Field("mixed", ("mixed",)), (0, 0): Field("demixed", ("A-rich", "B-rich"))},
            Turbidimeter(clear="mixed", cloudy="demixed"),
            checked_window(coldest, hottest),
            seed=seed,
            imperfections=imperfections,
            labeling=labeling,
        )

    def _properties(self, found: Equilibrium, x: Floats, T: Floats) -> Mapping[str, Floats]:
        return {"spread": spread(found.fractions, found.compositions)}

    def _section_temperature(self) -> float:
        tops = [T for _, T in critical_points(self._solution)]
        return 0.88 * max(tops) if tops else float(np.mean(self.window))
