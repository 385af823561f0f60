"""Commands that copy: a campaign for another goal, a campaign that was exported elsewhere, a whole store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from frugaltwin.cli.console import say, show_line
from frugaltwin.cli.open_campaign import fork_campaign, specification
from frugaltwin.cli.options import STORE, AsJson, CampaignName, Given, StorePath, takes_campaign

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
@takes_campaign("goal", "require", "strategy", "strategy_option", "budget", "stop", "seed", "name")
def fork(source: CampaignName, given: Given, store: StorePath = None) -> None:
    """Make a campaign that has all trials of another one, for another goal; its budget is for what comes after them."""
    spec = specification(given, store)
    made = fork_campaign(spec, source)
    where = "" if spec.store == STORE else f" --store {spec.store}"
    say(f"go on with: frugaltwin run --name {made.name}{where}")


@app.command("import")
def import_campaign(
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help="What `frugaltwin export NAME --format json` wrote.")],
    name: Annotated[str | None, typer.Option("--name", help="Another name for it.")] = None,
    store: StorePath = None,
) -> None:
    """Add a campaign that was exported as JSON, with all that is known of it."""
    from frugaltwin.campaign import Campaign
    from frugaltwin.cli.exchange import read_campaign
    from frugaltwin.store import Store

    record, log = read_campaign(file, name)
    opened = Store(store or STORE)
    if opened.find(record.name):
        from frugaltwin.errors import CampaignError

        raise CampaignError(f"there is a campaign {record.name!r} in {opened.path} already; give this one another name", field="name")
    with opened.locked(record.name):
        opened.add(record, log)
    campaign = Campaign.stored(record.name, opened)
    n = len(campaign.trials)
    show_line(f"{record.name}: {n} trial{'s' * (n != 1)}, {campaign.goal.title}, in {opened.path}")


@app.command()
def backup(
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="A new file for the copy, or a folder for one with the date.")],
    store: StorePath = None,
    as_json: AsJson = False,
) -> None:
    """Copy the store as it is now, also while campaigns run."""
    from frugaltwin.store import Store

    opened = Store(store or STORE)
    copied = Store(opened.backup(out))
    counts = copied.counts()
    found = {"campaigns": len(copied.names()), "trials": sum(counts.values()), "calibrations": len(copied.calibrations())}
    if as_json:
        show_line(json.dumps({"event": "backup", "store": opened.path, "copy": copied.path} | found, ensure_ascii=False))
        return
    show_line(f"copied to {copied.path}: {', '.join(f'{n} {what[:-1] if n == 1 else what}' for what, n in found.items())}")
