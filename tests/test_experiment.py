"""The words: what is allowed and what is refused, with one sentence that names value, limit and unit."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from frugaltwin.amounts import Amounts
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
    check_cost,
    plain,
    real,
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


class Odd:
    """An object that fails whatever it is asked."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __getattr__(self, name: str) -> object:
        raise RuntimeError("no")


NUMBERS = [
    np.float32(0.5), np.float16(0.5), np.float64(0.5), np.longdouble(0.5), np.array(0.5), pd.Series([0.5]).iloc[0],
    pd.array([0.5], dtype="Float64")[0], Fraction(1, 2), Decimal("0.5"),
]  # fmt: skip
NO_NUMBERS = [True, np.bool_(True), np.array(True), "0.5", None, pd.NA, 0.5j, np.complex64(0.5), np.array([0.5]), [0.5], object(), Odd()]


@pytest.mark.parametrize("value", NUMBERS, ids=lambda x: type(x).__name__)
def test_whatever_is_a_real_number_is_one(value: object) -> None:
    for found in (real(value), Continuous("x", 0, 1).check(value), Discrete("x", (0.25, 0.5)).check(value), Outcome("y").check(value)):
        assert (found, type(found)) == (0.5, float)
    assert check_cost(Amounts(seconds=value)) == Amounts(seconds=0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("whole", [3, np.int64(3), np.uint8(3), np.array(3), pd.Series([3]).iloc[0]], ids=lambda x: type(x).__name__)
def test_a_whole_number_is_a_number_and_the_name_that_is_written_so(whole: object) -> None:
    assert (real(whole), Discrete("n", (1.0, 3.0)).check(whole)) == (3.0, 3.0)
    assert Categorical("plate", ("3", "A1")).check(whole) == "3"
    assert Outcome("phase", labels=("1", "3")).check(whole) == "3"


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda x: type(x).__name__)
def test_what_is_no_real_number_is_refused(value: object) -> None:
    assert real(value) is None
    for check in (Continuous("x", 0, 1).check, Discrete("x", (0.5, 1.0)).check, Outcome("y").check):
        with pytest.raises(OutOfBounds, match="is not a number"):
            check(value)
    for choose in (Categorical("x", ("True", "1", "0.50")).check, Outcome("y", labels=("True", "1")).check):
        with pytest.raises(OutOfBounds, match="is not one of"):
            choose(value)


def test_a_number_means_a_name_that_is_written_as_it_and_no_other() -> None:
    assert Categorical("grade", ("1.50", "2")).check(1.5) == "1.50"
    for names in (("1.50", "1.5e0"), ("007", "1_000"), ("7.1",)):
        for x in (1.5, 7.0, 1000.0):
            with pytest.raises(OutOfBounds, match="is not one of"):
                Categorical("grade", names).check(x)


def test_a_setting_in_few_digits_is_meant_as_it_is_written() -> None:
    assert Discrete("x", (0.1, 0.3)).check(np.float32(0.3)) == 0.3
    assert Continuous("x", 0.0, 0.3).check(np.float32(0.3)) == 0.3
    with pytest.raises(OutOfBounds, match=r"x = 0.31 is outside"):
        Continuous("x", 0.0, 0.3).check(np.float32(0.31))


def test_raw_readings_are_kept_as_json_can_keep_them() -> None:
    loop: list[object] = []
    loop.append(loop)
    raw = {
        "spectrum": np.array([[1, 2], [3, 4]], dtype=np.uint16), "series": pd.Series([0.5, np.nan]), "one": np.float64(0.5), "n": 7,
        "is_dark": np.bool_(False), "nothing": None, "at": datetime(2026, 1, 2, tzinfo=UTC), "bytes": b"\xff", "text": "a\ud800",
        3: (1, {2}), "large": 10**400, "odd": Odd(), "loop": loop,
    }  # fmt: skip
    found = plain(raw)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["spectrum"], found["series"], found["one"], found["n"]) == ([[1, 2], [3, 4]], [0.5, "nan"], 0.5, 7)
    assert (found["is_dark"], found["nothing"], found["at"], found["bytes"]) == (False, None, "2026-01-02 00:00:00+00:00", r"b'\xff'")
    assert (found["text"], found["3"], found["odd"]) == (r"a\ud800", [1, [2]], "Odd")
