"""The service from afar: a client for scripts and notebooks, blocking (`Client`) or not (`AsyncClient`).

Both only carry out what `frugaltwin.client.lab_calls` says is to be asked.
"""

from __future__ import annotations

import asyncio
import functools
import json
import numbers
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload

from frugaltwin.client.lab_calls import Questions
from frugaltwin.client.protocol import NOTHING, Call, Pause, Reply, Steps
from frugaltwin.client.resources import Event, Submission
from frugaltwin.errors import InvalidInput

if TYPE_CHECKING:
    import httpx

PATIENCE = 30.0
"""s for which a request is tried again before its failure is reported."""

T = TypeVar("T")
P = ParamSpec("P")


class _Asked(Generic[P, T]):
    """A question as a method of either client."""

    def __init__(self, steps: Callable[Concatenate[Questions, P], Steps[T]]) -> None:
        @functools.wraps(steps)
        def method(client: Any, *arguments: P.args, **words: P.kwargs) -> Any:
            return client._carry_out(steps(client._questions, *arguments, **words))

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
    """What the two clients share: a call that blocks in the one is to be awaited in the other."""

    join = _Asked(Questions.join)
    me = _Asked(Questions.me)
    ledger = _Asked(Questions.ledger)
    tokens = _Asked(Questions.tokens)
    make_token = _Asked(Questions.make_token)
    revoke_token = _Asked(Questions.revoke_token)
    people = _Asked(Questions.people)
    person = _Asked(Questions.person)
    add_person = _Asked(Questions.add_person)
    grant = _Asked(Questions.grant)
    set_left = _Asked(Questions.set_left)
    remove_person = _Asked(Questions.remove_person)
    codes = _Asked(Questions.codes)
    make_code = _Asked(Questions.make_code)
    revoke_code = _Asked(Questions.revoke_code)
    rigs = _Asked(Questions.rigs)
    rig = _Asked(Questions.rig)
    steer = _Asked(Questions.steer)
    approve = _Asked(Questions.approve)
    approvals = _Asked(Questions.approvals)
    submit = _Asked(Questions.submit)
    price = _Asked(Questions.price)
    experiment = _Asked(Questions.experiment)
    wait = _Asked(Questions.wait)
    page = _Asked(Questions.page)
    abort = _Asked(Questions.abort)
    start_campaign = _Asked(Questions.start_campaign)
    campaign = _Asked(Questions.campaign)
    campaigns = _Asked(Questions.campaigns)
    trials = _Asked(Questions.trials)
    act = _Asked(Questions.act)
    judge = _Asked(Questions.judge)
    prefer = _Asked(Questions.prefer)
    preferences = _Asked(Questions.preferences)
    recommendation = _Asked(Questions.recommendation)
    export = _Asked(Questions.export)
    ask = _Asked(Questions.ask)

    def __init__(self, url: str, token: str | None = None, patience: float = PATIENCE) -> None:
        """A client; nothing is sent yet.

        Args:
            url: Where the service is, such as ``http://192.168.1.20:8000``.
            token: What you were shown once. Without it, FRUGALTWIN_TOKEN of the environment or the file ``~/.config/frugaltwin/token``.
            patience: s for which a request that may be repeated is tried again before its failure is reported.

        Raises:
            InvalidInput: That is no address, or no token.
        """
        self._questions = Questions(url, token, patience)

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._questions.url

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    def _words(self, call: Call) -> dict[str, Any]:
        """A call in the words of httpx."""
        body = {} if call.body is None else {"content": _json(call.body)}
        return {"params": dict(call.query), "headers": self._questions.headers(call), "timeout": _timeout(call.wait), **body}


class Client(_Client):
    """A service, for scripts that may wait. Can be used from several threads."""

    def __init__(
        self, url: str, token: str | None = None, patience: float = PATIENCE, pause: Callable[[float], object] = time.sleep
    ) -> None:
        """As for every client; besides, what passes the time between two tries."""
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
        """What happens to you from now on, as it happens, without end and without gaps, whatever breaks in between.

        Args:
            after: The id of the last event that you know; what followed it comes first.
            experiment: Only of this one; so too for a campaign and a rig.

        Raises:
            FrugalTwinError: The service does not allow it, or is gone for longer than `patience`.
        """
        httpx, following = _httpx(), self._questions.follow(after, experiment=experiment, campaign=campaign, rig=rig)
        while True:
            call = following.call
            try:
                with self._http.stream(call.method, call.path, **self._words(call)) as response:
                    if response.status_code == 200:
                        for line in response.iter_lines():
                            if event := following.read(line):
                                yield event
                    reply = _reply(response, b"" if response.status_code == 200 else response.read())
            except httpx.TransportError as error:
                reply = _failure(error)
            self._pause(following.broke(reply))

    def close(self) -> None:
        """Let go of the connections; another request makes new ones. May be called twice."""
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
            response = self._http.request(call.method, call.path, **self._words(call))
        except _httpx().TransportError as error:
            return _failure(error)
        return _reply(response, response.content)


class AsyncClient(_Client):
    """A service, for programs that do many things at once."""

    def __init__(self, url: str, token: str | None = None, patience: float = PATIENCE) -> None:
        super().__init__(url, token, patience)
        self._http = _httpx().AsyncClient(base_url=self.url)

    __init__.__doc__ = _Client.__init__.__doc__

    async def experiments(self, campaign: str | None = None, state: str | None = None) -> AsyncIterator[Submission]:
        """As of `Client`."""
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
        """As of `Client`."""
        httpx, following = _httpx(), self._questions.follow(after, experiment=experiment, campaign=campaign, rig=rig)
        while True:
            call = following.call
            try:
                async with self._http.stream(call.method, call.path, **self._words(call)) as response:
                    if response.status_code == 200:
                        async for line in response.aiter_lines():
                            if event := following.read(line):
                                yield event
                    reply = _reply(response, b"" if response.status_code == 200 else await response.aread())
            except httpx.TransportError as error:
                reply = _failure(error)
            await asyncio.sleep(following.broke(reply))

    async def close(self) -> None:
        """Let go of the connections. May be called twice."""
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
            response = await self._http.request(call.method, call.path, **self._words(call))
        except _httpx().TransportError as error:
            return _failure(error)
        return _reply(response, response.content)


def _number(value: object) -> float:
    """As JSON has it, of a number that is none of Python's own, such as NumPy's."""
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(f"{type(value).__name__} is no number")


def _json(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, allow_nan=False, default=_number).encode()
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"this cannot be sent ({error}); send finite numbers and texts") from error


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
    """Imported when something is to be sent, because it takes a while."""
    import httpx

    return httpx
