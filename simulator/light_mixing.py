"""Mixing the light of a red, a green and a blue LED: the twin of CLSLab:Light.

Equations first, as functions of arrays; then `LightMixing`, which puts the imperfections of the rig around them and whose
docstring is the data sheet.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frugaltwin.amounts import Amounts
from frugaltwin.data_sheets import ImperfectOptions, Profile, SeedOptions, option, takes
from frugaltwin.errors import RigFault, Stopped
from frugaltwin.experiment import Colorimetry, Discrete, Experiment, Measurement, Outcome, Settings, Trial
from frugaltwin.laws import Additive, Exposure
from frugaltwin.prices import Fixed, PerUnit, Price
from simulator.instruments.experiment_noise import ExperimentNoise, performed_settings
from simulator.instruments.rig_options import NumberedOptions
from simulator.instruments.sensors import AS7341_GAINS, AS7341_PASSES, AS7341_STEP_SECONDS, COUNTER

CHANNELS = ("ch410", "ch440", "ch470", "ch510", "ch550", "ch583", "ch620", "ch670")
LEDS = ("red", "green", "blue")

EXPOSURE = Exposure((("atime", 1), ("astep", 1), ("gain", 0)))
LAW = Additive(sources=LEDS, exposure=EXPOSURE)

OVERHEAD = 1.0  # s: the message, the LED, the sensor's registers and its two channel maps. The rig's fastest runs take 1.3 s

ROUNDING = 12**-0.5  # counts, rms: what rounding to whole counts adds


@dataclass(frozen=True)
class Noise:
    """Random errors of the counts of one rig: standard deviations, but for `shot` and `tails`."""

    beat: float
    """s: the light that a pass gains or loses because it cuts through a period of the LED's PWM."""
    flicker: float
    """Part of a count, however long the exposure."""
    shot: float
    """Variance per count and gain: the higher the gain, the fewer electrons are a count."""
    room: float
    """Counts per step at gain 1: room light changes."""
    read: float
    """Counts, before rounding."""
    tails: float
    """Degrees of freedom of Student's t, above 2: some readings are much worse than most."""

    def shared(self, steps: ArrayLike) -> NDArray[np.float64]:
        """Standard deviation, as a part of the counts, that all channels of a pass of so many integration steps share, [...]."""
        part: NDArray[np.float64] = self.beat / (self.beat + np.asarray(steps, dtype=float) * AS7341_STEP_SECONDS)
        return part

    def own(self, mean: NDArray[np.float64], steps: ArrayLike, gain: ArrayLike) -> NDArray[np.float64]:
        """Standard deviation of the counts with means `mean` [..., 8] that each has for itself, before rounding.

        Args:
            steps: Integration steps, [..., 1] or one number.
            gain: The gain, the same way.
        """
        room = self.room * np.asarray(steps) * np.asarray(gain)
        result: NDArray[np.float64] = np.sqrt((self.flicker * mean) ** 2 + self.shot * np.asarray(gain) * mean + room**2 + self.read**2)
        return result

    def errors(self, mean: NDArray[np.float64], steps: float, gain: float, random: np.random.Generator) -> NDArray[np.float64]:
        """Random errors of counts with means `mean` [8]."""
        # The four channels of a pass are exposed at the same time: they share the phase of the PWM.
        shared = float(self.shared(steps)) * random.standard_normal(2).repeat(4)
        own = math.sqrt((self.tails - 2) / self.tails) * random.standard_t(self.tails, 8)
        result: NDArray[np.float64] = mean * shared + self.own(mean, steps, gain) * own
        return result


# Printed by benchmarks/calibrate_light_mixing.py, rounded.
NOISE = Noise(beat=0.12e-3, flicker=0.0036, shot=2.4e-4, room=0.12e-6, read=0.30, tails=7.4)


@dataclass(frozen=True)
class Calibration:
    """The constants of one rig."""

    sensitivity: NDArray[np.float64]
    """Counts per integration step at gain 1 in every channel from every LED that is fully on, [8, 3]."""
    background: NDArray[np.float64]
    """Counts per integration step at gain 1 with the LEDs off, [8]."""
    gain_steps: NDArray[np.float64]
    """True over nominal gain for each of `AS7341_GAINS`, [11]; 1 at 128."""
    dimming: NDArray[np.float64]
    """Share of its light that each LED loses when another one is fully on, [3]."""
    bends: tuple[float, float] = (9.0, 21.0)
    """The settings at which the slope of the LED's duty doubles. A rig whose chip does not bend has (0, 0)."""


# Printed by benchmarks/calibrate_light_mixing.py.
CLSLAB = Calibration(
    sensitivity=1e-3
    * np.array(
        [
            [0.0466, 0.0412, 0.0996],
            [0.0155, 0.0218, 3.2195],
            [0.0430, 1.0327, 1.8557],
            [0.0464, 2.1098, 0.1266],
            [0.0505, 0.2260, 0.0725],
            [1.4315, 0.0500, 0.0670],
            [3.0390, 0.0558, 0.1109],
            [0.0556, 0.0552, 0.1474],
        ]
    ),
    background=1e-6 * np.array([1.8348, 25.8173, 157.8319, 9.2036, 14.1724, 0.9169, 0.0000, 4.1299]),
    gain_steps=np.array([1.0507, 1.0224, 1.0372, 1.0427, 1.0160, 1.0116, 1.0063, 0.9963, 1.0000, 0.9900, 0.9680]),
    dimming=np.array([0.0742, 0.0487, 0.0365]),
)
LED_XYZ = np.array([[27.437, 12.236, 0.133], [8.661, 38.083, 6.427], [33.768, 12.208, 196.799]])  # [LED, XYZ]


def duty(setting: ArrayLike, bends: tuple[float, float] = CLSLAB.bends) -> NDArray[np.float64]:
    """Part of the time that an LED is on, [...], for settings [...] of 0 to 255.

    The LED's chip bends its 8-bit input to have finer dim colors: a step is worth 1/1024 up to the first bend, 1/512 up to the
    second and 1/256 above; 255 is on for 95 % of the time.
    Source: that WS2812 chips do so: cpldcpu, "Does the WS2812 have integrated Gamma-Correction?" (2022),
    https://cpldcpu.wordpress.com/2022/08/15/does-the-ws2812-have-integrated-gamma-correction/. Where this one bends is fitted and
    rounded: left free, the bends come out at 9.0 and 20.7.

    >>> (1024 * duty([0, 9, 21, 22])).tolist()
    [0.0, 9.0, 33.0, 37.0]
    """
    s = np.asarray(setting, dtype=float)
    on: NDArray[np.float64] = (s + np.maximum(s - bends[0], 0) + 2 * np.maximum(s - bends[1], 0)) / 1024
    return on


def light(red: ArrayLike, green: ArrayLike, blue: ArrayLike, calibration: Calibration = CLSLAB) -> NDArray[np.float64]:
    """Light of the three LEDs, [..., 3], for settings [...]: 1 is an LED that is always on while the others are off.

    The LEDs share one supply and one package: each is a little dimmer while another one is on.
    """
    settings = np.empty((*np.broadcast(red, green, blue).shape, 3))  # np.stack takes ten times as long for one setting
    settings[..., 0], settings[..., 1], settings[..., 2] = red, green, blue
    on = duty(settings, calibration.bends)
    others = on.sum(axis=-1, keepdims=True) - on
    dimmed: NDArray[np.float64] = on * (1 - calibration.dimming * others)
    return dimmed


def integration_steps(atime: ArrayLike, astep: ArrayLike) -> NDArray[np.float64]:
    """Integration steps of the AS7341, [...]. Source: ams-OSRAM AS7341 data sheet.

    >>> float(integration_steps(29, 599)) * AS7341_STEP_SECONDS  # s
    0.05004
    """
    steps: NDArray[np.float64] = (np.asarray(atime, dtype=float) + 1) * (np.asarray(astep, dtype=float) + 1)
    return steps


def full_scale(atime: ArrayLike, astep: ArrayLike) -> NDArray[np.float64]:
    """The counts at which a channel saturates, [...]: one per step, and what 16 bits hold.

    Source: ams-OSRAM AS7341 data sheet.

    >>> full_scale([0, 255], [99, 65534]).tolist()
    [100.0, 65535.0]
    """
    return np.minimum(integration_steps(atime, astep), COUNTER)


def collected(
    red: ArrayLike,
    green: ArrayLike,
    blue: ArrayLike,
    atime: ArrayLike,
    astep: ArrayLike,
    gain: ArrayLike,
    *,
    calibration: Calibration = CLSLAB,
) -> NDArray[np.float64]:
    """Mean counts of a sensor that cannot saturate, [..., 8], for settings [...]; `gain` is one of `AS7341_GAINS`."""
    nominal = np.asarray(gain, dtype=float)
    # The gains are powers of two, from 2^-1: frexp finds the place in the table without a search.
    true_gain = nominal * calibration.gain_steps[np.frexp(nominal)[1]]
    per_step = light(red, green, blue, calibration) @ calibration.sensitivity.T + calibration.background
    mean: NDArray[np.float64] = LAW.outcomes(per_step, (integration_steps(atime, astep) * true_gain)[..., None])
    return mean


def counts(
    red: ArrayLike,
    green: ArrayLike,
    blue: ArrayLike,
    atime: ArrayLike,
    astep: ArrayLike,
    gain: ArrayLike,
    *,
    calibration: Calibration = CLSLAB,
) -> NDArray[np.float64]:
    """Mean counts of the eight channels, [..., 8], for settings [...]; `gain` is one of `AS7341_GAINS`.

    >>> counts(red=[0, 85, 255], green=0, blue=0, atime=29, astep=599, gain=128)[:, 6].round().tolist()  # channel at 620 nm
    [0.0, 1976.0, 6626.0]
    """
    read = collected(red, green, blue, atime, astep, gain, calibration=calibration)
    return np.minimum(read, full_scale(atime, astep)[..., None])


def colorimetry(calibration: Calibration, led_xyz: NDArray[np.float64]) -> Colorimetry:
    """Conversion of the channels to a color; white is all three LEDs at 255.

    Eight channels see three LEDs and the background, so many matrices are exact for every mixture and for darkness. This one
    amplifies the noise of a middling reading least (the Gauss-Markov estimate).

    Args:
        led_xyz: XYZ of each LED fully on, [3, 3], in any unit.
    """
    sources = np.column_stack([calibration.sensitivity, calibration.background])  # [8, 4]
    brightness, exposure = 0.2, 3e5  # a middling reading: part of the LEDs' light; steps times gain, as of (29, 599) at 16
    # Rounded, and kept as they are when the noise is fitted again: campaigns go on with the matrix that they were begun with.
    flicker, room = 0.003 * brightness * calibration.sensitivity.sum(axis=1), 0.2e-6
    noise = np.sqrt(flicker**2 + room**2 + (ROUNDING / exposure) ** 2)  # [8]
    weighted = sources / noise[:, None] ** 2
    light_of_reading = np.linalg.solve(sources.T @ weighted, weighted.T)[:3]  # [3, 8]
    white = light(255, 255, 255, calibration) @ led_xyz
    to_xyz = led_xyz.T @ light_of_reading / white[1]
    return Colorimetry(
        channels=CHANNELS,
        to_xyz=tuple(tuple(float(v) for v in row) for row in to_xyz),
        white=(float(white[0] / white[1]), 1.0, float(white[2] / white[1])),
        exposure=EXPOSURE,
    )


LIGHT_MIXING = Experiment(
    name="light-mixing",
    parameters=(
        *(Discrete(led, tuple(float(v) for v in range(256)), "1", f"setting of the {led} LED") for led in LEDS),
        Discrete("atime", tuple(float(v) for v in range(256)), "1", "ATIME register: integration cycles, less one"),
        Discrete("astep", tuple(float(v) for v in range(1001)), "1", "ASTEP register: steps in a cycle, less one"),
        Discrete("gain", AS7341_GAINS, "1", "gain of the sensor"),
    ),
    outcomes=tuple(Outcome(c, "counts", f"light in the channel at {c[2:]} nm", law=LAW) for c in CHANNELS),
    color=colorimetry(CLSLAB, LED_XYZ),
)


PRICE = Price(
    (
        Fixed(Amounts(seconds=OVERHEAD)),
        PerUnit(("atime", "astep"), Amounts(seconds=AS7341_PASSES * AS7341_STEP_SECONDS), offset=1.0),
    )
)
"""Price of one measurement: the overhead and two integrations."""


def measured(settings: Settings, shown: Sequence[float], cost: Amounts) -> Measurement:
    """The measurement that the counts [8] of a sensor give, simulated or real.

    Raises:
        RigFault: A channel is saturated.
    """
    _, _, _, atime, astep, _ = _registers(settings)
    steps = (atime + 1) * (astep + 1)
    limit = min(steps, COUNTER)
    for channel, value in zip(CHANNELS, shown, strict=True):
        if value >= limit:
            fault = RigFault(f"{channel} saturated at {limit:g} counts; lower gain, atime or the LEDs")
            fault.cost = cost
            raise fault
    raw = {"full_scale": limit, "integration_ms": 1e3 * steps * AS7341_STEP_SECONDS}
    return Measurement(dict(zip(CHANNELS, shown, strict=True)), cost, raw)


def _registers(settings: Settings) -> tuple[float, float, float, float, float, float]:
    red, green, blue, atime, astep, gain = (float(settings[p.name]) for p in LIGHT_MIXING.parameters)
    return red, green, blue, atime, astep, gain


def look(
    settings: Settings,
    imperfections: float,
    random: np.random.Generator,
    calibration: Calibration = CLSLAB,
    brightness: float = 1.0,
    stray: float = 0.0,
) -> list[float]:
    """Counts that the sensor shows for the eight channels [8], whole; a saturated channel shows full scale.

    Args:
        imperfections: Scales all random errors; 0 turns them off.
        brightness: Light of the LEDs, against that of the truth.
        stray: Light of the room, counts per step at gain 1.
    """
    red, green, blue, atime, astep, gain = _registers(settings)
    read = brightness * collected(red, green, blue, atime, astep, gain, calibration=calibration)
    steps = (atime + 1) * (astep + 1)
    if stray:
        read = read + stray * steps * gain
    if imperfections:
        read = read + imperfections * NOISE.errors(read, steps, gain, random)
    shown: list[float] = (np.rint(read).clip(0, min(steps, COUNTER)) + 0.0).tolist()  # no -0.0
    return shown


def _led(color: str) -> Any:
    return option(1.0, f"light of the {color} LED, against that of the rig (range assumed)", drawn=(0.85, 1.15), allowed=(0, 10))


def _channel(nm: int) -> Any:
    return option(1.0, f"sensitivity of the channel at {nm} nm, the same way (range assumed)", drawn=(0.9, 1.1), allowed=(0.01, 10))


STRAY, STRAY_LIGHT = 0.02, 3e-5  # part of the readings; counts per step at gain 1 on average; assumptions
SWING, SWING_READINGS = 0.01, 200  # of the LEDs' light, and the readings in a period; assumptions


@dataclass(frozen=True)
class Room:
    """The room around a kit: its warmth, and its light."""

    swing: float = 0.0
    """Size of the swing of the LEDs' light."""
    stray_light: float = 0.0
    """How often light of the room gets in, against `STRAY`."""
    seed: int = 0

    def brightness(self, n: int) -> float:
        """Light of the LEDs in reading n, against that of the truth."""
        if not self.swing:
            return 1.0
        phase = float(np.random.default_rng((73, self.seed)).random())
        return 1 + self.swing * SWING * math.sin(2 * math.pi * (n / SWING_READINGS + phase))

    def stray(self, random: np.random.Generator) -> float:
        """Light of the room in a reading, counts per step at gain 1."""
        return float(random.exponential(STRAY_LIGHT)) if self.stray_light and random.random() < STRAY * self.stray_light else 0.0


class RoomOptions(ImperfectOptions):
    """Options of the room around a kit."""

    profiles: ClassVar = {"teaching-lab": {"stray_light": 1.0, "temperature": 1.0}}

    stray_light: float = option(
        0.0,
        "in 2 % of readings light of the room gets in, 3 counts per 100,000 steps at gain 1 on average (assumed)",
        allowed=(0, 10),
        changes="imperfections",
    )
    temperature: float = option(
        0.0, "the light of the LEDs swings by 1 % in 200 readings (assumed)", allowed=(0, 10), changes="imperfections"
    )

    def room(self, seed: int) -> Room:
        """The room."""
        return Room(self.scale * self.temperature, self.scale * self.stray_light, seed)


class LightMixingOptions(NumberedOptions, RoomOptions, SeedOptions):
    """Options of a light mixer."""

    led_red: float | None = _led("red")
    led_green: float | None = _led("green")
    led_blue: float | None = _led("blue")
    sensitivity_410: float | None = _channel(410)
    sensitivity_440: float | None = _channel(440)
    sensitivity_470: float | None = _channel(470)
    sensitivity_510: float | None = _channel(510)
    sensitivity_550: float | None = _channel(550)
    sensitivity_583: float | None = _channel(583)
    sensitivity_620: float | None = _channel(620)
    sensitivity_670: float | None = _channel(670)
    background: float | None = option(1.0, "the glow that no LED makes, the same way (range assumed)", drawn=(0, 2), allowed=(0, 100))
    dimming: float | None = option(1.0, "how much the LEDs dim each other, the same way (range assumed)", drawn=(0.5, 1.5), allowed=(0, 10))
    gain_steps: float | None = option(
        1.0, "how far the gains are from powers of two: the rig's deviations to this power (range assumed)", drawn=(-1, 2), allowed=(-5, 5)
    )

    imperfections: float | Profile = option(
        1.0, "scales all random errors: 0 is none, 1 is the rig as measured", allowed=(0, math.inf), changes="imperfections"
    )

    @property
    def calibration(self) -> Calibration:
        """The constants of the rig."""
        k = self.constants
        leds = np.array([k[f"led_{led}"] for led in LEDS])
        channels = np.array([k[f"sensitivity_{name[2:]}"] for name in CHANNELS])
        return replace(
            CLSLAB,
            sensitivity=CLSLAB.sensitivity * channels[:, None] * leds,
            background=CLSLAB.background * channels * k["background"],
            gain_steps=CLSLAB.gain_steps ** k["gain_steps"],
            dimming=CLSLAB.dimming * k["dimming"],
        )


class LightMixing:
    """Light mixing: one red-green-blue LED in front of an eight-channel spectral sensor, and no liquid.

    **Equation.** counts = min(full scale, N · g(gain) · (S · light + background)): N = (ATIME+1)(ASTEP+1) integration steps, g the
    true gain, S [8, 3] the sensitivity of a channel to an LED; light_j = d_j (1 - k_j Σ_{i≠j} d_i): the duty d of an LED bends
    with its setting (see `duty`), and each LED is dimmed a little by the others. Full scale is min(65535, N).
    Source: AS7341 data sheet, ams-OSRAM (N, full scale, two passes); the constants are fitted to 500 records of the rig.

    ================ ================= ====== =====================================================================
    parameter        limits            unit   meaning
    ================ ================= ====== =====================================================================
    red, green, blue 0, 1, … 255       1      settings of the LED
    atime            0, 1, … 255       1      ATIME register of the sensor
    astep            0, 1, … 1000      1      ASTEP register of the sensor (it takes up to 65534; the records end here)
    gain             0.5, 1, 2, … 512  1      gain of the sensor
    ================ ================= ====== =====================================================================

    =============== ======= =======================================================================================
    outcome         unit    meaning
    =============== ======= =======================================================================================
    ch410 … ch670   counts  whole numbers from 0 to full scale: channels at 410, 440, 470, 510, 550, 583, 620, 670 nm
    =============== ======= =======================================================================================

    `L`, `a` and `b` are derived from them (CIE 1976, 2° observer), with all three LEDs at 255 as white. XYZ of the LEDs is summed
    over their spectra. A saturated channel says nothing about the light: the trial fails, with a word on what to lower.

    **Options**: `LightMixingOptions`.

    **Another lab.** With `system` the LEDs and the sensor are others. The matrix that turns counts into a color is that of system 0 in
    every lab.

    **Random errors**, rms: beat with the LED's PWM, 0.12 ms of light, common to the four channels of a pass (0.8 % at 15 ms); flicker
    0.36 %; shot noise, of which the variance is 0.00024 of the counts times the gain (0.4 % of 1000 counts at gain 64); room light 0.12
    counts per million steps at gain 1; read noise 0.3 counts, then rounding. Beat apart, they have the tails of Student's t with 7.4
    degrees of freedom. They are fitted to what predictions miss, so that the errors of the equation are in them; repeats alone may scatter
    less. With the noise fitted to half of the records, the quantiles (25 to 97.5 %) of |residual| over its deviation are within 10 % of
    those of the other half.

    **Time and money.** Two passes of N · 2.78 µs and 1 s around them (the fastest runs of the rig take 1.3 s); no material.

    **Truth**: the mean counts, background included, not rounded.

    **How good.** On records that the fit has not seen: pooled R² 0.99995 over the eight channels, median relative error 0.54 % on
    counts above 50; on all of them 0.99995 and 0.51 % (printed by benchmarks/calibrate_light_mixing.py).

    **Valid** for LED settings up to 89, ATIME to 100, ASTEP to 997, every gain, at 294-296 K: what the records cover. Brighter
    settings extrapolate the last straight piece of the duty and the dimming, longer exposures the proportionality.
    **Leaves out** warm-up, drift and temperature, of which the records show 0.3 % at most; why the LEDs dim each other (a
    shared supply and a shared package would look alike); the sensor's ban on ATIME = ASTEP = 0, which just reads 0 or 1 here.
    The background is mostly a glow at 470 nm, probably an indicator of the board, and scales with the exposure.

    **Twin of** CLSLab:Light, a NeoPixel and an AS7341 on a Raspberry Pi Pico W (Baird & Sparks, Matter 5 (2022) 4170,
    doi:10.1016/j.matt.2022.11.007; https://github.com/sparks-baird/self-driving-lab-demo), as it was on 2022-12-21.
    """

    experiment = LIGHT_MIXING

    @takes(LightMixingOptions)
    def __init__(self, options: LightMixingOptions) -> None:
        self._seed = options.seed
        self._noise = ExperimentNoise(options.seed)
        self._imperfections, self._calibration = options.scale, options.calibration
        self._room = options.room(options.seed)
        self._is_stopped = True

    def __enter__(self) -> Self:
        self._is_stopped = False
        return self

    def perform(self, settings: Settings) -> Measurement:
        """Light the LEDs, wait, read the eight channels. Takes no real time.

        Raises:
            Stopped: Somebody stopped the twin; enter it again to go on.
            RigFault: A channel is saturated.
        """
        if self._is_stopped:
            raise Stopped("the light was stopped, or it is not connected")
        random = self._noise.begin()
        brightness = self._room.brightness(self._noise.performed)
        shown = look(settings, self._imperfections, random, self._calibration, brightness, self._room.stray(random))
        return measured(settings, shown, self.estimate(settings))

    def stop(self) -> None:
        """The next `perform` raises `Stopped` until the twin is entered again."""
        self._is_stopped = True

    def __exit__(self, *failure: object) -> None:
        """Disconnect; a twin has no LEDs to switch off."""

    def resume(self, trials: Sequence[Trial]) -> None:
        """Go on as if this twin itself had performed the trials."""
        self._noise = ExperimentNoise(self._seed, len(performed_settings(trials)))

    def truth(self, settings: Settings) -> dict[str, float]:
        """The mean counts of a rig without random errors, not rounded.

        Raises:
            RigFault: A channel is saturated.
        """
        red, green, blue, atime, astep, gain = _registers(settings)
        values: list[float] = counts(red, green, blue, atime, astep, gain, calibration=self._calibration).tolist()
        measured(settings, values, self.estimate(settings))  # refuses what a rig could not measure
        return dict(zip(CHANNELS, values, strict=True))

    def price(self) -> Price:
        """Price of two integrations and the overhead."""
        return PRICE

    def estimate(self, settings: Settings) -> Amounts:
        """The cost of `perform`: two integrations and the overhead."""
        return PRICE.of(settings)
