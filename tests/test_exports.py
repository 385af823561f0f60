"""Tables of many experiments are made and sent page by page: each page costs the same, and together they are the whole."""

from __future__ import annotations

import csv
import io
import json
import random
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from api.records import entries, experiment_table, fair_queue
from api.records.database import Database
from api.records.people import Caller
from api.routes import campaign_export
from api.routes.campaign_export import Table
from api.routes.experiments import table_parts
from frugaltwin.client.client import Client
from frugaltwin.errors import LinkError
from tests.service_database import COST, SETTINGS, new_person, new_rig, submit
from tests.test_standings import CHANNELS, GOALS, ended, started

AMENDED = {"number": 1, "outcomes": dict.fromkeys(CHANNELS, 0.5), "why": "read by eye"}


def table(database: Database, caller: Caller) -> list[dict[str, str]]:
    """The caller's table."""
    text = "".join(table_parts(database, database.read_now(lambda c: experiment_table.columns(c, caller))))
    return list(csv.DictReader(io.StringIO(text)))


def statements(database: Database, do: Callable[[], Any]) -> list[int]:
    """The number of statements of each reading of the database."""
    counts: list[int] = []
    asked = database._ask

    def ask(question: Any) -> Any:
        counts.append(0)
        return asked(question)

    def note(*_: Any) -> None:
        counts[-1] += 1

    event.listen(database._engine, "before_cursor_execute", note)
    database._ask = ask  # type: ignore[method-assign]
    try:
        do()
    finally:
        event.remove(database._engine, "before_cursor_execute", note)
        del database._ask
    return counts


def test_a_table_is_read_page_by_page_and_each_page_costs_the_same(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment_table, "PAGE", 4)
    new_rig(database)
    row, ada = started(database, GOALS["a score"])
    other = new_person(database, "Eve")
    everybody = Caller("u_x", "Ms. Curie", "instructor", frozenset({"read", "admin"}), "t_2", None)
    draw = random.Random(0)
    assert table(database, ada) == []
    for _ in range(10):
        database.write_now(lambda c, now: ended(c, now, row, draw, how="measured"))
    theirs = submit(database, other)

    def costs() -> list[int]:
        return statements(database, lambda: table(database, everybody))

    head, *pages = costs()
    assert len(pages) == 3
    assert len(set(pages)) == 1
    for _ in range(20):
        submit(database, other)
    assert costs() == [head, *pages[:3], *costs()[4:]]
    assert max(costs()[1:]) == pages[0]
    assert len(costs()) == 1 + 8

    own = table(database, ada)
    assert [line["trial"] for line in own] == [str(n) for n in range(1, 11)]
    assert theirs not in {line["id"] for line in own}
    assert theirs in {line["id"] for line in table(database, everybody)}
    assert list(own[0])[:11] == [*list(own[0])[:10], "settings.red"]
    assert own[0]["outcomes.t_415"] != ""
    assert json.loads(own[0]["raw"]) == {}


def test_a_table_has_corrections_of_every_page(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment_table, "PAGE", 2)
    new_rig(database)
    row, ada = started(database, GOALS["a score"])
    for how in ("failed", "measured", "measured"):
        database.write_now(lambda c, now, h=how: ended(c, now, row, random.Random(0), how=h))  # type: ignore[misc]
    database.write_now(lambda c, now: entries.say(c, now, ada, row.id, "amendment", AMENDED))
    database.write_now(lambda c, now: entries.say(c, now, ada, row.id, "retraction", {"number": 3, "why": "a bubble"}))
    first, second, third = table(database, ada)
    assert (first["correction"], first["outcomes.t_415"], first["original"]) == ("amended: read by eye", "0.5", "null")
    assert (second["correction"], second["original"]) == ("", "")
    assert (third["correction"], third["outcomes.t_415"]) == ("retracted: a bubble", "")
    assert json.loads(third["original"])["t_415"] == float(second["outcomes.t_415"])


def test_a_table_of_failed_trials_gets_the_outcomes_of_their_amendments(database: Database) -> None:
    new_rig(database)
    row, ada = started(database, GOALS["a score"])
    database.write_now(lambda c, now: ended(c, now, row, random.Random(0), how="failed"))
    database.write_now(lambda c, now: entries.say(c, now, ada, row.id, "amendment", AMENDED))
    assert table(database, ada)[0]["outcomes.t_415"] == "0.5"


@pytest.mark.parametrize("goal", GOALS)
def test_a_campaign_is_exported_page_by_page_as_it_is_in_one(database: Database, goal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    new_rig(database)
    row, ada = started(database, GOALS[goal])
    draw = random.Random(1)
    for _ in range(9):
        database.write_now(lambda c, now: ended(c, now, row, draw))
    order = fair_queue.Order(ada.person, row.rig, SETTINGS, COST, campaign=row.id, trial=10)
    database.write_now(lambda c, now: fair_queue.submit(c, now, order))  # it has not ended
    whole = database.read_now(lambda c: Table.of(c, row, True))

    def parts(form: campaign_export.Form) -> list[str | bytes]:
        return list(campaign_export.parts(form, whole, database, '{"name": "c"}', []))

    once = {form: parts(form) for form in ("csv", "json")}
    monkeypatch.setattr(campaign_export, "PAGE", 2)
    for form, before in once.items():
        now = parts(form)  # type: ignore[arg-type]
        assert "".join(map(str, now)) == "".join(map(str, before))
        assert len(now) > len(before)
    trials = json.loads("".join(map(str, once["json"])))["trials"]
    assert len(trials) == 9

    from pyarrow import parquet

    in_groups = [bytes(part) for part in parts("parquet")]  # type: ignore[arg-type]
    assert len(in_groups) == 5 + 1
    assert max(map(len, in_groups[:-1])) < sum(map(len, in_groups)) / 2
    file = parquet.ParquetFile(io.BytesIO(b"".join(in_groups)))
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [2, 2, 2, 2, 1]
    inner = ("raw", "provenance", "original")
    assert [row | {name: json.loads(row[name] or "null") for name in inner} for row in file.read().to_pylist()] == trials


def test_a_file_that_breaks_off_leaves_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "class.csv").write_text("yesterday")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def half() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 100\r\n\r\nid,person\n")

        thread = threading.Thread(target=half)
        thread.start()
        with Client(f"http://127.0.0.1:{server.getsockname()[1]}", "ft_x", patience=0.0) as client, pytest.raises(LinkError):
            client.export_experiments(tmp_path / "class.csv")
        thread.join()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["yesterday"]
