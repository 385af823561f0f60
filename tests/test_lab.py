"""A function in a notebook as a lab."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frugaltwin import Amounts, Budget, Campaign, Categorical, Continuous, Discrete, Experiment, Lab, Outcome, catalog, testing
from frugaltwin.errors import DriverError, FrugalTwinError, InvalidInput
from frugaltwin.experiment import Settings
from frugaltwin.store import Store


def suzuki(temperature: float, ligand: str) -> dict[str, float]:
    """Yield of a made-up coupling, %."""
    return {"yield": 90 - (temperature - 60) ** 2 / 40 - 5 * (ligand == "PPh3")}


@pytest.fixture(autouse=True)
def _nothing_stays_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_registered", {kind: dict(of) for kind, of in catalog._registered.items()})


WORDS = {"temperature": (20, 80, "°C"), "ligand": ["XPhos", "PPh3"]}


def test_a_function_is_a_lab_in_five_lines_and_the_cell_can_be_run_again(tmp_path: Path) -> None:
    for budget in (3, 5, 5):
        lab = Lab.from_function(suzuki, parameters=WORDS, outcomes={"yield": "%"})
        campaign = lab.campaign("maximize:yield", budget=budget, strategy="sobol", store=tmp_path / "lab.db")
        n_new = len(list(campaign.run()))
    assert (n_new, len(campaign.trials)) == (0, 5)
    assert campaign.trials[0].measurement is not None
    assert campaign.trials[0].measurement.outcomes == suzuki(**campaign.trials[0].settings)  # type: ignore[arg-type]
    assert len(Campaign.stored("suzuki", Store(tmp_path / "lab.db")).trials) == 5


def made() -> Lab:
    return Lab.from_function(suzuki, parameters=WORDS, outcomes=[Outcome("yield", "%", "isolated")], cost=Amounts(money=2.0))


@pytest.mark.parametrize("promise", [promise for promise in testing.DRIVER_PROMISES if "data_sheet" not in promise.__name__])
def test_a_lab_is_a_driver_like_any_other(promise: testing.Promise) -> None:
    promise(testing.Plugin.of("driver", made))


def test_an_exception_is_a_failed_experiment_that_cost_something() -> None:
    def broken(x: float) -> float:
        raise ValueError("the lamp is dark")

    settings: Settings = {"x": 0.5}
    with Lab.from_function(broken, parameters={"x": (0, 1)}, outcomes="y", cost=Amounts(money=2.0)) as lab:
        with pytest.raises(DriverError, match="broken failed: ValueError: the lamp is dark") as failure:
            lab.perform(settings)
        assert failure.value.cost == Amounts(money=2.0)
    silent = Lab.from_function(lambda x: None, parameters={"x": (0, 1)}, outcomes=[Outcome("y")])
    with silent, pytest.raises(DriverError, match="returned 'None'; it returns y by name"):
        silent.perform(settings)


@pytest.mark.parametrize(
    ("parameters", "outcomes", "fault"),
    [
        ({"temp": (20, 80)}, "y", r"does not take the settings temp by name"),
        ({"temperature": 20, "ligand": ["a", "b"]}, "y", "temperature = 20: write two limits"),
        ({"temperature": (80, 20), "ligand": ["a", "b"]}, "y", "low = 80 must lie below high = 20"),
        ({"temperature": (None, 20), "ligand": ["a", "b"]}, "y", "write two limits"),
        ({"temperature": ("20", 80), "ligand": ["a", "b"]}, "y", "write two limits"),
        ({"temperature": (float("nan"), 20), "ligand": ["a", "b"]}, "y", "must lie below"),
        ({"temperature": (20, 80), "ligand": ["a", 1]}, "y", "a list of numbers or of names"),
        (["temperature"], "y", "parameters are a mapping"),
        (WORDS, [], "outcomes = .*: write names"),
        (WORDS, 3, "outcomes = 3: write names"),
        (WORDS, {"y": 1}, "write names"),
        (WORDS, "ligand", "named twice"),
    ],
)
def test_words_that_make_no_lab_are_named(parameters: object, outcomes: object, fault: str) -> None:
    with pytest.raises(InvalidInput, match=fault):
        Lab.from_function(suzuki, parameters=parameters, outcomes=outcomes)  # type: ignore[arg-type]


TEN: Any = "10"
NONE: Any = None
ABC: Any = "abc"
ONE: Any = Continuous("a", 0, 1)
EXPERIMENT = Experiment("bread", (Continuous("time", 10, 60, "min"),), (Outcome("taste"),))


@pytest.mark.parametrize(
    ("mistake", "fault"),
    [
        (lambda c: Budget(runs=TEN), "budget runs = '10' is no number"),
        (lambda c: Continuous("x", TEN, 1), "x: low = '10' is no number"),
        (lambda c: Continuous("x", 0, NONE), "x: high = None is no number"),
        (lambda c: Discrete("x", ABC), "x: 'a' is no number; names make a Categorical"),
        (lambda c: Categorical("x", ABC), "x: values are several names"),
        (lambda c: Experiment("one", ONE, (Outcome("y"),)), r"one: parameters are several, as in \(Continuous"),
        (lambda c: Campaign.by_hand(ABC, "maximize:taste"), "'abc' is no experiment"),
        (lambda c: c.suggest("3"), "count = '3': suggest takes a whole number"),
        (lambda c: c.suggest(1.5), "count = 1.5: suggest takes a whole number"),
        (lambda c: c.tell(None, {"taste": 3}), "the settings None are no values by name"),
        (lambda c: c.tell({"time": 20}, {"taste": 3}, suggestion="x"), "there is no suggestion x"),
        (lambda c: c.predict(None), "the settings 'None' are no values by name"),
        (lambda c: c.compare("other"), "'other' is no campaign"),
    ],
)
def test_a_mistake_of_a_newcomer_is_one_sentence(mistake: Callable[[Any], object], fault: str, tmp_path: Path) -> None:
    campaign = Campaign.by_hand(EXPERIMENT, "maximize:taste", strategy="sobol", store=tmp_path / "bread.db")
    campaign.tell({"time": 30}, {"taste": 2})
    with pytest.raises((FrugalTwinError, ValueError), match=fault):
        mistake(campaign)
    assert len(campaign.trials) == 1
