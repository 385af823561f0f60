"""Errors of the project, as one tree. Every message is one sentence that says what to do next.

FrugalTwinError
├── UnknownName          no driver, strategy, goal, option or campaign of that name
├── InvalidInput         a file, option, color or goal that cannot be understood
│   └── OutOfBounds      settings that the experiment does not allow
├── CampaignError        the campaign cannot go on: in use elsewhere, or started with another specification
├── StoreError           the store cannot be read or written
├── Refused              a service does not allow it: for this token, for the rest of its budget, or in the present state
├── ShadowedPackage      a file of the user's hides one of our packages
├── MissingPart          an optional package is not installed, or a plug-in's package is broken
└── DriverError          the rig (or its twin) could not perform the settings; it is at rest
    ├── LinkError        no reply, a late reply, or a garbled one
    ├── RigFault         the rig answered "I must not", or its reading cannot be trusted
    └── Stopped          somebody stopped it, or nobody plugged it in again: it takes a person to go on
"""

import re
from collections.abc import Mapping
from typing import Any

from frugaltwin.amounts import Amounts


class FrugalTwinError(Exception):
    """The root of every error that this project raises on purpose."""

    field: str = ""
    """The field of the request that the message is about, such as ``goal`` or ``store``; empty when it is about none.

    The message itself names no option of the command line, for it reaches users of Python and of the service too.
    """

    problem: Mapping[str, Any] | None = None
    """The problem document (RFC 9457) of a service, when the error came from one."""

    def __init__(self, message: str = "", *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class UnknownName(FrugalTwinError):
    """No such name; the message has the nearest one."""


class InvalidInput(FrugalTwinError):
    """The input cannot be understood or used."""


class OutOfBounds(InvalidInput):
    """The settings are not allowed by the experiment."""

    names: tuple[str, ...] = ()
    """The names of the wrong settings; empty when only their combination is wrong."""

    def __init__(self, message: str, *names: str) -> None:
        super().__init__(message)
        self.names = names


class CampaignError(FrugalTwinError):
    """The campaign is in use elsewhere, or it was started with another specification."""


class StoreError(FrugalTwinError):
    """The store cannot be read or written."""

    record: str = ""
    """The trial that was measured and could not be stored, as JSON, so that it is not lost."""


class Refused(FrugalTwinError):
    """A service does not allow it: for this token, for the rest of its budget, or in the present state."""


class ShadowedPackage(FrugalTwinError):
    """A file of the user's hides one of our packages."""


class MissingPart(FrugalTwinError):
    """An optional package is not installed, or a plug-in's package is broken."""


class DriverError(FrugalTwinError):
    """The driver could not perform the settings. The rig is at rest."""

    cost: Amounts = Amounts()
    """The cost of the failed attempt."""


class LinkError(DriverError):
    """No reply from the rig, a late one, or a garbled one."""


class RigFault(DriverError):
    """The rig refused, or its reading cannot be trusted."""


class Stopped(DriverError):
    """Somebody stopped the rig."""


_TAKES = (
    (r"Input should be greater than or equal to (\S+)", r"it takes \1 or more"),
    (r"Input should be less than or equal to (\S+)", r"it takes \1 at most"),
    (r"Input should be greater than (\S+)", r"it takes more than \1"),
    (r"Input should be less than (\S+)", r"it takes less than \1"),
    (r"Input should be a valid integer.*", "it takes a whole number"),
    (r"Input should be a finite number", "it takes a finite number"),
    (r"Input should be a valid number.*", "it takes a number"),
    (r"Input should be a valid string", "it takes a text"),
    (r"Input should be a valid boolean.*", "it takes true or false"),
    (r"Input should be a valid (?:tuple|list|set)", "it takes a text, or a list of texts"),
    (r"Input should be a valid dictionary.*", "it takes a table of fields"),
    (r"Input should be ('.*)", r"it takes \1"),
)
"""The messages of pydantic's that a person can cause, and what we say."""


def in_words(message: str) -> str:
    """A message of pydantic's as the end of a sentence.

    >>> in_words("Input should be a valid integer, unable to parse string as an integer")
    'it takes a whole number'
    >>> in_words("Value error, A name has letters")
    'a name has letters'
    """
    for pattern, words in _TAKES:
        if found := re.fullmatch(pattern, message):
            return found.expand(words)
    text = message.removeprefix("Value error, ")
    return text[0].lower() + text[1:]
