"""Connection of a command to a rig: a mixer that answers, dry runs, and questions to the person at the rig."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from frugaltwin.cli.console import show_line
from frugaltwin.errors import InvalidInput

if TYPE_CHECKING:
    from hardware.arduino_mixer import ArduinoMixer
    from hardware.serial.recorder import Line

PINS = ("D5", "D6", "D9", "D10", "D11")
PUMPS = range(len(PINS))
DRAIN = PUMPS[-1]


@contextmanager
def opened(port: str, record: list[Line] | None = None) -> Iterator[ArduinoMixer]:
    """A mixer that answers; nothing moved yet. It is stopped and disconnected at the end, also after a failure.

    Args:
        record: Where what goes over the line is kept.
    """
    from hardware.mixers import mixer_on, serial_mixer
    from simulator.instruments.dyed_water import DYED_WATER
    from simulator.instruments.mixer import Imperfections
    from simulator.instruments.sensors import SENSORS, make_sensor

    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started it in the background, which ignores Ctrl-C
        signal.signal(number, signal.default_int_handler)
    sensor = make_sensor("as7341", {})  # until the board has said which it has
    if port == "emulated":
        from hardware.emulator.emulated_board import EmulatedBoard

        board = EmulatedBoard(sensor, Imperfections(), 0, DYED_WATER)
        mixer = mixer_on(lambda: board, sensor, DYED_WATER)
    else:
        mixer = serial_mixer(port, sensor, Imperfections(), 0, DYED_WATER)
    mixer.record = record
    try:
        mixer.open()
        if (name := mixer.sensor_name) in SENSORS:
            mixer.sensor = make_sensor(name, {})
        yield mixer
    finally:
        mixer.__exit__()


@contextmanager
def ready(port: str) -> Iterator[ArduinoMixer]:
    """A mixer that can dose, its cell drained."""
    with opened(port) as mixer, mixer:
        yield mixer


def is_calibrated(mixer: ArduinoMixer) -> bool:
    """Whether the board has a calibration of its pumps."""
    return mixer.calibration not in ("", "-")


def confirm(fact: str, yes: bool) -> None:
    """Ask the person whether something is so.

    Raises:
        InvalidInput: The answer is no.
    """
    if not yes and not typer.confirm(f"{fact}: is that so?", default=True, err=True):
        raise InvalidInput("nothing was done; start again when it is so")


def show_steps(port: str, *steps: str) -> int:
    """Print the steps of a dry run; the exit code is 0."""
    for step in steps:
        show_line(f"would, at {port}: {step}")
    return 0
