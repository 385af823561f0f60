"""A driver in a process of its own: its computations do not slow the service, and its rig stops when the service is gone.

The process listens to two pipes: one for its tasks, one for stops and heartbeats (four a second). When the second pipe breaks (the service
was killed) it stops the driver at once; on a real rig also when the heartbeats fail (the service hangs).
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, Self, TypeAlias

from api.records.twins import Twin
from api.workers.child_processes import allow_ctrl_c, start_method, without_ctrl_c
from frugaltwin.errors import DriverError, FrugalTwinError, LinkError, OutOfBounds, Stopped
from frugaltwin.experiment import Experiment, Measurement, Settings, Trial, check_cost
from frugaltwin.plugins import Driver, Resumes

HEARTBEAT = 0.25  # s between two heartbeats
SILENCE = 1.25
"""s without a heartbeat after which a real rig is stopped: with the time of a stop, it rests within 2 s."""
PATIENCE = 10.0  # s that a driver has to come to rest before its process is killed

_log = logging.getLogger("frugaltwin.service")


TWINS = 64

LONGEST_TEXT = 2000
"""Characters of a raw reading that the service takes from a worker."""


class Died(LinkError):
    """The driver's process has ended in the middle."""


@dataclass(frozen=True)
class Task:
    """Settings to be performed."""

    settings: Settings
    twin: Twin | None = None
    """The twin that performs them; None on a real rig."""
    past: Sequence[Settings] | None = None
    """The settings that the twin has performed; None as long as it may be at hand."""


@dataclass(frozen=True)
class Missing:
    """The answer to a task whose twin is not at hand: it has to be sent with the twin's past."""


Answer: TypeAlias = Measurement | DriverError | Missing | None


class Make(Protocol):
    """Makes the driver, in the child: something that can be pickled."""

    def __call__(self, *, seed: int = 0) -> Driver: ...


class DriverProcess:
    """A driver in a child process, which is made when it is first entered: a real rig's, or one for each twin, of which some are kept."""

    def __init__(self, make: Make, is_real: bool, n_twins: int = TWINS) -> None:
        """A driver without a process yet.

        Args:
            is_real: Stop it when the heartbeats fail, too.
            n_twins: Number of twins that are kept at most, those used last; another one is rebuilt from its past.
        """
        self._make, self._is_real, self._n_twins = make, is_real, n_twins
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
        words = self._make, its_line, its_orders, self._is_real, self._n_twins
        self._child = method.Process(target=_live, args=words, daemon=True, name="driver")
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

    def send(self, tasks: Sequence[Task]) -> None:
        """Have settings performed one after the other; `result` gives each."""
        self._send("perform", list(tasks))

    def is_ready(self, timeout: float) -> bool:
        """Whether the next result is there, s at most."""
        return self._line.poll(timeout)

    def result(self) -> Answer:
        """The measurement of the next of the settings, or its error. Blocks until it is there."""
        try:
            answer: Answer = self._line.recv()
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


@dataclass
class _Kept:
    """A driver that was made, and what became of it."""

    driver: Driver
    performed: int = 0
    """Experiments to the end."""
    is_entered: bool = False
    is_latched: bool = False
    """Whether it was stopped since it was entered."""


class _Life:
    """The state of the child: its drivers, and the last task that it was told to stop."""

    def __init__(self, make: Make, orders: Connection, is_real: bool, n_twins: int) -> None:
        self._make, self._orders, self._is_real, self._n_twins = make, orders, is_real, n_twins
        self._stopped = 0
        self._now = self._first = _Kept(make())  # of a rig of twins it is the pattern
        self._twins: OrderedDict[str, _Kept] = OrderedDict()  # the one that was used last is the last
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

    def perform(self, number: int, word: str, item: Any) -> Measurement | Missing | None:
        """One task."""
        if word == "leave":
            self.leave()
            return None
        if self._stopped >= number:
            raise Stopped("the rig was stopped")
        if word == "enter":
            self._enter(number)
            return None
        task: Task = item
        if task.twin is None:
            self._enter(number)
            return _checked(self._now.driver.experiment, task.settings, self._now.driver.perform(task.settings))
        if not self._has_turned_to(task.twin, task.past):
            return Missing()
        try:
            self._enter(number)
            result = self._now.driver.perform(task.settings)
        except Stopped:
            self._forget(task.twin.id)  # it may be in the middle of something
            raise
        except BaseException:
            self._now.performed += 1
            raise
        self._now.performed += 1
        return _checked(self._now.driver.experiment, task.settings, result)

    def leave(self) -> None:
        """At rest and disconnected."""
        for kept in (self._first, *self._twins.values()):
            self._leave(kept)

    def _enter(self, number: int) -> None:
        """Connect the driver that is used now, if it is not."""
        kept = self._now
        with self._lock:
            is_latched, kept.is_latched = kept.is_latched, False
        if is_latched or not kept.is_entered:
            self._leave(kept)
            kept.driver.__enter__()
            kept.is_entered = True
            if self._stopped >= number:  # while it was connecting
                kept.driver.stop()
                raise Stopped("the rig was stopped")

    def _leave(self, kept: _Kept) -> None:
        if kept.is_entered:
            kept.is_entered = False
            kept.driver.__exit__(None, None, None)

    def _has_turned_to(self, twin: Twin, past: Sequence[Settings] | None) -> bool:
        """Use a twin from now on; whether it is at hand, or can be made with that past."""
        kept = self._twins.pop(twin.id, None)
        if kept is None or kept.performed != twin.performed:
            if kept is not None:
                self._leave(kept)
            past = past if past is not None or twin.performed else ()
            if past is None or len(past) != twin.performed:
                return False
            kept = _Kept(self._make(seed=twin.key), twin.performed)
            if isinstance(kept.driver, Resumes):
                kept.driver.resume([Trial(k, settings, None) for k, settings in enumerate(past, start=1)])
            while len(self._twins) >= self._n_twins:
                self._forget(next(iter(self._twins)))
        self._twins[twin.id] = kept
        with self._lock:
            self._now = kept
        return True

    def _forget(self, twin: str) -> None:
        if kept := self._twins.pop(twin, None):
            with contextlib.suppress(DriverError):
                self._leave(kept)

    def _stop(self) -> None:
        with self._lock:
            self._now.is_latched = True
            self._now.driver.stop()


def _live(make: Make, line: Connection, orders: Connection, is_real: bool, n_twins: int) -> None:
    """The child: perform what comes, until the line breaks."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the end of the service ends this pipe, and the rig comes to rest first
    allow_ctrl_c()  # for the driver's own processes
    try:
        life = _Life(make, orders, is_real, n_twins)
    except FrugalTwinError as error:
        _refuse(line, error)
        return
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


def _answer(life: _Life, number: int, word: str, item: Any) -> Answer:
    try:
        return life.perform(number, word, item)
    except DriverError as error:
        return error
    except Exception as error:  # a mistake in a driver is one more way to fail, and the next experiment may do
        _log.exception("a driver failed by a mistake of its own")
        return DriverError(f"the driver failed by a mistake of its own ({type(error).__name__}); the log of its worker says more")


def _checked(experiment: Experiment, settings: Settings, measurement: object) -> Measurement:
    try:
        checked = experiment.check_measurement(measurement)
        checked = replace(checked, happened=experiment.check_happened(settings, checked.happened))
    except OutOfBounds as error:
        refusal = DriverError(f"the reading makes no sense: {error}")
        with contextlib.suppress(OutOfBounds):
            refusal.cost = check_cost(getattr(measurement, "cost", None))
        raise refusal from error
    return replace(checked, raw={name: _short(value) for name, value in checked.raw.items()})


def _short(value: Any) -> float | str:
    """A raw reading as the service keeps it: a number, or a text that is not too long."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _refuse(line: Connection, error: FrugalTwinError) -> None:
    """Every task of a driver that cannot be made fails. Its options are no student's business, so the log alone says why."""
    _log.error("the driver cannot be made: %s", error)
    refusal = DriverError("its driver cannot be made; the log of its worker says why")
    with contextlib.suppress(EOFError, OSError):
        while True:
            _, _, items = line.recv()
            for _ in items:
                line.send(refusal)
