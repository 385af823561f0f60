"""Functions in Python that perform experiments."""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from frugaltwin.errors import DriverError, FrugalTwinError, Stopped

_log = logging.getLogger(__name__)


class Function:
    """A function of settings that returns the outcomes, ``{"yield": 41}``, or an answer with more, ``{"outcomes": {…}, "cost": {…}}``.

    It runs in this process, in the thread that asks. So it is not interrupted by `stop`; what it returns then is thrown away.
    """

    def __init__(self, name: str, folder: Path) -> None:
        """Import it.

        Args:
            name: ``package.module:function``.
            folder: Where modules are looked for besides the installed ones.

        Raises:
            DriverError: There is no such function, or its module cannot be imported.
        """
        self._name = name
        self._is_stopped = threading.Event()
        self.is_running = True
        self._call = _imported(name, folder)

    def ask(self, settings: Mapping[str, float | str]) -> dict[str, Any]:
        """The answer to settings.

        Raises:
            Stopped: `stop` was called before or meanwhile.
            DriverError: The function failed.
        """
        if self._is_stopped.is_set():
            raise Stopped("the experiment was stopped")
        try:
            answer = self._call(dict(settings))
        except FrugalTwinError:
            raise
        except Exception as error:
            _log.exception("%s failed", self._name)
            raise DriverError(f"{self._name} failed: {type(error).__name__}: {error}") from error
        if self._is_stopped.is_set():
            raise Stopped("the experiment was stopped")
        if not isinstance(answer, Mapping):
            raise DriverError(f"{self._name} returned {str(answer)[:60]!r}; it returns outcomes by name")
        return dict(answer) if {"outcomes", "error"} & set(answer) else {"outcomes": dict(answer)}

    def stop(self) -> None:
        """Ask for nothing more, from any thread."""
        self._is_stopped.set()

    def close(self) -> None:
        """Nothing is open."""


def _imported(name: str, folder: Path) -> Callable[[dict[str, float | str]], object]:
    module, _, function = name.partition(":")
    sys.path.insert(0, str(folder))
    try:
        found = getattr(importlib.import_module(module), function)
    except Exception as error:
        raise DriverError(f"cannot import {name}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(folder))
    if not callable(found):
        raise DriverError(f"{name} is no function")
    call: Callable[[dict[str, float | str]], object] = found
    return call
