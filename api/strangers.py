"""Requests and connections that show no good token, in turn: a class does not wait for them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable

from api.records.people import digest

PACE = 0.05
"""s between the beginnings of two requests of strangers while others ask: a class of thirty has joined in 1.5 s, and strangers
take a twentieth of a core."""
LATELY = 10.0
"""s for which others count as asking: what they asked may still be under way."""
REMEMBERED = 10_000
"""Good tokens that are remembered at most."""
LONGEST = 200
"""Characters of what may be a token."""
OPEN = 300
"""Open connections of one person: all streams of all their tokens, and a hundred more."""
NEW = 20.0
"""New connections a second of one person; more are admitted by turns, as strangers' are."""
AT_ONCE = 100
"""New connections of one person that are not counted against that, at once."""


class Strangers:
    """Tokens that were good lately, and the turns of all others: a turn is a connection with its first request, or a later request.

    Each address has its turn, so that a class is not kept from joining by one address that asks on and on. While nobody else asks, a
    request begins with each turn of the event loop. None is refused: a classroom shares one address.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        """People by the digests of their tokens, those shown longest ago first."""
        self._open: Counter[str] = Counter()
        """Open connections by person."""
        self._new_until: dict[str, float] = {}
        """By person, until when their new connections are used up; s of a clock that cannot be set."""
        self._waiting: dict[str, deque[Callable[[], bool]]] = {}
        """By address, the address whose turn it is first."""
        self._begun = self._asked = float("-inf")
        """When a stranger's request began, and when somebody known asked; s of a clock that cannot be set."""
        self._timer: asyncio.Handle | None = None

    @property
    def have_turns(self) -> bool:
        """Whether strangers wait for each other, or for what others ask."""
        return bool(self._waiting) or self._pause(time.monotonic()) > 0

    @property
    def are_waiting(self) -> bool:
        """Whether some wait for their turn."""
        return bool(self._waiting)

    def whose(self, token: str) -> str | None:
        """The person whose token this was lately."""
        return self._known.get(digest(token)) if 0 < len(token) <= LONGEST else None

    def may_connect(self, person: str) -> bool:
        """Whether one more new connection of a person may be admitted at once; it counts."""
        now = time.monotonic()
        until = max(self._new_until.get(person, 0.0), now - AT_ONCE / NEW) + 1 / NEW
        if until <= now:
            self._new_until[person] = until
        return until <= now

    def open_connection(self, person: str) -> bool:
        """Count a connection of a person, if they may have one more."""
        if self._open[person] >= OPEN:
            return False
        self._open[person] += 1
        return True

    def close_connection(self, person: str) -> None:
        """Count it no longer."""
        self._open[person] -= 1
        if not self._open[person]:
            del self._open[person]

    def remember(self, known: Iterable[tuple[str, str]]) -> None:
        """Remember tokens that are good, by digest and person: after a restart nobody of a class is a stranger."""
        self._known |= dict(known)

    def welcome(self, token: str, person: str) -> None:
        """Remember that this token is good, and whose it is."""
        self.forget(token)
        self._known[digest(token)] = person
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]

    def forget(self, token: str) -> None:
        """Remember no longer that this token is good, if it ever was."""
        self._known.pop(digest(token), None)

    def admit(self, token: str, address: str, begin: Callable[[], bool]) -> None:
        """Begin a request, or let a connection in, when it is its turn; what shows a good token at once.

        Args:
            token: The one that the request shows, or nothing.
            begin: Begins it; returns whether it did, because the client may have gone.
        """
        now = time.monotonic()
        if self.whose(token) is not None:
            self._asked = now
            begin()
        elif not self._waiting and now >= self._begun + self._pause(now):
            self._begun = now
            begin()
        else:
            self._waiting.setdefault(address, deque()).append(begin)
            self._wait(now)

    def _pause(self, now: float) -> float:
        return PACE if now < self._asked + LATELY else 0.0

    def _wait(self, now: float) -> None:
        if self._timer is None and self._waiting:
            loop = asyncio.get_running_loop()
            wait = self._begun + self._pause(now) - now
            self._timer = loop.call_later(wait, self._next) if wait > 0 else loop.call_soon(self._next)

    def _next(self) -> None:
        """Begin the next request whose client is still there."""
        self._timer = None
        has_begun = False
        while self._waiting and not has_begun:
            address = next(iter(self._waiting))
            of_address = self._waiting.pop(address)
            has_begun = of_address.popleft()()
            if of_address:
                self._waiting[address] = of_address
        now = time.monotonic()
        if has_begun:
            self._begun = now
        self._wait(now)
