"""Commands by which a person corrects trials of the store, and says what they think of trials and suggestions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from frugaltwin.cli.console import show_line
from frugaltwin.cli.open_campaign import stored_campaign
from frugaltwin.cli.options import AsJson, CampaignName, StorePath
from frugaltwin.errors import InvalidInput

if TYPE_CHECKING:
    from frugaltwin.campaign import Campaign
    from frugaltwin.experiment import Trial

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Number = Annotated[int, typer.Argument(metavar="NUMBER", help="The number of a trial; `frugaltwin show NAME` lists them.")]
Reason = Annotated[str, typer.Option("--why", metavar="WHY", help="The reason; it is kept with the trial.")]
Comment = Annotated[str, typer.Option("--why", metavar="WHY", help="The reason, if you like; it is kept.")]


@app.command()
def retract(name: CampaignName, number: Number, why: Reason, store: StorePath = None, as_json: AsJson = False) -> None:
    """Say that a trial's reading does not count, and why. The trial is kept and marked; this is final."""
    campaign = stored_campaign(name, store)
    _show(campaign, campaign.retract(number, why), as_json)


@app.command()
def amend(
    name: CampaignName,
    number: Number,
    outcomes: Annotated[str, typer.Option(metavar="KEY=VALUE,…", help="The outcomes that were wrong, as they should be; or JSON.")],
    why: Reason,
    store: StorePath = None,
    as_json: AsJson = False,
) -> None:
    """Say what a trial's outcomes should have been, and why. The reading is kept beside it; the last amendment counts."""
    from frugaltwin.tables import told

    campaign = stored_campaign(name, store)
    _show(campaign, campaign.amend(number, told("--outcomes", outcomes, campaign.driver.experiment.outcomes), why), as_json)


@app.command()
def prefer(
    name: CampaignName,
    better: Number,
    worse: Annotated[int, typer.Argument(metavar="WORSE", help="The number of the trial that you like less.")],
    why: Comment = "",
    store: StorePath = None,
) -> None:
    """Say that you like one trial better than another."""
    stored_campaign(name, store).prefer(better, worse, why)
    show_line(f"kept with {name}: {better} is better than {worse}")


@app.command()
def reject(
    name: CampaignName,
    number: Annotated[int | None, typer.Argument(metavar="SUGGESTION", help="The number of the suggestion.")] = None,
    settings: Annotated[
        str | None,
        typer.Option(metavar="KEY=VALUE,…", help="In place of its number, the settings that were suggested; or the same as JSON."),
    ] = None,
    why: Comment = "",
    store: StorePath = None,
) -> None:
    """Turn a suggestion down; `suggest` then suggests something else."""
    from frugaltwin.tables import told

    if (number is None) == (settings is None):
        raise InvalidInput("reject needs the number of a suggestion, or its --settings")
    campaign = stored_campaign(name, store)
    text = settings or ""
    campaign.reject(told("--settings", text, campaign.driver.experiment.parameters) if number is None else campaign.suggested(number), why)
    show_line(f"kept with {name}: that is not suggested again before the next trial")


def _show(campaign: Campaign, trial: Trial, as_json: bool) -> None:
    from frugaltwin.cli.run_display import trial_event
    from frugaltwin.experiment import describe, quantity

    if as_json:
        record = campaign.record()
        show_line(json.dumps(trial_event(record, trial, record.trials), allow_nan=False, ensure_ascii=False))
        return
    score = campaign.score(trial)
    now = f", score {quantity(score, campaign.goal.unit)}" if score is not None else ""
    measured = trial.performed.measurement
    was = f"measured: {describe(measured.outcomes)}" if measured else trial.performed.remark
    show_line(f"experiment {trial.number} of {campaign.name} is {trial.remark}{now} ({was})")
