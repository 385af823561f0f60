"""Differences between a recorded session of a rig and its replay on the emulated board."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev
from typing import Any

from hardware.arduino_mixer import CHANNELS
from hardware.serial.link import parsed, unframed
from hardware.serial.recorder import Line

REPEAT = (0.02, 0.002)
"""Repeat error of a dose that the twin assumes: relative, and g."""
CENTIGRAM = 0.01 / math.sqrt(12)  # rms of what a scale of 10 mg rounds away
ANSWER_ERROR = 2.0  # ms; an assumption, for the computer's side of the line
FAR = 3.0  # standard errors


@dataclass
class Session:
    """Facts about a board that a session tells."""

    answers: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Times until answers, ms, by the word that was asked."""
    counts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Counts by lamp and channel."""
    events: Counter[str] = field(default_factory=Counter)
    """How often each event came."""
    refusals: Counter[str] = field(default_factory=Counter)
    """How often which word was refused for which reason."""


def read_sessions(sessions: Sequence[Sequence[Line]]) -> Session:
    """Facts that the lines of sessions tell. Counts are of the last one that has any: something may have been put right before it."""
    all_of_it = Session()
    for lines in sessions:
        one = _read(lines)
        for word, times in one.answers.items():
            all_of_it.answers[word] += times
        all_of_it.counts = one.counts or all_of_it.counts
        all_of_it.events += one.events
        all_of_it.refusals += one.refusals
    return all_of_it


def _read(lines: Sequence[Line]) -> Session:
    found = Session()
    sent: dict[int, tuple[float, str]] = {}
    lamp = "dark"
    for line in lines:
        raw = line.text.encode("latin-1")
        text = (unframed(raw) or b"").decode("latin-1")
        if line.is_sent:
            number, _, asked = text.partition(" ")
            if number.isdigit() and asked and int(number) not in sent:
                sent[int(number)] = line.at, asked
            continue
        if text.startswith("!"):
            found.events[text[1:].partition(" ")[0]] += 1
        reply = parsed(raw)
        if reply is None or reply.seq not in sent:
            continue
        at, asked = sent.pop(reply.seq)
        word = asked.split()[0]
        if reply.error:
            found.refusals[f"{word}: {' '.join(reply.values)}"] += 1
            continue
        found.answers[word].append(1e3 * (line.at - at))
        if word == "LED":
            lamp = "lit" if asked.endswith("1") else "dark"
        if word == "READ?":
            channels = next((names for names in CHANNELS.values() if len(names) == len(reply.values)), ())
            for name, count in zip(channels, reply.values, strict=False):
                found.counts[f"{lamp}, {name}"].append(float(count))
    return found


def differences(
    rig: Sequence[Sequence[Line]],
    twin: Sequence[Sequence[Line]],
    weighed: Sequence[Sequence[float]],
    moved: Sequence[Sequence[float]],
) -> list[dict[str, Any]]:
    """Table of differences between rig and twin.

    Args:
        rig: What went over the rig's line, session by session.
        twin: The same of the replay.
        weighed: Pump, s, g of each dose that was weighed at the rig, [n, 3].
        moved: The same of the replay, [m, 3].

    Returns:
        Rows of quantity, unit, both means, their difference, its standard error (by what the twin assumes, or by the scatter if that is
        larger), and whether the difference is more than three of these.
    """
    here, there = read_sessions(rig), read_sessions(twin)
    rows = list(_doses(weighed, moved))
    rows += [
        _row(f"counts, {name}", "counts", here.counts[name], there.counts[name], _counting) for name in here.counts if name in there.counts
    ]
    rows += [
        _row(f"answer to {word}", "ms", here.answers[word], there.answers[word], lambda _: ANSWER_ERROR)
        for word in sorted(here.answers)
        if word in there.answers
    ]
    return [*rows, *_numbers("event", here.events, there.events), *_numbers("refused", here.refusals, there.refusals)]


def _doses(weighed: Sequence[Sequence[float]], moved: Sequence[Sequence[float]]) -> Iterator[dict[str, Any]]:
    for pump, seconds in sorted({(int(p), s) for p, s, _ in weighed}):
        rig, twin = ([m for p, s, m in those if (p, s) == (pump, seconds)] for those in (weighed, moved))
        if rig and twin:
            yield _row(f"dose, pump {pump}, {seconds:g} s", "g", rig, twin, lambda m: math.hypot(REPEAT[0] * m, REPEAT[1], CENTIGRAM))


def _counting(count: float) -> float:
    return math.sqrt(max(count, 1.0))


def _row(quantity: str, unit: str, rig: Sequence[float], twin: Sequence[float], assumed: Callable[[float], float]) -> dict[str, Any]:
    """A row of two means.

    Args:
        assumed: The standard deviation that the twin assumes, from its mean.
    """
    a, b = mean(rig), mean(twin)
    spread = [max(assumed(b), stdev(values) if len(values) > 1 else 0.0) / math.sqrt(len(values)) for values in (rig, twin)]
    return _compared(quantity, unit, a, b, math.hypot(*spread))


def _numbers(kind: str, rig: Mapping[str, int], twin: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for name in sorted({*rig, *twin}):
        yield _compared(f"{kind} {name}", "times", rig.get(name, 0), twin.get(name, 0), 0.0)


def _compared(quantity: str, unit: str, rig: float, twin: float, error: float) -> dict[str, Any]:
    difference = rig - twin
    return {
        "quantity": quantity, "unit": unit, "rig": round(rig, 4), "twin": round(twin, 4), "difference": round(difference, 4),
        "error": round(error, 4), "differs": abs(difference) > FAR * error,
    }  # fmt: skip
