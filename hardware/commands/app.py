"""The commands of ``frugaltwin rig`` and their groups."""

import typer

from hardware.commands.acceptance import acceptance
from hardware.commands.calibrate_light import calibrate_light
from hardware.commands.calibrate_pumps import calibrate_pumps
from hardware.commands.calibrations import calibrations
from hardware.commands.check import check
from hardware.commands.emulate import emulate
from hardware.commands.flash import flash
from hardware.commands.prime_and_rinse import prime, rinse
from hardware.commands.read_and_stop import read, stop

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="The rig: check, calibrate and care for it.")
for command in (check, acceptance, calibrations, prime, rinse, read, stop, emulate, flash):
    app.command()(command)

calibrate = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Calibrate the pumps or the light.")
calibrate.command("pumps")(calibrate_pumps)
calibrate.command("light")(calibrate_light)
app.add_typer(calibrate, name="calibrate")
