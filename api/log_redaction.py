"""Redaction of the log: no line holds a token or a join code, whichever library writes it and whatever an error quotes."""

from __future__ import annotations

import logging
import re
from typing import Any

from api.records.join_codes import CODE_LETTERS

_SECRETS = re.compile(rf"ft_[\w-]{{16,}}|\b[{CODE_LETTERS}]{{4}}(?:-[{CODE_LETTERS}]{{4}}){{2}}\b")


class Discreet(logging.Formatter):
    """Lines, with their tracebacks, in which tokens and join codes are hidden."""

    def format(self, record: logging.LogRecord) -> str:
        return hidden(super().format(record))


def hidden(words: str) -> str:
    """A text without tokens and codes.

    >>> hidden("GET /v1/me?token=ft_abcd-EFGH_0123456789 with abcd-efgh-jkmn")
    'GET /v1/me?token=(hidden) with (hidden)'
    """
    return _SECRETS.sub("(hidden)", words)


def start() -> None:
    """Warnings of ours and of uvicorn's on standard error, and whatever else is logged already, all of it discreetly."""
    written = logging.StreamHandler()
    written.setLevel(logging.WARNING)
    ours = logging.getLogger("frugaltwin")
    for logger in (ours, logging.getLogger("uvicorn")):
        logger.addHandler(written)
    for handler in ours.handlers:
        handler.setFormatter(Discreet("%(asctime)s %(levelname)s %(name)s: %(message)s"))


def settings(level: str = "INFO") -> dict[str, Any]:
    """For `uvicorn.Config(log_config=…)` or `logging.config.dictConfig`: every line to standard error, discreetly."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"discreet": {"()": "api.log_redaction.Discreet", "format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": {"log": {"class": "logging.StreamHandler", "formatter": "discreet", "stream": "ext://sys.stderr"}},
        "loggers": {
            "frugaltwin": {"handlers": ["log"], "level": level, "propagate": False},
            "uvicorn": {"handlers": ["log"], "level": level, "propagate": False},
        },
        "root": {"handlers": ["log"], "level": "WARNING"},
    }
