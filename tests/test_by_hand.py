"""Campaigns at a desk: what is said once is remembered, and a slip of the hand is asked about."""

import json
from importlib.metadata import version
from pathlib import Path

from frugaltwin import catalog
from frugaltwin.tables import write_rows
from tests.conftest import Cli, events

RANDOM = ("--strategy", "random")
RECIPES = ((1, 0.5, 0.5, 2), (0, 0.5, 0.25, 3.25), (0.5, 0, 0.5, 3), (0.25, 1, 0, 2.75), (0.1, 0.2, 1, 2.7), (0.3, 0.3, 0.3, 3.1))


def test_a_campaign_remembers_its_budget_stop_rule_and_report(cli_here: Cli, tmp_path: Path) -> None:
    first = events(cli_here("run", "--name", "reef", "--budget", "runs=1,volume=500", "--report", "seen.html", *RANDOM, "--json"))[-1]
    assert (first["runs"], first["report"]) == (1, "seen.html")
    again = events(cli_here("run", "--name", "reef", "--json"))[-1]
    assert (again["stopped_because"], again["report"]) == ("budget: 1 of 1 runs", "seen.html")
    reached = events(cli_here("run", "--name", "reef", "--budget", 4000, "--stop", 500, "--json"))[-1]
    assert reached["stopped_because"].startswith("goal: ")
    assert events(cli_here("run", "--name", "reef", "--json"))[-1]["stopped_because"] == reached["stopped_because"]
    assert "4000" in (tmp_path / "seen.html").read_text()


def test_suggestions_by_hand_stay_under_way_when_a_budget_is_named(cli_here: Cli) -> None:
    suggested = cli_here("suggest", "bench", *RANDOM, "--json")
    rows = events(cli_here("run", "--name", "bench", "--budget", 1, "--json"))
    assert rows[0]["settings"] == events(suggested)[0]["settings"]


def test_a_misspelled_name_begins_no_campaign(cli_here: Cli) -> None:
    begun = cli_here("suggest", "alloy", "--driver", "eutectic", *RANDOM)
    assert "new campaign alloy in frugaltwin.db: eutectic, " in begun.stderr
    for words in (("run", "--name", "alloy7", "--budget", 3), ("suggest", "Aloy")):
        refused = cli_here(*words)
        assert refused.returncode == 2
        assert "did you mean 'alloy'? A new one of that name takes its --goal or --driver (--name)" in refused.stderr
    assert [row["name"] for row in events(cli_here("list", "--json"))] == ["alloy"]
    assert cli_here("suggest", "alloy7", "--goal", "match-color:teal", *RANDOM).returncode == 0
    assert cli_here("suggest", "alloy8").returncode == 0, "a series is no misspelling"


def test_a_slipped_decimal_is_asked_about_and_a_right_reading_is_not(cli_here: Cli, tmp_path: Path) -> None:
    cli_here("suggest", "hand", *RANDOM)
    with catalog.make_driver("color-mixing", seed=4) as driver:
        names = [p.name for p in driver.experiment.parameters]
        rows = [dict(zip(names, cells, strict=True)) for cells in RECIPES]
        readings = [driver.perform(row).outcomes for row in rows]
    table = [{**row, **reading} for row, reading in zip(rows, readings, strict=True)]
    write_rows(tmp_path / "five.csv", table[:5])
    assert cli_here("tell", "hand", "--table", "five.csv").returncode == 0
    words = ("tell", "hand", "--settings", json.dumps(rows[5]), "--outcomes")
    slipped = dict(readings[5]) | {"t_555": float(readings[5]["t_555"]) / 10}
    refused = cli_here(*words, json.dumps(slipped))
    assert refused.returncode == 2
    assert "experiment 6: t_555 = " in refused.stderr
    assert "is expected; nothing is stored. If it was read so, tell it with --yes" in refused.stderr
    assert cli_here(*words, json.dumps(slipped), "--yes").returncode == 0
    assert cli_here(*words, json.dumps(dict(readings[5]))).returncode == 0


def test_the_version_is_printed_and_a_strategy_has_options(cli_here: Cli) -> None:
    assert cli_here("--version").stdout == f"frugaltwin {version('frugaltwin')}\n"
    assert cli_here("suggest", "own", "--strategy", "composite", "--strategy-option", "wrong=3").returncode == 2
    assert cli_here("suggest", "own", "--strategy", "bayesian", "--strategy-option", "starts=7").returncode == 0
    assert json.loads(cli_here("export", "own", "--format", "json").stdout)["strategy"]["options"]["starts"] == 7


def test_a_table_is_not_written_under_the_name_of_a_spreadsheet(cli_here: Cli, tmp_path: Path) -> None:
    cli_here("suggest", "own", *RANDOM)
    refused = cli_here("export", "own", "--out", "own.xlsx")
    assert (refused.returncode, "ends in .csv" in refused.stderr) == (2, True)
    assert not (tmp_path / "own.xlsx").exists()
