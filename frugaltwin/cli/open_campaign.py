"""Campaigns as the options of a command name them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from frugaltwin.cli.console import is_asked, say
from frugaltwin.cli.options import STORE, Given, budget_fields, named_options, relations, stop_fields
from frugaltwin.errors import InvalidInput
from frugaltwin.table_reader import number

if TYPE_CHECKING:
    from frugaltwin.campaign import Campaign
    from frugaltwin.spec import CampaignSpec
    from frugaltwin.store import Store

AFTER = "after:"


def specification(given: Given, store: Path | None = None, file: Path | None = None) -> CampaignSpec:
    """The fields of a campaign file with the options of the command laid over them."""
    from frugaltwin.spec import CampaignSpec, read_fields

    fields: dict[str, Any] = read_fields(file) if file else {}
    typed: dict[str, Any] = {"goal": given.goal or None, "require": given.require or None, "strategy": given.strategy, "seed": given.seed}
    typed |= {"name": given.name, "store": store, "budget": budget_fields(given.budget), "earlier": relations(given.earlier)}
    fields |= {key: value for key, value in typed.items() if value is not None} | stop_fields(given.stop)
    driver = given.driver
    if driver is not None or given.option:
        if driver is not None and driver.endswith(".toml"):
            fields["driver"] = {"name": "experiment", "options": {"file": driver}}
            driver = None
        before: Any = fields.get("driver") or _stored_driver(fields) or "color-mixing"
        choice: dict[str, Any] = {"name": before} if isinstance(before, str) else dict(before)
        if driver is not None and driver != choice.get("name"):
            choice = {"name": driver}
        fields["driver"] = choice | {"options": dict(choice.get("options", {})) | named_options(given.option)}
    chosen_driver: Any = fields.get("driver")
    bottles = chosen_driver.get("options", {}).get("bottles") if isinstance(chosen_driver, dict) else None
    if isinstance(bottles, str) and bottles.startswith(AFTER):
        fields["driver"] = chosen_driver | {"options": chosen_driver["options"] | {"bottles": _bottles(bottles, fields)}}
    if given.strategy_option:
        chosen: Any = fields.get("strategy")
        if not chosen:
            raise InvalidInput("--strategy-option takes a --strategy that it is of")
        named: dict[str, Any] = {"name": chosen} if isinstance(chosen, str) else dict(chosen)
        options = named_options(given.strategy_option, "--strategy-option")
        fields["strategy"] = named | {"options": dict(named.get("options", {})) | options}
    return CampaignSpec.parse(fields, f"{file}: " if file else "")


def _bottles(words: str, fields: dict[str, Any]) -> str:
    """The option `bottles` in numbers, where it is ``after:NAME+red:250``: what another campaign left in its bottles, and a refill.

    Raises:
        InvalidInput: That campaign counts no bottles, or a refill is no number.
    """
    from frugaltwin import catalog
    from frugaltwin.campaign import Campaign
    from frugaltwin.plugins import CountsSupplies
    from frugaltwin.spec import CampaignSpec
    from frugaltwin.store import Store

    name, *refills = words.removeprefix(AFTER).split("+")
    spec = CampaignSpec.parse({"store": fields["store"]} if "store" in fields else {})
    campaign = Campaign.stored(name, Store(spec.store))
    choice = campaign.specification["driver"]
    driver = catalog.make_driver(choice["name"], choice["options"])
    left = dict(driver.left(campaign.trials)) if isinstance(driver, CountsSupplies) else {}
    if not left:
        raise InvalidInput(f"{name} counts no bottles; write how many mL are in them now, as in bottles=red:250", field="option")
    for refill in refills:
        bottle, _, volume = refill.partition(":")
        if (more := number(volume)) is None or bottle not in left:
            raise InvalidInput(
                f"bottles = {words}: after {name}, write what was filled in since, as in {next(iter(left))}:250", field="option"
            )
        left[bottle] += more
    return _in_words(left)


def say_what_is_left(campaign: Campaign, as_json: bool) -> None:
    """Say how much is left in the bottles that the campaign counts, and how a new one goes on with them."""
    from frugaltwin.plugins import CountsSupplies

    left = campaign.driver.left(campaign.trials) if isinstance(campaign.driver, CountsSupplies) else {}
    if left and not as_json:
        say(f"left in the bottles, mL: {_in_words(left)}; a new campaign goes on with them by --option bottles={AFTER}{campaign.name}")


def _in_words(bottles: Mapping[str, float]) -> str:
    """Volumes in bottles, mL, as the option `bottles` takes them; rounded down."""
    return "+".join(f"{bottle}:{max(math.floor(10 * volume) / 10, 0.1):g}" for bottle, volume in bottles.items())


def _stored_driver(fields: dict[str, Any]) -> dict[str, Any] | None:
    """The driver of the campaign that these fields go on with; None for a new one."""
    from frugaltwin.spec import CampaignSpec
    from frugaltwin.store import Store

    spec = CampaignSpec.parse({key: fields[key] for key in ("name", "store") if key in fields})
    record = Store(spec.store).find(spec.name) if spec.name else None
    return dict(record.body["driver"]) if record else None


def open_campaign(spec: CampaignSpec, as_json: bool, *, say_new: bool = True) -> Campaign:
    """A campaign to run: one of the store that goes on, or a new one, of which it is said which lab and goal it has.

    Args:
        spec: Its name and all else that was given.
        as_json: Whether a script reads what is said.
        say_new: Whether to say so now; else `say_that_it_is_new` does later, when it is stored.

    Raises:
        InvalidInput: A name alone that is nearly one of the store, and nobody at a terminal says that it is meant.
    """
    from frugaltwin.campaign import Campaign
    from frugaltwin.catalog import check_packages
    from frugaltwin.store import Store

    check_packages()
    store = Store(spec.store)
    is_new = spec.name is not None and store.find(spec.name) is None
    if is_new and not spec.model_fields_set & {"driver", "goal", "require", "strategy", "earlier", "seed"}:
        _check_meant(str(spec.name), store, as_json)
    campaign = Campaign.open(spec)
    if is_new and say_new and not as_json:
        say_that_it_is_new(campaign, spec.store)
    return campaign


def say_that_it_is_new(campaign: Campaign, store: Path) -> None:
    """Say which lab and goal a new campaign has, and the store as it was typed."""
    say(f"new campaign {campaign.name} in {store}: {campaign.driver.experiment.name}, {campaign.record().goal_title}")


def say_what_is_out_of_reach(campaign: Campaign) -> None:
    """Say, before the first trial, that a color cannot be made, by the data sheet of the driver's twin; never by a truth that is hidden."""
    from frugaltwin import catalog
    from frugaltwin.color import hex_code
    from frugaltwin.goals.goal import rounded

    target, choice = campaign.goal.target_color, campaign.specification["driver"]
    if not target or not campaign.goal.has_score or "reachable" in campaign.specification.get("typed", "reachable"):
        return
    twin = catalog.nominal_twin(choice["name"], choice["options"])
    found = catalog.nearest_color(twin, target) if twin else None
    if found and found[1] > max(campaign.goal.objectives[0].levels):
        nearest = f"nearest {hex_code(found[0])}, {rounded(float(f'{found[1]:.2g}'), campaign.goal.unit)}"
        say(f"{campaign.record().goal_title} is out of reach by the data sheet of {choice['name']}: {nearest}; the nearest is looked for")


def _check_meant(name: str, store: Store, as_json: bool) -> None:
    known = {other.lower(): other for other in store.names()}
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.75)
    if not near or any(_are_in_a_series(name, other) for other in known.values()):
        return
    nearest, text = known[near[0]], f"there is no campaign {name!r} in {store.path}"
    if not (is_asked(as_json) and typer.confirm(f"{text}, but {nearest!r}: is {name!r} to be a new one?", default=False, err=True)):
        raise InvalidInput(f"{text}; did you mean {nearest!r}? A new one of that name takes its --goal or --driver", field="name")


def _are_in_a_series(name: str, other: str) -> bool:
    """Whether names differ in their numbers alone, as ``reef-1`` and ``reef-2``."""
    return re.sub(r"\d+", "0", name) == re.sub(r"\d+", "0", other)


def stored_campaign(name: str, store: Path | None) -> Campaign:
    """A campaign of the store, for reading."""
    from frugaltwin.campaign import Campaign
    from frugaltwin.catalog import check_packages
    from frugaltwin.store import Store

    check_packages()
    return Campaign.stored(name, Store(store or STORE))


def fork_campaign(spec: CampaignSpec, source: str) -> CampaignSpec:
    """Make a campaign that has all trials of another one of the store, with the goal of a specification; return what opens it.

    Args:
        spec: Its name, or none for one that is made up, with its goal, its strategy, its budget for what comes, and its stop rule.
    """
    from frugaltwin.campaign import Campaign
    from frugaltwin.spec import CampaignSpec
    from frugaltwin.store import Store

    store = Store(spec.store)
    campaign = Campaign.stored(source, store)
    name = spec.name or next(n for k in range(2, 10**9) if store.find(n := f"{source}-{k}") is None)
    given: dict[str, Any] = {field: getattr(spec, field) for field in spec.model_fields_set & {"goal", "require", "seed"}}
    given |= {"budget": spec.budget.model_dump(exclude_none=True)} if spec.budget else {}
    given |= {"strategy": spec.strategy.model_dump()} if spec.strategy else {}
    given |= {"stop": spec.stop.rule.kept} if spec.stop else {}
    forked = campaign.fork(name, **given)
    n = forked.body["forked"]["trials"]
    goal = Campaign.stored(name, store).goal
    say(f"new campaign {name} in {spec.store}: the {n} trial{'s' * (n != 1)} of {source}, {goal.title}")
    return CampaignSpec.parse({"name": name, "store": spec.store})
