"""Commands that run campaigns and show those of the store."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frugaltwin.checks import check_writable
from frugaltwin.cli.console import FAILED, INTERRUPTED, is_asked, progress, say, show_line, show_rows
from frugaltwin.cli.open_campaign import open_campaign, say_that_it_is_new, specification, stored_campaign
from frugaltwin.cli.options import (
    STORE,
    AsJson,
    BudgetText,
    CampaignName,
    DriverName,
    EarlierCampaigns,
    File,
    Goals,
    Name,
    Options,
    Requirements,
    Seed,
    StopScore,
    StorePath,
    StrategyName,
    StrategyOptions,
)
from frugaltwin.errors import InvalidInput

if TYPE_CHECKING:
    from frugaltwin.campaign import Campaign

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def run(
    file: File = None,
    driver: DriverName = None,
    option: Options = None,
    goal: Goals = None,
    require: Requirements = None,
    strategy: StrategyName = None,
    strategy_option: StrategyOptions = None,
    budget: BudgetText = None,
    stop: StopScore = None,
    earlier: EarlierCampaigns = None,
    seed: Seed = None,
    name: Name = None,
    store: StorePath = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="The HTML report; NAME.html beside the store by default.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Run a campaign to its end, or go on with one. Without arguments: match a color on the color-mixing twin."""
    spec = specification(file, driver, option, goal, require, strategy, budget, stop, seed, name, store, earlier, strategy_option)
    campaign = open_campaign(spec, as_json)
    folder = spec.store.parent
    if report:
        campaign.plan["report"] = _relative(report, folder)
    else:
        report = Path(os.path.normpath(folder / campaign.plan.get("report", f"{campaign.name}.html")))
    check_writable(report)
    campaign.store.check_writable()
    from rich.console import Console

    from frugaltwin.cli import run_display
    from frugaltwin.pictures.report import write

    begun = campaign.record()
    display = run_display.JsonDisplay(begun) if as_json else run_display.TableDisplay(begun, Console())
    with display, _stopped_by_ctrl_c(campaign) as interrupted:
        for trial in campaign.run():
            display.show(trial)
    if interrupted:
        campaign.stopped_because = "interrupted"
    ended = campaign.record()
    with progress("writing the report", 1) as step:
        write(ended, report, step=step)
    display.end(ended, report)
    if interrupted:
        flags = ([] if spec.store == STORE else ["--store", str(spec.store)]) + (["--json"] if as_json else [])
        if campaign.store.find(campaign.name):
            again = ["run", "--name", campaign.name, *flags]
            say(f"Stopped; every trial is kept. Go on with: {shlex.join(['frugaltwin', *again])}")
        else:
            say(f"Stopped before the first trial. Begin again with: {shlex.join(['frugaltwin', *sys.argv[1:]])}")
        return INTERRUPTED
    return FAILED if campaign.is_failing else 0


@app.command()
def suggest(
    name: CampaignName,
    driver: DriverName = None,
    option: Options = None,
    goal: Goals = None,
    require: Requirements = None,
    strategy: StrategyName = None,
    strategy_option: StrategyOptions = None,
    earlier: EarlierCampaigns = None,
    seed: Seed = None,
    store: StorePath = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="Number of settings to suggest.")] = 1,
    pending: Annotated[bool, typer.Option("--pending", help="Suggest nothing: list what was suggested and is under way.")] = False,
    as_json: AsJson = False,
) -> None:
    """Suggest what to try next, for an experiment done by hand; `tell` stores its result, `reject` drops it."""
    from frugaltwin.tables import written

    if pending:
        _show_pending(stored_campaign(name, store), as_json)
        return
    spec = specification(None, driver, option, goal, require, strategy, None, None, seed, name, store, earlier, strategy_option)
    campaign = open_campaign(spec, as_json)
    for suggestion in campaign.suggest(count):
        if as_json:
            show_line(json.dumps({"event": "suggestion"} | suggestion.as_dict(), ensure_ascii=False))
        else:
            show_line(written(suggestion.settings))
            for words in filter(None, (suggestion.why, suggestion.describe(campaign.goal.unit))):
                say(f"  {words}")


def _show_pending(campaign: Campaign, as_json: bool) -> None:
    from frugaltwin.log import Proposal
    from frugaltwin.tables import written

    under_way = campaign.log.under_way(campaign.driver.experiment)
    for logged in under_way:
        proposal = logged.entry
        assert isinstance(proposal, Proposal)
        if as_json:
            event = {"event": "pending", "settings": dict(proposal.settings), "suggested_at": logged.at}
            show_line(json.dumps(event | ({"why": proposal.why} if proposal.why else {}), ensure_ascii=False))
        else:
            show_line(written(proposal.settings))
            say(f"  suggested at {logged.at}" + (f": {proposal.why}" if proposal.why else ""))
    if not under_way and not as_json:
        say(f"no suggestion of {campaign.name} is under way")


@app.command()
def tell(
    name: CampaignName,
    settings: Annotated[
        str | None, typer.Option(metavar="KEY=VALUE,…", help="The settings of the experiment; or the same as JSON.")
    ] = None,
    outcomes: Annotated[str | None, typer.Option(metavar="KEY=VALUE,…", help="The measured outcomes; or the same as JSON.")] = None,
    failed: Annotated[str | None, typer.Option(metavar="WHY", help="Instead of outcomes: the reason why there are none.")] = None,
    cost: Annotated[str | None, typer.Option(metavar="KEY=N,…", help="The cost: seconds=60,money=0.1,volume=12.")] = None,
    table: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instead: a table with many experiments; rows without outcomes are left out.")
    ] = None,
    driver: DriverName = None,
    option: Options = None,
    goal: Goals = None,
    require: Requirements = None,
    strategy: StrategyName = None,
    strategy_option: StrategyOptions = None,
    earlier: EarlierCampaigns = None,
    seed: Seed = None,
    store: StorePath = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Store readings that are far from what the others make expect, without a question.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add an experiment that was done by hand, or a table of them."""
    from frugaltwin.cli.run_display import trial_event
    from frugaltwin.tables import read_results

    is_one = settings is not None and (outcomes is None) != (failed is None) and (failed is None or bool(failed.strip()))
    if table is None and not is_one:
        raise InvalidInput("tell needs --settings with --outcomes, or with --failed and why; or --table")
    if table is not None and any(word is not None for word in (settings, outcomes, failed, cost)):
        raise InvalidInput(
            "--table has settings, outcomes, reasons of failures and costs as columns; leave the options for one experiment out"
        )
    result = _result(settings, outcomes, failed, cost) if settings is not None else {}
    new_in = None
    if all(
        word is None for word in (driver, option, goal or None, require or None, strategy, strategy_option or None, earlier or None, seed)
    ):
        campaign = stored_campaign(name, store)  # a misspelled name begins no campaign, and the driver is not asked
    else:
        spec = specification(None, driver, option, goal, require, strategy, None, None, seed, name, store, earlier, strategy_option)
        campaign = open_campaign(spec, as_json, say_new=False)
        new_in = None if campaign.store.find(name) else spec.store
    results = [result] if table is None else read_results(table, campaign.driver.experiment)
    if not yes:
        _check_meant(campaign, results, as_json)
    trials = campaign.tell_all(results)
    if new_in and not as_json:
        say_that_it_is_new(campaign, new_in)
    record = campaign.record()
    for trial in trials:
        if as_json:
            known = record.trials[: trial.number]
            show_line(json.dumps(trial_event(record, trial, known), allow_nan=False, ensure_ascii=False))
            continue
        words = campaign.goal.describe(trial)
        show_line(f"stored as experiment {trial.number} of {name}" + (f", {words}" if words else ""))


def _check_meant(campaign: Campaign, results: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Ask about readings that are far from what is expected.

    Raises:
        InvalidInput: There is one, and nobody at a terminal says that it is right.
    """
    doubts = campaign.surprises(results)
    if not doubts:
        return
    text = "; ".join(map(str, doubts[:3]))
    if not (is_asked(as_json) and typer.confirm(f"{text}. Is it right?", default=False, err=True)):
        raise InvalidInput(f"{text}; nothing is stored. If it was read so, tell it with --yes")


def _result(settings: str, outcomes: str | None, failed: str | None, cost: str | None) -> dict[str, Any]:
    """The arguments of `Campaign.tell`."""
    from frugaltwin.amounts import Amounts
    from frugaltwin.tables import pairs

    spent = pairs("--cost", cost) if cost else {}
    kinds = [kind.name for kind in Amounts.cost_kinds()]
    for key, amount in spent.items():
        if key not in kinds or not isinstance(amount, float) or not 0 <= amount < float("inf"):
            raise InvalidInput(f"--cost {key}={amount}: it takes {', '.join(kinds)}, each a number from 0 up")
    measured = None if outcomes is None else pairs("--outcomes", outcomes)
    return {"settings": pairs("--settings", settings), "outcomes": measured, "cost": Amounts(**spent), "error": failed}


@app.command("list")
def list_campaigns(store: StorePath = None, as_json: AsJson = False) -> None:
    """List the campaigns of the store."""
    from frugaltwin.store import Store

    opened = Store(store or STORE)
    records, counts = opened.campaigns(), opened.counts()
    rows = [
        {"name": r.name, "trials": counts.get(r.name, 0), "driver": r.body["driver"]["name"], "goal": r.body["goal"]}
        | {"strategy": r.body["strategy"]["name"], "seed": r.body["seed"], "started": r.created_at}
        for r in records
    ]
    if not rows and not as_json:
        say(f"no campaigns in {opened.path} yet; begin one with: frugaltwin run")
    show_rows(rows, as_json)


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


@app.command()
def show(name: CampaignName, store: StorePath = None, as_json: AsJson = False) -> None:
    """Show the trials of a campaign and what it recommends."""
    from dataclasses import replace

    from rich.console import Console

    from frugaltwin.cli import run_display

    record = stored_campaign(name, store).record()
    unseen = replace(record, trials=())
    display = run_display.JsonDisplay(unseen) if as_json else run_display.TableDisplay(unseen, Console())
    with display:
        for trial in record.trials:
            display.show(trial)
    display.end(record, None)


@contextmanager
def _stopped_by_ctrl_c(campaign: Campaign) -> Iterator[list[int]]:
    """Stop the campaign on Ctrl-C, after its trial is stored; a second Ctrl-C ends at once."""
    caught: list[int] = []

    def stop(number: int, frame: object) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)
        campaign.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _relative(path: Path, folder: Path) -> str:
    """A file as seen from a folder, so that both can move together."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return str(path.absolute())
