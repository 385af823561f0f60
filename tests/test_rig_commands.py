"""The commands of ``frugaltwin rig`` as a maker types them: on an emulated board of their own, and on one behind a port in real time."""

import csv
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frugaltwin import Campaign, Store, make_driver, make_goal, make_strategy
from frugaltwin.errors import LinkError, RigFault
from hardware.arduino_mixer import ArduinoMixer
from hardware.calibration import GRAY_ZONE, fitted
from hardware.commands.calibrate_light import read_dark_and_white
from hardware.commands.check import findings
from hardware.commands.connection import DRAIN
from hardware.commands.emulate import board_panel
from hardware.commands.prime_and_rinse import prime_tubes
from hardware.commands.weighing import EmulatedScale, weigh
from hardware.emulator import emulated_board
from hardware.emulator.emulated_board import EmulatedBoard
from hardware.emulator.engine import PUMPS, built, missing
from hardware.emulator.faults import parse_faults
from hardware.emulator.server import BoardServer, PtyServer, TcpServer
from hardware.firmware import build as firmware
from hardware.mixers import mixer_on, serial_mixer
from hardware.serial.link import framed
from simulator.color_mixing import ColorMixing
from simulator.instruments.dyed_water import DYED_WATER
from simulator.instruments.dyed_water import PUMPS as LIQUID_PUMPS
from simulator.instruments.liquids import Liquids
from simulator.instruments.mixer import RATE, Imperfections
from simulator.instruments.sensors import AS7341_GAINS, TCS34725_GAINS, make_sensor
from tests import forked
from tests.conftest import Cli, command, events

needs_board = pytest.mark.skipif(missing() is not None, reason=missing() or "")

AS7341 = make_sensor("as7341", {})
RIG = ("check", "acceptance", "prime", "rinse", "read", "stop", "calibrate pumps", "calibrate light")
PERFECT = Imperfections().scaled(0)
BIASED = replace(PERFECT, pump_bias=1.0)
PATIENCE = 60.0  # s: machines are shared


@contextmanager
def emulating(folder: Path, *arguments: object) -> Iterator[tuple[str, forked.Process]]:
    """``frugaltwin rig emulate`` in a process of its own, and the port that it prints."""
    process = forked.Process(
        command("rig", "emulate", *arguments),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def served(make: Callable[[EmulatedBoard], BoardServer], faults: str = "", is_calibrated: bool = True) -> Iterator[BoardServer]:
    """The same within this process, so that one can see what its outputs do."""
    board = EmulatedBoard(AS7341, Imperfections(), 0, DYED_WATER, parse_faults(faults, DYED_WATER.bottles), is_calibrated)
    try:
        with make(board) as server:
            yield server
            assert server.error is None
    finally:
        board.power_off()


def await_that(is_so: Callable[[], bool]) -> None:
    end, tick = time.monotonic() + PATIENCE, threading.Event()
    while not is_so():
        assert time.monotonic() < end
        tick.wait(0.01)


def answered(folder: Path, answers: list[object], *arguments: object) -> subprocess.CompletedProcess[str]:
    """A command, and a person who types."""
    text = "".join(f"{a}\n" for a in answers)
    return forked.run(command(*arguments), text, cwd=folder)


def rows(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {row["about"]: row for row in events(done)}


def mixer_with(board: EmulatedBoard, liquids: Liquids = DYED_WATER) -> ArduinoMixer:
    return mixer_on(lambda: board, board.plant.cell._sensor, liquids)


def true_mass(pump: int, seconds: float) -> float:
    """g of water that a pump of the twin delivers in a time, but for its repeat error."""
    if pump == DRAIN:
        return 0.998 * RATE * seconds
    that = list(LIQUID_PUMPS.values())[pump]
    return 0.998 * (that.slope * that.rate * seconds + that.offset)


# Check


@needs_board
def test_check_names_the_board_and_says_that_it_is_ready(cli_here: Cli) -> None:
    done = cli_here("rig", "check", "--port", "emulated", "--json")
    found = rows(done)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(found) == [
        *("board", "last reset", "pumps", "pump 0 (D5)", "pump 1 (D6)", "pump 2 (D9)", "pump 3 (D10)", "pump 4 (D11)"),
        *("cell", "switch", "sensor"),
    ]
    assert {row["status"] for row in found.values()} == {"ok"}
    assert "frugaltwin,color-mixer,as7341,1" in found["board"]["text"]
    assert found["pump 1 (D6)"]["text"] == "1.700 mL/s, dead time 0.0 ms"
    dark, lit = re.findall(r"(\d+) counts in the dark, (\d+) with the lamp", found["sensor"]["text"])[0]
    assert int(lit) > 50 * int(dark)
    for_people = cli_here("rig", "check", "--port", "emulated")
    assert for_people.returncode == 0
    assert for_people.stderr == "ready to mix\n"
    assert "frugaltwin,color-mixer" in for_people.stdout


@needs_board
@pytest.mark.parametrize(
    ("trouble", "about", "sentence"),
    [
        (("--uncalibrated",), "pumps", "not calibrated; run `frugaltwin rig calibrate pumps`"),
        (("--fault", "stop-switch"), "switch", "open: close it, or join D2 to GND"),
        (("--fault", "i2c-hang"), "sensor", "none answers on the bus; check its four wires"),
        (("--fault", "dead-lamp"), "sensor", "no light above the dark: with the lamp on, channel clear reads"),
        (("--fault", "stuck-sensor@0.5"), "sensor", "no scatter where there must be some: the sensor repeats one reading, "),
    ],
)
def test_check_finds_what_is_wrong_and_fails(cli: Cli, tmp_path: Path, trouble: tuple[str, ...], about: str, sentence: str) -> None:
    with emulating(tmp_path, "--link", tmp_path / "rig", *trouble) as (port, _):
        assert port == str(tmp_path / "rig")
        done = cli("rig", "check", "--port", port)
    assert done.returncode == 1
    assert done.stderr == f"not ready yet: {about}\n"
    assert re.search(rf"problem +{about} +{re.escape(sentence)}", done.stdout)


@needs_board
def test_check_says_that_a_firmware_of_before_is_one_and_works_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Revision 1 did not know the word FW?, and nothing else of the protocol was different."""
    (tmp_path / "color_mixer.ino").write_text(firmware.SKETCH.read_text().replace('"FW?"', '"-"'))
    old = firmware.build(tmp_path / "color_mixer.ino", tmp_path)
    monkeypatch.setattr(emulated_board, "built", lambda: (built()[0], old.elf))
    board = EmulatedBoard(AS7341, Imperfections(), 0, DYED_WATER)
    try:
        with mixer_with(board) as mixer:
            found = {row["about"]: row for row in findings(mixer, tmp_path / "none.db")}
            mixer.dispense("red", 0.1)
    finally:
        board.power_off()
    assert found["firmware"]["status"] == "warning"
    assert "rig flash" in found["firmware"]["text"]
    assert {row["status"] for about, row in found.items() if about != "firmware"} == {"ok"}


@needs_board
@pytest.mark.parametrize("fault", ["i2c-hang@4", "stop-switch@4"])
def test_check_says_it_too_when_it_happens_in_the_middle(fault: str, tmp_path: Path) -> None:
    board = EmulatedBoard(AS7341, Imperfections(), 0, DYED_WATER, parse_faults(fault))
    try:
        mixer = mixer_with(board)
        mixer.open()
        board.sleep(5.0)
        found = list(findings(mixer, tmp_path / "none.db"))
    finally:
        board.power_off()
    assert found[-1]["status"] == "problem"
    assert found[-1]["about"] == {"i2c-hang@4": "sensor", "stop-switch@4": "switch"}[fault]


# Calibrate the pumps


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder in which the emulated board was calibrated."""
    if sentence := missing():
        pytest.skip(sentence)
    folder = tmp_path_factory.mktemp("calibrated")
    arguments = ("rig", "calibrate", "pumps", "--port", "emulated", "--times", "0.5,2,5", "--repeats", 6)
    done = answered(folder, [], *arguments, "--masses", "m.csv", "--out", "p.svg", "--json")
    assert done.returncode == 0, done.stderr
    return folder, done


def test_calibrating_finds_flow_and_dead_time_that_the_pumps_have(calibrated: tuple[Path, Any]) -> None:
    folder, done = calibrated
    (record,) = Store(folder / "frugaltwin.db").calibrations()
    for fit, row, pump in zip(record.body["pumps"], events(done), [*LIQUID_PUMPS.values(), None], strict=True):
        flow, dead = (pump.slope * pump.rate, -pump.offset / (pump.slope * pump.rate)) if pump else (RATE, 0.0)
        assert fit["flow"] == pytest.approx(flow, abs=max(4 * fit["flow_error"], 0.005))  # the scale shows centigrams
        assert fit["dead"] == pytest.approx(dead, abs=max(4 * fit["dead_error"], 0.005))
        assert fit["flow_error"] < 0.02 * flow
        values = ("pump", "flow", "flow_error", "dead", "dead_error", "scatter")
        assert row == {"id": record.id} | {name: fit[name] for name in values}


def test_a_calibration_states_the_smallest_dose_of_a_pump_that_coasts(cli_here: Cli, tmp_path: Path) -> None:
    doses = [(t, 0.998 * (1.6 * t + 0.16) * error) for t in (0.5, 1.0, 2.0) for error in (0.999, 1.001)]
    (tmp_path / "m.csv").write_text("pump,seconds,mass\n" + "".join(f"2,{t},{m:.3f}\n" for t, m in doses))
    words = ("--port", "emulated", "--pump", 2, "--times", "0.5,1,2", "--repeats", 2, "--masses", "m.csv", "--json")
    done = cli_here("rig", "calibrate", "pumps", *words)
    (fit,) = Store(tmp_path / "frugaltwin.db").calibrations()[0].body["pumps"]
    assert fit["coasting"] == pytest.approx(0.16, abs=0.002)
    assert fit["smallest"] == pytest.approx(0.176, abs=0.002)
    said = re.search(r"pumps coast: less than (0\.\d+) mL cannot be dosed; run with --option coasting=(0\.\d+)\n", done.stderr)
    assert said is not None
    red = make_driver("color-mixing", {"mixer": "/dev/nowhere", "coasting": said[2]}).experiment.parameters[0]
    assert red.smallest == pytest.approx(float(said[1]), abs=0.002)  # type: ignore[union-attr]


def test_the_record_holds_everything_and_is_listed_shown_and_drawn(calibrated: tuple[Path, Any], cli: Cli) -> None:
    folder, done = calibrated
    (listed,) = events(cli("rig", "calibrations", "--json", cwd=folder))
    assert re.fullmatch(r"p\d{6}-\d{6}", listed["id"])
    assert listed["kind"] == "pumps"
    assert f"calibrated as {listed['id']}" in done.stderr
    (one,) = events(cli("rig", "calibrations", listed["id"], "--json", "--out", "again.svg", cwd=folder))
    assert one.keys() == {"id", "created", "kind", "rig", "density", "pumps", "settings", "replaces"}
    assert one["replaces"] == "factory"
    assert one["created"][2:10].replace("-", "") == one["id"][1:7]
    with (folder / "m.csv").open() as file:
        weighings = [(int(r["pump"]), float(r["seconds"]), float(r["mass"])) for r in csv.DictReader(file)]
    assert len(weighings) == 5 * 3 * 6
    for fit in one["pumps"]:
        assert [w[1:] for w in weighings if w[0] == fit["pump"]] == list(zip(fit["seconds"], fit["masses"], strict=True))
        assert len(fit["residuals"]) == len(fit["masses"])
        assert fit["scatter"].keys() == {"0.5", "2", "5"}
        assert one["settings"][str(fit["pump"])] == {"flow": round(1e3 * fit["flow"]), "dead": round(1e6 * fit["dead"])}
    assert (folder / "p.svg").read_text() == (folder / "again.svg").read_text()
    assert "<svg" in (folder / "p.svg").read_text()
    assert listed["id"] in cli("rig", "calibrations", cwd=folder).stdout
    unknown = cli("rig", "calibrations", "p0", cwd=folder)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert f"there is no calibration 'p0' in frugaltwin.db; there are {listed['id']}" in unknown.stderr


def systematic_errors(mixer: ArduinoMixer, board: EmulatedBoard) -> np.ndarray:
    """mL that doses are too large, for volumes that a color takes."""
    errors = []
    with mixer:
        for pump in LIQUID_PUMPS:
            for volume in (0.1, 0.5, 1.0, 3.0):
                board.plant.beaker = 0.0
                mixer.dispense(pump, volume)
                errors.append(board.plant.beaker - volume)
                board.plant.beaker = None
                mixer.drain()
    return np.array(errors)


@needs_board
def test_a_calibrated_rig_doses_better_and_every_trial_names_the_calibration(tmp_path: Path, cli: Cli) -> None:
    board = EmulatedBoard(AS7341, BIASED, 0, DYED_WATER)
    try:
        mixer = mixer_with(board)
        before = systematic_errors(mixer, board)
        mixer.open()
        plan = [(pump, seconds) for pump in PUMPS for seconds in (0.5, 5.0) for _ in range(2)]
        weighed = weigh(mixer, EmulatedScale(board), plan, [], tmp_path / "m.csv")
        board.plant.beaker = None
        fits = [fitted(p, [s for q, s, _ in weighed if q == p], [m for q, _, m in weighed if q == p]) for p in PUMPS]
        mixer.calibrate({fit.pump: fit.settings for fit in fits}, "p261124-090507")
        mixer.__exit__()
        after = systematic_errors(mixer, board)
        driver = ColorMixing(mixer, AS7341)
        with driver:
            campaign = Campaign("after", driver, make_goal("match-color:coral", driver), make_strategy("sobol"), Store(tmp_path / "c.db"))
            for trial in campaign.run():
                if trial.number == 2:
                    campaign.stop()
    finally:
        board.power_off()
    assert np.abs(after).max() < 0.4 * np.abs(before).max()
    assert np.abs(after).max() < 0.006  # the scale shows centigrams
    exported = json.loads(cli("export", "after", "--store", "c.db", "--format", "json").stdout)
    assert len(exported["trials"]) >= 2
    assert {trial["raw"]["calibration"] for trial in exported["trials"]} == {"p261124-090507"}


@pytest.mark.timing
@needs_board
def test_a_person_who_weighs_is_asked_again_can_take_a_break_and_repeats_nothing(cli: Cli, tmp_path: Path) -> None:
    plan = [(pump, seconds) for pump in PUMPS for seconds in (0.1, 0.5) for _ in range(2)]
    masses = [round(true_mass(*dose), 2) for dose in plan]
    with emulating(tmp_path, "--tcp", 0, "--uncalibrated", "--speed", 4) as (port, _):
        assert port.startswith("socket://127.0.0.1:")
        arguments = ("rig", "calibrate", "pumps", "--port", port, "--times", "0.5,0.1", "--repeats", 2, "--masses", "m.csv")
        first = forked.Process(command(*arguments), cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            assert first.stdin is not None
            # Nonsense is asked again, and so is a scale that goes down.
            shown = 10 + masses[0]
            first.stdin.write(f"y\nten\n-1\nnan\n10\n{shown:g}\n5\n{shown + masses[1]:g}\n3\n")
            first.stdin.flush()
            path = tmp_path / "m.csv"
            await_that(lambda: path.exists() and path.read_text().count("\n") == 3)
        finally:
            first.kill()
            _, asked = first.communicate()
        for answer in ("ten", "-1", "nan"):
            assert f"'{answer}' is not a number from 0 up; type it again\n" in asked
        wrong = "if the number before was wrong: Ctrl-C, take the last line out of m.csv, go on with --masses m.csv"
        assert f"'5' is not a number from {shown:g} up; type it again; {wrong}" in asked
        assert "every weighing goes into m.csv at once; Ctrl-C for a break, then go on with --masses m.csv" in asked

        answers: list[object] = []
        for n, ((_, seconds), mass) in enumerate(zip(plan, masses, strict=True)):
            if n < 2:
                continue
            if (seconds == 0.1 and n % 2 == 0) or n == 2:
                answers.append("y")
            if n % 2 == 0:
                answers.append(0)
                total = 0.0
            total += mass
            answers.append(f"{total:.2f}")
        second = answered(tmp_path, [*answers, "y"], *arguments)
        assert second.returncode == 0, second.stderr
        assert "[1/20]" not in second.stderr
        assert "[2/20]" not in second.stderr
        assert "[3/20] pump 0 ran for 0.5 s; the scale shows, in g" in second.stderr
        assert (
            "pump 4 (D11): its tube is full, its inlet in a glass of water, its outlet in a beaker on the scale: is that so?"
            in second.stderr
        )
        assert "write this to the board?" in second.stderr
        with path.open() as file:
            kept = [(int(r["pump"]), float(r["seconds"]), float(r["mass"])) for r in csv.DictReader(file)]
        assert [w[:2] for w in kept] == plan
        assert [w[2] for w in kept] == pytest.approx(masses, abs=1e-9)
        (record,) = Store(tmp_path / "frugaltwin.db").calibrations()
        found = rows(cli("rig", "check", "--port", port, "--json"))
        assert found["pumps"]["text"] == f"calibrated as {record.id}, {record.created_at}"
        assert found["pump 1 (D6)"]["text"].startswith(f"{record.body['pumps'][1]['flow']:.3f} mL/s")


@needs_board
def test_a_board_without_a_calibration_wants_all_pumps_and_nothing_is_weighed_in_vain(cli: Cli, tmp_path: Path) -> None:
    with emulating(tmp_path, "--tcp", 0, "--uncalibrated") as (port, _):
        done = cli("rig", "calibrate", "pumps", "--port", port, "--pump", 2)
    assert done.returncode == 2
    assert "the board has no calibration yet, so all five pumps are needed; leave --pump out" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("calibrate", "pumps", "--times", "1"), "--times 1: two times at least, each from 0.05 to 20 s"),
        (("calibrate", "pumps", "--times", "1,30"), "--times 1,30: two times at least"),
        (("calibrate", "pumps", "--times", "soon"), "--times 'soon': write seconds"),
        (("calibrate", "pumps", "--out", "p.png"), "the picture is an SVG; name it p.svg"),
        (("calibrate", "pumps", "--out", "nowhere/p.svg"), "there is no folder"),
        (("calibrate", "pumps", "--masses", "nowhere/m.csv"), "there is no folder"),
        (("calibrate", "pumps", "--masses", "bad.csv"), "bad.csv, row 2: that is no weighing; write pump,seconds,mass"),
        (("calibrate", "pumps", "--masses", "words.csv"), "words.csv has no column pump, seconds, mass; its header is pump,seconds,mass"),
        (("calibrate", "pumps", "--pump", "7"), "--pump"),
        (("calibrate", "pumps", "--repeats", "1"), "--repeats"),
        (("calibrate", "nothing"), "nothing"),
        (("rinse", "--volume", "9"), "--volume"),
        (("prime", "--volume", "0"), "--volume"),
        (("read", "--count", "0"), "--count"),
        (("emulate", "--tcp", "0", "--link", "x"), "--tcp and --link are two ways to name the port; leave one out"),
        (("emulate", "--tcp", "70000"), "--tcp"),
        (("emulate", "--fault", "bubbel:red"), "there is no fault 'bubbel'; did you mean 'bubble'?"),
        (("emulate", "--fault", "bubble:green"), "there is no green; there are red, yellow, blue, water"),
        (("emulate", "--fault", "bubble"), "bubble needs a liquid, as in bubble:red"),
        (("emulate", "--sensor", "eye"), "--sensor eye: it is as7341 or tcs34725"),
    ],
    ids=" ".join,
)
def test_bad_input_gets_one_sentence_and_nothing_is_opened(
    cli_here: Cli, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "bad.csv").write_text("pump,seconds,mass\n0,0.5,0.8\n0,0.5,nan\n")
    (tmp_path / "words.csv").write_text("a,b\n1,2\n")
    port = () if arguments[0] == "emulate" else ("--port", "/dev/nowhere")
    done = cli_here("rig", *arguments, *port)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert {p.name for p in tmp_path.iterdir()} == {"bad.csv", "words.csv"}


# Calibrate the light


@needs_board
def test_calibrating_the_light_chooses_the_gain_and_keeps_dark_and_white(cli_here: Cli, tmp_path: Path) -> None:
    done = cli_here("rig", "calibrate", "light", "--port", "emulated", "--json")
    assert done.returncode == 0, done.stderr
    (record,) = Store(tmp_path / "frugaltwin.db").calibrations()
    body = record.body
    assert body["kind"] == "light"
    assert record.id.startswith("l")
    assert f"kept as {record.id} in frugaltwin.db; run with --option gain={body['gain']:g}" in done.stderr
    assert body["sensor"] == "as7341"
    assert body["gain"] in AS7341_GAINS
    assert GRAY_ZONE[0] <= max(body["share"].values()) <= GRAY_ZONE[1]
    shown = {row["channel"]: row for row in events(done)}
    assert set(shown) == set(AS7341.bands)
    for channel in AS7341.bands:
        lit = [r[channel] for r in body["readings"][16:]]
        assert len(body["readings"]) == 32
        assert body["white"][channel] == pytest.approx(np.mean(lit))
        assert body["dark"][channel] == pytest.approx(np.mean([r[channel] for r in body["readings"][:16]]))
        assert body["residuals"][3][channel] == pytest.approx(lit[3] - np.mean(lit))
        assert body["scatter"][channel] == pytest.approx(np.std(lit, ddof=1) / np.mean(lit))
        assert shown[channel]["white"] == body["white"][channel]
    assert body["dark"]["clear"] < 0.01 * body["white"]["clear"]
    assert cli_here("rig", "calibrations", record.id, "--out", "light.svg").returncode == 0
    assert "<svg" in (tmp_path / "light.svg").read_text()


def lit(factor: float, sensor: str = "as7341", faults: str = "") -> dict[str, Any]:
    """What calibrating the light finds behind a cell that lets that much of it through."""
    liquids = replace(DYED_WATER, light=lambda amounts: np.full(81, factor))
    board = EmulatedBoard(make_sensor(sensor, {}), Imperfections(), 0, liquids, parse_faults(faults))
    try:
        mixer = mixer_with(board, liquids)
        mixer.open()
        mixer.clear()
        return read_dark_and_white(mixer)
    finally:
        board.power_off()


@needs_board
def test_a_brighter_lamp_gets_a_smaller_gain_on_either_sensor(capsys: pytest.CaptureFixture[str]) -> None:
    assert lit(1.0)["gain"] / lit(8.0)["gain"] == 8
    assert capsys.readouterr().err == ""
    for factor in (0.5, 1.0, 2.0):  # gains 4 apart leave gaps: a dimmer white will do
        found = lit(factor, "tcs34725")
        assert found["gain"] in TCS34725_GAINS
        assert max(found["share"].values()) <= GRAY_ZONE[1]
    assert "% of full scale; another resistor at the LED could bring it to 40 to 70 %" in capsys.readouterr().err


@needs_board
def test_light_that_cannot_be_calibrated_is_named() -> None:
    with pytest.raises(RigFault, match=r"too much light: the brightest channel is at 100% of full scale even at gain 0\.5; close"):
        lit(1000.0)
    with pytest.raises(RigFault, match=r"hardly any light: the brightest channel is at .* at gain 512; look for a lamp that is dark"):
        lit(0.001)


@needs_board
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("dead-lamp", "^no light above the dark: with the lamp on, channel clear reads -?[0-9] counts more"),
        ("stuck-sensor", "^no scatter where there must be some: the sensor repeats one reading, [0-9]+ counts in channel clear"),
        ("stuck-sensor@31.5", "^no light above the dark|^no scatter where there must be some"),  # in the midst of it
    ],
)
@pytest.mark.parametrize("sensor", ["as7341", "tcs34725"])
def test_calibrating_the_light_names_a_dead_lamp_and_a_stuck_sensor(fault: str, sentence: str, sensor: str) -> None:
    with pytest.raises(RigFault, match=sentence):
        lit(1.0, sensor, fault)


# Care


@needs_board
@pytest.mark.parametrize("is_calibrated", [True, False])
def test_priming_fills_every_tube_and_never_spills(is_calibrated: bool) -> None:
    board = EmulatedBoard(AS7341, PERFECT, 0, DYED_WATER, (), is_calibrated)
    try:
        mixer = mixer_with(board)
        mixer.open()
        prime_tubes(mixer, 3.0, lambda *_: None)
        assert board.plant.delivered[:4] == pytest.approx(
            [3.0] * 4 if is_calibrated else [3.0 * p.rate / 1.6 for p in LIQUID_PUMPS.values()], abs=0.01
        )
        assert board.plant.spilled == 0
        assert board.plant.cell.volume < 0.01
        assert (mixer.state().cell == 0) == is_calibrated
    finally:
        board.power_off()


@needs_board
def test_prime_rinse_and_read_say_what_they_did(cli_here: Cli) -> None:
    done = cli_here("rig", "prime", "--port", "emulated")
    assert (done.returncode, done.stderr) == (0, "primed: 0.5 mL through each tube\n")
    done = cli_here("rig", "rinse", "--port", "emulated", "--volume", 3, "--times", 2)
    assert (done.returncode, done.stderr) == (0, "rinsed 2 times with 3 mL\n")
    lit, dark = (events(cli_here("rig", "read", "--port", "emulated", "--json", "--count", 3, f"--{how}")) for how in ("lamp", "dark"))
    assert len(lit) == len(dark) == 3
    assert lit[0].keys() == {*AS7341.bands, "full scale"}
    assert all(bright["clear"] > 50 * black["clear"] for bright, black in zip(lit, dark, strict=True))
    lines = cli_here("rig", "read", "--port", "emulated", "--count", 2).stdout.splitlines()
    assert lines[0].split()[:2] == ["415", "445"]
    assert len(lines) == 3


@needs_board
def test_priming_asks_first_and_an_answer_of_no_moves_nothing(tmp_path: Path) -> None:
    with served(PtyServer, is_calibrated=False) as server:
        done = answered(tmp_path, ["n"], "rig", "prime", "--port", server.address)
        assert done.returncode == 2
        assert "a tray is under the rig: is that so?" in done.stderr
        assert "nothing was done; start again when it is so" in done.stderr
        assert not any(server.board.plant.n_runs)


def state(server: BoardServer) -> list[str]:
    """What a board says of itself once nobody has its port: to open it would reset it."""
    server.close()
    line = server.board.engine.run(0.2, framed("65000 STAT?")).decode()
    return line.partition("*")[0].split()[2:]


@needs_board
def test_stop_leaves_everything_off_and_latched(cli: Cli) -> None:
    with served(TcpServer) as server:
        done = cli("rig", "stop", "--port", server.address)
        assert (done.returncode, done.stderr) == (0, "stopped: pumps, stirrer and lamp are off\n")
        assert state(server)[:2] == ["S", "2"]
        assert not any(server.board.plant.outputs[:7])


@pytest.mark.timing
@needs_board
@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        (("prime", "--volume", "7", "--yes"), signal.SIGINT),
        (("prime", "--volume", "7", "--yes"), signal.SIGTERM),
        (("calibrate", "pumps", "--times", "10,20"), signal.SIGINT),
    ],
)
def test_ctrl_c_in_the_middle_leaves_the_rig_at_rest(tmp_path: Path, arguments: tuple[str, ...], number: signal.Signals) -> None:
    with served(lambda board: PtyServer(board, speed=2.0)) as server:  # never late for its host, however busy this machine is
        outputs = server.board.plant.outputs
        process = forked.Process(
            command("rig", *arguments, "--port", server.address), cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            assert process.stdin is not None
            process.stdin.write("y\n0\n")
            process.stdin.flush()
            await_that(lambda: any(outputs[p] for p in PUMPS) or process.poll() is not None)
            process.send_signal(number)
            _, said = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 130, said
        assert "Traceback" not in said
        assert not any(outputs[:7])
        assert state(server)[:2] == ["S", "2"]


@pytest.mark.parametrize("words", RIG)
def test_a_dry_run_says_what_would_be_done_and_opens_nothing(cli_here: Cli, tmp_path: Path, words: str) -> None:
    done = cli_here("rig", *words.split(), "--port", "/dev/nowhere", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(line.startswith("would, at /dev/nowhere: ") for line in done.stdout.splitlines())
    assert done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", RIG)
def test_a_port_that_is_not_there_gets_one_sentence(cli_here: Cli, tmp_path: Path, words: str) -> None:
    yes = ("--yes",) if words.startswith(("prime", "calibrate")) else ()
    done = cli_here("rig", *words.split(), "--port", "/dev/nowhere", *yes)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"frugaltwin: cannot open /dev/nowhere: there is no such port; plug the board in, .*\n", done.stderr)
    assert not list(tmp_path.iterdir())


# The emulated rig behind a port


@pytest.mark.timing
@needs_board
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_emulated_rig_prints_its_port_first_and_ends_in_peace(tmp_path: Path, number: signal.Signals) -> None:
    with emulating(tmp_path, "--link", "rig") as (port, process):
        assert port == "rig"
        assert (tmp_path / "rig").is_symlink()
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out, err) == (0, "", "")
    assert not (tmp_path / "rig").is_symlink()


@needs_board
def test_a_name_or_port_that_is_taken_is_refused_and_left_alone(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = cli("rig", "emulate", "--link", "notes.txt")
    assert (done.returncode, done.stdout) == (2, "")
    assert "notes.txt would replace that file; choose another name (--link)" in done.stderr
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert "there is no folder" in cli("rig", "emulate", "--link", "nowhere/rig").stderr
    with served(TcpServer) as server:
        taken = server.address.rpartition(":")[2]
        done = cli("rig", "emulate", "--tcp", taken)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"port {taken}: Address already in use; choose another port, or 0 for any that is free (--tcp)" in done.stderr


@needs_board
def test_the_other_sensor_is_found_by_whoever_connects(cli: Cli, tmp_path: Path) -> None:
    with emulating(tmp_path, "--tcp", 0, "--sensor", "tcs34725") as (port, _):
        assert events(cli("rig", "read", "--port", port, "--json"))[0].keys() == {"red", "green", "blue", "clear", "full scale"}


def asked_until(mixer: ArduinoMixer, is_over: Callable[[], bool]) -> None:
    while not is_over():
        mixer.state()


@pytest.mark.timing
@needs_board
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pyserial leaves a socket open whose other end is gone
@pytest.mark.parametrize("make", [PtyServer, TcpServer])
def test_a_cable_that_comes_out_is_noticed_at_once_and_works_again_afterward(make: Callable[[EmulatedBoard], BoardServer]) -> None:
    with served(make, "unplugged@8+1") as server:
        mixer = serial_mixer(server.address, AS7341, Imperfections(), 0, DYED_WATER)
        mixer.open()
        with pytest.raises(LinkError, match=f"the connection to {server.address} is gone: .*; plug it in again, then start again"):
            asked_until(mixer, lambda: server.board.monotonic() > 25)
        assert server.board.monotonic() >= 8
        mixer.__exit__()
        await_that(lambda: server.board.monotonic() > 9)
        again = serial_mixer(server.address, AS7341, Imperfections(), 0, DYED_WATER)
        again.open()
        assert again.state().state == "S"
        again.__exit__()


@needs_board
def test_the_live_picture_shows_pumps_lamp_and_liquid() -> None:
    from rich.console import Console

    with served(TcpServer) as server:
        mixer = serial_mixer(server.address, AS7341, Imperfections(), 0, DYED_WATER)
        mixer.open()
        mixer.clear()
        mixer.set_sensor()
        mixer.read(lamp=True)
        mixer.turn(0, 0.5)
        mixer._do("PUMP 1 255 8000")
        await_that(lambda: server.board.plant.outputs[1] > 0)
        console = Console(width=100, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
        with console.file:
            console.print(board_panel(server))
        mixer.__exit__()
    text = console.export_text()
    assert f"emulated rig at {server.address}" in text
    assert re.search(r"pump 0 \(D5\) red +│ · off +│ +0\.[78]\d g", text)
    assert re.search(r"pump 1 \(D6\) yellow +│ ▶ runs", text)
    assert re.search(r"lamp \(D7\) +│ ● lit", text)
    assert re.search(r"cell +│ █+░+ +│ +0\.8\d mL", text)
    assert re.search(r"seen through it +│ +#[0-9a-f]{6}", text)


# Flash


def stub(folder: Path, name: str, code: int) -> None:
    """A program that writes down what it was asked."""
    script = folder / name
    script.write_text(f'#!/bin/sh\necho "$0" "$@" >> "{folder}/asked"\nexit {code}\n')
    script.chmod(0o755)


def flashed(cli: Cli, path: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return cli("rig", "flash", "--port", "/dev/nowhere", *flags, env={**os.environ, "PATH": str(path)})


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    folder = tmp_path / "tools"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("name", ["arduino-cli", "avrdude"])
def test_flash_in_a_dry_run_names_the_commands(cli: Cli, tools: Path, name: str) -> None:
    stub(tools, name, 0)
    done = flashed(cli, tools, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"would, at /dev/nowhere: {name} " in done.stdout
    assert ("build/color_mixer.hex" in done.stdout) == (name == "avrdude")
    assert not (tools / "asked").exists()


def test_flash_calls_arduino_cli_first_and_says_when_it_fails(cli: Cli, tools: Path) -> None:
    for name in ("arduino-cli", "avrdude"):
        stub(tools, name, 0)
    done = flashed(cli, tools)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "/dev/nowhere has the firmware now; go on with: frugaltwin rig check --port /dev/nowhere\n"
    (asked,) = (tools / "asked").read_text().splitlines()
    assert re.fullmatch(r".*/arduino-cli compile --upload --fqbn arduino:avr:uno --port /dev/nowhere .*/firmware/color_mixer", asked)
    stub(tools, "arduino-cli", 3)
    done = flashed(cli, tools)
    assert done.returncode == 1
    assert "arduino-cli could not write to /dev/nowhere; read what it says above" in done.stderr


@pytest.mark.parametrize(("board", "words"), [("nano", "-c arduino -p m328p -b 115200"), ("mega", "-c wiring -p m2560 -b 115200")])
def test_flash_knows_the_other_boards(cli: Cli, tools: Path, board: str, words: str) -> None:
    stub(tools, "avrdude", 0)
    assert words in flashed(cli, tools, "--board", board, "--dry-run").stdout
    stub(tools, "arduino-cli", 0)
    assert f"--fqbn arduino:avr:{board} " in flashed(cli, tools, "--board", board, "--dry-run").stdout
    refused = flashed(cli, tools, "--board", "due")
    assert (refused.returncode, "it is uno, nano or mega" in refused.stderr) == (2, True)


@needs_board
def test_flash_builds_for_avrdude(cli: Cli, tools: Path, tmp_path: Path) -> None:
    stub(tools, "avrdude", 0)
    done = cli("rig", "flash", "--port", "/dev/nowhere", "--out", "made", env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"})
    assert done.returncode == 0, done.stderr
    assert re.search(r"built made/color_mixer.hex: \d+ bytes of 32,256", done.stderr)
    assert (tmp_path / "made" / "color_mixer.hex").exists()
    (asked,) = (tools / "asked").read_text().splitlines()
    assert asked.endswith("avrdude -c arduino -p m328p -b 115200 -P /dev/nowhere -D -U flash:w:made/color_mixer.hex:i")


def test_flash_without_tools_says_how_else(cli: Cli, tools: Path) -> None:
    done = flashed(cli, tools)
    assert done.returncode == 2
    assert "neither arduino-cli nor avrdude is installed; install one" in done.stderr
    assert "Arduino IDE, choose Arduino Uno and your port, and press Upload" in done.stderr
