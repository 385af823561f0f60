"""Descriptions of experiments: parameters, sums, limits, outcomes, costs, and by whom they are performed, from a TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from frugaltwin.amounts import Amounts
from frugaltwin.errors import InvalidInput, OutOfBounds
from frugaltwin.experiment import (
    Categorical,
    Constraint,
    Continuous,
    Discrete,
    Experiment,
    LinearConstraint,
    MixtureSum,
    Outcome,
    Parameter,
    Settings,
    check_cost,
    grid_values,
)
from frugaltwin.goals.words import joined
from frugaltwin.laws import BeerLambert, KnownLaw, KubelkaMunk
from frugaltwin.spec import Strict, file_name, listed, parsed, read_toml
from hardware.own.formula import FUNCTIONS, Formula

LAWS: Mapping[str, type[BeerLambert | KubelkaMunk]] = {"beer-lambert": BeerLambert, "kubelka-munk": KubelkaMunk}
"""The laws that an outcome can name."""


class ParameterSpec(Strict):
    """A parameter: a range of numbers, perhaps in steps, or a list of numbers or of names."""

    low: float | None = None
    high: float | None = None
    step: float | None = Field(None, gt=0, description="Between the numbers that can be set.")
    smallest: float = Field(0.0, ge=0, description="The smallest amount that can be set; 0 can be set, too.")
    values: tuple[float | str, ...] = ()
    unit: str = "1"
    scale: Literal["linear", "log"] = "linear"
    description: str = ""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> ParameterSpec:
        if (self.low is None) != (self.high is None) or (self.low is None) == (not self.values):
            raise ValueError("it takes low and high, or a list of values")
        if self.values and len({isinstance(value, str) for value in self.values}) > 1:
            raise ValueError("its values are all numbers or all names")
        return self

    def made(self, name: str) -> Parameter:
        """The parameter of that name.

        Raises:
            ValueError: Its numbers make none.
        """
        if self.low is not None and self.high is not None:
            if self.step is None:
                return Continuous(name, self.low, self.high, self.unit, self.description, scale=self.scale, smallest=self.smallest)
            numbers = grid_values(self.low, self.high, self.step)
            return Discrete(name, tuple(v for v in numbers if not 0 < v < self.smallest), self.unit, self.description, scale=self.scale)
        names = tuple(value for value in self.values if isinstance(value, str))
        if names:
            return Categorical(name, names, self.description)
        numbers = tuple(sorted(float(value) for value in self.values))
        return Discrete(name, numbers, self.unit, self.description, scale=self.scale)


class SumSpec(Strict):
    """Parts of a mixture that add up."""

    parts: tuple[str, ...] = Field(min_length=2)
    total: float = Field(gt=0)


class LimitSpec(Strict):
    """A weighted sum of parameters that stays between limits."""

    terms: dict[str, float] = Field(min_length=1)
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _has_one(self) -> LimitSpec:
        if self.low is None and self.high is None:
            raise ValueError("it takes low, high or both")
        return self


class OutcomeSpec(Strict):
    """Something that is measured: a number, or one of some labels."""

    unit: str = "1"
    description: str = ""
    labels: tuple[str, ...] = ()
    range: tuple[float, float] | None = Field(None, description="The numbers that are possible: another one is asked about.")
    law: Literal["beer-lambert", "kubelka-munk"] | None = Field(None, description="What it follows in the amounts of `of`.")
    of: tuple[str, ...] = Field((), description="The parameters that absorb.")

    @model_validator(mode="after")
    def _law_has_sources(self) -> OutcomeSpec:
        if (self.law is None) != (not self.of):
            raise ValueError("a law takes the parameters `of` which it is one")
        return self


class CostSpec(Strict):
    """The cost of one experiment: numbers, or formulas of the settings."""

    seconds: float | str = 0.0
    money: float | str = 0.0
    volume: float | str = 0.0


class PerformerSpec(Strict):
    """Performer of experiments: one of these. A person does with a sheet, and without any of them."""

    sheet: Path | None = Field(None, description="A person, by this sheet (.csv or .xlsx).")
    folder: Path | None = Field(None, description="Whoever reads and writes files in this folder.")
    form: Literal["json", "csv"] = Field("json", description="The form of the files in `folder`.")
    program: tuple[str, ...] = Field((), description="A command and its arguments.")
    address: str | None = Field(None, pattern="^https?://.", description="An HTTP address.")
    function: str | None = Field(None, pattern=r"^[\w.]+:\w+$", description="A function in Python: module:function.")
    seconds: float = Field(3600.0, gt=0, le=1e6, description="The longest time that one experiment takes.")

    @model_validator(mode="after")
    def _is_one(self) -> PerformerSpec:
        if len(self.model_fields_set & {"sheet", "folder", "program", "address", "function"}) != 1:
            raise ValueError("it takes one of sheet, folder, program, address and function")
        return self

    @property
    def words(self) -> str:
        """The performer in words."""
        return str(" ".join(self.program) or self.address or self.function or self.folder or f"hand, on {self.sheet}")


class Description(Strict):
    """An experiment as a file describes it."""

    name: Annotated[str, AfterValidator(file_name)]
    parameters: dict[str, ParameterSpec] = Field(min_length=1)
    outcomes: dict[str, OutcomeSpec] = Field(min_length=1)
    sums: tuple[SumSpec, ...] = ()
    limits: tuple[LimitSpec, ...] = ()
    goal: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field((), description="As in a campaign file; it is the default one.")
    require: Annotated[tuple[str, ...], BeforeValidator(listed)] = ()
    cost: CostSpec = CostSpec()
    by: PerformerSpec | None = Field(default=None, description="Without it, a person performs what is suggested.")

    @classmethod
    def read(cls, path: Path) -> Description:
        """The description of a file.

        Raises:
            InvalidInput: It cannot be read, or something in it is unknown or impossible; the sentence names the place.
        """
        where = f"{path}: "
        found = parsed(cls, read_toml(path, "an experiment file"), where)
        try:
            found.experiment  # noqa: B018  made once, so that its faults show now
            found.formulas  # noqa: B018
        except (ValueError, OutOfBounds, InvalidInput) as error:
            raise InvalidInput(f"{where}{error}") from error
        return found

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment.

        Raises:
            ValueError: Something of it is impossible.
        """
        made: list[Parameter] = []
        for name, spec in self.parameters.items():
            try:
                made.append(spec.made(name))
            except ValueError as error:
                raise InvalidInput(f"parameters.{name}: {str(error).removeprefix(f'{name}: ')}") from error
        categorical = {p.name for p in made if isinstance(p, Categorical)}
        for text, names in [
            *(("sums", s.parts) for s in self.sums),
            *(("limits", tuple(c.terms)) for c in self.limits),
            *((f"outcomes.{name}", o.of) for name, o in self.outcomes.items()),
        ]:
            for name in names:
                if name not in self.parameters or name in categorical:
                    raise InvalidInput(f"{text}: there is no parameter {name!r} with numbers; there are {', '.join(self.parameters)}")
        constraints: list[Constraint] = [MixtureSum(s.parts, s.total, self.parameters[s.parts[0]].unit) for s in self.sums]
        for c in self.limits:
            ends = {end: value for end, value in (("low", c.low), ("high", c.high)) if value is not None}
            constraints.append(LinearConstraint(c.terms, **ends))
        outcomes = tuple(Outcome(name, o.unit, o.description, o.labels, _law(o), o.range) for name, o in self.outcomes.items())
        return Experiment(self.name, tuple(made), outcomes, tuple(constraints))

    @cached_property
    def formulas(self) -> Mapping[str, Formula]:
        """The formula of each amount.

        Raises:
            InvalidInput: One is none.
        """
        numbers = tuple(p.name for p in self.experiment.parameters if not isinstance(p, Categorical))
        if odd := next((name for name in numbers if name in FUNCTIONS), None):
            raise InvalidInput(f"parameters: {odd!r} is a function of formulas; give the parameter another name")
        found = {}
        for kind in Amounts.cost_kinds():
            try:
                found[kind.name] = Formula.read(getattr(self.cost, kind.name), numbers)
            except InvalidInput as error:
                raise InvalidInput(f"cost.{kind.name}: {error}") from None
        return found

    @property
    def goal_text(self) -> str:
        """Objectives and requirements as one text; empty where none is named."""
        return joined(self.goal, self.require)

    def price(self, settings: Settings) -> Amounts:
        """The cost that settings are expected to have.

        Raises:
            InvalidInput: A formula gives no number there, or one below 0.
        """
        found: dict[str, Any] = {name: formula(settings) for name, formula in self.formulas.items()}
        try:
            return check_cost(Amounts(**found))
        except OutOfBounds as error:
            raise InvalidInput(f"cost: {error}") from None


def _law(spec: OutcomeSpec) -> KnownLaw | None:
    return LAWS[spec.law](spec.of) if spec.law else None
