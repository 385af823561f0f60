"""What every strategy of the catalog promises, over every kind of experiment, and what single ones do."""

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from frugaltwin import catalog, testing
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Continuous, Experiment, Measurement, Outcome, Trial
from frugaltwin.goals import Map, MatchColor, Maximize, Minimize
from frugaltwin.laws import BeerLambert
from frugaltwin.plugins import Predicts, Recommends, Strategy
from frugaltwin.state import State
from frugaltwin.tables import color_of
from frugaltwin.testing.strategies import goals_of, serves
from simulator.color_mixing import ColorMixingTwin, color_mixing
from tests.forms import combinations, times

STRATEGIES = [name for name in catalog.names("strategy") if name not in catalog.PEERS]  # those: tests/test_peers.py
A, B = (Continuous(name, 0.0, 1.0) for name in "ab")


def make(name: str, seed: int = 0) -> Strategy:
    return catalog.make_strategy(name, seed=seed)


def make_twin(**options: Any) -> ColorMixingTwin:
    twin = color_mixing(**options)
    assert isinstance(twin, ColorMixingTwin)
    return twin


PROMISES = {promise.__name__: promise for promise in testing.EXPERIMENT_PROMISES}


@pytest.mark.parametrize(("name", "promise", "experiment"), combinations(STRATEGIES, PROMISES, testing.experiments()))
def test_a_strategy_keeps_a_promise_over_every_experiment(name: str, promise: str, experiment: str) -> None:
    PROMISES[promise](testing.Plugin.of("strategy", name), testing.experiments()[experiment])


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("promise", testing.STRATEGY_PROMISES)
def test_a_strategy_keeps_a_promise(name: str, promise: testing.Promise) -> None:
    promise(testing.Plugin.of("strategy", name))


@pytest.mark.parametrize("experiment", testing.experiments())
def test_every_goal_has_a_strategy(experiment: str) -> None:
    assert all(serves(make(goal.default_strategy), goal) for goal in goals_of(testing.experiments()[experiment]))


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_prediction_keeps_what_was_measured_and_doubts_what_was_not(name: str) -> None:
    experiment = Experiment("line", (A,), (Outcome("y", "V"),))
    history = [Trial(i, {"a": x}, Measurement({"y": 100 - 20 * math.sin(3 * x)})) for i, x in enumerate((0.0, 0.1, 0.2, 0.3, 0.4, 0.5))]
    strategy, goals = make(name), (Minimize(experiment, "y"), Map(experiment, "y", 90.0))
    if not isinstance(strategy, Predicts):
        return
    for goal in [g for g in goals if serves(make(name), g)]:
        prediction = strategy.predict(State(goal, history), [{"a": 0.25}, {"a": 1.0}])
        for outcome, (near, far) in prediction.means.items():
            sure, unsure = prediction.deviations[outcome]
            assert abs(near - (100 - 20 * math.sin(0.75))) < 1
            assert abs(far - (100 - 20 * math.sin(3))) < 3 * unsure
            assert 0 < sure < 1 < unsure


@pytest.mark.parametrize("name", [n for n in STRATEGIES if "starts" in catalog.parameters(catalog.target("strategy", n))])
def test_options_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"starts = 0 is outside \[1, 1000\]"):
        catalog.make_strategy(name, {"starts": 0})


def test_simple_strategies_do_without_torch() -> None:
    code = "import sys, optimizers.sobol, optimizers.random_search; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("seed", range(1, times(2, 4)))
def test_composite_matches_a_color_of_the_perfect_twin_within_nine_experiments(seed: int) -> None:
    twin = make_twin(imperfections=0.0, seed=seed)
    doses = np.random.default_rng(seed).random(3).tolist()
    recipe = dict(zip(("red", "yellow", "blue", "water"), [*doses, 4.0 - sum(doses)], strict=True))
    L, a, b = color_of(twin.experiment, recipe, twin.truth(recipe)).values()
    goal, history = MatchColor(twin.experiment, (L, a, b)), list[Trial]()
    strategy = make("composite", seed)
    with twin:
        for number in range(9):
            (settings,) = [s.settings for s in strategy.suggest(State(goal, history))]
            history.append(Trial(number, settings, twin.perform(settings)))
    assert min(goal.score_of(t.settings, twin.truth(t.settings)) for t in history) < 1.0
    assert isinstance(strategy, Recommends)
    recommended = strategy.recommend(State(goal, history))
    assert goal.score_of(recommended, twin.truth(recommended)) < 1.0


def test_recommendations_mind_the_sign_of_the_goal() -> None:
    twin = make_twin(imperfections=0.0)
    with twin:
        drawn = [s.settings for s in make("sobol").suggest(State(Minimize(twin.experiment, "t_630")), 5)]
        history = [Trial(i, s, twin.perform(s)) for i, s in enumerate(drawn)]
    for name, most in (("bayesian", 0.6), ("composite", 0.95)):
        strategy = make(name)
        assert isinstance(strategy, Recommends)
        assert float(strategy.recommend(State(Minimize(twin.experiment, "t_630"), history))["blue"]) > most
        assert float(strategy.recommend(State(Maximize(twin.experiment, "t_630"), history))["blue"]) < 1 - most


def test_in_many_dimensions_bayesian_begins_in_the_middle() -> None:
    for n, is_middle in ((10, True), (9, False)):
        experiment = Experiment("wide", tuple(Continuous(f"x{k}", -1.0, 3.0) for k in range(n)), (Outcome("y"),))
        first, second = (s.settings for s in make("bayesian").suggest(State(Minimize(experiment, "y")), 2))
        assert (set(first.values()) == {1.0}) == is_middle
        assert len(set(second.values())) == n


def test_composite_refuses_a_goal_that_needs_labels() -> None:
    experiment = testing.experiments()["simplex"]
    with pytest.raises(InvalidInput, match="needs the label phase"):
        make("composite").suggest(State(Minimize(experiment, "phase")))


def test_a_law_for_a_dark_sample_survives_negative_readings() -> None:
    law = BeerLambert(("a", "b"))
    experiment = Experiment("dark", (A, B), (Outcome("y", law=law), Outcome("z", law=law)))
    history = [
        Trial(i, {"a": a, "b": b}, Measurement({"y": 10 ** (-4 * a) - 0.004, "z": 10 ** (-b)}))
        for i, (a, b) in enumerate([(0.9, 0.1), (0.1, 0.8), (0.5, 0.5), (1.0, 1.0)])
    ]
    strategy = make("composite")
    experiment.check(*[s.settings for s in strategy.suggest(State(Maximize(experiment, "y"), history))])
    assert isinstance(strategy, Recommends)
    assert float(strategy.recommend(State(Maximize(experiment, "y"), history))["a"]) < 0.05
