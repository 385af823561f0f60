"""Arguments of the tools: their names, bounds, units and what each tool says of itself. Unknown arguments are refused."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field

from api.routes.body import Body
from frugaltwin.spec import Whole

LONGEST = 20
"""s that a tool waits at most: hosts cut a call at 60 s, and some earlier."""

Values = dict[Annotated[str, Field(max_length=80)], float | Annotated[str, Field(max_length=80)]]
Id = Annotated[str, Field(max_length=40)]
Key = Annotated[str | None, Field(min_length=1, max_length=70, description="your name for this call; sent again, it is done once")]
_Number = Annotated[Whole, Field(ge=1, le=1_000_000)]
Text = Annotated[str, Field(max_length=500)]


class LookAround(Body):
    """See who you are, what is left of the budget, every rig and every task. Begin here."""


class Read(Body):
    """Read one rig or task in full: parameters with bounds and units, outcomes, goals, prices; of a task its text, rule and budget."""

    name: Id
    places_from: Whole = Field(0, ge=0, le=10_000, description="of a map: the first of the 50 places that are told")


class Price(Body):
    """Say what experiments would cost and whether they are allowed. Nothing is spent, nothing moves."""

    rig: Id
    settings: list[Values] = Field(min_length=1, max_length=20, description="each: one value per parameter, in its unit and bounds")


class Experiment(Body):
    """Perform settings on a rig or in a task's lab. It costs runs. What is not done in time goes on: call wait with its id."""

    rig: Id = Field(description="a rig or a task")
    settings: list[Values] = Field(
        min_length=1, max_length=20, description="each: one value per parameter, in its unit and bounds, e.g. {'red': 0.2} (see read)"
    )
    campaign: Id | None = Field(None, description="id of yours in mode client: then each has a score")
    key: Key = None
    wait_s: Whole = Field(LONGEST, ge=0, le=LONGEST)


class Wait(Body):
    """Wait until experiments or campaigns have ended, or the time is up; then call it again."""

    ids: list[Id] = Field(min_length=1, max_length=20, description="x_… and c_…")
    wait_s: Whole = Field(LONGEST, ge=0, le=LONGEST)


class Experiments(Body):
    """List your experiments, newest first, or the trials of a campaign with their scores, in order."""

    campaign: Id | None = None
    limit: Whole = Field(20, ge=1, le=50)
    cursor: Annotated[Whole, Field(ge=1, lt=2**62)] | None = Field(None, description="next of the page before")


class StartCampaign(Body):
    """Start many experiments towards a goal. mode server: the service chooses and goes on alone. client: you choose, by experiment."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    rig: Id = Field(description="a rig or a task")
    goal: str | None = Field(None, max_length=1000, description="e.g. match-color:coral, maximize:OUTCOME, map:OUTCOME; read says which")
    require: list[Annotated[str, Field(max_length=200)]] = Field([], max_length=10, description="bounds, e.g. 't_415 <= 0.6'")
    strategy: str | None = Field(None, max_length=40, description="the best for the goal without it")
    runs: _Number | None = Field(None, description="budget; 10 without it")
    mode: Literal["server", "client"] = "server"
    approve: bool = Field(False, description="each suggestion waits for a person")
    key: Key = None


class Campaign(Body):
    """See a campaign: state, best trial, what it spent; on demand what to use from now on, and its picture (plots or the map)."""

    id: Id
    recommend: bool = False
    picture: bool = False


class Control(Body):
    """Pause, resume, stop or extend a campaign, or abort an experiment."""

    id: Id = Field(description="c_… or, for abort, x_…")
    action: Literal["pause", "resume", "stop", "extend", "abort"]
    runs: _Number | None = Field(None, description="more, for extend")
    key: Key = None


class Judge(Body):
    """Judge a campaign: approve, reject or edit the suggestion that waits; prefer one trial to another; retract a wrong reading."""

    campaign: Id
    decision: Literal["approve", "reject", "edit", "prefer", "retract"]
    trial: _Number = Field(description="the suggestion's, the better one's, or the wrong one's number")
    worse: _Number | None = Field(None, description="for prefer")
    settings: Values | None = Field(None, description="for edit and reject")
    why: Text = ""


class HandIn(Body):
    """Hand in for a task, once: it ends the work and is judged on the truth. Give one of campaign, settings, labels."""

    task: Id
    campaign: Id | None = Field(None, description="hand in what it recommends")
    settings: Values | None = Field(None, description="a recipe")
    labels: list[Annotated[str, Field(max_length=80)]] | None = Field(None, max_length=10_000, description="of a map, by its places")
    expected: float | None = Field(None, description="true score of the recipe, as you believe")
    sd: float | None = Field(None, gt=0, description="its standard deviation")
    key: Key = None


class Board(Body):
    """See the board of a task: how others and agents do."""

    task: Id


TOOLS: Mapping[str, type[Body]] = {
    "look_around": LookAround,
    "read": Read,
    "price": Price,
    "experiment": Experiment,
    "wait": Wait,
    "experiments": Experiments,
    "start_campaign": StartCampaign,
    "campaign": Campaign,
    "control": Control,
    "judge": Judge,
    "hand_in": HandIn,
    "board": Board,
}
READ_ONLY = ("look_around", "read", "price", "wait", "experiments", "campaign", "board")


@cache
def schema(name: str) -> dict[str, Any]:
    """The JSON schema of a tool's arguments, without what says nothing."""
    whole = TOOLS[name].model_json_schema()
    found: dict[str, Any] = _short(whole)
    found.pop("description", None)
    return found


def about(name: str) -> str:
    """A tool, in its own words."""
    return (TOOLS[name].__doc__ or "").strip()


def _short(part: Any, has_names: bool = False) -> Any:
    """A part of a schema without titles, without defaults that are nothing, and without null, which is to leave it out.

    Args:
        has_names: Whether its keys are names of arguments.
    """
    if isinstance(part, list):
        return [_short(one) for one in part]
    if not isinstance(part, dict):
        return part
    if has_names:
        return {name: _short(value) for name, value in part.items()}
    kept = {key: _short(value, key == "properties") for key, value in part.items() if key not in ("title", "propertyNames")}
    for name, plain in (("ge", "minimum"), ("le", "maximum")):  # of a whole number or nothing, which pydantic leaves as they are
        if name in kept:
            kept[plain] = kept.pop(name)
    kept.pop("lt", None)
    if kept.get("default") in (None, [], "", False):
        kept.pop("default", None)
    options = [one for one in kept.pop("anyOf", []) if one != {"type": "null"}]
    if len(options) == 1:
        return options[0] | kept
    return kept | ({"type": [one["type"] for one in options]} if options else {})
