"""The client: what it asks, when it asks again, and a rig of a service as a driver, whichever side is killed."""

import asyncio
import json
import logging
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frugaltwin import catalog
from frugaltwin.budget import Budget
from frugaltwin.campaign import Campaign
from frugaltwin.client.client import AsyncClient, Client
from frugaltwin.client.protocol import Reply
from frugaltwin.client.remote_driver import RemoteDriver
from frugaltwin.client.resources import Event
from frugaltwin.client.token_file import keep_token
from frugaltwin.errors import (
    CampaignError,
    FrugalTwinError,
    InvalidInput,
    LinkError,
    MissingPart,
    Refused,
    RigFault,
    Stopped,
    StoreError,
    UnknownName,
)
from frugaltwin.plugins import Attempt, Driver, Estimates, Fingerprints, KnowsTruth, PerformsOnce, Prices, Resumes
from frugaltwin.store import CampaignRecord, Store, experiment_to_json
from tests import forked
from tests.conftest import command, events
from tests.service_database import until

SETTINGS = {"red": 0.2, "yellow": 0.3, "blue": 0.1, "water": 3.4}
MIX = json.dumps(SETTINGS)


class ServeProcess:
    """`frugaltwin serve` with one twin, in a process that may be killed and started again where it was."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = 0
        self.address = self.token = self.code = ""
        self.start()

    def start(self) -> None:
        options = ["--database", f"sqlite:///{self._folder}/service.db", "--reports", self._folder / "reports"]
        with open(self._folder / "serve.log", "a") as log:
            self._process = forked.Process(
                command("serve", "--port", self._port, "--json", "--rig", "color-1=color-mixing", *options),
                cwd=self._folder, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, (self._folder / "serve.log").read_text()
        words = json.loads(line)
        self.address, self._port = words["address"], int(words["address"].rpartition(":")[2])
        self.token, self.code = words["token"] or self.token, words["join_code"] or self.code

    def end(self, number: int = signal.SIGTERM) -> None:
        self._process.send_signal(number)
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def rig(self) -> str:
        return f"{self.address}/rigs/color-1"

    def turn(self, action: str) -> None:
        """Pause the rig, or open it."""
        import httpx

        own = {"Authorization": f"Bearer {self.token}"}
        httpx.post(f"{self.address}/v1/rigs/color-1/{action}", headers=own, timeout=30).raise_for_status()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The rig begins nothing meanwhile."""
        self.turn("pause")
        try:
            yield
        finally:
            self.turn("open")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    """A service that nobody kills."""
    service = ServeProcess(tmp_path_factory.mktemp("service"))
    yield service
    service.end()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServeProcess]:
    """A service of the test's own."""
    folder = tmp_path / "service"
    folder.mkdir()
    process = ServeProcess(folder)
    yield process
    process.end()


@pytest.fixture
def client(shared: ServeProcess) -> Iterator[Client]:
    with Client(shared.address, shared.token) as client:
        yield client


@pytest.fixture(autouse=True)
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No token of whoever runs the tests."""
    monkeypatch.delenv("FRUGALTWIN_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


Answer = tuple[int, dict[str, str], str] | None
"""Status, headers and body; or the connection is closed without an answer."""


class Peer:
    """A server on this machine that gives the answers it was told, the last one over and over, and keeps what it was asked."""

    def __init__(self, answers: list[Answer]) -> None:
        self.answers = answers
        self.of_path: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, str], str]] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                peer.asked.append((f"{self.command} {self.path}", {k.lower(): v for k, v in self.headers.items()}, body))
                answer = peer.of_path.get(peer.asked[-1][0]) or (peer.answers.pop(0) if len(peer.answers) > 1 else peer.answers[0])
                if answer is None:
                    return
                status, headers, text = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            do_POST = do_GET

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def answering(*answers: Answer) -> Iterator[Peer]:
    peer = Peer(list(answers))
    try:
        yield peer
    finally:
        peer.close()


def ok(body: object) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(body)


def problem(status: int, name: str, retryable: bool = False, **headers: str) -> Answer:
    body = {"type": f"https://frugaltwin.invalid/problems/{name}", "title": "", "status": status, "retryable": retryable}
    return status, headers, json.dumps(body | {"detail": f"{name}: do something"})


ME = {"person": "u_1", "name": "Ada", "role": "student", "scopes": ["read"], "budget": {}}


def submission(state: str, **more: object) -> dict[str, Any]:
    body = {"id": "x_1", "rig": "color-1", "state": state, "settings": SETTINGS, "created_at": 1.0}
    return body | {"estimate": {"seconds": 90.0, "money": 0.1, "volume": 20.0}} | more


CAMPAIGN = {"id": "c_1", "name": "poor", "rig": "color-1", "mode": "client", "state": "running", "goal": "", "n_trials": 0}


def rig(state: str = "open") -> dict[str, Any]:
    experiment = experiment_to_json(catalog.make_driver("color-mixing").experiment)
    return {"name": "color-1", "driver": "color-mixing", "is_real": False, "is_allowed": True, "state": state, "experiment": experiment}


# ---- what is asked --------------------------------------------------------------------------------------------------------


def test_a_newcomer_joins_performs_and_reads(shared: ServeProcess) -> None:
    with Client(shared.address) as client:
        with pytest.raises(Refused, match="no token"):
            client.me()
        joined = client.join(shared.code, "Ada", keep=True)
        me = client.me()
        assert (me.person, me.name, me.role) == (joined.person, "Ada", "student")
        quote = client.price("color-1", SETTINGS)
        assert quote.allowed
        of_numpy: dict[str, Any] = {"red": np.int64(1), "yellow": np.float32(0.25), "blue": np.float64(0.5), "water": 2.25}
        assert client.price("color-1", of_numpy).allowed
        done = client.submit("color-1", SETTINGS, wait=60)
        assert done.state == "succeeded"
        assert done.outcomes
        assert set(done.outcomes) == {o.name for o in client.rig("color-1").experiment.outcomes}
        assert done.cost
        assert 0 < done.cost.seconds <= quote.estimate.seconds
        again = [client.submit("color-1", SETTINGS, key="mine").id for _ in range(2)]
        assert len(set(again)) == 1
        assert [x.id for x in client.experiments()] == [again[0], done.id]
    with Client(shared.address) as client:  # with the token that was kept
        assert client.me().person == joined.person
        with pytest.raises(InvalidInput, match="you have joined, and need not again"):
            client.join(shared.code, "Ada", keep=True)
        assert client.me().person == joined.person
        assert [r.name for r in client.rigs()] == ["color-1"]


def test_many_things_at_once_without_threads(shared: ServeProcess) -> None:
    async def work() -> list[str]:
        async with AsyncClient(shared.address) as client:
            await client.join(shared.code, "Grace")
            done = await asyncio.gather(*(client.submit("color-1", SETTINGS, wait=60) for _ in range(5)))
            known = [x.id async for x in client.experiments()]
            assert sorted(x.id for x in done) == sorted(known)
            kinds: list[str] = []
            async for event in client.events(after=0, experiment=known[0]):
                kinds.append(event.kind)
                if event.kind == "experiment.succeeded":
                    break
            return kinds

    kinds = asyncio.run(work())
    assert kinds == ["experiment.queued", "experiment.running", "experiment.succeeded"]


def test_a_campaign_on_the_service_is_started_followed_extended_and_read(client: Client) -> None:
    campaign = client.start_campaign("reef", "color-1", "match-color:coral", "random", budget=2)
    seen = []
    for event in client.events(after=0, campaign=campaign.id):
        seen.append(event)
        if event.kind == "campaign.ended":
            break
    assert [e.id for e in seen] == sorted({e.id for e in seen})
    assert [t.trial for t in client.trials(campaign.id)] == [1, 2]
    extended = client.act(campaign.id, "extend", budget=1)
    assert (extended.id, extended.name, extended.mode) == (campaign.id, "reef", "server")
    for event in client.events(after=seen[-1].id, campaign=campaign.id):
        if event.kind == "campaign.ended":
            break
    ended = client.campaign(campaign.id)
    assert (ended.state, ended.n_trials) == ("ended", 3)
    scores = [t.score for t in client.trials(campaign.id)]
    assert ended.best
    assert ended.best.score == min(s for s in scores if s is not None)
    with pytest.raises(Refused, match="has ended"):
        client.act(campaign.id, "pause")


def test_another_sort_of_server_is_named_as_that() -> None:
    with answering((200, {}, "<html>")) as peer, Client(peer.address, "t") as client, pytest.raises(LinkError, match="not as a service"):
        client.me()
    with answering(ok({"name": "x"})) as peer, Client(peer.address, "t") as client, pytest.raises(LinkError, match="without a sensible"):
        client.me()


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (401, "unauthorized", Refused),
        (402, "budget-exhausted", Refused),
        (403, "forbidden", Refused),
        (404, "not-found", UnknownName),
        (409, "conflict", Refused),
        (413, "too-large", InvalidInput),
        (415, "unsupported-media-type", InvalidInput),
        (422, "invalid-input", InvalidInput),
        (422, "unknown-name", UnknownName),
        (429, "too-many-requests", Refused),
        (501, "missing-part", MissingPart),
        (503, "not-stored", StoreError),
        (503, "rig-offline", LinkError),
    ],
)
def test_a_problem_document_becomes_the_error_it_is_and_keeps_its_sentence(status: int, name: str, kind: type[FrugalTwinError]) -> None:
    answer, sentence = problem(status, name), f"^{name}: do something$"
    with answering(answer) as peer, Client(peer.address, "t", 0) as client, pytest.raises(kind, match=sentence) as caught:
        client.me()
    assert caught.value.problem
    assert caught.value.problem["status"] == status


# ---- when it is asked again -----------------------------------------------------------------------------------------------


def waiting(peer: Peer, patience: float = 30.0) -> tuple[Client, list[float]]:
    """A client that does not wait, and how long it would have."""
    pauses: list[float] = []
    return Client(peer.address, "t", patience, pauses.append), pauses


@pytest.mark.parametrize("failure", [None, problem(503, "not-stored", True), (502, {}, "<html>bad gateway")], ids=["broken", "503", "502"])
def test_what_does_no_harm_is_asked_again_and_nothing_else_is(failure: Answer) -> None:
    with answering(failure, failure, ok(ME)) as peer:
        client, pauses = waiting(peer)
        with client:
            assert client.me().name == "Ada"
        assert len(peer.asked) == 3
        assert len(pauses) == 2
    with answering(failure, failure, ok(submission("queued"))) as peer:
        client, _ = waiting(peer)
        with client:
            client.submit("color-1", SETTINGS)
        keys = {headers["idempotency-key"] for _, headers, _ in peer.asked}
        assert (len(peer.asked), len(keys)) == (3, 1)
    with answering(failure, ok(submission("aborted"))) as peer:
        client, _ = waiting(peer)
        with client, pytest.raises(FrugalTwinError):
            client.abort("x_1")  # it may have been done
        assert len(peer.asked) == 1


def test_a_problem_that_will_not_pass_is_not_asked_again() -> None:
    with answering(problem(422, "invalid-input"), ok(ME)) as peer:
        client, pauses = waiting(peer)
        with client, pytest.raises(InvalidInput):
            client.me()
        assert (len(peer.asked), pauses) == (1, [])


def test_it_waits_as_long_as_it_is_asked_to_and_not_longer_than_its_patience() -> None:
    slow = problem(429, "too-many-requests", True, **{"Retry-After": "7"})
    with answering(slow, ok(submission("aborted"))) as peer:
        client, pauses = waiting(peer)
        with client:
            client.abort("x_1")  # nothing was done yet, so this may be sent again
        assert pauses == [7.0]
    with answering(slow) as peer:
        client, pauses = waiting(peer, patience=5.0)
        with client, pytest.raises(Refused):
            client.me()
        assert (len(peer.asked), pauses) == (1, [])


def test_waits_grow_and_differ() -> None:
    failure = problem(503, "not-stored", True)
    with answering(*[failure] * 40, ok(ME)) as peer:
        client, pauses = waiting(peer)
        with client:
            client.me()
    assert len(set(pauses)) == 40
    assert max(pauses[:3]) < 1.0 < max(pauses[8:]) <= 10.0


def test_events_go_on_after_the_last_one_when_the_stream_breaks() -> None:
    def frame(number: int) -> str:
        body = {"id": number, "kind": "experiment.queued", "at": 1.0, "body": {}, "rig": None, "campaign": None, "experiment": "x"}
        return f"id: {number}\nevent: experiment.queued\ndata: {json.dumps(body)}\n\n"

    stream = {"Content-Type": "text/event-stream"}
    first = (200, stream, f'retry: 1000\nid: 4\n\n:\n\n{frame(5)}{frame(6)}id: 7\ndata: {{"cut')
    with answering(first, problem(503, "not-stored", True), (200, stream, frame(7) + frame(8)), problem(401, "unauthorized")) as peer:
        client, _ = waiting(peer)
        with client:
            events_ = client.events(after=4)
            assert [next(events_).id for _ in range(4)] == [5, 6, 7, 8]
            with pytest.raises(Refused):
                next(events_)
        assert [headers["last-event-id"] for _, headers, _ in peer.asked] == ["4", "6", "6", "8"]


# ---- the token ------------------------------------------------------------------------------------------------------------


def test_a_token_is_in_its_header_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    token = "ft_secret-enough"
    caplog.set_level(logging.DEBUG)
    with answering(ok(ME), problem(401, "unauthorized")) as peer, Client(peer.address, token) as client:
        client.me()
        with pytest.raises(Refused) as caught:
            client.me()
        assert peer.asked[0][1]["authorization"] == f"Bearer {token}"
        assert token not in peer.asked[0][0] + repr(client) + repr(caught.value) + caplog.text
        assert token not in repr(RemoteDriver(f"{peer.address}/rigs/a", token))


def test_a_kept_token_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = keep_token("ft_one")
    assert path.is_relative_to(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    with answering(ok(ME)) as peer, Client(peer.address) as client:
        client.me()
        assert peer.asked[0][1]["authorization"] == "Bearer ft_one"
    path.chmod(0o644)
    with pytest.raises(InvalidInput, match="chmod 600"):
        Client("http://127.0.0.1:9")
    keep_token("ft_two")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_token_that_cannot_be_one_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for bad in ("ft_a\nX-Other: b", "ft_ä", "", "x" * 300):
        with pytest.raises(InvalidInput) as caught:
            Client("http://127.0.0.1:9", bad)
        assert not bad or bad not in str(caught.value)
    monkeypatch.setenv("FRUGALTWIN_TOKEN", "two words")
    with pytest.raises(InvalidInput, match="FRUGALTWIN_TOKEN"):
        Client("http://127.0.0.1:9")


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://h", "http://", "http://u:secret@h", "http://h:99999", "http://h?token=secret"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Client(url)
    assert "secret" not in str(caught.value)


# ---- a rig as a driver ----------------------------------------------------------------------------------------------------


def remote(shared: ServeProcess) -> RemoteDriver:
    return RemoteDriver(shared.rig, shared.token)


def test_a_rig_of_a_service_is_a_driver_that_knows_no_truth(shared: ServeProcess) -> None:
    driver = remote(shared)
    for protocol in (Driver, Prices, Estimates, PerformsOnce, Fingerprints):
        assert isinstance(driver, protocol)
    assert not isinstance(driver, KnowsTruth | Resumes)
    assert driver.experiment == catalog.make_driver("color-mixing").experiment
    with pytest.raises(Stopped):
        driver.perform(SETTINGS)
    with driver:
        expected = driver.estimate(SETTINGS)
        measurement = driver.perform(SETTINGS)
        assert list(driver.experiment.check_outcomes(measurement.outcomes)) == [o.name for o in driver.experiment.outcomes]
        assert 0 < measurement.cost.seconds <= expected.seconds
        price = driver.price()
        assert price is not None
        assert price([SETTINGS] * 441)["seconds"] == pytest.approx(expected.seconds)
        driver.stop()
        with pytest.raises(Stopped):
            driver.perform(SETTINGS)
    driver.__exit__(None, None, None)
    with driver:
        driver.perform(SETTINGS)


def attempt(campaign: str, number: int, **words: Any) -> Attempt:
    """A trial of a campaign whose store has this id for it."""
    whole = {"name": "by-hand", "goal": "match-color:coral", "strategy": {"name": "mine", "options": {}}, "seed": 0}
    return Attempt(campaign, number, whole | {"budget": {"runs": 10}, "stop": None} | words)


def test_a_trial_is_performed_once_in_whatever_process(shared: ServeProcess) -> None:
    first, second, other = remote(shared), remote(shared), SETTINGS | {"red": 0.25, "water": 3.35}
    with first, second:
        assert first.announce(attempt("b00b", 1)) is None
        one = first.perform(SETTINGS)
        assert second.announce(attempt("b00b", 1)) == SETTINGS
        assert second.perform(SETTINGS) == one
        assert second.announce(attempt("b00b", 2)) is None
        assert second.perform(SETTINGS).raw["experiment"] != one.raw["experiment"]
        first.announce(attempt("b00b", 2))  # which it has not heard of
        with pytest.raises(Refused, match="a number from 3 on"):
            first.perform(other)
        first.announce(attempt("b00b", 4))  # 3 was told by hand
        assert first.perform(other).raw["experiment"] != one.raw["experiment"]
        assert second.perform(SETTINGS).raw["experiment"] != second.perform(SETTINGS).raw["experiment"]
    with Client(shared.address, shared.token) as client:
        (kept,) = [c for c in client.campaigns() if c.name.startswith("by-hand")]
        assert [t.trial for t in client.trials(kept.id)] == [1, 2, 4]


def test_the_client_starts_a_campaign_with_several_goals_and_reads_its_front(client: Client) -> None:
    goals = ["match-color:coral", "minimize:money"]
    campaign = client.start_campaign("choice", "color-1", goals, "random", budget=3, require=["volume <= 1000"])
    for event in client.events(after=0, campaign=campaign.id):
        if event.kind == "campaign.ended":
            break
    ended = client.campaign(campaign.id)
    assert ended.best is None
    assert ended.front
    trials = {t.trial: t for t in client.trials(campaign.id)}
    assert all(t == trials[t.trial] and t.values["meets"] for t in ended.front)
    assert ended.result.startswith(f"front: {len(ended.front)} of 3 experiments")


def test_a_campaign_that_contradicts_the_one_of_the_service_is_refused(shared: ServeProcess) -> None:
    with remote(shared) as driver:
        driver.announce(attempt("b00c", 1))
    for words, says in (({"seed": 1}, "started with seed 0, not 1"), ({"goal": "maximize:t_515"}, "started with goal match-color:")):
        with remote(shared) as driver, pytest.raises(Refused, match=says):
            driver.announce(attempt("b00c", 1, **words))
    with remote(shared) as driver, pytest.raises(UnknownName, match="no goal"):
        driver.announce(attempt("b00d", 1, goal="my-own:7"))


@pytest.mark.parametrize("goal", ["map:t_515:0.5", "maximize:t_515", "match-color:coral"])
def test_a_campaign_of_one_s_own_is_seen_at_the_service_with_its_goal_strategy_and_trials(
    shared: ServeProcess, tmp_path: Path, goal: str
) -> None:
    name, shown = f"seen: {goal.partition(':')[0]}", f"seen-{goal.partition(':')[0]}-"
    driver = remote(shared)
    made = catalog.make_goal(goal, driver)
    campaign = Campaign(name, driver, made, catalog.make_strategy("random"), Store(":memory:"), Budget(runs=2, volume=500.0))
    campaign.tell(SETTINGS, None, error="spilled")  # by hand: the service never hears of it
    trials = list(campaign.run())
    with Client(shared.address, shared.token) as client:
        (found,) = [c for c in client.campaigns() if c.name.startswith(shown)]
        assert (found.mode, found.rig, found.goal, found.seed) == ("client", "color-1", made.text, 0)
        assert found.state == "paused"  # until it is run again
        assert found.strategy == {"name": "RandomSearch", "options": {}}
        assert (found.budget["runs"], found.budget["volume"]) == (2, 500.0)
        assert [(t.trial, t.experiment.settings, t.score) for t in client.trials(found.id)] == [
            (t.number, t.settings, campaign.score(t)) for t in trials
        ]
        body = json.loads(client.export(found.id, tmp_path / "seen.json").read_text())
        assert [row["number"] for row in body["trials"]] == [t.number for t in trials] == [2]


def test_a_trial_that_was_begun_with_other_settings_is_taken_up_as_it_was(shared: ServeProcess) -> None:
    driver, store = remote(shared), Store(":memory:")
    goal = catalog.make_goal("match-color:coral", driver)
    campaign = Campaign("odd", driver, goal, catalog.make_strategy("random"), store, Budget(runs=2))
    store.create(CampaignRecord("odd", "", campaign.specification | {"id": "b00e"}))
    words = {k: campaign.specification[k] for k in ("goal", "strategy", "seed")} | {"name": "odd"}
    with remote(shared) as killed:  # before it could store its trial
        killed.announce(attempt("b00e", 1, **words))
        begun = killed.perform(SETTINGS)
    trials = list(campaign.run())
    assert [t.settings == SETTINGS for t in trials] == [True, False]
    assert trials[0].measurement == begun


def in_thread(call: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Do something meanwhile; what it gave or raised."""
    came: list[object] = []

    def keep() -> None:
        try:
            came.append(call())
        except FrugalTwinError as error:
            came.append(error)

    thread = threading.Thread(target=keep)
    thread.start()
    return thread, came


def test_stop_takes_the_experiment_back_that_is_in_flight(shared: ServeProcess) -> None:
    with Client(shared.address) as client, shared.paused():
        own = client.join(shared.code, "Hedy").token
        with RemoteDriver(shared.rig, own) as driver:
            thread, came = in_thread(lambda: driver.perform(SETTINGS))
            until(lambda: any(x.state == "queued" for x in client.experiments()))
            driver.stop()
            thread.join(15)
        assert not thread.is_alive()
        assert isinstance(came[0], Stopped)
        assert came[0].cost.seconds == 0  # it had not begun
        assert [x.state for x in client.experiments()] == ["aborted"]


@pytest.mark.parametrize(
    ("end", "kind", "words", "seconds"),
    [
        ({"state": "failed", "error": "a channel is saturated", "cost": {"seconds": 5.0}, "started_at": 2.0}, RigFault, "saturated", 5.0),
        ({"state": "aborted", "error": "aborted by Ada", "started_at": 2.0}, Stopped, "aborted by Ada", 90.0),
        ({"state": "unknown", "error": "its worker was lost", "started_at": 2.0}, RigFault, "look at the rig", 90.0),
    ],
)
def test_an_end_without_a_reading_is_the_error_that_it_is(end: dict[str, Any], kind: type, words: str, seconds: float) -> None:
    with answering(ok(rig()), ok(submission(**end))) as peer, RemoteDriver(f"{peer.address}/rigs/color-1", "t") as driver:
        with pytest.raises(kind, match=words) as caught:
            driver.perform(SETTINGS)
        assert caught.value.cost.seconds == seconds  # type: ignore[attr-defined]


def test_a_rig_that_is_not_there_is_not_entered() -> None:
    with answering(ok(rig("offline"))) as peer, pytest.raises(LinkError, match="offline"):
        RemoteDriver(f"{peer.address}/rigs/color-1", "t", outage=0).__enter__()
    with answering(ok(rig("stopped"))) as peer, pytest.raises(RigFault, match="stopped"):
        RemoteDriver(f"{peer.address}/rigs/color-1", "t").__enter__()


def test_it_does_not_wait_for_ever_and_takes_back_what_was_not_done_in_time() -> None:
    with answering(ok(submission("queued", waiting_because="3 go before it"))) as peer:
        peer.of_path["GET /v1/rigs/color-1"] = ok(rig())
        peer.of_path["POST /v1/experiments/x_1/abort"] = ok(submission("aborted"))
        with RemoteDriver(f"{peer.address}/rigs/color-1", "t", patience=0.01) as driver, pytest.raises(LinkError, match="3 go before it"):
            driver.perform(SETTINGS)
        assert peer.asked[-1][0] == "POST /v1/experiments/x_1/abort"


def test_a_rig_that_goes_offline_is_not_waited_for_longer_than_an_outage() -> None:
    with answering(ok(submission("queued", waiting_because="its rig is offline"))) as peer:
        peer.of_path["GET /v1/rigs/color-1"] = ok(rig())
        peer.of_path["POST /v1/experiments/x_1/abort"] = ok(submission("aborted"))
        with RemoteDriver(f"{peer.address}/rigs/color-1", "t", patience=600, outage=0) as driver:
            driver.look = 0.01
            peer.of_path["GET /v1/rigs/color-1"] = ok(rig("offline"))
            with pytest.raises(LinkError, match="offline") as caught:
                driver.perform(SETTINGS)
        assert caught.value.cost.seconds == 0


def test_a_service_that_is_gone_ends_a_campaign_without_a_trial_and_a_call_by_hand_with_a_link_error() -> None:
    peer = Peer([ok(rig())])
    with RemoteDriver(f"{peer.address}/rigs/color-1", "t", outage=0.3) as driver:
        peer.close()
        with pytest.raises(CampaignError, match="start again"):
            driver.announce(attempt("b00b", 1))
        with pytest.raises(LinkError, match="no answer"):
            driver.perform(SETTINGS)
    peer = Peer([ok(rig()), ok(CAMPAIGN)])
    with RemoteDriver(f"{peer.address}/rigs/color-1", "t", outage=0.3) as driver:
        driver.announce(attempt("b00b", 1))
        peer.close()
        with pytest.raises(CampaignError, match="start again"):
            driver.perform(SETTINGS)


def test_a_budget_that_is_used_up_is_no_failed_trial() -> None:
    price = ok({"allowed": False, "reason": "", "position": 0, "estimate": {"seconds": 1.0, "money": 0.0, "volume": 0.0}})
    with answering(ok(rig()), price, ok(rig()), ok(CAMPAIGN), problem(402, "budget-exhausted")) as peer:
        driver = RemoteDriver(f"{peer.address}/rigs/color-1", "t")
        goal = catalog.make_goal("match-color:coral", driver)
        campaign = Campaign("poor", driver, goal, catalog.make_strategy("random"), Store(":memory:"))
        with pytest.raises(Refused, match="budget-exhausted"):
            list(campaign.run())
        assert campaign.trials == []


def test_the_catalog_knows_a_driver_by_its_address() -> None:
    address = "http://127.0.0.1:9/lab/rigs/color-1"
    driver = catalog.make_driver(address, {"outage": "2"}, seed=4)
    assert isinstance(driver, RemoteDriver)
    assert driver.outage == 2
    assert catalog.kind_of(address) == "driver"
    assert catalog.resolved_options("driver", address, {"outage": "2"}) == {"outage": 2.0}
    assert "FRUGALTWIN_TOKEN" in catalog.data_sheet("driver", address)
    with pytest.raises(UnknownName, match="token"):  # it would be stored
        catalog.make_driver(address, {"token": "ft_x"})
    for bad in ("127.0.0.1/rig/a", "127.0.0.1/rigs/", "127.0.0.1/rigs/a?b=secret", "u:secret@127.0.0.1/rigs/a", "u:secret@127.0.0.1/rig"):
        with pytest.raises(InvalidInput) as caught:
            catalog.make_driver(f"http://{bad}")
        assert "secret" not in str(caught.value)


def test_the_client_is_light() -> None:
    code = "import sys, frugaltwin.client.client, frugaltwin.client.remote_driver; print([m for m in sys.argv[1:] if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, "torch", "fastapi", "httpx", "numpy"], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# ---- a campaign over it ---------------------------------------------------------------------------------------------------


class Run:
    """`frugaltwin run` on a rig of a service, in a process that may be killed."""

    def __init__(self, service: ServeProcess, token: str, folder: Path, budget: int = 4) -> None:
        words = ["run", "--driver", service.rig, "--goal", "match-color:coral", "--strategy", "random", "--name", "reef"]
        self.process = forked.Process(
            command(*words, "--budget", budget, "--store", folder / "mine.db", "--json"),
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"FRUGALTWIN_TOKEN": token},
        )  # fmt: skip

    def ended(self) -> list[dict[str, Any]]:
        out, err = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, err
        return events(subprocess.CompletedProcess([], 0, out, err))

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=120)


def run_here(service: ServeProcess, store: Path, budget: int) -> list[int]:
    """The same campaign in this process, which is much faster; the numbers of its trials."""
    campaign = Campaign.open(driver=service.rig, goal="match-color:coral", strategy="random", name="reef", budget=budget, store=store)
    numbers = [trial.number for trial in campaign.run()]
    campaign.store.close()
    return numbers


def stored_experiments(store: Path) -> list[object]:
    """Ids of the experiments that a store's trials were."""
    opened = Store(store)
    trials = opened.trials("reef")
    opened.close()
    assert [t.number for t in trials] == list(range(1, len(trials) + 1))
    return [t.measurement.raw["experiment"] for t in trials if t.measurement]


@pytest.mark.timing
def test_a_campaign_goes_on_when_its_client_was_killed_and_nothing_is_performed_twice(
    shared: ServeProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "mine.db"
    with Client(shared.address) as client:
        token = client.join(shared.code, "Emmy").token

        def kill_in_trial(number: int) -> None:
            with shared.paused():
                killed = Run(shared, token, tmp_path)
                until(lambda: len(list(client.experiments())) == number)
                killed.kill()  # between its POST and the answer's end
            assert len(stored_experiments(store)) == number - 1

        monkeypatch.setenv("FRUGALTWIN_TOKEN", token)
        kill_in_trial(1)
        assert run_here(shared, store, 2) == [1, 2]
        kill_in_trial(3)
        rows = Run(shared, token, tmp_path).ended()
        assert [row["number"] for row in rows if row["event"] == "trial"] == [3, 4]
        (kept,) = client.campaigns()
        assert (kept.name[:5], kept.budget["runs"]) == ("reef-", 4)
        trials = client.trials(kept.id)
        assert [t.trial for t in trials] == [1, 2, 3, 4]
        assert [t.experiment.id for t in trials] == [x.id for x in reversed(list(client.experiments()))] == stored_experiments(store)
        another = tmp_path / "another.db"  # the same name and the same settings, and yet another campaign
        assert run_here(shared, another, 1) == [1]
        assert [x.id for x in client.experiments()][:-4] == stored_experiments(another)
        assert [c.n_trials for c in client.campaigns()] == [1, 4]
    assert token.encode() not in store.read_bytes()
    with sqlite3.connect(store) as db:
        (body,) = db.execute("select body from campaign").fetchone()
    db.close()
    assert json.loads(body)["driver"] == {"name": shared.rig, "options": {}}


@pytest.mark.timing
def test_a_campaign_and_whoever_watches_it_outlive_their_service(
    service: ServeProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRUGALTWIN_TOKEN", service.token)
    store, seen = tmp_path / "mine.db", list[Event]()
    with Client(service.address, service.token, patience=120) as client:
        stream = client.events(after=0)
        with service.paused():
            thread, came = in_thread(lambda: run_here(service, store, 3))
            while not seen or seen[-1].kind != "experiment.queued":
                seen.append(next(stream))
            service.end(signal.SIGKILL)
            service.start()
        while [e.kind for e in seen].count("experiment.succeeded") < 3:
            seen.append(next(stream))
        thread.join(60)
        assert came == [[1, 2, 3]]
        assert [e.id for e in seen] == list(range(1, len(seen) + 1))
        assert stored_experiments(store) == [x.id for x in reversed(list(client.experiments()))]


@pytest.mark.timing
def test_ctrl_c_takes_the_experiment_back(shared: ServeProcess, tmp_path: Path) -> None:
    with Client(shared.address) as client, shared.paused():
        run = Run(shared, client.join(shared.code, "Lise").token, tmp_path)
        until(lambda: any(client.experiments()))
        run.process.send_signal(signal.SIGINT)
        _, said = run.process.communicate(timeout=120)
        assert run.process.returncode == 130
        assert "Go on with: frugaltwin run --name reef" in said
        assert [x.state for x in client.experiments()] == ["aborted"]
        assert client.rig("color-1").queued == 0


# ---- the page for students ------------------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[1] / "docs" / "service.md"


def test_every_line_of_curl_and_python_on_the_page_works(shared: ServeProcess, tmp_path: Path) -> None:
    text = PAGE.read_text()
    blocks = "".join(block for block in re.findall(r"```sh\n(.*?)```", text, re.S) if "curl" in block)
    commands = re.findall(r"^curl (?:.*\\\n)*.*$", blocks, re.M)
    assert len(commands) >= 9
    with Client(shared.address, shared.token) as instructor:
        code = instructor.make_code(30, {"runs": 100}).code
    told = os.environ | {"LAB": shared.address, "CODE": str(code), "TOKEN": shared.token}
    answers = []
    for words in commands:
        short = words.replace('"budget": {"runs": 12}', '"strategy": {"name": "random"}, "budget": {"runs": 1}')
        line = ["bash", "-ec", "exec " + short.replace("curl -s", "curl -S --fail -s", 1)]
        if words.startswith("curl -sN"):  # which does not end
            with subprocess.Popen(line, env=told, stdout=subprocess.PIPE, text=True) as stream:
                assert stream.stdout
                assert any("event: campaign.running" in row for row in stream.stdout)
                stream.terminate()
            continue
        done = subprocess.run(line, env=told, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        assert '"type"' not in done.stdout
        answers.append(done.stdout)
        if "/v1/campaigns " in words:
            told["ID"] = json.loads(done.stdout)["id"]
    assert any('"state":"succeeded"' in answer for answer in answers)
    assert (tmp_path / "reef.csv").read_text().startswith("number,")
    (block,) = re.findall(r"```py\n(.*?)```", text, re.S)
    given = f"LAB, CODE = {shared.address!r}, {code!r}\n"
    done = forked.run([sys.executable, "-c", given + block], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "succeeded" in done.stdout


def test_every_problem_stands_on_the_page_with_the_error_that_it_becomes() -> None:
    from api.routes.problems import KINDS
    from frugaltwin.client.protocol import error_of

    rows = dict[str, tuple[int, str]]()
    for name, status, error in re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \| `(\w+)` \|", PAGE.read_text(), re.M):
        rows[name] = int(status), error
    named = {(name, status) for status, name, _, _ in KINDS.values()}
    sources = "".join(path.read_text() for path in (PAGE.parents[1] / "api").rglob("*.py"))
    named |= {(name, int(status)) for status, name in re.findall(r"\bdocument\((\d{3}), \"([a-z-]+)\"", sources)}
    assert len(named) >= 17
    assert {(name, rows[name][0]) for name, _ in named} == named
    for name, (status, kind) in rows.items():
        answer = problem(status, name)
        assert answer
        assert type(error_of(Reply(status, {}, answer[2].encode()), "")).__name__ == kind
