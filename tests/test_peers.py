"""Other people's optimizers as strategies: what they are told, what becomes of their answers, and what those that are installed promise."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from frugaltwin import catalog, testing
from frugaltwin.campaign import Campaign
from frugaltwin.errors import InvalidInput, MissingPart
from frugaltwin.experiment import Continuous, Correction, Experiment, Measurement, Outcome, Trial
from frugaltwin.goals import Goal, Map, Maximize
from frugaltwin.state import State
from frugaltwin.testing.strategies import goals_of, trials
from optimizers.peers.peer import Told, Values, suggestions, told
from optimizers.space.space import Space
from tests.forms import each

PACKAGES = {"ax": "ax", "baybe": "baybe", "optuna": "optuna", "nimo-pdc": "nimo"}
OF_STRATEGIES = {promise.__name__: promise for promise in testing.STRATEGY_PROMISES}
OF_EXPERIMENTS = {promise.__name__: promise for promise in testing.EXPERIMENT_PROMISES}
EXCEPTIONS = {
    ("ax", "a_different_seed_gives_different_settings"): "Ax begins in the middle, whatever the seed",
    ("ax", "thousands_of_candidates_of_any_scale_are_searched"): "Ax recommends among what was tried",
    ("ax", "its_suggestions_do_not_depend_on_units"): "rounding decides where Ax's search ends",
    ("baybe", "its_suggestions_do_not_depend_on_units"): "rounding decides where BayBE's search ends",
}
"""Promises that a library cannot keep, and why."""
A, B = (Continuous(name, 0.0, 1.0) for name in "ab")
PLANE = Experiment("plane", (A, B), (Outcome("y"),))


def require(name: str) -> None:
    if importlib.util.find_spec(PACKAGES[name]) is None:
        package = PACKAGES[name]
        pytest.skip(f"{package} is not installed, so {name} is not tested here: pip install 'frugaltwin[{catalog.EXTRAS[package]}]'")


def test_every_peer_is_tested() -> None:
    assert PACKAGES.keys() == catalog.PEERS.keys()
    assert set(PACKAGES.values()) == catalog.EXTRAS.keys()


@pytest.mark.parametrize("name", catalog.PEERS)
def test_a_missing_extra_says_how_to_install_it_and_the_data_sheet_is_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, catalog.PEERS[name].partition(":")[0], raising=False)
    monkeypatch.setitem(sys.modules, PACKAGES[name], None)
    assert "a peer" in catalog.summary("strategy", name)
    with pytest.raises(MissingPart, match=rf"the strategy {name} needs .*; install it with pip install 'frugaltwin\[{PACKAGES[name]}\]'"):
        catalog.make_strategy(name)


@pytest.mark.parametrize("experiment", testing.experiments())
def test_a_point_outside_is_pulled_to_the_edge_of_what_is_allowed(experiment: str) -> None:
    space = Space.of(testing.experiments()[experiment])
    for x in space.snap(np.random.default_rng(1).random((20, space.size))):
        inside = space.pulled_inside(x)
        assert space.is_allowed(space.snap(inside))
        if space.is_allowed(x):
            assert np.array_equal(inside, x)
        elif space.continuous.all():
            assert not space.is_allowed(inside + 1e-4 * (x - inside) / np.abs(x - inside).max())


def test_a_failure_is_told_as_the_worst_and_a_retraction_not_at_all() -> None:
    measured = [Trial(k, {"a": 0.1 * k, "b": 0.5}, Measurement({"y": float(k)})) for k in (1, 2, 3)]
    retracted = Trial(4, {"a": 0.7, "b": 0.5}, None, correction=Correction("a typing mistake", measured[0]))
    failed = Trial(5, {"a": 0.9, "b": 0.5}, None, "no light")
    stopped = Trial(6, {"a": 0.8, "b": 0.5}, None, source="stopped")
    state = State(Maximize(PLANE, "y"), [*measured, retracted, failed, stopped], pending=[{"a": 0.25, "b": 0.75}])
    history = told("optuna", state, seed=0)
    assert [float(values["x0"]) for values in history.tried] == pytest.approx([0.1, 0.2, 0.3, 0.9])
    worst, middle, best, of_failed = history.losses
    assert worst == of_failed > middle > best
    assert history.pending == ({"x0": 0.25, "x1": 0.75},)
    assert not told("optuna", State(Maximize(PLANE, "y"), [failed]), seed=0).losses  # nobody knows how bad that is


@pytest.mark.parametrize("experiment", testing.experiments())
def test_a_library_that_always_proposes_the_same_corner_is_answered_with_settings_that_are_allowed_and_new(experiment: str) -> None:
    def corner(history: Told) -> Values:
        return {d.name: d.names[-1] if d.names else 1.0 for d in history.dimensions}

    x = testing.experiments()[experiment]
    found = [s.settings for s in suggestions("corner", State(goals_of(x)[0], trials(x, 5)), 4, 0, "", corner)]
    assert len({x.key(x.check(s)) for s in found}) == 4


@pytest.mark.parametrize(("promise", "name", "experiment"), each([*OF_STRATEGIES, *OF_EXPERIMENTS], catalog.PEERS, testing.experiments()))
def test_a_peer_keeps_a_promise(promise: str, name: str, experiment: str) -> None:
    require(name)
    if reason := EXCEPTIONS.get((name, promise)):
        pytest.skip(reason)
    plugin = testing.Plugin.of("strategy", name)
    if promise in OF_EXPERIMENTS:
        OF_EXPERIMENTS[promise](plugin, testing.experiments()[experiment])
    else:
        OF_STRATEGIES[promise](plugin)


@pytest.mark.parametrize("name", catalog.PEERS)
def test_other_goals_are_refused_with_the_strategy_to_try(name: str) -> None:
    require(name)
    goal: Goal = Maximize(PLANE, "y") if name == "nimo-pdc" else Map(PLANE, "y", 0.5)
    with pytest.raises(InvalidInput, match=f"try the strategy {goal.default_strategy}"):
        catalog.make_strategy(name).suggest(State(goal))


@pytest.mark.parametrize("name", catalog.PEERS)
def test_an_interrupted_campaign_of_a_peer_is_like_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    require(name)
    driver, goal = ("eutectic", "map:phase") if name == "nimo-pdc" else ("color-mixing", "minimize:t_630")
    store = tmp_path / "s.db"

    def run(campaign: str, budget: int) -> list[Trial]:
        return list(Campaign.open(name=campaign, store=store, driver=driver, goal=goal, strategy=name, budget=budget).run())

    whole, parts = run("whole", 6), [*run("parts", 2), *run("parts", 5), *run("parts", 6)]
    assert [(t.settings, t.measurement) for t in parts] == [(t.settings, t.measurement) for t in whole]


def test_a_peer_finds_the_top_of_a_hill() -> None:
    require("optuna")
    strategy, history = catalog.make_strategy("optuna", seed=1), list[Trial]()
    for number in range(1, 41):
        (settings,) = (s.settings for s in strategy.suggest(State(Maximize(PLANE, "y"), history)))
        height = -((float(settings["a"]) - 0.3) ** 2) - (float(settings["b"]) - 0.8) ** 2
        history.append(Trial(number, settings, Measurement({"y": height})))
    late = [t.measurement.outcomes["y"] for t in history[20:] if t.measurement]
    assert np.mean(np.array(late, dtype=float)) > -0.1  # random settings: -0.32
