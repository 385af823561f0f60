"""The words: what is allowed and what is refused, with one sentence that names value, limit and unit."""

import math
from dataclasses import replace

import numpy as np
import pytest

from frugaltwin.errors import OutOfBounds
from frugaltwin.experiment import (
    Categorical,
    Colorimetry,
    Continuous,
    Discrete,
    Experiment,
    LinearConstraint,
    MixtureSum,
    Outcome,
    Settings,
)
from frugaltwin.laws import BeerLambert

EXPERIMENT = Experiment(
    "demo",
    (
        Continuous("a", 0, 1, "mL"),
        Continuous("b", 0, 1, "mL"),
        Discrete("speed", (1.0, 2.0, 4.0), "rpm"),
        Categorical("acid", ("HCl", "HNO3")),
    ),
    (Outcome("yield", "%"), Outcome("phase", labels=("solid", "liquid"))),
    (MixtureSum(("a", "b"), 1.0, "mL"), LinearConstraint({"a": 1.0, "speed": 0.5}, high=2.2)),
)
GOOD: dict[str, object] = {"a": 0.25, "b": 0.75, "speed": 2, "acid": "HCl"}


def test_good_settings_come_back_in_order_as_floats() -> None:
    assert EXPERIMENT.check(dict(reversed(GOOD.items()))) == {"a": 0.25, "b": 0.75, "speed": 2.0, "acid": "HCl"}
    assert list(EXPERIMENT.check(dict(reversed(GOOD.items())))) == ["a", "b", "speed", "acid"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"a": 1.5}, r"a = 1.5 mL is outside \[0, 1\] mL"),
        ({"a": math.nan}, "a = nan is not a finite number"),
        ({"a": math.inf}, "a = inf is not a finite number"),
        ({"a": "much"}, "a = 'much' is not a number"),
        ({"a": True}, "a = True is not a number"),
        ({"b": 0.5}, r"a \+ b = 0.75 mL, but they must add up to 1 mL"),
        ({"speed": 3}, r"speed = 3 rpm is not one of \{1, 2, 4\} rpm"),
        ({"acid": "HBr"}, r"acid = 'HBr' is not one of \{HCl, HNO3\}"),
        ({"a": 0.5, "b": 0.5, "speed": 4}, r"a \+ 0.5·speed = 2.5 is outside \[-inf, 2.2\]"),
        ({"c": 1.0}, "c unknown: demo takes a, b, speed, acid"),
    ],
)
def test_bad_settings_are_refused_with_value_limit_and_unit(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(OutOfBounds, match=f"^{sentence}$"):
        EXPERIMENT.check(GOOD | change)


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(OutOfBounds, match=r"^speed, acid missing: demo takes a, b, speed, acid$"):
        EXPERIMENT.check({"a": 0.5, "b": 0.5})


def test_outcomes_are_checked_too() -> None:
    assert EXPERIMENT.check_outcomes({"phase": "solid", "yield": 3}) == {"yield": 3.0, "phase": "solid"}
    with pytest.raises(OutOfBounds, match="phase = 'gas' is not one of"):
        EXPERIMENT.check_outcomes({"phase": "gas", "yield": 3})
    with pytest.raises(OutOfBounds, match=r"^yield = nan is not a finite number$"):
        EXPERIMENT.check_outcomes({"phase": "solid", "yield": math.nan})


def test_candidates_are_the_only_settings_allowed() -> None:
    experiment = Experiment("list", (Discrete("x", (1.0, 2.0)), Discrete("y", (1.0, 2.0))), (), candidates=({"x": 1.0, "y": 2.0},))
    assert experiment.check({"x": 1, "y": 2}) == {"x": 1.0, "y": 2.0}
    with pytest.raises(OutOfBounds, match=r"^x 1, y 1 is not one of the 1 candidates of list$"):
        experiment.check({"x": 1, "y": 1})


def test_percent_and_counts_told_as_fractions_are_refused_with_what_was_expected() -> None:
    left = Outcome("t_555", "1", "light left; clean water is 1", law=BeerLambert(("red",)))
    for plausible in (-0.02, 0.0, 0.45, 1.0, 1.3):
        assert left.check(plausible) == plausible
    for wrong in (45.0, 100.0, 31415.0, -0.5):
        sentence = rf"^t_555 = {wrong:g} is implausible: t_555 \(light left; clean water is 1\) is a fraction, .*, from -0.1 to 1.5$"
        with pytest.raises(OutOfBounds, match=sentence):
            left.check(wrong)
    assert replace(left, unit="counts").check(31415) == 31415
    assert Outcome("yield").check(45) == 45


GRID = tuple(float(k) for k in np.arange(-10, 11) * 0.1)  # -0.30000000000000004, 0.6000000000000001, …


@pytest.mark.parametrize("scale", [2.0**-50, 1e-12, 1.0, 3.0, 1e15])
def test_numbers_that_are_equal_but_for_rounding_are_equal(scale: float) -> None:
    """The grids of numpy, the sums of spreadsheets and what a person types, in every unit."""
    grid = tuple(scale * value for value in GRID)
    for typed in [scale * k / 10 for k in range(-10, 11)]:
        assert Discrete("x", grid).check(typed) in grid
        assert Discrete("x", grid).check(float(f"{typed:.12g}")) in grid
    limits = Continuous("x", grid[0], grid[-1])
    assert limits.check(grid[-1] * (1 + 1e-15)) == grid[-1]
    assert limits.check(grid[0] * (1 + 1e-15)) == grid[0]
    for wrong in (0.25 * scale, 0.3001 * scale):
        with pytest.raises(OutOfBounds):
            Discrete("x", grid).check(wrong)
    with pytest.raises(OutOfBounds):
        limits.check(grid[-1] * (1 + 1e-8))


def test_neighbors_of_very_different_size_are_not_confused() -> None:
    pressures = Discrete("pressure", tuple(10.0**k for k in range(-10, 3)))
    for k in range(-10, 3):
        assert pressures.check(float(f"1e{k}")) == 10.0**k
        with pytest.raises(OutOfBounds):
            pressures.check(1.001 * 10.0**k)
    assert Discrete("one", (0.30000000000000004,)).check(0.3) == 0.30000000000000004


def test_candidates_are_meant_by_what_they_look_like() -> None:
    listed: tuple[Settings, ...] = tuple({"x": x, "s": s} for x, s in zip(GRID, "ab" * 11, strict=False))
    experiment = Experiment("list", (Continuous("x", -1, 1), Categorical("s", ("a", "b"))), (), candidates=listed)
    assert [experiment.check({"x": float(f"{float(c['x']):g}"), "s": c["s"]}) for c in listed] == list(listed)
    with pytest.raises(OutOfBounds, match="is not one of the 21 candidates"):
        experiment.check({"x": 0.3, "s": "a"})


def test_a_number_that_is_refused_does_not_look_like_one_that_is_allowed() -> None:
    with pytest.raises(OutOfBounds, match=r"^x = 1.0000001 mL is outside \[0, 1\] mL$"):
        Continuous("x", 0, 1, "mL").check(1.0000001)
    with pytest.raises(OutOfBounds, match=r"^x = 0.30000001 is not one of \{0.1, 0.3\}$"):
        Discrete("x", (0.1, 0.3)).check(0.30000001)


def test_a_malformed_experiment_is_the_programmers_mistake() -> None:
    with pytest.raises(ValueError, match="named twice"):
        Experiment("twice", (Continuous("x", 0, 1),), (Outcome("x"),))
    with pytest.raises(ValueError, match="must lie below"):
        Continuous("x", 1, 0)
    with pytest.raises(ValueError, match="which are not numeric parameters"):
        Experiment("c", (Categorical("x", ("a",)),), (), (MixtureSum(("x",), 1),))


def test_a_color_that_another_processor_rounded_otherwise_makes_no_other_experiment() -> None:
    def measuring(one: float, white: float = 1.0) -> Experiment:
        matrix = ((one, 0.5), (0.25, 0.5), (0.125, 0.5))
        return Experiment(
            "color", (Continuous("x", 0, 1),), (Outcome("t"), Outcome("u")), color=Colorimetry(("t", "u"), matrix, (white,) * 3)
        )

    known = measuring(0.1)
    assert known.is_nearly(known)
    assert known.is_nearly(measuring(0.1 * (1 + 1e-12)))
    assert not known.is_nearly(measuring(0.1 * (1 + 1e-6)))
    assert not known.is_nearly(measuring(0.1, white=1.1))
    assert not known.is_nearly(replace(known, name="other"))
    assert not known.is_nearly(replace(known, color=None))
    assert not known.is_nearly(replace(known, color=Colorimetry(("t", "u"), ((0.1,), (0.25,), (0.125,)), (1.0, 1.0, 1.0))))
    assert EXPERIMENT.is_nearly(EXPERIMENT)
