"""Every released schema comes up to date, and `frugaltwin db` cares for a database: upgrade, backup, check."""

import json
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from alembic.autogenerate import compare_metadata
from alembic.command import upgrade as alembic_upgrade
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from api import maintenance, migrations
from api.migrations import newest, upgrade
from api.records import campaign_log, campaigns, classes, fair_queue, hand_ins, ledger, tasks
from api.records.database import Database, engine_of
from api.records.rigs import Offer
from api.records.tables import tables
from api.records.twins import LAB
from frugaltwin.amounts import Amounts
from frugaltwin.errors import InvalidInput, MissingPart, StoreError
from frugaltwin.experiment import Measurement
from frugaltwin.log import Preference, Proposal, Rejection
from frugaltwin.tasks.score import Played, Plays
from frugaltwin.tasks.task import find
from tests import forked
from tests.conftest import Cli, command, events
from tests.service_database import PostgresServer, client, new_person, new_rig, new_token, report_one, submit, until

STORED = sorted((Path(__file__).parent / "data").glob("service_*.sql"))
"""Databases that released versions left, one a schema: SQLite's dump, made by `python -m tests.test_migrations`."""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres").new_database(is_empty=True)
        return url
    return f"sqlite:///{tmp_path}/service.db"


def stored(path: Path, folder: Path) -> str:
    """A stored database as a file of its own; the URL."""
    file = folder / path.with_suffix(".db").name
    connection = sqlite3.connect(file)
    connection.executescript(path.read_text())
    connection.close()
    return f"sqlite:///{file}"


def differences(url: str) -> list[object]:
    engine = engine_of(url)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), tables)
    engine.dispose()
    return list(found)


def lived_in(database: Database) -> str:
    """An experiment of every kind of end, and some that have not ended; the person."""
    rig, real = new_rig(database), new_rig(database, "mixer-1", is_real=True)
    whose = new_person(database, "Ada", runs=100, seconds=5000.5, money=3.3)
    new_token(database, whose)
    new_person(database, "Grace")
    ids = [submit(database, whose, rig, Amounts(seconds=7.1, money=0.013, volume=3.3)) for _ in range(6)]
    submit(database, whose, real)
    (lost,) = database.write_now(lambda c, now: fair_queue.lease(c, now, real, "w", 1))
    database.write_now(lambda c, now: fair_queue.begin(c, now, lost.id, lost.lease))
    database.write_now(lambda c, now: fair_queue.expire(c, now + 3600))
    good, bad, running, held = database.write_now(lambda c, now: fair_queue.lease(c, now, rig, "w", 4))
    measured = Measurement({"t_415": 0.5}, Amounts(seconds=3.0), {})

    def steps(c: Connection, now: float) -> None:
        for row in (good, bad, running):
            fair_queue.begin(c, now, row.id, row.lease)
        report_one(c, now, good.id, good.lease, measured, None, measured.cost, {"rig": rig})
        report_one(c, now, bad.id, bad.lease, None, "the pump jammed", Amounts(seconds=99.0), {})
        fair_queue.abort(c, now, ids[-1], "aborted by Ada")
        fair_queue.renew(c, now, rig, "w", {held.id: held.lease})

    database.write_now(steps)
    return whose


def test_the_migrations_make_the_tables_that_the_models_say(empty_url: str) -> None:
    assert upgrade(empty_url) == (None, newest())
    assert upgrade(empty_url) == (newest(), newest())
    assert differences(empty_url) == []


def test_a_difference_between_models_and_migrations_is_found(empty_url: str) -> None:
    upgrade(empty_url)
    engine = engine_of(empty_url)
    with engine.begin() as connection:
        connection.execute(text("alter table rig add column color varchar(8)"))
    engine.dispose()
    assert len(differences(empty_url)) == 1


def test_services_that_start_at_once_bring_a_database_up_to_date_once(empty_url: str) -> None:
    found: list[tuple[str | None, str]] = []
    threads = [threading.Thread(target=lambda: found.append(upgrade(empty_url))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(before or "" for before, _ in found) == ["", newest(), newest()]


def test_there_is_a_stored_database_of_every_schema() -> None:
    assert [path.stem for path in STORED] == [f"service_{i:04}" for i in range(1, int(newest()) + 1)]


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_stored_database_of_a_released_schema_comes_up_to_date_and_works(path: Path, tmp_path: Path) -> None:
    url = stored(path, tmp_path)
    assert upgrade(url) == (path.stem[-4:], newest())
    assert differences(url) == []
    assert {f.about: f.status for f in maintenance.findings(url) if f.status == "problem"} == {}
    database = Database(url)
    (ada,) = database.read_now(lambda c: c.execute(text("select id from person where name = 'Ada'")).scalars().all())
    states = database.read_now(lambda c: c.execute(text("select state from experiment order by number")).scalars().all())
    assert states == ["succeeded", "failed", "running", "leased", "queued", "aborted", "unknown"]
    before = database.read_now(lambda c: ledger.balance(c, ada))["runs"]
    submit(database, ada)
    assert database.read_now(lambda c: ledger.balance(c, ada))["runs"] == (before or 0) - 1
    database.close()


def test_what_people_said_before_there_was_a_log_is_in_it_afterwards(empty_url: str) -> None:
    config, engine = migrations._config(), engine_of(empty_url)
    on_rig = "'color-1', 'server', '{}', '{}'"
    judged = {"trial": 3, "settings": {"red": 0.5}, "rejected": [{"red": 0.1}, {"red": 0.2}]}
    with engine.connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        alembic_upgrade(config, "0001")
        for words in (
            "insert into person values ('u_1', 'Ada', 'student', 1.0)",
            "insert into rig values ('color-1', 'color-mixing', '{}', false, '{}', 'open', null, null, 0.0, 1.0)",
            f"insert into campaign values ('c_1', 'u_1', 'reef', {on_rig}, 'waiting', null, :judged, 0, null, null, 7.5, 1)",
            f"insert into campaign values ('c_2', 'u_1', 'only', {on_rig}, 'running', null, :rejected, 0, null, null, 8.5, 2)",
            "insert into event values (1, 'u_1', 'color-1', 'c_1', null, 'campaign.preferred', :preferred, 9.5)",
        ):
            said = {
                "judged": json.dumps(judged),
                "rejected": json.dumps({"rejected": [{"red": 0.9}]}),
                "preferred": json.dumps({"better": 2, "worse": 1, "by": "u_1"}),
            }
            connection.execute(text(words), {k: v for k, v in said.items() if f":{k}" in words})
    engine.dispose()
    assert upgrade(empty_url) == ("0001", newest())
    database = Database(empty_url)
    ada = database.read_now(lambda c: campaigns.named(c, "u_1", "reef"))
    only = database.read_now(lambda c: campaigns.named(c, "u_1", "only"))
    assert ada is not None
    assert only is not None
    assert (ada.proposal, only.proposal) == ({"trial": 3, "settings": {"red": 0.5}}, {})
    entries = campaign_log.logged(database.read_now(lambda c: campaign_log.entries_of(c, "c_1")))
    first, second = ({"red": 0.1}, {"red": 0.2})
    assert [x.entry for x in entries] == [
        Preference(2, 1), Proposal(first), Rejection(first), Proposal(second), Rejection(second), Proposal({"red": 0.5})
    ]  # fmt: skip
    others = database.read_now(lambda c: campaign_log.entries_of(c, "c_2"))
    assert [(e.kind, e.by, e.at) for e in others] == [("proposal", "u_1", 8.5), ("rejection", "u_1", 8.5)]
    database.close()


def test_a_newer_database_and_a_wrong_address_are_refused_in_words(empty_url: str, tmp_path: Path) -> None:
    upgrade(empty_url)
    engine = engine_of(empty_url)
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StoreError, match="9999, which a newer version made"):
        upgrade(empty_url)
    for url, words in (
        ("nonsense", "no address"),
        ("mysql://host/name", "not in 'mysql'"),
        ("sqlite://", "is a file"),
        (f"sqlite:///{tmp_path}/no/folder.db", "unable to open"),
        ("postgresql+psycopg://postgres@/none?host=/nowhere", "cannot be brought up to date"),
    ):
        with pytest.raises((InvalidInput, StoreError), match=words):
            upgrade(url)


def test_check_finds_nothing_wrong_in_a_database_that_was_lived_in(database: Database) -> None:
    lived_in(database)
    rows = maintenance.findings(database.url)
    assert [f.about for f in rows] == ["schema", "integrity", "balances", "reservations", "events"]
    assert {f.status for f in rows} <= {"ok", "warning"}


@pytest.mark.parametrize(
    ("words", "about"),
    [
        ("update account set runs = -1 where runs is not null", "balances"),
        ("update account set money = money + 0.01", "balances"),
        ("delete from ledger where kind = 'grant'", "balances"),
        ("delete from ledger where kind = 'settle'", "reservations"),
        ("update experiment set state = 'succeeded' where state = 'queued'", "reservations"),
        ("delete from event where id = 3", "events"),
        ("update counter set value = value + 1 where name = 'event'", "events"),
        ("update alembic_version set version_num = '0000'", "schema"),
    ],
)
def test_check_finds_what_was_tampered_with(database: Database, words: str, about: str) -> None:
    lived_in(database)
    database.write_now(lambda c, now: c.execute(text(words)))
    assert about in [f.about for f in maintenance.findings(database.url) if f.status == "problem"]


def test_a_backup_is_the_database_while_it_is_written_and_read_only_by_its_owner(sqlite_file: Path, tmp_path: Path) -> None:
    (tmp_path / "service.db").write_bytes(sqlite_file.read_bytes())
    database = Database(f"sqlite:///{tmp_path}/service.db")
    whose = lived_in(database)
    is_over = threading.Event()

    def busy() -> None:
        while not is_over.is_set():
            submit(database, whose)

    database.write_now(lambda c, now: ledger.grant(c, now, whose, {"runs": 1e6, "seconds": 1e9, "money": 1e6}))
    writing = threading.Thread(target=busy)
    writing.start()
    maintenance.backup(database.url, tmp_path / "copy.db")
    is_over.set()
    writing.join(60)
    database.close()
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("copy.db?*"))
    assert {f.status for f in maintenance.findings(f"sqlite:///{tmp_path}/copy.db")} <= {"ok", "warning"}
    with pytest.raises(InvalidInput, match="exists"):
        maintenance.backup(database.url, tmp_path / "copy.db")


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_postgresql_database_that_cannot_keep_every_name_is_refused(postgres: PostgresServer, encoding: str) -> None:
    postgres.execute(f"create database {encoding} encoding '{encoding}' template template0")
    with pytest.raises(StoreError, match=f"keeps text as {encoding}.*createdb -E UTF8"):
        upgrade(postgres.url(encoding.lower()))


def test_a_postgresql_backup_is_restored_whole(postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = postgres.programs()
    assert programs is not None
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    database = Database(postgres.new_database())
    lived_in(database)
    database.close()
    maintenance.backup(database.url, tmp_path / "copy.dump")
    url = postgres.new_database(is_empty=True)
    name = url.rpartition("/d")[2].partition("?")[0]
    words = ["pg_restore", "-h", str(postgres.folder), "-U", "postgres", "-d", f"d{name}", str(tmp_path / "copy.dump")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert {f.status for f in maintenance.findings(url)} == {"ok"}
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPart, match="postgresql-client"):
        maintenance.backup(database.url, tmp_path / "again.dump")


def test_from_nothing_to_a_checked_backup_by_commands(cli: Cli, tmp_path: Path) -> None:
    missing = cli("db", "check")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "there is no file frugaltwin-service.db" in missing.stderr
    assert not (tmp_path / "frugaltwin-service.db").exists()
    assert "from nothing to revision" in cli("db", "upgrade").stderr
    assert "was up to date" in cli("db", "upgrade").stderr
    copied = cli("db", "backup", "--out", "copy.db")
    assert copied.returncode == 0, copied.stderr
    checked = cli("db", "check", "--database", "sqlite:///copy.db", "--json")
    assert checked.returncode == 0, checked.stderr
    assert len(events(checked)) == 5
    connection = sqlite3.connect(tmp_path / "copy.db")
    connection.execute("update counter set value = 7")
    connection.commit()
    connection.close()
    broken = cli("db", "check", "--database", "sqlite:///copy.db", "--json")
    assert broken.returncode == 1
    assert [row["about"] for row in map(json.loads, broken.stdout.splitlines()) if row["status"] == "problem"] == ["events"]


def test_a_new_sqlite_file_is_nobody_elses_to_read(tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path / 'service.db'}")
    assert (tmp_path / "service.db").stat().st_mode & 0o077 == 0


KEPT = STORED[0].parent / "service_v1.db"
"""What a service of a released version left when it was killed: a campaign under way, one that waits for a person, one of a client."""
SAID = json.loads(KEPT.with_suffix(".json").read_text())


@pytest.fixture
def kept_service(tmp_path: Path) -> Iterator[httpx.Client]:
    """Its student, at a service of today on a copy of it."""
    shutil.copy(KEPT, tmp_path / "kept.db")
    words = command("serve", "--port", 0, "--json", "--rig", "color-1=color-mixing", "--database", "sqlite:///kept.db")
    with forked.Process(words, cwd=tmp_path, stdout=subprocess.PIPE) as service:
        try:
            assert service.stdout is not None
            address = json.loads(service.stdout.readline())["address"]
            with client(address, SAID["student"]) as student:
                yield student
        finally:
            service.terminate()


def test_a_kept_service_s_trials_get_their_scores(tmp_path: Path) -> None:
    url = f"sqlite:///{shutil.copy(KEPT, tmp_path / 'kept.db')}"
    upgrade(url)
    with migrations.reading(url) as connection:
        rows = connection.execute(text("select name, trial, loss from score join campaign on campaign = campaign.id")).all()
        (unknown,) = connection.execute(text("select count(*) from campaign where id not in (select campaign from standing)")).one()
    assert unknown == 0
    found = {(name, trial): loss for name, trial, loss in rows}
    stored_scores = {(name, t["trial"]): t["score"] for name, said in SAID["campaigns"].items() for t in said["trials"]}
    assert {k: v for k, v in found.items() if v is not None} == pytest.approx(
        {k: v for k, v in stored_scores.items() if v is not None}, rel=1e-9
    )


def test_a_kept_service_shows_what_was_stored_and_its_campaigns_go_on(kept_service: httpx.Client) -> None:
    def of(name: str, what: str = "") -> Any:
        answer = kept_service.get(f"/v1/campaigns/{SAID['campaigns'][name]['id']}{what}", params={"limit": 200} if what else {})
        return answer.raise_for_status().json()

    def ended(name: str) -> list[Any]:
        return [t for t in of(name, "/trials")["items"] if t["experiment"]["state"] == "succeeded"]

    client_mode = next(name for name, said in SAID["campaigns"].items() if said["mode"] == "client")
    assert (of("judged")["state"], of("judged")["proposal"]) == ("waiting", SAID["campaigns"]["judged"]["proposal"])
    until(lambda: len(ended("reef")) > len(SAID["campaigns"]["reef"]["trials"]))  # it goes on by itself
    for name, said in SAID["campaigns"].items():
        assert of(name)["goal"] == said["goal"]
        for found, row in zip(of(name, "/trials")["items"], said["trials"], strict=False):
            assert (found["trial"], found["experiment"]["state"]) == (row["trial"], row["state"])
            assert [found["experiment"][key] for key in ("settings", "outcomes")] == [row[key] for key in ("settings", "outcomes")]
            assert found["score"] == pytest.approx(row["score"], rel=1e-9)  # processors round otherwise
    assert kept_service.get("/v1/me").json()["budget"]["spent"]["runs"] >= SAID["spent"]["runs"]
    identity = SAID["campaigns"]["judged"]["id"]
    accepted = {"decision": "approve", "trial": of("judged")["proposal"]["trial"]}
    kept_service.post(f"/v1/campaigns/{identity}/proposal", json=accepted).raise_for_status()
    own = SAID["campaigns"][client_mode]
    for action in ({"action": "extend", "budget": {"runs": 1}}, {"action": "resume"}):
        kept_service.post(f"/v1/campaigns/{own['id']}/actions", json=action).raise_for_status()
    order = {"rig": "color-1", "settings": own["trials"][0]["settings"], "campaign": own["id"]}
    kept_service.post("/v1/experiments", json=order).raise_for_status()
    until(lambda: len(ended("judged")) == 1 and len(ended(client_mode)) == len(own["trials"]) + 1)
    assert ended(client_mode)[-1]["trial"] == len(own["trials"]) + 1
    kinds = [e["kind"] for e in of("judged", "/entries")["items"]]
    assert kinds[kinds.index("approval") - 1] == "proposal"  # which waited when there was no log yet
    before = of("reef", "/trials")["items"][0]
    retraction = {"kind": "retraction", "number": 1, "why": "a bubble"}
    kept_service.post(f"/v1/campaigns/{SAID['campaigns']['reef']['id']}/entries", json=retraction).raise_for_status()
    after = of("reef", "/trials")["items"][0]
    assert (after["score"], after["experiment"]) == (None, before["experiment"] | {"score": None})


def taught(connection: Connection, now: float, whose: str) -> None:
    """A class with a task, a lab, a hand-in and two grades."""
    body = find("ferroelectric-response")
    classes.add(connection, now, "chem")
    classes.enroll(connection, "chem", [whose])
    tasks.add(connection, now, "chem", body, Offer.of_driver(LAB, {"task": body.to_json()}), [])
    key = tasks.Key("chem-ferroelectric-response", whose, 0, 0, body.to_json(), 1, 1.0)
    plays = Plays([Played(2.0, Amounts(runs=25))], [Played(50.0, Amounts(runs=25))])
    tasks.note_try(connection, key, 1.0, "maximize:piezoelectric", plays.to_text())
    claim = {"recipe": {"titanate": 0.4, "temperature": 400.0}}
    one = hand_ins.hand_in_once(connection, now, tasks.find(connection, key.rig), whose, claim)
    hand_ins.judged(connection, now, one.id, {"gap": 10.0, "parts": {"true score": 90.0}, "error": None})
    finer = body.model_copy(update={"score": body.score.model_copy(update={"fine": 10.0})})
    hand_ins.regrade(connection, now, key.rig, finer, "finer", is_kept=True)


def store(folder: Path) -> Path:
    """Write the stored database of today's schema anew: before a release, and never after it."""
    url = f"sqlite:///{folder}/lived-in.db"
    upgrade(url)
    database = Database(url)
    whose = lived_in(database)
    database.write_now(lambda c, now: taught(c, now, whose))
    database.close()
    connection = sqlite3.connect(folder / "lived-in.db")
    path = Path(__file__).parent / "data" / f"service_{newest()}.sql"
    path.write_text("\n".join(connection.iterdump()) + "\n")
    connection.close()
    return path


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        print(store(Path(folder)))
