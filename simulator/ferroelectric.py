"""A ferroelectric solid solution with a morphotropic phase boundary, by Landau theory.

`Ferroelectric` puts a furnace and a diffractometer around the equations of `simulator.equations.landau`; its docstring is the data
sheet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frugaltwin.amounts import Amounts
from frugaltwin.data_sheets import SystemOptions, option, takes
from frugaltwin.diagram import Curve, Diagram, Line, Mark, Section
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Continuous, Outcome
from simulator.equations.landau import energy_along, squared_polarization, transition
from simulator.instruments.furnace import FurnaceOptions
from simulator.instruments.phase_lab import LabOptions, PhaseLab, PhaseState

Floats: TypeAlias = NDArray[np.float64]

VACUUM = 8.8541878128e-12  # F/m, CODATA 2018
REFERENCE = 300.0  # K: where the option `boundary` is meant

LABELS = ("cubic", "tetragonal", "rhombohedral")
COLDEST, HOTTEST = 300.0, 900.0  # K, of the furnace


@dataclass(frozen=True)
class SolidSolution:
    """The constants of one solid solution; the default is of the size of PbZr(1-x)Ti(x)O3."""

    curie_zirconate: float
    curie_titanate: float
    curie_bow: float
    boundary: float
    tilt: float
    anisotropy: float
    quartic: float
    sextic: float
    curie_constant: float
    layer: float
    electrostriction: float
    tetragonal_strain: float
    rhombohedral_strain: float

    @property
    def stiffness_slope(self) -> float:
        """Change of the stiffness a with temperature, J m/(C² K)."""
        return 1 / (VACUUM * self.curie_constant)

    def curie(self, x: ArrayLike) -> Floats:
        """The Curie-Weiss temperature [...], K, at which the stiffness of the cubic phase is 0."""
        X = np.asarray(x, dtype=float)
        T: Floats = (1 - X) * self.curie_zirconate + X * self.curie_titanate + 4 * self.curie_bow * X * (1 - X)
        return T

    def morphotropic(self, T: ArrayLike) -> Floats:
        """The composition [...] at which tetragonal and rhombohedral have the same free energy at T [...]."""
        x: Floats = self.boundary + self.tilt * (np.asarray(T, dtype=float) - REFERENCE)
        return x

    def stiffness(self, x: ArrayLike, T: ArrayLike) -> Floats:
        """The coefficient a [...], J m/C²."""
        a: Floats = self.stiffness_slope * (np.asarray(T) - self.curie(x))
        return a

    def kappa(self, x: ArrayLike, T: ArrayLike) -> Floats:
        """The anisotropy κ [...], J m⁵/C⁴: positive on the tetragonal side."""
        k: Floats = self.anisotropy * (np.asarray(x) - self.morphotropic(T))
        return k

    def transition_temperature(self, x: ArrayLike) -> Floats:
        """Temperature at which the cubic phase ends on cooling at composition x [...], K; NaN where there is none."""
        T = self.curie(x)
        lean = self.kappa(x, T) / 3
        slope = self.anisotropy * self.tilt / 3
        along = [transition(self.stiffness_slope, self.quartic - s * lean, self.sextic, s * slope) for s in (1, -1)]
        above: Floats = T + np.maximum(*along)
        return above

    def tricritical(self) -> list[float]:
        """The compositions in [0, 1] at which the transition out of the cubic phase changes its order, rising."""
        if self.quartic < 0:
            return []
        far = 3 * self.quartic / self.anisotropy
        return sorted(x for shift in (far, -far) for x in self._meets_curie_line(shift, 0.0))

    def triple(self) -> tuple[float, float] | None:
        """Composition and temperature at which all three phases are equally stable, if there is such a point."""
        delay = float(transition(self.stiffness_slope, self.quartic, self.sextic))
        found = self._meets_curie_line(0.0, delay)
        return (found[0], float(self.curie(found[0])) + delay) if found else None

    def _meets_curie_line(self, shift: float, delay: float) -> list[float]:
        """The x in [0, 1] with x = morphotropic(curie(x) + delay) + shift."""
        bow, t = 4 * self.curie_bow, self.tilt
        constant = self.boundary + t * (self.curie_zirconate + delay - REFERENCE) + shift
        linear = 1 - t * (self.curie_titanate - self.curie_zirconate + bow)
        roots = np.roots([bow * t, linear, -constant] if bow * t else [linear, -constant])
        return [float(r.real) for r in roots if abs(r.imag) < 1e-12 and 0 <= r.real <= 1]

    def equilibrium(self, x: Floats, T: Floats) -> dict[str, Floats]:
        """The stable phase (as an index in `LABELS`) and its properties, all [n], at compositions x [n] and temperatures T [n]."""
        a, kappa = self.stiffness(x, T), self.kappa(x, T)
        # The stable axis has the lower quartic coefficient, and so the lower energy, at any stiffness.
        quartic = self.quartic - np.abs(kappa) / 3
        square = squared_polarization(a, quartic, self.sextic)
        is_polar = energy_along(a, quartic, self.sextic) < 0
        square = np.where(is_polar, square, 0.0)
        is_tetragonal = kappa >= 0
        along = np.where(is_polar, square * (2 * quartic + 4 * self.sextic * square), a)
        across = np.where(is_polar, np.where(is_tetragonal, 1.0, 2 / 3) * np.abs(kappa) * square, a)
        with np.errstate(divide="ignore"):
            grain = (1 / along + 2 / across) / (3 * VACUUM)
            permittivity = 1 / (1 / grain + 1 / self.layer)
        polarization = np.sqrt(square)
        return {
            "phase": np.where(is_polar, np.where(is_tetragonal, 1.0, 2.0), 0.0),
            "tetragonality": np.where(is_polar & is_tetragonal, 100 * self.tetragonal_strain * square, 0.0),
            "shear": np.where(is_polar & ~is_tetragonal, np.degrees(self.rhombohedral_strain * square / 3), 0.0),
            "polarization": polarization,
            "permittivity": permittivity,
            "piezoelectric": 1e12 * 2 * self.electrostriction * VACUUM * permittivity * polarization,
        }


class StrainAndResponse:
    """A diffractometer for the distortion of the lattice, and electrodes for the rest."""

    outcomes = (
        Outcome("tetragonality", "%", "c/a - 1 of the lattice"),
        Outcome("shear", "deg", "90° less the angle of the lattice"),
        Outcome("polarization", "C/m²", "spontaneous polarization"),
        Outcome("permittivity", "1", "relative permittivity, mean of the three axes"),
        Outcome("piezoelectric", "pm/V", "piezoelectric response"),
    )
    cost = Amounts(seconds=180.0, money=0.05)
    noise = np.array([0.05, 0.01, 0.005, 10.0, 5.0])
    drift = 0.05 * noise
    least = 3.0
    """A distortion smaller than this many times the noise is not seen."""

    def signal(self, states: Sequence[PhaseState]) -> Floats:
        return np.array([[s.properties[o.name] for o in self.outcomes] for s in states]).reshape(len(states), len(self.outcomes))

    def inferred(self, reading: Floats) -> str:
        tetragonality, shear = (reading[:2] / self.noise[:2]).tolist()
        if max(tetragonality, shear) < self.least:
            return "cubic"
        return "tetragonal" if tetragonality >= shear else "rhombohedral"


class FerroelectricOptions(SystemOptions, FurnaceOptions, LabOptions):
    """Options of a ferroelectric solid solution."""

    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "teaching-lab": {"relaxation": 0.0, "lag": 0.0, "thermometer": 8.0, "weighing": 0.03}
    }

    curie_zirconate: float | None = option(
        510.0, "Curie-Weiss temperature at titanate 0", "K", drawn=(430.0, 560.0), allowed=(100.0, 3000.0)
    )
    curie_titanate: float | None = option(
        760.0, "Curie-Weiss temperature at titanate 1", "K", drawn=(650.0, 790.0), allowed=(100.0, 3000.0)
    )
    curie_bow: float | None = option(30.0, "how far it bows up at titanate 0.5", "K", drawn=(0.0, 50.0), allowed=(-50.0, 500.0))
    boundary: float | None = option(0.48, "morphotropic boundary at 300 K", drawn=(0.3, 0.65), allowed=(0.0, 1.0))
    tilt: float | None = option(1e-4, "how the boundary moves with temperature", "1/K", drawn=(-2e-4, 2e-4), allowed=(-1e-3, 1e-3))
    anisotropy: float | None = option(3e9, "slope of κ with composition", "J m⁵/C⁴", drawn=(2e9, 4e9), allowed=(1e7, 1e12))
    quartic: float | None = option(3e8, "quartic coefficient at the boundary", "J m⁵/C⁴", drawn=(1e8, 5e8), allowed=(-2e9, 1e11))
    sextic: float | None = option(2e9, "sextic coefficient", "J m⁹/C⁶", drawn=(1.5e9, 3e9), allowed=(1e8, 1e13))
    curie_constant: float | None = option(2e5, "Curie constant of the cubic phase", "K", drawn=(1.5e5, 3e5), allowed=(1e2, 1e8))
    layer: float | None = option(
        2000.0, "permittivity that layers in series with the grains allow at most", drawn=(1500.0, 3000.0), allowed=(1.0, 1e7)
    )
    electrostriction: float | None = option(
        0.025, "effective electrostriction of the response", "m⁴/C²", drawn=(0.02, 0.03), allowed=(1e-4, 10.0)
    )
    tetragonal_strain: float | None = option(
        0.11, "Q11 - Q12, of the tetragonal distortion", "m⁴/C²", drawn=(0.09, 0.13), allowed=(1e-4, 10.0)
    )
    rhombohedral_strain: float | None = option(
        0.08, "Q44, of the rhombohedral distortion", "m⁴/C²", drawn=(0.06, 0.1), allowed=(1e-4, 10.0)
    )


class Ferroelectric(PhaseLab):
    """Ferroelectric solid solution: cubic, tetragonal, rhombohedral; the response peaks at their morphotropic boundary.

    **Equation.** F = ½ a P² + ¼ b P⁴ + ½ κ (Px²Py² + Py²Pz² + Pz²Px² - P⁴/6) + ⅙ c P⁶, a = (T - T_C(x)) / (ε0 C),
    κ = anisotropy · (x - x_M(T)), T_C(x) = (1-x) curie_zirconate + x curie_titanate + 4 curie_bow x(1-x), x_M = boundary +
    tilt (T - 300 K). Tetragonal (P along [001], b_T = b - κ/3) and rhombohedral ([111], b_R = b + κ/3) have the same free energy
    at κ = 0, whatever the temperature: that is the boundary. All minima are closed forms: P² = (-b_d + √(b_d² - 4ac)) / 2c.
    The transition out of the cubic phase is at T_C where b_d > 0 (second order), else where a = 3 b_d²/16c (first order).
    Permittivities: 1/(ε0 a) in the cubic phase; along P 1/(ε0 (2 b_d P² + 4cP⁴)); across it 1/(ε0 κP²) in the tetragonal and
    3/(2 ε0 |κ| P²) in the rhombohedral phase: it grows without limit at the boundary, because nothing holds the direction of
    P. What is read is the mean ε of the three axes in series with the layers between the grains, 1/(1/ε + 1/layer): finite.
    Piezoelectric response: 2 · electrostriction · ε0 · ε · P. Distortions: c/a - 1 = tetragonal_strain · P², and
    90° - α = rhombohedral_strain · P²/3. At κ = 0 exactly, the sample is tetragonal.
    Source: Rossetti & Khachaturyan, Appl. Phys. Lett. 91 (2007) 072909 (a vanishing anisotropy makes the boundary and softens
    the rotation of P); Ishibashi & Iwata, Jpn. J. Appl. Phys. 37 (1998) L985 (the transverse instability there); Devonshire,
    Phil. Mag. 40 (1949) 1040 (2-4-6 expansion), and part II, 42 (1951) 1065, to which the response is credited: the slope with the
    field of an electrostrictive strain Q P², so d = 2QεP. None of them could be opened when this
    sheet was last checked; the tests compare minima and responses
    with those found by numerical minimization.

    ============ =========== ===== ==========================================================================
    parameter    limits      unit  meaning
    ============ =========== ===== ==========================================================================
    titanate     0 to 1      1     mole fraction of the tetragonal end member (PbTiO3 in PbZr(1-x)Ti(x)O3)
    temperature  300 to 900  K     of the furnace
    ============ =========== ===== ==========================================================================

    ============== ====== ======= ===========================================================================
    outcome        unit   noise   meaning
    ============== ====== ======= ===========================================================================
    phase                         cubic, tetragonal, rhombohedral
    tetragonality  %      0.05    c/a - 1, from the splitting of a diffraction line
    shear          deg    0.01    90° less the angle of the lattice
    polarization   C/m²   0.005   spontaneous polarization
    permittivity   1      10      relative, mean of the three axes
    piezoelectric  pm/V   5       response
    ============== ====== ======= ===========================================================================

    Each base line wanders too, all with the same steps: by 0.05 of the noise in an hour, by 0.1 of it in the long run.
    `phase` is inferred from the two distortions: cubic where neither is 3 times its noise, else the one that stands out more.

    **Options**: `FerroelectricOptions`.

    **Time and money.** A new pellet 120 s and 0.40 USD; heating 0.5 K/s, cooling 0.2 K/s; 600 s of soak; 180 s and 0.05 USD for
    the reading; 0.30 USD/h of furnace. The same composition at another temperature stays in, so the order matters.

    **The teaching lab** (``imperfections=teaching-lab``; all sizes assumed): a new sample is prepared and goes into a cold furnace,
    a second look at the same one does not soak again, the sample is not as hot as the furnace says, and what forms on cooling comes
    8 K late: the same point can read otherwise from above than from below, on one sample. Thermometers err by 8 K, rms, and each oxide
    is weighed in wrong by 3 %. Labels at 300 random places, each a new sample, are right in 99.1 % of the tidy lab and 97.3 % of the
    teaching lab (`benchmarks/label_rates.py`).

    **Truth**: the equilibrium label and the noise-free readings.

    **Valid** as a lesson in the Landau theory of such systems. The default constants are round numbers of the size of PZT's,
    fitted to nothing (T_C of PbTiO3 near 760 K, boundary near 0.48, 0.5 C/m², some hundred pm/V).
    **Leaves out** the antiferroelectric PbZrO3 side, oxygen tilts, the monoclinic phase (it needs an eighth order), two-phase
    regions and hysteresis at first-order transitions, domains and poling, the tensors (one effective electrostriction), losses.

    **Twin of** the textbook diagram of Pb(Zr,Ti)O3 in a furnace with a diffractometer and an impedance bridge; no rig of that
    kind was ever compared with it.
    """

    @takes(FerroelectricOptions)
    def __init__(self, options: FerroelectricOptions) -> None:
        self.solution = SolidSolution(**options.constants)
        super().__init__(
            "ferroelectric",
            (
                Continuous("titanate", 0.0, 1.0, "1", "mole fraction of the tetragonal end member"),
                Continuous("temperature", COLDEST, HOTTEST, "K", "of the furnace"),
            ),
            LABELS,
            StrainAndResponse(),
            options,
        )

    def states(self, X: Floats) -> list[PhaseState]:
        found = self.solution.equilibrium(X[:, 0], X[:, 1])
        labels = [LABELS[int(k)] for k in found.pop("phase").tolist()]
        rows = zip(*(values.tolist() for values in found.values()), strict=True)
        return [PhaseState(label, {label: 1.0}, dict(zip(found, row, strict=True))) for label, row in zip(labels, rows, strict=True)]

    def diagram(self, at: float | None = None) -> Diagram:
        """The boundaries, the points where they meet or change their order, and the free energies at the temperature `at`."""
        at = 500.0 if at is None else at
        if not COLDEST <= at <= HOTTEST:
            raise InvalidInput(f"ferroelectric is cut at a temperature of {COLDEST:g} to {HOTTEST:g} K, not at {at:g} K")
        x = np.linspace(0.0, 1.0, 401)
        triple, lines, marks = self.solution.triple(), [], []
        top = np.column_stack([x, self.solution.transition_temperature(x)])
        lines.append(Line("boundary", top[np.isfinite(top[:, 1])], "Curie temperature"))
        temperatures = np.linspace(COLDEST, min(triple[1], HOTTEST) if triple else HOTTEST, 101)
        across = np.column_stack([self.solution.morphotropic(temperatures), temperatures])
        across = across[(across[:, 0] >= 0) & (across[:, 0] <= 1)]
        if len(across) > 1 and (triple is None or triple[1] > COLDEST):
            lines.append(Line("boundary", across, "morphotropic boundary"))
        if triple is not None and COLDEST <= triple[1] <= HOTTEST:
            marks.append(Mark("triple point", triple))
        marks += [Mark("tricritical point", (t, float(self.solution.curie(t)))) for t in self.solution.tricritical()]
        return Diagram(("titanate", "temperature"), "phase", "piezoelectric", tuple(lines), tuple(marks), self._section(at, x))

    def _section(self, at: float, x: Floats) -> Section:
        a, lean = self.solution.stiffness(x, at), self.solution.kappa(x, at) / 3
        mega = {
            name: energy_along(a, self.solution.quartic - sign * lean, self.solution.sextic) / 1e6
            for name, sign in (("tetragonal", 1), ("rhombohedral", -1))
        }
        curves = (Curve("cubic", x, np.zeros_like(x)), *(Curve(name, x, y) for name, y in mega.items()))
        return Section(
            f"free energy at {at:g} K", "titanate, mole fraction", "F less that of cubic, MJ/m³", curves, cuts=("temperature", at)
        )
