"""The JSON schema of a `Price`, for readers who have only the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from frugaltwin.prices import Price, price_from_json, price_to_json


class PriceAsJson:
    """The annotation of a field that is a `Price` or None here and its JSON on the wire."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(_written)
        return core_schema.no_info_plain_validator_function(_read, serialization=written)


def _written(price: Price | None) -> Any:
    return None if price is None else price_to_json(price)


def _read(body: Any) -> Price | None:
    try:
        return None if body is None else price_from_json(body)
    except ValueError:  # a newer service has kinds of terms that this client does not know: it cannot price
        return None


_TERM = {
    "type": "object",
    "description": (
        "What `kind` says. fixed: `each`, always, in the first experiment after connecting, or after every N. "
        "per-unit: `each` times the product of `parameters`, each plus `offset`. "
        "dose: V of `parameter`, mL, takes `slope` · V + `offset` + `besides` s and `money` USD/mL; none takes nothing. "
        "ramp: `soak` s at the temperature and the way there from the last, at `heating` or `cooling` K/s, `each` second. "
        "change: `each`, where one of `parameters` is another than before. "
        "travel: the way to `x`, `y` at `speed` mm/s and `settle` s, `each` second; nothing without a way; "
        "to `start` where the parameter `home` has the value beside it. "
        "where: `term`, in settings whose `parameter` has the `value`."
    ),
    "properties": {"kind": {"enum": ["fixed", "per-unit", "dose", "ramp", "change", "travel", "where"]}},
}
_FIXED = {"type": "object", "description": "values of parameters that `terms` name and settings do not have, if there are any"}
PRICE = WithJsonSchema(
    {
        "description": "The price of an experiment: the sum of its `terms`. Nothing where it is not known.",
        "anyOf": [{"type": "object", "properties": {"terms": {"type": "array", "items": _TERM}, "fixed": _FIXED}}, {"type": "null"}],
    }
)
