"""What is old is removed from a service's database, and whoever has missed it is told so."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, func, select, text, update

from api import maintenance
from api.records import event_log
from api.records.database import Database
from api.records.event_log import EVERYBODY, Filter
from api.records.tables import answer, event
from frugaltwin import Client
from frugaltwin.checks import Finding
from tests.running_service import Running, running
from tests.service_database import SETTINGS, until

DAY = 86_400.0
AGE = 30 * DAY


def tell(database: Database, *days: float) -> list[int]:
    """Events that are so many days old; their ids."""

    def change(c: Connection, now: float) -> list[int]:
        return [event_log.record(c, now - age * DAY, "note.made", EVERYBODY, {"age": age}) for age in days]

    return database.write_now(change)


def prune(service: Running) -> None:
    asyncio.run(maintenance.prune(service.database, AGE))


def of_events(service: Running) -> Finding:
    (found,) = (f for f in maintenance.findings(service.database.url) if f.about == "events")
    return found


def test_old_events_are_removed_and_a_reader_of_before_is_told(fresh_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "AT_ONCE", 2)
    with running(fresh_url(), heartbeat=0.3) as service, service.client(service.admin) as client:
        tell(service.database, *[100.0] * 7)
        known = service.database.read_now(event_log.last) - 4
        young, back, new = tell(service.database, 1, 100, 0)  # the clock was set back once: it is not the age alone that counts
        service.database.write_now(lambda c, now: c.execute(text("update event set at = 0 where id <= :n"), {"n": known}))
        prune(service)
        assert [row.id for row in service.database.read_now(lambda c: event_log.after(c, 0, 100))] == [young, back, new]
        gone = young - 1

        page = client.get("/v1/events", params={"after": known, "limit": 2}).json()
        assert [(e["id"], e["kind"]) for e in page["items"]] == [(gone, "events.removed"), (young, "note.made")]
        assert "were removed" in page["items"][0]["body"]["why"]
        assert [e["id"] for e in client.get("/v1/events", params={"after": page["next"]}).json()["items"]] == [back, new]
        assert [e["id"] for e in client.get("/v1/events", params={"after": gone}).json()["items"]] == [young, back, new]
        assert [e["id"] for e in client.get("/v1/events").json()["items"]] == [young, back, new]

        with Client(service.address, service.admin) as stranger:
            heard = [(e.id, e.kind) for _, e in zip(range(4), stranger.events(after=known), strict=False)]
        assert heard == [(gone, "events.removed"), *((n, "note.made") for n in (young, back, new))]

        assert of_events(service).status == "ok"
        later = tell(service.database, 100)
        assert later == [new + 1]  # ids go on
        service.database.write_now(lambda c, now: c.execute(text("update event set at = 0")))
        prune(service)
        assert (of_events(service).status, service.database.read_now(event_log.last)) == ("ok", new + 1)
        assert [e["kind"] for e in client.get("/v1/events", params={"after": new}).json()["items"]] == ["events.removed"]
        assert client.get("/v1/events", params={"after": new + 1}).json()["items"] == []
        tell(service.database, 0, 0)
        assert of_events(service).status == "ok"
        service.database.write_now(lambda c, now: c.execute(text("delete from event where id = :n"), {"n": new + 2}))
        assert "some are missing" in of_events(service).text


def test_a_reader_who_was_overtaken_while_events_were_removed_is_told(fresh_url: Callable[[], str]) -> None:
    """On PostgreSQL each reading sees what was committed meanwhile."""
    with running(fresh_url()) as service:
        tell(service.database, *[100.0] * 6)
        old = service.database.read_now(event_log.last)
        (new,) = tell(service.database, 0)
        service.database.write_now(lambda c, now: c.execute(text("update event set at = 0 where id <= :n"), {"n": old}))
        asked: list[int] = []

        def ask(c: Connection) -> list[int]:
            begin = event_log.removed

            def removed(connection: Connection) -> int:
                if not asked:
                    asked.append(1)
                    found = begin(connection)
                    service.database.write_now(lambda w, now: event_log.prune(w, now - AGE, 3))
                    return found
                return begin(connection)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(event_log, "removed", removed)
                return [row.id for row in event_log.since(c, 0.0, 1, 100, Filter())]

        found = service.database.read_now(ask)
        told = service.database.read_now(event_log.removed)
        assert found == ([told, *range(told + 1, new + 1)] if not service.database.is_sqlite else list(range(2, new + 1)))


def test_old_answers_are_removed_but_those_of_a_campaign_that_lives(fresh_url: Callable[[], str]) -> None:
    with running(fresh_url()) as service:
        whose, token = service.person()
        with service.client(token) as client:

            def sent(path: str, key: str, **words: object) -> str:
                answer = client.post(path, json=words, headers={"Idempotency-Key": key})
                assert answer.status_code in (200, 202), answer.text
                return str(answer.json()["id"])

            def campaign(name: str) -> str:
                return sent("/v1/campaigns", name, name=name, rig="color-1", goal="minimize:t_415", mode="client")

            def trial(key: str, **words: object) -> str:
                return sent("/v1/experiments", key, rig="color-1", settings=SETTINGS, **words)

            lives, ended = campaign("lives"), campaign("ended")
            free, kept = trial("free"), trial("of-one-that-lives", campaign=lives)
            trial("of-one-that-has-ended", campaign=ended)
            sent(f"/v1/campaigns/{ended}/actions", "stop", action="stop")
            service.database.write_now(lambda c, now: c.execute(update(answer).values(at=now - 100 * DAY)))
            young = trial("young")
            prune(service)
            keys = service.database.read_now(lambda c: c.execute(select(answer.c.key).where(answer.c.person == whose)).scalars().all())
            assert sorted(keys) == ["lives", "of-one-that-lives", "young"]
            assert (campaign("lives"), trial("of-one-that-lives", campaign=lives), trial("young")) == (lives, kept, young)
            assert trial("free") != free  # it is forgotten, and another experiment


def test_a_service_removes_what_is_old_when_it_begins(fresh_url: Callable[[], str]) -> None:
    url = fresh_url()
    database = Database(url)
    tell(database, 100, 40)
    count = select(func.count()).select_from(event).where(event.c.kind == "note.made")
    try:
        with running(url, keep_days=50):
            until(lambda: database.read_now(lambda c: c.execute(count).scalar_one()) == 1)
    finally:
        database.close()
