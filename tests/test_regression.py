"""The model of a score: its improvement, its certainty, its doubts, its candidates."""

import numpy as np
import pytest

from frugaltwin import catalog
from frugaltwin.experiment import Categorical, Continuous, Discrete, Experiment, Measurement, Outcome, Trial
from frugaltwin.goals import Maximize
from frugaltwin.plugins import Doubts, Predicts, Recommends
from frugaltwin.state import State
from optimizers.models.improvement import improvement, log_improvement
from optimizers.models.regression import Regression
from optimizers.space.search import Graded, best_points
from optimizers.space.space import Floats, Space

BOX = Experiment("box", tuple(Continuous(name, 0.0, 1.0) for name in "abc"), (Outcome("y"),))
SPACE = Space.of(BOX)


def truth(X: Floats) -> Floats:
    height: Floats = np.exp(-4 * ((X - [0.3, 0.6, 0.5]) ** 2).sum(1))
    return height


def learned(n: int = 20, seed: int = 0) -> Regression:
    X = SPACE.sample(n, seed)
    return Regression(SPACE, X, truth(X))


@pytest.mark.parametrize("z", [-2e4, -40.0, -3.0, -1.0, -0.999, 0.0, 5.0])
def test_the_logarithm_of_the_expected_improvement_is_right_far_below_the_best(z: float) -> None:
    """By differences, and by the asymptote: -z²/2 - 2 log |z| - log(2π)/2."""
    value, of_mean, of_deviation = (float(v[0]) for v in log_improvement(np.array([z]), np.array([1.0]), 0.0))
    if z < -30:
        assert value == pytest.approx(-z * z / 2 - 2 * np.log(-z) - np.log(2 * np.pi) / 2, abs=3 / z**2)
    step = 1e-6
    up, down = (float(log_improvement(np.array([z + d]), np.array([1.0]), 0.0)[0][0]) for d in (step, -step))
    assert of_mean == pytest.approx((up - down) / (2 * step), rel=1e-4)
    up, down = (float(log_improvement(np.array([z]), np.array([1 + d]), 0.0)[0][0]) for d in (step, -step))
    assert of_deviation == pytest.approx((up - down) / (2 * step), rel=1e-4)


@pytest.mark.parametrize("curiosity", [0.0, 0.01])
def test_the_gradient_of_the_improvement_is_that_of_differences(curiosity: float) -> None:
    graded = improvement(learned().model, 1.0, curiosity)
    for x in SPACE.sample(4, 3):
        value, slope = graded.slopes(x[None])
        assert value == pytest.approx(graded.values(x[None]))
        steps = 1e-6 * np.eye(3)
        differences = [float(graded.values((x + d)[None])[0] - graded.values((x - d)[None])[0]) / 2e-6 for d in steps]
        assert slope[0] == pytest.approx(differences, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("size", [0.15, -0.15, 0.0])
def test_a_drift_is_told_with_its_size_and_not_taken_for_the_place(size: float) -> None:
    strategy, goal = catalog.make_strategy("bayesian"), Maximize(BOX, "y")
    assert isinstance(strategy, Predicts)
    assert isinstance(strategy, Recommends)
    X = SPACE.sample(30, 2)
    drift, noise = size * np.linspace(0, 1, 30), 0.005 * np.random.default_rng(4).standard_normal(30)
    trials = [Trial(k, SPACE.decode(X[k]), Measurement({"y": float(y)})) for k, y in enumerate(truth(X) + drift + noise)]
    state = State(goal, trials)
    found = strategy.predict(state, [SPACE.decode(x) for x in X])
    recommended = SPACE.encode([strategy.recommend(state)])
    assert float(truth(recommended)[0]) > 0.97
    if not size:
        assert not found.drifts
        return
    (seen,) = found.drifts
    assert seen.change == pytest.approx(size, abs=3 * seen.deviation)
    assert seen.deviation < 0.03
    assert ("risen" if size > 0 else "fallen") in str(seen)
    now = truth(X) + size
    assert np.abs(found.means["score"] - now).mean() < 0.03


@pytest.mark.parametrize("factor", [10.0, 1e6])
def test_a_slipped_decimal_is_named_with_its_odds_and_costs_nothing(factor: float) -> None:
    strategy, goal = catalog.make_strategy("bayesian"), Maximize(BOX, "y")
    assert isinstance(strategy, Doubts)
    assert isinstance(strategy, Recommends)
    X = SPACE.sample(18, 1)
    trials = [Trial(k, SPACE.decode(X[k]), Measurement({"y": 0.1 + float(y)})) for k, y in enumerate(truth(X))]
    assert not strategy.doubts(State(goal, trials))
    slipped = Trial(7, trials[7].settings, Measurement({"y": factor * float(trials[7].measurement.outcomes["y"])}))  # type: ignore[union-attr]
    state = State(goal, [*trials[:7], slipped, *trials[8:]])
    (doubt,) = strategy.doubts(state)
    assert doubt.number == 7
    assert doubt.odds is not None
    assert doubt.odds > 20
    assert "to 1 that it is bad" in str(doubt)
    assert truth(SPACE.encode([strategy.recommend(state)]))[0] > 0.97


def test_readings_to_come_lie_in_their_intervals() -> None:
    """Those of settings that it chose itself, as nine of ten should: the hyperparameters of one fit are too sure of themselves."""
    strategy, goal = catalog.make_strategy("bayesian"), Maximize(BOX, "y")
    assert isinstance(strategy, Predicts)
    random, inside = np.random.default_rng(0), []
    trials: list[Trial] = []
    for number in range(1, 21):
        (found,) = strategy.suggest(State(goal, trials))
        reading = float(truth(SPACE.encode([found.settings]))[0]) + 0.02 * float(random.standard_normal())
        if number > 6:
            expected = strategy.predict(State(goal, trials), [found.settings])
            around = expected.reading_deviations["score"][0]
            assert around > expected.deviations["score"][0]
            inside.append(abs(reading - expected.means["score"][0]) < 1.645 * around)
        trials.append(Trial(number, found.settings, Measurement({"y": reading})))
    assert np.mean(inside) > 0.75


def test_names_and_levels_are_tried_together() -> None:
    """A maximum that neither another name alone nor another level alone leads to."""
    parameters = (Continuous("x", 0.0, 1.0), Categorical("solvent", ("a", "b", "c")), Discrete("load", (1.0, 2.0, 3.0)))
    space = Space.of(Experiment("mixed", parameters, (Outcome("y"),)))
    assert len(space.combinations) == 9
    column = next(c for c, _ in space.levels)
    ((first, _),) = space.choices

    def values(X: Floats) -> Floats:
        is_hidden = (X[:, first + 2] == 1) & (X[:, column] == 1)
        return np.where(is_hidden, 2.0, (X[:, first] == 1) * 1.0 - X[:, column]) - (X[:, 0] - 0.7) ** 2

    def slopes(X: Floats) -> tuple[Floats, Floats]:
        slope = np.zeros_like(X)
        slope[:, 0] = -2 * (X[:, 0] - 0.7)
        return values(X), slope

    best = space.decode(best_points(Graded(values, slopes), space, 0, np.zeros((0, space.size)))[0])
    assert (best["solvent"], best["load"]) == ("c", 3.0)
    assert best["x"] == pytest.approx(0.7, abs=1e-4)


def test_a_hundred_thousand_candidates_are_ranked_by_a_few_calls() -> None:
    """What a suggestion costs does not grow with the square of the candidates; the best of all of them is suggested."""
    X = np.random.default_rng(0).random((100_000, 3))
    candidates = tuple(dict(zip("abc", map(float, x), strict=True)) for x in X)
    experiment = Experiment("table", BOX.parameters, BOX.outcomes, candidates=candidates)
    goal, strategy = Maximize(experiment, "y"), catalog.make_strategy("bayesian")
    trials = [Trial(k, c, Measurement({"y": float(truth(X[k : k + 1])[0])})) for k, c in enumerate(candidates[:8])]
    assert Space.of(experiment) is Space.of(experiment)
    found = [s.settings for s in strategy.suggest(State(goal, trials), 2)]
    assert len({experiment.key(s) for s in found} | {experiment.key(c) for c in candidates[:8]}) == 10
