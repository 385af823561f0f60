"""The commands of ``frugaltwin rig``: from a board that was just plugged in to one that mixes."""

from __future__ import annotations

import csv
import json
import math
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from frugaltwin.cli.console import progress, say, show_line, show_rows
from frugaltwin.errors import InvalidInput, MissingPart, RigFault, Stopped
from frugaltwin.files import check_writable

if TYPE_CHECKING:
    from frugaltwin.store import CalibrationRecord
    from hardware.arduino_mixer import ArduinoMixer
    from hardware.calibration import PumpFit
    from hardware.emulator.emulated_board import EmulatedBoard
    from hardware.emulator.server import BoardServer
    from simulator.instruments.sensors import Sensor

PINS = ("D5", "D6", "D9", "D10", "D11")
PUMPS = range(len(PINS))
DRAIN = PUMPS[-1]
RESETS = {1: "power came on", 2: "the port was opened (reset pin)", 4: "the supply sagged (brown-out)", 8: "the firmware hung (watchdog)"}

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="The rig: check, calibrate and care for it.")
calibrate = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="What pumps deliver, and what light is.")
app.add_typer(calibrate, name="calibrate")

PortWords = Annotated[
    str, typer.Option("--port", metavar="PORT", help="/dev/ttyACM0, COM3, socket://host:port, auto (an Arduino on USB), or emulated.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines on standard output, and nothing else.")]
Yes = Annotated[bool, typer.Option("--yes", help="Yes to whatever can be answered with yes or no.")]
StorePath = Annotated[Path, typer.Option("--store", metavar="FILE", show_default=False, help="The SQLite file; frugaltwin.db by default.")]
Volume = Annotated[float, typer.Option("--volume", metavar="V", min=0.05, max=7.0, help="mL.")]
SensorName = Annotated[str, typer.Option("--sensor", metavar="NAME", help="as7341 or tcs34725.")]
STORE = Path("frugaltwin.db")


@app.command()
def check(port: PortWords = "auto", store: StorePath = STORE, dry_run: DryRun = False, as_json: AsJson = False) -> int:
    """Find out who is there and what it still needs. Nothing is pumped."""
    if dry_run:
        return _would(port, "ask who is there, for its state and calibration", "read the sensor five times with the lamp off, and on")
    with _opened(port) as mixer:
        rows = list(_findings(mixer, store))
    show_rows(rows, as_json)
    problems = [row["about"] for row in rows if row["status"] == "problem"]
    if not as_json:
        say("ready to mix" if not problems else f"not ready yet: {', '.join(problems)}")
    return 1 if problems else 0


@calibrate.command("pumps")
def calibrate_pumps(
    port: PortWords = "auto",
    pump: Annotated[list[int] | None, typer.Option("--pump", metavar="P", min=0, max=4, help="Only this one; may be repeated.")] = None,
    times: Annotated[str, typer.Option("--times", metavar="S,S,…", help="How long the doses run, s.")] = "0.5,1,2,5",
    repeats: Annotated[int, typer.Option("--repeats", metavar="N", min=2, max=50, help="Doses of each time.")] = 10,
    density: Annotated[float, typer.Option("--density", metavar="D", min=0.5, max=2.0, help="Of the liquid, g/mL.")] = 0.998,
    masses: Annotated[
        Path | None, typer.Option("--masses", metavar="FILE.csv", help="Where weighings are kept; those in it already are not repeated.")
    ] = None,
    store: StorePath = STORE,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="A picture of doses, lines and residuals.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Weigh doses, fit flow and dead time of each pump, write them to the board and into the store."""
    from hardware.calibration import fitted, pump_record

    seconds = _times(times)
    chosen = sorted(set(pump)) if pump else list(PUMPS)
    _check_outputs(masses, picture=out)
    plan = [(p, s) for p in chosen for s in sorted(seconds) for _ in range(repeats)]
    if dry_run:
        runs = f"run each of pumps {', '.join(map(str, chosen))} {repeats} times for each of {', '.join(f'{s:g}' for s in seconds)} s"
        liquid = 1.6 * repeats * sum(seconds)  # at 1.6 mL/s
        return _would(
            port, f"{runs}, and ask for {len(plan)} weighings", f"use about {liquid:.0f} mL a pump", "fit, store, and write to the board"
        )
    known = _read_masses(masses) if masses else []
    path = masses or Path(f"pump-masses-{datetime.now(UTC):%y%m%d-%H%M%S}.csv")
    _check_outputs(path)
    with _opened(port) as mixer:
        _check_store(store)
        if len(chosen) < len(PUMPS) and not _is_calibrated(mixer):
            raise InvalidInput(
                "the board has no calibration yet, so all five pumps are needed; leave --pump out (--masses lets you take breaks)"
            )
        weighed = _weigh(mixer, _scale(port, mixer, path, yes), plan, known, path)
        fits = [fitted(p, [s for q, s, _ in weighed if q == p], [m for q, _, m in weighed if q == p], density) for p in chosen]
        record = pump_record(mixer.identify(), fits, density, mixer.pump_calibrations(), mixer.calibration)
        _keep(record, store)
        if out:
            _save_plot(record, out)
        if as_json:
            values = ("pump", "flow", "flow_error", "dead", "dead_error", "scatter")
            show_rows([{"id": record.id} | {name: getattr(fit, name) for name in values} for fit in fits], as_json)
        else:
            show_rows([_fit_row(fit) for fit in fits], as_json)
        if not (yes or port == "emulated" or typer.confirm("write this to the board?", default=True, err=True)):
            say(f"kept as {record.id} in {store}; the board is as it was")
            return 0
        mixer.calibrate({fit.pump: fit.settings for fit in fits}, record.id)
    say(f"calibrated as {record.id}; the board and {store} have it, the weighings are in {path}")
    if port == "emulated":
        say("this emulated board ends here and forgets it; `frugaltwin rig emulate` is one that stays")
    return 0


@calibrate.command("light")
def calibrate_light(
    port: PortWords = "auto", store: StorePath = STORE, yes: Yes = False, dry_run: DryRun = False, as_json: AsJson = False
) -> int:
    """Read the dark and clean water, choose the gain, and keep what was read."""
    if dry_run:
        return _would(
            port,
            "ask for clean water in the cell",
            "16 readings in the dark",
            "30 s of lamp, then 16 readings, at each gain until one fits",
        )
    from hardware.calibration import light_record

    with _opened(port) as mixer:
        _check_store(store)
        _confirm("4 mL of clean water are in the cell and its box is closed", yes or port == "emulated")
        mixer.clear()
        body = _light(mixer)
        record = light_record(mixer.identify(), body)
    _keep(record, store)
    looks = {"dark": ".1f", "white": ".1f", "share": ".0%", "scatter": ".2%"}
    if as_json:
        named = {"id": record.id, "gain": body["gain"]}
        show_rows([named | {"channel": c} | {v: body[v][c] for v in looks} for c in body["white"]], as_json)
    else:
        show_rows([{"channel": c} | {v: format(body[v][c], look) for v, look in looks.items()} for c in body["white"]], as_json)
    say(f"kept as {record.id} in {store}; run with --option gain={body['gain']:g}")
    return 0


@app.command()
def calibrations(
    record: Annotated[str | None, typer.Argument(metavar="ID", help="One of them, in full.")] = None,
    store: StorePath = STORE,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.svg", help="Write its picture.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the calibrations of the store, or show one."""
    from frugaltwin.store import Store

    found = Store(store).calibrations()
    if record is None:
        show_rows([{"id": r.id, "created": r.created_at, "kind": r.body["kind"], "rig": r.body["rig"]} for r in found], as_json)
        return
    one = next((r for r in found if r.id == record), None)
    if one is None:
        raise InvalidInput(f"there is no calibration {record!r} in {store}; there are {', '.join(r.id for r in found) or 'none'}")
    if out:
        _save_plot(one, out)
    body = {k: v for k, v in one.body.items() if k != "plot"}
    show_line(json.dumps({"id": one.id, "created": one.created_at, **body}, indent=None if as_json else 2, ensure_ascii=False))


@app.command()
def prime(port: PortWords = "auto", volume: Volume = 0.5, yes: Yes = False, dry_run: DryRun = False) -> int:
    """Fill the tubes of the four liquids, then empty the cell."""
    if dry_run:
        return _would(port, "drain the cell", f"pump {volume:g} mL through each of pumps 0 to 3", "drain the cell")
    _confirm("the inlets are in their bottles, and a tray is under the rig", yes or port == "emulated")
    with _opened(port) as mixer, progress("priming", len(PUMPS)) as step:
        is_calibrated = _is_calibrated(mixer)
        _prime(mixer, volume, step)
    say(f"primed: {volume:g} mL through each tube" + ("" if is_calibrated else " (not calibrated yet: taken as 1.6 mL/s)"))
    return 0


@app.command()
def rinse(
    port: PortWords = "auto",
    volume: Volume = 4.0,
    times: Annotated[int, typer.Option("--times", metavar="N", min=1, max=20, help="How often.")] = 1,
    dry_run: DryRun = False,
) -> int:
    """Fill the cell with water and drain it."""
    if dry_run:
        return _would(port, f"drain, then {times} times: {volume:g} mL of water from pump 3, drain")
    with _ready(port) as mixer, progress("rinsing", times) as step:
        for n in range(times):
            mixer.rinse(volume)
            mixer.drain()
            step(n + 1, times)
    say(f"rinsed {times} times with {volume:g} mL")
    return 0


@app.command()
def read(
    port: PortWords = "auto",
    lamp: Annotated[bool, typer.Option("--lamp/--dark", help="With the lamp on, or off.")] = True,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, max=10000, help="How many readings.")] = 1,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Read the color sensor as it is now."""
    if dry_run:
        return _would(port, f"read the sensor {count} times with the lamp {'on' if lamp else 'off'}")
    with _opened(port) as mixer:
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


@app.command()
def stop(port: PortWords = "auto", dry_run: DryRun = False) -> int:
    """Everything off, and latched."""
    if dry_run:
        return _would(port, "everything off, latched until the next run")
    with _opened(port) as mixer:
        mixer.stop()
    say("stopped: pumps, stirrer and lamp are off")
    return 0


@app.command()
def emulate(
    tcp: Annotated[
        int | None,
        typer.Option("--tcp", metavar="N", min=0, max=65535, help="Behind this TCP port (0: any free one) in place of a terminal."),
    ] = None,
    link: Annotated[Path | None, typer.Option("--link", metavar="PATH", help="A name for the port that stays the same.")] = None,
    sensor: SensorName = "as7341",
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="NAME[:LIQUID][@S[+S]]", help="What goes wrong, when, for how long; may be repeated."),
    ] = None,
    uncalibrated: Annotated[bool, typer.Option("--uncalibrated", help="As it comes from the shop.")] = False,
    speed: Annotated[float, typer.Option("--speed", metavar="X", min=1.0, max=5.0, help="s of its time per s.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Random seed.")] = 0,
) -> int:
    """Run the rig's firmware on an emulated board behind a port, in real time, until Ctrl-C."""
    from hardware.emulator.emulated_board import EmulatedBoard
    from hardware.emulator.faults import parse_faults
    from hardware.emulator.server import PtyServer, TcpServer
    from simulator.instruments.mixer import DYED_WATER, Imperfections

    if tcp is not None and link is not None:
        raise InvalidInput("--tcp and --link are two ways to name the port; leave one out")
    faults = parse_faults(",".join(fault or []), DYED_WATER.bottles)
    board = EmulatedBoard(_sensor(sensor), Imperfections(), seed, DYED_WATER, faults, not uncalibrated)
    try:
        server: BoardServer = TcpServer(board, speed, tcp) if tcp is not None else PtyServer(board, speed, link)
        with server:
            end = threading.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: end.set())
            show_line(server.address)
            sys.stdout.flush()
            _watch(server, end)
        if server.error:
            raise server.error
    finally:
        board.power_off()
    return 0


@app.command()
def flash(
    port: Annotated[str, typer.Option("--port", metavar="PORT", help="/dev/ttyACM0 or COM3.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the firmware is built.")] = Path("build"),
    dry_run: DryRun = False,
) -> int:
    """Build the firmware and put it on the board, with arduino-cli or avrdude, whichever is there."""
    from hardware.firmware.build import SKETCH, build

    image = out / f"{SKETCH.stem}.hex"
    if shutil.which("arduino-cli"):
        commands = [["arduino-cli", "compile", "--upload", "--fqbn", "arduino:avr:uno", "--port", port, str(SKETCH.parent)]]
    elif shutil.which("avrdude"):
        commands = [["avrdude", "-c", "arduino", "-p", "m328p", "-b", "115200", "-P", port, "-D", "-U", f"flash:w:{image}:i"]]
    else:
        raise MissingPart(
            f"neither arduino-cli nor avrdude is installed; install one (Debian: apt-get install avrdude), or open {SKETCH} in the "
            "Arduino IDE, choose Arduino Uno and your port, and press Upload"
        )
    if dry_run:
        return _would(port, *([] if shutil.which("arduino-cli") else [f"build {image}"]), *(" ".join(c) for c in commands))
    if not shutil.which("arduino-cli"):
        firmware = build(SKETCH, out)
        say(f"built {firmware.hex}: {firmware.flash_bytes} bytes of 32,256")
    for command in commands:
        if subprocess.run(command, check=False).returncode:
            raise RigFault(f"{command[0]} could not write to {port}; read what it says above, close other programs on that port, try again")
    say(f"{port} has the firmware now; go on with: frugaltwin rig check --port {port}")
    return 0


class Scale(Protocol):
    """Who tells what a dose weighed."""

    def place(self, pump: int, seconds: float) -> None:
        """From now on the outlet of this pump is in the beaker, for doses of this time."""
        ...

    def dose(self, pump: int, seconds: float, number: str) -> float:
        """What the dose that just ran weighed, g."""
        ...


@dataclass
class Person:
    """Reads the scale and types."""

    path: Path
    yes: bool
    pump: int | None = None
    shown: float = 0.0

    def place(self, pump: int, seconds: float) -> None:
        if pump != self.pump:
            inlet = ", its inlet in a glass of water" if pump == DRAIN else ""
            _confirm(f"pump {pump} ({PINS[pump]}): its tube is full{inlet}, its outlet in a beaker on the scale", self.yes)
            self.pump = pump
        self.shown = self._asked(f"doses of {seconds:g} s come next; empty the beaker if it is rather full; the scale shows, in g")

    def dose(self, pump: int, seconds: float, number: str) -> float:
        before, self.shown = self.shown, self._asked(f"{number} pump {pump} ran for {seconds:g} s; the scale shows, in g", self.shown)
        return round(self.shown - before, 6)

    def _asked(self, question: str, least: float = 0.0) -> float:
        while True:
            answer = typer.prompt(question, err=True)
            with suppress(ValueError):
                if least <= (mass := float(answer)) < math.inf:
                    return mass
            wrong = f"; if the number before was wrong: Ctrl-C, take the last line out of {self.path}, go on with --masses {self.path}"
            say(f"{answer!r} is not a number from {least:g} up; type it again" + (wrong if least else ""))


@dataclass
class EmulatedScale:
    """Shows centigrams of what the emulated pumps delivered."""

    board: EmulatedBoard

    def place(self, pump: int, seconds: float) -> None:
        self.board.plant.beaker = 0.0

    def dose(self, pump: int, seconds: float, number: str) -> float:
        volume, self.board.plant.beaker = self.board.plant.beaker or 0.0, 0.0
        return round(0.998 * volume, 2)


Weighing = tuple[int, float, float]
"""Pump, s, g."""


def _weigh(mixer: ArduinoMixer, scale: Scale, plan: Sequence[tuple[int, float]], known: list[Weighing], path: Path) -> list[Weighing]:
    """Every planned dose, weighed; each is on disk before the next one runs."""
    weighed = list(known)
    left = list(known)
    placed: tuple[int, float] | None = None
    mixer.clear()
    bar = progress("weighing", len(plan)) if isinstance(scale, EmulatedScale) else nullcontext(lambda *_: None)  # who types needs no bar
    with path.open("a", newline="", encoding="utf-8") as file, bar as step:
        table = csv.writer(file)
        if file.tell() == 0:
            table.writerow(["pump", "seconds", "mass"])
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
            table.writerow([pump, seconds, mass])
            file.flush()
            step(n, len(plan))
    return weighed


def _prime(mixer: ArduinoMixer, volume: float, step: Callable[[int, int], object]) -> None:
    """Pump so much through every tube, and drain before the cell could overflow."""
    from simulator.instruments.mixer import CELL_VOLUME, DRAIN_SECONDS, RATE

    mixer.clear()
    filled = CELL_VOLUME  # for all that is known
    for pump in PUMPS[:-1]:
        if filled + volume > CELL_VOLUME:
            mixer.turn(DRAIN, DRAIN_SECONDS)
            filled = 0.0
        mixer.turn(pump, volume / (mixer.pump_calibrations()[pump].flow / 1000 or RATE))
        filled += volume
        step(pump + 1, len(PUMPS))
    if _is_calibrated(mixer):
        mixer.drain()  # which the board's account of the cell follows
    else:
        mixer.turn(DRAIN, DRAIN_SECONDS)


def _light(mixer: ArduinoMixer) -> dict[str, Any]:
    """Dark and white of the first gain with which the brightest channel is neither dim nor near saturation."""
    import statistics

    from hardware.calibration import DIM, GRAY_ZONE, STEADY
    from simulator.instruments.sensors import AS7341_GAINS, TCS34725_GAINS, make_sensor

    name = mixer.sensor_name
    gains = AS7341_GAINS if name == "as7341" else TCS34725_GAINS
    with progress("lamp warms up", 30) as step:
        mixer.set_sensor()
        mixer.read(lamp=True)
        for second in range(30):
            mixer.clock.sleep(1.0)
            step(second + 1, 30)
    for gain in sorted(gains, reverse=True):
        mixer.sensor = make_sensor(name, {"gain": gain})
        mixer.set_sensor()
        brightest = max(mixer.read(lamp=True).counts.values()) / mixer.sensor.full_scale
        if brightest <= GRAY_ZONE[1]:
            break
    else:
        raise RigFault(
            f"too much light: the brightest channel is at {brightest:.0%} of full scale even at gain {gain:g}; "
            "close the box, or give the LED a larger resistor"
        )
    if brightest < DIM:
        raise RigFault(
            f"hardly any light: the brightest channel is at {brightest:.0%} of full scale at gain {gain:g}; "
            "look for a lamp that is dark or out of line, and for a dirty cell"
        )
    if brightest < GRAY_ZONE[0]:
        say(f"the brightest channel is at {brightest:.0%} of full scale; another resistor at the LED could bring it to 40 to 70 %")
    sensor = mixer.sensor
    with progress("reading", 32) as step:
        readings = []
        for n in range(32):
            readings.append(mixer.read(lamp=n >= 16).counts)
            step(n + 1, 32)
    dark, white = ({c: statistics.mean(float(r[c]) for r in part) for c in sensor.bands} for part in (readings[:16], readings[16:]))
    scatter = {c: statistics.stdev(float(r[c]) for r in readings[16:]) / white[c] if white[c] else 0.0 for c in sensor.bands}
    bright = [c for c in sensor.bands if white[c] > 1000]  # fewer counts scatter by themselves
    if bright and scatter[worst := max(bright, key=lambda c: scatter[c])] > STEADY:
        raise RigFault(f"channel {worst} scatters by {scatter[worst]:.1%}; look for room light, bubbles, or a loose lamp, then start again")
    share = {c: white[c] / sensor.full_scale for c in sensor.bands}
    residuals = [{c: float(r[c]) - white[c] for c in sensor.bands} for r in readings[16:]]
    return {
        "sensor": name, "gain": sensor.gain, "full_scale": sensor.full_scale, "dark": dark, "white": white, "share": share,
        "scatter": scatter, "residuals": residuals, "readings": [dict(r) for r in readings], "plot": _light_plot(dark, white, sensor),
    }  # fmt: skip


def _light_plot(dark: dict[str, float], white: dict[str, float], sensor: Sensor) -> str:
    from matplotlib.figure import Figure

    from frugaltwin.pictures.style import ACCENT, INK, QUIET, svg
    from hardware.calibration import GRAY_ZONE

    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.add_subplot()
    names = list(white)
    axes.bar(names, [white[c] / sensor.full_scale for c in names], color=ACCENT, label="water")
    axes.bar(names, [dark[c] / sensor.full_scale for c in names], color=INK, label="dark")
    axes.axhspan(*GRAY_ZONE, color=QUIET, alpha=0.2, label="where the brightest should be")
    axes.set(xlabel="channel", ylabel="of full scale", ylim=(0, 1), title=f"{sensor.name}, gain {sensor.gain:g}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return svg(figure)


def _findings(mixer: ArduinoMixer, store: Path) -> Iterator[dict[str, str]]:
    from statistics import mean

    def row(status: str, about: str, text: str) -> dict[str, str]:
        return {"status": status, "about": about, "text": text}

    state = mixer.state()
    causes = [text for bit, text in RESETS.items() if state.reset & bit]
    yield row("ok", "board", mixer.identify())
    yield row("warning" if state.reset & 12 else "ok", "last reset", ", ".join(causes) or "unknown")
    yield _calibration_row(mixer, store)
    for pump, that in mixer.pump_calibrations().items() if _is_calibrated(mixer) else ():
        yield row("ok", f"pump {pump} ({PINS[pump]})", f"{that.flow / 1000:.3f} mL/s, dead time {that.dead / 1000:.1f} ms")
    yield row("ok", "cell", f"{state.cell / 1000:g} mL by the board's account (after a reset it counts as full)")
    try:
        mixer.clear()
        yield row("ok", "switch", "closed")
    except Stopped:
        yield row("problem", "switch", "open: close it, or join D2 to GND; then check again, for the sensor")
        return
    if (name := mixer.sensor_name) == "none":
        yield row("problem", "sensor", "none answers on the bus; check its four wires")
        return
    try:
        mixer.set_sensor()
        brightest = max(mixer.read(lamp=True).counts.items(), key=lambda pair: pair[1])[0]
        dark, lit = ([mixer.read(lamp=lamp).counts[brightest] for _ in range(5)] for lamp in (False, True))
    except RigFault as error:
        yield row("problem", "sensor", str(error))
        return
    text = f"{name}, channel {brightest}: {mean(dark):.0f} counts in the dark, {mean(lit):.0f} with the lamp"
    if max(lit) >= mixer.sensor.full_scale:
        yield row("warning", "sensor", f"{text}: saturated; run `frugaltwin rig calibrate light`")
    elif mean(lit) < mean(dark) + 100:
        yield row("problem", "sensor", f"{text}: the lamp makes no difference; is it wired to D7, and the cell clear?")
    else:
        yield row("ok", "sensor", text)


def _calibration_row(mixer: ArduinoMixer, store: Path) -> dict[str, str]:
    from frugaltwin.store import Store

    if not _is_calibrated(mixer):
        return {"status": "problem", "about": "pumps", "text": "not calibrated; run `frugaltwin rig calibrate pumps`"}
    known = next((r.created_at for r in Store(store).calibrations() if r.id == mixer.calibration), None)
    text = f"calibrated as {mixer.calibration}, " + (f"{known}" if known else f"whose record is not in {store}")
    return {"status": "ok", "about": "pumps", "text": text}


@contextmanager
def _opened(port: str) -> Iterator[ArduinoMixer]:
    """A mixer that answers; nothing moved yet. It is stopped and let go at the end, whatever happens."""
    from hardware.mixers import mixer_on, serial_mixer
    from simulator.instruments.mixer import DYED_WATER, Imperfections
    from simulator.instruments.sensors import SENSORS, make_sensor

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us wants the rig at rest too
    sensor = make_sensor("as7341", {})  # until the board has said which it has
    if port == "emulated":
        from hardware.emulator.emulated_board import EmulatedBoard

        board = EmulatedBoard(sensor, Imperfections(), 0, DYED_WATER)
        mixer = mixer_on(lambda: board, sensor, DYED_WATER)
    else:
        mixer = serial_mixer(port, sensor, Imperfections(), 0, DYED_WATER)
    try:
        mixer.open()
        if (name := mixer.sensor_name) in SENSORS:
            mixer.sensor = make_sensor(name, {})
        yield mixer
    finally:
        mixer.__exit__()


@contextmanager
def _ready(port: str) -> Iterator[ArduinoMixer]:
    """A mixer that can dose, its cell drained."""
    with _opened(port) as mixer, mixer:
        yield mixer


def _scale(port: str, mixer: ArduinoMixer, path: Path, yes: bool) -> Scale:
    if port == "emulated":
        from hardware.emulator.emulated_board import EmulatedBoard

        board = mixer.clock
        assert isinstance(board, EmulatedBoard)
        return EmulatedScale(board)
    say(f"every weighing goes into {path} at once; Ctrl-C for a break, then go on with --masses {path}")
    return Person(path, yes)


def _is_calibrated(mixer: ArduinoMixer) -> bool:
    return mixer.calibration not in ("", "-")


def _sensor(name: str) -> Sensor:
    from simulator.instruments.sensors import SENSORS, make_sensor

    if name not in SENSORS:
        raise InvalidInput(f"--sensor {name}: it is {' or '.join(SENSORS)}")
    return make_sensor(name, {})


def _times(words: str) -> list[float]:
    try:
        seconds = [float(word) for word in words.split(",")]
    except ValueError:
        raise InvalidInput(f"--times {words!r}: write seconds, as in 0.5,1,2,5") from None
    if len(set(seconds)) < 2 or not all(0.05 <= s <= 20 for s in seconds):
        raise InvalidInput(f"--times {words}: two times at least, each from 0.05 to 20 s, make a line")
    return seconds


def _check_outputs(*paths: Path | None, picture: Path | None = None) -> None:
    if picture and picture.suffix.lower() != ".svg":
        raise InvalidInput(f"--out {picture}: the picture is an SVG; name it {picture.with_suffix('.svg')}")
    for path in (*paths, picture):
        if path:
            check_writable(path)


def _check_store(store: Path) -> None:
    from frugaltwin.store import Store

    Store(store).check_writable()


def _read_masses(path: Path) -> list[Weighing]:
    if not path.exists():
        return []
    weighed: list[Weighing] = []
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        try:
            for row in table:
                pump, seconds, mass = int(row["pump"]), float(row["seconds"]), float(row["mass"])
                if pump not in PUMPS or not 0 < seconds < math.inf or not 0 <= mass < math.inf:
                    raise ValueError
                weighed.append((pump, seconds, mass))
        except (KeyError, ValueError, TypeError) as error:
            where = f"{path}, line {table.line_num}"
            raise InvalidInput(f"{where}: that is no weighing; write pump,seconds,mass, as in 0,0.5,0.81 (s and g)") from error
    return weighed


def _keep(record: CalibrationRecord, store: Path) -> None:
    from frugaltwin.store import Store

    Store(store).keep(record)


def _save_plot(record: CalibrationRecord, out: Path) -> None:
    _check_outputs(picture=out)
    out.write_text(str(record.body["plot"]), encoding="utf-8")
    say(f"picture: {out}")


def _fit_row(fit: PumpFit) -> dict[str, str]:
    scatter = {f"CV at {s} s": f"{cv:.1%}" for s, cv in fit.scatter.items()}
    flow, dead = f"{fit.flow:.4f} ± {fit.flow_error:.4f}", f"{1e3 * fit.dead:.1f} ± {1e3 * fit.dead_error:.1f}"
    return {"pump": f"{fit.pump} ({PINS[fit.pump]})", "flow, mL/s": flow, "dead time, ms": dead} | scatter


def _confirm(fact: str, yes: bool) -> None:
    if not yes and not typer.confirm(f"{fact}: is that so?", default=True, err=True):
        raise InvalidInput("nothing was done; start again when it is so")


def _would(port: str, *steps: str) -> int:
    for step in steps:
        show_line(f"would, at {port}: {step}")
    return 0


def _watch(server: BoardServer, end: threading.Event) -> None:
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
            live.update(_panel(server), refresh=True)


def _panel(server: BoardServer) -> Any:
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
