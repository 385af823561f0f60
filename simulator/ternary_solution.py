"""Three partly miscible liquids: the regular solution on the triangle."""

from frugaltwin.data_sheets import SystemOptions, option, takes
from frugaltwin.errors import InvalidInput
from simulator.equations.constants import R
from simulator.equations.ternary_equilibrium import Mixing
from simulator.instruments.furnace import SampleOptions
from simulator.instruments.phase_lab import LabOptions
from simulator.instruments.settled_layers import SettledMixture

STRONGEST = 100.0  # RT: stronger interactions leave less than one molecule in a mole


class TernarySolutionOptions(SystemOptions, SampleOptions, LabOptions):
    """Options of a ternary solution."""

    temperature: float | None = option(300.0, "temperature of every sample", "K", drawn=(300.0, 300.0), allowed=(1.0, 5000.0))
    omega_ab: float | None = option(8000.0, "interaction of a and b", "J/mol", drawn=(7500.0, 8500.0), allowed=(-1e5, 1e5))
    omega_ac: float | None = option(7500.0, "interaction of a and c", "J/mol", drawn=(7500.0, 8500.0), allowed=(-1e5, 1e5))
    omega_bc: float | None = option(6000.0, "interaction of b and c", "J/mol", drawn=(6000.0, 7500.0), allowed=(-1e5, 1e5))
    omega_abc: float | None = option(0.0, "interaction of all three", "J/mol", drawn=(-1000.0, 1000.0), allowed=(-1e5, 1e5))
    density_a: float | None = option(1.2, "density of a", "g/mL", drawn=(0.7, 1.5), allowed=(0.01, 25.0))
    density_b: float | None = option(1.0, "density of b", "g/mL", drawn=(0.7, 1.5), allowed=(0.01, 25.0))
    density_c: float | None = option(0.8, "density of c", "g/mL", drawn=(0.7, 1.5), allowed=(0.01, 25.0))


class TernarySolution(SettledMixture):
    """Ternary solution: three liquids that demix into up to three layers, on a triangle at one temperature.

    **Equation.** G/RT = Σ x_i ln x_i + (Ω_ab x_a x_b + Ω_ac x_a x_c + Ω_bc x_b x_c + Ω_abc x_a x_b x_c) / RT. The phases are where a
    plane touches G from below: every chemical potential is the same in all of them (to 1e-10 RT), and their amounts follow from
    the lever rule.
    Source: Hildebrand, J. Am. Chem. Soc. 51 (1929) 66, doi:10.1021/ja01376a009; Meijering, Philips Res. Rep. 5 (1950) 333 (its
    diagrams, plait points, three-phase triangles).

    ========= ========== ====== =================================================================================
    parameter limits     unit   meaning
    ========= ========== ====== =================================================================================
    a, b, c   0 to 1     1      mole fractions; they add up to 1
    ========= ========== ====== =================================================================================

    ======================= ====== ===============================================================================
    outcome                 unit   meaning
    ======================= ====== ===============================================================================
    phase                          one phase, two phases or three phases
    layer_1 … layer_3       1      height of a settled layer from the bottom up, over that of the sample; 0 if there is none
    ======================= ====== ===============================================================================

    The label is the number of layers that stand higher than 0.03, as a camera sees them: near a boundary the thin layer is missed.

    **Options**: `TernarySolutionOptions`.

    **Random errors**, rms: 0.0075 of a height, and a base line that all three share and that wanders by 0.0005 in an hour (0.001 in days).

    **Time and money.** Mixing and loading 120 s and 0.40 USD, 600 s to settle, 30 s and 0.01 USD for the picture; the thermostat
    heats by 0.5 K/s and takes 0.30 USD an hour.

    **The teaching lab** (``imperfections=teaching-lab``; sizes assumed): a new sample takes 900 s to prepare, and one that has settled is
    photographed again at once. Labels at 300 random places are right in 90.9 % of either lab (`benchmarks/label_rates.py`).

    **Truth**: the number of phases at equilibrium, and their exact shares as heights.

    **Valid** for Ω up to 100 times RT either way; compositions down to 1e-130 are told apart, edges and corners are allowed. A region of
    the diagram that is smaller than about 1/50 of the triangle's side is missed.
    **Leaves out** molar volumes (equal, so that a height is a mole fraction), emulsions that do not settle, and solids.

    The sources could not be opened when this sheet was last checked; the tests compare it with closed forms and solutions found otherwise.

    **Twin of** a bench of vials with a camera, as used to screen solvents. No rig of that kind was ever compared with it.
    """

    @takes(TernarySolutionOptions)
    def __init__(self, options: TernarySolutionOptions) -> None:
        k = options.constants
        energy = R * k["temperature"]
        for name in ("omega_ab", "omega_ac", "omega_bc", "omega_abc"):
            if abs(k[name]) > STRONGEST * energy:
                limit = f"at {k['temperature']:g} K it is up to {STRONGEST * energy:.0f} J/mol either way, {STRONGEST:g} times RT"
                raise InvalidInput(f"{name} = {k[name]:g} J/mol has no physical meaning here: {limit}")
        super().__init__(
            "ternary-solution",
            {name: f"mole fraction of {name}" for name in "abc"},
            Mixing(k["omega_ab"] / energy, k["omega_ac"] / energy, k["omega_bc"] / energy, k["omega_abc"] / energy),
            (k["density_a"], k["density_b"], k["density_c"]),
            options,
            temperature=k["temperature"],
        )
