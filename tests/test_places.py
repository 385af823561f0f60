"""Ports by address: what is opened, why one cannot be, and what has another name after the cable was pulled."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest
from serial import Serial, SerialException
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

import frugaltwin
from frugaltwin import Amounts, Campaign, Store, catalog
from frugaltwin.errors import CampaignError, InvalidInput, LinkError
from frugaltwin.experiment import Continuous, Experiment, Measurement, Outcome, Settings
from hardware.emulator.emulated_board import EmulatedBoard
from hardware.emulator.engine import built, missing
from hardware.emulator.server import PtyServer
from hardware.mixers import found_address, serial_mixer
from hardware.serial.places import remembered
from hardware.serial.ports import open_port, reason
from simulator.instruments.dyed_water import DYED_WATER
from simulator.instruments.mixer import Imperfections
from simulator.instruments.sensors import as7341
from tests.conftest import Cli

needs_board = pytest.mark.skipif(missing() is not None, reason=missing() or "")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("could not open port 'COM3': PermissionError(13, 'Access is denied.', None, 5)", "it is busy: another program has it open"),
        ("could not open port 'COM3': PermissionError(13, 'Zugriff verweigert', None, 5)", "it is busy: another program has it open"),
        ("could not open port 'COM3': OSError(22, 'The process cannot access the file', None, 32)", "it is busy: another program"),
        ("could not open port 'COM9': FileNotFoundError(2, 'Das System kann die Datei nicht finden.', None, 2)", "there is no such port"),
        (
            "could not open port 'COM5': OSError(22, 'The semaphore timeout period has expired.', None, 121)",
            "what is there does not answer",
        ),
        (
            (13, "could not open port /dev/ttyACM0: [Errno 13] Permission denied"),
            "permission denied: it is not yours to open; join its group",
        ),
        ((16, "could not open port /dev/cu.usbmodem1: [Errno 16] Resource busy"), "it is busy: another program has it open"),
        ((11, "Could not exclusively lock port /dev/ttyACM0: [Errno 11] Resource temporarily unavailable"), "it is busy: another program"),
        ((2, "could not open port /dev/ttyACM7: [Errno 2] No such file or directory"), "there is no such port; plug the board in"),
    ],
)
def test_a_port_that_cannot_be_opened_says_why_on_every_system(error: str | tuple[int, str], sentence: str) -> None:
    raised = SerialException(error) if isinstance(error, str) else SerialException(*error)
    assert reason("COM3", raised).startswith(sentence)


@pytest.mark.parametrize(("driver", "option"), [("color-mixing", "mixer"), ("pumpbot", "port"), ("clslab-light", "port")])
@pytest.mark.parametrize(
    "address", ["socket://rig", "socket://rig:", "socket://:7777", "socket://rig:0", "socket://rig:70000", "rfc2217://rig"]
)
def test_a_network_address_without_a_port_is_refused_before_anything_is_opened(driver: str, option: str, address: str) -> None:
    with pytest.raises(InvalidInput, match=rf"^{address} needs a host and a port from 1 to 65535, such as (socket|rfc2217)://192"):
        catalog.make_driver(driver, {option: address})
    with pytest.raises(InvalidInput):
        open_port(address, 9600)


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedBoard]:
    """A board whose cell is small, so that draining takes a second, on a desk where nothing was found before."""
    built()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    board = EmulatedBoard(as7341(), Imperfections(), 0, DYED_WATER)
    for bare in (b"CELL 1500\n", b"CALID factory\n"):
        board.sleep(0.3)
        board.write(bare)
    board.sleep(0.3)
    yield board
    board.power_off()


def arduino(device: str, number: str) -> ListPortInfo:
    port = ListPortInfo(device)
    port.vid, port.pid, port.serial_number = 0x2341, 0x43, number
    return port


@needs_board
def test_auto_asks_ours_first_and_says_what_it_opens_and_why_it_cannot(
    board: EmulatedBoard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def opened() -> list[str]:
        said = [record.getMessage() for record in caplog.records if record.name == "frugaltwin.notices"]
        caplog.clear()
        return said

    master, slave = os.openpty()
    stranger = os.ttyname(slave)
    with PtyServer(board) as server, Serial(stranger, exclusive=True):
        desk = [arduino(stranger, "1"), arduino(server.address, "2")]
        monkeypatch.setattr(list_ports, "comports", lambda: desk)
        mixer = serial_mixer("auto", as7341(), Imperfections(), 0, DYED_WATER)
        mixer.open()
        assert opened() == [f"opening {device}, which resets that board" for device in (stranger, server.address)]
        assert remembered() == {(0x2341, 0x43, "2")}
        with pytest.raises(LinkError, match=rf"could be asked: cannot open {server.address}: it is busy: another program has it open"):
            found_address()
        assert opened() == [f"opening {server.address}, where the color mixer was before"]
        mixer.__exit__()
        assert found_address() == server.address
        assert opened() == [f"opening {server.address}, where the color mixer was before"]
        desk.pop()
        with pytest.raises(LinkError, match=rf"could be asked: cannot open {stranger}: it is busy.*; clones are found by their port only"):
            found_address()
    os.close(master)
    os.close(slave)


@needs_board
def test_a_board_that_is_plugged_in_again_under_another_name_goes_on(
    board: EmulatedBoard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with PtyServer(board) as server:
        monkeypatch.setattr(list_ports, "comports", lambda: [arduino(server.address, "2")])
        before = server.address
        with serial_mixer(before, as7341(), Imperfections(), 0, DYED_WATER) as mixer:
            server.unplug()
            with pytest.raises(LinkError, match="is gone"):
                mixer.dispense("red", 0.25)
            assert server.address != before
            mixer.drain()
            mixer.dispense("red", 0.25)
            assert board.plant.asked["red"] == pytest.approx(0.25, abs=1e-3)
    assert f"the rig that was at {before} is at {server.address} now" in caplog.text


# A campaign and the place of its rig

MIXED = "red=0.5,yellow=0,blue=0,water=3.5"


class Bench:
    """A rig that is known by its calibration, whatever its port."""

    experiment = Experiment("bench", (Continuous("x", 0.0, 1.0),), (Outcome("y"),))
    calibrated_as: ClassVar = {"/dev/a": "p1", "/dev/b": "p1", "/dev/c": "p2"}

    def __init__(self, port: str = "/dev/a", gain: float = 1.0) -> None:
        self.calibration = ""
        self._port = port

    def __enter__(self) -> Self:
        if self._port not in self.calibrated_as:
            raise LinkError(f"cannot open {self._port}: there is no such port")
        self.calibration = self.calibrated_as[self._port]
        return self

    def perform(self, settings: Settings) -> Measurement:
        return Measurement({"y": float(settings["x"])}, Amounts(seconds=1.0), {"calibration": self.calibration})

    def stop(self) -> None: ...

    def __exit__(self, *failure: object) -> None: ...


def test_a_campaign_goes_on_at_another_port_and_not_on_another_rig(tmp_path: Path) -> None:
    frugaltwin.register("driver", "bench", Bench)
    fields: dict[str, Any] = {"name": "c", "store": tmp_path / "s.db"}

    def run(budget: int, **options: object) -> int:
        driver: dict[str, Any] = {"driver": {"name": "bench", "options": options}} if options else {}
        return len(list(Campaign.open(**fields, **driver, goal="minimize:y", strategy="sobol", budget=budget).run()))

    assert run(2, port="/dev/a") == 2
    assert run(3, port="/dev/b") == 1
    assert run(4) == 1  # where it was last
    with pytest.raises(LinkError, match="cannot open /dev/d"):
        run(5, port="/dev/d")
    assert Store(tmp_path / "s.db").get("c").body["driver"]["options"] == {"port": "/dev/b"}
    with pytest.raises(
        CampaignError, match=r"'c' was measured with the calibration p1, and its rig has p2 now.*choose another name, and give c"
    ):
        run(5, port="/dev/c")
    with pytest.raises(CampaignError, match=r"was started with driver bench \(port=/dev/b\), not bench \(port=/dev/b, gain=2.0\)"):
        run(5, port="/dev/b", gain=2.0)
    assert len(Store(tmp_path / "s.db").trials("c")) == 4


def test_an_address_is_no_part_of_a_campaign_but_that_it_is_a_rig_is(cli_here: Cli) -> None:
    def begin(name: str, driver: str, *words: str) -> None:
        assert cli_here("tell", name, "--driver", driver, *words, "--failed", "spilled").returncode == 0

    begin(
        "mine", "color-mixing", "--option", "mixer=/dev/nowhere0", "--option", "gain=32", "--goal", "match-color:teal", "--settings", MIXED
    )
    begin(
        "bot",
        "pumpbot",
        "--option",
        "port=/dev/nowhere0",
        "--goal",
        "match-color:teal",
        "--settings",
        "red=20,green=0,blue=0,yellow=0,water=0",
    )
    for name, option, sentence in [
        ("mine", "mixer=/dev/nowhere1", "cannot open /dev/nowhere1: there is no such port"),
        ("mine", "mixer=socket://127.0.0.1:9", "cannot open socket://127.0.0.1:9: nothing listens there"),
        ("bot", "port=/dev/nowhere1", "cannot open /dev/nowhere1: there is no such port"),
        (
            "mine",
            "mixer=simulated",
            "'mine' was started with driver color-mixing (mixer=/dev/nowhere0, gain=32.0), not color-mixing (mixer=sim",
        ),
        ("mine", "gain=16", "'mine' was started with driver color-mixing (mixer=/dev/nowhere0, gain=32.0), not color-mixing"),
        ("bot", "port=emulated", "'bot' was started with driver pumpbot (port=/dev/nowhere0), not pumpbot (port=emulated)"),
        ("bot", "mixer=/dev/nowhere1", "there is no option of pumpbot 'mixer'; there are port"),
        ("mine", "port=/dev/nowhere1", "there is no option of color-mixing 'port'; "),
    ]:
        done = cli_here("run", "--name", name, "--option", option, "--budget", 9)
        assert sentence in done.stderr, done.stderr
        assert done.returncode in (1, 2)
    assert cli_here("suggest", "mine", "--option", "mixer=auto").returncode == 0


def test_a_service_may_get_another_address() -> None:
    one, other, another = ({"name": f"http://{where}", "options": {}} for where in ("a:1/rigs/x", "b:2/v/rigs/x/", "a:1/rigs/y"))
    assert catalog.without_address(one) == catalog.without_address(other) != catalog.without_address(another)
