"""What looks at a sample: patterns, turbidity, heat, and the labels that are read from them."""

import numpy as np
import pytest

from simulator.instruments.phase_instruments import BINS, Calorimeter, Diffractometer, Turbidimeter, liquid_pattern, powder_pattern, spread
from simulator.instruments.phase_lab import Instrument, PhaseState

FIELDS = {
    "liquid": ("liquid",),
    "A": ("A",),
    "B": ("B",),
    "liquid + A": ("liquid", "A"),
    "liquid + B": ("liquid", "B"),
    "A + B": ("A", "B"),
}
DIFFRACTOMETER = Diffractometer({"liquid": None, "A": 0.40, "B": 0.47}, FIELDS)


def melted(heat_capacity: float, enthalpy: float) -> PhaseState:
    return PhaseState("", {}, {"heat_capacity": heat_capacity, "enthalpy": enthalpy})


def two(label: str, share: float) -> PhaseState:
    """A sample with this share of the second phase of its label."""
    first, second = FIELDS[label]
    return PhaseState(label, {first: 1 - share, second: share})


@pytest.mark.parametrize("instrument", [Turbidimeter(), DIFFRACTOMETER, Calorimeter()])
def test_an_instrument_reads_as_many_numbers_as_it_says(instrument: Instrument) -> None:
    state = PhaseState("A", {"A": 1.0}, {"spread": 0.1, "heat_capacity": 25.0, "enthalpy": 0.0})
    assert instrument.signal([state, state, state]).shape == (3, len(instrument.outcomes))
    assert instrument.noise.shape == (len(instrument.outcomes),)
    assert instrument.cost.seconds > 0


def test_spread_is_the_variance_of_the_composition_over_the_phases() -> None:
    f, x = np.array([0.2, 0.3, 0.5]), np.array([0.1, 0.4, 0.9])
    assert spread(f, x) == pytest.approx(np.average((x - np.average(x, weights=f)) ** 2, weights=f), abs=1e-15)
    corners = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert spread(f, corners) == pytest.approx(1 - (f**2).sum(), abs=1e-15)
    assert spread([1.0, 0.0], [0.3, 0.3]) == 0


def test_one_liquid_is_clear_and_two_alike_are_nearly_so() -> None:
    instrument = Turbidimeter()
    clear, faint, cloudy = instrument.signal([PhaseState("", {}, {"spread": s}) for s in (0.0, 1e-5, 0.1)])[:, 0]
    assert clear == 0
    assert 0 < faint < instrument.limit < cloudy < 1
    assert [instrument.inferred(np.array([v])) for v in (clear, faint, cloudy)] == ["mixed", "mixed", "demixed"]


def test_a_line_stands_where_bragg_says() -> None:
    peaks = BINS[np.argsort(powder_pattern(0.40))[-2:]]  # 1/d = √2/a = 3.54 and 1/a = 2.5, in bins of 0.33
    assert np.abs(np.sort(peaks) - [2.5, np.sqrt(2) / 0.40]).max() < 0.33
    assert liquid_pattern().max() < 1


def test_a_pattern_is_that_of_the_phases_mixed_by_their_fractions() -> None:
    mixed, A, B = DIFFRACTOMETER.signal([two("A + B", 0.25), PhaseState("A", {"A": 1.0}), PhaseState("B", {"B": 1.0})])
    np.testing.assert_allclose(mixed, 0.75 * A + 0.25 * B, atol=1e-15)


@pytest.mark.parametrize("label", FIELDS)
def test_a_pattern_without_noise_gives_back_phases_and_fractions(label: str) -> None:
    state = PhaseState(label, {FIELDS[label][0]: 1.0}) if len(FIELDS[label]) == 1 else two(label, 0.3)
    (reading,) = DIFFRACTOMETER.signal([state])
    assert DIFFRACTOMETER.inferred(reading) == label
    assert DIFFRACTOMETER.shares(reading, label) == pytest.approx(dict(state.fractions), abs=1e-9)


def test_a_base_line_that_drifted_changes_no_label() -> None:
    for label in ("liquid + A", "liquid + B", "A + B"):
        (reading,) = DIFFRACTOMETER.signal([two(label, 0.2)])
        assert {DIFFRACTOMETER.inferred(reading + shift) for shift in (-0.3, 0.0, 0.3)} == {label}


@pytest.mark.parametrize(("share", "at_least", "at_most"), [(0.0, 0.0, 0.001), (0.01, 0.0, 0.01), (0.03, 0.3, 0.7), (0.08, 0.999, 1.0)])
def test_a_phase_is_seen_from_its_detection_limit_on(share: float, at_least: float, at_most: float) -> None:
    random = np.random.default_rng(0)
    for label in ("liquid + A", "liquid + B", "A + B"):
        (signal,) = DIFFRACTOMETER.signal([two(label, share)])
        readings = signal + DIFFRACTOMETER.noise * random.standard_normal((2000, len(signal)))
        seen = np.mean([DIFFRACTOMETER.inferred(r) == label for r in readings])
        assert at_least <= seen <= at_most, label


@pytest.mark.parametrize("label", ["liquid + A", "A + B"])
def test_a_trace_below_the_limit_tells_of_which_field_a_lone_solid_is_the_edge(label: str) -> None:
    labels = {label: phases for label, phases in FIELDS.items() if label not in "AB"}
    instrument = Diffractometer({"liquid": None, "A": 0.40, "B": 0.47}, labels)
    other = "B" if label == "A + B" else "liquid"
    (signal,) = instrument.signal([PhaseState("", {"A": 0.985, other: 0.015})])
    readings = signal + instrument.noise * np.random.default_rng(0).standard_normal((500, len(signal)))
    assert np.mean([instrument.inferred(reading) == label for reading in readings]) > 0.85


def test_a_reading_of_nothing_but_noise_still_has_a_label() -> None:
    for reading in np.random.default_rng(1).standard_normal((200, 12)):
        assert DIFFRACTOMETER.inferred(reading) in FIELDS


def test_a_calorimeter_tells_solid_melting_and_liquid() -> None:
    instrument = Calorimeter(halfway=5000)
    states = [melted(24.94, 0.0), melted(120.0, 3000.0), melted(24.94, 10_000.0)]
    assert [instrument.inferred(r) for r in instrument.signal(states)] == ["solid", "liquid + solid", "liquid"]
