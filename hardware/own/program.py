"""Programs that perform experiments: one JSON object a line, in both directions."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from frugaltwin.errors import DriverError, Stopped
from hardware.own.answer import understood

END = 5.0
"""Seconds that a program has to end by itself when nothing more is asked of it."""
LONGEST = 1_000_000
"""Characters of an answer."""


class Program:
    """A running program. It reads ``{"settings": {…}}`` and writes ``{"outcomes": {…}, "cost": {…}}``, or ``{"error": "…"}``."""

    def __init__(self, command: Sequence[str], folder: Path, seconds: float) -> None:
        """Start it.

        Args:
            folder: Its working folder.
            seconds: The longest time that it may take for an answer.

        Raises:
            DriverError: It cannot be started.
        """
        self._name, self._seconds = command[0], seconds
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._is_stopped = threading.Event()
        try:
            self._process = subprocess.Popen(
                list(command), cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
                errors="replace", start_new_session=os.name == "posix",
            )  # fmt: skip
        except OSError as error:
            raise DriverError(f"cannot start {self._name}: {error.strerror}") from error
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, settings: Mapping[str, float | str]) -> dict[str, Any]:
        """The answer to settings.

        Raises:
            Stopped: `stop` was called meanwhile.
            DriverError: It ended, took too long, or answered something else.
        """
        if self._is_stopped.is_set():
            raise Stopped("the program was stopped")
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps({"settings": dict(settings)}, ensure_ascii=False) + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=self._seconds)
        except queue.Empty:
            self.kill()
            raise DriverError(f"{self._name} gave no answer within {self._seconds:g} s, and was ended") from None
        except (BrokenPipeError, ValueError):
            line = None
        if self._is_stopped.is_set():
            raise Stopped("the program was stopped")
        if line is None:
            code = self._process.wait()
            raise DriverError(f"{self._name} ended with code {code} before it answered")
        return understood(line, self._name)

    def stop(self) -> None:
        """End it now, from any thread; the `ask` in flight raises `Stopped`."""
        self._is_stopped.set()
        self.kill()

    def kill(self) -> None:
        """End it and everything that it started."""
        with suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END)

    def close(self) -> None:
        """Let it end by itself: its standard input ends. One that does not is killed."""
        with suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        try:
            self._process.wait(END)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def is_running(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as lines, suppress(ValueError):
            while line := lines.readline(LONGEST):
                if line.strip():
                    self._answers.put(line)
        self._answers.put(None)
