"""Mishaps of a pump's doses: bubbles, drops that hang, a tube that slips, a pump that clogs and comes back. Rare and large.

How often they happen, and how much they do, are assumptions; a tidy lab has none.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from frugaltwin.data_sheets import Changes, Options, option

BUBBLE = 0.15  # mL of air; an assumption
DROP = 0.05  # mL: twenty drops are a mL
SLIP = 0.3  # part of a dose that is missing when the tube slips; an assumption
CLOGGED = 0.5  # part of a dose that a clogged pump delivers; an assumption
CLOGGED_DOSES = 6  # until it comes back; an assumption


def imperfection(meaning: str, changes: Changes = "imperfections", usual: float = 1.0) -> Any:
    """The option of the size of an imperfection."""
    return option(usual, meaning, allowed=(0, 10), changes=changes)


def mishap(meaning: str) -> Any:
    """The option of the size of an imperfection that a tidy lab has not."""
    return imperfection(meaning, usual=0.0)


class MishapOptions(Options):
    """Options of how often each mishap happens: 1 is as in a teaching lab, 0 is never."""

    profiles: ClassVar = {"teaching-lab": dict.fromkeys(("bubbles", "drops", "slips", "clogs"), 1.0)}

    bubbles: float = mishap("in 1 % of doses a bubble of 0.15 mL takes the place of liquid")
    drops: float = mishap("in 1 % of doses 0.05 mL hang at the outlet, and fall with the next dose of that pump")
    slips: float = mishap("in 0.5 % of doses the tube slips, and 30 % of the dose are missing")
    clogs: float = mishap("in 0.3 % of doses a pump clogs: half of that dose and of the next five comes, then it is free again")


class Mishaps:
    """The mishaps of some pumps."""

    def __init__(self, sizes: MishapOptions, pumps: Iterable[str], random: np.random.Generator) -> None:
        self._sizes, self._random = sizes, random
        self._is_unlucky = any((sizes.bubbles, sizes.drops, sizes.slips, sizes.clogs))
        self._hanging = dict.fromkeys(pumps, 0.0)  # mL at the outlet of a pump
        self._clogged = dict.fromkeys(self._hanging, 0)  # doses until it is free again

    def left_of(self, volume: float, pump: str) -> float:
        """Volume that arrives of a dose, mL."""
        if not self._is_unlucky:
            return volume
        sizes = self._sizes
        if self._happens(0.003 * sizes.clogs):
            self._clogged[pump] = CLOGGED_DOSES
        if self._clogged[pump]:
            self._clogged[pump] -= 1
            volume *= CLOGGED
        if self._happens(0.005 * sizes.slips):
            volume *= 1 - SLIP
        if self._happens(0.01 * sizes.bubbles):
            volume = max(0.0, volume - BUBBLE)
        fallen, self._hanging[pump] = self._hanging[pump], 0.0
        if self._happens(0.01 * sizes.drops):
            self._hanging[pump] = min(volume, DROP)
        return volume + fallen - self._hanging[pump]

    def _happens(self, probability: float) -> bool:
        return probability > 0 and bool(self._random.random() < probability)
