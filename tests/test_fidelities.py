"""Fidelities: looks that cost and tell less than those at which a goal counts, in experiments, goals, strategies and whole campaigns."""

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.records import fair_queue, rigs
from frugaltwin import catalog
from frugaltwin.campaign import Campaign
from frugaltwin.client.fingerprint import fingerprint
from frugaltwin.errors import CampaignError, OutOfBounds
from frugaltwin.experiment import Categorical, Continuous, Discrete, Experiment, LinearConstraint, Measurement, Outcome, Settings, Trial
from frugaltwin.goals import Combined, Goal, Map, Maximize, Minimize
from frugaltwin.goals.trial_table import trial_columns, trial_rows
from frugaltwin.log import Preference, Rejection
from frugaltwin.pictures import report
from frugaltwin.plugins import Driver
from frugaltwin.prices import price_from_json
from frugaltwin.state import State
from frugaltwin.store import Store, experiment_from_json, experiment_to_json
from simulator.wafer import LOOKS, WaferTwin
from tests.conftest import Cli
from tests.running_service import Running, running
from tests.service_database import report_one, until

LOOK = Categorical("look", ("glance", "stare"))
PLAIN = Experiment("plain", (Continuous("a", 0.0, 1.0), Discrete("n", (1.0, 2.0))), (Outcome("y"), Outcome("phase", labels=("one", "two"))))
LOOKED = replace(PLAIN, parameters=(PLAIN.parameters[0], LOOK, PLAIN.parameters[1]), fidelities={"look": "stare"})
KNOW_NONE = ("random", "sobol", "bayesian", "composite", "phase-map", "gp-classifier", "label-propagation", "straddle")
"""Strategies that suggest, and learn from, nothing but the goal's fidelity."""
DWELL_FIXED = {"dwell": 1.0}


def trial(number: int, a: float, look: str, y: float, phase: str = "one") -> Trial:
    settings = LOOKED.check({"a": a, "look": look, "n": 1.0})
    return Trial(number, settings, Measurement({"y": y, "phase": phase}))


MIXED = [trial(1, 0.1, "glance", 9.0, "two"), trial(2, 0.3, "stare", 5.0), trial(3, 0.6, "stare", 3.0, "two"), trial(4, 0.6, "glance", 0.1)]
GOALS: tuple[Goal, ...] = (
    Minimize(LOOKED, "y"), Maximize(LOOKED, "y"), Map(LOOKED, "phase"), Map(LOOKED, "y", 4.0),
    Combined(LOOKED, (Minimize(LOOKED, "y"), Minimize(LOOKED, "seconds"))),
)  # fmt: skip


def test_an_experiment_says_what_counts_and_narrows_itself() -> None:
    assert [LOOKED.counts({"a": 0.0, "look": look, "n": 1.0}) for look in LOOK.values] == [False, True]
    with pytest.raises(OutOfBounds, match="look = 'glance'"):
        LOOKED.at_fidelity.check({"a": 0.0, "look": "glance", "n": 1.0})
    assert LOOKED.check({"a": 0.0, "look": "glance", "n": 1.0})
    assert LOOKED.without_fidelities == PLAIN
    assert LOOKED.at_fidelity.at_fidelity is LOOKED.at_fidelity or LOOKED.at_fidelity.at_fidelity == LOOKED.at_fidelity
    assert PLAIN.at_fidelity is PLAIN
    numeric = replace(PLAIN, fidelities={"n": 2.0})
    assert [numeric.counts({"a": 0.5, "n": n}) for n in (1.0, 2.0)] == [False, True]
    assert numeric.at_fidelity.parameters[1] == Discrete("n", (2.0,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fidelities": {"dwell": 1.0}}, "fidelity dwell is no parameter"),
        ({"fidelities": {"look": "gaze"}}, "look = 'gaze' is not one of"),
        ({"fidelities": {"n": 1.0}, "constraints": (LinearConstraint({"a": 1.0, "n": 1.0}),)}, r"names \['n'\], which are fidelities"),
        ({"candidates": ({"a": 0.0, "look": "glance", "n": 1.0},)}, "no candidate is at look stare"),
    ],
)
def test_fidelities_that_nothing_can_be_at_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(LOOKED, **change)


def test_fidelities_go_over_json_and_into_fingerprints_only_where_there_are_some() -> None:
    assert experiment_from_json(json.loads(json.dumps(experiment_to_json(LOOKED)))) == LOOKED
    assert "fidelities" not in experiment_to_json(PLAIN)
    assert fingerprint(LOOKED) != fingerprint(replace(LOOKED, fidelities={}))


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.text)
def test_a_goal_is_judged_by_what_counts_and_shows_all_of_it(goal: Goal) -> None:
    counted = [t for t in MIXED if t.settings["look"] == "stare"]
    assert goal.result(MIXED) == goal.result(counted)
    assert goal.standing(MIXED) == goal.standing(counted)
    assert [goal.counts(t) for t in MIXED] == [False, True, True, False]
    assert [goal.remark(t) for t in MIXED] == ["does not count: look stare does", "", "", "does not count: look stare does"]
    assert None not in goal.values(MIXED[0]).values()
    assert goal.summary(MIXED[:1]) == "1 of 1 experiments gave a reading, none at look stare, where the goal counts"
    rows = trial_rows(goal, [*MIXED, Trial(5, MIXED[0].settings, None, "it slipped")])
    assert [row["counts"] for row in rows] == [False, True, True, False, False]
    assert "counts" in trial_columns(goal)
    assert "counts" not in trial_columns(goal.on(PLAIN))


@pytest.mark.parametrize("name", KNOW_NONE)
def test_a_strategy_that_knows_no_fidelities_sees_none(name: str) -> None:
    strategy = catalog.make_strategy(name)
    goal = {"straddle": GOALS[3], "bayesian": GOALS[0], "composite": GOALS[0]}.get(name, GOALS[2])
    counted = [t for t in MIXED if goal.counts(t)]
    quick: Settings = MIXED[0].settings
    for trials in (MIXED, MIXED[:1]):
        known = [t for t in trials if t in counted]
        alone = strategy.suggest(State(goal, known), 2)
        mixed = strategy.suggest(State(goal, trials, pending=[quick], rejections=[Rejection(quick)]), 2)
        assert mixed == alone
        assert all(LOOKED.counts(LOOKED.check(s.settings)) for s in mixed)


def test_preferences_about_what_is_left_out_are_left_out() -> None:
    state = State(GOALS[0], MIXED, preferences=[Preference(2, 3), Preference(1, 2)])
    assert state.at_fidelity().preferences == [Preference(2, 3)]
    assert [t.number for t in state.counted] == [2, 3]


def wafer_campaign(store: Path, **fields: Any) -> Campaign:
    words: dict[str, Any] = {
        "name": "wafer",
        "driver": {"name": "wafer", "options": DWELL_FIXED},
        "strategy": {"name": "random"},
        "store": store,
    }
    return Campaign.open(**words | fields)


def look(campaign: Campaign, driver: Driver, how: str, x: float) -> Trial:
    settings: Settings = {"x": x, "y": 0.0, "look": how}
    done = driver.perform(settings)
    return campaign.tell(settings, done.outcomes, done.cost)


def test_a_campaign_mixes_looks_in_python_and_on_the_command_line_and_goes_on(cli_here: Cli, tmp_path: Path) -> None:
    store = tmp_path / "frugaltwin.db"
    campaign = wafer_campaign(store)
    with campaign.driver as wafer:
        look(campaign, wafer, "overview", -20.0)
        look(campaign, wafer, "zoom", 10.0)
    assert campaign.goal.summary(campaign.trials).endswith("none at look spectrum, where the goal counts")
    with pytest.raises(CampaignError, match="has measured nothing at look spectrum yet"):
        campaign.predict([campaign.trials[0].settings])
    again = wafer_campaign(store, budget={"runs": 4})
    assert [t.settings["look"] for t in again.run()] == ["spectrum", "spectrum"]
    assert sum(again.goal.seen(again.trials).values()) == 2
    assert set(again.predict([{"x": 0.0, "y": 0.0, "look": "zoom"}]).labels) <= set(again.goal.labels)
    assert "<th>counts</th>" in report.html(again.record())

    reading = ",".join(f"{name}={value}" for name, value in again.trials[0].measurement.outcomes.items())  # type: ignore[union-attr]
    told = cli_here("tell", "wafer", "--settings", "x=5,y=5,look=zoom", "--outcomes", reading, "--store", store)
    assert told.returncode == 0, told.stderr
    suggested = json.loads(cli_here("suggest", "wafer", "--json", "--store", store).stdout)
    assert suggested["settings"]["look"] == "spectrum"
    shown = cli_here("show", "wafer", "--store", store).stdout.splitlines()
    marked = [line for line in shown if line.endswith("does not count: look spectrum does")]
    assert [line.split()[0] for line in marked] == ["1", "2", "5"]
    assert all("overview" in line or "zoom" in line for line in marked)
    rows = list(csv.DictReader(cli_here("export", "wafer", "--store", store).stdout.splitlines()))
    assert [(row["look"], row["counts"]) for row in rows] == [
        ("overview", "False"), ("zoom", "False"), ("spectrum", "True"), ("spectrum", "True"), ("zoom", "False"),
    ]  # fmt: skip
    (last,) = wafer_campaign(store, budget={"runs": 6}).run()
    assert last.settings == suggested["settings"]


def test_a_campaign_on_a_wafer_that_began_before_looks_were_settings_goes_on(tmp_path: Path) -> None:
    store = tmp_path / "frugaltwin.db"
    driver = {"name": "wafer", "options": {}}
    before = wafer_campaign(store, driver={"name": "wafer", "options": {"look": "spectrum"}}, budget={"runs": 2})
    assert len(list(before.run())) == 2
    with sqlite3.connect(store) as db:  # the option was the default then, and not written down
        (body,) = db.execute("select body from campaign").fetchone()
        db.execute("update campaign set body = ?", (json.dumps(json.loads(body) | {"driver": driver}),))
    assert [p.name for p in experiment_from_json(json.loads(body)["experiment"]).parameters] == ["x", "y", "dwell"]
    after = wafer_campaign(store, driver=driver, budget={"runs": 4})
    assert len(list(after.run())) == 2
    assert [list(t.settings) for t in after.trials] == [["x", "y", "dwell"]] * 4
    twin = Campaign.stored("wafer", Store(store)).twin()
    assert isinstance(twin, WaferTwin)
    assert twin.experiment == after.driver.experiment
    assert WaferTwin().experiment.without_fidelities == WaferTwin(look="spectrum").experiment


def test_a_price_depends_on_the_look_and_on_the_one_before_and_on_nothing_hidden() -> None:
    price = WaferTwin(dwell=2.0).price()
    here: dict[str, Settings] = {how: {"x": 30.0, "y": 40.0, "look": how} for how in LOOKS}
    overview, zoom, spectrum = 71**2 * 0.005, 13**2 * 0.005, 2.0
    way = 50.0 / 10.0 + 0.5
    expected = {
        (None, "overview"): overview, (None, "zoom"): way + zoom, (None, "spectrum"): way + spectrum,
        ("overview", "overview"): 0.0, ("overview", "zoom"): way + zoom, ("overview", "spectrum"): way + spectrum,
        ("zoom", "overview"): way + overview, ("zoom", "zoom"): zoom, ("zoom", "spectrum"): spectrum,
        ("spectrum", "overview"): way + overview, ("spectrum", "zoom"): zoom, ("spectrum", "spectrum"): spectrum,
    }  # fmt: skip
    for (after, how), seconds in expected.items():
        for performed in (0, 7):
            assert price.of(here[how], here[after] if after else None, performed).seconds == pytest.approx(seconds, rel=1e-12)


def test_the_truth_of_a_look_is_that_of_a_wafer_with_this_look_alone() -> None:
    place: Settings = {"x": 12.0, "y": -7.0}
    alone = [WaferTwin(look=how).truth(place) for how in LOOKS]
    assert WaferTwin(dwell=1.0).truths([{**place, "look": how} for how in LOOKS]) == alone
    assert len({outcomes["r600"] for outcomes in alone}) == 3


def test_an_overview_is_taken_anew_after_another_look() -> None:
    with WaferTwin(dwell=1.0) as wafer:
        here: dict[str, Settings] = {how: {"x": 10.0, "y": 0.0, "look": how} for how in LOOKS}
        first, second = wafer.perform(here["overview"]), wafer.perform(here["overview"])
        assert (second.outcomes, second.cost.seconds) == (first.outcomes, 0.0)
        wafer.perform(here["zoom"])
        third = wafer.perform(here["overview"])
    assert third.outcomes != first.outcomes
    assert third.cost.seconds == pytest.approx(first.cost.seconds + 10.0 / 10.0 + 0.5)


@contextmanager
def serving(url: str) -> Iterator[tuple[Running, httpx.Client]]:
    """A service with a wafer, and its instructor."""
    with running(url, poll=0.02, thinkers=1) as service:
        service.database.write_now(lambda c, now: rigs.register(c, now, "wafer-1", "wafer", DWELL_FIXED, False))
        with service.client(service.admin) as client:
            client.timeout = 120.0  # s: a strategy process starts first
            yield service, client


def perform_one(service: Running, driver: Driver) -> None:
    """Perform the next experiment of the wafer."""
    write = service.database.write_now
    rows: list[Any] = []

    def has_one() -> bool:
        rows.extend(write(lambda c, now: fair_queue.lease(c, now, "wafer-1", "test", 1)))
        return bool(rows)

    until(has_one)
    row = rows[0]
    write(lambda c, now: fair_queue.begin(c, now, row.id, row.lease))
    done = driver.perform(row.settings)
    write(lambda c, now: report_one(c, now, row.id, row.lease, done, None, done.cost, {}))


def test_a_campaign_of_the_service_mixes_looks_and_goes_on_after_a_restart(sqlite_url: str) -> None:
    driver = catalog.make_driver("wafer", DWELL_FIXED)
    with serving(sqlite_url) as (service, client), driver:
        rig = client.get("/v1/rigs/wafer-1").json()
        assert rig["experiment"]["fidelities"] == {"look": "spectrum"}
        assert {term["kind"] for term in rig["price"]["terms"]} == {"travel", "where"}
        words = {"name": "mixed", "rig": "wafer-1", "strategy": {"name": "random"}, "budget": {"runs": 3}, "approve": True}
        identity = client.post("/v1/campaigns", json=words).json()["id"]
        suggested = judged(client, identity, 1, look="overview")
        assert suggested["look"] == "spectrum"
        perform_one(service, driver)
    with serving(sqlite_url) as (service, client), driver:
        for number in (2, 3):
            judged(client, identity, number)
            perform_one(service, driver)
        until(lambda: client.get(f"/v1/campaigns/{identity}").json()["state"] == "ended")
        trials = client.get(f"/v1/campaigns/{identity}/trials").json()["items"]
        assert [(t["experiment"]["settings"]["look"], t["counts"]) for t in trials] == [
            ("overview", False), ("spectrum", True), ("spectrum", True),
        ]  # fmt: skip
        assert "labels measured" in client.get(f"/v1/campaigns/{identity}").json()["result"]
        rows = list(csv.DictReader(client.get(f"/v1/campaigns/{identity}/export").text.splitlines()))
        assert [row["counts"] for row in rows] == ["False", "True", "True"]


def judged(client: httpx.Client, identity: str, number: int, **changes: str) -> dict[str, Any]:
    """Approve the suggestion that waits, or perform something else in its place; its settings."""
    waiting: list[dict[str, Any]] = []

    def is_waiting() -> bool:
        proposal = client.get(f"/v1/campaigns/{identity}").json()["proposal"]
        waiting.extend([proposal] if proposal and proposal["trial"] == number else [])
        return bool(waiting)

    until(is_waiting)
    settings: dict[str, Any] = waiting[0]["settings"]
    words = {"decision": "edit", "settings": settings | changes} if changes else {"decision": "approve"}
    client.post(f"/v1/campaigns/{identity}/proposal", json={"trial": number} | words).raise_for_status()
    return settings


def test_a_rig_that_was_known_before_looks_were_settings_keeps_its_experiment_and_its_prices(sqlite_url: str) -> None:
    with running(sqlite_url) as service, service.client(service.admin) as client:
        before, now_made = (rigs.Offer(twin.experiment, twin.price()) for twin in (WaferTwin(look="spectrum"), WaferTwin()))
        for made in (before, now_made):
            service.database.write_now(lambda c, now, made=made: rigs.register(c, now, "wafer-1", "wafer", {}, False, made))  # type: ignore[misc]
            known = client.get("/v1/rigs/wafer-1").json()
            assert experiment_from_json(known["experiment"]) == before.experiment
            price = price_from_json(known["price"])
            assert price.of({"x": 3.0, "y": 4.0, "dwell": 2.0}, {"x": 0.0, "y": 4.0, "dwell": 1.0}).seconds == pytest.approx(
                0.3 + 0.5 + 2.0
            )
        row = service.database.read_now(lambda c: rigs.find(c, "wafer-1"))
        assert rigs.is_same(row, "wafer", {}, now_made)
        with WaferTwin() as worker:  # made by the rig's options, as its worker does
            settings: Settings = {"x": 3.0, "y": 4.0, "dwell": 2.0}
            assert worker.perform(settings).cost.seconds == pytest.approx(0.5 + 0.5 + 2.0)
        answer = client.post("/v1/experiments", json={"rig": "wafer-1", "settings": settings})
        assert answer.status_code == 202, answer.text
        assert answer.json()["estimate"]["seconds"] == pytest.approx(3.0)
        service.database.write_now(lambda c, now: rigs.register(c, now, "wafer-2", "wafer", {}, False))
        assert [p["name"] for p in client.get("/v1/rigs/wafer-2").json()["experiment"]["parameters"]] == ["x", "y", "look", "dwell"]
