"""What the store promises."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from frugaltwin.amounts import Amounts
from frugaltwin.campaign import Campaign
from frugaltwin.errors import CampaignError, StoreError
from frugaltwin.experiment import (
    Categorical,
    Colorimetry,
    Continuous,
    Discrete,
    Experiment,
    LinearConstraint,
    Measurement,
    MixtureSum,
    Outcome,
    Trial,
)
from frugaltwin.laws import Additive, BeerLambert, Exposure
from frugaltwin.store import (
    APPLICATION_ID,
    CalibrationRecord,
    CampaignRecord,
    Store,
    experiment_from_json,
    experiment_to_json,
    trial_from_json,
    trial_json,
)
from tests.forms import times

RECORD = CampaignRecord("demo", "2026-11-22T00:00:00+00:00", {"goal": "match-color:teal", "seed": 1})
TRIAL = Trial(
    1,
    {"red": 0.1 + 0.2, "acid": "HCl"},
    Measurement({"y": 1e-300}, Amounts(seconds=1, money=2, volume=3), {"raw": 7}),
    None,
    Amounts(seconds=1, money=2, volume=3),
    "told",
    "now",
)
FAILED = Trial(2, {"red": 0.5, "acid": "HNO3"}, None, "the pump is silent", Amounts(seconds=4))


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


def test_one_campaign_is_found_whatever_the_others_are(store: Store) -> None:
    store.create(RECORD)
    store.append("demo", TRIAL)
    others = [(f"other-{k}", "2026-11-21T00:00:00+00:00", '{"goal": ') for k in range(2000)]
    store._connected().executemany("insert into campaign values (?, ?, ?)", others)
    assert store.find("demo") == RECORD
    assert store.names() == ["demo", *sorted(name for name, _, _ in others)]
    assert store.counts() == {"demo": 1}
    for damaged in (lambda: store.find("other-7"), store.campaigns):
        with pytest.raises(StoreError, match="is damaged"):
            damaged()


def test_a_number_can_be_used_once(store: Store) -> None:
    store.create(RECORD)
    store.append("demo", TRIAL)
    with pytest.raises(StoreError, match=r"has this already.*trial 1 of 'demo' was measured but is not stored") as refused:
        store.append("demo", TRIAL)
    assert trial_from_json(refused.value.record) == TRIAL
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
    with pytest.raises(StoreError, match="it is not a database; choose another file"):
        Store(text)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as db:
        db.execute("create table t (x)")
    db.close()
    with pytest.raises(StoreError, match="is a SQLite file of another program"):
        Store(foreign)


def test_calibrations_are_kept_beside_campaigns(store: Store) -> None:
    assert store.calibrations() == []
    record = CalibrationRecord("p261124-120000", "2026-11-24T12:00:00+00:00", {"kind": "pumps", "flow": {"red": 1.6}})
    store.keep(record)
    assert store.calibrations() == [record]
    with pytest.raises(StoreError, match="has this already"):
        store.keep(record)


VERSION_1 = """
create table campaign (name text primary key, created_at text not null, body text not null) strict;
create table trial (
    campaign text not null references campaign, number integer not null, body text not null, primary key (campaign, number)
) strict;
"""


@pytest.mark.parametrize("is_writable", [True, False])
def test_a_store_of_version_1_is_read_and_upgraded(tmp_path: Path, is_writable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as db:
        db.executescript(f"{VERSION_1} pragma application_id = {APPLICATION_ID}; pragma user_version = 1;")
        db.execute("insert into campaign values (?, ?, ?)", (RECORD.name, RECORD.created_at, json.dumps(dict(RECORD.body))))
        db.execute("insert into trial values (?, ?, ?)", ("demo", 1, trial_json(TRIAL)))
    db.close()
    if not is_writable:
        monkeypatch.setattr("frugaltwin.store._is_writable", lambda path: False)
    store = Store(path)
    assert store.find("demo") == RECORD
    assert store.trials("demo") == [TRIAL]
    assert store.calibrations() == []
    if is_writable:
        store.keep(CalibrationRecord("p1", "now", {}))
        assert Store(path).calibrations()[0].id == "p1"


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

    with pytest.raises(StoreError, match=r"no space left") as refused:
        fill()
    assert len(store.trials("demo")) == stored
    assert trial_from_json(refused.value.record).number == stored + 1


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
    with pytest.raises(StoreError, match="there is no folder"):
        Store(tmp_path / "nowhere" / "s.db").create(RECORD)


def test_a_store_that_is_removed_or_replaced_under_a_campaign_is_noticed(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    store.create(RECORD)
    store.append("demo", TRIAL)
    (tmp_path / "s.db").rename(tmp_path / "moved.db")
    with pytest.raises(StoreError, match="was removed or replaced while it was open") as refused:
        store.append("demo", FAILED)
    assert trial_from_json(refused.value.record) == FAILED
    Store(tmp_path / "s.db").create(RECORD)
    with pytest.raises(StoreError, match="was removed or replaced"):
        store.check_writable()


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    store.create(RECORD)
    for number in (1, 2, 3):
        store.append("demo", Trial(number, {"red": 0.5}, None))
    assert store._db is not None
    with store._db:
        store._db.execute("delete from trial where number = 2")
    with pytest.raises(StoreError, match="is damaged: trial 2 of 'demo' is missing"):
        store.trials("demo")
    with store._db:
        store._db.execute("update trial set number = 2, body = '{' where number = 3")
    with pytest.raises(StoreError, match="is damaged: a record in it cannot be read"):
        store.trials("demo")


def test_a_campaign_without_trials_makes_way_for_another_and_one_with_trials_does_not(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    store.create(RECORD)
    other = CampaignRecord("demo", "2026-11-23T00:00:00+00:00", {"goal": "minimize:y"})
    store.create(other)
    assert store.campaigns() == [other]
    store.append("demo", TRIAL)
    with pytest.raises(StoreError, match="has this already"):
        store.create(RECORD)


def test_an_experiment_survives_the_way_through_json() -> None:
    experiment = Experiment(
        "demo",
        (Continuous("u", 0, 1, "mL"), Continuous("v", 0, 1, "mL"), Discrete("n", (1.0, 2.0)), Categorical("acid", ("1", "2"))),
        (
            Outcome("t", law=BeerLambert(("u",))),
            Outcome("c", law=Additive(("u",), Exposure((("n", 1.0),)))),
            Outcome("p", labels=("x", "y")),
        ),
        (MixtureSum(("u", "v"), 1.0, "mL"), LinearConstraint({"u": 1.0, "n": 0.5}, high=2.2)),
        color=Colorimetry(("t",), ((1.0,), (1.0,), (1.0,)), (1.0, 1.0, 1.0)),
    )
    assert experiment_from_json(json.loads(json.dumps(experiment_to_json(experiment), allow_nan=False))) == experiment


KEPT = Path(__file__).parent / "data"
"""A store that a released version left, and what that version said of it."""
SAID = json.loads((KEPT / "store_v2.json").read_text())


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the store, and of the table that a campaign in it was measured on."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(KEPT / "store_v2_records.csv", tmp_path / "records.csv")
    path = Path(shutil.copy(KEPT / "store_v2.db", tmp_path / "store.db"))
    with sqlite3.connect(path) as db:  # the lab that it was is here now
        db.execute("update campaign set body = replace(body, '/lab/', ?)", (f"{tmp_path}/",))
    db.close()
    return path


def test_a_kept_store_shows_what_was_stored_with_its_scores(kept: Path) -> None:
    store = Store(kept)
    assert [r.name for r in store.campaigns()] == list(SAID["campaigns"])
    for name, rows in SAID["campaigns"].items():
        campaign = Campaign.stored(name, store)
        for trial, row in zip(campaign.trials, rows, strict=True):
            found = trial.measurement and dict(trial.measurement.outcomes)
            assert (trial.number, dict(trial.settings), found) == (row["number"], row["settings"], row["outcomes"])
            assert list(trial.cost.cost().values()) == row["cost"]
            assert (trial.error, trial.source) == (row["error"], row["source"])
            assert trial.finished_at == row["finished_at"]
            assert campaign.score(trial) == (row["score"] and pytest.approx(row["score"], rel=1e-9))  # processors round otherwise
    assert {t.source for t in store.trials("color")} == {"driver", "told", "stopped"}
    assert [asdict(r) for r in store.calibrations()] == SAID["calibrations"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("color", {"driver": "color-mixing"}),
        ("map", {"driver": "eutectic"}),
        ("by-hand", {"driver": {"name": "table", "options": {"path": "records.csv", "outcomes": "cost"}}}),
    ],
)
def test_a_campaign_of_a_kept_store_goes_on(kept: Path, name: str, words: dict[str, Any]) -> None:
    before = Store(kept).trials(name)
    campaign = Campaign.open(name=name, store=kept, budget=len(before) + 1, **words)
    scores = [campaign.score(t) for t in campaign.trials]
    (trial,) = campaign.run()
    assert (trial.number, trial.source) == (len(before) + 1, "driver")
    assert [*before, trial] == Store(kept).trials(name)
    assert [campaign.score(t) for t in campaign.trials] == [*scores, campaign.score(trial)]


WRITES = """
import os, shutil, signal, sys
from pathlib import Path
from frugaltwin.experiment import Measurement, Trial
from frugaltwin.store import CampaignRecord, Store

store = Store("store.db")
store.create(CampaignRecord("demo", "now", {}))
for number in range(1, 10**6):
    store.append("demo", Trial(number, {"red": 0.5}, Measurement({"y": float(number)}, raw={"note": "x" * 700})))
    if number == int(sys.argv[1]):
        Path("copies").mkdir()
        for path in Path.cwd().glob("store.db*"):
            shutil.copy(path, Path("copies") / path.name)
        os.kill(os.getpid(), signal.SIGKILL)
    os.write(1, f"{number}\\n".encode())
"""


def trials_of_one_file(path: Path, folder: Path) -> list[int]:
    """The trials in a copy of a store's file alone."""
    folder.mkdir()
    return [t.number for t in Store(shutil.copy(path, folder / "alone.db")).trials("demo")]


@pytest.mark.timing
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize("last", [1, 12])
def test_a_plain_copy_between_two_trials_has_all_of_them_while_it_is_open_and_after_a_kill(tmp_path: Path, last: int) -> None:
    done = subprocess.run([sys.executable, "-c", WRITES, str(last)], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert trials_of_one_file(tmp_path / "copies" / "store.db", tmp_path / "live") == [*range(1, last + 1)]
    assert trials_of_one_file(tmp_path / "store.db", tmp_path / "killed") == [*range(1, last + 1)]


def is_copied(folder: Path) -> bool:
    """Copies a store, unless its writer, which never pauses here, has it locked all the time."""
    with suppress(StoreError):
        Store(folder / "store.db").backup(folder / "copy.db")
    return (folder / "copy.db").exists()


@pytest.mark.timing
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_what_was_acknowledged_is_there_whenever_the_writer_is_killed(tmp_path: Path) -> None:
    for k in range(times(2, 60)):
        folder = tmp_path / str(k)
        folder.mkdir()
        with subprocess.Popen([sys.executable, "-c", WRITES, "0"], cwd=folder, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(3 + 5 * (k % 7)):
                writer.stdout.readline()
            assert any(is_copied(folder) for _ in range(50))
            writer.kill()
            acknowledged = [int(line) for line in writer.stdout.read().split()]
        found = [t.number for t in Store(folder / "store.db").trials("demo")]
        assert found == [*range(1, len(found) + 1)]
        assert len(found) >= max(acknowledged, default=0)
        assert 3 <= len(Store(folder / "copy.db").trials("demo")) <= len(found)
        if not (folder / "store.db-journal").exists():
            assert trials_of_one_file(folder / "store.db", folder / "alone") == found


def test_a_store_of_before_is_one_file_once_it_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = sqlite3.connect(path)
    old.execute("pragma journal_mode = wal")
    with old:
        old.executescript(f"{VERSION_1} pragma application_id = {APPLICATION_ID}; pragma user_version = 1;")
        old.execute("insert into campaign values (?, ?, ?)", (RECORD.name, RECORD.created_at, json.dumps(dict(RECORD.body))))
    (tmp_path / "copy").mkdir()
    alone = Path(shutil.copy(path, tmp_path / "copy" / "old.db"))
    with pytest.raises(StoreError, match=r"is a part of a store: .*old.db-wal that was not copied; copy the store again"):
        Store(alone)
    whole = Store(path)  # while the older version has it open
    whole.append("demo", TRIAL)
    old.close()
    whole.close()
    Store(path)
    assert trials_of_one_file(path, tmp_path / "alone") == [1]


def test_a_store_that_is_read_only_and_incomplete_by_itself_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "s.db")
    store.create(RECORD)
    monkeypatch.setattr("frugaltwin.store._is_writable", lambda path: False)
    assert Store(tmp_path / "s.db").find("demo") == RECORD
    (tmp_path / "s.db-wal").write_bytes(b"what was written last")
    with pytest.raises(StoreError, match=r"s.db is read-only, and s.db-wal beside it has a part of it"):
        Store(tmp_path / "s.db")


def test_a_backup_is_a_whole_store_and_nothing_is_written_over(store: Store, tmp_path: Path) -> None:
    store.create(RECORD)
    store.append("demo", TRIAL)
    copy = store.backup(tmp_path / "copy.db")
    assert copy == tmp_path / "copy.db"
    assert (Store(copy).trials("demo"), Store(copy).find("demo")) == ([TRIAL], RECORD)
    store.append("demo", FAILED)
    with pytest.raises(StoreError, match=r"copy.db exists already, and no copy is written over it"):
        store.backup(copy)
    assert Store(copy).trials("demo") == [TRIAL]
    (tmp_path / "backups").mkdir()
    dated = store.backup(tmp_path / "backups")
    assert dated.parent == tmp_path / "backups"
    assert list(dated.parent.iterdir()) == [dated]
    assert Store(dated).trials("demo") == [TRIAL, FAILED]
    with pytest.raises(StoreError, match="No such file or directory; choose another file"):
        store.backup(tmp_path / "nowhere" / "copy.db")
    (tmp_path / "half.db.part").touch()
    with pytest.raises(StoreError, match="is of another copy"):
        store.backup(tmp_path / "half.db")


def test_no_store_is_backed_up_as_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no store .*s.db to be copied"):
        Store(tmp_path / "s.db").backup(tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []
