"""A liquid and a solid that mix in all proportions: a lens, read by a calorimeter."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from frugaltwin.data_sheets import option, takes
from frugaltwin.diagram import Mark
from simulator.equations.binary_equilibrium import Equilibrium, Floats, Solution, heat
from simulator.instruments.binary_lab import ONE, BinaryLab, BinaryLabOptions, Field, furnace_limit, refuse_gaps
from simulator.instruments.phase_instruments import LATTICE_HEAT_CAPACITY, Calorimeter, CalorimeterOptions

LIQUID, SOLID = 0, 1


class LensOptions(BinaryLabOptions, CalorimeterOptions):
    """Options of a lens."""

    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {"teaching-lab": {"lag": 10.0, "thermometer": 6.0}}

    melting_A: float | None = option(1211, "melting point of pure A", "K", drawn=(900, 1220), allowed=(60, 4500))
    melting_B: float | None = option(1687, "melting point of pure B", "K", drawn=(1500, 1750), allowed=(60, 4500))
    enthalpy_A: float | None = option(36_900, "melting enthalpy of A", "J/mol", drawn=(20_000, 45_000), allowed=(1000, 200_000))
    enthalpy_B: float | None = option(50_200, "melting enthalpy of B", "J/mol", drawn=(30_000, 60_000), allowed=(1000, 200_000))
    liquid_interaction: float | None = option(
        0, "Ω, interaction in the liquid: nothing must demix", "J/mol", drawn=(-3000, 3000), allowed=(-20_000, 20_000)
    )
    solid_interaction: float | None = option(0, "W, the same in the solid", "J/mol", drawn=(-3000, 3000), allowed=(-20_000, 20_000))
    coldest: float = furnace_limit(800.0)
    hottest: float = furnace_limit(1800.0)


class Lens(BinaryLab):
    """Lens: a liquid and a solid that mix in all proportions, as silicon and germanium do; read by a calorimeter.

    **Equation.** Pure solids have G = 0; solid: G = RT Σ x_i ln x_i + W x_A x_B; liquid: G = Σ x_i ΔH_i (1 - T/T_i) + RT Σ x_i ln x_i
    + Ω x_A x_B. With both ideal (Ω = W = 0), liquidus y and solidus x have a closed form: with K_i = exp[(ΔH_i/R) (1/T - 1/T_i)] the
    ratio of component i in the solid to that in the liquid, y_B = (1 - K_A)/(K_B - K_A) and x_B = K_B y_B. A sample in between
    has both, by the lever rule.
    Source: van Laar, Z. Phys. Chem. 63 (1908) 216; Prigogine & Defay, Chemical Thermodynamics (1954), chapter XXIII.

    =========== ================== ====== ==========================================
    parameter   limits             unit   meaning
    =========== ================== ====== ==========================================
    composition 0 to 1             1      mole fraction of B
    temperature coldest to hottest K      held until the sample is at equilibrium
    =========== ================== ====== ==========================================

    ============= ========= =========================================================================================
    outcome       unit      meaning
    ============= ========= =========================================================================================
    phase                   liquid, liquid + solid or solid
    heat_capacity J/(mol K) 24.94 (a lattice) and dH/dT of a sample that melts: high between the two curves
    enthalpy      J/mol     H against pure solids: what melting and mixing have taken up
    ============= ========= =========================================================================================

    **Options**: `LensOptions`.

    The default constants are those of germanium (A) and silicon (B), rounded (Dinsdale, Calphad 15 (1991) 317,
    doi:10.1016/0364-5916(91)90030-N), taken as ideal.

    **Time and money.** A new sample takes 120 s and 0.40 USD, the furnace heats by 0.5 K/s, cools by 0.2 K/s and soaks for 600 s
    (0.30 USD an hour), a reading takes 60 s and 0.05 USD. A sample of the same composition stays in: the order matters.
    **Random errors.** Noise 2 J/(mol K) and 100 J/mol, a base line that drifts by 0.2 of either in an hour (twice that in days). A heat
    capacity of more than 8 J/(mol K), four standard deviations, above that of a lattice is read as melting; else less than half the melting
    enthalpy (the mean of A and B) is solid. So with a fresh base line a sample outside the lens is read as melting once in 30,000 times,
    and one inside as not melting even more rarely, as it takes up more than three times that limit all over the lens.

    **The teaching lab** (``imperfections=teaching-lab``; all sizes assumed): a new sample is prepared and goes into a cold furnace,
    a second look at the same one does not soak again, samples are weighed in a little wrong and are colder than the furnace says, and
    what forms on cooling comes late or, cooled fast, not at all: the same point can read otherwise from above than from below, on one
    sample. The lag is 10 K, since a calorimeter reads while it heats, and its calibration has all heats wrong by the same 3 %, rms.
    Labels at 300 random places, each a new sample, are right in 100 % of the tidy lab and 97.7 % of the teaching lab
    (`benchmarks/label_rates.py`).

    **Truth**: the label by the common tangent, and the reading without noise.
    **Valid** for melting enthalpies that hardly change with temperature.
    **Leaves out** heat capacities that differ between the phases, segregation in the solid (a real one takes weeks to reach
    equilibrium), the shape of a peak on heating.

    The sources could not be opened when this sheet was last checked; the tests compare it with closed forms of ideal solutions.

    **Twin of** a differential scanning calorimeter with a furnace. It was never compared with one.
    """

    @takes(LensOptions)
    def __init__(self, options: LensOptions) -> None:
        T_A, T_B, H_A, H_B, in_liquid, in_solid = options.constants.values()
        self._melting = (T_A, T_B)
        liquid = Solution("liquid", (H_A, H_B), (H_A / T_A, H_B / T_B), (in_liquid,))
        solid = Solution("solid", excess=(in_solid,))
        refuse_gaps((liquid, solid), options.coldest)
        super().__init__(
            "lens",
            (liquid, solid),
            {
                (LIQUID, ONE): Field("liquid", ("liquid",)),
                (SOLID, LIQUID): Field("liquid + solid", ("solid", "liquid")),
                (LIQUID, SOLID): Field("liquid + solid", ("liquid", "solid")),
                (SOLID, ONE): Field("solid", ("solid",)),
            },
            Calorimeter("solid", "liquid + solid", "liquid", halfway=(H_A + H_B) / 4, flaws=options, seed=options.seed),
            options,
        )

    def _properties(self, found: Equilibrium, x: Floats, T: Floats) -> Mapping[str, Floats]:
        enthalpy, taken_up = heat(self._phases, found, x, T)
        return {"heat_capacity": LATTICE_HEAT_CAPACITY + taken_up, "enthalpy": enthalpy}

    def _special_points(self) -> Sequence[Mark]:
        return [Mark("A melts", (0.0, self._melting[0])), Mark("B melts", (1.0, self._melting[1]))]

    def _section_temperature(self) -> float:
        return sum(self._melting) / 2
