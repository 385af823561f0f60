"""Numbers of any size: units that a person chose, candidates close together, decades."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frugaltwin import catalog
from frugaltwin.experiment import Continuous, Discrete, Experiment, LinearConstraint, Measurement, Outcome, Trial
from frugaltwin.goals import Maximize, Objective
from frugaltwin.plugins import Predicts, Recommends
from frugaltwin.state import State
from frugaltwin.store import experiment_from_json, experiment_to_json
from optimizers.space.space import Space

DECADES = Continuous("pressure", 1e-10, 100.0, "bar", scale="log")


def table(path: Path, columns: str, rows: list[tuple[Any, ...]], goal: str) -> tuple[Any, Objective]:
    path.write_text("\n".join([columns, *(",".join(map(str, row)) for row in rows)]) + "\n")
    driver = catalog.make_driver("table", {"path": path, "outcomes": "y"})
    made = catalog.make_goal(goal, driver)
    assert isinstance(made, Objective)
    return driver, made


@pytest.mark.parametrize("name", ["bayesian", "composite", "random", "sobol"])
def test_pressures_over_twelve_decades_are_all_different_and_the_best_is_found(name: str, tmp_path: Path) -> None:
    rows = [(f"1e{k}", -((k + 7) ** 2)) for k in range(-10, 3)]
    driver, goal = table(tmp_path / "pressure.csv", "pressure,y", rows, "maximize:y")
    strategy, trials = catalog.make_strategy(name), list[Trial]()
    with driver:
        for number in range(1, len(rows) + 1):
            (found,) = strategy.suggest(State(goal, trials))
            trials.append(Trial(number, found.settings, driver.perform(found.settings)))
    assert len({trial.settings["pressure"] for trial in trials}) == len(rows)
    best = goal.best(trials)
    assert best is not None
    assert best[0].settings == {"pressure": 1e-7}
    if name == "bayesian":
        assert best[0].number <= 6


def test_candidates_nearer_than_the_rounding_of_a_range_are_told_apart() -> None:
    experiment = Experiment("close", (Discrete("x", (0.0, 1e-10, 1e-9, 100.0)),), (Outcome("y"),))
    goal = Maximize(experiment, "y")
    trials = [Trial(1, {"x": 1e-10}, Measurement({"y": 1.0}))]
    found = catalog.make_strategy("bayesian").suggest(State(goal, trials), 3)
    assert {s.settings["x"] for s in found} == {0.0, 1e-9, 100.0}


@pytest.mark.parametrize("name", ["bayesian", "composite"])
def test_leakage_currents_are_no_constants(name: str, tmp_path: Path) -> None:
    """The recommendation, and what is predicted, are the same as those of a million million times the current."""
    places = [(x, T) for x in range(6) for T in range(300, 500, 20)]
    found = []
    for unit in (1.0, 1e-12):
        rows = [(x, T, unit * (200 - 4 * (x - 3) ** 2 - ((T - 420) / 20) ** 2)) for x, T in places]
        driver, goal = table(tmp_path / f"{unit}.csv", "x,T,y", rows, "maximize:y")
        chosen = np.random.default_rng(2).permutation(len(places))[:14]
        measured = [dict(zip(("x", "T"), map(float, places[k]), strict=True)) for k in chosen]
        with driver:
            state = State(goal, [Trial(i, s, driver.perform(s)) for i, s in enumerate(measured, start=1)])
        strategy = catalog.make_strategy(name)
        assert isinstance(strategy, Recommends)
        assert isinstance(strategy, Predicts)
        score = strategy.predict(state, [{"x": 3.0, "T": 420.0}]).means["score"][0]
        found.append((strategy.recommend(state), round(float(score) / unit, 3), strategy.suggest(state)[0].settings))
    assert found[0] == found[1]


def test_a_logarithmic_scale_makes_equal_ratios_equal_steps() -> None:
    space = Space.of(Experiment("decades", (DECADES, Continuous("t", 0.0, 1.0)), (Outcome("y"),)))
    X = space.encode([{"pressure": p, "t": 0.5} for p in (1e-10, 1e-4, 100.0)])
    assert np.allclose(X[:, 0], [0.0, 0.5, 1.0])
    assert [space.decode(x)["pressure"] for x in X] == pytest.approx([1e-10, 1e-4, 100.0])
    drawn = [space.decode(x)["pressure"] for x in space.sample(64, 0)]
    assert sum(float(p) < 1e-4 for p in drawn) == pytest.approx(32, abs=1)


def test_a_logarithmic_scale_needs_numbers_above_0_and_no_sum() -> None:
    with pytest.raises(ValueError, match="p: a logarithmic scale needs values above 0, and 0 is not"):
        Continuous("p", 0.0, 1.0, scale="log")
    with pytest.raises(ValueError, match=r"a constraint names .*'pressure'.*, which have a logarithmic scale"):
        Experiment("sum", (DECADES,), (Outcome("y"),), (LinearConstraint({"pressure": 1.0}, high=2.0),))


def test_a_scale_is_no_part_of_what_an_experiment_is() -> None:
    """A campaign that began without it goes on, and a store of before reads as it was."""
    experiment = Experiment("decades", (DECADES,), (Outcome("y"),))
    plain = Experiment("decades", (Continuous("pressure", 1e-10, 100.0, "bar"),), (Outcome("y"),))
    assert experiment == plain
    assert experiment_from_json(experiment_to_json(experiment)).parameters[0].scale == "log"  # type: ignore[union-attr]
    assert "scale" not in experiment_to_json(plain)["parameters"][0]
