"""A reading that is far from all others is named, and misleads nobody."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from frugaltwin import Campaign, Store, catalog
from frugaltwin.cli.run_display import summary_event
from frugaltwin.experiment import Continuous, Experiment, Measurement, Outcome, Settings, Trial
from frugaltwin.goals import Maximize
from frugaltwin.pictures.report import html
from frugaltwin.plugins import Doubts, Recommends
from frugaltwin.state import State
from optimizers.models.repeats import or_measured_better

HILL = Experiment("hill", (Continuous("x", 0.0, 1.0), Continuous("y", 0.0, 1.0)), (Outcome("v"),))
HEIGHT = Maximize(HILL, "v")


def height(settings: Settings) -> float:
    return math.exp(-(((float(settings["x"]) - 0.6) / 0.3) ** 2) - ((float(settings["y"]) - 0.4) / 0.3) ** 2)


def campaign(name: str, seed: int) -> list[Trial]:
    """Twenty trials that a strategy chose, read with a noise of 0.02."""
    random, strategy = np.random.default_rng(seed), catalog.make_strategy(name, seed=seed)
    trials: list[Trial] = []
    for number in range(1, 21):
        (found,) = strategy.suggest(State(HEIGHT, trials))
        reading = {"v": height(found.settings) + float(random.normal(0, 0.02))}
        trials.append(Trial(number, found.settings, Measurement(reading)))
    return trials


@pytest.mark.parametrize("name", ["bayesian", "composite"])
def test_one_reading_of_ten_among_readings_of_zero_to_one_is_named_and_left_out(name: str) -> None:
    strategy, trials = catalog.make_strategy(name, seed=1), campaign(name, seed=1)
    assert isinstance(strategy, Doubts)
    assert isinstance(strategy, Recommends)
    assert not strategy.doubts(State(HEIGHT, trials))
    for number, bad in ((3, 10.0), (18, -10.0)):
        told = [dataclasses.replace(t, measurement=Measurement({"v": bad})) if t.number == number else t for t in trials]
        (doubt,) = strategy.doubts(State(HEIGHT, told))
        assert doubt.number == number
        assert doubt.measured == bad
        assert abs(doubt.expected - height(trials[number - 1].settings)) < 0.3
        assert height(strategy.recommend(State(HEIGHT, told))) > 0.97


def test_a_recipe_that_was_measured_well_twice_is_not_given_up_for_one_that_the_model_expects_to_be_worse() -> None:
    here, there = {"x": 0.6, "y": 0.4}, {"x": 0.1, "y": 0.1}
    trials = [Trial(i, here, Measurement({"v": v})) for i, v in enumerate((0.97, 0.99), start=1)]
    assert or_measured_better(there, 0.9, HEIGHT, trials) == here
    assert or_measured_better(there, 0.98, HEIGHT, trials) == there
    assert or_measured_better(there, 0.9, HEIGHT, trials[:1]) == there


def test_the_end_of_a_run_and_the_report_name_it(tmp_path: Path) -> None:
    driver = catalog.make_driver("table", {"path": written(tmp_path), "outcomes": "v"})
    lab = Campaign("hill", driver, catalog.make_goal("maximize:v", driver), catalog.make_strategy("bayesian"), Store(":memory:"))
    for trial in campaign("sobol", seed=2):
        lab.tell(trial.settings, {"v": 10.0 if trial.number == 12 else height(trial.settings)})
    record = lab.record()
    (named,) = summary_event(record, None)["doubtful"]
    assert named["number"] == 12
    assert "experiment 12: score = 10, where" in html(record)


def written(folder: Path) -> Path:
    """The places of that campaign as a table."""
    rows = [f"{float(t.settings['x'])!r},{float(t.settings['y'])!r},0" for t in campaign("sobol", seed=2)]
    (folder / "hill.csv").write_text("\n".join(["x,y,v", *rows]) + "\n")
    return folder / "hill.csv"
