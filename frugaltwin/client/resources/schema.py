"""Annotations that resources share: how a plain mapping or text is described in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, WithJsonSchema

from frugaltwin.costs import Cost

CONFIG = ConfigDict(use_attribute_docstrings=True, json_schema_serialization_defaults_required=True)
"""Of every resource: the docstring of a field is its description, and the service sends every field."""

_ABOUT = {"runs": "experiments", "seconds": "lab time, s", "money": "USD", "volume": "mL of liquid"}


def described(about: str, **fields: Mapping[str, Any]) -> WithJsonSchema:
    """The schema of an object with these fields, all of which the service sends."""
    return WithJsonSchema({"type": "object", "description": about, "properties": dict(fields), "required": list(fields)})


def amounts(about: str, kind: Mapping[str, Any], runs: Mapping[str, Any] | None = None) -> WithJsonSchema:
    """The schema of an amount of each kind.

    Args:
        kind: The schema of each.
        runs: The schema of the number of runs, where it is another.
    """
    return described(about, **{k: {**(runs if runs and k == "runs" else kind), "description": words} for k, words in _ABOUT.items()})


def one_of(*names: str) -> Any:
    """A field with one of these texts; the client takes a newer service's new ones too."""
    return Field(json_schema_extra={"enum": list(names)})


_NUMBER: Mapping[str, Any] = {"type": "number"}
_MAYBE: Mapping[str, Any] = {"anyOf": [{"type": "number"}, {"type": "null"}]}
LEFT = amounts("What may be spent; null is no limit.", _MAYBE)
SPENT = amounts("What was spent, or is set aside.", _NUMBER)

Left = Annotated[Mapping[str, int | float | None], LEFT]
"""runs, seconds (lab time), money (USD) and volume (mL) that may be spent; None is no limit."""
Spent = Annotated[Mapping[str, int | float], SPENT]
"""runs, seconds (lab time), money (USD) and volume (mL) that were spent."""
Price = Annotated[
    Cost,
    described("An expected or real cost.", **{k: {**_NUMBER, "description": words} for k, words in _ABOUT.items() if k != "runs"}),
]
"""The expected or the real cost of something, on the wire an object of three numbers."""
Values = Mapping[str, float | str]
"""By parameter or outcome, in its unit."""
