"""Programs, folders, addresses and functions that a person of this machine has named: a store from elsewhere starts none of them."""

import contextlib
import hashlib
import os
from pathlib import Path


def allowed_file() -> Path:
    """The file of what was named, in the folder ``XDG_CONFIG_HOME`` or ``~/.config``.

    Each line is a digest of a campaign's id and of what performs its experiments.
    """
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "frugaltwin" / "experiments"


def allow(campaign: str, performer: str) -> None:
    """Keep that a person named the performer of a campaign. Where it cannot be kept, it has to be named each time.

    Args:
        campaign: Its id.
        performer: The words of what is started or asked, and where.
    """
    path = allowed_file()
    if is_allowed(campaign, performer):
        return
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("a", encoding="ascii") as file:
            file.write(f"{_digest(campaign, performer)}\n")


def is_allowed(campaign: str, performer: str) -> bool:
    """Whether a person of this machine named the performer of a campaign before."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return _digest(campaign, performer) in allowed_file().read_text("ascii").splitlines()
    return False


def _digest(campaign: str, performer: str) -> str:
    return hashlib.sha256(f"{campaign}\n{performer}".encode()).hexdigest()
