"""A polymer, a solvent and a nonsolvent: Flory-Huggins theory on the triangle."""

from typing import Any

from frugaltwin.data_sheets import SystemOptions, option, takes
from frugaltwin.errors import InvalidInput
from simulator.equations.ternary_equilibrium import Mixing
from simulator.instruments.furnace import SampleOptions
from simulator.instruments.phase_lab import LabOptions
from simulator.instruments.settled_layers import SettledMixture

STRONGEST = 20.0  # χ either way: far beyond what polymers have


def _chi(default: float, drawn: tuple[float, float], pair: str) -> Any:
    doc = f"A of χ, interaction of {pair}, what does not depend on temperature"
    return option(default, doc, drawn=drawn, allowed=(-STRONGEST, STRONGEST))


def _slope(pair: str) -> Any:
    return option(0.0, f"B of χ, interaction of {pair} times temperature", "K", drawn=(0.0, 0.0), allowed=(-1e4, 1e4))


class FloryHugginsOptions(SystemOptions, SampleOptions, LabOptions):
    """Options of a polymer, a solvent and a nonsolvent."""

    temperature: float | None = option(
        298.15, "temperature of every sample", "K", drawn=(298.15, 298.15), allowed=(1.0, 5000.0), changes="experiment"
    )
    n_polymer: float | None = option(100.0, "chain length of the polymer, in sites of the lattice", drawn=(50.0, 300.0), allowed=(1.0, 1e4))
    n_solvent: float | None = option(1.0, "chain length of the solvent", drawn=(1.0, 1.0), allowed=(1.0, 1e4))
    n_nonsolvent: float | None = option(1.0, "chain length of the nonsolvent", drawn=(1.0, 1.0), allowed=(1.0, 1e4))
    chi_polymer_solvent: float | None = _chi(0.3, (0.2, 0.45), "polymer and solvent")
    chi_polymer_nonsolvent: float | None = _chi(2.0, (1.6, 2.4), "polymer and nonsolvent")
    chi_solvent_nonsolvent: float | None = _chi(1.2, (0.8, 1.4), "solvent and nonsolvent")
    slope_polymer_solvent: float | None = _slope("polymer and solvent")
    slope_polymer_nonsolvent: float | None = _slope("polymer and nonsolvent")
    slope_solvent_nonsolvent: float | None = _slope("solvent and nonsolvent")
    density_polymer: float | None = option(
        1.05, "density of the polymer: it says which layer is below", "g/mL", drawn=(0.95, 1.25), allowed=(0.01, 25.0)
    )
    density_solvent: float | None = option(0.87, "density of the solvent", "g/mL", drawn=(0.8, 0.95), allowed=(0.01, 25.0))
    density_nonsolvent: float | None = option(1.0, "density of the nonsolvent", "g/mL", drawn=(0.75, 1.05), allowed=(0.01, 25.0))


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

    **Options**: `FloryHugginsOptions`.

    **Random errors**, rms: 0.0075 of a height, and a base line that all three share and that wanders by 0.0005 in an hour (0.001 in days).

    **Time and money.** Mixing and loading 120 s and 0.40 USD, 600 s to settle, 30 s and 0.01 USD for the picture; the thermostat
    heats by 0.5 K/s and takes 0.30 USD an hour.

    **The teaching lab** (``imperfections=teaching-lab``; sizes assumed): a new sample takes 900 s to prepare, and one that has settled is
    photographed again at once. Labels at 300 random places are right in 96.3 % of either lab (`benchmarks/label_rates.py`).

    **Truth**: the number of phases at equilibrium, and their exact shares as heights.

    **Valid** for chains up to 10,000 and χ from -20 to 20. Polymer in the poor phase is told down to 1e-130; what is less counts as
    none. Where χ times the longest chain passes some thousands, a trial may fail: no tie line found. A region smaller than about
    1/50 of the triangle's side in the middle, 1/1000 at the edges, is missed.
    **Leaves out** that χ depends on composition, chains of several lengths, gels and glasses, and phases that take days to settle.

    The sources could not be opened when this sheet was last checked; the tests compare it with closed forms and solutions found otherwise.

    **Twin of** cloud-point and layer experiments on membrane casting solutions. No rig of that kind was ever compared with it.
    """

    @takes(FloryHugginsOptions)
    def __init__(self, options: FloryHugginsOptions) -> None:
        k = options.constants
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
            options,
            temperature=k["temperature"],
        )
