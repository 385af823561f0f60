"""Fit the constants of simulator/light_mixing.py to 500 records of the rig and print how well they predict.

    python benchmarks/calibrate_light_mixing.py

Prints the constants as they stand in simulator/light_mixing.py, then pooled R² over the eight channels and the median relative
error on counts above 50: in-sample, and out-of-fold in a 10-fold cross-validation.
"""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, minimize
from scipy.stats import t as student_t

from frugaltwin.color import cie_table
from simulator.instruments.sensors import AS7341_GAINS, AS7341_STEP_SECONDS
from simulator.light_mixing import CHANNELS, CLSLAB, LIGHT_MIXING, NOISE, ROUNDING, Calibration, Noise, counts, integration_steps

Numbers = NDArray[np.float64]

FOLDS = 10
SEED = 0
MODEL_ERROR = 0.007  # relative: what the equation leaves over at high counts, so that a few bright records do not decide alone
LEAST_ERROR = 0.4  # counts
BEAT = 0.15e-3  # s of light
QUANTILES = (25, 50, 75, 90, 97.5)  # %

_HERE = Path(__file__).parent / "data"


def records() -> tuple[Numbers, Numbers]:
    """Settings [n, 6] in the order of the experiment's parameters, and counts [n, 8]."""
    with (_HERE / "as7341_led_light.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = [p.name for p in LIGHT_MIXING.parameters]
    return np.array([[float(r[n]) for n in names] for r in rows]), np.array([[float(r[c]) for c in CHANNELS] for r in rows])


def led_xyz() -> Numbers:
    """XYZ of each LED, [3, 3], by summation over its spectrum at 5 nm, in the unit of the spectra."""
    spectra = np.loadtxt(_HERE / "neopixel_spectra.csv", delimiter=",", skiprows=1)
    table = cie_table()
    assert np.array_equal(spectra[:, 0], table["wavelength_nm"])
    bars = np.stack([table["x_bar"], table["y_bar"], table["z_bar"]], axis=1)
    xyz: Numbers = spectra[:, 1:].T @ bars
    return xyz


def _calibration(x: Numbers) -> Calibration:
    steps = np.insert(x[32:42], AS7341_GAINS.index(128.0), 1.0)
    bends = (float(x[45]), float(x[46])) if len(x) > 45 else CLSLAB.bends
    return Calibration(x[:24].reshape(8, 3) * 1e-3, x[24:32] * 1e-5, steps, x[42:45], bends)


def fit(settings: Numbers, read: Numbers, has_free_bends: bool = False) -> Calibration:
    """The constants that explain counts [n, 8] at settings [n, 6] best: least squares in units of the expected error, robust.

    Args:
        has_free_bends: Fit the bends of the LED's duty too, instead of keeping those of the twin.
    """
    seconds = integration_steps(settings[:, 3], settings[:, 4])[:, None] * AS7341_STEP_SECONDS
    error = np.sqrt(LEAST_ERROR**2 + (MODEL_ERROR**2 + (BEAT / seconds) ** 2) * read**2)

    def residuals(x: Numbers) -> Numbers:
        result: Numbers = ((counts(*settings.T, calibration=_calibration(x)) - read) / error).ravel()
        return result

    start = np.concatenate([np.full(24, 0.5), np.full(8, 1.0), np.ones(10), np.full(3, 0.05)])
    low = np.concatenate([np.zeros(32), np.full(10, 0.5), np.zeros(3)])
    high = np.concatenate([np.full(32, 100.0), np.full(10, 2.0), np.ones(3)])
    if has_free_bends:
        start, low, high = np.append(start, [6.0, 30.0]), np.append(low, [1.0, 16.0]), np.append(high, [15.0, 60.0])
    return _calibration(least_squares(residuals, start, bounds=(low, high), loss="soft_l1", x_scale="jac").x)


def figures(predicted: Numbers, read: Numbers) -> tuple[float, float]:
    """Pooled R² over the eight channels, and the median relative error on counts above 50."""
    r2 = 1 - ((predicted - read) ** 2).sum() / ((read - read.mean(axis=0)) ** 2).sum()
    seen = read > 50
    return float(r2), float(np.median(np.abs(predicted[seen] - read[seen]) / read[seen]))


def cross_validated(settings: Numbers, read: Numbers, folds: int = FOLDS, seed: int = SEED) -> Numbers:
    """Counts [n, 8] that were predicted for each record by a fit which had not seen it."""
    fold = np.random.default_rng(seed).permutation(len(settings)) % folds
    predicted = np.empty_like(read)
    for k in range(folds):
        out = fold == k
        predicted[out] = counts(*settings[out].T, calibration=fit(settings[~out], read[~out]))
    return predicted


def _deviation(noise: Noise, settings: Numbers, predicted: Numbers) -> Numbers:
    """Stated standard deviation of counts [n, 8], rounding included."""
    steps, gain = integration_steps(settings[:, 3], settings[:, 4])[:, None], settings[:, 5][:, None]
    result: Numbers = np.sqrt(noise.own(predicted, steps, gain) ** 2 + (noise.shared(steps) * predicted) ** 2 + ROUNDING**2)
    return result


def fitted_noise(settings: Numbers, read: Numbers, predicted: Numbers) -> Noise:
    """The noise that makes the records [n, 8] most likely around predictions [n, 8], by Student's t for the whole deviation."""

    def noise(x: Numbers) -> Noise:
        beat, flicker, shot, room, read_noise, tails = np.exp(x).tolist()
        return Noise(beat, flicker, shot, room, read_noise, 2 + tails)

    def unlikelihood(x: Numbers) -> float:
        nu = noise(x).tails
        scale = _deviation(noise(x), settings, predicted) * np.sqrt((nu - 2) / nu)
        return float(np.sum(np.log(scale) - student_t.logpdf((read - predicted) / scale, nu)))

    start = np.log([1e-4, 0.004, 2e-4, 2e-7, 0.2, 5.0])
    return noise(minimize(unlikelihood, start, method="Nelder-Mead", options={"maxfev": 4000}).x)


def residual_quantiles(noise: Noise, settings: Numbers, read: Numbers, predicted: Numbers, seed: int = SEED) -> tuple[Numbers, Numbers]:
    """Quantiles `QUANTILES` of |residual| over the stated deviation: of the records [n, 8], and of 20 twins at the same settings."""
    random, stated = np.random.default_rng(seed), _deviation(noise, settings, predicted)
    steps, gains = integration_steps(settings[:, 3], settings[:, 4]).tolist(), settings[:, 5].tolist()
    rows = list(zip(predicted, steps, gains, strict=True)) * 20
    twins = np.array([np.rint(mean + noise.errors(mean, n, gain, random)).clip(0) for mean, n, gain in rows])
    left = np.abs(twins - np.tile(predicted, (20, 1))) / np.tile(stated, (20, 1))
    return np.percentile(np.abs(read - predicted) / stated, QUANTILES), np.percentile(left, QUANTILES)


def _print_noise(settings: Numbers, read: Numbers, predicted: Numbers) -> None:
    """Print the noise that explains predictions of records that no fit has seen, and how well one half predicts the other."""
    noise = fitted_noise(settings, read, predicted)
    print("NOISE = " + repr(noise))
    is_even = np.arange(len(settings)) % 2 == 0
    print(f"quantiles of |residual| over its stated deviation, {', '.join(f'{q:g} %' for q in QUANTILES)}:")
    for words, among in (("even", is_even), ("odd", ~is_even)):
        half = fitted_noise(settings[~among], read[~among], predicted[~among])
        for whose, that in (("noise fitted to the other half", half), ("noise of the twin", NOISE)):
            records, twins = residual_quantiles(that, settings[among], read[among], predicted[among])
            shown = "; ".join(" ".join(f"{v:.3f}" for v in row) for row in (records, twins))
            print(f"{words} records, {whose}: records, twins: {shown}; twins/records - 1: {np.round(100 * (twins / records - 1), 1)} %")


def _print_what_is_left(settings: Numbers, read: Numbers, predicted: Numbers) -> None:
    """Print the figures that the imperfections of the twin were set to."""
    milliseconds = 1e3 * integration_steps(settings[:, 3], settings[:, 4]) * AS7341_STEP_SECONDS
    relative = np.where(read > 50, read / predicted - 1, np.nan)
    enough = (read > 50).sum(axis=1) >= 3
    common = np.nanmedian(relative[enough], axis=1)  # what all channels of a record have in common
    duration = milliseconds[enough]
    for low, high in ((0, 5), (5, 10), (10, 20)):
        among = (duration >= low) & (duration < high)
        print(f"left over at {low}-{high} ms: {np.sqrt(np.mean((common[among] * duration[among]) ** 2)):.2f} ms of light (rms)")
    parts = [float(np.median(part)) for part in np.array_split(common, 8)]  # the records are in order of time
    print(f"left over by eighths of the session, medians: {100 * min(parts):+.2f} … {100 * max(parts):+.2f} %")
    _, group, times = np.unique(settings, axis=0, return_inverse=True, return_counts=True)
    pairs = np.array([read[group.ravel() == g] for g in np.flatnonzero(times == 2)])  # [pairs, 2, 8]
    mean, scatter = pairs.mean(axis=1), pairs.std(axis=1, ddof=1)
    for lowest, highest in ((20.0, 200.0), (200.0, 2000.0), (2000.0, np.inf)):
        within = (mean >= lowest) & (mean < highest)
        rms = np.sqrt(np.mean((scatter[within] / mean[within]) ** 2))
        print(f"{len(pairs)} repeated settings, {lowest:g} to {highest:g} counts: {100 * rms:.2f} % rms on {int(within.sum())} channels")


def _printed(name: str, values: Numbers, scale: float) -> str:
    rows = ["[" + ", ".join(f"{v / scale:.4f}" for v in row) + "]" for row in np.atleast_2d(values)]
    factor = "" if scale == 1 else f"1e{round(np.log10(scale))} * "
    if len(rows) == 1:
        return f"    {name}={factor}np.array({rows[0]}),"
    return f"    {name}={factor}np.array(\n        [\n" + "".join(f"            {row},\n" for row in rows) + "        ]\n    ),"


def main() -> None:
    settings, read = records()
    best = fit(settings, read)
    print("CLSLAB = Calibration(")
    print(_printed("sensitivity", best.sensitivity, 1e-3))
    print(_printed("background", best.background, 1e-6))
    print(_printed("gain_steps", best.gain_steps, 1))
    print(_printed("dimming", best.dimming, 1))
    print(")")
    bends = fit(settings, read, has_free_bends=True).bends
    print(f"bends, left free: {bends[0]:.2f}, {bends[1]:.2f}; in the twin: {CLSLAB.bends[0]:g}, {CLSLAB.bends[1]:g}")
    xyz = led_xyz()
    print("LED_XYZ = np.array([" + ", ".join("[" + ", ".join(f"{v:.3f}" for v in row) + "]" for row in xyz) + "])  # [LED, XYZ]")
    print()
    print("to_xyz, per count, step and gain, as the experiment has it:")
    assert LIGHT_MIXING.color is not None
    for row in LIGHT_MIXING.color.to_xyz:
        print("    " + " ".join(f"{v:10.3f}" for v in row))
    print("white: " + " ".join(f"{v:.4f}" for v in LIGHT_MIXING.color.white))
    print()
    unseen = cross_validated(settings, read)
    for name, predicted in (
        ("in-sample, refitted", counts(*settings.T, calibration=best)),
        ("in-sample, constants of simulator/light_mixing.py", counts(*settings.T)),
        (f"out-of-fold, {FOLDS} folds, seed {SEED}", unseen),
    ):
        r2, relative = figures(predicted, read)
        print(f"{name}: pooled R² {r2:.5f}, median relative error {100 * relative:.2f} % on {int((read > 50).sum())} counts above 50")
    print()
    _print_what_is_left(settings, read, counts(*settings.T, calibration=best))
    print()
    _print_noise(settings, read, unseen)


if __name__ == "__main__":
    main()
