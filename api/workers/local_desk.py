"""The desk of a worker in the service's own process: functions on the database, `api.records.leases`."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from api.records import leases
from api.records.database import Database
from api.records.leases import Job, Orders, Report
from frugaltwin.experiment import Settings

POLL = 0.5
"""s between two queries for what other processes may have written."""


class LocalDesk:
    """A desk for one rig, on the database."""

    def __init__(self, database: Database, rig: str, worker: str) -> None:
        self._database, self._rig, self._worker = database, rig, worker
        self._news = threading.Condition()
        database.on_commit(self.wake)

    def wake(self) -> None:
        """End every `wait` that is under way."""
        with self._news:
            self._news.notify_all()

    def lease(self, count: int) -> list[Job]:
        if not self._database.read_now(lambda c: leases.has_work(c, self._rig)):
            return []
        return self._database.write_now(lambda c, now: leases.lease(c, now, self._rig, self._worker, count))

    def begin(self, jobs: Sequence[Job]) -> list[Job]:
        if self._database.read_now(lambda c: leases.have_begun(c, jobs)):
            return list(jobs)
        return self._database.write_now(lambda c, now: leases.begin(c, now, self._rig, jobs))

    def renew(self, held: Mapping[str, str]) -> Orders:
        now = self._database.now()
        orders, is_due = self._database.read_now(lambda c: leases.heard(c, now, self._rig, self._worker, held))
        return self._database.write_now(lambda c, now: leases.renew(c, now, self._rig, self._worker, held)) if is_due else orders

    def finish(self, reports: Sequence[Report]) -> list[str]:
        return self._database.write_now(lambda c, now: leases.finish(c, now, self._rig, reports))

    def past(self, twin: str) -> list[Settings]:
        return self._database.read_now(lambda c: leases.past(c, twin, self._rig))

    def release(self, jobs: Sequence[Job]) -> None:
        self._database.write_now(lambda c, now: leases.release(c, now, self._rig, jobs))

    def leave(self) -> None:
        self._database.write_now(lambda c, now: leases.leave(c, now, self._rig, self._worker))

    def wait(self) -> None:
        with self._news:
            self._news.wait(POLL)
