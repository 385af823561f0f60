"""Experiments of anybody: a file describes them, a program or a person performs them."""

import asyncio
import contextlib
import math
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from frugaltwin import catalog, testing
from frugaltwin.allowed import allowed_file
from frugaltwin.errors import DriverError, FrugalTwinError, InvalidInput, Stopped
from frugaltwin.experiment import Settings
from frugaltwin.state import State
from hardware.own import folder
from hardware.own.description import Description
from hardware.own.formula import Formula
from hardware.own.importers import proposal, written
from tests.conftest import Cli, events

EXAMPLE = Path(__file__).parent.parent / "examples" / "suzuki.toml"
TEXT = EXAMPLE.read_text(encoding="utf-8")
ROBOT = """
import json, sys, time
for line in sys.stdin:
    settings = json.loads(line)["settings"]
    WORK
    print(json.dumps(answer), flush=True)
"""
GOOD = 'answer = {"outcomes": {"yield": settings["temperature"], "purity": 95}, "cost": {"money": 1.5}, "batch": 7}'
SETTINGS: Settings = {"temperature": 45.0, "loading": 1.0, "ligand": "SPhos", "toluene": 0.5, "water": 0.2, "ethanol": 0.3}


def automated(folder: Path, work: str, seconds: float = 30) -> Path:
    (folder / "robot.py").write_text(ROBOT.replace("WORK", work))
    path = folder / "auto.toml"
    path.write_text(f'{TEXT}\n[by]\nprogram = ["{sys.executable}", "robot.py"]\nseconds = {seconds}\n', encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "value"),
    [("1 + 2 * x", 7.0), ("-x ** 2", -9.0), ("max(x, y, 1e1)", 10.0), ("sqrt(abs(-16)) / 2", 2.0), ("log(exp(y))", 0.5), (5, 5.0)],
)
def test_a_formula_gives_a_number(text: str | float, value: float) -> None:
    assert Formula.read(text, ("x", "y"))({"x": 3.0, "y": 0.5}) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("2 * z", "no parameter 'z'"),
        ("2 * temprature", "did you mean 'temperature'"),
        ("__import__('os')", "no function"),
        ("x.real", "no part of a formula"),
        ("(lambda: 1)()", "no part of a formula"),
        ("[x][0]", "no part of a formula"),
        ("x if x else 1", "no part of a formula"),
        ("'a' * 9", "no part of a formula"),
        ("True", "no part of a formula"),
        ("x +", "no formula"),
        ("", "no formula"),
        ("abs(x, x)", "takes one value"),
        ("min(x)", "takes two values"),
        ("sqrt(x=1)", "no part of a formula"),
        ("1" * 400, "too large"),
        ("(" * 90 + "x" + ")" * 90 + "+1" * 60, "too many brackets"),
        ("x" * 2000, "more than 1000"),
        ("9**9**9**9", "gives no number"),
        ("1 / (x - 3)", "gives no number"),
        ("log(x - 4)", "gives no number"),
        ("exp(700) * exp(700) * x", "gives inf"),
    ],
)
def test_whatever_is_no_formula_is_refused_in_one_sentence(text: str, fault: str) -> None:
    with pytest.raises(InvalidInput, match=fault) as refused:
        Formula.read(text, ("x", "temperature"))({"x": 3.0, "temperature": 1.0})
    assert "\n" not in str(refused.value)


def test_every_suggestion_keeps_to_the_file(tmp_path: Path) -> None:
    driver = catalog.make_driver("experiment", {"file": EXAMPLE})
    goal = catalog.make_goal("", driver)
    assert goal.text == "maximize:yield"
    for suggestion in catalog.make_strategy("sobol", seed=3).suggest(State(goal), 64):
        settings = suggestion.settings
        parts = [float(settings[name]) for name in ("toluene", "water", "ethanol")]
        assert math.fsum(parts) == pytest.approx(1, abs=1e-9)
        assert parts[1] + 0.5 * parts[2] >= 0.1 - 1e-9
        assert settings["temperature"] in range(20, 81, 5)
        assert settings["ligand"] in ("XPhos", "SPhos", "PPh3")
    cost = Description.read(EXAMPLE).price(SETTINGS)
    assert (cost.seconds, cost.money, cost.volume) == (3600 + 60 * 25, 2.5, 5)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("high = 80", "hihg = 80", "hihg.*did you mean 'high'"),
        ("low = 20", "low = 90", "temperature"),
        ('scale = "log"', 'scale = "cubic"', "scale"),
        ('["XPhos", "SPhos", "PPh3"]', '["XPhos", "XPhos"]', "ligand"),
        ('["XPhos", "SPhos", "PPh3"]', '["XPhos", 3]', "all numbers or all names"),
        ('parts = ["toluene", "water", "ethanol"]', 'parts = ["toluene", "ligand"]', "no parameter 'ligand' with numbers"),
        ("terms = { water = 1, ethanol = 0.5 }", "terms = { wine = 1 }", "no parameter 'wine'"),
        ('seconds = "3600', 'seconds = "os.getpid() + 3600', "cost.seconds: .*no part of a formula|no function"),
        ("temperature - 20", "temperatur - 20", "cost.seconds: .*did you mean 'temperature'"),
        ('yield = { unit = "%", description = "isolated" }', 'temperature = { unit = "%" }', "named twice"),
        ("[outcomes]", "[outcome]", "outcome"),
        ('name = "suzuki"', 'name = "../suzuki"', "name"),
    ],
)
def test_a_file_that_cannot_be_is_refused_with_the_place(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert old in TEXT
    path = tmp_path / "bad.toml"
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(FrugalTwinError, match=fault) as refused:
        Description.read(path)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


PROMISES = [promise for promise in testing.DRIVER_PROMISES if "data_sheet" not in promise.__name__]
"""All but that of the data sheet: the parameters are those of the file."""


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_a_program_makes_a_driver_like_any_other(promise: testing.Promise, tmp_path: Path) -> None:
    promise(testing.Plugin.of("driver", "experiment", {"file": automated(tmp_path, GOOD)}))


def test_a_program_is_asked_and_states_its_own_cost(tmp_path: Path) -> None:
    with catalog.make_driver("experiment", {"file": automated(tmp_path, GOOD)}) as driver:
        measured = driver.perform(SETTINGS)
    assert dict(measured.outcomes) == {"yield": 45.0, "purity": 95}
    assert (measured.cost.money, measured.cost.volume) == (1.5, 5.0)
    assert measured.raw == {"batch": 7}


@pytest.mark.parametrize(
    ("work", "fault"),
    [
        ('print("hello", flush=True); continue', "'hello', which is no JSON"),
        ("answer = 5", "wrote '5'"),
        ("answer = {}", "outcomes"),
        ('answer = {"error": "no vial left"}', "no vial left"),
        ("sys.exit(3)", "ended with code 3"),
        (GOOD.replace('"money": 1.5', '"money": -1'), "cost"),
    ],
)
def test_a_program_that_fails_is_one_failed_experiment_and_is_started_again(tmp_path: Path, work: str, fault: str) -> None:
    first = f'open("tried", "w").close()\n        {work}'
    once = f'import os\n    if os.path.exists("tried"):\n        {GOOD}\n    else:\n        {first}'
    with catalog.make_driver("experiment", {"file": automated(tmp_path, once, seconds=120)}) as driver:
        with pytest.raises(DriverError, match=fault):
            driver.perform(SETTINGS)
        assert driver.perform(SETTINGS).outcomes["yield"] == 45


def test_a_program_that_says_nothing_is_ended(tmp_path: Path) -> None:
    file = automated(tmp_path, "time.sleep(600)", seconds=0.5)
    with catalog.make_driver("experiment", {"file": file}) as driver, pytest.raises(DriverError, match=r"no answer within 0\.5 s"):
        driver.perform(SETTINGS)


def test_stop_ends_what_a_program_is_doing(tmp_path: Path) -> None:
    work = 'open("begun", "w").close(); time.sleep(600)'
    with catalog.make_driver("experiment", {"file": automated(tmp_path, work, seconds=600)}) as driver:

        def stop() -> None:
            while not (tmp_path / "begun").exists():
                threading.Event().wait(0.01)
            driver.stop()

        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(Stopped):
            driver.perform(SETTINGS)
        thread.join()


def test_a_chemist_goes_from_a_new_file_to_a_recommendation(cli_here: Cli, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    assert cli_here("experiment", "new", path).returncode == 0
    again = cli_here("experiment", "new", path)
    assert (again.returncode, "there already" in again.stderr) == (2, True)
    checked = cli_here("experiment", "check", path).stdout
    assert "[0.01, 1] mol/L" in checked
    assert f"begin with: frugaltwin suggest mine --driver {path}" in checked
    suggested = cli_here("suggest", "mine", "--driver", path, "--strategy", "sobol")
    assert suggested.returncode == 0, suggested.stderr
    settings = suggested.stdout.splitlines()[0]
    assert cli_here("tell", "mine", "--settings", settings, "--outcomes", "yield=41").returncode == 0
    assert "41" in cli_here("show", "mine").stdout
    refused = cli_here("run", "--name", "mine")
    assert refused.returncode in (1, 2)
    assert "performed by hand" in refused.stderr


def test_a_robot_runs_a_campaign(cli_here: Cli, tmp_path: Path) -> None:
    path = automated(tmp_path, GOOD)
    done = cli_here("run", "--driver", path, "--strategy", "sobol", "--budget", 4, "--json")
    trials = [event for event in events(done) if event["event"] == "trial"]
    assert [trial["outcomes"]["yield"] == trial["settings"]["temperature"] for trial in trials] == [True] * 4


def test_a_store_from_elsewhere_starts_nothing_that_a_person_here_did_not_name(cli_here: Cli, tmp_path: Path) -> None:
    path = automated(tmp_path, GOOD)
    words = ("--name", "auto", "--budget", 1, "--strategy", "sobol")
    assert cli_here("run", "--driver", path, *words).returncode == 0
    assert cli_here("run", "--name", "auto", "--budget", 2).returncode == 0, "its own campaign goes on by its name"
    allowed_file().unlink()  # as on the machine of somebody else
    refused = cli_here("run", "--name", "auto", "--budget", 3)
    assert (refused.returncode, "robot.py in" in refused.stderr) == (2, True)
    assert "which nobody has named on this machine: look at its file" in refused.stderr
    assert cli_here("show", "auto").returncode == 0
    assert cli_here("run", "--driver", path, "--name", "auto", "--budget", 3).returncode == 0
    path.write_text(path.read_text().replace('"robot.py"', '"robot.py", "fast"'), encoding="utf-8")
    assert cli_here("run", "--name", "auto", "--budget", 4).returncode == 2, "another program has not been named"


def test_a_yield_beyond_all_is_asked_about_as_the_second_reading(cli_here: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(TEXT, encoding="utf-8")
    cli_here("suggest", "mine", "--driver", "mine.toml", "--count", 2, "--strategy", "sobol")
    assert cli_here("tell", "mine", "1", "--outcomes", "yield=41,purity=101").returncode == 0
    wrong = cli_here("tell", "mine", "2", "--outcomes", "yield=510,purity=95")
    assert (wrong.returncode, "yield = 510, where 0 to 100 % is possible" in wrong.stderr) == (2, True)
    assert cli_here("tell", "mine", "2", "--outcomes", "yield=510,purity=95", "--yes").returncode == 0


def test_an_outcome_has_a_range(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(TEXT.replace("[outcomes]", "[outcomes]\nph = { range = [0, 14] }"), encoding="utf-8")
    (outcome,) = (o for o in Description.read(tmp_path / "a.toml").experiment.outcomes if o.name == "ph")
    assert [outcome.is_possible(x) for x in (0, 14, -0.1, 14.1, 75)] == [True, True, False, False, False]
    (tmp_path / "b.toml").write_text(TEXT.replace("[outcomes]", "[outcomes]\nph = { range = [14, 0] }"), encoding="utf-8")
    with pytest.raises(InvalidInput, match="ph: a range is two numbers, the smaller one first"):
        Description.read(tmp_path / "b.toml")


def test_constraints_that_nobody_can_satisfy_are_found_by_check(cli_here: Cli, tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    path.write_text(TEXT.replace("low = 0.1\n", "low = 4\n"), encoding="utf-8")
    refused = cli_here("experiment", "check", path)
    assert refused.returncode == 2
    assert "satisfy its constraints" in refused.stderr


OTHER = """
import json, os, pathlib, sys, time
form = sys.argv[1]
while not pathlib.Path("stop").exists():
    for path in pathlib.Path().glob("*.request." + form):
        answer = path.name.replace("request", "answer")
        if form == "json":
            settings = json.loads(path.read_text())["settings"]
            text = json.dumps({"outcomes": {"yield": settings["temperature"], "purity": 95}, "batch": 7})
        else:
            head, row = path.read_text().splitlines()
            cells = dict(zip(head.split(","), row.split(",")))
            text = "id;yield;purity\\n" + cells["id"] + ";" + cells["temperature"].replace(".", ",") + ";95,0\\n"
        path.unlink()
        pathlib.Path(answer).write_text(text[: len(text) // 2])  # an instrument that does not rename
        time.sleep(0.3)
        pathlib.Path(answer).write_text(text)
    time.sleep(0.02)
"""


def described(folder: Path, by: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(f"{TEXT}\n[by]\n{by}\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_folder_performs_experiments(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "SETTLED", 600.0)  # the other side may be held up in the middle of a file
    exchange = tmp_path / "exchange"
    exchange.mkdir()
    (tmp_path / "other.py").write_text(OTHER)
    file = described(tmp_path, f'folder = "exchange"\nform = "{form}"\nseconds = 60')
    driver = catalog.make_driver("experiment", {"file": file})
    with subprocess.Popen([sys.executable, "../other.py", form], cwd=exchange) as other, driver:
        for _ in range(2):
            measured = driver.perform(SETTINGS)
            assert measured.outcomes["yield"] == 45
            assert measured.outcomes["purity"] == 95
            assert measured.cost == Description.read(file).price(SETTINGS)
        driver.stop()
        assert other.wait(60) == 0  # it saw the stop file
    assert len(list(exchange.glob(f"*.answer.{form}"))) == 2


def test_a_folder_that_says_nothing_is_a_failed_experiment(tmp_path: Path) -> None:
    (tmp_path / "exchange").mkdir()
    driver = catalog.make_driver("experiment", {"file": described(tmp_path, 'folder = "exchange"\nseconds = 0.5')})
    with driver, pytest.raises(DriverError, match=r"no answer to .* within 0\.5 s"):
        driver.perform(SETTINGS)
    assert not list((tmp_path / "exchange").glob("*.request.*")), "it would be performed later"
    driver = catalog.make_driver("experiment", {"file": described(tmp_path, 'folder = "elsewhere"')})
    with pytest.raises(DriverError, match="there is no folder"):
        driver.__enter__()


def test_a_stopped_or_killed_campaign_leaves_no_request_in_a_folder(tmp_path: Path) -> None:
    exchange = tmp_path / "exchange"
    exchange.mkdir()
    (exchange / "killed.request.json").write_text("{}")
    (exchange / "done.request.json").write_text("{}")
    (exchange / "done.answer.json").write_text("{}")
    driver = catalog.make_driver("experiment", {"file": described(tmp_path, 'folder = "exchange"')})
    with driver:
        assert sorted(path.name for path in exchange.iterdir()) == ["done.answer.json", "done.request.json"]
        asked: list[BaseException] = []

        def perform() -> None:
            try:
                driver.perform(SETTINGS)
            except Stopped as error:
                asked.append(error)

        asking = threading.Thread(target=perform)
        asking.start()
        while len(list(exchange.glob("*.request.json"))) < 2:
            assert asking.is_alive()
        driver.stop()
        asking.join()
        assert [str(error) for error in asked] == ["the experiment was stopped"]
        assert (exchange / "stop").exists()
        assert len(list(exchange.glob("*.request.json"))) == 1, "it would be performed later"


def test_an_answer_that_stays_nonsense_is_a_failed_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "SETTLED", 0.0)
    exchange = tmp_path / "exchange"
    exchange.mkdir()

    def nonsense() -> None:
        while not (found := list(exchange.glob("*.request.json"))):
            pass
        (exchange / found[0].name.replace("request", "answer")).write_text("hello")

    other = threading.Thread(target=nonsense)
    other.start()
    driver = catalog.make_driver("experiment", {"file": described(tmp_path, 'folder = "exchange"')})
    with driver, pytest.raises(DriverError, match="'hello', which is no JSON"):
        driver.perform(SETTINGS)
    other.join()


def test_an_address_performs_experiments(tmp_path: Path) -> None:
    example = Path(__file__).parent.parent / "examples" / "laboratories" / "http_lab.py"
    with subprocess.Popen([sys.executable, str(example), "--port", "0"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            address = server.stdout.readline().strip()
            driver = catalog.make_driver("experiment", {"file": described(tmp_path, f'address = "{address}"')})
            with driver:
                assert driver.perform(SETTINGS).outcomes == {"yield": 90 - 15**2 / 40}

                async def in_a_notebook() -> float | str:
                    return driver.perform(SETTINGS).outcomes["yield"]

                assert asyncio.run(in_a_notebook()) == 90 - 15**2 / 40
                driver.stop()
                with pytest.raises(Stopped):
                    driver.perform(SETTINGS)
        finally:
            server.kill()


class Odd(BaseHTTPRequestHandler):
    """Answers in the way that its path names."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.asked.append(self.path)
        way = self.path.strip("/")
        if way == "slow":
            time.sleep(2)
        self.send_response({"elsewhere": 302, "broken": 500}.get(way, 200))
        self.send_header("Location", "/good")
        content = {"nonsense": b"hello", "large": b"x" * 2_000_000}.get(way, b'{"outcomes": {"yield": 1, "purity": 2}}')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize(
    ("way", "fault"),
    [
        ("elsewhere", "redirects elsewhere"), ("broken", "status 500"), ("nonsense", "'hello', which is no JSON"),
        ("large", "more than 1,000,000"), ("slow", "no answer within 0.5 s; whether it was performed is not known"),
    ],
)  # fmt: skip
def test_an_odd_address_is_one_failed_experiment_and_is_asked_once(tmp_path: Path, way: str, fault: str) -> None:
    Odd.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        file = described(tmp_path, f'address = "http://127.0.0.1:{server.server_port}/{way}"\nseconds = {0.5 if way == "slow" else 60}')
        with catalog.make_driver("experiment", {"file": file}) as driver, pytest.raises(DriverError, match=fault):
            driver.perform(SETTINGS)
        assert Odd.asked == [f"/{way}"] or (way == "slow" and not Odd.asked)
    finally:
        server.shutdown()
        server.server_close()


def test_an_address_where_nobody_answers_is_a_failed_experiment(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    file = described(tmp_path, f'address = "http://127.0.0.1:{number}"')
    with (
        catalog.make_driver("experiment", {"file": file}) as driver,
        pytest.raises(DriverError, match="cannot be asked: nothing listens there"),
    ):
        driver.perform(SETTINGS)


def test_an_address_that_cannot_be_told_to_stop_is_named_by_the_experiment(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the request, and says nothing
        file = described(tmp_path, f'address = "http://127.0.0.1:{silent.getsockname()[1]}"')
        driver = catalog.make_driver("experiment", {"file": file})

        def stop() -> None:
            taken, _ = silent.accept()
            silent.close()  # nobody else gets in
            driver.stop()
            taken.close()

        stopping = threading.Thread(target=stop)
        stopping.start()
        with driver, pytest.raises(Stopped, match="could not be told so: see that the instrument is at rest"):
            driver.perform(SETTINGS)
        stopping.join()


def test_a_function_performs_experiments(tmp_path: Path) -> None:
    hot = "if s['temperature'] > 70: raise ValueError('too hot')"
    (tmp_path / "mylab.py").write_text(f"def measure(s):\n    {hot}\n    return {{'yield': s['temperature'], 'purity': 95}}\n")
    with catalog.make_driver("experiment", {"file": described(tmp_path, 'function = "mylab:measure"')}) as driver:
        assert driver.perform(SETTINGS).outcomes["yield"] == 45
        with pytest.raises(DriverError, match="mylab:measure failed: ValueError: too hot"):
            driver.perform({**SETTINGS, "temperature": 80.0})
    for name in ("mylab:weigh", "nolab:measure"):
        with pytest.raises(DriverError, match=f"cannot import {name}"):
            catalog.make_driver("experiment", {"file": described(tmp_path, f'function = "{name}"')}).__enter__()


@pytest.mark.parametrize("by", ['program = ["a"]\nfolder = "b"', "seconds = 5", 'address = "file:///etc/passwd"', 'function = "os.system"'])
def test_one_performs_an_experiment_and_it_is_one_that_can(tmp_path: Path, by: str) -> None:
    with pytest.raises(InvalidInput, match="by"):
        Description.read(described(tmp_path, by))


DATA = Path(__file__).parent / "data"
PAST = """toluene (mL);water (mL);temperature;ligand;yield (%);note
0,5;0,5;20;XPhos;41,5;a
0,2;0,8;40;SPhos;12;b
0,75;0,25;20;SPhos;;c
0,1;0,9;40;XPhos;70;d
"""
EDBO = """temperature,ligand,yield,priority
20,XPhos,41.5,-1
40,SPhos,PENDING,1
20,SPhos,PENDING,0
40,XPhos,70,-1
"""


def proposed(folder: Path, source: Path, *outcomes: str) -> Description:
    path = folder / "proposed.toml"
    path.write_text(written(proposal(source, outcomes)), encoding="utf-8")
    return Description.read(path)


def test_a_table_of_past_experiments_proposes_a_file_and_begins_a_campaign(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("past.csv").write_text(PAST, encoding="utf-8")
    made = cli("experiment", "new", "mine.toml", "--from", "past.csv", "--outcomes", "yield (%)")
    assert made.returncode == 0, made.stderr
    found = Description.read(Path("mine.toml"))
    assert [(p.name, p.limits) for p in found.experiment.parameters][:4] == [
        ("toluene", "[0.1, 0.75] mL"), ("water", "[0.25, 0.9] mL"), ("temperature", "{20, 40}"), ("ligand", "{XPhos, SPhos}"),
    ]  # fmt: skip
    assert [(s.parts, s.total) for s in found.sums] == [(("toluene", "water"), 1.0)]
    assert found.goal_text == "maximize:yield"
    assert cli("experiment", "new", "mine.toml", "--from", "past.csv").returncode == 2


def test_edbo_sheets_say_what_is_measured(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("edbo.csv").write_text(EDBO, encoding="utf-8")
    found = proposed(tmp_path, Path("edbo.csv"))
    assert [p.name for p in found.experiment.parameters] == ["temperature", "ligand"]
    assert [o.name for o in found.experiment.outcomes] == ["yield"]
    assert cli("experiment", "new", "edbo.toml", "--from", "edbo.csv").returncode == 0
    told = cli("tell", "edbo", "--driver", "edbo.toml", "--table", "edbo.csv")
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("stored as experiment") == 2


def test_files_of_other_tools_become_experiments(tmp_path: Path) -> None:
    """They were written by BayBE 0.15 and BoFire 0.5; of BayBE's, the tables of all candidates were left out."""
    for name in ("baybe_campaign.json", "bofire_domain.json"):
        found = proposed(tmp_path, DATA / name)
        limits = {p.name: p.limits for p in found.experiment.parameters}
        assert limits["temperature"].startswith("{20, 40, 60}")
        assert set(limits) == {"toluene", "water", "temperature", "ligand"}
        assert [(s.parts, s.total) for s in found.sums] == [(("toluene", "water"), 1.0)]
        assert found.goal_text.startswith("maximize:yield")
    assert found.goal_text == "maximize:yield minimize:cost" or found.goal == ("maximize:yield", "minimize:cost")
    assert (dict(found.limits[0].terms), found.limits[0].high) == ({"toluene": 2.0, "temperature": 1.0}, 70.0)


@pytest.mark.parametrize(
    ("text", "name", "fault"),
    [
        ("{", "a.json", "no JSON"), ("[1]", "a.json", "neither a campaign of BayBE nor a domain of BoFire"),
        ('{"inputs": {"features": [{}]}}', "a.json", "a version of its tool that is not known here"),
        ("x\n1\n", "a.csv", "which of its columns"),
        ("x,y\n", "a.csv", "no rows"), ("x,y\n1,2\n", "a.csv", "no column z; it has x, y"),
    ],
)  # fmt: skip
def test_what_proposes_nothing_is_refused_in_one_sentence(tmp_path: Path, text: str, name: str, fault: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidInput, match=fault) as refused:
        proposal(tmp_path / name, ["z"] if "z" in fault else [])
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_an_interview_writes_a_file(tmp_path: Path) -> None:
    import pty

    answers = ["temperature", "20..80/5", "°C", "acid", "0..1", "mL", "base", "nonsense", "0..1", "mL", "ligand", "XPhos, SPhos", ""]
    answers += ["yield", "%", "more", "", "acid, base", "1"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "frugaltwin", "experiment", "new", "mine.toml"], cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
        with contextlib.suppress(OSError):  # the other side has ended
            while part := os.read(ours, 4096):
                shown += part
        assert process.wait() == 0, shown.decode()
    os.close(ours)
    found = Description.read(tmp_path / "mine.toml")
    assert [p.limits for p in found.experiment.parameters] == ["{20, 25, … 80} °C", "[0, 1] mL", "[0, 1] mL", "{XPhos, SPhos}"]
    assert (found.goal_text, found.sums[0].parts) == ("maximize:yield", ("acid", "base"))
    assert found.by is not None
    assert found.by.sheet == Path("mine.csv")
