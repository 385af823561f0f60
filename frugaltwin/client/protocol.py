"""The protocol of a client, without input and output: requests, retries, and the meaning of replies.

A request (`lab_calls`, `class_calls`) is a generator: it yields calls and pauses and is sent the replies. So a client that blocks and one
that does not differ only in how they send calls and wait. Only a request that can do no harm is sent again: a GET, a POST with an
idempotency key, and one that the service cannot have begun.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast
from urllib.parse import quote, urlsplit
from uuid import uuid4

from frugaltwin.client.resources import Event
from frugaltwin.client.token_file import checked_token, kept_token
from frugaltwin.errors import FrugalTwinError, InvalidInput, LinkError, MissingPart, Refused, StoreError, UnknownName

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SILENCE = 45.0
"""The silence, s, after which a stream of events counts as broken; the service sends something every 15 s."""

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """A request to be sent."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    wait: float = 0.0
    """The time that the service may take to answer, s."""
    file: Path | None = None
    """A file that the content of a good answer becomes, part by part; the reply is then without it."""

    @classmethod
    def once(cls, path: str, body: Mapping[str, Any] | None = None, key: str | None = None) -> Call:
        """A POST that is done once, however often it is sent.

        Args:
            key: Its name; made up without it.
        """
        return cls("POST", path, body, headers={"Idempotency-Key": key or uuid4().hex})

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice does no harm."""
        # A PATCH of this service names the new state, not a change.
        return self.method in ("GET", "PUT", "PATCH", "DELETE") or "Idempotency-Key" in self.headers


@dataclass(frozen=True)
class Reply:
    """The answer to a call; or, with a `failure`, the reason why there is none."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content: bytes = b""
    failure: str = ""
    is_unsent: bool = False
    """Whether nothing reached the service."""

    @property
    def body(self) -> Any:
        """The JSON value of the content; None when it is not JSON."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True)
class Pause:
    """A wait before the next call, s."""

    seconds: float


Steps: TypeAlias = Generator[Call | Pause, Reply, T]
"""The calls and pauses of a request, one after the other; the reply to each call is sent in."""

NOTHING = Reply()


class ServiceProtocol:
    """The service's address, the token, and the rules by which a call is tried again."""

    def __init__(self, url: str, token: str | None, patience: float) -> None:
        """Arguments as of `frugaltwin.client.client.Client`."""
        self.url = _address(url)
        self.patience = patience
        self._token = checked_token(token, "the token") if token is not None else kept_token()
        self._random = random.Random()  # noqa: S311 - spreads retries, nothing secret

    def _ask(self, call: Call) -> Steps[Any]:
        """The JSON value that a call is answered with; it is tried again while that does no harm, may help, and `patience` lasts."""
        return (yield from self._answered(call)).body

    def _answered(self, call: Call, is_json: bool = True) -> Steps[Reply]:
        """The whole reply to a call, tried again likewise.

        Args:
            is_json: Whether only JSON is an answer of the service.
        """
        end = time.monotonic() + self.patience
        attempt = 0
        while True:
            reply = yield call
            if reply.status == 204 or (200 <= reply.status < 300 and (not is_json or reply.body is not None)):
                return reply
            error = error_of(reply, self.url)
            has_not_begun = reply.is_unsent or reply.status == 429
            if not (has_not_begun or (call.is_repeatable and _is_passing(reply, error))):
                raise error
            # Waits of random length, twice as long each time (Brooker, "Exponential backoff and jitter", AWS (2015)).
            seconds = max(_retry_after(reply), self._random.uniform(0.0, min(10.0, 0.2 * 2.0 ** min(attempt, 10))))
            if time.monotonic() + seconds > end:
                raise error
            yield Pause(seconds)
            attempt += 1

    def _understood(self, kind: type[T], call: Call) -> Steps[T]:
        """The answer to a call as an object of a class."""
        return understood(kind, (yield from self._ask(call)), self.url)

    def _page(self, kind: type[T], path: str, /, **query: str | None) -> Steps[tuple[list[T], str | None]]:
        """A page of a list and the cursor of the next page; None at the end."""
        body = yield from self._ask(Call("GET", path, query=given(**query)))
        page = body if isinstance(body, dict) else {}
        return understood(list[kind], page.get("items"), self.url), page.get("next")  # type: ignore[valid-type]

    def _all(self, kind: type[T], path: str, /, **query: str | None) -> Steps[list[T]]:
        """All of a list, page by page."""
        found: list[T] = []
        cursor: str | None = None
        while True:
            items, cursor = yield from self._page(kind, path, cursor=cursor, limit="200", **query)
            found += items
            if cursor is None:
                return found

    def headers(self, call: Call) -> dict[str, str]:
        """The headers of a call."""
        own = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return {"Content-Type": "application/json", **own, **call.headers}

    def follow(self, after: int | None, **filters: str | None) -> EventStream:
        """The stream of events after one of them."""
        return EventStream(self.url, self.patience, after, given(**filters))


class EventStream:
    """A stream of events that goes on where it broke off."""

    def __init__(self, url: str, patience: float, after: int | None, filters: Mapping[str, str]) -> None:
        self._url, self._patience, self._after, self._filters = url, patience, after, filters
        self._heard = time.monotonic()
        self._attempt = 0
        self._fields: dict[str, str] = {}

    @property
    def call(self) -> Call:
        """The call that opens the stream, after the last event that came."""
        headers = {"Accept": "text/event-stream"} | ({} if self._after is None else {"Last-Event-ID": str(self._after)})
        return Call("GET", "/v1/events", query=self._filters, headers=headers, wait=SILENCE)

    def read(self, line: str) -> Event | None:
        """Take in one line; the event that it ends, if it ends one.

        Source: HTML Living Standard, section 9.2.6 "Interpreting an event stream".
        """
        self._heard, self._attempt = time.monotonic(), 0
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            self._fields[name] = f"{self._fields[name]}\n{value}" if name == "data" and name in self._fields else value
            return None
        fields, self._fields = self._fields, {}
        if re.fullmatch(r"\d{1,18}", fields.get("id", "")):
            self._after = int(fields["id"])
        return understood(Event, Reply(content=fields["data"].encode()).body, self._url) if "data" in fields else None

    def broke(self, reply: Reply) -> float:
        """The wait before the stream is opened again, s.

        Raises:
            FrugalTwinError: Opening it again would not help, or `patience` is over.
        """
        self._fields = {}
        error = error_of(reply, self._url)
        was_open = 200 <= reply.status < 300
        if not (was_open or _is_passing(reply, error)) or time.monotonic() - self._heard > self._patience:
            raise error
        self._attempt += 1
        return max(_retry_after(reply), random.uniform(0.0, min(10.0, 0.2 * 2.0 ** min(self._attempt, 10))))  # noqa: S311 - no secret


def without_secrets(url: str) -> str:
    """An address as it may be shown.

    >>> without_secrets("http://me:secret@lab/rigs/a?token=secret")
    'http://…@lab/rigs/a'
    """
    return re.sub(r"//[^/]*@", "//…@", re.split(r"[?#]", url)[0])


def _address(url: str) -> str:
    parts = urlsplit(url)
    try:
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        has_host = False
    if parts.username or parts.password or "@" in parts.netloc:
        raise InvalidInput("an address holds no name and no password, because it is stored and shown; put the token into FRUGALTWIN_TOKEN")
    if parts.scheme not in ("http", "https") or not has_host or parts.query or parts.fragment:
        raise InvalidInput(f"{without_secrets(url)!r} is no address of a service; write one like http://192.168.1.20:8000")
    return url.rstrip("/").removesuffix("/v1")


def given(**arguments: Any) -> dict[str, Any]:
    """The arguments that are not None."""
    return {name: value for name, value in arguments.items() if value is not None}


def amounts(limits: Mapping[str, float] | int | None) -> Mapping[str, float] | None:
    """A budget by kind; a number counts runs."""
    return {"runs": limits} if isinstance(limits, int) else limits


def part(word: str) -> str:
    """A name or an id as a part of an address.

    Raises:
        InvalidInput: It cannot be one.
    """
    if word in ("", ".", ".."):
        raise InvalidInput(f"{word!r} is no name and no id")
    return quote(word, safe="")


def understood(kind: type[T], body: Any, url: str) -> T:
    """A JSON value as an object of a class; fields that this version does not know are ignored.

    Raises:
        LinkError: The value does not fit the class.
    """
    from pydantic import ValidationError

    try:
        return cast(T, _adapter(kind).validate_python(body))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise LinkError(
            f"{url} gave an answer without a sensible {where or 'body'}; is it a service of Frugal Twin, of this version?"
        ) from error


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    """Pydantic's adapter of a class, made once: it parses sources for descriptions, which Python 3.11 cannot do in two threads at once."""
    from pydantic import TypeAdapter

    with _making_adapters:
        if kind not in _adapters:
            _adapters[kind] = TypeAdapter(kind)
        return _adapters[kind]


_adapters: dict[type[Any], TypeAdapter[Any]] = {}
_making_adapters = threading.Lock()


def error_of(reply: Reply, url: str) -> FrugalTwinError:
    """The error that a reply without an answer means."""
    body = reply.body
    if reply.failure:
        return LinkError(f"no answer from {url}: {reply.failure}; is the service running, and is that its address?")
    if not isinstance(body, dict) or not isinstance(body.get("detail"), str) or not isinstance(body.get("type"), str):
        return LinkError(f"{url} answered {reply.status}, but not as a service of Frugal Twin does; is that its address?")
    name = body["type"].rpartition("/")[2]
    error = KINDS.get(name, OF_STATUS.get(reply.status, FrugalTwinError))(body["detail"])
    error.problem = body
    return error


KINDS: Mapping[str, type[FrugalTwinError]] = {"unknown-name": UnknownName, "rig-offline": LinkError, "too-slow": LinkError}
OF_STATUS: Mapping[int, type[FrugalTwinError]] = (
    dict.fromkeys((401, 402, 403, 409, 410, 429), Refused)
    | {404: UnknownName, 501: MissingPart, 503: StoreError}
    | dict.fromkeys((400, 405, 406, 413, 415, 422, 431), InvalidInput)
)
"""The errors of problem documents, by their name or else by their status."""


def _is_passing(reply: Reply, error: FrugalTwinError) -> bool:
    """Whether the same call may succeed later."""
    if reply.failure or error.problem is None:
        return bool(reply.failure) or reply.status in (502, 503, 504)  # of a proxy whose service is just starting
    return bool(error.problem.get("retryable"))


def _retry_after(reply: Reply) -> float:
    """The wait that the service asks for, s."""
    words = reply.headers.get("retry-after", "")
    return float(words) if re.fullmatch(r"\d{1,6}", words) else 0.0
