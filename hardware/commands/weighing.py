"""Weighing of doses: by a person at a scale, or by the emulated scale."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import typer

from frugaltwin.cli.console import progress, say
from frugaltwin.errors import InvalidInput
from frugaltwin.table_reader import appended, number, read_table
from hardware.commands.connection import DRAIN, PINS, PUMPS, confirm

if TYPE_CHECKING:
    from hardware.arduino_mixer import ArduinoMixer
    from hardware.emulator.emulated_board import EmulatedBoard

Weighing = tuple[int, float, float]
"""Pump, s, g."""

COLUMNS = ("pump", "seconds", "mass")
"""Names of the columns of a file of weighings."""


class Scale(Protocol):
    """Source of the masses of doses."""

    def place(self, pump: int, seconds: float) -> None:
        """Put the outlet of this pump into the beaker, for doses of this time."""
        ...

    def dose(self, pump: int, seconds: float, number: str) -> float:
        """Mass of the dose that just ran, g."""
        ...


@dataclass
class Person:
    """A person who reads the scale and types."""

    path: Path
    yes: bool
    pump: int | None = None
    shown: float = 0.0

    def place(self, pump: int, seconds: float) -> None:
        if pump != self.pump:
            inlet = ", its inlet in a glass of water" if pump == DRAIN else ""
            confirm(f"pump {pump} ({PINS[pump]}): its tube is full{inlet}, its outlet in a beaker on the scale", self.yes)
            self.pump = pump
        self.shown = self._typed_mass(f"doses of {seconds:g} s come next; empty the beaker if it is rather full; the scale shows, in g")

    def dose(self, pump: int, seconds: float, number: str) -> float:
        before, self.shown = self.shown, self._typed_mass(f"{number} pump {pump} ran for {seconds:g} s; the scale shows, in g", self.shown)
        return round(self.shown - before, 6)

    def _typed_mass(self, question: str, least: float = 0.0) -> float:
        while True:
            answer = typer.prompt(question, err=True)
            if (mass := number(answer)) is not None and mass >= least:
                return mass
            wrong = f"; if the number before was wrong: Ctrl-C, take the last line out of {self.path}, go on with --masses {self.path}"
            say(f"{answer!r} is not a number from {least:g} up; type it again" + (wrong if least else ""))


@dataclass
class EmulatedScale:
    """Scale that shows centigrams of what the emulated pumps delivered."""

    board: EmulatedBoard

    def place(self, pump: int, seconds: float) -> None:
        self.board.plant.beaker = 0.0

    def dose(self, pump: int, seconds: float, number: str) -> float:
        volume, self.board.plant.beaker = self.board.plant.beaker or 0.0, 0.0
        return round(0.998 * volume, 2)


def scale(port: str, mixer: ArduinoMixer, path: Path, yes: bool) -> Scale:
    """The emulated scale of an emulated board, else a person at a scale."""
    if port == "emulated":
        from hardware.emulator.emulated_board import EmulatedBoard

        board = mixer.clock
        assert isinstance(board, EmulatedBoard)
        return EmulatedScale(board)
    say(f"every weighing goes into {path} at once; Ctrl-C for a break, then go on with --masses {path}")
    return Person(path, yes)


def weigh(mixer: ArduinoMixer, scale: Scale, plan: Sequence[tuple[int, float]], known: list[Weighing], path: Path) -> list[Weighing]:
    """Weigh every planned dose; each is on disk before the next one runs."""
    weighed = list(known)
    left = list(known)
    placed: tuple[int, float] | None = None
    mixer.clear()
    bar = (
        progress("weighing", len(plan)) if isinstance(scale, EmulatedScale) else nullcontext(lambda *_: None)
    )  # a typing person needs no bar
    with appended(path, COLUMNS) as add, bar as step:
        for n, (pump, seconds) in enumerate(plan, start=1):
            done = next((w for w in left if w[:2] == (pump, seconds)), None)
            if done:
                left.remove(done)
                continue
            if placed != (pump, seconds):
                scale.place(pump, seconds)
                placed = pump, seconds
            mixer.turn(pump, seconds)
            mass = scale.dose(pump, seconds, f"[{n}/{len(plan)}]")
            weighed.append((pump, seconds, mass))
            add((pump, seconds, mass))
            step(n, len(plan))
    return weighed


def read_masses(path: Path) -> list[Weighing]:
    """Weighings in a file; none when there is no such file.

    Raises:
        InvalidInput: A row is no weighing.
    """
    if not path.exists():
        return []
    table = read_table(path)
    if missing := [name for name in COLUMNS if table.header and name not in table.names]:
        raise InvalidInput(f"{path} has no column {', '.join(missing)}; its header is {','.join(COLUMNS)}")
    weighed: list[Weighing] = []
    for row in table.rows:
        pump, seconds, mass = (table.number(row, name) for name in COLUMNS)
        if pump is None or pump not in PUMPS or seconds is None or not seconds > 0 or mass is None or not mass >= 0:
            raise InvalidInput(f"{path}, row {row}: that is no weighing; write {','.join(COLUMNS)}, as in 0,0.5,0.81 (s and g)")
        weighed.append((int(pump), seconds, mass))
    return weighed
