"""The end of what a test run starts, however the run ends: a process of its own waits for that, stops what is left and removes folders.

Every process that a test starts inherits a variable with the name of the run's folder, and is known by it. On Linux only: elsewhere
a run that is killed leaves behind what it had started.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NAME = "FRUGALTWIN_TEST_RUN"
"""The variable: the run's folder."""

OVER = b"over"
"""Word of a run that ended by itself."""

_PATIENCE = 3.0  # s that PostgreSQL gets to end in order, which leaves no shared memory


class Lifeline:
    """A folder for this run, and the process that outlives it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ft-", dir="/tmp"))  # a socket's path has 107 characters at most
        self.folder.chmod(0o711)  # PostgreSQL may run as another user
        others = {key: value for key, value in os.environ.items() if key != NAME}
        words = [sys.executable, "-I", __file__, str(self.folder)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, env=others, cwd="/", start_new_session=True)
        os.environ[NAME] = str(self.folder)

    def end(self) -> None:
        """Stop what is left; returns when that is done."""
        self._process.communicate(OVER, 60)


def folder() -> Path:
    """The run's folder, for what has to be removed at its end."""
    return Path(os.environ.get(NAME, "/tmp"))


def remove_when_killed(path: Path) -> None:
    """Name a folder that a run keeps when it ends by itself, and that goes when the run is killed."""
    if NAME in os.environ:
        (folder() / f"of-{os.getpid()}").symlink_to(path)


def left(run: str) -> list[int]:
    """The processes of a run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"{NAME}={run}".encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def _is_postgres(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip() == "postgres"
    return False


def _clear_away(run: str) -> None:
    """Wait until the run has ended, then stop and remove what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    parent, was_killed = os.getppid(), True
    while os.getppid() == parent:
        if select.select([0], [], [], 0.5)[0]:
            was_killed = os.read(0, 10) != OVER
            break
    begin = time.monotonic()
    while (pids := left(run)) and (waited := time.monotonic() - begin) < 30:
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGQUIT if waited < _PATIENCE and _is_postgres(pid) else signal.SIGKILL)
        time.sleep(0.05)
    if was_killed:
        for link in Path(run).glob("of-*"):
            shutil.rmtree(link.resolve(), ignore_errors=True)
    shutil.rmtree(run, ignore_errors=True)


if __name__ == "__main__":
    _clear_away(sys.argv[1])
