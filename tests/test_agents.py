"""An agent that has only the document and a token: what it waits for, reads and is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from api.records import fair_queue, rigs
from frugaltwin import catalog
from frugaltwin.campaign import OfflineDriver
from frugaltwin.experiment import Measurement
from frugaltwin.goals.suitable import examples, strategies
from frugaltwin.plugins import Driver
from tests.running_service import Running, running
from tests.service_database import COST, SETTINGS, report_one

READING = Measurement({f"t_{w}": 0.5 for w in (415, 445, 480, 515, 555, 590, 630, 680)}, COST)


@pytest.fixture(scope="module")
def service(fresh_url: Callable[[], str]) -> Iterator[Running]:
    with running(fresh_url()) as found:
        found.database.write_now(lambda c, now: rigs.register(c, now, "light-1", "light-mixing", {}, False))
        found.database.write_now(lambda c, now: rigs.register(c, now, "mixer-1", "color-mixing", {}, True))
        yield found


@pytest.fixture
def ada(service: Running) -> Iterator[httpx.Client]:
    whose, token = service.person()
    service.database.write_now(lambda c, now: rigs.approve(c, now, whose, "mixer-1", "u"))
    with service.client(token) as client:
        yield client


def perform(service: Running, rig: str = "color-1") -> None:
    """The next experiment of a rig, to its end."""
    (row,) = service.database.write_now(lambda c, now: fair_queue.lease(c, now, rig, "w", 1, twins_begin=True))
    if row.state == fair_queue.LEASED:
        service.database.write_now(lambda c, now: fair_queue.begin(c, now, row.id, row.lease))
    service.database.write_now(lambda c, now: report_one(c, now, row.id, row.lease, READING, None, COST, {}))


def new_campaign(ada: httpx.Client, name: str, **words: Any) -> str:
    goal = {"name": name, "rig": "color-1", "goal": "match-color:coral", "mode": "client"}
    answer = ada.post("/v1/campaigns", json=goal | words)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def meanwhile(happens: Callable[[], object], asked: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer to a request that waits until something happens."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(asked)
        happens()
        return answer.result(30)


def test_wait_may_stand_in_the_query(service: Running, ada: httpx.Client) -> None:
    order = {"rig": "color-1", "settings": SETTINGS}
    waiting = ada.post("/v1/experiments?wait=0", json=order)
    assert (waiting.status_code, waiting.json()["state"]) == (202, "queued")
    at = waiting.headers["location"]
    assert meanwhile(lambda: perform(service), lambda: ada.get(f"{at}?wait=20")).json()["state"] == "succeeded"
    assert ada.get(at, params={"wait": 61}).status_code == 422  # never clamped
    assert ada.get(at, headers={"Prefer": "wait=600"}).status_code == 200


def test_a_campaign_is_waited_for_until_it_runs_no_more(service: Running, ada: httpx.Client) -> None:
    at = f"/v1/campaigns/{new_campaign(ada, 'waited-for')}"
    pause = {"action": "pause"}
    for asked in (lambda: ada.get(f"{at}?wait=20"), lambda: ada.get(at, headers={"Prefer": "wait=20"})):
        assert meanwhile(lambda: ada.post(f"{at}/actions", json=pause), asked).json()["state"] == "paused"
        assert ada.post(f"{at}/actions", json={"action": "resume"}).status_code == 200


def test_a_trial_is_waited_for_before_it_has_begun_and_has_its_score_wherever_it_is_read(service: Running, ada: httpx.Client) -> None:
    campaign = new_campaign(ada, "scored")
    order = {"rig": "color-1", "settings": SETTINGS, "campaign": campaign}
    at = f"/v1/campaigns/{campaign}/trials"
    assert ada.get(f"{at}/1").status_code == 404

    def happens() -> None:
        assert ada.post("/v1/experiments", json=order).json()["score"] is None
        perform(service)

    trial = meanwhile(happens, lambda: ada.get(f"{at}/1?wait=20")).json()
    assert (trial["trial"], trial["experiment"]["state"]) == (1, "succeeded")
    assert trial["score"] > 0
    assert trial == ada.get(f"{at}/1").json() == ada.get(at).json()["items"][0]
    experiment = ada.get(f"/v1/experiments/{trial['experiment']['id']}").json()
    listed = ada.get("/v1/experiments", params={"campaign": campaign}).json()["items"]
    assert {trial["score"]} == {trial["experiment"]["score"], experiment["score"], listed[0]["score"]}
    assert ada.get(f"{at}/7").json()["detail"].startswith("campaign 'scored' has no trial 7, the last is 1")


def test_a_lease_is_a_matter_of_workers(service: Running, ada: httpx.Client) -> None:
    at = ada.post("/v1/experiments", json={"rig": "mixer-1", "settings": SETTINGS}).headers["location"]
    service.database.write_now(lambda c, now: fair_queue.lease(c, now, "mixer-1", "w", 1))
    seen = ada.get(at).json()
    assert (seen["state"], seen["position"], seen["waiting_because"]) == ("queued", 0, "its rig is about to begin")
    for state in ("queued", "leased"):  # a client of before may ask for the second
        assert [one["id"] for one in ada.get("/v1/experiments", params={"state": state}).json()["items"]] == [seen["id"]]
    assert ada.post(f"{at}/abort").json()["state"] == "aborted"


def test_what_the_state_of_things_forbids_has_one_name(ada: httpx.Client) -> None:
    new_campaign(ada, "named")
    other = ada.post("/v1/campaigns", json={"name": "named", "rig": "color-1", "goal": "match-color:navy", "mode": "client"})
    ended = ada.post("/v1/experiments", json={"rig": "color-1", "settings": SETTINGS}).headers["location"]
    ada.post(f"{ended}/abort")
    answers = [other, ada.post(f"{ended}/abort")]
    assert [answer.status_code for answer in answers] == [409, 409]
    assert {answer.json()["type"].rpartition("/")[2] for answer in answers} == {"conflict"}


def test_a_rig_says_which_goals_and_strategies_suit_it(ada: httpx.Client) -> None:
    rig = ada.get("/v1/rigs/color-1").json()
    assert rig["default_goal"] == "match-color:reachable"
    assert ada.get("/v1/rigs/mixer-1").json()["default_goal"] == "match-color:reachable"
    assert [one["goal"] for one in rig["goals"]] == ["match-color:#8fb04a", "minimize:t_415", "maximize:t_415", "map:t_415:0.5"]
    assert rig["goals"][0]["strategies"] == ["composite", "bayesian", "sobol", "random"]
    for one in rig["goals"]:  # as they stand
        new_campaign(ada, one["goal"].replace(":", "-").replace("#", ""), goal=one["goal"])
    assert all("random" in one["strategies"] for one in rig["goals"])


@pytest.mark.parametrize("name", ["color-mixing", "eutectic", "ising"])
def test_the_strategies_of_a_goal_are_those_that_serve_it(name: str) -> None:
    from frugaltwin.testing.strategies import serves

    driver: Driver = OfflineDriver(catalog.make_driver(name).experiment)
    for words, goal in examples(driver.experiment).items():
        assert catalog.make_goal(words, driver).text == goal.text
        assert strategies(goal)[0] == goal.default_strategy
        serving = [one for one in catalog.STRATEGIES if serves(catalog.make_strategy(one), goal)]
        assert sorted(strategies(goal)) == sorted(serving), words
