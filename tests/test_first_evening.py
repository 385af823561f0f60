"""What README and docs/service.md tell people to type on the first evening does what they say."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forked
from tests.conftest import command
from tests.service_database import until

README = Path(__file__).parents[1] / "README.md"
PAGE = README.parent / "docs" / "service.md"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("bash"), reason="needs bash and curl")
def test_three_lines_lead_to_an_experiment(tmp_path: Path) -> None:
    section = README.read_text().split("## For a class")[1]
    block = re.findall(r"```sh\n(.*?)```", section, re.S)[0]
    assert len(block.strip().splitlines()) == 3
    port = free_port()
    lines = block.replace("frugaltwin serve", f"frugaltwin serve --port {port}").replace(":8000/", f":{port}/")
    where = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = f"trap 'kill %1; wait' EXIT\n{lines}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=os.environ | {"PATH": where}, capture_output=True, text=True, timeout=120, check=False
    )
    answer = json.loads(done.stdout)
    assert answer.get("state") == "succeeded", answer
    assert 0 < answer["outcomes"]["t_555"] < 1


def bash(folder: Path, script: str, **words: str) -> str:
    """What a shell writes; these words are set in it."""
    done = subprocess.run(
        ["bash", "-ec", script], cwd=folder, env=os.environ | words, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def has_curl_json() -> bool:
    """Whether there is a curl from 7.82 on, and a shell."""
    if not shutil.which("curl") or not shutil.which("bash"):
        return False
    return "--json" in subprocess.run(["curl", "--help", "all"], capture_output=True, text=True, check=True).stdout


@pytest.mark.timing
@pytest.mark.skipif(not has_curl_json(), reason="needs bash and curl 7.82")
def test_the_lines_of_the_page_join_perform_and_run_a_campaign(tmp_path: Path) -> None:
    join, perform, campaign = re.findall(r"```sh\n(.*?)```", PAGE.read_text().split("## From Python")[0], re.S)
    options = ["--port", "0", "--json", "--rig", "color-1=color-mixing"]
    with forked.Process(command("serve", *options), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as service:
        try:
            assert service.stdout
            board = json.loads(service.stdout.readline())
            known = {"LAB": board["address"], "CODE": board["join_code"].upper().replace("-", "")}
            known["TOKEN"] = json.loads(bash(tmp_path, join.splitlines()[1], **known))["token"]
            rigs, done, me = map(json.loads, bash(tmp_path, perform.replace("\ncurl", "\necho\ncurl"), **known).splitlines())
            assert [rig["name"] for rig in rigs["items"]] == ["color-1"]
            assert done["state"] == "succeeded"
            assert me["budget"]["spent"]["runs"] == 1
            start, look, export, recipe, follow = re.split(r"\n(?=curl)", campaign.replace('"runs": 12', '"runs": 2').strip())
            known["ID"] = json.loads(bash(tmp_path, start, **known))["id"]
            until(lambda: json.loads(bash(tmp_path, f"sleep 0.2; {look}", **known))["state"] == "ended", seconds=120.0)
            bash(tmp_path, export, **known)
            assert (tmp_path / "reef.csv").read_text().count("\n") == 3
            assert set(json.loads(bash(tmp_path, recipe, **known))["settings"]) == {"red", "yellow", "blue", "water"}
            told = bash(tmp_path, f"{follow} --max-time 3 || test $? = 28", **known)  # a stream has no end
            assert re.findall("event: (.*)", told)[-1] == "campaign.ended"
        finally:
            service.terminate()
