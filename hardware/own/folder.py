"""Folders for robots and instruments that read and write files: one request and one answer for each experiment."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from frugaltwin.errors import DriverError, InvalidInput, Stopped
from frugaltwin.table_reader import read_rows
from frugaltwin.tables import format_rows
from hardware.own.answer import understood

_log = logging.getLogger(__name__)

LOOK = 0.1
"""s between two looks at the folder."""
SETTLED = 10.0
"""s for which an answer that cannot be read stays as it is until it counts as one: others do not always write a file at once."""
STOP = "stop"
"""The file that says to the other side that nothing more is to be done."""


class Folder:
    """A folder in which ``ID.request.json`` is written and ``ID.answer.json`` is waited for; or the same as ``.csv``, one row each.

    Both sides write under another name and rename, so that a file that is there is whole. An answer that is not is looked at again for
    `SETTLED`. A folder is of one campaign at a time.
    """

    def __init__(self, path: Path, seconds: float, form: str = "json") -> None:
        """Make ready: requests that nobody answered before the program ended are taken back.

        Args:
            path: The folder, which is there.
            seconds: The longest time that an answer may take.
            form: ``json`` or ``csv``.

        Raises:
            DriverError: There is no such folder, or nobody may write to it.
        """
        self._path, self._seconds, self._form = path, seconds, form
        self._is_stopped = threading.Event()
        self._untold = ""
        self.is_running = True
        try:
            (path / STOP).unlink(missing_ok=True)
            for request in path.glob(f"*.request.{form}"):
                if not (path / request.name.replace(".request.", ".answer.")).exists():
                    request.unlink(missing_ok=True)
        except OSError as error:
            raise DriverError(f"cannot use the folder {path}: {error.strerror}") from error
        if not path.is_dir():
            raise DriverError(f"there is no folder {path}; make it, and start the other side")

    def ask(self, settings: Mapping[str, float | str]) -> dict[str, Any]:
        """The answer to settings. The answer stays in the folder, as a record.

        Raises:
            Stopped: `stop` was called meanwhile.
            DriverError: It took too long, or the answer is none.
        """
        name = f"{time.strftime('%Y%m%dT%H%M%S')}-{uuid4().hex[:8]}"
        if self._is_stopped.is_set():
            raise Stopped("the experiment was stopped")
        self._write(f"{name}.request.{self._form}", self._request(name, settings))
        until, fault, since = time.monotonic() + self._seconds, "there is none", (0, 0, 0.0)
        answer = self._path / f"{name}.answer.{self._form}"
        while True:
            if answer.exists():
                try:
                    return self._read(answer)
                except (DriverError, InvalidInput, OSError) as error:  # perhaps it is still being written
                    fault, since = str(error), _as_it_stands(answer, since)
                    if time.monotonic() > since[2] + SETTLED:
                        raise DriverError(fault) from error
            if self._is_stopped.wait(LOOK):
                self._withdraw(name)
                raise Stopped(f"the experiment was stopped{self._untold}")
            if time.monotonic() > until:
                self._withdraw(name)
                raise DriverError(f"no answer to {name} within {self._seconds:g} s in {self._path}: {fault}")

    def stop(self) -> None:
        """Say so to the other side, from any thread; the `ask` in flight raises `Stopped`, and says it if that could not be written."""
        try:
            self._write(STOP, "")
        except DriverError as error:
            self._untold = f", but {error}: see that the instrument is at rest"
            _log.exception("the folder %s could not be told to stop", self._path)
        self._is_stopped.set()

    def close(self) -> None:
        """Leave the folder as it is."""

    def _withdraw(self, name: str) -> None:
        """Take back a request that nobody has taken, so that it is not performed later."""
        with suppress(OSError):
            (self._path / f"{name}.request.{self._form}").unlink(missing_ok=True)

    def _request(self, name: str, settings: Mapping[str, float | str]) -> str:
        if self._form == "csv":
            return format_rows(["id", *settings], [{"id": name, **settings}])
        return json.dumps({"id": name, "settings": dict(settings)}, ensure_ascii=False)

    def _write(self, name: str, text: str) -> None:
        new = self._path / f".{name}.new"
        try:
            new.write_text(text, encoding="utf-8")
            os.replace(new, self._path / name)
        except OSError as error:
            raise DriverError(f"cannot write to the folder {self._path}: {error.strerror}") from error

    def _read(self, path: Path) -> dict[str, Any]:
        if self._form == "json":
            return understood(path.read_text(encoding="utf-8"), path.name)
        table = read_rows(path)
        row = next(iter(table.rows))
        cells = {name: table.number(row, name) for name in table.names}
        found: dict[str, Any] = {name: table.rows[row][name] if value is None else value for name, value in cells.items()}
        found.pop("id", None)
        error = found.pop("error", "")
        return {"error": str(error)} if error else {"outcomes": found}


def _as_it_stands(path: Path, before: tuple[int, int, float]) -> tuple[int, int, float]:
    """Size and time of a file, and since when (s of a clock that cannot be set) they are these."""
    try:
        now = path.stat()
    except OSError:  # it was taken away
        return 0, 0, time.monotonic()
    is_same = before[:2] == (now.st_size, now.st_mtime_ns)
    return now.st_size, now.st_mtime_ns, before[2] if is_same else time.monotonic()
