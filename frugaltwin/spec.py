"""Specification of a campaign: one schema for campaign files, command line and Python."""

import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model, model_validator

from frugaltwin.amounts import Amounts, Kind
from frugaltwin.budget import AnyStopRule, Budget, MapRule, StopRule
from frugaltwin.errors import InvalidInput, in_words
from frugaltwin.experiment import real
from frugaltwin.goals.words import joined
from frugaltwin.log import Relation

Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """A table of a file: unknown fields are refused, and what is read does not change."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number, not true or a text; JSON has no type for it, so 10.0 is one."""


class Choice(Strict):
    """A driver or a strategy of the catalog, with its options."""

    name: str = Field(description="As the catalog lists it.")
    options: dict[str, bool | int | float | str] = Field(default={}, description="By name; its own without them.")


def with_amounts(kinds: Sequence[Kind], of: object, default: Any, **limits: Any) -> Callable[[type[Model]], type[Model]]:
    """Decorate a model: it gets a field of the type `of` for each of these kinds, after its own."""

    def extended(model: type[Model]) -> type[Model]:
        fields: dict[str, Any] = {kind.name: (of, Field(default, description=kind.text, **limits)) for kind in kinds}
        made: type[Model] = create_model(model.__name__, __base__=model, __module__=model.__module__, __doc__=model.__doc__, **fields)
        return made

    return extended


@with_amounts(Amounts.cost_kinds(), float | None, None, gt=0, le=1e9)
class BudgetSpec(Strict):
    """Budget of a campaign in all; a kind that is not named has no limit."""

    model_config = ConfigDict(strict=True)

    runs: Whole | None = Field(None, ge=1, le=1_000_000, description="Trials, failed ones included.")


class StopSpec(Strict):
    """Rule that ends a campaign early."""

    model_config = ConfigDict(strict=True)

    score: float | None = Field(None, description="It ends at a reading this good or better.")
    map: float | None = Field(None, ge=0.5, lt=1, description="Or with this share of a map expected to be right.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.score is None) == (self.map is None):
            raise ValueError("it takes a score, or the share of a map")
        return self

    @property
    def rule(self) -> AnyStopRule:
        """The rule."""
        return MapRule(self.map) if self.map is not None else StopRule(self.score or 0.0)


def file_name(value: str) -> str:
    """A campaign's name is a file's name too."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
        raise ValueError("a name has up to 64 letters, digits, '.', '_' and '-', and begins with a letter or digit")
    return value


def _named(value: object) -> object:
    if isinstance(value, str) and value.endswith(".toml"):
        return {"name": "experiment", "options": {"file": value}}
    return {"name": value} if isinstance(value, str) else value


def listed(value: object) -> object:
    """A text alone, as a list of one."""
    return (value,) if isinstance(value, str) else value


def _counted(value: object) -> object:
    if isinstance(value, Budget):
        return value.limits
    x = real(value)
    return {"runs": int(x)} if x is not None and x.is_integer() and not isinstance(value, float) else value


def _ruled(value: object) -> object:
    if isinstance(value, str) and (rule := MapRule.parse(value)):
        return {"map": rule.right}
    return {"score": x} if (x := real(value)) is not None else value


Named = Annotated[Choice, BeforeValidator(_named)]
"""A driver or a strategy: its name, a table with its name and its options, or for a driver the file of an experiment (``NAME.toml``)."""

Limits = Annotated[BudgetSpec, BeforeValidator(_counted)]
"""A budget: a number of runs, or a table of limits by kind."""

_UNION_TAGS = {"bool", "int", "float", "str"}
_KINDS = {
    "model_type": "it takes a name, a number or a table of fields, see docs/commands.md",
    "dict_type": 'it takes a table of fields, such as { sensor = "as7341" }',
    "path_type": "it takes the name of a file",
    "bool_type": "it takes a number, a text, true or false",
}
"""The values that a field takes, for those types of pydantic's errors whose message is about Python."""


class CampaignSpec(Strict):
    """Specification of a campaign: ``driver = "color-mixing"``, ``goal = "match-color:coral"``, ``budget = 12``."""

    name: Annotated[str, AfterValidator(file_name)] | None = Field(None, description="A new one is made up when there is none.")
    driver: Named = Choice(name="color-mixing")
    goal: Annotated[tuple[str, ...] | None, BeforeValidator(listed)] = Field(
        None, min_length=1, description="One or more objectives, or a map; the driver's default goal, when there is none."
    )
    require: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        (), description="Bounds that a good trial meets, such as `t_415 <= 0.3`."
    )
    strategy: Named | None = Field(None, description="The goal's own, when there is none.")
    budget: Limits | None = Field(None, description="10 runs, when there is none.")
    stop: Annotated[StopSpec | None, BeforeValidator(_ruled)] = None
    earlier: dict[str, Relation] = Field(
        {}, description="Campaigns of the same store to learn from, and the relation of each one's lab to this one: same, sister or twin."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Random seed.")
    store: Path = Field(Path("frugaltwin.db"), description="The SQLite file.")

    @classmethod
    def parse(cls, fields: dict[str, Any], where: str = "") -> Self:
        """The campaign of these fields.

        Args:
            where: Origin of the fields for messages, such as a file's name.

        Raises:
            InvalidInput: A field is unknown or impossible; the message names it.
        """
        return parsed(cls, fields, where)

    @property
    def goal_text(self) -> str | None:
        """Objectives and requirements as one text; None when neither is named."""
        return joined(self.goal or (), self.require) or None

    @property
    def budget_or_default(self) -> Budget:
        """The budget, or 10 runs."""
        return Budget(**self.budget.model_dump()) if self.budget else Budget(runs=10)

    @property
    def plan(self) -> dict[str, Any]:
        """The budget and the stop rule that are named, as the store keeps them."""
        found = {"budget": self.budget and self.budget.model_dump(exclude_none=True), "stop": self.stop and self.stop.rule.kept}
        return {field: word for field, word in found.items() if word is not None}

    def going_on(self, plan: Mapping[str, Any]) -> Self:
        """This specification, with the budget and the stop rule of a stored plan where it names none. None, named, is no stop rule."""
        named = {"stop"} & self.model_fields_set | ({"budget"} if self.budget is not None else set())
        kept = CampaignSpec.parse({field: plan[field] for field in ("budget", "stop") if field in plan})
        return self.model_copy(update={field: getattr(kept, field) for field in ("budget", "stop") if field not in named})

    @property
    def stop_rule(self) -> AnyStopRule | None:
        """The stop rule, if there is one."""
        return self.stop.rule if self.stop else None


def parsed(model: type[Model], fields: dict[str, Any], where: str = "") -> Model:
    """The fields of a file as a model; arguments and errors as for `CampaignSpec.parse`."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        parts = [str(part) for part in first["loc"] if str(part) not in _UNION_TAGS]
        path = ".".join(parts)
        if first["type"] == "extra_forbidden":
            raise InvalidInput(f"{where}{path}: there is no such field{_nearest(parts[-1], model, parts[:-1])}") from error
        if first["type"] == "missing":
            raise InvalidInput(f"{where}{path} is missing") from error
        reason = _KINDS.get(first["type"], in_words(first["msg"]))
        raise InvalidInput(f"{where}{path} = {_shown(first['input'])}: {reason}" if path else f"{where}{reason}") from error


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The fields of a TOML file.

    Args:
        what: The kind of file, for messages.

    Raises:
        InvalidInput: The file cannot be read or is no TOML; the message names the line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not {what}: {error}") from error


def read_fields(path: Path) -> dict[str, Any]:
    """The fields of a campaign file (TOML); its name is the file's when it has none.

    Raises:
        InvalidInput: The file cannot be read or is no TOML; the message names the line.
    """
    fields = read_toml(path, "a campaign file")
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:64]
    return ({"name": stem} if stem else {}) | fields


def _shown(value: object) -> str:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else repr(value)


def _nearest(name: str, model: Any, path: Sequence[str]) -> str:
    """The end of a sentence about an unknown field: the field that comes nearest, of the table at a path of a model."""
    from difflib import get_close_matches

    for part in path:
        model = _table_in(model.model_fields[part].annotation if part in getattr(model, "model_fields", {}) else model)
    fields = list(getattr(model, "model_fields", {}))
    near = get_close_matches(name, fields, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(fields)}"


def _table_in(annotation: Any) -> Any:
    """The model that a type is about; the type itself where it is about none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if hasattr(found := _table_in(part), "model_fields")), annotation)
