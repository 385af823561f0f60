"""Commands that run campaigns and show those of the store."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frugaltwin.checks import check_writable
from frugaltwin.cli.console import FAILED, INTERRUPTED, REPORT, check_free, is_asked, progress, say, show_line, show_rows, thinking
from frugaltwin.cli.open_campaign import (
    fork_campaign,
    open_campaign,
    say_that_it_is_new,
    say_what_is_left,
    say_what_is_out_of_reach,
    specification,
    stored_campaign,
)
from frugaltwin.cli.options import NOTHING, STORE, AsJson, CampaignName, File, Given, StorePath, forked_from, takes_campaign
from frugaltwin.errors import InvalidInput

if TYPE_CHECKING:
    from frugaltwin.amounts import Amounts
    from frugaltwin.campaign import Campaign
    from frugaltwin.experiment import Settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)

LAB = ("driver", "option", "goal", "require", "strategy", "strategy_option", "earlier", "seed")
"""The options that say what a campaign is, of commands that take its name by place."""


@app.command()
@takes_campaign()
def run(
    given: Given,
    file: File = None,
    store: StorePath = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="The HTML report; NAME.html beside the store by default.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Run a campaign to its end, or go on with one. Without arguments: match a color on the color-mixing twin."""
    source, earlier = forked_from(given.earlier)
    spec = specification(replace(given, earlier=earlier), store, file)
    if source:
        if file or given.driver or given.option:
            raise InvalidInput(f"--from {source} goes on with the lab of {source}; leave the file and the driver out")
        spec = fork_campaign(spec, source)
    campaign = open_campaign(spec, as_json)
    if not as_json and not campaign.trials:
        say_what_is_out_of_reach(campaign)
    folder = spec.store.parent
    if report:
        campaign.plan["report"] = _relative(report, folder)
    else:
        report = Path(os.path.normpath(folder / campaign.plan.get("report", f"{campaign.name}.html")))
    check_writable(report)
    check_free(report, REPORT, flag="--report")
    campaign.store.check_writable()
    from rich.console import Console

    from frugaltwin.cli import run_display
    from frugaltwin.pictures.report import write

    begun = campaign.record()
    display = run_display.JsonDisplay(begun) if as_json else run_display.TableDisplay(begun, Console(), lambda: campaign.doing)
    with display, _stopped_by_ctrl_c(campaign) as interrupted:
        try:
            for trial in campaign.run():
                display.show(trial)
        except KeyboardInterrupt:
            if len(interrupted) != 1:  # pressed twice
                raise
    if interrupted:
        campaign.stopped_because = "interrupted"
    ended = campaign.record()
    with progress("writing the report", 1) as step:
        write(ended, report, step=step)
    display.end(ended, report)
    say_what_is_left(campaign, as_json)
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
@takes_campaign(*LAB)
def suggest(
    name: CampaignName,
    given: Given,
    store: StorePath = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="Number of settings to suggest.")] = 1,
    pending: Annotated[bool, typer.Option("--pending", help="Suggest nothing: list what was suggested and is under way.")] = False,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what is under way to this sheet too (.csv or .xlsx), to be filled in.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Suggest what to try next, for an experiment done by hand; `tell` stores its result, `reject` drops it."""
    from frugaltwin.cli.sheet import check_sheet
    from frugaltwin.plugins import ByHand

    if pending:
        known = stored_campaign(name, store)
        _show_pending(known, as_json)
        if sheet:
            _write_sheet(known, sheet, store, as_json)
        return
    campaign = open_campaign(specification(replace(given, name=name), store), as_json)
    sheet = sheet or (campaign.driver.sheet if isinstance(campaign.driver, ByHand) else None)
    if sheet:
        check_sheet(sheet)
    with thinking():
        suggestions = campaign.suggest(count)
    last = campaign.log.n_suggested
    for number, suggestion in enumerate(suggestions, start=last - len(suggestions) + 1):
        if as_json:
            show_line(json.dumps({"event": "suggestion", "number": number} | suggestion.as_dict(), ensure_ascii=False))
        else:
            _show_recipe(campaign, number, suggestion.settings, suggestion.why, suggestion.describe(campaign.goal.unit))
    if sheet:
        _write_sheet(campaign, sheet, store, as_json)
    elif not as_json:
        outcomes = ",".join(f"{o}=…" for o in (campaign.goal.outcomes or [o.name for o in campaign.driver.experiment.outcomes]))
        where = [] if (store or STORE) == STORE else ["--store", str(store)]
        say(
            f"tell what was measured with: {shlex.join(['frugaltwin', 'tell', name, str(last), *where])} --outcomes {shlex.quote(outcomes)}"
        )


def _write_sheet(campaign: Campaign, path: Path, store: Path | None, as_json: bool) -> None:
    from frugaltwin.cli.sheet import write_suggestions

    n = write_suggestions(path, campaign)
    if not as_json:
        path = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        where = [] if (store or STORE) == STORE else ["--store", str(store)]
        line = shlex.join(["frugaltwin", "tell", campaign.name, "--sheet", str(path), *where])
        say(f"{n} row{'s' * (n != 1)} added to {path}; fill in what was measured, then: {line}")


def _show_recipe(campaign: Campaign, number: int, settings: Settings, *words: str) -> None:
    """The recipe of a suggestion on standard output, which `tell` reads, and the rest for people."""
    from frugaltwin.tables import written

    show_line(written(settings, campaign.driver.experiment.parameters))
    say(f"  suggestion {number}" + "".join(f"; {text}" for text in words if text))


def _show_pending(campaign: Campaign, as_json: bool) -> None:
    from frugaltwin.log import Proposal

    log = campaign.log
    under_way = log.under_way(campaign.driver.experiment)
    for logged in under_way:
        proposal, number = logged.entry, log.number_of(logged)
        assert isinstance(proposal, Proposal)
        if as_json:
            event = {"event": "pending", "number": number, "settings": dict(proposal.settings), "suggested_at": logged.at}
            show_line(json.dumps(event | ({"why": proposal.why} if proposal.why else {}), ensure_ascii=False))
        else:
            _show_recipe(campaign, number, proposal.settings, f"suggested at {logged.at}", proposal.why)
    if not under_way and not as_json:
        say(f"no suggestion of {campaign.name} is under way")


@app.command()
@takes_campaign(*LAB)
def tell(
    name: CampaignName,
    number: Annotated[
        int | None, typer.Argument(metavar="SUGGESTION", help="The number of a suggestion that was performed, in place of its settings.")
    ] = None,
    settings: Annotated[
        str | None,
        typer.Option(
            metavar="KEY=VALUE,…",
            help="The settings of the experiment, as they were really dosed; or the same as JSON. Beside a number those that were others.",
        ),
    ] = None,
    outcomes: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE,…", help="The measured outcomes; or the same as JSON. Repeated, it is one experiment each."),
    ] = None,
    failed: Annotated[str | None, typer.Option(metavar="WHY", help="Instead of outcomes: the reason why there are none.")] = None,
    cost: Annotated[str | None, typer.Option(metavar="KEY=N,…", help="The cost: seconds=60,money=0.1,volume=12.")] = None,
    table: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instead: a table with many experiments; rows without outcomes are left out.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instead: the rows of a sheet of `suggest` that were filled in since the last time.")
    ] = None,
    given: Given = NOTHING,
    store: StorePath = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Store readings that are far from what the others make expect, without a question.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add an experiment that was done by hand, or a table of them."""
    from frugaltwin.cli.run_display import trial_event
    from frugaltwin.cli.sheet import Filled, read_sheet

    _check_one_way(number, settings, outcomes, failed, cost, table, sheet)
    spent = _cost(cost)
    new_in = None
    if given.is_empty:
        campaign = stored_campaign(name, store)  # a misspelled name begins no campaign, and the driver is not asked
    else:
        spec = specification(replace(given, name=name), store)
        campaign = open_campaign(spec, as_json, say_new=False)
        new_in = None if campaign.store.find(name) else spec.store
    filled = read_sheet(sheet, campaign) if sheet else Filled(_results(campaign, number, settings, outcomes, failed, spent, table))
    results = filled.results if cost else _priced(campaign, filled.results)
    if not yes:
        _check_meant(campaign, results, filled.far, as_json)
    trials = campaign.tell_all(results)
    for skipped, why in filled.skipped.items():
        campaign.reject(campaign.suggested(skipped), why)
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
    for note in () if as_json else filled.notes:
        say(note)


def _check_one_way(
    number: int | None, settings: str | None, outcomes: list[str] | None, failed: str | None, cost: str | None,
    table: Path | None, sheet: Path | None,
) -> None:  # fmt: skip
    """Refuse what says too little, or the same in two ways."""
    is_named = settings is not None or number is not None
    is_one = is_named and bool(outcomes) != (failed is not None) and (failed is None or bool(failed.strip()))
    if table is None and sheet is None and not is_one:
        text = "tell needs --settings with --outcomes, or with --failed and why (the number of a suggestion stands for its settings)"
        raise InvalidInput(f"{text}; or --table or --sheet by itself")
    if table and sheet:
        raise InvalidInput("--table and --sheet are both files of many experiments; name one of them")
    if (table or sheet) and (outcomes or any(word is not None for word in (number, settings, failed, cost))):
        text = "--table has settings, outcomes, reasons of failures and costs" if table else "--sheet has settings, outcomes and failures"
        raise InvalidInput(f"{text} as columns; leave the options for one experiment out")


def _check_meant(campaign: Campaign, results: Sequence[Mapping[str, Any]], far: Sequence[str], as_json: bool) -> None:
    """Ask about settings that are far from what was suggested, and about readings that are far from what is expected.

    Raises:
        InvalidInput: There is one, and nobody at a terminal says that it is right.
    """
    doubts = [*far, *map(str, campaign.surprises(results))]
    if not doubts:
        return
    text = "; ".join(doubts[:3])
    if not (is_asked(as_json) and typer.confirm(f"{text}. Is it right?", default=False, err=True)):
        raise InvalidInput(f"{text}; nothing is stored. If it was so, tell it with --yes")


def _priced(campaign: Campaign, results: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Results with the costs that the file of an experiment gives for them, where it is there and nothing else is said."""
    from frugaltwin.amounts import Amounts
    from frugaltwin.campaign import unconnected
    from frugaltwin.plugins import ByHand

    choice = campaign.specification["driver"]
    driver = unconnected(choice["name"], choice["options"], campaign.driver.experiment)
    if not isinstance(driver, ByHand):
        return list(results)
    return [r if r.get("cost", Amounts()) != Amounts() else {**r, "cost": driver.estimate(r["settings"])} for r in results]


def _cost(text: str | None) -> Amounts:
    from frugaltwin.amounts import Amounts
    from frugaltwin.tables import pairs

    spent = pairs("--cost", text) if text else {}
    kinds = [kind.name for kind in Amounts.cost_kinds()]
    for key, amount in spent.items():
        if key not in kinds or not isinstance(amount, float) or not 0 <= amount < float("inf"):
            raise InvalidInput(f"--cost {key}={amount}: it takes {', '.join(kinds)}, each a number from 0 up")
    return Amounts(**spent)


def _results(
    campaign: Campaign, number: int | None, settings: str | None, outcomes: list[str] | None, failed: str | None, spent: Amounts,
    table: Path | None,
) -> list[dict[str, Any]]:  # fmt: skip
    """The arguments of `Campaign.tell` for each row of a table, or for each reading of one recipe."""
    from frugaltwin.tables import read_results, told

    experiment = campaign.driver.experiment
    if table:
        return read_results(table, experiment, campaign.goal.outcomes)
    performed: dict[str, Any] = {} if number is None else dict(campaign.suggested(number))
    performed |= told("--settings", settings, experiment.parameters) if settings else {}
    if failed is not None:
        return [{"settings": performed, "outcomes": None, "cost": spent, "error": failed, "suggestion": number}]
    readings = [told("--outcomes", text, experiment.outcomes) for text in outcomes or []]
    return [{"settings": performed, "outcomes": reading, "cost": spent, "suggestion": number} for reading in readings]


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
    if not as_json:
        goals = [str(r.body.get("typed") or _rounded(str(r.body["goal"]))) for r in records]
        shown = ("name", "trials", "driver", "strategy", "started", "goal")
        rows = [row | {"started": _local(str(row["started"])), "goal": goal} for row, goal in zip(rows, goals, strict=True)]
        rows = [{name: row[name] for name in shown} for row in rows]
    if not rows and not as_json:
        say(f"no campaigns in {opened.path} yet; begin one with: frugaltwin run")
    show_rows(rows, as_json)


def _local(time: str) -> str:
    """A time of the store as the clock here shows it."""
    from datetime import datetime

    return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M}"


def _rounded(goal: str) -> str:
    """A goal whose numbers have one decimal: of a color that nobody typed."""
    import re

    return re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.1f}", goal)


@app.command()
def show(name: CampaignName, store: StorePath = None, as_json: AsJson = False) -> None:
    """Show the trials of a campaign and what it recommends."""
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
    """Stop the campaign on Ctrl-C, after its trial is stored, or at once while it thinks; a second Ctrl-C ends at once."""
    from frugaltwin.campaign import THINKING

    caught: list[int] = []

    def stop(number: int, frame: object) -> None:
        caught.append(number)
        if len(caught) > 1:
            raise KeyboardInterrupt
        campaign.stop()
        if campaign.doing == THINKING:
            campaign.doing = ""
            raise KeyboardInterrupt

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
