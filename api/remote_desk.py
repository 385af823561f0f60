"""The desk of a worker that is not where the service is: everything over HTTP, told again until it is heard."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from api import logs
from api.people import Unauthorized
from api.queue import Conflict
from api.worker import Job, Orders, Report, RigWords, Worker, worker_name
from frugaltwin import catalog
from frugaltwin.console import say
from frugaltwin.errors import FrugalTwinError, InvalidInput, StoreError
from frugaltwin.store import experiment_to_json

LOOK = 0.5  # s between two questions for work
PATIENCE = 10.0  # s for an answer


class RemoteDesk:
    """A service's desk for one rig, by address."""

    def __init__(self, server: str, token: str, rig: RigWords, worker: str) -> None:
        """Nothing is asked yet.

        Raises:
            InvalidInput: The address cannot be understood.
        """
        self.server, self._rig, self._worker = server.rstrip("/"), rig, worker
        try:
            self._client = httpx.Client(base_url=self.server, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE)
        except httpx.InvalidURL as error:
            raise InvalidInput(f"--server {server}: {error}; write http://HOST:PORT") from error
        self._experiment = experiment_to_json(catalog.make_driver(rig.driver, rig.options).experiment)
        self._is_known = False
        self._ended = threading.Event()

    def bring(self) -> None:
        """Make the rig known to the service; once is enough."""
        if not self._is_known:
            body = {"driver": self._rig.driver, "options": dict(self._rig.options), "is_real": self._rig.is_real}
            self._ask("PUT", "", body | {"experiment": self._experiment, "worker": self._worker})
            self._is_known = True

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

    def release(self, jobs: Sequence[Job]) -> None:
        self._ask("POST", "/release", {"jobs": [_words(job) for job in jobs]})

    def leave(self) -> None:
        self._ask("POST", "/leave", {"worker": self._worker})

    def wait(self, seconds: float) -> None:
        self._ended.wait(min(seconds, LOOK))

    def close(self) -> None:
        """Let go."""
        self._ended.set()
        self._client.close()

    def _ask(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        try:
            answer = self._client.request(method, f"/v1/work/{self._rig.name}{path}", json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise StoreError(f"the service at {self.server} cannot be reached ({error}); it is asked again") from error
        if answer.is_success:
            return answer.json() if answer.content else None
        try:
            detail = str(answer.json()["detail"])
        except (ValueError, KeyError, TypeError):
            detail = f"{self.server} answered {answer.status_code}; is that the address of a Frugal Twin service?"
        if answer.status_code >= 500 or answer.status_code == 429:
            raise StoreError(detail)
        if answer.status_code == 409:
            raise Conflict(detail)
        if answer.status_code in (401, 403):
            raise Unauthorized(detail)
        raise InvalidInput(detail)


def work(rig: RigWords, server: str, token: str, reports: Path) -> int:
    """Drive a rig for a service until a signal; the exit code.

    Raises:
        FrugalTwinError: The service refuses this worker.
    """
    logs.start()
    name = worker_name()
    desk = RemoteDesk(server, token, rig, name)
    worker = Worker(rig, desk, name, reports / rig.name)
    thread = threading.Thread(target=lambda: _run(worker, failures), name="worker")
    failures: list[FrugalTwinError] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: worker.end())
    say(f"{rig.name} ({rig.driver}{', a real rig' if rig.is_real else ''}) works for {desk.server}; Ctrl-C ends it")
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
    return [Job(job["id"], job["lease"], job["settings"]) for job in body["jobs"]]
