"""Campaigns of the service: run by the server to their end, in a person's hands, killed in the middle, kept apart and taken home."""

import csv
import io
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from pyarrow import parquet
from sqlalchemy import func, select, update

from api.app import create_app
from api.records import campaigns, event_log, fair_queue, ledger, people, rigs, tables, tokens
from api.records.database import Database
from api.records.rows import ExperimentRow
from api.settings import Settings
from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.experiment import Trial
from frugaltwin.state import State
from tests import forked
from tests.service_database import report_one

RIG = "color-1"
Json = dict[str, Any]
RANDOM = {"name": "random"}


def until(condition: Callable[[], Any], seconds: float = 600.0) -> Any:
    """What a condition gives as soon as it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.03)  # most conditions ask the service
    return found


@contextmanager
def serving(url: str, **settings: Any) -> Iterator[str]:
    """The address of a service of its own."""
    app = create_app(Settings(url=url, poll=0.02, thinkers=1, requests_per_second=1e6, burst=1e6, **settings))
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", 0, log_level="warning", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive())
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def user(address: str, token: str, stack: ExitStack) -> httpx.Client:
    """Somebody who uses a service."""
    return stack.enter_context(httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=60))


class Lab:
    """A database with a rig and people, services on it, and a worker that can be switched on."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.url = url
        self.stack = stack
        self.database = Database(self.url)
        stack.callback(self.database.close)
        self.database.write_now(lambda c, now: rigs.register(c, now, RIG, "color-mixing", {}, False))
        self.people: dict[str, str] = {}

    def token(self, name: str, **limits: float) -> str:
        def join(connection: Any, now: float) -> tuple[str, str]:
            whose = people.add_person(connection, now, name, "student", limits)
            return whose, tokens.add_token(connection, now, whose, ["read", "run:sim", "run:rig"])[1]

        self.people[name], shown = self.database.write_now(join)
        return shown

    def service(self, token: str, **settings: Any) -> httpx.Client:
        """A service of its own, and somebody who uses it."""
        return user(self.stack.enter_context(serving(self.url, **settings)), token, self.stack)

    def work(self, error: str | None = None) -> None:
        """Perform what is leased, from now on; or fail at it."""
        over = threading.Event()
        thread = threading.Thread(target=self._work, args=(over, error))
        self.stack.callback(thread.join)
        self.stack.callback(over.set)
        thread.start()

    def _work(self, over: threading.Event, error: str | None) -> None:
        write = self.database.write_now
        with catalog.make_driver("color-mixing") as driver:
            while not over.is_set():
                rows = write(lambda c, now: fair_queue.lease(c, now, RIG, "test", 1))
                for row in rows:
                    identity, lease = row.id, row.lease
                    write(lambda c, now, i=identity, k=lease: fair_queue.begin(c, now, i, k))  # type: ignore[misc]
                    done = None if error else driver.perform(row.settings)
                    cost = done.cost if done else Amounts(seconds=7.0)
                    report = (done, error, cost, {"rig": RIG, "driver": "color-mixing"})
                    write(lambda c, now, i=identity, k=lease, r=report: report_one(c, now, i, k, *r))  # type: ignore[misc]
                if not rows:
                    over.wait(0.01)


@pytest.fixture
def lab(database_url: str) -> Iterator[Lab]:
    with ExitStack() as stack:
        yield Lab(database_url, stack)


@pytest.fixture
def ann(lab: Lab) -> httpx.Client:
    return lab.service(lab.token("Ann"))


ON_SQLITE = pytest.mark.parametrize("fresh_url", ["sqlite"], indirect=True)  # it takes long, and says nothing about a database


def started(client: httpx.Client, **words: Any) -> str:
    answer = client.post("/v1/campaigns", json={"name": "first", "rig": RIG, "strategy": RANDOM, "budget": {"runs": 5}} | words)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/campaigns/{answer.json()['id']}"
    return str(answer.json()["id"])


def seen(client: httpx.Client, identity: str) -> Json:
    answer = client.get(f"/v1/campaigns/{identity}")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def in_state(client: httpx.Client, identity: str, state: str) -> Json:
    found: Json = until(lambda: (now := seen(client, identity))["state"] == state and now)
    return found


def tried(client: httpx.Client, identity: str) -> list[Json]:
    items, cursor = [], "1"
    while cursor:
        page = client.get(f"/v1/campaigns/{identity}/trials", params={"limit": 3, "cursor": cursor}).json()
        items += page["items"]
        cursor = page["next"]
    return items


def act(client: httpx.Client, identity: str, action: str, status: int = 200, **words: Any) -> Json:
    answer = client.post(f"/v1/campaigns/{identity}/actions", json={"action": action} | words)
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


def refused(answer: Any, status: int) -> str:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    return str(answer.json()["detail"])


def test_a_campaign_runs_to_the_end_of_its_budget_and_says_what_it_found_and_spent(lab: Lab, ann: httpx.Client) -> None:
    lab.work()
    identity = started(ann, seed=3)
    whole = in_state(ann, identity, "ended")
    trials = tried(ann, identity)
    assert whole["reason"] == "budget: 5 of 5 runs"
    assert [t["trial"] for t in trials] == [1, 2, 3, 4, 5]
    best = min(trials, key=lambda t: t["score"])
    assert whole["best"] == best
    costs = [t["experiment"]["cost"] for t in trials]
    assert whole["spent"] == {"runs": 5} | {k: pytest.approx(sum(c[k] for c in costs)) for k in ("seconds", "money", "volume")}
    assert ann.get(f"/v1/campaigns/{identity}/recommendation").json()["settings"] == best["experiment"]["settings"]
    events = lab.database.read_now(lambda c: event_log.after(c, 0, 1000))
    assert [e.kind for e in events if e.kind.startswith("campaign.")] == ["campaign.running", "campaign.ended"]


def on_the_desk(strategy: str, seed: int, n: int) -> list[Json]:
    """What a strategy that does not look at outcomes tries, one after another."""
    driver = catalog.make_driver("color-mixing")
    goal = catalog.make_goal("match-color:coral", driver)
    trials: list[Trial] = []
    for number in range(1, n + 1):
        (settings,) = [s.settings for s in catalog.make_strategy(strategy, seed=seed).suggest(State(goal, trials))]
        trials.append(Trial(number, driver.experiment.check(settings), None))
    return [dict(t.settings) for t in trials]


@ON_SQLITE
def test_the_server_tries_what_a_campaign_on_the_desk_tries(lab: Lab, ann: httpx.Client) -> None:
    lab.work()
    identity = started(ann, seed=11, strategy={"name": "sobol"})
    in_state(ann, identity, "ended")
    goal = catalog.make_goal("match-color:reachable", catalog.make_driver("color-mixing"), 11)
    assert seen(ann, identity)["goal"] == goal.text
    assert [t["experiment"]["settings"] for t in tried(ann, identity)] == on_the_desk("sobol", 11, 5)


@ON_SQLITE
def test_a_campaign_with_several_goals_and_a_requirement_shows_its_front(lab: Lab, ann: httpx.Client) -> None:
    lab.work()
    goals, bounds = ["match-color:coral", "minimize:volume"], ["t_415 <= 0.3"]
    words: Json = {"goal": goals, "require": bounds, "strategy": {"name": "sobol"}}
    identity = started(ann, **words)
    whole, trials = in_state(ann, identity, "ended"), tried(ann, identity)
    goal = catalog.make_goal(goals, catalog.make_driver("color-mixing"), require=bounds)
    assert (whole["goal"], whole["title"], whole["best"]) == (goal.text, goal.title, None)
    kept = [t for t in trials if t["values"]["meets"]]
    assert [t["values"]["meets"] for t in trials] == [t["experiment"]["outcomes"]["t_415"] <= 0.3 for t in trials]
    losses = {t["trial"]: (t["values"]["match-color"], t["experiment"]["cost"]["volume"]) for t in kept}
    beaten = {k for k, own in losses.items() if any(o != own and o[0] <= own[0] and o[1] <= own[1] for o in losses.values())}
    assert [t["trial"] for t in whole["front"]] == [k for k in losses if k not in beaten]
    assert whole["front"] == [t for t in trials if t["trial"] in {f["trial"] for f in whole["front"]}]
    assert whole["result"].startswith(f"front: {len(whole['front'])} of 5 experiments")
    table = list(csv.DictReader(io.StringIO(ann.get(f"/v1/campaigns/{identity}/export").text)))
    assert [row["front"] == "True" for row in table] == [t["trial"] in {f["trial"] for f in whole["front"]} for t in trials]
    assert "front" in ann.get(f"/v1/campaigns/{identity}/export", params={"format": "svg"}).text
    assert ann.get(f"/v1/campaigns/{identity}/recommendation").json()["settings"] is None
    assert started(ann, **words) == identity
    body = {"name": "first", "rig": RIG} | words | {"require": ["t_415 <= 0.4"]}
    assert "was started with goal" in refused(ann.post("/v1/campaigns", json=body), 409)
    assert "try the strategy sobol" in refused(
        ann.post("/v1/campaigns", json=body | {"name": "model", "strategy": {"name": "bayesian"}}), 422
    )
    assert "to require" in refused(ann.post("/v1/campaigns", json=body | {"name": "typo", "require": ["t_416 <= 1"]}), 422)
    assert seen(ann, started(ann, name="spare", require=["volume <= 9"]))["goal"].endswith("; require volume <= 9.0")


@ON_SQLITE
def test_a_suggestion_that_waits_for_a_person_says_what_a_model_expects_of_it(lab: Lab, ann: httpx.Client) -> None:
    lab.work()
    identity = started(ann, approve=True, strategy={"name": "bayesian", "options": {"starts": 1}})
    judged(ann, identity, trial=in_state(ann, identity, "waiting")["proposal"]["trial"], decision="approve")
    proposal = until(lambda: (now := seen(ann, identity)["proposal"]) and now["trial"] == 2 and now)
    assert proposal["why"] == "largest expected improvement of the score"
    assert proposal["worth"] >= 0
    assert set(proposal["expected"]) == {"score_mean", "score_sd"}


@ON_SQLITE
def test_a_campaign_with_a_model_ends_as_soon_as_its_goal_is_reached(lab: Lab, ann: httpx.Client) -> None:
    lab.work()
    identity = started(ann, strategy=None, budget={"runs": 30}, stop={"score": 4.0})
    whole = in_state(ann, identity, "ended")
    assert whole["strategy"]["name"] == "composite"
    assert whole["reason"].startswith("goal: ")
    assert whole["best"]["score"] <= 4.0
    assert all(t["score"] > 4.0 for t in tried(ann, identity)[:-1])
    said = ann.get(f"/v1/campaigns/{identity}/recommendation").json()
    assert (said["by"], said["n_trials"]) == ("model", whole["n_trials"])
    assert set(said["settings"]) == set(whole["best"]["experiment"]["settings"])


def test_a_paused_campaign_finishes_what_is_under_way_and_tries_no_more_until_it_is_resumed(lab: Lab, ann: httpx.Client) -> None:
    identity = started(ann)
    until(lambda: seen(ann, identity)["n_trials"] == 1)
    assert act(ann, identity, "pause")["reason"] == "paused by its owner"
    lab.work()
    until(lambda: tried(ann, identity)[0]["experiment"]["state"] == "succeeded")
    in_state(ann, started(ann, name="second"), "ended")  # so the campaigns have been looked at many times
    assert (seen(ann, identity)["state"], seen(ann, identity)["n_trials"]) == ("paused", 1)
    act(ann, identity, "resume")
    assert in_state(ann, identity, "ended")["n_trials"] == 5


def test_a_stopped_campaign_takes_back_what_is_queued_and_goes_on_only_when_it_is_extended(lab: Lab, ann: httpx.Client) -> None:
    identity = started(ann, budget={"runs": 2})
    until(lambda: seen(ann, identity)["n_trials"] == 1)
    assert act(ann, identity, "stop")["reason"] == "stopped by its owner"
    assert tried(ann, identity)[0]["experiment"]["state"] == "aborted"
    assert "extend it" in act(ann, identity, "resume", 409)["detail"]
    assert "how much more" in act(ann, identity, "extend", 422)["detail"]
    lab.work()
    assert act(ann, identity, "extend", budget={"runs": 2})["budget"]["runs"] == 4
    assert in_state(ann, identity, "ended")["reason"] == "budget: 4 of 4 runs"
    assert [t["experiment"]["state"] for t in tried(ann, identity)] == ["aborted", "succeeded", "succeeded", "succeeded"]


def test_an_extension_with_a_key_is_added_once(lab: Lab, ann: httpx.Client) -> None:
    identity, other = started(ann, budget={"runs": 2}), started(ann, name="second", budget={"runs": 2})
    more = {"action": "extend", "budget": {"runs": 3}}
    for _ in range(2):
        answer = ann.post(f"/v1/campaigns/{identity}/actions", json=more, headers={"Idempotency-Key": "k"})
        assert answer.json()["budget"]["runs"] == 5
    for which, budget in ((other, {"runs": 3}), (identity, {"runs": 4})):
        answer = ann.post(f"/v1/campaigns/{which}/actions", json=more | {"budget": budget}, headers={"Idempotency-Key": "k"})
        assert "another request" in refused(answer, 422)
    assert [seen(ann, which)["budget"]["runs"] for which in (identity, other)] == [5, 2]
    assert "no limit of money" in act(ann, other, "extend", 422, budget={"money": 1.0})["detail"]


def judged(client: httpx.Client, identity: str, status: int = 200, **words: Any) -> Json:
    answer = client.post(f"/v1/campaigns/{identity}/proposal", json=words)
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


def test_suggestions_wait_for_a_person_who_approves_edits_or_rejects_them(lab: Lab, ann: httpx.Client) -> None:
    lab.work()
    identity = started(ann, approve=True, budget={"runs": 3})
    first = in_state(ann, identity, "waiting")["proposal"]
    assert first["trial"] == 1
    assert "expected" not in first
    assert tried(ann, identity) == []
    judged(ann, identity, trial=1, decision="approve")
    second = in_state(ann, identity, "waiting")["proposal"]
    assert tried(ann, identity)[0]["experiment"]["settings"] == first["settings"]
    assert "no suggestion for trial 1" in judged(ann, identity, 409, trial=1, decision="approve")["detail"]  # sent twice

    judged(ann, identity, trial=2, decision="reject", why="too red")
    other = until(lambda: (now := seen(ann, identity)["proposal"]) and now["settings"] != second["settings"] and now)
    assert other["trial"] == 2
    act(ann, identity, "pause")
    assert "waits" in judged(ann, identity, 409, trial=2, decision="approve")["detail"]
    assert act(ann, identity, "resume")["state"] == "waiting"
    own = {"red": 0.25, "yellow": 0.5, "blue": 0.25, "water": 3.0}
    assert "red = 9" in judged(ann, identity, 422, trial=2, decision="edit", settings=own | {"red": 9.0})["detail"]
    judged(ann, identity, 422, trial=2, decision="edit")
    judged(ann, identity, 422, trial=2, decision="approve", settings=own)
    judged(ann, identity, trial=2, decision="edit", settings=own)

    until(lambda: seen(ann, identity)["proposal"])
    judged(ann, identity, trial=3, decision="approve")
    in_state(ann, identity, "ended")
    assert [t["trial"] for t in tried(ann, identity)] == [1, 2, 3]
    assert tried(ann, identity)[1]["experiment"]["settings"] == own
    log = ann.get(f"/v1/campaigns/{identity}/entries").json()["items"]
    assert [e["kind"] for e in log] == ["proposal", "approval", "proposal", "rejection", "proposal", "approval", "proposal", "approval"]
    assert [e["settings"] for e in log[:4]] == [first["settings"], first["settings"], second["settings"], second["settings"]]
    assert (log[3]["why"], log[3]["by"], log[5]["settings"]) == ("too red", lab.people["Ann"], own)


def test_a_suggestion_that_waits_is_chosen_anew_after_a_correction_or_a_rejection(lab: Lab, ann: httpx.Client) -> None:
    lab.work()
    identity = started(ann, approve=True, budget={"runs": 3}, strategy={"name": "bayesian", "options": {"starts": 1}})
    in_state(ann, identity, "waiting")
    judged(ann, identity, trial=1, decision="approve")
    waiting = until(lambda: seen(ann, identity)["proposal"])
    for words in (
        {"kind": "amendment", "number": 1, "outcomes": {"t_415": 0.125}, "why": "a typing mistake"},
        {"kind": "rejection", "settings": waiting["settings"], "why": "too red"},
    ):
        before = [e["id"] for e in ann.get(f"/v1/campaigns/{identity}/entries", params={"kind": "proposal"}).json()["items"]]
        assert ann.post(f"/v1/campaigns/{identity}/entries", json=words).status_code == 201
        until(lambda: seen(ann, identity)["proposal"])
        after = [e["id"] for e in ann.get(f"/v1/campaigns/{identity}/entries", params={"kind": "proposal"}).json()["items"]]
        assert len(after) == len(before) + 1
    assert seen(ann, identity)["proposal"]["settings"] != waiting["settings"]


def test_a_campaign_whose_trials_all_fail_waits_for_a_person_and_counts_anew_after_that(lab: Lab, ann: httpx.Client) -> None:
    lab.work(error="pump 2 is stuck")
    identity = started(ann, budget={"runs": 7})
    assert in_state(ann, identity, "paused")["reason"] == "5 failed trials in a row, the last one: pump 2 is stuck"
    assert seen(ann, identity)["n_trials"] == 5
    act(ann, identity, "resume")
    whole = in_state(ann, identity, "ended")
    assert (whole["reason"], whole["best"], whole["spent"]["seconds"]) == ("budget: 7 of 7 runs", None, 49.0)
    assert ann.get(f"/v1/campaigns/{identity}/recommendation").json()["settings"] is None


def test_a_campaign_pauses_when_a_trial_is_aborted_the_account_is_empty_or_the_rig_is_stopped(lab: Lab) -> None:
    ann = lab.service(lab.token("Ann", runs=2.0))
    identity = started(ann)
    until(lambda: seen(ann, identity)["n_trials"] == 1)
    ann.post(f"/v1/experiments/{tried(ann, identity)[0]['experiment']['id']}/abort")
    assert "was aborted: aborted by its owner" in in_state(ann, identity, "paused")["reason"]
    lab.work()
    act(ann, identity, "resume")
    assert "is asked for, 0 is left" in until(lambda: seen(ann, identity)["reason"])
    assert (seen(ann, identity)["state"], seen(ann, identity)["n_trials"]) == ("paused", 3)
    lab.database.write_now(lambda c, now: ledger.grant(c, now, lab.people["Ann"], {"runs": 1.0}))
    lab.database.write_now(lambda c, now: c.execute(update(tables.rig).values(state="stopped")))
    act(ann, identity, "resume")
    assert "stopped by the instructor" in until(lambda: seen(ann, identity)["reason"])
    assert [t["trial"] for t in tried(ann, identity)] == [1, 2, 3]


def test_a_campaign_of_the_same_name_goes_on_and_contradicts_nothing(lab: Lab, ann: httpx.Client) -> None:
    lab.work()
    words = {"name": "first", "rig": RIG, "strategy": RANDOM, "seed": 4, "budget": {"runs": 2}}
    identity = started(ann, **words)
    in_state(ann, identity, "ended")
    again = ann.post("/v1/campaigns", json={"name": "first", "rig": RIG, "budget": {"runs": 4}})
    assert (again.status_code, again.json()["id"]) == (202, identity)
    whole = in_state(ann, identity, "ended")
    assert (whole["reason"], whole["seed"], whole["strategy"]["name"]) == ("budget: 4 of 4 runs", 4, "random")
    assert [t["trial"] for t in tried(ann, identity)] == [1, 2, 3, 4]
    for other in ({"seed": 5}, {"strategy": {"name": "sobol"}}, {"goal": "match-color:coral"}, {"mode": "client"}):
        answer = ann.post("/v1/campaigns", json=words | other)
        assert f"was started with {next(iter(other))} " in refused(answer, 409)


def test_impossible_words_are_refused_with_what_to_do(ann: httpx.Client) -> None:
    words = {"name": "first", "rig": RIG}
    wrong: list[tuple[Json, int, str]] = [
        ({"strategy": {"name": "bayesain"}}, 422, "did you mean 'bayesian'"),
        ({"strategy": {"name": "random", "options": {"sed": 1}}}, 422, "there is no option of random 'sed'"),
        ({"strategy": {"name": "straddle"}}, 422, "draws maps"),
        ({"goal": "minimise:cost"}, 422, "did you mean 'minimize'"),
        ({"goal": "minimize:t_41"}, 422, "did you mean 't_415'"),
        ({"budget": {}}, 422, "at least one of"),
        ({"budget": {"runs": 0}}, 422, "#/budget/runs"),
        ({"stop": {"score": "good"}}, 422, "#/stop/score"),
        ({"stop": {"map": 95}}, 422, "#/stop/map"),
        ({"stop": {}}, 422, "#/stop"),
        ({"name": "../x"}, 422, "#/name"),
        ({"rig": "color-9"}, 404, "there is no rig 'color-9'"),
        ({"truth": True}, 422, "#/truth"),
        ({"mode": "client", "strategy": {"name": "mine\u202e"}}, 422, "#/strategy/name"),
        ({"mode": "client", "strategy": {"name": "mine", "options": {"a": "x" * 81}}}, 422, "#/strategy/options"),
        ({"mode": "client", "approve": True}, 422, "leave approve out"),
    ]
    for other, status, text in wrong:
        assert text in refused(ann.post("/v1/campaigns", json=words | other), status)
    assert ann.get("/v1/campaigns").json() == {"items": [], "next": None}


def test_anothers_campaign_answers_exactly_like_a_missing_one(lab: Lab, ann: httpx.Client) -> None:
    lab.work()
    identity = started(ann, budget={"runs": 2})
    in_state(ann, identity, "ended")
    bob = user(str(ann.base_url), lab.token("Bob"), lab.stack)
    settings = tried(ann, identity)[0]["experiment"]["settings"]
    requests: list[tuple[str, str, Json | None]] = [
        ("GET", "", None), ("GET", "/trials", None), ("GET", "/recommendation", None), ("GET", "/entries", None),
        *[("GET", f"/export?format={form}", None) for form in ("csv", "json", "parquet", "svg")],
        ("POST", "/actions", {"action": "stop"}), ("POST", "/proposal", {"trial": 1, "decision": "approve"}),
        ("POST", "/entries", {"kind": "preference", "better": 1, "worse": 2}),
        ("POST", "/entries", {"kind": "retraction", "number": 1, "why": "x"}),
    ]  # fmt: skip
    missing = "c_" + "0" * 20
    for method, path, body in requests:
        theirs, none = (bob.request(method, f"/v1/campaigns/{which}{path}", json=body) for which in (identity, missing))
        assert (theirs.status_code, theirs.text.replace(identity, missing)) == (404, none.text)
    own = [bob.post("/v1/experiments", json={"rig": RIG, "settings": settings, "campaign": which}) for which in (identity, missing)]
    assert (own[0].status_code, own[0].text.replace(identity, missing)) == (404, own[1].text)
    assert bob.get("/v1/campaigns").json()["items"] == []
    assert seen(ann, identity)["n_trials"] == 2


def test_campaigns_are_listed_in_pages_newest_first(ann: httpx.Client) -> None:
    made = [started(ann, name=f"n{k}", mode="client", strategy=None) for k in range(5)]
    act(ann, made[0], "pause")
    found, cursor = [], None
    while True:
        page = ann.get("/v1/campaigns", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        found += [item["id"] for item in page["items"]]
        if not (cursor := page["next"]):
            break
    assert found == made[::-1]
    assert [item["id"] for item in ann.get("/v1/campaigns?state=paused").json()["items"]] == made[:1]


def test_experiments_of_a_program_are_kept_together_in_a_campaign_of_its_own(lab: Lab, ann: httpx.Client) -> None:
    settings = {"red": 0.25, "yellow": 0.5, "blue": 0.25, "water": 3.0}
    identity = started(ann, mode="client", strategy={"name": "my own"})
    server = started(ann, name="second")
    order = {"rig": RIG, "settings": settings, "campaign": identity}

    def submit(**words: Any) -> Any:
        return ann.post("/v1/experiments", json=order | words)

    assert [submit(trial=1).json()["trial"], submit().json()["trial"]] == [1, 2]
    assert "the next trial of campaign 'first' has a number from 3 on, not 2" in refused(submit(trial=2), 409)
    assert submit(trial=5).json()["trial"] == 5  # 3 and 4 were done by hand
    assert "is run by the server" in refused(submit(campaign=server), 409)
    assert "of which campaign" in refused(submit(campaign=None, trial=1), 422)
    lab.work()
    until(lambda: all(t["score"] is not None for t in tried(ann, identity)))
    assert (seen(ann, identity)["spent"]["runs"], seen(ann, identity)["n_trials"]) == (3, 5)
    assert [(t["trial"], t["experiment"]["settings"]) for t in tried(ann, identity)] == [(1, settings), (2, settings), (5, settings)]
    assert ann.get(f"/v1/campaigns/{identity}/recommendation").json()["n_trials"] == 3
    act(ann, identity, "stop")
    assert "is ended" in refused(submit(trial=6), 409)


def test_what_a_person_says_is_kept_in_the_log_and_respected(lab: Lab, ann: httpx.Client) -> None:
    lab.work()
    identity = started(ann, budget={"runs": 3})
    in_state(ann, identity, "ended")
    where, best = f"/v1/campaigns/{identity}/entries", seen(ann, identity)["best"]
    measured = [t["experiment"]["outcomes"] for t in tried(ann, identity)]
    other = next(k for k in (1, 2, 3) if k != best["trial"])
    before = ann.get(f"/v1/campaigns/{identity}/recommendation").json()

    def say(**words: Any) -> Any:
        return ann.post(where, json=words)

    assert say(kind="preference", better=1, worse=2, why="clearer").status_code == 201
    assert say(kind="amendment", number=other, outcomes={"t_415": 0.125}, why="a typing mistake").status_code == 201
    retracted = ann.post(where, json={"kind": "retraction", "number": best["trial"], "why": "a bubble"}, headers={"Idempotency-Key": "r"})
    again = ann.post(where, json={"kind": "retraction", "number": best["trial"], "why": "a bubble"}, headers={"Idempotency-Key": "r"})
    assert (retracted.status_code, again.json()) == (201, retracted.json())
    assert retracted.json()["by"] == lab.people["Ann"]
    for words, sentence in (
        ({"kind": "retraction", "number": best["trial"], "why": "x"}, "which is final"),
        ({"kind": "amendment", "number": best["trial"], "outcomes": {"t_415": 0.1}, "why": "x"}, "which is final"),
        ({"kind": "retraction", "number": 9, "why": "x"}, "there is no trial 9: they go from 1 to 3"),
        ({"kind": "retraction", "number": other}, "say why"),
        ({"kind": "retraction", "number": other, "better": 1, "why": "x"}, "takes number, besides why"),
        ({"kind": "amendment", "number": other, "outcomes": {"t_4": 0.1}, "why": "x"}, "t_4 unknown"),
        ({"kind": "preference", "better": other, "worse": best["trial"]}, "has no reading"),
        ({"kind": "preference", "better": 1, "worse": 1}, "two different"),
    ):
        assert sentence in refused(say(**words), 422)
    found = {t["trial"]: t for t in tried(ann, identity)}
    assert (found[best["trial"]]["score"], found[best["trial"]]["correction"]["kind"]) == (None, "retracted")
    assert found[other]["correction"] == {
        "kind": "amended", "why": "a typing mistake", "outcomes": measured[other - 1] | {"t_415": 0.125}
    }  # fmt: skip
    assert [t["experiment"]["outcomes"] for t in found.values()] == measured
    assert seen(ann, identity)["best"]["trial"] != best["trial"]
    assert ann.get(f"/v1/campaigns/{identity}/recommendation").json() != before
    kinds = [e["kind"] for e in ann.get(where).json()["items"]]
    assert kinds == ["preference", "amendment", "retraction"]
    first = ann.get(where, params={"limit": 1}).json()
    rest = ann.get(where, params={"cursor": first["next"]}).json()
    assert ([e["kind"] for e in first["items"] + rest["items"]], rest["next"]) == (kinds, None)
    assert [e["number"] for e in ann.get(where, params={"kind": "retraction"}).json()["items"]] == [best["trial"]]
    told = [e["kind"] for e in ann.get("/v1/events", params={"campaign": identity, "limit": 200}).json()["items"]]
    assert {"campaign.preferred", "campaign.amended", "campaign.retracted"} <= set(told)
    export = ann.get(f"/v1/campaigns/{identity}/export", params={"format": "json"}).json()
    assert export["trials"][best["trial"] - 1]["correction"] == "retracted: a bubble"
    assert export["trials"][best["trial"] - 1]["original"] == measured[best["trial"] - 1]
    assert [e["kind"] for e in export["entries"]] == kinds
    _, token = lab.database.write_now(lambda c, now: tokens.add_token(c, now, lab.people["Ann"], ["read"]))
    reads = user(str(ann.base_url), token, lab.stack)
    assert reads.get(where).status_code == 200
    assert reads.post(where, json={"kind": "retraction", "number": other, "why": "x"}).status_code == 403


def test_a_campaign_is_taken_home_with_the_provenance_of_every_trial(lab: Lab, ann: httpx.Client) -> None:
    lab.work()
    identity = started(ann)
    in_state(ann, identity, "ended")
    trials = tried(ann, identity)

    def export(form: str) -> Any:
        return ann.get(f"/v1/campaigns/{identity}/export", params={"format": form})

    answer = export("csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="first.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    whole = export("json").json()
    assert whole["campaign"] == seen(ann, identity)
    for trial, row, record in zip(trials, rows, whole["trials"], strict=True):
        experiment = trial["experiment"]
        for found in (row, record):
            assert int(found["number"]) == trial["trial"]
            assert (found["campaign"], found["strategy"], int(found["seed"])) == ("first", whole["campaign"]["strategy"]["name"], 0)
            assert float(found["score"]) == trial["score"]
            assert {k: float(found[k]) for k in experiment["settings"]} == experiment["settings"]
            assert {k: float(found[k]) for k in experiment["outcomes"]} == experiment["outcomes"]
            assert float(found["seconds"]) == experiment["cost"]["seconds"]
            assert (found["experiment"], found["rig"]) == (experiment["id"], RIG)
        assert record["raw"] == json.loads(row["raw"]) == experiment["raw"]
        assert record["provenance"] == json.loads(row["provenance"]) == experiment["provenance"] != {}
    picture = export("svg")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert "Best so far" in picture.text or "</svg>" in picture.text
    refused(export("xlsx"), 422)


@ON_SQLITE
def test_a_parquet_file_has_what_the_csv_has_and_where_it_cannot_be_written_the_answer_says_so(
    lab: Lab, ann: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.work()
    identity = started(ann, budget={"runs": 2})
    in_state(ann, identity, "ended")
    answer = ann.get(f"/v1/campaigns/{identity}/export?format=parquet")
    rows = parquet.read_table(io.BytesIO(answer.content)).to_pylist()
    kept = ann.get(f"/v1/campaigns/{identity}/export?format=json").json()["trials"]
    assert [r | {"raw": json.loads(r["raw"]), "provenance": json.loads(r["provenance"])} for r in rows] == kept
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pyarrow" in refused(ann.get(f"/v1/campaigns/{identity}/export?format=parquet"), 501)


def test_two_services_on_one_database_try_nothing_twice(lab: Lab) -> None:
    ann = lab.service(lab.token("Ann"))
    lab.service(lab.token("Bob"))
    lab.work()
    many = [started(ann, name=f"n{k}", budget={"runs": 6}) for k in range(4)]
    for identity in many:
        in_state(ann, identity, "ended")
        trials = tried(ann, identity)
        assert [t["trial"] for t in trials] == [1, 2, 3, 4, 5, 6]
        assert len({json.dumps(t["experiment"]["settings"]) for t in trials}) == 6


def test_a_process_claims_no_more_campaigns_than_it_can_think_about(lab: Lab, ann: httpx.Client) -> None:
    many = [started(ann, name=f"n{k}", strategy=None) for k in range(6)]
    claimed = select(func.count()).where(tables.campaign.c.thinker.is_not(None))
    seen_at_once = set()

    def is_tried() -> bool:
        seen_at_once.add(lab.database.read_now(lambda c: c.execute(claimed).scalar_one()))
        return all(lab.database.read_now(lambda c, i=identity: campaigns.n_trials(c, i)) for identity in many)  # type: ignore[misc]

    until(is_tried)
    assert max(seen_at_once) == 1


def test_a_campaign_that_is_too_large_is_not_thought_about(lab: Lab) -> None:
    """A question about 1,500 trials took a minute of a process, and seconds of the service to be written down."""
    ann = lab.service(lab.token("Ann"), most_trials=3)
    lab.work()
    mine = started(ann, name="mine", mode="client")
    for _ in range(4):
        words = {"rig": RIG, "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}, "campaign": mine}
        assert ann.post("/v1/experiments", json=words, headers={"Prefer": "wait=30"}).status_code == 201
    for question in ("recommendation", "export?format=svg"):
        detail = refused(ann.get(f"/v1/campaigns/{mine}/{question}"), 409)
        assert detail == (
            "campaign 'mine' has 4 trials and this service thinks about 3 at most; export it, and think about it on a machine of your own"
        )
    assert len(list(csv.DictReader(io.StringIO(ann.get(f"/v1/campaigns/{mine}/export").text)))) == 4
    body = {"name": "learns", "rig": RIG, "strategy": RANDOM, "earlier": {"mine": "same"}}
    assert "has 4 trials" in refused(ann.post("/v1/campaigns", json=body), 409)

    theirs = started(ann, name="theirs")
    whole = in_state(ann, theirs, "paused")
    assert whole["n_trials"] == 4
    assert "'theirs' has 4 trials" in whole["reason"]
    act(ann, theirs, "resume")
    assert in_state(ann, theirs, "paused")["n_trials"] == 4
    small = started(ann, name="small", budget={"runs": 3})
    assert in_state(ann, small, "ended")["reason"] == "budget: 3 of 3 runs"
    assert ann.get(f"/v1/campaigns/{small}/recommendation").json()["n_trials"] == 3


def test_a_log_that_is_too_long_is_not_thought_about(lab: Lab) -> None:
    ann = lab.service(lab.token("Ann"), most_trials=1)
    identity = started(ann, name="mine", mode="client")
    body = {"kind": "rejection", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.1, "water": 3.6}}
    for _ in range(5):
        assert ann.post(f"/v1/campaigns/{identity}/entries", json=body).status_code == 201
    assert "has 5 entries in its log" in refused(ann.get(f"/v1/campaigns/{identity}/recommendation"), 409)


SERVICE = """
import asyncio, sys
from api.records import campaigns
from api.app import in_background
from api.workers.campaign_runner import CampaignRunner
from api.service import opened
from api.settings import Settings

campaigns.THINKING = 0.5  # s until another takes over what a killed one had begun to think about

async def main():
    settings = Settings(url=sys.argv[1], poll=0.02, thinkers=1)
    async with opened(settings) as one, in_background(CampaignRunner(one.database, one.news, one.rigs, one.strategies, 500).run()):
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.timing
def test_a_service_killed_in_the_middle_leaves_campaigns_that_go_on_with_the_same_numbering(lab: Lab) -> None:
    token = lab.token("Ann")
    with ExitStack() as first:  # takes the order and is gone
        identity = started(user(first.enter_context(serving(lab.url)), token, first), seed=5, budget={"runs": 9})
    lab.work()

    def trials() -> list[ExperimentRow]:
        return lab.database.read_now(lambda c: campaigns.rows_of(c, identity))

    for killed in range(1, 4):
        server = forked.Process([sys.executable, "-c", SERVICE, lab.url])
        try:
            until(lambda k=killed, s=server: len(trials()) >= 3 * k or s.poll() is not None)  # type: ignore[misc]
            assert server.poll() is None
            thinkers = _children(server.pid)
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait()
        until(lambda pids=thinkers: not any(Path(f"/proc/{pid}").exists() for pid in pids))  # type: ignore[misc]
    until(lambda: len(trials()) >= 9 and all(row.state == "succeeded" for row in trials()))
    rows = trials()
    assert [row.trial for row in rows] == list(range(1, 10))
    assert [row.settings for row in rows] == on_the_desk("random", 5, 9)


def _children(pid: int) -> list[int]:
    """The processes that a process has started, where the system says so."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(p) for p in path.read_text().split()] if path.exists() else []


def test_an_account_never_pays_for_a_suggestion_that_was_not_queued(lab: Lab) -> None:
    ann = lab.service(lab.token("Ann", seconds=1.0))
    identity = started(ann)
    assert "seconds" in in_state(ann, identity, "paused")["reason"]
    balance = lab.database.read_now(lambda c: ledger.balance(c, lab.people["Ann"]))
    assert balance["seconds"] == 1.0
    assert tried(ann, identity) == []
