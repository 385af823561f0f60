"""Tools for agents: the same use-cases as by REST, in words and as data, and nothing more than a student may."""

import asyncio
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from api.records import tokens
from api.records.tables import experiment
from api.tools import toolbox
from api.tools.answers import swatches
from api.tools.arguments import TOOLS, about, schema
from api.workers.worker import RigWords
from tests.agent_host import VERSIONS, Host, over_http
from tests.running_service import Running, running
from tests.service_database import SETTINGS
from tests.test_twins import worker_of

OUT = {**SETTINGS, "red": 9.0}
RIG = RigWords("color-1", "color-mixing", {})


@pytest.fixture(scope="module")
def service(sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("tools")
    (folder / "service.db").write_bytes(sqlite_file.read_bytes())
    with running(f"sqlite:///{folder}/service.db", nice=0) as service, worker_of(service.database, RIG, folder / "reports"):
        yield service


def test_the_definitions_of_all_tools_are_short_and_say_their_bounds() -> None:
    listed: list[dict[str, Any]] = [{"name": name, "description": about(name), "inputSchema": schema(name)} for name in TOOLS]
    assert len(TOOLS) <= 12
    assert len(json.dumps(listed)) / 4 <= 2500
    assert all(one["inputSchema"]["additionalProperties"] is False for one in listed)
    wait = schema("experiment")["properties"]["wait_s"]
    assert (wait["minimum"], wait["maximum"]) == (0, 20)
    assert schema("start_campaign")["properties"]["runs"] == {
        "type": "integer", "minimum": 1, "maximum": 1_000_000, "description": "budget; 10 without it"
    }  # fmt: skip


async def play(host: Host, name: str) -> dict[str, Any]:
    """Look around, read, ask for a price, do two experiments, and let a campaign find the color of coral."""
    seen = await host.data("look_around")
    assert [rig["name"] for rig in seen["rigs"]] == ["color-1"]
    assert seen["left"]["runs"] == 12
    told = await host.call("read", name="color-1")
    assert "red 0–1 mL" in told.content[0].text
    assert "price" in told.structured_content["rig"]
    assert (await host.data("price", rig="color-1", settings=[SETTINGS]))["quotes"][0]["allowed"]
    done = await host.call("experiment", rig="color-1", settings=[SETTINGS, SETTINGS], key=f"{name}-first")
    assert [one["state"] for one in done.structured_content["items"]] == ["succeeded"] * 2
    assert done.structured_content["left"]["runs"] == 10
    assert "Left: 10 runs." in done.content[0].text
    assert [part.type for part in done.content] == ["text", "image"]
    begun = await host.data("start_campaign", name=name, rig="color-1", goal="match-color:coral", strategy="sobol", runs=4)
    identity = begun["campaign"]["id"]
    while (await host.data("wait", ids=[identity]))["goes_on"]:
        pass
    seen = await host.data("campaign", id=identity, recommend=True)
    assert seen["recommendation"]["settings"] == seen["campaign"]["best"]["settings"]
    assert len((await host.data("experiments", campaign=identity))["items"]) == 4
    assert seen["left"]["runs"] == 6
    return seen


@pytest.mark.parametrize("version", VERSIONS)
def test_an_agent_does_experiments_and_a_campaign_by_both_versions_of_the_protocol(service: Running, version: str) -> None:
    _, token = service.person(runs=12)

    async def over_the_network() -> None:
        async with over_http(service.address, token, version) as host:
            assert [tool.name for tool in (await host.client.list_tools()).tools] == list(TOOLS)
            await play(host, "reef")

    asyncio.run(over_the_network())


def test_a_campaign_of_an_agent_is_chosen_judged_and_drawn(service: Running) -> None:
    _, token = service.person(runs=12)

    async def work() -> None:
        async with over_http(service.address, token) as host:
            own = (await host.data("start_campaign", name="own", rig="color-1", goal="match-color:coral", mode="client"))["campaign"]["id"]
            for red in (0.1, 0.9):
                settings = {**SETTINGS, "red": red, "water": 4 - red - SETTINGS["yellow"] - SETTINGS["blue"]}
                await host.call("experiment", rig="color-1", settings=[settings], campaign=own)
            scores = [one["score"] for one in (await host.data("experiments", campaign=own))["items"]]
            assert scores[1] < scores[0]
            await host.call("judge", campaign=own, decision="prefer", trial=2, worse=1)
            await host.call("judge", campaign=own, decision="retract", trial=2, why="a bubble")
            assert (await host.data("campaign", id=own))["campaign"]["best"]["trial"] == 1
            drawn = (await host.call("campaign", id=own, picture=True)).content
            assert drawn[1].mime_type == "image/png"
            asked = (await host.data("start_campaign", name="asked", rig="color-1", strategy="sobol", approve=True))["campaign"]["id"]
            await host.call("wait", ids=[asked])
            waiting = (await host.data("campaign", id=asked))["campaign"]
            assert waiting["proposal"]["trial"] == 1
            await host.call("judge", campaign=asked, decision="approve", trial=1)
            assert (await host.data("control", id=asked, action="stop"))["campaign"]["state"] == "ended"

    asyncio.run(work())


def test_one_key_through_both_doors_is_one_experiment(service: Running) -> None:
    whose, token = service.person(runs=5)

    async def by_tool() -> Any:
        async with over_http(service.address, token) as host:
            return await host.data("experiment", rig="color-1", settings=[SETTINGS], key="the same")

    with service.client(token) as rest:
        order = {"rig": "color-1", "settings": SETTINGS}
        first = rest.post("/v1/experiments", json=order, headers={"Idempotency-Key": "the same"}).json()["id"]
        assert asyncio.run(by_tool())["items"][0]["id"] == first
        assert rest.post("/v1/experiments", json=order, headers={"Idempotency-Key": "the same"}).json()["id"] == first
    rows = service.database.read_now(lambda c: c.execute(select(experiment.c.id).where(experiment.c.person == whose)).all())
    assert len(rows) == 1


BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "an unknown argument": ("experiment", {"rig": "color-1", "settings": [SETTINGS], "wait_seconds": 3}, "did you mean 'wait_s'"),
    "a text for a number": ("experiment", {"rig": "color-1", "settings": [{**SETTINGS, "red": "0.2"}]}, "red = '0.2' is not a number"),
    "a number in a text": ("wait", {"ids": ["x_1"], "wait_s": "3"}, "#/wait_s: it takes a whole number"),
    "out of bounds": ("experiment", {"rig": "color-1", "settings": [OUT]}, "red = 9 mL is outside [0, 1] mL"),
    "too long a wait": ("wait", {"ids": ["x_1"], "wait_s": 300}, "#/wait_s"),
    "too many at once": ("experiment", {"rig": "color-1", "settings": [SETTINGS] * 21}, "#/settings"),
    "no settings": ("experiment", {"rig": "color-1"}, "#/settings: it is missing"),
    "an unknown rig": ("read", {"name": "color-9"}, "color-9"),
    "an unknown tool": ("reset_budget", {}, "there is no tool"),
    "another's experiment": ("wait", {"ids": ["x_00000000000000000000"]}, "there is no experiment"),
    "a task that there is not": ("hand_in", {"task": "chem-x", "settings": SETTINGS}, "chem-x"),
    "half a preference": ("judge", {"campaign": "c_1", "decision": "prefer", "trial": 1}, "`worse`"),
}


@pytest.mark.parametrize("what", list(BAD))
def test_what_cannot_be_done_is_refused_with_what_to_do(service: Running, what: str) -> None:
    _, token = service.person(runs=5)
    tool, arguments, words = BAD[what]

    async def work() -> None:
        async with over_http(service.address, token) as host:
            sentence, problem = await host.refusal(tool, **arguments)
            assert words in sentence
            assert problem["detail"] in sentence
            assert problem["status"] in (404, 422)
            assert "Left: 5 runs." in sentence

    asyncio.run(work())


def test_what_is_no_number_is_none_however_it_is_sent(service: Running) -> None:
    _, token = service.person(runs=5)
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    with service.client(token) as rest:
        rest.headers.update({"Accept": "application/json, text/event-stream"})
        for number in ("NaN", "Infinity", "1e999"):
            said = json.dumps(call | {"params": {"name": "experiment", "arguments": {"rig": "color-1", "settings": [{"red": 7}]}}})
            answer = rest.post("/mcp", content=said.replace(": 7", f": {number}"), headers={"Content-Type": "application/json"})
            assert answer.status_code < 500
            assert '"isError":false' not in answer.text
        assert rest.get("/v1/me").json()["budget"]["left"]["runs"] == 5


def test_a_wrong_a_revoked_and_an_expired_token_get_a_sentence(service: Running) -> None:
    whose, revoked = service.person()
    identity = service.database.read_now(lambda c: tokens.page(c, _caller(service, revoked), None, 5, None)[0][0].id)
    service.database.write_now(lambda c, now: tokens.revoke(c, now, identity))
    expired = service.database.write_now(lambda c, now: tokens.add_token(c, now, whose, ["read"], expires_at=now - 1))[1]
    for token, words in (("ft_wrong", "is unknown"), (revoked, "was revoked"), (expired, "has expired"), (None, "no token came")):

        async def work(token: str | None = token, words: str = words) -> None:
            async with over_http(service.address, token) as host:
                sentence, problem = await host.refusal("look_around")
                assert words in sentence
                assert problem["status"] == 401

        asyncio.run(work())


def _caller(service: Running, token: str) -> Any:
    from api.records import people

    return service.database.read_now(lambda c: people.caller(c, service.database.now(), token))


def test_a_budget_that_ends_within_a_call_says_what_was_not_begun(service: Running) -> None:
    _, token = service.person(runs=2)

    async def work() -> None:
        async with over_http(service.address, token) as host:
            found = await host.call("experiment", rig="color-1", settings=[SETTINGS] * 3)
            assert found.structured_content["not_begun"] == 1
            assert found.structured_content["problem"]["status"] == 402
            assert "1 of your settings were not begun" in found.content[0].text
            sentence, problem = await host.refusal("experiment", rig="color-1", settings=[SETTINGS])
            assert problem["status"] == 402
            assert "ask your instructor" in sentence

    asyncio.run(work())


def test_a_tool_that_takes_long_hands_over_and_is_done_once(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """What thinks for longer than a host waits goes on: the same call waits for it."""
    monkeypatch.setattr(toolbox, "ANSWERS_WITHIN", 0.0)
    _, token = service.person(runs=5)

    async def work() -> None:
        async with over_http(service.address, token) as host:
            n = 0
            while (found := await host.data("experiment", rig="color-1", settings=[SETTINGS])).get("goes_on") is True:
                n += 1
            assert n > 0
            assert found["left"]["runs"] == 4

    asyncio.run(work())


def test_other_requests_at_the_door_are_refused_in_order(service: Running) -> None:
    _, token = service.person()
    with service.client(token) as rest:
        for method in ("GET", "DELETE"):  # a stream would be held for ever
            answer = rest.request(method, "/mcp", headers={"Accept": "text/event-stream"})
            assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
        assert rest.post("/mcp", content=b"{", headers={"Content-Type": "application/json"}).status_code in (400, 406, 422)
        assert rest.post("/mcp/more").status_code == 404


def test_swatches_are_a_picture_of_the_colors_in_their_order() -> None:
    picture = swatches(["#ff0000", "#00ff00"])
    assert picture.startswith(b"\x89PNG")
    at = picture.index(b"PLTE") + 4
    assert picture[at : at + 6] == bytes([255, 0, 0, 0, 255, 0])
    start = picture.index(b"IDAT") + 4
    rows = zlib.decompressobj().decompress(picture[start:])
    assert len(rows) == 48 * (1 + 96)
    assert (rows[1], rows[96]) == (0, 1)
