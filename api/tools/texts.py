"""Texts for hosts: data sheets as resources, and prompts to begin with."""

from __future__ import annotations

from collections.abc import Mapping

from frugaltwin import catalog
from frugaltwin.errors import UnknownName

SCHEME = "frugaltwin://"
KINDS = ("driver", "strategy")

_SHARED = (
    "Begin with look_around and read. Say in one sentence before each experiment what you expect, and afterwards whether it was so. "
    "Readings have noise: do not chase differences smaller than it. Keep an eye on what is left, and stop when more runs would not pay."
)
PROMPTS: Mapping[str, tuple[str, str]] = {
    "match-a-color": (
        "Find the recipe of a color on a rig or in a task",
        "Find the recipe that comes closest to the color on {where}, with as few runs as you can. Start a campaign in mode client so that "
        "each reading has a score, the color difference ΔE00 (2 is a good match), choose each recipe from the scores so far, and repeat "
        "the best one once before you trust it. If it is a task, hand in the recipe at the end.",
    ),
    "map-a-diagram": (
        "Map which phase stands where, on a rig or in a task",
        "Map the phases of {where}: find where one label gives way to the next. Spread the first runs, then go where neighboring readings "
        "disagree. Compare with a campaign in mode server with the goal of a map, if the budget allows both. If it is a task, hand in "
        "that campaign, or your own labels at the places that read tells.",
    ),
}


def sheets() -> dict[str, str]:
    """The first line of every data sheet, by its address."""
    return {f"{SCHEME}{kind}/{name}": catalog.summary(kind, name) for kind in KINDS for name in catalog.names(kind)}


def sheet(address: str) -> str:
    """A data sheet.

    Raises:
        UnknownName: There is none at this address.
    """
    kind, _, name = address.removeprefix(SCHEME).partition("/")
    if not address.startswith(SCHEME) or kind not in KINDS:
        raise UnknownName(f"there is nothing at {address[:80]!r}; data sheets are at {SCHEME}driver/NAME and {SCHEME}strategy/NAME")
    return catalog.data_sheet(kind, name)


def prompt(name: str, where: str) -> str:
    """A prompt about a rig or a task.

    Raises:
        UnknownName: There is none of that name.
    """
    if name not in PROMPTS:
        raise UnknownName(f"there is no prompt {name[:40]!r}; there are {', '.join(PROMPTS)}")
    return f"{PROMPTS[name][1].format(where=where[:40] or 'a rig of your choice')} {_SHARED}"
