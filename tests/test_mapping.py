"""The strategies that draw maps: how soon a map is right, and what they make of strange labels."""

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from frugaltwin import catalog
from frugaltwin.bench.fields import FieldsDriver
from frugaltwin.bench.problems import Judge
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Continuous, Experiment, Measurement, MixtureSum, Outcome, Settings, Trial
from frugaltwin.goals import Map, Minimize
from frugaltwin.plugins import Predicts
from frugaltwin.state import Prediction, State
from optimizers.models.classifier import Classifier
from optimizers.models.families import Axes
from optimizers.models.label_spreading import spread_labels
from optimizers.models.mapping import borders, distance, distance_penalty
from optimizers.models.mixture import VOTES, _examined
from optimizers.models.mixture import learned as mixture
from optimizers.space.space import Space
from simulator.table import Table

DATA = Path(__file__).parents[1] / "benchmarks" / "data"
CLASSIFIERS = ("phase-map", "gp-classifier", "label-propagation")
MAPPERS = (*CLASSIFIERS, "straddle")
SQUARE = Experiment(
    "square",
    (Continuous("x", 0.0, 10.0), Continuous("y", 300.0, 700.0, "K")),
    (Outcome("phase", labels=("left", "right", "top")), Outcome("signal", "V")),
)
LABELS, DIVIDED = Map(SQUARE, "phase"), Map(SQUARE, "signal", 2.0)
GRID = [{"x": float(x), "y": float(y)} for x in np.linspace(0, 10, 21) for y in np.linspace(300, 700, 21)]


def goal_of(name: str) -> Map:
    return DIVIDED if name == "straddle" else LABELS


def read(settings: Settings) -> Measurement:
    """Left and right of a slanted line, and a field above both; a signal that passes 2 V at the line."""
    x, y = float(settings["x"]), (float(settings["y"]) - 300) / 400
    side = x - 4 - 2 * y
    return Measurement({"phase": "top" if y > 0.8 else "left" if side < 0 else "right", "signal": 2 + math.tanh(side / 2)})


def trials(settings: Sequence[Settings], reads: Callable[[Settings], Measurement | None] = read) -> list[Trial]:
    return [Trial(i, s, reads(s)) for i, s in enumerate(settings)]


def campaign(name: str, n: int, reads: Callable[[Settings], Measurement | None] = read, seed: int = 0) -> list[Trial]:
    strategy, history = catalog.make_strategy(name, seed=seed), list[Trial]()
    for number in range(n):
        (settings,) = [s.settings for s in strategy.suggest(State(goal_of(name), history))]
        history.append(Trial(number, SQUARE.check(settings), reads(settings)))
    return history


@functools.cache
def learned(name: str) -> tuple[Trial, ...]:
    """A campaign of 22 trials, which several tests begin with."""
    return tuple(campaign(name, 22))


def predict(name: str, history: Sequence[Trial], settings: Sequence[Settings]) -> Prediction:
    strategy = catalog.make_strategy(name)
    assert isinstance(strategy, Predicts)
    return strategy.predict(State(goal_of(name), history), settings)


def accuracy(name: str, history: Sequence[Trial]) -> float:
    right = [goal_of(name).label_of(read(s).outcomes) for s in GRID]
    return float(np.mean([a == b for a, b in zip(predict(name, history, GRID).labels, right, strict=True)]))


@pytest.mark.parametrize(
    ("name", "goal", "n", "least"),
    [("gp-classifier", "map:phase", 25, 0.96), ("label-propagation", "map:phase", 35, 0.94), ("straddle", "map:signal:0", 18, 0.97)],
)
def test_a_recorded_dome_is_mapped_with_few_points(name: str, goal: str, n: int, least: float) -> None:
    table = Table(path=DATA / "phase_dome_441.csv", outcomes="phase,signal")
    parsed, strategy = catalog.make_goal(goal, table), catalog.make_strategy(name, seed=1)
    assert isinstance(parsed, Map)
    assert isinstance(strategy, Predicts)
    history: list[Trial] = []
    with table:
        for number in range(n):
            (settings,) = [s.settings for s in strategy.suggest(State(parsed, history))]
            history.append(Trial(number, settings, table.perform(settings)))
        candidates = table.experiment.candidates
        right = [parsed.label_of(table.perform(c).outcomes) for c in candidates]
    labels = strategy.predict(State(parsed, history), candidates).labels
    assert np.mean([a == b for a, b in zip(labels, right, strict=True)]) >= least


def around(settings: Settings) -> list[Settings]:
    """The settings themselves, if a tenth of the span away in some direction another label lies."""
    x, y = float(settings["x"]), float(settings["y"])
    labels = {LABELS.label_of(read({"x": x + dx, "y": y + dy}).outcomes) for dx, dy in ((0, 0), (1, 0), (-1, 0), (0, 40), (0, -40))}
    return [settings] if len(labels) > 1 else []


@pytest.mark.parametrize(("name", "least"), [("gp-classifier", 0.93), ("label-propagation", 0.88), ("straddle", 0.97)])
def test_a_continuous_map_is_learned_and_its_border_is_where_they_look(name: str, least: float) -> None:
    history = learned(name)
    assert accuracy(name, history) >= least
    later = [*history[12:], *campaign(name, 22, seed=1)[12:]]
    near = [s for t in later for s in around(t.settings)]
    assert len(near) >= 10  # of 20; one is a matter of luck


@pytest.mark.parametrize("name", MAPPERS)
def test_chances_are_sure_far_from_the_border_and_even_on_it(name: str) -> None:
    settings = [{"x": x, "y": 400.0} for x in (0.5, 2.0, 3.5, 5.5, 7.0, 9.5)]
    prediction = predict(name, trials(settings), [{"x": x, "y": 400.0} for x in (0.5, 4.5, 9.5)])
    table = np.array(list(prediction.probabilities.values()))
    assert table[0, 0] > 0.8 > 0.65 > table[0, 1] > 0.35 > 0.2 > table[0, 2]
    assert np.allclose(table.sum(axis=0), 1)
    assert prediction.uncertainty[1] > max(prediction.uncertainty[[0, 2]])


@pytest.mark.parametrize("name", MAPPERS)
def test_as_long_as_all_labels_are_alike_it_looks_far_away(name: str) -> None:
    history = trials([{"x": x, "y": y} for x in (0.5, 1.0, 1.5) for y in (310.0, 330.0)])
    (settings,) = [s.settings for s in catalog.make_strategy(name).suggest(State(goal_of(name), history))]
    assert math.hypot(float(settings["x"]) / 10 - 0.1, (float(settings["y"]) - 320) / 400) > 0.4


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_label_never_seen_before_joins_the_map(name: str) -> None:
    history = trials([{"x": x, "y": y} for x in (1.0, 3.0, 7.0, 9.0) for y in (320.0, 500.0)])
    place = [{"x": 5.0, "y": 690.0}]
    assert predict(name, history, place).probabilities["top"][0] <= (0.2 if name == "phase-map" else 0)
    history.append(Trial(9, place[0], read(place[0])))
    assert predict(name, history, place).labels == ["top"]
    assert SQUARE.check(*[s.settings for s in catalog.make_strategy(name).suggest(State(LABELS, history))])


def test_with_one_label_seen_the_classifier_leaves_room_for_the_others() -> None:
    prediction = predict(
        "gp-classifier", trials([{"x": 1.0, "y": 320.0}, {"x": 2.0, "y": 340.0}]), [{"x": 1.0, "y": 320.0}, {"x": 9.0, "y": 690.0}]
    )
    left, right, top = prediction.probabilities.values()
    assert left[0] > 0.75 > 0.6 > left[1] > 0.4
    assert np.allclose(right, top)
    assert right[1] > 0.2


@pytest.mark.parametrize("name", MAPPERS)
def test_when_everything_failed_it_tries_elsewhere(name: str) -> None:
    history = campaign(name, 8, lambda settings: None)
    x = np.array([[float(t.settings["x"]) / 10, (float(t.settings["y"]) - 300) / 400] for t in history])
    gaps = ((x[:, None] - x) ** 2).sum(-1) + np.eye(len(x))
    assert gaps.min() > 0.02


@pytest.mark.parametrize("name", MAPPERS)
def test_it_keeps_away_from_where_experiments_fail(name: str) -> None:
    history = campaign(name, 18, lambda s: None if float(s["x"]) > 6 else read(s))
    assert sum(t.measurement is None for t in history[-10:]) <= 4


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_labels_that_contradict_each_other_near_the_border_do_no_harm(name: str) -> None:
    random = np.random.default_rng(0)

    def misread(settings: Settings) -> Measurement:
        blurred = {"x": float(settings["x"]) + 0.4 * random.standard_normal(), "y": float(settings["y"])}
        return read(blurred)

    drawn = [s.settings for s in catalog.make_strategy("sobol").suggest(State(LABELS), 60)]
    assert accuracy(name, trials([*drawn, *drawn[:20]], misread)) > 0.88


def test_two_labels_at_the_same_settings_are_both_possible() -> None:
    settings = [{"x": 1.0, "y": 320.0}, *[{"x": 5.0, "y": 400.0}] * 4, {"x": 9.0, "y": 320.0}]
    labels = ("left", "left", "right", "left", "right", "right")
    history = [Trial(i, s, Measurement({"phase": k, "signal": 0.0})) for i, (s, k) in enumerate(zip(settings, labels, strict=True))]
    left, right, top = (p[0] for p in predict("gp-classifier", history, [settings[1]]).probabilities.values())
    assert abs(left - right) < 0.1
    assert top == 0
    for name in CLASSIFIERS:
        assert SQUARE.check(*[s.settings for s in catalog.make_strategy(name).suggest(State(LABELS, history))])


def test_one_wrong_label_deep_inside_a_field_does_not_spoil_the_field() -> None:
    drawn = [s.settings for s in catalog.make_strategy("sobol").suggest(State(LABELS), 40)]
    wrong = [*trials(drawn), Trial(40, {"x": 9.0, "y": 400.0}, Measurement({"phase": "left", "signal": 0.0}))]
    assert accuracy("gp-classifier", wrong) > accuracy("gp-classifier", wrong[:-1]) - 0.05


@pytest.mark.parametrize("name", MAPPERS)
def test_a_batch_is_spread_out_and_keeps_away_from_what_is_pending(name: str) -> None:
    history = learned(name)[:12]
    strategy = catalog.make_strategy(name)
    batch = [s.settings for s in strategy.suggest(State(goal_of(name), history), 4)]
    (after,) = [s.settings for s in strategy.suggest(State(goal_of(name), history, pending=batch[:3]))]
    x = np.array([[float(s["x"]) / 10, (float(s["y"]) - 300) / 400] for s in [*batch, after]])
    for some in (x[:4], x[[0, 1, 2, 4]]):
        apart = np.sqrt(((some[:, None] - some) ** 2).sum(-1)) + np.eye(4)
        assert apart.min() > 0.05


def test_mappers_refuse_what_they_cannot_do() -> None:
    for name in MAPPERS:
        with pytest.raises(InvalidInput, match=f"{name} draws maps and cannot work towards minimize:signal; try the strategy bayesian"):
            catalog.make_strategy(name).suggest(State(Minimize(SQUARE, "signal")))
    with pytest.raises(
        InvalidInput, match="straddle maps where a number passes a value, but map:phase maps labels; try the strategy phase-map"
    ):
        catalog.make_strategy("straddle").suggest(State(LABELS))
    with pytest.raises(InvalidInput, match=r"map:phase has no score for bayesian to improve; try the strategy phase-map"):
        catalog.make_strategy("bayesian").suggest(State(LABELS))


def test_classifiers_map_a_number_that_passes_a_value_too() -> None:
    history = trials(GRID[::9])
    for name in CLASSIFIERS:
        strategy = catalog.make_strategy(name)
        assert isinstance(strategy, Predicts)
        prediction = strategy.predict(State(DIVIDED, history), [{"x": 1.0, "y": 500.0}, {"x": 9.0, "y": 500.0}])
        assert prediction.labels == ["signal < 2 V", "signal ≥ 2 V"]


def test_the_straddle_puts_the_border_where_the_signal_passes_the_value() -> None:
    history = learned("straddle")[:20]
    prediction = predict("straddle", history, [{"x": x, "y": 500.0} for x in (4.0, 5.0, 6.0)])
    below, above = prediction.probabilities.values()
    assert below[0] > 0.95
    assert above[2] > 0.95
    assert abs(prediction.means["signal"][1] - 2) < 0.1


def test_a_small_field_is_found_where_labels_meet_on_a_simplex() -> None:
    parts = tuple(Continuous(name, 0.0, 1.0) for name in "abc")
    experiment = Experiment("ternary", parts, (Outcome("phase", labels=("A", "B", "C")),), (MixtureSum(("a", "b", "c"), 1.0),))
    goal, history = Map(experiment, "phase"), list[Trial]()
    strategy = catalog.make_strategy("gp-classifier")
    assert isinstance(strategy, Predicts)
    for number in range(18):
        (settings,) = [s.settings for s in strategy.suggest(State(goal, history))]
        most = max("abc", key=lambda name: float(settings[name]))
        history.append(Trial(number, settings, Measurement({"phase": most.upper()})))
    asked = [s.settings for s in catalog.make_strategy("random").suggest(State(goal), 300)]
    labels = strategy.predict(State(goal, history), asked).labels
    right = [max("abc", key=lambda name: float(s[name])).upper() for s in asked]
    assert np.mean([a == b for a, b in zip(labels, right, strict=True)]) > 0.9


def test_the_evidence_has_the_gradient_of_its_differences() -> None:
    random = np.random.default_rng(0)
    X = random.random((15, 2))
    model = Classifier(X, (X.sum(axis=1) * 1.5).astype(np.int64), 3)
    at = torch.tensor([4.0, 0.4, 0.7], dtype=torch.double).log().requires_grad_()
    (gradient,) = torch.autograd.grad(model._evidence(at), at)
    for j in range(3):
        step = 1e-4 * torch.eye(3, dtype=torch.double)[j]
        difference = float(model._evidence(at.detach() + step) - model._evidence(at.detach() - step)) / 2e-4
        assert abs(difference - float(gradient[j])) < 1e-3 * (1 + abs(difference))


def test_the_mode_satisfies_its_own_equation() -> None:
    X = np.random.default_rng(1).random((20, 2))
    model = Classifier(X, (X[:, 0] > 0.5).astype(np.int64), 2)
    K = model._covariance(model._X)
    assert torch.allclose(model._weights, model._is - (model._weights @ K).softmax(0), atol=1e-3)


def test_labels_spread_to_where_the_iteration_of_scikit_learn_ends() -> None:
    from sklearn.semi_supervised import LabelPropagation

    random = np.random.default_rng(0)
    X = random.random((40, 2))
    told = np.where(np.arange(40) < 6, np.arange(40) % 3, -1)
    model = LabelPropagation(gamma=20.0, max_iter=100_000, tol=1e-9).fit(X, told)
    shares = torch.from_numpy(np.exp(-20 * ((X[:, None] - X) ** 2).sum(-1)))
    spread = spread_labels(shares / shares.sum(1, keepdim=True), torch.eye(3, dtype=torch.double)[told[:6]])
    assert np.allclose(spread.numpy(), model.label_distributions_[6:], atol=1e-3)


def test_a_place_that_no_label_reaches_may_be_any_label_seen() -> None:
    shares = torch.eye(3, dtype=torch.double)
    spread = spread_labels(shares, torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.double))
    assert torch.allclose(spread, torch.tensor([[0.5, 0.0, 0.5]], dtype=torch.double))


def test_borders_lie_between_unlike_neighbors() -> None:
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert borders(X, np.array([0, 0, 1])).tolist() == [[0.5, 0.0], [0.5, 0.5]]
    assert borders(X, np.array([1, 1, 1])).shape == (0, 2)


def test_distances_and_distance_penalty_grow_from_what_is_taken() -> None:
    taken = np.array([[0.0, 0.0], [1.0, 1.0]])
    X = torch.tensor([[0.0, 0.0], [0.05, 0.0], [0.5, 0.5]], dtype=torch.double)
    far, room = distance(taken)(X), distance_penalty(taken)(X)
    assert torch.allclose(far[1:].exp(), torch.tensor([0.05, math.sqrt(0.5)], dtype=torch.double))
    assert room[0] < room[1] < room[2]
    assert abs(float(room[2])) < 1e-4


def test_on_a_map_of_many_unequal_fields_the_vote_takes_over_and_chance_is_beaten() -> None:
    driver = FieldsDriver(7)
    goal = catalog.make_goal("map:phase", driver)
    strategy, model = catalog.make_strategy("phase-map", seed=1), catalog.make_strategy("label-propagation")
    assert isinstance(goal, Map)
    assert isinstance(strategy, Predicts)
    assert isinstance(model, Predicts)
    history: list[Trial] = []
    with driver:
        for number in range(100):
            (settings,) = [s.settings for s in strategy.suggest(State(goal, history))]
            history.append(Trial(number, settings, driver.perform(settings)))
        at_random = [s.settings for s in catalog.make_strategy("random", seed=1).suggest(State(goal), 100)]
        by_chance = [Trial(number, settings, driver.perform(settings)) for number, settings in enumerate(at_random)]
    judge = Judge(driver, goal)
    assert judge.agreement(strategy, State(goal, history))[1] > judge.agreement(model, State(goal, by_chance))[1] + 0.05


def test_a_mixture_depends_on_nothing_but_its_labels_and_gives_weight_to_who_foresaw_them() -> None:
    random, axes = np.random.default_rng(3), Axes.of(Space.of(SQUARE))
    X = random.random((60, 2))
    smooth, scattered = (X.sum(axis=1) > 1).astype(np.int64), (np.floor(X * 6).sum(axis=1) % 2).astype(np.int64)
    places = torch.from_numpy(random.random((20, 2)))
    step_by_step = [mixture(axes, X[:n], smooth[:n], 2) for n in range(5, 61)][-1].chances(places)
    _examined.cache_clear()
    at_once = mixture(axes, X, smooth, 2)
    assert torch.equal(step_by_step, at_once.chances(places))
    assert at_once.weights[VOTES] < 0.1
    assert mixture(axes, X, scattered, 2).weights[VOTES] > at_once.weights[VOTES]


def axes_of(path: Path, rows: Sequence[tuple[float, float]], names: str = "x,temperature") -> Axes:
    path.write_text(f"{names},phase\n" + "".join(f"{x},{T},{'ab'[x > 0.5]}\n" for x, T in rows))
    return Axes.of(Space.of(Table(path=path, outcomes="phase").experiment))


def test_a_long_list_of_compositions_is_a_composition_on_its_logarithmic_axis_too(tmp_path: Path) -> None:
    """A table gives one to positive numbers over three decades; the free energies still need mole fractions."""
    rows = [(0.0005 + 0.99 * k / 40, 300.0 + 7 * (k * 17 % 41)) for k in range(41)]
    axes = axes_of(tmp_path / "t.csv", rows)
    assert axes.space.unit[0] > 0
    assert (axes.temperature, axes.composition) == (1, 0)
    X = axes.space.encode([{"x": x, "temperature": T} for x, T in rows[1:]])
    np.testing.assert_allclose(axes.fractions(X)[:, 1], np.clip([x for x, _ in rows[1:]], 2e-3, 1 - 2e-3), rtol=1e-9)
    np.testing.assert_allclose(axes.heights(X), [(T - 300) / 280 for _, T in rows[1:]], atol=1e-9)


def test_axes_that_are_no_composition_and_temperature_are_mapped_all_the_same(tmp_path: Path) -> None:
    rows = [(k / 12, 300.0 + 10 * (k * 5 % 13)) for k in range(13)]
    assert axes_of(tmp_path / "t.csv", rows, "x,pressure").temperature is None
    driver = Table(path=tmp_path / "t.csv", outcomes="phase")
    goal, strategy = catalog.make_goal("map:phase", driver), catalog.make_strategy("phase-map")
    places = list(driver.experiment.candidates)
    seen = [Trial(n, s, Measurement(driver.recorded(s) or {})) for n, s in enumerate(places[::2], start=1)]
    key = driver.experiment.key
    left = {key(s) for s in places} - {key(t.settings) for t in seen}
    assert {key(s.settings) for s in strategy.suggest(State(goal, seen), len(left))} == left
    more = [key(s.settings) for s in strategy.suggest(State(goal, seen), len(left) + 2)]  # of fewer candidates some come again
    assert len(more) == len(left) + 2
    assert left <= set(more)
