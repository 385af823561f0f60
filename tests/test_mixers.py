"""What every mixer promises, whatever it is made of: simulated, the firmware on the emulated board, PumpBot's, and a rig on the table.

A rig takes part with water in all of its bottles and its waste under the drain:

    FRUGALTWIN_PORT=/dev/ttyACM0 python -m pytest -n 0 -m hardware tests/test_mixers.py
"""

import itertools
import math
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import pytest

from frugaltwin import catalog
from frugaltwin.amounts import Amounts
from frugaltwin.errors import DriverError, FrugalTwinError, RigFault, Stopped
from frugaltwin.instruments import Mixer, Reading
from frugaltwin.plugins import Driver
from hardware.arduino_mixer import ArduinoMixer
from hardware.emulator.engine import missing
from hardware.pumpbot import PumpBot, PumpBotMixer
from hardware.serial.ports import RealClock, open_port
from hardware.serial.pumpbot_stand_in import PumpBotStandIn
from simulator import pumpbot_mixing
from simulator.color_mixing import ColorMixing
from simulator.instruments.dyed_water import DYED_WATER
from simulator.instruments.mixer import CELL_VOLUME, Imperfections
from simulator.instruments.sensors import Sensor, make_sensor

OURS = {"red": 0.5, "yellow": 0.25, "blue": 0.5, "water": 2.75}
PUMPBOTS = {"red": 2.0, "green": 0.0, "blue": 3.0, "yellow": 1.0, "water": 14.0}
LONG = 3600.0  # s of stirring: nothing else takes so long


@dataclass(frozen=True)
class Bench:
    """A mixer, and what has to be known of it to try it."""

    mixer: Mixer
    driver: Callable[[], Driver]
    """The driver over this mixer."""
    channels: tuple[str, ...]
    recipe: dict[str, float]
    """Settings of the driver, mL."""
    cell: float
    """mL that fit in."""
    residue: float
    """mL that may stay in a drained cell."""
    has_dye: bool = True
    """No: water in all bottles, so that nothing can be told by its color."""
    sees_dark: bool = True
    noise: float = 0.05
    """What two readings of the same liquid may differ by, of the reading."""

    lag: float = 0.02
    """s that a request and its answer may take."""

    @property
    def liquids(self) -> tuple[str, ...]:
        return tuple(self.recipe)


def ours(mixer: Mixer, sensor: Sensor) -> Bench:
    return Bench(mixer, lambda: ColorMixing(mixer, sensor), tuple(sensor.bands), OURS, CELL_VOLUME, residue=0.3)


def named(where: str, sensor: str) -> Bench:
    """A mixer of the catalog."""
    if where == "emulated" and (reason := missing()):
        pytest.skip(reason)
    eye = make_sensor(sensor, {})
    return ours(catalog.make_mixer(where, sensor=eye, imperfections=Imperfections(), seed=1, liquids=DYED_WATER), eye)


def pumpbot() -> Bench:
    board = PumpBotStandIn(pumpbot_mixing.SimulatedCell(pumpbot_mixing.PUMPS, pumpbot_mixing.Imperfections(), 1))
    mixer = PumpBotMixer(board.open, board, "the stand-in")
    cell, residue = pumpbot_mixing.CELL, pumpbot_mixing.RESIDUE
    return Bench(mixer, lambda: PumpBot(mixer), ("r", "g", "b"), PUMPBOTS, cell, residue, sees_dark=False, noise=0.15)


def rig() -> Bench:
    where = os.environ.get("FRUGALTWIN_PORT")
    assert where, "name the rig's port in FRUGALTWIN_PORT"

    def at_port(sensor: str) -> ArduinoMixer:
        return ArduinoMixer(lambda: (open_port(where, 115200), RealClock()), where, make_sensor(sensor, {}), DYED_WATER)

    stranger = at_port("as7341")
    try:
        stranger.open()  # nothing moves
        sensor = stranger.sensor_name
    finally:
        stranger.__exit__()
    return replace(ours(at_port(sensor), make_sensor(sensor, {})), has_dye=False, lag=0.1)


BENCHES: dict[str, Callable[[], Bench]] = {
    "simulated": partial(named, "simulated", "as7341"),
    "emulated, as7341": partial(named, "emulated", "as7341"),
    "emulated, tcs34725": partial(named, "emulated", "tcs34725"),
    "pumpbot": pumpbot,
    "rig": rig,
}


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.hardware] if name == "rig" else []) for name in BENCHES])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    tried = BENCHES[request.param]()
    yield tried
    tried.mixer.__exit__(None, None, None)


INSTRUCTIONS: dict[str, Callable[[Bench], object]] = {
    "dispense": lambda bench: bench.mixer.dispense(bench.liquids[0], 0.5),
    "mix": lambda bench: bench.mixer.mix(1.0),
    "read": lambda bench: bench.mixer.read(),
    "rinse": lambda bench: bench.mixer.rinse(0.5),
    "drain": lambda bench: bench.mixer.drain(),
}


@pytest.fixture(params=list(INSTRUCTIONS.values()), ids=list(INSTRUCTIONS))
def instruction(request: pytest.FixtureRequest) -> Callable[[Bench], object]:
    chosen: Callable[[Bench], object] = request.param
    return chosen


def empty(bench: Bench) -> None:
    """As clean as two rinses make it: on connecting nobody knows what is in the cell, or in the tubes."""
    for _ in range(2):
        bench.mixer.drain()
        bench.mixer.rinse(bench.cell / 2)
    bench.mixer.drain()


def primed(bench: Bench) -> None:
    """Empty, with full tubes."""
    bench.mixer.drain()
    for liquid in bench.liquids:
        bench.mixer.dispense(liquid, 0.5)
    empty(bench)


def light(reading: Reading) -> float:
    return float(sum(reading.counts.values()))


def mL_and_money(cost: Amounts) -> tuple[float, float]:
    return cost.volume, cost.money


def test_nothing_moves_and_nothing_is_read_before_it_is_connected(bench: Bench, instruction: Callable[[Bench], object]) -> None:
    with pytest.raises(Stopped):
        instruction(bench)
    assert bench.mixer.spent == Amounts()


def test_it_says_who_it_is(bench: Bench) -> None:
    with bench.mixer:
        assert len(bench.mixer.identify()) > 5
        assert bench.mixer.identify() == bench.mixer.identify()


def test_a_reading_has_all_channels_of_the_sensor_within_full_scale(bench: Bench) -> None:
    with bench.mixer:
        empty(bench)
        bench.mixer.rinse(bench.cell / 2)
        reading = bench.mixer.read()
    assert tuple(reading.counts) == bench.channels
    assert all(isinstance(count, int) and 0 <= count <= reading.full_scale for count in reading.counts.values())
    assert light(reading) > 0.05 * reading.full_scale


def test_without_the_lamp_there_is_next_to_no_light_and_with_it_there_is_again(bench: Bench) -> None:
    with bench.mixer:
        empty(bench)
        bench.mixer.rinse(bench.cell / 2)
        if not bench.sees_dark:
            with pytest.raises(RigFault, match="dark"):
                bench.mixer.read(lamp=False)
            return
        looks = [light(bench.mixer.read(lamp)) for lamp in (True, False, False, True)]
    assert max(looks[1:3]) < 0.1 * min(looks[0], looks[3])
    assert looks[3] == pytest.approx(looks[0], rel=bench.noise)


def test_dye_takes_light_away_and_rinsing_gives_it_back(bench: Bench) -> None:
    if not bench.has_dye:
        pytest.skip("there is water in all bottles")
    mixer, half = bench.mixer, bench.cell / 2
    with mixer:
        primed(bench)
        mixer.rinse(half)
        clean = light(mixer.read())
        mixer.drain()
        looks = []
        for liquid in bench.liquids:
            if liquid != "water":
                mixer.dispense(liquid, half / 8)
                mixer.mix(1.0)
                looks.append(light(mixer.read()))
        mixer.drain()
        mixer.rinse(half)
        rinsed = light(mixer.read())
        mixer.drain()
        mixer.rinse(half)
        twice = light(mixer.read())
    assert clean * (1 - bench.noise) > looks[0]
    assert looks[-1] < 0.6 * clean
    assert looks[-1] < 0.9 * rinsed
    assert twice == pytest.approx(clean, rel=bench.noise)


def test_more_of_a_dye_is_darker_and_water_thins_it(bench: Bench) -> None:
    if not bench.has_dye:
        pytest.skip("there is water in all bottles")
    with bench.mixer:
        primed(bench)
        bench.mixer.rinse(bench.cell / 4)
        looks = [bench.mixer.read()]
        for liquid in (bench.liquids[0], bench.liquids[0], "water"):
            bench.mixer.dispense(liquid, bench.cell / 8)
            looks.append(bench.mixer.read())
    clean, some, more, thinned = (float(min(look.counts.values())) for look in looks)
    assert clean > some > more
    assert thinned > more


def test_a_dose_costs_time_money_and_what_it_pumps(bench: Bench) -> None:
    with bench.mixer:
        bench.mixer.drain()
        for liquid in bench.liquids:
            before = bench.mixer.spent
            bench.mixer.dispense(liquid, 1.0)
            cost = bench.mixer.spent - before
            assert cost.volume == pytest.approx(1.0, rel=0.1)
            assert cost.money > 0
            assert 0.3 < cost.seconds < 5


def test_a_dose_of_nothing_pumps_nothing(bench: Bench) -> None:
    with bench.mixer:
        bench.mixer.drain()
        before = bench.mixer.spent
        bench.mixer.dispense(bench.liquids[0], 0.0)
        assert bench.mixer.spent.volume == pytest.approx(before.volume, abs=0.01)


@pytest.mark.parametrize("volume", [-1.0, math.nan, math.inf])
def test_what_is_no_volume_is_refused_and_not_pumped(bench: Bench, volume: float) -> None:
    with bench.mixer:
        bench.mixer.drain()
        before = bench.mixer.spent
        with pytest.raises(FrugalTwinError):
            bench.mixer.dispense(bench.liquids[0], volume)
        assert mL_and_money(bench.mixer.spent) == mL_and_money(before)
        bench.mixer.drain()
        bench.mixer.rinse(1.0)


def test_a_price_moves_nothing_and_is_near_to_what_it_takes(bench: Bench) -> None:
    mixer, dye = bench.mixer, bench.liquids[0]
    with mixer:
        mixer.drain()
        tried: dict[str, tuple[float, str, Callable[[], object]]] = {
            "dispense": (1.0, dye, partial(mixer.dispense, dye, 1.0)),
            "rinse": (2.0, "water", partial(mixer.rinse, 2.0)),
            "mix": (8.0, "water", partial(mixer.mix, 8.0)),
            "read": (0.0, "water", mixer.read),
            "drain": (0.0, "water", mixer.drain),
        }
        mixer.read()  # the lamp is on from here
        for word, (amount, pump, act) in tried.items():
            before = mixer.spent
            price = mixer.price(word, amount, pump)
            assert mL_and_money(mixer.spent) == mL_and_money(before)
            before = mixer.spent
            act()
            cost = mixer.spent - before
            assert cost.seconds == pytest.approx(price.seconds, rel=0.1, abs=bench.lag), word
            assert mL_and_money(cost) == pytest.approx(mL_and_money(price), rel=0.1, abs=1e-6), word


def test_what_does_not_fit_is_refused_and_all_else_still_works(bench: Bench) -> None:
    mixer = bench.mixer
    with mixer:
        empty(bench)
        mixer.rinse(bench.cell / 2)
        before = mixer.spent
        with pytest.raises(RigFault, match="fit"):
            mixer.dispense("water", bench.cell / 2 + bench.residue)
        assert mL_and_money(mixer.spent) == mL_and_money(before)
        assert light(mixer.read()) > 0
        mixer.dispense(bench.liquids[0], 0.5)
        mixer.drain()
        mixer.rinse(bench.cell / 2)


def test_a_full_cell_can_be_drained_and_filled_again(bench: Bench) -> None:
    with bench.mixer:
        for _ in range(3):
            bench.mixer.drain()
            bench.mixer.rinse(bench.cell - bench.residue - 0.1)


def test_stop_from_another_thread_ends_what_is_under_way_and_the_next_connect_clears_it(bench: Bench) -> None:
    mixer = bench.mixer
    begun, is_over = threading.Event(), threading.Event()
    ended: list[Amounts] = []  # when the last instruction began, and when it ended

    def stir() -> None:
        before = mixer.spent
        try:
            while not is_over.is_set():  # on a virtual clock it may end before anybody can stop it
                before = mixer.spent
                begun.set()
                mixer.mix(LONG)
        except Stopped:
            ended.extend((before, mixer.spent))

    with mixer:
        worker = threading.Thread(target=stir, daemon=True)
        worker.start()
        assert begun.wait(30)
        mixer.stop()
        worker.join(20)
        is_over.set()
        assert ended, "it stirs on"
        assert (ended[1] - ended[0]).seconds < LONG / 2
        for act in INSTRUCTIONS.values():
            with pytest.raises(Stopped):
                act(bench)
        mixer.stop()
    with mixer:
        mixer.drain()
        mixer.dispense(bench.liquids[0], 0.5)


def test_it_disconnects_twice_and_then_nothing_moves(bench: Bench, instruction: Callable[[Bench], object]) -> None:
    with bench.mixer:
        bench.mixer.drain()
    bench.mixer.__exit__(None, None, None)
    before = bench.mixer.spent
    with pytest.raises(Stopped):
        instruction(bench)
    assert bench.mixer.spent == before


def test_it_connects_again_and_again_even_without_leaving(bench: Bench) -> None:
    for _ in range(2):
        bench.mixer.__enter__()
        bench.mixer.__enter__()
        bench.mixer.drain()
        bench.mixer.rinse(1.0)
        bench.mixer.__exit__(None, None, None)


def test_what_it_took_only_grows(bench: Bench) -> None:
    seen = [bench.mixer.spent]
    for _ in range(2):
        with bench.mixer:
            seen.append(bench.mixer.spent)
            bench.mixer.drain()
            for act in INSTRUCTIONS.values():
                act(bench)
                seen.append(bench.mixer.spent)
        seen.append(bench.mixer.spent)
    for before, after in itertools.pairwise(seen):
        assert after.seconds >= before.seconds
        assert after.money >= before.money
        assert after.volume >= before.volume
    assert seen[-1].volume == pytest.approx(2.0, rel=0.1)


def test_its_driver_measures_right_again_after_a_failure_in_the_middle(bench: Bench) -> None:
    driver = bench.driver()
    with driver:
        before = driver.perform(bench.recipe)
        bench.mixer.dispense(bench.liquids[0], 0.7 * bench.cell)  # behind the driver's back: now its mixture does not fit
        with pytest.raises(DriverError, match="fit") as failure:
            driver.perform(bench.recipe)
        assert failure.value.cost.seconds > 0
        after = driver.perform(bench.recipe)
    for name, value in before.outcomes.items():
        assert float(after.outcomes[name]) == pytest.approx(float(value), rel=0.2, abs=0.02), name
    assert after.cost.seconds > before.cost.seconds / 2
