"""Checks before the work begins: of files that results are written to, of this machine, of the service's database."""

import os
from dataclasses import dataclass
from pathlib import Path

from frugaltwin.errors import InvalidInput

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


def check_writable(path: Path) -> None:
    """Refuse an output that cannot be written, before anything runs.

    Raises:
        InvalidInput: There is no such folder, or the file is not the user's to write.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise InvalidInput(f"cannot write {path}: there is no folder {folder}")
    if path.is_dir():
        raise InvalidInput(f"cannot write {path}: it is a folder")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise InvalidInput(f"cannot write {path}: it is not yours to write")


def write_text(path: Path, text: str) -> None:
    """Write a whole file.

    Raises:
        InvalidInput: It cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}; choose another file") from error
