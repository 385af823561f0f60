"""What is asked of a service, when it is asked again, and what an answer means; who sends it is not known here.

A thing to be asked is a generator: it yields calls and pauses and is sent the replies. So a client that blocks and one that does not
differ only in how they carry that out. Asked again is what can do no harm: a GET, a POST with an idempotency key, and whatever the service
cannot have begun.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote, urlsplit
from uuid import uuid4

from frugaltwin.answers import CampaignStatus, CampaignTrial, Event, Joined, Me, Quote, Rig, Submission
from frugaltwin.errors import FrugalTwinError, InvalidInput, LinkError, MissingPart, Refused, StoreError, UnknownName
from frugaltwin.experiment import Settings
from frugaltwin.token_file import checked_token, keep_token, kept_token

LONGEST_WAIT = 20
"""s that one request waits for an experiment."""
SILENCE = 45.0
"""s without a byte after which a stream of events counts as broken; the service says something every 15 s."""

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
    """s for which the service may keep it."""

    @property
    def is_repeatable(self) -> bool:
        """Whether it does no harm when it is done already."""
        return self.method in ("GET", "PUT", "DELETE") or "Idempotency-Key" in self.headers


@dataclass(frozen=True)
class Reply:
    """What came back; or, with a `failure`, the reason why nothing did."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content: bytes = b""
    failure: str = ""
    is_unsent: bool = False
    """Nothing reached the service."""

    @property
    def body(self) -> Any:
        """The JSON in it; None when it is none."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True)
class Pause:
    """Nothing to be sent for a while, s."""

    seconds: float


Steps: TypeAlias = Generator[Call | Pause, Reply, T]
"""What is to be done, one after the other; the reply to each call is sent in."""

NOTHING = Reply()


class Requests:
    """Everything that can be asked of a service, and when it is asked again."""

    def __init__(self, url: str, token: str | None, patience: float) -> None:
        """See `Client`."""
        self.url = _address(url)
        self.patience = patience
        self._token = checked_token(token, "the token") if token is not None else kept_token()
        self._random = random.Random()  # noqa: S311 - spreads retries, nothing secret

    def join(self, code: str, name: str, keep: bool = False) -> Steps[Joined]:
        """Come into a class; from then on this client is you.

        Args:
            code: What stands on the board.
            name: Yours, as the instructor shall see it.
            keep: Write the token into ``~/.config/frugaltwin/token``, readable by you alone.

        Raises:
            Refused: The code is unknown, used up or expired.
        """
        body = yield from self._ask(Call("POST", "/v1/join", {"code": code, "name": name}))
        joined = _understood(Joined, body, self.url)
        self._token = checked_token(joined.token, "the token that came")
        if keep:
            keep_token(joined.token)
        return joined

    def me(self) -> Steps[Me]:
        """Who you are to the service, what you may do, and what is left of your budget."""
        return _understood(Me, (yield from self._ask(Call("GET", "/v1/me"))), self.url)

    def rigs(self) -> Steps[list[Rig]]:
        """All rigs."""
        body = yield from self._ask(Call("GET", "/v1/rigs"))
        return _items(Rig, body, self.url)[0]

    def rig(self, name: str) -> Steps[Rig]:
        """One rig: what it can be asked to do, and whether it is open.

        Raises:
            UnknownName: There is no such rig.
        """
        return _understood(Rig, (yield from self._ask(Call("GET", f"/v1/rigs/{_part(name)}"))), self.url)

    def steer(self, name: str, action: str) -> Steps[Rig]:
        """``stop`` a rig (what runs is aborted), ``pause`` it (what runs is finished), or ``open`` it again. For instructors.

        A student may stop a real rig while an experiment of their own runs on it.

        Raises:
            InvalidInput: There is no such action.
            Refused: The token does not allow it.
            UnknownName: There is no such rig.
        """
        if action not in ("stop", "pause", "open"):
            raise InvalidInput(f"a rig cannot be told to {action}; say stop, pause or open")
        # Done twice it is done, so the key only says that it may be sent again.
        call = Call("POST", f"/v1/rigs/{_part(name)}/{action}", headers={"Idempotency-Key": uuid4().hex})
        return _understood(Rig, (yield from self._ask(call)), self.url)

    def approve(self, name: str, person: str, is_approved: bool = True) -> Steps[None]:
        """Let a person (``u_…``) use a real rig, or no longer. For instructors.

        Raises:
            Refused: The token does not allow it.
            UnknownName: There is no such rig, or no such person.
        """
        yield from self._ask(Call("PUT" if is_approved else "DELETE", f"/v1/rigs/{_part(name)}/approvals/{_part(person)}"))

    def submit(
        self, rig: str, settings: Settings, wait: float = 0.0, key: str | None = None, campaign: str | None = None, trial: int | None = None
    ) -> Steps[Submission]:
        """Submit settings to a rig. Sent again after a failure, they are performed once.

        Args:
            wait: s to wait for the end of it; it may come back unfinished.
            key: Your name for this request: under the same name it is done once, whoever sends it again. Made up without it.
            campaign: The id of a campaign in the mode client that it is a trial of.
            trial: Its number in that campaign.

        Raises:
            InvalidInput: The rig does not allow these settings, or the key was used for others.
            Refused: The token or the budget does not allow it, or the rig was stopped.
            UnknownName: There is no such rig.
        """
        body = _given(rig=rig, settings=dict(settings), campaign=campaign, trial=trial)
        call = Call("POST", "/v1/experiments", body, headers={"Idempotency-Key": key or uuid4().hex})
        submitted = _understood(Submission, (yield from self._ask(call)), self.url)
        return (yield from self.wait(submitted.id, wait)) if wait > 0 else submitted

    def price(self, rig: str, settings: Settings) -> Steps[Quote]:
        """What settings would cost and whether they would be accepted. Nothing is spent and nothing moves.

        Raises:
            InvalidInput: The rig does not allow these settings.
            UnknownName: There is no such rig.
        """
        # A dry run changes nothing, so the key only says that it may be sent again.
        body = {"rig": rig, "settings": dict(settings), "dry_run": True}
        call = Call("POST", "/v1/experiments", body, headers={"Idempotency-Key": uuid4().hex})
        return _understood(Quote, (yield from self._ask(call)), self.url)

    def experiment(self, identity: str) -> Steps[Submission]:
        """One of your experiments, as it is now.

        Raises:
            UnknownName: You have no such experiment.
        """
        return (yield from self._experiment(identity, 0.0))

    def wait(self, identity: str, seconds: float = 600.0) -> Steps[Submission]:
        """One of your experiments, as soon as it has ended, or as it is when the time is over.

        Raises:
            UnknownName: You have no such experiment.
        """
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            asked = time.monotonic()
            found = yield from self._experiment(identity, max(0.0, min(left, LONGEST_WAIT)))
            if found.is_done or (left := end - time.monotonic()) <= 0:
                return found
            if time.monotonic() - asked < 0.5:  # it did not wait: it is shutting down, or a proxy answered
                yield Pause(min(0.5, left))

    def page(
        self, cursor: str | None = None, campaign: str | None = None, state: str | None = None
    ) -> Steps[tuple[list[Submission], str | None]]:
        """Some of your experiments, newest first, and where the next ones begin; None at the end."""
        body = yield from self._ask(Call("GET", "/v1/experiments", query=_given(cursor=cursor, campaign=campaign, state=state)))
        return _items(Submission, body, self.url)

    def abort(self, identity: str) -> Steps[Submission]:
        """Take an experiment back; if it is running, its rig is stopped.

        Raises:
            Refused: It has ended.
            UnknownName: You have no such experiment.
        """
        return _understood(Submission, (yield from self._ask(Call("POST", f"/v1/experiments/{_part(identity)}/abort"))), self.url)

    def start_campaign(
        self,
        name: str,
        rig: str,
        goal: str | None = None,
        strategy: str | None = None,
        seed: int | None = None,
        budget: Mapping[str, float] | int | None = None,
        stop: float | None = None,
        approve: bool | None = None,
        mode: str = "server",
        key: str | None = None,
    ) -> Steps[CampaignStatus]:
        """Start a campaign on the service, which goes on whether or not you listen; one of that name goes on.

        Args:
            goal: Such as ``match-color:coral``; the rig's usual one without it.
            strategy: A name of the catalog; the goal's own without it.
            budget: Runs, or any of runs, seconds, money (USD) and volume (mL); 10 runs without it.
            stop: End as soon as a reading is this good.
            approve: Whether every suggestion waits for you.
            mode: ``server``, or ``client`` for one whose trials you submit.

        Raises:
            InvalidInput: A word is impossible.
            Refused: The token does not allow it, or there is one of that name with other words.
        """
        body = _given(goal=goal, strategy=strategy and {"name": strategy}, seed=seed, approve=approve)
        body |= _given(budget=_budget(budget), stop=None if stop is None else {"score": stop})
        body |= {"name": name, "rig": rig, "mode": mode}
        call = Call("POST", "/v1/campaigns", body, headers={"Idempotency-Key": key or uuid4().hex})
        return _understood(CampaignStatus, (yield from self._ask(call)), self.url)

    def campaign(self, identity: str) -> Steps[CampaignStatus]:
        """One of your campaigns, as it is now.

        Raises:
            UnknownName: You have no such campaign.
        """
        return _understood(CampaignStatus, (yield from self._ask(Call("GET", f"/v1/campaigns/{_part(identity)}"))), self.url)

    def act(self, identity: str, action: str, budget: Mapping[str, float] | int | None = None) -> Steps[CampaignStatus]:
        """Do something with a campaign of yours: ``pause``, ``resume``, ``stop``, or ``extend`` by a budget.

        Raises:
            Refused: Its state does not allow it.
            UnknownName: You have no such campaign.
        """
        body = _given(action=action, budget=_budget(budget))
        call = Call("POST", f"/v1/campaigns/{_part(identity)}/actions", body, headers={"Idempotency-Key": uuid4().hex})
        return _understood(CampaignStatus, (yield from self._ask(call)), self.url)

    def trials(self, identity: str) -> Steps[list[CampaignTrial]]:
        """All trials of a campaign of yours, in the order of their numbers; the last may be under way.

        Raises:
            UnknownName: You have no such campaign.
        """
        found: list[CampaignTrial] = []
        cursor: str | None = None
        while True:
            call = Call("GET", f"/v1/campaigns/{_part(identity)}/trials", query=_given(cursor=cursor, limit="200"))
            items, cursor = _items(CampaignTrial, (yield from self._ask(call)), self.url)
            found += items
            if cursor is None:
                return found

    def _experiment(self, identity: str, wait: float) -> Steps[Submission]:
        headers = {"Prefer": f"wait={int(wait) or 1}"} if wait > 0 else {}
        call = Call("GET", f"/v1/experiments/{_part(identity)}", headers=headers, wait=wait)
        return _understood(Submission, (yield from self._ask(call)), self.url)

    def _ask(self, call: Call) -> Steps[Any]:
        """The JSON that a call is answered with; tried again while that does no harm, makes sense, and `patience` lasts."""
        end = time.monotonic() + self.patience
        attempt = 0
        while True:
            reply = yield call
            body = reply.body
            if reply.status == 204 or (200 <= reply.status < 300 and body is not None):
                return body
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

    def headers(self, call: Call) -> dict[str, str]:
        """What goes before a call."""
        own = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return {"Content-Type": "application/json", **own, **call.headers}

    def follow(self, after: int | None, **filters: str | None) -> Following:
        """A stream of events that can break."""
        return Following(self.url, self.patience, after, _given(**filters))


class Following:
    """A stream of events that goes on where it broke off."""

    def __init__(self, url: str, patience: float, after: int | None, filters: Mapping[str, str]) -> None:
        self._url, self._patience, self._after, self._filters = url, patience, after, filters
        self._heard = time.monotonic()
        self._attempt = 0
        self._fields: dict[str, str] = {}

    @property
    def call(self) -> Call:
        """What opens the stream, after the last event that came."""
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
        return _understood(Event, Reply(content=fields["data"].encode()).body, self._url) if "data" in fields else None

    def broke(self, reply: Reply) -> float:
        """s until it is opened again.

        Raises:
            FrugalTwinError: That would not help, or it has been tried for long enough.
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


def _given(**words: Any) -> dict[str, Any]:
    return {name: word for name, word in words.items() if word is not None}


def _budget(limits: Mapping[str, float] | int | None) -> Mapping[str, float] | None:
    return {"runs": limits} if isinstance(limits, int) else limits


def _items(kind: type[T], body: Any, url: str) -> tuple[list[T], str | None]:
    """A page, and where the next one begins."""
    page = body if isinstance(body, dict) else {}
    return _understood(list[kind], page.get("items"), url), page.get("next")  # type: ignore[valid-type]


def _part(word: str) -> str:
    if word in ("", ".", ".."):
        raise InvalidInput(f"{word!r} is no name and no id")
    return quote(word, safe="")


def _understood(kind: type[T], body: Any, url: str) -> T:
    """JSON as one of our classes; fields that we do not know yet are passed over.

    Raises:
        LinkError: It is something else.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(body)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise LinkError(
            f"{url} gave an answer without a sensible {where or 'body'}; is it a service of Frugal Twin, of this version?"
        ) from error


def error_of(reply: Reply, url: str) -> FrugalTwinError:
    """What a reply means that is no answer."""
    body = reply.body
    if reply.failure:
        return LinkError(f"no answer from {url}: {reply.failure}; is the service running, and is that its address?")
    if not isinstance(body, dict) or not isinstance(body.get("detail"), str) or not isinstance(body.get("type"), str):
        return LinkError(f"{url} answered {reply.status}, but not as a service of Frugal Twin does; is that its address?")
    name = body["type"].rpartition("/")[2]
    error = KINDS.get(name, OF_STATUS.get(reply.status, FrugalTwinError))(body["detail"])
    error.problem = body
    return error


KINDS: Mapping[str, type[FrugalTwinError]] = {"unknown-name": UnknownName, "rig-offline": LinkError}
OF_STATUS: Mapping[int, type[FrugalTwinError]] = (
    dict.fromkeys((401, 402, 403, 409, 410, 429), Refused)
    | {404: UnknownName, 501: MissingPart, 503: StoreError}
    | dict.fromkeys((400, 405, 406, 413, 415, 422), InvalidInput)
)
"""Which error a problem document is, by its name or else by its status."""


def _is_passing(reply: Reply, error: FrugalTwinError) -> bool:
    """Whether the same call may be answered later."""
    if reply.failure or error.problem is None:
        return bool(reply.failure) or reply.status in (502, 503, 504)  # of a proxy whose service is just starting
    return bool(error.problem.get("retryable"))


def _retry_after(reply: Reply) -> float:
    """s that the service asks us to wait."""
    words = reply.headers.get("retry-after", "")
    return float(words) if re.fullmatch(r"\d{1,6}", words) else 0.0
