"""Files that results are written to: refused before the work begins, not after it."""

import os
from pathlib import Path

from frugaltwin.errors import InvalidInput


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
