"""Answers of the tools: one plain sentence, the same as data, and pictures."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from frugaltwin.amounts import PURSE

_UNITS = {kind.name: kind.unit or kind.name.replace("_", " ") for kind in PURSE}
SIDE = 48
"""Pixels of a swatch."""


@dataclass(frozen=True)
class Answer:
    """The answer of a tool."""

    sentence: str
    found: Mapping[str, Any] = field(default_factory=dict[str, Any])
    pictures: Sequence[bytes] = ()
    """PNG files."""
    is_refusal: bool = False

    def with_left(self, left: Mapping[str, float | None]) -> Answer:
        """The same with what is left to spend; a kind without limit is null."""
        limited = {kind: amount for kind, amount in left.items() if amount is not None}
        words = ", ".join(f"{amount:g} {_UNITS[kind]}" for kind, amount in limited.items())
        said = f"Left: {words}." if words else "Nothing limits what you spend."
        return replace(self, sentence=f"{self.sentence} {said}", found={**self.found, "left": dict(left)})


def refusal(problem: Mapping[str, Any]) -> Answer:
    """A refusal: its sentence says what to do next, and the problem document says it for machines."""
    end = "" if problem["detail"].endswith((".", "?", "!")) else "."
    return Answer(f"Refused: {problem['detail']}{end}", {"problem": problem}, is_refusal=True)


def quoted(words: str) -> str:
    """Words of a user in quotation marks: data, whatever they say."""
    return json.dumps(words, ensure_ascii=False)


def brief(resource: Mapping[str, Any], *without: str) -> dict[str, Any]:
    """A resource without what is nothing, and without some fields."""
    return {name: value for name, value in resource.items() if value is not None and name not in without}


def values(said: Mapping[str, Any]) -> str:
    """Settings or outcomes in words."""
    return ", ".join(f"{name} = {value:.4g}" if isinstance(value, float | int) else f"{name} = {value}" for name, value in said.items())


def swatches(colors: Sequence[str]) -> bytes:
    """Colors side by side, as a PNG file.

    Source of the format: ISO/IEC 15948:2004, with a palette.

    Args:
        colors: As ``#rrggbb``; at most 256.
    """
    row = b"\0" + b"".join(bytes([k]) * SIDE for k in range(len(colors)))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", SIDE * len(colors), SIDE, 8, 3, 0, 0, 0)),
        (b"PLTE", b"".join(bytes.fromhex(code[1:]) for code in colors)),
        (b"IDAT", zlib.compress(row * SIDE)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
