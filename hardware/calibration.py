"""Calibration of the pumps and the light of a rig, from readings to a record for the store.

A calibrated pump is asked for a time: mass = density · flow · (t - dead). The dead time is how long the motor turns before anything comes;
a negative one means that it delivers more than its time says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np

from frugaltwin.errors import InvalidInput, RigFault
from frugaltwin.pictures.style import ACCENT, INK, QUIET, svg
from frugaltwin.store import CalibrationRecord
from hardware.arduino_mixer import PumpCalibration
from simulator.instruments.liquids import Pump
from simulator.instruments.photometry import BRIGHT, LEAST

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WATER = 0.998  # g/mL at 20 °C
GRAY_ZONE = (0.4, 0.7)  # of full scale, where the brightest channel should be through water
DIM = 0.1  # of full scale; below it something is wrong
REPEATS = 5  # equal readings in a row that cannot be
LEAST_COASTING = 0.02  # mL that are more than a drop that hangs or falls
STEADY = 0.02  # largest scatter of readings, relative, that still counts as steady


@dataclass(frozen=True)
class PumpFit:
    """Fit of a pump to n weighed doses."""

    pump: int
    flow: float
    """mL/s."""
    flow_error: float
    """Standard error, mL/s."""
    dead: float
    """s."""
    dead_error: float
    """Standard error, s."""
    seconds: tuple[float, ...]
    """Times of the doses, [n]."""
    masses: tuple[float, ...]
    """Masses of the doses, g, [n]."""
    residuals: tuple[float, ...]
    """Weighed minus fitted, g, [n]."""
    scatter: Mapping[str, float]
    """Coefficient of variation of the doses of each time, relative, by the time in s."""

    @property
    def coasting(self) -> float:
        """Volume that comes after the pump is switched off, mL; 0 where the doses do not show that it coasts."""
        more = -self.flow * self.dead
        return more if more > max(LEAST_COASTING, 3 * self.flow * self.dead_error) else 0.0

    @property
    def smallest(self) -> float:
        """Smallest dose that it can deliver, mL, in whole µL; 0 if it does not coast."""
        return Pump(1.0, 0.0, 0.0, self.flow, self.coasting).smallest

    @property
    def settings(self) -> PumpCalibration:
        """The fit as the firmware takes it."""
        return PumpCalibration(round(1e3 * self.flow), round(1e6 * self.dead))


def fitted(pump: int, seconds: Sequence[float], masses: Sequence[float], density: float = WATER) -> PumpFit:
    """The line through weighed doses, each weighted by the repeat error of a pump (2 % and 2 mg).

    Args:
        seconds: How long each dose ran, [n].
        masses: What each weighed, g, [n].
        density: g/mL.

    >>> fit = fitted(0, [0.5, 1, 2, 5], [0.7 * 0.998, 1.5 * 0.998, 3.1 * 0.998, 7.9 * 0.998])
    >>> round(fit.flow, 6), round(fit.dead, 6)
    (1.6, 0.0625)

    Raises:
        InvalidInput: There are too few doses, or only one time.
        RigFault: The doses do not lie on a rising line; the message says what to look for.
    """
    t, m = np.asarray(seconds, dtype=float), np.asarray(masses, dtype=float)
    if len(t) < 3 or len(set(seconds)) < 2:
        raise InvalidInput(f"pump {pump}: {len(t)} doses of {len(set(seconds))} times are too few for a line; weigh 3 doses of 2 times")
    for s in sorted(set(seconds)):
        if m[t == s].mean() <= 0:
            raise RigFault(
                f"pump {pump} delivers nothing in {s:g} s; look for an empty bottle or air in its tube, or leave so short a time out"
            )
    design = np.stack([t, np.ones_like(t)], axis=1)
    weights = np.ones_like(t)
    for _ in range(2):
        solution, *_ = np.linalg.lstsq(design * weights[:, None], m * weights, rcond=None)
        weights = 1 / np.hypot(0.02 * np.abs(design @ solution), 0.002)
    slope, offset = (float(v) for v in solution)
    residuals = m - design @ solution
    if slope <= 0:
        raise RigFault(f"pump {pump} delivers no more in a longer time; look for an empty bottle, air in its tube, or a pump that slips")
    chi = float((residuals * weights) @ (residuals * weights)) / (len(t) - 2)
    covariance = np.linalg.inv(design.T @ (design * (weights**2)[:, None])) * chi
    along = np.array([offset / slope**2, -1 / slope])  # of the dead time by slope and offset
    flow_error, dead_error = float(np.sqrt(covariance[0, 0])) / density, float(np.sqrt(along @ covariance @ along))
    if flow_error > 0.05 * slope / density:
        raise RigFault(
            f"pump {pump}: the doses scatter too much ({flow_error / slope * density:.0%} in the flow); "
            "look for air in its tube or a tube that slips"
        )
    scatter = {f"{s:g}": float(m[t == s].std(ddof=1) / m[t == s].mean()) for s in sorted(set(seconds)) if (t == s).sum() > 1}
    times, weighed, left = (tuple(float(v) for v in values) for values in (t, m, residuals))
    return PumpFit(pump, slope / density, flow_error, 0.0 - offset / slope, dead_error, times, weighed, left, scatter)


def check_scatter(readings: Sequence[Mapping[str, int]]) -> None:
    """Check that no bright reading comes five times in a row.

    Shot noise is 2.6 counts at 100 counts and more above. There one channel reads five times the same by chance once in 7,000; here all
    channels have to, which is less than once in 1e8.

    Args:
        readings: Counts by channel, [n].

    Raises:
        RigFault: No scatter where there must be some.
    """
    for begin in range(len(readings) - REPEATS + 1):
        first, *others = readings[begin : begin + REPEATS]
        brightest = max(first, key=lambda c: first[c])
        if first[brightest] >= BRIGHT and all(counts == first for counts in others):
            raise RigFault(
                f"no scatter where there must be some: the sensor repeats one reading, {first[brightest]} counts in channel {brightest}; "
                "cut its power for a moment, and check its four wires"
            )


def check_light(dark: Sequence[Mapping[str, int]], lit: Sequence[Mapping[str, int]]) -> None:
    """Check that the lamp makes a difference, and that readings with it scatter as `check_scatter` says.

    Args:
        dark: Counts by channel with the lamp off, [n].
        lit: The same with the lamp on, [n].

    Raises:
        RigFault: No light above the dark, or no scatter where there must be some.
    """
    check_scatter(lit)
    channel = max(lit[0], key=lambda c: lit[0][c])
    if (more := mean(c[channel] for c in lit) - mean(c[channel] for c in dark)) < LEAST:
        raise RigFault(
            f"no light above the dark: with the lamp on, channel {channel} reads {more:.0f} counts more than with it off; "
            "check that the lamp is wired to D7 and points at the sensor, and that the cell is clear"
        )


def record_id(kind: str, now: datetime) -> str:
    """A name of 14 characters that the firmware can keep.

    >>> record_id("pumps", datetime(2026, 11, 24, 9, 5, 7))
    'p261124-090507'
    """
    return f"{kind[0]}{now:%y%m%d-%H%M%S}"


def pump_record(
    rig: str, fits: Sequence[PumpFit], density: float, before: Mapping[int, PumpCalibration], replaced: str
) -> CalibrationRecord:
    """The record for the store.

    Args:
        before: What the board timed its doses by until now; a pump without a fit keeps it.
        replaced: The id of that calibration.
    """
    settings = {**before, **{fit.pump: fit.settings for fit in fits}}
    on_the_board = {str(pump): asdict(that) for pump, that in settings.items()}  # µL/s and µs
    pumps, plot = [asdict(fit) | {"coasting": fit.coasting, "smallest": fit.smallest} for fit in fits], svg(pump_figure(fits, density))
    body = {"rig": rig, "density": density, "pumps": pumps, "settings": on_the_board, "replaces": replaced, "plot": plot}
    return _record("pumps", body)


def light_record(rig: str, body: Mapping[str, Any]) -> CalibrationRecord:
    """The same for dark and white readings."""
    return _record("light", {"rig": rig, **body})


def _record(kind: str, body: Mapping[str, Any]) -> CalibrationRecord:
    now = datetime.now(UTC)
    return CalibrationRecord(record_id(kind, now), now.isoformat(timespec="seconds"), {"kind": kind, **body})


def pump_figure(fits: Sequence[PumpFit], density: float = WATER) -> Figure:
    """Weighed doses, the line through them, and the residuals, pump by pump."""
    from matplotlib.figure import Figure

    result = Figure(figsize=(2.6 * len(fits), 4.2), layout="constrained")
    panels = result.subplots(2, len(fits), squeeze=False, sharex=True, height_ratios=(2, 1))
    for fit, above, below in zip(fits, *panels, strict=True):
        t = np.array([0.0, max(fit.seconds)])
        above.plot(fit.seconds, fit.masses, "o", color=INK, markersize=4, fillstyle="none")
        above.plot(t, density * fit.flow * (t - fit.dead), color=ACCENT)
        above.set_title(f"pump {fit.pump}: {fit.flow:.3f} mL/s, {1e3 * fit.dead:.1f} ms", fontsize=9)
        below.plot(fit.seconds, [1e3 * r for r in fit.residuals], "o", color=INK, markersize=4, fillstyle="none")
        below.axhline(0, color=QUIET, linewidth=1)
        below.set_xlabel("pump on, s", fontsize=9)
        for axes in (above, below):
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(colors=INK, labelsize=8)
    panels[0][0].set_ylabel("weighed, g", fontsize=9)
    panels[1][0].set_ylabel("left over, mg", fontsize=9)
    return result
