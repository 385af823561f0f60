"""Ports by address: what is opened, why one cannot be, and what has another name after the cable was pulled."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from serial import Serial, SerialException
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from frugaltwin import catalog
from frugaltwin.errors import InvalidInput, LinkError
from hardware.emulator.emulated_board import EmulatedBoard
from hardware.emulator.engine import built, missing
from hardware.emulator.server import PtyServer
from hardware.mixers import found_address, serial_mixer
from hardware.serial.places import remembered
from hardware.serial.ports import open_port, reason
from simulator.instruments.dyed_water import DYED_WATER
from simulator.instruments.mixer import Imperfections
from simulator.instruments.sensors import as7341

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
