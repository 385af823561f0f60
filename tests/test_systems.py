"""Labs of mixers that differ from each other: `system=N`, and sister labs with `batch=M`."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from frugaltwin import catalog
from frugaltwin.color import delta_e
from frugaltwin.errors import InvalidInput
from frugaltwin.plugins import Driver, KnowsTruth
from frugaltwin.tables import color_of
from hardware.pumpbot import PumpBotOptions
from simulator.color_mixing import ColorMixingOptions
from simulator.instruments.dyed_water import DYED_WATER
from simulator.instruments.mixer import Cell, Imperfections
from simulator.instruments.sensors import Optics, Sensor, as7341
from simulator.paint_mixing import PaintMixingOptions

MIDDLES: dict[str, dict[str, float]] = {
    "color-mixing": {"red": 0.2, "yellow": 0.3, "blue": 0.1, "water": 3.4},
    "paint-mixing": {"red": 0.2, "yellow": 0.3, "blue": 0.1, "white": 3.4},
    "pumpbot": {"red": 5.0, "green": 3.0, "blue": 0.0, "yellow": 10.0, "water": 2.0},
    "light-mixing": {"red": 60, "green": 40, "blue": 50, "atime": 50, "astep": 500, "gain": 64},
}
FIRST_OUTCOMES = {"color-mixing": 0.28916474086534044, "paint-mixing": 0.14940721884711294, "light-mixing": 47.13097871739586}
FIRST_OUTCOMES["pumpbot"] = 99.73641331388954
"""The first outcome of each middle in the lab of the data sheet, as it was before labs had numbers."""


def truth(name: str, **options: Any) -> NDArray[np.float64]:
    twin = catalog.make_driver(name, options)
    assert isinstance(twin, KnowsTruth)
    return np.array(list(twin.truth(MIDDLES[name]).values()), dtype=float)


@pytest.mark.parametrize("name", MIDDLES)
def test_system_0_is_the_lab_of_the_data_sheet_to_the_last_digit(name: str) -> None:
    assert truth(name).tolist() == truth(name, system=0).tolist()
    assert truth(name)[0] == pytest.approx(FIRST_OUTCOMES[name], rel=1e-13)  # processors round in their own ways


@pytest.mark.parametrize("name", MIDDLES)
def test_every_system_is_another_lab_with_the_same_experiment(name: str) -> None:
    read = {tuple(truth(name, system=k)) for k in range(8)}
    assert len(read) == 8
    one, two = (catalog.make_driver(name, {"system": k}) for k in (0, 5))
    assert one.experiment == two.experiment  # the number can be hidden: nothing that everybody sees depends on it
    assert truth(name, system=5).tolist() == truth(name, system=5, seed=9).tolist()


@pytest.mark.parametrize("name", ["color-mixing", "paint-mixing", "pumpbot"])
def test_labs_differ_as_labs_do(name: str) -> None:
    def color(driver: Driver) -> NDArray[np.float64]:
        assert isinstance(driver, KnowsTruth)
        return np.array(list(color_of(driver.experiment, MIDDLES[name], driver.truth(MIDDLES[name])).values()))

    here = color(catalog.make_driver(name))
    differences = [float(delta_e(color(catalog.make_driver(name, {"system": k})), here)) for k in range(1, 33)]
    assert 1 < np.median(differences) < 6
    assert max(differences) < 15


@pytest.mark.parametrize("options", [ColorMixingOptions, PaintMixingOptions, PumpBotOptions])
def test_a_sister_lab_has_the_rig_of_its_system_and_other_bottles(options: Any) -> None:
    one, two = options(system=3).constants, options(system=3, batch=1).constants
    changed = {name for name in one if one[name] != two[name]}
    assert changed == options.in_bottles
    assert {name for name, value in options(batch=2).constants.items() if value != options().constants[name]} == options.in_bottles


def test_a_constant_that_is_given_is_not_drawn_and_leaves_the_others_as_drawn() -> None:
    drawn, given = ColorMixingOptions(system=3).constants, ColorMixingOptions(system=3, hue_red=1.5).constants
    assert given == drawn | {"hue_red": 1.5}


def test_every_constant_is_drawn_from_its_range_and_has_the_default_of_the_lab_of_the_data_sheet() -> None:
    for k in range(1, 20):
        for name, value in ColorMixingOptions(system=k).constants.items():
            low, high = ColorMixingOptions.stated[name].drawn or (0, 0)
            assert low <= value <= high
    assert ColorMixingOptions().constants == {n: about.default for n, about in ColorMixingOptions.stated.items() if about.drawn}


def test_a_rig_has_constants_of_its_own() -> None:
    with pytest.raises(InvalidInput, match="is a rig, which has liquids, pumps and a sensor of its own"):
        catalog.make_driver("color-mixing", {"mixer": "/dev/ttyACM9", "system": 4})
    with pytest.raises(InvalidInput, match="is a rig, which has dyes and pumps of its own"):
        catalog.make_driver("pumpbot", {"port": "/dev/ttyACM9", "system": 4})


def test_the_sensor_of_a_lab_keeps_its_filters_whatever_its_registers() -> None:
    def counts(first: Sensor, then: Sensor) -> list[int]:
        cell = Cell(first, Imperfections().scaled(0), 0, DYED_WATER)
        cell.use(then)
        return cell.counts(1.0, 0.0)

    shifted = replace(as7341(), optics=Optics(0.3, 2.0))
    assert counts(shifted, as7341(gain=32)) != counts(as7341(), as7341(gain=32))
