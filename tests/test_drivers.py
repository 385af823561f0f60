"""What every driver of the catalog promises."""

import inspect
import json
import pickle
import re
from html import escape
from pathlib import Path
from pkgutil import resolve_name

import pytest

from frugaltwin import catalog, picture
from frugaltwin.errors import DriverError, InvalidInput, OutOfBounds, Stopped
from frugaltwin.experiment import Settings
from frugaltwin.plugins import Driver, Estimates, KnowsTruth, KnowsTruths
from frugaltwin.state import State
from frugaltwin.tables import color_of

NEEDED: dict[str, dict[str, object]] = {
    "table": {"path": Path(__file__).parents[1] / "benchmarks" / "data" / "as7341_led_light.csv", "outcomes": "ch410,ch440"},
    "calphad": {"path": Path(__file__).parent / "data" / "eutectic.tdb", "temperature_low": 350.0, "temperature_high": 650.0},
}
"""What some drivers cannot do without."""


def make(name: str, seed: int = 0) -> Driver:
    return catalog.make_driver(name, NEEDED.get(name, {}), seed=seed)


@pytest.fixture(params=catalog.DRIVERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def allowed(driver: Driver, count: int = 8) -> list[Settings]:
    """Settings that a rig could measure, where the driver can tell."""
    first = driver.experiment.outcomes[0]
    goal = catalog.make_goal(f"map:{first.name}" if first.labels else f"minimize:{first.name}", driver)
    most = min(8 * count, len(driver.experiment.candidates) or 8 * count)
    drawn = [s.settings for s in catalog.make_strategy("random", seed=3).suggest(State(goal), most)]
    return [s for s in drawn if is_measurable(driver, s)][:count]


def is_measurable(driver: Driver, settings: Settings) -> bool:
    if isinstance(driver, KnowsTruth):
        try:
            driver.truth(settings)
        except DriverError:
            return False
    return True


def test_it_measures_every_outcome_with_a_cost_and_leaves_no_truth_in_it(name: str) -> None:
    with make(name) as driver:
        for settings in allowed(driver):
            measurement = driver.perform(settings)
            checked = driver.experiment.check_outcomes(measurement.outcomes)
            assert list(checked) == [o.name for o in driver.experiment.outcomes]
            assert min(measurement.cost.seconds, measurement.cost.money, measurement.cost.volume) >= 0
            assert not any("truth" in key or "target" in key for key in measurement.raw)
            assert set(color_of(driver.experiment, settings, checked)) == (set("Lab") if driver.experiment.color else set())


def test_the_same_seed_gives_the_same_measurements(name: str) -> None:
    def performed() -> list[dict[str, float | str]]:
        with make(name, seed=5) as driver:
            return [dict(driver.perform(settings).outcomes) for settings in allowed(driver)]

    assert performed() == performed()


def test_the_truth_is_the_same_whatever_the_seed_and_whatever_was_performed(name: str) -> None:
    one, two = make(name, seed=1), make(name, seed=2)
    if not (isinstance(one, KnowsTruth) and isinstance(two, KnowsTruth)):
        pytest.skip(f"{name} does not know the truth")
    settings = allowed(one)
    before = [one.truth(s) for s in settings]
    with one:
        for s in settings:
            one.perform(s)
    assert [one.truth(s) for s in settings] == before == [two.truth(s) for s in settings]


def test_the_truth_of_many_settings_is_the_truth_of_each(name: str) -> None:
    driver = make(name)
    if not isinstance(driver, KnowsTruths):
        pytest.skip(f"{name} tells the truth one by one")
    settings = allowed(driver)
    for one, many in zip(map(driver.truth, settings), driver.truths(settings), strict=True):
        assert many == {k: v if isinstance(v, str) else pytest.approx(v, rel=1e-9, abs=1e-9) for k, v in one.items()}


def test_bounds_are_refused(name: str) -> None:
    experiment = make(name).experiment
    good = dict(allowed(make(name), 1)[0])
    experiment.check(good)
    for p in experiment.parameters:
        with pytest.raises(OutOfBounds, match=p.name):
            experiment.check(good | {p.name: float("nan")})
        with pytest.raises(OutOfBounds, match=p.name):
            experiment.check(good | {p.name: 1e9})
        with pytest.raises(OutOfBounds, match=f"{p.name} missing"):
            experiment.check({k: v for k, v in good.items() if k != p.name})


def test_it_stops_until_it_is_entered_again_and_leaves_twice(name: str) -> None:
    driver = make(name)
    (settings,) = allowed(driver, 1)
    with driver:
        driver.stop()
        with pytest.raises(Stopped):
            driver.perform(settings)
    driver.__exit__(None, None, None)
    with driver:
        driver.perform(settings)


def test_it_measures_only_while_it_is_connected(name: str) -> None:
    driver = make(name)
    (settings,) = allowed(driver, 1)
    with pytest.raises(Stopped):
        driver.perform(settings)


def test_an_estimate_is_near_to_what_it_takes(name: str) -> None:
    driver = make(name)
    if not isinstance(driver, Estimates):
        pytest.skip(f"{name} does not estimate")
    with driver:
        settings = allowed(driver, 2)
        driver.perform(settings[0])
        expected = driver.estimate(settings[1])  # from where the first one left the rig
        assert driver.perform(settings[1]).cost.seconds == pytest.approx(expected.seconds, rel=0.1)


def test_its_experiment_can_be_sent_to_another_process(name: str) -> None:
    experiment = make(name).experiment
    assert pickle.loads(pickle.dumps(experiment)) == experiment


def test_its_options_can_be_sent_to_another_process(name: str) -> None:
    options = catalog.resolved_options("driver", name, NEEDED.get(name, {}) | {"seed": 3})
    assert json.loads(json.dumps(options)) == pickle.loads(pickle.dumps(options)) == options
    assert catalog.make_driver(name, options).experiment == make(name).experiment


def test_its_outcomes_have_units_and_say_what_they_are(name: str) -> None:
    for outcome in make(name).experiment.outcomes:
        assert outcome.description or name == "table"
        assert bool(outcome.unit) != bool(outcome.labels) or name == "table"


def test_its_truth_can_be_drawn(name: str, tmp_path: Path) -> None:
    driver = make(name)
    if not isinstance(driver, KnowsTruth):
        with pytest.raises(InvalidInput, match="knows no truth"):
            picture(driver)
        return
    picture(driver).save(tmp_path / "truth.svg")
    text = (tmp_path / "truth.svg").read_text()
    labeled = [o for o in driver.experiment.outcomes if o.labels]
    for label in {str(driver.truth(s)[o.name]) for o in labeled for s in allowed(driver)}:
        assert escape(label) in text


def test_its_data_sheet_is_complete(name: str) -> None:
    sheet = catalog.data_sheet("driver", name)
    for word in ("Source", "option", "Twin of", "Leaves out"):
        assert word.lower() in sheet.lower()
    assert len(catalog.summary("driver", name)) <= 120
    driver = make(name)
    for option in inspect.signature(resolve_name(catalog.DRIVERS[name])).parameters:
        assert re.search(rf"\b{option}\b", sheet) or option == "goal", option
    for named in (*driver.experiment.parameters, *driver.experiment.outcomes):
        assert re.search(rf"\b{re.escape(named.name)}\b", sheet) or re.search(r"\d", named.name) or name == "table", named.name
