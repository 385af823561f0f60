"""What every mixer of the catalog promises, and a rig on the table. One that only its driver performs on is tried in `test_drivers`.

A rig takes part with water in all of its bottles and its waste under the drain:

    FRUGALTWIN_PORT=/dev/ttyACM0 python -m pytest -n 0 -m hardware tests/test_mixers.py
"""

import os
from dataclasses import dataclass, replace

import pytest

import frugaltwin
from frugaltwin import catalog, testing
from frugaltwin.errors import MissingPart
from hardware.arduino_mixer import ArduinoMixer
from hardware.serial.ports import RealClock, open_port
from simulator.instruments.dyed_water import DYED_WATER
from simulator.instruments.mixer import SimulatedMixer
from simulator.instruments.sensors import SENSORS, make_sensor
from tests.forms import combinations


@pytest.mark.parametrize(("name", "sensor", "promise"), combinations(catalog.names("mixer"), SENSORS, testing.MIXER_PROMISES))
def test_a_mixer_keeps_a_promise(name: str, sensor: str, promise: testing.MixerPromise) -> None:
    try:
        trial = testing.MixerTrial.of(name, {"sensor": sensor})
    except MissingPart as missing:
        pytest.skip(str(missing))
    trial.keep(promise)


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("name", catalog.MIXERS)
def test_a_mixer_of_ours_reads_the_channels_of_its_sensor(name: str, sensor: str) -> None:
    try:
        trial = testing.MixerTrial.of(name, {"sensor": sensor})
    except MissingPart as missing:
        pytest.skip(str(missing))
    with trial.mixer as mixer:
        assert tuple(mixer.read().counts) == tuple(make_sensor(sensor, {}).bands)


@pytest.mark.hardware
@pytest.mark.parametrize("promise", testing.MIXER_PROMISES)
def test_a_rig_keeps_a_promise(promise: testing.MixerPromise) -> None:
    where = os.environ.get("FRUGALTWIN_PORT")
    assert where, "name the rig's port in FRUGALTWIN_PORT"
    stranger = ArduinoMixer(lambda: (open_port(where, 115200), RealClock()), where, make_sensor("as7341", {}), DYED_WATER)
    try:
        stranger.open()  # nothing moves
        sensor = stranger.sensor_name
    finally:
        stranger.__exit__()
    replace(testing.MixerTrial.of(where, {"sensor": sensor}), has_dye=False, lag=0.1).keep(promise)


@dataclass
class Leaking(SimulatedMixer):
    """A mixer that lets a part of every dose run past the cell."""

    def dispense(self, pump: str, volume: float) -> None:
        super().dispense(pump, 0.85 * volume)


def test_a_broken_promise_is_one_sentence() -> None:
    frugaltwin.register("mixer", "leaking", lambda words, **parts: Leaking(**parts))
    with pytest.raises(AssertionError, match=r"^the mixer leaking: 1 mL of red were 0\.\d+ mL$"):
        testing.check_mixer("leaking")
