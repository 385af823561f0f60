"""The unit box: any experiment goes in, and what comes out is allowed, exactly."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugaltwin import catalog
from frugaltwin.experiment import (
    Categorical,
    Continuous,
    Discrete,
    Experiment,
    LinearConstraint,
    Measurement,
    MixtureSum,
    Outcome,
    Trial,
)
from frugaltwin.goals import Minimize
from frugaltwin.state import State
from optimizers.space.space import Space


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    """One or two mixtures that can be made, a discrete and a categorical parameter, and sometimes an inequality."""
    parameters: list[Continuous | Discrete | Categorical] = []
    constraints: list[MixtureSum | LinearConstraint] = []
    for letter in ("p", "q")[: draw(st.integers(1, 2))]:
        names = [f"{letter}{i}" for i in range(draw(st.integers(2, 6)))]
        scale = draw(st.sampled_from([1e-3, 1.0, 37.0, 1e4]))
        part = st.floats(0.0, 1.0)
        spans = [sorted((draw(part), draw(part))) for _ in names]
        parts = [Continuous(n, scale * low, scale * (low + max(high - low, 0.01))) for n, (low, high) in zip(names, spans, strict=True)]
        share = draw(st.floats(0.0, 1.0))
        parameters += parts
        constraints.append(MixtureSum(tuple(names), sum(p.low + share * (p.high - p.low) for p in parts)))
    parameters += [Discrete("n", (0.5, 1.0, 3.0)), Categorical("solvent", ("water", "ethanol", "hexane"))]
    if draw(st.booleans()):
        first = parameters[0]
        assert isinstance(first, Continuous)
        constraints.append(
            LinearConstraint({first.name: 1.0, "n": (first.high - first.low) / 2.5}, high=first.high + (first.high - first.low))
        )
    return Experiment("drawn", tuple(parameters), (Outcome("y"),), tuple(constraints))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(experiments(), st.integers(0, 3), st.booleans())
def test_every_point_decodes_to_allowed_settings_whose_sums_are_exact(experiment: Experiment, seed: int, is_even: bool) -> None:
    space = Space.of(experiment)
    for x in space.sample(12, seed, is_even):
        decoded = experiment.check(space.decode(x))
        for mixture in experiment.constraints:
            if isinstance(mixture, MixtureSum):
                total = math.fsum(float(decoded[name]) for name in mixture.parameters)
                assert abs(total - mixture.total) <= 1e-12 * max(1.0, abs(mixture.total))
        assert np.allclose(space.encode([decoded])[0], x, atol=1e-6)


def test_a_mixture_whose_rest_always_fits_is_a_plain_box() -> None:
    parts = (*(Continuous(name, 0.0, 1.0) for name in "abc"), Continuous("water", 1.0, 4.0))
    space = Space.of(Experiment("liquid", parts, (Outcome("y"),), (MixtureSum(("a", "b", "c", "water"), 4.0),)))
    assert space.size == 3
    assert not len(space.rows)


def test_a_simplex_is_sampled_evenly() -> None:
    names = tuple("abcdef")
    space = Space.of(Experiment("simplex", tuple(Continuous(n, 0.0, 1.0) for n in names), (Outcome("y"),), (MixtureSum(names, 1.0),)))
    for is_even in (True, False):
        means = np.mean([[float(v) for v in space.decode(x).values()] for x in space.sample(600, 0, is_even)], axis=0)
        assert means == pytest.approx(np.full(6, 1 / 6), abs=0.03)


def test_what_rounding_leaves_outside_the_limits_is_given_to_the_others() -> None:
    space = Space.of(
        Experiment("pair", (Continuous("a", 0.0, 0.7), Continuous("b", 0.1, 1.0)), (Outcome("y"),), (MixtureSum(("a", "b"), 0.8),))
    )
    for x in (0.0, 1e-10, 1.0 - 1e-10, 1.0):
        decoded = space.decode(np.array([x]))
        assert abs(float(decoded["a"]) + float(decoded["b"]) - 0.8) <= 1e-12


def test_suggestions_differ_by_what_the_rig_can_deliver() -> None:
    """By 0.1 µL of one of the dyes at least, in a batch and from one to the next: there were recipes 0.01 µL apart."""
    driver = catalog.make_driver("color-mixing", seed=0)
    goal, strategy = catalog.make_goal("match-color:reachable", driver, 0), catalog.make_strategy("composite", seed=0)
    trials: list[Trial] = []
    with driver:
        while len(trials) < 20:
            for found in strategy.suggest(State(goal, trials), 4):
                trials.append(Trial(len(trials) + 1, found.settings, driver.perform(found.settings)))
    doses = np.array([[float(t.settings[dye]) for dye in ("red", "yellow", "blue")] for t in trials])
    apart = np.abs(doses[:, None] - doses).max(axis=2) + np.eye(len(doses))
    assert apart.min() >= 0.0001 - 1e-9


def test_points_that_no_instrument_can_tell_apart_are_the_same_settings() -> None:
    fine = Experiment("fine", (Continuous("a", 0, 1), Discrete("b", tuple(k / 50_000 for k in range(50_001)))), (Outcome("y"),))
    space, goal = Space.of(fine), Minimize(fine, "y")
    X = np.array([[0.3, 0.5], [0.30005, 0.5], [0.3, 0.50002], [0.3002, 0.5]])
    assert [tuple(s.values()) for s in space.untried(X, 3, State(goal))] == [(0.3, 0.5), (0.3, 0.50002), (0.3002, 0.5)]
    tried = State(goal, [Trial(1, {"a": 0.29995, "b": 0.5}, Measurement({"y": 1.0}))])
    assert space.untried(X, 1, tried) == [{"a": 0.3, "b": 0.50002}]
