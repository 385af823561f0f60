"""The reader of tables: what people's files look like, and what a number is."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugaltwin.campaign import Campaign
from frugaltwin.errors import InvalidInput, OutOfBounds
from frugaltwin.experiment import Categorical, Continuous, Experiment, Outcome
from frugaltwin.table_reader import appended, number, read_rows, read_table
from frugaltwin.tables import pairs, read_settings, write_rows
from hardware.calibration import fitted
from hardware.commands.weighing import COLUMNS, read_masses
from simulator.table import Table

FIELD = Path(__file__).parent / "data" / "field"


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "t.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_is_the_same_in_every_encoding_with_every_separator_and_line_end(
    tmp_path: Path, encoding: str, separator: str, end: str
) -> None:
    lines = [("T (°C)", " solvent ", "y"), ("100", "Wasser, 5 %; heiß", "1.5"), ("−10", "°", "2e-3")]
    text = end.join(separator.join(f'"{cell}"' if "," in cell else cell for cell in line) for line in lines)
    table = read_rows(written(tmp_path, text.encode(encoding, "replace").replace(b"?", b"-")))
    assert table.names == ("T (°C)", "solvent", "y")
    assert table.column("T (°C)") == [100.0, -10.0]
    assert table.column("solvent") == ["Wasser, 5 %; heiß", "°"]
    assert table.column("y") == [1.5, 0.002]


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0.0), ("-1.5e-3", -0.0015), ("+2", 2.0), (".5", 0.5), ("5.", 5.0), (" 1E6 ", 1e6), ("−3", -3.0), ("0.50", 0.5)]
    + [(text, None) for text in ("1_000", "007", "00", "-01", "nan", "inf", "-Infinity", "1e400", "1,5", "0x10", "1 000", "٣", "", ".")],
)  # fmt: skip
def test_a_number_has_one_form(text: str, value: float | None) -> None:
    assert number(text) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_that_we_write_is_one(value: float) -> None:
    assert number(repr(value)) == value


def test_pairs_and_tables_agree_on_what_a_number_is() -> None:
    assert pairs("settings", "a=1_000,b=007,c=nan,d=Na,e=1.50") == {"a": "1_000", "b": "007", "c": "nan", "d": "Na", "e": 1.5}
    with pytest.raises(OutOfBounds, match="x = 'nan' is not a number"):
        Continuous("x", 0.0, 1.0).check(pairs("settings", "x=nan")["x"])


FIELD_TABLES: list[tuple[str, dict[str, str], dict[str, list[object]], list[object]]] = [
    ("header_blank", {"goal": "maximize:activity"}, {"Fe": [0.1, 0.3, 0.6], "Cu": [0.2, 0.3], "Ni": [0.2, 0.4, 0.7]}, [1.5, 2.5, 0.5]),
    ("header_comma", {"goal": "maximize:Conductivity, S/cm"}, {"temperature": [300.0, 350.0, 400.0]}, [0.1, 0.4, 0.3]),
    ("header_comma", {"outcomes": "Conductivity, S/cm"}, {"temperature": [300.0, 350.0, 400.0]}, [0.1, 0.4, 0.3]),
    ("header_comma", {"outcomes": "temperature", "settings": '"Conductivity, S/cm"'}, {"Conductivity, S/cm": [0.1, 0.3, 0.4]},
     [300, 350, 400]),
    ("semicolon", {"goal": "maximize:y"}, {"x": [0.1, 0.2, 0.3]}, [1.5, 2.5, 0.5]),
    ("trailing", {"goal": "maximize:y"}, {"x": [0.1, 0.2, 0.3]}, [1.5, 2.5, 0.5]),
    ("rows_empty", {"goal": "maximize:y"}, {"x": [0.1, 0.2, 0.3]}, [1.5, 2.5, None]),
    ("cp1252", {"goal": "maximize:y"}, {"T (°C)": [100.0, 110.0, 120.0]}, [1, 3, 2]),
    ("sodium", {"goal": "maximize:conductivity"}, {"cation": ["K", "Li", "Na"], "anion": ["Cl", "none"]}, [0.4, 0.9, 0.6, 0.1, 0.3, 0.2]),
    ("plates", {"goal": "maximize:yield"}, {"plate": ["1", "2", "A1", "B2"]}, [10, 20, 30, 25]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "settings", "readings"), FIELD_TABLES, ids=lambda x: x if isinstance(x, str) else "")
def test_tables_from_the_field_are_read(name: str, options: dict[str, Any], settings: dict[str, Any], readings: list[object]) -> None:
    table = Table(path=FIELD / f"{name}.csv", **options)
    assert {p.name: [] if isinstance(p, Continuous) else list(p.values) for p in table.experiment.parameters} == settings
    (outcome,) = table.experiment.outcomes
    assert [reading[outcome.name] for reading in table._readings.values()] == readings


def test_sodium_is_no_missing_label_and_neither_is_none() -> None:
    (outcome,) = Table(path=FIELD / "sodium_label.csv", goal="map:phase").experiment.outcomes
    assert outcome.labels == ("Na", "Na+", "NaOH", "none")


def test_integers_that_are_mapped_are_labels() -> None:
    fields: dict[str, Any] = {"driver": {"name": "table", "options": {"path": str(FIELD / "phases_integer.csv")}}, "store": ":memory:"}
    campaign = Campaign.open(goal="map:phase", strategy="random", budget=36, **fields)
    trials = list(campaign.run())
    assert campaign.goal.labels == ("1", "2", "3")
    assert {campaign.goal.label_of_trial(trial) for trial in trials} == {"1", "2", "3"}
    halves = Campaign.open(goal="map:phase:2.5", strategy="random", budget=1, **fields)
    assert halves.goal.labels == ("phase < 2.5", "phase ≥ 2.5")
    assert next(iter(halves.run())).measurement


@pytest.mark.parametrize("strategy", ["straddle", "gp-classifier"])
def test_where_a_number_of_a_table_passes_a_value_is_mapped(strategy: str) -> None:
    driver = {"name": "table", "options": {"path": str(FIELD / "phases_integer.csv")}}
    campaign = Campaign.open(driver=driver, goal="map:phase:2.5", strategy=strategy, budget=6, store=":memory:")
    assert {campaign.goal.label_of_trial(t) for t in campaign.run()} == {"phase < 2.5", "phase ≥ 2.5"}
    assert len(campaign.predict([dict(c) for c in campaign.driver.experiment.candidates]).labels) == 36


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("T,y\n100,1\n110,3\n120 C,2\n−130,4\n", "row 3, column T: '120 C' is no number, and 3 of 4 cells of the column are numbers"),
        ("T,y\n1,0.1\n2,0.2\n3,failed\n", "row 3, column y: 'failed' is no number"),
        ("T,y\n1,1\n2,2\n3,1_000\n4,0.5\n", "row 3, column y: '1_000' is no number"),
        ("T,y\n1,1\n2,1e400\n", "row 2, column y: 1e400 is not a finite number"),
        ("T,y\n1,1\n2,1e300\n", r"row 2, column y: 1e\+300 is not a number up to 1e\+100"),
        ("T;y\n1;1,5\n2;1.5\n", "row 2, column y: 1.5 has a decimal point, and 1,5 in row 1, column y, a comma"),
        ("T;y\n1;1,500\n2;12,000\n", "row 1, column y: 1,500 can be 1500 or 1.500"),
        ("T,y\n1,5,1\n2,5,2\n", r"row 1: it has not as many cells as the header \(3, not 2\); a decimal comma needs another separator"),
        ("T,y\n\n1,5\n2\n", r"row 3: it has not as many cells as the header \(1, not 2\)$"),
        (",T,y\n0,1,5\n", "column 1 has no name, but '0' in row 1; name it"),
        ("T, T,y\n1,1,5\n", "names a column twice"),
        (b"PK\x03\x04...", "is a workbook of a spreadsheet program; save its sheet as CSV"),
        (b"T,y\n\x81\x8d,1\n", "is not a CSV table"),
        ("T,y\n\"1,2\n", "is not a CSV table"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_place(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        Table(path=written(tmp_path, text), outcomes="y")


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ("Na,Li,none", ["Na", "Li", "none"]),
        ("NA,none,NaN,K", ["NA", "none", None, "K"]),
        ("1,na,none,#N/A,2", [1.0, None, None, None, 2.0]),
        ("007,012,100", ["007", "012", "100"]),
        ("1_000,2_000,900", ["1_000", "2_000", "900"]),
        ("1,2,A1,B2", ["1", "2", "A1", "B2"]),
        ("NA,none", [None, None]),
        ("1e3,0.5,-2", [1000.0, 0.5, -2.0]),
    ],
)
def test_a_column_is_of_numbers_or_of_names(tmp_path: Path, cells: str, column: list[object]) -> None:
    assert read_rows(written(tmp_path, "n,c\n" + "".join(f"1,{cell}\n" for cell in cells.split(",")))).column("c") == column


@pytest.mark.parametrize("seed", range(3))
def test_a_table_of_ours_is_read_back_whatever_stands_in_it(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    texts = ["a;b", "c\td", "e,f", "=1", "it's", '"q"', "x\ny", "1;5", "ü"]
    names = draw.sample(texts, 4)
    rows = [{name: draw.choice(texts) for name in names} for _ in range(5)]
    write_rows(tmp_path / "t.csv", rows)
    assert [*read_rows(tmp_path / "t.csv").rows.values()] == rows


def test_settings_are_read_by_the_same_rules(tmp_path: Path) -> None:
    experiment = Experiment("e", (Continuous("T (°C)", 0.0, 200.0), Categorical("salt", ("Na", "none", "007"))), (Outcome("y"),))
    path = written(tmp_path, "T (°C); salt ;note\n 1,5;Na;x\n;;\n100;007;y\n2;none;\n".encode("cp1252"))
    assert [tuple(s.values()) for s in read_settings(path, experiment)] == [(1.5, "Na"), (100.0, "007"), (2.0, "none")]
    with pytest.raises(InvalidInput, match=r"row 2, column T \(°C\): .*'1_0' is not a number"):
        read_settings(written(tmp_path, "T (°C),salt\n1,Na\n1_0,Na\n"), experiment)


def test_weighings_with_decimal_commas_are_refused_or_read_as_they_are_meant(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"masses_comma.csv, row 1: it has not as many cells as the header \(4, not 3\)"):
        read_masses(FIELD / "masses_comma.csv")
    lines = [line.split(",") for line in (FIELD / "masses_comma.csv").read_text().splitlines()[1:]]
    text = "".join(f"{pump};{seconds};{whole},{hundredths}\n" for pump, seconds, whole, hundredths in lines)
    masses = read_masses(written(tmp_path, "pump;seconds;mass\n" + text))
    fit = fitted(0, [s for _, s, _ in masses], [m for _, _, m in masses], 0.998)
    assert fit.flow == pytest.approx(1.5422, abs=5e-5)
    assert 1e3 * fit.dead == pytest.approx(-10.0, abs=0.05)


def test_a_file_that_was_cut_goes_on_with_a_line_of_its_own(tmp_path: Path) -> None:
    path = written(tmp_path, (FIELD / "masses_cut.csv").read_bytes())
    assert len(read_masses(path)) == 4
    with appended(path, COLUMNS) as add:
        add((0, 2.0, 3.13))
    assert path.read_text().splitlines()[-2:] == ["0,5,7", "0,2.0,3.13"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_a_file_goes_on_in_its_own_form(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path, "pump;mass;seconds;Gefäß;\n0;1,25;0,5;groß;\n0;1,20;0,5;;".encode(encoding))
    with appended(path, COLUMNS) as add:
        add((1, 0.5, 1.75))
    assert read_masses(path) == [(0, 0.5, 1.25), (0, 0.5, 1.2), (1, 0.5, 1.75)]
    assert read_table(path).names[-1] == "Gefäß"


def test_a_file_that_is_empty_or_not_there_begins_with_a_header(tmp_path: Path) -> None:
    for path in (tmp_path / "new.csv", written(tmp_path, "")):
        with appended(path, COLUMNS) as add:
            add((0, 0.5, 0.81))
        assert path.read_text().splitlines() == ["pump,seconds,mass", "0,0.5,0.81"]


def test_a_step_of_numpy_is_the_number_that_people_type(tmp_path: Path) -> None:
    driver = {"name": "table", "options": {"path": str(FIELD / "step.csv")}}
    campaign = Campaign.open(driver=driver, goal="maximize:y", strategy="random", store=":memory:")
    for typed, meant in ((0.3, 0.30000000000000004), (0.6, 0.6000000000000001), (0.7, 0.7000000000000001)):
        assert campaign.tell({"x": typed}, {"y": 1.0}).settings == {"x": meant}
    settings = read_settings(written(tmp_path, "x\n0.3\n0.7\n"), campaign.driver.experiment)
    assert settings == [{"x": 0.30000000000000004}, {"x": 0.7000000000000001}]
    with campaign.driver as table:
        assert table.perform({"x": 0.3}).outcomes == {"y": 1.0}


@pytest.mark.parametrize("strategy", ["random", "sobol"])
def test_thousands_of_names_are_refused_with_the_reason_and_their_descriptors_are_not(tmp_path: Path, strategy: str) -> None:
    molecules = "".join(f"C{'C' * (k % 50)}{k}O,{12 + k},{k % 7},{k / 3}\n" for k in range(3458))
    driver = {"name": "table", "options": {"path": str(written(tmp_path, "smiles,mass,rings,y\n" + molecules)), "settings": "smiles"}}
    with pytest.raises(
        InvalidInput, match=r"smiles has 3458 names, and no trial of one says anything about another .*; set columns of numbers"
    ):
        list(Campaign.open(driver=driver, goal="maximize:y", strategy=strategy, budget=2, store=":memory:").run())
    driver["options"]["settings"] = "mass,rings"  # type: ignore[index]
    assert len(list(Campaign.open(driver=driver, goal="maximize:y", strategy=strategy, budget=2, store=":memory:").run())) == 2
