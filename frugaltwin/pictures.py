"""Which pictures show a campaign or a driver, under which titles, and as what kind of file."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

from frugaltwin import figures, maps
from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import total_cost
from frugaltwin.goals import Map
from frugaltwin.plugins import Driver

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from frugaltwin.campaign import Campaign

TITLES: dict[figures.Draw, str] = {
    figures.draw_best_against_runs: "Best so far against experiments",
    figures.draw_best_against_cost: "Best so far against cost",
    figures.draw_ab_plane: "Measured colors in the a*b* plane",
    figures.draw_channels: "What was measured",
    figures.draw_settings: "Recipes",
    maps.draw_expected: "What the model expects",
}


def draws_for(campaign: Campaign) -> list[figures.Draw]:
    """The pictures that fit a campaign; a map is a figure of its own."""
    channels: list[figures.Draw] = [figures.draw_channels] if sum(not o.labels for o in campaign.driver.experiment.outcomes) > 1 else []
    if isinstance(campaign.goal, Map):
        return channels
    color = [figures.draw_ab_plane] if campaign.driver.experiment.color else []
    spent = total_cost(campaign.trials)
    cost = [figures.draw_best_against_cost] if spent.seconds or spent.money else []
    expected = [maps.draw_expected] if maps.can_draw_expected(campaign) else []
    return [figures.draw_best_against_runs, *cost, *color, *expected, *channels]


def campaign_figure(campaign: Campaign, twin: Driver | None = None) -> Figure:
    """All pictures of a campaign side by side.

    Args:
        twin: Who knows the truth that is to be laid over a map; nobody without it.

    Raises:
        InvalidInput: There is no map to draw, or the twin does not know the truth.
    """
    if isinstance(campaign.goal, Map):
        return maps.campaign_figure(campaign, twin)
    if twin is not None:
        raise InvalidInput(f"{campaign.goal.text} has no map to lay the truth over; leave --truth out")
    return figures.figure(draws_for(campaign), campaign)


def save(drawn: Figure, path: Path) -> None:
    """Write a figure in the format that the file's ending names.

    Raises:
        InvalidInput: The ending is no picture format, or the file cannot be written.
    """
    if path.suffix.lower().lstrip(".") not in drawn.canvas.get_supported_filetypes():
        raise InvalidInput(f"{path} has no ending of a picture; try {path.stem}.svg, .png or .pdf")
    try:
        if path.suffix.lower() == ".svg":
            path.write_text(figures.svg(drawn), encoding="utf-8")
        else:
            drawn.savefig(path, dpi=150)
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}") from error


def png_url(drawn: Figure) -> str:
    """A figure as an address that holds the picture itself."""
    picture = io.BytesIO()
    drawn.savefig(picture, format="png", dpi=80, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode("ascii")
