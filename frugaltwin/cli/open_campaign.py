"""Campaigns as the options of a command name them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from frugaltwin.cli.options import STORE, budget_fields, driver_options, relations

if TYPE_CHECKING:
    from frugaltwin.campaign import Campaign
    from frugaltwin.spec import CampaignSpec


def specification(
    file: Path | None, driver: str | None, option: list[str] | None, goal: list[str] | None, require: list[str] | None,
    strategy: str | None, budget: str | None, stop: float | None, seed: int | None, name: str | None, store: Path | None,
    earlier: list[str] | None = None,
) -> CampaignSpec:  # fmt: skip
    """The fields of a campaign file with the options of the command laid over them."""
    from frugaltwin.spec import CampaignSpec, read_fields

    fields: dict[str, Any] = read_fields(file) if file else {}
    given: dict[str, Any] = {"goal": goal or None, "require": require or None, "strategy": strategy, "stop": stop, "seed": seed}
    given |= {"name": name, "store": store, "budget": budget_fields(budget), "earlier": relations(earlier)}
    fields |= {key: value for key, value in given.items() if value is not None}
    if driver is not None or option:
        before: Any = fields.get("driver") or _stored_driver(fields) or "color-mixing"
        choice: dict[str, Any] = {"name": before} if isinstance(before, str) else dict(before)
        if driver is not None and driver != choice.get("name"):
            choice = {"name": driver}
        fields["driver"] = choice | {"options": dict(choice.get("options", {})) | driver_options(option)}
    return CampaignSpec.parse(fields, f"{file}: " if file else "")


def _stored_driver(fields: dict[str, Any]) -> dict[str, Any] | None:
    """The driver of the campaign that these fields go on with; None for a new one."""
    from frugaltwin.spec import CampaignSpec
    from frugaltwin.store import Store

    spec = CampaignSpec.parse({key: fields[key] for key in ("name", "store") if key in fields})
    record = Store(spec.store).find(spec.name) if spec.name else None
    return dict(record.body["driver"]) if record else None


def open_campaign(spec: CampaignSpec) -> Campaign:
    """A campaign to run: a new one, or one of the store that goes on."""
    from frugaltwin.campaign import Campaign
    from frugaltwin.catalog import check_packages

    check_packages()
    return Campaign.open(spec)


def stored_campaign(name: str, store: Path | None) -> Campaign:
    """A campaign of the store, for reading."""
    from frugaltwin.campaign import Campaign
    from frugaltwin.catalog import check_packages
    from frugaltwin.store import Store

    check_packages()
    return Campaign.stored(name, Store(store or STORE))
