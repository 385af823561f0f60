"""Labs that are as unkind as real ones: rare mishaps, drift and batches, together as ``imperfections=teaching-lab``."""

from typing import Any

import numpy as np
import pytest

from frugaltwin import catalog, testing
from frugaltwin.testing.drivers import a_resumed_twin_measures_what_an_uninterrupted_one_measures
from hardware.emulator.engine import PUMPS, Edge
from hardware.emulator.plant import Plant
from simulator.instruments.dyed_water import DYED_WATER
from simulator.instruments.mixer import Cell, Imperfections
from simulator.instruments.sensors import as7341
from simulator.light_mixing import LIGHT_MIXING, LightMixing

MIXERS = ("color-mixing", "paint-mixing")
COLORS = (*MIXERS, "light-mixing", "pumpbot", "clslab-light")


def delivered(n: int, volume: float = 0.5, **sizes: float) -> list[float]:
    """Volumes that arrive of n doses in a row, mL."""
    cell = Cell(as7341(), Imperfections(**dict.fromkeys(Imperfections.stated, 0.0) | sizes), 0, DYED_WATER)
    return [cell.delivered("red", volume) for _ in range(n)]


@pytest.mark.parametrize("name", COLORS)
def test_the_profile_changes_what_is_read_leaves_the_truth_and_can_be_taken_apart(name: str) -> None:
    options = catalog.stated_options("driver", name)
    unkind: Any = catalog.make_driver(name, {"imperfections": "teaching-lab"}, seed=1)
    tidy: Any = catalog.make_driver(name, {}, seed=1)
    values = {n: "1" for n, about in options.items() if about.default == 0.0 and about.changes == "imperfections" and n != "seed"}
    apart: Any = catalog.make_driver(name, values, seed=1)
    settings = testing.drivers.allowed(tidy, 6)
    assert [unkind.truth(s) for s in settings] == [tidy.truth(s) for s in settings]

    def read(twin: Any) -> list[Any]:
        with twin:
            return [twin.perform(s).outcomes for s in settings]

    assert read(unkind) == read(apart) != read(tidy)


@pytest.mark.parametrize("name", COLORS)
def test_an_unkind_lab_is_resumed_bit_for_bit(name: str) -> None:
    plugin = testing.Plugin.of("driver", name, {"imperfections": "teaching-lab"})
    a_resumed_twin_measures_what_an_uninterrupted_one_measures(plugin)


@pytest.mark.parametrize(("name", "share", "odd"), [("bubbles", 0.01, 0.35), ("slips", 0.005, 0.35), ("drops", 0.01, 0.45)])
def test_mishaps_are_rare_and_large(name: str, share: float, odd: float) -> None:
    volumes = np.array(delivered(20_000, **{name: 1.0}))
    assert np.mean(np.isclose(volumes, odd)) == pytest.approx(share, rel=0.25)
    assert np.median(volumes) == 0.5


def test_a_drop_that_hangs_falls_with_the_next_dose() -> None:
    volumes = np.array(delivered(5000, drops=1.0))
    (hung,) = np.nonzero(np.isclose(volumes[:-1], 0.45))
    assert np.isclose(volumes[hung + 1], 0.55).mean() > 0.9
    assert volumes.sum() == pytest.approx(2500, abs=0.06)


def test_a_clogged_pump_comes_back() -> None:
    halves = np.isclose(delivered(3000, clogs=1.0), 0.25)
    starts = np.flatnonzero(halves[1:] & ~halves[:-1]) + 1
    assert len(starts) >= 3
    assert all(halves[k : k + 6].all() for k in starts)
    assert not halves[starts + 6].all()


def test_mishaps_happen_on_the_emulated_board_as_in_the_twin() -> None:
    def on_the_board(n: int, **sizes: float) -> list[float]:
        plant = Plant(as7341(), Imperfections(**dict.fromkeys(Imperfections.stated, 0.0) | sizes), 0, DYED_WATER)
        seconds, arrived = 0.5 / DYED_WATER.bottles["red"].pump.rate, []
        for k in range(n):
            before = plant.delivered[0]
            plant.follow([Edge(10.0 * k, PUMPS[0], 1.0), Edge(10.0 * k + seconds, PUMPS[0], 0.0)], 10.0 * k + 9)
            plant.cell.drain()
            arrived.append(plant.delivered[0] - before)
        return arrived

    sizes = {"bubbles": 5.0, "clogs": 5.0, "drops": 5.0, "slips": 5.0}
    assert on_the_board(200, **sizes) == pytest.approx(delivered(200, **sizes), abs=1e-9)


def test_stock_is_made_up_anew_and_fades() -> None:
    cell = Cell(as7341(), Imperfections(**dict.fromkeys(Imperfections.stated, 0.0) | {"refills": 1.0}), 0, DYED_WATER)
    strengths = [round(cell._strength("red", 1.0, 0.0), 9) for _ in range(16)]
    assert len(set(strengths[:5])) == 1
    assert len(set(strengths)) == 4  # three fillings after the first
    cell = Cell(as7341(), Imperfections(**dict.fromkeys(Imperfections.stated, 0.0) | {"fading": 1.0}), 0, DYED_WATER)
    assert cell._strength("red", 1.0, 3600.0) / cell._strength("red", 1.0, 0.0) == pytest.approx(0.99, abs=1e-4)


def test_light_of_the_room_gets_into_some_readings() -> None:
    dark = LIGHT_MIXING.check({"red": 0, "green": 0, "blue": 0, "atime": 99, "astep": 999, "gain": 64})

    def read(**options: float) -> np.ndarray:
        with LightMixing(seed=2, **options) as twin:  # type: ignore[arg-type]
            return np.array([float(twin.perform(dark).outcomes["ch620"]) for _ in range(1000)])

    assert 8 < (read(stray_light=1.0) > 50).sum() < 32
    assert (read() > 50).sum() == 0
