"""Numbers on the screen and in tables: none is cut, and what the experiment names keeps its name and its value beside our columns."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import Connection

from api.records import fair_queue, rigs
from api.records.database import Database
from api.routes import campaign_export
from api.routes.campaign_export import Table
from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.campaign import Campaign
from frugaltwin.cli.run_display import TableDisplay
from frugaltwin.experiment import Categorical, Continuous, Experiment, Measurement, Outcome, Parameter, Settings, Trial, describe
from frugaltwin.goals.trial_table import trial_columns, trial_rows
from frugaltwin.pictures import report
from frugaltwin.store import Store
from frugaltwin.tables import BOOKKEEPING
from tests.conftest import Cli
from tests.test_standings import started

NUMBERS = [
    *(m * 10.0**e for m in (1.0, -1.2054, 9.9996, -9.9996) for e in (-300, -100, -9, -5, -4, -3, -1, 0, 2, 3, 4, 5, 6, 100, 299)),
    *(0.0, 999.96, 999.94, 1245.0, 12054.0, 999999.7),
]  # fmt: skip
OURS = (
    *BOOKKEEPING,
    "best",
    "measured",
    "target",
    "mL",
    "USD",
    "lab time",
    "front",
    "counts",
    "meets",
    "raw",
    "state",
    "experiment",
    "#fff",
)


class Bench:
    """An experiment whose settings are called like our columns."""

    def __init__(self, names: Sequence[str] = ("x",), outcome: str = "y") -> None:
        kinds: tuple[Parameter, ...] = (*(Continuous(name, -1e300, 1e300) for name in names), Categorical("note", ("#fff", "plain")))
        self.experiment = Experiment("bench", kinds, (Outcome(outcome, ""),))

    def __enter__(self) -> Bench:
        return self

    def perform(self, settings: Settings) -> Measurement:
        return Measurement({self.experiment.outcomes[0].name: 1.5}, Amounts(seconds=75.0, money=2.5, volume=4.0))

    def stop(self) -> None:
        """Nothing to stop."""

    def __exit__(self, *failure: object) -> None:
        pass


def campaign_of(bench: Bench, goal: str) -> Campaign:
    return Campaign("c", bench, catalog.make_goal(goal, bench), catalog.make_strategy("random", seed=0), Store(":memory:"))


def lines(width: int | None, trials: Sequence[Trial], campaign: Campaign) -> list[list[str]]:
    """The words of each row on a terminal of some width, or in a file."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=width is not None, width=width, color_system=None)
    with TableDisplay(replace(campaign.record(), trials=()), console) as display:
        for trial in trials:
            display.show(trial)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", file.getvalue().replace("\r", "\n"))
    rows = [line.split() for line in text.splitlines()]
    return [row for row in rows if row and row[0].isdecimal()]


def pyarrow_rows(file: bytes) -> list[dict[str, object]]:
    from pyarrow import parquet

    return list(parquet.read_table(io.BytesIO(file)).to_pylist())


@pytest.mark.parametrize("width", [40, 80, 200, None])
def test_no_number_is_ever_cut(width: int | None) -> None:
    campaign = campaign_of(Bench(), "maximize:y")
    trials = [
        Trial(k, {"x": v, "note": "#fff"}, Measurement({"y": v}), cost=Amounts(seconds=1e7, money=abs(v), volume=abs(v)))
        for k, v in enumerate(NUMBERS, start=1)
    ]
    rows = lines(width, trials, campaign)
    assert len(rows) == len(NUMBERS)
    best, spent = -math.inf, 0.0
    for value, (_, x, note, score, standing, *costs) in zip(NUMBERS, rows, strict=True):
        best, spent = max(best, value), spent + abs(value)
        assert note == "#fff"
        for shown, meant in ((x, value), (score, value), (standing, best)):
            assert float(shown) == pytest.approx(meant, rel=5.1e-3)
        for shown in costs[1:]:
            assert float(shown) == pytest.approx(spent, rel=5.1e-3, abs=0.5)
    assert len(rows[0]) == (8 if width in (200, None) else len(rows[0]))


def test_numbers_that_are_none_are_words_and_small_ones_are_not_nothing() -> None:
    campaign = campaign_of(Bench(), "maximize:y")
    words = {math.inf: "inf", -math.inf: "-inf", math.nan: "nan"}
    trials = [Trial(k, {"x": v, "note": "plain"}, Measurement({"y": v})) for k, v in enumerate(words, start=1)]
    assert [row[1:4] for row in lines(80, trials, campaign)] == [[word, "plain", word] for word in words.values()]
    assert describe({"pressure": 1e-7, "rpm": 12054.0}) == "pressure 1e-07, rpm 12054"


def test_settings_that_are_all_names_have_a_report_without_a_picture_of_them() -> None:
    campaign = campaign_of(Bench(()), "maximize:y")
    campaign.tell({"note": "plain"}, {"y": 1.5})
    assert 'aria-label="Recipes"' not in report.html(campaign.record())
    with_number = campaign_of(Bench(["x"]), "maximize:y")
    with_number.tell({"x": 1.0, "note": "plain"}, {"y": 1.5})
    assert 'aria-label="Recipes"' in report.html(with_number.record())


@pytest.mark.parametrize("outcome", ["y", "score", "best"])
def test_settings_called_like_our_columns_keep_their_values_in_every_table(outcome: str) -> None:
    names = [name for name in OURS if name != outcome]
    settings = {name: 1000.0 + k for k, name in enumerate(names)} | {"note": "plain"}
    campaign = campaign_of(Bench(names, outcome), f"maximize:{outcome}")
    trial = campaign.tell(settings, {outcome: 1.5}, Amounts(seconds=75.0, money=2.5, volume=4.0))
    columns, (row,) = trial_columns(campaign.goal), trial_rows(campaign.goal, [trial])
    assert len(set(columns)) == len(columns)
    assert set(row) == set(columns)
    assert settings.items() <= row.items()
    assert row[outcome] == row["score" if outcome == "y" and "score" not in settings else "trial_score"] == 1.5
    assert [row[f"trial_{name}"] for name in ("number", "seconds", "money", "volume", "source")] == [1, 75.0, 2.5, 4.0, "told"]
    frame = campaign.to_pandas()
    assert list(frame.columns) == columns
    assert {name: frame[name][0] for name in settings} == settings
    (shown,) = lines(None, [trial], campaign)
    assert shown[1 : len(settings) + 1] == [f"{v:.0f}" if isinstance(v, float) else v for v in settings.values()]
    assert shown[len(settings) + 1 :] == ["1.5", "1.5", "1:15", "2.50", "4"]
    page = report.html(campaign.record())
    cells = re.findall(r"<td[^>]*>(.*?)</td>", page)
    assert cells[1 : len(settings) + 2] == [f"{v:.0f}" if isinstance(v, float) else v for v in settings.values()] + ["1.5"]


def test_settings_called_like_our_columns_are_exported_and_read_back(cli_here: Cli, tmp_path: Path) -> None:
    names = ["number", "score", "mL", "best", "raw", "original", "score_mean"]
    (tmp_path / "t.csv").write_text("\n".join([",".join([*names, "y"]), *(",".join(f"{10 * k + j}" for j in range(8)) for k in range(3))]))
    said = ("--driver", "table", "--goal", "maximize:y", "--strategy", "bayesian", "--store", "c.db")
    assert cli_here("run", *said, "--option", "path=t.csv", "--name", "a", "--budget", 3).returncode == 0
    rows = list(csv.DictReader(io.StringIO(cli_here("export", "a", "--store", "c.db").stdout)))
    assert sorted([float(row[name]) for name in names] for row in rows) == [[10 * k + j for j in range(7)] for k in range(3)]
    assert [row["trial_number"] for row in rows] == ["1", "2", "3"]
    body = json.loads(cli_here("export", "a", "--store", "c.db", "--format", "json").stdout)
    assert [trial["raw"] + 3 for trial in body["trials"]] == [float(row["y"]) for row in rows]
    assert {trial["trial_raw"]["row"] for trial in body["trials"]} == {1, 2, 3}
    cli_here("export", "a", "--store", "c.db", "--out", "export.csv")
    refused = cli_here("run", *said, "--option", "path=export.csv", "--name", "b", "--budget", 3)
    assert "is a campaign's export: say which of its columns were set" in refused.stderr
    again = ("--option", "path=export.csv", "--option", f"settings={','.join(names)}")
    assert cli_here("run", *said, *again, "--name", "b", "--budget", 3).returncode == 0
    assert cli_here("predict", "a", "--store", "c.db", "--settings", "export.csv", "--out", "p.csv").returncode == 0
    predicted = list(csv.DictReader(io.StringIO((tmp_path / "p.csv").read_text())))
    assert [[row[name] for name in names] for row in predicted] == [[row[name] for name in names] for row in rows]
    assert float(predicted[0]["predicted_score_mean"]) == pytest.approx(float(rows[0]["y"]), abs=2)


def test_the_service_exports_settings_called_like_its_columns(database: Database, tmp_path: Path) -> None:
    names = ["number", "score", "state", "raw", "provenance", "campaign"]
    (tmp_path / "t.csv").write_text(",".join([*names, "y"]) + "\n1,2,3,4,5,6,7\n")
    options = {"path": str(tmp_path / "t.csv"), "outcomes": "y", "settings": ",".join(names)}
    database.write_now(lambda c, now: rigs.register(c, now, "color-1", "table", options, False))
    row, _ = started(database, "maximize:y")
    settings = {name: float(k) for k, name in enumerate(names, start=1)}

    def perform(c: Connection, now: float) -> None:
        fair_queue.submit(c, now, fair_queue.Order(row.person, row.rig, settings, Amounts(seconds=1.0), campaign=row.id, trial=1))
        (leased,) = fair_queue.lease(c, now, row.rig, "w", 1, twins_begin=True)
        fair_queue.finish(c, now, [fair_queue.Ended(leased.id, leased.lease, Measurement({"y": 7.0}, raw={"row": 1}), None, Amounts(), {})])

    database.write_now(perform)
    table = database.read_now(lambda c: Table.of(c, row, True))
    (parquet,) = pyarrow_rows(b"".join(campaign_export.parts("parquet", table, database, "{}", [])))  # type: ignore[arg-type]
    assert settings.items() <= parquet.items()
    assert (parquet["trial_number"], parquet["trial_score"], parquet["trial_campaign"]) == (1, 7.0, row.name)
    texts = {form: "".join(map(str, campaign_export.parts(form, table, database, "{}", []))) for form in ("csv", "json")}
    (from_csv,) = csv.DictReader(io.StringIO(texts["csv"]))
    (from_json,) = json.loads(texts["json"])["trials"]
    assert settings.items() <= {name: float(from_csv[name]) for name in names}.items()
    assert settings.items() <= from_json.items()
    assert (from_csv["trial_number"], from_csv["trial_state"], from_csv["experiment"]) == ("1", "succeeded", from_json["experiment"])
    assert from_json["trial_raw"] == {"row": 1}
    assert (from_json["trial_score"], from_json["trial_campaign"]) == (7.0, row.name)
