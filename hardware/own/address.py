"""Addresses that perform experiments: one POST for each, answered when it is done."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx

from frugaltwin.errors import DriverError, Stopped
from hardware.own.answer import understood

_log = logging.getLogger(__name__)

LONGEST = 1_000_000
"""Bytes of an answer."""
CONNECT = 10.0
"""s that a connection may take."""


class Address:
    """An HTTP address: ``POST`` of ``{"id": "…", "settings": {…}}``, answered by ``{"outcomes": {…}}``; ``POST ADDRESS/stop`` ends it.

    A request is sent once. Where the answer is lost, nobody knows whether the experiment was performed: the trial fails.
    """

    def __init__(self, url: str, seconds: float) -> None:
        """Make ready.

        Args:
            url: Begins with ``http://`` or ``https://``.
            seconds: The longest time that an answer may take.
        """
        self._url, self._seconds = url.rstrip("/"), seconds
        self._is_stopped = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[tuple[int, str]] | None = None
        self._lock = threading.Lock()
        self._untold = ""
        self.is_running = True

    def ask(self, settings: Mapping[str, float | str]) -> dict[str, Any]:
        """The answer to settings.

        Raises:
            Stopped: `stop` was called meanwhile.
            DriverError: Nobody answers there, it took too long, redirects, or the answer is none.
        """
        if self._is_stopped.is_set():
            raise Stopped("the experiment was stopped")
        try:
            status, text = self._asked({"id": uuid4().hex, "settings": dict(settings)})
        except asyncio.CancelledError:
            raise Stopped(f"the experiment was stopped{self._untold}") from None
        except TimeoutError:
            raise DriverError(f"{self._url} gave no answer within {self._seconds:g} s; whether it was performed is not known") from None
        except httpx.HTTPError as error:
            raise DriverError(f"{self._url} cannot be asked: {_reason(error)}") from error
        if 300 <= status < 400:
            raise DriverError(f"{self._url} redirects elsewhere, which is not followed; name the address where it answers")
        if status >= 400:
            raise DriverError(f"{self._url} answered with status {status}: {text.strip()[:60]}")
        return understood(text, self._url)

    def stop(self) -> None:
        """End it now, from any thread; the `ask` in flight raises `Stopped`, and says it if the other side could not be told."""
        try:
            httpx.post(f"{self._url}/stop", timeout=CONNECT, follow_redirects=False, trust_env=False).raise_for_status()
        except httpx.HTTPError as error:
            self._untold = f", but {self._url} could not be told so: see that the instrument is at rest"
            _log.error("%s could not be told to stop: %s", self._url, error)
        self._is_stopped.set()
        self._cancel()

    def close(self) -> None:
        """Nothing is open."""

    def _asked(self, body: dict[str, Any]) -> tuple[int, str]:
        """Status and text of the answer. It is asked for in a thread of its own: in a notebook, this one has an event loop already."""
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(asyncio.run, self._post(body))
            try:
                return answer.result()
            except BaseException:
                self._cancel()
                raise

    def _cancel(self) -> None:
        with self._lock:
            if self._loop and self._task:
                self._loop.call_soon_threadsafe(self._task.cancel)

    async def _post(self, body: dict[str, Any]) -> tuple[int, str]:
        with self._lock:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        try:
            limits = httpx.Timeout(self._seconds, connect=CONNECT)
            async with asyncio.timeout(self._seconds), httpx.AsyncClient(timeout=limits, trust_env=False) as client:
                if self._is_stopped.is_set():
                    raise asyncio.CancelledError
                async with client.stream("POST", self._url, json=body) as answer:
                    content = b""
                    async for part in answer.aiter_bytes():
                        content += part
                        if len(content) > LONGEST:
                            raise DriverError(f"{self._url} answers with more than {LONGEST:,} bytes")
                    return answer.status_code, content.decode("utf-8", "replace")
        finally:
            with self._lock:
                self._loop = self._task = None


def _reason(error: httpx.HTTPError) -> str:
    """Reason why an address gave no answer, and what to do."""
    if isinstance(error, httpx.ConnectTimeout):
        return f"nothing took the call within {CONNECT:g} s; see that the machine is on and can be reached from here"
    if isinstance(error, httpx.ConnectError):
        return "nothing listens there; start the program that answers at it, or put the address right"
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
        return "the connection broke off before the answer; whether it was performed is not known"
    return str(error) or type(error).__name__
