"""Mixers of the catalog that are not simulated: the emulated board, and the rig at a serial port."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from frugaltwin.errors import InvalidInput, LinkError, MissingPart
from hardware.arduino_mixer import FAMILY, ArduinoMixer
from hardware.serial.link import SerialLink
from hardware.serial.places import Place, notices, remember, remembered, usb_of
from hardware.serial.ports import Clock, Port, RealClock, open_port, without_number
from simulator.instruments.liquids import Liquids
from simulator.instruments.mixer import Imperfections, Seed
from simulator.instruments.sensors import Sensor

if TYPE_CHECKING:
    from hardware.emulator.emulated_board import EmulatedBoard

BAUD = 115200
ARDUINO = (0x2341, 0x2A03)
"""USB vendors whose boards may be asked for their name; other devices on a serial port are left alone."""
BOOT = 3.0  # s


def emulated_mixer(words: str, sensor: Sensor, imperfections: Imperfections, seed: Seed, liquids: Liquids) -> ArduinoMixer:
    """The mixer ``emulated`` of the catalog: the firmware on an emulated board, on a virtual clock.

    Args:
        words: Faults by name and time, see `hardware.emulator.faults.parse_faults`.

    Raises:
        MissingPart: The emulator needs something that is not installed.
        UnknownName, InvalidInput: A fault cannot be understood, or there is no such liquid.
    """
    from hardware.emulator.emulated_board import EmulatedBoard
    from hardware.emulator.engine import missing
    from hardware.emulator.faults import parse_faults

    faults = parse_faults(words, liquids.bottles)
    if sentence := missing():
        raise MissingPart(sentence)
    return mixer_on(cache(lambda: EmulatedBoard(sensor, imperfections, seed, liquids, faults)), sensor, liquids)


def mixer_on(board: Callable[[], EmulatedBoard], sensor: Sensor, liquids: Liquids) -> ArduinoMixer:
    """The mixer on an emulated board that is powered on when it is first needed."""

    def connect() -> tuple[Port, Clock]:
        try:
            return board().open(), board()
        except OSError as error:
            raise LinkError(f"cannot open the emulated board: {without_number(error)}; plug it in") from error

    return ArduinoMixer(connect, "the emulated board", sensor, liquids)


def serial_mixer(where: str, sensor: Sensor, imperfections: Imperfections, seed: Seed, liquids: Liquids) -> ArduinoMixer:
    """The mixer at a serial port: a device, ``socket://host:port``, or ``auto``.

    Raises:
        InvalidInput: Imperfections were asked for; a rig has its own. Or that is no address.
    """
    if imperfections != Imperfections():
        raise InvalidInput(f"{where} is a rig, which has imperfections of its own; leave those options out")

    place = Place(where, BAUD)

    def connect() -> tuple[Port, Clock]:
        if where == "auto":
            place.address = found_address()
        return place.open(), RealClock()

    return ArduinoMixer(connect, where, sensor, liquids, lambda: remember(place.address))


def found_address() -> str:
    """The port of the only color mixer that is plugged in, found by its answer to ``*IDN?``.

    Opening a port resets the board there. So boards at which our firmware has answered before are asked first, by their USB serial
    numbers, and only where there is none of those all other Arduinos. What is opened is said.

    Raises:
        LinkError: There is none, or more than one, or it cannot be opened; the message says which.
    """
    from serial.tools import list_ports

    known, plugged_in = remembered(), list_ports.comports()
    ours = [p for p in plugged_in if usb_of(p) in known]
    others = [p for p in plugged_in if p.vid in ARDUINO and p not in ours]
    reasons: list[str] = []
    for candidates, about in ((ours, "where the color mixer was before"), (others, "which resets that board")):
        found = []
        for device in (p.device for p in candidates):
            notices.warning("opening %s, %s", device, about)
            try:
                if is_color_mixer(device):
                    found.append(device)
                else:
                    reasons.append(f"{device} does not answer as one")
            except LinkError as error:
                reasons.append(str(error))
        if len(found) == 1:
            return found[0]
        if found:
            raise LinkError(f"there are color mixers at {', '.join(found)}; choose one by its port")
        if any(reason.startswith("cannot open") for reason in reasons):
            break  # it is probably the one: no other board is reset
    looked = f" that could be asked: {'; '.join(reasons)}" if reasons else " is plugged in"
    raise LinkError(f"no Arduino with the color mixer's firmware{looked}; clones are found by their port only: name it")


def is_color_mixer(address: str) -> bool:
    """Whether our firmware answers at a port.

    Raises:
        LinkError: It cannot be opened: another program has it, or it is not yours.
    """
    link = SerialLink(open_port(address, BAUD), RealClock(), address)
    try:
        link.listen("READY", BOOT)
        reply = link.request("*IDN?")
        return not reply.error and reply.values[:1] != () and reply.values[0].startswith(FAMILY)
    except LinkError:
        return False
    finally:
        link.close()
