"""Build of the firmware and its upload to the board."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from frugaltwin.cli.console import say
from frugaltwin.errors import InvalidInput, MissingPart, RigFault
from hardware.commands.connection import show_steps
from hardware.commands.options import DryRun


def flash(
    port: Annotated[str, typer.Option("--port", metavar="PORT", help="/dev/ttyACM0 or COM3.")],
    board: Annotated[str, typer.Option("--board", metavar="NAME", help="uno, nano or mega.")] = "uno",
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder for the build of the firmware.")] = Path("build"),
    dry_run: DryRun = False,
) -> int:
    """Build the firmware and put it on the board, with arduino-cli or avrdude, whichever is there."""
    from hardware.firmware.build import BOARDS, SKETCH, build

    if board not in BOARDS:
        raise InvalidInput(f"--board {board}: it is {', '.join(list(BOARDS)[:-1])} or {list(BOARDS)[-1]}")
    that = BOARDS[board]
    image = out / f"{SKETCH.stem}.hex"
    if shutil.which("arduino-cli"):
        commands = [["arduino-cli", "compile", "--upload", "--fqbn", f"arduino:avr:{board}", "--port", port, str(SKETCH.parent)]]
    elif shutil.which("avrdude"):
        commands = [["avrdude", "-c", that.programmer, "-p", that.part, "-b", "115200", "-P", port, "-D", "-U", f"flash:w:{image}:i"]]
    else:
        raise MissingPart(
            f"neither arduino-cli nor avrdude is installed; install one (Debian: apt-get install avrdude), or open {SKETCH} in the "
            f"Arduino IDE, choose {that.name} and your port, and press Upload"
        )
    if dry_run:
        return show_steps(port, *([] if shutil.which("arduino-cli") else [f"build {image}"]), *(" ".join(c) for c in commands))
    if not shutil.which("arduino-cli"):
        firmware = build(SKETCH, out, board)
        say(f"built {firmware.hex}: {firmware.flash_bytes} bytes of {that.flash:,}")
    for command in commands:
        if subprocess.run(command, check=False).returncode:
            raise RigFault(f"{command[0]} could not write to {port}; read what it says above, close other programs on that port, try again")
    say(f"{port} has the firmware now; go on with: frugaltwin rig check --port {port}")
    return 0
