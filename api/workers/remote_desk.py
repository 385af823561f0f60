"""The desk of a worker on another machine than the service: every message goes over HTTP, and is sent again until it is answered."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from api import log_redaction
from api.errors import Conflict, Unauthorized
from api.records import fair_queue
from api.records.leases import Job, Orders, Report
from api.records.rigs import Offer
from api.records.twins import Twin
from api.workers.worker import RigWords, Worker, is_dead, worker_name
from frugaltwin.cli.console import say
from frugaltwin.client.client import Client
from frugaltwin.errors import FrugalTwinError, InvalidInput, LinkError, StoreError
from frugaltwin.experiment import Settings
from frugaltwin.prices import price_to_json
from frugaltwin.store import experiment_to_json

_log = logging.getLogger("frugaltwin.service")

NEWS = 20.0  # s for which the service is asked to wait for news
AGAIN = 1.0  # s between two tries to hear news
PACE = 0.05  # s between two questions for news


class RemoteDesk:
    """A service's desk for one rig, by address."""

    def __init__(self, server: str, token: str, rig: RigWords, worker: str) -> None:
        """Nothing is asked yet.

        Raises:
            InvalidInput: The address cannot be understood, or the token cannot be one.
        """
        self._rig, self._worker = rig, worker
        self._client = Client(server, token, patience=0)  # the worker itself tells everything again
        offer = Offer.of_driver(rig.driver, rig.options)
        price = None if offer.price is None else price_to_json(offer.price)
        self._offer = {"experiment": experiment_to_json(offer.experiment), "price": price}
        self._is_known = False
        self._bringing = threading.Lock()  # the worker's two threads both begin with it
        self._ended = threading.Event()
        self._news = threading.Condition()
        self._n_news = 0
        self._heard = threading.local()  # how much of the news each thread of the worker knows
        self._listener = threading.Thread(target=self._listen, name=f"news of {rig.name}", daemon=True)

    def bring(self) -> None:
        """Make the rig known to the service; once is enough. A worker of this machine that was killed makes way."""
        with self._bringing:
            if self._is_known:
                return
            before = self._ask("GET", "/worker")["worker"]
            gone = before if before is not None and before != self._worker and is_dead(before) else None
            body = {"driver": self._rig.driver, "options": dict(self._rig.options), "is_real": self._rig.is_real}
            body |= {"is_shared": self._rig.is_shared}
            self._ask("PUT", "", body | self._offer | {"worker": self._worker, "dead": gone})
            self._is_known = True
            self._listener.start()

    def lease(self, count: int) -> list[Job]:
        self.bring()
        return _jobs(self._ask("POST", "/leases", {"worker": self._worker, "count": count}))

    def begin(self, jobs: Sequence[Job]) -> list[Job]:
        answer = _jobs(self._ask("POST", "/begin", {"jobs": [_words(job) for job in jobs]}))
        begun = {job.id for job in answer}
        return [job for job in jobs if job.id in begun]

    def renew(self, held: Mapping[str, str]) -> Orders:
        self.bring()
        answer = self._ask("POST", "/renew", {"worker": self._worker, "held": dict(held)})
        return Orders(answer["state"], answer["lost"])

    def finish(self, reports: Sequence[Report]) -> list[str]:
        refused: list[str] = self._ask("POST", "/finish", {"reports": [report.to_json() for report in reports]})["refused"]
        return refused

    def past(self, twin: str) -> list[Settings]:
        settings: list[Settings] = self._ask("POST", "/past", {"twin": twin})["settings"]
        return settings

    def release(self, jobs: Sequence[Job]) -> None:
        self._ask("POST", "/release", {"jobs": [_words(job) for job in jobs]})

    def leave(self) -> None:
        self._ask("POST", "/leave", {"worker": self._worker})

    def wait(self) -> None:
        with self._news:
            self._news.wait_for(lambda: self._n_news != getattr(self._heard, "n_news", 0), fair_queue.LEASE / 10)
            self._heard.n_news = self._n_news

    def wake(self) -> None:
        """End every `wait` that is under way."""
        with self._news:
            self._n_news += 1
            self._news.notify_all()

    def close(self) -> None:
        """Close the connection."""
        self._ended.set()
        self._client.close()

    def _listen(self) -> None:
        """Listen to the events of the rig, as soon as they happen."""
        after: int | None = None
        while not self._ended.is_set():
            try:
                after = self._ask("POST", "/news", {"after": after}, NEWS)["after"]
            except FrugalTwinError as error:
                if not self._ended.is_set():
                    _log.info("%s: no news: %s", self._rig.name, error)
                after = None
                self._ended.wait(AGAIN)
            self.wake()
            self._ended.wait(PACE)  # a busy rig has news all the time

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, wait: float = 0.0) -> Any:
        try:
            return self._client.ask(method, f"/v1/work/{self._rig.name}{path}", body, wait)
        except FrugalTwinError as error:
            problem = error.problem or {}
            if isinstance(error, LinkError | StoreError) or problem.get("retryable"):
                raise StoreError(f"{error}; it is asked again") from error
            status = problem.get("status")
            if status == 409:
                raise Conflict(str(error)) from error
            if status in (401, 403):
                raise Unauthorized(str(error)) from error
            raise InvalidInput(str(error)) from error


def work(rig: RigWords, server: str, token: str, reports: Path) -> int:
    """Drive a rig for a service until a signal; the exit code.

    Raises:
        FrugalTwinError: The service refuses this worker.
    """
    log_redaction.start()
    name = worker_name()
    desk = RemoteDesk(server, token, rig, name)
    worker = Worker(rig, desk, name, reports / rig.name)
    thread = threading.Thread(target=lambda: _run(worker, failures), name="worker")
    failures: list[FrugalTwinError] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: worker.end())
    say(f"{rig.name} ({rig.driver}{', a real rig' if rig.is_real else ''}) works for {server}; Ctrl-C ends it")
    thread.start()
    thread.join()
    desk.close()
    if failures:
        raise failures[0]
    return 0


def _run(worker: Worker, failures: list[FrugalTwinError]) -> None:
    try:
        worker.run()
    except FrugalTwinError as error:
        failures.append(error)


def _words(job: Job) -> dict[str, str]:
    return {"id": job.id, "lease": job.lease}


def _jobs(body: Mapping[str, Any]) -> list[Job]:
    return [Job(job["id"], job["lease"], job["settings"], Twin(**job["twin"]) if job.get("twin") else None) for job in body["jobs"]]
