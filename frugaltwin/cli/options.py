"""Options that several commands share, and their texts as values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass, fields
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from frugaltwin.errors import InvalidInput

STORE = Path("frugaltwin.db")

File = Annotated[Path | None, typer.Argument(metavar="FILE", help="A campaign file (TOML); options override it.")]
DriverName = Annotated[
    str | None,
    typer.Option(
        "--driver",
        metavar="NAME",
        help="Driver that performs the experiments: see `frugaltwin catalog`; or a service's http://…/rigs/NAME.",
    ),
]
Options = Annotated[list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="An option of the driver; may be repeated.")]
Goals = Annotated[
    list[str] | None,
    typer.Option(
        "--goal",
        metavar="GOAL",
        help="match-color:#8fb04a, minimize:OUTCOME, maximize:OUTCOME, minimize:money …; repeated, it is one objective of several.",
    ),
]
Requirements = Annotated[
    list[str] | None,
    typer.Option("--require", metavar="'OUTCOME <= VALUE'", help="A bound that a good experiment keeps, or >=; may be repeated."),
]
StrategyName = Annotated[
    str | None, typer.Option("--strategy", metavar="NAME", help="Strategy that chooses the next settings; see `frugaltwin catalog`.")
]
StrategyOptions = Annotated[
    list[str] | None, typer.Option("--strategy-option", metavar="KEY=VALUE", help="An option of the strategy; may be repeated.")
]
EarlierCampaigns = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="CAMPAIGN[=RELATION]",
        help="An earlier campaign of the store to learn from, of the same lab, of a sister lab, or of a twin (same, sister, twin); may be "
        "repeated. A name alone: begin with all trials of that campaign, for another goal.",
    ),
]
BudgetText = Annotated[
    str | None,
    typer.Option("--budget", metavar="N|KEY=N,…", help="Runs in all, or any of runs=12,seconds=900,money=1.5,volume=300."),
]
StopScore = Annotated[
    str | None,
    typer.Option(
        "--stop",
        metavar="SCORE|'map N%'",
        help="End as soon as a reading is this good, or N % of a map are expected to be right; none takes one away.",
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Random seed; 0 by default.")]
Name = Annotated[str | None, typer.Option("--name", help="Name of the campaign; one that exists goes on where it stopped.")]
StorePath = Annotated[Path | None, typer.Option("--store", metavar="FILE", help="The SQLite file; frugaltwin.db by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines on standard output, and nothing else.")]
Truth = Annotated[bool, typer.Option("--truth", help="Draw the truth of the twin over a map, and print how much of the map is right.")]
Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there already.")]
CampaignName = Annotated[str, typer.Argument(metavar="NAME", help="A campaign of the store.")]


Command = Callable[..., Any]


@dataclass(frozen=True)
class Given:
    """The options that say which campaign is meant, as they were typed; None where one was not."""

    driver: DriverName = None
    option: Options = None
    goal: Goals = None
    require: Requirements = None
    strategy: StrategyName = None
    strategy_option: StrategyOptions = None
    budget: BudgetText = None
    stop: StopScore = None
    earlier: EarlierCampaigns = None
    seed: Seed = None
    name: Name = None

    @property
    def is_empty(self) -> bool:
        """Whether none of them was typed."""
        return not any(word not in (None, []) for word in astuple(self))


NOTHING = Given()


def takes_campaign(*names: str) -> Callable[[Command], Command]:
    """Give a command these options of a campaign, in the place of its parameter `given`.

    Args:
        names: Fields of `Given`; all of them without one.
    """

    def widened(command: Command) -> Command:
        hints, known = get_type_hints(command, include_extras=True), get_type_hints(Given, include_extras=True)
        shared = [
            Parameter(f.name, Parameter.KEYWORD_ONLY, default=None, annotation=known[f.name])
            for f in fields(Given)
            if f.name in (names or known)
        ]
        own = [p.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[p.name]) for p in signature(command).parameters.values()]
        at = next(k for k, p in enumerate(own) if p.name == "given")
        every = [*own[:at], *shared, *own[at + 1 :]]

        @wraps(command)
        def called(**typed: Any) -> Any:
            given = Given(**{p.name: typed.pop(p.name) for p in shared})
            return command(given=given, **typed)

        called.__dict__["__signature__"] = signature(command).replace(parameters=every)
        called.__annotations__ = {p.name: p.annotation for p in every}
        return called

    return widened


def named_options(pairs: list[str] | None, flag: str = "--option") -> dict[str, str]:
    """The options of a driver or a strategy from ``KEY=VALUE``, one each.

    Raises:
        InvalidInput: One is not of that form.
    """
    options = {}
    for pair in pairs or []:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise InvalidInput(f"{flag} {pair}: write KEY=VALUE")
        options[key.strip()] = text
    return options


def forked_from(pairs: list[str] | None) -> tuple[str, list[str] | None]:
    """The campaign whose name stands alone in ``--from``, empty without one, and the others.

    Raises:
        InvalidInput: There is another one beside it.
    """
    alone = [pair for pair in pairs or [] if "=" not in pair]
    if alone and len(pairs or []) > 1:
        raise InvalidInput(
            f"--from {alone[0]} takes all its trials over, so there is no other one beside it; write {alone[0]}=same to learn from it"
        )
    return (alone[0], None) if alone else ("", pairs)


def relations(pairs: list[str] | None) -> dict[str, str] | None:
    """The relations of earlier campaigns from ``CAMPAIGN=RELATION``, one each.

    Raises:
        InvalidInput: One is not of that form, or a campaign is named twice.
    """
    found: dict[str, str] = {}
    for pair in pairs or []:
        name, equals, relation = pair.rpartition("=")
        if not equals or not name:
            raise InvalidInput(f"--from {pair}: write CAMPAIGN=RELATION, such as monday=same, or one campaign's name alone")
        if name in found:
            raise InvalidInput(f"--from {pair}: {name} is named twice; once is enough")
        found[name] = relation
    return found or None


def stop_fields(text: str | None) -> dict[str, Any]:
    """The field of a stop rule from ``0.5``, ``map 95%`` or ``none``; no field where it is not named.

    Raises:
        InvalidInput: It is none of them.
    """
    from frugaltwin.budget import MapRule
    from frugaltwin.table_reader import number

    if text is None:
        return {}
    if rule := MapRule.parse(text):
        return {"stop": rule.kept}
    score = number(text)
    if score is None and text.strip().lower() != "none":
        raise InvalidInput(f"--stop {text}: it is a score, such as 0.5, the share of a map to be right, such as 'map 95%', or none")
    return {"stop": score}


def budget_fields(text: str | None) -> dict[str, Any] | None:
    """The fields of a budget from ``12`` or ``runs=12,seconds=900``."""
    from frugaltwin.tables import pairs

    if text is None:
        return None
    budget: dict[str, Any] = pairs("--budget", text if "=" in text else f"runs={text}")
    runs = budget.get("runs")
    return budget | ({"runs": int(runs)} if isinstance(runs, float) and runs.is_integer() else {})
