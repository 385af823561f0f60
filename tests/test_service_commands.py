"""`frugaltwin service` on a class: who is here, what they may spend, codes and tokens, and that somebody leaves."""

import contextlib
import csv
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from api.commands.serve import announce
from api.records import fair_queue, rigs
from api.settings import CodeTerms
from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.cli.main import app
from frugaltwin.client.client import Client
from frugaltwin.errors import InvalidInput, Refused
from frugaltwin.experiment import Measurement
from tests import forked
from tests.conftest import command
from tests.running_service import Running, running
from tests.service_database import COST, SETTINGS, report_one

Told = Callable[..., Result]


@pytest.fixture
def service(sqlite_url: str) -> Iterator[Running]:
    with running(sqlite_url) as found:
        yield found


@pytest.fixture
def told(service: Running) -> Told:
    """`frugaltwin service …` of the instructor; raises what the command does."""

    def tell(*words: object) -> Result:
        arguments = ["service", *map(str, words), "--server", service.address]
        return CliRunner().invoke(app, arguments, env={"FRUGALTWIN_TOKEN": service.admin}, catch_exceptions=False)

    return tell


def rows(done: Result) -> list[dict[str, Any]]:
    """Of ``--json``."""
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_instructor_looks_after_a_class_from_the_command_line(service: Running, told: Told) -> None:
    made = told("new-code", "--uses", 2, "--budget", "runs=5,volume=50", "--note", "Monday", "--hours", 1, "--twins-only")
    code = re.findall(r"once: ([a-z0-9-]+)\n", made.stdout)[0]
    with service.client() as nobody:
        joined = nobody.post("/v1/join", json={"code": code, "name": "Ada"}).json()
    (listed,) = rows(told("codes", "--json"))
    assert (listed["note"], listed["uses_left"], listed["runs"], listed["seconds"]) == ("Monday", 1, 5, None)
    assert code not in str(listed)

    service.database.write_now(lambda c, now: rigs.register(c, now, "mixer-1", "color-mixing", {}, True))
    of_each = {one["rig"]: one["experiments"] for one in rows(told("budget", "runs=200,rig_runs=5", "--json"))}
    assert (of_each["color-1"], of_each["mixer-1"]) == (200, 5)
    (lets_in,) = [one for one in rows(told("budget", "runs=200,volume=500", "--json")) if one["rig"] == "color-1"]
    assert 20 < lets_in["of_the_dearest"] < lets_in["experiments"] < 200

    ada = joined["person"]
    assert (
        "has left: runs 3, rig_runs no limit, seconds no limit, money no limit, volume 150"
        in told("grant", ada, "runs=-2,volume=100").stderr
    )
    with pytest.raises(Refused, match="runs: 4 is to be taken, 3 is left; take at most that"):
        told("grant", ada, "runs=-4")
    assert (
        "has left: runs 3, rig_runs no limit, seconds 60, money no limit, volume no limit"
        in told("grant", ada, "seconds=60,volume=none", "--set").stderr
    )
    for words, says in (
        (("volume=none",), "--set"),
        (("runs=many",), "each a number"),
        (("moles=3",), "it takes runs, rig_runs, seconds"),
        (("seconds=nan",), "each a number"),
    ):
        with pytest.raises(InvalidInput, match=says):
            told("grant", ada, *words)
    (entry, *_) = rows(told("ledger", ada, "--json"))
    assert (entry["kind"], entry["seconds"], entry["volume"]) == ("grant", 60, 0)

    (person,) = (row for row in rows(told("people", "--json")) if row["id"] == ada)
    assert (person["name"], person["runs_left"], person["seconds_left"], person["money_left"], person["runs_spent"]) == (
        "Ada",
        3,
        60,
        None,
        0,
    )
    assert re.search(rf"{ada}  Ada +student +3 +no limit +60 +no limit", told("people").stdout)

    second = told("new-token", "--scope", "read", "--scope", "run:sim", "--person", ada, "--note", "lost the first")
    words = re.findall(r"once: (ft_\S+)\n", second.stdout)[0]
    identity = re.findall(r"revoke (t_\w+)", second.stderr)[0]
    assert [row["note"] for row in rows(told("tokens", ada, "--json"))] == ["lost the first", "joined"]
    with service.client(words) as client:
        assert client.get("/v1/me").json()["person"] == ada
        for which in (identity, listed["id"]):
            assert told("revoke", which).exit_code == 0
        assert client.get("/v1/me").status_code == 401
    with service.client() as nobody:
        assert nobody.post("/v1/join", json={"code": code, "name": "Eve"}).status_code == 401
    with pytest.raises(InvalidInput, match="no id of a token"):
        told("revoke", "x_1")

    hired = told("new-person", "Mr. Boyle", "--role", "instructor")
    with service.client(re.findall(r"once: (ft_\S+)\n", hired.stdout)[0]) as client:
        assert client.get("/v1/people").status_code == 200
    assert told("remove", re.findall(r"is (u_\w+)", hired.stderr)[0]).exit_code == 0

    assert told("remove", ada).exit_code == 0
    assert [row["id"] for row in rows(told("people", "--json"))] == [service.instructor]
    with pytest.raises(Refused, match="nobody removes themselves"):
        told("remove", service.instructor)


def test_a_student_joins_and_everything_is_exported_as_one_table(
    service: Running, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    code = re.findall(r"once: ([a-z0-9-]+)\n", told("new-code", "--uses", 2).stdout)[0]
    assert told("join", code.upper().replace("-", " "), "Ada").exit_code == 0  # as it may be copied from a board
    token = (tmp_path / ".config" / "frugaltwin" / "token").read_text().strip()
    with pytest.raises(InvalidInput, match="need not again"):
        told("join", code, "Ada")
    settings = {"red": 0.2, "yellow": 0.3, "blue": 0.1, "water": 3.4}
    with service.client(token) as client:
        whose = client.get("/v1/me").json()["person"]
        first = client.post("/v1/experiments", json={"rig": "color-1", "settings": settings}).json()["id"]
        client.post(f"/v1/experiments/{first}/abort")
    with service.client(service.admin) as client:
        second = client.post("/v1/experiments", json={"rig": "color-1", "settings": settings}).json()["id"]
    for name, env, ids in (("all.csv", service.admin, [first, second]), ("mine.csv", token, [first])):
        assert told("export", tmp_path / name, "--token", env).exit_code == 0
        with (tmp_path / name).open(newline="") as file:
            table = list(csv.DictReader(file))
        assert [row["id"] for row in table] == ids
        assert (table[0]["person"], table[0]["state"], table[0]["settings.water"]) == (whose, "aborted", "3.4")
    with pytest.raises(InvalidInput, match="there is no folder"):
        told("export", tmp_path / "none" / "all.csv")


def test_an_export_marks_corrected_trials_and_has_the_outcomes_that_count(service: Running, told: Told, tmp_path: Path) -> None:
    _, token = service.person()
    with Client(service.address, token) as ada:
        own = ada.start_campaign("own", "color-1", budget=9, mode="client")
        done = []
        for number in (1, 2, 3):
            done.append(ada.submit("color-1", SETTINGS, campaign=own.id, trial=number).id)
            (row,) = service.database.write_now(lambda c, now: fair_queue.lease(c, now, "color-1", "test", 1))
            service.database.write_now(lambda c, now, i=row.id, k=row.lease: fair_queue.begin(c, now, i, k))  # type: ignore[misc]
            with catalog.make_driver("color-mixing") as driver:
                report: tuple[Measurement, None, Amounts, dict[str, str]] = (driver.perform(row.settings), None, COST, {})
            service.database.write_now(lambda c, now, i=row.id, k=row.lease, r=report: report_one(c, now, i, k, *r))  # type: ignore[misc]
        ada.retract(own.id, 1, "the wrong flask")
        ada.amend(own.id, 2, {"t_415": 0.5}, "a typing mistake")
    assert told("export", tmp_path / "all.csv").exit_code == 0
    with (tmp_path / "all.csv").open(newline="") as file:
        first, second, third = csv.DictReader(file)
    assert [row["id"] for row in (first, second, third)] == done
    assert (first["correction"], first["outcomes.t_415"]) == ("retracted: the wrong flask", "")
    assert (second["correction"], second["outcomes.t_415"]) == ("amended: a typing mistake", "0.5")
    assert json.loads(second["original"])["t_415"] == float(third["outcomes.t_415"])
    assert (third["correction"], third["original"]) == ("", "")


@contextlib.contextmanager
def serving(folder: Path, *words: str) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """What `frugaltwin serve` says as JSON while it serves, and on standard error when it has ended."""
    process = forked.Process(
        command("serve", "--json", "--port", "0", "--no-rigs", *words),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    said: list[str] = []
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline()), said
    finally:
        process.terminate()
        said += process.communicate(timeout=120)[1].splitlines()
    assert process.returncode == 0


def test_the_first_code_gives_what_serve_says(tmp_path: Path) -> None:
    flags = ("--code-budget", "runs=3,volume=50", "--code-uses", "1", "--thinkers", "1")
    with serving(tmp_path, *flags) as (first, _), httpx.Client(base_url=first["address"], trust_env=False) as client:
        assert (first["code_uses"], first["code_budget"]) == (1, {"runs": 3.0, "volume": 50.0})
        token = client.post("/v1/join", json={"code": first["join_code"], "name": "Ada"}).json()["token"]
        me = client.get("/v1/me", headers={"Authorization": f"Bearer {token}"}).json()
        assert me["budget"]["left"] == {"runs": 3, "rig_runs": None, "seconds": None, "money": None, "volume": 50}
        assert client.post("/v1/join", json={"code": first["join_code"], "name": "Eve"}).status_code == 401
    with serving(tmp_path, *flags) as (again, _):
        assert again["join_code"] is None


def test_what_a_code_gives_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert CodeTerms(30, {"runs": 200.0}).text == "30 people may join with it; each may spend 200 runs; nothing else is limited."
    assert CodeTerms().text == "1000 people may join with it; each may spend without limit."
    announce("http://127.0.0.1:1", [], None, None, CodeTerms(30), False)
    assert "none was made; --new-code makes one" in capsys.readouterr().err


@pytest.mark.parametrize("budget", ["runs=-1", "moles=3", "runs=inf", "runs=", "x"])
def test_a_budget_of_a_code_that_cannot_be_is_refused(budget: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--code-budget"):
        CliRunner().invoke(app, ["serve", "--database", f"sqlite:///{tmp_path}/s.db", "--code-budget", budget], catch_exceptions=False)
