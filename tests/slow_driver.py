"""A rig for the tests of workers: it does nothing but take its time and write down, with the time, what it was made to do."""

import os
import threading
import time
from pathlib import Path
from typing import Self

from frugaltwin.amounts import Amounts
from frugaltwin.errors import LinkError, Stopped
from frugaltwin.experiment import Continuous, Experiment, Measurement, Outcome, Settings


class SlowDriver:
    """Performs until a file is there."""

    def __init__(self, log: Path, gate: Path, seed: int = 0) -> None:
        """A rig.

        Args:
            log: Gets a line of what and when for whatever it does.
            gate: The file with which an experiment ends; connecting fails while there is one with the suffix ``.unplugged``,
                and it stops by itself while there is one with the suffix ``.switch``.
        """
        self.experiment = Experiment("slow", (Continuous("x", 0.0, 1.0),), (Outcome("y"),))
        self._log, self._gate, self._seed = log, gate, seed
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        if self._gate.with_suffix(".unplugged").exists():
            raise LinkError("nothing answers at this port; plug it in")
        self._stopped.clear()
        self._write("enter")
        return self

    def perform(self, settings: Settings) -> Measurement:
        x = float(settings["x"])
        self._write(f"begin {x:g}")
        while not self._gate.exists():
            if self._gate.with_suffix(".switch").exists():
                raise Stopped("somebody opened the switch")
            if self._stopped.wait(0.01):
                raise Stopped("the rig was stopped")
        self._write(f"end {x:g}")
        return Measurement({"y": 2 * x}, Amounts(seconds=1.0), {"calibration": "cal-1"})

    def stop(self) -> None:
        self._write("stop")
        self._stopped.set()

    def __exit__(self, *failure: object) -> None:
        self._write("leave")
        self._stopped.set()

    def _write(self, what: str) -> None:
        with self._log.open("a") as file:
            file.write(f"{what} {time.time():.3f} {os.getpid()}\n")


class OddlyPricedDriver:
    """A rig whose experiment takes as many seconds as its setting says, which may be nonsense."""

    def __init__(self, seed: int = 0) -> None:
        self.experiment = Experiment("odd", (Continuous("x", -1e9, 1e9),), (Outcome("y"),))

    def __enter__(self) -> Self:
        return self

    def perform(self, settings: Settings) -> Measurement:
        x = float(settings["x"])
        return Measurement({"y": 1.0}, Amounts(seconds=float("nan") if x > 1e6 else x), {})

    def stop(self) -> None:
        pass

    def __exit__(self, *failure: object) -> None:
        pass


class GarbledDriver:
    """A rig whose line is garbled where x is high: what it says then cannot be kept in a database."""

    def __init__(self, seed: int = 0) -> None:
        self.experiment = Experiment("garbled", (Continuous("x", 0.0, 1.0),), (Outcome("y"),))

    def __enter__(self) -> Self:
        return self

    def perform(self, settings: Settings) -> Measurement:
        if float(settings["x"]) > 0.5:
            raise LinkError(f"it says {b'READY?'.replace(b'E', bytes([0xE9])).decode('ascii', 'surrogateescape')}")
        return Measurement({"y": 1.0}, Amounts(seconds=1.0), {})

    def stop(self) -> None:
        pass

    def __exit__(self, *failure: object) -> None:
        pass
