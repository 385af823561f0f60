"""Pumps that can deliver nothing, or a smallest dose and more: from the pump to the suggestion."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frugaltwin import Campaign, catalog
from frugaltwin.budget import Budget
from frugaltwin.errors import OutOfBounds, RigFault
from frugaltwin.experiment import Continuous, Experiment, MixtureSum, Outcome
from frugaltwin.goals import MatchColor
from frugaltwin.plugins import KnowsTruth, Recommends, Strategy
from frugaltwin.state import State
from frugaltwin.store import Store, experiment_from_json, experiment_to_json
from optimizers.space.space import Space
from simulator.color_mixing import ColorMixingTwin, color_mixing
from simulator.instruments.liquids import Pump
from simulator.instruments.mixer import Imperfections, SimulatedMixer
from simulator.instruments.sensors import as7341
from tests.forms import times

RED = Continuous("red", 0.0, 1.0, "mL", smallest=0.16)
RECIPE = {"red": 0.2, "yellow": 0.0, "blue": 0.5, "water": 3.3}


def make_twin(**options: Any) -> ColorMixingTwin:
    twin = color_mixing(**{"coasting": 0.16, **options})
    assert isinstance(twin, ColorMixingTwin)
    return twin


@pytest.mark.parametrize(("given", "meant"), [(0, 0.0), (7e-17, 0.0), (0.16, 0.16), (0.16 - 1e-12, 0.16), (0.5, 0.5), (1, 1.0)])
def test_nothing_and_what_can_be_delivered_is_allowed(given: float, meant: float) -> None:
    assert RED.check(given) == meant


@pytest.mark.parametrize("given", [0.0001, 0.05, 0.159])
def test_less_than_can_be_delivered_is_refused_with_what_can_be(given: float) -> None:
    with pytest.raises(OutOfBounds, match=rf"^red = {given:g} mL is outside 0 or \[0.16, 1\] mL$"):
        RED.check(given)


@pytest.mark.parametrize("smallest", [-0.1, 1.0, 2.0])
def test_an_impossible_smallest_amount_is_refused(smallest: float) -> None:
    with pytest.raises(ValueError, match="the smallest amount"):
        Continuous("red", 0.0, 1.0, smallest=smallest)


def test_it_is_stored_and_absent_where_there_is_none() -> None:
    doses = Experiment("doses", (RED, Continuous("blue", 0.0, 1.0)), (Outcome("y"),))
    body = experiment_to_json(doses)
    assert [p.get("smallest") for p in body["parameters"]] == [0.16, None]
    assert experiment_from_json(body) == doses


def test_the_nearest_deliverable_settings_are_found_also_of_what_others_leave_over() -> None:
    doses = tuple(Continuous(name, 0.0, 1.0, smallest=0.25) for name in "abc")
    experiment = Experiment("doses", doses, (Outcome("y"),), (MixtureSum(("a", "b", "c"), 1.0),))
    space = Space.of(experiment)
    for x in np.random.default_rng(0).random((300, space.size)):
        if x.sum() <= 1:
            experiment.check(space.decode(x))  # never in the gap, and adds up
    X = space.sample(200, 1)
    assert len(X) == 200
    assert all(experiment.allows(space.decode(x)) for x in X)


def test_a_pump_says_its_smallest_dose_in_whole_microliters() -> None:
    assert Pump(1.0, 0.0, 0.25, rate=1.55).smallest == 0
    assert Pump(1.0, 0.0, 0.25, rate=1.55, coasting=0.16).smallest == 0.176
    assert make_twin().mixer.specification.smallest == {"red": 0.176, "yellow": 0.177, "blue": 0.176, "water": 0.177}


def test_a_mixer_refuses_what_its_pump_cannot_deliver_and_does_nothing() -> None:
    with SimulatedMixer(as7341(), Imperfections(), liquids=make_twin()._liquids) as mixer:
        with pytest.raises(RigFault, match=r"0\.1 mL of red is less than its pump can deliver: 0.176 mL, since it coasts"):
            mixer.dispense("red", 0.1)
        assert mixer.used["red"] == 0


def test_a_dose_of_a_coasting_pump_is_right_and_scatters_more() -> None:
    def doses(coasting: float) -> np.ndarray:
        twin = color_mixing(coasting=coasting, pump_bias=0)
        assert isinstance(twin, ColorMixingTwin)
        mixer = SimulatedMixer(as7341(), Imperfections(pump_bias=0), liquids=twin._liquids)
        return np.array([mixer._cell.delivered("red", 0.2) for _ in range(4000)])

    steady, coasting = doses(0.0), doses(0.16)
    assert coasting.mean() == pytest.approx(0.2, abs=0.001)
    assert coasting.std() == pytest.approx(np.hypot(steady.std(), 0.05 * 0.16), rel=0.05)


@pytest.mark.parametrize("seed", range(times(1, 5)))
def test_a_campaign_with_coasting_pumps_asks_for_what_they_can_deliver_and_matches_the_color(seed: int, tmp_path: Path) -> None:
    twin = make_twin(seed=seed)
    goal = catalog.make_goal("match-color:reachable", twin, seed=seed)
    assert isinstance(goal, MatchColor)
    campaign = Campaign("coasting", twin, goal, catalog.make_strategy("composite", seed=seed), Store(tmp_path / "s.db"), Budget(runs=8))
    assert len(list(campaign.run())) == 8
    assert all(t.measurement is not None for t in campaign.trials)
    assert min(goal.score_of(t.settings, twin.truth(t.settings)) for t in campaign.trials) <= 2.3
    strategy: Strategy = campaign.strategy
    assert isinstance(strategy, Recommends)
    with twin:
        twin.perform(twin.experiment.check(strategy.recommend(State(goal, campaign.trials))))


def test_what_really_happened_may_be_told_slightly_outside_of_the_limits(tmp_path: Path) -> None:
    twin = make_twin()
    campaign = Campaign(
        "told", twin, catalog.make_goal("match-color:coral", twin), catalog.make_strategy("composite"), Store(tmp_path / "s.db")
    )
    outcomes = twin.truth(RECIPE)
    for red in (0.09, 1.03):  # a clogged pump, and one that ran on
        told = campaign.tell(RECIPE | {"red": red, "water": 3.53 - red}, outcomes)
        assert told.settings["red"] == red
        (settings,) = [s.settings for s in campaign.suggest()]
        assert twin.experiment.allows(settings)
    for odd in ({"red": 1.2}, {"red": -0.01}, {"water": 4.5}, {"blue": 0.9}):
        with pytest.raises(OutOfBounds):
            campaign.tell(RECIPE | odd, outcomes)


def test_coasting_of_a_rig_limits_what_is_asked_of_it() -> None:
    rig = catalog.make_driver("color-mixing", {"mixer": "/dev/ttyACM9", "coasting": 0.16})
    red = rig.experiment.parameters[0]
    assert isinstance(red, Continuous)
    assert red.smallest == 0.176


def test_pumps_of_a_cloud_point_coast_too() -> None:
    twin = catalog.make_driver("cloud-point", {"coasting": 0.3, "imperfections": 0})
    assert [p.smallest for p in twin.experiment.parameters if isinstance(p, Continuous)] == [0.317, 0.316, 0.316]
    recipe = twin.experiment.check({"water": 2.9, "ethanol": 0.5, "anise": 0.6})
    with twin:
        read = twin.perform(recipe).outcomes
    assert isinstance(twin, KnowsTruth)
    assert read["turbidity"] == pytest.approx(twin.truth(recipe)["turbidity"], abs=0.01)


def test_the_emulated_board_doses_what_a_pump_delivers_that_coasts_as_much_as_any() -> None:
    from hardware.emulator.engine import missing

    if reason := missing():
        pytest.skip(reason)
    twin = make_twin(mixer="emulated", imperfections=0, coasting=0.3)
    recipe = RECIPE | {"red": 0.4, "water": 3.1}
    with twin:
        board = twin.mixer.link._port  # type: ignore[attr-defined]
        before = list(board.plant.delivered)
        read = twin.perform(recipe).outcomes
        after = board.plant.delivered
    assert after[0] - before[0] == pytest.approx(0.4, abs=1e-3)
    assert after[2] - before[2] == pytest.approx(0.5, abs=1e-3)
    truth = twin.truth(recipe)
    assert [read[k] for k in truth] == pytest.approx(list(truth.values()), abs=3e-3)
