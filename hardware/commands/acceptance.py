"""Acceptance of a new rig: a guided evening with water, and a report that tells the rig from its twin."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frugaltwin.checks import check_writable, write_text
from frugaltwin.cli.console import say, show_rows
from frugaltwin.errors import InvalidInput, RigFault, Stopped
from hardware.commands.check import findings
from hardware.commands.connection import PINS, PUMPS, confirm, opened, show_steps
from hardware.commands.options import STORE, AsJson, DryRun, PortWords, Yes
from hardware.commands.weighing import read_masses, scale, weigh

if TYPE_CHECKING:
    from hardware.arduino_mixer import ArduinoMixer

FORMAT = "frugaltwin rig acceptance 1"
SECONDS, REPEATS = (0.5, 2.0), 3
"""Times of the doses that are weighed, s, and how many of each."""
READINGS = 8
"""Readings in the dark, and as many with the lamp."""
PATIENCE = 30.0  # s for a person to reach the switch

Rows = Iterator[dict[str, str]]


def acceptance(
    port: PortWords = "auto",
    out: Annotated[Path, typer.Option("--out", metavar="FILE.json", help="The report; one that is there is gone on with.")] = Path(
        "acceptance.json"
    ),
    masses: Annotated[
        Path | None, typer.Option("--masses", metavar="FILE.csv", help="File for the weighings; those in it already are not repeated.")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Try a new rig with water: switch, sensor, pumps and volumes; then compare it with the emulated board."""
    path = masses or out.with_suffix(".csv")
    n_doses = len(PUMPS) * len(SECONDS) * REPEATS
    if dry_run:
        return show_steps(
            port,
            "ask the board for its firmware, state and calibration",
            "turn the stirrer, and wait for the switch to be opened and closed",
            f"read clean water {READINGS} times with the lamp off, and on",
            f"run each pump {REPEATS} times for each of {', '.join(f'{s:g}' for s in SECONDS)} s, and ask for {n_doses} weighings",
            f"repeat all of it on the emulated board, and write the differences to {out}",
        )
    report = _begun(out)
    for file in (out, path):
        check_writable(file)
    known = read_masses(path)
    lines: list[Any] = []
    begun = _now()
    parts: dict[str, Callable[[ArduinoMixer], Rows]] = {
        "board": _board,
        "switch": lambda mixer: _switch(mixer, port),
        "sensor": lambda mixer: _sensor(mixer, yes or port == "emulated"),
        "pumps": lambda mixer: _pumps(mixer, port, path, known, yes),
    }
    try:
        with opened(port, lines) as mixer:
            for part, tried in parts.items():
                if part != "board" and _is_done(report, part):
                    continue
                rows = [{"part": part, **row} for row in tried(mixer)]
                report["findings"] = [row for row in report["findings"] if row["part"] != part] + rows
    finally:
        if lines:
            report["weighings"] = read_masses(path)
            report["sessions"].append({"begun": begun, "lines": lines})
            _write(out, report)
    report["differences"] = _differences(report)
    _write(out, report)
    show_rows(report["findings"], as_json)
    show_rows([row if as_json else row | {"differs": "yes" if row["differs"] else ""} for row in report["differences"]], as_json)
    problems = sorted({row["part"] for row in report["findings"] if row["status"] == "problem"})
    if problems:
        say(f"not accepted yet: {', '.join(problems)}; put that right, then start again: what is done is not repeated")
    differ = sum(row["differs"] for row in report["differences"])
    say(f"{differ} of {len(report['differences'])} quantities differ from the twin's; please send {out}: it has all of it, and no secrets")
    return 1 if problems else 0


def _begun(out: Path) -> dict[str, Any]:
    """The report so far.

    Raises:
        InvalidInput: The file is something else.
    """
    from importlib.metadata import version

    new: dict[str, Any] = {
        "format": FORMAT, "program": version("frugaltwin"), "system": f"{platform.system()}, Python {platform.python_version()}",
        "findings": [], "weighings": [], "differences": [], "sessions": [],
    }  # fmt: skip
    if not out.exists():
        return new
    with suppress(ValueError, OSError):
        report = json.loads(out.read_text(encoding="utf-8"))
        if isinstance(report, dict) and report.get("format") == FORMAT:
            return new | report
    raise InvalidInput(f"{out} is no report of an acceptance; name another file", field="out")


def _write(out: Path, report: dict[str, Any]) -> None:
    write_text(out, json.dumps(report, ensure_ascii=False, indent=1) + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _is_done(report: dict[str, Any], part: str) -> bool:
    rows = [row for row in report["findings"] if row["part"] == part]
    return bool(rows) and all(row["status"] != "problem" for row in rows)


def _row(status: str, about: str, text: str) -> dict[str, str]:
    return {"status": status, "about": about, "text": text}


def _board(mixer: ArduinoMixer) -> Rows:
    """Everything that `rig check` asks the board, without the port and the store, which are of this machine."""
    for row in findings(mixer, STORE):
        if row["about"] == "cell":
            return  # the switch and the sensor have parts of their own
        if row["about"] == "board":
            row["text"] = row["text"].split(" at ")[0]
        if row["about"] != "pumps":
            yield row


def _switch(mixer: ArduinoMixer, port: str) -> Rows:
    """The emergency switch: it stops what runs, and nothing runs until it is closed."""
    clock = mixer.clock
    mixer.clear()
    if port == "emulated":
        _press_emulated_switch(mixer)
    say(f"the stirrer turns for {PATIENCE:g} s: open the emergency switch")
    try:
        mixer.mix(PATIENCE)
    except Stopped:
        if mixer.state().cause != 3:
            raise
        yield _row("ok", "switch opens", "the stirrer stopped")
    else:
        yield _row("problem", "switch opens", f"nothing stopped within {PATIENCE:g} s; it belongs between D2 and GND, normally closed")
        return
    say(f"close it again, within {PATIENCE:g} s")
    end = clock.monotonic() + PATIENCE
    while clock.monotonic() < end:
        with suppress(Stopped):
            mixer.clear()
            yield _row("ok", "switch closes", "the board may move again")
            return
        clock.sleep(0.5)
    yield _row("problem", "switch closes", f"still open after {PATIENCE:g} s; close it, and look for a broken wire")


def _press_emulated_switch(mixer: ArduinoMixer) -> None:
    from hardware.emulator.emulated_board import EmulatedBoard
    from hardware.emulator.faults import Fault

    board = mixer.clock
    assert isinstance(board, EmulatedBoard)
    board.add_fault(Fault("stop-switch", board.monotonic() + 2.0, 3.0))


def _sensor(mixer: ArduinoMixer, yes: bool) -> Rows:
    """The sensor and the lamp, in clean water."""
    from statistics import mean

    from hardware.calibration import check_light

    mixer.clear()
    if (name := mixer.sensor_name) == "none":
        yield _row("problem", "sensor", "none answers on the bus; check its four wires")
        return
    confirm("4 mL of clean water are in the cell and its box is closed", yes)
    try:
        mixer.set_sensor()
        dark, lit = ([dict(mixer.read(lamp=lamp).counts) for _ in range(READINGS)] for lamp in (False, True))
        check_light(dark, lit)
    except RigFault as error:
        yield _row("problem", "sensor", str(error))
        return
    brightest = max(lit[0], key=lambda c: lit[0][c])
    share = mean(counts[brightest] for counts in lit) / mixer.sensor.full_scale
    text = f"{name}, gain {mixer.sensor.gain:g}: channel {brightest} is at {share:.0%} of full scale"
    yield _row("warning" if share >= 1 else "ok", "sensor", text + (": saturated" if share >= 1 else ""))


def _pumps(mixer: ArduinoMixer, port: str, path: Path, known: list[tuple[int, float, float]], yes: bool) -> Rows:
    """Flow, dead time and scatter of each pump, from weighed doses of water."""
    from hardware.calibration import fitted

    plan = [(p, s) for p in PUMPS for s in SECONDS for _ in range(REPEATS)]
    weighed = weigh(mixer, scale(port, mixer, path, yes), plan, known, path)
    for pump in PUMPS:
        try:
            fit = fitted(pump, [s for p, s, _ in weighed if p == pump], [m for p, _, m in weighed if p == pump])
        except RigFault as error:
            yield _row("problem", f"pump {pump} ({PINS[pump]})", str(error))
            continue
        flow, dead = f"{fit.flow:.3f} ± {fit.flow_error:.3f} mL/s", f"dead time {1e3 * fit.dead:.0f} ± {1e3 * fit.dead_error:.0f} ms"
        coasts = f"; it coasts: {fit.coasting:.2f} mL come after it is off" if fit.coasting else ""
        yield _row("ok", f"pump {pump} ({PINS[pump]})", f"{flow}, {dead}{coasts}")


def _differences(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of `hardware.acceptance.differences`, over all sessions."""
    from hardware.acceptance import differences
    from hardware.emulator.engine import missing
    from hardware.emulator.replay import dosing_session, replayed
    from hardware.serial.recorder import Line

    if sentence := missing():
        say(f"not compared with the emulated board: {sentence}")
        return []
    rig = [[Line(*line) for line in session["lines"]] for session in report["sessions"]]
    twin, moved = [], []
    for lines in rig:
        again, doses = replayed(lines)
        twin.append(again)
        moved += doses
    ran = {dose[:2] for dose in moved}
    if unseen := sorted({(int(p), s) for p, s, _ in report["weighings"]} - ran):  # weighed with another program
        moved += replayed(dosing_session(unseen, REPEATS))[1]
    return differences(rig, twin, report["weighings"], moved)
