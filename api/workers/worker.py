"""The worker of a rig: it leases experiments from a desk, has them performed, and reports.

A worker owns one driver, in a process of its own (`driver_process`). Its desk is the database of its own process (`local_desk`), or a
service at an address (`remote_desk`). Nothing moves before the desk has written down that it will (`begin`); the measurements of a real
rig are on this machine's disk before they are reported.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from api.errors import Conflict
from api.records.leases import Job, Orders, Report
from api.records.rigs import Offer
from api.workers.driver_process import TWINS, Died, DriverProcess, Missing, Task
from frugaltwin import catalog
from frugaltwin.campaign import FAILURES_IN_A_ROW, versions
from frugaltwin.client.remote_driver import RemoteDriver
from frugaltwin.errors import DriverError, FrugalTwinError, InvalidInput, Stopped, StoreError
from frugaltwin.experiment import Measurement, Settings

BATCH = 100  # experiments of a twin that are taken at once, at most
BATCH_SECONDS = 0.25  # that they should take together: so long others wait for a stop or a pause
IDLE = 60.0  # s without work after which the driver is left
LEASE = 30.0  # s without an answer from the desk after which nobody could stop a real rig any more: it stops by itself
STOPS = 5  # of one experiment of a twin by itself, after which it is not tried again
LONGEST = 2000  # characters of an error
HOST = 18  # letters of a machine's name in that of a worker, which the service has no room for more of
AGAIN = 5.0  # s between two tries to connect a rig, or to reach a desk

_log = logging.getLogger("frugaltwin.service")


@dataclass(frozen=True)
class RigWords:
    """A rig as its worker knows it: ``color-1=color-mixing,mixer=/dev/ttyACM0``."""

    name: str
    driver: str
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    is_real: bool = False
    is_shared: bool = False
    """One twin for everybody, in place of one for each campaign."""

    @classmethod
    def parse(cls, words: str, is_real: bool = False) -> RigWords:
        """From a command line.

        Args:
            is_real: As far as the user says; a rig at a port is real whatever is said, and one of another service
                unless that says that it is a twin.

        Raises:
            InvalidInput: It cannot be understood.
            LinkError: It is a rig of another service, which does not answer.
            UnknownName: There is no such driver, or it has no such option.
        """
        name, equals, rest = words.partition("=")
        driver, *pairs = rest.split(",")
        options = dict(pair.partition("=")[::2] for pair in pairs)
        if not equals or not all("=" in pair for pair in pairs):
            raise InvalidInput(f"{words!r}: write NAME=DRIVER or NAME=DRIVER,OPTION=VALUE,…")
        shared, hidden = options.pop("shared", "false"), options.pop("hidden", "")
        if shared not in ("true", "false"):
            raise InvalidInput(f"shared = {shared!r}: it is true (one twin for everybody) or false (one for each campaign)")
        resolved = catalog.resolved_options("driver", driver, options)
        for option in filter(None, hidden.split("+")):
            _check_hidden(driver, resolved, option)
        where = str(resolved.get("mixer") or resolved.get("port") or "simulated")
        is_real = is_real or where.partition(":")[0] not in ("simulated", "emulated")
        if catalog.is_remote(driver) and not is_real:
            far = catalog.make_driver(driver, resolved)
            is_real = not isinstance(far, RemoteDriver) or far.is_real
        if is_real and shared == "true":
            raise InvalidInput(f"{name} is a real rig, which everybody shares anyway; leave shared out")
        return cls(name, driver, resolved, is_real, shared == "true")


def _check_hidden(driver: str, options: Mapping[str, str | int | float | bool], option: str) -> None:
    """Refuse to hide an option that shows in what everybody may see of a rig. No option itself is ever shown to a student.

    Raises:
        InvalidInput: It shows, or the rig does not have it.
    """
    if option not in options:
        raise InvalidInput(f"hidden = {option}: the rig has no such option; it has {', '.join(options) or 'none'}")
    others = {name: value for name, value in options.items() if name != option}
    with_it, without = (Offer.of_driver(driver, chosen) for chosen in (options, others))
    if with_it != without:
        raise InvalidInput(f"{option} cannot be hidden: the bounds, the descriptions or the price that everybody sees depend on it")


class Desk(Protocol):
    """The source of a worker's jobs. Every method raises `StoreError` when it cannot be reached or cannot write."""

    def lease(self, count: int) -> list[Job]:
        """Take the next experiments of the rig; none while it is not open."""
        ...

    def begin(self, jobs: Sequence[Job]) -> list[Job]:
        """Say that the rig is about to move for these; gives those that it may still move for, and they count as having run."""
        ...

    def renew(self, held: Mapping[str, str]) -> Orders:
        """A heartbeat: the rig is there, and these leases, by id, are in use."""
        ...

    def finish(self, reports: Sequence[Report]) -> list[str]:
        """Hand in reports; told twice, they count once. Gives the ids of those that are not wanted any more."""
        ...

    def past(self, twin: str) -> list[Settings]:
        """The settings that a twin has performed, in order."""
        ...

    def release(self, jobs: Sequence[Job]) -> None:
        """Give jobs back that nothing was done for."""
        ...

    def leave(self) -> None:
        """Say that the rig has no worker for now: it counts as offline, and another worker may take it."""
        ...

    def wait(self) -> None:
        """Until there may be news for the thread that calls, or for a while: then it is time to look anyway."""
        ...

    def wake(self) -> None:
        """End every `wait` that is under way."""
        ...


class Worker:
    """Drives one rig until `end` is called."""

    def __init__(self, rig: RigWords, desk: Desk, name: str, reports: Path, n_twins: int = TWINS) -> None:
        """A worker that does nothing yet.

        Args:
            reports: Folder for what was measured and not yet handed in.
            n_twins: Number of twins that are kept at most.
        """
        self.rig, self.desk, self.name = rig, desk, name
        make = partial(catalog.make_driver, rig.driver, dict(rig.options))
        self._driver = DriverProcess(make, rig.is_real, n_twins)
        self._kept = KeptReports(reports)
        self._provenance = {
            "rig": rig.name, "driver": rig.driver, "options": dict(rig.options), "is_real": rig.is_real, "worker": name,
            "versions": versions(),
        }  # fmt: skip
        self._held: dict[str, Job] = {}
        self._lock = threading.Lock()  # of what is held: a heartbeat stops exactly what was taken away
        self._end, self._done = threading.Event(), threading.Event()
        self._was_asked = False
        self._is_connected = False
        self._trouble: str | None = None
        self._state = "open"
        self._batch = 1
        self._worked_at = 0.0
        self._failures = 0  # in a row
        self._stops = Counter[str]()  # of a twin by itself, by experiment

    def run(self) -> None:
        """Work until `end` is called; then the rig is at rest, and what was not begun is given back.

        Raises:
            FrugalTwinError: The desk refuses this worker for good.
        """
        heartbeat = threading.Thread(target=self._send_heartbeats, name=f"heartbeat of {self.rig.name}", daemon=True)
        heartbeat.start()
        try:
            self._driver.start()  # the first experiment does not wait for it
            while not self._end.is_set():
                try:
                    if not self._round():
                        self._leave_if_idle()
                        self.desk.wait()  # a pause may have come just now: its rig is left soon
                except (StoreError, Conflict) as error:  # another worker may have the rig for some seconds more
                    self._say(str(error))
                    self._end.wait(AGAIN)
        finally:
            self._done.set()
            self._driver.close()
            self.desk.wake()
            heartbeat.join()
            with contextlib.suppress(FrugalTwinError):  # it is found out in some seconds anyway
                self.desk.leave()

    def end(self) -> None:
        """End `run` soon, from any thread; the rig stops now."""
        self._end.set()
        with self._lock:
            self._stop()
        self.desk.wake()

    def _round(self) -> bool:
        """Take some experiments and perform them; whether there were any."""
        self._kept.hand_in(self.desk)
        if self._trouble and not self._connect():
            self._end.wait(AGAIN)
            return True
        jobs = self.desk.lease(self._batch)
        if not jobs:
            return False
        with self._lock:
            self._held = {job.id: job for job in jobs}
            self._was_asked = False
        try:
            if not self._connect():
                self.desk.release(jobs)
                if self._trouble:
                    self.desk.leave()
                return True
            begun = self.desk.begin(jobs) if not self._end.is_set() else []
            with self._lock:
                self._held = {job.id: job for job in begun}
            if self._end.is_set():
                self.desk.release(jobs)
                return True
            self._perform(begun)
        finally:
            with self._lock:
                self._held = {}
        return True

    def _perform(self, jobs: Sequence[Job]) -> None:
        began = time.monotonic()
        told, missing = self._performed([(job, Task(job.settings, job.twin)) for job in jobs])
        if missing:
            more, stale = self._performed(list(self._with_pasts(missing)))
            told += more
            self.desk.release(stale)  # one before them in their twin's past came to nothing: they are leased anew
        self._worked_at = time.monotonic()
        if jobs and not self.rig.is_real:
            each = (self._worked_at - began - told) / len(jobs)
            self._batch = max(1, min(BATCH, 2 * self._batch, int(BATCH_SECONDS / each)))

    def _performed(self, tasks: Sequence[tuple[Job, Task]]) -> tuple[float, list[Job]]:
        """The time that reports took, s (a slow database is no reason for smaller batches), and the jobs whose twin is not at hand."""
        told = 0.0
        ready: list[Report] = []
        missing: list[Job] = []
        self._driver.send([task for _, task in tasks])
        has_died = False
        for job, _ in tasks:
            if ready and not self._driver.is_ready(0.02):
                told += self._hand_in(ready)
                ready = []
            result = self._driver.result()
            if isinstance(result, Missing):
                missing.append(job)
                continue
            with self._lock:
                self._held.pop(job.id, None)
            is_broken_off = not self.rig.is_real and isinstance(result, Stopped | Died)
            if is_broken_off:
                self._stops[job.id] += not (self._was_asked or has_died)
            if is_broken_off and self._stops[job.id] < STOPS:
                self.desk.release([job])  # a computation that was broken off is simply done again
            elif is_broken_off:
                result = DriverError(f"it stopped by itself {STOPS} times, and is not tried again: {result}")
                ready.append(replace(self._report(job, result), twin_number=0))
            else:
                ready.append(self._report(job, result))
            has_died = has_died or isinstance(result, Died)
        return told + self._hand_in(ready), missing

    def _with_pasts(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Task]]:
        """The tasks of jobs whose twin is not at hand, with its past at the first of each twin."""
        known: set[str] = set()
        for job in jobs:
            assert job.twin is not None
            past = None if job.twin.id in known else self.desk.past(job.twin.id)
            known.add(job.twin.id)
            yield job, Task(job.settings, job.twin, past)

    def _report(self, job: Job, result: Measurement | DriverError | None) -> Report:
        provenance, number = dict(self._provenance), None
        if job.twin is not None:
            number = job.twin.performed + 1
            provenance |= {"seed": self.rig.options.get("seed", job.twin.key), "twin": job.twin.id, "twin_number": number}
        if isinstance(result, Measurement):
            self._failures = 0
            if "calibration" in result.raw:
                provenance["calibration"] = result.raw["calibration"]
            return Report(job.id, job.lease, result, None, result.cost, provenance, twin_number=number)
        assert result is not None
        was_stopped = isinstance(result, Stopped)
        self._failures += not was_stopped
        needs_person = self._failures >= FAILURES_IN_A_ROW or (was_stopped and not self._was_asked)
        words = str(result)[:LONGEST]
        return Report(job.id, job.lease, None, words, result.cost, provenance, was_stopped, twin_number=number, needs_person=needs_person)

    def _hand_in(self, reports: Sequence[Report]) -> float:
        """Hand reports in, now or later; those of a real rig are on the disk first. The time that it took, s."""
        began = time.monotonic()
        if self.rig.is_real:
            self._kept.keep(reports)
        try:
            refused = self.desk.finish(reports) if reports else []
        except StoreError as error:
            self._kept.keep(reports)
            self._say(f"{error}; {len(reports)} reports are kept in {self._kept.folder} and handed in later")
            return time.monotonic() - began
        except InvalidInput as error:  # the desk cannot read one of them: that experiment fails, what it gave stays here
            if len(reports) > 1:
                return sum(self._hand_in([report]) for report in reports)
            self._kept.keep(reports)
            self._kept.set_aside(reports)
            why = f"its report could not be read: {error}"[:LONGEST]
            refused = self.desk.finish([replace(report, measurement=None, error=why, provenance={}) for report in reports])
        self._kept.drop(reports)
        if refused:
            _log.info("%s: nobody wants the reports of %s any more", self.rig.name, ", ".join(refused))
        return time.monotonic() - began

    def _connect(self) -> bool:
        """Enter the driver if it is not; whether it could be entered."""
        if self._is_connected and self._driver.is_alive:
            return True
        try:
            self._driver.__enter__()
        except DriverError as error:
            if not (isinstance(error, Stopped) and self._was_asked):
                self._trouble = str(error)
                self._say(f"cannot connect: {error}")
            return False
        self._is_connected, self._trouble = True, None
        self._worked_at = time.monotonic()
        return True

    def _leave_if_idle(self) -> None:
        if self._is_connected and (self._state != "open" or time.monotonic() - self._worked_at > IDLE):
            self._is_connected = False
            self._driver.__exit__()

    def _send_heartbeats(self) -> None:
        heard = time.monotonic()
        while not self._done.is_set():
            with self._lock:
                held = {job.id: job.lease for job in self._held.values()}
            if self._trouble is None or held:  # a rig that cannot be connected counts as offline
                try:
                    orders = self.desk.renew(held)
                except Exception as error:  # whatever it is, heartbeats go on: without them nobody could stop the rig
                    if not isinstance(error, FrugalTwinError):
                        _log.exception("%s: a heartbeat failed by a mistake of ours", self.rig.name)
                    if self.rig.is_real and time.monotonic() - heard > LEASE:
                        with self._lock:
                            self._stop()
                else:
                    heard, self._state = time.monotonic(), orders.state
                    with self._lock:
                        is_stopped = orders.state == "stopped"
                        if self._held and (is_stopped or self._held.keys() <= set(orders.lost)):
                            self._stop()
            self._done.wait(0.05)  # a busy service has news all the time
            self.desk.wait()

    def _stop(self) -> None:
        self._was_asked = True
        self._driver.stop()

    def _say(self, text: str) -> None:
        _log.warning("%s: %s", self.rig.name, text)


class KeptReports:
    """Reports on their way, one file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, reports: Sequence[Report]) -> None:
        """On the disk when this returns; what the disk does not take goes to the log."""
        for report in reports:
            text = json.dumps(report.to_json(), allow_nan=False)
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                path = self._path(report)
                with path.with_suffix(".new").open("w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                path.with_suffix(".new").replace(path)
            except OSError as error:
                _log.error("a report cannot be kept in %s (%s); here it is: %s", self.folder, error.strerror, text)

    def drop(self, reports: Sequence[Report]) -> None:
        """They were handed in."""
        for report in reports:
            self._path(report).unlink(missing_ok=True)

    def set_aside(self, reports: Sequence[Report]) -> None:
        """They cannot be handed in; a person may want them."""
        for report in reports:
            with contextlib.suppress(OSError):
                self._path(report).replace(self._path(report).with_suffix(".refused"))

    def hand_in(self, desk: Desk) -> None:
        """All that is kept.

        Raises:
            StoreError: The desk cannot be reached; they stay.
        """
        if not self.folder.is_dir():
            return
        for path in sorted(self.folder.glob("*.json")):
            report = Report.from_json(json.loads(path.read_text(encoding="utf-8")))
            try:
                is_refused = bool(desk.finish([report]))
            except InvalidInput:
                is_refused = True
            if is_refused:
                self.set_aside([report])
                _log.warning("nobody wants the report of %s any more; it stays in %s", report.id, self.folder)
            self.drop([report])

    def _path(self, report: Report) -> Path:
        return self.folder / f"{report.id}-{report.lease}.json"


def worker_name() -> str:
    """A name for a worker: the machine, the process, and a random word, so that a dead worker can be told from a living one."""
    return f"{socket.gethostname()[:HOST]}:{os.getpid()}:{_machine()}{secrets.token_hex(3)}"


def is_dead(worker: str) -> bool:
    """Whether a worker by this name was a process of this machine that has ended. Asked before this process has workers."""
    host, _, rest = worker.partition(":")
    number, _, word = rest.partition(":")
    # Windows has no question that leaves a process in peace.
    if host != socket.gethostname()[:HOST] or not word.startswith(_machine()) or not number.isdigit() or os.name == "nt":
        return False
    if int(number) == os.getpid():  # the first process of a container has the same number each time
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _machine() -> str:
    """A word that tells this machine from one of the same name, such as another copy of its memory card."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").replace("-", "")[:8]
    except OSError:
        return f"{uuid.getnode():012x}"
