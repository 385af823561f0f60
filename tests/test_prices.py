"""Prices: what a driver names once is what it estimates and takes, for many settings, in a pickle and as JSON."""

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pytest

from frugaltwin import Budget, Campaign, Store, catalog
from frugaltwin.amounts import Amounts
from frugaltwin.experiment import Measurement, Settings
from frugaltwin.pictures.report import _provenance
from frugaltwin.plugins import Driver, Estimates, Prices
from frugaltwin.prices import Change, Dose, Fixed, PerUnit, Price, Ramp, Travel, price_from_json, price_to_json
from frugaltwin.state import State, Suggestion
from hardware.pumpbot import CLEAN_UP, ONE_COLOR, PumpBot, PumpBotMixer
from simulator.instruments.photometry import Photometer

EXACT: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in ("light-mixing", "binary-solution", "ferroelectric", "ternary-solution", "ising", "structure-map", "wafer")),
    ("wafer", {"look": "zoom", "price": 36.0}),
    ("wafer", {"look": "overview", "price": 36.0}),
]
MIXERS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in ("color-mixing", "cloud-point", "paint-mixing")),
    ("color-mixing", {"mixer": "emulated"}),
    ("pumpbot", {"port": "emulated"}),
    ("clslab-light", {"port": "emulated"}),
]


def some(driver: Driver, n: int) -> list[Settings]:
    goal = catalog.make_goal(catalog.default_goal(driver), driver).on(replace(driver.experiment, fidelities={}))
    return [s.settings for s in catalog.make_strategy("random").suggest(State(goal), n)]


def price_of(driver: Driver) -> Price:
    assert isinstance(driver, Prices)
    price = driver.price()
    assert price is not None
    return price


def nearly(amounts: Amounts) -> Any:
    return pytest.approx(amounts.cost(), rel=1e-9, abs=1e-12)


def test_every_driver_that_estimates_prices_without_being_connected() -> None:
    for name in catalog.names("driver"):
        if name not in ("table", "calphad"):  # which need a file
            driver = catalog.make_driver(name)
            assert isinstance(driver, Prices) == isinstance(driver, Estimates), name


@pytest.mark.parametrize(("name", "options"), [*EXACT, *MIXERS])
def test_a_price_is_the_estimate_for_many_settings_and_the_same_after_a_pickle_and_as_json(name: str, options: dict[str, Any]) -> None:
    driver = catalog.make_driver(name, options)
    assert isinstance(driver, Estimates)
    price, settings = price_of(driver), some(driver, 20)
    found = price(settings)
    for k, each in enumerate(settings):
        assert {kind: amounts[k] for kind, amounts in found.items()} == nearly(driver.estimate(each))
    assert pickle.loads(pickle.dumps(price)) == price
    assert price_from_json(json.loads(json.dumps(price_to_json(price), allow_nan=False))) == price


@pytest.mark.parametrize(("name", "options"), EXACT)
def test_a_price_is_what_the_experiment_takes_after_the_one_before_it(name: str, options: dict[str, Any]) -> None:
    driver = catalog.make_driver(name, options)
    price, after = price_of(driver), None
    first, second = some(driver, 2)
    with driver:
        for performed, settings in enumerate([first, second, second, first]):
            expected = price.of(settings, after, performed)
            assert driver.perform(settings).cost.cost() == nearly(expected)
            after = settings


@pytest.mark.parametrize("name", ["color-mixing", "cloud-point", "paint-mixing"])
def test_a_photometer_prices_dose_by_dose_with_the_references_that_are_due(name: str) -> None:
    twin: Any = catalog.make_driver(name)
    driver = twin._driver
    assert isinstance(driver, Photometer)
    price, workflow, mixer = price_of(driver), driver._workflow, driver.mixer
    prime, reference = workflow.prime.estimate(mixer, {}), workflow.reference.estimate(mixer, {})
    for settings in some(driver, 10):
        sample = workflow.sample.estimate(mixer, settings)
        every = workflow.reference_every
        expected = {0: prime + reference + sample, 1: sample, every - 1: sample, every: reference + sample, 2 * every: reference + sample}
        for performed, amounts in expected.items():
            assert price.of(settings, settings, performed).cost() == nearly(amounts)


def test_a_pumpbot_prices_runs_of_whole_milliseconds() -> None:
    twin: Any = catalog.make_driver("pumpbot", {"port": "emulated"})
    driver = twin._driver
    assert isinstance(driver, PumpBot)
    mixer, price = driver.mixer, price_of(driver)
    assert isinstance(mixer, PumpBotMixer)
    small = {"red": 0.05, "green": 0.1, "blue": 4.85, "yellow": 0.0, "water": 10.0}
    for settings in [small, *some(driver, 20)]:
        clean_up = CLEAN_UP.estimate(mixer, {})
        doses = {name: pump.seconds(float(settings[name])) for name, pump in mixer.pumps.items() if name in settings}
        fixed = sum((step.price(mixer, {}) for step in ONE_COLOR.steps[-4:]), Amounts())
        found = price.of(settings, settings, 1)
        each = mixer.price("dispense", 1.0, "red").seconds - mixer.pumps["red"].seconds(1.0)  # the pause after it
        runs = sum(seconds + each for seconds in doses.values() if seconds)
        assert found.seconds == pytest.approx(fixed.seconds + runs, rel=1e-9)
        delivered = sum(mixer.pumps[name].volume(seconds) for name, seconds in doses.items() if seconds)
        assert found.volume == pytest.approx(fixed.volume + delivered, rel=1e-9)
        assert price.of(settings).cost() == nearly(found + clean_up)


def test_terms_by_hand() -> None:
    second = Amounts(seconds=1.0)
    price = Price(
        (
            Fixed(Amounts(money=1.0)),
            Fixed(Amounts(money=10.0), "first"),
            Fixed(Amounts(money=100.0), 3),
            Ramp("T", start=300.0, heating=2.0, cooling=1.0, soak=5.0, each=second),
            Change(("a",), Amounts(volume=1.0)),
        )
    )
    hot: Settings = {"T": 310.0, "a": "x"}
    cold: Settings = {"T": 290.0, "a": "y"}
    assert {k: v.tolist() for k, v in price([hot, cold]).items()} == {"seconds": [10.0, 15.0], "money": [11.0, 11.0], "volume": [1.0, 1.0]}
    assert price.of(cold, hot, 3) == Amounts(seconds=25.0, money=101.0, volume=1.0)
    assert price.of(hot, hot, 4) == Amounts(seconds=5.0, money=1.0)
    way = Price((Travel("x", "y", speed=2.0, settle=0.5, each=second),))
    assert way.of({"x": 3.0, "y": 4.0}).seconds == 3.0
    assert way.of({"x": 3.0, "y": 4.0}, {"x": 3.0, "y": 4.0}).seconds == 0.0
    product = Price((PerUnit(("n", "m"), second, offset=1.0),))
    assert product.of({"n": 1.0, "m": 2.0}).seconds == 6.0
    dose = Price((Dose("v", slope=0.5, money=0.1, besides=1.0),))
    assert dose.of({"v": 4.0}) == Amounts(seconds=3.0, money=0.4, volume=4.0)
    assert dose.of({"v": 0.0}) == Amounts()


def test_a_price_of_nothing_is_empty() -> None:
    assert np.shape(price_of(catalog.make_driver("color-mixing"))([])["seconds"]) == (0,)


def test_the_state_of_a_campaign_has_its_price_and_what_is_left() -> None:
    driver = catalog.make_driver("eutectic")
    goal = catalog.make_goal(catalog.default_goal(driver), driver)
    campaign = Campaign("alloy", driver, goal, catalog.make_strategy("random"), Store(":memory:"), Budget(runs=5, seconds=1e6))
    (one,) = campaign.suggest()
    campaign.tell(one.settings, None, Amounts(seconds=60.0), "it leaked")
    state = pickle.loads(pickle.dumps(campaign.state()))
    assert state.price == price_of(driver)
    assert state.left == Amounts(runs=4, seconds=1e6 - 60.0, money=float("inf"), volume=float("inf"))
    assert State(goal).price is None
    assert State(goal).left is None


class AsARig:
    """A twin that is like a rig: connected again, it fills its tubes again."""

    def __init__(self) -> None:
        self.twin = catalog.make_driver("color-mixing", {"imperfections": 0})
        self.experiment = self.twin.experiment

    def __enter__(self) -> Self:
        self.twin.__enter__()
        return self

    def perform(self, settings: Settings) -> Measurement:
        return self.twin.perform(settings)

    def price(self) -> Price:
        return price_of(self.twin)

    def stop(self) -> None: ...

    def __exit__(self, *failure: object) -> None:
        self.twin.__exit__(*failure)


@pytest.mark.parametrize("make", [AsARig, lambda: catalog.make_driver("color-mixing"), lambda: catalog.make_driver("eutectic")])
def test_the_price_of_a_state_is_what_the_next_experiment_takes_also_in_a_session_that_goes_on(make: Callable[[], Driver]) -> None:
    store, expected = Store(":memory:"), list[dict[str, float]]()

    class Planner:
        def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
            settings = [s.settings for s in catalog.make_strategy("random", seed=3).suggest(state, count)]
            amounts = state.amounts(settings)
            assert amounts is not None
            expected.append({kind: float(found[0]) for kind, found in amounts.items()})
            return [Suggestion(s) for s in settings]

    for runs in (3, 6):
        driver = make()
        goal = catalog.make_goal(catalog.default_goal(driver), driver)
        campaign = Campaign("sessions", driver, goal, Planner(), store, Budget(runs=runs))
        for trial in campaign.run():
            assert trial.cost.cost() == pytest.approx(expected[trial.number - 1], rel=0.1)
        assert len(campaign.state().performed) == (0 if make is AsARig else runs)
    assert len(expected) == 6


def test_a_campaign_that_is_only_read_says_nothing_of_its_budget() -> None:
    store = Store(":memory:")
    driver = catalog.make_driver("color-mixing")
    goal = catalog.make_goal(catalog.default_goal(driver), driver)
    campaign = Campaign("short", driver, goal, catalog.make_strategy("random"), store, Budget(runs=1))
    assert len(list(campaign.run())) == 1
    shown = Campaign.stored("short", store)
    assert shown.state().left is None
    assert "budget" not in dict(_provenance(shown.record()))
    assert dict(_provenance(campaign.record()))["budget"] == "runs 1"
