"""The text of a goal: its objectives and its requirements, as people write them."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from frugaltwin.errors import InvalidInput

_BETWEEN = re.compile(r";\s*(?=require\s|[^;:]+:)")
_REQUIREMENT = re.compile(r"(.*\S)\s*(<=|>=|≤|≥)\s*(\S+)")


@dataclass(frozen=True)
class Bound:
    """A requirement in words: a quantity, and the number that it may reach."""

    quantity: str
    is_upper: bool
    value: float


def joined(objectives: Sequence[str], requirements: Sequence[str]) -> str:
    """One text of several.

    >>> joined(["minimize:cost", "maximize:yield"], ["purity >= 0.9"])
    'minimize:cost; maximize:yield; require purity >= 0.9'
    """
    named = [text.strip() for text in objectives if text.strip()]
    if len(named) + len(requirements) > 1:  # so that `split` finds a name without an argument, too
        named = [text if ":" in text else f"{text}:" for text in named]
    return "; ".join([*named, *(f"require {text.strip()}" for text in requirements)])


def split(text: str) -> tuple[list[str], list[Bound]]:
    """The objectives and the requirements of a goal's text.

    Raises:
        InvalidInput: A requirement is not one.

    >>> split("minimize:cost; require purity >= 0.9")
    (['minimize:cost'], [Bound(quantity='purity', is_upper=False, value=0.9)])
    """
    parts = [part.strip() for part in _BETWEEN.split(text)]
    objectives = [part for part in parts if part and not part.startswith("require ")]
    return objectives, [bound(part.removeprefix("require ")) for part in parts if part.startswith("require ")]


def bound(text: str) -> Bound:
    """The requirement of words such as ``t_415 <= 0.3``.

    Raises:
        InvalidInput: They are not of that form.
    """
    found = _REQUIREMENT.fullmatch(text.strip())
    try:
        value = float(found[3]) if found else math.nan
    except ValueError:
        value = math.nan
    if not found or not math.isfinite(value):
        raise InvalidInput(f"the requirement {text!r} is not of the form OUTCOME <= VALUE or OUTCOME >= VALUE", field="require")
    return Bound(found[1].strip(), found[2] in ("<=", "≤"), value)


def quantities(text: str) -> list[str]:
    """The words for what a goal's text is about: what follows the goals' names, and what is required.

    >>> quantities("minimize:cost; map:phase; require purity >= 0.9")
    ['cost', 'phase', 'purity']
    """
    objectives, requirements = split(text)
    named = [part.partition(":")[2].strip() for part in objectives] + [r.quantity for r in requirements]
    return list(dict.fromkeys(name for name in named if name))
