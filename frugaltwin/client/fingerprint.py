"""The fingerprint of an experiment: it changes when the experiment does, and not when the project's own classes get another field."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from frugaltwin.experiment import Experiment
from frugaltwin.store import experiment_to_json

ALWAYS: Mapping[str, frozenset[str]] = {
    "Continuous": frozenset({"unit", "description", "kind"}),
    "Discrete": frozenset({"unit", "description", "kind"}),
    "Categorical": frozenset({"unit", "description", "kind"}),
    "LinearConstraint": frozenset({"low", "high"}),
    "MixtureSum": frozenset({"unit"}),
    "Additive": frozenset({"exposure"}),
    "Outcome": frozenset({"unit", "description", "labels", "law"}),
    "Colorimetry": frozenset({"exposure"}),
    "Experiment": frozenset({"constraints", "candidates", "color"}),
}
"""Fields that count although they have their default, by class: fingerprints in stores were taken with them. Nothing is added here: a new
field with a default counts only where it differs from it, so that campaigns which began without it go on."""


def fingerprint(experiment: Experiment) -> str:
    """Sixteen hexadecimal digits."""
    return digest(_counting(experiment, experiment_to_json(experiment)))[:16]


def digest(words: object) -> str:
    """The SHA-256 of JSON values."""
    return hashlib.sha256(json.dumps(words, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _counting(value: Any, body: Any) -> Any:
    """The part of a value's JSON that counts."""
    if is_dataclass(value):
        always = ALWAYS.get(type(value).__name__, frozenset())
        counts = [f.name for f in fields(value) if f.compare and (f.name in always or getattr(value, f.name) != _default(f))]
        return {name: _counting(getattr(value, name), body[name]) for name in counts}
    if isinstance(value, tuple | list):
        return [_counting(v, b) for v, b in zip(value, body, strict=True)]
    if isinstance(value, Mapping):
        return {k: _counting(v, body[k]) for k, v in value.items()}
    return body


def _default(field: "Field[Any]") -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default
