"""Liquids of a rig: priming the tubes, rinsing the cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from frugaltwin.cli.console import progress, say
from hardware.commands.connection import DRAIN, PUMPS, confirm, is_calibrated, opened, ready, show_steps
from hardware.commands.options import DryRun, PortWords, Volume, Yes

if TYPE_CHECKING:
    from hardware.arduino_mixer import ArduinoMixer


def prime(port: PortWords = "auto", volume: Volume = 0.5, yes: Yes = False, dry_run: DryRun = False) -> int:
    """Fill the tubes of the four liquids, then empty the cell."""
    if dry_run:
        return show_steps(port, "drain the cell", f"pump {volume:g} mL through each of pumps 0 to 3", "drain the cell")
    confirm("the inlets are in their bottles, and a tray is under the rig", yes or port == "emulated")
    with opened(port) as mixer, progress("priming", len(PUMPS)) as step:
        knows_flow = is_calibrated(mixer)
        prime_tubes(mixer, volume, step)
    say(f"primed: {volume:g} mL through each tube" + ("" if knows_flow else " (not calibrated yet: taken as 1.6 mL/s)"))
    return 0


def rinse(
    port: PortWords = "auto",
    volume: Volume = 4.0,
    times: Annotated[int, typer.Option("--times", metavar="N", min=1, max=20, help="Number of rinses.")] = 1,
    dry_run: DryRun = False,
) -> int:
    """Fill the cell with water and drain it."""
    if dry_run:
        return show_steps(port, f"drain, then {times} times: {volume:g} mL of water from pump 3, drain")
    with ready(port) as mixer, progress("rinsing", times) as step:
        for n in range(times):
            mixer.rinse(volume)
            mixer.drain()
            step(n + 1, times)
    say(f"rinsed {times} times with {volume:g} mL")
    return 0


def prime_tubes(mixer: ArduinoMixer, volume: float, step: Callable[[int, int], object]) -> None:
    """Pump so much through every tube, and drain before the cell could overflow."""
    from simulator.instruments.mixer import CELL_VOLUME, DRAIN_SECONDS, RATE

    mixer.clear()
    filled = CELL_VOLUME  # unknown, so taken as full
    for pump in PUMPS[:-1]:
        if filled + volume > CELL_VOLUME:
            mixer.turn(DRAIN, DRAIN_SECONDS)
            filled = 0.0
        mixer.turn(pump, volume / (mixer.pump_calibrations()[pump].flow / 1000 or RATE))
        filled += volume
        step(pump + 1, len(PUMPS))
    if is_calibrated(mixer):
        mixer.drain()  # the board's account of the cell follows it
    else:
        mixer.turn(DRAIN, DRAIN_SECONDS)
