"""Single instructions to a rig: read the sensor, stop everything."""

from __future__ import annotations

from typing import Annotated

import typer

from frugaltwin.cli.console import say, show_rows
from hardware.commands.connection import opened, show_steps
from hardware.commands.options import AsJson, DryRun, PortWords


def read(
    port: PortWords = "auto",
    lamp: Annotated[bool, typer.Option("--lamp/--dark", help="With the lamp on, or off.")] = True,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, max=10000, help="Number of readings.")] = 1,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Read the color sensor as it is now."""
    if dry_run:
        return show_steps(port, f"read the sensor {count} times with the lamp {'on' if lamp else 'off'}")
    with opened(port) as mixer:
        mixer.clear()
        mixer.set_sensor()
        rows = []
        for _ in range(count):
            reading = mixer.read(lamp)
            rows.append(dict(reading.counts) | {"full scale": reading.full_scale})
            if as_json:
                show_rows(rows[-1:], as_json)
    if not as_json:
        show_rows(rows, as_json)
    return 0


def stop(port: PortWords = "auto", dry_run: DryRun = False) -> int:
    """Switch everything off, and latch it."""
    if dry_run:
        return show_steps(port, "everything off, latched until the next run")
    with opened(port) as mixer:
        mixer.stop()
    say("stopped: pumps, stirrer and lamp are off")
    return 0
