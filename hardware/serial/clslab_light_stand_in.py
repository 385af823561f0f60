"""Simulated CLSLab:Light kit: MicroPython's prompt on a Raspberry Pi Pico, with the light of `simulator.light_mixing`."""

import re
from collections.abc import Callable, Sequence

from frugaltwin.experiment import Settings
from hardware.serial.ports import StandIn
from simulator.light_mixing import LEDS, PRICE

PROMPT = ">>> "
BANNER = 'MicroPython v1.19.1 on 2022-06-18; Raspberry Pi Pico W with RP2040\r\nType "help()" for more information.\r\n'
USB = 1e-3  # s: a USB frame
SET_COLOR = re.compile(r"set_color\((\d+), (\d+), (\d+)\)")
READ_SENSOR = re.compile(r"read_sensor\((\d+), (\d+), ([\d.]+)\)")


class Pico(StandIn):
    """A simulated kit as its driver sees it, on a virtual clock.

    It starts as the kit's published serial program leaves it: that calls `read_sensor` without a gain when it starts, dies of it, and
    leaves the LED on at (10, 10, 10) and its two functions at the prompt. Keys are echoed, a line ends with a carriage return (a line
    feed does nothing), Ctrl-C interrupts, Ctrl-B greets.
    Source: sparks-baird/self-driving-lab-demo, src/extra/nonwireless/main.py; MicroPython, shared/readline/readline.c and
    shared/runtime/pyexec.c.
    """

    def __init__(self, look: Callable[[Settings], Sequence[float]], is_program_running: bool = False) -> None:
        """A kit that is plugged in.

        Args:
            look: Counts that the sensor shows for the eight channels [8], by the settings of `light-mixing`.
            is_program_running: A program has the keyboard and answers nothing, until it is interrupted.
        """
        super().__init__()
        self.color = (10, 10, 10)
        self._look = look
        self._typed = ""
        self._busy_until = 0.0
        self._is_program_running = is_program_running

    def _received(self, data: bytes) -> None:
        for key in re.findall("[ -~]+|.", data.decode("latin-1"), re.DOTALL):  # what is typed at once is echoed at once
            if key == "\x03":
                self._interrupted()
            elif self._is_program_running:
                continue
            elif key == "\x02" and not self._typed:
                self._say(f"\r\n{BANNER}{PROMPT}")
            elif key == "\r":
                line, self._typed = self._typed, ""
                self._say("\r\n")
                seconds, text = self._evaluated(line)
                self._busy_until = self._free_at + seconds
                self._say(text + PROMPT)
            elif " " <= key[0] <= "~":
                self._typed += key
                self._say(key)

    def _interrupted(self) -> None:
        was_busy = self._is_program_running or self.monotonic() < self._busy_until
        self._due.clear()  # what the interrupted line would have printed
        self._busy_until, self._typed, self._is_program_running = 0.0, "", False
        self._say("\r\n" + (_traceback("KeyboardInterrupt: ") if was_busy else "") + PROMPT)

    def _evaluated(self, line: str) -> tuple[float, str]:
        """Time that a line takes, s, and the text that it prints."""
        if found := SET_COLOR.fullmatch(line):
            red, green, blue = map(int, found.groups())
            self.color = (red, green, blue)
            return USB, ""
        if found := READ_SENSOR.fullmatch(line):
            astep, atime, gain = map(float, found.groups())
            settings = dict(zip(LEDS, map(float, self.color), strict=True)) | {"atime": atime, "astep": astep, "gain": gain}
            return PRICE.of(settings).seconds, f"{[int(count) for count in self._look(settings)]}\r\n"
        return USB, _traceback(f"NameError: name '{line.partition('(')[0]}' isn't defined") if line else ""

    @property
    def _free_at(self) -> float:
        return max(self.monotonic(), self._busy_until)

    def _say(self, text: str) -> None:
        self._send(text.encode(), self._free_at - self.monotonic() + USB)


def _traceback(error: str) -> str:
    return f'Traceback (most recent call last):\r\n  File "<stdin>", line 1, in <module>\r\n{error}\r\n'
