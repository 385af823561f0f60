"""A polymer, a solvent and a nonsolvent: Flory-Huggins theory on the triangle."""

from types import MappingProxyType

from frugaltwin.errors import InvalidInput
from simulator.equations.ternary_equilibrium import Mixing
from simulator.instruments.phase_lab import Labeling
from simulator.instruments.settled_layers import SettledMixture
from simulator.instruments.system_constants import Constant, constants_of

STRONGEST = 20.0  # χ either way: far beyond what polymers have


def _chi(default: float, drawn: tuple[float, float], pair: str) -> Constant:
    return Constant(default, drawn, (-STRONGEST, STRONGEST), "1", f"interaction of {pair}, what does not depend on temperature")


def _slope(pair: str) -> Constant:
    return Constant(0.0, (0.0, 0.0), (-1e4, 1e4), "K", f"interaction of {pair} times temperature")


CONSTANTS = MappingProxyType(
    {
        "temperature": Constant(298.15, (298.15, 298.15), (1.0, 5000.0), "K", "temperature of every sample"),
        "n_polymer": Constant(100.0, (50.0, 300.0), (1.0, 1e4), "1", "chain length of the polymer"),
        "n_solvent": Constant(1.0, (1.0, 1.0), (1.0, 1e4), "1", "chain length of the solvent"),
        "n_nonsolvent": Constant(1.0, (1.0, 1.0), (1.0, 1e4), "1", "chain length of the nonsolvent"),
        "chi_polymer_solvent": _chi(0.3, (0.2, 0.45), "polymer and solvent"),
        "chi_polymer_nonsolvent": _chi(2.0, (1.6, 2.4), "polymer and nonsolvent"),
        "chi_solvent_nonsolvent": _chi(1.2, (0.8, 1.4), "solvent and nonsolvent"),
        "slope_polymer_solvent": _slope("polymer and solvent"),
        "slope_polymer_nonsolvent": _slope("polymer and nonsolvent"),
        "slope_solvent_nonsolvent": _slope("solvent and nonsolvent"),
        "density_polymer": Constant(1.05, (0.95, 1.25), (0.01, 25.0), "g/mL", "density of the polymer"),
        "density_solvent": Constant(0.87, (0.8, 0.95), (0.01, 25.0), "g/mL", "density of the solvent"),
        "density_nonsolvent": Constant(1.0, (0.75, 1.05), (0.01, 25.0), "g/mL", "density of the nonsolvent"),
    }
)


class FloryHuggins(SettledMixture):
    """Flory-Huggins: a polymer, a solvent and a nonsolvent that demix into layers, on a triangle at one temperature.

    **Equation.** g/RT = Σ φ_i ln φ_i / N_i + χ_ps φ_p φ_s + χ_pn φ_p φ_n + χ_sn φ_s φ_n per mole of lattice sites, with chain lengths N
    and χ = A + B/T. The phases are where a plane touches g from below: every chemical potential per site is the same in all of them
    (to 1e-10 RT), and their amounts follow from the lever rule. A binary edge is critical at φ_1 = 1 / (1 + √(N_1/N_2)) and
    χ = ½ (1/√N_1 + 1/√N_2)².
    Source: Flory, J. Chem. Phys. 10 (1942) 51, doi:10.1063/1.1723621; Huggins, J. Phys. Chem. 46 (1942) 151,
    doi:10.1021/j150415a018; Scott, J. Chem. Phys. 17 (1949) 268, doi:10.1063/1.1747238 (three components).

    =========================== ========== ====== ===============================================================
    parameter                   limits     unit   meaning
    =========================== ========== ====== ===============================================================
    polymer, solvent, nonsolvent 0 to 1    1      volume fractions; they add up to 1
    =========================== ========== ====== ===============================================================

    ======================= ====== ===============================================================================
    outcome                 unit   meaning
    ======================= ====== ===============================================================================
    phase                          one phase, two phases or three phases
    layer_1 … layer_3       1      height of a settled layer from the bottom up, over that of the sample; 0 if there is none
    ======================= ====== ===============================================================================

    The label is the number of layers that stand higher than 0.03, as a camera sees them: near a boundary the thin layer is missed.
    The default and every drawn system have fields of one and two phases; three need a solvent and a nonsolvent that demix, too (say
    ``chi_solvent_nonsolvent=2.5``).

    ========================= ========= ==============================================================================
    option                    default   meaning
    ========================= ========= ==============================================================================
    temperature               298.15    K, of every sample
    n_polymer                 100       chain length, in sites of the lattice; drawn from 50 to 300
    n_solvent                 1         the same; not drawn
    n_nonsolvent              1         the same; not drawn
    chi_polymer_solvent       0.3       A of χ; drawn from 0.2 to 0.45
    chi_polymer_nonsolvent    2.0       A of χ; drawn from 1.6 to 2.4
    chi_solvent_nonsolvent    1.2       A of χ; drawn from 0.8 to 1.4
    slope_polymer_solvent     0         B of χ, K; not drawn
    slope_polymer_nonsolvent  0         B of χ, K; not drawn
    slope_solvent_nonsolvent  0         B of χ, K; not drawn
    density_polymer           1.05      g/mL; drawn from 0.95 to 1.25: which layer is below
    density_solvent           0.87      g/mL; drawn from 0.8 to 0.95
    density_nonsolvent        1.0       g/mL; drawn from 0.75 to 1.05
    system                    none      draws all that is drawn and not given with this seed
    seed                      0         of everything random
    imperfections             1         scales noise and drift; 0 turns them off
    labeling                  inferred  from the reading, or ``direct``: the true phases
    ========================= ========= ==============================================================================

    **Random errors**, rms: 0.0075 of a height, and a base line that all three share and that wanders by 0.0005 in an hour (0.001 in days).

    **Time and money.** Mixing and loading 120 s and 0.40 USD, 600 s to settle, 30 s and 0.01 USD for the picture; the thermostat
    heats by 0.5 K/s and takes 0.30 USD an hour.

    **Truth**: the number of phases at equilibrium, and their exact shares as heights.

    **Valid** for chains up to 10,000 and χ from -20 to 20. Polymer in the poor phase is told down to 1e-130; what is less counts as
    none. Where χ times the longest chain passes some thousands, a trial may fail: no tie line found. A region smaller than about
    1/50 of the triangle's side in the middle, 1/1000 at the edges, is missed.
    **Leaves out** that χ depends on composition, chains of several lengths, gels and glasses, and phases that take days to settle.

    **Twin of** cloud-point and layer experiments on membrane casting solutions. No rig of that kind was ever compared with it.
    """

    def __init__(
        self,
        temperature: float | None = None,
        n_polymer: float | None = None,
        n_solvent: float | None = None,
        n_nonsolvent: float | None = None,
        chi_polymer_solvent: float | None = None,
        chi_polymer_nonsolvent: float | None = None,
        chi_solvent_nonsolvent: float | None = None,
        slope_polymer_solvent: float | None = None,
        slope_polymer_nonsolvent: float | None = None,
        slope_solvent_nonsolvent: float | None = None,
        density_polymer: float | None = None,
        density_solvent: float | None = None,
        density_nonsolvent: float | None = None,
        system: int | None = None,
        seed: int = 0,
        imperfections: float = 1.0,
        labeling: Labeling = "inferred",
    ) -> None:
        given = {
            "temperature": temperature,
            "n_polymer": n_polymer,
            "n_solvent": n_solvent,
            "n_nonsolvent": n_nonsolvent,
            "chi_polymer_solvent": chi_polymer_solvent,
            "chi_polymer_nonsolvent": chi_polymer_nonsolvent,
            "chi_solvent_nonsolvent": chi_solvent_nonsolvent,
            "slope_polymer_solvent": slope_polymer_solvent,
            "slope_polymer_nonsolvent": slope_polymer_nonsolvent,
            "slope_solvent_nonsolvent": slope_solvent_nonsolvent,
            "density_polymer": density_polymer,
            "density_solvent": density_solvent,
            "density_nonsolvent": density_nonsolvent,
        }
        k = constants_of(CONSTANTS, given, system)
        pairs = ("polymer_solvent", "polymer_nonsolvent", "solvent_nonsolvent")
        chi = [k[f"chi_{pair}"] + k[f"slope_{pair}"] / k["temperature"] for pair in pairs]
        for pair, value in zip(pairs, chi, strict=True):
            if abs(value) > STRONGEST:
                words = f"chi_{pair} + slope_{pair} / temperature = {value:g} has no physical meaning here"
                raise InvalidInput(f"{words}: it is {-STRONGEST:g} to {STRONGEST:g}")
        super().__init__(
            "flory-huggins",
            {name: f"volume fraction of the {name}" for name in ("polymer", "solvent", "nonsolvent")},
            Mixing(chi[0], chi[1], chi[2], sizes=(k["n_polymer"], k["n_solvent"], k["n_nonsolvent"])),
            (k["density_polymer"], k["density_solvent"], k["density_nonsolvent"]),
            temperature=k["temperature"],
            seed=seed,
            imperfections=imperfections,
            labeling=labeling,
        )
