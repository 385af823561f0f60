"""Workers, as real processes: killed, stalled, stopped, cut off from their service; what the rig did is what its log says."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.errors import Conflict, Unauthorized
from api.records import fair_queue, people, rigs
from api.records.database import Database
from api.records.leases import Job, Orders, Report
from api.records.rows import ExperimentRow
from api.workers.local_desk import LocalDesk
from api.workers.remote_desk import RemoteDesk
from api.workers.worker import RigWords, Worker
from frugaltwin.amounts import Amounts
from frugaltwin.catalog import make_driver, random_settings
from frugaltwin.errors import InvalidInput, RigFault, StoreError
from hardware.emulator.engine import missing
from hardware.emulator.server import TcpServer
from tests import forked
from tests.conftest import command
from tests.running_service import running
from tests.test_rig_commands import served

ROOT = Path(__file__).parent.parent
LAUNCHER = """
from frugaltwin import catalog
catalog.DRIVERS["slow"] = "tests.slow_driver:SlowDriver"
catalog.DRIVERS["garbled"] = "tests.slow_driver:GarbledDriver"
if __name__ == "__main__":  # and not in a process of a driver
    from api.records import fair_queue
    from api.workers import worker
    from frugaltwin.cli.main import main
    fair_queue.LEASE = {lease}
    worker.AGAIN = 0.2
    main()
"""
Json = dict[str, Any]


def until(condition: Callable[[], Any], seconds: float = 600.0) -> Any:
    """What a condition gives as soon as it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.03)  # most conditions ask the service
    return found


class Lab:
    """A folder with a slow rig; services and workers that drive it, in processes of their own."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        # Services come and go at one address, so no connection is kept; a client of its own for each request costs a tenth of a second.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = stack.enter_context(httpx.Client(timeout=120, trust_env=False, limits=limits))
        self.log, self.gate = folder / "rig.log", folder / "gate"
        self.words = f"slow-1=slow,log={self.log},gate={self.gate}"
        self.address = self.token = ""
        self._started = 0

    def serve(self, *flags: str, lease: float = 30.0) -> forked.Process:
        """A service, at the address of the one before."""
        port = self.address.rpartition(":")[2] or "0"
        process = self.start("serve", "--json", "--port", port, *flags, lease=lease)
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        self.address, self.token = first["address"], first["token"] or self.token
        return process

    def start(self, *words: str, lease: float = 30.0) -> forked.Process:
        """Any command."""
        launcher = self.folder / f"launch{self._started}.py"
        self._started += 1
        launcher.write_text(LAUNCHER.format(lease=lease))
        env = os.environ | {"PYTHONPATH": str(ROOT), "FRUGALTWIN_TOKEN": self.token}
        process = forked.Process([sys.executable, launcher, *words], cwd=self.folder, env=env, stdout=subprocess.PIPE)
        self._stack.callback(self._clear, process)
        return process

    def ask(self, method: str, path: str, body: Json | None = None) -> Any:
        """What the service answers."""
        answer = self._http.request(method, self.address + path, json=body, headers={"Authorization": f"Bearer {self.token}"})
        answer.raise_for_status()
        return answer.json()

    def submit(self, x: float = 0.5) -> str:
        """The id of a new experiment."""
        return str(self.ask("POST", "/v1/experiments", {"rig": "slow-1", "settings": {"x": x}})["id"])

    def state(self, identity: str) -> str:
        """Of an experiment."""
        return str(self.ask("GET", f"/v1/experiments/{identity}")["state"])

    def did(self, what: str) -> list[float]:
        """When the rig did something, s since 1970."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [float(line.split()[-2]) for line in lines if line.startswith(what)]

    @staticmethod
    def _clear(process: forked.Process) -> None:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.communicate()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with ExitStack() as stack:
        yield Lab(tmp_path, stack)


@pytest.mark.timing
def test_a_real_rig_whose_service_is_killed_rests_within_2_s_and_its_experiment_is_unknown_and_never_run_again(lab: Lab) -> None:
    service = lab.serve("--real", lab.words)
    identity = lab.submit()
    until(lambda: lab.did("begin"))
    killed_at = time.time()
    service.kill()
    service.wait()
    assert until(lambda: lab.did("leave"))[0] - killed_at < 2
    assert lab.did("stop")
    lab.gate.touch()
    lab.serve("--real", lab.words)
    assert lab.state(identity) == "unknown"
    assert lab.ask("GET", "/v1/rigs/slow-1")["state"] == "stopped"
    lab.ask("POST", "/v1/rigs/slow-1/open")
    following = lab.submit(0.25)
    until(lambda: lab.state(following) == "succeeded")
    assert len(lab.did("begin 0.5")) == 1
    assert lab.state(identity) == "unknown"


@pytest.mark.timing
@pytest.mark.skipif(missing() is not None, reason=missing() or "")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_the_pumps_of_a_rig_whose_service_is_lost_are_off_within_2_s(lab: Lab, how: signal.Signals) -> None:
    with served(TcpServer) as board:
        service = lab.serve("--real", f"mixer-1=color-mixing,mixer={board.address}")
        settings = {"red": 0.2, "yellow": 0.3, "blue": 0.1, "water": 3.4}
        lab.ask("POST", "/v1/experiments", {"rig": "mixer-1", "settings": settings})
        plant, clock = board.board.plant, board.board.monotonic
        until(lambda: any(plant.outputs[pump] for pump in range(len(plant.delivered))))
        service.send_signal(how)
        lost_at = clock()
        until(lambda: clock() > lost_at + 2)
        assert not any(plant.outputs[:7])
        runs = list(plant.n_runs)
        until(lambda: clock() > lost_at + 5)
        assert list(plant.n_runs) == runs


@pytest.mark.timing
def test_a_twin_whose_service_is_killed_runs_its_experiment_again(lab: Lab) -> None:
    service = lab.serve("--rig", lab.words)
    identity = lab.submit()
    until(lambda: lab.did("begin"))
    service.kill()
    service.wait()
    lab.gate.touch()
    lab.serve("--rig", lab.words)
    until(lambda: lab.state(identity) == "succeeded")
    assert len(lab.did("begin 0.5")) == 2


@pytest.mark.timing
def test_a_real_rig_whose_service_hangs_rests_within_2_s_and_waits_for_a_person(lab: Lab) -> None:
    service = lab.serve("--real", lab.words)
    identity = lab.submit()
    until(lambda: lab.did("begin"))
    hung_at = time.time()
    service.send_signal(signal.SIGSTOP)
    assert until(lambda: lab.did("stop"))[0] - hung_at < 2
    service.send_signal(signal.SIGCONT)
    until(lambda: lab.state(identity) == "aborted")
    assert lab.ask("GET", "/v1/rigs/slow-1")["state"] == "stopped"
    lab.gate.touch()
    lab.ask("POST", "/v1/rigs/slow-1/open")
    following = lab.submit(0.25)
    until(lambda: lab.state(following) == "succeeded")
    assert len(lab.did("begin 0.5")) == 1


@pytest.mark.parametrize("flag", ["--real", "--rig"])
def test_the_stop_button_stops_within_a_second(lab: Lab, flag: str) -> None:
    lab.serve(flag, lab.words)
    identity, waiting = lab.submit(), lab.submit(0.25)
    until(lambda: lab.did("begin"))
    pressed_at = time.time()
    assert lab.ask("POST", "/v1/rigs/slow-1/stop")["state"] == "stopped"
    assert until(lambda: lab.did("stop"))[0] - pressed_at < 1
    assert lab.state(identity) == "aborted"
    lab.gate.touch()
    if flag == "--real":
        until(lambda: lab.did("leave"))
        found = lab.ask("GET", f"/v1/experiments/{waiting}")
        assert (found["state"], found["waiting_because"]) == ("queued", "its rig was stopped")
        lab.ask("POST", "/v1/rigs/slow-1/open")
        until(lambda: lab.state(waiting) == "succeeded")
    assert len(lab.did("begin 0.5")) == 1


def test_an_aborted_experiment_stops_its_real_rig_which_goes_on_with_the_next(lab: Lab) -> None:
    lab.serve("--real", lab.words)
    identity, following = lab.submit(), lab.submit(0.25)
    until(lambda: lab.did("begin"))
    lab.ask("POST", f"/v1/experiments/{identity}/abort")
    until(lambda: lab.did("begin 0.25"))
    lab.gate.touch()
    until(lambda: lab.state(following) == "succeeded")
    assert lab.did("stop")
    assert not lab.did("end 0.5")


def test_a_paused_rig_ends_what_it_began_and_is_left_at_rest(lab: Lab) -> None:
    lab.serve("--real", lab.words)
    identity, waiting = lab.submit(), lab.submit(0.25)
    until(lambda: lab.did("begin"))
    lab.ask("POST", "/v1/rigs/slow-1/pause")
    ended_at = time.time()
    lab.gate.touch()
    until(lambda: lab.state(identity) == "succeeded")
    assert until(lambda: lab.did("leave"))[0] - ended_at < 2
    found = lab.ask("GET", f"/v1/experiments/{waiting}")
    assert (found["state"], found["waiting_because"]) == ("queued", "its rig is paused")
    lab.ask("POST", "/v1/rigs/slow-1/open")
    until(lambda: lab.state(waiting) == "succeeded")


@pytest.mark.timing
def test_a_service_that_is_ended_leaves_its_rigs_at_rest_gives_back_what_was_not_begun_and_exits_with_0(lab: Lab) -> None:
    service = lab.serve("--real", lab.words)
    identity, waiting = lab.submit(), lab.submit(0.25)
    until(lambda: lab.did("begin"))
    service.terminate()
    assert service.wait(30) == 0
    assert lab.did("stop")
    assert lab.did("leave")
    assert not list(lab.folder.glob("frugaltwin-reports/slow-1/*.json"))
    lab.gate.touch()
    lab.serve("--real", lab.words)
    assert lab.state(identity) == "aborted"
    until(lambda: lab.state(waiting) == "succeeded")


def test_a_rig_that_cannot_be_connected_keeps_its_queue_and_goes_on_when_it_can(lab: Lab) -> None:
    lab.gate.touch()
    unplugged = lab.gate.with_suffix(".unplugged")
    unplugged.touch()
    lab.serve("--real", lab.words)
    identity = lab.submit()
    until(lambda: lab.ask("GET", f"/v1/experiments/{identity}")["waiting_because"] == "its rig is offline")
    unplugged.unlink()
    until(lambda: lab.state(identity) == "succeeded")
    assert len(lab.did("begin")) == 1


def test_a_twin_that_stops_by_itself_each_time_fails_its_experiment_and_goes_on_with_the_next(lab: Lab) -> None:
    lab.serve("--rig", lab.words)
    switch = lab.gate.with_suffix(".switch")
    switch.touch()
    identity, following = lab.submit(), lab.submit(0.25)
    for one, x in ((identity, "0.5"), (following, "0.25")):
        until(lambda one=one: lab.state(one) == "failed")  # type: ignore[misc]
        error = lab.ask("GET", f"/v1/experiments/{one}")["error"]
        assert error == "it stopped by itself 5 times, and is not tried again: somebody opened the switch"
        assert len(lab.did(f"begin {x}")) == 5
    switch.unlink()
    lab.gate.touch()
    good = lab.submit(0.75)
    until(lambda: lab.state(good) == "succeeded")


@pytest.mark.timing
def test_a_measurement_that_a_restarting_service_cannot_take_is_kept_and_handed_in(lab: Lab) -> None:
    service = lab.serve("--no-rigs")
    worker = lab.start("worker", "--rig", lab.words, "--real", "--server", lab.address)
    until(lambda: lab.ask("GET", "/v1/rigs")["items"])
    identity = lab.submit()
    until(lambda: lab.did("begin"))
    service.terminate()
    assert service.wait(30) == 0
    lab.gate.touch()
    until(lambda: lab.did("end"))
    until(lambda: list(lab.folder.glob("frugaltwin-reports/slow-1/*.json")))
    lab.serve("--no-rigs")
    until(lambda: lab.state(identity) == "succeeded")
    found = lab.ask("GET", f"/v1/experiments/{identity}")
    assert found["outcomes"] == {"y": 1.0}
    assert found["provenance"]["rig"] == "slow-1"
    assert found["provenance"]["calibration"] == "cal-1"
    until(lambda: not list(lab.folder.glob("frugaltwin-reports/slow-1/*.json")))
    worker.terminate()
    assert worker.wait(30) == 0
    assert len(lab.did("begin")) == 1
    assert lab.did("leave")


def test_the_stop_button_reaches_a_rig_on_another_machine_within_a_second(lab: Lab) -> None:
    lab.serve("--no-rigs")
    lab.start("worker", "--rig", lab.words, "--real", "--server", lab.address)
    until(lambda: lab.ask("GET", "/v1/rigs")["items"])
    identity = lab.submit()
    until(lambda: lab.did("begin"))
    pressed_at = time.time()
    lab.ask("POST", "/v1/rigs/slow-1/stop")
    assert until(lambda: lab.did("stop"))[0] - pressed_at < 1
    assert lab.state(identity) == "aborted"


@pytest.mark.timing
def test_a_worker_takes_over_at_once_from_one_of_its_machine_that_was_killed(lab: Lab) -> None:
    lab.serve("--no-rigs", lease=600.0)
    killed = lab.start("worker", "--rig", lab.words, "--real", "--server", lab.address)
    until(lambda: lab.ask("GET", "/v1/rigs")["items"])
    identity, following = lab.submit(), lab.submit(0.25)
    until(lambda: lab.did("begin"))
    killed.kill()
    killed.wait()
    lab.start("worker", "--rig", lab.words, "--real", "--server", lab.address)
    until(lambda: lab.state(identity) == "unknown")
    assert lab.ask("GET", "/v1/rigs/slow-1")["state"] == "stopped"
    lab.ask("POST", "/v1/rigs/slow-1/open")
    lab.gate.touch()
    until(lambda: lab.state(following) == "succeeded")
    assert len(lab.did("begin 0.5")) == 1


@pytest.mark.timing
def test_a_worker_that_stalls_past_its_lease_says_late_what_became_of_its_experiment(lab: Lab) -> None:
    lab.serve("--no-rigs", lease=3.0)
    worker = lab.start("worker", "--rig", lab.words, "--real", "--server", lab.address)
    until(lambda: lab.ask("GET", "/v1/rigs")["items"])
    identity = lab.submit()
    until(lambda: lab.did("begin"))
    stalled_at = time.time()
    worker.send_signal(signal.SIGSTOP)
    assert until(lambda: lab.did("stop"))[0] - stalled_at < 2
    until(lambda: lab.state(identity) == "unknown")
    worker.send_signal(signal.SIGCONT)
    until(lambda: lab.state(identity) == "aborted")
    assert len(lab.did("begin")) == 1


@pytest.mark.timing
def test_a_twin_s_worker_that_stalls_past_its_lease_does_not_disturb_the_one_that_took_over(lab: Lab) -> None:
    lab.serve("--no-rigs", lease=3.0)
    stalled = lab.start("worker", "--rig", lab.words, "--server", lab.address)
    until(lambda: lab.ask("GET", "/v1/rigs")["items"])
    identity = lab.submit()
    until(lambda: lab.did("begin"))
    stalled.send_signal(signal.SIGSTOP)
    until(lambda: lab.state(identity) == "queued")
    lab.start("worker", "--rig", lab.words, "--server", lab.address)
    until(lambda: len(lab.did("begin")) == 2)
    stalled.send_signal(signal.SIGCONT)
    lab.gate.touch()
    until(lambda: lab.state(identity) == "succeeded")
    stalled.terminate()
    assert stalled.wait(30) == 0
    assert lab.state(identity) == "succeeded"


def test_a_second_worker_for_a_real_rig_gets_nothing(lab: Lab) -> None:
    lab.serve("--no-rigs")
    lab.start("worker", "--rig", lab.words, "--real", "--server", lab.address)
    until(lambda: lab.ask("GET", "/v1/rigs")["items"])
    until(lambda: lab.ask("GET", "/v1/rigs/slow-1")["state"] == "open")
    body = {"worker": "another", "count": 1}
    lab.submit()
    until(lambda: lab.did("begin"))
    lab.submit(0.25)
    with pytest.raises(httpx.HTTPStatusError) as refused:
        lab.ask("POST", "/v1/work/slow-1/leases", body)
    assert refused.value.response.status_code == 409
    assert "is driven by the worker" in refused.value.response.json()["detail"]


def test_what_serve_prints_is_enough_for_the_first_experiment(lab: Lab) -> None:
    service = lab.start("serve", "--port", "0")
    assert service.stdout is not None
    printed: list[str] = []
    while not printed or "curl" not in printed[-1]:
        printed.append(service.stdout.readline())
        assert printed[-1], "it ended"
    assert any("join code" in line for line in printed)
    done = subprocess.run(["sh", "-c", "".join(printed[-3:])], capture_output=True, text=True, timeout=60, check=True)
    answer = json.loads(done.stdout)
    assert answer["state"] == "succeeded"
    assert 0 < answer["outcomes"]["t_515"] < 1
    service.send_signal(signal.SIGINT)
    assert service.wait(30) == 0


def test_tokens_and_codes_are_shown_once_and_made_anew_only_when_asked(lab: Lab) -> None:
    def shown(*flags: str) -> tuple[bool, bool]:
        service = lab.start("serve", "--json", "--port", "0", "--no-rigs", *flags)
        assert service.stdout is not None
        first = json.loads(service.stdout.readline())
        service.terminate()
        assert service.wait(30) == 0
        return first["token"] is not None, first["join_code"] is not None

    assert shown() == (True, True)
    assert shown() == (False, False)
    assert shown("--new-token") == (True, False)
    assert shown("--new-code") == (False, True)


def test_a_second_service_on_the_same_sqlite_file_is_refused(lab: Lab) -> None:
    lab.serve("--no-rigs")
    second = forked.run(command("serve", "--port", "0"), cwd=lab.folder)
    assert second.returncode == 2
    assert "another service uses frugaltwin-service.db" in second.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--rig", "color-1"], "write NAME=DRIVER"),
        (["--rig", "color-1=color-mixin"], "did you mean 'color-mixing'"),
        (["--rig", "color 1=color-mixing"], "is no name for a rig"),
        (["--rig", "a=lens", "--real", "a=lens"], "the same name"),
        (["--no-rigs", "--rig", "a=lens"], "leave one out"),
        (["--database", "nonsense"], "write sqlite:///FILE"),
        (["--database", "sqlite://"], "write sqlite:///FILE"),
        (["--database", "postgresql+psycopg://nobody:secret@127.0.0.1:1/none"], "cannot be brought up to date"),
        (["--database", "sqlite:////no/such/folder/service.db"], "/no/such/folder"),
        (["--host", "203.0.113.7"], "cannot listen at 203.0.113.7"),
    ],
)
def test_what_serve_cannot_use_is_one_sentence(lab: Lab, words: list[str], says: str) -> None:
    refused = forked.run(command("serve", "--port", "0", *words), cwd=lab.folder)
    assert refused.returncode == 2
    assert says in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert "secret" not in refused.stderr


def test_the_hand_on_the_rigs_from_the_command_line(lab: Lab) -> None:
    lab.serve("--real", lab.words)
    lab.submit()
    until(lambda: lab.did("begin"))

    def service(*words: str) -> subprocess.CompletedProcess[str]:
        done = lab.start("service", *words, "--server", lab.address)
        out, _ = done.communicate(timeout=120)
        return subprocess.CompletedProcess(words, done.wait(), out)

    assert service("stop", "slow-1").returncode == 0
    until(lambda: lab.did("stop"))
    for word, state in (("open", "open"), ("pause", "paused"), ("open", "open")):
        assert service(word, "slow-1").returncode == 0
        (row,) = (json.loads(line) for line in service("rigs", "--json").stdout.splitlines())
        assert (row["name"], row["state"]) == ("slow-1", state)
    assert service("stop", "mistyped").returncode == 2
    me = lab.ask("GET", "/v1/me")["person"]
    assert service("approve", "slow-1", me).returncode == 0
    assert service("approve", "slow-1", me, "--withdraw").returncode == 0


def test_a_desk_far_away_tells_what_may_pass_from_what_will_not(sqlite_url: str) -> None:
    words = RigWords("bench-1", "light-mixing", is_real=True)
    with ExitStack() as stack:
        with running(sqlite_url) as service:
            desks = [
                RemoteDesk(service.address, t, words, w) for t, w in ((service.admin, "one"), (service.admin, "two"), ("ft_x", "three"))
            ]
            for desk in desks:
                stack.callback(desk.close)
            first, second, third = desks
            assert first.renew({}).state == "open"
            with pytest.raises(Conflict, match="is driven by the worker one"):
                second.lease(1)
            with pytest.raises(Unauthorized):
                third.lease(1)
            with pytest.raises(InvalidInput):
                first.lease(1000)
        with pytest.raises(StoreError, match="is asked again"):
            first.lease(1)


@pytest.mark.timing
def test_news_of_a_rig_come_at_once_and_none_is_missed(sqlite_url: str) -> None:
    with running(sqlite_url) as service, service.client(service.admin) as client:

        def news(after: int | None, name: str = "color-1", **headers: str) -> int:
            answer = client.post(f"/v1/work/{name}/news", json={"after": after}, headers=headers)
            assert answer.status_code == 200
            return int(answer.json()["after"])

        before = news(None, Prefer="wait=20")
        client.post("/v1/rigs/color-1/pause")
        began = time.monotonic()
        after = news(before, Prefer="wait=20")  # it happened before the question
        assert after > before
        threads = [threading.Thread(target=news, args=(after,), kwargs={"Prefer": "wait=20"}) for _ in range(3)]
        for thread in threads:
            thread.start()
        until(lambda: len(service.service.streams._watchers.get("color-1", ())) == 3)
        client.post("/v1/rigs/color-1/open")
        for thread in threads:
            thread.join()
        assert time.monotonic() - began < 10
        assert news(after, "other-1") == news(after)


class TiredDesk(LocalDesk):
    """One that takes its time with reports, makes a mistake at the first heartbeat, and remembers how many jobs it was asked for."""

    def __init__(self, database: Database, rig: str) -> None:
        super().__init__(database, rig, "w")
        self.asked: list[int] = []
        self.n_heartbeats = 0

    def lease(self, count: int) -> list[Job]:
        self.asked.append(count)
        return super().lease(count)

    def renew(self, held: Mapping[str, str]) -> Orders:
        self.n_heartbeats += 1
        if self.n_heartbeats == 1:
            raise RuntimeError("a mistake")
        return super().renew(held)

    def finish(self, reports: Sequence[Report]) -> list[str]:
        time.sleep(0.3)
        return super().finish(reports)


def performed(
    database: Database, desk: LocalDesk, words: RigWords, settings: Sequence[Mapping[str, float]], folder: Path
) -> list[ExperimentRow]:
    """What a worker made of experiments that were all queued when it began."""
    database.write_now(lambda c, now: rigs.register(c, now, words.name, words.driver, words.options, False))
    whose = database.write_now(lambda c, now: people.add_person(c, now, "Ada", "student", {}))
    orders = [fair_queue.Order(whose, words.name, s, Amounts()) for s in settings]
    rows = [database.write_now(lambda c, now, o=order: fair_queue.submit(c, now, o)) for order in orders]  # type: ignore[misc]
    worker = Worker(words, desk, "w", folder)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        found: list[ExperimentRow] = until(lambda: _ended(database, rows))
    finally:
        worker.end()
        thread.join()
    return found


def test_slow_reports_make_no_smaller_batches_and_a_mistake_does_not_stop_the_heart(database: Database, tmp_path: Path) -> None:
    desk = TiredDesk(database, "color-1")
    settings = [{"red": 0.1, "yellow": 0.1, "blue": 0.1, "water": 3.7}] * 60
    performed(database, desk, RigWords("color-1", "color-mixing"), settings, tmp_path / "reports")
    assert max(desk.asked) >= 32
    assert desk.n_heartbeats > 1


def test_a_report_that_cannot_be_kept_spoils_no_other(lab: Lab) -> None:
    lab.serve("--rig", "garbled-1=garbled")
    lab.ask("POST", "/v1/rigs/garbled-1/pause")
    orders = [{"rig": "garbled-1", "settings": {"x": 0.9 if n == 5 else 0.1}} for n in range(12)]
    ids = [lab.ask("POST", "/v1/experiments", order)["id"] for order in orders]
    lab.ask("POST", "/v1/rigs/garbled-1/open")
    until(lambda: all(lab.state(i) in fair_queue.ENDS for i in ids))
    assert [lab.state(i) for i in ids] == [fair_queue.FAILED if n == 5 else fair_queue.SUCCEEDED for n in range(12)]
    assert "could not be read" in lab.ask("GET", f"/v1/experiments/{ids[5]}")["error"]
    assert [path.suffix for path in lab.folder.glob("frugaltwin-reports/garbled-1/*")] == [".refused"]


def test_a_worker_empties_a_queue_and_every_result_says_where_it_comes_from(database: Database, tmp_path: Path) -> None:
    words = RigWords.parse("light-1=light-mixing,imperfections=0")
    database.write_now(lambda c, now: rigs.register(c, now, words.name, words.driver, words.options, False))
    whose = database.write_now(lambda c, now: people.add_person(c, now, "Ada", "student", {"runs": 40.0}))
    driver = make_driver(words.driver, words.options)
    orders = [fair_queue.Order(whose, "light-1", s, Amounts()) for s in random_settings(driver, 40)]
    rows = [database.write_now(lambda c, now, o=order: fair_queue.submit(c, now, o)) for order in orders]  # type: ignore[misc]
    worker = Worker(words, LocalDesk(database, "light-1", "w"), "w", tmp_path / "reports")
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        found = until(lambda: _ended(database, rows))
    finally:
        worker.end()
        thread.join()
    with driver:
        for row, order in zip(found, orders, strict=True):
            try:
                expected = (fair_queue.SUCCEEDED, driver.perform(order.settings).outcomes)
            except RigFault:
                expected = (fair_queue.FAILED, {})
            assert (row.state, row.result.get("outcomes", {})) == expected
            assert row.attempt == 1
            provenance = row.provenance
            assert provenance
            assert (provenance["rig"], provenance["driver"], provenance["worker"]) == ("light-1", "light-mixing", "w")
            assert provenance["versions"]["frugaltwin"]
            assert provenance["options"] == {"imperfections": 0.0}
    assert not (tmp_path / "reports").exists()


def _ended(database: Database, rows: list[ExperimentRow]) -> list[ExperimentRow]:
    found = database.read_now(lambda c: [fair_queue.find(c, row.id) for row in rows])
    return found if all(row.state in fair_queue.ENDS for row in found) else []
