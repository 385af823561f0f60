"""Drivers as devices, under the real RunEngine."""

import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, Self, TypeAlias

import pytest
from bluesky import RunEngine, plans, protocols
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.utils import FailedStatus, RunEngineInterrupted
from event_model import DocumentNames, schema_validators

from frugaltwin import (
    Amounts,
    Campaign,
    Categorical,
    Continuous,
    Driver,
    Experiment,
    Measurement,
    Outcome,
    Settings,
    make_driver,
    make_goal,
    make_strategy,
)
from frugaltwin.bluesky import Rig, Status, campaign_plan
from frugaltwin.budget import Budget, StopRule
from frugaltwin.errors import DriverError, InvalidInput, LinkError, OutOfBounds, RigFault, Stopped, UnknownName
from frugaltwin.experiment import total
from frugaltwin.store import Store
from hardware.emulator.engine import missing

RECIPE: Settings = {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}
LIGHT: Settings = {"red": 60.0, "green": 40.0, "blue": 50.0, "atime": 50.0, "astep": 500.0, "gain": 64.0}
WAIT = 60.0  # s until a thread that hangs is a failure

# What stands behind the same device: name, options, a recipe, the balance, and a parameter with three values of it.
LABS: dict[str, tuple[str, dict[str, object], Settings, str | None, str, tuple[float, ...]]] = {
    "liquid twin": ("color-mixing", {}, RECIPE, "water", "red", (0.0, 0.5, 1.0)),
    "light twin": ("light-mixing", {}, LIGHT, None, "red", (0.0, 20.0, 40.0)),
    "emulated board": ("color-mixing", {"mixer": "emulated"}, RECIPE, "water", "red", (0.0, 0.5, 1.0)),
    "emulated kit": ("clslab-light", {"port": "emulated"}, LIGHT, None, "red", (0.0, 20.0, 40.0)),
}

Documents = list[tuple[str, dict[str, Any]]]
Engine: TypeAlias = Any
"""A RunEngine: only some of its methods and plans have types, and not all of those are right."""
count: Any = plans.count
grid_scan: Any = plans.grid_scan
list_scan: Any = plans.list_scan
rel_scan: Any = plans.rel_scan
scan: Any = plans.scan


class Lab:
    """A driver that does what a test wants: `act` is called in every `perform`."""

    experiment = Experiment(
        "lab",
        (Continuous("x", 0.0, 1.0, "mL"), Categorical("solvent", ("water", "ethanol"))),
        (Outcome("y", "counts"), Outcome("phase", labels=("clear", "cloudy"))),
    )

    def __init__(self, act: Callable[["Lab"], None] = lambda lab: None) -> None:
        self.act = act
        self.calls: list[str] = []
        self.stopped = threading.Event()
        self.begun = threading.Event()
        self.connect_error: DriverError | None = None

    def __enter__(self) -> Self:
        self.calls.append("enter")
        if self.connect_error:
            raise self.connect_error
        self.stopped.clear()
        return self

    def perform(self, settings: Settings) -> Measurement:
        self.calls.append(f"perform {settings['x']:g}")
        self.begun.set()
        self.act(self)
        x = float(settings["x"])
        return Measurement({"y": 100 * x, "phase": "cloudy" if x > 0.5 else "clear"}, Amounts(seconds=2.0), {"calibration": "c7"})

    def stop(self) -> None:
        self.stopped.set()

    def __exit__(self, *failure: object) -> None:
        self.calls.append("exit")


def until_stopped(lab: Lab) -> None:
    assert lab.stopped.wait(WAIT), "nobody stopped it"
    raise Stopped("somebody stopped the lab")


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine: Engine = RunEngine()
    yield engine
    if engine.state != "idle":
        engine.halt()
    engine.loop.call_soon_threadsafe(engine.loop.stop)
    engine._th.join(WAIT)
    engine.loop.close()


@pytest.fixture
def documents(engine: Engine) -> Documents:
    kept: Documents = []
    engine.subscribe(lambda name, document: kept.append((name, document)))
    return kept


def events(documents: Documents) -> list[dict[str, Any]]:
    return [document["data"] for name, document in documents if name == "event"]


@pytest.fixture(params=LABS)
def lab(request: pytest.FixtureRequest) -> tuple[Rig, str, tuple[float, ...]]:
    driver, options, recipe, balance, moved, values = LABS[request.param]
    if options.get("mixer") == "emulated" and (sentence := missing()):
        pytest.skip(sentence)
    return Rig(make_driver(driver, options, seed=1), start=recipe, balance=balance), moved, values


def test_it_is_what_bluesky_asks_of_devices() -> None:
    rig = Rig(Lab())
    for protocol in ("Readable", "Triggerable", "Stageable", "Stoppable", "Pausable", "Configurable", "HasHints", "HasParent"):
        assert isinstance(rig, getattr(protocols, protocol)), protocol
    for movable in (rig.recipe, rig.parameter("x")):
        for protocol in ("Readable", "Movable", "NamedMovable", "Checkable", "Stoppable", "HasHints", "HasParent"):
            assert isinstance(movable, getattr(protocols, protocol)), protocol
    assert isinstance(Status.finished(), protocols.Status)


def test_counting_gives_valid_documents(lab: tuple[Rig, str, tuple[float, ...]], engine: Engine, documents: Documents) -> None:
    rig, _, _ = lab
    engine(count([rig], num=2))
    assert [name for name, _ in documents] == ["start", "descriptor", "event", "event", "stop"]
    for name, document in documents:
        schema_validators[DocumentNames[name]].validate(document)
    for data in events(documents):
        assert {p.name: data[f"rig_{p.name}"] for p in rig.experiment.parameters} == rig.asked
        assert {f"rig_{o.name}" for o in rig.experiment.outcomes} <= set(data)
        assert data["rig_cost_seconds"] > 0
        assert set(rig.hints["fields"]) <= set(data)
    assert documents[-1][1]["exit_status"] == "success"


def test_scans_move_one_parameter(lab: tuple[Rig, str, tuple[float, ...]], engine: Engine, documents: Documents) -> None:
    rig, moved, values = lab
    engine(scan([rig], rig.parameter(moved), values[0], values[-1], len(values)))
    engine(list_scan([rig], rig.parameter(moved), list(values)))
    assert [data[f"rig_{moved}"] for data in events(documents)] == [*values, *values]
    starts = [document for name, document in documents if name == "start"]
    assert starts[0]["motors"] == (f"rig_{moved}",)
    assert starts[0]["hints"]["dimensions"] == [([f"rig_{moved}"], "primary")]
    for name, document in documents:
        schema_validators[DocumentNames[name]].validate(document)


def test_the_balance_makes_up_the_total_of_a_mixture(engine: Engine, documents: Documents) -> None:
    rig = Rig(make_driver("color-mixing"), start=RECIPE, balance="water")
    engine(grid_scan([rig], rig.parameter("red"), 0, 1, 2, rig.parameter("yellow"), 0, 1, 2))
    assert [(d["rig_red"], d["rig_yellow"], d["rig_blue"], d["rig_water"]) for d in events(documents)] == [
        (0.0, 0.0, 0.3, 3.7),
        (0.0, 1.0, 0.3, 2.7),
        (1.0, 0.0, 0.3, 2.7),
        (1.0, 1.0, 0.3, 1.7),
    ]


def test_relative_scans_begin_at_the_recipe_and_come_back(engine: Engine, documents: Documents) -> None:
    rig = Rig(Lab(), start={"x": 0.5, "solvent": "water"})
    engine(rel_scan([rig], rig.parameter("x"), -0.25, 0.25, 3))
    assert [data["rig_x"] for data in events(documents)] == [0.25, 0.5, 0.75]
    assert rig.parameter("x").position == 0.5


def test_a_recipe_is_moved_as_a_whole(engine: Engine, documents: Documents) -> None:
    rig = Rig(Lab())
    recipes = [{"x": 0.25, "solvent": "ethanol"}, {"x": 1.0, "solvent": "water"}]
    engine(list_scan([rig], rig.recipe, recipes))
    assert [(d["rig_x"], d["rig_solvent"], d["rig_y"], d["rig_phase"]) for d in events(documents)] == [
        (0.25, "ethanol", 25.0, "clear"),
        (1.0, "water", 100.0, "cloudy"),
    ]
    (descriptor,) = [document for name, document in documents if name == "descriptor"]
    assert descriptor["data_keys"]["rig_x"]["units"] == "mL"
    assert descriptor["data_keys"]["rig_x"]["limits"] == {"control": {"low": 0.0, "high": 1.0}}
    assert descriptor["data_keys"]["rig_solvent"]["choices"] == ["water", "ethanol"]
    assert descriptor["data_keys"]["rig_phase"]["choices"] == ["clear", "cloudy"]
    assert descriptor["configuration"]["rig"]["data"]["rig_experiment"] == "lab"


def test_a_hand_written_adaptive_plan_chooses_by_what_was_read(engine: Engine, documents: Documents) -> None:
    rig = Rig(make_driver("color-mixing", {"imperfections": 0}), start=RECIPE, balance="water")

    @bpp.stage_decorator([rig])  # type: ignore[untyped-decorator]
    @bpp.run_decorator()  # type: ignore[untyped-decorator]
    def halve_until_lighter_than(lightness: float) -> Generator[Any, Any, None]:
        red, read = 1.0, 0.0
        while read <= lightness:
            yield from bps.mv(rig.parameter("red"), red)
            read = (yield from bps.trigger_and_read([rig]))["rig_L"]["value"]
            red /= 2

    engine(halve_until_lighter_than(80))
    read = events(documents)
    assert [data["rig_red"] for data in read] == [0.5**k for k in range(len(read))]
    assert [data["rig_L"] > 80 for data in read] == [False] * (len(read) - 1) + [True]
    assert len(read) > 1


def test_setting_moves_nothing_and_staging_connects(engine: Engine) -> None:
    lab = Lab()
    rig = Rig(lab, start={"x": 0.1, "solvent": "water"})
    rig.parameter("x").set(0.2)
    rig.recipe.set({"x": 0.3, "solvent": "water"})
    assert lab.calls == []
    engine(count([rig]))
    assert lab.calls == ["enter", "perform 0.3", "exit"]


def test_what_is_not_allowed_is_refused_before_anything_moves(engine: Engine) -> None:
    lab = Lab()
    rig = Rig(lab, start={"x": 0.1, "solvent": "water"})
    for refused in (2.0, float("nan"), "much", True):
        with pytest.raises(OutOfBounds, match="x = "):
            rig.parameter("x").set(refused)
        with pytest.raises(OutOfBounds, match="x = "):
            rig.recipe.check_value({"x": refused, "solvent": "water"})
    with pytest.raises(OutOfBounds, match="solvent missing"):
        rig.recipe.set({"x": 0.5})
    with pytest.raises(OutOfBounds, match=r"x = 1\.5 mL is outside"):
        engine(scan([rig], rig.parameter("x"), 1.5, 2, 2))
    assert "perform" not in " ".join(lab.calls)
    assert rig.asked == {"x": 0.1, "solvent": "water"}


def test_a_mixture_that_does_not_fit_is_refused_when_it_is_triggered(engine: Engine) -> None:
    rig = Rig(make_driver("cloud-point"), start={"water": 1.0, "ethanol": 2.0, "anise": 1.0}, balance="water")
    with pytest.raises(OutOfBounds, match="water = -1 mL"):
        engine(list_scan([rig], rig.parameter("ethanol"), [4.0]))
    engine(list_scan([rig], rig.parameter("ethanol"), [3.0]))
    assert rig.asked["water"] == 0.0


def test_parts_of_a_mixture_need_a_balance() -> None:
    driver = make_driver("color-mixing")
    with pytest.raises(InvalidInput, match=r"red is part of a mixture.*balance="):
        Rig(driver).parameter("red")
    with pytest.raises(InvalidInput, match="water is the balance"):
        Rig(driver, balance="water").parameter("water")
    with pytest.raises(InvalidInput, match="'milk' is no part of a mixture of color-mixing"):
        Rig(driver, balance="milk")
    with pytest.raises(UnknownName, match="did you mean 'yellow'"):
        Rig(driver, balance="water").parameter("yelow")


def test_without_a_recipe_nothing_is_measured(engine: Engine) -> None:
    rig = Rig(Lab())
    with pytest.raises(OutOfBounds, match="x, solvent missing"):
        engine(count([rig]))
    with pytest.raises(InvalidInput, match="rig has measured nothing; trigger it"):
        rig.read()


def test_a_failed_measurement_fails_the_run_and_leaves_the_rig_at_rest(engine: Engine, documents: Documents) -> None:
    def broken(lab: Lab) -> None:
        raise RigFault("the pump is silent; check its cable")

    lab = Lab(broken)
    with pytest.raises(FailedStatus) as caught:
        engine(count([Rig(lab, start={"x": 0.1, "solvent": "water"})]))
    assert isinstance(caught.value.__cause__, RigFault)
    assert lab.calls == ["enter", "perform 0.1", "exit"]
    assert documents[-1][1]["exit_status"] == "fail"
    assert events(documents) == []


def test_a_rig_that_cannot_be_connected_fails_the_plan(engine: Engine) -> None:
    lab = Lab()
    lab.connect_error = LinkError("no reply; plug it in")
    with pytest.raises(FailedStatus) as caught:
        engine(count([Rig(lab, start={"x": 0.1, "solvent": "water"})]))
    assert caught.value.__cause__ is lab.connect_error
    assert lab.calls == ["enter"]


def test_a_rig_that_was_not_staged_says_so(engine: Engine) -> None:
    with pytest.raises(FailedStatus) as caught:
        engine(bps.trigger(Rig(Lab(), start={"x": 0.1, "solvent": "water"}), wait=True))
    assert "rig is not connected; stage it first" in str(caught.value.__cause__)


def interrupt(engine: Engine, lab: Lab, request: Callable[[], object]) -> threading.Thread:
    """Wait until the lab performs, then interrupt the RunEngine."""

    def wait() -> None:
        assert lab.begun.wait(WAIT)
        request()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.parametrize("is_moved", [True, False])
def test_an_abort_stops_the_measurement_under_way(engine: Engine, documents: Documents, is_moved: bool) -> None:
    lab = Lab(until_stopped)
    rig = Rig(lab, start={"x": 0.1, "solvent": "water"})
    thread = interrupt(engine, lab, engine.request_pause)
    with pytest.raises(RunEngineInterrupted):
        engine(list_scan([rig], rig.parameter("x"), [0.2]) if is_moved else count([rig]))
    thread.join(WAIT)
    engine.abort("seen enough")
    assert rig._under_way.exception(WAIT) is None
    with pytest.raises(InvalidInput, match="rig has measured nothing; trigger it, and let it end"):
        rig.read()
    assert rig.unstage().exception(WAIT) is None
    assert lab.calls[-1] == "exit"
    assert documents[-1][1]["exit_status"] == "abort"
    assert events(documents) == []


@pytest.mark.parametrize("is_moved", [True, False])
def test_after_a_pause_the_recipe_is_performed_again(engine: Engine, documents: Documents, is_moved: bool) -> None:
    lab = Lab(until_stopped)
    rig = Rig(lab, start={"x": 0.2, "solvent": "water"})
    thread = interrupt(engine, lab, engine.request_pause)
    with pytest.raises(RunEngineInterrupted):
        engine(list_scan([rig], rig.parameter("x"), [0.2]) if is_moved else count([rig]))
    thread.join(WAIT)
    assert rig._under_way.exception(WAIT) is None
    lab.act = lambda lab: None
    engine.resume()
    assert lab.calls == ["enter", "perform 0.2", "exit", "enter", "perform 0.2", "exit"]
    assert [data["rig_y"] for data in events(documents)] == [20.0]


def test_a_stop_that_comes_before_the_measurement_began_is_heeded() -> None:
    lab = Lab()
    rig = Rig(lab, start={"x": 0.1, "solvent": "water"})
    assert rig.stage().exception(WAIT) is None
    with rig._turn:
        status = rig.trigger()
        rig.stop(success=False)
    assert isinstance(status.exception(WAIT), Stopped)
    assert "perform" not in " ".join(lab.calls)
    assert rig.unstage().exception(WAIT) is None


def test_a_status_tells_everybody_once_and_does_not_wait_for_ever() -> None:
    begin = threading.Event()

    def wait(_: Status) -> None:
        begin.wait(WAIT)

    status = Status.of(wait)
    told: list[object] = []
    status.add_callback(told.append)
    assert not status.done
    assert not status.success
    with pytest.raises(TimeoutError):
        status.exception(timeout=0)
    begin.set()
    assert status.exception(WAIT) is None
    status.add_callback(told.append)
    assert status.done
    assert status.success
    assert set(told) == {status}


def campaign_on(driver: Driver, goal: str = "minimize:y", runs: int = 4, stop_rule: StopRule | None = None) -> Campaign:
    strategy = make_strategy("random", seed=3)
    return Campaign("c", driver, make_goal(goal, driver), strategy, Store(":memory:"), Budget(runs=runs), stop_rule)


def test_a_campaign_under_the_run_engine_measures_what_it_measures_alone(engine: Engine, documents: Documents) -> None:
    words: dict[str, Any] = {"driver": "color-mixing", "goal": "match-color:coral", "budget": 4, "name": "reef", "store": ":memory:"}
    alone, campaign = Campaign.open(**words), Campaign.open(**words)
    list(alone.run())
    engine(campaign_plan(Rig(campaign.driver), campaign, {"operator": "Ada"}))
    assert campaign.stopped_because == alone.stopped_because == "budget: 4 of 4 runs"
    assert [t.settings for t in campaign.trials] == [t.settings for t in alone.trials]
    assert [t.measurement for t in campaign.trials] == [t.measurement for t in alone.trials]
    assert len(events(documents)) == 4
    start = documents[0][1]
    assert (start["campaign"], start["goal"], start["strategy"], start["operator"]) == ("reef", alone.goal.text, "composite", "Ada")
    for name, document in documents:
        schema_validators[DocumentNames[name]].validate(document)


def test_a_campaign_under_the_run_engine_keeps_to_its_budget_as_it_does_alone(engine: Engine) -> None:
    words: dict[str, Any] = {
        "goal": "match-color:coral",
        "strategy": "random",
        "budget": {"volume": 50},
        "name": "reef",
        "store": ":memory:",
    }
    alone, campaign = Campaign.open(**words), Campaign.open(**words)
    list(alone.run())
    engine(campaign_plan(Rig(campaign.driver), campaign))
    assert total(campaign.trials) == total(alone.trials)
    assert total(campaign.trials).volume <= 50
    assert campaign.stopped_because == alone.stopped_because
    assert "of 50 mL used, the next trial would take" in str(alone.stopped_because)
    assert [t.source for t in campaign.trials] == [t.source for t in alone.trials]


def test_a_campaign_goes_on_and_ends_at_its_goal(engine: Engine) -> None:
    lab = Lab()
    campaign = campaign_on(lab, runs=2)
    engine(campaign_plan(Rig(lab), campaign))
    best = campaign.best()
    assert best
    campaign.budget, campaign.stop_rule = Budget(runs=50), StopRule(0.8 * best[1])
    engine(campaign_plan(Rig(lab), campaign))
    assert str(campaign.stopped_because).startswith("goal: ")
    assert 2 < len(campaign.trials) < 50
    assert campaign.trials[-1].measurement
    assert campaign.trials[-1].measurement.raw == {"calibration": "c7"}


def test_a_failed_measurement_of_a_campaign_is_a_failed_trial(engine: Engine) -> None:
    def sometimes(lab: Lab) -> None:
        if sum("perform" in call for call in lab.calls) == 2:
            fault = RigFault("a bubble; prime the pump")
            fault.cost = Amounts(seconds=1.5)
            raise fault

    lab = Lab(sometimes)
    campaign = campaign_on(lab, runs=3)
    engine(campaign_plan(Rig(lab), campaign))
    assert [t.error for t in campaign.trials] == [None, "a bubble; prime the pump", None]
    assert campaign.trials[1].cost == Amounts(seconds=1.5)


def test_a_rig_that_always_fails_ends_the_campaign(engine: Engine) -> None:
    def broken(lab: Lab) -> None:
        raise LinkError("no reply; plug it in")

    lab = Lab(broken)
    campaign = campaign_on(lab, runs=50)
    with pytest.raises(FailedStatus):
        engine(campaign_plan(Rig(lab), campaign))
    assert len(campaign.trials) == 5
    assert lab.calls[-1] == "exit"


def test_a_rig_that_somebody_stops_ends_the_campaign(engine: Engine) -> None:
    def switched_off(lab: Lab) -> None:
        raise Stopped("somebody opened the switch")

    lab = Lab(switched_off)
    campaign = campaign_on(lab, runs=50)
    with pytest.raises(FailedStatus):
        engine(campaign_plan(Rig(lab), campaign))
    assert [t.source for t in campaign.trials] == ["stopped"]


def test_a_campaign_about_another_experiment_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidInput, match="campaign 'c' is about lab; give a rig of that experiment"):
        engine(campaign_plan(Rig(make_driver("light-mixing")), campaign_on(Lab())))
