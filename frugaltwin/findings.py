"""Findings of a check, of this machine or of the service's database."""

from dataclasses import dataclass

SOUND_SQLITE = (3, 51, 3)
"""The oldest sound version: older ones can lose data when several connections write while the write-ahead log is reset."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    status: str
    """``ok``, ``warning``, ``problem`` or ``absent`` (an optional part)."""
    about: str
    """The part that was checked."""
    text: str
