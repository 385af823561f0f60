"""Sheets that people fill in: whatever they do to them, nothing is lost, told twice or told of another suggestion."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from frugaltwin.campaign import Campaign
from frugaltwin.cli.sheet import read_sheet, write_suggestions
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import Categorical, Continuous, Discrete, Experiment, MixtureSum, Outcome
from frugaltwin.store import Store
from tests.conftest import Cli
from tests.forms import times

EXPERIMENT = Experiment(
    "suzuki",
    (
        Continuous("acid", 0, 1, "mL"), Continuous("base", 0, 1, "mL"),
        Discrete("temperature", (20.0, 40.0, 60.0), "°C"), Categorical("ligand", ("XPhos", "SPhos")),
    ),
    (Outcome("yield", "%"), Outcome("layers", labels=("1", "two"))),
    (MixtureSum(("acid", "base"), 1.0, "mL"),),
)  # fmt: skip
FORMS = ("csv", "xlsx")
Rows = list[list[Any]]


def begun(folder: Path, count: int = 4, form: str = "csv", text: str = "") -> tuple[Campaign, Path]:
    """A campaign with so many suggestions, and its sheet."""
    campaign = Campaign.by_hand(EXPERIMENT, "maximize:yield", store=folder / "lab.db", strategy="sobol", seed=3)
    campaign.suggest(count)
    sheet = folder / f"sheet.{form}"
    if text:
        sheet.write_text(text, encoding="utf-8")
    assert write_suggestions(sheet, campaign) == count
    return campaign, sheet


def rows(sheet: Path) -> Rows:
    if sheet.suffix == ".xlsx":
        return [list(row) for row in openpyxl.load_workbook(sheet).worksheets[0].values]
    return [line.split(",") for line in sheet.read_text(encoding="utf-8-sig").splitlines()]


def save(sheet: Path, table: Rows) -> None:
    """As a spreadsheet program does."""
    if sheet.suffix == ".xlsx":
        book = openpyxl.Workbook()
        for row in table:
            book.worksheets[0].append(row)
        book.save(sheet)
    else:
        lines = [",".join("" if cell is None else str(cell) for cell in row) for row in table]
        sheet.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8-sig")


def fill(sheet: Path, column: str, cells: dict[str, Any]) -> None:
    """Write cells of a column, by id."""
    table = rows(sheet)
    k = next(k for k, name in enumerate(table[0]) if str(name).split(" ")[0] == column)
    for row in table[1:]:
        row[k] = cells.get(row[0], row[k])
    save(sheet, table)


def tell(sheet: Path, campaign: Campaign) -> list[float | None]:
    """Tell what a sheet says; the yields of all trials so far by suggestion, None for those that failed."""
    reading = read_sheet(sheet, campaign)
    assert not reading.far
    campaign.tell_all(reading.results)
    told = {t.suggestion: float(t.measurement.outcomes["yield"]) if t.measurement else None for t in campaign.trials}
    assert len(told) == len(campaign.trials), "one was told twice"
    for t in campaign.trials:
        assert t.suggestion is not None
        assert t.settings == campaign.suggested(t.suggestion)
    return [told.get(k, -1.0) for k in range(1, campaign.log.n_suggested + 1)]


@pytest.mark.parametrize("form", FORMS)
def test_rows_that_are_complete_are_told_once(tmp_path: Path, form: str) -> None:
    campaign, sheet = begun(tmp_path, form=form)
    assert rows(sheet)[0] == ["id", "acid (mL)", "base (mL)", "temperature (°C)", "ligand", "yield (%)", "layers", "status", "note"]
    assert tell(sheet, campaign) == [-1, -1, -1, -1]
    fill(sheet, "yield", {"suzuki#2": 41.5, "suzuki#3": 7})
    fill(sheet, "layers", {"suzuki#2": "1"})
    fill(sheet, "status", {"suzuki#4": "Failed"})
    fill(sheet, "note", {"suzuki#4": "no vial left"})
    for _ in range(2):
        assert tell(sheet, campaign) == [-1, 41.5, 7, None]
    assert campaign.trials[2].error == "no vial left"
    assert campaign.trials[0].measurement is not None
    assert campaign.trials[0].measurement.outcomes["layers"] == "1"
    assert [s.settings for s in campaign.pending] == [campaign.suggested(1)]


@pytest.mark.parametrize("form", FORMS)
def test_a_sheet_keeps_what_people_add_and_gets_deleted_rows_again(tmp_path: Path, form: str) -> None:
    campaign, sheet = begun(tmp_path, form=form)
    table = [[row[k] for k in (5, 2, 0, 3, 1, 4, 6, 7, 8)] + ["who" if not n else "Ada, at 9"] for n, row in enumerate(rows(sheet))]
    if form == "csv":
        table = [[*row[:-1], str(row[-1]).replace(", ", " ")] for row in table]
    del table[3]
    save(sheet, table)
    campaign.suggest(1)
    assert write_suggestions(sheet, campaign) == 2
    found = rows(sheet)
    assert [row[: len(table[0])] for row in found[:4]] == table
    assert [row[2] for row in found[4:]] == ["suzuki#3", "suzuki#5"]
    assert write_suggestions(sheet, campaign) == 0


def test_decimal_commas_and_semicolons_go_on(tmp_path: Path) -> None:
    head = "ID;Acid (mL);base;temperature;ligand;YIELD (%);layers;remarks\n"
    campaign, sheet = begun(tmp_path, 3, text=head)
    text = sheet.read_text(encoding="utf-8")
    assert text.startswith(head)
    assert ";" in text.splitlines()[1]
    assert "." not in text.splitlines()[1]
    sheet.write_text(text.replace(";;;", ";41,25;;", 1), encoding="utf-8")
    assert tell(sheet, campaign) == [41.25, -1, -1]


Edit = Callable[[Rows], Rows]


def renamed(table: Rows) -> Rows:
    return [["result", *table[0][1:]] if not n else row for n, row in enumerate(table)]


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (renamed, "no column id; it has result"),
        (lambda t: [[*row[:5], *row[6:]] for row in t], "no column yield"),
        (lambda t: [*t, [*t[1][:5], "99", *t[1][6:]]], "rows 1 and 5 both are suzuki#1"),
        (lambda t: [t[0], [t[2][0], *t[1][1:5], "5", "", "", ""], *t[3:]], "the id of suggestion 2 and the settings of suggestion 1"),
        (lambda t: [t[0], [*t[1][:5], "4l", "", "", ""], *t[2:]], r"row 1, column yield \(%\).*'4l'"),
        (lambda t: [t[0], [*t[1][:5], "nan!", "", "", ""], *t[2:]], "column yield"),
        (lambda t: [t[0], [*t[1][:5], "5", "three", "", ""], *t[2:]], "column layers.*three"),
        (lambda t: [t[0], [*t[1][:4], "Xphos", "5", "", "", ""], *t[2:]], "column ligand.*Xphos"),
        (lambda t: [t[0], [t[1][0], "0.9", "0.9", *t[1][3:5], "5", "", "", ""], *t[2:]], "row 1.*suzuki#1"),
        (lambda t: [*t, ["suzuki#9", *t[1][1:5], "5", "", "", ""]], "no suggestion 9"),
        (lambda t: [[*t[0], "yield"], *([*row, ""] for row in t[1:])], "which of them is yield"),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_a_sheet_that_cannot_be_read_safely_is_refused_in_one_sentence(tmp_path: Path, form: str, edit: Edit, fault: str) -> None:
    campaign, sheet = begun(tmp_path, form="csv")
    fill(sheet, "yield", {"suzuki#4": 12})
    table = edit(rows(sheet))
    other = tmp_path / f"edited.{form}"
    save(other, table)
    if form == "xlsx":
        fault = fault.replace("rows 1 and 5", "rows 2 and 6").replace("row 1", "row 2")
    with pytest.raises(InvalidInput, match=fault) as refused:
        read_sheet(other, campaign)
    assert "\n" not in str(refused.value)
    assert campaign.trials == []


def test_rows_of_others_are_left_alone_and_said(tmp_path: Path) -> None:
    campaign, sheet = begun(tmp_path, 2)
    save(sheet, [*rows(sheet), ["", "1", "0", "20", "XPhos", "7", "", "", ""], ["other#1", "1", "0", "20", "XPhos", "7", "", "", ""]])
    fill(sheet, "yield", {"suzuki#1": 5})
    reading = read_sheet(sheet, campaign)
    assert [r["suggestion"] for r in reading.results] == [1]
    assert [note.split(" and is")[0] for note in reading.notes] == [
        "row 3 has no id", "row 4 (other#1) is none of suzuki", "suzuki#2: to be done (yield not filled in)",
    ]  # fmt: skip


def test_one_that_says_something_else_later_is_named_and_not_stored(tmp_path: Path) -> None:
    campaign, sheet = begun(tmp_path, 2)
    fill(sheet, "yield", {"suzuki#1": 5})
    tell(sheet, campaign)
    fill(sheet, "yield", {"suzuki#1": 50})
    reading = read_sheet(sheet, campaign)
    assert not reading.results
    assert "told with yield 5.0" in reading.notes[0]
    assert "frugaltwin amend suzuki 1 --outcomes yield=50.0" in reading.notes[0]


def test_the_number_of_a_suggestion_ends_that_one_whatever_was_done(tmp_path: Path) -> None:
    campaign, _ = begun(tmp_path, 2)
    campaign.tell(campaign.suggested(1), {"yield": 1}, suggestion=2)
    log = campaign.log
    assert [log.number_of(x) for x in log.under_way(EXPERIMENT)] == [1]
    with pytest.raises(InvalidInput, match="no suggestion 3"):
        campaign.tell(campaign.suggested(1), {"yield": 1}, suggestion=3)


@pytest.mark.parametrize("name", [".~lock.sheet.csv#", "~$sheet.csv"])
def test_a_sheet_that_is_open_is_not_written(tmp_path: Path, name: str) -> None:
    campaign, sheet = begun(tmp_path)
    before = sheet.read_bytes()
    campaign.suggest(1)
    (tmp_path / name).touch()
    with pytest.raises(InvalidInput, match="open in a spreadsheet program; save and close it"):
        write_suggestions(sheet, campaign)
    assert sheet.read_bytes() == before
    (tmp_path / name).unlink()
    assert write_suggestions(sheet, campaign) == 1


def edited(table: Rows, draw: random.Random, truth: dict[str, float], done: set[str]) -> Rows:
    """A table after one more thing that people do.

    Args:
        truth: What was measured, by id; an id leaves it with its row, unless it was told before.
        done: The ids that were told.
    """
    head, body = table[0], table[1:]
    kind = draw.choice(("sort", "delete", "double", "move", "add", "fill", "fill", "fill", "fill"))
    if kind == "sort":
        column = draw.randrange(len(head))
        body.sort(key=lambda row: str(row[column]))
    elif kind == "delete" and body:
        gone = str(body.pop(draw.randrange(len(body)))[head.index("id")])
        if gone not in done and all(row[head.index("id")] != gone for row in body):
            truth.pop(gone, None)
    elif kind == "double" and body:
        body.append(list(draw.choice(body)))
    elif kind == "move":
        order = draw.sample(range(len(head)), len(head))
        head, body = [head[k] for k in order], [[row[k] for k in order] for row in body]
    elif kind == "add" and len(head) < 14:
        head, body = [*head, f"extra {len(head)}"], [[*row, draw.choice(["", "x", "3"])] for row in body]
    elif kind == "fill" and body:
        identity = str(draw.choice(body)[head.index("id")])
        value = truth.setdefault(identity, round(draw.uniform(0, 100), 1))
        for row in body:
            if row[head.index("id")] == identity:
                row[head.index("yield (%)")] = value
    return [head, *body]


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_lost_or_told_twice_whatever_people_do(tmp_path: Path, form: str) -> None:
    """Random edits between `suggest` and `tell`; in the long form some 5,000 of each form of sheet."""
    for k in range(times(1, 25)):
        draw = random.Random(f"{form} {k}")
        (tmp_path / str(k)).mkdir()
        campaign, sheet = begun(tmp_path / str(k), 2, form)
        truth: dict[str, float] = {}
        for _ in range(20):
            table, done = rows(sheet), {f"suzuki#{t.suggestion}" for t in campaign.trials}
            for _ in range(10):
                table = edited(table, draw, truth, done)
            save(sheet, table)
            if draw.random() < 0.5:
                tell(sheet, campaign)
            else:
                if len(campaign.pending) < 5:
                    campaign.suggest(1)
                write_suggestions(sheet, campaign)
        found = {f"suzuki#{number}": value for number, value in enumerate(tell(sheet, campaign), start=1) if value != -1}
        assert found == truth
        assert found


@pytest.mark.parametrize(
    ("name", "fault"),
    [("away/x.csv", "no folder|cannot write"), ("x.xls", "save it as one of them"), ("d.csv", "d.csv"), ("bad.xlsx", "as a workbook")],
)
def test_a_sheet_that_cannot_be_is_refused_before_anything_is_suggested(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str, fault: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("d.csv").mkdir()
    Path("bad.xlsx").write_text("hello")
    assert cli("experiment", "new", "suzuki.toml").returncode == 0
    refused = cli("suggest", "suzuki", "--driver", "suzuki.toml", "--sheet", name)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert re.search(fault, refused.stderr.splitlines()[-1])
    assert "no suggestion" in cli("suggest", "suzuki", "--pending").stderr or not Path("frugaltwin.db").exists()


def test_the_story_of_a_chemist(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """From nothing to the third batch by the commands of docs/experiments.md."""
    monkeypatch.chdir(tmp_path)
    assert cli("experiment", "new", "suzuki.toml").returncode == 0
    assert cli("experiment", "check", "suzuki.toml").returncode == 0
    first = cli("suggest", "suzuki", "--driver", "suzuki.toml", "--count", "3")
    assert "3 rows added to suzuki.csv; fill in what was measured, then: frugaltwin tell suzuki --sheet suzuki.csv" in first.stderr
    for batch in range(3):
        fill(Path("suzuki.csv"), "yield", {f"suzuki#{3 * batch + k}": 10.0 * batch + k for k in (1, 2, 3)})
        told = cli("tell", "suzuki", "--sheet", "suzuki.csv")
        assert told.returncode == 0, told.stderr
        assert told.stdout.count("stored as experiment") == 3
        assert cli("suggest", "suzuki", "--count", "3").returncode == 0
    assert len(rows(Path("suzuki.csv"))) == 13
    trials = Campaign.stored("suzuki", Store("frugaltwin.db")).trials
    assert len(trials) == 9
    for trial in trials:
        assert trial.cost.seconds == 1800 + 60 * (float(trial.settings["temperature"]) - 20), "what is told costs what the file says"
