"""Acceptance of a new rig: on an emulated board from end to end, and what it says of rigs that have something wrong or differ."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hardware.acceptance import differences
from hardware.arduino_mixer import ArduinoMixer
from hardware.commands.acceptance import READINGS, REPEATS, SECONDS, _differences, _sensor, _switch
from hardware.commands.connection import PUMPS
from hardware.commands.weighing import read_masses
from hardware.emulator.emulated_board import EmulatedBoard
from hardware.emulator.engine import STIRRER, missing
from hardware.emulator.faults import parse_faults
from hardware.emulator.replay import LONGEST_PAUSE, dosing_session, replayed
from hardware.mixers import mixer_on
from hardware.serial.recorder import Line
from simulator.instruments.dyed_water import DYED_WATER
from simulator.instruments.mixer import Imperfections
from simulator.instruments.sensors import make_sensor
from tests.conftest import Cli, events

pytestmark = pytest.mark.skipif(missing() is not None, reason=missing() or "")

N_DOSES = len(PUMPS) * len(SECONDS) * REPEATS


@contextmanager
def connected(faults: str = "", seed: int = 0) -> Iterator[tuple[ArduinoMixer, EmulatedBoard, list[Line]]]:
    """A rig with faults, and the record of its line."""
    sensor = make_sensor("as7341", {})
    board = EmulatedBoard(sensor, Imperfections(), seed, DYED_WATER, parse_faults(faults, DYED_WATER.bottles))
    mixer = mixer_on(lambda: board, sensor, DYED_WATER)
    mixer.record = []
    try:
        mixer.open()
        yield mixer, board, mixer.record
        mixer.__exit__()
    finally:
        board.power_off()


def test_an_evening_at_the_emulated_rig_is_one_file_that_can_be_sent(cli_here: Cli, tmp_path: Path) -> None:
    done = cli_here("rig", "acceptance", "--port", "emulated", "--json", "--out", "first.json")
    rows = events(done)
    assert done.returncode == 0
    assert [row["about"] for row in rows if row.get("part") in ("switch", "sensor")] == ["switch opens", "switch closes", "sensor"]
    assert {row["status"] for row in rows if "part" in row} == {"ok"}
    compared = {row["quantity"]: row for row in rows if "quantity" in row}
    assert sum(name.startswith("dose, ") for name in compared) == len(PUMPS) * len(SECONDS)
    assert compared["counts, lit, clear"]["rig"] == pytest.approx(compared["counts, lit, clear"]["twin"])
    assert compared["event ESTOP"]["rig"] == compared["event ESTOP"]["twin"] == 1
    assert not any(row["differs"] for row in compared.values())  # the same board, asked the same at the same times

    text = (tmp_path / "first.json").read_text()
    report = json.loads(text)
    assert str(tmp_path) not in text
    assert len(report["weighings"]) == N_DOSES == len(read_masses(tmp_path / "first.csv"))
    (session,) = report["sessions"]
    asked = [line[2] for line in session["lines"] if line[1]]
    assert sum(" PUMP " in line for line in asked) == N_DOSES
    assert sum(" READ? " in f"{line.partition('*')[0]} " for line in asked) == 2 * READINGS
    assert " STOP*" in asked[-1]  # left at rest

    report["findings"] = [row | {"status": "problem"} if row["part"] == "switch" else row for row in report["findings"]]
    (tmp_path / "first.json").write_text(json.dumps(report))
    again = cli_here("rig", "acceptance", "--port", "emulated", "--out", "first.json")
    report = json.loads((tmp_path / "first.json").read_text())
    second = [line[2] for line in report["sessions"][1]["lines"]]
    assert again.returncode == 0
    assert any(" MIX " in line for line in second)
    assert not any(word in line for line in second for word in (" PUMP ", " READ?"))  # what was right is not repeated
    assert "of 44 quantities differ" in again.stderr


def test_weighings_of_another_program_are_compared_with_the_same_doses_of_the_twin() -> None:
    weighed = [(pump, 2.0, 1.2 * 0.998 * rate * 2.0) for pump, rate in ((0, 1.55), (4, 1.6)) for _ in range(REPEATS)]
    rows = _differences({"sessions": [], "weighings": weighed})
    assert [(row["quantity"], row["differs"]) for row in rows] == [("dose, pump 0, 2 s", True), ("dose, pump 4, 2 s", True)]


def test_a_file_that_is_no_report_is_left_alone(cli_here: Cli, tmp_path: Path) -> None:
    (tmp_path / "acceptance.json").write_text("{}")
    done = cli_here("rig", "acceptance", "--port", "emulated")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "frugaltwin: acceptance.json is no report of an acceptance; name another file (--out)\n"
    assert (tmp_path / "acceptance.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("faults", "sentence"),
    [("", "nothing stopped within 30 s; it belongs between D2 and GND"), ("stop-switch@5", "still open after 30 s; close it")],
)
def test_a_switch_that_does_nothing_or_stays_open_is_a_problem(faults: str, sentence: str) -> None:
    with connected(faults) as (mixer, board, _):
        last = list(_switch(mixer, "a port"))[-1]
        assert board.plant.outputs[STIRRER] == 0
    assert last["status"] == "problem"
    assert sentence in last["text"]


def test_a_rig_that_differs_from_the_twin_is_told_from_it() -> None:
    with connected("silent-pump:yellow,dead-lamp@10") as (mixer, board, lines):
        assert [row["status"] for row in _sensor(mixer, yes=True)] == ["ok"]
        board.plant.beaker = 0.0
        weighed = []
        for pump in (0, 1):
            before = board.plant.delivered[pump]
            mixer.turn(pump, 2.0)
            weighed.append((pump, 2.0, board.plant.delivered[pump] - before))
        board.sleep(10.0)
        assert [row["status"] for row in _sensor(mixer, yes=True)] == ["problem"]
    again, moved = replayed(lines)
    table = {row["quantity"]: row for row in differences([lines], [again], weighed, moved)}
    assert [dose[:2] for dose in moved] == [(0, 2.0), (1, 2.0)]
    assert not table["dose, pump 0, 2 s"]["differs"]
    assert table["dose, pump 1, 2 s"]["differs"]
    assert table["dose, pump 1, 2 s"]["rig"] == 0
    assert table["counts, lit, clear"]["differs"]
    assert not table["answer to STAT?"]["differs"]


def test_pauses_of_a_person_are_not_waited_for_again() -> None:
    lines = dosing_session([(0, 0.5)], 2)
    late = [line._replace(at=line.at + 1e6 * (n > 2)) for n, line in enumerate(lines)]
    session, moved = replayed(late)
    assert [dose[:2] for dose in moved] == [(0, 0.5)] * 2
    assert session[-1].at < lines[-1].at + LONGEST_PAUSE + 2
