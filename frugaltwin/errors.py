"""Everything that can go wrong, as one tree. Every message is one sentence that says what to do next.

FrugalTwinError
├── UnknownName          no driver, strategy, goal, option or campaign of that name
├── InvalidInput         a file, flag, color or goal that cannot be understood
│   └── OutOfBounds      settings that the experiment does not allow
├── CampaignError        the campaign cannot go on: in use elsewhere, or started with other words
├── StoreError           the store cannot be read or written
├── Refused              a service does not allow it: to you, with what is left of the budget, or as things are there
├── ShadowedPackage      a file of the user's hides one of our packages
├── MissingPart          an optional package is not installed, or a plug-in's package is broken
└── DriverError          the rig (or its twin) could not perform the settings; it is at rest
    ├── LinkError        no reply, a late reply, or a garbled one
    ├── RigFault         the rig answered "I must not", or its reading cannot be trusted
    └── Stopped          somebody stopped it
"""

from collections.abc import Mapping
from typing import Any

from frugaltwin.costs import Cost


class FrugalTwinError(Exception):
    """The root of every error that this project raises on purpose."""

    problem: Mapping[str, Any] | None = None
    """What a service said when the error came from one: its problem document (RFC 9457)."""


class UnknownName(FrugalTwinError):
    """Nothing has that name; the message says what comes nearest."""


class InvalidInput(FrugalTwinError):
    """What the user gave cannot be understood or used."""


class OutOfBounds(InvalidInput):
    """The settings are not allowed by the experiment."""

    names: tuple[str, ...] = ()
    """Of those that are at fault; none when it is what they are together."""

    def __init__(self, message: str, *names: str) -> None:
        super().__init__(message)
        self.names = names


class CampaignError(FrugalTwinError):
    """The campaign is in use elsewhere, or it was started with other words."""


class StoreError(FrugalTwinError):
    """The store cannot be read or written."""

    record: str = ""
    """The trial that was measured and could not be stored, as JSON, so that it is not lost."""


class Refused(FrugalTwinError):
    """A service does not allow it: to this token, with what is left of the budget, or in the state that things are in."""


class ShadowedPackage(FrugalTwinError):
    """A file of the user's hides one of our packages."""


class MissingPart(FrugalTwinError):
    """An optional package is not installed, or a plug-in's package is broken."""


class DriverError(FrugalTwinError):
    """The driver could not perform the settings. The rig is at rest."""

    cost: Cost = Cost()
    """What the attempt took all the same."""


class LinkError(DriverError):
    """No reply from the rig, a late one, or a garbled one."""


class RigFault(DriverError):
    """The rig refused, or its reading cannot be trusted."""


class Stopped(DriverError):
    """Somebody stopped the rig."""


def in_words(message: str) -> str:
    """A message of pydantic's as the end of a sentence."""
    text = message.removeprefix("Value error, ")
    return text[0].lower() + text[1:]
