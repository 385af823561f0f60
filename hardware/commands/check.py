"""Check of a rig: the board, its calibration, its switch and its sensor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from frugaltwin.cli.console import say, show_rows
from frugaltwin.errors import RigFault, Stopped
from hardware.commands.connection import PINS, is_calibrated, opened, show_steps
from hardware.commands.options import STORE, AsJson, DryRun, PortWords, StorePath

if TYPE_CHECKING:
    from hardware.arduino_mixer import ArduinoMixer

RESETS = {1: "power came on", 2: "the port was opened (reset pin)", 4: "the supply sagged (brown-out)", 8: "the firmware hung (watchdog)"}

REVISION = 2
OLD_FIRMWARE = (
    "an older one, which works but may take an old reading for a new one and does not tell analog saturation or free a stuck bus; "
    "`frugaltwin rig flash` brings the new one"
)


def check(port: PortWords = "auto", store: StorePath = STORE, dry_run: DryRun = False, as_json: AsJson = False) -> int:
    """Check the rig and say what it still needs. Nothing is pumped."""
    if dry_run:
        return show_steps(
            port, "ask the board for its firmware, state and calibration", "read the sensor five times with the lamp off, and on"
        )
    with opened(port) as mixer:
        rows = list(findings(mixer, store))
    show_rows(rows, as_json)
    problems = [row["about"] for row in rows if row["status"] == "problem"]
    if not as_json:
        say("ready to mix" if not problems else f"not ready yet: {', '.join(problems)}")
    return 1 if problems else 0


def findings(mixer: ArduinoMixer, store: Path) -> Iterator[dict[str, str]]:
    """Rows of status, part and text, for every part of the rig."""
    from statistics import mean

    from hardware.calibration import check_light

    def row(status: str, about: str, text: str) -> dict[str, str]:
        return {"status": status, "about": about, "text": text}

    state = mixer.state()
    causes = [text for bit, text in RESETS.items() if state.reset & bit]
    yield row("ok", "board", mixer.identify())
    if mixer.firmware_revision < REVISION:
        yield row("warning", "firmware", OLD_FIRMWARE)
    yield row("warning" if state.reset & 12 else "ok", "last reset", ", ".join(causes) or "unknown")
    yield _calibration_row(mixer, store)
    for pump, that in mixer.pump_calibrations().items() if is_calibrated(mixer) else ():
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
        readings = [[mixer.read(lamp=lamp).counts for _ in range(5)] for lamp in (False, True)]
        check_light(*readings)
        dark, lit = ([counts[brightest] for counts in part] for part in readings)
    except RigFault as error:
        yield row("problem", "sensor", str(error))
        return
    text = f"{name}, channel {brightest}: {mean(dark):.0f} counts in the dark, {mean(lit):.0f} with the lamp"
    if max(lit) >= mixer.sensor.full_scale:
        yield row("warning", "sensor", f"{text}: saturated; run `frugaltwin rig calibrate light`")
    else:
        yield row("ok", "sensor", text)


def _calibration_row(mixer: ArduinoMixer, store: Path) -> dict[str, str]:
    from frugaltwin.store import Store

    if not is_calibrated(mixer):
        return {"status": "problem", "about": "pumps", "text": "not calibrated; run `frugaltwin rig calibrate pumps`"}
    known = next((r.created_at for r in Store(store).calibrations() if r.id == mixer.calibration), None)
    text = f"calibrated as {mixer.calibration}, " + (f"{known}" if known else f"whose record is not in {store}")
    return {"status": "ok", "about": "pumps", "text": text}
