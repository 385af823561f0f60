"""P4: nobody sees another's rows. What is another's is answered exactly like what does not exist, byte for byte but for the id."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api.app import create_app
from api.records import fair_queue
from api.records.database import Database
from api.settings import Settings
from frugaltwin.amounts import Amounts
from frugaltwin.experiment import Measurement
from tests.service_database import SETTINGS, ServiceProcess, client, new_person, new_rig, new_token, report_one

KINDS = {"experiments": "x", "campaigns": "c", "tokens": "t"}
BODIES = {
    "actions": {"action": "pause"},
    "proposal": {"trial": 1, "decision": "approve"},
    "entries": {"kind": "preference", "better": 1, "worse": 2},
}
ROUTES = sorted(
    (method, path)
    for path, methods in create_app(Settings()).openapi()["paths"].items()
    for method in methods
    if "{identity}" in path and path.split("/")[2] in KINDS
)
PER_REQUEST = ("date", "server")


@dataclass
class Class:
    """Two students; the first one has something of each kind."""

    owner: httpx.Client
    stranger: httpx.Client
    owned: dict[str, str]
    secret: str
    """What only the owner may read."""


@pytest.fixture(scope="module")
def classroom(fresh_url: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Class]:
    url = fresh_url()
    database = Database(url)
    new_rig(database)
    ada, bob = new_person(database, "Ada"), new_person(database, "Bob")
    tokens = new_token(database, ada), new_token(database, bob)
    token_of_ada = database.read_now(lambda c: c.execute(text("select id from token where person = :who"), {"who": ada}).scalar_one())
    with (
        ServiceProcess(url, tmp_path_factory.mktemp("privacy")) as service,
        client(service.address, tokens[0]) as owner,
        client(service.address, tokens[1]) as stranger,
    ):
        words = {"name": "greens", "rig": "color-1", "goal": "match-color:#8fb04a", "mode": "client"}
        campaign = owner.post("/v1/campaigns", json=words)
        assert campaign.status_code in (201, 202), campaign.text
        order = {"rig": "color-1", "settings": SETTINGS, "campaign": campaign.json()["id"], "trial": 1}
        posted = owner.post("/v1/experiments", json=order, headers={"Idempotency-Key": "mine"})
        assert posted.status_code == 202, posted.text
        (row,) = database.write_now(lambda c, now: fair_queue.lease(c, now, "color-1", "w", 1))
        measured = Measurement({"t_415": 0.123454321}, Amounts(seconds=1.0), {})
        database.write_now(lambda c, now: fair_queue.begin(c, now, row.id, row.lease))
        database.write_now(lambda c, now: report_one(c, now, row.id, row.lease, measured, None, measured.cost, {}))
        owned = {"experiments": posted.json()["id"], "campaigns": campaign.json()["id"], "tokens": token_of_ada}
        yield Class(owner, stranger, owned, "0.123454321")
    database.close()


def answer(who: httpx.Client, method: str, path: str, identity: str, **more: Any) -> tuple[int, str, dict[str, str]]:
    """All that an answer says, but for the id that was asked for."""
    said = who.request(method, path.replace("{identity}", identity).replace("{number}", "1"), **more)
    headers = {k: v for k, v in said.headers.items() if k not in PER_REQUEST}
    return said.status_code, said.text.replace(identity, "ID"), headers


def missing(like: str) -> str:
    """An id of the same kind that nobody has."""
    return f"{like.partition('_')[0]}_{'0' * 20}"


def test_every_kind_of_thing_with_an_owner_is_asked_for() -> None:
    assert {path.split("/")[2] for _, path in ROUTES} == set(KINDS)
    assert len(ROUTES) >= 8


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_another_s_id_is_answered_like_one_that_does_not_exist(classroom: Class, method: str, path: str) -> None:
    mine = classroom.owned[path.split("/")[2]]
    more: dict[str, Any] = {"json": BODIES.get(path.rpartition("/")[2])} if method in ("post", "put") else {}
    if path.endswith("/export"):
        more["params"] = {"format": "csv"}
    for headers in ({}, {"Prefer": "wait=1"}, {"Idempotency-Key": "mine"}):
        theirs = answer(classroom.stranger, method, path, mine, headers=headers, **more)
        nobodys = answer(classroom.stranger, method, path, missing(mine), headers=headers, **more)
        assert theirs == nobodys
        assert theirs[0] == 404
        assert theirs[2]["content-type"] == "application/problem+json"
    if method == "get":
        assert answer(classroom.owner, method, path, mine, **more)[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "place"),
    [
        ("post", "/v1/experiments", "campaign"),
        ("get", "/v1/experiments?campaign={identity}", "campaign"),
        ("get", "/v1/events?campaign={identity}", "campaign"),
        ("get", "/v1/events?experiment={identity}", "experiment"),
    ],
)
def test_another_s_id_in_a_body_or_a_filter_is_like_a_missing_one(classroom: Class, method: str, path: str, place: str) -> None:
    mine = classroom.owned[f"{place}s"]

    def ask(who: httpx.Client, identity: str) -> tuple[int, str, dict[str, str]]:
        order = {"rig": "color-1", "settings": SETTINGS, "campaign": identity, "trial": 2}
        more: dict[str, Any] = {"json": order} if method == "post" else {"headers": {"Accept": "application/json"}}
        return answer(who, method, path, identity, **more)

    assert ask(classroom.stranger, mine) == ask(classroom.stranger, missing(mine))
    assert ask(classroom.owner, mine) != ask(classroom.owner, missing(mine))


@pytest.mark.parametrize(
    "path", ["/v1/experiments", "/v1/campaigns", "/v1/tokens", "/v1/events", "/v1/rigs", "/v1/rigs/color-1", "/v1/me/ledger"]
)
def test_no_list_shows_another_s(classroom: Class, path: str) -> None:
    said = classroom.stranger.get(path, headers={"Accept": "application/json"})
    assert said.status_code == 200
    for word in (*classroom.owned.values(), classroom.secret, "greens", "Ada"):
        assert word not in said.text
    if path in ("/v1/experiments", "/v1/events"):
        assert classroom.secret in classroom.owner.get(path, headers={"Accept": "application/json"}).text


def test_another_s_idempotency_key_is_not_one_s_own(classroom: Class) -> None:
    order = {"rig": "color-1", "settings": SETTINGS}
    said = classroom.stranger.post("/v1/experiments", json=order, headers={"Idempotency-Key": "mine"})
    assert said.status_code == 202
    assert said.json()["id"] != classroom.owned["experiments"]
