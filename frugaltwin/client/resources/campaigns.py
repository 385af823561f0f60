"""Campaigns and their trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from frugaltwin.client.resources.experiments import Submission
from frugaltwin.client.resources.schema import CONFIG, Values, amounts, described, one_of
from frugaltwin.log import RELATIONS

_TEXT: Mapping[str, Any] = {"type": "string"}
_NUMBER: Mapping[str, Any] = {"type": "number"}
_MAYBE: Mapping[str, Any] = {"anyOf": [_NUMBER, {"type": "null"}]}
_WHOLE: Mapping[str, Any] = {"type": "integer"}
_VALUES: Mapping[str, Any] = {"type": "object", "additionalProperties": {"anyOf": [_NUMBER, _TEXT]}}

Budget = Annotated[
    Mapping[str, int | float | None],
    amounts("How much a campaign may use in all; null is no limit.", _MAYBE, runs={"anyOf": [_WHOLE, {"type": "null"}]}),
]
Strategy = Annotated[
    Mapping[str, Any],
    described(
        "A strategy with its options.",
        name={**_TEXT, "description": "GET /v1/rigs/{name} lists those that suit a rig"},
        options={"type": "object", "description": "by name"},
    ),
]
Stop = Annotated[
    Mapping[str, float],
    described("When a campaign ends before its budget does.", score={**_NUMBER, "description": "as soon as a reading is this good"}),
]
Proposal = Annotated[
    Mapping[str, Any],
    described(
        "A suggestion that waits for a person.",
        ("why", "expected", "worth"),
        trial={**_WHOLE, "description": "its number, if it is performed"},
        settings={**_VALUES, "description": "by the rig's parameters, in their units"},
        why={**_TEXT, "description": "the strategy's reason; empty where it gives none"},
        expected={"type": "object", "description": "what its model expects: X_mean and X_sd of each number, p(LABEL) of each label"},
        worth={**_NUMBER, "description": "how much it improves the best score on average, in the score's unit"},
    ),
]
Earlier = Annotated[
    Mapping[str, Mapping[str, Any]],
    WithJsonSchema(
        {
            "type": "object",
            "description": "Earlier campaigns of its owner's to learn from, by name.",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "campaign": {**_TEXT, "description": "its id"},
                    "relation": {**_TEXT, "enum": list(RELATIONS), "description": "of its lab to this one"},
                    "trials": {**_WHOLE, "description": "the number of the last trial that counts"},
                    "used": {
                        "anyOf": [{"type": "boolean"}, {"type": "null"}],
                        "description": "whether the strategy learns from it; null where a program of the owner's chooses",
                    },
                },
                "required": ["campaign", "relation", "trials", "used"],
            },
        }
    ),
]
CampaignSpent = Annotated[
    Mapping[str, int | float],
    amounts("What the campaign's trials took, on a twin as the rig would take it.", _NUMBER, runs=_WHOLE),
]


@dataclass(frozen=True, kw_only=True)
class ListedCampaign:
    """A campaign in short."""

    __pydantic_config__ = CONFIG

    id: Annotated[str, Field(description="such as c_0a1b2c; its address is /v1/campaigns/ and this")]
    person: Annotated[str, Field(description="the id of its owner")] = ""
    name: Annotated[str, Field(description="as its owner called it")]
    rig: Annotated[str, Field(description="the rig's name")]
    mode: Annotated[str, one_of("server", "client"), Field(description="who chooses what to try: the server, or a program of its owner's")]
    state: Annotated[
        str,
        one_of("running", "waiting", "paused", "ended"),
        Field(description="waiting: for a person to judge `proposal`; ended: extended, it goes on"),
    ]
    reason: Annotated[str | None, Field(description="why it is paused or has ended")] = None
    goal: Annotated[str, Field(description="in full: a color as lab(L, a, b)")]
    strategy: Annotated[
        Strategy | None, Field(description="what chooses; nothing where a program of its owner's does and does not say how")
    ] = None
    seed: Annotated[int, Field(description="of everything random in the choice")] = 0
    budget: Annotated[Budget, Field(description="how much it may use in all, out of its owner's budget")] = field(
        default_factory=dict[str, float | None]
    )
    stop: Annotated[Stop | None, Field(description="when it ends before its budget does")] = None
    approve: Annotated[bool, Field(description="whether every suggestion waits for a person")] = False
    earlier: Earlier = field(default_factory=dict[str, Mapping[str, Any]])
    n_trials: Annotated[int, Field(description="number of the last submitted trial, which may be under way")]
    proposal: Annotated[Proposal | None, Field(description="what waits for a person: POST …/proposal")] = None
    created_at: Annotated[float, Field(description="s since 1970")] = 0.0


@dataclass(frozen=True, kw_only=True)
class TrialCorrection:
    """A person's correction of a trial. What was measured stays in its experiment."""

    __pydantic_config__ = CONFIG

    kind: Annotated[str, one_of("retracted", "amended")]
    """retracted: its reading does not count. amended: other outcomes do"""
    why: str
    """the reason"""
    outcomes: Values | None = None
    """the outcomes that count, if any do"""


@dataclass(frozen=True, kw_only=True)
class CampaignTrial:
    """A trial with its score."""

    __pydantic_config__ = CONFIG

    trial: int
    """its number; the first is 1"""
    score: float | None = None
    """by the campaign's goal; nothing where no reading counts, or the goal has no score"""
    counts: bool = True
    """whether its settings are at the `fidelities` of the rig's experiment, if it has some; readings at others inform"""
    values: dict[str, float | str | bool | None] = field(default_factory=dict[str, float | str | bool | None])
    """by the columns of the goal, as it was read: each objective, what is required, and whether the trial ``meets`` that"""
    experiment: Submission
    """the experiment that it is, as it was performed"""
    correction: TrialCorrection | None = None
    """what a person corrected; `score` respects it"""


@dataclass(frozen=True, kw_only=True)
class CampaignStatus(ListedCampaign):
    """A campaign with what it has come to."""

    __pydantic_config__ = CONFIG

    title: str = ""
    """the goal in words"""
    unit: str = ""
    """of the score, such as ΔE00, a difference of colors: 1 is just visible, 0 is none"""
    result: str = ""
    """what its trials have come to, in one sentence"""
    best: CampaignTrial | None = None
    """the trial with the best reading, among those that keep what is required"""
    front: list[CampaignTrial] | None = None
    """with several objectives: the Pareto front, the trials that no other one dominates; nothing for any other goal"""
    spent: CampaignSpent | None = None
    """by its trials so far; compare with `budget`"""


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """The settings to use from now on."""

    __pydantic_config__ = CONFIG

    settings: Values | None
    """nothing as long as nothing counts that was measured, and for a goal without a best trial: a map, or several objectives"""
    by: Annotated[str, one_of("model", "best reading")]
    """the model's choice, or the settings of the best reading, which may be luck"""
    n_trials: int
    """trials that it is based on"""
