"""Clients of the service for scripts and notebooks: blocking (`Client`) or asynchronous (`AsyncClient`).

Both send the requests of `frugaltwin.client.lab_calls`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload

from frugaltwin.client.lab_calls import LabCalls
from frugaltwin.client.protocol import NOTHING, Call, Pause, Reply, Steps
from frugaltwin.client.resources import Event, Submission
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import real

if TYPE_CHECKING:
    import httpx

PATIENCE = 30.0
"""s for which a request is tried again before its failure is reported."""

T = TypeVar("T")
P = ParamSpec("P")


class _Request(Generic[P, T]):
    """A request as a method of both clients."""

    def __init__(self, steps: Callable[Concatenate[LabCalls, P], Steps[T]]) -> None:
        @functools.wraps(steps)
        def method(client: Any, *arguments: P.args, **words: P.kwargs) -> Any:
            return client._carry_out(steps(client._calls, *arguments, **words))

        self._method = method

    @overload
    def __get__(self, client: None, kind: type) -> Callable[Concatenate[Any, P], Any]: ...

    @overload
    def __get__(self, client: Client, kind: type) -> Callable[P, T]: ...

    @overload
    def __get__(self, client: AsyncClient, kind: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: Client | AsyncClient | None, kind: type) -> Callable[..., Any]:
        return self._method if client is None else MethodType(self._method, client)


class _Client:
    """The requests that the two clients share: the same method blocks in the one and is awaited in the other."""

    join = _Request(LabCalls.join)
    me = _Request(LabCalls.me)
    ledger = _Request(LabCalls.ledger)
    tokens = _Request(LabCalls.tokens)
    make_token = _Request(LabCalls.make_token)
    revoke_token = _Request(LabCalls.revoke_token)
    revoke_tokens = _Request(LabCalls.revoke_tokens)
    people = _Request(LabCalls.people)
    names = _Request(LabCalls.names)
    person = _Request(LabCalls.person)
    add_person = _Request(LabCalls.add_person)
    grant = _Request(LabCalls.grant)
    set_left = _Request(LabCalls.set_left)
    remove_person = _Request(LabCalls.remove_person)
    codes = _Request(LabCalls.codes)
    make_code = _Request(LabCalls.make_code)
    revoke_code = _Request(LabCalls.revoke_code)
    rigs = _Request(LabCalls.rigs)
    rig = _Request(LabCalls.rig)
    steer = _Request(LabCalls.steer)
    approve = _Request(LabCalls.approve)
    approvals = _Request(LabCalls.approvals)
    submit = _Request(LabCalls.submit)
    price = _Request(LabCalls.price)
    experiment = _Request(LabCalls.experiment)
    wait = _Request(LabCalls.wait)
    page = _Request(LabCalls.page)
    abort = _Request(LabCalls.abort)
    start_campaign = _Request(LabCalls.start_campaign)
    campaign = _Request(LabCalls.campaign)
    campaigns = _Request(LabCalls.campaigns)
    wait_campaign = _Request(LabCalls.wait_campaign)
    trial = _Request(LabCalls.trial)
    trials = _Request(LabCalls.trials)
    act = _Request(LabCalls.act)
    judge = _Request(LabCalls.judge)
    retract = _Request(LabCalls.retract)
    amend = _Request(LabCalls.amend)
    prefer = _Request(LabCalls.prefer)
    reject = _Request(LabCalls.reject)
    entries = _Request(LabCalls.entries)
    recommendation = _Request(LabCalls.recommendation)
    export = _Request(LabCalls.export)
    export_experiments = _Request(LabCalls.export_experiments)
    tasks = _Request(LabCalls.tasks)
    task = _Request(LabCalls.task)
    hand_in = _Request(LabCalls.hand_in)
    board = _Request(LabCalls.board)
    call_me = _Request(LabCalls.call_me)
    classes = _Request(LabCalls.classes)
    class_named = _Request(LabCalls.class_named)
    make_class = _Request(LabCalls.make_class)
    enroll = _Request(LabCalls.enroll)
    approve_class = _Request(LabCalls.approve_class)
    grant_class = _Request(LabCalls.grant_class)
    remove_class = _Request(LabCalls.remove_class)
    add_task = _Request(LabCalls.add_task)
    labs = _Request(LabCalls.labs)
    grades = _Request(LabCalls.grades)
    regrade = _Request(LabCalls.regrade)
    set_terms = _Request(LabCalls.set_terms)
    extend = _Request(LabCalls.extend)
    withdraw = _Request(LabCalls.withdraw)
    grade_table = _Request(LabCalls.grade_table)
    my_page = _Request(LabCalls.my_page)
    class_pages = _Request(LabCalls.class_pages)
    archive_class = _Request(LabCalls.archive_class)
    end_class = _Request(LabCalls.end_class)
    ask = _Request(LabCalls.ask)

    def __init__(self, url: str, token: str | None = None, patience: float = PATIENCE) -> None:
        """A client; nothing is sent yet.

        Args:
            url: The address of the service, such as ``http://192.168.1.20:8000``.
            token: Your token. Without it, FRUGALTWIN_TOKEN of the environment or the file ``~/.config/frugaltwin/token``.
            patience: s for which a request that may be repeated is tried again before its failure is reported.

        Raises:
            InvalidInput: The address or the token is not one.
        """
        self._calls = LabCalls(url, token, patience)

    @property
    def url(self) -> str:
        """The address of the service."""
        return self._calls.url

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    def _arguments(self, call: Call) -> dict[str, Any]:
        """The arguments of httpx for a call."""
        body = {} if call.body is None else {"content": _json(call.body)}
        return {"params": dict(call.query), "headers": self._calls.headers(call), "timeout": _timeout(call.wait), **body}


class Client(_Client):
    """Blocking client of a service. Several threads may use it."""

    def __init__(
        self, url: str, token: str | None = None, patience: float = PATIENCE, pause: Callable[[float], object] = time.sleep
    ) -> None:
        """A client whose `pause` waits between two tries."""
        super().__init__(url, token, patience)
        self._pause = pause
        self._connections: httpx.Client | None = None

    @property
    def _http(self) -> httpx.Client:
        if self._connections is None:
            self._connections = cast("httpx.Client", _httpx().Client(base_url=self.url))
        return self._connections

    __init__.__doc__ = _Client.__init__.__doc__

    def experiments(self, campaign: str | None = None, state: str | None = None) -> Iterator[Submission]:
        """All your experiments, newest first, fetched as you go."""
        cursor: str | None = None
        while True:
            found, cursor = self.page(cursor, campaign, state)
            yield from found
            if cursor is None:
                return

    def events(
        self, after: int | None = None, experiment: str | None = None, campaign: str | None = None, rig: str | None = None
    ) -> Iterator[Event]:
        """The events of your experiments and campaigns as they happen, without end. A broken connection is opened again; no event is lost.

        Args:
            after: The id of the last event that you know; the events after it come first.
            experiment: Only of this one; so too for a campaign and a rig.

        Raises:
            FrugalTwinError: The service does not allow it, or is gone for longer than `patience`.
        """
        httpx, stream = _httpx(), self._calls.follow(after, experiment=experiment, campaign=campaign, rig=rig)
        while True:
            call = stream.call
            try:
                with self._http.stream(call.method, call.path, **self._arguments(call)) as response:
                    if response.status_code == 200:
                        for line in response.iter_lines():
                            if event := stream.read(line):
                                yield event
                    reply = _reply(response, b"" if response.status_code == 200 else response.read())
            except httpx.TransportError as error:
                reply = _failure(error)
            self._pause(stream.broke(reply))

    def close(self) -> None:
        """Close the connections; another request opens new ones. May be called twice."""
        if self._connections is not None:
            self._connections.close()
            self._connections = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def _carry_out(self, steps: Steps[T]) -> T:
        reply = NOTHING
        while True:
            try:
                step = steps.send(reply) if reply is not NOTHING else next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Pause):
                self._pause(step.seconds)
                reply = NOTHING
            else:
                reply = self._reply(step)

    def _reply(self, call: Call) -> Reply:
        try:
            if call.file is not None:
                with self._http.stream(call.method, call.path, **self._arguments(call)) as response:
                    if response.status_code != 200:
                        return _reply(response, response.read())
                    with _whole_file(call.file) as write:
                        for part in response.iter_bytes():
                            write(part)
                    return _reply(response, b"")
            response = self._http.request(call.method, call.path, **self._arguments(call))
        except _httpx().TransportError as error:
            return _failure(error)
        return _reply(response, response.content)


class AsyncClient(_Client):
    """Asynchronous client of a service."""

    def __init__(self, url: str, token: str | None = None, patience: float = PATIENCE) -> None:
        super().__init__(url, token, patience)
        self._http = _httpx().AsyncClient(base_url=self.url)

    __init__.__doc__ = _Client.__init__.__doc__

    async def experiments(self, campaign: str | None = None, state: str | None = None) -> AsyncIterator[Submission]:
        """The same as of `Client`."""
        cursor: str | None = None
        while True:
            found, cursor = await self.page(cursor, campaign, state)
            for submission in found:
                yield submission
            if cursor is None:
                return

    async def events(
        self, after: int | None = None, experiment: str | None = None, campaign: str | None = None, rig: str | None = None
    ) -> AsyncIterator[Event]:
        """The same as of `Client`."""
        httpx, stream = _httpx(), self._calls.follow(after, experiment=experiment, campaign=campaign, rig=rig)
        while True:
            call = stream.call
            try:
                async with self._http.stream(call.method, call.path, **self._arguments(call)) as response:
                    if response.status_code == 200:
                        async for line in response.aiter_lines():
                            if event := stream.read(line):
                                yield event
                    reply = _reply(response, b"" if response.status_code == 200 else await response.aread())
            except httpx.TransportError as error:
                reply = _failure(error)
            await asyncio.sleep(stream.broke(reply))

    async def close(self) -> None:
        """Close the connections. May be called twice."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.close()

    async def _carry_out(self, steps: Steps[T]) -> T:
        reply = NOTHING
        while True:
            try:
                step = steps.send(reply) if reply is not NOTHING else next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                reply = NOTHING
            else:
                reply = await self._reply(step)

    async def _reply(self, call: Call) -> Reply:
        try:
            if call.file is not None:
                async with self._http.stream(call.method, call.path, **self._arguments(call)) as response:
                    if response.status_code != 200:
                        return _reply(response, await response.aread())
                    with _whole_file(call.file) as write:
                        async for part in response.aiter_bytes():
                            write(part)
                    return _reply(response, b"")
            response = await self._http.request(call.method, call.path, **self._arguments(call))
        except _httpx().TransportError as error:
            return _failure(error)
        return _reply(response, response.content)


def _number(value: object) -> float:
    """The JSON number of a number that is not Python's own, such as NumPy's."""
    if (x := real(value)) is not None:
        return x
    raise TypeError(f"{type(value).__name__} is no number")


def _json(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, allow_nan=False, default=_number).encode()
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"this cannot be sent ({error}); send finite numbers and texts") from error


@contextlib.contextmanager
def _whole_file(path: Path) -> Iterator[Callable[[bytes], object]]:
    """A function that writes the next part of a file; it replaces what there was when all is written, and not before.

    Raises:
        InvalidInput: It cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.part")
    try:
        if path.exists() and not path.is_file():  # a pipe, say
            with path.open("wb") as file:
                yield file.write
            return
        with unfinished.open("wb") as file:
            yield file.write
        unfinished.replace(path)
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _failure(error: httpx.TransportError) -> Reply:
    httpx = _httpx()
    is_unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return Reply(
        failure=str(error) or ("it takes too long" if isinstance(error, httpx.TimeoutException) else "it broke off"), is_unsent=is_unsent
    )


def _reply(response: httpx.Response, content: bytes) -> Reply:
    return Reply(response.status_code, dict(response.headers), content)


def _timeout(wait: float) -> Any:
    return _httpx().Timeout(10.0, read=30.0 + wait)


def _httpx() -> Any:
    """The module httpx, imported at the first request because that takes a while."""
    import httpx

    return httpx
