"""Emulated rig behind a port: the firmware on its chip, the liquids, the light, and faults by name and time."""

import struct
import threading
from binascii import crc_hqx
from collections.abc import Iterable

import numpy as np
from serial import SerialException

from hardware.emulator.engine import Edge, Engine, Exposure, built
from hardware.emulator.faults import MOMENTARY, Fault
from hardware.emulator.plant import Plant
from hardware.serial.ports import VirtualPort
from simulator.instruments.liquids import Liquids
from simulator.instruments.mixer import CELL_VOLUME, RATE, Imperfections, Seed
from simulator.instruments.sensors import Sensor

BOOTLOADER_TIME = 1.6  # s that a bootloader waits for a sketch
NOISE = 0.004  # of the bytes flipped, and of the bytes lost
FACTORY_ID = "factory"


def calibrated_eeprom(liquids: Liquids) -> bytes:
    """An EEPROM with the calibration that a maker would have left in it: flows as in the pumps' data sheets, and how long each coasts."""
    coasts = [-round(1e6 * bottle.pump.coasting / bottle.pump.rate) for bottle in liquids.bottles.values()]
    coasts += [0] * (5 - len(coasts))
    flows = [round(1000 * bottle.pump.rate) for bottle in liquids.bottles.values()]
    flows += [round(1000 * RATE)] * (5 - len(flows))
    record = struct.pack("<HB5H5iH16s", 0x4654, 1, *flows, *coasts, round(1000 * CELL_VOLUME), FACTORY_ID.encode())
    record += struct.pack("<H", crc_hqx(record, 0))
    return record.ljust(1024, b"\xff")


class EmulatedBoard(VirtualPort):
    """Emulated rig on a virtual clock. It is its own port; opening the port resets the board, as on an Uno."""

    def __init__(
        self, sensor: Sensor, imperfections: Imperfections, seed: Seed, liquids: Liquids, faults: Iterable[Fault] = (),
        is_calibrated: bool = True,
    ) -> None:  # fmt: skip
        """Power the board on.

        Raises:
            MissingPart: simavr or the AVR tools are not installed.
        """
        super().__init__()
        self._faults = sorted(faults, key=lambda fault: fault.at)
        self.plant = Plant(sensor, imperfections, seed, liquids, self._faults)
        self._random = np.random.default_rng(seed)
        self._begun: set[Fault] = set()
        self._ended: set[Fault] = set()
        self._to_board = bytearray()
        self._writing = threading.Lock()
        self._is_open = True
        self.engine = Engine(built()[1], self._light, (sensor.name,), calibrated_eeprom(liquids) if is_calibrated else None)

    def open(self) -> "EmulatedBoard":
        """Plug the host in: the board is reset, and bytes that it sent without a host are lost.

        Raises:
            SerialException: The cable is out. The error takes a second, so that a host that goes on trying finds the cable in again.
        """
        if self._is_on("unplugged"):
            self.sleep(1.0)
        self._is_open = True
        self._check_cable()
        self._arrived.clear()
        self._to_board.clear()
        self.engine.reset(self._bootloader_seconds)
        self._look()
        return self

    def monotonic(self) -> float:
        return self.engine.now

    def write(self, b: bytes, /) -> int | None:
        self._check_cable()
        with self._writing:
            self._to_board += self._noisy(bytes(b))
        return len(b)

    def read(self, size: int = 1, /) -> bytes:
        self._check_cable()
        return super().read(size)

    def add_fault(self, fault: Fault) -> None:
        """Let something go wrong that nobody knew of when the board was made."""
        self._faults.append(fault)
        self._faults.sort(key=lambda fault: fault.at)

    def close(self) -> None:
        """Disconnect the host; the board stays on."""
        self._is_open = False

    def power_off(self) -> None:
        """Power the board off."""
        self.engine.close()

    def _run(self, seconds: float, until_byte: bool) -> bytes:
        now = self.engine.now
        times = [t for f in self._faults for t in (f.at, f.at + f.lasts) if t > now + 1e-9]
        with self._writing:
            data, self._to_board = bytes(self._to_board), bytearray()
        came = self.engine.run(min([seconds, *(t - now for t in times)]), data, until_byte)
        self._look()
        self._apply_faults()
        return self._noisy(came)

    def _look(self) -> None:
        self.plant.follow(self.engine.edges(), self.engine.now)

    def _light(self, exposure: Exposure) -> list[int]:
        edges: list[Edge] = self.engine.edges()
        self.plant.follow(edges, exposure.at)
        return self.plant.counts(exposure)

    @property
    def _bootloader_seconds(self) -> float:
        return BOOTLOADER_TIME if self._is_on("bootloader") else 0.0

    def _is_on(self, name: str) -> bool:
        now = self.engine.now + 1e-9
        return any(f.name == name and f.at <= now < f.at + f.lasts for f in self._faults)

    def _check_cable(self) -> None:
        if self._is_on("unplugged"):
            raise SerialException("the emulated cable is out")
        if not self._is_open:
            raise SerialException("the port is closed")

    def _noisy(self, data: bytes) -> bytes:
        if not data or not self._is_on("serial-noise"):
            return data
        flips, losses = self._random.random((2, len(data))) < NOISE
        bits = self._random.integers(0, 8, len(data)).tolist()
        return bytes(b ^ (1 << bits[i]) if flips[i] else b for i, b in enumerate(data) if not losses[i])

    def _apply_faults(self) -> None:
        now = self.engine.now + 1e-9
        for fault in self._faults:
            if fault.at <= now and fault not in self._begun:
                self._begun.add(fault)
                self._begin(fault)
            if fault.at + fault.lasts <= now and fault not in self._ended and fault.name not in MOMENTARY:
                self._ended.add(fault)
                self._end(fault)

    def _begin(self, fault: Fault) -> None:
        match fault.name:
            case "reset":
                self.engine.reset(self._bootloader_seconds)
            case "power-cycle":
                self.engine.power_cycle()
            case "hang":
                self.engine.hang()
            case "i2c-hang":
                self.engine.hold_bus(True)
            case "stuck-sda":
                self.engine.stick_bus()
            case "glare":
                self.engine.glare(True)
            case "stop-switch":
                self.engine.press_stop(True)
            case "unplugged":
                self._is_open = False  # as on a computer: the open port is dead, even when the cable is in again
        self._look()

    def _end(self, fault: Fault) -> None:
        if fault.name == "i2c-hang":
            self.engine.hold_bus(False)
        elif fault.name == "glare":
            self.engine.glare(False)
        elif fault.name == "stop-switch":
            self.engine.press_stop(False)
