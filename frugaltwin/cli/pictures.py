"""Commands that draw: pictures and reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from frugaltwin.checks import check_writable
from frugaltwin.cli.console import REPORT, check_free, progress, say, show_line
from frugaltwin.cli.open_campaign import stored_campaign
from frugaltwin.cli.options import STORE, CampaignName, Force, Options, StorePath, Truth, named_options
from frugaltwin.errors import InvalidInput

if TYPE_CHECKING:
    from frugaltwin.record import Record

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def plot(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A campaign of the store, or a driver of the catalog.")],
    store: StorePath = None,
    option: Options = None,
    at: Annotated[float | None, typer.Option(metavar="N", help="Cut of a driver's section, such as a temperature.")] = None,
    truth: Truth = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="NAME.svg by default; .png and .pdf work too.")] = None,
    force: Force = False,
) -> None:
    """Draw a campaign (best so far, colors, readings; or its map), or the true diagram of a driver."""
    from difflib import get_close_matches

    from frugaltwin import catalog as known
    from frugaltwin.errors import UnknownName
    from frugaltwin.pictures.picture import picture
    from frugaltwin.store import Store

    path = out or Path(f"{name}.svg")
    check_writable(path)
    check_free(path, f"frugaltwin {name}", force)
    campaigns = Store(store or STORE).names()
    if name not in campaigns and not known.is_known("driver", name):
        near = get_close_matches(name, [*campaigns, *known.names("driver")], n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`frugaltwin list` and `frugaltwin catalog` say what there is"
        raise UnknownName(f"there is no campaign and no driver {name!r}; {hint}")
    if name not in campaigns:
        if truth:
            raise InvalidInput(f"{name} is a driver: its diagram is the truth; leave --truth out")
        picture(known.make_driver(name, named_options(option)), at).save(path, f"frugaltwin {name}")
    elif option:
        raise InvalidInput(f"{name} is a campaign, and knows its driver's options; leave --option out")
    else:
        campaign = stored_campaign(name, store)
        picture(campaign, at, truth).save(path, f"frugaltwin {name}")
        if truth:
            _say_share(campaign.record())
    show_line(str(path))


@app.command()
def report(
    name: CampaignName,
    store: StorePath = None,
    truth: Truth = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="NAME.html by default.")] = None,
    force: Force = False,
) -> None:
    """Write the report of a campaign again, as one HTML file."""
    from frugaltwin.pictures.report import write

    path = out or Path(f"{name}.html")
    check_writable(path)
    check_free(path, REPORT, force)
    record = stored_campaign(name, store).record()
    with progress("writing the report", 1) as step:
        write(record, path, truth, step)
    if truth and record.goal.labels:
        _say_share(record)
    show_line(str(path))


def _say_share(record: Record) -> None:
    from frugaltwin.pictures.belief import share_right

    say(f"{share_right(record):.1%} of the map is right")
