"""Python processes that start at once: each is forked from one that has imported the libraries already.

In all else such a process is one of its own: arguments, folder, environment, streams, signals, exit code. To import what the command line
and the service need takes seconds of a processor, and the tests start hundreds. Tests of imports and of terminals use `subprocess`.
"""

import atexit
import functools
import gc
import importlib
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import types
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import IO, Any, Self

from api.workers import child_processes

IMPORTED = [
    *child_processes.IMPORTED, "tests.forked", "alembic.command", "httpx", "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg", "mpltern", "psycopg", "scipy.stats", "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite", "uvicorn.protocols.http.httptools_impl", "uvloop", "api.commands.database", "api.server",
    "api.workers.remote_desk", "frugaltwin.bluesky", "frugaltwin.cli.main", "frugaltwin.client.remote_driver",
    "frugaltwin.pictures.picture", "frugaltwin.pictures.report", "frugaltwin.testing", "hardware.commands.weighing",
    "hardware.emulator.server", "simulator.color_mixing", "simulator.light_mixing", "optimizers.bayesian", "optimizers.composite",
]  # fmt: skip
"""Modules of the processes' common ancestor. One that is missing costs time only."""

FORKS = "forkserver" in multiprocessing.get_all_start_methods()
PATIENCE = 120.0  # s: machines are shared

if FORKS:
    multiprocessing.set_forkserver_preload(IMPORTED)


class Process:
    """A process of this Python, as `subprocess.Popen` has them. The words begin with ``-m MODULE``, ``-c CODE``, ``-W error`` or a file."""

    def __init__(
        self,
        words: Sequence[object],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | None = None,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
    ) -> None:
        """A running process.

        Args:
            stdin: `subprocess.PIPE`; nothing can be read where it is None.
            stdout: `subprocess.PIPE` or an open file; it goes where that of the tests goes where it is None.
            stderr: The same.
        """
        self.args = [os.fspath(word) if isinstance(word, Path) else str(word) for word in words]
        assert self.args[0] == sys.executable
        ours, theirs = zip(*(_ends(wanted, number) for number, wanted in enumerate((stdin, stdout, stderr))), strict=True)
        self.stdin, self.stdout, self.stderr = ours
        method = child_processes.start_method()
        order = (self.args[1:], os.path.abspath(cwd or "."), dict(os.environ if env is None else env))
        self._process: BaseProcess = method.Process(target=_become, args=(*order, theirs))
        self._process.start()
        for end in theirs:
            end.close()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None as long as it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self.returncode

    def wait(self, timeout: float = PATIENCE) -> int:
        """The exit code, as soon as there is one.

        Raises:
            subprocess.TimeoutExpired: There is none in time, s.
        """
        self._process.join(timeout)
        if (code := self.returncode) is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, text: str = "", timeout: float = PATIENCE) -> tuple[str, str]:
        """All that it still writes until it has ended; its input ends with this text.

        Raises:
            subprocess.TimeoutExpired: It has not ended in time, s.
        """
        with ThreadPoolExecutor(2) as threads:
            outputs = [threads.submit(stream.read) if stream and not stream.closed else None for stream in (self.stdout, self.stderr)]
            if self.stdin and not self.stdin.closed:
                try:
                    self.stdin.write(text)
                    self.stdin.close()
                except BrokenPipeError:
                    pass  # it did not want to know
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            out, err = (output.result() if output else "" for output in outputs)
        self._close()
        return out, err

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        self.wait()

    def _close(self) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                stream.close()


def run(
    words: Sequence[object], text: str = "", cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """The end of such a process, with all that it wrote.

    Args:
        text: For its standard input.
    """
    pipe = subprocess.PIPE
    process = Process(words, cwd=cwd, env=env, stdin=pipe, stdout=pipe, stderr=pipe)
    out, err = process.communicate(text, timeout)
    return subprocess.CompletedProcess(process.args, process.wait(), out, err)


@functools.cache
def wait_until_it_forks() -> None:
    """Return as soon as the common ancestor has imported everything; a service waits for its processes only so long."""
    run([sys.executable, "-c", "pass"], timeout=600)


def _ends(wanted: int | IO[Any] | None, number: int) -> tuple[Any, Connection]:
    """Our end of a stream, None where there is none, and that of the process."""
    if wanted == subprocess.PIPE:
        reading, writing = os.pipe()
        mine, its = (writing, reading) if number == 0 else (reading, writing)
        return os.fdopen(mine, "r" if number else "w"), Connection(its, writable=number > 0, readable=number == 0)
    if wanted is None or wanted == subprocess.DEVNULL:
        given = os.open(os.devnull, os.O_RDWR) if number == 0 or wanted is not None else os.dup(number)
    else:
        given = os.dup(wanted if isinstance(wanted, int) else wanted.fileno())
    return None, Connection(given)


def _become(words: Sequence[str], folder: str, environment: Mapping[str, str], streams: Sequence[Connection]) -> None:
    """Run what `python WORDS` would, in a process of its own."""
    from frugaltwin import catalog

    gc.freeze()  # what was there before is never garbage here, and takes half a second to look through
    for number, (name, stream) in enumerate(zip(("stdin", "stdout", "stderr"), streams, strict=True)):
        os.dup2(stream.fileno(), number)
        stream.close()
        setattr(sys, name, os.fdopen(number, "w" if number else "r", buffering=1 if number == 2 else -1, closefd=False))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    importlib.invalidate_caches()
    catalog._installed.cache_clear()  # packages may be installed there
    _fork_the_fork_server()
    child_processes.allow_ctrl_c()
    try:
        _run(words, folder)
    finally:
        atexit._run_exitfuncs()
        gc.collect()  # which closes what nobody closed


def _fork_the_fork_server() -> None:
    """Give this process a fork server as it would start itself, but forked as well: to fill a new one takes ten seconds of a core."""
    if sys.version_info >= (3, 14):
        return  # whose fork server asks for a key
    alive, held = os.pipe()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address := f"{get_temp_dir()}/fork-{os.getpid()}")
        listener.listen()
        pid = os.fork()
        if not pid:
            os.close(held)
            os.environ.update(child_processes.ONE_THREAD)
            try:
                forkserver.main(listener.detach(), alive, [])
            finally:
                os._exit(0)
    vars(forkserver._forkserver).update(_forkserver_address=address, _forkserver_alive_fd=held, _forkserver_pid=pid)
    os.close(alive)


def _run(words: Sequence[str], folder: str) -> None:
    if words[:2] == ["-W", "error"]:
        warnings.simplefilter("error")
        words = words[2:]
    first, *rest = words
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path not in sys.path]
    sys.path[:1] = ["" if first == "-c" else folder if first == "-m" else os.path.dirname(first), *paths]
    if first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = ["-c", *rest[1:]]
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), main.__dict__)
    else:
        sys.argv = list(words)
        runpy.run_path(first, run_name="__main__")
