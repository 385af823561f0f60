"""Answers of whoever performs an experiment: one JSON object, whichever way it comes."""

from __future__ import annotations

import json
from typing import Any

from frugaltwin.errors import DriverError


def understood(text: str, who: str) -> dict[str, Any]:
    """An answer: ``{"outcomes": {…}}``, perhaps with ``"cost": {…}`` and more, or ``{"error": "…"}``.

    Args:
        who: What wrote it, for the error.

    Raises:
        DriverError: It is none.
    """
    shown = text.strip()[:60]
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        raise DriverError(f"{who} wrote {shown!r}, which is no JSON") from None
    if not isinstance(answer, dict) or not {"outcomes", "error"} & set(answer):
        raise DriverError(f'{who} wrote {shown!r}; it takes {{"outcomes": {{…}}}} or {{"error": "…"}}')
    return answer
