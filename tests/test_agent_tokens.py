"""Tokens of agents: a limit of their own out of their owner's budget, revoked alone, and a person before a real rig moves."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.records import rigs
from api.workers.worker import RigWords
from frugaltwin import Client
from frugaltwin.errors import Refused
from tests.agent_host import over_http
from tests.running_service import Running, running
from tests.service_database import SETTINGS, until
from tests.test_twins import worker_of

RIG = RigWords("color-1", "color-mixing", {})


@pytest.fixture(scope="module")
def service(sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("agents")
    (folder / "service.db").write_bytes(sqlite_file.read_bytes())
    with running(f"sqlite:///{folder}/service.db", nice=0) as service, worker_of(service.database, RIG, folder / "reports"):
        service.database.write_now(lambda c, now: rigs.register(c, now, "mixer-1", "color-mixing", {}, True))
        yield service


def student(service: Running, **limits: float) -> tuple[Client, str]:
    whose, token = service.person("student", "Ada", **limits)
    return Client(service.address, token), whose


def test_an_agent_spends_what_its_token_allows_out_of_its_owners_budget(service: Running) -> None:
    owner, _ = student(service, runs=10)
    made = owner.make_token(["read", "run:sim"], "agent", agent=True, runs=3)
    assert (made.agent, made.runs) == (True, 3)

    async def work(token: str) -> None:
        async with over_http(service.address, token) as host:
            assert (await host.data("look_around"))["left"]["runs"] == 3
            done = await host.data("experiment", rig="color-1", settings=[SETTINGS] * 5)
            assert (len(done["items"]), done["not_begun"], done["left"]["runs"]) == (3, 2, 0)
            sentence, problem = await host.refusal("experiment", rig="color-1", settings=[SETTINGS])
            assert "allows no more runs" in sentence
            assert problem["status"] == 402

    asyncio.run(work(made.token or ""))
    assert owner.me().budget["left"]["runs"] == 7
    assert owner.submit("color-1", SETTINGS, wait=60).state == "succeeded"
    second = owner.make_token(["read", "run:sim"], "another", agent=True, runs=100)
    with Client(service.address, second.token) as agent:
        waiting = [agent.submit("color-1", SETTINGS, wait=60) for _ in range(6)]
        assert waiting[-1].state == "succeeded"
        with pytest.raises(Refused, match="ask your instructor"):  # the owner's budget is the end of it all
            agent.submit("color-1", SETTINGS)
    owner.close()


def test_what_an_agent_takes_back_is_its_own_again(service: Running) -> None:
    owner, _ = student(service, runs=10)
    rig = RigWords("slow-1", "color-mixing", {})
    service.database.write_now(lambda c, now: rigs.register(c, now, rig.name, rig.driver, rig.options, False))  # nobody drives it
    made = owner.make_token(["read", "run:sim"], "agent", agent=True, runs=1)
    with Client(service.address, made.token) as agent:
        for _ in range(3):
            agent.abort(agent.submit("slow-1", SETTINGS).id)
        agent.submit("slow-1", SETTINGS)
        with pytest.raises(Refused, match="allows no more runs"):
            agent.submit("slow-1", SETTINGS)
    owner.close()


def test_a_campaign_of_an_agent_ends_with_its_runs_and_a_persons_is_not_its_way_around_them(service: Running) -> None:
    owner, _ = student(service, runs=50)
    made = owner.make_token(["read", "run:sim"], "agent", agent=True, runs=4)
    with Client(service.address, made.token) as agent:
        begun = agent.start_campaign("far", "color-1", "match-color:coral", strategy="sobol", budget=20)
        found = agent.wait_campaign(begun.id)
        assert (found.state, found.n_trials) == ("paused", 4)
        assert "allows no more runs" in (found.reason or "")
        mine = owner.start_campaign("mine", "color-1", "match-color:coral", strategy="sobol", budget=2)
        owner.wait_campaign(mine.id)
        with pytest.raises(Refused, match="not started by this agent"):
            agent.act(mine.id, "extend", {"runs": 5})
        with pytest.raises(Refused, match="not started by this agent"):
            agent.start_campaign("mine", "color-1", budget=9)
    assert owner.me().budget["left"]["runs"] == 44
    owner.close()


def test_an_agent_makes_and_revokes_no_tokens_and_is_revoked_alone(service: Running) -> None:
    owner, _ = student(service, runs=5)
    made = owner.make_token(["read", "run:sim"], "agent", agent=True, runs=2)
    own = owner.me().token
    with Client(service.address, made.token) as agent:
        with pytest.raises(Refused, match="takes a person"):
            agent.make_token(["read"])
        with pytest.raises(Refused, match="takes a person"):
            agent.revoke_token(own)
        owner.revoke_token(made.id)
        with pytest.raises(Refused, match="was revoked"):
            agent.me()
    assert owner.me().token == own
    with pytest.raises(Exception, match="a limit of runs is of a token for an agent"):
        owner.make_token(["read"], "no agent", runs=3)
    owner.close()


def test_a_real_rig_moves_for_an_agent_only_after_a_person_says_so(service: Running) -> None:
    owner, whose = student(service, runs=20)
    with Client(service.address, service.admin) as teacher:
        teacher.approve("mixer-1", whose)
    made = owner.make_token(["read", "run:sim", "run:rig"], "agent", agent=True, runs=5)

    async def work(token: str) -> str:
        async with over_http(service.address, token) as host:
            for tool, more in (("experiment", {"settings": [SETTINGS]}), ("start_campaign", {"name": "free"})):
                arguments: dict[str, Any] = {"rig": "mixer-1", **more}
                sentence, problem = await host.refusal(tool, **arguments)
                assert "takes a person" in sentence
                assert "it waits until its owner does it" in sentence
                assert problem["status"] == 403
            asked = await host.data("start_campaign", name="asked", rig="mixer-1", goal="match-color:coral", strategy="sobol", approve=True)
            identity = str(asked["campaign"]["id"])
            await host.call("wait", ids=[identity])
            assert (await host.data("campaign", id=identity))["campaign"]["state"] == "waiting"
            for decision in ("approve", "edit"):
                assert (
                    "takes a person" in (await host.refusal("judge", campaign=identity, decision=decision, trial=1, settings=SETTINGS))[0]
                )
            return identity

    identity = asyncio.run(work(made.token or ""))
    assert not list(owner.experiments(campaign=identity))
    owner.judge(identity, 1, "approve")
    until(lambda: bool(list(owner.experiments(campaign=identity))))
    owner.act(identity, "stop")
    owner.close()
