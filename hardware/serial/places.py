"""The places at which rigs are plugged in: ports by address, also after the cable was pulled and the port has got another name.

A port's address is what an operating system calls a socket at the moment. A board with a USB serial number is known by that.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from frugaltwin.errors import LinkError, Stopped
from hardware.serial.ports import POLL_INTERVAL, TICK, Clock, Port, check_address, open_port

if TYPE_CHECKING:
    from serial.tools.list_ports_common import ListPortInfo

RECONNECT = 60.0
"""Time for which a connection that was lost is waited for, s."""
PAUSE = 1.0  # s between two tries

Usb: TypeAlias = tuple[int, int, str]
"""A board on USB: vendor, product and serial number."""
Result = TypeVar("Result")

notices = logging.getLogger("frugaltwin.notices")
"""Words that a person at the rig should read at once; the command line shows them."""


class Place:
    """The place of a rig, which stays known when its port gets another name."""

    def __init__(self, address: str, baud: int) -> None:
        """A place that nothing was opened at yet.

        Raises:
            InvalidInput: That is no address.
        """
        check_address(address)
        self.address, self._baud = address, baud
        self._usb: Usb | None = None

    def open(self) -> Port:
        """Open the port; where it has got another name since it was open, the one that it has now.

        Raises:
            LinkError: It cannot be opened.
        """
        address, plugged_in = self.address, ports_on_usb()
        if self._usb and usb_at(address) != self._usb and self._usb in plugged_in:
            address = plugged_in[self._usb]
            notices.warning("the rig that was at %s is at %s now", self.address, address)
        port = open_port(address, self._baud)
        self._usb = usb_at(address) or self._usb
        return port


def usb_of(port: ListPortInfo) -> Usb | None:
    """Numbers that tell a board from every other; None where it has no serial number, as clones have not."""
    return (port.vid, port.pid, port.serial_number) if port.vid is not None and port.serial_number else None


def ports_on_usb() -> dict[Usb, str]:
    """The addresses of the boards with a serial number that are plugged in."""
    from serial.tools import list_ports

    return {usb: port.device for port in list_ports.comports() if (usb := usb_of(port))}


def usb_at(address: str) -> Usb | None:
    """The board at an address, or at what a link of that name leads to."""
    return next((usb for usb, device in ports_on_usb().items() if device in (address, os.path.realpath(address))), None)


def remembered() -> set[Usb]:
    """The boards at which our firmware has answered on this machine."""
    try:
        return {(int(vid), int(pid), str(number)) for vid, pid, number in json.loads(_memory().read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError):
        return set()


def remember(address: str) -> None:
    """Remember that our firmware answers at the board there. Without a serial number there is nothing to know it by."""
    usb, known = usb_at(address), remembered()
    if usb is None or usb in known:
        return
    try:
        _memory().parent.mkdir(parents=True, exist_ok=True)
        _memory().write_text(json.dumps(sorted([*known, usb])), encoding="utf-8")
    except OSError:
        notices.debug("%s cannot be written", _memory(), exc_info=True)  # then all are asked next time, too


def _memory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "frugaltwin" / "color-mixers.json"


def waited_for(connect: Callable[[], Result], clock: Clock, name: str, is_stopped: Callable[[], bool]) -> Result:
    """Result of `connect`, which is tried again while it fails, for `RECONNECT` s. A connection that was lost, never an experiment.

    Raises:
        Stopped: Somebody stopped it, or nobody has plugged it in again: it takes a person to go on.
    """
    end = clock.monotonic() + RECONNECT
    last_time = time.monotonic() + RECONNECT  # a virtual clock may stand still while nothing is connected
    has_told = False
    while True:
        if is_stopped():
            raise Stopped("the rig was stopped")
        try:
            result = connect()
        except LinkError as error:
            if clock.monotonic() >= end - TICK or time.monotonic() >= last_time:
                raise Stopped(f"{name} was not there again within {RECONNECT:g} s ({error}); plug it in, then start again") from error
            if not has_told:
                notices.warning("%s is gone: plug it in again; for up to %g s it is waited for, and nothing is dosed", name, RECONNECT)
            has_told = True
        else:
            if has_told:
                notices.warning("%s is there again", name)
            return result
        again = min(clock.monotonic() + PAUSE, end)
        while (left := again - clock.monotonic()) > TICK and not is_stopped():
            clock.sleep(min(left, POLL_INTERVAL))
