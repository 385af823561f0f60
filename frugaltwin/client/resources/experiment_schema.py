"""The JSON schema of an `Experiment`, for readers who have only the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import SerializationInfo, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from frugaltwin.experiment import Experiment
from frugaltwin.store import experiment_from_json, experiment_to_json


def _object(about: str, **fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "description": about, "properties": fields}


_TEXT, _NUMBER = {"type": "string"}, {"type": "number"}


class ExperimentAsJson:
    """The annotation of a field that is an `Experiment` here and its JSON on the wire."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        # Not the schema that pydantic derives: its parts would stand in the OpenAPI document, without descriptions and without use.
        written = core_schema.plain_serializer_function_ser_schema(_written, info_arg=True)
        return core_schema.no_info_plain_validator_function(experiment_from_json, serialization=written)


def _written(experiment: Experiment, info: SerializationInfo) -> Any:
    return experiment_to_json(experiment, has_steps=(info.context or {}).get("grids") == "steps")


EXPERIMENT = WithJsonSchema(
    _object(
        "What can be asked of a rig: send one value for each of `parameters`, in its unit, such that all `constraints` hold.",
        name=_TEXT | {"description": "of this kind of experiment"},
        parameters={
            "description": "what you set",
            "type": "array",
            "items": _object(
                "Continuous: any number from `low` to `high`. Discrete: one of the numbers `values`, or with `grids=steps` "
                "low + i · `step` up to `high`. Categorical: one of the names `values`.",
                name=_TEXT,
                kind={"enum": ["continuous", "discrete", "categorical"]},
                unit=_TEXT | {"description": "of the value that you send; 1 is a plain number"},
                description=_TEXT,
                low=_NUMBER,
                high=_NUMBER,
                smallest=_NUMBER | {"description": "the smallest amount that can be delivered besides 0; every amount where it is missing"},
                step=_NUMBER,
                values={"type": "array", "items": {"type": ["number", "string"]}},
                scale={"enum": ["linear", "log"], "description": "log: equal ratios are equal steps; linear where it is missing"},
            ),
        },
        constraints={
            "description": "what must hold between the values",
            "type": "array",
            "items": _object(
                "Either the values of `parameters` add up to `total`, in `unit`; or `low` ≤ Σ coefficient · value ≤ `high`.",
                parameters={"type": "array", "items": _TEXT},
                total=_NUMBER,
                unit=_TEXT,
                coefficients={"type": "object", "additionalProperties": _NUMBER},
                low={"type": ["number", "string"], "description": "-inf, a text: no limit"},
                high={"type": ["number", "string"], "description": "inf, a text: no limit"},
            ),
        },
        outcomes={
            "description": "what is measured",
            "type": "array",
            "items": _object(
                "A number in `unit`; or one of the names `labels`, if there are any.",
                name=_TEXT,
                unit=_TEXT,
                description=_TEXT,
                labels={"type": "array", "items": _TEXT},
                law={"type": ["object", "null"], "description": "how it depends on the parameters, roughly, where physics says so"},
            ),
        },
        candidates={"type": "array", "description": "if there are any, the only settings allowed", "items": {"type": "object"}},
        fidelities={
            "type": "object",
            "description": "if there are any: parameters, by name, with the value at which a measurement counts for a campaign's goal; "
            "at other values it is cheaper, and informs",
            "additionalProperties": {"type": ["number", "string"]},
        },
        color={
            "type": ["object", "null"],
            "description": "how the outcomes become a color: XYZ = to_xyz · channels, then Lab against `white`",
        },
    )
)
