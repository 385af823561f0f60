"""Placement of names in a picture: each stands at the first of its possible places where it covers nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import BboxBase

    from frugaltwin.pictures.phase_fields import Axes

GAP, MARK = 2.0, 5.0  # pixels: between names, from the center of a mark to its edge

Places = Sequence[Callable[[], "Text"]]
"""Ways to write one name, the preferred one first; each call writes it."""


def write_names(axes: Axes, names: Iterable[Places], kept_free: Sequence[BboxBase] = ()) -> None:
    """Write every name where it covers no other text of the axes, or else where it covers least.

    The texts and the legend that the axes have already stay where they are. The axes must have their final position.

    Args:
        kept_free: Other parts of the picture that no name may cover, pixels.
    """
    taken = [*kept_free, *(text.get_window_extent().padded(GAP) for text in axes.texts)]
    if legend := axes.get_legend():
        taken.append(legend.get_window_extent())
    frame = axes.get_window_extent()
    for places in names:
        best, least = 0, float("inf")
        for k, place in enumerate(places):
            text = place()
            box = text.get_window_extent()
            text.remove()
            covered = sum(_common(box, other) for other in taken) + box.width * box.height - _common(box, frame)
            if covered < least - 1.0:
                best, least = k, covered
            if least < 1.0:
                break
        taken.append(places[best]().get_window_extent().padded(GAP))


def settle_layout(figure: Figure) -> None:
    """Give the axes their final position, so that the extent of a text is known in pixels."""
    if engine := figure.get_layout_engine():
        engine.execute(figure)
        figure.set_layout_engine("none")  # or saving it would do the same again, in a third of the time of a picture


def extent_of_mark(mark: PathCollection) -> BboxBase:
    """The box around a mark, pixels; the axes must have their final position."""
    from matplotlib.transforms import Bbox

    (x, y), *_ = mark.get_offset_transform().transform(mark.get_offsets())
    return Bbox.from_bounds(x, y, 0.0, 0.0).padded(MARK)


def _common(one: BboxBase, other: BboxBase) -> float:
    """Area that two boxes share, pixels²."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return float(max(width, 0.0) * max(height, 0.0))
