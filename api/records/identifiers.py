"""Identifiers of persons, tokens, codes, campaigns and experiments, and the names of rigs."""

import secrets

from frugaltwin.errors import InvalidInput


def new_id(kind: str) -> str:
    """An identifier that says the kind of thing (``x_…``, ``u_…``) and cannot be guessed."""
    return f"{kind}_{secrets.token_hex(10)}"


def check_rig_name(name: str) -> None:
    """Refuse what is no name for a rig.

    Raises:
        InvalidInput: It is none.
    """
    if not name or len(name) > 40 or not all(c.isalnum() or c == "-" for c in name):
        raise InvalidInput(f"{name!r} is no name for a rig: 1 to 40 letters, digits and -")
