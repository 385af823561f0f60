"""README's three lines from nothing to the first experiment by curl, as they stand there but for the port."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


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
