"""The firmware as the Arduino IDE would build it, by calling avr-gcc: ``python -m hardware.firmware.build [--board BOARD] [--out FOLDER]``.

The same sources and compilers give the same bytes, in whatever folder.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from frugaltwin.errors import InvalidInput, MissingPart

SKETCH = Path(__file__).parent / "color_mixer" / "color_mixer.ino"
CORE = Path("/usr/share/arduino/hardware/arduino/avr")
"""Folder of the Arduino core for AVR on Debian and Ubuntu."""

PACKAGES = "gcc-avr avr-libc binutils-avr arduino-core-avr"
TOOLS = ("avr-gcc", "avr-g++", "avr-objcopy", "avr-size")

# The options of the core's platform.txt and boards.txt. gcc-avr 5.4 has no DECIMAL_DIG in C++11, which the core's headers use.
COMMON = (
    *("-c", "-Os", "-ffunction-sections", "-fdata-sections", "-DF_CPU=16000000L", "-DARDUINO=10819"),
    *("-DARDUINO_ARCH_AVR", "-DDECIMAL_DIG=__DECIMAL_DIG__"),
)
LTO = ("-flto", "-fno-fat-lto-objects")
CPP = ("avr-g++", "-std=gnu++11", "-fpermissive", "-fno-exceptions", "-fno-threadsafe-statics")
LANGUAGE: dict[str, tuple[str, ...]] = {
    ".S": ("avr-gcc", "-x", "assembler-with-cpp"),
    ".c": ("avr-gcc", "-std=gnu11", *LTO, "-w"),
    ".cpp": (*CPP, *LTO, "-w"),
    ".ino": (*CPP, *LTO, "-Wall", "-Wextra", "-Werror", "-include", "Arduino.h", "-x", "c++"),
}


@dataclass(frozen=True)
class Board:
    """An Arduino, as boards.txt of its core has it."""

    name: str
    chip: str
    macro: str
    variant: str
    """Folder of its pins."""
    flash: int
    """Bytes that its bootloader leaves."""
    ram: int
    """Bytes."""
    part: str = "m328p"
    """The chip's name to avrdude."""
    programmer: str = "arduino"
    """Its bootloader's language, as avrdude calls it."""


BOARDS = {
    "uno": Board("Arduino Uno", "atmega328p", "AVR_UNO", "standard", 32256, 2048),
    "nano": Board("Arduino Nano", "atmega328p", "AVR_NANO", "eightanaloginputs", 30720, 2048),
    "mega": Board("Arduino Mega or Mega 2560", "atmega2560", "AVR_MEGA2560", "mega", 253952, 8192, "m2560", "wiring"),
}
"""Boards that the sketch is built for; only the Uno is emulated."""
STACK = 512
"""Bytes of memory that have to be left for the stack."""


@dataclass(frozen=True)
class Firmware:
    """A firmware image, for the emulator (`elf`) and for the chip (`hex`)."""

    elf: Path
    hex: Path
    flash_bytes: int
    """Bytes of flash in use."""
    ram_bytes: int
    """Bytes of memory that are always in use; the stack has the rest."""

    @property
    def sha256(self) -> str:
        """Checksum of the hex file."""
        return hashlib.sha256(self.hex.read_bytes()).hexdigest()


def missing() -> str | None:
    """A sentence about the programs that the build still needs; None when all are installed."""
    lacking = [tool for tool in TOOLS if not shutil.which(tool)] + [str(CORE)] * (not CORE.is_dir())
    if not lacking:
        return None
    return f"building the firmware needs {', '.join(lacking)}; on Debian or Ubuntu: apt-get install {PACKAGES}"


def build(sketch: Path, out: Path, board: str = "uno") -> Firmware:
    """Compile and link a sketch for one of `BOARDS` into `out`, which is made if need be. Warnings of the sketch are errors.

    Raises:
        MissingPart: The AVR tools or the Arduino core are not installed.
        InvalidInput: The sketch does not compile (the message has the compiler's first complaint), or does not fit into the board.
    """
    that = BOARDS[board]
    if problem := missing():
        raise MissingPart(problem)
    out.mkdir(parents=True, exist_ok=True)
    libraries = [CORE / "libraries" / name for name in ("Wire/src", "Wire/src/utility", "EEPROM/src")]
    folders = [CORE / "cores/arduino", CORE / "variants" / that.variant, *libraries]
    sources = [path for folder in (folders[0], *libraries) for path in sorted(folder.iterdir()) if path.suffix in LANGUAGE]

    options = (*COMMON, f"-mmcu={that.chip}", f"-DARDUINO_{that.macro}")

    def compiled(source: Path) -> Path:
        target = out / f"{source.name}.o"
        _call(*LANGUAGE[source.suffix], *options, *(f"-I{folder}" for folder in folders), str(source), "-o", str(target))
        return target

    with ThreadPoolExecutor() as pool:
        objects = list(pool.map(compiled, [sketch, *sources]))
    elf, image = out / f"{sketch.stem}.elf", out / f"{sketch.stem}.hex"
    # Stripped: the symbols of link-time optimization name temporary files, and these differ from build to build.
    link = ("avr-gcc", "-w", "-Os", "-s", "-flto", "-fuse-linker-plugin", "-Wl,--gc-sections", f"-mmcu={that.chip}")
    _call(*link, "-o", str(elf), *map(str, objects), "-lm")
    _call("avr-objcopy", "-O", "ihex", "-R", ".eeprom", str(elf), str(image))
    for path in objects:
        path.unlink()
    text, data, bss = (int(word) for word in _call("avr-size", str(elf)).splitlines()[1].split()[:3])
    if text + data > that.flash or data + bss > that.ram - STACK:
        raise InvalidInput(
            f"the sketch takes {text + data} bytes of flash and {data + bss} of memory, and the {board} has {that.flash} and "
            f"{that.ram} (with {STACK} for the stack); make it smaller"
        )
    return Firmware(elf, image, text + data, data + bss)


def _call(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["no reason given"]
        raise InvalidInput(f"{command[0]} refuses: {complaints[0]}; correct the sketch, then build again")
    return done.stdout


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m hardware.firmware.build", description="Build the color mixer's firmware for an Arduino."
    )
    parser.add_argument("--board", choices=BOARDS, default="uno", help="the Arduino")
    parser.add_argument("--out", type=Path, default=Path("build"), help="the folder for color_mixer.elf and color_mixer.hex")
    options = parser.parse_args()
    try:
        made = build(SKETCH, options.out, options.board)
    except (MissingPart, InvalidInput) as error:
        sys.exit(str(error))
    room = BOARDS[options.board]
    sizes = f"flash {made.flash_bytes} of {room.flash} bytes, RAM {made.ram_bytes} of {room.ram} bytes, sha256 {made.sha256}"
    sys.stdout.write(f"{made.elf}\n{made.hex}\n{sizes}\n")


if __name__ == "__main__":
    main()
