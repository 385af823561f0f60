"""Annotations that resources share: how a plain mapping or text is described in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, Field, PlainSerializer, WithJsonSchema

from frugaltwin.amounts import PURSE, Amounts, Kind

CONFIG = ConfigDict(use_attribute_docstrings=True, json_schema_serialization_defaults_required=True)
"""Of every resource: the docstring of a field is its description, and the service sends every field."""


def described(about: str, optional: Sequence[str] = (), /, **fields: Mapping[str, Any]) -> WithJsonSchema:
    """The schema of an object with these fields, all of which the service sends but those that are optional."""
    required = [name for name in fields if name not in optional]
    return WithJsonSchema({"type": "object", "description": about, "properties": dict(fields), "required": required})


def amounts(about: str, each: Mapping[str, Any], kinds: Sequence[Kind] = Amounts.kinds(), **other: Mapping[str, Any]) -> WithJsonSchema:
    """The schema of an amount of each kind.

    Args:
        each: The schema of each.
        other: The schema of a kind whose schema is another.
    """
    return described(about, **{kind.name: {**other.get(kind.name, each), "description": kind.text} for kind in kinds})


def one_of(*names: str) -> Any:
    """A field with one of these texts; the client takes a newer service's new ones too."""
    return Field(json_schema_extra={"enum": list(names)})


_NUMBER: Mapping[str, Any] = {"type": "number"}
_MAYBE: Mapping[str, Any] = {"anyOf": [{"type": "number"}, {"type": "null"}]}
LEFT = amounts("What may be spent; null is no limit.", _MAYBE, PURSE)
SPENT = amounts("What was spent, or is set aside.", _NUMBER, PURSE)

Left = Annotated[Mapping[str, int | float | None], LEFT]
"""By kind of amount, what may be spent; None is no limit."""
Spent = Annotated[Mapping[str, int | float], SPENT]
"""By kind of amount, what was spent."""
Price = Annotated[
    Amounts,
    PlainSerializer(Amounts.cost),
    amounts("An expected or real cost.", _NUMBER, Amounts.cost_kinds()),
]
"""The expected or the real cost of something."""
Values = Mapping[str, float | str]
"""By parameter or outcome, in its unit."""
