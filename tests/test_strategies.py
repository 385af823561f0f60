"""What every strategy of the catalog promises, over every kind of experiment."""

import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from frugaltwin import catalog
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import (
    Additive,
    BeerLambert,
    Categorical,
    Continuous,
    Discrete,
    Experiment,
    Exposure,
    KubelkaMunk,
    LinearConstraint,
    Measurement,
    MixtureSum,
    Outcome,
    Settings,
    Trial,
)
from frugaltwin.goals import Goal, Map, MatchColor, Maximize, Minimize, ScoredGoal
from frugaltwin.plugins import Predicts, Recommends, Strategy
from frugaltwin.tables import color_of, settings_array
from optimizers.random_search import RandomSearch
from optimizers.sobol import Sobol
from simulator.color_mixing import ColorMixingTwin, color_mixing
from tests.forms import combinations


def make_twin(**options: Any) -> ColorMixingTwin:
    twin = color_mixing(**options)
    assert isinstance(twin, ColorMixingTwin)
    return twin


Y = (Outcome("y"), Outcome("phase", labels=("one", "two")))
A, B, C = (Continuous(name, 0.0, 1.0) for name in "abc")

COLOR_MIXING = make_twin().experiment
EXPERIMENTS = {
    "color-mixing": COLOR_MIXING,
    "simplex": Experiment("simplex", (A, B, C), Y, (MixtureSum(("a", "b", "c"), 1.0),)),
    "constrained": Experiment(
        "constrained",
        (A, B, C, Continuous("d", -5.0, 5.0), Continuous("e", 0.0, 0.2)),
        Y,
        (MixtureSum(("a", "b", "c"), 1.5), LinearConstraint({"d": 1.0, "a": 2.0}, low=-1.0, high=1.0)),
    ),
    "mixed": Experiment(
        "mixed",
        (A, Discrete("n", (1.0, 2.0, 4.0, 8.0)), Categorical("solvent", ("water", "ethanol", "hexane")), Discrete("fixed", (3.0,))),
        Y,
        (LinearConstraint({"a": 1.0, "n": 0.25}, high=1.2),),
    ),
    "finite": Experiment("finite", (Discrete("n", tuple(range(12))), Categorical("solvent", ("water", "ethanol"))), Y),
    "candidates": Experiment(
        "candidates",
        (Continuous("temperature", 0.0, 1e6), Discrete("n", (1.0, 2.0, 3.0)), Categorical("solvent", ("water", "ethanol"))),
        Y,
        candidates=tuple({"temperature": 250.0 + i * i, "n": 1.0 + i % 3, "solvent": ("water", "ethanol")[i % 2]} for i in range(30)),
    ),
    "paint": Experiment("paint", (A, B), tuple(Outcome(name, law=KubelkaMunk(("a", "b"))) for name in ("y", "z"))),
    "light": Experiment(
        "light",
        (*(Discrete(name, tuple(float(v) for v in range(256))) for name in ("red", "blue")), Discrete("gain", (1.0, 2.0, 4.0))),
        tuple(Outcome(name, law=Additive(("red", "blue"), Exposure((("gain", 0.0),)))) for name in ("y", "z")),
    ),
}
STRATEGIES = list(catalog.STRATEGIES)


def make(name: str, seed: int = 0) -> Strategy:
    return catalog.make_strategy(name, seed=seed)


def goals_of(experiment: Experiment) -> list[Goal]:
    """A goal of every kind that the experiment allows: with a score, a map divided by a value, a map of labels."""
    score = MatchColor(experiment, (60.0, 20.0, 10.0)) if experiment.color else Maximize(experiment, "y")
    divided = Map(experiment, experiment.outcomes[0].name, 0.5)
    return [score, divided, *(Map(experiment, o.name) for o in experiment.outcomes if o.labels)]


def serves(strategy: Strategy, goal: Goal) -> bool:
    """Whether a strategy works for a goal: it refuses all others with a sentence that names one that does."""
    try:
        strategy.suggest(goal.experiment, goal, [])
    except InvalidInput as refusal:
        if f"--strategy {goal.default_strategy}" not in str(refusal):
            raise
        return False
    return True


def goal_of(strategy: Strategy, experiment: Experiment) -> Goal:
    """The last goal that the strategy serves: it serves at least one."""
    return [goal for goal in goals_of(experiment) if serves(strategy, goal)][-1]


def measurement(experiment: Experiment, settings: Settings) -> Measurement:
    """Some smooth outcomes."""
    (x,) = settings_array(experiment, [settings])
    bump = math.exp(-float(((x - 0.4 * x.size) ** 2).mean()) / (1 + float((x**2).mean())))
    return Measurement({o.name: o.labels[int(bump > 0.8)] if o.labels else bump / (1 + j) for j, o in enumerate(experiment.outcomes)})


def trials(experiment: Experiment, n: int, failed: Sequence[int] = ()) -> list[Trial]:
    drawn = make("random", seed=7).suggest(experiment, goals_of(experiment)[0], [], count=n)
    return [Trial(i + 1, s, None if i in failed else measurement(experiment, s)) for i, s in enumerate(drawn)]


@pytest.fixture(params=STRATEGIES)
def strategy(request: pytest.FixtureRequest) -> Strategy:
    return make(str(request.param))


@pytest.fixture(params=EXPERIMENTS)
def experiment(request: pytest.FixtureRequest) -> Experiment:
    return EXPERIMENTS[str(request.param)]


def test_it_suggests_distinct_allowed_settings_that_nobody_tried_or_is_trying(strategy: Strategy, experiment: Experiment) -> None:
    history = trials(experiment, 9, failed=(2, 5))
    pending = make("random", seed=8).suggest(experiment, goals_of(experiment)[0], history, count=2)
    suggested = strategy.suggest(experiment, goal_of(strategy, experiment), history, count=3, pending=pending)
    keys = {experiment.key(experiment.check(s)) for s in suggested}
    taken = {experiment.key(s) for s in [*pending, *(t.settings for t in history)]}
    assert len(suggested) == len(keys) == 3
    assert not keys & taken


def test_its_mixtures_add_up_exactly(strategy: Strategy) -> None:
    for experiment in (EXPERIMENTS["simplex"], EXPERIMENTS["constrained"], COLOR_MIXING):
        (mixture,) = (c for c in experiment.constraints if isinstance(c, MixtureSum))
        for n in (0, 7):
            for settings in strategy.suggest(experiment, goal_of(strategy, experiment), trials(experiment, n), count=2):
                assert abs(math.fsum(float(settings[name]) for name in mixture.parameters) - mixture.total) <= 1e-12


def test_it_is_a_pure_function_of_its_arguments(strategy: Strategy, experiment: Experiment) -> None:
    history = trials(experiment, 6)
    first = strategy.suggest(experiment, goal_of(strategy, experiment), history, count=2)
    np.random.default_rng().random()
    assert strategy.suggest(experiment, goal_of(strategy, experiment), history, count=2) == first


def meeting(name: str, *values: str) -> pytest.MarkDecorator:
    """Strategies, experiments and something else that meet, by their names."""
    combined = combinations(STRATEGIES, EXPERIMENTS, values)
    return pytest.mark.parametrize(
        f"strategy,experiment,{name}", combined, indirect=["strategy", "experiment"], ids=["-".join(words) for words in combined]
    )


HISTORIES: dict[str, tuple[int, Sequence[int]]] = {"none": (0, ()), "one": (1, ()), "a failure": (1, (0,)), "failures": (6, range(6))}


@meeting("before", *HISTORIES)
def test_it_suggests_something_whatever_happened_before(strategy: Strategy, experiment: Experiment, before: str) -> None:
    history = trials(experiment, *HISTORIES[before])
    (settings,) = strategy.suggest(experiment, goal_of(strategy, experiment), history)
    experiment.check(settings)
    assert experiment.key(settings) not in {experiment.key(t.settings) for t in history}


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_serves_a_goal_and_every_goal_a_strategy(name: str) -> None:
    strategy = make(name)
    for experiment in EXPERIMENTS.values():
        assert goal_of(strategy, experiment)
    assert all(serves(make(goal.default_strategy), goal) for experiment in EXPERIMENTS.values() for goal in goals_of(experiment))


@meeting("n", "1", "2", "8")
def test_a_model_predicts_numbers_in_units_and_chances_that_add_up(strategy: Strategy, experiment: Experiment, n: str) -> None:
    if not isinstance(strategy, Predicts):
        assert isinstance(strategy, RandomSearch | Sobol)
        return
    goal, asked = goal_of(strategy, experiment), [t.settings for t in trials(experiment, 12)]
    prediction = strategy.predict(experiment, goal, trials(experiment, int(n)), asked)
    if isinstance(goal, Map):
        assert tuple(prediction.probabilities) == goal.labels
        table = np.array(list(prediction.probabilities.values()))
        assert table.shape == (len(goal.labels), 12)
        assert table.min() >= 0
        assert np.allclose(table.sum(axis=0), 1)
        assert set(prediction.labels) <= set(goal.labels)
    else:
        assert not prediction.probabilities
        assert "score" in prediction.means
    assert set(prediction.means) == set(prediction.deviations)
    for mean, deviation in zip(prediction.means.values(), prediction.deviations.values(), strict=True):
        assert mean.shape == deviation.shape == (12,)
        assert np.isfinite(mean).all()
        assert (deviation >= 0).all()


@pytest.mark.parametrize(("name", "outcome"), [("bayesian", "score"), ("composite", "score"), ("composite", "y"), ("straddle", "y")])
def test_a_prediction_keeps_what_was_measured_and_doubts_what_was_not(name: str, outcome: str) -> None:
    experiment = Experiment("line", (A,), (Outcome("y", "V"),))
    history = [Trial(i, {"a": x}, Measurement({"y": 100 - 20 * math.sin(3 * x)})) for i, x in enumerate((0.0, 0.1, 0.2, 0.3, 0.4, 0.5))]
    strategy = make(name)
    assert isinstance(strategy, Predicts)
    goal = Map(experiment, "y", 90.0) if name == "straddle" else Minimize(experiment, "y")
    prediction = strategy.predict(experiment, goal, history, [{"a": 0.25}, {"a": 1.0}])
    near, far = prediction.means[outcome]
    sure, unsure = prediction.deviations[outcome]
    assert abs(near - (100 - 20 * math.sin(0.75))) < 1
    assert abs(far - (100 - 20 * math.sin(3))) < 3 * unsure
    assert 0 < sure < 1 < unsure


def test_equal_outcomes_do_no_harm(strategy: Strategy, experiment: Experiment) -> None:
    same = Measurement({o.name: o.labels[0] if o.labels else 0.0 for o in experiment.outcomes})
    history = [Trial(t.number, t.settings, same) for t in trials(experiment, 8)]
    (settings,) = strategy.suggest(experiment, goal_of(strategy, experiment), history)
    experiment.check(settings)


def test_a_small_space_is_used_up_before_anything_is_repeated(strategy: Strategy) -> None:
    experiment = Experiment("small", (Discrete("n", (1.0, 2.0)), Categorical("solvent", ("water", "ethanol", "hexane"))), Y)
    history: list[Trial] = []
    for number in range(8):
        (settings,) = strategy.suggest(experiment, goal_of(strategy, experiment), history)
        history.append(Trial(number, settings, None if number == 3 else measurement(experiment, settings)))
    assert len({experiment.key(t.settings) for t in history[:6]}) == 6
    assert experiment.key(history[3].settings) not in {experiment.key(t.settings) for t in history[6:]}
    with pytest.raises(InvalidInput, match=r"7 different settings .* only 6"):
        strategy.suggest(experiment, goal_of(strategy, experiment), history, count=7)


def test_an_experiment_with_one_allowed_setting_is_no_problem(strategy: Strategy) -> None:
    experiment = Experiment("one", (Discrete("n", (2.0,)), Categorical("solvent", ("water",))), Y)
    history = [Trial(1, {"n": 2.0, "solvent": "water"}, measurement(experiment, {"n": 2.0, "solvent": "water"}))]
    assert strategy.suggest(experiment, goal_of(strategy, experiment), []) == strategy.suggest(
        experiment, goal_of(strategy, experiment), history
    )


def test_constraints_that_nothing_satisfies_are_refused(strategy: Strategy) -> None:
    impossible = (LinearConstraint({"a": 1.0, "b": 1.0}, high=0.5), LinearConstraint({"a": 1.0, "c": 1.0}, low=1.9))
    for constraints in (impossible, (MixtureSum(("a", "b", "c"), 4.0),), (MixtureSum(("a", "b"), 1.9), impossible[0])):
        experiment = Experiment("impossible", (A, B, C), Y, constraints)
        with pytest.raises(InvalidInput, match="no settings of impossible satisfy its constraints"):
            strategy.suggest(experiment, replace(goal_of(strategy, EXPERIMENTS["simplex"]), experiment=experiment), [])


def test_thousands_of_candidates_of_any_scale_are_searched(strategy: Strategy) -> None:
    random = np.random.default_rng(0)
    X = random.random((3000, 3)) * [1e-3, 1e4, 1.0]
    candidates = tuple(dict(zip("abc", map(float, x), strict=True)) for x in X)
    parameters = tuple(Discrete(name, tuple(sorted(set(X[:, j].tolist())))) for j, name in enumerate("abc"))
    experiment = Experiment("table", parameters, (Outcome("y"),), candidates=candidates)
    history = [Trial(i, c, Measurement({"y": float(c["b"])})) for i, c in enumerate(candidates[:12])]
    (settings,) = strategy.suggest(experiment, goal_of(strategy, experiment), history)
    experiment.check(settings)
    if isinstance(strategy, Recommends):
        assert float(strategy.recommend(experiment, Maximize(experiment, "y"), history)["b"]) > 0.95e4


def test_it_does_not_ask_for_the_same_failure_for_ever(strategy: Strategy) -> None:
    experiment = Experiment("corner", (A, B), (Outcome("y"),))
    history: list[Trial] = []
    for number in range(14):
        (settings,) = strategy.suggest(experiment, goal_of(strategy, experiment), history)
        total = float(settings["a"]) + float(settings["b"])
        history.append(Trial(number, settings, Measurement({"y": total}) if total < 1.5 else None))
    assert sum(t.measurement is None for t in history[-7:]) <= 5


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_recommendation_is_allowed_with_and_without_history(name: str, experiment: Experiment) -> None:
    strategy = make(name)
    if not isinstance(strategy, Recommends):
        assert name in ("random", "sobol") or not any(isinstance(g, ScoredGoal) and serves(strategy, g) for g in goals_of(experiment))
        return
    for history in ([], trials(experiment, 1, failed=(0,)), trials(experiment, 8, failed=(1,))):
        experiment.check(strategy.recommend(experiment, goal_of(strategy, experiment), history))


@pytest.mark.parametrize("name", ["bayesian", "composite", "gp-classifier", "label-propagation", "straddle"])
def test_options_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"starts = 0 is outside \[1, 1000\]"):
        catalog.make_strategy(name, {"starts": 0})


def test_simple_strategies_do_without_torch() -> None:
    code = "import sys, optimizers.sobol, optimizers.random_search; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_different_seed_gives_different_settings(strategy: Strategy) -> None:
    others = [make(name, seed=1) for name in STRATEGIES if type(make(name)) is type(strategy)]
    goal = goal_of(strategy, EXPERIMENTS["constrained"])
    assert others[0].suggest(goal.experiment, goal, []) != strategy.suggest(goal.experiment, goal, [])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_composite_matches_a_color_of_the_perfect_twin_within_nine_experiments(seed: int) -> None:
    twin = make_twin(imperfections=0.0, seed=seed)
    doses = np.random.default_rng(seed).random(3).tolist()
    recipe = dict(zip(("red", "yellow", "blue", "water"), [*doses, 4.0 - sum(doses)], strict=True))
    L, a, b = color_of(twin.experiment, recipe, twin.truth(recipe)).values()
    goal, history = MatchColor(twin.experiment, (L, a, b)), list[Trial]()
    strategy = make("composite", seed)
    with twin:
        for number in range(9):
            (settings,) = strategy.suggest(twin.experiment, goal, history)
            history.append(Trial(number, settings, twin.perform(settings)))
    assert min(goal.score_of(t.settings, twin.truth(t.settings)) for t in history) < 1.0
    assert isinstance(strategy, Recommends)
    recommended = strategy.recommend(twin.experiment, goal, history)
    assert goal.score_of(recommended, twin.truth(recommended)) < 1.0


def test_recommendations_mind_the_sign_of_the_goal() -> None:
    twin = make_twin(imperfections=0.0)
    with twin:
        drawn = make("sobol").suggest(twin.experiment, Minimize(twin.experiment, "t_630"), [], count=5)
        history = [Trial(i, s, twin.perform(s)) for i, s in enumerate(drawn)]
    for name, most in (("bayesian", 0.6), ("composite", 0.95)):
        strategy = make(name)
        assert isinstance(strategy, Recommends)
        assert float(strategy.recommend(twin.experiment, Minimize(twin.experiment, "t_630"), history)["blue"]) > most
        assert float(strategy.recommend(twin.experiment, Maximize(twin.experiment, "t_630"), history)["blue"]) < 1 - most


def test_composite_refuses_a_goal_that_needs_labels() -> None:
    experiment = EXPERIMENTS["simplex"]
    with pytest.raises(InvalidInput, match="needs the label phase"):
        make("composite").suggest(experiment, Minimize(experiment, "phase"), [])


def test_a_law_for_a_dark_sample_survives_negative_readings() -> None:
    law = BeerLambert(("a", "b"))
    experiment = Experiment("dark", (A, B), (Outcome("y", law=law), Outcome("z", law=law)))
    history = [
        Trial(i, {"a": a, "b": b}, Measurement({"y": 10 ** (-4 * a) - 0.004, "z": 10 ** (-b)}))
        for i, (a, b) in enumerate([(0.9, 0.1), (0.1, 0.8), (0.5, 0.5), (1.0, 1.0)])
    ]
    strategy = make("composite")
    experiment.check(*strategy.suggest(experiment, Maximize(experiment, "y"), history))
    assert isinstance(strategy, Recommends)
    assert float(strategy.recommend(experiment, Maximize(experiment, "y"), history)["a"]) < 0.05
