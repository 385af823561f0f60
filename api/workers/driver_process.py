"""A driver in a process of its own: its computations do not slow the service, and its rig stops when the service is gone.

The process listens to two pipes: one for its tasks, one for stops and heartbeats (four a second). When the second pipe breaks (the service
was killed) it stops the driver at once; on a real rig also when the heartbeats fail (the service hangs).
"""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Self

from api.workers.child_processes import allow_ctrl_c, start_method, without_ctrl_c
from frugaltwin.errors import DriverError, FrugalTwinError, LinkError, OutOfBounds, Stopped
from frugaltwin.experiment import Experiment, Measurement, Settings
from frugaltwin.plugins import Driver

HEARTBEAT = 0.25  # s between two heartbeats
SILENCE = 1.25
"""s without a heartbeat after which a real rig is stopped: with the time of a stop, it rests within 2 s."""
PATIENCE = 10.0  # s that a driver has to come to rest before its process is killed

_log = logging.getLogger("frugaltwin.service")


class Died(LinkError):
    """The driver's process has ended in the middle."""


class DriverProcess:
    """A driver in a child process, which is made when it is first entered."""

    def __init__(self, make: Callable[[], Driver], is_real: bool) -> None:
        """A driver without a process yet.

        Args:
            make: Makes it, in the child: something that can be pickled.
            is_real: Stop it when the heartbeats fail, too.
        """
        self._make, self._is_real = make, is_real
        self._child: BaseProcess | None = None
        self._line: Connection
        self._orders: Connection
        self._sent = 0
        self._lock = threading.Lock()  # of the orders: stops and heartbeats come from several threads
        self._ended = threading.Event()

    def start(self) -> None:
        """Have a process, without connecting."""
        if self.is_alive:
            return
        self.close()
        self._ended = threading.Event()
        method = start_method()
        self._line, its_line = method.Pipe()
        its_orders, self._orders = method.Pipe(duplex=False)
        self._child = method.Process(target=_live, args=(self._make, its_line, its_orders, self._is_real), daemon=True, name="driver")
        with without_ctrl_c():
            self._child.start()
        its_line.close()
        its_orders.close()
        threading.Thread(target=self._send_heartbeats, args=(self._ended,), name="heartbeats", daemon=True).start()

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            DriverError: It cannot.
        """
        self.start()
        self._send("enter", [None])
        answer = self.result()
        if isinstance(answer, DriverError):
            raise answer
        return self

    @property
    def is_alive(self) -> bool:
        """Whether there is a process."""
        return self._child is not None and self._child.is_alive()

    def send(self, settings: Sequence[Settings]) -> None:
        """Have settings performed one after the other; `result` gives each."""
        self._send("perform", list(settings))

    def is_ready(self, timeout: float) -> bool:
        """Whether the next result is there, s at most."""
        return self._line.poll(timeout)

    def result(self) -> Measurement | DriverError | None:
        """The measurement of the next of the settings, or its error. Blocks until it is there."""
        try:
            answer: Measurement | DriverError | None = self._line.recv()
        except (EOFError, OSError):
            return Died("the driver's process has ended in the middle; the service's log may say why; try again")
        return answer

    def stop(self) -> None:
        """Safe now, from any thread: all settings that were sent so far end as `Stopped`."""
        self._order(self._sent)

    def __exit__(self, *failure: object) -> None:
        if self.is_alive:
            self._send("leave", [None])
            self.result()

    def close(self) -> None:
        """End the process, its rig at rest. May be called twice."""
        self._ended.set()
        if self._child is None:
            return
        self._orders.close()
        self._line.close()
        self._child.join(PATIENCE)
        if self._child.is_alive():
            _log.error("a driver did not come to rest in %g s; its process is killed: look at the rig", PATIENCE)
            self._child.kill()
            self._child.join()
        self._child = None

    def _send_heartbeats(self, ended: threading.Event) -> None:
        while not ended.wait(HEARTBEAT):
            self._order(0)

    def _order(self, number: int) -> None:
        with self._lock, contextlib.suppress(OSError):  # it has ended: nothing to stop
            if self._child is not None:
                self._orders.send(number)

    def _send(self, word: str, items: list[Any]) -> None:
        self._sent += 1
        with contextlib.suppress(OSError):  # it has ended: `result` says so
            self._line.send((self._sent, word, items))


class _Life:
    """The state of the child: its driver, and the last task that it was told to stop."""

    def __init__(self, driver: Driver, orders: Connection, is_real: bool) -> None:
        self.driver, self._orders, self._is_real = driver, orders, is_real
        self._stopped = 0
        self._is_entered = self._is_latched = False
        self._lock = threading.Lock()  # a stop under way ends before the driver is entered anew, which it would spoil

    def obey(self) -> None:
        """Stop when told, when the line breaks, and on a real rig when nothing is heard."""
        is_heard = True
        while True:
            try:
                if not self._orders.poll(SILENCE if self._is_real and is_heard else None):
                    is_heard = False
                    self._stop()
                    continue
                number = self._orders.recv()
            except (EOFError, OSError):
                self._stopped = 2**62
                self._stop()
                return
            is_heard = True
            if number:
                self._stopped = number
                self._stop()

    def perform(self, number: int, word: str, item: Any) -> Measurement | None:
        """One task."""
        if word == "leave":
            self.leave()
            return None
        if self._stopped >= number:
            raise Stopped("the rig was stopped")
        with self._lock:
            is_latched, self._is_latched = self._is_latched, False
        if is_latched or not self._is_entered:
            self.leave()
            self.driver.__enter__()
            self._is_entered = True
            if self._stopped >= number:  # while it was connecting
                self.driver.stop()
                raise Stopped("the rig was stopped")
        return None if word == "enter" else _checked(self.driver.experiment, self.driver.perform(item))

    def leave(self) -> None:
        """At rest and disconnected."""
        if self._is_entered:
            self._is_entered = False
            self.driver.__exit__(None, None, None)

    def _stop(self) -> None:
        with self._lock:
            self._is_latched = True
            self.driver.stop()


def _live(make: Callable[[], Driver], line: Connection, orders: Connection, is_real: bool) -> None:
    """The child: perform what comes, until the line breaks."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the end of the service ends this pipe, and the rig comes to rest first
    allow_ctrl_c()  # for the driver's own processes
    try:
        driver = make()
    except FrugalTwinError as error:
        _refuse(line, error)
        return
    life = _Life(driver, orders, is_real)
    threading.Thread(target=life.obey, daemon=True).start()
    try:
        while True:
            number, word, items = line.recv()
            for item in items:
                line.send(_answer(life, number, word, item))
    except (EOFError, OSError):
        pass
    finally:
        life.leave()


def _answer(life: _Life, number: int, word: str, item: Any) -> Measurement | DriverError | None:
    try:
        return life.perform(number, word, item)
    except DriverError as error:
        return error
    except Exception as error:  # a mistake in a driver is one more way to fail, and the next experiment may do
        _log.exception("a driver failed by a mistake of its own")
        return DriverError(f"the driver failed by a mistake of its own: {type(error).__name__}: {error}")


def _checked(experiment: Experiment, measurement: Measurement) -> Measurement:
    if not all(0 <= took < math.inf for took in vars(measurement.cost).values()):
        raise DriverError(f"the reading makes no sense: it took {measurement.cost}, which nobody can book")
    try:
        outcomes = experiment.check_outcomes(measurement.outcomes)
    except OutOfBounds as error:
        refusal = DriverError(f"the reading makes no sense: {error}")
        refusal.cost = measurement.cost
        raise refusal from error
    if odd := [k for k, v in measurement.raw.items() if not isinstance(v, str) and not math.isfinite(v)]:
        refusal = DriverError(f"the reading makes no sense: {', '.join(odd)} is no finite number")
        refusal.cost = measurement.cost
        raise refusal
    return Measurement(outcomes, measurement.cost, dict(measurement.raw))


def _refuse(line: Connection, error: FrugalTwinError) -> None:
    """Every task of a driver that cannot be made fails."""
    refusal = DriverError(str(error))
    with contextlib.suppress(EOFError, OSError):
        while True:
            _, _, items = line.recv()
            for _ in items:
                line.send(refusal)
