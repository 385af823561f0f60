"""A test run that is killed leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import lifeline
from tests.service_database import PostgresServer, until

HOME = Path(__file__).parents[1]

TINY = """
import json, multiprocessing, os, subprocess, threading
from pathlib import Path
from tests import forked, lifeline
from tests.service_database import ServiceProcess

multiprocessing.set_forkserver_preload([])  # one service is all that starts here

def test_something(postgres, tmp_path):
    with ServiceProcess(postgres.new_database(), tmp_path) as service:
        sleeping = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        said = {"run": os.environ[lifeline.NAME], "folder": str(tmp_path), "pids": [os.getpid(), service.pid, sleeping.pid]}
        Path("said.part").write_text(json.dumps(said))
        Path("said.part").rename("said")
        threading.Event().wait()
"""


@pytest.mark.timing
@pytest.mark.skipif(sys.platform != "linux" or PostgresServer.programs() is None, reason="needs Linux and PostgreSQL")
def test_a_run_whose_main_process_is_killed_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "test_tiny.py").write_text(TINY)
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")} | {"PYTHONPATH": str(HOME)}
    words = ["-n", "1", "-p", "tests.conftest", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", ".", "test_tiny.py"]
    with (tmp_path / "log").open("wb") as log:
        run = subprocess.Popen([sys.executable, "-m", "pytest", *words], cwd=tmp_path, env=env, stdout=log, stderr=log)
    try:
        until(lambda: (tmp_path / "said").exists() or run.poll() is not None, 300)
        assert run.poll() is None, (tmp_path / "log").read_text()
        said = json.loads((tmp_path / "said").read_text())
        folders = [Path(said["run"]), Path(said["folder"])]
        assert set(said["pids"]) < set(lifeline.left(said["run"]))  # and there are PostgreSQL's
        assert all(folder.exists() for folder in folders)
        run.send_signal(signal.SIGKILL)
        run.wait(60)
        until(lambda: not lifeline.left(said["run"]))
        until(lambda: not any(folder.exists() for folder in folders))
    finally:
        run.kill()
        run.wait(60)
