"""Recorded experiments, replayed."""

from pathlib import Path
from typing import Any

import pytest

from frugaltwin import testing
from frugaltwin.amounts import Amounts
from frugaltwin.campaign import Campaign
from frugaltwin.errors import CampaignError, DriverError, InvalidInput
from frugaltwin.experiment import Categorical, Continuous, Experiment, Outcome
from frugaltwin.store import Store
from frugaltwin.tables import BOOKKEEPING, read_results
from simulator.table import Table

RECORDS = "temperature,solvent,yield\n20,water,0.3\n40,water,0.5\n40,water,0.7\n40,ethanol,\n60,ethanol,0.9\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "records.csv"
    path.write_text(RECORDS)
    return path


def test_the_rows_are_the_only_settings_and_columns_keep_their_kind(path: Path) -> None:
    experiment = Table(path=path, outcomes="yield").experiment
    assert [p.name for p in experiment.parameters] == ["temperature", "solvent"]
    assert len(experiment.candidates) == 4
    with pytest.raises(InvalidInput, match="is not one of the 4 candidates"):
        experiment.check({"temperature": 20, "solvent": "ethanol"})


def test_a_repeat_draws_another_of_the_recorded_readings_until_all_were_drawn(path: Path) -> None:
    with Table(path=path, outcomes="yield") as table:
        drawn = [table.perform({"temperature": 40.0, "solvent": "water"}).outcomes["yield"] for _ in range(4)]
    assert sorted(drawn[:2]) == [0.5, 0.7]
    assert drawn[2:] == drawn[:2]


def test_a_missing_outcome_is_a_failed_trial(path: Path) -> None:
    with Table(path=path, outcomes="yield") as table, pytest.raises(DriverError, match="row 4 of the table: yield was not measured"):
        table.perform({"temperature": 40.0, "solvent": "ethanol"})


@pytest.mark.parametrize("strategy", ["random", "sobol", "bayesian", "composite"])
def test_a_campaign_over_a_table_finds_its_best_row(path: Path, strategy: str) -> None:
    campaign = Campaign.open(
        driver={"name": "table", "options": {"path": str(path)}}, goal="maximize:yield", strategy=strategy, budget=8, store=":memory:"
    )
    trials = list(campaign.run())
    best = campaign.best()
    assert len(trials) == 8
    assert best is not None
    assert best[0].settings == {"temperature": 60.0, "solvent": "ethanol"}
    assert campaign.recommendation() in [dict(c) for c in campaign.driver.experiment.candidates]


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        (RECORDS, {}, "say which columns of the table were measured"),
        (RECORDS, {"outcomes": "yeild"}, "has no column 'yeild'; it has temperature, solvent, yield"),
        ("a,b\n", {"outcomes": "b"}, "has no rows"),
        ("", {"outcomes": "b"}, "has no rows"),
        ("a,b\n,1\n", {"outcomes": "b"}, "row 1, column a: a setting is missing"),
        ("a,b\n1,2,3\n", {"outcomes": "b"}, "row 1: it has not as many cells"),
        ("a,b\ninf,1\n", {"outcomes": "b"}, "row 1, column a: inf is not a finite number"),
        ("a,b\n1,inf\n", {"outcomes": "b"}, "row 1, column b: inf is not a finite number"),
        ("a,b\n1,\n", {"goal": "map:b"}, "column b: nothing was measured, so no label is known; write each label into some row"),
        ("a,a\n1,2\n", {"outcomes": "a"}, "names a column twice"),
        ("a,b\n1,2\n", {"outcomes": "a,b"}, "has no column left to be a setting"),
        ("a,b\n1,2\n", {"outcomes": "b", "settings": "a,b"}, "cannot be a setting and an outcome"),
        (",".join(["x", "y", *BOOKKEEPING]) + "\n" + "1," * 11 + "1\n", {"outcomes": "y"}, "say which of its columns were set"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_by_row_and_column(
    tmp_path: Path, text: str, options: dict[str, str], sentence: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=sentence):
        Table(path=path, **options)  # type: ignore[arg-type]


def test_repeats_go_on_with_new_readings_in_a_later_session(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("x,y\n1,2\n1,3\n1,4\n")
    driver = {"name": "table", "options": {"path": str(tmp_path / "one.csv")}}
    drawn = []
    for budget in range(1, 7):
        fields: dict[str, Any] = {"name": "c", "store": tmp_path / "s.db", "strategy": "random", "goal": "minimize:y", "budget": budget}
        (trial,) = Campaign.open(driver=driver, **fields).run()
        assert trial.measurement is not None
        drawn.append(trial.measurement.outcomes["y"])
    assert sorted(drawn[:3]) == [2, 3, 4]
    assert drawn[3:] == drawn[:3]


def test_a_table_that_changed_is_refused_and_one_that_is_gone_can_still_be_read_about(path: Path, tmp_path: Path) -> None:
    fields: dict[str, Any] = {"name": "c", "store": tmp_path / "s.db", "strategy": "random", "goal": "maximize:yield"}
    list(Campaign.open(driver={"name": "table", "options": {"path": str(path)}}, **fields, budget=3).run())
    path.write_text(RECORDS + "80,water,0.1\n")
    with pytest.raises(CampaignError, match="this has changed since campaign 'c' was started"):
        Campaign.open(name="c", store=tmp_path / "s.db")
    path.unlink()
    read = Campaign.stored("c", Store(tmp_path / "s.db"))
    assert len(read.to_pandas()) == 3
    assert read.recommendation() is not None
    with pytest.raises(DriverError, match="opened for reading"):
        list(read.run())


def test_a_table_in_which_nothing_was_measured_has_candidates_and_nothing_to_replay(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("x1,x2,y\n0,10,\n0,20,\n1,10,n/a\n")
    table = Table(path=tmp_path / "c.csv", goal="maximize:y")
    assert len(table.experiment.candidates) == 3
    assert table.experiment.outcomes == (Outcome("y", ""),)
    with pytest.raises(DriverError, match="nothing was measured in the table, so it has nothing to replay"):
        table.__enter__()


def test_results_are_read_from_a_table_by_the_same_rules(tmp_path: Path) -> None:
    experiment = Experiment(
        "e", (Continuous("x", 0, 1), Categorical("salt", ("1", "Na"))), (Outcome("y"), Outcome("p", labels=("1", "NA")))
    )
    path = tmp_path / "r.csv"
    path.write_text("x;salt;y;p;seconds;error\n0,5;Na;1,5;NA;60;\n0,25;1;;;;spilled\n1;Na;n/a;;;\n0;1;2;1;;\n")
    assert read_results(path, experiment) == [
        {"settings": {"x": 0.5, "salt": "Na"}, "outcomes": {"y": 1.5, "p": "NA"}, "error": None, "cost": Amounts(seconds=60.0)},
        {"settings": {"x": 0.25, "salt": "1"}, "outcomes": None, "error": "spilled", "cost": Amounts()},
        {"settings": {"x": 0.0, "salt": "1"}, "outcomes": {"y": 2.0, "p": "1"}, "error": None, "cost": Amounts()},
    ]
    for text, sentence in (
        ("x,salt,y,p\n0,1,2,\n", "row 1, column p: it is missing, and other outcomes of the row are not"),
        ("x,salt,y,p\n0,1,2,3\n", r"row 1: p = 3.0 is not one of \{1, NA\}"),
        ("x,salt,y,p\n9,1,2,1\n", "row 1, column x: x = 9 is outside"),
        ("x,salt,y\n0,1,2\n", "has no column p: e measures y, p"),
        ("x,salt,y,p\n0,1,,\n", "no row has outcomes; write what was measured into y, p"),
        ("x,salt,y,p,seconds\n0,1,2,1,-3\n", "row 1: it took seconds = -3"),
    ):
        path.write_text(text)
        with pytest.raises(InvalidInput, match=sentence):
            read_results(path, experiment)


@pytest.mark.parametrize("promise", testing.DRIVER_PROMISES)
def test_a_table_of_numbers_keeps_the_promises_of_a_driver(promise: testing.Promise) -> None:
    records = Path(__file__).parents[1] / "benchmarks" / "data" / "as7341_led_light.csv"
    columns = records.read_text().partition("\n")[0].split(",")
    settings = ",".join(c for c in columns if c not in ("ch410", "ch440"))
    promise(testing.Plugin.of("driver", "table", {"path": records, "outcomes": "ch410,ch440", "settings": settings}))
