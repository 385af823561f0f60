"""Limits on how much one token, one person or one network address may ask of the service at once.

Source of the token bucket: Turner, IEEE Communications Magazine 24, 10 (1986) 8, doi:10.1109/MCOM.1986.1092946.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from api.errors import TooMany
from api.records.people import Caller

PERSON_FACTOR = 2
"""Requests of all tokens of one person together, in multiples of what one token may: more tokens give no more requests."""
WAITS = 50
"""Requests of one person that may wait at once: each holds a connection."""
WRONG_CODES = 30
"""Wrong join codes of one address in a minute; right ones do not count, because a classroom shares one address."""
ADDRESSES = 10_000
"""Addresses remembered at most."""


@dataclass
class Bucket:
    """A token bucket: the number of requests that may be made now. It fills up by time, up to a limit."""

    level: float
    at: float
    """s of a clock that cannot be set."""

    def fill(self, now: float, rate: float, limit: float) -> None:
        """Fill it up to now.

        Args:
            rate: Per s.
        """
        self.level = self.level_at(now, rate, limit)
        self.at = now

    def level_at(self, now: float, rate: float, limit: float) -> float:
        """The level that it has now."""
        return min(limit, self.level + max(0.0, now - self.at) * rate)


class RateLimit:
    """The requests of each token and person, the wrong join codes of each address, and the requests that wait."""

    def __init__(self, requests_per_second: float, burst: float) -> None:
        """Nothing was asked yet.

        Args:
            requests_per_second: Of one token, for long.
            burst: Of one token, at once.
        """
        self._rate, self._burst = requests_per_second, burst
        self._buckets: dict[str, Bucket] = {}
        self._wrong_codes: dict[str, Bucket] = {}
        self._waits: Counter[str] = Counter()

    def count(self, caller: Caller) -> None:
        """Count a request. Workers have no limit.

        Raises:
            TooMany: Too many requests lately; this one is not counted.
        """
        if "work" in caller.scopes:
            return
        now = time.monotonic()
        allowing = []
        for key, factor, words in ((caller.token, 1, "one token"), (caller.person, PERSON_FACTOR, "all tokens of one person")):
            burst, rate = factor * self._burst, factor * self._rate
            bucket = self._buckets.setdefault(key, Bucket(burst, now))
            bucket.fill(now, rate, burst)
            if bucket.level < 1:
                wait = (1 - bucket.level) / rate
                raise TooMany(f"more than {rate:g} requests a second with {words}; wait {wait:.1f} s", retry_after=wait)
            allowing.append(bucket)
        for bucket in allowing:
            bucket.level -= 1

    @contextmanager
    def waiting(self, caller: Caller) -> Iterator[None]:
        """A request that waits for something.

        Raises:
            TooMany: Too many requests of this person wait.
        """
        if self._waits[caller.person] >= WAITS:
            raise TooMany(f"{WAITS} of your requests wait; let one of them end first")
        self._waits[caller.person] += 1
        try:
            yield
        finally:
            self._waits[caller.person] -= 1

    def count_wrong_code(self, address: str) -> None:
        """Count a wrong join code.

        Raises:
            TooMany: The address sent too many of them lately; this one is not counted.
        """
        now = time.monotonic()
        self._wrong_codes = _some(self._wrong_codes, now)
        bucket = self._wrong_codes.setdefault(address, Bucket(WRONG_CODES, now))
        bucket.fill(now, WRONG_CODES / 60, WRONG_CODES)
        if bucket.level < 1:
            words = f"{address} sent more than {WRONG_CODES} wrong codes in a minute; ask your instructor for the code, and wait"
            raise TooMany(words, retry_after=(1 - bucket.level) * 60 / WRONG_CODES)
        bucket.level -= 1


def _some(buckets: dict[str, Bucket], now: float) -> dict[str, Bucket]:
    """Those of the last minute, if there are too many."""
    return buckets if len(buckets) < ADDRESSES else {a: b for a, b in buckets.items() if now - b.at < 60}
