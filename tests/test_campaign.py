"""The closed loop, without a process around it."""

import itertools
import json
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from frugaltwin import Amounts, Campaign, Continuous, DriverError, Experiment, Measurement, Outcome, Settings, Trial, catalog
from frugaltwin.budget import Budget, StopRule
from frugaltwin.campaign import FAILURES_IN_A_ROW, improvements
from frugaltwin.errors import CampaignError, InvalidInput, OutOfBounds, Stopped, UnknownName
from frugaltwin.experiment import Categorical, Parameter
from frugaltwin.goals import MatchColor, Maximize, Minimize
from frugaltwin.plugins import Driver, Strategy
from frugaltwin.state import State, Suggestion
from frugaltwin.store import Store


class Parabola:
    """A lab in one line: y = (x - 0.3)², a second and a cent a run."""

    experiment = Experiment("parabola", (Continuous("x", 0, 1),), (Outcome("y"),))

    def __init__(self, fails: Sequence[int] = ()) -> None:
        self.performed: list[Settings] = []
        self.fails = fails
        self.is_open = False
        self.is_stopped = False

    def __enter__(self) -> Self:
        self.is_open = True
        return self

    def perform(self, settings: Settings) -> Measurement:
        self.performed.append(settings)
        if self.is_stopped:
            raise Stopped("somebody stopped it")
        if len(self.performed) in self.fails:
            error = DriverError("bubbles")
            error.cost = Amounts(seconds=5)
            raise error
        return Measurement({"y": (float(settings["x"]) - 0.3) ** 2}, Amounts(seconds=1.0, money=0.01, volume=2.0))

    def stop(self) -> None:
        self.is_stopped = True

    def __exit__(self, *failure: object) -> None:
        self.is_open = False


class Walk:
    """Tries 0.0, 0.1, 0.2 …"""

    def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
        return [Suggestion({"x": (len(state.trials) + k) % 11 / 10}) for k in range(count)]


def campaign(
    driver: Driver,
    store: Store,
    runs: int = 6,
    stop: StopRule | None = None,
    budget: Budget | None = None,
    strategy: Strategy | None = None,
) -> Campaign:
    return Campaign("c", driver, Minimize(driver.experiment, "y"), strategy or Walk(), store, budget or Budget(runs=runs), stop)


def opened(**fields: Any) -> Campaign:
    defaults: dict[str, Any] = {"strategy": "random", "store": ":memory:", "budget": 4}
    return Campaign.open(**(defaults | fields))


def test_a_campaign_yields_what_it_stored_and_says_why_it_ended() -> None:
    store = Store(":memory:")
    that = campaign(Parabola(), store)
    trials = list(that.run())
    assert [t.number for t in trials] == [1, 2, 3, 4, 5, 6]
    assert trials == store.trials("c")
    assert that.stopped_because == "budget: 6 of 6 runs"
    best = that.best()
    assert best is not None
    assert best[0].settings == {"x": 0.3}
    assert that.recommendation() == {"x": 0.3}


def test_an_interrupted_campaign_goes_on_with_the_next_number() -> None:
    whole, broken = Store(":memory:"), Store(":memory:")
    list(campaign(Parabola(), whole).run())
    driver = Parabola()
    run = campaign(driver, broken).run()
    list(itertools.islice(run, 2))
    run.close()
    assert not driver.is_open
    list(campaign(Parabola(), broken).run())
    assert [(t.number, t.settings) for t in broken.trials("c")] == [(t.number, t.settings) for t in whole.trials("c")]


def test_a_finished_campaign_does_not_touch_the_rig() -> None:
    store = Store(":memory:")
    list(campaign(Parabola(), store).run())
    driver = Parabola()
    driver.__enter__ = None  # type: ignore[assignment, method-assign]
    assert list(campaign(driver, store).run()) == []


def test_a_failed_trial_is_stored_with_its_cost_and_passed_over() -> None:
    that = campaign(Parabola(fails=[2]), Store(":memory:"))
    trials = list(that.run())
    assert (trials[1].measurement, trials[1].error, trials[1].cost) == (None, "bubbles", Amounts(seconds=5))
    assert that.score(trials[1]) is None
    assert len(trials) == 6


def test_a_rig_that_only_fails_ends_the_campaign() -> None:
    that = campaign(Parabola(fails=range(100)), Store(":memory:"), budget=Budget(money=5))
    assert len(list(that.run())) == FAILURES_IN_A_ROW
    assert that.stopped_because == "5 failed trials in a row, the last one: bubbles"


def test_a_suggestion_outside_the_bounds_never_reaches_the_rig() -> None:
    class Bold(Walk):
        def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
            return [Suggestion({"x": 7.0})]

    driver = Parabola()
    with pytest.raises(OutOfBounds, match=r"x = 7 is outside \[0, 1\]"):
        list(campaign(driver, Store(":memory:"), strategy=Bold()).run())
    assert driver.performed == []
    assert not driver.is_open


@pytest.mark.parametrize(
    ("budget", "runs"), [(Budget(seconds=3), 3), (Budget(money=0.045), 5), (Budget(volume=7.9), 4), (Budget(runs=9, seconds=2.5), 3)]
)
def test_every_budget_ends_a_campaign(budget: Budget, runs: int) -> None:
    that = campaign(Parabola(), Store(":memory:"), budget=budget)
    assert len(list(that.run())) == runs
    assert str(that.stopped_because).startswith("budget: ")


def test_a_budget_counts_what_earlier_sessions_used_and_estimates_the_next_trial() -> None:
    that = opened(budget={"seconds": 300.0})
    trials = list(that.run())
    assert sum(t.cost.seconds for t in trials) <= 300
    assert sum(t.cost.seconds for t in trials) > 200


def test_the_stop_rule_ends_a_campaign_at_its_goal() -> None:
    that = campaign(Parabola(), Store(":memory:"), stop=StopRule(0.02))
    assert [t.settings["x"] for t in that.run()] == [0.0, 0.1, 0.2]
    assert that.stopped_because == "goal: 0.01 reached, 0.02 wanted"


@pytest.mark.parametrize("limits", [{}, {"runs": 0}, {"seconds": -1.0}, {"money": float("nan")}])
def test_an_impossible_budget_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="budget"):
        Budget(**limits)


def test_stop_ends_a_run_and_keeps_what_was_under_way_as_a_failed_trial() -> None:
    that = campaign(Parabola(), Store(":memory:"))
    trials = []
    for trial in that.run():
        trials.append(trial)
        that.stop()
    assert len(trials) == 1
    assert that.stopped_because == "stopped by the user"


def test_ask_and_tell_mix_with_run(tmp_path: Path) -> None:
    that = opened(name="bench", store=tmp_path / "s.db", budget=3)
    settings = that.suggest()[0].settings
    told = that.tell(settings, dict(that.driver.truth(settings)), Amounts(seconds=60, money=0.1, volume=8))  # type: ignore[attr-defined]
    assert (told.number, told.source) == (1, "told")
    failed = that.tell(settings, None, error="spilled")
    assert (failed.number, failed.measurement, failed.error) == (2, None, "spilled")
    list(that.run())
    assert [(t.number, t.source) for t in that.trials] == [(1, "told"), (2, "told"), (3, "driver")]
    assert len({tuple(s.settings.values()) for s in that.suggest(4)}) == 4


def test_told_outcomes_are_checked(tmp_path: Path) -> None:
    that = opened()
    settings = that.suggest()[0].settings
    with pytest.raises(OutOfBounds, match=r"t_445, .*t_630 missing"):
        that.tell(settings, {"t_415": 1.0, "t_680": 0.5})
    with pytest.raises(OutOfBounds, match="red = 9 mL is outside"):
        that.tell({**settings, "red": 9.0}, {})
    assert that.trials == []


def test_a_campaign_that_was_started_with_other_words_is_not_continued(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"name": "c", "store": tmp_path / "s.db"}
    list(opened(**fields, goal="match-color:teal").run())
    with pytest.raises(CampaignError, match="was started with seed 0, not 3"):
        opened(**fields, seed=3)
    with pytest.raises(CampaignError, match="was started with strategy random, not sobol"):
        opened(**fields | {"strategy": "sobol"})
    with pytest.raises(CampaignError, match="was started with goal"):
        opened(**fields, goal="match-color:red")
    again = opened(**fields, goal="match-color:teal", budget=6)
    assert [t.number for t in again.run()] == [5, 6]


def test_a_campaign_that_began_on_another_processor_keeps_its_scores(tmp_path: Path) -> None:
    """There the last digits of the color's matrix are others."""
    path = tmp_path / "s.db"
    list(opened(name="moved", store=path).run())
    with sqlite3.connect(path) as db:
        body = json.loads(db.execute("select body from campaign").fetchone()[0])
        body["experiment"]["color"]["to_xyz"] = [[v * (1 + 1e-12) for v in row] for row in body["experiment"]["color"]["to_xyz"]]
        db.execute("update campaign set body = ?", (json.dumps(body),))
    db.close()
    stored = Campaign.stored("moved", Store(path))
    before = {t.number: stored.score(t) for t in stored.trials}
    here = opened(name="moved", store=path, budget={"runs": len(before) + 1})
    assert here.goal == stored.goal != catalog.make_goal(here.goal.text, here.driver)
    (trial,) = here.run()
    assert {t.number: here.score(t) for t in here.trials} == before | {trial.number: stored.score(trial)}


ONE = Continuous("a", 0, 1, "mL")


@pytest.mark.parametrize(
    ("parameters", "outcomes", "sentence"),
    [
        ((ONE, Continuous("b", 0, 1)), (Outcome("y"),), "b is new"),
        ((Continuous("b", 0, 1),), (Outcome("y"),), "b is new; a is gone"),
        ((Continuous("a", 0, 2, "mL"),), (Outcome("y"),), r"a was continuous in \[0, 1\] mL and is continuous in \[0, 2\] mL"),
        ((Categorical("a", ("x", "z")),), (Outcome("y"),), r"a was continuous in \[0, 1\] mL and is categorical in {x, z}"),
        ((ONE,), (Outcome("y"), Outcome("z")), "z is new"),
        ((ONE,), (Outcome("y", labels=("p", "q")),), "y is a label now"),
        ((replace(ONE, description="other words"),), (Outcome("y", description="too"),), None),
        (
            (Continuous("a", 0.1, 1, "mL", scale="log"),),
            (Outcome("y"),),
            r"a was continuous in \[0, 1\] mL and is continuous in \[0.1, 1\] mL",
        ),
    ],
)
def test_a_lab_that_has_changed_since_is_refused_with_what_changed(
    tmp_path: Path, parameters: tuple[Parameter, ...], outcomes: tuple[Outcome, ...], sentence: str | None
) -> None:
    class Lab(Parabola):
        def __init__(self, parameters: tuple[Parameter, ...], outcomes: tuple[Outcome, ...]) -> None:
            self.experiment = Experiment("lab", parameters, outcomes)

    store, begun = Store(tmp_path / "s.db"), Lab((ONE,), (Outcome("y"),))
    goal = Minimize(begun.experiment, "y")
    Campaign("c", begun, goal, Walk(), store, Budget(runs=1)).tell({"a": 0.5}, {"y": 1.0})
    changed = Lab(parameters, outcomes)
    if sentence is None:
        assert Campaign("c", changed, goal, Walk(), store, Budget(runs=1)).trials
        return
    with pytest.raises(CampaignError, match=f"lab has changed since campaign 'c' was started: {sentence}; choose another name"):
        Campaign("c", changed, goal, Walk(), store, Budget(runs=1))


def test_a_new_campaign_gets_a_new_name(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    for name in ("color-mixing-1", "color-mixing-2"):
        that = opened(store=store, budget=1)
        list(that.run())
        assert that.name == name


def test_a_campaign_reads_the_same_whether_it_is_interrupted_or_not(tmp_path: Path) -> None:
    whole = list(opened(name="whole", store=tmp_path / "s.db", budget=4).run())
    parts = [t for budget in (1, 3, 4) for t in opened(name="parts", store=tmp_path / "s.db", budget=budget).run()]
    assert [(t.settings, t.measurement, t.cost) for t in parts] == [(t.settings, t.measurement, t.cost) for t in whole]


def test_campaigns_on_one_twin_do_not_hear_of_each_other(tmp_path: Path) -> None:
    one, two = (opened(name=name, store=tmp_path / "s.db", budget=3) for name in ("one", "two"))
    two.driver = one.driver
    assert [t.measurement for t in one.run()] == [t.measurement for t in two.run()]


def test_a_reachable_target_depends_on_the_seed_alone_and_is_no_gift_to_the_random_strategy() -> None:
    def target(**fields: Any) -> Any:
        goal = opened(**fields).goal
        assert isinstance(goal, MatchColor)
        return goal.target

    assert target(seed=4) == target(goal="match-color:reachable:4") == target(goal="match-color:reachable:4", seed=9)
    assert target(seed=4) != target(seed=5)
    that = opened(seed=4, budget=1)
    (trial,) = that.run()
    score = that.score(trial)
    assert score is not None
    assert score > 2


@pytest.mark.parametrize(
    ("fields", "error", "sentence"),
    [
        ({"driver": "color-mixin"}, UnknownName, "there is no driver 'color-mixin'; did you mean 'color-mixing'"),
        ({"strategy": "bayes"}, UnknownName, "there is no strategy 'bayes'"),
        ({"goal": "maximise:t_415"}, UnknownName, "did you mean 'maximize'"),
        ({"goal": "maximize:t_416"}, UnknownName, "color-mixing has no outcome 't_416' to maximize; did you mean 't_4"),
        ({"goal": "match-color:tael"}, InvalidInput, "did you mean 'teal'"),
        ({"driver": {"name": "color-mixing", "options": {"sensr": 1}}}, UnknownName, "did you mean 'sensor'"),
        ({"budget": 0}, InvalidInput, "budget.runs = 0"),
        ({"budget": {"minutes": 3}}, InvalidInput, "budget.minutes: there is no such field; there are runs, seconds, money, volume"),
        ({"seed": -1}, InvalidInput, "seed = -1"),
        ({"name": "../up"}, InvalidInput, "name = '../up'"),
        ({"gaol": "match-color"}, InvalidInput, "gaol: there is no such field; did you mean 'goal'"),
    ],
)
def test_bad_words_get_one_clear_sentence(fields: dict[str, Any], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as refused:
        opened(**fields)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_results_are_a_table_and_a_picture_in_a_notebook() -> None:
    that = opened(budget=3)
    assert "nothing was measured yet" in that._repr_html_()
    list(that.run())
    frame = that.to_pandas()
    assert list(frame["number"]) == [1, 2, 3]
    assert {"red", "t_415", "L", "a", "b", "score", "seconds", "money", "volume"} <= set(frame.columns)
    page = that._repr_html_()
    assert page.count("background:#") == 4
    assert "<svg" in page


@pytest.mark.parametrize("strategy", ["composite", "bayesian"])
@pytest.mark.parametrize("runs", [1, 2])
def test_a_model_recommends_after_one_reading_already(strategy: str, runs: int) -> None:
    that = opened(strategy=strategy, budget=runs)
    list(that.run())
    recommended = that.recommendation()
    assert recommended is not None
    assert that.driver.experiment.check(recommended) == recommended


def test_failed_trials_of_earlier_sessions_or_told_by_a_person_do_not_end_a_campaign(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"name": "c", "store": tmp_path / "s.db", "budget": 8}
    that = opened(**fields)
    for suggestion in that.suggest(6):
        that.tell(suggestion.settings, None, error="spilled")
    assert len(list(opened(**fields).run())) == 2


def test_interrupted_trials_are_marked_and_say_nothing_about_the_settings() -> None:
    that = campaign(Parabola(), Store(":memory:"))
    that.driver.stop()
    trial = next(that.run())
    assert (trial.source, trial.measurement) == ("stopped", None)


def test_an_option_seed_draws_other_noise_in_every_session_too(tmp_path: Path) -> None:
    driver = {"name": "color-mixing", "options": {"seed": 7}}
    readings = []
    for budget in (1, 2, 3):
        (trial,) = opened(name="c", store=tmp_path / "s.db", driver=driver, budget=budget).run()
        assert trial.measurement is not None
        readings.append(tuple(trial.measurement.raw.values()))
    assert len(set(readings)) == 3


def test_a_budget_that_the_priming_alone_would_exceed_performs_nothing() -> None:
    that = opened(budget={"volume": 10.0})
    assert list(that.run()) == []
    assert str(that.stopped_because).startswith("budget: 0 mL of 10 mL used, the next trial would take 2")


def test_a_budget_that_nothing_uses_ends_the_campaign() -> None:
    that = opened(driver="light-mixing", budget={"volume": 1.0})
    assert len(list(that.run())) == 10
    assert "it would never end" in str(that.stopped_because)


def test_a_reading_that_makes_no_sense_is_a_failed_trial() -> None:
    class Broken(Parabola):
        def perform(self, settings: Settings) -> Measurement:
            return Measurement({"y": float("nan")}, Amounts(seconds=3))

    (trial, *_) = campaign(Broken(), Store(":memory:"), runs=1).run()
    assert trial.error == "the reading makes no sense: y = nan is not a finite number"
    assert trial.cost == Amounts(seconds=3)


class Returns(Parabola):
    """A driver that returns what somebody wrote."""

    def __init__(self, *returned: object) -> None:
        super().__init__()
        self._returned = returned

    def perform(self, settings: Settings) -> Measurement:
        self.performed.append(settings)
        return self._returned[len(self.performed) - 1]  # type: ignore[return-value]


def test_numbers_of_numpy_are_measured_and_arrays_among_the_raw_readings_are_lists(tmp_path: Path) -> None:
    numbers: list[Any] = [np.float32(0.5), np.int64(3), np.array(0.25), pd.Series([2.0]).iloc[0]]
    raw = {"spectrum": np.arange(4), "gain": np.float32(0.5), "at": Path("x"), "bad": np.nan}
    cost = Amounts(seconds=np.float32(2), money=np.int64(1))  # type: ignore[arg-type]
    driver = Returns(*(Measurement({"y": y}, cost, raw) for y in numbers))
    trials = list(campaign(driver, Store(tmp_path / "s.db"), runs=4).run())
    assert trials == Store(tmp_path / "s.db").trials("c")
    assert [t.measurement and t.measurement.outcomes for t in trials] == [{"y": 0.5}, {"y": 3.0}, {"y": 0.25}, {"y": 2.0}]
    assert trials[0].measurement is not None
    assert trials[0].measurement.raw == {"spectrum": [0, 1, 2, 3], "gain": 0.5, "at": "x", "bad": "nan"}
    assert trials[0].cost == Amounts(seconds=2.0, money=1.0)


ANYTHING: Any = Measurement
NONSENSE = [
    (None, "None is no Measurement"), ({"y": 1.0}, "{'y': 1.0} is no Measurement"), (np.zeros(3), "is no Measurement"),
    (ANYTHING(None), "the outcomes None are no mapping"), (ANYTHING({"y": np.bool_(True)}), "y = np.True_ is not a number"),
    (ANYTHING({"y": np.array([1, 2])}), r"y = array\(\[1, 2\]\) is not a number"), (ANYTHING({}), "y missing"),
    (ANYTHING({"y": 1.0, 3: 2.0}), "3 unknown"), (ANYTHING({"y": "\ud800"}), "y = .*ud800.* is not a number"),
    (ANYTHING({"y": 1.0}, Amounts(seconds=float("nan"))), "it took seconds = nan, which nobody can book"),
    (ANYTHING({"y": 1.0}, 5.0), r"the cost 5.0 is no Amounts"),
]  # fmt: skip


@pytest.mark.parametrize(("returned", "sentence"), NONSENSE, ids=lambda x: x if isinstance(x, str) else "")
def test_whatever_a_driver_returns_what_was_performed_is_stored(tmp_path: Path, returned: object, sentence: str) -> None:
    store = Store(tmp_path / "s.db")
    good = Measurement({"y": 1.0}, Amounts(seconds=3))
    trials = list(campaign(Returns(returned, good), store, runs=2).run())
    assert store.trials("c") == trials
    assert trials[0].measurement is None
    assert re.search(f"^the reading makes no sense: .*{sentence}", str(trials[0].error))
    assert trials[1].measurement == good


def test_a_mistake_in_a_driver_is_raised_and_what_it_performed_is_stored(tmp_path: Path) -> None:
    class Mistaken(Parabola):
        def perform(self, settings: Settings) -> Measurement:
            return Measurement({"y": 1.0 / (len(self.performed) - len(self.performed))})

    store = Store(tmp_path / "s.db")
    with pytest.raises(ZeroDivisionError):
        list(campaign(Mistaken(), store).run())
    (trial,) = store.trials("c")
    assert trial.error == "the driver failed by a mistake of its own (ZeroDivisionError: float division by zero)"


def test_what_is_told_may_be_of_numpy() -> None:
    that = campaign(Parabola(), Store(":memory:"))
    told = that.tell({"x": np.float32(0.5)}, {"y": np.int64(1)}, Amounts(seconds=np.float64(3)), raw={"counts": np.arange(2)})
    assert that.trials == [told]
    assert (told.settings, told.cost) == ({"x": 0.5}, Amounts(seconds=3.0))
    assert told.measurement == Measurement({"y": 1.0}, Amounts(seconds=3.0), {"counts": [0, 1]})
    with pytest.raises(OutOfBounds, match="it took seconds = -1, which nobody can book"):
        that.tell({"x": 0.5}, None, Amounts(seconds=-1), error="spilled")


def test_a_connection_that_fails_binds_no_name(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"name": "c", "store": tmp_path / "s.db", "budget": 1}
    with pytest.raises(DriverError, match="saturated"):
        list(opened(**fields, driver={"name": "color-mixing", "options": {"gain": 512}}).run())
    assert len(list(opened(**fields).run())) == 1


def test_an_empty_campaign_has_the_columns_of_a_full_one() -> None:
    that = opened(budget=1)
    empty = list(that.to_pandas().columns)
    list(that.run())
    assert empty == list(that.to_pandas().columns)


def test_a_budget_object_is_as_good_as_its_fields() -> None:
    assert opened(budget=Budget(runs=3, seconds=500)).budget == Budget(runs=3, seconds=500)
    assert repr(opened(name="c", goal="match-color:coral")) == "<Campaign 'c': match-color #ff7f50 (L 67.3, a 45.3, b 47.5), 0 trials>"


def test_a_campaign_that_was_only_asked_keeps_its_words_unless_others_are_given(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"name": "bench", "store": tmp_path / "s.db"}
    asked = Campaign.open(**fields, goal="match-color:coral", strategy="sobol", seed=3)
    asked.suggest()
    again = Campaign.open(**fields)
    assert (again.goal, again.specification["strategy"]["name"], again.specification["seed"]) == (asked.goal, "sobol", 3)
    other = Campaign.open(**fields, goal="match-color:gold")
    assert (other.goal != asked.goal, other.specification["strategy"]["name"]) == (True, "sobol")
    elsewhere = Campaign.open(**fields, driver="light-mixing")
    assert elsewhere.specification["strategy"]["name"] == "composite"


def test_a_campaign_of_parts_made_by_hand_can_be_read_from_its_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    list(campaign(Parabola(), store).run())
    read = Campaign.stored("c", Store(tmp_path / "s.db"))
    assert read.trials == store.trials("c")
    assert read.recommendation() == {"x": 0.3}
    assert "best reading: 0 in experiment 4" in read._repr_html_()


def test_after_a_stop_nothing_is_dosed_whenever_it_comes() -> None:
    class StopsWhileChoosing(Walk):
        def suggest(self, state: State, count: int = 1) -> list[Suggestion]:
            that.stop()
            return super().suggest(state, count)

    class StopsWhileConnecting(Parabola):
        def __enter__(self) -> Self:
            other.stop()
            raise Stopped("somebody stopped it")

    driver = Parabola()
    that = campaign(driver, Store(":memory:"), strategy=StopsWhileChoosing())
    other = campaign(StopsWhileConnecting(), Store(":memory:"))
    for stopped in (that, other):
        assert list(stopped.run()) == []
        assert stopped.stopped_because == "stopped by the user"
    assert driver.performed == []


def test_trials_told_without_a_cost_do_not_end_a_budget_of_time() -> None:
    that = opened(budget={"seconds": 300.0})
    for suggestion in that.suggest(12):
        that.tell(suggestion.settings, None, error="spilled")
    assert len(list(that.run())) > 2


@pytest.mark.parametrize(("driver", "goal", "has_worth"), [("color-mixing", "match-color:coral", True), ("eutectic", "map:phase", False)])
def test_a_suggestion_for_a_person_says_what_is_expected_of_it(driver: str, goal: str, has_worth: bool) -> None:
    told = Campaign.open(driver=driver, goal=goal, budget=6, store=":memory:")
    (first,) = told.suggest()
    assert (first.expected, first.worth) == (None, None)  # nothing was measured yet
    list(told.run())
    one, two = told.suggest(2)
    for suggestion in (one, two):
        assert suggestion.expected is not None
        alone = told.predict([suggestion.settings])
        for found, known in zip(
            (suggestion.expected.probabilities, suggestion.expected.means), (alone.probabilities, alone.means), strict=True
        ):
            assert {name: float(v[0]) for name, v in found.items()} == pytest.approx({name: float(v[0]) for name, v in known.items()})
    assert (one.worth is not None and one.worth >= 0) == has_worth
    assert one.describe(told.goal.unit)
    assert one.expected is not None
    assert json.loads(json.dumps(one.as_dict()))["expected"] == one.expected.rows()[0]


def test_a_suggestion_is_worth_what_the_paths_say_that_it_improves() -> None:
    """A model that is certain: the worth is the plain difference from the best, and 0 where nothing improves."""

    class Certain:
        def sample(self, state: State, settings: Sequence[Settings], count: int, seed: int = 0) -> dict[str, NDArray[np.float64]]:
            return {"score": np.tile([float(s["x"]) for s in settings], (count, 1))}

    line = Experiment("line", (Continuous("x", 0, 1),), (Outcome("y"),))
    done = [Trial(k, {"x": x}, Measurement({"y": x})) for k, x in enumerate((0.5, 0.7), start=1)]
    asked: list[Settings] = [{"x": 0.2}, {"x": 0.6}]
    assert improvements(Certain(), State(Minimize(line, "y"), done), asked) == pytest.approx([0.3, 0.0])
    assert improvements(Certain(), State(Maximize(line, "y"), done), [{"x": 0.9}, {"x": 0.6}]) == pytest.approx([0.2, 0.0])


@pytest.mark.parametrize("begins", [lambda that: that.suggest(), lambda that: that.reject({"x": 0.5})], ids=["suggested", "rejected"])
def test_what_was_suggested_before_the_lab_changed_does_not_count(tmp_path: Path, begins: Any) -> None:
    class Wider(Parabola):
        experiment = Experiment("parabola", (Continuous("x", 0, 1), Continuous("z", 0, 1)), (Outcome("y"),))

    store = Store(tmp_path / "s.db")
    begins(campaign(Parabola(), store))
    wider = campaign(Wider(), store, runs=2, strategy=catalog.make_strategy("random"))
    assert (wider.log.entries, wider.pending, wider.state().unavailable) == ((), [], [])
    assert wider.record().suggestion.keys() == {"x", "z"}
    assert [t.settings.keys() for t in wider.run()] == [{"x", "z"}] * 2
    assert [s.settings for s in wider.suggest()] == [s.settings for s in wider.pending]
