"""Campaigns at a desk: what is said once is remembered, and a slip of the hand is asked about."""

import json
import signal
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import pytest

from frugaltwin import Campaign, Categorical, Continuous, Experiment, Outcome, catalog
from frugaltwin.errors import CampaignError
from frugaltwin.state import State, Suggestion
from frugaltwin.tables import pairs, write_rows
from optimizers.random_search import RandomSearch
from tests.conftest import Cli, events

CHANNELS = ("t_415", "t_445", "t_480", "t_515", "t_555", "t_590", "t_630", "t_680")
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
    assert "is expected; nothing is stored. If it was so, tell it with --yes" in refused.stderr
    assert cli_here(*words, json.dumps(slipped), "--yes").returncode == 0
    assert cli_here(*words, json.dumps(dict(readings[5]))).returncode == 0


def test_what_is_printed_can_be_told_back_by_its_number_with_units_and_as_it_was_really_dosed(cli_here: Cli, tmp_path: Path) -> None:
    first = cli_here("suggest", "hand", "--count", 2, "--strategy", "sobol")
    assert "frugaltwin tell hand 2 --outcomes 't_415=…" in first.stderr
    recipes = first.stdout.splitlines()
    for line in recipes:
        amounts = [Decimal(part.partition("=")[2].removesuffix(" mL")) for part in line.split(",")]
        assert sum(amounts) == 4
        assert all(str(amount) == f"{amount:f}" for amount in amounts)
    reading = ",".join(f"{name}={0.5}" for name in CHANNELS)
    again = reading.replace("0.5", "0.51")
    told = events(cli_here("tell", "hand", 1, "--outcomes", reading, "--outcomes", again, "--json"))
    assert [row["number"] for row in told] == [1, 2]
    assert told[0]["settings"] == told[1]["settings"]
    assert cli_here("suggest", "hand", "--pending").stdout.splitlines() == recipes[1:], "another reading ends no other suggestion"
    second = dict(pairs("", recipes[1].replace(" mL", "")))
    water = round(second["water"] - 0.03, 4)
    (dosed,) = events(cli_here("tell", "hand", 2, "--settings", f"water={water} mL", "--outcomes", reading, "--json"))
    assert dosed["settings"] == second | {"water": water}
    assert cli_here("suggest", "hand", "--pending").stdout == ""
    write_rows(tmp_path / "dosed.csv", [dosed["settings"] | dosed["outcomes"] | {"water": water - 0.005}])
    (from_table,) = events(cli_here("tell", "hand", "--table", "dosed.csv", "--json"))
    assert from_table["settings"]["water"] == water - 0.005
    shown = cli_here("show", "hand").stdout
    recommended = shown.partition("recommended recipe (the best reading): ")[2].splitlines()[0]
    assert cli_here("tell", "hand", "--settings", recommended, "--outcomes", reading).returncode == 0
    wrong = cli_here("tell", "hand", 2, "--settings", "red=0.1 L", "--outcomes", reading)
    assert (wrong.returncode, "red = 0.1 L: write it in mL" in wrong.stderr) == (2, True)
    assert "they go from 1 to 2" in cli_here("tell", "hand", 9, "--failed", "spilled").stderr
    cli_here("suggest", "hand")
    assert cli_here("reject", "hand", 3, "--why", "no red").returncode == 0
    assert cli_here("suggest", "hand", "--pending").stdout == ""


def test_outcomes_that_the_goal_does_not_need_may_be_left_out(cli_here: Cli, tmp_path: Path) -> None:
    cli_here("suggest", "dark", "--goal", "minimize:t_415", "--strategy", "bayesian", "--count", 3)
    for number, value in ((1, 0.5), (2, 0.4)):
        (told,) = events(cli_here("tell", "dark", number, "--outcomes", f"t_415={value}", "--json"))
        assert (told["outcomes"], told["score"], told["color"]) == ({"t_415": value}, value, None)
    missing = cli_here("tell", "dark", 3, "--outcomes", "t_445=0.5")
    assert (missing.returncode, "t_415 missing" in missing.stderr) == (2, True)
    assert cli_here("suggest", "dark").returncode == 0
    assert cli_here("amend", "dark", 1, "--outcomes", "t_415=0.3", "--why", "a slip").returncode == 0
    assert "best reading: 0.3 in experiment 1" in cli_here("show", "dark").stdout
    assert cli_here("report", "dark").returncode == 0
    assert ",0.3,,,,,,,,,,,0.3," in cli_here("export", "dark").stdout


def test_a_campaign_is_forked_for_another_goal_and_travels_as_a_file(cli_here: Cli, tmp_path: Path) -> None:
    cli_here("run", "--name", "reef", "--budget", 3, *RANDOM)
    cli_here("retract", "reef", 2, "--why", "a bubble")
    forked = cli_here("fork", "reef", "--goal", "minimize:t_415", "--name", "dark", "--budget", 2, *RANDOM)
    assert "new campaign dark in frugaltwin.db: the 3 trials of reef, minimize:t_415" in forked.stderr
    rows = events(cli_here("run", "--name", "dark", "--json"))
    assert [row["number"] for row in rows[:-1]] == [4, 5], "the budget is for what comes after"
    before, after = (events(cli_here("show", name, "--json"))[:3] for name in ("reef", "dark"))
    assert [row["outcomes"] for row in before] == [row["outcomes"] for row in after]
    assert after[1]["correction"]["why"] == "a bubble"
    assert [row["score"] for row in after] == [row["outcomes"] and row["outcomes"]["t_415"] for row in before]
    again = events(cli_here("run", "--from", "reef", "--goal", "match-color:teal", "--budget", 1, "--strategy", "sobol", "--json"))
    assert (again[-1]["name"], [row["number"] for row in again[:-1]]) == ("reef-2", [4])
    assert "choose another name" in cli_here("fork", "reef", "--goal", "match-color:teal", "--name", "dark").stderr
    cli_here("export", "dark", "--format", "json", "--out", "dark.json")
    imported = cli_here("import", "dark.json", "--store", "other.db")
    assert imported.stdout.startswith("dark: 5 trials, minimize:t_415, in ")
    one, other = (cli_here("export", "dark", "--format", "json", "--store", store).stdout for store in ("frugaltwin.db", "other.db"))
    assert {**json.loads(other), "plan": 0} == {**json.loads(one), "plan": 0}
    assert events(cli_here("run", "--name", "dark", "--budget", 6, "--store", "other.db", "--json"))[0]["number"] == 6
    assert "already; give this one another name (--name)" in cli_here("import", "dark.json").stderr
    older = {key: word for key, word in json.loads(one).items() if key != "performed"}
    (tmp_path / "older.json").write_text(json.dumps(older))
    assert cli_here("import", "older.json", "--name", "old").returncode == 0
    assert json.loads(cli_here("export", "old", "--format", "json").stdout)["performed"] == json.loads(one)["performed"]
    (tmp_path / "no.json").write_text('{"experiment": {}}')
    assert "no.json is no exported campaign" in cli_here("import", "no.json").stderr


def test_a_store_and_its_table_move_together_and_a_stop_rule_is_taken_away(cli_here: Cli, tmp_path: Path) -> None:
    (tmp_path / "lab" / "data").mkdir(parents=True)
    (tmp_path / "lab" / "data" / "t.csv").write_text("x,y\n" + "".join(f"{k},{k % 5}\n" for k in range(12)))
    words = ("--driver", "table", "--goal", "maximize:y", *RANDOM, "--store", "lab/s.db", "--name", "a")
    cli_here("suggest", "hand", *words[:-2], "--option", "path=lab/data/t.csv")
    assert len(events(cli_here("run", *words, "--option", "path=lab/data/t.csv", "--budget", 2, "--stop", 99, "--json"))) == 3
    (tmp_path / "lab").rename(tmp_path / "moved")
    assert len(events(cli_here("run", "--name", "a", "--store", "moved/s.db", "--budget", 3, "--json"))) == 2
    assert str(tmp_path / "moved" / "data" / "t.csv") in cli_here("export", "a", "--format", "json", "--store", "moved/s.db").stdout
    assert cli_here("suggest", "hand", "--store", "moved/s.db").returncode == 0
    assert len(cli_here("suggest", "hand", "--pending", "--store", "moved/s.db").stdout.splitlines()) == 2
    (tmp_path / "moved" / "data" / "t.csv").rename(tmp_path / "elsewhere.csv")
    elsewhere = ("--name", "a", "--store", "moved/s.db", "--option", "path=elsewhere.csv")
    assert len(events(cli_here("run", *elsewhere, "--budget", 4, "--json"))) == 2
    (tmp_path / "elsewhere.csv").write_text("x,y\n" + "".join(f"{k},{k % 4}\n" for k in range(12)))
    assert "this has changed since campaign 'a' was started" in cli_here("run", *elsewhere, "--budget", 5).stderr
    cli_here("run", "--name", "reef", "--budget", 1, "--stop", 500, *RANDOM)
    assert events(cli_here("run", "--name", "reef", "--budget", 3, "--json"))[-1]["stopped_because"].startswith("goal: ")
    assert events(cli_here("run", "--name", "reef", "--stop", "none", "--json"))[-1]["stopped_because"] == "budget: 3 of 3 runs"
    assert events(cli_here("run", "--name", "reef", "--json"))[-1]["stopped_because"] == "budget: 3 of 3 runs"


def test_an_own_experiment_begun_in_python_goes_on_at_the_command_line(cli_here: Cli, tmp_path: Path) -> None:
    bread = Experiment(
        "bread", (Continuous("time", 10, 60, "min"), Categorical("flour", ("rye", "wheat"))), (Outcome("taste"), Outcome("crust"))
    )
    store = tmp_path / "frugaltwin.db"
    campaign = Campaign.by_hand(bread, "maximize:taste", store=store, strategy="sobol", seed=3)
    (first,) = campaign.suggest()
    campaign.tell(first.settings, {"taste": 3})
    with pytest.raises(CampaignError, match="'bread' is performed by people"):
        list(campaign.run())
    assert cli_here("suggest", "bread").stdout.startswith("time=")
    assert cli_here("tell", "bread", 2, "--outcomes", "taste=5").returncode == 0
    again = Campaign.by_hand(bread, "maximize:taste", store=store)
    assert (len(again.trials), again.specification["seed"]) == (2, 3)
    assert again.predict(again.recommendation()).means.keys() == {"score"}
    assert list(again.predict(again.to_pandas()).means["score"].shape) == [2]
    assert again.report(tmp_path / "b.html").read_text().count("<svg") >= 2
    assert "<table>" in bread._repr_html_() + again.trials[0]._repr_html_()
    other = Campaign.by_hand(bread, "maximize:taste", name="other", store=store, strategy="random")
    other.tell(first.settings, {"taste": 2})
    assert again.compare(other).svg().startswith("<?xml")
    compared = cli_here("compare", "bread", "other")
    assert [line.split()[:2] for line in compared.stdout.splitlines()[1:3]] == [["bread", "sobol"], ["other", "random"]]
    assert "best so far" in (tmp_path / "comparison.html").read_text()
    (tmp_path / "mine.svg").write_text("<svg/>")
    refused = cli_here("plot", "bread", "--out", "mine.svg")
    assert (refused.returncode, "name another file by --out, or write over it by --force" in refused.stderr) == (2, True)
    assert [cli_here("plot", "bread", "--out", "mine.svg", *words).returncode for words in (("--force",), ())] == [0, 0]


def test_a_color_out_of_reach_is_named_before_and_after(cli_here: Cli, tmp_path: Path) -> None:
    told = cli_here("run", "--goal", "match-color:blue", "--name", "blue", "--budget", 6, "--strategy", "composite")
    assert (
        "match-color blue = #0000ff (L 32.3, a 79.2, b -107.9) is out of reach by the data sheet of color-mixing: nearest #" in told.stderr
    )
    assert "seems out of reach: the best that is expected is " in told.stdout
    assert told.stdout.count("2.3 is a good match") == 1
    report = (tmp_path / "blue.html").read_text()
    assert all(text in report for text in ("readings that the model was not shown", "Around the recommended recipe", "; expected "))
    assert "if readings had no noise" not in report  # the model knows their noise, and counts it
    assert str(tmp_path) not in report
    assert cli_here("list").stdout.splitlines()[1].endswith("match-color:blue")
    assert "out of reach" not in cli_here("run", "--goal", "match-color:#78d2ca", "--budget", 1, *RANDOM).stderr
    sheet = cli_here("catalog", "eutectic").stdout
    assert "**" not in sheet
    assert "====" not in sheet
    assert max(map(len, sheet.splitlines())) <= 100


def test_strategies_are_compared_in_one_line(cli: Cli, tmp_path: Path) -> None:
    words = ("--driver", "light-mixing", "--budget", 2, "--jobs", 1)
    done = cli("compare", "--strategies", "sobol,random", "--seeds", 5, *words)
    assert done.returncode == 0, done.stderr
    assert "random is not distinguishable from sobol" in done.stdout
    assert "5 seeds cannot show that one strategy is better, whatever they give; 6 can" in done.stderr
    assert "<svg" in (tmp_path / "comparison.html").read_text() or "image/svg" in (tmp_path / "comparison.html").read_text()
    assert "compare takes two campaigns or more, or --strategies A,B" in cli("compare").stderr


def test_maps_and_fronts_are_compared(cli_here: Cli, tmp_path: Path) -> None:
    """Of a map what is expected and what is right, of two objectives the share of the front; every campaign has its side of the page."""
    for name, seed in (("a", 1), ("b", 2)):
        cli_here("run", "--driver", "eutectic", "--budget", 6, "--name", name, "--seed", seed, "--strategy", "label-propagation")
        goals = ("--goal", "match-color:coral", "--goal", "minimize:money", "--require", "t_415 <= 0.6")
        cli_here("run", *goals, "--budget", 8, "--name", f"two-{name}", "--seed", seed, *RANDOM)
    expected = events(cli_here("compare", "a", "b", "--json"))
    right = events(cli_here("compare", "a", "b", "--truth", "--json"))
    page = (tmp_path / "comparison.html").read_text()
    assert [row["campaign"] for row in expected] == ["a", "b"]
    for row, judged in zip(expected, right, strict=True):
        assert 0 < float(row["expected, %"]) <= 100
        said = cli_here("plot", row["campaign"], "--truth").stderr
        assert f"{float(judged['right, %']):.1f}" in said, said
    assert page.count('alt="the map of') == 2
    assert "believe in the same label on " in page
    fronts = events(cli_here("compare", "two-a", "two-b", "--json"))
    shares = [float(row["front, %"]) for row in fronts]
    assert all(0 <= share <= 100 for share in shares)
    assert max(shares) > 0
    assert "the fronts" in (tmp_path / "comparison.html").read_text()
    assert "compared by the truth where they map" in cli_here("compare", "two-a", "two-b", "--truth").stderr
    cli_here("run", "--driver", "lens", "--budget", 2, "--name", "c", "--goal", "map:phase", "--strategy", "label-propagation")
    assert "are over other parameters" in cli_here("compare", "a", "c").stderr


def test_a_store_keeps_a_long_table_once(cli_here: Cli, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{k / 7},{k % 97}\n" for k in range(4000)))
    words = ("--driver", "table", "--option", "path=t.csv", "--goal", "maximize:y", *RANDOM)
    for name in ("a1", "a2", "a3"):
        cli_here("suggest", name, *words)
    bodies = [json.loads(cli_here("export", name, "--format", "json").stdout) for name in ("a1", "a2", "a3")]
    assert [len(body["experiment"]["candidates"]) for body in bodies] == [4000] * 3
    assert (tmp_path / "frugaltwin.db").stat().st_size < 0.75 * len(json.dumps(bodies[0]["experiment"]))
    assert cli_here("tell", "a2", 1, "--outcomes", "y=3").returncode == 0


def test_ctrl_c_is_heard_while_a_strategy_thinks(cli_here: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = RandomSearch.suggest

    def slow(self: RandomSearch, state: State, count: int = 1) -> list[Suggestion]:
        if len(state.trials) == 1:
            signal.raise_signal(signal.SIGINT)
            pytest.fail("it went on thinking")
        return chosen(self, state, count)

    monkeypatch.setattr(RandomSearch, "suggest", slow)
    stopped = cli_here("run", "--name", "reef", "--budget", 3, *RANDOM)
    assert (stopped.returncode, "Go on with: frugaltwin run --name reef" in stopped.stderr) == (130, True)


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
