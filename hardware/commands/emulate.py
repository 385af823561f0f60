"""Emulated board behind a port, shown on the terminal while it runs."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frugaltwin.cli.console import show_line
from frugaltwin.errors import InvalidInput
from hardware.commands.connection import DRAIN, PINS, PUMPS
from hardware.commands.options import SensorName

if TYPE_CHECKING:
    from hardware.emulator.server import BoardServer
    from simulator.instruments.sensors import Sensor


def emulate(
    tcp: Annotated[
        int | None,
        typer.Option("--tcp", metavar="N", min=0, max=65535, help="Serve behind this TCP port (0: any free one) instead of a terminal."),
    ] = None,
    link: Annotated[Path | None, typer.Option("--link", metavar="PATH", help="Permanent name for the port.")] = None,
    sensor: SensorName = "as7341",
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="NAME[:LIQUID][@S[+S]]", help="A fault, with its start and duration; may be repeated."),
    ] = None,
    coasting: Annotated[
        float, typer.Option("--coasting", metavar="ML", min=0.0, max=0.3, help="Volume that a pump delivers after it is switched off, mL.")
    ] = 0.0,
    uncalibrated: Annotated[bool, typer.Option("--uncalibrated", help="Start without a calibration, as a new rig.")] = False,
    speed: Annotated[float, typer.Option("--speed", metavar="X", min=1.0, max=5.0, help="Seconds of the board per real second.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Random seed.")] = 0,
) -> int:
    """Run the rig's firmware on an emulated board behind a port, in real time, until Ctrl-C."""
    from hardware.emulator.emulated_board import EmulatedBoard
    from hardware.emulator.faults import parse_faults
    from hardware.emulator.server import PtyServer, TcpServer
    from simulator.instruments.dyed_water import DYED_WATER
    from simulator.instruments.mixer import Imperfections

    if tcp is not None and link is not None:
        raise InvalidInput("--tcp and --link are two ways to name the port; leave one out")
    liquids = DYED_WATER.coasting(coasting)
    faults = parse_faults(",".join(fault or []), liquids.bottles)
    board = EmulatedBoard(_sensor(sensor), Imperfections(), seed, liquids, faults, not uncalibrated)
    try:
        server: BoardServer = TcpServer(board, speed, tcp) if tcp is not None else PtyServer(board, speed, link)
        with server:
            end = threading.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: end.set())
            show_line(server.address)
            sys.stdout.flush()
            _show(server, end)
        if server.error:
            raise server.error
    finally:
        board.power_off()
    return 0


def _sensor(name: str) -> Sensor:
    from simulator.instruments.sensors import SENSORS, make_sensor

    if name not in SENSORS:
        raise InvalidInput(f"--sensor {name}: it is {' or '.join(SENSORS)}")
    return make_sensor(name, {})


def _show(server: BoardServer, end: threading.Event) -> None:
    """Show what the board does until `end`, or until the server ends; on a terminal, live."""
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    if not console.is_terminal:
        while server.is_running and not end.wait(0.2):
            pass
        return
    with Live(console=console, auto_refresh=False) as live:
        while server.is_running and not end.wait(0.1):
            live.update(board_panel(server), refresh=True)


def board_panel(server: BoardServer) -> Any:
    """Pumps, stirrer, lamp and cell as they are now."""
    from rich.console import Group
    from rich.table import Table

    from hardware.calibration import WATER
    from hardware.emulator.engine import LAMP, STIRRER

    plant = server.board.plant
    table = Table()
    table.add_column("what")
    table.add_column("now")
    table.add_column("on a scale", justify="right")
    names = [*plant.asked, *[""] * (DRAIN - len(plant.asked)), "drain"]
    for pump, name in zip(PUMPS, names, strict=True):
        now = "[bold green]▶ runs[/]" if plant.outputs[pump] else "· off"
        table.add_row(f"pump {pump} ({PINS[pump]}) {name}", now, f"{WATER * plant.delivered[pump]:.2f} g")
    table.add_row("stirrer (D3)", "[bold green]▶ turns[/]" if plant.outputs[STIRRER] else "· off", "")
    table.add_row("lamp (D7)", "[bold yellow]● lit[/]" if plant.outputs[LAMP] else "○ dark", "")
    full = round(20 * plant.cell.volume / 8.0)
    table.add_row("cell", "█" * full + "░" * (20 - full), f"{plant.cell.volume:.2f} mL")
    table.add_row("seen through it", f"[on {(color := plant.color())}]      [/] {color}", "")
    return Group(f"emulated rig at {server.address}, {server.board.monotonic():.1f} s; Ctrl-C ends it", table)
