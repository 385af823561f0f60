"""Whatever comes that cannot be done gets a problem document whose detail says what to do next, and nothing is done."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import func, select

from api.app import RESOURCES, create_app
from api.records import people, rigs, tokens
from api.records.tables import experiment
from api.service import Service
from api.settings import Settings

GOOD = {"red": 0.1, "yellow": 0.2, "blue": 0.3, "water": 3.4}
URL = "/v1/experiments"
JSON = {"Content-Type": "application/json"}


@asynccontextmanager
async def running(url: str, role: str = "student") -> AsyncIterator[tuple[httpx.AsyncClient, Service, str]]:
    """The service in this process, with a twin; Ada's requests, and her id."""
    app = create_app(Settings(url))
    async with app.router.lifespan_context(app):
        service: Service = app.state.service

        def fill(connection: Any, now: float) -> tuple[str, str]:
            rigs.register(connection, now, "color-1", "color-mixing", {}, is_real=False)
            rigs.register(connection, now, "pump-1", "color-mixing", {}, is_real=True)
            whose = people.add_person(connection, now, "Ada", role, {"runs": 100.0})
            return whose, tokens.add_token(connection, now, whose, people.OF_ROLE[role].split())[1]

        whose, token = await service.database.write(fill)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            yield client, service, whose


def refused(answer: httpx.Response, status: int, words: str) -> None:
    """It is a problem document of that status whose sentence has these words."""
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert problem["status"] == status
    assert words.lower() in problem["detail"].lower(), problem["detail"]
    assert len(problem["detail"]) < 1000
    assert len(answer.content) < 20_000
    assert "Traceback" not in answer.text
    assert not re.search("sqlite|postgres|psycopg", answer.text, re.I)


@contextmanager
def noted(name: str, failures: list[str]) -> Iterator[None]:
    """The rest of a table is still asked."""
    try:
        yield
    except AssertionError as error:
        failures.append(f"{name}: {str(error)[:500]}")


def body(settings: object = GOOD, **more: object) -> bytes:
    return json.dumps({"rig": "color-1", "settings": settings, **more}).encode()


def expected(url: str, name: str, status: int, words: str) -> tuple[int, str]:
    """The same on both databases, but that PostgreSQL has no null bytes and cannot even be asked for them."""
    return (422, "cannot be stored") if "null byte" in name and status != 422 and url.startswith("postgresql") else (status, words)


def raw(text: str) -> bytes:
    return body().replace(b"0.1", text.encode("utf-8", "surrogatepass"))


BODIES: dict[str, tuple[bytes, int, str]] = {
    "no number": (raw("NaN"), 422, "settings/red"),
    "infinity": (raw("Infinity"), 422, "settings/red"),
    "minus infinity": (raw("-Infinity"), 422, "settings/red"),
    "a number beyond all numbers": (raw("1e999"), 422, "settings/red"),
    "a huge number": (raw("1e300"), 422, "red = 1e+300 is not a number"),
    "a number of 5,000 digits": (raw("9" * 5000), 422, "correct it"),
    "out of bounds": (body(GOOD | {"red": 1.5}), 422, "red = 1.5 mL is outside [0, 1] mL"),
    "below": (body(GOOD | {"red": -0.1}), 422, "outside [0, 1] mL"),
    "a sum that does not fit": (body(GOOD | {"water": 3.0}), 422, "4 mL"),
    "text for a number": (body(GOOD | {"red": "much"}), 422, "red"),
    "a number in words": (body(GOOD | {"red": "nan"}), 422, "red"),
    "true for a number": (body(GOOD | {"red": True}), 422, "red"),
    "true where one would fit": (body({"red": True, "yellow": 0, "blue": 0, "water": 3.0}), 422, "#/settings/red: it takes a number"),
    "a setting twice": (body().replace(b'"red": 0.1', b'"red": 0.1, "red": 0.1'), 422, "'red' stands twice in one object; leave one out"),
    "a field twice": (body().replace(b'{"rig"', b'{"rig": "color-1", "rig"'), 422, "'rig' stands twice"),
    "null for a number": (body(GOOD | {"red": None}), 422, "settings/red: it takes a number or a text"),
    "a list for a number": (body(GOOD | {"red": [0.1]}), 422, "settings/red"),
    "one too few": (body({"red": 0.1}), 422, "yellow"),
    "a name with a typo": (body({"red": 0.1, "yelow": 0.2, "blue": 0.3, "water": 3.4}), 422, "yelow unknown"),
    "one too many": (body(GOOD | {"green": 0.1}), 422, "green"),
    "none": (body({}), 422, "red"),
    "101 of them": (body({f"p{i}": 0.0 for i in range(101)}), 422, "settings"),
    "a long name": (body(GOOD | {"x" * 10_000: 0.1}), 422, "80"),
    "a null byte in a name": (body(GOOD | {"re\0d": 0.1}), 422, "takes red"),
    "half a character in a name": (body(GOOD | {"\ud800": 0.1}), 422, ""),
    "half a character for a rig": (body().replace(b"color-1", b"\\ud800"), 422, ""),
    "a null byte for a rig": (body().replace(b"color-1", b"color\\u0000"), 404, "GET /v1/rigs"),
    "letters that look alike": (body().replace(b"color-1", "соlоr-1".encode()), 404, "GET /v1/rigs"),
    "text that runs backwards": (body(GOOD | {"\u202eder": 0.1}), 422, ""),
    "an unknown field": (body(budget=5), 422, "#/budget: there is no such field; there are rig, settings"),
    "a field with a typo": (body(dryrun=True), 422, "did you mean 'dry_run'?"),
    "an unknown rig": (body().replace(b"color-1", b"color-9"), 404, "GET /v1/rigs"),
    "a real rig without approval": (body().replace(b"color-1", b"pump-1"), 403, "ask your instructor"),
    "an unknown campaign": (body(campaign="c_nobody"), 404, "campaign"),
    "a trial of no campaign": (body(trial=1), 422, "campaign"),
    "a trial from below": (body(campaign="c_1", trial=-1), 422, "trial"),
    "a huge trial": (body(campaign="c_1", trial=2**63), 422, "trial"),
    "nothing": (b"", 422, "the body is missing"),
    "no rig": (json.dumps({"settings": GOOD}).encode(), 422, "#/rig: it is missing"),
    "half a document": (body()[:-3], 422, "correct it"),
    "no JSON": (b"rig=color-1", 422, "correct it"),
    "single quotes": (b"{'rig': 'color-1'}", 422, "at character 1); names and texts stand in double quotes"),
    "a list": (b"[]", 422, "correct it"),
    "a text": (b'"color-1"', 422, "correct it"),
    "a list of settings": (body([GOOD]), 422, "#/settings: it takes an object, {…}"),
    "not UTF-8": (b'{"rig": "\xff\xfe"}', 422, "UTF-8"),
    "10 MB": (b" " * 10_000_000 + body(), 413, "100,000 bytes"),
    "40,000 lists in each other": (b"[" * 40_000 + b"]" * 40_000, 422, "send less"),
    "7,000 unknown fields": (body(**{f"f{i}": 0 for i in range(7000)}), 422, "there is no such field"),
    "900 objects in each other": (b'{"a":' * 900 + b"1" + b"}" * 900, 422, ""),
}


def test_every_bad_body_is_refused_with_what_to_do(database_url: str) -> None:
    async def ask() -> None:
        async with running(database_url) as (client, service, _):
            for name, (content, status, words) in BODIES.items():
                with noted(name, failures):
                    refusal = expected(database_url, name, status, words)
                    refused(await client.post(URL, content=content, headers=JSON), *refusal)
                    refused(await client.post(URL, content=content, headers=JSON | {"Idempotency-Key": name}), *refusal)
            assert await service.database.read(lambda c: c.execute(select(func.count()).select_from(experiment)).scalar_one()) == 0
            assert (await client.post(URL, content=body(), headers=JSON)).status_code == 202  # and it goes on

    failures: list[str] = []
    asyncio.run(ask())
    assert not failures, "\n\n".join(failures)


HEADERS: dict[str, tuple[Mapping[str, Any], int, str]] = {
    "a form": ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "send JSON"),
    "text": ({"Content-Type": "text/plain"}, 415, "send JSON"),
    "no type": ({"Content-Type": ""}, 415, "send JSON"),
    "a long key": (JSON | {"Idempotency-Key": "k" * 81}, 422, "Idempotency-Key"),
    "an empty key": (JSON | {"Idempotency-Key": ""}, 422, "Idempotency-Key"),
    "a long preference": (JSON | {"Prefer": "wait=1," * 100}, 422, "prefer"),
    "another scheme": (JSON | {"Authorization": "Basic YTpi"}, 401, "Authorization: Bearer"),
    "no words": (JSON | {"Authorization": "Bearer"}, 401, "Bearer"),
    "an unknown token": (JSON | {"Authorization": "Bearer ft_" + "x" * 43}, 401, "join with your class's code"),
    "a token of 50,000 letters": (JSON | {"Authorization": "Bearer " + "x" * 50_000}, 401, "join"),
    "a token of other letters": (JSON | {"Authorization": b"Bearer \xff\xfe\x80"}, 401, "join"),
}


def test_bad_headers_are_refused(database_url: str) -> None:
    async def ask() -> None:
        async with running(database_url) as (client, _, _):
            for name, (headers, status, words) in HEADERS.items():
                with noted(name, failures):
                    refused(await client.post(URL, content=body(), headers=headers), status, words)

    failures: list[str] = []
    asyncio.run(ask())
    assert not failures, "\n\n".join(failures)


REQUESTS: dict[str, tuple[str, str, int, str]] = {
    "a cursor in words": ("GET", f"{URL}?cursor=next", 422, "cursor"),
    "a cursor from below": ("GET", f"{URL}?cursor=-1", 422, "cursor"),
    "a cursor beyond all numbers": ("GET", f"{URL}?cursor={10**30}", 422, ""),
    "a cursor of 5,000 digits": ("GET", f"{URL}?cursor={'9' * 5000}", 422, "cursor"),
    "too many at once": ("GET", f"{URL}?limit=1000000", 422, "limit"),
    "none at once": ("GET", f"{URL}?limit=0", 422, "limit"),
    "an unknown state": ("GET", f"{URL}?state=finished", 422, "state"),
    "a word with a typo in a query": ("GET", f"{URL}?limt=5", 422, "no such word in the query; did you mean 'limit'?"),
    "a word that stands in no query": ("GET", "/v1/me?verbose=1", 422, "it takes none"),
    "a word twice in a query": ("GET", f"{URL}?limit=5&limit=6", 422, "query.limit: it stands there twice"),
    "a word in the query of a change": ("POST", f"{URL}/x_nobody/abort?wait=1", 422, "no such word in the query"),
    "a null byte in a query": ("GET", f"{URL}?campaign=%00", 200, ""),
    "an unknown experiment": ("GET", f"{URL}/x_nobody", 404, "no experiment"),
    "a null byte for an id": ("GET", f"{URL}/x%00", 404, "no experiment"),
    "SQL for an id": ("GET", f"{URL}/x'%20or%20'1'='1", 404, "no experiment"),
    "an id of 5,000 letters": ("GET", f"{URL}/{'x' * 5000}", 404, "no experiment"),
    "up the tree": ("GET", f"{URL}/..%2f..%2fetc%2fpasswd", 404, ""),
    "nowhere": ("GET", "/v1/nothing", 404, "nothing at /v1/nothing; /docs lists"),
    "a slash too many": ("GET", f"{URL}/", 404, "nothing at /v1/experiments/; /docs lists"),
    "deleting all": ("DELETE", URL, 405, "/v1/experiments does not take DELETE; /docs lists"),
    "putting": ("PUT", URL, 405, ""),
    "a method of its own": ("BREW", URL, 405, ""),
    "an unknown rig": ("GET", "/v1/rigs/color-9", 404, "rig"),
    "an unknown campaign": ("GET", "/v1/campaigns/c_nobody", 404, "campaign"),
    "taking back what is not there": ("POST", f"{URL}/x_nobody/abort", 404, "no experiment"),
    "another's people": ("GET", "/v1/people", 403, "instructor"),
    "another's rig": ("POST", "/v1/rigs/color-1/pause", 403, "instructor"),
}


def test_bad_requests_are_refused(database_url: str) -> None:
    async def ask() -> None:
        async with running(database_url) as (client, _, _):
            for name, (method, url, usual, sentence) in REQUESTS.items():
                with noted(name, failures):
                    status, words = expected(database_url, name, usual, sentence)
                    answer = await client.request(method, url)
                    if status == 200:
                        assert answer.json() == {"items": [], "next": None}
                    else:
                        refused(answer, status, words)
                    if method == "GET":
                        assert (await client.head(url)).status_code == status

    failures: list[str] = []
    asyncio.run(ask())
    assert not failures, "\n\n".join(failures)


@pytest.mark.parametrize("how", ["expired", "revoked"])
def test_a_token_that_is_over_is_refused(database_url: str, how: str) -> None:
    async def ask() -> None:
        async with running(database_url) as (client, service, whose):

            def change(connection: Any, now: float) -> str:
                identity, words = tokens.add_token(connection, now, whose, ("read",), "", now - 1 if how == "expired" else None)
                if how == "revoked":
                    tokens.revoke(connection, now, identity, None)
                return words

            words = await service.database.write(change)
            refused(await client.get(URL, headers={"Authorization": f"Bearer {words}"}), 401, "ask your instructor for a new one")

    asyncio.run(ask())


def test_a_token_for_reading_runs_nothing(database_url: str) -> None:
    async def ask() -> None:
        async with running(database_url) as (client, service, whose):
            _, words = await service.database.write(lambda c, now: tokens.add_token(c, now, whose, ("read",)))
            refused(await client.post(URL, content=body(), headers=JSON | {"Authorization": f"Bearer {words}"}), 403, "run:sim")

    asyncio.run(ask())


def test_a_rig_that_is_offline_takes_experiments_and_says_why_they_wait(database_url: str) -> None:
    async def ask() -> None:
        async with running(database_url) as (client, _, _):
            made = await client.post(URL, content=body(), headers=JSON)
            waiting = (await client.get(made.headers["location"])).json()
            assert (waiting["state"], waiting["waiting_because"], waiting["position"]) == ("queued", "its rig is offline", 0)

    asyncio.run(ask())


def test_an_exhausted_budget_refuses_the_next_experiment(database_url: str) -> None:
    async def ask() -> None:
        async with running(database_url) as (client, _, _):
            for _ in range(100):
                assert (await client.post(URL, content=body(), headers=JSON)).status_code == 202
            refused(await client.post(URL, content=body(), headers=JSON), 402, "ask your instructor for more")
            priced = (await client.post(URL, content=body(dry_run=True), headers=JSON)).json()
            assert (priced["allowed"], "runs" in priced["reason"]) == (False, True)

    asyncio.run(ask())


def test_a_key_is_for_one_request(database_url: str) -> None:
    async def ask() -> None:
        async with running(database_url) as (client, _, _):
            headers = JSON | {"Idempotency-Key": "k"}
            first = await client.post(URL, content=body(), headers=headers)
            assert (await client.post(URL, content=body(), headers=headers)).content == first.content
            refused(await client.post(URL, content=body(GOOD | {"red": 0.2, "blue": 0.2}), headers=headers), 422, "new key")

    asyncio.run(ask())


def test_a_finished_campaign_takes_no_more_trials(database_url: str) -> None:
    async def ask() -> None:
        async with running(database_url) as (client, _, _):
            words = {"name": "c", "rig": "color-1", "goal": "match-color:#8fb04a", "mode": "client", "budget": {"runs": 5}}
            made = await client.post("/v1/campaigns", json=words)
            assert made.status_code == 202, made.text
            place = made.headers["location"]
            assert (await client.post(f"{place}/actions", json={"action": "stop"})).status_code == 200
            refused(await client.post(URL, content=body(campaign=place.rpartition("/")[2]), headers=JSON), 409, "ended")

    asyncio.run(ask())


TRUE_FOR_A_NUMBER: dict[str, dict[str, Any]] = {
    "/v1/experiments": {"rig": "color-1", "settings": GOOD, "campaign": "c_1", "trial": True},
    "/v1/campaigns": {"name": "c", "rig": "color-1", "budget": {"runs": True}},
    "/v1/campaigns#": {"name": "c", "rig": "color-1", "budget": {"seconds": True}},
    "/v1/campaigns##": {"name": "c", "rig": "color-1", "seed": True},
    "/v1/campaigns###": {"name": "c", "rig": "color-1", "stop": {"score": True}},
    "/v1/tokens": {"scopes": ["read"], "expires_in": True},
    "/v1/codes": {"uses": True},
    "/v1/codes#": {"uses": 1, "budget": {"runs": True}},
    "/v1/people": {"name": "Ada", "budget": {"money": True}},
    "/v1/people/u_1/grants": {"runs": True},
    "/v1/campaigns/c_1/entries": {"kind": "retraction", "number": True, "why": ""},
}


def test_true_is_no_number_and_a_number_in_quotes_is_none_either(database_url: str) -> None:
    async def ask() -> None:
        async with running(database_url, role="instructor") as (client, _, _):
            for url, words in TRUE_FOR_A_NUMBER.items():
                for value in ("true", '"1"'):
                    content = json.dumps(words).replace("true", value).encode()
                    refused(await client.post(url.rstrip("#"), content=content, headers=JSON), 422, "number")

    asyncio.run(ask())


def test_no_body_is_converted() -> None:
    routes: list[Any] = [route for name in RESOURCES for route in import_module(f"api.routes.{name}").router.routes]
    fields = {route.path: route.body_field for route in routes if route.body_field is not None}
    assert len(fields) > 10
    for path, field in fields.items():
        kind: Any = field.field_info.annotation
        assert kind.model_config.get("strict"), path
        assert kind.model_config.get("extra") == "forbid", path


def test_head_is_get_without_a_body(database_url: str) -> None:
    async def ask() -> None:
        async with running(database_url) as (client, _, _):
            document = (await client.get("/openapi.json")).json()
            paths = {path for path, methods in document["paths"].items() if "get" in methods and "{" not in path}
            assert len(paths) > 10
            for path in sorted(paths):
                get, head = await client.get(path), await client.head(path)
                assert (head.status_code, head.content) == (get.status_code, b""), path
                assert head.headers["content-type"] == get.headers["content-type"], path
            stream = await client.head("/v1/events", headers={"Accept": "text/event-stream"})  # which would not end
            assert (stream.status_code, stream.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
            refused(await client.get("/v1/join"), 405, "does not take GET")
            assert (await client.head("/v1/join")).status_code == 405

    asyncio.run(ask())


POINTERS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "out of bounds": (URL, {"rig": "color-1", "settings": GOOD | {"red": 1.5}}, ["#/settings/red"]),
    "two unknown": (URL, {"rig": "color-1", "settings": GOOD | {"gree~n": 1.0, "a/b": 1.0}}, ["#/settings/gree~0n", "#/settings/a~1b"]),
    "what they are together": (URL, {"rig": "color-1", "settings": GOOD | {"water": 3.0}}, ["#/settings"]),
    "null": (URL, {"rig": "color-1", "settings": GOOD | {"red": None}}, ["#/settings/red"]),
    "two fields": (URL, {"rig": 1, "settings": GOOD, "dryrun": True}, ["#/rig", "#/dryrun"]),
    "within": ("/v1/campaigns", {"name": "c", "rig": "color-1", "budget": {"trials": 3}}, ["#/budget/trials"]),
    "words for an object": ("/v1/campaigns", {"name": "c", "rig": "color-1", "budget": 12}, ["#/budget"]),
    "a name": ("/v1/campaigns", {"name": "my reef", "rig": "color-1"}, ["#/name"]),
}


def test_a_problem_points_at_what_is_wrong(database_url: str) -> None:
    async def ask() -> None:
        async with running(database_url) as (client, _, _):
            for name, (url, words, pointers) in POINTERS.items():
                problem = (await client.post(url, json=words)).json()
                assert [e["pointer"] for e in problem["errors"]] == pointers, (name, problem)
                assert all(len(e["detail"]) < 200 for e in problem["errors"]), (name, problem)

    asyncio.run(ask())


def test_what_is_equal_within_rounding_is_equal(fresh_url: Callable[[], str], tmp_path: Path) -> None:
    """Grids by NumPy have 0.30000000000000004, and whoever types says 0.3."""
    rows = [f"{float(x)!r},{float((x - 0.3) ** 2)!r}" for x in np.arange(0, 11) * 0.1]
    (tmp_path / "step.csv").write_text("\n".join(["x,y", *rows]) + "\n")

    async def day() -> None:
        async with running(fresh_url()) as (client, service, _):
            words = {"path": str(tmp_path / "step.csv"), "outcomes": "y"}
            await service.database.write(lambda c, now: rigs.register(c, now, "steps", "table", words, False))
            for typed, meant in ((0.3, 0.30000000000000004), (0.6, 0.6000000000000001), (1.0000000000000002, 1.0), (-1e-17, 0.0)):
                answer = await client.post(URL, json={"rig": "steps", "settings": {"x": typed}})
                assert answer.status_code == 202, answer.text
                assert answer.json()["settings"] == {"x": meant}
            assert (await client.post(URL, json={"rig": "steps", "settings": {"x": 0.35}})).status_code == 422

    asyncio.run(day())
