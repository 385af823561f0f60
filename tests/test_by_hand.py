"""Campaigns at a desk: what is said once is remembered, and a slip of the hand is asked about."""

from pathlib import Path

from tests.conftest import Cli, events

RANDOM = ("--strategy", "random")


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
