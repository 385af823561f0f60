"""Tools for agents without a service that listens: a twin of one's own, and a program that passes calls on."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from api.app import create_app
from api.settings import Settings
from api.tools import local
from api.workers.worker import RigWords
from frugaltwin.errors import InvalidInput
from tests.agent_host import VERSIONS, Host, in_process, over_stdio
from tests.conftest import Cli
from tests.forms import IS_LONG
from tests.running_service import running
from tests.service_database import SETTINGS

MIXER = RigWords("color-mixing", "color-mixing", {})


def frugaltwin(*words: str) -> list[str]:
    return [sys.executable, "-m", "frugaltwin", *words]


async def measured(host: Host) -> str:
    """The readings of one experiment."""
    seen = await host.data("look_around")
    assert seen["left"]["runs"] == 3
    done = await host.data("experiment", rig="color-mixing", settings=[SETTINGS])
    assert done["left"]["runs"] == 2
    return str(done["items"][0]["outcomes"])


def test_a_twin_of_ones_own_is_played_without_a_service_by_both_versions(tmp_path: Path) -> None:
    async def work() -> None:
        for version in VERSIONS:
            async with (
                local.private(lambda url: create_app(Settings(url)), MIXER, {"runs": 3.0}) as call,
                in_process(call, version) as host,
            ):
                await measured(host)
                assert (await host.client.read_resource("frugaltwin://driver/color-mixing")).contents[0].text.startswith("Liquid color")
                prompt = await host.client.get_prompt("match-a-color", {"where": "color-mixing"})
                assert "color-mixing" in prompt.messages[0].content.text
                for address in ("frugaltwin://driver/nothing", "file:///etc/passwd", "frugaltwin://task/chem"):
                    with pytest.raises(Exception, match="there is no"):
                        await host.client.read_resource(address)

    asyncio.run(work())


def test_a_real_rig_is_not_driven_without_a_service() -> None:
    async def work() -> None:
        async with local.private(lambda url: create_app(Settings(url)), RigWords("mixer", "color-mixing", {}, is_real=True), {}):
            raise AssertionError("it was driven")

    with pytest.raises(InvalidInput, match="a person has allowed it"):
        asyncio.run(work())


def test_a_program_passes_calls_on_to_a_service_and_says_when_it_is_gone(sqlite_url: str, tmp_path: Path) -> None:
    environment = {**os.environ}

    async def work(address: str, token: str) -> None:
        async with over_stdio(frugaltwin("mcp", "--server", address), env={**environment, "FRUGALTWIN_TOKEN": token}, cwd=tmp_path) as host:
            seen = await host.data("look_around")
            assert [rig["name"] for rig in seen["rigs"]] == ["color-1"]
            assert "is outside" in (await host.refusal("experiment", rig="color-1", settings=[{**SETTINGS, "red": 9.0}]))[0]
            service.stop()
            words, problem = await host.refusal("look_around")
            assert "no answer from" in words
            assert problem["retryable"]

    with running(sqlite_url) as service:
        _, token = service.person(runs=3)
        asyncio.run(work(service.address, token))


@pytest.mark.skipif(not IS_LONG, reason="the same in process is quick")
def test_a_host_starts_a_twin_as_a_program(tmp_path: Path) -> None:
    async def work() -> None:
        async with over_stdio(frugaltwin("mcp", "--driver", "color-mixing", "--budget", "3"), env={**os.environ}, cwd=tmp_path) as host:
            await measured(host)

    asyncio.run(work())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "whose tools shall these be"),
        (("--driver", "color-mixing", "--server", "http://127.0.0.1:9"), "whose tools shall these be"),
        (("--server", "http://127.0.0.1:9", "--token", "ft_x", "--budget", "3"), "your instructor says"),
        (("--driver", "color-mixin"), "did you mean"),
    ],
)
def test_the_command_says_what_it_takes(cli_here: Cli, words: tuple[str, ...], said: str) -> None:
    done = cli_here("mcp", *words)
    assert done.returncode == 2
    assert said in done.stderr
