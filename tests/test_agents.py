"""An agent that has only the document and a token: what it waits for, reads and is told."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.records import fair_queue, rigs
from frugaltwin import Client, catalog
from frugaltwin.campaign import OfflineDriver
from frugaltwin.errors import OutOfBounds, UnknownName
from frugaltwin.experiment import Discrete, Experiment, Measurement, Outcome, grid_values
from frugaltwin.goals.suitable import examples, strategies
from frugaltwin.plugins import Driver
from frugaltwin.store import experiment_from_json, experiment_to_json
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


def test_a_client_waits_for_campaigns_and_trials(service: Running, ada: httpx.Client) -> None:
    identity = new_campaign(ada, "from-python")
    order = {"rig": "color-1", "settings": SETTINGS, "campaign": identity}
    with Client(service.address, ada.headers["authorization"].removeprefix("Bearer ")) as client, ThreadPoolExecutor(1) as pool:
        with pytest.raises(UnknownName, match="has no trial 1"):
            client.trial(identity, 1)
        waiting = pool.submit(client.trial, identity, 1, 20.0)
        assert ada.post("/v1/experiments", json=order).status_code == 202
        perform(service)
        assert waiting.result(30).score == client.trial(identity, 1).score is not None
        campaign = pool.submit(client.wait_campaign, identity, 20.0)
        assert ada.post(f"/v1/campaigns/{identity}/actions", json={"action": "stop"}).status_code == 200
        assert campaign.result(30).state == "ended"
        with pytest.raises(UnknownName):
            client.wait("x_000000", 0.0)


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


def test_a_refusal_points_at_the_word_of_the_request_that_is_wrong(ada: httpx.Client) -> None:
    for words, pointer in (
        ({"goal": "map:t_415:0.5; match-color:coral"}, "#/goal"),
        ({"goal": ["match-color:coral"], "require": ["t_1 <= 1"]}, "#/require"),
    ):
        answer = ada.post("/v1/campaigns", json={"name": "wrong", "rig": "color-1", "mode": "client"} | words)
        assert (answer.status_code, [one["pointer"] for one in answer.json()["errors"]]) == (422, [pointer]), answer.text


def test_no_sentence_that_can_reach_the_service_names_a_flag_of_the_command_line() -> None:
    """The command line's own files say its flags; everybody else's sentences may be answers of the service."""
    root = Path(__file__).parents[1]
    files = [path for package in ("api", "frugaltwin", "hardware", "optimizers", "simulator") for path in (root / package).rglob("*.py")]
    files = [path for path in files if not {"cli", "commands"} & set(path.parts) and path.name != "__main__.py"]
    assert len(files) > 100
    for path in files:
        tree = ast.parse(path.read_text())
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                assert not re.search(r"[\s`(]--[a-z]", node.value), (path, node.value)


def test_a_rig_says_which_goals_and_strategies_suit_it(ada: httpx.Client) -> None:
    rig = ada.get("/v1/rigs/color-1").json()
    assert rig["default_goal"] == "match-color:reachable"
    assert ada.get("/v1/rigs/mixer-1").json()["default_goal"] == "match-color:reachable"
    assert [one["goal"] for one in rig["goals"]] == ["match-color:#8fb04a", "minimize:t_415", "maximize:t_415", "map:t_415:0.5"]
    assert rig["goals"][0]["strategies"] == ["composite", "bayesian", "sobol", "random"]
    for one in rig["goals"]:  # as they stand
        new_campaign(ada, one["goal"].replace(":", "-").replace("#", ""), goal=one["goal"])
    assert all("random" in one["strategies"] for one in rig["goals"])


def test_an_even_grid_is_told_by_its_steps_to_who_asks_and_as_a_list_to_clients_of_before(service: Running, ada: httpx.Client) -> None:
    steps = ada.get("/v1/rigs/light-1?grids=steps")
    astep = next(one for one in steps.json()["experiment"]["parameters"] if one["name"] == "astep")
    assert {word: astep.get(word) for word in ("low", "high", "step", "values")} == {"low": 0, "high": 1000, "step": 1, "values": None}
    assert ada.get("/v1/rigs/light-1", headers={"Prefer": "wait=5, grids=steps"}).text == steps.text
    assert len(steps.text) < 8000
    plain = ada.get("/v1/rigs/light-1").json()["experiment"]["parameters"]
    assert {len(one["values"]) for one in plain if one["name"] == "astep"} == {1001}
    with Client(service.address, ada.headers["authorization"].removeprefix("Bearer ")) as client:
        read = client.rig("light-1").experiment
        assert read == client.rigs()[1].experiment == catalog.make_driver("light-mixing").experiment


@pytest.mark.parametrize("grid", [(0.0, 1.0, 0.1), (-0.3, 0.6, 0.1), (-3.0, 7.5, 0.35), (1e-6, 1e-3, 1e-6), (0.0, 99_999.0, 1.0)])
def test_a_grid_comes_back_bit_for_bit_and_takes_what_is_computed_by_its_steps(grid: tuple[float, float, float]) -> None:
    low, _, step = grid
    parameter = Discrete("x", grid_values(*grid))
    experiment = Experiment("grid", (parameter,), (Outcome("y"),))
    written = experiment_to_json(experiment, has_steps=True)
    assert "values" not in written["parameters"][0]
    assert experiment_from_json(json.loads(json.dumps(written))) == experiment
    for i in (1, 2, 3, len(parameter.values) - 1):
        assert parameter.check(low + i * step) == parameter.values[i]
    with pytest.raises(OutOfBounds):
        parameter.check(low + step / 2)


def test_a_grid_of_more_values_than_anybody_could_send_is_refused() -> None:
    written = experiment_to_json(Experiment("grid", (Discrete("x", (0.0, 1.0, 2.0)),), (Outcome("y"),)), has_steps=True)
    written["parameters"][0]["high"] = 1e12
    with pytest.raises(ValueError, match="make no grid"):
        experiment_from_json(written)
    assert Discrete("x", (0.0, 1.0, 3.0)).grid is None
    assert Discrete("x", (0.0, 1 / 3, 2 / 3)).grid is None  # twelve digits do not say it


@pytest.mark.parametrize("name", ["color-mixing", "eutectic", "ising"])
def test_the_strategies_of_a_goal_are_those_that_serve_it(name: str) -> None:
    from frugaltwin.testing.strategies import serves

    driver: Driver = OfflineDriver(catalog.make_driver(name).experiment)
    for words, goal in examples(driver.experiment).items():
        assert catalog.make_goal(words, driver).text == goal.text
        assert strategies(goal)[0] == goal.default_strategy
        serving = [one for one in catalog.STRATEGIES if serves(catalog.make_strategy(one), goal)]
        assert sorted(strategies(goal)) == sorted(serving), words
