"""The two forms of the tests: the short one, and the long one with ``FRUGALTWIN_LONG=1``. See docs/testing.md."""

import itertools
import os
from collections.abc import Iterable
from typing import Any

IS_LONG = os.environ.get("FRUGALTWIN_LONG", "0") not in ("", "0")


def times(short: int, long: int) -> int:
    """How often something is repeated in this form."""
    return long if IS_LONG else short


def each(*factors: Iterable[Any]) -> list[tuple[Any, ...]]:
    """All combinations in the long form; in the short one as many as let each value occur, with ever other values of the other factors."""
    values = [list(factor) for factor in factors]
    if IS_LONG:
        return list(itertools.product(*values))
    return [tuple(v[(k + k // len(v)) % len(v)] for v in values) for k in range(max(map(len, values)))]


def combinations(*factors: Iterable[Any]) -> list[tuple[Any, ...]]:
    """All combinations in the long form; in the short one as many as let each value meet each value of every other factor.

    Source: Cohen, Dalal, Fredman & Patton, IEEE Trans. Software Eng. 23 (1997) 437, doi:10.1109/32.605761 (most faults need two values).
    """
    values = [list(factor) for factor in factors]
    every = list(itertools.product(*(range(len(v)) for v in values)))
    chosen, met = list[tuple[int, ...]](), set[tuple[int, int, int, int]]()

    def new(combination: tuple[int, ...]) -> set[tuple[int, int, int, int]]:
        return {(i, j, combination[i], combination[j]) for i, j in itertools.combinations(range(len(values)), 2)} - met

    while not IS_LONG and (found := max(every, key=lambda c: len(new(c)))) and (pairs := new(found)):
        chosen.append(found)
        met |= pairs
    return [tuple(v[k] for v, k in zip(values, combination, strict=True)) for combination in (every if IS_LONG else chosen)]
