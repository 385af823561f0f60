"""The CALPHAD twin, and that our own solvers find the equilibria that pycalphad finds."""

import builtins
import math
import sys
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from frugaltwin import catalog
from frugaltwin.diagram import Diagram
from frugaltwin.errors import InvalidInput, MissingPart, RigFault
from frugaltwin.experiment import Settings, Trial
from frugaltwin.plugins import Fingerprints, KnowsTruths
from simulator.calphad import Calphad, Found, System, pattern_of, system_of
from simulator.equations.binary_equilibrium import Compound, Solution, binary_equilibrium
from simulator.equations.ternary_equilibrium import Mixing, phase_map
from simulator.instruments.phase_lab import PhaseState

Floats = NDArray[np.float64]

DATA = Path(__file__).parent / "data"
EUTECTIC, REGULAR = Path(str(Calphad.example_options["path"])), DATA / "regular_abc.tdb"
LIMITS: dict[str, Any] = {"temperature_low": 350.0, "temperature_high": 650.0, "steps": 10}
R_HERE, R_TDB = 8.314462618, 8.3145  # J/(mol K): pycalphad takes R as it was when the databases were written

MELTING = {"BI": (11106.0, 20.39445), "CD": (6210.0, 10.45067)}  # J/mol, J/(mol K), as in eutectic.tdb
OMEGA = (8000.0, 7500.0, 6000.0)  # J/mol, as in regular_abc.tdb


def system(path: Path, *components: str) -> System:
    known = ("LIQUID",) if path == REGULAR else ("HCP_CD", "LIQUID", "RHOMBO_BI")
    return system_of(path.read_text(encoding="utf-8"), components, known, 101325.0)


def rows(found: Found | None) -> list[tuple[float, ...]]:
    """Amount and composition of the phases, sorted."""
    assert found is not None
    return sorted((amount, *x) for amount, x in zip(found.amounts, found.compositions, strict=True))


@pytest.fixture(scope="module")
def eutectic() -> Calphad:
    return Calphad(path=EUTECTIC, **LIMITS)


class CoarselyDrawn(Calphad):
    """The twin, whose diagram has fewer points: each is an equilibrium by pycalphad."""

    def diagram(self, at: float | None = None) -> Diagram:
        return replace(super().diagram(at), n_points=13)


def test_its_diagram_shows_every_field_over_its_parameters_and_has_no_section() -> None:
    from frugaltwin.pictures.picture import picture

    twin = CoarselyDrawn(path=EUTECTIC, **LIMITS)
    assert twin.diagram().axes == tuple(p.name for p in twin.experiment.parameters)
    drawn = picture(twin).svg()
    for label in {str(o["phase"]) for o in twin.truths([{"x_cd": x, "temperature": T} for x in (0.2, 0.8) for T in (380.0, 440.0, 620.0)])}:
        assert escape(label) in drawn
    with pytest.raises(InvalidInput, match="has no section to cut at 400"):
        twin.diagram(400.0)


def test_our_ternary_solver_agrees_with_pycalphad() -> None:
    X = np.random.default_rng(0).dirichlet([1.0] * 3, 60)
    RT = R_TDB * 300
    ours = phase_map(Mixing(OMEGA[0] / RT, OMEGA[1] / RT, OMEGA[2] / RT)).equilibria(X)
    assert set(ours.count) == {1, 2, 3}
    theirs = system(REGULAR, "A", "B", "C").equilibria(np.column_stack([X, np.full(len(X), 300.0)]))
    for k, found in enumerate(theirs):
        n = ours.count[k]
        mine = sorted((a, *x) for a, x in zip(ours.amounts[k, :n].tolist(), ours.compositions[k, :n].tolist(), strict=True))
        np.testing.assert_allclose(np.array(rows(found)), np.array(mine), atol=1e-8)


def test_all_three_solvers_agree_on_a_binary_miscibility_gap() -> None:
    x = np.array([0.02, 0.1, 0.2, 0.5, 0.8, 0.97])
    RT = R_TDB * 300
    edge = phase_map(Mixing(OMEGA[0] / RT, OMEGA[1] / RT, OMEGA[2] / RT)).equilibria(np.column_stack([1 - x, x, 0 * x]))
    binary = binary_equilibrium((Solution("liquid", excess=(OMEGA[0] * R_HERE / R_TDB,)),), x, 300.0)
    theirs = system(REGULAR, "A", "B").equilibria(np.column_stack([1 - x, x, np.full(6, 300.0)]))
    assert set(edge.count) == {1, 2}
    for k, found in enumerate(theirs):
        n = edge.count[k]
        assert found is not None
        assert (binary.phases[k] >= 0).sum() == n == len(found.phases)
        ends = sorted(c[1] for c in found.compositions)
        np.testing.assert_allclose(np.sort(edge.compositions[k, :n, 1]), ends, atol=1e-8)
        np.testing.assert_allclose(np.sort(binary.compositions[k, :n]), ends, atol=1e-8)


def test_our_binary_solver_agrees_with_pycalphad_on_a_eutectic() -> None:
    r = np.random.default_rng(1)
    x, T = r.uniform(0.01, 0.99, 80), r.uniform(350, 650, 80)
    scale = R_HERE / R_TDB
    heats, entropies = zip(*MELTING.values(), strict=True)
    liquid = Solution("LIQUID", (scale * heats[0], scale * heats[1]), (scale * entropies[0], scale * entropies[1]))
    phases = (liquid, Compound("RHOMBO_BI", 0.0), Compound("HCP_CD", 1.0))
    ours = binary_equilibrium(phases, x, T)
    theirs = system(EUTECTIC, "BI", "CD").equilibria(np.column_stack([1 - x, x, T]))
    seen = set()
    for k, found in enumerate(theirs):
        assert found is not None
        seen.add(found.label)
        mine = {phases[p].name: (f, c) for p, f, c in zip(ours.phases[k], ours.fractions[k], ours.compositions[k], strict=True) if p >= 0}
        assert sorted(mine) == list(found.phases)
        for name, amount, composition in zip(found.phases, found.amounts, found.compositions, strict=True):
            assert (amount, composition[1]) == pytest.approx(mine[name], abs=1e-7)
    assert seen == {"LIQUID", "HCP_CD + LIQUID", "LIQUID + RHOMBO_BI", "HCP_CD + RHOMBO_BI"}


@pytest.mark.parametrize("temperature", [430.0, 500.0, 540.0])
def test_the_liquid_beside_solid_bismuth_is_as_ideal_solubility_says(temperature: float) -> None:
    """ln x = -G_fusion / RT. Hildebrand & Scott, The Solubility of Nonelectrolytes (1950)."""
    heat, entropy = MELTING["BI"]
    (found,) = system(EUTECTIC, "BI", "CD").equilibria(np.array([[0.99, 0.01, temperature]]))
    assert found is not None
    liquid = found.compositions[found.phases.index("LIQUID")]
    assert math.log(liquid[0]) == pytest.approx(-(heat - temperature * entropy) / (R_TDB * temperature), abs=1e-8)


def test_the_labels_are_the_fields_that_the_database_has(eutectic: Calphad) -> None:
    alone = ("HCP_CD", "LIQUID", "RHOMBO_BI")
    assert eutectic.experiment.outcomes[0].labels == (*alone, "HCP_CD + LIQUID", "HCP_CD + RHOMBO_BI", "LIQUID + RHOMBO_BI")
    assert [p.name for p in eutectic.experiment.parameters] == ["x_cd", "temperature"]
    assert isinstance(eutectic, KnowsTruths)


@pytest.mark.parametrize(
    ("x", "temperature", "label"),
    [
        (0.0, 500.0, "RHOMBO_BI"),
        (0.0, 600.0, "LIQUID"),
        (1.0, 500.0, "HCP_CD"),
        (0.5, 370.0, "HCP_CD + RHOMBO_BI"),
        (0.1, 500.0, "LIQUID + RHOMBO_BI"),
        (1e-12, 500.0, "RHOMBO_BI"),
    ],
)
def test_pure_components_and_mixtures_have_the_phases_of_the_textbook(eutectic: Calphad, x: float, temperature: float, label: str) -> None:
    assert eutectic.truth({"x_cd": x, "temperature": temperature})["phase"] == label


def test_rows_and_single_points_are_the_same_to_the_last_digit() -> None:
    text, phases = EUTECTIC.read_text(encoding="utf-8"), ("HCP_CD", "LIQUID", "RHOMBO_BI")
    X = np.array([[1 - x, x, T] for T in (380.0, 450.0, 600.0) for x in (0.0, 0.05, 0.5, 0.9, 1.0)])
    at_once = System(text, ("BI", "CD"), phases, 101325.0).equilibria(X)
    alone = System(text, ("BI", "CD"), phases, 101325.0)
    assert [alone.equilibria(x[None])[0] for x in X[::-1]][::-1] == at_once


def test_a_perfect_instrument_infers_the_true_phases_where_no_share_is_small(eutectic: Calphad) -> None:
    with Calphad(path=EUTECTIC, imperfections=0.0, **LIMITS) as lab:
        for x, temperature in ((0.3, 380.0), (0.2, 450.0), (0.9, 450.0), (0.5, 640.0), (0.0, 400.0), (1.0, 400.0)):
            settings = {"x_cd": x, "temperature": temperature}
            assert lab.perform(settings).outcomes == eutectic.truth(settings)


def test_a_gap_in_one_phase_is_told_by_its_contrast() -> None:
    with Calphad(path=REGULAR, components="A,B", temperature=300.0, steps=10) as lab:
        assert lab.experiment.outcomes[0].labels == ("LIQUID", "LIQUID + LIQUID")
        assert [p.name for p in lab.experiment.parameters] == ["x_b"]
        assert lab.perform({"x_b": 0.5}).outcomes["phase"] == "LIQUID + LIQUID"
        assert lab.perform({"x_b": 0.01}).outcomes["phase"] == "LIQUID"
        x = 0.5 - float(lab.truth({"x_b": 0.5})["contrast"]) / math.sqrt(2)  # both ends are as far from the middle
        assert math.log((1 - x) / x) / (1 - 2 * x) == pytest.approx(OMEGA[0] / (R_TDB * 300), rel=1e-8)


def test_three_components_are_a_mixture_and_their_order_is_the_users() -> None:
    lab = Calphad(path=REGULAR, components="C,A,B", temperature=300.0, steps=6)
    assert [p.name for p in lab.experiment.parameters] == ["x_c", "x_a", "x_b"]
    assert lab.truth({"x_a": 0.4, "x_b": 0.3, "x_c": 0.3})["phase"] == "LIQUID + LIQUID + LIQUID"
    assert lab.truth({"x_a": 0.4, "x_b": 0.6, "x_c": 0.0})["phase"] == "LIQUID + LIQUID"
    assert lab.truth({"x_a": 1.0, "x_b": 0.0, "x_c": 0.0})["phase"] == "LIQUID"


def test_phases_that_are_left_out_do_not_occur() -> None:
    lab = Calphad(path=EUTECTIC, phases="liquid,rhombo_bi", **LIMITS)
    assert lab.truth({"x_cd": 0.9, "temperature": 400.0})["phase"] == "LIQUID"


def test_a_set_of_phases_that_the_grid_has_not_met_fails_with_a_word_on_what_to_do() -> None:
    narrow = Calphad(path=EUTECTIC, temperature_low=410.0, temperature_high=650.0, steps=2)  # compositions 0, 0.5 and 1
    assert "HCP_CD + LIQUID" not in narrow.experiment.outcomes[0].labels
    place = {"x_cd": 0.9, "temperature": 420.0}
    expected = narrow.estimate(place)
    with narrow, pytest.raises(RigFault, match=r"HCP_CD \+ LIQUID at x\(CD\) = 0.9, 420 K was not met .* more steps") as failure:
        narrow.perform(place)
    assert failure.value.cost == expected  # the furnace was heated all the same
    assert expected.seconds > 600


def test_the_teaching_lab_reads_other_patterns_of_the_same_truth_and_goes_on_to_the_digit(eutectic: Calphad) -> None:
    places: list[Settings] = [{"x_cd": x, "temperature": T} for x, T in ((0.2, 450.0), (0.2, 400.0), (0.7, 640.0), (0.9, 400.0))]
    unkind = Calphad(path=EUTECTIC, imperfections="teaching-lab", seed=2, **LIMITS)
    with unkind:
        whole = [unkind.perform(place) for place in places]
    assert unkind.truths(places) == eutectic.truths(places)
    off = [abs(float(m.outcomes["d_8"]) - float(t["d_8"])) for m, t in zip(whole, unkind.truths(places), strict=True)]
    assert max(off) > 5 * 0.004  # the noise
    again = Calphad(path=EUTECTIC, imperfections="teaching-lab", seed=2, **LIMITS)
    again.resume([Trial(k, s, m) for k, (s, m) in enumerate(zip(places[:2], whole, strict=False), start=1)])
    with again:
        assert [again.perform(place) for place in places[2:]] == whole[2:]
    assert whole[0].cost.seconds == pytest.approx(900 + (450 - 298.15) / 0.5 + 600 + 300)  # prepared, heated from the cold, soaked, read


def test_without_flaws_a_sample_has_the_pattern_of_its_phases(eutectic: Calphad) -> None:
    (state,) = eutectic.states(np.array([[0.4, 450.0]]))
    analysis: Any = eutectic._instrument
    powder = analysis.sample(np.random.default_rng(1), 1.0)
    np.testing.assert_allclose(analysis.sample_signal(state, powder), analysis.signal([state])[0], atol=1e-12)
    np.testing.assert_array_equal(analysis.references, analysis.patterns)


def test_a_fixed_temperature_is_not_quite_that_of_a_sample_either() -> None:
    same: dict[str, Any] = {"path": REGULAR, "components": "A,B", "steps": 10}
    with Calphad(**same, temperature=380.0, lag=80.0) as lagging, Calphad(**same, temperature=300.0) as lab:
        contrasts = [float(twin.perform({"x_b": 0.5}).outcomes["contrast"]) for twin in (lagging, lab)]
    assert contrasts[0] == pytest.approx(contrasts[1], abs=1e-3)  # with the same noise
    assert lagging.truth({"x_b": 0.5})["contrast"] == pytest.approx(float(lab.truth({"x_b": 0.5})["contrast"]) - 0.12, abs=0.02)
    with Calphad(path=REGULAR, temperature=300.0, steps=6, imperfections="teaching-lab") as three:
        assert str(three.perform({"x_a": 0.4, "x_b": 0.3, "x_c": 0.3}).outcomes["phase"]).startswith("LIQUID + LIQUID")


def test_patterns_are_made_from_the_name_and_differ() -> None:
    assert (pattern_of("FCC_A1") == pattern_of("FCC_A1")).all()
    names = ("FCC_A1", "BCC_A2", "HCP_A3", "LIQUID", "SIGMA")
    patterns = np.array([pattern_of(name) for name in names])
    assert np.corrcoef(patterns)[np.triu_indices(5, 1)].max() < 0.98
    assert np.linalg.matrix_rank(patterns) == 5


def test_contrast_is_the_spread_over_the_phases(eutectic: Calphad) -> None:
    outcomes = eutectic.truth({"x_cd": 0.5, "temperature": 370.0})
    assert outcomes["contrast"] == pytest.approx(math.sqrt(0.5))  # pure grains, each half: the distance is √2 in two mole fractions
    (state,) = eutectic.states(np.array([[0.5, 370.0]]))
    assert state == PhaseState("HCP_CD + RHOMBO_BI", state.fractions, state.properties, {"HCP_CD": 0.0, "RHOMBO_BI": 0.0})
    assert sum(state.fractions.values()) == pytest.approx(1, abs=1e-12)


def test_the_fingerprint_follows_the_file(tmp_path: Path, eutectic: Calphad) -> None:
    changed = tmp_path / "changed.tdb"
    changed.write_text(EUTECTIC.read_text(encoding="utf-8").replace("11106", "11105"), encoding="utf-8")
    assert isinstance(eutectic, Fingerprints)
    assert Calphad(path=changed, **LIMITS).fingerprint != eutectic.fingerprint == Calphad(path=EUTECTIC, **LIMITS).fingerprint


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"components": "BI"}, r"choose two or three components of BI, CD with components=…, got 1: BI"),
        ({"components": "BI,AL"}, r"eutectic.tdb has no component AL; it has BI, CD"),
        ({"components": "BI,BI"}, r"components = BI,BI names one twice"),
        ({"phases": "FCC_A1"}, r"eutectic.tdb has no phase FCC_A1; it has HCP_CD, LIQUID, RHOMBO_BI"),
        ({"pressure": 0.0}, r"pressure = 0 Pa is none"),
        ({"pressure": math.nan}, r"pressure = nan Pa is not allowed"),
        ({"temperature": 0.0}, r"temperature = 0 K is not allowed .of every sample, which is then no parameter.: it is 1 to 20000 K"),
        ({"temperature_low": 700.0}, r"temperature_low = 700 K must lie below temperature_high = 650 K"),
        ({"temperature_high": math.nan}, r"temperature_high = nan K is not allowed"),
        ({"steps": 1}, r"steps = 1: it is a whole number from 2 to 100"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        Calphad(path=EUTECTIC, **(LIMITS | options))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hello world", r"wrong.tdb is no TDB file that pycalphad can read: Invalid TDB syntax"),
        ("PARAMETER G(LIQUID,BI;0) 200 MELT", r"wrong.tdb is no TDB file that pycalphad can read"),
        ("", r"wrong.tdb is no TDB file: it defines no elements"),
        ("ELEMENT BI X 1 0 0 !\nELEMENT CD X 1 0 0 !\n", r"wrong.tdb is no TDB file: it defines no phases"),
    ],
)
def test_a_file_that_is_no_tdb_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "wrong.tdb"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match=sentence):
        Calphad(path=path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"cannot read .*none.tdb: No such file"):
        Calphad(path=tmp_path / "none.tdb")
    (tmp_path / "binary.tdb").write_bytes(b"\x81\x8d\x8f")
    with pytest.raises(InvalidInput, match=r"binary.tdb is no TDB file: it is not text"):
        Calphad(path=tmp_path / "binary.tdb")


@pytest.mark.parametrize("name", ["latin1", "bom"])
def test_files_in_other_encodings_are_read(name: str) -> None:
    lab = Calphad(path=DATA / "field" / f"{name}.tdb", temperature=400.0, steps=4)
    assert lab.experiment.outcomes[0].labels == ("SOL", "SOL + SOL")


def test_a_component_without_a_phase_of_its_own_is_a_failed_trial_and_not_the_end_of_the_lab() -> None:
    with Calphad(path=DATA / "field" / "oxide.tdb", components="M,O", temperature=1000.0, steps=10) as lab:
        assert lab.experiment.outcomes[0].labels == ("BCC", "OXIDE", "BCC + OXIDE")
        assert lab.perform({"x_o": 0.2}).outcomes["phase"] == "BCC + OXIDE"
        assert lab.truth({"x_o": 0.5})["phase"] == "OXIDE"
        for nothing in (0.7, 1.0):
            with pytest.raises(RigFault, match="pycalphad finds no equilibrium at"):
                lab.perform({"x_o": nothing})


# Pairs of neighbors of a face-centered lattice, six an atom: every unlike one has the energy 4·UAB (Bragg-Williams).
ORDERING = """
ELEMENT A FCC_A1 1 0 0 !
ELEMENT B FCC_A1 1 0 0 !
TYPE_DEFINITION & GES A_P_D FCC_L12 DIS_PART FCC_A1 !
PHASE FCC_A1 %& 1 1.0 !
CONSTITUENT FCC_A1 :A,B: !
PARAMETER G(FCC_A1,A;0) 200 0; 3000 N !
PARAMETER G(FCC_A1,B;0) 200 0; 3000 N !
PARAMETER L(FCC_A1,A,B;0) 200 12*UAB; 3000 N !
PHASE FCC_L12 %& 2 0.75 0.25 !
CONSTITUENT FCC_L12 :A,B:A,B: !
PARAMETER G(FCC_L12,B:A;0) 200 3*UAB; 3000 N !
PARAMETER G(FCC_L12,A:B;0) 200 3*UAB; 3000 N !
PARAMETER L(FCC_L12,A,B:A;0) 200 6*UAB; 3000 N !
PARAMETER L(FCC_L12,A,B:B;0) 200 6*UAB; 3000 N !
"""


def test_ordered_and_disordered_variants_of_a_lattice_have_names_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "ordering.tdb"
    path.write_text("FUNCTION UAB 200 -3000; 3000 N !" + ORDERING)
    with Calphad(path=path, temperature=400.0, steps=20) as lab:
        assert {"FCC_A1", "FCC_L12"} <= set(lab.experiment.outcomes[0].labels)
        phases = {x: lab.truth({"x_b": x})["phase"] for x in (0.0, 0.02, 0.25, 0.75, 0.98, 1.0)}
        assert phases == {0.0: "FCC_A1", 0.02: "FCC_A1", 0.25: "FCC_L12", 0.75: "FCC_L12", 0.98: "FCC_A1", 1.0: "FCC_A1"}
        assert lab.perform({"x_b": 0.25}).outcomes["phase"] == "FCC_L12"  # their patterns differ


def test_a_function_that_is_used_and_not_defined_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "undefined.tdb"
    path.write_text(ORDERING)
    with pytest.raises(
        InvalidInput, match=r"undefined.tdb uses the function UAB and does not define it; define it there: FCC_L12 needs it"
    ):
        Calphad(path=path, temperature=600.0)
    path.write_text(ORDERING + "\nPHASE SALT % 1 1.0 !\nCONSTITUENT SALT :A: !\nPARAMETER G(SALT,A;0) 200 9999; 3000 N !")
    with pytest.raises(InvalidInput, match=r"define it there, or leave FCC_L12 out: phases=SALT$"):
        Calphad(path=path, temperature=600.0)
    path.write_text("FUNCTION UAB 200 2*DEEP#+R*T*LN(T)+P; 3000 N !" + ORDERING)
    with pytest.raises(InvalidInput, match=r"uses the function DEEP and does not define it"):
        Calphad(path=path, temperature=600.0)
    path.write_text(ORDERING.replace("12*UAB", "-36000"))
    assert Calphad(path=path, phases="FCC_A1", temperature=600.0, steps=4).experiment.outcomes[0].labels == ("FCC_A1",)


def test_a_search_for_phases_that_takes_long_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    limits: dict[str, Any] = {"temperature_low": 355.0, "temperature_high": 645.0, "steps": 4}
    monkeypatch.setattr("simulator.calphad.PATIENCE", math.inf)
    Calphad(path=EUTECTIC, **limits)
    assert not caplog.messages
    monkeypatch.setattr("simulator.calphad.PATIENCE", 0.0)
    Calphad(path=EUTECTIC, **(limits | {"steps": 3}))
    (message,) = caplog.messages
    assert message.startswith("pycalphad looks for the phases of BI-CD on a grid, about ")


def test_the_catalog_says_what_is_missing_and_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    present = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "pycalphad":
            raise ModuleNotFoundError("No module named 'pycalphad'", name="pycalphad")
        return present(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "simulator.calphad")
    monkeypatch.delattr("simulator.calphad", raising=False)
    with pytest.raises(MissingPart, match="the driver calphad needs the package 'pycalphad'; install it with pip install pycalphad"):
        catalog.make_driver("calphad", {"path": str(EUTECTIC)})
