"""Settings that happened where others were asked for: they are stored besides, and models learn from them."""

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from typer.testing import CliRunner

from frugaltwin import Campaign, Store, catalog
from frugaltwin.budget import Budget
from frugaltwin.cli.main import app
from frugaltwin.experiment import Categorical, Continuous, Experiment, LinearConstraint, Measurement, Outcome, Settings, Trial
from frugaltwin.goals import Goal, Map, Maximize
from frugaltwin.plugins import Predicts, Recommends
from frugaltwin.state import State
from frugaltwin.store import trial_from_json, trial_json

PUMPED = Experiment(
    "pumped",
    (Continuous("acid", 0.0, 1.0, "mL"), Continuous("base", 0.0, 1.0, "mL"), Categorical("vial", ("A", "B"))),
    (Outcome("yield"), Outcome("phase", labels=("low", "high"))),
    (LinearConstraint({"acid": 1.0, "base": 1.0}, high=1.6),),
)


def outcomes(settings: Settings) -> dict[str, float | str]:
    acid, base = float(settings["acid"]), float(settings["base"])
    height = math.exp(-(((acid - 0.6) / 0.3) ** 2) - ((base - 0.4) / 0.3) ** 2)
    return {"yield": height, "phase": "high" if height > 0.3 else "low"}


class Scale:
    """A rig whose pumps err by up to 4 %, on a scale that says what they dosed."""

    experiment = PUMPED

    def __init__(self, bad: Mapping[str, Any] | None = None) -> None:
        self._random, self._bad = np.random.default_rng(3), bad

    def __enter__(self) -> Self:
        return self

    def perform(self, settings: Settings) -> Measurement:
        weighed = {name: float(settings[name]) * float(self._random.uniform(0.96, 1.04)) for name in ("acid", "base")}
        return Measurement(outcomes({**settings, **weighed}), happened=weighed if self._bad is None else self._bad)

    def stop(self) -> None: ...

    def __exit__(self, *failure: object) -> None: ...


def campaign(path: Path, driver: Scale, **words: Any) -> Campaign:
    return Campaign("weighed", driver, Maximize(PUMPED, "yield"), catalog.make_strategy("sobol"), Store(path / "s.db"), **words)


def performed(path: Path) -> list[Trial]:
    return list(campaign(path, Scale(), budget=Budget(runs=12)).run())


@pytest.mark.parametrize("name", ["composite", "bayesian", "straddle", "gp-classifier", "label-propagation"])
def test_a_model_learns_from_what_happened_and_asks_for_what_is_allowed(name: str, tmp_path: Path) -> None:
    goal: Goal = Maximize(PUMPED, "yield") if name in ("composite", "bayesian") else Map(PUMPED, "phase")
    if name == "straddle":
        goal = Map(PUMPED, "yield", 0.3)
    strategy, trials = catalog.make_strategy(name), performed(tmp_path)
    as_asked_for = [replace(t, settings=t.happened, measurement=t.measurement and replace(t.measurement, happened={})) for t in trials]
    assert all(t.happened != t.settings for t in trials)
    places = [t.happened for t in trials[::3]]
    assert isinstance(strategy, Predicts)
    told, same = (strategy.predict(State(goal, those), places).rows() for those in (trials, as_asked_for))
    assert told == same
    assert all(PUMPED.allows(s.settings) for s in strategy.suggest(State(goal, trials), 2))
    if isinstance(strategy, Recommends):
        assert PUMPED.allows(strategy.recommend(State(goal, trials)))


def test_both_are_stored_and_an_amendment_keeps_them(tmp_path: Path) -> None:
    trials = performed(tmp_path)
    one = campaign(tmp_path, Scale())
    assert one.trials == trials
    assert [t.settings for t in trials] == [PUMPED.check(t.settings) for t in trials]
    assert one.amend(3, {"yield": 0.5}, "a typing error").happened == trials[2].happened
    assert trial_from_json(trial_json(trials[0])) == trials[0]
    assert "happened" not in json.loads(trial_json(Trial(1, trials[0].settings, Measurement({}))))["measurement"]
    shown = CliRunner().invoke(app, ["export", "weighed", "--store", str(tmp_path / "s.db"), "--format", "json"])
    assert json.loads(shown.output)["trials"][0]["happened"] == trials[0].happened
    table = list(csv.DictReader(CliRunner().invoke(app, ["export", "weighed", "--store", str(tmp_path / "s.db")]).output.splitlines()))
    assert list(table[0])[1:6] == ["acid", "base", "vial", "happened_acid", "happened_base"]
    assert [float(row["happened_acid"]) for row in table] == [t.happened["acid"] for t in trials]
    assert one.to_pandas()["happened_base"].tolist() == [t.happened["base"] for t in trials]
    assert len(one.predict(one.to_pandas()).means["score"]) == len(trials)


def test_a_person_may_tell_what_happened_too(tmp_path: Path) -> None:
    asked = {"acid": 0.5, "base": 0.5, "vial": "A"}
    told = campaign(tmp_path, Scale()).tell(asked, {"yield": 0.7, "phase": "high"}, happened={"acid": 0.52})
    assert told.settings == asked
    assert told.happened == asked | {"acid": 0.52}


@pytest.mark.parametrize(
    ("happened", "complaint"),
    [
        ({"acid": 1.2}, "acid = 1.2 mL is outside"),
        ({"acid": "much"}, "is not a number"),
        ({"water": 0.2}, "water unknown"),
        (7, "are no mapping of names to values"),
    ],
)
def test_what_cannot_have_happened_is_a_failed_trial(happened: Any, complaint: str, tmp_path: Path) -> None:
    (trial,) = campaign(tmp_path, Scale(happened), budget=Budget(runs=1)).run()
    assert trial.measurement is None
    assert complaint in (trial.error or "")
