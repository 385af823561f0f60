"""Faults of an emulated board, its sensor, its line and its liquids, by name and time."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from frugaltwin.errors import InvalidInput, UnknownName

FAULTS: Mapping[str, tuple[str, bool]] = {
    "siphoning": ("the stopped pump of a liquid leaks 0.02 mL/s into the cell", True),
    "silent-pump": ("the pump of a liquid turns and moves nothing", True),
    "bubble": ("the next dose of a liquid has 0.15 mL of air in it", True),
    "empty-bottle": ("the bottle of a liquid is empty", True),
    "dead-lamp": ("the lamp stays dark", False),
    "stuck-sensor": ("the sensor repeats its last reading", False),
    "i2c-hang": ("the sensor holds the bus down", False),
    "stuck-sda": ("the sensor was left in mid-byte and holds SDA down until it has seen nine clocks", False),
    "glare": ("a flickering light leaks in, whose peaks saturate an AS7341's analog part", False),
    "hang": ("the firmware hangs, until its watchdog resets it", False),
    "reset": ("somebody pulls the reset pin", False),
    "power-cycle": ("the power goes and comes back", False),
    "bootloader": ("every reset from then on leaves the board deaf for 1.6 s", False),
    "stop-switch": ("the emergency switch is open", False),
    "serial-noise": ("0.4 % of the bytes are flipped and 0.4 % lost, both ways", False),
    "unplugged": ("the cable is out", False),
}
"""Meaning of each fault, and whether it is of a liquid."""
MOMENTARY = ("hang", "reset", "power-cycle", "bubble", "stuck-sda")


@dataclass(frozen=True)
class Fault:
    """A fault, with its time."""

    name: str
    at: float = 0.0
    """s of the board's time at which it begins."""
    lasts: float = float("inf")
    """s until it ends by itself."""
    liquid: str = ""
    """Liquid whose pump or bottle it is."""


def parse_faults(words: str, liquids: Collection[str] = ()) -> tuple[Fault, ...]:
    """Faults in words: ``NAME[:LIQUID][@SECONDS[+SECONDS]]``, separated by commas: when it begins, and how long it lasts.

    >>> parse_faults("reset@40,empty-bottle:red@60+30", ["red", "water"])
    (Fault(name='reset', at=40.0, lasts=inf, liquid=''), Fault(name='empty-bottle', at=60.0, lasts=30.0, liquid='red'))

    Raises:
        UnknownName: There is no such fault.
        InvalidInput: It needs a liquid, of another name, or cannot be understood.
    """
    return tuple(_parsed(word.strip(), liquids) for word in words.split(",") if word.strip())


def _parsed(word: str, liquids: Collection[str]) -> Fault:
    number = r"\d+(?:\.\d+)?"
    match = re.fullmatch(rf"([a-z0-9-]+)(?::([a-z]+))?(?:@({number})(?:\+({number}))?)?", word)
    if match is None:
        raise InvalidInput(f"fault {word!r}: write NAME, NAME@SECONDS or NAME:LIQUID@SECONDS+SECONDS")
    name, liquid, at, lasts = match.groups()
    if name not in FAULTS:
        near = get_close_matches(name, FAULTS, n=1)
        raise UnknownName(f"there is no fault {name!r}; " + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(FAULTS)}"))
    if FAULTS[name][1] != bool(liquid):
        raise InvalidInput(f"fault {word!r}: {name} " + ("needs a liquid, as in " + name + ":red" if not liquid else "is of no liquid"))
    if liquid and liquid not in liquids:
        raise InvalidInput(f"fault {word!r}: there is no {liquid}; there are {', '.join(liquids)}")
    return Fault(name, float(at or 0), float(lasts) if lasts else float("inf"), liquid or "")
