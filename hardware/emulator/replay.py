"""Replay of a recorded serial session on an emulated board."""

from __future__ import annotations

from collections.abc import Sequence

from hardware.emulator.emulated_board import EmulatedBoard
from hardware.emulator.faults import Fault
from hardware.serial.link import framed, parsed, unframed
from hardware.serial.ports import POLL_INTERVAL, TICK
from hardware.serial.recorder import Line, RecordedPort
from simulator.instruments.dyed_water import DYED_WATER
from simulator.instruments.mixer import Imperfections
from simulator.instruments.sensors import SENSORS, make_sensor

LONGEST_PAUSE = 6.0
"""Longest wait between two requests, s. A host asks more often while anything runs, so only pauses of a person are shortened."""
AHEAD = 0.05  # s by which the switch moved before the line shows it
END = 1.0  # s to listen after the last request

Dose = tuple[int, float]
"""Pump, s."""


def replayed(lines: Sequence[Line]) -> tuple[list[Line], list[tuple[int, float, float]]]:
    """Session of an emulated board that is asked the same at the same times, and what its pumps delivered.

    Its switch opens and closes when that of the rig did. Its lamp shines through water; each `PUMP` runs into a beaker on a scale.

    Returns:
        What went over its line; and pump, s and g of each `PUMP`.
    """
    asked = _shortened(lines)
    moved: list[tuple[int, float, float]] = []
    words = " ".join(line.text for line in lines)
    name = next((name for name in SENSORS if f",{name}," in words), "as7341")
    board = EmulatedBoard(make_sensor(name, {}), Imperfections(), 0, DYED_WATER)
    try:
        start = board.monotonic()
        board.open()
        for at, seconds in _switched(asked):
            board.add_fault(Fault("stop-switch", start + at, seconds))
        board.plant.beaker = 0.0
        session: list[Line] = []
        port = RecordedPort(board, board, session)
        running: Dose | None = None
        last_number, seq = "", 0
        for line in (line for line in asked if line.is_sent):
            _listen(port, board, start + line.at)
            number, _, text = _unframed(line.text).partition(" ")
            if not (number.isdigit() and text):
                continue  # a line that no board could read
            if number != last_number:  # counted from 1, as the emulated board was reset
                last_number, seq = number, seq % 65535 + 1
            if running and text not in ("STAT?", "STOP"):
                moved.append((*running, _weighed(board)))
                running = None
            if text.startswith("PUMP "):
                pump, _, ms = text.split()[1:]
                board.plant.beaker, running = 0.0, (int(pump), int(ms) / 1000)
            port.write(framed(f"{seq} {text}"))
        _listen(port, board, board.monotonic() + END)
        if running:
            moved.append((*running, _weighed(board)))
    finally:
        board.power_off()
    return session, moved


def dosing_session(doses: Sequence[Dose], repeats: int) -> list[Line]:
    """Session of a host that lets each pump run for each time, so often."""
    lines = [Line(1.0, True, _framed(1, "CLEAR"))]
    for pump, seconds in (dose for dose in doses for _ in range(repeats)):
        at = lines[-1].at + 1.0
        lines.append(Line(at, True, _framed(len(lines) + 1, f"PUMP {pump} 255 {round(1000 * seconds)}")))
        while (left := at + seconds - lines[-1].at) > 0:
            lines.append(Line(lines[-1].at + min(left + 0.1, 1.0), True, _framed(len(lines) + 1, "STAT?")))
    return lines


def _framed(seq: int, text: str) -> str:
    return framed(f"{seq} {text}").decode("ascii").rstrip()


def _listen(port: RecordedPort, board: EmulatedBoard, until: float) -> None:
    while (left := until - board.monotonic()) > 2 * TICK:
        board.timeout = min(left, POLL_INTERVAL)
        port.read(max(1, port.in_waiting))


def _weighed(board: EmulatedBoard) -> float:
    return round(0.998 * (board.plant.beaker or 0.0), 4)


def _unframed(text: str) -> str:
    """Text of a line; nothing when it is no frame."""
    return (unframed(text.encode("latin-1")) or b"").decode("latin-1")


def _shortened(lines: Sequence[Line]) -> list[Line]:
    """The lines with no pause longer than `LONGEST_PAUSE`."""
    shorter: list[Line] = []
    cut, before = 0.0, 0.0
    for line in lines:
        cut += max(0.0, line.at - before - LONGEST_PAUSE)
        before = line.at
        shorter.append(line._replace(at=line.at - cut))
    return shorter


def _switched(lines: Sequence[Line]) -> list[tuple[float, float]]:
    """Times at which the switch opened, and for how long, s."""
    spans: list[tuple[float, float]] = []
    opened: float | None = None
    cleared: dict[int, float] = {}
    for line in lines:
        text = _unframed(line.text)
        if line.is_sent and text.endswith(" CLEAR"):
            cleared[int(text.split()[0])] = line.at
        elif text.startswith("!ESTOP") and opened is None:
            opened = line.at - AHEAD
        elif opened is not None and (reply := parsed(line.text.encode("latin-1"))) and reply.seq in cleared and not reply.error:
            spans.append((opened, max(0.0, cleared[reply.seq] - AHEAD - opened)))
            opened = None
    return [*spans, *([(opened, float("inf"))] if opened is not None else [])]
