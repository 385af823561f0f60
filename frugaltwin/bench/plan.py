"""Plan of a comparison, as a file says it: problems × strategies × seeds. One campaign of it is a shard."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from frugaltwin import catalog
from frugaltwin.bench import code
from frugaltwin.bench.functions import FUNCTIONS
from frugaltwin.errors import FrugalTwinError, InvalidInput, MissingPart
from frugaltwin.plugins import Fingerprints
from frugaltwin.spec import BudgetSpec, Choice, Limits, Named, Strict, Whole, listed, parsed, read_toml

FORMAT = 1
"""Version of the files of shards and results."""


class OutliersSpec(Strict):
    """Readings that are spoilt: a share of them or one; every number of such a reading is shifted or multiplied."""

    share: float = Field(0.0, ge=0, le=1, description="The chance of every reading to be spoilt.")
    one_of: tuple[Whole, Whole] | None = Field(
        None, description="In place of a share: one reading, between these two numbers, by the seed."
    )
    shift: float = Field(0.0, ge=0, description="What is added or subtracted, in the unit of the outcome.")
    factor: tuple[float, float] | None = Field(
        None, description="In place of a shift: a factor between these two, evenly in its logarithm."
    )

    @model_validator(mode="after")
    def _is_one_kind(self) -> OutliersSpec:
        if (self.share > 0) == (self.one_of is not None) or (self.shift > 0) == (self.factor is not None):
            raise ValueError("it takes either a share or one_of, and either a shift or a factor")
        if self.one_of and not 1 <= self.one_of[0] <= self.one_of[1]:
            raise ValueError("one_of has two numbers of readings, from 1, the first one not above the second")
        if self.factor and not 0 < self.factor[0] <= self.factor[1]:
            raise ValueError("factor has two numbers above 0, the first one not above the second")
        return self


class ProblemSpec(Strict):
    """A lab, a goal and how a campaign on it is judged."""

    driver: Named | None = Field(None, description="A twin or a table; the lab.")
    function: str | None = Field(None, description="In place of a driver: a function with a known minimum.")
    fields: Whole | None = Field(None, ge=1, le=10_000, description="In place of a driver: a map of many fields, drawn with this number.")
    noise: float = Field(0.0, ge=0, description="Standard deviation of the readings of a function, or of what is read off a table.")
    drift: float = Field(0.0, description="What every number that is read gains from one reading to the next, in the unit of the outcome.")
    moved: bool = Field(False, description="The minimum of a function is moved by the seed, by up to a quarter of the box.")
    outliers: OutliersSpec | None = Field(None, description="Readings that are spoilt.")
    goal: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field((), description="As in a campaign file.")
    require: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field((), description="As in a campaign file.")
    per_seed: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        (), description="Options of the driver that take the number of the seed, such as `system`: each seed has another lab."
    )
    budget: Limits | None = Field(None, description="The plan's without it.")
    reach: tuple[float, ...] = Field((), description="How good is good: regrets, or of a map shares that are right.")
    optimum: float | None = Field(None, description="The best score there is, where nobody else knows it.")
    start: Whole = Field(0, ge=0, le=10_000, description="Random settings that every strategy of a seed begins with; they count.")
    batch: Whole = Field(
        1, ge=1, le=1000, description="Suggestions that are asked for at once; they are told one by one when all are performed."
    )
    intervals: bool = Field(False, description="Before every reading the strategy states a 90 % interval, where it has a model.")
    model: Named | None = Field(None, description="The model that draws the map of a strategy without one.")
    recommend: tuple[Whole, ...] = Field((), description="Numbers of runs after which the recommended settings are judged.")
    end_when_reached: bool = Field(False, description="A campaign ends when it has reached all of `reach`.")

    @model_validator(mode="after")
    def _has_a_lab(self) -> ProblemSpec:
        if sum(lab is not None for lab in (self.driver, self.function, self.fields)) != 1:
            raise ValueError("it takes one lab: a driver, a function or the number of a map of fields")
        if self.function is not None and self.function not in FUNCTIONS:
            near = get_close_matches(self.function, list(FUNCTIONS), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(FUNCTIONS)}"
            raise ValueError(f"there is no function {self.function!r}; {hint}")
        if self.noise and self.function is None and self.driver is not None and self.driver.name != "table":
            raise ValueError("noise is that of a function or a table; a twin has its own")
        if self.moved and (self.function is None or not FUNCTIONS[self.function].can_move):
            movable = ", ".join(name for name, function in FUNCTIONS.items() if function.can_move)
            raise ValueError(f"only the minimum of {movable} can be moved")
        if self.per_seed and self.driver is None:
            raise ValueError("only a driver has options that can differ by seed")
        return self


class StrategySpec(Strict):
    """A strategy under a name of the plan's."""

    strategy: Named | None = Field(None, description="That of the same name without it.")
    replicate: Whole = Field(
        0, ge=0, description="Another number draws other random numbers at the same seed: for a comparison with itself."
    )


class SeedsSpec(Strict):
    """Seeds, one campaign each."""

    first: Whole = Field(100, ge=0, lt=2**31)
    count: Whole = Field(20, ge=1, le=100_000)

    @property
    def numbers(self) -> range:
        """The seeds."""
        return range(self.first, self.first + self.count)


def _counted(value: object) -> object:
    return {"count": value} if isinstance(value, int) and not isinstance(value, bool) else value


def _counted_from_0(value: object) -> object:
    return {"first": 0, "count": value} if isinstance(value, int) and not isinstance(value, bool) else value


def _by_name(value: object) -> object:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return dict.fromkeys(value, StrategySpec.model_validate({}))
    return value


class PlanSpec(Strict):
    """A comparison of strategies."""

    problems: dict[str, ProblemSpec] = Field(min_length=1)
    strategies: Annotated[dict[str, StrategySpec], BeforeValidator(_by_name)] = Field(min_length=1)
    seeds: Annotated[SeedsSpec, BeforeValidator(_counted)] = SeedsSpec(first=100, count=20)
    development: Annotated[SeedsSpec, BeforeValidator(_counted_from_0)] = SeedsSpec(first=0, count=10)
    budget: Limits = BudgetSpec(runs=25)
    baseline: str | None = Field(None, description="The strategy that all others are compared with; the first one without it.")

    @model_validator(mode="after")
    def _is_consistent(self) -> PlanSpec:
        if self.baseline is not None and self.baseline not in self.strategies:
            raise ValueError(f"baseline = {self.baseline!r} is no strategy of the plan; there are {', '.join(self.strategies)}")
        if shared := sorted(set(self.seeds.numbers) & set(self.development.numbers)):
            raise ValueError(f"seed {shared[0]} is both for development and for the report; let `seeds` begin elsewhere")
        return self

    def only(self, names: Sequence[str]) -> PlanSpec:
        """The plan with these of its strategies.

        Raises:
            InvalidInput: One of them is none.
        """
        if unknown := [name for name in names if name not in self.strategies]:
            raise InvalidInput(f"the plan has no strategy {unknown[0]!r}; it has {', '.join(self.strategies)}", field="only")
        kept = {name: spec for name, spec in self.strategies.items() if name in names}
        return self.model_copy(update={"strategies": kept, "baseline": self.baseline if self.baseline in names else None})


@dataclass(frozen=True)
class Shard:
    """One campaign of a plan. Its words say all that its result depends on; the digest of these is the name of its file."""

    problem: str
    strategy: str
    seed: int
    words: Mapping[str, Any]
    folder: str
    """The folder in which relative paths of the words begin; the digest does not depend on it."""

    @property
    def digest(self) -> str:
        """The SHA-256 of the words."""
        return hashlib.sha256(json.dumps(self.words, sort_keys=True, allow_nan=False).encode()).hexdigest()

    @property
    def file(self) -> str:
        """The name of the file of its result."""
        return f"{self.digest[:32]}.json"

    @property
    def title(self) -> str:
        """The campaign in words."""
        return f"{self.problem}, {self.strategy}, seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """A plan that was read from a file, and where it was."""

    spec: PlanSpec
    path: Path

    @classmethod
    def read(cls, path: Path) -> Plan:
        """The plan of a TOML file.

        Raises:
            InvalidInput: It cannot be read, or a field is unknown or impossible.
        """
        return cls(parsed(PlanSpec, read_toml(path, "a plan"), f"{path}: "), path)

    def only(self, names: Sequence[str]) -> Plan:
        """The plan with these of its strategies.

        Raises:
            InvalidInput: One of them is none.
        """
        return replace(self, spec=self.spec.only(names))

    @property
    def folder(self) -> Path:
        """The folder of the results, beside the file."""
        return self.path.with_suffix(".bench")

    @property
    def baseline(self) -> str:
        """The strategy that all others are compared with."""
        return self.spec.baseline or next(iter(self.spec.strategies))

    def shards(self, is_development: bool = False) -> list[Shard]:
        """The campaigns, those of a seed together, so that what was done is complete for some seeds.

        Raises:
            FrugalTwinError: A problem or a strategy cannot be made; the message names it.
        """
        seeds = (self.spec.development if is_development else self.spec.seeds).numbers
        home = str(self.path.absolute().parent)
        problems, strategies = self.words(seeds[0])
        versions = {"format": FORMAT, "code": code.digest(), "versions": dict(code.versions())}
        return [
            Shard(p, s, seed, {"problem": words, **strategies[s], "seed": seed, **versions}, home)
            for seed in seeds
            for p, words in problems.items()
            for s in strategies
        ]

    def words(self, seed: int) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
        """The words of its problems and of its strategies, after one trial of making each.

        Raises:
            FrugalTwinError: One of them cannot be made; the message names it.
        """
        home = str(self.path.absolute().parent)
        problems = {name: problem_words(name, self.budgeted(name), home, seed) for name in self.spec.problems}
        return problems, {name: self._strategy_words(name, spec) for name, spec in self.spec.strategies.items()}

    def _strategy_words(self, name: str, spec: StrategySpec) -> dict[str, Any]:
        chosen = spec.strategy or Choice(name=name)
        try:
            with _about(f"strategy {name}"):
                catalog.make_strategy(chosen.name, chosen.options, seed=0)
                options = catalog.resolved_options("strategy", chosen.name, chosen.options)
        except MissingPart as error:
            if others := [other for other in self.spec.strategies if other != name]:
                raise MissingPart(f"{error}, or compare without it: {','.join(others)}") from error
            raise
        return {"strategy": {"name": chosen.name, "options": options}, "replicate": spec.replicate}

    def budgeted(self, problem: str) -> ProblemSpec:
        """The problem with its budget."""
        spec = self.spec.problems[problem]
        return spec.model_copy(update={"budget": spec.budget or self.spec.budget})


def problem_words(name: str, spec: ProblemSpec, folder: str, seed: int) -> dict[str, Any]:
    """The words of a problem after one trial of making it; with the fingerprint of what it reads from a file.

    Raises:
        FrugalTwinError: It cannot be made; the message names the problem.
    """
    from frugaltwin.bench.problems import Problem

    shown_only = set() if spec.end_when_reached else {"reach"}  # another level to show changes no campaign
    words: dict[str, Any] = spec.model_dump(exclude_none=True, exclude_defaults=True, mode="json", exclude=shown_only)
    with _about(f"problem {name}"):
        problem = Problem(words, folder)
        driver = problem.driver(seed)
        problem.judge(driver, problem.goal(driver, seed))
        return words | ({"fingerprint": driver.fingerprint} if isinstance(driver, Fingerprints) else {})


@contextmanager
def _about(what: str) -> Iterator[None]:
    """Name a part of the plan in the errors about it."""
    try:
        yield
    except FrugalTwinError as error:
        raise type(error)(f"{what}: {error}") from error
