"""The style of all pictures: their colors and markers, and how a figure becomes an SVG document."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, QUIET, ACCENT = "#1b1f24", "#8a929c", "#0b62a8"

# Source: Okabe & Ito, Color Universal Design (2008), https://jfly.uni-koeln.de/color/; the last two are grays of their own lightness.
PALETTE = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#d55e00", "#999999", "#4d4d4d", "#c8c8c8")
MARKERS = "os^DvPX*hp"
TINT = 0.45  # of the full color: what is written on a field stays readable


def colors(n: int) -> list[str]:
    """Colors for n labels that color-blind people can tell apart; they begin again after ten."""
    return [PALETTE[k % len(PALETTE)] for k in range(n)]


def tint(code: str) -> str:
    """A color mixed with white, so that text can be read on it."""
    full = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)])
    return "#" + "".join(f"{round(v):02x}" for v in 255 - TINT * (255 - full))


def svg(figure: Figure, title: str = "") -> str:
    """A figure as an SVG document; text stays text, and the same picture gives the same document."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    text = io.StringIO()
    metadata: dict[str, str | None] = {"Date": None, "Creator": None}
    if title:
        metadata["Title"] = title
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "frugaltwin", "font.family": "sans-serif"}), _as_it_was(figure):
        FigureCanvasSVG(figure).print_svg(text, metadata=metadata)  # type: ignore[no-untyped-call]
    return text.getvalue()


def png(figure: Figure, dpi: int) -> bytes:
    """A figure as a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    file = io.BytesIO()
    with _as_it_was(figure):
        figure.set_dpi(dpi)
        FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return file.getvalue()


@contextmanager
def _as_it_was(figure: Figure) -> Iterator[None]:
    """Printing by a canvas itself takes two thirds of the time of `savefig`, which draws everything twice; but it leaves its marks."""
    canvas, dpi = figure.canvas, figure.get_dpi()
    try:
        yield
    finally:
        figure.set_canvas(canvas)
        figure.set_dpi(dpi)
