"""The token of a person for a service: from the environment, or from a file that nobody else may read."""

import os
import re
import stat
from pathlib import Path

from frugaltwin.errors import InvalidInput

TOKEN_FILE = Path(".config", "frugaltwin", "token")
"""The file of the token under the home folder, used when neither an argument nor FRUGALTWIN_TOKEN gives one."""


def keep_token(token: str) -> Path:
    """Write a token into the file that `Client` reads, readable by you alone; return its path.

    Raises:
        InvalidInput: It is no token, or there is no place to write it.
    """
    path = Path.home() / TOKEN_FILE
    text = checked_token(token, "the token")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)  # one that others may read is not written into
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(text + "\n")
    except OSError as error:
        raise InvalidInput(f"cannot write the token into {path}: {error.strerror}; set FRUGALTWIN_TOKEN instead") from error
    return path


def check_none_is_kept() -> None:
    """Refuse to overwrite a token, which cannot be shown again.

    Raises:
        InvalidInput: The file holds one.
    """
    path = Path.home() / TOKEN_FILE
    if path.exists():
        raise InvalidInput(f"a token is kept in {path}: you have joined, and need not again; to be somebody else remove that file")


def kept_token() -> str | None:
    """The token of the environment, or of the file; None when there is none.

    Raises:
        InvalidInput: It is no token, or others may read it.
    """
    if words := os.environ.get("FRUGALTWIN_TOKEN", ""):
        return checked_token(words, "FRUGALTWIN_TOKEN")
    path = Path.home() / TOKEN_FILE
    try:
        mode = path.stat().st_mode
        words = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read the token in {path}; set FRUGALTWIN_TOKEN instead, or remove the file") from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise InvalidInput(f"others may read your token in {path}; say: chmod 600 {path}")
    return checked_token(words, str(path))


def checked_token(token: str, where: str) -> str:
    """A token that can stand in a header.

    Raises:
        InvalidInput: It is none; it is not shown, because it might be almost right.
    """
    text = token.strip()
    if not re.fullmatch(r"[!-~]{1,200}", text):
        raise InvalidInput(f"{where} is no token: it is one word such as ft_…, up to 200 letters; copy it again")
    return text
