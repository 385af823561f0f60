"""Identifiers of persons, tokens, codes, campaigns and experiments."""

import secrets


def new_id(kind: str) -> str:
    """An identifier that says the kind of thing (``x_…``, ``u_…``) and that nobody can guess."""
    return f"{kind}_{secrets.token_hex(10)}"
