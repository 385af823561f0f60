"""The line to the board, without a board: a script of questions and answers, and a port that babbles."""

import random
import threading
import tracemalloc
from binascii import crc_hqx
from collections.abc import Callable

import pytest
from serial import SerialException

from frugaltwin.errors import LinkError, Stopped
from hardware.serial.link import GIVE_UP, RESEND_AFTER, Reply, SerialLink, framed, parsed, unframed
from hardware.serial.ports import StandIn

Answer = tuple[float, bytes]
"""After how many s, and what."""


class Script(StandIn):
    """Answers every line by the next answers in the script; pairs that are left over are an error."""

    def __init__(self, *pairs: tuple[bytes, list[Answer]]) -> None:
        super().__init__()
        self._pairs = list(pairs)
        self.error: Exception | None = None

    def _received(self, data: bytes) -> None:
        if self.error:
            raise self.error
        asked, answers = self._pairs.pop(0)
        assert data == asked
        for late, answer in answers:
            self._send(answer, late)

    def is_over(self) -> bool:
        return not self._pairs


class Babbler(StandIn):
    """Says something whenever somebody listens, and never what was asked for."""

    def __init__(self, noise: Callable[[], bytes], per_second: float = 11_520.0) -> None:
        super().__init__()
        self._noise, self._per_second = noise, per_second

    def _received(self, data: bytes) -> None: ...

    def _run(self, seconds: float, until_byte: bool) -> bytes:
        said = self._noise()
        self._now += max(len(said), 1) / self._per_second
        return said


def link_over(port: StandIn) -> SerialLink:
    return SerialLink(port, port, "the port")


def asked(text: str) -> bytes:
    return framed(text)


def test_a_request_has_the_answer_of_its_number() -> None:
    port = Script((asked("1 STAT?"), [(0.01, framed("1 OK I 0"))]), (asked("2 CLEAR"), [(0.01, framed("2 ERR 7 stopped"))]))
    link = link_over(port)
    assert link.request("STAT?") == Reply(1, 0, ("I", "0"))
    assert link.request("CLEAR") == Reply(2, 7, ("stopped",))
    assert port.is_over()
    assert link.resent == 0


@pytest.mark.parametrize(
    "noise",
    [b"", b"\n", b"1 OK\n", b"1 OK*0000\n", framed("7 OK"), framed("1 OK").lower(), framed("1 OK").replace(b"OK", b"KO"), framed("1 WHAT"),
     framed("01 0K"), framed("!ESTOP"), b"\xff\x00\x80*ABCD\n", framed("1 OK")[:-3], framed("999999 OK"), framed("1  OK")],
)  # fmt: skip
def test_nonsense_before_an_answer_is_passed_over(noise: bytes) -> None:
    end = b"\n" if noise and not noise.endswith(b"\n") else b""
    port = Script((asked("1 PING"), [(0.01, noise + end), (0.02, framed("1 OK"))]))
    assert link_over(port).request("PING") == Reply(1, 0, ())
    assert port.is_over()


def test_silence_is_answered_by_the_same_line_again() -> None:
    port = Script((asked("1 DRAIN"), []), (asked("1 DRAIN"), []), (asked("1 DRAIN"), [(0.01, framed("1 OK 6001"))]))
    link = link_over(port)
    assert link.request("DRAIN").values == ("6001",)
    assert port.is_over()
    assert link.resent == 2
    assert 2 * RESEND_AFTER < port.monotonic() < 2 * RESEND_AFTER + 0.2


def test_a_line_that_the_board_could_not_read_is_sent_again_soon() -> None:
    port = Script((asked("1 DRAIN"), [(0.01, framed("0 ERR 1 checksum"))]), (asked("1 DRAIN"), [(0.01, framed("1 OK 6001"))]))
    link = link_over(port)
    assert link.request("DRAIN").values == ("6001",)
    assert port.monotonic() < 0.1


def test_the_second_answer_to_a_request_that_was_sent_twice_is_no_answer_to_the_next() -> None:
    port = Script(
        (asked("1 STAT?"), [(0.25, framed("1 OK old"))]), (asked("1 STAT?"), [(0.1, framed("1 OK old"))]),
        (asked("2 STAT?"), [(0.15, framed("2 OK new"))]),
    )  # fmt: skip
    link = link_over(port)
    assert link.request("STAT?").values == ("old",)
    assert link.request("STAT?").values == ("new",)


@pytest.mark.parametrize("takes", [0.0, 1.5])
def test_nobody_there_is_an_error_after_a_time_that_is_known(takes: float) -> None:
    port = Babbler(lambda: b"", per_second=1000)
    with pytest.raises(LinkError, match=r"does not answer READ\?; check"):
        link_over(port).request("READ?", takes)
    assert port.monotonic() == pytest.approx(GIVE_UP + 3 * takes, abs=0.2)


def test_an_answer_that_cannot_be_understood_is_in_the_error() -> None:
    with pytest.raises(LinkError, match="it last said"):
        link_over(Babbler(lambda: b"\xfe")).request("PING")


@pytest.mark.parametrize("error", [SerialException("gone"), OSError(5, "input/output error"), TypeError("closed")])
def test_a_port_that_is_gone_is_told_at_once(error: Exception) -> None:
    port = Script()
    port.error = error
    link = link_over(port)
    with pytest.raises(LinkError, match="plug it in again"):
        link.request("PING")
    link.stop()  # never raises
    assert port.monotonic() == 0


def test_events_are_kept_and_never_taken_for_answers() -> None:
    port = Script((asked("1 PING"), [(0.01, framed("!ESTOP") + framed("1 OK"))]))
    link = link_over(port)
    link.request("PING")
    assert list(link.events) == ["ESTOP"]


def test_an_event_is_waited_for_and_no_longer_than_asked() -> None:
    port = Script()
    port._send(framed("!HOSTLOSS") + b"!READY too\n" + framed("!READY now"), 0.5)
    link = link_over(port)
    assert link.listen("READY", 3.0)
    assert port.monotonic() < 0.6
    assert not link.listen("READY", 3.0)
    assert port.monotonic() == pytest.approx(3.5, abs=0.2)


def test_stop_is_said_more_than_once_and_behind_the_rest_of_a_line() -> None:
    line = framed("1 STOP")
    port = Script((b"\n" + line * 3, []))
    link = link_over(port)
    link.stop()
    assert port.is_over()
    with pytest.raises(Stopped):
        link.request("PING")
    link.resume()
    link.check()


def test_stop_from_another_thread_ends_a_request() -> None:
    begun = threading.Event()

    def noise() -> bytes:
        begun.set()
        return b""

    port = Babbler(noise, per_second=100)
    link = link_over(port)
    ended: list[BaseException] = []

    def ask() -> None:
        try:
            link.request("READ?", 1e9)
        except Stopped as error:
            ended.append(error)

    worker = threading.Thread(target=ask)
    worker.start()
    assert begun.wait(30)
    link.stop()
    worker.join(30)
    assert ended


def test_numbers_go_round_from_65535_to_1() -> None:
    port = Script((asked("65535 PING"), [(0.01, framed("65535 OK"))]), (asked("1 PING"), [(0.01, framed("1 OK"))]))
    link = link_over(port)
    link.next_seq = 65535
    link.request("PING")
    link.request("PING")
    assert port.is_over()


NOISES: dict[str, Callable[[random.Random], bytes]] = {
    "bytes": lambda dice: dice.randbytes(dice.randrange(1, 200)),
    "empty lines": lambda dice: b"\n" * dice.randrange(1, 200),
    "one endless line": lambda dice: b"x" * 100,
    "stars": lambda dice: b"*" * 50 + b"\n",
    "right answers to others": lambda dice: framed(f"{dice.randrange(2, 65536)} OK {dice.randrange(10**9)}"),
    "events": lambda dice: framed("!" + "A" * dice.randrange(100)),
    "zeros": lambda dice: b"\0" * 20 + b"\r\n",
    "0 ERR": lambda dice: framed("0 ERR 1 checksum"),
}


@pytest.mark.timing
@pytest.mark.parametrize("kind", NOISES)
def test_a_port_that_babbles_takes_neither_memory_nor_more_than_its_time(kind: str) -> None:
    dice = random.Random(1)
    port = Babbler(lambda: NOISES[kind](dice))
    link = link_over(port)
    tracemalloc.start()
    try:
        for _ in range(3):
            before = port.monotonic()
            with pytest.raises(LinkError, match="does not answer"):
                link.request("READ?")
            assert port.monotonic() - before < GIVE_UP + 0.1
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert len(link._buffer) < 5000
    assert len(link.events) <= 100


@pytest.mark.parametrize("seed", range(4))
def test_a_million_bytes_of_noise_have_no_meaning(seed: int) -> None:
    dice = random.Random(seed)
    for line in dice.randbytes(1_000_000).split(b"\n"):
        assert parsed(line) is None


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_answer_is_no_answer(seed: int) -> None:
    """Flips, losses, doubled and foreign bytes: what is still read is one of the 1 in 65,536 that a checksum of 16 bits lets through."""
    dice = random.Random(seed)
    n_read = n = 0
    while n < 60_000:
        line = bytearray(
            framed(f"{dice.randrange(1, 65536)} OK {' '.join(str(dice.randrange(65536)) for _ in range(dice.randrange(10)))}")[:-1]
        )
        right = bytes(line)
        for _ in range(dice.randrange(1, 5)):
            where = dice.randrange(len(line))
            match dice.randrange(4):
                case 0:
                    line[where] ^= 1 << dice.randrange(8)
                case 1:
                    del line[where]
                case 2:
                    line.insert(where, line[where])
                case _:
                    line[where] = dice.randrange(256)
        if bytes(line) != right:
            n += 1
            n_read += parsed(bytes(line)) is not None
    assert n_read <= 6


def test_every_single_and_double_flip_is_found() -> None:
    line = framed("17 OK 157")[:-1]
    n = 8 * len(line)
    value = int.from_bytes(line, "big")
    for i in range(n):
        for j in range(i, n):
            flips = (1 << i) ^ (1 << j) if i != j else 1 << i
            assert parsed((value ^ flips).to_bytes(len(line), "big")) is None


def test_the_checksum_is_the_one_of_the_document() -> None:
    assert crc_hqx(b"123456789", 0) == 0x31C3  # CRC-16/XMODEM's check value
    assert unframed(b"123456789*31C3") == b"123456789"
    assert unframed(b"123456789*31c3") is None
