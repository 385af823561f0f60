"""The line through weighed doses: it finds what a pump does, says how well it knows it, and refuses what is no line."""

import json
from pathlib import Path

import numpy as np
import pytest

from frugaltwin.errors import InvalidInput, RigFault
from frugaltwin.store import CalibrationRecord, Store
from hardware.arduino_mixer import PumpCalibration
from hardware.calibration import WATER, PumpFit, fitted, light_record, pump_record
from hardware.commands.calibrations import keep

FLOW, DEAD = 1.6, 0.04  # mL/s, s
SECONDS = np.repeat([0.5, 1.0, 2.0, 5.0], 10)


def weighed(random: np.random.Generator, seconds: np.ndarray = SECONDS) -> np.ndarray:
    """g, with the repeat error of a cheap pump and a scale that shows centigrams."""
    volume = FLOW * (seconds - DEAD)
    volume += np.hypot(0.02 * volume, 0.002) * random.standard_normal(len(seconds))
    return np.round(WATER * volume, 2)


def fit(seed: int = 0, pump: int = 0) -> PumpFit:
    return fitted(pump, SECONDS.tolist(), weighed(np.random.default_rng(seed)).tolist())


def test_flow_and_dead_time_are_within_two_standard_errors_as_often_as_that_should_be() -> None:
    fits = [fit(seed) for seed in range(600)]
    flows, flow_errors, deads, dead_errors = np.array([(f.flow, f.flow_error, f.dead, f.dead_error) for f in fits]).T
    for hits in (np.abs(flows - FLOW) < 2 * flow_errors, np.abs(deads - DEAD) < 2 * dead_errors):
        assert 0.92 < hits.mean() < 0.98  # 95 %, by 3 standard deviations of what 600 draws can tell
    assert np.mean(flow_errors) < 0.01 * FLOW
    assert np.mean(flows) == pytest.approx(FLOW, rel=1e-3)
    assert np.mean(deads) == pytest.approx(DEAD, abs=1e-3)


def test_the_density_of_the_liquid_turns_grams_into_milliliters() -> None:
    masses = weighed(np.random.default_rng(0))
    water, ethanol = (fitted(0, SECONDS.tolist(), (masses / WATER * d).tolist(), d) for d in (WATER, 0.789))
    assert ethanol.flow == pytest.approx(water.flow, rel=1e-4)
    assert ethanol.dead == pytest.approx(water.dead, abs=1e-4)


def test_a_pump_that_delivers_more_than_its_time_says_has_a_negative_dead_time() -> None:
    assert fitted(0, [1, 1, 2, 2], [2.0, 2.0, 3.5, 3.5]).settings == PumpCalibration(round(1500 / WATER), -333_333)


def test_residuals_and_scatter_are_of_the_doses_that_were_weighed() -> None:
    that = fit()
    line = WATER * that.flow * (np.array(that.seconds) - that.dead)
    assert np.array(that.masses) - line == pytest.approx(np.array(that.residuals), abs=1e-9)
    assert list(that.scatter) == ["0.5", "1", "2", "5"]
    last = np.array(that.masses)[SECONDS == 5]
    assert that.scatter["5"] == pytest.approx(last.std(ddof=1) / last.mean())


@pytest.mark.parametrize(
    ("seconds", "masses", "error", "sentence"),
    [
        ([1, 2], [1.5, 3.0], InvalidInput, "2 doses of 2 times are too few"),
        ([1, 1, 1, 1], [1.5, 1.5, 1.6, 1.4], InvalidInput, "4 doses of 1 times are too few"),
        ([1, 1, 2, 2], [3.0, 3.1, 1.5, 1.4], RigFault, "delivers no more in a longer time; look for an empty bottle"),
        ([1, 1, 2, 2], [1.5, 0.2, 2.0, 4.5], RigFault, "the doses scatter too much"),
        ([0.1, 0.1, 2, 2], [0.0, 0.0, 3.0, 3.0], RigFault, "delivers nothing in 0.1 s"),
        ([1, 1, 2, 2], [0.0, 0.0, 0.0, 0.0], RigFault, "delivers nothing in 1 s; look for an empty bottle"),
    ],
)
def test_doses_that_are_no_line_are_refused(seconds: list[float], masses: list[float], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=f"pump 3.*{sentence}"):
        fitted(3, seconds, masses)


def test_a_record_says_what_the_board_goes_by_also_for_pumps_that_were_not_weighed() -> None:
    before = {pump: PumpCalibration(1500 + pump, 10 * pump) for pump in range(5)}
    one = fit(pump=2)
    record = pump_record("a rig", [one], WATER, before, "p261101-120000")
    settings = record.body["settings"]
    assert settings["2"] == {"flow": one.settings.flow, "dead": one.settings.dead}
    assert settings["4"] == {"flow": 1504, "dead": 40}
    assert record.body["replaces"] == "p261101-120000"
    assert record.id[0] == "p"
    assert len(record.id) <= 15  # what the firmware keeps


def test_records_go_through_a_store_unchanged() -> None:
    store = Store(":memory:")
    before = {pump: PumpCalibration(1600, 0) for pump in range(5)}
    kept = [pump_record("a rig", [fit()], WATER, before, "-"), light_record("a rig", {"dark": {"clear": 3.0}})]
    for record in kept:
        store.keep(record)
    as_json = [CalibrationRecord(r.id, r.created_at, json.loads(json.dumps(dict(r.body)))) for r in kept]
    assert store.calibrations() == as_json
    assert [r.body["kind"] for r in store.calibrations()] == ["pumps", "light"]


def test_two_calibrations_in_one_second_are_both_kept(tmp_path: Path) -> None:
    records = [CalibrationRecord("p261124-235959", "2026-11-24T23:59:59+00:00", {"kind": "pumps", "flow": n}) for n in range(3)]
    kept = [keep(record, tmp_path / "s.db") for record in records]
    assert [record.id for record in kept] == ["p261124-235959", "p261125-000000", "p261125-000001"]
    assert Store(tmp_path / "s.db").calibrations() == kept
