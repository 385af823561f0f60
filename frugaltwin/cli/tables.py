"""Commands that read and write tables: predictions, exports, simulated outcomes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frugaltwin.checks import check_writable, write_text
from frugaltwin.cli.console import FAILED, progress, say
from frugaltwin.cli.open_campaign import stored_campaign
from frugaltwin.cli.options import CampaignName, Options, Seed, StorePath, named_options
from frugaltwin.errors import InvalidInput

if TYPE_CHECKING:
    from frugaltwin.plugins import Driver

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def predict(
    name: CampaignName,
    settings: Annotated[Path, typer.Option(metavar="IN.csv", help="A table of settings: columns by name.")],
    out: Annotated[Path, typer.Option(metavar="OUT.csv", help="The settings and the predictions, in the same order.")],
    store: StorePath = None,
) -> None:
    """Predict the outcomes at other settings by a campaign's model: label and chances of a map, else mean and standard deviation."""
    from frugaltwin.experiment import free_name
    from frugaltwin.tables import read_settings, write_rows

    campaign = stored_campaign(name, store)
    rows = read_settings(settings, campaign.driver.experiment)
    _check_output(out, settings)
    written: list[dict[str, Any]] = []
    found = campaign.predict(rows)
    for row, more in zip(rows, found.rows(), strict=True):
        written.append(row | {free_name(name, row, "predicted_"): cell for name, cell in more.items()})
    write_rows(out, written)
    say(f"{len(rows)} rows written to {out}")
    for drift in found.drifts:
        say(f"drift: {drift}")


@app.command()
def export(
    name: CampaignName,
    form: Annotated[str, typer.Option("--format", metavar="csv|json", help="csv has one row per trial, json has everything.")] = "csv",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Standard output by default.")] = None,
    store: StorePath = None,
) -> None:
    """Write a campaign as a table (csv) or with raw readings and provenance (json)."""

    from frugaltwin.cli.exchange import campaign_document
    from frugaltwin.goals.trial_table import whole_table
    from frugaltwin.tables import format_rows

    if form not in ("csv", "json"):
        raise InvalidInput(f"--format {form}: it is csv or json")
    if out is not None:
        _check_is_text(out)
    campaign = stored_campaign(name, store)
    if form == "csv":
        text = format_rows(*whole_table(campaign.goal, campaign.trials))
    else:
        body = campaign_document(campaign.store.get(name), campaign.goal, campaign.log)
        text = json.dumps(body, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    check_writable(out)
    write_text(out, text)


@app.command()
def simulate(
    driver: Annotated[str, typer.Argument(metavar="DRIVER", help="Driver that performs the settings; see `frugaltwin catalog`.")],
    settings: Annotated[Path, typer.Option(metavar="IN.csv", help="A table of settings: columns by name.")],
    out: Annotated[Path, typer.Option(metavar="OUT.csv", help="The settings and their outcomes, in the same order.")],
    noise_free: Annotated[bool, typer.Option("--noise-free", help="The truth of a twin instead of readings.")] = False,
    seed: Seed = None,
    option: Options = None,
) -> int:
    """Perform every row of a table of settings on a driver and write the outcomes."""
    from frugaltwin import catalog as known
    from frugaltwin.errors import DriverError
    from frugaltwin.plugins import KnowsTruth
    from frugaltwin.tables import color_of, read_settings, write_rows

    performer = known.make_driver(driver, named_options(option), seed=0 if seed is None else seed)
    if noise_free and not isinstance(performer, KnowsTruth):
        raise InvalidInput(f"{driver} has no noise-free form; leave --noise-free out")
    experiment = performer.experiment
    rows = read_settings(settings, experiment)
    _check_output(out, settings)
    empty = dict.fromkeys([o.name for o in experiment.outcomes] + (["L", "a", "b"] if experiment.color else []))
    written: list[dict[str, Any]] = []
    failures = 0
    with progress("simulating", len(rows)) as step:
        for number, outcomes in enumerate(_outcomes(performer, rows, noise_free), start=1):
            if isinstance(outcomes, DriverError):
                failures += 1
                say(f"row {number} failed: {outcomes}")
                written.append(dict(rows[number - 1]) | empty)
            else:
                written.append(dict(rows[number - 1]) | dict(outcomes) | color_of(experiment, rows[number - 1], outcomes))
            step(number, len(rows))
    write_rows(out, written)
    say(f"{len(written)} rows written to {out}" + (f", {failures} of them without outcomes" if failures else ""))
    return FAILED if failures else 0


def _outcomes(performer: Driver, rows: list[dict[str, float | str]], noise_free: bool) -> Iterator[Any]:
    """The outcomes of every row, or the error that it fails with."""
    from frugaltwin.errors import DriverError
    from frugaltwin.plugins import KnowsTruth, KnowsTruths

    is_asked_for_truth = noise_free and isinstance(performer, KnowsTruth)
    if is_asked_for_truth and isinstance(performer, KnowsTruths):
        try:
            yield from performer.truths(rows)
        except DriverError:  # of one of them: asked one by one, below, they say which
            pass
        else:
            return
    with nullcontext() if is_asked_for_truth else performer:
        for row in rows:
            try:
                yield performer.truth(row) if is_asked_for_truth else performer.perform(row).outcomes  # type: ignore[attr-defined]
            except DriverError as error:
                yield error


def _check_is_text(out: Path) -> None:
    if out.suffix.lower() in (".xlsx", ".xls", ".ods"):
        raise InvalidInput(f"--out {out}: tables are written as CSV, which spreadsheets open; name a file that ends in .csv")


def _check_output(out: Path, settings: Path) -> None:
    _check_is_text(out)
    check_writable(out)
    if out.exists() and out.samefile(settings):
        raise InvalidInput(f"--out {out} would overwrite the settings; name another file")
