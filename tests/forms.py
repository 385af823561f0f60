"""The two forms of the tests: the short one, and the long one with ``FRUGALTWIN_LONG=1``. See docs/testing.md."""

import os

import pytest

IS_LONG = os.environ.get("FRUGALTWIN_LONG", "0") not in ("", "0")

only_long = pytest.mark.skipif(not IS_LONG, reason="of the long form: FRUGALTWIN_LONG=1")


def times(short: int, long: int) -> int:
    """How often something is repeated in this form."""
    return long if IS_LONG else short
