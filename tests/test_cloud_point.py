"""The physics of the ouzo effect, what the instrument makes of it, and the procedure that any mixer can perform."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pytest

from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.errors import InvalidInput, RigFault, Stopped
from frugaltwin.experiment import Settings
from frugaltwin.goals import Map
from frugaltwin.instruments import Mixer, MixerSpecification, Reading
from frugaltwin.plugins import KnowsDiagram
from frugaltwin.prices import Dose
from simulator.cloud_point import BOTTLES, TOTAL, CloudPoint, CloudPointTwin, cloud_point, dispersed, passed, scattering_efficiency, soluble
from simulator.instruments.mixer import Imperfections, SimulatedMixer
from simulator.instruments.sensors import make_sensor


def make_twin(**options: Any) -> CloudPointTwin:
    twin = cloud_point(**options)
    assert isinstance(twin, CloudPointTwin)
    return twin


OFF = dict.fromkeys(vars(Imperfections()), 0.0)


def mixtures(n: int, seed: int = 0) -> list[Settings]:
    parts = TOTAL * np.random.default_rng(seed).dirichlet(np.ones(3), n)
    return [dict(zip(BOTTLES, row, strict=True)) for row in parts.tolist()]


def of(water: float, ethanol: float, anise: float) -> Settings:
    return {"water": water, "ethanol": ethanol, "anise": anise}


MILK = of(3.0, 0.5, 0.5)
CLEAR = of(0.5, 3.0, 0.5)


def turbidity(twin: CloudPointTwin, settings: Settings) -> float:
    return float(twin.perform(settings).outcomes["turbidity"])


# Physics


def test_the_logarithm_of_the_solubility_is_a_straight_line_in_the_fraction_of_ethanol() -> None:
    spirit = np.linspace(0, 1, 11)
    steps = np.diff(np.log10(soluble(spirit, 1.1e-4, 3.66)))
    assert np.allclose(steps, 0.366)


def test_one_mL_of_anethole_dissolves_in_two_mL_of_alcohol_as_the_merck_index_says() -> None:
    assert float(soluble(np.array(0.95), 1.1e-4, 3.66)) == pytest.approx(1 / 3, rel=0.02)


@pytest.mark.parametrize(("share", "phase"), [(1.0, "clear"), (0.9, "clear"), (1 / 3, "cloudy"), (1 / 6, "cloudy")])
def test_pastis_is_clear_in_the_bottle_and_clouds_in_water(share: float, phase: str) -> None:
    anethole, ethanol = share * 2.0 / 988, share * 0.45  # volume fractions: 2 g/L of 988 g/L, 45 % vol
    anise = TOTAL * anethole / 0.05
    spirit = TOTAL * ethanol - 0.95 * anise
    settings = of(TOTAL - spirit - anise, spirit, anise)
    assert make_twin(imperfections=0).truth(settings)["phase"] == phase


def test_no_oil_is_lost_between_droplets_and_what_surrounds_them() -> None:
    random = np.random.default_rng(0)
    oil, dissolves = random.random(1000), random.random(1000)
    droplets = dispersed(oil, dissolves)
    cloudy = oil > dissolves
    assert (droplets[~cloudy] <= 0).all()
    assert np.abs(droplets + (1 - droplets) * dissolves - oil)[cloudy].max() < 1e-12


def test_oil_and_a_solvent_that_dissolves_more_than_its_own_volume_mix_in_all_proportions() -> None:
    assert (dispersed(np.array([0.0, 0.5, 1.0]), np.array([1.5, 1.0, 3.0])) <= 0).all()


def test_droplets_scatter_as_van_de_hulst_says() -> None:
    small = np.array([1e-6, 1e-4, 1e-2])
    assert np.allclose(scattering_efficiency(small), small**2 / 2, rtol=1e-3, atol=1e-14)
    assert scattering_efficiency(np.array([1e5])) == pytest.approx(2, abs=1e-4)
    lag = np.linspace(0.1, 20, 20_000)
    efficiency = scattering_efficiency(lag)
    assert efficiency.max() == pytest.approx(3.17, abs=0.01)
    assert lag[efficiency.argmax()] == pytest.approx(4.09, abs=0.02)
    printed = 2 - 4 / lag * np.sin(lag) + 4 / lag**2 * (1 - np.cos(lag))
    assert np.allclose(efficiency, printed)


def test_more_droplets_never_let_more_light_through_and_none_let_all_through() -> None:
    depth = np.linspace(0, 500, 5000)
    through = passed(depth)
    assert through[0] == 1
    assert (np.diff(through) < 0).all()
    assert through[-1] > 0


def test_every_bottle_alone_is_clear_and_reads_zero() -> None:
    twin = make_twin()
    for corner in (of(4, 0, 0), of(0, 4, 0), of(0, 0, 4)):
        truth = twin.truth(corner)
        assert truth["phase"] == "clear"
        assert truth["turbidity"] == pytest.approx(0, abs=1e-12)


def test_ethanol_in_place_of_water_never_makes_a_mixture_cloudier() -> None:
    twin = make_twin()
    for anise in (0.02, 0.2, 1.0, 2.0):
        ethanol = np.linspace(0.01, TOTAL - anise, 60)
        labels = [twin.truth(of(TOTAL - anise - e, e, anise))["phase"] for e in ethanol.tolist()]
        assert labels == sorted(labels, reverse=True)  # cloudy, …, clear, …
        assert set(labels) == {"cloudy", "clear"}


def test_small_droplets_scatter_blue_light_more_than_red() -> None:
    light = make_twin(diameter=0.2)._ouzo.light(np.array([0.0, 0.02]))
    assert light[40] < 0.9
    assert (np.diff(light) > 0).all()


# The diagram


@pytest.mark.parametrize("options", [{}, {"imperfections": 0.0}, {"system": 5}, {"strength": 0.02, "cosolvency": 4.5}])
def test_the_cloud_point_line_is_where_the_true_label_changes(options: dict[str, Any]) -> None:
    twin = make_twin(**options)
    (line,) = twin.diagram().lines
    assert np.allclose(line.points.sum(axis=1), TOTAL)
    inner = line.points[(line.points > 0.02).all(axis=1)]
    assert len(inner) > 50
    for water, ethanol, anise in inner[::5].tolist():
        assert twin.truth(of(water - 1e-4, ethanol + 1e-4, anise))["phase"] == "clear"
        assert twin.truth(of(water + 1e-4, ethanol - 1e-4, anise))["phase"] == "cloudy"


def test_a_diagram_marks_pastis_and_cuts_the_solubility_where_it_is_told_to() -> None:
    twin = make_twin()
    assert isinstance(twin, KnowsDiagram)
    diagram = twin.diagram(at=0.5)
    for mark, phase in zip(diagram.marks, ("clear", "cloudy"), strict=True):
        assert twin.truth(twin.experiment.check(dict(zip(diagram.axes, mark.at, strict=True))))["phase"] == phase
    assert diagram.section is not None
    dissolves, there = diagram.section.curves
    crossing = float(np.interp(0, dissolves.y - there.y, dissolves.x))
    assert twin.truth(of(3.5 - crossing - 0.05, crossing + 0.05, 0.5))["phase"] == "clear"
    assert twin.truth(of(3.5 - crossing + 0.05, crossing - 0.05, 0.5))["phase"] == "cloudy"
    for at in (0.0, 4.0, -1.0, float("nan")):
        with pytest.raises(InvalidInput, match="a section is cut between 0 and 4 mL"):
            twin.diagram(at)


def test_a_system_without_a_cloud_point_has_no_line() -> None:
    assert make_twin(solubility=1e-2, strength=0.005).diagram().lines[0].points.shape == (0, 3)


@pytest.mark.parametrize("system", range(25))
def test_every_drawn_system_has_both_fields(system: int) -> None:
    twin = make_twin(system=system)
    labels = [truth["phase"] for truth in twin.truths(mixtures(500))]
    assert 0.05 < labels.count("cloudy") / 500 < 0.7
    assert len(twin.diagram().lines[0].points)


def test_a_system_is_drawn_by_its_number_and_what_is_given_is_kept() -> None:
    one, again, other = make_twin(system=1), make_twin(system=1, seed=9), make_twin(system=2)
    assert one.truth(MILK) == again.truth(MILK) != other.truth(MILK)
    assert make_twin(system=1, strength=0.03)._ouzo.strength == 0.03
    assert make_twin(system=1, strength=0.03)._ouzo.cosolvency == one._ouzo.cosolvency


# The instrument


def test_without_imperfections_a_reading_is_the_truth_but_for_whole_counts() -> None:
    with make_twin(imperfections=0) as twin:
        for settings in mixtures(40):
            measurement, truth = twin.perform(settings), twin.truth(settings)
            white = float(measurement.raw["white_clear"]) - float(measurement.raw["dark_clear"])
            light = 10 ** -float(measurement.outcomes["turbidity"])
            assert light == pytest.approx(10 ** -float(truth["turbidity"]), abs=2 / white)
            assert measurement.outcomes["phase"] == truth["phase"]


@pytest.mark.parametrize("name", list(vars(Imperfections())))
def test_every_imperfection_alone_changes_what_is_read_and_can_be_turned_off(name: str) -> None:
    size, n = (3.0, 8) if vars(Imperfections())[name] else (10.0, 40)  # mishaps are rare
    with make_twin(imperfections=0) as perfect:
        before = [turbidity(perfect, MILK) for _ in range(n)]
    with make_twin(**(OFF | {name: size})) as flawed:
        after = [turbidity(flawed, MILK) for _ in range(n)]
    assert max(abs(a - b) for a, b in zip(before, after, strict=True)) > 1e-4
    assert max(before) - min(before) < 1e-12


def test_a_label_is_inferred_from_the_reading_and_can_be_wrong_near_the_cloud_point() -> None:
    twin = make_twin(seed=3)
    line = twin.diagram().lines[0].points[20:180:4]
    settings = [of(*row) for row in line.tolist()]
    with twin:
        outcomes = [twin.perform(s).outcomes for s in settings]
    assert all(o["phase"] == ("cloudy" if float(o["turbidity"]) > 0.05 else "clear") for o in outcomes)
    assert 0 < [o["phase"] for o in outcomes].count("cloudy") < len(outcomes)


def test_a_label_that_is_read_directly_is_the_true_one() -> None:
    twin = make_twin(seed=3, labeling="direct")
    near = twin.diagram().lines[0].points[20:180:8]
    settings = [of(water + 1e-3, ethanol - 5e-4, anise - 5e-4) for water, ethanol, anise in near.tolist()]
    with twin:
        assert [twin.perform(s).outcomes["phase"] for s in settings] == [t["phase"] for t in twin.truths(settings)]


def test_clear_liquids_read_zero_within_a_hundredth_and_most_labels_are_right() -> None:
    wrong = 0
    for seed in range(4):
        with make_twin(seed=seed) as twin:
            for settings in mixtures(50, seed):
                truth, read = twin.truth(settings), twin.perform(settings).outcomes
                wrong += truth["phase"] != read["phase"]
                if truth["phase"] == read["phase"] == "clear":
                    assert abs(float(read["turbidity"])) < 0.03
    assert wrong <= 6


def test_ethanol_washes_the_oil_out_that_water_would_leave() -> None:
    with make_twin(**(OFF | {"carry_over": 1.0})) as twin:
        twin.perform(MILK)
        mixer = twin._driver.mixer
        assert isinstance(mixer, SimulatedMixer)
        assert mixer._cell.volume == pytest.approx(0.3)
        assert 0 < mixer._cell._amounts["anise"] < 1e-3 * 0.5


def test_the_same_seed_gives_the_same_readings_and_another_one_others() -> None:
    def two(twin: CloudPointTwin) -> list[float]:
        with twin:
            return [turbidity(twin, MILK) for _ in range(2)]

    assert two(make_twin(seed=1)) == two(make_twin(seed=1))
    assert two(make_twin(seed=1)) != two(make_twin(seed=2))


def test_both_maps_can_be_asked_for() -> None:
    twin = catalog.make_driver("cloud-point")
    assert catalog.default_goal(twin) == "map:phase"
    goal = catalog.make_goal("map:turbidity:0.5", twin)
    assert isinstance(goal, Map)
    assert [goal.label_of(twin.truth(s)) for s in (CLEAR, MILK)] == list(goal.labels)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solubility": 0.0}, "solubility = 0 has no physical meaning"),
        ({"solubility": float("nan")}, "solubility = nan has no physical meaning"),
        ({"cosolvency": -1.0}, "cosolvency = -1 has no physical meaning"),
        ({"strength": 0.5}, "strength = 0.5 has no physical meaning"),
        ({"diameter": 0.0}, "diameter = 0 µm has no physical meaning"),
        ({"index": 1.0}, "index = 1 has no physical meaning"),
        ({"solubility": 1e-5, "cosolvency": 2.0}, "strength = 0.05 is no solution: ethanol dissolves 0.001 of this oil at most"),
        ({"cloudy_above": 0.0}, "cloudy_above = 0 divides no readings"),
        ({"cloudy_above": float("nan")}, "cloudy_above = nan divides no readings"),
        ({"labeling": "guessed"}, "labeling = 'guessed': it is inferred or direct"),
        ({"pump_error": -1.0}, "pump_error = -1 is not allowed"),
        ({"gain": 3.0}, "gain = 3 is none of the AS7341's"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message.replace("(", r"\(")):
        make_twin(**options)


# The procedure, on any mixer


@dataclass
class ScriptedMixer:
    """A mixer made by hand: it writes down what it is told, and its sensor reads from a list."""

    counts: list[int]
    told: list[str] = field(default_factory=list)
    spent: Amounts = Amounts()
    specification: MixerSpecification = MixerSpecification(cell=8.0, residue=0.3)

    def __enter__(self) -> Self:
        self.told.append("connect")
        return self

    def identify(self) -> str:
        return "scripted"

    def dispense(self, pump: str, volume: float) -> None:
        self.told.append(f"{pump} {volume:g}")

    def mix(self, seconds: float) -> None:
        self.told.append("mix")

    def read(self, lamp: bool = True) -> Reading:
        self.told.append("read" if lamp else "read dark")
        return Reading({"clear": self.counts.pop(0)}, 1000)

    def rinse(self, volume: float) -> None:
        self.told.append(f"rinse {volume:g}")

    def drain(self) -> None:
        self.told.append("drain")

    def dose(self, pump: str, volume: float | str) -> Dose:
        return Dose(volume, slope=0.5, money=0.01)

    def price(self, instruction: str, amount: float = 0.0, pump: str = "water") -> Amounts:
        return Amounts(seconds=1.0)

    def stop(self) -> None:
        self.told.append("stop")

    def __exit__(self, *failure: object) -> None:
        self.told.append("disconnect")


def test_any_mixer_doses_stirs_reads_washes_with_ethanol_and_is_left_drained() -> None:
    mixer: Mixer = (scripted := ScriptedMixer([10, 910, 100, 901]))
    with CloudPoint(mixer) as lab:
        assert scripted.told[-5:] == ["rinse 4", "mix", "read dark", "read", "drain"]
        scripted.told.clear()
        cloudy = lab.perform(of(3.0, 0.75, 0.25))
        assert scripted.told == [
            *("anise 0.25", "ethanol 0.75", "water 3", "mix", "read", "drain"),
            *("ethanol 2", "mix", "drain"),
            *("rinse 4", "mix", "drain"),
        ]
        assert cloudy.outcomes == {"phase": "cloudy", "turbidity": pytest.approx(1.0)}
        clear = lab.perform(of(0.0, 4.0, 0.0))
        assert "anise 0" not in scripted.told
        assert clear.outcomes["phase"] == "clear"
    assert scripted.told[-1] == "disconnect"
    assert not scripted.counts


def test_light_that_cannot_be_told_from_the_dark_is_refused() -> None:
    with CloudPoint(ScriptedMixer([10, 910, 10, 10, 910])) as lab, pytest.raises(RigFault, match="it is too cloudy to read"):
        lab.perform(MILK)


class ImpatientMixer(SimulatedMixer):
    """Somebody presses stop while it stirs a sample."""

    def mix(self, seconds: float) -> None:
        super().mix(seconds)
        if seconds > 20:
            self.stop()


def test_a_stop_while_it_stirs_ends_the_procedure_and_nothing_more_is_dosed() -> None:
    mixer = ImpatientMixer(make_sensor("as7341", {}), liquids=make_twin()._ouzo.liquids)
    with CloudPoint(mixer) as lab:
        before = dict(mixer.used)
        with pytest.raises(Stopped) as stopped:
            lab.perform(MILK)
        assert stopped.value.cost.seconds > 20
        assert mixer.used["water"] - before["water"] == pytest.approx(3.0, abs=0.2)
        assert mixer.used["ethanol"] - before["ethanol"] == pytest.approx(0.5, abs=0.1)
        with pytest.raises(Stopped):
            lab.perform(MILK)
