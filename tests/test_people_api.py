"""Joining, tokens, budgets: who may do what, and what is shown to whom."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from api import maintenance
from api.errors import TooMany
from api.records import rigs, tokens
from api.records.tables import answer, join_code, token
from tests.running_service import Running, running
from tests.service_database import SETTINGS, submit

LEFT = {"runs": 3.0, "rig_runs": None, "seconds": None, "money": None, "volume": 20.0}


@pytest.fixture(scope="module")
def service(fresh_url: Callable[[], str]) -> Iterator[Running]:
    with running(fresh_url(), requests_per_second=1e6, burst=1e6) as found:
        yield found


@pytest.fixture
def admin(service: Running) -> Iterator[httpx.Client]:
    with service.client(service.admin) as found:
        yield found


def refused(response: httpx.Response, status: int, *words: str) -> dict[str, Any]:
    """The problem document that it is."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    for word in words:
        assert word in found["detail"], found
    return found


def test_a_code_makes_a_person_with_a_budget_and_a_token_that_works(service: Running, admin: httpx.Client) -> None:
    made = admin.post("/v1/codes", json={"note": "Monday", "uses": 1, "budget": {"runs": 3, "volume": 20}}).json()
    joined = httpx.post(f"{service.address}/v1/join", json={"code": made["code"], "name": "Žofia O'Neil 李"}, trust_env=False)
    assert joined.status_code == 201
    with service.client(joined.json()["token"]) as student:
        me = student.get("/v1/me").json()
    assert (me["person"], me["name"], me["role"]) == (joined.json()["person"], "Žofia O'Neil 李", "student")
    assert me["scopes"] == ["read", "run:rig", "run:sim"]
    assert me["budget"]["left"] == LEFT
    assert me["budget"]["spent"]["runs"] == me["budget"]["reserved"]["runs"] == 0
    with service.client() as nobody:
        refused(nobody.post("/v1/join", json={"code": made["code"], "name": "Second"}), 401, "used up")
        assert admin.delete(f"/v1/codes/{made['id']}").status_code == 204
        refused(nobody.post("/v1/join", json={"code": made["code"], "name": "Third"}), 401)


def test_a_code_can_give_twins_and_real_rigs_purses_of_their_own(service: Running, admin: httpx.Client) -> None:
    service.database.write_now(lambda c, now: rigs.register(c, now, "mixer-1", "color-mixing", {}, True))
    made = admin.post("/v1/codes", json={"uses": 1, "budget": {"runs": 3, "rig_runs": 1}}).json()
    assert made["budget"]["rig_runs"] == 1
    joined = httpx.post(f"{service.address}/v1/join", json={"code": made["code"], "name": "Rosa"}, trust_env=False).json()
    admin.put(f"/v1/rigs/mixer-1/approvals/{joined['person']}").raise_for_status()
    on_rig = {"rig": "mixer-1", "settings": SETTINGS}
    with service.client(joined["token"]) as student:
        assert student.post("/v1/experiments", json=on_rig | {"dry_run": True}).json()["allowed"]
        assert student.post("/v1/experiments", json=on_rig).status_code == 202
        left = student.get("/v1/me").json()["budget"]["left"]
        assert (left["runs"], left["rig_runs"]) == (3, 0)
        dry = student.post("/v1/experiments", json=on_rig | {"dry_run": True}).json()
        assert (dry["allowed"], "rig_runs" in dry["reason"]) == (False, True)
        refused(student.post("/v1/experiments", json=on_rig), 402, "rig_runs: 1 is asked for, 0 is left; ask your instructor")
        assert student.post("/v1/experiments", json=on_rig | {"rig": "color-1"}).status_code == 202
        assert [line["rig_runs"] for line in student.get("/v1/me/ledger").json()["items"]][-2:] == [1, 1]  # granted, reserved
        last = admin.post(f"/v1/people/{joined['person']}/grants", json={"rig_runs": 2}).json()
    assert (last["left"]["rig_runs"], last["reserved"]["rig_runs"]) == (2, 1)


def test_wrong_codes_are_limited_and_right_ones_are_not(database_url: str) -> None:
    with running(database_url) as service, service.client() as nobody, service.client(service.admin) as admin:
        code = admin.post("/v1/codes", json={"uses": 100}).json()["code"]
        for i in range(40):  # a classroom is one address
            assert nobody.post("/v1/join", json={"code": code, "name": f"student {i}"}).status_code == 201
        statuses = [nobody.post("/v1/join", json={"code": f"aaaa-bbbb-cc{i:02}", "name": "Eve"}).status_code for i in range(30)]
        assert set(statuses) == {401}
        with contextlib.suppress(TooMany):
            for _ in range(10):  # what a slow machine gives back meanwhile
                service.service.rate_limit.count_wrong_code("127.0.0.1")
        response = nobody.post("/v1/join", json={"code": "aaaa-bbbb-dddd", "name": "Eve"})
        assert refused(response, 429, "wrong codes")["retryable"]
        assert 1 <= int(response.headers["retry-after"]) <= 60
        assert nobody.post("/v1/join", json={"code": code, "name": "Eve"}).status_code == 201


def test_what_is_shown_once_is_in_no_table_and_in_no_later_answer(service: Running, admin: httpx.Client) -> None:
    shown = []
    for path, body, field in (
        ("/v1/tokens", {"scopes": ["read"]}, "token"),
        ("/v1/codes", {"uses": 5}, "code"),
        ("/v1/people", {"name": "Grace"}, "token"),
    ):
        keyed = {"Idempotency-Key": f"once-{path}"}
        first, again = (admin.post(path, json=body, headers=keyed) for _ in range(2))
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.json() == first.json() | {field: None}
        assert admin.get(path).json()["items"][0].get(field) is None
        shown.append(first.json()[field])
    service.database.write_now(lambda c, now: c.exec_driver_sql("select 1"))
    pages = service.database.read_now(
        lambda c: [str(row) for table in (answer, token, join_code) for row in c.execute(select(table)).all()]
    )
    assert pages
    assert not [words for words in shown if any(words in page for page in pages)]


def test_a_token_makes_only_narrower_ones(service: Running, admin: httpx.Client) -> None:
    whose, words = service.person()
    with service.client(words) as student:
        made = student.post("/v1/tokens", json={"note": "notebook", "scopes": ["read"], "expires_in": 3600}).json()
        refused(student.post("/v1/tokens", json={"scopes": ["admin"]}), 403, "admin")
        refused(student.post("/v1/tokens", json={"scopes": ["read"], "person": service.instructor}), 403)
        refused(student.post("/v1/tokens", json={"scopes": ["work"]}), 403, "work")
    with service.client(made["token"]) as narrow:
        assert narrow.get("/v1/me").json()["scopes"] == ["read"]
        refused(narrow.post("/v1/tokens", json={"scopes": ["run:sim"]}), 403, "run:sim")
        refused(narrow.post("/v1/tokens", json={"scopes": ["read"], "expires_in": 86400}), 422, "expires_in")
        child = narrow.post("/v1/tokens", json={"scopes": ["read"]}).json()
        assert child["expires_at"] == made["expires_at"]
        assert {t["id"] for t in narrow.get("/v1/tokens").json()["items"]} > {made["id"], child["id"]}
        refused(narrow.get("/v1/tokens", params={"person": service.instructor}), 403)
    new = admin.post("/v1/tokens", json={"scopes": ["read"], "person": whose})
    assert new.json()["person"] == whose
    refused(admin.post("/v1/tokens", json={"scopes": ["admin"], "person": whose}), 403, "student")
    refused(admin.post("/v1/tokens", json={"scopes": ["read"], "person": "u_nobody"}), 404)


def test_a_revoked_token_opens_nothing_from_the_next_request_on(service: Running, admin: httpx.Client) -> None:
    _, words = service.person()
    with service.client(words) as student:
        narrow = student.post("/v1/tokens", json={"scopes": ["read"]}).json()
        own = student.get("/v1/me").json()["token"]
        with service.client(narrow["token"]) as reader:
            refused(reader.delete(f"/v1/tokens/{own}"), 403, "may more")
            assert reader.get("/v1/me").status_code == 200
            assert [student.delete(f"/v1/tokens/{narrow['id']}").status_code for _ in range(2)] == [204, 204]
            refused(reader.get("/v1/me"), 401, "revoked")
        theirs = admin.get("/v1/me").json()["token"]
        another, missing = (refused(student.delete(f"/v1/tokens/{i}"), 404) for i in (theirs, "t_missing"))
        assert str(another).replace(theirs, "") == str(missing).replace("t_missing", "")
        assert admin.delete(f"/v1/tokens/{own}").status_code == 204
        refused(student.get("/v1/me"), 401, "revoked")


def test_one_person_has_no_more_than_twenty_good_tokens(service: Running) -> None:
    _, words = service.person()
    with service.client(words) as student:
        for _ in range(19):
            assert student.post("/v1/tokens", json={"scopes": ["read"]}).status_code == 201
        refused(student.post("/v1/tokens", json={"scopes": ["read"]}), 409, "revoke one")
        last = student.get("/v1/tokens", params={"limit": 1}).json()["items"][0]["id"]
        student.delete(f"/v1/tokens/{last}")
        assert student.post("/v1/tokens", json={"scopes": ["read"]}).status_code == 201


def test_all_tokens_of_a_person_together_ask_no_more_than_two_may(sqlite_url: str) -> None:
    with running(sqlite_url, requests_per_second=1e-3, burst=4.0) as service:
        whose, words = service.person()
        scopes = ["read"]
        made = [service.database.write_now(lambda c, now: tokens.add_token(c, now, whose, scopes))[1] for _ in range(2)]
        for token_, n in ((words, 4), (made[0], 4), (made[1], 0), (service.person()[1], 4)):
            with service.client(token_) as client:
                assert [client.get("/v1/me").status_code for _ in range(5)] == [200] * n + [429] * (5 - n)
                refused(client.get("/v1/me"), 429, "all tokens of one person" if not n else "one token")


def test_a_budget_is_what_was_granted_less_what_was_spent(service: Running, admin: httpx.Client) -> None:
    whose, words = service.person(runs=2, volume=5)
    with service.client(words) as student:
        identity = submit(service.database, whose)
        budget = student.get("/v1/me").json()["budget"]
        assert (budget["left"]["runs"], budget["reserved"]["runs"], budget["spent"]["runs"]) == (1, 1, 0)
        assert student.post(f"/v1/experiments/{identity}/abort").status_code == 200
        keyed = {"Idempotency-Key": "more"}
        for _ in range(2):
            granted = admin.post(f"/v1/people/{whose}/grants", json={"runs": 10}, headers=keyed)
            assert granted.json()["left"] == {"runs": 12, "rig_runs": None, "seconds": None, "money": None, "volume": 5}
        other, _ = service.person(runs=0)
        refused(admin.post(f"/v1/people/{other}/grants", json={"runs": 10}, headers=keyed), 422, "key")
        unlimited = admin.patch(f"/v1/people/{whose}/budget", json={"volume": None}).json()["left"]
        assert unlimited == {"runs": 12, "rig_runs": None, "seconds": None, "money": None, "volume": None}
        refused(student.post(f"/v1/people/{whose}/grants", json={"runs": 10}), 403)
        first = student.get("/v1/me/ledger", params={"limit": 3}).json()
        rest = student.get("/v1/me/ledger", params={"limit": 3, "cursor": first["next"]}).json()
        kinds = [line["kind"] for line in first["items"] + rest["items"]]
        assert kinds == ["grant", "grant", "refund", "settle", "reserve", "grant"]
        assert rest["next"] is None
    theirs = admin.get(f"/v1/people/{whose}/ledger").json()["items"]
    assert theirs == first["items"] + rest["items"]
    assert admin.get(f"/v1/people/{whose}").json()["budget"]["left"] == unlimited


def test_an_instructor_takes_back_what_is_left_and_not_more(service: Running, admin: httpx.Client) -> None:
    whose, words = service.person(runs=5, seconds=100, volume=20)
    submit(service.database, whose)  # 1 run, 10 s, 4 mL are set aside
    grants = f"/v1/people/{whose}/grants"
    refused(admin.post(grants, json={"runs": -1, "seconds": -91}), 402, "seconds: 91 s is to be taken, 90 s is left", "at most")
    refused(admin.post(grants, json={"money": -1}), 409, "money", "no limit")
    refused(admin.post(grants, json={"runs": None}), 422)
    assert admin.get(f"/v1/people/{whose}").json()["budget"]["left"]["runs"] == 4  # nothing was done by halves
    assert admin.post(grants, json={"runs": -4, "seconds": -80}).json()["left"] == {
        "runs": 0,
        "rig_runs": None,
        "seconds": 10,
        "money": None,
        "volume": 16,
    }
    with service.client(words) as student:
        order = {"rig": "color-1", "settings": SETTINGS}
        refused(student.post("/v1/experiments", json=order), 402, "runs: 1 is asked for, 0 is left")
        lines = student.get("/v1/me/ledger").json()["items"]
    assert [(line["kind"], line["runs"], line["seconds"]) for line in lines] == [("grant", -4, -80), ("reserve", 1, 10), ("grant", 5, 100)]
    assert {f.status for f in maintenance.findings(service.database.url)} <= {"ok", "warning"}


def test_a_limit_can_be_set_where_there_was_none_and_the_ledger_adds_up(service: Running, admin: httpx.Client) -> None:
    whose, words = service.person(money=1)
    identity = submit(service.database, whose)
    budget = f"/v1/people/{whose}/budget"
    for _ in range(2):  # said twice, it is so
        assert admin.patch(budget, json={"runs": 2, "volume": 30}).json()["left"] == {
            "runs": 2,
            "rig_runs": None,
            "seconds": None,
            "money": 0.99,
            "volume": 30,
        }
    with service.client(words) as student:
        refused(student.patch(budget, json={"runs": 100}), 403)
        student.post(f"/v1/experiments/{identity}/abort").raise_for_status()
        assert student.get("/v1/me").json()["budget"]["left"] == {"runs": 3, "rig_runs": None, "seconds": None, "money": 1, "volume": 34}
        assert admin.patch(budget, json={"money": 0, "volume": None}).json()["left"] == {
            "runs": 3,
            "rig_runs": None,
            "seconds": None,
            "money": 0,
            "volume": None,
        }
        assert [p["budget"]["left"]["runs"] for p in admin.get("/v1/people").json()["items"] if p["id"] == whose] == [3]
    refused(admin.patch(budget, json={"runs": -1}), 422)
    refused(admin.patch("/v1/people/u_nobody/budget", json={"runs": 1}), 404)
    assert {f.status for f in maintenance.findings(service.database.url)} <= {"ok", "warning"}


def test_the_class_is_paged_newest_first_without_gaps(service: Running, admin: httpx.Client) -> None:
    made = [admin.post("/v1/people", json={"name": f"N{i}", "role": "observer"}).json()["person"] for i in range(5)]
    found: list[str] = []
    asked = {"limit": "2", "role": "observer"}
    while True:
        page = admin.get("/v1/people", params=asked).json()
        found += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        asked["cursor"] = page["next"]
    assert found == made[::-1]
    refused(admin.get("/v1/people", params={"cursor": "u_nobody"}), 422, "cursor")


@pytest.mark.parametrize("path", ["/v1/codes", "/v1/people", "/v1/people/u_1", "/v1/people/u_1/ledger"])
def test_a_student_does_not_see_the_class(service: Running, path: str) -> None:
    whose, words = service.person()
    with service.client(words) as student:
        refused(student.get(path.replace("u_1", whose)), 403)


@pytest.mark.parametrize(
    "name",
    ["", " ", "x" * 81, "two\nlines", "bell\x07", "\u202egnp.exe", "zero\u200bwidth", "tag\U000e0041", "\ud800", " padded ", "\u0000"],
)
def test_a_name_with_something_hidden_in_it_is_refused(service: Running, name: str) -> None:
    text = '{"code": "c", "name": "' + "".join(c if c.isascii() and c.isprintable() else escaped(c) for c in name) + '"}'
    with service.client() as nobody:
        response = nobody.post("/v1/join", content=text, headers={"Content-Type": "application/json"})
    assert refused(response, 422)["errors"][0]["pointer"] == "#/name"


def escaped(letter: str) -> str:
    return "".join(f"\\u{unit:04x}" for unit in memoryview(letter.encode("utf-16", "surrogatepass")[2:]).cast("H"))
