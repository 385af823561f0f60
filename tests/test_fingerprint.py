"""What the fingerprint of a remote driver depends on."""

from dataclasses import dataclass, make_dataclass, replace
from typing import Any

import pytest

from frugaltwin import catalog, testing
from frugaltwin.client import fingerprint as fingerprints
from frugaltwin.client.fingerprint import digest, fingerprint
from frugaltwin.experiment import Continuous, Experiment, Outcome
from frugaltwin.store import experiment_to_json

LINE = Experiment("line", (Continuous("x", 0.0, 1.0, "mL"),), (Outcome("y"), Outcome("z", labels=("a", "b"))))


@dataclass(frozen=True)
class Older:
    """A class as it was before it got a field."""

    name: str
    kind: str = "older"


Newer = make_dataclass("Older", [("name", str), ("kind", str, "older"), ("weight", float, 1.0)], frozen=True)


@pytest.mark.parametrize("name", catalog.names("driver"))
def test_fingerprints_in_stores_stay_valid(name: str) -> None:
    experiment = testing.Plugin.of("driver", name).make().experiment
    assert fingerprint(experiment) == digest(experiment_to_json(experiment))[:16]


def test_it_does_not_change_when_a_class_gets_a_field_with_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "ALWAYS", {"Older": frozenset({"kind"})})
    monkeypatch.setattr(fingerprints, "experiment_to_json", vars)

    def taken(part: Any) -> str:
        return fingerprint(part)

    assert taken(Older("a")) == taken(Newer("a")) == digest({"name": "a", "kind": "older"})[:16]
    assert len({taken(part) for part in (Newer("a"), Newer("b"), Newer("a", weight=2.0), Newer("a", kind="other"))}) == 4


def test_it_changes_with_everything_in_the_experiment() -> None:
    others = [
        replace(LINE, name="other"),
        replace(LINE, parameters=(replace(LINE.parameters[0], unit="L"),)),
        replace(LINE, outcomes=(*LINE.outcomes, Outcome("w"))),
        replace(LINE, candidates=({"x": 0.5},)),
    ]
    assert len({fingerprint(e) for e in (LINE, *others)}) == 5
