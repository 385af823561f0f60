"""The commands of ``frugaltwin rig``: from a board that was just plugged in to one that mixes."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from frugaltwin.console import check_writable, progress, say, show_line, show_rows
from frugaltwin.errors import InvalidInput, MissingPart, RigFault, Stopped

if TYPE_CHECKING:
    from frugaltwin.store import CalibrationRecord
    from hardware.arduino_mixer import ArduinoMixer
    from hardware.calibration import PumpFit
    from hardware.emulator.emulated_board import EmulatedBoard
    from hardware.emulator.server import BoardServer
    from simulator.sensors import Sensor

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
Yes = Annotated[bool, typer.Option("--yes", help="Ask nothing; the answer is yes.")]
StorePath = Annotated[Path, typer.Option("--store", metavar="FILE", help="The SQLite file; frugaltwin.db by default.")]
Volume = Annotated[float, typer.Option("--volume", min=0.05, max=8.0, help="mL.")]
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
    pump: Annotated[list[int] | None, typer.Option("--pump", min=0, max=4, help="Only this one; may be repeated.")] = None,
    times: Annotated[str, typer.Option("--times", metavar="S,S,…", help="How long the doses run, s.")] = "0.5,1,2,5",
    repeats: Annotated[int, typer.Option("--repeats", min=2, max=50, help="Doses of each time.")] = 10,
    density: Annotated[float, typer.Option("--density", min=0.5, max=2.0, help="Of the liquid, g/mL.")] = 0.998,
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
    _check_outputs(out, masses)
    plan = [(p, s) for p in chosen for s in sorted(seconds) for _ in range(repeats)]
    if dry_run:
        runs = f"run each of pumps {', '.join(map(str, chosen))} {repeats} times for each of {', '.join(f'{s:g}' for s in seconds)} s"
        liquid = 2 * repeats * sum(seconds)
        return _would(
            port, f"{runs}, and ask for {len(plan)} weighings", f"use about {liquid:.0f} mL a pump", "fit, store, and write to the board"
        )
    known = _read_masses(masses) if masses else []
    with _opened(port) as mixer:
        path = masses or Path(f"pump-masses-{datetime.now(UTC):%y%m%d-%H%M%S}.csv")
        weighed = _weigh(mixer, _scale(port, mixer, yes), plan, known, path)
        fits = [fitted(p, [s for q, s, _ in weighed if q == p], [m for q, _, m in weighed if q == p], density) for p in chosen]
        record = pump_record(mixer.identify(), fits, density)
        _keep(record, store)
        if out:
            _save_plot(record, out)
        show_rows([_fit_row(fit) for fit in fits], as_json)
        if not (yes or port == "emulated" or typer.confirm("write this to the board?", default=True, err=True)):
            say(f"kept as {record.id} in {store}; the board is as it was")
            return 0
        mixer.calibrate({fit.pump: fit.settings for fit in fits}, record.id)
    say(f"calibrated as {record.id}; the board and {store} have it, the weighings are in {path}")
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
        _confirm("4 mL of clean water are in the cell and its box is closed", yes or port == "emulated")
        mixer.clear()
        body = _light(mixer)
        record = light_record(mixer.identify(), body)
    _keep(record, store)
    rows = [
        {"channel": c, "dark": round(body["dark"][c], 1), "white": round(body["white"][c], 1), "of full scale": f"{body['share'][c]:.0%}"}
        | {"scatter": f"{body['scatter'][c]:.2%}"}
        for c in body["white"]
    ]
    show_rows(rows, as_json)
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
        return _would(port, f"pump {volume:g} mL through each of pumps 0 to 3", "drain the cell")
    _confirm("the inlets are in their bottles, and a tray is under the rig", yes or port == "emulated")
    with _opened(port) as mixer, progress("priming", len(PUMPS)) as step:
        mixer.clear()
        is_calibrated = mixer.calibration not in ("", "-")
        mixer.turn(DRAIN, 6.0)
        for pump in PUMPS[:-1]:
            mixer.turn(pump, volume / _flow(mixer, pump))
            step(pump + 1, len(PUMPS))
        mixer.turn(DRAIN, 6.0)
        if is_calibrated:
            mixer.drain()
    say(f"primed: {volume:g} mL through each tube" + ("" if is_calibrated else " (not calibrated yet: taken as 1.6 mL/s)"))
    return 0


@app.command()
def rinse(
    port: PortWords = "auto",
    volume: Volume = 4.0,
    times: Annotated[int, typer.Option("--times", min=1, max=20, help="How often.")] = 1,
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
    count: Annotated[int, typer.Option("--count", min=1, max=10000, help="How many readings.")] = 1,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Read the color sensor as it is now."""
    if dry_run:
        return _would(port, f"read the sensor {count} times with the lamp {'on' if lamp else 'off'}")
    with _opened(port) as mixer:
        mixer.clear()
        mixer.set_sensor()
        for _ in range(count):
            reading = mixer.read(lamp)
            show_rows([dict(reading.counts) | {"full scale": reading.full_scale}], as_json)
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
        int | None, typer.Option("--tcp", metavar="N", help="Behind this TCP port (0: any free one) in place of a terminal.")
    ] = None,
    link: Annotated[Path | None, typer.Option("--link", metavar="PATH", help="A name for the port that stays the same.")] = None,
    sensor: SensorName = "as7341",
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="NAME[:LIQUID][@S[+S]]", help="What goes wrong, when, for how long; may be repeated."),
    ] = None,
    uncalibrated: Annotated[bool, typer.Option("--uncalibrated", help="As it comes from the shop.")] = False,
    speed: Annotated[float, typer.Option("--speed", min=0.1, max=10.0, help="s of its time per s.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything random.")] = 0,
) -> int:
    """Run the rig's firmware on an emulated board behind a port, in real time, until Ctrl-C."""
    from hardware.emulator.emulated_board import EmulatedBoard
    from hardware.emulator.faults import parse_faults
    from hardware.emulator.server import PtyServer, TcpServer
    from simulator.mixer import DYED_WATER, Imperfections

    if tcp is not None and link is not None:
        raise InvalidInput("--tcp and --link are two ways to name the port; leave one out")
    faults = parse_faults(",".join(fault or []))
    board = EmulatedBoard(_sensor(sensor), Imperfections(), seed, DYED_WATER, faults, not uncalibrated)
    try:
        server: BoardServer = TcpServer(board, speed, tcp) if tcp is not None else PtyServer(board, speed, link)
        with server:
            show_line(server.address)
            sys.stdout.flush()
            _watch(server)
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

    def place(self, pump: int) -> None:
        """From now on the outlet of this pump is in the beaker."""
        ...

    def dose(self, pump: int, seconds: float, number: str) -> float:
        """What the dose that just ran weighed, g."""
        ...


@dataclass
class Person:
    """Reads the scale and types."""

    yes: bool
    shown: float = 0.0

    def place(self, pump: int) -> None:
        what = "its inlet in a glass of water, its outlet" if pump == DRAIN else "its outlet"
        _confirm(f"pump {pump} ({PINS[pump]}): {what} is in a beaker on the scale, and the tube is full", self.yes)
        self.shown = _asked("the scale shows, in g", 0.0)

    def dose(self, pump: int, seconds: float, number: str) -> float:
        before, self.shown = self.shown, _asked(f"{number} pump {pump}, {seconds:g} s: the scale shows, in g", self.shown)
        return self.shown - before


@dataclass
class EmulatedScale:
    """Shows centigrams of what the emulated pumps delivered."""

    board: EmulatedBoard

    def place(self, pump: int) -> None:
        self.board.plant.beaker = 0.0

    def dose(self, pump: int, seconds: float, number: str) -> float:
        volume, self.board.plant.beaker = self.board.plant.beaker or 0.0, 0.0
        return round(0.998 * volume, 2)


def _asked(question: str, least: float) -> float:
    while True:
        answer = typer.prompt(question, err=True, type=float)
        if least <= answer < float("inf"):
            return float(answer)
        say(f"{answer:g} g is less than before ({least:g} g); type what the scale shows now, or Ctrl-C and tare no more")


Weighing = tuple[int, float, float]
"""Pump, s, g."""


def _weigh(mixer: ArduinoMixer, scale: Scale, plan: Sequence[tuple[int, float]], known: list[Weighing], path: Path) -> list[Weighing]:
    """Every planned dose, weighed; each is on disk before the next one runs."""
    weighed = list(known)
    left = list(known)
    placed: int | None = None
    mixer.clear()
    with path.open("a", newline="", encoding="utf-8") as file, progress("weighing", len(plan)) as step:
        table = csv.writer(file)
        if file.tell() == 0:
            table.writerow(["pump", "seconds", "mass"])
        for n, (pump, seconds) in enumerate(plan, start=1):
            done = next((w for w in left if w[:2] == (pump, seconds)), None)
            if done:
                left.remove(done)
                continue
            if placed != pump:
                scale.place(pump)
                placed = pump
            mixer.turn(pump, seconds)
            mass = scale.dose(pump, seconds, f"[{n}/{len(plan)}]")
            weighed.append((pump, seconds, mass))
            table.writerow([pump, seconds, mass])
            file.flush()
            step(n, len(plan))
    return weighed


def _light(mixer: ArduinoMixer) -> dict[str, Any]:
    """Dark and white of the first gain with which the brightest channel is neither dim nor near saturation."""
    import statistics

    from hardware.calibration import GRAY_ZONE, STEADY
    from simulator.sensors import AS7341_GAINS, TCS34725_GAINS, make_sensor

    name = mixer.sensor_name
    gains = AS7341_GAINS if name == "as7341" else TCS34725_GAINS
    with progress("lamp warms up", 30) as step:
        mixer.set_sensor()
        mixer.read(lamp=True)
        for second in range(30):
            mixer.clock.sleep(1.0)
            step(second + 1, 30)
    shares = {}
    for gain in sorted(gains, reverse=True):
        mixer.sensor = make_sensor(name, {"gain": gain})
        mixer.set_sensor()
        shares[gain] = max(mixer.read(lamp=True).counts.values()) / mixer.sensor.full_scale
        if GRAY_ZONE[0] <= shares[gain] <= GRAY_ZONE[1]:
            break
        if shares[gain] < GRAY_ZONE[0]:
            raise RigFault(
                f"no gain brings the brightest channel to {GRAY_ZONE[0]:.0%} to {GRAY_ZONE[1]:.0%} of full scale "
                f"({', '.join(f'{g:g}: {s:.0%}' for g, s in shares.items())}); change the LED's resistor, or look for a dirty cell"
            )
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

    from frugaltwin.figures import ACCENT, INK, QUIET, svg

    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.add_subplot()
    names = list(white)
    axes.bar(names, [white[c] / sensor.full_scale for c in names], color=ACCENT, label="water")
    axes.bar(names, [dark[c] / sensor.full_scale for c in names], color=INK, label="dark")
    axes.axhspan(0.4, 0.7, color=QUIET, alpha=0.2, label="where the brightest should be")
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
    try:
        mixer.clear()
        yield row("ok", "switch", "closed")
    except Stopped:
        yield row("problem", "switch", "open: close it, or join D2 to GND")
        return
    yield _calibration_row(mixer, store)
    for pump, that in mixer.pump_calibrations().items() if mixer.calibration not in ("", "-") else ():
        yield row("ok", f"pump {pump} ({PINS[pump]})", f"{that.flow / 1000:.3f} mL/s, dead time {that.dead / 1000:.1f} ms")
    yield row("ok", "cell", f"{state.cell / 1000:g} mL by the board's account (after a reset it counts as full)")
    if (name := mixer.sensor_name) == "none":
        yield row("problem", "sensor", "none answers on the bus; check its four wires")
        return
    mixer.set_sensor()
    brightest = max(mixer.read(lamp=True).counts.items(), key=lambda pair: pair[1])[0]
    dark, lit = ([mixer.read(lamp=lamp).counts[brightest] for _ in range(5)] for lamp in (False, True))
    text = f"{name}, channel {brightest}: {mean(dark):.0f} counts in the dark, {mean(lit):.0f} with the lamp"
    if max(lit) >= mixer.sensor.full_scale:
        yield row("warning", "sensor", f"{text}: saturated; run `frugaltwin rig calibrate light`")
    elif mean(lit) < mean(dark) + 100:
        yield row("problem", "sensor", f"{text}: the lamp makes no difference; is it wired to D7, and the cell clear?")
    else:
        yield row("ok", "sensor", text)


def _calibration_row(mixer: ArduinoMixer, store: Path) -> dict[str, str]:
    from frugaltwin.store import Store

    if mixer.calibration in ("", "-"):
        return {"status": "problem", "about": "pumps", "text": "not calibrated; run `frugaltwin rig calibrate pumps`"}
    known = next((r.created_at for r in Store(store).calibrations() if r.id == mixer.calibration), None)
    text = f"calibrated as {mixer.calibration}, " + (f"{known}" if known else f"whose record is not in {store}")
    return {"status": "ok", "about": "pumps", "text": text}


@contextmanager
def _opened(port: str) -> Iterator[ArduinoMixer]:
    """A mixer that answers; nothing moved yet. It is stopped and let go at the end, whatever happens."""
    from hardware.mixers import mixer_on, serial_mixer
    from simulator.mixer import DYED_WATER, Imperfections
    from simulator.sensors import SENSORS, make_sensor

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


def _scale(port: str, mixer: ArduinoMixer, yes: bool) -> Scale:
    if port == "emulated":
        from hardware.emulator.emulated_board import EmulatedBoard

        board = mixer.clock
        assert isinstance(board, EmulatedBoard)
        return EmulatedScale(board)
    return Person(yes)


def _flow(mixer: ArduinoMixer, pump: int) -> float:
    """mL/s, of a pump that may not be calibrated yet."""
    return mixer.pump_calibrations()[pump].flow / 1000 or 1.6


def _sensor(name: str) -> Sensor:
    from simulator.sensors import SENSORS, make_sensor

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


def _check_outputs(*paths: Path | None) -> None:
    for path in paths:
        if path:
            check_writable(path)


def _read_masses(path: Path) -> list[Weighing]:
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [(int(row["pump"]), float(row["seconds"]), float(row["mass"])) for row in csv.DictReader(file)]
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidInput(f"{path} is no table of weighings with the columns pump, seconds and mass ({error})") from error


def _keep(record: CalibrationRecord, store: Path) -> None:
    from frugaltwin.store import Store

    Store(store).keep(record)


def _save_plot(record: CalibrationRecord, out: Path) -> None:
    if out.suffix.lower() != ".svg":
        raise InvalidInput(f"--out {out}: the picture is an SVG; name it {out.with_suffix('.svg')}")
    check_writable(out)
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


def _watch(server: BoardServer) -> None:
    """Show what the board does until Ctrl-C, or until the server ends; on a terminal, live."""
    from rich.console import Console
    from rich.live import Live

    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())
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
    from rich.table import Table

    from hardware.emulator.engine import LAMP, STIRRER

    plant = server.board.plant
    table = Table(title=f"emulated rig at {server.address}, {server.board.monotonic():.1f} s; Ctrl-C ends it", title_justify="left")
    table.add_column("what")
    table.add_column("now")
    table.add_column("in all", justify="right")
    names = [*plant.asked, *[""] * (DRAIN - len(plant.asked)), "drain"]
    for pump, name in zip(PUMPS, names, strict=True):
        asked = f"{plant.asked[name]:.2f} mL" if name in plant.asked else f"{plant.n_runs[pump]} times"
        table.add_row(f"pump {pump} ({PINS[pump]}) {name}", "[bold green]▶ runs[/]" if plant.outputs[pump] else "· off", asked)
    table.add_row("stirrer (D3)", "[bold green]▶ turns[/]" if plant.outputs[STIRRER] else "· off", "")
    table.add_row("lamp (D7)", "[bold yellow]● lit[/]" if plant.outputs[LAMP] else "○ dark", "")
    full = round(20 * plant.cell.volume / 8.0)
    table.add_row("cell", "█" * full + "░" * (20 - full), f"{plant.cell.volume:.2f} mL")
    table.add_row("seen through it", f"[on {(color := plant.color())}]      [/] {color}", "")
    return table
