"""Calibration of the pumps: doses, weighings, fits, records."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from frugaltwin.cli.console import say, show_rows
from frugaltwin.errors import InvalidInput
from frugaltwin.table_reader import number
from hardware.commands.calibrations import check_outputs, check_store, keep, save_plot
from hardware.commands.connection import DRAIN, PINS, PUMPS, is_calibrated, opened, show_steps
from hardware.commands.options import STORE, AsJson, DryRun, PortWords, StorePath, Yes
from hardware.commands.weighing import read_masses, scale, weigh

if TYPE_CHECKING:
    from hardware.calibration import PumpFit


def calibrate_pumps(
    port: PortWords = "auto",
    pump: Annotated[list[int] | None, typer.Option("--pump", metavar="P", min=0, max=4, help="Only this one; may be repeated.")] = None,
    times: Annotated[str, typer.Option("--times", metavar="S,S,…", help="Times of the doses, s.")] = "0.5,1,2,5",
    repeats: Annotated[int, typer.Option("--repeats", metavar="N", min=2, max=50, help="Number of doses of each time.")] = 10,
    density: Annotated[float, typer.Option("--density", metavar="D", min=0.5, max=2.0, help="Density of the liquid, g/mL.")] = 0.998,
    masses: Annotated[
        Path | None, typer.Option("--masses", metavar="FILE.csv", help="File for the weighings; those in it already are not repeated.")
    ] = None,
    store: StorePath = STORE,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="A picture of doses, lines and residuals.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Weigh doses, fit flow and dead time of each pump, write them to the board and into the store."""
    from hardware.calibration import fitted, pump_record

    seconds = _dose_times(times)
    chosen = sorted(set(pump)) if pump else list(PUMPS)
    check_outputs(masses, picture=out)
    plan = [(p, s) for p in chosen for s in sorted(seconds) for _ in range(repeats)]
    if dry_run:
        runs = f"run each of pumps {', '.join(map(str, chosen))} {repeats} times for each of {', '.join(f'{s:g}' for s in seconds)} s"
        liquid = 1.6 * repeats * sum(seconds)  # at 1.6 mL/s
        return show_steps(
            port, f"{runs}, and ask for {len(plan)} weighings", f"use about {liquid:.0f} mL a pump", "fit, store, and write to the board"
        )
    known = read_masses(masses) if masses else []
    path = masses or Path(f"pump-masses-{datetime.now(UTC):%y%m%d-%H%M%S}.csv")
    check_outputs(path)
    with opened(port) as mixer:
        check_store(store)
        if len(chosen) < len(PUMPS) and not is_calibrated(mixer):
            raise InvalidInput(
                "the board has no calibration yet, so all five pumps are needed; leave --pump out (--masses lets you take breaks)"
            )
        weighed = weigh(mixer, scale(port, mixer, path, yes), plan, known, path)
        fits = [fitted(p, [s for q, s, _ in weighed if q == p], [m for q, _, m in weighed if q == p], density) for p in chosen]
        record = pump_record(mixer.identify(), fits, density, mixer.pump_calibrations(), mixer.calibration)
        record = keep(record, store)
        if out:
            save_plot(record, out)
        if as_json:
            values = ("pump", "flow", "flow_error", "dead", "dead_error", "scatter")
            show_rows([{"id": record.id} | {name: getattr(fit, name) for name in values} for fit in fits], as_json)
        else:
            show_rows([_fit_row(fit) for fit in fits], as_json)
        if slow := max((fit for fit in fits if fit.pump != DRAIN and fit.coasting), key=lambda fit: fit.coasting, default=None):
            say(f"pumps coast: less than {slow.smallest:.3f} mL cannot be dosed; run with --option coasting={slow.coasting:.3f}")
        if not (yes or port == "emulated" or typer.confirm("write this to the board?", default=True, err=True)):
            say(f"kept as {record.id} in {store}; the board is as it was")
            return 0
        mixer.calibrate({fit.pump: fit.settings for fit in fits}, record.id)
    say(f"calibrated as {record.id}; the board and {store} have it, the weighings are in {path}")
    if port == "emulated":
        say("this emulated board ends here and loses it; `frugaltwin rig emulate` runs one that stays")
    return 0


def _dose_times(words: str) -> list[float]:
    seconds = [found for word in words.split(",") if (found := number(word)) is not None]
    if len(seconds) < len(words.split(",")):
        raise InvalidInput(f"--times {words!r}: write seconds, as in 0.5,1,2,5")
    if len(set(seconds)) < 2 or not all(0.05 <= s <= 20 for s in seconds):
        raise InvalidInput(f"--times {words}: two times at least, each from 0.05 to 20 s, make a line")
    return seconds


def _fit_row(fit: PumpFit) -> dict[str, str]:
    scatter = {f"CV at {s} s": f"{cv:.1%}" for s, cv in fit.scatter.items()}
    flow, dead = f"{fit.flow:.4f} ± {fit.flow_error:.4f}", f"{1e3 * fit.dead:.1f} ± {1e3 * fit.dead_error:.1f}"
    return {"pump": f"{fit.pump} ({PINS[fit.pump]})", "flow, mL/s": flow, "dead time, ms": dead} | scatter
