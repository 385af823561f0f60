"""What the store promises."""

import sqlite3
from pathlib import Path

import pytest

from frugaltwin.costs import Cost
from frugaltwin.errors import CampaignError, StoreError
from frugaltwin.experiment import Measurement, Trial
from frugaltwin.store import CampaignRecord, Store

RECORD = CampaignRecord("demo", "2026-11-22T00:00:00+00:00", {"goal": "match-color:teal", "seed": 1})
TRIAL = Trial(
    1, {"red": 0.1 + 0.2, "acid": "HCl"}, Measurement({"y": 1e-300}, Cost(1, 2, 3), {"raw": 7}), None, Cost(1, 2, 3), "told", "now"
)
FAILED = Trial(2, {"red": 0.5, "acid": "HNO3"}, None, "the pump is silent", Cost(4))


@pytest.fixture(params=[":memory:", "store.db"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(request.param if request.param == ":memory:" else tmp_path / request.param)


def test_what_is_stored_comes_back_to_the_last_bit(store: Store) -> None:
    store.create(RECORD)
    store.append("demo", TRIAL)
    store.append("demo", FAILED)
    assert store.trials("demo") == [TRIAL, FAILED]
    assert store.find("demo") == RECORD
    assert store.find("other") is None


def test_a_number_can_be_used_once(store: Store) -> None:
    store.create(RECORD)
    store.append("demo", TRIAL)
    with pytest.raises(StoreError, match=r"has this already.*trial 1 of 'demo' is not stored, its record is \{"):
        store.append("demo", TRIAL)
    with pytest.raises(StoreError, match="has this already"):
        store.create(RECORD)


def test_another_process_reads_what_one_has_written(tmp_path: Path) -> None:
    one = Store(tmp_path / "s.db")
    one.create(RECORD)
    one.append("demo", TRIAL)
    assert Store(tmp_path / "s.db").trials("demo") == [TRIAL]


def test_reading_makes_no_file(tmp_path: Path) -> None:
    assert Store(tmp_path / "s.db").campaigns() == []
    assert list(tmp_path.iterdir()) == []


def test_a_campaign_is_open_once(tmp_path: Path) -> None:
    one, two = Store(tmp_path / "s.db"), Store(tmp_path / "s.db")
    with one.locked("demo"):
        with pytest.raises(CampaignError, match="campaign 'demo' is open in another process"), two.locked("demo"):
            pass
        with two.locked("other"):
            pass
    with two.locked("demo"):
        pass


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("this is no database, and long enough that SQLite notices it at once: " * 20)
    with pytest.raises(StoreError, match="it is not a database; choose another with --store"):
        Store(text)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as db:
        db.execute("create table t (x)")
    db.close()
    with pytest.raises(StoreError, match="is a SQLite file of another program"):
        Store(foreign)


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = Store(path)
    store.create(RECORD)
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("pragma user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="newer version"):
        Store(path)


def test_a_full_store_says_so_and_hands_the_measurement_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    store.create(RECORD)
    assert store._db is not None
    pages = store._db.execute("pragma page_count").fetchone()[0]
    store._db.execute(f"pragma max_page_count = {pages}")
    stored = 0

    def fill() -> None:
        nonlocal stored
        for number in range(1, 10000):
            store.append("demo", Trial(number, {"red": 0.5}, Measurement({"y": 1.0}, raw={"note": "x" * 500})))
            stored = number

    with pytest.raises(StoreError, match=r"no space left.*its record is \{.*\"number\": "):
        fill()
    assert len(store.trials("demo")) == stored


def test_a_locked_store_says_so(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = Store(path)
    store.create(RECORD)
    assert store._db is not None
    store._db.execute("pragma busy_timeout = 10")
    other = sqlite3.connect(path)
    other.execute("begin exclusive")
    with pytest.raises(StoreError, match="another program has locked it"):
        store.append("demo", TRIAL)
    other.rollback()
    other.close()
    store.append("demo", TRIAL)


def test_what_could_not_be_stored_is_not_performed(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = Store(path)
    store.create(RECORD)
    store.check_writable()
    assert store._db is not None
    store._db.execute("pragma busy_timeout = 10")
    other = sqlite3.connect(path)
    other.execute("begin exclusive")
    with pytest.raises(StoreError, match="another program has locked it"):
        store.check_writable()
    other.close()
    store.check_writable()


def test_a_store_in_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no such folder"):
        Store(tmp_path / "nowhere" / "s.db").create(RECORD)
