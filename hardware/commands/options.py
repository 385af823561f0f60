"""Options that several commands of the rig share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PortWords = Annotated[
    str, typer.Option("--port", metavar="PORT", help="/dev/ttyACM0, COM3, socket://host:port, auto (an Arduino on USB), or emulated.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines on standard output, and nothing else.")]
Yes = Annotated[bool, typer.Option("--yes", help="Answer yes to all yes-or-no questions.")]
StorePath = Annotated[Path, typer.Option("--store", metavar="FILE", show_default=False, help="The SQLite file; frugaltwin.db by default.")]
Volume = Annotated[float, typer.Option("--volume", metavar="V", min=0.05, max=7.0, help="Volume, mL.")]
SensorName = Annotated[str, typer.Option("--sensor", metavar="NAME", help="Sensor: as7341 or tcs34725.")]
STORE = Path("frugaltwin.db")
