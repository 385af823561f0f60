"""Tasks as files say them: a twin of which something is drawn and hidden, a goal, a budget, and how a hand-in is scored."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.budget import Budget
from frugaltwin.errors import InvalidInput, UnknownName
from frugaltwin.goals import Goal
from frugaltwin.goals.words import joined
from frugaltwin.plugins import Driver, KnowsTruth, Prices
from frugaltwin.spec import Choice, Limits, Named, Strict, Whole, file_name, listed, parsed, read_toml

SHIPPED = Path(__file__).parent / "shipped"
"""The folder of the tasks that come with the package."""


CORNERS = 64
"""Combinations of the ends of what is drawn that are all tried."""


class DrawSpec(Strict):
    """The values from which an option of the twin is drawn: a range, evenly, a list, or any whole number of 96 bits."""

    low: float | None = None
    high: float | None = None
    of: tuple[str | float | int, ...] = ()
    any: bool = Field(default=False, description="As `system`: nobody can try all of them.")

    @model_validator(mode="after")
    def _is_one_of_them(self) -> DrawSpec:
        has_range = self.low is not None and self.high is not None
        if has_range + bool(self.of) + self.any != 1 or (self.low is None) != (self.high is None):
            raise ValueError('it takes a range { low = …, high = … }, a list { of = […] }, or "any" whole number')
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"low = {self.low:g} is not below high = {self.high:g}")
        return self


def _in_a_word(value: object) -> object:
    if isinstance(value, str):
        if value != "any":
            raise ValueError('write "any", a range { low = …, high = … } or a list { of = […] }')
        return {"any": True}
    return value


Draw = Annotated[DrawSpec, BeforeValidator(_in_a_word)]


class ReferenceSpec(Strict):
    """Player of par: a strategy of the catalog, up to the budget or until a reading is good enough."""

    strategy: Named | None = Field(default=None, description="The goal's own, when there is none.")
    stop: float | None = Field(default=None, description="The score of a reading at which it hands in.")
    plays: Whole = Field(default=5, ge=1, le=100, description="Number of plays, each with other noise, whose mean is par.")


class ScoreSpec(Strict):
    """The rule by which a hand-in is scored, from 0 to 100 points."""

    rule: Literal["quality", "cost"] = Field(
        "quality", description="quality: how good the hand-in truly is, at equal budget. cost: how little a good one took."
    )
    fine: float = Field(gt=0, description="A gap to the best there is that hardly matters: the smallest step of the scale.")
    within: float | None = Field(None, ge=0, description="Of the rule cost: the gap that is good enough.")
    cost: Literal["runs", "seconds", "money", "volume"] = Field("runs", description="Of the rule cost: what is counted.")
    expected: float = Field(
        0.0, ge=0, le=1, description="The share of the points for saying how good the hand-in truly is, as a mean and a standard deviation."
    )

    @model_validator(mode="after")
    def _has_its_fields(self) -> ScoreSpec:
        if (self.rule == "cost") != (self.within is not None):
            raise ValueError("`within` belongs to the rule cost, and the rule cost needs it")
        return self


class LateSpec(Strict):
    """The rule for hand-ins after the task has closed."""

    points: float = Field(ge=0, le=100, description="Taken off for each day that has begun.")
    days: Whole = Field(ge=1, le=365, description="Days after which nothing is taken any more.")


def _with_zone(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time has its zone, such as 2026-12-01T08:00:00+01:00")
    return value


Time = Annotated[datetime, AfterValidator(_with_zone)]


class Task(Strict):
    """A task of a class. Each student has another instance of it: `frugaltwin.tasks.instance`."""

    name: Annotated[str, AfterValidator(file_name)]
    title: str = Field(min_length=1, max_length=80)
    text: str = Field(min_length=1, description="The words that a student reads.")
    driver: Named = Field(description="The twin; its options are the same for all.")
    draw: dict[str, Draw] = Field(default={}, description="Options of the twin that are drawn for each student, and hidden.")
    goal: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field((), description="As in a campaign file; a reachable color is drawn.")
    require: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field((), description="As in a campaign file.")
    budget: Limits
    score: ScoreSpec
    reference: ReferenceSpec = ReferenceSpec()
    opens: Time | None = Field(None, description="In a class: when work on it begins; at once, when there is none.")
    closes: Time | None = Field(None, description="In a class: when it ends. Points are shown from then on; when there is none, at once.")
    late: LateSpec | None = None
    board: bool = Field(True, description="In a class: whether all see a board, by nicknames.")

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> Task:
        if self.opens and self.closes and self.closes <= self.opens:
            raise ValueError(f"it closes at {self.closes} and opens at {self.opens}, which is no earlier")
        if self.late and not self.closes:
            raise ValueError("`late` is about hand-ins after `closes`, which there is not")
        return self

    @property
    def ends(self) -> datetime | None:
        """The time after which nothing is taken any more."""
        return self.closes + timedelta(days=self.late.days if self.late else 0) if self.closes else None

    @classmethod
    def read(cls, path: Path) -> Task:
        """The task of a file, after one trial of making its twin and its goal.

        Raises:
            FrugalTwinError: The file cannot be read, a field is unknown or impossible, or nobody could judge it.
        """
        body = read_toml(path, "a task")
        if unknown := sorted(set(body) - {"task"}):
            raise InvalidInput(f"{path}: there is no table {unknown[0]!r} in a task file; all of it stands under [task]")
        if not isinstance(body.get("task"), dict):
            raise InvalidInput(f"{path}: a task file begins with [task]")
        where = f"{path}: "
        task = parsed(cls, body["task"], where)
        try:
            task.check()
        except (InvalidInput, UnknownName) as error:
            raise type(error)(f"{where}{error}") from error
        return task

    def to_json(self) -> str:
        """As JSON."""
        return self.model_dump_json(exclude_defaults=True)

    @classmethod
    def from_json(cls, text: str) -> Task:
        """The inverse of `to_json`.

        Raises:
            InvalidInput: A field is unknown or impossible.
        """
        return parsed(cls, json.loads(text), "")

    def check(self) -> None:
        """Try to make the twin and the goal.

        Raises:
            FrugalTwinError: An option is unknown or cannot have what is drawn, or nobody can judge the goal on the twin.
        """
        if missing := next((option for option in self.draw if option in self.driver.options), None):
            raise InvalidInput(f"draw: {missing} is an option of the driver already; it is either the same for all or drawn")
        goal = [self.make_goal(self.twin(options), seed=0) for options in self.corners()][-1]
        if goal.has_front:
            raise InvalidInput("goal: several objectives have no single score; a task takes one objective, or a map")
        if self.score.rule == "cost" and not goal.has_score:
            raise InvalidInput("score: the rule cost needs a goal with a score; a map is scored by the rule quality")
        if self.score.expected and not goal.has_score:
            raise InvalidInput("score: nobody can say beforehand what score a map has; leave `expected` out")

    def check_hidden(self) -> None:
        """Refuse a draw that shows in what a class may see of its labs: one rig has them all.

        Raises:
            InvalidInput: It shows.
        """
        twins = [self.twin(options) for options in self.corners()]
        offers = [(twin.experiment, twin.price() if isinstance(twin, Prices) else None) for twin in twins]
        if any(offer != offers[0] for offer in offers):
            raise InvalidInput(
                "draw: the parameters, the outcomes or the price of the lab depend on what is drawn, which everybody would see"
            )

    def corners(self) -> list[dict[str, Any]]:
        """Options at both ends of all that is drawn, in all combinations where these are few. What is possible there is so between."""
        ends = {name: draw.of or ((0, 1) if draw.any else (draw.low, draw.high)) for name, draw in self.draw.items()}
        if math.prod(map(len, ends.values())) <= CORNERS:
            return [dict(zip(ends, values, strict=True)) for values in itertools.product(*ends.values())]
        n = max((len(values) for values in ends.values()), default=1)
        return [{name: values[min(k, len(values) - 1)] for name, values in ends.items()} for k in range(n)]

    def twin(self, drawn: Mapping[str, Any], seed: int = 0) -> Driver:
        """The twin with what was drawn.

        Args:
            seed: Of its noise.

        Raises:
            InvalidInput: It is no twin that knows its truth, so nobody could judge what is found on it.
        """
        options = {**self.driver.options, **drawn}
        twin = catalog.make_driver(self.driver.name, options, seed=seed, goal=self.goal_text)
        if not isinstance(twin, KnowsTruth):
            raise InvalidInput(f"driver: {self.driver.name} knows no truth, so nobody can judge what is found on it; take a twin")
        return twin

    def make_goal(self, twin: Driver, seed: int) -> Goal:
        """The goal on a twin; a reachable color is drawn by the seed."""
        return catalog.make_goal(self.goal_text, twin, seed)

    @property
    def goal_text(self) -> str:
        """Objectives and requirements as one text; empty for the twin's own goal."""
        return joined(self.goal, self.require)

    @property
    def limits(self) -> Budget:
        """The budget."""
        return Budget(**self.budget.model_dump())

    @property
    def rule(self) -> str:
        """The rule of the points, in a sentence."""
        score = self.score
        if score.rule == "cost":
            text = f"the {score.cost} of par over yours, if you are truly within {score.within:g}"
        else:
            text = "0 is what random choices reach with this budget, 100 is par, on a logarithmic scale"
        return text + (f"; {100 * score.expected:.0f} % of them for the expected score that you state" if score.expected else "")

    def reference_strategy(self, goal: Goal) -> Choice:
        """The strategy that par is played by."""
        return self.reference.strategy or Choice(name=goal.default_strategy)

    def spent(self, cost: Amounts) -> float:
        """The part of amounts that the rule cost counts."""
        return float(getattr(cost, self.score.cost))


def shipped() -> list[str]:
    """The names of the tasks that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def find(name: str) -> Task:
    """A task by its name, of those that come with the package, or by its file.

    Raises:
        UnknownName: There is neither.
        FrugalTwinError: The file is no task.
    """
    if name.endswith(".toml"):
        return Task.read(Path(name))
    if name not in shipped():
        raise UnknownName(f"there is no task {name!r}; there are {', '.join(shipped())}, and any file NAME.toml")
    return Task.read(SHIPPED / f"{name}.toml")
