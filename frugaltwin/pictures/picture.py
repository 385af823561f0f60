"""The pictures that show a campaign or a driver, their titles, and the files they are saved as."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from frugaltwin.catalog import random_settings
from frugaltwin.errors import DriverError, InvalidInput
from frugaltwin.experiment import total
from frugaltwin.pictures import belief, front, progress, truth
from frugaltwin.pictures.style import png, svg
from frugaltwin.plugins import Driver, KnowsDiagram, KnowsTruth
from frugaltwin.record import Record, Recorded
from frugaltwin.tables import color_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAMUT = 1000  # random settings in the picture of a twin's colors

TITLES: dict[progress.Draw, str] = {
    progress.draw_best_against_runs: "Best so far against experiments",
    progress.draw_best_against_cost: "Best so far against cost",
    front.draw_front: "Pareto front: experiments that no other one dominates",
    progress.draw_ab_plane: "Measured colors in the a*b* plane",
    progress.draw_channels: "Channels: what was measured",
    progress.draw_settings: "Recipes",
    belief.draw_expected: "What the model expects",
}


@dataclass(frozen=True)
class Picture:
    """A figure of matplotlib that notebooks show and `save` writes."""

    figure: Figure

    def save(self, path: Path | str, title: str = "") -> None:
        """Write the picture in the format of the file's ending.

        Args:
            title: It is kept in the file.

        Raises:
            InvalidInput: The ending is no picture format, or the file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower().lstrip(".") not in self.figure.canvas.get_supported_filetypes():
            raise InvalidInput(f"{path} has no ending of a picture; try {path.stem}.svg, .png or .pdf")
        try:
            if path.suffix.lower() == ".svg":
                path.write_text(svg(self.figure, title), encoding="utf-8")
            else:
                has_title = path.suffix.lower() in (".png", ".pdf")
                self.figure.savefig(path, dpi=150, metadata={"Title": title} if title and has_title else None)
        except OSError as error:
            raise InvalidInput(f"cannot write {path}: {error.strerror}") from error

    def png_url(self) -> str:
        """The picture as a data URL of a PNG."""
        return "data:image/png;base64," + base64.b64encode(png(self.figure, 80)).decode("ascii")

    def svg(self) -> str:
        """The picture as an SVG document."""
        return svg(self.figure)

    def _repr_svg_(self) -> str:
        return self.svg()


def picture(of: Recorded | Record | Driver, at: float | None = None, with_truth: bool = False) -> Picture:
    """The pictures of a campaign, or the true diagram of a twin.

    Args:
        of: A campaign, its record, or a driver.
        at: Where the section of a twin's diagram is cut, in the unit of that axis; it chooses without it.
        with_truth: Draw the twin's truth over the map of a campaign.

    Raises:
        InvalidInput: There is nothing to draw, or the truth is not known.
        CampaignError: The campaign has measured nothing yet.
    """
    record = of.record() if isinstance(of, Recorded) else of
    if not isinstance(record, Record):
        return Picture(_driver_figure(record, at))
    if at is not None:
        raise InvalidInput(f"{record.name} is a campaign: only the diagram of a driver is cut, here at {at:g}")
    return Picture(_campaign_figure(record, with_truth))


def draws_for(record: Record) -> list[progress.Draw]:
    """The pictures that fit a campaign; a map is a figure of its own."""
    channels: list[progress.Draw] = [progress.draw_channels] if sum(not o.labels for o in record.experiment.outcomes) > 1 else []
    if record.goal.labels:
        return channels
    color = [progress.draw_ab_plane] if record.experiment.color else []
    spent = total(record.trials)
    cost = [progress.draw_best_against_cost] if spent.seconds or spent.money else []
    expected = [belief.draw_expected] if belief.can_draw_expected(record) else []
    best = [progress.draw_best_against_runs, *cost] if record.goal.has_score else []
    fronts = [front.draw_front] if record.goal.has_front else []
    return [*best, *fronts, *color, *expected, *channels] or [progress.draw_settings]


def _campaign_figure(record: Record, with_truth: bool) -> Figure:
    """The map of a campaign, or its other pictures side by side."""
    if record.goal.labels:
        return belief.map_figure(record, with_truth)
    if with_truth:
        raise InvalidInput(f"{record.goal.text} has no map to lay the truth over; draw it without the truth", field="truth")
    return progress.figure(draws_for(record), record)


def _driver_figure(driver: Driver, at: float | None) -> Figure:
    """The true diagram of a twin, or the colors that it can make."""
    if driver.experiment.color is None or isinstance(driver, KnowsDiagram) or not isinstance(driver, KnowsTruth):
        return truth.diagram_figure(driver, at)
    if at is not None:
        raise InvalidInput(f"{driver.experiment.name} has no section to cut at {at:g}; draw it without a cut", field="at")
    colors = []
    for settings in random_settings(driver, GAMUT):
        try:
            colors.append(color_of(driver.experiment, settings, driver.truth(settings)))
        except DriverError:
            continue  # not every setting can be measured
    return progress.gamut(driver.experiment.name, np.array([[c["L"], c["a"], c["b"]] for c in colors]))
