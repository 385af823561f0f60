"""The client of a day: what it asked is answered by today's service so that it reads what it read then."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from api.routes.problems import DOCS
from tests.client_recording import replay
from tests.running_service import running

KEPT = Path(__file__).parent / "data" / "client_v1.json"
RENAMED = {"leased": "queued", DOCS + "refused": DOCS + "conflict", "Refused": "Not possible as things are"}
"""What the changelog says is called otherwise."""


def test_the_recording_of_a_kept_client_is_answered_as_it_was(fresh_url: Callable[[], str]) -> None:
    with running(fresh_url()) as service:
        assert replay(json.loads(KEPT.read_text()), service, RENAMED) == []
